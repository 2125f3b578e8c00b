"""Whole histories: what the compiled pass reaches on one core, and beside what.

The stream is a warehouse's: pallets come in, pieces go out. A quarter of the movements are receipts of 20 to 199
pieces, three quarters issues of 1 to 49, mixed at random over 2,000 pools, prices from 1.00 to 89.99, seed 7. So
two issues in three take a part of a layer and divide; some find nothing, and are settled later. Beside it the
stream that is worst for a processor that guesses: receipts (1 … 59) and issues (1 … 49) by the toss of a coin.

Single-core figures are in processor time, best of several, so that neighbours on the machine do not count; what
uses two cores, or memory fresh from the system, is by the clock on the wall.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cloud.domain.costing import histories, history_kernels, ordered_run
from cloud.domain.costing.histories import Stream, cost_histories
from cloud.domain.costing.methods import Method
from cloud.domain.costing.pools import NONE, LastCosts, Layers, Pools, Rows
from cloud.domain.costing.warm_up import warm_up
from tests.benchmarks.figure import Figure

MOVEMENTS = 4_000_000
POOLS = 2_000
SEED = 7
PIECE = 1_000_000
ROUNDS = 5
METHODS = (Method.FIFO, Method.LIFO, Method.MOVING_AVERAGE)
EDGES = 200_000
ONE_POOL = 1_000_000


def measure_histories() -> list[Figure]:
    """All figures about whole histories."""
    warm_up(whole_histories=True)
    warehouse, coin = warehouse_stream(MOVEMENTS, POOLS), coin_stream(MOVEMENTS, POOLS)
    figures = []
    for method in METHODS:
        figures += _one_core(warehouse, method)
    for method in METHODS:
        seconds = min(_kernel_seconds(_Prepared(coin, method)) for _ in range(ROUNDS))
        figures.append(Figure(f"history {method.label}, by a coin", MOVEMENTS / seconds, "movements/s"))
    figures += _sorting(warehouse)
    figures.append(_two_cores(warehouse))
    figures += _through_the_front(warehouse)
    figures += [_one_long_pool(method) for method in METHODS]
    figures += _with_edges()
    figures += _peak_memory(warehouse)
    figures += _warmth()
    return figures


# ── Streams ─────────────────────────────────────────────────────────────────────────────────────────


def warehouse_stream(n: int, n_pools: int) -> Stream:
    """A quarter receipts of 20 … 199 pieces, three quarters issues of 1 … 49."""
    return _stream(n, n_pools, receipts=0.25, received=(20, 200), issued=(1, 50))


def coin_stream(n: int, n_pools: int) -> Stream:
    """Half receipts of 1 … 59 pieces, half issues of 1 … 49."""
    return _stream(n, n_pools, receipts=0.5, received=(1, 60), issued=(1, 50))


def _stream(n: int, n_pools: int, receipts: float, received: tuple[int, int], issued: tuple[int, int]) -> Stream:
    chance = np.random.default_rng(SEED)
    pool = chance.integers(0, n_pools, n)
    is_receipt = chance.random(n) < receipts
    pieces = np.where(is_receipt, chance.integers(*received, n), -chance.integers(*issued, n))
    own = np.where(is_receipt, pieces * chance.integers(100, 9_000, n) * 10_000, NONE)
    first = np.unique(pool, return_index=True)[1]  # every pool opens with a stock of known cost
    pieces[first], own[first] = 500, 500 * 40 * 1_000_000
    return Stream(pool, pieces * PIECE, own)


class _Prepared:
    """A stream sorted by pool, and room for what comes out: what the kernel's own figure starts from."""

    def __init__(self, stream: Stream, method: Method) -> None:
        n_pools = int(stream.pool.max()) + 1
        self.pools = Pools.empty(
            np.arange(n_pools), np.arange(n_pools), np.full(n_pools, method), np.ones(n_pools)
        )
        self.layers = Layers.empty()
        self.segments = histories._Segments(stream, self.pools, self.layers)
        n = self.segments.size
        self.cost = np.zeros(n, np.int64)
        self.adjusted = tuple(np.zeros(n, kind) for kind in (np.int32, np.int32, np.int64))
        self.linked = tuple(np.zeros(n, kind) for kind in (np.int32, np.int32, np.int64, np.int64))

    def arguments(self, links: bool) -> tuple:
        """For one run: the segments are spoilt by it, so each gets a copy."""
        self.state = histories._state(self.pools, self.layers)
        one = self.segments
        return (
            one.starts, one.stored, self.pools.method, self.state, one.qty.copy(), one.own.copy(), one.row.copy(),
            self.cost, self.adjusted, self.linked if links else None,
        )  # fmt: skip


