"""Every line of rich books leads to its end, and every end back to the line."""

import json
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from cloud.checks import trace as program
from cloud.domain.catalog import BoundTag
from cloud.domain.costing.allocation import Basis
from cloud.domain.movement import Kind, derived_id
from cloud.flows.answer_once import answer_once
from cloud.flows.ledger.number_vouchers import number_vouchers
from cloud.flows.ledger.post_document import Document, DocumentLine, post_documents
from cloud.flows.production import Absorbed, Issue, absorb_cost, issue_components, receive_output, release_order
from cloud.flows.recost import recost_company
from cloud.flows.set_standard import NewStandard, set_standards
from cloud.flows.set_up_company import apply_description
from cloud.flows.trace import CannotTrace, Found, find, parse
from cloud.flows.write_down import Realisable, write_down
from cloud.store.master import put_tags
from cloud.store.production import NewOrder
from cloud.store.trace import Record, Sort, read_record
from protocols.epc import tag_memory
from protocols.epc.sgtin import Sgtin, encode
from tests.makers import DESCRIPTION, Warehouse, epc, gate_evidence, make_warehouse
from tests.valuing import add_item, ask, at, invoice, land, micro, move, receive, sell

DAY = date(2026, 9, 22)
Rich = tuple[Warehouse, dict[str, UUID]]


def books(warehouse: Warehouse) -> dict[str, UUID]:
    """A few weeks' work of all sorts; what the tests ask for by name."""
    log = warehouse.log
    bolts, lamps = warehouse.tag(1), warehouse.tag(2, "LAMP", 4)
    warehouse.expect(Kind.PURCHASE_RECEIPT, "BOLT", 10, price="4.20", party="ACME", document="PO-1")
    warehouse.expect(Kind.PURCHASE_RECEIPT, "LAMP", 4, price="33.335", party="ACME", document="PO-1")
    log.passage(bolts, "in", 0)
    log.passage(bolts, "in", 2, gate="dock-2", confidence=0.4)
    log.passage(lamps, "in", 5)
    log.passage(warehouse.tag(3, "STEEL", 2), "in", 30)  # nobody expects it
    warehouse.record(log.message())
    warehouse.expect(Kind.SALES_SHIPMENT, "BOLT", 10, party="SHOP", document="SO-9", price="9.90")
    log.passage(bolts, "out", 3600)
    warehouse.record(log.message(5))
    return {"shipment": UUID(log.written[4].id), "receipt": UUID(log.written[0].id)} | _declared(warehouse)


def _declared(warehouse: Warehouse) -> dict[str, UUID]:
    """Declared goods, value events of every sort, production, a return, and what re-costing makes of late goods."""
    add_item(warehouse, "VALVE", "standard")
    house, owner, company = warehouse, warehouse.owner, warehouse.company_id
    set_standards(owner, company, [NewStandard("VALVE", micro("7"))], at(7000), "STD-1", "", ask())
    valves = receive(house, "VALVE", 10, "6.50", 7100)
    set_standards(owner, company, [NewStandard("VALVE", micro("7.25"))], at(7200), "STD-2", "", ask())
    steel = receive(house, "STEEL", 100, "5", 7300, party_id=None)
    foreign = receive(house, "LAMP", 3, "10", 7400, rate_nano=7_100_000_000, currency=840)
    land(house, "33.34", Basis.VALUE, steel, foreign, at_s=7500)
    write_down(owner, company, [Realisable("LAMP", micro("20"))], at(7600), "NRV", "", ask())
    sold = sell(house, "LAMP", 2, 7700)
    returned = move(house, Kind.CUSTOMER_RETURN, "LAMP", 1, "CUSTOMER", "STORE", 7800, original_id=sold)
    move(house, Kind.TRANSFER_OUT, "STEEL", 30, "STORE", "IN-TRANSIT", 7900)
    move(house, Kind.TRANSFER_IN, "STEEL", 20, "IN-TRANSIT", "EAST", 8000)
    move(house, Kind.SCRAP, "VALVE", 1, "STORE", "SCRAP", 8100)
    _produce(house)
    short = sell(house, "BOLT", 7, 9600)  # there are none
    receive(house, "BOLT", 20, "4.50", 9700)
    invoice(house, steel, "5.10", 9800)
    late = receive(house, "LAMP", 5, "60", 6000)  # before the ones that were sold
    receive(house, "STEEL", 10, "9", 6100)
    recost_company(house.ingest, company, "test")
    return {"steel": steel, "valves": valves, "sold": sold, "returned": returned, "short": short, "late": late,
            "paper": _invoiced(house, steel)}  # fmt: skip


