"""What the gateway says about itself: birth, heartbeats and last will, on the retained `status`.

In: the outbox, counters and devices. Out: a `Status` when the uplink asks for one, and how often it should.
The cloud sets that in `command`: desired state with a version, of which the newest one counts.
"""

from collections.abc import Callable, Mapping

from edge.outbox.on_thread import OutboxOnThread
from protocols.wire.command import Command
from protocols.wire.status import SCHEMA, DeviceStatus, EpochHeld, Status, encode

SHORTEST_S = 1.0  # a command below this would make the heartbeat the load it should watch
LONGEST_S = 3600.0  # above this nobody would call it alive
USUAL_S = Command(schema=1, version=0).heartbeat_s

LAST_WILL = encode(Status(schema=SCHEMA, online=False))


class Heartbeat:
    """Says how the gateway is. `counters` and `devices` are asked each time."""

    def __init__(
        self,
        outbox: OutboxOnThread,
        software: str,
        counters: Callable[[], Mapping[str, int]] = dict,
        devices: Callable[[], list[DeviceStatus]] = list,
    ) -> None:
        self.interval_s = USUAL_S
        self.command_version = 0
        self._outbox = outbox
        self._software = software
        self._counters = counters
        self._devices = devices

    def obey(self, command: Command) -> bool:
        """Be as `command` wants us, if it is newer than the last; whether it was."""
        if command.version <= self.command_version:
            return False
        self.command_version = command.version
        self.interval_s = min(max(command.heartbeat_s, SHORTEST_S), LONGEST_S)
        return True

    async def status(self, now_us: int, more: Mapping[str, int]) -> Status:
        """The state now; `more` are counters of whoever asks."""
        return Status(
            schema=SCHEMA,
            online=True,
            sent_at_us=now_us,
            incarnation=self._outbox.incarnation,
            software=self._software,
            epochs=[
                EpochHeld(
                    epoch=held.epoch,
                    last=held.last,
                    oldest=held.oldest,
                    end=held.end,
                    applied=held.applied,
                    head=held.head,
                )
                for held in await self._outbox.epochs()
            ],
            devices=self._devices(),
            oldest_unapplied_at_us=await self._outbox.oldest_unapplied_at_us(),
            counters={
                **self._counters(),
                **self._outbox.counters,
                **more,
                "command_version": self.command_version,
            },
        )
