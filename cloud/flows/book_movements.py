"""Goods, cost and money of a batch of movements and value events, in the caller's transaction: the one path to the
books.

`book` takes them as columns, puts them in one order, costs them in one pass against the pools' locked state,
derives the journal lines and writes everything. What cannot be booked comes back with its reason and leaves no
trace in the books.
"""

from dataclasses import dataclass

import numpy as np
import psycopg
from numpy.typing import NDArray

from cloud.domain.batch import Batch, Company
from cloud.domain.costing import kernels
from cloud.domain.costing.methods import PERIODIC, Method
from cloud.domain.costing.pools import CannotCost, Costed, Op, Rows, cost, demand_by_pool
from cloud.domain.ledger.chart import Chart, PoolKey
from cloud.domain.ledger.periods import Calendar, NoOpenPeriod
from cloud.domain.ledger.posting import (
    ABSENT,
    Lines,
    beside,
    join,
    post,
    post_adjustments,
    post_allowances,
)
from cloud.domain.movement import Kind, MovementColumns, Tag
from cloud.domain.records import Records
from cloud.domain.rounding import OVERFLOW, muldiv_columns, round_ratio, to_minor
from cloud.domain.value_event import (
    RANK_CORRECTION,
    RANK_ISSUE,
    RANK_RECEIPT,
    RANK_TRANSFER,
    ValueEventColumns,
    ranks,
)
from cloud.store.costs import (
    lent_costs,
    note_borrowed,
    price_items,
    write_allowances,
    write_cost_entries,
    write_layers,
    write_links,
    write_pools,
    write_value_events,
)
from cloud.store.goods import add_balances, write_movements
from cloud.store.journal import Headers, hold_calendar, write_entries
from cloud.store.originals import (
    IssueCost,
    Original,
    load_issue_costs,
    load_originals,
    load_pool_keys,
    load_returned,
)
from cloud.store.pool_state import LayerSources, PoolState, load_chart, settled_periods

NONE = kernels.NONE
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]
Cursor = psycopg.Cursor

# Kinds whose document's price is a cost; the price of a sale or of its return is not.
_PRICED = (Kind.PURCHASE_RECEIPT, Kind.OPENING_STOCK)
# Kinds whose document's price is what is posted opposite the goods: order, opening list, credit note.
_POSTED_AT_PRICE = (*_PRICED, Kind.SUPPLIER_RETURN)

_OP_OF_EVENT = {
    Kind.PRICE_CORRECTION: Op.VALUE_AT,
    Kind.LANDED_COST: Op.VALUE_AT,
    Kind.LABOUR: Op.ABSORB,
    Kind.OVERHEAD: Op.ABSORB,
    Kind.REVALUATION: Op.ABSORB,
    Kind.WRITE_DOWN: Op.WRITE_DOWN,
    Kind.STANDARD_CHANGE: Op.SET_STANDARD,
    Kind.METHOD_CHANGE: Op.CHANGE_METHOD,
    # Recorded, and its pool is marked: re-costing finds the price. At once it writes down nothing.
    Kind.PERIOD_SETTLEMENT: Op.WRITE_DOWN,
}
_DAY_US = 86_400_000_000
_FOREVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Booked:
    """rejected: {source_row of a movement or event: reason}; rows: source_row of the movements in the order booked."""

    rejected: dict[int, str]
    rows: Int64


def book(cursor: Cursor, batch: Batch, moves: MovementColumns, events: ValueEventColumns | None = None) -> Booked:
    """Write movements and value events to goods, cost and money, ordered together by time.

    Raises psycopg.Error; what cannot be booked is not an error but a row of `rejected`. Callers who send both
    number the `source_row`s apart.
    """
    events = ValueEventColumns.empty() if events is None else events
    source_row = np.concatenate([moves.source_row, events.source_row])
    plan = _Plan.of(cursor, batch.company, moves, events)
    calendar = hold_calendar(cursor, batch.company)
    try:
        dates = calendar.posting_dates(plan.records.occurred_us)
    except NoOpenPeriod as error:
        return Booked(dict.fromkeys(source_row.tolist(), str(error)), moves.source_row[:0])
    for row in np.flatnonzero(dates.missing):
        plan.reject.setdefault(int(row), "no period covers its day: extend the company's calendar")

    keep = plan.order()
    state = plan.lock(cursor, keep)
    keep, costed, rows = _cost(plan, state, keep)
    booking = _Booking.of(batch, plan, keep, costed, rows, state, dates.day[keep], calendar)
    booking.records.tags |= np.where(dates.moved[keep], Tag.LATE, 0)
    booking.write(cursor, np.isin(dates.period[keep], settled_periods(cursor, batch.company)))
    rejected = {int(source_row[row]): reason for row, reason in plan.reject.items()}
    return Booked(rejected, booking.moves.source_row)


