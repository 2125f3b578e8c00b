"""Stories of cost without goods: invoices that differ, freight that comes behind, standards, write-downs, methods."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from uuid import uuid4

import pytest

from cloud.domain.costing.allocation import Basis
from cloud.domain.costing.methods import Method
from cloud.domain.movement import Kind
from cloud.flows.answer_once import CannotRecord
from cloud.flows.change_method import MethodChange, change_method
from cloud.flows.declare import RequestConflict
from cloud.flows.record_value_events import LandedCost, Paper, PriceCorrection, correct_prices, land_costs
from cloud.flows.recost import recost_component
from cloud.flows.set_standard import NewStandard, set_standards
from cloud.flows.share_costs import SharedCost, adopt_industry, share_cost
from cloud.flows.write_down import Realisable, write_down
from cloud.store import valuation
from cloud.store.valuation import Rule
from tests.makers import Warehouse
from tests.valuing import add_item, ask, at, invoice, land, micro, move, receive, sell, values

DAY_S = 86_400


@pytest.fixture(autouse=True)
def at_rest(warehouse: Warehouse) -> Iterator[None]:
    """What was booked at once is what the whole history, costed in the order of the world, comes to."""
    yield
    before = warehouse.accounts(), values(warehouse)
    items = [item for (item,) in warehouse.fetch("SELECT DISTINCT item_id FROM cost_pools")]
    for item in items:
        recost_component(warehouse.owner, warehouse.company_id, [item], "test", from_us=0)
    assert (warehouse.accounts(), values(warehouse)) == before


def events(warehouse: Warehouse) -> list[tuple[str, float]]:
    """Kinds and values of all value events."""
    rows = warehouse.fetch(
        "SELECT k.name, value_micro FROM value_events JOIN movement_kinds k USING (kind) ORDER BY 1, 2"
    )
    return [(kind, value / 1e6) for kind, value in rows]


# ── Invoices that say another price ──


@pytest.mark.editions
def test_an_invoice_that_differs_changes_what_is_held_and_what_is_gone(warehouse: Warehouse) -> None:
    """given 10 bolts @ 4.00, 4 of them sold; when the invoice says 4.50; then 6 @ 4.50 are in stock, and the sale
    cost 18.00."""
    bolts = receive(warehouse, "BOLT", 10, "4.00")
    sell(warehouse, "BOLT", 4, 1)
    invoice(warehouse, bolts, "4.50")
    assert values(warehouse) == {"BOLT": (6, 27.00)}
    assert warehouse.accounts() == {"goods": 27.00, "grni": -45.00, "cogs": 18.00}
    assert events(warehouse) == [("price_correction", 5.00)]


def test_an_invoice_below_the_order_gives_back(warehouse: Warehouse) -> None:
    bolts = receive(warehouse, "BOLT", 10, "4.00")
    sell(warehouse, "BOLT", 4, 1)
    invoice(warehouse, bolts, "3.00")
    assert warehouse.accounts() == {"goods": 18.00, "grni": -30.00, "cogs": 12.00}


def test_a_second_invoice_is_measured_from_the_first(warehouse: Warehouse) -> None:
    """given 10 @ 4.00 corrected to 4.50; when a credit note says 4.20; then they cost 4.20, not 4.70 or 3.70."""
    bolts = receive(warehouse, "BOLT", 10, "4.00")
    invoice(warehouse, bolts, "4.50", 100)
    invoice(warehouse, bolts, "4.20", 200)
    assert events(warehouse) == [("price_correction", -3.00), ("price_correction", 5.00)]
    assert warehouse.accounts() == {"goods": 42.00, "grni": -42.00}


def test_an_invoice_that_agrees_books_nothing(warehouse: Warehouse) -> None:
    bolts = receive(warehouse, "BOLT", 10, "4.00")
    assert invoice(warehouse, bolts, "4.00") == []
    assert events(warehouse) == []


def test_a_price_in_another_currency_is_taken_at_the_receipts_own_rate(warehouse: Warehouse) -> None:
    """given 10 @ 3.00 dollars at 7.10; when the invoice says 3.10 dollars; then they cost 22.01 yuan each."""
    bolts = receive(warehouse, "BOLT", 10, "3.00", rate_nano=7_100_000_000)
    invoice(warehouse, bolts, "3.10", rate_nano=7_100_000_000)
    assert warehouse.accounts() == {"goods": 220.10, "grni": -220.10}


def test_a_difference_by_rate_is_no_cost_of_goods(warehouse: Warehouse) -> None:
    bolts = receive(warehouse, "BOLT", 10, "3.00", rate_nano=7_100_000_000)
    with pytest.raises(CannotRecord, match=r"row 0, rate: .*exchange gain or loss, never a cost of goods"):
        invoice(warehouse, bolts, "3.00", rate_nano=7_200_000_000)
    assert warehouse.accounts() == {"goods": 213.00, "grni": -213.00}


def test_at_standard_cost_the_difference_is_purchase_price_variance(warehouse: Warehouse) -> None:
    """given nuts with a standard of 2.00; when 10 come @ 2.30 and the invoice says 2.50; then stock is 20.00, and
    5.00 of variance."""
    add_item(warehouse, "NUT", "standard")
    set_standards(warehouse.owner, warehouse.company_id, [NewStandard("NUT", micro("2"))], at(-10), "", "", ask())
    nuts = receive(warehouse, "NUT", 10, "2.30")
    assert warehouse.accounts() == {"goods": 20.00, "ppv": 3.00, "grni": -23.00}
    invoice(warehouse, nuts, "2.50")
    assert warehouse.accounts() == {"goods": 20.00, "ppv": 5.00, "grni": -25.00}


def test_a_request_corrects_all_its_receipts_or_none_and_once(warehouse: Warehouse) -> None:
    bolts, lamps = receive(warehouse, "BOLT", 10, "4.00"), receive(warehouse, "LAMP", 2, "30.00", 1)
    rows = [PriceCorrection(bolts, micro("4.10")), PriceCorrection(lamps, micro("31"))]
    request, paper = ask(rows, "invoice-7"), Paper(at(60), "INV-7")
    with pytest.raises(CannotRecord, match="row 2, receipt: no movement"):
        correct_prices(warehouse.owner, warehouse.company_id, [*rows, PriceCorrection(uuid4(), 1)], paper, request)
    assert events(warehouse) == []
    first = correct_prices(warehouse.owner, warehouse.company_id, rows, paper, request)
    again = correct_prices(warehouse.owner, warehouse.company_id, rows, paper, request)
    assert again == replace(first, replayed=True)
    assert warehouse.accounts() == {"goods": 103.00, "grni": -103.00}
    with pytest.raises(RequestConflict):
        correct_prices(warehouse.owner, warehouse.company_id, rows, paper, ask("another payload", "invoice-7"))
    assert [
        by
        for (by,) in warehouse.fetch(
            "SELECT DISTINCT b.worker FROM value_events v JOIN batches b USING (company_id, lane, batch_no)"
        )
    ] == ["Mei"]


def test_only_a_receipt_of_purchased_goods_has_an_invoice(warehouse: Warehouse) -> None:
    receive(warehouse, "BOLT", 10, "4.00")
    sale = sell(warehouse, "BOLT", 4, 1)
    with pytest.raises(CannotRecord, match=r"expected a purchase_receipt, got .* a sales_shipment"):
        invoice(warehouse, sale, "4.50")
    unpriced = move(warehouse, Kind.PURCHASE_RECEIPT, "BOLT", 5, "SUPPLIER", "STORE", 2)
    with pytest.raises(CannotRecord, match="came without a price of its own"):
        invoice(warehouse, unpriced, "4.50")


# ── Freight and duty that come behind the goods ──


@pytest.fixture
def two_receipts(warehouse: Warehouse) -> tuple[str, str]:
    """Heavy: 2 of 10 kg and 1 l at 150.00; bulky: 5 of 5 kg and 4 l at 20.00."""
    add_item(warehouse, "HEAVY", "fifo", weight_mg=10_000_000, volume_mm3=1_000_000)
    add_item(warehouse, "BULKY", "moving_average", weight_mg=5_000_000, volume_mm3=4_000_000)
    return receive(warehouse, "HEAVY", 2, "150"), receive(warehouse, "BULKY", 5, "20", 1)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("basis", "heavy", "bulky"),
    [(Basis.VALUE, 375.00, 125.00), (Basis.QUANTITY, 328.57, 171.43), (Basis.WEIGHT, 344.44, 155.56),
     (Basis.VOLUME, 309.09, 190.91)],
)  # fmt: skip
def test_freight_is_shared_by_value_quantity_weight_or_volume(
    warehouse: Warehouse, two_receipts: tuple, basis: Basis, heavy: float, bulky: float
) -> None:
    land(warehouse, "100", basis, *two_receipts)
    found = {item: round(value, 2) for item, (_, value) in values(warehouse).items()}
    assert found == {"HEAVY": heavy, "BULKY": bulky}
    assert warehouse.accounts() == {"goods": 500.00, "grni": -400.00, "landed_clearing": -100.00}


def test_the_share_of_goods_that_are_gone_goes_to_cost_of_goods_sold(warehouse: Warehouse) -> None:
    """given 10 @ 4.00, 6 of them sold; when 5.00 of freight come; then 2.00 stay with the goods, 3.00 go."""
    bolts = receive(warehouse, "BOLT", 10, "4.00")
    sell(warehouse, "BOLT", 6, 1)
    land(warehouse, "5", Basis.VALUE, bolts)
    assert warehouse.accounts() == {"goods": 18.00, "cogs": 27.00, "grni": -40.00, "landed_clearing": -5.00}


def test_freight_taken_back_leaves_no_trace_but_its_entries(warehouse: Warehouse) -> None:
    bolts, more = receive(warehouse, "BOLT", 3, "1.00"), receive(warehouse, "BOLT", 4, "1.00", 1)
    land(warehouse, "10", Basis.QUANTITY, bolts, more)
    land(warehouse, "-10", Basis.QUANTITY, bolts, more, at_s=200)
    assert values(warehouse) == {"BOLT": (7, 7.00)}
    assert warehouse.accounts() == {"goods": 7.00, "grni": -7.00}


def test_goods_that_do_not_say_what_they_weigh_are_named(warehouse: Warehouse) -> None:
    bolts = receive(warehouse, "BOLT", 10, "4.00")
    with pytest.raises(CannotRecord, match="row 0, by: item BOLT: expected an item with a weight"):
        land(warehouse, "5", Basis.WEIGHT, bolts)
    assert events(warehouse) == []


def test_a_cost_cannot_come_before_its_goods(warehouse: Warehouse) -> None:
    bolts = receive(warehouse, "BOLT", 10, "4.00", 50)
    with pytest.raises(CannotRecord, match="happened later than what is said of it"):
        land(warehouse, "5", Basis.VALUE, bolts, at_s=0)


# ── Costs shared by rule ──


def shared(warehouse: Warehouse, cost: SharedCost) -> list[str]:
    return share_cost(warehouse.owner, warehouse.company_id, cost, Paper(at(100)), ask()).ids


def test_a_rule_says_how_a_documents_freight_is_shared(warehouse: Warehouse, two_receipts: tuple) -> None:
    """given the rules of e-commerce (freight by volume over a document); when freight of PO-5 comes; then only its
    receipts take it, by their litres."""
    adopt_industry(warehouse.owner, warehouse.company_id, "e-commerce")
    receive(warehouse, "HEAVY", 6, "150", 2, document="PO-5")
    receive(warehouse, "BULKY", 1, "20", 3, document="PO-5")
    shared(warehouse, SharedCost("freight", micro(10), "PO-5", "e-commerce"))
    assert events(warehouse) == [("landed_cost", 4.00), ("landed_cost", 6.00)]


def test_an_industrys_own_rule_comes_before_one_for_all_and_a_higher_priority_before_both(
    warehouse: Warehouse,
) -> None:
    owner, company = warehouse.owner, warehouse.company_id
    receive(warehouse, "BOLT", 1, "9", document="PO-5")
    receive(warehouse, "LAMP", 3, "1", 1, document="PO-5")
    valuation.put_rule(owner, company, Rule("", "freight", Basis.QUANTITY, "document"))
    shared(warehouse, SharedCost("freight", micro(12), "PO-5", "retail"))
    assert events(warehouse) == [("landed_cost", 3.00), ("landed_cost", 9.00)]
    valuation.put_rule(owner, company, Rule("retail", "freight", Basis.VALUE, "document"))
    shared(warehouse, SharedCost("freight", micro(24), "PO-5", "retail"))
    assert events(warehouse)[-1] == ("landed_cost", 18.00)
    valuation.put_rule(owner, company, Rule("", "freight", Basis.QUANTITY, "document", priority=9))
    shared(warehouse, SharedCost("freight", micro(80), "PO-5", "retail"))
    assert events(warehouse)[-1] == ("landed_cost", 60.00)


def test_what_no_rule_covers_or_nothing_takes_is_said(warehouse: Warehouse) -> None:
    with pytest.raises(CannotRecord, match="cost_type: no rule says how 'freight' is shared in industry 'retail'"):
        shared(warehouse, SharedCost("freight", micro(10), "PO-5", "retail"))
    adopt_industry(warehouse.owner, warehouse.company_id, "retail")
    with pytest.raises(CannotRecord, match="receipts or open work orders of the document 'PO-5', got neither"):
        shared(warehouse, SharedCost("freight", micro(10), "PO-5", "retail"))


# ── Standards ──


def test_a_new_standard_revalues_what_is_in_stock(warehouse: Warehouse) -> None:
    """given 10 nuts at a standard of 2.00; when it becomes 2.20; then stock is 22.00, with 2.00 of revaluation."""
    add_item(warehouse, "NUT", "standard")
    for standard, when in (("2", -10), ("2.2", 50)):
        set_standards(
            warehouse.owner,
            warehouse.company_id,
            [NewStandard("NUT", micro(standard))],
            at(when),
            "STD",
            "",
            ask(),
        )
        if when < 0:
            receive(warehouse, "NUT", 10, "2")
    assert warehouse.accounts() == {"goods": 22.00, "grni": -20.00, "revaluation": -2.00}
    sell(warehouse, "NUT", 5, 60)
    assert warehouse.accounts()["cogs"] == 11.00


def test_only_an_item_at_standard_has_a_standard(warehouse: Warehouse) -> None:
    with pytest.raises(CannotRecord, match="row 0, item: BOLT is costed by fifo"):
        set_standards(warehouse.owner, warehouse.company_id, [NewStandard("BOLT", 1)], at(0), "", "", ask())


# ── Net realisable value ──


def realise(warehouse: Warehouse, item: str, unit_value: str, at_s: float = 100) -> list[str]:
    rows = [Realisable(item, micro(unit_value))]
    return write_down(warehouse.owner, warehouse.company_id, rows, at(at_s), "NRV-1", "", ask()).ids


def test_goods_that_will_bring_less_than_they_cost_are_written_down_and_back_up(warehouse: Warehouse) -> None:
    """given 10 lamps @ 30; when they will bring 24 each, later 28, later 40; then the allowance is 60, 20, nothing, and
    their cost never changes."""
    receive(warehouse, "LAMP", 10, "30")
    realise(warehouse, "LAMP", "24", 100)
    assert warehouse.accounts() == {"goods": 300.00, "grni": -300.00, "allowance": -60.00, "write_down": 60.00}
    realise(warehouse, "LAMP", "28", 200)
    assert warehouse.accounts()["allowance"] == -20.00
    assert realise(warehouse, "LAMP", "28", 250) == []
    realise(warehouse, "LAMP", "40", 300)
    assert warehouse.accounts() == {"goods": 300.00, "grni": -300.00}
    assert values(warehouse) == {"LAMP": (10, 300.00)}


def test_an_issue_takes_its_share_of_the_allowance_along(warehouse: Warehouse) -> None:
    receive(warehouse, "LAMP", 10, "30")
    realise(warehouse, "LAMP", "24")
    sell(warehouse, "LAMP", 4, 200)
    assert warehouse.accounts() == {
        "goods": 180.00, "grni": -300.00, "allowance": -36.00, "write_down": 60.00, "cogs": 96.00,
    }  # fmt: skip


def test_an_item_is_judged_by_what_was_in_stock_at_that_moment(warehouse: Warehouse) -> None:
    """given 10 lamps @ 30 at the month's end, and 10 more since; when they are judged as of the month's end; then only
    those 10 are."""
    receive(warehouse, "LAMP", 10, "30")
    receive(warehouse, "LAMP", 10, "20", 1000)
    realise(warehouse, "LAMP", "24", 500)
    assert events(warehouse) == [("write_down", 60.00)]


def test_under_us_gaap_nothing_is_written_back_up(new_warehouse: Callable[[], Warehouse]) -> None:
    warehouse = new_warehouse()
    warehouse.owner.execute("UPDATE companies SET profile = 'US_GAAP'")
    receive(warehouse, "LAMP", 10, "30")
    realise(warehouse, "LAMP", "24", 100)
    with pytest.raises(CannotRecord, match="a write-down is not taken back under US_GAAP"):
        realise(warehouse, "LAMP", "28", 200)
    assert warehouse.accounts()["allowance"] == -60.00


# ── Another method ──


def changed(
    warehouse: Warehouse, item: str, method: Method, day: date = date(2026, 9, 1), **more: int
) -> list[str]:
    change = MethodChange(item, method, day, document="POLICY-1", **more)
    return change_method(warehouse.owner, warehouse.company_id, change, ask()).ids


def august(warehouse: Warehouse) -> None:
    """In August 10 bolts @ 4.00 and 10 @ 6.00 came, 15 went: by FIFO 5 @ 6.00 are left, by average 5 @ 5.00."""
    receive(warehouse, "BOLT", 10, "4", -40 * DAY_S)
    receive(warehouse, "BOLT", 10, "6", -39 * DAY_S)
    sell(warehouse, "BOLT", 15, -38 * DAY_S)


def test_a_change_of_method_posts_what_the_new_one_would_have_made_of_the_past(warehouse: Warehouse) -> None:
    """given August; when from September on bolts are costed by moving average; then 5.00 of revaluation, and the next
    sale of one costs 5.00."""
    august(warehouse)
    changed(warehouse, "BOLT", Method.MOVING_AVERAGE)
    assert events(warehouse) == [("method_change", 1e-6), ("revaluation", -5.00)]
    assert warehouse.accounts() == {"goods": 25.00, "grni": -100.00, "cogs": 70.00, "revaluation": 5.00}
    sell(warehouse, "BOLT", 1, 10)
    assert values(warehouse) == {"BOLT": (4, 20.00)}
    assert warehouse.fetch("SELECT method FROM items WHERE code = 'BOLT'") == [("moving_average",)]
    assert warehouse.fetch("SELECT method FROM cost_pools") == [(Method.MOVING_AVERAGE,)]


def test_a_change_to_standard_cost_revalues_to_the_standard(warehouse: Warehouse) -> None:
    august(warehouse)
    changed(warehouse, "BOLT", Method.STANDARD, standard_micro=micro("5.50"))
    assert warehouse.accounts() == {"goods": 27.50, "grni": -100.00, "cogs": 70.00, "revaluation": 2.50}


def test_a_method_changes_at_the_beginning_of_an_open_period_or_not_at_all(warehouse: Warehouse) -> None:
    august(warehouse)
    with pytest.raises(CannotRecord, match="from: expected the first day of a period, got 2026-09-02"):
        changed(warehouse, "BOLT", Method.MOVING_AVERAGE, date(2026, 9, 2))
    with pytest.raises(CannotRecord, match="has not begun"):
        changed(warehouse, "BOLT", Method.MOVING_AVERAGE, date(2027, 3, 1))
    warehouse.close(202609)
    with pytest.raises(CannotRecord, match="is locked"):
        changed(warehouse, "BOLT", Method.MOVING_AVERAGE)
    assert events(warehouse) == []


def test_a_method_that_cannot_be_is_refused(warehouse: Warehouse) -> None:
    august(warehouse)
    with pytest.raises(CannotRecord, match="method: lifo is not allowed under ASBE"):
        changed(warehouse, "BOLT", Method.LIFO)
    with pytest.raises(CannotRecord, match="costed by fifo already"):
        changed(warehouse, "BOLT", Method.FIFO)
    with pytest.raises(CannotRecord, match="not tracked by lot or serial number"):
        changed(warehouse, "BOLT", Method.SPECIFIC)
    with pytest.raises(CannotRecord, match="only standard cost has a standard"):
        changed(warehouse, "BOLT", Method.MOVING_AVERAGE, standard_micro=1)
    assert warehouse.fetch("SELECT method FROM items WHERE code = 'BOLT'") == [("fifo",)]


def test_an_item_without_history_changes_its_method_without_an_entry(warehouse: Warehouse) -> None:
    assert changed(warehouse, "BOLT", Method.MOVING_AVERAGE) == []
    assert warehouse.fetch("SELECT method FROM items WHERE code = 'BOLT'") == [("moving_average",)]


def test_landed_costs_name_at_least_one_receipt(warehouse: Warehouse) -> None:
    with pytest.raises(CannotRecord, match="receipts: expected 1 … 1000, got 0"):
        land_costs(warehouse.owner, warehouse.company_id, [LandedCost((), 1, Basis.VALUE)], Paper(at(0)), ask())
