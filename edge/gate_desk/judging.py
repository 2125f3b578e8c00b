"""What recognition said of each labelled thing, beside what really happened.

One Judged is one event of one tag; or one tag of one recording, where lists say no more than which tags moved. A
passage belongs to the event in which its crossing time lies (at the border between two to the one that it says
happened), one without a crossing to the event that it overlaps most. Crossings that belong to no event of a labelled
tag were made up: they are judged against the truth "nothing".

    verdict      meaning
    in, out      exactly one passage that crossed
    in and out   crossings both ways: net zero, but booked
    twice        more crossings one way than one: booked twice
    undecided    no crossing, and at least one passage undecided
    turned_back  no crossing, at least one turned back
    stayed       only passages that stayed
    nothing      no passage at all
    moved        (lists) at least one passage crossed

    outcome      truth crossed                       truth did not cross
    right        its direction, once                 turned_back, stayed, nothing
    wrong        another direction, both ways, twice any crossing
    missed       turned_back, stayed, nothing        –
    undecided    undecided                           undecided
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from edge.gate_desk.labels import CROSSINGS, Event, Events, Labels, TagLabels, Truth
from edge.gate_desk.recording import Recording
from edge.gate_desk.silences import times_by_tag, times_of
from edge.readings import Direction, Passage

NOTHING = "nothing"
BOTH_WAYS = "in and out"
TWICE = "twice"
MOVED = "moved"
CROSSED = (Direction.IN, Direction.OUT)


class Outcome(StrEnum):
    """How a verdict compares with the truth."""

    RIGHT = "right"
    WRONG = "wrong"
    MISSED = "missed"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Judged:
    """One labelled thing and what became of it.

    reads     of the tag by the gate's antennas, within the event (lists: in the whole recording)
    crossings how many passages crossed
    at_us     when: the first crossing, else the event's start
    reason    what recognition said of the passage that settled the verdict; "" when there was none
    by        who decided that passage
    """

    recording: str
    epc: str
    truth: str
    verdict: str
    outcome: Outcome
    reads: int
    crossings: int
    from_us: int
    to_us: int
    at_us: int
    reason: str
    by: str
    group: str = ""


def judge(recording: Recording, passages: Sequence[Passage], labels: Labels, slack_us: int) -> list[Judged]:
    """Each labelled thing of `recording`. `slack_us` is how far a crossing may lie outside of its event."""
    if isinstance(labels, TagLabels):
        return list(_tags(recording, passages, labels))
    return list(_events(recording, passages, events_of(recording, labels, slack_us), slack_us))


def events_of(recording: Recording, labels: Events, slack_us: int) -> tuple[Event, ...]:
    """Those that lie in the time of `recording`."""
    if not len(recording):
        return ()
    first_us, last_us = int(recording.times_us[0]) - slack_us, int(recording.times_us[-1]) + slack_us
    return tuple(event for event in labels.events if event.to_us >= first_us and event.from_us <= last_us)


def _tags(recording: Recording, passages: Sequence[Passage], labels: TagLabels) -> Iterator[Judged]:
    by_epc = _by_epc(passages)
    for epc, times_us in sorted(times_by_tag(recording).items()):
        if not len(times_us) or epc not in labels.moving | labels.stationary:
            continue
        truth = Truth.MOVING if epc in labels.moving else Truth.STATIONARY
        own = by_epc.get(epc, [])
        crossed = [passage for passage in own if passage.direction in CROSSED]
        verdict = MOVED if crossed else _without_crossing(own)
        is_right = bool(crossed) == (truth is Truth.MOVING)
        settled = _settling(own, verdict)
        yield Judged(
            recording=recording.name,
            epc=epc,
            truth=truth,
            verdict=verdict,
            outcome=Outcome.RIGHT if is_right else Outcome.WRONG if crossed else _unfound(verdict),
            reads=len(times_us),
            crossings=len(crossed),
            from_us=int(times_us[0]),
            to_us=int(times_us[-1]),
            at_us=settled.crossed_at_us if settled else int(times_us[0]),
            reason=settled.evidence.reason if settled else "",
            by=settled.evidence.decided_by if settled else "",
        )


def _events(
    recording: Recording, passages: Sequence[Passage], events: tuple[Event, ...], slack_us: int
) -> Iterator[Judged]:
    belonging, made_up = _belonging(passages, events, slack_us)
    for number, (event, times_us) in enumerate(zip(events, times_of(recording, events), strict=True)):
        yield _judged(recording.name, event, event.truth, belonging.get(number, []), len(times_us))
    for passage in made_up:
        event = Event(passage.epc, passage.first_seen_us, passage.last_seen_us, Truth.STAYED)
        yield _judged(recording.name, event, NOTHING, [passage], passage.reads)


def _judged(recording: str, event: Event, truth: str, own: list[Passage], reads: int) -> Judged:
    crossed = [passage.direction for passage in own if passage.direction in CROSSED]
    if not crossed:
        verdict = _without_crossing(own)
    elif len(set(crossed)) > 1:
        verdict = BOTH_WAYS
    else:
        verdict = crossed[0].value if len(crossed) == 1 else TWICE
    settled = _settling(own, verdict)
    return Judged(
        recording=recording,
        epc=event.epc,
        truth=truth,
        verdict=verdict,
        outcome=_outcome(truth, verdict, bool(crossed)),
        reads=reads,
        crossings=len(crossed),
        from_us=event.from_us,
        to_us=event.to_us,
        at_us=settled.crossed_at_us if settled and crossed else event.from_us,
        reason=settled.evidence.reason if settled else "",
        by=settled.evidence.decided_by if settled else "",
        group=event.group,
    )


def _outcome(truth: str, verdict: str, has_crossed: bool) -> Outcome:
    if truth in CROSSINGS:
        if verdict == truth:
            return Outcome.RIGHT
        return Outcome.WRONG if has_crossed else _unfound(verdict)
    if has_crossed:
        return Outcome.WRONG
    return Outcome.UNDECIDED if verdict == Direction.UNDECIDED else Outcome.RIGHT


def _unfound(verdict: str) -> Outcome:
    return Outcome.UNDECIDED if verdict == Direction.UNDECIDED else Outcome.MISSED


def _without_crossing(passages: Iterable[Passage]) -> str:
    said = {passage.direction for passage in passages}
    for direction in (Direction.UNDECIDED, Direction.TURNED_BACK, Direction.STAYED):
        if direction in said:
            return direction.value
    return NOTHING


def _settling(passages: Sequence[Passage], verdict: str) -> Passage | None:
    """The passage that speaks for the verdict: the first that crossed, or the one with the most reads."""
    crossed = [passage for passage in passages if passage.direction in CROSSED]
    if crossed:
        return crossed[0]
    said = [passage for passage in passages if passage.direction == verdict]
    return max(said, key=lambda passage: passage.reads, default=None)


def _by_epc(passages: Iterable[Passage]) -> dict[str, list[Passage]]:
    found: dict[str, list[Passage]] = {}
    for passage in passages:
        found.setdefault(passage.epc, []).append(passage)
    return found


def _belonging(
    passages: Sequence[Passage], events: tuple[Event, ...], slack_us: int
) -> tuple[dict[int, list[Passage]], list[Passage]]:
    """(number of the event → its passages, crossings of labelled tags outside of every event)."""
    numbers: dict[str, list[int]] = {}
    for number, event in enumerate(events):
        numbers.setdefault(event.epc, []).append(number)
    belonging: dict[int, list[Passage]] = {}
    made_up = []
    for passage in passages:
        if not (own := numbers.get(passage.epc)):
            continue
        is_crossing = passage.direction in CROSSED
        near = [(_apart_us(passage, events[number]), number) for number in own]
        near = [(apart_us, number) for apart_us, number in near if apart_us <= slack_us]
        # What a passage says counts at the border of two events: who stood in the gate and left has left once.
        said = [one for one in near if is_crossing and events[one[1]].truth == passage.direction.value]
        if near:
            belonging.setdefault(min(said or near)[1], []).append(passage)
        elif is_crossing:
            made_up.append(passage)
    return belonging, made_up


def _apart_us(passage: Passage, event: Event) -> int:
    """How far a crossing lies outside of the event, or the visit from it; below zero how much they overlap."""
    if passage.direction in CROSSED:
        return max(0, event.from_us - passage.crossed_at_us, passage.crossed_at_us - event.to_us)
    return max(passage.first_seen_us, event.from_us) - min(passage.last_seen_us, event.to_us)
