"""Lanes among workers: evenly shared, handed over when a worker comes or goes, never held by two."""

from collections.abc import Iterator

import psycopg
import pytest

from cloud.flows.record_batch import LeaseLost
from cloud.ingest.leases import Leases
from tests.makers import Warehouse, make_warehouse

pytestmark = pytest.mark.database


@pytest.fixture
def warehouse(database) -> Iterator[Warehouse]:  # type: ignore[no-untyped-def]
    with (
        psycopg.connect(database.owner_dsn, autocommit=True) as owner,
        psycopg.connect(database.dsn_of("tallygate_ingest"), autocommit=True) as ingest,
    ):
        made = make_warehouse(owner, ingest)
        owner.execute("DELETE FROM lane_leases")
        yield made


def lanes(*workers: Leases) -> list[int]:
    return [len(worker.held) for worker in workers]


def dies(warehouse: Warehouse, worker: Leases) -> None:
    """Nothing is heard of it for a lease's length."""
    gone = [worker.token]
    warehouse.owner.execute(
        "UPDATE ingest_workers SET seen_at = now() - interval '1 minute' WHERE token = %s", gone
    )
    warehouse.owner.execute(
        "UPDATE lane_leases SET expires_at = now() - interval '1 minute' WHERE token = %s", gone
    )


def test_one_worker_takes_all_lanes(warehouse: Warehouse) -> None:
    worker = Leases("a")
    assert len(worker.renew(warehouse.ingest)) == 16
    assert worker.renew(warehouse.ingest) == set()


def test_a_worker_that_comes_is_given_its_share(warehouse: Warehouse) -> None:
    first, second = Leases("a"), Leases("b")
    first.renew(warehouse.ingest)
    second.renew(warehouse.ingest)
    assert lanes(first, second) == [16, 0]
    first.renew(warehouse.ingest)  # gives eight back
    second.renew(warehouse.ingest)
    assert lanes(first, second) == [8, 8]
    assert not first.held & second.held


def test_three_workers_share_evenly(warehouse: Warehouse) -> None:
    workers = [Leases(name) for name in "abc"]
    for _ in range(3):
        for worker in workers:
            worker.renew(warehouse.ingest)
    assert sorted(lanes(*workers)) == [5, 5, 6]
    assert len(set.union(*(worker.held for worker in workers))) == 16


def test_the_lanes_of_a_dead_worker_go_to_the_others(warehouse: Warehouse) -> None:
    first, second = Leases("a"), Leases("b")
    for worker in (first, second, first, second):
        worker.renew(warehouse.ingest)
    dies(warehouse, first)
    assert len(second.renew(warehouse.ingest)) == 8
    assert lanes(second) == [16]


def test_a_worker_that_stops_in_peace_leaves_its_lanes_at_once(warehouse: Warehouse) -> None:
    first, second = Leases("a"), Leases("b")
    for worker in (first, second, first, second):
        worker.renew(warehouse.ingest)
    first.give_back(warehouse.ingest)
    second.renew(warehouse.ingest)
    assert lanes(first, second) == [0, 16]


def test_who_slept_over_its_lease_cannot_commit(warehouse: Warehouse) -> None:
    """The fence: the batch checks the token under a row lock, whatever its worker believes."""
    from cloud.flows.record_batch import record_batch

    sleeper, successor = Leases("a"), Leases("b")
    sleeper.renew(warehouse.ingest)
    dies(warehouse, sleeper)
    successor.renew(warehouse.ingest)
    warehouse.log.passage(warehouse.tag(1), "in")
    message = warehouse.log.message()
    with pytest.raises(LeaseLost, match="not leased to a any more"):
        record_batch(warehouse.ingest, warehouse.company_id, [message], sleeper.lease, warehouse.clock_us)
    assert warehouse.fetch("SELECT count(*) FROM observations") == [(0,)]
