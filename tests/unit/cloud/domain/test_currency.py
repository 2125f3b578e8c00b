"""Amounts from one currency into another: exact, rounded once, for minor units of none, two and three digits."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.domain.currency import (
    CURRENCIES,
    NANO,
    Currency,
    RateTooSmall,
    UnknownCurrency,
    code_of,
    columns_to_base,
    currency_of,
    digits_of,
    foreign_number,
    from_base,
    inverse,
    minor_digits,
    number_of,
    per_units,
    rate_of,
    to_base,
)

DIGITS = st.integers(0, 6)
RATES = st.integers(1, 10**15)  # 10⁻⁹ … a million

# amount, its digits, rate, the company's digits, what it comes to
EXAMPLES = [
    (100_00, 2, 7_123_450_000, 2, 712_35),  # $100.00 at 7.12345 in yuan, half up
    (100_00, 2, 151_253_000_000, 0, 15_125),  # in yen
    (100_00, 2, 307_250_000, 3, 30_725),  # in Kuwaiti dinars
    (10_000, 0, 47_215_000, 2, 472_15),  # ¥10,000 in yuan
    (10_000, 0, 2_031_300, 3, 20_313),  # in dinars
    (1_234_567, 3, 23_281_000_000, 2, 28_741_95),  # 1,234.567 dinars in yuan
    (1_234_567, 3, 492_000_000_000, 0, 607_407),  # in yen
    (-1_50, 2, 1_000_000_000, 0, -2),  # half up on magnitude, on either side
    (1_50, 2, 1_000_000_000, 0, 2),
    (1, 0, 4_999_999, 2, 0),  # what rounds to nothing is nothing
]


@pytest.mark.parametrize(("amount", "digits", "rate", "base_digits", "base"), EXAMPLES)
def test_amounts_come_to_what_they_are_worth(
    amount: int, digits: int, rate: int, base_digits: int, base: int
) -> None:
    assert to_base(amount, digits, rate, base_digits) == base
    assert columns_to_base(np.array([amount]), digits, np.array([rate]), base_digits).tolist() == [base]


def test_columns_of_several_currencies_at_once() -> None:
    found = columns_to_base(
        np.array([100_00, 10_000, -1_234_567]),
        np.array([2, 0, 3]),
        np.array([7_123_450_000, 47_215_000, 23 * NANO]),
        2,
    )
    assert found.tolist() == [712_35, 472_15, -28_395_04]


def test_the_other_way_round() -> None:
    assert from_base(712_35, 2, 7_123_450_000, 2) == 100_00
    assert from_base(15_125, 0, 47_215_000, 2) == 3_203  # 151.25 yuan in yen
    assert from_base(20_313, 3, 2_031_300, 3) == 10_000_000
    assert from_base(20_313, 0, 2_031_300, 3) == 10_000


@given(st.integers(-(10**17), 10**17), DIGITS, RATES, DIGITS)
def test_rounding_is_half_up_on_magnitude_of_the_exact_product(
    amount: int, digits: int, rate: int, base_digits: int
) -> None:
    exact = Fraction(amount, 10**digits) * Fraction(rate, NANO) * 10**base_digits
    found = to_base(amount, digits, rate, base_digits)
    assert abs(found - exact) <= Fraction(1, 2)
    if abs(found - exact) == Fraction(1, 2):
        assert abs(found) > abs(exact)


@given(st.lists(st.tuples(st.integers(-(10**12), 10**12), DIGITS, st.integers(1, 10**12)), min_size=1), DIGITS)
def test_columns_are_single_amounts(rows: list[tuple[int, int, int]], base_digits: int) -> None:
    amount, digits, rate = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    single = [to_base(*row, base_digits) for row in rows]
    if max(map(abs, single)) >= 2**63:
        with pytest.raises(OverflowError):
            columns_to_base(amount, digits, rate, base_digits)
    else:
        assert columns_to_base(amount, digits, rate, base_digits).tolist() == single


def test_what_passes_the_books_says_which_row() -> None:
    with pytest.raises(OverflowError, match=r"row 1: 1000000000000000000 at 1000000000000 × 10⁻⁹"):
        columns_to_base(np.array([1, 10**18]), 2, np.array([NANO, 1000 * NANO]), 2)


@given(st.integers(1, 10**15), DIGITS, st.integers(10**6, 10**12), DIGITS)
def test_the_rate_of_two_amounts_leads_from_one_to_the_other(
    amount: int, digits: int, rate: int, base_digits: int
) -> None:
    """Half a minor unit on a large amount is far below 10⁻⁹; on a small one the rate is as good as the amounts."""
    base = to_base(amount, digits, rate, base_digits)
    found = rate_of(amount, digits, base, base_digits)
    assert abs(to_base(amount, digits, found, base_digits) - base) * 2 * NANO * 10**digits <= (
        amount * 10**base_digits + NANO * 10**digits
    )


def test_a_rate_quoted_the_other_way_round() -> None:
    assert inverse(140_380_000) == 7_123_521_869  # 0.14038 dollars for a yuan
    assert inverse(NANO) == NANO
    assert inverse(2_117_000_000, 100) == 47_236_655_645  # 2.117 dinars for a hundred yen
    with pytest.raises(RateTooSmall, match="at least"):
        inverse(3 * 10**18)


def test_a_rate_quoted_for_a_hundred() -> None:
    assert per_units(4_721_500_000, 100) == 47_215_000
    with pytest.raises(RateTooSmall):
        per_units(1, 100)


def test_codes_numbers_and_digits() -> None:
    assert currency_of("KWD") == Currency(414, "KWD", 3)
    assert [minor_digits(code) for code in ("JPY", "CNY", "KWD")] == [0, 2, 3]
    assert all(code_of(number_of(one.code)) == one.code for one in CURRENCIES)
    assert len({one.number for one in CURRENCIES}) == len({one.code for one in CURRENCIES}) == len(CURRENCIES)
    assert digits_of(392) == 0


def test_the_companys_own_currency_is_number_0() -> None:
    assert foreign_number("CNY", "CNY") == foreign_number(None, "CNY") == 0
    assert foreign_number("USD", "CNY") == 840


@pytest.mark.parametrize(
    "ask", [lambda: number_of("cny"), lambda: code_of(1), lambda: foreign_number("XXX", "CNY")]
)
def test_unknown_currencies_are_named(ask: object) -> None:
    with pytest.raises(UnknownCurrency, match="expected an ISO 4217"):
        ask()  # type: ignore[operator]
