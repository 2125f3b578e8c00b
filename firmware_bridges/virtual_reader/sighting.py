"""What the virtual reader plays: one sighting of one tag by one antenna, or one of its inputs that changed.

A scenario or a recording gives an iterator of these, oldest first, and it is never held in memory as a
whole. `at_us` counts microseconds from any instant that suits the source: only differences are played.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sighting:
    """One read.

    at_us      microseconds, on the source's own time line
    epc        upper-case hex of the tag's EPC memory; 4 bits a digit, any length, also none
    antenna    1-based antenna number
    rssi_dbm   received signal strength
    channel    1-based index into the band's channels, where known
    phase_rad  RF phase 0 … 2π, where known
    """

    at_us: int
    epc: str
    antenna: int
    rssi_dbm: float
    channel: int | None = None
    phase_rad: float | None = None


@dataclass(frozen=True, slots=True)
class InputChange:
    """The general purpose input `port` (1-based) went high or low: a photo-eye wired to it saw something."""

    at_us: int
    port: int
    is_high: bool


Happening = Sighting | InputChange
