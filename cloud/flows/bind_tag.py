"""Say which item a tag is; what gates saw of it before is booked now, each at its own time."""

import hashlib
import time

import psycopg

from cloud.domain.catalog import WrongMasterData, lot_of_tag
from cloud.domain.movement import QTY_MAX
from cloud.flows.record_batch import CannotBookKnown, book_known
from cloud.store.batches import close_batch, load_company, open_batch
from cloud.store.master import put_lots
from cloud.store.sql import statement
from cloud.store.tag_locks import lock_tags


class CannotBind(ValueError):
    """The tag cannot be bound so."""


def bind_tag(
    connection: psycopg.Connection,
    company_id: int,
    epc: str,
    item_id: int,
    qty_micro: int,
    lot_code: str | None = None,
) -> list[str]:
    """Register a tag and book its open observations; the ids of the movements that makes.

    epc        upper-case hex, whole 16-bit words
    qty_micro  what one tag stands for, 10⁻⁶ stock units
    lot_code   the lot or serial number; None: none, or for an item told apart piece by piece the tag's own
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
        lock_tags(cursor, company_id, [epc])
        lot_id = _lot(cursor, company_id, epc, item_id, lot_code)
        cursor.execute(
            statement("observed", "bind_tag"), where | {"item": item_id, "qty": qty_micro, "lot": lot_id}
        )
        bound = cursor.execute(statement("observed", "bound_tag"), where).fetchone()
        if bound is None or bound[:3] != (item_id, qty_micro, lot_id):
            told = "nothing" if bound is None else f"{bound[1]} × 10⁻⁶ of {bound[3]}"
            told += f", lot {bound[4]}" if bound is not None and bound[4] is not None else ""
            raise CannotBind(f"{epc} is bound to {told} already, and its movements were booked so")
        if cursor.execute(statement("observed", "close_observations"), where).rowcount == 0:
            return []
        try:
            ids = book_known(cursor, batch, [epc])
        except CannotBookKnown as error:
            raise CannotBind(str(error)) from error
        close_batch(cursor, batch)
        return [str(movement_id) for movement_id in ids]


def _lot(cursor: psycopg.Cursor, company_id: int, epc: str, item_id: int, lot_code: str | None) -> int | None:
    """The lot_id of the lot that the tag stands for, made where it is new. Raises CannotBind."""
    where = {"company": company_id, "item": item_id}
    row = cursor.execute(statement("observed", "tracking"), where).fetchone()
    if row is None:
        raise CannotBind(f"no item {item_id}")
    tracking, method = row
    try:
        code = lot_of_tag(tracking, method, epc, lot_code)
    except WrongMasterData as error:
        raise CannotBind(str(error)) from error
    return None if code is None else put_lots(cursor.connection, company_id, [(item_id, code)])[item_id, code]
