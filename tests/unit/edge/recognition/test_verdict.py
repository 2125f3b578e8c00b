"""The order statistic, the envelope, phase, and what a movement carries of them."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.readings import Direction, Passage, TagRead
from edge.recognition.columns import Reads, antenna_codes, pack
from edge.recognition.course import envelope, envelopes, follow
from edge.recognition.movement import evidence, is_logged
from edge.recognition.passage import passage_of
from edge.recognition.verdict import judge
from protocols.wire.movement import evidence_raw
from tests.walks import EPC, GATE, T0_US, columns_of, stand, turn_back, walk_in

CODES = antenna_codes(GATE.inside, GATE.outside)


def visit_of(reads: list[tuple[int, int, float]]) -> Reads:
    """A visit from (milliseconds, antenna, dBm)."""
    return columns_of((T0_US + ms * 1000, pack(CODES[antenna], dbm, None, None)) for ms, antenna, dbm in reads)


def visit_from(walk: list[TagRead]) -> Reads:
    return visit_of([((r.seen_at_us - T0_US) // 1000, r.antenna, r.rssi_dbm) for r in walk])


def decide(visit: Reads) -> Passage:
    course = follow(visit, len(visit), GATE)
    return passage_of(EPC, course, judge(course, GATE), T0_US, GATE)


def order_by_pairs(visit: Reads) -> float:
    """U as its definition says it: every pair of reads by received power."""
    strongest = visit.rssi_dbm.max()
    sides: dict[int, list[tuple[int, float]]] = {1: [], 2: []}
    for at_us, antenna, dbm in zip(visit.times_us, visit.antennas, visit.rssi_dbm, strict=True):
        sides[int(antenna)].append((at_us, 10 ** ((dbm - strongest) / 10)))
    pairs = [(a, b, wa * wb) for a, wa in sides[1] for b, wb in sides[2]]
    if not pairs:
        return 0.5
    first = sum(weight * (1.0 if a < b else 0.5 if a == b else 0.0) for a, b, weight in pairs)
    return first / sum(weight for _, _, weight in pairs)


read_fields = st.tuples(st.integers(0, 60), st.sampled_from([1, 2]), st.integers(-80, -30).map(float))


@settings(max_examples=200, deadline=None)
@given(st.lists(read_fields, min_size=1, max_size=40))
def test_the_order_by_sorting_is_the_order_by_pairs(reads: list[tuple[int, int, float]]) -> None:
    visit = visit_of(reads)

    assert decide(visit).evidence.order == pytest.approx(order_by_pairs(visit), abs=1e-9)


@settings(max_examples=200, deadline=None)
@given(st.lists(read_fields, min_size=1, max_size=40))
def test_seen_from_the_other_side_in_becomes_out(reads: list[tuple[int, int, float]]) -> None:
    mirror = {Direction.IN: Direction.OUT, Direction.OUT: Direction.IN}
    ahead = decide(visit_of(reads))
    back = decide(visit_of([(ms, 3 - antenna, dbm) for ms, antenna, dbm in reads]))

    # Exactly ½ ± rounding of a limit may fall either way; the limits are 0.70 and 0.80 of order.
    if all(abs(max(p.evidence.order, 1 - p.evidence.order) - x) > 1e-9 for p in (ahead, back) for x in (0.7, 0.8)):
        assert back.direction is mirror.get(ahead.direction, ahead.direction)
    assert back.evidence.order == pytest.approx(1 - ahead.evidence.order, abs=1e-9)


def test_the_envelope_is_the_gaussian_mean_at_each_read() -> None:
    times_s, rssi_dbm = np.array([0.0, 0.3, 2.0]), np.array([-60.0, -50.0, -70.0])
    near = math.exp(-0.5)

    smoothed = envelope(times_s, rssi_dbm, 0.3)

    assert smoothed[0] == pytest.approx((-60 - 50 * near) / (1 + near), abs=1e-6)
    assert smoothed[2] == pytest.approx(-70, abs=1e-4)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(-160, -80), min_size=1, max_size=40), min_size=1, max_size=5), st.data())
def test_envelopes_of_several_series_are_those_of_each(series: list[list[int]], data: st.DataObject) -> None:
    """Few reads together or many: what stands beside a series weighs nothing in it."""
    times_s, dbm, begins, each = [], [], [], []
    for halves in series:
        gaps_s = data.draw(
            st.lists(st.sampled_from([0.0, 0.01, 0.2, 5.0]), min_size=len(halves), max_size=len(halves))
        )
        begins.append(len(times_s))
        own_s, own_dbm = np.cumsum(gaps_s), np.array(halves) / 2
        each.append(envelope(own_s, own_dbm, 0.3))
        times_s += own_s.tolist()
        dbm += own_dbm.tolist()

    together = envelopes(np.array(times_s), np.array(dbm), begins, 0.3)

    assert together == pytest.approx(np.concatenate(each), abs=1e-9)


def test_of_an_even_signal_the_first_read_is_the_peak() -> None:
    """Not the one that the last bits of a sum choose."""
    even = [(round(i * 137.1), 1 + i % 2, -61.5) for i in range(24)]

    why = decide(visit_of(even)).evidence

    assert (why.peak_outside_us, why.peak_inside_us) == (T0_US, T0_US + 137_000)
    assert (why.rise_outside_db, why.rise_inside_db) == (0.0, 0.0)
    assert [antenna.peak_us for antenna in why.antennas] == [T0_US, T0_US + 137_000]


@pytest.mark.parametrize(
    ("reads", "direction", "reason"),
    [
        # Six reads on both sides, but only one of them inside.
        ([(i * 100, 1, -60.0 + 4 * i) for i in range(6)] + [(600, 2, -50.0)], "turned_back", "one side"),
        # Both sides rise and come one after the other, but the weaker side by 3 dB only.
        (
            [(i * 400, 1, -60.0 + 4 * i) for i in range(4)] + [(3000 + i * 400, 2, -60.0 + i) for i in range(4)],
            "undecided",
            "rise too weak",
        ),
        # The weaker side by 1.5 dB.
        (
            [(i * 400, 1, -60.0 + 4 * i) for i in range(4)]
            + [(3000 + i * 400, 2, -60.0 + i / 2) for i in range(4)],
            "turned_back",
            "went near the gate",
        ),
        # Both rise well, one clearly before the other.
        (
            [(i * 400, 2, -60.0 + 4 * i) for i in range(4)]
            + [(3000 + i * 400, 1, -60.0 + 4 * i) for i in range(4)],
            "out",
            "inside before outside",
        ),
        # Nothing moves.
        ([(i * 400, 1 + i % 2, -60.0) for i in range(20)], "stayed", "no rise on either side"),
    ],
)
def test_each_line_of_the_decision_table(reads: list, direction: str, reason: str) -> None:
    passage = decide(visit_of(reads))

    assert (passage.direction.value, passage.evidence.reason) == (direction, reason)


def test_order_between_the_limits_is_undecided() -> None:
    outside = [(0, 1, -60.0), (1000, 1, -50.0), (2000, 1, -50.0), (2500, 1, -50.0), (6000, 1, -50.0)]
    inside = [(3000, 2, -50.0), (4000, 2, -50.0), (5000, 2, -50.0), (5500, 2, -60.0)]

    passage = decide(visit_of(outside + inside))

    # Power 0.1 + 3 of 4.1 outside came before all of the inside.
    assert passage.evidence.order == pytest.approx(3.1 / 4.1)
    assert (passage.direction.value, passage.evidence.reason) == ("undecided", "order unclear")


def test_only_a_tag_that_stayed_is_not_logged() -> None:
    logged = {p.direction: is_logged(p) for p in (decide(visit_from(w)) for w in (walk_in(), turn_back()))}

    assert logged == {Direction.IN: True, Direction.TURNED_BACK: True}
    assert not is_logged(decide(visit_from(stand(-2.0, 15))))


def test_the_evidence_of_a_movement_is_small_json_that_names_its_reason() -> None:
    carried = msgspec.json.decode(bytes(evidence_raw(evidence(decide(visit_from(walk_in()))))))

    assert carried["reason"] == "outside before inside"
    assert carried["decided_by"] == "tag"
    assert 0.95 < carried["order"] <= 1
    assert carried["reads"] == carried["reads_outside"] + carried["reads_inside"]
    assert carried["first_seen_us"] < carried["peak_outside_us"] < carried["peak_inside_us"]
    assert len(bytes(evidence_raw(carried))) < 2048
