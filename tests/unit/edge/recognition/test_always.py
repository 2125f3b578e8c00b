"""What holds at every gate, whatever happens before it: no read's way, no clock and no side makes a difference."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.readings import Direction, Passage, Sighting, TagRead
from edge.recognition.gate import US, GateSettings
from edge.recognition.gate_recognition import GateRecognition
from edge.recognition.movement import evidence
from protocols.wire.movement import MAX_EVIDENCE_NESTS, evidence_raw
from tests.crowds import crossings, told
from tests.gate_stories import Event, Story, mirrored, pairs, stories, story_of
from tests.walks import T0_US

some = settings(max_examples=40, deadline=None)
CROSSED = (Direction.IN, Direction.OUT)
MIRROR = {"in": "out", "out": "in"}
MOST_POINTS = 16
MOST_EVIDENCE_BYTES = 4096
CROWD_US = 7 * US  # after the crowd's instant it has decided
LATER_US = 600 * US  # by then every visit is over


def all_of(gate: GateSettings, sightings: Iterable[Sighting]) -> list[Passage]:
    """Everything in one chunk, then time goes on until all is decided."""
    recognition = GateRecognition(gate)
    passages = recognition.feed(sightings)
    return passages + recognition.advance((recognition.clock_us or T0_US) + LATER_US) + recognition.flush()


def runs_of(sightings: Iterable[Sighting], gate: GateSettings) -> dict[str, list[tuple[int, int]]]:
    """EPC → (first, last) of its reads without a silence of the gap: what a storekeeper calls one visit."""
    times: dict[str, list[int]] = {}
    for one in sightings:
        if isinstance(one, TagRead):
            times.setdefault(one.epc, []).append(one.seen_at_us)
    runs: dict[str, list[tuple[int, int]]] = {}
    for epc, seen in times.items():
        seen.sort()
        edges = [0, *(i for i in range(1, len(seen)) if seen[i] - seen[i - 1] > gate.hold_us), len(seen)]
        runs[epc] = [(seen[a], seen[b - 1]) for a, b in pairwise(edges)]
    return runs


def run_of(passage: Passage, runs: dict[str, list[tuple[int, int]]]) -> tuple[int, int]:
    """The newest visit in which the passage's last read falls."""
    return next(run for run in runs[passage.epc] if run[0] <= passage.last_seen_us <= run[1])


# ── how reads come ──────────────────────────────────────────────────────────────────────────────────────


@some
@given(stories(), st.lists(st.integers(0, 2000), max_size=12))
def test_the_same_sightings_in_any_chunking_give_the_same_passages(story: Story, cuts: list[int]) -> None:
    edges = [0, *sorted(cut for cut in cuts if cut < len(story.sightings)), len(story.sightings)]
    recognition = GateRecognition(story.gate)

    passages = [passage for a, b in pairwise(edges) for passage in recognition.feed(story.sightings[a:b])]
    passages += recognition.advance((recognition.clock_us or T0_US) + LATER_US)

    assert passages + recognition.flush() == all_of(story.gate, story.sightings)


@some
@given(stories(), st.integers(0, 2**32))
def test_sightings_out_of_order_within_the_tolerance_change_nothing(story: Story, seed: int) -> None:
    chance = random.Random(seed)
    delayed = sorted(story.sightings, key=lambda one: one.seen_at_us + chance.randint(0, story.gate.reorder_us))

    assert all_of(story.gate, delayed) == all_of(story.gate, story.sightings)


@some
@given(stories(), st.integers(0, 2**32))
def test_sightings_that_come_twice_change_nothing(story: Story, seed: int) -> None:
    chance = random.Random(seed)
    doubled = [one for one in story.sightings for _ in range(1 + (chance.random() < 0.3))]

    assert all_of(story.gate, doubled) == all_of(story.gate, story.sightings)


@some
@given(stories(), st.floats(0, 1))
def test_a_reader_cut_off_that_replays_ten_seconds_makes_no_other_movements(story: Story, share: float) -> None:
    cut_at = int(share * (len(story.sightings) - 1))
    from_us = story.sightings[cut_at].seen_at_us - 10 * US
    again = [one for one in story.sightings if one.seen_at_us >= from_us]

    assert crossings(all_of(story.gate, [*story.sightings[:cut_at], *again])) == crossings(
        all_of(story.gate, story.sightings)
    )


