"""Stories of invoices from suppliers: what was received becomes what is owed, at the invoice's price and rate."""

from uuid import UUID

import pytest

from cloud.domain.costing.allocation import Basis
from cloud.domain.movement import Kind
from cloud.flows.answer_once import CannotRecord
from cloud.flows.ledger.reverse_document import reverse_document
from cloud.flows.ledger.supplier_invoice import ExpenseRow, LandedRow, SupplierInvoice, Vat, post_supplier_invoice
from cloud.flows.set_standard import NewStandard, set_standards
from tests.makers import Warehouse
from tests.papers import DAY, USD, bill, entry, minor, of, open_items, party, rate
from tests.valuing import add_item, ask, at, land, micro, move, receive, sell, values


@pytest.mark.editions
def test_what_was_received_is_owed_with_its_tax(warehouse: Warehouse) -> None:
    """given 10 bolts @ 4.00; when the invoice says the same and 13 % tax; then nothing waits for one any more."""
    bolts = receive(warehouse, "BOLT", 10, "4.00")
    invoice = bill(warehouse, "INV-1", of(bolts, "4.00", vat="0.13"))
    assert entry(warehouse, invoice) == ["Dr grni 40.00", "Dr input_vat 5.20", "Cr payables 45.20"]
    assert open_items(warehouse) == {("payables", invoice): (-45.20, 0)}


def test_a_difference_by_price_is_a_cost_of_the_goods_wherever_they_are(warehouse: Warehouse) -> None:
    """given 10 bolts @ 4.00, 4 of them sold; when 4.50 are invoiced; then 6 @ 4.50 are in stock and the sale cost
    18.00, and nothing is open of the receipt."""
    bolts = receive(warehouse, "BOLT", 10, "4.00")
    sell(warehouse, "BOLT", 4, 1)
    invoice = bill(warehouse, "INV-1", of(bolts, "4.50"))
    assert entry(warehouse, invoice) == ["Dr grni 45.00", "Cr payables 45.00"]
    assert values(warehouse)["BOLT"] == (6, 27.00)
    assert warehouse.accounts() == {"goods": 27.00, "cogs": 18.00, "payables": -45.00}
    assert open_items(warehouse) == {("payables", invoice): (-45.00, 0)}


def test_at_standard_cost_the_difference_is_a_variance(warehouse: Warehouse) -> None:
    add_item(warehouse, "NUT", "standard")
    set_standards(warehouse.owner, warehouse.company_id, [NewStandard("NUT", micro("2"))], at(-10), "", "", ask())
    nuts = receive(warehouse, "NUT", 10, "2.30")
    bill(warehouse, "INV-1", of(nuts, "2.50"))
    assert warehouse.accounts() == {"goods": 20.00, "ppv": 5.00, "payables": -25.00}


def test_a_difference_by_rate_is_an_exchange_loss_and_never_inventory(warehouse: Warehouse) -> None:
    """given 10 @ 3.00 dollars received at 7.10; when they are invoiced at 7.20; then the dollar's rise is a loss."""
    bolts = receive(warehouse, "BOLT", 10, "3.00", rate_nano=rate("7.10"), currency=USD)
    invoice = bill(warehouse, "INV-1", of(bolts, "3.00"), currency=USD, rate_nano=rate("7.20"))
    assert entry(warehouse, invoice) == [
        "Dr grni 213.00 (USD 30.00)", "Dr exchange_loss 3.00", "Cr payables 216.00 (USD 30.00)",
    ]  # fmt: skip
    assert warehouse.accounts() == {"goods": 213.00, "exchange_loss": 3.00, "payables": -216.00}
    assert open_items(warehouse) == {("payables", invoice): (-216.00, -30.00)}


def test_price_and_rate_differ_at_once_and_each_goes_where_it_belongs(warehouse: Warehouse) -> None:
    """given 10 @ 3.00 dollars at 7.10; when 3.10 are invoiced at 7.00; then the goods cost 10 × 3.10 × 7.10, and the
    dollar's fall on 31.00 is a gain."""
    bolts = receive(warehouse, "BOLT", 10, "3.00", rate_nano=rate("7.10"), currency=USD)
    invoice = bill(warehouse, "INV-1", of(bolts, "3.10"), currency=USD, rate_nano=rate("7.00"))
    assert entry(warehouse, invoice) == [
        "Dr grni 220.10 (USD 31.00)", "Cr payables 217.00 (USD 31.00)", "Cr exchange_gain 3.10",
    ]  # fmt: skip
    assert warehouse.accounts() == {"goods": 220.10, "exchange_gain": -3.10, "payables": -217.00}
    assert open_items(warehouse) == {("payables", invoice): (-217.00, -31.00)}


