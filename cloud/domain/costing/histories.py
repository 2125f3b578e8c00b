"""Whole histories costed from the first movement to the last: the façade over history_kernels.py.

For streams without edges: every movement is a receipt or an issue of one pool. Movements are sorted by pool
(a stable counting sort), each pool is costed in one pass over its segment, pools in parallel when there are
many, and what was found is put back into the order of the movements. Pools are independent of each other but
in one thing: a pool that knows no cost asks its item, and the item learned it from whichever of its pools
received last. So the kernel stops at a pool that would have to ask, and all pools of such an item are left to
the general pass together, as are pools with layers or amounts that the kernel does not take on. What comes out
is what the general pass says, for every stream.

Memory: 20 bytes a movement beside the three columns of 24 that came in, and what goes out.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

import numba
import numpy as np
from numpy.typing import NDArray

from cloud.domain.costing import history_kernels as kernels
from cloud.domain.costing.methods import Method
from cloud.domain.costing.pools import NONE, CannotCost, Costed, LastCosts, Layers, Pools, Releases, Rows, cost

Int64 = NDArray[np.int64]
Int32 = NDArray[np.int32]
Bool = NDArray[np.bool_]
General = Callable[[Rows, Pools, Layers, LastCosts], Costed]

METHODS = (Method.MOVING_AVERAGE, Method.FIFO, Method.LIFO, Method.SPECIFIC)
MOST = 2**31 - 1  # movements and stored layers of one call; rows are named by int32
# Fewer movements are costed before a second core has woken up.
WORTH_A_SECOND_CORE = 200_000
GROUPS_PER_CORE = 8  # so that a core that got small pools takes the next group
CORES = numba.config.NUMBA_NUM_THREADS

# numba's cores work for one caller at a time.
_all_cores = threading.Lock()


@dataclass(frozen=True, slots=True)
class Stream:
    """n movements in costing order, int64[n] each.

    pool  0 … P − 1
    qty   10⁻⁶ stock units: a receipt's above 0, an issue's below
    own   a receipt's own value, 10⁻⁶ currency, or NONE: the pool's known cost. Not looked at for issues
    """

    pool: Int64
    qty: Int64
    own: Int64

    def __post_init__(self) -> None:
        if not len(self.pool) == len(self.qty) == len(self.own):
            raise ValueError(
                f"expected columns of one length, got {len(self.pool)}, {len(self.qty)} and {len(self.own)}"
            )

    def __len__(self) -> int:
        return len(self.pool)

    def as_rows(self, index: Int64) -> Rows:
        """These movements as the general pass reads them."""
        pool, qty = self.pool[index], self.qty[index]
        receives = qty > 0
        return Rows.of(
            len(index),
            src=np.where(receives, NONE, pool),
            dst=np.where(receives, pool, NONE),
            qty=np.abs(qty),
            own=np.where(receives, self.own[index], NONE),
        )


@dataclass(frozen=True, slots=True)
class LayersLeft:
    """What the pools hold, by pool and oldest first. row: the movement that made it, or −1 − k: stored layer k."""

    pool: Int64
    row: Int64
    qty: Int64
    value: Int64
    uncosted: Bool


@dataclass(frozen=True, slots=True)
class Adjustments:
    """What receipts changed about what was there before them.

    receipt    the movement that knew better
    corrected  the movement whose cost it changed, or −1 − k: what stored layer k stood for
    change     of the pool's value: a shortage's issue cost so much less, a receipt without a cost so much more
    """

    receipt: Int64
    corrected: Int64
    change: Int64


@dataclass(frozen=True, slots=True)
class HistoryLinks:
    """Which issue took how much of which layer (the row that made it, or −1 − k: stored layer k)."""

    issue: Int64
    layer: Int64
    qty: Int64
    value: Int64


@dataclass(frozen=True, slots=True)
class HistoryCosts:
    """What came of a stream.

    pools, last_costs  as they stand after it; next_no is as before, for the layers left have no numbers yet
    cost               int64[n]: at once; what an issue took, or what a receipt brought in
    releases           from pools' allowances; move: the movement's row
    uncosted           rows of movements of which no cost was known
    left_over          how many pools were left to the general pass
    final_rows, final_values  their movements' final costs
    """

    pools: Pools
    last_costs: LastCosts
    layers: LayersLeft
    cost: Int64
    adjustments: Adjustments
    links: HistoryLinks | None
    releases: Releases
    uncosted: Int64
    left_over: int
    final_rows: Int64
    final_values: Int64

    def final_cost(self, qty: Int64) -> Int64:
        """int64[n]: every movement's cost with all that settled it; `qty` is the stream's."""
        final = self.cost.copy()
        mine = self.adjustments.corrected >= 0
        corrected, change = self.adjustments.corrected[mine], self.adjustments.change[mine]
        np.add.at(final, corrected, np.where(qty[corrected] < 0, -change, change))
        final[self.final_rows] = self.final_values
        return final


def cost_histories(
    stream: Stream,
    pools: Pools,
    layers: Layers | None = None,
    last_costs: LastCosts | None = None,
    *,
    links: bool = False,
    cores: int | None = None,
    general: General = cost,
) -> HistoryCosts:
    """Cost a stream from the state given, the pools' beginnings when none is. The arguments stay as they are.

    pools       P of them; `item` counts within last_costs (absent: nothing is known of any item)
    layers      the stored layers by pool and number; of each pool all or it is left to the general pass
    links       whether to say which issue took how much of which layer
    cores       how many to use; absent: all that numba has, when the stream is long enough
    general     what costs the pools that the kernel leaves over

    Raises CannotCost with the movement's row; ValueError for a movement that cannot be, and for pools of other
    methods than METHODS.
    """
    layers = Layers.empty() if layers is None else layers
    if last_costs is None:
        last_costs = LastCosts.empty(np.arange(int(pools.item.max(initial=-1)) + 1))
    if not np.isin(pools.method, METHODS).all():
        raise ValueError(
            f"expected pools of methods {', '.join(method.label for method in METHODS)}, got numbers"
            f" {sorted(set(pools.method.tolist()) - set(METHODS))}, which the general pass costs"
        )
    segments = _Segments(stream, pools, layers)
    state = _state(pools, layers)
    costs = np.empty(segments.size, np.int64)
    adjusted = _columns(segments.size, np.int32, np.int32, np.int64)
    linked = _columns(segments.size, np.int32, np.int32, np.int64, np.int64) if links else None
    _run(segments, pools, state, costs, adjusted, linked, cores)
    # An item's pools share what it last cost, so they are costed together or not at all.
    fine = ~np.isin(pools.item, pools.item[state[:, kernels.STATUS] == kernels.RARE])
    left = segments.layers_left(state, fine)
    segments.free()
    found = HistoryCosts(
        pools=_after(pools, state),
        last_costs=_last_costs(last_costs, pools, stream, segments.own_row),
        layers=left,
        cost=segments.unsorted(stream, costs),
        adjustments=Adjustments(*_gathered(state, fine, kernels.ADJUSTED_AT, kernels.ADJUSTED, adjusted)),
        links=None
        if linked is None
        else HistoryLinks(*_gathered(state, fine, kernels.LINKED_AT, kernels.LINKED, linked)),
        releases=Releases(*(np.zeros(0, np.int64) for _ in range(4))),
        uncosted=np.zeros(0, np.int64),
        left_over=0,
        final_rows=np.zeros(0, np.int64),
        final_values=np.zeros(0, np.int64),
    )
    if fine.all():
        return found
    return _with_general(found, fine, stream, pools, layers, last_costs, general)


class _Segments:
    """The stream sorted by pool, each pool's stored layers before its movements."""

    def __init__(self, stream: Stream, pools: Pools, layers: Layers) -> None:
        n_pools, stored = len(pools.pool_id), layers.stored
        self.size = len(stream) + stored
        if self.size > MOST:
            raise ValueError(f"expected at most {MOST} movements and stored layers, got {self.size}")
        self.stored = np.bincount(layers.pool[:stored], minlength=n_pools).astype(np.int64)
        counts = self.stored.copy()
        row = kernels.count_by_pool(stream.pool, stream.qty, counts)
        if row < len(stream):
            raise ValueError(
                f"movement in row {row}: expected a pool of 0 … {n_pools - 1} and a quantity other than 0, got pool"
                f" {stream.pool[row]} and quantity {stream.qty[row]}"
            )
        self.starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
        self.qty, self.own = np.empty(self.size, np.int64), np.empty(self.size, np.int64)
        self.row = np.empty(self.size, np.int32)
        self.own_row = np.full(n_pools, NONE, np.int64)
        if stored:
            pool = layers.pool[:stored]
            rank = np.arange(stored) - np.searchsorted(pool, pool)
            at = self.starts[pool] + rank
            self.qty[at], self.own[at], self.row[at] = (
                layers.qty[:stored],
                layers.value[:stored],
                ~np.arange(stored),
            )
        kernels.sort_by_pool(
            stream.pool, stream.qty, stream.own, self.places(), self.own_row, self.qty, self.own, self.row
        )

    def places(self) -> Int64:
        """Where each pool's first movement stands."""
        return self.starts[:-1] + self.stored

    def unsorted(self, stream: Stream, values: Int64) -> Int64:
        """Values of the movements, in the order of the stream."""
        found = np.empty(len(stream), np.int64)
        kernels.unsort(stream.pool, self.places(), values, found)
        return found

    def layers_left(self, state: Int64, fine: Bool) -> LayersLeft:
        """What stands in the queues of the pools that were costed."""
        state[:, kernels.LAYERS] = state[:, kernels.TAIL] - state[:, kernels.HEAD]
        row, qty, value = _gathered(state, fine, kernels.HEAD, kernels.LAYERS, (self.row, self.qty, self.own))
        pool = np.repeat(np.arange(len(fine)), np.where(fine, state[:, kernels.LAYERS], 0))
        return LayersLeft(pool, row, qty, value, np.zeros(len(row), np.bool_))

    def free(self) -> None:
        """Let go of the sorted columns: the layers have been read out of them."""
        del self.qty, self.own, self.row


