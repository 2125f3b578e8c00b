"""The instant at which many tags change sides: what decides where each tag is read only a few times.

A fast inventory of a full pallet reads each tag 3 to 7 times a pass, too few for one tag's own course. But
all tags of a pallet change sides at one instant, and that instant shows in the crowd (recipe, step 8).

**Finding it** (`scan`). Time is cut into steps. For each step T every tag that both sides saw lately says
whether it was on one side before T and on the other after it (at least three quarters of its reads
on either side of T agree). The anchor is where the tags that went one way, less those that went the other, are most,
and at least max(`anchor_fewest`, `anchor_share` of the tags seen from both sides).

**Judging by it** (`log_odds`). Given T and the direction, two stories are compared for one tag's reads
around T, and the tag crossed when the first is likelier by `anchor_nats`:

    crossed   each read comes by the right side with probability s + (1 − 2s) σ(±(t − T)/spread), s the
              share of strays; its RSSI is that of tags that move here, a wide normal
    stood     reads come by any antenna in proportions that do not change with time (Dirichlet prior), and
              each antenna's RSSI is nearly one value of its own (normal-inverse-gamma prior)

The second has closed forms: the Dirichlet-multinomial, and the marginal likelihood of a normal with
unknown mean and variance (Murphy, Conjugate Bayesian analysis of the Gaussian distribution, 2007,
equation 95). Before the reads are looked at, the tag's past speaks, within limits: how often it went
through and in how many visits it stayed (`went` and `stayed`: Laplace's rule of succession), and whether
its signal was steady until now. So a shelf beside the door that is read by both sides all day needs ever
more to be believed a mover.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, lgamma, log, pi, tau
from typing import Final

import numpy as np
import numpy.typing as npt

from edge.readings import Direction, GroupEvidence
from edge.recognition.columns import Bools, Floats, Ints, Reads
from edge.recognition.gate import US, GateSettings

STEP_US: Final = 250_000  # of the scan; an anchor's time is that fine
CLEAR_FOR_EACH: Final = (
    3  # of a tag's reads before (after) T for each by the other side: it is clear by three quarters
)
CONTRARY: Final = 0.25  # most of those that go one way may go the other: more is noise, or two crowds
FEWEST_READS: Final = 2  # of a tag around an anchor, one a side
SAME_ANCHOR_US: Final = 3_000_000  # maxima of one direction closer than this are one crossing of the crowd
MOST_READS_SCANNED: Final = 64  # newest reads of one tag that the scan looks at

Counts = npt.NDArray[np.int16]  # of at most MOST_READS_SCANNED reads

_MOVING_SD_DB = 4.0  # of a moving tag's RSSI; the shuttle runs' movers: 2.3 to 4.5 by distance
_MEAN_READS = 0.03  # the prior of a standing tag's mean RSSI weighs so many reads …
_SHAPE, _SCALE = 2.0, 2.5  # … and its variance is inverse gamma: mode 0.8 dB², tail to 10
_ANTENNA_PRIOR = 0.25  # Dirichlet, per antenna: a standing tag is seen mostly by a few
_MOST_NATS = 7.0  # against a move that the past can say: a thousand visits
_STEADY_SHARE = 0.3  # of its past's log-odds that count: signals in a row are not independent
_STEADY_NATS = 2.0  # and at most so much


@dataclass(frozen=True, slots=True)
class Anchor:
    """An instant at which tags changed sides together; `mean_dbm` is the RSSI of those seen around it."""

    at_us: int
    direction: Direction
    group: GroupEvidence
    mean_dbm: float = 0.0


def scan(
    reads: Reads, of_each: Sequence[int], until_us: int, flicker: float, gate: GateSettings
) -> tuple[list[Anchor], float]:
    """The anchors in the last seconds before `until_us`, by time, and how many tags changed sides together.

    reads    of tags that were seen from both sides, one tag after the other, and `of_each` of them so many
    flicker  how many tags usually change sides together by chance
    """
    if len(of_each) < gate.anchor_fewest:
        return [], 0.0
    before = round(gate.anchor_before_s * US / STEP_US)
    after = round(gate.anchor_after_s * US / STEP_US)
    steps = 2 * (before + after)
    from_us = until_us - steps * STEP_US
    counts = _counted(reads, of_each, from_us, steps)
    outward_first, inside_first = _changed(counts, before, after)
    inward, outward = outward_first.sum(axis=0), inside_first.sum(axis=0)
    score = inward - outward
    seen = int(((counts.sum(axis=2) > 0).sum(axis=1) == 2).sum())
    needed = max(gate.anchor_fewest, gate.anchor_share * seen, gate.anchor_flicker * flicker)
    plain = np.where(CONTRARY * np.maximum(inward, outward) >= np.minimum(inward, outward), np.abs(score), 0)
    changed = outward_first | inside_first
    found = [_anchor(at, from_us, inward, outward, changed, reads, gate) for at in _peaks(plain, needed)]
    return found, float(np.abs(score).max())


def _anchor(
    at: int,
    from_us: int,
    inward: Ints,
    outward: Ints,
    changed: Bools,
    reads: Reads,
    gate: GateSettings,
) -> Anchor:
    direction = Direction.IN if inward[at] > outward[at] else Direction.OUT
    most, least = max(inward[at], outward[at]), min(inward[at], outward[at])
    at_us = from_us + at * STEP_US
    moving = int(changed[:, at].sum())
    first_us, until_us = _around(at_us, gate)
    around = reads.chosen((first_us <= reads.times_us) & (reads.times_us < until_us))
    group = GroupEvidence(at_us, direction, int(most), int(least), moving)
    return Anchor(at_us, direction, group, float(around.rssi_dbm.mean()))


def around_anchor(reads: Reads, at_us: int, gate: GateSettings) -> Reads:
    """Those of a tag's reads that an anchor at that time looks at."""
    return reads.between(*_around(at_us, gate))


