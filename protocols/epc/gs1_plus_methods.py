"""How TDS 2.x writes the value of a GS1 Application Identifier in bits: one class per method of section 14.5.

Source: GS1 EPC Tag Data Standard 2.3, sections 14.5.2 and 14.5.4 to 14.5.15. Each method reads one text from a
BitReader and writes it to a BitWriter; both raise WrongEpc and say what was expected and what was there.

How many bits a length indicator has is not a free column of the standard's Table F: it is always as many as
the longest permitted length needs, so a method here only knows that length.
"""

import re
from dataclasses import dataclass
from typing import Protocol

from protocols.epc.decoded import WrongEpc
from protocols.epc.gs1_plus_bits import BitReader, BitWriter

UPPER_HEX = "0123456789ABCDEF"
LOWER_HEX = "0123456789abcdef"
# Table 14-7: the file-safe alphabet of RFC 4648, section 5.
BASE_64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
# Table 14-8; index 0 pads the last group of three.
URN_CODE_40 = "\0ABCDEFGHIJKLMNOPQRSTUVWXYZ-.:0123456789"
# GS1 General Specifications, figures 7.11-1, 7.11-2 and 7.11-3.
CHARACTERS_82 = "!\"%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
CHARACTERS_39 = "#-/0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
CHARACTERS_64 = BASE_64 + "="

_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_MINIMUM_PREFIX = 4  # digits: a GIAI and a CPI begin with a company prefix of at least four


class Method(Protocol):
    """One way to write one text in bits."""

    def read(self, bits: BitReader) -> str:
        """The text that begins at the next bit."""

    def write(self, text: str, bits: BitWriter) -> None:
        """Append `text`."""


def is_digits(text: str) -> bool:
    """Whether `text` is of the digits 0 … 9 only, and of at least one."""
    return text.isascii() and text.isdigit()


def integer_bits(digits: int) -> int:
    """The bits that any number of so many digits fits in (Table B, column "Integer encoding")."""
    return (10**digits - 1).bit_length()


def read_integer(bits: BitReader, digits: int) -> str:
    """A number of `digits` digits with its leading zeros (14.5.2.2, 14.5.6.1.2)."""
    if not digits:
        return ""
    text = f"{bits.read(integer_bits(digits)):0{digits}d}"
    if len(text) > digits:
        raise WrongEpc(f"expected a number of {digits} digits, got {text}")
    return text