def _produce(house: Warehouse) -> None:
    order = NewOrder(
        "WO-1", house.items["LAMP"], house.places["MAIN"], micro(4), "", "", {house.items["STEEL"]: micro(8)}
    )
    release_order(house.owner, house.company_id, order, at(9000), ask())
    issue = Issue(house.items["STEEL"], micro(32), house.places["STORE"])
    issue_components(house.owner, house.company_id, "WO-1", [issue], at(9100), ask())
    absorb_cost(house.owner, house.company_id, "WO-1", [Absorbed(Kind.LABOUR, micro("12.50"))], at(9200), ask())
    receive_output(house.owner, house.company_id, "WO-1", micro(4), house.places["STORE"], at(9300), ask(), None)


def _invoiced(house: Warehouse, receipt: UUID) -> UUID:
    """An invoice that clears what the receipt left open."""
    account = dict(house.fetch("SELECT role, account_id FROM accounts WHERE role <> ''"))
    [(amount,)] = house.fetch(
        "SELECT sum(amount)::bigint FROM item_amounts WHERE item = %s AND account_id = %s",
        receipt,
        account["grni"],
    )
    document_id = derived_id(b"an invoice of the test")
    lines = (
        DocumentLine(account["grni"], -amount, open_item=receipt),
        DocumentLine(account["input_vat"], 6630),
        DocumentLine(account["payables"], amount - 6630),
    )
    details = {"rows": [{"receipt": str(receipt)}]}
    paper = Document(
        document_id, Kind.SUPPLIER_INVOICE, "INV-77", DAY, lines, "steel of September", details=details
    )

    def post(cursor: psycopg.Cursor, batch: Any) -> list[str]:
        post_documents(cursor, batch, [paper])
        return [str(document_id)]

    answer_once(house.owner, house.company_id, ask(), post)
    return document_id


@pytest.fixture(scope="module")
def rich(module_database: Any) -> Iterator[Rich]:
    """The same books for all tests that only read them."""
    with (
        psycopg.connect(module_database.owner_dsn, autocommit=True) as owner,
        psycopg.connect(module_database.dsn_of("tallygate_ingest"), autocommit=True) as ingest,
    ):
        warehouse = make_warehouse(owner, ingest)
        yield warehouse, books(warehouse)
        warehouse.check()


def record(warehouse: Warehouse, one: UUID) -> Record:
    found = read_record(warehouse.owner, warehouse.company_id, one)
    assert found is not None, one
    return found


def asked(warehouse: Warehouse, text: str, **more: Any) -> Found:
    found = find(warehouse.owner, warehouse.company_id, parse(text), **more)
    assert found is not None, text
    return found


def has_line(of: Record, line_id: str) -> bool:
    return any(
        f"{line.source_id}.{line.step}.{line.line_no}" == line_id for lines in of.lines.values() for line in lines
    )


def all_lines(warehouse: Warehouse) -> list[str]:
    return [
        f"{source}.{step}.{line}"
        for source, step, line in warehouse.fetch(
            "SELECT source_id, step, line_no FROM journal_lines ORDER BY 1, 2, 3"
        )
    ]


