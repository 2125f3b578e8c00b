"""`make bench`: measure, print, and write bench.json.

Each figure stands under a name with value, unit, what it is measured against, and the ratio of the two from
the same run on the same machine. Absolute values depend on the machine; ratios are what to compare.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.balances import measure_balances
from tests.benchmarks.epc import measure_epc
from tests.benchmarks.figure import Figure
from tests.benchmarks.gate import measure_gate
from tests.benchmarks.histories import measure_histories
from tests.benchmarks.ingest import measure_ingest
from tests.benchmarks.kernels import measure_kernels
from tests.benchmarks.ledger import measure_ledger
from tests.benchmarks.online import measure_online

BENCHMARKS: dict[str, Callable[[], list[Figure]]] = {
    "kernels": measure_kernels,
    "histories": measure_histories,
    "ingest": measure_ingest,
    "online": measure_online,
    "balances": measure_balances,
    "ledger": measure_ledger,
    "epc": measure_epc,
    "gate": measure_gate,
}


def main(argv: list[str] | None = None) -> int:
    """Run all benchmarks, or those named."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.split("\n", 1)[0])
    parser.add_argument("names", nargs="*", help=f"of {', '.join(BENCHMARKS)}; all when none is named")
    parser.add_argument("--output", type=Path, default=Path("bench.json"))
    arguments = parser.parse_args(argv)
    if unknown := set(arguments.names) - set(BENCHMARKS):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}")
    figures: dict[str, Figure] = {}
    for name in arguments.names or BENCHMARKS:
        for figure in BENCHMARKS[name]():
            figures[figure.name] = figure
            print(figure, flush=True)
    arguments.output.write_text(
        json.dumps({name: figure.as_json() for name, figure in figures.items()}, indent=2) + "\n", encoding="utf-8"
    )
    print(f"written to {arguments.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
