"""Made-up mornings at a gate, for properties of recognition: goods that pass, turn back, come near and stand.

A story is drawn by Hypothesis and is small: a few goods of a few tags. What happens may be impossible (goods in
two places at once); recognition must keep its promises all the same.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from edge.readings import EyeChange, Sighting, TagRead
from edge.recognition.gate import US, GateSettings
from tests.crowds import INSIDE, OUTSIDE, epc_of, hump, merged, passing, with_phase
from tests.walks import T0_US

MOST_ON_A_SIDE = 3
INSIDE_FROM = 11  # antennas 1, 2, 3 stand outside and 11, 12, 13 inside
DOOR, OUTER, INNER = 1, 2, 3
EVERY_S = 0.2  # one antenna's reads of one tag
WIRED = {"none": {}, "door": {"eye_door": DOOR}, "two": {"eye_outside": OUTER, "eye_inside": INNER}}


@dataclass(frozen=True, slots=True)
class Event:
    """What some goods do: `kind` at `at_s` seconds."""

    goods: int
    kind: str
    at_s: float
    inward: bool
    second_db: float
    tags: int


@dataclass(frozen=True, slots=True)
class Story:
    """A gate and what it hears, in order of time."""

    gate: GateSettings
    events: tuple[Event, ...]
    sightings: tuple[Sighting, ...]
    built: tuple[int, str, bool, int]  # antennas a side, eyes, has phase, seed: what `story_of` made it from

    def _repr_pretty_(self, printer: Any, _: bool) -> None:
        # A failure is told by what happened; the reads follow from it.
        lines = (f"\n    {event}" for event in self.events)
        printer.text(f"Story(built={self.built},{''.join(lines)})")

    @property
    def ends_us(self) -> int:
        return max((one.seen_at_us for one in self.sightings), default=T0_US)


def gate_of(on_a_side: int, eyes: str) -> GateSettings:
    inside = frozenset(range(INSIDE_FROM, INSIDE_FROM + on_a_side))
    return GateSettings("dock", inside, frozenset(range(1, 1 + on_a_side)), **WIRED[eyes])


KINDS = ("pass", "pass", "pass", "back", "near", "stand", "sparse")
events = st.builds(
    Event,
    goods=st.integers(0, 3),
    kind=st.sampled_from(KINDS),
    at_s=st.sampled_from(
        [0.0, 0.7, 2.0, 4.0, 7.0, 12.0, 50.0]
    ),  # after the event before; made absolute by `story_of`
    inward=st.booleans(),
    second_db=st.sampled_from([16.0, 16.0, 9.0, 5.0, 2.0]),
    tags=st.integers(1, 3),
)


gates = st.tuples(st.integers(1, MOST_ON_A_SIDE), st.sampled_from(sorted(WIRED)))


@st.composite
def stories(
    draw: st.DrawFn, most: int = 5, of: tuple[int, str] | None = None, what: st.SearchStrategy[Event] = events
) -> Story:
    """A story of up to `most` events, `of` a gate with so many antennas a side and such eyes."""
    gate_has = of or draw(gates)
    happens = draw(st.lists(what, min_size=1, max_size=most))
    return story_of(*gate_has, happens, has_phase=draw(st.booleans()), seed=draw(st.integers(0, 999)))


def _pair(gate_has: tuple[int, str]) -> st.SearchStrategy[tuple[Story, Story]]:
    # Without sparse goods: how much a crowd must stand out is learned, so what was before makes a difference.
    dense = events.filter(lambda event: event.kind != "sparse")
    return st.tuples(stories(3, gate_has, dense), stories(3, gate_has, dense))


pairs = gates.flatmap(_pair)  # two stories of one gate


def story_of(on_a_side: int, eyes: str, happens: list[Event], *, has_phase: bool, seed: int) -> Story:
    """The story of `happens`, each so long after the one before as its `at_s` says."""
    chance = random.Random(seed)
    now_s, placed = 5.0, []
    for event in happens:
        now_s += event.at_s
        placed.append(replace(event, at_s=now_s + 0.013 * len(placed)))  # no two things at the same instant
    # Each eye is heard before anything else happens: one that never said anything is not asked.
    streams: list[Sequence[Sighting]] = [
        [EyeChange(port, is_broken, T0_US + port * US + 300_000 * (not is_broken)) for is_broken in (True, False)]
        for port in WIRED[eyes].values()
    ]
    for event in placed:
        tags = range(event.tags if event.kind != "sparse" else 7)
        streams += [_spread(_reads(event, tag, chance, has_phase), on_a_side, chance) for tag in tags]
        streams.append(_beams(event, eyes, chance))
    built = (on_a_side, eyes, has_phase, seed)
    return Story(gate_of(on_a_side, eyes), tuple(placed), tuple(merged(*streams)), built)


def _reads(event: Event, tag: int, chance: random.Random, has_phase: bool) -> list[TagRead]:
    number, at_s = 10 * event.goods + tag, round(event.at_s + 0.05 * tag, 3)
    away_m = {"at": at_s, "speed": 0.0 if event.kind == "stand" else 1.0}

    def distance_m(antenna: int, now_s: float) -> float:
        return math.hypot(away_m["speed"] * (now_s - away_m["at"]) + (1.5 if antenna == OUTSIDE else -1.5), 1.0)

    seen = _strengths(event, number, at_s, chance)
    return with_phase(seen, distance_m, chance) if has_phase else seen


def _strengths(event: Event, number: int, at_s: float, chance: random.Random) -> list[TagRead]:
    epc, first, second = epc_of(number), *((OUTSIDE, INSIDE) if event.inward else (INSIDE, OUTSIDE))
    if event.kind == "pass":
        return passing(number, at_s, inward=event.inward, second_db=event.second_db, every_s=EVERY_S)
    if event.kind == "near":
        return passing(number, at_s, inward=event.inward, second_db=event.second_db, apart_s=0.0, every_s=EVERY_S)
    if event.kind == "back":
        return merged(
            hump(epc, first, at_s - 2, 16.0, every_s=EVERY_S),
            hump(epc, second, at_s, event.second_db, every_s=EVERY_S),
            hump(epc, first, at_s + 2, 16.0, every_s=EVERY_S),
        )
    if event.kind == "stand":
        sides = (first,) if event.second_db < 6 else (first, second)
        return [
            TagRead(
                epc, chance.choice(sides), -62.0 + chance.choice((0, 0.5, 1.0)), T0_US + round((at_s + k) * US)
            )
            for k in range(chance.choice((5, 30, 45)))
        ]
    seen = []  # sparse: four reads of a pass
    for turn in range(4):
        late_s = 3.0 * (2 * (turn + chance.random()) / 4 - 1)
        side = second if late_s > 0 else first
        seen.append(TagRead(epc, side, round(chance.gauss(-58, 4), 1), T0_US + round((at_s + late_s) * US)))
    return seen


def _spread(reads: list[TagRead], on_a_side: int, chance: random.Random) -> list[TagRead]:
    """To the antennas of each side."""
    return [
        replace(read, antenna=(1 if read.antenna == OUTSIDE else INSIDE_FROM) + chance.randrange(on_a_side))
        for read in reads
    ]


def _beams(event: Event, eyes: str, chance: random.Random) -> list[EyeChange]:
    if event.kind in ("stand", "near") or chance.random() < 0.1:
        return []
    if eyes == "door":
        steps = [(-0.6, DOOR, True), (0.9, DOOR, False)]
    elif eyes == "two":
        first, second = (OUTER, INNER) if event.inward else (INNER, OUTER)
        if event.kind == "back":
            steps = [(-0.8, first, True), (-0.3, second, True), (0.3, second, False), (0.8, first, False)]
        else:
            steps = [(-0.6, first, True), (-0.1, second, True), (0.4, first, False), (0.9, second, False)]
    else:
        steps = []
    return [EyeChange(port, broken, T0_US + round((event.at_s + late_s) * US)) for late_s, port, broken in steps]


def mirrored(story: Story) -> Story:
    """The same seen by a gate that was built the other way round."""
    swap = {OUTER: INNER, INNER: OUTER}

    def turned(one: Sighting) -> Sighting:
        if isinstance(one, EyeChange):
            return replace(one, port=swap.get(one.port, one.port))
        other = INSIDE_FROM - 1
        return replace(one, antenna=one.antenna + other if one.antenna < INSIDE_FROM else one.antenna - other)

    return replace(story, sightings=tuple(merged([turned(one) for one in story.sightings])))
