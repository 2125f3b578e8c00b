"""/v1/balances: how much of what is where, now or at a past moment."""

from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from cloud.api.access import Pool, Reader, snapshot
from cloud.api.paging import LIMIT_DEFAULT, CursorText, Limit, Page, make_page, read_cursor, write_cursor
from cloud.api.problems import wrong_value
from cloud.api.values import MomentIn, Quantity
from cloud.domain.decimals import micro_text
from cloud.domain.moments import us_of
from cloud.store import lists
from cloud.store.lists import BalanceRow
from cloud.store.snapshots import Clock, Wanted, balances_at

router = APIRouter(prefix="/v1/balances", tags=["balances"])

_LIST, _PAST = "balances", "past balances"
_FIRST = (-1, -1, -1)

Code = Annotated[str | None, Query(max_length=64)]


class ClockName(StrEnum):
    """Which of its two times decides whether a movement counts."""

    OCCURRED = "occurred"
    RECORDED = "recorded"


_CLOCKS = {ClockName.OCCURRED: Clock.OCCURRED, ClockName.RECORDED: Clock.RECORDED}


class BalanceOut(BaseModel):
    """So much of an item or lot in one place; places outside the company's walls are negative for what came."""

    item: str
    name_zh: str
    name_en: str
    location: str
    location_name: str
    location_kind: str
    lot: str | None = Field(description="Null where the item is not tracked.")
    quantity: Quantity
    unit: str


@router.get("", response_model=Page[BalanceOut], summary="Balances that are not zero, now or at a past moment")
def list_balances(
    caller: Reader,
    pool: Pool,
    limit: Limit = LIMIT_DEFAULT,
    cursor: CursorText = None,
    item: Annotated[Code, Query(description="Only this item, by its code.")] = None,
    location: Annotated[Code, Query(description="Only this location, by its code.")] = None,
    site: Annotated[Code, Query(description="Only places of this site, by its code.")] = None,
    lot: Annotated[Code, Query(description="Only lots of this code.")] = None,
    at: Annotated[
        MomentIn | None,
        Query(description="Balances of this moment, its own microsecond included; now, unless said."),
    ] = None,
    clock: Annotated[
        ClockName | None,
        Query(
            description="With `at`: `occurred` (unless said) is what lay there at that moment as far as is known "
            "today, late news included; `recorded` is what the books said at that moment."
        ),
    ] = None,
) -> dict[str, Any]:
    """Balances by item, location and lot.

    A page of a past moment looks at a bounded number of balances: it may have fewer rows than `limit`, or none, and
    `has_more` all the same. Go on until it has not.
    """
    filters = {"item": item, "location": location, "site": site, "lot": lot}
    if at is not None:
        return _past(caller, pool, limit, cursor, filters, us_of(at), clock or ClockName.OCCURRED)
    if clock is not None:
        raise wrong_value("/clock", "it goes with `at`")
    after = (*_FIRST, -1)
    if cursor is not None:
        item_id, location_id, lot_id, status = read_cursor(cursor, _LIST, filters, (int, int, int, int))
        after = (item_id, location_id, lot_id, status)
    with pool.connection() as connection:
        rows = lists.balances(connection, caller.company.company_id, after, limit + 1, **filters)
    return make_page(
        _LIST,
        filters,
        rows,
        limit,
        lambda row: [row.item_id, row.location_id, row.lot_id, row.status],
        _show,
    )


def _past(
    caller: Reader, pool: Pool, limit: int, cursor: str | None, wanted: dict[str, str | None], at_us: int,
    clock: ClockName,
) -> dict[str, Any]:  # fmt: skip
    filters = wanted | {"at": str(at_us), "clock": clock}
    after = _FIRST
    if cursor is not None:
        item_id, location_id, lot_id = read_cursor(cursor, _PAST, filters, (int, int, int))
        after = (item_id, location_id, lot_id)
    with snapshot(pool) as connection:
        rows, next_key = balances_at(
            connection, caller.company.company_id, _CLOCKS[clock], at_us, after, limit, Wanted(**wanted)
        )
    return {
        "data": [_show(row) for row in rows],
        "next_cursor": None if next_key is None else write_cursor(_PAST, filters, next_key),
        "has_more": next_key is not None,
    }


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
