"""Two real worker processes: one dies or sleeps, the other has its lanes within 15 s, and nothing is booked twice."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.ingesting import Gateway, cloud_on, eventually, write

pytestmark = pytest.mark.database

CHECKOUT = Path(__file__).resolve().parents[3]
LANES_MOVE_S = 15.0  # ARCHITECTURE.md, "Lanes"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0
LANES = 16


@contextmanager
def worker(cloud: Any, name: str, log: Path, **environment: str) -> Iterator["subprocess.Popen[bytes]"]:
    """`tallygate ingest`, as a supervisor would start it."""
    broker = cloud.settings
    told = {
        "TALLYGATE_DSN": cloud.ingest_dsn,
        "TALLYGATE_MQTT_HOST": broker.host,
        "TALLYGATE_MQTT_PORT": str(broker.port),
        "TALLYGATE_MQTT_USER": broker.user,
        "TALLYGATE_MQTT_PASSWORD": broker.password,
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "tallygate.py", "ingest", "--name", name],
            cwd=CHECKOUT, stderr=output, env={**os.environ, **told, **environment},
        )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_TIMEOUT_S)


def held(cloud: Any) -> dict[str, int]:
    """How many lanes each worker holds."""
    rows = cloud.warehouse.fetch(
        "SELECT worker, count(*) FROM lane_leases WHERE expires_at > now() GROUP BY worker"
    )
    return dict(rows)


def wait_for(question: Callable[[], bool], seconds: float) -> float:
    """Seconds that it took."""
    began_s = time.monotonic()
    while not question():
        assert time.monotonic() - began_s < seconds, f"waited {seconds} s in vain"
        time.sleep(0.05)
    return time.monotonic() - began_s


@pytest.fixture
def cloud(database: Any, broker: Any) -> Iterator[Any]:
    with cloud_on(database, broker) as made:
        yield made


@pytest.fixture
def gateway(cloud: Any) -> Iterator[Gateway]:
    made = Gateway(cloud.broker)
    yield made
    made.close()


def owner_of_the_gateway(cloud: Any) -> str:
    [(name,)] = cloud.warehouse.fetch(
        "SELECT worker FROM lane_leases WHERE lane = %s AND expires_at > now()", cloud.warehouse.log.lane
    )
    return str(name)


def test_the_lanes_of_a_killed_worker_move_within_15_s(cloud: Any, gateway: Gateway, tmp_path: Path) -> None:
    log = write(cloud.warehouse, 4)
    with ExitStack() as running:
        workers = {name: running.enter_context(worker(cloud, name, tmp_path / name)) for name in ("a", "b")}
        wait_for(lambda: held(cloud) == {"a": LANES // 2, "b": LANES // 2}, START_TIMEOUT_S)
        gateway.send(log.payload(1, 2))
        gateway.until(log.epoch, 2)
        dead = owner_of_the_gateway(cloud)
        survivor = "b" if dead == "a" else "a"
        workers[dead].kill()
        gateway.send(log.payload(3, 4))  # to nobody: the survivor has no right to it yet
        wait_for(lambda: held(cloud) == {survivor: LANES}, LANES_MOVE_S)
        gateway.until(log.epoch, 2)  # the new one tells how far the cloud is, and the gateway sends the rest again
        gateway.send(log.payload(3, 4))
        gateway.until(log.epoch, 4)
        assert len(cloud.warehouse.outcomes()) == 4


def test_a_worker_that_slept_over_its_lease_books_nothing(cloud: Any, gateway: Gateway, tmp_path: Path) -> None:
    """What it heard before it slept is in its hands when it wakes; the database does not take it any more."""
    log = write(cloud.warehouse, 6)
    with ExitStack() as running:
        workers = {
            name: running.enter_context(worker(cloud, name, tmp_path / name, TALLYGATE_LEASE_S="1.5"))
            for name in ("a", "b")
        }
        wait_for(lambda: held(cloud) == {"a": LANES // 2, "b": LANES // 2}, START_TIMEOUT_S)
        gateway.send(log.payload(1, 2))
        gateway.until(log.epoch, 2)
        sleeper = owner_of_the_gateway(cloud)
        survivor = "b" if sleeper == "a" else "a"
        workers[sleeper].send_signal(signal.SIGSTOP)
        gateway.send(log.payload(3, 4))
        wait_for(lambda: held(cloud) == {survivor: LANES}, LANES_MOVE_S)
        gateway.send(log.payload(3, 6))
        gateway.until(log.epoch, 6)
        workers[sleeper].send_signal(signal.SIGCONT)
        wait_for(
            lambda: held(cloud).get(sleeper, 0) == LANES // 2, LANES_MOVE_S
        )  # it gets its share back in peace
        eventually(lambda: workers[sleeper].poll() is None)
        assert len(cloud.warehouse.outcomes()) == 6
    # Messages 3 to 4 came to the sleeper too: nothing of them is on the books a second time.
    assert cloud.warehouse.fetch("SELECT count(*), count(DISTINCT seq) FROM observations") == [(6, 6)]
