"""Posting rules as text, TOML or CSV: read with everything that is wrong at once, and written again.

TOML, one rule a line; all but kind, debit and credit may be left out:

    rules = [
      { kind = "scrap", reason = "damage", debit = "admin_loss", credit = "pool", dimensions = { cost_centre = "A1" } },
      { kind = "sales_shipment", site = "EAST", party_class = "group", debit = "cogs", credit = "pool", priority = 10 },
    ]

CSV: the same as columns, named in the first line; `dimensions` reads `cost_centre=A1;project=P7`.
"""

import csv
import io
import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cloud.domain.ledger.dimensions import WrongDimension, parse_set, set_code
from cloud.domain.ledger.posting import PostingRule
from cloud.domain.ledger.rules import RULE_FIELDS
from cloud.domain.movement import Kind
from cloud.flows.ledger.edit_rules import NewRule
from cloud.store.ledger.rules import StoredRule

PROBLEMS_SHOWN = 50
KINDS = {kind.name.lower(): kind for kind in Kind}
_NEEDED = ("kind", "debit", "credit")
_TEXTS = ("debit", "credit", "item_class", "site", "reason", "party_class")


class BadRuleFile(ValueError):
    """Rules of the file cannot be read, so none was loaded."""

    def __init__(self, name: str, problems: list[str]) -> None:
        shown = [f"{name}: {problem}" for problem in problems[:PROBLEMS_SHOWN]]
        if len(problems) > PROBLEMS_SHOWN:
            shown.append(f"{name}: and {len(problems) - PROBLEMS_SHOWN} more")
        super().__init__("\n".join(shown))


def read_rules(text: str, name: str) -> list[NewRule]:
    """The rules of a file; its name says the form, .csv or else TOML. Raises BadRuleFile."""
    problems: list[str] = []
    rules = []
    for place, fields in _csv_rows(text, name) if name.endswith(".csv") else _toml_rows(text, name):
        wrong = [f"{place}: {complaint}" for complaint in _wrong(fields)]
        problems += wrong
        if not wrong:
            rules.append(new_rule(fields))
    if problems:
        raise BadRuleFile(name, problems)
    return rules


def new_rule(fields: Mapping[str, Any]) -> NewRule:
    """A rule from its fields as files name them; empty ones are absent."""
    said = {field: value for field, value in fields.items() if value not in ("", None)}
    dimensions = said.get("dimensions", {})
    return NewRule(
        kind=KINDS[said["kind"]],
        priority=int(said.get("priority", 0)),
        dimensions=parse_set(dimensions) if isinstance(dimensions, str) else dict(dimensions),
        **{field: said[field] for field in _TEXTS if field in said},
    )


def rules_csv(rules: Iterable[StoredRule]) -> str:
    """A file that read_rules reads."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(RULE_FIELDS)
    for one in rules:
        fields = _fields(one)
        writer.writerow([set_code(fields[f]) if f == "dimensions" else fields[f] for f in RULE_FIELDS])
    return text.getvalue()


def rules_toml(rules: Iterable[StoredRule]) -> str:
    """The same in TOML."""
    lines = []
    for one in rules:
        said = {field: value for field, value in _fields(one).items() if value not in ("", 0, {})}
        lines.append("  { " + ", ".join(f"{field} = {_toml(value)}" for field, value in said.items()) + " },\n")
    return "rules = [\n" + "".join(lines) + "]\n"


def _fields(one: StoredRule) -> dict[str, Any]:
    rule: PostingRule = one.rule
    return {
        "kind": Kind(rule.kind).name.lower(),
        "item_class": rule.item_class or "",
        "site": one.site or "",
        "reason": rule.reason or "",
        "party_class": rule.party_class or "",
        "debit": rule.debit_role,
        "credit": rule.credit_role,
        "priority": rule.priority,
        "dimensions": parse_set(one.dimensions),
    }


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_toml(code)}" for name, code in sorted(value.items())) + " }"
    # A JSON string is a basic string of TOML, but for DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")


def _wrong(fields: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with one rule's form."""
    for field in fields:
        if field not in RULE_FIELDS:
            yield f"expected one of {', '.join(RULE_FIELDS)}, got {field!r}"
    for field in _NEEDED:
        if not fields.get(field):
            yield f"{field}: expected a value, got none"
    for field in ("kind", *_TEXTS):
        if not isinstance(fields.get(field, ""), str):
            yield f"{field}: expected a text, got {fields[field]!r}"
    if isinstance(kind := fields.get("kind"), str) and kind and kind not in KINDS:
        yield f"kind: expected one of {', '.join(KINDS)}, got {kind!r}"
    yield from _wrong_values(fields)


def _wrong_values(fields: Mapping[str, Any]) -> Iterator[str]:
    priority = fields.get("priority", 0)
    is_number = isinstance(priority, int) and not isinstance(priority, bool)
    if not is_number and not (isinstance(priority, str) and (not priority or _is_integer(priority))):
        yield f"priority: expected a whole number, got {priority!r}"
    dimensions = fields.get("dimensions", {})
    if isinstance(dimensions, str):
        try:
            parse_set(dimensions)
        except WrongDimension as error:
            yield f"dimensions: {error}"
    elif not isinstance(dimensions, dict) or not all(isinstance(value, str) for value in dimensions.values()):
        yield f"dimensions: expected {{ type = value }}, got {dimensions!r}"


def _is_integer(text: str) -> bool:
    return text.removeprefix("-").isascii() and text.removeprefix("-").isdigit() and len(text) < 10


def _toml_rows(text: str, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        said = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadRuleFile(name, [f"expected TOML: {error}"]) from error
    if set(said) != {"rules"} or not isinstance(said["rules"], list):
        raise BadRuleFile(name, [f"expected one list, rules, got {', '.join(said) or 'nothing'}"])
    for number, row in enumerate(said["rules"], 1):
        if not isinstance(row, dict):
            raise BadRuleFile(name, [f"rule {number}: expected a table, got {row!r}"])
        yield f"rule {number}", row


def _csv_rows(text: str, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    try:
        head = [cell.strip() for cell in next(reader, [])]
        if len(set(head)) < len(head):
            raise BadRuleFile(name, ["line 1: a column stands there twice"])
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(head):
                raise BadRuleFile(name, [f"line {reader.line_num}: expected {len(head)} cells, got {len(cells)}"])
            yield f"line {reader.line_num}", {f: cell.strip() for f, cell in zip(head, cells, strict=True)}
    except csv.Error as error:
        raise BadRuleFile(name, [f"line {reader.line_num}: expected CSV: {error}"]) from error
