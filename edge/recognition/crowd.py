"""The crowd at a gate: anchors as they come up, which of them decide, and what they say about one tag.

An anchor is found while its later reads still come in. As long as it is young it may only help a visit that
is over; when no higher place can follow it any more it decides once about everyone. What is found later at
the same place is an echo. How many tags change sides together by chance is learned while no anchor stands.
"""

from array import array
from collections import deque
from typing import Final

import numpy as np

from edge.readings import Direction
from edge.recognition.anchor import (
    FEWEST_READS,
    MOST_READS_SCANNED,
    SAME_ANCHOR_US,
    Anchor,
    Past,
    around_anchor,
    log_odds,
    probability,
    scan,
)
from edge.recognition.columns import Reads
from edge.recognition.course import Course
from edge.recognition.gate import US, GateSettings
from edge.recognition.track import NEVER, Track
from edge.recognition.tracks import Tracks
from edge.recognition.verdict import Verdict

MATURE_US: Final = 1_000_000  # after an anchor's last reads: no higher place can follow next to it
NEXT_TO_US: Final = 2_000_000  # of an anchor: single tags cross so far from it
FRESH_US: Final = 1_000_000  # what is found later is an echo of an anchor that was used
LEARN_US: Final = 60_000_000  # until a gate knows how its field flickers
FLICKER_GAIN: Final = 0.04  # of a scan: the usual is that of the last half minute
OFTEN: Final = 5  # visits without a crossing for each with one: such a tag lives here …
RESIDENT_READS: Final = 5  # … and this many reads around an anchor are asked for; fewer come by reflections
MOST_CONFIDENCE: Final = 0.9  # of a crossing that only the crowd's instant tells


class Crowd:
    """The anchors of one gate."""

    def __init__(self, gate: GateSettings, tracks: Tracks) -> None:
        self._gate = gate
        self._tracks = tracks
        self._pending: list[Anchor] = []  # as of the last scan
        self._used: deque[Anchor] = deque(maxlen=16)  # that have decided
        self._flicker = 0.0  # how many tags usually change sides together by chance
        self._began_us: int | None = None  # first scan …
        self._learned_us = NEVER  # … and the newest: what a replay brings again teaches nothing

    def begin_anew(self) -> None:
        """The clock was set back: no anchor's time means anything any more. How the field flickers is still so."""
        self._pending.clear()
        self._used.clear()
        self._began_us, self._learned_us = None, NEVER

    def scan(self, tracks: list[Track], at_us: int) -> list[Anchor]:
        """Look at the last seconds of `tracks`, which both sides saw; the anchors that decide now."""
        window_us = 2 * round((self._gate.anchor_before_s + self._gate.anchor_after_s) * US)
        times_us, signals = array("q"), array("q")
        counts = [track.put_newest(MOST_READS_SCANNED, at_us - window_us, times_us, signals) for track in tracks]
        reads = Reads(np.frombuffer(times_us, np.int64), np.frombuffer(signals, np.int64))
        self._pending, together = scan(reads, counts, at_us, self._usual_flicker(at_us), self._gate)
        if not self._pending and at_us > self._learned_us:
            self._flicker += FLICKER_GAIN * (together - self._flicker)
        self._learned_us = max(self._learned_us, at_us)
        mature_us = at_us - round(self._gate.anchor_after_s * US) - MATURE_US
        ready = [
            anchor
            for anchor in self._pending
            if mature_us - FRESH_US <= anchor.at_us <= mature_us and not self._was_used(anchor)
        ]
        self._used.extend(ready)
        return ready

    def verdict_so_far(self, track: Track, course: Course) -> tuple[Verdict, Reads] | None:
        """What the crowd says of a visit that is over before the anchor is mature, and of which reads."""
        for anchor in self._pending:
            if course.zero_us - US <= anchor.at_us <= int(course.reads.times_us[-1]) + US:
                reads = self.around(track, anchor)
                verdict = self.verdict(track, reads, anchor)
                if verdict is not None:
                    return verdict, reads
        return None

    def around(self, track: Track, anchor: Anchor) -> Reads:
        """The track's reads around the anchor, without those before its last crossing."""
        reads = around_anchor(track.all_reads(), anchor.at_us, self._gate)
        return reads.between(track.crossed_us + 1, track.last_us + 1)

    def verdict(self, track: Track, reads: Reads, anchor: Anchor) -> Verdict | None:
        """A crossing with the crowd, when that is likely enough; None also when it crossed then already."""
        inside = int(reads.inside.sum())
        is_resident = track.stayed > OFTEN * (track.went + 1)
        fewest = RESIDENT_READS if is_resident else FEWEST_READS
        if len(reads) < fewest or not 0 < inside < len(reads) or not _changes_sides(reads, anchor):
            return None
        if track.crossed_us >= anchor.at_us - SAME_ANCHOR_US:
            return None
        first_us = int(reads.times_us[0])
        from_us = max(track.crossed_us + 1, first_us - self._gate.longest_visit_us)
        past = Past(track.all_reads().between(from_us, first_us), track.went, track.stayed)
        odds = log_odds(reads, past, anchor, anchor.mean_dbm, self._gate)
        if odds < self._gate.anchor_nats:
            return None
        confidence = MOST_CONFIDENCE * probability(odds)
        reason = "changed sides with the others"
        return Verdict(anchor.direction, reason, confidence, "anchor", anchor.at_us, anchor.group)

    def _usual_flicker(self, at_us: int) -> float:
        """How many tags change sides together by chance; a share of all tags until that is known."""
        if self._began_us is None:
            self._began_us = at_us
        unknown = min(1.0, max(0.0, 1 - (at_us - self._began_us) / LEARN_US))
        return max(
            self._flicker, unknown * self._gate.anchor_share * len(self._tracks) / self._gate.anchor_flicker
        )

    def _was_used(self, anchor: Anchor) -> bool:
        return any(
            used.direction is anchor.direction and abs(used.at_us - anchor.at_us) < SAME_ANCHOR_US
            for used in self._used
        )


def _changes_sides(reads: Reads, anchor: Anchor) -> bool:
    """Whether it was heard by the side it came from before the instant, and by the other after it."""
    came = ~reads.inside if anchor.direction is Direction.IN else reads.inside
    times_us = reads.times_us
    is_before, is_after = times_us < anchor.at_us + NEXT_TO_US, times_us > anchor.at_us - NEXT_TO_US
    return bool((came & is_before).any() and (~came & is_after).any())
