"""How good a gate is on labelled recordings: everything counted, with how many and with 95 % intervals.

`score` takes recordings with what recognition made of them and what really happened, and returns one Score; the parts
say what they count. Nothing is left out silently: tags without a label are counted, failures are listed one by one.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from edge.gate_desk.intervals import poisson, wilson
from edge.gate_desk.judging import BOTH_WAYS, CROSSED, MOVED, NOTHING, TWICE, Judged, Outcome, events_of, judge
from edge.gate_desk.labels import CROSSINGS, Labels, TagLabels, Truth
from edge.gate_desk.recording import US, Recording
from edge.gate_desk.replay import Replayed
from edge.gate_desk.silences import Silences, of_tags, times_by_tag, within_events
from edge.readings import Direction, Passage
from edge.recognition.gate import GateSettings

# Reads of a tag in a pass from which on its verdict is mostly right: alone about two times in three, in a group nearly
# always.
ENOUGH_READS = 24
HOUR_US = 3_600 * US
LIST_VERDICTS = (MOVED, "undecided", "turned_back", "stayed", NOTHING)
EVENT_VERDICTS = ("in", "out", BOTH_WAYS, TWICE, "undecided", "turned_back", "stayed", NOTHING)
STANDING = (Truth.STAYED, Truth.STATIONARY)
NO_CROSSING = "no crossing"


@dataclass(frozen=True, slots=True)
class Share:
    """`count` of `of`, with its 95 % interval by Wilson."""

    count: int
    of: int
    low: float
    high: float

    @classmethod
    def counted(cls, count: int, of: int) -> "Share":
        interval = wilson(count, of)
        return cls(count, of, interval.low, interval.high)

    @property
    def value(self) -> float | None:
        return self.count / self.of if self.of else None


@dataclass(frozen=True, slots=True)
class Row:
    """All labelled things of one truth: how often each verdict was given, and how often it was right."""

    truth: str
    n: int
    verdicts: dict[str, int]
    right: Share
    wrong: Share
    missed: Share
    undecided: Share


@dataclass(frozen=True, slots=True)
class Groups:
    """What went together, judged as one: the direction that most of its tags crossed in, if half of them crossed.

    n             groups of two or more tags with this truth
    right         groups whose verdict was right
    every_tag     groups of which every tag was right
    enough_reads  of the groups with a median of ENOUGH_READS or more, those whose verdict was right
    """

    truth: str
    n: int
    right: Share
    every_tag: Share
    enough_reads: Share


@dataclass(frozen=True, slots=True)
class ReadsOfPass:
    """How many reads a tag gave in a pass.

    of          what was counted: `event` (labelled crossings), `passage` (recognised crossings of moving tags) or
                `visit` (of moving tags, until they were silent for the hold)
    enough      passes with ENOUGH_READS or more
    per_second  the median over moving tags of their reads a second, the silences between visits left out
    """

    of: str
    n: int
    least: int
    p10: float
    median: float
    enough: Share
    per_second: float | None


@dataclass(frozen=True, slots=True)
class DecisionTime:
    """From the last read to the decision, of passages that crossed or turned back, by whose evidence decided them."""

    by: str
    n: int
    median_s: float
    p95_s: float
    max_s: float
    max_beyond_hold_s: float


@dataclass(frozen=True, slots=True)
class FalseMovements:
    """Crossings of tags that stood there, a tag-hour; the interval is Poisson's, exact."""

    tags: int
    tag_hours: float
    movements: int
    a_tag_hour: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class PassagesOfTags:
    """How many passages the tags of one truth have."""

    truth: str
    tags: int
    passages: dict[str, int]
    crossings_least: int
    crossings_median: float
    crossings_most: int


@dataclass(frozen=True, slots=True)
class Recorded:
    """One recording: how long, how many reads and tags, what its head says of the reader."""

    name: str
    from_us: int
    to_us: int
    reads: int
    tags: int
    unlabelled_tags: int
    reader: dict[str, str]
    left_out: dict[str, int]


@dataclass(frozen=True, slots=True)
class Score:
    """The whole answer; times in seconds."""

    gate: str
    hold_s: float
    is_of_lists: bool
    recordings: tuple[Recorded, ...]
    silences: Silences
    reads: ReadsOfPass | None
    rows: tuple[Row, ...]
    rows_enough_reads: tuple[Row, ...]
    right: Share
    groups: tuple[Groups, ...]
    false_movements: FalseMovements | None
    passages: tuple[PassagesOfTags, ...]
    decisions: tuple[DecisionTime, ...]
    failures: tuple[Judged, ...]

    @property
    def verdicts(self) -> tuple[str, ...]:
        return LIST_VERDICTS if self.is_of_lists else EVENT_VERDICTS


