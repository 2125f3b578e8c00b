"""`readings`: what the devices see now, summed up; may be lost, decides nothing, moves nothing.

Raw reads stay on the gateway. The cloud shows the newest summary of each gate, so that a person at
the screen sees tags before a passage is decided.
"""

import msgspec

from protocols.wire.message import Codec, Count, Micros

SCHEMA = 1
MAX_TAGS = 200  # a summary is for a screen; the rest is counted in `tags_total`


class TagSeen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One tag within the summary's span: reads, antennas that saw it, strongest sighting.

    provisional  the direction of a crossing (in, out) that was seen but is still within the gate's hold: the
                 tag may yet turn back, and nothing moves by it. A tag that is not read any more while it
                 waits for its verdict stands here with 0 reads, the antennas and the peak of before.
    """

    epc: str
    reads: Count
    antennas: list[int]
    peak_rssi_dbm: float
    provisional: str | None = None


class GateReadings(msgspec.Struct, frozen=True, kw_only=True):
    """All reads of one gate between two instants (µs UTC); `shed` counts reads dropped under overload."""

    schema: int
    gate: str
    from_us: Micros
    to_us: Micros
    reads: Count
    tags_total: Count
    tags: list[TagSeen]
    shed: Count = 0


_codec = Codec(GateReadings, SCHEMA)
encode = _codec.encode
decode = _codec.decode
