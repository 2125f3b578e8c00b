"""The recorded shuttle runs: which tags moved, which stood, and each mover's passes one by one.

The runs name movers and standing tags, not when the movers passed. When they did is found from the movers' own
power alone, without recognition: all labelled movers' received power (10^(dBm/10)) is summed a side in steps of
0.25 s and smoothed by a Gaussian of 1 s; where the balance (outside − inside) / (outside + inside) changes its sign
while the movers are read at least a quarter as much as at their busiest, the load went through. That finds 20 passes
in each run, out and in by turns, as the runs were made. A mover's pass lasts from halfway to the pass before until
halfway to the next one.
"""

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from edge.gate_desk.judging import Judged, Outcome, judge
from edge.gate_desk.labels import Event, Events, TagLabels, Truth, read_labels
from edge.gate_desk.recording import Recording, read_recording
from edge.readings import Passage
from tests.gate_report.replaying import INSIDE, gate, passages_of
from tests.gate_report.tables import rate, share, table

FOLDER = Path("../shared/data/gate")
RUNS = (1, 3, 5)
STEP_S = 0.25
SMOOTHING_S = 1.0
BUSY = 0.25
PASSES = 20  # of each run, as it was made
FOUND = 0.5  # share of the movers read in a pass that recognition has to call a crossing for the pass to be found


def is_there() -> bool:
    """Whether the recordings are beside the project."""
    return FOLDER.is_dir()


@dataclass(frozen=True, slots=True)
class Pass:
    """The load went through at `at_us`; the pass owns the time from `from_us` to `to_us`."""

    at_us: int
    from_us: int
    to_us: int
    truth: Truth


