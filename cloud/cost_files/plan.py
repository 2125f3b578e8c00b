"""Movements of a file → pools and rows in costing order, for one method.

A pool is an item at a place, and with specific identification a lot of it. Rows stand in the order of the goods:
by time, at one instant receipts before transfers before issues; with periodic methods a month's issues stand at
the month's end. Later news about a receipt (its true price, freight) is added to the receipt itself, so that
everything after it is costed as if it had been known at once.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cloud.cost_files.reading import ABSENT, INTO, OUT_OF, RECEIPTS, Movements, Type, product
from cloud.domain.costing.methods import PERIODIC, Method
from cloud.domain.costing.pools import NONE, LastCosts, Layers, Op, Pools, Rows
from cloud.domain.rounding import minor_unit, round_ratio

Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

MIXED = "mixed"
MINOR_DIGITS = 2  # amounts are shown in 10⁻⁶; only the kernel's posted amounts, not used here, need a currency
NO_LOT = -1

# At one instant: settings, then receipts, transfers, issues, and last what looks at the stock that is left.
_RANKS = {
    Type.SET_STANDARD: -1,
    Type.CHANGE_METHOD: -1,
    Type.RECEIPT: 0,
    Type.OPENING: 0,
    Type.COUNT_GAIN: 0,
    Type.RETURN_IN: 0,
    Type.TRANSFER: 1,
    Type.ISSUE: 2,
    Type.SCRAP: 2,
    Type.COUNT_LOSS: 2,
    Type.RETURN_OUT: 2,
    Type.WRITE_DOWN: 3,
}
_RANK = np.array([_RANKS.get(kind, 0) for kind in Type], np.int64)
_RETURN_RANK = 2  # of a return at its issue's own instant: it cannot come before it


@dataclass(slots=True)
class Plan:
    """What is to be costed.

    rows       in costing order; `movement` says which row of the file each is
    place      pool → (item, place, lot or NO_LOT), codes of the movements
    methods    item → method at the beginning
    extra_landed, extra_price   movement → landed cost and price correction that came to its receipt later
    """

    rows: Rows
    movement: Int64
    pools: Pools
    layers: Layers
    last_costs: LastCosts
    place: Int64
    methods: list[Method]
    price_news: Int64
    landed_news: Int64
    returned: Int64 = field(default_factory=lambda: np.zeros(0, np.int64))


def item_methods(movements: Movements, method: Method | str) -> list[Method]:
    """Each item's method; mixed: items that are given a standard are at standard, the others at moving average."""
    count = len(movements.items) + 1
    if method != MIXED:
        return [Method(method)] * count  # type: ignore[arg-type]
    at_standard = set(movements.item[movements.of_kind(Type.SET_STANDARD)].tolist())
    return [
        Method.STANDARD if code in at_standard else Method.MOVING_AVERAGE
        for code in [*range(len(movements.items)), -1]
    ]


def plan(movements: Movements, method: Method | str) -> Plan:
    """Lay a file's movements out for costing by one method. Raises BadFile."""
    return _Planning(movements, item_methods(movements, method)).plan()


