"""Rules side by side: which of them counts, which cannot stand beside each other, which cannot be at all."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.domain.ledger.posting import POOL, PostingRule, rule_for
from cloud.domain.ledger.rules import faults, in_order, is_ambiguous, is_exception, overlap, rivals, specificity
from cloud.domain.ledger.rules_shipped import POSTING_RULES, SHIPPED_NOT_INVOICED, WITHOUT_RULE
from cloud.domain.movement import Kind

ROLES = {role for rule in (*POSTING_RULES, *SHIPPED_NOT_INVOICED) for role in (rule.debit_role, rule.credit_role)} | {
    "goods", "rounding",
}  # fmt: skip
CLASSES, SITES, WORDS, PARTIES = ("goods", "raw_material"), (1, 2), ("damage", "theft"), ("retail", "group")


def rule(**conditions: object) -> PostingRule:
    """A rule for scrap with these conditions."""
    named: dict[str, object] = {"item_class": None, "site_id": None, "priority": 0} | conditions
    return PostingRule(Kind.SCRAP, debit_role="loss", credit_role=POOL, **named)  # type: ignore[arg-type]


def some(values: tuple[object, ...]) -> st.SearchStrategy[object]:
    return st.sampled_from((None, *values))


RULE = st.builds(
    rule, item_class=some(CLASSES), site_id=some(SITES), reason=some(WORDS), party_class=some(PARTIES),
    priority=st.integers(0, 1),
)  # fmt: skip
THINGS = list(itertools.product(CLASSES, SITES, ("", *WORDS), ("", *PARTIES)))


def unambiguous(rules: list[PostingRule]) -> list[PostingRule]:
    """Those that could be added one after the other."""
    kept: list[PostingRule] = []
    for one in rules:
        if not rivals(one, kept):
            kept.append(one)
    return kept


@given(st.lists(RULE, max_size=12), st.randoms(use_true_random=False))
def test_of_rules_in_force_one_is_the_best_for_each_thing_however_old_they_are(rules, random) -> None:
    rules = unambiguous(rules)
    shuffled = random.sample(rules, len(rules))
    for thing in THINGS:
        best = rule_for(in_order(rules), Kind.SCRAP, *thing)
        matching = [one for one in rules if one.matches(Kind.SCRAP, *thing)]
        assert (best is None) == (not matching)
        assert rule_for(in_order(shuffled), Kind.SCRAP, *thing) is best
        for other in matching:
            assert best is other or best.priority > other.priority or is_exception(best, other)


@given(RULE, RULE)
def test_two_rules_overlap_exactly_when_something_matches_both(a: PostingRule, b: PostingRule) -> None:
    both = [thing for thing in THINGS if a.matches(Kind.SCRAP, *thing) and b.matches(Kind.SCRAP, *thing)]
    assert overlap(a, b) == bool(both)
    assert is_ambiguous(a, b) == is_ambiguous(b, a)
    assert not (is_exception(a, b) and is_exception(b, a))


@given(RULE, RULE)
def test_an_exception_covers_less_and_has_more_conditions(a: PostingRule, b: PostingRule) -> None:
    if is_exception(a, b):
        covered = [{thing for thing in THINGS if one.matches(Kind.SCRAP, *thing)} for one in (a, b)]
        assert covered[0] < covered[1]
        assert specificity(a) > specificity(b)


@pytest.mark.parametrize(
    ("a", "b", "ambiguous"),
    [
        (rule(), rule(), True),
        (rule(reason="theft"), rule(), False),
        (rule(reason="theft"), rule(reason="damage"), False),
        (rule(reason="theft"), rule(item_class="goods"), True),
        (rule(reason="theft"), rule(item_class="goods", reason="theft"), False),
        (rule(reason="theft", priority=5), rule(item_class="goods"), False),
        (rule(site_id=1), rule(site_id=2), False),
        (rule(site_id=1), rule(party_class="group"), True),
    ],
)
def test_what_is_ambiguous(a: PostingRule, b: PostingRule, ambiguous: bool) -> None:
    assert is_ambiguous(a, b) is ambiguous
    assert rivals(a, [b]) == ([0] if ambiguous else [])


def test_the_rules_that_ship_can_stand_side_by_side_and_each_can_be() -> None:
    rules = [*POSTING_RULES, *SHIPPED_NOT_INVOICED]
    for one in rules:
        assert list(faults(one, ROLES)) == []
        assert rivals(one, [other for other in rules if other is not one]) == []


def of(kind: Kind, debit: str, credit: str, **more: object) -> PostingRule:
    return PostingRule(kind, None, None, debit, credit, 0, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "fields", "words"),
    [
        (of(Kind.RECOSTING, "loss", POOL), ["kind"], "follow the accounts of what they correct"),
        (of(Kind.SUPPLIER_INVOICE, "grni", "payables"), ["kind"], "a document names the accounts"),
        (of(Kind.SCRAP, "los", POOL), ["debit"], "got 'los'"),
        (of(Kind.SCRAP, "loss", "admin_loss"), ["debit"], "one side must be pool"),
        (of(Kind.SCRAP, POOL, "loss"), ["debit", "credit"], "expected an account there"),
        (of(Kind.SCRAP, POOL, POOL), ["debit"], "expected an account there"),
        (of(Kind.SCRAP, "goods", POOL), ["debit"], "would drift apart"),
        (of(Kind.PURCHASE_RECEIPT, POOL, "rounding"), ["credit"], "would drift apart"),
        (of(Kind.WRITE_DOWN, "write_down", POOL), ["credit"], "credited to the allowance"),
        (of(Kind.WRITE_DOWN, POOL, "allowance"), ["debit"], "is an expense"),
        (of(Kind.INTERNAL_MOVE, POOL, POOL, dimension_id=3), ["dimensions"], "both sides are pools"),
    ],
)
def test_a_rule_that_cannot_post_is_told_why(wrong: PostingRule, fields: list[str], words: str) -> None:
    found = list(faults(wrong, ROLES))
    assert [field for field, _ in found] == fields
    assert words in found[0][1]


def test_a_kind_that_joins_two_pools_may_lose_one_of_them() -> None:
    assert list(faults(of(Kind.PRODUCTION_RECEIPT, POOL, "absorbed"), ROLES)) == []
    assert list(faults(of(Kind.TRANSFER_OUT, "loss", POOL), ROLES)) == []


def test_every_kind_has_a_rule_or_a_reason_why_not() -> None:
    assert {Kind(one.kind) for one in POSTING_RULES} | set(WITHOUT_RULE) == set(Kind)
    assert not {Kind(one.kind) for one in POSTING_RULES} & set(WITHOUT_RULE)
    assert all(why for why in WITHOUT_RULE.values())
