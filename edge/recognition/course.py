"""How a tag's signal went during one visit: envelopes, their rises, the order of the sides, phase.

Per side, the RSSI in time is smoothed by a Gaussian mean to an envelope; its rise (highest − lowest)
tells a tag that moved from one that stands. Between the sides, the order statistic

    U = Σ over reads i outside, j inside of  w_i w_j [t_i < t_j]  (½ on ties)  /  (Σ w_i · Σ w_j)

weighs every pair of reads by received power: 1 when all of the outside came first, 0 when all of the
inside did, ½ when neither can be told (the recipe's step 5; a power-weighted Mann-Whitney statistic).

Phase. The RF phase of a tag at distance d turns by 4πd/λ (backscatter goes there and back), so the
concentration of the phases (1 − circular variance; Mardia and Jupp, Directional Statistics, section 2.3.1),
antenna by antenna and channel by channel, is near 1 for a tag that stands, however its RSSI flickers, and
near 0 for one that moved by more than λ/4.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import log
from typing import Final

import numpy as np

from edge.readings import AntennaEvidence, Side
from edge.recognition.columns import ANTENNA_BIT, NO_PHASE, PHASE_STEPS, Bools, Floats, Reads
from edge.recognition.gate import US, GateSettings

FEWEST_FOR_RISE = 3  # reads; two points are a difference, not an envelope (recipe, step 3)
FEWEST_FOR_PHASE = 3  # reads beyond the first of each channel before an antenna's stillness is told
FEWEST_AT_AN_END = 3  # reads; one stray among them is outvoted
STILL_US = 5_000_000  # around the crossing: a tag that rested before and rolled then moved within this
COURSE_POINTS = 16  # of an antenna's envelope kept as evidence
MOST_COURSES = 8  # antennas with a course kept as evidence, those with the most reads
FEW: Final = 64  # reads whose envelopes are found together, by one matrix; with more of them that costs more

_PHASORS: Final = np.exp(2j * np.pi * np.arange(PHASE_STEPS) / PHASE_STEPS)  # of every phase that is kept
_POWER_OF_DB: Final = log(10) / 10  # natural logarithm of the power ratio that is 1 dB
RISE_DIGITS: Final = 12  # of a rise in dB: readers tell halves, limits are whole, last bits shall not choose
_EVEN_DB: Final = 1e-6  # values so close are one: the sums' last bits shall not choose the peak of an even signal
_WEIGHTLESS: Final = 40.0  # widths from which on a Gaussian weight is 0 as a float


@dataclass(frozen=True, slots=True, eq=False)
class SideCourse:
    """One side's view of a visit; its times count from the visit's first read, None where it has no reads.

    peak_s      of the envelope
    centroid_s  mean time of the reads, weighted by received power
    """

    reads: int
    rise_db: float
    peak_s: float | None
    centroid_s: float | None


_UNSEEN: Final = SideCourse(0, 0.0, None, None)


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """A visit's signal; see above.

    seen        how many reads there were, the thinned ones included
    order       U
    crossing_s  mean of the two sides' energy centroids, else the centroid of the side that saw it
    begins, ends  the inside's share of the amplitude of the first and of the last fifth of the reads
    """

    reads: Reads
    seen: int
    zero_us: int
    outside: SideCourse
    inside: SideCourse
    order: float
    crossing_s: float
    begins: float
    ends: float
    stronger_db: float
    weaker_db: float
    crossed_at_us: int

    def goes(self, inward: bool, share: float) -> bool:
        """Whether it began on the side it came from and ended on the other, by that share of reads."""
        begins, ends = (self.begins, self.ends) if inward else (1 - self.begins, 1 - self.ends)
        return begins <= 1 - share and ends >= share

    @property
    def clarity(self) -> float:
        """max(U, 1 − U): ½ when the order cannot be told, 1 when it is plain."""
        return max(self.order, 1 - self.order)

    def at_us(self, seconds: float) -> int:
        """`seconds` after the visit's first read."""
        return self.zero_us + round(seconds * US)


