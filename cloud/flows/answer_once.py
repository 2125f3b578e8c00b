"""A request that changes the books: done once by its key, in one transaction, under the name of who asked.

The batch's `worker` is that name, so that the append-only batch of every change says who made it. The same key
and payload gets the first answer again; the same key with another payload is a conflict.
"""

import hashlib
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import psycopg

from cloud.domain.batch import Batch
from cloud.domain.movement import MICRO, Kind, derived_id
from cloud.domain.value_event import NONE, ValueEventColumns
from cloud.flows.book_movements import book
from cloud.flows.declare import CannotBook, Declared, RequestConflict, check_declared, declared_columns
from cloud.store.batches import close_batch, load_company, open_batch
from cloud.store.requests import record_answer, take_key

Cursor = psycopg.Cursor

VALUE_LIMIT = 2**61  # 10⁻⁶ of the currency; what one event may change
_TIME_LIMIT_US = 2**55


class CannotRecord(ValueError):
    """A request cannot be booked, so nothing of it was.

    row    number of the row at fault, None where it is the request as a whole
    field  what of it, in the request's words; empty where it is the row as a whole
    """

    def __init__(self, reason: str, row: int | None = None, field: str = "") -> None:
        where = [f"row {row}"] * (row is not None) + [field] * bool(field)
        super().__init__(f"{', '.join(where)}: {reason}" if where else reason)
        self.reason = reason
        self.row = row
        self.field = field


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked: the Idempotency-Key, the SHA-256 of the payload, who asked, and whether they may post into
    soft-closed periods."""

    key: str
    digest: bytes
    by: str
    posts_soft_closed: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """The ids of the movements and value events it made, as UUID texts; replayed: this was answered before."""

    ids: list[str]
    replayed: bool


@dataclass(frozen=True, slots=True)
class Event:
    """One value event, as cloud.domain.value_event has them in columns. With `pool_id`, `original` or a place."""

    kind: Kind
    value_micro: int
    occurred_us: int
    original: uuid.UUID | None = None
    pool_id: int = NONE
    item_id: int = 0
    location_id: int = 0
    lot_id: int = 0
    period_id: int = 0
    dimension_id: int = 0
    party_id: int = 0
    currency: int = 0
    currency_amount: int = 0
    document: str = ""
    reason: str = ""


def answer_once(
    connection: psycopg.Connection,
    company_id: int,
    request: Request,
    work: Callable[[Cursor, Batch], list[str]],
) -> Answered:
    """Do `work` in a batch of its own and keep the ids that it made, or find those of the first time.

    Raises RequestConflict, psycopg.Error and what `work` raises; nothing is changed then.
    """
    with connection.transaction(), connection.cursor() as cursor:
        found = take_key(connection, company_id, request.key)
        if found is not None:
            digest, ids = found
            if digest != request.digest:
                raise RequestConflict(f"key {request.key!r} was used before with another payload")
            return Answered(ids, replayed=True)
        company = load_company(cursor, company_id)
        lane = hashlib.sha256(f"cloud/{company.code}/{request.key}".encode()).digest()[0] & 15
        batch = open_batch(
            cursor, company, lane, time.time_ns() // 1000, request.by, posts_soft_closed=request.posts_soft_closed
        )
        ids = work(cursor, batch)
        if batch.hashed:
            close_batch(cursor, batch)
        record_answer(connection, company_id, request.key, request.digest, ids)
        return Answered(ids, replayed=False)


def book_rows(
    cursor: Cursor,
    batch: Batch,
    key: str,
    moves: Sequence[Declared] = (),
    events: Sequence[Event] = (),
    own_values: Mapping[int, int] | None = None,
) -> list[str]:
    """Book movements and value events of one request; their ids as texts, movements first.

    own_values  {row of `moves`: what it is worth in 10⁻⁶ currency} where no price says so
    A refused event has the row number len(moves) + its own. Raises CannotRecord, psycopg.Error.
    """
    try:
        for number, row in enumerate(moves):
            check_declared(number, row)
    except CannotBook as error:
        raise CannotRecord(error.reason, error.row) from error
    for number, event in enumerate(events, len(moves)):
        _check_event(number, event)
    company_id = batch.company.company_id
    ids = [derived_id(f"{company_id}/{key}/{n}".encode()) for n in range(len(moves) + len(events))]
    columns = declared_columns(moves, ids[: len(moves)], batch.batch_no)
    for number, value in (own_values or {}).items():
        columns.value[number] = value
    booked = book(cursor, batch, columns, event_columns(events, ids[len(moves) :], len(moves)))
    if booked.rejected:
        number = min(booked.rejected)
        raise CannotRecord(booked.rejected[number], number)
    return [str(one) for one in ids]


def event_columns(events: Sequence[Event], ids: Sequence[uuid.UUID], first_row: int = 0) -> ValueEventColumns:
    """The events as columns, numbered on from `first_row`."""
    n = len(events)

    def numbers(name: str) -> np.ndarray:
        return np.array([getattr(event, name) for event in events], np.int64)

    def uuids(found: Sequence[uuid.UUID | None]) -> np.ndarray:
        return np.frombuffer(b"".join(bytes(16) if one is None else one.bytes for one in found), np.uint8).reshape(
            n, 16
        )

    return ValueEventColumns(
        event_id=uuids(ids),
        kind=numbers("kind"),
        value=numbers("value_micro"),
        occurred_us=numbers("occurred_us"),
        original=uuids([event.original for event in events]),
        pool=numbers("pool_id"),
        item=numbers("item_id"),
        location=numbers("location_id"),
        lot=numbers("lot_id"),
        period=numbers("period_id"),
        dimension=numbers("dimension_id"),
        party=numbers("party_id"),
        currency=numbers("currency"),
        currency_amount=numbers("currency_amount"),
        document=[event.document for event in events],
        reason=[event.reason for event in events],
        source_row=np.arange(first_row, first_row + n),
    )


def check_time(occurred_us: int, row: int | None = None) -> None:
    """A time that calendars reach. Raises CannotRecord."""
    if not -_TIME_LIMIT_US <= occurred_us < _TIME_LIMIT_US:
        raise CannotRecord(f"expected the years 829 … 3111, got {occurred_us} µs since 1970", row, "occurred_at")


def _check_event(number: int, event: Event) -> None:
    if abs(event.value_micro) >= VALUE_LIMIT:
        raise CannotRecord(
            f"expected less than {VALUE_LIMIT // MICRO} of the currency, got {event.value_micro} × 10⁻⁶",
            number,
            "amount",
        )
    check_time(event.occurred_us, number)
