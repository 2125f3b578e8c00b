"""Lanes leased in PostgreSQL: who applies which gateways' logs.

A lease lasts LEASE_S and is renewed three times as often. A worker that dies is followed by another within
LEASE_S; one that only slept finds out in its next transaction, which checks its token under a row lock.
Workers share the lanes evenly: one that comes is given its share at the others' next renewal.
"""

import secrets
from dataclasses import dataclass, field

import psycopg

from cloud.flows.record_batch import Lease
from cloud.store.sql import statement

LEASE_S = 10.0  # ARCHITECTURE promises that a dead worker's lanes move within 15 s
CHANCES = 3  # to renew a lease before it ends

Lane = tuple[int, int]  # company_id, lane


@dataclass(slots=True)
class Leases:
    """The lanes this worker holds. The token is fresh for each life of a worker: an old life is fenced off."""

    worker: str
    token: int = field(default_factory=lambda: secrets.randbits(63))
    lease_s: float = LEASE_S
    held: set[Lane] = field(default_factory=set)

    @property
    def renew_s(self) -> float:
        """How often the leases are to be renewed, in seconds."""
        return self.lease_s / CHANCES

    @property
    def lease(self) -> Lease:
        """The right to write, as the batch checks it."""
        return Lease(self.worker, self.token)

    def renew(self, connection: psycopg.Connection) -> set[Lane]:
        """Renew what is held, give back what others are entitled to, take what is free; the lanes that are new.

        Raises psycopg.Error.
        """
        who = {"worker": self.worker, "token": self.token, "seconds": self.lease_s}
        with connection.transaction():
            connection.execute(statement("ingest", "announce"), who)
            workers, rank = connection.execute(statement("ingest", "share"), who).fetchone() or (1, 0)
            share = {"workers": workers, "rank": rank}
            connection.execute(statement("ingest", "give_lanes"), who | share)
            companies = [row[0] for row in connection.execute(statement("ingest", "companies"))]
            rows = connection.execute(
                statement("ingest", "take_lanes"), who | share | {"companies": companies}
            ).fetchall()
        now_held = {(row[0], row[1]) for row in rows}
        new = now_held - self.held
        self.held = now_held
        return new

    def give_back(self, connection: psycopg.Connection) -> None:
        """Hand the lanes to whoever comes next. Raises psycopg.Error."""
        who = {"worker": self.worker, "token": self.token}
        with connection.transaction():
            connection.execute(statement("ingest", "withdraw"), who)
            connection.execute(statement("ingest", "give_lanes"), who | {"workers": 1, "rank": -1})
        self.held = set()
