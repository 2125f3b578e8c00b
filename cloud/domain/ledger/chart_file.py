"""Charts and dimensions as text, TOML or CSV: read with everything that is wrong at once, and written again.

TOML, one account a line; all but number, a name and type may be left out:

    accounts = [
      { number = "2202", name_zh = "应付账款", name_en = "Accounts payable", type = "liability", header = true },
      { number = "220203", name_en = "Suppliers", type = "liability", role = "payables", parent = "2202",
        monetary = true, has_items = true, valid_from = 2026-01-01, dimensions = { project = "required" } },
    ]

CSV: the same as columns, named in the first line; `dimensions` reads `cost_centre=allowed;project=required`.
Dimensions are lists `types` (code, name_zh, name_en) and `values` (type, code, name, valid_from, valid_to) in TOML,
and values alone in CSV.
"""

import csv
import io
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeVar

from cloud.domain.ledger.accounts import COLUMNS, Account, AccountType, Complaint, Need, WrongAccount
from cloud.domain.ledger.dimensions import DimensionType, DimensionValue, WrongDimension, parse_set

PROBLEMS_SHOWN = 50  # a file in the wrong form has one for every row
FIELD_MAX = 100_000  # characters; an unclosed quote would otherwise swallow the file

Value = TypeVar("Value")
_TEXTS = ("number", "name_zh", "name_en", "type", "role", "site", "parent")
_FLAGS = ("header", "monetary", "has_items")
_DAYS = ("valid_from", "valid_to")
ACCOUNT_COLUMNS = tuple(COLUMNS.values())
VALUE_COLUMNS = ("type", "code", "name", "valid_from", "valid_to")
_TYPE_COLUMNS = ("code", "name_zh", "name_en")


class BadChartFile(ValueError):
    """Rows of the file cannot be used, so nothing of it was."""

    def __init__(self, name: str, problems: Sequence[str]) -> None:
        shown = [f"{name}: {problem}" for problem in problems[:PROBLEMS_SHOWN]]
        if len(problems) > PROBLEMS_SHOWN:
            shown.append(f"{name}: and {len(problems) - PROBLEMS_SHOWN} more")
        super().__init__("\n".join(shown))


class _BadField(ValueError):
    def __init__(self, column: str, complaint: str) -> None:
        super().__init__(f"{column}: {complaint}")


@dataclass(frozen=True, slots=True)
class _Row:
    """place: where it stands, for people; fields: what it says."""

    place: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ChartFile:
    """A chart as a file says it; places: where each account stands, in their order."""

    name: str
    accounts: tuple[Account, ...]
    places: tuple[str, ...]

    def refusal(self, complaints: Sequence[Complaint]) -> BadChartFile:
        """What is wrong with the chart, told by the file's rows."""
        places = {account.number: place for account, place in zip(self.accounts, self.places, strict=True)}
        return BadChartFile(
            self.name, [f"{places.get(one.number, 'not in the file')}: {one}" for one in complaints]
        )


@dataclass(frozen=True, slots=True)
class DimensionsFile:
    """Types and values as a file says them."""

    types: tuple[DimensionType, ...]
    values: tuple[DimensionValue, ...]


def read_chart(text: str, name: str, default: Mapping[AccountType, Mapping[str, Need]] | None = None) -> ChartFile:
    """The accounts of a file, TOML by its name's ending, else CSV. Raises BadChartFile with all that is wrong.

    default  dimensions of accounts by type, where the account says none and takes lines
    """
    rows = list(_rows(text, name, "accounts", ACCOUNT_COLUMNS))
    accounts = _made(name, rows, lambda row: _account(row, default or {}))
    return ChartFile(name, tuple(accounts), tuple(row.place for row in rows))


def read_dimensions(text: str, name: str) -> DimensionsFile:
    """The types and values of a file. Raises BadChartFile with all that is wrong."""
    if name.endswith(".toml"):
        said = _toml(text, name)
        if unknown := set(said) - {"types", "values"}:
            raise BadChartFile(name, [f"expected types and values, got {', '.join(sorted(unknown))}"])
        types = list(_listed(said.get("types", []), name, "types", text, _TYPE_COLUMNS))
        values = list(_listed(said.get("values", []), name, "values", text, VALUE_COLUMNS))
    else:
        types, values = [], list(_rows(text, name, "values", VALUE_COLUMNS))
    made_types = _made(name, types, _type)
    made = _made(name, values, _value)
    _refuse_twins(name, [(row.place, one.code) for row, one in zip(types, made_types, strict=True)])
    _refuse_twins(name, [(row.place, f"{one.type} {one.code}") for row, one in zip(values, made, strict=True)])
    return DimensionsFile(tuple(made_types), tuple(made))


