"""`command` (retained): what the cloud wants a gateway to be; desired state with a version, never one-shot.

A gateway applies the newest version it has seen and reports it; the same version again changes nothing.
"""

import msgspec

from protocols.wire.message import Codec, Number

SCHEMA = 1


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """version grows with every change; heartbeat_s: how often the gateway sends its status."""

    schema: int
    version: Number
    heartbeat_s: float = 10.0


_codec = Codec(Command, SCHEMA)
encode = _codec.encode
decode = _codec.decode
