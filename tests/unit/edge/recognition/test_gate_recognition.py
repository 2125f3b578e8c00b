"""From reads to passages: what a storekeeper would say happened at the gate."""

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.readings import Direction, Passage, TagRead
from edge.recognition.gate import US, GateSettings, WrongGate
from edge.recognition.gate_recognition import GateRecognition
from tests.walks import EPC, GATE, T0_US, heard, stand, turn_back, walk_in, walk_out


def recognised(reads: list[TagRead], gate: GateSettings = GATE) -> list[Passage]:
    recognition = GateRecognition(gate)
    return recognition.feed(reads) + recognition.flush()


def directions(passages: list[Passage]) -> list[str]:
    return [passage.direction.value for passage in passages]


def merged(*walks: list[TagRead]) -> list[TagRead]:
    return sorted((read for walk in walks for read in walk), key=lambda read: read.seen_at_us)


@pytest.mark.parametrize("speed_m_s", [0.7, 1.0, 2.0, 3.0])
def test_a_pallet_that_rolls_through_goes_in_or_out(speed_m_s: float) -> None:
    (inward,) = recognised(walk_in(speed_m_s=speed_m_s))
    (outward,) = recognised(walk_out(speed_m_s=speed_m_s))

    assert inward.direction is Direction.IN
    assert outward.direction is Direction.OUT
    assert inward.evidence.order > 0.95
    assert outward.evidence.order < 0.05
    assert 0.5 < inward.confidence <= 1
    assert inward.evidence.peak_outside_us is not None
    assert inward.evidence.peak_inside_us is not None
    assert inward.evidence.peak_outside_us < inward.crossed_at_us < inward.evidence.peak_inside_us


def test_the_crossing_time_is_when_the_pallet_is_in_the_door() -> None:
    (passage,) = recognised(walk_in())

    assert abs(passage.crossed_at_us - (T0_US + 4 * US)) < 0.2 * US


def test_a_pallet_that_comes_back_within_the_hold_turned_back() -> None:
    (passage,) = recognised(turn_back())

    assert passage.direction is Direction.TURNED_BACK
    assert passage.evidence.reason == "neither side first"


def test_a_pallet_that_passes_in_front_of_the_gate_did_not_cross() -> None:
    (passage,) = recognised(heard(lambda s: -1.5 - abs(s - 5), 10))

    assert passage.direction is Direction.TURNED_BACK


def test_a_tag_that_stands_beside_the_gate_stays() -> None:
    (passage,) = recognised(stand(-2.0, 15))

    assert passage.direction is Direction.STAYED


def test_five_reads_decide_nothing() -> None:
    (passage,) = recognised(walk_in()[30:120:18])

    assert passage.reads == 5
    assert passage.direction is Direction.UNDECIDED
    assert passage.evidence.reason == "few reads"
    assert passage.confidence == 0


def test_the_first_leg_is_not_hidden_when_a_pallet_returns_after_the_hold() -> None:
    reads = walk_in() + walk_out(starts_us=T0_US + 15 * US)

    assert directions(recognised(reads)) == ["in", "out"]


def test_several_pallets_at_once_are_told_apart() -> None:
    reads = merged(
        walk_in(epc="AA" * 12), walk_out(epc="BB" * 12, starts_us=T0_US + US), stand(2.0, 12, epc="CC" * 12)
    )

    assert {passage.epc[:2]: passage.direction.value for passage in recognised(reads)} == {
        "AA": "in",
        "BB": "out",
        "CC": "stayed",
    }


# ── time ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_passage_is_decided_once_the_hold_and_the_tolerance_have_passed_and_not_before() -> None:
    recognition = GateRecognition(GATE)
    reads = walk_in()
    due_us = reads[-1].seen_at_us + GATE.hold_us + GATE.reorder_us

    assert recognition.feed(reads) == []
    assert recognition.advance(due_us) == []
    assert directions(recognition.advance(due_us + 1)) == ["in"]
    assert recognition.advance(due_us + 3600 * US) == []


