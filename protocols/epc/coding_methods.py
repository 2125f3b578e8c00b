"""How the classic schemes of TDS write a component of an EPC URI in bits: one class per coding method.

Source: GS1 EPC Tag Data Standard (TDS) 2.1, sections 14.3 (encoding) and 14.4 (decoding); Annex A (7 bits a
character), Annex G (6 bits a character).

A method reads one or more components, as plain text without escapes, from a BitReader, and writes them to a
BitWriter. It checks what the bits must obey; which characters and lengths a component may have besides is checked
by the identity (`protocols/epc/identity.py`), on both ways. Both raise WrongEpc.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from protocols.epc.decoded import WrongEpc
from protocols.epc.gs1_plus_bits import BitReader, BitWriter

PARTITION_BITS = 3


class Method(Protocol):
    """One way to write components in bits."""

    @property
    def count(self) -> int:
        """How many components it writes."""

    def read(self, bits: BitReader) -> tuple[str, ...]:
        """The components that begin at the next bit."""

    def write(self, components: Sequence[str], bits: BitWriter) -> None:
        """Append `count` components."""


@dataclass(frozen=True, slots=True)
class Padded:
    """A number with leading zeros, always of `digits` digits; of none: "" (14.3.3 and 14.3.10)."""

    name: str
    bits: int
    digits: int
    count: int = 1

    def read(self, bits: BitReader) -> tuple[str, ...]:
        number = bits.read(self.bits)
        if number >= 10**self.digits:
            raise WrongEpc(f"expected {self.name} of {self.digits} digits, got {number}")
        return (f"{number:0{self.digits}d}" if self.digits else "",)

    def write(self, components: Sequence[str], bits: BitWriter) -> None:
        if len(components[0]) != self.digits:
            raise WrongEpc(f"expected {self.name} of {self.digits} digits, got {components[0]!r}")
        bits.write(int(components[0] or "0"), self.bits)


@dataclass(frozen=True, slots=True)
class Integer:
    """A number without leading zeros, of at most `digits` digits (14.3.1)."""

    name: str
    bits: int
    digits: int
    count: int = 1

    def read(self, bits: BitReader) -> tuple[str, ...]:
        number = bits.read(self.bits)
        self._check(number)
        return (str(number),)

    def write(self, components: Sequence[str], bits: BitWriter) -> None:
        (text,) = components
        if not (text.isascii() and text.isdigit()) or (len(text) > 1 and text[0] == "0"):
            raise WrongEpc(f"expected {self.name} as a number without leading zeros, got {text!r}")
        self._check(int(text))
        bits.write(int(text), self.bits)

    def _check(self, number: int) -> None:
        most = min(2**self.bits, 10**self.digits) - 1
        if number > most:
            raise WrongEpc(f"expected {self.name} 0 … {most}, got {number}")


@dataclass(frozen=True, slots=True)
class NumericString:
    """Digits whose leading zeros count: written as a number with a 1 before them (14.3.6)."""

    name: str
    bits: int
    digits: int
    count: int = 1

    def read(self, bits: BitReader) -> tuple[str, ...]:
        number = str(bits.read(self.bits))
        if number[0] != "1" or not 1 <= len(number) - 1 <= self.digits:
            raise WrongEpc(f"expected {self.name} as 1 and 1 to {self.digits} digits, got {number}")
        return (number[1:],)

    def write(self, components: Sequence[str], bits: BitWriter) -> None:
        (text,) = components
        if not (text.isascii() and text.isdigit()) or len(text) > self.digits:
            raise WrongEpc(f"expected {self.name} of 1 to {self.digits} digits, got {text!r}")
        bits.write(int("1" + text), self.bits)


@dataclass(frozen=True, slots=True)
class Text:
    """At most `longest` characters of 7 bits, then zeros up to `bits` (14.3.2)."""

    name: str
    bits: int
    longest: int
    count: int = 1

    def read(self, bits: BitReader) -> tuple[str, ...]:
        number = bits.read(self.bits)
        places = range(self.bits - 7, -1, -7)
        text = "".join(chr(number >> place & 0x7F) for place in places[: self.longest])
        # What does not make a whole character, or stands behind the longest text, is zero like all that follows.
        read = text.rstrip("\0")
        if "\0" in read or number & (1 << self.bits - 7 * self.longest) - 1:
            raise WrongEpc(f"expected zeros after the end of {self.name}, got {number:0{self.bits}b}")
        return (read,)

    def write(self, components: Sequence[str], bits: BitWriter) -> None:
        (text,) = components
        if not 1 <= len(text) <= self.longest:
            raise WrongEpc(f"expected {self.name} of 1 to {self.longest} characters, got {text!r}")
        for character in text:
            bits.write(ord(character), 7)
        bits.write(0, self.bits - 7 * len(text))


@dataclass(frozen=True, slots=True)
class SixBitText:
    """At most `longest` characters of 6 bits, and six zeros as its end (14.3.8)."""

    name: str
    longest: int
    count: int = 1

    def read(self, bits: BitReader) -> tuple[str, ...]:
        text = ""
        while six := bits.read(6):
            text += _of_six(six)
            if len(text) > self.longest:
                raise WrongEpc(f"expected the end of {self.name} after {self.longest} characters, got {text!r}")
        return (text,)

    def write(self, components: Sequence[str], bits: BitWriter) -> None:
        (text,) = components
        if len(text) > self.longest:
            raise WrongEpc(f"expected {self.name} of at most {self.longest} characters, got {text!r}")
        for character in text:
            bits.write(ord(character) & 0x3F, 6)
        bits.write(0, 6)


@dataclass(frozen=True, slots=True)
class Cage:
    """A CAGE code of 5 characters after a space, or a DoDAAC of 6: `width` bits a character (14.3.5 and 14.3.7)."""

    width: int
    count: int = 1

    def read(self, bits: BitReader) -> tuple[str, ...]:
        codes = [bits.read(self.width) for _ in range(6)]
        text = "".join(_of_six(code) if self.width == 6 else chr(code) for code in codes)
        return (text.removeprefix(" "),)

    def write(self, components: Sequence[str], bits: BitWriter) -> None:
        for character in components[0].rjust(6):
            bits.write(ord(character) & (1 << self.width) - 1, self.width)


@dataclass(frozen=True, slots=True)
class Zeros:
    """Reserved bits, which must be zero."""

    bits: int
    count: int = 0

    def read(self, bits: BitReader) -> tuple[str, ...]:
        if found := bits.read(self.bits):
            raise WrongEpc(f"expected {self.bits} reserved bits of zero, got {found:0{self.bits}b}")
        return ()

    def write(self, components: Sequence[str], bits: BitWriter) -> None:
        del components
        bits.write(0, self.bits)


@dataclass(frozen=True, slots=True)
class Partition:
    """GS1 company prefix and what follows it in the key, which share their bits (14.3.3, 14.3.4, 14.3.9).

    rows   of the scheme's partition table, by partition value: bits and digits of the company prefix; bits and
           digits or characters of the rest
    rest   makes the rest's method from the last two
    """

    rows: tuple[tuple[int, int, int, int], ...]
    rest: Callable[[int, int], Method]
    count: int = 2

    def read(self, bits: BitReader) -> tuple[str, ...]:
        partition = bits.read(PARTITION_BITS)
        if partition >= len(self.rows):
            raise WrongEpc(f"expected a partition 0 … {len(self.rows) - 1}, got {partition}")
        prefix, rest = self._methods(partition)
        return prefix.read(bits) + rest.read(bits)

    def write(self, components: Sequence[str], bits: BitWriter) -> None:
        partition = 12 - len(components[0])
        if not 0 <= partition < len(self.rows):
            raise WrongEpc(f"expected a company prefix of 6 to 12 digits, got {components[0]!r}")
        bits.write(partition, PARTITION_BITS)
        prefix, rest = self._methods(partition)
        prefix.write(components[:1], bits)
        rest.write(components[1:], bits)

    def _methods(self, partition: int) -> tuple[Method, Method]:
        prefix_bits, prefix_digits, rest_bits, rest_length = self.rows[partition]
        return Padded("a company prefix", prefix_bits, prefix_digits), self.rest(rest_bits, rest_length)


# Bits of a company prefix of 12, 11, … 6 digits: the left half of every partition table.
PREFIX_BITS = (40, 37, 34, 30, 27, 24, 20)


def partition(name: str, method: Callable[[str, int, int], Method], rest: Sequence[tuple[int, int]]) -> Partition:
    """The method of a partition table whose right half, (bits, digits or characters) by partition, is `rest`."""
    rows = tuple(
        (bits, 12 - value, *right) for value, (bits, right) in enumerate(zip(PREFIX_BITS, rest, strict=True))
    )
    return Partition(rows, lambda bits, length: method(name, bits, length))


def _of_six(six: int) -> str:
    """Annex G: letters have the codes 1 … 26, all else its last six bits of ASCII."""
    return chr(six | 0x40 if six < 0x20 else six)
