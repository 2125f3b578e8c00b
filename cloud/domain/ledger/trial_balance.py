"""A trial balance: what each account had, what came and went, and what it has, headers with all that is below them.

Amounts are integers of minor units, debit positive. What goes in are sums of turnovers; nothing is rounded, so that
the totals are 0 to the cent or the books are wrong.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Account:
    """An account of the chart; parent_id 0: at the top. is_header: it sums its sub-accounts."""

    account_id: int
    number: str
    name_zh: str
    name_en: str
    account_type: str
    is_header: bool
    parent_id: int


@dataclass(frozen=True, slots=True)
class Sums:
    """Turnovers of one account, of one dimension set and currency where it is asked for by these.

    opening, debit, credit           minor units of the company's currency
    dimension                        code, "" for none or where not asked for
    currency                         code, "" for the company's own or where not asked for; digits behind its point
    currency_opening, _debit, _credit  minor units of that currency
    """

    account_id: int
    dimension: str
    currency: str
    digits: int
    opening: int
    debit: int
    credit: int
    currency_opening: int = 0
    currency_debit: int = 0
    currency_credit: int = 0

    @property
    def closing(self) -> int:
        """What the account has at the end."""
        return self.opening + self.debit - self.credit

    @property
    def currency_closing(self) -> int:
        """The same in the currency's minor units."""
        return self.currency_opening + self.currency_debit - self.currency_credit


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the trial balance; level 0 stands at the top."""

    account: Account
    level: int
    sums: Sums


@dataclass(frozen=True, slots=True)
class Totals:
    """All accounts together, headers left out: debits are the credits, opening and closing are 0."""

    opening: int
    debit: int
    credit: int

    @property
    def closing(self) -> int:
        """0 in books that balance."""
        return self.opening + self.debit - self.credit

    @property
    def agree(self) -> bool:
        """Whether the books balance."""
        return self.opening == 0 == self.closing


def trial_balance(accounts: Iterable[Account], found: Iterable[Sums]) -> tuple[list[Row], Totals]:
    """(rows in the order of numbers, headers before what is below them; totals); none for accounts without turnover.

    Raises LookupError where sums are of an account that is not there, ValueError where a header lies below itself.
    """
    by_id = {account.account_id: account for account in accounts}
    above = {account_id: _above(by_id, account_id) for account_id in by_id}
    sums = list(found)
    gathered: dict[tuple[int, str, str], list[int]] = {}
    digits: dict[str, int] = {}
    for one in sums:
        digits[one.currency] = one.digits
        for account_id in (one.account_id, *above[one.account_id]):
            total = gathered.setdefault((account_id, one.dimension, one.currency), [0] * 6)
            for at, amount in enumerate(_amounts(one)):
                total[at] += amount
    rows = [
        Row(
            by_id[account_id],
            len(above[account_id]),
            Sums(account_id, dimension, currency, digits[currency], *total),
        )
        for (account_id, dimension, currency), total in gathered.items()
    ]
    rows.sort(key=lambda row: (_path(by_id, above, row.account), row.sums.dimension, row.sums.currency))
    return rows, Totals(sum(s.opening for s in sums), sum(s.debit for s in sums), sum(s.credit for s in sums))


def _amounts(one: Sums) -> tuple[int, ...]:
    return (one.opening, one.debit, one.credit, one.currency_opening, one.currency_debit, one.currency_credit)


def _above(by_id: dict[int, Account], account_id: int) -> Sequence[int]:
    """The headers above an account, nearest first."""
    found: list[int] = []
    while parent := by_id[account_id].parent_id:
        if parent in found:
            raise ValueError(f"account {by_id[parent].number} lies below itself")
        found.append(parent)
        account_id = parent
    return found


def _path(by_id: dict[int, Account], above: dict[int, Sequence[int]], account: Account) -> list[str]:
    return [by_id[one].number for one in reversed((account.account_id, *above[account.account_id]))]
