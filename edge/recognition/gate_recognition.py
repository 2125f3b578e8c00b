"""One gate's reads → its passages. Pure: it is fed reads and told the time, in the readers' clock.

Order. Reads wait `reorder_s` in a small heap and are then taken in time order, so the same reads give
the same passages in any chunking and in any order within that tolerance. Time only moves by reads and
by `advance`.

Replays. A read older than the tolerance turns the gate's clock back to it: a reader that was cut off
hands over what it buffered, or begins again some seconds earlier. Its reads join the visits they belong
to. A read that falls into a visit already decided changes nothing (`replayed`): one visit never makes
two movements.

Parked tags. A visit longer than `longest_visit_s` is judged every half of that while it lasts. Until the
tag has been silent for the hold, each verdict without a crossing is reported once, and a crossing only
when the crossing before it went the other way. A tag seen from one side only (it cannot have passed)
is reported once until it has been away for `linger_s`. The rest is counted (`repeated`). So a pallet that
stands in the gate all day makes one `stayed`, not four thousand, and a shelf beside it no flood.

What a visit's end means is provisional by nature: a tag that turns back after more than the hold makes an
`in` and later an `out`, which books it in and out again, net zero.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from heapq import heappop, heappush
from math import isfinite

from edge.readings import Direction, Passage, TagRead
from edge.recognition.gate import GateSettings
from edge.recognition.passage import decide
from edge.recognition.visit import OpenVisits, SidedRead, Visit

_CROSSINGS = (Direction.IN, Direction.OUT)


@dataclass(slots=True)
class RecognitionCounters:
    """What happened to reads, since the program's start.

    unknown_antenna  of an antenna that belongs to no side of this gate
    unreadable       with a signal strength that is no number
    out_of_order     older than the newest, within tolerance: no effect
    stepped_back     times the clock went back by more than the tolerance
    replayed         of visits already decided
    thinned          beyond the most reads kept of one visit
    shed             of tags beyond the most in view
    stayed           passages that say `stayed` (they are not logged)
    repeated         verdicts not reported again while a tag stood in the gate or lingered beside it
    """

    unknown_antenna: int = 0
    unreadable: int = 0
    out_of_order: int = 0
    stepped_back: int = 0
    replayed: int = 0
    thinned: int = 0
    shed: int = 0
    stayed: int = 0
    repeated: int = 0


@dataclass(slots=True)
class _Known:
    """What is remembered of a tag after a verdict.

    spans       (first, until) of its decided visits, for as long as a replay may bring them again
    reported    what it was reported as since it was last silent
    one_side_us when it was last seen from one side only
    decided_us  the end of its newest span
    """

    spans: list[tuple[int, int]] = field(default_factory=list)
    reported: list[Direction] = field(default_factory=list)
    one_side_us: int | None = None
    decided_us: int = 0


class GateRecognition:
    """From the reads of one gate to its passages. Holds no more than GateSettings allows."""

    def __init__(self, settings: GateSettings) -> None:
        self._gate = settings
        self._antennas = settings.inside | settings.outside
        self._visits = OpenVisits(settings)
        self._waiting: list[SidedRead] = []  # a heap: reads younger than the tolerance
        self._clock_us: int | None = None
        self._known: dict[str, _Known] = {}  # in order of decision: the oldest stand first
        self._counters = RecognitionCounters()

    @property
    def clock_us(self) -> int | None:
        """How far time has come: the newest read or `advance`; None before the first read."""
        return self._clock_us

    @property
    def tags_in_view(self) -> int:
        """Visits not closed yet."""
        return len(self._visits)

    @property
    def counters(self) -> dict[str, int]:
        """The counters by name; see RecognitionCounters."""
        self._counters.thinned = self._visits.thinned_reads
        self._counters.shed = self._visits.shed_tags
        return asdict(self._counters)

    def feed(self, reads: Iterable[TagRead]) -> list[Passage]:
        """Take `reads`; return the passages that their times make due, in the order of closing."""
        passages: list[Passage] = []
        for read in reads:
            if read.antenna not in self._antennas:
                self._counters.unknown_antenna += 1
            elif not isfinite(read.rssi_dbm):
                self._counters.unreadable += 1
            else:
                self._note_time(read.seen_at_us)
                heappush(self._waiting, SidedRead(read.seen_at_us, read.epc, read.antenna, read.rssi_dbm))
                self._take_due(passages)
        return passages

    def advance(self, now_us: int) -> list[Passage]:
        """Time has come to `now_us` (readers' clock) without reads; return the passages now due."""
        passages: list[Passage] = []
        if self._clock_us is not None and now_us > self._clock_us:
            self._clock_us = now_us
            self._take_due(passages)
        return passages

    def flush(self) -> list[Passage]:
        """Close every visit, as when the gateway stops: what was read until now is decided as it stands."""
        passages: list[Passage] = []
        while self._waiting:
            self._take(heappop(self._waiting), passages)
        for visit in self._visits.close_all():
            self._settle(visit, passages)
        return passages

    def _note_time(self, seen_at_us: int) -> None:
        if self._clock_us is None or seen_at_us >= self._clock_us:
            self._clock_us = seen_at_us
        elif seen_at_us >= self._clock_us - self._gate.reorder_us:
            self._counters.out_of_order += 1
        else:
            self._counters.stepped_back += 1
            self._clock_us = seen_at_us

    def _take_due(self, passages: list[Passage]) -> None:
        """Take what no read within the tolerance can precede any more."""
        assert self._clock_us is not None  # noqa: S101 - both callers have set it
        horizon_us = self._clock_us - self._gate.reorder_us
        while self._waiting and self._waiting[0].seen_at_us < horizon_us:
            self._take(heappop(self._waiting), passages)
        for visit in self._visits.silent_before(horizon_us):
            self._settle(visit, passages)

    def _take(self, read: SidedRead, passages: list[Passage]) -> None:
        for visit in self._visits.silent_before(read.seen_at_us):
            self._settle(visit, passages)
        if self._is_decided(read):
            self._counters.replayed += 1
            return
        for visit in self._visits.full(read):
            self._settle(visit, passages)
        self._visits.add(read)

    def _is_decided(self, read: SidedRead) -> bool:
        known = self._known.get(read.epc)
        return known is not None and any(first <= read.seen_at_us <= until for first, until in known.spans)

    def _settle(self, visit: Visit, passages: list[Passage]) -> None:
        passage = decide(visit, self._gate)
        if passage.direction is Direction.STAYED:
            self._counters.stayed += 1
        known = self._known.pop(visit.epc, None) or _Known()
        if self._is_news(passage, known):
            passages.append(passage)
        else:
            self._counters.repeated += 1
        if not visit.by_length:
            known.reported.clear()
            self._remember(known, visit, visit.last_us + self._gate.hold_us)
        elif passage.direction in _CROSSINGS:
            self._remember(known, visit, visit.last_us)
        else:
            # The window may have cut a crossing in two: judge its later half again with what follows.
            half_us = visit.first_us + self._gate.longest_visit_us // 2
            self._remember(known, visit, half_us - 1)
            self._visits.carry(visit, half_us)

    def _is_news(self, passage: Passage, known: _Known) -> bool:
        """Whether the tag was not reported so already while it stood in the gate or lingered beside it."""
        if passage.direction in _CROSSINGS:
            crossings = [direction for direction in known.reported if direction in _CROSSINGS]
            if crossings and crossings[-1] is passage.direction:
                return False
            known.reported[:] = [*(set(known.reported) - set(_CROSSINGS)), passage.direction]
            return True
        lingers = False
        if 0 in (passage.evidence.reads_outside, passage.evidence.reads_inside):
            before_us, known.one_side_us = known.one_side_us, passage.last_seen_us
            lingers = before_us is not None and passage.first_seen_us - before_us <= self._gate.linger_us
        if lingers or passage.direction in known.reported:
            return False
        known.reported.append(passage.direction)
        return True

    def _remember(self, known: _Known, visit: Visit, until_us: int) -> None:
        """Keep the visit's span, and forget tags decided long ago or in a future that a clock set back."""
        memory_us = max(self._gate.replay_us, self._gate.linger_us)
        known.spans = [span for span in known.spans if until_us - span[1] <= self._gate.replay_us]
        known.spans.append((visit.first_us, until_us))
        known.decided_us = until_us
        self._known[visit.epc] = known
        for epc in list(self._known):
            oldest_us = self._known[epc].decided_us
            if abs(until_us - oldest_us) <= memory_us and len(self._known) <= self._gate.most_tags:
                break
            del self._known[epc]
