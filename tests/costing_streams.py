"""Streams of everything that changes a cost, drawn at random, and the way from them to the kernel and back.

`streams()` draws a few pools and rows of every kind upon them; `costed` plays rows through the kernel,
`plain` and `plain_of` say the kernel's and the reference's answer in the same words.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from cloud.domain.costing.methods import Method, method_named
from cloud.domain.costing.pools import NONE, Costed, LastCosts, Layers, Op, Pools, Rows, cost
from tests.costing_reference import Books, Pool, Row

METHODS = tuple(method.label for method in Method)
UNITS = (10_000, 1_000_000, 1_000)  # minor units of two, no and three digits
ITEMS = 2

Before = tuple[Pools, Layers, LastCosts]


@dataclass(frozen=True)
class Stream:
    """Pools as (item, method, minor unit), and what happens to them."""

    pools: tuple[tuple[int, str, int], ...]
    rows: tuple[Row, ...]

    def books(self) -> Books:
        return Books([Pool(*pool) for pool in self.pools])

    def empty(self) -> Before:
        """Pools that hold nothing and items that never cost anything."""
        item, method, unit = zip(*self.pools, strict=True)
        numbers = [int(method_named(name)) for name in method]
        return Pools.empty(range(len(self.pools)), item, numbers, unit), Layers.empty(), LastCosts.empty([0, 1])


class Draft(NamedTuple):
    """A row before it is known which pools and rows there are to name."""

    kind: str
    here: int
    there: int
    qty: int
    own: int | None
    change: int
    standard: int
    extra: int
    given: int | None
    pick: int
    settled: bool


GOODS = ("receipt", "receipt", "receipt", "issue", "issue", "transfer")
RETURNS = ("return_in", "return_out")
CHANGES = ("value_at", "absorb", "set_standard", "write_down", "change_method", "settle")

small_or_large = st.one_of(st.integers(1, 12), st.integers(1, 10**7))
own_value = st.one_of(st.none(), st.integers(0, 40), st.integers(0, 10**9))
change = st.one_of(st.integers(-60, 60), st.integers(-(10**9), 10**9))
standard = st.one_of(st.integers(0, 9), st.integers(0, 10**9))
number = st.integers(0, 30)


def drafts(kinds: Sequence[str], givens: bool = False, qty: Any = small_or_large) -> st.SearchStrategy[Draft]:
    """Rows of these kinds, each as often as it is named."""
    return st.builds(
        Draft,
        st.sampled_from(tuple(kinds)), number, number, qty, own_value, change, standard,
        st.one_of(st.just(0), st.just(0), change),
        st.one_of(st.none(), st.none(), st.integers(0, 10**6)) if givens else st.none(),
        number, st.booleans(),
    )  # fmt: skip


def pool_sets(methods: Sequence[str] = METHODS, most: int = 4) -> st.SearchStrategy[tuple]:
    one = st.tuples(st.integers(0, ITEMS - 1), st.sampled_from(tuple(methods)), st.sampled_from(UNITS))
    return st.lists(one, min_size=1, max_size=most).map(tuple)


def streams(
    kinds: Sequence[str] = (*GOODS, *GOODS, "feed", *RETURNS, *CHANGES),
    methods: Sequence[str] = METHODS,
    givens: bool = False,
    rows: int = 25,
    qty: Any = small_or_large,
    downhill: bool = False,
) -> st.SearchStrategy[Stream]:
    """`downhill`: goods go from pools to later ones only, so that no cost can hang on itself."""
    lists = st.lists(drafts(kinds, givens, qty), max_size=rows)
    return st.builds(finished, pool_sets(methods), lists, st.just(downhill))


def finished(pools: tuple[tuple[int, str, int], ...], drafted: list[Draft], downhill: bool = False) -> Stream:
    """Rows whose names of pools and of each other are true; what nothing fits becomes a receipt."""
    rows: list[Row] = []
    for draft in drafted:
        row = _finish(draft, len(pools), rows)
        if downhill and row.source is not None and row.target is not None:
            row = replace(row, source=min(row.source, row.target), target=max(row.source, row.target))
        rows.append(row)
    issues = [at for at, row in enumerate(rows) if row.source is not None]
    for at, draft in enumerate(drafted):
        # A return may stand before the issue it names, as in periods that are settled.
        if draft.kind in ("return_in", "split_feed") and issues and draft.there % 4:
            ref = issues[draft.pick % len(issues)]
            if not downhill or (rows[ref].source or 0) < (rows[at].target or 0):
                rows[at] = replace(rows[at], ref=ref, given=draft.given)
    return Stream(pools, tuple(rows))


def _finish(draft: Draft, n_pools: int, rows: list[Row]) -> Row:
    here, there = draft.here % n_pools, draft.there % n_pools
    kind = draft.kind if here != there or draft.kind not in ("transfer", "feed") else "issue"
    common: dict[str, Any] = {"settled": draft.settled}
    receipts = [at for at, row in enumerate(rows) if row.target == here and row.op in ("move", "return_in")]
    receipt = receipts[draft.pick % len(receipts)] if receipts and draft.pick else None
    into = {"qty": draft.qty, "target": here, "own": draft.own, "extra": draft.extra, "given": draft.given}
    match kind:
        case "issue":
            return Row(source=here, qty=draft.qty, **common)
        case "transfer":
            return Row(source=here, **{**into, "target": there, "own": None}, **common)
        case "feed":
            return Row("feed", here, there, draft.qty, extra=draft.extra, given=draft.given, **common)
        case "split_feed":
            return Row("feed", target=here, qty=draft.qty, extra=draft.extra, given=draft.given, **common)
        case "return_in":
            own = draft.own if draft.pick % 5 == 0 else None
            return Row("return_in", **{**into, "own": own, "given": None}, **common)
        case "return_out":
            return Row("return_out", here, qty=draft.qty, ref=receipt, **common)
        case "value_at":
            return Row("value_at", target=here, own=draft.change, ref=receipt, **common)
        case "absorb" | "write_down":
            return Row(kind, target=here, own=draft.change, **common)
        case "set_standard":
            return Row(kind, target=here, own=draft.standard, **common)
        case "change_method":
            method = METHODS[draft.pick % len(METHODS)]
            return Row(kind, target=here, own=int(method_named(method)), method=method, **common)
        case "settle":
            return Row(kind, target=here, **common)
    given = draft.given if draft.own is None else None
    return Row(**{**into, "given": given}, **common)


def columns(rows: Sequence[Row]) -> Rows:
    """The kernel's rows. A stored layer's number must have been made a local index before (ref_layer)."""

    def column(values: list[int | None]) -> list[int]:
        return [NONE if value is None else value for value in values]

    return Rows.of(
        len(rows),
        op=[Op[row.op.upper()] for row in rows],
        src=column([row.source for row in rows]),
        dst=column([row.target for row in rows]),
        qty=[row.qty for row in rows],
        own=column([row.own for row in rows]),
        extra=[row.extra for row in rows],
        ref=column([row.ref for row in rows]),
        ref_layer=column([row.ref_no for row in rows]),
        ref_cost=[row.ref_cost for row in rows],
        ref_qty=[row.ref_qty for row in rows],
        ref_done=[row.ref_done for row in rows],
        given=column([row.given for row in rows]),
        settled=[row.settled for row in rows],
    )


def costed(rows: Sequence[Row], before: Before) -> Costed:
    return cost(columns(rows), *before)


def index(value: int | None) -> int:
    return NONE if value is None else value


def layer_rows(result: Costed) -> list[tuple[int, int, int, int, bool]]:
    """(pool, number, quantity, value, uncosted) of what is left."""
    layers = result.layers
    return sorted(
        (
            int(layers.pool[i]),
            int(layers.no[i]),
            int(layers.qty[i]),
            int(layers.value[i]),
            bool(layers.uncosted[i]),
        )
        for i in range(result.layer_count)
        if layers.qty[i]
    )


def entry_rows(result: Costed) -> list[tuple[int, ...]]:
    """(row, step, pool, quantity, value, posted, number of the layer corrected or -1)."""
    entries = result.entries
    numbers = [NONE if layer == NONE else int(result.layers.no[layer]) for layer in entries.layer]
    rows = zip(
        entries.move, entries.step, entries.pool, entries.qty, entries.value, entries.posted, numbers, strict=True
    )
    return [tuple(map(int, row)) for row in rows]


def without_nothings(entries: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """A change of value that changed nothing may be written or not."""
    return [entry for entry in entries if entry[1] != 1 or any(entry[3:6])]


def plain(result: Costed) -> dict[str, Any]:
    """The kernel's answer, by name."""
    pools, links, releases = result.pools, result.links, result.releases
    n = len(pools.pool_id)
    moves, layers = result.entries.move, result.layers
    return {
        "entries": without_nothings(entry_rows(result)),
        "layers": layer_rows(result),
        "pools": [
            tuple(int(column[i]) for column in (pools.qty, pools.value, pools.next_no, pools.allowance))
            for i in range(n)
        ],
        "methods": [Method(int(number)).label for number in pools.method],
        "last": [_pair(pools.last_value[i], pools.last_qty[i]) for i in range(n)],
        "standard": [None if value == NONE else int(value) for value in pools.standard],
        "price": [_pair(pools.settled_value[i], pools.settled_qty[i]) for i in range(n)],
        "item_last": [
            _pair(value, qty) for value, qty in zip(result.last_costs.value, result.last_costs.qty, strict=True)
        ],
        "uncosted": np.flatnonzero(result.uncosted).tolist(),
        "out": result.out_value.tolist(),
        "in": result.in_value.tolist(),
        "variance": result.variance.tolist(),
        "left": result.left.tolist(),
        "open": np.flatnonzero(result.open).tolist(),
        "releases": [
            tuple(map(int, row))
            for row in zip(releases.move, releases.pool, releases.value, releases.posted, strict=True)
            if row[2]
        ],
        "links": [
            (int(moves[entry]), int(layers.pool[layer]), int(layers.no[layer]), int(qty), int(value))
            for entry, layer, qty, value in zip(links.entry, links.layer, links.qty, links.value, strict=True)
        ],
    }


