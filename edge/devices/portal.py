"""An RFID portal: sllurp 3.0.5 behind an adapter that outlives its faults.

In: the address and settings of an LLRP reader. Out: TagReads and, where photo-eyes are wired to the reader's
inputs, EyeChanges (`reads`), whether the reader is there, and counters. `run` connects, watches and connects
again until it is cancelled.

What sllurp gives us is its socket thread, its decoding and its state machine (`handleMessage`), one fresh
client for every connection. What we do not leave to it, and why:

* **Cutting the stream into messages.** It keeps the half of a message that was cut off and prepends it to
  the next connection; an unknown message type makes it drop the rest of what it received, and it then
  reads lengths out of the middle of messages. Here every message is handed over on its own: one that
  cannot be read is counted and costs nothing else, and a length that cannot be ends the connection.
* **Noticing the end.** An error while decoding ends its thread without any callback, and `is_alive` stays
  true while nothing arrives. Here the thread's end is an event, and so is silence: more than `SILENCE`
  keepalive intervals without a whole message.
* **Connecting again.** It would wait 60 s each time. See stay_connected.py.
* **The queue.** Callbacks run in its thread. Here the thread decodes a report, puts its reads into a
  bounded queue and wakes the loop once per report; it never waits for us. When the queue is full the
  oldest reads are shed and counted: newer ones say more about where a tag is going. Changes of photo-eyes
  stand between the reads as the reader told them and are not shed for reads.
* **Asking how the inputs stand.** It writes GET_READER_CONFIG with two fields exchanged, which only a
  request for everything survives, and asks before it switches the inputs on. Here they are asked for when
  the inventory runs and changes are being told already, so that none falls between question and events.

Times are the reader's, put right by reader_clock.py; what is wrong with single reads is sorted out in
tag_reports.py, what the inputs mean in photo_eyes.py.
"""

import asyncio
import logging
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from sllurp.llrp import LLRPClient, LLRPMessage, LLRPReaderClient, LLRPReaderConfig, LLRPReaderState
from sllurp.llrp_errors import LLRPError, ReaderConfigurationError
from sllurp.llrp_proto import Param_struct

from edge.devices import tag_layouts
from edge.devices.photo_eyes import PhotoEye, PhotoEyes
from edge.devices.reader_clock import Arrival, ReaderClock
from edge.devices.stay_connected import BackOff, DeviceLost, stay_connected
from edge.devices.tag_reports import EpcData, TagReports
from edge.readings import EyeChange, Sighting, TagRead
from protocols.llrp import PORT, FrameSplitter, MessageType, message

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S: Final = 5.0  # for TCP, and for a send that the reader does not take
HANDSHAKE_TIMEOUT_S: Final = 10.0  # from the connection to a running inventory; real readers need 1 to 3 s
POLITE_TIMEOUT_S: Final = 1.0  # for the reader to stop its inventory when we leave
JOIN_TIMEOUT_S: Final = 2.0  # for sllurp's thread to end after its socket was closed
# Keepalive intervals of silence after which a reader counts as gone: two lost or late ones are survived.
SILENCE: Final = 2.5
# While the reader is away, time at the gate stands still for so long: reads that it still holds, or sees
# in the next seconds, belong to visits that began before it went. Longer than three tries (1, 2 and 4 s).
AWAY_GRACE_S: Final = 10.0
# Changes of photo-eyes that wait for us at most: an eye that flickers ten times a second is heard for as
# long as the queue of reads lasts, and one with a loose wire costs a megabyte.
QUEUE_EYE_CHANGES: Final = 10_000
# The message id of our own question; sllurp counts its messages from 1, and in years does not get there.
EYES_QUESTION_ID: Final = 0xFFFF_FFFF
GPI_PORT_CURRENT_STATE: Final = 9  # RequestedData of GET_READER_CONFIG (LLRP 1.0.1, section 16.1.21)

# What sllurp's decoders raise on bytes that are not what they should be; none of it is caught in there.
_UNREADABLE: Final = (
    LLRPError,
    struct.error,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RecursionError,
)


def _decode_epc_data(data: bytes, _: str | None = None) -> tuple[EpcData, str]:
    if len(data) < 2:
        raise LLRPError(f"expected at least 2 bytes of EPCData, got {len(data)}")
    return EpcData(data), ""


