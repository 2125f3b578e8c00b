"""Stories of voucher numbers: recorded order, no gaps, whoever numbers, dies or writes meanwhile."""

import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from cloud.domain.movement import Kind
from cloud.flows.ledger.number_vouchers import number_all, number_vouchers
from cloud.flows.ledger.post_document import Document, DocumentLine, post_documents
from cloud.jobs.recosting import RecostingJob
from cloud.store.batches import close_batch, load_company, open_batch
from cloud.store.ledger import vouchers
from cloud.store.ledger.vouchers import Number
from cloud.store.sql import statement
from tests.makers import NOON_US, Warehouse
from tests.valuing import receive, sell

SEPTEMBER, OCTOBER = 202609, 202610
DAY_S = 86_400


def numbers(warehouse: Warehouse, period: int = SEPTEMBER) -> list[str]:
    """The period's numbers in their order."""
    rows = vouchers.in_order(warehouse.owner, warehouse.company_id, period, Number("", 0), 10_000)
    return [str(row.voucher) for row in rows]


def wrong(warehouse: Warehouse) -> int:
    """What the check counts."""
    [(count,)] = warehouse.owner.execute(statement("vouchers", "check")).fetchall()
    return int(count)


def account(warehouse: Warehouse, number: str, name: str = "x") -> int:
    """An account of the company's own for manual entries."""
    row = warehouse.owner.execute(
        "INSERT INTO accounts (company_id, number, name_zh, name_en, is_control) VALUES (%s, %s, %s, %s, false)"
        " RETURNING account_id",
        [warehouse.company_id, number, name, name],
    ).fetchone()
    assert row is not None
    return int(row[0])


def manual(warehouse: Warehouse, debit: int, credit: int) -> None:
    """One manual entry of 1.00."""
    _post(warehouse.owner, warehouse.company_id, 5, debit, credit)


def test_numbers_follow_the_order_of_recording_and_not_that_of_dates(warehouse: Warehouse) -> None:
    receive(warehouse, "BOLT", 10, "4.00", 100)
    sell(warehouse, "BOLT", 2, 200)
    receive(warehouse, "BOLT", 10, "4.00", 50)
    assert number_vouchers(warehouse.ingest, warehouse.company_id) == 3
    assert numbers(warehouse) == ["记-1", "记-2", "记-3"]
    days = warehouse.fetch(
        "SELECT e.kind FROM voucher_numbers v JOIN journal_entries e USING (company_id, source_id, step)"
        " ORDER BY v.number"
    )
    assert days == [(1,), (3,), (1,)]
    assert wrong(warehouse) == 0


def test_a_second_run_finds_nothing_and_what_comes_later_goes_on_from_there(warehouse: Warehouse) -> None:
    receive(warehouse, "BOLT", 10, "4.00")
    number_vouchers(warehouse.owner, warehouse.company_id)
    assert vouchers.companies_that_wait(warehouse.owner) == []
    assert number_vouchers(warehouse.owner, warehouse.company_id) == 0
    sell(warehouse, "BOLT", 2, 200)
    sell(warehouse, "BOLT", 1, 300 + 20 * DAY_S)
    assert vouchers.companies_that_wait(warehouse.owner) == [warehouse.company_id]
    assert number_all(warehouse.ingest) == 2
    assert (numbers(warehouse), numbers(warehouse, OCTOBER)) == (["记-1", "记-2"], ["记-1"])


def test_one_period_alone_is_numbered_and_the_rest_catches_up(warehouse: Warehouse) -> None:
    receive(warehouse, "BOLT", 10, "4.00")
    sell(warehouse, "BOLT", 1, 20 * DAY_S)
    assert number_vouchers(warehouse.owner, warehouse.company_id, OCTOBER) == 1
    assert (numbers(warehouse), numbers(warehouse, OCTOBER)) == ([], ["记-1"])
    sell(warehouse, "BOLT", 1, 21 * DAY_S)
    assert number_vouchers(warehouse.owner, warehouse.company_id) == 2
    assert (numbers(warehouse), numbers(warehouse, OCTOBER)) == (["记-1"], ["记-1", "记-2"])
    assert wrong(warehouse) == 0


def test_nothing_is_numbered_that_something_could_still_come_before(
    warehouse: Warehouse, dsn_of_owner: str
) -> None:
    """given a transaction that is not over; when what was recorded behind it is numbered, it waits until then."""
    receive(warehouse, "BOLT", 10, "4.00")
    with psycopg.connect(dsn_of_owner) as early:
        early.execute("SELECT pg_current_xact_id()")
        sell(warehouse, "BOLT", 2, 200)
        assert number_vouchers(warehouse.owner, warehouse.company_id) == 1
        assert vouchers.unnumbered(warehouse.owner, warehouse.company_id, SEPTEMBER) == 1
        early.rollback()
    assert number_vouchers(warehouse.owner, warehouse.company_id) == 1
    assert wrong(warehouse) == 0