class _Planning:
    """One file being laid out for one method."""

    def __init__(self, movements: Movements, methods: list[Method]) -> None:
        self.movements = movements
        self.methods = methods
        self.found: list[tuple[int, str, str]] = []
        self.method_of_item = np.array(methods, np.int64)
        n = len(movements)
        self.price_news = np.zeros(n, np.int64)
        self.landed_news = np.zeros(n, np.int64)
        self.returned = np.full(n, NONE, np.int64)  # the issue or receipt that a return's `of` names

    def plan(self) -> Plan:
        self._resolve_of()
        self._gather_news()
        movement, lot, qty = self._legs()
        self.movements.refuse(self.found)
        return self._rows(movement, lot, qty)

    # ── What `of` names ─────────────────────────────────────────────────────────────────────────────

    def _resolve_of(self) -> None:
        data = self.movements
        named = np.flatnonzero((data.of != ABSENT) & data.of_kind(
            Type.RETURN_IN, Type.RETURN_OUT, Type.PRICE_CORRECTION, Type.LANDED
        ))  # fmt: skip
        if not len(named):
            return
        issues = np.flatnonzero(data.of_kind(Type.ISSUE))
        receipts = np.flatnonzero(data.of_kind(*RECEIPTS))
        for row in named.tolist():
            back = data.kind[row] == Type.RETURN_IN
            found = self._named(row, issues if back else receipts, counts_rows_first=bool(back))
            if found is None:
                word = "an issue" if back else "a receipt"
                of_item = f" of item {data.items[data.item[row]]}" if data.item[row] >= 0 else ""
                self.found.append((row, "of", f"expected the number of {word}{of_item}, got {data.of[row]}"))
            else:
                self.returned[row] = found

    def _named(self, row: int, candidates: Int64, counts_rows_first: bool) -> int | None:
        """The movement that `of` names: the n-th row of the file, or the n-th receipt (or issue) of it.

        Case files count rows for an issue that comes back and receipts for one that is returned or corrected;
        where the number fits only the other way, or only among the item's own, that is meant.
        """
        data, number = self.movements, int(self.movements.of[row])
        own = candidates[data.item[candidates] == data.item[row]]
        by_row = number - 1 if 1 <= number <= len(data) else NONE
        by_count = int(candidates[number - 1]) if 1 <= number <= len(candidates) else NONE
        by_own = int(own[number - 1]) if 1 <= number <= len(own) else NONE
        possible = set(own.tolist())
        order = (by_row, by_count, by_own) if counts_rows_first else (by_count, by_row, by_own)
        return next((one for one in order if one in possible), None)

    # ── Later news about receipts ───────────────────────────────────────────────────────────────────

    def _gather_news(self) -> None:
        """Price corrections say what a receipt should have cost; the last of them holds. Landed costs add up."""
        data = self.movements
        news = np.flatnonzero(data.of_kind(Type.PRICE_CORRECTION, Type.LANDED))
        for row in news[np.argsort(data.occurred[news], kind="stable")].tolist():
            receipt = int(self.returned[row])
            if receipt == NONE:
                continue
            total, cost = int(data.given["total"][row]), int(data.unit_cost[row])
            qty = int(data.qty[receipt])
            if data.kind[row] == Type.LANDED:
                per_unit = int(data.landed_per_unit[row])
                self.landed_news[receipt] += total if total != ABSENT else product(qty, per_unit, data.cost_digits)
            elif data.value[receipt] == ABSENT:
                self.found.append((row, "of", "expected a receipt with a cost, got one without"))
            else:
                should = total if total != ABSENT else product(qty, cost, data.cost_digits)
                self.price_news[receipt] = should - int(data.value[receipt])

    # ── Legs ────────────────────────────────────────────────────────────────────────────────────────

    def _legs(self) -> tuple[Int64, Int64, Int64]:
        """(movement, lot, quantity) of what moves: one a movement, or one for each lot that is picked."""
        data = self.movements
        goods = np.flatnonzero(data.of_kind(*INTO, *OUT_OF, Type.TRANSFER))
        specific = self.method_of_item[data.item[goods]] == Method.SPECIFIC
        lot = np.where(specific, data.lot[goods], NO_LOT)
        qty = data.qty[goods]
        if not specific.any():
            return goods, lot, qty
        lot = self._lots_of_returns(goods, lot, specific)
        by_picks = [row for row in data.picks if self.method_of_item[data.item[row]] == Method.SPECIFIC]
        whole = ~np.isin(goods, by_picks)
        self._refuse_lots_not_named(goods[whole & specific], lot[whole & specific])
        parts = [(row, *pick) for row in by_picks if np.isin(data.kind[row], (*INTO, *OUT_OF, Type.TRANSFER))
                 for pick in data.picks[row]]  # fmt: skip
        if not parts:
            return goods, lot, qty
        picked = np.array(parts, np.int64).T
        movement = np.concatenate([goods[whole], picked[0]])
        order = np.argsort(movement, kind="stable")
        return (
            movement[order],
            np.concatenate([lot[whole], picked[1]])[order],
            np.concatenate([qty[whole], picked[2]])[order],
        )

    def _lots_of_returns(self, goods: Int64, lot: Int64, specific: Bool) -> Int64:
        """Goods that come or go back are of the lot of what they return."""
        data, lot = self.movements, lot.copy()
        for at in np.flatnonzero(specific & (lot == NO_LOT) & (self.returned[goods] != NONE)).tolist():
            original = int(self.returned[goods[at]])
            picks = data.picks.get(original, [])
            lot[at] = picks[0][0] if len(picks) == 1 else data.lot[original]
        return lot

    def _refuse_lots_not_named(self, goods: Int64, lot: Int64) -> None:
        """Specific identification must know which goods go, once the item has lots at all."""
        data = self.movements
        with_lots = set(data.item[goods[lot != NO_LOT]].tolist()) | {int(data.item[row]) for row in data.picks}
        for row in goods[lot == NO_LOT].tolist():
            if int(data.item[row]) in with_lots and data.kind[row] in (*OUT_OF, Type.TRANSFER, Type.RETURN_IN):
                self.found.append(
                    (row, "lot", "expected the lot (or picks) of goods identified one by one, got none")
                )

    # ── Pools and rows ──────────────────────────────────────────────────────────────────────────────

    def _rows(self, movement: Int64, lot: Int64, qty: Int64) -> Plan:
        data = self.movements
        item, kind = data.item[movement], data.kind[movement]
        leaves = np.isin(kind, (*OUT_OF, Type.TRANSFER))
        enters = np.isin(kind, (*INTO, Type.TRANSFER))
        keys_from = np.stack([item, data.pool[movement], lot], axis=1)
        arriving = np.stack([item, data.to_pool[movement], lot], axis=1)
        keys_to = np.where((kind == Type.TRANSFER)[:, None], arriving, keys_from)
        settings = np.flatnonzero(data.of_kind(Type.SET_STANDARD, Type.CHANGE_METHOD, Type.WRITE_DOWN))
        specific = self.method_of_item[data.item[settings]] == Method.SPECIFIC
        lots = np.where(specific, data.lot[settings], NO_LOT)
        keys_set = np.stack([data.item[settings], data.pool[settings], lots], axis=1)
        # A standard for an item that never moves still makes a pool, which is empty.
        place, pool = _distinct(np.concatenate([keys_from, keys_to, keys_set]))
        n = len(movement)
        src = np.where(leaves, pool[:n], NONE)
        dst = np.where(enters, pool[n : 2 * n], NONE)
        same = leaves & enters & (src == dst)  # a transfer to where the goods are moves nothing
        kept = np.flatnonzero(~same)
        legs = _Legs(movement[kept], src[kept], dst[kept], qty[kept])
        return self._ordered(self._split_of_periods(legs), place, settings)

    def _split_of_periods(self, legs: "_Legs") -> "_Legs":
        """A transfer out of a periodic pool leaves at the month's end and arrives when it did: two rows."""
        data = self.movements
        through = (legs.src != NONE) & (legs.dst != NONE)
        periodic = np.isin(self.method_of_item[data.item[legs.movement]], [int(one) for one in PERIODIC])
        changing = set(data.new_method)
        if changing:
            items = {int(data.item[row]) for row, method in data.new_method.items() if method in PERIODIC}
            periodic |= np.isin(data.item[legs.movement], list(items))
        split = np.flatnonzero(through & periodic)
        if not len(split):
            return legs
        arriving = _Legs(legs.movement[split], np.full(len(split), NONE), legs.dst[split], legs.qty[split], split)
        dst = legs.dst.copy()
        dst[split] = NONE
        return _Legs(
            np.concatenate([legs.movement, arriving.movement]),
            np.concatenate([legs.src, arriving.src]),
            np.concatenate([dst, arriving.dst]),
            np.concatenate([legs.qty, arriving.qty]),
            np.concatenate([np.full(len(legs.movement), NONE), split]),
        )

    def _ordered(self, legs: "_Legs", place: Int64, settings: Int64) -> Plan:
        data = self.movements
        columns = _columns_of_legs(data, legs, self.price_news, self.landed_news)
        columns["ref"] = self._references(legs)
        columns["movement"] = legs.movement
        columns = _joined(columns, self._settings(settings, place))
        movement = columns.pop("movement")
        method_then = self._method_at(movement)
        periodic = np.isin(method_then, [int(one) for one in PERIODIC])
        order = self._order(movement, columns, periodic)
        position = np.empty(len(order), np.int64)
        position[order] = np.arange(len(order))
        ref = columns["ref"]
        columns["ref"] = np.where(ref == NONE, NONE, position[ref])
        rows = Rows.of(
            len(order), **{name: column[order] for name, column in columns.items()}, settled=periodic[order]
        )
        n_pools, n_items = len(place), len(self.methods)
        item = np.where(place[:, 0] < 0, n_items - 1, place[:, 0])
        pools = Pools.empty(
            np.arange(n_pools), item, self.method_of_item[item], np.full(n_pools, minor_unit(MINOR_DIGITS))
        )
        _give_first_standards(rows, pools)
        return Plan(
            rows, movement[order], pools, Layers.empty(), LastCosts.empty(np.arange(n_items)), place, self.methods,
            self.price_news, self.landed_news, self.returned,
        )  # fmt: skip

    def _references(self, legs: "_Legs") -> Int64:
        """Row (before ordering) that a return names."""
        data = self.movements
        ref = legs.part_of.copy()
        kinds = data.kind[legs.movement]
        returns = np.flatnonzero((self.returned[legs.movement] != NONE) & (ref == NONE))
        returns = returns[np.isin(kinds[returns], (Type.RETURN_IN, Type.RETURN_OUT))]
        if not len(returns):
            return ref
        rows_of: dict[int, list[int]] = {}
        wanted = self.returned[legs.movement[returns]]
        for row in np.flatnonzero(np.isin(legs.movement, wanted) & (legs.part_of == NONE)).tolist():
            rows_of.setdefault(int(legs.movement[row]), []).append(row)
        for at, original in zip(returns.tolist(), wanted.tolist(), strict=True):
            back = kinds[at] == Type.RETURN_IN
            if back and data.value[legs.movement[at]] != ABSENT:
                continue  # comes back at the cost it names
            pool = legs.dst[at] if back else legs.src[at]
            among = rows_of.get(original, [])
            side = legs.src if back else legs.dst
            same = [row for row in among if side[row] == pool]
            ref[at] = (same or among or [NONE])[0]
        return ref

    def _settings(self, settings: Int64, place: Int64) -> dict[str, Int64]:
        """Rows that move nothing: for the pool that is named, or for every pool of the item."""
        data = self.movements
        op = {
            Type.SET_STANDARD: Op.SET_STANDARD,
            Type.CHANGE_METHOD: Op.CHANGE_METHOD,
            Type.WRITE_DOWN: Op.WRITE_DOWN,
        }
        found: list[tuple[int, int, int, int]] = []
        for row in settings.tolist():
            kind = Type(int(data.kind[row]))
            here = place[:, 0] == data.item[row]
            if data.pool[row] != 0 or kind == Type.WRITE_DOWN:
                here &= place[:, 1] == data.pool[row]
            if kind == Type.SET_STANDARD:
                own = product(10**6, int(data.unit_cost[row]), data.cost_digits)
            elif kind == Type.CHANGE_METHOD:
                own = int(data.new_method[row])
                if Method.SPECIFIC in (own, self.method_of_item[data.item[row]]):
                    self.found.append((row, "method", "specific identification cannot begin or end within a file"))
            else:
                own = int(data.given["total"][row])
                if self.method_of_item[data.item[row]] == Method.SPECIFIC:
                    here &= place[:, 2] == data.lot[row]
            found += [(op[kind], int(pool), own, row) for pool in np.flatnonzero(here)]
        self.movements.refuse(self.found)
        table = np.array(found, np.int64).reshape(-1, 4).T
        none = np.full(table.shape[1], NONE)
        return {
            "op": table[0], "src": none, "dst": table[1], "qty": np.zeros_like(none), "own": table[2],
            "extra": np.zeros_like(none), "ref": none, "movement": table[3],
        }  # fmt: skip

    def _method_at(self, movement: Int64) -> Int64:
        """Each row's method at its time."""
        data = self.movements
        method = self.method_of_item[data.item[movement]].copy()
        for row, new in sorted(data.new_method.items(), key=lambda one: data.occurred[one[0]]):
            later = (data.item[movement] == data.item[row]) & (data.occurred[movement] >= data.occurred[row])
            if data.pool[row] != 0:
                later &= data.pool[movement] == data.pool[row]
            method[later] = int(new)
        return method

    def _order(self, movement: Int64, columns: dict[str, Int64], periodic: Bool) -> Int64:
        data = self.movements
        time = data.occurred[movement]
        rank = _RANK[data.kind[movement]] if data.is_dated else np.zeros(len(movement), np.int64)
        month = _months(time) if data.is_dated else np.zeros(len(movement), np.int64)
        ref = columns["ref"]
        # What its own instant's, or its own period's, issue gives back comes after that issue.
        given_back = (data.kind[movement] == Type.RETURN_IN) & (columns["op"] == Op.RETURN_IN)
        returns = np.flatnonzero(given_back & (ref != NONE))
        at_end = periodic & (columns["src"] != NONE)
        if len(returns):
            named = ref[returns]
            rank[returns[time[named] == time[returns]]] = _RETURN_RANK
            at_end[returns] = periodic[returns] & periodic[named] & (month[named] == month[returns])
        if not at_end.any():
            return np.lexsort((movement, rank, time))
        return np.lexsort((movement, rank, time, at_end, month))