def test_several_invoices_for_one_receipt_leave_nothing_open(warehouse: Warehouse) -> None:
    """given 10 @ 3.333 dollars at 7.13; when 3, 3 and 4 pieces are invoiced at three rates, once dearer; then the
    receipt's item is 0 in both currencies."""
    bolts = receive(warehouse, "BOLT", 10, "3.333", rate_nano=rate("7.13"), currency=USD)
    for number, (pieces, price, day_rate) in enumerate(
        [("3", "3.333", "7.0"), ("3", "3.5", "7.3"), ("4", "3.333", "7.123")]
    ):
        bill(warehouse, f"INV-{number}", of(bolts, price, pieces), currency=USD, rate_nano=rate(day_rate))
    assert {role for role, _ in open_items(warehouse)} == {"payables"}
    assert "grni" not in warehouse.accounts()


def test_a_net_amount_alone_covers_so_much_of_what_is_open(warehouse: Warehouse) -> None:
    bolts = receive(warehouse, "BOLT", 10, "4.00")
    bill(warehouse, "INV-1", of(bolts, net="15.00"))
    assert open_items(warehouse)["grni", bolts] == (-25.00, 0)
    with pytest.raises(CannotRecord, match=r"row 0, net: expected at most 2500 minor units.*got 2501"):
        bill(warehouse, "INV-2", of(bolts, net="25.01"))
    bill(warehouse, "INV-2", of(bolts, net="25.00"))
    assert "grni" not in warehouse.accounts()


def test_more_than_was_received_is_refused(warehouse: Warehouse) -> None:
    bolts = receive(warehouse, "BOLT", 10, "4.00")
    bill(warehouse, "INV-1", of(bolts, "4.00", "7"))
    with pytest.raises(CannotRecord, match=r"row 0, quantity: expected at most 3000000 .* got 4000000"):
        bill(warehouse, "INV-2", of(bolts, "4.00", "4"))
    assert warehouse.accounts() == {"goods": 40.00, "grni": -12.00, "payables": -28.00}


def test_a_change_of_price_behind_the_last_invoice_is_a_row_of_no_goods(warehouse: Warehouse) -> None:
    bolts = receive(warehouse, "BOLT", 10, "4.00")
    bill(warehouse, "INV-1", of(bolts, "4.00"))
    credit = bill(warehouse, "CREDIT-1", of(bolts, pieces="0", net="-5.00"))
    assert entry(warehouse, credit) == ["Dr payables 5.00", "Cr grni 5.00"]
    assert warehouse.accounts() == {"goods": 35.00, "payables": -35.00}


def test_a_number_of_a_supplier_counts_once(warehouse: Warehouse) -> None:
    bolts = receive(warehouse, "BOLT", 10, "4.00")
    first = bill(warehouse, "INV-1", of(bolts, "4.00", "5"))
    with pytest.raises(CannotRecord, match=f"number: .*'INV-1' was posted before, as {first}"):
        bill(warehouse, "INV-1", of(bolts, "4.00", "5"))
    bill(warehouse, "INV-1", of(bolts, "4.00", "5"), party_id=party(warehouse, "supplier", "OTHER"))


def test_the_same_request_posts_once(warehouse: Warehouse) -> None:
    bolts = receive(warehouse, "BOLT", 10, "4.00")
    invoice = SupplierInvoice(party(warehouse, "supplier", "ACME"), "INV-1", DAY, (of(bolts, "4.50"),))
    request = ask("INV-1")
    first = post_supplier_invoice(warehouse.owner, warehouse.company_id, invoice, request)
    again = post_supplier_invoice(warehouse.owner, warehouse.company_id, invoice, request)
    assert again.replayed
    assert again.ids == first.ids
    assert warehouse.accounts() == {"goods": 45.00, "payables": -45.00}


