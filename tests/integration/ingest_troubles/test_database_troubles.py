"""What goes wrong with the database: the worker says it once, keeps what it holds, and goes on when it is mended.

Each test is the same story with another trouble. A gateway's first movements are applied; the trouble comes; the
gateway sends the rest, once; the worker tries several times, complains once and tells the gateway nothing; the trouble
goes, and the rest is applied without the gateway's help.
"""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from cloud.ingest import patience
from cloud.ingest.patience import APPLICATION
from standalone.account import server_account
from tests.chaos.network import Proxy
from tests.ingesting import eventually, said, write

pytestmark = pytest.mark.database

TRIES = 4
TINY_BYTES = 96 << 20  # a database with its schema takes some 40 MB of it


def endures(
    house: Any,
    caplog: pytest.LogCaptureFixture,
    breaks: Callable[[], object],
    mends: Callable[[], object],
    kind: str,
    dsn: str | Callable[[], str] | None = None,
) -> str:
    """The story; what the worker said of the error."""
    caplog.set_level("INFO")
    log = write(house.cloud.warehouse, 6)
    worker = house.cloud.start(dsn=dsn)
    house.gateway.send(log.payload(1, 2))
    house.gateway.until(log.epoch, 2)
    breaks()
    for number in (3, 4, 5, 6):
        house.gateway.send(log.payload(number, number))
    eventually(lambda: worker.counters["database_lost"] >= TRIES)
    assert said(caplog.records, "database") == [kind]
    assert house.told() <= 2
    mends()
    house.gateway.until(log.epoch, 6)
    eventually(lambda: said(caplog.records, "database") == [kind, "over"])
    assert house.applied() == 6
    [complaint] = [record for record in caplog.records if getattr(record, "trouble", "") == kind]
    for told in (complaint.where, complaint.do, complaint.error):  # type: ignore[attr-defined]
        assert told
    assert "\n" not in complaint.error  # type: ignore[attr-defined]
    return str(complaint.error)  # type: ignore[attr-defined]


def test_a_server_that_is_killed_and_started_again(own_house: Any, own_server: Any, caplog: Any) -> None:
    def kill() -> None:
        os.kill(own_server.server.pid, signal.SIGKILL)

    endures(own_house, caplog, kill, own_server.server.start, "down")


def test_a_server_that_is_stopped_in_order_for_a_while(own_house: Any, own_server: Any, caplog: Any) -> None:
    """Its end, the refusals after it and its recovery look different, and are one trouble."""
    endures(own_house, caplog, own_server.server.stop, own_server.server.start, "down")


def test_a_server_that_becomes_read_only(own_house: Any, own_server: Any, caplog: Any) -> None:
    error = endures(
        own_house, caplog,
        lambda: own_server.set(default_transaction_read_only="on"),
        lambda: own_server.set(default_transaction_read_only=None),
        "read-only",
    )  # fmt: skip
    assert "read-only transaction" in error


def test_a_server_without_a_connection_left(
    own_house: Any, own_server: Any, caplog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "RETRY_S", (0.5, 0.5))  # we are to take its place before it comes back
    with ExitStack() as taken, own_server.superuser() as superuser:

        def take_all() -> None:
            with suppress(psycopg.OperationalError):
                while True:
                    taken.enter_context(psycopg.connect(own_house.database.owner_dsn))
            end_session(superuser, own_house)
            taken.enter_context(psycopg.connect(own_house.database.owner_dsn))

        error = endures(own_house, caplog, take_all, taken.close, "connections")
    assert "too many clients" in error or "connection slots" in error


def end_session(superuser: psycopg.Connection, house: Any) -> None:
    """The worker has to sign in anew."""
    [(is_gone,)] = superuser.execute(
        "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE datname = %s AND application_name = %s",
        [house.database.name, APPLICATION],
    ).fetchall()
    assert is_gone


@contextmanager
def locked(house: Any) -> Iterator[Callable[[], psycopg.Connection]]:
    """Somebody who locks a table that every batch needs, until the connection is closed."""
    dsn = make_conninfo(house.database.owner_dsn, application_name="nightly report")
    with psycopg.connect(dsn) as somebody:

        def lock() -> psycopg.Connection:
            somebody.execute("LOCK TABLE observations IN ACCESS EXCLUSIVE MODE")
            return somebody

        yield lock


def test_a_lock_that_somebody_does_not_let_go_of(house: Any, caplog: Any) -> None:
    with locked(house) as lock:
        impatient = make_conninfo(house.cloud.ingest_dsn, options="-c lock_timeout=150ms")
        error = endures(house, caplog, lock, lambda: lock().rollback(), "locked", dsn=impatient)
    assert "nightly report" in error


def test_a_server_that_is_too_slow(house: Any, caplog: Any) -> None:
    """A statement that does not end in time is given up; what is in hand is tried in smaller pieces."""
    with locked(house) as lock:
        impatient = make_conninfo(house.cloud.ingest_dsn, options="-c statement_timeout=250ms")
        error = endures(house, caplog, lock, lambda: lock().rollback(), "slow", dsn=impatient)
    assert "statement timeout" in error