# ── What is to be done ──────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class _Plan:
    """n movements, then k value events, as rows before they are ordered: int64[n + k] unless told otherwise.

    records     what cost and journal have in common with all of them
    keys        distinct pools;  src, dst  index into keys or NONE
    counter     account opposite, or NONE
    op          Op;  own  the kernel's own value
    own_amount  ledger amount of the counter leg, or ABSENT
    named_row   the row of this batch that it names (a return: what it returns; an event: its receipt), or NONE
    originals   {id: movement on the books} of those that are not in this batch
    reject      {row: why it cannot be booked}
    """

    company: Company
    chart: Chart
    moves: MovementColumns
    events: ValueEventColumns
    records: Records
    keys: list[PoolKey]
    src: Int64
    dst: Int64
    counter: Int64
    op: Int64
    qty: Int64
    own: Int64
    own_amount: Int64
    named_row: Int64
    originals: dict[bytes, Original]
    issue_costs: dict[bytes, IssueCost]
    reject: dict[int, str]

    @classmethod
    def of(cls, cursor: Cursor, company: Company, moves: MovementColumns, events: ValueEventColumns) -> "_Plan":
        """From the columns and what the books know of what they name."""
        named_row, missing = _named(moves, events)
        originals = load_originals(cursor, company, missing)
        pools = load_pool_keys(cursor, company, set(events.pool[events.pool != NONE].tolist()))
        chart = load_chart(
            cursor,
            company,
            np.concatenate([moves.from_id, moves.to_id, events.location[events.location != 0]]),
            np.concatenate([moves.item, events.item[events.item != 0]]),
            [*pools.values(), *(key for one in originals.values() for key in (one.src, one.dst) if key)],
        )
        legs = chart.legs(moves)
        own, own_amount = own_values(moves, company)
        # NONE and OVERFLOW are the same number: only a price that is a cost can overflow.
        for row in np.flatnonzero((own == OVERFLOW) & (moves.price != NONE) & np.isin(moves.kind, _PRICED)):
            legs.reject.setdefault(int(row), "quantity × price passes what the books can hold")
        own = np.where((legs.src == NONE) & (legs.dst != NONE), own, NONE)
        op = np.where(moves.kind == Kind.PRODUCTION_ISSUE, int(Op.FEED), int(Op.MOVE))
        plan = cls(
            company, chart, moves, events, Records.of(moves, events), legs.keys, legs.src, legs.dst, legs.counter, op,
            moves.qty, own, own_amount, named_row, originals, {}, legs.reject,
        )  # fmt: skip
        plan._name_returns()
        if len(events):
            plan._add_events(pools)
        return plan

    def order(self) -> Int64:
        """Rows in costing order: time; within an instant by rank; then gateway, epoch, seq. Rejected rows left out."""
        moves, events, n = self.moves, self.events, len(self.moves)
        rank = np.where(
            self.src[:n] == NONE, RANK_RECEIPT, np.where(self.dst[:n] != NONE, RANK_TRANSFER, RANK_ISSUE)
        )
        if moves.corrects.any():
            takes_back = moves.corrects.any(axis=1) & (moves.corrects != moves.movement_id).any(axis=1)
            rank[takes_back] = RANK_CORRECTION
        gateway, seq, epoch = moves.gateway, moves.seq, moves.epoch
        if len(events):
            rank = np.concatenate([rank, ranks(events.kind)])
            nothing = np.zeros(len(events), np.int64)
            gateway, seq = np.concatenate([gateway, nothing]), np.concatenate([seq, nothing])
            epoch = np.concatenate([epoch, events.event_id])
        epoch = np.ascontiguousarray(epoch).view(">u8")
        order = np.lexsort((seq, epoch[:, 1], epoch[:, 0], gateway, rank, self.records.occurred_us))
        if not self.reject:
            return order
        return order[~np.isin(order, np.fromiter(self.reject, np.int64, len(self.reject)))]

    def lock(self, cursor: Cursor, keep: Int64) -> PoolState:
        """The state of the pools that the kept rows touch, with the layers that they need."""
        legs = np.unique(np.concatenate([self.src[keep], self.dst[keep]]))
        keys = [self.keys[i] for i in legs[legs != NONE].tolist()]
        back = [self.originals[one] for one in self._stored(keep, Op.RETURN_IN)]
        # The issues' own pools as well: two returns of one issue wait for each other.
        state = PoolState.lock(cursor, self.company, self.chart, [*keys, *(one.src for one in back if one.src)])
        self.issue_costs = load_issue_costs(cursor, self.company, self._stored(keep, Op.RETURN_IN))
        src, dst = self._local(state, self.src[keep]), self._local(state, self.dst[keep])
        demand = demand_by_pool(src, self.qty[keep], len(state.pools.pool_id))
        whole = dst[np.isin(self.op[keep], (Op.ABSORB, Op.SET_STANDARD, Op.CHANGE_METHOD, Op.FEED))]
        demand[whole[whole != NONE]] = 2 * kernels.QTY_LIMIT
        named = [*self._stored(keep, Op.RETURN_OUT), *self._stored(keep, Op.VALUE_AT)]
        state.load_layers(cursor, self.company, demand, named)
        return state

    def rows(self, state: PoolState, keep: Int64) -> Rows:
        """The kept rows for the kernel."""
        rows = Rows.of(
            len(keep),
            op=self.op[keep],
            src=self._local(state, self.src[keep]),
            dst=self._local(state, self.dst[keep]),
            qty=self.qty[keep],
            own=self.own[keep],
        )
        naming = np.flatnonzero(np.isin(rows.op, (Op.RETURN_IN, Op.RETURN_OUT, Op.VALUE_AT)))
        if len(naming):
            place = np.full(len(self.op), NONE, np.int64)
            place[keep] = np.arange(len(keep))
            returned: dict[bytes, int] = {}
            for i in naming.tolist():
                row = int(keep[i])
                if self.named_row[row] != NONE:
                    rows.ref[i] = place[self.named_row[row]]
                else:
                    self._refer(rows, i, self._original_id(row), state, returned)
        return rows

    def orphans(self, keep: Int64) -> Int64:
        """Places in `keep` of rows that name a row of this batch that is not kept."""
        named = self.named_row[keep]
        return np.flatnonzero((named != NONE) & ~np.isin(named, keep))

    def named_at_us(self, row: int) -> int:
        """When the receipt of a value event came."""
        if self.named_row[row] != NONE:
            return int(self.records.occurred_us[self.named_row[row]])
        return self.originals[self._original_id(row)].occurred_us

    def _refer(self, rows: Rows, i: int, original_id: bytes, state: PoolState, returned: dict[bytes, int]) -> None:
        """Fill in what a row names that is on the books already."""
        original = self.originals[original_id]
        if rows.op[i] != Op.RETURN_IN:
            rows.ref_layer[i] = state.made.get(
                (int(rows.dst[i] if rows.src[i] == NONE else rows.src[i]), original_id), NONE
            )
            rows.ref_qty[i] = original.dst_qty
            return
        cost_so_far = self.issue_costs[original_id]
        if cost_so_far.value == 0 and original.is_uncosted:
            return  # nobody knows yet: the pool's known cost until re-costing finds it
        rows.ref_cost[i], rows.ref_qty[i] = cost_so_far.value, original.src_qty
        rows.ref_done[i] = min(cost_so_far.returned + returned.get(original_id, 0), original.src_qty)
        returned[original_id] = returned.get(original_id, 0) + int(rows.qty[i])

    def _stored(self, keep: Int64, op: Op) -> list[bytes]:
        """Ids that kept rows of this op name and that are on the books already."""
        rows = keep[(self.op[keep] == op) & (self.named_row[keep] == NONE)]
        return [self._original_id(row) for row in rows.tolist()]

    def _original_id(self, row: int) -> bytes:
        n = len(self.moves)
        one = self.moves.original[row] if row < n else self.events.original[row - n]
        return bytes(one.tobytes())

    def _local(self, state: PoolState, key: Int64) -> Int64:
        """Indexes of keys as indexes of locked pools."""
        table = np.full(len(self.keys) + 1, NONE, np.int64)  # the last is that of no key
        for i, one in enumerate(self.keys):
            table[i] = state.local.get(one, NONE)
        return table[key]

    def _name_returns(self) -> None:
        """Returns that name what they return are costed by it."""
        for row in np.flatnonzero(self.moves.original.any(axis=1)).tolist():
            kind, src, dst = self.moves.kind[row], self.src[row], self.dst[row]
            if kind == Kind.CUSTOMER_RETURN and src == NONE and dst != NONE:
                self._name(row, Op.RETURN_IN)
            elif kind == Kind.SUPPLIER_RETURN and src != NONE and dst == NONE:
                self._name(row, Op.RETURN_OUT)

    def _name(self, row: int, op: Op) -> None:
        named, item = int(self.named_row[row]), int(self.moves.item[row])
        if named != NONE:
            named_item = int(self.moves.item[named])
            has_leg = (self.src if op == Op.RETURN_IN else self.dst)[named] != NONE
        else:
            original = self.originals.get(self._original_id(row))
            if original is None:
                self.reject.setdefault(row, "what it returns is not on the books")
                return
            named_item, has_leg = original.item, (original.src if op == Op.RETURN_IN else original.dst) is not None
        if named_item != item:
            self.reject.setdefault(row, f"it returns item {item}, but what it names moved item {named_item}")
        elif not has_leg:
            went = "took no goods out of stock" if op == Op.RETURN_IN else "brought no goods into stock"
            self.reject.setdefault(row, f"what it returns {went}")
        else:
            self.op[row] = op

    def _add_events(self, pools: dict[int, PoolKey]) -> None:
        """The events' rows behind the movements'."""
        events, n, k = self.events, len(self.moves), len(self.events)
        index = {key: i for i, key in enumerate(self.keys)}
        dst, counter = np.full(k, NONE, np.int64), np.full(k, NONE, np.int64)
        op = np.array([_OP_OF_EVENT.get(Kind(kind), NONE) for kind in events.kind.tolist()], np.int64)
        for row in range(k):
            key = self._key_of_event(row, pools)
            if op[row] == NONE:
                key = f"kind {events.kind[row]} is none of a value event that can be booked"
            if isinstance(key, str):
                self.reject[n + row] = key
                continue
            dst[row] = index.setdefault(key, len(index))
            if events.kind[row] != Kind.PERIOD_SETTLEMENT:
                counter[row], why = self.chart.event_leg(int(events.kind[row]), key, events.reason[row])
                if why is not None:
                    self.reject[n + row] = why
        amount = np.full(k, ABSENT, np.int64)
        paid = np.isin(op, (Op.VALUE_AT, Op.ABSORB))
        amount[paid] = [to_minor(value, self.company.unit) for value in events.value[paid].tolist()]
        nothing = np.full(k, NONE, np.int64)
        self.keys = list(index)
        self.src, self.dst = np.concatenate([self.src, nothing]), np.concatenate([self.dst, dst])
        self.counter, self.op = np.concatenate([self.counter, counter]), np.concatenate([self.op, op])
        self.qty = np.concatenate([self.qty, np.zeros(k, np.int64)])
        self.own = np.concatenate([self.own, events.value])
        self.own_amount = np.concatenate([self.own_amount, amount])

    def _key_of_event(self, row: int, pools: dict[int, PoolKey]) -> PoolKey | str:
        """The pool that an event concerns; a text: why there is none."""
        events, n = self.events, len(self.moves)
        if events.original[row].any():
            named = int(self.named_row[n + row])
            if named != NONE:
                found = None if self.dst[named] == NONE else self.keys[self.dst[named]]
            else:
                original = self.originals.get(self._original_id(n + row))
                if original is None:
                    return "the receipt that it names is not on the books"
                found = original.dst
            return found or "what it names brought no goods into stock"
        if events.pool[row] != NONE:
            return pools.get(int(events.pool[row]), f"no cost pool {events.pool[row]}")
        item, location, lot = (int(column[row]) for column in (events.item, events.location, events.lot))
        return self.chart.pool_at(item, location, lot) or "there is no stock at its location"


