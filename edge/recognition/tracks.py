"""The tags of one gate: in view, and remembered for a while after; the bound on memory lives here.

Every open visit has exactly one deadline: when its tag will have been silent for the hold. It is brought
up to date only when it comes to the front, so that a read costs no heap operation.
"""

from collections.abc import Iterator
from heapq import heappop, heappush

from edge.recognition.columns import INSIDE_BIT
from edge.recognition.gate import US, GateSettings
from edge.recognition.track import FAR, NEVER, Track

GONE_US = 3_000_000  # after the last read that an anchor can still look at


class Tracks:
    """All tags that the gate knows. `shed` and `thinned` count reads; `first_deadline_us` is FAR when none waits."""

    def __init__(self, gate: GateSettings) -> None:
        self._gate = gate
        self._hold_us = gate.hold_us
        self._by_epc: dict[str, Track] = {}
        self._remembered: dict[str, None] = {}  # without an open visit, the longest decided first
        self._deadlines: list[tuple[int, str]] = []
        self._opposite_us = round((gate.anchor_before_s + gate.anchor_after_s) * US)
        self.between: dict[str, Track] = {}  # those that both sides saw lately
        self.first_deadline_us = FAR
        self.in_view = 0
        self.shed = 0
        self.thinned = 0

    def __len__(self) -> int:
        """Tags known: in view and remembered."""
        return len(self._by_epc)

    def find(self, epc: str) -> Track | None:
        return self._by_epc.get(epc)

    def begin(self, epc: str) -> Track | None:
        """The track of a tag that is not known; None, and its read is shed, when no more tags fit."""
        if len(self._by_epc) >= self._gate.most_tags and not self._forget_one():
            self.shed += 1
            return None
        track = self._by_epc[epc] = Track(epc)
        return track

    def add(self, track: Track, seen_at_us: int, signal: int) -> None:
        """Put a read to its tag's open visit, or open one."""
        was_open = track.visit_us != NEVER
        thinned = track.add(seen_at_us, signal, self._gate)
        if thinned:
            self.thinned += thinned
        if not was_open and track.visit_us != NEVER:
            self.in_view += 1
            self._remembered.pop(track.epc, None)
            if not track.has_deadline:
                self._wait_for(track, seen_at_us + self._hold_us)
        other_us = track.outside_us if signal & INSIDE_BIT else track.inside_us
        if -self._opposite_us <= seen_at_us - other_us <= self._opposite_us:
            self.between[track.epc] = track

    def pop_silent(self) -> tuple[int, Track] | None:
        """The track of the first deadline when it was silent until then, with that time; else nothing."""
        due_us, epc = heappop(self._deadlines)
        self.first_deadline_us = self._deadlines[0][0] if self._deadlines else FAR
        track = self._by_epc.get(epc)
        if track is None:
            return None
        silent_us = track.last_us + self._hold_us
        if silent_us > due_us:
            self._wait_for(track, silent_us)
            return None
        track.has_deadline = False
        return due_us, track

    def begin_at(self, track: Track, from_us: int) -> None:
        """Go on with the track's reads since `from_us` as its open visit, or with none."""
        was_open = track.is_open
        track.begin_at(from_us)
        self.in_view += track.is_open - was_open

    def suspend(self, track: Track) -> None:
        """Everything read of the track is told; what comes before its deadline goes on with the visit."""
        if track.is_open:
            self.in_view -= 1
            track.pause()

    def close(self, track: Track) -> None:
        """The track's visit is over."""
        if track.is_open:
            self.in_view -= 1
        track.close()
        self._remembered.pop(track.epc, None)
        self._remembered[track.epc] = None
        memory_us = round(self._gate.remember_s * US)
        while abs(track.decided_us - self._by_epc[oldest := next(iter(self._remembered))].decided_us) > memory_us:
            self._forget(oldest)  # also one decided in a future that a clock set back

    def begin_anew(self) -> None:
        """The clock was set back and every visit is closed: what is known of tags without a time remains."""
        self.between.clear()
        for epc, track in self._by_epc.items():
            track.begin_anew()
            self._remembered.setdefault(epc)

    def open_in_order(self) -> list[Track]:
        """Those with an open visit, in the order of first sight; their deadlines are forgotten."""
        self._deadlines.clear()
        self.first_deadline_us = FAR
        for track in self._by_epc.values():
            track.has_deadline = False
        tracks = [track for track in self._by_epc.values() if track.is_open]
        return sorted(tracks, key=lambda track: (track.visit_us, track.epc))

    def seen_by_both(self, now_us: int) -> Iterator[Track]:
        """Those that both sides saw lately and that are not long gone."""
        for epc, track in list(self.between.items()):
            is_gone = now_us - track.last_us > self._opposite_us + GONE_US
            if is_gone or abs(track.outside_us - track.inside_us) > self._opposite_us:
                del self.between[epc]
            else:
                yield track

    def _wait_for(self, track: Track, until_us: int) -> None:
        track.has_deadline = True
        heappush(self._deadlines, (until_us, track.epc))
        self.first_deadline_us = min(self.first_deadline_us, until_us)

    def _forget_one(self) -> bool:
        for epc in self._remembered:
            self._forget(epc)
            return True
        return False

    def _forget(self, epc: str) -> None:
        del self._remembered[epc], self._by_epc[epc]
        self.between.pop(epc, None)
