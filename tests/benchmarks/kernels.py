"""The costing pass of live batches on one core beside a straightforward Python loop over the same streams."""

import time
from collections import deque
from collections.abc import Callable

import numpy as np

from cloud.domain.costing import kernels
from cloud.domain.costing.pools import LastCosts, Layers, Pools, Rows, cost
from tests.benchmarks.figure import Figure

BATCH = 20_000  # ARCHITECTURE.md, "One transaction per batch"
BATCHES = 20
PEER = "a plain Python loop without entries and links"
POOLS = 500


def measure_kernels() -> list[Figure]:
    """Movements a second through `cost`, entries and links included, and through the deque."""
    figures = []
    for name, method in (("fifo", kernels.FIFO), ("moving average", kernels.MOVING_AVERAGE)):
        kernel = _rate(lambda n, method=method: _through_kernel(n, method))
        plain = _rate(_through_deque if method == kernels.FIFO else _through_average)
        figures.append(
            Figure(
                f"costing {name}, live batches",
                kernel,
                "movements/s",
                "a plain Python loop without entries and links",
                plain,
            )
        )
    return figures


def _rate(work: Callable[[int], None]) -> float:
    """Movements a second over batches as the live path costs them, arrays made anew for each."""
    work(1000)  # compiles
    began = time.perf_counter()
    for _ in range(BATCHES):
        work(BATCH)
    return BATCHES * BATCH / (time.perf_counter() - began)


def _stream(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    chance = np.random.default_rng(7)
    pool = chance.integers(0, POOLS, n)
    is_receipt = chance.random(n) < 0.5
    qty = chance.integers(1, 50, n) * 1_000_000
    return pool, is_receipt, qty, qty * 4


def _through_kernel(n: int, method: int) -> None:
    pool, is_receipt, qty, value = _stream(n)
    nothing = np.zeros(POOLS, np.int64)
    pools = Pools(
        np.arange(POOLS), np.zeros(POOLS, np.int64), np.ones(POOLS, np.int64), np.full(POOLS, method),
        np.full(POOLS, 10_000), *(nothing.copy() for _ in range(4)), np.ones(POOLS, np.int64),
    )  # fmt: skip
    empty = np.zeros(0, np.int64)
    layers = Layers(empty, empty, empty, empty, np.zeros(0, np.bool_), empty, empty, 0)
    costs = LastCosts(np.zeros(1, np.int64), np.zeros(1, np.int64), np.zeros(1, np.int64))
    src, dst = np.where(is_receipt, kernels.NONE, pool), np.where(is_receipt, pool, kernels.NONE)
    rows = Rows.of(len(qty), src=src, dst=dst, qty=qty, own=np.where(is_receipt, value, kernels.NONE))
    cost(rows, pools, layers, costs)


def _through_deque(n: int) -> None:
    queues: list[deque[list[int]]] = [deque() for _ in range(POOLS)]
    for pool, is_receipt, qty, value in zip(*(column.tolist() for column in _stream(n)), strict=True):
        queue = queues[pool]
        if is_receipt:
            queue.append([qty, value])
            continue
        while qty > 0 and queue:
            layer = queue[0]
            if qty >= layer[0]:
                qty -= layer[0]
                queue.popleft()
            else:
                taken = (2 * layer[1] * qty + layer[0]) // (2 * layer[0])
                layer[0] -= qty
                layer[1] -= taken
                qty = 0


def _through_average(n: int) -> None:
    held, worth = [0] * POOLS, [0] * POOLS
    for pool, is_receipt, qty, value in zip(*(column.tolist() for column in _stream(n)), strict=True):
        if is_receipt:
            held[pool] += qty
            worth[pool] += value
        elif held[pool]:
            taken = min(qty, held[pool])
            cost_of = (2 * worth[pool] * taken + held[pool]) // (2 * held[pool])
            held[pool] -= taken
            worth[pool] -= cost_of