def test_a_replay_does_not_have_tags_looked_at_ahead_of_their_time() -> None:
    """Sparse goods, a pallet and their contraries in one second: whom a group takes along hangs by a read."""
    happens = [
        Event(goods, kind, at_s, inward, second_db, tags)
        for goods, kind, at_s, inward, second_db, tags in (
            (2, "sparse", 0.0, False, 16.0, 1),
            (0, "pass", 0.0, False, 16.0, 1),
            (2, "pass", 0.0, True, 9.0, 3),
            (2, "sparse", 0.0, False, 16.0, 1),
            (2, "sparse", 7.0, False, 16.0, 1),
        )
    ]
    story = story_of(1, "door", happens, has_phase=False, seed=153)
    whole = all_of(story.gate, story.sightings)

    for cut_at in range(0, len(story.sightings), 7):
        again = story.sightings[: max(0, cut_at)] + story.sightings
        assert crossings(all_of(story.gate, again)) == crossings(whole)


@some
@given(stories())
def test_everything_heard_again_from_the_beginning_makes_no_movement(story: Story) -> None:
    once = list(story.sightings)
    if once[-1].seen_at_us - once[0].seen_at_us > 20 * US:
        once = [one for one in once if one.seen_at_us - once[0].seen_at_us <= 20 * US]
    recognition = GateRecognition(story.gate)
    recognition.feed(once)
    recognition.advance(once[-1].seen_at_us + 30 * US)

    again = recognition.feed(one for one in once if isinstance(one, TagRead))

    assert crossings(again + recognition.flush()) == {}


# ── which side is which ─────────────────────────────────────────────────────────────────────────────────


@some
@given(stories())
def test_a_gate_built_the_other_way_round_tells_the_other_directions(story: Story) -> None:
    ahead = told(all_of(story.gate, story.sightings))
    back = told(all_of(story.gate, mirrored(story).sightings))

    assert back == {epc: [MIRROR.get(one, one) for one in directions] for epc, directions in ahead.items()}


# ── clocks ──────────────────────────────────────────────────────────────────────────────────────────────


def later(sightings: Iterable[Sighting], by_us: int) -> list[Sighting]:
    return [replace(one, seen_at_us=one.seen_at_us + by_us) for one in sightings]


@some
@given(pairs, st.sampled_from([600, 3600, 86_400, 30 * 86_400]))
def test_a_clock_that_jumps_ahead_between_visits_neither_loses_nor_doubles(
    both: tuple[Story, Story], jump_s: int
) -> None:
    (before, after), gate = both, both[0].gate
    again = later(after.sightings, before.ends_us - T0_US + jump_s * US)

    together = crossings(all_of(gate, [*before.sightings, *again]))

    assert together == joined(crossings(all_of(gate, before.sightings)), crossings(all_of(gate, again)))


@some
@given(pairs, st.sampled_from([3600, 86_400]))
def test_a_clock_set_back_between_visits_neither_loses_nor_doubles(both: tuple[Story, Story], back_s: int) -> None:
    (before, after), gate = both, both[0].gate
    again = later(after.sightings, -back_s * US)
    recognition = GateRecognition(gate)

    passages = recognition.feed(before.sightings) + recognition.advance(before.ends_us + 60 * US)
    passages += recognition.feed(again) + recognition.advance(after.ends_us - back_s * US + 60 * US)

    assert crossings(passages + recognition.flush()) == joined(
        crossings(all_of(gate, before.sightings)), crossings(all_of(gate, again))
    )


def joined(first: dict[str, list[str]], second: dict[str, list[str]]) -> dict[str, list[str]]:
    return {epc: first.get(epc, []) + second.get(epc, []) for epc in first.keys() | second.keys()}


# ── one visit ───────────────────────────────────────────────────────────────────────────────────────────


@some
@given(stories(most=7))
def test_within_one_visit_a_tag_never_crosses_twice_the_same_way(story: Story) -> None:
    runs = runs_of(story.sightings, story.gate)
    crossed: dict[tuple[str, int], list[Direction]] = {}
    for passage in all_of(story.gate, story.sightings):
        if passage.direction in CROSSED:
            crossed.setdefault((passage.epc, run_of(passage, runs)[0]), []).append(passage.direction)

    for directions in crossed.values():
        assert all(a is not b for a, b in pairwise(directions))


