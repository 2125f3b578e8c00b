"""Say which item a tag is; what gates saw of it before is booked now, each at its own time."""

import hashlib
import time

import psycopg

from cloud.domain.movement import QTY_MAX
from cloud.flows.record_batch import CannotBookKnown, book_known
from cloud.store.batches import close_batch, load_company, open_batch
from cloud.store.sql import statement


class CannotBind(ValueError):
    """The tag cannot be bound so."""


def bind_tag(connection: psycopg.Connection, company_id: int, epc: str, item_id: int, qty_micro: int) -> list[str]:
    """Register a tag and book its open observations; the ids of the movements that makes.

    epc        upper-case hex, whole 16-bit words
    qty_micro  what one tag stands for, 10⁻⁶ stock units
    Raises CannotBind, psycopg.Error. Nothing is changed when it raises.
    """
    if not epc or len(epc) % 4 or set(epc) - set("0123456789ABCDEF"):
        raise CannotBind(f"epc: expected words of four upper-case hex digits, got {epc!r}")
    if not 1 <= qty_micro <= QTY_MAX:
        raise CannotBind(f"quantity: expected 1 … {QTY_MAX} × 10⁻⁶, got {qty_micro}")
    with connection.transaction(), connection.cursor() as cursor:
        where = {"company": company_id, "epc": epc}
        company = load_company(cursor, company_id)
        lane = hashlib.sha256(f"cloud/{company.code}/{epc}".encode()).digest()[0] & 15
        batch = open_batch(cursor, company, lane, time.time_ns() // 1000, "cloud")
        # Before the open observations are looked at: a gateway's batch may be adding one right now.
        cursor.execute(statement("observed", "lock_epcs"), {"company": company_id, "epcs": [epc]})
        try:
            cursor.execute(statement("observed", "bind_tag"), where | {"item": item_id, "qty": qty_micro})
        except psycopg.errors.ForeignKeyViolation as error:
            raise CannotBind(f"no item {item_id}") from error
        bound = cursor.execute(statement("observed", "bound_tag"), where).fetchone()
        if bound is None or bound[:2] != (item_id, qty_micro):
            told = "nothing" if bound is None else f"{bound[1]} × 10⁻⁶ of {bound[2]}"
            raise CannotBind(f"{epc} is bound to {told} already, and its movements were booked so")
        if cursor.execute(statement("observed", "close_observations"), where).rowcount == 0:
            return []
        try:
            ids = book_known(cursor, batch, [epc])
        except CannotBookKnown as error:
            raise CannotBind(str(error)) from error
        close_batch(cursor, batch)
        return [str(movement_id) for movement_id in ids]
