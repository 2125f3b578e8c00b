"""How long a movement takes from the gateway's disk to the books while nothing else is to be done.

A gateway's own outbox and uplink, mosquitto, one ingest worker, PostgreSQL with fsync. Movements come one at a time,
at random moments; the clock runs from the outbox's return (the movement is on the disk) to the notification of the
commit that has its number.
"""

import asyncio
import random
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psycopg

from edge.heartbeat import Heartbeat
from edge.outbox.on_thread import OutboxOnThread
from edge.outbox.outbox import NewMovement
from edge.settings import BrokerSettings
from edge.uplink import Uplink
from protocols.wire.topics import GatewayAddress
from tests.benchmarks.figure import Figure
from tests.benchmarks.ingest import NAMES, TIMEOUT_S, House, bench_house, epc_of

MOVEMENTS = 400
A_SECOND = 20
SEED = 20
LIMIT_MS = 250.0  # p99, from the outbox's return to the commit


def measure_online() -> list[Figure]:
    """Median and 99th percentile, in milliseconds, against the limit."""
    with bench_house(1) as house, house.working(), tempfile.TemporaryDirectory() as folder:
        took_ms = asyncio.run(_measure(house, Path(folder)))
    half, most = np.percentile(took_ms, [50, 99])
    return [
        Figure("online, fsync to commit, p50", float(half), "ms", "the limit", LIMIT_MS),
        Figure("online, fsync to commit, p99", float(most), "ms", "the limit", LIMIT_MS),
    ]


async def _measure(house: House, folder: Path) -> list[float]:
    """The milliseconds that each movement took; the first tenth warms caches up and is left out."""
    password = folder / "password"
    password.write_text(house.passwords[NAMES[0]])
    outbox = await OutboxOnThread.open(folder / "outbox.db")
    broker = BrokerSettings(host=house.broker.host, port=house.broker.port, user=NAMES[0], password_file=password)
    uplink = Uplink(GatewayAddress("bench", "MAIN", NAMES[0]), broker, outbox, Heartbeat(outbox, "bench"))
    joined = asyncio.Event()
    serving = asyncio.create_task(uplink.serve(joined.set))
    commits = _Commits(house.owner.info.dsn + f" password={house.owner.info.password}")
    try:
        await asyncio.wait_for(joined.wait(), TIMEOUT_S)
        written_s = []
        wait = random.Random(SEED)
        for number in range(MOVEMENTS):
            await asyncio.sleep(wait.expovariate(A_SECOND))
            await outbox.append([_movement(number)])
            written_s.append(time.monotonic())
            uplink.appended()
        committed_s = await asyncio.to_thread(commits.until, MOVEMENTS)
    finally:
        serving.cancel()
        await asyncio.wait([serving], timeout=TIMEOUT_S)
        await outbox.close()
        commits.close()
    return [1000 * (b - a) for a, b in zip(written_s, committed_s, strict=True)][MOVEMENTS // 10 :]


def _movement(number: int) -> NewMovement:
    """Tags go in and out again, one crossing each second or so."""
    tag, crossing = number % 50, number // 50
    return NewMovement(
        occurred_at_us=time.time_ns() // 1000, kind="passage", gate="dock-0", epc=epc_of(tag),
        direction="out" if crossing % 2 else "in", confidence=0.95, evidence={"reason": "outside before inside"},
    )  # fmt: skip


class _Commits:
    """Listens to commits on a thread, and notes when each number of the log was applied."""

    def __init__(self, dsn: str) -> None:
        self._connection = psycopg.connect(dsn, autocommit=True)
        self._connection.execute("LISTEN tallygate_commits")
        self._at_s: list[float] = []
        self._all = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def until(self, applied: int) -> list[float]:
        """Moments (monotonic) at which the numbers 1 … applied were committed. Raises TimeoutError."""
        deadline_s = time.monotonic() + TIMEOUT_S
        while len(self._at_s) < applied:
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"{len(self._at_s)} of {applied} committed after {TIMEOUT_S} s")
            self._all.wait(0.01)
        return self._at_s[:applied]

    def close(self) -> None:
        self._all.set()
        self._thread.join(TIMEOUT_S)
        self._connection.close()

    def _listen(self) -> None:
        while not self._all.is_set():
            if not list(self._connection.notifies(timeout=0.2, stop_after=1)):
                continue
            now_s = time.monotonic()
            row = self._connection.execute("SELECT coalesce(sum(applied_seq), 0) FROM gateway_logs").fetchone()
            applied = int(row[0]) if row else 0
            self._at_s += [now_s] * (applied - len(self._at_s))
