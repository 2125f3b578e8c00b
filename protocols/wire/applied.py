"""`applied` (retained): how far the cloud has applied a gateway's log. Desired state, not an event.

Every unfinished epoch stands in it. It is believed also when it is lower than before (the cloud was
restored), and one that does not advance is the cloud's way of asking for `applied + 1` again.
"""

import msgspec

from protocols.wire.message import Codec, Epoch, Micros, Number

SCHEMA = 1


class EpochApplied(msgspec.Struct, frozen=True, kw_only=True):
    """applied: the last number applied; head: chain head (hex) of the lane when that was committed.

    stopped: why the cloud applies no more of this epoch (numbers missing); absent while all is well.
    """

    epoch: Epoch
    applied: Number
    head: str = ""
    stopped: str | None = None


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """incarnation grows with every restore of the cloud's database; sent_at_us is the cloud's clock."""

    schema: int
    incarnation: Number
    sent_at_us: Micros
    epochs: list[EpochApplied]


_codec = Codec(Applied, SCHEMA)
encode = _codec.encode
decode = _codec.decode
