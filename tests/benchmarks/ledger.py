"""The ledger: entries and lines a second, what its checks cost, workers beside each other, the close of a month.

Each against a peer in the same run on the same server: binary COPY of the same rows into copies of the tables
without triggers; the same batches with the checks switched off; one worker; the limit that a close has.
fsync is on.
"""

import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import psycopg

from cloud.domain.batch import Company
from cloud.domain.catalog import Item
from cloud.domain.company import CompanySettings, Site, Zone
from cloud.domain.movement import MICRO, NONE, Kind, MovementColumns
from cloud.flows.book_movements import book
from cloud.flows.ledger.close_period import lock, soft_close
from cloud.flows.set_up_company import CompanyDescription, apply_description
from cloud.flows.verify import verify
from cloud.store.batches import close_batch, load_company, open_batch
from cloud.store.master import item_ids, locations
from cloud.store.migrate import SERVICE_ROLES, migrate
from standalone.postgres import OWNER, Postgres, find_binaries
from tests.benchmarks.copied import copy_rate
from tests.benchmarks.figure import Figure

ITEMS = 400
BATCH = 10_000
BATCHES = 12  # measured; as many again with the checks off
WORKERS = (1, 2, 4)
WORKER_BATCHES = 8
CLOSED = 1_000_000  # movements of the month that is closed
CLOSE_LIMIT_S = 60.0
TIMEOUT_S = 600.0

WRITTEN = ("movements", "cost_entries", "consumption_links", "journal_entries", "journal_lines")
CHECKS = (
    ("journal_lines", "lines_checked"), ("journal_entries", "entries_checked"), ("cost_entries", "dates_checked"),
)  # fmt: skip

_DAY_US = 86_400_000_000


def measure_ledger() -> list[Figure]:
    """Everything that stands in the books' hot path, and the close of a month of 1 M movements."""
    figures = []
    with _house() as server, _books(server, "rate") as owner:
        figures += _measure_rate(owner)
    with _house() as server:
        figures += _measure_workers(server)
    with _house() as server, _books(server, "month") as owner:
        figures += _measure_close(owner)
    return figures


# ── Rate and checks ─────────────────────────────────────────────────────────────────────────────────


def _measure_rate(owner: psycopg.Connection) -> list[Figure]:
    """The same stream of batches, every other one without the checks, so that both meet the same books."""
    books = _Books.of(owner, "rate")
    checked, unchecked = [], []
    books.write(0, BATCH)  # compiles, plans
    for number in range(2 * BATCHES):
        with_checks = number % 2 == 0
        _switch(owner, with_checks)
        (checked if with_checks else unchecked).append(books.write(number + 1, BATCH))
    _switch(owner, True)
    written = (2 * BATCHES + 1) * BATCH
    entries, lines = (_count(owner, table) / written for table in ("journal_entries", "journal_lines"))
    rate = BATCH / statistics.median(checked)
    checks = verify(owner)
    assert all(check.holds for check in checks), [check for check in checks if not check.holds]
    peer = copy_rate(owner, WRITTEN, written)
    return [
        Figure("ledger movements", rate, "movements/s", "binary COPY of the same rows", peer),
        Figure("ledger entries", rate * entries, "entries/s", "binary COPY of the same rows", peer * entries),
        Figure("ledger lines", rate * lines, "lines/s", "binary COPY of the same rows", peer * lines),
        Figure(
            "ledger checks", statistics.median(checked) * 1e6 / BATCH, "µs a movement",
            "the same batches without the checks", statistics.median(unchecked) * 1e6 / BATCH,
        ),
    ]  # fmt: skip


def _switch(owner: psycopg.Connection, on: bool) -> None:
    for table, trigger in CHECKS:
        owner.execute(f"ALTER TABLE {table} {'ENABLE' if on else 'DISABLE'} TRIGGER {trigger}")


def _count(owner: psycopg.Connection, table: str) -> int:
    row = owner.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608
    assert row
    return int(row[0])


