"""`tallygate jobs` brings balance snapshots forward: once, all the time, and again when the database is back."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from cloud.jobs import balance_keeping
from cloud.jobs.balance_keeping import BalanceKeeping
from cloud.jobs.program import main
from tests.late_goods import arrive, buy
from tests.makers import Warehouse, make_warehouse

WAIT_S = 60.0


@pytest.fixture
def warehouse(database: Any) -> Iterator[Warehouse]:
    with (
        psycopg.connect(database.owner_dsn, autocommit=True) as owner,
        psycopg.connect(database.dsn_of("tallygate_ingest"), autocommit=True) as ingest,
    ):
        made = make_warehouse(owner, ingest)
        arrive(made, [buy(number, 10, 4, 60 * number) for number in range(1, 6)])
        yield made
        made.check()


def held(warehouse: Warehouse) -> int:
    [(moved,)] = warehouse.fetch("SELECT coalesce(sum(moved), 0)::bigint FROM balance_snapshots WHERE clock = 1")
    return int(moved)


def eventually(question: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not question():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


@contextmanager
def running(dsn: str) -> Iterator[BalanceKeeping]:
    job = BalanceKeeping(dsn)
    thread = threading.Thread(target=job.run)
    thread.start()
    try:
        yield job
    finally:
        job.stop.set()
        thread.join(WAIT_S)
    assert not thread.is_alive()


def test_once_brings_in_all_that_waits(
    warehouse: Warehouse, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TALLYGATE_DSN", database.dsn_of("tallygate_ingest"))
    assert main(["--once"]) == 0
    assert held(warehouse) == 5
    assert BalanceKeeping(database.dsn_of("tallygate_ingest")).once() == 0


def test_little_waits_and_much_does_not(
    warehouse: Warehouse, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(balance_keeping, "LONG_S", 1e12)  # what tests record was long ago
    monkeypatch.setattr(balance_keeping, "LOOK_S", 0.05)
    monkeypatch.setattr(balance_keeping, "ENOUGH_MOVEMENTS", 7)
    with running(database.dsn_of("tallygate_ingest")) as job:
        eventually(lambda: job.counters["balances_looked"] > 1)
        assert held(warehouse) == 0
        arrive(warehouse, [buy(number, 10, 4, 60 * number) for number in range(6, 9)])
        eventually(lambda: held(warehouse) == 8)
    assert job.counters["balance_movements_kept"] == 8


def test_what_has_waited_long_is_brought_in_however_little(warehouse: Warehouse, database: Any) -> None:
    with running(database.dsn_of("tallygate_ingest")):
        eventually(lambda: held(warehouse) == 5)


def test_it_goes_on_when_the_database_is_back(
    warehouse: Warehouse, database: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(balance_keeping, "LOOK_S", 0.05)
    with running(database.dsn_of("tallygate_ingest")) as job:
        eventually(lambda: held(warehouse) == 5)
        with psycopg.connect(database.server.superuser_dsn, autocommit=True) as superuser:
            ended = (
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tallygate jobs'"
            )
            assert superuser.execute(ended).fetchall()
        eventually(lambda: job.counters["balances_not_kept"] > 0)
        arrive(warehouse, [buy(9, 10, 4, 600)])
        eventually(lambda: held(warehouse) == 6)
    said = [record.getMessage() for record in caplog.records if "balance snapshots" in record.getMessage()]
    assert said[0] == "balance snapshots cannot be kept up"


def test_a_second_job_finds_nothing_to_do(warehouse: Warehouse, database: Any) -> None:
    dsn = database.dsn_of("tallygate_ingest")
    assert [BalanceKeeping(dsn, step=2).once() for _ in range(2)] == [5, 0]
