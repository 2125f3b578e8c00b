"""`command` (retained): what the cloud wants a gateway to be; desired state with a version, never one-shot.

A gateway applies the newest version it has seen and reports it; the same version again changes nothing.
"""

import msgspec

from protocols.wire.movement import UnreadableMessage

SCHEMA = 1


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """version grows with every change; heartbeat_s: how often the gateway sends its status."""

    schema: int
    version: int
    heartbeat_s: float = 10.0


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Command)


def encode(message: Command) -> bytes:
    """The message as JSON."""
    return _encoder.encode(message)


def decode(payload: bytes) -> Command:
    """Read a message. Raises UnreadableMessage."""
    try:
        message = _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableMessage(str(error)) from error
    if message.schema != SCHEMA:
        raise UnreadableMessage(f"expected schema {SCHEMA}, got {message.schema}")
    return message