# ── Workers ─────────────────────────────────────────────────────────────────────────────────────────


def _measure_workers(server: Postgres) -> list[Figure]:
    """1, 2 and 4 workers: each with goods of its own, then all with the same."""
    found: dict[str, float] = {}
    figures = []
    for shared in (False, True):
        for workers in WORKERS:
            name = f"{'shared' if shared else 'disjoint'} pools, {workers} worker{'s' * (workers > 1)}"
            found[name] = _run_workers(server, workers, shared)
            peer = f"{'shared' if shared else 'disjoint'} pools, 1 worker"
            figures.append(
                Figure(f"ledger {name}", found[name], "movements/s", None if workers == 1 else "one worker",
                       None if workers == 1 else found[peer])
            )  # fmt: skip
    return figures


def _run_workers(server: Postgres, workers: int, shared: bool) -> float:
    database = f"w{workers}{'s' if shared else 'd'}"
    with _books(server, database):
        context = multiprocessing.get_context("spawn")
        ready, go = context.Barrier(workers + 1), context.Event()
        processes = [
            context.Process(
                target=_work, args=(server.dsn(database, OWNER), database, n, workers, shared, ready, go)
            )
            for n in range(workers)
        ]
        for process in processes:
            process.start()
        ready.wait(TIMEOUT_S)
        began = time.perf_counter()
        go.set()
        for process in processes:
            process.join(TIMEOUT_S)
            assert process.exitcode == 0, f"a worker of {database} ended with {process.exitcode}"
        return workers * WORKER_BATCHES * BATCH / (time.perf_counter() - began)


def _work(dsn: str, code: str, number: int, workers: int, shared: bool, ready, go) -> None:
    """One worker's process: batches of its own lane, over all goods or its share of them."""
    with psycopg.connect(dsn, autocommit=True, options="-c plan_cache_mode=force_custom_plan") as connection:
        share = slice(None) if shared else slice(number, None, workers)
        books = _Books(connection, code, lane=number, share=share)
        books.write(0, BATCH)
        ready.wait(TIMEOUT_S)
        go.wait(TIMEOUT_S)
        for batch in range(WORKER_BATCHES):
            books.write(batch + 1, BATCH)


# ── The close ───────────────────────────────────────────────────────────────────────────────────────