# sllurp skips the number of bits that EPCData opens with, so that 90 bits in 12 bytes look like 96. Its
# table of decoders is there to be added to.
Param_struct["EPC"]["decode"] = _decode_epc_data
tag_layouts.install(EpcData)


class UnreadableMessage(ValueError):
    """A whole message that sllurp cannot decode; `is_unknown` when it has no decoder for its type."""

    def __init__(self, reason: str, is_unknown: bool) -> None:
        super().__init__(reason)
        self.is_unknown = is_unknown


def decode(whole: bytes) -> LLRPMessage:
    """One whole message of a reader, decoded by sllurp. Raises UnreadableMessage, and nothing else."""
    try:
        decoded = LLRPMessage(msgbytes=whole)
    except _UNREADABLE as error:
        where = f"{whole[:64].hex()} ({len(whole)} bytes)"
        raise UnreadableMessage(f"{error!r} in {where}", "Cannot find decoder" in str(error)) from error
    return decoded


@dataclass(frozen=True, slots=True)
class PortalSettings:
    """One reader and how it shall work.

    name             what we call it, in logs and counters
    antennas         1-based numbers that take part; reads of others are left out
    keepalive_s      how often the reader shall say that it lives; gone after 2.5 times that in silence
    queue_reads      reads that wait for us at most; at 1,000 reads/s, more than most readers do, 50 s
    tx_power_dbm     the reader's nearest power below; None: its highest
    session          Gen2 session. 0 lets a tag answer again at once, for the 24 reads a pass that deciding
                     a direction needs; 1 to 3 keep it quiet for a while
    tag_population   how many tags are expected in view at once
    mode             reader mode identifier; None leaves it to the reader
    tags_per_report  1: every sighting is reported on its own. More saves messages, but the reader then
                     sums up sightings of a tag, and its way through the gate is lost between them
    impinj           ask an Impinj reader for phase and for RSSI in 0.01 dB; others refuse
    eyes             photo-eyes on the reader's inputs; changes of other inputs are left out
    """

    name: str
    host: str
    port: int = PORT
    antennas: tuple[int, ...] = (1, 2, 3, 4)
    keepalive_s: float = 5.0
    queue_reads: int = 50_000
    tx_power_dbm: float | None = None
    session: int = 0
    tag_population: int = 32
    mode: int | None = None
    tags_per_report: int = 1
    impinj: bool = False
    eyes: tuple[PhotoEye, ...] = ()

    def __post_init__(self) -> None:
        if len({eye.port for eye in self.eyes}) < len(self.eyes):
            ports = sorted(eye.port for eye in self.eyes)
            raise ValueError(f"portal {self.name}: expected an input of its own for each photo-eye, got {ports}")
        if not self.antennas or min(self.antennas) < 1:
            raise ValueError(f"portal {self.name}: expected antennas from 1 on, got {self.antennas}")
        if not 0.001 <= self.keepalive_s <= 3600 or self.queue_reads < 1:
            raise ValueError(
                f"portal {self.name}: expected a keepalive of 0.001 to 3600 s and room for at least 1 read, "
                f"got {self.keepalive_s} s and {self.queue_reads}"
            )
        if not 0 <= self.session <= 3 or not 1 <= self.tags_per_report <= 0xFFFF:
            raise ValueError(
                f"portal {self.name}: expected session 0 to 3 and 1 to 65535 tags a report, "
                f"got {self.session} and {self.tags_per_report}"
            )


