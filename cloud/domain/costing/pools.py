"""The border between records and kernels: rows, pools, layers and last costs as arrays, costed in one pass."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud.domain.costing import kernels
from cloud.domain.costing.methods import Method

Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

NONE = kernels.NONE
METHODS = {method.label: int(method) for method in Method}


class Op(IntEnum):
    """What a row does to its pools."""

    MOVE = kernels.MOVE  # goods out of src, into dst, or both
    FEED = kernels.FEED  # goods out of src; their value, without quantity, into dst
    RETURN_IN = kernels.RETURN_IN  # goods into dst at their share of an issue's final cost
    RETURN_OUT = kernels.RETURN_OUT  # goods out of src, from the named receipt's layer first
    VALUE_AT = kernels.VALUE_AT  # a value for the goods of the named receipt
    ABSORB = kernels.ABSORB  # a value for whatever dst holds
    SET_STANDARD = kernels.SET_STANDARD  # dst's standard cost is `own` from here on
    WRITE_DOWN = kernels.WRITE_DOWN  # dst's allowance grows by `own`
    CHANGE_METHOD = kernels.CHANGE_METHOD  # dst is costed by method number `own` from here on
    SETTLE = kernels.SETTLE  # dst's average here is the price of its issues until the next settlement


def pool_id(site: int, item: int, account: int, dimension: int = 0, owner: int = 0, lot: int = 0) -> int:
    """The id of the pool of this key within its company: 63 bits of a hash, the same on every replay.

    Two keys of one company sharing an id would need some 10⁹ pools to become likely; the table's unique
    key refuses it loudly rather than mixing two pools.
    """
    key = f"{site}/{item}/{account}/{dimension}/{owner}/{lot}".encode()
    return int.from_bytes(hashlib.sha256(key).digest()[:8], "big") >> 1


@dataclass(slots=True)
class Rows:
    """n rows in costing order. Quantities 10⁻⁶ stock units, values 10⁻⁶ currency; NONE (−1) where absent.

    op         int64[n], Op
    src, dst   local pools; a movement inside one pool must not be here
    qty        1 … QTY_MAX; 0 for changes of value
    own        a receipt's own value, 0 or more, or NONE: what src gave, else the pool's known cost. For changes of
               value always there and signed; for SET_STANDARD per stock unit, for CHANGE_METHOD the method
    extra      signed, added to the value of the dst leg: corrections and landed cost known since
    ref        the row of this batch that a return or value names: an issue (RETURN_IN), a receipt (others)
    ref_layer  instead of ref, the stored layer that the named receipt made (RETURN_OUT, VALUE_AT)
    ref_cost   instead of ref, the stored issue's final cost so far (RETURN_IN)
    ref_qty    what the stored issue issued, or the stored receipt received
    ref_done   what of the stored issue came back before
    given      the value that an edge carries, from an earlier round of the same rows, or NONE
    settled    bool[n]: its period is settled (matters to periodic methods only)
    """

    op: Int64
    src: Int64
    dst: Int64
    qty: Int64
    own: Int64
    extra: Int64
    ref: Int64
    ref_layer: Int64
    ref_cost: Int64
    ref_qty: Int64
    ref_done: Int64
    given: Int64
    settled: Bool

    def __len__(self) -> int:
        return len(self.op)

    @classmethod
    def of(cls, n: int, **columns: Any) -> "Rows":
        """Rows with these columns; what is not named stands at its default (MOVE, NONE or 0)."""
        return cls(**{name: _column(name, n, columns.pop(name, None)) for name in cls.__slots__}, **columns)

    def take(self, index: Any) -> "Rows":
        """The rows of a slice or index. Raises nothing about `ref`, which counts rows of the whole."""
        return Rows(*(getattr(self, name)[index] for name in self.__slots__))


_DEFAULTS = {"op": 0, "qty": 0, "extra": 0, "ref_cost": 0, "ref_qty": 0, "ref_done": 0}


def _column(name: str, n: int, values: Any) -> NDArray[Any]:
    kind = np.bool_ if name == "settled" else np.int64
    if values is None:
        return np.full(n, False if name == "settled" else _DEFAULTS.get(name, NONE), kind)
    column: NDArray[Any] = np.ascontiguousarray(values, kind)
    if len(column) != n:
        raise ValueError(f"{name}: expected {n} rows, got {len(column)}")
    return column


@dataclass(slots=True)
class Pools:
    """P pools in order of id; item counts within LastCosts. All int64[P].

    standard                  standard cost per stock unit, 10⁻⁶ currency, or NONE
    settled_value, _qty       last settled price of a periodic method; qty 0 before the first settlement
    allowance                 what is written off against the pool without changing its cost
    """

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
    standard: Int64 = field(default_factory=lambda: np.zeros(0, np.int64))
    settled_value: Int64 = field(default_factory=lambda: np.zeros(0, np.int64))
    settled_qty: Int64 = field(default_factory=lambda: np.zeros(0, np.int64))
    allowance: Int64 = field(default_factory=lambda: np.zeros(0, np.int64))

    def __post_init__(self) -> None:
        n = len(self.pool_id)
        for name, default in (("standard", NONE), ("settled_value", 0), ("settled_qty", 0), ("allowance", 0)):
            if len(getattr(self, name)) != n:
                setattr(self, name, np.full(n, default, np.int64))

    @classmethod
    def empty(cls, pool_id: Any, item: Any, method: Any, unit: Any, account: Any = None) -> "Pools":
        """Pools that hold nothing and never cost anything."""
        n = len(pool_id)
        return cls(
            pool_id=np.ascontiguousarray(pool_id, np.int64),
            item=np.ascontiguousarray(item, np.int64),
            account=np.zeros(n, np.int64) if account is None else np.ascontiguousarray(account, np.int64),
            method=np.ascontiguousarray(method, np.int64),
            unit=np.ascontiguousarray(unit, np.int64),
            qty=np.zeros(n, np.int64),
            value=np.zeros(n, np.int64),
            last_value=np.zeros(n, np.int64),
            last_qty=np.zeros(n, np.int64),
            next_no=np.ones(n, np.int64),
        )

    def copy(self) -> "Pools":
        return Pools(*(getattr(self, name).copy() for name in self.__slots__))


@dataclass(slots=True)
class Layers:
    """L layers by pool and number. pool: local index; `stored` of them were read, the rest are new.

    move, step  the row of this batch, or NONE for a stored layer, and the step that made it
    """

    pool: Int64
    no: Int64
    qty: Int64
    value: Int64
    uncosted: Bool
    move: Int64
    step: Int64
    stored: int

    @classmethod
    def empty(cls) -> "Layers":
        none = np.zeros(0, np.int64)
        return cls(none, none, none, none, np.zeros(0, np.bool_), none, none, stored=0)

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

    @classmethod
    def empty(cls, item_ids: Any) -> "LastCosts":
        n = len(item_ids)
        return cls(np.ascontiguousarray(item_ids, np.int64), np.zeros(n, np.int64), np.zeros(n, np.int64))


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


@dataclass(slots=True)
class Releases:
    """Changes of pools' allowances, R rows: by which row, how much (signed 10⁻⁶) and its posted amount."""

    move: Int64
    pool: Int64
    value: Int64
    posted: Int64


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
    """What came of rows: the state after them, their entries and links, and by row (n each):

    uncosted   bool, no cost was known
    out_value  cost of the src leg, with what settled its shortage so far
    in_value   value into the dst leg, with what a first cost added to it; for changes of value what the pool took
    carried    what an edge carried from its issue to its receipt, or NONE
    done       RETURN_IN: what of the issue had come back before
    variance   received at standard cost: what was paid beyond the standard
    left       of a change of value, what the pool did not take
    open       bool, an edge that carried something else than its issue's cost: re-costing is due
    """

    pools: Pools
    layers: Layers
    last_costs: LastCosts
    entries: Entries
    links: Links
    uncosted: Bool
    layer_count: int
    releases: Releases
    out_value: Int64
    in_value: Int64
    carried: Int64
    done: Int64
    variance: Int64
    left: Int64
    open: Bool


