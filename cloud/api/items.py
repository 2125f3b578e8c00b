"""/v1/items: what is stocked."""

from typing import Annotated, Any, Literal
from urllib.parse import quote

import psycopg
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from cloud.api.access import MasterWriter, Pool, Reader
from cloud.api.paging import LIMIT_DEFAULT, CursorText, Limit, Page, after_one, make_page
from cloud.api.problems import not_found, taken, wrong_value
from cloud.api.values import Code, Text
from cloud.domain.catalog import Item, WrongMasterData
from cloud.store import lists
from cloud.store.lists import ItemRow

router = APIRouter(prefix="/v1/items", tags=["items"])


class ItemIn(BaseModel):
    """A new item."""

    model_config = {
        "extra": "forbid",
        "json_schema_extra": {
            "examples": [
                {
                    "code": "CRATE-7",
                    "name_zh": "周转箱 7 号",
                    "name_en": "Crate no. 7",
                    "unit": "pcs",
                    "gtin": "09506000134352",
                    "item_class": "goods",
                    "method": "fifo",
                }
            ]
        },
    }

    code: Code
    name_zh: Text = ""
    name_en: Text = ""
    unit: Code = "pcs"
    gtin: str | None = Field(None, description="GTIN-14 with its check digit; tags that carry it find the item.")
    item_class: Literal["raw_material", "goods"] = "goods"
    method: Literal["moving_average", "fifo"] = "moving_average"
    provenance: Text = Field("", description="Where the record comes from, and what of it is made up.")


class ItemOut(BaseModel):
    """An item."""

    code: str
    name_zh: str
    name_en: str
    unit: str
    gtin: str | None
    item_class: str
    method: str
    provenance: str


@router.get("", response_model=Page[ItemOut], summary="Items by code")
def list_items(
    caller: Reader,
    pool: Pool,
    limit: Limit = LIMIT_DEFAULT,
    cursor: CursorText = None,
    gtin: Annotated[str | None, Query(max_length=14)] = None,
) -> dict[str, Any]:
    """Items in the order of their codes."""
    filters = {"gtin": gtin}
    after = after_one(cursor, "items", filters, "")
    with pool.connection() as connection:
        rows = lists.items(connection, caller.company.company_id, after, limit + 1, gtin)
    return make_page("items", filters, rows, limit, lambda row: [row.code], _show)


@router.get("/{code:path}", response_model=ItemOut, summary="One item")
def read_item(code: str, caller: Reader, pool: Pool) -> ItemOut:
    """The item with this code."""
    with pool.connection() as connection:
        row = lists.find_item(connection, caller.company.company_id, code)
    if row is None:
        raise not_found("item", code)
    return _show(row)


@router.post("", response_model=ItemOut, status_code=201, summary="Add an item")
def add_item(body: ItemIn, caller: MasterWriter, pool: Pool, response: Response) -> ItemOut:
    """A code or GTIN that is taken is refused with 409."""
    try:
        item = Item(**body.model_dump())
    except WrongMasterData as error:
        raise wrong_value(f"/{error.column}", error.complaint) from None
    try:
        with pool.connection() as connection:
            row = lists.add_item(connection, caller.company.company_id, item)
    except psycopg.errors.UniqueViolation as error:
        what = f"GTIN {item.gtin}" if error.diag.constraint_name == "items_gtin" else f"code {item.code!r}"
        raise taken(f"there is already an item with {what}") from None
    response.headers["Location"] = f"/v1/items/{quote(row.code)}"
    return _show(row)


def _show(row: ItemRow) -> ItemOut:
    return ItemOut(
        code=row.code,
        name_zh=row.name_zh,
        name_en=row.name_en,
        unit=row.unit,
        gtin=row.gtin,
        item_class=row.item_class,
        method=row.method,
        provenance=row.provenance,
    )
