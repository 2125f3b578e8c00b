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


# Below these the estimate of `muldiv` is proved near enough; powers of two, so that they are exact as doubles.
_NEAR_QUOTIENT = 2.0**50
_NEAR_DIVISOR = 2**61
_FAR_QUOTIENT = 2.0**62
_FAR_DIVISOR = 2**49


@njit(cache=True, forceinline=True, error_model="numpy")
def muldiv(a, b, c):
    """a × b ÷ c rounded half up, exact as through a 128-bit product; OVERFLOW where it passes int64.

    a, b  int64 ≥ 0;  c  int64 ≥ 1

    A quotient in double, then corrected by the remainder a × b − q × c: both products wrap, their difference
    does not while it fits int64. Three conversions, a division and a multiplication leave the estimate within
    5.01 × 2⁻⁵³ of the quotient. Below 2⁵⁰ that, with the rounding of + ½, is less than 0.7: q is the answer or
    its neighbour, and with c ≤ 2⁶¹ neither remainder nor c ± remainder wraps. Below 2⁶² it is less than 2,600,
    and with c ≤ 2⁴⁹ the remainder stays below 2⁶¹, so that one division of it says by how much q was off. Beyond
    those bounds a double knows too little, and the long way of 32-bit halves answers.

    The quotient b ÷ c comes first: in a queue of takes `a` is what the take before left, so that the division
    is done before `a` is known.
    """
    estimate = float(a) * (float(b) / float(c))
    if estimate < _NEAR_QUOTIENT and c <= _NEAR_DIVISOR:
        quotient = int(estimate + 0.5)
        rest = a * b - quotient * c
        return quotient + (rest >= c - rest) - (-rest > c + rest)
    if estimate < _FAR_QUOTIENT and c <= _FAR_DIVISOR:
        quotient = int(estimate)
        rest = a * b - quotient * c
        off = rest // c  # towards minus infinity, so that the rest is 0 … c − 1
        rest -= off * c
        return quotient + off + (rest >= c - rest)
    return _muldiv_in_halves(a, b, c)


@njit(cache=True)
def _muldiv_in_halves(a, b, c):
    """`muldiv` for every a, b ≥ 0 and c ≥ 1.

    Schoolbook: a 128-bit product of 32-bit halves, then a restoring division bit by bit (Knuth, The Art
    of Computer Programming, volume 2, section 4.3.1, in base 2).
    """
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