# ── Rows ────────────────────────────────────────────────────────────────────────────────────────────


def _rows(text: str, name: str, noun: str, columns: tuple[str, ...]) -> Iterator[_Row]:
    if not name.endswith(".toml"):
        yield from _csv_rows(text, name, columns)
        return
    said = _toml(text, name)
    if not isinstance(said.get(noun), list) or not said[noun]:
        raise BadChartFile(name, [f"expected a list {noun!r} with rows, got {', '.join(said) or 'nothing'}"])
    if unknown := set(said) - {noun, "dimensions_allowed_on"}:
        raise BadChartFile(name, [f"expected {noun}, got {', '.join(sorted(unknown))}"])
    yield from _listed(said[noun], name, noun, text, columns)


def _toml(text: str, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadChartFile(name, [str(error)]) from error


def _listed(rows: Any, name: str, noun: str, text: str, columns: tuple[str, ...]) -> Iterator[_Row]:
    if not isinstance(rows, list):
        raise BadChartFile(name, [f"expected {noun} to be a list, got {rows!r}"])
    lines = _lines(text)
    for number, row in enumerate(rows, start=1):
        place = f"{noun} {number}"
        if not isinstance(row, dict):
            raise BadChartFile(name, [f"{place}: expected a table, got {row!r}"])
        if (line := lines.get(str(row.get("number", "")))) is not None:
            place = f"line {line}"
        if unknown := set(row) - set(columns):
            raise BadChartFile(
                name, [f"{place}: expected keys among {', '.join(columns)}, got {', '.join(sorted(unknown))}"]
            )
        yield _Row(place, row)


def _lines(text: str) -> dict[str, int]:
    """On which line an account's number stands; the TOML reader does not tell. The last one, where it is twice."""
    return {
        found: line
        for line, said in enumerate(text.splitlines(), start=1)
        for found in re.findall(r"\bnumber\s*=\s*[\"']([^\"']+)[\"']", said)
    }


def _csv_rows(text: str, name: str, columns: tuple[str, ...]) -> Iterator[_Row]:
    csv.field_size_limit(FIELD_MAX)
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    begins = 1
    try:
        head = [cell.strip() for cell in next(reader, [])]
        if not head or set(head) - set(columns) or len(set(head)) != len(head):
            raise BadChartFile(
                name, [f"line 1: expected columns among {', '.join(columns)}, got {', '.join(head) or 'none'}"]
            )
        begins, found = reader.line_num + 1, False
        for cells in reader:
            line, begins = begins, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(head):
                raise BadChartFile(name, [f"line {line}: expected {len(head)} cells, got {len(cells)}"])
            found = True
            said = {column: cell.strip() for column, cell in zip(head, cells, strict=True) if cell.strip()}
            yield _Row(f"line {line}", said)
    except csv.Error as error:
        raise BadChartFile(name, [f"line {begins}: expected CSV: {error}"]) from error
    if not found:
        raise BadChartFile(name, ["line 1: expected rows after the head line, got none"])


def _made(name: str, rows: Sequence[_Row], make: Callable[[Mapping[str, Any]], Value]) -> list[Value]:
    problems, values = [], []
    for row in rows:
        try:
            values.append(make(row.fields))
        except (_BadField, WrongAccount, WrongDimension) as error:
            problems.append(f"{row.place}: {error}")
    if problems:
        raise BadChartFile(name, problems)
    return values


def _refuse_twins(name: str, rows: Sequence[tuple[str, str]]) -> None:
    first: dict[str, str] = {}
    problems = [
        f"{place}: {said} stands at {first[said]} already"
        for place, said in rows
        if first.setdefault(said, place) != place
    ]
    if problems:
        raise BadChartFile(name, problems)


# ── Fields ──────────────────────────────────────────────────────────────────────────────────────────


def _account(row: Mapping[str, Any], default: Mapping[AccountType, Mapping[str, Need]]) -> Account:
    said: dict[str, Any] = {column: _text(row, column) for column in _TEXTS}
    if not said["number"]:
        raise _BadField("number", "expected a number, got none")
    try:
        said["type"] = AccountType(said["type"])
    except ValueError:
        raise _BadField("type", f"expected one of {', '.join(AccountType)}, got {said['type']!r}") from None
    for column in ("role", "site", "parent"):
        said[column] = said[column] or None
    header, said["is_monetary"], said["has_items"] = (_flag(row, column) for column in _FLAGS)
    said |= {column: day for column in _DAYS if (day := _day(row, column)) is not None}
    dimensions = _dimensions(row.get("dimensions"))
    if dimensions is None:
        dimensions = {} if header else dict(default.get(said["type"], {}))
    return Account(**said, is_postable=not header, dimensions=dimensions)


def _type(row: Mapping[str, Any]) -> DimensionType:
    return DimensionType(*(_text(row, column) for column in _TYPE_COLUMNS))


def _value(row: Mapping[str, Any]) -> DimensionValue:
    days = {column: day for column in _DAYS if (day := _day(row, column)) is not None}
    return DimensionValue(_text(row, "type"), _text(row, "code"), _text(row, "name"), **days)


def _text(row: Mapping[str, Any], column: str) -> str:
    value = row.get(column, "")
    if not isinstance(value, str):
        raise _BadField(column, f"expected a text, got {value!r}")
    return value.strip()


def _flag(row: Mapping[str, Any], column: str) -> bool:
    value = row.get(column, False)
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise _BadField(column, f"expected true or false, got {value!r}")
    return value


def _day(row: Mapping[str, Any], column: str) -> date | None:
    value = row.get(column)
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value)
        except ValueError:
            raise _BadField(column, f"expected a day as 2026-01-31, got {row[column]!r}") from None
    if value is not None and (isinstance(value, datetime) or not isinstance(value, date)):
        raise _BadField(column, f"expected a day as 2026-01-31, got {value!r}")
    return value


