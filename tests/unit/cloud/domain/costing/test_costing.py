"""The compiled costing pass against the same policies in plain Python, and what must hold of any stream."""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cloud.domain.costing import kernels
from cloud.domain.costing.methods import Method, method_named
from cloud.domain.costing.pools import CannotCost, Layers, Op, demand_by_pool, pool_id
from tests.costing_reference import Row, TooMuch, divided
from tests.costing_streams import (
    CHANGES,
    GOODS,
    METHODS,
    NONE,
    RETURNS,
    Draft,
    Stream,
    costed,
    entry_rows,
    finished,
    layer_rows,
    plain,
    plain_of,
    second_part,
    splittable,
    stored,
    streams,
    without_links_at_standard,
)

Answer = dict[str, Any]

ALL_KINDS = (*GOODS, *GOODS, "feed", "split_feed", *RETURNS, *CHANGES)
FIFO_POOL = ((0, "fifo", 10_000),)
TWO_POOLS = ((0, "fifo", 10_000), (0, "moving_average", 10_000))


def receipt(target: int, qty: int, own: int | None = None) -> Row:
    return Row(target=target, qty=qty, own=own)


def issue(source: int, qty: int) -> Row:
    return Row(source=source, qty=qty)


def move(source: int, target: int, qty: int) -> Row:
    return Row(source=source, target=target, qty=qty)


def _first_too_much(stream: Stream) -> int | None:
    """The row at which the reference passes a limit."""
    try:
        stream.books().play(stream.rows)
    except TooMuch as too_much:
        return too_much.row
    return None


def both(stream: Stream) -> tuple[Answer, Answer] | None:
    """The kernel's and the reference's answer; None where both refuse the same row."""
    culprit = _first_too_much(stream)
    if culprit is not None:
        with pytest.raises(CannotCost, match=f"row {culprit}:"):
            costed(stream.rows, stream.empty())
        return None
    books = stream.books()
    books.play(stream.rows)
    return without_links_at_standard(plain(costed(stream.rows, stream.empty())), books), plain_of(books)


def test_numbers_of_methods_and_rows_are_those_of_the_kernel() -> None:
    assert {method.name: int(method) for method in Method} == {
        method.name: getattr(kernels, method.name) for method in Method
    }
    assert {op.name: int(op) for op in Op} == {op.name: getattr(kernels, op.name) for op in Op}


@given(streams(ALL_KINDS, givens=True))
@settings(max_examples=1000)
@example(Stream(FIFO_POOL, (issue(0, 5), receipt(0, 3, 10), receipt(0, 3, 11))))
@example(Stream(TWO_POOLS, (receipt(1, 5), receipt(0, 1, 7), move(1, 0, 5), receipt(0, 2, 9))))
def test_the_kernel_says_what_plain_python_says(stream: Stream) -> None:
    answers = both(stream)
    if answers is not None:
        assert answers[0] == answers[1]


@pytest.mark.parametrize("method", METHODS)
def test_the_kernel_says_so_for_every_method_alone(method: str) -> None:
    @given(streams((*GOODS, *RETURNS, "value_at", "settle"), [method], rows=20))
    @settings(max_examples=40)
    def check(stream: Stream) -> None:
        answers = both(stream)
        if answers is not None:
            assert answers[0] == answers[1]

    check()


@given(streams(ALL_KINDS))
def test_no_cost_is_made_and_none_is_lost(stream: Stream) -> None:
    """What came in, and what was adjusted, is what went out and what the pools hold, to the last 10⁻⁶."""
    try:
        result = costed(stream.rows, stream.empty())
    except CannotCost:
        return
    received = issued = adjusted = 0
    for _, step, _, _, value, _, _ in entry_rows(result):
        received += value if step == 1 else 0
        issued -= value if step == 0 else 0
        adjusted += value if step >= 2 else 0
    assert received + adjusted == issued + int(result.pools.value.sum())
    for row, one in enumerate(stream.rows):
        came = sum(entry[4] for entry in entry_rows(result) if entry[:2] == (row, 1))
        went = -sum(entry[4] for entry in entry_rows(result) if entry[:2] == (row, 0))
        apart = int(result.variance[row] + result.left[row])
        if one.source is not None and one.target is not None:
            assert went + one.extra == came + apart, "what leaves one pool reaches the other, or is told"
        elif one.op in ("value_at", "absorb"):
            assert one.own == came + apart


