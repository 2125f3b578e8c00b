"""What is due when: happenings of a source against the reader's clock, without any I/O.

In: an iterator of sightings and, between them, changed inputs (which count as sightings here), the time
(monotonic seconds, passed in), what was acknowledged, when the listener was there. Out: sightings that are
due, each with the stamp that the reader's clock gives it.

**The reader's clock.** Before the play it is the wall clock. The first sighting is stamped with the
moment at which the play began; each later one keeps its distance to the first as recorded. So at pace N
the reader's clock *runs N times as fast* as ours while it plays: whoever listens works in recorded time
and sees the gaps and durations that were recorded. After the last sighting it goes on at true pace.

**Nobody listens.** `wait`: the world and its clock stand still until someone is back; stamps before and
after the hole join without a gap, and on return the last `rewind_s` of recorded time are given out again
with the stamps they had, together with all that was never acknowledged. A listener that died with
undecided visits in its memory sees them again whole; one that did not die sees some reads twice, under
the same stamps. `go_on`: the world does not care; what is due meanwhile is missed, and counted.

**Memory** is bounded by what was not acknowledged (`WINDOW` sightings, then nothing more is due until
some are) and by `rewind_s` of the past.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from firmware_bridges.virtual_reader.sighting import Happening

# Sightings given out beyond the last acknowledged one. At 500 reads a second, a busy gate, this is 40 s;
# for a play at a thousand times the true pace it is what keeps it from running away from its listener.
WINDOW = 20_000

WhileDisconnected = Literal["wait", "go_on"]


@dataclass(frozen=True, slots=True)
class Due:
    """A sighting whose moment has come; `number` counts from 1, `stamp_us` is UTC by the reader's clock."""

    number: int
    stamp_us: int
    seen: Happening