def _around(at_us: int, gate: GateSettings) -> tuple[int, int]:
    return at_us - round(gate.anchor_before_s * US), at_us + round(gate.anchor_after_s * US)


def _counted(reads: Reads, of_each: Sequence[int], from_us: int, steps: int) -> Counts:
    """Reads by tag, side (0 outside, 1 inside) and step."""
    tags = len(of_each)
    tag = np.repeat(np.arange(tags), of_each)
    step = (reads.times_us - from_us) // STEP_US
    within = (step >= 0) & (step < steps)
    cell = (tag * 2 + reads.inside) * steps + step
    counts = np.bincount(cell[within], minlength=tags * 2 * steps)
    return counts.reshape(tags, 2, steps).astype(np.int16)


def _changed(counts: Counts, before: int, after: int) -> tuple[Bools, Bools]:
    """By tag and step T (its beginning): outside before and inside after; inside before and outside after."""
    steps = counts.shape[2]
    running = np.zeros((*counts.shape[:2], steps + 1), np.int16)
    np.cumsum(counts, axis=2, dtype=np.int16, out=running[:, :, 1:])
    at = np.arange(steps)
    until_now = running[:, :, :steps]
    earlier = until_now - running.take(np.maximum(at - before, 0), axis=2)
    later = running.take(np.minimum(at + after, steps), axis=2) - until_now
    outside_first = _clearly(earlier[:, 0], earlier[:, 1]) & _clearly(later[:, 1], later[:, 0])
    inside_first = _clearly(earlier[:, 1], earlier[:, 0]) & _clearly(later[:, 0], later[:, 1])
    return outside_first, inside_first


def _clearly(one: Counts, other: Counts) -> Bools:
    clearly: Bools = (one > 0) & (one >= CLEAR_FOR_EACH * other)
    return clearly