@given(streams(ALL_KINDS))
def test_a_pool_is_worth_its_layers_and_nothing_when_it_is_empty(stream: Stream) -> None:
    try:
        result = costed(stream.rows, stream.empty())
    except CannotCost:
        return
    pools = result.pools
    for index, (_, _, unit) in enumerate(stream.pools):
        layers = [row for row in layer_rows(result) if row[0] == index]
        assert sum(row[2] for row in layers) == pools.qty[index]
        assert sum(row[3] for row in layers) == pools.value[index]
        assert pools.value[index] == 0 or pools.qty[index] != 0
        assert len({row[2] > 0 for row in layers}) <= 1, "a pool has stock or shortages, never both"
        assert all(row[3] == 0 or (row[3] > 0) == (row[2] > 0) for row in layers)
        assert not any(row[4] and row[3] for row in layers), "what has no cost is worth nothing"
        if pools.method[index] in (Method.MOVING_AVERAGE, Method.PERIODIC_AVERAGE, Method.STANDARD):
            assert sum(row[2] > 0 for row in layers) <= 1
        posted = result.entries.posted[result.entries.pool == index].sum()
        assert posted == divided(int(pools.value[index]), unit)
        assert pools.allowance[index] >= 0
        assert pools.allowance[index] == result.releases.value[result.releases.pool == index].sum()


@given(streams((*GOODS, "issue", "issue"), rows=20))
def test_negative_excursions_settle(stream: Stream) -> None:
    """Once enough has come, no shortage is left, and every issue has cost what settled it."""
    enough = 10**9
    rows = (*stream.rows, *(receipt(pool, enough, 5 * enough) for pool in range(len(stream.pools))))
    result = costed(rows, stream.empty())
    assert (result.pools.qty > 0).all()
    assert all(row[2] > 0 for row in layer_rows(result))
    settled = [entry for entry in entry_rows(result) if entry[1] >= 2]
    first_cost = {entry[0]: -entry[4] for entry in entry_rows(result) if entry[1] == 0}
    short = sum(int(result.out_value[row]) - cost for row, cost in first_cost.items())
    found = int(sum(result.in_value)) - sum(entry[4] for entry in entry_rows(result) if entry[1] == 1)
    if all(method != "standard" for _, method, _ in stream.pools):
        assert sum(entry[4] for entry in settled) == found - short


