"""Stories of invoices to customers: drafts of shipments become revenue and receivables, with what they cost."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from cloud.domain.movement import Kind
from cloud.flows.answer_once import CannotRecord
from cloud.flows.ledger.customer_invoice import NoDraft, clear_invoiced_shipments, dismiss_draft
from cloud.flows.ledger.edit_rules import keep_shipped
from cloud.flows.ledger.reverse_document import reverse_document
from cloud.flows.recost import recost_component
from cloud.store.ledger import documents
from tests.makers import Warehouse
from tests.papers import DAY, USD, charge, entry, open_items, party, rate, sold
from tests.valuing import ask, invoice, micro, move, receive, sell

FIRST = (-(2**62), UUID(int=0))


def ship(warehouse: Warehouse, pieces: str, price: str | None, at_s: float = 10, **more: object) -> UUID:
    """Bolts to a customer, at a price."""
    if price is not None:
        more["price_micro"] = micro(price)
    return move(warehouse, Kind.SALES_SHIPMENT, "BOLT", pieces, "STORE", "CUSTOMER", at_s,
                party_id=party(warehouse, "customer", "SHOP"), document="SO-9", **more)  # fmt: skip


def drafts(warehouse: Warehouse, state: str | None = "waiting") -> list[tuple[UUID, int]]:
    """(shipment, net amount) of the drafts in this state."""
    rows = documents.drafts(warehouse.owner, warehouse.company_id, state, FIRST, 100)
    return [(row.movement_id, row.net_amount) for row in rows]


@pytest.mark.editions
def test_a_draft_becomes_revenue_and_a_receivable_and_names_its_shipment(warehouse: Warehouse) -> None:
    """given 4 of 10 bolts @ 4.00 sold @ 9.00; when their invoice bears 13 % tax; then the customer owes 40.68, and
    the invoice leads to the cost of its sale."""
    receive(warehouse, "BOLT", 10, "4.00")
    sale = ship(warehouse, "4", "9.00")
    assert drafts(warehouse) == [(sale, 3600)]
    bill = charge(warehouse, "R-1", sold(sale, vat="0.13"))
    assert entry(warehouse, bill) == ["Dr receivables 40.68", "Cr revenue 36.00", "Cr output_vat 4.68"]
    assert drafts(warehouse) == []
    assert drafts(warehouse, "posted") == [(sale, 3600)]
    assert open_items(warehouse)["receivables", bill] == (40.68, 0)
    # R136: from the receivable to the cost of its goods.
    [(shipment,)] = warehouse.fetch("SELECT details -> 'rows' -> 0 ->> 'shipment' FROM ledger_documents")
    assert entry(warehouse, shipment) == ["Dr cogs 16.00", "Cr goods 16.00"]
    assert warehouse.fetch("SELECT party_id FROM ledger_documents") == [(party(warehouse, "customer", "SHOP"),)]


def test_a_shipment_is_invoiced_once(warehouse: Warehouse) -> None:
    receive(warehouse, "BOLT", 10, "4.00")
    sale = ship(warehouse, "4", "9.00")
    bill = charge(warehouse, "R-1", sold(sale))
    with pytest.raises(CannotRecord, match=f"row 0, shipment: {sale} was invoiced by {bill}"):
        charge(warehouse, "R-2", sold(sale))
    other = ship(warehouse, "1", "9.00", 20)
    with pytest.raises(CannotRecord, match=f"number: the number 'R-1' was posted before, as {bill}"):
        charge(warehouse, "R-1", sold(other))


def test_an_invoice_may_say_another_price_and_sell_what_had_none(warehouse: Warehouse) -> None:
    receive(warehouse, "BOLT", 10, "4.00")
    priced, bare = ship(warehouse, "4", "9.00"), ship(warehouse, "1", None, 20)
    with pytest.raises(CannotRecord, match=r"row 1, price: .* has no price"):
        charge(warehouse, "R-1", sold(priced), sold(bare))
    bill = charge(warehouse, "R-1", sold(priced, "8.00"), sold(bare, net="10.00"))
    assert entry(warehouse, bill) == ["Dr receivables 42.00", "Cr revenue 32.00", "Cr revenue 10.00"]
    with pytest.raises(CannotRecord, match="was invoiced by"):
        charge(warehouse, "R-2", sold(bare, net="10.00"))


def test_in_another_currency_the_receivable_is_at_the_invoices_rate(warehouse: Warehouse) -> None:
    receive(warehouse, "BOLT", 10, "4.00")
    sale = ship(warehouse, "3", "1.115", rate_nano=rate("7.10"), currency=USD)
    bill = charge(warehouse, "R-1", sold(sale, vat="0.1"), rate_nano=rate("7.20"))
    assert entry(warehouse, bill) == [
        "Dr receivables 26.57 (USD 3.69)", "Cr revenue 24.12 (USD 3.35)", "Cr output_vat 2.45 (USD 0.34)",
    ]  # fmt: skip
    with pytest.raises(CannotRecord, match="its price is in USD, the invoice in CNY"):
        charge(
            warehouse, "R-2", sold(ship(warehouse, "1", "1", 30, currency=USD, rate_nano=rate("7"))), currency=0
        )


def test_what_comes_back_is_credited(warehouse: Warehouse) -> None:
    receive(warehouse, "BOLT", 10, "4.00")
    sale = ship(warehouse, "4", "9.00")
    charge(warehouse, "R-1", sold(sale))
    back = move(warehouse, Kind.CUSTOMER_RETURN, "BOLT", 1, "CUSTOMER", "STORE", 30, original_id=sale)
    priced = move(warehouse, Kind.CUSTOMER_RETURN, "BOLT", 1, "CUSTOMER", "STORE", 40, price_micro=micro("8.50"))
    assert drafts(warehouse) == [(priced, -850)]
    with pytest.raises(CannotRecord, match="row 0, net: expected a negative amount"):
        charge(warehouse, "C-1", sold(back, net="9.00"))
    credit = charge(warehouse, "C-1", sold(back, "9.00"))
    assert entry(warehouse, credit) == ["Dr revenue 9.00", "Cr receivables 9.00"]
    charge(warehouse, "C-2", sold(priced))
    assert warehouse.accounts() == {
        "goods": 32.00, "grni": -40.00, "cogs": 8.00, "revenue": -18.50, "receivables": 18.50,
    }  # fmt: skip


def test_goods_shipped_become_cost_of_goods_sold_with_their_invoice(warehouse: Warehouse) -> None:
    """given 4 bolts @ 4.00 shipped and not invoiced; when they are invoiced; then their cost moves; and when the
    supplier's price turns out to be 4.50 later, so does the difference, at the close."""
    keep_shipped(warehouse.owner, warehouse.company_id, True, "Mei")
    bolts = receive(warehouse, "BOLT", 10, "4.00")
    sale, waiting = ship(warehouse, "4", "9.00"), ship(warehouse, "1", "9.00", 20)
    assert open_items(warehouse)["shipped", sale] == (16.00, 0)
    bill = charge(warehouse, "R-1", sold(sale))
    assert entry(warehouse, bill) == [
        "Dr cogs 16.00",
        "Dr receivables 36.00",
        "Cr revenue 36.00",
        "Cr shipped 16.00",
    ]
    assert ("shipped", sale) not in open_items(warehouse)
    invoice(warehouse, bolts, "4.50")
    recost_component(warehouse.owner, warehouse.company_id, [warehouse.items["BOLT"]], "test", from_us=0)
    yesterday = DAY - timedelta(days=1)
    assert clear_invoiced_shipments(warehouse.owner, warehouse.company_id, until=yesterday) == 0
    assert clear_invoiced_shipments(warehouse.owner, warehouse.company_id, until=DAY) == 1
    assert clear_invoiced_shipments(warehouse.owner, warehouse.company_id) == 0
    assert warehouse.accounts()["cogs"] == 18.00
    assert open_items(warehouse)["shipped", waiting] == (4.50, 0)
    reverse_document(warehouse.owner, warehouse.company_id, bill, ask())
    assert open_items(warehouse)["shipped", sale] == (18.00, 0)
    assert drafts(warehouse) == [(sale, 3600), (waiting, 900)]
    assert "cogs" not in warehouse.accounts()
    assert "receivables" not in warehouse.accounts()


