"""Lists that the API reads page by page, and the single rows that it adds: rows ↔ values, nothing else.

Each list is ordered by a key that never changes (a code, an EPC, an id) and read from beyond the last key
of the page before, so that a page costs its own rows only.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from cloud.domain.catalog import Item, Party
from cloud.store.sql import statement

NOUN = "lists"


@dataclass(frozen=True, slots=True)
class ItemRow:
    """An item."""

    item_id: int
    code: str
    name_zh: str
    name_en: str
    unit: str
    gtin: str | None
    item_class: str
    method: str
    provenance: str
    tracking: str
    weight_mg: int | None
    volume_mm3: int | None


@dataclass(frozen=True, slots=True)
class LocationRow:
    """A location with the codes of its site and its parent."""

    location_id: int
    code: str
    name: str
    kind: str
    site: str | None
    parent: str | None


@dataclass(frozen=True, slots=True)
class ParentRow:
    """What a new location must know of its parent."""

    location_id: int
    kind: str
    site_id: int | None


@dataclass(frozen=True, slots=True)
class PartyRow:
    """A supplier or customer."""

    party_id: int
    code: str
    name: str
    kind: str
    party_class: str


@dataclass(frozen=True, slots=True)
class TagRow:
    """A registered tag and where it is; location and since_us are None before it was ever seen."""

    epc: str
    item: str
    qty_micro: int
    lot: str | None
    bound_at: datetime
    location: str | None
    since_us: int | None


@dataclass(frozen=True, slots=True)
class GateRow:
    """A gate with its two sides."""

    gate_id: int
    code: str
    inside: str
    outside: str
    crossing_group: int
    same_crossing_us: int


@dataclass(frozen=True, slots=True)
class GatewayRow:
    """A gateway, what it last said, and its unfinished logs."""

    gateway_id: int
    site: str
    code: str
    lane: int
    online: bool | None
    received_at: datetime | None
    clock_us: int | None
    counters: dict[str, int]
    logs: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class BalanceRow:
    """So much of an item in one place."""

    item_id: int
    location_id: int
    lot_id: int
    status: int
    item: str
    name_zh: str
    name_en: str
    unit: str
    location: str
    location_name: str
    location_kind: str
    qty_micro: int
    lot: str | None


@dataclass(frozen=True, slots=True)
class ExpectationRow:
    """What a gate may expect, and how much of it came."""

    expectation_id: int
    gate: str
    direction: int
    epc: str | None
    item: str | None
    kind: int
    party: str | None
    document: str
    price_micro: int | None
    currency: str | None
    rate_nano: int
    qty_micro: int
    done_micro: int
    open_until: datetime
    note: str
    reason: str
    dimensions: str  # as their set is spelled


@dataclass(frozen=True, slots=True)
class QuarantineRow:
    """What could not be read or booked; `payload` holds the first of `payload_bytes` bytes."""

    quarantine_id: int
    gateway_site: str | None
    gateway: str | None
    epoch: UUID
    first_seq: int
    last_seq: int
    recorded_at: datetime
    reason: str
    payload: bytes
    payload_bytes: int
    resolution: str | None
    resolved_at: datetime | None
    resolved_by: str | None
    note: str | None


Row = TypeVar("Row")


def items(
    connection: psycopg.Connection, company_id: int, after: str, limit: int, gtin: str | None
) -> list[ItemRow]:
    """Items in the order of their codes."""
    return _all(connection, "items", ItemRow, company=company_id, after=after, limit=limit, gtin=gtin)


def find_item(connection: psycopg.Connection, company_id: int, code: str) -> ItemRow | None:
    """One item."""
    return _one(connection, "item", ItemRow, company=company_id, code=code)


def add_item(connection: psycopg.Connection, company_id: int, item: Item) -> ItemRow:
    """A new item whose method is decided. Raises psycopg.errors.UniqueViolation when its code or GTIN is taken."""
    row = _one(
        connection,
        "add_item",
        ItemRow,
        company=company_id,
        code=item.code,
        name_zh=item.name_zh,
        name_en=item.name_en,
        unit=item.unit,
        gtin=item.gtin,
        item_class=item.item_class,
        method=item.method,
        provenance=item.provenance,
        tracking=item.tracking,
        weight=item.weight_mg,
        volume=item.volume_mm3,
    )
    assert row is not None  # noqa: S101  INSERT … RETURNING without a conflict clause
    return row


def locations(
    connection: psycopg.Connection, company_id: int, after: str, limit: int, kind: str | None
) -> list[LocationRow]:
    """Locations in the order of their codes."""
    return _all(connection, "locations", LocationRow, company=company_id, after=after, limit=limit, kind=kind)


def find_location(connection: psycopg.Connection, company_id: int, code: str) -> LocationRow | None:
    """One location."""
    return _one(connection, "location", LocationRow, company=company_id, code=code)


def find_parent(connection: psycopg.Connection, company_id: int, code: str) -> ParentRow | None:
    """A location that is to become another's parent."""
    return _one(connection, "site_of", ParentRow, company=company_id, code=code)


