"""Shares of an amount: exact whatever the weights, and refused by name where there is nothing to share by."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.domain.costing.allocation import Basis, CannotShare, Target, share, share_by

amounts = st.integers(-(2**62), 2**62)
weights = st.lists(st.integers(0, 2**80), min_size=1, max_size=40).filter(any)


@given(amounts, weights)
def test_the_shares_sum_to_the_amount_and_lie_within_a_unit_of_the_exact_ones(
    amount: int, weights: list[int]
) -> None:
    parts = share(amount, weights)
    assert sum(parts) == amount
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - Fraction(amount * weight, sum(weights))) <= 1


@given(amounts, weights)
def test_a_target_without_weight_gets_nothing_wherever_it_stands(amount: int, weights: list[int]) -> None:
    parts = share(amount, [0, *weights, 0])
    assert (parts[0], parts[-1]) == (0, 0)
    assert parts[1:-1] == share(amount, weights)


@given(amounts, weights)
def test_taking_an_amount_back_mirrors_sharing_it(amount: int, weights: list[int]) -> None:
    assert share(-amount, weights) == [-part for part in share(amount, weights)]


def test_the_odd_unit_goes_where_the_running_total_rounds_up() -> None:
    assert share(10, [1, 1, 1]) == [3, 4, 3]
    assert share(100, [1, 1, 1, 1, 1, 1]) == [17, 16, 17, 17, 16, 17]
    assert share(0, [3, 4]) == [0, 0]


def test_nothing_to_share_by_is_said() -> None:
    with pytest.raises(CannotShare, match="none of 2 targets has any weight to share 7 by"):
        share(7, [0, 0])
    with pytest.raises(CannotShare, match="none of 0 targets"):
        share(7, [])


def test_a_weight_below_zero_is_named() -> None:
    with pytest.raises(CannotShare, match="target 2: expected a weight of 0 or more, got -1") as refused:
        share(7, [3, 4, -1])
    assert refused.value.target == 2


# 2 of 10 kg and 1 l, worth 300; 6 of 5 kg and 4 l, worth 100.
HEAVY = Target(2_000_000, 300_000_000, weight_mg=10_000_000, volume_mm3=1_000_000)
BULKY = Target(6_000_000, 100_000_000, weight_mg=5_000_000, volume_mm3=4_000_000)


@pytest.mark.parametrize(
    ("basis", "parts"),
    [
        (Basis.QUANTITY, [250, 750]),
        (Basis.VALUE, [750, 250]),
        (Basis.WEIGHT, [400, 600]),
        (Basis.VOLUME, [77, 923]),
    ],
)
def test_freight_follows_the_basis_that_is_told(basis: Basis, parts: list[int]) -> None:
    assert share_by(basis, 1000, [HEAVY, BULKY]) == parts


@pytest.mark.parametrize("basis", [Basis.WEIGHT, Basis.VOLUME])
def test_an_item_that_does_not_say_what_it_weighs_is_named(basis: Basis) -> None:
    with pytest.raises(CannotShare, match=f"target 1: expected an item with a {basis}") as refused:
        share_by(basis, 1000, [HEAVY, Target(1, 1)])
    assert refused.value.target == 1
