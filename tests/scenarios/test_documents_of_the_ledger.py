"""Stories of entries by hand, what takes them back, clearings, payments and goods sold within the group."""

from dataclasses import replace
from datetime import date
from uuid import UUID, uuid4

import pytest

from cloud.domain.movement import Kind
from cloud.flows.answer_once import CannotRecord, Request
from cloud.flows.declare import RequestConflict
from cloud.flows.ledger.clear_items import Clearing, ClearingRow, post_clearing
from cloud.flows.ledger.manual_entry import ManualEntry, ManualLine, post_manual_entry
from cloud.flows.ledger.pay_items import Allocation, Charge, Payment, post_payment
from cloud.flows.ledger.reverse_document import NoEntry, reverse_document
from cloud.flows.ledger.trade_in_group import (
    GroupReceipt,
    GroupRow,
    GroupShipment,
    receive_from_group,
    ship_to_group,
    trade_in_group,
)
from cloud.flows.set_up_company import apply_description
from cloud.store.master import item_ids, locations
from tests.makers import DESCRIPTION, Warehouse
from tests.papers import (
    DAY,
    KWD,
    USD,
    bill,
    charge,
    entry,
    minor,
    number_of_role,
    of,
    open_items,
    party,
    rate,
    sold,
)
from tests.valuing import ask, at, micro, move, receive


def account(warehouse: Warehouse, number: str, *needs: tuple[str, str], **columns: object) -> str:
    """An account of the company's own, with what its lines must or may name; its number."""
    names = ["company_id", "number", "name_zh", "name_en", "is_control", *columns]
    marks = ", ".join(["%s"] * len(names))
    warehouse.owner.execute(
        f"INSERT INTO accounts ({', '.join(names)}) VALUES ({marks})",  # noqa: S608  names of ours
        [warehouse.company_id, number, number, number, False, *columns.values()],
    )
    for code, need in needs:
        warehouse.owner.execute(
            "INSERT INTO account_dimensions SELECT %s, account_id, type_id, %s FROM accounts a"
            " JOIN dimension_types t USING (company_id) WHERE a.number = %s AND t.code = %s",
            [warehouse.company_id, need, number, code],
        )
    return number


def centre(warehouse: Warehouse, code: str) -> dict[str, str]:
    """A cost centre."""
    warehouse.owner.execute(
        "INSERT INTO dimension_values (company_id, type_id, code) SELECT company_id, type_id, %s FROM dimension_types"
        " WHERE code = 'cost_centre' AND company_id = %s ON CONFLICT DO NOTHING",
        [code, warehouse.company_id],
    )
    return {"cost_centre": code}


def by_hand(warehouse: Warehouse, *lines: ManualLine, request: Request | None = None, **more: object) -> UUID:
    """A manual entry; its id."""
    made = ManualEntry(
        str(more.pop("number", "M-1")), more.pop("day", DAY), lines, str(more.pop("narration", "accrued rent")), **more  # type: ignore[arg-type]
    )  # fmt: skip
    return UUID(post_manual_entry(warehouse.owner, warehouse.company_id, made, request or ask(made)).ids[0])


def pay(warehouse: Warehouse, *allocations: Allocation, **more: object) -> UUID:
    """A payment; its id."""
    made = Payment(str(more.pop("number", "P-1")), more.pop("day", DAY), allocations, **more)  # type: ignore[arg-type]
    return UUID(post_payment(warehouse.owner, warehouse.company_id, made, ask(made)).ids[0])


def approve(warehouse: Warehouse, *rows: ClearingRow, **more: object) -> UUID:
    """A clearing; its id."""
    made = Clearing("CL-1", DAY, rows, **more)  # type: ignore[arg-type]
    return UUID(post_clearing(warehouse.owner, warehouse.company_id, made, ask(made)).ids[0])


def back(warehouse: Warehouse, source: UUID, **more: object) -> UUID:
    """The reversal of an entry; its id."""
    return UUID(reverse_document(warehouse.owner, warehouse.company_id, source, ask(), **more).ids[0])  # type: ignore[arg-type]


# ── By hand ──


