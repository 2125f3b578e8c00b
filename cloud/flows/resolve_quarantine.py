"""What a person does with a movement that could not be booked: book it after all, or dismiss it.

Booking takes the bytes that were set aside, as they are or put right by the person, and books them at their own
time under their own number. Either way a resolution is written beside the original, which stays.
"""

import time

import msgspec
import psycopg

from cloud.flows.record_batch import CannotBookKnown, book_late
from cloud.store.batches import close_batch, load_company, open_batch
from cloud.store.sql import statement
from protocols.wire.movement import MovementObserved


class CannotResolve(ValueError):
    """It is not in quarantine, or still cannot be booked."""


def book_quarantined(
    connection: psycopg.Connection, company_id: int, quarantine_id: int, by: str, note: str, payload: bytes | None
) -> None:
    """Book one movement out of quarantine. payload: the bytes put right, None: as they were set aside.

    Raises CannotResolve, psycopg.Error; nothing is changed then.
    """
    where = {"company": company_id, "id": quarantine_id}
    with connection.transaction(), connection.cursor() as cursor:
        gateway_id, epoch, first, last, recorded_at, kept, lane = _waiting(cursor, company_id, quarantine_id)
        if first != last or first < 1 or lane is None:
            raise CannotResolve(
                f"{quarantine_id} holds numbers {first} … {last}: only a single movement can be booked"
            )
        try:
            movement = msgspec.json.decode(kept if payload is None else payload, type=MovementObserved)
        except msgspec.DecodeError as error:
            raise CannotResolve(f"{quarantine_id} is no readable movement: {error}") from error
        if movement.seq != first:
            raise CannotResolve(f"expected seq {first}, got {movement.seq}")
        batch = open_batch(cursor, load_company(cursor, company_id), lane, time.time_ns() // 1000, by)
        # Received when it was set aside: its clock is judged as of then.
        received_us = int(recorded_at.timestamp() * 1_000_000)
        try:
            book_late(cursor, batch, gateway_id, epoch, movement, received_us)
        except CannotBookKnown as error:
            raise CannotResolve(f"{quarantine_id} still cannot be booked: {error}") from error
        close_batch(cursor, batch)
        _resolve(cursor, where, by, "booked", note)


def dismiss_quarantined(
    connection: psycopg.Connection, company_id: int, quarantine_id: int, by: str, note: str
) -> None:
    """Leave it unbooked for good. Raises CannotResolve, psycopg.Error."""
    with connection.transaction(), connection.cursor() as cursor:
        _waiting(cursor, company_id, quarantine_id)
        _resolve(cursor, {"company": company_id, "id": quarantine_id}, by, "dismissed", note)


def _waiting(cursor: psycopg.Cursor, company_id: int, quarantine_id: int) -> tuple:
    row = cursor.execute(statement("logs", "quarantined"), {"company": company_id, "id": quarantine_id}).fetchone()
    if row is None:
        raise CannotResolve(f"nothing of the number {quarantine_id} waits in quarantine")
    return row


def _resolve(cursor: psycopg.Cursor, where: dict[str, int], by: str, resolution: str, note: str) -> None:
    try:
        cursor.execute(statement("logs", "resolve"), where | {"by": by, "resolution": resolution, "note": note})
    except psycopg.errors.UniqueViolation as error:
        raise CannotResolve(f"{where['id']} has been resolved by somebody else just now") from error
