"""The judge judged: what plain Python says of published cases, and of others worked out by hand.

The cases of ../shared/data/costing that are about goods go through the reference alone, as rows written down
from the file; the command that reads such files has tests of its own.
"""

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.costing_reference import AVERAGES, PERIODIC, Books, Pool, Row, divided, run, share, spread

CASES = Path(__file__).parents[5].parent / "shared" / "data" / "costing"
UNIT = 10**6
# Not about the costs of a stream of goods: formulas of variances and of realisable value have tests of their own.
NOT_GOODS = ("variance", "nrv")


def micro(number: str) -> int:
    return int(Decimal(number) * UNIT)


def rows_of(case: dict[str, Any], method: str) -> tuple[list[Row], list[str]]:
    """Rows in canonical order, and the pools by name; in a settled period the issues stand behind the receipts."""
    pools: list[str] = []
    rows: list[Row] = []
    places: list[int] = []
    for line in case["movements"]:
        places.append(len(rows))
        picks = line.get("picks") or {line.get("lot", "") if method == "specific" else "": line.get("qty", "0")}
        for lot, qty in picks.items():
            name = f"{line.get('item', '')}/{lot}"
            if name not in pools:
                pools.append(name)
            named = places[int(line["of"]) - 1] if "of" in line else None
            rows.append(_row(line, pools.index(name), micro(qty), named))
    if method in PERIODIC:
        issues = [replace(row, settled=True) for row in rows if row.source is not None]
        receipts = [replace(row, settled=True) for row in rows if row.source is None]
        rows = [*receipts, Row("settle", target=0), *issues]
    return rows, pools


def _row(line: dict[str, str], pool: int, qty: int, named: int | None) -> Row:
    cost = int(Decimal(line["unit_cost"]) * qty) if "unit_cost" in line else None
    match line["type"]:
        case "receipt":
            extra = int(Decimal(line.get("landed_per_unit", "0")) * qty)
            return Row(target=pool, qty=qty, own=micro(line["total"]) if "total" in line else cost, extra=extra)
        case "issue":
            return Row(source=pool, qty=qty)
        case "return_in":
            return Row("return_in", None, pool, qty, ref=named)
        case "return_out":
            return Row("return_out", pool, qty=qty, ref=named)
        case "set_standard":
            return Row("set_standard", target=pool, own=micro(line["unit_cost"]))
    raise ValueError(f"expected a movement that the cases know, got {line['type']!r}")


def goods_cases() -> list[Any]:
    files = [
        file for file in sorted(CASES.glob("*.json")) if json.loads(file.read_text())["method"] not in NOT_GOODS
    ]
    return [pytest.param(file, id=file.stem) for file in files or [CASES / "missing.json"]]


@pytest.mark.shared
@pytest.mark.parametrize("file", goods_cases())
def test_published_figures_come_out(file: Path) -> None:
    if not file.exists():
        pytest.skip(f"no {file.parent.name} cases beside the project")
    case = json.loads(file.read_text())
    method = case["method"]
    rows, names = rows_of(case, method)
    methods = [
        ("standard" if name == "S/" else "moving_average") if method == "mixed" else method for name in names
    ]
    books = run(rows, [Pool(index, one, 10_000) for index, one in enumerate(methods)], {})
    expected = {
        key: micro(value) for key, value in case["expected"].items() if isinstance(value, str) and _number(value)
    }
    sold = sum(
        books.outcomes[at].final for at, row in enumerate(rows) if row.op == "move" and row.source is not None
    )
    got = {
        "cogs": sold,
        "closing_value": sum(pool.value for pool in books.pools),
        "closing_qty": sum(pool.qty for pool in books.pools),
    }
    told = got.keys() & expected.keys()
    assert told
    # Where a receipt was changed afterwards the file has it as it became: we cost the whole again from there.
    assert {key: got[key] for key in told} == {key: expected[key] for key in told}


def _number(text: str) -> bool:
    return text.replace(".", "").replace("-", "").isdigit()


