"""The job of balance snapshots: brings them forward when enough has moved, or a little has waited long enough.

What no snapshot holds yet is read by whoever asks for a past moment, so this decides how long that takes and never
what it says. Jobs beside each other share the work by company.
"""

import logging
import threading
from collections import Counter

import psycopg

from cloud.flows.keep_balances import STEP_MOVEMENTS, keep_balances
from cloud.jobs.recosting import APPLICATION, PLAN_EACH_TIME, now
from cloud.store import snapshots

log = logging.getLogger(__name__)

LOOK_S = 2.0
ENOUGH_MOVEMENTS = 5_000  # read in a few milliseconds
LONG_S = 60.0
RETRY_S = (1.0, 30.0)  # first wait and longest while the database is away


class BalanceKeeping:
    """`run` ends when `stop` is set; `once` brings everything in that waits."""

    def __init__(self, dsn: str, stop: threading.Event | None = None, step: int = STEP_MOVEMENTS) -> None:
        self.counters: Counter[str] = Counter()
        self.stop = stop or threading.Event()
        self._dsn = dsn
        self._step = step
        self._complaint: str | None = None

    def run(self) -> None:
        """Until told to stop: work while the database is there, wait while it is not."""
        retry_s = RETRY_S[0]
        while not self.stop.is_set():
            try:
                with self._connect() as connection:
                    while not self.stop.is_set():
                        self._look(connection, whole=False)
                        self._settle()
                        self.counters["balances_looked"] += 1
                        retry_s = RETRY_S[0]
                        self.stop.wait(LOOK_S)
            except psycopg.Error as error:
                self._complain(str(error).strip())
                self.stop.wait(retry_s)
                retry_s = min(2 * retry_s, RETRY_S[1])

    def once(self) -> int:
        """Bring in whatever waits; how many movements. Raises psycopg.Error."""
        with self._connect() as connection:
            return self._look(connection, whole=True)

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(self._dsn, autocommit=True, application_name=APPLICATION, options=PLAN_EACH_TIME)

    def _look(self, connection: psycopg.Connection, *, whole: bool) -> int:
        brought = 0
        for one in snapshots.waiting(connection):
            waited_s = (now() - one.since).total_seconds()
            if not whole and one.movements < ENOUGH_MOVEMENTS and waited_s < LONG_S:
                continue
            while not self.stop.is_set():
                moved = keep_balances(connection, one.company_id, step=self._step)
                if moved is None:
                    break
                brought += moved
                self.counters["balances_kept"] += 1
                self.counters["balance_movements_kept"] += moved
        return brought

    def _settle(self) -> None:
        if self._complaint is not None:
            log.info("balance snapshots are kept up again")
            self._complaint = None

    def _complain(self, said: str) -> None:
        self.counters["balances_not_kept"] += 1
        if said != self._complaint:
            log.error("balance snapshots cannot be kept up", extra={"error": said})
            self._complaint = said
