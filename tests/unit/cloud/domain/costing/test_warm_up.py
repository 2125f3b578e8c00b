"""What is warm is what is called, and the compiled kernels lie where they were told to."""

import os
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[5]

# What a program does after its warm-up: batches on stored layers, a run with edges, histories with and without links.
CALLS = """
import numpy as np
from cloud.domain import rounding
from cloud.domain.costing import history_kernels, kernels, ordered_run, pools
from cloud.domain.costing.histories import Stream, cost_histories
from cloud.domain.costing.pools import LastCosts, Layers, NONE, Pools, Rows
from cloud.domain.costing.warm_up import warm_up

def compiled():
    return {
        f"{module.__name__}.{name}": len(found.signatures)
        for module in (rounding, kernels, history_kernels)
        for name, found in vars(module).items()
        if hasattr(found, "signatures")
    }

warm_up(whole_histories=True)
before = compiled()
assert sum(before.values()) > 10, before
column = np.zeros(1, np.int64)
layers = Layers(column, column + 1, column + 5, column + 9, column > 0, column + NONE, column, 1)
state = Pools.empty([0, 1], [0, 0], [1, 3], [1, 1]), layers, LastCosts.empty([0])
state[0].qty[0], state[0].value[0], state[0].next_no[0] = 5, 9, 2
rows = Rows.of(3, src=[0, NONE, 0], dst=[NONE, 1, 1], qty=[2, 1, 1], own=[NONE, 3, NONE])
pools.cost(rows, *state)
ordered_run.run(rows, *state)
stream = Stream(np.array([0, 1, 0]), np.array([-1, 2, -9]), np.array([NONE, 3, NONE]))
for links in (False, True):
    for cores in (1, 2):
        cost_histories(stream, *state, links=links, cores=cores)
changed = {name: times for name, times in compiled().items() if times != before[name]}
assert not changed, changed
"""


def run(script: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=CHECKOUT, env=os.environ | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_nothing_is_compiled_after_the_warm_up() -> None:
    run(CALLS)


def test_the_front_door_says_where_compiled_kernels_are_kept(tmp_path: Path) -> None:
    script = "import sys, tallygate; early = 'numba' in sys.modules; tallygate.main(['cost', 'nowhere.csv'])\n"
    script += "import numba; print(early, numba.config.CACHE_DIR)"
    told = run(script, TALLYGATE_KERNEL_CACHE=str(tmp_path / "kernels"))
    assert told.splitlines()[-1] == f"False {tmp_path / 'kernels'}"
