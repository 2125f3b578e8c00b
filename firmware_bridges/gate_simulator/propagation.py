"""How radio waves get from an antenna to a tag: the one-way channel, from which both ways follow.

All functions work on whole arrays; lengths in metres, gains linear unless `_db`, angles in radians. The
one-way channel h is a complex amplitude: |h|² is the power that an ideal isotropic tag would take from one
watt at the antenna's plug. A passive tag answers over the same channel, so that (monostatic reader,
reciprocity; Griffin & Durgin, "Complete link budgets for backscatter-radio and RFID systems", IEEE Antennas
and Propagation Magazine 51(2), 2009)

    power at the tag    P_tag = P_tx |h|²              falls 20 dB a decade of distance
    power at the reader P_rx  = P_tx |h|⁴ · losses     falls 40 dB a decade
    phase at the reader φ     = −2 arg h               turns once every λ/2
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
Complexes = npt.NDArray[np.complexfloating[Any, Any]]
Integers = npt.NDArray[np.int64]

LIGHT_M_S: Final = 299_792_458.0
DIPOLE_GAIN: Final = (
    1.64  # of a half-wave dipole across its axis (Balanis, "Antenna Theory", 4th ed., section 4.6)
)
DIPOLE_FLOOR: Final = 0.03  # the null of a real label is filled to some −15 dB by its bends and its goods
BEHIND: Final = 0.01  # a patch radiates some 20 dB less backwards than forwards (makers' data sheets)
NEAREST_M: Final = 0.15  # nearer than half a wave the far field's formulas mean nothing


def free_space(distance_m: Floats, wavelength_m: Floats | float) -> Floats:
    """Amplitude between isotropic antennas, λ/(4πd) (Friis, Proc. IRE 34(5), 1946)."""
    return wavelength_m / (4 * np.pi * np.maximum(distance_m, NEAREST_M))


def log_distance(distance_m: Floats, exponent: float) -> Floats:
    """What a path-loss exponent other than 2 adds beyond 1 m, as an amplitude (Rappaport, "Wireless
    Communications", 2nd ed., section 4.9.1)."""
    return np.maximum(distance_m, 1.0) ** (-(exponent - 2) / 2)


def cosine_order(beamwidth_rad: float) -> float:
    """n of the pattern cosⁿ whose power falls by half at half the beamwidth: ln ½ / ln cos(θ/2).

    Balanis, section 2.6: such a beam has the directivity 2(n + 1), 9.8 dBi at 67°; data sheets of patches of
    that width say 8.5 to 9 dBic.
    """
    return float(np.log(0.5) / np.log(np.cos(beamwidth_rad / 2)))


def patch_pattern(cosine: Floats, order: Floats | float) -> Floats:
    """Power pattern of a patch in a direction `cosine` off its axis, 1 on it and BEHIND at its back."""
    return np.maximum(np.maximum(cosine, 0.0) ** order, BEHIND)


def dipole_gain(cosine: Floats) -> Floats:
    """Power gain of a tag's dipole in a direction `cosine` off its axis: 1.64 sin², never quite nothing."""
    return DIPOLE_GAIN * np.maximum(1 - cosine**2, DIPOLE_FLOOR)


@dataclass(frozen=True, slots=True)
class Mirror:
    """A plane that reflects: `axis` 0, 1, 2 for x, y, z, at `at_m`, with the amplitude `coefficient`.

    Image theory (Rappaport, section 4.6, two-ray model, for the floor). Concrete reflects 0.3 to 0.5 of a
    circular wave's amplitude at the angles of a gate, a metal lorry or door 0.6 to 0.9.
    """

    axis: int
    at_m: float
    coefficient: float


def chord(tag: tuple[Floats, ...], antenna: tuple[Floats, ...], box: "Box") -> Floats:
    """Length in metres of the way from tag to antenna that lies within `box` (the slab method).

    Arrays of any shapes that fit each other. A tag inside of the box counts from the tag on.
    """
    enters: Floats | float = 0.0
    leaves: Floats | float = 1.0
    length: Floats | float = 0.0
    for start, end, low, high in zip(tag, antenna, box.low, box.high, strict=True):
        way = end - start
        way = np.where(np.abs(way) < 1e-9, 1e-9, way)
        one, other = (low - start) / way, (high - start) / way
        enters = np.maximum(enters, np.minimum(one, other))
        leaves = np.minimum(leaves, np.maximum(one, other))
        length = length + way**2
    return np.maximum(leaves - enters, 0.0) * np.sqrt(length)


@dataclass(frozen=True, slots=True)
class Box:
    """Something solid, its edges along the axes; corners may move with time, as arrays."""

    low: tuple[Floats | float, Floats | float, Floats | float]
    high: tuple[Floats | float, Floats | float, Floats | float]
    loss_db_m: float  # one way through it
    most_db: float  # waves bend around it: no more than this is lost


def through_db(tag: tuple[Floats, ...], antenna: tuple[Floats, ...], box: Box) -> Floats:
    """Decibels that a box takes from the direct way."""
    return np.minimum(chord(tag, antenna, box) * box.loss_db_m, box.most_db)


def person_db(tag: tuple[Floats, ...], antenna: tuple[Floats, ...], x: Floats, y: Floats) -> Floats:
    """Decibels that a person standing at (x, y) takes from the direct way, one way.

    Up to 8 dB in the line and nearly none half a metre beside it, as measured at UHF links crossed by
    people (e.g. Rappaport, section 4.12: body shadowing 6 to 10 dB).
    """
    way_x, way_y = antenna[0] - tag[0], antenna[1] - tag[1]
    square = np.maximum(way_x**2 + way_y**2, 1e-6)
    along = np.clip(((x - tag[0]) * way_x + (y - tag[1]) * way_y) / square, 0.0, 1.0)
    beside2 = (tag[0] + along * way_x - x) ** 2 + (tag[1] + along * way_y - y) ** 2
    return 8.0 * np.exp(-beside2 / 0.3**2)


def scattered(to_tag_m: Floats, to_antenna_m: Floats, wave_number: Floats, section_m2: float) -> Complexes:
    """Wave that comes by way of a moving body, isotropic ends: the bistatic radar equation's amplitude.

    λ/(4π) · √(σ/4π) / (d₁ d₂) e^(−jk(d₁+d₂)) (Skolnik, "Introduction to Radar Systems", 3rd ed., section
    1.2). A person's section is about 0.5 m² at UHF, a forklift's several.
    """
    first, second = np.maximum(to_tag_m, 0.5), np.maximum(to_antenna_m, 0.5)
    amplitude = float(np.sqrt(section_m2 / (4 * np.pi)) / 2) / (wave_number * first * second)
    turn = wave_number * (to_tag_m + to_antenna_m)
    return np.asarray(amplitude * np.cos(turn) - 1j * (amplitude * np.sin(turn)))
