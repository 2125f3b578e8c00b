"""A scenario of pallets that pass a gate, and what its reader would make of them.

In: a TOML file (see `scenarios/truck_unloading.toml`, which explains its keys), a goods list that says
which EPC rides on which pallet, a seed. Out: sightings and changes of photo-eyes, lazily, oldest first, from
0 µs on; the same file, goods and seed give the same on every machine.

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

A photo-eye looks across the way. Its beam is broken from the moment when the first of a pallet's ends comes
to it until the other has left it, whatever moves or stands there, out to the antennas' posts.

What the model leaves out: the forklift itself, gaps between the goods that the beam shines through,
shadowing of tags behind liquid or metal, reflections, collisions of tags.
"""

import hashlib
import heapq
import json
import math
import random
import tomllib
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

from firmware_bridges.virtual_reader.sighting import Happening, InputChange, Sighting

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
BEAM_M: Final = 1.2  # to either side: a photo-eye hangs on the antennas' posts
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
class PhotoEye:
    """A photo-eye whose beam runs across the way at `x_m`, wired to input `port` of the reader."""

    port: int
    x_m: float = 0.0
    broken_when: Literal["high", "low"] = "high"


@dataclass(frozen=True, slots=True)
class Scenario:
    """Pallets in the order of the file, and when it is over."""

    title: str
    ends_at_s: float
    pallets: tuple[Pallet, ...]
    photo_eyes: tuple[PhotoEye, ...] = ()

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
            tuple(_photo_eye(table) for table in content.get("photo_eyes", ())),
        )
    except (OSError, tomllib.TOMLDecodeError, TypeError, KeyError, ValueError) as error:
        raise WrongScenario(f"{path}: {error!r}" if isinstance(error, KeyError) else f"{path}: {error}") from error
    names = [pallet.name for pallet in scenario.pallets]
    if len(set(names)) != len(names):
        raise WrongScenario(f"{path}: expected every pallet once, got {', '.join(names)}")
    for pallet in scenario.pallets:
        for source in pallet.taken_from:
            scenario.pallet(source)
    ports = [eye.port for eye in scenario.photo_eyes]
    if len(set(ports)) != len(ports):
        raise WrongScenario(f"{path}: expected an input of its own for every photo-eye, got {ports}")
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


_EYE_KEYS: Final = ("port", "x_m", "broken_when")


def _photo_eye(table: Mapping[str, Any]) -> PhotoEye:
    if unknown := set(table) - set(_EYE_KEYS):
        raise WrongScenario(f"expected keys {', '.join(_EYE_KEYS)}, got {', '.join(sorted(unknown))}")
    eye = PhotoEye(int(table["port"]), float(table.get("x_m", 0.0)), table.get("broken_when", "high"))
    if eye.port < 1 or eye.broken_when not in ("high", "low"):
        raise WrongScenario(
            "photo-eye: expected a port from 1 on, broken when high or low, "
            f"got {eye.port} and {eye.broken_when!r}"
        )
    return eye


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


def happenings(
    scenario: Scenario, goods: Mapping[str, tuple[str, ...]], seed: int = 1
) -> Generator[Happening, None, None]:
    """The sightings, and between them what the photo-eyes tell."""
    # At the same moment the eye comes first, for it is the faster.
    sources: list[Iterable[Happening]] = [eye_changes(scenario, eye) for eye in scenario.photo_eyes]
    yield from heapq.merge(*sources, sightings(scenario, goods, seed), key=lambda one: one.at_us)


def eye_changes(scenario: Scenario, eye: PhotoEye) -> list[InputChange]:
    """When the eye's input changes, oldest first; an input that is high from the start changes at 0 µs."""
    broken_is_high = eye.broken_when == "high"
    end_us = int(scenario.ends_at_s * 1_000_000)
    # Inputs are low where nothing was said of them yet.
    changes = [] if broken_is_high else [InputChange(0, eye.port, True)]
    for from_us, to_us in _broken(scenario, eye, end_us):
        changes.append(InputChange(from_us, eye.port, broken_is_high))
        if to_us < end_us:
            changes.append(InputChange(to_us, eye.port, not broken_is_high))
    return changes


def _broken(scenario: Scenario, eye: PhotoEye, end_us: int) -> list[tuple[int, int]]:
    """From when to when the beam is broken, by one pallet or by several that follow closely."""
    spans: list[tuple[int, int]] = []
    for from_us, to_us in sorted(span for pallet in scenario.pallets for span in _in_beam(pallet, eye, end_us)):
        if spans and from_us <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], to_us))
        else:
            spans.append((from_us, to_us))
    return spans


def _in_beam(pallet: Pallet, eye: PhotoEye, end_us: int) -> list[tuple[int, int]]:
    """From when to when the pallet stands in the beam, within the scenario."""
    if pallet.is_parked:
        across_m, aside_m = pallet.stands_at_m
        is_in = abs(across_m - eye.x_m) <= LENGTH_M and abs(aside_m) <= BEAM_M
        spans_s = [(0.0, math.inf)] if is_in else []
    else:
        spans_s = [
            (pallet.at_s + near_m / pallet.speed_m_s, pallet.at_s + far_m / pallet.speed_m_s)
            for near_m, far_m in _ways_in_beam(pallet.direction, eye.x_m)
        ]
    return [
        (round(max(0.0, from_s) * 1_000_000), min(end_us, round(min(to_s, end_us) * 1_000_000)))
        for from_s, to_s in spans_s
        if to_s > 0 and from_s * 1_000_000 < end_us
    ]


def _ways_in_beam(direction: Direction, x_m: float) -> list[tuple[float, float]]:
    """Which parts of its way, in metres gone since `at_s`, a pallet is in a beam at x_m."""
    if direction == "in":
        return [(x_m - LENGTH_M, x_m + LENGTH_M)]
    if direction == "out":
        return [(-x_m - LENGTH_M, -x_m + LENGTH_M)]
    # It comes to TURNS_AT_M and goes back: |gone| is how far it is from there.
    farthest_m, nearest_m = TURNS_AT_M - x_m + LENGTH_M, TURNS_AT_M - x_m - LENGTH_M
    if farthest_m < 0:
        return []
    if nearest_m <= 0:
        return [(-farthest_m, farthest_m)]
    return [(-farthest_m, -nearest_m), (nearest_m, farthest_m)]


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
