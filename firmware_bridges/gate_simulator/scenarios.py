"""Named worlds: what happens at gates, by kind, drawn from a seed.

Each function takes a seed and how many events, and returns one world in which they follow each other far
enough apart (GAP_S of silence between) to be judged alone; `catalogue` names them all. Goods, materials,
speeds, places and people are drawn anew for each event. Walks take place as people and forklifts do them:
1 to 2 m/s on foot, up to 2.5 m/s driving, 0.5 m/s where it is tight.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np

from firmware_bridges.gate_simulator.air_interface import Inventory, LinkTiming
from firmware_bridges.gate_simulator.antennas import FCC_MHZ, Hall, PhotoEye, Reader, portal
from firmware_bridges.gate_simulator.motion import (
    FAR_M,
    Way,
    along,
    approach,
    leaving,
    past,
    standing,
    through,
    turn_back,
)
from firmware_bridges.gate_simulator.world import (
    CARDBOARD,
    LIQUID,
    METAL,
    MIXED,
    Happened,
    Load,
    Material,
    Walker,
    World,
    stacked,
)

GAP_S: Final = 8.0  # between events: more than twice the hold of recognition
LONGEST_TURN_BACK_S: Final = 18.0  # the longest recorded one
PALLET_M: Final = (1.2, 0.8, 1.4)
TROLLEY_M: Final = (0.8, 0.6, 1.2)
MATERIAL_SHARES: Final = ((CARDBOARD, 0.4), (MIXED, 0.35), (LIQUID, 0.15), (METAL, 0.1))
# A hundred labels on one trolley take from each other: some decibels each, as their antennas couple.
CROWDED: Final = Material("crowded cardboard", 5.0, 6.0, 15.0, 0.5)
SPEEDS_M_S: Final = (0.5, 2.5)
# One beam in the door's line, and one 0.25 m before and one behind it: a gate is wired to the first or to the others.
DOOR_PORT, OUTSIDE_PORT, INSIDE_PORT = 1, 2, 3
EYES: Final = (PhotoEye(DOOR_PORT, 0.0), PhotoEye(OUTSIDE_PORT, -0.25), PhotoEye(INSIDE_PORT, 0.25))
# How antennas are mounted: looking away from the door on their side, or straight across the way on both sides.
MOUNTS: Final = {"away": portal(), "across": portal(away=0.0)}

DENSE: Final = Reader()
# As the recorded shuttle runs were read: 100-odd reads a second, each tag once in about 1.6 s.
SPARSE: Final = Reader(
    power_dbm=30.0,
    sensitivity_dbm=-78.0,
    inventory=Inventory(session=1, first_q=4, timing=LinkTiming(25.0, 250.0, 4)),
)
# The same beside a store, its power turned down so that most of the store is not heard.
LOW: Final = replace(SPARSE, power_dbm=20.0)
AMERICAN: Final = Reader(channels_mhz=FCC_MHZ, hop_s=0.3)
FAST: Final = Reader(inventory=Inventory(session=0, timing=LinkTiming(6.25, 640.0, 1)))
READERS: Final = {"dense": DENSE, "sparse": SPARSE, "low": LOW, "american": AMERICAN, "fast": FAST}


def material(random: np.random.Generator) -> Material:
    """Of one stack."""
    shares = [share for _, share in MATERIAL_SHARES]
    return MATERIAL_SHARES[int(random.choice(len(shares), p=shares))][0]


def _load(
    group: str,
    way: Way,
    tags: int,
    true: Sequence[tuple[float, float, Happened]],
    random: np.random.Generator,
    size_m: tuple[float, float, float] = PALLET_M,
    of: Material | None = None,
) -> Load:
    stuff = of or material(random)
    return Load(group, way, stacked(tags, size_m, stuff, random), size_m, stuff, tuple(true))


def _whole(way: Way, what: Happened) -> list[tuple[float, float, Happened]]:
    return [(way.starts_s, way.ends_s, what)]


def _tags(random: np.random.Generator) -> int:
    return int(random.integers(4, 25))


def _speed(random: np.random.Generator) -> float:
    return float(random.uniform(*SPEEDS_M_S))


def _driver(way: Way, random: np.random.Generator) -> Walker:
    """Who moves it: a person behind it or beside it."""
    beside, behind = float(random.uniform(-0.5, 0.5)), float(random.choice([-1.1, 1.1]))
    return Walker(Way(way.times_s, way.x_m + behind, way.y_m + beside), float(random.choice([0.5, 4.0])))


@dataclass(frozen=True, slots=True)
class Event:
    """Loads and people that belong to one thing that happens, in the world's time."""

    loads: tuple[Load, ...]
    walkers: tuple[Walker, ...] = ()

    @property
    def ends_s(self) -> float:
        return max(load.way.ends_s for load in self.loads)


