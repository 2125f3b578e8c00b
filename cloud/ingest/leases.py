"""Lanes leased in PostgreSQL: who applies which gateways' logs.

A lease lasts LEASE_S and is renewed every RENEW_S. A worker that dies is followed by another within
LEASE_S; one that only slept finds out in its next transaction, which checks its token under a row lock.
"""

import secrets
from dataclasses import dataclass, field

import psycopg

from cloud.flows.record_batch import Lease
from cloud.store.sql import statement

LEASE_S = 10.0  # ARCHITECTURE promises that a dead worker's lanes move within 15 s
RENEW_S = 3.0  # three chances before the lease ends

Lane = tuple[int, int]  # company_id, lane


@dataclass(slots=True)
class Leases:
    """The lanes this worker holds. The token is fresh for each life of a worker: an old life is fenced off."""

    worker: str
    token: int = field(default_factory=lambda: secrets.randbits(63))
    held: set[Lane] = field(default_factory=set)

    @property
    def lease(self) -> Lease:
        """The right to write, as the batch checks it."""
        return Lease(self.worker, self.token)

    def renew(self, connection: psycopg.Connection) -> set[Lane]:
        """Renew what is held, take what is free; the lanes that are new. Raises psycopg.Error."""
        with connection.transaction():
            companies = [row[0] for row in connection.execute(statement("ingest", "companies"))]
            rows = connection.execute(
                statement("ingest", "take_lanes"),
                {"worker": self.worker, "token": self.token, "seconds": LEASE_S, "companies": companies},
            ).fetchall()
        now_held = {(row[0], row[1]) for row in rows}
        new = now_held - self.held
        self.held = now_held
        return new

    def give_back(self, connection: psycopg.Connection) -> None:
        """Hand the lanes to whoever comes next. Raises psycopg.Error."""
        connection.execute(statement("ingest", "give_lanes"), {"worker": self.worker, "token": self.token})
        self.held = set()
