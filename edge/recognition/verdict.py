"""A course → a verdict: steps 1 to 6 of the recipe, for one tag alone.

First match wins (limits in GateSettings):

    fewer reads than needed                       undecided   few reads
    no side's envelope rises                      stayed
    one side saw it less than twice               turned back
    order unclear                                 turned back
    the weaker side hardly rises                  turned back (went near the gate)
    the weaker side rises less than a crossing    undecided   rise too weak
    order not sure                                undecided   order unclear
    the last reads came by the side of the first  turned back
    first or last reads came by both sides        undecided   ends unclear
    otherwise                                     in (outside first) or out

Whatever it is then, a tag whose phases stood still around its crossing time stayed.

A tag that went near the gate and one that came in and returned are both "turned back": neither crossed.
What others at the gate add (the group, the instant at which all changed sides, a photo-eye) is in
group.py, anchor.py and photo_eye.py; each takes a verdict and gives one.

The confidence is no probability: it is 0 for undecided and otherwise grows with clarity of order, with
the weaker side's rise and with the number of reads, so that two gates that see one crossing can be
compared.
"""

from dataclasses import dataclass

from edge.readings import Direction, GroupEvidence
from edge.recognition.course import Course, stillness
from edge.recognition.gate import GateSettings

FEWEST_ON_A_SIDE = 2  # reads; with one there is no order on that side (recipe, step 5)
FULL_RISE_DB = 8.0  # the weaker side's rise that no longer adds confidence: twice a sure crossing's least
HALF_READS = 6  # reads at which the confidence has half of what many reads would give
ENDS_UNCLEAR = "ends unclear"
CROSSINGS = (Direction.IN, Direction.OUT)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a visit was, by whom it was decided and why.

    crossed_at_us  where the decision knows better than the tag's own course, else None
    """

    direction: Direction
    reason: str
    confidence: float
    decided_by: str = "tag"
    crossed_at_us: int | None = None
    group: GroupEvidence | None = None

    @property
    def crosses(self) -> bool:
        return self.direction in CROSSINGS


def judge(course: Course, gate: GateSettings) -> Verdict:
    """What the tag's own course says."""
    direction, reason = _table(course, gate)
    decided_by = "tag"
    if direction is not Direction.STAYED and len(course.reads) >= gate.fewest_reads:
        still = stillness(course, gate)
        if still is not None and still >= gate.still_phase:
            direction, reason, decided_by = Direction.STAYED, "its phase stood still", "phase"
    return Verdict(direction, reason, confidence_of(direction, course), decided_by)


def glance(course: Course, gate: GateSettings) -> Verdict:
    """What it says so far: as `judge`, but phases are looked at only where a crossing is at stake."""
    direction, reason = _table(course, gate)
    if direction in CROSSINGS:
        return judge(course, gate)
    return Verdict(direction, reason, confidence_of(direction, course))


def _table(course: Course, gate: GateSettings) -> tuple[Direction, str]:
    outside, inside = course.outside, course.inside
    if len(course.reads) < gate.fewest_reads:
        return Direction.UNDECIDED, "few reads"
    if course.stronger_db < gate.stayed_rise_db:
        return Direction.STAYED, "no rise on either side"
    if min(outside.reads, inside.reads) < FEWEST_ON_A_SIDE:
        return Direction.TURNED_BACK, "one side"
    if course.clarity < gate.order_unclear:
        return Direction.TURNED_BACK, "neither side first"
    if course.weaker_db < gate.near_rise_db:
        return Direction.TURNED_BACK, "went near the gate"
    if course.weaker_db < gate.through_rise_db:
        return Direction.UNDECIDED, "rise too weak"
    if course.clarity < gate.order_sure:
        return Direction.UNDECIDED, "order unclear"
    inward = course.order > 0.5
    if not course.goes(inward, gate.ends_share):
        if (course.ends if inward else 1 - course.ends) <= 1 - gate.ends_share:
            return Direction.TURNED_BACK, "ended where it began"
        return Direction.UNDECIDED, ENDS_UNCLEAR
    if inward:
        return Direction.IN, "outside before inside"
    return Direction.OUT, "inside before outside"


def leaning(course: Course) -> Direction:
    """The direction that the order of the sides leans to."""
    return Direction.IN if course.order > 0.5 else Direction.OUT


def opposite(direction: Direction) -> Direction:
    """`in` for `out` and the reverse."""
    return Direction.OUT if direction is Direction.IN else Direction.IN


def confidence_of(direction: Direction, course: Course) -> float:
    """How sure a verdict of the tag's own course is, 0 … 1; see above."""
    reads = len(course.reads)
    evidence = reads / (reads + HALF_READS)
    clarity = 2 * course.clarity - 1
    if direction is Direction.UNDECIDED:
        return 0.0
    if direction is Direction.STAYED:
        return evidence
    through = min(1.0, course.weaker_db / FULL_RISE_DB)
    if direction is Direction.TURNED_BACK:
        return evidence * (1 - clarity * through)
    return evidence * clarity * through
