"""Master data: companies with their charts and calendars, places, gates, parties, items, tags, expectations.

Rows ↔ domain values, nothing else. Everything is found again by its code, so that writing the same
description twice changes nothing; what must not change once there are books is refused.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime

import psycopg

from cloud.domain.catalog import (
    PARTY_OF_KIND,
    BoundTag,
    Expectation,
    Item,
    Party,
    PartyKind,
    WrongMasterData,
    lot_of_tag,
)
from cloud.domain.company import Closing, CompanySettings, Gate, LocationKind
from cloud.domain.costing.allocation_rules import AllocationRule
from cloud.domain.ledger.accounts import Account
from cloud.domain.ledger.dimensions import DIMENSION_TYPES
from cloud.domain.ledger.posting import PostingRule
from cloud.store.sql import statement


class UnknownCode(LookupError):
    """Nothing of the company has this code."""


class CannotChange(ValueError):
    """What books depend on is not changed by describing it anew."""


@dataclass(frozen=True, slots=True)
class StoredCompany:
    """A company as its row says."""

    company_id: int
    settings: CompanySettings


@dataclass(frozen=True, slots=True)
class StoredLocation:
    """A place as its row says."""

    location_id: int
    name: str
    kind: LocationKind
    site_id: int | None
    parent_id: int | None


@dataclass(frozen=True, slots=True)
class ItemConflict:
    """An item that an import would change where it must not; `old` is what the books have."""

    code: str
    column: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Month:
    """One period of the calendar: a month, its id yyyymm."""

    period_id: int
    first_day: date
    last_day: date


# ── Companies ───────────────────────────────────────────────────────────────────────────────────────


def find_company(connection: psycopg.Connection, code: str) -> StoredCompany | None:
    """The company of that code, or None."""
    row = connection.execute(statement("master", "company_by_code"), {"code": code}).fetchone()
    if row is None:
        return None
    company_id, code, name, currency, _, time_zone, profile, method, policy, roles, *rest = row
    closing = Closing(policy, tuple(roles), *rest)
    return StoredCompany(company_id, CompanySettings(code, name, currency, time_zone, profile, method, closing))


def add_company(connection: psycopg.Connection, settings: CompanySettings) -> int:
    """A new company's company_id."""
    return _one(
        connection,
        "add_company",
        {
            "code": settings.code,
            "name": settings.name,
            "currency": settings.currency,
            "minor_digits": settings.minor_digits,
            "time_zone": settings.time_zone,
            "profile": settings.profile,
            "default_method": settings.default_method,
        },
    )


def set_closing(connection: psycopg.Connection, company_id: int, closing: Closing) -> None:
    """How the company closes its periods from now on."""
    values = {"company": company_id, "soft_close_roles": list(closing.soft_close_roles)}
    named = {one.name: getattr(closing, one.name) for one in fields(Closing) if one.name != "soft_close_roles"}
    connection.execute(statement("master", "set_closing"), named | values)


def set_default_method(connection: psycopg.Connection, company_id: int, method: str) -> None:
    """How items are costed that come from now on and do not say it themselves."""
    connection.execute(statement("master", "set_default_method"), {"company": company_id, "method": method})


def add_chart(
    connection: psycopg.Connection, company_id: int, accounts: Sequence[Account], rules: Sequence[PostingRule]
) -> None:
    """The accounts, dimension types and posting rules a new company starts with."""
    numbers = [account.number for account in accounts]
    connection.execute(
        statement("master", "add_accounts"),
        {
            "company": company_id,
            "number": numbers,
            "name_zh": [account.name_zh for account in accounts],
            "name_en": [account.name_en for account in accounts],
            "role": [account.role for account in accounts],
            "type": [account.type.value for account in accounts],
            "postable": [account.is_postable for account in accounts],
            "control": [account.is_control for account in accounts],
            "monetary": [account.is_monetary for account in accounts],
            "items": [account.has_items for account in accounts],
        },
    )
    connection.execute(
        statement("master", "set_parents"),
        {"company": company_id, "number": numbers, "parent": [account.parent for account in accounts]},
    )
    _add_dimensions(connection, company_id, accounts)
    connection.execute(
        statement("master", "add_posting_rules"),
        {
            "company": company_id,
            "kind": [int(rule.kind) for rule in rules],
            "item_class": [rule.item_class for rule in rules],
            "debit_role": [rule.debit_role for rule in rules],
            "credit_role": [rule.credit_role for rule in rules],
            "priority": [rule.priority for rule in rules],
            "reason": [rule.reason for rule in rules],
        },
    )


