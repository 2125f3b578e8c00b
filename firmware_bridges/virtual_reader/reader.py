"""An LLRP 1.0.1 reader on TCP, as far from a gateway as a real one: it only has a socket.

In: a Play of sightings and clients that connect. Out: the conversation of the standard, and reports while
an ROSpec runs. `finished` is set (and the done file written) once every sighting was sent and the client
answered a KEEPALIVE that went out after the last one, so that it has read them all; a client that wants
no keepalives is believed once its socket took the last byte.

As real readers do, it serves one client at a time (a second one is told so and sent away, the first is
told of the attempt), keeps configuration and ROSpecs over a lost connection, stamps reports with its own
clock, sends KEEPALIVEs only when asked to, and drops a client that leaves them unanswered. Every sighting
is reported on its own, `N` of the ROReportSpec to a message; a message that is not full goes out at the
next tick all the same, as if an AISpec ended there. A changed input is told between the reports of what was seen
before and after it, to a client that switched the input and its events on.

A frame that cannot be followed or read gets an error answer and a log line; it never ends the reader.

Faults for tests are ordered by methods: `refuse_next`, `answer_late`, `go_silent`, `cut_mid_message`,
`send_raw`, `lose_client`. They end with the connection that they hit, `answer_late` and `refuse_next`
when they are called again or used up.
"""

import asyncio
import logging
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from firmware_bridges.virtual_reader import messages
from firmware_bridges.virtual_reader.inventory import Inventory, Outcome
from firmware_bridges.virtual_reader.messages import Command, Config, Device, ROSpec
from firmware_bridges.virtual_reader.play import Due, Play
from firmware_bridges.virtual_reader.sighting import Happening, InputChange, Sighting
from protocols.llrp import PORT, ConnectionStatus, FrameSplitter, MessageType, StatusCode, message

log = logging.getLogger(__name__)

FIRST_WORD_TIMEOUT_S = 30.0  # a client that connects and says nothing must not keep the only place
DRAIN_TIMEOUT_S = 10.0  # a client that does not read for so long is as good as gone
PATIENCE_FACTOR = 3.0  # keepalive intervals without an answer until a client is dropped …
PATIENCE_LEAST_S = 10.0  # … and never sooner than this
STOP_TIMEOUT_S = 2.0
TICK_S = 0.01  # sightings within one tick go out together
IDLE_S = 0.1  # how often a playing session looks up when nothing is due
BATCH = 500  # sightings a tick
TAGS_PER_REPORT_MAX = 64  # where the ROSpec leaves the size of a report to us
# A KEEPALIVE out of turn after so many sightings tells how far the client has read (see Play's WINDOW).
SYNC_EVERY = 5_000
COMMANDS_MAX = 64  # of a client that does not wait for answers; it is not read from meanwhile
READ_BYTES = 65_536


class _Over(Exception):
    """The session is over, for the reason given."""


@dataclass(slots=True)
class Counters:
    """What happened since the reader was made."""

    clients: int = 0
    turned_away: int = 0
    reports: int = 0
    sightings: int = 0
    keepalives_answered: int = 0
    not_asked_for: int = 0  # sightings of antennas that the ROSpec does not name
    input_events: int = 0
    input_events_not_asked_for: int = 0
    unreadable: int = 0  # client messages that were malformed or unknown


@dataclass(frozen=True, slots=True)
class ReaderSettings:
    """Where the reader listens (port 0: any free one), what it says it is, what it writes when done."""

    host: str = "127.0.0.1"
    port: int = PORT
    device: Device = field(default_factory=Device)
    done_file: Path | None = None


