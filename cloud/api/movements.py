"""/v1/movements: the stock ledger; and movements that a person or a program declares."""

import hashlib
import time
from collections.abc import Sequence
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
from cloud.api.problems import ERRORS_MAX, Problem
from cloud.api.values import (
    DIMENSIONS_NOTE,
    MICRO_DIGITS,
    RATE_DIGITS,
    Code,
    CurrencyCode,
    DecimalText,
    Dimensions,
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
from cloud.domain.access import Company
from cloud.domain.decimals import micro_text
from cloud.domain.ledger.dimensions import parse_set
from cloud.domain.moments import moment_of, us_of
from cloud.domain.movement import Kind
from cloud.flows.declare import CannotBook, Declared, RequestConflict, declare_movements
from cloud.flows.name_movements import NamedMovement, UnknownNames, resolve
from cloud.store import feeds
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
    currency: CurrencyCode | None = Field(None, description="Of the price; the company's own, unless said.")
    rate: DecimalText | None = Field(
        None,
        description="Company currency for one unit of the document's. In another currency than the company's own it "
        "may be left out: then it is the one that the day takes of those on record.",
    )
    reason: Text = Field("", description="Why, in the words that posting rules know, such as damage or theft.")
    dimensions: Dimensions = Field(default_factory=dict, description=DIMENSIONS_NOTE)
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
    price: str | None = Field(description="For one stock unit, in `currency`.")
    currency: str | None = Field(description="Of the price; null: the company's own.")
    reason: str
    dimensions: dict[str, str]
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
        rows = resolved(connection, change.caller.company, body.movements)
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
        price=None if row.price_micro is None else micro_text(row.price_micro, 2),
        currency=row.currency,
        reason=row.reason,
        dimensions=parse_set(row.dimensions) if "=" in row.dimensions else {},
        returns=row.returns,
        corrects=row.corrects,
        tags=tag_names(row.tags),
        occurred_at=moment_of(row.occurred_us),
        recorded_at=row.recorded_at,
        log=LogPlace(site=row.gateway_site, gateway=row.gateway, epoch=row.epoch, seq=row.seq),
    )


def _digest(body: MovementsIn) -> bytes:
    return hashlib.sha256(b"movements\n" + msgspec.json.encode(as_said(body), order="deterministic")).digest()


def resolved(
    connection: psycopg.Connection, company: Company, movements: Sequence[MovementIn], at: str = "/movements"
) -> list[Declared]:
    """Codes to ids; every code that is unknown is named at once. Raises Problem."""
    now_us = time.time_ns() // 1000
    named = [_named(movement, f"{at}/{number}", now_us) for number, movement in enumerate(movements)]
    try:
        return resolve(connection, company.company_id, named, company.currency, company.time_zone)
    except UnknownNames as error:
        errors = [{"pointer": f"{at}/{one.row}/{one.field}", "detail": one.why} for one in error.found]
        raise Problem(
            422, "wrong-value", f"{len(errors)} codes are unknown or do not fit; nothing was booked",
            errors=errors[:ERRORS_MAX],
        ) from None  # fmt: skip


def _named(movement: MovementIn, at: str, now_us: int) -> NamedMovement:
    return NamedMovement(
        kind=movement.kind,
        item=movement.item,
        qty_micro=parse_decimal(movement.quantity, MICRO_DIGITS, f"{at}/quantity"),
        from_location=movement.from_location,
        to_location=movement.to_location,
        occurred_us=now_us if movement.occurred_at is None else us_of(movement.occurred_at),
        party=movement.party,
        document=movement.document,
        price_micro=None if movement.price is None else parse_decimal(movement.price, MICRO_DIGITS, f"{at}/price"),
        currency=movement.currency,
        rate_nano=None if movement.rate is None else parse_decimal(movement.rate, RATE_DIGITS, f"{at}/rate"),
        lot=movement.lot,
        returns=movement.returns,
        reason=movement.reason,
        dimensions=movement.dimensions,
    )