Scored = Sequence[tuple[Recording, Replayed, Labels]]


def score(scored: Scored, gate: GateSettings) -> Score:
    """The score of `gate` on recordings that it was replayed on; each with its labels."""
    judged = [
        one
        for recording, replayed, labels in scored
        for one in judge(recording, replayed.passages, labels, gate.hold_us)
    ]
    is_of_lists = any(isinstance(labels, TagLabels) for _, _, labels in scored)
    every = [passage for _, replayed, _ in scored for passage in replayed.passages]
    judged.sort(key=lambda one: (one.recording, one.at_us, one.epc))
    return Score(
        gate=gate.name,
        hold_s=gate.hold_s,
        is_of_lists=is_of_lists,
        recordings=tuple(_recorded(recording, labels) for recording, _, labels in scored),
        silences=_silences(scored, gate),
        reads=_reads(scored, judged, gate),
        rows=rows_of(judged),
        rows_enough_reads=()
        if is_of_lists
        else rows_of(one for one in judged if one.reads >= ENOUGH_READS and one.truth not in (*STANDING, NOTHING)),
        right=Share.counted(sum(one.outcome is Outcome.RIGHT for one in judged), len(judged)),
        groups=groups_of(judged),
        false_movements=false_movements(judged, scored),
        passages=_passages(scored, judged),
        decisions=decision_times(every, gate.hold_s),
        failures=tuple(one for one in judged if one.outcome is not Outcome.RIGHT),
    )


def rows_of(judged: Iterable[Judged]) -> tuple[Row, ...]:
    """The confusion matrix: one row a truth."""
    by_truth: dict[str, list[Judged]] = {}
    for one in judged:
        by_truth.setdefault(one.truth, []).append(one)
    rows = []
    for truth in [*Truth, NOTHING]:
        if own := by_truth.get(truth):
            outcomes = Counter(one.outcome for one in own)
            right, wrong, missed, undecided = (Share.counted(outcomes[outcome], len(own)) for outcome in Outcome)
            verdicts = dict(Counter(one.verdict for one in own))
            rows.append(Row(str(truth), len(own), verdicts, right, wrong, missed, undecided))
    return tuple(rows)


def groups_of(judged: Iterable[Judged]) -> tuple[Groups, ...]:
    """The verdicts of what went together."""

    def key(one: Judged) -> tuple[str, str, str, int]:
        return one.truth, one.recording, one.group, one.from_us

    found: dict[str, list[tuple[bool, bool, bool]]] = {}
    together = [one for one in judged if one.group and one.truth not in STANDING]
    for (truth, *_), members in groupby(sorted(together, key=key), key):
        group = list(members)
        if len(group) > 1:
            expected = truth if truth in CROSSINGS else NO_CROSSING
            is_right = _verdict_of(group) == expected
            every = all(one.outcome is Outcome.RIGHT for one in group)
            found.setdefault(truth, []).append((is_right, every, _median_reads(group) >= ENOUGH_READS))
    return tuple(
        Groups(
            truth=truth,
            n=len(groups),
            right=Share.counted(sum(right for right, _, _ in groups), len(groups)),
            every_tag=Share.counted(sum(every for _, every, _ in groups), len(groups)),
            enough_reads=Share.counted(
                sum(right and enough for right, _, enough in groups), sum(enough for _, _, enough in groups)
            ),
        )
        for truth, groups in found.items()
    )


def _verdict_of(group: Sequence[Judged]) -> str:
    directions = Counter(one.verdict for one in group if one.verdict in CROSSED)
    crossed = sum(one.crossings > 0 for one in group)
    if crossed * 2 < len(group):
        return NO_CROSSING
    return directions.most_common(1)[0][0] if directions else BOTH_WAYS


def _median_reads(group: Sequence[Judged]) -> float:
    return float(np.median([one.reads for one in group]))


def false_movements(judged: Iterable[Judged], scored: Scored) -> FalseMovements | None:
    """Crossings of tags that stood there; None when no such tag is labelled."""
    standing = [one for one in judged if one.truth in STANDING]
    if not standing:
        return None
    spans_us = {
        recording.name: int(recording.times_us[-1] - recording.times_us[0])
        for recording, _, _ in scored
        if len(recording)
    }
    # A tag of a list stood there as long as the recording lasts, an event as long as it says.
    hours = (
        sum(
            spans_us[one.recording] if one.truth == Truth.STATIONARY else one.to_us - one.from_us
            for one in standing
        )
        / HOUR_US
    )
    movements = sum(one.crossings for one in standing)
    tags = len({(one.recording, one.epc) for one in standing})
    if hours <= 0:
        return FalseMovements(tags, hours, movements, None, None, None)
    interval = poisson(movements)
    return FalseMovements(tags, hours, movements, movements / hours, interval.low / hours, interval.high / hours)


