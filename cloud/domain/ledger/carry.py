"""Carrying balances forward: entries that bring accounts to nought and their sum to another account.

Amounts are minor units of the company's currency, debit positive. What stands on an account already includes what
was carried before, so a second run of the same balances finds only the difference.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Balance:
    """What an account stands at for one dimension set (0: none); as a line: by how much it is changed."""

    account_id: int
    dimension_id: int
    amount: int


def close_into(balances: Iterable[Balance], account_id: int, lines_max: int) -> Iterator[list[Balance]]:
    """Entries of up to `lines_max` (≥ 2) lines that bring each balance to nought and put their sum on `account_id`.

    Each entry balances by itself. A balance of nothing makes no line, and a sum of nothing none either.
    """
    standing = [one for one in balances if one.amount]
    for first in range(0, len(standing), lines_max - 1):
        part = standing[first : first + lines_max - 1]
        lines = [Balance(one.account_id, one.dimension_id, -one.amount) for one in part]
        if total := sum(one.amount for one in part):
            lines.append(Balance(account_id, 0, total))
        yield lines


def total(entries: Iterable[Sequence[Balance]], account_id: int) -> int:
    """What these entries change an account by."""
    return sum(line.amount for entry in entries for line in entry if line.account_id == account_id)
