"""Clocks of readers: trusted when they are right, put right when they lie, never believed when absurd."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.devices.reader_clock import STEP_READS, Arrival, ReaderClock

NOW_US = 1_790_000_000_000_000
SECOND_US = 1_000_000
HOUR_US = 3600 * SECOND_US
YEAR_US = 365 * 24 * HOUR_US


def at(seconds: float, wall_step_us: int = 0) -> Arrival:
    """So many seconds after the connection, by the gateway's clocks."""
    return Arrival(NOW_US + round(seconds * 1e6) + wall_step_us, 5_000_000 + round(seconds * 1e6))


def connected(stamp_us: int | None) -> ReaderClock:
    clock = ReaderClock()
    clock.connected(stamp_us, at(0))
    return clock


@pytest.mark.parametrize("off_us", [0, 4_900_000, -4_900_000])
def test_a_clock_within_five_seconds_of_ours_is_taken_at_its_word(off_us):
    clock = connected(NOW_US + off_us)
    assert clock.seen_at_us(NOW_US + off_us + 7, at(1)) == NOW_US + off_us + 7


@pytest.mark.parametrize("off_us", [6 * SECOND_US, -HOUR_US, -50 * YEAR_US, 30 * YEAR_US])
def test_a_clock_that_lies_is_put_right_by_its_first_word(off_us):
    clock = connected(NOW_US + off_us)
    assert clock.offset_us == -off_us
    assert clock.seen_at_us(NOW_US + off_us + 3 * SECOND_US, at(3.2)) == NOW_US + 3 * SECOND_US


def test_a_reader_without_utc_is_dated_by_its_uptime():
    clock = connected(42 * SECOND_US)
    assert clock.seen_at_us(44 * SECOND_US, at(2.1)) == NOW_US + 2 * SECOND_US


def test_a_reader_that_says_no_time_on_connecting_is_measured_by_its_first_read():
    clock = connected(None)
    first = clock.seen_at_us(NOW_US - YEAR_US, at(1))
    assert first == at(1).wall_us
    assert clock.seen_at_us(NOW_US - YEAR_US + 5, at(1)) == first + 5


def test_reads_that_waited_in_a_report_do_not_move_the_offset():
    clock = connected(NOW_US - YEAR_US)
    for late_s in (0.0, 3.0, 20.0, 1.0):
        stamp_us = NOW_US - YEAR_US + 30 * SECOND_US
        assert clock.seen_at_us(stamp_us, at(30 + late_s)) == NOW_US + 30 * SECOND_US


def test_a_clock_that_runs_ten_times_as_fast_stays_readable_in_its_own_time():
    clock = connected(NOW_US)
    assert [clock.seen_at_us(NOW_US + n * 10 * SECOND_US, at(n)) for n in range(100)] == [
        NOW_US + n * 10 * SECOND_US for n in range(100)
    ]
    assert clock.wrong_time == 0


def test_the_offset_is_held_over_a_connection_that_measures_nearly_the_same():
    clock = connected(NOW_US - YEAR_US)
    clock.connected(NOW_US - YEAR_US + 60 * SECOND_US, at(61.3))
    assert clock.offset_us == YEAR_US


def test_the_offset_is_measured_anew_when_a_connection_finds_it_wrong():
    clock = connected(NOW_US - YEAR_US)
    clock.connected(NOW_US + 60 * SECOND_US, at(60))
    assert clock.offset_us == 0
    clock.connected(NOW_US + HOUR_US, at(120))
    assert clock.offset_us == 120 * SECOND_US - HOUR_US


@pytest.mark.parametrize("stamp_us", [0, 2**64 - 1, NOW_US + 2 * HOUR_US, NOW_US - 2 * HOUR_US])
def test_one_absurd_stamp_is_dated_by_arrival_and_counted(stamp_us):
    clock = connected(NOW_US)
    clock.seen_at_us(NOW_US + SECOND_US, at(1))
    assert clock.seen_at_us(stamp_us, at(2.5)) == NOW_US + 2_500_000
    assert clock.wrong_time == 1
    assert clock.seen_at_us(NOW_US + 3 * SECOND_US, at(3)) == NOW_US + 3 * SECOND_US


