"""Locks are taken in one order by all (docs/guides/locks.md): who waits for one holds none that comes behind it."""

import hashlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg
import pytest

from cloud.domain.movement import MICRO, Kind
from cloud.flows.declare import Declared, declare_movements
from cloud.flows.set_standard import NewStandard, set_standards
from cloud.flows.write_down import Realisable, write_down
from tests.makers import NOON_US, Warehouse, make_warehouse
from tests.valuing import add_item, ask, at, move, receive

WAIT_S = 30.0
_keys = itertools.count()


@pytest.fixture
def warehouse(database: Any) -> Iterator[Warehouse]:
    with (
        psycopg.connect(database.owner_dsn, autocommit=True) as owner,
        psycopg.connect(database.dsn_of("tallygate_ingest"), autocommit=True) as ingest,
    ):
        yield make_warehouse(owner, ingest)


class Alongside:
    """Work on a connection of its own, in a thread, that may have to wait for others."""

    def __init__(self, dsn: str, work: Callable[[psycopg.Connection], object]) -> None:
        self._error: BaseException | None = None
        self._connection = psycopg.connect(dsn, autocommit=True)
        self.pid = self._connection.info.backend_pid
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()

    def _run(self, work: Callable[[psycopg.Connection], object]) -> None:
        try:
            with self._connection:
                work(self._connection)
        except BaseException as error:  # noqa: BLE001  raised again by `end`
            self._error = error

    @property
    def has_ended(self) -> bool:
        return not self._thread.is_alive()

    def end(self) -> None:
        """Wait for its end. Raises what it raised."""
        self._thread.join(WAIT_S)
        assert self.has_ended, "it still waits"
        if self._error is not None:
            raise self._error


def waits(owner: psycopg.Connection, one: Alongside) -> bool:
    row = owner.execute("SELECT count(*) FROM pg_locks WHERE pid = %s AND NOT granted", [one.pid]).fetchone()
    return bool(row and row[0])


