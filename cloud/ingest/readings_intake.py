"""The readings' way from a message to the database: made into statistics, gathered, stored each once.

Readings decide nothing, so nothing waits for them and they stop nothing: what the database refuses of them is counted
and let go, what comes while it is away fills a bounded store, and they never share a transaction with movements. Each
worker hears every gateway; only the one that holds the gateway's lane stores, under the same fence as a batch. A second
copy of a message is known by its bytes.
"""

import hashlib
import logging
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import psycopg
from psycopg import errors

from cloud.domain.moments import moment_of
from cloud.domain.reading import SOURCE_MAX, measured_us, of_gate
from cloud.flows.record_batch import Lease
from cloud.ingest.registry import Registered
from cloud.ingest.subscriber import Arrived
from cloud.store import readings as store
from cloud.store.readings import NewReading, SeriesName
from cloud.store.sql import statement
from protocols.wire import readings as wire
from protocols.wire.message import UnreadableMessage

log = logging.getLogger(__name__)

FLUSH_S = 2.0  # how often readings are stored: one transaction for all gates of a company together
FLUSH_ROWS = 5_000  # or as soon as so many wait
MOST_ROWS = 20_000  # while the database is away: some 10 MB; what comes then is let go and counted
MOST_SERIES_KNOWN = 50_000  # remembered ids; when there are more they are asked for again
# How long the job that makes and drops partitions may hold readings up (it gives up sooner than that itself); they go
# on waiting, and movements with them no longer than this.
LOCK_TIMEOUT = "1s"


class _Picture(NamedTuple):
    """The newest summary of a gate, with the reads of those before that were not written."""

    summary: wire.GateReadings
    received_us: int
    reads: int


