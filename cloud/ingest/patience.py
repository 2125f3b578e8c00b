"""What the worker does while what it needs does not serve: say so once, wait, try again, say when it is over.

    Complaint   one for the database, one for the broker: each trouble is one line in the log for as long as it lasts,
                whatever it alternates with, and the end of all of them another. That a connection broke off says
                little: the next try finds out why, or all is well again
    Waits       how long between tries: doubled up to a most, and never the same for two workers
    Patience    the database's side: a connection for the worker's rounds, again and again

No wait is for ever. A network that falls silent is given up by TCP's own limits on both sides, a statement by the
server's, a server that stands still by ours; and a worker that sleeps in a transaction loses it, because its locks are
in the way of who takes its lanes.
"""

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from typing import Any, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from cloud.ingest import troubles
from cloud.ingest.troubles import Trouble, WrongSchema
from cloud.settings import WrongSetting
from cloud.store import readiness
from cloud.store.sql import statement

log = logging.getLogger(__name__)

RETRY_S = (0.5, 10.0)  # first wait and longest; doubled from one try to the next
SPREAD = 0.25  # of a wait, either way: workers that lost one database do not come back in step
SCHEMA_AGAIN_S = 3.0  # somebody may migrate while we run

APPLICATION = "tallygate ingest"
APPLICATION_CHARACTERS = 63  # NAMEDATALEN − 1; the server cuts the rest off

# libpq's own limits; TALLYGATE_DSN may name others. Ten seconds are a lease's length: who hears nothing of the
# database for longer has lost its lanes anyway.
CONNECTION: Mapping[str, str | int] = {
    "connect_timeout": 10,  # s, for each address of the host
    "keepalives": 1,
    "keepalives_idle": 5,  # s
    "keepalives_interval": 2,  # s
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # ms that what we sent may stay unacknowledged
}
# The server's, for our session.
SERVER_SIDE: Mapping[str, str] = {
    # A batch holds one movement or 20,000: a plan kept from one would be wrong for the other, and the checks of 40,000
    # lines are not to be written to disk and read again.
    "plan_cache_mode": "force_custom_plan",
    "work_mem": "64MB",
    "statement_timeout": "60s",  # the longest statement of a full batch was seen to take one
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "10s",
    # When this machine is gone the server rolls back: its locks would keep the lanes from their next worker.
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10s",
    "client_connection_check_interval": "2s",
}

# A statement may take a minute by the server's own limit; if by then nothing came, no limit of its works any more.
SILENCE_S = 75.0

T = TypeVar("T")


class Complaint:
    """Says each trouble once until it is over. Used by one thread; `now` may be read by others."""

    def __init__(self, about: str) -> None:
        self.now: Trouble | None = None
        self._about = about
        self._said: set[str] = set()
        self._since_s = 0.0
        self._tries = 0
        self._newest: dict[str, str] = {}

    def about(self, trouble: Trouble, where: str, error: str, is_lapse: bool = False) -> None:
        """One more try has failed. is_lapse: it served until now, and the next try may tell more."""
        if self.now is None:
            self._since_s = time.monotonic()
        self.now = trouble
        self._tries += 1
        self._newest = {"where": where, "error": error}
        if trouble.kind in self._said or (is_lapse and self._tries == 1):
            return
        self._said.add(trouble.kind)
        log.error(
            f"the {self._about} does not serve: {trouble.what}",
            extra={"trouble": trouble.kind, "do": trouble.do, **self._newest},
        )

    def is_over(self) -> None:
        """It serves."""
        if self.now is None:
            return
        how: dict[str, object] = {"lasted_s": round(time.monotonic() - self._since_s, 1), "tries": self._tries}
        if self._said:
            log.info(f"the {self._about} serves again", extra=how)
        else:
            log.warning(f"the {self._about} broke off and serves again", extra=how | self._newest)
        self.now, self._tries = None, 0
        self._said.clear()


class Waits:
    """How long to wait before the next try."""

    def __init__(self, first_s: float, most_s: float) -> None:
        self._first_s, self._most_s = first_s, most_s
        self._next_s = first_s

    def next_s(self) -> float:
        """Seconds; the one after it is twice as long."""
        wait_s = self._next_s * random.uniform(1 - SPREAD, 1 + SPREAD)  # noqa: S311  nothing secret
        self._next_s = min(2 * self._next_s, self._most_s)
        return wait_s

    def begin(self) -> None:
        """It works: the next wait is a first one."""
        self._next_s = self._first_s


