"""The one rounding rule against Python's integers."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cloud.domain.rounding import OVERFLOW, minor_unit, muldiv, muldiv_columns, round_ratio, to_minor

INT64_MAX = 2**63 - 1

# Small, anything, and the edges of the halves and of the type: each finds other faults.
whole = st.one_of(
    st.integers(0, 20), st.integers(0, INT64_MAX), st.integers(2**31 - 3, 2**33), st.integers(2**62, INT64_MAX)
)
divisor = whole.map(lambda number: max(number, 1))
magnitudes = st.integers(0, 63).flatmap(lambda bits: st.integers(0, 2**bits - 1))


def half_up(numerator: int, denominator: int) -> int:
    """The rule in words: to the nearest, and what lies in the middle away from zero."""
    quotient, rest = divmod(abs(numerator), denominator)
    quotient += 2 * rest >= denominator
    return -quotient if numerator < 0 else quotient


@given(whole, whole, divisor)
@example(INT64_MAX, INT64_MAX, INT64_MAX)
@example(INT64_MAX, 1, 1)
@example(INT64_MAX, INT64_MAX, 1)
@example(1, 1, 2)
@example(3, 1, 2)
@example(2**32, 2**31, 1)  # exactly 2⁶³, the first that does not fit
# The quotient is 2⁶⁴ − 1 and its rest says up: rounded first, it would be nought.
@example(8434077544689866307, 4626302738514874376, 2115202329795161735)
@example(5261504621763963649, 8789862394827757142, 2507103770196952443)
def test_muldiv_is_exact_or_says_that_it_overflows(a: int, b: int, c: int) -> None:
    exact = half_up(a * b, c)
    expected = exact if exact <= INT64_MAX else OVERFLOW
    assert muldiv(a, b, c) == expected
    assert int(muldiv.py_func(a, b, c)) == expected
    assert muldiv_columns(np.array([a, 1]), np.array([b, 1]), np.array([c, 1])).tolist() == [expected, 1]


def exact_muldiv(a: int, b: int, c: int) -> int:
    exact = half_up(a * b, c)
    return exact if exact <= INT64_MAX else OVERFLOW


@given(magnitudes, magnitudes, magnitudes.map(lambda number: max(number, 1)))
def test_muldiv_is_exact_for_factors_of_every_length(a: int, b: int, c: int) -> None:
    expected = exact_muldiv(a, b, c)
    assert muldiv(a, b, c) == expected
    assert int(muldiv.py_func(a, b, c)) == expected


@given(
    st.sampled_from([50, 61, 62, 63]),
    st.sampled_from([1, 2, 3, 2**20, 2**48 - 1, 2**49, 2**49 + 1, 2**61 - 1, 2**61, 2**61 + 1, 2**63 - 1]),
    st.integers(-4, 4),
    st.integers(1, INT64_MAX),
)
def test_muldiv_is_exact_on_both_sides_of_where_its_ways_part(bits: int, c: int, near: int, b: int) -> None:
    """a is such that the quotient lies about 2 to the power of `bits`, which is where a guard stands."""
    a = min(max(((2**bits + near) * c + c // 2) // b + near, 0), INT64_MAX)
    assert muldiv(a, b, c) == exact_muldiv(a, b, c)
    assert muldiv(b, a, c) == exact_muldiv(b, a, c)


def test_muldiv_is_exact_in_a_sweep_too_long_for_examples() -> None:
    """200,000 triples of random lengths through the column form, every one against Python's integers."""
    chance = np.random.default_rng(20261)
    columns = [chance.integers(0, INT64_MAX, 200_000) >> chance.integers(0, 63, 200_000) for _ in range(3)]
    columns[2] = np.maximum(columns[2], 1)
    found = muldiv_columns(*columns).tolist()
    wrong = [
        row for *row, got in zip(*(c.tolist() for c in columns), found, strict=True) if exact_muldiv(*row) != got
    ]
    assert wrong == []


@given(st.integers(0, 2**40), st.integers(1, 2**20))
def test_a_half_goes_up_however_wide_the_product_is(quotient: int, c: int) -> None:
    """(2q + 1) × c ÷ 2c lies exactly in the middle of q and q + 1, through the short way and through the long."""
    assert muldiv(2 * quotient + 1, c, 2 * c) == quotient + 1
    wide = c << 40
    assert muldiv(2 * quotient + 1, wide, 2 * wide) == quotient + 1


@given(st.integers(-(2**63), INT64_MAX), st.sampled_from([1, 10, 1000, 10_000, 1_000_000]))
@example(-(2**63), 10_000)
@example(-(2**63), 1)
@example(-5_000, 10_000)
@example(4_999, 10_000)
def test_minor_units_are_rounded_alike_on_both_sides_of_zero(value: int, unit: int) -> None:
    assert to_minor(np.int64(value), unit) == half_up(value, unit)
    assert to_minor.py_func(value, unit) == half_up(value, unit)


@given(st.integers(-(10**60), 10**60), st.integers(1, 10**30))
def test_a_ratio_of_any_size_is_rounded_by_the_same_rule(numerator: int, denominator: int) -> None:
    assert round_ratio(numerator, denominator) == half_up(numerator, denominator)


@pytest.mark.parametrize(("digits", "unit"), [(0, 1_000_000), (2, 10_000), (3, 1_000), (6, 1)])
def test_a_minor_unit_is_what_the_currency_says(digits: int, unit: int) -> None:
    assert minor_unit(digits) == unit
