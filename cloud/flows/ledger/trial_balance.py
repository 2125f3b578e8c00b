"""The trial balance of some periods, in one snapshot; beside it, where asked for, what stock was worth by its costs."""

from dataclasses import dataclass
from datetime import date

import psycopg

from cloud.domain.ledger.trial_balance import Account, Row, Totals, trial_balance
from cloud.store.ledger import trial_balance as store


@dataclass(frozen=True, slots=True)
class StockTie:
    """An account of stock: its closing balance in the ledger, and what its cost entries come to on the same day."""

    account: Account
    ledger: int
    valuation: int

    @property
    def difference(self) -> int:
        """0 in books whose stock is their ledger."""
        return self.valuation - self.ledger


@dataclass(frozen=True, slots=True)
class TrialBalance:
    """first_day … last_day: of the periods. stock: None where it was not asked for."""

    first_day: date
    last_day: date
    rows: list[Row]
    totals: Totals
    stock: list[StockTie] | None


def read_trial_balance(
    connection: psycopg.Connection,
    company_id: int,
    first: int,
    last: int,
    *,
    by_dimension: bool = False,
    by_currency: bool = False,
    with_stock: bool = False,
) -> TrialBalance:
    """Of periods `first` … `last` (yyyymm), in the caller's snapshot. Raises LookupError where one is unknown."""
    days = store.days(connection, company_id, first, last)
    if days is None or first > last:
        raise LookupError(f"expected periods of the calendar, the first not behind the last, got {first} … {last}")
    chart = store.accounts(connection, company_id)
    sums = store.sums(connection, company_id, first, last, by_dimension, by_currency)
    rows, totals = trial_balance(chart, sums)
    stock = None
    if with_stock:
        closing: dict[int, int] = {}
        for one in sums:
            closing[one.account_id] = closing.get(one.account_id, 0) + one.closing
        by_id = {account.account_id: account for account in chart}
        stock = sorted(
            (
                StockTie(by_id[one.account_id], closing.get(one.account_id, 0), one.valuation)
                for one in store.stock_at(connection, company_id, days[1])
            ),
            key=lambda tie: tie.account.number,
        )
    return TrialBalance(*days, rows, totals, stock)