def _dimensions(said: Any) -> dict[str, Need] | None:
    if said is None:
        return None
    if isinstance(said, str):
        said = {} if said == "none" else parse_set(said)
    try:
        return {str(name): Need(need) for name, need in said.items()}
    except (AttributeError, ValueError):
        raise _BadField("dimensions", f"expected types, each {' or '.join(Need)}, got {said!r}") from None


# ── Writing ─────────────────────────────────────────────────────────────────────────────────────────


def chart_toml(accounts: Sequence[Account]) -> str:
    """The chart as a TOML file that `read_chart` reads again, one account a line."""
    lines = [f"  {{ {', '.join(_toml_pairs(account_fields(account)))} }}," for account in accounts]
    return "\n".join(["accounts = [", *lines, "]", ""])


def chart_csv(accounts: Sequence[Account]) -> str:
    """The chart as a CSV file that `read_chart` reads again."""
    return _csv_text(ACCOUNT_COLUMNS, [account_fields(account) for account in accounts])


def dimensions_toml(types: Sequence[DimensionType], values: Sequence[DimensionValue]) -> str:
    """Types and values as a TOML file that `read_dimensions` reads again."""
    rows = {
        "types": [{column: getattr(one, column) for column in _TYPE_COLUMNS} for one in types],
        "values": [_said_value(one) for one in values],
    }
    lines = []
    for noun, fields in rows.items():
        lines += [f"{noun} = [", *(f"  {{ {', '.join(_toml_pairs(one))} }}," for one in fields), "]"]
    return "\n".join([*lines, ""])


def dimensions_csv(values: Sequence[DimensionValue]) -> str:
    """Values as a CSV file that `read_dimensions` reads again."""
    return _csv_text(VALUE_COLUMNS, [_said_value(one) for one in values])


def account_fields(account: Account) -> dict[str, Any]:
    """What a file says of an account: what is not as it would be anyway."""
    said: dict[str, Any] = {
        column: getattr(account, column) for column in ("number", "name_zh", "name_en", "type")
    }
    said |= {column: value for column in ("role", "site", "parent") if (value := getattr(account, column))}
    flags = {"header": not account.is_postable, "monetary": account.is_monetary, "has_items": account.has_items}
    said |= {column: True for column, is_so in flags.items() if is_so}
    said |= _days(account)
    if account.dimensions:
        said["dimensions"] = dict(sorted(account.dimensions.items()))
    return said


def _said_value(value: DimensionValue) -> dict[str, Any]:
    return {column: getattr(value, column) for column in ("type", "code", "name")} | _days(value)


def _days(one: Account | DimensionValue) -> dict[str, date]:
    said = {}
    if one.valid_from != date.min:
        said["valid_from"] = one.valid_from
    if one.valid_to != date.max:
        said["valid_to"] = one.valid_to
    return said


def _toml_pairs(fields: Mapping[str, Any]) -> Iterator[str]:
    for name, value in fields.items():
        if isinstance(value, bool):
            yield f"{name} = {str(value).lower()}"
        elif isinstance(value, date):
            yield f"{name} = {value.isoformat()}"
        elif isinstance(value, dict):
            yield f"{name} = {{ {', '.join(_toml_pairs(value))} }}"
        else:
            # A JSON string without its escapes for other planes is a TOML basic string.
            yield f"{name} = {json.dumps(str(value), ensure_ascii=False)}"


def _csv_text(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([[_cell(row.get(column, "")) for column in columns] for row in rows])
    return file.getvalue()


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return ";".join(f"{name}={need}" for name, need in value.items())
    return str(value)
