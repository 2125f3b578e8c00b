"""The score: every verdict lands in the cell where it belongs, and every figure can be counted by hand.

Passages are made by hand here, so that each case is exactly what it says; whether recognition makes such passages is
asked elsewhere.
"""

from collections.abc import Sequence

import numpy as np
import pytest

from edge.gate_desk.intervals import poisson, wilson
from edge.gate_desk.judging import Judged, Outcome, judge
from edge.gate_desk.labels import Event, Events, TagLabels, Truth
from edge.gate_desk.recording import Recording
from edge.gate_desk.replay import Replayed
from edge.gate_desk.score import Share, score
from edge.gate_desk.score_text import advice, as_json, as_text
from edge.readings import Direction, Passage, PassageEvidence, TagRead
from edge.recognition.gate import US, GateSettings
from tests.recorded_passes import NOON_US, crossing, epc

GATE = GateSettings("dock-1", frozenset({1, 2}), frozenset({3, 4}))
SLACK_US = 3 * US
IN, OUT, TURNED_BACK = Direction.IN, Direction.OUT, Direction.TURNED_BACK
STAYED, UNDECIDED = Direction.STAYED, Direction.UNDECIDED


def recording(reads: Sequence[TagRead], name: str = "run") -> Recording:
    ordered = sorted(reads, key=lambda read: read.seen_at_us)
    epcs = tuple(dict.fromkeys(read.epc for read in ordered))
    return Recording(
        name=name,
        format="generic-csv",
        times_us=np.array([read.seen_at_us for read in ordered], dtype=np.int64),
        tags=np.array([epcs.index(read.epc) for read in ordered], dtype=np.int64),
        antennas=np.array([read.antenna for read in ordered], dtype=np.int64),
        rssi_dbm=np.array([read.rssi_dbm for read in ordered]),
        phases_rad=np.full(len(ordered), np.nan),
        channels=np.zeros(len(ordered), dtype=np.int64),
        epcs=epcs,
    )


def passage(tag: int, direction: Direction, second: float, *, reads: int = 80, took_s: float = 3.1) -> Passage:
    """Two seconds before and after `second`, decided `took_s` after its last read."""
    at_us = NOON_US + round(second * US)
    why = PassageEvidence(1.0, 9, 9, 40, 40, at_us, at_us, "tag", "made up", at_us + round((2 + took_s) * US))
    return Passage("dock-1", epc(tag), direction, 0.9, at_us, at_us - 2 * US, at_us + 2 * US, reads, why)


def event(tag: int, truth: Truth, second: float, lasts_s: float = 4.0, group: str = "") -> Event:
    from_us = NOON_US + round((second - lasts_s / 2) * US)
    return Event(epc(tag), from_us, from_us + round(lasts_s * US), truth, group)


def passes(*seconds: float) -> list[TagRead]:
    """Tag 1 and tag 2, each seen at these seconds and at the edges of a minute."""
    return [
        read
        for tag in (1, 2)
        for second in (-30.0, *seconds, 30.0)
        for read in crossing(tag, NOON_US + round((second - 2) * US))
    ]


def judged(events: Sequence[Event], passages: Sequence[Passage]) -> list[Judged]:
    return judge(recording(passes(0)), passages, Events(tuple(events)), SLACK_US)


CELLS = [
    (Truth.IN, [IN], "in", Outcome.RIGHT),
    (Truth.IN, [OUT], "out", Outcome.WRONG),
    (Truth.IN, [IN, OUT], "in and out", Outcome.WRONG),
    (Truth.IN, [IN, IN], "twice", Outcome.WRONG),
    (Truth.OUT, [UNDECIDED], "undecided", Outcome.UNDECIDED),
    (Truth.OUT, [UNDECIDED, OUT], "out", Outcome.RIGHT),
    (Truth.OUT, [TURNED_BACK, STAYED], "turned_back", Outcome.MISSED),
    (Truth.OUT, [], "nothing", Outcome.MISSED),
    (Truth.TURNED_BACK, [TURNED_BACK], "turned_back", Outcome.RIGHT),
    (Truth.TURNED_BACK, [STAYED], "stayed", Outcome.RIGHT),
    (Truth.TURNED_BACK, [IN, OUT], "in and out", Outcome.WRONG),
    (Truth.NEAR, [], "nothing", Outcome.RIGHT),
    (Truth.NEAR, [UNDECIDED], "undecided", Outcome.UNDECIDED),
    (Truth.STAYED, [IN], "in", Outcome.WRONG),
    (Truth.STAYED, [STAYED], "stayed", Outcome.RIGHT),
]


