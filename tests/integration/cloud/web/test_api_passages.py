"""/v1/passages: what gates saw, found by what one looks for, and one passage with why and what came of it."""

from datetime import UTC, datetime
from typing import Any

import jsonschema
import pytest

from cloud.api.evidence import EVIDENCE_EXAMPLE, EVIDENCE_SCHEMA
from cloud.domain.access import Scope
from cloud.domain.gate_evidence import read_evidence
from cloud.domain.movement import Kind
from cloud.flows.ledger.number_vouchers import number_vouchers
from tests.makers import NOON_US, epc, gate_evidence


def passages(house: Any, **filters: object) -> list[dict[str, Any]]:
    return house.admin.everything("/v1/passages", **filters)


def passage(house: Any, one: str) -> dict[str, Any]:
    answer = house.admin.get(f"/v1/passages/{one}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def at(seconds: float) -> str:
    return datetime.fromtimestamp(NOON_US / 1e6 + seconds, UTC).isoformat()


def test_passages_are_found_by_gate_direction_and_time(house: Any) -> None:
    whole = passages(house)
    assert len(whole) == 6
    assert passages(house, gate="dock-1") == whole
    assert passages(house, gate="dock-2") == []
    assert [row["direction"] for row in passages(house, direction="turned_back")] == ["turned_back"]
    assert passages(house, direction="undecided") == []
    assert [
        row["epc"] for row in passages(house, direction="in", occurred_from=at(5), occurred_before=at(90))
    ] == [
        epc(2),
        epc(3),
    ]
    assert [row["direction"] for row in passages(house, occurred_from=at(3600))] == ["out"]
    assert passages(house, occurred_before=at(0)) == []


def test_pages_of_what_is_looked_for_lead_on(own_house: Any) -> None:
    warehouse = own_house.warehouse
    for number in range(12):
        warehouse.log.passage(epc(1), "undecided" if number % 3 else "turned_back", 5000 + number)
    warehouse.record(warehouse.log.message(7))
    unsure = passages(own_house, direction="undecided", limit=3)
    assert len(unsure) == 8
    assert unsure == [row for row in passages(own_house) if row["direction"] == "undecided"]


@pytest.mark.parametrize(
    "filters", [{"direction": "stayed"}, {"occurred_from": "yesterday"}, {"occurred_from": "2026-09-21T10:00:00"}]
)
def test_a_filter_that_cannot_be_is_refused(house: Any, filters: dict[str, str]) -> None:
    assert house.admin.get("/v1/passages", **filters).status_code == 422


def test_one_passage_says_why_and_what_came_of_it(own_house: Any) -> None:
    warehouse = own_house.warehouse
    warehouse.expect(Kind.PURCHASE_RECEIPT, "BOLT", 5, price="2", party="ACME", document="PO-60")
    warehouse.log.explained_passage(warehouse.tag(60, "BOLT", 5), "in", 7000)
    warehouse.record(warehouse.log.message(7))
    number_vouchers(warehouse.owner, warehouse.company_id)
    found = passage(own_house, warehouse.log.written[-1].id)
    assert (found["direction"], found["outcome"], found["wins"], found["moves"]) == ("in", "moved", True, True)
    assert found["why"]["reason"] == "outside before inside"
    assert found["why"]["reason_en"].endswith("it came in.")
    assert found["why"]["reason_zh"].endswith("货物进门。")
    assert (found["why"]["decided_by"], found["why"]["decided_by_zh"]) == ("tag", "标签自身的读数")
    assert found["decided_after_ms"] == 3110
    assert found["evidence"] == gate_evidence("in", 7000)
    assert found["page"] == f"/passages/{found['id']}"
    assert [(row["kind"], row["document"], row["quantity"]) for row in found["movements"]] == [
        ("purchase_receipt", "PO-60", "5")
    ]
    assert [entry["id"] for entry in found["journal_entries"]] == [f"{found['id']}.0"]
    assert found["journal_entries"][0]["voucher"]
    assert own_house.admin.get(f"/v1/trace/{found['journal_entries'][0]['id']}").status_code == 200


def test_a_passage_that_moved_nothing_has_a_page_too(house: Any) -> None:
    turned = passages(house, direction="turned_back")[0]
    found = passage(house, turned["id"])
    assert {name: found[name] for name in turned} == turned
    assert (found["moves"], found["wins"], found["movements"], found["same_crossing"]) == (False, False, [], [])
    assert (found["why"], found["decided_after_ms"]) == (None, None)


def test_of_two_sightings_of_a_crossing_it_says_which_one_counts(own_house: Any) -> None:
    warehouse = own_house.warehouse
    tag = warehouse.tag(80)
    weak = warehouse.log.passage(tag, "in", 10_000, gate="dock-1", confidence=0.5)
    sure = warehouse.log.passage(tag, "in", 10_002, gate="dock-2", confidence=0.95)
    warehouse.record(warehouse.log.message(7))
    found = passage(own_house, weak.id)
    assert (found["wins"], found["moves"], found["outcome"]) == (False, False, "same_crossing")
    assert [(one["passage"]["gate"], one["wins"], one["moves"]) for one in found["same_crossing"]] == [
        ("dock-2", True, True)
    ]
    other = passage(own_house, sure.id)
    assert (other["wins"], other["moves"]) == (True, True)
    assert [one["passage"]["gate"] for one in other["same_crossing"]] == ["dock-1"]


def test_a_passage_whose_movement_was_undone_says_so_and_names_who_counts_now(own_house: Any) -> None:
    """given `in` guessed by dock-1 and booked; when dock-2 was sure that it was `out`; then the first says so."""
    warehouse = own_house.warehouse
    tag = warehouse.tag(81, "STEEL", 3)
    guess = warehouse.log.passage(tag, "in", 20_000, gate="dock-1", confidence=0.55)
    warehouse.record(warehouse.log.message(7))
    sure = warehouse.log.passage(tag, "out", 20_002, gate="dock-2", confidence=0.98)
    warehouse.record(warehouse.log.message(8))
    found = passage(own_house, guess.id)
    assert (found["outcome"], found["moves"], found["wins"]) == ("moved", False, False)
    assert len(found["movements"]) == 2
    correction = next(row for row in found["movements"] if row["corrects"] is not None)
    assert correction["corrects"] == found["id"]
    assert [(one["passage"]["direction"], one["wins"], one["moves"]) for one in found["same_crossing"]] == [
        ("out", True, True)
    ]
    assert passage(own_house, correction["id"])["id"] == found["id"]  # a correction leads to what it corrects
    assert passage(own_house, sure.id)["moves"]


def test_a_passage_of_another_company_and_none_at_all_are_not_found(house: Any) -> None:
    for one in ("00000000-0000-0000-0000-000000000000", "nonsense", "F" * 300):
        assert house.admin.get(f"/v1/passages/{one}").status_code == 404
    seen = passages(house)[0]["id"]
    assert house.client(Scope.READ).get(f"/v1/passages/{seen}").status_code == 200
    assert house.client(Scope.FINANCE).get(f"/v1/passages/{seen}").status_code == 403


def test_the_description_shows_what_evidence_looks_like(house: Any) -> None:
    described = house.admin.get("/v1/openapi.json").json()
    shape = described["components"]["schemas"]["PassageOut"]["properties"]["evidence"]
    assert shape["examples"] == [EVIDENCE_EXAMPLE]
    assert shape["properties"].keys() == EVIDENCE_SCHEMA["properties"].keys()
    assert read_evidence(EVIDENCE_EXAMPLE).decided_after_ms == 3090


def test_what_gateways_send_has_the_shape_that_is_described() -> None:
    for evidence in (gate_evidence("in"), gate_evidence("out"), EVIDENCE_EXAMPLE, {"order": 0.9}, {}):
        jsonschema.validate(evidence, EVIDENCE_SCHEMA)
