"""A supplier's invoice: what was received is owed now, at the invoice's price and rate.

Each row clears what stands as received and not invoiced. What it says beyond that is a difference by *price*, which
the goods take as a value event at their receipt (held → stock, gone → where they went, at standard cost → variance),
in the same transaction; or one by *rate*, which is an exchange gain or loss and never a cost of goods. What is open of
a receipt that is invoiced in full is 0 afterwards, in every currency.

Rows of receipts say a quantity (all that no invoice covers yet, unless told) with a price or a net amount; a net
amount alone covers so much of what is open, and can say no other price. Goods that went back are rows below 0.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import psycopg

from cloud.domain.batch import Batch
from cloud.domain.costing.allocation import Basis
from cloud.domain.currency import code_of, digits_of, to_base
from cloud.domain.movement import MICRO, Kind
from cloud.domain.rounding import minor_unit, round_ratio
from cloud.flows.answer_once import Answered, CannotRecord, Event, Request, answer_once, book_rows
from cloud.flows.ledger.document_desk import (
    HOME_RATE,
    Desk,
    Terms,
    check_number,
    check_rows,
    document_id,
    moment_on,
)
from cloud.flows.ledger.post_document import Document, DocumentLine
from cloud.flows.record_value_events import Paper, landed_events, receipts_named
from cloud.store.ledger import documents as store
from cloud.store.ledger.documents import Goods, OpenPart

Cursor = psycopg.Cursor


@dataclass(frozen=True, slots=True)
class Vat:
    """Input tax of a row: at a rate (10⁻⁶ of the net amount), or an amount in the document's minor units."""

    rate_micro: int | None = None
    amount: int | None = None

    def of(self, net: int, row: int) -> int:
        """The tax on a net amount. Raises CannotRecord."""
        if self.amount is not None and self.rate_micro is not None:
            raise CannotRecord("expected a rate or an amount of tax, got both", row, "vat_rate")
        if self.amount is not None:
            return self.amount
        if not 0 <= (rate := self.rate_micro or 0) <= MICRO:
            raise CannotRecord(f"expected a rate from 0 to 1, got {rate} × 10⁻⁶", row, "vat_rate")
        return round_ratio(net * rate, MICRO)


NO_VAT = Vat()


@dataclass(frozen=True, slots=True)
class ReceiptRow:
    """A receipt or supplier return on the invoice. net: minor units of the document's currency, below 0 for goods that
    went back; price_micro: 10⁻⁶ of it per stock unit; qty_micro: 10⁻⁶ stock units, None: all that is left."""

    receipt: uuid.UUID
    net: int | None = None
    price_micro: int | None = None
    qty_micro: int | None = None
    vat: Vat = NO_VAT


@dataclass(frozen=True, slots=True)
class LandedRow:
    """Freight, duty and the like for receipts. is_partial: more will come, so nothing beyond what is open is booked;
    else the difference from what was expected is a cost of these goods, shared by `basis`."""

    receipts: tuple[uuid.UUID, ...]
    net: int
    basis: Basis = Basis.VALUE
    is_partial: bool = False
    vat: Vat = NO_VAT


@dataclass(frozen=True, slots=True)
class ExpenseRow:
    """Anything else on the invoice, by the account's number and values of dimensions by type."""

    account: str
    net: int
    dimensions: Mapping[str, str] = field(default_factory=dict)
    vat: Vat = NO_VAT


Row = ReceiptRow | LandedRow | ExpenseRow


@dataclass(frozen=True, slots=True)
class SupplierInvoice:
    """An invoice or credit note. currency: ISO 4217 number, 0 the company's own; rate_nano None: the day's known rate;
    posting_day None: its own day."""

    party_id: int
    number: str
    day: date
    rows: tuple[Row, ...]
    currency: int = 0
    rate_nano: int | None = None
    posting_day: date | None = None
    due: date | None = None
    narration: str = ""


