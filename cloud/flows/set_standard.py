"""A new standard cost of an item, from one moment on: what lies in stock is revalued by it.

The difference is posted as revaluation. Pools of the item that come later, at sites that have none yet, begin with
it as well: each site of the company gets its pool now.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psycopg

from cloud.domain.batch import Batch
from cloud.domain.costing.methods import Method
from cloud.domain.movement import Kind
from cloud.flows.answer_once import VALUE_LIMIT, Answered, CannotRecord, Event, Request, answer_once, book_rows
from cloud.store import valuation
from cloud.store.valuation import CostedItem

Cursor = psycopg.Cursor

ROWS_MAX = 1000


@dataclass(frozen=True, slots=True)
class NewStandard:
    """An item by its code, and its standard cost: 10⁻⁶ of the company's currency for one stock unit."""

    item: str
    standard_micro: int


def set_standards(
    connection: psycopg.Connection,
    company_id: int,
    standards: Sequence[NewStandard],
    occurred_us: int,
    document: str,
    reason: str,
    request: Request,
) -> Answered:
    """Book the new standards, all or none. Raises CannotRecord, RequestConflict, psycopg.Error."""
    if not 1 <= len(standards) <= ROWS_MAX:
        raise CannotRecord(f"expected 1 … {ROWS_MAX}, got {len(standards)}", field="standards")

    def work(cursor: Cursor, batch: Batch) -> list[str]:
        events: list[Event] = []
        items = valuation.hold_items(cursor, company_id, [one.item for one in standards])
        for number in sorted(range(len(standards)), key=lambda i: standards[i].item):
            item = _item(items, standards[number], number)
            value = standards[number].standard_micro
            events += standard_events(cursor, company_id, item, value, occurred_us, document, reason)
        return book_rows(cursor, batch, request.key, events=events)

    return answer_once(connection, company_id, request, work)


def standard_events(
    cursor: Cursor, company_id: int, item: CostedItem, standard: int, occurred_us: int, document: str, reason: str
) -> list[Event]:
    """One event for each pool of the item, and for each site where it has none."""
    pools = valuation.stock_pools(cursor, company_id, item.item_id)
    there = {pool.site_id for pool in pools}
    at_pools = [
        Event(
            Kind.STANDARD_CHANGE, standard, occurred_us, pool_id=pool.pool_id, item_id=item.item_id,
            document=document, reason=reason,
        )
        for pool in pools
    ]  # fmt: skip
    at_sites = [
        Event(
            Kind.STANDARD_CHANGE, standard, occurred_us, item_id=item.item_id, location_id=site, document=document,
            reason=reason,
        )
        for site in valuation.sites(cursor, company_id)
        if site not in there
    ]  # fmt: skip
    return at_pools + at_sites


def _item(items: Mapping[str, CostedItem], standard: NewStandard, row: int) -> CostedItem:
    item = items.get(standard.item)
    if item is None:
        raise CannotRecord(f"no item {standard.item!r}", row, "item")
    if item.method != Method.STANDARD.label:
        raise CannotRecord(
            f"{item.code} is costed by {item.method}: change its method to standard, with its first standard",
            row,
            "item",
        )
    if not 0 <= standard.standard_micro < VALUE_LIMIT:
        raise CannotRecord(
            f"expected 0 or more, below {VALUE_LIMIT} × 10⁻⁶, got {standard.standard_micro}", row, "standard"
        )
    return item
