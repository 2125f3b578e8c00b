"""The log of a component in the one order that decides its costs, as rows for the kernel.

In come movements and value events as they were recorded, in any order; out come rows in canonical order: by
time; within an instant changes of value, receipts, transfers, issues, corrections; then gateway, epoch, seq.
What was learned about a receipt later is added to the receipt itself. In a period that has been settled the
issues of periodic pools stand at its end, behind the price that settles them, and what came back of them in the
same period behind them: an issue never takes the goods that its own return brings.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from cloud.domain.costing.methods import PERIODIC
from cloud.domain.costing.pools import Op, Rows

Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]
NONE = -1

# Within one instant.
_SETTLES, _SETTLED_ISSUE, _SETTLED_RETURN, _CHANGES, _RECEIPT, _TRANSFER, _ISSUE, _CORRECTION = range(8)
# What keeps one costing row of a movement apart from the other, where there are two.
BOTH, OUT, IN = 0, 1, 2


@dataclass(slots=True)
class Recorded:
    """n movements of one component that changed a pool, in the order in which they were read.

    src, dst     local pool or NONE;  qty  10⁻⁶ units;  own  10⁻⁶ currency or NONE
    occurred_us  the world's time;  gateway, epoch_high, epoch_low, seq, id_high, id_low  the rest of the order
    feeds        whether the destination gets the value only
    corrects     whether it takes back another of the same instant
    ref          the movement it returns, as its row here, or NONE
    ref_cost, ref_qty, ref_done  the same where it lies before the first row: its final cost, its quantity, what
                 of it came back before the first row; 0 where nothing is returned
    extra        what value events added to the receipt since (signed, 10⁻⁶ currency)
    period       the period it was posted in, as its row in `Settled`, or NONE where that is not settled
    void         taken back, or taking back: together they are as if they had never been, and have no row in the run
    """

    src: Int64
    dst: Int64
    qty: Int64
    own: Int64
    occurred_us: Int64
    gateway: Int64
    epoch_high: NDArray[np.uint64]
    epoch_low: NDArray[np.uint64]
    seq: Int64
    id_high: NDArray[np.uint64]
    id_low: NDArray[np.uint64]
    feeds: Bool
    corrects: Bool
    ref: Int64
    ref_cost: Int64
    ref_qty: Int64
    ref_done: Int64
    extra: Int64
    period: Int64
    void: Bool

    def __len__(self) -> int:
        return len(self.src)

    def take(self, index: Int64) -> "Recorded":
        """The rows of `index`; the caller sees to `ref`."""
        return Recorded(**{field.name: getattr(self, field.name)[index] for field in fields(self)})


@dataclass(slots=True)
class Changes:
    """k value events that stand at their own place. op: Op; pool: local; value: as the kernel's `own`."""

    op: Int64
    pool: Int64
    value: Int64
    occurred_us: Int64
    id_high: NDArray[np.uint64]
    id_low: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.op)


@dataclass(frozen=True, slots=True)
class Settled:
    """s settled periods: the first instant of each, and the first behind it."""

    begins_us: Int64
    ends_us: Int64


@dataclass(slots=True)
class Ordered:
    """Rows for the kernel and where they come from.

    movement, change  int64[r]: row of Recorded or Changes, or NONE
    leg               int64[r]: BOTH, or OUT and IN where a movement is split
    time_us           int64[r]: where the row stands
    """

    rows: Rows
    movement: Int64
    change: Int64
    leg: Int64
    time_us: Int64


def in_order(recorded: Recorded, changes: Changes, settled: Settled, method: Int64) -> Ordered:
    """Rows in canonical order. method: each local pool's, as it is after all of them."""
    if recorded.void.any():
        return _without_void(recorded, changes, settled, method)
    n, k = len(recorded), len(changes)
    periodic = np.isin(method, [int(one) for one in PERIODIC])
    is_settled = recorded.period != NONE
    moved = is_settled & _at(periodic, recorded.src)
    split = moved & (recorded.dst != NONE)
    pools_settled, periods_settled = _settlements(recorded, periodic)
    s = len(pools_settled)

    # One row a movement, one more for those split in two, the changes, the settlements.
    movement = np.concatenate([np.arange(n), np.flatnonzero(split), np.full(k + s, NONE)])
    change = np.concatenate([np.full(n + int(split.sum()), NONE), np.arange(k), np.full(s, NONE)])
    leg = np.concatenate([np.where(split, OUT, BOTH), np.full(int(split.sum()), IN), np.full(k + s, BOTH)])
    time_us, rank = _places(recorded, changes, settled, moved, split, periods_settled, periodic)
    rows = _rows(recorded, changes, len(movement), split, pools_settled)
    order = np.lexsort(_keys(recorded, changes, movement, change, time_us, rank))

    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    ordered = rows.take(order)
    ordered.ref = np.where(ordered.ref == NONE, NONE, place[np.maximum(ordered.ref, 0)])
    return Ordered(ordered, movement[order], change[order], leg[order], time_us[order])


