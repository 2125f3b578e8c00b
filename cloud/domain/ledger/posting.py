"""From costed movements to journal lines, by array operations: who is debited, who is credited, how much.

The pool leg of an entry is the change of its pool's rounded value. A leg with an amount of its own (an order
price, an invoice, a credit note) is posted at that amount, rounded once; a leg without one takes the pool legs'
amount. What the entry then lacks goes to one account more in the same entry: that of the variance where the
difference has a name, else the rounding account.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

POOL = "pool"  # the role that stands for the account of the movement's cost pool
NONE = -1
ABSENT = -(2**62)  # no amount of its own; amounts are signed and never that large

Int64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PostingRule:
    """(kind, item class, site, reason, counterparty class) → roles and dimension set. None matches anything."""

    kind: int
    item_class: str | None
    site_id: int | None
    debit_role: str
    credit_role: str
    priority: int
    reason: str | None = None
    party_class: str | None = None
    dimension_id: int = 0  # of the leg opposite the pool, unless the movement names one

    def matches(self, kind: int, item_class: str, site_id: int, reason: str = "", party_class: str = "") -> bool:
        """Whether this rule covers such a movement or value event."""
        return (
            self.kind == kind
            and self.item_class in (None, item_class)
            and self.site_id in (None, site_id)
            and self.reason in (None, reason)
            and self.party_class in (None, party_class)
        )

    @property
    def counter_role(self) -> str | None:
        """The role opposite the pool; None when both sides are pools."""
        return next((role for role in (self.debit_role, self.credit_role) if role != POOL), None)


def rule_for(
    rules: Sequence[PostingRule], kind: int, item_class: str, site_id: int, reason: str = "", party_class: str = ""
) -> PostingRule | None:
    """The matching rule of the highest priority; `rules` come in falling priority."""
    return next((rule for rule in rules if rule.matches(kind, item_class, site_id, reason, party_class)), None)


@dataclass(frozen=True, slots=True)
class Lines:
    """Journal lines, k rows, ordered by entry. `entry` counts entries 0 … from 0; no line is of nothing.

    entry, amount    int64[k]; amounts in minor units, debit positive
    account          int64[k], target: account and dimension set (cloud.domain.ledger.target)
    cost_step        int64[k], step of the cost entry whose posted amount it is, or NONE
    currency         int64[k], ISO 4217 number of the document's currency, 0 where it is the company's own
    currency_amount  int64[k], the same in minor units of that currency
    """

    entry: Int64
    account: Int64
    amount: Int64
    cost_step: Int64
    currency: Int64
    currency_amount: Int64

    @classmethod
    def of(cls, entry: Int64, account: Int64, amount: Int64, cost_step: Int64) -> "Lines":
        """Lines in the company's own currency."""
        nothing = np.zeros(len(entry), np.int64)
        return cls(entry, account, amount, cost_step, nothing, nothing)

    @property
    def number(self) -> Int64:
        """1-based number of each line within its entry."""
        if len(self.entry) == 0:
            return self.entry
        first = np.searchsorted(self.entry, self.entry, side="left")
        return np.arange(len(self.entry)) - first + 1


@dataclass(frozen=True, slots=True)
class Foreign:
    """What n entries come to in their document's currency, beside the own amount of their counter leg.

    currency  int64[n], ISO 4217 number, 0 for the company's own;  amount  int64[n], its minor units, as own_amount
    """

    currency: Int64
    amount: Int64


def post(
    src_account: Int64, src_posted: Int64, dst_account: Int64, dst_posted: Int64,
    counter_account: Int64, own_amount: Int64, rest_account: Int64, foreign: Foreign | None = None,
) -> Lines:  # fmt: skip
    """Lines of n entries; accounts are NONE where a leg is absent, own_amount ABSENT where there is none.

    own_amount   that of the counter leg, opposite the pool leg: positive for goods that cost something. The counter
                 leg of an entry with two pool legs is absent by construction (a transfer posts pool to pool)
    rest_account takes what the other legs leave open
    foreign      where the document is in another currency, both legs say so; the rest is the company's own affair
    """
    n = len(src_account)
    pools = np.where(src_account != NONE, src_posted, 0) + np.where(dst_account != NONE, dst_posted, 0)
    # A counter leg with an amount of its own stands on the side opposite the goods: credit for a receipt.
    own_signed = np.where(dst_account != NONE, -own_amount, own_amount)
    counter = np.where(own_amount == ABSENT, -pools, own_signed)
    counter = np.where(counter_account == NONE, 0, counter)
    rest = -(pools + counter)
    entry = np.tile(np.arange(n), 4)
    account = np.concatenate([src_account, dst_account, counter_account, rest_account])
    amount = np.concatenate(
        [
            np.where(src_account != NONE, src_posted, 0),
            np.where(dst_account != NONE, dst_posted, 0),
            counter,
            rest,
        ]
    )
    step = np.concatenate([np.full(n, 0), np.full(n, 1), np.full(2 * n, NONE)])
    if foreign is None:
        return _ordered(Lines.of(entry, account, amount, step))
    told = np.where(counter_account == NONE, 0, foreign.amount)
    signed = np.where(dst_account != NONE, -told, told)
    nothing = np.zeros(n, np.int64)
    there = np.where(counter_account == NONE, 0, foreign.currency)
    of_src, of_dst = (np.where(leg != NONE, -signed, 0) for leg in (src_account, dst_account))
    at_src, at_dst = (np.where(leg != NONE, there, 0) for leg in (src_account, dst_account))
    return _ordered(
        Lines(
            entry, account, amount, step,
            np.concatenate([at_src, at_dst, there, nothing]),
            np.concatenate([of_src, of_dst, signed, nothing]),
        )
    )  # fmt: skip


def post_adjustments(pool_account: Int64, posted: Int64, counter_account: Int64, step: Int64) -> Lines:
    """Lines of n adjusting entries: the pool's change, and the account that the corrected entry used."""
    n = len(posted)
    return _ordered(
        Lines.of(
            np.tile(np.arange(n), 2),
            np.concatenate([pool_account, counter_account]),
            np.concatenate([posted, -posted]),
            np.concatenate([step, np.full(n, NONE)]),
        )
    )


def post_allowances(entry: Int64, allowance_account: int, posted: Int64, counter_account: Int64) -> Lines:
    """Lines for changes of allowances: what it grows by is credited to it and debited to the account opposite."""
    n = len(entry)
    return _ordered(
        Lines.of(
            np.tile(entry, 2),
            np.concatenate([np.full(n, allowance_account), counter_account]),
            np.concatenate([-posted, posted]),
            np.full(2 * n, NONE),
        )
    )


def _ordered(lines: Lines) -> Lines:
    keep = np.flatnonzero((lines.amount != 0) | (lines.currency_amount != 0))
    # Debits first, as accountants write them; stable, so that the same entry always reads the same.
    order = keep[np.lexsort((lines.amount[keep] < 0, lines.entry[keep]))]
    return Lines(*(getattr(lines, name)[order] for name in Lines.__slots__))


def join(first: Lines, second: Lines, entries_before: int) -> Lines:
    """Both, the second's entries numbered on from `entries_before`."""
    both = {name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in Lines.__slots__}
    return Lines(**both | {"entry": np.concatenate([first.entry, second.entry + entries_before])})


def beside(first: Lines, second: Lines) -> Lines:
    """Both as lines of the same entries."""
    if len(second.entry) == 0:
        return first
    return _ordered(join(first, second, 0))