def _after(pools: Pools, state: Int64) -> Pools:
    after = pools.copy()
    for column, values in enumerate((after.qty, after.value, after.last_value, after.last_qty)):
        values[:] = state[:, column]
    return after


def _gathered(state: Int64, fine: Bool, start: int, count: int, columns: tuple[NDArray, ...]) -> list[Int64]:
    """What the pools that are fine left in `columns`: state's `count` values from its `start` on, as int64."""
    starts, counts = state[:, start].copy(), np.where(fine, state[:, count], 0)
    found = [np.empty(int(counts.sum()), np.int64) for _ in columns]
    for column, target in zip(columns, found, strict=True):
        kernels.gather(starts, counts, column, target)
    return found


def _columns(n: int, *kinds: type) -> tuple[NDArray, ...]:
    # Room for the most that can be; pages that nobody writes to take no memory.
    return tuple(np.empty(n, kind) for kind in kinds)


def _run(
    segments: _Segments,
    pools: Pools,
    state: Int64,
    costs: Int64,
    adjusted: tuple[NDArray, ...],
    linked: tuple[NDArray, ...] | None,
    cores: int | None,
) -> None:
    arguments = (
        segments.starts, segments.stored, pools.method, state, segments.qty, segments.own, segments.row, costs,
        adjusted, linked,
    )  # fmt: skip
    n_pools = len(pools.pool_id)
    if cores is None:
        cores = numba.get_num_threads() if segments.size >= WORTH_A_SECOND_CORE else 1
    cores = min(cores, n_pools, CORES)
    if cores <= 1:
        kernels.cost_segments(0, n_pools, *arguments)
        return
    # As many movements for each group as can be without cutting a pool.
    shares = np.linspace(0, segments.size, cores * GROUPS_PER_CORE + 1).astype(np.int64)
    bounds = np.searchsorted(segments.starts, shares)
    bounds[0], bounds[-1] = 0, n_pools
    with _all_cores:
        before = numba.get_num_threads()
        numba.set_num_threads(cores)
        try:
            kernels.cost_segments_on_all_cores(bounds, *arguments)
        finally:
            numba.set_num_threads(before)