def test_another_tags_reads_make_a_passage_due_too() -> None:
    recognition = GateRecognition(GATE)
    recognition.feed(walk_in())

    later = walk_in(epc="BB" * 12, starts_us=T0_US + 20 * US)

    assert directions(recognition.feed(later[:1])) == ["in"]


def test_time_before_the_first_read_and_time_that_goes_back_do_nothing() -> None:
    recognition = GateRecognition(GATE)

    assert recognition.advance(T0_US) == []
    assert recognition.clock_us is None
    recognition.feed(walk_in())
    clock_us = recognition.clock_us
    assert recognition.advance(T0_US - US) == []
    assert recognition.clock_us == clock_us


def test_a_stop_decides_what_was_read_until_then() -> None:
    recognition = GateRecognition(GATE)
    reads = walk_in()

    assert recognition.feed(reads) == []
    assert directions(recognition.flush()) == ["in"]
    assert recognition.flush() == []
    assert recognition.tags_in_view == 0


# Steps between reads, in milliseconds: many around the hold and the tolerance, where a slip would show.
STEPS_MS = [0, 1, 40, 90, 100, 110, 700, 2890, 2910, 2990, 3000, 3010, 3050, 3100, 3110, 5000, 17_000]


def _events(draw: st.DrawFn) -> list[TagRead]:
    reads, now_us = [], T0_US
    for step_ms in draw(st.lists(st.sampled_from(STEPS_MS), min_size=1, max_size=80)):
        now_us += step_ms * 1000
        epc, antenna = draw(st.sampled_from([("AA", 1), ("AA", 2), ("BB", 1), ("BB", 2)]))
        reads.append(TagRead(epc, antenna, float(draw(st.integers(-75, -40))), now_us))
    return reads


some_reads = st.composite(_events)()


@settings(max_examples=150, deadline=None)
@given(reads=some_reads, cuts=st.lists(st.integers(0, 80), max_size=8))
def test_the_same_reads_in_any_chunking_give_the_same_passages(reads: list[TagRead], cuts: list[int]) -> None:
    recognition = GateRecognition(GATE)
    edges = [0, *sorted(cut for cut in cuts if cut < len(reads)), len(reads)]

    in_chunks = [passage for a, b in pairwise(edges) for passage in recognition.feed(reads[a:b])]

    assert in_chunks + recognition.flush() == recognised(reads)


@settings(max_examples=150, deadline=None)
@given(reads=some_reads, seed=st.integers(0, 2**32))
def test_reads_out_of_order_within_the_tolerance_change_nothing(reads: list[TagRead], seed: int) -> None:
    chance = random.Random(seed)
    delayed = sorted(reads, key=lambda read: read.seen_at_us + chance.randint(0, GATE.reorder_us))

    assert recognised(delayed) == recognised(reads)


# ── replays ─────────────────────────────────────────────────────────────────────────────────────────────


def test_reads_that_come_again_after_the_decision_change_nothing() -> None:
    recognition = GateRecognition(GATE)
    reads = walk_in()
    recognition.feed(reads)
    assert directions(recognition.advance(reads[-1].seen_at_us + 5 * US)) == ["in"]

    assert recognition.feed(reads) + recognition.flush() == []
    assert recognition.counters["replayed"] == len(reads)


@pytest.mark.parametrize("cut_at", [5, 30, 60, 100])
def test_a_reader_cut_off_mid_pass_that_replays_ten_seconds_gives_the_same_passage(cut_at: int) -> None:
    reads = walk_in()
    rewound = [read for read in reads if read.seen_at_us >= reads[cut_at].seen_at_us - 10 * US]

    assert recognised(reads[:cut_at] + rewound) == recognised(reads)


def test_reads_that_a_reader_kept_through_a_cut_are_not_lost() -> None:
    recognition = GateRecognition(GATE)
    recognition.feed(walk_out(epc="BB" * 12))
    recognition.advance(T0_US + 120 * US)

    kept = walk_in(starts_us=T0_US + 40 * US)

    assert directions(recognition.feed(kept) + recognition.flush()) == ["in"]
    assert recognition.counters["stepped_back"] == 1


