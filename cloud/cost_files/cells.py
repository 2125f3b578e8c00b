"""A movements file → its cells as columns of text: CSV, Parquet, or a case file in JSON, all to the same form.

What may go wrong: the file is not of its kind (BadFile names the place), or cannot be read (OSError). What a
cell means is not asked here.
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

PROBLEMS_SHOWN = 50  # a file in the wrong form has one for every row
FIELD_MAX = 100_000  # characters; an unclosed quote would otherwise swallow the file
BLOCK_BYTES = 4 << 20  # how much of a CSV file is parsed at a time
BATCH_ROWS = 65_536  # rows of a Parquet file decoded at a time
SEPARATORS = ",;\t"

Told = Callable[[float], None]  # is told which share of the work is done, 0 … 1


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a file, and where: "line 3, column qty"."""

    place: str
    complaint: str

    def __str__(self) -> str:
        return f"{self.place}: {self.complaint}"


class BadFile(ValueError):
    """The file cannot be costed, so nothing of it was; the message names every place."""

    def __init__(self, name: str, problems: list[Problem]) -> None:
        shown = [f"{name}: {problem}" for problem in problems[:PROBLEMS_SHOWN]]
        if len(problems) > PROBLEMS_SHOWN:
            shown.append(f"{name}: and {len(problems) - PROBLEMS_SHOWN} more")
        super().__init__("\n".join(shown))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Cells:
    """The rows of a file as columns of trimmed text, null where a cell is empty; names are lower case.

    lines    the line of each row, asked for only when something is to be named: a CSV file is read again then
    method   the method that a case file names
    """

    name: str
    columns: Mapping[str, pa.Array]
    rows: int
    row_word: str
    column_word: str
    lines: Callable[[], list[int]] | None = None
    method: str | None = None

    def place(self, row: int, column: str = "") -> str:
        """Where a row stands, as people find it in the file: "line 3, column qty"."""
        number = row + 1
        if self.lines is not None:
            found = self.lines()
            number = found[row] if row < len(found) else number
        return f"{self.row_word} {number}" + (f", {self.column_word} {column}" if column else "")

    def texts(self, column: str) -> list[str]:
        """A column's cells, empty where there are none."""
        found = self.columns.get(column)
        return [""] * self.rows if found is None else [text or "" for text in found.to_pylist()]

    def line_numbers(self) -> Callable[[int], int]:
        """Row → its line in the file, or its number among the movements of a file that has no lines."""
        found = self.lines() if self.lines is not None else range(1, self.rows + 1)
        return lambda row: found[row]


def read_cells(
    path: Path, encoding: str = "utf-8", told: Told = lambda _: None, needed: Sequence[str] = ("type",)
) -> Cells:
    """The cells of `path`; its suffix says what it is, anything but .json and .parquet is CSV.

    needed   columns of which the file must have one
    Raises BadFile, OSError.
    """
    suffix = path.suffix.lower()
    if suffix == ".json":
        return _read_case(path)
    if suffix in (".parquet", ".pq"):
        return _read_parquet(path, told, needed)
    return _read_csv(path, encoding, told, needed)


# ── CSV ─────────────────────────────────────────────────────────────────────────────────────────────


def _read_csv(path: Path, encoding: str, told: Told, needed: Sequence[str]) -> Cells:
    encoding = "utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8", "utf-8-sig") else encoding
    head, separator = _head(path, encoding, needed)
    table = _fast_csv(path, head, separator, encoding, told)
    if table is None:
        # Either the file is wrong, and then the row is found here, or it is CSV that the fast reader does not
        # take, such as line ends inside quotes.
        table = _slow_csv(path, head, separator, encoding)
    if table.num_rows == 0:
        raise BadFile(path.name, [Problem("line 1", "expected rows after the head line, got none")])
    kept: list[list[int]] = []

    def lines() -> list[int]:
        if not kept:
            kept.append([line for line, _ in _csv_rows(path, separator, encoding)][1:])
        return kept[0]

    return Cells(path.name, _texts(path.name, table), table.num_rows, "line", "column", lines)


