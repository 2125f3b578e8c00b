"""Realised exchange differences: what a settlement is worth beside the share of the item that it clears."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.domain.ledger.realised import CannotSettleItem, OpenItem, settle, settle_all

LARGEST = 10**15  # minor units


def test_a_payable_that_was_paid_dearer_is_a_loss() -> None:
    """given a payable of $100.00 at 700.00 yuan; when the bank takes 712.00 for it; then 12.00 are lost."""
    paid = settle(OpenItem(-100_00, -700_00), 100_00, 712_00)
    assert (paid.amount, paid.currency_amount) == (700_00, 100_00)
    assert (paid.exchange, paid.exchange_role) == (12_00, "exchange_loss")
    assert paid.left == OpenItem(0, 0)


def test_a_receivable_that_brought_more_is_a_gain() -> None:
    paid = settle(OpenItem(100_00, 700_00), -100_00, -712_00)
    assert (paid.exchange, paid.exchange_role) == (-12_00, "exchange_gain")


def test_a_part_clears_its_share_and_the_last_the_rest() -> None:
    """given $1.00 at 7.00 yen; when it is paid in thirds of a dollar; then shares of 2, 2 and 3 yen clear it."""
    parts = settle_all(OpenItem(-99, -7), [(33, 2), (33, 2), (33, 2)])
    assert [one.amount for one in parts] == [2, 3, 2]
    assert [one.exchange for one in parts] == [0, -1, 0]
    assert parts[-1].left == OpenItem(0, 0)


@pytest.mark.parametrize(
    ("item", "part", "why"),
    [
        (OpenItem(-100, -700), (-10, -70), "opposite the item's -100, got -10"),
        (OpenItem(-100, -700), (101, 707), "at most 100, which is open, got 101"),
        (OpenItem(0, 0), (1, 7), "nothing of the item is open"),
        (OpenItem(-100, -700), (0, 0), "expected an amount to settle"),
        (OpenItem(-100, -700), (10, -70), "a worth on the side of 10, got -70"),
    ],
)
def test_what_is_no_settlement_of_the_item_is_refused(item: OpenItem, part: tuple[int, int], why: str) -> None:
    with pytest.raises(CannotSettleItem, match=why):
        settle(item, *part)


@st.composite
def partly_settled(draw: st.DrawFn) -> tuple[OpenItem, list[tuple[int, int]]]:
    """An item, and settlements in any order that clear it wholly, each at a rate of its own."""
    sign = draw(st.sampled_from([1, -1]))
    currency, base = draw(st.integers(1, LARGEST)), draw(st.integers(0, LARGEST))
    cuts = sorted(draw(st.sets(st.integers(1, currency - 1), max_size=8))) if currency > 1 else []
    parts = [b - a for a, b in zip([0, *cuts], [*cuts, currency], strict=True)]
    worths = draw(st.lists(st.integers(0, LARGEST), min_size=len(parts), max_size=len(parts)))
    order = draw(st.permutations(list(zip(parts, worths, strict=True))))
    return OpenItem(sign * currency, sign * base), [(-sign * part, -sign * worth) for part, worth in order]


@given(partly_settled())
def test_whatever_the_order_the_item_ends_at_nothing_and_all_differences_are_realised(
    case: tuple[OpenItem, list[tuple[int, int]]],
) -> None:
    item, parts = case
    found = settle_all(item, parts)
    assert found[-1].left == OpenItem(0, 0)
    assert sum(one.currency_amount for one in found) == -item.currency_amount
    assert sum(one.amount for one in found) == -item.amount
    assert sum(one.exchange for one in found) == sum(worth for _, worth in parts) + item.amount


@given(partly_settled())
def test_every_settlement_balances_and_what_is_left_never_changes_its_side(
    case: tuple[OpenItem, list[tuple[int, int]]],
) -> None:
    item, parts = case
    for one, (_, worth) in zip(settle_all(item, parts), parts, strict=True):
        assert one.amount - worth + one.exchange == 0
        assert one.left.currency_amount * item.currency_amount >= 0
        assert one.left.amount * item.currency_amount >= 0
