"""Tag reads as a gate with antennas outside (1) and inside (2) would see them, for tests of recognition.

A tag moves along x metres, negative outside; each antenna hangs 1.5 m from the door on its side and
hears the tag with free-space loss, strongest when it is near. No randomness: the same call, the same reads.
"""

import math
from array import array
from collections.abc import Callable, Iterable

import numpy as np

from edge.readings import TagRead
from edge.recognition.columns import Reads, put
from edge.recognition.gate import US, GateSettings

GATE = GateSettings("gate-1", inside=frozenset({2}), outside=frozenset({1}))
T0_US = 1_750_000_000 * US
EPC = "3034257BF7194E4000001A85"

_ANTENNA_AT_M = {1: -1.5, 2: 1.5}
_FAR_DBM = -72.0  # below this an antenna does not hear the tag


def columns_of(rows: Iterable[tuple[int, int]]) -> Reads:
    """The reads of (time, signal), which may come in any order and again."""
    times_us, signals = array("q"), array("q")
    for at_us, signal in rows:
        put(times_us, signals, at_us, signal)
    return Reads(np.array(times_us, np.int64), np.array(signals, np.int64))


def heard(
    position_m: Callable[[float], float],
    lasts_s: float,
    *,
    epc: str = EPC,
    starts_us: int = T0_US,
    every_s: float = 0.05,
) -> list[TagRead]:
    """Reads of a tag at `position_m(seconds since the start)`, the antennas taking turns."""
    reads = []
    for step in range(round(lasts_s / every_s)):
        seconds = step * every_s
        antenna = 1 + step % 2
        distance_m = math.hypot(position_m(seconds) - _ANTENNA_AT_M[antenna], 1.0)
        rssi_dbm = round(-45.0 - 40 * math.log10(distance_m), 1)
        if rssi_dbm >= _FAR_DBM:
            reads.append(TagRead(epc, antenna, rssi_dbm, starts_us + round(seconds * US)))
    return reads


def walk_in(*, epc: str = EPC, starts_us: int = T0_US, speed_m_s: float = 1.0) -> list[TagRead]:
    """From 4 m outside to 4 m inside."""
    return heard(lambda s: -4 + speed_m_s * s, 8 / speed_m_s, epc=epc, starts_us=starts_us)


def walk_out(*, epc: str = EPC, starts_us: int = T0_US, speed_m_s: float = 1.0) -> list[TagRead]:
    """From 4 m inside to 4 m outside."""
    return heard(lambda s: 4 - speed_m_s * s, 8 / speed_m_s, epc=epc, starts_us=starts_us)


def turn_back(*, epc: str = EPC, starts_us: int = T0_US) -> list[TagRead]:
    """From 4 m outside to 2.5 m inside and out again, at 1 m/s."""
    return heard(lambda s: 2.5 - abs(s - 6.5), 13, epc=epc, starts_us=starts_us)


def stand(
    at_m: float, lasts_s: float, *, epc: str = EPC, starts_us: int = T0_US, every_s: float = 0.5
) -> list[TagRead]:
    """A tag that stands still, its RSSI trembling by ±0.5 dB."""
    still = heard(lambda _: at_m, lasts_s, epc=epc, starts_us=starts_us, every_s=every_s)
    return [
        TagRead(read.epc, read.antenna, read.rssi_dbm + 0.5 * math.sin(37.0 * index), read.seen_at_us)
        for index, read in enumerate(still)
    ]