def post_supplier_invoice(
    connection: psycopg.Connection, company_id: int, invoice: SupplierInvoice, request: Request
) -> Answered:
    """Post it with its price differences; ids: the document's, then those of its value events.

    Raises CannotRecord, RequestConflict, psycopg.Error.
    """
    check_number(invoice.number)
    check_rows(len(invoice.rows), "rows")

    def work(cursor: Cursor, batch: Batch) -> list[str]:
        return _Posting.of(Desk.at(cursor, batch), invoice, request.key).post()

    return answer_once(connection, company_id, request, work)


@dataclass(slots=True)
class _Clearing:
    """What a row takes of one open item.

    cleared, cleared_base  of the item, in its measure and in the company's currency, before `difference`
    difference, difference_base  what the goods cost more
    is_full                whether nothing of the item is left
    currency               of the item, 0: the company's own
    """

    item: uuid.UUID
    role: str
    cleared: int
    cleared_base: int
    difference: int
    difference_base: int
    is_full: bool
    currency: int


@dataclass(slots=True)
class _Line:
    """A row, worked out: net and tax in the document's minor units, and what `details` tells of it."""

    net: int
    vat: int
    clears: list[_Clearing]
    told: dict[str, Any]
    lines: list[DocumentLine] = field(default_factory=list)


