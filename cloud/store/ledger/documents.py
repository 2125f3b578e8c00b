"""What documents must know: open items, goods they speak of, accounts by number and role, drafts: rows ↔ values."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

import psycopg

from cloud.domain.ledger.chart import Accounts, DimensionNeeds
from cloud.store.sql import statement

NOUN = "documents"

Cursor = psycopg.Cursor
Connection = psycopg.Connection | psycopg.Cursor


@dataclass(frozen=True, slots=True)
class OpenPart:
    """What is open of an item on one account and dimension set; minor units, debit positive.

    currency, currency_amount  the same in the item's currency, 0 where that is the company's own
    newest                     the day of its last line
    """

    item: UUID
    account_id: int
    number: str
    role: str
    dimension_id: int
    amount: int
    currency: int
    currency_amount: int
    newest: date


@dataclass(frozen=True, slots=True)
class Goods:
    """A movement that a document names.

    price_micro  10⁻⁶ of its currency per stock unit, or None;  rate_nano  base per unit of it, 10⁻⁹
    site_id      where its goods were or came to, 0: nowhere
    taken_back   another movement corrects it
    is_posted    it made an entry: its goods were worth something
    """

    movement_id: UUID
    kind: int
    item_id: int
    item: str
    qty_micro: int
    party_id: int
    document: str
    price_micro: int | None
    currency: int
    rate_nano: int
    occurred_us: int
    dimension_id: int
    site_id: int
    taken_back: bool
    is_posted: bool


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account that a request names by its number."""

    number: str
    account_id: int
    is_control: bool
    is_postable: bool
    valid_from: date
    valid_to: date


@dataclass(frozen=True, slots=True)
class EntryHead:
    """An entry that somebody wants to take back; corrected_by: the source of the entry that did already."""

    origin: int
    kind: int
    posting_date: date
    corrects: UUID | None
    corrected_by: str | None


@dataclass(frozen=True, slots=True)
class Recorded:
    """A document as it was recorded."""

    document_id: UUID
    kind: int
    party_id: int
    number: str
    day: date
    currency: int
    rate_nano: int
    narration: str
    details: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RecordedLine:
    """A line of a document's entry, in minor units."""

    account_id: int
    amount: int
    dimension_id: int
    currency: int
    currency_amount: int
    open_item: UUID | None
    has_items: bool


@dataclass(frozen=True, slots=True)
class Draft:
    """What a shipment will be invoiced at: minor units of its currency (0: the company's own)."""

    movement_id: UUID
    party_id: int
    document: str
    price_micro: int
    currency: int
    rate_nano: int
    net_amount: int
    state: str
    posted_as: UUID | None


@dataclass(frozen=True, slots=True)
class DraftRow:
    """A draft as a list shows it."""

    movement_id: UUID
    party_id: int | None
    document: str
    item_id: int
    qty_micro: int
    price_micro: int
    currency: int
    rate_nano: int
    net_amount: int
    occurred_us: int
    state: Literal["waiting", "posted", "dismissed"]
    posted_as: UUID | None
    changed_by: str
    reason: str
    item: str
    party: str | None


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A document as a list shows it; corrected_by: the one that took it back."""

    document_id: UUID
    kind: int
    party: str | None
    number: str
    day: date
    currency: int
    rate_nano: int
    narration: str
    recorded_by: str
    details: dict[str, Any]
    recorded_at: datetime
    posting_date: date
    period_id: int
    corrects: UUID | None
    corrected_by: UUID | None


@dataclass(frozen=True, slots=True)
class DocumentLineRow:
    """A line of a document as it is shown."""

    source_id: UUID
    line_no: int
    number: str
    name_zh: str
    name_en: str
    dimension: str
    amount: int
    currency: int
    currency_amount: int
    open_item: UUID | None


def _texts(ids: Sequence[UUID]) -> list[str]:
    return sorted({str(one) for one in ids})


def hold(cursor: Cursor, company_id: int, names: Sequence[str]) -> None:
    """Let other requests about the same things wait to the end of the transaction."""
    cursor.execute(statement(NOUN, "hold"), {"company": company_id, "names": sorted(set(names))})


def hold_items(cursor: Cursor, company_id: int, items: Sequence[UUID]) -> None:
    """Hold open items; corrections of receipts (valuation.hold_receipts) wait for the same."""
    hold(cursor, company_id, [f"receipt {one}" for one in items])


def open_items(cursor: Cursor, company_id: int, items: Sequence[UUID]) -> dict[UUID, list[OpenPart]]:
    """What stands under these items, by item; parts that are cleared by now too."""
    found: dict[UUID, list[OpenPart]] = defaultdict(list)
    rows = cursor.execute(statement(NOUN, "items"), {"company": company_id, "ids": _texts(items)})
    for row in rows:
        found[row[0]].append(OpenPart(*row))
    return found


def goods(cursor: Cursor, company_id: int, ids: Sequence[UUID]) -> dict[UUID, Goods]:
    """Movements by id; those that are not on the books are absent."""
    rows = cursor.execute(statement(NOUN, "moved_goods"), {"company": company_id, "ids": _texts(ids)})
    return {row[0]: Goods(*row) for row in rows}


def invoiced(cursor: Cursor, company_id: int, ids: Sequence[UUID]) -> dict[UUID, int]:
    """{receipt: 10⁻⁶ stock units that invoices cover so far}."""
    rows = cursor.execute(statement(NOUN, "invoiced"), {"company": company_id, "ids": _texts(ids)})
    return dict(rows.fetchall())


def same_number(cursor: Cursor, company_id: int, kind: int, party_id: int, number: str) -> UUID | None:
    """A document of the kind that has the party's number already."""
    where = {"company": company_id, "kind": kind, "party": party_id or None, "number": number}
    row = cursor.execute(statement(NOUN, "same_number"), where).fetchone()
    return None if row is None else row[0]