def _peaks(height: Floats, needed: float) -> list[int]:
    """The middles of the highest places, each SAME_ANCHOR_US from the next, that reach `needed`."""
    apart = SAME_ANCHOR_US // STEP_US
    left = height.copy()
    found = []
    while len(left) and (top := left.max()) >= needed:
        plateau = np.flatnonzero(left == top)
        run = plateau[np.cumsum(np.diff(plateau, prepend=plateau[0]) > 1) == 0]
        at = int(run[len(run) // 2])
        found.append(at)
        left[max(0, at - apart) : at + apart + 1] = -1
    return sorted(found)


@dataclass(frozen=True, slots=True)
class Past:
    """What is known of a tag before the reads around an anchor: see above."""

    earlier: Reads
    went: int
    stayed: int


def log_odds(around: Reads, past: Past, anchor: Anchor, mean_dbm: float, gate: GateSettings) -> float:
    """How much likelier it is that the tag crossed at `anchor` than that it stood, in nats.

    around    its reads from anchor_before_s before to anchor_after_s after the anchor
    mean_dbm  mean RSSI of the tags around the anchor
    """
    known = max(-_MOST_NATS, log((past.went + 1) / (past.stayed + 1)))
    if len(past.earlier):
        steady = _moving_rssi(past.earlier, mean_dbm) - _standing_rssi(past.earlier, mean_dbm)
        known += max(-_STEADY_NATS, min(_STEADY_NATS, _STEADY_SHARE * steady))
    return known + _moving(around, anchor, mean_dbm, gate) - _standing(around, mean_dbm, gate)


def _moving(around: Reads, anchor: Anchor, mean_dbm: float, gate: GateSettings) -> float:
    late_s = (around.times_us - anchor.at_us) / US
    ahead = late_s if anchor.direction is Direction.IN else -late_s
    stray = gate.anchor_stray
    inside = stray + (1 - 2 * stray) / (1 + np.exp(np.clip(-ahead / gate.anchor_spread_s, -50, 50)))
    right = np.where(around.inside, inside / len(gate.inside), (1 - inside) / len(gate.outside))
    return float(np.log(right).sum()) + _moving_rssi(around, mean_dbm)


def _moving_rssi(reads: Reads, mean_dbm: float) -> float:
    off = (reads.rssi_dbm - mean_dbm) / _MOVING_SD_DB
    return float(-0.5 * off @ off) - len(reads) * (log(_MOVING_SD_DB) + 0.5 * log(tau))


def _standing(around: Reads, mean_dbm: float, gate: GateSettings) -> float:
    antennas = len(gate.inside) + len(gate.outside)
    total = antennas * _ANTENNA_PRIOR
    counts = np.unique(around.antennas, return_counts=True)[1].tolist()
    likelihood = lgamma(total) - lgamma(total + len(around))
    likelihood += sum(lgamma(_ANTENNA_PRIOR + count) - lgamma(_ANTENNA_PRIOR) for count in counts)
    return likelihood + _standing_rssi(around, mean_dbm)


def _standing_rssi(reads: Reads, mean_dbm: float) -> float:
    """Log marginal likelihood of the RSSI, each antenna with a mean and a variance of its own."""
    antennas, slot = np.unique(reads.antennas, return_inverse=True)
    off = reads.rssi_dbm - mean_dbm
    counts = np.bincount(slot, minlength=len(antennas)).tolist()
    sums = np.bincount(slot, off).tolist()
    squares = np.bincount(slot, off * off).tolist()
    likelihood = 0.0
    for n, total, square in zip(counts, sums, squares, strict=True):
        weight, shape = _MEAN_READS + n, _SHAPE + n / 2
        scale = _SCALE + 0.5 * max(0.0, square - total * total / weight)
        likelihood += lgamma(shape) - lgamma(_SHAPE) + _SHAPE * log(_SCALE) - shape * log(scale)
        likelihood += 0.5 * log(_MEAN_READS / weight) - n / 2 * log(2 * pi)
    return likelihood


def probability(nats: float) -> float:
    """Log-odds as a probability."""
    return 1 / (1 + exp(-max(-50.0, min(50.0, nats))))
