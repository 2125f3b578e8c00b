"""`tallygate ledger rates load COMPANY FILE.csv`: exchange rates of a bank or an authority, all rows or none.

Columns: date (2026-11-22), currency, rate, source, units. A rate is the company's currency for one unit of the other;
with `units` for so many (central banks quote yen by the hundred). An inverse file quotes the other way round: the
other currency for one of the company's, or for `units` of it. Rows without a source are from the source that is named
for the file.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import psycopg

from cloud.domain.currency import RATE_DIGITS, RateTooSmall, UnknownCurrency, inverse, number_of, per_units
from cloud.domain.decimals import NotADecimal, parse_scaled
from cloud.flows.answer_once import CannotRecord
from cloud.flows.ledger.rates import record_rates
from cloud.imports.csv_file import BadCell, BadFile, Problem, Row, read_values
from cloud.imports.import_items import known_company
from cloud.store.ledger.rates import Known

NEEDED = ("date", "currency", "rate")
OPTIONAL = ("source", "units")
UNITS_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class RatesImported:
    """How many rates the file had, and how many of them the books did not know."""

    company: str
    rates: int
    added: int


def read_rates(
    path: Path, source: str = "", *, inverted: bool = False, encoding: str = "utf-8-sig"
) -> list[tuple[Row, Known]]:
    """source: of rows that name none. Raises BadFile, OSError."""
    rows = read_values(path, NEEDED, OPTIONAL, lambda row: _rate(row, source, inverted), encoding)
    first: dict[tuple[int, date, str], int] = {}
    problems = []
    for row, rate in rows:
        if (line := first.setdefault((rate.currency, rate.day, rate.source), row.line)) != row.line:
            problems.append(Problem(row.line, "", f"line {line} has the rate of that day and source already"))
    if problems:
        raise BadFile(path, problems)
    return rows


def import_rates(
    connection: psycopg.Connection,
    path: Path,
    company_code: str,
    source: str,
    by: str,
    *,
    inverted: bool = False,
    encoding: str = "utf-8-sig",
) -> RatesImported:
    """Record the file's rates. Raises BadFile, UnknownCode, OSError, psycopg.Error."""
    company = known_company(connection, company_code)
    rows = read_rates(path, source, inverted=inverted, encoding=encoding)
    try:
        added = record_rates(connection, company.company_id, [rate for _, rate in rows], by)
    except CannotRecord as error:
        if error.row is None:
            raise BadFile(path, [Problem(1, "", error.reason)]) from error
        raise BadFile(path, [Problem(rows[error.row][0].line, error.field, error.reason)]) from error
    return RatesImported(company_code, len(rows), len(added))


def _rate(row: Row, source: str, inverted: bool) -> Known:
    return Known(_currency(row), _day(row), _nano(row, inverted), row["source"] or source)


def _currency(row: Row) -> int:
    try:
        return number_of(row.needed("currency").upper())
    except UnknownCurrency as error:
        raise BadCell("currency", str(error)) from error


def _day(row: Row) -> date:
    text = row.needed("date")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadCell("date", f"expected a day such as 2026-11-22, got {text!r}") from None


def _nano(row: Row, inverted: bool) -> int:
    told, units = _number(row, "rate", RATE_DIGITS), _number(row, "units", 0) if row["units"] else 1
    if told == 0:
        raise BadCell("rate", "expected more than 0, got 0")
    if not 1 <= units <= UNITS_MAX:
        raise BadCell("units", f"expected 1 … {UNITS_MAX}, got {units}")
    try:
        return inverse(told, units) if inverted else per_units(told, units)
    except RateTooSmall as error:
        raise BadCell("rate", str(error)) from error


def _number(row: Row, column: str, digits: int) -> int:
    try:
        return parse_scaled(row.needed(column), digits)
    except NotADecimal as error:
        raise BadCell(column, str(error)) from error