def add_location(
    connection: psycopg.Connection,
    company_id: int,
    code: str,
    name: str,
    kind: str,
    site_id: int | None,
    parent_id: int | None,
) -> None:
    """A new location; a site names itself as its site. Raises psycopg.errors.UniqueViolation."""
    values = {
        "company": company_id,
        "code": code,
        "name": name,
        "kind": kind,
        "site": site_id,
        "parent": parent_id,
    }
    row = connection.execute(statement(NOUN, "add_location"), values).fetchone()
    assert row is not None  # noqa: S101  INSERT … RETURNING without a conflict clause
    if kind == "site":
        connection.execute(statement(NOUN, "own_site"), {"company": company_id, "location": row[0]})


def parties(
    connection: psycopg.Connection, company_id: int, after: int, limit: int, kind: str | None
) -> list[PartyRow]:
    """Parties in the order in which they came."""
    return _all(connection, "parties", PartyRow, company=company_id, after=after, limit=limit, kind=kind)


def add_party(connection: psycopg.Connection, company_id: int, party: Party) -> PartyRow:
    """A new party. Raises psycopg.errors.UniqueViolation when its code is taken among its kind."""
    row = _one(
        connection, "add_party", PartyRow, company=company_id, code=party.code, name=party.name, kind=party.kind,
        party_class=party.party_class,
    )  # fmt: skip
    assert row is not None  # noqa: S101  INSERT … RETURNING without a conflict clause
    return row


def set_party_class(
    connection: psycopg.Connection, company_id: int, kind: str, code: str, party_class: str
) -> PartyRow | None:
    """The party as it is now; movements from now on are posted by the rules of this class. None: there is none."""
    return _one(
        connection, "set_party_class", PartyRow, company=company_id, kind=kind, code=code, party_class=party_class
    )


def tags(
    connection: psycopg.Connection, company_id: int, after: str, limit: int, item: str | None
) -> list[TagRow]:
    """Registered tags in the order of their EPCs."""
    return _all(connection, "tags", TagRow, company=company_id, after=after, limit=limit, item=item)


def find_tag(connection: psycopg.Connection, company_id: int, epc: str) -> TagRow | None:
    """One registered tag."""
    return _one(connection, "tag", TagRow, company=company_id, epc=epc)


def gates(connection: psycopg.Connection, company_id: int, after: str, limit: int) -> list[GateRow]:
    """Gates in the order of their codes."""
    return _all(connection, "gates", GateRow, company=company_id, after=after, limit=limit)


def gateways(connection: psycopg.Connection, company_id: int, after: int, limit: int) -> list[GatewayRow]:
    """Gateways in the order in which they were registered."""
    return _all(connection, "gateways", GatewayRow, company=company_id, after=after, limit=limit)


def balances(
    connection: psycopg.Connection,
    company_id: int,
    after: tuple[int, int, int, int],
    limit: int,
    item: str | None = None,
    location: str | None = None,
    site: str | None = None,
    lot: str | None = None,
) -> list[BalanceRow]:
    """Balances that are not zero, by item, location, lot and status; what they are of is told by codes."""
    item_id, location_id, lot_id, status = after
    return _all(
        connection,
        "balances",
        BalanceRow,
        company=company_id,
        item_id=item_id,
        location_id=location_id,
        lot_id=lot_id,
        status=status,
        limit=limit,
        item=item,
        location=location,
        site=site,
        lot=lot,
    )


def expectations(
    connection: psycopg.Connection,
    company_id: int,
    after: int,
    limit: int,
    only_open: bool = False,
    gate: str | None = None,
    document: str | None = None,
    one: int | None = None,
) -> list[ExpectationRow]:
    """Expectations in the order in which they were written; `one` picks a single one by its id."""
    return _all(
        connection,
        "expectations",
        ExpectationRow,
        company=company_id,
        after=after,
        limit=limit,
        only_open=only_open,
        gate=gate,
        document=document,
        one=one,
    )


def quarantine(
    connection: psycopg.Connection, company_id: int, after: int, limit: int, only_open: bool, payload_bytes: int
) -> list[QuarantineRow]:
    """What is set aside, in the order in which it was."""
    return _all(
        connection,
        "quarantine",
        QuarantineRow,
        company=company_id,
        after=after,
        limit=limit,
        only_open=only_open,
        bytes=payload_bytes,
    )


def _all(connection: psycopg.Connection, named: str, row: type[Row], /, **values: Any) -> list[Row]:
    with connection.cursor(row_factory=class_row(row)) as cursor:
        return cursor.execute(statement(NOUN, named), values).fetchall()


def _one(connection: psycopg.Connection, named: str, row: type[Row], /, **values: Any) -> Row | None:
    with connection.cursor(row_factory=class_row(row)) as cursor:
        return cursor.execute(statement(NOUN, named), values).fetchone()