def decision_times(passages: Iterable[Passage], hold_s: float) -> tuple[DecisionTime, ...]:
    """By whom decided, and of all together; nothing where recognition does not tell when it decided."""
    taken: dict[str, list[float]] = {}
    for passage in passages:
        if passage.direction in (*CROSSED, Direction.TURNED_BACK) and passage.evidence.decided_at_us:
            seconds = (passage.evidence.decided_at_us - passage.last_seen_us) / US
            taken.setdefault(passage.evidence.decided_by, []).append(seconds)
    found = dict(sorted(taken.items()))
    if len(found) > 1:
        found["all"] = [one for seconds in taken.values() for one in seconds]
    times = []
    for by, own in found.items():
        median_s, p95_s = np.percentile(own, (50, 95)).tolist()
        times.append(DecisionTime(by, len(own), median_s, p95_s, max(own), max(own) - hold_s))
    return tuple(times)


def _recorded(recording: Recording, labels: Labels) -> Recorded:
    if isinstance(labels, TagLabels):
        known = labels.moving | labels.stationary
    else:
        known = frozenset(event.epc for event in labels.events)
    return Recorded(
        name=recording.name,
        from_us=int(recording.times_us[0]) if len(recording) else 0,
        to_us=int(recording.times_us[-1]) if len(recording) else 0,
        reads=len(recording),
        tags=len(recording.epcs),
        unlabelled_tags=sum(epc not in known for epc in recording.epcs),
        reader=recording.reader,
        left_out={problem.kind: problem.rows for problem in recording.problems},
    )


def _silences(scored: Scored, gate: GateSettings) -> Silences:
    lists = [(recording, labels.moving) for recording, _, labels in scored if isinstance(labels, TagLabels)]
    if lists:
        return of_tags(lists, gate.hold_s)
    events = [
        (recording, tuple(e for e in events_of(recording, labels, gate.hold_us) if e.truth is not Truth.STAYED))
        for recording, _, labels in scored
        if not isinstance(labels, TagLabels)
    ]
    return within_events(events, gate.hold_s)


def _reads(scored: Scored, judged: Sequence[Judged], gate: GateSettings) -> ReadsOfPass | None:
    moving = {(one.recording, one.epc) for one in judged if one.truth == Truth.MOVING}
    counted, of = [one.reads for one in judged if one.truth in CROSSINGS], "event"
    per_second: list[float] = []
    if moving:
        visits = []
        for recording, _, _ in scored:
            for epc, times_us in times_by_tag(recording).items():
                if (recording.name, epc) in moving:
                    silences = np.diff(times_us)
                    is_end = np.concatenate((silences > gate.hold_us, [True]))
                    visits += np.diff(np.concatenate(([-1], np.flatnonzero(is_end)))).tolist()
                    in_view_us = int(silences[silences <= gate.hold_us].sum())
                    if in_view_us:
                        per_second.append(int((silences <= gate.hold_us).sum()) / in_view_us * US)
        crossed = [
            passage.reads
            for recording, replayed, _ in scored
            for passage in replayed.passages
            if passage.direction in CROSSED and (recording.name, passage.epc) in moving
        ]
        counted, of = (crossed, "passage") if crossed else (visits, "visit")
    if not counted:
        return None
    p10, median = np.percentile(counted, (10, 50)).tolist()
    enough = Share.counted(sum(reads >= ENOUGH_READS for reads in counted), len(counted))
    rate = float(np.median(per_second)) if per_second else None
    return ReadsOfPass(of, len(counted), min(counted), p10, median, enough, rate)


def _passages(scored: Scored, judged: Sequence[Judged]) -> tuple[PassagesOfTags, ...]:
    truths = {
        (one.recording, one.epc): one.truth for one in judged if one.truth in (Truth.MOVING, Truth.STATIONARY)
    }
    found = []
    for truth in (Truth.MOVING, Truth.STATIONARY):
        of_tag = {tag: Counter[str]() for tag, labelled in truths.items() if labelled == truth}
        for recording, replayed, _ in scored:
            for passage in replayed.passages:
                if (counts := of_tag.get((recording.name, passage.epc))) is not None:
                    counts[passage.direction.value] += 1
        if of_tag:
            crossings = [sum(counts[direction.value] for direction in CROSSED) for counts in of_tag.values()]
            total = {
                direction.value: sum(counts[direction.value] for counts in of_tag.values())
                for direction in Direction
            }
            middle = float(np.median(crossings))
            found.append(PassagesOfTags(truth, len(of_tag), total, min(crossings), middle, max(crossings)))
    return tuple(found)