def until(question: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not question():
        assert time.monotonic() < deadline_s, "not in time"
        time.sleep(0.01)


@contextmanager
def holding(dsn: str, query: LiteralString, *parameters: Any) -> Iterator[None]:
    """Somebody who has locked these rows, or whatever the query locks."""
    with psycopg.connect(dsn) as connection:
        assert connection.execute(query, parameters).fetchall()
        yield
        connection.rollback()


def can_be_had(dsn: str, query: LiteralString, *parameters: Any) -> bool:
    """Whether nobody holds what the query, which does not wait, asks for."""
    with psycopg.connect(dsn) as connection:
        try:
            connection.execute(query, parameters)
        except psycopg.errors.LockNotAvailable:
            return False
        finally:
            connection.rollback()
    return True


A_POOL: LiteralString = "SELECT 1 FROM cost_pools WHERE pool_id = %s FOR UPDATE"
A_POOL_NOW: LiteralString = "SELECT 1 FROM cost_pools WHERE pool_id = %s FOR UPDATE NOWAIT"


def pools(warehouse: Warehouse) -> list[tuple[int, str]]:
    """Pools in order of id, each with its item."""
    return warehouse.fetch(
        "SELECT pool_id, code FROM cost_pools JOIN items USING (company_id, item_id) ORDER BY 1"
    )


def test_who_writes_goods_down_waits_for_the_first_pool_and_holds_none_behind_it(
    warehouse: Warehouse, database: Any
) -> None:
    """given items whose order of code is not that of their pools; when the first pool is held by a batch; then the
    write-down waits for it, and the batch can have all others."""
    for number in range(4):
        add_item(warehouse, f"ITEM-{number}", "fifo")
        receive(warehouse, f"ITEM-{number}", 1, "2.00")
    found = pools(warehouse)
    assert [code for _, code in found] != sorted(code for _, code in found), "else nothing is shown here"
    with holding(database.owner_dsn, A_POOL, found[0][0]):
        values = [Realisable(code, MICRO) for _, code in found]
        one = Alongside(
            database.owner_dsn, lambda c: write_down(c, warehouse.company_id, values, at(5), "", "soak", ask())
        )
        until(lambda: waits(warehouse.owner, one))
        free = [can_be_had(database.owner_dsn, A_POOL_NOW, pool) for pool, _ in found[1:]]
    one.end()
    assert free == [True] * 3


def test_who_sets_standards_waits_for_the_first_pool_and_holds_none_behind_it(
    warehouse: Warehouse, database: Any
) -> None:
    for number in range(4):
        add_item(warehouse, f"ITEM-{number}", "standard")
        receive(warehouse, f"ITEM-{number}", 1, "2.00")
    found = pools(warehouse)
    with holding(database.owner_dsn, A_POOL, found[0][0]):
        news = [NewStandard(code, MICRO) for _, code in found]
        one = Alongside(
            database.owner_dsn, lambda c: set_standards(c, warehouse.company_id, news, at(5), "", "soak", ask())
        )
        until(lambda: waits(warehouse.owner, one))
        free = [can_be_had(database.owner_dsn, A_POOL_NOW, pool) for pool, _ in found[1:]]
    one.end()
    assert free == [True] * 3


def test_who_writes_goods_down_waits_for_the_calendar_without_a_pool(warehouse: Warehouse, database: Any) -> None:
    """A settlement has the calendar's period before it locks pools."""
    receive(warehouse, "BOLT", 1, "2.00")
    [(pool, _)] = pools(warehouse)
    alone: LiteralString = "SELECT hold_calendar_alone(%s)"
    with holding(database.owner_dsn, alone, warehouse.company_id):
        values = [Realisable("BOLT", MICRO)]
        one = Alongside(
            database.owner_dsn, lambda c: write_down(c, warehouse.company_id, values, at(5), "", "soak", ask())
        )
        until(lambda: waits(warehouse.owner, one))
        is_free = can_be_had(database.owner_dsn, A_POOL_NOW, pool)
    one.end()
    assert is_free


def _buy(warehouse: Warehouse, items: Sequence[str], place: str) -> Callable[[psycopg.Connection], object]:
    """A purchase at a price, one of each item, in one batch."""
    key = f"buy-{next(_keys)}"
    rows = [
        Declared(
            Kind.PURCHASE_RECEIPT, warehouse.items[item], MICRO, warehouse.places["SUPPLIER"], warehouse.places[place],
            NOON_US, price_micro=MICRO,
        )
        for item in items
    ]  # fmt: skip
    digest = hashlib.sha256(key.encode()).digest()
    return lambda connection: declare_movements(connection, warehouse.company_id, rows, key, digest)


def test_first_costs_of_items_that_meet_at_two_sites_do_not_wait_in_a_circle(
    warehouse: Warehouse, database: Any
) -> None:
    """given goods without a cost at two sites; when one batch buys both items here while, over there, one learns the
    second's cost and another batch buys both; then none of them is ended as a deadlock."""
    first, second = "ITEM-0", "ITEM-1"
    for item in (first, second):
        add_item(warehouse, item, "fifo")
        for place in ("STORE", "EAST"):
            move(warehouse, Kind.PURCHASE_RECEIPT, item, 1, "SUPPLIER", place)
    a_balance: LiteralString = "SELECT 1 FROM balances WHERE item_id = %s AND location_id = %s FOR UPDATE"
    here, there = (warehouse.places[place] for place in ("STORE", "EAST"))
    with holding(database.owner_dsn, a_balance, warehouse.items[first], here):
        both_here = Alongside(database.owner_dsn, _buy(warehouse, [first, second], "STORE"))
        until(lambda: waits(warehouse.owner, both_here))
        one_there = Alongside(database.owner_dsn, _buy(warehouse, [second], "EAST"))
        until(lambda: one_there.has_ended or waits(warehouse.owner, one_there))
        with holding(database.owner_dsn, a_balance, warehouse.items[first], there):
            both_there = Alongside(database.owner_dsn, _buy(warehouse, [first, second], "EAST"))
            until(lambda: waits(warehouse.owner, both_there))
    for one in (both_here, one_there, both_there):
        one.end()
    warehouse.check()
