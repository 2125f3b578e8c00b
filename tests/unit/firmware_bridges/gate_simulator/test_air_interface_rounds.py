"""Rounds of slotted ALOHA, sessions and flags behave as Gen2 readers do."""

import numpy as np
import pytest

from firmware_bridges.gate_simulator.air_interface import Dwells, Inventory, LinkTiming, Rounds, singulate
from firmware_bridges.gate_simulator.propagation import Floats, Integers


def inventoried(
    inventory: Inventory, tags: int, dwells: int, dwell_s: float = 0.06, persistence_s: float = 1.6
) -> tuple[Floats, Integers, Integers]:
    """(times, tag, dwell) of all reads of tags that always hear."""
    starts = np.arange(dwells) * dwell_s
    nothing = np.zeros(dwells, dtype=np.int64)
    rounds = Rounds(inventory, np.full(tags, persistence_s), np.random.default_rng(3))
    lit = np.ones((dwells, tags), dtype=bool)
    return rounds.run(Dwells(starts, starts + dwell_s, nothing, nothing), 1, lit, np.arange(tags))


@pytest.mark.parametrize(("answers", "efficiency"), [(64, 0.195), (256, 0.368), (1024, 0.073)])
def test_slotted_aloha_is_best_with_as_many_slots_as_answers(answers: int, efficiency: float) -> None:
    random = np.random.default_rng(1)
    read = [singulate(np.bincount(random.integers(0, 256, answers), minlength=256))[1] for _ in range(400)]
    assert np.mean(read) / 256 == pytest.approx(efficiency, abs=0.01)  # (n/L) e^(−n/L), 1/e at its peak


def test_a_long_visit_reads_every_tag_once_in_about_e_slots_each() -> None:
    inventory = Inventory(session=2, first_q=8)
    times, tag, _ = inventoried(inventory, tags=200, dwells=1, dwell_s=10.0)
    assert sorted(tag.tolist()) == list(range(200))
    timing = inventory.timing
    least_s = 200 * timing.read_s
    assert least_s < times.max() < least_s + 200 * 2.5 * timing.collision_s


def test_session_0_reads_a_tag_once_a_visit() -> None:
    _, tag, dwell = inventoried(Inventory(session=0), tags=6, dwells=50)
    pairs = set(zip(tag.tolist(), dwell.tolist(), strict=True))
    assert len(pairs) == len(tag)
    assert len(tag) > 0.95 * 6 * 50


def test_session_1_is_silent_for_as_long_as_the_flag_persists() -> None:
    times, tag, _ = inventoried(Inventory(session=1), tags=6, dwells=200)
    gaps = np.concatenate([np.diff(np.sort(times[tag == number])) for number in range(6)])
    assert gaps.min() >= 1.6
    assert gaps.max() < 1.75


def test_two_targets_read_a_tag_many_times_a_visit_and_one_target_once() -> None:
    _, once, _ = inventoried(Inventory(session=2, target="single"), tags=5, dwells=20)
    _, often, _ = inventoried(Inventory(session=2, target="dual"), tags=5, dwells=20)
    assert len(once) == 5
    assert len(often) > 20 * 5


@pytest.mark.parametrize(
    ("timing", "least", "most"),
    [
        (LinkTiming(6.25, 640.0, 1), 400, 1100),  # FM0 at 640 kHz; makers say 700 to 1,100
        (LinkTiming(20.0, 250.0, 4), 80, 250),  # dense-reader mode
        (LinkTiming(25.0, 250.0, 8), 40, 120),
    ],
)
def test_read_rates_are_those_of_real_readers(timing: LinkTiming, least: int, most: int) -> None:
    times, _, _ = inventoried(Inventory(session=2, target="dual", first_q=6, timing=timing), tags=60, dwells=100)
    assert least <= len(times) / 6.0 <= most


def test_reads_fall_into_their_visits() -> None:
    times, _, dwell = inventoried(Inventory(session=0), tags=100, dwells=30)
    assert np.all(times > dwell * 0.06)
    assert np.all(times <= (dwell + 1) * 0.06 + 1e-9)
