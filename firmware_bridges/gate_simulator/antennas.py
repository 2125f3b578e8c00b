"""The gate: where its antennas hang and look, its reader's settings, its photo-eyes, the hall around it.

x runs along the way in metres, positive into the warehouse, 0 the door; y across; z up. Antennas 1 and 2
face the warehouse (inside), 3 and 4 the yard.
"""

from dataclasses import dataclass, field
from math import radians, sqrt
from typing import Final, Literal

from firmware_bridges.gate_simulator.air_interface import Inventory
from firmware_bridges.gate_simulator.propagation import Mirror

Side = Literal["inside", "outside"]

ETSI_MHZ: Final = (865.7, 866.3, 866.9, 867.5)  # ETSI EN 302 208, lower band, channels 4, 7, 10, 13
FCC_MHZ: Final = tuple(902.75 + 0.5 * step for step in range(50))  # FCC part 15.247: 50 channels of 500 kHz


@dataclass(frozen=True, slots=True)
class Antenna:
    """A circularly polarised patch at (x, y, z), looking along `aim` (any length but 0)."""

    side: Side
    at_m: tuple[float, float, float]
    aim: tuple[float, float, float]
    gain_dbic: float = 8.5
    beamwidth_rad: float = radians(67)

    @property
    def axis(self) -> tuple[float, float, float]:
        """`aim` as a unit vector."""
        length = sqrt(sum(part * part for part in self.aim))
        return (self.aim[0] / length, self.aim[1] / length, self.aim[2] / length)


def portal(
    apart_m: float = 0.5, beside_m: float = 1.6, away: float = 0.7, heights_m: tuple[float, float] = (0.9, 1.7)
) -> tuple[Antenna, ...]:
    """Two antennas a side at different heights, left and right of the way, in the order 1 … 4.

    apart_m  from the door's line to an antenna
    away     how much an antenna looks away from the door: 0 straight across, 1 as much as across
    """
    sides: tuple[tuple[Side, float], ...] = (("inside", 1.0), ("outside", -1.0))
    return tuple(
        Antenna(side, (sign * apart_m, beside_m * left, height), (sign * away, -left, 0.0))
        for side, sign in sides
        for left, height in zip((-1.0, 1.0), heights_m, strict=True)
    )


@dataclass(frozen=True, slots=True)
class Reader:
    """The reader's settings.

    power_dbm          at the plug, cable loss of `cable_db` comes off both ways. 27 dBm makes a field of some
                       4 m about the gate, as one would set it; the recorded shuttle runs had 30
    sensitivity_dbm    the answer that it decodes half of the time; modern readers −80 to −85
    dwell_s            on one antenna before the next; `dwell_jitter` is the spread of that, relative
    order              of visiting antennas (0-based)
    channels_mhz       hopped through in a random order, `hop_s` each
    rssi_noise_db      of one measurement, before rounding to `rssi_step_db`
    """

    power_dbm: float = 27.0
    cable_db: float = 1.0
    sensitivity_dbm: float = -82.0
    dwell_s: float = 0.06
    dwell_jitter: float = 0.1
    order: tuple[int, ...] = (0, 2, 1, 3)
    channels_mhz: tuple[float, ...] = ETSI_MHZ
    hop_s: float = 0.4
    rssi_noise_db: float = 0.5
    rssi_step_db: float = 0.5
    phase_noise_rad: float = 0.1
    inventory: Inventory = field(default_factory=Inventory)


@dataclass(frozen=True, slots=True)
class PhotoEye:
    """A beam across the way at `x_m`, wired to the reader's input `port` (1-based)."""

    port: int
    x_m: float


@dataclass(frozen=True, slots=True)
class Hall:
    """What stands around the gate.

    exponent     of path loss
    mirrors      floor, walls, a lorry at the dock
    diffuse_db   how much weaker than free space the sum of all further reflections arrives. Against a
                 patch's main beam that makes a Rician factor of 8.5 + 6 dB there and Rayleigh fading
                 beside and behind it
    shadow_db    standard deviation of shadowing by what stands about, one way
    shadow_m     distance over which it changes (Gudmundson, Electronics Letters 27(23), 1991: exponential
                 correlation; here a sum of waves of about that length)
    bustle       share of the diffuse field that flickers within bustle_s because something moves far off
    drift        share that changes within drift_s, as doors, goods and people's places do

    Noise of tags that stand, in the recorded runs (one antenna, median): two reads within 0.3 s differ by 0.65 to
    0.8 dB (root mean square over √2; half of it the reader's own noise and rounding), within 5 s by 0.9 to 1.25,
    within a minute by 1.3 to 1.9. The defaults make such a hall; quiet() one with 0.5 dB and no people.
    """

    exponent: float = 2.0
    mirrors: tuple[Mirror, ...] = (Mirror(2, 0.0, -0.35), Mirror(0, -7.0, -0.5), Mirror(1, 3.5, -0.4))
    diffuse_db: float = 6.0
    shadow_db: float = 2.0
    shadow_m: float = 1.0
    bustle: float = 0.1
    bustle_s: float = 1.2
    drift: float = 0.25
    drift_s: float = 25.0


def quiet() -> Hall:
    """A hall in which nothing else moves."""
    return Hall(bustle=0.03, drift=0.03)
