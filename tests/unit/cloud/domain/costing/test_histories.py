"""Whole histories beside the general pass: the same goods, the same costs, for every stream."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cloud.domain.costing.histories import HistoryCosts, Stream, cost_histories
from cloud.domain.costing.methods import Method
from cloud.domain.costing.pools import NONE, CannotCost, Costed, LastCosts, Layers, Pools, cost
from tests.costing_reference import Books, Pool, Row

# Two pools of the first item know each other's costs; the pools of the others are alone.
POOLS = (
    (0, Method.FIFO),
    (0, Method.MOVING_AVERAGE),
    (1, Method.LIFO),
    (2, Method.MOVING_AVERAGE),
    (3, Method.SPECIFIC),
    (3, Method.LIFO),
)

# So large that products need 128 bits, so small that no stream reaches the limits.
qty = st.one_of(st.integers(1, 12), st.integers(1, 10**7))
own = st.one_of(st.just(None), st.integers(0, 40), st.integers(0, 10**9), st.integers(0, 10**9))
movement = st.tuples(
    st.integers(0, len(POOLS) - 1), qty, st.one_of(st.tuples(st.just(1), own), st.tuples(st.just(-1), st.none()))
).map(lambda drawn: (drawn[0], drawn[1] * drawn[2][0], drawn[2][1]))
streams = st.lists(movement, max_size=60)

Drawn = list[tuple[int, int, int | None]]
State = tuple[Pools, Layers, LastCosts]


def stream_of(movements: Drawn) -> Stream:
    pool, moved, value = zip(*movements, strict=True) if movements else ((), (), ())
    own_or_none = [NONE if one is None else one for one in value]
    return Stream(np.array(pool, np.int64), np.array(moved, np.int64), np.array(own_or_none, np.int64))


def empty(pools: tuple[tuple[int, Method], ...] = POOLS) -> State:
    n = len(pools)
    made = Pools.empty(
        np.arange(n), [item for item, _ in pools], [method for _, method in pools], np.full(n, 10_000)
    )
    return made, Layers.empty(), LastCosts.empty(np.arange(4))


def general(stream: Stream, before: State) -> Costed:
    return cost(stream.as_rows(np.arange(len(stream))), *before)


def read_back(result: Costed) -> State:
    """The state as it would be read from the tables: by pool and number."""
    layers = result.layers
    rows = np.flatnonzero(layers.qty[: result.layer_count])
    rows = rows[np.lexsort((layers.no[rows], layers.pool[rows]))]
    read = Layers(
        layers.pool[rows], layers.no[rows], layers.qty[rows], layers.value[rows], layers.uncosted[rows],
        np.full(len(rows), NONE), np.zeros(len(rows), np.int64), len(rows),
    )  # fmt: skip
    return result.pools, read, result.last_costs


def names_of_layers(result: Costed, stored: int) -> list[int]:
    return [int(move) if k >= stored else ~k for k, move in enumerate(result.layers.move[: result.layer_count])]


def layers_of(result: Costed, stored: int) -> list[tuple[int, ...]]:
    layers, names = result.layers, names_of_layers(result, stored)
    left = [k for k in range(result.layer_count) if layers.qty[k]]
    left.sort(key=lambda k: (layers.pool[k], layers.no[k]))
    return [
        (int(layers.pool[k]), names[k], int(layers.qty[k]), int(layers.value[k]), bool(layers.uncosted[k]))
        for k in left
    ]


def rows_of(table: object) -> list[tuple[int, ...]]:
    """A table of columns as rows."""
    columns = [getattr(table, one.name).tolist() for one in fields(table)]  # type: ignore[arg-type]
    return list(zip(*columns, strict=True))


def at_once(result: Costed, n: int) -> list[int]:
    costs = [0] * n
    entries = result.entries
    for move, step, value in zip(
        entries.move.tolist(), entries.step.tolist(), entries.value.tolist(), strict=True
    ):
        if step < 2:
            costs[move] = -value if step == 0 else value
    return costs


def assert_same(fast: HistoryCosts, slow: Costed, stream: Stream, stored: int = 0) -> None:
    """Every pool, layer, cost, adjustment and link of the one is the other's."""
    names, entries, links = names_of_layers(slow, stored), slow.entries, slow.links
    assert fast.cost.tolist() == at_once(slow, len(stream))
    assert fast.final_cost(stream.qty).tolist() == (slow.out_value + slow.in_value).tolist()
    for name in ("qty", "value", "last_value", "last_qty", "allowance"):
        assert getattr(fast.pools, name).tolist() == getattr(slow.pools, name).tolist(), name
    assert rows_of(fast.layers) == layers_of(slow, stored)
    assert fast.last_costs.value.tolist() == slow.last_costs.value.tolist()
    assert fast.last_costs.qty.tolist() == slow.last_costs.qty.tolist()
    later = np.flatnonzero(entries.step >= 2)
    assert sorted(rows_of(fast.adjustments)) == sorted(
        (int(entries.move[e]), names[entries.layer[e]], int(entries.value[e])) for e in later
    )
    assert fast.links is not None
    assert sorted(rows_of(fast.links)) == sorted(
        (int(entries.move[e]), names[layer], qty, value)
        for e, layer, qty, value in zip(*(getattr(links, f.name).tolist() for f in fields(links)), strict=True)
    )
    assert fast.uncosted.tolist() == np.flatnonzero(slow.uncosted).tolist()


