"""/v1/items: what is stocked."""

from typing import Annotated, Any, Literal
from urllib.parse import quote

import psycopg
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from cloud.api.access import MasterWriter, Pool, Reader
from cloud.api.paging import LIMIT_DEFAULT, CursorText, Limit, Page, after_one, make_page
from cloud.api.problems import not_found, taken, wrong_value
from cloud.api.values import Code, DecimalText, Text, parse_decimal
from cloud.domain.catalog import METHODS, MILLI_DIGITS, TRACKINGS, Item, WrongMasterData
from cloud.domain.decimals import scaled_text
from cloud.store import lists, master
from cloud.store.lists import ItemRow

router = APIRouter(prefix="/v1/items", tags=["items"])

OneOfMethods = Annotated[str, Field(json_schema_extra={"enum": list(METHODS)})]
OneOfTrackings = Annotated[str, Field(json_schema_extra={"enum": list(TRACKINGS)})]


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
                    "weight_g": "1250",
                    "volume_cm3": "9600",
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
    method: OneOfMethods | None = Field(
        None, description="Without one the company's default. LIFO under US GAAP only."
    )
    provenance: Text = Field("", description="Where the record comes from, and what of it is made up.")
    tracking: OneOfTrackings | None = Field(
        None, description="Whether lots or serial numbers are told apart; without one `serial` for `specific`."
    )
    weight_g: DecimalText | None = Field(
        None, description="Grams a stock unit, up to three digits after the point."
    )
    volume_cm3: DecimalText | None = Field(None, description="Cubic centimetres a stock unit, the same.")


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
    tracking: str
    weight_g: str | None
    volume_cm3: str | None


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
    """A code or GTIN that is taken is refused with 409, a method that the company's profile forbids with 422."""
    company_id = caller.company.company_id
    named = body.model_dump(exclude={"weight_g", "volume_cm3"})
    weight_mg = _milli(body.weight_g, "/weight_g")
    volume_mm3 = _milli(body.volume_cm3, "/volume_cm3")
    try:
        given = Item(**named, weight_mg=weight_mg, volume_mm3=volume_mm3)
    except WrongMasterData as error:
        raise wrong_value(f"/{error.column}", error.complaint) from None
    with pool.connection() as connection:
        # One that is there is refused below, whatever its method is.
        [item] = master.decide_methods(connection, company_id, [given])
    if isinstance(item, WrongMasterData):
        raise wrong_value(f"/{item.column}", item.complaint)
    try:
        with pool.connection() as connection:
            row = lists.add_item(connection, company_id, item)
    except psycopg.errors.UniqueViolation as error:
        what = f"GTIN {item.gtin}" if error.diag.constraint_name == "items_gtin" else f"code {item.code!r}"
        raise taken(f"there is already an item with {what}") from None
    response.headers["Location"] = f"/v1/items/{quote(row.code)}"
    return _show(row)


def _milli(text: str | None, pointer: str) -> int | None:
    return None if text is None else parse_decimal(text, MILLI_DIGITS, pointer)


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
        tracking=row.tracking,
        weight_g=None if row.weight_mg is None else scaled_text(row.weight_mg, MILLI_DIGITS),
        volume_cm3=None if row.volume_mm3 is None else scaled_text(row.volume_mm3, MILLI_DIGITS),
    )