class ReadQueue:
    """Reads and eye changes on their way from sllurp's thread to the loop: bounded, the oldest shed first.

    Reads are shed for newer reads, eye changes for newer eye changes only: one change says more than all
    reads that a full queue lost. Both come out in the order in which they went in.
    """

    def __init__(self, most: int, most_eye_changes: int = QUEUE_EYE_CHANGES) -> None:
        self._most = most
        self._most_eye_changes = most_eye_changes
        self._waiting: deque[TagRead] = deque(maxlen=most)
        self._eye_changes: deque[tuple[int, EyeChange]] = deque()  # and how many reads came before, ever
        self._reads = 0  # that ever came
        self._time_us: int | None = None
        # Held for the length of one report only, on either side; the thread waits for nothing else of ours.
        self._lock = threading.Lock()
        self.shed = 0
        self.shed_eye_changes = 0

    def put(self, reads: list[TagRead]) -> None:
        """Add reads at the end; the oldest make room where there is none."""
        with self._lock:
            self.shed += max(0, len(self._waiting) + len(reads) - self._most)
            self._waiting.extend(reads)
            self._reads += len(reads)
            self._time_us = None

    def put_eye_change(self, change: EyeChange) -> None:
        """Add a change behind all reads that are there."""
        with self._lock:
            if len(self._eye_changes) >= self._most_eye_changes:
                self._eye_changes.popleft()
                self.shed_eye_changes += 1
            self._eye_changes.append((self._reads, change))
            self._time_us = None

    def take(self) -> list[Sighting]:
        """All that wait, oldest first."""
        with self._lock:
            reads, self._waiting = self._waiting, deque(maxlen=self._most)
            changes, self._eye_changes = self._eye_changes, deque()
            before = self._reads - len(reads)
        if not changes:
            return list(reads)
        taken: list[Sighting] = []
        for place, change in changes:
            while before < place:
                taken.append(reads.popleft())
                before += 1
            taken.append(change)
        return [*taken, *reads]

    def put_time(self, time_us: int) -> None:
        """Between what came before and after it: the time at the gate, while it is not older than a read."""
        with self._lock:
            self._time_us = time_us

    def take_time(self) -> tuple[bool, int | None]:
        """Whether nothing waits, and then the time that was put after the last of it, once."""
        with self._lock:
            if self._waiting or self._eye_changes:
                return False, None
            time_us, self._time_us = self._time_us, None
            return True, time_us


@dataclass(slots=True)
class _Counts:
    """What sllurp's thread counts; the loop only reads."""

    reports: int = 0
    reads: int = 0
    malformed_messages: int = 0
    unknown_messages: int = 0