@pytest.mark.parametrize(("truth", "said", "verdict", "outcome"), CELLS)
def test_a_verdict_lands_in_its_cell(truth: Truth, said: list[Direction], verdict: str, outcome: Outcome) -> None:
    passages = [passage(1, direction, 0.1 * number) for number, direction in enumerate(said)]
    (one,) = judged([event(1, truth, 0)], passages)
    assert (one.truth, one.verdict, one.outcome) == (truth, verdict, outcome)
    assert one.crossings == sum(direction in (IN, OUT) for direction in said)


def test_a_crossing_belongs_to_the_event_in_which_it_falls() -> None:
    first, second = judged(
        [event(1, Truth.IN, 0), event(1, Truth.OUT, 20)], [passage(1, OUT, 19), passage(1, IN, 0)]
    )
    assert (first.verdict, second.verdict) == ("in", "out")


def test_a_crossing_at_the_border_of_parking_and_leaving_is_the_leaving() -> None:
    parked, left = judged([event(1, Truth.STAYED, -10, 20), event(1, Truth.OUT, 2)], [passage(1, OUT, -0.5)])
    assert (parked.outcome, left.outcome) == (Outcome.RIGHT, Outcome.RIGHT)


def test_a_crossing_in_the_middle_of_parking_is_false_though_the_tag_leaves_later() -> None:
    parked, left = judged([event(1, Truth.STAYED, -10, 20), event(1, Truth.OUT, 2)], [passage(1, OUT, -12)])
    assert (parked.outcome, left.outcome) == (Outcome.WRONG, Outcome.MISSED)


def test_a_crossing_that_nobody_made_is_judged_and_an_unlabelled_tag_is_not() -> None:
    found = judged([event(1, Truth.IN, 0)], [passage(1, IN, 0), passage(1, OUT, 25), passage(2, OUT, 0)])
    assert [(one.truth, one.verdict, one.outcome) for one in found] == [
        ("in", "in", Outcome.RIGHT),
        ("nothing", "out", Outcome.WRONG),
    ]


def test_the_tables_count_what_happened() -> None:
    labels = Events(
        (
            event(1, Truth.IN, 0, group="a"),
            event(2, Truth.IN, 0, group="a"),
            event(1, Truth.TURNED_BACK, 20),
            event(2, Truth.STAYED, 1800, 3600),
        )
    )
    said = [
        passage(1, IN, 0),
        passage(2, UNDECIDED, 0),
        passage(1, TURNED_BACK, 20, took_s=3.2),
        passage(2, OUT, 900),
    ]
    reads = [*passes(0), *crossing(2, NOON_US + 3600 * US)]
    found = score([(recording(reads), Replayed(tuple(said), {}), labels)], GATE)
    rows = {row.truth: row for row in found.rows}
    assert rows["in"].verdicts == {"in": 1, "undecided": 1}
    assert rows["in"].right == Share(1, 2, wilson(1, 2).low, wilson(1, 2).high)
    assert rows["in"].undecided.count == rows["stayed"].wrong.count == rows["turned_back"].right.count == 1
    assert found.right.count == 2
    assert {(row.truth, row.n) for row in found.rows_enough_reads} == {("in", 2)}
    standing = found.false_movements
    assert standing is not None
    assert (standing.movements, standing.tag_hours) == (1, pytest.approx(1.0))
    assert (standing.low, standing.high) == (poisson(1).low, pytest.approx(poisson(1).high))
    (group,) = found.groups
    assert (group.truth, group.n, group.right.count, group.every_tag.count) == ("in", 1, 1, 0)
    (times,) = found.decisions
    assert (times.by, times.n, times.max_s) == ("tag", 3, pytest.approx(3.2))
    assert times.max_beyond_hold_s == pytest.approx(0.2)
    assert found.reads is not None
    assert (found.reads.of, found.reads.n, found.reads.median) == ("event", 2, 80)
    assert [(one.epc, one.truth, one.verdict) for one in found.failures] == [
        (epc(2), "in", "undecided"),
        (epc(2), "stayed", "out"),
    ]


