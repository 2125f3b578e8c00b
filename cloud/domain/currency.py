"""Currencies: number and minor unit by ISO 4217, and amounts turned from one into another at a rate.

An amount is an integer of its currency's minor unit (2 digits for CNY, none for JPY, 3 for KWD). A rate is an integer
of 10⁻⁹: so much of the company's currency for one whole unit of the other. Amounts are rounded once, half up on
magnitude, and never go through a float.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloud.domain.rounding import OVERFLOW, muldiv_columns, round_ratio

Int64 = NDArray[np.int64]

NANO = 1_000_000_000  # of a rate: one to one
RATE_DIGITS = 9
DIGITS_MAX = 6  # of a minor unit: cost values are kept to 10⁻⁶


class UnknownCurrency(ValueError):
    """The code is not in our table of currencies."""


class RateTooSmall(ValueError):
    """A rate below half of 10⁻⁹ is nothing, and what it would make of an amount too."""


@dataclass(frozen=True, slots=True)
class Currency:
    """A currency of ISO 4217: three-digit number, code, digits behind the point of its amounts."""

    number: int
    code: str
    minor_digits: int


# ISO 4217:2015, list one (code, number, minor unit): those that our companies have asked for. A new one comes with a
# migration that adds it to the table `currencies`, which a test holds against this one.
CURRENCIES = tuple(
    Currency(number, code, digits)
    for code, number, digits in (
        ("AED", 784, 2), ("AUD", 36, 2), ("BHD", 48, 3), ("BRL", 986, 2), ("CAD", 124, 2), ("CHF", 756, 2),
        ("CLP", 152, 0), ("CNY", 156, 2), ("CZK", 203, 2), ("DKK", 208, 2), ("EUR", 978, 2), ("GBP", 826, 2),
        ("HKD", 344, 2), ("HUF", 348, 2), ("IDR", 360, 2), ("INR", 356, 2), ("ISK", 352, 0), ("JOD", 400, 3),
        ("JPY", 392, 0), ("KRW", 410, 0), ("KWD", 414, 3), ("MOP", 446, 2), ("MXN", 484, 2), ("MYR", 458, 2),
        ("NOK", 578, 2), ("NZD", 554, 2), ("OMR", 512, 3), ("PHP", 608, 2), ("PLN", 985, 2), ("SAR", 682, 2),
        ("SEK", 752, 2), ("SGD", 702, 2), ("THB", 764, 2), ("TND", 788, 3), ("TRY", 949, 2), ("TWD", 901, 2),
        ("USD", 840, 2), ("VND", 704, 0), ("ZAR", 710, 2),
    )
)  # fmt: skip
_BY_CODE = {one.code: one for one in CURRENCIES}
_BY_NUMBER = {one.number: one for one in CURRENCIES}
MINOR_DIGITS = {one.code: one.minor_digits for one in CURRENCIES}
NUMBERS = {one.code: one.number for one in CURRENCIES}


def currency_of(code: str) -> Currency:
    """The currency of an ISO 4217 code. Raises UnknownCurrency."""
    try:
        return _BY_CODE[code]
    except KeyError:
        raise UnknownCurrency(f"expected an ISO 4217 code such as CNY, GBP or JPY, got {code!r}") from None


def currency_numbered(number: int) -> Currency:
    """The currency of an ISO 4217 number. Raises UnknownCurrency."""
    try:
        return _BY_NUMBER[number]
    except KeyError:
        raise UnknownCurrency(f"expected an ISO 4217 number such as 156, got {number}") from None


def minor_digits(currency: str) -> int:
    """Digits behind the point of an amount in `currency` (its ISO 4217 code). Raises UnknownCurrency."""
    return currency_of(currency).minor_digits


def number_of(currency: str) -> int:
    """The ISO 4217 number of a code. Raises UnknownCurrency."""
    return currency_of(currency).number


def code_of(number: int) -> str:
    """The code of an ISO 4217 number. Raises UnknownCurrency."""
    return currency_numbered(number).code


def digits_of(number: int) -> int:
    """Digits behind the point of an amount in the currency of this number. Raises UnknownCurrency."""
    return currency_numbered(number).minor_digits


def foreign_number(currency: str | None, base: str) -> int:
    """How rows of the books name a document's currency: its number, or 0 for the company's own and for none told.

    Raises UnknownCurrency.
    """
    return 0 if currency is None or currency == base else number_of(currency)


# ── Amounts at a rate ──


def to_base(amount: int, digits: int, rate_nano: int, base_digits: int) -> int:
    """An amount of another currency in the company's: minor units with `digits` → minor units with `base_digits`."""
    return round_ratio(amount * rate_nano, _divisor(digits, base_digits))


def from_base(amount: int, digits: int, rate_nano: int, base_digits: int) -> int:
    """The other way: minor units of the company's currency → those of one with `digits`, at the same rate."""
    return round_ratio(amount * _divisor(digits, base_digits), rate_nano)


def columns_to_base(amount: Int64, digits: int | Int64, rate_nano: Int64, base_digits: int) -> Int64:
    """`to_base` of int64[n], rate_nano ≥ 0. Raises OverflowError where an amount passes int64."""
    divisor = 10 ** (RATE_DIGITS - base_digits + np.broadcast_to(np.asarray(digits, np.int64), amount.shape))
    found = muldiv_columns(np.abs(amount), rate_nano, divisor)
    if (past := np.flatnonzero(found == OVERFLOW)).size:
        row = int(past[0])
        raise OverflowError(f"row {row}: {amount[row]} at {rate_nano[row]} × 10⁻⁹ passes what the books can hold")
    return np.where(amount < 0, -found, found)


def rate_of(amount: int, digits: int, base_amount: int, base_digits: int) -> int:
    """The rate at which an amount (not 0) came to `base_amount`, in 10⁻⁹; as papers state it beside both."""
    return round_ratio(abs(base_amount) * _divisor(digits, base_digits), abs(amount))


def per_units(rate_nano: int, units: int) -> int:
    """The rate of one unit where `rate_nano` was told for `units` of them. Raises RateTooSmall."""
    return _told(rate_nano, units)


def inverse(per_base_nano: int, units: int = 1) -> int:
    """The rate where so much of the other currency (10⁻⁹, > 0) is `units` of the company's. Raises RateTooSmall."""
    return _told(NANO * NANO * units, per_base_nano)


def _told(numerator: int, denominator: int) -> int:
    if (found := round_ratio(numerator, denominator)) == 0:
        raise RateTooSmall("expected a rate of at least 0.0000000005 for one unit, got less")
    return found


def _divisor(digits: int, base_digits: int) -> int:
    return int(10 ** (RATE_DIGITS + digits - base_digits))
