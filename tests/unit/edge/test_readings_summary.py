"""What the screen is told of a gate each second."""

from edge.gate_watch import REMEMBERED_TAGS, ReadingsSummary
from edge.readings import Direction, TagRead
from edge.recognition.gate_recognition import Provisional
from protocols.wire.readings import MAX_TAGS
from tests.walks import T0_US


def test_reads_are_summed_up_by_tag_the_most_read_first() -> None:
    summary = ReadingsSummary("gate-1")
    summary.add([TagRead("AA", 2, -60.0, T0_US + 5), TagRead("BB", 1, -50.0, T0_US + 1)])
    summary.add([TagRead("BB", 3, -45.0, T0_US + 9), TagRead("BB", 1, -55.0, T0_US + 7)])

    told = summary.take(T0_US + 100, shed=2)

    assert told is not None
    assert (told.gate, told.from_us, told.to_us) == ("gate-1", T0_US + 1, T0_US + 9)
    assert (told.reads, told.tags_total, told.shed) == (4, 2, 2)
    assert [(tag.epc, tag.reads, tag.antennas, tag.peak_rssi_dbm) for tag in told.tags] == [
        ("BB", 3, [1, 3], -45.0),
        ("AA", 1, [2], -60.0),
    ]


def test_a_gate_that_fell_quiet_is_told_once() -> None:
    summary = ReadingsSummary("gate-1")
    assert summary.take(T0_US, shed=0) is None
    summary.add([TagRead("AA", 2, -60.0, T0_US)])
    assert summary.take(T0_US, shed=3) is not None

    quiet = summary.take(T0_US + 100, shed=5)

    assert quiet is not None
    assert (quiet.reads, quiet.tags, quiet.to_us, quiet.shed) == (0, [], T0_US + 100, 2)
    assert summary.take(T0_US + 200, shed=5) is None


def test_more_tags_than_a_screen_holds_are_counted() -> None:
    summary = ReadingsSummary("gate-1")
    summary.add([TagRead(f"{i:024X}", 1, -60.0, T0_US) for i in range(MAX_TAGS + 5)])

    told = summary.take(T0_US, shed=0)

    assert told is not None
    assert (len(told.tags), told.tags_total) == (MAX_TAGS, MAX_TAGS + 5)


def test_a_tag_that_waits_for_its_verdict_is_told_until_it_has_one() -> None:
    summary = ReadingsSummary("gate-1")
    summary.add(
        [TagRead("AA", 2, -60.0, T0_US), TagRead("AA", 1, -52.0, T0_US + 5), TagRead("BB", 1, -70.0, T0_US)]
    )
    waits = [Provisional("AA", Direction.OUT, T0_US)]

    first = summary.take(T0_US + 10, 0, waits)
    silent = summary.take(T0_US + 20, 0, waits)
    decided = summary.take(T0_US + 30, 0, [])

    assert first is not None
    assert silent is not None
    assert decided is not None
    assert [(tag.epc, tag.reads, tag.provisional) for tag in first.tags] == [("AA", 2, "out"), ("BB", 1, None)]
    assert [(tag.epc, tag.reads, tag.antennas, tag.peak_rssi_dbm, tag.provisional) for tag in silent.tags] == [
        ("AA", 0, [1, 2], -52.0, "out")
    ]
    assert (silent.reads, silent.tags_total) == (0, 1)
    assert decided.tags == []
    assert summary.take(T0_US + 40, 0, []) is None


def test_a_tag_that_waits_stands_before_those_read_more_often() -> None:
    summary = ReadingsSummary("gate-1")
    summary.add([TagRead(f"{i:024X}", 1, -60.0, T0_US) for i in range(2 * MAX_TAGS)])
    waits = [Provisional(f"{2 * MAX_TAGS - 1:024X}", Direction.IN, T0_US)]
    told = summary.take(T0_US, 0, waits)
    assert told is not None
    assert [tag.provisional for tag in told.tags] == ["in"] + [None] * (MAX_TAGS - 1)
    assert told.tags_total == 2 * MAX_TAGS


def test_how_tags_were_read_is_remembered_of_the_newest_only() -> None:
    summary = ReadingsSummary("gate-1")
    for i in range(REMEMBERED_TAGS + 1):
        summary.add([TagRead(f"{i:024X}", 1, -60.0, T0_US + i)])
        summary.take(T0_US + i, 0)
    forgotten, oldest = (
        Provisional(f"{0:024X}", Direction.IN, T0_US),
        Provisional(f"{1:024X}", Direction.IN, T0_US),
    )
    told = summary.take(T0_US, 0, [forgotten, oldest])
    assert told is not None
    assert [tag.epc for tag in told.tags] == [oldest.epc]
