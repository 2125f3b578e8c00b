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
    """

    missing: list[str]
    unknown: list[str]
    lease_left_s: float | None

    @property
    def is_ready(self) -> bool:
        """A newer schema is no reason to stop: a rolling upgrade migrates first."""
        return not self.missing


def look(connection: psycopg.Connection) -> Readiness:
    """Raises psycopg.Error, also when there is no schema at all."""
    there = {row[0] for row in connection.execute(statement(NOUN, "migrations"))}
    lease = connection.execute(statement(NOUN, "newest_lease")).fetchone()
    ours = _ours()
    return Readiness(sorted(ours - there), sorted(there - ours), lease[0] if lease else None)


@cache
def _ours() -> frozenset[str]:
    return frozenset(path.stem for path in MIGRATIONS.glob("[0-9]*.sql"))