def test_a_lock_numbers_its_period_to_the_end(warehouse: Warehouse, dsn_of_owner: str) -> None:
    """Also what lies behind a transaction that is not over: nothing can be posted there any more."""
    receive(warehouse, "BOLT", 10, "4.00")
    number_vouchers(warehouse.owner, warehouse.company_id)
    with psycopg.connect(dsn_of_owner) as early:
        early.execute("SELECT pg_current_xact_id()")
        sell(warehouse, "BOLT", 2, 200)
        sell(warehouse, "BOLT", 2, 20 * DAY_S)
        warehouse.close(SEPTEMBER)
        assert numbers(warehouse) == ["记-1", "记-2"]
    receive(warehouse, "BOLT", 5, "4.00", 300)  # late: it is posted in October
    assert number_vouchers(warehouse.owner, warehouse.company_id) == 2
    assert (numbers(warehouse), numbers(warehouse, OCTOBER)) == (["记-1", "记-2"], ["记-1", "记-2"])
    assert wrong(warehouse) == 0


def test_what_comes_late_to_a_soft_closed_period_gets_the_next_numbers(warehouse: Warehouse) -> None:
    tag = warehouse.tag(1)
    warehouse.expect(Kind.PURCHASE_RECEIPT, "BOLT", 10, price="4.00")
    receive(warehouse, "BOLT", 10, "4.00")
    warehouse.close(SEPTEMBER, "soft_closed")
    number_vouchers(warehouse.owner, warehouse.company_id, SEPTEMBER)
    warehouse.log.passage(tag, "in", 60)
    warehouse.record(warehouse.log.message())
    number_vouchers(warehouse.owner, warehouse.company_id)
    assert numbers(warehouse) == ["记-1", "记-2"]


def test_with_three_words_money_has_its_own(warehouse: Warehouse) -> None:
    """given cash and bank accounts; entries that pay are 付, those that take money in 收, a transfer between them 付,
    all others 转; what was numbered before keeps its word."""
    bank, own = account(warehouse, "100201"), account(warehouse, "9999")
    cash = account(warehouse, "10019")
    receive(warehouse, "BOLT", 10, "4.00")
    number_vouchers(warehouse.owner, warehouse.company_id)
    warehouse.owner.execute("UPDATE companies SET voucher_words = 'three'")
    sell(warehouse, "BOLT", 2, 200)
    manual(warehouse, bank, own)
    manual(warehouse, own, cash)
    manual(warehouse, bank, cash)
    manual(warehouse, cash, own)
    assert number_vouchers(warehouse.owner, warehouse.company_id) == 5
    given = warehouse.fetch(
        "SELECT v.word || v.number FROM voucher_numbers v JOIN journal_entries e USING (company_id, source_id, step)"
        " ORDER BY e.xid, e.row_no"
    )
    assert [row[0] for row in given] == ["记1", "转1", "收1", "付1", "付2", "收2"]
    assert wrong(warehouse) == 0


def test_numbers_are_not_changed_or_given_by_anybody_else(warehouse: Warehouse) -> None:
    receive(warehouse, "BOLT", 10, "4.00")
    number_vouchers(warehouse.owner, warehouse.company_id)
    for forbidden in (
        "UPDATE voucher_numbers SET number = 7",
        "DELETE FROM voucher_numbers",
        "TRUNCATE voucher_numbers",
    ):
        with pytest.raises(psycopg.Error) as refused:
            warehouse.owner.execute(forbidden)
        assert refused.value.sqlstate == "TG001"
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            warehouse.ingest.execute(forbidden)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        warehouse.ingest.execute("INSERT INTO voucher_numbers VALUES (1, 202609, '记', 9, gen_random_uuid(), 0)")


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE voucher_numbers SET number = number + 5 WHERE number = 3",
        "DELETE FROM voucher_numbers WHERE number = 3",
        "DELETE FROM voucher_numbers WHERE number = 1",
        "UPDATE voucher_numbers SET word = '付' WHERE number = 3",
        "UPDATE voucher_numbers SET source_id = gen_random_uuid() WHERE number = 2",
        "UPDATE voucher_numbers SET period_id = 202610 WHERE number = 3",
        "swapped",
    ],
)
def test_the_check_sees_numbers_that_were_tampered_with(warehouse: Warehouse, harm: str) -> None:
    for at in (1, 2, 3):
        receive(warehouse, "BOLT", 10, "4.00", at)
    number_vouchers(warehouse.owner, warehouse.company_id)
    assert wrong(warehouse) == 0
    with warehouse.owner.transaction(force_rollback=True):
        warehouse.owner.execute("ALTER TABLE voucher_numbers DISABLE TRIGGER append_only")
        if harm == "swapped":  # the rows' keys are free again only behind the statement
            rows = warehouse.fetch(
                "DELETE FROM voucher_numbers WHERE number < 3 RETURNING period_id, number, source_id"
            )
            for period, number, source in rows:
                warehouse.owner.execute(
                    "INSERT INTO voucher_numbers VALUES (%s, %s, '记', %s, %s, 0)",
                    [warehouse.company_id, period, 3 - number, source],
                )
        else:
            warehouse.owner.execute(harm)
        assert wrong(warehouse) > 0


