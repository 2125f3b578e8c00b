"""The border between integers of a stated unit and the decimal texts that people and JSON see.

Quantities and cost values are integers of 10⁻⁶, ledger amounts integers of the currency's minor unit.
Nothing here goes through a float, so what was written comes back digit for digit.
"""

import re

MICRO_DIGITS = 6
_DECIMAL = re.compile(r"(?P<whole>[0-9]{1,13})(?:\.(?P<fraction>[0-9]{1,9}))?")


class NotADecimal(ValueError):
    """The text is no plain decimal number of that many digits."""


def minor_text(amount: int, minor_digits: int) -> str:
    """A ledger amount with all digits of its currency: 4840 with two digits is "48.40"."""
    sign = "-" if amount < 0 else ""
    digits = str(abs(amount)).rjust(minor_digits + 1, "0")
    if minor_digits == 0:
        return sign + digits
    return f"{sign}{digits[:-minor_digits]}.{digits[-minor_digits:]}"


def micro_text(value: int, at_least: int = 0) -> str:
    """An integer of 10⁻⁶ without trailing zeros, but with `at_least` digits: 2500000 is "2.5"."""
    whole, _, fraction = minor_text(value, MICRO_DIGITS).partition(".")
    fraction = fraction.rstrip("0").ljust(at_least, "0")
    return f"{whole}.{fraction}" if fraction else whole


def scaled_text(value: int, digits: int) -> str:
    """An integer of 10⁻ᵈⁱᵍⁱᵗˢ without trailing zeros: 12500 with three digits is "12.5"."""
    return micro_text(value * 10 ** (MICRO_DIGITS - digits))


def parse_scaled(text: str, digits: int) -> int:
    """A decimal text without sign as an integer of 10⁻ᵈⁱᵍⁱᵗˢ; never rounds. Raises NotADecimal."""
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise NotADecimal(f"expected a decimal number such as 12 or 0.25, got {text[:40]!r}")
    fraction = match["fraction"] or ""
    if len(fraction.rstrip("0")) > digits:
        raise NotADecimal(f"expected at most {digits} digits after the point, got {text!r}")
    return int(match["whole"]) * 10**digits + int(fraction.rstrip("0").ljust(digits, "0") or "0")
