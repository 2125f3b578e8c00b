"""What an allowance should be: cost beyond what goods will bring, never beyond their cost, never below nothing."""

from hypothesis import given
from hypothesis import strategies as st

from cloud.domain.costing.realisable_value import Holding, allowance_changes

MICRO = 1_000_000


def holding(qty: int, value: int, allowance: int = 0) -> Holding:
    return Holding(1, qty * MICRO, value * MICRO, allowance * MICRO)


def test_goods_that_will_bring_less_than_they_cost_are_written_down_to_it() -> None:
    """A published exercise: cost 3,500, sold for 1,750 after 250 of work: 2,000 less."""
    assert allowance_changes([holding(1, 3500)], (1750 - 250) * MICRO) == [2000 * MICRO]


def test_goods_that_will_bring_what_they_cost_are_not() -> None:
    assert allowance_changes([holding(10, 100)], 10 * MICRO) == [0]
    assert allowance_changes([holding(10, 100)], 11 * MICRO) == [0]


def test_a_better_price_takes_the_allowance_back_and_never_writes_above_cost() -> None:
    assert allowance_changes([holding(10, 100, 40)], 8 * MICRO) == [-20 * MICRO]
    assert allowance_changes([holding(10, 100, 40)], 50 * MICRO) == [-40 * MICRO]


def test_an_item_is_judged_as_a_whole_over_its_places() -> None:
    """10 that cost 5 each and 10 that cost 15 each, worth 9 each: 20 too dear together, shared by cost."""
    assert allowance_changes([holding(10, 50), holding(10, 150)], 9 * MICRO) == [5 * MICRO, 15 * MICRO]


def test_what_is_not_there_needs_no_allowance() -> None:
    assert allowance_changes([], 5 * MICRO) == []


amounts = st.integers(0, 10**15)


@given(
    st.lists(
        st.tuples(amounts, amounts, st.integers(0, 100)).map(
            lambda row: Holding(1, row[0] + 1, row[1], row[1] * row[2] // 100)
        ),
        max_size=8,
    ),
    st.integers(0, 10**9),
)
def test_no_allowance_passes_its_goods_cost_or_falls_below_nothing(
    holdings: list[Holding], unit_value: int
) -> None:
    changes = allowance_changes(holdings, unit_value)
    for one, change in zip(holdings, changes, strict=True):
        assert 0 <= one.allowance + change <= one.value
    # Asked again, nothing is left to do.
    again = [Holding(1, h.qty, h.value, h.allowance + c) for h, c in zip(holdings, changes, strict=True)]
    assert not any(allowance_changes(again, unit_value))
