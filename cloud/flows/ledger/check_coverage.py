"""What could happen in a company that no posting rule covers, or whose accounts cannot take it: before it happens.

Asked are all combinations of kind, class of items in use, site, reason that rules or expectations name, and class of
parties in use; then what gates still expect, each with the dimensions it names. Nothing is locked or written.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from cloud.domain.catalog import PARTY_OF_KIND
from cloud.domain.ledger.coverage import Facts, Gap, RoleAccount, Thing, gaps, is_part_of, judge, sentence
from cloud.domain.ledger.posting import PostingRule
from cloud.domain.ledger.rules import in_order
from cloud.domain.movement import Kind
from cloud.store.ledger import rules as store
from cloud.store.ledger.rules import Awaited

_AT_GATES = (Kind.UNEXPLAINED_IN, Kind.UNEXPLAINED_OUT)


@dataclass(frozen=True, slots=True)
class Uncovered:
    """A gap as people read it.

    site          code; empty: everywhere that no rule or account tells apart; None: any
    expectations  how many of what gates expect it concerns;  first  the oldest of them
    observations  how many sightings of tags without an item wait there
    """

    gap: Gap
    site: str | None
    sentence: str
    expectations: int = 0
    first: int | None = None
    observations: int = 0


def check_coverage(connection: psycopg.Connection, company_id: int) -> list[Uncovered]:
    """Everything that would be refused, what blocks first. Raises LookupError, psycopg.Error."""
    awaited = store.awaited(connection, company_id)
    facts, codes = _facts(connection, company_id, awaited)
    known: dict[Kind, set[str]] = {}
    for one in awaited:
        known.setdefault(Kind(one.kind), set()).add(one.reason)
    unbound = store.unbound(connection, company_id)
    found = [_told(facts, gap, codes, unbound) for gap in gaps(facts, known)]
    found += [one for expected in awaited for one in _expected(facts, expected, codes)]
    return sorted(found, key=lambda one: not one.gap.blocks)


def _facts(
    connection: psycopg.Connection, company_id: int, awaited: Sequence[Awaited]
) -> tuple[Facts, dict[int, str]]:
    """What the company has, and the codes of its sites."""
    day = store.today(connection, company_id)
    needs = store.needs(connection, company_id)
    rules = in_order([one.rule for one in store.rules(connection, company_id)])
    sites = store.sites(connection, company_id)
    in_use = store.classes_in_use(connection, company_id)
    used = {rule.dimension_id for rule in rules} | {one.dimension_id for one in awaited}
    by_kind: dict[int, list[PostingRule]] = {}
    for rule in rules:
        by_kind.setdefault(rule.kind, []).append(rule)
    facts = Facts(
        by_kind,
        {
            (one.role, one.site): RoleAccount(
                one.number, one.is_postable, one.is_valid, needs.get(one.account_id, {})
            )
            for one in store.role_accounts(connection, company_id, day)
        },
        sorted(name for what, name in in_use if what == "item"),
        {kind: [name for what, name in in_use if what == kind] for kind in ("supplier", "customer")},
        PARTY_OF_KIND,
        store.set_types(connection, company_id, used - {0}),
    )
    return facts, {number: code for code, number in sites.items()} | {0: ""}


def _expected(facts: Facts, one: Awaited, codes: dict[int, str]) -> list[Uncovered]:
    """What a gate expects as it would be booked, where its dimensions make a difference to what gaps() says."""
    kind = Kind(one.kind)
    # Goods that arrive from another site leave the pool in transit, which is the company's.
    site = 0 if kind == Kind.TRANSFER_IN else one.site
    named = facts.sets.get(one.dimension_id, frozenset())
    thing = Thing(kind, one.item_class, site, one.reason, one.party_class, named)
    return [
        Uncovered(
            gap, codes.get(site), f"{sentence(gap, codes.get(site))}; {_count(one.count, 'expectation')} from number"
            f" {one.first} on", one.count, one.first,
        )
        for gap in judge(facts, thing)
    ]  # fmt: skip


def _told(facts: Facts, gap: Gap, codes: dict[int, str], unbound: dict[int, int]) -> Uncovered:
    site = None if gap.thing.site is None else codes.get(gap.thing.site)
    waiting = 0
    if gap.thing.kind in _AT_GATES:
        waiting = sum(
            count
            for at, count in unbound.items()
            if is_part_of(Thing(gap.thing.kind, gap.thing.item_class, at, "", ""), gap, facts)
        )
    told = sentence(gap, site)
    if waiting:
        told += f"; {_count(waiting, 'sighting')} of tags without an item wait there"
    return Uncovered(gap, site, told, observations=waiting)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
