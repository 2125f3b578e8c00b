"""What the kernels promise beyond answers: queues in order, outputs that never overflow, limits, and places to cut."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.domain.costing import kernels
from cloud.domain.costing.methods import Method
from cloud.domain.costing.pools import NONE, CannotCost, NoRoom, Pass
from tests.costing_limits import AT_STANDARD, AT_THE_LIMIT, BEYOND_COUNTING, FIFO_POOL, LIMIT, UNIT, method
from tests.costing_reference import Row, TooMuch
from tests.costing_streams import (
    CHANGES,
    GOODS,
    METHODS,
    RETURNS,
    Before,
    Stream,
    columns,
    costed,
    layer_rows,
    plain,
    streams,
)

ALL_KINDS = (*GOODS, *GOODS, "feed", "split_feed", *RETURNS, *CHANGES)


def passed(stream: Stream) -> Pass | None:
    """The stream's pass at its end; None where it cannot be costed."""
    one = Pass(columns(stream.rows), *stream.empty())
    try:
        one.go(0, len(stream.rows))
    except CannotCost:
        return None
    return one


# ── Queues ──────────────────────────────────────────────────────────────────────────────────────────


def queue(one: Pass, pool: int) -> list[int]:
    found: list[int] = []
    at = int(one.pools["head"][pool])
    while at != NONE:
        assert at not in found, "a queue never runs in a circle"
        found.append(at)
        at = int(one.layers["next"][at])
    return found


@given(streams(ALL_KINDS, givens=True))
@settings(max_examples=300)
def test_every_queue_holds_what_is_there_in_the_order_in_which_it_gives(stream: Stream) -> None:
    one = passed(stream)
    if one is None:
        return
    layers, last = one.layers, int(one.count[kernels.LAYERS])
    for pool, record in enumerate(one.pools):
        found = queue(one, pool)
        there = [at for at in range(last) if layers["pool"][at] == pool and layers["qty"][at]]
        assert sorted(found) == sorted(there)
        assert not found or found[-1] == record["tail"]
        youngest_first = record["method"] in (Method.LIFO, Method.PERIODIC_LIFO) and record["qty"] > 0
        numbers = [int(layers["no"][at]) for at in found]
        assert numbers == sorted(numbers, reverse=bool(youngest_first))
        waiting = [at for at in found if layers["uncosted"][at] and layers["qty"][at] > 0]
        assert record["waiting"] == len(waiting), "what waits for a cost is counted, or nobody looks for it"


@given(streams(ALL_KINDS, givens=True), st.data())
@settings(max_examples=150)
def test_rows_may_be_costed_in_two_goes(stream: Stream, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(stream.rows)), label="second go from")
    whole = passed(stream)
    if whole is None:
        return
    one = Pass(columns(stream.rows), *stream.empty())
    one.go(0, at)
    one.go(at, len(stream.rows))
    assert plain(one.costed()) == plain(whole.costed())


def test_issues_of_a_month_that_is_not_settled_go_out_at_the_price_of_the_last() -> None:
    """given a settled price of 5; when 4 @ 10 came and 1 and 2 of all 6 go; then at 5 each."""
    rows = (
        Row(target=0, qty=2, own=10, settled=True), Row("settle", target=0), Row(target=0, qty=4, own=40),
        Row(source=0, qty=1), Row(source=0, qty=2), Row(source=0, qty=3),
    )  # fmt: skip
    for name in ("periodic_average", "periodic_fifo", "periodic_lifo"):
        result = costed(rows, Stream(((0, name, 10_000),), rows).empty())
        assert result.out_value.tolist() == [0, 0, 0, 5, 10, 35]


def test_a_settled_price_never_takes_more_than_there_is() -> None:
    """given a settled price of 9; when 3 of 4 that cost 8 go; then they cost 8, and the last costs nothing."""
    rows = (
        Row(target=0, qty=1, own=9), Row("settle", target=0), Row(source=0, qty=1), Row(target=0, qty=4, own=8),
        Row(source=0, qty=3), Row(source=0, qty=1),
    )  # fmt: skip
    result = costed(rows, Stream(((0, "periodic_average", 10_000),), rows).empty())
    assert result.out_value.tolist() == [0, 0, 9, 0, 8, 0]


