"""Movement ids: UUIDv7 (RFC 9562, section 5.7), as 32 hex digits.

48 bits of Unix milliseconds, the version, 12 bits that count within a millisecond (RFC 9562, section 6.2,
method 1), the variant, 62 random bits. Ids of one maker ascend, also when the clock stands or goes back:
then the newest millisecond is kept and the counter goes on. (The standard library has uuid7 from 3.14.)
"""

import os

_COUNTER_BITS = 12
_RANDOM_BITS = 62


class IdMaker:
    """Makes ascending ids; one for each outbox."""

    def __init__(self) -> None:
        self._newest = 0  # milliseconds and counter as one number

    def make(self, wall_us: int) -> str:
        """The next id, at `wall_us` (µs since 1970-01-01 UTC)."""
        self._newest = max(wall_us // 1000 << _COUNTER_BITS, self._newest + 1)
        milliseconds, counter = divmod(self._newest, 1 << _COUNTER_BITS)
        random = int.from_bytes(os.urandom(8), "big") >> (64 - _RANDOM_BITS)
        value = (milliseconds & (1 << 48) - 1) << 80 | 7 << 76 | counter << 64 | 0b10 << 62 | random
        return f"{value:032x}"