@given(streams)
# A pool that knows nothing asks its item, which learned its cost from the other pool.
@example([(1, 3, 50), (0, -2, None), (0, 5, 45), (1, -1, None)])
@example([(2, 5, 10), (2, 5, 21), (2, -7, None), (2, -9, None), (2, 3, 30), (2, 40, None), (2, -1, None)])
@example([(3, 3, 10), (3, -3, None), (3, -2, None), (3, 1, 9), (3, 1, 9), (3, 4, 7), (3, -3, None)])
@example([(4, 3, 0), (4, -4, None), (4, 2, None), (4, -1, None)])
def test_a_history_costs_what_the_general_pass_says(movements: Drawn) -> None:
    stream, before = stream_of(movements), empty()
    assert_same(cost_histories(stream, *before, links=True), general(stream, before), stream)


@given(streams, st.integers(0, 60))
def test_a_history_goes_on_from_what_is_stored(movements: Drawn, cut: int) -> None:
    first, rest = stream_of(movements[:cut]), stream_of(movements[cut:])
    before = read_back(general(first, empty()))
    fast = cost_histories(rest, *before, links=True)
    assert_same(fast, general(rest, before), rest, before[1].stored)


@given(streams)
@example(
    [(2, -9, None), (2, -1, None), (2, 3, 31), (2, 3, None), (2, 9, 7), (3, -9, None), (3, 4, 9), (3, 9, None)]
)
def test_a_pool_that_knows_a_cost_is_never_left_over(movements: Drawn) -> None:
    """Shortages, their settlement and receipts without a value included."""
    opening = [(pool, 5, 53 + pool) for pool in range(len(POOLS))]
    stream, before = stream_of(opening + movements), empty()
    fast = cost_histories(stream, *before, links=True)
    assert fast.left_over == 0
    assert_same(fast, general(stream, before), stream)


@given(streams)
def test_cores_and_links_change_nothing(movements: Drawn) -> None:
    stream, before = stream_of(movements), empty()
    one = cost_histories(stream, *before, links=True, cores=1)
    many = cost_histories(stream, *before, cores=2)
    assert many.links is None
    assert many.cost.tolist() == one.cost.tolist()
    assert rows_of(many.layers) == rows_of(one.layers)
    assert rows_of(many.adjustments) == rows_of(one.adjustments)
    assert rows_of(many.pools) == rows_of(one.pools)


def test_the_pools_of_an_item_are_left_over_together() -> None:
    """The second pool's shortage costs what the first pool's receipt taught the item."""
    stream = stream_of([(0, 3, 50), (3, 2, 8), (1, -1, None), (0, 5, 60)])
    found = cost_histories(stream, *empty())
    assert found.left_over == 2
    assert found.cost.tolist() == [50, 8, 17, 60]


