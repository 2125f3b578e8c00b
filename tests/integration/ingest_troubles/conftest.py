"""A PostgreSQL of these tests' own, which they may kill, fill and lock out of; and waits short enough for a test."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from cloud.ingest import patience, subscriber
from cloud.store.migrate import SERVICE_ROLES, migrate
from standalone.postgres import OWNER, Postgres, find_binaries
from tests.conftest import TEST_SETTINGS, Database
from tests.ingesting import Gateway, cloud_on

MOST_CONNECTIONS = 12
TEMPLATE = "template"


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that tries again soon."""
    monkeypatch.setattr(patience, "RETRY_S", (0.05, 0.2))
    monkeypatch.setattr(patience, "SCHEMA_AGAIN_S", 0.1)
    monkeypatch.setattr(subscriber, "RECONNECT_S", (0.05, 0.2))


@dataclass
class OwnServer:
    """A server to be mistreated; each test has a database of its own on it."""

    server: Postgres
    made: int = field(default=0)

    @contextmanager
    def database(self, tablespace: str = "pg_default") -> Iterator[Database]:
        self.made += 1
        database = Database(self.server, f"trouble_{self.made}")
        with self.superuser() as superuser:
            superuser.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {} TABLESPACE {}").format(
                    *map(sql.Identifier, (database.name, TEMPLATE, OWNER, tablespace))
                )
            )
        yield database
        with self.superuser() as superuser:
            superuser.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database.name)))

    def superuser(self) -> psycopg.Connection:
        return psycopg.connect(self.server.superuser_dsn, autocommit=True)

    def set(self, **settings: str | None) -> None:
        """Change settings of the running server; None: as it was."""
        with self.superuser() as superuser:
            for name, value in settings.items():
                change = sql.SQL("RESET {}") if value is None else sql.SQL("SET {} = {}")
                names = [sql.Identifier(name), *([] if value is None else [sql.Literal(value)])]
                superuser.execute(sql.SQL("ALTER SYSTEM ") + change.format(*names))
            superuser.execute("SELECT pg_reload_conf()")


@pytest.fixture(scope="session")
def own_server(session_folder: Path) -> Iterator[OwnServer]:
    settings = {**TEST_SETTINGS, "max_connections": str(MOST_CONNECTIONS), "shared_buffers": "64MB"}
    server = Postgres(session_folder / "troubles", find_binaries(), settings=settings)
    server.start()
    server.ensure_login(OWNER, owns_schema=True)
    server.ensure_database(TEMPLATE, OWNER)
    migrate(server.dsn(TEMPLATE, OWNER))
    for role in SERVICE_ROLES:
        server.ensure_login(role)
    with psycopg.connect(server.superuser_dsn, autocommit=True) as superuser:
        superuser.execute(f"ALTER DATABASE {TEMPLATE} ALLOW_CONNECTIONS false")
        superuser.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [TEMPLATE])
    yield OwnServer(server)
    server.stop()
    server.remove()


@pytest.fixture
def own_database(own_server: OwnServer) -> Iterator[Database]:
    with own_server.database() as made:
        yield made


@dataclass
class House:
    """A cloud with its gateway, where something is about to go wrong."""

    cloud: Any
    gateway: Gateway
    database: Database

    def applied(self) -> int:
        """How many movements are in the books."""
        with psycopg.connect(self.database.owner_dsn) as connection:
            [(count,)] = connection.execute("SELECT count(*) FROM observations").fetchall()
        return count

    def told(self) -> int:
        """The highest number that the gateway was told since the last question, 0 for none."""
        numbers = [0]
        while not self.gateway.heard.empty():
            numbers += [one.applied for one in self.gateway.heard.get().epochs]
        return max(numbers)


@contextmanager
def _house(database: Database, broker: Any) -> Iterator[House]:
    with cloud_on(database, broker) as cloud:
        gateway = Gateway(broker)
        yield House(cloud, gateway, database)
        cloud.stop()
        gateway.close()


@pytest.fixture
def house(database: Database, broker: Any) -> Iterator[House]:
    """On the server that all tests share."""
    with _house(database, broker) as made:
        yield made


@pytest.fixture
def own_house(own_database: Database, broker: Any) -> Iterator[House]:
    """On the server of these tests."""
    with _house(own_database, broker) as made:
        yield made


@pytest.fixture
def house_on(broker: Any) -> Any:
    """On a database that the test makes."""
    return lambda database: _house(database, broker)
