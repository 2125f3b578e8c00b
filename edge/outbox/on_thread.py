"""The outbox for asyncio: one thread that owns the connection, so that no disk ever stops the loop.

Calls are done in the order in which they were made. A call that was cancelled is done all the same: a
caller that was cancelled in `append` must take its movements as written.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self, TypeVar

from edge.outbox.outbox import Alarm, Batch, Clock, EpochState, NewMovement, Outbox
from protocols.wire.applied import Applied

T = TypeVar("T")


class OutboxOnThread:
    """The methods of Outbox, awaited; each raises what that one raises."""

    def __init__(self, outbox: Outbox, thread: ThreadPoolExecutor) -> None:
        self._outbox = outbox
        self._thread = thread

    @classmethod
    async def open(cls, path: Path, *, clock: Clock | None = None) -> Self:
        """Open the outbox on a thread of its own."""
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="outbox")
        loop = asyncio.get_running_loop()
        try:
            outbox = await loop.run_in_executor(thread, lambda: Outbox.open(path, clock=clock))
        except BaseException:
            thread.shutdown(wait=False)
            raise
        return cls(outbox, thread)

    async def close(self) -> None:
        """Close the file, after every call made before, and end the thread."""
        await self._do(self._outbox.close)
        self._thread.shutdown(wait=True)

    @property
    def epoch(self) -> str:
        return self._outbox.epoch

    @property
    def last(self) -> int:
        """The open epoch's last number on disk."""
        return self._outbox.last

    @property
    def incarnation(self) -> int:
        """The cloud's, as last told."""
        return self._outbox.incarnation

    @property
    def counters(self) -> dict[str, int]:
        counters = self._outbox.counters
        return {
            "refused": counters.refused,
            "alarms": counters.alarms,
            "salvaged": counters.salvaged,
        }

    async def append(self, observations: Sequence[NewMovement]) -> list[int]:
        return await self._do(lambda: self._outbox.append(observations))

    async def next_batch(self, epoch: str, after_seq: int, max_movements: int, max_bytes: int) -> Batch | None:
        return await self._do(lambda: self._outbox.next_batch(epoch, after_seq, max_movements, max_bytes))

    async def epochs(self) -> list[EpochState]:
        return await self._do(self._outbox.epochs)

    async def record_applied(self, message: Applied) -> list[Alarm]:
        return await self._do(lambda: self._outbox.record_applied(message))

    async def oldest_unapplied_at_us(self) -> int | None:
        return await self._do(self._outbox.oldest_unapplied_at_us)

    async def forget(self) -> int:
        return await self._do(self._outbox.forget)

    async def _do(self, call: Callable[[], T]) -> T:
        # Shielded, because a cancelled call that still waits for the thread would silently never be made.
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._thread, call))
