"""`status` (retained): a gateway's birth, heartbeat and last will.

The birth and the heartbeats name every epoch the outbox still holds; a closed epoch names its end, so
that the cloud can finish it even when nothing of it is left to send. The last will says `online: false`
and nothing else that could be out of date.
"""

from typing import Annotated

import msgspec

from protocols.wire.message import Codec, Epoch, Micros, Number

SCHEMA = 1

Head = Annotated[str, msgspec.Meta(max_length=128)]


class EpochHeld(msgspec.Struct, frozen=True, kw_only=True):
    """One epoch of the outbox: its last number, the oldest still held, and its end once it is closed.

    applied, head: what the cloud last told of it, word for word. A gateway so bears witness to the end of the cloud's
    hash chain: who rewrites the books cannot unsay it.
    """

    epoch: Epoch
    last: Number
    oldest: Number
    end: Number | None = None
    applied: Number = 0
    head: Head = ""


class DeviceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A device behind the gateway: its name, whether it answers, since when (µs UTC)."""

    name: str
    connected: bool
    since_us: Micros


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """oldest_unapplied_at_us: when the oldest movement not yet applied was written; absent when none.

    incarnation: the cloud's, as last told; 0 before that.
    counters: refused, alarms, shed reads … by name; they grow from the program's start.
    """

    schema: int
    online: bool
    sent_at_us: Micros = 0
    incarnation: Number = 0
    software: str = ""
    epochs: list[EpochHeld] = []
    devices: list[DeviceStatus] = []
    oldest_unapplied_at_us: Micros | None = None
    counters: dict[str, int] = {}


_codec = Codec(Status, SCHEMA)
encode = _codec.encode
decode = _codec.decode