Draw = Callable[[float, str, np.random.Generator], Event]


def _following(seed: int, n: int, draw: Draw, reader: Reader, hall: Hall, eyes: tuple[PhotoEye, ...]) -> World:
    """n events one after the other."""
    random = np.random.default_rng([seed, 99])
    loads: list[Load] = []
    walkers: list[Walker] = []
    now_s = GAP_S / 2
    for number in range(n):
        event = draw(now_s, f"{number:04d}", random)
        loads += event.loads
        walkers += event.walkers
        now_s = event.ends_s + GAP_S
    return World(now_s, tuple(loads), tuple(walkers), reader=reader, hall=hall, eyes=eyes)


# -- what one event is --


def _one_pass(start_s: float, group: str, random: np.random.Generator, tags: int | None = None) -> Event:
    inwards, speed = bool(random.integers(2)), _speed(random)
    way = through(inwards, start_s + FAR_M / speed, speed, random, float(random.uniform(-0.5, 0.5)))
    load = _load(group, way, tags or _tags(random), _whole(way, "in" if inwards else "out"), random)
    return Event((load,), (_driver(way, random),))


def _stop_in_door(start_s: float, group: str, random: np.random.Generator) -> Event:
    inwards, speed = bool(random.integers(2)), float(random.uniform(0.4, 1.0))
    way = through(
        inwards,
        start_s + FAR_M / speed,
        speed,
        random,
        waits_s=float(random.uniform(2.0, 10.0)),
        waits_at_m=float(random.uniform(-0.8, 0.8)),
    )
    load = _load(group, way, _tags(random), _whole(way, "in" if inwards else "out"), random)
    return Event((load,), (_driver(way, random),))


def _near(start_s: float, group: str, random: np.random.Generator) -> Event:
    side, speed = float(random.choice([-1.0, 1.0])), float(random.uniform(0.5, 2.0))
    nearest = float(random.uniform(1.4, 3.1))  # of the stack's middle: its front comes 0.6 m nearer
    if random.random() < 0.5:
        way = past(side, start_s, nearest, speed, random, bool(random.integers(2)))
    else:
        waits = float(random.uniform(0.0, 6.0))
        way = approach(side, start_s, nearest, speed, random, float(random.uniform(-1.0, 1.0)), waits)
    load = _load(group, way, _tags(random), _whole(way, "near"), random)
    return Event((load,), (_driver(way, random),))


def _turn_back(start_s: float, group: str, random: np.random.Generator) -> Event:
    """Out and back in at most LONGEST_TURN_BACK_S."""
    side, speed = float(random.choice([-1.0, 1.0])), float(random.uniform(1.15, 2.0))
    beyond = float(random.uniform(0.8, 2.5))
    spare_s = LONGEST_TURN_BACK_S - 2 * (FAR_M + beyond) / speed
    waits_s = float(random.uniform(0.0, min(4.0, spare_s))) if spare_s > 0 else 0.0
    way = turn_back(side, start_s, beyond, speed, random, waits_s=waits_s)
    load = _load(group, way, _tags(random), _whole(way, "turned_back"), random)
    return Event((load,), (_driver(way, random),))


def _crossing_forklifts(start_s: float, group: str, random: np.random.Generator) -> Event:
    """Two at once in opposite directions, side by side, meeting within 1.5 s of the door."""
    speed = float(random.uniform(0.8, 2.0))
    meets_s = start_s + FAR_M / speed + 1.5
    loads, walkers = [], []
    for inwards, y in ((True, -0.75), (False, 0.75)):
        own = speed * float(random.uniform(0.9, 1.1))
        way = through(inwards, meets_s + float(random.uniform(-1.5, 1.5)), own, random, y)
        what: Happened = "in" if inwards else "out"
        loads.append(_load(f"{group}-{what}", way, _tags(random), _whole(way, what), random))
        walkers.append(_driver(way, random))
    return Event(tuple(loads), tuple(walkers))


def _convoy(start_s: float, group: str, random: np.random.Generator) -> Event:
    """Pallets 2 to 3 s behind each other."""
    inwards, speed = bool(random.integers(2)), float(random.uniform(1.0, 2.0))
    what: Happened = "in" if inwards else "out"
    loads = []
    crosses_s = start_s + FAR_M / speed
    for place in range(int(random.integers(2, 5))):
        way = through(inwards, crosses_s, speed, random)
        loads.append(_load(f"{group}-{place}", way, _tags(random), _whole(way, what), random))
        crosses_s += float(random.uniform(2.0, 3.0))
    return Event(tuple(loads), (_driver(loads[0].way, random),))


