"""Decimals as people write them ↔ integers of a stated unit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.domain.decimals import NotADecimal, micro_text, minor_text, parse_scaled


@pytest.mark.parametrize(
    ("amount", "digits", "text"),
    [
        (4840, 2, "48.40"),
        (-5, 2, "-0.05"),
        (0, 2, "0.00"),
        (1234, 0, "1234"),
        (-7, 0, "-7"),
        (1234, 3, "1.234"),
        (2**62, 2, "46116860184273879.04"),
    ],
)
def test_an_amount_carries_all_digits_of_its_currency(amount: int, digits: int, text: str) -> None:
    assert minor_text(amount, digits) == text


@pytest.mark.parametrize(
    ("value", "at_least", "text"),
    [(2_500_000, 0, "2.5"), (3_000_000, 0, "3"), (3_000_000, 2, "3.00"), (-1, 0, "-0.000001"), (0, 0, "0")],
)
def test_a_quantity_drops_only_zeros_that_say_nothing(value: int, at_least: int, text: str) -> None:
    assert micro_text(value, at_least) == text


@given(st.integers(0, 10**18))
def test_what_was_written_comes_back_digit_for_digit(value: int) -> None:
    assert parse_scaled(micro_text(value), 6) == value


@pytest.mark.parametrize(
    "text", ["", "1.", ".5", "-1", "1e3", "1,5", "٣", "1.0000001", " 1", "1\n", "NaN", "1" * 14]
)
def test_what_is_no_plain_decimal_is_refused(text: str) -> None:
    with pytest.raises(NotADecimal):
        parse_scaled(text, 6)


def test_zeros_beyond_the_last_digit_are_harmless() -> None:
    assert parse_scaled("4.20000000", 6) == 4_200_000
