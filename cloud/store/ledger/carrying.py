"""What carrying forward must know: the calendar, and what accounts of results stand at."""

from datetime import date
from typing import NamedTuple

import psycopg

from cloud.domain.ledger.carry import Balance
from cloud.domain.ledger.periods import Period
from cloud.store.sql import statement

NOUN = "carrying"
Cursor = psycopg.Cursor


class Result(NamedTuple):
    """A balance of revenue or expense; of_earlier_years: put right now, but not this year's."""

    balance: Balance
    is_revenue: bool
    of_earlier_years: bool


def periods(cursor: Cursor, company_id: int) -> list[Period]:
    """The calendar, in order."""
    return [Period(*row) for row in cursor.execute(statement(NOUN, "periods"), {"company": company_id})]


def year_begins(cursor: Cursor, company_id: int) -> int:
    """The first month of the fiscal year, 1 … 12."""
    row = cursor.execute(statement(NOUN, "year_begins"), {"company": company_id}).fetchone()
    assert row is not None  # noqa: S101  whoever asks has loaded the company
    return int(row[0])


def results(cursor: Cursor, company_id: int, day: date) -> list[Result]:
    """What revenues and expenses stand at when the period that ends on this day is over."""
    rows = cursor.execute(statement(NOUN, "results"), {"company": company_id, "day": day})
    return [
        Result(Balance(account, dimension, amount), kind == "revenue", earlier)
        for account, dimension, kind, earlier, amount in rows
    ]


def standing(cursor: Cursor, company_id: int, role: str, day: date) -> tuple[int, list[Balance]] | None:
    """(account of the role, its balances by dimension set then); None where the chart has none."""
    rows = cursor.execute(
        statement(NOUN, "standing"), {"company": company_id, "role": role, "day": day}
    ).fetchall()
    if not rows:
        return None
    return int(rows[0][0]), [Balance(account, dimension or 0, amount) for account, dimension, amount in rows]
