"""TimescaleDB's community edition: books whose chunks are compressed are the same books, and nobody can change them.

Runs where TALLYGATE_TEST_DSN names such a server, and says so elsewhere.
"""

import random
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from cloud.domain.movement import Kind
from cloud.flows.keep_balances import keep_balances
from cloud.flows.recost import recost_company
from cloud.flows.verify.books_hash import books_lines
from cloud.store.migrate import is_community, migrate
from tests.late_goods import WORKER
from tests.makers import HOUR_US, NOON_US, Warehouse, make_warehouse
from tests.written_books import play

COMPRESSED = ("movements", "observations")


@pytest.fixture
def warehouse(database: Any) -> Iterator[Warehouse]:
    with (
        psycopg.connect(database.owner_dsn, autocommit=True) as owner,
        psycopg.connect(database.dsn_of("tallygate_ingest"), autocommit=True) as ingest,
    ):
        if not is_community(owner):
            pytest.skip("this server is not of TimescaleDB's community edition: TALLYGATE_TEST_DSN names none")
        made = make_warehouse(owner, ingest)
        made.close(202608)
        play(made)
        yield made
        made.check()


def compress(warehouse: Warehouse) -> int:
    """Compress every chunk that is not, as the policies will; how many."""
    chunks = warehouse.fetch(
        "SELECT format('%%I.%%I', chunk_schema, chunk_name) FROM timescaledb_information.chunks"
        " WHERE hypertable_name = ANY(%s) AND NOT is_compressed",
        list(COMPRESSED),
    )
    for (chunk,) in chunks:
        warehouse.fetch("SELECT compress_chunk(%s::regclass)", chunk)
    return len(chunks)


def lines(warehouse: Warehouse) -> list[Any]:
    recost_company(warehouse.ingest, warehouse.company_id, WORKER, every=10_000)
    return list(books_lines(warehouse.owner))


def rows(warehouse: Warehouse, table: str) -> set[tuple[Any, ...]]:
    return {row[0] for row in warehouse.fetch(f"SELECT t::text FROM {table} t")}  # noqa: S608


def test_policies_compress_what_is_written_no_more(warehouse: Warehouse, database: Any) -> None:
    migrate(database.owner_dsn)  # a second time changes nothing
    found = warehouse.fetch(
        "SELECT hypertable_name, config ->> 'compress_after' FROM timescaledb_information.jobs"
        " WHERE proc_name IN ('policy_compression', 'policy_columnstore') AND hypertable_name = ANY(%s) ORDER BY 1",
        list(COMPRESSED),
    )
    assert found == [("movements", "60 days"), ("observations", "60 days")]


def test_compressed_books_are_the_same_books(warehouse: Warehouse) -> None:
    before = lines(warehouse)
    plain = {table: rows(warehouse, table) for table in COMPRESSED}
    assert compress(warehouse) >= len(COMPRESSED)
    assert {table: rows(warehouse, table) for table in COMPRESSED} == plain
    assert lines(warehouse) == before
    warehouse.check()
    assert keep_balances(warehouse.ingest, warehouse.company_id, stretch=4) == len(plain["movements"])


def test_books_go_on_over_compressed_chunks(warehouse: Warehouse) -> None:
    compress(warehouse)
    warehouse.tag(71, "LAMP")
    warehouse.expect(Kind.PURCHASE_RECEIPT, "LAMP", 10, price="7.00", document="PO-C")
    first = len(warehouse.log.written) + 1
    warehouse.log.passage(warehouse.tag(71, "LAMP"), "in", 9 * 3600)
    recorded = warehouse.record(warehouse.log.message(first), at_us=NOON_US + 12 * HOUR_US)
    assert recorded.counts["movements"] == 1
    warehouse.check()
    compress(warehouse)
    warehouse.check()


@pytest.mark.parametrize("table", COMPRESSED)
@pytest.mark.parametrize("statement", ["UPDATE {} SET lane = 3", "DELETE FROM {}", "TRUNCATE {}"])
def test_nobody_changes_compressed_books(warehouse: Warehouse, table: str, statement: str) -> None:
    compress(warehouse)
    kept = rows(warehouse, table)
    for where in ("", " WHERE company_id = 1", f" WHERE recorded_at > '{random.randint(1990, 2000)}-01-01'"):
        if "TRUNCATE" in statement and where:
            continue
        with pytest.raises(psycopg.Error, match="append only"):
            warehouse.owner.execute(statement.format(table) + where)  # type: ignore[arg-type]
    assert rows(warehouse, table) == kept


def test_services_have_no_right_to_compressed_chunks(warehouse: Warehouse) -> None:
    compress(warehouse)
    allowed = warehouse.fetch(
        "WITH chunks AS ("
        "    SELECT inhrelid AS chunk FROM pg_inherits WHERE inhparent = ANY(%s::regclass[])"
        "     UNION ALL"
        "    SELECT format('%%I.%%I', schema_name, table_name)::regclass FROM _timescaledb_catalog.chunk"
        "     WHERE table_name LIKE 'compress%%' AND NOT dropped)"
        " SELECT chunk::regclass::text, role, right_to FROM chunks"
        "  CROSS JOIN unnest(ARRAY['tallygate_ingest', 'tallygate_api', 'tallygate_read']) role"
        "  CROSS JOIN unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE']) right_to"
        "  WHERE has_table_privilege(role, chunk, right_to)",
        list(COMPRESSED),
    )
    assert allowed == []
