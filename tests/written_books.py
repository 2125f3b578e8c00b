"""Books with rows in every table, for tests of what the database refuses and of what verify finds."""

import json
import uuid
from datetime import date
from typing import Any

import psycopg

from cloud.domain.batch import Batch
from cloud.domain.costing.allocation import Basis
from cloud.domain.currency import number_of
from cloud.domain.movement import MICRO, Kind
from cloud.flows.answer_once import answer_once
from cloud.flows.declare import Declared, declare_movements
from cloud.flows.ledger.post_document import Document, DocumentLine, post_documents
from cloud.flows.write_down import Realisable, write_down
from tests.makers import NOON_US, SECOND_US, GatewayLog, Warehouse, append_value_event
from tests.valuing import add_item, ask, at, land, micro, receive, sell


def play(warehouse: Warehouse) -> None:
    """Receipts in two currencies, a sale, a transfer, a shortage and its settlement, evidence, the unknown."""
    for number in range(1, 7):
        warehouse.tag(number, "LAMP" if number == 6 else "BOLT")
    warehouse.expect(Kind.PURCHASE_RECEIPT, "BOLT", 30, price="4.00", document="PO-1")
    warehouse.expect(Kind.PURCHASE_RECEIPT, "LAMP", 10, price="0.333", currency="USD", rate_nano=7_123_450_000)
    warehouse.expect(Kind.SALES_SHIPMENT, "BOLT", 20, document="SO-1")
    log = warehouse.log
    for seconds, number in enumerate((1, 2, 6)):
        log.passage(f"E280{number:020X}", "in", seconds)
    log.passage(f"E280{1:020X}", "in", 4, gate="dock-2", confidence=0.5)  # evidence
    log.passage(f"E280{1:020X}", "out", 600)
    warehouse.record(log.message())
    log.passage(f"E280{3:020X}", "out", 700)  # nobody saw it come: 10 of the remaining
    log.passage(f"E280{4:020X}", "in", 900)
    log.passage("E2801234", "in", 950)  # nobody knows it
    log.passage(f"E280{5:020X}", "in", 960, gate="nowhere")
    warehouse.record(log.message(6))
    warehouse.expect(Kind.TRANSFER_OUT, "BOLT", 10, document="TO-1")
    log.passage(f"E280{4:020X}", "out", 1800)
    warehouse.record(log.message(10))
    east = GatewayLog(*warehouse.gateways["gw-2"])
    east.passage(f"E280{4:020X}", "in", 7200, gate="east-1")
    warehouse.record(east.message())
    shipments = [declared(warehouse, Kind.SALES_SHIPMENT, "STORE", "CUSTOMER", 25, 8000)]
    declare_movements(warehouse.owner, warehouse.company_id, shipments, "short", b"1" * 32)
    receipts = [declared(warehouse, Kind.PURCHASE_RECEIPT, "SUPPLIER", "STORE", 40, 8100, price_micro=4_333_333)]
    declare_movements(warehouse.owner, warehouse.company_id, receipts, "settled", b"2" * 32)
    sales = [declared(warehouse, Kind.SALES_SHIPMENT, "STORE", "CUSTOMER", 1, 8200, price_micro=9_000_000)]
    declare_movements(warehouse.owner, warehouse.company_id, sales, "priced", b"4" * 32)
    append_value_event(warehouse)
    append_value_event(warehouse)
    warehouse.check()


def play_costs(warehouse: Warehouse) -> None:
    """Two and more of what one batch writes: links of one issue, events, allowances."""
    receipts = []
    for code in ("NUT", "CAP"):
        add_item(warehouse, code, "fifo")
        receipts += [receive(warehouse, code, 10, price, 8300 + n) for n, price in enumerate(("4.00", "5.00"))]
    sell(warehouse, "NUT", 15, 8310)
    land(warehouse, "10", Basis.VALUE, *receipts, at_s=8320)
    lower = [Realisable(code, micro(1)) for code in ("NUT", "CAP")]
    write_down(warehouse.owner, warehouse.company_id, lower, at(8330), "NRV-1", "", ask())
    warehouse.check()


def play_ledger(warehouse: Warehouse) -> None:
    """Rows for the tables that no goods write: documents, rates, reports, numbers, losses, lives, quarantine."""
    owner, company = warehouse.owner, warehouse.company_id
    usd = number_of("USD")
    [(bank,), (opening,)] = warehouse.fetch(
        "SELECT account_id FROM accounts WHERE role IN ('bank', 'opening_equity') ORDER BY role"
    )
    papers = [
        Document(
            uuid.uuid4(), Kind.MANUAL, f"J-{number}", date(2026, 9, 21),
            (
                DocumentLine(bank, 700 * number, currency=usd, currency_amount=100 * number),
                DocumentLine(opening, -700 * number, currency=usd, currency_amount=-100 * number),
            ),
            "at the beginning", currency=usd, rate_nano=7_000_000_000,
        )
        for number in (1, 2, 3)
    ]  # fmt: skip
    for posted in (papers[:2], papers[2:]):

        def work(cursor: psycopg.Cursor, batch: Batch, posted: list[Document] = posted) -> list[str]:
            post_documents(cursor, batch, posted)
            return [str(paper.document_id) for paper in posted]

        answer_once(owner, company, ask(), work)
    owner.execute(
        "INSERT INTO exchange_rates (company_id, currency, day, source, rate_nano, recorded_by)"
        " SELECT %s, %s, day, 'PBC', 7000000000, 'Mei'"
        "   FROM generate_series('2026-09-01'::date, '2026-09-03', '1 day') day",
        [company, usd],
    )
    owner.execute("SELECT number_vouchers(%s, NULL)", [company])
    for number in (1, 2):
        owner.execute(
            "INSERT INTO close_reports (company_id, period_id, passed, report, recorded_by)"
            " VALUES (%s, 202608, true, %s, 'Mei')",
            [company, json.dumps({"items": [number, None]})],
        )
        owner.execute(
            "INSERT INTO log_losses (company_id, gateway_id, epoch, first_seq, last_seq, reason, recorded_by)"
            " VALUES (%s, 1, %s, 500, 501, 'flood', 'Li Wei')",
            [company, uuid.uuid4()],
        )
        owner.execute(
            "INSERT INTO incarnations (incarnation, cluster, reason) VALUES (%s, 'x', 'start')", [number]
        )
        log = GatewayLog(*warehouse.gateways["gw-2"])
        log.passage("E2809999", "in", 9000 + number, gate="nowhere")
        warehouse.record(log.message())
    owner.execute(
        "INSERT INTO quarantine_resolutions (company_id, quarantine_id, resolved_by, resolution, note)"
        " SELECT company_id, quarantine_id, 'Li Wei', 'dismissed', 'no gate' FROM quarantine"
        "  ORDER BY quarantine_id LIMIT 2"
    )
    warehouse.check()


def declared(
    warehouse: Warehouse, kind: Kind, source: str, target: str, pieces: int, at_s: int, **more: Any
) -> Declared:
    """So many bolts."""
    return Declared(
        kind, warehouse.items["BOLT"], pieces * MICRO, warehouse.places[source], warehouse.places[target],
        NOON_US + at_s * SECOND_US, **more,
    )  # fmt: skip