def test_a_supplier_is_given_no_other_pools_goods() -> None:
    """given a receipt into another pool; when this pool returns it; then its own goods go, the other's stay."""
    rows = (
        Row(target=1, qty=2, own=10), Row(target=0, qty=2, own=6), Row("return_out", 0, qty=1, ref=0),
        Row("value_at", target=0, own=4, ref=0),
    )  # fmt: skip
    result = costed(rows, Stream((*FIFO_POOL, *FIFO_POOL), rows).empty())
    assert result.out_value.tolist() == [0, 0, 3, 0]
    assert result.in_value.tolist() == [10, 6, 0, 0]
    assert result.left.tolist() == [0, 0, 0, 4]


def test_goods_left_of_a_shortage_at_standard_came_with_the_receipt() -> None:
    """given 2 out and 5 in before a standard; when FIFO follows and 1 @ 4 comes; then the 3 that came gain 12."""
    rows = (Row(source=0, qty=2), Row(target=0, qty=5), method("fifo"), Row(target=0, qty=1, own=4))
    result = costed(rows, Stream(AT_STANDARD, rows).empty())
    assert result.in_value.tolist() == [0, 12, 0, 4]
    assert result.out_value.tolist() == [0, 0, 0, 0]


def test_a_shortage_that_standard_cost_leaves_behind_is_its_changes() -> None:
    """given 3 short at standard 5; when FIFO follows and 2 @ 4 and 2 @ 7 come; then they cost 2 less and 2 more."""
    rows = (
        Row("set_standard", target=0, own=5 * UNIT), Row(source=0, qty=3 * UNIT), method("fifo"),
        Row(target=0, qty=2 * UNIT, own=8 * UNIT), Row(target=0, qty=2 * UNIT, own=14 * UNIT),
    )  # fmt: skip
    result = costed(rows, Stream(AT_STANDARD, rows).empty())
    assert (result.out_value // UNIT).tolist() == [0, 15, 0, 0, 0]
    assert (result.in_value // UNIT).tolist() == [0, 0, 0, 8, 14]
    assert [(row[2] // UNIT, row[3] // UNIT) for row in layer_rows(result)] == [(1, 7)]


# ── Room ────────────────────────────────────────────────────────────────────────────────────────────


@given(streams(ALL_KINDS, rows=15), st.data())
@settings(max_examples=200)
def test_outputs_that_are_too_small_are_said_and_nothing_is_written_behind_them(
    stream: Stream, data: st.DataObject
) -> None:
    """Compiled code would write on into whatever lies there: so the rows behind the room keep their mark."""
    whole = passed(stream)
    if whole is None:
        return
    entries, links = int(whole.count[kernels.ENTRIES]), int(whole.count[kernels.LINKS])
    one = Pass(columns(stream.rows), *stream.empty())
    mark = 77
    n_entries = data.draw(st.integers(0, entries + 6), label="room for entries")
    n_links = data.draw(st.integers(0, links + 1), label="room for links")
    behind_entries = np.full(n_entries + 8, mark, np.int64).repeat(len(kernels.ENTRY)).view(kernels.ENTRY)
    behind_links = np.full(n_links + 8, mark, np.int64).repeat(len(kernels.LINK)).view(kernels.LINK)
    one.entries, one.links = behind_entries[:n_entries], behind_links[:n_links]
    try:
        one.go(0, len(stream.rows))
    except NoRoom:
        assert n_entries < entries + 5 or n_links < links
    else:
        assert plain(one.costed()) == plain(whole.costed())
    assert all((behind_entries[n_entries:][name] == mark).all() for name in kernels.ENTRY.names)
    assert all((behind_links[n_links:][name] == mark).all() for name in kernels.LINK.names)


# ── Limits ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", AT_THE_LIMIT)
def test_the_limit_itself_can_be_held_and_one_more_is_refused(name: str) -> None:
    fits, passes = AT_THE_LIMIT[name](0), AT_THE_LIMIT[name](1)
    costed(fits.rows, fits.empty())
    last = len(passes.rows) - 1
    with pytest.raises(CannotCost, match=f"row {last}:"):
        costed(passes.rows, passes.empty())


@pytest.mark.parametrize("name", BEYOND_COUNTING)
def test_what_no_integer_can_say_is_refused_where_plain_python_refuses_it(name: str) -> None:
    stream = BEYOND_COUNTING[name]
    with pytest.raises(TooMuch) as expected:
        stream.books().play(stream.rows)
    with pytest.raises(CannotCost, match=f"row {expected.value.row}:"):
        costed(stream.rows, stream.empty())


def test_a_settled_price_beyond_counting_takes_what_there_is() -> None:
    rows = (
        Row(target=0, qty=1, own=LIMIT - 7), Row("settle", target=0), Row(source=0, qty=1),
        Row(target=0, qty=2**53, own=7), Row(source=0, qty=2**52),
    )  # fmt: skip
    result = costed(rows, Stream(((0, "periodic_average", 10_000),), rows).empty())
    assert result.out_value.tolist() == [0, 0, LIMIT - 7, 0, 7]


# ── Shares ──────────────────────────────────────────────────────────────────────────────────────────


@given(st.integers(0, LIMIT), st.lists(st.integers(1, 2**53), min_size=1, max_size=8))
def test_returns_of_all_that_was_issued_carry_all_of_its_cost(cost: int, parts: list[int]) -> None:
    issued, done = sum(parts), np.cumsum([0, *parts[:-1]])
    n = len(parts)
    carried = kernels.shares(np.full(n, cost), np.full(n, issued), done, np.array(parts))
    assert carried.sum() == cost
    assert (carried >= 0).all()


def test_what_passes_the_issue_carries_nothing_of_it() -> None:
    columns_ = [np.array(one, np.int64) for one in ([10, 10, 7], [3, 3, 2], [2, 3, 5], [4, 1, 1])]
    assert kernels.shares(*columns_).tolist() == [3, 0, 0]


# ── Where a run may be cut ──────────────────────────────────────────────────────────────────────────


def quiet(rows: tuple[Row, ...], before: Before) -> list[bool]:
    one = Pass(columns(rows), *before)
    answer: list[bool] = kernels.quiet_places(one.rows, one.pools).tolist()
    return answer


NEVER_AT_STANDARD = [name for name in METHODS if name != "standard"]


@given(streams((*GOODS, "feed", "split_feed", *RETURNS, "absorb", "settle"), NEVER_AT_STANDARD), st.data())
@settings(max_examples=200)
def test_a_run_is_cut_where_no_pool_is_short_and_nothing_waits_for_a_later_issue(
    stream: Stream, data: st.DataObject
) -> None:
    held = [data.draw(st.integers(-5, 5), label="held before") for _ in stream.pools]
    pools, layers, last_costs = stream.empty()
    pools.qty[:] = held
    expected = []
    for number, row in enumerate(stream.rows):
        if row.source is not None:
            held[row.source] -= row.qty
        if row.target is not None and row.op != "feed":
            held[row.target] += row.qty
        waits = any(
            one.ref is not None and one.ref > number
            for one in stream.rows[: number + 1]
            if one.op in ("return_in", "feed")
        )
        expected.append(min(held) >= 0 and not waits)
    assert quiet(stream.rows, (pools, layers, last_costs)) == expected


def pool_at_standard(standard: int = NONE, qty: int = 0) -> Before:
    pools, layers, last_costs = Stream(AT_STANDARD, ()).empty()
    pools.standard[:], pools.qty[:] = standard, qty
    return pools, layers, last_costs


def test_goods_at_standard_are_never_short() -> None:
    assert quiet((Row(source=0, qty=3), Row(target=0, qty=1)), pool_at_standard(standard=5)) == [True, True]


def test_goods_at_standard_wait_for_their_first_standard() -> None:
    """given a pool without a standard; then what moves waits until one is set, or goods come at a cost."""
    out, bare = Row(source=0, qty=3), Row(target=0, qty=1)
    assert quiet((out, bare, Row("set_standard", target=0, own=5), out), pool_at_standard()) == [
        False, False, True, True,
    ]  # fmt: skip
    assert quiet((bare, bare, Row(target=0, qty=1, own=4), out), pool_at_standard()) == [False, False, True, True]


def test_a_pool_that_gives_up_its_standard_may_be_short_from_the_start() -> None:
    rows = (Row(target=0, qty=1), method("fifo"), Row(target=0, qty=2), Row(source=0, qty=1))
    assert quiet(rows, pool_at_standard(standard=5, qty=-3)) == [False, False, True, False]


def test_a_pool_that_comes_to_standard_without_one_waits_for_it() -> None:
    pools, layers, last_costs = Stream(FIFO_POOL, ()).empty()
    rows = (method("standard"), Row(target=0, qty=2), Row(target=0, qty=2, own=8))
    assert quiet(rows, (pools, layers, last_costs)) == [False, False, True]
    pools.standard[:] = 4
    assert quiet(rows, (pools, layers, last_costs)) == [True, True, True]