class Walk:
    """From a line to its ends and back, with every step checked."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse
        self.records: dict[UUID, Record] = {}

    def record(self, one: UUID) -> Record:
        if one not in self.records:
            self.records[one] = record(self.warehouse, one)
        return self.records[one]

    def line(self, line_id: str) -> Sort:
        found = asked(self.warehouse, line_id)
        assert found.line == line_id
        assert found.record is not None
        assert has_line(found.record, line_id)
        {Sort.MOVEMENT: self.movement, Sort.VALUE_EVENT: self.event, Sort.RECOSTING: self.recosting,
         Sort.DOCUMENT: self.document}[found.record.sort](found.record, line_id)  # fmt: skip
        self.corrected(found.record, line_id)
        self.costs(found.record, line_id)
        return found.record.sort

    def movement(self, of: Record, _: str) -> None:
        """Its end: the gateway's own number with its evidence and its row in the chain, or the cloud's own log."""
        assert of.movement is not None
        assert of.born is not None
        assert of.batch is not None
        assert of.batch.head
        if of.born.gateway_id:
            assert of.observation is not None
            assert of.message is not None
            assert (of.observation.epoch, of.observation.seq) == (of.born.epoch, of.born.seq)
            assert of.observation.evidence
            assert len(of.message.digest) == 64
        assert of.rule is not None
        for link in of.consumed:
            assert any(
                (back.movement_id, back.step, back.link_no) == (of.record_id, link.step, link.link_no)
                for back in self.record(link.source_id).consumed_by
            )
        for link in of.consumed_by:
            assert of.record_id in {back.source_id for back in self.record(link.movement_id).consumed}

    def event(self, of: Record, _: str) -> None:
        assert of.event is not None
        assert of.rule is not None
        if of.event.original_id is not None:
            assert of.record_id in self.record(of.event.original_id).events

    def recosting(self, of: Record, line_id: str) -> None:
        """Its end: the movements whose cost it corrects, each of which leads back to the line."""
        stand = {cost.movement_id for cost in of.cost_entries if line_id in ids(of.lines_of(cost))}
        company = self.warehouse.company_id
        stand |= {
            change.movement_id
            for change in of.allowances
            if line_id in ids(of.lines_of_allowance(company, change))
        }
        assert stand, line_id
        for one in stand:
            assert has_line(self.record(one), line_id)

    def document(self, of: Record, _: str) -> None:
        for line in of.cleared():
            assert line.open_item is not None
            item = self.record(line.open_item)
            assert of.record_id in {row.source_id for row in item.cleared_by}
        assert of.document is not None

    def corrected(self, of: Record, line_id: str) -> None:
        """What an adjusting entry corrects leads to it as well."""
        source, step, _ = line_id.split(".")
        entry = next(e for e in of.entries if (str(e.source_id), str(e.step)) == (source, step))
        if entry.corrects is not None and entry.corrects != entry.source_id:
            assert has_line(self.record(entry.corrects), line_id)

    def costs(self, of: Record, line_id: str) -> None:
        """A line that is a cost entry's amount leads to it."""
        source, step, number = line_id.split(".")
        line = next(one for one in of.lines[UUID(source), int(step)] if one.line_no == int(number))
        if line.cost_step is not None:
            (cost,) = [c for c in of.cost_entries if c.movement_id == of.record_id and c.step == line.cost_step]
            assert cost.posted == line.amount
            assert line_id in ids(of.lines_of(cost))


def ids(lines: Any) -> list[str]:
    return [f"{line.source_id}.{line.step}.{line.line_no}" for line in lines]


@pytest.mark.editions
def test_every_line_leads_to_its_end_and_back(warehouse: Warehouse) -> None:
    books(warehouse)
    walk = Walk(warehouse)
    sorts = [walk.line(line) for line in all_lines(warehouse)]
    assert set(sorts) == set(Sort)
    assert len(sorts) > 60


