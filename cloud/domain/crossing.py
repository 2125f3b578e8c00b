"""Which sightings move a tag: the walk of one tag through its crossings, in the order of the world.

A tag is on one side of a gate or the other. A sighting moves it when it leads to another area than the one
it is in; one that leads to where it already is moves nothing. Sightings of one crossing by several gates of
a crossing group move it once: the most confident wins, the others are evidence.

Sightings arrive late. The walk is therefore over known and new sightings alike; where a late one changes
what a known one should have done, the verdict says so, and the books get a correction. A late crossing of its
own changes at most one known one: after the next crossing the tag is where that crossing led, either way. A
late sighting of a known crossing may change two: the mover before, and the one behind it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cloud.domain.movement import NONE, Crossing, Int64, Outcome

_NEITHER = {Crossing.TURNED_BACK: Outcome.TURNED_BACK, Crossing.UNDECIDED: Outcome.UNDECIDED}


@dataclass(frozen=True, slots=True)
class Sighting:
    """One passage of one tag, as the walk needs it.

    key         what the caller knows it by
    occurred_us µs since 1970-01-01 UTC, corrected
    target      area that this passage leads to
    group, same_us  crossing group of the gate, and within what time its gates may see one crossing
    known       whether it was recorded before; moved: whether the books say that it moved the tag
    """

    key: int
    occurred_us: int
    gate: int
    crossing: Crossing
    target: int
    group: int
    same_us: int
    confidence: float
    known: bool = False
    moved: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a sighting does. winner: key of the sighting that moved (or would move) the tag instead of it."""

    sighting: Sighting
    outcome: Outcome
    winner: int | None = None

    @property
    def moves(self) -> bool:
        """Whether the tag moves by it."""
        return self.outcome is Outcome.MOVED

    @property
    def is_undone(self) -> bool:
        """Whether the books say it moved the tag and it should not have."""
        return self.sighting.moved and not self.moves

    @property
    def is_done(self) -> bool:
        """Whether it moves the tag and the books do not say so yet."""
        return self.moves and not self.sighting.moved


@dataclass(frozen=True, slots=True)
class Walk:
    """The verdicts in the order of the world, and the last crossing sighting that placed the tag."""

    verdicts: list[Verdict]
    area: int | None
    last: Sighting | None


def walk(area: int | None, sightings: Sequence[Sighting]) -> Walk:
    """Walk one tag from `area` (None: never seen) through its sightings, in any order given."""
    ordered = sorted(sightings, key=lambda sighting: (sighting.occurred_us, not sighting.known, sighting.key))
    verdicts: list[Verdict] = []
    last: Sighting | None = None
    taken: set[int] = set()
    for start, sighting in enumerate(ordered):
        if start in taken:
            continue
        if (outcome := _NEITHER.get(sighting.crossing)) is not None:
            verdicts.append(Verdict(sighting, outcome))
            continue
        together = _one_crossing(ordered, start, taken)
        taken.update(together)
        seen = [ordered[i] for i in together]
        winner = _winner(seen)
        outcome = Outcome.ALREADY_THERE if winner.target == area else Outcome.MOVED
        verdicts.append(Verdict(winner, outcome))
        verdicts += [Verdict(other, Outcome.SAME_CROSSING, winner.key) for other in seen if other is not winner]
        area, last = winner.target, winner
    return Walk(verdicts, area, last)


def _one_crossing(ordered: Sequence[Sighting], start: int, taken: set[int]) -> list[int]:
    """The sightings from `start` on that are one crossing: each by another gate of one group, close in time.

    A second sighting by the same gate is a second crossing: that gate has already told them apart.
    """
    first = ordered[start]
    together, gates = [start], {first.gate}
    for i in range(start + 1, len(ordered)):
        other = ordered[i]
        if other.occurred_us - first.occurred_us > first.same_us:
            break
        if other.crossing in _NEITHER or i in taken:
            continue
        if other.group != first.group or other.gate in gates:
            break
        together.append(i)
        gates.add(other.gate)
    return together


def _winner(seen: Sequence[Sighting]) -> Sighting:
    """The most confident, the earlier of equals; a known mover stays when a better one says the same."""
    best = max(seen, key=lambda sighting: sighting.confidence)
    mover = next((sighting for sighting in seen if sighting.moved), None)
    return mover if mover is not None and mover.target == best.target else best


def walk_plain(tag: Int64, crossing: Int64, target: Int64, area: Int64) -> Int64:
    """The outcomes of new sightings no two of which are one crossing: `walk` of all their tags at once.

    By sighting, ordered by tag and within each in the order of the world: tag (index into `area`), crossing, the
    area it leads to. area: where each tag is before, NONE where nobody knows.
    """
    crosses = (crossing == Crossing.IN) | (crossing == Crossing.OUT)
    outcome = np.where(crossing == Crossing.TURNED_BACK, int(Outcome.TURNED_BACK), int(Outcome.UNDECIDED))
    at = np.flatnonzero(crosses)
    before = area[tag[at]]
    follows = tag[at][1:] == tag[at][:-1]
    before[1:][follows] = target[at][:-1][follows]
    outcome[at] = np.where(
        (before == target[at]) & (before != NONE), int(Outcome.ALREADY_THERE), int(Outcome.MOVED)
    )
    return outcome