class ReadingsIntake:
    """One worker's. `take` only remembers and never fails; `flush` writes when it is time."""

    def __init__(self, counters: Counter[str]) -> None:
        self._counters = counters
        self._waiting: dict[int, dict[int, list[NewReading]]] = {}  # by company and lane
        self._rows = 0
        self._pictures: dict[tuple[int, str], _Picture] = {}  # by company and gate
        self._ids: dict[tuple[int, SeriesName], int] = {}
        self._noun: str | None = None  # which statement stores on this server
        self._due_s = 0.0
        self._complaint: str | None = None

    @property
    def rows_waiting(self) -> int:
        """Readings that are not stored yet."""
        return self._rows

    def begin(self) -> None:
        """A new connection, perhaps to a database that was restored or is of another edition: know nothing of it."""
        self._ids.clear()
        self._noun = None

    def take(self, gateway: Registered, message: Arrived) -> None:
        """A `readings` message of a gateway whose lane this worker holds."""
        try:
            summary = wire.decode(message.payload)
        except UnreadableMessage:
            self._counters["unreadable_readings"] += 1
            return
        if not 0 < len(summary.gate) <= SOURCE_MAX:
            self._counters["unreadable_readings"] += 1
            return
        key = (gateway.company_id, summary.gate)
        before = self._pictures.get(key)
        reads = summary.reads + (before.reads if before else 0)
        self._pictures[key] = _Picture(summary, message.received_us, reads)
        self._gather(gateway, _readings_of(gateway, message, summary))

    def flush(self, connection: psycopg.Connection, lease: Lease, now_s: float) -> None:
        """Pictures at once, readings when they are due. now_s: a monotonic clock; infinity: all of it, now.

        Raises psycopg.Error when the database does not serve anybody; what waits goes on waiting.
        """
        if self._pictures:
            self._put_pictures(connection)
        if not self._rows or (now_s < self._due_s and self._rows < FLUSH_ROWS):
            return
        self._due_s = now_s + FLUSH_S
        for company_id in sorted(self._waiting):
            self._store_or_let_go(connection, company_id, lease)

    def _gather(self, gateway: Registered, found: Sequence[NewReading]) -> None:
        if self._rows + len(found) > MOST_ROWS:
            self._counters["readings_dropped"] += len(found)
            return
        by_lane = self._waiting.setdefault(gateway.company_id, defaultdict(list))
        by_lane[gateway.lane] += found
        self._rows += len(found)

    def _put_pictures(self, connection: psycopg.Connection) -> None:
        try:
            with connection.transaction():
                for (company_id, gate), picture in sorted(self._pictures.items()):
                    connection.execute(
                        statement("ingest", "put_readings"),
                        {"company": company_id, "gate": gate, "received_at": moment_of(picture.received_us),
                         "summary": wire.encode(picture.summary).decode(), "reads": picture.reads},
                    )  # fmt: skip
        except psycopg.DatabaseError as error:
            self._let_go(error)
        self._pictures.clear()

    def _store_or_let_go(self, connection: psycopg.Connection, company_id: int, lease: Lease) -> None:
        try:
            self._store(connection, company_id, lease)
        except errors.LockNotAvailable:
            self._counters["readings_waited"] += 1
            return
        except psycopg.DatabaseError as error:
            self._let_go(error)
        self._rows -= sum(map(len, self._waiting.pop(company_id).values()))

    def _store(self, connection: psycopg.Connection, company_id: int, lease: Lease) -> None:
        by_lane = self._waiting[company_id]
        ids = self._series(connection, company_id, [one for lane in by_lane.values() for one in lane])
        with connection.transaction():
            connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
            where = {"company": company_id, "lanes": sorted(by_lane)}
            who = {"worker": lease.worker, "token": lease.token}
            held = [row[0] for row in connection.execute(statement("logs", "check_leases"), where | who)]
            ours = [one for lane in held for one in by_lane[lane]]
            known = [one for one in ours if one.series in ids]
            stored = store.store(connection, self._statement(connection), company_id, known, ids)
        came = sum(map(len, by_lane.values()))
        self._counters["readings_of_lost_lanes"] += came - len(ours)
        self._counters["readings_without_series"] += len(ours) - len(known)
        self._counters["readings_stored"] += stored.stored
        self._counters["readings_late"] += stored.late
        self._counters["readings_known"] += len(known) - stored.stored - stored.late
        self._complaint = None

    def _series(
        self, connection: psycopg.Connection, company_id: int, readings: Sequence[NewReading]
    ) -> dict[SeriesName, int]:
        names = sorted({one.series for one in readings})
        if unknown := [name for name in names if (company_id, name) not in self._ids]:
            if len(self._ids) > MOST_SERIES_KNOWN:
                self._ids.clear()
                unknown = names
            for name, series_id in store.series_ids(connection, company_id, unknown).items():
                self._ids[company_id, name] = series_id
        return {name: self._ids[company_id, name] for name in names if (company_id, name) in self._ids}

    def _statement(self, connection: psycopg.Connection) -> str:
        if self._noun is None:
            self._noun = store.RAW_ONLY if store.kept_by_timescaledb(connection) else store.WITH_ROLLUPS
        return self._noun

    def _let_go(self, error: psycopg.DatabaseError) -> None:
        """What is wrong with readings alone stops nobody. Raises the error when it is the database's."""
        if isinstance(error, psycopg.OperationalError | errors.ReadOnlySqlTransaction):
            raise error
        self._counters["readings_refused"] += 1
        said = str(error).strip()
        if said != self._complaint:
            log.error("the database refuses readings; movements go on", extra={"error": said})
            self._complaint = said


def _readings_of(gateway: Registered, message: Arrived, summary: wire.GateReadings) -> list[NewReading]:
    at_us = measured_us(summary.to_us, message.received_us)
    digest = int.from_bytes(hashlib.sha256(message.payload).digest()[:8], "big", signed=True)
    return [
        NewReading(
            gateway.gateway_id, summary.gate, quantity, at_us, message.received_us, digest,
            at_us != summary.to_us, statistics,
        )
        for quantity, statistics in of_gate(summary).items()
    ]  # fmt: skip
