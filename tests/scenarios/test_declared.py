"""Stories of movements that a person or a program declares: once by its key, all or none, beside the gates."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from cloud.domain.movement import MICRO, QTY_MAX, Kind
from cloud.flows.declare import MAX_ROWS, CannotBook, Declared, DeclaredAnswer, RequestConflict, declare_movements
from cloud.flows.record_batch import record_batch
from tests.makers import NOON_US, SECOND_US, TEST_LEASE, GatewayLog, Warehouse

WAIT_S = 60.0  # for another thread of the test
HOUR_S = 3600


def row(
    warehouse: Warehouse, kind: Kind, source: str, target: str, pieces: float, at_s: int = 0, item: str = "BOLT",
    **more: Any,
) -> Declared:  # fmt: skip
    """So many pieces, so many seconds after noon."""
    occurred_us = more.pop("occurred_us", NOON_US + at_s * SECOND_US)
    return Declared(
        kind, warehouse.items[item], int(pieces * MICRO), warehouse.places[source], warehouse.places[target],
        occurred_us, **more,
    )  # fmt: skip


def receipt(warehouse: Warehouse, pieces: float, price_micro: int, at_s: int = 0, **more: Any) -> Declared:
    return row(
        warehouse, Kind.PURCHASE_RECEIPT, "SUPPLIER", "STORE", pieces, at_s, price_micro=price_micro, **more
    )


def declare(warehouse: Warehouse, key: str, *rows: Declared, payload: str = "") -> DeclaredAnswer:
    """The digest is that of the rows unless another payload is told."""
    digest = hashlib.sha256((payload or repr(rows)).encode()).digest()
    return declare_movements(warehouse.owner, warehouse.company_id, rows, key, digest)


def nothing_booked(warehouse: Warehouse) -> bool:
    tables = (
        "movements",
        "batches",
        "cost_entries",
        "journal_entries",
        "cloud_requests",
        "cost_pools",
        "balances",
    )
    return all(warehouse.fetch(f"SELECT count(*) FROM {table}") == [(0,)] for table in tables)  # noqa: S608


@pytest.mark.editions
def test_what_is_declared_is_booked_like_what_gates_see(warehouse: Warehouse) -> None:
    """given nothing; when 10 @ 4.00 and 5 @ 4.20 come and 12 leave; then 3 @ 4.20 and 48.40 of cost."""
    answer = declare(
        warehouse, "k-1",
        receipt(warehouse, 10, 4_000_000), receipt(warehouse, 5, 4_200_000, 1),
        row(warehouse, Kind.SALES_SHIPMENT, "STORE", "CUSTOMER", 12, 2, document="SO-1"),
    )  # fmt: skip
    assert warehouse.stock() == {("BOLT", "STORE"): 3}
    assert warehouse.accounts() == {"goods": 12.60, "grni": -61.00, "cogs": 48.40}
    assert not answer.replayed
    ids = [str(found) for (found,) in warehouse.fetch("SELECT movement_id FROM movements ORDER BY occurred_us")]
    assert answer.movement_ids == ids


def test_the_same_key_gets_the_first_answer_and_books_nothing_again(warehouse: Warehouse) -> None:
    bolts = receipt(warehouse, 10, 4_000_000)
    first = declare(warehouse, "k-1", bolts)
    again = declare(warehouse, "k-1", bolts)
    assert again == replace(first, replayed=True)
    assert warehouse.fetch("SELECT count(*) FROM movements") == [(1,)]
    other = declare(warehouse, "k-2", bolts)
    assert other.movement_ids != first.movement_ids
    assert warehouse.stock() == {("BOLT", "STORE"): 20}


def test_a_key_with_another_payload_is_a_conflict(warehouse: Warehouse) -> None:
    declare(warehouse, "k-1", receipt(warehouse, 10, 4_000_000))
    with pytest.raises(RequestConflict, match="key 'k-1' was used before with another payload"):
        declare(warehouse, "k-1", receipt(warehouse, 11, 4_000_000))
    assert warehouse.stock() == {("BOLT", "STORE"): 10}


def bad_rows(warehouse: Warehouse) -> dict[str, tuple[Declared, str]]:
    """Rows that cannot be booked, and what the refusal says."""
    good = receipt(warehouse, 10, 4_000_000)
    return {
        "no quantity": (replace(good, qty_micro=0), "quantity: expected 1 … "),
        "a quantity below zero": (replace(good, qty_micro=-1), "got -1"),
        "a quantity too large": (replace(good, qty_micro=QTY_MAX + 1), f"got {QTY_MAX + 1}"),
        "a price below zero": (replace(good, price_micro=-1), "price: expected 0 or more"),
        "a price beyond int64": (replace(good, price_micro=2**63), "price: "),
        "a cost beyond the books": (replace(good, price_micro=2**61), "quantity × price passes"),
        "a cost at their limit": (replace(good, qty_micro=QTY_MAX, price_micro=300_000_000), "the books can hold"),
        "no rate": (replace(good, rate_nano=0), "rate: expected more than 0"),
        "to where it is": (replace(good, to_id=good.from_id), "from and to are the same location"),
        "an item that is none": (replace(good, item_id=999_999), "no item 999999"),
        "a place that is none": (replace(good, to_id=999_999), "no location 999999"),
        "a day without a period": (replace(good, occurred_us=NOON_US + 20 * 365 * 86_400 * SECOND_US), "no period"),
        "no time at all": (replace(good, occurred_us=2**60), "occurred: expected the years"),
        "a kind that joins two pools, and only one": (
            row(warehouse, Kind.TRANSFER_OUT, "STORE", "WORLD", 1), "joins two pools, but only one side is stock",
        ),
    }  # fmt: skip


BAD = (
    "no quantity", "a quantity below zero", "a quantity too large", "a price below zero", "a price beyond int64",
    "a cost beyond the books", "a cost at their limit", "no rate", "to where it is", "an item that is none",
    "a place that is none", "a day without a period", "no time at all", "a kind that joins two pools, and only one",
)  # fmt: skip


@pytest.fixture(params=BAD)
def bad(request: pytest.FixtureRequest, warehouse: Warehouse) -> tuple[Declared, str]:
    rows = bad_rows(warehouse)
    assert set(rows) == set(BAD)
    return rows[request.param]


def test_a_row_that_cannot_be_booked_is_named_and_nothing_is(
    warehouse: Warehouse, bad: tuple[Declared, str]
) -> None:
    wrong, said = bad
    good = receipt(warehouse, 10, 4_000_000)
    with pytest.raises(CannotBook, match=f"row 2: .*{said}") as refused:
        declare(warehouse, "k-1", good, good, wrong, good)
    assert refused.value.row == 2
    assert said in refused.value.reason
    assert nothing_booked(warehouse)
    # The key is not used up by a request that did nothing.
    assert not declare(warehouse, "k-1", good).replayed


@pytest.mark.parametrize("count", [0, MAX_ROWS + 1])
def test_a_request_has_at_least_one_row_and_not_too_many(warehouse: Warehouse, count: int) -> None:
    with pytest.raises(CannotBook, match=f"expected 1 … {MAX_ROWS} rows, got {count}"):
        declare(warehouse, "k-1", *[receipt(warehouse, 1, 1)] * count)


def test_more_than_the_books_can_count_is_refused_and_never_wrapped(warehouse: Warehouse) -> None:
    """257 receipts of the most that one movement may have pass what a pool may hold."""
    most = replace(receipt(warehouse, 1, 0), qty_micro=QTY_MAX)
    with pytest.raises(CannotBook, match=r"row 256: .*the books can hold"):
        declare(warehouse, "k-1", *[most] * 257)
    assert nothing_booked(warehouse)


def test_what_happened_in_a_locked_period_is_booked_behind_it(warehouse: Warehouse) -> None:
    warehouse.close(202608)
    declare(warehouse, "k-1", receipt(warehouse, 10, 4_000_000, -30 * 24 * HOUR_S))
    assert warehouse.fetch("SELECT posting_date::text, period_id, tags & 1 FROM journal_entries") == [
        ("2026-09-01", 202609, 1)
    ]


@pytest.mark.parametrize(("may", "posted"), [(True, (202608, 0)), (False, (202609, 1))])
def test_a_soft_closed_period_takes_what_those_declare_who_may_post_there(
    warehouse: Warehouse, may: bool, posted: tuple[int, int]
) -> None:
    warehouse.close(202608, "soft_closed")
    row = receipt(warehouse, 10, 4_000_000, -30 * 24 * HOUR_S)
    declare_movements(warehouse.owner, warehouse.company_id, [row], "k-1", b"1" * 32, posts_soft_closed=may)
    assert warehouse.fetch("SELECT period_id, tags & 1 FROM journal_entries") == [posted]


def test_a_company_without_an_open_period_books_nothing_and_says_so(warehouse: Warehouse) -> None:
    warehouse.close(999912)
    with pytest.raises(CannotBook, match="row 0: every period is locked: open one"):
        declare(warehouse, "k-1", receipt(warehouse, 10, 4_000_000))
    warehouse.log.passage(warehouse.tag(1), "in")
    warehouse.record(warehouse.log.message())
    assert [reason for (reason,) in warehouse.fetch("SELECT reason FROM quarantine")] == [
        "every period is locked: open one or extend the calendar"
    ]
    assert warehouse.fetch("SELECT applied_seq FROM gateway_logs") == [(1,)]


def test_a_shortage_is_corrected_on_its_own_day_while_that_is_not_locked(warehouse: Warehouse) -> None:
    """given 10 sold short in August at 4.00; when they come at 5.00 in September; then August's cost is adjusted,
    and once August is locked the first day of September's."""
    august, september = -30 * 24 * HOUR_S, 0
    declare(warehouse, "known", receipt(warehouse, 1, 4_000_000, august))
    declare(warehouse, "short", row(warehouse, Kind.SALES_SHIPMENT, "STORE", "CUSTOMER", 21, august + 60))
    declare(warehouse, "first", receipt(warehouse, 10, 5_000_000, september))
    warehouse.close(202608)
    declare(warehouse, "second", receipt(warehouse, 10, 6_000_000, september + 60))
    dates = warehouse.fetch(
        "SELECT posting_date::text, value FROM cost_entries WHERE step >= 2 ORDER BY posting_date"
    )
    assert dates == [("2026-08-22", -10_000_000), ("2026-09-01", -20_000_000)]
    assert warehouse.accounts() == {"grni": -114.00, "cogs": 114.00}