@given(streams(ALL_KINDS), st.data())
@settings(max_examples=200)
def test_cutting_a_batch_anywhere_changes_nothing(stream: Stream, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(stream.rows)), label="cut behind")
    try:
        stream = splittable(stream, at)
        whole = plain(costed(stream.rows, stream.empty()))
    except (TooMuch, CannotCost):
        return
    first = costed(stream.rows[:at], stream.empty())
    state = stored(first)
    before, after = plain(first), plain(costed(second_part(stream, at, first, state[1]), state))

    def later(rows: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
        return [(row + at, *values) for row, *values in rows]

    for name in ("layers", "pools", "methods", "last", "standard", "price", "item_last"):
        assert after[name] == whole[name], name
    for name in ("entries", "links", "releases"):
        assert before[name] + later(after[name]) == whole[name], name
    for name in ("variance", "left"):
        assert before[name] + after[name] == whole[name], name
    for name in ("out", "in"):
        assert after[name] == whole[name][at:], name
    assert before["uncosted"] + [row + at for row in after["uncosted"]] == whole["uncosted"]


@given(streams(GOODS, ["fifo", "moving_average", "specific", "standard"]), st.data())
@settings(max_examples=150)
# Goods without a cost behind goods with one: the second batch takes nothing, so it reads no costed layer.
@example(Stream(TWO_POOLS, (receipt(1, 5), receipt(0, 1, 7), move(1, 0, 5), receipt(0, 2, 9))), None)
def test_the_layers_that_a_batch_cannot_reach_need_not_be_read(stream: Stream, data: st.DataObject | None) -> None:
    at = 3 if data is None else data.draw(st.integers(0, len(stream.rows)), label="cut behind")
    whole = costed(stream.rows, stream.empty())
    first, rest = costed(stream.rows[:at], stream.empty()), stream.rows[at:]
    second = costed(rest, stored(first, _within_reach(stream, first, rest)))
    later = [(row + at, *values) for row, *values in entry_rows(second)]
    assert entry_rows(first) + later == entry_rows(whole)
    assert plain(second)["pools"] == plain(whole)["pools"]
    assert plain(second)["last"] == plain(whole)["last"]
    read = {(row[0], row[1]) for row in layer_rows(second)}
    assert layer_rows(second) == [row for row in layer_rows(whole) if row[:2] in read]
    assert {row[:2] for row in layer_rows(whole)} - read <= {row[:2] for row in layer_rows(first)}


def _within_reach(stream: Stream, first: Any, rest: tuple[Row, ...]) -> list[int]:
    """The stored layers that the next batch may need, as the books' query picks them."""
    src = np.array([NONE if row.source is None else row.source for row in rest], np.int64)
    demand = demand_by_pool(src, np.array([row.qty for row in rest], np.int64), len(stream.pools))
    layers, ahead, kept = first.layers, dict.fromkeys(range(len(stream.pools)), 0), []
    rows = [i for i in range(first.layer_count) if layers.qty[i]]
    for i in sorted(rows, key=lambda i: (layers.pool[i], layers.no[i])):
        pool = int(layers.pool[i])
        one_layer = stream.pools[pool][1] in ("moving_average", "standard")
        if ahead[pool] < demand[pool] or layers.qty[i] < 0 or layers.uncosted[i] or one_layer:
            kept.append(i)
        ahead[pool] += layers.qty[i]
    return kept


huge_qty = st.one_of(st.integers(1, 5), st.integers(2**52, 2**53))
huge_own = st.one_of(st.integers(0, 9), st.integers(2**59, 2**61), st.integers(2**61 - 2, 2**61 + 2))


@st.composite
def huge_streams(draw: st.DrawFn) -> Stream:
    """The same streams with values at the edge of what the books can hold."""
    stream = draw(streams(ALL_KINDS, qty=huge_qty, rows=14))
    rows = []
    for row in stream.rows:
        changes: dict[str, Any] = {}
        if row.own is not None and row.op != "change_method":
            sign = draw(st.sampled_from((1, -1))) if row.op in ("value_at", "absorb", "write_down") else 1
            changes["own"] = sign * draw(huge_own)
        if row.extra:
            changes["extra"] = draw(st.sampled_from((1, -1))) * draw(huge_own)
        rows.append(_with(row, **changes))
    return Stream(stream.pools, tuple(rows))


def _with(row: Row, **changes: Any) -> Row:
    return Row(**{**{field.name: getattr(row, field.name) for field in fields(Row)}, **changes})


@given(huge_streams())
@settings(max_examples=300)
@example(Stream(FIFO_POOL, (receipt(0, 2**53, 1),) * 257))
@example(Stream(FIFO_POOL, (issue(0, 2**53),) * 257))
# Four receipts at the limit settle one issue, whose cost in the end is more than any pool was ever worth.
@example(Stream(FIFO_POOL, (issue(0, 9), *(receipt(0, 1, 2**61 - 1),) * 4)))
# At the settled price the pieces would cost more than can be said: they cost what is there.
@example(
    Stream(
        ((0, "periodic_average", 10_000),),
        (receipt(0, 1, 2**61), Row("settle", target=0), issue(0, 1), receipt(0, 2**53, 7), issue(0, 2**52)),
    )
)
def test_what_passes_the_limits_is_named_and_nothing_is_half_applied(stream: Stream) -> None:
    start = stream.empty()
    before = [getattr(part, f.name) for part in start for f in fields(part)]
    copies = [part.copy() if isinstance(part, np.ndarray) else part for part in before]
    culprit = _first_too_much(stream)
    if culprit is None:
        costed(stream.rows, start)
    else:
        with pytest.raises(CannotCost, match=f"row {culprit}:") as raised:
            costed(stream.rows, start)
        assert raised.value.move == culprit
        # What stands before the culprit can still be booked on the same arguments.
        good = _nameable(stream.rows[:culprit])
        assert entry_rows(costed(good, start)) == entry_rows(costed(good, stream.empty()))
    now = [getattr(part, f.name) for part in start for f in fields(part)]
    assert all(np.array_equal(a, b) for a, b in zip(copies, now, strict=True))


def _nameable(rows: tuple[Row, ...]) -> list[Row]:
    """Rows that name none behind the last of them."""
    return [_with(row, ref=None) if row.ref is not None and row.ref >= len(rows) else row for row in rows]


class Named:
    """A record array as compiled code sees it: fields are attributes, and records are views."""

    def __init__(self, records: Any) -> None:
        object.__setattr__(self, "records", records)

    def __getattr__(self, name: str) -> Any:
        return self.records[name]

    def __setattr__(self, name: str, value: Any) -> None:
        self.records[name] = value

    def __getitem__(self, index: Any) -> "Named":
        return Named(self.records[index])

    def __len__(self) -> int:
        return len(self.records)


@pytest.fixture
def interpreted(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A patch under which every kernel runs as the Python it is written in."""
    with monkeypatch.context() as patch:
        for name, function in list(vars(kernels).items()):
            if hasattr(function, "py_func"):
                patch.setattr(kernels, name, function.py_func)
        plain_rows = kernels.cost_rows

        def cost_rows(start: int, stop: int, *arrays: Any) -> int:
            *records, count = arrays
            return int(plain_rows(start, stop, *map(Named, records), count))

        patch.setattr(kernels, "cost_rows", cost_rows)
        yield patch


def test_compiled_and_interpreted_say_the_same(interpreted: pytest.MonkeyPatch) -> None:
    small = streams(ALL_KINDS, rows=12, qty=st.integers(1, 1000))
    seen: list[tuple[Stream, Answer | int]] = []

    @given(small)
    @settings(max_examples=40)
    def interpret(stream: Stream) -> None:
        seen.append((stream, _answer(stream)))

    interpret()
    interpreted.undo()
    for stream, answer in seen:
        assert _answer(stream) == answer


def _answer(stream: Stream) -> Answer | int:
    try:
        return plain(costed(stream.rows, stream.empty()))
    except CannotCost as refused:
        return refused.move


@pytest.mark.parametrize("shortages", [3, 50, 700])
def test_one_receipt_settles_as_many_shortages_as_there_are(shortages: int) -> None:
    """Each issue of one piece found nothing; the receipt makes an entry for each, far more than were foreseen."""
    stream = Stream(FIFO_POOL, tuple(issue(0, 1) for _ in range(shortages)))
    state = stored(costed(stream.rows, stream.empty()))
    result = costed([receipt(0, shortages + 5, 3 * (shortages + 5))], state)
    rows = entry_rows(result)
    assert [row[1] for row in rows] == list(range(1, shortages + 2))
    assert [row[4] for row in rows[1:]] == [-3] * shortages
    assert [row[6] for row in rows[1:]] == list(range(1, shortages + 1)), "oldest first"
    assert (int(result.pools.qty[0]), int(result.pools.value[0])) == (5, 15)


@pytest.mark.parametrize("method", ["fifo", "lifo"])
def test_one_issue_takes_as_many_layers_as_it_needs(method: str) -> None:
    stream = Stream(((0, method, 10_000),), tuple(receipt(0, 2, cost) for cost in range(1, 301)))
    result = costed([issue(0, 600)], stored(costed(stream.rows, stream.empty())))
    costs = list(range(1, 301))
    assert result.links.value.tolist() == (costs if method == "fifo" else costs[::-1])
    assert result.links.qty.tolist() == [2] * 300
    assert result.pools.value[0] == 0


def test_a_first_cost_of_nothing_is_a_cost() -> None:
    """given 5 that came without a cost; when 1 comes for nothing and 1 for 9; then the 5 cost nothing."""
    stream = Stream(FIFO_POOL, (receipt(0, 5), receipt(0, 1, 0), receipt(0, 1, 9)))
    result = costed(stream.rows, stream.empty())
    assert layer_rows(result) == [(0, 1, 5, 0, False), (0, 2, 1, 0, False), (0, 3, 1, 9, False)]


def test_a_supplier_gets_back_from_the_middle_of_the_queue() -> None:
    """given 3 receipts; when 2 of the second go back; then the others lie untouched and the queue still holds."""
    rows = [receipt(0, 4, 40), receipt(0, 4, 80), receipt(0, 4, 120), Row("return_out", 0, qty=2, ref=1)]
    stream = Stream(FIFO_POOL, (*rows, issue(0, 7)))
    before, after = (costed(stream.rows[:n], stream.empty()) for n in (4, 5))
    assert layer_rows(before) == [(0, 1, 4, 40, False), (0, 2, 2, 40, False), (0, 3, 4, 120, False)]
    assert layer_rows(after) == [(0, 3, 3, 90, False)]
    assert after.out_value.tolist() == [0, 0, 0, 40, 40 + 40 + 30]


def test_what_a_customer_returns_beyond_the_issue_comes_at_the_pools_cost() -> None:
    """given an issue of 3 that cost 10; when 2, 1 and 4 come back of it; then 7, 3, and the 4 as what is there."""
    rows = (receipt(0, 3, 10), issue(0, 3), *(Row("return_in", None, 0, qty, ref=1) for qty in (2, 1, 4)))
    stream = Stream(((0, "moving_average", 10_000),), rows)
    assert costed(rows, stream.empty()).in_value.tolist() == [10, 0, 7, 3, 13]


def test_a_write_down_leaves_with_the_goods() -> None:
    """given 4 worth 40, written down by 10; when 1 and 3 leave; then 3 (rounded) and 7 of the 10 leave with them."""
    rows = (receipt(0, 4, 40), Row("write_down", target=0, own=10), issue(0, 1), issue(0, 3))
    result = costed(rows, Stream(FIFO_POOL, rows).empty())
    assert result.releases.value.tolist() == [10, -3, -7]
    assert result.pools.allowance[0] == 0


def test_a_new_standard_revalues_what_is_there() -> None:
    """given 2 pieces at standard 5; when the standard becomes 7; then they gain 4, and the next 3 bring a variance."""
    unit = 10**6
    rows = (
        Row("set_standard", target=0, own=5 * unit), receipt(0, 2 * unit, 12 * unit),
        Row("set_standard", target=0, own=7 * unit), receipt(0, 3 * unit, 20 * unit), issue(0, 4 * unit),
    )  # fmt: skip
    result = costed(rows, Stream(((0, "standard", 10_000),), rows).empty())
    assert [entry[4] // unit for entry in entry_rows(result) if entry[4]] == [10, 4, 21, -28]
    assert (result.variance // unit).tolist() == [0, 2, 0, -1, 0]


def test_a_change_of_method_merges_what_an_average_cannot_tell_apart() -> None:
    average = int(method_named("moving_average"))
    rows = (
        receipt(0, 1, 10), receipt(0, 3, 60), Row("change_method", target=0, own=average, method="moving_average"),
        issue(0, 2),
    )  # fmt: skip
    result = costed(rows, Stream(FIFO_POOL, rows).empty())
    assert layer_rows(result) == [(0, 1, 2, 35, False)]


def test_demand_never_wraps() -> None:
    src = np.zeros(2000, np.int64)
    assert demand_by_pool(src, np.full(2000, 2**53), 2).tolist() == [kernels.QTY_LIMIT, 0]


def test_a_pool_has_the_same_id_on_every_replay() -> None:
    assert pool_id(3, 7, 12) == 5005450154695984556
    assert len({pool_id(site, item, 1) for site in range(30) for item in range(30)}) == 900
    assert 0 <= pool_id(3, 7, 12) < 2**63


def test_no_layers_are_no_layers() -> None:
    assert Layers.empty().stored == 0
    assert finished(FIFO_POOL, [Draft("return_out", 0, 0, 1, None, 0, 0, 0, None, 3, False)]).rows[0].ref is None


@given(streams(ALL_KINDS))
@settings(max_examples=200)
def test_what_rows_brought_less_what_they_took_is_what_their_pool_is_worth(stream: Stream) -> None:
    """Every adjustment belongs to a row: re-costing compares rows, and their sum must be the pool's value."""
    try:
        result = costed(stream.rows, stream.empty())
    except CannotCost:
        return
    worth = dict.fromkeys(range(len(stream.pools)), 0)
    for row, one in enumerate(stream.rows):
        if one.source is not None:
            worth[one.source] -= int(result.out_value[row])
        if one.target is not None:
            worth[one.target] += int(result.in_value[row])
    assert list(worth.values()) == result.pools.value.tolist()
