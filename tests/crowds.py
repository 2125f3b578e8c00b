"""Tags before a gate, many at once, for tests of recognition: what each side hears of them is drawn as humps.

Unlike the walks of tests/walks.py nothing here is physics: a test says how much each side's signal rises and
when, which is what it is about. No randomness without a seed: the same call, the same reads.
"""

import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from edge.readings import EyeChange, Passage, Sighting, TagRead
from edge.recognition.gate import US, GateSettings
from edge.recognition.gate_recognition import GateRecognition
from tests.walks import GATE, T0_US

OUTSIDE, INSIDE = 1, 2  # GATE's antennas
FLOOR_DBM = -70.0
HALF_WIDTH_S = 1.2  # of a hump


def epc_of(number: int) -> str:
    """An EPC of 96 bits."""
    return f"30{number:022X}"


def hump(
    epc: str, antenna: int, peak_s: float, rise_db: float, *, starts_us: int = T0_US, every_s: float = 0.1
) -> list[TagRead]:
    """One antenna's reads: from FLOOR_DBM up by `rise_db` at `peak_s` seconds and down again, evenly."""
    reads = []
    for step in range(-round(HALF_WIDTH_S / every_s), round(HALF_WIDTH_S / every_s) + 1):
        rssi_dbm = FLOOR_DBM + rise_db * (1 - abs(step * every_s) / HALF_WIDTH_S)
        reads.append(TagRead(epc, antenna, round(rssi_dbm, 2), starts_us + round((peak_s + step * every_s) * US)))
    return reads


def passing(
    number: int,
    crosses_s: float,
    *,
    inward: bool = True,
    first_db: float = 16.0,
    second_db: float = 16.0,
    apart_s: float = 2.0,
    starts_us: int = T0_US,
    every_s: float = 0.1,
) -> list[TagRead]:
    """A tag that one side hears first and the other `apart_s` later; it is in the door at `crosses_s`."""
    epc, sides = epc_of(number), (OUTSIDE, INSIDE) if inward else (INSIDE, OUTSIDE)
    first = hump(epc, sides[0], crosses_s - apart_s / 2, first_db, starts_us=starts_us, every_s=every_s)
    second = hump(epc, sides[1], crosses_s + apart_s / 2, second_db, starts_us=starts_us, every_s=every_s)
    return merged(first, second)


def merged(*streams: Iterable[Sighting]) -> list:
    """All sightings in order of time."""
    return sorted((one for stream in streams for one in stream), key=_when)


def _when(one: Sighting) -> tuple[int, str, int]:
    return (one.seen_at_us, "", one.port) if isinstance(one, EyeChange) else (one.seen_at_us, one.epc, one.antenna)


def recognised(sightings: Sequence[Sighting], gate: GateSettings = GATE) -> list[Passage]:
    """What the gate tells of them, until the gateway stops."""
    recognition = GateRecognition(gate)
    return recognition.feed(sightings) + recognition.flush()


def told(passages: Iterable[Passage]) -> dict[str, list[str]]:
    """EPC → the directions told, in order."""
    directions: dict[str, list[str]] = {}
    for passage in passages:
        directions.setdefault(passage.epc, []).append(passage.direction.value)
    return directions


def crossings(passages: Iterable[Passage]) -> dict[str, list[str]]:
    """EPC → the crossings told, in order."""
    return {
        epc: kept for epc, all_of in told(passages).items() if (kept := [d for d in all_of if d in ("in", "out")])
    }


# ── sparse reads: a fast inventory of many tags hears each only now and then ────────────────────────────

PORTAL = GateSettings("portal", inside=frozenset({3, 4}), outside=frozenset({1, 2}))
OF_SIDE = {False: (1, 2), True: (3, 4)}  # PORTAL's antennas by "inside"


def sparse_pass(
    number: int,
    crosses_s: float,
    chance: random.Random,
    *,
    inward: bool = True,
    reads: int = 3,
    near_s: float = 3.0,
) -> list[TagRead]:
    """A tag that moves through PORTAL and is read `reads` times within `near_s` of the door, by random antennas."""
    seen = []
    for turn in range(reads):
        late_s = near_s * (2 * (turn + chance.random()) / reads - 1)
        antenna = chance.choice(OF_SIDE[(late_s > 0) is inward])
        rssi_dbm = round(chance.gauss(-58, 4), 1)
        seen.append(TagRead(epc_of(number), antenna, rssi_dbm, T0_US + round((crosses_s + late_s) * US)))
    return seen


def sparse_stand(
    number: int, until_s: float, chance: random.Random, *, every_s: float = 1.6, stray: float = 0.03
) -> list[TagRead]:
    """A tag that stands beside PORTAL: read by one side, and as a `stray` by the other; its RSSI hardly moves."""
    is_inside = chance.random() < 0.5
    level_dbm = {antenna: chance.uniform(-70, -55) for antennas in OF_SIDE.values() for antenna in antennas}
    seen, at_s = [], chance.random() * every_s
    while at_s < until_s:
        antenna = chance.choice(OF_SIDE[is_inside is (chance.random() >= stray)])
        rssi_dbm = round(chance.gauss(level_dbm[antenna], 0.7), 1)
        seen.append(TagRead(epc_of(number), antenna, rssi_dbm, T0_US + round(at_s * US)))
        at_s += every_s * chance.uniform(0.5, 1.5)
    return seen


# ── phase ───────────────────────────────────────────────────────────────────────────────────────────────

CHANNELS_MHZ = {1: 865.7, 2: 866.3, 3: 866.9, 4: 867.5}
LIGHT_M_S = 299_792_458.0


def with_phase(
    reads: Iterable[TagRead],
    distance_m: Callable[[int, float], float],
    chance: random.Random,
    *,
    noise_rad: float = 0.1,
    hop_s: float = 0.4,
) -> list[TagRead]:
    """The reads with the phase of a tag that is `distance_m(antenna, seconds since T0_US)` away.

    There and back, so 4πd/λ; each antenna and channel has an offset of its own; the reader hops in turn.
    """
    offsets = {
        (antenna, channel): chance.uniform(0, math.tau) for antenna in range(1, 5) for channel in CHANNELS_MHZ
    }
    phased = []
    for read in reads:
        at_s = (read.seen_at_us - T0_US) / US
        channel = 1 + int(at_s / hop_s) % len(CHANNELS_MHZ)
        turns = 2 * distance_m(read.antenna, at_s) * CHANNELS_MHZ[channel] * 1e6 / LIGHT_M_S
        phase_rad = math.tau * turns + offsets[read.antenna, channel] + chance.gauss(0, noise_rad)
        phased.append(replace(read, phase_rad=phase_rad % math.tau, channel=channel))
    return phased
