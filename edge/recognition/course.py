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

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from edge.readings import AntennaEvidence, Side
from edge.recognition.columns import NO_PHASE, PHASE_STEPS, Bools, Floats, Reads
from edge.recognition.gate import US, GateSettings

FEWEST_FOR_RISE = 3  # reads; two points are a difference, not an envelope (recipe, step 3)
FEWEST_FOR_PHASE = 3  # reads beyond the first of each channel before an antenna's stillness is told
FEWEST_AT_AN_END = 3  # reads; one stray among them is outvoted
STILL_US = 5_000_000  # around the crossing: a tag that rested before and rolled then moved within this
COURSE_POINTS = 16  # of an antenna's envelope kept as evidence
_PHASORS = np.exp(2j * np.pi * np.arange(PHASE_STEPS) / PHASE_STEPS)  # of every phase that is kept
MOST_COURSES = 8  # antennas with a course kept as evidence, those with the most reads


@dataclass(frozen=True, slots=True, eq=False)
class SideCourse:
    """One side's view of a visit. `times_s` count from the visit's first read and ascend.

    power  received power relative to the visit's strongest read, 0 … 1
    """

    times_s: Floats
    power: Floats
    rise_db: float
    peak_s: float | None
    centroid_s: float | None

    @property
    def reads(self) -> int:
        return len(self.times_s)


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
    strongest_dbm = float(rssi_dbm.max())
    is_outside = ~is_inside
    outside = _side(times_s[is_outside], rssi_dbm[is_outside], strongest_dbm, gate)
    inside = _side(times_s[is_inside], rssi_dbm[is_inside], strongest_dbm, gate)
    centroids = [side.centroid_s for side in (outside, inside) if side.centroid_s is not None]
    crossing_s = sum(centroids) / len(centroids)
    fifth = max(FEWEST_AT_AN_END, len(reads) // 5)
    return Course(
        reads,
        seen,
        zero_us,
        outside,
        inside,
        order=_order(outside, inside),
        crossing_s=crossing_s,
        begins=_share_inside(rssi_dbm[:fifth], is_inside[:fifth]),
        ends=_share_inside(rssi_dbm[-fifth:], is_inside[-fifth:]),
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
    smoothed: Floats = weights @ rssi_dbm / weights.sum(axis=1)
    return smoothed


def antennas_of(course: Course, gate: GateSettings) -> tuple[AntennaEvidence, ...]:
    """What each antenna saw, those with the most reads first, at most MOST_COURSES of them."""
    reads = course.reads
    numbers, counts = np.unique(reads.antennas, return_counts=True)
    chosen = sorted(zip(counts.tolist(), numbers.tolist(), strict=True), key=lambda one: (-one[0], one[1]))
    return tuple(_antenna(course, number, gate) for _, number in chosen[:MOST_COURSES])


def _antenna(course: Course, number: int, gate: GateSettings) -> AntennaEvidence:
    own = course.reads.chosen(course.reads.antennas == number)
    times_s = (own.times_us - course.zero_us) / US
    smoothed = envelope(times_s, own.rssi_dbm, gate.smoothing_s)
    peak = int(smoothed.argmax())
    kept = list(_spread(len(own)))
    if peak not in kept:  # the peak is what an argument will be about
        kept[min(range(len(kept)), key=lambda i: abs(kept[i] - peak))] = peak
    at_ms = np.rint(times_s[kept] * 1000).astype(np.int64).tolist()
    return AntennaEvidence(
        antenna=number,
        side=Side.INSIDE if number in gate.inside else Side.OUTSIDE,
        reads=len(own),
        first_us=int(own.times_us[0]),
        last_us=int(own.times_us[-1]),
        peak_us=int(own.times_us[peak]),
        peak_dbm=round(float(smoothed[peak]), 1),
        rise_db=round(float(smoothed.max() - smoothed.min()), 1),
        course=tuple(zip(at_ms, smoothed[kept].round(1).tolist(), strict=True)),
        phase_still=_stillness(own, FEWEST_FOR_PHASE),
    )


@lru_cache(maxsize=256)
def _spread(reads: int) -> tuple[int, ...]:
    """Which of so many reads are kept as points of a course, the first and the last among them."""
    points = min(COURSE_POINTS, reads)
    return tuple(round(i * (reads - 1) / (points - 1)) for i in range(points)) if points > 1 else (0,)


def _side(times_s: Floats, rssi_dbm: Floats, strongest_dbm: float, gate: GateSettings) -> SideCourse:
    if not len(times_s):
        return SideCourse(times_s, rssi_dbm, rise_db=0.0, peak_s=None, centroid_s=None)
    smoothed = envelope(times_s, rssi_dbm, gate.smoothing_s)
    rise_db = float(smoothed.max() - smoothed.min()) if len(times_s) >= FEWEST_FOR_RISE else 0.0
    power = 10.0 ** ((rssi_dbm - strongest_dbm) / 10)
    return SideCourse(
        times_s,
        power,
        rise_db,
        peak_s=float(times_s[smoothed.argmax()]),
        centroid_s=float(times_s @ power / power.sum()),
    )


def _share_inside(rssi_dbm: Floats, is_inside: Bools) -> float:
    """The inside's share of the received amplitude: where both sides hear a tag, the nearer one is louder."""
    amplitude = 10.0 ** (rssi_dbm / 20)
    return float(amplitude @ is_inside / amplitude.sum())


def _order(outside: SideCourse, inside: SideCourse) -> float:
    """U by sorted times, O(n log n); ½ when a side is missing."""
    if not (len(outside.power) and len(inside.power)):
        return 0.5
    total = float(outside.power.sum() * inside.power.sum())
    if total <= 0:
        return 0.5
    before = np.concatenate(([0.0], np.cumsum(outside.power)))
    earlier = before[np.searchsorted(outside.times_s, inside.times_s, side="left")]
    no_later = before[np.searchsorted(outside.times_s, inside.times_s, side="right")]
    return min(1.0, float(inside.power @ (earlier + no_later)) / 2 / total)


def _stillness(reads: Reads, fewest: int) -> float | None:
    """1 − circular variance of the phases within antennas and channels, pooled; None with too few reads.

    Within each antenna and channel of n reads, n − |Σ e^iφ| over n − 1 estimates the variance without
    favouring small n; `fewest` counts reads beyond the first of each.
    """
    steps, cells = reads.phase_steps, reads.cells
    if np.count_nonzero(steps == NO_PHASE):
        known = steps != NO_PHASE
        steps, cells = steps[known], cells[known]
    if len(steps) <= fewest:
        return None
    order = cells.argsort(kind="stable")
    ordered = cells[order]
    begins = np.concatenate(([0], np.flatnonzero(ordered[1:] != ordered[:-1]) + 1))
    beyond = len(steps) - len(begins)
    if beyond < fewest:
        return None
    sums = np.add.reduceat(_PHASORS[steps[order]], begins)
    return round(max(0.0, 1 - (len(steps) - float(np.abs(sums).sum())) / beyond), 3)
