"""What the worker does while its database does not serve: say so once, wait, try again, say when it is over."""

import logging
import threading
from collections import Counter
from collections.abc import Callable

import psycopg

log = logging.getLogger(__name__)

RETRY_S = (0.5, 10.0)  # first wait and longest; doubled from one try to the next

APPLICATION = "tallygate ingest"
# A batch holds one movement or 20,000: a plan kept from one would be wrong for the other, and the checks of 40,000
# lines are not to be written to disk and read again.
PLAN_EACH_TIME = "-c plan_cache_mode=force_custom_plan -c work_mem=64MB"


class Patience:
    """Keeps `serve` supplied with a connection until `stop` is set."""

    def __init__(self, dsn: str, stop: threading.Event, counters: Counter[str]) -> None:
        self._dsn = dsn
        self._stop = stop
        self._counters = counters
        self._complaint: str | None = None
        self._retry_s = RETRY_S[0]

    def serve(self, serve: Callable[[psycopg.Connection], None]) -> None:
        """Call `serve` with a fresh connection, again and again; it returns when `stop` is set."""
        while not self._stop.is_set():
            try:
                with psycopg.connect(
                    self._dsn, autocommit=True, application_name=APPLICATION, options=PLAN_EACH_TIME
                ) as connection:
                    serve(connection)
            except psycopg.Error as error:
                self._wait(error)

    def is_well(self) -> None:
        """One round has been served from end to end."""
        if self._complaint is not None:
            log.info("the database works for us again")
        self._complaint, self._retry_s = None, RETRY_S[0]

    def _wait(self, error: psycopg.Error) -> None:
        self._counters["database_lost"] += 1
        said = str(error).strip()
        if said != self._complaint:
            log.error("the database does not work for us", extra={"error": said})
            self._complaint = said
        self._stop.wait(self._retry_s)
        self._retry_s = min(2 * self._retry_s, RETRY_S[1])
