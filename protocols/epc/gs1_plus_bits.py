"""A string of bits, read and written from its left end, as TDS 2.x counts them ("counting up", section 14.6)."""

from protocols.epc.decoded import WrongEpc


class BitReader:
    """Reads fields from the left of `length` bits; what would run over the end raises WrongEpc."""

    def __init__(self, bits: int, length: int) -> None:
        self._bits = bits
        self._left = length

    @property
    def left(self) -> int:
        """How many bits were not read yet."""
        return self._left

    @property
    def rest(self) -> int:
        """The bits that were not read yet, as a number of `left` bits."""
        return self._bits & ((1 << self._left) - 1)

    def read(self, count: int) -> int:
        """The next `count` bits as an unsigned number."""
        if count > self._left:
            raise WrongEpc(f"expected {count} more bits, got {self._left}")
        self._left -= count
        return self._bits >> self._left & ((1 << count) - 1)


class BitWriter:
    """Collects fields from left to right."""

    def __init__(self) -> None:
        self.bits = 0
        self.length = 0

    def write(self, value: int, count: int) -> None:
        """Append `value` in `count` bits; the caller has checked that it fits."""
        self.bits = self.bits << count | value
        self.length += count

    def append(self, other: "BitWriter") -> None:
        """Append all that `other` holds."""
        self.write(other.bits, other.length)
