"""Tags that go together speak together: step 7 of the recipe.

A tag in the shadow of others sees too little of its own crossing, and a tag that goes near the door may
look as if it had crossed; its neighbours on the same pallet tell. Around a tag's own crossing time, the
tags that crossed for sure vote:

    T   median crossing time of the sure ones in the commonest direction d
    k   sure ones in d within `group_within_s` of T; c: contrary sure ones
    m   all that moved then, without those that lean to d and are only unsure of beginning or end

The group is coherent when k ≥ `group_fewest`, k ≥ `group_share` · m and c < `group_contrary` · k. Then a
moving tag that leans to d follows it, and one that is sure of the contrary becomes undecided, unless its
own course is beyond doubt (two forklifts may meet in the door). A tag that is sure alone among many
that moved with it and did not cross is not believed. What a plain median over the whole window would
let through (near tags inherit a quarter of false crossings, by the recipe) this does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from edge.readings import Direction, GroupEvidence
from edge.recognition.course import Course
from edge.recognition.gate import US, GateSettings
from edge.recognition.verdict import (
    CROSSINGS,
    ENDS_UNCLEAR,
    Verdict,
    confidence_of,
    leaning,
    opposite,
)

BEYOND_DOUBT_CLARITY = 0.95  # of order, with the next two: what outweighs a group
BEYOND_DOUBT_DB = 8.0
PLAIN_CLARITY = 0.9
MANY = 4  # moving tags among which a single sure one is an outlier
WEAK_GROUP_CONFIDENCE = 0.6  # most of a follower's: it has no proof of its own


@dataclass(frozen=True, slots=True)
class Vote:
    """One tag's say: when it crossed or was nearest, and its own verdict; its signal moved in any case.

    rests  it had been here for long: what passes by moves its signal too
    leans  undecided, but in order: it is no argument against those that are sure of that direction
    """

    at_us: int
    direction: Direction
    rests: bool = False
    leans: Direction | None = None


def poll(votes: Sequence[Vote], at_us: int, gate: GateSettings) -> GroupEvidence | None:
    """The vote around `at_us`; None when nobody was sure.

    Where pallets follow each other closely, the whole width holds two of them: then half of it is asked.
    """
    within_us = round(gate.group_within_s * US)
    wide = _count(votes, at_us, 2 * within_us, within_us)
    if wide is not None and is_coherent(wide, gate) and abs(wide.crossed_at_us - at_us) <= within_us:
        return wide
    tight = _count(votes, at_us, within_us // 2, within_us // 2)
    return tight if tight is not None and is_coherent(tight, gate) else wide


def reach_us(gate: GateSettings) -> int:
    """How far from a poll's time votes may count: the sure ones lie within two thirds of it, and who is counted
    within the last third of their middle."""
    return 3 * round(gate.group_within_s * US)


def _count(votes: Sequence[Vote], at_us: int, sure_us: int, near_us: int) -> GroupEvidence | None:
    """The sure ones within `sure_us` give direction and time; all within `near_us` of it are counted."""
    first_us, last_us = at_us - sure_us, at_us + sure_us
    sure = [vote for vote in votes if first_us <= vote.at_us <= last_us and vote.direction in CROSSINGS]
    if not sure:
        return None
    inward = [vote.at_us for vote in sure if vote.direction is Direction.IN]
    if 2 * len(inward) >= len(sure):
        direction, times_us = Direction.IN, inward
    else:
        direction, times_us = Direction.OUT, [vote.at_us for vote in sure if vote.direction is Direction.OUT]
    middle_us = round(median(times_us))
    first_us, last_us = middle_us - near_us, middle_us + near_us
    near = [v.direction for v in votes if first_us <= v.at_us <= last_us and v.leans is not direction]
    agreeing, contrary = near.count(direction), near.count(opposite(direction))
    return GroupEvidence(middle_us, direction, agreeing, contrary, len(near))


def vote_of(own: Verdict, course: Course, rests: bool) -> Vote:
    """What the tag says to those around it."""
    leans = leaning(course) if own.reason == ENDS_UNCLEAR else None
    return Vote(course.crossed_at_us, own.direction, rests, leans)


def is_coherent(group: GroupEvidence, gate: GateSettings) -> bool:
    """Whether others may follow the group."""
    return (
        group.agreeing >= gate.group_fewest
        and group.agreeing >= gate.group_share * group.moving
        and group.contrary < gate.group_contrary * group.agreeing
    )


def is_plain(course: Course) -> bool:
    """Whether order and rise are plain, wherever the tag was before and after: it may have been put down."""
    return course.clarity >= PLAIN_CLARITY and course.weaker_db >= BEYOND_DOUBT_DB


def is_beyond_doubt(course: Course, gate: GateSettings) -> bool:
    """Whether the tag's own course outweighs what others say."""
    return (
        course.clarity >= BEYOND_DOUBT_CLARITY
        and course.weaker_db >= BEYOND_DOUBT_DB
        and len(course.reads) >= gate.dense_reads
    )


def after_rest(own: Verdict, course: Course, gate: GateSettings) -> Verdict:
    """A crossing of a tag that rested here: its neighbours went too, or it is beyond doubt and alone."""
    group = own.group
    with_group = group is not None and is_coherent(group, gate) and group.direction is own.direction
    alone = group is None or group.moving < MANY
    if not own.crosses or with_group or (alone and is_beyond_doubt(course, gate)):
        return own
    return replace(
        own, direction=Direction.UNDECIDED, reason="rested here and went alone", confidence=0.0, decided_by="group"
    )


def hear(group: GroupEvidence | None, own: Verdict, course: Course, gate: GateSettings) -> Verdict:
    """The tag's own verdict after its group was heard."""
    if group is None:
        return own
    if abs(course.crossed_at_us - group.crossed_at_us) > gate.group_within_s * US:
        return own
    if is_coherent(group, gate):
        return _among(group, own, course, gate)
    if own.crosses and group.agreeing + group.contrary == 1 and group.moving >= MANY:
        return replace(
            own,
            direction=Direction.UNDECIDED,
            reason="contradicts the group",
            confidence=0.0,
            decided_by="group",
            group=group,
        )
    return replace(own, group=group)


def _among(group: GroupEvidence, own: Verdict, course: Course, gate: GateSettings) -> Verdict:
    if own.direction is group.direction:
        return replace(own, group=group)
    if own.crosses:
        if is_beyond_doubt(course, gate):
            return replace(own, group=group)
        return Verdict(Direction.UNDECIDED, "contradicts the group", 0.0, "group", group=group)
    follows = (
        own.decided_by != "phase"
        and leaning(course) is group.direction
        and course.clarity >= gate.group_order
        and (own.reason == ENDS_UNCLEAR or course.goes(group.direction is Direction.IN, 0.5) or is_plain(course))
        and course.stronger_db >= gate.stayed_rise_db
        and course.weaker_db >= gate.near_rise_db
    )
    if not follows:
        return replace(own, group=group)
    sureness = group.agreeing / (group.moving + gate.group_fewest)
    confidence = min(WEAK_GROUP_CONFIDENCE, sureness + confidence_of(group.direction, course))
    return Verdict(group.direction, "went with its group", confidence, "group", group=group)
