"""Stay connected to a device: connect, serve, wait a little longer after each failure, and again.

In: a coroutine that serves one connection. Out: it is called for as long as we are not cancelled, with one
log line when the device goes and one when it is there again; nothing is logged for the tries in between.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import NoReturn

log = logging.getLogger(__name__)


class DeviceLost(Exception):
    """The device cannot be reached, refuses us or has stopped answering; the message says which."""


@dataclass(frozen=True, slots=True)
class BackOff:
    """How long to wait before the next try: `wait_s`, doubled by each failure up to `longest_s`.

    1 s to 30 s: a reader that restarts needs 20 to 60 s, so it is found within half a minute of being
    back, and one that is gone for a week is not asked more than twice a minute.
    """

    wait_s: float = 1.0
    first_s: float = 1.0
    longest_s: float = 30.0

    def __post_init__(self) -> None:
        if not 0 < self.first_s <= self.wait_s <= self.longest_s:
            raise ValueError(
                f"expected 0 < first ≤ wait ≤ longest, got {self.first_s}, {self.wait_s}, {self.longest_s} s"
            )

    def after_failure(self, served_s: float) -> "BackOff":
        """The wait after the one that follows now.

        A connection that served for longer than we would have waited starts the row anew; one that breaks
        at once, time after time, does not get to try every second for ever.
        """
        if served_s > self.wait_s:
            return replace(self, wait_s=min(self.first_s * 2, self.longest_s))
        return replace(self, wait_s=min(self.wait_s * 2, self.longest_s))

    def wait_after(self, served_s: float) -> float:
        """Seconds to wait now, after a connection that served for so long (0: none came about)."""
        return self.first_s if served_s > self.wait_s else self.wait_s


Serve = Callable[[Callable[[], None]], Awaitable[None]]
"""Connects, calls what it is given once the device answers, serves; raises DeviceLost when that ends."""


async def stay_connected(
    device: str,
    serve: Serve,
    on_change: Callable[[str, bool], None] | None = None,
    *,
    back_off: BackOff | None = None,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> NoReturn:
    """Serve `device` until cancelled; `on_change(device, connected)` is told of every coming and going."""
    back_off = back_off or BackOff()
    is_there: bool | None = None
    gone_at_s = monotonic()
    up_at_s: float | None = None

    def connected() -> None:
        nonlocal is_there, up_at_s
        up_at_s = monotonic()
        if is_there is False:
            log.info("%s is back after %.1f s", device, up_at_s - gone_at_s)
        else:
            log.info("%s is connected", device)
        is_there = True
        if on_change is not None:
            on_change(device, True)

    while True:
        up_at_s = None
        reason = await _serve_once(device, serve, connected)
        served_s = 0.0 if up_at_s is None else monotonic() - up_at_s
        if is_there is not False:
            log.warning("%s is gone: %s", device, reason)
            gone_at_s = monotonic()
            is_there = False
            if on_change is not None:
                on_change(device, False)
        else:
            log.debug("%s is still gone: %s", device, reason)
        await sleep(back_off.wait_after(served_s))
        back_off = back_off.after_failure(served_s)


async def _serve_once(device: str, serve: Serve, connected: Callable[[], None]) -> str:
    """Serve one connection; return why it ended."""
    try:
        await serve(connected)
    except DeviceLost as lost:
        return str(lost)
    except Exception as error:
        # The supervisor's edge: a fault of ours costs this connection, not the device until a restart.
        log.exception("%s: serving it broke", device)
        return f"serving it broke, {error!r}"
    return "the connection ended"
