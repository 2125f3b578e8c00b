"""The re-costing job: hears of commits, sweeps all the same, and brings marked pools to rest, one component a time.

A component is re-costed at most once a minute: late events are the normal case with many gateways, and each is
correct at once as far as it can be. Jobs beside each other share the work by company. Each sweep also gives voucher
numbers to what was recorded since the one before.
"""

import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import psycopg

from cloud.flows.ledger.number_vouchers import number_all
from cloud.flows.recost import SNAPSHOT_EVERY, Found, recost_company
from cloud.flows.snapshot import keep_snapshots
from cloud.store import recosting
from cloud.store.sql import statement

log = logging.getLogger(__name__)

APPLICATION = "tallygate jobs"
PLAN_EACH_TIME = "-c plan_cache_mode=force_custom_plan"
CHANNEL = "tallygate_commits"
REST_S = 60.0  # between two re-costings of one component
SWEEP_S = 60.0  # a hint may have been lost
HEAR_S = 0.5  # how long one wait for a hint lasts, and a stop may take
RETRY_S = (0.5, 10.0)  # first wait and longest while the database is away

Component = tuple[int, tuple[int, ...]]  # company_id, items


class RecostingJob:
    """`run` ends when `stop` is set; `once` looks at everything that waits, however short ago it was at rest."""

    def __init__(self, dsn: str, name: str, every: int = SNAPSHOT_EVERY) -> None:
        self.counters: Counter[str] = Counter()
        self.stop = threading.Event()
        self._dsn = dsn
        self._name = name
        self._every = every
        self._rested_s: dict[Component, float] = {}
        self._heard: set[int] = set()
        self._complaint: str | None = None
        self._counted_to = now()
        self._moved: Counter[tuple[int, int]] = Counter()

    def run(self) -> None:
        """Until told to stop: work while the database is there, wait while it is not."""
        retry_s = RETRY_S[0]
        while not self.stop.is_set():
            try:
                with self._connect() as connection:
                    connection.execute(f"LISTEN {CHANNEL}")
                    retry_s = RETRY_S[0]
                    self._serve(connection)
            except psycopg.Error as error:
                self._complain(str(error).strip())
                self.stop.wait(retry_s)
                retry_s = min(2 * retry_s, RETRY_S[1])

    def once(self) -> int:
        """Bring everything to rest that waits, and number it; how many components stay marked. Raises psycopg.Error."""
        with self._connect() as connection:
            failed = 0
            for company_id in _companies(connection):
                failed += self._recost(connection, company_id, rest=False)
            self.counters["numbered"] += number_all(connection)
            return failed

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(self._dsn, autocommit=True, application_name=APPLICATION, options=PLAN_EACH_TIME)

    def _serve(self, connection: psycopg.Connection) -> None:
        sweep_at_s = 0.0
        while not self.stop.is_set():
            now_s = time.monotonic()
            if now_s >= sweep_at_s:
                self._heard |= set(_companies(connection))
                sweep_at_s = now_s + SWEEP_S
                self._keep_snapshots(connection)
                self.counters["numbered"] += number_all(connection)
                self.counters["swept"] += 1
            for company_id in sorted(self._heard):
                if self.stop.is_set():
                    return
                self._heard.discard(company_id)
                self._recost(connection, company_id, rest=True)
            self._listen(connection)

    def _keep_snapshots(self, connection: psycopg.Connection) -> None:
        """Components that moved on far enough are kept; how far is counted by this job's own sweeps, roughly."""
        at = now()
        with connection.cursor() as cursor:
            for company_id, item, count in recosting.moved_since(cursor, self._counted_to):
                self._moved[company_id, item] += count
        self._counted_to = at
        due = sorted(key for key, count in self._moved.items() if count >= self._every)
        for company_id in sorted({company for company, _ in due}):
            items = [item for company, item in due if company == company_id]
            for item in keep_snapshots(connection, company_id, items):
                self._moved.pop((company_id, item), None)

    def _listen(self, connection: psycopg.Connection) -> None:
        for notice in connection.notifies(timeout=HEAR_S, stop_after=1):
            try:
                self._heard.add(int(json.loads(notice.payload)["company"]))
            except (ValueError, KeyError, TypeError):
                log.warning("a hint that is none", extra={"payload": notice.payload[:200]})

    def _recost(self, connection: psycopg.Connection, company_id: int, *, rest: bool) -> int:
        """Re-cost what waits in one company; how many components could not be."""

        def spare(items: Sequence[int]) -> bool:
            now_s = time.monotonic()
            key = (company_id, tuple(items))
            if rest and now_s - self._rested_s.get(key, -REST_S) < REST_S:
                return True
            self._rested_s[key] = now_s
            return self.stop.is_set()

        def fail(items: Sequence[int], error: Exception) -> None:
            self.counters["failed"] += 1
            log.error(
                "a component cannot be re-costed",
                extra={"company": company_id, "items": list(items), "error": str(error)},
            )

        found = recost_company(connection, company_id, self._name, every=self._every, spare=spare, on_failure=fail)
        self._note(company_id, found)
        return found.failed

    def _note(self, company_id: int, found: Found) -> None:
        self._complaint = None
        self.counters["busy"] += found.busy
        for one in found.done:
            self.counters["recosted"] += 1
            self.counters["adjusted"] += one.adjusted
            log.info(
                "a component is at rest",
                extra={"company": company_id, "items": len(one.items), "read": one.rows_read,
                       "adjusted": one.adjusted, "attempts": one.attempts},
            )  # fmt: skip

    def _complain(self, said: str) -> None:
        self.counters["database_lost"] += 1
        if said != self._complaint:
            log.error("the database does not work for us", extra={"error": said})
            self._complaint = said


def now() -> datetime:
    """The cloud's clock, by which batches are dated."""
    return datetime.now(UTC)


def _companies(connection: psycopg.Connection) -> list[int]:
    return [row[0] for row in connection.execute(statement("recost", "companies_that_wait"))]