def _named(moves: MovementColumns, events: ValueEventColumns) -> tuple[Int64, list[bytes]]:
    """(Row of this batch that each row names or NONE, ids that must be on the books already)."""
    original = np.concatenate([moves.original, events.original]) if len(events) else moves.original
    named = np.full(len(original), NONE, np.int64)
    naming = np.flatnonzero(original.any(axis=1))
    if len(naming) == 0:
        return named, []
    here = {bytes(one.tobytes()): row for row, one in enumerate(moves.movement_id)}
    missing = []
    for row in naming.tolist():
        original_id = bytes(original[row].tobytes())
        if original_id in here:
            named[row] = here[original_id]
        else:
            missing.append(original_id)
    return named, missing


def own_values(moves: MovementColumns, company: Company) -> tuple[Int64, Int64]:
    """Price × quantity × rate as a cost value (10⁻⁶) and as a ledger amount (minor units), each rounded once."""
    value = moves.value.copy()
    amount = np.full(len(moves), ABSENT, np.int64)
    priced = (moves.price != NONE) & np.isin(moves.kind, _POSTED_AT_PRICE)
    costs = np.isin(moves.kind, _PRICED)
    home = priced & (moves.rate == 1_000_000_000)
    if home.any():
        price, qty = moves.price[home], moves.qty[home]
        value[home] = np.where(costs[home], muldiv_columns(price, qty, np.full(len(qty), 1_000_000)), value[home])
        amount[home] = muldiv_columns(price, qty, np.full(len(qty), 1_000_000 * company.unit))
    for row in np.flatnonzero(priced & ~home):
        # Three factors need more than 128 bits; foreign prices are few, and Python's integers are exact.
        product = int(moves.price[row]) * int(moves.qty[row]) * int(moves.rate[row])
        if costs[row]:
            value[row] = _bounded(round_ratio(product, 10**15))
        amount[row] = _bounded(round_ratio(product, 10**15 * company.unit))
    return value, amount


