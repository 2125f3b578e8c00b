"""What is to be booked: movements and value events as rows, before they are ordered, locked or costed.

In come their columns and what the books know of what they name; out comes a Plan: for each row its pools, what the
kernel shall do with it, and the account opposite. Rows that cannot be booked stand in `reject` with their reason.
Nothing is locked or written here.
"""

from dataclasses import dataclass

import numpy as np
import psycopg
from numpy.typing import NDArray

from cloud.domain.batch import Company
from cloud.domain.costing import kernels
from cloud.domain.costing.pools import Op
from cloud.domain.ledger.chart import Chart, PoolKey
from cloud.domain.ledger.posting import ABSENT, Foreign
from cloud.domain.movement import Kind, MovementColumns
from cloud.domain.own_values import foreign_amounts, overflowed, own_values
from cloud.domain.records import Records
from cloud.domain.rounding import to_minor
from cloud.domain.value_event import (
    RANK_CORRECTION,
    RANK_ISSUE,
    RANK_RECEIPT,
    RANK_TRANSFER,
    ValueEventColumns,
    ranks,
)
from cloud.store.originals import Original, load_originals, load_pool_keys
from cloud.store.pool_state import load_chart

NONE = kernels.NONE
Int64 = NDArray[np.int64]
Cursor = psycopg.Cursor

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


@dataclass(slots=True)
class Plan:
    """n movements, then k value events, as rows before they are ordered: int64[n + k] unless told otherwise.

    records     what cost and journal have in common with all of them
    keys        distinct pools;  src, dst  index into keys or NONE
    counter     account opposite, or NONE
    op          Op;  own  the kernel's own value
    own_amount  ledger amount of the counter leg, or ABSENT
    foreign     the same in the document's currency where that is not the company's own; None: nowhere
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
    foreign: Foreign | None
    named_row: Int64
    originals: dict[bytes, Original]
    reject: dict[int, str]

    @classmethod
    def of(cls, cursor: Cursor, company: Company, moves: MovementColumns, events: ValueEventColumns) -> "Plan":
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
            moves.party,
            moves.dimension,
        )
        legs = chart.legs(moves)
        own, own_amount = own_values(moves, company)
        for row in np.flatnonzero(overflowed(moves, own)):
            legs.reject.setdefault(int(row), "quantity × price passes what the books can hold")
        own = np.where((legs.src == NONE) & (legs.dst != NONE), own, NONE)
        own_amount[_taken_back(moves.kind, legs.src, legs.dst)] = ABSENT
        op = np.where(moves.kind == Kind.PRODUCTION_ISSUE, int(Op.FEED), int(Op.MOVE))
        plan = cls(
            company, chart, moves, events, Records.of(moves, events), legs.keys, legs.src, legs.dst, legs.counter, op,
            moves.qty, own, own_amount, foreign_amounts(moves), named_row, originals, legs.reject,
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

    def stored(self, keep: Int64, op: Op) -> list[bytes]:
        """Ids that kept rows of this op name and that are on the books already."""
        rows = keep[(self.op[keep] == op) & (self.named_row[keep] == NONE)]
        return [self.original_id(row) for row in rows.tolist()]

    def original_id(self, row: int) -> bytes:
        """The id that a row names, 16 bytes; all zero where it names none."""
        n = len(self.moves)
        one = self.moves.original[row] if row < n else self.events.original[row - n]
        return bytes(one.tobytes())

    def named_at_us(self, row: int) -> int:
        """When the receipt of a value event came."""
        if self.named_row[row] != NONE:
            return int(self.records.occurred_us[self.named_row[row]])
        return self.originals[self.original_id(row)].occurred_us

    # ── Returns that name what they return ──

    def _name_returns(self) -> None:
        """They are costed by it."""
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
            original = self.originals.get(self.original_id(row))
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

    # ── Value events ──

    def _add_events(self, pools: dict[int, PoolKey]) -> None:
        """The events' rows behind the movements'. pools: {pool_id: key} of those that events name."""
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
        if self.foreign is not None or events.currency.any():
            before = self.foreign or Foreign(np.zeros(n, np.int64), np.zeros(n, np.int64))
            self.foreign = Foreign(
                np.concatenate([before.currency, events.currency]),
                np.concatenate([before.amount, np.where(paid, events.currency_amount, 0)]),
            )

    def _key_of_event(self, row: int, pools: dict[int, PoolKey]) -> PoolKey | str:
        """The pool that an event concerns; a text: why there is none."""
        events, n = self.events, len(self.moves)
        if events.original[row].any():
            named = int(self.named_row[n + row])
            if named != NONE:
                found = None if self.dst[named] == NONE else self.keys[self.dst[named]]
            else:
                original = self.originals.get(self.original_id(n + row))
                if original is None:
                    return "the receipt that it names is not on the books"
                found = original.dst
            return found or "what it names brought no goods into stock"
        if events.pool[row] != NONE:
            return pools.get(int(events.pool[row]), f"no cost pool {events.pool[row]}")
        item, location, lot = (int(column[row]) for column in (events.item, events.location, events.lot))
        return self.chart.pool_at(item, location, lot) or "there is no stock at its location"


def _taken_back(kind: Int64, src: Int64, dst: Int64) -> NDArray[np.bool_]:
    """Receipts that take goods out and returns that bring them: they take back, at what the goods cost by now."""
    out, back = (src != NONE) & (dst == NONE), (src == NONE) & (dst != NONE)
    receipt = (kind == Kind.PURCHASE_RECEIPT) | (kind == Kind.OPENING_STOCK)
    taken: NDArray[np.bool_] = (receipt & out) | ((kind == Kind.SUPPLIER_RETURN) & back)
    return taken


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
