"""Rows costed until they rest: edges carry what their issues cost in the end, on whole networks of pools."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.domain.costing import ordered_run
from cloud.domain.costing.canonical import IN, OUT, Changes, Ordered, Recorded, Settled, in_order
from cloud.domain.costing.methods import Method, method_named
from cloud.domain.costing.pools import CannotCost, Costed, Op
from tests.costing_reference import Books, Row, TooMuch, run
from tests.costing_streams import (
    CHANGES,
    GOODS,
    METHODS,
    NONE,
    RETURNS,
    Stream,
    columns,
    costed,
    entry_rows,
    layer_rows,
    plain,
    plain_of,
    streams,
    without_links_at_standard,
)

NETWORK = (*GOODS, "transfer", "issue", "feed", *RETURNS)
ALL_KINDS = (*GOODS, *NETWORK, "split_feed", *CHANGES)
THREE = tuple((0, "fifo", 10_000) for _ in range(3))


def at_rest(stream: Stream) -> Costed:
    return ordered_run.run(columns(stream.rows), *stream.empty())


def rested(stream: Stream) -> Books | None:
    """The reference's answer, or None where a cost passes what the books can hold."""
    try:
        return run(stream.rows, stream.books().pools, {})
    except TooMuch:
        return None


@given(streams(ALL_KINDS, downhill=True))
@settings(max_examples=300)
def test_networks_come_to_the_rest_that_plain_python_comes_to(stream: Stream) -> None:
    """Transfers, production, returns and value events over several pools, with stock missing anywhere."""
    books = rested(stream)
    if books is None:
        return
    assert not books.open, "where no cost hangs on itself, everything rests"
    assert without_links_at_standard(plain(at_rest(stream)), books) == plain_of(books)


@pytest.mark.parametrize("method", METHODS)
def test_networks_of_one_method_do(method: str) -> None:
    @given(streams(NETWORK, [method], downhill=True))
    @settings(max_examples=40)
    def check(stream: Stream) -> None:
        books = rested(stream)
        if books is not None:
            assert without_links_at_standard(plain(at_rest(stream)), books) == plain_of(books)

    check()


@given(streams(ALL_KINDS))
@settings(max_examples=200)
def test_what_rests_carries_its_final_cost_everywhere(stream: Stream) -> None:
    """Also where goods go in circles: what the run does not call open is final."""
    try:
        result = at_rest(stream)
    except CannotCost:
        return
    came = {entry[0]: entry[4] for entry in entry_rows(result) if entry[1] == 1}
    for row, one in enumerate(stream.rows):
        if result.open[row]:
            continue
        if one.source is not None and one.target is not None:
            reached = came[row] + int(result.variance[row] + result.left[row])
            assert reached == int(result.out_value[row]) + one.extra
        whole = one.op == "return_in" and one.ref is not None and one.qty == stream.rows[one.ref].qty
        if whole and one.own is None and result.done[row] == 0:
            assert result.carried[row] == result.out_value[one.ref], "all of it carries all of it"


@given(streams(("receipt", "receipt", "receipt", "issue", "transfer", "transfer"), downhill=True))
@settings(max_examples=150)
def test_at_rest_what_was_paid_is_what_was_sold_and_what_is_there(stream: Stream) -> None:
    """No adjustment is left over: to the last 10⁻⁶, receipts = cost of goods sold + closing."""
    rows = tuple(row if row.source is not None or row.own is not None else _paid(row) for row in stream.rows)
    result = at_rest(Stream(stream.pools, rows))
    entries = entry_rows(result)
    from_outside, to_outside = columns(rows).src == NONE, columns(rows).dst == NONE
    apart = int(result.variance.sum() + result.left.sum())
    paid = sum(entry[4] for entry in entries if entry[1] == 1 and from_outside[entry[0]])
    paid += int(result.variance[from_outside].sum() + result.left[from_outside].sum())
    paid += sum(row.extra for row in rows if row.source is not None)
    # What goods gained that reached their pool before anybody knew what they cost.
    taken = -sum(entry[4] for entry in entries if entry[1] == 0)
    gained = sum(entry[4] for entry in entries if entry[1] >= 2) + int(result.out_value.sum()) - taken
    assert gained == 0 or result.uncosted.any()
    assert paid + gained == int(result.out_value[to_outside].sum()) + int(result.pools.value.sum()) + apart


