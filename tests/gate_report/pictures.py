"""The pictures of docs/guides/gates.md: what gates see, from the recordings and from the simulator.

python -m tests.gate_report.pictures [--folder docs/guides/gates]

Nothing of a recording is kept but the picture, and each picture names its source and licence. Without the recordings
beside the project those pictures stay as they are, and the program says so.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from edge.gate_desk.labels import TagLabels, read_labels
from edge.gate_desk.recording import US, Recording, read_recording
from edge.gate_desk.replay import replay
from edge.gate_desk.silences import of_tags, times_by_tag
from edge.readings import Direction, Passage
from edge.recognition.gate import GateSettings
from firmware_bridges.gate_simulator.scenarios import CATALOGUE
from firmware_bridges.gate_simulator.simulation import simulate
from tests.gate_report.drawing import INSIDE, OUTSIDE, Bars, Dots, Drawing, Upright

CHECKOUT = Path(__file__).resolve().parents[2]
RECORDED = CHECKOUT.parent / "shared" / "data" / "gate"
FOLDER = CHECKOUT / "docs" / "guides" / "gates"
GATE = GateSettings("gate", frozenset({1, 2}), frozenset({3, 4}))
CROSSED = (Direction.IN, Direction.OUT)
RECORDED_SOURCE = (
    "Source: {name}, corentinbouton/RFID-tags-detection, MIT licence. Drawn by tests/gate_report/pictures.py."
)
SIMULATED_SOURCE = (
    "Source: `tallygate gate simulate --scenario {name} --seed {seed}`. Drawn by tests/gate_report/pictures.py."
)
SMOOTH_S = 0.3  # the envelope's width, as recognition's
AROUND_S = 9.0  # shown before and after a group's crossing


def main(argv: list[str] | None = None) -> int:
    """Draw all; 0 when all is drawn, 3 when the recordings are not there."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.gate_report.pictures", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--folder", type=Path, default=FOLDER)
    folder: Path = parser.parse_args(argv).folder
    return 0 if draw(folder) else 3


