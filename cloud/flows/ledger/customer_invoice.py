"""A customer's invoice: goods that were shipped are sold now. Their drafts become revenue and a receivable.

Shipments are invoiced whole, at their draft's net amount unless the row says another. Goods that came back are rows
below 0: a credit note. Where a company keeps goods shipped and not invoiced on an account of their own, the invoice
moves what they cost by now to cost of goods sold, in the same entry as their revenue; what re-costing finds later
follows with `clear_invoiced_shipments`. The document's details name the shipments, so that cost and receivable can be
walked both ways.
"""

import hashlib
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby
from typing import Any

import psycopg

from cloud.domain.batch import Batch
from cloud.domain.currency import code_of
from cloud.domain.movement import MICRO, Kind, derived_id
from cloud.domain.rounding import minor_unit, round_ratio
from cloud.flows.answer_once import Answered, CannotRecord, Request, answer_once
from cloud.flows.ledger.document_desk import Desk, Terms, check_number, check_rows, document_id
from cloud.flows.ledger.post_document import Document, DocumentLine, post_documents
from cloud.flows.ledger.supplier_invoice import NO_VAT, Vat
from cloud.store.batches import close_batch, load_company, open_batch
from cloud.store.ledger import documents as store
from cloud.store.ledger.documents import Draft, Goods, OpenPart

Cursor = psycopg.Cursor

WORKER = "invoices"
WAITING, POSTED, DISMISSED = "waiting", "posted", "dismissed"


@dataclass(frozen=True, slots=True)
class ShipmentRow:
    """A shipment, or a customer return, on the invoice. net: minor units of the document's currency, below 0 for
    goods that came back; price_micro: 10⁻⁶ of it per stock unit; neither: as the draft says."""

    shipment: uuid.UUID
    net: int | None = None
    price_micro: int | None = None
    vat: Vat = NO_VAT
    dimensions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CustomerInvoice:
    """An invoice or credit note. currency: ISO 4217 number, 0 the company's own, None: the drafts'; rate_nano None:
    the day's known rate; posting_day None: its own day."""

    number: str
    day: date
    rows: tuple[ShipmentRow, ...]
    party_id: int = 0
    currency: int | None = None
    rate_nano: int | None = None
    posting_day: date | None = None
    due: date | None = None
    narration: str = ""


def post_customer_invoice(
    connection: psycopg.Connection, company_id: int, invoice: CustomerInvoice, request: Request
) -> Answered:
    """Post it and mark its drafts; ids: the document's. Raises CannotRecord, RequestConflict, psycopg.Error."""
    check_number(invoice.number)
    check_rows(len(invoice.rows), "rows")

    def work(cursor: Cursor, batch: Batch) -> list[str]:
        return [str(_Posting.of(Desk.at(cursor, batch), invoice, request).post())]

    return answer_once(connection, company_id, request, work)


