"""A simulation as files: reads as generic CSV, what is true as passages CSV, photo-eyes as CSV.

reads   time,epc,antenna,rssi_dbm,phase_rad,channel_mhz    times ISO 8601 in UTC
truths  epc,from,to,truth,group,reads                      truth: in, out, turned_back, near, stayed
eyes    time,port,state                                    state: broken, clear
"""

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np

from firmware_bridges.gate_simulator.simulation import Simulated

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def iso(at_us: int) -> str:
    """Microseconds since 1970 as ISO 8601 with microseconds, UTC."""
    return (EPOCH + timedelta(microseconds=at_us)).isoformat(timespec="microseconds")


def write_recording(
    simulated: Simulated, path_csv: Path, path_labels: Path | None, path_eyes: Path | None
) -> None:
    """Write the files; those whose path is None are left out."""
    with path_csv.open("w", encoding="utf-8", newline="") as opened:
        write = csv.writer(opened, lineterminator="\n").writerow
        write(("time", "epc", "antenna", "rssi_dbm", "phase_rad", "channel_mhz"))
        columns = (
            simulated.t_us.tolist(),
            simulated.tag.tolist(),
            simulated.antenna.tolist(),
            simulated.rssi_dbm.tolist(),
            simulated.phase_rad.tolist(),
            simulated.channel.tolist(),
        )
        for t_us, tag, antenna, rssi, phase, channel in zip(*columns, strict=True):
            mhz = simulated.channels_mhz[channel - 1]
            write((iso(t_us), simulated.epcs[tag], antenna, f"{rssi:.1f}", f"{phase:.3f}", f"{mhz:g}"))
    if path_labels is not None:
        _write_truths(simulated, path_labels)
    if path_eyes is not None:
        with path_eyes.open("w", encoding="utf-8", newline="") as opened:
            write = csv.writer(opened, lineterminator="\n").writerow
            write(("time", "port", "state"))
            for at_us, port, is_broken in simulated.eyes:
                write((iso(at_us), port, "broken" if is_broken else "clear"))


def _write_truths(simulated: Simulated, path: Path) -> None:
    reads = reads_in_truths(simulated)
    with path.open("w", encoding="utf-8", newline="") as opened:
        write = csv.writer(opened, lineterminator="\n").writerow
        write(("epc", "from", "to", "truth", "group", "reads"))
        for truth, many in zip(simulated.truths, reads, strict=True):
            row = (simulated.epcs[truth.tag], iso(truth.from_us), iso(truth.to_us), truth.truth, truth.group, many)
            write(row)


def reads_in_truths(simulated: Simulated) -> list[int]:
    """How many reads of its tag fall into each truth's window."""
    order = np.lexsort((simulated.t_us, simulated.tag))
    tags, times = simulated.tag[order], simulated.t_us[order]
    bounds = np.searchsorted(tags, np.arange(len(simulated.epcs) + 1))
    counts = []
    for truth in simulated.truths:
        own = times[bounds[truth.tag] : bounds[truth.tag + 1]]
        counts.append(int(np.searchsorted(own, truth.to_us, side="right") - np.searchsorted(own, truth.from_us)))
    return counts
