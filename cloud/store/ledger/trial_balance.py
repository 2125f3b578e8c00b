"""What a trial balance is made of: the chart, sums of turnovers, what stock was worth on a day. Rows ↔ values."""

from dataclasses import dataclass
from datetime import date

import psycopg
from psycopg.rows import class_row

from cloud.domain.ledger.trial_balance import Account, Sums
from cloud.store.sql import statement

NOUN = "trial_balance"


@dataclass(frozen=True, slots=True)
class StockAt:
    """What the cost entries of one account's pools come to, minor units."""

    account_id: int
    valuation: int


def accounts(connection: psycopg.Connection, company_id: int) -> list[Account]:
    """The chart."""
    with connection.cursor(row_factory=class_row(Account)) as cursor:
        return cursor.execute(statement(NOUN, "accounts"), {"company": company_id}).fetchall()


def sums(
    connection: psycopg.Connection,
    company_id: int,
    first: int,
    last: int,
    by_dimension: bool = False,
    by_currency: bool = False,
) -> list[Sums]:
    """Turnovers before and within the periods `first` … `last` (yyyymm), by account."""
    where = {
        "company": company_id,
        "first": first,
        "last": last,
        "by_dimension": by_dimension,
        "by_currency": by_currency,
    }
    with connection.cursor(row_factory=class_row(Sums)) as cursor:
        return cursor.execute(statement(NOUN, "sums"), where).fetchall()


def days(connection: psycopg.Connection, company_id: int, first: int, last: int) -> tuple[date, date] | None:
    """The days that these periods run over; None where one of them is not in the calendar."""
    where = {"company": company_id, "first": first, "last": last}
    row = connection.execute(statement(NOUN, "days"), where).fetchone()
    return None if row is None else (row[0], row[1])


def stock_at(connection: psycopg.Connection, company_id: int, day: date) -> list[StockAt]:
    """What stock was worth at the end of a day, by account; reads every cost entry of the company."""
    with connection.cursor(row_factory=class_row(StockAt)) as cursor:
        return cursor.execute(statement(NOUN, "stock_at"), {"company": company_id, "day": day}).fetchall()
