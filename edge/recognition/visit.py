"""Reads of one gate, in time order → visits: all reads of one tag until it has been silent long enough.

`OpenVisits` is given reads one by one and told how far time has come; it hands back closed visits.
It knows nothing of directions. A visit closes

    by silence   no read on either side for the gate's hold
    by length    a read comes that would make it longer than the gate's longest visit
    at the end   the gateway stops

Bounded memory: at most `most_tags` open visits of at most `most_reads` reads each. What is beyond the
reads of one visit is thinned evenly over its time, so that the shape stays true; both are counted.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import NamedTuple

from edge.recognition.gate import GateSettings


class SidedRead(NamedTuple):
    """A read reduced to what a decision needs; sorts by time."""

    seen_at_us: int
    epc: str
    antenna: int
    rssi_dbm: float


@dataclass(frozen=True, slots=True)
class Visit:
    """A closed visit. `reads` are in time order, without duplicates, at most `most_reads`.

    seen       how many reads there were, the thinned ones included
    by_length  closed because it became too long, not because the tag fell silent
    """

    epc: str
    reads: tuple[SidedRead, ...]
    seen: int
    by_length: bool

    @property
    def first_us(self) -> int:
        return self.reads[0].seen_at_us

    @property
    def last_us(self) -> int:
        return self.reads[-1].seen_at_us


class _OpenVisit:
    __slots__ = ("first_us", "last_us", "reads", "seen", "thinning")

    def __init__(self, read: SidedRead) -> None:
        self.first_us = self.last_us = read.seen_at_us
        self.reads = [read]
        self.seen = 1
        self.thinning = 0  # keeps 1 of 2**thinning reads


def _survives(read: SidedRead, thinning: int) -> bool:
    # Whether a read is kept must depend on the read alone, or its place in a report would matter: the
    # top bits of its time, scattered by Knuth's multiplicative hash, are zero once in 2**thinning.
    scattered = (read.seen_at_us * 2_654_435_761) & 0xFFFF_FFFF
    return scattered >> (32 - thinning) == 0


class OpenVisits:
    """The visits of one gate that are not closed yet."""

    def __init__(self, gate: GateSettings) -> None:
        self._gate = gate
        self._open: dict[str, _OpenVisit] = {}
        # (when the tag will have been silent long enough, epc): exactly one entry for each open visit,
        # brought up to date only when it comes to the front.
        self._deadlines: list[tuple[int, str]] = []
        self.shed_tags = 0  # reads of tags beyond `most_tags`
        self.thinned_reads = 0

    def __len__(self) -> int:
        return len(self._open)

    def add(self, read: SidedRead) -> None:
        """Put `read` to its tag's open visit, or open one."""
        visit = self._open.get(read.epc)
        if visit is None:
            if len(self._open) >= self._gate.most_tags:
                self.shed_tags += 1
                return
            self._open[read.epc] = _OpenVisit(read)
            heappush(self._deadlines, (read.seen_at_us + self._gate.hold_us, read.epc))
            return
        visit.seen += 1
        visit.first_us = min(visit.first_us, read.seen_at_us)
        visit.last_us = max(visit.last_us, read.seen_at_us)
        if visit.thinning and not _survives(read, visit.thinning):
            self.thinned_reads += 1
            return
        visit.reads.append(read)
        if len(visit.reads) > self._gate.most_reads:
            self._thin(visit)

    def _thin(self, visit: _OpenVisit) -> None:
        visit.reads = sorted(set(visit.reads))
        while len(visit.reads) > self._gate.most_reads and visit.thinning < 32:
            visit.thinning += 1
            kept = [read for read in visit.reads if _survives(read, visit.thinning)]
            self.thinned_reads += len(visit.reads) - len(kept)
            visit.reads = kept or visit.reads[:1]

    def full(self, read: SidedRead) -> list[Visit]:
        """The tag's visit, closed by length, when `read` would make it too long; else nothing.

        The tag stays open without reads until the next `add` or `carry`, which must follow.
        """
        visit = self._open.get(read.epc)
        if visit is None or read.seen_at_us - visit.first_us < self._gate.longest_visit_us:
            return []
        closed = self._closed(read.epc, visit, by_length=True)
        fresh = self._open[read.epc] = _OpenVisit(read)
        fresh.reads, fresh.seen = [], 0
        fresh.thinning = visit.thinning  # one density for what is carried and what follows
        if read.seen_at_us - closed[-1].first_us < self._gate.longest_visit_us:
            # Only an earlier visit that came late made it long: the newest one is open still.
            newest = closed.pop()
            fresh.reads, fresh.seen, fresh.first_us = list(newest.reads), newest.seen, newest.first_us
        return closed

    def carry(self, visit: Visit, from_us: int) -> None:
        """Begin the tag's next window with the reads of `visit` since `from_us`."""
        carried = [read for read in visit.reads if read.seen_at_us >= from_us]
        if carried:
            self._open[visit.epc].first_us = carried[0].seen_at_us
        for read in carried:
            self.add(read)

    def silent_before(self, now_us: int) -> Iterator[Visit]:
        """Close and yield the visits whose hold ended before `now_us`, in the order in which it ended."""
        while self._deadlines and self._deadlines[0][0] < now_us:
            due_us, epc = heappop(self._deadlines)
            visit = self._open[epc]
            silent_us = visit.last_us + self._gate.hold_us
            if silent_us > due_us:
                heappush(self._deadlines, (silent_us, epc))
                continue
            del self._open[epc]
            yield from self._closed(epc, visit, by_length=False)

    def close_all(self) -> Iterator[Visit]:
        """Close and yield every visit, in the order of first sight."""
        self._deadlines.clear()
        still_open, self._open = self._open, {}
        for epc, visit in sorted(still_open.items(), key=lambda item: (item[1].first_us, item[0])):
            yield from self._closed(epc, visit, by_length=False)

    def _closed(self, epc: str, visit: _OpenVisit, *, by_length: bool) -> list[Visit]:
        """The visit, or several where reads that came late reveal a silence in it."""
        reads = sorted(set(visit.reads))
        parts = list(_split(reads, self._gate.hold_us))
        unthinned = visit.thinning == 0
        return [
            Visit(
                epc,
                tuple(part),
                seen=len(part) if unthinned else round(visit.seen * len(part) / len(reads)),
                by_length=by_length and part is parts[-1],
            )
            for part in parts
        ]


def _split(reads: Iterable[SidedRead], hold_us: int) -> Iterator[list[SidedRead]]:
    part: list[SidedRead] = []
    for read in reads:
        if part and read.seen_at_us - part[-1].seen_at_us > hold_us:
            yield part
            part = []
        part.append(read)
    if part:
        yield part