class Portal:
    """One reader, from its address to TagReads and EyeChanges."""

    def __init__(
        self,
        settings: PortalSettings,
        on_change: Callable[[str, bool], None] | None = None,
        *,
        back_off: BackOff | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        wall_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self.settings = settings
        self.connected = False
        self.connections = 0
        self.queue = ReadQueue(settings.queue_reads)
        self.clock = ReaderClock()
        self.reports = TagReports(f"portal {settings.name}", settings.antennas, self.clock)
        self.eyes = PhotoEyes(f"portal {settings.name}", settings.eyes, self.clock)
        self.counts = _Counts()
        self._on_change = on_change
        self._back_off = back_off
        self._monotonic = monotonic
        self._wall_us = wall_us
        self._arrived = asyncio.Event()
        self._away_since_s: float | None = None
        self._was_away_s = 0.0  # how long the absence before this connection lasted
        self._newest: tuple[int, float] | None = None  # when something was seen last, and heard of, monotonic
        self._time: tuple[int, float] | None = None  # the time at the gate, and when it was so, monotonic

    @property
    def reconnects(self) -> int:
        """How often the reader came back."""
        return max(0, self.connections - 1)

    @property
    def shed(self) -> int:
        """Reads dropped because nobody took them in time."""
        return self.queue.shed

    @property
    def counters(self) -> dict[str, int]:
        """Everything counted since the program's start, by name."""
        return {
            "reports": self.counts.reports,
            "reads": self.counts.reads,
            "shed": self.queue.shed,
            "shed_eye_changes": self.queue.shed_eye_changes,
            "malformed_messages": self.counts.malformed_messages,
            "unknown_messages": self.counts.unknown_messages,
            "without_time": self.clock.without_time,
            "wrong_time": self.clock.wrong_time,
            "clock_steps": self.clock.steps,
            "reconnects": self.reconnects,
            **self.reports.counts,
            **self.eyes.counts,
        }

    async def run(self) -> None:
        """Stay connected until cancelled."""
        _quieten_sllurp()
        await stay_connected(
            f"portal {self.settings.name}",
            self._serve,
            self._note_change,
            back_off=self._back_off,
            monotonic=self._monotonic,
        )

    async def reads(self, timeout_s: float | None = None) -> list[Sighting]:
        """Wait until there are reads or eye changes and return all that wait, oldest first; none after
        `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    if taken := self.queue.take():
                        self._time = (taken[-1].seen_at_us, self._monotonic())
                        return taken
                    # Nothing can set it between `take` and here: the thread's wake-up runs in this loop.
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            return []

    def clock_us(self) -> int:
        """The time at the gate, microseconds UTC on the corrected reader clock: what visits end by.

        It belongs to what `reads` has handed out: the last of those reads, and what has passed since. It
        does not run ahead of reads that still wait, so that a reader's buffer, emptied in one go after a
        loss, is heard as slowly as it was filled; and it stands still for the first AWAY_GRACE_S of an
        absence of the reader. Before any word of the reader it is the gateway's clock.
        """
        now_s = self._monotonic()
        is_empty, told_us = self.queue.take_time()
        if told_us is not None:
            self._time = (told_us, now_s)
        if self._time is None:
            return self._wall_us()
        time_us, since_s = self._time
        if not is_empty:
            return time_us
        passed_s = now_s - since_s
        if self._away_since_s is not None:
            passed_s -= min(now_s - max(since_s, self._away_since_s), AWAY_GRACE_S)
        return time_us + round(max(0.0, passed_s) * 1_000_000)

    def arrival(self) -> Arrival:
        """This moment by the gateway's clocks."""
        return Arrival(self._wall_us(), round(self._monotonic() * 1_000_000))

    def note_newest(self, seen_at_us: int) -> None:
        """This was seen last. Called by sllurp's thread."""
        self._newest = (seen_at_us, self._monotonic())

    def time_at_gate_us(self) -> int:
        """The date of what the reader says without one. Called by sllurp's thread.

        It is the time of what was seen last, and what has passed since; but the first AWAY_GRACE_S of an
        absence do not pass, for the reader may have kept what it saw meanwhile and hand it over next.
        """
        if self._newest is None:
            return self.clock.now_us(self.arrival())
        newest_us, heard_s = self._newest
        now_s = self._monotonic()
        away_since_s = self._away_since_s
        away_s = self._was_away_s if away_since_s is None else now_s - max(heard_s, away_since_s)
        return newest_us + round(max(0.0, now_s - heard_s - min(away_s, AWAY_GRACE_S)) * 1_000_000)

    def _note_change(self, _: str, connected: bool) -> None:
        self.connected = connected
        self.connections += connected
        now_s = self._monotonic()
        if connected and self._away_since_s is not None:
            self._was_away_s = now_s - self._away_since_s
        self._away_since_s = None if connected else now_s
        if self._on_change is not None:
            self._on_change(self.settings.name, connected)

    async def _serve(self, connected: Callable[[], None]) -> None:
        connection = _Connection(self, asyncio.get_running_loop(), self._arrived, self._monotonic)
        try:
            await connection.open()
            connected()
            await connection.watch()
        except asyncio.CancelledError:
            await connection.leave_politely()
            raise
        finally:
            await connection.close()


class _Connection:
    """One connection to the reader. Methods with `_on_` run in sllurp's thread, all others in the loop."""

    def __init__(
        self,
        portal: Portal,
        loop: asyncio.AbstractEventLoop,
        arrived: asyncio.Event,
        monotonic: Callable[[], float],
    ) -> None:
        settings = portal.settings
        self._portal = portal
        self._loop = loop
        self._arrived = arrived
        self._monotonic = monotonic
        self._client = _Client(settings, self._on_message, self._on_unreadable, self._on_over, self._on_state)
        self._thread = threading.Thread(target=self._on_thread_start, name=f"sllurp-{settings.name}", daemon=True)
        self._connecting: asyncio.Future[None] | None = None
        self._up: asyncio.Future[None] = loop.create_future()
        self._over: asyncio.Future[str] = loop.create_future()
        self._heard_at_s = monotonic()

    async def open(self) -> None:
        """Connect and wait until the inventory runs. Raises DeviceLost."""
        settings = self._portal.settings
        self._portal.reports.forget_named()
        self._portal.eyes.forget_named()
        # sllurp connects blocking; the shield lets `close` wait for it when we are cancelled meanwhile.
        self._connecting = asyncio.ensure_future(asyncio.to_thread(self._client.connect, start_main_loop=False))
        try:
            await asyncio.shield(self._connecting)
        except OSError as error:
            raise DeviceLost(f"{settings.host}:{settings.port} cannot be reached, {error}") from error
        self._heard_at_s = self._monotonic()
        self._thread.start()
        try:
            async with asyncio.timeout(HANDSHAKE_TIMEOUT_S):
                await self._up
        except TimeoutError:
            raise DeviceLost(
                f"expected a running inventory within {HANDSHAKE_TIMEOUT_S:g} s, got no further than "
                f"{LLRPReaderState.getStateName(self._client.llrp.state)}"
            ) from None

    async def watch(self) -> None:
        """Return never: raises DeviceLost when the connection ends or nothing is heard any more."""
        silence_s = SILENCE * self._portal.settings.keepalive_s
        while True:
            left_s = self._heard_at_s + silence_s - self._monotonic()
            if left_s <= 0:
                raise DeviceLost(
                    f"expected a keepalive every {silence_s / SILENCE:g} s, heard nothing for {silence_s:g} s"
                )
            done, _ = await asyncio.wait((self._over,), timeout=left_s)
            if done:
                raise DeviceLost(self._over.result())

    async def leave_politely(self) -> None:
        """Have the reader stop radiating; give up soon, for we are leaving."""
        if not self._up.done() or self._over.done():
            return
        stopped: asyncio.Future[None] = self._loop.create_future()

        def on_stopped(*_: object) -> None:
            self._tell_loop(_resolve, stopped)

        try:
            async with asyncio.timeout(POLITE_TIMEOUT_S):
                await asyncio.to_thread(self._client.llrp.stopPolitely, on_stopped, disconnect=True)
                await asyncio.wait((stopped, self._over), return_when=asyncio.FIRST_COMPLETED)
        except (TimeoutError, OSError, LLRPError, ReaderConfigurationError) as error:
            log.debug("portal %s did not stop in time: %r", self._portal.settings.name, error)

    async def close(self) -> None:
        """Close the socket and see the thread end."""
        self._up.cancel()
        if self._connecting is not None and not self._connecting.done():
            await asyncio.wait((self._connecting,), timeout=CONNECT_TIMEOUT_S)
        if self._connecting is not None and self._connecting.done():
            self._connecting.exception()  # asked for, so that asyncio does not call it forgotten
        self._client.hard_disconnect()
        if self._thread.ident is None:
            return
        await asyncio.to_thread(self._thread.join, JOIN_TIMEOUT_S)
        if self._thread.is_alive():
            # It holds a closed socket and a queue that stays bounded; it is a daemon and cannot keep us.
            log.error("portal %s: sllurp's thread did not end", self._portal.settings.name)

    # ── in sllurp's thread: nothing here may wait or raise ───────────────────────────────────────

    def _on_thread_start(self) -> None:
        try:
            self._client.main_loop()
        except ReaderConfigurationError as error:
            self._on_over(str(error))
        else:
            self._on_over("the reader closed the connection")

    def _on_state(self, state: int) -> None:
        if state == LLRPReaderState.STATE_INVENTORYING:
            if self._portal.settings.eyes:
                self._client.ask_for_eyes()
            self._tell_loop(_resolve, self._up)

    def _on_message(self, name: str, content: Mapping[str, Any]) -> None:
        self._heard_at_s = self._monotonic()
        if name == "RO_ACCESS_REPORT":
            self._on_report(content)
        elif name == "READER_EVENT_NOTIFICATION":
            self._on_event(content.get("ReaderEventNotificationData", {}))
        elif name == "GET_READER_CONFIG_RESPONSE" and content["ID"] == EYES_QUESTION_ID:
            self._on_eye_states(content)
        elif name == "ERROR_MESSAGE":
            log.warning("portal %s: the reader reports an error, %s", self._portal.settings.name, _status(content))

    def _on_report(self, content: Mapping[str, Any]) -> None:
        portal = self._portal
        reads = portal.reports.read(content["TagReportData"], portal.arrival())
        portal.counts.reports += 1
        portal.counts.reads += len(reads)
        if reads:
            portal.note_newest(reads[-1].seen_at_us)
            portal.queue.put(reads)
            self._tell_loop(self._arrived.set)

    def _on_eye_states(self, content: Mapping[str, Any]) -> None:
        portal = self._portal
        if refused := _status(content):
            log.warning(
                "portal %s: the reader does not say how its inputs stand, %s", portal.settings.name, refused
            )
        for change in portal.eyes.states(content.get("GPIPortCurrentState", ()), portal.time_at_gate_us()):
            self._put_eye_change(change)

    def _put_eye_change(self, change: EyeChange) -> None:
        self._portal.note_newest(change.seen_at_us)
        self._portal.queue.put_eye_change(change)
        self._tell_loop(self._arrived.set)

    def _on_event(self, event: Mapping[str, Any]) -> None:
        portal = self._portal
        stamp_us = (event.get("UTCTimestamp") or event.get("Uptime") or {}).get("Microseconds")
        if level := event.get("GPIEvent"):
            if change := portal.eyes.event(level, stamp_us, portal.arrival()):
                self._put_eye_change(change)
        elif attempt := event.get("ConnectionAttemptEvent"):
            if attempt["Status"] == "Success":
                arrival = portal.arrival()
                portal.clock.connected(stamp_us, arrival)
                portal.queue.put_time(portal.clock.now_us(arrival))
            elif attempt["Status"] == "Another connection attempted":
                log.info("portal %s: another client tried to connect to the reader", portal.settings.name)
            else:
                self._on_over(f"the reader refuses: {attempt['Status']}")
        elif "ConnectionCloseEvent" in event:
            self._on_over("the reader said that it closes the connection")
        elif antenna := event.get("AntennaEvent"):
            log.warning(
                "portal %s: antenna %s is %s",
                portal.settings.name,
                antenna.get("AntennaID"),
                str(antenna.get("EventType")).lower(),
            )
        elif "ReaderExceptionEvent" in event:
            log.warning("portal %s: the reader reports %s", portal.settings.name, event["ReaderExceptionEvent"])

    def _on_unreadable(self, unreadable: UnreadableMessage) -> None:
        counts = self._portal.counts
        if unreadable.is_unknown:
            counts.unknown_messages += 1
        else:
            counts.malformed_messages += 1
        if counts.unknown_messages + counts.malformed_messages == 1:
            log.warning(
                "portal %s: a message is left out, more like it are only counted: %s",
                self._portal.settings.name,
                unreadable,
            )

    def _on_over(self, reason: str) -> None:
        self._tell_loop(self._note_over, reason)

    def _tell_loop(self, tell: Callable[..., None], *what: object) -> None:
        try:
            self._loop.call_soon_threadsafe(tell, *what)
        except RuntimeError:
            log.debug("portal %s: the loop is closed already", self._portal.settings.name)

    # ── in the loop again ────────────────────────────────────────────────────────────────────────

    def _note_over(self, reason: str) -> None:
        if not self._over.done():
            self._over.set_result(reason)
        if not self._up.done():
            self._up.set_exception(DeviceLost(reason))


class _StateMachine(LLRPClient):
    """sllurp's conversation with the reader, with one ROSpec of ours."""

    def __init__(self, tags_per_report: int, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._tags_per_report = tags_per_report

    def getROSpec(self, force_new: bool = False) -> Any:  # noqa: N802  sllurp's name
        """Its ROSpec, but reporting every so many sightings: it would have the reader wait for the end."""
        rospec = super().getROSpec(force_new)
        rospec["ROReportSpec"]["N"] = self._tags_per_report
        return rospec


class _Client(LLRPReaderClient):
    """sllurp's client, fed with whole messages only."""

    def __init__(
        self,
        settings: PortalSettings,
        on_message: Callable[[str, Mapping[str, Any]], None],
        on_unreadable: Callable[[UnreadableMessage], None],
        on_over: Callable[[str], None],
        on_state: Callable[[int], None],
    ) -> None:
        super().__init__(settings.host, settings.port, _config(settings), timeout=CONNECT_TIMEOUT_S)
        self.llrp = _StateMachine(
            settings.tags_per_report,
            self.config,
            transport_tx_write=self.send_data,
            state_change_callback=on_state,
        )
        self._address = (settings.host, settings.port)
        self._socket: socket.socket | None = None
        self._splitter = FrameSplitter()
        self._on_message = on_message
        self._on_unreadable = on_unreadable
        self._on_over = on_over

    def _connect_socket(self) -> bool:
        """Connect, blocking. sllurp's own forgets to close the socket of a try that failed."""
        connection = socket.create_connection(self._address, timeout=CONNECT_TIMEOUT_S)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connection
        return True

    def hard_disconnect(self) -> None:
        """Close the socket and have the thread end. sllurp's own trips when the two threads do it at once."""
        self._stop_main_loop.set()
        connection, self._socket = self._socket, None
        if connection is not None:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def raw_data_received(self, data: bytes) -> None:
        """What sllurp's thread calls with everything it receives."""
        for whole in self._splitter.feed(data):
            self._take(whole)
        if self._splitter.broken is not None:
            self._give_up(f"the stream cannot be followed, {self._splitter.broken}")

    def _take(self, whole: bytes) -> None:
        try:
            decoded = decode(whole)
        except UnreadableMessage as unreadable:
            self._on_unreadable(unreadable)
            return
        name = decoded.getName()
        content = decoded.msgdict[name]
        try:
            self._on_message(name, content)
            if content["ID"] != EYES_QUESTION_ID or name != "GET_READER_CONFIG_RESPONSE":
                self.llrp.handleMessage(decoded)
        except (*_UNREADABLE, ReaderConfigurationError) as error:
            self._give_up(f"the conversation broke at {name}, {error!r} {_status(content)}".rstrip())

    def ask_for_eyes(self) -> None:
        """Have the reader say how its inputs stand."""
        antenna, gpi_port, gpo_port = 0, 0, 0  # 0 is all of them
        body = struct.pack("!HBHH", antenna, GPI_PORT_CURRENT_STATE, gpi_port, gpo_port)
        self.send_data(message(MessageType.GET_READER_CONFIG, EYES_QUESTION_ID, body))

    def _give_up(self, reason: str) -> None:
        self._on_over(reason)
        self.hard_disconnect()


def _config(settings: PortalSettings) -> LLRPReaderConfig:
    """sllurp's configuration; made anew for every connection, since sllurp writes into it."""
    config: dict[str, Any] = {
        "antennas": list(settings.antennas),
        "tx_power_dbm": None if settings.tx_power_dbm is None else float(settings.tx_power_dbm),
        "session": settings.session,
        "tag_population": settings.tag_population,
        "mode_identifier": settings.mode,
        "keepalive_interval": max(1, round(settings.keepalive_s * 1000)),
        "reconnect": False,
        "tag_content_selector": {
            "EnableROSpecID": False,
            "EnableSpecIndex": False,
            "EnableInventoryParameterSpecID": False,
            "EnableAntennaID": True,
            "EnableChannelIndex": True,
            "EnablePeakRSSI": True,
            "EnableFirstSeenTimestamp": True,
            "EnableLastSeenTimestamp": True,
            "EnableTagSeenCount": True,
            "EnableAccessSpecID": False,
        },
        "event_selector": {"AntennaEvent": True, "ReaderExceptionEvent": True, "GPIEvent": bool(settings.eyes)},
        "gpi_ports_config": {eye.port: True for eye in settings.eyes},
    }
    if settings.impinj:
        config["impinj_tag_content_selector"] = {
            "EnableRFPhaseAngle": True,
            "EnablePeakRSSI": True,
            "EnableRFDopplerFrequency": False,
        }
    return LLRPReaderConfig(config)


def _status(content: Mapping[str, Any]) -> str:
    """What the reader said about it, where it said something."""
    status = content.get("LLRPStatus")
    if not isinstance(status, Mapping) or status.get("StatusCode") == "Success":
        return ""
    description = status.get("ErrorDescription", b"")
    text = description.decode(errors="replace") if isinstance(description, bytes) else str(description)
    return f"{status.get('StatusCode')} {text}".strip()


def _resolve(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


def _quieten_sllurp() -> None:
    """Its log lines repeat ours, with traces; whoever sets a level for it sees them again."""
    its_log = logging.getLogger("sllurp")
    if its_log.level == logging.NOTSET:
        its_log.setLevel(logging.CRITICAL + 1)
