"""The migration to the ledger on books that are there: old chains hold, small tables are chained as they stand."""

import hashlib
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import numpy as np
import psycopg
import pytest
from psycopg import sql

from cloud.domain.batch import Batch, Company
from cloud.flows.verify.chains import check_chains
from cloud.flows.verify.own_chains import check_own_chains
from cloud.flows.verify.periods import check_periods
from cloud.store import copy, migrate
from cloud.store.batches import open_batch, place_in_batch
from tests.conftest import Database
from tests.old_books import BEFORE_COSTING, go_back, make_company

pytestmark = pytest.mark.editions

BEFORE_THE_LEDGER = (
    *BEFORE_COSTING, "0004_costing", "0005_recosting", "0006_returns", "0007_borrowed_costs",
)  # fmt: skip
DAY = 20_000  # since 1970-01-01: 2024-10-04
ID = UUID(int=7)
FILLED_IN = [  # table, column, another value, what it had
    ("movements", "reason", "theft", ""),
    ("movements", "dimension_id", 3, 0),
    ("movements", "currency", 840, 0),
    ("value_events", "currency", 840, 0),
    ("value_events", "currency_amount", 5, 0),
    ("cost_entries", "counter_dimension", 3, 0),
    ("journal_lines", "currency", 840, 0),
    ("journal_lines", "open_item", ID, None),
    ("batches", "layout", 3, 2),
]


@pytest.fixture
def connection(database: Database) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database.owner_dsn, autocommit=True) as opened:
        go_back(opened, BEFORE_THE_LEDGER)
        write_old_books(opened)
        migrate.migrate(database.owner_dsn)
        yield opened


def write_old_books(connection: psycopg.Connection) -> None:
    """A batch of layout 2 with a row in each hashed table, and rows in the small ones, the later one first."""
    company_id = make_company(connection, "ASBE")
    for period, first, last, state in (
        (202408, "2024-08-01", "2024-08-31", "locked"), (202409, "2024-09-01", "2024-09-30", "soft_closed"),
        (202410, "2024-10-01", "2024-10-31", "open"),
    ):  # fmt: skip
        connection.execute(
            "INSERT INTO periods (company_id, period_id, first_day, last_day, state) VALUES (%s, %s, %s, %s, %s)",
            [company_id, period, first, last, state],
        )
    for seconds in (2, 1):
        connection.execute(
            "INSERT INTO quarantine (company_id, gateway_id, epoch, first_seq, last_seq, recorded_at, reason, payload)"
            " VALUES (%s, 1, %s, 1, 1, to_timestamp(%s), 'x', '\\x00ff')",
            [company_id, ID, seconds],
        )
    connection.execute(
        "INSERT INTO incarnations (incarnation, cluster, reason) VALUES (1, 'a', 'first'), (2, 'b', '')"
    )
    connection.execute(
        "INSERT INTO log_losses (company_id, gateway_id, epoch, first_seq, last_seq, reason, recorded_by)"
        " VALUES (%s, 1, %s, 1, 2, 'flood', 'Li')",
        [company_id, ID],
    )
    with connection.transaction(), connection.cursor() as cursor:
        company = Company(company_id, "ASBE", "CNY", 2, "Asia/Shanghai")
        batch = open_batch(cursor, company, 5, 1_728_000_000_000_000, "before")
        write_old_batch(cursor, batch)


def write_old_batch(cursor: psycopg.Cursor, batch: Batch) -> None:
    """As it was done before: links of consumption under no digest, lines without a currency, the batch's row free."""
    company_id, one = batch.company.company_id, np.ones(1, np.int64)
    recorded = copy.times("recorded_at", one * batch.recorded_us)
    owner = copy.constant("company_id", company_id, 4, 1)

    def known(name: str, *values: int) -> copy.Column:
        rows = np.frombuffer(b"".join(UUID(int=value).bytes for value in values), np.uint8).reshape(-1, 16)
        return copy.raw(name, rows, np.logical_not(rows.any(axis=1)))

    def whole(name: str, value: int | None, width: int) -> copy.Column:
        return copy.integers(name, one * (value or 0), width, np.array([value is None]))

    def text(name: str, value: bytes) -> copy.Column:
        return copy.texts(name, [value])

    def hashed(table: str, *columns: copy.Column) -> None:
        batch.chain(table, copy.write_hashed(cursor, table, [*columns, *place_in_batch(batch, 1)], 1))

    hashed(
        "movements", owner, recorded, known("movement_id", 11), whole("kind", 1, 2), whole("item_id", 1, 4),
        whole("qty_micro", 5, 8), whole("from_id", 1, 4), whole("to_id", 2, 4), whole("party_id", None, 4),
        text("document", b"PO"), whole("price_micro", None, 8), whole("rate_nano", 10**9, 8),
        whole("value_micro", None, 8), known("corrects", 0), whole("tags", 0, 2), whole("occurred_us", 1, 8),
        whole("gateway_id", 0, 4), copy.raw("epoch", np.zeros((1, 16), np.uint8)), whole("seq", 1, 8),
        whole("lot_id", 0, 4), known("original_id", 0),
    )  # fmt: skip
    hashed(
        "value_events", owner, recorded, known("event_id", 12), whole("kind", 31, 2), whole("pool_id", 1, 8),
        whole("item_id", None, 4), known("original_id", 0), whole("value_micro", 7, 8), whole("period_id", None, 4),
        whole("dimension_id", 0, 4), whole("party_id", None, 4), text("document", b""), text("reason", b"x"),
        whole("occurred_us", 1, 8),
    )  # fmt: skip
    hashed(
        "cost_entries", owner, known("movement_id", 11), whole("step", 1, 2), whole("pool_id", 1, 8),
        whole("qty", 5, 8), whole("value", 0, 8), whole("posted", 0, 8), known("corrects", 0),
        copy.dates("posting_date", one * DAY), whole("counter_account", None, 4), known("journal_id", 0),
    )  # fmt: skip
    cursor.execute(
        "INSERT INTO consumption_links VALUES (%s, %s, 1, 1, 1, 1, %s, 1, 1)", [company_id, UUID(int=11), ID]
    )
    write_old_entry(cursor, batch, owner, known)
    head = hashlib.sha256(
        batch.previous + b"".join(digests.tobytes() for digests in batch.hashed.values())
    ).digest()
    cursor.execute(
        "INSERT INTO batches (company_id, lane, batch_no, recorded_at, worker, observed, moved, previous, head)"
        " VALUES (%s, 5, 1, to_timestamp(%s), 'before', 0, 1, %s, %s)",
        [company_id, batch.recorded_us / 1e6, batch.previous, head],
    )
    cursor.execute("UPDATE lane_heads SET batch_no = 1, head = %s", [head])