def _add_dimensions(connection: psycopg.Connection, company_id: int, accounts: Sequence[Account]) -> None:
    connection.execute(
        statement("master", "add_dimension_types"),
        {
            "company": company_id,
            "code": [one.code for one in DIMENSION_TYPES],
            "name_zh": [one.name_zh for one in DIMENSION_TYPES],
            "name_en": [one.name_en for one in DIMENSION_TYPES],
        },
    )
    needs = [(account.number, name, need) for account in accounts for name, need in account.dimensions.items()]
    connection.execute(
        statement("master", "add_account_dimensions"),
        {
            "company": company_id,
            "number": [number for number, _, _ in needs],
            "type": [name for _, name, _ in needs],
            "need": [need.value for _, _, need in needs],
        },
    )


def period_span(connection: psycopg.Connection, company_id: int) -> tuple[date, date] | None:
    """First and last day of the company's calendar, or None where it has none."""
    row = connection.execute(statement("master", "period_span"), {"company": company_id}).fetchone()
    if row is None or row[0] is None:
        return None
    return row[0], row[1]


def is_begun(connection: psycopg.Connection, company_id: int) -> bool:
    """Whether the calendar's first period is closed, so that none can come before it."""
    return bool(connection.execute(statement("master", "is_begun"), {"company": company_id}).fetchone())


def add_periods(connection: psycopg.Connection, company_id: int, months: Sequence[Month]) -> None:
    """Months that are not there yet, open."""
    connection.execute(
        statement("master", "add_periods"),
        {
            "company": company_id,
            "period_id": [month.period_id for month in months],
            "first_day": [month.first_day for month in months],
            "last_day": [month.last_day for month in months],
        },
    )


# ── Places, gates, gateways ─────────────────────────────────────────────────────────────────────────


def locations(connection: psycopg.Connection, company_id: int) -> dict[str, StoredLocation]:
    """Every place of the company by code."""
    rows = connection.execute(statement("master", "locations"), {"company": company_id})
    return {code: StoredLocation(*rest) for code, *rest in rows}


def put_location(
    connection: psycopg.Connection,
    company_id: int,
    code: str,
    name: str,
    kind: LocationKind,
    site_id: int | None = None,
    parent_id: int | None = None,
) -> int:
    """A place's location_id, new or found; a site names itself as its site. Raises CannotChange."""
    where = {"company": company_id, "code": code}
    row = connection.execute(
        statement("master", "put_location"),
        where | {"name": name, "kind": kind, "site": site_id, "parent": parent_id},
    ).fetchone()
    if row is None:
        old = locations(connection, company_id)[code]
        raise CannotChange(
            f"location {code}: expected kind {old.kind} of site {old.site_id} as it stands in the books, "
            f"got {kind} of site {site_id}"
        )
    location_id: int = row[0]
    if kind == "site":
        connection.execute(
            statement("master", "site_names_itself"), {"company": company_id, "location": location_id}
        )
    return location_id


def put_gate(connection: psycopg.Connection, company_id: int, gate: Gate) -> int:
    """A gate's gate_id, new or changed to this. Raises UnknownCode."""
    places = locations(connection, company_id)
    for code in (gate.inside, gate.outside):
        if code not in places:
            raise UnknownCode(f"gate {gate.code}: the company has no location {code!r}")
    return _one(
        connection,
        "put_gate",
        {
            "company": company_id,
            "code": gate.code,
            "inside": places[gate.inside].location_id,
            "outside": places[gate.outside].location_id,
            "crossing_group": gate.crossing_group,
            "same_crossing_us": gate.same_crossing_us,
        },
    )


def gate_ids(connection: psycopg.Connection, company_id: int) -> dict[str, int]:
    """Every gate of the company by code."""
    return dict(connection.execute(statement("master", "gates"), {"company": company_id}).fetchall())


def put_gateway(connection: psycopg.Connection, company_id: int, site: str, code: str, lane: int) -> int:
    """A gateway's gateway_id, new or found."""
    return _one(connection, "put_gateway", {"company": company_id, "site": site, "code": code, "lane": lane})


# ── Parties, items, tags ────────────────────────────────────────────────────────────────────────────


def put_parties(
    connection: psycopg.Connection, company_id: int, parties: Iterable[Party]
) -> dict[tuple[PartyKind, str], int]:
    """Add those that are missing; the party_id of every party of the company by (kind, code)."""
    distinct = {(party.kind, party.code): party for party in parties}
    connection.execute(
        statement("master", "put_parties"),
        {
            "company": company_id,
            "kind": [party.kind for party in distinct.values()],
            "code": [party.code for party in distinct.values()],
            "name": [party.name for party in distinct.values()],
        },
    )
    rows = connection.execute(statement("master", "parties"), {"company": company_id})
    return {(kind, code): party_id for kind, code, party_id in rows}