def test_a_draft_for_which_no_invoice_comes_is_dismissed_with_its_reason(warehouse: Warehouse) -> None:
    """given samples that were shipped; when their draft is dismissed; then they are cost without revenue."""
    keep_shipped(warehouse.owner, warehouse.company_id, True, "Mei")
    receive(warehouse, "BOLT", 10, "4.00")
    sample, sale = ship(warehouse, "1", "9.00"), ship(warehouse, "2", "9.00", 20)
    with pytest.raises(CannotRecord, match="reason: expected why"):
        dismiss_draft(warehouse.owner, warehouse.company_id, sample, " ", "Mei")
    dismiss_draft(warehouse.owner, warehouse.company_id, sample, "samples", "Mei")
    [row] = documents.drafts(warehouse.owner, warehouse.company_id, "dismissed", FIRST, 10)
    assert (row.movement_id, row.reason, row.changed_by) == (sample, "samples", "Mei")
    with pytest.raises(CannotRecord, match="was dismissed: no invoice was to come"):
        charge(warehouse, "R-1", sold(sample))
    charge(warehouse, "R-1", sold(sale))
    with pytest.raises(CannotRecord, match="is invoiced: reverse its invoice first"):
        dismiss_draft(warehouse.owner, warehouse.company_id, sale, "gone", "Mei")
    with pytest.raises(NoDraft):
        dismiss_draft(warehouse.owner, warehouse.company_id, uuid4(), "gone", "Mei")
    assert clear_invoiced_shipments(warehouse.owner, warehouse.company_id) == 1
    assert warehouse.accounts()["cogs"] == 12.00


def test_what_cannot_be_sold_is_told_by_row(warehouse: Warehouse) -> None:
    bolts = receive(warehouse, "BOLT", 10, "4.00")
    sale, bare = ship(warehouse, "1", "9.00"), sell(warehouse, "BOLT", 1, 5)
    for rows, said in (
        ([sold(uuid4(), "1")], "row 0, shipment: no movement"),
        ([sold(sale), sold(bolts, "1")], "row 1, shipment: expected a sales_shipment or a customer_return"),
        ([sold(sale), sold(sale)], "shipment: the shipment stands here twice"),
        ([sold(bare, "1", "1")], "row 0, net: expected a net amount or a price, got both"),
    ):
        with pytest.raises(CannotRecord, match=said):
            charge(warehouse, "R-1", *rows)
    stranger = party(warehouse, "customer", "OTHER")
    with pytest.raises(CannotRecord, match="rows: expected shipments to one customer, got several"):
        charge(warehouse, "R-1", sold(sale), party_id=stranger)
