"""News for browsers: one LISTEN for the process, fanned out to every open page as "something changed".

In: NOTIFY on `tallygate_commits` (a hint, once a transaction), and a sweep that compares a fingerprint of
what the page shows, since hints get lost and what gates see now is never hinted at. Out: for each open
page a queue of length one: a page that has not yet heard of the last change need not hear of it twice.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from cloud.store.live import fingerprint

CHANNEL = "tallygate_commits"
SWEEP_S = 1.0
LISTEN_CHECK_S = 20.0  # a listener that hears nothing asks whether its server is still there
RECONNECT_FIRST_S = 1.0
RECONNECT_MAX_S = 30.0
CONNECT_TIMEOUT_S = 5
KEEPALIVE_S = 15.0  # below the minute after which proxies drop a silent stream
# Between two events of one stream: nobody reads faster, and a page fetches once for all commits between.
BREATH_S = 0.3
STREAMS_MAX = 500

log = logging.getLogger(__name__)


class TooManyStreams(RuntimeError):
    """As many pages are open as this process serves."""


class LiveFeed:
    """Who waits for news of which company, and the tasks that bring it. Used on one event loop."""

    def __init__(self, dsn: str, pool: ConnectionPool, sweep_s: float = SWEEP_S) -> None:
        self._dsn = dsn
        self._pool = pool
        self._sweep_s = sweep_s
        self._waiting: dict[int, set[asyncio.Queue[bool]]] = {}
        self._versions: dict[int, int] = {}
        self._fingerprints: dict[int, str] = {}
        self._closed = False

    async def run(self) -> None:
        """Listen and sweep until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_listening(), name="listen for commits")
            tasks.create_task(self._keep_sweeping(), name="sweep for changes")

    def close(self) -> None:
        """End every stream; the server is going down."""
        self._closed = True
        for queues in self._waiting.values():
            for queue in queues:
                _offer(queue)

    def version(self, company_id: int) -> int:
        """Grows whenever something of the company may have changed."""
        return self._versions.get(company_id, 0)

    async def stream(self, company_id: int, may_go_on: Callable[[], bool]) -> AsyncIterator[bytes]:
        """Server-sent events for one page: `changed`, and `alive` while nothing changes.

        may_go_on  asked off the loop before each `alive`: whether the session still lasts
        """
        queue: asyncio.Queue[bool] = asyncio.Queue(maxsize=1)
        self._waiting.setdefault(company_id, set()).add(queue)
        try:
            yield b"retry: 1000\n\n" + _event("hello")
            while not self._closed:
                try:
                    async with asyncio.timeout(KEEPALIVE_S):
                        await queue.get()
                except TimeoutError:
                    if not await asyncio.to_thread(may_go_on):
                        yield _event("signed-out")
                        return
                    yield _event("alive")
                    continue
                if not self._closed:
                    yield _event("changed")
                    await asyncio.sleep(BREATH_S)
        finally:
            self._forget(company_id, queue)

    def check_room(self) -> None:
        """Raises TooManyStreams."""
        if sum(map(len, self._waiting.values())) >= STREAMS_MAX:
            raise TooManyStreams(f"expected at most {STREAMS_MAX} open pages")

    def changed(self, company_id: int) -> None:
        """Tell the pages of a company, if any is open."""
        if queues := self._waiting.get(company_id):
            self._versions[company_id] = self.version(company_id) + 1
            for queue in queues:
                _offer(queue)

    def _forget(self, company_id: int, queue: asyncio.Queue[bool]) -> None:
        queues = self._waiting.get(company_id, set())
        queues.discard(queue)
        if not queues:
            self._waiting.pop(company_id, None)
            self._fingerprints.pop(company_id, None)

    # ── Hints ──

    async def _keep_listening(self) -> None:
        wait_s = RECONNECT_FIRST_S
        is_down = False
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(
                    self._dsn,
                    autocommit=True,
                    connect_timeout=CONNECT_TIMEOUT_S,
                    application_name="tallygate live",
                ) as connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    if is_down:
                        log.info("listening for commits again")
                    wait_s, is_down = RECONNECT_FIRST_S, False
                    for company_id in list(self._waiting):  # whatever was said in between was not heard
                        self.changed(company_id)
                    await self._listen(connection)
            except (psycopg.Error, OSError) as error:
                if not is_down:
                    log.warning("cannot listen for commits, only sweeping", extra={"error": str(error)[:300]})
                is_down = True
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, RECONNECT_MAX_S)

    async def _listen(self, connection: psycopg.AsyncConnection) -> None:
        """Until the connection breaks, which raises."""
        while True:
            async for notify in connection.notifies(timeout=LISTEN_CHECK_S):
                company_id = _company_of(notify.payload)
                if company_id is not None:
                    self.changed(company_id)
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await connection.execute("SELECT 1")

    # ── Sweeps ──

    async def _keep_sweeping(self) -> None:
        is_down = False
        while True:
            await asyncio.sleep(self._sweep_s)
            try:
                await self._sweep()
            except (psycopg.Error, PoolTimeout) as error:
                if not is_down:
                    log.warning("cannot sweep for changes", extra={"error": str(error)[:300]})
                is_down = True
                continue
            if is_down:
                log.info("sweeping for changes again")
            is_down = False

    async def _sweep(self) -> None:
        companies = list(self._waiting)
        if not companies:
            return
        found = await asyncio.to_thread(self._look, companies)
        for company_id, now in found.items():
            if self._fingerprints.get(company_id) != now and company_id in self._waiting:
                self._fingerprints[company_id] = now
                self.changed(company_id)

    def _look(self, companies: list[int]) -> dict[int, str]:
        with self._pool.connection() as connection:
            return {company_id: fingerprint(connection, company_id) for company_id in companies}


def _offer(queue: asyncio.Queue[bool]) -> None:
    with suppress(asyncio.QueueFull):  # what waits there says the same
        queue.put_nowait(True)


def _company_of(payload: str) -> int | None:
    """Whose books changed; anybody who may connect may NOTIFY anything, so a strange payload is no error."""
    try:
        company_id = json.loads(payload)["company"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return company_id if isinstance(company_id, int) and 0 < company_id < 2**31 else None


def _event(name: str) -> bytes:
    return f"event: {name}\ndata: {{}}\n\n".encode()
