"""The way to the cloud: the outbox's movements out, `applied` and `command` in, over MQTT 3.1.1.

`serve` is one connection, from CONNECT to its end; whoever calls it calls it again (wiring.py). Nothing is
lost by this file, for it decides nothing: a movement is delivered when `applied` says so, and until then it
is in the outbox. When what is sent and sent again stands in delivery.py; here are the network and:

- the window: at most 40 messages of all epochs together are not covered by `applied`. An epoch that meets
  silence gives its place up but for one message, so that none holds up the others; earlier epochs go first.
- gathering: at once when nothing of the epoch is in flight, else up to 500 movements, 128 KiB or 200 ms.
- birth (retained, names the epochs held), heartbeats, last will. Birth follows the subscriptions, so that
  the answer to it is heard.

PUBACK means nothing but that there is room for more. What comes in waits in a bounded queue: an `applied`
that overflows it is repeated by the cloud, or asked for by resending.
"""

import asyncio
import logging
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import NoReturn

import aiomqtt

from edge.delivery import EpochDelivery, Sent, Timing
from edge.heartbeat import LAST_WILL, Heartbeat
from edge.outbox.on_thread import OutboxOnThread
from edge.outbox.outbox import Batch, Clock, EpochState
from edge.settings import BrokerSettings
from protocols.wire import applied, command, movement, readings, status
from protocols.wire.topics import GatewayAddress

log = logging.getLogger(__name__)

WINDOW_MESSAGES = 40  # not covered by `applied`; clients get slower above 100 unacknowledged ones
ENVELOPE_BYTES = 512  # room kept for the envelope: its fields need 300 at most
MOST_UNACKNOWLEDGED = 80  # publications without PUBACK: the window, and once more of it sent again
MOST_INCOMING = 100  # `applied` and `command` that wait; each newer one makes the older worthless
MOST_READINGS = 50  # summaries that wait: some seconds of all gates; nobody misses them

CONNECT_TIMEOUT_S = 10.0  # TCP, TLS and CONNACK together, and SUBACK
PUBACK_TIMEOUT_S = 30.0  # a broker that takes longer is as good as gone
KEEPALIVE_S = 30  # an unplugged cable is noticed within 45 s
GOODBYE_TIMEOUT_S = 2.0  # for the last status when we stop
SUBSCRIPTION_REFUSED = 0x80  # MQTT 3.1.1, section 3.9.3
QOS_MOVEMENTS = 1  # at 0 a broker may drop what a slow worker has not taken yet
QOS_READINGS = 0
QOS_STATUS = 1


class BrokerLost(Exception):
    """The broker cannot be reached, refuses us or is gone; the message says which."""