@dataclass(slots=True)
class _Posting:
    """An invoice on its way."""

    desk: Desk
    invoice: CustomerInvoice
    document_id: uuid.UUID
    by: str
    terms: Terms
    day: date
    goods: dict[uuid.UUID, Goods]
    drafts: dict[uuid.UUID, Draft]
    open: dict[uuid.UUID, list[OpenPart]]

    @classmethod
    def of(cls, desk: Desk, invoice: CustomerInvoice, request: Request) -> "_Posting":
        """Everything that the rows name, held against others."""
        cursor, company_id = desk.cursor, desk.company_id
        ids = [row.shipment for row in invoice.rows]
        store.hold(cursor, company_id, [*(f"receipt {one}" for one in ids), f"customer invoice {invoice.number}"])
        drafts = store.lock_drafts(cursor, company_id, ids)
        terms = desk.terms(_currency(invoice, drafts), invoice.rate_nano, invoice.day)
        return cls(
            desk,
            invoice,
            document_id(company_id, request.key),
            request.by,
            terms,
            invoice.posting_day or invoice.day,
            store.goods(cursor, company_id, ids),
            drafts,
            store.open_items(cursor, company_id, ids),
        )

    def post(self) -> uuid.UUID:
        """The document, and its drafts' new state."""
        invoice, desk, terms = self.invoice, self.desk, self.terms
        party = self._party()
        other = store.same_number(desk.cursor, desk.company_id, Kind.CUSTOMER_INVOICE, party, invoice.number)
        if other is not None:
            raise CannotRecord(f"the number {invoice.number!r} was posted before, as {other}", field="number")
        lines: list[DocumentLine] = []
        told: list[dict[str, Any]] = []
        nets: dict[uuid.UUID, int] = {}
        vat = base = 0
        for number, row in enumerate(invoice.rows):
            goods = self._goods(row.shipment, number)
            net = nets[row.shipment] = self._net(row, goods, number)
            tax = row.vat.of(net, number)
            vat += tax
            base += desk.base(net, terms)
            lines.append(self._revenue(row, goods, net, number))
            costs = list(self._cost_of_sale(goods))
            lines += costs
            told.append(
                {
                    "shipment": str(row.shipment),
                    "net": net,
                    "vat": tax,
                    "cost": sum(line.amount for line in costs if line.open_item is None),
                }
            )
        if vat:
            lines.append(desk.line(desk.account("output_vat"), -vat, terms))
        # The receivable is the sum of its parts, each turned by itself: nothing is left to round.
        owed, gross = base + desk.base(vat, terms), sum(nets.values()) + vat
        lines.append(
            DocumentLine(
                desk.account("receivables"),
                owed,
                currency=terms.currency,
                currency_amount=gross if terms.currency else 0,
            )
        )
        details = {"rows": told, "due": invoice.due.isoformat() if invoice.due else None}
        desk.post(
            Document(
                self.document_id,
                Kind.CUSTOMER_INVOICE,
                invoice.number,
                invoice.day,
                desk.closed(lines),
                invoice.narration,
                self.day,
                party,
                terms.currency,
                terms.rate_nano,
                details=details,
            )
        )
        store.post_drafts(
            desk.cursor, desk.company_id, nets, self.document_id, terms.currency, terms.rate_nano, self.by
        )
        return self.document_id

    def _party(self) -> int:
        """The customer: named, else the one whom all of it was shipped to."""
        parties = {one.party_id for one in self.goods.values()} - {0}
        if self.invoice.party_id:
            parties |= {self.invoice.party_id}
        if len(parties) > 1:
            raise CannotRecord("expected shipments to one customer, got several", field="rows")
        return next(iter(parties), 0)

    def _goods(self, one: uuid.UUID, number: int) -> Goods:
        goods = self.goods.get(one)
        if goods is None:
            raise CannotRecord(f"no movement {one}", number, "shipment")
        if goods.kind not in (Kind.SALES_SHIPMENT, Kind.CUSTOMER_RETURN):
            raise CannotRecord(
                f"expected a sales_shipment or a customer_return, got {one}, a {Kind(goods.kind).name.lower()}",
                number,
                "shipment",
            )
        if goods.taken_back:
            raise CannotRecord(f"{one} was corrected by another movement: name that one", number, "shipment")
        if sum(row.shipment == one for row in self.invoice.rows) > 1:
            raise CannotRecord("the shipment stands here twice", number, "shipment")
        draft = self.drafts.get(one)
        if draft is not None and draft.state != WAITING:
            how = (
                f"invoiced by {draft.posted_as}" if draft.state == POSTED else "dismissed: no invoice was to come"
            )
            raise CannotRecord(f"{one} was {how}", number, "shipment")
        return goods

    def _net(self, row: ShipmentRow, goods: Goods, number: int) -> int:
        sign = -1 if goods.kind == Kind.CUSTOMER_RETURN else 1
        if row.net is not None and row.price_micro is not None:
            raise CannotRecord("expected a net amount or a price, got both", number, "net")
        if row.net is not None:
            if row.net * sign < 0:
                raise CannotRecord(
                    f"expected {'a negative' if sign < 0 else 'no negative'} amount, got {row.net}", number, "net"
                )
            return row.net
        draft, price = self.drafts.get(row.shipment), row.price_micro
        if price is None and draft is not None:
            self._same_currency(draft.currency, number)
            return draft.net_amount
        if price is None and goods.price_micro is not None:
            self._same_currency(goods.currency, number)
            price = goods.price_micro
        if price is None:
            raise CannotRecord(f"{row.shipment} has no price: say one, or the net amount", number, "price")
        return sign * round_ratio(price * goods.qty_micro, MICRO * minor_unit(self.desk.digits(self.terms)))

    def _same_currency(self, currency: int, number: int) -> None:
        if currency != self.terms.currency:
            own = self.desk.batch.company.currency
            ours, theirs = (code_of(one) if one else own for one in (self.terms.currency, currency))
            raise CannotRecord(
                f"its price is in {theirs}, the invoice in {ours}: say another price", number, "price"
            )

    def _revenue(self, row: ShipmentRow, goods: Goods, net: int, number: int) -> DocumentLine:
        account = self.desk.account("revenue", goods.site_id)
        dimension = 0 if row.dimensions else self.desk.taken_by(account, goods.dimension_id)
        if dimension == 0:  # the goods' own, unless the row says another
            dimension = self.desk.dimension(account, row.dimensions, self.day, number)
        return self.desk.line(account, -net, self.terms, dimension_id=dimension)

    def _cost_of_sale(self, goods: Goods) -> Iterator[DocumentLine]:
        """What stands of these goods as shipped and not invoiced, to cost of goods sold."""
        for part in self.open.get(goods.movement_id, []):
            if part.role == "shipped" and part.amount:
                cost = self.desk.account("cogs", goods.site_id)
                dimension = self.desk.taken_by(cost, part.dimension_id)
                yield DocumentLine(cost, part.amount, dimension)
                yield DocumentLine(part.account_id, -part.amount, part.dimension_id, open_item=part.item)


