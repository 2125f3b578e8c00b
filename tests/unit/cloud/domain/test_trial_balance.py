"""Trial balances: headers sum what is below them, totals come to nothing."""

import pytest

from cloud.domain.ledger.trial_balance import Account, Sums, trial_balance

CHART = [
    Account(1, "1405", "", "Goods", "asset", True, 0),
    Account(2, "140501", "", "Goods in stock", "asset", False, 1),
    Account(3, "140591", "", "Goods in transit", "asset", False, 1),
    Account(4, "2202", "", "Payables", "liability", True, 0),
    Account(5, "220201", "", "Not invoiced", "liability", False, 4),
    Account(6, "6401", "", "Cost of sales", "expense", False, 0),
]


def sums(account: int, opening: int, debit: int, credit: int, dimension: str = "", currency: str = "") -> Sums:
    return Sums(account, dimension, currency, 2 if currency else 0, opening, debit, credit)


def test_a_header_has_what_the_accounts_below_it_have() -> None:
    rows, totals = trial_balance(CHART, [sums(2, 100, 50, 30), sums(3, 0, 30, 0), sums(5, -100, 0, 50)])
    assert [(row.account.number, row.level, row.sums.opening, row.sums.debit, row.sums.closing) for row in rows] == [
        ("1405", 0, 100, 80, 150), ("140501", 1, 100, 50, 120), ("140591", 1, 0, 30, 30),
        ("2202", 0, -100, 0, -150), ("220201", 1, -100, 0, -150),
    ]  # fmt: skip
    assert (totals.opening, totals.debit, totals.credit, totals.closing, totals.agree) == (0, 80, 80, 0, True)


def test_books_that_do_not_balance_are_told() -> None:
    _, totals = trial_balance(CHART, [sums(2, 0, 100, 0), sums(5, 0, 0, 99)])
    assert (totals.closing, totals.agree) == (1, False)


def test_rows_are_apart_by_dimension_and_currency_in_headers_too() -> None:
    found = [sums(6, 0, 10, 0, "project=P1"), sums(6, 0, 5, 0), sums(2, 0, 0, 15, currency="USD")]
    rows, totals = trial_balance(CHART, found)
    assert [(row.account.number, row.sums.dimension, row.sums.currency, row.sums.closing) for row in rows] == [
        ("1405", "", "USD", -15), ("140501", "", "USD", -15), ("6401", "", "", 5), ("6401", "project=P1", "", 10)
    ]  # fmt: skip
    assert totals.agree


def test_an_account_that_lies_below_itself_is_refused() -> None:
    with pytest.raises(ValueError, match=r"account [12] lies below itself"):
        trial_balance([Account(1, "1", "", "", "asset", True, 2), Account(2, "2", "", "", "asset", True, 1)], [])
