"""The charts and posting rules that ship."""

import pytest

from cloud.domain.ledger.charts import (
    CONTROL_ROLES,
    STOCK_ROLES,
    WITHOUT_RULE,
    UnknownProfile,
    chart_of,
    posting_rules_of,
)
from cloud.domain.ledger.posting import POOL
from cloud.domain.movement import Kind

PROFILES = ("ASBE", "IFRS", "US_GAAP")


@pytest.mark.parametrize("profile", PROFILES)
def test_every_kind_of_movement_posts_by_exactly_one_rule(profile: str) -> None:
    assert sorted(rule.kind for rule in posting_rules_of(profile)) == sorted(set(Kind) - WITHOUT_RULE)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_role_that_a_rule_names_has_an_account(profile: str) -> None:
    roles = {account.role for account in chart_of(profile)} | {POOL}
    named = {role for rule in posting_rules_of(profile) for role in (rule.debit_role, rule.credit_role)}
    assert named <= roles
    assert set(STOCK_ROLES) <= roles
    assert roles >= CONTROL_ROLES


@pytest.mark.parametrize("profile", PROFILES)
def test_every_rule_touches_the_pool_so_that_stock_and_ledger_move_together(profile: str) -> None:
    elsewhere = {
        rule.kind for rule in posting_rules_of(profile) if POOL not in (rule.debit_role, rule.credit_role)
    }
    assert elsewhere == {Kind.WRITE_DOWN}, "an allowance stands beside the stock, and has an account of its own"


@pytest.mark.parametrize("profile", PROFILES)
def test_numbers_and_roles_are_unique_and_every_account_has_both_names(profile: str) -> None:
    chart = chart_of(profile)
    assert len({account.number for account in chart}) == len(chart)
    assert len({account.role for account in chart}) == len(chart)
    assert all(account.name_zh and account.name_en for account in chart)


def test_the_asbe_chart_has_the_numbers_of_the_standard() -> None:
    numbers = {account.role: account.number for account in chart_of("ASBE")}
    assert numbers["raw_material"] == "1403"
    assert numbers["goods"] == "1405"
    assert numbers["grni"] == "220201"
    assert numbers["cogs"] == "6401"
    assert numbers["clarification"] == "1901"
    assert numbers["loss"] == "6711"
    assert numbers["wip"] == "5001"
    assert numbers["absorbed"] == "5101"
    assert numbers["ppv"] == "1404"
    assert numbers["allowance"] == "1471"
    assert numbers["write_down"] == "6701"


def test_goods_received_not_invoiced_is_written_by_movements_only() -> None:
    assert {account.role for account in chart_of("ASBE") if account.is_control} == CONTROL_ROLES


def test_a_profile_without_a_chart_is_named() -> None:
    with pytest.raises(UnknownProfile, match="got 'HGB'"):
        chart_of("HGB")
