"""Pools that are made behind the locks of their item's others: re-costing and its snapshots do not take them in."""

import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from cloud.flows import recost
from cloud.flows.recost import recost_company
from cloud.flows.snapshot import keep_snapshots
from cloud.store import recosting
from cloud.store.recosting import Standing
from tests.makers import Warehouse, make_warehouse
from tests.valuing import receive, sell


@pytest.fixture
def warehouse(database: Any) -> Iterator[Warehouse]:
    with (
        psycopg.connect(database.owner_dsn, autocommit=True) as owner,
        psycopg.connect(database.dsn_of("tallygate_ingest"), autocommit=True) as ingest,
    ):
        yield make_warehouse(owner, ingest)


class BehindTheLocks:
    """Reads the pools as ever, and once they are locked lets the first goods of an item come to another site."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.received: list[uuid.UUID] = []
        self.locked = 0
        self._warehouse = warehouse
        self._read = recosting.read_pools

    def __call__(self, *arguments: Any, lock: bool = False) -> Standing:
        found = self._read(*arguments, lock=lock)
        self.locked += lock
        if lock and not self.received:
            self.received.append(receive(self._warehouse, "BOLT", 7, "3.00", at_s=5, to="EAST"))
        return found


def stand_between(monkeypatch: pytest.MonkeyPatch, warehouse: Warehouse) -> BehindTheLocks:
    between = BehindTheLocks(warehouse)
    monkeypatch.setattr(recosting, "read_pools", between)
    return between


def test_a_snapshot_is_of_the_pools_that_were_locked(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive(warehouse, "BOLT", 10, "2.00", at_s=10)
    between = stand_between(monkeypatch, warehouse)
    assert keep_snapshots(warehouse.ingest, warehouse.company_id, [warehouse.items["BOLT"]])
    assert len(between.received) == 1
    assert warehouse.fetch("SELECT count(*) FROM cost_pools") == [(2,)]
    assert warehouse.fetch("SELECT count(*) FROM cost_cut_pools") == [(1,)]
    monkeypatch.undo()
    # Late goods, before the snapshot: whoever begins from it must not lose what lies at the other site.
    receive(warehouse, "BOLT", 1, "1.00", at_s=0)
    sell(warehouse, "BOLT", 1, at_s=1, source="EAST")
    recost_company(warehouse.ingest, warehouse.company_id, "test")
    warehouse.check()


def test_what_waits_is_costed_with_a_pool_that_came_behind_the_locks(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """given late goods, and an attempt that holds the locks; when goods come to a site that had none; then it begins
    again with their pool, and nothing of it is overwritten."""
    sell(warehouse, "BOLT", 4, at_s=2)
    receive(warehouse, "BOLT", 10, "2.00", at_s=10)
    receive(warehouse, "BOLT", 10, "1.00", at_s=0)
    monkeypatch.setattr(recost, "ATTEMPTS", 1)  # the first is under the locks
    between = stand_between(monkeypatch, warehouse)
    [done] = recost_company(warehouse.ingest, warehouse.company_id, "test").done
    monkeypatch.undo()
    assert between.locked == done.attempts == 2
    assert warehouse.fetch("SELECT qty, value FROM cost_pools WHERE qty = 7000000") == [(7_000_000, 21_000_000)]
    warehouse.check()
