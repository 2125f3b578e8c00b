"""How like the recorded runs the simulated ones are: the same figures of both, side by side.

The simulated runs are the scenario `shuttle`: a load of 100 tags through the gate 20 times, 75 tags that stand 1 to
5 m from the door's line, one channel, a sparse reader.
"""

from dataclasses import dataclass

import numpy as np

from edge.gate_desk.recording import Recording
from firmware_bridges.gate_simulator import scenarios
from firmware_bridges.gate_simulator.simulation import simulate
from tests.gate_report.recorded import Run
from tests.gate_report.replaying import recording_of
from tests.gate_report.tables import table

EVERY_S = (13.0, 17.0, 25.0)  # between passes: those of the three recorded runs
SEEDS = (601, 602, 603)
LAGS_S = ((0.0, 2.0), (2.0, 5.0), (12.0, 20.0), (40.0, 80.0))
FEWEST = 20  # reads of one tag by one antenna that make a spread


@dataclass(frozen=True, slots=True)
class Likeness:
    """Figures of one run."""

    name: str
    cells: tuple[str, ...]


HEADS = (
    "run",
    ">reads/s",
    ">busiest second",
    ">reads of a mover a pass",
    ">movers' dBm (5, 50, 95 %)",
    ">standing dBm (5, 50, 95 %)",
    ">s between reads of a standing tag",
    ">antennas that hear it",
    ">its spread, one antenna, dB (10, 50, 90 %)",
    *(f">its change within {high:g} s, dB" for _, high in LAGS_S),
)


def of(name: str, recording: Recording, movers: frozenset[str], passes: int) -> Likeness:
    """The figures of a run of `passes` passes."""
    times_s = (recording.times_us - recording.times_us[0]) / 1e6
    is_mover = np.array([epc in movers for epc in recording.epcs])[recording.tags]
    busiest = int(np.bincount(times_s.astype(np.int64)).max())
    gaps, heard, spreads = [], [], []
    changes: list[list[float]] = [[] for _ in LAGS_S]
    for number, epc in enumerate(recording.epcs):
        if epc in movers:
            continue
        own = recording.tags == number
        if own.sum() < FEWEST:
            continue
        gaps.append(float(np.median(np.diff(times_s[own]))))
        heard.append(len(np.unique(recording.antennas[own])))
        for antenna in (1, 2, 3, 4):
            one = own & (recording.antennas == antenna)
            if one.sum() >= FEWEST:
                spreads.append(float(recording.rssi_dbm[one].std()))
                _add_changes(times_s[one], recording.rssi_dbm[one], changes)
    cells = (
        f"{len(recording) / times_s[-1]:.0f}",
        str(busiest),
        f"{is_mover.sum() / len(movers & set(recording.epcs)) / passes:.1f}",
        _quantiles(recording.rssi_dbm[is_mover], (5, 50, 95)),
        _quantiles(recording.rssi_dbm[~is_mover], (5, 50, 95)),
        f"{np.median(gaps):.2f}",
        f"{np.mean(heard):.1f}",
        _quantiles(np.array(spreads), (10, 50, 90)),
        *(f"{np.median(one):.2f}" if one else "–" for one in changes),
    )
    return Likeness(name, cells)


def _add_changes(times_s: np.ndarray, rssi_dbm: np.ndarray, changes: list[list[float]]) -> None:
    apart = times_s[None, :] - times_s[:, None]
    squares = (rssi_dbm[None, :] - rssi_dbm[:, None]) ** 2
    for place, (low, high) in enumerate(LAGS_S):
        pairs = squares[(apart > low) & (apart <= high)]
        if len(pairs) >= FEWEST:
            changes[place].append(float(np.sqrt(pairs.mean() / 2)))


def _quantiles(values: np.ndarray, at: tuple[int, ...]) -> str:
    return ", ".join(f"{value:.1f}" for value in np.percentile(values, at))


def likeness_table(recorded: list[Run]) -> str:
    """Recorded runs above simulated ones."""
    rows = [of(f"recorded, {one.name}", one.recording, one.labels.moving, len(one.passes)) for one in recorded]
    for seed, every_s in zip(SEEDS, EVERY_S, strict=True):
        world = scenarios.shuttle(seed, every_s=every_s)
        simulated = simulate(world, seed)
        movers = frozenset(simulated.epcs[: world.loads[0].tags])
        rows.append(of(f"simulated, seed {seed}", recording_of(simulated, str(seed)), movers, 20))
    return table(HEADS, [[one.name, *one.cells] for one in rows])