def _bounded(value: int) -> int:
    return value if value < kernels.VALUE_LIMIT else OVERFLOW


def _cost(plan: _Plan, state: PoolState, keep: Int64) -> tuple[Int64, Costed, Rows]:
    """The rows that can be costed, in order, and what came of them; the others are rejected in the plan."""
    while True:
        lost = plan.orphans(keep)
        if len(lost):
            plan.reject |= dict.fromkeys(keep[lost].tolist(), "what it names could not be booked")
            keep = np.delete(keep, lost)
            continue
        rows = plan.rows(state, keep)
        try:
            return keep, cost(rows, state.pools, state.layers, state.last_costs), rows
        except CannotCost as error:
            plan.reject[int(keep[error.move])] = (
                f"its cost or the stock it makes passes what the books can hold ({kernels.VALUE_LIMIT} × 10⁻⁶"
                f" {plan.company.currency}, {kernels.QTY_LIMIT} × 10⁻⁶ units)"
            )
            keep = np.delete(keep, error.move)


# ── What came of it ─────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class _Booking:
    """A costed batch on its way into the tables. r rows, `row` their places in the plan."""

    batch: Batch
    plan: _Plan
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
    def of(
        cls, batch: Batch, plan: _Plan, keep: Int64, costed: Costed, rows: Rows, state: PoolState, day: Int64,
        calendar: Calendar,
    ) -> "_Booking":  # fmt: skip
        """What was costed, with who made each layer."""
        n = len(plan.moves)
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

    def write(self, cursor: Cursor, in_settled_period: Bool) -> None:
        """Goods, then cost, then money, in that order."""
        batch, moves, records, costed = self.batch, self.moves, self.records, self.costed
        moves.tags = records.tags if not len(self.events) else np.delete(records.tags, self.event_rows)
        batch.moved += len(moves)
        if len(moves):
            batch.hashed.append(write_movements(cursor, batch, moves))
            add_balances(cursor, batch.company, moves)
        self._write_events(cursor)
        entry_day = self._entry_days()
        write_cost_entries(
            cursor, batch, records, costed, self._entry_corrects(), self._entry_counters(), entry_day
        )
        write_allowances(cursor, batch, records, costed, self.day)
        write_links(cursor, batch, records, costed, self.sources)
        write_layers(cursor, batch, costed, self.state, self.sources)
        late_from_us = self._late_from(cursor, in_settled_period)
        write_pools(cursor, batch, costed, self.state, self._newest(), late_from_us)
        self._note_borrowed(cursor)
        headers, lines = self._journal(entry_day)
        write_entries(cursor, batch, records, headers, lines, self.calendar)

    def _write_events(self, cursor: Cursor) -> None:
        if not len(self.events):
            return
        pool = self.rows.dst[self.event_rows]
        items = [self.plan.keys[key][1] for key in self.plan.dst[self.row[self.event_rows]].tolist()]
        self.events.item[:] = items  # of the pool, where the event named only that or a receipt
        write_value_events(cursor, self.batch, self.events, self.costed.pools.pool_id[pool])

    # ── Cost entries ──

    def _adjusting(self) -> Int64:
        return np.flatnonzero(self.costed.entries.layer != NONE)

    def _entry_days(self) -> Int64:
        """Each cost entry's posting day: its record's, or the corrected entry's while that day is not locked."""
        entries = self.costed.entries
        day = self.day[entries.move].copy()
        if len(adjusting := self._adjusting()):
            day[adjusting] = self.calendar.postable(self.sources.day[entries.layer[adjusting]]).day
        return day

    def _entry_corrects(self) -> NDArray[np.uint8]:
        """What each entry corrects: the movement that made the layer, or the receipt of a value event."""
        entries = self.costed.entries
        corrects = np.zeros((len(entries.move), 16), np.uint8)
        for row in self.event_rows.tolist():
            corrects[entries.move == row] = self.records.corrects[row]
        adjusting = self._adjusting()
        corrects[adjusting] = self.sources.movement_id[entries.layer[adjusting]]
        return corrects

    def _entry_counters(self) -> Int64:
        """The account opposite each entry; NONE where that is another pool."""
        entries = self.costed.entries
        counter = self.counter[entries.move].copy()
        adjusting = self._adjusting()
        counter[adjusting] = self.sources.counter[entries.layer[adjusting]]
        return counter

    # ── Marks for re-costing ──

    def _newest(self) -> Int64:
        """The latest moment of each pool. What a receipt learned later belongs to the receipt's own."""
        newest = self.state.newest_us.copy()
        for pool in (self.rows.src, self.rows.dst):
            there = np.flatnonzero((pool != NONE) & (self.rows.op != Op.VALUE_AT))
            np.maximum.at(newest, pool[there], self.records.occurred_us[there])
        return newest

    def _late_from(self, cursor: Cursor, in_settled_period: Bool) -> Int64:
        """The place from which each pool must be costed again, or NONE: now at rest, or as it was marked before."""
        late = np.where(self.state.late_from_us == NONE, _FOREVER, self.state.late_from_us)
        for pools, times in (
            *self._late_rows(in_settled_period),
            *self._late_edges(),
            *self._late_values(),
            *self._late_settlements(cursor),
            *self._first_costs(),
            *self._lent_costs(cursor),
        ):
            np.minimum.at(late, pools, times)
        return np.where(late == _FOREVER, NONE, late)

    def _late_rows(self, in_settled_period: Bool) -> list[tuple[Int64, Int64]]:
        """Rows that came after others which happened later, or into a period that has its price already."""
        rows, occurred = self.rows, self.records.occurred_us
        periodic = np.isin(self.costed.pools.method, list(PERIODIC))
        found = []
        for pool in (rows.src, rows.dst):
            there = np.flatnonzero(pool != NONE)
            at = pool[there]
            late = occurred[there] <= self.state.newest_us[at]
            if in_settled_period.any():
                late |= periodic[at] & in_settled_period[there]
            found.append((at[late], occurred[there[late]]))
        return found

    def _late_edges(self) -> list[tuple[Int64, Int64]]:
        """Goods that carried a cost which was not yet final."""
        carried = np.flatnonzero(self.costed.open)
        pool = np.where(self.rows.src[carried] == NONE, self.rows.dst[carried], self.rows.src[carried])
        return [(pool, self.records.occurred_us[carried])]

    def _late_values(self) -> list[tuple[Int64, Int64]]:
        """Value events, at the place of the receipt that they concern; settlements, before their period begins."""
        pools, times = [], []
        for row in self.event_rows.tolist():
            if self.rows.op[row] == Op.VALUE_AT:
                times.append(self.plan.named_at_us(int(self.row[row])))
            elif self.records.kind[row] == Kind.PERIOD_SETTLEMENT:
                times.append(
                    self._before_period(int(self.plan.events.period[self.row[row] - len(self.plan.moves)]), row)
                )
            else:
                continue
            pools.append(int(self.rows.dst[row]))
        return [(np.array(pools, np.int64), np.array(times, np.int64))]

    def _before_period(self, period: int, row: int) -> int:
        """A moment before the period (yyyymm) in any time zone; the event's own where it names none."""
        if period == 0:
            return int(self.records.occurred_us[row])
        first = np.datetime64(f"{period // 100:04}-{period % 100:02}-01", "D").astype(np.int64)
        return (int(first) - 1) * _DAY_US

    def _late_settlements(self, cursor: Cursor) -> list[tuple[Int64, Int64]]:
        """Costs that became known when they had travelled on: by transfer, by return, or with goods sold since."""
        entries, sources = self.costed.entries, self.sources
        adjusting = self._adjusting()
        if len(adjusting) == 0:
            return []
        layer = entries.layer[adjusting]
        travelled = (sources.step[layer] == 1) | (
            sources.counter[layer] == self.plan.chart.accounts["price_difference"]
        )
        makers = [bytes(sources.movement_id[one].tobytes()) for one in layer[~travelled].tolist()]
        back = load_returned(cursor, self.batch.company, makers)
        travelled[~travelled] = [one in back for one in makers]
        return [(entries.pool[adjusting[travelled]], sources.occurred_us[layer[travelled]])]

    def _first_costs(self) -> list[tuple[Int64, Int64]]:
        """Pools that know their first cost now and had goods before: those are worth it, wherever they went."""
        before, after = self.state.pools.last_qty, self.costed.pools.last_qty
        learned = np.flatnonzero((before == 0) & (after > 0) & (self.state.newest_us > 0))
        found = [(learned, np.zeros(len(learned), np.int64))]
        uncosted = np.flatnonzero(self.costed.uncosted)
        for pool in (self.rows.src[uncosted], self.rows.dst[uncosted]):
            known = (pool != NONE) & (after[pool] > 0)
            found.append((pool[known], self.records.occurred_us[uncosted[known]]))
        return found

    def _lent_costs(self, cursor: Cursor) -> list[tuple[Int64, Int64]]:
        """Where the order of arrival is not that of the world across the pools of an item: a cost from before what
        another pool borrowed since, or borrowing from before the cost that is known."""
        rows, occurred = self.rows, self.records.occurred_us
        paid = self._paid()
        borrowing, pool = self._borrowing()
        touched = np.concatenate([rows.dst[paid], pool])
        lent = lent_costs(cursor, self.batch, np.unique(self._item(touched)).tolist())
        nothing = (NONE, NONE)
        priced = np.array([lent.get(one, nothing)[0] for one in self._item(touched).tolist()], np.int64)
        until = np.array([lent.get(one, nothing)[1] for one in self._item(rows.dst[paid]).tolist()], np.int64)
        late = paid[(occurred[paid] <= until) | self._sets_back(paid, priced[: len(paid)], pool)]
        early = occurred[borrowing] <= priced[len(paid) :]
        return [(rows.dst[late], occurred[late]), (pool[early], occurred[borrowing[early]])]

    def _sets_back(self, paid: Int64, priced: Int64, borrowing_pool: Int64) -> Bool:
        """Costs older than the one that is known, which nevertheless counts for what this batch borrows, or stays."""
        item = self._item(self.rows.dst[paid])
        older = self.records.occurred_us[paid] < priced
        newest = np.isin(item, item[~older])
        return older & (np.isin(item, self._item(borrowing_pool)) | ~newest)

    def _item(self, pool: Int64) -> Int64:
        return self.costed.last_costs.item_id[self.costed.pools.item[pool]]

    def _paid(self) -> Int64:
        """Rows that brought goods with a price, which is what their item costs from then on."""
        rows = self.rows
        return np.flatnonzero((rows.own != NONE) & (rows.dst != NONE) & (rows.op < Op.VALUE_AT))

    def _borrowing(self) -> tuple[Int64, Int64]:
        """(row, pool) of goods that came or went without a cost while their pool had none of its own."""
        rows = self.rows
        without = self.state.pools.last_qty == 0
        nothing = np.zeros(0, np.int64)
        if not without.any():
            return nothing, nothing
        # From the first receipt with a price on, a pool has a cost of its own.
        first = np.full(len(without), len(rows))
        paid = self._paid()
        np.minimum.at(first, rows.dst[paid], paid)
        goods = rows.op < Op.VALUE_AT
        gives = np.flatnonzero(goods & (rows.src != NONE))
        takes = np.flatnonzero(goods & (rows.src == NONE) & (rows.dst != NONE) & (rows.own == NONE))
        row = np.concatenate([gives, takes])
        pool = np.concatenate([rows.src[gives], rows.dst[takes]])
        borrows = without[pool] & (row < first[pool])
        return row[borrows], pool[borrows]

    def _note_borrowed(self, cursor: Cursor) -> None:
        """Until when pools borrowed, and from when their items' costs are."""
        row, pool = self._borrowing()
        note_borrowed(cursor, self.batch, self.costed.pools.pool_id[pool], self.records.occurred_us[row])
        priced: dict[int, int] = {}
        paid = self._paid()
        times = self.records.occurred_us[paid].tolist()
        for item, at in zip(self._item(self.rows.dst[paid]).tolist(), times, strict=True):
            priced[item] = max(at, priced.get(item, at))
        price_items(cursor, self.batch, priced)

    # ── Journal ──

    def _journal(self, entry_day: Int64) -> tuple[Headers, Lines]:
        """The entries' heads and lines: a record's own, then the adjustments it caused."""
        entries, pools, n = self.costed.entries, self.costed.pools, len(self.records)
        adjusting = self._adjusting()
        layer = entries.layer[adjusting]
        second = post_adjustments(
            pools.account[entries.pool[adjusting]],
            entries.posted[adjusting],
            self.sources.counter[layer],
            entries.step[adjusting],
        )
        lines = join(beside(self._main_lines(), self._allowance_lines()), second, n)
        headers = Headers(
            move=np.concatenate([np.arange(n), entries.move[adjusting]]),
            step=np.concatenate([np.zeros(n, np.int64), entries.step[adjusting]]),
            day=np.concatenate([self.day, entry_day[adjusting]]),
            # An adjustment is late when the period of what it corrects is locked by now.
            tags=np.concatenate(
                [self.records.tags, np.where(entry_day[adjusting] != self.sources.day[layer], int(Tag.LATE), 0)]
            ),
            corrects=np.concatenate([self.records.corrects, self.sources.movement_id[layer]]),
        )
        return headers, lines

    def _main_lines(self) -> Lines:
        entries, pools, n = self.costed.entries, self.costed.pools, len(self.records)
        leg = [np.full(n, NONE, np.int64) for _ in range(4)]
        for step in (0, 1):
            rows = np.flatnonzero(entries.step == step)
            leg[2 * step][entries.move[rows]] = pools.account[entries.pool[rows]]
            leg[2 * step + 1][entries.move[rows]] = entries.posted[rows]
        return post(leg[0], leg[1], leg[2], leg[3], self.counter, self._own_amounts(), self._rest_accounts())

    def _own_amounts(self) -> Int64:
        """What stands opposite the goods by its own right."""
        own = self.plan.own_amount[self.row]
        # Goods that come into a pool at standard with a cost that they had elsewhere, such as those of a sale that
        # comes back: that cost is what the other side posted then.
        varies = np.flatnonzero((self.costed.variance != 0) & (own == ABSENT) & (self.counter != NONE))
        for row in varies.tolist():
            brought = int(self.costed.in_value[row] + self.costed.variance[row])
            own[row] = to_minor(brought, self.batch.company.unit)
        return own

    def _rest_accounts(self) -> Int64:
        """What takes the difference between an entry's legs: the variance that it is, else rounding."""
        accounts, kind, rows = self.plan.chart.accounts, self.records.kind, self.rows
        rest = np.full(len(rows), accounts["rounding"])
        at_standard = rows.dst != NONE  # a batch of moves inside one pool has no pools at all
        at_standard[at_standard] = self.costed.pools.method[rows.dst[at_standard]] == Method.STANDARD
        if at_standard.any():
            of_production = kind == Kind.PRODUCTION_RECEIPT
            rest[at_standard] = np.where(
                of_production[at_standard], accounts["production_variance"], accounts["ppv"]
            )
        left = np.flatnonzero((self.costed.left != 0) & ~at_standard)
        if len(left):
            in_work = self.costed.pools.account[rows.dst[left]] == accounts["wip"]
            rest[left] = np.where(in_work, accounts["production_variance"], accounts["cogs"])
        credited = (kind == Kind.SUPPLIER_RETURN) & (self.plan.own_amount[self.row] != ABSENT)
        rest[credited] = accounts["price_difference"]
        return rest

    def _allowance_lines(self) -> Lines:
        """A write-down as its rule says; what issues release goes against cost of goods sold."""
        releases = self.costed.releases
        writes_down = self.rows.op[releases.move] == Op.WRITE_DOWN
        counter = np.where(writes_down, self.counter[releases.move], self.plan.chart.accounts["cogs"])
        return post_allowances(releases.move, self.plan.chart.accounts["allowance"], releases.posted, counter)
