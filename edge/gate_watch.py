"""One gate: its reader's reads → recognition → passages, and each second a summary for whoever watches.

Time at the gate is the time of the newest read, and what has passed since it came. It is not what the
reader's clock says now: a reader that hands over what it kept, or begins again some seconds earlier, is
behind its own clock, and visits would end in the middle. While the reader is away time stands still for a
while, because its visits may go on when it is back. A passage that is undecided in memory is lost
by kill -9; when the gateway is stopped politely, `finish` decides what was read until then.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NoReturn

import msgspec

from edge.devices.portal import AWAY_GRACE_S, Portal
from edge.readings import Passage, Sighting, TagRead
from edge.recognition.gate import US, GateSettings
from edge.recognition.gate_recognition import GateRecognition, Provisional
from protocols.wire.readings import MAX_TAGS, SCHEMA, GateReadings, TagSeen

log = logging.getLogger(__name__)

TICK_S = 0.05  # how often a quiet gate looks whether a visit is over; a fifth of the 250 ms a verdict may take
READS_AT_ONCE = 500  # reads recognised before others get a turn: some 10 ms
SUMMARY_S = 1.0  # how often the readings of a gate are summed up; what an eye follows
# A tag that waits for its verdict is not read any more; how it was read last is remembered of so many tags, ten
# times what a summary shows. It is for the screen only.
REMEMBERED_TAGS = 2_000


class GateWatch:
    """Watches one gate. `hand_over` takes passages, `publish` takes summaries; neither waits."""

    def __init__(
        self,
        portal: Portal,
        settings: GateSettings,
        hand_over: Callable[[list[Passage]], None],
        publish: Callable[[GateReadings], object],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.portal = portal
        self.recognition = GateRecognition(settings)
        self._summary = ReadingsSummary(settings.name)
        self._hand_over = hand_over
        self._publish = publish
        self._named: set[str] = set()  # faults that the log has named
        self._taken: list[Sighting] = []  # from the portal, not recognised yet
        self._monotonic = monotonic
        self._looked_s = monotonic()
        self._away_s = 0.0  # how long the reader has been away
        self._summary_due_s = self._looked_s + SUMMARY_S

    @property
    def counters(self) -> dict[str, int]:
        """The counters of portal and recognition that are not zero, with the portal's name before them.

        What both count under one name (reads shed, for one) is added up: no read is counted by both.
        """
        counters = Counter(self.portal.counters)
        counters.update(self.recognition.counters)
        return {f"{self.portal.settings.name}.{name}": count for name, count in counters.items() if count}

    @property
    def _shed(self) -> int:
        return self.portal.shed + self.recognition.counters["shed"]

    async def run(self) -> NoReturn:
        """Until cancelled; then `finish` has to be called."""
        while True:
            self._taken = await self.portal.reads(TICK_S)
            passed_us = self._passed_us()
            if not self._taken:
                self._advance(passed_us)
            while self._taken:
                self._recognise(READS_AT_ONCE)
                await asyncio.sleep(0)
            self._sum_up()

    def finish(self) -> None:
        """Decide everything that was read."""
        self._taken += self.portal.queue.take()
        while self._taken:
            self._recognise(READS_AT_ONCE)
        self._hand_over(self.recognition.flush())

    def _recognise(self, most: int) -> None:
        sightings, self._taken = self._taken[:most], self._taken[most:]
        self._summary.add(one for one in sightings if isinstance(one, TagRead))
        self._hand_over(self.recognition.feed(sightings))
        for fault in self.recognition.faults.keys() - self._named:
            self._named.add(fault)
            log.warning(
                "%s: %s, more like it are only counted: %s",
                self.portal.settings.name,
                fault,
                self.recognition.faults[fault],
            )

    def _passed_us(self) -> int:
        """Time at the gate since the last call."""
        now_s = self._monotonic()
        passed_s, self._looked_s = now_s - self._looked_s, now_s
        self._away_s = 0.0 if self.portal.connected else self._away_s + passed_s
        return round(passed_s * US) if self._away_s == 0 or self._away_s > AWAY_GRACE_S else 0

    def _advance(self, passed_us: int) -> None:
        if self.recognition.clock_us is not None:
            self._hand_over(self.recognition.advance(self.recognition.clock_us + passed_us))

    def _sum_up(self) -> None:
        if self._looked_s >= self._summary_due_s:
            self._summary_due_s = self._looked_s + SUMMARY_S
            provisional = self.recognition.provisional()
            summary = self._summary.take(self.recognition.clock_us or 0, self._shed, provisional)
            if summary is not None:
                self._publish(summary)


class ReadingsSummary:
    """Counts the reads of a gate by tag until they are taken."""

    def __init__(self, gate: str) -> None:
        self._gate = gate
        self._tags: dict[str, list[TagRead]] = {}
        self._last: dict[str, TagSeen] = {}  # as each tag was summed up last; the newest stand last
        self._reads = 0
        self._shed_before = 0
        self._was_empty = True

    def add(self, reads: Iterable[TagRead]) -> None:
        for read in reads:
            self._reads += 1
            self._tags.setdefault(read.epc, []).append(read)

    def take(self, now_us: int, shed: int, provisional: Sequence[Provisional] = ()) -> GateReadings | None:
        """The summary since the last one; None when there is nothing to tell, but for the first such time.

        shed         reads dropped since the program's start
        provisional  crossings within the hold: their tags are told as long as they wait, read or not
        """
        is_empty = not self._reads and not provisional
        if is_empty and self._was_empty:
            return None
        times_us = [read.seen_at_us for reads in self._tags.values() for read in reads] or [now_us]
        seen = {epc: _seen(epc, reads) for epc, reads in self._tags.items()}
        waiting = [tag for one in provisional if (tag := self._waiting(one, seen)) is not None]
        rest = seen.keys() - {tag.epc for tag in waiting}
        tags = waiting + sorted((seen[epc] for epc in rest), key=lambda tag: (-tag.reads, tag.epc))
        summary = GateReadings(
            schema=SCHEMA,
            gate=self._gate,
            from_us=min(times_us),
            to_us=max(times_us),
            reads=self._reads,
            tags_total=len(tags),
            tags=tags[:MAX_TAGS],
            shed=shed - self._shed_before,
        )
        self._remember(seen)
        self._tags, self._reads, self._shed_before, self._was_empty = {}, 0, shed, is_empty
        return summary

    def _waiting(self, one: Provisional, seen: dict[str, TagSeen]) -> TagSeen | None:
        """The tag as it is read, else as it was, with its direction; None when that is forgotten."""
        if (tag := seen.get(one.epc)) is not None:
            return msgspec.structs.replace(tag, provisional=one.direction.value)
        if (before := self._last.get(one.epc)) is not None:
            return msgspec.structs.replace(before, reads=0, provisional=one.direction.value)
        return None

    def _remember(self, seen: dict[str, TagSeen]) -> None:
        for epc, tag in seen.items():
            self._last.pop(epc, None)
            self._last[epc] = tag
        for epc in list(self._last)[: max(0, len(self._last) - REMEMBERED_TAGS)]:
            del self._last[epc]


def _seen(epc: str, reads: list[TagRead]) -> TagSeen:
    return TagSeen(
        epc=epc,
        reads=len(reads),
        antennas=sorted({read.antenna for read in reads}),
        peak_rssi_dbm=max(read.rssi_dbm for read in reads),
    )