def played(method: str, *rows: Row) -> Books:
    books = Books([Pool(0, method, 10_000), Pool(0, method, 10_000)])
    books.play(rows)
    return books


def into(qty: int, own: int | None = None, **more: Any) -> Row:
    return Row(target=0, qty=qty, own=own, **more)


def out(qty: int, **more: Any) -> Row:
    return Row(source=0, qty=qty, **more)


@pytest.mark.parametrize(
    ("method", "costs"),
    [
        ("fifo", [10 + 20, 20 + 30]),
        ("lifo", [30 + 20, 20 + 10]),
        ("moving_average", [40, 40]),
        ("specific", [10 + 20, 20 + 30]),
        ("standard", [2, 2]),
    ],
)
def test_each_method_takes_its_own_goods(method: str, costs: list[int]) -> None:
    """given 1 for 10, 2 for 40, 1 for 30; when 2 and 2 leave."""
    rows = [into(1, 10), into(2, 40), into(1, 30), out(2), out(2)]
    if method == "standard":
        rows = [Row("set_standard", target=0, own=UNIT), *rows]
    books = played(method, *rows)
    assert [one.final for one in books.outcomes[-2:]] == costs
    assert (books.pools[0].qty, books.pools[0].value) == (0, 0)


def test_between_settlements_issues_leave_at_the_settled_price_and_the_last_takes_the_rest() -> None:
    """given 10 @ 3 settled; when 10 @ 5 come and 5, 5, 10 leave; then at 3, 3, and what is left."""
    rows = (into(10, 30, settled=True), Row("settle", target=0), into(10, 50), out(5), out(5), out(10))
    books = played("periodic_average", *rows)
    assert [one.final for one in books.outcomes[-3:]] == [15, 15, 50]


def test_an_open_period_makes_one_stock_of_what_earlier_ones_left_apart() -> None:
    rows = (into(1, 10, settled=True), into(3, 90, settled=True), out(2))
    books = played("periodic_lifo", *rows)
    assert books.outcomes[-1].final == 50
    assert [(layer.no, layer.qty, layer.value) for layer in books.pools[0].layers] == [(1, 2, 50)]


@pytest.mark.parametrize(("left", "taken"), [(4, 20), (2, 10), (0, 0)])
def test_a_correction_reaches_what_is_still_there(left: int, taken: int) -> None:
    """given 4 for 40; when some left and the invoice says 60; then the rest of the 20 is nobody's here."""
    books = played(
        "fifo", into(4, 40), *([out(4 - left)] if left < 4 else []), Row("value_at", target=0, own=20, ref=0)
    )
    assert (books.outcomes[-1].into, books.outcomes[-1].left) == (taken, 20 - taken)


def test_a_reduction_takes_no_more_than_the_layer_holds() -> None:
    books = played("fifo", into(4, 40), Row("value_at", target=0, own=-50, ref=0), into(1, 7))
    assert (books.outcomes[1].into, books.outcomes[1].left, books.pools[0].value) == (-40, -10, 7)


def test_a_value_is_spread_without_losing_a_piece_of_it() -> None:
    assert spread(100, [1, 1, 1]) == [33, 34, 33]
    assert spread(-7, [3, 0, 4]) == [-3, 0, -4]
    assert [share(10, 3, done, 1) for done in range(3)] == [3, 4, 3]


def test_rounding_goes_half_up_on_magnitude() -> None:
    assert [divided(n, 2) for n in (-3, -1, 0, 1, 3)] == [-2, -1, 0, 1, 2]


def test_labour_lies_on_what_is_in_work_and_stays_apart_where_nothing_is() -> None:
    labour = Row("absorb", target=0, own=9)
    books = played("moving_average", labour, into(3, 0), labour, out(2))
    assert [(one.into, one.left) for one in books.outcomes[:3]] == [(0, 9), (0, 0), (9, 0)]
    assert books.outcomes[3].final == 6


def test_names_of_methods_are_told_apart() -> None:
    assert set(AVERAGES) & set(PERIODIC) == {"periodic_average"}