def _kernel_seconds(prepared: _Prepared, links: bool = False) -> float:
    arguments = prepared.arguments(links)
    began = time.thread_time()
    history_kernels.cost_segments(0, len(prepared.pools.pool_id), *arguments)
    return time.thread_time() - began


# ── Figures ─────────────────────────────────────────────────────────────────────────────────────────


def _one_core(stream: Stream, method: Method) -> list[Figure]:
    """The kernel on one core over sorted columns, without links and with them, beside plain Python over the same."""
    prepared = _Prepared(stream, method)
    seconds = min(_kernel_seconds(prepared) for _ in range(ROUNDS))
    costs = prepared.cost.copy()
    with_links = min(_kernel_seconds(prepared, links=True) for _ in range(ROUNDS))
    copy = _copy_bytes_a_second(28 * len(stream))
    moves = [column.tolist() for column in (stream.pool, stream.qty, stream.own)]
    plain = {Method.FIFO: plain_fifo, Method.LIFO: plain_lifo, Method.MOVING_AVERAGE: plain_average}[method]
    began = time.thread_time()
    told = plain(*moves)
    plain_seconds = time.thread_time() - began
    found = np.empty(len(stream), np.int64)
    history_kernels.unsort(stream.pool, prepared.segments.places(), costs, found)
    if found.tolist() != told:
        raise AssertionError(f"{method.label}: the kernel and plain Python disagree")
    pool_by_pool = [np.sort(stream.pool, kind="stable").tolist()]
    pool_by_pool += [prepared.segments.qty.tolist(), prepared.segments.own.tolist()]
    began = time.thread_time()
    plain(*pool_by_pool)
    sorted_seconds = time.thread_time() - began
    n = len(stream)
    peer = "a plain Python loop" if method == Method.MOVING_AVERAGE else "a Python deque"
    return [
        Figure(f"history {method.label}", n / seconds, "movements/s", peer, n / plain_seconds),
        Figure(f"history {method.label}, with links", n / with_links, "movements/s", peer, n / plain_seconds),
        Figure(
            f"history {method.label}, sorted for both",
            n / seconds,
            "movements/s",
            f"{peer} fed pool by pool",
            n / sorted_seconds,
        ),
        # 20 bytes of sorted columns in and 8 of cost out; layers are written over what was read.
        Figure(f"history {method.label}, bytes", 28 * n / seconds, "bytes/s", "a copy in memory", copy),
    ]


