"""What closes into an account: every balance comes to nought, every entry to nothing."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from cloud.domain.ledger.carry import Balance, close_into, total

PROFIT = 99
AMOUNT = st.integers(-(2**59), 2**59)
BALANCES = st.dictionaries(st.tuples(st.integers(1, 9), st.integers(0, 3)), AMOUNT, max_size=20).map(
    lambda found: [Balance(*key, amount) for key, amount in found.items()]
)


def test_results_close_into_the_profit() -> None:
    revenue, cost = Balance(1, 0, -500), Balance(2, 7, 300)
    [entry] = close_into([revenue, cost], PROFIT, 10)
    assert entry == [Balance(1, 0, 500), Balance(2, 7, -300), Balance(PROFIT, 0, -200)]


def test_balances_that_cancel_need_no_line_of_the_profit() -> None:
    [entry] = close_into([Balance(1, 0, -5), Balance(2, 0, 5), Balance(3, 0, 0)], PROFIT, 10)
    assert entry == [Balance(1, 0, 5), Balance(2, 0, -5)]


@given(BALANCES, st.integers(2, 7))
def test_every_entry_balances_and_every_account_comes_to_nought(balances: list[Balance], lines_max: int) -> None:
    entries = list(close_into(balances, PROFIT, lines_max))
    after = Counter({(one.account_id, one.dimension_id): one.amount for one in balances})
    for entry in entries:
        assert 2 <= len(entry) <= lines_max
        assert sum(line.amount for line in entry) == 0
        assert all(line.amount for line in entry)
        after.update({(line.account_id, line.dimension_id): line.amount for line in entry})
    assert total(entries, PROFIT) == after.pop((PROFIT, 0), 0) == sum(one.amount for one in balances)
    assert not any(after.values())