def _paid(row: Row) -> Row:
    return Row(target=row.target, qty=row.qty, own=7 * row.qty, settled=row.settled)


def test_a_shortage_that_travelled_costs_its_buyer_what_it_cost_in_the_end() -> None:
    """given 4 sent on from an empty pool, 2 of them sold; when 10 @ 3 come; then the sale cost 6, not nothing."""
    rows = (
        Row(source=0, target=1, qty=4), Row(source=1, qty=2), Row(target=0, qty=10, own=30), Row(source=1, qty=1),
    )  # fmt: skip
    stream = Stream(THREE, rows)
    assert costed(rows, stream.empty()).out_value.tolist() == [12, 0, 0, 0]
    result = at_rest(stream)
    assert result.out_value.tolist() == [12, 6, 0, 3]
    assert layer_rows(result) == [(0, 2, 6, 18, False), (1, 1, 1, 3, False)]
    assert not result.open.any()


def test_goods_that_came_without_a_cost_cost_what_the_next_ones_do() -> None:
    """given 4 without a price, 1 sold; when 2 @ 5 come; then the sale cost 5."""
    rows = (Row(target=0, qty=4), Row(source=0, qty=1), Row(target=0, qty=2, own=10))
    result = at_rest(Stream(THREE, rows))
    assert result.in_value.tolist() == [20, 0, 10]
    assert result.out_value.tolist() == [0, 5, 0]


def test_freight_on_goods_without_a_price_is_added_once() -> None:
    """given 2 without a price, then 2 without a price but with freight of 8; then nobody's cost grows by rounds."""
    rows = (Row(target=0, qty=2), Row(source=0, target=1, qty=1), Row(target=0, qty=2, extra=8))
    result = at_rest(Stream(THREE, rows))
    assert not result.open.any()
    assert int(result.pools.value.sum()) == 8 + 4, (
        "the freight, and what it says that the piece kept here is worth"
    )


def test_a_customers_return_of_what_was_short_comes_at_what_it_cost_in_the_end() -> None:
    """given 3 sold from nothing, bought later for 21; when 1 came back elsewhere before that; then at 7."""
    rows = (Row(source=0, qty=3), Row("return_in", None, 1, 1, ref=0), Row(target=0, qty=3, own=21))
    stream = Stream(THREE, rows)
    assert costed(rows, stream.empty()).in_value.tolist() == [0, 0, 21]
    assert at_rest(stream).in_value.tolist() == [0, 7, 21]


def test_components_of_a_settled_period_reach_the_order_at_the_periods_price() -> None:
    """given 4 @ 10 and a feed of 2 that stands at the month's end, behind 4 @ 20; then the order holds 30."""
    rows = (
        Row(target=1, qty=1, own=0), Row("feed", target=1, qty=2, ref=5), Row(target=0, qty=4, own=40),
        Row(target=0, qty=4, own=80), Row("settle", target=0), Row(source=0, qty=2, settled=True),
    )  # fmt: skip
    result = at_rest(Stream(((0, "periodic_average", 10_000), (0, "moving_average", 10_000)), rows))
    assert int(result.pools.value[1]) == 30
    assert not result.open.any()


def test_a_circle_that_cannot_rest_is_said_and_ends() -> None:
    """Goods lent before they were bought come back with freight on them and settle their own shortage: no cost fits."""
    rows = (Row(source=0, target=1, qty=5), Row(source=1, target=0, qty=5, extra=10))
    result = at_rest(Stream(THREE, rows))
    assert result.open.any()
    assert int(result.pools.qty.sum()) == 0


# ── Any arrival, one rest ───────────────────────────────────────────────────────────────────────────

PERIOD = 10  # the first of two is settled


@st.composite
def logs(draw: st.DrawFn) -> tuple[Stream, list[int]]:
    """Movements downhill through pools, each with its instant."""
    stream = draw(streams((*GOODS, "transfer", "feed", "return_in", "return_in"), downhill=True, rows=18))
    instants = [draw(st.integers(0, 2 * PERIOD - 1)) for _ in stream.rows]
    return Stream(stream.pools, tuple(replace(row, settled=False) for row in stream.rows)), instants


