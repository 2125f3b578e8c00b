"""A plan's rows, costed: against the locked state of their pools, with who made each layer.

In come a Plan and its rows in costing order; out comes a Booking, from which cost, marks and journal are derived
without asking for anything again. Rows that cannot be costed are rejected in the plan, and with them those that
name them. Pools are made and locked here; nothing else is written.
"""

from dataclasses import dataclass

import numpy as np
import psycopg
from numpy.typing import NDArray

from cloud.domain.batch import Batch
from cloud.domain.costing import kernels
from cloud.domain.costing.pools import CannotCost, Costed, Op, Rows, cost, demand_by_pool
from cloud.domain.ledger.periods import Calendar
from cloud.domain.movement import MovementColumns, Tag
from cloud.domain.records import Records
from cloud.domain.value_event import ValueEventColumns
from cloud.flows.booking_plan import Plan
from cloud.store.originals import IssueCost, load_issue_costs
from cloud.store.pool_state import LayerSources, PoolState

NONE = kernels.NONE
Int64 = NDArray[np.int64]
Cursor = psycopg.Cursor


@dataclass(slots=True)
class Booking:
    """A costed batch on its way into the tables. r rows, in costing order.

    row         int64[r], their places in the plan
    event_rows  which of the r rows are value events; `moves` and `events` are the others and these
    state       the pools before;  costed.pools  after;  rows  what the kernel was given
    day         int64[r], posting day since 1970-01-01
    counter     int64[r], account opposite, or NONE
    """

    batch: Batch
    plan: Plan
    row: Int64
    moves: MovementColumns
    events: ValueEventColumns
    event_rows: Int64
    records: Records
    costed: Costed
    rows: Rows
    state: PoolState
    day: Int64
    calendar: Calendar
    counter: Int64
    sources: LayerSources

    @classmethod
    def of(cls, batch: Batch, pools: "LockedPools", keep: Int64, day: Int64, calendar: Calendar) -> "Booking":
        """Cost the rows `keep` of the plan. day: int64[n + k], posting day of every row of the plan."""
        plan, state = pools.plan, pools.state
        keep, costed, rows = _cost(pools, keep)
        n, day = len(plan.moves), day[keep]
        is_event = keep >= n
        moves, events = plan.moves.take(keep[~is_event]), plan.events.take(keep[is_event] - n)
        records = plan.records.take(keep) if len(events) else Records.of(moves, events)
        counter = plan.counter[keep]
        records.tags |= np.where(costed.uncosted, Tag.UNCOSTED, 0)
        # Where a difference goes once the cost is known: the entry's own counter account. A transfer has none; until
        # re-costing follows the goods into the next pool, its difference is shown as a price difference.
        of_layer = np.where(counter == NONE, plan.chart.accounts["price_difference"], counter)
        return cls(
            batch, plan, keep, moves, events, np.flatnonzero(is_event), records, costed, rows, state, day, calendar,
            counter,
            LayerSources.of(state, costed, records, of_layer, day),
        )  # fmt: skip

    def adjusting(self) -> Int64:
        """Cost entries that correct a layer made before."""
        return np.flatnonzero(self.costed.entries.layer != NONE)


