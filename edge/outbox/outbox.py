"""The gateway's log: movements numbered 1, 2, 3 … on disk before the network hears of them.

In come observations, out go numbered movements as JSON, and `applied` from the cloud. What is promised:

- A number that `append` returned is on disk (SQLite, WAL, `synchronous=FULL`): kill -9 or a cut of power
  loses it no more.
- A number is never used twice. An *epoch* is a random id made at every opening; numbers start at 1 in
  each. A file rolled back to yesterday goes on under a new epoch, and what it still holds of an earlier
  epoch is delivered to its end under its own numbers. When the cloud claims more of the open epoch than
  was ever written (a machine image with its memory was rolled back), a new epoch begins at once.
- A movement is forgotten 72 hours after the cloud first said that it is applied, and only while it still
  says so: a cloud restored to an hour ago gets everything again. The hours are those during which the
  outbox was open, by a monotonic clock, so no wrong clock shortens them.
- An `applied` above an epoch's last number deletes nothing: it is an alarm.
- A full disk refuses (`OutboxFull`), keeps what is held and gives no number away.
- A damaged file is moved aside with its bytes, and every readable movement goes on (see salvage.py).

Errors are those of file.py. Calls are synchronous and come from one thread at a time (see on_thread.py).
"""

import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TextIO

from edge.outbox import salvage
from edge.outbox.file import OutboxError, OutboxFull, connect, lock_file, sync_folder, translated
from edge.outbox.ids import IdMaker
from edge.outbox.statements import statements
from protocols.wire.applied import Applied, EpochApplied
from protocols.wire.movement import MAX_BYTES, MovementObserved, encode_movement, evidence_raw

log = logging.getLogger(__name__)

RETENTION_S = 72 * 3600  # how long a movement is kept after it was first told applied: three days to restore in
TOLD_STEP_S = 60  # what is told within one minute is forgotten together, at the minute's end
FORGET_AT_MOST = 5_000  # movements a call: some 50 ms, so that appending never waits long behind it
MOST_BYTES = MAX_BYTES // 2  # of one movement: a larger one could not be sent among others


@dataclass(frozen=True, slots=True)
class Clock:
    """wall_us: µs since 1970-01-01 UTC, for stamps; monotonic_s: seconds that never go back, for spans."""

    wall_us: Callable[[], int] = lambda: time.time_ns() // 1000
    monotonic_s: Callable[[], float] = time.monotonic


@dataclass(frozen=True, slots=True)
class NewMovement:
    """An observation that has no number yet; fields as in protocols.wire.movement.MovementObserved."""

    occurred_at_us: int
    kind: str
    gate: str
    epc: str
    direction: str
    confidence: float = 1.0
    qty_micro: int | None = None
    evidence: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive movements first … last as JSON.

    oldest   oldest number from which on nothing is missing up to `first`; see EpochState
    is_full  a limit was reached: waiting would not add to it
    """

    epoch: str
    first: int
    last: int
    oldest: int
    end: int | None
    movements: list[bytes]
    is_full: bool


@dataclass(frozen=True, slots=True)
class EpochState:
    """One epoch held.

    last     last number given
    oldest   the oldest number held without a break up to `applied + 1`; above `applied + 1` when that one
             is held no more, and then the next that is, or `last + 1`
    applied  how far the cloud says it has applied the epoch; head: its chain head then
    end      last number of an epoch that will never grow again; None while it is open
    stopped  why the cloud applies no more of it; None while all is well
    """

    epoch: str
    last: int
    oldest: int
    applied: int
    head: str
    end: int | None
    stopped: str | None


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something in an `applied` that cannot be: what it said, and what the outbox knows."""

    epoch: str
    text: str


@dataclass(slots=True)
class OutboxCounters:
    """refused: movements not taken, the disk being full; alarms: impossible claims of the cloud;
    salvaged: movements taken over from a damaged file."""

    refused: int = 0
    alarms: int = 0
    salvaged: int = 0


