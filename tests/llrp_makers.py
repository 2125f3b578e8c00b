"""What LLRP tests share: readers that play, portals that listen, and real frames where the data is."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from edge.devices.portal import Portal, PortalSettings
from edge.devices.stay_connected import BackOff
from edge.readings import TagRead
from firmware_bridges.virtual_reader.play import Play
from firmware_bridges.virtual_reader.reader import ReaderSettings, VirtualReader
from firmware_bridges.virtual_reader.sighting import Sighting

SHARED = Path(__file__).parents[1] / ".." / "shared" / "data"

RUN_TIMEOUT_S = 60.0  # of a whole test: only a fault reaches it
POLL_S = 0.005
QUICK = BackOff(0.02, 0.02, 0.1)
KEEPALIVE_S = 2.0  # a reader counts as gone after 5 s of silence, which no busy machine makes of itself

Result = TypeVar("Result")


def shared(name: str) -> Path:
    """A file of the data folder beside the project; without it the test skips and says so."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"real data is not here: {name} in shared/data")
    return path


def run(story: Coroutine[Any, Any, Result]) -> Result:
    """Run a story to its end, or fail when it takes for ever."""

    async def bounded() -> Result:
        async with asyncio.timeout(RUN_TIMEOUT_S):
            return await story

    return asyncio.run(bounded())


async def until(condition: Callable[[], bool], what: str, timeout_s: float = 20.0) -> None:
    """Wait for a condition that nothing announces."""
    try:
        async with asyncio.timeout(timeout_s):
            while not condition():  # noqa: ASYNC110  there is nothing to wait for but the condition itself
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        raise AssertionError(f"expected within {timeout_s:g} s: {what}") from None


def walk(
    count: int = 40, every_us: int = 10_000, epc: str = "30340A64C0DEC0DE00000001", antennas: int = 4
) -> list[Sighting]:
    """A tag seen by one antenna after the other."""
    return [
        Sighting(number * every_us, epc, number % antennas + 1, -50.0 - number % 10, 1, 0.5)
        for number in range(count)
    ]


def playing(sightings: Iterable[Sighting], **options: Any) -> VirtualReader:
    """A reader on any free port that plays `sightings`, a thousand times too fast unless told otherwise."""
    port = options.pop("port", 0)
    done_file = options.pop("done_file", None)
    return VirtualReader(
        Play(sightings, **{"pace": 1000.0, **options}), ReaderSettings(port=port, done_file=done_file)
    )


@asynccontextmanager
async def listening(
    address: tuple[str, int], on_change: Callable[[str, bool], None] | None = None, **settings: Any
) -> AsyncIterator[Portal]:
    """A portal that runs against a reader."""
    portal = Portal(
        PortalSettings("dock", *address, **{"keepalive_s": KEEPALIVE_S, **settings}),
        on_change,
        back_off=QUICK,
    )
    task = asyncio.create_task(portal.run())
    try:
        yield portal
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def all_reads(portal: Portal, reader: VirtualReader) -> list[TagRead]:
    """Everything the portal hears until the reader has sent it all."""
    heard: list[TagRead] = []
    while not reader.finished.is_set():
        heard += await portal.reads(timeout_s=POLL_S)
    return heard + await portal.reads(timeout_s=0.0)