def accounts_numbered(cursor: Cursor, company_id: int, numbers: Sequence[str]) -> dict[str, AccountRow]:
    """Accounts by number; unknown ones are absent."""
    where = {"company": company_id, "numbers": sorted(set(numbers))}
    rows = cursor.execute(statement(NOUN, "numbered_accounts"), where)
    return {row[0]: AccountRow(*row) for row in rows}


def accounts_by_role(cursor: Cursor, company_id: int) -> Accounts:
    """The chart by role and site."""
    return Accounts.of(cursor.execute(statement(NOUN, "document_roles"), {"company": company_id}))


def dimension_needs(cursor: Cursor, company_id: int, sets: Sequence[int]) -> DimensionNeeds:
    """What accounts ask for and allow, and what these sets name."""
    required: dict[int, set[int]] = defaultdict(set)
    allowed: dict[int, set[int]] = defaultdict(set)
    named: dict[int, set[int]] = defaultdict(set)
    types: dict[int, str] = {}
    numbers: dict[int, str] = {}
    for account, number, type_id, code, is_required in cursor.execute(
        statement(NOUN, "document_needs"), {"company": company_id}
    ):
        numbers[account] = number
        if type_id is not None:
            allowed[account].add(type_id)
        if is_required:
            required[account].add(type_id)
            types[type_id] = code
    where = {"company": company_id, "ids": sorted(set(sets) - {0})}
    for dimension, type_id, code in cursor.execute(statement(NOUN, "set_types"), where):
        named[dimension].add(type_id)
        types[type_id] = code

    def frozen(found: Mapping[int, set[int]]) -> dict[int, frozenset[int]]:
        return {key: frozenset(one) for key, one in found.items()}

    return DimensionNeeds(frozen(required), frozen(allowed), frozen(named), types, numbers)


def entry_head(cursor: Cursor, company_id: int, source: UUID, step: int = 0) -> EntryHead | None:
    """An entry's head, or None."""
    where = {"company": company_id, "id": source, "step": step}
    row = cursor.execute(statement(NOUN, "entry"), where).fetchone()
    return None if row is None else EntryHead(*row)


def document(cursor: Cursor, company_id: int, document_id: UUID) -> Recorded | None:
    """A document, or None."""
    row = cursor.execute(statement(NOUN, "document"), {"company": company_id, "id": document_id}).fetchone()
    return None if row is None else Recorded(*row)


def lines_of(cursor: Cursor, company_id: int, document_id: UUID) -> list[RecordedLine]:
    """The lines of a document's entry in their order."""
    rows = cursor.execute(statement(NOUN, "lines"), {"company": company_id, "id": document_id})
    return [RecordedLine(*row) for row in rows]


def settled(cursor: Cursor, company_id: int, document_id: UUID) -> tuple[str, int, int, int, str] | None:
    """(account, amount, currency amount, currency, by which source) that others did to a document's own items."""
    row = cursor.execute(statement(NOUN, "settled"), {"company": company_id, "id": document_id}).fetchone()
    return None if row is None else (row[0], row[1], row[2], row[3], row[4])


def moved_to_cost(cursor: Cursor, company_id: int, ids: Sequence[UUID]) -> list[tuple[UUID, int, int, int]]:
    """(shipment, account, dimension set, amount) that documents have posted to goods shipped so far."""
    return cursor.execute(statement(NOUN, "moved_to_cost"), {"company": company_id, "ids": _texts(ids)}).fetchall()