def test_the_job_numbers_at_its_sweep(warehouse: Warehouse) -> None:
    receive(warehouse, "BOLT", 10, "4.00")
    job = RecostingJob(_dsn(warehouse.ingest), "job")
    job.once()
    assert job.counters["numbered"] == 1
    assert numbers(warehouse) == ["记-1"]


def test_a_numbering_that_dies_midway_leaves_nothing_behind(warehouse: Warehouse, dsn_of_owner: str) -> None:
    """given a numbering whose backend is killed behind its work and before its commit, and one that waits for it;
    when it is dead, the other gives the same numbers, once."""
    for at in range(20):
        receive(warehouse, "BOLT", 1, "4.00", at)
    dying = psycopg.connect(dsn_of_owner)
    [(given,)] = dying.execute("SELECT number_vouchers(%s)", [warehouse.company_id]).fetchall()
    assert given == 20
    found: list[int] = []
    other = threading.Thread(target=lambda: found.append(_number_apart(dsn_of_owner, warehouse.company_id)))
    other.start()
    [(pid,)] = dying.execute("SELECT pg_backend_pid()").fetchall()
    warehouse.owner.execute("SELECT pg_terminate_backend(%s)", [pid])
    other.join(60)
    dying.close()
    # The dead one's transaction may still count as running for the other: then the next run numbers.
    assert sum(found) + number_vouchers(warehouse.owner, warehouse.company_id) == 20
    assert numbers(warehouse) == [f"记-{n}" for n in range(1, 21)]
    assert wrong(warehouse) == 0


def test_two_at_once_beside_writers_neither_collide_nor_leave_gaps(
    warehouse: Warehouse, dsn_of_owner: str
) -> None:
    """given two writers in lanes of their own and two numberings of the company, all at once; when they are done and
    what is left is numbered, then every entry has a number, in recorded order, without gaps."""
    debit, credit = account(warehouse, "9998"), account(warehouse, "9999")
    written = threading.Event()

    def write(lane: int) -> None:
        with psycopg.connect(dsn_of_owner, autocommit=True) as connection:
            for _ in range(60):
                _post(connection, warehouse.company_id, lane, debit, credit)

    def give() -> int:
        given = 0
        with psycopg.connect(dsn_of_owner, autocommit=True) as connection:
            while not written.is_set():
                given += number_vouchers(connection, warehouse.company_id)
                given += number_vouchers(connection, warehouse.company_id, SEPTEMBER)
        return given

    with ThreadPoolExecutor(4) as pool:
        givers = [pool.submit(give) for _ in range(2)]
        try:
            list(pool.map(write, (1, 2)))
        finally:
            written.set()
        assert sum(one.result() for one in givers) > 0
    number_vouchers(warehouse.owner, warehouse.company_id)
    assert numbers(warehouse) == [f"记-{n}" for n in range(1, 121)]
    assert wrong(warehouse) == 0
    lanes: dict[int, list[int]] = defaultdict(list)
    for lane, batch_no in warehouse.fetch(
        "SELECT e.lane, e.batch_no FROM voucher_numbers v JOIN journal_entries e USING (company_id, source_id, step)"
        " ORDER BY v.number"
    ):
        lanes[lane].append(batch_no)
    assert all(found == sorted(found) for found in lanes.values())


@pytest.fixture
def dsn_of_owner(warehouse: Warehouse) -> str:
    """For connections of a test's own to the warehouse's database."""
    return _dsn(warehouse.owner)


def _dsn(connection: psycopg.Connection) -> str:
    return make_conninfo(connection.info.dsn, password=connection.info.password)


def _number_apart(dsn: str, company_id: int) -> int:
    with psycopg.connect(dsn, autocommit=True) as connection:
        return number_vouchers(connection, company_id)


def _post(connection: psycopg.Connection, company_id: int, lane: int, debit: int, credit: int) -> None:
    lines = (DocumentLine(debit, 100), DocumentLine(credit, -100))
    with connection.transaction(), connection.cursor() as cursor:
        batch = open_batch(cursor, load_company(cursor, company_id), lane, NOON_US, "Mei")
        post_documents(cursor, batch, [Document(uuid4(), Kind.MANUAL, "M", date(2026, 9, 21), lines)])
        close_batch(cursor, batch)
