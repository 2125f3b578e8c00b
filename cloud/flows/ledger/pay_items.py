"""Payments: money that settles receivables and payables, item by item, with the exchange difference that it realises.

An item in another currency is cleared by the share of what it stands at in the books; what the money is worth more or
less is an exchange gain or loss (cloud.domain.ledger.realised). Money that no item takes stays on the payment's own
item, an advance, until another payment of amount 0 sets it against an invoice. Charges of the bank are rows of their
own. Which payment settles what is said by the caller; finding it out is not done here.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

import psycopg

from cloud.domain.batch import Batch
from cloud.domain.currency import code_of
from cloud.domain.ledger.realised import CannotSettleItem, OpenItem, settle
from cloud.domain.movement import Kind
from cloud.flows.answer_once import Answered, CannotRecord, Request, answer_once
from cloud.flows.ledger.document_desk import Desk, Terms, check_number, document_id
from cloud.flows.ledger.post_document import Document, DocumentLine
from cloud.store.ledger import documents as store
from cloud.store.ledger.documents import OpenPart

Cursor = psycopg.Cursor

ITEM_ROLES = ("receivables", "payables", "group_receivable", "group_payable")
ALLOCATIONS_MAX = 1000
Side = Literal["customer", "supplier"]


@dataclass(frozen=True, slots=True)
class Allocation:
    """An item (the document that made it) and how much of it is settled: minor units of its currency, above 0; None:
    all that is open."""

    item: uuid.UUID
    amount: int | None = None


@dataclass(frozen=True, slots=True)
class Charge:
    """What the bank kept or added, by the account's number: minor units of the payment's currency, debit positive."""

    account: str
    amount: int
    dimensions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Payment:
    """Money that came or went.

    amount        what the bank says, minor units of `currency`: above 0 came in, below 0 went out; None: what the
                  allocations and charges come to
    account       the bank account's number; None: the chart's account for `bank`
    side          whose advance the rest is; None: as the allocations say, else by which way the money went
    currency      ISO 4217 number of the money, 0 the company's own;  rate_nano  None: the day's known rate
    """

    number: str
    day: date
    allocations: tuple[Allocation, ...] = ()
    amount: int | None = None
    account: str | None = None
    charges: tuple[Charge, ...] = ()
    party_id: int = 0
    side: Side | None = None
    currency: int = 0
    rate_nano: int | None = None
    posting_day: date | None = None
    narration: str = ""


def post_payment(connection: psycopg.Connection, company_id: int, payment: Payment, request: Request) -> Answered:
    """Post it; ids: the document's. Raises CannotRecord, RequestConflict, psycopg.Error."""
    check_number(payment.number)
    if len(payment.allocations) > ALLOCATIONS_MAX:
        raise CannotRecord(
            f"expected at most {ALLOCATIONS_MAX}, got {len(payment.allocations)}", field="allocations"
        )

    def work(cursor: Cursor, batch: Batch) -> list[str]:
        desk = Desk.at(cursor, batch)
        return [str(_Posting.of(desk, payment).post(document_id(company_id, request.key)))]

    return answer_once(connection, company_id, request, work)