def lock_drafts(cursor: Cursor, company_id: int, ids: Sequence[UUID]) -> dict[UUID, Draft]:
    """Drafts of these shipments, locked."""
    rows = cursor.execute(statement(NOUN, "lock_drafts"), {"company": company_id, "ids": _texts(ids)})
    return {row[0]: Draft(*row) for row in rows}


def post_drafts(
    cursor: Cursor,
    company_id: int,
    nets: Mapping[UUID, int],
    invoice: UUID,
    currency: int,
    rate_nano: int,
    by: str,
) -> None:
    """Mark shipments as invoiced. nets: minor units of the invoice's currency."""
    where = {"company": company_id, "ids": [str(one) for one in nets]}
    terms = {"nets": list(nets.values()), "currency": currency, "rate": rate_nano}
    cursor.execute(statement(NOUN, "make_drafts"), where | terms)
    cursor.execute(statement(NOUN, "post_drafts"), where | {"invoice": invoice, "by": by})


def reopen_drafts(cursor: Cursor, company_id: int, invoice: UUID, by: str) -> None:
    """Shipments of an invoice wait again."""
    cursor.execute(statement(NOUN, "reopen_drafts"), {"company": company_id, "invoice": invoice, "by": by})


def dismiss_draft(cursor: Cursor, company_id: int, movement_id: UUID, reason: str, by: str) -> bool:
    """Whether there was a draft that is not posted; it is dismissed now."""
    where = {"company": company_id, "id": movement_id, "reason": reason, "by": by}
    return cursor.execute(statement(NOUN, "dismiss_draft"), where).fetchone() is not None


def drafts(
    connection: Connection, company_id: int, state: str | None, after: tuple[int, UUID], limit: int
) -> list[DraftRow]:
    """A page of drafts; state None: all."""
    where = {"company": company_id, "state": state, "after_us": after[0], "after_id": after[1], "limit": limit}
    return [DraftRow(*row) for row in connection.execute(statement(NOUN, "drafts"), where)]


def shipped_left(
    cursor: Cursor, company_id: int, until: date | None
) -> list[tuple[UUID, int, int, int, date, int]]:
    """(shipment, account, dimension set, amount, last day, site) of invoiced goods that stand as shipped still, at the
    end of a day; None: by now."""
    where = {"company": company_id, "until": until}
    return cursor.execute(statement(NOUN, "shipped_left"), where).fetchall()


def documents(
    connection: Connection, company_id: int, kinds: Sequence[int], after: tuple[datetime, UUID], limit: int,
    one: UUID | None = None,
) -> list[DocumentRow]:  # fmt: skip
    """A page of documents of these kinds; `one`: only that."""
    where = {"company": company_id, "kinds": list(kinds), "after_at": after[0], "after_id": after[1]}
    rows = connection.execute(statement(NOUN, "documents"), where | {"limit": limit, "id": one})
    return [DocumentRow(*row) for row in rows]


def document_lines(
    connection: Connection, company_id: int, ids: Sequence[UUID]
) -> dict[UUID, list[DocumentLineRow]]:
    """Lines of documents by document."""
    found: dict[UUID, list[DocumentLineRow]] = defaultdict(list)
    rows = connection.execute(statement(NOUN, "document_lines"), {"company": company_id, "ids": _texts(ids)})
    for row in rows:
        found[row[0]].append(DocumentLineRow(*row))
    return found


def group_trade(cursor: Cursor, seller: str, number: str, buyer: str) -> tuple[UUID, int, dict[str, Any]] | None:
    """(document, currency, details) of what `seller` shipped to `buyer` under a number, or None."""
    where = {"seller": seller, "number": number, "buyer": buyer}
    return cursor.execute(statement(NOUN, "group_trade"), where).fetchone()


def company_of(cursor: Cursor, code: str) -> tuple[int, str, str, int] | None:
    """(company_id, code, currency, minor digits) by code, or None."""
    return cursor.execute(statement(NOUN, "company_code"), {"code": code}).fetchone()


def is_received(cursor: Cursor, company_id: int, first: UUID) -> bool:
    """Whether the first movement of a trade's receipt is on the books."""
    row = cursor.execute(statement(NOUN, "is_received"), {"company": company_id, "id": first}).fetchone()
    assert row is not None  # noqa: S101  EXISTS always has a row
    return bool(row[0])


def item_codes(cursor: Cursor, company_id: int, ids: Sequence[int]) -> dict[int, str]:
    """Codes of items by id."""
    where = {"company": company_id, "ids": sorted(set(ids))}
    return dict(cursor.execute(statement(NOUN, "item_codes"), where).fetchall())
