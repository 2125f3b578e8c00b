"""Voucher numbers: given by a function of the database, read in their order."""

from typing import NamedTuple

import psycopg
from psycopg.rows import class_row

from cloud.store.feeds import EntryRow
from cloud.store.sql import statement

NOUN = "vouchers"


class Number(NamedTuple):
    """A place in a period's numbers; `("", 0)` is before them all."""

    word: str
    number: int

    @classmethod
    def of(cls, voucher: str) -> "Number":
        """From a number as it is shown: 记-12."""
        word, _, number = voucher.rpartition("-")
        return cls(word, int(number))


def number(connection: psycopg.Connection, company_id: int, period_id: int | None) -> int:
    """How many entries got a number."""
    row = connection.execute(statement(NOUN, "number"), {"company": company_id, "period": period_id}).fetchone()
    assert row is not None  # noqa: S101  a function always answers
    return int(row[0])


def companies_that_wait(connection: psycopg.Connection) -> list[int]:
    """Companies that have something to number."""
    return [row[0] for row in connection.execute(statement(NOUN, "companies_that_wait"))]


def unnumbered(connection: psycopg.Connection, company_id: int, period_id: int) -> int:
    """How many entries of a period have no number yet."""
    where = {"company": company_id, "period": period_id}
    row = connection.execute(statement(NOUN, "unnumbered"), where).fetchone()
    assert row is not None  # noqa: S101  an aggregate always has a row
    return int(row[0])


def in_order(
    connection: psycopg.Connection,
    company_id: int,
    period_id: int,
    after: Number,
    limit: int,
    only: str | None = None,
) -> list[EntryRow]:
    """Up to `limit` numbered entries of a period behind a number; `only`: of this word."""
    where = {
        "company": company_id, "period": period_id, "word": after.word, "number": after.number, "limit": limit,
        "only": only,
    }  # fmt: skip
    with connection.cursor(row_factory=class_row(EntryRow)) as cursor:
        return cursor.execute(statement(NOUN, "in_order"), where).fetchall()
