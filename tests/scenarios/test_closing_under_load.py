"""Stories of a close while gateways go on: nothing waits for ever, nothing is missed, a lock has nothing behind it."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from cloud.domain.movement import Kind
from cloud.flows.ledger.close_period import ATTEMPTS, lock, soft_close
from cloud.flows.record_batch import record_batch
from cloud.flows.recost import recost_company
from tests.late_goods import arrive, buy, sell
from tests.makers import SECOND_US, TEST_LEASE, GatewayLog, Warehouse, epc
from tests.valuing import at

pytestmark = pytest.mark.editions

DAY_S = 86_400
AUGUST_S = -30 * DAY_S  # 22 August; noon of the tests is on 21 September
AUGUST = 202608
WAIT_S = 60.0
BY = "Wang Fang"


@pytest.fixture
def dsn_of_ingest(warehouse: Warehouse, postgres_server: Any) -> str:
    return str(postgres_server.dsn(warehouse.owner.info.dbname, "tallygate_ingest"))


@pytest.fixture(autouse=True)
def nothing_enters_a_locked_period(warehouse: Warehouse) -> Iterator[None]:
    """What is dated into locked periods is below the heads that stood when they were locked."""
    yield
    assert warehouse.fetch(
        "SELECT count(*) FROM journal_entries e"
        "  JOIN period_events p ON p.company_id = e.company_id AND p.period_id = e.period_id AND p.to_state = 'locked'"
        " WHERE e.batch_no > coalesce((p.heads ->> e.lane::text)::bigint, 0)"
    ) == [(0,)]


class Gateway:
    """A gateway whose outbox never runs dry: pallets of August and of today, one message each."""

    def __init__(self, warehouse: Warehouse, dsn: str, number: int) -> None:
        gateway, lane = warehouse.gateways["gw-1"]
        self.log = GatewayLog(gateway, (lane + number) % 16)
        self.company_id = warehouse.company_id
        self.applied = 0
        self._dsn = dsn
        self._first_tag = 10_000 * (number + 1)

    def run(self, stop: threading.Event) -> None:
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            while not stop.is_set():
                self.send(connection)

    def send(self, connection: psycopg.Connection) -> None:
        """One more pallet, late or not in turns."""
        at_s = (AUGUST_S if self.applied % 2 else 0) + self.applied
        self.log.passage(epc(self._first_tag + self.applied), "in", at_s)
        self.applied += 1
        message = self.log.message(self.applied, received_us=at(at_s + 60))
        record_batch(connection, self.company_id, [message], TEST_LEASE, at(at_s) + self.applied * SECOND_US)


@contextmanager
def gateways(warehouse: Warehouse, dsn: str, count: int) -> Iterator[list[Gateway]]:
    """So many of them at work beside each other; whatever goes wrong in one is raised at the end."""
    made = [Gateway(warehouse, dsn, number) for number in range(count)]
    warehouse.owner.execute(
        "INSERT INTO tags (company_id, epc, item_id, qty_micro)"
        " SELECT %s, 'E280' || lpad(upper(to_hex(n)), 20, '0'), %s, 1000000 FROM generate_series(1, 60000) n",
        [warehouse.company_id, warehouse.items["BOLT"]],
    )
    stop = threading.Event()
    with ThreadPoolExecutor(count) as threads:
        running: list[Future[None]] = [threads.submit(one.run, stop) for one in made]
        try:
            yield made
        finally:
            stop.set()
            for one in running:
                one.result(timeout=WAIT_S)


def test_a_period_closes_and_locks_while_gateways_write_into_it_without_a_pause(
    warehouse: Warehouse, dsn_of_ingest: str
) -> None:
    """given three gateways whose batches overlap for ever; when August is soft-closed and locked, both end, no batch
    fails or is missed, and what comes behind the lock is September's, late."""
    arrive(warehouse, [buy(1, 10, 4, AUGUST_S), sell(2, 4, AUGUST_S + 600)])
    with gateways(warehouse, dsn_of_ingest, 3) as writers:
        wait_for(lambda: all(one.applied > 5 for one in writers))
        soft_close(warehouse.owner, warehouse.company_id, AUGUST, by=BY)
        before = [one.applied for one in writers]
        wait_for(lambda: all(one.applied > n + 5 for one, n in zip(writers, before, strict=True)))
        lock(warehouse.owner, warehouse.company_id, AUGUST, by=BY, force=True, reason="clarified by hand")
        before = [one.applied for one in writers]
        wait_for(lambda: all(one.applied > n + 5 for one, n in zip(writers, before, strict=True)))
    sent = sum(one.applied for one in writers)
    assert warehouse.fetch("SELECT count(*) FROM observations") == [(sent,)]
    assert warehouse.fetch("SELECT sum(applied_seq) FROM gateway_logs") == [(sent,)]
    recost_company(warehouse.ingest, warehouse.company_id, "test")
    [(locked, late)] = warehouse.fetch(
        "SELECT count(*) FILTER (WHERE period_id = 202608), count(*) FILTER (WHERE period_id = 202609 AND tags & 1 = 1)"
        "  FROM journal_entries"
    )
    assert min(locked, late) > 0
    assert warehouse.fetch("SELECT state FROM periods WHERE period_id = 202608") == [("locked",)]


