"""The real services that tests use, started once a session; see CONTRIBUTING.md for the marks.

    edition          which PostgreSQL: `plain` (the wheel's), `timescaledb` (see `make timescaledb`) or `given`,
                     the server that TALLYGATE_TEST_DSN names (its superuser; a server for tests alone, such as
                     one with TimescaleDB's community edition). Tests run on the given one, else on TimescaleDB
                     when it is there; those marked `editions` run on each; `--edition plain` runs everything on
                     the wheel.
    postgres_server  a running server of that edition (standalone.postgres.Postgres, or GivenServer)
    database         a fresh, migrated database of its own for each test, a clone of a template
    module_database  the same, one for all tests of a file
    dsn              the owner's connection string of `database`
    broker           a mosquitto of the test's own, with the users of `BrokerUsers`
    embedded_broker  the same with the embedded broker, as a process
    any_broker       the test runs once with each of the two

A service that is absent is a failure where CI is set, and a skip that says so elsewhere.
"""

import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import psycopg
import pytest
from psycopg import sql

from protocols.wire.topics import GatewayAddress
from standalone.broker import broker_beside
from standalone.child import Child
from standalone.credentials import Credentials, User
from standalone.mosquitto import Mosquitto, NoMosquitto, find_mosquitto
from standalone.ports import HOST, free_port
from standalone.postgres import OWNER, Postgres, find_binaries, wheel_binaries
from standalone.runtime import unpacked
from tests.given_server import PREFIX, VARIABLE, GivenServer, given_dsn

PLAIN, TIMESCALEDB, GIVEN = "plain", "timescaledb", "given"
TEMPLATE = f"{PREFIX}template"
MEMORY_WANTED = 6 << 30  # bytes; a whole run was seen to use a third of it at most
CLONE_TIMEOUT_S = 30.0  # for a template that a background worker is still looking at

Server = Postgres | GivenServer

