"""What a priced shipment leaves beside its cost: a draft of revenue and receivable, and no entry for it."""

from dataclasses import replace

from cloud.domain.movement import Kind
from tests.makers import Warehouse
from tests.scenarios.test_declared import declare, receipt, row


def test_a_priced_shipment_waits_as_a_draft_and_posts_only_its_cost(warehouse: Warehouse) -> None:
    """given 10 bolts at 4.00; when 3 are sold at 9.50 and 1 comes back; then cost is posted at once, and what they
    are to be invoiced at waits: 28.50 and −9.50 (R135)."""
    declare(warehouse, "in", receipt(warehouse, 10, 4_000_000))
    sold = replace(row(warehouse, Kind.SALES_SHIPMENT, "STORE", "CUSTOMER", 3, 60), price_micro=9_500_000)
    back = replace(row(warehouse, Kind.CUSTOMER_RETURN, "CUSTOMER", "STORE", 1, 120), price_micro=9_500_000)
    free = row(warehouse, Kind.SALES_SHIPMENT, "STORE", "CUSTOMER", 1, 180)
    declare(warehouse, "out", sold, back, free)
    assert warehouse.accounts() == {"goods": 28.00, "grni": -40.00, "cogs": 12.00}
    drafts = warehouse.fetch("SELECT net_amount, state FROM journal_drafts ORDER BY occurred_us")
    assert drafts == [(2850, "waiting"), (-950, "waiting")]


def test_a_draft_in_another_currency_is_in_that_currencys_minor_unit(warehouse: Warehouse) -> None:
    """3 at 9.50 yen are 29 yen: the yen has no smaller unit."""
    declare(warehouse, "in", receipt(warehouse, 10, 4_000_000))
    sold = row(warehouse, Kind.SALES_SHIPMENT, "STORE", "CUSTOMER", 3, 60)
    declare(warehouse, "out", replace(sold, price_micro=9_500_000, currency=392, rate_nano=50_000_000))
    assert warehouse.fetch("SELECT net_amount, currency FROM journal_drafts") == [(29, 392)]


def test_a_foreign_receipt_says_its_currency_on_both_sides(warehouse: Warehouse) -> None:
    """10 at 3.33 dollars, 7.25 to the dollar: 241.43 and on both lines 33.30 dollars."""
    goods = replace(receipt(warehouse, 10, 3_330_000), currency=840, rate_nano=7_250_000_000)
    declare(warehouse, "in", goods)
    lines = warehouse.fetch(
        "SELECT a.role, l.amount, l.currency, l.currency_amount FROM journal_lines l"
        " JOIN accounts a USING (company_id, account_id) ORDER BY l.line_no"
    )
    assert lines == [("goods", 24143, 840, 3330), ("grni", -24143, 840, -3330)]
    assert warehouse.fetch(
        "SELECT a.role, t.debit - t.credit, t.currency_debit - t.currency_credit FROM turnovers t"
        " JOIN accounts a USING (company_id, account_id) ORDER BY a.role"
    ) == [("goods", 24143, 3330), ("grni", -24143, -3330)]
    assert warehouse.fetch("SELECT amount, currency, currency_amount FROM open_items") == [(-24143, 840, -3330)]
