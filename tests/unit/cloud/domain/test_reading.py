"""Summaries of gates as statistics: what is summed, what is left out, and when it was."""

import math

import pytest

from cloud.domain.reading import CLOCK_AHEAD_US, Statistics, measured_us, of_gate
from protocols.wire.readings import GateReadings, TagSeen

NOW_US = 1_790_000_000_000_000


def tag(number: int, reads: int, peak_rssi_dbm: float = -50.0) -> TagSeen:
    return TagSeen(epc=f"E28{number}", reads=reads, antennas=[1], peak_rssi_dbm=peak_rssi_dbm)


def summary(tags: list[TagSeen], tags_total: int | None = None, shed: int = 0) -> GateReadings:
    return GateReadings(
        schema=1, gate="dock-1", from_us=NOW_US - 1_000_000, to_us=NOW_US, reads=sum(one.reads for one in tags),
        tags_total=len(tags) if tags_total is None else tags_total, tags=tags, shed=shed,
    )  # fmt: skip


def test_a_gates_summary_is_reads_tags_and_signal() -> None:
    assert of_gate(summary([tag(1, 3, -40.0), tag(2, 5, -61.5)])) == {
        "reads": Statistics(1, 8.0, 8.0, 8.0),
        "tags": Statistics(1, 2.0, 2.0, 2.0),
        "rssi_dbm": Statistics(2, -101.5, -61.5, -40.0),
    }


def test_reads_that_were_shed_are_told_where_there_were_any() -> None:
    assert of_gate(summary([tag(1, 1)], shed=7))["shed"] == Statistics(1, 7.0, 7.0, 7.0)
    assert "shed" not in of_gate(summary([tag(1, 1)]))


def test_a_tag_that_only_waits_for_its_verdict_was_not_seen() -> None:
    found = of_gate(summary([tag(1, 0, -33.0), tag(2, 2, -60.0)]))
    assert found["tags"].total == 1
    assert found["rssi_dbm"] == Statistics(1, -60.0, -60.0, -60.0)


def test_tags_beyond_those_listed_are_counted_too() -> None:
    assert of_gate(summary([tag(1, 1), tag(2, 0)], tags_total=250))["tags"].total == 249


def test_a_quiet_gate_has_no_signal_but_says_that_it_was_quiet() -> None:
    assert of_gate(summary([])) == {"reads": Statistics(1, 0.0, 0.0, 0.0), "tags": Statistics(1, 0.0, 0.0, 0.0)}


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_what_is_no_number_is_no_statistic(value: float) -> None:
    assert Statistics.of([1.0, value]) is None


@pytest.mark.parametrize(
    ("said", "taken"),
    [(0, 0), (-3600_000_000, -3600_000_000), (CLOCK_AHEAD_US, CLOCK_AHEAD_US), (CLOCK_AHEAD_US + 1, 0)],
)
def test_a_clock_too_far_ahead_is_not_believed(said: int, taken: int) -> None:
    assert measured_us(NOW_US + said, NOW_US) == NOW_US + taken