def test_goods_that_went_back_are_credited(warehouse: Warehouse) -> None:
    """given 10 @ 4.00 invoiced, and 2 sent back at 4.00; when the credit note says 3.80; then the rest is a price
    difference."""
    bolts = receive(warehouse, "BOLT", 10, "4.00")
    bill(warehouse, "INV-1", of(bolts, "4.00"))
    back = move(warehouse, Kind.SUPPLIER_RETURN, "BOLT", 2, "STORE", "SUPPLIER", 5, price_micro=micro("4.00"),
                original_id=bolts)  # fmt: skip
    assert open_items(warehouse)["grni", back] == (8.00, 0)
    credit = bill(warehouse, "CREDIT-1", of(back, "3.80"))
    assert entry(warehouse, credit) == ["Dr price_difference 0.40", "Dr payables 7.60", "Cr grni 8.00"]
    assert warehouse.accounts() == {"goods": 32.00, "price_difference": 0.40, "payables": -32.40}


def test_freight_clears_what_was_expected_and_the_rest_is_a_cost_of_the_goods(warehouse: Warehouse) -> None:
    """given two receipts with 12.00 of freight expected; when 15.00 are invoiced; then 3.00 more are their cost."""
    bolts, lamps = receive(warehouse, "BOLT", 10, "4.00"), receive(warehouse, "LAMP", 2, "10.00", 1)
    land(warehouse, "12", Basis.VALUE, bolts, lamps)
    invoice = bill(warehouse, "SHIP-1", LandedRow((bolts, lamps), minor("15.00"), vat=Vat(micro("0.09"))))
    assert entry(warehouse, invoice) == [
        "Dr landed_clearing 10.00", "Dr landed_clearing 5.00", "Dr input_vat 1.35", "Cr payables 16.35",
    ]  # fmt: skip
    assert warehouse.accounts() == {"goods": 75.00, "grni": -60.00, "input_vat": 1.35, "payables": -16.35}


def test_freight_that_nobody_expected_is_a_cost_at_once_and_parts_wait_for_the_rest(warehouse: Warehouse) -> None:
    bolts = receive(warehouse, "BOLT", 10, "4.00")
    bill(warehouse, "SHIP-1", LandedRow((bolts,), minor("6.00")))
    assert warehouse.accounts() == {"goods": 46.00, "grni": -40.00, "payables": -6.00}
    land(warehouse, "10", Basis.VALUE, bolts)
    bill(warehouse, "SHIP-2", LandedRow((bolts,), minor("4.00"), is_partial=True))
    assert open_items(warehouse)["landed_clearing", bolts] == (-6.00, 0)
    with pytest.raises(CannotRecord, match="row 0, net: expected at most 600 minor units"):
        bill(warehouse, "SHIP-3", LandedRow((bolts,), minor("6.01"), is_partial=True))


def test_freight_in_another_currency_is_a_cost_at_the_invoices_rate(warehouse: Warehouse) -> None:
    bolts = receive(warehouse, "BOLT", 10, "4.00")
    land(warehouse, "70", Basis.VALUE, bolts)
    invoice = bill(
        warehouse, "SHIP-1", LandedRow((bolts,), minor("10", USD)), currency=USD, rate_nano=rate("7.20")
    )
    assert entry(warehouse, invoice) == [
        "Dr landed_clearing 72.00", "Dr exchange_gain 0.00 (USD 10.00)", "Cr payables 72.00 (USD 10.00)",
    ]  # fmt: skip
    assert warehouse.accounts() == {"goods": 112.00, "grni": -40.00, "payables": -72.00}


def test_an_invoice_may_bear_other_costs(warehouse: Warehouse) -> None:
    bolts = receive(warehouse, "BOLT", 10, "4.00")
    number = warehouse.fetch("SELECT number FROM accounts WHERE role = 'admin_loss'")[0][0]
    bill(warehouse, "INV-1", of(bolts, "4.00"), ExpenseRow(number, minor("2.00")))
    assert warehouse.accounts() == {"goods": 40.00, "admin_loss": 2.00, "payables": -42.00}
    grni = warehouse.fetch("SELECT number FROM accounts WHERE role = 'grni'")[0][0]
    with pytest.raises(CannotRecord, match=r"row 0, account: account .* is a control account"):
        bill(warehouse, "INV-2", ExpenseRow(grni, minor("2.00")))