@dataclass(slots=True)
class _Epoch:
    """What the file says of one epoch. runs: the numbers held, as unbroken [first, last], ascending."""

    epoch: str
    last: int = 0
    applied: int = 0
    head: str = ""
    stopped: str | None = None
    runs: list[list[int]] = field(default_factory=list)
    claimed: int | None = None  # the impossible `applied` that was last alarmed about

    @property
    def key(self) -> bytes:
        return bytes.fromhex(self.epoch)

    def oldest_before(self, wanted: int) -> int:
        """See EpochState.oldest; `wanted` stands for `applied + 1`."""
        for first, last in self.runs:
            if wanted <= last + 1:
                # A run that ends just below `wanted` counts only at the log's end: there nothing is missing.
                if wanted == last + 1 and last != self.last:
                    continue
                return first
        return self.last + 1


class Outbox:
    """One open outbox file. `open` it, and `close` it."""

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: TextIO, clock: Clock) -> None:
        self.path = path
        self.counters = OutboxCounters()
        self._connection = connection
        self._lock = lock
        self._clock = clock
        self._sql = statements()
        self._ids = IdMaker()
        self._opened_s = clock.monotonic_s()
        self._incarnation = 0
        self._held_before_s = 0.0
        self._epochs: dict[str, _Epoch] = {}
        self._current = self._begin_epoch()
        self._told_full = False  # that `applied` cannot be stored is said once, not every second

    @classmethod
    def open(cls, path: Path, *, clock: Clock | None = None) -> Self:
        """Open the outbox at `path`, make it if there is none, and begin a new epoch.

        Raises OutboxInUse, ForeignFile, OutboxFull (making or salvaging it needs room), OutboxBroken.
        """
        clock = clock or Clock()
        path.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as on_failure:
            lock = on_failure.enter_context(lock_file(path))
            salvaged = salvage.repair(path, clock.wall_us())
            with translated():
                connection = on_failure.enter_context(closing(connect(path)))
            sync_folder(path)
            outbox = cls(path, connection, lock, clock)
            outbox.counters.salvaged = salvaged
            outbox._load()
            on_failure.pop_all()
        return outbox

    def _load(self) -> None:
        ((self._incarnation, self._held_before_s),) = self._read("read_gateway", ())
        earlier = {epoch.epoch: epoch for epoch in self._read_epochs()}
        self._epochs = {**earlier, **self._epochs}

    def close(self) -> None:
        """Close the file; the epoch ends with it. Held time is written as far as there is room."""
        try:
            with self._transaction():
                pass
        except OutboxError as error:
            log.warning("outbox closed without its held time", extra={"path": self.path, "error": str(error)})
        self._connection.close()
        self._lock.close()

    @property
    def epoch(self) -> str:
        """The open epoch's id, 32 hex digits."""
        return self._current.epoch

    @property
    def last(self) -> int:
        """The open epoch's last number; 0 before the first."""
        return self._current.last

    @property
    def incarnation(self) -> int:
        """How often the cloud was restored, as it last said."""
        return self._incarnation

    # ── writing ─────────────────────────────────────────────────────────────────────────────────────────

    def append(self, observations: Sequence[NewMovement]) -> list[int]:
        """Give numbers to `observations` and put them on disk, all or none. Returns the numbers.

        Raises OutboxFull or OutboxBroken, and then nothing was taken.
        """
        if not observations:
            return []
        epoch = self._current
        now_us = self._clock.wall_us()
        rows = [
            (epoch.key, seq, now_us, encode_movement(self._observed(seq, observation, now_us)))
            for seq, observation in enumerate(observations, epoch.last + 1)
        ]
        if longest := max((row for row in rows if len(row[3]) > MOST_BYTES), default=None):
            raise ValueError(f"expected at most {MOST_BYTES} bytes a movement, got {len(longest[3])}")
        last = epoch.last + len(rows)
        try:
            with self._transaction() as connection:
                connection.execute(self._sql["write_last"], (epoch.key, last))
                connection.executemany(self._sql["write_movement"], rows)
        except OutboxFull:
            self.counters.refused += len(rows)
            raise
        seqs = list(range(epoch.last + 1, last + 1))
        epoch.last = last
        if epoch.runs:
            epoch.runs[-1][1] = last
        else:
            epoch.runs.append([seqs[0], last])
        return seqs

    def _observed(self, seq: int, observation: NewMovement, now_us: int) -> MovementObserved:
        return MovementObserved(
            seq=seq,
            id=self._ids.make(now_us),
            occurred_at_us=observation.occurred_at_us,
            kind=observation.kind,
            gate=observation.gate,
            epc=observation.epc,
            direction=observation.direction,
            confidence=observation.confidence,
            qty_micro=observation.qty_micro,
            evidence=evidence_raw(observation.evidence),
        )

    # ── reading ─────────────────────────────────────────────────────────────────────────────────────────

    def next_batch(self, epoch: str, after_seq: int, max_movements: int, max_bytes: int) -> Batch | None:
        """The next consecutive movements of `epoch` above `after_seq`; None when there are none.

        At most `max_movements`, and at most `max_bytes` with a comma each, but always at least one.
        `first` is above `after_seq + 1` only when numbers are missing.
        """
        held = self._epochs[epoch]
        rows = self._read("read_movements", (held.key, after_seq, max_movements))
        movements: list[bytes] = []
        first = last = room = 0
        is_full = len(rows) == max_movements
        for seq, body in rows:
            room += len(body) + 1
            if movements and seq != last + 1:
                break
            if movements and room > max_bytes:
                is_full = True
                break
            first, last = first or seq, seq
            movements.append(body)
        if not movements:
            return None
        return Batch(epoch, first, last, held.oldest_before(first), self._end(held), movements, is_full)

    def epochs(self) -> list[EpochState]:
        """Every epoch held, in the order of opening; the open one is the last."""
        return [
            EpochState(
                epoch=held.epoch,
                last=held.last,
                oldest=held.oldest_before(held.applied + 1),
                applied=held.applied,
                head=held.head,
                end=self._end(held),
                stopped=held.stopped,
            )
            for held in self._epochs.values()
        ]

    def oldest_unapplied_at_us(self) -> int | None:
        """When the oldest movement that is not applied yet was written; None when there is none."""
        oldest: list[int] = []
        for held in self._epochs.values():
            waiting = [max(first, held.applied + 1) for first, last in held.runs if last > held.applied]
            if waiting:
                oldest += [at_us for (at_us,) in self._read("read_written_at", (held.key, waiting[0]))]
        return min(oldest, default=None)

    def _end(self, held: _Epoch) -> int | None:
        return None if held is self._current else held.last

    # ── what the cloud says ─────────────────────────────────────────────────────────────────────────────

    def record_applied(self, message: Applied) -> list[Alarm]:
        """Believe `message`, also when it is lower than before, except for what cannot be: that alarms.

        After the cloud's incarnation changed, an epoch that it does not name counts as not applied at
        all: it may have begun after the backup that the cloud was restored from. Raises OutboxBroken.
        """
        alarms = []
        if message.incarnation < self._incarnation:
            was = self._incarnation
            alarms.append(Alarm("", f"expected an incarnation of at least {was}, got {message.incarnation}"))
        believed = {}
        for claim in message.epochs:
            held = self._epochs.get(claim.epoch)
            if held is None:
                continue  # finished and forgotten here, or of a file that is gone: nothing to move
            if 0 <= claim.applied <= held.last:
                believed[claim.epoch] = claim
            elif held.claimed != claim.applied:
                held.claimed = claim.applied
                alarms.append(
                    Alarm(held.epoch, f"expected 0 ≤ applied ≤ {held.last}, got {claim.applied}; nothing changed")
                )
        if message.incarnation != self._incarnation:
            named = {claim.epoch for claim in message.epochs}
            for epoch in self._epochs.keys() - named:
                believed[epoch] = EpochApplied(epoch=epoch, applied=0)
        self._write_applied(message.incarnation, believed)
        self.counters.alarms += len(alarms)
        for alarm in alarms:
            log.error("impossible applied", extra={"epoch": alarm.epoch, "problem": alarm.text})
        if (self._current.claimed or 0) > self._current.last:
            self._current = self._begin_epoch()
            log.error("a new epoch begins: of the old one the cloud has numbers that were never written here")
        return alarms

    def _write_applied(self, incarnation: int, believed: dict[str, EpochApplied]) -> None:
        changed = {
            epoch: claim
            for epoch, claim in believed.items()
            if (claim.applied, claim.head, claim.stopped)
            != (self._epochs[epoch].applied, self._epochs[epoch].head, self._epochs[epoch].stopped)
        }
        if changed or incarnation != self._incarnation:
            try:
                self._store_applied(incarnation, changed)
            except OutboxFull as error:
                # Believed all the same: what is not stored of it is only sent and held longer than need be.
                if not self._told_full:
                    log.error("applied cannot be stored", extra={"path": self.path, "error": str(error)})
                self._told_full = True
            else:
                self._told_full = False
        self._incarnation = incarnation
        for epoch, claim in changed.items():
            held = self._epochs[epoch]
            held.applied, held.head, held.stopped = claim.applied, claim.head, claim.stopped
        for epoch in believed:
            self._epochs[epoch].claimed = None

    def _store_applied(self, incarnation: int, changed: dict[str, EpochApplied]) -> None:
        with self._transaction(incarnation) as connection:
            for epoch, claim in changed.items():
                held = self._epochs[epoch]
                connection.execute(
                    self._sql["write_applied"], (claim.applied, claim.head, claim.stopped, held.key)
                )
                self._write_told(held, claim.applied)

    def _write_told(self, held: _Epoch, applied: int) -> None:
        """Note when numbers up to `applied` were first told, rounded up to the end of the minute."""
        told_s = (int(self._held_s()) // TOLD_STEP_S + 1) * TOLD_STEP_S
        newest = self._connection.execute(self._sql["newest_told"], (held.key,)).fetchone()
        if newest is None or (applied > newest[0] and told_s > newest[1]):
            if applied:
                self._connection.execute(self._sql["write_told"], (held.key, applied, told_s))
        elif applied > newest[0]:
            self._connection.execute(self._sql["move_told"], (applied, held.key, newest[0]))

    def forget(self) -> int:
        """Forget movements told applied 72 hours ago, at most FORGET_AT_MOST; returns how many.

        Call it again at once while it returns that many. Epochs that are over disappear with their last
        movement. Raises OutboxFull or OutboxBroken.
        """
        before_s = int(self._held_s()) - RETENTION_S
        for held in list(self._epochs.values()):
            ((told,),) = self._read("told_before", (held.key, before_s))
            until = min(told, held.applied)
            if held.runs and held.runs[0][0] <= until:
                return self._forget_until(held, min(until, held.runs[0][0] + FORGET_AT_MOST - 1), before_s)
            if held is not self._current and not held.runs and held.applied >= held.last:
                with self._transaction() as connection:
                    connection.execute(self._sql["forget_epoch"], (held.key,))
                    connection.execute(self._sql["forget_all_told"], (held.key,))
                del self._epochs[held.epoch]
        return 0

    def _forget_until(self, held: _Epoch, until: int, before_s: int) -> int:
        with self._transaction() as connection:
            count = connection.execute(self._sql["forget_movements"], (held.key, until)).rowcount
            connection.execute(self._sql["forget_told"], (held.key, before_s, until))
        held.runs = [[max(first, until + 1), last] for first, last in held.runs if last > until]
        return count

    # ── the file ────────────────────────────────────────────────────────────────────────────────────────

    def _held_s(self) -> float:
        return self._held_before_s + self._clock.monotonic_s() - self._opened_s

    def _begin_epoch(self) -> _Epoch:
        epoch = _Epoch(os.urandom(16).hex())
        self._epochs[epoch.epoch] = epoch
        return epoch

    def _read_epochs(self) -> Iterator[_Epoch]:
        for key, last, applied, head, stopped in self._read("list_epochs", ()):
            runs = [list(run) for run in self._read("list_runs", (key,))]
            yield _Epoch(key.hex(), last, applied, head, stopped, runs)

    def _read(self, name: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        with translated():
            return self._connection.execute(self._sql[name], parameters).fetchall()

    @contextmanager
    def _transaction(self, incarnation: int | None = None) -> Iterator[sqlite3.Connection]:
        """All or nothing, on disk when it returns; the gateway's own row is written with it."""
        told = self._incarnation if incarnation is None else incarnation
        with translated():
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._connection.execute(self._sql["write_gateway"], (told, self._held_s()))
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # SQLite has already rolled back after some errors
                    self._connection.execute("ROLLBACK")
                raise
