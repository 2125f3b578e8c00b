"""The migration to full costing, on a database that has books already: the chain holds, the chart is completed."""

from collections.abc import Iterator
from uuid import UUID

import numpy as np
import psycopg
import pytest
from psycopg import sql

from cloud.domain.ledger.charts import chart_of, posting_rules_of
from cloud.flows.verify import Check, verify
from cloud.store import copy, migrate
from cloud.store.batches import close_batch, load_company, open_batch, place_in_batch
from tests.conftest import Database

pytestmark = pytest.mark.editions

OLD = ("0001_foundation", "0002_views", "0003_reading")
# What this migration adds: a company of before has all the rest.
NEW_ROLES = (
    "wip", "allowance", "absorbed", "ppv", "usage_variance", "production_variance", "revaluation", "write_down",
    "landed_clearing",
)  # fmt: skip
FIRST_NEW_KIND = 14
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


def go_back(connection: psycopg.Connection) -> None:
    """A database as it was: everything made anew with the first three migrations only."""
    tables = connection.execute(
        "SELECT format('DROP TABLE IF EXISTS %I CASCADE', tablename) FROM pg_tables WHERE schemaname = 'public'"
    ).fetchall()
    for (statement,) in tables:
        connection.execute(statement)
    functions = connection.execute(
        "SELECT format('DROP FUNCTION %s CASCADE', p.oid::regprocedure) FROM pg_proc p"
        " WHERE pronamespace = 'public'::regnamespace AND pg_get_userbyid(proowner) = current_user"
        "   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')"
    ).fetchall()
    for (statement,) in functions:
        connection.execute(statement)
    for name in OLD:
        connection.execute((migrate.MIGRATIONS / f"{name}.sql").read_text("utf-8"))
    if migrate.create_extension(connection):
        connection.execute((migrate.MIGRATIONS / "timescaledb.sql").read_text("utf-8"))
    connection.execute(
        "CREATE TABLE schema_migrations (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
    )
    connection.execute("INSERT INTO schema_migrations SELECT unnest(%s::text[])", [list(OLD)])


def make_company(connection: psycopg.Connection, profile: str) -> int:
    """With the chart and rules that its profile had."""
    [(company_id,)] = connection.execute(
        "INSERT INTO companies (code, name, currency, minor_digits, time_zone, profile)"
        " VALUES (%s, 'x', 'CNY', 2, 'Asia/Shanghai', %s) RETURNING company_id",
        [profile, profile],
    ).fetchall()
    for account in chart_of(profile):
        if account.role not in NEW_ROLES:
            connection.execute(
                "INSERT INTO accounts (company_id, number, name_zh, name_en, role, is_control)"
                " VALUES (%s, %s, %s, %s, %s, %s)",
                [company_id, account.number, account.name_zh, account.name_en, account.role, account.is_control],
            )
    for rule in posting_rules_of(profile):
        if rule.kind < FIRST_NEW_KIND:
            connection.execute(
                "INSERT INTO posting_rules (company_id, kind, debit_role, credit_role) VALUES (%s, %s, %s, %s)",
                [company_id, rule.kind, rule.debit_role, rule.credit_role],
            )
    return int(company_id)


def write_old_batch(connection: psycopg.Connection, company_id: int) -> None:
    """A movement and a cost entry as they were hashed before: no lot, no counter account."""
    connection.execute("INSERT INTO items (company_id, code, name_en) VALUES (%s, 'A', 'a')", [company_id])
    connection.execute(
        "INSERT INTO locations (company_id, code, name, kind)"
        " SELECT %s, * FROM (VALUES ('S', 's', 'supplier'), ('W', 'w', 'site')) l",
        [company_id],
    )
    with connection.transaction(), connection.cursor() as cursor:
        batch = open_batch(cursor, load_company(cursor, company_id), 5, 1_790_000_000_000_000, "before")
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
        batch.hashed.append(copy.write_hashed(cursor, "movements", columns, 1))
        columns = [
            copy.constant("company_id", company_id, 4, 1), moved, copy.constant("step", 1, 2, 1),
            copy.constant("pool_id", 11, 8, 1), copy.constant("qty", 5, 8, 1), copy.constant("value", 0, 8, 1),
            copy.constant("posted", 0, 8, 1), copy.raw("corrects", np.zeros((1, 16), np.uint8), absent),
            copy.dates("posting_date", one * 20_000), *place_in_batch(batch, 1),
        ]  # fmt: skip
        batch.hashed.append(copy.write_hashed(cursor, "cost_entries", columns, 1))
        close_batch(cursor, batch)


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
        accounts = connection.execute(
            "SELECT role, number, name_zh, name_en, is_control FROM accounts WHERE company_id = %s", [company_id]
        ).fetchall()
        assert set(accounts) == {(a.role, a.number, a.name_zh, a.name_en, a.is_control) for a in chart_of(profile)}
        rules = connection.execute(
            "SELECT kind, debit_role, credit_role FROM posting_rules WHERE company_id = %s", [company_id]
        ).fetchall()
        assert sorted(rules) == sorted((r.kind, r.debit_role, r.credit_role) for r in posting_rules_of(profile))


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
