"""Which pools must be costed again, and from where: the marks that a booking leaves for re-costing.

Booking costs what it is given in the order of arrival. Where the order of the world says otherwise, where a cost was
not final when goods carried it on, or where a pool borrowed a cost that another learned later, the pool is marked
with the moment from which re-costing has to look again. In comes a Booking; out come moments by pool.

A mark is (pools, times), index into the locked pools and µs since 1970-01-01 UTC, one for each reason to look again;
the earliest of a pool counts.
"""

import numpy as np
import psycopg
from numpy.typing import NDArray

from cloud.domain.costing import kernels
from cloud.domain.costing.methods import PERIODIC
from cloud.domain.costing.pools import Op
from cloud.domain.movement import Kind
from cloud.flows.booking import Booking
from cloud.store import costs
from cloud.store.originals import load_returned

NONE = kernels.NONE
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]
Cursor = psycopg.Cursor
Mark = tuple[Int64, Int64]

_DAY_US = 86_400_000_000
_FOREVER = np.iinfo(np.int64).max


def newest_us(booking: Booking) -> Int64:
    """The latest moment of each pool. What a receipt learned later belongs to the receipt's own."""
    rows = booking.rows
    newest = booking.state.newest_us.copy()
    for pool in (rows.src, rows.dst):
        there = np.flatnonzero((pool != NONE) & (rows.op != Op.VALUE_AT))
        np.maximum.at(newest, pool[there], booking.records.occurred_us[there])
    return newest


def late_from_us(cursor: Cursor, booking: Booking, in_settled_period: Bool) -> Int64:
    """The place from which each pool must be costed again, or NONE: now at rest, or as it was marked before.

    in_settled_period  bool[r], rows whose posting period has its periodic prices already
    """
    before = booking.state.late_from_us
    late = np.where(before == NONE, _FOREVER, before)
    for pools, times in (
        *_late_rows(booking, in_settled_period),
        _open_edges(booking),
        _returns_without_cost(booking),
        _values_and_settlements(booking),
        _costs_that_travelled_on(cursor, booking),
        *_first_costs(booking),
        *_lent_costs(cursor, booking),
    ):
        np.minimum.at(late, pools, times)
    return np.where(late == _FOREVER, NONE, late)


def _late_rows(booking: Booking, in_settled_period: Bool) -> list[Mark]:
    """Rows that came after others which happened later, or into a period that has its price already."""
    rows, occurred = booking.rows, booking.records.occurred_us
    periodic = np.isin(booking.costed.pools.method, list(PERIODIC))
    found = []
    for pool in (rows.src, rows.dst):
        there = np.flatnonzero(pool != NONE)
        at = pool[there]
        late = occurred[there] <= booking.state.newest_us[at]
        if in_settled_period.any():
            late |= periodic[at] & in_settled_period[there]
        found.append((at[late], occurred[there[late]]))
    return found


def _open_edges(booking: Booking) -> Mark:
    """Goods that carried a cost which was not yet final."""
    rows = booking.rows
    carried = np.flatnonzero(booking.costed.open)
    pool = np.where(rows.src[carried] == NONE, rows.dst[carried], rows.src[carried])
    return pool, booking.records.occurred_us[carried]


def _returns_without_cost(booking: Booking) -> Mark:
    """Goods that came back of an issue on the books which has no cost: at rest they have none either, whatever their
    pool or their item costs by now."""
    rows = booking.rows
    unknown = (rows.op == Op.RETURN_IN) & (rows.ref == NONE) & (rows.ref_qty == 0) & (rows.own == NONE)
    back = np.flatnonzero(unknown)
    return rows.dst[back], booking.records.occurred_us[back]


def _values_and_settlements(booking: Booking) -> Mark:
    """Value events, at the place of the receipt that they concern; settlements, before their period begins."""
    plan, pools, times = booking.plan, [], []
    for row in booking.event_rows.tolist():
        if booking.rows.op[row] == Op.VALUE_AT:
            times.append(plan.named_at_us(int(booking.row[row])))
        elif booking.records.kind[row] == Kind.PERIOD_SETTLEMENT:
            period = int(plan.events.period[booking.row[row] - len(plan.moves)])
            times.append(_before_period_us(period) if period else int(booking.records.occurred_us[row]))
        else:
            continue
        pools.append(int(booking.rows.dst[row]))
    return np.array(pools, np.int64), np.array(times, np.int64)


def _before_period_us(period: int) -> int:
    """A moment before the period (yyyymm) in any time zone."""
    first = np.datetime64(f"{period // 100:04}-{period % 100:02}-01", "D").astype(np.int64)
    return (int(first) - 1) * _DAY_US


