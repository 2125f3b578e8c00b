"""A CSV file with a head line → rows of cells by column name, and problems named by line and column.

A reader of a kind of file turns each row into a value and collects what is wrong, so that a person sees
every bad row at once; with one problem nothing of the file is used.
"""

import csv
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cloud.domain.catalog import WrongMasterData

PROBLEMS_SHOWN = 50  # a file in the wrong form has one for every row
FIELD_MAX = 100_000  # characters; an unclosed quote would otherwise swallow the file

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and where: line is 1-based in the file, column the head's name (or empty)."""

    line: int
    column: str
    complaint: str

    def __str__(self) -> str:
        return f"line {self.line}{f', column {self.column}' if self.column else ''}: {self.complaint}"


class BadFile(ValueError):
    """Rows of the file cannot be used, so nothing of it was."""

    def __init__(self, path: Path, problems: list[Problem]) -> None:
        shown = [f"{path.name}: {problem}" for problem in problems[:PROBLEMS_SHOWN]]
        if len(problems) > PROBLEMS_SHOWN:
            shown.append(f"{path.name}: and {len(problems) - PROBLEMS_SHOWN} more")
        super().__init__("\n".join(shown))
        self.problems = problems


class BadCell(ValueError):
    """One cell of a row cannot be used."""

    def __init__(self, column: str, complaint: str) -> None:
        super().__init__(f"{column}: {complaint}")
        self.column = column
        self.complaint = complaint


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the line it begins on, and its cells without surrounding blanks, by column."""

    line: int
    cells: dict[str, str]

    def __getitem__(self, column: str) -> str:
        """The cell's text; empty where the file has no such column."""
        return self.cells.get(column, "")

    def needed(self, column: str) -> str:
        """The cell's text. Raises BadCell where it is empty."""
        if not (text := self[column]):
            raise BadCell(column, "expected a value, got none")
        return text


def read_values(
    path: Path,
    needed: Iterable[str],
    optional: Iterable[str],
    make: Callable[[Row], Value],
    encoding: str = "utf-8-sig",
) -> list[tuple[Row, Value]]:
    """Every row with the value `make` made of it.

    needed, optional  the columns; their order in the file does not matter, other columns are refused
    make              raises BadCell or WrongMasterData for a row it cannot use
    Raises BadFile with all problems, OSError.
    """
    problems: list[Problem] = []
    values: list[tuple[Row, Value]] = []
    for row in _rows(path, tuple(needed), tuple(optional), encoding, problems):
        try:
            values.append((row, make(row)))
        except (BadCell, WrongMasterData) as error:
            problems.append(Problem(row.line, error.column, error.complaint))
    if not values and not problems:
        problems.append(Problem(1, "", "expected rows after the head line, got none"))
    if problems:
        raise BadFile(path, problems)
    return values


def _rows(
    path: Path, needed: tuple[str, ...], optional: tuple[str, ...], encoding: str, problems: list[Problem]
) -> Iterator[Row]:
    csv.field_size_limit(FIELD_MAX)
    with path.open(encoding=encoding, newline="") as file:
        reader = csv.reader(file, strict=True)
        begins = 1
        try:
            head = [name.strip() for name in next(reader, [])]
            problems += _head_problems(head, needed, optional)
            if problems:
                return
            begins = reader.line_num + 1
            for cells in reader:
                # A quoted cell may hold line ends: the row begins after the row before it.
                line, begins = begins, reader.line_num + 1
                if not any(cell.strip() for cell in cells):
                    continue
                if len(cells) != len(head):
                    problems.append(Problem(line, "", f"expected {len(head)} cells, got {len(cells)}"))
                    continue
                yield Row(line, {name: cell.strip() for name, cell in zip(head, cells, strict=True)})
        except csv.Error as error:
            problems.append(Problem(begins, "", f"expected CSV: {error}"))
        except UnicodeDecodeError as error:
            problems.append(
                Problem(
                    begins, "", f"expected text in {encoding}, got {error.object[error.start : error.end].hex()}"
                )
            )


def _head_problems(head: list[str], needed: tuple[str, ...], optional: tuple[str, ...]) -> Iterator[Problem]:
    allowed = (*needed, *optional)
    for name in needed:
        if name not in head:
            yield Problem(1, name, f"expected columns {', '.join(allowed)}, got {', '.join(head) or 'none'}")
    for i, name in enumerate(head):
        if name not in allowed:
            yield Problem(1, name, f"expected one of {', '.join(allowed)}, got {name!r}")
        elif name in head[:i]:
            yield Problem(1, name, "the column stands there twice")


def twins(rows: Iterable[tuple[Row, str]], column: str) -> list[Problem]:
    """Problems of rows whose text in `column` stands on an earlier row already; empty texts do not count."""
    first: dict[str, int] = {}
    problems = []
    for row, text in rows:
        if text and (line := first.setdefault(text, row.line)) != row.line:
            problems.append(Problem(row.line, column, f"{text!r} stands on line {line} already"))
    return problems
