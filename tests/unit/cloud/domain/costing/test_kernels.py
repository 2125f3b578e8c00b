"""What the kernels promise beyond answers: queues in order, outputs that never overflow, limits, and places to cut."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.domain.costing import kernels
from cloud.domain.costing.methods import Method, method_named
from cloud.domain.costing.pools import NONE, CannotCost, NoRoom, Pass
from tests.costing_reference import Row
from tests.costing_streams import (
    CHANGES,
    GOODS,
    METHODS,
    RETURNS,
    Before,
    Stream,
    columns,
    costed,
    plain,
    streams,
)

ALL_KINDS = (*GOODS, *GOODS, "feed", "split_feed", *RETURNS, *CHANGES)
LIMIT = kernels.VALUE_LIMIT
UNIT = kernels.UNIT
FIFO_POOL = ((0, "fifo", 10_000),)
AT_STANDARD = ((0, "standard", 10_000),)


def passed(stream: Stream) -> Pass | None:
    """The stream's pass at its end; None where it cannot be costed."""
    one = Pass(columns(stream.rows), *stream.empty())
    try:
        one.go(0, len(stream.rows))
    except CannotCost:
        return None
    return one


def method(name: str) -> Row:
    return Row("change_method", target=0, own=int(method_named(name)), method=name)


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


def some(rows: list[Row], pools: tuple[tuple[int, str, int], ...] = FIFO_POOL) -> Stream:
    return Stream(pools, tuple(rows))


# Streams at a limit; with one more their last row is refused.
AT_THE_LIMIT: dict[str, Any] = {
    "a receipt's value": lambda more: some([Row(target=0, qty=1, own=LIMIT + more)]),
    "a receipt with its freight": lambda more: some([Row(target=0, qty=1, own=LIMIT - 5, extra=5 + more)]),
    "freight alone": lambda more: some([Row(target=0, qty=1, own=0, extra=LIMIT + more)]),
    "a pool's value": lambda more: some([Row(target=0, qty=1, own=LIMIT - 5), Row(target=0, qty=1, own=5 + more)]),
    "a pool's quantity": lambda more: some([Row(target=0, qty=LIMIT - 5), Row(target=0, qty=5 + more)]),
    "a shortage's quantity": lambda more: some([Row(source=0, qty=LIMIT - 5), Row(source=0, qty=5 + more)]),
    "a shortage's value": lambda more: some(
        [Row(target=0, qty=2, own=LIMIT), Row(source=0, qty=2), Row(source=0, qty=2 + more)]
    ),
    "an issue's cost in the end": lambda more: some(
        [Row(source=0, qty=2), Row(target=0, qty=1, own=LIMIT - 5), Row(target=0, qty=1, own=5 + more)]
    ),
    "what a first cost says of goods without one": lambda more: some(
        [Row(target=0, qty=3), Row(target=0, qty=1, own=LIMIT // 4 + more)]
    ),
    "a value for what is there": lambda more: some(
        [Row(target=0, qty=1, own=5), Row("absorb", target=0, own=LIMIT - 5 + more)]
    ),
    "a value for a receipt": lambda more: some(
        [Row(target=0, qty=1, own=5), Row("value_at", target=0, own=LIMIT - 5 + more, ref=0)]
    ),
    "a write-down": lambda more: some([Row("write_down", target=0, own=LIMIT + more)]),
    "a feed with its freight": lambda more: some(
        [Row(target=0, qty=1, own=0), Row("feed", target=0, qty=1, own=LIMIT - 5, extra=5 + more)]
    ),
    "a standard": lambda more: some([Row("set_standard", target=0, own=LIMIT + more)], AT_STANDARD),
    "a standard that a receipt sets": lambda more: some(
        [Row(target=0, qty=UNIT - more, own=LIMIT)], AT_STANDARD
    ),
    "what goods at standard are worth": lambda more: some(
        [Row("set_standard", target=0, own=LIMIT // 2), Row(target=0, qty=2 * UNIT + more, own=1)], AT_STANDARD
    ),
    "goods at standard that are owed": lambda more: some(
        [Row("set_standard", target=0, own=LIMIT // 2), Row(source=0, qty=2 * UNIT + more)], AT_STANDARD
    ),
    "the quantity at standard": lambda more: some(
        [Row(target=0, qty=LIMIT - 5, own=0), Row(target=0, qty=5 + more)], AT_STANDARD
    ),
    "a new standard of what is there": lambda more: some(
        [
            Row("set_standard", target=0, own=1), Row(target=0, qty=4 * UNIT),
            Row("set_standard", target=0, own=LIMIT // 4 + more),
        ],
        AT_STANDARD,
    ),
    "the standard of a pool that comes to it": lambda more: some(
        [Row(target=0, qty=UNIT - more, own=LIMIT), method("standard")]
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", AT_THE_LIMIT)
def test_the_limit_itself_can_be_held_and_one_more_is_refused(name: str) -> None:
    fits, passes = AT_THE_LIMIT[name](0), AT_THE_LIMIT[name](1)
    costed(fits.rows, fits.empty())
    last = len(passes.rows) - 1
    with pytest.raises(CannotCost, match=f"row {last}:"):
        costed(passes.rows, passes.empty())


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