def test_lists_count_tags_that_moved_as_an_outsider_would() -> None:
    labels = TagLabels(frozenset({epc(1)}), frozenset({epc(2), epc(3)}))
    said = [passage(1, OUT, 0), passage(1, IN, 5), passage(2, UNDECIDED, 0)]
    found = score([(recording(passes(0)), Replayed(tuple(said), {}), labels)], GATE)
    rows = {row.truth: row for row in found.rows}
    assert rows["moving"].verdicts == {"moved": 1}
    assert rows["stationary"].verdicts == {"undecided": 1}  # tag 3 was never read
    assert (found.right.count, found.right.of) == (2, 2)
    moving, stationary = found.passages
    assert (moving.passages["in"], moving.passages["out"], moving.crossings_most) == (1, 1, 2)
    assert (stationary.tags, stationary.crossings_most) == (1, 0)
    assert found.reads is not None
    assert found.reads.of == "passage"


def sparse(tag: int, minutes: int) -> list[TagRead]:
    """Each minute five reads, two seconds apart: what a session with long silences gives."""
    return [
        TagRead(epc(tag), 1, -60.0, NOON_US + (60 * minute + 2 * read) * US)
        for minute in range(minutes)
        for read in range(5)
    ]


def test_the_gap_is_found_between_the_silences_of_a_visit_and_those_between_visits() -> None:
    labels = TagLabels(frozenset({epc(1)}), frozenset())
    gate = GateSettings("dock-1", frozenset({1, 2}), frozenset({3, 4}), hold_s=1.0)
    found = score([(recording(sparse(1, 30)), Replayed((), {}), labels)], gate)
    silences = found.silences
    assert (silences.visits, silences.silences, silences.median_s) == (30, 120, 2.0)
    assert silences.between_s is not None
    assert 2 < silences.between_s < 52
    assert silences.suggested_s == 2.0
    assert silences.cut == {1.0: 1.0, 2.0: 0.0}
    assert found.reads is not None
    assert found.reads.of == "visit"
    told = advice(found)
    assert told[0].startswith("a tag gives 1 reads in a pass, and 24 are needed: use session 0")
    assert told[1].startswith("hold_s = 1 cuts 100% of the visits in two; 2 s would")


def test_too_few_visits_suggest_nothing() -> None:
    labels = Events((event(1, Truth.IN, 0),))
    found = score([(recording(passes(0)), Replayed((passage(1, IN, 0),), {}), labels)], GATE)
    assert found.silences.suggested_s is None
    assert "the recordings suggest none" in as_text(found)


def test_every_table_says_of_how_many_and_failures_are_named() -> None:
    labels = Events((event(1, Truth.IN, 0), event(2, Truth.OUT, 0)))
    found = score([(recording(passes(0)), Replayed((passage(1, IN, 0),), {}), labels)], GATE)
    text = as_text(found)
    assert "right in all: 1 of 2 = 50.0 % [9.5, 90.5]" in text
    (failure,) = [line for line in text.splitlines() if epc(2) in line]
    assert failure.split()[2:] == ["out", "nothing", "80", "reads"]
    assert as_text(found, 0).count(epc(2)) == 0
    answer = as_json(found)
    assert answer["rows"][0]["verdicts"]["in"] == 1
    assert answer["rows"][0]["verdicts"]["twice"] == 0
    assert answer["failures"][0]["time"] == "2026-09-21T14:13:18.000000Z"
    assert answer["recordings"][0]["reads"] == 480
