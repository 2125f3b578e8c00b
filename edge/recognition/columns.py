"""The reads of one tag as columns: two numbers a read, 16 bytes, however long a tag is parked.

A read's signal is packed into one integer, so that a queue, a column and a sort need no objects:

    bits 49…62  RSSI in hundredths of a dB above −128 dBm
    bits 34…48  antenna number (15 bits)
    bit  33     1 when the antenna faces the warehouse
    bits 20…32  phase in 4,096ths of a turn; 8,191 when the reader gives none
    bits  0…19  identity of the RF channel: the reader's index or kHz; 0 when it gives none

Times are microseconds since 1970-01-01 UTC. RSSI keeps 0.01 dB, phase 1.5 mrad: what readers resolve.
"""

import math
from array import array
from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

RSSI_LEAST_DBM = -120.0
RSSI_MOST_DBM = 20.0
NO_PHASE = 8191
PHASE_STEPS = 4096
MOST_CHANNEL = (1 << 20) - 1
_FLOOR_DBM = 128.0
INSIDE_BIT = 1 << 33
ANTENNA_BIT = 34  # the first of its bits
_CELL_BITS = 0x7FFF << ANTENNA_BIT | MOST_CHANNEL

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def pack(antenna_code: int, rssi_dbm: float, phase_rad: float | None, channel: int | None) -> int:
    """One read's signal as one integer; `antenna_code` comes from `antenna_codes`."""
    signal = antenna_code | round((rssi_dbm + _FLOOR_DBM) * 100) << 49
    if phase_rad is None or not math.isfinite(phase_rad):
        return signal | NO_PHASE << 20
    turn = math.floor(phase_rad * (PHASE_STEPS / math.tau) + 0.5) % PHASE_STEPS
    return signal | turn << 20 | (channel or 0) & MOST_CHANNEL


def antenna_codes(inside: frozenset[int], outside: frozenset[int]) -> dict[int, int]:
    """Antenna number → its bits in a signal, side included."""
    return {antenna: antenna << 34 for antenna in outside} | {
        antenna: antenna << 34 | INSIDE_BIT for antenna in inside
    }


def is_inside(signal: int) -> bool:
    """Whether the read came by an antenna that faces the warehouse."""
    return bool(signal & INSIDE_BIT)


@dataclass(frozen=True, slots=True, eq=False)
class Reads:
    """Reads of one tag in time order, without duplicates, as arrays of one length."""

    times_us: Ints
    signals: Ints

    def __len__(self) -> int:
        return len(self.times_us)

    @property
    def rssi_dbm(self) -> Floats:
        return (self.signals >> 49) / 100.0 - _FLOOR_DBM

    @property
    def antennas(self) -> Ints:
        return self.signals >> 34 & 0x7FFF

    @property
    def inside(self) -> Bools:
        return (self.signals & INSIDE_BIT) != 0

    @property
    def phase_steps(self) -> Ints:
        """Phase in 4,096ths of a turn, NO_PHASE where there is none."""
        return self.signals >> 20 & NO_PHASE

    @property
    def channels(self) -> Ints:
        return self.signals & MOST_CHANNEL

    @property
    def cells(self) -> Ints:
        """One number for each antenna and channel: phases of two of them cannot be compared."""
        return self.signals & _CELL_BITS

    def between(self, from_us: int, until_us: int) -> "Reads":
        """Those with from_us ≤ time < until_us."""
        times_us = self.times_us
        if not len(times_us) or (from_us <= times_us[0] and times_us[-1] < until_us):
            return self
        a, b = np.searchsorted(times_us, (from_us, until_us))
        return Reads(self.times_us[a:b], self.signals[a:b])

    def chosen(self, mask: Bools) -> "Reads":
        """Those where `mask` is true."""
        return Reads(self.times_us[mask], self.signals[mask])


def put(times_us: "array[int]", signals: "array[int]", seen_at_us: int, signal: int) -> bool:
    """Put a read into two columns that ascend by time and signal; False, and nothing done, when it stands there."""
    at = bisect_left(times_us, seen_at_us)
    while at < len(times_us) and times_us[at] == seen_at_us and signals[at] < signal:
        at += 1
    if at < len(times_us) and times_us[at] == seen_at_us and signals[at] == signal:
        return False
    times_us.insert(at, seen_at_us)
    signals.insert(at, signal)
    return True
