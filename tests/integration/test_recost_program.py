"""`tallygate jobs` as a process and as a thread: hears of commits, sweeps, rests, and ends when told."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cloud.domain.moments import moment_of
from cloud.jobs import recosting
from cloud.jobs.recosting import RecostingJob
from standalone.healthy import jobs as is_healthy
from tests.late_goods import arrive, buy, sell
from tests.makers import Warehouse, make_warehouse

WAIT_S = 60.0
CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def warehouse(database: Any) -> Iterator[Warehouse]:
    with (
        psycopg.connect(database.owner_dsn, autocommit=True) as owner,
        psycopg.connect(database.dsn_of("tallygate_ingest"), autocommit=True) as ingest,
    ):
        made = make_warehouse(owner, ingest)
        yield made
        made.check()


@pytest.fixture
def service_dsn(database: Any) -> str:
    dsn: str = database.dsn_of("tallygate_ingest")
    return dsn


def eventually(question: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not question():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def marked(warehouse: Warehouse) -> int:
    return int(warehouse.fetch("SELECT count(*) FROM cost_pools WHERE late_from_us IS NOT NULL")[0][0])


def late(warehouse: Warehouse) -> None:
    """10 @ 5.00 of which 8 are sold, and then 10 @ 4.00 from before."""
    arrive(warehouse, [buy(1, 10, 5, 60), sell(2, 8, 120)])
    arrive(warehouse, [buy(3, 10, 4, 0)])
    assert marked(warehouse) == 1


def program(dsn: str, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "tallygate", "jobs", *arguments],
        cwd=CHECKOUT,
        env=os.environ | {"TALLYGATE_DSN": dsn},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def job(dsn: str) -> Iterator[RecostingJob]:
    made = RecostingJob(dsn, "test")
    thread = threading.Thread(target=made.run, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.stop.set()
        thread.join(WAIT_S)
        assert not thread.is_alive()


def test_once_brings_to_rest_what_waits_and_ends(warehouse: Warehouse, service_dsn: str) -> None:
    late(warehouse)
    ended = program(service_dsn, "--once")
    out, err = ended.communicate(timeout=WAIT_S)
    assert ended.returncode == 0, err
    assert out == ""
    assert "a component is at rest" in err
    assert marked(warehouse) == 0
    assert warehouse.accounts() == {"goods": 58.0, "cogs": 32.0, "grni": -90.0}


def test_it_ends_cleanly_when_told(
    warehouse: Warehouse, service_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    late(warehouse)
    running = program(service_dsn)
    monkeypatch.setenv("TALLYGATE_DSN", service_dsn)
    eventually(lambda: marked(warehouse) == 0)
    assert is_healthy("")
    running.send_signal(signal.SIGTERM)
    _, err = running.communicate(timeout=WAIT_S)
    assert running.returncode == 0, err
    assert "jobs stopped" in err


def test_a_commit_is_heard_at_once_and_not_only_swept(
    warehouse: Warehouse, service_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recosting, "SWEEP_S", 10_000.0)
    with job(service_dsn):
        eventually(lambda: _listens(warehouse))
        late(warehouse)
        eventually(lambda: marked(warehouse) == 0)


def _listens(warehouse: Warehouse) -> bool:
    """Sessions of one role see what each other last asked."""
    query = (
        "SELECT 1 FROM pg_stat_activity WHERE application_name = 'tallygate jobs' AND datname = current_database()"
        " AND state = 'idle' AND query NOT LIKE 'LISTEN%'"
    )
    return warehouse.ingest.execute(query).fetchone() is not None


def test_what_no_hint_told_is_swept(
    warehouse: Warehouse, service_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recosting, "SWEEP_S", 0.2)
    monkeypatch.setattr(recosting, "CHANNEL", "nobody_tells")
    with job(service_dsn):
        late(warehouse)
        eventually(lambda: marked(warehouse) == 0)


def test_a_component_rests_for_its_time_and_then_has_its_turn(
    warehouse: Warehouse, service_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recosting, "SWEEP_S", 0.1)
    with job(service_dsn) as running:
        late(warehouse)
        eventually(lambda: marked(warehouse) == 0)
        arrive(warehouse, [buy(4, 1, 9, 30)])
        sweeps = running.counters["swept"]
        eventually(lambda: running.counters["swept"] >= sweeps + 3)
        assert marked(warehouse) == 1
        monkeypatch.setattr(recosting, "REST_S", 0.0)
        eventually(lambda: marked(warehouse) == 0)


def test_goods_that_are_never_late_are_snapshotted_on_the_way(
    warehouse: Warehouse, service_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recosting, "SWEEP_S", 0.1)
    monkeypatch.setattr(recosting, "now", lambda: moment_of(warehouse.clock_us))
    made = RecostingJob(service_dsn, "test", every=5)
    thread = threading.Thread(target=made.run, daemon=True)
    thread.start()
    try:
        eventually(lambda: made.counters["swept"] > 0)
        for number in range(1, 7):
            arrive(warehouse, [buy(number, 1, 4, number)])
        eventually(lambda: bool(warehouse.fetch("SELECT 1 FROM cost_cuts")))
    finally:
        made.stop.set()
        thread.join(WAIT_S)


def test_a_database_that_comes_back_finds_the_job_at_work(warehouse: Warehouse, service_dsn: str) -> None:
    with job(service_dsn) as running:
        eventually(lambda: _listens(warehouse))
        warehouse.ingest.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tallygate jobs'"
            " AND datname = current_database()"
        )
        eventually(lambda: running.counters["database_lost"] > 0)
        late(warehouse)
        eventually(lambda: marked(warehouse) == 0)


def test_a_component_that_cannot_be_recosted_is_told_and_does_not_hold_up_others(
    warehouse: Warehouse, service_dsn: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A pool whose books were changed behind the back."""
    late(warehouse)
    arrive(warehouse, [buy(4, 10, 5, 60, item="LAMP")])
    arrive(warehouse, [buy(5, 10, 4, 0, item="LAMP")])
    bolts = warehouse.items["BOLT"]
    warehouse.owner.execute(
        "UPDATE cost_pools SET value = value + 10000, posted = posted + 1 WHERE item_id = %s", [bolts]
    )
    assert RecostingJob(service_dsn, "test").once() == 1
    assert "a component cannot be re-costed" in caplog.text
    assert warehouse.fetch("SELECT item_id FROM cost_pools WHERE late_from_us IS NOT NULL") == [(bolts,)]
    warehouse.owner.execute(
        "UPDATE cost_pools SET value = value - 10000, posted = posted - 1 WHERE item_id = %s", [bolts]
    )
    assert RecostingJob(service_dsn, "test").once() == 0


def test_a_period_is_settled_by_the_verb(warehouse: Warehouse, service_dsn: str) -> None:
    warehouse.owner.execute("UPDATE items SET method = 'periodic_average' WHERE code = 'BOLT'")
    arrive(warehouse, [buy(1, 10, 4, 0), sell(2, 5, 60), buy(3, 10, 6, 120)])
    refused = program(service_dsn, "settle", "demo", "--period", "2026-09")
    _, err = refused.communicate(timeout=WAIT_S)
    assert (refused.returncode, "expected it to be soft-closed, got open" in err) == (2, True)
    warehouse.close(202609, "soft_closed")
    done = program(service_dsn, "settle", "demo", "--period", "2026-09")
    out, err = done.communicate(timeout=WAIT_S)
    assert done.returncode == 0, err
    assert out == "demo 202609 is settled: 1 pools, 1 adjusting costs\n"
    assert warehouse.accounts() == {"goods": 75.0, "cogs": 25.0, "grni": -100.0}