@dataclass(frozen=True, slots=True)
class LockedPools:
    """The pools of a plan's rows as they stand, locked, with the layers that the rows need.

    issue_costs  {id: its cost so far} of the issues on the books that returns name
    """

    plan: Plan
    state: PoolState
    issue_costs: dict[bytes, IssueCost]

    @classmethod
    def lock(cls, cursor: Cursor, plan: Plan, keep: Int64) -> "LockedPools":
        """The state of the pools that the kept rows touch."""
        legs = np.unique(np.concatenate([plan.src[keep], plan.dst[keep]]))
        keys = [plan.keys[i] for i in legs[legs != NONE].tolist()]
        returned = plan.stored(keep, Op.RETURN_IN)
        back = [plan.originals[one] for one in returned]
        # The issues' own pools as well: two returns of one issue wait for each other.
        state = PoolState.lock(cursor, plan.company, plan.chart, [*keys, *(one.src for one in back if one.src)])
        pools = cls(plan, state, load_issue_costs(cursor, plan.company, returned))
        src, dst = pools._local(plan.src[keep]), pools._local(plan.dst[keep])
        demand = demand_by_pool(src, plan.qty[keep], len(state.pools.pool_id))
        whole = dst[np.isin(plan.op[keep], (Op.ABSORB, Op.SET_STANDARD, Op.CHANGE_METHOD, Op.FEED))]
        demand[whole[whole != NONE]] = 2 * kernels.QTY_LIMIT
        named = [*plan.stored(keep, Op.RETURN_OUT), *plan.stored(keep, Op.VALUE_AT)]
        state.load_layers(cursor, plan.company, demand, named)
        return pools

    def rows(self, keep: Int64) -> Rows:
        """The kept rows for the kernel."""
        plan = self.plan
        rows = Rows.of(
            len(keep),
            op=plan.op[keep],
            src=self._local(plan.src[keep]),
            dst=self._local(plan.dst[keep]),
            qty=plan.qty[keep],
            own=plan.own[keep],
        )
        naming = np.flatnonzero(np.isin(rows.op, (Op.RETURN_IN, Op.RETURN_OUT, Op.VALUE_AT)))
        if len(naming):
            place = np.full(len(plan.op), NONE, np.int64)
            place[keep] = np.arange(len(keep))
            returned: dict[bytes, int] = {}
            for i in naming.tolist():
                row = int(keep[i])
                if plan.named_row[row] != NONE:
                    rows.ref[i] = place[plan.named_row[row]]
                else:
                    self._refer(rows, i, plan.original_id(row), returned)
        return rows

    def _refer(self, rows: Rows, i: int, original_id: bytes, returned: dict[bytes, int]) -> None:
        """Fill in what a row names that is on the books already. returned: {issue: what of it came back here}."""
        original = self.plan.originals[original_id]
        if rows.op[i] != Op.RETURN_IN:
            pool = int(rows.dst[i] if rows.src[i] == NONE else rows.src[i])
            rows.ref_layer[i] = self.state.made.get((pool, original_id), NONE)
            rows.ref_qty[i] = original.dst_qty
            return
        cost_so_far = self.issue_costs[original_id]
        if cost_so_far.value == 0 and original.is_uncosted:
            return  # nobody knows yet: the pool's known cost until re-costing finds it
        rows.ref_cost[i], rows.ref_qty[i] = cost_so_far.value, original.src_qty
        rows.ref_done[i] = min(cost_so_far.returned + returned.get(original_id, 0), original.src_qty)
        returned[original_id] = returned.get(original_id, 0) + int(rows.qty[i])

    def _local(self, key: Int64) -> Int64:
        """Indexes of the plan's keys as indexes of locked pools."""
        table = np.full(len(self.plan.keys) + 1, NONE, np.int64)  # the last is that of no key
        for i, one in enumerate(self.plan.keys):
            table[i] = self.state.local.get(one, NONE)
        return table[key]


def _cost(pools: LockedPools, keep: Int64) -> tuple[Int64, Costed, Rows]:
    """The rows that can be costed, in order, and what came of them; the others are rejected in the plan."""
    plan, state = pools.plan, pools.state
    while True:
        lost = _orphans(plan, keep)
        if len(lost):
            plan.reject |= dict.fromkeys(keep[lost].tolist(), "what it names could not be booked")
            keep = np.delete(keep, lost)
            continue
        rows = pools.rows(keep)
        try:
            return keep, cost(rows, state.pools, state.layers, state.last_costs), rows
        except CannotCost as error:
            plan.reject[int(keep[error.move])] = (
                f"its cost or the stock it makes passes what the books can hold ({kernels.VALUE_LIMIT} × 10⁻⁶"
                f" {plan.company.currency}, {kernels.QTY_LIMIT} × 10⁻⁶ units)"
            )
            keep = np.delete(keep, error.move)


def _orphans(plan: Plan, keep: Int64) -> Int64:
    """Places in `keep` of rows that name a row of this batch that is not kept."""
    named = plan.named_row[keep]
    return np.flatnonzero((named != NONE) & ~np.isin(named, keep))