@pytest.mark.editions
def test_an_entry_by_hand_names_its_dimensions_and_is_posted_once(warehouse: Warehouse) -> None:
    rent = account(warehouse, "X6602", ("cost_centre", "required"))
    bank = number_of_role(warehouse, "bank")
    lines = (
        ManualLine(rent, minor("300"), dimensions=centre(warehouse, "A1")),
        ManualLine(rent, minor("100"), dimensions=centre(warehouse, "B2")),
        ManualLine(bank, -minor("400")),
    )
    request = ask(lines, "rent-september")
    made = by_hand(warehouse, *lines, request=request)
    assert by_hand(warehouse, *lines, request=request) == made
    with pytest.raises(RequestConflict):
        by_hand(warehouse, *lines, request=ask("other", "rent-september"))
    rows = warehouse.fetch(
        "SELECT s.code, l.amount FROM journal_lines l JOIN dimension_sets s USING (company_id, dimension_id) ORDER BY 1"
    )
    assert rows == [("cost_centre=A1", 30000), ("cost_centre=B2", 10000)]
    [(origin, kind, said, by)] = warehouse.fetch(
        "SELECT e.origin, e.kind, d.narration, d.recorded_by FROM journal_entries e"
        " JOIN ledger_documents d ON d.document_id = e.source_id"
    )
    assert (origin, Kind(kind), said, by) == (2, Kind.MANUAL, "accrued rent", "Mei")


def test_an_entry_by_hand_may_be_in_another_currency(warehouse: Warehouse) -> None:
    """Three parts of 10.00 dinars at 23.3333, each rounded by itself, still balance."""
    cost, bank = account(warehouse, "X6601"), number_of_role(warehouse, "bank")
    parts = [minor("3.333", KWD), minor("3.333", KWD), minor("3.334", KWD)]
    made = by_hand(
        warehouse, *(ManualLine(cost, part) for part in parts), ManualLine(bank, -minor("10", KWD)), currency=KWD,
        rate_nano=rate("23.3333"),
    )  # fmt: skip
    assert entry(warehouse, made) == [
        "Dr X6601 77.77 (KWD 3.333)", "Dr X6601 77.77 (KWD 3.333)", "Dr X6601 77.79 (KWD 3.334)",
        "Cr bank 233.33 (KWD 10.000)",
    ]  # fmt: skip


def test_what_an_entry_by_hand_may_not_say_is_told_by_line_and_field(warehouse: Warehouse) -> None:
    cost = account(warehouse, "X6602", ("cost_centre", "required"))
    plain = account(warehouse, "X6603")
    header = account(warehouse, "X66", is_postable=False)
    old = account(warehouse, "X6604", valid_to=date(2026, 1, 31))
    goods = number_of_role(warehouse, "goods")
    a1 = centre(warehouse, "A1")
    other = ManualLine(plain, -100)
    for line, said in (
        (ManualLine("NONE", 100), "row 0, account: there is no account 'NONE'"),
        (ManualLine(goods, 100), f"row 0, account: account {goods} is a control account"),
        (ManualLine(header, 100), "row 0, account: account X66 sums its sub-accounts"),
        (ManualLine(old, 100), "row 0, account: account X6604 is valid from .* to 2026-01-31, not on 2026-09-21"),
        (ManualLine(cost, 100), "row 0, dimensions: account X6602 asks for a cost_centre"),
        (ManualLine(plain, 100, dimensions=a1), "row 0, dimensions: account X6603 takes no cost_centre"),
        (
            ManualLine(cost, 100, dimensions={"cost_centre": "Z9"}),
            "row 0, dimensions: there is no cost_centre 'Z9'",
        ),
        (ManualLine(plain, 101), "lines: the lines do not balance: they sum to 1, not 0"),
        (ManualLine(plain, 0), "row 0, amount: expected an amount, got 0"),
    ):
        with pytest.raises(CannotRecord, match=said):
            by_hand(warehouse, line, other)
    with pytest.raises(CannotRecord, match="lines: expected 2 … 1000 lines, got 1"):
        by_hand(warehouse, other)
    with pytest.raises(CannotRecord, match="narration: expected what the entry is for"):
        by_hand(warehouse, ManualLine(plain, 100), other, narration=" ")
    with pytest.raises(CannotRecord, match="rate: no rate of USD is known"):
        by_hand(warehouse, ManualLine(plain, 100), other, currency=USD)
    assert warehouse.fetch("SELECT count(*) FROM journal_entries") == [(0,)]