def test_every_movement_and_value_event_leads_to_the_lines_of_its_cost(rich: Rich) -> None:
    warehouse, _ = rich
    costs = warehouse.fetch(
        "SELECT movement_id, step, posted, journal_id, coalesce(corrects, movement_id)"
        " FROM cost_entries WHERE posted <> 0"
    )
    journals = 0
    for movement_id, step, posted, journal_id, corrected in costs:
        for one in {movement_id, corrected}:
            found = record(warehouse, one)
            (cost,) = [c for c in found.cost_entries if (c.movement_id, c.step) == (movement_id, step)]
            lines = found.lines_of(cost)
            assert (cost.posted, cost.journal_id) == (posted, journal_id)
            if journal_id is None:
                assert sum(line.amount for line in lines) == posted
            else:
                journals += 1
                assert lines  # none of these differences is lifted by another of its entry
    assert journals
    for movement_id, company in warehouse.fetch(
        "SELECT movement_id, company_id FROM allowance_entries WHERE posted <> 0"
    ):
        found = record(warehouse, movement_id)
        for change in found.allowances:
            assert change.posted == 0 or found.lines_of_allowance(company, change)


def test_an_invoice_leads_to_the_goods_and_to_who_took_of_them(rich: Rich) -> None:
    warehouse, made = rich
    paper = record(warehouse, made["paper"])
    assert paper.document is not None
    assert (paper.document.number, paper.document.narration) == ("INV-77", "steel of September")
    assert [line.open_item for line in paper.cleared()] == [made["steel"]]
    steel = record(warehouse, made["steel"])
    assert [row.source_id for row in steel.cleared_by] == [made["paper"]]
    takers = {steel.names[link.movement_id].kind for link in steel.consumed_by}
    assert {Kind.TRANSFER_OUT, Kind.PRODUCTION_ISSUE} <= takers
    kinds = {Kind(steel.names[one].kind) for one in steel.events}
    assert kinds == {Kind.LANDED_COST, Kind.PRICE_CORRECTION}


def test_a_return_and_what_it_returns_name_each_other(rich: Rich) -> None:
    warehouse, made = rich
    assert record(warehouse, made["sold"]).returned_by == [made["returned"]]
    back = record(warehouse, made["returned"])
    assert back.movement is not None
    assert back.movement.returns == made["sold"]


def test_a_shipment_with_a_price_names_its_draft(rich: Rich) -> None:
    warehouse, made = rich
    (draft,) = record(warehouse, made["shipment"]).drafts
    assert (draft.net_amount, draft.state, draft.posted_as) == (9900, "waiting", None)
    warehouse.owner.execute(
        "UPDATE journal_drafts SET state = 'posted', posted_as = %s WHERE movement_id = %s",
        [made["paper"], made["shipment"]],
    )
    assert [one.movement_id for one in record(warehouse, made["paper"]).drafts] == [made["shipment"]]
    warehouse.owner.execute("UPDATE journal_drafts SET state = 'waiting', posted_as = NULL")
    assert read_record(warehouse.owner, warehouse.company_id, uuid.uuid4()) is None


def test_the_rule_is_the_one_that_was_in_force_then(warehouse: Warehouse) -> None:
    made = books(warehouse)
    found = record(warehouse, made["shipment"])
    assert found.rule is not None
    assert found.batch is not None
    then = found.batch.recorded_at + timedelta(seconds=1)
    warehouse.owner.execute(
        "UPDATE posting_rules SET ended_at = %s, ended_by = 'Mei' WHERE rule_id = %s", [then, found.rule.rule_id]
    )
    warehouse.owner.execute(
        "INSERT INTO posting_rules (company_id, kind, debit_role, credit_role, made_at, made_by)"
        " VALUES (%s, 3, 'loss', 'pool', %s, 'Mei')",
        [warehouse.company_id, then],
    )
    rule = record(warehouse, made["shipment"]).rule
    assert rule is not None
    assert (rule.rule_id, rule.debit_role, rule.ended_by) == (found.rule.rule_id, "cogs", "Mei")