def test_a_first_cost_of_nothing_settles_goods_without_a_cost(warehouse: Warehouse) -> None:
    """given 5 found uncosted; when 1 comes for nothing and later 1 at 9.00; then the 5 stay worth nothing,
    whether the two come in one request or in two."""
    found = row(warehouse, Kind.COUNT_GAIN, "WORLD", "STORE", 5, item="STEEL")
    declare(warehouse, "found", found)
    declare(warehouse, "gift", receipt(warehouse, 1, 0, 1, item="STEEL"))
    declare(warehouse, "bought", receipt(warehouse, 1, 9_000_000, 2, item="STEEL"))
    assert warehouse.accounts() == {"raw_material": 9.00, "grni": -9.00}


def test_uncosted_goods_behind_costed_ones_get_the_first_cost_as_well(warehouse: Warehouse) -> None:
    """given 5 without a cost brought to EAST behind 1 @ 7.00; when 2 @ 9.00 come there; then the 5 cost 9.00 each."""
    declare(warehouse, "found", row(warehouse, Kind.COUNT_GAIN, "WORLD", "STORE", 5, item="STEEL"))
    east = [
        row(warehouse, Kind.PURCHASE_RECEIPT, "SUPPLIER", "EAST", 1, 1, "STEEL", price_micro=7_000_000),
        row(warehouse, Kind.TRANSFER_OUT, "STORE", "EAST", 5, 2, "STEEL"),
        row(warehouse, Kind.PURCHASE_RECEIPT, "SUPPLIER", "EAST", 2, 3, "STEEL", price_micro=9_000_000),
    ]
    for number, one in enumerate(east):
        declare(warehouse, f"east-{number}", one)
    assert warehouse.fetch("SELECT qty_left, value_left, uncosted FROM cost_layers ORDER BY layer_no") == [
        (1_000_000, 7_000_000, False), (5_000_000, 45_000_000, False), (2_000_000, 18_000_000, False),
    ]  # fmt: skip


