"""The channel between every antenna and every tag at any time: propagation applied to a world.

A channel is the sum of the direct wave, one wave for each mirror, a diffuse field, and one wave for each moving
body. The direct and mirrored waves lose what stands in the way: the tag's own stack, other stacks, people. The
diffuse field is a sum of plane waves (Clarke, Bell System Technical Journal 47, 1968), so a moving tag sees it
change every λ/2 while one that stands sees it constant but for the share that flickers (Hall.bustle).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from firmware_bridges.gate_simulator.antennas import Hall
from firmware_bridges.gate_simulator.propagation import (
    LIGHT_M_S,
    Box,
    Complexes,
    Floats,
    Integers,
    cosine_order,
    dipole_gain,
    free_space,
    log_distance,
    patch_pattern,
    person_db,
    scattered,
    through_db,
)
from firmware_bridges.gate_simulator.world import Walker, World

WAVES: Final = 7  # plane waves of the diffuse field
SHADOWS: Final = 5  # waves of the shadowing field
DIFFUSE_MOST_M: Final = 40.0  # longest detour of a diffuse wave, which makes channels differ
TAG_SENSITIVITY_DBM: Final = -20.0  # today's chips −18 to −24, older ones −15; here with the label's own losses
TAG_SENSITIVITY_SPREAD_DB: Final = 1.0
POLARISATION_DB: Final = 3.0  # circular to linear, each way
MODULATION_DB: Final = 6.0  # power that a tag sends back of what it takes (Griffin & Durgin: 3 to 6 dB and more)
MOST_BURIED_DB: Final = 15.0


@dataclass(frozen=True, slots=True)
class Tags:
    """What is constant of each tag; all [N] or as said."""

    axis: Floats  # [N, 3] of the dipole
    detuning_db: Floats
    sensitivity_dbm: Floats
    buried_db: Floats  # what the diffuse field loses on its way into the stack
    waves: Floats  # [N, WAVES, 3] unit vectors
    wave_phase: Floats  # [N, A, WAVES]
    wave_detour_m: Floats  # [N, A, WAVES]
    phase: Floats  # [N] of its reflection
    persistence_s: Floats  # of the inventoried flag of session 1
    load: Integers  # [N] number of its load
    offset_m: Floats  # [N, 3]


def draw_tags(world: World, random: np.random.Generator) -> Tags:
    """Throw the dice for every tag."""
    many, antennas = world.tags, len(world.antennas)
    # Labels hang upright or lie along a face, more or less straight.
    axis = np.eye(3)[random.choice([1, 2, 0], many, p=[0.45, 0.35, 0.2])] + 0.25 * random.standard_normal(
        (many, 3)
    )
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    waves = random.standard_normal((many, WAVES, 3)) * np.array([1.0, 1.0, 0.4])
    waves /= np.linalg.norm(waves, axis=2, keepdims=True)
    load = np.repeat(np.arange(len(world.loads)), [load.tags for load in world.loads])
    offsets = [load.offsets_m for load in world.loads]
    detuning = np.array([world.loads[number].material.detuning_db for number in load])
    return Tags(
        axis=axis,
        detuning_db=np.maximum(detuning * (1 + random.standard_normal(many) / 3), 0.0),
        sensitivity_dbm=TAG_SENSITIVITY_DBM + TAG_SENSITIVITY_SPREAD_DB * random.standard_normal(many),
        buried_db=_buried_db(world),
        waves=waves,
        wave_phase=random.uniform(0, 2 * np.pi, (many, antennas, WAVES)),
        wave_detour_m=random.uniform(2.0, DIFFUSE_MOST_M, (many, antennas, WAVES)),
        phase=random.uniform(0, 2 * np.pi, many),
        persistence_s=np.clip(np.exp(random.normal(np.log(1.6), 0.25, many)), 0.5, 5.0),
        load=load,
        offset_m=np.concatenate(offsets) if offsets else np.empty((0, 3)),
    )


def _buried_db(world: World) -> Floats:
    parts = []
    for load in world.loads:
        size = np.array(load.size_m)
        middle = np.array([0.0, 0.0, load.base_m + size[2] / 2])
        depth = np.clip(np.min(size / 2 - np.abs(load.offsets_m - middle), axis=1), 0.0, None)
        parts.append(np.minimum(depth * load.material.loss_db_m, MOST_BURIED_DB))
    return np.concatenate(parts) if parts else np.empty(0)


@dataclass(frozen=True, slots=True)
class Gate:
    """The antennas as arrays [A], and the shadowing field that stands around them."""

    at_m: Floats  # [A, 3]
    axis: Floats  # [A, 3]
    gain: Floats
    order: Floats  # of the pattern
    phase: Floats  # [A, C] of cable and channel
    shadow_wave: Floats  # [A, SHADOWS, 3] radians a metre
    shadow_phase: Floats  # [A, SHADOWS]


def draw_gate(world: World, random: np.random.Generator) -> Gate:
    """Throw the dice for the gate."""
    antennas = world.antennas
    many = len(antennas)
    waves = random.standard_normal((many, SHADOWS, 3))
    waves /= np.linalg.norm(waves, axis=2, keepdims=True)
    lengths = random.uniform(2.0, 6.0, (many, SHADOWS, 1)) * world.hall.shadow_m
    return Gate(
        at_m=np.array([antenna.at_m for antenna in antennas]),
        axis=np.array([antenna.axis for antenna in antennas]),
        gain=np.array([10 ** (antenna.gain_dbic / 10) for antenna in antennas]),
        order=np.array([cosine_order(antenna.beamwidth_rad) for antenna in antennas]),
        phase=random.uniform(0, 2 * np.pi, (many, len(world.reader.channels_mhz))),
        shadow_wave=waves * 2 * np.pi / lengths,
        shadow_phase=random.uniform(0, 2 * np.pi, (many, SHADOWS)),
    )


Point = tuple[Floats, Floats, Floats]


def waves_to(
    hall: Hall,
    gate: Gate,
    tags: Tags,
    antenna: Integers,
    tag: Integers,
    at: Point,
    wave_number: Floats,
    boxes: list[Box],
) -> tuple[Complexes, Complexes]:
    """(direct and mirrored, diffuse) amplitudes of the one-way channel; all arrays fit each other.

    `boxes` stand in the direct way. Polarisation and the tag's detuning come later, in decibels.
    """
    wavelength = 2 * np.pi / wave_number
    axis = tags.axis[tag]
    from_ = (gate.at_m[antenna, 0], gate.at_m[antenna, 1], gate.at_m[antenna, 2])
    aim, gain, order = gate.axis[antenna], gate.gain[antenna], gate.order[antenna]

    def arriving(point: Point, dipole: bool) -> tuple[Complexes, Floats]:
        way = (point[0] - from_[0], point[1] - from_[1], point[2] - from_[2])
        distance = np.sqrt(way[0] ** 2 + way[1] ** 2 + way[2] ** 2)
        reach = np.maximum(distance, 1e-6)
        off_axis = (way[0] * aim[..., 0] + way[1] * aim[..., 1] + way[2] * aim[..., 2]) / reach
        power = gain * patch_pattern(off_axis, order)
        if dipole:
            power = power * dipole_gain(
                (way[0] * axis[..., 0] + way[1] * axis[..., 1] + way[2] * axis[..., 2]) / reach
            )
        amplitude = np.sqrt(power) * free_space(distance, wavelength) * log_distance(distance, hall.exponent)
        return amplitude * np.exp(-1j * wave_number * distance), distance

    direct, distance = arriving(at, dipole=True)
    loss_db = _shadow_db(hall, gate, antenna, at)
    for box in boxes:
        loss_db = loss_db + through_db(at, from_, box)
    line = direct * 10 ** (-loss_db / 20)
    buried = 10 ** (-tags.buried_db[tag] / 20)
    for mirror in hall.mirrors:
        image = list(at)
        image[mirror.axis] = 2 * mirror.at_m - image[mirror.axis]
        line = line + mirror.coefficient * buried * arriving((image[0], image[1], image[2]), dipole=False)[0]
    level = diffuse_level(hall, distance, wave_number) * buried
    field = np.zeros(np.shape(distance), dtype=complex)
    for wave in range(WAVES):
        toward = tags.waves[tag, wave]
        along = toward[..., 0] * at[0] + toward[..., 1] * at[1] + toward[..., 2] * at[2]
        detour = tags.wave_detour_m[tag, antenna, wave]
        field = field + np.exp(1j * (tags.wave_phase[tag, antenna, wave] - wave_number * (along + detour)))
    return line, level * field / np.sqrt(WAVES)


def diffuse_level(hall: Hall, distance: Floats, wave_number: Floats) -> Floats:
    """Amplitude of the diffuse field at some distance."""
    return free_space(distance, 2 * np.pi / wave_number) * 10 ** (-hall.diffuse_db / 20)


def _shadow_db(hall: Hall, gate: Gate, antenna: Integers, at: Point) -> Floats:
    total: Floats | float = 0.0
    for wave in range(SHADOWS):
        turn = gate.shadow_wave[antenna, wave]
        total = total + np.cos(
            turn[..., 0] * at[0] + turn[..., 1] * at[1] + turn[..., 2] * at[2] + gate.shadow_phase[antenna, wave]
        )
    return hall.shadow_db * np.sqrt(2 / SHADOWS) * np.asarray(total, dtype=float)


def by_walker(
    gate: Gate, walker: Walker, times_s: Floats, antenna: Integers, at: Point, wave_number: Floats
) -> tuple[Floats, Complexes]:
    """(decibels taken from the direct wave, wave that comes by way of the body)."""
    # Single precision: a hundredth of a radian at 100 m, and twice as fast on what takes most of the time.
    x, y = (one.astype(np.float32) for one in walker.way.at(times_s))
    tag_x, tag_y, tag_z = (one.astype(np.float32) for one in at)
    from_x, from_y, from_z = (gate.at_m[antenna, axis].astype(np.float32) for axis in range(3))
    to_tag = np.sqrt((tag_x - x) ** 2 + (tag_y - y) ** 2 + np.float32(0.1))
    to_antenna = np.sqrt((from_x - x) ** 2 + (from_y - y) ** 2 + np.float32(0.1))
    taken_db = person_db((tag_x, tag_y, tag_z), (from_x, from_y, from_z), x, y)
    return taken_db, scattered(to_tag, to_antenna, wave_number.astype(np.float32), walker.section_m2)


def wave_numbers(channels_mhz: tuple[float, ...]) -> Floats:
    """2π/λ of each channel."""
    return 2 * np.pi * np.array(channels_mhz) * 1e6 / LIGHT_M_S
