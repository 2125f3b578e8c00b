"""/v1/supplier-invoices, /v1/customer-invoices and /v1/drafts: what is owed for goods that came, and that went."""

from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from cloud.api.access import FinanceReader, Pool
from cloud.api.documents import (
    ROWS_MAX,
    AccountNumber,
    Dimensions,
    DocumentOut,
    MoneyText,
    PartyCode,
    TermsIn,
    currency_number,
    made,
    money,
    party_id,
    rate_nano,
)
from cloud.api.once import CostChange, LedgerChange, refusals
from cloud.api.paging import LIMIT_DEFAULT, CursorText, Limit, Page, make_page, read_cursor
from cloud.api.problems import wrong_value
from cloud.api.values import (
    MICRO_DIGITS,
    RATE_DIGITS,
    DecimalText,
    Moment,
    Quantity,
    Text,
    parse_decimal,
    parse_uuid,
)
from cloud.domain.access import Company
from cloud.domain.costing.allocation import Basis
from cloud.domain.currency import code_of, digits_of
from cloud.domain.decimals import micro_text, minor_text
from cloud.domain.moments import moment_of
from cloud.flows.ledger.customer_invoice import (
    CustomerInvoice,
    NoDraft,
    ShipmentRow,
    dismiss_draft,
    post_customer_invoice,
)
from cloud.flows.ledger.supplier_invoice import (
    ExpenseRow,
    LandedRow,
    ReceiptRow,
    Row,
    SupplierInvoice,
    Vat,
    post_supplier_invoice,
)
from cloud.store.ledger import documents as store
from cloud.store.ledger.documents import DraftRow

router = APIRouter(tags=["invoices"])

DraftState = Literal["waiting", "posted", "dismissed"]


class _Taxed(BaseModel):
    """A row with its tax: at a rate, or an amount."""

    model_config = {"extra": "forbid"}

    vat_rate: DecimalText | None = Field(None, description="Of the net amount.", examples=["0.13"])
    vat: MoneyText | None = Field(None, description="Instead of a rate.")


class ReceiptRowIn(_Taxed):
    """Goods that came, or went back: their receipt or supplier return."""

    receipt: UUID
    quantity: DecimalText | None = Field(
        None, description="In stock units; all that no invoice covers, unless said."
    )
    price: DecimalText | None = Field(None, description="For one stock unit, in the invoice's currency.")
    net: MoneyText | None = Field(None, description="Instead of a price; below 0 for goods that went back.")


class LandedRowIn(_Taxed):
    """Freight, duty and the like for receipts."""

    landed_for: list[UUID] = Field(min_length=1, max_length=ROWS_MAX)
    net: MoneyText
    by: Basis = Basis.VALUE
    partial: bool = Field(False, description="More will come: nothing beyond what is open is booked.")


class ExpenseRowIn(_Taxed):
    """Anything else."""

    account: AccountNumber
    net: MoneyText
    dimensions: Dimensions = {}


class SupplierInvoiceIn(TermsIn):
    """An invoice or credit note of a supplier."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "party": "ACME",
                    "number": "INV-1",
                    "date": "2026-11-22",
                    "rows": [
                        {"receipt": "01930f1e-7b1a-7c3d-9e4f-0a1b2c3d4e5f", "price": "4.20", "vat_rate": "0.13"}
                    ],
                }
            ]
        },
    )

    party: PartyCode
    due: date | None = None
    rows: list[ReceiptRowIn | LandedRowIn | ExpenseRowIn] = Field(min_length=1, max_length=ROWS_MAX)


class ShipmentRowIn(_Taxed):
    """Goods that went to a customer, or came back: as their draft says, unless a price or a net amount is said."""

    shipment: UUID
    price: DecimalText | None = Field(None, description="For one stock unit, in the invoice's currency.")
    net: MoneyText | None = Field(None, description="Instead of a price; below 0 for goods that came back.")
    dimensions: Dimensions = Field(default={}, description="Of the revenue.")


class CustomerInvoiceIn(TermsIn):
    """An invoice or credit note to a customer; in its drafts' currency, unless said."""

    party: PartyCode | None = Field(None, description="The customer whom all of it was shipped to, unless said.")
    due: date | None = None
    rows: list[ShipmentRowIn] = Field(min_length=1, max_length=ROWS_MAX)


class DraftOut(BaseModel):
    """What a shipment will be invoiced at; below 0 for goods that came back."""

    shipment: UUID
    party: str | None
    document: str
    item: str
    quantity: Quantity
    price: str
    currency: str
    rate: str
    net: str = Field(examples=["36.00"])
    occurred_at: Moment
    state: DraftState
    invoice: UUID | None
    by: str = Field(description="Who posted or dismissed it.")
    reason: str


class DismissalIn(BaseModel):
    """Why no invoice comes."""

    model_config = {"extra": "forbid"}

    reason: Text = Field(min_length=1)


@router.post(
    "/v1/supplier-invoices", response_model=DocumentOut, status_code=201, summary="Post a supplier's invoice"
)
def post_supplier(body: SupplierInvoiceIn, change: CostChange) -> DocumentOut:
    """Clears what was received; a difference by price is a cost of the goods, one by rate a gain or loss."""
    company = change.caller.company
    currency = currency_number(company, body.currency)
    rows = tuple(_supplier_row(company, currency, number, row) for number, row in enumerate(body.rows))
    request = change.request("supplier-invoices", body)
    with change.pool.connection() as connection:
        invoice = SupplierInvoice(
            party_id(connection, change.company_id, "supplier", body.party), body.number, body.document_date, rows,
            currency, rate_nano(body.rate), body.posting_date, body.due, body.narration,
        )  # fmt: skip
        with refusals("/rows"):
            answered = post_supplier_invoice(connection, change.company_id, invoice, request)
    return made(change, answered)