def _costs_that_travelled_on(cursor: Cursor, booking: Booking) -> Mark:
    """Costs that became known when they had travelled on: by transfer, by return, or with goods sold since."""
    entries, sources = booking.costed.entries, booking.sources
    adjusting = booking.adjusting()
    if len(adjusting) == 0:
        return adjusting, adjusting
    layer = entries.layer[adjusting]
    travelled = (sources.step[layer] == 1) | (
        sources.counter[layer] == booking.plan.chart.accounts["price_difference"]
    )
    makers = [bytes(sources.movement_id[one].tobytes()) for one in layer[~travelled].tolist()]
    back = load_returned(cursor, booking.batch.company, makers)
    travelled[~travelled] = [one in back for one in makers]
    return entries.pool[adjusting[travelled]], sources.occurred_us[layer[travelled]]


def _first_costs(booking: Booking) -> list[Mark]:
    """Pools that know their first cost now and had goods before: those are worth it, wherever they went."""
    before, after = booking.state.pools.last_qty, booking.costed.pools.last_qty
    learned = np.flatnonzero((before == 0) & (after > 0) & (booking.state.newest_us > 0))
    found = [(learned, np.zeros(len(learned), np.int64))]
    uncosted = np.flatnonzero(booking.costed.uncosted)
    for pool in (booking.rows.src[uncosted], booking.rows.dst[uncosted]):
        known = (pool != NONE) & (after[pool] > 0)
        found.append((pool[known], booking.records.occurred_us[uncosted[known]]))
    return found


# ── Costs that pools lend each other ────────────────────────────────────────────────────────────────
# A pool without a cost of its own borrows the last known one of its item, from whichever pool paid it.


def note_costs_lent(cursor: Cursor, booking: Booking) -> None:
    """Write until when pools borrowed, and from when their items' costs are; the next batches' marks ask for it."""
    row, pool = _borrowing(booking)
    occurred = booking.records.occurred_us
    costs.note_borrowed(cursor, booking.batch, booking.costed.pools.pool_id[pool], occurred[row])
    priced: dict[int, int] = {}
    paid = _paid(booking)
    items = _item_of(booking, booking.rows.dst[paid])
    for item, at in zip(items.tolist(), occurred[paid].tolist(), strict=True):
        priced[item] = max(at, priced.get(item, at))
    costs.price_items(cursor, booking.batch, priced)


def _lent_costs(cursor: Cursor, booking: Booking) -> list[Mark]:
    """Where the order of arrival is not that of the world across the pools of an item: a cost from before what
    another pool borrowed since, or borrowing from before the cost that is known."""
    rows, occurred = booking.rows, booking.records.occurred_us
    paid = _paid(booking)
    borrowing, pool = _borrowing(booking)
    touched = _item_of(booking, np.concatenate([rows.dst[paid], pool]))
    lent = costs.lent_costs(cursor, booking.batch, np.unique(touched).tolist())
    nothing = (NONE, NONE)
    priced = np.array([lent.get(one, nothing)[0] for one in touched.tolist()], np.int64)
    until = np.array([lent.get(one, nothing)[1] for one in touched[: len(paid)].tolist()], np.int64)
    late = paid[(occurred[paid] <= until) | _sets_back(booking, paid, priced[: len(paid)], pool)]
    early = occurred[borrowing] <= priced[len(paid) :]
    return [(rows.dst[late], occurred[late]), (pool[early], occurred[borrowing[early]])]


def _sets_back(booking: Booking, paid: Int64, priced: Int64, borrowing_pool: Int64) -> Bool:
    """Costs older than the one that is known, which nevertheless counts for what this batch borrows, or stays."""
    item = _item_of(booking, booking.rows.dst[paid])
    older: Bool = booking.records.occurred_us[paid] < priced
    newest = np.isin(item, item[~older])
    return older & (np.isin(item, _item_of(booking, borrowing_pool)) | ~newest)


def _item_of(booking: Booking, pool: Int64) -> Int64:
    """item_id of each pool."""
    return booking.costed.last_costs.item_id[booking.costed.pools.item[pool]]


def _paid(booking: Booking) -> Int64:
    """Rows that brought goods with a price, which is what their item costs from then on."""
    rows = booking.rows
    return np.flatnonzero((rows.own != NONE) & (rows.dst != NONE) & (rows.op < Op.VALUE_AT))


def _borrowing(booking: Booking) -> tuple[Int64, Int64]:
    """(row, pool) of goods that came or went without a cost while their pool had none of its own."""
    rows = booking.rows
    without = booking.state.pools.last_qty == 0
    nothing = np.zeros(0, np.int64)
    if not without.any():
        return nothing, nothing
    # From the first receipt with a price on, a pool has a cost of its own.
    first = np.full(len(without), len(rows))
    paid = _paid(booking)
    np.minimum.at(first, rows.dst[paid], paid)
    goods = rows.op < Op.VALUE_AT
    gives = np.flatnonzero(goods & (rows.src != NONE))
    takes = np.flatnonzero(goods & (rows.src == NONE) & (rows.dst != NONE) & (rows.own == NONE))
    row = np.concatenate([gives, takes])
    pool = np.concatenate([rows.src[gives], rows.dst[takes]])
    borrows = without[pool] & (row < first[pool])
    return row[borrows], pool[borrows]
