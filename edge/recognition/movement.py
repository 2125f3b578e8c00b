"""A passage → what a movement says about it.

`in`, `out`, `turned_back` and `undecided` go to the gateway's log and so to the cloud. `stayed` does
not: a pallet that stands near a gate all day is no event; the gateway counts it.

Which item a tag is, where it was before, and whether two gates saw the same crossing is decided in the
cloud, which knows all gates; a gateway says only what it saw.
"""

from typing import Any

from edge.readings import AntennaEvidence, Direction, GroupEvidence, Passage

KIND = "passage"  # `kind` of the movements made from passages


def is_logged(passage: Passage) -> bool:
    """Whether `passage` belongs to the log."""
    return passage.direction is not Direction.STAYED


def evidence(passage: Passage) -> dict[str, Any]:
    """Why the passage was decided so, as the JSON object of a movement: a fixed set of fields, < 4 KB.

    Numbers are rounded to what the reader can resolve: decibels to 0.1, the order to 0.001.
    """
    why = passage.evidence
    return {
        "order": round(why.order, 3),
        "rise_outside_db": round(why.rise_outside_db, 1),
        "rise_inside_db": round(why.rise_inside_db, 1),
        "reads": passage.reads,
        "reads_outside": why.reads_outside,
        "reads_inside": why.reads_inside,
        "first_seen_us": passage.first_seen_us,
        "last_seen_us": passage.last_seen_us,
        "peak_outside_us": why.peak_outside_us,
        "peak_inside_us": why.peak_inside_us,
        "decided_by": why.decided_by,
        "reason": why.reason,
        "decided_at_us": why.decided_at_us,
        "antennas": [_antenna(antenna) for antenna in why.antennas],
        "group": None if why.group is None else _group(why.group),
        "eyes": [{"eye": eye.eye, "from_us": eye.from_us, "until_us": eye.until_us} for eye in why.eyes],
    }


def _antenna(seen: AntennaEvidence) -> dict[str, Any]:
    # The course is one flat list, milliseconds and dBm in turn: a message may nest only so much.
    return {
        "antenna": seen.antenna,
        "side": seen.side.value,
        "reads": seen.reads,
        "first_us": seen.first_us,
        "last_us": seen.last_us,
        "peak_us": seen.peak_us,
        "peak_dbm": seen.peak_dbm,
        "rise_db": seen.rise_db,
        "course": [number for point in seen.course for number in point],
        "phase_still": seen.phase_still,
    }


def _group(group: GroupEvidence) -> dict[str, Any]:
    return {
        "crossed_at_us": group.crossed_at_us,
        "direction": group.direction.value,
        "agreeing": group.agreeing,
        "contrary": group.contrary,
        "moving": group.moving,
    }