def test_closed_periods_take_no_entries_by_hand_but_from_those_who_may(warehouse: Warehouse) -> None:
    plain = account(warehouse, "X6603")
    lines = (ManualLine(plain, 100), ManualLine(plain, -100))
    warehouse.close(202608, "soft_closed")
    with pytest.raises(CannotRecord, match="posting_date: 2026-08-31: its period is soft_closed"):
        by_hand(warehouse, *lines, day=date(2026, 8, 31))
    may = Request("closing", b"\0" * 32, "Mei", posts_soft_closed=True)
    by_hand(warehouse, *lines, day=date(2026, 8, 31), request=may)
    warehouse.close(202607)
    late = Request("too late", b"\0" * 32, "Mei", posts_soft_closed=True)
    with pytest.raises(CannotRecord, match="posting_date: 2026-07-31: its period is locked"):
        by_hand(warehouse, *lines, day=date(2026, 7, 31), request=late)
    with pytest.raises(CannotRecord, match="posting_date: 2066-01-01: no period covers it"):
        by_hand(warehouse, *lines, day=date(2066, 1, 1))
    by_hand(warehouse, *lines, day=date(2026, 7, 31), posting_day=DAY)
    assert warehouse.fetch("SELECT posting_date FROM journal_entries ORDER BY 1") == [(date(2026, 8, 31),), (DAY,)]


def test_an_entry_is_taken_back_once_on_its_own_day_or_another(warehouse: Warehouse) -> None:
    plain = account(warehouse, "X6603")
    first, second = (
        by_hand(
            warehouse, ManualLine(plain, 100), ManualLine(number_of_role(warehouse, "bank"), -100), number=number
        )
        for number in ("M-1", "M-2")
    )
    reversal = back(warehouse, first)
    back(warehouse, second, posting_day=date(2026, 10, 1), reason="wrong month")
    assert entry(warehouse, reversal) == ["Dr bank 1.00", "Cr X6603 1.00"]
    assert warehouse.fetch(
        "SELECT kind, posting_date, corrects FROM journal_entries WHERE corrects IS NOT NULL ORDER BY 2"
    ) == [(56, DAY, first), (56, date(2026, 10, 1), second)]
    with pytest.raises(CannotRecord, match=f"{first} was taken back before, by {reversal}"):
        back(warehouse, first)
    with pytest.raises(CannotRecord, match=f"{reversal} takes {first} back: post that anew instead"):
        back(warehouse, reversal)
    with pytest.raises(NoEntry):
        back(warehouse, uuid4())
    assert warehouse.accounts() == {}


def test_an_entry_of_a_movement_is_not_taken_back_by_hand(warehouse: Warehouse) -> None:
    bolts = receive(warehouse, "BOLT", 10, "4.00")
    with pytest.raises(CannotRecord, match=f"{bolts} is the entry of a purchase_receipt: correct the movement"):
        back(warehouse, bolts)


# ── Clearings ──


@pytest.mark.editions
def test_what_was_counted_is_cleared_when_it_is_approved(warehouse: Warehouse) -> None:
    """given 2 bolts too many and 3 lamps too few; when the count is approved; then the gain is income, the loss an
    expense, part of it of another cause, and clarification is at nothing."""
    receive(warehouse, "BOLT", 10, "4.00")
    receive(warehouse, "LAMP", 10, "20.00")
    gain = move(warehouse, Kind.COUNT_GAIN, "BOLT", 2, "WORLD", "STORE", 10)
    lost = move(warehouse, Kind.COUNT_LOSS, "LAMP", 3, "STORE", "WORLD", 11)
    assert open_items(warehouse)["clarification", gain] == (-8.00, 0)
    made = approve(warehouse, ClearingRow(gain), ClearingRow(lost, minor("20"), "loss"))
    assert entry(warehouse, made) == [
        "Dr clarification 8.00", "Dr loss 20.00", "Cr goods_gain 8.00", "Cr clarification 20.00",
    ]  # fmt: skip
    assert open_items(warehouse)["clarification", lost] == (40.00, 0)
    with pytest.raises(
        CannotRecord, match="row 0, amount: expected at most 4000 minor units, which are open, got 4001"
    ):
        approve(warehouse, ClearingRow(lost, 4001))
    approve(warehouse, ClearingRow(lost))
    assert "clarification" not in warehouse.accounts()
    assert warehouse.accounts()["admin_loss"] == 40.00
    with pytest.raises(CannotRecord, match=r"row 0, item: nothing of .* is open"):
        approve(warehouse, ClearingRow(lost))
    with pytest.raises(CannotRecord, match=r"row 0, item: nothing of .* is open"):
        approve(warehouse, ClearingRow(uuid4()))