# ── At the same moment ──


@contextmanager
def connections(warehouse: Warehouse, count: int) -> Iterator[list[psycopg.Connection]]:
    """More of the owner's connections, one for each thread."""
    info = warehouse.owner.info
    opened = [
        psycopg.connect(host=info.host, port=info.port, dbname=info.dbname, user=info.user, password=info.password,
                        autocommit=True)
        for _ in range(count)
    ]  # fmt: skip
    try:
        yield opened
    finally:
        for connection in opened:
            connection.close()


def together(jobs: Sequence[Callable[[], Any]]) -> list[Any]:
    """Run the jobs at the same moment; what each returned. Raises what one raised."""
    start = threading.Barrier(len(jobs))

    def run(job: Callable[[], Any]) -> Any:
        start.wait(WAIT_S)
        return job()

    with ThreadPoolExecutor(len(jobs)) as threads:
        return [future.result(WAIT_S) for future in [threads.submit(run, job) for job in jobs]]


def test_two_requests_with_one_key_at_the_same_moment_book_once(warehouse: Warehouse) -> None:
    bolts = receipt(warehouse, 10, 4_000_000)
    with connections(warehouse, 4) as opened:
        for number in range(8):
            key = f"k-{number}"
            jobs = [
                lambda c=c, key=key: declare_movements(c, warehouse.company_id, [bolts], key, b"0" * 32)
                for c in opened
            ]
            answers = together(jobs)
            assert sorted(answer.replayed for answer in answers) == [False, True, True, True]
            assert len({tuple(answer.movement_ids) for answer in answers}) == 1
    assert warehouse.fetch("SELECT count(*) FROM movements") == [(8,)]
    assert warehouse.stock() == {("BOLT", "STORE"): 80}


