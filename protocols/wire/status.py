"""`status` (retained): a gateway's birth, heartbeat and last will.

The birth and the heartbeats name every epoch the outbox still holds; a closed epoch names its end, so
that the cloud can finish it even when nothing of it is left to send. The last will says `online: false`
and nothing else that could be out of date.
"""

import msgspec

from protocols.wire.movement import UnreadableMessage

SCHEMA = 1


class EpochHeld(msgspec.Struct, frozen=True, kw_only=True):
    """One epoch of the outbox: its last number, the oldest still held, and its end once it is closed."""

    epoch: str
    last: int
    oldest: int
    end: int | None = None


class DeviceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A device behind the gateway: its name, whether it answers, since when (µs UTC)."""

    name: str
    connected: bool
    since_us: int


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """oldest_unapplied_at_us: when the oldest movement not yet applied was written; absent when none.

    counters: refused, alarms, shed reads … by name; they grow from the program's start.
    """

    schema: int
    online: bool
    sent_at_us: int = 0
    software: str = ""
    epochs: list[EpochHeld] = []
    devices: list[DeviceStatus] = []
    oldest_unapplied_at_us: int | None = None
    counters: dict[str, int] = {}


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Status)


def encode(message: Status) -> bytes:
    """The message as JSON."""
    return _encoder.encode(message)


def decode(payload: bytes) -> Status:
    """Read a message. Raises UnreadableMessage."""
    try:
        message = _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableMessage(str(error)) from error
    if message.schema != SCHEMA:
        raise UnreadableMessage(f"expected schema {SCHEMA}, got {message.schema}")
    return message
