"""The compiled costing pass against the same policies in plain Python, and what must hold of any stream."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cloud.domain.costing import kernels
from cloud.domain.costing.pools import (
    CannotCost,
    Costed,
    LastCosts,
    Layers,
    Pools,
    Rows,
    cost,
    demand_by_pool,
    pool_id,
)
from tests.costing_reference import Books, Movement, Pool, TooMuch, divided

FIFO, AVERAGE = kernels.FIFO, kernels.MOVING_AVERAGE
NONE = kernels.NONE

# Two items; the first in a FIFO pool, an average and a third of other pennies, so that transfers join them all.
POOLS = ((0, FIFO, 10_000), (0, AVERAGE, 10_000), (0, FIFO, 1_000_000), (1, AVERAGE, 1_000))
SAME_ITEM = (0, 1, 2)

# So large that products need 128 bits, so small that no stream reaches the limits.
qty = st.one_of(st.integers(1, 12), st.integers(1, 10**7))
own = st.one_of(st.none(), st.integers(0, 40), st.integers(0, 10**9))
pools_of_one = st.sampled_from(SAME_ITEM)
any_pool = st.integers(0, len(POOLS) - 1)
movement = st.one_of(
    st.builds(lambda target, qty, own: Movement(None, target, qty, own), any_pool, qty, own),
    st.builds(lambda source, qty: Movement(source, None, qty), any_pool, qty),
    st.tuples(pools_of_one, pools_of_one)
    .filter(lambda pair: pair[0] != pair[1])
    .flatmap(lambda pair: st.builds(lambda qty: Movement(*pair, qty), qty)),
)
streams = st.lists(movement, max_size=25)

Books4 = tuple[Pools, Layers, LastCosts]


def column(values: list[int]) -> np.ndarray:
    return np.array(values, np.int64)


def empty() -> Books4:
    """Pools that hold nothing and items that never cost anything."""
    n = len(POOLS)
    zeros = [np.zeros(n, np.int64) for _ in range(4)]
    pools = Pools(
        np.arange(n), column([p[0] for p in POOLS]), np.zeros(n, np.int64), column([p[1] for p in POOLS]),
        column([p[2] for p in POOLS]), *zeros, np.ones(n, np.int64),
    )  # fmt: skip
    nothing = [np.zeros(0, np.int64) for _ in range(6)]
    layers = Layers(*nothing[:4], np.zeros(0, np.bool_), *nothing[4:], stored=0)
    return pools, layers, LastCosts(np.arange(2), np.zeros(2, np.int64), np.zeros(2, np.int64))


def costed(movements: list[Movement], before: Books4) -> Costed:
    def index(value: int | None) -> int:
        return NONE if value is None else value

    rows = Rows.of(
        len(movements),
        src=[index(m.source) for m in movements],
        dst=[index(m.target) for m in movements],
        qty=[m.qty for m in movements],
        own=[index(m.own) for m in movements],
    )
    return cost(rows, *before)


def stored(result: Costed, demand: np.ndarray | None = None) -> Books4:
    """The state as it would be read back: by pool and number, of long queues only what the next batch needs."""
    layers = result.layers
    rows = [i for i in range(result.layer_count) if layers.qty[i]]
    rows.sort(key=lambda i: (layers.pool[i], layers.no[i]))
    if demand is not None:
        before = dict.fromkeys(range(len(POOLS)), 0)
        kept = []
        for i in rows:
            pool = int(layers.pool[i])
            if before[pool] < demand[pool] or layers.qty[i] < 0 or layers.uncosted[i] or POOLS[pool][1] == AVERAGE:
                kept.append(i)
            before[pool] += layers.qty[i]
        rows = kept
    read = Layers(
        layers.pool[rows], layers.no[rows], layers.qty[rows], layers.value[rows], layers.uncosted[rows],
        np.full(len(rows), NONE), np.zeros(len(rows), np.int64), len(rows),
    )  # fmt: skip
    return result.pools, read, result.last_costs


def reference(movements: list[Movement]) -> Books:
    books = Books([Pool(item, method == FIFO, unit) for item, method, unit in POOLS])
    books.play(movements)
    return books


def layer_rows(result: Costed) -> list[tuple[int, int, int, int, bool]]:
    """(pool, number, quantity, value, uncosted) of what is left."""
    layers = result.layers
    rows = [
        (
            int(layers.pool[i]),
            int(layers.no[i]),
            int(layers.qty[i]),
            int(layers.value[i]),
            bool(layers.uncosted[i]),
        )
        for i in range(result.layer_count)
        if layers.qty[i]
    ]
    return sorted(rows)


def entry_rows(result: Costed) -> list[tuple[int, ...]]:
    """(row, step, pool, quantity, value, posted, number of the layer corrected or -1)."""
    entries = result.entries
    numbers = [NONE if layer == NONE else int(result.layers.no[layer]) for layer in entries.layer]
    return [
        (*map(int, row), number)
        for *row, number in zip(
            entries.move, entries.step, entries.pool, entries.qty, entries.value, entries.posted, numbers,
            strict=True,
        )
    ]  # fmt: skip


@given(streams)
@settings(max_examples=300)
@example([Movement(0, None, 5), Movement(None, 0, 3, 10), Movement(None, 0, 3, 11)])
@example([Movement(None, 1, 5), Movement(None, 0, 1, 7), Movement(1, 0, 5), Movement(None, 0, 2, 9)])
def test_the_kernel_says_what_plain_python_says(movements: list[Movement]) -> None:
    result, books = costed(movements, empty()), reference(movements)
    assert entry_rows(result) == [
        (e.row, e.step, e.pool, e.qty, e.value, e.posted, NONE if e.corrects is None else e.corrects)
        for e in books.entries
    ]
    assert layer_rows(result) == sorted(
        (index, layer.no, layer.qty, layer.value, layer.uncosted)
        for index, pool in enumerate(books.pools)
        for layer in pool.layers
    )
    pools = result.pools
    for index, pool in enumerate(books.pools):
        assert (pools.qty[index], pools.value[index]) == (pool.qty, pool.value)
        assert pools.next_no[index] == pool.next_no
        last = (int(pools.last_value[index]), int(pools.last_qty[index]))
        assert (last if last[1] else None) == pool.last
    assert set(np.flatnonzero(result.uncosted).tolist()) == books.uncosted
    for item in (0, 1):
        last = (int(result.last_costs.value[item]), int(result.last_costs.qty[item]))
        assert (last if last[1] else None) == books.last_costs.get(item)


@given(streams)
def test_no_cost_is_made_and_none_is_lost(movements: list[Movement]) -> None:
    """What came in, and what was adjusted, is what went out and what the pools hold, to the last 10⁻⁶."""
    result = costed(movements, empty())
    entries = result.entries
    received = issued = adjusted = 0
    for row, step, _, _, value, _, _ in entry_rows(result):
        transfer = movements[row].source is not None and movements[row].target is not None
        if step >= 2:
            adjusted += value
        elif not transfer:
            received += value if step == 1 else 0
            issued -= value if step == 0 else 0
    assert received + adjusted == issued + int(result.pools.value.sum())
    for row, one in enumerate(movements):
        if one.source is not None and one.target is not None:
            both = entries.value[(entries.move == row) & (entries.step < 2)]
            assert len(both) == 2
            assert both.sum() == 0


@given(streams)
def test_a_pool_is_worth_its_layers_and_nothing_when_it_is_empty(movements: list[Movement]) -> None:
    result = costed(movements, empty())
    pools = result.pools
    for index, (_, method, unit) in enumerate(POOLS):
        layers = [row for row in layer_rows(result) if row[0] == index]
        assert sum(row[2] for row in layers) == pools.qty[index]
        assert sum(row[3] for row in layers) == pools.value[index]
        assert pools.value[index] == 0 or pools.qty[index] != 0
        signs = {row[2] > 0 for row in layers}
        assert len(signs) <= 1, "a pool has stock or shortages, never both"
        assert all(row[3] == 0 or (row[3] > 0) == (row[2] > 0) for row in layers)
        assert method == FIFO or sum(row[2] > 0 for row in layers) <= 1
        posted = result.entries.posted[result.entries.pool == index].sum()
        assert posted == divided(int(pools.value[index]), unit)


@given(streams, st.data())
@settings(max_examples=200)
# Goods without a cost behind goods with one: the second batch takes nothing, so it reads no costed layer.
@example([Movement(None, 1, 5), Movement(None, 0, 1, 7), Movement(1, 0, 5), Movement(None, 0, 2, 9)], None)
def test_cutting_a_batch_anywhere_changes_nothing(movements: list[Movement], data: st.DataObject | None) -> None:
    at = 3 if data is None else data.draw(st.integers(0, len(movements)), label="cut behind")
    whole = costed(movements, empty())
    first, rest = costed(movements[:at], empty()), movements[at:]
    src = column([NONE if m.source is None else m.source for m in rest])
    demand = demand_by_pool(src, column([m.qty for m in rest]), len(POOLS))
    second = costed(rest, stored(first, demand))
    later = [(row + at, *values) for row, *values in entry_rows(second)]
    assert entry_rows(first) + later == entry_rows(whole)
    for name in Pools.__slots__:
        assert getattr(second.pools, name).tolist() == getattr(whole.pools, name).tolist(), name
    assert second.last_costs.value.tolist() == whole.last_costs.value.tolist()
    assert second.uncosted.tolist() == whole.uncosted[at:].tolist()
    read = {(row[0], row[1]) for row in layer_rows(second)}
    assert layer_rows(second) == [row for row in layer_rows(whole) if row[:2] in read]
    assert {row[:2] for row in layer_rows(whole)} - read <= {row[:2] for row in layer_rows(first)}


def without_own_value(one: Movement) -> Movement:
    """Only what comes from outside brings a value of its own."""
    return one if one.source is None else Movement(one.source, one.target, one.qty)


some_pool = st.sampled_from([None, 0, 1])
huge_qty = st.one_of(st.integers(1, 5), st.integers(2**52, 2**53))
huge_own = st.one_of(st.none(), st.integers(0, 9), st.integers(2**59, 2**61), st.integers(2**61 - 2, 2**61 + 2))
huge = st.builds(Movement, some_pool, some_pool, huge_qty, huge_own)
huge = huge.filter(lambda one: one.source != one.target).map(without_own_value)


def first_too_much(movements: list[Movement]) -> int | None:
    """The row at which the reference passes a limit."""
    try:
        reference(movements)
    except TooMuch as too_much:
        return too_much.row
    return None


@given(st.lists(huge, max_size=14))
@settings(max_examples=200)
@example([Movement(None, 0, 2**53, 1)] * 257)
@example([Movement(0, None, 2**53)] * 257)
def test_what_passes_the_limits_is_named_and_nothing_is_half_applied(movements: list[Movement]) -> None:
    start = empty()
    pools, layers, costs = start
    before = [getattr(part, f.name) for part in start for f in fields(part)]
    copies = [part.copy() if isinstance(part, np.ndarray) else part for part in before]
    culprit = first_too_much(movements)
    if culprit is None:
        costed(movements, start)
    else:
        with pytest.raises(CannotCost, match=f"row {culprit}:") as raised:
            costed(movements, start)
        assert raised.value.move == culprit
        # What stands before the culprit can still be booked on the same arguments.
        good = movements[:culprit]
        assert entry_rows(costed(good, start)) == entry_rows(costed(good, empty()))
    now = [getattr(part, f.name) for part in (pools, layers, costs) for f in fields(part)]
    assert all(np.array_equal(a, b) for a, b in zip(copies, now, strict=True))


@pytest.mark.parametrize("shortages", [3, 50, 700])
def test_one_receipt_settles_as_many_shortages_as_there_are(shortages: int) -> None:
    """Each issue of one piece found nothing; the receipt makes an entry for each, far more than were foreseen."""
    issues = [Movement(0, None, 1) for _ in range(shortages)]
    receipt = Movement(None, 0, shortages + 5, 3 * (shortages + 5))
    result = costed([receipt], stored(costed(issues, empty())))
    rows = entry_rows(result)
    assert [row[1] for row in rows] == list(range(1, shortages + 2))
    assert [row[4] for row in rows[1:]] == [-3] * shortages
    assert [row[6] for row in rows[1:]] == list(range(1, shortages + 1)), "oldest first"
    assert (int(result.pools.qty[0]), int(result.pools.value[0])) == (5, 15)


def test_one_issue_takes_as_many_layers_as_it_needs() -> None:
    receipts = [Movement(None, 0, 2, cost) for cost in range(1, 301)]
    result = costed([Movement(0, None, 600)], stored(costed(receipts, empty())))
    assert result.links.value.tolist() == list(range(1, 301))
    assert result.links.qty.tolist() == [2] * 300
    assert result.pools.value[0] == 0


def test_a_first_cost_of_nothing_is_a_cost() -> None:
    """given 5 that came without a cost; when 1 comes for nothing and 1 for 9; then the 5 cost nothing."""
    result = costed([Movement(None, 0, 5), Movement(None, 0, 1, 0), Movement(None, 0, 1, 9)], empty())
    assert layer_rows(result) == [(0, 1, 5, 0, False), (0, 2, 1, 0, False), (0, 3, 1, 9, False)]


def test_demand_never_wraps() -> None:
    src = column([0] * 2000)
    assert demand_by_pool(src, np.full(2000, 2**53), 2).tolist() == [kernels.QTY_LIMIT, 0]


def test_a_pool_has_the_same_id_on_every_replay() -> None:
    assert pool_id(3, 7, 12) == 5005450154695984556
    assert len({pool_id(site, item, 1) for site in range(30) for item in range(30)}) == 900
    assert 0 <= pool_id(3, 7, 12) < 2**63