def wait_for(done: Any) -> None:
    """Until it is so, or a named time is over."""
    deadline = threading.Event()
    timer = threading.Timer(WAIT_S, deadline.set)
    timer.start()
    try:
        while not done():
            assert not deadline.wait(0.01), "the gateways stand still"
    finally:
        timer.cancel()


@pytest.mark.parametrize("events", [1, ATTEMPTS - 1, ATTEMPTS])
def test_what_comes_between_checklist_and_lock_is_in_the_period_and_in_its_report(
    warehouse: Warehouse, dsn_of_ingest: str, events: int
) -> None:
    """given a late event before each of so many attempts; when August is locked, the last attempt has it alone, and
    the report that is kept adds up to the books."""
    arrive(warehouse, [buy(1, 10, 4, AUGUST_S), sell(2, 4, AUGUST_S + 600)])
    soft_close(warehouse.owner, warehouse.company_id, AUGUST, by=BY)
    attempts: list[int] = []
    gateway = Gateway(warehouse, dsn_of_ingest, 0)
    for number in range(events):
        warehouse.tag(10_000 + number)

    def late_event(attempt: int) -> None:
        attempts.append(attempt)
        if attempt <= events:
            at_s = AUGUST_S + 1200 + attempt
            gateway.log.passage(epc(10_000 + attempt - 1), "in", at_s)
            message = gateway.log.message(attempt, received_us=at(at_s + 60))
            record_batch(warehouse.ingest, warehouse.company_id, [message], TEST_LEASE, at(at_s))

    closed = lock(warehouse.owner, warehouse.company_id, AUGUST, by=BY, on_attempt=late_event)
    assert attempts == list(range(1, min(events + 1, ATTEMPTS) + 1))
    assert closed.passed
    assert warehouse.fetch("SELECT count(*) FROM movements WHERE kind = %s", int(Kind.UNEXPLAINED_IN)) == [
        (events,)
    ]
    [(debit,)] = warehouse.fetch("SELECT sum(debit) FROM turnovers WHERE period_id = 202608")
    assert closed.report["debit"] == f"{debit / 100:.2f}"
    assert warehouse.fetch("SELECT count(*) FROM voucher_numbers WHERE period_id = 202608") == warehouse.fetch(
        "SELECT count(*) FROM journal_entries WHERE period_id = 202608"
    )


def test_a_batch_that_waits_for_the_lock_sees_it(warehouse: Warehouse, dsn_of_ingest: str) -> None:
    """given a lock that is not committed; when a gateway writes of August, it waits, and goes on to September."""
    warehouse.close(AUGUST, "soft_closed")
    gateway = Gateway(warehouse, dsn_of_ingest, 0)
    gateway.applied = 1  # an odd one is of August
    gateway.log.passage(warehouse.tag(1), "in", AUGUST_S - 1)
    warehouse.tag(10_001)
    with ThreadPoolExecutor(1) as threads, psycopg.connect(dsn_of_ingest, autocommit=True) as connection:
        record_batch(connection, warehouse.company_id, [gateway.log.message(1, received_us=at(AUGUST_S))], TEST_LEASE,
                     at(AUGUST_S))  # fmt: skip
        with warehouse.owner.transaction():
            warehouse.owner.execute("SELECT change_period(company_id, period_id, 'locked', 'Mei', '') FROM"
                                    " (SELECT * FROM periods WHERE period_id <= 202608 ORDER BY 1, 2) p")  # fmt: skip
            waiting = threads.submit(gateway.send, connection)
            wait_for(lambda: warehouse.fetch("SELECT count(*) FROM pg_locks WHERE NOT granted")[0][0] > 0)
        waiting.result(timeout=WAIT_S)
    assert warehouse.fetch("SELECT posting_date::text FROM cost_entries WHERE posting_date >= '2026-09-01'") != []


def test_two_who_lock_at_once_lock_once(warehouse: Warehouse, postgres_server: Any) -> None:
    arrive(warehouse, [buy(1, 10, 4, AUGUST_S)])
    soft_close(warehouse.owner, warehouse.company_id, AUGUST, by=BY)
    dsn = postgres_server.dsn(warehouse.owner.info.dbname, "tallygate_api")

    def lock_it(name: str) -> bool:
        with psycopg.connect(dsn, autocommit=True) as connection:
            return lock(connection, warehouse.company_id, AUGUST, by=name).changed

    with ThreadPoolExecutor(2) as threads:
        changed = [one.result(timeout=WAIT_S) for one in [threads.submit(lock_it, name) for name in ("Mei", "Li")]]
    assert sorted(changed) == [False, True]
    assert warehouse.fetch(
        "SELECT count(*) FROM period_events WHERE period_id = 202608 AND to_state = 'locked'"
    ) == [(1,)]