@pytest.mark.parametrize(
    ("movements", "culprit"),
    [
        ([(2, 1, 2**61), (3, 1, 5), (2, 1, 1)], 2),
        ([(3, 1, 2**61), (4, 1, 5), (3, 1, 2**63 - 1)], 2),
        ([(4, 2**61, 5), (2, 1, 5), (4, 1, 1)], 2),
        ([(2, 1, 2**61), (3, 1, 5), (2, -3, None)], 2),
        ([(3, 1, 2**60), (2, 1, 5), (3, -5, None)], 2),
        ([(3, 1, 1), (2, 1, 5), (3, -(2**61), None), (3, -2, None)], 3),
        # Neither the pool nor a receipt passes a limit: the issue's cost does, with what settles it.
        ([(2, 1, 5), (2, -5, None), (3, 1, 5), (2, 2, 2**60), (2, 2, 2**60)], 4),
    ],
)
def test_what_passes_the_limits_names_its_movement(movements: Drawn, culprit: int) -> None:
    with pytest.raises(CannotCost) as caught:
        cost_histories(stream_of(movements), *empty())
    assert caught.value.move == culprit


@pytest.mark.parametrize(("pool", "qty"), [(6, 1), (-1, 1), (0, 0)])
def test_a_movement_that_cannot_be_is_refused_by_row(pool: int, qty: int) -> None:
    with pytest.raises(ValueError, match=rf"row 1: .* got pool {pool} and quantity {qty}"):
        cost_histories(stream_of([(0, 1, 1), (pool, qty, 1)]), *empty())


def test_pools_of_other_methods_are_refused() -> None:
    with pytest.raises(ValueError, match=r"got numbers \[4\], which the general pass costs"):
        cost_histories(stream_of([(0, 1, 1)]), *empty(((0, Method.STANDARD),)))


def test_an_allowance_is_released_with_the_goods() -> None:
    before = read_back(general(stream_of([(2, 10, 100), (3, 10, 100)]), empty()))
    before[0].allowance[3] = 40
    stream = stream_of([(2, -5, None), (3, -5, None)])
    found = cost_histories(stream, *before, links=True)
    assert_same(found, general(stream, before), stream, before[1].stored)
    assert list(zip(found.releases.move, found.releases.pool, found.releases.value, strict=True)) == [(1, 3, -20)]


def test_a_long_history_of_many_pools_is_the_same_on_all_cores() -> None:
    """Longer than any example, with runs of shortages and layers that cross hundreds of movements."""
    chance = np.random.default_rng(3)
    n, n_pools = 40_000, 300
    method = chance.choice([int(one) for one in (Method.FIFO, Method.LIFO, Method.MOVING_AVERAGE)], n_pools)
    moved = chance.integers(1, 50, n) * 1_000_000 * np.where(chance.random(n) < 0.5, 1, -1)
    value = np.where(chance.random(n) < 0.9, chance.integers(0, 10**13, n), NONE)
    stream = Stream(chance.integers(0, n_pools, n), moved, np.where(moved > 0, value, NONE))
    pools = Pools.empty(np.arange(n_pools), np.arange(n_pools), method, np.full(n_pools, 10_000))
    before = (pools, Layers.empty(), LastCosts.empty(np.arange(n_pools)))
    found = cost_histories(stream, *before, links=True, cores=2)
    assert 0 < found.left_over < n_pools
    assert_same(found, general(stream, before), stream)


@given(streams)
def test_a_history_costs_what_plain_python_says(movements: Drawn) -> None:
    """Not what another kernel says: layers, costs with all that settled them, and links as the reference has them."""
    books = Books([Pool(item, method.label, 10_000) for item, method in POOLS])
    books.play(
        [
            Row(target=pool, qty=moved, own=value) if moved > 0 else Row(source=pool, qty=-moved)
            for pool, moved, value in movements
        ]
    )
    stream = stream_of(movements)
    found = cost_histories(stream, *empty(), links=True)
    assert found.final_cost(stream.qty).tolist() == [one.final + one.into for one in books.outcomes]
    assert found.uncosted.tolist() == sorted(books.uncosted)
    left = [(number, one) for number, pool in enumerate(books.pools) for one in pool.layers]
    assert rows_of(found.layers) == [
        (number, one.made[0], one.qty, one.value, one.uncosted) for number, one in left if one.made
    ]
    assert found.links is not None
    taken = {(one.row, one.pool): 0 for one in books.links}
    for one in books.links:
        taken[one.row, one.pool] += one.value
    mine = dict.fromkeys(taken, 0)
    for issue, value in zip(found.links.issue.tolist(), found.links.value.tolist(), strict=True):
        mine[issue, int(stream.pool[issue])] += value
    assert mine == taken
