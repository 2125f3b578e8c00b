"""Taking a document or a manual entry back: an entry of the same kind with every line negated, which names the first.

A document is taken back once, and only while what it opened (a receivable, a payable) is as it left it: what cleared
it is reversed before. Value events of a supplier invoice are taken back with it, and shipments of a customer invoice
wait for another. What movements and value events posted is not reversed by hand: the movement is corrected, and its
entry follows. Entries of the close (revaluation, carry-forward, spread variances) are the close's.
"""

import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import psycopg

from cloud.domain.batch import Batch
from cloud.domain.currency import number_of
from cloud.domain.movement import Kind
from cloud.flows.answer_once import Answered, CannotRecord, Event, Request, answer_once, book_rows
from cloud.flows.ledger.document_desk import Desk, document_id, moment_on
from cloud.flows.ledger.post_document import Document, DocumentLine
from cloud.store.ledger import documents as store
from cloud.store.ledger.documents import EntryHead, Recorded, RecordedLine

Cursor = psycopg.Cursor

REVERSIBLE = (Kind.SUPPLIER_INVOICE, Kind.CUSTOMER_INVOICE, Kind.PAYMENT, Kind.CLEARING, Kind.MANUAL)


class NoEntry(LookupError):
    """No entry of this id is on the books."""


def reverse_document(
    connection: psycopg.Connection,
    company_id: int,
    original: uuid.UUID,
    request: Request,
    *,
    posting_day: date | None = None,
    reason: str = "",
    step: int = 0,
) -> Answered:
    """Take a document back; ids: the reversal's, then those of value events that it takes back.

    posting_day  None: the day on which the original was posted
    Raises CannotRecord, NoEntry, RequestConflict, psycopg.Error.
    """

    def work(cursor: Cursor, batch: Batch) -> list[str]:
        store.hold(cursor, company_id, [f"receipt {original}"])
        head = store.entry_head(cursor, company_id, original, step)
        if head is None:
            raise NoEntry(f"no journal entry {original}.{step}")
        _check(head, original)
        document = store.document(cursor, company_id, original)
        if document is None:
            raise NoEntry(f"no document {original}")
        if document.details.get("clears_shipped"):
            raise CannotRecord(f"{original} follows invoices of its shipments: reverse those")
        _check_untouched(cursor, company_id, original)
        desk = Desk.at(cursor, batch)
        day = posting_day or head.posting_date
        lines = [_negated(line, original) for line in store.lines_of(cursor, company_id, original)]
        events = list(_events_back(desk, document, day))
        ids = book_rows(cursor, batch, request.key, events=events) if events else []
        desk.begin_next_batch()
        if document.kind == Kind.CUSTOMER_INVOICE:
            lines = _shipped_again(desk, document, lines)
            store.reopen_drafts(cursor, company_id, original, request.by)
        one = document_id(company_id, request.key)
        desk.post(_reversal(document, one, tuple(lines), day, reason))
        return [str(one), *ids]

    return answer_once(connection, company_id, request, work)


def _check(head: EntryHead, original: uuid.UUID) -> None:
    kind = Kind(head.kind)
    if head.origin == 1:
        raise CannotRecord(
            f"{original} is the entry of a {kind.name.lower()}: correct the movement, and its entry follows"
        )
    if kind not in REVERSIBLE:
        raise CannotRecord(f"{original} is a {kind.name.lower()}, which the books themselves make and take back")
    if head.corrects is not None:
        raise CannotRecord(f"{original} takes {head.corrects} back: post that anew instead")
    if head.corrected_by is not None:
        raise CannotRecord(f"{original} was taken back before, by {head.corrected_by}")


def _check_untouched(cursor: Cursor, company_id: int, original: uuid.UUID) -> None:
    found = store.settled(cursor, company_id, original)
    if found is not None:
        account, _, _, _, source = found
        raise CannotRecord(f"its item on account {account} was cleared by {source}: reverse that first")


def _negated(line: RecordedLine, original: uuid.UUID) -> DocumentLine:
    item = line.open_item or (original if line.has_items else None)
    return DocumentLine(
        line.account_id, -line.amount, line.dimension_id, line.currency, -line.currency_amount, item
    )


def _reversal(
    document: Recorded, one: uuid.UUID, lines: tuple[DocumentLine, ...], day: date, reason: str
) -> Document:
    return Document(
        one,
        Kind(document.kind),
        document.number,
        day,
        lines,
        reason or f"reversal of {document.number}",
        day,
        document.party_id,
        document.currency,
        document.rate_nano,
        document.document_id,
        {"reverses": str(document.document_id), "rows": _rows_back(document.details)},
    )


def _rows_back(details: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows that are taken back, their amounts negated; what counts quantities counts these against them."""
    return [
        {name: -value if isinstance(value, int) else value for name, value in row.items()}
        for row in details.get("rows", [])
    ]


def _events_back(desk: Desk, document: Recorded, day: date) -> list[Event]:
    """What a supplier invoice changed the cost of goods by, the other way."""
    if document.kind != Kind.SUPPLIER_INVOICE:
        return []
    changes: list[tuple[Kind, str, int, int, int]] = []
    for row in document.details["rows"]:
        if row.get("cost_difference"):
            code = row["cost_currency"]
            told = (number_of(code), row["price_difference"]) if code else (0, 0)
            changes.append((Kind.PRICE_CORRECTION, row["receipt"], row["cost_difference"], *told))
        changes += [
            (Kind.LANDED_COST, receipt, amount, 0, 0)
            for receipt, amount in row.get("cost_differences", {}).items()
        ]
    receipts = [uuid.UUID(receipt) for _, receipt, *_ in changes]
    store.hold_items(desk.cursor, desk.company_id, receipts)
    goods = store.goods(desk.cursor, desk.company_id, receipts)
    return [
        Event(
            kind,
            -amount * desk.batch.company.unit,
            moment_on(day, desk.batch.company.time_zone, goods[uuid.UUID(receipt)].occurred_us),
            original=uuid.UUID(receipt),
            party_id=document.party_id,
            currency=currency,
            currency_amount=-foreign,
            document=document.number,
            reason="reversal",
        )
        for kind, receipt, amount, currency, foreign in changes
    ]


def _shipped_again(desk: Desk, document: Recorded, lines: list[DocumentLine]) -> list[DocumentLine]:
    """All that documents moved of its shipments to cost of goods sold goes back, what the close added too."""
    shipments = [uuid.UUID(row["shipment"]) for row in document.details["rows"]]
    store.hold_items(desk.cursor, desk.company_id, shipments)
    goods = store.goods(desk.cursor, desk.company_id, shipments)
    back = {(line.open_item, line.account_id): line.amount for line in lines if line.open_item in goods}
    for shipment, account, dimension, amount in store.moved_to_cost(desk.cursor, desk.company_id, shipments):
        more = -amount - back.get((shipment, account), 0)
        if more:
            cost = desk.account("cogs", goods[shipment].site_id)
            lines.append(DocumentLine(account, more, dimension, open_item=shipment))
            lines.append(replace(DocumentLine(cost, -more), dimension_id=desk.taken_by(cost, dimension)))
    return lines
