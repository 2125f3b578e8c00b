"""One gate's reads → its passages. Pure: it is fed reads and told the time, in the readers' clock.

Order. Reads wait `reorder_s` in a small heap and are then taken in time order, so the same reads give
the same passages in any chunking and in any order within that tolerance. Time only moves by reads and
by `advance`. Between reads, deadlines and the ticks of the anchor scan fall due, also in order of time.

Who decides. A visit closes when its tag has been silent for the gap; then its own course (verdict.py), the
group (group.py), the instant at which many tags changed sides (anchor.py) and the photo-eyes
(photo_eye.py) are heard, in this order. A mature anchor decides about sparse tags while they are still
being read, and the end of a photo-eye's break about those that passed.

Replays. A read older than the tolerance turns the gate's clock back to it: a reader that was cut off
hands over what it buffered, or begins again some seconds earlier. Its reads join the visits they belong
to. A read that falls into a visit already decided changes nothing (`replayed`): one visit never makes
two movements.

Parked tags. A visit longer than `longest_visit_s` is judged every half of that while it lasts. Until the
tag has been silent for the gap, each verdict without a crossing is told once, and none after a crossing;
a crossing only when the crossing before it went the other way. A tag seen from one side only (it cannot
have passed) or that rests here is told once until it has been away for `linger_s`. The rest is counted
(`repeated`). So a pallet that stands in the gate all day makes one `stayed`, not four thousand, and a shelf
beside it no flood.

What a visit's end means is provisional by nature: a tag that turns back after it was told makes an `in`
and later an `out`, which books it in and out again, net zero.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from heapq import heappop, heappush
from typing import Final

from edge.readings import Direction, Passage, Sighting
from edge.recognition.anchor import Anchor
from edge.recognition.columns import Reads
from edge.recognition.course import Course, follow
from edge.recognition.crowd import Crowd
from edge.recognition.gate import US, GateSettings
from edge.recognition.group import Vote, after_rest, hear, poll, reach_us, vote_of
from edge.recognition.intake import EYE, Intake, Waiting
from edge.recognition.passage import passage_of
from edge.recognition.photo_eye import PhotoEyes, watch
from edge.recognition.track import FAR, NEVER, Track
from edge.recognition.tracks import Tracks
from edge.recognition.verdict import CROSSINGS, Verdict, glance, judge

LOOK_SHARE: Final = 2  # a leg is looked at again when its reads have grown by half
TICK_US: Final = 1_000_000  # how often legs are looked at and anchors sought while both sides see tags
VOTES_FOR_US: Final = 10_000_000  # how long a closed visit has a say
MOST_VOTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Provisional:
    """A crossing that is seen but not told yet: the tag may still turn back. It moves nothing."""

    epc: str
    direction: Direction
    since_us: int


class GateRecognition:
    """From the reads of one gate to its passages. Holds no more than GateSettings allows."""

    def __init__(self, settings: GateSettings) -> None:
        self._gate = settings
        self._tracks = Tracks(settings)
        self._intake = Intake(settings)
        self._counters = self._intake.counters
        # Asked for with every read.
        self._reorder_us, self._replay_us = settings.reorder_us, settings.replay_us
        self._longest_us, self._reach_us = settings.longest_visit_us, reach_us(settings)
        self._crowd = Crowd(settings, self._tracks)
        self._eyes = PhotoEyes(settings)
        self._waiting: list[Waiting] = []  # a heap: what is younger than the tolerance
        self._clock_us: int | None = None
        self._tick_us = FAR  # the next tick; FAR while no tag is seen from both sides
        self._ticked_us = NEVER  # the newest tick that was
        self._votes: deque[tuple[str, Vote]] = deque(maxlen=MOST_VOTES)

    @property
    def clock_us(self) -> int | None:
        """How far time has come: the newest read or `advance`; None before the first read."""
        return self._clock_us

    @property
    def faults(self) -> dict[str, str]:
        """Counter → the first sighting that it counted, in words."""
        return self._intake.faults

    @property
    def tags_in_view(self) -> int:
        """Visits not closed yet."""
        return self._tracks.in_view

    @property
    def tags_known(self) -> int:
        """Tags in view, and those remembered for replays and lingering."""
        return len(self._tracks)

    @property
    def counters(self) -> dict[str, int]:
        """The counters by name; see RecognitionCounters."""
        self._counters.thinned = self._tracks.thinned
        self._counters.shed = self._tracks.shed
        return asdict(self._counters)

    def feed(self, sightings: Iterable[Sighting]) -> list[Passage]:
        """Take `sightings`; return the passages that their times make due, in the order of closing."""
        passages: list[Passage] = []
        for sighting in sightings:
            waiting = self._intake.taken(sighting)
            if waiting is None:
                continue
            at_us, clock_us = waiting[0], self._clock_us
            if clock_us is None or at_us >= clock_us:
                self._clock_us = at_us
            else:
                if clock_us - at_us > self._replay_us:
                    passages += self._begin_anew()
                self._note_older(at_us, clock_us)
            heappush(self._waiting, waiting)
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
        for track in self._tracks.between.values():
            self._look(track)
        for track in self._tracks.open_in_order():
            self._settle(track, self._clock_us or track.last_us, passages)
        return passages

    def provisional(self) -> list[Provisional]:
        """Crossings seen but not told yet, the oldest first; as of the last tick."""
        legs = [
            Provisional(track.epc, track.leg[0].direction, track.leg[1])
            for track in self._tracks.between.values()
            if track.leg is not None
        ]
        return sorted(legs, key=lambda one: (one.since_us, one.epc))

    def _begin_anew(self) -> list[Passage]:
        """The clock is set back by more than a replay: what was seen until now is over."""
        passages = self.flush()
        self._tracks.begin_anew()
        self._eyes.begin_anew()
        self._crowd.begin_anew()
        self._ticked_us = NEVER
        return passages

    # ── what comes in ───────────────────────────────────────────────────────────────────────────────

    def _note_older(self, seen_at_us: int, clock_us: int) -> None:
        """A read from before the newest one came: out of order, or time begins again there."""
        if seen_at_us >= clock_us - self._reorder_us:
            self._counters.out_of_order += 1
        else:
            self._counters.stepped_back += 1
            self._clock_us = seen_at_us

    def _take_due(self, passages: list[Passage]) -> None:
        """Take what no read within the tolerance can precede any more."""
        assert self._clock_us is not None  # noqa: S101 - both callers have set it
        horizon_us, waiting = self._clock_us - self._reorder_us, self._waiting
        while waiting and waiting[0][0] < horizon_us:
            self._take(heappop(waiting), passages)
        if horizon_us > self._tracks.first_deadline_us or horizon_us > self._tick_us:
            self._until(horizon_us, passages)

    def _take(self, waiting: tuple[int, str, int], passages: list[Passage]) -> None:
        at_us, epc, signal = waiting
        if at_us > self._tracks.first_deadline_us or at_us > self._tick_us:
            self._until(at_us, passages)
        if epc == EYE:
            self._note_eye(at_us, signal >> 1, bool(signal & 1), passages)
            return
        tracks = self._tracks
        track = tracks.find(epc)
        if track is None:
            track = tracks.begin(epc)
            if track is None:
                return
        else:
            if track.spans and track.is_decided(at_us):
                self._counters.replayed += 1
                return
            if at_us - track.visit_us >= self._longest_us and track.is_open:
                self._settle_long(track, at_us, passages)
        seen = track.seen
        tracks.add(track, at_us, signal)
        if self._tick_us == FAR and epc in tracks.between:
            self._tick_us = _next_tick(max(at_us, self._ticked_us))
        if at_us <= self._ticked_us and track.seen != seen:
            # News of a time that was looked at already. What is only heard again changes nothing.
            self._ticked_us = at_us
            self._tick_us = _next_tick(at_us)

    def _until(self, now_us: int, passages: list[Passage]) -> None:
        """Let the deadlines and ticks before `now_us` fall due, in their order."""
        while True:
            due_us, tick_us = self._tracks.first_deadline_us, self._tick_us
            if min(due_us, tick_us) >= now_us:
                return
            if due_us <= tick_us:
                silent = self._tracks.pop_silent()
                if silent is not None:
                    self._fall_silent(silent[1], silent[0], passages)
            else:
                self._tick(tick_us, passages)

    # ── visits ──────────────────────────────────────────────────────────────────────────────────────

    def _fall_silent(self, track: Track, due_us: int, passages: list[Passage]) -> None:
        if not track.is_open:
            self._tracks.close(track)
        else:
            self._settle(track, due_us, passages)

    def _settle(self, track: Track, at_us: int, passages: list[Passage]) -> None:
        """Decide and close the track's visit."""
        if self._is_trifle(track):
            self._counters.repeated += 1
            track.stayed += 1
            track.lingers_us = track.last_us
        else:
            visits = _split(track.visit_reads(), self._gate.hold_us)
            whole = sum(len(visit) for visit in visits)
            for number, visit in enumerate(visits):
                if number:
                    track.told = ()
                seen = len(visit) if not track.thinning else round(track.seen * len(visit) / whole)
                course = self._course_of(track, visit, seen)
                self._tell(track, *self._hear_others(track, course, at_us), at_us, passages)
        track.remember(track.visit_us, track.last_us + self._gate.hold_us, self._gate)
        self._tracks.close(track)

    def _settle_long(self, track: Track, at_us: int, passages: list[Passage]) -> None:
        """The visit became too long: decide on it, and go on with its later half unless it crossed."""
        visits = _split(track.visit_reads(), self._gate.hold_us)
        for number, visit in enumerate(visits, 1):
            is_newest = number == len(visits)
            if is_newest and len(visits) > 1 and at_us - visit.times_us[0] < self._gate.longest_visit_us:
                # Only an earlier visit that came late made it long: the newest one is open still.
                track.begin_at(int(visit.times_us[0]))
                return
            seen = len(visit) if not track.thinning else round(track.seen * len(visit) / max(1, len(visit)))
            course = follow(visit, seen, self._gate)
            told_of, verdict = self._hear_others(track, course, at_us)
            self._tell(track, told_of, verdict, at_us, passages)
            first_us, last_us = int(visit.times_us[0]), int(visit.times_us[-1])
            if not is_newest:
                track.told = ()
                track.remember(first_us, last_us + self._gate.hold_us, self._gate)
            elif verdict.crosses:
                track.remember(first_us, last_us, self._gate)
                self._tracks.suspend(track)
            else:
                # The window may have cut a crossing in two: judge its later half again with what follows.
                half_us = first_us + self._gate.longest_visit_us // 2
                track.remember(first_us, half_us - 1, self._gate)
                self._tracks.begin_at(track, half_us)
                track.prune(half_us - self._gate.longest_visit_us)

    def _course_of(self, track: Track, visit: Reads, seen: int) -> Course:
        """The visit's course, which the last look may have found already."""
        if track.course is not None and track.course_seen == track.seen:
            course = track.course[0]
            if course.seen == seen and len(course.reads) == len(visit):
                return course
        return follow(visit, seen, self._gate)

    def _is_trifle(self, track: Track) -> bool:
        """Whether nothing can come of the visit: too few reads, from one side, of a tag that lingers."""
        return (
            track.seen < self._gate.fewest_reads
            and track.epc not in self._tracks.between
            and track.lingers_us != NEVER
            and track.visit_us - track.lingers_us <= self._gate.linger_us
        )

    def _hear_others(self, track: Track, course: Course, at_us: int) -> tuple[Course, Verdict]:
        """The verdict on a visit that is over: its own course's, then the group's, anchors', eyes'.

        With the course that it is about: the visit's, or that of the reads around an anchor.
        """
        gate = self._gate
        own = judge(course, gate)
        verdict = own
        moved = course.stronger_db >= gate.stayed_rise_db and len(course.reads) >= gate.fewest_reads
        if moved and own.decided_by != "phase":
            rests = self._rests(track, course.crossed_at_us)
            mine = vote_of(own, course, rests)
            group = poll([*self._others(track, mine, at_us), mine], course.crossed_at_us, gate)
            verdict = hear(group, own, course, gate)
            if rests:
                verdict = after_rest(verdict, course, gate)
            self._votes.append((track.epc, mine))
        if not verdict.crosses and len(course.reads) < gate.dense_reads and track.epc in self._tracks.between:
            went = self._crowd.verdict_so_far(track, course)
            if went is not None:
                verdict, course = went[0], follow(went[1], len(went[1]), gate)
        if gate.eyes:
            verdict, is_contradicted = watch(self._eyes, verdict, course, gate)
            self._counters.eye_contradicted += is_contradicted
        return course, verdict

    def _rests(self, track: Track, at_us: int) -> bool:
        return at_us - track.rest_us >= self._gate.rest_s * US

    def _others(self, track: Track, mine: Vote, at_us: int) -> list[Vote]:
        """What the other tags around its time say, those still being read as of the last look.

        Tags that rest and tags that pass are asked apart: what passes moves the signal of what rests.
        """
        rests, epc = mine.rests, track.epc
        first_us, last_us = mine.at_us - self._reach_us, mine.at_us + self._reach_us
        while self._votes and abs(self._votes[0][1].at_us - mine.at_us) > VOTES_FOR_US:
            self._votes.popleft()
        votes = [
            vote
            for voter, vote in self._votes
            if first_us <= vote.at_us <= last_us and vote.rests is rests and voter != epc
        ]
        gone_us = at_us - self._gate.hold_us // 2
        for other in self._tracks.between.values():
            if other.seen > other.course_seen and other.last_us <= gone_us:
                self._look(other)
            vote = other.vote
            if vote is None or other is track:
                continue
            if first_us <= vote.at_us <= last_us and vote.rests is rests:
                votes.append(vote)
        return votes

    # ── telling ─────────────────────────────────────────────────────────────────────────────────────

    def _tell(self, track: Track, course: Course, verdict: Verdict, at_us: int, passages: list[Passage]) -> None:
        if verdict.direction is Direction.STAYED:
            self._counters.stayed += 1
        track.stayed += not verdict.crosses
        if not self._is_news(track, course, verdict):
            self._counters.repeated += 1
            return
        if verdict.crosses:
            track.went += 1
            track.crossed_us = track.rest_us = verdict.crossed_at_us or course.crossed_at_us
            self._counters.by_group += verdict.decided_by == "group"
            self._counters.by_anchor += verdict.decided_by == "anchor"
            self._counters.by_eye += verdict.decided_by == "photo-eye"
        eyes = self._eyes.seen(course.zero_us, int(course.reads.times_us[-1])) if self._gate.eyes else ()
        passages.append(passage_of(track.epc, course, verdict, at_us, self._gate, eyes))

    def _is_news(self, track: Track, course: Course, verdict: Verdict) -> bool:
        """Whether the tag was not told so already while it stood in the gate or lingered beside it."""
        told_crossings = [direction for direction in track.told if direction in CROSSINGS]
        if verdict.crosses:
            if told_crossings and told_crossings[-1] is verdict.direction:
                return False
            track.told = (verdict.direction,)
            return True
        lingers = False
        if 0 in (course.outside.reads, course.inside.reads) or self._rests(track, course.zero_us):
            before_us, track.lingers_us = track.lingers_us, int(course.reads.times_us[-1])
            lingers = before_us != NEVER and course.zero_us - before_us <= self._gate.linger_us
        if lingers or told_crossings or verdict.direction in track.told:
            return False
        track.told = (*track.told, verdict.direction)
        return True

    # ── the crowd ───────────────────────────────────────────────────────────────────────────────────

    def _tick(self, at_us: int, passages: list[Passage]) -> None:
        """See who crossed for now, and whether the crowd changed sides."""
        tracks = list(self._tracks.seen_by_both(at_us))
        self._tick_us = at_us + TICK_US if tracks else FAR
        self._ticked_us = at_us
        for track in tracks:
            if LOOK_SHARE * (track.seen - track.course_seen) > track.course_seen:
                self._look(track)
        for anchor in self._crowd.scan(tracks, at_us):
            self._use(anchor, tracks, at_us, passages)

    def _look(self, track: Track) -> None:
        """Bring the track's course and leg up to date."""
        if not track.is_open or track.seen == track.course_seen:
            return
        track.course_seen = track.seen
        track.course = track.leg = track.vote = None
        if min(track.outside_us, track.inside_us) < track.visit_us:
            return
        reads = track.visit_reads()
        if len(reads) < self._gate.fewest_reads:
            return
        course = follow(reads, track.seen if track.thinning else len(reads), self._gate)
        verdict = glance(course, self._gate)
        track.course = course, verdict
        if verdict.crosses:
            track.leg = verdict, course.crossed_at_us
        if course.stronger_db >= self._gate.stayed_rise_db:
            track.vote = vote_of(verdict, course, self._rests(track, course.crossed_at_us))

    def _use(self, anchor: Anchor, tracks: list[Track], at_us: int, passages: list[Passage]) -> None:
        """Let a mature anchor decide about every tag that was read too sparsely to decide alone."""
        for track in tracks:
            reads = self._crowd.around(track, anchor)
            if len(reads) >= self._gate.dense_reads:
                continue
            verdict = self._crowd.verdict(track, reads, anchor)
            if verdict is None:
                continue
            course = follow(reads, len(reads), self._gate)
            if self._gate.eyes:
                verdict, _ = watch(self._eyes, verdict, course, self._gate)
            if verdict.crosses:
                self._tell(track, course, verdict, at_us, passages)
                until_us = int(reads.times_us[-1])
                track.remember(course.zero_us, until_us, self._gate)
                if track.is_open and track.visit_us <= until_us:
                    self._tracks.begin_at(track, until_us + 1)

    # ── photo-eyes ──────────────────────────────────────────────────────────────────────────────────

    def _note_eye(self, at_us: int, port: int, is_broken: bool, passages: list[Passage]) -> None:
        ended = self._eyes.change(port, is_broken=is_broken, at_us=at_us)
        if ended is None or ended.direction is Direction.TURNED_BACK:
            return
        within_us = round(self._gate.eye_within_s * US)
        tracks = sorted(self._tracks.seen_by_both(at_us), key=lambda one: one.epc)
        for track in tracks:
            self._look(track)
        for track in tracks:
            if track.course is None or not track.is_open:
                continue
            course = track.course[0]
            own = judge(course, self._gate)
            if not ended.from_us - within_us <= course.crossed_at_us <= ended.until_us + within_us:
                continue
            if not self._eyes.is_one_passing(ended, track.visit_us):
                continue
            mine = vote_of(own, course, self._rests(track, course.crossed_at_us))
            votes = [*self._others(track, mine, at_us), mine]
            heard = hear(poll(votes, course.crossed_at_us, self._gate), own, course, self._gate)
            if mine.rests:
                heard = after_rest(heard, course, self._gate)
            verdict, _ = watch(self._eyes, heard, course, self._gate)
            if verdict.crosses:
                verdict = replace(verdict, reason=f"{verdict.reason}; the photo-eye cleared")
                self._tell(track, course, verdict, at_us, passages)
                self._votes.append((track.epc, mine))
                track.remember(track.visit_us, at_us, self._gate)
                self._tracks.suspend(track)


def _next_tick(after_us: int) -> int:
    return (after_us // TICK_US + 1) * TICK_US


def _split(reads: Reads, hold_us: int) -> list[Reads]:
    """The visits in `reads`: reads that came late may reveal a silence."""
    times_us = reads.times_us
    silences = (times_us[1:] - times_us[:-1] > hold_us).nonzero()[0].tolist()
    if not silences:
        return [reads]
    begins = [0, *(last + 1 for last in silences)]
    return [
        Reads(times_us[a:b], reads.signals[a:b]) for a, b in zip(begins, [*begins[1:], len(reads)], strict=True)
    ]