def _measure_close(owner: psycopg.Connection) -> list[Figure]:
    """A month of 1 M movements: soft-closed with its checks and numbers, then locked.

    Every tenth batch has goods that come late, one good in fifty: the job keeps the others at rest as they come.
    """
    books = _Books.of(owner, "month")
    for number in range(CLOSED // BATCH):
        books.write(number, BATCH, late=number % 10 == 9)
    company, month = books.company.company_id, books.month
    began = time.perf_counter()
    soft_close(owner, company, month, by="bench")
    soft_s = time.perf_counter() - began
    lock(owner, company, month, by="bench")
    seconds = time.perf_counter() - began
    row = owner.execute("SELECT state FROM periods WHERE period_id = %s", [month]).fetchone()
    assert row == ("locked",), row
    return [
        Figure(f"close of {CLOSED:,} movements", seconds, "s", "the limit", CLOSE_LIMIT_S),
        Figure("of it, soft-close", soft_s, "s", "the whole", seconds),
    ]


# ── Books to write into ─────────────────────────────────────────────────────────────────────────────


class _Books:
    """Batches of receipts and shipments of last month, alternating by goods, through the one path to the books."""

    def __init__(
        self, connection: psycopg.Connection, code: str, lane: int = 0, share: slice = slice(None)
    ) -> None:
        self._connection = connection
        self._lane = lane
        with connection.cursor() as cursor:
            row = cursor.execute("SELECT company_id FROM companies WHERE code = %s", [code]).fetchone()
            assert row
            self.company: Company = load_company(cursor, row[0])
        items = sorted(item_ids(connection, self.company.company_id).values())[share]
        self._items = np.array(items, np.int64)
        places = locations(connection, self.company.company_id)
        self._places = {name: places[name].location_id for name in ("STORE", "SUPPLIER", "CUSTOMER")}
        first = (datetime.now(UTC).date().replace(day=1) - timedelta(days=1)).replace(day=1)
        self.month = first.year * 100 + first.month
        self._first_us = (first - date(1970, 1, 1)).days * _DAY_US + _DAY_US

    @classmethod
    def of(cls, owner: psycopg.Connection, code: str) -> "_Books":
        """On a connection that plans each time, as the services do."""
        owner.execute("SET plan_cache_mode = force_custom_plan")
        return cls(owner, code)

    def write(self, number: int, n: int, *, late: bool = False) -> float:
        """One batch; the seconds it took. Two of three pieces that come go again, at other prices each time."""
        columns = self._columns(number, n, late)
        began = time.perf_counter()
        with self._connection.transaction(), self._connection.cursor() as cursor:
            batch = open_batch(cursor, self.company, self._lane, time.time_ns() // 1000, "bench")
            booked = book(cursor, batch, columns)
            assert not booked.rejected, next(iter(booked.rejected.values()))
            close_batch(cursor, batch)
        return time.perf_counter() - began

    def _columns(self, number: int, n: int, late: bool) -> MovementColumns:
        row = np.arange(n)
        comes = row % 2 == 0
        nothing, ids = np.zeros(n, np.int64), np.zeros((n, 16), np.uint8)
        raw = np.random.default_rng(number * 16 + self._lane).integers(0, 256, (n, 16), np.uint8)
        raw[:, 6], raw[:, 8] = raw[:, 6] & 0x0F | 0x80, raw[:, 8] & 0x3F | 0x80
        item = row // 2 % len(self._items)
        at = self._first_us + (number * n + row) * 1_000
        if late:  # of one good in fifty
            at -= np.where(item % 50 == 0, _DAY_US // 2, 0)
        supplier, store, customer = (self._places[name] for name in ("SUPPLIER", "STORE", "CUSTOMER"))
        return MovementColumns(
            movement_id=raw,
            kind=np.where(comes, int(Kind.PURCHASE_RECEIPT), int(Kind.SALES_SHIPMENT)),
            item=self._items[item],
            qty=np.where(comes, 3 * MICRO, 2 * MICRO),
            from_id=np.where(comes, supplier, store), to_id=np.where(comes, store, customer),
            party=nothing, document=["BENCH"] * n, price=np.where(comes, 4_170_000 + row % 97 * 10_000, NONE),
            rate=np.full(n, 1_000_000_000), value=np.full(n, NONE), occurred_us=at, tags=nothing, gateway=nothing,
            seq=number * n + row, epoch=ids, corrects=ids, lot=nothing, original=ids, reason=[""] * n,
            dimension=nothing, currency=nothing, source_row=row,
        )  # fmt: skip


@contextmanager
def _house() -> Iterator[Postgres]:
    with tempfile.TemporaryDirectory(prefix="tallygate-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        server = Postgres(folder, find_binaries())
        server.start()
        try:
            server.ensure_login(OWNER, owns_schema=True)
            print(f"ledger on {server.binaries}", flush=True)
            yield server
        finally:
            server.stop()
            server.remove()


@contextmanager
def _books(server: Postgres, code: str) -> Iterator[psycopg.Connection]:
    server.ensure_database(code, OWNER)
    migrate(server.dsn(code, OWNER))
    for role in SERVICE_ROLES:
        server.ensure_login(role)
    with psycopg.connect(server.dsn(code, OWNER), autocommit=True) as owner:
        apply_description(
            owner,
            CompanyDescription(
                CompanySettings(code, "Bench", "CNY", "Asia/Shanghai", "ASBE"),
                (Site("MAIN", "Main", (Zone("STORE", "Store"),)),),
                items=tuple(
                    Item(f"ITEM-{n:04}", name_en=f"Item {n}", method="fifo" if n % 2 else "moving_average")
                    for n in range(ITEMS)
                ),
            ),
        )
        yield owner
