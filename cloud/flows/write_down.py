"""Stock at the lower of cost and net realisable value, item by item (IAS 2.28 to 2.33, ASBE 1 article 15).

An item whose goods cost more than they will bring is written down by an allowance; their cost stays what it is. When
they will bring more again, the allowance is taken back, at most to nothing: never above the original cost. US GAAP
(ASC 330-10-35-14) knows no way back.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from cloud.domain.batch import Batch
from cloud.domain.costing.realisable_value import Holding, allowance_changes
from cloud.domain.movement import Kind
from cloud.flows.answer_once import VALUE_LIMIT, Answered, CannotRecord, Event, Request, answer_once, book_rows
from cloud.store import valuation
from cloud.store.valuation import CostedItem, StockPool

Cursor = psycopg.Cursor

ROWS_MAX = 1000
WITHOUT_REVERSAL = frozenset({"US_GAAP"})


@dataclass(frozen=True, slots=True)
class Realisable:
    """What one stock unit of an item will bring, less what it costs to complete and sell it, 10⁻⁶ currency."""

    item: str
    unit_value_micro: int


def write_down(
    connection: psycopg.Connection,
    company_id: int,
    values: Sequence[Realisable],
    occurred_us: int,
    document: str,
    reason: str,
    request: Request,
) -> Answered:
    """Bring the items' allowances to what their values ask for. Raises CannotRecord, RequestConflict, psycopg.Error.

    Compares with what was in stock at `occurred_us`. An item whose allowance is right already makes no event.
    """
    if not 1 <= len(values) <= ROWS_MAX:
        raise CannotRecord(f"expected 1 … {ROWS_MAX}, got {len(values)}", field="items")

    def work(cursor: Cursor, batch: Batch) -> list[str]:
        profile = valuation.profile(cursor, company_id)
        items = _items(cursor, company_id, values)
        pools: dict[int, list[StockPool]] = {item.item_id: [] for item in items.values()}
        for pool in valuation.lock_stock_pools(cursor, batch.company, list(pools)):
            pools[pool.item_id].append(pool)
        events: list[Event] = []
        for number in sorted(range(len(values)), key=lambda i: values[i].item):
            one = values[number]
            item_id = items[one.item].item_id
            holdings = _holdings(cursor, company_id, pools[item_id], occurred_us)
            changes = allowance_changes(holdings, one.unit_value_micro)
            if profile in WITHOUT_REVERSAL and sum(changes) < 0:
                raise CannotRecord(
                    f"{one.item}: a write-down is not taken back under {profile}; its allowance would fall by"
                    f" {-sum(changes)} × 10⁻⁶",
                    number,
                    "net_realisable_value",
                )
            events += [
                Event(
                    Kind.WRITE_DOWN, change, occurred_us, pool_id=holding.pool_id, item_id=item_id,
                    document=document, reason=reason,
                )
                for holding, change in zip(holdings, changes, strict=True)
                if change
            ]  # fmt: skip
        return book_rows(cursor, batch, request.key, events=events) if events else []

    return answer_once(connection, company_id, request, work)


def _items(cursor: Cursor, company_id: int, values: Sequence[Realisable]) -> dict[str, CostedItem]:
    """The items by code, held. Raises CannotRecord."""
    items = valuation.hold_items(cursor, company_id, [one.item for one in values])
    seen: set[str] = set()
    for number in sorted(range(len(values)), key=lambda i: values[i].item):
        one = values[number]
        if one.item in seen:
            raise CannotRecord(f"{one.item!r} stands here twice", number, "item")
        seen.add(one.item)
        if one.item not in items:
            raise CannotRecord(f"no item {one.item!r}", number, "item")
        if not 0 <= one.unit_value_micro < VALUE_LIMIT:
            raise CannotRecord(
                f"expected 0 or more, below {VALUE_LIMIT} × 10⁻⁶, got {one.unit_value_micro}",
                number,
                "net_realisable_value",
            )
    return items


def _holdings(cursor: Cursor, company_id: int, pools: Sequence[StockPool], occurred_us: int) -> list[Holding]:
    """What these pools held at a moment, those that held goods."""
    newer = [pool.pool_id for pool in pools if pool.newest_us > occurred_us]
    since = valuation.since(cursor, company_id, newer, occurred_us) if newer else {}
    held = []
    for pool in pools:
        qty, value, allowance = since.get(pool.pool_id, (0, 0, 0))
        if pool.qty - qty > 0:
            held.append(Holding(pool.pool_id, pool.qty - qty, pool.value - value, pool.allowance - allowance))
    return held
