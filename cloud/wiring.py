"""`tallygate api`: API and console put together in one process, over one pool, with one listener for news.

Here and not in either room, since neither imports the other. `create_web` is the application, `WebServer` serves it and
lets go of the live streams before it waits for the rest, `main` adds the environment and the signals.
"""

import argparse
import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import psycopg
import uvicorn
from fastapi import FastAPI

from cloud import settings
from cloud.api.app import create_app
from cloud.console import pages
from cloud.console.live import SWEEP_S, LiveFeed
from cloud.domain.costing.warm_up import warm_up
from cloud.flows.first_access import FirstAccess, make_first_access
from cloud.store.pool import POOL_SIZE, make_pool

PROGRAM = "tallygate api"
# A request takes milliseconds; what has not ended by then is a client that reads slowly.
SHUTDOWN_TIMEOUT_S = 5
RESTART_WAIT_S = 1.0
FIRST_ACCESS_WAIT_S = 2.0

log = logging.getLogger(__name__)


def create_web(dsn: str, pool_size: int = POOL_SIZE, sweep_s: float = SWEEP_S) -> FastAPI:
    """API and console over the database at `dsn`. It need not be there yet: /readyz says so."""
    pool = make_pool(dsn, PROGRAM, pool_size)
    feed = LiveFeed(dsn, pool, sweep_s)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        pool.open()
        bringing_news = asyncio.create_task(_supervise(feed), name="news for browsers")
        try:
            yield
        finally:
            bringing_news.cancel()
            await asyncio.gather(bringing_news, return_exceptions=True)
            await asyncio.to_thread(pool.close)

    app = create_app(pool, lifespan)
    pages.install(app, pool, feed)
    return app


class WebServer(uvicorn.Server):
    """uvicorn, ending as we want it: SIGTERM and SIGINT are an order, no crash, and open pages let go."""

    def __init__(self, app: FastAPI, listen: settings.Listen, proxies: list[str] | None = None) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=listen.host,
                port=listen.port,
                lifespan="on",
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=bool(proxies),
                forwarded_allow_ips=proxies or None,
                timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_S,
            )
        )
        self._feed: LiveFeed = app.state.live_feed

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at SIGTERM and SIGINT, and return; uvicorn's own would raise the signal again at the end."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {one: signal.signal(one, self.handle_exit) for one in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)

    async def shutdown(self, sockets: list | None = None) -> None:
        """End the streams first: they would last until the time-out."""
        self._feed.close()
        await super().shutdown(sockets)


def main(argv: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT. 0: ended as asked, 1: could not serve, 2: a setting is wrong."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description="the web service: API and live page")
    parser.add_argument("--listen", metavar="HOST:PORT", help="instead of TALLYGATE_API_LISTEN")
    arguments = parser.parse_args(argv)
    try:
        dsn, proxies = settings.dsn(), settings.proxies()
        listen = settings.listen({"TALLYGATE_API_LISTEN": arguments.listen} if arguments.listen else os.environ)
    except settings.WrongSetting as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 2
    server = WebServer(create_web(dsn), listen, proxies)
    try:
        asyncio.run(_serve(server, dsn))
    except SystemExit:  # uvicorn's way out when the address is taken; it has logged why
        return 1
    return 0 if server.started else 1


def say_first_access(made: FirstAccess, address: str) -> None:
    """Print what was made: here, and nowhere again."""
    if made.key is not None:
        print(f"API key with every scope (shown once, keep it): {made.key}", flush=True)
    if made.sign_in is not None:
        print(
            f"sign in at {address} as {made.sign_in.name} with the password (shown once) {made.sign_in.password}",
            flush=True,
        )


async def _serve(server: WebServer, dsn: str) -> None:
    address = f"http://{server.config.host}:{server.config.port}/"
    offering = asyncio.create_task(_offer_first_access(dsn, address), name="first access")
    # Beside the first requests: pages are served while a compiler works, declared movements wait for it.
    warming = asyncio.create_task(_warm_up(), name="warm kernels")
    try:
        await server.serve()
    finally:
        offering.cancel()
        await asyncio.gather(offering, warming, return_exceptions=True)


async def _warm_up() -> None:
    """The supervisor's edge: without warm kernels we serve all the same, and the first costs come later."""
    try:
        await asyncio.to_thread(warm_up)
    except Exception:
        log.exception("kernels could not be made ready")
    else:
        log.info("kernels are ready")


async def _offer_first_access(dsn: str, address: str) -> None:
    """Until there is a company with a key and a person: the house may be set up after we started."""
    is_made = False
    while not is_made:
        try:
            made, is_made = await asyncio.to_thread(_first_access, dsn)
        except psycopg.Error as error:
            log.info("no first access yet", extra={"error": str(error).splitlines()[:1]})
        else:
            say_first_access(made, address)
        if not is_made:
            await asyncio.sleep(FIRST_ACCESS_WAIT_S)


def _first_access(dsn: str) -> tuple[FirstAccess, bool]:
    made = make_first_access(dsn)
    with psycopg.connect(dsn, connect_timeout=int(FIRST_ACCESS_WAIT_S), application_name=PROGRAM) as connection:
        there = connection.execute("SELECT EXISTS (SELECT FROM api_keys)").fetchone()
    return made, bool(there and there[0])


async def _supervise(feed: LiveFeed) -> None:
    """The supervisor's edge: whatever ends the feed is logged, and the feed begins again."""
    while True:
        try:
            await feed.run()
        except Exception:
            log.exception("news for browsers broke, starting again")
        await asyncio.sleep(RESTART_WAIT_S)


if __name__ == "__main__":
    sys.exit(main())
