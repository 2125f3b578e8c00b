"""Reads as columns: what is packed comes back, and the order and repetitions of reads do not matter."""

import math
import random
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.recognition.columns import (
    MOST_CHANNEL,
    NO_PHASE,
    PHASE_STEPS,
    RSSI_LEAST_DBM,
    RSSI_MOST_DBM,
    Reads,
    antenna_codes,
    is_inside,
    pack,
    put,
)
from edge.recognition.gate import MOST_ANTENNA
from tests.walks import columns_of

INSIDE, OUTSIDE = frozenset({2, 4, MOST_ANTENNA}), frozenset({1, 3, MOST_ANTENNA - 1})
CODES = antenna_codes(INSIDE, OUTSIDE)
RSSI_STEP_DB = 0.01
PHASE_STEP_RAD = math.tau / PHASE_STEPS

antennas = st.sampled_from(sorted(CODES))
signals_dbm = st.floats(RSSI_LEAST_DBM, RSSI_MOST_DBM)
phases_rad = st.none() | st.floats(-math.tau, 2 * math.tau)
channels = st.none() | st.integers(1, MOST_CHANNEL)
columns = st.lists(st.tuples(st.integers(-50, 50), st.integers(0, 5)), max_size=60)


def rows_of(reads: Reads) -> list[tuple[int, int]]:
    return list(zip(reads.times_us.tolist(), reads.signals.tolist(), strict=True))


@given(antenna=antennas, rssi_dbm=signals_dbm, phase_rad=phases_rad, channel=channels)
def test_a_packed_read_comes_back_as_fine_as_readers_measure(
    antenna: int, rssi_dbm: float, phase_rad: float | None, channel: int | None
) -> None:
    signal = pack(CODES[antenna], rssi_dbm, phase_rad, channel)
    back = columns_of([(7, signal)])

    assert back.times_us.tolist() == [7]
    assert back.antennas.tolist() == [antenna]
    assert back.inside.tolist() == [antenna in INSIDE]
    assert is_inside(signal) is (antenna in INSIDE)
    assert back.rssi_dbm[0] == pytest.approx(rssi_dbm, abs=RSSI_STEP_DB / 2 + 1e-9)
    if phase_rad is None:
        assert back.phase_steps.tolist() == [NO_PHASE]
    else:
        apart = (back.phase_steps[0] * PHASE_STEP_RAD - phase_rad + math.pi) % math.tau - math.pi
        assert abs(apart) <= PHASE_STEP_RAD / 2 + 1e-9
        assert 0 <= back.phase_steps[0] < PHASE_STEPS
        assert back.channels.tolist() == [channel or 0]


@given(antenna=antennas, rssi_dbm=signals_dbm, phase_rad=phases_rad, channel=channels)
def test_a_packed_read_is_a_positive_number_of_eight_bytes(
    antenna: int, rssi_dbm: float, phase_rad: float | None, channel: int | None
) -> None:
    assert 0 <= pack(CODES[antenna], rssi_dbm, phase_rad, channel) < 1 << 63


def test_channels_are_told_apart_by_index_and_by_kilohertz() -> None:
    packed = [pack(CODES[1], -60.0, 0.0, channel) for channel in (1, 2, 865_700, 866_300)]

    assert columns_of(enumerate(packed)).channels.tolist() == [1, 2, 865_700, 866_300]


@given(columns)
def test_reads_stand_in_order_of_time_and_each_only_once(rows: list[tuple[int, int]]) -> None:
    assert rows_of(columns_of(rows)) == sorted(set(rows))


@given(columns)
def test_a_read_that_stands_in_the_columns_already_is_refused(rows: list[tuple[int, int]]) -> None:
    times_us, signals = array("q"), array("q")

    taken = [put(times_us, signals, *row) for row in rows]

    assert taken == [row not in rows[:number] for number, row in enumerate(rows)]


@given(columns, st.integers(0, 2**32))
def test_neither_order_nor_repetition_of_reads_matters(rows: list[tuple[int, int]], seed: int) -> None:
    chance = random.Random(seed)
    again = rows + [row for row in rows if chance.random() < 0.5]
    chance.shuffle(again)

    assert rows_of(columns_of(again)) == rows_of(columns_of(rows))


@given(columns, st.integers(-60, 60), st.integers(-60, 60))
def test_between_takes_the_first_instant_and_leaves_the_last(
    rows: list[tuple[int, int]], from_us: int, until_us: int
) -> None:
    chosen = columns_of(rows).between(from_us, until_us)

    assert rows_of(chosen) == [row for row in sorted(set(rows)) if from_us <= row[0] < until_us]


@given(columns)
def test_chosen_reads_are_those_of_the_mask(rows: list[tuple[int, int]]) -> None:
    reads = columns_of(rows)

    assert rows_of(reads.chosen(reads.times_us > 0)) == [row for row in sorted(set(rows)) if row[0] > 0]