def _without_void(recorded: Recorded, changes: Changes, settled: Settled, method: Int64) -> Ordered:
    """The run of what stands; its rows still name the movements as they were recorded."""
    stands = np.flatnonzero(~recorded.void)
    place = np.full(len(recorded) + 1, NONE, np.int64)  # the last is that of no movement
    place[stands] = np.arange(len(stands))
    part = recorded.take(stands)
    part.ref = place[part.ref]
    ordered = in_order(part, changes, settled, method)
    ordered.movement = np.append(stands, NONE)[ordered.movement]
    return ordered


def _at(flags: Bool, pool: Int64) -> Bool:
    """Whether the flag of each pool is set; never for no pool."""
    return np.asarray(np.where(pool == NONE, False, flags[np.maximum(pool, 0)]) if len(flags) else pool > NONE)


def _settlements(recorded: Recorded, periodic: Bool) -> tuple[Int64, Int64]:
    """(pool, period) of every periodic pool that goods reached or left in a settled period."""
    pairs = [
        np.stack([pool[known], recorded.period[known]], 1)
        for pool in (recorded.src, recorded.dst)
        for known in (_at(periodic, pool) & (recorded.period != NONE),)
    ]
    distinct = np.unique(np.concatenate(pairs), axis=0)
    return distinct[:, 0], distinct[:, 1]


def _places(
    recorded: Recorded,
    changes: Changes,
    settled: Settled,
    moved: Bool,
    split: Bool,
    settles: Int64,
    periodic: Bool,
) -> tuple[Int64, Int64]:
    """Each row's time and its rank within the instant."""
    src, dst = recorded.src != NONE, recorded.dst != NONE
    rank = np.where(src, np.where(dst, _TRANSFER, _ISSUE), _RECEIPT)
    rank = np.where(recorded.corrects, _CORRECTION, rank)
    rank = np.where(moved, _SETTLED_ISSUE, rank)
    time_us = recorded.occurred_us.copy()
    # What came after its period was locked belongs to the run of the period that it is posted in.
    into = (recorded.period != NONE) & _at(periodic, recorded.dst)
    time_us[into] = np.maximum(time_us[into], settled.begins_us[recorded.period[into]])
    arrived = time_us[split]
    issue = np.maximum(recorded.ref, 0)
    back = into & (recorded.ref != NONE) & ~src & moved[issue] & (recorded.period[issue] == recorded.period)
    time_us[back] = settled.ends_us[recorded.period[back]]
    rank = np.where(back, _SETTLED_RETURN, rank)
    time_us[moved] = settled.ends_us[recorded.period[moved]]
    ranks = [
        rank,
        np.full(int(split.sum()), _RECEIPT),
        np.full(len(changes), _CHANGES),
        np.full(len(settles), _SETTLES),
    ]
    return (
        np.concatenate([time_us, arrived, changes.occurred_us, settled.ends_us[settles]]),
        np.concatenate(ranks),
    )


def _keys(
    recorded: Recorded, changes: Changes, movement: Int64, change: Int64, time_us: Int64, rank: Int64
) -> tuple[NDArray, ...]:
    """The sort's keys, the least first."""

    def column(of_movement: NDArray, of_change: NDArray | None = None) -> NDArray:
        values = np.zeros(len(movement), of_movement.dtype)
        moves, changed = movement != NONE, change != NONE
        values[moves] = of_movement[movement[moves]]
        if of_change is not None:
            values[changed] = of_change[change[changed]]
        return values

    return (
        column(recorded.id_low, changes.id_low),
        column(recorded.id_high, changes.id_high),
        column(recorded.seq),
        column(recorded.epoch_low),
        column(recorded.epoch_high),
        column(recorded.gateway),
        column(recorded.occurred_us, changes.occurred_us),  # issues at their period's end keep their order
        rank,
        time_us,
    )


