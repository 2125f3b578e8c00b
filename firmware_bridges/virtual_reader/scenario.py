"""A scenario of pallets that pass a gate, and the sightings that its reader would make of them.

In: a TOML file (see `scenarios/truck_unloading.toml`, which explains its keys), a goods list that says
which EPC rides on which pallet, a seed. Out: sightings, lazily, oldest first, from 0 µs on; the same
file, goods and seed give the same sightings on every machine.

**The model.** x runs along the way in metres, negative outside, positive inside, 0 the gate's line.
Antennas 1 and 2 hang 1 m outside of it, left and right, 3 and 4 hang 1 m inside, all 1.2 m to the side
and looking down on the way. The reader visits them in the order 1, 3, 2, 4, 50 ms each, and reads a tag
that it hears at most once in a visit, at most 25 tags in one (500 reads a second). A tag d metres from an
antenna is received with

    P = -42 dBm - 40 log10(d / 1 m) - its own loss + fading

which is free-space loss there and back (20 dB per decade each way, at 30 dBm and passive tags); its own
loss is a constant of each tag, uniform 0 … 4 dB, for how it hangs; fading is normal with 1.5 dB for what
moves and 0.4 dB for what is parked. Weaker than -70 dBm is not heard, which gives a zone of about 4 m to
either side. A pallet moves at constant speed; its tags lie within 0.5 m of its middle along the way and
0.4 m to the side. That yields at least 24 reads of each tag and pass, what recognition aims at. The phase is
4πd/λ plus a constant of each tag and antenna and 0.1 rad of noise, on one channel.

What the model leaves out: shadowing of tags behind liquid or metal, reflections, collisions of tags.
"""

import hashlib
import json
import math
import random
import tomllib
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

from firmware_bridges.virtual_reader.sighting import Sighting

Direction = Literal["in", "out", "turn_back", "parked"]

SCENARIOS: Final = Path(__file__).with_name("scenarios")

ANTENNAS_M: Final = {1: (-1.0, -1.2), 2: (-1.0, 1.2), 3: (1.0, -1.2), 4: (1.0, 1.2)}
ANTENNA_HEIGHT_M: Final = 1.0  # above the tags
VISITS: Final = (1, 3, 2, 4)
VISIT_US: Final = 50_000
READS_PER_VISIT: Final = 25
RSSI_AT_1_M_DBM: Final = -42.0
LOSS_DB_PER_DECADE: Final = 40.0
TAG_LOSS_DB: Final = 4.0
FADING_MOVING_DB: Final = 1.5
FADING_PARKED_DB: Final = 0.4
FLOOR_DBM: Final = -70.0
LENGTH_M: Final = 0.5  # of a pallet, from its middle to either end
WIDTH_M: Final = 0.4
WAVELENGTH_M: Final = 0.3463  # 865.7 MHz, channel 1
CHANNEL: Final = 1
PHASE_NOISE_RAD: Final = 0.1
TURNS_AT_M: Final = 0.0  # where a pallet that turns back does so: seen well by both sides


class WrongScenario(ValueError):
    """The scenario or its goods list does not say what it should."""


@dataclass(frozen=True, slots=True)
class Pallet:
    """One pallet's way; see the scenario file for the fields."""

    name: str
    direction: Direction
    at_s: float = 0.0
    speed_m_s: float = 1.5
    tags: int = 0
    taken_from: tuple[str, ...] = ()
    stands_at_m: tuple[float, float] = (0.0, 0.0)

    def x_m(self, t_s: float) -> float:
        """Where its middle is at `t_s`."""
        if self.direction == "parked":
            return self.stands_at_m[0]
        gone_m = (t_s - self.at_s) * self.speed_m_s
        if self.direction == "in":
            return gone_m
        if self.direction == "out":
            return -gone_m
        return TURNS_AT_M - abs(gone_m)

    @property
    def is_parked(self) -> bool:
        """Whether it never moves."""
        return self.direction == "parked"


@dataclass(frozen=True, slots=True)
class Scenario:
    """Pallets in the order of the file, and when it is over."""

    title: str
    ends_at_s: float
    pallets: tuple[Pallet, ...]

    def pallet(self, name: str) -> Pallet:
        """The pallet of that name. Raises WrongScenario."""
        for pallet in self.pallets:
            if pallet.name == name:
                return pallet
        raise WrongScenario(f"no pallet {name!r} in {self.title!r}: expected one of {self._names()}")

    def _names(self) -> str:
        return ", ".join(pallet.name for pallet in self.pallets)


