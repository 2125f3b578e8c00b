"""Charts of accounts: rows ↔ values, nothing else."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import psycopg
from psycopg.rows import class_row

from cloud.domain.ledger.accounts import Account, AccountType, Change, Need, Standing
from cloud.store.sql import statement

NOUN = "accounts"

Connection = psycopg.Connection | psycopg.Cursor


@dataclass(frozen=True, slots=True)
class Chart:
    """A company's chart with what its books have on each account. ids: account_id by number."""

    standing: Mapping[str, Standing]
    ids: Mapping[str, int]

    @property
    def accounts(self) -> tuple[Account, ...]:
        """In the order of their numbers."""
        return tuple(one.account for one in self.standing.values())


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a chart must fit.

    sites, dimension_types  codes
    unlocked_from           first day that can still be posted to
    roles                   those that posting rules name
    """

    sites: frozenset[str]
    dimension_types: frozenset[str]
    unlocked_from: date
    roles: frozenset[str]


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account with its turnover, minor units; a header's is that of all accounts below it."""

    number: str
    name_zh: str
    name_en: str
    account_type: str
    role: str | None
    site: str | None
    parent: str | None
    is_postable: bool
    is_control: bool
    is_monetary: bool
    has_items: bool
    valid_from: date
    valid_to: date
    dimensions: dict[str, str]
    debit: int
    credit: int


@dataclass(frozen=True, slots=True)
class Filters:
    """Which accounts of a chart to list; None: all."""

    one: str | None = None
    type: str | None = None
    role: str | None = None
    site: str | None = None
    parent: str | None = None
    postable: bool | None = None
    valid_on: date | None = None


def read_chart(connection: Connection, company_id: int) -> Chart:
    """The company's chart, held to the end of the transaction."""
    rows = connection.execute(statement(NOUN, "standing"), {"company": company_id}).fetchall()
    standing: dict[str, Standing] = {}
    ids: dict[str, int] = {}
    for account_id, number, zh, en, type_, role, site, parent, *flags in rows:
        postable, monetary, items, valid_from, valid_to, dimensions, first, last, pool_sites = flags
        account = Account(
            number, zh, en, AccountType(type_), role, site, parent, postable, monetary, items, valid_from, valid_to,
            {name: Need(need) for name, need in (dimensions or {}).items()},
        )  # fmt: skip
        standing[number] = Standing(account, None if first is None else (first, last), frozenset(pool_sites))
        ids[number] = account_id
    return Chart(standing, ids)


def with_open_items(connection: Connection, company_id: int, chart: Chart, numbers: Collection[str]) -> Chart:
    """The chart, where these accounts say whether items on them are open."""
    named = {chart.ids[number]: number for number in numbers}
    rows = connection.execute(
        statement(NOUN, "with_open_items"), {"company": company_id, "accounts": list(named)}
    ).fetchall()
    has_open = {named[account_id] for (account_id,) in rows}
    told = {number: replace(one, open_items=number in has_open) for number, one in chart.standing.items()}
    return Chart(told, chart.ids)


def surroundings(connection: Connection, company_id: int) -> Surroundings:
    """What the company's chart must fit."""
    row = connection.execute(statement(NOUN, "surroundings"), {"company": company_id}).fetchone()
    assert row is not None  # noqa: S101  one row of three sub-selects
    roles = connection.execute(statement(NOUN, "rules_naming"), {"company": company_id})
    sites, types, unlocked_from = row
    return Surroundings(
        frozenset(sites), frozenset(types), unlocked_from or date.max, frozenset(role for (role,) in roles)
    )


def hold_chart(connection: Connection) -> None:
    """Let no batch write to the end of the transaction."""
    connection.execute(statement(NOUN, "hold_chart"))


def write_changes(connection: Connection, company_id: int, chart: Chart, changes: Sequence[Change]) -> None:
    """Write what differs. Raises psycopg.Error where the database refuses it."""
    gone = [chart.ids[one.before.number] for one in changes if one.before and not one.after]
    kept = [(one.before, one.after) for one in changes if one.before and one.after]
    new = [one.after for one in changes if one.after and not one.before]
    ids = [chart.ids[before.number] for before, _ in kept]
    where = {"company": company_id}
    connection.execute(statement(NOUN, "clear_dimensions"), where | {"accounts": [*gone, *ids]})
    if gone:
        connection.execute(statement(NOUN, "remove"), where | {"accounts": gone})
    moved = [
        chart.ids[old.number] for old, now in kept if old.role and (old.role, old.site) != (now.role, now.site)
    ]
    renumbered = [chart.ids[old.number] for old, now in kept if old.number != now.number]
    if moved or renumbered:
        connection.execute(statement(NOUN, "make_room"), where | {"roles": moved, "numbers": renumbered})
    changed = [after for _, after in kept]
    connection.execute(statement(NOUN, "change"), where | {"account": ids} | _columns(changed))
    connection.execute(statement(NOUN, "add"), where | _columns(new))
    written = [*changed, *new]
    connection.execute(
        statement(NOUN, "set_parents"),
        where | {"number": [one.number for one in written], "parent": [one.parent for one in written]},
    )
    needs = [(one.number, name, need.value) for one in written for name, need in one.dimensions.items()]
    connection.execute(
        statement(NOUN, "set_dimensions"),
        where | {name: [row[i] for row in needs] for i, name in enumerate(("number", "type", "need"))},
    )


def page(
    connection: psycopg.Connection, company_id: int, filters: Filters, after: str = "", limit: int = 1
) -> list[AccountRow]:
    """Accounts by number, from beyond `after`."""
    named = {name: getattr(filters, name) for name in Filters.__dataclass_fields__}
    with connection.cursor(row_factory=class_row(AccountRow)) as cursor:
        return cursor.execute(
            statement(NOUN, "page"), {"company": company_id, "after": after, "limit": limit} | named
        ).fetchall()


def _columns(accounts: Sequence[Account]) -> dict[str, list[Any]]:
    return {
        "number": [one.number for one in accounts],
        "name_zh": [one.name_zh for one in accounts],
        "name_en": [one.name_en for one in accounts],
        "type": [one.type.value for one in accounts],
        "role": [one.role for one in accounts],
        "site": [one.site for one in accounts],
        "postable": [one.is_postable for one in accounts],
        "control": [one.is_control for one in accounts],
        "monetary": [one.is_monetary for one in accounts],
        "items": [one.has_items for one in accounts],
        "valid_from": [one.valid_from for one in accounts],
        "valid_to": [one.valid_to for one in accounts],
    }
