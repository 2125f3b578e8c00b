"""/v1/balances: how much of what is where."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from cloud.api.access import Pool, Reader
from cloud.api.paging import LIMIT_DEFAULT, CursorText, Limit, Page, make_page, read_cursor
from cloud.api.values import Quantity
from cloud.domain.decimals import micro_text
from cloud.store import lists
from cloud.store.lists import BalanceRow

router = APIRouter(prefix="/v1/balances", tags=["balances"])


class BalanceOut(BaseModel):
    """So much of an item or lot in one place; places outside the company's walls are negative for what came."""

    item: str
    name_zh: str
    name_en: str
    location: str
    location_name: str
    location_kind: str
    lot: str | None
    quantity: Quantity
    unit: str


@router.get("", response_model=Page[BalanceOut], summary="Balances that are not zero")
def list_balances(
    caller: Reader,
    pool: Pool,
    limit: Limit = LIMIT_DEFAULT,
    cursor: CursorText = None,
    item: Annotated[str | None, Query(max_length=64, description="Only this item, by its code.")] = None,
    location: Annotated[str | None, Query(max_length=64, description="Only this location, by its code.")] = None,
) -> dict[str, Any]:
    """Balances by item, location and lot."""
    filters = {"item": item, "location": location}
    after = (-1, -1, -1, -1)
    if cursor is not None:
        item_id, location_id, lot_id, status = read_cursor(cursor, "balances", filters, (int, int, int, int))
        after = (item_id, location_id, lot_id, status)
    with pool.connection() as connection:
        rows = lists.balances(connection, caller.company.company_id, after, limit + 1, item, location)
    return make_page(
        "balances",
        filters,
        rows,
        limit,
        lambda row: [row.item_id, row.location_id, row.lot_id, row.status],
        _show,
    )


def _show(row: BalanceRow) -> BalanceOut:
    return BalanceOut(
        item=row.item,
        name_zh=row.name_zh,
        name_en=row.name_en,
        location=row.location,
        location_name=row.location_name,
        location_kind=row.location_kind,
        lot=row.lot,
        quantity=micro_text(row.qty_micro),
        unit=row.unit,
    )
