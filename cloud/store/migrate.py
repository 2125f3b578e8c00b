"""Bring a database to the newest schema: plain SQL, forward only, under an advisory lock.

`migrate` needs the owner's connection. It creates the services' roles (which own nothing), applies what
is missing of migrations/NNNN_*.sql in one transaction each, turns the time series into hypertables where
TimescaleDB can be had, and lays the grants anew.
"""

import re
from contextlib import suppress
from pathlib import Path

import psycopg
from psycopg import sql

MIGRATIONS = Path(__file__).parent / "migrations"
SERVICE_ROLES = ("tallygate_ingest", "tallygate_api", "tallygate_read")

# Any number that no other program takes; two migrations at once would race for the same tables.
_ADVISORY_LOCK = 0x7A11_9A7E


def migrate(dsn: str) -> list[str]:
    """Apply what is missing; the names of the migrations applied, oldest first. Raises psycopg.Error."""
    applied: list[str] = []
    with psycopg.connect(dsn, autocommit=True, application_name="tallygate migrate") as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [_ADVISORY_LOCK])
        for role in SERVICE_ROLES:
            _create_role(connection, role)
        connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations"
            " (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        known = {row[0] for row in connection.execute("SELECT name FROM schema_migrations")}
        for path in sorted(MIGRATIONS.glob("[0-9]*.sql")):
            if path.stem in known:
                continue
            with connection.transaction():
                connection.execute(_text(path))
                connection.execute("INSERT INTO schema_migrations (name) VALUES (%s)", [path.stem])
            applied.append(path.stem)
        for name in _of_the_edition(connection):
            with connection.transaction():
                connection.execute(_text(MIGRATIONS / f"{name}.sql"))
        with connection.transaction():
            connection.execute(_text(MIGRATIONS / "grants.sql"))
    return applied


def _of_the_edition(connection: psycopg.Connection) -> list[str]:
    """What is run after the migrations, each time: how this server cuts, rolls up and drops time series."""
    if not create_extension(connection):
        return ["readings_partitions"]
    names = ["timescaledb", "readings_hypertables"]
    if is_community(connection):
        names += ["timescaledb_community", "readings_continuous"]
    return names


def is_community(connection: psycopg.Connection) -> bool:
    """Whether TimescaleDB is there with the features of its community edition."""
    row = connection.execute("SELECT current_setting('timescaledb.license', true)").fetchone()
    return row is not None and row[0] == "timescale"


def create_extension(connection: psycopg.Connection) -> bool:
    """Switch TimescaleDB on where the server offers it; whether it is on."""
    offered = connection.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb'").fetchone()
    if offered is None:
        return False
    preload = connection.execute("SHOW shared_preload_libraries").fetchone()
    if preload is None or not re.search(r"\btimescaledb\b", preload[0]):
        return False
    connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
    return True


def set_service_passwords(dsn: str, passwords: dict[str, str]) -> None:
    """Let the services' roles sign in with these passwords (role → password). Raises ValueError, psycopg.Error."""
    if unknown := set(passwords) - set(SERVICE_ROLES):
        raise ValueError(f"expected roles among {', '.join(SERVICE_ROLES)}, got {', '.join(sorted(unknown))}")
    with psycopg.connect(dsn, autocommit=True, application_name="tallygate migrate") as connection:
        for role, password in passwords.items():
            # ALTER ROLE takes no parameters; Literal and Identifier quote on the client.
            connection.execute(
                sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(role), sql.Literal(password))
            )


def _create_role(connection: psycopg.Connection, role: str) -> None:
    if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone() is None:
        # Another database of this server may be migrated at the same moment.
        with suppress(psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))


def _text(path: Path) -> sql.SQL:
    return sql.SQL(path.read_text(encoding="utf-8"))