class Play:
    """One playing of one source. Times passed in are monotonic seconds and never go back."""

    def __init__(
        self,
        source: Iterable[Happening],
        *,
        pace: float = 1.0,
        start_after_s: float = 0.0,
        rewind_s: float = 10.0,
        while_disconnected: WhileDisconnected = "wait",
    ) -> None:
        if not pace > 0 or start_after_s < 0 or rewind_s < 0:
            raise ValueError(
                "expected a pace above 0 and no negative seconds, "
                f"got pace {pace}, start after {start_after_s} s, rewind {rewind_s} s"
            )
        self._source = iter(source)
        self._pace = pace
        self._start_after_us = round(start_after_s * pace * 1_000_000)  # on the reader's clock
        self._rewind_us = round(rewind_s * 1_000_000)
        self._goes_on = while_disconnected == "go_on"
        self._next: Due | None = None
        self._numbered = 0
        self._zero_us: int | None = None  # what turns a sighting's own time into a stamp; None before the first
        self._stamp_us = 0  # the reader's clock when it was last set …
        self._set_at_s = 0.0  # … which was then
        self._rate = 0.0  # and how fast it has run since
        self._history: deque[Due] = deque()  # given out, and perhaps to be given out again
        self._again: deque[Due] = deque()
        self._last_given = 0
        self._acknowledged = 0
        self._begun = False
        self._exhausted = False
        self.missed = 0

    @property
    def begun(self) -> bool:
        """Whether the play has started."""
        return self._begun

    @property
    def is_over(self) -> bool:
        """Whether every sighting was given out; they may still lack their acknowledgement."""
        return self._exhausted and not self._again

    @property
    def is_acknowledged(self) -> bool:
        """Whether everything was given out and acknowledged."""
        return self.is_over and self._acknowledged >= self._last_given

    @property
    def to_be_given_again(self) -> Iterable[Due]:
        """What the listener may not have digested, oldest first."""
        return self._again

    @property
    def last_given(self) -> int:
        """Number of the last sighting given out; 0 before the first."""
        return self._last_given

    def clock_us(self, now_s: float, wall_us: int) -> int:
        """The reader's clock, UTC; before the play it is the wall clock."""
        return self._reads_us(now_s) if self._begun else wall_us

    def resume(self, now_s: float, wall_us: int) -> None:
        """Someone listens: begin, or go on."""
        if not self._begun:
            self._begun = True
            self._stamp_us = wall_us
            self._set_at_s = now_s
            self._fetch()
        self._run(now_s, self._pace if not self._exhausted else 1.0)

    def pause(self, now_s: float) -> None:
        """Nobody listens, though nobody was lost: a stopped ROSpec."""
        if self._begun and not self._goes_on:
            self._run(now_s, 0.0)

    def lose(self, now_s: float) -> None:
        """The listener is gone: what it may not have digested will be given out again."""
        if not self._begun:
            return
        if self._goes_on:
            self._again.clear()
            self._history.clear()
            self._acknowledged = self._last_given
            return
        self._run(now_s, 0.0)
        since_us = self._position_us(self._stamp_us) - self._rewind_us
        held = {due.number: due for due in (*self._history, *self._again)}
        self._again = deque(
            held[number]
            for number in sorted(held)
            if number > self._acknowledged or held[number].stamp_us >= since_us
        )
        self._history.clear()

    def due(self, now_s: float, at_most: int) -> list[Due]:
        """The sightings whose moment has come, oldest first, the ones given out again before all others."""
        clock_us = self._reads_us(now_s)
        given: list[Due] = []
        while self._again and len(given) < at_most:
            given.append(self._again.popleft())
        while (
            not self._again
            and self._next is not None
            and self._next.stamp_us <= clock_us
            and len(given) < at_most
            and self._next.number - self._acknowledged <= WINDOW
        ):
            given.append(self._next)
            self._last_given = self._next.number
            self._fetch()
        self._history.extend(given)
        self._forget(clock_us)
        if self._exhausted and self._rate == self._pace:
            self._run(now_s, 1.0)
        return given

    def miss(self, now_s: float, note: Callable[[Happening], None] = lambda _: None) -> None:
        """With `go_on`: let pass what was due while nobody listened, and `note` it."""
        clock_us = self._reads_us(now_s)
        while self._goes_on and self._next is not None and self._next.stamp_us <= clock_us:
            self.missed += 1
            note(self._next.seen)
            self._last_given = self._acknowledged = self._next.number
            self._fetch()

    def due_in_s(self, now_s: float) -> float | None:
        """Seconds until the next sighting is due; None when only an acknowledgement, or nothing, can help."""
        if self._again:
            return 0.0
        if self._next is None or self._next.number - self._acknowledged > WINDOW or self._rate == 0.0:
            return None
        return max(0.0, (self._next.stamp_us - self._reads_us(now_s)) / 1_000_000 / self._rate)

    def acknowledge(self, number: int) -> None:
        """The listener has digested everything up to `number`."""
        self._acknowledged = max(self._acknowledged, number)

    def _reads_us(self, now_s: float) -> int:
        return self._stamp_us + round((now_s - self._set_at_s) * self._rate * 1_000_000)

    def _position_us(self, clock_us: int) -> int:
        """How far the play is: at its clock, or behind it where the listener is slower than the pace."""
        return clock_us if self._next is None else min(clock_us, self._next.stamp_us)

    def _run(self, now_s: float, rate: float) -> None:
        self._stamp_us = self._reads_us(now_s)
        self._set_at_s = now_s
        self._rate = rate

    def _fetch(self) -> None:
        seen = next(self._source, None)
        if seen is None:
            self._next = None
            self._exhausted = True
            return
        if self._zero_us is None:
            self._zero_us = self._stamp_us + self._start_after_us - seen.at_us
        self._numbered += 1
        self._next = Due(self._numbered, self._zero_us + seen.at_us, seen)

    def _forget(self, clock_us: int) -> None:
        since_us = self._position_us(clock_us) - self._rewind_us
        history = self._history
        while history and history[0].number <= self._acknowledged and history[0].stamp_us < since_us:
            history.popleft()