def _copy_bytes_a_second(size: int) -> float:
    """Bytes read and written a second by a copy that reads and writes `size` bytes together."""
    source, target = np.ones(size // 16, np.int64), np.zeros(size // 16, np.int64)

    def seconds() -> float:
        began = time.thread_time()
        np.copyto(target, source)
        return time.thread_time() - began

    return size / min(seconds() for _ in range(ROUNDS))


def _sorting(stream: Stream) -> list[Figure]:
    """The counting sort into pools, and back into the order of movements."""
    prepared = _Prepared(stream, Method.FIFO)
    one, n = prepared.segments, len(stream)
    target = np.zeros(n, np.int64)

    def there() -> float:
        counts, own_row = np.zeros(POOLS, np.int64), np.zeros(POOLS, np.int64)
        began = time.thread_time()
        history_kernels.count_by_pool(stream.pool, stream.qty, counts)
        history_kernels.sort_by_pool(
            stream.pool, stream.qty, stream.own, one.places(), own_row, one.qty, one.own, one.row
        )
        return time.thread_time() - began

    def back() -> float:
        began = time.thread_time()
        history_kernels.unsort(stream.pool, one.places(), prepared.cost, target)
        return time.thread_time() - began

    began = time.thread_time()
    np.argsort(stream.pool, kind="stable")
    argsort = n / (time.thread_time() - began)
    return [
        Figure(
            "history, sort by pool",
            n / min(there() for _ in range(ROUNDS)),
            "movements/s",
            "numpy argsort",
            argsort,
        ),
        Figure("history, back in order", n / min(back() for _ in range(ROUNDS)), "movements/s"),
    ]


def _two_cores(stream: Stream) -> Figure:
    prepared = _Prepared(stream, Method.FIFO)
    n_pools = len(prepared.pools.pool_id)

    def seconds(cores: int) -> float:
        arguments = prepared.arguments(links=False)
        segments = prepared.segments
        segments_of = _Spoilt(segments.starts, segments.stored, segments.size, *arguments[4:7])
        began = time.perf_counter()
        histories._run(segments_of, prepared.pools, prepared.state, prepared.cost, prepared.adjusted, None, cores)
        return time.perf_counter() - began

    one, two = (min(seconds(cores) for _ in range(ROUNDS)) for cores in (1, 2))
    return Figure(
        f"history fifo, two cores, {n_pools} pools", len(stream) / two, "movements/s", "one", len(stream) / one
    )


@dataclass
class _Spoilt:
    starts: np.ndarray
    stored: np.ndarray
    size: int
    qty: np.ndarray
    own: np.ndarray
    row: np.ndarray


def _through_the_front(stream: Stream) -> list[Figure]:
    """Everything that a caller waits for: sort, costs, links and layers, fresh memory, back in order."""
    prepared = _Prepared(stream, Method.FIFO)

    def seconds(links: bool) -> float:
        began = time.perf_counter()
        cost_histories(stream, prepared.pools, links=links)
        return time.perf_counter() - began

    return [
        Figure(
            f"history fifo, sorted and back{', with links' if links else ''}",
            len(stream) / min(seconds(links) for _ in range(3)),
            "movements/s",
        )
        for links in (False, True)
    ]


def _one_long_pool(method: Method) -> Figure:
    """Re-costing one pool of a million movements, warm, beside the general run that follows edges."""
    stream = warehouse_stream(ONE_POOL, 1)
    state = Pools.empty([0], [0], [method], [1]), Layers.empty(), LastCosts.empty([0])
    rows = stream.as_rows(np.arange(ONE_POOL))
    cost_histories(stream, *state, links=True)
    began = time.perf_counter()
    found = cost_histories(stream, *state, links=True)
    seconds = time.perf_counter() - began
    began = time.perf_counter()
    general = ordered_run.run(rows, *state)
    general_seconds = time.perf_counter() - began
    if not np.array_equal(found.final_cost(stream.qty), general.out_value + general.in_value):
        raise AssertionError(f"{method.label}: histories and the general run disagree")
    return Figure(
        f"re-cost one pool of 1 M, {method.label}", 1000 * seconds, "ms", "the general run", 1000 * general_seconds
    )


def _with_edges() -> list[Figure]:
    """The general run over the same kind of stream, without edges and with a transfer in ten."""
    stream = warehouse_stream(EDGES, POOLS // 10)
    n_pools = POOLS // 10
    state = (
        Pools.empty(np.arange(n_pools), np.zeros(n_pools), np.full(n_pools, Method.FIFO), np.ones(n_pools)),
        Layers.empty(),
        LastCosts.empty([0]),
    )
    plain = stream.as_rows(np.arange(EDGES))
    edged = Rows.of(EDGES, src=plain.src, dst=plain.dst.copy(), qty=plain.qty, own=plain.own)
    chance = np.random.default_rng(SEED)
    moved = np.flatnonzero((plain.src != NONE) & (chance.random(EDGES) < 0.133))  # a tenth of all
    edged.dst[moved] = (plain.src[moved] + chance.integers(1, n_pools, len(moved))) % n_pools
    rates = []
    for rows in (plain, edged):
        began = time.thread_time()
        ordered_run.run(rows, *state)
        rates.append(EDGES / (time.thread_time() - began))
    return [
        Figure("general run, fifo, no edges", rates[0], "movements/s"),
        Figure("general run, fifo, a tenth edges", rates[1], "movements/s", "without edges", rates[0]),
    ]


# ── In processes of their own ───────────────────────────────────────────────────────────────────────

_MEMORY = """
import json, sys
from pathlib import Path
import numpy as np
from cloud.domain.costing.histories import Stream, cost_histories
from cloud.domain.costing.methods import Method
from cloud.domain.costing.pools import Pools
from cloud.domain.costing.warm_up import warm_up

def status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name + ":"))

warm_up(whole_histories=True)
empty = status("VmRSS")
columns = [np.fromfile(Path(sys.argv[1]) / f"{name}.bin", np.int64) for name in ("pool", "qty", "own")]
n_pools = int(columns[0].max()) + 1
pools = Pools.empty(range(n_pools), range(n_pools), [int(sys.argv[2])] * n_pools, [1] * n_pools)
Path("/proc/self/clear_refs").write_text("5")
found = cost_histories(Stream(*columns), pools, links=sys.argv[3] == "links", cores=1)
out = [found.cost, *(getattr(found.layers, n) for n in found.layers.__slots__)]
out += [getattr(found.adjustments, n) for n in found.adjustments.__slots__]
sizes = {"inputs": sum(c.nbytes for c in columns), "out": sum(c.nbytes for c in out)}
print(json.dumps({"peak": status("VmHWM") - empty} | sizes))
"""


def _peak_memory(stream: Stream) -> list[Figure]:
    """The most that is held while a stream is costed, outputs not counted, beside the columns that came in.

    Linux only: elsewhere there is no figure.
    """
    if not Path("/proc/self/clear_refs").exists():
        return []
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        for name in ("pool", "qty", "own"):
            getattr(stream, name).tofile(Path(folder) / f"{name}.bin")
        for method in METHODS:
            told = json.loads(_python(_MEMORY, folder, str(int(method)), "none"))
            figures.append(
                Figure(
                    f"history {method.label}, peak memory",
                    (told["peak"] - told["out"]) / len(stream),
                    "bytes/movement",
                    "the input columns",
                    told["inputs"] / len(stream),
                )
            )
    return figures


_WARMTH = """
import time
began = time.perf_counter()
from cloud.domain.costing.warm_up import warm_up
warm_up(whole_histories=True)
print(time.perf_counter() - began)
"""


def _warmth() -> list[Figure]:
    """From the start of a program to warm kernels: compiled, and from the cache."""
    with tempfile.TemporaryDirectory() as folder:
        cold, warm = (float(_python(_WARMTH, NUMBA_CACHE_DIR=folder)) for _ in range(2))
    return [Figure("kernels warm, from the cache", 1000 * warm, "ms", "compiled anew", 1000 * cold)]


def _python(script: str, *arguments: str, **environment: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env=os.environ | environment,
        check=True,
        capture_output=True,
        text=True,
    ).stdout


# ── Plain Python ────────────────────────────────────────────────────────────────────────────────────
# Movements in time order → the value that each took or brought in. Shortages cost what the pool's last take or receipt
# did, and the next receipts fill them, as in the kernel; what that changes about earlier costs is not kept. Written as
# one would for speed without leaving Python: one loop, plain lists, no calls that could be spared.


def plain_fifo(pools: list[int], moves: list[int], own: list[int]) -> list[int]:
    """A deque of layers for each pool, taken from the left."""
    n = max(pools) + 1
    queues: list[deque[list[int]]] = [deque() for _ in range(n)]
    short, last_value, last_qty = [0] * n, [0] * n, [1] * n
    costs = []
    for pool, qty, value in zip(pools, moves, own, strict=True):
        layers = queues[pool]
        if qty > 0:
            costs.append(value)
            last_value[pool], last_qty[pool] = value, qty
            if short[pool]:
                qty, value = _fill(pool, qty, value, short)
            if qty:
                layers.append([qty, value])
            continue
        need, taken = -qty, 0
        while need and layers:
            layer = layers[0]
            take, part = layer
            if need >= take:
                layers.popleft()
            else:
                part = (2 * part * need + take) // (2 * take)
                layer[0] -= need
                layer[1] -= part
                take = need
            need -= take
            taken += part
            last_value[pool], last_qty[pool] = part, take
        if need:
            short[pool] += need
            taken += (2 * last_value[pool] * need + last_qty[pool]) // (2 * last_qty[pool])
        costs.append(taken)
    return costs


def plain_lifo(pools: list[int], moves: list[int], own: list[int]) -> list[int]:
    """A deque of layers for each pool, taken from the right."""
    n = max(pools) + 1
    queues: list[deque[list[int]]] = [deque() for _ in range(n)]
    short, last_value, last_qty = [0] * n, [0] * n, [1] * n
    costs = []
    for pool, qty, value in zip(pools, moves, own, strict=True):
        layers = queues[pool]
        if qty > 0:
            costs.append(value)
            last_value[pool], last_qty[pool] = value, qty
            if short[pool]:
                qty, value = _fill(pool, qty, value, short)
            if qty:
                layers.append([qty, value])
            continue
        need, taken = -qty, 0
        while need and layers:
            layer = layers[-1]
            take, part = layer
            if need >= take:
                layers.pop()
            else:
                part = (2 * part * need + take) // (2 * take)
                layer[0] -= need
                layer[1] -= part
                take = need
            need -= take
            taken += part
            last_value[pool], last_qty[pool] = part, take
        if need:
            short[pool] += need
            taken += (2 * last_value[pool] * need + last_qty[pool]) // (2 * last_qty[pool])
        costs.append(taken)
    return costs


def plain_average(pools: list[int], moves: list[int], own: list[int]) -> list[int]:
    """Quantity and value of each pool."""
    n = max(pools) + 1
    held, worth, short, last_value, last_qty = [0] * n, [0] * n, [0] * n, [0] * n, [1] * n
    costs = []
    for pool, qty, value in zip(pools, moves, own, strict=True):
        have = held[pool]
        if qty > 0:
            costs.append(value)
            last_value[pool], last_qty[pool] = value, qty
            if short[pool]:
                qty, value = _fill(pool, qty, value, short)
            if qty:
                held[pool] = last_qty[pool] = have + qty
                worth[pool] += value
                last_value[pool] = worth[pool]
            continue
        need, taken = -qty, 0
        if have:
            take = need if need < have else have
            taken = (2 * worth[pool] * take + have) // (2 * have)
            held[pool] = have - take
            worth[pool] -= taken
            last_value[pool], last_qty[pool] = taken, take
            need -= take
        if need:
            short[pool] += need
            taken += (2 * last_value[pool] * need + last_qty[pool]) // (2 * last_qty[pool])
        costs.append(taken)
    return costs


def _fill(pool: int, qty: int, value: int, short: list[int]) -> tuple[int, int]:
    """What is left of a receipt when it has filled what was short."""
    filled = min(short[pool], qty)
    short[pool] -= filled
    return qty - filled, value - (2 * value * filled + qty) // (2 * qty)
