"""`applied` (retained): how far the cloud has applied a gateway's log. Desired state, not an event.

Every unfinished epoch stands in it. It is believed also when it is lower than before (the cloud was
restored), and one that does not advance is the cloud's way of asking for `applied + 1` again.
"""

import msgspec

from protocols.wire.movement import UnreadableMessage

SCHEMA = 1


class EpochApplied(msgspec.Struct, frozen=True, kw_only=True):
    """applied: the last number applied; head: chain head (hex) of the lane when that was committed.

    stopped: why the cloud applies no more of this epoch (numbers missing); absent while all is well.
    """

    epoch: str
    applied: int
    head: str = ""
    stopped: str | None = None


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """incarnation grows with every restore of the cloud's database; sent_at_us is the cloud's clock."""

    schema: int
    incarnation: int
    sent_at_us: int
    epochs: list[EpochApplied]


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Applied)


def encode(message: Applied) -> bytes:
    """The message as JSON."""
    return _encoder.encode(message)


def decode(payload: bytes) -> Applied:
    """Read a message. Raises UnreadableMessage."""
    try:
        message = _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableMessage(str(error)) from error
    if message.schema != SCHEMA:
        raise UnreadableMessage(f"expected schema {SCHEMA}, got {message.schema}")
    return message