@dataclass(slots=True)
class _Posting:
    """A payment on its way. settled: by the allocations, in minor units of the payment's currency."""

    desk: Desk
    payment: Payment
    terms: Terms
    day: date
    open: dict[uuid.UUID, list[OpenPart]]
    role: str | None = None
    settled: int = 0
    is_crossed: bool = False
    told: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, desk: Desk, payment: Payment) -> "_Posting":
        """The items, held against others."""
        items = [one.item for one in payment.allocations]
        store.hold_items(desk.cursor, desk.company_id, items)
        return cls(
            desk,
            payment,
            desk.terms(payment.currency, payment.rate_nano, payment.day),
            payment.posting_day or payment.day,
            store.open_items(desk.cursor, desk.company_id, items),
        )

    def post(self, one: uuid.UUID) -> uuid.UUID:
        """The document."""
        payment, desk, terms = self.payment, self.desk, self.terms
        lines = [line for n, row in enumerate(payment.allocations) for line in self._allocation(row, n)]
        charges = [self._charge(row, n) for n, row in enumerate(payment.charges)]
        beside = self.settled + sum(row.amount for row in payment.charges)
        amount = -beside if payment.amount is None else payment.amount
        if amount:
            lines.append(desk.line(self._bank(), amount, terms))
        if not self.is_crossed and (rest := amount + beside):
            lines.append(desk.line(desk.account(self._advance_role(rest)), -rest, terms))
        lines = list(desk.closed([*lines, *charges]))
        exchange = {desk.accounts.at("exchange_gain", 0), desk.accounts.at("exchange_loss", 0)}
        details = {
            "allocations": self.told,
            "realised": sum(line.amount for line in lines if line.account_id in exchange),
        }
        desk.post(
            Document(
                one,
                Kind.PAYMENT,
                payment.number,
                payment.day,
                tuple(lines),
                payment.narration,
                self.day,
                payment.party_id,
                terms.currency,
                terms.rate_nano,
                details=details,
            )
        )
        return one

    def _allocation(self, row: Allocation, number: int) -> Sequence[DocumentLine]:
        where = f"allocations/{number}"
        if any(other.item == row.item for other in self.payment.allocations[:number]):
            raise CannotRecord("the item stands here twice", field=f"{where}/item")
        parts = [part for part in self.open.get(row.item, []) if part.role in ITEM_ROLES]
        parts = [part for part in parts if part.amount or part.currency_amount]
        if not parts:
            raise CannotRecord(f"nothing of {row.item} is open", field=f"{where}/item")
        if len(parts) > 1:
            raise CannotRecord(f"{row.item} is open on several accounts or dimension sets", field=f"{where}/item")
        part = parts[0]
        self.role = self.role or part.role
        is_open = part.currency_amount if part.currency else part.amount
        if row.amount is not None and not 0 < row.amount <= abs(is_open):
            raise CannotRecord(
                f"expected at most {abs(is_open)} minor units of {self._code(part.currency)}, which are open, got"
                f" {row.amount}",
                field=f"{where}/amount",
            )
        cleared = -is_open if row.amount is None else (-row.amount if is_open > 0 else row.amount)
        base = cleared if part.currency == 0 else self._share(part, cleared, where)
        self._count(part, cleared, where)
        self.told.append({"item": str(row.item), "amount": cleared, "base": base})
        return [
            DocumentLine(
                part.account_id, base, part.dimension_id, part.currency, cleared if part.currency else 0, part.item
            )
        ]

    def _share(self, part: OpenPart, cleared: int, where: str) -> int:
        """What the item stands at for so much of it; the whole entry's exchange difference is found at its end."""
        same = part.currency == self.terms.currency
        worth = self.desk.base(cleared, self.terms) if same else 0
        try:
            return settle(OpenItem(part.currency_amount, part.amount), cleared, worth).amount
        except CannotSettleItem as error:
            raise CannotRecord(str(error), field=f"{where}/amount") from error

    def _count(self, part: OpenPart, cleared: int, where: str) -> None:
        """Items in another currency than the money's are settled by what the bank says that came of them."""
        if part.currency == self.terms.currency:
            self.settled += cleared
            return
        if self.payment.amount is None:
            raise CannotRecord(
                f"the item is in {self._code(part.currency)}, the money in {self._code(self.terms.currency)}: say the"
                " payment's amount",
                field="amount",
            )
        if (self.payment.amount < 0) != (cleared > 0):
            raise CannotRecord("the money goes the same way as the item", field=f"{where}/item")
        self.is_crossed = True

    def _charge(self, row: Charge, number: int) -> DocumentLine:
        account = self.desk.named_account(row.account, self.day)
        dimension = self.desk.dimension(
            account.account_id, row.dimensions, self.day, field=f"charges/{number}/dimensions"
        )
        if row.amount == 0:
            raise CannotRecord("expected an amount, got 0", field=f"charges/{number}/amount")
        return self.desk.line(account.account_id, row.amount, self.terms, dimension_id=dimension)

    def _bank(self) -> int:
        if self.payment.account is None:
            return self.desk.account("bank")
        return self.desk.named_account(self.payment.account, self.day).account_id

    def _advance_role(self, rest: int) -> str:
        if self.payment.side is not None:
            return "receivables" if self.payment.side == "customer" else "payables"
        return self.role or ("receivables" if rest > 0 else "payables")

    def _code(self, currency: int) -> str:
        return code_of(currency) if currency else self.desk.batch.company.currency