# Durability is PostgreSQL's own and is tested by it; kill -9 loses nothing without fsync. Tests that
# cut the power start a server of their own.
TEST_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "128MB",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--edition`: run all database tests on one edition."""
    parser.addoption(
        "--edition", choices=(PLAIN, TIMESCALEDB, GIVEN), help="the PostgreSQL that database tests use"
    )


@pytest.hookimpl(tryfirst=True)  # before hypothesis reads the option
def pytest_configure(config: pytest.Config) -> None:
    """Properties are tried on new examples in every run, in CI too, and the run says how to repeat it."""
    hypothesis.settings.register_profile("tallygate", deadline=None, derandomize=False, print_blob=True)
    hypothesis.settings.load_profile("tallygate")
    if config.getoption("--hypothesis-seed") is None:
        config.option.hypothesis_seed = str(secrets.randbelow(2**32))


def pytest_report_header(config: pytest.Config) -> str:
    """What one needs to run the same tests again."""
    return f"repeat with --hypothesis-seed={config.getoption('--hypothesis-seed')}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that use a database carry the mark `database`, so that CI can run them on both editions."""
    for item in items:
        if "edition" in getattr(item, "fixturenames", ()):
            item.add_marker("database")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests marked `editions` run on each edition, unless `--edition` names one."""
    if "edition" not in metafunc.fixturenames or metafunc.definition.get_closest_marker("editions") is None:
        return
    chosen = metafunc.config.getoption("--edition")
    each = [PLAIN, TIMESCALEDB, *([GIVEN] if given_dsn() else [])]
    metafunc.parametrize("edition", [chosen] if chosen else each, indirect=True, scope="session")


def absent(service: str, remedy: str) -> None:
    """A service that should be there is not: fail in CI, skip aloud elsewhere."""
    message = f"{service} is not here: {remedy}"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def _memory_folder() -> str | None:
    """Where databases of tests cost no disk: hundreds of them are made and dropped, a thousand files each."""
    shared = Path("/dev/shm")
    if shared.is_dir() and os.access(shared, os.W_OK) and shutil.disk_usage(shared).free >= MEMORY_WANTED:
        return str(shared)
    return None


@pytest.fixture(scope="session")
def session_folder() -> Iterator[Path]:
    """A folder that also `nobody` can enter, which pytest's own temporary folders are not."""
    folder = Path(tempfile.mkdtemp(prefix="tallygate-tests-", dir=_memory_folder()))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def edition(request: pytest.FixtureRequest) -> str:
    """The edition that the test runs on."""
    named: str | None = getattr(request, "param", None) or request.config.getoption("--edition")
    here = unpacked("timescaledb") is not None
    if named is None:
        named = GIVEN if given_dsn() else TIMESCALEDB if here or os.environ.get("CI") else PLAIN
    if named == TIMESCALEDB and not here:
        absent("TimescaleDB", "`make timescaledb` unpacks it on Debian-like hosts")
    if named == GIVEN and given_dsn() is None:
        absent("a given server", f"{VARIABLE} names its superuser")
    return named


@pytest.fixture(scope="session")
def servers(session_folder: Path) -> Iterator[Callable[[str], Server]]:
    """One server for each edition asked for, started at the first question and stopped at the end."""
    running: dict[str, Server] = {}

    def server(edition: str) -> Server:
        if edition not in running:
            started: Server
            if edition == GIVEN:
                started = GivenServer(given_dsn() or "")
            else:
                binaries = wheel_binaries() if edition == PLAIN else find_binaries()
                started = Postgres(session_folder, binaries, settings=TEST_SETTINGS)
            started.start()
            running[edition] = started
            started.ensure_login(OWNER, owns_schema=True)
        return running[edition]

    yield server
    for started in running.values():
        started.stop()
        started.remove()


@pytest.fixture(scope="session")
def postgres_server(servers: Callable[[str], Server], edition: str) -> Server:
    """A running server of the test's edition; do not kill this one, others use it."""
    return servers(edition)


@dataclass(frozen=True, slots=True)
class Database:
    """A migrated database: the owner's connection string, and the services' by role."""

    server: Server
    name: str

    @property
    def owner_dsn(self) -> str:
        """For the role that owns the tables."""
        return self.server.dsn(self.name, OWNER)

    def dsn_of(self, role: str) -> str:
        """For one of the services' roles, such as `tallygate_ingest`."""
        return self.server.dsn(self.name, role)


@pytest.fixture(scope="session")
def clone(servers: Callable[[str], Server]) -> Callable[[str], Database]:
    """Make a database from the edition's template; the template is migrated once."""
    # Here, so that tests without a database can be collected while the schema does not load.
    from cloud.store.migrate import SERVICE_ROLES, migrate

    made: dict[str, int] = {}

    def fresh(edition: str) -> Database:
        server = servers(edition)
        if edition not in made:
            server.ensure_database(TEMPLATE, OWNER)
            migrate(server.dsn(TEMPLATE, OWNER))
            for role in SERVICE_ROLES:
                server.ensure_login(role)
            _close_template(server)
            made[edition] = 0
        made[edition] += 1
        name = f"{PREFIX}{made[edition]}"
        _clone_template(server, name)
        return Database(server, name)

    return fresh


def _close_template(server: Server) -> None:
    """Let nobody in any more: TimescaleDB's workers visit every database, and CREATE DATABASE waits 5 s for them."""
    with psycopg.connect(server.superuser_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(TEMPLATE)))
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [TEMPLATE])


def _clone_template(server: Server, name: str) -> None:
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}").format(
        sql.Identifier(name), sql.Identifier(TEMPLATE), sql.Identifier(OWNER)
    )
    deadline = time.monotonic() + CLONE_TIMEOUT_S
    with psycopg.connect(server.superuser_dsn, autocommit=True) as connection:
        while True:
            try:
                connection.execute(statement)
            except psycopg.errors.ObjectInUse:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return


def drop(database: Database) -> None:
    with psycopg.connect(database.server.superuser_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database.name)))


@pytest.fixture
def database(clone: Callable[[str], Database], edition: str) -> Iterator[Database]:
    """A fresh, migrated database for one test."""
    fresh = clone(edition)
    yield fresh
    drop(fresh)


@pytest.fixture(scope="module")
def module_database(clone: Callable[[str], Database], edition: str) -> Iterator[Database]:
    """A fresh, migrated database for all tests of one file."""
    fresh = clone(edition)
    yield fresh
    drop(fresh)


@pytest.fixture
def dsn(database: Database) -> str:
    """The owner's connection string of `database`."""
    return database.owner_dsn


@dataclass(frozen=True, slots=True)
class BrokerUsers:
    """The users of every test broker: the cloud and two gateways of one site."""

    credentials: Path
    cloud: str
    cloud_password: str
    gateway: str
    gateway_password: str
    address: GatewayAddress
    other_gateway: str
    other_gateway_password: str
    other_address: GatewayAddress


@dataclass(frozen=True, slots=True)
class RunningBroker:
    """A broker and who may sign in. `program` can be stopped, started again or killed: it is the test's own."""

    name: str
    host: str
    port: int
    users: BrokerUsers
    program: Mosquitto | Child


@pytest.fixture
def broker_users(tmp_path: Path) -> BrokerUsers:
    """Credentials for company `demo`, site `main`: `cloud`, `gw-1` and `gw-2`."""
    first, second = GatewayAddress("demo", "main", "gw-1"), GatewayAddress("demo", "main", "gw-2")
    credentials, cloud_password = Credentials.none().adding(User("cloud", "cloud"))
    credentials, first_password = credentials.adding(User("gw-1", "gateway", first))
    credentials, second_password = credentials.adding(User("gw-2", "gateway", second))
    path = tmp_path / "credentials.json"
    credentials.save(path)
    return BrokerUsers(
        *(path, "cloud", cloud_password),
        *("gw-1", first_password, first),
        *("gw-2", second_password, second),
    )


@pytest.fixture
def broker(broker_users: BrokerUsers, tmp_path: Path) -> Iterator[RunningBroker]:
    """A mosquitto of the test's own."""
    try:
        find_mosquitto()
    except NoMosquitto:
        absent("mosquitto", "`make timescaledb` unpacks it on Debian-like hosts, or install it")
    mosquitto = Mosquitto(broker_users.credentials, tmp_path / "mosquitto.log")
    mosquitto.start()
    yield RunningBroker("mosquitto", mosquitto.host, mosquitto.port, broker_users, mosquitto)
    mosquitto.stop()


@pytest.fixture
def embedded_broker(broker_users: BrokerUsers, tmp_path: Path) -> Iterator[RunningBroker]:
    """The embedded broker, as a process of the test's own."""
    port = free_port()
    child = broker_beside(broker_users.credentials, port, tmp_path / "broker.log")
    child.start()
    yield RunningBroker("embedded", HOST, port, broker_users, child)
    child.stop()


@pytest.fixture(params=["mosquitto", "embedded"])
def any_broker(request: pytest.FixtureRequest) -> RunningBroker:
    """Each of the two brokers in turn."""
    found: RunningBroker = request.getfixturevalue("broker" if request.param == "mosquitto" else "embedded_broker")
    return found