def test_a_server_that_stands_still(house: Any, caplog: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection lives, and nothing comes: no limit of the server's, and none of TCP's."""
    monkeypatch.setattr(patience, "SILENCE_S", 0.5)
    with Proxy(house.database.server.port) as relay:
        way = make_conninfo(house.cloud.ingest_dsn, host=relay.host, port=relay.port, connect_timeout=2)
        caplog.set_level("INFO")
        log = write(house.cloud.warehouse, 4)
        worker = house.cloud.start(dsn=way)
        house.gateway.send(log.payload(1, 2))
        house.gateway.until(log.epoch, 2)
        relay.cut()
        house.gateway.send(log.payload(3, 4))
        eventually(lambda: worker.counters["database_lost"] >= 2 and said(caplog.records, "database") == ["down"])
        relay.heal()
        house.gateway.until(log.epoch, 4)
        house.cloud.stop()
    assert said(caplog.records, "database") == ["down", "over"]
    assert house.applied() == 4


def test_a_schema_that_is_behind_the_program(house: Any, caplog: Any) -> None:
    owner = house.cloud.warehouse.owner
    [(newest,)] = owner.execute("SELECT max(name) FROM schema_migrations").fetchall()

    def take_back() -> None:
        owner.execute("DELETE FROM schema_migrations WHERE name = %s", [newest])
        eventually(lambda: bool(said(caplog.records, "database")))

    def migrate() -> None:
        owner.execute("INSERT INTO schema_migrations (name) VALUES (%s)", [newest])

    assert newest in endures(house, caplog, take_back, migrate, "schema behind")


def test_a_schema_that_is_newer_than_the_program(house: Any, caplog: Any) -> None:
    owner = house.cloud.warehouse.owner

    def migrate() -> None:
        owner.execute("INSERT INTO schema_migrations (name) VALUES ('9999_of_tomorrow')")
        eventually(lambda: bool(said(caplog.records, "database")))

    def put_back() -> None:
        owner.execute("DELETE FROM schema_migrations WHERE name = '9999_of_tomorrow'")

    assert "9999_of_tomorrow" in endures(house, caplog, migrate, put_back, "schema ahead")


def test_a_right_that_was_taken_away(house: Any, caplog: Any) -> None:
    owner = house.cloud.warehouse.owner
    endures(
        house, caplog,
        lambda: owner.execute("REVOKE INSERT ON observations FROM tallygate_ingest"),
        lambda: owner.execute("GRANT INSERT ON observations TO tallygate_ingest"),
        "rights",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ({"password": "guessed"}, "sign-in"),
        ({"user": "nobody_of_that_name"}, "sign-in"),
        ({"dbname": "nothing_of_that_name"}, "no database"),
        ({"host": "nowhere.invalid"}, "unknown host"),
    ],
)
def test_a_connection_string_that_is_changed_while_we_wait(
    house: Any, caplog: Any, wrong: dict[str, str], kind: str
) -> None:
    """It is read again at every try, so that who mends it need not know where the workers run."""
    right = house.cloud.ingest_dsn
    now = {"dsn": right}

    def spoil() -> None:
        now["dsn"] = make_conninfo(right, **wrong)
        with psycopg.connect(house.database.server.superuser_dsn, autocommit=True) as superuser:
            end_session(superuser, house)

    error = endures(house, caplog, spoil, lambda: now.update(dsn=right), kind, dsn=lambda: now["dsn"])
    assert "guessed" not in error
    assert all("guessed" not in str(record.__dict__) for record in caplog.records)


# ── A disk that is full ──


@pytest.fixture
def tiny_disk(session_folder: Path) -> Iterator[Path]:
    """A disk so small that a test fills it."""
    folder = session_folder / "tiny"
    if os.geteuid() != 0:
        pytest.skip("a small disk of its own can be mounted by root alone")
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={TINY_BYTES}", "tallygate-test", str(folder)],
        capture_output=True, text=True, timeout=10,
    )  # fmt: skip
    if mounted.returncode != 0:
        folder.rmdir()
        pytest.skip(f"this root may not mount a disk: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True, timeout=10)
        folder.rmdir()


@pytest.fixture
def tiny_tablespace(own_server: Any, tiny_disk: Path) -> Iterator[Path]:
    place = tiny_disk / "tablespace"
    place.mkdir()
    if (account := server_account()) is not None:
        os.chown(place, account.uid, account.gid)
    with own_server.superuser() as superuser:
        superuser.execute(sql.SQL("CREATE TABLESPACE tiny LOCATION {}").format(sql.Literal(str(place))))
        yield tiny_disk
        superuser.execute("DROP TABLESPACE tiny")


def test_a_disk_that_is_full(own_server: Any, tiny_tablespace: Path, house_on: Any, caplog: Any) -> None:
    filler = tiny_tablespace / "what somebody put there"

    def fill() -> None:
        with filler.open("wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)) == 4096:
                    pass
            except OSError:
                return

    with own_server.database("tiny") as database, house_on(database) as house:
        caplog.set_level("INFO")
        log = write(house.cloud.warehouse, 2)
        for number in range(2_000):
            log.passage(house.cloud.warehouse.tag(3), "in", 10 + number)
        worker = house.cloud.start()
        house.gateway.send(log.payload(1, 2))
        house.gateway.until(log.epoch, 2)
        fill()
        # Enough of them that no table has room for all on the pages that it has.
        for first in range(3, 2_003, 500):
            house.gateway.send(log.payload(first, first + 499))
        eventually(lambda: worker.counters["database_lost"] >= TRIES)
        assert said(caplog.records, "database") == ["disk full"]
        assert house.told() < 2_002
        filler.unlink()
        house.gateway.until(log.epoch, 2_002)
        eventually(lambda: said(caplog.records, "database") == ["disk full", "over"])
        assert house.applied() == 2_002