@some
@given(stories())
def test_what_is_told_of_a_passage_fits_together(story: Story) -> None:
    reads = {(one.epc, one.seen_at_us) for one in story.sightings if isinstance(one, TagRead)}
    for passage in all_of(story.gate, story.sightings):
        why = passage.evidence
        assert (passage.epc, passage.first_seen_us) in reads
        assert (passage.epc, passage.last_seen_us) in reads
        # The crowd's instant is not the tag's own: it lies between its reads or just beside them.
        spare_us = 2 * US if why.decided_by == "anchor" else 0
        assert passage.first_seen_us - spare_us <= passage.crossed_at_us <= passage.last_seen_us + spare_us
        assert 0 <= passage.confidence <= 1
        assert 0 <= why.order <= 1
        assert why.reason
        assert passage.reads == why.reads_inside + why.reads_outside == sum(one.reads for one in why.antennas)
        assert why.decided_at_us >= passage.last_seen_us
        if passage.direction in CROSSED:
            assert why.reads_inside
            assert why.reads_outside
            assert passage.confidence > 0


@some
@given(stories())
def test_what_each_antenna_saw_lies_within_the_passage_and_fits_a_message(story: Story) -> None:
    for passage in all_of(story.gate, story.sightings):
        for seen in passage.evidence.antennas:
            assert (seen.side == "inside") is (seen.antenna in story.gate.inside)
            assert passage.first_seen_us <= seen.first_us <= seen.peak_us <= seen.last_us <= passage.last_seen_us
            assert 1 <= len(seen.course) <= min(MOST_POINTS, seen.reads)
            times_ms = [ms for ms, _ in seen.course]
            assert times_ms == sorted(times_ms)
            assert times_ms[0] >= 0
            assert times_ms[-1] <= (passage.last_seen_us - passage.first_seen_us) / 1000 + 1
            assert max(dbm for _, dbm in seen.course) == seen.peak_dbm
            assert seen.phase_still is None or 0 <= seen.phase_still <= 1
        raw = bytes(evidence_raw(evidence(passage)))
        assert len(raw) < MOST_EVIDENCE_BYTES
        assert raw.count(b"{") + raw.count(b"[") <= MAX_EVIDENCE_NESTS
        assert msgspec.json.decode(raw)["decided_by"] == passage.evidence.decided_by


# ── when ────────────────────────────────────────────────────────────────────────────────────────────────


@some
@given(stories(), st.sampled_from([10, 50, 170]))
def test_a_verdict_falls_when_it_is_due_and_not_later(story: Story, step_ms: int) -> None:
    """The gateway lets time go on in steps; a visit is decided within the gap after its last read."""
    gate, step_us = story.gate, step_ms * 1000
    recognition = GateRecognition(gate)
    runs = runs_of(story.sightings, gate)
    for passages, now_us in stepped(recognition, story.sightings, step_us):
        for passage in passages:
            decided_us = passage.evidence.decided_at_us
            # A crowd's instant is known for sure only when nothing near it can follow; tags may be gone by then.
            crowd_us = passage.crossed_at_us + CROWD_US if passage.evidence.decided_by == "anchor" else 0
            assert decided_us <= max(run_of(passage, runs)[1] + gate.hold_us, crowd_us)
            assert decided_us + gate.reorder_us < now_us <= decided_us + gate.reorder_us + step_us + 1
    assert recognition.tags_in_view == 0
    assert recognition.flush() == []


def stepped(
    recognition: GateRecognition, sightings: Sequence[Sighting], step_us: int
) -> Iterable[tuple[list[Passage], int]]:
    """What is told by each sighting, and by each step of time between them."""
    now_us = sightings[0].seen_at_us
    for one in sightings:
        while now_us + step_us < one.seen_at_us:
            now_us += step_us
            yield recognition.advance(now_us), now_us
        now_us = one.seen_at_us
        yield recognition.feed([one]), now_us
    until_us = now_us + 60 * US
    while now_us < until_us:
        now_us += step_us
        yield recognition.advance(now_us), now_us