class VirtualReader:
    """The reader. `async with` starts and stops it."""

    def __init__(
        self,
        play: Play,
        settings: ReaderSettings | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self.play = play
        self.settings = settings or ReaderSettings()
        self.config = Config()
        self.inventory = Inventory()
        self.counters = Counters()
        self.inputs: dict[int, bool] = {}  # which are high; one that never changed is low
        self.finished = asyncio.Event()
        self.answers_late_s = 0.0
        self._monotonic = monotonic
        self._wall_us = wall_us
        self._refusals = 0
        self._server: asyncio.Server | None = None
        self._session: _Session | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._here = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port it listens on. Raises RuntimeError before `start`."""
        if self._server is None or not self._server.sockets:
            raise RuntimeError("the reader does not listen")
        host, port = self._server.sockets[0].getsockname()[:2]
        return host, port

    @property
    def has_client(self) -> bool:
        """Whether a client is being served."""
        return self._session is not None

    async def start(self) -> None:
        """Listen. Raises OSError where the address is taken."""
        self._server = await asyncio.start_server(self._welcome, self.settings.host, self.settings.port)
        log.info("virtual reader listens on %s:%d", *self.address)

    async def stop(self) -> None:
        """Say goodbye to the client and listen no more."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        if self._session is not None:
            await self._session.say_goodbye()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # ── faults, for tests of those who listen ────────────────────────────────────────────────────

    def refuse_next(self, count: int) -> None:
        """Send the next clients away with 'failed' in the ConnectionAttemptEvent."""
        self._refusals = count

    def answer_late(self, delay_s: float) -> None:
        """Wait so long before every answer."""
        self.answers_late_s = delay_s

    def go_silent(self) -> None:
        """Say nothing more to this client, keepalives included, and keep the connection open."""
        self._served().silent = True

    def cut_mid_message(self) -> None:
        """End the connection in the middle of the next message."""
        self._served().cuts_next = True

    async def send_raw(self, data: bytes) -> None:
        """Say something that is not for a reader to say."""
        await self._served().send(data)

    def lose_client(self) -> None:
        """Drop the connection as a pulled plug would."""
        self._served().drop()

    async def wait_for_client(self) -> None:
        """Return once a client is being served."""
        await self._here.wait()

    def _served(self) -> "_Session":
        if self._session is None:
            raise RuntimeError("no client is connected")
        return self._session

    # ── what sessions need of the reader ─────────────────────────────────────────────────────────

    def clock_us(self) -> int:
        """The reader's clock, UTC."""
        return self.play.clock_us(self.now_s(), self._wall_us())

    def now_s(self) -> float:
        """Monotonic seconds."""
        return self._monotonic()

    def resume_play(self) -> None:
        """Someone listens."""
        now_s = self.now_s()
        self.play.resume(now_s, self._wall_us())
        self.play.miss(now_s, self.note_input)

    def note_input(self, happening: Happening) -> None:
        """Where it is a changed input: so it is now."""
        if isinstance(happening, InputChange):
            self.inputs[happening.port] = happening.is_high

    def note_progress(self) -> None:
        """Set `finished` once the play was read to its end."""
        if self.finished.is_set() or not self.play.is_acknowledged:
            return
        log.info("play finished: %d sightings sent and read", self.play.last_given)
        self.finished.set()
        if self.settings.done_file is not None:
            try:
                self.settings.done_file.write_text(f"{self.play.last_given}\n", encoding="utf-8")
            except OSError as error:
                log.error("the done file cannot be written: %s", error)

    def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._server is None:
            writer.close()  # it came through the door while the door was being closed
            return
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # A task that is cancelled before its first step never reaches its own `finally`.
        task.add_done_callback(lambda _: writer.close())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = _Session(self, reader, writer)
        try:
            if self._session is not None:
                first = self._session
                await self._turn_away(session, ConnectionStatus.CLIENT_INITIATED_EXISTS)
                await first.tell_of_another()
            elif self._refusals > 0:
                self._refusals -= 1
                await self._turn_away(session, ConnectionStatus.FAILED)
            else:
                await self._converse(session)
        except _Over as over:
            log.info("client %s left at the door: %s", session.peer, over)
        except Exception:
            # The supervisor's edge: one client's session must not end the reader.
            log.exception("client %s: the session broke", session.peer)
        finally:
            await session.hang_up()

    async def _turn_away(self, session: "_Session", status: ConnectionStatus) -> None:
        self.counters.turned_away += 1
        log.warning("client %s turned away: %s", session.peer, status.name.lower())
        await session.send(messages.connection_attempt(session.next_id(), self.clock_us(), status))

    async def _converse(self, session: "_Session") -> None:
        self._session = session
        self.counters.clients += 1
        log.info("client %s connected", session.peer)
        try:
            reason = await session.converse()
            log.info("client %s gone: %s", session.peer, reason)
        finally:
            self._session = None
            self._here.clear()
            self._lose()

    def _lose(self) -> None:
        self.play.lose(self.now_s())
        # The world goes back to before what will be given out again, and so do the inputs.
        for due in reversed(list(self.play.to_be_given_again)):
            if isinstance(due.seen, InputChange):
                self.inputs[due.seen.port] = not due.seen.is_high

    def note_client(self) -> None:
        """The client has been told that it is welcome."""
        self._here.set()


class _Session:
    """One client's conversation."""

    def __init__(self, owner: VirtualReader, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.peer = "{}:{}".format(*(writer.get_extra_info("peername") or ("?", "?"))[:2])
        self.silent = False
        self.cuts_next = False
        self._owner = owner
        self._reader = reader
        self._writer = writer
        self._writing = asyncio.Lock()
        self._changed = asyncio.Event()
        self._keepalive_changed = asyncio.Event()
        self._commands: asyncio.Queue[Command] = asyncio.Queue(COMMANDS_MAX)
        self._last_id = 0
        self._wants_reports = not owner.config.holds_reports
        # Of each KEEPALIVE without an answer: how far the play was, and when it was sent. Answers carry
        # ids of the client's own, so that only their order tells which one they answer.
        self._unanswered: deque[tuple[int, float]] = deque()
        self._synced = 0
        connection = writer.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def next_id(self) -> int:
        """A message id of ours."""
        self._last_id = self._last_id % 0xFFFF_FFFF + 1
        return self._last_id

    def drop(self) -> None:
        """End the connection without a word."""
        self._writer.transport.abort()

    async def hang_up(self) -> None:
        """Close the connection; what was written still goes out, as long as the client reads."""
        self._writer.close()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self._writer.wait_closed()
        except TimeoutError:
            self.drop()
        except OSError as error:
            log.debug("client %s hung up first: %s", self.peer, error)

    async def converse(self) -> str:
        """Talk until it is over; return why."""
        reasons: list[str] = []
        try:
            async with asyncio.TaskGroup() as tasks:
                await self.send(self._attempt(ConnectionStatus.SUCCESS))
                self._owner.note_client()
                tasks.create_task(self._receive())
                tasks.create_task(self._obey())
                tasks.create_task(self._keep_alive())
                tasks.create_task(self._report())
        except* _Over as group:
            reasons = [str(over) for over in _leaves(group)]
        return reasons[0]

    async def say_goodbye(self) -> None:
        """The ConnectionCloseEvent, where the client still listens."""
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self.send(messages.connection_close(self.next_id(), self._owner.clock_us()))
        except (_Over, TimeoutError) as reason:
            log.debug("client %s did not hear the goodbye: %s", self.peer, reason)

    async def tell_of_another(self) -> None:
        """Tell this client that another one tried (section 13.2.6.11)."""
        await self.send(self._attempt(ConnectionStatus.ANOTHER_ATTEMPTED))

    def _attempt(self, status: ConnectionStatus) -> bytes:
        return messages.connection_attempt(self.next_id(), self._owner.clock_us(), status)

    async def send(self, data: bytes) -> None:
        """Send whole messages. Raises _Over when the client cannot be reached."""
        if self.silent:
            return
        try:
            async with self._writing:
                if self._writer.transport.is_closing():
                    raise _Over("connection lost")
                if self.cuts_next:
                    first_message_bytes = int.from_bytes(data[2:6], "big")
                    data = data[: first_message_bytes // 2]
                self._writer.write(data)
                async with asyncio.timeout(DRAIN_TIMEOUT_S):
                    await self._writer.drain()
        except TimeoutError:
            raise _Over(f"it has read nothing for {DRAIN_TIMEOUT_S:g} s") from None
        except OSError as error:
            raise _Over(f"connection lost, {error}") from error
        if self.cuts_next:
            raise _Over("cut in the middle of a message, as ordered")

    # ── listening ────────────────────────────────────────────────────────────────────────────────

    async def _receive(self) -> None:
        try:
            async with asyncio.timeout(FIRST_WORD_TIMEOUT_S) as first_word:
                await self._listen(first_word)
        except TimeoutError:
            raise _Over(f"it said nothing for {FIRST_WORD_TIMEOUT_S:g} s") from None
        except OSError as error:
            raise _Over(f"connection lost, {error}") from error

    async def _listen(self, first_word: asyncio.Timeout) -> None:
        splitter = FrameSplitter()
        while True:
            data = await self._reader.read(READ_BYTES)
            first_word.reschedule(None)
            if not data:
                waiting = splitter.waiting_bytes
                raise _Over(f"closed in a message, after {waiting} bytes" if waiting else "closed")
            for whole in splitter.feed(data):
                await self._commands.put(messages.read_command(whole))
            if splitter.broken is not None:
                self._owner.counters.unreadable += 1
                await self.send(messages.error_message(0, StatusCode.FIELD_ERROR, splitter.broken))
                raise _Over(f"no LLRP: {splitter.broken}")

    async def _obey(self) -> None:
        # Apart from listening, so that the end of a client is noticed while an answer is late.
        while True:
            command = await self._commands.get()
            answer = _ANSWERS[type(command)](self, command)
            if answer is None:
                continue
            if self._owner.answers_late_s:
                await asyncio.sleep(self._owner.answers_late_s)
            await self.send(answer)
            if isinstance(command, messages.Plain) and command.verb is MessageType.CLOSE_CONNECTION:
                raise _Over("closed, as it asked")

    def _capabilities(self, command: messages.GetCapabilities) -> bytes:
        return messages.capabilities(command.message_id, self._owner.settings.device, command.requested)

    def _get_config(self, command: messages.GetConfig) -> bytes:
        device = self._owner.settings.device
        for what, asked, most in (
            ("antenna", command.antenna, device.antennas),
            ("input", command.input, device.inputs),
        ):
            if asked > most:
                reason = f"expected {what} 0 to {most}, got {asked}"
                return messages.refusal(
                    MessageType.GET_READER_CONFIG_RESPONSE, command.message_id, StatusCode.OUT_OF_RANGE, reason
                )
        return messages.config(command, device, self._owner.config, self._owner.inputs)

    def _set_config(self, command: messages.SetConfig) -> bytes:
        inputs = self._owner.settings.device.inputs
        if strange := [port for port, _ in command.inputs if not 1 <= port <= inputs]:
            reason = f"expected inputs 1 to {inputs}, got {sorted(strange)}"
            return messages.refusal(
                MessageType.SET_READER_CONFIG_RESPONSE, command.message_id, StatusCode.OUT_OF_RANGE, reason
            )
        self._owner.config = self._owner.config.changed_by(command)
        if command.resets:
            self._owner.inventory.apply(MessageType.DELETE_ROSPEC, 0)
        self._changed.set()
        self._keepalive_changed.set()
        return messages.response(MessageType.SET_READER_CONFIG_RESPONSE, command.message_id)

    def _add_rospec(self, command: messages.AddROSpec) -> bytes:
        strange = [a for a in command.rospec.antennas if a > self._owner.settings.device.antennas]
        if strange:
            reason = f"expected antennas 1 to {self._owner.settings.device.antennas}, got {sorted(strange)}"
            outcome = Outcome(StatusCode.OUT_OF_RANGE, reason)
        else:
            outcome = self._owner.inventory.add(command.rospec)
        return self._answer(MessageType.ADD_ROSPEC, command.message_id, outcome)

    def _change_rospec(self, command: messages.ChangeROSpec) -> bytes:
        outcome = self._owner.inventory.apply(command.verb, command.rospec_id)
        self._changed.set()
        return self._answer(command.verb, command.message_id, outcome)

    def _change_access_spec(self, command: messages.ChangeAccessSpec) -> bytes:
        if command.verb is MessageType.ADD_ACCESSSPEC:
            outcome = Outcome(StatusCode.UNSUPPORTED_PARAMETER, "this reader reads no other memory than the EPC")
        elif command.access_spec_id == 0 and command.verb is MessageType.DELETE_ACCESSSPEC:
            outcome = Outcome()
        else:
            outcome = Outcome(StatusCode.INVALID, f"no AccessSpec {command.access_spec_id} is held")
        return self._answer(command.verb, command.message_id, outcome)

    def _plain(self, command: messages.Plain) -> bytes | None:
        if command.verb is MessageType.KEEPALIVE_ACK:
            self._acknowledged()
            return None
        if command.verb is MessageType.ENABLE_EVENTS_AND_REPORTS:
            self._wants_reports = True
            self._changed.set()
            return None
        if command.verb is MessageType.GET_REPORT:
            # Nothing ever waits to be fetched: what is due has been sent.
            return messages.ro_access_report(command.message_id, ())
        if command.verb is MessageType.GET_ROSPECS:
            return messages.rospecs(command.message_id, self._owner.inventory)
        return messages.response(messages.RESPONSE_TO[command.verb], command.message_id)

    def _impinj(self, command: messages.EnableImpinjExtensions) -> bytes:
        return messages.impinj_extensions_enabled(command.message_id)

    def _unreadable(self, command: messages.Unsupported | messages.Malformed) -> bytes:
        self._owner.counters.unreadable += 1
        log.warning("client %s, message type %d: %s", self.peer, command.type, command.reason)
        return messages.answer_to_unreadable(command)

    @staticmethod
    def _answer(verb: MessageType, message_id: int, outcome: Outcome) -> bytes:
        kind = messages.RESPONSE_TO[verb]
        return message(kind, message_id, messages.llrp_status(outcome.status, outcome.reason))

    def _acknowledged(self) -> None:
        if self._unanswered:
            number, _ = self._unanswered.popleft()
            self._owner.counters.keepalives_answered += 1
            self._owner.play.acknowledge(number)
            self._changed.set()
            self._owner.note_progress()

    # ── talking ──────────────────────────────────────────────────────────────────────────────────

    async def _keep_alive(self) -> None:
        while True:
            self._keepalive_changed.clear()
            interval_s = self._owner.config.keepalive_ms / 1000
            if await _happens(self._keepalive_changed, interval_s or IDLE_S):
                continue
            if interval_s:
                await self._send_keepalive()
                self._check_patience(interval_s)

    def _check_patience(self, interval_s: float) -> None:
        patience_s = max(PATIENCE_FACTOR * interval_s, PATIENCE_LEAST_S)
        if self._unanswered and self._owner.now_s() - self._unanswered[0][1] > patience_s:
            raise _Over(f"no answer to a keepalive for {patience_s:g} s")

    async def _send_keepalive(self) -> None:
        if self.silent:
            return
        # Written down before it is sent: its answer may be here before `send` returns.
        self._unanswered.append((self._owner.play.last_given, self._owner.now_s()))
        self._synced = self._owner.play.last_given
        await self.send(messages.keepalive(self.next_id()))

    async def _report(self) -> None:
        running: ROSpec | None = None
        started_at_s = 0.0
        while True:
            self._changed.clear()
            wanted = self._owner.inventory.active if self._wants_reports and not self.silent else None
            now_s = self._owner.now_s()
            if wanted is None:
                if running is not None:
                    self._owner.play.pause(now_s)
            elif wanted is not running:
                self._owner.resume_play()
                started_at_s = now_s
            running = wanted
            if running is None:
                await _happens(self._changed, IDLE_S)
            elif running.duration_ms is not None and now_s - started_at_s >= running.duration_ms / 1000:
                self._owner.inventory.end(running)
            else:
                await self._play_on(running, now_s)

    async def _play_on(self, rospec: ROSpec, now_s: float) -> None:
        play = self._owner.play
        due = play.due(now_s, BATCH)
        if due:
            await self._send_due(rospec, due)
        await self._sync(len(due))
        wait_s = play.due_in_s(self._owner.now_s())
        if wait_s == 0.0:
            await asyncio.sleep(0)  # behind its clock: only give way
        else:
            await _happens(self._changed, IDLE_S if wait_s is None else min(IDLE_S, max(wait_s, TICK_S)))

    async def _sync(self, sent: int) -> None:
        """Find out, now and then and at the end, how far the client has read."""
        play = self._owner.play
        if self._owner.config.keepalive_ms == 0:
            play.acknowledge(play.last_given)
        elif play.last_given - self._synced >= SYNC_EVERY or (sent and play.is_over):
            await self._send_keepalive()
        self._owner.note_progress()

    async def _send_due(self, rospec: ROSpec, due: Sequence[Due]) -> None:
        """Reports and events, in the order in which things happened."""
        told: list[bytes] = []
        for is_change, some in groupby(due, lambda one: isinstance(one.seen, InputChange)):
            alike = list(some)
            told += self._events(alike) if is_change else self._reports(rospec, alike)
        if told:
            await self.send(b"".join(told))

    def _reports(self, rospec: ROSpec, due: Iterable[Due]) -> list[bytes]:
        writer = messages.TagReportWriter(rospec.rospec_id, rospec.content)
        counters = self._owner.counters
        tags = []
        for one in due:
            assert isinstance(one.seen, Sighting)  # noqa: S101  the caller has parted them
            if not rospec.antennas or one.seen.antenna in rospec.antennas:
                tags.append(writer.write(one.seen, one.stamp_us))
            else:
                counters.not_asked_for += 1
        size = rospec.tags_per_report or TAGS_PER_REPORT_MAX
        reports = [
            messages.ro_access_report(self.next_id(), tags[start : start + size])
            for start in range(0, len(tags), size)
        ]
        counters.reports += len(reports)
        counters.sightings += len(tags)
        return reports

    def _events(self, due: Iterable[Due]) -> list[bytes]:
        owner = self._owner
        events = []
        for one in due:
            assert isinstance(one.seen, InputChange)  # noqa: S101  the caller has parted them
            owner.note_input(one.seen)
            if owner.config.tells_of(one.seen.port):
                owner.counters.input_events += 1
                event = messages.gpi_event(self.next_id(), one.stamp_us, one.seen.port, one.seen.is_high)
                events.append(event)
            else:
                owner.counters.input_events_not_asked_for += 1
        return events


async def _happens(event: asyncio.Event, within_s: float) -> bool:
    try:
        async with asyncio.timeout(within_s):
            await event.wait()
    except TimeoutError:
        return False
    return True


_Answer = Callable[[_Session, Any], bytes | None]

_ANSWERS: dict[type, _Answer] = {
    messages.GetCapabilities: _Session._capabilities,
    messages.GetConfig: _Session._get_config,
    messages.SetConfig: _Session._set_config,
    messages.AddROSpec: _Session._add_rospec,
    messages.ChangeROSpec: _Session._change_rospec,
    messages.ChangeAccessSpec: _Session._change_access_spec,
    messages.Plain: _Session._plain,
    messages.EnableImpinjExtensions: _Session._impinj,
    messages.Unsupported: _Session._unreadable,
    messages.Malformed: _Session._unreadable,
}


def _leaves(group: BaseExceptionGroup[_Over]) -> list[_Over]:
    leaves: list[_Over] = []
    for error in group.exceptions:
        leaves.extend(_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    return leaves
