"""A costed file → JSON, or tables for a person."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cloud.cost_files.costed_file import CostedFile
from cloud.cost_files.reading import Movements
from cloud.cost_files.tables import table
from cloud.domain.costing.methods import Method, refused_by
from cloud.domain.decimals import micro_text
from cloud.domain.moments import moment_of

SHOWN = 40  # lines of a table on a terminal; --json has all


def as_json(result: CostedFile, movements: Movements) -> dict[str, Any]:
    """What `--json` prints; amounts and quantities as decimal texts, `of` and `by` as in the file."""
    number = movements.cells.line_numbers()
    answer: dict[str, Any] = {
        "method": result.method,
        "cogs": micro_text(result.cogs),
        "cogs_by_issue": micro_texts(result.cost_of_issue),
        "closing_qty": micro_text(result.closing_qty),
        "closing_value": micro_text(result.closing_value),
        "layers": [[micro_text(layer.qty), micro_text(layer.unit_cost)] for layer in result.layers],
        "adjustments": [
            {"of": number(one.of), "by": number(one.by), "value": micro_text(one.value)}
            for one in result.adjustments
        ],
        "variances": {name: micro_text(value) for name, value in result.variances.items()},
        "journal": [
            {"account": account, "debit": micro_text(debit), "credit": micro_text(credit)}
            for account, debit, credit in result.journal.totals()
        ],
    }
    if result.write_down:
        answer["write_down"] = micro_text(result.write_down)
    if result.allowance:
        answer["allowance"] = micro_text(result.allowance)
    return answer


def micro_texts(values: NDArray[np.int64]) -> list[str]:
    """Integers of 10⁻⁶ as decimal texts without trailing zeros, a whole column at once."""
    words = np.stack([values, values >> 63], axis=1)  # the low and the high half of 128 bits
    decimals = pa.Decimal128Array.from_buffers(pa.decimal128(38, 6), len(values), [None, pa.py_buffer(words)])
    texts: list[str] = pc.replace_substring_regex(pc.cast(decimals, pa.string()), r"\.?0+$", "").to_pylist()
    return texts


def as_text(result: CostedFile, movements: Movements) -> str:
    """Tables of everything that is not empty."""
    parts = [[f"{_heading(movements)}, {result.method}"]]
    if len(result.issues):
        parts.append(["Cost of goods sold", *_issues(result, movements)])
    if result.closing:
        parts.append(["Left", *_closing(result)])
    if result.layers:
        parts.append(["Layers", *_layers(result)])
    if result.adjustments:
        parts.append(["Adjustments", *_adjustments(result, movements)])
    if result.variances:
        names = ((name.replace("_", " "), micro_text(value, 2)) for name, value in result.variances.items())
        parts.append(["Variances (above 0: it cost more)", *table(("", "value"), names, ("value",))])
    if journal := list(result.journal.totals()):
        lines = ((account, _amount(debit), _amount(credit)) for account, debit, credit in journal)
        parts.append(["Journal", *table(("account", "debit", "credit"), lines, ("debit", "credit"))])
    if result.uncosted:
        parts.append(["Without any cost yet", *_uncosted(result, movements)])
    return "\n\n".join("\n".join(part) for part in parts)


def compared_text(results: list[CostedFile], movements: Movements) -> str:
    """What each method makes of the same goods, beside the first of them."""
    first = results[0]
    rows = [
        (
            result.method,
            micro_text(result.cogs, 2),
            micro_text(result.closing_qty),
            micro_text(result.closing_value, 2),
            "" if result is first else _signed(result.cogs - first.cogs),
            _refusals(result.method),
        )
        for result in results
    ]
    against = f"against {first.method}"
    numbers = ("cost of goods sold", "quantity left", "value left", against)
    lines = table(("method", *numbers, "refused by"), rows, numbers)
    return "\n".join([_heading(movements), "", *lines])


def _heading(movements: Movements) -> str:
    return f"{movements.cells.name}: {len(movements)} movement{'s' * (len(movements) != 1)}"


def _issues(result: CostedFile, movements: Movements) -> list[str]:
    number = movements.cells.line_numbers()
    rows = [
        (
            str(number(row)), _day(movements, row), _name(movements.items, movements.item[row]),
            _name(movements.pools, movements.pool[row]), micro_text(int(movements.qty[row])),
            micro_text(int(cost), 2),
        )
        for row, cost in zip(result.issues[:SHOWN].tolist(), result.cost_of_issue[:SHOWN], strict=True)
    ]  # fmt: skip
    rows.append(
        ("total", "", "", "", micro_text(int(movements.qty[result.issues].sum())), micro_text(result.cogs, 2))
    )
    if (rest := result.cogs - int(result.cost_of_issue.sum())) != 0:
        rows.insert(-1, ("returns", "", "", "", "", micro_text(rest, 2)))
    word = movements.cells.row_word
    lines = table((word, "date", "item", "pool", "quantity", "cost"), rows, ("quantity", "cost"))
    return [*lines[:-1], *_more(len(result.issues)), lines[-1]]


def _closing(result: CostedFile) -> list[str]:
    has_goods = not result.write_down or result.closing_qty > 0  # net realisable value may be of no quantity
    rows = [
        (one.item, micro_text(one.qty) if has_goods else "", micro_text(one.value, 2), _amount(one.allowance))
        for one in result.closing[:SHOWN]
    ]
    if len(result.closing) > 1:
        whole = (micro_text(result.closing_qty), micro_text(result.closing_value, 2), _amount(result.allowance))
        rows.append(("total", *whole))
    lines = table(("item", "quantity", "value", "allowance"), rows, ("quantity", "value", "allowance"))
    return [*lines, *_more(len(result.closing))]


def _layers(result: CostedFile) -> list[str]:
    rows = (
        (one.item, one.pool, one.lot, micro_text(one.qty), micro_text(one.unit_cost), micro_text(one.value, 2))
        for one in result.layers[:SHOWN]
    )
    heads = ("item", "pool", "lot", "quantity", "unit cost", "value")
    return [*table(heads, rows, heads[3:]), *_more(len(result.layers))]


def _adjustments(result: CostedFile, movements: Movements) -> list[str]:
    number, word = movements.cells.line_numbers(), movements.cells.row_word
    rows = (
        (f"{word} {number(one.of)}", f"{word} {number(one.by)}", _signed(one.value))
        for one in result.adjustments[:SHOWN]
    )
    return [*table(("of", "by", "cost"), rows, ("cost",)), *_more(len(result.adjustments))]


def _uncosted(result: CostedFile, movements: Movements) -> Iterator[str]:
    for row in result.uncosted[:SHOWN]:
        yield f"  {movements.cells.place(row)}: {micro_text(int(movements.qty[row]))} went before any cost was known"
    yield from _more(len(result.uncosted))


def _more(count: int) -> Iterable[str]:
    return [f"  … and {count - SHOWN} more (all of them with --json)"] if count > SHOWN else []


def _refusals(method: str) -> str:
    named = {one.label: one for one in Method}
    return ", ".join(
        profile
        for profile in ("ASBE", "IFRS", "US_GAAP")
        if method in named and named[method] in refused_by(profile)
    )


def _day(movements: Movements, row: int) -> str:
    if not movements.is_dated:
        return ""
    moment = moment_of(int(movements.occurred[row]))
    return f"{moment:%m-%d}" if movements.is_yearless else f"{moment:%Y-%m-%d}"


def _name(names: list[str], code: int) -> str:
    return names[code] if code >= 0 else ""


def _amount(value: int) -> str:
    return micro_text(value, 2) if value else ""


def _signed(value: int) -> str:
    return ("+" if value > 0 else "") + micro_text(value, 2)
