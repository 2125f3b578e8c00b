"""The reader's clock, put right by the gateway's: from stamps of a reader to microseconds UTC.

In: stamps of a reader (UTC, or its uptime where it has no UTC) and the gateway's time at which they
arrived, wall clock and monotonic. Out: when each read happened, on the gateway's clock.

**Measured once, then held.** A reader's first word on every connection, the ConnectionAttemptEvent,
carries its clock and is sent at once: the gateway's time of arrival minus that stamp is the offset, with
an error of the way through the network, milliseconds. (Reads would measure worse: they wait in reports.)
An offset of at most `TRUSTED_WITHIN_US` is not applied: both clocks are then set by NTP as well as they
will be, and a constant correction is better than one that changes by a network delay at every connection.
The same tolerance holds an offset in use over later connections.

Within a connection the offset never follows the reads. A shift by a constant keeps their order and their
distances; and a reader whose clock runs at another speed (our virtual one at ten times the true pace)
stays readable in its own time.

**Unless a clock steps.** A stamp more than `STEP_US` away from where the reads before it were is wrong by
itself, or the reader's clock has been set (NTP after booting in 1970). Until `STEP_READS` stamps in a row
agree with each other, their reads are dated by arrival and counted; then the offset is measured anew.
When the gateway's own wall clock is set, the offset moves along. Steps under an hour within a connection
are not seen before the next one: they are the same as reports that a reader held back.
"""

from dataclasses import dataclass

TRUSTED_WITHIN_US = 5_000_000
STEP_US = 3_600_000_000
STEP_READS = 20  # about a fiftieth of a second of a busy gate, some seconds of a quiet one


@dataclass(frozen=True, slots=True)
class Arrival:
    """When something arrived, by the gateway's clocks: microseconds UTC, and monotonic microseconds."""

    wall_us: int
    monotonic_us: int


class ReaderClock:
    """One reader's clock, for as long as the gateway runs. Fed by one thread; `now_us` may be asked by any."""

    def __init__(self) -> None:
        self.offset_us = 0
        self.without_time = 0
        self.wrong_time = 0
        self.steps = 0
        self._measured_us: int | None = None  # arrival minus stamp; None until a stamp has told
        self._gateway_us = 0  # wall minus monotonic clock of the gateway when that was measured
        self._newest: tuple[int, Arrival] | None = None  # newest stamp of this connection
        self._stray_us = 0  # last stamp that did not fit …
        self._strays = 0  # … and how many in a row agreed with it

    def connected(self, stamp_us: int | None, arrival: Arrival) -> None:
        """A connection begins with this stamp of the reader; None when it said none."""
        self._newest = None
        self._measured_us = None
        self._strays = 0
        if stamp_us is not None:
            self._measure(stamp_us, arrival)

    def seen_at_us(self, stamp_us: int | None, arrival: Arrival) -> int:
        """When a read with this stamp happened, microseconds UTC; by its arrival where the stamp is no use."""
        if stamp_us is None:
            self.without_time += 1
            return self.now_us(arrival)
        if self._measured_us is None or self._newest is None:
            self._measure(stamp_us, arrival)
        else:
            self._follow_gateway(arrival)
            if not self._fits(stamp_us, arrival) and not self._has_stepped(stamp_us, arrival):
                self.wrong_time += 1
                return self.now_us(arrival)
        if self._newest is None or stamp_us > self._newest[0]:
            self._newest = (stamp_us, arrival)
        return stamp_us + self.offset_us

    def now_us(self, now: Arrival) -> int:
        """The time at the gate: the newest stamp, put right, and what has passed since it arrived."""
        newest = self._newest
        if newest is None:
            return now.wall_us
        stamp_us, arrival = newest
        return stamp_us + self.offset_us + max(0, now.monotonic_us - arrival.monotonic_us)

    def _fits(self, stamp_us: int, arrival: Arrival) -> bool:
        assert self._newest is not None  # noqa: S101  the caller has looked
        newest_us, before = self._newest
        passed_us = max(0, arrival.monotonic_us - before.monotonic_us)
        if newest_us - STEP_US <= stamp_us <= newest_us + passed_us + STEP_US:
            self._strays = 0
            return True
        return False

    def _has_stepped(self, stamp_us: int, arrival: Arrival) -> bool:
        agrees = self._strays > 0 and abs(stamp_us - self._stray_us) <= STEP_US
        self._strays = self._strays + 1 if agrees else 1
        self._stray_us = stamp_us
        if self._strays < STEP_READS:
            return False
        self.steps += 1
        self._measure(stamp_us, arrival)
        return True

    def _measure(self, stamp_us: int, arrival: Arrival) -> None:
        self._strays = 0
        self._newest = (stamp_us, arrival)
        self._gateway_us = arrival.wall_us - arrival.monotonic_us
        self._use(arrival.wall_us - stamp_us)

    def _follow_gateway(self, arrival: Arrival) -> None:
        gateway_us = arrival.wall_us - arrival.monotonic_us
        stepped_us = gateway_us - self._gateway_us
        if abs(stepped_us) > TRUSTED_WITHIN_US:
            assert self._measured_us is not None  # noqa: S101  the caller has looked
            self._gateway_us = gateway_us
            self._use(self._measured_us + stepped_us)

    def _use(self, measured_us: int) -> None:
        self._measured_us = measured_us
        if abs(measured_us - self.offset_us) > TRUSTED_WITHIN_US:
            self.offset_us = 0 if abs(measured_us) <= TRUSTED_WITHIN_US else measured_us
