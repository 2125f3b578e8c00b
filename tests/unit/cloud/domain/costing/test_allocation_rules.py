"""The rules for sharing costs that ship, by industry."""

import pytest

from cloud.domain.costing.allocation import Basis
from cloud.domain.costing.allocation_rules import (
    AllocationRule,
    UnknownIndustry,
    WrongRules,
    parse_rules,
    rules_of,
    shipped_rules,
)


def test_every_industry_says_how_to_share_what_comes_with_goods() -> None:
    for industry, rules in shipped_rules().items():
        types = [rule.cost_type for rule in rules]
        assert {"freight", "duty"} <= set(types), industry
        assert len(set(types)) == len(types), industry


def test_industries_differ_by_what_causes_their_costs() -> None:
    by_freight = {
        industry: next(rule.basis for rule in rules if rule.cost_type == "freight")
        for industry, rules in shipped_rules().items()
    }
    assert by_freight["trade"] is Basis.VALUE
    assert by_freight["food"] is Basis.WEIGHT
    assert by_freight["chemicals"] is Basis.VOLUME
    assert AllocationRule("labour", Basis.QUANTITY, "workshop") in rules_of("machinery")


def test_an_industry_nobody_wrote_rules_for_is_named_with_those_that_are_known() -> None:
    with pytest.raises(UnknownIndustry, match=r"expected one of trade, retail, .* got 'fishing'"):
        rules_of("fishing")


def test_a_company_may_bring_rules_of_its_own() -> None:
    text = '[cement]\nkiln = { basis = "weight", dimension = "workshop" }\n'
    assert parse_rules(text) == {"cement": (AllocationRule("kiln", Basis.WEIGHT, "workshop"),)}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[cement", "Expected ']'"),
        ("cement = 3\n", "cement: expected a table of types of cost, got 3"),
        ("[cement]\nkiln = 'weight'\n", "cement.kiln: expected basis and dimension, got 'weight'"),
        ("[cement]\nkiln = { basis = 'weight' }\n", "cement.kiln: expected basis and dimension"),
        (
            "[cement]\nkiln = { basis = 'colour', dimension = 'batch' }\n",
            "cement.kiln: expected basis among quantity, value, weight, volume, got 'colour'",
        ),
        (
            "[cement]\nkiln = { basis = 'weight', dimension = 'street' }\n",
            "cement.kiln: expected dimension among document, batch, workshop, got 'street'",
        ),
        ("[cement]\n'' = { basis = 'weight', dimension = 'batch' }\n", "a type of cost of 1 … 64 characters"),
    ],
)
def test_rules_that_cannot_be_are_refused_by_their_place(text: str, complaint: str) -> None:
    with pytest.raises(WrongRules, match=complaint):
        parse_rules(text)