def test_a_loss_here_and_a_gain_there_were_the_same_goods(warehouse: Warehouse) -> None:
    receive(warehouse, "BOLT", 10, "4.00")
    lost = move(warehouse, Kind.COUNT_LOSS, "BOLT", 2, "STORE", "WORLD", 10)
    found = move(warehouse, Kind.COUNT_GAIN, "BOLT", 2, "WORLD", "YARD", 11)
    with pytest.raises(CannotRecord, match="rows: items that offset each other must come to 0, got -800"):
        approve(warehouse, ClearingRow(lost, reason="offset"))
    made = approve(warehouse, ClearingRow(lost, reason="offset"), ClearingRow(found, reason="offset"))
    assert entry(warehouse, made) == ["Dr clarification 8.00", "Cr clarification 8.00"]
    assert not [role for role, _ in open_items(warehouse) if role == "clarification"]
    back(warehouse, made)
    assert open_items(warehouse)["clarification", lost] == (8.00, 0)


def test_a_clearing_may_name_an_account_and_its_dimensions(warehouse: Warehouse) -> None:
    receive(warehouse, "BOLT", 10, "4.00")
    lost = move(warehouse, Kind.COUNT_LOSS, "BOLT", 2, "STORE", "WORLD", 10)
    cost = account(warehouse, "X6602", ("cost_centre", "required"))
    for row, said in (
        (ClearingRow(lost, account=cost), "row 0, dimensions: account X6602 asks for a cost_centre"),
        (ClearingRow(lost, account=number_of_role(warehouse, "grni")), "row 0, account: .* is a control account"),
        (ClearingRow(lost, reason="theft"), "row 0, reason: expected one of"),
    ):
        with pytest.raises(CannotRecord, match=said):
            approve(warehouse, row)
    made = approve(warehouse, ClearingRow(lost, account=cost, dimensions=centre(warehouse, "A1")))
    assert entry(warehouse, made) == ["Dr X6602 8.00", "Cr clarification 8.00"]


# ── Payments ──


def owed(warehouse: Warehouse, price: str, pieces: str = "10", number: str = "INV-1", **foreign: int) -> UUID:
    """An invoice of a supplier that is open."""
    terms = {"rate_nano": foreign["rate_nano"], "currency": foreign["currency"]} if foreign else {}
    bolts = receive(warehouse, "BOLT", pieces, price, **terms)
    return bill(warehouse, number, of(bolts, price), **terms)


@pytest.mark.editions
def test_a_payment_settles_what_it_names_and_realises_the_exchange_difference(warehouse: Warehouse) -> None:
    """given 30.00 dollars owed at 7.20; when 10.00 are paid at 7.00 and the rest at 7.35; then 2.00 were gained, 3.00
    lost, and nothing is owed."""
    invoice = owed(warehouse, "3.00", rate_nano=rate("7.20"), currency=USD)
    first = pay(warehouse, Allocation(invoice, minor("10", USD)), currency=USD, rate_nano=rate("7.00"))
    assert entry(warehouse, first) == [
        "Dr payables 72.00 (USD 10.00)", "Cr bank 70.00 (USD 10.00)", "Cr exchange_gain 2.00",
    ]  # fmt: skip
    assert open_items(warehouse)["payables", invoice] == (-144.00, -20.00)
    rest = pay(warehouse, Allocation(invoice), currency=USD, rate_nano=rate("7.35"), number="P-2")
    assert entry(warehouse, rest) == [
        "Dr payables 144.00 (USD 20.00)", "Dr exchange_loss 3.00", "Cr bank 147.00 (USD 20.00)",
    ]  # fmt: skip
    assert open_items(warehouse) == {}
    realised = "SELECT (details ->> 'realised')::int FROM ledger_documents WHERE kind = 52 ORDER BY number"
    assert warehouse.fetch(realised) == [(-200,), (300,)]