def _rows(recorded: Recorded, changes: Changes, total: int, split: Bool, pools_settled: Int64) -> Rows:
    """The rows before they are ordered; `ref` counts them as they stand here."""
    n = len(recorded)
    second = np.flatnonzero(split)
    returns = (recorded.ref != NONE) | (recorded.ref_qty > 0)
    op = np.where(recorded.feeds, int(Op.FEED), int(Op.MOVE))
    op = np.where(returns & (recorded.src == NONE), int(Op.RETURN_IN), op)
    op = np.where(returns & (recorded.dst == NONE), int(Op.RETURN_OUT), op)
    arrives = np.where(recorded.feeds[second], int(Op.FEED), int(Op.RETURN_IN))
    rest = total - n - len(second)
    none, nothing = np.full(rest, NONE), np.zeros(rest, np.int64)

    def column(of_first: NDArray, of_second: NDArray, of_rest: NDArray) -> Int64:
        return np.concatenate([of_first, of_second, of_rest]).astype(np.int64)

    both = np.zeros(len(second), np.int64)
    named = np.where(np.isin(op, (int(Op.RETURN_IN), int(Op.RETURN_OUT))), recorded.ref, NONE)
    return Rows.of(
        total,
        op=column(op, arrives, np.concatenate([changes.op, np.full(len(pools_settled), int(Op.SETTLE))])),
        src=column(recorded.src, np.full(len(second), NONE), none),
        dst=column(
            np.where(split, NONE, recorded.dst), recorded.dst[second], np.concatenate([changes.pool, pools_settled])
        ),
        qty=column(recorded.qty, recorded.qty[second], nothing),
        own=column(
            recorded.own, np.full(len(second), NONE),
            np.concatenate([changes.value, np.zeros(len(pools_settled), np.int64)]),
        ),
        extra=column(np.where(split, 0, recorded.extra), recorded.extra[second], nothing),
        ref=column(named, second, none),
        ref_cost=column(recorded.ref_cost, both, nothing),
        ref_qty=column(recorded.ref_qty, both, nothing),
        ref_done=column(recorded.ref_done, both, nothing),
        settled=np.concatenate([recorded.period != NONE, np.ones(len(second), bool), np.zeros(rest, bool)]),
    )  # fmt: skip


def clean_cuts(
    ordered: Ordered, recorded: Recorded, changes: Changes, qty: Int64, every: int
) -> list[tuple[int, int]]:
    """Where the component may be cut, some `every` rows apart: (rows before the cut, its moment).

    No pool is negative there, no return stands before what it returns, and everything behind happened at a later
    instant than everything before. qty: what the pools held before the first row.
    """
    rows = ordered.rows
    n = len(rows.op)
    if n == 0:
        return []
    happened = ordered.time_us.copy()
    moves, changed = ordered.movement != NONE, ordered.change != NONE
    happened[moves] = recorded.occurred_us[ordered.movement[moves]]
    happened[changed] = changes.occurred_us[ordered.change[changed]]
    latest = np.maximum.accumulate(happened)
    earliest = np.minimum.accumulate(happened[::-1])[::-1]
    fits = np.append(latest[:-1] < earliest[1:], True)
    # A price learned at a period's end belongs to the instant behind it, with which something else may begin.
    fits &= np.append(ordered.time_us[:-1] < ordered.time_us[1:], True)
    fits &= _negative_pools(rows, qty) == 0
    ahead = np.flatnonzero(rows.ref > np.arange(n))
    waiting = np.zeros(n + 1, np.int64)
    np.add.at(waiting, ahead, 1)
    np.add.at(waiting, rows.ref[ahead], -1)
    fits &= np.cumsum(waiting)[:n] == 0
    chosen: list[tuple[int, int]] = []
    last = 0
    for place in (np.flatnonzero(fits) + 1).tolist():
        if place - last >= every:
            chosen.append((place, int(latest[place - 1])))
            last = place
    return chosen


def _negative_pools(rows: Rows, qty: Int64) -> Int64:
    """How many pools hold less than nothing behind each row."""
    n = len(rows.op)
    takes = rows.src != NONE
    gives = (rows.dst != NONE) & np.isin(rows.op, (int(Op.MOVE), int(Op.RETURN_IN)))
    at = np.concatenate([np.flatnonzero(takes), np.flatnonzero(gives)])
    pool = np.concatenate([rows.src[takes], rows.dst[gives]])
    change = np.concatenate([-rows.qty[takes], rows.qty[gives]])
    order = np.lexsort((at, pool))
    at, pool, change = at[order], pool[order], change[order]
    first = np.append(True, pool[1:] != pool[:-1]) if len(pool) else np.zeros(0, bool)
    running = np.cumsum(change)
    begins = np.flatnonzero(first)
    if len(begins):
        before = np.concatenate([[0], running[begins[1:] - 1]])
        running = running - np.repeat(before, np.diff(np.append(begins, len(pool)))) + qty[pool]
    was_negative = np.empty(len(pool), bool)
    was_negative[1:] = running[:-1] < 0
    was_negative[first] = qty[pool[first]] < 0
    turns = np.zeros(n, np.int64)
    np.add.at(turns, at, (running < 0).astype(np.int64) - was_negative)
    return np.cumsum(turns) + int((qty < 0).sum())
