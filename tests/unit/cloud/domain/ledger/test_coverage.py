"""What no rule covers: everything that lacks something is told, together where it lacks the same."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.domain.ledger.coverage import Facts, Gap, Lack, RoleAccount, Thing, gaps, is_part_of, judge, sentence
from cloud.domain.ledger.posting import POOL, PostingRule
from cloud.domain.ledger.rules import in_order
from cloud.domain.ledger.rules_shipped import POSTING_RULES
from cloud.domain.movement import Kind

ROLES = {role for rule in POSTING_RULES for role in (rule.debit_role, rule.credit_role)} - {POOL} | {
    "goods", "raw_material", "in_transit", "clarification_stock", "wip", "rounding", "cogs", "ppv", "price_difference",
    "usage_variance",
}  # fmt: skip
CLASSES, SITES, REASONS, PARTIES = ("goods", "raw_material"), (0, 1, 2), ("", "theft", "damage"), ("", "group")
ACCOUNTS = {(role, 0): RoleAccount(role.upper()) for role in ROLES}
OTHERS = [rule for rule in POSTING_RULES if rule.kind != Kind.SALES_SHIPMENT]


def facts(rules: list[PostingRule], accounts: dict[tuple[str, int], RoleAccount] = ACCOUNTS) -> Facts:
    by_kind: dict[int, list[PostingRule]] = {}
    for rule in in_order(rules):
        by_kind.setdefault(rule.kind, []).append(rule)
    return Facts(by_kind, accounts, CLASSES, {"customer": ("group",)}, {Kind.SALES_SHIPMENT: "customer"})


def shipment(**more: object) -> PostingRule:
    named: dict[str, object] = {"item_class": None, "site_id": None, "priority": 0} | more
    return PostingRule(Kind.SALES_SHIPMENT, debit_role="cogs", credit_role=POOL, **named)  # type: ignore[arg-type]


RULES = st.lists(
    st.builds(
        shipment,
        item_class=st.sampled_from((None, *CLASSES)),
        site_id=st.sampled_from((None, 1, 2)),
        reason=st.sampled_from((None, "theft", "damage")),
        party_class=st.sampled_from((None, "group")),
    ),
    max_size=6,
)


def covers(gap: Gap, thing: Thing) -> bool:
    """Whether a gap says this of a thing, by its fields alone."""
    return gap.thing.kind == thing.kind and all(
        getattr(gap.thing, name) in (None, getattr(thing, name))
        for name in ("item_class", "site", "reason", "party_class")
    )


@given(RULES)
def test_exactly_what_finds_no_rule_is_told(rules: list[PostingRule]) -> None:
    company = facts([*OTHERS, *rules])
    found = gaps(company, {Kind.SALES_SHIPMENT: ("theft", "damage")})
    assert {gap.lack for gap in found} <= {Lack.RULE}
    named = {0, *(rule.site_id for rule in rules if rule.site_id)}
    parties = {"", *(rule.party_class for rule in rules if rule.party_class)}
    for values in product(CLASSES, sorted(named), REASONS, sorted(parties)):
        thing = Thing(Kind.SALES_SHIPMENT, *values)
        lacks = any(gap.lack == Lack.RULE for gap in judge(company, thing))
        told = [gap for gap in found if covers(gap, thing)]
        assert len(told) == lacks, (thing, told)


@given(RULES, st.sampled_from(CLASSES), st.integers(0, 4))
def test_what_nothing_tells_apart_is_judged_as_what_stands_for_it(
    rules: list[PostingRule], item_class: str, site: int
) -> None:
    company = facts([*OTHERS, *rules])
    thing = Thing(Kind.SALES_SHIPMENT, item_class, site, "", "")
    told = [gap for gap in gaps(company, {}) if is_part_of(thing, gap, company)]
    assert bool(told) == bool(list(judge(company, thing)))


def test_what_makes_no_difference_is_not_told() -> None:
    [gap] = gaps(facts(OTHERS), {Kind.SALES_SHIPMENT: ("theft",)})
    assert gap.thing == Thing(Kind.SALES_SHIPMENT, None, None, None, None)
    [gap] = gaps(facts([*OTHERS, shipment(item_class="goods")]), {})
    assert gap.thing == Thing(Kind.SALES_SHIPMENT, "raw_material", None, None, None)
    assert sentence(gap, None) == "sales_shipment of raw_material: no posting rule covers it"
    [gap] = gaps(facts([*OTHERS, shipment(site_id=2)]), {})
    assert sentence(gap, "") == "sales_shipment anywhere else: no posting rule covers it"


@pytest.mark.parametrize(
    ("role", "account", "lacks"),
    [
        ("goods", None, {(Lack.ACCOUNT, None)}),
        ("wip", RoleAccount("5001", is_postable=False), {(Lack.HEADER, None)}),
        ("cogs", RoleAccount("6401", is_valid=False),
         {(Lack.NOT_VALID, None), (Lack.NOT_VALID, Kind.SALES_SHIPMENT), (Lack.NOT_VALID, Kind.CUSTOMER_RETURN),
          (Lack.NOT_VALID, Kind.GROUP_SHIPMENT)}),
        ("wip", RoleAccount("5001", needs={"project": True}), set()),
        ("clarification", RoleAccount("1901", needs={"project": True}),
         {(Lack.DIMENSION, kind) for kind in
          (Kind.COUNT_GAIN, Kind.COUNT_LOSS, Kind.UNEXPLAINED_IN, Kind.UNEXPLAINED_OUT)}),
        ("absorbed", RoleAccount("5101", needs={"project": False}), set()),
    ],
)  # fmt: skip
def test_accounts_at_fault_are_told(
    role: str, account: RoleAccount | None, lacks: set[tuple[Lack, Kind | None]]
) -> None:
    accounts = {key: one for key, one in ACCOUNTS.items() if key[0] != role}
    company = facts(list(POSTING_RULES), accounts | ({} if account is None else {(role, 0): account}))
    found = gaps(company, {})
    assert {(gap.lack, gap.thing.kind) for gap in found} == lacks
    # Who declares a count can name a project; nobody stands at a gate when goods come that nobody expected.
    assert {gap.thing.kind for gap in found if not gap.blocks} <= {Kind.COUNT_GAIN, Kind.COUNT_LOSS}


def test_an_account_of_one_site_is_told_of_that_site() -> None:
    company = facts(list(POSTING_RULES), ACCOUNTS | {("loss", 2): RoleAccount("6711", is_valid=False)})
    assert {(gap.thing.kind, gap.thing.site) for gap in gaps(company, {})} == {(Kind.SCRAP, 2)}