@dataclass(slots=True)
class _Posting:
    """An invoice on its way."""

    desk: Desk
    invoice: SupplierInvoice
    key: str
    terms: Terms
    day: date
    goods: dict[uuid.UUID, Goods]
    open: dict[uuid.UUID, list[OpenPart]]
    covered: dict[uuid.UUID, int]

    @classmethod
    def of(cls, desk: Desk, invoice: SupplierInvoice, key: str) -> "_Posting":
        """Everything that the rows name, held against others."""
        cursor, company_id = desk.cursor, desk.company_id
        ids = list(_named(invoice.rows))
        names = [f"receipt {one}" for one in ids]
        store.hold(cursor, company_id, [*names, f"supplier invoice {invoice.party_id} {invoice.number}"])
        other = store.same_number(cursor, company_id, Kind.SUPPLIER_INVOICE, invoice.party_id, invoice.number)
        if other is not None:
            raise CannotRecord(
                f"the supplier's number {invoice.number!r} was posted before, as {other}", field="number"
            )
        return cls(
            desk,
            invoice,
            key,
            desk.terms(invoice.currency, invoice.rate_nano, invoice.day),
            invoice.posting_day or invoice.day,
            store.goods(cursor, company_id, ids),
            store.open_items(cursor, company_id, ids),
            store.invoiced(cursor, company_id, ids),
        )

    def post(self) -> list[str]:
        """Value events first, then the document; their ids."""
        rows: list[_Line] = []
        events: list[Event] = []
        for number, row in enumerate(self.invoice.rows):
            if isinstance(row, ReceiptRow):
                made = self._receipt_row(row, number)
                events += self._corrections(made, row)
            elif isinstance(row, LandedRow):
                made, added = self._landed_row(row, number)
                events += added
            else:
                made = self._expense_row(row, number)
            rows.append(made)
        ids = book_rows(self.desk.cursor, self.desk.batch, self.key, events=events) if events else []
        if events:
            self.desk.begin_next_batch()
            self.open = store.open_items(self.desk.cursor, self.desk.company_id, list(_named(self.invoice.rows)))
        invoice, one = self.invoice, document_id(self.desk.company_id, self.key)
        if not (lines := self._lines(rows)):
            raise CannotRecord(
                "the invoice comes to nothing: what was free is a correction of price", field="rows"
            )
        details = {
            "rows": [row.told for row in rows],
            "due": invoice.due.isoformat() if invoice.due else None,
            "value_events": ids,
        }
        self.desk.post(
            Document(
                one,
                Kind.SUPPLIER_INVOICE,
                invoice.number,
                invoice.day,
                lines,
                invoice.narration,
                self.day,
                invoice.party_id,
                self.terms.currency,
                self.terms.rate_nano,
                details=details,
            )
        )
        return [str(one), *ids]

    # ── Rows ──

    def _receipt_row(self, row: ReceiptRow, number: int) -> _Line:
        goods = self._goods(row.receipt, number)
        parts = [part for part in self.open.get(row.receipt, []) if part.role == "grni"]
        if not parts and goods.is_posted:
            raise CannotRecord(f"nothing of {row.receipt} stands as received and not invoiced", number, "receipt")
        currency = 0 if goods.price_micro is None else goods.currency
        self._check_currency(goods, currency, number)
        sign = -1 if goods.kind == Kind.SUPPLIER_RETURN else 1
        open_base = -sum(part.amount for part in parts)
        open_now = -sum(part.currency_amount for part in parts) if currency else open_base
        left = goods.qty_micro - self.covered.get(row.receipt, 0)
        if row.net is not None and row.price_micro is None and row.qty_micro is None:
            qty, net = self._covered_by(row.net, open_now, left, currency, number), row.net
            measure = net if currency == self.terms.currency else self.desk.base(net, self.terms)
            taken, taken_base = measure, _share(open_base, measure, open_now)
            is_full = measure == open_now
        else:
            qty = self._quantity(row, left, goods, number)
            net = self._net(row, qty, sign, number)
            measure = net if currency == self.terms.currency else self.desk.base(net, self.terms)
            taken, taken_base = _share(open_now, qty, left), _share(open_base, qty, left)
            is_full = qty == left
        difference = measure - taken
        clearing = _Clearing(
            row.receipt,
            "grni",
            taken,
            taken_base,
            difference,
            self._at_receipts_rate(difference, currency, goods),
            is_full,
            currency,
        )
        vat = row.vat.of(net, number)
        told = {
            "receipt": str(row.receipt),
            "quantity_micro": qty,
            "net": net,
            "vat": vat,
            "price_difference": difference,
        }
        return _Line(net, vat, [clearing], told)

    def _goods(self, one: uuid.UUID, number: int) -> Goods:
        goods = self.goods.get(one)
        if goods is None:
            raise CannotRecord(f"no movement {one}", number, "receipt")
        if goods.kind not in (Kind.PURCHASE_RECEIPT, Kind.SUPPLIER_RETURN):
            raise CannotRecord(
                f"expected a purchase_receipt or a supplier_return, got {one}, a {Kind(goods.kind).name.lower()}",
                number,
                "receipt",
            )
        if goods.taken_back:
            raise CannotRecord(f"{one} was corrected by another movement: name that one", number, "receipt")
        if sum(isinstance(row, ReceiptRow) and row.receipt == one for row in self.invoice.rows) > 1:
            raise CannotRecord("the receipt stands here twice", number, "receipt")
        return goods

    def _check_currency(self, goods: Goods, currency: int, number: int) -> None:
        own = self.desk.batch.company.currency
        if currency not in (0, self.terms.currency):
            raise CannotRecord(
                f"{goods.movement_id} was received at a price in {code_of(currency)}, the invoice is in"
                f" {code_of(self.terms.currency) if self.terms.currency else own}",
                number,
                "receipt",
            )
        if (
            currency == 0
            and self.terms.currency
            and goods.price_micro is not None
            and goods.rate_nano != HOME_RATE
        ):
            raise CannotRecord(
                f"{goods.movement_id} was received at a rate of {goods.rate_nano} × 10⁻⁹ without saying of which"
                f" currency: its invoice can be posted in {own} only",
                number,
                "receipt",
            )

    def _covered_by(self, net: int, open_now: int, left: int, currency: int, number: int) -> int:
        """How much of the goods a net amount alone stands for."""
        measure = net if currency == self.terms.currency else self.desk.base(net, self.terms)
        if measure == 0:
            raise CannotRecord("expected an amount, got 0", number, "net")
        if abs(measure) > abs(open_now) or (measure > 0) != (open_now > 0):
            raise CannotRecord(
                f"expected at most {open_now} minor units, which are open, got {measure}: where the price differs,"
                " say the quantity as well",
                number,
                "net",
            )
        if measure == open_now:
            return left
        return max(0, min(left - 1, round_ratio(left * abs(measure), abs(open_now))))

    def _quantity(self, row: ReceiptRow, left: int, goods: Goods, number: int) -> int:
        qty = left if row.qty_micro is None else row.qty_micro
        if not 0 <= qty <= left:
            raise CannotRecord(
                f"expected at most {left} × 10⁻⁶ of {goods.item}, which no invoice covers yet, got {qty}",
                number,
                "quantity",
            )
        if qty == 0 and row.qty_micro is None:
            raise CannotRecord(
                "invoices cover all of it: a later change of price is a row of quantity 0 with its net amount",
                number,
                "quantity",
            )
        return qty

    def _net(self, row: ReceiptRow, qty: int, sign: int, number: int) -> int:
        if (row.net is None) == (row.price_micro is None):
            raise CannotRecord("expected a net amount or a price, got both or neither", number, "net")
        if row.net is not None:
            if row.net * sign < 0 and qty:
                raise CannotRecord(
                    f"expected {'a negative' if sign < 0 else 'no negative'} amount, got {row.net}", number, "net"
                )
            return row.net
        assert row.price_micro is not None  # noqa: S101  one of the two is there
        return sign * round_ratio(row.price_micro * qty, MICRO * minor_unit(self.desk.digits(self.terms)))

    def _at_receipts_rate(self, amount: int, currency: int, goods: Goods) -> int:
        if currency == 0:
            return amount
        return to_base(amount, digits_of(currency), goods.rate_nano, self.desk.batch.company.minor_digits)

    def _corrections(self, made: _Line, row: ReceiptRow) -> Iterator[Event]:
        """What the goods of a receipt cost more; at a return it is a price difference, which the document posts."""
        goods, clearing = self.goods[row.receipt], made.clears[0]
        if goods.kind == Kind.SUPPLIER_RETURN:
            account = self.desk.account("price_difference", goods.site_id)
            made.lines.append(
                self._foreign(account, clearing.difference_base, clearing.currency, clearing.difference)
            )
            clearing.difference = clearing.difference_base = 0
        elif clearing.difference_base:
            # As the value event says it: in the company's own currency, and in which the receipt's price is.
            code = code_of(clearing.currency) if clearing.currency else ""
            made.told |= {"cost_difference": clearing.difference_base, "cost_currency": code}
            yield Event(
                Kind.PRICE_CORRECTION,
                clearing.difference_base * self.desk.batch.company.unit,
                self._moment(goods.occurred_us),
                original=row.receipt,
                party_id=self.invoice.party_id,
                currency=clearing.currency,
                currency_amount=clearing.difference if clearing.currency else 0,
                document=self.invoice.number,
            )
        else:
            clearing.difference = 0  # too little for the books: the exchange account takes the currency's part

    def _landed_row(self, row: LandedRow, number: int) -> tuple[_Line, list[Event]]:
        if not row.receipts:
            raise CannotRecord("expected receipts, got none", number, "receipts")
        if len(set(row.receipts)) < len(row.receipts):
            raise CannotRecord("a receipt stands here twice", number, "receipts")
        known = [self.goods[one].occurred_us for one in row.receipts if one in self.goods]
        paper = Paper(self._moment(max(known, default=0)), self.invoice.number, self.invoice.party_id)
        receipts = receipts_named(self.desk.cursor, self.desk.company_id, row.receipts, paper, number)
        net = self.desk.base(row.net, self.terms)
        owed = [
            -sum(part.amount for part in self.open.get(one, []) if part.role == "landed_clearing")
            for one in row.receipts
        ]
        events: list[Event] = []
        added: dict[uuid.UUID | None, int] = {}
        if row.is_partial:
            if not 0 < net <= sum(owed):
                raise CannotRecord(
                    f"expected at most {sum(owed)} minor units, which are open, got {net}", number, "net"
                )
            taken = [_share(sum(owed[: i + 1]), net, sum(owed)) for i in range(len(owed))]
            owed = [so_far - before for so_far, before in zip(taken, [0, *taken], strict=False)]
        elif net != sum(owed):
            events = landed_events(receipts, net - sum(owed), row.basis, paper, "", number)
            added = {event.original: event.value_micro for event in events}
            unit = self.desk.batch.company.unit
            events = [replace(event, value_micro=event.value_micro * unit) for event in events]
            owed = [amount + added.get(one, 0) for one, amount in zip(row.receipts, owed, strict=True)]
        vat = row.vat.of(row.net, number)
        clears = [
            _Clearing(one, "landed_clearing", amount, amount, 0, 0, not row.is_partial, 0)
            for one, amount in zip(row.receipts, owed, strict=True)
        ]
        told = {
            "landed_for": [str(one) for one in row.receipts],
            "net": row.net,
            "vat": vat,
            "cost_differences": {str(one): amount for one, amount in added.items()},
        }
        return _Line(row.net, vat, clears, told), events

    def _expense_row(self, row: ExpenseRow, number: int) -> _Line:
        account = self.desk.named_account(row.account, self.day, number)
        dimension = self.desk.dimension(account.account_id, row.dimensions, self.day, number)
        vat = row.vat.of(row.net, number)
        line = self.desk.line(account.account_id, row.net, self.terms, dimension_id=dimension)
        return _Line(row.net, vat, [], {"account": row.account, "net": row.net, "vat": vat}, [line])

    def _moment(self, not_before_us: int) -> int:
        return moment_on(self.day, self.desk.batch.company.time_zone, not_before_us)

    # ── Lines ──

    def _lines(self, rows: Sequence[_Line]) -> tuple[DocumentLine, ...]:
        lines = [line for row in rows for line in row.lines]
        for row in rows:
            for clearing in row.clears:
                lines += self._cleared(clearing)
        vat, net = sum(row.vat for row in rows), sum(row.net for row in rows)
        if vat:
            lines.append(self.desk.line(self.desk.account("input_vat"), vat, self.terms))
        # The payable is the sum of its parts, each turned by itself: nothing is left to round.
        owed = sum(self.desk.base(row.net, self.terms) for row in rows) + self.desk.base(vat, self.terms)
        account = self.desk.account("payables")
        lines.append(self._foreign(account, -owed, self.terms.currency, -(net + vat)))
        return self.desk.closed(lines)

    def _cleared(self, one: _Clearing) -> Iterator[DocumentLine]:
        """Lines that clear an item, on the accounts and dimension sets where it stands."""
        parts = [part for part in self.open.get(one.item, []) if part.role == one.role]
        amount, base = one.cleared + one.difference, one.cleared_base + one.difference_base
        if not parts or not (amount or base):
            return
        main = max(parts, key=lambda part: abs(part.amount))
        if one.is_full and one.currency and one.currency == self.terms.currency:
            base = -sum(part.amount for part in parts)  # its own base value, whatever it was revalued at
        for part in parts:
            if part is not main and one.is_full and (part.amount or part.currency_amount):
                yield self._item(part, -part.amount, one.currency, -part.currency_amount)
                base, amount = base + part.amount, amount + (part.currency_amount if one.currency else part.amount)
        yield self._item(main, base, one.currency, amount)

    def _item(self, part: OpenPart, base: int, currency: int, amount: int) -> DocumentLine:
        line = self._foreign(part.account_id, base, currency, amount)
        return replace(line, open_item=part.item, dimension_id=part.dimension_id)

    @staticmethod
    def _foreign(account: int, base: int, currency: int, amount: int) -> DocumentLine:
        return DocumentLine(account, base, currency=currency, currency_amount=amount if currency else 0)


def _named(rows: Sequence[Row]) -> Iterator[uuid.UUID]:
    for row in rows:
        if isinstance(row, ReceiptRow):
            yield row.receipt
        elif isinstance(row, LandedRow):
            yield from row.receipts


def _share(whole: int, part: int, of: int) -> int:
    """`part` of `of` of an amount; all of it for all."""
    if part == of:
        return whole
    return round_ratio(whole * abs(part), abs(of)) if of else 0
