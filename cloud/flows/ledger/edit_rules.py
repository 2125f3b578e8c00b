"""Posting rules: added, ended, loaded as a whole set. A rule is never changed: it ends, and another begins.

    add_rules     begin rules beside those in force
    end_rule      end one
    load_rules    make the rules in force those of a set: what is missing ends, what is new begins, the rest stays
    keep_shipped  switch goods shipped not invoiced on or off: two rules that come and go together

Each change is checked as a whole, against the chart and against the rules that are in force behind it; one that is
refused changes nothing. What is wrong is told row by row.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import psycopg

from cloud.domain.catalog import CODE_MAX, ITEM_CLASSES, TEXT_MAX
from cloud.domain.ledger.posting import POOL, PostingRule
from cloud.domain.ledger.rules import faults, rivals
from cloud.domain.ledger.rules_shipped import SHIPPED_NOT_INVOICED
from cloud.domain.movement import Kind
from cloud.flows.ledger.name_dimensions import UnknownDimension, dimension_sets
from cloud.store.ledger import rules as store
from cloud.store.ledger.rules import RoleAccount, StoredRule

PRIORITY_MAX = 1000
ROWS_MAX = 2000  # of one change; a company has a few dozen


@dataclass(frozen=True, slots=True)
class NewRule:
    """A rule by codes. site: a site's code; dimensions: {type: code of a value} of the side opposite the pool."""

    kind: Kind
    debit: str
    credit: str
    item_class: str | None = None
    site: str | None = None
    reason: str | None = None
    party_class: str | None = None
    priority: int = 0
    dimensions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a row of a change: its number from 0, the field, why."""

    row: int
    field: str
    why: str

    def __str__(self) -> str:
        return f"rule {self.row + 1}, {self.field}: {self.why}"


class WrongRules(ValueError):
    """Rules cannot be in force as they are told, so nothing was changed."""

    def __init__(self, found: Sequence[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in found))
        self.faults = list(found)


class NoSuchRule(LookupError):
    """The company has no such rule in force."""


@dataclass(frozen=True, slots=True)
class Changed:
    """What a change did: rules that ended, rules that began, and how many stayed."""

    ended: list[StoredRule]
    added: list[StoredRule]
    kept: int


def add_rules(
    connection: psycopg.Connection, company_id: int, new: Sequence[NewRule], by: str
) -> list[StoredRule]:
    """Begin rules. Raises WrongRules, psycopg.Error; nothing is changed then."""
    with connection.transaction():
        store.lock(connection, company_id)
        old = [one.rule for one in store.rules(connection, company_id)]
        rules = _read(connection, company_id, new)
        _refuse_ambiguous(rules, old)
        return _stored(connection, company_id, store.add(connection, company_id, rules, by))


def end_rule(connection: psycopg.Connection, company_id: int, rule_id: int, by: str) -> StoredRule:
    """End a rule; it explains what was posted until now. Raises NoSuchRule, psycopg.Error."""
    with connection.transaction():
        store.lock(connection, company_id)
        if not store.end(connection, company_id, [rule_id], by):
            raise NoSuchRule(f"no rule {rule_id} is in force")
        return _stored(connection, company_id, [rule_id])[0]


def load_rules(
    connection: psycopg.Connection, company_id: int, wanted: Sequence[NewRule], by: str, *, dry_run: bool = False
) -> Changed:
    """Make the rules in force those of `wanted`. Raises WrongRules, psycopg.Error.

    dry_run  only tell what would change
    """
    with connection.transaction(force_rollback=dry_run):
        store.lock(connection, company_id)
        there = store.rules(connection, company_id)
        rules = _read(connection, company_id, wanted)
        _refuse_ambiguous(rules, [])
        old = [one.rule for one in there]
        gone = store.end(connection, company_id, [one.rule_id for one in there if one.rule not in rules], by)
        added = store.add(connection, company_id, [rule for rule in rules if rule not in old], by)
        return Changed(
            _stored(connection, company_id, gone), _stored(connection, company_id, added), len(there) - len(gone)
        )


def keep_shipped(connection: psycopg.Connection, company_id: int, on: bool, by: str) -> Changed:
    """Switch goods shipped not invoiced on or off; a second time changes nothing. Raises WrongRules, psycopg.Error."""
    with connection.transaction():
        store.lock(connection, company_id)
        there = store.rules(connection, company_id)
        ours = [one for one in there if one.rule in SHIPPED_NOT_INVOICED]
        if not on:
            ended = store.end(connection, company_id, [one.rule_id for one in ours], by)
            return Changed(_stored(connection, company_id, ended), [], len(there) - len(ended))
        missing = [rule for rule in SHIPPED_NOT_INVOICED if rule not in [one.rule for one in ours]]
        roles = {account.role for account in _accounts(connection, company_id)}
        if found := [Fault(row, *fault) for row, rule in enumerate(missing) for fault in faults(rule, roles)]:
            raise WrongRules(found)
        _refuse_ambiguous(missing, [one.rule for one in there])
        added = store.add(connection, company_id, missing, by)
        return Changed([], _stored(connection, company_id, added), len(there))


def keeps_shipped(connection: psycopg.Connection, company_id: int) -> bool:
    """Whether goods shipped not invoiced are switched on."""
    there = [one.rule for one in store.rules(connection, company_id)]
    return all(rule in there for rule in SHIPPED_NOT_INVOICED)


def _stored(connection: psycopg.Connection, company_id: int, ids: Sequence[int]) -> list[StoredRule]:
    wanted = set(ids)
    return [one for one in store.rules(connection, company_id, ended=True) if one.rule_id in wanted]


def _accounts(connection: psycopg.Connection, company_id: int) -> list[RoleAccount]:
    return store.role_accounts(connection, company_id, store.today(connection, company_id))


# ── What is wrong with a rule ───────────────────────────────────────────────────────────────────────


def _read(connection: psycopg.Connection, company_id: int, new: Sequence[NewRule]) -> list[PostingRule]:
    """Codes to ids; all that is wrong with each rule by itself is told at once. Raises WrongRules."""
    if len(new) > ROWS_MAX:
        raise WrongRules([Fault(ROWS_MAX, "kind", f"expected at most {ROWS_MAX} rules, got {len(new)}")])
    sites = store.sites(connection, company_id)
    accounts = _accounts(connection, company_id)
    needs = store.needs(connection, company_id)
    today = store.today(connection, company_id)
    found: list[Fault] = []
    rules: list[PostingRule] = []
    for row, one in enumerate(new):
        wrong = [Fault(row, *fault) for fault in _wrong_words(one, sites)]
        rule = PostingRule(
            int(one.kind), one.item_class, sites.get(one.site or ""), one.debit, one.credit, one.priority,
            one.reason, one.party_class,
        )  # fmt: skip
        if not wrong:
            [dimension] = dimension_sets(connection, company_id, [(one.dimensions, today)])
            if isinstance(dimension, UnknownDimension):
                wrong.append(Fault(row, "dimensions", str(dimension)))
            else:
                rule = replace(rule, dimension_id=dimension)
            wrong += [Fault(row, *fault) for fault in faults(rule, {account.role for account in accounts})]
        if not wrong and one.dimensions:
            wrong += [Fault(row, "dimensions", why) for why in _refused(one, rule, accounts, needs)]
        found += wrong
        rules.append(rule)
    if found:
        raise WrongRules(found)
    return rules


def _wrong_words(one: NewRule, sites: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    if one.item_class is not None and one.item_class not in ITEM_CLASSES:
        yield "item_class", f"expected {' or '.join(ITEM_CLASSES)}, got {one.item_class!r}"
    if one.site is not None and one.site not in sites:
        yield "site", f"the company has no site {one.site!r}"
    for name, text, longest in (("reason", one.reason, TEXT_MAX), ("party_class", one.party_class, CODE_MAX)):
        if text is not None and not (text.strip() and len(text) <= longest and text.isprintable()):
            yield name, f"expected a text of at most {longest} characters, or none for any, got {text!r}"
    if not -PRIORITY_MAX <= one.priority <= PRIORITY_MAX:
        yield "priority", f"expected {-PRIORITY_MAX} … {PRIORITY_MAX}, got {one.priority}"


def _refused(
    one: NewRule, rule: PostingRule, accounts: Sequence[RoleAccount], needs: Mapping[int, Mapping[str, bool]]
) -> Iterator[str]:
    """Types that an account opposite takes no dimension of."""
    for account in opposite(rule, accounts):
        for type_code in sorted(set(one.dimensions) - set(needs.get(account.account_id, ()))):
            yield f"account {account.number} ({account.role}) takes no {type_code}"


def opposite(rule: PostingRule, accounts: Sequence[RoleAccount]) -> list[RoleAccount]:
    """The accounts that may stand for the rule's counter role: that of its site, or all there are."""
    there = [account for account in accounts if account.role == rule.counter_role]
    if rule.site_id is None:
        return there
    at_site = [account for account in there if account.site == rule.site_id]
    return at_site or [account for account in there if account.site == 0]


def _refuse_ambiguous(new: Sequence[PostingRule], old: Sequence[PostingRule]) -> None:
    found = []
    for row, rule in enumerate(new):
        others = [*old, *new[:row]]
        for number in rivals(rule, others):
            other = "one in force" if number < len(old) else f"rule {number - len(old) + 1}"
            found.append(
                Fault(
                    row,
                    "priority",
                    f"{other} of the same priority can match the same {Kind(rule.kind).name.lower()}"
                    f" ({_told(others[number])}): give one of the two another priority or more conditions",
                )
            )
    if found:
        raise WrongRules(found)


def _told(rule: PostingRule) -> str:
    names = ("item class", rule.item_class), ("site", rule.site_id), ("reason", rule.reason)
    said = [f"{name} {value}" for name, value in (*names, ("party class", rule.party_class)) if value is not None]
    sides = " / ".join(side for side in (rule.debit_role, rule.credit_role) if side != POOL) or POOL
    return f"{', '.join(said) or 'without conditions'} → {sides}"
