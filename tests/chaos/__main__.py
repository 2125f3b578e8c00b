"""`make chaos`: seeds from … on, each undisturbed and disturbed; says which failed and how to run them again."""

import argparse
import logging
import shutil
import sys
import tempfile
from pathlib import Path

from tests.chaos.house import NotInTime, Server
from tests.chaos.run import run_seed


def main(argv: list[str] | None = None) -> int:
    """Exit status 1 when a seed failed; its folder with all logs is kept."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many (200)")
    parser.add_argument("--from", dest="first", type=int, default=1, help="the first one (1)")
    parser.add_argument("--seed", type=int, help="this one alone")
    arguments = parser.parse_args(argv)
    first, seeds = (arguments.first, arguments.seeds) if arguments.seed is None else (arguments.seed, 1)
    logging.basicConfig(level=logging.ERROR)
    folder = Path(tempfile.mkdtemp(prefix="tallygate-chaos-"))
    folder.chmod(0o755)
    failed: list[int] = []
    with Server(folder / "server") as server:
        for seed in range(first, first + seeds):
            place = folder / f"seed-{seed}"
            try:
                outcome = run_seed(server, seed, place)
                wrong, took_s, replayed = outcome.wrong, outcome.took_s, outcome.replayed
            except NotInTime as late:
                wrong, took_s, replayed, outcome = [str(late)], 0.0, 0, None
            says = "; ".join(outcome.disturbed) if outcome is not None else "stopped"
            print(
                f"seed {seed}: {'failed' if wrong else 'same books'}, {took_s:.1f} s, {replayed} messages again; {says}"
            )
            for one in wrong:
                print(f"    {one}")
            sys.stdout.flush()
            if wrong:
                failed.append(seed)
            else:
                shutil.rmtree(place, ignore_errors=True)
    if failed:
        print(f"{len(failed)} of {seeds} seeds failed; logs are in {folder}. Again:")
        for seed in failed:
            print(f"  make chaos ARGS='--seed {seed}'")
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    print(f"{seeds} of {seeds} seeds end in the books of an undisturbed run")
    return 0


if __name__ == "__main__":
    sys.exit(main())
