"""Rows in perfect order, costed until they rest: what re-costing measures the books against.

One pass costs an issue that finds nothing at the last known cost and settles it later, and by then its goods may
have gone on to another pool, or come back, at the first cost. Here the pass is repeated, with every such edge
carrying what its issue cost in the end, until nothing changes. Goods that came without any cost are valued at their
pool's first known cost by the same rounds.

The timeline is cut where no pool is short, and every segment comes to rest before the next begins: so what comes
after a cut cannot change how the rounds before it went, and a run that starts from a snapshot taken at a cut ends
as the run from the beginning does.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud.domain.costing import kernels
from cloud.domain.costing.pools import (
    NONE,
    Bool,
    Costed,
    Int64,
    LastCosts,
    Layers,
    NoRoom,
    Op,
    Pass,
    Pools,
    Rows,
)
from cloud.domain.rounding import muldiv_columns

# Costs that go round in a circle of shortages draw near their rest by a share each time: at a tenth left of each
# difference eighteen rounds reach the last 10⁻⁶ of any value. So many rounds go all at once, as many with values held,
# as many one edge at a time (see _come_to_rest). What is not at rest by then stays `open` and is said.

MAX_ROUNDS = 100


Records = NDArray[Any]


def run(rows: Rows, pools: Pools, layers: Layers, last_costs: LastCosts) -> Costed:
    """Cost n rows in canonical order until they rest. The arguments stay as they are. Raises CannotCost.

    Rows that did not come to rest in the rounds they have are `open` in what comes back.
    """
    generosity = 1
    while True:
        one = Pass(rows, pools, layers, last_costs, generosity)
        try:
            _run(one)
        except NoRoom:
            generosity *= 2
            continue
        return one.costed()


def _run(one: Pass) -> None:
    """The whole once; where something is not at rest, again by segments."""
    n = len(one)
    beginning = _State.of(one, 0, n)
    one.go(0, n)
    restless, waits = _restless(one, 0, n), _waits(one, 0, n)
    if not restless.any():
        return
    beginning.restore(one)
    quiet = kernels.quiet_places(one.rows, one.pools)
    start = 0
    while start < n:
        ends = _ends(quiet, waits)
        later = np.flatnonzero(restless[start:]) + start
        first_end = int(ends[np.searchsorted(ends, start, side="right")])
        if len(later) and later[0] < first_end:
            _come_to_rest(one, start, first_end)
            start = first_end
            continue
        stop = int(ends[np.searchsorted(ends, later[0], side="right") - 1]) if len(later) else n
        before = _State.of(one, start, stop)
        one.go(start, stop)
        if (surprise := _restless(one, start, stop)).any():
            # Costs that the first pass had wrong brought something to light that it did not show.
            restless |= surprise
            waits += _waits(one, start, stop)
            before.restore(one)
        else:
            start = stop


def _ends(quiet: Bool, waits: list[tuple[int, int]]) -> Int64:
    """Where segments end: after quiet rows, but not while goods wait for their first cost."""
    cut = quiet.copy()
    for row, first in waits:
        cut[row:first] = False
    cut[-1] = True
    return np.flatnonzero(cut) + 1


def _come_to_rest(one: Pass, start: int, stop: int) -> None:
    """Cost these rows over and over, each edge with what its issue cost the last time, until nothing changes.

    Circles can keep rounds going for ever, though there is a rest. Goods without a cost get one by which their own
    first cost was found, and by a few 10⁻⁶ of the one the other changes by whole units: so what they are worth is
    held in the end. And two edges that each take what the other had can swap it round after round: then the
    earliest of those that are not at rest goes alone. What draws near its rest by less than a share a round, as when
    a few 10⁻⁶ go round with whole units, stays open.
    """
    before = _State.of(one, start, stop)
    for change in (_all_change, _edges_change, _one_edge_changes):
        for _ in range(MAX_ROUNDS):
            one.go(start, stop)
            given = change(one, start, stop)
            if np.array_equal(given, one.rows["given"][start:stop]):
                return
            one.rows["given"][start:stop] = given
            before.restore(one)
    one.go(start, stop)


def _all_change(one: Pass, start: int, stop: int) -> Int64:
    given = _edges_change(one, start, stop)
    _value_what_had_no_cost(one, start, stop, given)
    return given


def _edges_change(one: Pass, start: int, stop: int) -> Int64:
    """What each row is given for the next round: edges what their issues cost in this one."""
    given: Int64 = one.rows["given"][start:stop].copy()
    wanted = one.wanted(start, stop)
    edges = wanted != NONE
    moved = edges & ((wanted != one.outcomes["carried"][start:stop]) | (given != NONE))
    given[moved] = wanted[moved]
    return given


def _one_edge_changes(one: Pass, start: int, stop: int) -> Int64:
    given: Int64 = one.rows["given"][start:stop].copy()
    following = _edges_change(one, start, stop)
    first = np.flatnonzero(following != given)[:1]
    given[first] = following[first]
    return given


def _without_cost(one: Pass, start: int, stop: int) -> Int64:
    """Rows that brought goods from outside while nobody knew what they cost."""
    rows, part = one.rows, slice(start, stop)
    from_outside = (rows["op"][part] == Op.MOVE) & (rows["src"][part] == NONE) & (rows["dst"][part] != NONE)
    waiting = one.outcomes["uncosted"][part] | (rows["given"][part] != NONE)
    return np.flatnonzero(from_outside & (rows["own"][part] == NONE) & waiting) + start


def _is_receipt(one: Pass, stop: int) -> Bool:
    """Which of the first rows bring goods to a pool."""
    rows = one.rows[:stop]
    receipt: Bool = (rows["dst"] != NONE) & (rows["op"] <= Op.RETURN_OUT) & (rows["op"] != Op.FEED)
    return receipt


def _brings_cost(one: Pass, stop: int) -> Bool:
    """Which of the first rows bring goods at a cost that does not come from the pool itself."""
    rows, outcomes = one.rows[:stop], one.outcomes[:stop]
    brings = (rows["own"] != NONE) | (rows["src"] != NONE)
    back = np.flatnonzero((rows["op"] == Op.RETURN_IN) & ~brings)
    ref, stored = rows["ref"][back], rows["ref"][back] == NONE
    issued = np.where(stored, rows["ref_qty"][back], one.rows["qty"][ref])
    brings[back] = (rows["given"][back] != NONE) | stored | (ref < back)
    brings[back] &= outcomes["done"][back] + rows["qty"][back] <= issued
    return brings & _is_receipt(one, stop) & ~outcomes["uncosted"]


def _first_costs(one: Pass, found: Int64, stop: int) -> Int64:
    """For each of these rows the next receipt into its pool that brought a cost, or NONE."""
    rows, known = one.rows, _brings_cost(one, stop)
    first = np.full(len(found), NONE, np.int64)
    for pool in np.unique(rows["dst"][found]):
        mine = rows["dst"][found] == pool
        sources = np.flatnonzero(known & (rows["dst"][:stop] == pool))
        place = np.searchsorted(sources, found[mine], side="right")
        has = place < len(sources)
        answer = np.full(len(place), NONE, np.int64)
        answer[has] = sources[place[has]]
        first[mine] = answer
    return first


def _value_what_had_no_cost(one: Pass, start: int, stop: int, given: Int64) -> None:
    """Goods from outside without a cost come at the first one that their pool got later."""
    rows, outcomes = one.rows, one.outcomes
    found = _without_cost(one, start, stop)
    if len(found) == 0:
        return
    source = _first_costs(one, found, stop)
    found, source = found[source != NONE], source[source != NONE]
    if len(found):
        paid = outcomes["in_value"][source] + outcomes["variance"][source]
        given[found - start] = muldiv_columns(
            np.maximum(paid, 0), rows["qty"][found], rows["qty"][source]
        )  # fmt: skip


def _waits(one: Pass, start: int, stop: int) -> list[tuple[int, int]]:
    """From which row goods without a cost wait until which one brings their pool its first."""
    found = _without_cost(one, start, stop)
    if len(found) == 0:
        return []
    source = _first_costs(one, found, stop)
    # Where no receipt has a cost yet, one may still get it from the rounds: none of them is cut off.
    receipts = np.flatnonzero(_is_receipt(one, stop))
    last = np.full(len(one.pools), NONE, np.int64)
    np.maximum.at(last, one.rows["dst"][receipts], receipts)
    last_of_pool = last[one.rows["dst"][found]]
    source = np.where((source == NONE) & (last_of_pool > found), last_of_pool, source)
    return list(zip(found[source != NONE].tolist(), source[source != NONE].tolist(), strict=True))


def _restless(one: Pass, start: int, stop: int) -> Bool:
    """bool[n]: edges that carried something else than their issue's cost, and goods that came without a cost."""
    restless = np.zeros(len(one), np.bool_)
    wanted = one.wanted(start, stop)
    restless[start:stop] = (wanted != NONE) & (wanted != one.outcomes["carried"][start:stop])
    for row, _ in _waits(one, start, stop):
        restless[row] = True
    return restless


