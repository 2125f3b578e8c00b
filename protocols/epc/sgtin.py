"""SGTIN-96: the EPC memory of a tag on a trade item ↔ GTIN-14 and serial number.

Source: GS1 EPC Tag Data Standard 1.13 and 2.1, section 14.6.1 (SGTIN coding tables) and 14.2 (the
partition table); GTIN-14 and its check digit: GS1 General Specifications, sections 3.3.2 and 7.9.

    96 bits: header 8 = 0x30 · filter 3 · partition 3 · company prefix 20…40 · item reference 24…4 · serial 38

The first digit of the item reference is the GTIN-14's indicator digit, which the GTIN puts before the
company prefix.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

HEADER = 0x30
SERIAL_BITS = 38
SERIAL_MAX = 2**SERIAL_BITS - 1
HEX_DIGITS = 24
_HEX = re.compile(r"[0-9A-Fa-f]{24}")

# Partition → (bits and digits of the company prefix, bits and digits of indicator and item reference).
PARTITIONS = (
    (40, 12, 4, 1),
    (37, 11, 7, 2),
    (34, 10, 10, 3),
    (30, 9, 14, 4),
    (27, 8, 17, 5),
    (24, 7, 20, 6),
    (20, 6, 24, 7),
)


class NotSgtin(ValueError):
    """The tag memory, or the key, is no SGTIN-96."""


@dataclass(frozen=True, slots=True)
class Sgtin:
    """A trade item's serialised key, as its tag carries it.

    filter          0 … 7, TDS table 10-1 (1 point of sale, 2 full case, …)
    company_prefix  6 … 12 digits
    item_reference  indicator digit and item reference, 7 … 1 digits
    serial          0 … 2³⁸ − 1
    """

    filter: int
    company_prefix: str
    item_reference: str
    serial: int

    def __post_init__(self) -> None:
        if not 0 <= self.filter <= 7:
            raise NotSgtin(f"expected a filter value 0 … 7, got {self.filter}")
        for name, digits in (
            ("company prefix", self.company_prefix),
            ("item reference", self.item_reference),
        ):
            if not (digits.isascii() and digits.isdigit()):
                raise NotSgtin(f"expected digits as {name}, got {digits!r}")
        if not 6 <= len(self.company_prefix) <= 12 or len(self.company_prefix + self.item_reference) != 13:
            raise NotSgtin(
                "expected a company prefix of 6 to 12 digits and 13 digits with the item reference, "
                f"got {self.company_prefix!r} and {self.item_reference!r}"
            )
        if not 0 <= self.serial <= SERIAL_MAX:
            raise NotSgtin(f"expected a serial number 0 … {SERIAL_MAX}, got {self.serial}")

    @property
    def gtin(self) -> str:
        """The GTIN-14: indicator, company prefix, item reference, check digit."""
        digits = self.item_reference[0] + self.company_prefix + self.item_reference[1:]
        return digits + check_digit(digits)


def decode(epc_hex: str) -> Sgtin:
    """Read 24 hex digits of EPC memory. Raises NotSgtin."""
    bits = _bits(epc_hex)
    layout = _LAYOUTS.get(bits >> 82)
    if layout is None:
        raise _refusal(epc_hex)
    prefix_shift, prefix_mask, prefix_end, reference_mask, reference_end, prefix_digits = layout
    prefix = bits >> prefix_shift & prefix_mask
    reference = bits >> SERIAL_BITS & reference_mask
    if prefix >= prefix_end or reference >= reference_end:
        raise _refusal(epc_hex)
    # Past __post_init__: what it would ask has just been asked of the bits, and this is done for every tag.
    sgtin = _new(Sgtin)
    _set(sgtin, "filter", bits >> 85 & 0b111)
    _set(sgtin, "company_prefix", str(prefix).zfill(prefix_digits))
    _set(sgtin, "item_reference", str(reference).zfill(13 - prefix_digits))
    _set(sgtin, "serial", bits & SERIAL_MAX)
    return sgtin


_new, _set = object.__new__, object.__setattr__


def _bits(epc_hex: str) -> int:
    """The memory as a number; 0, which has no layout, where it is not 24 hex digits."""
    try:
        memory = bytes.fromhex(epc_hex)
    except ValueError:
        return 0
    # Both lengths, because bytes.fromhex lets blanks pass.
    return int.from_bytes(memory, "big") if len(memory) == _BYTES and len(epc_hex) == HEX_DIGITS else 0


def _refusal(epc_hex: str) -> NotSgtin:
    """Why memory that `decode` cannot read is no SGTIN-96."""
    if not _HEX.fullmatch(epc_hex):
        return NotSgtin(f"expected {HEX_DIGITS} hex digits, got {epc_hex!r}")
    bits = int(epc_hex, 16)
    if bits >> 88 != HEADER:
        return NotSgtin(f"expected header {HEADER:02X}, got {epc_hex[:2]!r}")
    partition = bits >> 82 & 0b111
    if partition >= len(PARTITIONS):
        return NotSgtin(f"expected a partition 0 … 6, got {partition}")
    prefix_bits, prefix_digits, reference_bits, reference_digits = PARTITIONS[partition]
    prefix = bits >> (82 - prefix_bits) & (1 << prefix_bits) - 1
    if prefix >= 10**prefix_digits:
        return NotSgtin(f"expected a company prefix of {prefix_digits} digits, got {prefix}")
    reference = bits >> SERIAL_BITS & (1 << reference_bits) - 1
    return NotSgtin(f"expected an item reference of {reference_digits} digits, got {reference}")


def encode(sgtin: Sgtin) -> str:
    """The 24 upper-case hex digits of EPC memory that carry `sgtin`."""
    partition = 12 - len(sgtin.company_prefix)
    prefix_bits, _, _, _ = PARTITIONS[partition]
    bits = HEADER << 88 | sgtin.filter << 85 | partition << 82
    bits |= int(sgtin.company_prefix) << (82 - prefix_bits) | int(sgtin.item_reference) << SERIAL_BITS
    return f"{bits | sgtin.serial:0{HEX_DIGITS}X}"


def sgtin_of(gtin: str, prefix_digits: int, serial: int, filter_value: int = 0) -> Sgtin:
    """The SGTIN of a GTIN-14 whose company prefix has `prefix_digits` digits (a GTIN does not tell).

    Raises NotSgtin, also when the check digit is wrong.
    """
    if len(gtin) != 14 or not (gtin.isascii() and gtin.isdigit()):
        raise NotSgtin(f"expected a GTIN of 14 digits, got {gtin!r}")
    if gtin[13] != (right := check_digit(gtin[:13])):
        raise NotSgtin(f"expected check digit {right} in {gtin}, got {gtin[13]}")
    return Sgtin(filter_value, gtin[1 : 1 + prefix_digits], gtin[0] + gtin[1 + prefix_digits : 13], serial)


def gtin_of(epc_hex: str) -> str | None:
    """The GTIN-14 that `epc_hex` carries, or None where it is no SGTIN-96 (factory memory, other schemes)."""
    return gtins_of((epc_hex,))[0]


def gtins_of(memories: Iterable[str]) -> list[str | None]:
    """The GTIN-14 of each, as `gtin_of` says it: the hot path, where thousands of tags come at once."""
    gtins: list[str | None] = []
    for memory in memories:
        bits = _bits(memory)
        layout = _LAYOUTS.get(bits >> 82)
        if layout is None:
            gtins.append(None)
            continue
        prefix_shift, prefix_mask, prefix_end, reference_mask, reference_end, prefix_digits = layout
        prefix = bits >> prefix_shift & prefix_mask
        reference = bits >> SERIAL_BITS & reference_mask
        if prefix >= prefix_end or reference >= reference_end:
            gtins.append(None)
            continue
        scale = _POWERS[12 - prefix_digits]
        indicator, item = divmod(reference, scale)
        low = prefix * scale + item
        digits = indicator * 10**12 + low
        weights = _WEIGHTS[low % 10_000] + _WEIGHTS[low // 10_000 % 10_000] + _WEIGHTS[low // 10**8]
        gtins.append(f"{digits * 10 + -(weights + 3 * indicator) % 10:014d}")
    return gtins


_BYTES = HEX_DIGITS // 2
_POWERS = tuple(10**power for power in range(7))
# The first 14 bits of memory (header, filter, partition) → where prefix and reference stand, how great they may be,
# and how many digits the prefix has.
_LAYOUTS = {
    HEADER << 6 | filter_value << 3 | partition: (
        82 - prefix_bits,
        (1 << prefix_bits) - 1,
        10**prefix_digits,
        (1 << reference_bits) - 1,
        10**reference_digits,
        prefix_digits,
    )
    for filter_value in range(8)
    for partition, (prefix_bits, prefix_digits, reference_bits, reference_digits) in enumerate(PARTITIONS)
}
# The weighted sum of four digits: 1, 3, 1, 3 to the right end, so that groups of four add up to the check digit's.
_WEIGHTS = tuple(
    number // 1000 + number // 100 % 10 * 3 + number // 10 % 10 + number % 10 * 3 for number in range(10_000)
)


def check_digit(digits: str) -> str:
    """The GS1 check digit of the digits before it: weights 3, 1, 3, … from the right, complement to ten."""
    number, total = int(digits), 0
    while number:
        number, four = divmod(number, 10_000)
        total += _WEIGHTS[four]
    return str(-total % 10)
