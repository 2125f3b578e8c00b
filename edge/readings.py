"""What the gateway's devices say, as frozen values: the words that devices hand to recognition.

Times are integers: microseconds since 1970-01-01 UTC, corrected reader clock. Signals (dBm, radians)
are floats; nothing here is ever stock or money.
"""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class TagRead:
    """One sighting of one tag by one antenna (LLRP 1.0.1, section 14.2.3.1, TagReportData).

    epc         upper-case hex of the EPC memory bank as the reader reported it
    antenna     1-based antenna number of the reader
    rssi_dbm    peak RSSI of the sighting
    seen_at_us  microseconds since 1970-01-01 UTC
    phase_rad   RF phase 0 … 2π where the reader gives it
    channel     1-based channel index where the reader gives it
    """

    epc: str
    antenna: int
    rssi_dbm: float
    seen_at_us: int
    phase_rad: float | None = None
    channel: int | None = None


class Direction(StrEnum):
    """Where a tag went, seen from the warehouse: `in` is from the gate's outside to its inside."""

    IN = "in"
    OUT = "out"
    TURNED_BACK = "turned_back"
    STAYED = "stayed"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class PassageEvidence:
    """Why a passage was decided as it was; enough to argue about it later, bounded in size.

    order        energy-weighted order statistic U, 0 … 1; above ½ means outside before inside
    rise_*_db    rise of the smoothed RSSI envelope on that side
    reads_*      reads on that side
    reason       one short phrase, always present; for undecided, what was lacking
    """

    order: float
    rise_outside_db: float
    rise_inside_db: float
    reads_outside: int
    reads_inside: int
    peak_outside_us: int | None
    peak_inside_us: int | None
    decided_by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Passage:
    """A visit with a direction, a confidence in 0 … 1 and its evidence.

    crossed_at_us is the crossing time: the mean of the two sides' energy centroids where both sides
    saw the tag, else the centroid of the side that did.
    """

    gate: str
    epc: str
    direction: Direction
    confidence: float
    crossed_at_us: int
    first_seen_us: int
    last_seen_us: int
    reads: int
    evidence: PassageEvidence