def find_scenario(name: str) -> Path:
    """The file of a scenario that ships with the project, or `name` itself where it is a file."""
    path = Path(name)
    if path.suffix == ".toml" or path.exists():
        return path
    return SCENARIOS / f"{name}.toml"


def load_scenario(path: Path) -> Scenario:
    """Read a scenario. Raises WrongScenario."""
    try:
        with path.open("rb") as file:
            content = tomllib.load(file)
        scenario = Scenario(
            str(content["title"]),
            float(content["ends_at_s"]),
            tuple(_pallet(table) for table in content["pallets"]),
        )
    except (OSError, tomllib.TOMLDecodeError, TypeError, KeyError, ValueError) as error:
        raise WrongScenario(f"{path}: {error!r}" if isinstance(error, KeyError) else f"{path}: {error}") from error
    names = [pallet.name for pallet in scenario.pallets]
    if len(set(names)) != len(names):
        raise WrongScenario(f"{path}: expected every pallet once, got {', '.join(names)}")
    for pallet in scenario.pallets:
        for source in pallet.taken_from:
            scenario.pallet(source)
    return scenario


_KEYS: Final = ("name", "direction", "at_s", "speed_m_s", "tags", "taken_from", "stands_at_m")


def _pallet(table: Mapping[str, Any]) -> Pallet:
    if unknown := set(table) - set(_KEYS):
        raise WrongScenario(f"expected keys {', '.join(_KEYS)}, got {', '.join(sorted(unknown))}")
    across, aside = table.get("stands_at_m", (0.0, 0.0))
    pallet = Pallet(
        str(table["name"]),
        table["direction"],
        float(table.get("at_s", 0.0)),
        float(table.get("speed_m_s", 1.5)),
        int(table.get("tags", 0)),
        tuple(table.get("taken_from", ())),
        (float(across), float(aside)),
    )
    if pallet.direction not in get_args(Direction):
        raise WrongScenario(
            f"pallet {pallet.name}: expected direction {', '.join(get_args(Direction))}, got {pallet.direction!r}"
        )
    if pallet.speed_m_s <= 0 or pallet.tags < 0:
        raise WrongScenario(
            f"pallet {pallet.name}: expected a speed above 0 and no negative number of tags, "
            f"got {pallet.speed_m_s} m/s and {pallet.tags}"
        )
    return pallet


# ── which tags ride on which pallet ───────────────────────────────────────────────────────────────


