"""The border between rows and kernels: pools, layers and last costs as arrays, costed in one pass."""

import hashlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cloud.domain.costing import kernels

Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

METHODS = {"moving_average": kernels.MOVING_AVERAGE, "fifo": kernels.FIFO}


def pool_id(site: int, item: int, account: int, dimension: int = 0, owner: int = 0, lot: int = 0) -> int:
    """The id of the pool of this key within its company: 63 bits of a hash, the same on every replay.

    Two keys of one company sharing an id would need some 10⁹ pools to become likely; the table's unique
    key refuses it loudly rather than mixing two pools.
    """
    key = f"{site}/{item}/{account}/{dimension}/{owner}/{lot}".encode()
    return int.from_bytes(hashlib.sha256(key).digest()[:8], "big") >> 1


@dataclass(slots=True)
class Pools:
    """P pools in order of id; item counts within Items. All int64[P]."""

    pool_id: Int64
    item: Int64
    account: Int64
    method: Int64
    unit: Int64
    qty: Int64
    value: Int64
    last_value: Int64
    last_qty: Int64
    next_no: Int64

    def copy(self) -> "Pools":
        return Pools(*(getattr(self, name).copy() for name in self.__slots__))


@dataclass(slots=True)
class Layers:
    """L layers by pool and number. pool: local index; `stored` of them were read, the rest are new.

    move, step  the movement (row of this batch, or NONE for a stored layer) and step that made it
    """

    pool: Int64
    no: Int64
    qty: Int64
    value: Int64
    uncosted: Bool
    move: Int64
    step: Int64
    stored: int

    def grown(self, more: int) -> "Layers":
        """A copy with room for `more` new layers."""

        def grow(column: NDArray) -> NDArray:
            return np.concatenate([column, np.zeros(more, column.dtype)])

        return Layers(
            grow(self.pool), grow(self.no), grow(self.qty), grow(self.value), grow(self.uncosted), grow(self.move),
            grow(self.step), self.stored,
        )  # fmt: skip


@dataclass(slots=True)
class LastCosts:
    """The items' last known costs: value (10⁻⁶ currency) for qty (10⁻⁶ units); qty 0 where none is known."""

    item_id: Int64
    value: Int64
    qty: Int64


@dataclass(slots=True)
class Entries:
    """Cost entries, E rows in the order they happened. `layer`: the layer an adjustment corrects, or NONE."""

    move: Int64
    step: Int64
    pool: Int64
    qty: Int64
    value: Int64
    posted: Int64
    layer: Int64


@dataclass(slots=True)
class Links:
    """Which entry took how much of which layer, K rows."""

    entry: Int64
    layer: Int64
    qty: Int64
    value: Int64


class CannotCost(ArithmeticError):
    """A movement's cost, or the stock it makes, passes what the books can hold; `move` is its row."""

    def __init__(self, move: int) -> None:
        super().__init__(
            f"movement in row {move}: its cost passes {kernels.VALUE_LIMIT} × 10⁻⁶ of the currency, or the stock it"
            f" makes {kernels.QTY_LIMIT} × 10⁻⁶ units"
        )
        self.move = move


@dataclass(slots=True)
class Costed:
    """What came of a batch: the state after it, its entries and links, and which movements had no cost."""

    pools: Pools
    layers: Layers
    last_costs: LastCosts
    entries: Entries
    links: Links
    uncosted: Bool
    layer_count: int = field(default=0)


def cost(
    src: Int64, dst: Int64, qty: Int64, own_value: Int64, pools: Pools, layers: Layers, last_costs: LastCosts
) -> Costed:
    """Cost n movements in the order given. The arguments stay as they are. Raises CannotCost.

    src, dst   local pool or NONE; qty 10⁻⁶ units; own_value 10⁻⁶ currency or NONE
    """
    n = len(qty)
    entry_room, link_room = 4 * n + 16, 2 * n + layers.stored + 16
    while True:
        after, grown = pools.copy(), layers.grown(2 * n)
        costs = LastCosts(last_costs.item_id, last_costs.value.copy(), last_costs.qty.copy())
        head, tail, following = _queues(len(pools.pool_id), grown)
        entries = Entries(*(np.empty(entry_room, np.int64) for _ in range(7)))
        links = Links(*(np.empty(link_room, np.int64) for _ in range(4)))
        uncosted = np.zeros(n, np.bool_)
        status, move, n_layers, n_entries, n_links = kernels.cost_batch(
            src, dst, qty, own_value,
            after.item, after.method, after.unit, after.qty, after.value, after.last_value, after.last_qty,
            head, tail, after.next_no,
            costs.value, costs.qty,
            grown.qty, grown.value, grown.uncosted, following, grown.no, grown.pool, grown.move, grown.step,
            layers.stored,
            entries.move, entries.step, entries.pool, entries.qty, entries.value, entries.posted, entries.layer,
            links.entry, links.layer, links.qty, links.value,
            uncosted,
        )  # fmt: skip
        if status == kernels.OVERFLOWED:
            raise CannotCost(int(move))
        if status == kernels.FINE:
            break
        # One receipt can settle any number of shortages; the rare batch that does is costed again with room.
        entry_room, link_room = 2 * entry_room + layers.stored, 2 * link_room
    return Costed(
        after,
        grown,
        costs,
        Entries(*(getattr(entries, name)[:n_entries] for name in Entries.__slots__)),
        Links(*(getattr(links, name)[:n_links] for name in Links.__slots__)),
        uncosted,
        int(n_layers),
    )


def _queues(n_pools: int, layers: Layers) -> tuple[Int64, Int64, Int64]:
    """Each pool's oldest and youngest layer, and each layer's next, from layers ordered by pool and number."""
    head = np.full(n_pools, kernels.NONE, np.int64)
    tail = np.full(n_pools, kernels.NONE, np.int64)
    following = np.full(len(layers.pool), kernels.NONE, np.int64)
    stored = layers.stored
    if stored:
        pool = layers.pool[:stored]
        rows = np.arange(stored)
        last = np.append(pool[1:] != pool[:-1], True)
        first = np.append(True, pool[1:] != pool[:-1])
        head[pool[first]] = rows[first]
        tail[pool[last]] = rows[last]
        following[:stored] = np.where(last, kernels.NONE, rows + 1)
    return head, tail, following


def demand_by_pool(src: Int64, qty: Int64, n_pools: int) -> Int64:
    """How much the batch takes out of each pool at most, int64[P].

    No pool holds more than QTY_LIMIT, so every sum is capped there: sums of movements can pass int64.
    """
    demand = np.zeros(n_pools, np.int64)
    issues = src != kernels.NONE
    if float(qty[issues].sum(dtype=np.float64)) >= kernels.QTY_LIMIT:
        demand[src[issues]] = kernels.QTY_LIMIT
        return demand
    np.add.at(demand, src[issues], qty[issues])
    return demand