class NoRoom(Exception):
    """The outputs of a pass were too small: one receipt can settle any number of shortages."""


class Pass:
    """Rows on their way through the kernel: their records, and how far they are.

    The arguments stay as they are. `rows["given"]` may be changed between one run of some rows and the next.
    """

    def __init__(
        self, rows: Rows, pools: Pools, layers: Layers, last_costs: LastCosts, generosity: int = 1
    ) -> None:
        n, stored = len(rows), layers.stored
        self._last_costs, self._pools, self._stored = last_costs, pools, stored
        self.rows = _records(kernels.ROW, n, rows)
        self.pools = _records(kernels.POOL, len(pools.pool_id), pools)
        self.layers = _records(kernels.LAYER, stored + 2 * n, layers)
        self.pools["head"], self.pools["tail"], self.layers["next"][:stored] = _queues(pools, layers)
        np.add.at(
            self.pools["waiting"], layers.pool[:stored][layers.uncosted[:stored] & (layers.qty[:stored] > 0)], 1
        )
        self.items = np.zeros(len(last_costs.item_id), kernels.ITEM)
        self.items["last_value"], self.items["last_qty"] = last_costs.value, last_costs.qty
        self.entries = np.empty(generosity * (4 * n + 16) + (generosity - 1) * stored, kernels.ENTRY)
        self.links = np.empty(generosity * (2 * n + stored + 16), kernels.LINK)
        self.releases = np.empty(n, kernels.RELEASE)
        self.outcomes = np.zeros(n, kernels.OUTCOME)
        self.outcomes["carried"] = self.outcomes["made"] = NONE
        self.count = np.array([stored, 0, 0, 0, kernels.FINE, 0], np.int64)

    def __len__(self) -> int:
        return len(self.rows)

    def go(self, start: int, stop: int) -> None:
        """Cost these rows. Raises CannotCost and NoRoom, and the pass is spoilt then."""
        stopped = kernels.cost_rows(
            start, stop, self.rows, self.pools, self.layers, self.items, self.entries, self.links, self.releases,
            self.outcomes, self.count,
        )  # fmt: skip
        status = int(self.count[kernels.STATUS])
        if status == kernels.OVERFLOWED:
            raise CannotCost(int(stopped))
        if status != kernels.FINE:
            raise NoRoom

    def wanted(self, start: int, stop: int) -> Int64:
        """What each edge of these rows should have carried, now that its issue's cost is known as well as can be."""
        rows, out_value = self.rows[start:stop], self.outcomes["out_value"]
        wanted = np.full(stop - start, NONE, np.int64)
        free = rows["own"] == NONE
        through = np.flatnonzero((rows["src"] != NONE) & (rows["dst"] != NONE) & free)
        wanted[through] = out_value[through + start]
        # A feed that was split from its issue, which stands at its period's end.
        fed = np.flatnonzero((rows["op"] == Op.FEED) & (rows["src"] == NONE) & (rows["ref"] != NONE) & free)
        wanted[fed] = out_value[rows["ref"][fed]]
        back = np.flatnonzero((rows["op"] == Op.RETURN_IN) & (rows["ref"] != NONE) & free)
        if len(back):
            issue = rows["ref"][back]
            wanted[back] = kernels.shares(
                out_value[issue], self.rows["qty"][issue], self.outcomes["done"][back + start], rows["qty"][back]
            )
        return wanted

    def costed(self) -> "Costed":
        """What came of all rows."""
        layers, entries, links, releases = (int(count) for count in self.count[: kernels.STATUS])
        outcomes = _columns(self.outcomes)
        wanted = self.wanted(0, len(self.rows))
        pools = _columns(self.pools)
        last = _columns(self.items)
        return Costed(
            Pools(
                self._pools.pool_id, pools["item"], self._pools.account, *(pools[n] for n in Pools.__slots__[3:])
            ),
            Layers(**_columns(self.layers, Layers.__slots__[:-1]), stored=self._stored),
            LastCosts(self._last_costs.item_id, last["last_value"], last["last_qty"]),
            Entries(**_columns(self.entries[:entries])),
            Links(**_columns(self.links[:links])),
            outcomes["uncosted"],
            layers,
            Releases(**_columns(self.releases[:releases])),
            outcomes["out_value"],
            outcomes["in_value"],
            outcomes["carried"],
            outcomes["done"],
            outcomes["variance"],
            outcomes["left"],
            (wanted != NONE) & (wanted != outcomes["carried"]),
        )


