"""Goods from one company of the group to another: a shipment and a receivable here, a receipt and a payable there.

Each company's books change in a transaction of their own, joined by the number of the trade: the seller's document
and movements bear it, and so do the buyer's. The seller ships at cost and invoices the transfer price at its rate; the
buyer receives at the transfer price at its own. `trade_in_group` does both under one key: when the second could not be
heard of, asking again does what is missing and nothing twice.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

import psycopg

from cloud.domain.batch import Batch
from cloud.domain.currency import number_of
from cloud.domain.movement import MICRO, Kind, derived_id
from cloud.domain.rounding import minor_unit, round_ratio
from cloud.flows.answer_once import Answered, CannotRecord, Request, answer_once, book_rows, check_time
from cloud.flows.declare import Declared
from cloud.flows.ledger.document_desk import Desk, check_number, check_rows, document_id
from cloud.flows.ledger.post_document import Document, DocumentLine
from cloud.store import codes
from cloud.store.ledger import documents as store

Cursor = psycopg.Cursor


@dataclass(frozen=True, slots=True)
class GroupRow:
    """Goods of a trade: 10⁻⁶ stock units at 10⁻⁶ of the trade's currency for each, out of the seller's `from_id`."""

    item_id: int
    qty_micro: int
    price_micro: int
    from_id: int
    lot_id: int = 0


@dataclass(frozen=True, slots=True)
class GroupShipment:
    """What the seller ships. to_id: a place of the world; currency: ISO 4217 number, 0 the seller's own; rate_nano
    None: the day's known rate."""

    buyer: str
    number: str
    rows: tuple[GroupRow, ...]
    to_id: int
    occurred_us: int
    currency: int = 0
    rate_nano: int | None = None
    narration: str = ""


@dataclass(frozen=True, slots=True)
class GroupReceipt:
    """What the buyer receives of it, at its own `to_id`, from a place of the world."""

    seller: str
    number: str
    from_id: int
    to_id: int
    occurred_us: int
    rate_nano: int | None = None
    lots: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Traded:
    """ids of the seller's document and movements, and of the buyer's movements."""

    shipped: Answered
    received: Answered


def ship_to_group(
    connection: psycopg.Connection, seller_id: int, shipment: GroupShipment, request: Request
) -> Answered:
    """Ship and invoice; ids: the document's, then the movements'. Raises CannotRecord, RequestConflict,
    psycopg.Error."""
    check_number(shipment.number)
    check_rows(len(shipment.rows), "rows")
    check_time(shipment.occurred_us)

    def work(cursor: Cursor, batch: Batch) -> list[str]:
        desk = Desk.at(cursor, batch)
        _check_shipment(desk, shipment)
        day = _day(batch, shipment.occurred_us)
        terms = desk.terms(shipment.currency, shipment.rate_nano, day)
        moves = [
            Declared(
                Kind.GROUP_SHIPMENT,
                row.item_id,
                row.qty_micro,
                row.from_id,
                shipment.to_id,
                shipment.occurred_us,
                document=shipment.number,
                lot_id=row.lot_id,
            )
            for row in shipment.rows
        ]
        ids = book_rows(cursor, batch, request.key, moves)
        desk.begin_next_batch()
        names = store.item_codes(cursor, seller_id, [row.item_id for row in shipment.rows])
        unit = minor_unit(desk.digits(terms))
        sites = {
            key: one.site_id for key, one in store.goods(cursor, seller_id, [uuid.UUID(x) for x in ids]).items()
        }
        told, lines = [], []
        for row, one in zip(shipment.rows, ids, strict=True):
            net = round_ratio(row.price_micro * row.qty_micro, MICRO * unit)
            lines.append(desk.line(desk.account("revenue", sites[uuid.UUID(one)]), -net, terms))
            told.append(
                {
                    "shipment": one,
                    "item": names[row.item_id],
                    "quantity_micro": row.qty_micro,
                    "price_micro": row.price_micro,
                    "net": net,
                }
            )
        base, gross = sum(line.amount for line in lines), sum(line.currency_amount for line in lines)
        lines.append(
            DocumentLine(desk.account("group_receivable"), -base, currency=terms.currency, currency_amount=-gross)
        )
        document = document_id(seller_id, request.key)
        desk.post(
            Document(
                document,
                Kind.INTER_COMPANY,
                shipment.number,
                day,
                tuple(line for line in lines if line.amount or line.currency_amount),
                shipment.narration,
                currency=terms.currency,
                rate_nano=terms.rate_nano,
                details={"buyer": shipment.buyer, "trade": str(document), "rows": told},
            ),
            move_when_closed=True,
        )
        return [str(document), *ids]

    return answer_once(connection, seller_id, request, work)