def test_what_was_paid_keeps_its_invoice_from_being_taken_back(warehouse: Warehouse) -> None:
    invoice = owed(warehouse, "4.00")
    payment = pay(warehouse, Allocation(invoice))
    with pytest.raises(CannotRecord, match=f"its item on account .* was cleared by {payment}: reverse that first"):
        back(warehouse, invoice)
    back(warehouse, payment)
    back(warehouse, invoice)
    assert warehouse.accounts() == {"goods": 40.00, "grni": -40.00}


def test_money_in_another_currency_settles_at_what_the_bank_says(warehouse: Warehouse) -> None:
    invoice = owed(warehouse, "3.00", rate_nano=rate("7.20"), currency=USD)
    with pytest.raises(
        CannotRecord, match="amount: the item is in USD, the money in CNY: say the payment's amount"
    ):
        pay(warehouse, Allocation(invoice))
    made = pay(warehouse, Allocation(invoice), amount=-minor("214.50"))
    assert entry(warehouse, made) == [
        "Dr payables 216.00 (USD 30.00)", "Cr bank 214.50", "Cr exchange_gain 1.50 (USD 30.00)",
    ]  # fmt: skip
    assert open_items(warehouse) == {}


def test_money_that_no_invoice_takes_is_an_advance_until_one_does(warehouse: Warehouse) -> None:
    """given 100.00 from a customer who owes 36.00; then 64.00 are an advance, and the next invoice takes of it."""
    receive(warehouse, "BOLT", 10, "4.00")
    shop = party(warehouse, "customer", "SHOP")
    sales = [
        move(warehouse, Kind.SALES_SHIPMENT, "BOLT", 4, "STORE", "CUSTOMER", 10 + n, price_micro=micro("9.00"),
             party_id=shop) for n in range(2)
    ]  # fmt: skip
    first = charge(warehouse, "R-1", sold(sales[0]))
    money = pay(warehouse, Allocation(first), amount=minor("100"), party_id=shop)
    assert entry(warehouse, money) == ["Dr bank 100.00", "Cr receivables 36.00", "Cr receivables 64.00"]
    assert open_items(warehouse)["receivables", money] == (-64.00, 0)
    second = charge(warehouse, "R-2", sold(sales[1]))
    netted = pay(warehouse, Allocation(second), Allocation(money, minor("36")), amount=0, number="P-2")
    assert entry(warehouse, netted) == ["Dr receivables 36.00", "Cr receivables 36.00"]
    assert {key: is_open for key, is_open in open_items(warehouse).items() if key[0] == "receivables"} == {
        ("receivables", money): (-28.00, 0)
    }


def test_what_the_bank_keeps_is_a_charge(warehouse: Warehouse) -> None:
    invoice = owed(warehouse, "4.00")
    fees = account(warehouse, "X660303")
    made = pay(warehouse, Allocation(invoice), charges=(Charge(fees, minor("0.50")),))
    assert entry(warehouse, made) == ["Dr payables 40.00", "Dr X660303 0.50", "Cr bank 40.50"]
    with pytest.raises(CannotRecord, match=r"allocations/0/item: nothing of .* is open"):
        pay(warehouse, Allocation(invoice))
    other = owed(warehouse, "4.00", number="INV-2")
    with pytest.raises(CannotRecord, match="allocations/0/amount: expected at most 4000 minor units of CNY"):
        pay(warehouse, Allocation(other, 4001))


# ── Within the group ──


@pytest.fixture
def sister(warehouse: Warehouse) -> Warehouse:
    """Another company of the group in the same database, with the same items."""
    settings = replace(DESCRIPTION.settings, code="sister", name="Sister", currency="USD")
    description = replace(DESCRIPTION, settings=settings, gates=(), gateways=())
    company_id = apply_description(warehouse.owner, description)
    places = {code: place.location_id for code, place in locations(warehouse.owner, company_id).items()}
    items = item_ids(warehouse.owner, company_id)
    return Warehouse(warehouse.owner, warehouse.ingest, company_id, places, items, warehouse.gateways)


