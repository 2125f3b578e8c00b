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


@dataclass(frozen=True, slots=True)
class EyeChange:
    """The beam of a photo-eye was broken or is clear again (LLRP 1.0.1, section 13.1.5.1, GPIEvent).

    port        1-based number of the reader's general purpose input
    seen_at_us  microseconds since 1970-01-01 UTC
    """

    port: int
    is_broken: bool
    seen_at_us: int


Sighting = TagRead | EyeChange


class Direction(StrEnum):
    """Where a tag went, seen from the warehouse: `in` is from the gate's outside to its inside."""

    IN = "in"
    OUT = "out"
    TURNED_BACK = "turned_back"
    STAYED = "stayed"
    UNDECIDED = "undecided"


class Side(StrEnum):
    """Where an antenna faces."""

    INSIDE = "inside"
    OUTSIDE = "outside"


@dataclass(frozen=True, slots=True)
class AntennaEvidence:
    """What one antenna saw of a visit: enough to draw it.

    course       at most 16 points of the smoothed RSSI: (milliseconds since the visit's first read, dBm)
    rise_db      highest less lowest point of the smoothed RSSI
    phase_still  mean resultant length of the phases, channel by channel, 0 … 1: near 1 the tag stood
                 still, near 0 it moved; None where the reader gives no phase
    """

    antenna: int
    side: Side
    reads: int
    first_us: int
    last_us: int
    peak_us: int
    peak_dbm: float
    rise_db: float
    course: tuple[tuple[int, float], ...]
    phase_still: float | None = None


@dataclass(frozen=True, slots=True)
class GroupEvidence:
    """The vote of the tags that went together.

    agreeing  tags that crossed in `direction` near `crossed_at_us`
    contrary  tags that crossed the other way then
    moving    tags that moved then, the two included
    """

    crossed_at_us: int
    direction: Direction
    agreeing: int
    contrary: int
    moving: int


@dataclass(frozen=True, slots=True)
class EyeEvidence:
    """A photo-eye's beam was broken during a visit.

    eye       door, outside or inside
    until_us  None while it was still broken when the decision fell
    """

    eye: str
    from_us: int
    until_us: int | None


@dataclass(frozen=True, slots=True)
class PassageEvidence:
    """Why a passage was decided as it was; enough to argue about it later, bounded in size.

    order          energy-weighted order statistic U, 0 … 1; above ½ means outside before inside
    rise_*_db      rise of the smoothed RSSI envelope on that side
    reads_*        reads on that side
    decided_by     tag, group, anchor, phase or photo-eye: whose evidence settled it
    reason         one short phrase, always present; for undecided, what was lacking
    decided_at_us  time at the gate when the decision fell; less last_seen_us it is the decision time
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
    decided_at_us: int = 0
    antennas: tuple[AntennaEvidence, ...] = ()
    group: GroupEvidence | None = None
    eyes: tuple[EyeEvidence, ...] = ()


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
