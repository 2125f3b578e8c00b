"""Posting rules and what they are checked against: rows ↔ values, nothing else."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from uuid import UUID

import psycopg

from cloud.domain.ledger.posting import PostingRule
from cloud.store.sql import statement

NOUN = "rules"
EVERYTHING = 2**31 - 1


@dataclass(frozen=True, slots=True)
class StoredRule:
    """A rule as its row says. site: code; dimensions: as their set is spelled; ended_at None: in force."""

    rule_id: int
    rule: PostingRule
    site: str | None
    dimensions: str
    made_at: datetime
    made_by: str
    ended_at: datetime | None
    ended_by: str | None


@dataclass(frozen=True, slots=True)
class RoleAccount:
    """An account that stands for a role, everywhere (site 0) or at one site, and whether it takes lines on the day."""

    account_id: int
    number: str
    name_zh: str
    name_en: str
    role: str
    site: int
    is_postable: bool
    is_valid: bool
    valid_from: date
    valid_to: date


@dataclass(frozen=True, slots=True)
class Awaited:
    """Open expectations that differ in nothing that a rule asks for; first: the oldest of `count`."""

    kind: int
    item_class: str
    site: int
    reason: str
    party_class: str
    dimension_id: int
    count: int
    first: int


@dataclass(frozen=True, slots=True)
class EntryLine:
    """A line of an entry with the entry's head and the account's names; amounts in minor units, debit positive.

    currency  ISO 4217 number, 0 for the company's own
    """

    source_id: UUID
    step: int
    kind: int
    posting_date: date
    period_id: int
    tags: int
    document: str
    line_no: int
    number: str
    name_zh: str
    name_en: str
    role: str | None
    dimensions: str
    amount: int
    currency: int
    currency_amount: int


def lock(connection: psycopg.Connection, company_id: int) -> None:
    """Be alone with the company's rules until the transaction ends."""
    connection.execute(statement(NOUN, "lock"), {"company": company_id})


def rules(
    connection: psycopg.Connection,
    company_id: int,
    *,
    ended: bool = False,
    kind: int | None = None,
    one: int | None = None,
    after: int = -1,
    limit: int = EVERYTHING,
) -> list[StoredRule]:
    """Rules in the order of their age; `ended`: with those that are in force no more."""
    rows = connection.execute(
        statement(NOUN, "rules"),
        {"company": company_id, "ended": ended, "kind": kind, "one": one, "after": after, "limit": limit},
    )
    return [StoredRule(row[0], PostingRule(*row[1:10]), *row[10:]) for row in rows]


def add(connection: psycopg.Connection, company_id: int, new: Sequence[PostingRule], by: str) -> list[int]:
    """The rule_id of each, in order."""
    columns = {field.name: [getattr(rule, field.name) for rule in new] for field in fields(PostingRule)}
    rows = connection.execute(
        statement(NOUN, "add"),
        {
            "company": company_id,
            "by": by,
            "kind": [int(kind) for kind in columns["kind"]],
            "item_class": columns["item_class"],
            "site": columns["site_id"],
            "debit": columns["debit_role"],
            "credit": columns["credit_role"],
            "priority": columns["priority"],
            "reason": columns["reason"],
            "party_class": columns["party_class"],
            "dimension": columns["dimension_id"],
        },
    )
    return [row[0] for row in rows]


def end(connection: psycopg.Connection, company_id: int, ids: Sequence[int], by: str) -> list[int]:
    """End rules that are in force; which of them were."""
    values = {"company": company_id, "ids": list(ids), "by": by}
    return [row[0] for row in connection.execute(statement(NOUN, "end"), values)]


def role_accounts(connection: psycopg.Connection, company_id: int, day: date) -> list[RoleAccount]:
    """Every account that stands for a role."""
    rows = connection.execute(statement(NOUN, "accounts"), {"company": company_id, "day": day})
    return [RoleAccount(*row) for row in rows]


def needs(connection: psycopg.Connection, company_id: int) -> dict[int, dict[str, bool]]:
    """{account_id: {type of dimension: whether lines must name one}}; types that are absent are refused."""
    found: dict[int, dict[str, bool]] = defaultdict(dict)
    for account, code, is_required in connection.execute(statement(NOUN, "needs"), {"company": company_id}):
        found[account][code] = is_required
    return dict(found)


def set_types(connection: psycopg.Connection, company_id: int, ids: Collection[int]) -> dict[int, frozenset[str]]:
    """{dimension_id: the types that the set names}."""
    found: dict[int, set[str]] = defaultdict(set)
    for dimension, code in connection.execute(
        statement(NOUN, "set_types"), {"company": company_id, "ids": list(ids)}
    ):
        found[dimension].add(code)
    return {dimension: frozenset(types) for dimension, types in found.items()}


def sites(connection: psycopg.Connection, company_id: int) -> dict[str, int]:
    """location_id by code."""
    return dict(connection.execute(statement(NOUN, "sites"), {"company": company_id}).fetchall())


def today(connection: psycopg.Connection, company_id: int) -> date:
    """The company's own date. Raises LookupError."""
    row = connection.execute(statement(NOUN, "today"), {"company": company_id}).fetchone()
    if row is None:
        raise LookupError(f"no company {company_id}")
    day: date = row[0]
    return day


def classes_in_use(connection: psycopg.Connection, company_id: int) -> list[tuple[str, str]]:
    """(item, supplier or customer; a class of it that occurs)."""
    return connection.execute(statement(NOUN, "in_use"), {"company": company_id}).fetchall()


def awaited(connection: psycopg.Connection, company_id: int) -> list[Awaited]:
    """What gates still expect, of items that are known."""
    return [Awaited(*row) for row in connection.execute(statement(NOUN, "expectations"), {"company": company_id})]


def unbound(connection: psycopg.Connection, company_id: int) -> dict[int, int]:
    """{site: how many observations there wait for their tags to be bound to items}."""
    return dict(connection.execute(statement(NOUN, "observations"), {"company": company_id}).fetchall())


def entry_lines(connection: psycopg.Connection, company_id: int, sources: Sequence[UUID]) -> list[EntryLine]:
    """What this transaction wrote for these sources, in the order of the books."""
    values = {"company": company_id, "ids": [str(one) for one in sources]}
    return [EntryLine(*row) for row in connection.execute(statement(NOUN, "entries"), values)]


def legs(
    connection: psycopg.Connection, company_id: int, sources: Sequence[UUID]
) -> dict[UUID, tuple[int, str, int, str, str]]:
    """(Kind, item class, site, reason, party class) by which the rule of each movement or value event was found."""
    values = {"company": company_id, "ids": [str(one) for one in sources]}
    return {row[0]: (row[1], *row[2:]) for row in connection.execute(statement(NOUN, "legs"), values)}
