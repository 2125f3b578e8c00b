"""`tallygate gate simulate`: labelled reads of a gate, from physics written down, as files.

    tallygate gate simulate --scenario passes --seed 7 --events 20 --out reads.csv --labels truths.csv --eyes eyes.csv

Prints one line of what was made. The same scenario, seed and events make the same files.
"""

import argparse
import sys
from pathlib import Path

from firmware_bridges.gate_simulator.recording import write_recording
from firmware_bridges.gate_simulator.scenarios import CATALOGUE, MOUNTS, READERS, seen_by
from firmware_bridges.gate_simulator.simulation import simulate


def main(argv: list[str] | None = None) -> int:
    """Run it; 0 when the files are written, 1 when they cannot be, 2 for wrong arguments."""
    parser = argparse.ArgumentParser(
        prog="tallygate gate simulate", description="labelled reads of a simulated gate, as files"
    )
    parser.add_argument("--scenario", choices=sorted(CATALOGUE), default="passes")
    parser.add_argument("--seed", type=int, default=1, help="the dice; the same seed makes the same files")
    parser.add_argument("--events", type=int, default=20, help="how many events; of `parked`: how many tags")
    parser.add_argument("--reader", choices=sorted(READERS), help="its settings, where not the scenario's own")
    parser.add_argument(
        "--mount", choices=sorted(MOUNTS), help="where antennas look, where not as the scenario has it"
    )
    parser.add_argument("--out", type=Path, required=True, help="reads: time, epc, antenna, rssi_dbm, …")
    parser.add_argument("--labels", type=Path, help="what is true: epc, from, to, truth, group, reads")
    parser.add_argument("--eyes", type=Path, help="photo-eyes: time, port, state")
    arguments = parser.parse_args(argv)
    if arguments.events < 1 or arguments.seed < 0:
        parser.error(f"expected events ≥ 1 and seed ≥ 0, got {arguments.events} and {arguments.seed}")
    world = CATALOGUE[arguments.scenario](arguments.seed, arguments.events)
    world = seen_by(world, arguments.reader, arguments.mount)
    simulated = simulate(world, arguments.seed)
    try:
        write_recording(simulated, arguments.out, arguments.labels, arguments.eyes)
    except OSError as trouble:
        print(f"cannot write {trouble.filename}: {trouble.strerror}", file=sys.stderr)
        return 1
    print(
        f"{arguments.out}: {len(simulated)} reads of {world.tags} tags in {world.lasts_s:.0f} s, "
        f"{len(simulated.truths)} truths, {len(simulated.eyes)} photo-eye events\n"
        "antennas 1, 2 inside, 3, 4 outside; photo-eyes 1 in the door, 2 before, 3 behind it"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