def test_an_earlier_visit_that_arrives_late_is_no_part_of_the_open_one() -> None:
    recognition = GateRecognition(GATE)
    recognition.feed(walk_out(starts_us=T0_US + 20 * US))

    kept = walk_in()

    assert directions(recognition.feed(kept) + recognition.flush()) == ["in", "out"]


def test_a_reader_clock_set_back_by_an_hour_does_not_stop_recognition() -> None:
    recognition = GateRecognition(GATE)
    recognition.feed(walk_in())
    recognition.advance(T0_US + 60 * US)

    earlier = walk_out(starts_us=T0_US - 3600 * US)

    assert directions(recognition.feed(earlier) + recognition.flush()) == ["out"]


# ── tags that stand in the gate ─────────────────────────────────────────────────────────────────────────


def test_a_tag_parked_all_day_is_reported_once() -> None:
    recognition = GateRecognition(GATE)
    passages = recognition.feed(stand(-1.0, 8 * 3600, every_s=1.0)) + recognition.flush()

    assert directions(passages) == ["stayed"]
    assert recognition.counters["repeated"] > 1000


@pytest.mark.parametrize("waits_s", [20, 33, 36, 38, 45, 62])
def test_a_pallet_that_waits_in_the_gate_and_then_rolls_in_goes_in_once(waits_s: int) -> None:
    waiting = stand(-3.0, waits_s)
    rolling = heard(lambda s: -3 + s, 7, starts_us=T0_US + waits_s * US)

    passages = recognised(waiting + rolling)

    assert [d for d in directions(passages) if d in ("in", "out")] == ["in"]


def test_a_crossing_cut_in_two_by_the_longest_visit_is_found_all_the_same() -> None:
    """Outside alone before the twentieth second, inside alone after it."""
    waiting = [(second, 1, -70.0) for second in range(17)]
    passing = [(17 + i / 4, 1, -70.0 + 4 * (5 - abs(i - 5))) for i in range(11)]
    arriving = [(20.2 + i / 4, 2, -70.0 + 4 * (5 - abs(i - 5))) for i in range(11)]
    reads = [
        TagRead(EPC, antenna, rssi_dbm, T0_US + round(second * US))
        for second, antenna, rssi_dbm in waiting + passing + arriving
    ]

    assert [d for d in directions(recognised(reads)) if d in ("in", "out")] == ["in"]


def test_a_pallet_that_rolls_in_and_stops_inside_antenna_range_goes_in_once() -> None:
    rolling = heard(lambda s: min(-4 + s, 1.8), 180, every_s=0.1)

    passages = recognised(rolling)

    assert [d for d in directions(passages) if d in ("in", "out")] == ["in"]


def test_a_pallet_that_waits_inside_and_leaves_again_went_in_and_out() -> None:
    def position_m(seconds: float) -> float:
        return min(-4 + seconds, 1.8, 1.8 - (seconds - 120))

    passages = recognised(heard(position_m, 140, every_s=0.1))

    assert [d for d in directions(passages) if d in ("in", "out")] == ["in", "out"]


def test_a_tag_at_the_edge_of_one_antenna_is_no_flood() -> None:
    """A read every five seconds is a visit of its own each; the tag is reported once while it lingers."""
    recognition = GateRecognition(GATE)
    reads = [TagRead(EPC, 1, -70.0, T0_US + i * 5 * US) for i in range(720)]

    passages = recognition.feed(reads) + recognition.flush()

    assert directions(passages) == ["undecided"]
    assert recognition.counters["repeated"] == 719


def test_a_tag_seen_from_one_side_is_reported_again_after_it_was_away() -> None:
    away_us = GATE.linger_us + US
    reads = [TagRead(EPC, 1, -70.0, T0_US + i * away_us) for i in range(3)]

    assert directions(recognised(reads)) == ["undecided"] * 3


# ── limits ──────────────────────────────────────────────────────────────────────────────────────────────


