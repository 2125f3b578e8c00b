"""What changes of value must know: receipts, pools of an item, work orders in work, rules for sharing costs.

Rows ↔ values, nothing else.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import psycopg

from cloud.domain.batch import Company
from cloud.domain.costing.allocation import Basis
from cloud.store.journal import hold_calendar
from cloud.store.sql import statement

NOUN = "valuation"

Cursor = psycopg.Cursor


@dataclass(frozen=True, slots=True)
class Receipt:
    """A movement that a value event names.

    price_micro      10⁻⁶ of the document's currency per stock unit, or None;  rate_nano  base per unit of it, 10⁻⁹
    booked_micro     what its pool took it at, 10⁻⁶ currency
    corrected_micro  what price corrections have added so far
    taken_back       another movement corrects it
    currency         ISO 4217 number of the price's currency, 0 the company's own
    corrected_currency  what price corrections have added so far in its minor units
    """

    movement_id: uuid.UUID
    kind: int
    item_id: int
    item: str
    qty_micro: int
    price_micro: int | None
    rate_nano: int
    occurred_us: int
    booked_micro: int
    corrected_micro: int
    weight_mg: int | None
    volume_mm3: int | None
    taken_back: bool
    currency: int = 0
    corrected_currency: int = 0


@dataclass(frozen=True, slots=True)
class OrderInWork:
    """An open work order and the cost that stands in it."""

    code: str
    item_id: int
    location_id: int
    dimension_id: int
    planned_micro: int
    weight_mg: int | None
    volume_mm3: int | None
    value_micro: int


@dataclass(frozen=True, slots=True)
class Rule:
    """By what a cost is shared, and over the targets of what; industry "" is for all."""

    industry: str
    cost_type: str
    basis: Basis
    dimension: str
    priority: int = 0
    rule_id: int = 0


@dataclass(frozen=True, slots=True)
class CostedItem:
    """An item and how it is costed."""

    item_id: int
    code: str
    method: str
    tracking: str


@dataclass(frozen=True, slots=True)
class StockPool:
    """A pool of an item's goods; values 10⁻⁶ currency, qty 10⁻⁶ stock units, standard of one unit or None."""

    item_id: int
    pool_id: int
    site_id: int
    method: int
    qty: int
    value: int
    allowance: int
    standard: int | None
    newest_us: int
    late_from_us: int | None


@dataclass(frozen=True, slots=True)
class EventRow:
    """A value event as it is shown; by: who asked for it."""

    event_id: uuid.UUID
    kind: str
    item: str | None
    receipt: uuid.UUID | None
    value_micro: int
    document: str
    reason: str
    occurred_us: int
    recorded_at: datetime
    by: str


def hold_receipts(cursor: Cursor, company_id: int, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Receipt]:
    """The movements of these ids, held against other corrections to the end of the transaction."""
    texts = sorted({str(one) for one in ids})
    where = {"company": company_id, "ids": texts}
    cursor.execute(statement(NOUN, "hold_receipts"), where)
    rows = cursor.execute(statement(NOUN, "receipts"), where).fetchall()
    return {row[0]: Receipt(*row) for row in rows}


def receipts_of(cursor: Cursor, company_id: int, dimension: str, key: str, limit: int) -> list[uuid.UUID]:
    """Purchase receipts of a document or batch; a workshop has none."""
    if dimension == "workshop":
        return []
    name = "receipts_of_document" if dimension == "document" else "receipts_of_batch"
    where = {"company": company_id, "key": key, "limit": limit}
    return [row[0] for row in cursor.execute(statement(NOUN, name), where)]


def orders_of(cursor: Cursor, company_id: int, dimension: str, key: str, limit: int) -> list[OrderInWork]:
    """Open work orders of a document, batch or workshop, locked."""
    where = {"company": company_id, "dimension": dimension, "key": key, "limit": limit}
    return [OrderInWork(*row) for row in cursor.execute(statement(NOUN, "orders_of"), where)]


def rule_for(cursor: Cursor, company_id: int, cost_type: str, industry: str) -> tuple[Basis, str] | None:
    """(basis, dimension) that the company's rules name for this type of cost, or None."""
    where = {"company": company_id, "cost_type": cost_type, "industry": industry}
    row = cursor.execute(statement(NOUN, "rule"), where).fetchone()
    return None if row is None else (Basis(row[0]), row[1])


