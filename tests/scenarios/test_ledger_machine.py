"""Whatever a trading house does, in whatever order: after each step every promise holds.

Hypothesis chooses what happens: goods come, go, come back and travel, late or in time, in three currencies; invoices,
entries by hand, reversals; periods are closed, locked and opened again; costs are brought to rest. After each step the
whole of `tallygate verify` is asked, what was appended stands byte by byte, and no locked period has moved.
"""

import os
import uuid
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from cloud.domain.costing.allocation import Basis
from cloud.domain.movement import MICRO, Kind
from cloud.flows.answer_once import CannotRecord
from cloud.flows.declare import CannotBook, Declared, declare_movements
from cloud.flows.ledger.close_period import CannotClose, lock, reopen, soft_close
from cloud.flows.ledger.customer_invoice import CustomerInvoice, ShipmentRow, post_customer_invoice
from cloud.flows.ledger.manual_entry import ManualEntry, ManualLine, post_manual_entry
from cloud.flows.ledger.reverse_document import reverse_document
from cloud.flows.ledger.supplier_invoice import ReceiptRow, SupplierInvoice, post_supplier_invoice
from cloud.flows.record_value_events import LandedCost, Paper, PriceCorrection, correct_prices, land_costs
from cloud.flows.recost import recost_company
from tests.late_goods import Unchanged
from tests.makers import Warehouse
from tests.papers import number_of_role, party
from tests.valuing import add_item, ask, at

EXAMPLES = int(os.environ.get("TALLYGATE_MACHINE_EXAMPLES", "6"))  # more for a longer hunt
STEPS = 14
DAY_S = 86_400
DAY = date(2026, 9, 21)
PERIODS = (202607, 202608, 202609)
RATES = {0: 1_000_000_000, 840: 7_180_000_000, 392: 47_500_000}  # the company's own, dollars, yen

PIECES = st.integers(1, 60)
PRICE = st.integers(1, 90_000_000)
DAYS_AGO = st.integers(0, 75) | st.just(0)
CURRENCY = st.sampled_from(list(RATES))
ITEM = st.sampled_from(["BOLT", "LAMP", "STEEL", "PIPE"])
CHOICE = st.integers(0, 10**6)


