"""What there is and what happens: gate, hall, goods with their tags and ways, people, and what is true of it.

A world says everything but the dice: `simulate(world, seed)` throws them. What is true of each tag is known
from the ways alone and never from reads.
"""

from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np

from firmware_bridges.gate_simulator.antennas import Antenna, Hall, PhotoEye, Reader, portal
from firmware_bridges.gate_simulator.motion import Way
from firmware_bridges.gate_simulator.propagation import Floats

Happened = Literal["in", "out", "turned_back", "near", "stayed"]
US: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Material:
    """What tags stick on and lie between.

    detuning_db  a tag's loss each way, mean (spread a third of it): its antenna is not matched beside the goods
    loss_db_m    one way through a stack of them; most_db bounds it, for waves bend around
    on_faces     share of tags on the outer faces of a stack

    Orders of magnitude after Griffin, Durgin, Haldi and Kippelen, "RF tag antenna performance on various
    materials using radio link budgets", IEEE AWPL 5, 2006 (cardboard ~1 dB, acrylic ~1 dB, de-ionised water
    ~6 dB and more, aluminium ~10 dB without a spacer). Tags sold for metal lose some 3 dB.
    """

    name: str
    detuning_db: float
    loss_db_m: float
    most_db: float
    on_faces: float


CARDBOARD: Final = Material("cardboard", 1.0, 3.0, 15.0, 0.5)
MIXED: Final = Material("mixed", 2.0, 9.0, 18.0, 0.6)
LIQUID: Final = Material("liquid", 5.0, 60.0, 20.0, 0.9)
METAL: Final = Material("metal", 4.0, 200.0, 24.0, 1.0)
MATERIALS: Final = {material.name: material for material in (CARDBOARD, MIXED, LIQUID, METAL)}


@dataclass(frozen=True, slots=True)
class Load:
    """Goods that go or stand together: a pallet, a trolley, a shelf.

    way        of the middle of its footprint
    offsets_m  [n, 3] of its tags: along, across, above the floor
    size_m     length along the way, width, height; `base_m` above the floor
    group      common to what goes together
    true       (from_s, to_s, what) one for each event of all of its tags
    """

    group: str
    way: Way
    offsets_m: Floats
    size_m: tuple[float, float, float]
    material: Material
    true: tuple[tuple[float, float, Happened], ...]
    base_m: float = 0.15

    @property
    def tags(self) -> int:
        return len(self.offsets_m)


@dataclass(frozen=True, slots=True)
class Walker:
    """A person, or a forklift without tags: takes from waves and sends them elsewhere.

    section_m2  radar section: 0.5 a person, 4 a forklift
    """

    way: Way
    section_m2: float = 0.5


@dataclass(frozen=True, slots=True)
class World:
    """One gate for `lasts_s` seconds from 0 on, all ways in that time."""

    lasts_s: float
    loads: tuple[Load, ...]
    walkers: tuple[Walker, ...] = ()
    antennas: tuple[Antenna, ...] = field(default_factory=portal)
    reader: Reader = field(default_factory=Reader)
    hall: Hall = field(default_factory=Hall)
    eyes: tuple[PhotoEye, ...] = ()
    starts_us: int = 1_750_000_000 * US  # what the reader's clock says at second 0

    @property
    def tags(self) -> int:
        return sum(load.tags for load in self.loads)


@dataclass(frozen=True, slots=True)
class Truth:
    """What a tag did between two instants. `tag` counts from 0 and stands for an EPC of Simulated.epcs.

    near         came near the gate and stayed on its side
    turned_back  went through and returned
    stayed       stood
    """

    tag: int
    from_us: int
    to_us: int
    crossed_at_us: int | None
    truth: Happened
    group: str


def stacked(
    tags: int,
    size_m: tuple[float, float, float],
    material: Material,
    random: np.random.Generator,
    base_m: float = 0.15,
) -> Floats:
    """Places of `tags` tags in or on a stack: [tags, 3]."""
    size = np.array(size_m)
    places = random.uniform(-0.48, 0.48, (tags, 3)) * size
    outer = random.random(tags) < material.on_faces
    face = random.integers(0, 4, tags)  # never the top or bottom: there are no labels there
    axis, sign = face % 2, np.where(face < 2, -1.0, 1.0)
    rows = np.nonzero(outer)[0]
    places[rows, axis[rows]] = sign[rows] * (size[axis[rows]] / 2 + 0.01)
    places[:, 2] += size[2] / 2 + base_m
    return places


def truths_of(world: World) -> list[Truth]:
    """What is true of every tag, oldest first for each tag."""
    found: list[Truth] = []
    first = 0
    for load in world.loads:
        for number, ahead_m in enumerate(load.offsets_m[:, 0]):
            for from_s, to_s, what in load.true:
                crossed = load.way.crossing_s(float(ahead_m), from_s, to_s) if what in ("in", "out") else None
                found.append(
                    Truth(
                        first + number,
                        world.starts_us + round(from_s * US),
                        world.starts_us + round(to_s * US),
                        None if crossed is None else world.starts_us + round(crossed * US),
                        what,
                        load.group,
                    )
                )
        first += load.tags
    return found