def test_goods_that_came_without_a_price_take_the_invoices(warehouse: Warehouse) -> None:
    """given 5 lamps @ 20.00, and 5 more that nobody knew the price of; when 24.00 are invoiced; then they cost it."""
    receive(warehouse, "LAMP", 5, "20.00")
    lamps = move(warehouse, Kind.PURCHASE_RECEIPT, "LAMP", 5, "SUPPLIER", "STORE", 5)
    bill(warehouse, "INV-1", of(lamps, "24.00"))
    assert values(warehouse)["LAMP"] == (10, 220.00)
    assert warehouse.accounts() == {"goods": 220.00, "grni": -100.00, "payables": -120.00}


def test_goods_that_nobody_knew_a_cost_of_get_it_from_their_invoice(warehouse: Warehouse) -> None:
    lamps = move(warehouse, Kind.PURCHASE_RECEIPT, "LAMP", 5, "SUPPLIER", "STORE", 5)
    with pytest.raises(CannotRecord, match="rows: the invoice comes to nothing"):
        bill(warehouse, "INV-0", of(lamps, "0"))
    bill(warehouse, "INV-1", of(lamps, "3.00"), currency=USD, rate_nano=rate("7.00"))
    assert warehouse.accounts() == {"goods": 105.00, "payables": -105.00}


def test_an_invoice_that_is_taken_back_leaves_receipt_and_cost_as_they_were(warehouse: Warehouse) -> None:
    """given 10 @ 3.00 dollars invoiced at 3.10 and another rate; when the invoice is reversed; then the receipt waits
    as before, at its own cost, and can be invoiced again."""
    bolts = receive(warehouse, "BOLT", 10, "3.00", rate_nano=rate("7.10"), currency=USD)
    before = warehouse.accounts(), open_items(warehouse)
    invoice = bill(warehouse, "INV-1", of(bolts, "3.10"), currency=USD, rate_nano=rate("7.00"))
    back = UUID(reverse_document(warehouse.owner, warehouse.company_id, invoice, ask()).ids[0])
    assert (warehouse.accounts(), open_items(warehouse)) == before
    assert warehouse.fetch("SELECT corrects FROM journal_entries WHERE source_id = %s", back) == [(invoice,)]
    with pytest.raises(CannotRecord, match=f"{invoice} was taken back before, by {back}"):
        reverse_document(warehouse.owner, warehouse.company_id, invoice, ask())
    with pytest.raises(CannotRecord, match="post that anew instead"):
        reverse_document(warehouse.owner, warehouse.company_id, back, ask())
    bill(warehouse, "INV-1", of(bolts, "3.05"), currency=USD, rate_nano=rate("7.10"))
    assert warehouse.accounts() == {"goods": 216.55, "payables": -216.55}


def test_what_cannot_be_invoiced_is_told_by_row_and_field(warehouse: Warehouse) -> None:
    bolts = receive(warehouse, "BOLT", 10, "4.00")
    sale = sell(warehouse, "BOLT", 1, 1)
    dollars = receive(warehouse, "LAMP", 1, "4.00", 2, rate_nano=rate("7"), currency=USD)
    for row, said in (
        (of(UUID(int=1), "4"), "row 0, receipt: no movement"),
        (
            of(sale, "4"),
            "row 0, receipt: expected a purchase_receipt or a supplier_return, got .*a sales_shipment",
        ),
        (of(bolts, "4", net="4"), "row 0, net: expected a net amount or a price, got both"),
        (of(bolts, pieces="1", net="-4"), "row 0, net: expected no negative amount"),
        (of(dollars, "4"), "row 0, receipt: .*was received at a price in USD, the invoice is in CNY"),
    ):
        with pytest.raises(CannotRecord, match=said):
            bill(warehouse, "INV-1", row)
    with pytest.raises(CannotRecord, match="row 0, receipt: the receipt stands here twice"):
        bill(warehouse, "INV-1", of(bolts, "4", "1"), of(bolts, "4", "1"))
    assert "payables" not in warehouse.accounts()
