"""The one rounding rule: half up on magnitude, exact for every int64, never through a float.

Written once for numba, so that kernels, columns and single values round alike. What overflows is an
error that the caller can name, never a wrapped number.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

OVERFLOW = -1  # no product, quotient or rounded amount of magnitudes is negative

_LOW = np.uint64(0xFFFFFFFF)
_THIRTYTWO = np.uint64(32)
_ONE = np.uint64(1)
_ZERO = np.uint64(0)
_SIXTYTHREE = np.uint64(63)
_INT64_MAX = np.uint64(2**63 - 1)


@njit(cache=True, inline="never")
def muldiv(a, b, c):
    """a × b ÷ c rounded half up, through a 128-bit product; OVERFLOW where it passes int64.

    a, b  int64 ≥ 0;  c  int64 ≥ 1

    Schoolbook: a 128-bit product of 32-bit halves, then a restoring division bit by bit (Knuth, The Art
    of Computer Programming, volume 2, section 4.3.1, in base 2). Products below 2⁶³ take the short way.
    """
    if b == 0 or a <= (2**63 - 1) // b:
        product = a * b
        quotient = product // c
        rest = product - quotient * c
        return quotient + 1 if rest >= c - rest else quotient
    ua, ub, uc = np.uint64(a), np.uint64(b), np.uint64(c)
    a1, a0 = ua >> _THIRTYTWO, ua & _LOW
    b1, b0 = ub >> _THIRTYTWO, ub & _LOW
    low = a0 * b0
    mid = a1 * b0 + (low >> _THIRTYTWO)
    mid2 = a0 * b1 + (mid & _LOW)
    high = a1 * b1 + (mid >> _THIRTYTWO) + (mid2 >> _THIRTYTWO)
    low = (mid2 << _THIRTYTWO) | (low & _LOW)
    if high >= uc:
        return OVERFLOW
    quotient_u = _ZERO
    rest_u = high
    for _ in range(64):
        rest_u = (rest_u << _ONE) | (low >> _SIXTYTHREE)  # rest < c < 2⁶³, so the shift loses nothing
        low = low << _ONE
        quotient_u = quotient_u << _ONE
        if rest_u >= uc:
            rest_u -= uc
            quotient_u |= _ONE
    # Looked at before rounding: a quotient of 2⁶⁴ − 1 would round up to nought.
    if quotient_u > _INT64_MAX:
        return OVERFLOW
    if rest_u >= uc - rest_u:
        quotient_u += _ONE
    if quotient_u > _INT64_MAX:
        return OVERFLOW
    return np.int64(quotient_u)


@njit(cache=True)
def to_minor(value, unit):
    """`value` (10⁻⁶ of a currency) in minor units of `unit` × 10⁻⁶ each, half up on magnitude.

    value  int64;  unit  int64 ≥ 1
    """
    quotient = value // unit  # towards minus infinity, so that the rest is 0 … unit − 1 on either side of zero
    rest = value - quotient * unit
    if value < 0:
        return quotient + 1 if rest > unit - rest else quotient
    return quotient + 1 if rest >= unit - rest else quotient


@njit(cache=True)
def muldiv_columns(a, b, c):
    """Element-wise `muldiv` of int64[n], int64[n], int64[n] → int64[n], OVERFLOW where it passes int64."""
    result = np.empty(len(a), np.int64)
    for i in range(len(a)):
        result[i] = muldiv(a[i], b[i], c[i])
    return result


def round_ratio(numerator: int, denominator: int) -> int:
    """numerator ÷ denominator (> 0) rounded half up on magnitude, for Python integers of any size."""
    if numerator < 0:
        return -round_ratio(-numerator, denominator)
    return (2 * numerator + denominator) // (2 * denominator)


def minor_unit(minor_digits: int) -> int:
    """How many 10⁻⁶ of a currency one minor unit is: 10,000 with two digits, 1,000,000 with none."""
    return 10 ** (6 - minor_digits)


Int64 = NDArray[np.int64]
