"""Simulated gates: the same seed makes the same reads, and reads come as readers make them."""

import numpy as np
import pytest

from firmware_bridges.gate_simulator import scenarios
from firmware_bridges.gate_simulator.recording import reads_in_truths
from firmware_bridges.gate_simulator.simulation import Simulated, simulate


@pytest.fixture(scope="module")
def passes() -> Simulated:
    return simulate(scenarios.passes(7, 10), 7)


def test_the_same_seed_makes_the_same_reads(passes: Simulated) -> None:
    again = simulate(scenarios.passes(7, 10), 7)
    for column in ("t_us", "tag", "antenna", "rssi_dbm", "phase_rad", "channel"):
        assert getattr(again, column).tobytes() == getattr(passes, column).tobytes()
    assert (again.truths, again.eyes) == (passes.truths, passes.eyes)


def test_another_seed_makes_others(passes: Simulated) -> None:
    assert simulate(scenarios.passes(7, 10), 8).t_us.tobytes() != passes.t_us.tobytes()


def test_reads_are_in_order_and_within_what_readers_say(passes: Simulated) -> None:
    assert np.all(np.diff(passes.t_us) >= 0)
    assert set(np.unique(passes.antenna)) == {1, 2, 3, 4}
    assert passes.rssi_dbm.min() >= -86
    assert np.all(passes.rssi_dbm * 2 == np.rint(passes.rssi_dbm * 2))
    assert passes.phase_rad.min() >= 0
    assert passes.phase_rad.max() < 2 * np.pi


def test_a_dense_reader_reads_most_tags_24_times_a_pass(passes: Simulated) -> None:
    assert np.median(reads_in_truths(passes)) >= 24


def test_a_sparse_reader_reads_as_often_as_the_recorded_one() -> None:
    sparse = simulate(scenarios.passes(7, 20, reader=scenarios.SPARSE), 7)
    assert 3 <= np.median(reads_in_truths(sparse)) <= 8
