"""Which posting rules can be, which may stand side by side, and which of two that match the same thing counts.

The rule of the highest priority counts; of those, the one with more conditions; of those, the older. Two rules of one
priority that can both match the same thing are refused unless one has all conditions of the other and more: it is an
exception to the other, and age never has to decide between rules in force.
"""

from collections.abc import Iterable, Iterator, Sequence

from cloud.domain.ledger.accounts import STOCK_ROLES
from cloud.domain.ledger.posting import POOL, PostingRule
from cloud.domain.ledger.rules_shipped import POSTING_RULES, WITHOUT_RULE
from cloud.domain.movement import Kind

# What a rule says, in the words of files and requests.
RULE_FIELDS = (
    "kind", "item_class", "site", "reason", "party_class", "debit", "credit", "priority", "dimensions",
)  # fmt: skip

Conditions = tuple[str | None, int | None, str | None, str | None]

# Opposite a pool these would let stock and ledger drift apart, or take what the books put there by themselves.
_NEVER_OPPOSITE = frozenset((*STOCK_ROLES, "allowance", "rounding"))
# What each kind does at its most general decides on which side the goods stand.
_SHIPPED = {rule.kind: rule for rule in POSTING_RULES if rule.reason is None}


def conditions(rule: PostingRule) -> Conditions:
    """Item class, site, reason and party class; None where anything matches."""
    return rule.item_class, rule.site_id, rule.reason, rule.party_class


def specificity(rule: PostingRule) -> int:
    """How many conditions it has."""
    return sum(one is not None for one in conditions(rule))


def in_order(rules: Iterable[PostingRule]) -> list[PostingRule]:
    """As `rule_for` takes them, from rules by age, oldest first; the query `rules` of books.sql orders alike."""
    return sorted(rules, key=lambda rule: (-rule.priority, -specificity(rule)))


def overlap(a: PostingRule, b: PostingRule) -> bool:
    """Whether something can be that both match."""
    return a.kind == b.kind and all(
        x is None or y is None or x == y for x, y in zip(conditions(a), conditions(b), strict=True)
    )


def is_exception(a: PostingRule, b: PostingRule) -> bool:
    """Whether `a` has all conditions of `b` and more."""
    pairs = list(zip(conditions(a), conditions(b), strict=True))
    return all(y is None or x == y for x, y in pairs) and any(x is not None and y is None for x, y in pairs)


def is_ambiguous(a: PostingRule, b: PostingRule) -> bool:
    """Whether only their age would say which of the two counts."""
    return a.priority == b.priority and overlap(a, b) and not is_exception(a, b) and not is_exception(b, a)


def rivals(rule: PostingRule, others: Sequence[PostingRule]) -> list[int]:
    """Places in `others` of those beside which the rule would be ambiguous."""
    return [number for number, other in enumerate(others) if is_ambiguous(rule, other)]


def faults(rule: PostingRule, roles: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(Field, why) of everything that keeps a rule from posting, whatever other rules there are.

    roles  those that accounts of the chart stand for
    """
    kind = Kind(rule.kind)
    if kind in WITHOUT_RULE:
        yield "kind", f"no rule covers {kind.name.lower()}: {WITHOUT_RULE[kind]}"
        return
    known = {POOL, *roles}
    for side, role in (("debit", rule.debit_role), ("credit", rule.credit_role)):
        if role not in known:
            yield side, f"expected pool or a role of the chart ({', '.join(sorted(known - {POOL}))}), got {role!r}"
    if kind == Kind.WRITE_DOWN:
        yield from _faults_of_write_down(rule)
    else:
        yield from _faults_of_sides(rule, _SHIPPED[kind])
    if rule.dimension_id and rule.counter_role is None:
        yield "dimensions", "both sides are pools, whose lines carry the dimensions of their work orders"


def _faults_of_write_down(rule: PostingRule) -> Iterator[tuple[str, str]]:
    if rule.credit_role != "allowance":
        yield "credit", f"a write-down is credited to the allowance, got {rule.credit_role!r}"
    if rule.debit_role == POOL or rule.debit_role in _NEVER_OPPOSITE:
        yield "debit", f"a write-down is an expense, got {rule.debit_role!r}"


def _faults_of_sides(rule: PostingRule, shipped: PostingRule) -> Iterator[tuple[str, str]]:
    """Goods stand where the shipped rule of the kind has them; kinds that join two pools may lose one of them."""
    name = Kind(rule.kind).name.lower()
    sides = (("debit", rule.debit_role, shipped.debit_role), ("credit", rule.credit_role, shipped.credit_role))
    if POOL not in (rule.debit_role, rule.credit_role):
        yield "debit", f"{name} moves stock: one side must be pool"
        return
    for side, role, usual in sides:
        if shipped.counter_role is not None and (role == POOL) != (usual == POOL):
            wanted = "pool" if usual == POOL else "an account"
            yield side, f"{name}: expected {wanted} there, got {role!r}"
        if role in _NEVER_OPPOSITE:
            yield side, f"{role} is written through pools only; opposite one, stock and ledger would drift apart"