def _records(kind: np.dtype, n: int, columns: Any) -> NDArray[Any]:
    """n records of what `columns` has of their fields; the rest, and those beyond its length, are 0."""
    records = np.zeros(n, kind)
    for name in kind.names or ():
        if (column := getattr(columns, name, None)) is not None:
            records[name][: len(column)] = column
    return records


def _columns(records: NDArray[Any], names: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
    """Each field of the records as a column of its own."""
    return {name: np.ascontiguousarray(records[name]) for name in names or records.dtype.names or ()}


def cost(rows: Rows, pools: Pools, layers: Layers, last_costs: LastCosts) -> Costed:
    """Cost n rows in the order given, once. The arguments stay as they are. Raises CannotCost."""
    generosity = 1
    while True:
        one = Pass(rows, pools, layers, last_costs, generosity)
        try:
            one.go(0, len(rows))
        except NoRoom:
            generosity *= 2
            continue
        return one.costed()


def _queues(pools: Pools, layers: Layers) -> tuple[Int64, Int64, Int64]:
    """Each pool's first and last layer to give, and each layer's next, from layers ordered by pool and number."""
    n_pools = len(pools.pool_id)
    head = np.full(n_pools, NONE, np.int64)
    tail = np.full(n_pools, NONE, np.int64)
    following = np.full(len(layers.pool), NONE, np.int64)
    stored = layers.stored
    if stored:
        pool = layers.pool[:stored]
        rows = np.arange(stored)
        last = np.append(pool[1:] != pool[:-1], True)
        first = np.append(True, pool[1:] != pool[:-1])
        # The youngest gives first, but shortages are settled oldest first everywhere.
        turned = np.isin(pools.method[pool], (Method.LIFO, Method.PERIODIC_LIFO)) & (layers.qty[:stored] > 0)
        head[pool[first]] = np.where(turned[first], rows[last], rows[first])
        tail[pool[first]] = np.where(turned[first], rows[first], rows[last])
        following[:stored] = np.where(
            turned, np.where(first, NONE, rows - 1), np.where(last, NONE, rows + 1)
        )  # fmt: skip
    return head, tail, following


def demand_by_pool(src: Int64, qty: Int64, n_pools: int) -> Int64:
    """How much the batch takes out of each pool at most, int64[P].

    No pool holds more than QTY_LIMIT, so every sum is capped there: sums of movements can pass int64.
    """
    demand = np.zeros(n_pools, np.int64)
    issues = src != NONE
    if float(qty[issues].sum(dtype=np.float64)) >= kernels.QTY_LIMIT:
        demand[src[issues]] = kernels.QTY_LIMIT
        return demand
    np.add.at(demand, src[issues], qty[issues])
    return demand