@dataclass(slots=True)
class _State:
    """A pass before some of its rows, to begin them again. Only what they can change is kept."""

    start: int
    stop: int
    pools: Records
    items: Records
    live: Int64
    layers: Records
    count: Int64
    earlier: Int64
    outcomes: Records

    @classmethod
    def of(cls, one: Pass, start: int, stop: int) -> "_State":
        live = np.flatnonzero(one.layers["qty"][: one.count[kernels.LAYERS]])
        # Rows before these that later ones still add to: issues that goods come back from, makers of what is there.
        earlier = np.concatenate([one.rows["ref"][start:stop], one.layers["move"][live]])
        earlier = np.unique(earlier[(earlier != NONE) & (earlier < start)])
        return cls(
            start, stop, one.pools.copy(), one.items.copy(), live, one.layers[live], one.count.copy(), earlier,
            one.outcomes[earlier],
        )  # fmt: skip

    def restore(self, one: Pass) -> None:
        """Put the pass back to before its rows start … stop − 1."""
        one.pools[:], one.items[:], one.count[:] = self.pools, self.items, self.count
        one.layers[self.live] = self.layers
        one.outcomes[self.earlier] = self.outcomes
        part = one.outcomes[self.start : self.stop]
        part[:] = 0
        part["carried"] = part["made"] = NONE
