"""Streams for judging mutants, with the answers that the kernels give as they stand.

The answers are right because the property tests compare the kernels with plain Python on any stream; here they only
have to be the same again, down to the order of the queues and the counters that nobody is shown. Streams are drawn
from a fixed seed, so that every mutant meets the same ones.
"""

import pickle
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from cloud.domain.costing import kernels, ordered_run
from cloud.domain.costing.pools import NONE, CannotCost, NoRoom, Pass, Rows
from tests.costing_limits import AT_STANDARD, AT_THE_LIMIT, BEYOND_COUNTING, FIFO_POOL, method
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
    plain,
    second_part,
    splittable,
    stored,
    streams,
)

SEED = 20261122
EVERYTHING = (*GOODS, *GOODS, "feed", "split_feed", *RETURNS, *RETURNS, *CHANGES)
LIMIT = kernels.VALUE_LIMIT
TINY = st.integers(1, 3)
TINY_VALUES = (0, 1, 1, 2, 3, 7)
EDGES = (1, 2, LIMIT // 2, LIMIT // 2 + 1, LIMIT - 1, LIMIT, LIMIT + 1)
EDGE_QTY = st.sampled_from((1, 1, 2, kernels.UNIT, 2**53, LIMIT // 2, LIMIT - 1, LIMIT))
# What is rare among everything, so that it is also drawn alone: kinds and methods.
RARE: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("receipt", "issue", "issue", "return_in", "return_in", "return_in", "change_method"), METHODS),
    (("receipt", "receipt", "return_out", "return_out", "issue", "value_at", "value_at", "absorb"), METHODS),
    (
        ("receipt", "receipt", "settle", "issue", "issue", "value_at", "return_out", "transfer"),
        ("periodic_average", "periodic_fifo", "periodic_lifo"),
    ),
    (("receipt", "issue", "transfer", "write_down", "write_down"), METHODS),
    (("receipt", "transfer", "transfer", "return_in", "value_at", "absorb", "issue"), METHODS),
    (
        ("receipt", "issue", "set_standard", "change_method", "change_method", "transfer"),
        ("standard", "fifo", "lifo"),
    ),
    (("receipt", "receipt", "issue", "return_in", "return_in", "transfer"), ("standard",)),
    (
        ("receipt", "receipt", "receipt", "issue", "absorb", "absorb", "change_method"),
        ("lifo", "fifo", "periodic_lifo"),
    ),
)

FIFO, FIFOS = FIFO_POOL, FIFO_POOL * 2
PERIODIC = tuple(((0, name, 10_000),) for name in METHODS if name.startswith("periodic"))
# What no draw is likely to meet.
BY_HAND: tuple[Stream, ...] = (
    # A price of the last month above, at and below what there is, of nothing, and beyond counting.
    *(
        Stream(
            pools,
            (
                Row(target=0, qty=1, own=price), Row("settle", target=0), Row(source=0, qty=1),
                Row(target=0, qty=qty, own=8), Row(source=0, qty=qty // 2), Row(source=0, qty=1), Row(source=0, qty=1),
            ),
        )
        for pools in PERIODIC
        for price in (0, 1, 2, 4, 5, LIMIT - 8)
        for qty in (4, 2**53)
    ),
    # A supplier gets back the one piece left in the middle, the youngest, and what another pool holds.
    *(
        Stream(
            pools,
            (
                Row(target=0, qty=4, own=40), Row(target=0, qty=1, own=7), Row(target=0, qty=4, own=80, settled=True),
                Row("return_out", 0, qty=qty, ref=ref, settled=True), Row(target=0, qty=2, own=9, settled=True),
                Row(source=0, qty=3, settled=True), Row(source=0, qty=7, settled=True),
            ),
        )
        for pools in (FIFO, ((0, "lifo", 10_000),), *PERIODIC)
        for qty in (2, 4)
        for ref in (0, 1, 2)
    ),
    Stream(
        FIFOS,
        (
            Row(target=1, qty=2, own=10), Row(target=0, qty=2, own=6), Row("return_out", 0, qty=1, ref=0),
            Row("value_at", target=0, own=4, ref=0), Row("value_at", target=0, own=0, ref=1),
        ),
    ),
    # A settlement that finds nothing leaves the price as it was.
    *(
        Stream(
            pools,
            (
                Row(target=0, qty=1, own=5), Row("settle", target=0), Row(source=0, qty=1), Row("settle", target=0),
                Row(target=0, qty=4, own=8), Row(source=0, qty=1),
            ),
        )
        for pools in PERIODIC
    ),
    # A value that names no receipt touches nothing.
    *(
        Stream(
            pools,
            (
                Row(target=0, qty=1, own=5, settled=True), Row(target=0, qty=1, own=9, settled=True),
                Row("value_at", target=0, own=4),
            ),
        )
        for pools in PERIODIC
    ),
    # Goods without a cost reach others that have one, go on with them, and get theirs in the order in which they came.
    *(
        Stream(
            (*FIFO, (0, name, 10_000), *FIFO),
            (
                Row(target=0, qty=9), Row(target=1, qty=1, own=1), Row(source=0, target=1, qty=1),
                Row(source=0, target=1, qty=2), Row(source=1, target=2, qty=taken), Row(source=0, target=1, qty=1),
                Row(target=1, qty=3, own=7), Row(source=1, qty=2), Row(target=0, qty=2, own=5),
            ),
        )
        for name in METHODS
        for taken in (1, 2, 3)
    ),
    Stream(FIFO, (Row(target=0, qty=1), Row(target=0, qty=2), Row(target=0, qty=3, own=7), Row(source=0, qty=2))),
    # More comes back of an issue than went, in pieces.
    *(
        Stream(
            ((0, name, 10_000),),
            (
                Row(target=0, qty=3, own=10), Row(source=0, qty=3),
                *(Row("return_in", target=0, qty=qty, ref=1) for qty in (2, 1, 4, 1)),
            ),
        )
        for name in METHODS
    ),
    # A shortage that standard cost leaves behind is settled in two parts.
    Stream(
        AT_STANDARD,
        (
            Row("set_standard", target=0, own=5 * 10**6), Row(source=0, qty=3), method("fifo"),
            Row(target=0, qty=2, own=8), Row(target=0, qty=2, own=14),
        ),
    ),
    # What comes to standard costs what it costs on average, else what it did at last.
    *(
        Stream(
            ((0, name, 10_000),),
            (
                *(Row(target=0, qty=1, own=own) for own in owns), *(Row(source=0, qty=qty) for qty in taken),
                method("standard"), Row(source=0, qty=3), Row(target=0, qty=9, own=2),
            ),
        )
        for name in METHODS
        for owns in ((0,), (10, 30), (10, 30, 90))
        for taken in ((), (1,), (3,))
    ),
    # The smallest allowance, and one of whole minor units.
    Stream(
        FIFO,
        (
            Row(target=0, qty=4, own=10**6), Row("write_down", target=0, own=1),
            Row("write_down", target=0, own=54_999),
            Row("write_down", target=0, own=100_000), Row(source=0, qty=1), Row("write_down", target=0, own=-70_000),
        ),
    ),
    # More is written down than there is.
    Stream(
        FIFO,
        (
            Row(target=0, qty=4, own=10), Row("write_down", target=0, own=7), Row("write_down", target=0, own=7),
            Row("write_down", target=0, own=-4), Row("write_down", target=0, own=-9),
        ),
    ),
    # What comes is rounded from the oldest on, whoever gives first.
    *(
        Stream(
            ((0, name, 10_000),),
            (
                *(Row(target=0, qty=qty, own=qty + 3) for qty in quantities),
                Row("absorb", target=0, own=amount), Row("absorb", target=0, own=-amount - 1), Row(source=0, qty=3),
            ),
        )
        for name in ("fifo", "lifo")
        for quantities, amount in (((1, 2, 4), 3), ((1, 2, 4), 5), ((1, 1), 1), ((1, 1, 2), 2))
    ),
)  # fmt: skip

# Goods at standard wait for one; what only changes a value neither waits nor brings it.
ASKED: tuple[Stream, ...] = (
    Stream(
        AT_STANDARD, (Row("value_at", target=0, own=4), Row(target=0, qty=1), Row("value_at", target=0, own=4))
    ),
    Stream(AT_STANDARD, (Row(source=0, qty=1), Row("set_standard", target=0, own=4), Row(source=0, qty=1))),
    # Only what carries an issue's cost waits for the issue.
    Stream(FIFO, (Row(target=0, qty=2, own=4), Row("return_out", 0, qty=1, ref=2), Row(target=0, qty=2, own=6))),
)

# The second half stands upon what the first one stored.
BY_HALVES: tuple[Stream, ...] = (
    Stream(
        FIFO,
        (
            Row(target=0, qty=4, own=40), Row(source=0, qty=1), Row(target=0, qty=1, own=3),
            Row("value_at", target=0, own=8, ref=0), Row("return_in", target=0, qty=1, ref=1), Row(source=0, qty=5),
        ),
    ),
)  # fmt: skip

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """Rows upon a state, and how they are asked for.

    cut      costed in two goes, the second from this row
    entries  only so many cost entries have room, and
    links    only so many links
    """

    rows: Rows
    before: Before
    cut: int = 0
    entries: int | None = None
    links: int | None = None

    def answer(self) -> Answer:
        """All that comes of it, or the row that cannot be costed."""
        one = self.fresh()
        try:
            one.go(0, self.cut)
            one.go(self.cut, len(self.rows))
        except CannotCost as refused:
            return {"refused": refused.move}
        except NoRoom:
            return {"full": int(one.count[kernels.STATUS])}
        return plain(one.costed()) | _inside(one)

    def fresh(self) -> Pass:
        """The pass before its first row."""
        one = Pass(self.rows, *self.before)
        if self.entries is not None:
            one.entries = np.empty(self.entries, kernels.ENTRY)
        if self.links is not None:
            one.links = np.empty(self.links, kernels.LINK)
        return one


@dataclass(frozen=True, slots=True)
class AtRest:
    """Rows upon a state, costed until they rest."""

    rows: Rows
    before: Before

    def answer(self) -> Answer:
        """What comes of it, or the row that cannot be costed."""
        try:
            return plain(ordered_run.run(self.rows, *self.before))
        except CannotCost as refused:
            return {"refused": refused.move}


@dataclass(frozen=True, slots=True)
class Quiet:
    """Rows upon a state, of which it is asked where they may be cut."""

    rows: Rows
    before: Before

    def answer(self) -> Answer:
        """The rows after which the run may be cut."""
        one = Pass(self.rows, *self.before)
        found = kernels.quiet_places(one.rows, one.pools)
        return {"quiet": found.tolist(), "kind": found.dtype.name}


AnyCase = Case | AtRest | Quiet


def _inside(one: Pass) -> Answer:
    """What no one is shown, but what comes later hangs on: the queues, who made their layers, what rows left behind."""
    live = np.flatnonzero(one.layers["qty"][: one.count[kernels.LAYERS]])
    return {
        "queues": [_queue(one, int(head)) for head in one.pools["head"]],
        "tails": [int(pool["tail"]) for pool in one.pools if pool["head"] != NONE],
        "waiting": one.pools["waiting"].tolist(),
        "makers": [(int(i), int(one.layers["move"][i]), int(one.layers["step"][i])) for i in live],
        "last": (one.pools["last_value"].tolist(), one.items["last_value"].tolist()),
        "dust": [int(one.layers[name][one.layers["qty"] == 0].sum()) for name in ("value", "uncosted")],
        "spare": not one.layers[one.count[kernels.LAYERS] :].view(np.uint8).any(),
        "outcomes": {name: one.outcomes[name].tolist() for name in ("carried", "done", "returned", "made")},
    }


def _queue(one: Pass, at: int) -> list[int]:
    queue: list[int] = []
    while at != NONE and len(queue) <= len(one.layers):
        queue.append(at)
        at = int(one.layers["next"][at])
    return queue


def draw() -> list[AnyCase]:
    """The cases, always the same ones; the small ones, which judge most mutants, first."""
    cases: list[AnyCase] = []
    tiny = [_valued(one, TINY_VALUES) for one in _drawn(streams(EVERYTHING, givens=True, qty=TINY, rows=12), 400)]
    rare = [one for kinds, methods in RARE for one in _drawn(streams(kinds, methods, qty=TINY, rows=14), 160)]
    cases += [_case(one, cut=len(one.rows) // 3) for one in tiny]
    cases += [_case(_valued(_misnamed(one), TINY_VALUES)) for one in rare]
    cases += [_case(one(more)) for one in AT_THE_LIMIT.values() for more in (0, 1)]
    cases += [_case(one) for one in (*BEYOND_COUNTING.values(), *BY_HAND)]
    for one in (*BY_HALVES, *tiny[::4], *rare[::4]):
        cases += _second_half(one)
    for name in METHODS:
        cases += [_case(one) for one in _drawn(streams(EVERYTHING, (name,), givens=True), 25)]
    for kinds, methods in RARE:
        cases += [_case(one) for one in _drawn(streams(kinds, methods, givens=True), 40)]
    at_edges = (*_drawn(streams((*EVERYTHING, "receipt"), qty=EDGE_QTY, rows=7), 700),)
    at_edges += (
        *_drawn(streams((*GOODS, "set_standard", "change_method"), ("standard",), qty=EDGE_QTY, rows=7), 200),
    )
    cases += [_case(_valued(one, EDGES)) for one in at_edges]
    for one in _drawn(streams(EVERYTHING), 60):
        cases.append(AtRest(columns(one.rows), one.empty()))
        cases += _second_half(one)
    for one in (*ASKED, *tiny[1::3], *rare[1::5]):
        cases.append(Quiet(columns(one.rows), one.empty()))
        cases += [Quiet(half.rows, half.before) for half in _second_half(one)]
    for one in (*tiny[2::12], *rare[2::24]):
        cases += _little_room(one)
    return cases


def _case(stream: Stream, cut: int = 0) -> Case:
    return Case(columns(stream.rows), stream.empty(), cut)


def _misnamed(stream: Stream) -> Stream:
    """Now and then a row names a receipt into another pool, or a feed brings a value of its own."""
    rows: list[Row] = []
    for number, row in enumerate(stream.rows):
        receipts = [
            at for at, one in enumerate(stream.rows[:number]) if one.op == "move" and one.target is not None
        ]
        if row.op in ("return_out", "value_at") and receipts and number % 4 == 0:
            row = replace(row, ref=receipts[number * 7 % len(receipts)])
        if row.op == "feed" and number % 3 == 0:
            row = replace(row, own=number, given=None)
        rows.append(row)
    return Stream(stream.pools, tuple(rows))


def _drawn(strategy: st.SearchStrategy[Stream], examples: int) -> Iterator[Stream]:
    found: list[Stream] = []

    @seed(SEED)
    @settings(
        max_examples=examples, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(strategy)
    def collect(stream: Stream) -> None:
        found.append(stream)

    collect()
    return iter(found)


def _valued(stream: Stream, values: tuple[int, ...]) -> Stream:
    """The same stream with each value replaced by one of these, of the sign that it had."""
    rows: list[Row] = []
    for number, row in enumerate(stream.rows):
        changes: dict[str, Any] = {}
        for name in ("own", "extra", "given"):
            old = getattr(row, name)
            if not old or (name == "own" and row.op == "change_method"):
                continue
            new = values[(abs(old) + number) % len(values)]
            changes[name] = -new if old < 0 else new
        rows.append(replace(row, **changes))
    return Stream(stream.pools, tuple(rows))


def _second_half(stream: Stream) -> list[Case]:
    """The rows behind the middle, upon what the first half left on the books."""
    at = len(stream.rows) // 2
    try:
        stream = splittable(stream, at)
        first = costed(stream.rows[:at], stream.empty())
    except (TooMuch, CannotCost):
        return []
    state = stored(first)
    return [Case(columns(second_part(stream, at, first, state[1])), state)]


def _little_room(stream: Stream) -> list[Case]:
    """With room for just so many entries or links as are needed, and for a few less."""
    case = Case(columns(stream.rows), stream.empty())
    one = case.fresh()
    try:
        one.go(0, len(stream.rows))
    except CannotCost:
        return []
    entries, links = int(one.count[kernels.ENTRIES]), int(one.count[kernels.LINKS])
    return [
        *(replace(case, entries=room) for room in range(entries, entries + 6)),
        *(replace(case, links=room) for room in range(max(links - 2, 0), links + 1)),
    ]


def keep(path: Path) -> int:
    """Write the cases with their answers; how many."""
    cases = draw()
    path.write_bytes(pickle.dumps([(case, case.answer()) for case in cases]))
    return len(cases)


def kept(path: Path) -> list[tuple[AnyCase, Answer]]:
    """What `keep` wrote, here and now."""
    return pickle.loads(path.read_bytes())  # noqa: S301  our own file of a moment ago