def recorded(stream: Stream, instants: list[int], arrival: list[int], settled: bool) -> Recorded:
    """The log as it was read when its movements arrived in this order; ids stay what they were."""
    place = {row: at for at, row in enumerate(arrival)}
    rows = [stream.rows[row] for row in arrival]
    table = columns(rows)
    ids = np.array(arrival)
    time_us = np.array([instants[row] for row in arrival], np.int64)
    refs = [NONE if row.ref is None else place[row.ref] for row in rows]
    nothing = np.zeros(len(rows), np.int64)
    no = np.zeros(len(rows), np.uint64)
    return Recorded(
        src=table.src, dst=table.dst, qty=table.qty, own=table.own, occurred_us=time_us, gateway=ids % 3,
        epoch_high=no, epoch_low=no, seq=ids, id_high=no, id_low=ids.astype(np.uint64),
        feeds=table.op == Op.FEED, corrects=np.zeros(len(rows), bool), ref=np.array(refs, np.int64),
        ref_cost=nothing, ref_qty=nothing, ref_done=nothing, extra=table.extra,
        period=np.where((time_us < PERIOD) & settled, 0, NONE), void=np.zeros(len(rows), bool),
    )  # fmt: skip


def ordered(stream: Stream, instants: list[int], arrival: list[int], settled: bool) -> Ordered:
    none, no = np.zeros(0, np.int64), np.zeros(0, np.uint64)
    months = Settled(np.array([0]), np.array([PERIOD]))
    methods = np.array([int(method_named(method)) for _, method, _ in stream.pools])
    log = recorded(stream, instants, arrival, settled)
    return in_order(log, Changes(none, none, none, none, no, no), months, methods)


def books_of(stream: Stream, order: Ordered, arrival: list[int]) -> dict[str, Any]:
    """Layers, pools, and of each movement what it cost and what it brought."""
    result = ordered_run.run(order.rows, *stream.empty())
    out, into = {}, {}
    for at in np.flatnonzero(order.movement != NONE):
        movement = arrival[order.movement[at]]
        if order.leg[at] != IN:
            out[movement] = int(result.out_value[at])
        if order.leg[at] != OUT:
            into[movement] = int(result.in_value[at])
    pools = [tuple(getattr(result.pools, name).tolist()) for name in ("qty", "value", "next_no", "settled_value")]
    return {"layers": layer_rows(result), "pools": pools, "out": out, "in": into, "open": result.open.any()}


@given(logs(), st.data(), st.booleans())
@settings(max_examples=150)
def test_every_order_of_arrival_rests_in_the_same_layers_and_final_costs(
    log: tuple[Stream, list[int]], data: st.DataObject, settled: bool
) -> None:
    stream, instants = log
    straight = list(range(len(stream.rows)))
    arrival = data.draw(st.permutations(straight), label="arrival")
    try:
        expected = books_of(stream, ordered(stream, instants, straight, settled), straight)
    except CannotCost:
        return
    assert books_of(stream, ordered(stream, instants, arrival, settled), arrival) == expected


@given(logs(), st.booleans())
@settings(max_examples=150)
def test_ordered_logs_rest_as_plain_python_says(log: tuple[Stream, list[int]], settled: bool) -> None:
    """With periods settled: issues at their ends, and transfers and feeds out of them split in two."""
    stream, instants = log
    order = ordered(stream, instants, list(range(len(stream.rows))), settled)
    in_time = Stream(stream.pools, tuple(_rows(order)))
    books = rested(in_time)
    if books is not None:
        assert not books.open
        assert without_links_at_standard(plain(at_rest(in_time)), books) == plain_of(books)


def _rows(order: Ordered) -> list[Row]:
    def maybe(value: Any) -> int | None:
        return None if value == NONE else int(value)

    rows = order.rows
    return [
        Row(
            Op(int(rows.op[i])).name.lower(), maybe(rows.src[i]), maybe(rows.dst[i]), int(rows.qty[i]),
            maybe(rows.own[i]), int(rows.extra[i]), maybe(rows.ref[i]), settled=bool(rows.settled[i]),
        )
        for i in range(len(rows))
    ]  # fmt: skip


def test_methods_are_numbered_as_the_reference_names_them() -> None:
    assert [Method(int(method_named(name))).label for name in METHODS] == list(METHODS)
