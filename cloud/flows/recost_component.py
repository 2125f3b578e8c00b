"""A component of pools: read from the books, costed in the order of the world, laid beside what was posted.

Nothing is written here. The reading is one snapshot's; the run is pure arrays, cut into segments behind which
nothing can reach back, so that each segment's end is a snapshot to start from the next time.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from cloud.domain.batch import Company
from cloud.domain.costing.canonical import IN, OUT, Changes, Ordered, Recorded, Settled, clean_cuts, in_order
from cloud.domain.costing.methods import Method
from cloud.domain.costing.ordered_run import run
from cloud.domain.costing.pools import Costed, LastCosts, Layers, Op, Pools, Rows
from cloud.domain.ledger.chart import Accounts
from cloud.domain.movement import Kind, MovementColumns, derived_id
from cloud.domain.own_values import own_values
from cloud.store import recosting
from cloud.store.batches import load_company
from cloud.store.recosting import EVENT, MOVEMENT, Columns, LayerRows, Standing, Start
from cloud.store.sql import statement

Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]
Cursor = psycopg.Cursor
NONE = -1

# What a value event at a place of its own does to its pool.
_OPS = {
    Kind.LABOUR: Op.ABSORB, Kind.OVERHEAD: Op.ABSORB, Kind.REVALUATION: Op.ABSORB, Kind.PRICE_CORRECTION: Op.ABSORB,
    Kind.LANDED_COST: Op.ABSORB, Kind.WRITE_DOWN: Op.WRITE_DOWN, Kind.STANDARD_CHANGE: Op.SET_STANDARD,
    Kind.METHOD_CHANGE: Op.CHANGE_METHOD,
}  # fmt: skip


@dataclass(slots=True)
class Component:
    """What was read. moves, events: as recosting.MOVEMENT and EVENT name their columns.

    extra_of   int64[events], the row in `moves` of the receipt that an event concerns, or NONE
    in_place   the rows of `events` that are rows of `changes`
    originals, original_no, returned  what movements return (ids); which of them each returns, int64[n], or NONE; how
               much of each had come back before the start
    released   {(id's bytes, pool_id): (value so far, its day)}
    """

    company: Company
    items: list[int]
    from_us: int
    standing: Standing
    start: Start
    moves: Columns
    events: Columns
    recorded: Recorded
    changes: Changes
    settled: Settled
    extra_of: Int64
    in_place: Int64
    released: dict[tuple[bytes, int], tuple[int, int]]
    accounts: Accounts
    original_no: Int64
    originals: list[bytes]
    returned: Int64

    @property
    def rows_read(self) -> int:
        """Movements and value events."""
        return len(self.moves["qty"]) + len(self.events["value"])


READS = 5  # of a component whose pools grow in number while it is read


def read_component(
    cursor: Cursor, company_id: int, seeds: Sequence[int], from_us: int | None, *, whole: bool = False
) -> Component | None:
    """The component of these items from its newest snapshot before what waits; None where nothing does.

    from_us  from here on even where no pool is marked;  whole: from its beginning, whatever is marked
    """
    for _ in range(READS):
        items = recosting.joined_items(cursor, company_id, seeds)
        standing = recosting.read_pools(cursor, company_id, items)
        marks = [mark for mark in (standing.earliest_mark_us, from_us) if mark is not None]
        if (not marks and not whole) or len(standing.pool_id) == 0:
            return None
        if whole:
            start, late_us = recosting.beginning(standing), 0
        else:
            late_us = min(marks)
            start = recosting.newest_start(cursor, company_id, items, standing, late_us)
        company = load_company(cursor, company_id)
        where = {"company": company_id, "items": items, "after": start.after_us}
        moves = recosting.read_columns(cursor, "movements", MOVEMENT, **where)
        if np.isin([moves["src"], moves["dst"]], [NONE, *standing.pool_id.tolist()]).all():
            break  # else a pool was made after the pools were read, by a transaction that sees what others commit
    events = recosting.read_columns(cursor, "events", EVENT, **where, pools=standing.pool_id.tolist())
    settled, period = _periods(cursor, company_id, moves)
    row_of = {one.tobytes(): row for row, one in enumerate(moves["id"])}
    extra_of = np.array([row_of.get(one.tobytes(), NONE) for one in events["original"]], np.int64)
    recorded, original_no, originals, returned = _recorded(cursor, company, where, moves, row_of, period, start)
    _fold(recorded, events, extra_of)
    in_place = np.flatnonzero((extra_of == NONE) & (events["pool"] != NONE) & np.isin(events["kind"], list(_OPS)))
    released = {
        (one.bytes, pool): (value, day.toordinal() - 719_163)
        for one, pool, value, day in cursor.execute(
            statement("recost", "released"), where | {"pools": standing.pool_id.tolist()}
        )
    }
    accounts = Accounts.of(cursor.execute(statement("recost", "accounts"), where))
    changes = _changes(events, in_place, start.pools)
    return Component(
        company, items, late_us, standing, start, moves, events, recorded, changes, settled, extra_of, in_place,
        released, accounts, original_no, originals, returned,
    )  # fmt: skip


def _periods(cursor: Cursor, company_id: int, moves: Columns) -> tuple[Settled, Int64]:
    """The settled periods, and in which of them each movement was posted."""
    rows = cursor.execute(statement("recost", "settled_periods"), {"company": company_id}).fetchall()
    table = np.array(rows, np.int64).reshape(len(rows), 5)
    period = np.full(len(moves["day"]), NONE, np.int64)
    for row, (_, _, _, first, last) in enumerate(table.tolist()):
        period[(moves["day"] >= first) & (moves["day"] <= last)] = row
    return Settled(table[:, 1], table[:, 2]), period


def _recorded(
    cursor: Cursor, company: Company, where: dict[str, Any], moves: Columns, row_of: dict[bytes, int], period: Int64,
    start: Start,
) -> tuple[Recorded, Int64, list[bytes], Int64]:  # fmt: skip
    n = len(moves["qty"])
    pools = start.pools.pool_id

    def local(pool: Int64) -> Int64:
        return np.where(pool == NONE, NONE, np.searchsorted(pools, pool))

    def halves(ids: NDArray[np.uint8]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        words = ids.reshape(n, 16).view(">u8").astype(np.uint64)
        return words[:, 0], words[:, 1]

    src, dst = local(moves["src"]), local(moves["dst"])
    value = _own_value(moves, company)
    own = np.where((src == NONE) & (dst != NONE), value, NONE)
    names_original: Bool = np.logical_or.reduce(moves["original"] != 0, axis=1)
    corrects: Bool = np.logical_and(moves["corrects"].any(axis=1), (moves["corrects"] != moves["id"]).any(axis=1))
    void, stands = _taken_back(moves, corrects, row_of)
    corrects[stands] = False  # made again: as if it had been made once
    corrects &= ~void
    one_legged = (src == NONE) | (dst == NONE)
    returns = np.flatnonzero((names_original | corrects) & one_legged)
    ref, original_no = np.full(n, NONE, np.int64), np.full(n, NONE, np.int64)
    ref_cost, ref_qty, ref_done = (np.zeros(n, np.int64) for _ in range(3))
    numbers: dict[bytes, int] = {}
    for row in returns.tolist():
        named = (moves["original"] if names_original[row] else moves["corrects"])[row].tobytes()
        original_no[row] = numbers.setdefault(named, len(numbers))
        ref[row] = row_of.get(named, NONE)
    returned = np.zeros(len(numbers), np.int64)
    elsewhere = [uuid.UUID(bytes=named) for named in numbers if named not in row_of]
    if elsewhere:
        for one, qty, cost, done in cursor.execute(statement("recost", "originals"), where | {"ids": elsewhere}):
            rows = np.flatnonzero(original_no == numbers[one.bytes])
            ref_qty[rows], ref_cost[rows], returned[numbers[one.bytes]] = qty, cost, done
    # What takes an issue back comes at the final cost, not at what that was thought to be.
    own[(original_no != NONE) & corrects] = NONE
    epoch_high, epoch_low = halves(moves["epoch"])
    id_high, id_low = halves(moves["id"])
    recorded = Recorded(
        src=src, dst=dst, qty=moves["qty"], own=own, occurred_us=moves["occurred_us"], gateway=moves["gateway"],
        epoch_high=epoch_high, epoch_low=epoch_low, seq=moves["seq"], id_high=id_high, id_low=id_low,
        feeds=(src != NONE) & (dst != NONE) & (moves["fed"] == 0), corrects=corrects, ref=ref, ref_cost=ref_cost,
        ref_qty=ref_qty, ref_done=ref_done, extra=np.zeros(n, np.int64), period=period, void=void,
    )  # fmt: skip
    return recorded, original_no, list(numbers), returned


def _taken_back(moves: Columns, corrects: Bool, row_of: dict[bytes, int]) -> tuple[Bool, Int64]:
    """Which movements are as if they had never been, and which stand in the stead of one that was taken back.

    A sighting's movement is made, taken back when an earlier sighting arrives, perhaps made again, from and to other
    places: all of one instant and one quantity. Of an even number nothing stands, of an odd one the last, whose id
    tells its number. In the order of the world the others never happened, whatever was thought of them for a while.
    """
    void = np.zeros(len(corrects), np.bool_)
    stands: list[int] = []
    by_root: dict[bytes, list[int]] = {}
    for row in np.flatnonzero(corrects).tolist():
        by_root.setdefault(moves["corrects"][row].tobytes(), []).append(row)
    for root, rows in by_root.items():
        together = [row_of[root], *rows] if root in row_of else rows
        last = _last_made(root, {moves["id"][row].tobytes(): row for row in together})
        if last is None:
            continue
        void[together] = True
        number, row = last
        if number % 2 == 0:
            void[row] = False
            stands.append(row)
    return void, np.array(stands, np.int64)


_MOST_MADE = 1000  # times that one sighting's movement is made or taken back; more is not looked for


def _last_made(root: bytes, rows: dict[bytes, int]) -> tuple[int, int] | None:
    """(number, row) of the last of a sighting's movements that has a row; the first, of that very id, has number 0.

    Those inside one pool cost nothing and have no row, so numbers are left out: always one that is made with the one
    that takes it back. None: something else corrects the root.
    """
    found = [(0, rows[root])] if root in rows else []
    for number in range(1, _MOST_MADE):
        if len(found) == len(rows):
            return found[-1]
        row = rows.get(derived_id(root + number.to_bytes(4, "big")).bytes)
        if row is not None:
            found.append((number, row))
    return None


def _own_value(moves: Columns, company: Company) -> Int64:
    """The value that each movement came with, as it was booked."""
    n = len(moves["qty"])
    nothing = np.zeros(n, np.int64)
    none = np.zeros((n, 16), np.uint8)
    columns = MovementColumns(
        movement_id=moves["id"], kind=moves["kind"], item=moves["item"], qty=moves["qty"], from_id=nothing,
        to_id=nothing, party=nothing, document=[], price=moves["price"], rate=moves["rate"], value=moves["value"],
        occurred_us=moves["occurred_us"], tags=nothing, gateway=nothing, seq=nothing, epoch=none, corrects=none,
        lot=nothing, original=none, reason=[], dimension=nothing, currency=nothing, source_row=nothing,
    )  # fmt: skip
    return own_values(columns, company)[0]


def _fold(recorded: Recorded, events: Columns, extra_of: Int64) -> None:
    """Add each receipt's value events to it; a receipt never becomes worth less than nothing."""
    known = np.flatnonzero(extra_of != NONE)
    np.add.at(recorded.extra, extra_of[known], events["value"][known])
    priced = recorded.own != NONE
    recorded.extra[priced] = np.maximum(recorded.extra[priced], -recorded.own[priced])


def _changes(events: Columns, in_place: Int64, pools: Pools) -> Changes:
    words = events["id"][in_place].reshape(len(in_place), 16).view(">u8").astype(np.uint64)
    return Changes(
        op=np.array([int(_OPS[Kind(kind)]) for kind in events["kind"][in_place]], np.int64),
        pool=np.searchsorted(pools.pool_id, events["pool"][in_place]),
        value=events["value"][in_place],
        occurred_us=events["occurred_us"][in_place],
        id_high=words[:, 0],
        id_low=words[:, 1],
    )


# ── The run ─────────────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class TakenFrom:
    """Which movement took how much of which layer, in the order of the run; source: who made the layer."""

    move: Int64
    pool: Int64
    layer_no: Int64
    source: NDArray[np.uint8]
    qty: Int64
    value: Int64


@dataclass(slots=True)
class Outcome:
    """What the component comes to.

    place                 int64[n]: in which order the movements are costed
    change_place          int64[k]: and the changes
    src_value, dst_value  int64[n]: what each movement changes its two pools by, finally
    change_value          int64[k]: the same for value events at a place of their own
    releases              {(row of moves, or n + row of changes; local pool): change of the allowance}
    layers, sources       what is left, and who made it
    """

    pools: Pools
    layers: Layers
    sources: LayerRows
    last_costs: LastCosts
    place: Int64
    change_place: Int64
    src_value: Int64
    dst_value: Int64
    change_value: Int64
    releases: dict[tuple[int, int], int]
    taken: TakenFrom
    cuts: list[Start] = field(default_factory=list)


def run_component(component: Component, every: int) -> Outcome:
    """Cost the component in canonical order. Raises CannotCost."""
    return _Run(component, every).outcome()


@dataclass(slots=True)
class _Run:
    """A run in segments."""

    component: Component
    every: int
    ordered: Ordered = field(init=False)
    out_value: Int64 = field(init=False)
    in_value: Int64 = field(init=False)
    returned: Int64 = field(init=False)
    taken: list[TakenFrom] = field(default_factory=list)
    releases: dict[tuple[int, int], int] = field(default_factory=dict)
    layer_row: Int64 = field(init=False)  # of each layer standing: the row that made it, or NONE

    def outcome(self) -> Outcome:
        component = self.component
        start = component.start
        self.ordered = in_order(
            component.recorded, component.changes, component.settled, component.standing.method
        )
        n = len(self.ordered.rows)
        self.out_value, self.in_value = np.zeros(n, np.int64), np.zeros(n, np.int64)
        self.layer_row = np.full(start.layers.stored, NONE, np.int64)
        self.returned = component.returned.copy()
        places = clean_cuts(self.ordered, component.recorded, component.changes, start.pools.qty, self.every)
        cuts: list[Start] = []
        state, begin = start, 0
        ends = [*[(place, us) for place, us in places if place < n], (n, start.after_us)]
        for end, after_us in ends:
            costed = self._segment(state, begin, end)
            if end < n and not _is_clean(self.ordered.rows.take(slice(begin, end)), costed):
                continue
            state = self._accept(state, costed, begin, end, after_us)
            begin = end
            if end < n:
                cuts.append(state)
        return self._gather(state, cuts)

    def _segment(self, state: Start, begin: int, end: int) -> Costed:
        """Cost rows begin … end from a clean state; what they name before `begin` comes as stored."""
        part = self.ordered.rows.take(slice(begin, end))
        rows = replace(
            part, ref=part.ref.copy(), ref_layer=part.ref_layer.copy(), ref_cost=part.ref_cost.copy(),
            ref_qty=part.ref_qty.copy(), ref_done=part.ref_done.copy(),
        )  # fmt: skip
        earlier = np.flatnonzero((rows.ref != NONE) & (rows.ref < begin))
        named = rows.ref[earlier]
        rows.ref_qty[earlier] = self.ordered.rows.qty[named]
        rows.ref_cost[earlier] = self.out_value[named]
        back = np.flatnonzero(rows.op == int(Op.RETURN_OUT))
        for row in back.tolist():
            rows.ref_layer[row] = self._layer_of(begin + row, begin, state)
        rows.ref = np.where(rows.ref < begin, NONE, rows.ref - begin)
        self._count_returns(rows, begin)
        return run(rows, state.pools, state.layers, state.last_costs)

    def _layer_of(self, row: int, begin: int, state: Start) -> int:
        """Of a return to a supplier: what is left of a receipt from before the segment, or NONE."""
        ref = int(self.ordered.rows.ref[row])
        if ref >= begin:
            return NONE
        if ref != NONE:
            found = np.flatnonzero(self.layer_row == ref)
        else:
            named = self.component.originals[int(self.component.original_no[self.ordered.movement[row]])]
            found = np.flatnonzero((state.sources.movement_id == np.frombuffer(named, np.uint8)).all(axis=1))
        return int(found[0]) if len(found) else NONE

    def _count_returns(self, rows: Rows, begin: int) -> None:
        """Of several returns of one issue from before the segment, each comes behind those before it."""
        so_far: dict[int, int] = {}
        for row in np.flatnonzero(
            (rows.op == int(Op.RETURN_IN)) & (rows.ref == NONE) & (rows.ref_qty > 0)
        ).tolist():
            number = self._original(begin + row)
            before = so_far.get(number, int(self.returned[number]))
            rows.ref_done[row] = before
            so_far[number] = before + int(rows.qty[row])

    def _original(self, row: int) -> int:
        return int(self.component.original_no[self.ordered.movement[row]])

    def _accept(self, state: Start, costed: Costed, begin: int, end: int, after_us: int) -> Start:
        """Take the segment's outcome over; the state behind it."""
        rows = self.ordered.rows
        self.out_value[begin:end], self.in_value[begin:end] = _by_row(rows.take(slice(begin, end)), costed)
        for row in np.flatnonzero(rows.op[begin:end] == int(Op.RETURN_IN)).tolist():
            if self.ordered.leg[begin + row] != IN:  # an arrival that was split from its issue returns nothing
                self.returned[self._original(begin + row)] += int(rows.qty[begin + row])
        for move, pool, value in zip(
            costed.releases.move.tolist(),
            costed.releases.pool.tolist(),
            costed.releases.value.tolist(),
            strict=True,
        ):
            key = (self._key(begin + move), pool)
            self.releases[key] = self.releases.get(key, 0) + value
        made, made_row = self._makers(state, costed, begin)
        self.taken.append(self._taken(costed, made, begin))
        left = np.flatnonzero(costed.layers.qty[: costed.layer_count])
        left = left[np.lexsort((costed.layers.no[left], costed.layers.pool[left]))]
        self.layer_row = made_row[left]
        none, zero = np.full(len(left), NONE, np.int64), np.zeros(len(left), np.int64)
        old = costed.layers
        layers = Layers(
            old.pool[left], old.no[left], old.qty[left], old.value[left], old.uncosted[left], none, zero, len(left)
        )
        return Start(after_us, costed.pools, layers, costed.last_costs, made.take(left))

    def _key(self, row: int) -> int:
        """A movement's row in `moves`, or behind them a change's."""
        movement = int(self.ordered.movement[row])
        return movement if movement != NONE else len(self.component.recorded) + int(self.ordered.change[row])

    def _makers(self, state: Start, costed: Costed, begin: int) -> tuple[LayerRows, Int64]:
        """Who made each layer of a costed segment, and its row here."""
        component, stored = self.component, costed.layers.stored
        row = costed.layers.move[stored : costed.layer_count] + begin
        step = costed.layers.step[stored : costed.layer_count]
        movement, change = self.ordered.movement[row], self.ordered.change[row]
        event = np.append(component.in_place, NONE)[change]  # of rows that are no change this is not used
        moves, events, is_move = component.moves, component.events, movement != NONE
        counter = np.where(step == 0, moves["src_counter"][movement], moves["dst_counter"][movement])

        def of(from_moves: NDArray, from_events: NDArray) -> NDArray:
            if len(from_events) == 0 or is_move.all():
                return from_moves[movement]
            mask = is_move.reshape(-1, *[1] * (from_moves.ndim - 1))
            return np.where(mask, from_moves[movement] if len(from_moves) else 0, from_events[event])

        counter = np.where(counter == NONE, component.accounts["price_difference"], counter)
        new = LayerRows(
            of(moves["id"], events["id"]), step, counter, of(moves["day"], events["day"]),
            of(moves["occurred_us"], events["occurred_us"]),
        )  # fmt: skip
        return state.sources.join(new), np.concatenate([self.layer_row, row])

    def _taken(self, costed: Costed, made: LayerRows, begin: int) -> TakenFrom:
        links, layers = costed.links, costed.layers
        return TakenFrom(
            self.ordered.movement[costed.entries.move[links.entry] + begin],
            layers.pool[links.layer], layers.no[links.layer], made.movement_id[links.layer], links.qty, links.value,
        )  # fmt: skip

    def _gather(self, state: Start, cuts: list[Start]) -> Outcome:
        ordered, component = self.ordered, self.component
        rows, n, k = ordered.rows, len(component.recorded), len(component.changes)
        src_value, dst_value, change_value = (np.zeros(size, np.int64) for size in (n, n, k))
        place, change_place = np.zeros(n, np.int64), np.zeros(k, np.int64)
        is_move, is_change = ordered.movement != NONE, ordered.change != NONE
        out = np.flatnonzero(is_move & (rows.src != NONE))
        src_value[ordered.movement[out]] = -self.out_value[out]
        into = np.flatnonzero(is_move & (rows.dst != NONE))
        takes_extra = state.pools.method[rows.dst[into]] != int(Method.STANDARD)
        dst_value[ordered.movement[into]] = self.in_value[into] - np.where(takes_extra, rows.extra[into], 0)
        changed = np.flatnonzero(is_change)
        change_value[ordered.change[changed]] = self.in_value[changed]
        change_place[ordered.change[changed]] = changed
        first = np.flatnonzero(is_move & (ordered.leg != OUT))
        place[ordered.movement[first]] = first
        taken = TakenFrom(
            *(
                np.concatenate([getattr(one, name) for one in self.taken])
                for name in ("move", "pool", "layer_no", "source", "qty", "value")
            )
        )
        return Outcome(
            state.pools, state.layers, state.sources, state.last_costs, place, change_place, src_value, dst_value,
            change_value, self.releases, taken, cuts,
        )  # fmt: skip


def _by_row(rows: Rows, costed: Costed) -> tuple[Int64, Int64]:
    """What each row's source gave and its destination took, what was adjusted later counted to the row it adjusts."""
    entries = costed.entries
    adjusted = np.where(entries.layer == NONE, NONE, costed.layers.move[np.maximum(entries.layer, 0)])
    row = np.where(adjusted == NONE, entries.move, adjusted)
    out, into = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)
    is_out = rows.src[row] == entries.pool
    np.add.at(out, row[is_out], -entries.value[is_out])
    np.add.at(into, row[~is_out], entries.value[~is_out])
    return out, into


def _is_clean(rows: Rows, costed: Costed) -> bool:
    """Whether nothing that comes behind can reach back: nothing short, nothing without a cost, every edge at rest."""
    layers = slice(0, costed.layer_count)
    waits = (rows.op == int(Op.MOVE)) & (rows.src == NONE) & (rows.own == NONE) & costed.uncosted
    return not (
        (costed.layers.qty[layers] < 0).any()
        or (costed.layers.uncosted[layers] & (costed.layers.qty[layers] != 0)).any()
        or costed.open.any()
        or waits.any()
    )
