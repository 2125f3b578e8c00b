"""`tallygate import expectations FILE.csv`: what gates may expect, all rows or none, once a file.

Columns: gate, direction (in, out), epc or item, kind (a movement kind's name), party (a code; suppliers and
customers that are new are added), document, price and currency, rate (company's currency per unit of currency;
where they differ and none is told, the one that today takes of those on record), quantity, open_until (ISO 8601;
without a zone it is the company's), note, reason (as posting rules know it), dimensions (cost_centre=A1;project=P7).
The same file content imported again changes nothing.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg

from cloud.domain.catalog import EXPECTED_CROSSINGS, Expectation
from cloud.domain.company import CompanySettings
from cloud.domain.currency import NANO, RATE_DIGITS, UnknownCurrency, number_of
from cloud.domain.decimals import NotADecimal, parse_scaled
from cloud.domain.ledger.dimensions import WrongDimension, parse_set
from cloud.domain.movement import Crossing, Kind
from cloud.flows.expect_goods import WrongDimensions, expect_goods
from cloud.flows.ledger.rates import NoRate, rate_on
from cloud.imports.csv_file import BadCell, BadFile, Problem, Row, read_values
from cloud.imports.import_items import known_company
from cloud.store import master, requests

NEEDED = ("gate", "direction", "kind", "quantity", "open_until")
OPTIONAL = ("epc", "item", "party", "document", "price", "currency", "rate", "note", "reason",
            "dimensions")  # fmt: skip
MICRO_DIGITS = 6


@dataclass(frozen=True, slots=True)
class ExpectationsImported:
    """The expectations of the file. replayed: they were there already."""

    company: str
    expectation_ids: list[int]
    replayed: bool

    def as_json(self) -> dict[str, Any]:
        """For --json."""
        return {"company": self.company, "expectation_ids": self.expectation_ids, "replayed": self.replayed}


def read_expectations(
    path: Path, settings: CompanySettings, rate_today: Callable[[str], int], encoding: str = "utf-8-sig"
) -> list[tuple[Row, Expectation]]:
    """rate_today: by currency, in 10⁻⁹, raises NoRate. Raises BadFile, OSError."""
    return read_values(path, NEEDED, OPTIONAL, lambda row: _expectation(row, settings, rate_today), encoding)


def import_expectations(
    connection: psycopg.Connection, path: Path, company_code: str, encoding: str = "utf-8-sig"
) -> ExpectationsImported:
    """Write the file's expectations in one transaction. Raises BadFile, UnknownCode, OSError, psycopg.Error."""
    company = known_company(connection, company_code)
    today = datetime.now(ZoneInfo(company.settings.time_zone)).date()

    @cache
    def rate_today(code: str) -> int:
        return rate_on(connection, company.company_id, number_of(code), today).rate_nano

    rows = read_expectations(path, company.settings, rate_today, encoding)
    digest = hashlib.sha256(path.read_bytes()).digest()
    key = f"expectations/{digest.hex()}"
    with connection.transaction():
        if (answered := requests.take_key(connection, company.company_id, key)) is not None:
            return ExpectationsImported(company_code, answered[1], replayed=True)
        if problems := _unknown_codes(connection, company.company_id, rows):
            raise BadFile(path, problems)
        try:
            ids = expect_goods(connection, company.company_id, [expected for _, expected in rows], today)
        except WrongDimensions as error:
            raise BadFile(path, [Problem(rows[error.row][0].line, "dimensions", error.why)]) from error
        requests.record_answer(connection, company.company_id, key, digest, ids)
    return ExpectationsImported(company_code, ids, replayed=False)


def _unknown_codes(
    connection: psycopg.Connection, company_id: int, rows: list[tuple[Row, Expectation]]
) -> list[Problem]:
    gates, items = master.gate_ids(connection, company_id), master.item_ids(connection, company_id)
    problems = []
    for row, expected in rows:
        if expected.gate not in gates:
            problems.append(Problem(row.line, "gate", f"the company has no gate {expected.gate!r}"))
        if expected.item_code is not None and expected.item_code not in items:
            problems.append(Problem(row.line, "item", f"the company has no item {expected.item_code!r}"))
    return problems


def _expectation(row: Row, settings: CompanySettings, rate_today: Callable[[str], int]) -> Expectation:
    currency = row["currency"] or (settings.currency if row["price"] else None)
    return Expectation(
        gate=row.needed("gate"),
        direction=_direction(row),
        kind=_kind(row),
        qty_micro=_number(row, "quantity", MICRO_DIGITS),
        open_until=_time(row, settings.time_zone),
        epc=row["epc"].upper() or None,
        item_code=row["item"] or None,
        party=row["party"] or None,
        document=row["document"],
        price_micro=_number(row, "price", MICRO_DIGITS) if row["price"] else None,
        currency=currency,
        rate_nano=_rate(row, currency, settings, rate_today),
        note=row["note"],
        reason=row["reason"],
        dimensions=_dimensions(row),
    )


def _dimensions(row: Row) -> dict[str, str]:
    try:
        return parse_set(row["dimensions"])
    except WrongDimension as error:
        raise BadCell("dimensions", str(error)) from error


def _rate(row: Row, currency: str | None, settings: CompanySettings, rate_today: Callable[[str], int]) -> int:
    if row["rate"]:
        return _number(row, "rate", RATE_DIGITS)
    if currency in (None, settings.currency):
        return NANO
    try:
        return rate_today(currency)
    except UnknownCurrency as error:
        raise BadCell("currency", str(error)) from error
    except NoRate as error:
        raise BadCell("rate", f"expected a rate from {currency} to {settings.currency}: {error.reason}") from error


def _direction(row: Row) -> Crossing:
    names = {"in": Crossing.IN, "out": Crossing.OUT}
    text = row.needed("direction").lower()
    if text not in names:
        raise BadCell("direction", f"expected in or out, got {text!r}")
    return names[text]


def _kind(row: Row) -> Kind:
    names = {kind.name.lower(): kind for kind in EXPECTED_CROSSINGS}
    text = row.needed("kind").lower()
    if text not in names:
        raise BadCell("kind", f"expected one of {', '.join(names)}, got {text!r}")
    return names[text]


def _number(row: Row, column: str, digits: int) -> int:
    try:
        return parse_scaled(row.needed(column), digits)
    except NotADecimal as error:
        raise BadCell(column, str(error)) from error


def _time(row: Row, time_zone: str) -> datetime:
    text = row.needed("open_until")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadCell("open_until", f"expected a time such as 2026-11-30T18:00+08:00, got {text!r}") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=ZoneInfo(time_zone))