@router.post(
    "/v1/customer-invoices", response_model=DocumentOut, status_code=201, summary="Post an invoice to a customer"
)
def post_customer(body: CustomerInvoiceIn, change: LedgerChange) -> DocumentOut:
    """Makes revenue and a receivable of drafts; what their goods cost becomes cost of goods sold, where it waited."""
    company = change.caller.company
    request = change.request("customer-invoices", body)
    with change.pool.connection() as connection:
        currency = None if body.currency is None else currency_number(company, body.currency)
        told = currency
        if told is None and any(row.net is not None or row.vat is not None for row in body.rows):
            drafts = store.lock_drafts(connection.cursor(), change.company_id, [row.shipment for row in body.rows])
            told = next((draft.currency for draft in drafts.values()), 0)
        rows = tuple(_shipment_row(company, told or 0, number, row) for number, row in enumerate(body.rows))
        invoice = CustomerInvoice(
            body.number, body.document_date, rows, party_id(connection, change.company_id, "customer", body.party),
            currency, rate_nano(body.rate), body.posting_date, body.due, body.narration,
        )  # fmt: skip
        with refusals("/rows"):
            answered = post_customer_invoice(connection, change.company_id, invoice, request)
    return made(change, answered)


@router.get("/v1/drafts", response_model=Page[DraftOut], summary="Shipments that wait for their invoice")
def list_drafts(
    caller: FinanceReader,
    pool: Pool,
    limit: Limit = LIMIT_DEFAULT,
    cursor: CursorText = None,
    state: Annotated[DraftState | None, Query(description="All, unless said.")] = None,
) -> dict[str, Any]:
    """In the order in which their goods moved."""
    filters = {"state": state}
    after = (-(2**62), UUID(int=0))
    if cursor is not None:
        at_us, one = read_cursor(cursor, "drafts", filters, (int, str))
        after = at_us, parse_uuid(one) or UUID(int=0)
    with pool.connection() as connection:
        rows = store.drafts(connection, caller.company.company_id, state, after, limit + 1)
    return make_page(
        "drafts", filters, rows, limit, lambda row: [row.occurred_us, str(row.movement_id)],
        lambda row: _show_draft(caller.company, row),
    )  # fmt: skip


@router.post("/v1/drafts/{shipment}/dismiss", status_code=204, summary="Say that no invoice comes of a shipment")
def dismiss(shipment: UUID, body: DismissalIn, caller: FinanceReader, pool: Pool) -> None:
    """The goods are cost without revenue; said again, it is as it was."""
    by = f"{caller.person_name} ({caller.key_id})"
    with pool.connection() as connection, refusals(missing=NoDraft):
        dismiss_draft(connection, caller.company.company_id, shipment, body.reason, by)


def _supplier_row(
    company: Company, currency: int, number: int, row: ReceiptRowIn | LandedRowIn | ExpenseRowIn
) -> Row:
    at, vat = f"/rows/{number}", _vat(company, currency, number, row)
    if isinstance(row, ReceiptRowIn):
        return ReceiptRow(
            row.receipt, _money(row.net, company, currency, f"{at}/net"), _micro(row.price, f"{at}/price"),
            _micro(row.quantity, f"{at}/quantity"), vat,
        )  # fmt: skip
    net = money(row.net, company, currency, f"{at}/net")
    if isinstance(row, LandedRowIn):
        return LandedRow(tuple(row.landed_for), net, row.by, row.partial, vat)
    return ExpenseRow(row.account, net, row.dimensions, vat)


def _shipment_row(company: Company, currency: int, number: int, row: ShipmentRowIn) -> ShipmentRow:
    at = f"/rows/{number}"
    return ShipmentRow(
        row.shipment, _money(row.net, company, currency, f"{at}/net"), _micro(row.price, f"{at}/price"),
        _vat(company, currency, number, row), row.dimensions,
    )  # fmt: skip


def _vat(company: Company, currency: int, number: int, row: _Taxed) -> Vat:
    if row.vat_rate is not None and row.vat is not None:
        raise wrong_value(f"/rows/{number}/vat", "expected a rate or an amount of tax, got both")
    return Vat(
        _micro(row.vat_rate, f"/rows/{number}/vat_rate"), _money(row.vat, company, currency, f"/rows/{number}/vat")
    )


def _money(text: str | None, company: Company, currency: int, pointer: str) -> int | None:
    return None if text is None else money(text, company, currency, pointer)


def _micro(text: str | None, pointer: str) -> int | None:
    return None if text is None else parse_decimal(text, MICRO_DIGITS, pointer)


def _show_draft(company: Company, row: DraftRow) -> DraftOut:
    digits = digits_of(row.currency) if row.currency else company.minor_digits
    return DraftOut(
        shipment=row.movement_id,
        party=row.party,
        document=row.document,
        item=row.item,
        quantity=micro_text(row.qty_micro),
        price=micro_text(row.price_micro, 2),
        currency=code_of(row.currency) if row.currency else company.currency,
        rate=minor_text(row.rate_nano, RATE_DIGITS).rstrip("0").rstrip("."),
        net=minor_text(row.net_amount, digits),
        occurred_at=moment_of(row.occurred_us),
        state=row.state,
        invoice=row.posted_as,
        by=row.changed_by,
        reason=row.reason,
    )