def rules(connection: psycopg.Connection, company_id: int, after: int, limit: int) -> list[Rule]:
    """A page of the company's rules in the order in which they were written."""
    rows = connection.execute(statement(NOUN, "rules"), {"company": company_id, "after": after, "limit": limit})
    return [
        Rule(industry, cost_type, Basis(basis), dimension, priority, number)
        for number, industry, cost_type, basis, dimension, priority in rows
    ]


def put_rule(connection: psycopg.Connection, company_id: int, rule: Rule) -> int:
    """Write a rule, or replace the one of its industry, type of cost and priority; its number."""
    row = connection.execute(
        statement(NOUN, "put_rule"),
        {
            "company": company_id,
            "industry": rule.industry,
            "cost_type": rule.cost_type,
            "basis": rule.basis.value,
            "dimension": rule.dimension,
            "priority": rule.priority,
        },
    ).fetchone()
    assert row is not None  # noqa: S101  INSERT … RETURNING gives one
    return int(row[0])


def hold_items(cursor: Cursor, company_id: int, codes: Iterable[str]) -> dict[str, CostedItem]:
    """The items by code, their methods held to the end of the transaction. Once a transaction: in one order."""
    where = {"company": company_id, "codes": sorted(set(codes))}
    return {row[1]: CostedItem(*row) for row in cursor.execute(statement(NOUN, "items"), where)}


def set_method(cursor: Cursor, company_id: int, item_id: int, method: str) -> None:
    """New pools of the item are costed so."""
    cursor.execute(statement(NOUN, "set_method"), {"company": company_id, "item": item_id, "method": method})


def stock_pools(cursor: Cursor, company_id: int, item_id: int) -> list[StockPool]:
    """The item's pools but those in work, for who only names them: booking locks them."""
    rows = cursor.execute(statement(NOUN, "stock_pools"), {"company": company_id, "items": [item_id]})
    return [StockPool(*row) for row in rows]


def lock_stock_pools(cursor: Cursor, company: Company, item_ids: Sequence[int]) -> list[StockPool]:
    """The items' pools but those in work, locked in order of id.

    The calendar is held first, as in booking. All items at once, and whoever has locked pools so makes no new ones in
    the same transaction: batches make theirs before they lock any, so that none waits in a circle.
    """
    hold_calendar(cursor, company)
    where = {"company": company.company_id, "items": list(item_ids)}
    return [StockPool(*row) for row in cursor.execute(statement(NOUN, "lock_stock_pools"), where)]


def since(cursor: Cursor, company_id: int, pools: Sequence[int], at_us: int) -> dict[int, tuple[int, int, int]]:
    """{pool_id: (quantity, value, allowance)} of what happened behind a moment."""
    rows = cursor.execute(statement(NOUN, "since"), {"company": company_id, "pools": list(pools), "at": at_us})
    return {row[0]: (row[1], row[2], row[3]) for row in rows}


def sites(cursor: Cursor, company_id: int) -> list[int]:
    """The location_ids of the company's sites."""
    return [row[0] for row in cursor.execute(statement(NOUN, "sites"), {"company": company_id})]


def profile(cursor: Cursor, company_id: int) -> str:
    """ASBE, IFRS or US_GAAP."""
    row = cursor.execute(statement(NOUN, "profile"), {"company": company_id}).fetchone()
    assert row is not None  # noqa: S101  its batch has been opened
    return str(row[0])


def period_from(cursor: Cursor, company_id: int, day: date) -> str | None:
    """The state of the period that begins on this day, held against a change; None where none begins."""
    rows = cursor.execute(statement("books", "hold_periods"), {"company": company_id}).fetchall()
    return next((state for _, first, _, state in rows if first == day), None)


def events(connection: psycopg.Connection, company_id: int, ids: Sequence[str]) -> list[EventRow]:
    """Value events of these ids, in their order; ids of movements are left out."""
    rows = connection.execute(statement(NOUN, "events"), {"company": company_id, "ids": list(ids)})
    found = {str(row[0]): EventRow(*row) for row in rows}
    return [found[one] for one in ids if one in found]