def load_goods(path: Path, scenario: Scenario) -> dict[str, tuple[str, ...]]:
    """Pallet → EPCs, from a JSON list of {"epc": hex, "pallet": name}; further keys are left alone.

    An EPC may ride on several pallets (goods that come in on one and leave on another). A pallet of the
    scenario that the list does not name gets tags made up from its name. Raises WrongScenario.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WrongScenario(f"{path}: {error}") from error
    if not isinstance(entries, list):
        raise WrongScenario(f"{path}: expected a list of goods, got {type(entries).__name__}")
    return goods_on_pallets(entries, scenario, str(path))


def goods_on_pallets(
    entries: Iterable[Mapping[str, str]], scenario: Scenario, where: str = "goods"
) -> dict[str, tuple[str, ...]]:
    """The same from entries at hand; `where` names them in the error. Raises WrongScenario."""
    given: dict[str, list[str]] = {}
    for number, entry in enumerate(entries, 1):
        epc, name = (entry.get("epc"), entry.get("pallet")) if isinstance(entry, Mapping) else (None, None)
        if not isinstance(epc, str) or not isinstance(name, str):
            raise WrongScenario(f'{where}, entry {number}: expected {{"epc": …, "pallet": …}}, got {entry!r:.100}')
        upper = epc.upper()
        if not upper or set(upper) - set("0123456789ABCDEF"):
            raise WrongScenario(f"{where}, entry {number}: expected an EPC in hex, got {epc!r:.100}")
        scenario.pallet(name)
        given.setdefault(name, []).append(upper)
    made_up = made_up_goods(scenario)
    return {
        pallet.name: tuple(dict.fromkeys(given.get(pallet.name, made_up[pallet.name])))
        for pallet in scenario.pallets
    }


def made_up_goods(scenario: Scenario) -> dict[str, tuple[str, ...]]:
    """Pallet → EPCs for a scenario that nobody gave goods: each pallet's own, or taken from earlier ones.

    The EPCs begin with E2, as the factory memory of chips that nobody has encoded does.
    """
    goods: dict[str, tuple[str, ...]] = {}
    for pallet in scenario.pallets:
        if pallet.taken_from:
            offered = [goods[name] for name in pallet.taken_from if name in goods]
            taken = [epc for row in zip(*offered, strict=False) for epc in row]
            goods[pallet.name] = tuple(taken[: pallet.tags])
        else:
            goods[pallet.name] = tuple(_made_up_epc(pallet.name, number) for number in range(pallet.tags))
    return goods


def _made_up_epc(name: str, number: int) -> str:
    return "E2" + hashlib.sha256(f"{name}/{number}".encode()).hexdigest()[:22].upper()


# ── what the reader sees ──────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Tag:
    """A tag where it lies on its pallet, with its own loss and phases."""

    epc: str
    pallet: Pallet
    ahead_m: float
    aside_m: float
    loss_db: float
    phases_rad: tuple[float, ...]


def sightings(
    scenario: Scenario, goods: Mapping[str, tuple[str, ...]], seed: int = 1
) -> Generator[Sighting, None, None]:
    """Everything the gate's reader sees from 0 s until the scenario ends."""
    # Randomness for a play, not for secrets; random() and gauss() are the same on every machine.
    chance = random.Random(seed)  # noqa: S311
    tags = [_lay(epc, pallet, chance) for pallet in scenario.pallets for epc in goods.get(pallet.name, ())]
    for visit in range(int(scenario.ends_at_s * 1_000_000 // VISIT_US)):
        yield from _visit(visit, tags, chance)


def _lay(epc: str, pallet: Pallet, chance: random.Random) -> _Tag:
    spread = 0.1 if pallet.is_parked else 1.0  # parked goods stand close together
    aside = pallet.stands_at_m[1] if pallet.is_parked else 0.0
    return _Tag(
        epc,
        pallet,
        chance.uniform(-LENGTH_M, LENGTH_M) * spread,
        aside + chance.uniform(-WIDTH_M, WIDTH_M) * spread,
        chance.uniform(0.0, TAG_LOSS_DB),
        tuple(chance.uniform(0.0, math.tau) for _ in ANTENNAS_M),
    )


def _visit(visit: int, tags: Iterable[_Tag], chance: random.Random) -> Iterator[Sighting]:
    """One visit of one antenna: who is heard, in random order, evenly spread over its time."""
    antenna = VISITS[visit % len(VISITS)]
    start_us = visit * VISIT_US
    heard = []
    for tag in tags:
        distance_m = _distance_m(tag, antenna, start_us / 1_000_000)
        rssi_dbm = RSSI_AT_1_M_DBM - LOSS_DB_PER_DECADE * math.log10(distance_m) - tag.loss_db
        rssi_dbm += chance.gauss(0.0, FADING_PARKED_DB if tag.pallet.is_parked else FADING_MOVING_DB)
        if rssi_dbm >= FLOOR_DBM:
            heard.append((chance.random(), tag, distance_m, rssi_dbm))
    heard.sort(key=lambda one: one[0])
    for place, (_, tag, distance_m, rssi_dbm) in enumerate(heard[:READS_PER_VISIT]):
        turn = 4 * math.pi * distance_m / WAVELENGTH_M + tag.phases_rad[antenna - 1]
        yield Sighting(
            start_us + place * (VISIT_US // READS_PER_VISIT),
            tag.epc,
            antenna,
            round(rssi_dbm, 1),
            CHANNEL,
            (turn + chance.gauss(0.0, PHASE_NOISE_RAD)) % math.tau,
        )


def _distance_m(tag: _Tag, antenna: int, t_s: float) -> float:
    x_m, y_m = ANTENNAS_M[antenna]
    return math.hypot(tag.pallet.x_m(t_s) + tag.ahead_m - x_m, tag.aside_m - y_m, ANTENNA_HEIGHT_M)