def test_a_voucher_number_leads_to_its_entry(rich: Rich) -> None:
    warehouse, made = rich
    [(period,)] = warehouse.fetch("SELECT period_id FROM journal_entries WHERE source_id = %s", made["paper"])
    given = number_vouchers(warehouse.owner, warehouse.company_id, period)
    entry = f"{made['paper']}.0"
    (voucher,) = {
        one.voucher for one in record(warehouse, made["paper"]).entries if one.source_id == made["paper"]
    }
    assert voucher is not None
    found = asked(warehouse, voucher, period_id=period)
    assert found.record is not None
    assert (found.record.record_id, found.entry) == (made["paper"], entry)
    word, number = voucher.split("-")
    assert 1 <= int(number) <= given
    assert find(warehouse.owner, warehouse.company_id, parse(f"{word}-{given + 1}"), period) is None
    with pytest.raises(CannotTrace, match="within a period"):
        find(warehouse.owner, warehouse.company_id, parse(voucher))


def test_lists_stop_at_a_limit_and_count_the_rest(warehouse: Warehouse) -> None:
    receipt = receive(warehouse, "BOLT", 100, "4", 0)
    for second in range(7):
        sell(warehouse, "BOLT", 1, 10 + second)
    found = read_record(warehouse.owner, warehouse.company_id, receipt, limit=3)
    assert found is not None
    assert (len(found.consumed_by), found.more) == (3, {"consumed_by": 4})


