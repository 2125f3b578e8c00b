"""The migration to full costing, on a database that has books already: the chain holds, the chart is completed."""

import hashlib
from collections.abc import Iterator
from uuid import UUID

import numpy as np
import psycopg
import pytest
from psycopg import sql

from cloud.domain.batch import Company
from cloud.domain.ledger.charts import chart_of, posting_rules_of
from cloud.flows.verify import Check, verify
from cloud.store import copy, migrate
from cloud.store.batches import open_batch, place_in_batch
from tests.conftest import Database
from tests.old_books import go_back, make_company

pytestmark = pytest.mark.editions

ID = UUID(int=7)
FILLED_IN = [  # table, column, another value, what it had
    ("movements", "lot_id", 3, 0),
    ("movements", "original_id", ID, None),
    ("cost_entries", "counter_account", 3, None),
    ("cost_entries", "journal_id", ID, None),
    ("batches", "layout", 2, 1),
]


@pytest.fixture
def connection(database: Database) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database.owner_dsn, autocommit=True) as opened:
        yield opened


def write_old_batch(connection: psycopg.Connection, company_id: int) -> None:
    """A movement and a cost entry as they were hashed before: no lot, no counter account."""
    connection.execute("INSERT INTO items (company_id, code, name_en) VALUES (%s, 'A', 'a')", [company_id])
    connection.execute(
        "INSERT INTO locations (company_id, code, name, kind)"
        " SELECT %s, * FROM (VALUES ('S', 's', 'supplier'), ('W', 'w', 'site')) l",
        [company_id],
    )
    with connection.transaction(), connection.cursor() as cursor:
        company = Company(company_id, "ASBE", "CNY", 2, "Asia/Shanghai")
        batch = open_batch(cursor, company, 5, 1_790_000_000_000_000, "before")
        one = np.ones(1, np.int64)
        absent = np.ones(1, np.bool_)
        moved = copy.raw("movement_id", np.full((1, 16), 7, np.uint8))
        columns = [
            copy.constant("company_id", company_id, 4, 1), copy.times("recorded_at", one * batch.recorded_us), moved,
            copy.constant("kind", 1, 2, 1), copy.constant("item_id", 1, 4, 1), copy.constant("qty_micro", 5, 8, 1),
            copy.constant("from_id", 1, 4, 1), copy.constant("to_id", 2, 4, 1),
            copy.integers("party_id", one, 4, absent), copy.texts("document", [b"PO"]),
            copy.integers("price_micro", one, 8, absent), copy.constant("rate_nano", 10**9, 8, 1),
            copy.integers("value_micro", one, 8, absent), copy.raw("corrects", np.zeros((1, 16), np.uint8), absent),
            copy.constant("tags", 4, 2, 1), copy.constant("occurred_us", 1_790_000_000_000_000, 8, 1),
            copy.constant("gateway_id", 0, 4, 1), copy.raw("epoch", np.zeros((1, 16), np.uint8)),
            copy.constant("seq", 1, 8, 1), *place_in_batch(batch, 1),
        ]  # fmt: skip
        batch.chain("movements", copy.write_hashed(cursor, "movements", columns, 1))
        columns = [
            copy.constant("company_id", company_id, 4, 1), moved, copy.constant("step", 1, 2, 1),
            copy.constant("pool_id", 11, 8, 1), copy.constant("qty", 5, 8, 1), copy.constant("value", 0, 8, 1),
            copy.constant("posted", 0, 8, 1), copy.raw("corrects", np.zeros((1, 16), np.uint8), absent),
            copy.dates("posting_date", one * 20_000), *place_in_batch(batch, 1),
        ]  # fmt: skip
        batch.chain("cost_entries", copy.write_hashed(cursor, "cost_entries", columns, 1))
        # The link of before covered the rows only, not the batch's own.
        head = hashlib.sha256(
            batch.previous + b"".join(digests.tobytes() for digests in batch.hashed.values())
        ).digest()
        cursor.execute(
            "INSERT INTO batches (company_id, lane, batch_no, recorded_at, worker, observed, moved, previous, head)"
            " VALUES (%s, 5, 1, to_timestamp(%s), 'before', 0, 0, %s, %s)",
            [company_id, batch.recorded_us / 1e6, batch.previous, head],
        )
        cursor.execute("UPDATE lane_heads SET batch_no = 1, head = %s", [head])


def chain(connection: psycopg.Connection) -> Check:
    [check] = [check for check in verify(connection) if check.name == "hash chains"]
    return check


def test_books_of_before_keep_their_chain_and_get_the_new_accounts_and_rules(
    database: Database, connection: psycopg.Connection
) -> None:
    go_back(connection)
    companies = {profile: make_company(connection, profile) for profile in ("ASBE", "IFRS", "US_GAAP")}
    write_old_batch(connection, companies["ASBE"])

    assert migrate.migrate(database.owner_dsn)[0] == "0004_costing"

    assert (chain(connection).difference, chain(connection).detail) == (0, "1 links in 1 lanes")
    for profile, company_id in companies.items():
        roles = connection.execute("SELECT role FROM accounts WHERE company_id = %s", [company_id]).fetchall()
        assert {role for (role,) in roles} == {account.role for account in chart_of(profile)}
        rules = connection.execute(
            "SELECT kind, coalesce(reason, ''), debit_role, credit_role FROM posting_rules WHERE company_id = %s",
            [company_id],
        ).fetchall()
        assert sorted(rules) == sorted(
            (r.kind, r.reason or "", r.debit_role, r.credit_role) for r in posting_rules_of(profile)
        )


def test_a_column_that_an_old_row_never_had_cannot_be_filled_unseen(
    database: Database, connection: psycopg.Connection
) -> None:
    go_back(connection)
    write_old_batch(connection, make_company(connection, "ASBE"))
    migrate.migrate(database.owner_dsn)
    with psycopg.connect(database.server.dsn(database.name), autocommit=True) as superuser:
        superuser.execute("SET session_replication_role = replica")
        for table, column, changed, before in FILLED_IN:
            for value, difference in ((changed, True), (before, False)):
                statement = sql.SQL("UPDATE {} SET {} = %s").format(sql.Identifier(table), sql.Identifier(column))
                assert superuser.execute(statement, [value]).rowcount == 1
                assert bool(chain(superuser).difference) is difference, (table, column, value)