def _currency(invoice: CustomerInvoice, drafts: Mapping[uuid.UUID, Draft]) -> int:
    if invoice.currency is not None:
        return invoice.currency
    found = {draft.currency for draft in drafts.values()}
    if len(found) > 1:
        raise CannotRecord("expected drafts of one currency, got several: say the invoice's", field="currency")
    return next(iter(found), 0)


# ── Drafts for which no invoice comes ──


def dismiss_draft(
    connection: psycopg.Connection, company_id: int, shipment: uuid.UUID, reason: str, by: str
) -> None:
    """No invoice will come of this shipment. Raises CannotRecord, LookupError, psycopg.Error."""
    if not reason.strip():
        raise CannotRecord("expected why no invoice comes, got nothing", field="reason")
    with connection.transaction(), connection.cursor() as cursor:
        if store.dismiss_draft(cursor, company_id, shipment, reason, by):
            return
        if shipment in store.lock_drafts(cursor, company_id, [shipment]):
            raise CannotRecord(f"{shipment} is invoiced: reverse its invoice first")
    raise NoDraft(f"no draft of a shipment {shipment}")


class NoDraft(LookupError):
    """No shipment of this id waits for an invoice."""


# ── What re-costing finds behind the invoice ──


def clear_invoiced_shipments(
    connection: psycopg.Connection, company_id: int, by: str = WORKER, *, until: date | None = None
) -> int:
    """Move to cost of goods sold what is left on goods shipped of shipments that were invoiced, or dismissed; how many.

    until  what was invoiced and posted up to this day, such as a period's last; None: all
    Each is dated as the last line of its shipment, a document for each day; a day that is locked by now goes on to the
    first that is not. For the close, behind re-costing and before the lock. Raises CannotRecord, psycopg.Error.
    """
    with connection.transaction(), connection.cursor() as cursor:
        company = load_company(cursor, company_id)
        lane = hashlib.sha256(f"{WORKER}/{company.code}".encode()).digest()[0] & 15
        batch = open_batch(cursor, company, lane, time.time_ns() // 1000, by, posts_soft_closed=True)
        left = store.shipped_left(cursor, company_id, until)
        if not left:
            return 0
        desk = Desk.at(cursor, batch)
        documents = [_clearance(desk, day, list(rows)) for day, rows in groupby(left, key=lambda row: row[4])]
        post_documents(cursor, batch, documents, move_when_closed=True)
        close_batch(cursor, batch)
        return len({row[0] for row in left})


def _clearance(desk: Desk, day: date, rows: Sequence[tuple[uuid.UUID, int, int, int, date, int]]) -> Document:
    batch = desk.batch
    lines: list[DocumentLine] = []
    for shipment, account, dimension, amount, _, site in rows:
        cost = desk.account("cogs", site)
        lines.append(DocumentLine(cost, amount, desk.taken_by(cost, dimension)))
        lines.append(DocumentLine(account, -amount, dimension, open_item=shipment))
    one = derived_id(f"{desk.company_id}/{WORKER}/{batch.lane}/{batch.batch_no}/{day}".encode())
    details = {"rows": [{"shipment": str(row[0]), "cost": row[3]} for row in rows], "clears_shipped": True}
    return Document(
        one, Kind.CUSTOMER_INVOICE, f"COST-{day}", day, tuple(lines), "cost of invoiced shipments", details=details
    )