def _head(path: Path, encoding: str, needed: Sequence[str]) -> tuple[list[str], str]:
    """The names in the first line that is not blank, and what separates the cells."""
    try:
        with path.open(encoding=encoding, newline="") as file:
            line = next((line for line in file if line.strip()), "")
    except UnicodeDecodeError as error:
        raise BadFile(path.name, [Problem("line 1", _not_text(encoding, error))]) from error
    separator = max(SEPARATORS, key=line.count)
    head = [name.strip().lower() for name in next(csv.reader([line], delimiter=separator), [])]
    problems = []
    if not set(needed) & set(head):
        told = f"expected a head line with a column named {' or '.join(needed)}, got {line.strip()[:80]!r}"
        problems.append(Problem("line 1", told))
    if twice := sorted({name for name in head if head.count(name) > 1}):
        problems.append(Problem("line 1", f"expected every column once, got {', '.join(map(repr, twice))} twice"))
    if problems:
        raise BadFile(path.name, problems)
    return head, separator


def _fast_csv(path: Path, head: list[str], separator: str, encoding: str, told: Told) -> pa.Table | None:
    """The rows as text, or None where they need to be looked at one by one."""
    size = max(path.stat().st_size, 1)
    quotes = 0
    with path.open("rb") as file:
        # The fast reader takes a quote that nobody closes for a cell that goes on to the end of the file.
        while block := file.read(BLOCK_BYTES):
            quotes += block.count(b'"')
        if quotes % 2:
            return None
        file.seek(0)
        try:
            reader = pa_csv.open_csv(
                file,
                read_options=pa_csv.ReadOptions(
                    column_names=head, block_size=BLOCK_BYTES, encoding=encoding.replace("-sig", "")
                ),
                parse_options=pa_csv.ParseOptions(delimiter=separator),
                convert_options=pa_csv.ConvertOptions(
                    column_types=dict.fromkeys(head, pa.string()), strings_can_be_null=True, null_values=[""]
                ),
            )
            batches = []
            for batch in reader:
                batches.append(batch)
                told(min(file.tell() / size, 1.0))
        except pa.ArrowInvalid:
            return None
    return pa.Table.from_batches(batches).slice(1)  # the head line, which gave the names


def _slow_csv(path: Path, head: list[str], separator: str, encoding: str) -> pa.Table:
    problems = []
    columns: list[list[str]] = [[] for _ in head]
    for line, cells in _csv_rows(path, separator, encoding):
        if len(cells) != len(head):
            problems.append(Problem(f"line {line}", f"expected {len(head)} cells, got {len(cells)}"))
            continue
        for column, cell in zip(columns, cells, strict=True):
            column.append(cell)
    if problems:
        raise BadFile(path.name, problems)
    return pa.table([pa.array(column[1:], pa.string()) for column in columns], names=head)


def _csv_rows(path: Path, separator: str, encoding: str) -> Iterator[tuple[int, list[str]]]:
    """Every row that is not blank, the head too, with the line it begins on."""
    csv.field_size_limit(FIELD_MAX)
    begins = 1
    with path.open(encoding=encoding, newline="") as file:
        reader = csv.reader(file, strict=True, delimiter=separator)
        try:
            for cells in reader:
                # A quoted cell may hold line ends: the row begins after the row before it.
                line, begins = begins, reader.line_num + 1
                if cells:
                    yield line, cells
        except csv.Error as error:
            raise BadFile(path.name, [Problem(f"line {begins}", f"expected CSV: {error}")]) from error
        except UnicodeDecodeError as error:
            raise BadFile(path.name, [Problem(f"line {begins}", _not_text(encoding, error))]) from error


def _not_text(encoding: str, error: UnicodeDecodeError) -> str:
    found = error.object[error.start : error.end].hex()
    return f"expected text in {encoding.replace('-sig', '')}, got the bytes {found} (--encoding names another)"


# ── Parquet ─────────────────────────────────────────────────────────────────────────────────────────