def by_role(company: Warehouse) -> dict[str, float]:
    """Balances of one company of several."""
    rows = company.fetch(
        "SELECT role, balance FROM account_balances WHERE company_id = %s AND balance <> 0", company.company_id
    )
    return {role: balance / 100 for role, balance in rows}


@pytest.mark.editions
def test_goods_sold_within_the_group_are_a_sale_here_and_stock_there(
    warehouse: Warehouse, sister: Warehouse
) -> None:
    """given 10 bolts @ 4.00; when 6 go to the sister at 1.00 dollar, 7.10 here; then a receivable of 42.60 stands
    against its payable of 6.00 dollars, both under one number; asked again, nothing happens twice."""
    receive(warehouse, "BOLT", 10, "4.00")
    shipment = GroupShipment(
        "sister", "IC-1", (GroupRow(warehouse.items["BOLT"], micro("6"), micro("1"), warehouse.places["STORE"]),),
        warehouse.places["CUSTOMER"], at(60), USD, rate("7.10"),
    )  # fmt: skip
    receipt = GroupReceipt("demo", "IC-1", sister.places["SUPPLIER"], sister.places["STORE"], at(120))
    arguments = (warehouse.owner, warehouse.company_id, shipment, sister.company_id, receipt, ask("IC-1", "ic-1"))
    traded = trade_in_group(*arguments)
    again = trade_in_group(*arguments)
    assert again.shipped.replayed
    assert again.received.replayed
    document, shipped = traded.shipped.ids
    assert entry(warehouse, document) == ["Dr group_receivable 42.60 (USD 6.00)", "Cr revenue 42.60 (USD 6.00)"]
    assert entry(warehouse, shipped) == ["Dr cogs 24.00", "Cr goods 24.00"]
    assert by_role(sister) == {"goods": 6.00, "group_payable": -6.00}
    assert by_role(warehouse) == {
        "goods": 16.00, "grni": -40.00, "cogs": 24.00, "group_receivable": 42.60, "revenue": -42.60,
    }  # fmt: skip
    assert warehouse.fetch(
        "SELECT DISTINCT document FROM movements WHERE kind IN (18, 19) UNION SELECT number FROM ledger_documents"
    ) == [("IC-1",)]


def test_the_halves_of_a_trade_may_come_apart_and_each_is_done_once(
    warehouse: Warehouse, sister: Warehouse
) -> None:
    receive(warehouse, "BOLT", 10, "4.00")
    row = GroupRow(warehouse.items["BOLT"], micro("6"), micro("5"), warehouse.places["STORE"])
    shipment = GroupShipment("sister", "IC-1", (row,), warehouse.places["CUSTOMER"], at(60))
    receipt = GroupReceipt(
        "demo", "IC-1", sister.places["SUPPLIER"], sister.places["STORE"], at(120), rate("0.14")
    )
    with pytest.raises(CannotRecord, match="number: 'demo' shipped nothing to sister under 'IC-1'"):
        receive_from_group(sister.owner, sister.company_id, receipt, ask())
    ship_to_group(warehouse.owner, warehouse.company_id, shipment, ask())
    with pytest.raises(CannotRecord, match="number: the number 'IC-1' was posted before"):
        ship_to_group(warehouse.owner, warehouse.company_id, shipment, ask())
    [received] = receive_from_group(sister.owner, sister.company_id, receipt, ask()).ids
    assert entry(sister, received) == ["Dr goods 4.20 (CNY 30.00)", "Cr group_payable 4.20 (CNY 30.00)"]
    with pytest.raises(CannotRecord, match="number: 'IC-1' of demo was received before"):
        receive_from_group(sister.owner, sister.company_id, receipt, ask())
    with pytest.raises(CannotRecord, match="buyer: there is no other company 'nobody'"):
        ship_to_group(
            warehouse.owner,
            warehouse.company_id,
            GroupShipment("nobody", "IC-2", (row,), shipment.to_id, at(61)),
            ask(),
        )
