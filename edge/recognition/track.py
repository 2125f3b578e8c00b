"""What is kept of one tag: its reads of the last seconds in order of time, its open visit, what was told of it.

A *visit* is all reads of one tag until it has been silent for the gate's hold. It closes

    by silence   no read on either side for the hold
    by length    a read comes that would make it longer than the gate's longest visit
    at the end   the gateway stops

Reads before the visit stay for as long as the gate's longest visit: an anchor may lie between two visits,
and a tag's steadiness until now says how much it takes to believe that it moved. Bounded memory: at most
`most_reads` reads a tag; beyond it they are thinned evenly over time, so that the shape stays true.
"""

from array import array
from bisect import bisect_left
from typing import Final

import numpy as np

from edge.readings import Direction
from edge.recognition.columns import INSIDE_BIT, Reads, put
from edge.recognition.course import Course
from edge.recognition.gate import GateSettings
from edge.recognition.group import Vote
from edge.recognition.verdict import Verdict

NEVER: Final = -(1 << 62)
FAR: Final = 1 << 62  # later than any time


class Track:
    """One tag. Times are microseconds; `NEVER` where there is none.

    visit_us    first read of the open visit, NEVER when none is open
    last_us     newest read
    seen        reads of the open visit, the thinned ones included
    has_deadline  whether its silence will be looked at
    outside_us, inside_us  newest read by that side
    spans       (first, until) of decided visits, for as long as a replay may bring them again
    told        what was told of it since it was last silent
    lingers_us  last read of a visit in which one side only saw it, or in which it rested
    decided_us  the end of its newest span
    crossed_us  its newest crossing: earlier reads are no evidence of the next
    rest_us     since when it is here without a crossing; it is not here when it was away for linger_s, or for
                the gap right after a crossing
    went, stayed  crossings told of it, and visits in which it did not cross
    vote        what it says to the tags around it, as of the last look; None while its signal did not move
    leg         a crossing seen but not told yet: what the visit would be if it ended now
    """

    __slots__ = (
        "course", "course_seen", "crossed_us", "decided_us", "epc", "has_deadline", "inside_us",
        "last_us", "leg", "lingers_us", "outside_us", "rest_us", "seen", "signals", "spans", "stayed", "thinning",
        "times_us", "told", "visit_us", "vote", "went",
    )  # fmt: skip

    def __init__(self, epc: str) -> None:
        self.epc = epc
        self.times_us: array[int] = array("q")
        self.signals: array[int] = array("q")
        self.visit_us = self.last_us = NEVER
        self.has_deadline = False
        self.outside_us = self.inside_us = self.crossed_us = self.lingers_us = self.decided_us = NEVER
        self.rest_us = NEVER
        self.seen = 0
        self.thinning = 0
        self.spans: tuple[tuple[int, int], ...] = ()
        self.told: tuple[Direction, ...] = ()
        self.went = self.stayed = 0
        self.course: tuple[Course, Verdict] | None = None
        self.course_seen = 0
        self.leg: tuple[Verdict, int] | None = None
        self.vote: Vote | None = None

    @property
    def is_open(self) -> bool:
        return self.visit_us != NEVER

    def add(self, seen_at_us: int, signal: int, gate: GateSettings) -> int:
        """Put a read to the open visit, or open one; return how many reads were thinned away.

        A read that stands in the columns already has come again, and is left out.
        """
        is_newest = seen_at_us > self.last_us
        is_kept = not self.thinning or _survives(seen_at_us, self.thinning)
        if is_kept and not is_newest and not put(self.times_us, self.signals, seen_at_us, signal):
            return 0
        if self.visit_us == NEVER:
            self._open(seen_at_us, gate)
        elif seen_at_us < self.visit_us:
            self.visit_us = seen_at_us
        if is_newest:
            self.last_us = seen_at_us
        if signal & INSIDE_BIT:
            if seen_at_us > self.inside_us:
                self.inside_us = seen_at_us
        elif seen_at_us > self.outside_us:
            self.outside_us = seen_at_us
        self.seen += 1
        if not is_kept:
            return 1
        if is_newest:
            self.times_us.append(seen_at_us)
            self.signals.append(signal)
        return self._thin(gate) if len(self.times_us) > gate.most_reads else 0

    def is_decided(self, at_us: int) -> bool:
        """Whether a read at that time belongs to a visit that was decided."""
        return any(first <= at_us <= until for first, until in self.spans)

    def remember(self, first_us: int, until_us: int, gate: GateSettings) -> None:
        """The visit's span was decided; forget spans that no replay can bring again."""
        kept = [span for span in self.spans if until_us - span[1] <= gate.replay_us]
        if kept and kept[-1][0] <= first_us <= kept[-1][1] + 1:
            first_us, until_us = kept[-1][0], max(until_us, kept[-1][1])
            kept.pop()
        self.spans = (*kept, (first_us, until_us))
        self.decided_us = until_us

    def all_reads(self) -> Reads:
        return Reads(np.array(self.times_us, np.int64), np.array(self.signals, np.int64))

    def put_newest(self, most: int, since_us: int, times_us: "array[int]", signals: "array[int]") -> int:
        """Append at most its `most` newest reads, since that time, to these columns; how many they were."""
        first = bisect_left(self.times_us, since_us, max(0, len(self.times_us) - most))
        times_us.extend(self.times_us[first:])
        signals.extend(self.signals[first:])
        return len(self.times_us) - first

    def visit_reads(self, until_us: int | None = None) -> Reads:
        """The open visit's reads, without those that were decided already."""
        reads = self.all_reads().between(self.visit_us, (self.last_us if until_us is None else until_us) + 1)
        if self.spans and self.visit_us <= self.decided_us:
            decided = np.zeros(len(reads), np.bool_)
            for first, until in self.spans:
                decided |= (reads.times_us >= first) & (reads.times_us <= until)
            reads = reads.chosen(~decided)
        return reads

    def begin_at(self, from_us: int) -> None:
        """Go on with the reads since `from_us` as the open visit; it closes when there are none."""
        first = bisect_left(self.times_us, from_us)
        self.seen = len(self.times_us) - first
        self.visit_us = self.times_us[first] if self.seen else NEVER
        self.course = self.leg = self.vote = None
        self.course_seen = 0

    def pause(self) -> None:
        """All reads until now are told; what comes before the tag falls silent goes on with the visit."""
        self.visit_us = NEVER
        self.seen = self.thinning = 0
        self.course = self.leg = self.vote = None
        self.course_seen = 0

    def close(self) -> None:
        """The visit is over; its reads, and what was told, stay as what is known of the tag until it is back."""
        self.pause()

    def begin_anew(self) -> None:
        """The clock was set back: no time that is known of the tag means anything any more."""
        self.close()
        self.times_us, self.signals = array("q"), array("q")
        self.last_us = self.outside_us = self.inside_us = self.crossed_us = self.lingers_us = self.rest_us = NEVER
        self.spans = self.told = ()

    def _open(self, seen_at_us: int, gate: GateSettings) -> None:
        away_us = seen_at_us - self.last_us
        if away_us > gate.hold_us:
            self.told = ()
            if away_us > gate.linger_us or self.rest_us == self.crossed_us:
                self.rest_us = seen_at_us
        self.visit_us = seen_at_us
        self.prune(seen_at_us - gate.longest_visit_us)

    def prune(self, before_us: int) -> None:
        """Forget reads older than that."""
        if self.times_us and self.times_us[0] < before_us:
            first = bisect_left(self.times_us, before_us)
            self.times_us, self.signals = self.times_us[first:], self.signals[first:]

    def _thin(self, gate: GateSettings) -> int:
        """Keep every other read of the visit, and again until there is room; what came before it goes first."""
        self.prune(self.visit_us)
        gone = 0
        while len(self.times_us) > gate.most_reads and self.thinning < 32:
            self.thinning += 1
            kept = [i for i, at in enumerate(self.times_us) if _survives(at, self.thinning)] or [0]
            gone += len(self.times_us) - len(kept)
            self.times_us = array("q", (self.times_us[i] for i in kept))
            self.signals = array("q", (self.signals[i] for i in kept))
        return gone


def _survives(seen_at_us: int, thinning: int) -> bool:
    # Whether a read is kept must depend on the read alone, or its place in a report would matter: the
    # top bits of its time, scattered by Knuth's multiplicative hash, are zero once in 2**thinning.
    scattered = (seen_at_us * 2_654_435_761) & 0xFFFF_FFFF
    return scattered >> (32 - thinning) == 0