class Uplink:
    """One gateway's way to the cloud."""

    def __init__(
        self,
        address: GatewayAddress,
        broker: BrokerSettings,
        outbox: OutboxOnThread,
        heartbeat: Heartbeat,
        *,
        clock: Clock | None = None,
        timing: Timing | None = None,
    ) -> None:
        self.address = address
        self.is_connected = False
        self.counters: Counter[str] = Counter()
        self._broker = broker
        self._outbox = outbox
        self._heartbeat = heartbeat
        self._clock = clock or Clock()
        self._timing = timing or Timing()
        self._deliveries: dict[str, EpochDelivery] = {}
        self._wake = asyncio.Event()
        self._status_due = asyncio.Event()
        self._moved = asyncio.Event()
        self._readings: asyncio.Queue[bytes] = asyncio.Queue(MOST_READINGS)
        self._movement_bytes = 0.0  # size of a movement in the last message, to know when one is full

    # ── told from outside ───────────────────────────────────────────────────────────────────────────────

    def appended(self) -> None:
        """There are new movements in the outbox."""
        self._wake.set()

    def status_changed(self) -> None:
        """Something is worth a heartbeat now."""
        self._status_due.set()

    def publish_readings(self, summary: readings.GateReadings) -> bool:
        """Send a summary, if there is a connection with room for it; whether there is."""
        if self.is_connected and not self._readings.full():
            self._readings.put_nowait(readings.encode(summary))
            return True
        self.counters["readings_dropped"] += 1
        return False

    async def delivered(self) -> None:
        """Return when everything in the outbox is applied, or stopped by the cloud."""
        while True:
            self._moved.clear()
            if all(state.applied >= state.last or state.stopped for state in await self._outbox.epochs()):
                return
            await self._moved.wait()

    # ── one connection ──────────────────────────────────────────────────────────────────────────────────

    async def serve(self, connected: Callable[[], None]) -> NoReturn:
        """Connect, call `connected`, and deliver until the connection ends.

        Raises BrokerLost, and OutboxBroken when the disk fails. When cancelled it says good-bye first.
        """
        # A task for each connection, because `_heed_cancel` needs one whose cancellations are all its own.
        connection = asyncio.create_task(self._connection(connected), name="uplink connection")
        try:
            await asyncio.wait([connection])
        except asyncio.CancelledError:
            connection.cancel()
            await asyncio.wait([connection], timeout=GOODBYE_TIMEOUT_S + CONNECT_TIMEOUT_S)
            raise
        finally:
            self.is_connected = False
        raise connection.exception() or BrokerLost(self._where("the connection ended"))

    async def _connection(self, connected: Callable[[], None]) -> None:
        try:
            async with self._client() as client:
                _heed_cancel()
                await self._subscribe(client)
                await self._begin()
                await self._send_status(client)
                self.counters["connections"] += 1
                connected()
                await self._work(client)
        except aiomqtt.MqttError as lost:
            raise BrokerLost(self._where(lost)) from lost

    async def _work(self, client: aiomqtt.Client) -> None:
        """Every task of one connection; the first that fails ends them all. Raises what it raised."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._receive(client))
                group.create_task(self._deliver(client, group))
                group.create_task(self._beat(client))
                group.create_task(self._send_readings(client))
        except ExceptionGroup as failed:
            # A lost connection fails in several tasks at once; anything else is worth more than that.
            others = failed.split(aiomqtt.MqttError)[1]
            raise _first(others or failed) from failed
        except asyncio.CancelledError:
            # A clean DISCONNECT makes the broker forget the last will, so it is said by ourselves.
            with suppress(aiomqtt.MqttError):
                await client.publish(
                    self.address.topic("status"), LAST_WILL, qos=QOS_STATUS, retain=True, timeout=GOODBYE_TIMEOUT_S
                )
            raise

    async def _publish(
        self, client: aiomqtt.Client, channel: str, payload: bytes, qos: int, *, retain: bool = False
    ) -> None:
        """Publish, and wait for PUBACK where there is one. Raises MqttError."""
        await client.publish(
            self.address.topic(channel), payload, qos=qos, retain=retain, timeout=PUBACK_TIMEOUT_S
        )
        _heed_cancel()

    def _client(self) -> aiomqtt.Client:
        broker = self._broker
        try:
            password = broker.password_file.read_text(encoding="utf-8").strip()
            tls = None if broker.ca_file is None else ssl.create_default_context(cafile=broker.ca_file)
        except (OSError, UnicodeDecodeError) as error:
            raise BrokerLost(f"{broker.password_file} or {broker.ca_file} cannot be read: {error}") from error
        client = aiomqtt.Client(
            broker.host,
            broker.port,
            username=broker.user,
            password=password,
            identifier=f"tallygate-{self.address.company}-{self.address.site}-{self.address.gateway}",
            clean_session=True,
            will=aiomqtt.Will(self.address.topic("status"), LAST_WILL, qos=QOS_STATUS, retain=True),
            timeout=CONNECT_TIMEOUT_S,
            keepalive=KEEPALIVE_S,
            max_queued_incoming_messages=MOST_INCOMING,
            max_inflight_messages=MOST_UNACKNOWLEDGED,
            tls_context=tls,
        )
        client.pending_calls_threshold = MOST_UNACKNOWLEDGED + 10  # it warns above; ten of it is our normal
        return client

    async def _subscribe(self, client: aiomqtt.Client) -> None:
        topics = [self.address.topic(channel) for channel in ("applied", "command")]
        granted = await client.subscribe([(topic, 1) for topic in topics])
        _heed_cancel()
        codes = [code if isinstance(code, int) else code.value for code in granted]
        refused = [topic for topic, code in zip(topics, codes, strict=True) if code >= SUBSCRIPTION_REFUSED]
        if refused:
            raise BrokerLost(f"user {self._broker.user} may not subscribe to {', '.join(refused)}")

    async def _begin(self) -> None:
        """Start from what the outbox says; what was in flight before counts as lost."""
        self._note_epochs(await self._outbox.epochs())
        for delivery in self._deliveries.values():
            delivery.begin()
        while not self._readings.empty():
            self._readings.get_nowait()
        self.is_connected = True

    # ── movements ───────────────────────────────────────────────────────────────────────────────────────

    async def _deliver(self, client: aiomqtt.Client, group: asyncio.TaskGroup) -> NoReturn:
        """Send what is due and what is new, earlier epochs first; sleep until there is more to do."""
        room = asyncio.Semaphore(MOST_UNACKNOWLEDGED)

        async def send(payload: bytes) -> None:
            await room.acquire()
            task = group.create_task(self._publish(client, "movements", payload, QOS_MOVEMENTS))
            task.add_done_callback(lambda _: room.release())

        while True:
            self._wake.clear()
            await self._note_current_epoch()
            gathering_s = []
            for delivery in list(self._deliveries.values()):
                for sent in list(delivery.due(self._clock.monotonic_s())):
                    self.counters["messages_again"] += 1
                    await send(sent.payload)
                if (until_s := await self._send_new(delivery, send)) is not None:
                    gathering_s.append(until_s)
            await self._sleep(gathering_s)

    async def _send_new(self, delivery: EpochDelivery, send: Callable[[bytes], Awaitable[None]]) -> float | None:
        """Send as much of one epoch as the window has room for; returns until when it gathers, if it does."""
        while delivery.has_more and self._in_flight() < WINDOW_MESSAGES:
            if not self._fills_a_message(delivery) and delivery.gathers(self._clock.monotonic_s()):
                return delivery.gather_until_s
            cursor = delivery.cursor
            batch = await self._outbox.next_batch(
                delivery.epoch, cursor, movement.MAX_MOVEMENTS, movement.MAX_BYTES - ENVELOPE_BYTES
            )
            if delivery.cursor != cursor or not delivery.has_more:
                continue  # `applied` came while we read
            if batch is None:
                return None  # the epoch's last numbers are missing; the status says so
            if batch.first > cursor + 1 and delivery.in_flight:
                return None  # `oldest` may pass over missing numbers only when all before them is applied
            if not batch.is_full and delivery.gathers(self._clock.monotonic_s()):
                return delivery.gather_until_s
            sent = Sent(batch.first, batch.last, self._message(batch))
            self._movement_bytes = len(sent.payload) / len(batch.movements)
            delivery.was_sent(sent, self._clock.monotonic_s())
            self.counters["messages"] += 1
            await send(sent.payload)
        return None

    def _fills_a_message(self, delivery: EpochDelivery) -> bool:
        waiting = delivery.last - delivery.cursor
        return waiting >= movement.MAX_MOVEMENTS or waiting * self._movement_bytes >= movement.MAX_BYTES

    def _in_flight(self) -> int:
        return sum(len(delivery.in_flight) for delivery in self._deliveries.values())

    def _message(self, batch: Batch) -> bytes:
        envelope = movement.Envelope(
            schema=movement.SCHEMA,
            epoch=batch.epoch,
            first=batch.first,
            last=batch.last,
            oldest=batch.oldest,
            sent_at_us=self._clock.wall_us(),
            end=batch.end,
        )
        return movement.encode(envelope, batch.movements)

    async def _sleep(self, gathering_s: list[float]) -> None:
        """Until something is appended or heard, or the next thing is due."""
        resends_s = [at_s for delivery in self._deliveries.values() if (at_s := delivery.due_s()) is not None]
        due_s = min(gathering_s + resends_s, default=None)
        left_s = None if due_s is None else max(0.0, due_s - self._clock.monotonic_s())
        with suppress(TimeoutError):
            async with asyncio.timeout(left_s):
                await self._wake.wait()

    async def _note_current_epoch(self) -> None:
        current = self._deliveries.get(self._outbox.epoch)
        if current is None:
            self._note_epochs(await self._outbox.epochs())
        else:
            current.last = self._outbox.last

    def _note_epochs(self, states: list[EpochState]) -> None:
        """Have a delivery for each epoch held, in the order of opening."""
        deliveries = {}
        for state in states:
            delivery = self._deliveries.get(state.epoch)
            if delivery is None:
                delivery = EpochDelivery(state.epoch, state.applied, state.last, self._timing)
                delivery.stopped = state.stopped
            delivery.last = state.last
            deliveries[state.epoch] = delivery
        self._deliveries = deliveries

    # ── what the cloud says ─────────────────────────────────────────────────────────────────────────────

    async def _receive(self, client: aiomqtt.Client) -> None:
        hear = {
            self.address.topic("applied"): self._hear_applied,
            self.address.topic("command"): self._hear_command,
        }
        async for message in client.messages:
            heard = hear.get(message.topic.value)
            if heard is None or not isinstance(message.payload, bytes) or not message.payload:
                continue  # an empty payload is how a retained message is taken back
            try:
                await heard(message.payload)
            except movement.UnreadableMessage as error:
                self.counters["unreadable"] += 1
                log.error("unreadable message", extra={"topic": message.topic.value, "error": str(error)})

    async def _hear_applied(self, payload: bytes) -> None:
        message = applied.decode(payload)
        await self._outbox.record_applied(message)
        states = await self._outbox.epochs()
        self._note_epochs(states)
        now_s = self._clock.monotonic_s()
        claims = {claim.epoch: claim.applied for claim in message.epochs}
        for state in states:
            delivery = self._deliveries[state.epoch]
            if delivery.heard_stopped(state.stopped):
                self._log_stopped(delivery)
            # An impossible claim is no question for movements; answering it would go on for ever.
            if 0 <= claims.get(state.epoch, 0) <= state.last:
                delivery.heard(state.applied, now_s)
        self._moved.set()
        self._wake.set()

    def _log_stopped(self, delivery: EpochDelivery) -> None:
        if delivery.stopped is not None:
            log.error(
                "the cloud has stopped this log", extra={"epoch": delivery.epoch, "reason": delivery.stopped}
            )
        else:
            log.info("the cloud goes on with this log", extra={"epoch": delivery.epoch})

    async def _hear_command(self, payload: bytes) -> None:
        wanted = command.decode(payload)
        if self._heartbeat.obey(wanted):
            log.info(
                "command obeyed",
                extra={"version": wanted.version, "heartbeat_s": self._heartbeat.interval_s},
            )
            self._status_due.set()

    # ── what the cloud may miss ─────────────────────────────────────────────────────────────────────────

    async def _beat(self, client: aiomqtt.Client) -> NoReturn:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._heartbeat.interval_s):
                    await self._status_due.wait()
            self._status_due.clear()
            await self._send_status(client)

    async def _send_status(self, client: aiomqtt.Client) -> None:
        now = await self._heartbeat.status(self._clock.wall_us(), self.counters)
        await self._publish(client, "status", status.encode(now), QOS_STATUS, retain=True)

    async def _send_readings(self, client: aiomqtt.Client) -> NoReturn:
        while True:
            await self._publish(client, "readings", await self._readings.get(), QOS_READINGS)

    def _where(self, what: object) -> str:
        return f"{self._broker.host}:{self._broker.port} as {self._broker.user}: {what}"


def _heed_cancel() -> None:
    """Raise CancelledError if this task was cancelled.

    `asyncio.wait_for` of Python 3.11, which aiomqtt waits with, swallows a cancellation that comes together
    with what it waited for. (A TaskGroup of 3.11 leaves a cancellation counted in the task around it, so
    this is of use only in tasks of which no TaskGroup has failed yet.)
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _first(group: BaseExceptionGroup) -> BaseException:
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found
