"""Kernels made ready before the first movement waits for them."""

import numpy as np

from cloud.domain.costing import histories, ordered_run, pools
from cloud.domain.costing.histories import Stream, cost_histories
from cloud.domain.costing.methods import Method
from cloud.domain.costing.pools import NONE, LastCosts, Layers, Pools, Rows
from cloud.domain.rounding import muldiv_columns, to_minor


def warm_up(whole_histories: bool = False) -> None:
    """Compile the kernels for the one kind of arrays that they are called with, or load them from the cache.

    whole_histories  also those of histories.py, for one core and for all, which no live batch needs

    Seconds when they are compiled, a fraction of one when the cache has them. A goods' receipt and issue of
    nobody's go through each: so what is warm is what is called, whatever the kernels' shapes are.
    """
    muldiv_columns(*(np.ones(1, np.int64) for _ in range(3)))
    to_minor(1, 1)
    rows = Rows.of(2, src=[NONE, 0], dst=[0, NONE], qty=[2, 1], own=[4, NONE])
    state = Pools.empty([0, 1], [0, 0], [Method.FIFO, Method.FIFO], [1, 1]), Layers.empty(), LastCosts.empty([0])
    pools.cost(rows, *state)
    # One pool to another and back, so that there is an edge to follow.
    there_and_back = Rows.of(3, src=[NONE, 0, 0], dst=[0, 1, NONE], qty=[2, 1, 1], own=[4, NONE, NONE])
    ordered_run.run(there_and_back, *state)
    if whole_histories:
        stream = Stream(*(np.array(column, np.int64) for column in ((0, 1, 0), (2, 2, -1), (4, 4, NONE))))
        for cores in {1, histories.CORES}:
            for links in (False, True):
                cost_histories(stream, *state, links=links, cores=cores)
