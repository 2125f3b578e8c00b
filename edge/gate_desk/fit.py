"""Tune a gate's thresholds on labelled recordings, without believing what only these recordings say.

One coordinate search, in the fixed order of GRID: each parameter in turn is tried at the values of its grid, the
others standing where the search has brought them. A value is kept only when it helps on recordings that did not choose
it: for each recording the best value is chosen on all the others (leave one recording out; a single recording is cut
into PIECES of its time), and the gain that this choice brings on the one left out must be above zero by more than its
own 95 % interval. Otherwise the parameter stays where it was. So a gate is changed by what holds from recording to
recording, or not at all. The same input gives the same gate; no dice are thrown.

The cost of a verdict:

    right 0 · undecided or missed 1 · wrong (a movement that was none, or the wrong way, or twice) 5

A person looks at what is undecided, but a wrong movement stands in the books until somebody finds it. Costs are summed
by tag, and the gain's interval is taken over tags, because the passes of one tag resemble each other.

The held-out score that is reported comes from the same leaving-out, with every parameter chosen without the recording
it is scored on. Which parameters were changed at all was decided by looking at all of them, so it is still a little
too kind: the proof is a recording made later.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import sqrt
from typing import Any

import numpy as np

from edge.gate_desk.intervals import Z_95
from edge.gate_desk.judging import Judged, Outcome, judge
from edge.gate_desk.labels import Events, Labels, TagLabels, Truth
from edge.gate_desk.recording import Recording
from edge.gate_desk.replay import replay
from edge.gate_desk.score import Share
from edge.gate_desk.score_text import share_text
from edge.gate_desk.table import table
from edge.recognition.gate import GateSettings, WrongGate
from edge.recognition.gate_file import fields

# Parameter → the factors by which it is tried. The thresholds of one tag first, then those of the group and of the
# anchor, then times. Antennas, photo-eyes and what bounds memory are no matter of tuning.
GRID: dict[str, tuple[float, ...]] = {
    "fewest_reads": (0.67, 1.5),
    "stayed_rise_db": (0.67, 1.5),
    "near_rise_db": (0.5, 1.5),
    "through_rise_db": (0.75, 1.25),
    "order_unclear": (0.93, 1.07),
    "order_sure": (0.94, 1.06),
    "still_phase": (0.95, 1.05),
    "group_within_s": (0.67, 1.5),
    "group_order": (0.92, 1.08),
    "anchor_share": (0.67, 1.5),
    "anchor_nats": (0.5, 2.0),
    "anchor_spread_s": (0.67, 1.5),
    "dense_reads": (0.67, 1.5),
    "smoothing_s": (0.67, 1.5),
    "hold_s": (0.67, 1.33),
}
COSTS = {Outcome.RIGHT: 0.0, Outcome.UNDECIDED: 1.0, Outcome.MISSED: 1.0, Outcome.WRONG: 5.0}
PIECES = 4  # that a single recording is cut into
FEWEST_TAGS = 30  # labelled tags, counted in each recording, below which no interval is worth its name

Labelled = tuple[Recording, Labels]
Told = Callable[[str], None]


class TooLittle(ValueError):
    """The recordings hold too few labelled tags to tune anything."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One parameter: what was tried and what became of it.

    before, after  its value before and after; equal when it was left alone
    best           the value that was best on all recordings together
    gain           mean cost saved a tag on recordings left out, with the half width of its 95 % interval
    """

    name: str
    before: float
    best: float
    after: float
    gain: float
    noise: float


@dataclass(frozen=True, slots=True)
class Fitted:
    """The tuned gate and what it is worth.

    start, fitted  the share of right verdicts on all recordings before, and of the tuned gate on the same ones
    held_out       the share when each recording is judged by what the others chose
    *_cost         mean cost a tag of the same three
    """

    gate: GateSettings
    parts: tuple[str, ...]
    tags: int
    tried: tuple[Tried, ...]
    start: Share
    fitted: Share
    held_out: Share
    start_cost: float
    fitted_cost: float
    held_out_cost: float


def fit(labelled: Sequence[Labelled], start: GateSettings, told: Told = lambda _: None) -> Fitted:
    """Tune `start` on `labelled`; `told` is given a line of progress. Raises TooLittle."""
    parts = tuple(labelled) if len(labelled) > 1 else cut(*labelled[0])
    desk = _Desk(parts, start.hold_us)
    tags = sum(len(desk.costs(start, part)) for part in range(len(parts)))
    if tags < FEWEST_TAGS or len(parts) < 2:
        raise TooLittle(
            f"expected at least {FEWEST_TAGS} labelled tags in at least 2 recordings or pieces of one, "
            f"got {tags} in {len(parts)}"
        )
    gate, without = start, [start] * len(parts)
    tried = []
    for name in [name for name in GRID if name in fields()]:
        found, gate, without = _try(desk, name, gate, without)
        tried.append(found)
        told(
            f"{name}: {_number(found.before)} → {_number(found.after)}, gain {found.gain:+.4f} ± {found.noise:.4f}"
        )
    everywhere = range(len(parts))
    return Fitted(
        gate=gate,
        parts=tuple(recording.name for recording, _ in parts),
        tags=tags,
        tried=tuple(tried),
        start=_right(desk.judged(start, part) for part in everywhere),
        fitted=_right(desk.judged(gate, part) for part in everywhere),
        held_out=_right(desk.judged(without[part], part) for part in everywhere),
        start_cost=_mean_cost(desk, [start] * len(parts)),
        fitted_cost=_mean_cost(desk, [gate] * len(parts)),
        held_out_cost=_mean_cost(desk, without),
    )


def why(fitted: Fitted, files: Iterable[str]) -> str:
    """What stands on top of the gate file that was fitted."""
    changed = [one for one in fitted.tried if one.after != one.before]
    lines = [
        f"Fitted by `tallygate gate fit` on {', '.join(files)}: {fitted.tags} labelled tags in "
        f"{len(fitted.parts)} {'recordings' if len(set(files)) > 1 else 'pieces of time'}.",
        f"Right: {_percent(fitted.start)} before, {_percent(fitted.fitted)} on the same recordings, "
        f"{_percent(fitted.held_out)} on recordings left out.",
        "Changed: "
        + ("; ".join(f"{one.name} {_number(one.before)} → {_number(one.after)}" for one in changed) or "nothing")
        + ".",
    ]
    return "\n".join(lines)


def as_text(fitted: Fitted) -> str:
    """The report for a person."""
    rows = [
        (
            one.name,
            _number(one.before),
            _number(one.best),
            _number(one.after),
            f"{one.gain:+.4f} ± {one.noise:.4f}",
            "changed" if one.after != one.before else "kept",
        )
        for one in fitted.tried
    ]
    heads = ("parameter", ">before", ">best here", ">after", ">gain a tag, left out", "")
    return "\n".join(
        [
            f"Fitted on {fitted.tags} labelled tags in {len(fitted.parts)} parts: {', '.join(fitted.parts)}",
            "",
            table(heads, rows),
            "",
            f"right before:                  {share_text(fitted.start)}, cost {fitted.start_cost:.3f} a tag",
            f"right after, same recordings:  {share_text(fitted.fitted)}, cost {fitted.fitted_cost:.3f} a tag",
            f"right after, left out:         {share_text(fitted.held_out)}, cost {fitted.held_out_cost:.3f} a tag",
        ]
    )


def cut(recording: Recording, labels: Labels) -> tuple[Labelled, ...]:
    """`recording` in PIECES of equal numbers of reads, each cut where no event other than parking is going on."""
    if len(recording) < PIECES:
        return ((recording, labels),)
    ends_us = [int(recording.times_us[len(recording) * piece // PIECES]) for piece in range(1, PIECES)]
    if isinstance(labels, Events):
        ends_us = [_quiet_us(end_us, labels) for end_us in ends_us]
    bounds = [int(recording.times_us[0]), *ends_us, int(recording.times_us[-1]) + 1]
    pieces = []
    for number, (from_us, to_us) in enumerate(pairwise(bounds), 1):
        if to_us > from_us:
            piece = recording.between(from_us, to_us, f"{recording.name} {number}/{PIECES}")
            pieces.append((piece, _labels_between(labels, from_us, to_us)))
    return tuple(pieces)


def _quiet_us(at_us: int, labels: Events) -> int:
    """The time nearest to `at_us` at which no event other than parking is going on."""
    events = [event for event in labels.events if event.truth is not Truth.STAYED]
    before_us = after_us = at_us
    for event in sorted(events, key=lambda event: -event.to_us):
        if event.from_us < before_us <= event.to_us:
            before_us = event.from_us
    for event in events:  # by their beginning
        if event.from_us < after_us <= event.to_us:
            after_us = event.to_us + 1
    return before_us if at_us - before_us < after_us - at_us else after_us


def _labels_between(labels: Labels, from_us: int, to_us: int) -> Labels:
    if isinstance(labels, TagLabels):
        return labels
    return Events(
        tuple(
            replace(event, from_us=max(event.from_us, from_us), to_us=min(event.to_us, to_us - 1))
            for event in labels.events
            if event.from_us < to_us and event.to_us >= from_us
        )
    )


# ── The search ──────────────────────────────────────────────────────────────────────────────────────


class _Desk:
    """Replays each part once for each gate that is tried on it."""

    def __init__(self, parts: Sequence[Labelled], slack_us: int) -> None:
        self.parts = parts
        self._slack_us = slack_us  # one for all, so that no gate is judged more kindly than another
        self._judged: dict[tuple[GateSettings, int], tuple[Judged, ...]] = {}
        self._costs: dict[tuple[GateSettings, int], dict[str, float]] = {}

    def judged(self, gate: GateSettings, part: int) -> tuple[Judged, ...]:
        if (gate, part) not in self._judged:
            recording, labels = self.parts[part]
            passages = replay(recording, gate).passages
            self._judged[gate, part] = tuple(judge(recording, passages, labels, self._slack_us))
        return self._judged[gate, part]

    def costs(self, gate: GateSettings, part: int) -> dict[str, float]:
        """Tag → cost of its verdicts. A crossing made up belongs to no event, and costs its tag all the same."""
        if (gate, part) not in self._costs:
            costs: dict[str, float] = {}
            for one in self.judged(gate, part):
                costs[one.epc] = costs.get(one.epc, 0.0) + COSTS[one.outcome]
            self._costs[gate, part] = costs
        return self._costs[gate, part]

    def mean(self, gate: GateSettings, parts: Iterable[int]) -> float:
        costs = [cost for part in parts for cost in self.costs(gate, part).values()]
        return float(np.mean(costs)) if costs else 0.0


def _try(
    desk: _Desk, name: str, gate: GateSettings, without: list[GateSettings]
) -> tuple[Tried, GateSettings, list[GateSettings]]:
    """(what became of the parameter, the gate with it, the gates that did without one part each)."""
    everywhere = list(range(len(desk.parts)))
    before = getattr(gate, name)
    best = min(_values(gate, name), key=lambda one: (desk.mean(one, everywhere), one != gate))
    chosen = []
    for left_out in everywhere:
        others = [part for part in everywhere if part != left_out]
        here = without[left_out]
        chosen.append(min(_values(here, name), key=lambda one: (desk.mean(one, others), one != here)))
    gains = [
        cost - desk.costs(after, part).get(epc, 0.0)
        for part, (here, after) in enumerate(zip(without, chosen, strict=True))
        for epc, cost in desk.costs(here, part).items()
    ]
    gain = float(np.mean(gains))
    noise = Z_95 * float(np.std(gains, ddof=1)) / sqrt(len(gains)) if len(gains) > 1 else 0.0
    if gain <= noise or best == gate:
        return Tried(name, before, getattr(best, name), before, gain, noise), gate, without
    return Tried(name, before, getattr(best, name), getattr(best, name), gain, noise), best, chosen


def _values(gate: GateSettings, name: str) -> list[GateSettings]:
    """The gate as it is, then with the parameter at each value of its grid that makes sense."""
    now = getattr(gate, name)
    found = [gate]
    for factor in GRID[name]:
        value = round(now * factor) if isinstance(now, int) else float(f"{now * factor:.2g}")
        changed: dict[str, Any] = {name: value}
        try:
            other = replace(gate, **changed)
        except WrongGate:
            continue
        if other not in found:
            found.append(other)
    return found


def _right(judged: Iterable[tuple[Judged, ...]]) -> Share:
    every = [one for part in judged for one in part]
    return Share.counted(sum(one.outcome is Outcome.RIGHT for one in every), len(every))


def _mean_cost(desk: _Desk, gates: Sequence[GateSettings]) -> float:
    costs = [cost for part, gate in enumerate(gates) for cost in desk.costs(gate, part).values()]
    return float(np.mean(costs))


def _number(value: float) -> str:
    return f"{value:g}"


def _percent(share: Share) -> str:
    value, low, high = (100 * one for one in (share.value or 0.0, share.low, share.high))
    return f"{share.count} of {share.of} ({value:.1f} %, {low:.1f} to {high:.1f})"
