"""A booking's journal entries: their heads and lines.

In comes a Booking; out come a record's own entry, then the adjustments it caused to entries of others. Posting's
array operations are in cloud.domain.ledger.posting; here is which account and amount stands opposite the pools.
"""

import numpy as np
from numpy.typing import NDArray

from cloud.domain.costing import kernels
from cloud.domain.costing.methods import Method
from cloud.domain.costing.pools import Op
from cloud.domain.ledger.posting import (
    ABSENT,
    Foreign,
    Lines,
    beside,
    join,
    post,
    post_adjustments,
    post_allowances,
)
from cloud.domain.ledger.target import account_of
from cloud.domain.movement import Kind, Tag
from cloud.domain.rounding import to_minor
from cloud.flows.booking import Booking
from cloud.store.journal import Headers

NONE = kernels.NONE
Int64 = NDArray[np.int64]


def journal(booking: Booking, entry_day: Int64) -> tuple[Headers, Lines]:
    """The entries' heads and lines. entry_day: posting day of each cost entry."""
    entries, pools, n = booking.costed.entries, booking.costed.pools, len(booking.records)
    sources = booking.sources
    adjusting = booking.adjusting()
    layer = entries.layer[adjusting]
    second = post_adjustments(
        pools.account[entries.pool[adjusting]],
        entries.posted[adjusting],
        sources.counter[layer],
        entries.step[adjusting],
    )
    lines = join(beside(_main_lines(booking), _allowance_lines(booking)), second, n)
    # An adjustment is late when the period of what it corrects is locked by now.
    late = np.where(entry_day[adjusting] != sources.day[layer], int(Tag.LATE), 0)
    records, day = booking.records, np.concatenate([booking.day, entry_day[adjusting]])
    move = np.concatenate([np.arange(n), entries.move[adjusting]])
    headers = Headers(
        source=records.record_id[move],
        step=np.concatenate([np.zeros(n, np.int64), entries.step[adjusting]]),
        origin=np.ones(len(move), np.int64),
        kind=records.kind[move],
        day=day,
        period=booking.calendar.postable(day).period,
        tags=np.concatenate([records.tags, late]),
        corrects=np.concatenate([records.corrects, sources.movement_id[layer]]),
        document=[records.document[i] for i in move],
    )
    return headers, lines


def _main_lines(booking: Booking) -> Lines:
    entries, pools, n = booking.costed.entries, booking.costed.pools, len(booking.records)
    leg = [np.full(n, NONE, np.int64) for _ in range(4)]
    for step in (0, 1):
        rows = np.flatnonzero(entries.step == step)
        leg[2 * step][entries.move[rows]] = pools.account[entries.pool[rows]]
        leg[2 * step + 1][entries.move[rows]] = entries.posted[rows]
    foreign = booking.plan.foreign
    if foreign is not None:
        foreign = Foreign(foreign.currency[booking.row], foreign.amount[booking.row])
    return post(
        leg[0], leg[1], leg[2], leg[3], booking.counter, _own_amounts(booking), _rest_accounts(booking), foreign
    )


def _own_amounts(booking: Booking) -> Int64:
    """What stands opposite the goods by its own right."""
    costed = booking.costed
    own = booking.plan.own_amount[booking.row]
    # Goods that come into a pool at standard with a cost that they had elsewhere, such as those of a sale that
    # comes back: that cost is what the other side posted then.
    varies = np.flatnonzero((costed.variance != 0) & (own == ABSENT) & (booking.counter != NONE))
    for row in varies.tolist():
        own[row] = to_minor(int(costed.in_value[row] + costed.variance[row]), booking.batch.company.unit)
    return own


def _rest_accounts(booking: Booking) -> Int64:
    """What takes the difference between an entry's legs: the variance that it is, else rounding."""
    accounts, kind, rows = booking.plan.chart.accounts, booking.records.kind, booking.rows
    costed = booking.costed
    rest = np.full(len(rows), accounts["rounding"])
    at_standard = rows.dst != NONE  # a batch of moves inside one pool has no pools at all
    at_standard[at_standard] = costed.pools.method[rows.dst[at_standard]] == Method.STANDARD
    if at_standard.any():
        of_production = kind == Kind.PRODUCTION_RECEIPT
        rest[at_standard] = np.where(of_production[at_standard], accounts["production_variance"], accounts["ppv"])
    left = np.flatnonzero((costed.left != 0) & ~at_standard)
    if len(left):
        in_work = np.isin(account_of(costed.pools.account[rows.dst[left]]), accounts.all_of("wip"))
        rest[left] = np.where(in_work, accounts["production_variance"], accounts["cogs"])
    credited = (kind == Kind.SUPPLIER_RETURN) & (booking.plan.own_amount[booking.row] != ABSENT)
    rest[credited] = accounts["price_difference"]
    return rest


def _allowance_lines(booking: Booking) -> Lines:
    """A write-down as its rule says; what issues release goes against cost of goods sold."""
    releases, accounts = booking.costed.releases, booking.plan.chart.accounts
    writes_down = booking.rows.op[releases.move] == Op.WRITE_DOWN
    counter = np.where(writes_down, booking.counter[releases.move], accounts["cogs"])
    return post_allowances(releases.move, accounts["allowance"], releases.posted, counter)
