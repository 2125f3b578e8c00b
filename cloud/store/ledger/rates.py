"""Exchange rates by day and source: rows ↔ values, nothing else. A row is never changed; the newest counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import psycopg

from cloud.store.sql import statement

NOUN = "rates"
Connection = psycopg.Connection | psycopg.Cursor


@dataclass(frozen=True, slots=True)
class Rate:
    """One recorded rate.

    currency   ISO 4217 number;  rate_nano  company's currency for one unit of it, in 10⁻⁹
    link_no    its place in the order in which rates were recorded
    """

    currency: int
    day: date
    source: str
    rate_nano: int
    recorded_at: datetime
    recorded_by: str
    link_no: int


@dataclass(frozen=True, slots=True)
class Known:
    """A rate as it is told: ISO 4217 number, day, 10⁻⁹ of the company's currency for one unit, who says so."""

    currency: int
    day: date
    rate_nano: int
    source: str = ""


def record(connection: Connection, company_id: int, rates: Sequence[Known], by: str) -> list[Rate]:
    """Append those that are new; what was appended. In a transaction: it holds the company's rates to its end."""
    connection.execute(statement(NOUN, "lock"), {"company": company_id})
    values = {
        "company": company_id,
        "by": by,
        "currency": [rate.currency for rate in rates],
        "day": [rate.day for rate in rates],
        "source": [rate.source for rate in rates],
        "rate": [rate.rate_nano for rate in rates],
    }
    return [Rate(*row) for row in connection.execute(statement(NOUN, "record"), values)]


def on_days(
    connection: Connection,
    company_id: int,
    wanted: Sequence[tuple[int, date]],
    source: str | None,
    age_days: int,
    recorded: datetime | None,
) -> dict[tuple[int, date], Rate]:
    """The rate that counts for each (currency, day); absent where none is known that is young enough."""
    values = {
        "company": company_id,
        "currency": [currency for currency, _ in wanted],
        "day": [day for _, day in wanted],
        "source": source,
        "age_days": age_days,
        "recorded": recorded,
    }
    rows = connection.execute(statement(NOUN, "on_days"), values)
    return {(row[0], row[1]): Rate(*row[2:]) for row in rows}


def rates(
    connection: Connection,
    company_id: int,
    after: int,
    limit: int | None,
    *,
    currency: int | None = None,
    source: str | None = None,
    first_day: date | None = None,
    last_day: date | None = None,
    superseded: bool = False,
) -> list[Rate]:
    """Rates behind the place `after`; superseded: also those that a newer row of their day and source replaced."""
    values: dict[str, Any] = {
        "company": company_id,
        "after": after,
        "limit": limit,
        "currency": currency,
        "source": source,
        "first_day": first_day,
        "last_day": last_day,
        "superseded": superseded,
    }
    return [Rate(*row) for row in connection.execute(statement(NOUN, "rates"), values)]


def time_zone(connection: Connection, company_id: int) -> str:
    """In which a company's days begin. Raises LookupError."""
    row = connection.execute(statement(NOUN, "time_zone"), {"company": company_id}).fetchone()
    if row is None:
        raise LookupError(f"no company {company_id}")
    return str(row[0])


def own_source(connection: Connection, company_id: int) -> str:
    """The source that a company has named for its rates; empty: any. Raises LookupError."""
    row = connection.execute(statement(NOUN, "own_source"), {"company": company_id}).fetchone()
    if row is None:
        raise LookupError(f"no company {company_id}")
    return str(row[0])


def set_own_source(connection: Connection, company_id: int, source: str) -> None:
    """Name the source whose rates count from now on; empty: any. Needs the owner's connection."""
    connection.execute(statement(NOUN, "set_own_source"), {"company": company_id, "source": source})