def _pair(value: Any, qty: Any) -> tuple[int, int] | None:
    return (int(value), int(qty)) if qty else None


def plain_of(books: Books) -> dict[str, Any]:
    """The reference's answer, by the same names."""
    pools = books.pools
    return {
        "entries": without_nothings(
            [(e.row, e.step, e.pool, e.qty, e.value, e.posted, index(e.corrects)) for e in books.entries]
        ),
        "layers": sorted(
            (at, layer.no, layer.qty, layer.value, layer.uncosted)
            for at, pool in enumerate(pools)
            for layer in pool.layers
        ),
        "pools": [(pool.qty, pool.value, pool.next_no, pool.allowance) for pool in pools],
        "methods": [pool.method for pool in pools],
        "last": [pool.last for pool in pools],
        "standard": [pool.standard for pool in pools],
        "price": [pool.price for pool in pools],
        "item_last": [books.last_costs.get(item) for item in range(ITEMS)],
        "uncosted": sorted(books.uncosted),
        "out": [one.final for one in books.outcomes],
        "in": [one.into for one in books.outcomes],
        "variance": [one.variance for one in books.outcomes],
        "left": [one.left for one in books.outcomes],
        "open": sorted(books.open),
        "releases": [(r.row, r.pool, r.value, r.posted) for r in books.releases],
        "links": [(k.row, k.pool, k.layer, k.qty, k.value) for k in books.links],
    }


