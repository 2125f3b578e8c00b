"""A cloud for tests of the uplink: an MQTT client that does what ARCHITECTURE.md "The log" asks of the cloud,
and can be told to be deaf, silent, or restored to an earlier hour.

It notes everything it gets, and `until` waits for a condition on that, with a deadline.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiomqtt

from protocols.wire import applied as applied_channel
from protocols.wire import command as command_channel
from protocols.wire import movement, readings, status
from protocols.wire.topics import GatewayAddress, all_gateways, parse_topic
from tests.conftest import RunningBroker
from tests.outboxes import DEADLINE_S

ANSWER_AGAIN_S = 0.1  # the real one waits 1 s before it says the same again


@dataclass
class FakeCloud:
    """What the cloud has of one gateway.

    loses     messages for which this is true are lost on their way to us
    answers   whether we say how far we are
    """

    address: GatewayAddress
    incarnation: int = 1
    loses: Callable[[movement.Envelope], bool] = lambda _: False
    answers: bool = True
    applied: dict[str, int] = field(default_factory=dict)
    stopped: dict[str, str] = field(default_factory=dict)
    ids: dict[tuple[str, int], str] = field(default_factory=dict)
    movements: list[movement.MovementObserved] = field(default_factory=list)  # each once, as applied
    envelopes: list[movement.Envelope] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)
    statuses: list[status.Status] = field(default_factory=list)
    summaries: list[readings.GateReadings] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    _client: aiomqtt.Client | None = None
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _owes: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def joined(self, broker: RunningBroker) -> AsyncIterator["FakeCloud"]:
        """Sign in, subscribe, listen."""
        async with aiomqtt.Client(
            broker.host, broker.port, username=broker.users.cloud, password=broker.users.cloud_password
        ) as client:
            self._client = client
            for channel in ("movements", "status", "readings"):
                await client.subscribe(all_gateways(channel), qos=1)
            tasks = [asyncio.create_task(self._listen(client)), asyncio.create_task(self._answer_again())]
            try:
                yield self
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
        assert self.faults == []

    async def until(self, what: str, condition: Callable[["FakeCloud"], bool]) -> None:
        """Wait until `condition` holds; it is asked after every message."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                while not condition(self):
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(
                f"{what} did not happen; applied {self.applied}, got {[(e.first, e.last) for e in self.envelopes]}"
            ) from None

    async def say(self, *claims: applied_channel.EpochApplied) -> None:
        """Publish `applied`, retained: of every epoch, or what is given."""
        epochs = list(claims) or [
            applied_channel.EpochApplied(epoch=epoch, applied=n, head=f"{n:x}", stopped=self.stopped.get(epoch))
            for epoch, n in self.applied.items()
        ]
        await self._publish(
            "applied",
            applied_channel.encode(
                applied_channel.Applied(
                    schema=1, incarnation=self.incarnation, sent_at_us=time.time_ns() // 1000, epochs=epochs
                )
            ),
        )

    async def command(self, version: int, heartbeat_s: float) -> None:
        await self._publish(
            "command",
            command_channel.encode(command_channel.Command(schema=1, version=version, heartbeat_s=heartbeat_s)),
        )

    async def _publish(self, channel: str, payload: bytes) -> None:
        assert self._client is not None
        await self._client.publish(self.address.topic(channel), payload, qos=1, retain=True)

    def restored(self, applied_then: dict[str, int]) -> None:
        """The database is as it was when this was applied."""
        self.incarnation += 1
        self.applied = dict(applied_then)
        self.ids = {key: one for key, one in self.ids.items() if key[1] <= applied_then.get(key[0], 0)}

    async def _listen(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            _, channel = parse_topic(message.topic.value)
            assert isinstance(message.payload, bytes)
            if channel == "movements":
                await self._take(message.payload)
            elif channel == "status":
                self.statuses.append(status.decode(message.payload))
            else:
                self.summaries.append(readings.decode(message.payload))
            self._news.set()

    async def _take(self, payload: bytes) -> None:
        decoded = movement.decode(payload)
        envelope = decoded.envelope
        self.envelopes.append(envelope)
        self.payloads.append(payload)
        if self.loses(envelope):
            return
        if decoded.unreadable:
            self.faults.append(f"unreadable: {decoded.unreadable}")
        before = self.applied.setdefault(envelope.epoch, 0)
        if envelope.epoch in self.stopped:
            self._owes.set()
            return
        if envelope.oldest > before + 1:
            self.stopped[envelope.epoch] = f"{before + 1} to {envelope.oldest - 1} are missing"
        elif envelope.first <= before + 1:
            self._apply(envelope.epoch, decoded.movements, before)
        if self.applied[envelope.epoch] != before or envelope.epoch in self.stopped:
            await self._answer()
        else:
            self._owes.set()

    async def _answer(self) -> None:
        if self.answers:
            await self.say()

    async def _answer_again(self) -> None:
        """What brings no news is answered all the same, but not each time."""
        while True:
            await self._owes.wait()
            await asyncio.sleep(ANSWER_AGAIN_S)
            self._owes.clear()
            await self._answer()

    def _apply(self, epoch: str, movements: list[movement.MovementObserved], before: int) -> None:
        for one in movements:
            known = self.ids.setdefault((epoch, one.seq), one.id)
            if known != one.id:
                self.faults.append(f"number {one.seq} of {epoch} came with ids {known} and {one.id}")
            if one.seq > before:
                self.movements.append(one)
        self.applied[epoch] = max(before, movements[-1].seq)
