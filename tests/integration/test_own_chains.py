"""The chains of the small append-only tables: made by the database alone, whoever inserts, however, and beside whom."""

import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from cloud.flows.verify.own_chains import check_own_chains
from standalone.postgres import OWNER
from tests.conftest import PLAIN, Database

LIFE = "INSERT INTO incarnations (incarnation, cluster, reason) VALUES (%s, 'c', 'because')"
PARKED = (
    "INSERT INTO quarantine (company_id, gateway_id, epoch, first_seq, last_seq, recorded_at, reason, payload)"
    " SELECT 1, 1, gen_random_uuid(), n, n, now(), 'x', '\\x00ff41' FROM generate_series(1, %s) n"
)


@pytest.fixture
def owner(database: Database) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database.owner_dsn, autocommit=True) as opened:
        yield opened


def links(connection: psycopg.Connection) -> str:
    """What the walk over all chains says."""
    with connection.transaction():
        [check] = check_own_chains(connection)
    assert check.difference == 0, check.detail
    return check.detail


@pytest.mark.editions
def test_a_rows_digest_is_the_same_whatever_the_session_is_set_to(owner: psycopg.Connection) -> None:
    for number, (name, value) in enumerate(
        (("TimeZone", "Asia/Tokyo"), ("bytea_output", "escape"), ("extra_float_digits", "-15"),
         ("DateStyle", "German"), ("search_path", "pg_catalog"), ("IntervalStyle", "iso_8601")), 1,
    ):  # fmt: skip
        with owner.transaction():
            owner.execute("SELECT set_config(%s, %s, true)", [name, value])
            owner.execute(LIFE.replace("incarnations", "public.incarnations", 1), [number])
            owner.execute(PARKED.replace("quarantine", "public.quarantine", 1), [1])
    assert links(owner).startswith("12 links")


def test_rows_of_one_statement_stand_one_behind_the_other(owner: psycopg.Connection) -> None:
    owner.execute(PARKED, [50])
    assert links(owner).startswith("50 links")


def test_what_was_rolled_back_to_a_savepoint_leaves_no_gap(owner: psycopg.Connection) -> None:
    with owner.transaction():
        owner.execute(LIFE, [1])
        with owner.transaction(force_rollback=True):
            owner.execute(LIFE, [2])
        owner.execute(LIFE, [3])
        with pytest.raises(psycopg.errors.UniqueViolation), owner.transaction():
            owner.execute(LIFE, [3])
        owner.execute(LIFE, [4])
    assert links(owner).startswith("3 links")


@pytest.mark.parametrize("ending", ["commit", "rollback"])
def test_a_second_transaction_waits_for_the_first_and_goes_on_from_it(
    database: Database, owner: psycopg.Connection, ending: str
) -> None:
    """given an empty chain, where neither finds an end of it to lock at first."""
    with psycopg.connect(database.owner_dsn) as first, psycopg.connect(database.owner_dsn) as second:
        first.execute(LIFE, [1])

        def insert() -> None:
            second.execute(LIFE, [2])
            second.commit()

        waiting = threading.Thread(target=insert)
        waiting.start()
        while not owner.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'").fetchone():
            assert waiting.is_alive(), "the second did not wait"
        getattr(first, ending)()
        waiting.join()
    assert links(owner).startswith("2 links" if ending == "commit" else "1 links")


@pytest.mark.parametrize("edition", [PLAIN], indirect=True)
def test_a_dump_that_is_put_back_keeps_every_link(database: Database, owner: psycopg.Connection) -> None:
    """pg_dump restores rows before it makes triggers: nothing is chained anew."""
    owner.execute(LIFE, [1])
    owner.execute(PARKED, [3])
    before = owner.execute("SELECT link_no, digest FROM quarantine ORDER BY link_no").fetchall()
    server = database.server
    name = f"{database.name}_put_back"
    tools = server.binaries.bin_dir
    dump = subprocess.run(
        [tools / "pg_dump", "--dbname", server.dsn(database.name)], capture_output=True, check=True, timeout=60
    ).stdout
    with psycopg.connect(server.superuser_dsn, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(OWNER))
        )
        try:
            subprocess.run(
                [tools / "psql", "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", server.dsn(name)],
                input=dump, capture_output=True, check=True, timeout=60,
            )  # fmt: skip
            with psycopg.connect(server.dsn(name, OWNER), autocommit=True) as put_back:
                assert links(put_back).startswith("4 links")
                assert (
                    put_back.execute("SELECT link_no, digest FROM quarantine ORDER BY link_no").fetchall()
                    == before
                )
                put_back.execute(LIFE, [2])
                assert links(put_back).startswith("5 links")
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def test_a_column_that_may_be_null_can_be_added_later(owner: psycopg.Connection, database: Any) -> None:
    """Rows of before keep their digests; rows of then are covered with it."""
    owner.execute(LIFE, [1])
    owner.execute("ALTER TABLE incarnations ADD COLUMN remark text")
    owner.execute("INSERT INTO incarnations (incarnation, cluster, reason, remark) VALUES (2, 'c', 'x', 'seen')")
    assert links(owner).startswith("2 links")
    owner.execute("ALTER TABLE incarnations DISABLE TRIGGER append_only")
    for number in (1, 2):
        with owner.transaction(force_rollback=True):
            owner.execute("UPDATE incarnations SET remark = 'changed' WHERE incarnation = %s", [number])
            [check] = check_own_chains(owner)
            assert check.detail.startswith(f"first: incarnations link {number}: ")
