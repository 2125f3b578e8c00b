"""/v1/movements: the stock ledger; and movements that a person or a program declares."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID

import msgspec
import psycopg
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from cloud.api.access import Pool, Reader, snapshot
from cloud.api.feeds import FEED_NOTE, OrderParameter, feed_page
from cloud.api.once import MovementChange, as_said
from cloud.api.paging import LIMIT_DEFAULT, CursorText, Limit, Page
from cloud.api.problems import Problem, wrong_value
from cloud.api.values import (
    MICRO_DIGITS,
    RATE_DIGITS,
    Code,
    DecimalText,
    KindName,
    LogPlace,
    LotCode,
    Moment,
    MomentIn,
    Quantity,
    Text,
    parse_decimal,
    tag_names,
)
from cloud.domain.catalog import PARTY_OF_KIND
from cloud.domain.decimals import micro_text
from cloud.domain.moments import moment_of, us_of
from cloud.domain.movement import Kind
from cloud.flows.declare import CannotBook, Declared, RequestConflict, declare_movements
from cloud.store import codes, feeds, master
from cloud.store.codes import ItemCode
from cloud.store.feeds import MovementRow, Order, Reading

router = APIRouter(prefix="/v1/movements", tags=["movements"])

ROWS_MAX = 1000


class MovementIn(BaseModel):
    """Goods that moved, by codes."""

    model_config = {"extra": "forbid"}

    kind: KindName
    item: Code
    quantity: DecimalText
    from_location: Code = Field(alias="from")
    to_location: Code = Field(alias="to")
    occurred_at: MomentIn | None = Field(None, description="When it happened; now, unless said.")
    party: Code | None = Field(None, description="Supplier or customer, by the kind.")
    document: Text = ""
    price: DecimalText | None = Field(None, description="For one stock unit, in the document's currency.")
    rate: DecimalText = Field("1", description="Company currency for one unit of the document's.")
    lot: LotCode | None = Field(None, description="Lot or serial number, of an item whose lots are told apart.")
    returns: UUID | None = Field(
        None,
        description="The movement that these goods return: a customer return its shipment, a supplier return "
        "its receipt.",
    )


class MovementsIn(BaseModel):
    """Movements that are booked together, all or none."""

    model_config = {
        "extra": "forbid",
        "json_schema_extra": {
            "examples": [
                {
                    "movements": [
                        {
                            "kind": "purchase_receipt",
                            "item": "CRATE-7",
                            "quantity": "15",
                            "from": "SUPPLIER",
                            "to": "HALL-1",
                            "party": "ACME",
                            "document": "PO-1042",
                            "price": "4.20",
                            "occurred_at": "2026-11-22T08:15:00Z",
                        }
                    ]
                }
            ]
        },
    }

    movements: list[MovementIn] = Field(min_length=1, max_length=ROWS_MAX)


class MovementsOut(BaseModel):
    """The ids of the movements, in the order of the request."""

    movement_ids: list[UUID]


class MovementOut(BaseModel):
    """A movement. `tags` say what a reader should know of it: late, clock, uncosted."""

    id: UUID
    serial: str = Field(
        examples=["3-118-1"],
        description="流水号: lane, batch and row of its record; unique in the company, given at once, never changed. "
        "`log` is the number that a gateway gave it.",
    )
    kind: KindName
    item: str | None
    quantity: Quantity
    unit: str | None
    from_location: str | None = Field(serialization_alias="from")
    to_location: str | None = Field(serialization_alias="to")
    party: str | None
    document: str
    lot: str | None
    returns: UUID | None
    corrects: UUID | None
    tags: list[str]
    occurred_at: Moment
    recorded_at: Moment
    log: LogPlace


@router.get("", response_model=Page[MovementOut], summary="The stock ledger", description=FEED_NOTE)
def list_movements(
    caller: Reader,
    pool: Pool,
    limit: Limit = LIMIT_DEFAULT,
    cursor: CursorText = None,
    order: OrderParameter = Order.OLDEST,
    item: Annotated[str | None, Query(max_length=64)] = None,
    location: Annotated[str | None, Query(max_length=64, description="Left from or brought to.")] = None,
    kind: Annotated[KindName | None, Query()] = None,
    document: Annotated[str | None, Query(max_length=500)] = None,
) -> dict[str, Any]:
    """Movements in commit order."""
    filters = {
        "item": item,
        "location": location,
        "kind": None if kind is None else int(kind),
        "document": document,
    }
    reading = Reading(feeds.MOVEMENTS, caller.company.company_id, order, filters)
    with snapshot(pool) as connection:
        return feed_page(
            connection,
            reading,
            cursor,
            limit,
            lambda rows: [show_movement(row) for row in rows],
        )


@router.post("", response_model=MovementsOut, status_code=201, summary="Declare movements")
def declare(body: MovementsIn, change: MovementChange) -> MovementsOut:
    """Book movements in one transaction; after an answer that was lost, ask again with the same key."""
    with change.pool.connection() as connection:
        rows = _resolve(connection, change.company_id, body.movements, time.time_ns() // 1000)
    try:
        with change.pool.connection() as connection:
            answer = declare_movements(
                connection, change.company_id, rows, change.key, _digest(body),
                posts_soft_closed=change.caller.posts_soft_closed,
            )  # fmt: skip
    except RequestConflict:
        raise Problem(
            409, "key-used-before", f"the Idempotency-Key {change.key!r} was used with another payload"
        ) from None
    except CannotBook as error:
        pointer = f"/movements/{error.row}"
        raise Problem(
            422,
            "cannot-book",
            f"movement {error.row} cannot be booked, so none was: {error.reason}",
            errors=[{"pointer": pointer, "detail": error.reason}],
        ) from None
    return MovementsOut(movement_ids=change.told(answer.movement_ids, answer.replayed))


def show_movement(row: MovementRow) -> MovementOut:
    """A movement as the API shows it."""
    return MovementOut(
        id=row.movement_id,
        serial=f"{row.lane}-{row.batch_no}-{row.row_no}",
        kind=Kind(row.kind),
        item=row.item,
        quantity=micro_text(row.qty_micro),
        unit=row.unit,
        from_location=row.from_code,
        to_location=row.to_code,
        party=row.party,
        document=row.document,
        lot=row.lot,
        returns=row.returns,
        corrects=row.corrects,
        tags=tag_names(row.tags),
        occurred_at=moment_of(row.occurred_us),
        recorded_at=row.recorded_at,
        log=LogPlace(site=row.gateway_site, gateway=row.gateway, epoch=row.epoch, seq=row.seq),
    )


def _digest(body: MovementsIn) -> bytes:
    return hashlib.sha256(b"movements\n" + msgspec.json.encode(as_said(body), order="deterministic")).digest()


def _resolve(
    connection: psycopg.Connection, company_id: int, movements: Sequence[MovementIn], now_us: int
) -> list[Declared]:
    """Codes to ids; every code that is unknown is named at once. Raises Problem."""
    items = codes.items(connection, company_id, {movement.item for movement in movements})
    places = codes.location_ids(
        connection, company_id, {code for m in movements for code in (m.from_location, m.to_location)}
    )
    parties = codes.party_ids(connection, company_id, {m.party for m in movements if m.party is not None})
    errors: list[dict[str, str]] = []
    rows: list[Declared] = []
    for number, movement in enumerate(movements):
        at = f"/movements/{number}"
        party_kind = PARTY_OF_KIND.get(movement.kind)
        party = (party_kind or "", movement.party or "")
        if movement.item not in items:
            errors.append({"pointer": f"{at}/item", "detail": f"no item {movement.item!r}"})
        elif (wrong := wrong_lot(movement.lot, items[movement.item])) is not None:
            errors.append({"pointer": f"{at}/lot", "detail": wrong})
        for name, code in (("from", movement.from_location), ("to", movement.to_location)):
            if code not in places:
                errors.append({"pointer": f"{at}/{name}", "detail": f"no location {code!r}"})
        if movement.party is not None and party not in parties:
            detail = f"no {party_kind} {movement.party!r}" if party_kind else "this kind of movement has no party"
            errors.append({"pointer": f"{at}/party", "detail": detail})
        if not errors:
            rows.append(_declared(movement, at, items, places, parties.get(party), now_us))
    if errors:
        raise Problem(
            422, "wrong-value", f"{len(errors)} codes are unknown or do not fit; nothing was booked",
            errors=errors[:50],
        )  # fmt: skip
    named = {(row.item_id, m.lot) for row, m in zip(rows, movements, strict=True) if m.lot is not None}
    lots = master.put_lots(connection, company_id, sorted(named))
    return [
        row if m.lot is None else replace(row, lot_id=lots[row.item_id, m.lot])
        for row, m in zip(rows, movements, strict=True)
    ]


def wrong_lot(lot: str | None, item: ItemCode) -> str | None:
    """Why a movement's lot, or its lack of one, does not fit its item."""
    if lot is not None and item.tracking == "none":
        return f"the item's lots are not told apart, got {lot!r}"
    if lot is None and item.method == "specific":
        return "expected the lot or serial number, by which this item is costed, got none"
    return None


def _declared(
    movement: MovementIn, at: str, items: dict[str, ItemCode], places: dict[str, int], party: int | None,
    now_us: int,
) -> Declared:  # fmt: skip
    qty_micro = parse_decimal(movement.quantity, MICRO_DIGITS, f"{at}/quantity")
    if movement.price is None and "rate" in movement.model_fields_set:
        raise wrong_value(f"{at}/rate", "a rate needs a price")
    return Declared(
        kind=movement.kind,
        item_id=items[movement.item].item_id,
        qty_micro=qty_micro,
        from_id=places[movement.from_location],
        to_id=places[movement.to_location],
        occurred_us=now_us if movement.occurred_at is None else us_of(movement.occurred_at),
        party_id=party,
        document=movement.document,
        price_micro=None if movement.price is None else parse_decimal(movement.price, MICRO_DIGITS, f"{at}/price"),
        rate_nano=parse_decimal(movement.rate, RATE_DIGITS, f"{at}/rate"),
        original_id=movement.returns,
    )
