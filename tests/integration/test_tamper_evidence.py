"""One changed byte of any append-only record is found, and the first record that it breaks is named.

Everything here is done as somebody who owns the server could do it: with triggers and constraints out of the way.
"""

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import sql

from cloud.domain.batch import Batch
from cloud.flows.verify import APPEND_ONLY, CHAINED, HASHED, Check, verify
from cloud.flows.verify.chains import check_chains
from cloud.flows.verify.derived import DERIVED, UNCHECKED
from cloud.flows.verify.ledger import check_ledger
from cloud.flows.verify.own_chains import check_own_chains
from cloud.flows.verify.vouchers import check_vouchers
from cloud.store import copy
from cloud.store.batches import load_company, place_in_batch
from tests.makers import make_warehouse
from tests.written_books import play, play_costs, play_ledger

EXAMPLES = settings(max_examples=4)

# One bit more or less, by the column's type; an integer gets one that no small number has, so that no key is met twice.
CHANGED = {
    "smallint": "coalesce({c} # 64, 64)",
    "integer": "coalesce({c} # 64, 64)",
    "bigint": "coalesce({c} # 64, 64)",
    "text": "coalesce({c}, '') || 'x'",
    "boolean": "NOT {c}",
    "json": "(substr({c}::text, 1, length({c}::text) - 1) || ' ' || right({c}::text, 1))::json",  # a space, no more
    "jsonb": "{c} || '{{\"0\": 1}}'",
    "real": "({c} + 1e-6)::real",
    "date": "{c} + 1",
    "timestamp with time zone": "{c} + interval '1 microsecond'",
    # Every digit moves on by one.
    "uuid": "coalesce(translate({c}::text, '0123456789abcdef', '123456789abcdef0')::uuid, gen_random_uuid())",
    "bytea": "CASE length({c}) WHEN 0 THEN '\\x00' ELSE set_byte({c}, 0, get_byte({c}, 0) # 1) END",
    "xid8": "({c}::text::bigint + 64)::text::xid8",
}
# What no digest covers, and why that is no gap.
NOT_NAMED = {
    (
        "batches",
        "xid",
    ): "in which transaction it was written: its entries say the same, and both are compared; of a"
    " batch without entries nobody but feeds asks, which it then comes to at another place",
    ("journal_entries", "xid"): "as of batches",
}
NOT_COVERED = {("voucher_numbers", "numbered_at"): "when the job ran; numbers follow from the recorded order"}

PARENT = {"journal_lines": "journal_entries", "consumption_links": "cost_entries"}
ID = {
    "movements": "movement_id", "value_events": "event_id", "cost_entries": "movement_id",
    "allowance_entries": "movement_id", "ledger_documents": "document_id", "journal_entries": "source_id",
    "observations": "movement_id",
}  # fmt: skip
# By what rows of a table are told apart within a group of them.
ORDER = {
    **dict.fromkeys(HASHED, ("row_no", "company_id, lane, batch_no")),
    **dict.fromkeys(CHAINED, ("link_no", "link_no > 0")),
    "journal_lines": ("line_no", "company_id, source_id, step"),
    "consumption_links": ("link_no", "company_id, movement_id, step"),
    "batches": ("batch_no", "company_id, lane"),
    "voucher_numbers": ("number", "company_id, period_id, word"),
}