def item_ids(connection: psycopg.Connection, company_id: int) -> dict[str, int]:
    """Every item of the company by code."""
    return dict(connection.execute(statement("master", "items"), {"company": company_id}).fetchall())


def decide_methods(
    connection: psycopg.Connection, company_id: int, items: Sequence[Item]
) -> list[Item | WrongMasterData]:
    """The items with method and tracking filled in, from what they are or the company's default.

    In the place of an item that cannot be under the company's accounting profile stands the reason.
    """
    rows = connection.execute(
        statement("master", "methods_of"), {"company": company_id, "codes": [item.code for item in items]}
    ).fetchall()
    if not rows:
        raise UnknownCode(f"no company {company_id}")
    default, profile = rows[0][:2]
    old = {code: (method, tracking) for _, _, code, method, tracking in rows}
    decided: list[Item | WrongMasterData] = []
    for item in items:
        try:
            decided.append(item.decided(default, profile, old.get(item.code)))
        except WrongMasterData as error:
            decided.append(error)
    return decided


def item_conflicts(connection: psycopg.Connection, company_id: int, items: Sequence[Item]) -> list[ItemConflict]:
    """What putting `items` would change although it must not; None changes nothing."""
    rows = connection.execute(statement("master", "item_conflicts"), _item_columns(company_id, items))
    return [ItemConflict(*row) for row in rows]


def put_items(connection: psycopg.Connection, company_id: int, items: Sequence[Item]) -> dict[str, int]:
    """Add or change items by code; the item_id of every item of the company.

    Raises CannotChange; WrongMasterData where the company's profile forbids an item's method.
    """
    decided = decide_methods(connection, company_id, items)
    items = [item for item in decided if isinstance(item, Item)]
    for wrong in decided:
        if isinstance(wrong, WrongMasterData):
            raise wrong
    if conflicts := item_conflicts(connection, company_id, items):
        first = conflicts[0]
        raise CannotChange(_sentence(first))
    columns = _item_columns(company_id, items)
    connection.execute(statement("master", "release_gtins"), columns)
    connection.execute(statement("master", "put_items"), columns)
    return item_ids(connection, company_id)


def _sentence(conflict: ItemConflict) -> str:
    if conflict.column == "gtin":
        return f"item {conflict.code}: GTIN {conflict.new} is that of item {conflict.old}"
    return (
        f"item {conflict.code} has moved already: expected {conflict.column} {conflict.old} as in the books, "
        f"got {conflict.new}"
    )


def _item_columns(company_id: int, items: Sequence[Item]) -> dict[str, object]:
    return {
        "company": company_id,
        "code": [item.code for item in items],
        "name_zh": [item.name_zh for item in items],
        "name_en": [item.name_en for item in items],
        "unit": [item.unit for item in items],
        "gtin": [item.gtin for item in items],
        "item_class": [item.item_class for item in items],
        "method": [item.method for item in items],
        "provenance": [item.provenance for item in items],
        "tracking": [item.tracking for item in items],
        "weight": [item.weight_mg for item in items],
        "volume": [item.volume_mm3 for item in items],
    }


def add_allocation_rules(
    connection: psycopg.Connection, company_id: int, rules: Mapping[str, Sequence[AllocationRule]]
) -> None:
    """Rules for sharing costs, by industry; those that the company has already keep what it made of them."""
    rows = [(industry, rule) for industry, lines in rules.items() for rule in lines]
    connection.execute(
        statement("master", "add_allocation_rules"),
        {
            "company": company_id,
            "industry": [industry for industry, _ in rows],
            "cost_type": [rule.cost_type for _, rule in rows],
            "basis": [rule.basis.value for _, rule in rows],
            "dimension": [rule.dimension for _, rule in rows],
        },
    )


def put_lots(
    connection: psycopg.Connection, company_id: int, lots: Sequence[tuple[int, str]]
) -> dict[tuple[int, str], int]:
    """Add lots that are missing; the lot_id of each by (item_id, code). Raises psycopg.errors.ForeignKeyViolation."""
    if not lots:
        return {}
    columns = {"company": company_id, "item": [item for item, _ in lots], "code": [code for _, code in lots]}
    connection.execute(statement("master", "put_lots"), columns)
    rows = connection.execute(statement("master", "lots"), columns)
    return {(item, code): lot_id for item, code, lot_id in rows}


