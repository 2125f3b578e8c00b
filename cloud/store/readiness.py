"""Whether the database is what this program was written for, and when ingest was last at work."""

from dataclasses import dataclass
from functools import cache

import psycopg

from cloud.store.migrate import MIGRATIONS
from cloud.store.sql import statement

NOUN = "readiness"


@dataclass(frozen=True, slots=True)
class Readiness:
    """missing, unknown: migrations that the database lacks, or has beyond ours.

    lease_left_s  seconds until ingest's newest lease ends, negative when it has; None: never leased
    ingest_waits  what keeps workers that reach this database from their work, such as `broker, certificate expired`
    """

    missing: list[str]
    unknown: list[str]
    lease_left_s: float | None
    ingest_waits: list[str]

    @property
    def is_ready(self) -> bool:
        """A newer schema is no reason to stop: a rolling upgrade migrates first."""
        return not self.missing


def look(connection: psycopg.Connection) -> Readiness:
    """Raises psycopg.Error, also when there is no schema at all."""
    missing, unknown = schema_differences(connection)
    lease = connection.execute(statement(NOUN, "newest_lease")).fetchone()
    waits = [row[0] for row in connection.execute(statement(NOUN, "ingest_waits"))]
    return Readiness(missing, unknown, lease[0] if lease else None, waits)


def schema_differences(connection: psycopg.Connection) -> tuple[list[str], list[str]]:
    """Migrations that the database lacks, and those that it has beyond ours. Raises psycopg.Error."""
    there = {row[0] for row in connection.execute(statement(NOUN, "migrations"))}
    ours = _ours()
    return sorted(ours - there), sorted(there - ours)


@cache
def _ours() -> frozenset[str]:
    return frozenset(path.stem for path in MIGRATIONS.glob("[0-9]*.sql"))
