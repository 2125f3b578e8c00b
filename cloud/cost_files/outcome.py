"""What costing found of a plan, whichever way it went: the general run, or whole histories pool by pool.

Long files whose goods only come and go, without edges between pools, are costed as histories, in parallel.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloud.cost_files.plan import Plan
from cloud.domain.costing import histories
from cloud.domain.costing.histories import HistoryCosts, Stream, cost_histories
from cloud.domain.costing.methods import Method
from cloud.domain.costing.ordered_run import run
from cloud.domain.costing.pools import NONE, Costed, Op, Pools, Releases

Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

WORTH_HISTORIES = 50_000  # fewer rows are costed before the histories' kernel is loaded
# Once a period's issues stand at its end, a periodic method is the perpetual one of the same name.
_PERPETUAL = {
    Method.PERIODIC_AVERAGE: Method.MOVING_AVERAGE,
    Method.PERIODIC_FIFO: Method.FIFO,
    Method.PERIODIC_LIFO: Method.LIFO,
}


@dataclass(slots=True)
class Outcome:
    """Rows are the plan's. Quantities 10⁻⁶ stock units, values 10⁻⁶ currency.

    layer_*      what is left: the pool, the row that made it, quantity and value
    entry_*      changes of pools' values: by which row, its step (0 its issue, 1 its receipt, 2 … corrections),
                 by how much, and the row whose cost it corrects, or NONE
    out_value    what each row's issue cost in the end
    variance     what was paid for a row beyond the standard
    uncosted     bool, no cost was known
    open         bool, goods arrived at another cost than they left at: in a circle where no cost fits
    """

    pools: Pools
    layer_pool: Int64
    layer_row: Int64
    layer_qty: Int64
    layer_value: Int64
    entry_row: Int64
    entry_step: Int64
    entry_value: Int64
    entry_corrects: Int64
    out_value: Int64
    variance: Int64
    uncosted: Bool
    open: Bool
    releases: Releases


def cost_plan(laid_out: Plan) -> Outcome:
    """Raises CannotCost with the plan's row."""
    if len(laid_out.rows) >= WORTH_HISTORIES and _is_plain(laid_out):
        return _of_histories(laid_out)
    return _of_run(run(laid_out.rows, laid_out.pools, laid_out.layers, laid_out.last_costs))


def _is_plain(laid_out: Plan) -> bool:
    """Whether goods only come and go, at costs of their own, by methods that the histories' kernel knows."""
    rows = laid_out.rows
    methods = {_PERPETUAL.get(Method(one), Method(one)) for one in np.unique(laid_out.pools.method).tolist()}
    receives = rows.dst != NONE
    return bool(
        methods <= set(histories.METHODS)
        and np.isin(rows.op, (Op.MOVE, Op.RETURN_IN)).all()
        and (receives != (rows.src != NONE)).all()
        and (rows.ref == NONE).all()
        and (rows.extra[rows.own == NONE] == 0).all()
        and (rows.own[receives & (rows.op == Op.RETURN_IN)] != NONE).all()
    )


def _of_histories(laid_out: Plan) -> Outcome:
    rows, pools = laid_out.rows, laid_out.pools.copy()
    pools.method[:] = [_PERPETUAL.get(Method(one), Method(one)) for one in pools.method.tolist()]
    receives = rows.dst != NONE
    qty = np.where(receives, rows.qty, -rows.qty)
    own = np.where(rows.own == NONE, NONE, rows.own + rows.extra)
    stream = Stream(np.where(receives, rows.dst, rows.src), qty, own)
    found = cost_histories(stream, pools, last_costs=laid_out.last_costs, general=run)
    return _outcome(found, qty, receives)


def _outcome(found: HistoryCosts, qty: Int64, receives: Bool) -> Outcome:
    n, adjusted = len(qty), found.adjustments
    uncosted = np.zeros(n, np.bool_)
    uncosted[found.uncosted] = True
    return Outcome(
        pools=found.pools,
        layer_pool=found.layers.pool,
        layer_row=found.layers.row,
        layer_qty=found.layers.qty,
        layer_value=found.layers.value,
        entry_row=np.concatenate([np.arange(n), adjusted.receipt]),
        entry_step=np.concatenate([receives.astype(np.int64), np.full(len(adjusted.receipt), 2)]),
        entry_value=np.concatenate([np.where(receives, found.cost, -found.cost), adjusted.change]),
        entry_corrects=np.concatenate([np.full(n, NONE), adjusted.corrected]),
        out_value=np.where(receives, 0, found.final_cost(qty)),
        variance=np.zeros(n, np.int64),
        uncosted=uncosted,
        open=np.zeros(n, np.bool_),  # without edges nothing carries a cost
        releases=found.releases,
    )


def _of_run(costed: Costed) -> Outcome:
    layers, entries = costed.layers, costed.entries
    left = np.flatnonzero(layers.qty[: costed.layer_count])
    corrects = entries.layer != NONE
    return Outcome(
        pools=costed.pools,
        layer_pool=layers.pool[left],
        layer_row=layers.move[left],
        layer_qty=layers.qty[left],
        layer_value=layers.value[left],
        entry_row=entries.move,
        entry_step=entries.step,
        entry_value=entries.value,
        entry_corrects=np.where(corrects, layers.move[np.where(corrects, entries.layer, 0)], NONE)
        if len(layers.move)
        else np.full(len(entries.move), NONE, np.int64),
        out_value=costed.out_value,
        variance=costed.variance,
        uncosted=costed.uncosted,
        open=costed.open,
        releases=costed.releases,
    )