def _leaves(start_s: float, group: str, random: np.random.Generator) -> Event:
    """Parked beside the gate for a while, then taken through it."""
    side = float(random.choice([-1.0, 1.0]))
    x, y = side * float(random.uniform(1.5, 4.0)), float(random.choice([-1, 1])) * float(random.uniform(0.8, 2.5))
    leaves_s = start_s + float(random.uniform(30.0, 90.0))
    way = leaving(x, y, start_s, leaves_s, _speed(random), random)
    what: Happened = "out" if side > 0 else "in"
    true: list[tuple[float, float, Happened]] = [(start_s, leaves_s, "stayed"), (leaves_s, way.ends_s, what)]
    return Event((_load(group, way, _tags(random), true, random),), (_driver(way, random),))


def _waits_in_gate(start_s: float, group: str, random: np.random.Generator) -> Event:
    """A forklift that comes to the gate, waits in it for half a minute and more, and goes back."""
    side, speed = float(random.choice([-1.0, 1.0])), float(random.uniform(0.7, 1.5))
    nearest = side * float(random.uniform(0.2, 1.0))
    points = [(side * FAR_M, 0.0), (nearest, 0.0), (side * FAR_M, 0.0)]
    way = along(points, start_s, speed, random, {1: float(random.uniform(20.0, 60.0))})
    return Event((_load(group, way, _tags(random), _whole(way, "near"), random),), (_driver(way, random),))


# -- worlds --

_BUSY: Final = Hall()


def passes(
    seed: int, n: int, reader: Reader = DENSE, hall: Hall = _BUSY, eyes: tuple[PhotoEye, ...] = EYES
) -> World:
    """Pallets of 4 to 24 tags straight through, in and out."""
    return _following(seed, n, _one_pass, reader, hall, eyes)


def near(
    seed: int, n: int, reader: Reader = DENSE, hall: Hall = _BUSY, eyes: tuple[PhotoEye, ...] = EYES
) -> World:
    """Past the door along the wall, or towards it and back, 0.8 to 2.5 m from its line."""
    return _following(seed, n, _near, reader, hall, eyes)


def turn_backs(
    seed: int, n: int, reader: Reader = DENSE, hall: Hall = _BUSY, eyes: tuple[PhotoEye, ...] = EYES
) -> World:
    """Through both fields and back."""
    return _following(seed, n, _turn_back, reader, hall, eyes)


def crossing_forklifts(
    seed: int, n: int, reader: Reader = DENSE, hall: Hall = _BUSY, eyes: tuple[PhotoEye, ...] = EYES
) -> World:
    """Two forklifts in opposite directions at the same time."""
    return _following(seed, n, _crossing_forklifts, reader, hall, eyes)


def convoys(
    seed: int, n: int, reader: Reader = DENSE, hall: Hall = _BUSY, eyes: tuple[PhotoEye, ...] = EYES
) -> World:
    """Two to four pallets 2 to 3 s apart."""
    return _following(seed, n, _convoy, reader, hall, eyes)


def stops_in_door(
    seed: int, n: int, reader: Reader = DENSE, hall: Hall = _BUSY, eyes: tuple[PhotoEye, ...] = EYES
) -> World:
    """Slow pallets that stop within the door and go on."""
    return _following(seed, n, _stop_in_door, reader, hall, eyes)


def leaves_after_parking(
    seed: int, n: int, reader: Reader = DENSE, hall: Hall = _BUSY, eyes: tuple[PhotoEye, ...] = EYES
) -> World:
    """Goods parked beside the gate that then leave through it."""
    return _following(seed, n, _leaves, reader, hall, eyes)


def waits_in_gate(
    seed: int, n: int, reader: Reader = DENSE, hall: Hall = _BUSY, eyes: tuple[PhotoEye, ...] = EYES
) -> World:
    """A forklift waits in the gate and goes back to where it came from."""
    return _following(seed, n, _waits_in_gate, reader, hall, eyes)