def test_ten_thousand_reads_of_one_pass_are_thinned_evenly_and_the_passage_says_so() -> None:
    recognition = GateRecognition(GATE)
    reads = heard(lambda s: -4 + s, 8, every_s=0.0005)

    (passage,) = recognition.feed(reads) + recognition.flush()

    assert passage.direction is Direction.IN
    assert passage.reads == len(reads)
    kept = passage.evidence.reads_inside + passage.evidence.reads_outside
    assert GATE.most_reads / 4 < kept <= GATE.most_reads
    assert passage.evidence.reason.endswith(f"; {kept} of {len(reads)} reads kept")
    assert recognition.counters["thinned"] == len(reads) - kept


def test_tags_beyond_the_most_in_view_are_shed_and_counted() -> None:
    small = GateSettings("small", frozenset({2}), frozenset({1}), most_tags=10)
    recognition = GateRecognition(small)

    recognition.feed([TagRead(f"{i:024X}", 1, -60.0, T0_US + i) for i in range(25)])
    passages = recognition.flush()

    assert len(passages) == 10
    assert recognition.counters["shed"] == 15


def test_what_is_remembered_of_decided_tags_stays_bounded() -> None:
    recognition = GateRecognition(GATE)
    for i in range(9000):
        recognition.feed([TagRead(f"{i:024X}", 1, -60.0, T0_US + i * US)])

    assert recognition.tags_known <= GATE.remember_s + GATE.hold_s + 10


def test_reads_of_antennas_that_are_not_the_gates_are_counted_and_change_nothing() -> None:
    recognition = GateRecognition(GATE)
    strangers = [TagRead(EPC, 7, -50.0, T0_US + i) for i in range(3)]

    assert recognition.feed(strangers) + recognition.flush() == []
    assert recognition.counters["unknown_antenna"] == 3


@pytest.mark.parametrize("rssi_dbm", [float("nan"), float("inf"), float("-inf")])
def test_a_signal_strength_that_is_no_number_is_counted_and_changes_nothing(rssi_dbm: float) -> None:
    recognition = GateRecognition(GATE)
    reads = walk_in()
    spoilt = [*reads[:50], TagRead(EPC, 1, rssi_dbm, reads[50].seen_at_us), *reads[50:]]

    assert recognition.feed(spoilt) + recognition.flush() == recognised(reads)
    assert recognition.counters["unreadable"] == 1


def test_a_signal_strength_that_no_tag_has_is_counted_named_and_changes_nothing() -> None:
    recognition = GateRecognition(GATE)
    reads = walk_in()
    spoilt = [*reads[:50], TagRead(EPC, 1, 1e6, reads[50].seen_at_us), *reads[50:]]

    assert recognition.feed(spoilt) + recognition.flush() == recognised(reads)
    assert recognition.counters["rssi_out_of_range"] == 1
    assert recognition.faults["rssi_out_of_range"] == f"{EPC}: expected -120 to 20 dBm, got 1e+06"


@pytest.mark.parametrize("epc", ["", "E28"])
def test_memory_that_is_empty_or_of_odd_length_is_counted_named_and_changes_nothing(epc: str) -> None:
    recognition = GateRecognition(GATE)

    assert recognition.feed([TagRead(epc, 1, -60.0, T0_US)] * 3) + recognition.flush() == []
    assert recognition.counters["wrong_epc"] == 3
    assert recognition.faults["wrong_epc"] == f"expected an even number of hex digits, got {epc!r}"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"inside": frozenset()}, "expected antennas on both sides"),
        ({"inside": frozenset({1, 2})}, r"antennas \[1\] stand on both sides"),
        ({"hold_s": 0.0}, "expected 0 < hold_s < longest_visit_s, got 0.0 and 20.0"),
        ({"hold_s": 30.0}, "got 30.0 and 20.0"),
        ({"reorder_s": 3.0}, "expected 0 ≤ reorder_s < hold_s"),
        ({"most_reads": 3}, "expected most_reads"),
    ],
)
def test_a_gate_that_contradicts_itself_is_refused(change: dict, complaint: str) -> None:
    sides = {"inside": frozenset({2}), "outside": frozenset({1})}

    with pytest.raises(WrongGate, match=complaint):
        GateSettings("gate-9", **(sides | change))
