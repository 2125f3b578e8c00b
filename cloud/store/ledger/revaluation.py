"""What revaluing a period's currencies reads: rows ↔ values, nothing else."""

from dataclasses import dataclass
from datetime import date

import psycopg

from cloud.domain.movement import Kind
from cloud.store.sql import statement

NOUN = "revaluation"
Connection = psycopg.Connection | psycopg.Cursor


@dataclass(frozen=True, slots=True)
class PeriodDays:
    """A period's days and state; next_day: the first of the period behind it, None where the calendar ends."""

    first_day: date
    last_day: date
    state: str
    next_day: date | None


@dataclass(frozen=True, slots=True)
class CurrencyBalance:
    """What an account holds of a currency with one dimension set, minor units each, debit positive."""

    account_id: int
    number: str
    dimension_id: int
    currency: int
    currency_balance: int
    balance: int


def period(connection: Connection, company_id: int, period_id: int) -> PeriodDays | None:
    """None: there is no such period."""
    row = connection.execute(statement(NOUN, "period"), {"company": company_id, "period": period_id}).fetchone()
    return None if row is None else PeriodDays(*row)


def balances(connection: Connection, company_id: int, period_id: int) -> list[CurrencyBalance]:
    """Monetary accounts' balances in other currencies at the end of a period."""
    rows = connection.execute(statement(NOUN, "balances"), {"company": company_id, "period": period_id})
    return [CurrencyBalance(*row) for row in rows]


def exchange_accounts(connection: Connection, company_id: int) -> dict[str, int]:
    """account_id of `exchange_gain` and `exchange_loss`; absent where the chart has none."""
    return dict(connection.execute(statement(NOUN, "exchange_accounts"), {"company": company_id}).fetchall())


def times_before(connection: Connection, company_id: int, period_id: int) -> int:
    """How many revaluations of the period are in the books."""
    values = {"company": company_id, "period": period_id, "kind": Kind.CURRENCY_REVALUATION}
    row = connection.execute(statement(NOUN, "before"), values).fetchone()
    assert row is not None  # noqa: S101  an aggregate always has a row
    return int(row[0])
