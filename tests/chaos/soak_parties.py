"""Who is at the books at once in a soak: ingest workers, the API's callers, the jobs, and somebody who closes periods.

Each party does one thing after another on a connection of its own until it is told to stop. What the books refuse is
part of the play and only counted; what the database says is kept by its SQLSTATE, and what a gateway sent is sent
again, as in life.
"""

import hashlib
import itertools
import random
import threading
import time
import traceback
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg

from cloud.domain.costing.allocation import Basis
from cloud.domain.costing.methods import Method
from cloud.domain.movement import MICRO, Kind
from cloud.flows.answer_once import CannotRecord, Request
from cloud.flows.bind_tag import CannotBind, bind_tag
from cloud.flows.change_method import MethodChange, change_method
from cloud.flows.declare import CannotBook, Declared, declare_movements
from cloud.flows.keep_balances import keep_balances
from cloud.flows.ledger.close_period import CannotClose, lock, reopen, soft_close
from cloud.flows.ledger.customer_invoice import CustomerInvoice, ShipmentRow, post_customer_invoice
from cloud.flows.ledger.number_vouchers import number_vouchers
from cloud.flows.ledger.supplier_invoice import ReceiptRow, SupplierInvoice, post_supplier_invoice
from cloud.flows.production import (
    Absorbed,
    Issue,
    NoSuchOrder,
    absorb_cost,
    close_order,
    issue_components,
    receive_output,
    release_order,
)
from cloud.flows.record_batch import record_batch
from cloud.flows.record_value_events import LandedCost, Paper, PriceCorrection, correct_prices, land_costs
from cloud.flows.recost import recost_company
from cloud.flows.set_standard import NewStandard, set_standards
from cloud.flows.settle_period import CannotSettle
from cloud.flows.share_costs import SharedCost, share_cost
from cloud.flows.snapshot import keep_snapshots
from cloud.flows.write_down import Realisable, write_down
from cloud.store.production import NewOrder
from tests.chaos.soak_company import (
    ITEMS,
    LATE_DAYS,
    METHODS,
    PLACES,
    TAGS,
    UNBOUND,
    Company,
    expect,
    item_code,
    lease_of,
    next_message,
)
from tests.makers import SECOND_US, epc

CHANGING = ("fifo", "moving_average")  # methods of items that change to the other one
KINDS = (Kind.PURCHASE_RECEIPT, Kind.SALES_SHIPMENT, Kind.TRANSFER_OUT, Kind.TRANSFER_OUT)
REFUSED = (CannotRecord, CannotBook, CannotBind, CannotClose, CannotSettle, NoSuchOrder)
DEADLOCKS = ("40P01", "40001", "55P03")  # deadlock detected, serialization failure, lock not available
TOO_LATE = "TG005"  # a period closed between two looks at it: a refusal as well
SAID_MAX = 20  # what was said of errors, kept for whoever reads the end


@dataclass(slots=True)
class Counts:
    """What happened; every party has its own, so nothing is counted by two at once."""

    done: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)  # SQLSTATE of what the database ended
    said: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)  # errors that nobody reckons with

    def add(self, other: "Counts") -> None:
        self.done += other.done
        self.refused += other.refused
        self.states += other.states
        self.said = [*self.said, *other.said][:SAID_MAX]
        self.wrong += other.wrong