def put_tags(connection: psycopg.Connection, company_id: int, tags: Sequence[BoundTag]) -> None:
    """Bind EPCs to items, and to their lots. A tag of a serial item names a piece of its own where no lot is given.

    Raises UnknownCode; WrongMasterData; CannotChange where an EPC is bound to another item or lot.
    """
    codes = sorted({tag.item_code for tag in tags})
    rows = connection.execute(statement("master", "trackings"), {"company": company_id, "codes": codes})
    known = {code: rest for code, *rest in rows}
    lots: list[str | None] = []
    for tag in tags:
        if tag.item_code not in known:
            raise UnknownCode(f"tag {tag.epc}: the company has no item {tag.item_code!r}")
        _, tracking, method = known[tag.item_code]
        lots.append(lot_of_tag(tracking, method, tag.epc, tag.lot_code))
    items = [known[tag.item_code][0] for tag in tags]
    numbers = put_lots(
        connection, company_id, [(item, lot) for item, lot in zip(items, lots, strict=True) if lot is not None]
    )
    rows = connection.execute(
        statement("master", "put_tags"),
        {
            "company": company_id,
            "epc": [tag.epc for tag in tags],
            "item": items,
            "qty": [tag.qty_micro for tag in tags],
            "lot": [None if lot is None else numbers[item, lot] for item, lot in zip(items, lots, strict=True)],
        },
    )
    bound = {row[0] for row in rows}
    if other := next((tag for tag in tags if tag.epc not in bound), None):
        raise CannotChange(
            f"tag {other.epc} is bound to another item than {other.item_code}, or to another lot of it"
        )


# ── Expectations ────────────────────────────────────────────────────────────────────────────────────


def add_expectations(
    connection: psycopg.Connection,
    company_id: int,
    expectations: Sequence[Expectation],
    dimensions: Sequence[int] | None = None,
) -> list[int]:
    """The expectation_id of each, in order. Parties that are missing are added under their code.

    dimensions  dimension_id of what each names; None: none names any
    Raises UnknownCode.
    """
    known = item_ids(connection, company_id)
    gates = gate_ids(connection, company_id)
    for expected in expectations:
        if expected.gate not in gates:
            raise UnknownCode(f"the company has no gate {expected.gate!r}")
        if expected.item_code is not None and expected.item_code not in known:
            raise UnknownCode(f"the company has no item {expected.item_code!r}")
    parties = put_parties(
        connection,
        company_id,
        [
            Party(PARTY_OF_KIND[expected.kind], expected.party, expected.party)
            for expected in expectations
            if expected.party is not None
        ],
    )
    rows = connection.execute(
        statement("master", "add_expectations"),
        {
            "company": company_id,
            "gate": [gates[expected.gate] for expected in expectations],
            "direction": [int(expected.direction) for expected in expectations],
            "epc": [expected.epc for expected in expectations],
            "item": [None if e.item_code is None else known[e.item_code] for e in expectations],
            "kind": [int(expected.kind) for expected in expectations],
            "party": [None if e.party is None else parties[PARTY_OF_KIND[e.kind], e.party] for e in expectations],
            "document": [expected.document for expected in expectations],
            "price": [expected.price_micro for expected in expectations],
            "currency": [expected.currency for expected in expectations],
            "rate": [expected.rate_nano for expected in expectations],
            "qty": [expected.qty_micro for expected in expectations],
            "open_until": [expected.open_until for expected in expectations],
            "note": [expected.note for expected in expectations],
            "reason": [expected.reason for expected in expectations],
            "dimension": [0] * len(expectations) if dimensions is None else list(dimensions),
        },
    )
    return [row[0] for row in rows]


def reopen_expectations(connection: psycopg.Connection, company_id: int, note: str, open_until: datetime) -> int:
    """Open the expectations with this note until then; how many there are."""
    cursor = connection.execute(
        statement("master", "reopen_expectations"), {"company": company_id, "note": note, "open_until": open_until}
    )
    return cursor.rowcount


def newest_numbered_note(connection: psycopg.Connection, company_id: int, beginning: str) -> int:
    """The greatest number that ends a note of the company's expectations with this beginning, or 0."""
    return _one(connection, "newest_numbered_note", {"company": company_id, "beginning": beginning})


def _one(connection: psycopg.Connection, name: str, values: Mapping[str, object]) -> int:
    row = connection.execute(statement("master", name), values).fetchone()
    if row is None:
        raise RuntimeError(f"master.sql: {name} returned no row")
    number: int = row[0]
    return number
