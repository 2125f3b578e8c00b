"""The simulator's waves obey the laws that its docstrings name."""

from dataclasses import replace

import numpy as np
import pytest

from firmware_bridges.gate_simulator import propagation
from firmware_bridges.gate_simulator.antennas import Antenna, Hall, Reader, quiet
from firmware_bridges.gate_simulator.field_of_tags import draw_gate, draw_tags, wave_numbers, waves_to
from firmware_bridges.gate_simulator.motion import standing
from firmware_bridges.gate_simulator.propagation import Box, Complexes, Floats, Mirror
from firmware_bridges.gate_simulator.simulation import simulate
from firmware_bridges.gate_simulator.world import CARDBOARD, Load, World

MHZ = 866.3
WAVELENGTH_M = propagation.LIGHT_M_S / (MHZ * 1e6)
BARE = Hall(mirrors=(), diffuse_db=200.0, shadow_db=0.0, bustle=0.0, drift=0.0)


def one_way(distances_m: Floats, hall: Hall = BARE, seed: int = 0) -> Complexes:
    """The channel to one tag at some distances before one antenna."""
    antenna = Antenna("inside", (0.0, 0.0, 1.0), (1.0, 0.0, 0.0))
    offsets = np.array([[0.0, 0.0, 1.0]])
    load = Load("one", standing(1.0, 0.0, 0.0, 1.0), offsets, (0.1, 0.1, 0.1), CARDBOARD, ())
    world = World(1.0, (load,), antennas=(antenna,), hall=hall)
    random = np.random.default_rng(seed)
    gate, tags = draw_gate(world, random), draw_tags(world, random)
    zeros = np.zeros(len(distances_m), dtype=np.int64)
    at = (distances_m, np.zeros(len(distances_m)), np.ones(len(distances_m)))
    tags = replace(tags, axis=np.array([[0.0, 0.0, 1.0]]), buried_db=np.zeros(1))
    line, diffuse = waves_to(hall, gate, tags, zeros, zeros, at, wave_numbers((MHZ,))[zeros], [])
    return line + diffuse


def test_the_answer_falls_40_db_a_decade_of_distance() -> None:
    near, far = np.abs(one_way(np.array([1.0, 10.0])))
    assert 40 * np.log10(near / far) == pytest.approx(40.0, abs=1e-6)


def test_a_larger_path_loss_exponent_makes_it_fall_faster() -> None:
    near, far = np.abs(one_way(np.array([1.0, 10.0]), replace(BARE, exponent=2.5)))
    assert 40 * np.log10(near / far) == pytest.approx(50.0, abs=1e-6)


def test_the_link_budget_is_that_of_friis() -> None:
    (h,) = np.abs(one_way(np.array([3.0])))
    expected_db = 8.5 + 10 * np.log10(1.64) + 20 * np.log10(WAVELENGTH_M / (4 * np.pi * 3.0))
    assert 20 * np.log10(h) == pytest.approx(expected_db, abs=1e-6)


def test_the_phase_turns_once_every_half_wave() -> None:
    start, quarter, half = -2 * np.angle(one_way(2.0 + WAVELENGTH_M * np.array([0.0, 0.25, 0.5])))
    assert np.exp(1j * (half - start)) == pytest.approx(1.0, abs=1e-6)
    assert np.exp(1j * (quarter - start)) == pytest.approx(-1.0, abs=1e-6)


def test_a_patch_has_half_its_power_at_half_its_beamwidth() -> None:
    order = propagation.cosine_order(np.radians(67))
    axis, edge, back = propagation.patch_pattern(np.cos(np.radians([0.0, 33.5, 180.0])), order)
    assert (axis, edge, back) == pytest.approx((1.0, 0.5, propagation.BEHIND))


def test_a_floor_makes_maxima_and_minima_along_the_way() -> None:
    floor = replace(BARE, mirrors=(Mirror(2, 0.0, -0.35),))
    distances = np.linspace(1.0, 8.0, 400)
    ratio_db = 20 * np.log10(np.abs(one_way(distances, floor)) / np.abs(one_way(distances)))
    assert ratio_db.max() > 0.5
    assert ratio_db.min() < -0.5
    assert np.abs(ratio_db).max() < 20 * np.log10(1 / (1 - 0.35)) + 1


def test_fading_changes_within_half_a_wave_and_less_within_a_twentieth() -> None:
    hall = replace(BARE, diffuse_db=0.0)
    steps = 3.0 + np.linspace(0.0, 3.0, 3000)
    changes = []
    for lag_m in (WAVELENGTH_M / 20, WAVELENGTH_M / 2):
        pairs = [np.abs(one_way(steps + shift, hall, seed)) for seed in range(8) for shift in (0.0, lag_m)]
        db = 20 * np.log10(np.array(pairs))
        changes.append(float(np.sqrt(np.mean((db[::2] - db[1::2]) ** 2))))
    assert changes[1] > 2 * changes[0]


def test_the_way_through_a_box_is_its_chord() -> None:
    box = Box((0.0, -0.5, 0.0), (1.0, 0.5, 1.0), loss_db_m=10.0, most_db=6.0)
    across = propagation.chord(
        (np.array(-1.0), np.array(0.0), np.array(0.5)), (np.array(3.0), *(np.array(v) for v in (0.0, 0.5))), box
    )
    beside = propagation.chord(
        (np.array(-1.0), np.array(2.0), np.array(0.5)), (np.array(3.0), np.array(2.0), np.array(0.5)), box
    )
    within = propagation.chord(
        (np.array(0.25), np.array(0.0), np.array(0.5)), (np.array(3.0), np.array(0.0), np.array(0.5)), box
    )
    assert (float(across), float(beside), float(within)) == pytest.approx((1.0, 0.0, 0.75))
    lost = propagation.through_db(
        (np.array(-1.0), np.array(0.0), np.array(0.5)), (np.array(3.0), np.array(0.0), np.array(0.5)), box
    )
    assert float(lost) == 6.0


def test_a_person_in_the_line_takes_more_than_one_beside_it() -> None:
    tag, antenna = (np.array(0.0), np.array(0.0), np.array(1.0)), (np.array(4.0), np.array(0.0), np.array(1.0))
    taken = [float(propagation.person_db(tag, antenna, np.array(2.0), np.array(y))) for y in (0.0, 0.3, 1.0)]
    assert taken[0] == pytest.approx(8.0)
    assert taken[0] > taken[1] > taken[2]
    assert taken[2] < 0.1


def noise_db(hall: Hall) -> float:
    """Median over tags and antennas of the standard deviation of RSSI; one channel, for hopping is no noise."""
    random = np.random.default_rng(5)
    loads = []
    for number in range(12):
        way = standing(float(random.choice([-2.5, 2.5])), float(random.uniform(-3, 3)), 0.0, 200.0)
        loads.append(Load(f"{number}", way, random.uniform(0.3, 1.5, (3, 3)), (0.6, 0.6, 1.2), CARDBOARD, ()))
    world = World(120.0, tuple(loads), hall=hall, reader=Reader(channels_mhz=(MHZ,)))
    read = simulate(world, 11)
    spreads = [
        float(read.rssi_dbm[here].std())
        for tag in range(36)
        for antenna in (1, 2, 3, 4)
        if (here := (read.tag == tag) & (read.antenna == antenna)).sum() > 50
    ]
    return float(np.median(spreads))


def test_tags_that_stand_are_as_restless_as_in_recordings() -> None:
    assert 0.3 <= noise_db(quiet()) <= 0.75
    assert 0.75 < noise_db(Hall()) <= 2.0