def passes_of(recording: Recording, movers: frozenset[str]) -> list[Pass]:
    """When the load went through, from the movers' own change of side."""
    is_mover = np.array([epc in movers for epc in recording.epcs])[recording.tags]
    first_us = int(recording.times_us[0])
    step = ((recording.times_us - first_us) / 1e6 / STEP_S).astype(np.int64)
    many = int(step[-1]) + 1
    reach = round(3 * SMOOTHING_S / STEP_S)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * STEP_S / SMOOTHING_S) ** 2)

    def smooth(chosen: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return np.convolve(np.bincount(step[chosen], weights[chosen], many), kernel, "same")

    power = 10 ** (recording.rssi_dbm / 10)
    is_inside = np.isin(recording.antennas, list(INSIDE))
    inside, outside = smooth(is_mover & is_inside, power), smooth(is_mover & ~is_inside, power)
    reads = smooth(is_mover, np.ones(len(power)))
    changes = np.nonzero(np.diff(np.sign(outside - inside)))[0]
    busy = [int(row) for row in changes if reads[row] >= BUSY * reads.max()]
    at_us = [first_us + round((row + 1) * STEP_S * 1e6) for row in busy]
    bounds = [first_us, *((one + other) // 2 for one, other in pairwise(at_us)), int(recording.times_us[-1]) + 1]
    return [
        Pass(at, low, high - 1, Truth.OUT if outside[row + 1] > inside[row + 1] else Truth.IN)
        for row, at, low, high in zip(busy, at_us, bounds[:-1], bounds[1:], strict=True)
    ]


@dataclass(frozen=True, slots=True)
class Run:
    """One run, recognised and judged."""

    name: str
    recording: Recording
    labels: TagLabels
    passes: list[Pass]
    tags: list[Judged]  # per tag, as the lists say
    movers: list[Judged]  # per (mover, pass)
    passages: list[Passage]

    @property
    def hours(self) -> float:
        return float(self.recording.times_us[-1] - self.recording.times_us[0]) / 3.6e9

    @property
    def standing(self) -> list[Judged]:
        return [one for one in self.tags if one.truth == Truth.STATIONARY]

    @property
    def found(self) -> int:
        """Passes in which at least FOUND of the movers that were read crossed the right way."""
        found = 0
        for one in self.passes:
            own = [mover for mover in self.movers if mover.from_us == one.from_us and mover.reads]
            found += sum(mover.outcome is Outcome.RIGHT for mover in own) >= FOUND * len(own)
        return found


def run(number: int) -> Run:
    """Recognise and judge run `number` with every setting at its default."""
    labels = read_labels([str(FOLDER)])
    assert isinstance(labels, TagLabels)
    settings = gate()
    recording = read_recording(FOLDER / f"emse_run{number}.csv.gz")
    passages = passages_of(recording, settings)
    passes = passes_of(recording, labels.moving)
    moving = sorted(labels.moving & set(recording.epcs))
    events = Events(
        tuple(
            Event(epc, one.from_us, one.to_us, one.truth, str(count))
            for count, one in enumerate(passes)
            for epc in moving
        )
    )
    return Run(
        f"run {number}",
        recording,
        labels,
        passes,
        judge(recording, passages, labels, settings.hold_us),
        judge(recording, passages, events, settings.hold_us),
        passages,
    )


def tags_table(runs: list[Run]) -> str:
    """Moving against stationary, a tag a count."""
    rows = []
    for one in runs:
        for truth in (Truth.MOVING, Truth.STATIONARY):
            own = [tag for tag in one.tags if tag.truth == truth]
            said = Counter(tag.verdict for tag in own)
            right = sum(tag.outcome is Outcome.RIGHT for tag in own)
            verdicts = [said[name] or "·" for name in ("moved", "undecided", "turned_back", "stayed", "nothing")]
            rows.append([one.name, truth.value, len(own), *verdicts, share(right, len(own))])
    return table(
        ["run", "label", ">tags", ">moved", ">undecided", ">turned back", ">stayed", ">nothing", ">right"], rows
    )


def passes_table(runs: list[Run]) -> str:
    """(mover, pass) by (mover, pass)."""
    rows: list[list[object]] = []
    for name, own_runs in [*((one.name, [one]) for one in runs), ("all", runs)]:
        movers = [mover for one in own_runs for mover in one.movers if mover.truth != "nothing"]
        outcomes = Counter(mover.outcome for mover in movers)
        made_up = sum(mover.truth == "nothing" for one in own_runs for mover in one.movers)
        reads = [mover.reads for mover in movers]
        found, true = sum(one.found for one in own_runs), sum(len(one.passes) for one in own_runs)
        rows.append(
            [
                name,
                f"{found} of {true}",
                len(movers),
                f"{np.mean(reads):.1f}",
                *(share(outcomes[outcome], len(movers)) for outcome in Outcome),
                made_up,
            ]
        )
    heads = [">" + outcome.value for outcome in Outcome]
    return table(
        ["run", ">passes found", ">mover × pass", ">mean reads", *heads, ">crossings beside any pass"], rows
    )


def standing_table(runs: list[Run]) -> str:
    """Crossings of tags that stood."""
    rows: list[list[object]] = []
    for name, own_runs in [*((one.name, [one]) for one in runs), ("all", runs)]:
        standing = [tag for one in own_runs for tag in one.standing]
        tags = sum(tag.crossings > 0 for tag in standing)
        false = sum(tag.crossings for tag in standing)
        hours = sum(len(one.standing) * one.hours for one in own_runs)
        chances = sum(len(one.standing) * len(one.passes) for one in own_runs)
        rows.append(
            [
                name,
                len(standing),
                share(tags, len(standing)),
                false,
                share(min(false, chances), chances),
                f"{hours:.1f}",
                rate(false, hours),
            ]
        )
    return table(
        [
            "run",
            ">tags",
            ">tags with a crossing",
            ">crossings",
            ">a (tag, pass)",
            ">tag-hours",
            ">crossings a tag-hour",
        ],
        rows,
    )


def failures_table(runs: list[Run], most: int = 20) -> str:
    """Standing tags that moved, then movers sent the wrong way, most reads first."""
    standing = [tag for one in runs for tag in one.standing if tag.crossings]
    movers = [tag for one in runs for tag in one.movers if tag.outcome is Outcome.WRONG and tag.truth != "nothing"]
    movers.sort(key=lambda tag: (-tag.reads, tag.recording, tag.epc))
    rows = [
        [tag.recording, tag.epc, tag.truth, tag.verdict, tag.reads, tag.by, tag.reason]
        for tag in [*standing[:most], *movers[:most]]
    ]
    if not rows:
        return "None."
    return table(["recording", "epc", "what happened", "verdict", ">reads", "decided by", "reason"], rows)


def goals(runs: list[Run]) -> list[tuple[str, str, str]]:
    """(goal, limit, measured) on the recordings."""
    movers = [mover for one in runs for mover in one.movers if mover.truth != "nothing"]
    right = sum(mover.outcome is Outcome.RIGHT for mover in movers)
    standing = [tag for one in runs for tag in one.standing]
    found, true = sum(one.found for one in runs), sum(len(one.passes) for one in runs)
    chances = sum(len(one.standing) * len(one.passes) for one in runs)
    false = sum(tag.crossings for tag in standing)
    return [
        ("sparse reads: (mover, pass) right", "≥ 76 %", f"{share(right, len(movers))}, n {len(movers)}"),
        (
            "sparse reads: standing tags false, a (tag, pass)",
            "≤ 0.7 %",
            f"{share(min(false, chances), chances)}, n {chances}",
        ),
        ("sparse reads: passes found", "≥ 99 %", f"{found} of {true}, {share(found, true)}"),
    ]
