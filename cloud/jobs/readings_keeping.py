"""The job of readings: makes their partitions ahead and drops what is older than the settings keep.

On TimescaleDB's community edition policies of its own do that, and this job only hands it the settings. Jobs beside
each other do no harm: what one made or dropped the other finds done.
"""

import logging
import threading
from collections import Counter

import psycopg

from cloud.settings import ReadingDays
from cloud.store import readings

log = logging.getLogger(__name__)

APPLICATION = "tallygate jobs"
KEEP_S = 3600.0  # partitions are made three days ahead, so an hour more or less is nothing
RETRY_S = 60.0  # somebody reads what is to be dropped, or the database is away


class ReadingsKeeping:
    """`run` ends when `stop` is set; `once` looks once."""

    def __init__(self, dsn: str, days: ReadingDays, stop: threading.Event | None = None) -> None:
        self.counters: Counter[str] = Counter()
        self.stop = stop or threading.Event()
        self._dsn = dsn
        self._days = days
        self._complaint: str | None = None

    def run(self) -> None:
        """Until told to stop: once an hour, or sooner again when it could not be done."""
        while not self.stop.is_set():
            try:
                self.once()
                self.stop.wait(KEEP_S)
            except psycopg.Error as error:
                self._complain(str(error).strip())
                self.stop.wait(RETRY_S)

    def once(self) -> int:
        """Keep what is to be kept; how many pieces went. Raises psycopg.Error."""
        # Not held for the hour between: a connection that does nothing is one less for those who work.
        with psycopg.connect(self._dsn, autocommit=True, application_name=APPLICATION) as connection:
            dropped = readings.keep(connection, self._days)
        self.counters["readings_kept"] += 1
        self.counters["reading_pieces_dropped"] += dropped
        if dropped:
            log.info("old readings are dropped", extra={"pieces": dropped})
        if self._complaint is not None:
            log.info("readings are kept up again")
            self._complaint = None
        return dropped

    def _complain(self, said: str) -> None:
        self.counters["readings_not_kept"] += 1
        if said != self._complaint:
            log.error("readings cannot be kept up", extra={"error": said})
            self._complaint = said