def write_old_entry(cursor: psycopg.Cursor, batch: Batch, owner: copy.Column, known: Any) -> None:
    """An entry with two lines of eight columns."""
    one, two = np.ones(1, np.int64), np.ones(2, np.int64)
    accounts = [
        row[0] for row in cursor.execute("SELECT account_id FROM accounts ORDER BY role LIMIT 2").fetchall()
    ]
    entries = [
        owner, known("source_id", 11), copy.constant("step", 0, 2, 1), copy.constant("origin", 1, 2, 1),
        copy.constant("kind", 1, 2, 1), copy.dates("posting_date", one * DAY),
        copy.constant("period_id", 202410, 4, 1), copy.constant("tags", 0, 2, 1), known("corrects", 0),
        copy.texts("document", [b"PO"]), copy.times("recorded_at", one * batch.recorded_us),
        *place_in_batch(batch, 1),
    ]  # fmt: skip
    lines = [
        copy.constant("company_id", batch.company.company_id, 4, 2), known("source_id", 11, 11),
        copy.constant("step", 0, 2, 2), copy.integers("line_no", np.arange(1, 3), 2),
        copy.integers("account_id", np.array(accounts), 4), copy.constant("dimension_id", 0, 4, 2),
        copy.integers("amount", np.array([5, -5]), 8), copy.integers("cost_step", two, 2, np.ones(2, np.bool_)),
    ]  # fmt: skip
    parts = copy.Parts("journal_lines", lines, np.zeros(2, np.int64))
    batch.chain("journal_entries", copy.write_hashed_with(cursor, "journal_entries", entries, 1, parts))


def test_a_batch_of_before_keeps_its_chain(connection: psycopg.Connection) -> None:
    [check] = check_chains(connection)
    assert (check.difference, check.detail) == (0, "1 links in 1 lanes")


def test_a_column_that_an_old_row_never_had_cannot_be_filled_unseen(
    database: Database, connection: psycopg.Connection
) -> None:
    with psycopg.connect(database.server.dsn(database.name), autocommit=True) as superuser:
        superuser.execute("SET session_replication_role = replica")
        for table, column, changed, _ in FILLED_IN:
            with superuser.transaction(force_rollback=True):
                statement = sql.SQL("UPDATE {} SET {} = %s").format(sql.Identifier(table), sql.Identifier(column))
                assert superuser.execute(statement, [changed]).rowcount >= 1
                [check] = check_chains(superuser)
                assert not check.holds, (table, column)
        [check] = check_chains(superuser)
        assert check.holds


def test_rows_of_before_are_chained_in_the_order_in_which_they_were_recorded(
    database: Database, connection: psycopg.Connection
) -> None:
    with connection.transaction():
        [check] = check_own_chains(connection)
    assert check.difference == 0
    assert connection.execute(
        "SELECT extract(epoch FROM recorded_at)::integer FROM quarantine ORDER BY link_no"
    ).fetchall() == [(1,), (2,)]
    # A new row goes on from there.
    connection.execute("INSERT INTO incarnations (incarnation, cluster, reason) VALUES (3, 'c', 'restored')")
    assert connection.execute("SELECT link_no FROM incarnations WHERE incarnation = 3").fetchone() == (3,)
    with psycopg.connect(database.server.dsn(database.name)) as superuser:
        assert next(check_own_chains(superuser)).holds
        superuser.execute("SET session_replication_role = replica")
        superuser.execute("UPDATE quarantine SET payload = '\\x00fe' WHERE link_no = 2")
        assert "first: quarantine link 2: " in next(check_own_chains(superuser)).detail
        superuser.rollback()


def test_periods_that_were_closed_have_their_changes_written_down(connection: psycopg.Connection) -> None:
    rows = connection.execute(
        "SELECT period_id, from_state, to_state, recorded_by, heads FROM period_events ORDER BY link_no"
    ).fetchall()
    heads = {"5": 1}
    assert rows == [
        (202408, "open", "soft_closed", "migration", heads),
        (202408, "soft_closed", "locked", "migration", heads),
        (202409, "open", "soft_closed", "migration", heads),
    ]
    assert [check for check in check_periods(connection) if not check.holds] == []
