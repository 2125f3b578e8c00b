"""Photo-eyes at the door: when something passed, and with two of them in which direction.

A *break* is the time from the first beam broken to all beams clear. With an eye before and one behind the
door, what was broken first and what is cleared last tell the direction: another one last, it went
through; the same one, it turned back. With one eye across the door the tags' order tells.

A photo-eye knows that something passed and nothing of tags; tags know what they are and not whether the
door was free. So where eyes are wired, no tag crosses while all beams are clear, unless several tags are
sure of it: then the eye is dirty or misaligned, which is counted. An eye that stays broken for longer than
`STUCK_US` is not asked until it clears.
"""

from collections import deque
from dataclasses import dataclass, replace
from typing import Final

from edge.readings import Direction, EyeEvidence
from edge.recognition.course import Course
from edge.recognition.gate import US, GateSettings
from edge.recognition.verdict import CROSSINGS, Verdict, confidence_of, leaning

STUCK_US: Final = 120_000_000  # nothing stands in a door for two minutes and is still a passage
MOST_BREAKS: Final = 64  # remembered; more than a busy door sees within the longest visit
LOAD_GAP_US: Final = 150_000  # between two breaks of one load: it has holes
LONGEST_PASSING_US: Final = 3_000_000  # 1.5 m at half a metre a second
MOST_TOLD: Final = 6  # of them in one passage's evidence: two a beam of three
AGAINST_THE_EYE: Final = 3  # sure tags together that are believed against a clear beam
LEAST_CONFIDENCE: Final = 0.7  # of a crossing that tag and eye agree on


@dataclass(frozen=True, slots=True)
class Break:
    """Something stood in the door. `direction`: in, out, turned_back, or None where the eyes cannot tell."""

    from_us: int
    until_us: int
    direction: Direction | None


class PhotoEyes:
    """The state of one gate's photo-eyes, fed with their changes in order of time."""

    def __init__(self, gate: GateSettings) -> None:
        self._gate = gate
        self._broken: dict[int, int] = {}  # port → since when
        self._is_plain = True  # no beam was broken twice within this break: a load with holes says nothing
        self._first: int | None = None  # port that was broken first
        self._since_us = 0
        self._breaks: deque[Break] = deque(maxlen=MOST_BREAKS)
        self._beams: deque[EyeEvidence] = deque(maxlen=MOST_BREAKS)  # beam by beam
        self._names = {gate.eye_door: "door", gate.eye_outside: "outside", gate.eye_inside: "inside"}
        self._ports_seen: set[int] = set()
        self._newest_us: int | None = None  # change
        self.heard = False  # an eye that never said anything is not asked

    def change(self, port: int, *, is_broken: bool, at_us: int) -> Break | None:
        """Note a change; the break that it ends, if any. A repeated state and a replayed change are no news."""
        if self._newest_us is not None and at_us < self._newest_us:
            return None
        self._newest_us = at_us
        if is_broken == (port in self._broken):
            return None
        self.heard = True
        if is_broken:
            if not self._broken:
                self._first, self._since_us, self._is_plain = port, at_us, True
                self._ports_seen = set()
            elif port in self._ports_seen:
                self._is_plain = False
            self._ports_seen.add(port)
            self._broken[port] = at_us
            return None
        self._beams.append(EyeEvidence(self._names[port], self._broken.pop(port), at_us))
        if self._broken:
            return None
        ended = Break(self._since_us, at_us, self._direction(port))
        self._breaks.append(ended)
        return ended

    def begin_anew(self) -> None:
        """The clock was set back: what was broken is not known until it changes."""
        self._broken.clear()
        self._breaks.clear()
        self._beams.clear()
        self._newest_us = None

    def during(self, from_us: int, until_us: int) -> Break | None:
        """The newest break that overlaps the span; one that still lasts counts, without a direction."""
        if self._broken and self._since_us <= until_us:
            return Break(self._since_us, until_us, None)
        fitting = [one for one in self._breaks if one.from_us <= until_us and one.until_us >= from_us]
        return fitting[-1] if fitting else None

    def is_one_passing(self, ended: Break, since_us: int) -> bool:
        """Whether `ended` can be told when it ends: one thing passed since then, as plainly as the eyes can say.

        With two eyes they must tell the direction. With one, whoever turns back in the door breaks the beam for
        longer than a pallet takes, and whoever comes back breaks it again: both wait for the gap.
        """
        if self._gate.eye_outside is not None:
            return ended.direction in CROSSINGS
        earlier = [one for one in self._breaks if since_us <= one.until_us < ended.from_us - LOAD_GAP_US]
        return not earlier and ended.until_us - ended.from_us <= LONGEST_PASSING_US

    def seen(self, from_us: int, until_us: int) -> tuple[EyeEvidence, ...]:
        """The newest beams that were broken during the span, for a person to see: at most MOST_TOLD."""
        over = [one for one in self._beams if one.from_us <= until_us and (one.until_us or 0) >= from_us]
        still = [
            EyeEvidence(self._names[port], since_us, None)
            for port, since_us in self._broken.items()
            if since_us <= until_us
        ]
        return tuple([*over, *still][-MOST_TOLD:])

    def is_stuck(self, now_us: int) -> bool:
        """Whether a beam has been broken for too long to mean a passage."""
        return bool(self._broken) and now_us - self._since_us > STUCK_US

    def _direction(self, last: int) -> Direction | None:
        gate = self._gate
        if gate.eye_outside is None or not {gate.eye_outside, gate.eye_inside} <= self._ports_seen:
            return None
        if not self._is_plain or gate.eye_door in (self._first, last):
            return None
        if self._first == last:
            return Direction.TURNED_BACK
        return Direction.IN if self._first == gate.eye_outside else Direction.OUT


def watch(eyes: PhotoEyes, own: Verdict, course: Course, gate: GateSettings) -> tuple[Verdict, bool]:
    """The verdict after the eyes were asked, and whether sure tags contradict a clear beam."""
    if not eyes.heard or eyes.is_stuck(int(course.reads.times_us[-1])):
        return own, False
    at_us = course.crossed_at_us if own.crossed_at_us is None else own.crossed_at_us
    within_us = round(gate.eye_within_s * US)
    passed = eyes.during(at_us - within_us, at_us + within_us)
    if own.crosses:
        if passed is None:
            together = own.group.agreeing if own.group is not None else 1
            if together >= AGAINST_THE_EYE:
                return own, True
            return _not(own, "the photo-eye saw nothing pass"), False
        if passed.direction in (None, own.direction):
            return replace(own, confidence=max(own.confidence, LEAST_CONFIDENCE)), False
        if passed.direction is Direction.TURNED_BACK:
            return replace(_not(own, "the photo-eyes saw it turn back"), direction=Direction.TURNED_BACK), False
        return _not(own, "contradicts the photo-eyes"), False
    if passed is None or passed.direction not in (Direction.IN, Direction.OUT) or own.decided_by == "phase":
        return own, False
    agrees = course.order if passed.direction is Direction.IN else 1 - course.order
    if agrees >= gate.group_order and course.weaker_db >= gate.near_rise_db:
        confidence = max(LEAST_CONFIDENCE, confidence_of(leaning(course), course))
        return Verdict(passed.direction, "the photo-eyes saw it pass", confidence, "photo-eye"), False
    return own, False


def _not(own: Verdict, reason: str) -> Verdict:
    return replace(own, direction=Direction.UNDECIDED, reason=reason, confidence=0.0, decided_by="photo-eye")