def _read_parquet(path: Path, told: Told, needed: Sequence[str]) -> Cells:
    try:
        with pq.ParquetFile(path) as file:
            batches = []
            rows = max(file.metadata.num_rows, 1)
            for batch in file.iter_batches(BATCH_ROWS):
                batches.append(batch)
                told(sum(one.num_rows for one in batches) / rows)
            table = pa.Table.from_batches(batches, file.schema_arrow)
    except pa.ArrowInvalid as error:
        raise BadFile(path.name, [Problem("the file", f"expected Parquet: {error}")]) from error
    table = table.rename_columns([name.strip().lower() for name in table.column_names])
    if not set(needed) & set(table.column_names):
        told_of = f"expected a column named {' or '.join(needed)}, got {', '.join(table.column_names)}"
        raise BadFile(path.name, [Problem("the file", told_of)])
    if table.num_rows == 0:
        raise BadFile(path.name, [Problem("the file", "expected rows, got none")])
    return Cells(path.name, _texts(path.name, table), table.num_rows, "row", "column")


def _texts(name: str, table: pa.Table) -> dict[str, pa.Array]:
    """Every column as trimmed text, null where it is empty."""
    return {column: _text(name, column, table.column(column)) for column in table.column_names}


def _text(name: str, column: str, values: pa.ChunkedArray) -> pa.Array:
    if pa.types.is_dictionary(values.type):
        values = pc.cast(values, values.type.value_type)
    if pa.types.is_nested(values.type):
        return pa.array(
            [None if value is None else _json_text(value) for value in values.to_pylist()], pa.string()
        )
    if not pa.types.is_string(values.type):
        # Numbers as their shortest decimal text: 0.1 stays 0.1, whatever the float beneath it.
        try:
            values = pc.cast(values, pa.string())
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise BadFile(name, [Problem(f"column {column}", f"expected text or numbers: {error}")]) from error
    trimmed = pc.utf8_trim_whitespace(values)
    emptied = pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.string()), trimmed)
    return emptied.combine_chunks() if isinstance(emptied, pa.ChunkedArray) else emptied


# ── Case files ──────────────────────────────────────────────────────────────────────────────────────


def _read_case(path: Path) -> Cells:
    try:
        # Numbers stay the text they were written as: no digit of a cost goes through a float.
        case = json.loads(path.read_text(encoding="utf-8-sig"), parse_float=str, parse_int=str)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BadFile(path.name, [Problem("the file", f"expected JSON: {error}")]) from error
    movements = case.get("movements") if isinstance(case, dict) else case
    if not isinstance(movements, list) or not movements:
        complaint = "expected a list of movements, or an object whose key movements holds one"
        raise BadFile(path.name, [Problem("the file", complaint)])
    if wrong := [row for row, movement in enumerate(movements, 1) if not isinstance(movement, dict)]:
        raise BadFile(path.name, [Problem(f"movement {row}", "expected an object") for row in wrong])
    method = case.get("method") if isinstance(case, dict) else None
    return cells_of(path.name, movements, method)


def cells_of(name: str, movements: Iterable[dict[str, Any]], method: str | None = None) -> Cells:
    """The cells of a case: movements as objects, values as texts (numbers only where no digit can be lost)."""
    rows = list(_apart(movements))
    keys = dict.fromkeys(key for row in rows for key in row)
    columns = {
        key.strip().lower(): pa.array([_json_text(row.get(key)) for row in rows], pa.string()) for key in keys
    }
    columns.setdefault("type", pa.nulls(len(rows), pa.string()))
    return Cells(name, columns, len(rows), "movement", "key", method=method)


def _apart(movements: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """A movement that holds actual and standard as objects is one of each."""
    for movement in movements:
        if isinstance(movement.get("actual"), dict) and isinstance(movement.get("standard"), dict):
            rest = {key: value for key, value in movement.items() if key not in ("actual", "standard", "type")}
            yield {"type": "actual", **rest, **movement["actual"]}
            yield {"type": "standard", **rest, **movement["standard"]}
        else:
            yield movement


def _json_text(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value.strip() or None
    return json.dumps(value, ensure_ascii=False)
