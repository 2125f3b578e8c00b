"""A course and its verdict → a passage, with the evidence that a person can argue about."""

from edge.readings import EyeEvidence, Passage, PassageEvidence
from edge.recognition.course import Course, antennas_of
from edge.recognition.gate import GateSettings
from edge.recognition.verdict import Verdict


def passage_of(
    epc: str,
    course: Course,
    verdict: Verdict,
    decided_at_us: int,
    gate: GateSettings,
    eyes: tuple[EyeEvidence, ...] = (),
) -> Passage:
    """What the gate tells of the visit that went like `course`."""
    reason = verdict.reason
    if course.seen > len(course.reads):
        reason += f"; {len(course.reads)} of {course.seen} reads kept"
    outside, inside = course.outside, course.inside
    crossed_at_us = course.crossed_at_us if verdict.crossed_at_us is None else verdict.crossed_at_us
    return Passage(
        gate=gate.name,
        epc=epc,
        direction=verdict.direction,
        confidence=verdict.confidence,
        crossed_at_us=crossed_at_us,
        first_seen_us=course.zero_us,
        last_seen_us=int(course.reads.times_us[-1]),
        reads=course.seen,
        evidence=PassageEvidence(
            order=course.order,
            rise_outside_db=outside.rise_db,
            rise_inside_db=inside.rise_db,
            reads_outside=outside.reads,
            reads_inside=inside.reads,
            peak_outside_us=None if outside.peak_s is None else course.at_us(outside.peak_s),
            peak_inside_us=None if inside.peak_s is None else course.at_us(inside.peak_s),
            decided_by=verdict.decided_by,
            reason=reason,
            decided_at_us=decided_at_us,
            antennas=antennas_of(course, gate),
            group=verdict.group,
            eyes=eyes,
        ),
    )
