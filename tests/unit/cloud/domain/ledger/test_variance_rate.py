"""The variance rate: worked by hand, and what must hold for every period."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.domain.ledger.variance_rate import Rate, rate_of, shares

AMOUNTS = st.integers(-(2**50), 2**50)
ISSUES = st.dictionaries(st.integers(1, 6), st.integers(-(2**40), 2**50), max_size=6)


def test_the_example_of_the_docstring() -> None:
    rate = rate_of(1_000_00 - 2_000_00, 30_000_00, 70_000_00)
    assert rate == Rate(-1_000_00, 100_000_00)
    assert shares(rate, {"wip": 50_000_00, "cogs": 20_000_00}) == {"wip": -500_00, "cogs": -200_00}
    assert rate.of(30_000_00) == -300_00


@pytest.mark.parametrize(
    ("variance", "held", "issued", "parts"),
    [
        # 10.00 over 3 equal issues and nothing left: 3.33 each, the cent to the last of those that took most
        (1_000, 0, {"a": 100, "b": 100, "c": 100}, {"a": 333, "b": 333, "c": 334}),
        # half a cent rounds away from nought on either side
        (1, 1, {"a": 1}, {"a": 1}),
        (-1, 1, {"a": 1}, {"a": -1}),
        # what production gave back takes its share back
        (100, 60, {"cogs": 60, "wip": -20}, {"cogs": 60, "wip": -20}),
        # issued before it came: the issues bear all of it, and not more
        (100, -50, {"a": 150}, {"a": 100}),
        (100, 50, {}, {}),
        (100, 50, {"a": 0}, {}),
        (0, 50, {"a": 10}, {}),
    ],
)
def test_shares_by_hand(variance: int, held: int, issued: dict[str, int], parts: dict[str, int]) -> None:
    rate = rate_of(variance, held, sum(issued.values()))
    assert rate is not None
    assert shares(rate, issued) == parts


@pytest.mark.parametrize(("held", "issued"), [(0, 0), (-5, 0), (5, -5), (-5, -3)])
def test_where_nothing_was_there_nothing_is_spread(held: int, issued: int) -> None:
    assert rate_of(100, held, issued) is None


@given(AMOUNTS, st.integers(-(2**50), 2**52), ISSUES)
def test_shares_add_up_to_what_all_issues_bear(variance: int, held: int, issued: dict[int, int]) -> None:
    rate = rate_of(variance, held, sum(issued.values()))
    if rate is None:
        return
    parts = shares(rate, issued)
    assert sum(parts.values()) == rate.of(sum(issued.values()))
    assert all(parts.values())
    for target, amount in issued.items():  # off by its own rounding, and by the others' where it took most
        off = abs(parts.get(target, 0) * rate.available - variance * amount)
        assert 2 * off <= (len(issued) + 2) * rate.available


@given(AMOUNTS, st.integers(0, 2**52), st.integers(0, 2**52))
def test_stock_and_issues_share_the_variance_and_neither_bears_more(variance: int, held: int, issued: int) -> None:
    rate = rate_of(variance, held, issued)
    if rate is None:
        return
    share = rate.of(issued)
    assert share * variance >= 0
    assert abs(share) <= abs(variance)
    assert abs(variance - share - rate.of(held)) <= 1