@dataclass(slots=True)
class _Legs:
    """Rows before they are ordered; part_of: the row whose goods arrive here, of a transfer that was split."""

    movement: Int64
    src: Int64
    dst: Int64
    qty: Int64
    part_of: Int64 = field(default_factory=lambda: np.zeros(0, np.int64))

    def __post_init__(self) -> None:
        if len(self.part_of) != len(self.movement):
            self.part_of = np.full(len(self.movement), NONE, np.int64)


def _columns_of_legs(data: Movements, legs: _Legs, price_news: Int64, landed_news: Int64) -> dict[str, Int64]:
    kind = data.kind[legs.movement]
    op = np.full(len(kind), int(Op.MOVE), np.int64)
    op[(kind == Type.RETURN_IN) | (legs.part_of != NONE)] = Op.RETURN_IN
    op[kind == Type.RETURN_OUT] = Op.RETURN_OUT
    value = data.value[legs.movement]
    has_own = np.isin(kind, INTO) & (value != ABSENT)
    own = np.where(has_own, value, NONE)
    # A return of several lots shares its value among them by quantity.
    split = has_own & (data.qty[legs.movement] != legs.qty)
    for row in np.flatnonzero(split).tolist():
        same = np.flatnonzero(legs.movement == legs.movement[row])
        before = int(legs.qty[same[same < row]].sum())
        whole, all_value = int(data.qty[legs.movement[row]]), int(value[row])
        upto = (2 * all_value * (before + int(legs.qty[row])) + whole) // (2 * whole)
        own[row] = upto - (2 * all_value * before + whole) // (2 * whole)
    extra = data.landed[legs.movement] + price_news[legs.movement] + landed_news[legs.movement]
    return {
        "op": op, "src": legs.src, "dst": legs.dst, "qty": legs.qty, "own": own,
        "extra": np.where(np.isin(kind, RECEIPTS), extra, 0),
    }  # fmt: skip