def _state(pools: Pools, layers: Layers) -> Int64:
    """The kernel's state before the first event; RARE is what it does not take on."""
    n_pools = len(pools.pool_id)
    state = np.zeros((n_pools, kernels.STATUS + 1), np.int64)
    for column, values in enumerate((pools.qty, pools.value, pools.last_value, pools.last_qty)):
        state[:, column] = values
    rare = pools.allowance != 0  # issues release their share of it
    pool, qty = layers.pool[: layers.stored], layers.qty[: layers.stored]
    held, worth, positive, negative = (np.zeros(n_pools, np.int64) for _ in range(4))
    np.add.at(held, pool, qty)
    np.add.at(worth, pool, layers.value[: layers.stored])
    np.add.at(positive, pool, qty > 0)
    np.add.at(negative, pool, qty < 0)
    rare |= (held != pools.qty) | (worth != pools.value) | ((positive > 0) & (negative > 0))
    rare |= (positive > 1) & (pools.method == Method.MOVING_AVERAGE)
    rare[pool[layers.uncosted[: layers.stored] | (qty == 0)]] = True
    state[:, kernels.STATUS] = np.where(rare, kernels.RARE, 0)
    return state


def _last_costs(before: LastCosts, pools: Pools, stream: Stream, own_row: Int64) -> LastCosts:
    """The items' last known costs: of each, the last receipt that came with a value."""
    row = np.full(len(before.item_id), NONE, np.int64)
    np.maximum.at(row, pools.item, own_row)
    after = LastCosts(before.item_id, before.value.copy(), before.qty.copy())
    learned = row != NONE
    after.value[learned], after.qty[learned] = stream.own[row[learned]], stream.qty[row[learned]]
    return after


