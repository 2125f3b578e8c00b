"""/v1/tags: which item a tag is, and where it is."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from cloud.api.access import Pool, Reader, TagWriter
from cloud.api.paging import LIMIT_DEFAULT, CursorText, Limit, Page, after_one, make_page
from cloud.api.problems import Problem, not_found, wrong_value
from cloud.api.values import MICRO_DIGITS, Code, DecimalText, LotCode, Moment, Quantity, parse_decimal
from cloud.domain.catalog import BoundTag, WrongMasterData, lot_of_tag
from cloud.domain.decimals import micro_text
from cloud.domain.moments import moment_of
from cloud.flows.bind_tag import CannotBind, bind_tag
from cloud.store import lists
from cloud.store.lists import TagRow

router = APIRouter(prefix="/v1/tags", tags=["tags"])

EPC_MAX = 128  # hex digits: 512 bits, the longest EPC memory bank that readers report


class TagIn(BaseModel):
    """Say which item a tag is, and how much of it."""

    model_config = {
        "extra": "forbid",
        "json_schema_extra": {
            "examples": [{"epc": "3034257BF7194E4000001A85", "item": "CRATE-7", "quantity": "1"}]
        },
    }

    epc: str = Field(max_length=EPC_MAX, description="The EPC memory as readers report it, hex.")
    item: Code
    quantity: DecimalText = "1"
    lot: LotCode | None = Field(
        None, description="Lot or serial number; without one a serial item's piece is called by its EPC."
    )


class TagOut(BaseModel):
    """A registered tag; location and since are null before it was ever seen."""

    epc: str
    item: str
    quantity: Quantity
    lot: str | None
    bound_at: Moment
    location: str | None
    since: Moment | None


class TagBound(TagOut):
    """A tag just registered, and the movements that its earlier sightings made."""

    movement_ids: list[UUID]


@router.get("", response_model=Page[TagOut], summary="Registered tags by EPC")
def list_tags(
    caller: Reader,
    pool: Pool,
    limit: Limit = LIMIT_DEFAULT,
    cursor: CursorText = None,
    item: Annotated[str | None, Query(max_length=64)] = None,
) -> dict[str, Any]:
    """Registered tags in the order of their EPCs."""
    filters = {"item": item}
    after = after_one(cursor, "tags", filters, "")
    with pool.connection() as connection:
        rows = lists.tags(connection, caller.company.company_id, after, limit + 1, item)
    return make_page("tags", filters, rows, limit, lambda row: [row.epc], show_tag)


@router.get("/{epc}", response_model=TagOut, summary="One tag")
def read_tag(epc: str, caller: Reader, pool: Pool) -> TagOut:
    """The tag with this EPC."""
    with pool.connection() as connection:
        row = lists.find_tag(connection, caller.company.company_id, epc.upper())
    if row is None:
        raise not_found("tag", epc)
    return show_tag(row)


@router.post("", response_model=TagBound, status_code=201, summary="Register a tag")
def register_tag(body: TagIn, caller: TagWriter, pool: Pool) -> TagBound:
    """What gates saw of the tag before is booked now, each movement at the time of its sighting."""
    company_id = caller.company.company_id
    qty_micro = parse_decimal(body.quantity, MICRO_DIGITS, "/quantity")
    try:
        tag = BoundTag(body.epc.upper(), body.item, qty_micro, body.lot)
    except WrongMasterData as error:
        raise wrong_value(f"/{error.column}", error.complaint) from None
    with pool.connection() as connection:
        item = lists.find_item(connection, company_id, tag.item_code)
    if item is None:
        raise wrong_value("/item", f"no item {tag.item_code!r}")
    try:
        lot_of_tag(item.tracking, item.method, tag.epc, tag.lot_code)
    except WrongMasterData as error:
        raise wrong_value(f"/{error.column}", error.complaint) from None
    try:
        with pool.connection() as connection:
            movement_ids = bind_tag(connection, company_id, tag.epc, item.item_id, tag.qty_micro, tag.lot_code)
    except CannotBind as error:
        raise Problem(422, "cannot-book", str(error)) from None
    with pool.connection() as connection:
        row = lists.find_tag(connection, company_id, tag.epc)
    assert row is not None  # noqa: S101  registered just now, and registrations are never deleted
    return TagBound(**show_tag(row).model_dump(), movement_ids=[UUID(one) for one in movement_ids])


def show_tag(row: TagRow) -> TagOut:
    """A tag as the API shows it."""
    return TagOut(
        epc=row.epc,
        item=row.item,
        quantity=micro_text(row.qty_micro),
        lot=row.lot,
        bound_at=row.bound_at,
        location=row.location,
        since=None if row.since_us is None else moment_of(row.since_us),
    )
