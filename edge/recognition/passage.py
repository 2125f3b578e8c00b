"""A closed visit → a passage: steps 1 to 6 of the recipe, for one tag alone.

Per side, the RSSI in time is smoothed by a Gaussian mean to an envelope; its rise (highest − lowest)
tells a tag that moved from one that stands. Between the sides, the order statistic

    U = Σ over reads i outside, j inside of  w_i w_j [t_i < t_j]  (½ on ties)  /  (Σ w_i · Σ w_j)

weighs every pair of reads by received power: 1 when all of the outside came first, 0 when all of the
inside did, ½ when neither can be told. Decisions, first match wins (limits in GateSettings):

    fewer reads than needed                       undecided   few reads
    no side's envelope rises                      stayed
    one side saw it less than twice               turned back
    order unclear                                 turned back
    the weaker side hardly rises                  turned back (went near the gate)
    the weaker side rises less than a crossing    undecided   rise too weak
    order not sure                                undecided   order unclear
    otherwise                                     in (outside first) or out

A tag that went near the gate and one that came in and returned are both "turned back": neither crossed.
The confidence is no probability: it is 0 for undecided and otherwise grows with clarity of order, with
the weaker side's rise and with the number of reads, so that two gates that see one crossing can be
compared.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.readings import Direction, Passage, PassageEvidence
from edge.recognition.gate import US, GateSettings
from edge.recognition.visit import SidedRead, Visit

FEWEST_ON_A_SIDE = 2  # reads; with one there is no order on that side (recipe, step 5)
FEWEST_FOR_RISE = 3  # reads; two points are a difference, not an envelope (recipe, step 3)
FULL_RISE_DB = 8.0  # the weaker side's rise that no longer adds confidence: twice a sure crossing's least
HALF_READS = 6  # reads at which the confidence has half of what many reads would give

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Side:
    """One side's view of a visit. `times_s` count from the visit's first read and ascend."""

    times_s: Floats
    power: Floats  # received power relative to the visit's strongest read, 0 … 1
    rise_db: float
    peak_s: float | None
    centroid_s: float | None

    @property
    def reads(self) -> int:
        return len(self.times_s)


def decide(visit: Visit, gate: GateSettings) -> Passage:
    """The passage that `visit` was."""
    strongest_dbm = max(read.rssi_dbm for read in visit.reads)
    outside = _side([r for r in visit.reads if r.antenna in gate.outside], visit.first_us, strongest_dbm, gate)
    inside = _side([r for r in visit.reads if r.antenna in gate.inside], visit.first_us, strongest_dbm, gate)
    order = _order(outside, inside)
    direction, reason = _verdict(order, outside, inside, gate)
    if visit.seen > len(visit.reads):
        reason += f"; {len(visit.reads)} of {visit.seen} reads kept"
    return Passage(
        gate=gate.name,
        epc=visit.epc,
        direction=direction,
        confidence=_confidence(direction, order, outside, inside),
        crossed_at_us=_at_us(visit, _crossing_s(outside, inside)),
        first_seen_us=visit.first_us,
        last_seen_us=visit.last_us,
        reads=visit.seen,
        evidence=PassageEvidence(
            order=order,
            rise_outside_db=outside.rise_db,
            rise_inside_db=inside.rise_db,
            reads_outside=outside.reads,
            reads_inside=inside.reads,
            peak_outside_us=None if outside.peak_s is None else _at_us(visit, outside.peak_s),
            peak_inside_us=None if inside.peak_s is None else _at_us(visit, inside.peak_s),
            decided_by="tag",
            reason=reason,
        ),
    )


def _verdict(order: float, outside: _Side, inside: _Side, gate: GateSettings) -> tuple[Direction, str]:
    clarity = max(order, 1 - order)
    weaker_db = min(outside.rise_db, inside.rise_db)
    if outside.reads + inside.reads < gate.fewest_reads:
        return Direction.UNDECIDED, "few reads"
    if max(outside.rise_db, inside.rise_db) < gate.stayed_rise_db:
        return Direction.STAYED, "no rise on either side"
    if min(outside.reads, inside.reads) < FEWEST_ON_A_SIDE:
        return Direction.TURNED_BACK, "one side"
    if clarity < gate.order_unclear:
        return Direction.TURNED_BACK, "neither side first"
    if weaker_db < gate.near_rise_db:
        return Direction.TURNED_BACK, "went near the gate"
    if weaker_db < gate.through_rise_db:
        return Direction.UNDECIDED, "rise too weak"
    if clarity < gate.order_sure:
        return Direction.UNDECIDED, "order unclear"
    if order > 0.5:
        return Direction.IN, "outside before inside"
    return Direction.OUT, "inside before outside"


def _side(reads: list[SidedRead], zero_us: int, strongest_dbm: float, gate: GateSettings) -> _Side:
    times_s = np.array([(read.seen_at_us - zero_us) / US for read in reads])
    rssi_dbm = np.array([read.rssi_dbm for read in reads])
    if not reads:
        return _Side(times_s, rssi_dbm, rise_db=0.0, peak_s=None, centroid_s=None)
    envelope = _envelope(times_s, rssi_dbm, gate.smoothing_s)
    rise_db = float(envelope.max() - envelope.min()) if len(reads) >= FEWEST_FOR_RISE else 0.0
    power = 10.0 ** ((rssi_dbm - strongest_dbm) / 10)
    return _Side(
        times_s,
        power,
        rise_db,
        peak_s=float(times_s[envelope.argmax()]),
        # A side 3,000 dB below the other would weigh nothing at all; then every read counts the same.
        centroid_s=float(np.average(times_s, weights=power)) if power.sum() > 0 else float(times_s.mean()),
    )


def _envelope(times_s: Floats, rssi_dbm: Floats, width_s: float) -> Floats:
    """The Gaussian mean of the RSSI at each read's time."""
    distance = (times_s[:, None] - times_s[None, :]) / width_s
    weights = np.exp(-0.5 * distance * distance)
    return weights @ rssi_dbm / weights.sum(axis=1)


def _order(outside: _Side, inside: _Side) -> float:
    """U by sorted times, O(n log n); ½ when a side is missing."""
    total = float(outside.power.sum() * inside.power.sum())
    if total <= 0:
        return 0.5
    before = np.concatenate(([0.0], np.cumsum(outside.power)))
    earlier = before[np.searchsorted(outside.times_s, inside.times_s, side="left")]
    no_later = before[np.searchsorted(outside.times_s, inside.times_s, side="right")]
    return min(1.0, float(inside.power @ (earlier + no_later)) / 2 / total)


def _crossing_s(outside: _Side, inside: _Side) -> float:
    centroids = [side.centroid_s for side in (outside, inside) if side.centroid_s is not None]
    return sum(centroids) / len(centroids)


def _confidence(direction: Direction, order: float, outside: _Side, inside: _Side) -> float:
    reads = outside.reads + inside.reads
    evidence = reads / (reads + HALF_READS)
    clarity = 2 * max(order, 1 - order) - 1
    if direction is Direction.UNDECIDED:
        return 0.0
    if direction is Direction.STAYED:
        return evidence
    through = min(1.0, min(outside.rise_db, inside.rise_db) / FULL_RISE_DB)
    if direction is Direction.TURNED_BACK:
        return evidence * (1 - clarity * through)
    return evidence * clarity * through


def _at_us(visit: Visit, seconds: float) -> int:
    return visit.first_us + round(seconds * US)