def parked(
    seed: int,
    tags: int = 400,
    hours: float = 1.0,
    reader: Reader = SPARSE,
    hall: Hall = _BUSY,
    eyes: tuple[PhotoEye, ...] = EYES,
    people_an_hour: float = 60.0,
    passes_an_hour: float = 12.0,
) -> World:
    """Goods that stand 0.5 to 5 m from the gate's line for hours, beside the way, while people walk and
    forklifts come through with other goods. Stacks may overlap, as goods on several levels of a rack do."""
    random = np.random.default_rng([seed, 98])
    lasts_s = hours * 3600
    loads: list[Load] = []
    left = tags
    while left > 0:
        many = min(left, _tags(random))
        left -= many
        x = float(random.choice([-1.0, 1.0])) * float(random.uniform(0.5, 5.0))
        y = float(random.choice([-1.0, 1.0])) * float(random.uniform(2.2, 4.5))
        way = standing(x, y, 0.0, lasts_s + 60)  # the last stretch may run a little over
        loads.append(_load(f"parked-{len(loads):03d}", way, many, [(0.0, lasts_s, "stayed")], random))
    walkers = []
    for at_s in np.sort(random.uniform(0, lasts_s, random.poisson(people_an_hour * hours))):
        ends = random.uniform([-6, -4], [6, 4], (3, 2))
        points = [(float(x), float(y)) for x, y in ends]
        section = 0.5 if random.random() < 0.8 else 4.0
        walkers.append(Walker(along(points, float(at_s), float(random.uniform(0.8, 1.6)), random), section))
    at_s = float(random.exponential(3600 / passes_an_hour)) if passes_an_hour else lasts_s
    while at_s + 40 < lasts_s:
        event = _one_pass(at_s, f"pass-{len(loads):04d}", random)
        loads += event.loads
        walkers += event.walkers
        at_s = event.ends_s + GAP_S + float(random.exponential(3600 / passes_an_hour))
    return World(lasts_s, tuple(loads), tuple(walkers), reader=reader, hall=hall, eyes=eyes)


def shuttle(seed: int, n: int = 20, tags: int = 100, still_tags: int = 75, every_s: float = 17.0) -> World:
    """As the recorded runs were made: one load of many tags through the gate n times, in and out in turn, every
    12 to 25 s, tags standing 1 to 5 m from the door's line on both sides, one channel, a sparse reader."""
    random = np.random.default_rng([seed, 97])
    turns_m = 9.0
    points, waits, true = [(-turns_m, 0.0)], {}, []
    speed = float(random.uniform(1.2, 1.6))
    for number in range(n):
        points.append((turns_m if number % 2 == 0 else -turns_m, float(random.uniform(-0.2, 0.2))))
        waits[number + 1] = max(every_s * float(random.uniform(0.8, 1.2)) - 2 * turns_m / speed, 1.0)
    way = along(points, 5.0, speed, random, waits)
    halves = np.nonzero(np.diff(np.sign(way.x_m)))[0]
    crosses_s = [float(way.times_s[row]) for row in halves]
    bounds = [way.starts_s, *((a + b) / 2 for a, b in pairwise(crosses_s)), way.ends_s]
    for number, (from_s, to_s) in enumerate(pairwise(bounds)):
        what: Happened = "in" if number % 2 == 0 else "out"
        true.append((from_s, to_s, what))
    loads = [_load("shuttle", way, tags, true, random, of=CROWDED)]
    lasts_s = way.ends_s + 5.0
    for number in range(still_tags // 5):
        x = float(random.choice([-1.0, 1.0])) * float(random.integers(1, 6))
        y = float(random.choice([-1.0, 1.0])) * float(random.uniform(1.8, 3.0))
        stands = standing(x, y, 0.0, lasts_s + 60)
        true = [(0.0, lasts_s, "stayed")]
        loads.append(_load(f"still-{number:02d}", stands, 5, true, random, (0.5, 0.5, 1.0), CROWDED))
    reader = replace(SPARSE, channels_mhz=(865.7,))
    return World(
        lasts_s,
        tuple(loads),
        (_driver(way, random),),
        reader=reader,
        hall=_BUSY,
        antennas=portal(beside_m=2.2, away=1.0),
    )


CATALOGUE: Final[dict[str, Callable[[int, int], World]]] = {
    "passes": passes,
    "near": near,
    "turn-backs": turn_backs,
    "crossing-forklifts": crossing_forklifts,
    "convoys": convoys,
    "stops-in-door": stops_in_door,
    "leaves-after-parking": leaves_after_parking,
    "waits-in-gate": waits_in_gate,
    "shuttle": shuttle,
    "parked": lambda seed, n: parked(seed, tags=n),
}


def seen_by(world: World, reader: str | None = None, mount: str | None = None) -> World:
    """The same things happening before another of READERS, or with another of MOUNTS; None leaves it as it is."""
    if reader is not None:
        world = replace(world, reader=READERS[reader])
    return world if mount is None else replace(world, antennas=MOUNTS[mount])
