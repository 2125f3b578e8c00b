"""Movements that a person or a program declares: the cloud's own log, on the same path as the gates'.

Each call is a batch of its own, committed with the request's key: the same key and payload gets the first
answer again, so a caller that heard no answer simply asks once more.
"""

import hashlib
import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import psycopg

from cloud.domain.movement import QTY_MAX, Kind, MovementColumns, derived_id
from cloud.flows.book_movements import book
from cloud.store.batches import close_batch, load_company, open_batch
from cloud.store.sql import statement

MAX_ROWS = 20_000  # ARCHITECTURE.md "The batch"
NONE = -1
_TIME_LIMIT_US = 2**55  # farther times are no times, and no calendar of Python's reaches them


class RequestConflict(ValueError):
    """The key was used before with another payload."""


class CannotBook(ValueError):
    """A row cannot be booked; nothing of the request was."""

    def __init__(self, row: int, reason: str) -> None:
        super().__init__(f"row {row}: {reason}")
        self.row = row
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Declared:
    """One movement. qty_micro 10⁻⁶ stock units; price_micro 10⁻⁶ of the document's currency per stock unit;
    rate_nano base currency per unit of it in 10⁻⁹; occurred_us µs since 1970-01-01 UTC; original_id the movement
    that this one returns; reason why, as posting rules know it; dimension_id of the leg opposite the pool; currency
    of the price, ISO 4217 number, 0 the company's own."""

    kind: Kind
    item_id: int
    qty_micro: int
    from_id: int
    to_id: int
    occurred_us: int
    party_id: int | None = None
    document: str = ""
    price_micro: int | None = None
    rate_nano: int = 1_000_000_000
    lot_id: int = 0
    original_id: uuid.UUID | None = None
    reason: str = ""
    dimension_id: int = 0
    currency: int = 0


@dataclass(frozen=True, slots=True)
class DeclaredAnswer:
    """movement_ids as UUID texts, in the order of the rows; replayed: this was answered before."""

    movement_ids: list[str]
    replayed: bool


def declare_movements(
    connection: psycopg.Connection, company_id: int, rows: Sequence[Declared], key: str, digest: bytes,
    *, posts_soft_closed: bool = False,
) -> DeclaredAnswer:  # fmt: skip
    """Book the rows in one transaction of their own, all or none.

    key, digest        the request's Idempotency-Key and the SHA-256 of its payload
    posts_soft_closed  whether who asks may post into soft-closed periods; else their days go on to the first open one
    Raises RequestConflict, CannotBook, psycopg.Error.
    """
    if not 1 <= len(rows) <= MAX_ROWS:
        raise CannotBook(0, f"expected 1 … {MAX_ROWS} rows, got {len(rows)}")
    for number, row in enumerate(rows):
        check_declared(number, row)
    with connection.transaction(), connection.cursor() as cursor:
        # Two requests with one key wait for each other here, and the second finds the first's answer.
        cursor.execute(statement("requests", "lock_key"), {"company": company_id, "key": key})
        found = cursor.execute(statement("requests", "answer"), {"company": company_id, "key": key}).fetchone()
        if found is not None:
            if bytes(found[0]) != digest:
                raise RequestConflict(f"key {key!r} was used before with another payload")
            return DeclaredAnswer(found[1], replayed=True)
        ids = [derived_id(f"{company_id}/{key}/{number}".encode()) for number in range(len(rows))]
        company = load_company(cursor, company_id)
        lane = hashlib.sha256(f"cloud/{company.code}/{key}".encode()).digest()[0] & 15
        batch = open_batch(
            cursor, company, lane, time.time_ns() // 1000, "cloud", posts_soft_closed=posts_soft_closed
        )
        booked = book(cursor, batch, declared_columns(rows, ids, batch.batch_no))
        if booked.rejected:
            number = min(booked.rejected)
            raise CannotBook(number, booked.rejected[number])
        close_batch(cursor, batch)
        answer = [str(movement_id) for movement_id in ids]
        cursor.execute(
            statement("requests", "record"),
            {"company": company_id, "key": key, "digest": digest, "answer": json.dumps(answer)},
        )
        return DeclaredAnswer(answer, replayed=False)


def check_declared(number: int, row: Declared) -> None:
    """What no books could hold, whatever they say. Raises CannotBook."""
    if not row.kind.moves_goods:
        raise CannotBook(number, f"kind: {row.kind.name.lower()} is no movement of goods but a value event")
    if not 1 <= row.qty_micro <= QTY_MAX:
        raise CannotBook(number, f"quantity: expected 1 … {QTY_MAX} × 10⁻⁶, got {row.qty_micro}")
    if row.price_micro is not None and not 0 <= row.price_micro < 2**62:
        raise CannotBook(number, f"price: expected 0 or more × 10⁻⁶, below 2⁶², got {row.price_micro}")
    if not 1 <= row.rate_nano < 2**62:
        raise CannotBook(number, f"rate: expected more than 0 × 10⁻⁹, below 2⁶², got {row.rate_nano}")
    if not -_TIME_LIMIT_US <= row.occurred_us < _TIME_LIMIT_US:
        raise CannotBook(number, f"occurred: expected the years 829 … 3111, got {row.occurred_us} µs since 1970")
    if row.from_id == row.to_id:
        raise CannotBook(number, f"from and to are the same location, {row.from_id}")


def declared_columns(rows: Sequence[Declared], ids: Sequence[uuid.UUID], batch_no: int) -> MovementColumns:
    """The rows as columns, in the cloud's own log."""
    n = len(rows)

    def column(values: Sequence[int]) -> np.ndarray:
        return np.array(values, np.int64)

    return MovementColumns(
        movement_id=np.frombuffer(b"".join(i.bytes for i in ids), np.uint8).reshape(n, 16),
        kind=column([row.kind for row in rows]),
        item=column([row.item_id for row in rows]),
        qty=column([row.qty_micro for row in rows]),
        from_id=column([row.from_id for row in rows]),
        to_id=column([row.to_id for row in rows]),
        party=column([row.party_id or 0 for row in rows]),
        document=[row.document for row in rows],
        price=column([NONE if row.price_micro is None else row.price_micro for row in rows]),
        rate=column([row.rate_nano for row in rows]),
        value=np.full(n, NONE, np.int64),
        occurred_us=column([row.occurred_us for row in rows]),
        tags=np.zeros(n, np.int64),
        gateway=np.zeros(n, np.int64),
        # In the cloud's own log a movement's place is its lane's batch and its row there.
        seq=np.arange(n) + batch_no * MAX_ROWS,
        epoch=np.zeros((n, 16), np.uint8),
        corrects=np.zeros((n, 16), np.uint8),
        lot=column([row.lot_id for row in rows]),
        original=np.frombuffer(
            b"".join(bytes(16) if row.original_id is None else row.original_id.bytes for row in rows), np.uint8
        ).reshape(n, 16),
        reason=[row.reason for row in rows],
        dimension=column([row.dimension_id for row in rows]),
        currency=column([row.currency for row in rows]),
        source_row=np.arange(n),
    )