def test_a_missing_stamp_is_dated_by_arrival_on_the_readers_time_and_counted():
    clock = connected(NOW_US)
    assert clock.seen_at_us(None, at(1)) == NOW_US + SECOND_US
    clock.seen_at_us(NOW_US + 600 * SECOND_US, at(2))  # a fast clock
    assert clock.seen_at_us(None, at(2.5)) == NOW_US + 600_500_000
    assert clock.without_time == 2


@pytest.mark.parametrize("step_us", [56 * YEAR_US, -2 * HOUR_US])
def test_a_clock_that_is_set_while_it_serves_is_measured_anew_after_some_reads(step_us):
    """NTP arrives after a reader booted in 1970; or somebody sets the clock back."""
    start_us = NOW_US - 20 * YEAR_US
    clock = connected(start_us)
    clock.seen_at_us(start_us + SECOND_US, at(1))
    seen = [clock.seen_at_us(start_us + step_us + n * 1000, at(2 + n / 1000)) for n in range(STEP_READS + 5)]
    assert all(abs(seen_us - at(2 + n / 1000).wall_us) < 10_000 for n, seen_us in enumerate(seen))
    assert (clock.steps, clock.wrong_time) == (1, STEP_READS - 1)


def test_absurd_stamps_that_do_not_agree_with_each_other_are_no_new_clock():
    clock = connected(NOW_US)
    for n in range(3 * STEP_READS):
        clock.seen_at_us(NOW_US + (n + 1) * YEAR_US // 10, at(n / 10))
    assert (clock.steps, clock.offset_us) == (0, 0)


def test_when_the_gateways_own_clock_is_set_the_reader_follows_it():
    """A gateway without a clock battery starts in the past, and NTP comes after the reader."""
    clock = ReaderClock()
    clock.connected(NOW_US, at(0, -50 * YEAR_US))
    assert clock.seen_at_us(NOW_US + SECOND_US, at(1, -50 * YEAR_US)) == at(1, -50 * YEAR_US).wall_us
    assert clock.seen_at_us(NOW_US + 2 * SECOND_US, at(2)) == NOW_US + 2 * SECOND_US
    assert clock.offset_us == 0


def test_time_at_the_gate_goes_on_between_reads():
    clock = ReaderClock()
    assert clock.now_us(at(0)) == NOW_US
    clock.connected(NOW_US - YEAR_US, at(0))
    assert clock.now_us(at(3)) == NOW_US + 3 * SECOND_US
    clock.seen_at_us(NOW_US - YEAR_US + 4 * SECOND_US, at(4.5))
    assert clock.now_us(at(6.5)) == NOW_US + 6 * SECOND_US


@given(st.lists(st.one_of(st.none(), st.integers(0, 2**64 - 1)), max_size=80), st.integers(0, 2**64 - 1))
def test_whatever_a_reader_says_a_read_gets_a_time(stamps, first):
    clock = connected(first)
    for n, stamp_us in enumerate(stamps):
        assert isinstance(clock.seen_at_us(stamp_us, at(n)), int)
    assert clock.without_time == sum(stamp_us is None for stamp_us in stamps)


@given(st.integers(0, 2**62), st.lists(st.integers(0, 2 * HOUR_US // 80), max_size=80))
def test_order_and_distances_of_a_connections_stamps_are_kept(first, gaps):
    clock = connected(first)
    stamp_us, seen = first, []
    for n, gap_us in enumerate(gaps):
        stamp_us += gap_us
        seen.append(clock.seen_at_us(stamp_us, at(n)))
    assert [b - a for a, b in itertools.pairwise(seen)] == gaps[1:]
