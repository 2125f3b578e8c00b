"""Memory at a gate is bounded, however many tags stand in its field and however often they are read."""

import tracemalloc
from collections.abc import Iterator

import pytest

from edge.readings import TagRead
from edge.recognition.gate import US, GateSettings
from edge.recognition.gate_recognition import GateRecognition
from tests.crowds import OF_SIDE, PORTAL, epc_of
from tests.walks import EPC, GATE, T0_US, heard

PARKED = 100_000
MOST_BYTES_A_TAG = 2_000  # 24 of whose reads stay, 16 bytes each; the rest is Python's objects
FIELD = 3_000  # tags of the fields that are read for many rounds
ROUND_US = 20 * US
PAUSE_US = 40 * US  # until the next round: every visit is over
BURST = 40  # reads of a dense tag, one after the other


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def round_of(tags: int, number: int, starts_us: int, lasts_us: int = ROUND_US) -> Iterator[TagRead]:
    """One read of each tag, as evenly as a fast inventory; a tag stands on one side and is heard by its antennas."""
    step_us = lasts_us // tags
    for tag in range(tags):
        antenna = OF_SIDE[tag % 2 == 0][(tag // 2 + number) % 2]
        yield TagRead(epc_of(tag), antenna, -60.0 - (tag + number) % 3, starts_us + tag * step_us)


def burst(tag: int, starts_us: int) -> Iterator[TagRead]:
    """A tag right before an antenna: BURST reads within two seconds."""
    for number in range(BURST):
        yield TagRead(epc_of(tag), OF_SIDE[tag % 2 == 0][0], -45.0 - number % 4, starts_us + number * 50_000)


@pytest.mark.slow
@pytest.mark.usefixtures("traced")
def test_a_hundred_thousand_parked_tags_in_view_take_a_stated_number_of_bytes_each() -> None:
    recognition = GateRecognition(PORTAL)
    before = tracemalloc.get_traced_memory()[0]

    for number in range(3):
        recognition.feed(round_of(PARKED, number, T0_US + number * 2 * US, 2 * US))

    _, peak = tracemalloc.get_traced_memory()
    assert recognition.tags_in_view == recognition.tags_known == PARKED
    assert recognition.counters["shed"] == 0
    assert (peak - before) / PARKED < MOST_BYTES_A_TAG


@pytest.mark.usefixtures("traced")
def test_a_field_that_is_read_round_after_round_takes_no_more_memory_with_time() -> None:
    """Some of it in bursts, as by a reader that lingers on what is near."""
    recognition = GateRecognition(PORTAL)
    before, used, told = tracemalloc.get_traced_memory()[0], [], []
    for number in range(9):
        starts_us = T0_US + number * (ROUND_US + PAUSE_US)
        passages = recognition.feed(round_of(FIELD, number, starts_us))
        for tag in range(100):
            passages += recognition.feed(burst(tag * 7, starts_us + ROUND_US + tag * 100_000))
        passages += recognition.advance(starts_us + ROUND_US + PAUSE_US)
        assert recognition.tags_known == FIELD
        assert recognition.tags_in_view == 0
        told.append(len(passages))
        del passages
        used.append(tracemalloc.get_traced_memory()[0] - before)

    assert max(used[2:]) <= 1.02 * used[2]
    assert max(used[1:]) / FIELD < MOST_BYTES_A_TAG
    assert all(one <= 100 for one in told[1:])  # the field is told once, not every round
    assert recognition.counters["repeated"] > 6 * FIELD


def test_no_more_tags_are_known_than_allowed_and_what_does_not_fit_is_counted() -> None:
    most = 500
    small = GateRecognition(GateSettings("small", PORTAL.inside, PORTAL.outside, most_tags=most))
    for number in range(3):
        for read in round_of(2 * most, number, T0_US + number * US, US):
            small.feed([read])
            assert small.tags_known <= most

    assert small.tags_in_view == most
    # The last read still waits for what may come before it.
    assert small.counters["shed"] >= 3 * most - 2 * most * GATE.reorder_s - 1


def test_what_was_decided_long_ago_makes_room_for_what_comes() -> None:
    """Remembered tags are no reason to shed: only those in view are."""
    most = 50
    small = GateRecognition(GateSettings("small", PORTAL.inside, PORTAL.outside, most_tags=most))
    for tag in range(10 * most):
        small.feed([TagRead(epc_of(tag), 1, -60.0, T0_US + tag * US)])
        assert small.tags_known <= most

    assert small.counters["shed"] == 0


def test_goods_that_come_once_are_forgotten_after_a_while() -> None:
    """A busy gate sees new goods all day; those of the last hours are enough."""
    recognition = GateRecognition(GATE)
    known = []
    for hours in range(8):
        for tag in range(200):
            at_us = T0_US + hours * 3600 * US + tag * 18 * US
            recognition.feed([TagRead(epc_of(hours * 1000 + tag), 1, -60.0, at_us)])
        known.append(recognition.tags_known)

    assert max(known) <= 3 * 200
    assert known[-1] <= known[-2] + 1


@pytest.mark.usefixtures("traced")
def test_a_tag_that_is_read_all_the_time_keeps_a_bounded_number_of_reads() -> None:
    few = GateSettings("few", GATE.inside, GATE.outside, most_reads=256)
    recognition = GateRecognition(few)
    reads = 40_000  # two thousand a second
    before = tracemalloc.get_traced_memory()[0]

    passages = recognition.feed(
        TagRead(EPC, 1 + number % 2, -55.0 - number % 5, T0_US + number * 500) for number in range(reads)
    )
    _, peak = tracemalloc.get_traced_memory()
    passages += recognition.flush()

    assert peak - before < 1_000_000
    assert passages
    for passage in passages:
        assert passage.evidence.reads_inside + passage.evidence.reads_outside <= few.most_reads
    assert recognition.counters["thinned"] > 0.9 * reads - 2 * few.most_reads


def test_thinning_leaves_a_passage_what_it_was() -> None:
    dense = heard(lambda s: -4 + s, 8, every_s=0.004)
    thin = GateRecognition(GateSettings("thin", GATE.inside, GATE.outside, most_reads=128))
    whole = GateRecognition(GateSettings("whole", GATE.inside, GATE.outside, most_reads=4_096))

    (thinned,), (full,) = (recognition.feed(dense) + recognition.flush() for recognition in (thin, whole))

    assert thinned.direction is full.direction
    assert thinned.reads == full.reads == len(dense)
    assert abs(thinned.crossed_at_us - full.crossed_at_us) < 0.2 * US