def told(warehouse: Warehouse, what: str, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    assert program.main([what, *more]) == 0
    return capsys.readouterr().out


@pytest.fixture
def asks_the_books(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    found = request.getfixturevalue("warehouse" if "warehouse" in request.fixturenames else "rich")
    info = (found if isinstance(found, Warehouse) else found[0]).owner.info
    monkeypatch.setenv("TALLYGATE_DSN", f"{info.dsn} password={info.password}")


@pytest.mark.usefixtures("asks_the_books")
def test_the_verb_tells_a_line_as_a_tree_down_to_the_gateways_message(
    rich: Rich, capsys: pytest.CaptureFixture[str]
) -> None:
    warehouse, made = rich
    tree = told(warehouse, f"{made['shipment']}.0.1", capsys)
    lines = tree.splitlines()
    assert lines[0] == f"journal line {made['shipment']}.0.1"
    assert (
        "sales shipment · 10 pcs BOLT 螺栓 · STORE → CUSTOMER · SHOP · SO-9 · 2026-09-21 23:13:20+08:00"
        in lines[1]
    )
    (marked,) = [line for line in lines if line.endswith("◀ asked")]
    assert "42.00 CNY" in marked
    assert marked.strip(" │├└─").startswith("Dr 6401")
    assert "evidence: no reason given" in tree
    assert "order 0.9 (1: outside before inside, 0: inside before outside)" in tree
    epoch = warehouse.log.epoch[:8]
    assert f"message of MAIN/gw-1 · epoch {epoch}, number 5 ·" in tree
    assert f"message of MAIN/gw-1 · epoch {epoch}, number 1 ·" in tree  # of the receipt that it took from
    assert "same crossing · confidence 0.40" in tree
    assert "posting rule" in tree
    assert "draft waiting, 99.00 CNY" in tree


@pytest.mark.usefixtures("asks_the_books")
def test_the_verb_tells_why_the_gate_said_out(warehouse: Warehouse, capsys: pytest.CaptureFixture[str]) -> None:
    sent = warehouse.log.explained_passage(warehouse.tag(1), "out", 60)
    warehouse.record(warehouse.log.message())
    tree = told(warehouse, epc(1), capsys)
    for line in (
        "evidence: The antennas inside saw the tag at its strongest first, those outside after them: it went out."
        " · decided by its own reads · 3110 ms after the last read",
        "order 0.03 (1: outside before inside, 0: inside before outside)",
        "outside: 27 reads, rise 13.5 dB, strongest at 3.00 s",
        "antenna 1, inside: 11 reads, strongest -48.0 dBm at 1.00 s, rise 13.5 dB, phase stillness 0.05",
        "antenna 4, outside: 14 reads, strongest -53.5 dBm at 3.00 s, rise 13.5 dB, phase stillness 0.20",
        "group: 7 of 8 tags that moved went out, 0 the other way, crossed at 2.04 s",
        f"drawn on the console's page /passages/{uuid.UUID(sent.id)}",
    ):
        assert line in tree
    asked = json.loads(told(warehouse, epc(1), capsys, "--json"))
    (passage,) = [child for child in asked["children"] if child["what"] == "passage"]
    assert passage["page"] == f"/passages/{uuid.UUID(sent.id)}"
    assert passage["children"][0]["said"] == gate_evidence("out", 60)


@pytest.mark.usefixtures("asks_the_books")
def test_the_verb_walks_from_an_invoice_to_who_took_of_its_goods(
    rich: Rich, capsys: pytest.CaptureFixture[str]
) -> None:
    warehouse, made = rich
    tree = told(warehouse, str(made["paper"]), capsys)
    assert tree.startswith("document · supplier invoice · INV-77 · 2026-09-22 · steel of September · by Mei")
    for words in (
        "├─ clears movement · purchase receipt · 100 pcs STEEL",
        "transfer out · 30 pcs",
        "production issue",
    ):
        assert words in tree
    assert len(told(warehouse, str(made["paper"]), capsys, "--depth", "1").splitlines()) < len(tree.splitlines())
    told_of = json.loads(told(warehouse, str(made["paper"]), capsys, "--json"))
    assert (told_of["what"], told_of["id"], told_of["kind"]) == (
        "document",
        str(made["paper"]),
        "supplier_invoice",
    )
    (cleared,) = [child for child in told_of["children"] if child.get("relation") == "clears"]
    assert cleared["id"] == str(made["steel"])


@pytest.mark.usefixtures("asks_the_books")
def test_the_verb_leaves_nothing_out_silently(warehouse: Warehouse, capsys: pytest.CaptureFixture[str]) -> None:
    receipt = receive(warehouse, "BOLT", 100, "4", 0)
    for second in range(7):
        sell(warehouse, "BOLT", 1, 10 + second)
    tree = told(warehouse, str(receipt), capsys, "--limit", "3", "--depth", "1")
    assert tree.count("gave 1") == 3
    assert "… and 4 more: consumed by" in tree


@pytest.mark.usefixtures("asks_the_books")
def test_the_verb_tells_a_tag_and_every_record(rich: Rich, capsys: pytest.CaptureFixture[str]) -> None:
    warehouse, _ = rich
    tag = told(warehouse, epc(1), capsys)
    assert tag.startswith(f"tag {epc(1)} · 10 of BOLT · now in CUSTOMER")
    for (one,) in warehouse.fetch("SELECT DISTINCT source_id FROM journal_entries"):
        assert str(one) in told(warehouse, str(one), capsys, "--depth", "1").splitlines()[0]


@pytest.mark.usefixtures("asks_the_books")
@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["00000000-0000-4000-8000-000000000000"], 1, "no movement 0"),
        (["nonsense"], 2, "expected a journal line"),
        (["记-1"], 2, "number within a period"),
        (["记-9999", "--period", "2026-09"], 1, "no voucher"),
        (["E280FFFF", "--company", "nobody"], 2, "no company"),
        (["urn:epc:id:sgtin:0614141.812345.6789"], 1, "no tag"),
        (["urn:epc:id:sgtin:0614141.8123.6789"], 2, "names no tag: expected 13 characters"),
    ],
)
def test_what_the_verb_cannot_find_is_told_from_what_cannot_be(
    arguments: list[str], status: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main(arguments) == status
    assert says in capsys.readouterr().err


def test_a_tag_is_found_by_the_uri_of_its_item(warehouse: Warehouse) -> None:
    memory = encode(Sgtin(3, "0614141", "812345", 6789))
    put_tags(warehouse.owner, warehouse.company_id, [BoundTag(memory, "BOLT", 1_000_000)])
    for uri in ("urn:epc:id:sgtin:0614141.812345.6789", "urn:epc:tag:sgtin-96:3.0614141.812345.6789"):
        assert asked(warehouse, uri).epc == memory
    assert find(warehouse.owner, warehouse.company_id, parse("urn:epc:tag:sgtin-96:1.0614141.812345.6789")) is None


@pytest.mark.parametrize(
    "uri",
    [
        "urn:epc:id:sgtin:0614141.812345.Az%2F9",  # a serial number that is no number
        "urn:epc:id:sscc:0614141.1234567890",
        "URN:EPC:ID:grai:0614141.12345.400",
        "urn:epc:tag:sscc-96:2.0614141.1234567890",
        "urn:epc:raw:96.xE28011606000020495A10B7C",
    ],
)
def test_a_tag_of_any_scheme_is_found_by_its_uri(warehouse: Warehouse, uri: str) -> None:
    memory = tag_memory.encode(uri.replace("URN:EPC:ID", "urn:epc:id"), filter_value=None if ":tag:" in uri else 2)
    put_tags(warehouse.owner, warehouse.company_id, [BoundTag(memory, "BOLT", 1_000_000)])
    assert asked(warehouse, uri).epc == memory


def test_two_companies_that_know_a_tag_are_told_apart(warehouse: Warehouse) -> None:
    other = replace(DESCRIPTION, settings=replace(DESCRIPTION.settings, code="other"))
    other_id = apply_description(warehouse.owner, other)
    warehouse.tag(9)
    put_tags(warehouse.owner, other_id, [BoundTag(epc(9), "LAMP", 1_000_000)])
    with pytest.raises(CannotTrace, match="demo, other: choose one by --company"):
        program.trace(warehouse.owner, epc(9))
    assert "of LAMP" in program.trace(warehouse.owner, epc(9), "other").text


HOT = ("observations", "movements", "value_events", "cost_entries", "cost_layers", "consumption_links",
       "allowance_entries", "journal_entries", "journal_lines", "ledger_documents", "journal_drafts", "batches",
       "voucher_numbers", "_hyper")  # fmt: skip


@pytest.mark.editions
def test_no_statement_of_a_trace_reads_a_whole_hot_table(warehouse: Warehouse, monkeypatch: Any) -> None:
    """Every statement that a trace of each sort runs is planned again, with whole-table reads made dear."""
    made = books(warehouse)
    plans: list[str] = []
    with psycopg.connect(
        warehouse.owner.info.dsn, password=warehouse.owner.info.password, autocommit=True,
        cursor_factory=_explained(plans),
    ) as connection:  # fmt: skip
        connection.execute("SET enable_seqscan = off")
        [(journal,)] = warehouse.fetch("SELECT source_id FROM journal_entries WHERE kind = 38 LIMIT 1")
        [(event,)] = warehouse.fetch("SELECT event_id FROM value_events WHERE kind = 31 LIMIT 1")
        for one in (made["shipment"], made["steel"], made["paper"], journal, event):
            assert find(connection, warehouse.company_id, parse(str(one))) is not None
        tag = "E280" + f"{1:020X}"
        assert find(connection, warehouse.company_id, parse(tag)) is not None
        find(connection, warehouse.company_id, parse(f"{made['paper']}.0.1"))
        find(connection, warehouse.company_id, parse("记-1"), 202609)
    assert len(plans) > 60
    wrong = [
        line.strip()
        for plan in plans
        for line in plan.splitlines()
        if any(f"Seq Scan on {t}" in line for t in HOT)
    ]
    assert wrong == []


def _explained(plans: list[str]) -> Callable[..., Any]:
    class Explained(psycopg.ClientCursor):
        def execute(self, query: Any, params: Any = None, **more: Any) -> Any:
            text = re.sub(r"^--.*$", "", self.mogrify(query, params), flags=re.MULTILINE).strip()
            if text.startswith(("SELECT", "WITH")):
                with psycopg.Cursor(self.connection) as other:
                    plans.append("\n".join(row[0] for row in other.execute("EXPLAIN " + text)))
            return super().execute(query, params, **more)

    return Explained