def follow(reads: Reads, seen: int, gate: GateSettings) -> Course:
    """The course of the reads of one visit; there must be one at least."""
    rssi_dbm, is_inside = reads.rssi_dbm, reads.inside
    zero_us = int(reads.times_us[0])
    times_s = (reads.times_us - zero_us) / US
    power = np.exp(
        (rssi_dbm - np.maximum.reduce(rssi_dbm)) * _POWER_OF_DB
    )  # relative to the strongest read, 0 … 1
    by_side = np.concatenate(((~is_inside).nonzero()[0], is_inside.nonzero()[0]))
    split = len(reads) - int(np.count_nonzero(is_inside))
    outside, inside, order = _sides(times_s[by_side], rssi_dbm[by_side], power[by_side], split, gate)
    if outside.centroid_s is not None and inside.centroid_s is not None:
        crossing_s = (outside.centroid_s + inside.centroid_s) / 2
    else:
        crossing_s = (outside if inside.centroid_s is None else inside).centroid_s or 0.0
    fifth = max(FEWEST_AT_AN_END, len(reads) // 5)
    return Course(
        reads,
        seen,
        zero_us,
        outside,
        inside,
        order=order,
        crossing_s=crossing_s,
        begins=_share_inside(power[:fifth], is_inside[:fifth]),
        ends=_share_inside(power[-fifth:], is_inside[-fifth:]),
        stronger_db=max(outside.rise_db, inside.rise_db),
        weaker_db=min(outside.rise_db, inside.rise_db),
        crossed_at_us=zero_us + round(crossing_s * US),
    )


def stillness(course: Course, gate: GateSettings) -> float | None:
    """Concentration of the phases around the crossing, 1 when it stood; None without enough of them."""
    at_us = course.crossed_at_us
    return _stillness(course.reads.between(at_us - STILL_US, at_us + STILL_US), gate.still_reads)


def envelope(times_s: Floats, rssi_dbm: Floats, width_s: float) -> Floats:
    """The Gaussian mean of the RSSI at each read's time."""
    apart_s = times_s[:, None] - times_s
    weights = np.exp(apart_s * apart_s * (-0.5 / (width_s * width_s)))
    smoothed: Floats = weights @ rssi_dbm / np.add.reduce(weights, 1)
    return smoothed


def envelopes(times_s: Floats, rssi_dbm: Floats, begins: Sequence[int], width_s: float) -> Floats:
    """The envelopes of several series, one after the other as the series are; `begins` is where each begins."""
    if len(begins) == 1:
        return envelope(times_s, rssi_dbm, width_s)
    if len(times_s) > FEW:
        ends = (*begins[1:], len(times_s))
        return np.concatenate(
            [envelope(times_s[a:b], rssi_dbm[a:b], width_s) for a, b in zip(begins, ends, strict=True)]
        )
    apart_s = float(np.maximum.reduce(times_s)) + _WEIGHTLESS * width_s
    shifted_s = times_s.copy()
    for begin in begins[1:]:
        shifted_s[begin:] += apart_s  # so that no read weighs anything in another series
    return envelope(shifted_s, rssi_dbm, width_s)


def antennas_of(course: Course, gate: GateSettings) -> tuple[AntennaEvidence, ...]:
    """What each antenna saw, those with the most reads first, at most MOST_COURSES of them."""
    reads = course.reads
    antennas = reads.antennas
    by_antenna = antennas.argsort(kind="stable")
    numbers = antennas[by_antenna]
    begins = [0, *((numbers[1:] != numbers[:-1]).nonzero()[0] + 1).tolist()]
    times_us = reads.times_us[by_antenna]
    smoothed = envelopes((times_us - course.zero_us) / US, reads.rssi_dbm[by_antenna], begins, gate.smoothing_s)
    still = _stillness_of_each(reads)
    seen = zip(numbers[begins].tolist(), begins, [*begins[1:], len(numbers)], strict=True)
    chosen = sorted(seen, key=lambda one: (one[1] - one[2], one[0]))
    whole_us, whole_db, rounded_db = times_us.tolist(), smoothed.tolist(), smoothed.round(1).tolist()
    return tuple(
        _antenna(number, whole_us[a:b], whole_db[a:b], rounded_db[a:b], course.zero_us, still.get(number), gate)
        for number, a, b in chosen[:MOST_COURSES]
    )


def _antenna(
    number: int,
    times_us: list[int],
    smoothed_db: list[float],
    rounded_db: list[float],
    zero_us: int,
    phase_still: float | None,
    gate: GateSettings,
) -> AntennaEvidence:
    highest_db = max(smoothed_db)
    peak = next(i for i, value_db in enumerate(smoothed_db) if value_db > highest_db - _EVEN_DB)
    kept: Sequence[int] = _spread(len(times_us))
    if peak not in kept:  # the peak is what an argument will be about
        nearest = min(range(len(kept)), key=lambda i: abs(kept[i] - peak))
        kept = (*kept[:nearest], peak, *kept[nearest + 1 :])
    return AntennaEvidence(
        antenna=number,
        side=Side.INSIDE if number in gate.inside else Side.OUTSIDE,
        reads=len(times_us),
        first_us=times_us[0],
        last_us=times_us[-1],
        peak_us=times_us[peak],
        peak_dbm=rounded_db[peak],
        rise_db=round(highest_db - min(smoothed_db), 1),
        course=tuple([(round((times_us[i] - zero_us) / 1000), rounded_db[i]) for i in kept]),
        phase_still=phase_still,
    )


@lru_cache(maxsize=256)
def _spread(reads: int) -> tuple[int, ...]:
    """Which of so many reads are kept as points of a course, the first and the last among them."""
    points = min(COURSE_POINTS, reads)
    return tuple(round(i * (reads - 1) / (points - 1)) for i in range(points)) if points > 1 else (0,)


def _sides(
    times_s: Floats, rssi_dbm: Floats, power: Floats, split: int, gate: GateSettings
) -> tuple[SideCourse, SideCourse, float]:
    """Both sides' view and U, from the reads of the outside before `split` and of the inside from there on."""
    if not 0 < split < len(times_s):
        smoothed = envelope(times_s, rssi_dbm, gate.smoothing_s)
        one = _side(times_s, smoothed, power, float(np.add.reduce(power)))
        return (one, _UNSEEN, 0.5) if split else (_UNSEEN, one, 0.5)
    smoothed = envelopes(times_s, rssi_dbm, (0, split), gate.smoothing_s)
    running = np.add.accumulate(power[:split])
    powers = float(running[-1]), float(np.add.reduce(power[split:]))
    outside = _side(times_s[:split], smoothed[:split], power[:split], powers[0])
    inside = _side(times_s[split:], smoothed[split:], power[split:], powers[1])
    return outside, inside, _order(times_s, power, running, split, powers[0] * powers[1])


def _side(times_s: Floats, smoothed_dbm: Floats, power: Floats, power_sum: float) -> SideCourse:
    highest_dbm = np.maximum.reduce(smoothed_dbm)
    peak = int((smoothed_dbm > highest_dbm - _EVEN_DB).argmax())
    rise_db = 0.0
    if len(times_s) >= FEWEST_FOR_RISE:
        rise_db = round(float(highest_dbm - np.minimum.reduce(smoothed_dbm)), RISE_DIGITS)
    return SideCourse(len(times_s), rise_db, float(times_s[peak]), float(times_s @ power) / power_sum)


def _share_inside(power: Floats, is_inside: Bools) -> float:
    """The inside's share of the received amplitude: where both sides hear a tag, the nearer one is louder."""
    amplitude = np.sqrt(power)
    return float(amplitude @ is_inside) / float(np.add.reduce(amplitude))


def _order(times_s: Floats, power: Floats, running: Floats, split: int, total: float) -> float:
    """U by sorted times, O(n log n); `running` sums the outside's powers, `total` is the product of both sums."""
    if total <= 0:
        return 0.5
    before = np.zeros(split + 1)
    before[1:] = running
    outside_s, inside_s = times_s[:split], times_s[split:]
    earlier = before[outside_s.searchsorted(inside_s, "left")]
    no_later = before[outside_s.searchsorted(inside_s, "right")]
    return min(1.0, float(power[split:] @ (earlier + no_later)) / 2 / total)


def _stillness(reads: Reads, fewest: int) -> float | None:
    """1 − circular variance of the phases within antennas and channels, pooled; None with too few reads.

    Within each antenna and channel of n reads, n − |Σ e^iφ| over n − 1 estimates the variance without
    favouring small n; `fewest` counts reads beyond the first of each.
    """
    if len(reads) <= fewest:
        return None
    return _pooled([(count, length) for _, count, length in _resultants(reads)], fewest)


def _stillness_of_each(reads: Reads) -> dict[int, float | None]:
    """By antenna; those without phases are left out."""
    by_antenna: dict[int, list[tuple[int, float]]] = {}
    for antenna, count, length in _resultants(reads):
        by_antenna.setdefault(antenna, []).append((count, length))
    return {antenna: _pooled(cells, FEWEST_FOR_PHASE) for antenna, cells in by_antenna.items()}


def _pooled(cells: list[tuple[int, float]], fewest: int) -> float | None:
    count = sum([count for count, _ in cells])
    beyond = count - len(cells)
    if beyond < fewest:
        return None
    return round(max(0.0, 1 - (count - sum([length for _, length in cells])) / beyond), 3)


def _resultants(reads: Reads) -> list[tuple[int, int, float]]:
    """For each antenna and channel: the antenna, how many phases, and the length of the sum of their phasors."""
    steps, cells = reads.phase_steps, reads.cells
    if np.count_nonzero(steps == NO_PHASE):
        known = steps != NO_PHASE
        steps, cells = steps[known], cells[known]
    if not len(steps):
        return []
    by_cell = cells.argsort(kind="stable")
    ordered = cells[by_cell]
    begins = [0, *((ordered[1:] != ordered[:-1]).nonzero()[0] + 1).tolist()]
    lengths = np.abs(np.add.reduceat(_PHASORS[steps[by_cell]], begins)).tolist()
    ends = [*begins[1:], len(ordered)]
    return [
        (cell >> ANTENNA_BIT, end - begin, length)
        for cell, begin, end, length in zip(ordered[begins].tolist(), begins, ends, lengths, strict=True)
    ]