@pytest.fixture(scope="module")
def books(module_database: Any) -> Iterator[psycopg.Connection]:
    """A superuser's connection to books with rows in every table, without triggers and constraints."""
    with ExitStack() as stack:

        def connect(dsn: str) -> psycopg.Connection:
            return stack.enter_context(psycopg.connect(dsn, autocommit=True))

        owner = connect(module_database.owner_dsn)
        warehouse = make_warehouse(owner, connect(module_database.dsn_of("tallygate_ingest")))
        warehouse.close(202608)
        play(warehouse)
        play_costs(warehouse)
        play_ledger(warehouse)
        superuser = connect(module_database.server.dsn(module_database.name))
        superuser.execute("SET session_replication_role = replica")
        for table, name in superuser.execute(
            "SELECT conrelid::regclass::text, conname FROM pg_constraint"
            " WHERE contype IN ('c', 'f', 'p', 'u') AND conrelid::regclass::text = ANY (%s)",
            [list(APPEND_ONLY)],
        ).fetchall():
            superuser.execute(
                sql.SQL("ALTER TABLE {} DROP CONSTRAINT {} CASCADE").format(
                    sql.Identifier(table), sql.Identifier(name)
                )
            )
        superuser.execute("ALTER TABLE quarantine ALTER COLUMN quarantine_id DROP IDENTITY")
        for (name,) in superuser.execute(
            "SELECT indexrelid::regclass::text FROM pg_index"
            " WHERE indisunique AND indrelid::regclass::text = ANY (%s)",
            [list(APPEND_ONLY)],
        ).fetchall():
            superuser.execute(sql.SQL("DROP INDEX {}").format(sql.SQL(name)))
        yield superuser


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table: where it is stored, and what verify may call it."""

    ctid: str
    tableoid: int
    names: tuple[str, ...]


def rows_of(connection: psycopg.Connection, table: str) -> list[Row]:
    """Every row of the table."""
    owner = PARENT.get(table, table)
    if table in PARENT:
        join = "company_id, source_id, step" if table == "journal_lines" else "company_id, movement_id, step"
        origin = f"{table} t JOIN {owner} o USING ({join})"
    else:
        origin = f"{table} t JOIN {table} o ON o.ctid = t.ctid AND o.tableoid = t.tableoid"
    if owner in HASHED:
        name = (
            f"ARRAY[format('{owner} row %%s of batch %%s, lane %%s, company %%s', o.row_no, o.batch_no, o.lane,"
            f" o.company_id), o.{ID[owner]}::text]"
        )
    elif table in CHAINED:
        name = f"ARRAY[format('{table} link %%s', o.link_no)]"
    elif table == "batches":
        name = "ARRAY[format('batch %%s of lane %%s, company', o.batch_no, o.lane)]"
    else:
        name = "ARRAY[format('voucher %%s %%s of', o.word, o.number), format('%%s.%%s', o.source_id, o.step)]"
    found = connection.execute(
        f"SELECT t.ctid::text, t.tableoid, {name} FROM {origin} ORDER BY t.ctid, t.tableoid",  # type: ignore[arg-type]  # noqa: S608  names of ours
        {},
    ).fetchall()
    return [Row(ctid, tableoid, tuple(names)) for ctid, tableoid, names in found]


def failures(connection: psycopg.Connection) -> list[Check]:
    """Of the checks that name records, without waiting for all the others."""
    rooms: tuple[Callable[[psycopg.Connection], Iterator[Check]], ...] = (
        check_chains, check_own_chains, check_vouchers,
    )  # fmt: skip
    return [check for room in rooms for check in room(connection) if not check.holds]


def has_entries(connection: psycopg.Connection, row: Row) -> bool:
    """Whether a batch has journal entries."""
    where = sql.SQL("SELECT count(*) FROM batches b JOIN journal_entries USING (company_id, lane, batch_no)")
    place = sql.SQL(" WHERE b.ctid = {}::tid").format(sql.Literal(row.ctid))
    found = connection.execute(where + place).fetchone()
    return found is not None and found[0] > 0


def at(row: Row) -> sql.Composable:
    return sql.SQL(" WHERE ctid = {}::tid AND tableoid = {}").format(
        sql.Literal(row.ctid), sql.Literal(row.tableoid)
    )


def columns_of(connection: psycopg.Connection, table: str) -> list[tuple[str, str]]:
    return connection.execute(
        "SELECT column_name, data_type FROM information_schema.columns"
        " WHERE table_schema = 'public' AND table_name = %s ORDER BY ordinal_position",
        [table],
    ).fetchall()


def test_the_books_as_they_are_hold(books: psycopg.Connection) -> None:
    assert [check for check in verify(books) if not check.holds] == []
    for table in APPEND_ONLY:
        assert rows_of(books, table), f"{table} has no row to change"


def test_every_table_is_appended_to_or_derived_or_says_why_not(books: psycopg.Connection) -> None:
    tables = {
        name
        for (name,) in books.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
        )
    }
    if books.execute("SELECT readings_kept_by_timescaledb()").fetchone() == (True,):
        tables |= {"reading_minutes", "reading_hours"}  # views over tables of TimescaleDB's
    refusing = {
        name.rpartition(".")[2]
        for (name,) in books.execute(
            "SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger JOIN pg_proc f ON f.oid = tgfoid"
            " WHERE f.proname = 'refuse_change' AND tgtype & 24 = 24 AND tgrelid IN"  # on UPDATE and on DELETE
            " (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)"
        )
    }
    assert refusing == set(APPEND_ONLY)
    assert set(ORDER) == refusing, "each is changed, deleted from, added to and swapped below"
    assert not (set(DERIVED) & set(UNCHECKED)), "held by a check, or not"
    assert tables == refusing | set(DERIVED) | set(UNCHECKED)
    assert set(DERIVED.values()) <= {check.name for check in verify(books)}


@pytest.mark.parametrize("table", APPEND_ONLY)
@EXAMPLES
@given(pick=st.integers(0, 2**16))
def test_one_byte_of_any_column_is_found_and_its_record_named(
    books: psycopg.Connection, table: str, pick: int
) -> None:
    rows = rows_of(books, table)
    row = rows[pick % len(rows)]
    for column, kind in columns_of(books, table):
        change = sql.SQL("UPDATE {} SET {} = ").format(sql.Identifier(table), sql.Identifier(column))
        change += sql.SQL(CHANGED[kind]).format(c=sql.Identifier(column)) + at(row)
        with books.transaction(force_rollback=True):
            assert books.execute(change).rowcount == 1
            if (table, column) in NOT_COVERED:
                assert failures(books) == []
                continue
            if (table, column) in NOT_NAMED:
                found = [check for check in check_ledger(books) if not check.holds]
                assert found or (table == "batches" and not has_entries(books, row)), f"{table}.{column}"
                continue
            found = failures(books)
        assert found, f"{table}.{column} was changed and nothing says so"
        assert any(name in check.detail for check in found for name in row.names), (table, column, row, found)


@pytest.mark.parametrize("table", APPEND_ONLY)
@EXAMPLES
@given(pick=st.integers(0, 2**16))
def test_a_record_that_is_gone_is_missed(books: psycopg.Connection, table: str, pick: int) -> None:
    """By its own name, or where no record behind it shows the gap by that of its batch or of what is left."""
    rows = rows_of(books, table)
    row = rows[pick % len(rows)]
    with books.transaction(force_rollback=True):
        assert books.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)) + at(row)).rowcount == 1
        found = failures(books)
    assert found, f"a row of {table} is gone and nothing says so"
    named = [*row.names, *(name.partition(" of ")[2].partition(",")[0] for name in row.names[:1])]
    if table != "voucher_numbers":  # those behind it have moved up; the first of them is named
        assert any(name in check.detail for check in found for name in named if name), (row, found)


@pytest.mark.parametrize("table", APPEND_ONLY)
@EXAMPLES
@given(pick=st.integers(0, 2**16))
def test_a_record_that_nobody_wrote_is_named(books: psycopg.Connection, table: str, pick: int) -> None:
    """A copy of another behind the last of its group, its digest and all."""
    number, group = ORDER[table]
    rows = rows_of(books, table)
    row = rows[pick % len(rows)]
    columns = [name for name, _ in columns_of(books, table)]
    listed = sql.SQL(", ").join(map(sql.Identifier, columns))
    behind = sql.SQL("(SELECT max(m.{n}) + 1 FROM {t} m WHERE ({m}) = ({o}))").format(
        n=sql.Identifier(number), t=sql.Identifier(table),
        m=sql.SQL(", ").join(sql.SQL(f"m.{name}") for name in group.split(", ")),
        o=sql.SQL(", ").join(sql.SQL(f"o.{name}") for name in group.split(", ")),
    )  # fmt: skip
    values = sql.SQL(", ").join(behind if name == number else sql.Identifier(name) for name in columns)
    with books.transaction(force_rollback=True):
        forge = sql.SQL("INSERT INTO {0} ({1}) OVERRIDING SYSTEM VALUE SELECT {2} FROM {0} o").format(
            sql.Identifier(table), listed, values
        )
        assert books.execute(forge + at(row)).rowcount == 1
        known = {(old.ctid, old.tableoid) for old in rows}
        [forged] = [one for one in rows_of(books, table) if (one.ctid, one.tableoid) not in known]
        found = failures(books)
    assert any(name in check.detail for check in found for name in forged.names), (forged, found)


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_two_records_that_changed_places_are_named(books: psycopg.Connection, table: str) -> None:
    number, group = ORDER[table]
    pair = books.execute(
        f"SELECT array_agg(ctid::text ORDER BY {number}), array_agg(tableoid ORDER BY {number}) FROM {table}"  # type: ignore[arg-type]  # noqa: S608
        f" GROUP BY {group} HAVING count(*) > 1 LIMIT 1"
    ).fetchone()
    assert pair is not None, f"{table} has no two rows to swap"
    rows = {(row.ctid, row.tableoid): row for row in rows_of(books, table)}
    first, second = (rows[place] for place in list(zip(*pair, strict=True))[:2])
    swap = sql.SQL(
        "UPDATE {t} SET {n} = (SELECT sum(o.{n}) FROM {t} o WHERE (o.ctid::text, o.tableoid) IN"
        " (({a}, {ao}), ({b}, {bo}))) - {n} WHERE (ctid::text, tableoid) IN (({a}, {ao}), ({b}, {bo}))"
    ).format(
        t=sql.Identifier(table), n=sql.Identifier(number), a=sql.Literal(first.ctid),
        ao=sql.Literal(first.tableoid), b=sql.Literal(second.ctid), bo=sql.Literal(second.tableoid),
    )  # fmt: skip
    with books.transaction(force_rollback=True):
        assert books.execute(swap).rowcount == 2
        found = failures(books)
    assert any(name in check.detail for check in found for name in (*first.names, *second.names)), found


def test_a_forged_record_with_the_right_digest_is_named(books: psycopg.Connection) -> None:
    """Whoever can reckon a row's digest still has to make the batch's link anew."""
    with books.transaction(force_rollback=True), books.cursor() as cursor:
        found = cursor.execute(
            "SELECT company_id, lane, batch_no, max(row_no) + 1, min(pool_id) FROM allowance_entries"
            " GROUP BY 1, 2, 3 LIMIT 1"
        ).fetchone()
        assert found is not None
        company_id, lane, batch_no, row_no, pool = found
        batch = Batch(load_company(cursor, company_id), lane, batch_no, b"", 0, "x")
        identity = uuid.uuid4()
        *place, _ = place_in_batch(batch, 1)
        columns = [
            copy.constant("company_id", company_id, 4, 1),
            copy.raw("movement_id", np.frombuffer(identity.bytes, np.uint8).reshape(1, 16)),
            copy.constant("step", 0, 2, 1), copy.constant("pool_id", pool, 8, 1), copy.constant("value", 0, 8, 1),
            copy.constant("posted", 0, 8, 1), copy.dates("posting_date", np.array([20_000])),
            *place, copy.constant("row_no", row_no, 4, 1),
        ]  # fmt: skip
        copy.write_hashed(cursor, "allowance_entries", columns, 1)
        [check] = failures(books)
        assert check.detail.startswith(
            f"first: allowance_entries row {row_no} of batch {batch_no}, lane {lane}, company {company_id}"
        )
        assert "none of the batch's" in check.detail


def test_books_that_cannot_be_reckoned_with_silence_nothing_else(books: psycopg.Connection) -> None:
    """given a number that overflows a sum; the room that meets it says so, and the chains still name the row."""
    with kept(books, "period_events"):
        books.execute("""UPDATE period_events SET heads = '{"x": "y"}' WHERE link_no = 1""")
        found = {check.name: check.detail for check in verify(books) if not check.holds}
    assert "periods: cannot be worked out" in found
    assert found["chains of the small tables"].startswith("first: period_events link 1")


class kept:  # noqa: N801  reads as a statement
    """Put a table back afterwards."""

    def __init__(self, connection: psycopg.Connection, table: str) -> None:
        self.connection, self.table = connection, sql.Identifier(table)

    def __enter__(self) -> None:
        self.connection.execute(sql.SQL("CREATE TEMP TABLE kept_rows AS TABLE {}").format(self.table))

    def __exit__(self, *_: object) -> None:
        self.connection.execute(sql.SQL("DELETE FROM {}").format(self.table))
        self.connection.execute(sql.SQL("INSERT INTO {} TABLE kept_rows").format(self.table))
        self.connection.execute("DROP TABLE kept_rows")
