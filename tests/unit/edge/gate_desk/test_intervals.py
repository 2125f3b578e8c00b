"""Intervals against published values, and against what they promise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.gate_desk.intervals import Interval, clopper_pearson, poisson, wilson

# Wilson: worked in Newcombe (1998), Statistics in Medicine 17, 857, table I, method 3.
WILSON = [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]
# Clopper-Pearson: the same table, method 5.
CLOPPER_PEARSON = [
    (81, 263, 0.2527, 0.3676),
    (15, 148, 0.0578, 0.1617),
    (0, 20, 0.0, 0.1684),
    (1, 29, 0.0009, 0.1776),
]
# Poisson: the standard table of exact limits (Garwood).
POISSON = [
    (0, 0.0, 3.6889),
    (1, 0.0253, 5.5716),
    (2, 0.2422, 7.2247),
    (10, 4.7954, 18.3904),
    (100, 81.364, 121.627),
]


@pytest.mark.parametrize(("count", "of", "low", "high"), WILSON)
def test_shares_by_wilson(count: int, of: int, low: float, high: float) -> None:
    assert wilson(count, of) == Interval(pytest.approx(low, abs=6e-5), pytest.approx(high, abs=6e-5))


@pytest.mark.parametrize(("count", "of", "low", "high"), CLOPPER_PEARSON)
def test_shares_by_clopper_and_pearson(count: int, of: int, low: float, high: float) -> None:
    assert clopper_pearson(count, of) == Interval(pytest.approx(low, abs=6e-5), pytest.approx(high, abs=6e-5))


@pytest.mark.parametrize(("count", "low", "high"), POISSON)
def test_counts_by_poisson(count: int, low: float, high: float) -> None:
    assert poisson(count) == Interval(pytest.approx(low, abs=6e-4), pytest.approx(high, abs=6e-4))


def test_nothing_counted_says_nothing() -> None:
    assert wilson(0, 0) == clopper_pearson(0, 0) == Interval(0.0, 1.0)


@given(of=st.integers(1, 500), data=st.data())
def test_an_interval_holds_its_share_and_mirrors(of: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, of))
    for interval in (wilson, clopper_pearson):
        found, mirrored = interval(count, of), interval(of - count, of)
        assert 0 <= found.low <= count / of <= found.high <= 1
        assert found.low == pytest.approx(1 - mirrored.high, abs=1e-9)


@pytest.mark.parametrize(("count", "of"), [(-1, 3), (4, 3)])
def test_an_impossible_count_is_refused(count: int, of: int) -> None:
    for interval in (wilson, clopper_pearson):
        with pytest.raises(ValueError, match=f"expected a count from 0 to {of}, got {count}"):
            interval(count, of)
    with pytest.raises(ValueError, match="expected a count of 0 or more, got -1"):
        poisson(-1)