class Party(threading.Thread):
    """Does things until told to stop, one after another."""

    def __init__(
        self, name: str, dsn: str, stop: threading.Event, steps: Callable[["Party"], Iterator[str]]
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.counts = Counts()
        self.connection: psycopg.Connection
        self._dsn = dsn
        self._stop_asked = stop
        self._steps = steps

    def run(self) -> None:
        with psycopg.connect(self._dsn, autocommit=True, application_name=self.name) as self.connection:
            steps = self._steps(self)
            while not self._stop_asked.is_set() and next(steps, None) is not None:
                pass

    def attempt(self, name: str, work: Callable[[], object]) -> bool:
        """One thing; whether the books took it."""
        try:
            work()
        except REFUSED:
            self.counts.refused[name] += 1
        except psycopg.Error as error:
            if error.sqlstate == TOO_LATE:
                self.counts.refused[name] += 1
                return False
            self.counts.states[error.sqlstate or "lost"] += 1
            if len(self.counts.said) < SAID_MAX:
                self.counts.said.append(f"{self.name}, {name}: {error}")
            if error.sqlstate not in DEADLOCKS:
                self.counts.wrong.append(f"{self.name}, {name}: {error}")
        except Exception:  # noqa: BLE001  the edge of a thread: what is wrong is told at the end, with its place
            self.counts.wrong.append(f"{self.name}, {name}: {traceback.format_exc()}")
        else:
            self.counts.done[name] += 1
            return True
        return False


# ── Ingest workers ──────────────────────────────────────────────────────────────────────────────────


def worker(company: Company, number: int, chance: random.Random, most: int) -> Callable[[Party], Iterator[str]]:
    """Batches of one to all of its gateways' messages; what failed is sent again, and now and then what did not.

    most  movements after which it ends
    """

    def steps(party: Party) -> Iterator[str]:
        logs, sent = company.worker_gateways[number], 0
        while sent < most:
            messages = [next_message(log, chance) for log in chance.sample(logs, chance.randint(1, len(logs)))]
            if chance.random() < 0.05:
                messages += messages[:1]

            def record(messages: list = messages) -> None:  # type: ignore[type-arg]
                now_us = time.time_ns() // 1000
                record_batch(party.connection, company.company_id, messages, lease_of(number), now_us)

            while not party.attempt("batch", record):
                yield "again"
            observed = sum(len(one.decoded.movements) for one in messages if one.decoded is not None)
            party.counts.done["sightings"] += observed
            sent += observed
            yield "batch"

    return steps


# ── The API's callers ───────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class Caller:
    """One who asks the API for this and that."""

    company: Company
    name: str
    chance: random.Random
    number: Iterator[int] = field(default_factory=itertools.count)
    orders: list[str] = field(default_factory=list)

    def steps(self, party: Party) -> Iterator[str]:
        """Whatever comes to mind, goods most of all."""
        asked: list[tuple[int, str, Callable[[psycopg.Connection], object]]] = [
            (12, "declare", self.declare), (4, "correct prices", self.correct), (4, "land costs", self.land),
            (3, "set standards", self.standards), (3, "write down", self.write_down), (3, "bind a tag", self.bind),
            (3, "supplier invoice", self.bill), (3, "customer invoice", self.charge), (4, "work order", self.produce),
            (1, "change a method", self.change_method), (2, "share a cost", self.share),
        ]  # fmt: skip
        weights = [weight for weight, _, _ in asked]
        while True:
            [(_, name, work)] = self.chance.choices(asked, weights)
            party.attempt(name, lambda work=work: work(party.connection))  # type: ignore[misc]
            yield name

    def ask(self) -> Request:
        key = f"{self.name}/{next(self.number)}"
        return Request(key, hashlib.sha256(key.encode()).digest(), self.name)

    def some_items(self) -> list[str]:
        """A few items in any order."""
        return self.chance.sample(sorted(self.company.items), self.chance.randint(1, 5))

    def when_us(self) -> int:
        late_s = (
            self.chance.randrange(LATE_DAYS * 86_400) if self.chance.random() < 0.2 else self.chance.randrange(600)
        )
        return time.time_ns() // 1000 - late_s * SECOND_US

    def declare(self, connection: psycopg.Connection) -> None:
        """Purchases, sales, moves between pools and back, of items in any order."""
        rows, kinds = [], []
        for item in self.some_items():
            kind = self.chance.choice(KINDS)
            source, target = self.chance.sample(PLACES, 2)
            if kind is Kind.PURCHASE_RECEIPT:
                source = "SUPPLIER"
            elif kind is Kind.SALES_SHIPMENT:
                target = "CUSTOMER"
            places = self.company.places
            price = self.chance.randint(0, 9_000_000) if kind is Kind.PURCHASE_RECEIPT else None
            rows.append(
                Declared(
                    kind, self.company.items[item], self.chance.randint(1, 40) * MICRO, places[source], places[target],
                    self.when_us(), price_micro=price, document=f"PO-{self.chance.randrange(5)}",
                )
            )  # fmt: skip
            kinds.append(kind)
        request = self.ask()
        ids = declare_movements(
            connection, self.company.company_id, rows, request.key, request.digest
        ).movement_ids
        for kind, one in zip(kinds, ids, strict=True):
            if kind is Kind.PURCHASE_RECEIPT:
                self.company.receipts.append(uuid.UUID(one))
            elif kind is Kind.SALES_SHIPMENT:
                self.company.shipments.append(uuid.UUID(one))

    def _some(self, ids: list[uuid.UUID]) -> list[uuid.UUID]:
        newest = ids[-40:]
        if not newest:
            raise CannotRecord("nothing there yet")
        return self.chance.sample(newest, min(len(newest), self.chance.randint(1, 4)))

    def correct(self, connection: psycopg.Connection) -> None:
        corrections = [
            PriceCorrection(one, price_micro=self.chance.randint(0, 9_000_000))
            for one in self._some(self.company.receipts)
        ]
        paper = Paper(time.time_ns() // 1000, "INV")
        correct_prices(connection, self.company.company_id, corrections, paper, self.ask())

    def land(self, connection: psycopg.Connection) -> None:
        receipts = tuple(self._some(self.company.receipts))
        cost = LandedCost(receipts, self.chance.randint(1, 10**8), Basis.QUANTITY)
        land_costs(
            connection, self.company.company_id, [cost], Paper(time.time_ns() // 1000, "FREIGHT"), self.ask()
        )

    def share(self, connection: psycopg.Connection) -> None:
        cost = SharedCost(
            "freight", self.chance.randint(1, 10**8), f"PO-{self.chance.randrange(5)}", basis=Basis.QUANTITY,
            dimension="document",
        )  # fmt: skip
        share_cost(connection, self.company.company_id, cost, Paper(time.time_ns() // 1000, "SHARED"), self.ask())

    def standards(self, connection: psycopg.Connection) -> None:
        at_standard = [item_code(n) for n in range(ITEMS) if METHODS[n % len(METHODS)] == "standard"]
        chosen = self.chance.sample(at_standard, self.chance.randint(1, len(at_standard)))
        news = [NewStandard(one, self.chance.randint(1, 9_000_000)) for one in chosen]
        set_standards(connection, self.company.company_id, news, time.time_ns() // 1000, "", "soak", self.ask())

    def write_down(self, connection: psycopg.Connection) -> None:
        values = [Realisable(one, self.chance.randint(0, 9_000_000)) for one in self.some_items()]
        write_down(connection, self.company.company_id, values, time.time_ns() // 1000, "", "soak", self.ask())

    def change_method(self, connection: psycopg.Connection) -> None:
        method = self.chance.choice((Method.FIFO, Method.MOVING_AVERAGE))
        changing = self.chance.choice([n for n in range(ITEMS) if METHODS[n % len(METHODS)] in CHANGING])
        today = datetime.now(ZoneInfo("Asia/Shanghai")).date()
        change = MethodChange(item_code(changing), method, today.replace(day=1))
        change_method(connection, self.company.company_id, change, self.ask())

    def bind(self, connection: psycopg.Connection) -> None:
        tag = epc(TAGS + self.chance.randrange(UNBOUND))
        bind_tag(
            connection, self.company.company_id, tag, self.company.items[self.company.item(self.chance)], MICRO
        )

    def bill(self, connection: psycopg.Connection) -> None:
        rows = tuple(
            ReceiptRow(one, price_micro=self.chance.randint(0, 9_000_000))
            for one in self._some(self.company.receipts)
        )
        number = f"B-{self.name}-{next(self.number)}"
        invoice = SupplierInvoice(self.company.parties["supplier"], number, _today(), rows)
        post_supplier_invoice(connection, self.company.company_id, invoice, self.ask())

    def charge(self, connection: psycopg.Connection) -> None:
        rows = tuple(
            ShipmentRow(one, price_micro=self.chance.randint(1, 9_000_000))
            for one in self._some(self.company.shipments)
        )
        invoice = CustomerInvoice(
            f"C-{self.name}-{next(self.number)}", _today(), rows, party_id=self.company.parties["customer"]
        )
        post_customer_invoice(connection, self.company.company_id, invoice, self.ask())

    def produce(self, connection: psycopg.Connection) -> None:
        """One step of an order that anybody may work on."""
        company_id, at_us = self.company.company_id, time.time_ns() // 1000
        step = self.chance.randrange(5) if self.orders else 0
        if step == 0:
            output, *components = self.chance.sample(sorted(self.company.items), 3)
            code = f"W-{self.name}-{next(self.number)}"
            order = NewOrder(
                code, self.company.items[output], self.company.places["MAIN"], 10 * MICRO, f"L-{code}", "PRESS",
                {self.company.items[one]: MICRO for one in components},
            )  # fmt: skip
            release_order(connection, company_id, order, at_us, self.ask())
            self.orders.append(code)
            return
        code = self.chance.choice(self.orders)
        if step == 1:
            issues = [
                Issue(self.company.items[one], MICRO, self.company.places["STORE"]) for one in self.some_items()
            ]
            issue_components(connection, company_id, code, issues, at_us, self.ask())
        elif step == 2:
            absorb_cost(connection, company_id, code, [Absorbed(Kind.LABOUR, 5_000_000)], at_us, self.ask())
        elif step == 3:
            store = self.company.places["STORE"]
            receive_output(connection, company_id, code, 3 * MICRO, store, at_us, self.ask(), backflush_from=store)
        else:
            self.orders.remove(code)
            close_order(connection, company_id, code, at_us, self.ask())


# ── Jobs and the close ──────────────────────────────────────────────────────────────────────────────


def jobs(company: Company, chance: random.Random) -> Callable[[Party], Iterator[str]]:
    """What the jobs do, without the rest that they take between."""

    def steps(party: Party) -> Iterator[str]:
        company_id = company.company_id
        while True:
            work: list[tuple[str, Callable[[], object]]] = [
                ("re-cost", lambda: recost_company(party.connection, company_id, party.name, every=500)),
                ("number vouchers", lambda: number_vouchers(party.connection, company_id)),
                ("keep balances", lambda: keep_balances(party.connection, company_id)),
                (
                    "keep snapshots",
                    lambda: keep_snapshots(
                        party.connection, company_id, [chance.choice(sorted(company.items.values()))]
                    ),
                ),
            ]
            name, do = chance.choice(work)
            party.attempt(name, do)
            yield name

    return steps


def closer(company: Company, chance: random.Random, pause: threading.Event) -> Callable[[Party], Iterator[str]]:
    """Locks a month of long ago; closes last month with all its steps, and opens it again. `pause` ends its rests."""
    period, old = _months_ago(1), _months_ago(3)

    def steps(party: Party) -> Iterator[str]:
        company_id, by = company.company_id, party.name
        party.attempt("soft-close", lambda: soft_close(party.connection, company_id, old, by=by))
        yield "soft-close"
        party.attempt("lock", lambda: lock(party.connection, company_id, old, by=by, reason="soak", force=True))
        yield "lock"
        while True:
            party.attempt("soft-close", lambda: soft_close(party.connection, company_id, period, by=by))
            yield "soft-close"
            pause.wait(chance.uniform(0.1, 2.0))
            party.attempt("reopen", lambda: reopen(party.connection, company_id, period, by=by, reason="soak"))
            yield "reopen"
            pause.wait(chance.uniform(0.1, 1.0))

    return steps


def registrar(company: Company, chance: random.Random, pause: threading.Event) -> Callable[[Party], Iterator[str]]:
    """Adds to what is expected, a little at a time, so that expectations are filled and others come."""

    def steps(party: Party) -> Iterator[str]:
        while True:
            first = chance.randrange(ITEMS)
            party.attempt(
                "expect",
                lambda first=first: expect(  # type: ignore[misc]
                    party.connection, company.company_id, range(first, first + 1), chance.randint(1, 30) * MICRO
                ),
            )
            yield "expect"
            pause.wait(chance.uniform(0.1, 0.5))

    return steps


def _today() -> date:
    return datetime.now(UTC).date()


def _months_ago(count: int) -> int:
    """The period (yyyymm) so many months before today's."""
    day = datetime.now(ZoneInfo("Asia/Shanghai")).date()
    for _ in range(count):
        day = day.replace(day=1) - timedelta(days=1)
    return day.year * 100 + day.month