def test_a_second_request_waits_for_the_first_and_hears_its_answer(warehouse: Warehouse) -> None:
    """The first holds its key until it commits; the second is seen waiting, and then replays."""
    bolts = receipt(warehouse, 10, 4_000_000)
    with connections(warehouse, 2) as (first, second), ThreadPoolExecutor(1) as threads:
        with first.transaction():
            answer = declare_movements(first, warehouse.company_id, [bolts], "k-1", b"0" * 32)
            waiting = threads.submit(declare_movements, second, warehouse.company_id, [bolts], "k-1", b"0" * 32)
            deadline = time.monotonic() + WAIT_S
            query = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory' AND pid = %s"
            while warehouse.fetch(query, second.info.backend_pid) != [(1,)]:
                assert time.monotonic() < deadline, "the second request never waited"
                assert not waiting.done(), "the second request did not wait"
        assert waiting.result(WAIT_S) == replace(answer, replayed=True)


def test_requests_and_gates_on_the_same_pools_at_the_same_moment_stay_in_agreement(warehouse: Warehouse) -> None:
    """Many rounds of a gateway's batch beside requests on the same items, in opposite orders: no deadlock, and
    the fixture's `verify` finds every promise kept."""
    rounds = 25
    items = ("BOLT", "LAMP", "STEEL")
    tags = [warehouse.tag(number, items[number % 3], pieces=2) for number in range(6)]
    second_log = GatewayLog(*warehouse.gateways["gw-2"])
    info = warehouse.ingest.info
    other_ingest = psycopg.connect(host=info.host, port=info.port, dbname=info.dbname, user=info.user,
                                   password=info.password, autocommit=True)  # fmt: skip

    def gates(connection: psycopg.Connection, log: GatewayLog, gate: str, mine: list[str]) -> None:
        for number in range(rounds):
            first = len(log.written) + 1
            for tag in mine:
                log.passage(tag, "in" if number % 2 == 0 else "out", 100 * number, gate=gate)
            at_us = NOON_US + 4 * 3600 * SECOND_US
            record_batch(connection, warehouse.company_id, [log.message(first)], TEST_LEASE, at_us)

    def requests(connection: psycopg.Connection, name: str, order: tuple[str, ...]) -> None:
        for number in range(rounds):
            rows = [
                one
                for item in order
                for one in (
                    receipt(warehouse, 3, 1_234_567 + number, 50 * number, item=item),
                    row(warehouse, Kind.SALES_SHIPMENT, "STORE", "CUSTOMER", 2.5, 50 * number + 1, item),
                    row(warehouse, Kind.TRANSFER_OUT, "STORE", "EAST", 1, 50 * number + 2, item),
                    row(warehouse, Kind.UNEXPLAINED_IN, "WORLD", "CLARIFICATION-MAIN", 1, 50 * number, item),
                )
            ]
            digest = hashlib.sha256(f"{name}/{number}".encode()).digest()
            declare_movements(connection, warehouse.company_id, rows, f"{name}/{number}", digest)

    with other_ingest, connections(warehouse, 2) as (one, other):
        together(
            [
                lambda: gates(warehouse.ingest, warehouse.log, "dock-1", tags[:3]),
                lambda: gates(other_ingest, second_log, "east-1", tags[3:]),
                lambda: requests(one, "up", items),
                lambda: requests(other, "down", items[::-1]),
            ]
        )
    assert warehouse.fetch("SELECT count(*) FROM cloud_requests") == [(2 * rounds,)]
    assert warehouse.fetch("SELECT sum(applied_seq)::int FROM gateway_logs") == [(6 * rounds,)]
    assert warehouse.fetch("SELECT count(*) FROM quarantine") == [(0,)]
    assert warehouse.fetch("SELECT count(*) FROM movements") == [(2 * rounds * 12 + 6 * rounds,)]