def _with_general(
    found: HistoryCosts,
    fine: Bool,
    stream: Stream,
    pools: Pools,
    layers: Layers,
    last_costs: LastCosts,
    general: General,
) -> HistoryCosts:
    """`found` with the pools that are not fine, costed by the general pass."""
    stored = layers.stored
    chosen = np.flatnonzero(~fine)
    local = np.cumsum(~fine) - 1
    rows = np.flatnonzero(~fine[stream.pool])
    kept = np.flatnonzero(~fine[layers.pool[:stored]])
    part = stream.as_rows(rows)
    part.src, part.dst = (np.where(side == NONE, NONE, local[side]) for side in (part.src, part.dst))
    some_layers = Layers(
        local[layers.pool[kept]], layers.no[kept], layers.qty[kept], layers.value[kept], layers.uncosted[kept],
        layers.move[kept], layers.step[kept], stored=len(kept),
    )  # fmt: skip
    some_pools = Pools(*(getattr(pools, name)[chosen] for name in Pools.__slots__))
    try:
        costed = general(part, some_pools, some_layers, last_costs)
    except CannotCost as error:
        raise CannotCost(int(rows[error.move])) from error
    names = np.append(~kept, rows[costed.layers.move[len(kept) : costed.layer_count]])
    return _merged(found, costed, chosen, rows, names)


def _merged(found: HistoryCosts, costed: Costed, chosen: Int64, rows: Int64, names: Int64) -> HistoryCosts:
    """What two passes found over different pools. chosen, rows, names: the general pass's pools, rows, layers."""
    for name in Pools.__slots__:
        getattr(found.pools, name)[chosen] = getattr(costed.pools, name)
    items = np.unique(found.pools.item[chosen])
    for name in ("value", "qty"):
        getattr(found.last_costs, name)[items] = getattr(costed.last_costs, name)[items]
    entries, links, theirs = costed.entries, costed.links, costed.layers
    at_once = entries.step < 2
    found.cost[rows[entries.move[at_once]]] = np.where(entries.step == 0, -entries.value, entries.value)[at_once]
    later = (entries.step >= 2) & (entries.layer != NONE)
    adjustments = Adjustments(
        np.append(found.adjustments.receipt, rows[entries.move[later]]),
        np.append(found.adjustments.corrected, names[entries.layer[later]]),
        np.append(found.adjustments.change, entries.value[later]),
    )
    all_links = found.links
    if all_links is not None:
        all_links = HistoryLinks(
            np.append(all_links.issue, rows[entries.move[links.entry]]),
            np.append(all_links.layer, names[links.layer]),
            np.append(all_links.qty, links.qty),
            np.append(all_links.value, links.value),
        )
    left = np.flatnonzero(theirs.qty[: costed.layer_count])
    left = left[np.lexsort((theirs.no[left], theirs.pool[left]))]
    mine = found.layers
    pool = np.append(mine.pool, chosen[theirs.pool[left]])
    order = np.argsort(pool, kind="stable")
    return replace(
        found,
        layers=LayersLeft(
            pool[order],
            np.append(mine.row, names[left])[order],
            np.append(mine.qty, theirs.qty[left])[order],
            np.append(mine.value, theirs.value[left])[order],
            np.append(mine.uncosted, theirs.uncosted[left])[order],
        ),
        adjustments=adjustments,
        links=all_links,
        releases=replace(costed.releases, move=rows[costed.releases.move], pool=chosen[costed.releases.pool]),
        uncosted=rows[np.flatnonzero(costed.uncosted)],
        left_over=len(chosen),
        final_rows=rows,
        final_values=costed.out_value + costed.in_value,
    )
