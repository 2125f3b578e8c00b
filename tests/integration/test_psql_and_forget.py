"""`make psql` and `make forget` on the demo's state folder, running or not."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from standalone.forget import main as forget
from standalone.healthy import main as healthy
from standalone.postgres import DATABASE, OWNER, Postgres, find_binaries, server_pids
from tests.conftest import Database

CHECKOUT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def books(session_folder: Path, request: pytest.FixtureRequest) -> Iterator[Postgres]:
    """A state folder with a stopped server that has the demo's database."""
    state = session_folder / request.node.name
    state.mkdir()
    server = Postgres(state, find_binaries())
    server.start()
    server.ensure_login(OWNER, owns_schema=True)
    server.ensure_database(DATABASE, OWNER)
    server.stop()
    yield server
    server.stop()
    server.remove()


def state_of(server: Postgres) -> Path:
    return server.home.parent.parent


def psql(server: Postgres, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "standalone.psql", "--state", str(state_of(server)), "--", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=CHECKOUT,
    )


def test_psql_opens_the_demos_database_running_or_not(books: Postgres) -> None:
    asked = ("-At", "-c", "SELECT current_database()")
    assert psql(books, *asked).stdout == f"{DATABASE}\n"
    assert server_pids(books.data) == []
    books.start()
    assert psql(books, *asked).stdout == f"{DATABASE}\n"
    assert books.pid in server_pids(books.data)


def test_psql_before_the_first_demo_says_so(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "standalone.psql", "--state", str(tmp_path / "none")],
        capture_output=True,
        text=True,
        check=False,
        cwd=CHECKOUT,
    )
    assert done.returncode == 1
    assert "has no server yet" in done.stderr


def test_psql_takes_the_database_that_the_environment_names(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TALLYGATE_DSN", database.owner_dsn)
    done = subprocess.run(
        [sys.executable, "-m", "standalone.psql", "--", "-At", "-c", "SELECT current_database(), current_user"],
        capture_output=True,
        text=True,
        check=False,
        cwd=CHECKOUT,
    )
    assert done.stdout == f"{database.name}|{OWNER}\n"


def test_forgetting_deletes_everything(books: Postgres) -> None:
    state, data = state_of(books), books.data
    assert forget(["--state", str(state)]) == 0
    assert not state.exists()
    assert not data.exists()
    assert forget(["--state", str(state)]) == 0


def test_books_in_use_are_not_forgotten(books: Postgres, capsys: pytest.CaptureFixture[str]) -> None:
    books.start()
    assert forget(["--state", str(state_of(books))]) == 1
    assert "in use by the program" in capsys.readouterr().err
    assert server_pids(books.data)


def test_a_folder_that_is_not_ours_is_not_deleted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.txt").write_text("two years of work")
    assert forget(["--state", str(tmp_path)]) == 1
    assert "no state folder of ours" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").exists()


def test_a_worker_is_healthy_while_its_lease_holds(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    import psycopg

    monkeypatch.setenv("TALLYGATE_DSN", database.dsn_of("tallygate_ingest"))
    assert healthy(["leases"]) == 1
    with psycopg.connect(database.owner_dsn) as connection:
        connection.execute(
            "INSERT INTO lane_leases (company_id, lane, worker, token, expires_at)"
            " VALUES (1, 0, 'worker', 1, now() + interval '1 minute')"
        )
    assert healthy(["leases"]) == 0
    with psycopg.connect(database.owner_dsn) as connection:
        connection.execute("UPDATE lane_leases SET expires_at = now() - interval '1 second'")
    assert healthy(["leases"]) == 1
