"""Why a gateway decided a passage as it did: the JSON of its movement → values.

A gateway's evidence is kept byte for byte and may be anything, of an older gateway or of one that errs. What can
be read is read, what cannot is left out, and nothing here raises. Times are microseconds of the gateway's own
clock, as it wrote them; `course` counts milliseconds from `first_seen_us`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite
from typing import Any

SIDES = ("outside", "inside")
# More than a gate that follows the rules ever sends (8 antennas, 16 points); what is beyond is not looked at.
ANTENNAS_MAX = 32
POINTS_MAX = 64
EYES_MAX = 16
TEXT_MAX = 200
NUMBER_MAX = 2**62


@dataclass(frozen=True, slots=True)
class SideSeen:
    """What the antennas of one side saw together."""

    side: str
    reads: int | None
    rise_db: float | None
    peak_us: int | None


@dataclass(frozen=True, slots=True)
class AntennaSeen:
    """What one antenna saw.

    course       (milliseconds since the passage's first read, dBm) of the smoothed RSSI, in time order
    rise_db      highest less lowest point of the smoothed RSSI
    phase_still  0 … 1: near 1 the tag stood still, near 0 it moved; None where the reader gives no phase
    """

    antenna: int
    side: str
    reads: int | None
    first_us: int | None
    last_us: int | None
    peak_us: int | None
    peak_dbm: float | None
    rise_db: float | None
    course: tuple[tuple[float, float], ...]
    phase_still: float | None


@dataclass(frozen=True, slots=True)
class GroupVote:
    """How the tags that went together voted: so many `direction`, so many the other way, of so many that moved."""

    direction: str
    crossed_at_us: int | None
    agreeing: int
    contrary: int
    moving: int


@dataclass(frozen=True, slots=True)
class EyeBroken:
    """The beam of a photo-eye was broken from … until; None where it was so before, or still is."""

    eye: str
    from_us: int | None
    until_us: int | None


@dataclass(frozen=True, slots=True)
class GateEvidence:
    """What is there; everything may be missing."""

    order: float | None
    reads: int | None
    first_seen_us: int | None
    last_seen_us: int | None
    decided_at_us: int | None
    decided_by: str | None
    reason: str | None
    sides: tuple[SideSeen, ...]
    antennas: tuple[AntennaSeen, ...]
    group: GroupVote | None
    eyes: tuple[EyeBroken, ...]

    @property
    def decided_after_ms(self) -> int | None:
        """From the last read to the decision."""
        if not self.decided_at_us or self.last_seen_us is None or self.decided_at_us < self.last_seen_us:
            return None
        return round((self.decided_at_us - self.last_seen_us) / 1000)

    @property
    def has_course(self) -> bool:
        """Whether there is something to draw."""
        return any(antenna.course for antenna in self.antennas)

    @property
    def is_empty(self) -> bool:
        """Whether nothing could be read."""
        return self == read_evidence({})


def read_evidence(said: Any) -> GateEvidence:
    """What can be read of a movement's evidence."""
    said = said if isinstance(said, dict) else {}
    return GateEvidence(
        order=_number(said.get("order")),
        reads=_count(said.get("reads")),
        first_seen_us=_count(said.get("first_seen_us")),
        last_seen_us=_count(said.get("last_seen_us")),
        decided_at_us=_count(said.get("decided_at_us")),
        decided_by=_text(said.get("decided_by")),
        reason=_text(said.get("reason")),
        sides=tuple(_sides(said)),
        antennas=tuple(_antennas(_objects(said.get("antennas"), ANTENNAS_MAX))),
        group=_group(said.get("group")),
        eyes=tuple(
            EyeBroken(_text(eye.get("eye")) or "door", _count(eye.get("from_us")), _count(eye.get("until_us")))
            for eye in _objects(said.get("eyes"), EYES_MAX)
        ),
    )


def _sides(said: dict[str, Any]) -> Iterable[SideSeen]:
    for side in SIDES:
        seen = SideSeen(
            side,
            _count(said.get(f"reads_{side}")),
            _number(said.get(f"rise_{side}_db")),
            _count(said.get(f"peak_{side}_us")),
        )
        if (seen.reads, seen.rise_db, seen.peak_us) != (None, None, None):
            yield seen


def _antennas(said: Iterable[dict[str, Any]]) -> Iterable[AntennaSeen]:
    for one in said:
        antenna, side = _count(one.get("antenna")), one.get("side")
        if antenna is None or side not in SIDES:
            continue
        yield AntennaSeen(
            antenna, side, _count(one.get("reads")), _count(one.get("first_us")), _count(one.get("last_us")),
            _count(one.get("peak_us")), _number(one.get("peak_dbm")), _number(one.get("rise_db")),
            _course(one.get("course")), _number(one.get("phase_still")),
        )  # fmt: skip


def _course(said: Any) -> tuple[tuple[float, float], ...]:
    """Points of a flat list, milliseconds and dBm in turn; a list of pairs is read, too."""
    if not isinstance(said, list):
        return ()
    if not any(isinstance(one, list) for one in said):
        said = [list(pair) for pair in zip(said[::2], said[1::2], strict=False)]
    points = [
        (at_ms, dbm)
        for point in said[:POINTS_MAX]
        if isinstance(point, list) and len(point) == 2
        and (at_ms := _number(point[0])) is not None and (dbm := _number(point[1])) is not None
    ]  # fmt: skip
    return tuple(sorted(points))


def _group(said: Any) -> GroupVote | None:
    if not isinstance(said, dict):
        return None
    direction, agreeing = _text(said.get("direction")), _count(said.get("agreeing"))
    if direction is None or agreeing is None:
        return None
    contrary, moving = _count(said.get("contrary")) or 0, _count(said.get("moving"))
    return GroupVote(
        direction, _count(said.get("crossed_at_us")), agreeing, contrary,
        agreeing + contrary if moving is None else moving,
    )  # fmt: skip


def _objects(said: Any, most: int) -> list[dict[str, Any]]:
    return [one for one in said[:most] if isinstance(one, dict)] if isinstance(said, list) else []


def _number(said: Any) -> float | None:
    if isinstance(said, bool) or not isinstance(said, int | float) or not -NUMBER_MAX < said < NUMBER_MAX:
        return None
    return float(said) if isfinite(said) else None


def _count(said: Any) -> int | None:
    if isinstance(said, bool) or not isinstance(said, int | float) or not 0 <= said < NUMBER_MAX:
        return None
    return int(said)


def _text(said: Any) -> str | None:
    return said[:TEXT_MAX] if isinstance(said, str) and said.strip() else None