def read_code_40(bits: BitReader, length: int) -> str:
    """`length` characters of URN Code 40, 16 bits for each three (14.5.6.5.2)."""
    text = ""
    for _ in range(-(-length // 3)):
        group = bits.read(16)
        if not 1 <= group <= 64_000:
            raise WrongEpc(f"expected a URN Code 40 group 1 … 64000, got {group}")
        first, rest = divmod(group - 1, 1600)
        text += URN_CODE_40[first] + URN_CODE_40[rest // 40] + URN_CODE_40[rest % 40]
    if "\0" in text[:length] or text[length:].strip("\0"):
        raise WrongEpc(f"expected {length} characters of URN Code 40 and then padding, got {text!r}")
    return text[:length]


def write_code_40(text: str, bits: BitWriter) -> None:
    """Append `text`, which is all of URN Code 40's characters, padded to a multiple of three (14.5.6.5.1)."""
    padded = text + "\0" * (-len(text) % 3)
    for place in range(0, len(padded), 3):
        first, second, third = (URN_CODE_40.index(character) for character in padded[place : place + 3])
        bits.write(1600 * first + 40 * second + third + 1, 16)


@dataclass(frozen=True, slots=True)
class FixedBits:
    """So many digits as one binary number (14.5.2)."""

    digits: int

    def read(self, bits: BitReader) -> str:
        return read_integer(bits, self.digits)

    def write(self, text: str, bits: BitWriter) -> None:
        _must_be_digits(text, self.digits, self.digits)
        bits.write(int(text), integer_bits(self.digits))


@dataclass(frozen=True, slots=True)
class FixedDigits:
    """So many digits in four bits each (14.5.4)."""

    digits: int

    def read(self, bits: BitReader) -> str:
        text = f"{bits.read(4 * self.digits):0{self.digits}X}"
        if not is_digits(text):
            raise WrongEpc(f"expected {self.digits} digits 0 … 9, got {text}")
        return text

    def write(self, text: str, bits: BitWriter) -> None:
        _must_be_digits(text, self.digits, self.digits)
        bits.write(int(text, 16), 4 * self.digits)


@dataclass(frozen=True, slots=True)
class Numeric:
    """A length indicator and so many digits as one binary number (14.5.13)."""

    longest: int
    shortest: int = 1

    def read(self, bits: BitReader) -> str:
        digits = _read_length(bits, self.shortest, self.longest)
        return read_integer(bits, digits)

    def write(self, text: str, bits: BitWriter) -> None:
        _must_be_digits(text, self.shortest, self.longest)
        bits.write(len(text), self.longest.bit_length())
        if text:
            bits.write(int(text), integer_bits(len(text)))


@dataclass(frozen=True, slots=True)
class Alphanumeric:
    """An encoding indicator, a length indicator, and characters as the indicator says (14.5.6, Table E)."""

    longest: int
    shortest: int = 1
    characters: str = CHARACTERS_82

    def read(self, bits: BitReader) -> str:
        indicator = bits.read(3)
        length = _read_length(bits, self.shortest, self.longest)
        text = _read_characters(bits, indicator, length)
        _must_be_of(self.characters, text)
        return text

    def write(self, text: str, bits: BitWriter) -> None:
        """Choose the indicator that needs the fewest bits; of two equally good ones the lower."""
        if not self.shortest <= len(text) <= self.longest:
            raise WrongEpc(f"expected {self.shortest} … {self.longest} characters, got {len(text)} in {text!r}")
        _must_be_of(self.characters, text)
        indicator = min(_possible(text), key=lambda one: (_size(one, len(text)), one))
        bits.write(indicator, 3)
        bits.write(len(text), self.longest.bit_length())
        _write_characters(text, indicator, bits)


@dataclass(frozen=True, slots=True)
class Delimited:
    """Leading digits in four bits each, then F, or E and an alphanumeric remainder (14.5.5)."""

    longest: int
    characters: str = CHARACTERS_82

    def read(self, bits: BitReader) -> str:
        text = ""
        while (nibble := bits.read(4)) <= 9:
            text += str(nibble)
            if len(text) > self.longest:
                raise WrongEpc(f"expected at most {self.longest} characters, got more than {text}")
        if nibble == 0xE:
            text += Alphanumeric(self.longest, characters=self.characters).read(bits)
        elif nibble != 0xF:
            raise WrongEpc(f"expected a digit, delimiter E or terminator F after {text!r}, got {nibble:X}")
        self._check(text)
        return text

    def write(self, text: str, bits: BitWriter) -> None:
        self._check(text)
        digits = re.match("[0-9]*", text)[0]  # type: ignore[index]  # matches always
        for digit in digits:
            bits.write(int(digit), 4)
        if remainder := text[len(digits) :]:
            bits.write(0xE, 4)
            Alphanumeric(self.longest, characters=self.characters).write(remainder, bits)
        else:
            bits.write(0xF, 4)

    def _check(self, text: str) -> None:
        if not is_digits(text[:_MINIMUM_PREFIX]) or not _MINIMUM_PREFIX < len(text) <= self.longest:
            raise WrongEpc(
                f"expected {_MINIMUM_PREFIX + 1} … {self.longest} characters that begin with "
                f"{_MINIMUM_PREFIX} digits, got {text!r}"
            )


@dataclass(frozen=True, slots=True)
class Flag:
    """One of two texts in one bit (14.5.7, and 14.5.14 for a minus sign that may trail a temperature)."""

    zero: str
    one: str

    def read(self, bits: BitReader) -> str:
        return self.one if bits.read(1) else self.zero

    def write(self, text: str, bits: BitWriter) -> None:
        if text not in (self.zero, self.one):
            raise WrongEpc(f"expected {self.zero!r} or {self.one!r}, got {text!r}")
        bits.write(int(text == self.one), 1)


@dataclass(frozen=True, slots=True)
class Moment:
    """YYMMDD, hours and finer in 7, 4, 5, 5, 6, 6 bits (14.5.8, 14.5.9); `parts` says how many of the six."""

    parts: int

    def read(self, bits: BitReader) -> str:
        text = "".join(f"{bits.read(size):02d}" for size in (7, 4, 5, 5, 6, 6)[: self.parts])
        self._check(text)
        return text

    def write(self, text: str, bits: BitWriter) -> None:
        self._check(text)
        for place, size in enumerate((7, 4, 5, 5, 6, 6)[: self.parts]):
            bits.write(int(text[2 * place : 2 * place + 2]), size)

    def _check(self, text: str) -> None:
        form = "YYMMDDhhmmss"[: 2 * self.parts]
        if len(text) != len(form) or not is_digits(text):
            raise WrongEpc(f"expected a date of the form {form}, got {text!r}")
        month, day = int(text[2:4]), int(text[4:6])
        # Day 00 says that the day is not given (General Specifications, section 3.4).
        if not 1 <= month <= 12 or day > _DAYS[month - 1] or (month == 2 and day == 29 and int(text[:2]) % 4):
            raise WrongEpc(f"expected a date of the calendar as {form}, got {text}")
        hour, *finer = [int(text[place : place + 2]) for place in range(6, len(text), 2)] or [0]
        if hour > 24 or max(finer, default=0) > (0 if hour == 24 else 59):
            raise WrongEpc(f"expected a time of the day as {form}, got {text}")


@dataclass(frozen=True, slots=True)
class DateRange:
    """One bit, then a date, or the first and the last date (14.5.10)."""

    def read(self, bits: BitReader) -> str:
        return "".join(Moment(3).read(bits) for _ in range(1 + bits.read(1)))

    def write(self, text: str, bits: BitWriter) -> None:
        if len(text) not in (6, 12):
            raise WrongEpc(f"expected a date YYMMDD or two of them, got {text!r}")
        bits.write(int(len(text) == 12), 1)
        for place in range(0, len(text), 6):
            Moment(3).write(text[place : place + 6], bits)


@dataclass(frozen=True, slots=True)
class VariableMoment:
    """Two bits, then a date, or a date and time to the hour, the minute or the second (14.5.11)."""

    def read(self, bits: BitReader) -> str:
        return Moment(_PRECISIONS[bits.read(2)]).read(bits)

    def write(self, text: str, bits: BitWriter) -> None:
        if len(text) not in (6, 8, 10, 12):
            raise WrongEpc(f"expected YYMMDD, YYMMDDhh, YYMMDDhhmm or YYMMDDhhmmss, got {text!r}")
        bits.write(_PRECISIONS.index(len(text) // 2), 2)
        Moment(len(text) // 2).write(text, bits)


_PRECISIONS = (4, 5, 6, 3)  # parts of a moment by the two bits before it


@dataclass(frozen=True, slots=True)
class Country:
    """Two letters A … Z in six bits each (14.5.12)."""

    def read(self, bits: BitReader) -> str:
        text = BASE_64[bits.read(6)] + BASE_64[bits.read(6)]
        self._check(text)
        return text

    def write(self, text: str, bits: BitWriter) -> None:
        self._check(text)
        for letter in text:
            bits.write(BASE_64.index(letter), 6)

    @staticmethod
    def _check(text: str) -> None:
        if not re.fullmatch("[A-Z]{2}", text):
            raise WrongEpc(f"expected a country code of two letters A … Z, got {text!r}")


@dataclass(frozen=True, slots=True)
class Sequence:
    """ "n/m" as two digits 1 … 9 in four bits each (14.5.15)."""

    def read(self, bits: BitReader) -> str:
        text = f"{bits.read(4):X}/{bits.read(4):X}"
        self._check(text)
        return text

    def write(self, text: str, bits: BitWriter) -> None:
        self._check(text)
        bits.write(int(text[0]), 4)
        bits.write(int(text[2]), 4)

    @staticmethod
    def _check(text: str) -> None:
        if not re.fullmatch("[1-9]/[1-9]", text):
            raise WrongEpc(f"expected a sequence such as 1/3, got {text!r}")


@dataclass(frozen=True, slots=True)
class Pair:
    """A part of fixed length and what follows it (the second component of Table F)."""

    first: FixedBits | FixedDigits
    second: Method

    def read(self, bits: BitReader) -> str:
        first = self.first.read(bits)
        return first + self.second.read(bits)

    def write(self, text: str, bits: BitWriter) -> None:
        self.first.write(text[: self.first.digits], bits)
        self.second.write(text[self.first.digits :], bits)


def _must_be_digits(text: str, shortest: int, longest: int) -> None:
    if not shortest <= len(text) <= longest or (text and not is_digits(text)):
        count = str(longest) if shortest == longest else f"{shortest} … {longest}"
        raise WrongEpc(f"expected {count} digits, got {text!r}")


def _must_be_of(characters: str, text: str) -> None:
    if wrong := set(text) - set(characters):
        raise WrongEpc(f"expected only characters that GS1 permits here, got {min(wrong)!r} in {text!r}")


def _read_length(bits: BitReader, shortest: int, longest: int) -> int:
    length = bits.read(longest.bit_length())
    if not shortest <= length <= longest:
        raise WrongEpc(f"expected {shortest} … {longest} characters, got a length of {length}")
    return length


# Encoding indicator → its characters and the bits of one (Table E); 0 is a number and 5 is URN Code 40.
_ALPHABETS = {1: (UPPER_HEX, 4), 2: (LOWER_HEX, 4), 3: (BASE_64, 6), 4: ("".join(map(chr, range(128))), 7)}


def _possible(text: str) -> list[int]:
    """The encoding indicators that can write `text`."""
    can = [one for one, (alphabet, _) in _ALPHABETS.items() if set(text) <= set(alphabet)]
    if is_digits(text) or not text:
        can.append(0)
    if set(text) <= set(URN_CODE_40[1:]):
        can.append(5)
    return can


def _size(indicator: int, length: int) -> int:
    """How many bits so many characters take (Table B)."""
    if indicator == 0:
        return integer_bits(length) if length else 0
    if indicator == 5:
        return -(-length // 3) * 16
    return _ALPHABETS[indicator][1] * length


def _read_characters(bits: BitReader, indicator: int, length: int) -> str:
    if indicator == 0:
        return read_integer(bits, length)
    if indicator == 5:
        return read_code_40(bits, length)
    if indicator not in _ALPHABETS:
        raise WrongEpc(f"expected an encoding indicator 0 … 5, got {indicator}, which is reserved")
    alphabet, size = _ALPHABETS[indicator]
    return "".join(alphabet[bits.read(size)] for _ in range(length))


def _write_characters(text: str, indicator: int, bits: BitWriter) -> None:
    if indicator == 5:
        write_code_40(text, bits)
    elif indicator:
        alphabet, size = _ALPHABETS[indicator]
        for character in text:
            bits.write(alphabet.index(character), size)
    elif text:
        bits.write(int(text), integer_bits(len(text)))
