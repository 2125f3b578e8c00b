"""What stories of documents have in common: papers in a book-keeper's words, and what the books say of them."""

from datetime import date
from decimal import Decimal
from uuid import UUID

from cloud.domain.currency import code_of, digits_of, number_of
from cloud.flows.ledger.customer_invoice import CustomerInvoice, ShipmentRow, post_customer_invoice
from cloud.flows.ledger.supplier_invoice import (
    NO_VAT,
    ExpenseRow,
    LandedRow,
    ReceiptRow,
    SupplierInvoice,
    Vat,
    post_supplier_invoice,
)
from tests.makers import Warehouse
from tests.valuing import ask, micro

DAY = date(2026, 9, 21)  # of tests.makers.NOON_US, in Shanghai
USD = number_of("USD")
JPY = number_of("JPY")
KWD = number_of("KWD")


def party(warehouse: Warehouse, kind: str, code: str) -> int:
    """A supplier or customer; its id."""
    row = warehouse.owner.execute(
        "INSERT INTO parties (company_id, code, name, kind) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT (company_id, kind, code) DO UPDATE SET name = excluded.name RETURNING party_id",
        [warehouse.company_id, code, code, kind],
    ).fetchone()
    assert row is not None
    return int(row[0])


def number_of_role(warehouse: Warehouse, role: str) -> str:
    """The account number that stands for a role."""
    return str(warehouse.fetch("SELECT number FROM accounts WHERE role = %s AND site_id IS NULL", role)[0][0])


def minor(text: str, currency: int = 0) -> int:
    """An amount of money in minor units."""
    return int(Decimal(text).scaleb(digits_of(currency) if currency else 2))


def rate(text: str) -> int:
    """A rate in 10⁻⁹."""
    return int(Decimal(text).scaleb(9))


def open_items(warehouse: Warehouse) -> dict[tuple[str, UUID], tuple[float, float]]:
    """(role, item): what is open of it in the company's currency and in its own; receipts' and documents' items."""
    rows = warehouse.fetch(
        "SELECT a.role, o.item, o.amount, o.currency, o.currency_amount FROM open_items o"
        " JOIN accounts a USING (company_id, account_id)"
    )
    return {
        (role, item): (amount / 100, told / 10 ** (digits_of(currency) if currency else 2))
        for role, item, amount, currency, told in rows
    }


def entry(warehouse: Warehouse, source: UUID | str) -> list[str]:
    """A document's lines as an accountant writes them: `Dr payables 71.00 (USD 10.00)`."""
    rows = warehouse.fetch(
        "SELECT coalesce(a.role, a.number), l.amount, l.currency, l.currency_amount FROM journal_lines l"
        " JOIN accounts a USING (company_id, account_id) WHERE l.source_id = %s ORDER BY l.line_no",
        source,
    )
    return [_line(*row) for row in rows]


def _line(role: str, amount: int, currency: int, told: int) -> str:
    side = "Dr" if amount > 0 or (amount == 0 and told > 0) else "Cr"
    text = f"{side} {role} {abs(amount) / 100:.2f}"
    if currency:
        digits = digits_of(currency)
        shown = f"{abs(told) / 10**digits:.{digits}f}"
        text += f" ({code_of(currency)} {'' if (told > 0) == (side == 'Dr') else '-'}{shown})"
    return text


def bill(warehouse: Warehouse, number: str, *rows: ReceiptRow | LandedRow | ExpenseRow, **more: object) -> UUID:
    """A supplier's invoice; its id."""
    invoice = SupplierInvoice(more.pop("party_id", None) or party(warehouse, "supplier", "ACME"), number,
                              more.pop("day", DAY), rows, **more)  # type: ignore[arg-type]  # fmt: skip
    request = more.pop("request", None) or ask(number)
    return UUID(post_supplier_invoice(warehouse.owner, warehouse.company_id, invoice, request).ids[0])  # type: ignore[arg-type]


def of(
    receipt: UUID, price: str | None = None, pieces: str | None = None, net: str | None = None, *,
    vat: str | None = None, currency: int = 0,
) -> ReceiptRow:  # fmt: skip
    """A row of a supplier's invoice: so many pieces at a price, or so much of it."""
    return ReceiptRow(
        receipt,
        None if net is None else minor(net, currency),
        None if price is None else micro(price),
        None if pieces is None else micro(pieces),
        NO_VAT if vat is None else Vat(micro(vat)),
    )


def charge(warehouse: Warehouse, number: str, *rows: ShipmentRow, **more: object) -> UUID:
    """An invoice to a customer; its id."""
    invoice = CustomerInvoice(number, more.pop("day", DAY), rows, **more)  # type: ignore[arg-type]
    return UUID(post_customer_invoice(warehouse.owner, warehouse.company_id, invoice, ask(number)).ids[0])


def sold(
    shipment: UUID, price: str | None = None, net: str | None = None, *, vat: str | None = None, currency: int = 0
) -> ShipmentRow:
    """A row of an invoice to a customer."""
    return ShipmentRow(
        shipment,
        None if net is None else minor(net, currency),
        None if price is None else micro(price),
        NO_VAT if vat is None else Vat(micro(vat)),
    )
