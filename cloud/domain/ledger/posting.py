"""From costed movements to journal lines, by array operations: who is debited, who is credited, how much.

The pool leg of an entry is the change of its pool's rounded value. A leg with an amount of its own (an order
price) is posted at that amount, rounded once; a leg without one takes the pool legs' amount. What the entry
then lacks goes to the rounding account in the same entry.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

POOL = "pool"  # the role that stands for the account of the movement's cost pool
NONE = -1

Int64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PostingRule:
    """(kind, item class, site) → roles. None matches anything."""

    kind: int
    item_class: str | None
    site_id: int | None
    debit_role: str
    credit_role: str
    priority: int

    def matches(self, kind: int, item_class: str, site_id: int) -> bool:
        """Whether this rule covers such a movement."""
        return self.kind == kind and self.item_class in (None, item_class) and self.site_id in (None, site_id)

    @property
    def counter_role(self) -> str | None:
        """The role opposite the pool; None when both sides are pools."""
        return next((role for role in (self.debit_role, self.credit_role) if role != POOL), None)


def rule_for(rules: Sequence[PostingRule], kind: int, item_class: str, site_id: int) -> PostingRule | None:
    """The matching rule of the highest priority; `rules` come in falling priority."""
    return next((rule for rule in rules if rule.matches(kind, item_class, site_id)), None)


@dataclass(frozen=True, slots=True)
class Lines:
    """Journal lines, k rows, ordered by entry. `entry` counts entries 0 … from 0; no amount is 0.

    entry, account, amount  int64[k]; amounts in minor units, debit positive
    cost_step               int64[k], step of the cost entry whose posted amount it is, or NONE
    """

    entry: Int64
    account: Int64
    amount: Int64
    cost_step: Int64

    @property
    def number(self) -> Int64:
        """1-based number of each line within its entry."""
        if len(self.entry) == 0:
            return self.entry
        first = np.searchsorted(self.entry, self.entry, side="left")
        return np.arange(len(self.entry)) - first + 1


def post(
    src_account: Int64, src_posted: Int64, dst_account: Int64, dst_posted: Int64,
    counter_account: Int64, own_amount: Int64, rounding_account: int,
) -> Lines:  # fmt: skip
    """Lines of n entries; accounts are NONE where a leg is absent, own_amount NONE where there is none.

    own_amount is that of the counter leg, unsigned: it stands opposite the pool leg. The counter leg of an
    entry with two pool legs is absent by construction (a transfer posts pool to pool).
    """
    n = len(src_account)
    pools = np.where(src_account != NONE, src_posted, 0) + np.where(dst_account != NONE, dst_posted, 0)
    # A counter leg with an amount of its own stands on the side opposite the goods: credit for a receipt.
    own_signed = np.where(dst_account != NONE, -own_amount, own_amount)
    counter = np.where(own_amount == NONE, -pools, own_signed)
    counter = np.where(counter_account == NONE, 0, counter)
    rounding = -(pools + counter)
    entry = np.arange(n)
    account = np.concatenate([src_account, dst_account, counter_account, np.full(n, rounding_account)])
    amount = np.concatenate(
        [
            np.where(src_account != NONE, src_posted, 0),
            np.where(dst_account != NONE, dst_posted, 0),
            counter,
            rounding,
        ]
    )
    step = np.concatenate([np.full(n, 0), np.full(n, 1), np.full(2 * n, NONE)])
    return _ordered(np.tile(entry, 4), account, amount, step)


def post_adjustments(pool_account: Int64, posted: Int64, counter_account: Int64, step: Int64) -> Lines:
    """Lines of n adjusting entries: the pool's change, and the account that the corrected entry used."""
    n = len(posted)
    return _ordered(
        np.tile(np.arange(n), 2),
        np.concatenate([pool_account, counter_account]),
        np.concatenate([posted, -posted]),
        np.concatenate([step, np.full(n, NONE)]),
    )


def _ordered(entry: Int64, account: Int64, amount: Int64, step: Int64) -> Lines:
    keep = np.flatnonzero(amount != 0)
    # Debits first, as accountants write them; stable, so that the same entry always reads the same.
    order = keep[np.lexsort((amount[keep] < 0, entry[keep]))]
    return Lines(entry[order], account[order], amount[order], step[order])


def join(first: Lines, second: Lines, entries_before: int) -> Lines:
    """Both, the second's entries numbered on from `entries_before`."""
    return Lines(
        np.concatenate([first.entry, second.entry + entries_before]),
        np.concatenate([first.account, second.account]),
        np.concatenate([first.amount, second.amount]),
        np.concatenate([first.cost_step, second.cost_step]),
    )
