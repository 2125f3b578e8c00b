"""Passages → the outbox, in portions as they come; a full disk is waited for, and said aloud.

A passage is on the books' way from the moment `append` has put it on disk. Until then it waits here, in
memory: milliseconds as a rule, and as long as it takes when the disk is full, up to a bound. What is beyond
that is refused and counted; the outbox keeps what it has.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from typing import NoReturn

from edge.outbox.file import OutboxFull
from edge.outbox.on_thread import OutboxOnThread
from edge.outbox.outbox import NewMovement
from edge.readings import Passage
from edge.recognition import movement

log = logging.getLogger(__name__)

PORTION = 500  # movements in one transaction; more do not get faster
MOST_WAITING = 10_000  # passages in memory while the disk is full: some 10 MB, hours of a busy gate
RETRY_FULL_S = 2.0  # how often a full disk is tried again


class LogKeeper:
    """Puts passages into the outbox; `appended` is called after each portion."""

    def __init__(self, outbox: OutboxOnThread, appended: Callable[[], None]) -> None:
        self.refused = 0
        self._outbox = outbox
        self._appended = appended
        self._waiting: deque[NewMovement] = deque()
        self._work = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._is_full = False

    @property
    def counters(self) -> dict[str, int]:
        """passages_refused: lost, disk and memory being full; passages_waiting: not on disk yet."""
        return {"passages_refused": self.refused, "passages_waiting": len(self._waiting)}

    def keep(self, passages: Iterable[Passage]) -> None:
        """Take passages; those that stayed are no movements."""
        for passage in passages:
            if not movement.is_logged(passage):
                continue
            log.info(
                "passage",
                extra={
                    "gate": passage.gate,
                    "epc": passage.epc,
                    "direction": passage.direction.value,
                    "confidence": round(passage.confidence, 2),
                    "reason": passage.evidence.reason,
                },
            )
            if len(self._waiting) >= MOST_WAITING:
                self._refuse(passage)
            else:
                self._waiting.append(_observation(passage))
                self._empty.clear()
                self._work.set()

    async def run(self) -> NoReturn:
        """Until cancelled. Raises OutboxBroken when the disk fails."""
        while True:
            await self._work.wait()
            portion = list(self._waiting)[: 1 if self._is_full else PORTION]
            try:
                await self._outbox.append(portion)
            except OutboxFull as error:
                self._note_full(str(error))
                await asyncio.sleep(RETRY_FULL_S)
                continue
            self._note_room()
            for _ in portion:
                self._waiting.popleft()
            if not self._waiting:
                self._work.clear()
                self._empty.set()
            self._appended()

    async def emptied(self) -> None:
        """Return when everything is on disk."""
        await self._empty.wait()

    def _note_full(self, error: str) -> None:
        if not self._is_full:
            log.error(
                "the outbox is full, passages wait in memory",
                extra={"error": error, "waiting": len(self._waiting), "most": MOST_WAITING},
            )
        self._is_full = True

    def _note_room(self) -> None:
        if self._is_full:
            log.info("the outbox has room again", extra={"waiting": len(self._waiting)})
        self._is_full = False

    def _refuse(self, passage: Passage) -> None:
        self.refused += 1
        if self.refused == 1 or self.refused % 1000 == 0:
            log.critical(
                "passages are LOST: the disk is full and so is memory",
                extra={"lost": self.refused, "epc": passage.epc, "gate": passage.gate},
            )


def _observation(passage: Passage) -> NewMovement:
    return NewMovement(
        occurred_at_us=passage.crossed_at_us,
        kind=movement.KIND,
        gate=passage.gate,
        epc=passage.epc,
        direction=passage.direction.value,
        confidence=round(passage.confidence, 3),
        evidence=movement.evidence(passage),
    )