def draw(folder: Path) -> bool:
    """Write the pictures to `folder`; whether the recordings were there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in simulated_pictures().items():
        (folder / name).write_text(picture().svg(), encoding="utf-8")
    if not (RECORDED / "emse_run3.csv.gz").exists():
        print("the recordings are not here: their pictures stay as they are", file=sys.stderr)
        return False
    for name, drawing in recorded_pictures().items():
        (folder / name).write_text(drawing.svg(), encoding="utf-8")
    return True


# ── From the recordings ─────────────────────────────────────────────────────────────────────────────


def recorded_pictures() -> dict[str, Drawing]:
    """File name → picture, all of one shuttle run but for the silences, which are of all runs."""
    recording = read_recording(RECORDED / "emse_run3.csv.gz")
    labels = read_labels([str(RECORDED)])
    assert isinstance(labels, TagLabels)
    passages = [passage for passage in replay(recording, GATE).passages if passage.direction in CROSSED]
    flips = _flips([passage for passage in passages if passage.epc in labels.moving])
    return {
        "mover.svg": _course_of_mover(recording, labels, passages),
        "stationary.svg": _course_of_stationary(recording, labels),
        "group-flip.svg": _group_flip(recording, labels, flips),
        "silences.svg": _silences(labels),
    }


def _flips(passages: list[Passage]) -> list[tuple[int, Direction, int]]:
    """(time, direction, tags) of the crossings that ten tags or more made within two seconds."""
    found: list[tuple[int, Direction, int]] = []
    for direction in CROSSED:
        times = sorted(passage.crossed_at_us for passage in passages if passage.direction is direction)
        while times:
            together = [time for time in times if time - times[0] < 6 * US]
            times = times[len(together) :]
            if len(together) >= 10:
                found.append((int(np.median(together)), direction, len(together)))
    return sorted(found)


def _course_of_mover(recording: Recording, labels: TagLabels, passages: list[Passage]) -> Drawing:
    """The mover in the middle by its number of reads, in the first 100 s."""
    times = times_by_tag(recording)
    by_reads = sorted(labels.moving & set(times), key=lambda one: (len(times[one]), one))
    epc = by_reads[len(by_reads) // 2]
    zero_us = int(recording.times_us[0])
    until_s = 100.0
    uprights = [
        Upright((one.crossed_at_us - zero_us) / US, one.direction.value)
        for one in passages
        if one.epc == epc and (one.crossed_at_us - zero_us) / US < until_s
    ]
    return Drawing(
        f"A tag that shuttles through the gate: …{epc[-4:]}, 3 to 7 reads a pass",
        "seconds",
        "RSSI, dBm",
        RECORDED_SOURCE.format(name="emse_run3"),
        _by_side(recording, epc, zero_us, until_s),
        uprights,
        frame=[0, until_s, -78, -40],
    )


def _course_of_stationary(recording: Recording, labels: TagLabels) -> Drawing:
    times = times_by_tag(recording)
    epc = max(sorted(labels.stationary), key=lambda one: len(times.get(one, ())))
    zero_us = int(recording.times_us[0])
    return Drawing(
        f"A tag that stands beside the gate: …{epc[-4:]}, read again and again, and it never moves",
        "seconds",
        "RSSI, dBm",
        RECORDED_SOURCE.format(name="emse_run3"),
        _by_side(recording, epc, zero_us, 100.0),
        frame=[0, 100.0, -78, -40],
    )


def _by_side(recording: Recording, epc: str, zero_us: int, until_s: float) -> list[Dots]:
    own = recording.tags == recording.epcs.index(epc)
    dots = []
    for label, colour, side in (
        ("by antennas outside", OUTSIDE, GATE.outside),
        ("by antennas inside", INSIDE, GATE.inside),
    ):
        chosen = own & np.isin(recording.antennas, list(side))
        seconds = (recording.times_us[chosen] - zero_us) / US
        points = [
            (second, dbm)
            for second, dbm in zip(seconds.tolist(), recording.rssi_dbm[chosen].tolist(), strict=True)
            if 0 <= second <= until_s
        ]
        dots.append(Dots(label, colour, points))
    return dots


def _group_flip(recording: Recording, labels: TagLabels, flips: list[tuple[int, Direction, int]]) -> Drawing:
    """Every read of every mover around the crossing that most of them made together: one row a tag."""
    at_us, direction, many = max(flips, key=lambda flip: (flip[2], -flip[0]))
    movers = [epc for epc in recording.epcs if epc in labels.moving]
    rows = {recording.epcs.index(epc): row for row, epc in enumerate(movers)}
    seconds = (recording.times_us - at_us) / US
    near = (np.abs(seconds) <= AROUND_S) & np.isin(recording.tags, list(rows))
    parts = []
    for label, colour, side in (
        ("by antennas outside", OUTSIDE, GATE.outside),
        ("by antennas inside", INSIDE, GATE.inside),
    ):
        chosen = near & np.isin(recording.antennas, list(side))
        points = [
            (second, float(rows[tag]))
            for second, tag in zip(seconds[chosen].tolist(), recording.tags[chosen].tolist(), strict=True)
        ]
        parts.append(Dots(label, colour, points, radius=2.0))
    return Drawing(
        f"{len(movers)} tags change sides together: {many} of them are told as “{direction.value}”",
        "seconds from the common instant",
        "one row a tag",
        RECORDED_SOURCE.format(name="emse_run3"),
        parts,
        [Upright(0.0, direction.value)],
        has_rows=True,
        frame=[-AROUND_S, AROUND_S, -2, len(movers) + 1],
    )


def _silences(labels: TagLabels) -> Drawing:
    recordings = [read_recording(path) for path in sorted(RECORDED.glob("emse_run*.csv.gz"))]
    silences = np.concatenate(
        [
            np.diff(times_us) / US
            for recording in recordings
            for epc, times_us in times_by_tag(recording).items()
            if epc in labels.moving
        ]
    )
    found = of_tags([(recording, labels.moving) for recording in recordings], GATE.hold_s)
    edges = 10.0 ** np.arange(-1.0, 1.75, 0.05)
    counts, _ = np.histogram(silences, edges)
    columns = [
        (float(left), float(right), float(count) ** 0.5)
        for left, right, count in zip(edges, edges[1:], counts, strict=False)
    ]
    uprights = [Upright(GATE.hold_s, f"hold {GATE.hold_s:g} s")]
    if found.between_s is not None:
        uprights.append(Upright(found.between_s, f"{found.between_s:.0f} s: between visits"))
    return Drawing(
        f"How long moving tags are silent: {len(silences)} silences, most of them 1.6 s, as session 1 makes them",
        "seconds between two reads of a tag (logarithmic)",
        "square root of the count",
        RECORDED_SOURCE.format(name="emse_run1, 3 and 5"),
        [Bars("silences", INSIDE, columns)],
        uprights,
        is_log=True,
    )


# ── From the simulator ──────────────────────────────────────────────────────────────────────────────


def simulated_pictures() -> dict[str, Callable[[], Drawing]]:
    """File name → what draws it."""
    return {
        "pass-dense.svg": lambda: _simulated(
            "passes", "Through the gate, with reads enough: {reads} in one pass", ("in", "out")
        ),
        "turn-back.svg": lambda: _simulated(
            "turn-backs",
            "Into the gate and out again: both sides see it, it did not cross ({reads} reads)",
            ("turned_back",),
        ),
        "parked.svg": lambda: _simulated(
            "parked", "Parked beside the gate for ten minutes: {reads} reads, and it stayed", ("stayed",)
        ),
    }


def _simulated(scenario: str, title: str, truths: tuple[str, ...], seed: int = 7) -> Drawing:
    """The tag of the scenario that was read most often while it did what is shown."""
    simulated = simulate(CATALOGUE[scenario](seed, 4), seed)
    shown_us = 600 * US
    best, most = None, -1
    for truth in simulated.truths:
        if truth.truth in truths:
            to_us = min(truth.to_us, truth.from_us + shown_us)
            own = (simulated.tag == truth.tag) & (simulated.t_us >= truth.from_us) & (simulated.t_us <= to_us)
            sides = np.isin(simulated.antenna[own], list(GATE.inside))
            both = int(min(sides.sum(), (~sides).sum())) if "stayed" not in truths else int(own.sum())
            if both > most:
                best, most = (truth, own), both
    assert best is not None, f"{scenario} has no {truths}"
    truth, own = best
    seconds = (simulated.t_us[own] - truth.from_us) / US
    parts = []
    for label, colour, side in (
        ("by antennas outside", OUTSIDE, GATE.outside),
        ("by antennas inside", INSIDE, GATE.inside),
    ):
        chosen = np.isin(simulated.antenna[own], list(side))
        at_s, dbm = seconds[chosen], simulated.rssi_dbm[own][chosen].astype(float)
        radius = 2.0 if "stayed" not in truths else 1.2
        parts.append(Dots(label, colour, list(zip(at_s.tolist(), dbm.tolist(), strict=True)), radius))
        if len(at_s) > 2 and "stayed" not in truths:
            smooth = _envelope(at_s, dbm)
            parts.append(Dots("", colour, list(zip(at_s.tolist(), smooth, strict=True)), 0.0, is_line=True))
    uprights = []
    if truth.crossed_at_us is not None:
        uprights = [Upright((truth.crossed_at_us - truth.from_us) / US, truth.truth)]
    return Drawing(
        title.format(reads=int(own.sum())),
        "seconds",
        "RSSI, dBm",
        SIMULATED_SOURCE.format(name=scenario, seed=seed),
        parts,
        uprights,
    )


def _envelope(at_s: np.ndarray, dbm: np.ndarray) -> list[float]:
    weights = np.exp(-0.5 * ((at_s[:, None] - at_s[None, :]) / SMOOTH_S) ** 2)
    return (weights @ dbm / weights.sum(axis=1)).tolist()


if __name__ == "__main__":
    sys.exit(main())