def without_links_at_standard(answer: dict[str, Any], books: Books) -> dict[str, Any]:
    """Goods that leave at standard cost leave no layer, whatever a link says."""
    return answer | {"links": [link for link in answer["links"] if not books.outcomes[link[0]].at_standard]}


def stored(result: Costed, kept: Sequence[int] | None = None) -> Before:
    """The state as it would be read back: by pool and number; of all layers, or of these."""
    layers = result.layers
    rows = [i for i in range(result.layer_count) if layers.qty[i]] if kept is None else list(kept)
    rows.sort(key=lambda i: (layers.pool[i], layers.no[i]))
    read = Layers(
        layers.pool[rows], layers.no[rows], layers.qty[rows], layers.value[rows], layers.uncosted[rows],
        np.full(len(rows), NONE), np.zeros(len(rows), np.int64), len(rows),
    )  # fmt: skip
    return result.pools, read, result.last_costs


def splittable(stream: Stream, at: int) -> Stream:
    """The stream without names that nobody could know across the cut.

    A batch knows what earlier ones cost by then: of goods that were short at the cut, or never had a cost, that
    is not the last word. And no row names what is yet to come.
    """
    rows = [
        replace(one, ref=None, given=None) if one.ref is not None and row < at <= one.ref else one
        for row, one in enumerate(stream.rows)
    ]
    books = stream.books()
    books.play(rows[:at])
    short = {layer.made[0] for pool in books.pools for layer in pool.layers if layer.made and layer.qty < 0}
    for row in range(at, len(rows)):
        if rows[row].ref in short | books.uncosted:
            rows[row] = replace(rows[row], ref=None, given=None)
    return Stream(stream.pools, tuple(rows))


def second_part(stream: Stream, at: int, first: Costed, layers: Layers) -> list[Row]:
    """The rows behind the cut as a batch of their own: what they name lies in the stored state by now."""
    numbers = {
        (int(first.layers.move[i]), int(first.layers.pool[i])): int(first.layers.no[i])
        for i in range(first.layer_count)
        if first.layers.step[i] == 1
    }
    places = {(int(pool), int(no)): i for i, (pool, no) in enumerate(zip(layers.pool, layers.no, strict=True))}
    back: dict[int, int] = {}
    rows = []
    for row, one in enumerate(stream.rows):
        ref, changes = one.ref, {}
        if row >= at and ref is not None and ref >= at:
            changes = {"ref": ref - at}
        elif row >= at and ref is not None:
            changes = {"ref": None, "ref_qty": stream.rows[ref].qty}
            if one.op == "return_in":
                changes |= {"ref_cost": int(first.out_value[ref]), "ref_done": back.get(ref, 0)}
            else:
                pool = one.source if one.op == "return_out" else one.target
                number = numbers.get((ref, pool if pool is not None else NONE))
                changes["ref_no"] = places.get((pool, number)) if number is not None else None
        if one.op == "return_in" and ref is not None:
            back[ref] = min(stream.rows[ref].qty, back.get(ref, 0) + one.qty)
        if row >= at:
            rows.append(replace(one, **changes))
    return rows