def receive_from_group(
    connection: psycopg.Connection, buyer_id: int, receipt: GroupReceipt, request: Request
) -> Answered:
    """Receive what another company shipped under a number; ids: the movements'. Raises CannotRecord, RequestConflict,
    psycopg.Error."""
    check_number(receipt.number)
    check_time(receipt.occurred_us)

    def work(cursor: Cursor, batch: Batch) -> list[str]:
        company = batch.company
        store.hold(cursor, buyer_id, [f"group receipt {receipt.seller} {receipt.number}"])
        found = store.group_trade(cursor, receipt.seller, receipt.number, company.code)
        seller = store.company_of(cursor, receipt.seller)
        if found is None or seller is None:
            raise CannotRecord(
                f"{receipt.seller!r} shipped nothing to {company.code} under {receipt.number!r}", field="number"
            )
        _, currency, details = found
        key = f"group receipt {details['trade']}"  # of the trade, so that its movements are there once
        if store.is_received(cursor, buyer_id, derived_id(f"{buyer_id}/{key}/0".encode())):
            raise CannotRecord(f"{receipt.number!r} of {receipt.seller} was received before", field="number")
        terms = Desk.at(cursor, batch).terms(
            currency or number_of(seller[2]), receipt.rate_nano, _day(batch, receipt.occurred_us)
        )
        rows = details["rows"]
        items = codes.item_ids(cursor.connection, buyer_id, [row["item"] for row in rows])
        lots: Sequence[int] = receipt.lots or [0] * len(rows)
        if len(lots) != len(rows):
            raise CannotRecord(f"expected a lot for each of {len(rows)} rows, got {len(lots)}", field="lots")
        moves = []
        for number, (row, lot) in enumerate(zip(rows, lots, strict=True)):
            if row["item"] not in items:
                raise CannotRecord(f"{company.code} has no item {row['item']!r}", number, "item")
            moves.append(
                Declared(
                    Kind.GROUP_RECEIPT,
                    items[row["item"]],
                    row["quantity_micro"],
                    receipt.from_id,
                    receipt.to_id,
                    receipt.occurred_us,
                    document=receipt.number,
                    price_micro=row["price_micro"],
                    rate_nano=terms.rate_nano,
                    lot_id=lot,
                    currency=terms.currency,
                )
            )
        return book_rows(cursor, batch, key, moves)

    return answer_once(connection, buyer_id, request, work)


def trade_in_group(
    connection: psycopg.Connection,
    seller_id: int,
    shipment: GroupShipment,
    buyer_id: int,
    receipt: GroupReceipt,
    request: Request,
) -> Traded:
    """Both halves, the seller's first. Raises CannotRecord, RequestConflict, psycopg.Error.

    What the second refuses leaves the first done: its goods are on their way until the receipt is asked for again.
    """
    shipped = ship_to_group(connection, seller_id, shipment, request)
    return Traded(shipped, receive_from_group(connection, buyer_id, receipt, request))


def _check_shipment(desk: Desk, shipment: GroupShipment) -> None:
    cursor, seller_id = desk.cursor, desk.company_id
    store.hold(cursor, seller_id, [f"group shipment {shipment.number}"])
    if shipment.buyer == desk.batch.company.code or store.company_of(cursor, shipment.buyer) is None:
        raise CannotRecord(f"there is no other company {shipment.buyer!r} in these books", field="buyer")
    if (other := store.same_number(cursor, seller_id, Kind.INTER_COMPANY, 0, shipment.number)) is not None:
        raise CannotRecord(f"the number {shipment.number!r} was posted before, as {other}", field="number")
    for number, row in enumerate(shipment.rows):
        if not 0 < row.price_micro < 2**62:
            raise CannotRecord(f"expected a transfer price, got {row.price_micro} × 10⁻⁶", number, "price")


def _day(batch: Batch, occurred_us: int) -> date:
    return datetime.fromtimestamp(occurred_us / 1_000_000, ZoneInfo(batch.company.time_zone)).date()