class BoundedConnection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that gives up a server from which nothing comes for SILENCE_S. TCP may be in best health then: the
    machine answers for a process that stands still, and so does whatever relays in between."""

    def wait(self, gen: Generator[Any, Any, T], *arguments: Any, **named: Any) -> T:
        """What psycopg calls whenever it waits for the network. Raises psycopg.OperationalError."""
        return super().wait(self._bounded(gen), *arguments, **named)

    def _bounded(self, gen: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        heard_s = time.monotonic()
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted  # 0: an interval passed without anything
                now_s = time.monotonic()
                if ready:
                    heard_s = now_s
                elif now_s - heard_s > SILENCE_S:
                    self.pgconn.finish()
                    raise psycopg.OperationalError(f"timeout: nothing came from the server for {SILENCE_S:g} s")
                wanted = gen.send(ready)
        except StopIteration as end:
            result: T = end.value
            return result


class Patience:
    """Keeps the worker's rounds supplied with a connection until `stop` is set.

    dsn  or what says it: a function is asked at every try, so that a password that is changed in its file is noticed
    """

    def __init__(self, dsn: str | Callable[[], str], stop: threading.Event, counters: Counter[str]) -> None:
        self._dsn: Callable[[], str] = dsn if callable(dsn) else lambda: dsn
        self._stop = stop
        self._counters = counters
        self._complaint = Complaint(troubles.DATABASE)
        self._waits = Waits(*RETRY_S)
        self._where = ""
        self._look_again_s = 0.0
        self._application = APPLICATION
        self._is_let_in = False

    @property
    def trouble(self) -> Trouble | None:
        """What is wrong with the database now."""
        return self._complaint.now

    def serve(self, rounds: Callable[[psycopg.Connection], None]) -> None:
        """Call `rounds` with a fresh connection, again and again; it returns when `stop` is set."""
        while not self._stop.is_set():
            self._is_let_in = False
            try:
                with BoundedConnection.connect(self._settings(), autocommit=True) as connection:
                    self._is_let_in = True
                    self._look_again_s, self._application = 0.0, APPLICATION
                    self._serve(connection, rounds)
            except (psycopg.Error, WrongSchema, WrongSetting) as error:
                self._wait(error)

    def look(self, connection: psycopg.Connection, waits_for: str = "") -> None:
        """At the beginning of each round: whether the schema is still ours. Raises WrongSchema, psycopg.Error.

        waits_for  what else keeps the worker from its work; the session's name shows it in pg_stat_activity
        """
        now_s = time.monotonic()
        if now_s >= self._look_again_s:
            missing, unknown = readiness.schema_differences(connection)
            if missing or unknown:
                raise WrongSchema(missing, unknown)
            self._look_again_s = now_s + SCHEMA_AGAIN_S
        name = f"{APPLICATION}: {waits_for}"[:APPLICATION_CHARACTERS] if waits_for else APPLICATION
        if name != self._application:
            connection.execute(statement("ingest", "name_session"), {"name": name})
            self._application = name

    def piece(self, in_hand: list[T]) -> list[T]:
        """What to try next of what is in hand: all of it, or one alone when that was too much."""
        return in_hand[:1] if self.trouble is not None and self.trouble.is_strain else in_hand

    def is_well(self) -> None:
        """A round has been served from end to end, and nothing is left in hand."""
        self._complaint.is_over()
        self._waits.begin()

    def _settings(self) -> str:
        named = conninfo_to_dict(self._dsn())
        self._where = f"{named.get('host', 'local socket')}:{named.get('port', 5432)}/{named.get('dbname', '')}"
        options = " ".join(f"-c {name}={value}" for name, value in SERVER_SIDE.items())
        # Of two options that name the same the later one holds.
        named["options"] = f"{options} {named.get('options', '')}".strip()
        return make_conninfo("", **{"application_name": APPLICATION, **CONNECTION, **named})

    def _serve(self, connection: psycopg.Connection, rounds: Callable[[psycopg.Connection], None]) -> None:
        self.look(connection)
        try:
            rounds(connection)
        except psycopg.errors.LockNotAvailable as error:
            error.add_note(_holders(connection))
            raise

    def _wait(self, error: psycopg.Error | WrongSchema | WrongSetting) -> None:
        self._counters["database_lost"] += 1
        if self._stop.is_set():
            return
        trouble = troubles.of_database(error)
        is_lapse = self._is_let_in and trouble.kind == troubles.DOWN
        self._complaint.about(trouble, self._where, _words(error), is_lapse)
        self._stop.wait(self._waits.next_s())


def _holders(connection: psycopg.Connection) -> str:
    """Who holds locks now, as far as a role without rights may know."""
    try:
        rows = connection.execute(statement("ingest", "lock_holders")).fetchall()
    except psycopg.Error as error:
        return f"who holds them cannot be asked: {error}"
    return (
        "; ".join(f"pid {pid} ({user}, {name or 'without a name'})" for pid, user, name in rows)
        or "nobody any more"
    )


def _words(error: Exception) -> str:
    """The error's own words with its notes, on one line."""
    if isinstance(error, psycopg.ProgrammingError) and error.sqlstate is None:
        return "it cannot be parsed"  # libpq's words may quote the password
    said = " ".join(str(error).split())
    return " · ".join([said, *(f"held by {note}" for note in getattr(error, "__notes__", ()))])
