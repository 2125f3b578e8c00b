"""`readings`: what the devices see now, summed up; may be lost, decides nothing, moves nothing.

Raw reads stay on the gateway. The cloud shows the newest summary of each gate, so that a person at
the screen sees tags before a passage is decided.
"""

import msgspec

from protocols.wire.movement import UnreadableMessage

SCHEMA = 1
MAX_TAGS = 200  # a summary is for a screen; the rest is counted in `tags_total`


class TagSeen(msgspec.Struct, frozen=True, kw_only=True):
    """One tag within the summary's span: reads, antennas that saw it, strongest sighting."""

    epc: str
    reads: int
    antennas: list[int]
    peak_rssi_dbm: float


class GateReadings(msgspec.Struct, frozen=True, kw_only=True):
    """All reads of one gate between two instants (µs UTC); `shed` counts reads dropped under overload."""

    schema: int
    gate: str
    from_us: int
    to_us: int
    reads: int
    tags_total: int
    tags: list[TagSeen]
    shed: int = 0


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(GateReadings)


def encode(message: GateReadings) -> bytes:
    """The message as JSON."""
    return _encoder.encode(message)


def decode(payload: bytes) -> GateReadings:
    """Read a message. Raises UnreadableMessage."""
    try:
        message = _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableMessage(str(error)) from error
    if message.schema != SCHEMA:
        raise UnreadableMessage(f"expected schema {SCHEMA}, got {message.schema}")
    return message
