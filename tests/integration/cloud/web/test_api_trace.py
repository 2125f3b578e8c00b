"""From a journal line to the sighting that caused it, and back."""

from typing import Any

import pytest

from cloud.domain.costing.allocation import Basis
from cloud.domain.movement import Kind
from cloud.flows.ledger.number_vouchers import number_vouchers
from cloud.flows.recost import recost_company
from tests.makers import epc
from tests.valuing import land, receive, sell


def trace(house: Any, what: str) -> dict[str, Any]:
    answer = house.admin.get(f"/v1/trace/{what}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def entry_of(house: Any, document: str) -> dict[str, Any]:
    return house.admin.everything("/v1/journal-entries", document=document)[0]


def test_a_line_leads_to_its_layers_its_movement_and_the_gateways_own_number(house: Any) -> None:
    entry = entry_of(house, "SO-9")
    line = next(line for line in entry["lines"] if line["account"] == "140501")
    found = trace(house, line["id"])
    assert found["journal_line"] == line["id"]
    walked = found["movements"][0]
    assert walked["movement"]["kind"] == "sales_shipment"
    assert walked["journal_entries"] == [entry]
    cost = walked["cost_entries"][0]
    assert line["id"] in cost["journal_lines"]
    assert (cost["quantity"], cost["value"], cost["posted"], cost["method"]) == ("-10", "-42.00", "-42.00", "fifo")
    receipt = next(
        row for row in house.admin.everything("/v1/movements", document="PO-1") if row["item"] == "BOLT"
    )
    assert [(link["source"], link["quantity"], link["value"]) for link in cost["consumed"]] == [
        (receipt["id"], "10", "42.00")
    ]
    seen = walked["observation"]
    assert (seen["epc"], seen["gate"], seen["direction"], seen["log"]["gateway"], seen["log"]["seq"]) == (
        epc(1), "dock-1", "out", "gw-1", 6
    )  # fmt: skip
    assert seen["log"]["epoch"].replace("-", "") == house.warehouse.log.epoch
    assert seen["evidence"] == {"order": 0.9}
    assert seen["page"] == f"/passages/{seen['id']}"
    assert len(walked["batch"]["head"]) == 64


def test_the_trace_says_why_the_gate_decided_so(own_house: Any) -> None:
    warehouse = own_house.warehouse
    sent = warehouse.log.explained_passage(warehouse.tag(61, "LAMP", 1), "in", 7000)
    warehouse.record(warehouse.log.message(7))
    seen = trace(own_house, sent.id)["movements"][0]["observation"]
    assert seen["why"]["reason_en"].endswith("it came in.")
    assert seen["decided_after_ms"] == 3110
    assert len(seen["evidence"]["antennas"]) == 4


def test_every_line_of_the_journal_can_be_traced(house: Any) -> None:
    lines = [line["id"] for entry in house.admin.everything("/v1/journal-entries") for line in entry["lines"]]
    assert len(lines) >= 6
    for line in lines:
        walked = trace(house, line)["movements"][0]
        assert walked["observation"] is not None
        own = [one for entry in walked["journal_entries"] for one in entry["lines"]]
        assert line in [one["id"] for one in own]


def test_a_movement_and_an_entry_lead_to_the_same(house: Any) -> None:
    entry = entry_of(house, "SO-9")
    by_line = trace(house, entry["lines"][0]["id"])["movements"]
    assert trace(house, entry["source"])["movements"] == by_line
    assert trace(house, entry["source"].replace("-", ""))["movements"] == by_line
    assert trace(house, entry["id"])["movements"] == by_line


def test_a_receipt_names_who_took_from_it(house: Any) -> None:
    receipt = next(
        row for row in house.admin.everything("/v1/movements", document="PO-1") if row["item"] == "BOLT"
    )
    shipment = entry_of(house, "SO-9")["source"]
    walked = trace(house, receipt["id"])["movements"][0]
    assert [(link["movement"], link["quantity"]) for link in walked["consumed_by"]] == [(shipment, "10")]


def test_a_layer_that_is_still_there_is_shown_with_what_is_left(house: Any) -> None:
    receipt = next(
        row for row in house.admin.everything("/v1/movements", document="PO-1") if row["item"] == "LAMP"
    )
    cost = trace(house, receipt["id"])["movements"][0]["cost_entries"][0]
    assert [(layer["quantity_left"], layer["value_left"]) for layer in cost["layers"]] == [("4", "133.34")]


def test_a_tag_leads_to_all_its_passages_and_movements(house: Any) -> None:
    found = trace(house, epc(1).lower())
    assert found["tag"]["item"] == "BOLT"
    assert [passage["direction"] for passage in found["passages"]] == ["out", "turned_back", "in"]
    assert [walked["movement"]["kind"] for walked in found["movements"]] == ["sales_shipment", "purchase_receipt"]


def test_an_unregistered_tag_leads_to_its_passages(house: Any) -> None:
    found = trace(house, "E28000000000000000000BAD")
    assert (found["tag"], found["movements"]) == (None, [])
    assert [passage["outcome"] for passage in found["passages"]] == ["unregistered"]


def test_what_settles_a_shortage_is_found_from_both_sides(own_house: Any) -> None:
    warehouse = own_house.warehouse
    tag = warehouse.tag(70, "STEEL", 5)
    warehouse.expect(Kind.SALES_SHIPMENT, "STEEL", 5, document="SO-70", party="SHOP")
    warehouse.log.passage(tag, "out", 9000)
    warehouse.record(warehouse.log.message(len(warehouse.log.written)))
    received = warehouse.tag(71, "STEEL", 5)
    warehouse.expect(Kind.PURCHASE_RECEIPT, "STEEL", 5, price="8", document="PO-71", party="ACME")
    warehouse.log.passage(received, "in", 9100)
    warehouse.record(warehouse.log.message(len(warehouse.log.written)))
    short = own_house.admin.everything("/v1/movements", document="SO-70")[0]
    receipt = own_house.admin.everything("/v1/movements", document="PO-71")[0]
    walked = trace(own_house, short["id"])["movements"][0]
    adjusting = [entry for entry in walked["journal_entries"] if entry["corrects"] == short["id"]]
    assert [entry["source"] for entry in adjusting] == [receipt["id"]]
    line = adjusting[0]["lines"][0]["id"]
    assert trace(own_house, line)["movements"][0]["movement"]["id"] == receipt["id"]


def test_other_sightings_of_one_crossing_are_shown_as_its_evidence(own_house: Any) -> None:
    warehouse = own_house.warehouse
    tag = warehouse.tag(80)
    warehouse.log.passage(tag, "in", 10_000, gate="dock-1", confidence=0.95)
    warehouse.log.passage(tag, "in", 10_002, gate="dock-2", confidence=0.5)
    warehouse.record(warehouse.log.message(len(warehouse.log.written) - 1))
    moved = [row for row in own_house.admin.everything("/v1/passages", epc=tag) if row["outcome"] == "moved"]
    assert len(moved) == 1
    walked = trace(own_house, moved[0]["id"])["movements"][0]
    assert [(one["gate"], one["outcome"]) for one in walked["same_crossing"]] == [("dock-2", "same_crossing")]


@pytest.mark.parametrize(
    ("what", "status"),
    [
        ("00000000-0000-0000-0000-000000000000", 404),
        ("00000000-0000-0000-0000-000000000000.0.1", 404),
        ("00000000-0000-0000-0000-000000000000.99999.1", 404),
        ("E280FFFF", 404),
        ("nonsense", 422),
        ("E28", 422),
        ("a/b", 422),
        ("F" * 600, 422),
    ],
)
def test_what_cannot_be_found_is_told_from_what_cannot_be(house: Any, what: str, status: int) -> None:
    assert house.admin.get(f"/v1/trace/{what}").status_code == status


def test_value_events_documents_and_recostings_are_traced_with_the_movements_that_they_are_of(
    own_house: Any,
) -> None:
    warehouse = own_house.warehouse
    receipt = receive(warehouse, "STEEL", 10, "5", 100)
    sell(warehouse, "STEEL", 4, 200)
    (event,) = land(warehouse, "7.00", Basis.VALUE, receipt, at_s=300)
    receive(warehouse, "STEEL", 10, "3", 50)  # late: what was sold came of these
    recost_company(warehouse.ingest, warehouse.company_id, "test")
    changed = trace(own_house, event)["value_events"][0]
    assert (changed["kind"], changed["receipt"], changed["value"]) == ("landed_cost", str(receipt), "7.00")
    goods = trace(own_house, str(receipt))["movements"][0]
    assert goods["value_events"] == [event]
    assert goods["terms"]["price"] == "5"
    assert {name["kind"] for name in goods["named"]} >= {"landed_cost", "sales_shipment"}
    entries = own_house.admin.everything("/v1/journal-entries", kind="recosting")
    assert entries
    for line in entries[0]["lines"]:
        found = trace(own_house, line["id"])
        assert found["journal_line"] == line["id"]
        stand = [cost for cost in found["recostings"][0]["cost_entries"] if line["id"] in cost["journal_lines"]]
        assert stand
        walked = {one["movement"]["id"]: one for one in found["movements"]}
        walked |= {one["id"]: one for one in found["value_events"]}
        for cost in stand:
            back = walked[cost["movement"]]
            assert line["id"] in [one["id"] for entry in back["journal_entries"] for one in entry["lines"]]


def test_a_voucher_is_asked_for_with_its_period(own_house: Any) -> None:
    warehouse = own_house.warehouse
    number_vouchers(warehouse.owner, warehouse.company_id)
    entry = own_house.admin.everything("/v1/journal-entries")[0]
    found = own_house.admin.get(f"/v1/trace/{entry['voucher']}", period=entry["period"])
    assert found.status_code == 200, found.text
    assert found.json()["journal_entry"] == entry["id"]
    assert own_house.admin.get(f"/v1/trace/{entry['voucher']}").status_code == 422


def test_journal_entries_are_found_by_kind_and_by_what_lies_below_an_account(house: Any) -> None:
    shipped = house.admin.everything("/v1/journal-entries", kind="sales_shipment")
    assert [entry["document"] for entry in shipped] == ["SO-9"]
    assert (shipped[0]["origin"], shipped[0]["narration"]) == ("movement", None)
    of_goods = house.admin.everything("/v1/journal-entries", account="1405")
    assert {entry["document"] for entry in of_goods} >= {"PO-1", "SO-9"}
    assert house.admin.everything("/v1/journal-entries", dimension="project=NOWHERE") == []