def _give_first_standards(rows: Rows, pools: Pools) -> None:
    """Goods that leave a pool at standard cost before it has a standard cost what its first one says.

    The first: what it is set to, or the unit cost of a receipt. A pool whose first goods come at a cost needs no
    help here.
    """
    n, n_pools = len(rows), len(pools.pool_id)
    sets = rows.op == Op.SET_STANDARD
    paid = np.isin(rows.op, (Op.MOVE, Op.RETURN_IN)) & (rows.dst != NONE) & (rows.own != NONE)
    first_cost, first_goods = np.full(n_pools, n), np.full(n_pools, n)
    costs = np.flatnonzero(sets | paid)
    np.minimum.at(first_cost, rows.dst[costs], costs)
    for side in (rows.src, rows.dst):
        goods = np.flatnonzero((side != NONE) & (rows.qty > 0))
        np.minimum.at(first_goods, side[goods], goods)
    late = (pools.method == Method.STANDARD) & (first_goods < first_cost) & (first_cost < n)
    for pool in np.flatnonzero(late).tolist():
        first = int(first_cost[pool])
        value = int(rows.own[first] + rows.extra[first])
        pools.standard[pool] = value if sets[first] else round_ratio(value * 10**6, int(rows.qty[first]))


def _joined(first: dict[str, Int64], second: dict[str, Int64]) -> dict[str, Int64]:
    return {name: np.concatenate([column, second[name]]) for name, column in first.items()}


def _distinct(keys: Int64) -> tuple[Int64, Int64]:
    """(distinct keys in sorted order, the index of each key in them); codes of −1 and above."""
    sizes = keys.max(axis=0) + 2
    packed = ((keys[:, 0] + 1) * sizes[1] + keys[:, 1] + 1) * sizes[2] + keys[:, 2] + 1
    _, first, inverse = np.unique(packed, return_index=True, return_inverse=True)
    return keys[first], inverse.reshape(-1)


def _months(times_us: Int64) -> Int64:
    """Months since 1970-01, in UTC or in the file's own clock."""
    return times_us.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
