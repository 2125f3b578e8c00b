"""The charts that ship, and the posting rules against them."""

import pytest

from cloud.domain.ledger.accounts import (
    CONTROL_ROLES,
    ITEM_ROLES,
    MONETARY_ROLES,
    ROLES,
    STOCK_ROLES,
    Account,
    AccountType,
    Need,
    chart_complaints,
)
from cloud.domain.ledger.charts import UnknownProfile, chart_of, posting_rules_of
from cloud.domain.ledger.dimensions import DIMENSION_TYPES
from cloud.domain.ledger.posting import POOL
from cloud.domain.ledger.rules_shipped import SHIPPED_NOT_INVOICED, WITHOUT_RULE
from cloud.domain.movement import Kind

PROFILES = ("ASBE", "IFRS", "US_GAAP")
ALL_FOUR = {"cost_centre": "allowed", "profit_centre": "allowed", "project": "allowed", "fund_source": "allowed"}


@pytest.mark.parametrize("profile", PROFILES)
def test_every_kind_of_movement_posts_by_exactly_one_rule_without_conditions(profile: str) -> None:
    plain = [rule.kind for rule in posting_rules_of(profile) if rule.reason is None]
    assert sorted(plain) == sorted(set(Kind) - set(WITHOUT_RULE))


@pytest.mark.parametrize("profile", PROFILES)
def test_every_role_that_a_rule_or_a_program_names_has_an_account(profile: str) -> None:
    roles = {account.role for account in chart_of(profile)}
    rules = (*posting_rules_of(profile), *SHIPPED_NOT_INVOICED)
    named = {role for rule in rules for role in (rule.debit_role, rule.credit_role)}
    assert named <= roles | {POOL}
    assert roles == {None, *ROLES}
    assert {*STOCK_ROLES, *CONTROL_ROLES, *ITEM_ROLES, *MONETARY_ROLES} <= set(ROLES)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_rule_touches_the_pool_so_that_stock_and_ledger_move_together(profile: str) -> None:
    elsewhere = {
        rule.kind for rule in posting_rules_of(profile) if POOL not in (rule.debit_role, rule.credit_role)
    }
    assert elsewhere == {Kind.WRITE_DOWN}, "an allowance stands beside the stock, and has an account of its own"


@pytest.mark.parametrize("profile", PROFILES)
def test_a_shipped_chart_is_one_that_can_be_and_says_both_names(profile: str) -> None:
    chart = chart_of(profile)
    assert list(chart_complaints(chart, [one.code for one in DIMENSION_TYPES])) == []
    assert all(account.name_zh and account.name_en for account in chart)
    assert sorted(account.number for account in chart) == [
        account.number for account in sorted(chart, key=lambda one: one.number)
    ]


@pytest.mark.parametrize("profile", PROFILES)
def test_accounts_with_sub_accounts_are_headers_and_no_others(profile: str) -> None:
    chart = chart_of(profile)
    assert {account.number for account in chart if not account.is_postable} == {
        account.parent for account in chart if account.parent
    }


@pytest.mark.parametrize("profile", PROFILES)
def test_lines_of_revenue_and_expense_may_name_all_dimensions_and_need_none(profile: str) -> None:
    for account in chart_of(profile):
        if account.is_postable and account.type in (AccountType.REVENUE, AccountType.EXPENSE):
            assert account.dimensions == ALL_FOUR
        elif account.type is not AccountType.COST:
            assert account.dimensions == {}
        assert Need.REQUIRED not in account.dimensions.values()


def test_the_asbe_chart_has_the_numbers_of_the_standard() -> None:
    chart = chart_of("ASBE")
    assert {account.role: account.number for account in chart if account.role} == {
        "raw_material": "1403", "goods": "140501", "in_transit": "140591", "clarification_stock": "140592",
        "wip": "5001", "allowance": "1471", "ppv": "1404", "shipped": "1406", "clarification": "1901",
        "grni": "220201", "landed_clearing": "220202", "payables": "220203", "group_payable": "220204",
        "receivables": "112201", "group_receivable": "112202", "input_vat": "22210101", "output_vat": "22210107",
        "cash": "1001", "bank": "1002", "opening_equity": "410499", "retained_earnings": "410406",
        "year_profit": "4103", "absorbed": "5101", "revenue": "6001", "other_income": "6301", "cogs": "640101",
        "price_difference": "640191", "usage_variance": "640192", "production_variance": "640193",
        "revaluation": "640194", "admin_loss": "660207", "goods_gain": "660208", "exchange_loss": "660303",
        "exchange_gain": "660304", "rounding": "660391", "write_down": "6701", "loss": "6711",
    }  # fmt: skip
    of_the_standard = {
        "1122", "1405", "1601", "1602", "2001", "2202", "2211", "2221", "2241", "4001", "4101", "4104", "6051",
        "6101", "6111", "6115", "6117", "6401", "6402", "6403", "6601", "6602", "6603", "6702", "6801", "6901",
    }  # fmt: skip
    assert of_the_standard <= {account.number for account in chart}


def test_the_first_digit_of_an_asbe_number_says_where_it_stands() -> None:
    types = {"1": {"asset"}, "2": {"liability"}, "3": {"common"}, "4": {"equity"}, "5": {"cost"}}
    for account in chart_of("ASBE"):
        assert account.type in types.get(account.number[0], {"revenue", "expense"}), account


def test_control_accounts_are_those_of_the_control_roles() -> None:
    def roles(which: str) -> set[str | None]:
        return {account.role for account in chart_of("ASBE") if getattr(account, which)}

    assert roles("is_control") == CONTROL_ROLES
    assert roles("has_items") == set(ITEM_ROLES)
    assert roles("is_monetary") - {None} == MONETARY_ROLES


def test_a_profile_without_a_chart_is_named() -> None:
    with pytest.raises(UnknownProfile, match="got 'HGB'"):
        chart_of("HGB")


def test_an_account_is_spoken_of_by_both_names() -> None:
    assert Account("1", "甲", "a", AccountType.ASSET).name == "甲 · a"
    assert Account("1", "", "a", AccountType.ASSET).name == "a"
