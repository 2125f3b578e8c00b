"""What spreading the material cost variance must know: variances, stock and issues at standard cost."""

from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple

import psycopg

from cloud.domain.costing.methods import Method
from cloud.domain.movement import Kind
from cloud.store.sql import statement

NOUN = "variance"
Cursor = psycopg.Cursor

# Goods that leave for good, and what of them comes back.
ISSUES = (
    Kind.SALES_SHIPMENT, Kind.CUSTOMER_RETURN, Kind.SCRAP, Kind.COUNT_LOSS, Kind.UNEXPLAINED_OUT,
    Kind.PRODUCTION_ISSUE, Kind.GROUP_SHIPMENT,
)  # fmt: skip


class Group(NamedTuple):
    """Goods that share a rate: the variance account of their site, and their class (None: nobody knows)."""

    account_id: int
    item_class: str | None


class SpreadPeriod(NamedTuple):
    """A period, and the company's accounting profile."""

    period_id: int
    first_day: date
    last_day: date
    state: str
    profile: str


class Issues(NamedTuple):
    """What a period's issues took, at standard, minor units; role and account of what they went to."""

    group: Group
    site_id: int
    account_id: int | None
    dimension_id: int
    role: str
    writable: bool
    amount: int


def read_period(cursor: Cursor, company_id: int, period_id: int) -> SpreadPeriod | None:
    """The period; None where the calendar has none."""
    row = cursor.execute(statement(NOUN, "period"), {"company": company_id, "period": period_id}).fetchone()
    return None if row is None else SpreadPeriod(period_id, *row)


def variances(cursor: Cursor, company_id: int, period: SpreadPeriod) -> dict[Group, int]:
    """What is to be spread: the variance of each group before this period's own spreads."""
    return {
        Group(account, item_class): amount
        for account, item_class, amount in _rows(cursor, "variances", company_id, period)
    }


def stock(cursor: Cursor, company_id: int, period: SpreadPeriod) -> dict[Group, int]:
    """What is in stock at standard cost when the period is over."""
    return {
        Group(account, item_class): amount
        for account, item_class, amount in _rows(cursor, "stock", company_id, period)
    }


def issues(cursor: Cursor, company_id: int, period: SpreadPeriod) -> list[Issues]:
    """What the period issued, by where it went."""
    return [
        Issues(Group(account, item_class), *rest)
        for account, item_class, *rest in _rows(cursor, "issues", company_id, period)
    ]


def spread_so_far(
    cursor: Cursor, company_id: int, period: SpreadPeriod
) -> dict[Group, dict[tuple[int, int], int]]:
    """What each (account, dimension set) bears of this period's variance by earlier runs."""
    found: dict[Group, dict[tuple[int, int], int]] = {}
    for account, item_class, target, dimension, amount in _rows(cursor, "spread", company_id, period):
        found.setdefault(Group(account, item_class), {})[target, dimension] = amount
    return found


def accounts_of(cursor: Cursor, company_id: int, role: str) -> Mapping[int, int]:
    """{site, 0 for everywhere: account} of a role."""
    return dict(cursor.execute(statement(NOUN, "accounts"), {"company": company_id, "role": role}).fetchall())


def _rows(cursor: Cursor, name: str, company_id: int, period: SpreadPeriod) -> list[tuple[Any, ...]]:
    values = {
        "company": company_id, "period": period.period_id, "first_day": period.first_day,
        "last_day": period.last_day, "standard": int(Method.STANDARD), "kinds": [int(kind) for kind in ISSUES],
    }  # fmt: skip
    return cursor.execute(statement(NOUN, name), values).fetchall()
