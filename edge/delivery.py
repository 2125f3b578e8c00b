"""What is sent when: the delivery of one epoch's movements, without a network. Time is passed in.

The cloud's `applied` alone decides what has arrived. A message is *in flight* until `applied` covers it.

    applied advances          what it covers is no longer in flight
    applied stays or falls    the cloud asks for `applied + 1` again: everything in flight is sent again, the
                              same bytes, or from `applied + 1` anew when that is no longer in flight; not
                              before `again_wait_s`, for an `applied` that crossed our messages on its way is
                              followed by one that advances, and at most once in `again_every_s`
    silence                   the first message alone is sent again, and nothing else until `applied`
                              advances: after 10 s, and after twice as long each time, up to 5 min
    stopped                   nothing is sent until the cloud says that it is stopped no more
    reconnected               everything from `applied + 1` anew

The same bytes matter: the cloud asks once more for what it cannot read, and puts it aside when exactly the
same comes again.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """Every wait of the delivery, in seconds."""

    gather_s: float = 0.2  # while something is in flight; ARCHITECTURE.md "The uplink"
    resend_first_s: float = 10.0  # the same; long enough for a worker's lease to move
    resend_longest_s: float = 300.0  # the same; a fleet must not hammer a cloud that comes back
    again_every_s: float = 1.0  # the cloud answers gaps once a second
    again_wait_s: float = 0.3  # a commit takes some 50 ms, and 250 ms in the worst hundredth


@dataclass(frozen=True, slots=True)
class Sent:
    """A message in flight: its numbers and its bytes."""

    first: int
    last: int
    payload: bytes


class EpochDelivery:
    """How far one epoch is sent and applied. `last` is the epoch's last number, kept up to date by the owner."""

    def __init__(self, epoch: str, applied: int, last: int, timing: Timing) -> None:
        self.epoch = epoch
        self.applied = applied
        self.last = last
        self.cursor = applied  # last number sent
        self.in_flight: deque[Sent] = deque()
        self.stopped: str | None = None
        self.gather_until_s: float | None = None
        self._timing = timing
        self._is_probing = False  # silence: the first message only
        self._wait_s = timing.resend_first_s
        self._resend_at_s: float | None = None
        self._again_at_s: float | None = None
        self._sent_again_s = float("-inf")

    @property
    def has_more(self) -> bool:
        """Whether there are movements that may be sent now."""
        return self.cursor < self.last and self.stopped is None and not self._is_probing

    @property
    def is_settled(self) -> bool:
        """Whether nothing is left to wait for."""
        return self.applied >= self.last or self.stopped is not None

    def due_s(self) -> float | None:
        """When `due` next has something to send again; None: not before something happens."""
        return min((at_s for at_s in (self._resend_at_s, self._again_at_s) if at_s is not None), default=None)

    def begin(self) -> None:
        """A connection was made: what was in flight on the last one counts as lost."""
        self._forget_sent()
        self._wait_s = self._timing.resend_first_s
        self._again_at_s = None
        self._is_probing = False

    def was_sent(self, sent: Sent, now_s: float) -> None:
        """`sent` has gone out for the first time."""
        if not self.in_flight:
            self._resend_at_s = now_s + self._wait_s
        self.in_flight.append(sent)
        self.cursor = sent.last
        self.gather_until_s = None

    def gathers(self, now_s: float) -> bool:
        """Whether a message that is not full should wait for more movements."""
        if not self.in_flight:
            return False
        if self.gather_until_s is None:
            self.gather_until_s = now_s + self._timing.gather_s
        return now_s < self.gather_until_s

    def heard(self, applied: int, now_s: float) -> None:
        """The cloud said how far it is."""
        if applied > self.applied:
            self._advance(applied, now_s)
            return
        fell, self.applied = applied < self.applied, applied
        if self._again_at_s is None and (self.in_flight or fell):
            wait_s = self._timing.again_wait_s if self.in_flight else 0.0
            self._again_at_s = max(now_s + wait_s, self._sent_again_s + self._timing.again_every_s)

    def heard_stopped(self, reason: str | None) -> bool:
        """The cloud said that it applies no more of this epoch, or (None) that it does; whether that is new."""
        is_new = reason != self.stopped
        self.stopped = reason
        if is_new:
            self.begin()
        return is_new

    def due(self, now_s: float) -> Iterator[Sent]:
        """Messages to send again now."""
        if self._again_at_s is not None and now_s >= self._again_at_s:
            self._again_at_s = None
            self._sent_again_s = now_s
            if self.in_flight and self.in_flight[0].first <= self.applied + 1:
                self._resend_at_s = now_s + self._wait_s
                yield from tuple(self.in_flight)
            else:
                # Also after a silence: the message that alone was sent again is not what the cloud waits for.
                self._forget_sent()
                self._is_probing = False
        elif self._resend_at_s is not None and now_s >= self._resend_at_s:
            first = self.in_flight[0]
            self._forget_sent()
            self._is_probing = True
            self.in_flight.append(first)
            self.cursor = first.last
            self._wait_s = min(2 * self._wait_s, self._timing.resend_longest_s)
            self._resend_at_s = now_s + self._wait_s
            yield first

    def _advance(self, applied: int, now_s: float) -> None:
        self.applied = applied
        while self.in_flight and self.in_flight[0].last <= applied:
            self.in_flight.popleft()
        self.cursor = max(self.cursor, applied)
        self._is_probing = False
        self._again_at_s = None
        self._wait_s = self._timing.resend_first_s
        self._resend_at_s = now_s + self._wait_s if self.in_flight else None

    def _forget_sent(self) -> None:
        self.in_flight.clear()
        self.cursor = self.applied
        self._resend_at_s = None
        self.gather_until_s = None