class LedgerMachine(RuleBasedStateMachine):
    """The books of one warehouse, and what its people remember of them."""

    make: Callable[[], Warehouse]

    @initialize()
    def open_the_books(self) -> None:
        self.house = type(self).make()
        add_item(self.house, "PIPE", "periodic_average")
        self.supplier = party(self.house, "supplier", "S-1")
        self.customer = party(self.house, "customer", "C-1")
        self.receipts: list[tuple[uuid.UUID, str, int]] = []
        self.shipments: list[tuple[uuid.UUID, str, int, int]] = []
        self.documents: list[uuid.UUID] = []
        self.step_s = 0
        self.numbers = 0
        self.before = Unchanged(self.house)
        self.locked: dict[int, list[Any]] = {}

    # ── Goods ──

    def move(
        self, kind: Kind, item: str, pieces: int, way: tuple[str, str], days_ago: int, **more: Any
    ) -> uuid.UUID | None:
        """One movement; None when it is refused."""
        self.step_s += 60
        row = Declared(
            kind, self.house.items[item], pieces * MICRO, self.house.places[way[0]], self.house.places[way[1]],
            at(self.step_s - days_ago * DAY_S), **more,
        )  # fmt: skip
        request = ask()
        try:
            answer = declare_movements(self.house.owner, self.house.company_id, [row], request.key, request.digest)
        except CannotBook:
            return None
        return uuid.UUID(answer.movement_ids[0])

    @rule(item=ITEM, pieces=PIECES, price=PRICE, days=DAYS_AGO, currency=CURRENCY)
    def receive(self, item: str, pieces: int, price: int, days: int, currency: int) -> None:
        made = self.move(
            Kind.PURCHASE_RECEIPT, item, pieces, ("SUPPLIER", "STORE"), days, price_micro=price, currency=currency,
            rate_nano=RATES[currency], party_id=self.supplier,
        )  # fmt: skip
        if made:
            self.receipts.append((made, item, currency))

    @rule(item=ITEM, pieces=PIECES, price=PRICE, days=DAYS_AGO, currency=CURRENCY)
    def ship(self, item: str, pieces: int, price: int, days: int, currency: int) -> None:
        made = self.move(
            Kind.SALES_SHIPMENT, item, pieces, ("STORE", "CUSTOMER"), days, price_micro=price, currency=currency,
            rate_nano=RATES[currency], party_id=self.customer,
        )  # fmt: skip
        if made:
            self.shipments.append((made, item, pieces, currency))

    @precondition(lambda self: self.shipments)
    @rule(which=CHOICE, days=st.integers(0, 3))
    def come_back(self, which: int, days: int) -> None:
        one, item, pieces, _ = self.shipments[which % len(self.shipments)]
        way = ("CUSTOMER", "STORE")
        self.move(Kind.CUSTOMER_RETURN, item, max(1, pieces // 3), way, days, original_id=one)

    @precondition(lambda self: self.receipts)
    @rule(which=CHOICE, pieces=st.integers(1, 5))
    def send_back(self, which: int, pieces: int) -> None:
        one, item, _ = self.receipts[which % len(self.receipts)]
        self.move(Kind.SUPPLIER_RETURN, item, pieces, ("STORE", "SUPPLIER"), 0, original_id=one)

    @rule(item=ITEM, pieces=PIECES, days=DAYS_AGO, arrives=st.booleans())
    def transfer(self, item: str, pieces: int, days: int, arrives: bool) -> None:
        self.move(Kind.TRANSFER_OUT, item, pieces, ("STORE", "IN-TRANSIT"), days)
        if arrives:
            self.move(Kind.TRANSFER_IN, item, pieces, ("IN-TRANSIT", "EAST"), max(0, days - 1))

    # ── Value ──

    @precondition(lambda self: self.receipts)
    @rule(which=CHOICE, value=st.integers(-20_000_000, 20_000_000), freight=st.booleans())
    def revalue(self, which: int, value: int, freight: bool) -> None:
        one = self.receipts[which % len(self.receipts)][0]
        house, paper = self.house, Paper(at(self.step_s + 3600), "PAPER")
        try:
            if freight:
                land_costs(
                    house.owner, house.company_id, [LandedCost((one,), value or 1, Basis.QUANTITY)], paper, ask()
                )
            else:
                correct_prices(
                    house.owner, house.company_id, [PriceCorrection(one, value_micro=value)], paper, ask()
                )
        except CannotRecord:
            pass

    @rule()
    def come_to_rest(self) -> None:
        recost_company(self.house.owner, self.house.company_id, "machine")

    # ── Papers ──

    def number(self) -> str:
        self.numbers += 1
        return f"N-{self.numbers}"

    @precondition(lambda self: self.receipts)
    @rule(which=CHOICE, price=PRICE)
    def supplier_bills(self, which: int, price: int) -> None:
        one, _, currency = self.receipts[which % len(self.receipts)]
        invoice = SupplierInvoice(
            self.supplier, self.number(), DAY, (ReceiptRow(one, price_micro=price),), currency=currency,
            rate_nano=RATES[currency] + (1_000_000 if currency else 0),
        )  # fmt: skip
        self.post(lambda: post_supplier_invoice(self.house.owner, self.house.company_id, invoice, ask()).ids)

    @precondition(lambda self: self.shipments)
    @rule(which=CHOICE)
    def bill_customer(self, which: int) -> None:
        one, _, _, currency = self.shipments[which % len(self.shipments)]
        invoice = CustomerInvoice(
            self.number(), DAY, (ShipmentRow(one),), party_id=self.customer, currency=currency,
            rate_nano=RATES[currency],
        )  # fmt: skip
        self.post(lambda: post_customer_invoice(self.house.owner, self.house.company_id, invoice, ask()).ids)

    @rule(amount=st.integers(1, 10**9), days=DAYS_AGO, control=st.booleans())
    def write_by_hand(self, amount: int, days: int, control: bool) -> None:
        roles = ("goods" if control else "loss", "bank")
        debit, credit = (number_of_role(self.house, role) for role in roles)
        entry = ManualEntry(
            self.number(),
            DAY - timedelta(days=days),
            (ManualLine(debit, amount), ManualLine(credit, -amount)),
            "by hand",
        )
        made = self.post(lambda: post_manual_entry(self.house.owner, self.house.company_id, entry, ask()).ids)
        assert not (control and made), "an account of stock took an entry by hand"

    @precondition(lambda self: self.documents)
    @rule(which=CHOICE)
    def reverse(self, which: int) -> None:
        one = self.documents[which % len(self.documents)]
        self.post(
            lambda: reverse_document(self.house.owner, self.house.company_id, one, ask(), reason="wrong").ids,
            keep=False,
        )

    def post(self, work: Callable[[], list[str]], keep: bool = True) -> bool:
        """Whether the books took it."""
        try:
            ids = work()
        except CannotRecord:
            return False
        if keep and ids:
            self.documents.append(uuid.UUID(ids[0]))
        return True

    # ── Periods ──

    @rule(period=st.sampled_from(PERIODS), step=st.sampled_from(["soft", "lock", "reopen"]))
    def close(self, period: int, step: str) -> None:
        house = self.house
        try:
            if step == "soft":
                soft_close(house.owner, house.company_id, period, by="Mei")
            elif step == "lock":
                lock(house.owner, house.company_id, period, by="Mei", reason="known", force=True)
            else:
                reopen(house.owner, house.company_id, period, by="Mei", reason="a late invoice")
        except (CannotClose, psycopg.DatabaseError):
            return

    # ── What must hold ──

    @invariant()
    def promises_hold(self) -> None:
        if not hasattr(self, "house"):
            return
        self.house.check()
        self.before.check()
        self.before = Unchanged(self.house)
        states = dict(self.house.fetch("SELECT period_id, state FROM periods WHERE state = 'locked'"))
        for period in PERIODS:
            if period in states:
                now = self.house.fetch(
                    "SELECT account_id, dimension_id, currency, lane, debit, credit FROM turnovers"
                    " WHERE period_id = %s ORDER BY 1, 2, 3, 4",
                    period,
                )
                assert self.locked.setdefault(period, now) == now


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_promise_holds_after_every_step(new_warehouse: Callable[[], Warehouse]) -> None:
    machine = type("Machine", (LedgerMachine,), {"make": staticmethod(new_warehouse)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
