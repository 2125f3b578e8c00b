"""What the catalogue's worlds say is true agrees with the ways that goods take in them."""

from collections.abc import Callable

import numpy as np
import pytest

from firmware_bridges.gate_simulator import scenarios
from firmware_bridges.gate_simulator.simulation import simulate, stream
from firmware_bridges.gate_simulator.world import US, World, truths_of

CROSSING = {"in", "out"}


def second(world: World, at_us: int) -> float:
    return (at_us - world.starts_us) / US


@pytest.mark.parametrize("name", sorted(scenarios.CATALOGUE))
def test_every_tag_has_truths_that_fit_its_way(name: str) -> None:
    world = scenarios.CATALOGUE[name](5, 6)
    owner = np.repeat(np.arange(len(world.loads)), [load.tags for load in world.loads])
    truths = truths_of(world)
    assert {truth.tag for truth in truths} == set(range(world.tags))
    for truth in truths:
        way = world.loads[owner[truth.tag]].way
        from_s, to_s = second(world, truth.from_us), second(world, truth.to_us)
        start, end = (float(way.at(np.array(at))[0]) for at in (from_s + 1e-5, to_s - 1e-5))
        if truth.truth in CROSSING:
            assert truth.crossed_at_us is not None
            assert truth.from_us < truth.crossed_at_us < truth.to_us
            assert (start < 0 < end) if truth.truth == "in" else (end < 0 < start)
        else:
            assert truth.crossed_at_us is None
            assert start * end > 0


@pytest.mark.parametrize(
    ("make", "reaches_m"), [(scenarios.near, (0.7, 3.2)), (scenarios.turn_backs, (-2.6, -0.7))]
)
def test_how_far_goods_come_that_do_not_cross(
    make: Callable[[int, int], World], reaches_m: tuple[float, float]
) -> None:
    low, high = reaches_m
    for load in make(2, 20).loads:
        side = np.sign(load.way.x_m[0])
        assert low <= (side * load.way.x_m).min() <= high


def test_the_door_eye_sees_each_pass_and_no_near_one() -> None:
    passing = simulate(scenarios.passes(4, 5), 4)
    crossed = sorted({truth.crossed_at_us for truth in passing.truths if truth.crossed_at_us})
    door = [event for event in passing.eyes if event[1] == scenarios.DOOR_PORT]
    broken = [event for event in door if event[2]]
    assert [event[2] for event in door] == [True, False] * len(broken)
    for at_us in crossed:
        assert any(abs(at_us - eye_us) < 3 * US for eye_us, _, _ in broken)
    assert simulate(scenarios.near(4, 5), 4).eyes == []


def test_of_two_eyes_the_one_on_the_side_it_comes_from_is_broken_first() -> None:
    passing = simulate(scenarios.passes(9, 8), 9)
    two = [event for event in passing.eyes if event[1] != scenarios.DOOR_PORT]
    for group in sorted({truth.group for truth in passing.truths}):
        (truth,) = {(one.truth, one.from_us, one.to_us) for one in passing.truths if one.group == group}
        first = next(port for at_us, port, _ in two if truth[1] < at_us < truth[2])
        assert first == (scenarios.OUTSIDE_PORT if truth[0] == "in" else scenarios.INSIDE_PORT)


def test_a_long_stand_comes_in_stretches_of_bounded_size() -> None:
    world = scenarios.parked(3, tags=60, hours=0.1)
    parts = list(stream(world, 3))
    whole = simulate(world, 3)
    assert len(parts) >= 12
    assert max(map(len, parts)) < 40 * 250  # seconds of a stretch × the most reads a second
    assert sum(map(len, parts)) == len(whole)
    assert np.array_equal(np.concatenate([part.t_us for part in parts]), whole.t_us)


def test_a_reader_that_hops_uses_all_its_channels() -> None:
    american = simulate(scenarios.passes(1, 6, reader=scenarios.AMERICAN), 1)
    assert len(np.unique(american.channel)) == 50


def test_forklifts_that_cross_are_both_in_the_door_within_some_seconds() -> None:
    world = scenarios.crossing_forklifts(6, 5)
    crossed = [[], []]
    for truth in truths_of(world):
        crossed[truth.truth == "in"].append(truth.crossed_at_us)
    assert crossed[0]
    for inwards in crossed[1]:
        assert min(abs(inwards - outwards) for outwards in crossed[0]) < 4 * US
