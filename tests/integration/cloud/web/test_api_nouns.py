"""Master data, expectations and declared movements through the API, each change seen where it should be."""

import json
import uuid
from typing import Any

import pytest

from cloud.domain.movement import Kind
from protocols.epc.sgtin import encode, sgtin_of
from tests.makers import epc

RECEIPT = {
    "kind": "purchase_receipt",
    "item": "BOLT",
    "quantity": "2.5",
    "from": "SUPPLIER",
    "to": "STORE",
    "party": "ACME",
    "document": "PO-77",
    "price": "4.20",
    "occurred_at": "2026-09-21T10:00:00+02:00",
}


def key() -> str:
    return uuid.uuid4().hex


def test_an_item_is_added_and_found(house: Any) -> None:
    body = {"code": "CRATE/7 周转箱", "name_zh": "周转箱", "gtin": "09506000134352", "method": "fifo"}
    added = house.admin.post("/v1/items", body)
    assert added.status_code == 201
    assert house.admin.get(added.headers["Location"]).json() == added.json()
    assert [one["code"] for one in house.admin.everything("/v1/items", gtin="09506000134352")] == [body["code"]]


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({"code": "BOLT", "name_en": "x"}, 409, None),
        ({"code": "NAMELESS"}, 422, "/name_en"),
        ({"code": "G1", "name_en": "x", "gtin": "09506000134353"}, 422, "/gtin"),
        ({"code": "G2", "name_en": "x", "gtin": "123"}, 422, "/gtin"),
        ({"code": "G3", "name_en": "x", "method": "lifo"}, 422, "/method"),
        ({"code": "G4", "name_en": "x", "weight": 3}, 422, "/weight"),
        ({"code": "G5", "name_en": "x", "method": "hifo"}, 422, "/method"),
        ({"code": "G6", "name_en": "x", "method": "specific", "tracking": "none"}, 422, "/tracking"),
        ({"code": "G7", "name_en": "x", "tracking": "pallet"}, 422, "/tracking"),
        ({"code": "G8", "name_en": "x", "weight_g": "0.0001"}, 422, "/weight_g"),
        ({"code": "G9", "name_en": "x", "volume_cm3": "0"}, 422, "/volume_cm3"),
    ],
)
def test_an_item_that_cannot_be_is_refused(house: Any, body: dict, status: int, pointer: str | None) -> None:
    answer = house.admin.post("/v1/items", body)
    assert answer.status_code == status
    if pointer:
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_an_item_without_a_method_takes_the_companys(own_house: Any) -> None:
    own_house.owner.execute("UPDATE companies SET default_method = 'periodic_fifo'")
    added = own_house.admin.post("/v1/items", {"code": "P1", "name_en": "x", "weight_g": "12.50"})
    assert added.status_code == 201
    told = {name: added.json()[name] for name in ("method", "tracking", "weight_g", "volume_cm3")}
    assert told == {"method": "periodic_fifo", "tracking": "none", "weight_g": "12.5", "volume_cm3": None}


def test_a_forbidden_method_is_told_with_the_profile(house: Any) -> None:
    answer = house.admin.post("/v1/items", {"code": "L1", "name_en": "x", "method": "lifo"})
    assert answer.status_code == 422
    assert "ASBE does not allow lifo" in answer.json()["errors"][0]["detail"]


def test_a_tag_is_registered_with_its_lot(house: Any) -> None:
    post = house.admin.post
    assert (
        post("/v1/items", {"code": "WATCH", "name_en": "Watch", "method": "specific"}).json()["tracking"]
        == "serial"
    )
    own = post("/v1/tags", {"epc": "E2800001", "item": "WATCH"})
    named = post("/v1/tags", {"epc": "E2800002", "item": "WATCH", "lot": "SN-9"})
    assert (own.json()["lot"], named.json()["lot"]) == ("E2800001", "SN-9")
    again = post("/v1/tags", {"epc": "E2800002", "item": "WATCH", "lot": "SN-8"})
    assert again.status_code == 422
    assert "lot SN-9" in again.json()["detail"]
    refused = post("/v1/tags", {"epc": "E2800003", "item": "LAMP", "lot": "L"})
    assert [error["pointer"] for error in refused.json()["errors"]] == ["/lot"]


def test_one_gtin_belongs_to_one_item(house: Any) -> None:
    gtin = "00012345600012"
    assert house.admin.post("/v1/items", {"code": "A1", "name_en": "x", "gtin": gtin}).status_code == 201
    twin = house.admin.post("/v1/items", {"code": "A2", "name_en": "x", "gtin": gtin})
    assert twin.status_code == 409
    assert gtin in twin.json()["detail"]


def test_a_site_comes_with_its_clarification_and_takes_zones_and_bins(house: Any) -> None:
    post = house.admin.post
    site = post("/v1/locations", {"code": "WEST", "name": "West", "kind": "site"})
    assert (site.status_code, site.json()["site"]) == (201, "WEST")
    zone = post("/v1/locations", {"code": "WEST-A", "name": "Zone A", "kind": "zone", "parent": "WEST"})
    shelf = post("/v1/locations", {"code": "WEST-A-1", "name": "Bin 1", "kind": "bin", "parent": "WEST-A"})
    assert (zone.json()["site"], shelf.json()["site"], shelf.json()["parent"]) == ("WEST", "WEST", "WEST-A")
    assert house.admin.get("/v1/locations/CLARIFICATION-WEST").json()["kind"] == "clarification"
    assert post("/v1/locations", {"code": "WEST", "name": "Again", "kind": "site"}).status_code == 409
    assert {one["code"] for one in house.admin.everything("/v1/locations", kind="bin")} == {"WEST-A-1"}


@pytest.mark.parametrize(
    "body",
    [
        {"code": "Z1", "name": "z", "kind": "zone"},
        {"code": "Z2", "name": "z", "kind": "zone", "parent": "NOWHERE"},
        {"code": "Z3", "name": "z", "kind": "zone", "parent": "STORE"},
        {"code": "Z4", "name": "z", "kind": "bin", "parent": "SUPPLIER"},
        {"code": "Z5", "name": "z", "kind": "site", "parent": "MAIN"},
        {"code": "Z6", "name": "z", "kind": "supplier"},
        {"code": "-Z7", "name": "z", "kind": "site"},
        {"code": "Z8", "name": "", "kind": "site"},
    ],
)
def test_a_location_that_cannot_be_is_refused(house: Any, body: dict) -> None:
    assert house.admin.post("/v1/locations", body).status_code == 422
    assert house.admin.get(f"/v1/locations/{body['code']}").status_code == 404


def test_a_partys_code_may_stand_once_on_each_side(house: Any) -> None:
    body = {"code": "NORTH", "name": "North Ltd", "kind": "supplier"}
    assert house.admin.post("/v1/parties", body).status_code == 201
    assert house.admin.post("/v1/parties", body | {"kind": "customer"}).status_code == 201
    assert house.admin.post("/v1/parties", body).status_code == 409
    assert {one["kind"] for one in house.admin.everything("/v1/parties", limit=1) if one["code"] == "NORTH"} == {
        "supplier",
        "customer",
    }


def test_registering_a_tag_books_what_gates_saw_of_it(own_house: Any) -> None:
    unknown = "E28000000000000000000BAD"
    assert own_house.admin.get(f"/v1/tags/{unknown}").status_code == 404
    bound = own_house.admin.post("/v1/tags", {"epc": unknown.lower(), "item": "LAMP", "quantity": "3"})
    assert bound.status_code == 201
    assert bound.json()["epc"] == unknown
    movements = {row["id"]: row for row in own_house.admin.everything("/v1/movements")}
    assert [movements[one]["quantity"] for one in bound.json()["movement_ids"]] == ["3"]
    assert own_house.admin.get(f"/v1/tags/{unknown}").json()["location"] == "CLARIFICATION-MAIN"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"epc": "E28", "item": "BOLT"}, "/epc"),
        ({"epc": "XYZ0", "item": "BOLT"}, "/epc"),
        ({"epc": "E280", "item": "NO-SUCH"}, "/item"),
        ({"epc": "E280", "item": "BOLT", "quantity": "0"}, "/quantity"),
        ({"epc": "E280", "item": "BOLT", "quantity": "0.0000001"}, "/quantity"),
        ({"epc": "E280", "item": "BOLT", "quantity": "9999999999999"}, "/quantity"),
        ({"epc": "E280", "item": "BOLT", "quantity": 1}, "/quantity"),
    ],
)
def test_a_tag_that_cannot_be_is_refused(house: Any, body: dict, pointer: str) -> None:
    answer = house.admin.post("/v1/tags", body)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_an_expectation_decides_what_the_next_passage_is(own_house: Any) -> None:
    warehouse = own_house.warehouse
    tag = warehouse.tag(40, "LAMP", 4)
    body = {
        "gate": "dock-1", "direction": "in", "epc": tag, "kind": "purchase_receipt", "party": "LUMEN",
        "document": "PO-5", "price": "30", "currency": "USD", "rate": "7.123456789", "quantity": "4",
        "open_until": "2027-01-01T00:00:00Z",
    }  # fmt: skip
    added = own_house.admin.post("/v1/expectations", body)
    assert added.status_code == 201, added.text
    assert (added.json()["price"], added.json()["rate"], added.json()["done"]) == ("30.00", "7.123456789", "0")
    assert own_house.admin.get(f"/v1/expectations/{added.json()['id']}").json() == added.json()
    warehouse.log.passage(tag, "in", 4000)
    warehouse.record(warehouse.log.message(len(warehouse.log.written)))
    booked = own_house.admin.everything("/v1/movements", document="PO-5")
    assert [(row["kind"], row["party"], row["quantity"]) for row in booked] == [("purchase_receipt", "LUMEN", "4")]
    entry = own_house.admin.everything("/v1/journal-entries", document="PO-5")[0]
    assert [line["debit"] or line["credit"] for line in entry["lines"]] == ["854.81", "854.81"]
    done = own_house.admin.everything("/v1/expectations", document="PO-5")[0]
    assert done["done"] == "4"
    assert own_house.admin.everything("/v1/expectations", document="PO-5", open="true") == []


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"gate": "no-gate"}, "/gate"),
        ({"item": "NO-SUCH"}, "/item"),
        ({"epc": "E280"}, "/epc"),
        ({"direction": "out"}, "/direction"),
        ({"kind": "count_gain"}, "/direction"),
        ({"currency": None}, "/price"),
        ({"currency": "XXQ"}, "/currency"),
        ({"rate": "0"}, "/rate"),
        ({"quantity": "0"}, "/quantity"),
        ({"open_until": "2027-01-01T00:00:00"}, "/open_until"),
        ({"price": "1e3"}, "/price"),
    ],
)
def test_an_expectation_that_cannot_be_is_refused(house: Any, change: dict, pointer: str) -> None:
    body = {
        "gate": "dock-1", "direction": "in", "item": "BOLT", "kind": "purchase_receipt", "price": "1",
        "currency": "CNY", "quantity": "1", "open_until": "2027-01-01T00:00:00Z",
    }  # fmt: skip
    answer = house.admin.post("/v1/expectations", body | change)
    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_a_declared_movement_is_on_the_books_at_once(own_house: Any) -> None:
    answer = own_house.admin.post("/v1/movements", {"movements": [RECEIPT]}, Idempotency_Key=key())
    assert answer.status_code == 201, answer.text
    movement = own_house.admin.everything("/v1/movements", document="PO-77")[0]
    assert [movement["id"]] == answer.json()["movement_ids"]
    assert (movement["quantity"], movement["occurred_at"]) == ("2.5", "2026-09-21T08:00:00Z")
    assert movement["log"]["gateway"] is None
    balance = own_house.admin.everything("/v1/balances", item="BOLT", location="STORE")
    assert [row["quantity"] for row in balance] == ["2.5"]
    entry = own_house.admin.everything("/v1/journal-entries", document="PO-77")[0]
    assert [(line["account"], line["debit"], line["credit"]) for line in entry["lines"]] == [
        ("140501", "10.50", None),
        ("220201", None, "10.50"),
    ]
    assert own_house.admin.get("/v1/accounts").status_code == 200


def test_a_piece_comes_goes_and_comes_back_under_its_serial_number_at_what_it_cost(own_house: Any) -> None:
    post = own_house.admin.post
    assert post("/v1/items", {"code": "WATCH", "name_en": "Watch", "method": "specific"}).status_code == 201
    came = {"kind": "purchase_receipt", "item": "WATCH", "quantity": "1", "from": "SUPPLIER", "to": "STORE"}
    rows = [
        came | {"price": "400", "lot": "SN-1", "occurred_at": "2026-09-21T08:00:00Z"},
        came | {"price": "500", "lot": "SN-2", "occurred_at": "2026-09-21T08:00:00Z"},
        {
            "kind": "sales_shipment", "item": "WATCH", "quantity": "1", "from": "STORE", "to": "CUSTOMER",
            "lot": "SN-2", "occurred_at": "2026-09-21T09:00:00Z", "document": "SO-1",
        },
    ]  # fmt: skip
    answer = post("/v1/movements", {"movements": rows}, Idempotency_Key=key())
    assert answer.status_code == 201, answer.text
    sold = answer.json()["movement_ids"][2]
    back = {
        "kind": "customer_return", "item": "WATCH", "quantity": "1", "from": "CUSTOMER", "to": "STORE",
        "lot": "SN-2", "returns": sold, "document": "RMA-1", "occurred_at": "2026-09-21T10:00:00Z",
    }  # fmt: skip
    answer = post("/v1/movements", {"movements": [back]}, Idempotency_Key=key())
    assert answer.status_code == 201, answer.text
    [shown] = own_house.admin.everything("/v1/movements", document="RMA-1")
    assert (shown["lot"], shown["returns"]) == ("SN-2", sold)
    lots = own_house.admin.everything("/v1/balances", item="WATCH", location="STORE")
    assert {(row["lot"], row["quantity"]) for row in lots} == {("SN-1", "1"), ("SN-2", "1")}
    for document, cost in (("SO-1", "500.00"), ("RMA-1", "500.00")):
        [entry] = own_house.admin.everything("/v1/journal-entries", document=document)
        assert [line["debit"] for line in entry["lines"]] == [cost, None]
    nameless = post("/v1/movements", {"movements": [came | {"price": "1"}]}, Idempotency_Key=key())
    assert [error["pointer"] for error in nameless.json()["errors"]] == ["/movements/0/lot"]


def test_the_same_request_again_gets_the_first_answer_and_changes_nothing(own_house: Any) -> None:
    name = key()
    body = {"movements": [{k: v for k, v in RECEIPT.items() if k != "occurred_at"}]}
    first = own_house.admin.post("/v1/movements", body, Idempotency_Key=name)
    before = own_house.admin.everything("/v1/movements")
    again = own_house.admin.post("/v1/movements", body, Idempotency_Key=name)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert own_house.admin.everything("/v1/movements") == before


def test_the_same_key_with_another_payload_is_refused(own_house: Any) -> None:
    name = key()
    assert own_house.admin.post("/v1/movements", {"movements": [RECEIPT]}, Idempotency_Key=name).status_code == 201
    other = own_house.admin.post(
        "/v1/movements", {"movements": [RECEIPT | {"quantity": "3"}]}, Idempotency_Key=name
    )
    assert (other.status_code, other.json()["type"]) == (409, "urn:tallygate:problem:key-used-before")
    assert len(own_house.admin.everything("/v1/movements", document="PO-77")) == 1


def test_a_request_without_a_key_is_refused(house: Any) -> None:
    answer = house.admin.post("/v1/movements", {"movements": [RECEIPT]})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["header/Idempotency-Key"]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"item": "NO-SUCH"}, "/movements/1/item"),
        ({"from": "NO-SUCH"}, "/movements/1/from"),
        ({"to": "NO-SUCH"}, "/movements/1/to"),
        ({"party": "NOBODY"}, "/movements/1/party"),
        ({"kind": "internal_move", "from": "STORE", "to": "YARD"}, "/movements/1/party"),
        ({"quantity": "0"}, "/movements/1"),
        ({"quantity": "9007199255"}, "/movements/1"),
        ({"from": "STORE"}, "/movements/1"),
        ({"price": None, "rate": "2"}, "/movements/1/rate"),
        ({"rate": "0.0000000001"}, "/movements/1/rate"),
        ({"price": "0.0000001"}, "/movements/1/price"),
        ({"occurred_at": "2026-09-21T10:00:00"}, "/movements/1/occurred_at"),
        ({"occurred_at": "2090-01-01T00:00:00Z"}, "/movements/1"),
        ({"lot": "L-1"}, "/movements/1/lot"),
        ({"lot": ""}, "/movements/1/lot"),
        ({"returns": "12"}, "/movements/1/returns"),
        ({"kind": "landed_cost", "party": None}, "/movements/1"),
    ],
)
def test_one_row_that_cannot_be_booked_keeps_all_from_the_books(house: Any, change: dict, pointer: str) -> None:
    document = key()
    rows = [RECEIPT | {"document": document}, RECEIPT | {"document": document} | change]
    answer = house.admin.post("/v1/movements", {"movements": rows}, Idempotency_Key=key())
    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert house.admin.everything("/v1/movements", document=document) == []


def test_a_thousand_movements_are_one_request_and_a_thousand_and_one_are_too_many(own_house: Any) -> None:
    rows = [RECEIPT | {"quantity": "1", "document": f"D-{n}"} for n in range(1000)]
    answer = own_house.admin.post("/v1/movements", {"movements": rows}, Idempotency_Key=key())
    assert len(set(answer.json()["movement_ids"])) == 1000
    too_many = own_house.admin.post("/v1/movements", {"movements": [*rows, RECEIPT]}, Idempotency_Key=key())
    assert too_many.status_code == 422


def test_a_masters_list_ends_where_the_next_page_begins(house: Any) -> None:
    house.warehouse.tag(51), house.warehouse.tag(52)
    house.warehouse.expect(Kind.SCRAP, "BOLT", 1)
    for path in (
        "items",
        "locations",
        "parties",
        "gates",
        "gateways",
        "tags",
        "expectations",
        "balances",
        "accounts",
    ):
        whole = house.admin.everything(f"/v1/{path}", limit=500)
        assert len(whole) > 1, path
        for limit in (1, 2):
            assert house.admin.everything(f"/v1/{path}", limit=limit) == whole, path


def test_quarantine_shows_the_bytes_and_what_became_of_them(own_house: Any) -> None:
    import base64

    warehouse = own_house.warehouse
    good = warehouse.tag(60)
    warehouse.log.passage(good, "in", 5000, gate="no-such-gate")
    warehouse.record(warehouse.log.message(len(warehouse.log.written)))
    found = own_house.admin.everything("/v1/quarantine", open="true")
    assert [(row["gateway"], row["first_seq"], row["last_seq"]) for row in found] == [("gw-1", 7, 7)]
    assert "no-such-gate" in found[0]["reason"]
    assert b"no-such-gate" in base64.b64decode(found[0]["payload_base64"])
    assert found[0]["resolution"] is None


def test_gateways_show_how_far_their_logs_are(house: Any) -> None:
    logs = {row["code"]: row for row in house.admin.everything("/v1/gateways")}["gw-1"]["logs"]
    assert [(log["applied_seq"], log["end_seq"], log["stopped"]) for log in logs] == [(6, None, None)]


def test_a_gateway_shows_what_it_counted_reader_by_reader(own_house: Any) -> None:
    said = {"online": True, "counters": {"dock.wrong_epc": 3, "dock.unknown_eye": 1, "written": 7}}
    own_house.owner.execute(
        "INSERT INTO gateway_status SELECT company_id, gateway_id, now(), true, 0, %s"
        " FROM gateways WHERE code = 'gw-1'",
        [json.dumps(said)],
    )
    shown = {row["code"]: row["counters"] for row in own_house.admin.everything("/v1/gateways")}
    assert shown == {"gw-1": said["counters"], "gw-2": {}}


def test_a_registered_tag_says_where_it_is(house: Any) -> None:
    tag = house.admin.get(f"/v1/tags/{epc(1)}").json()
    assert (tag["item"], tag["quantity"], tag["location"]) == ("BOLT", "10", "CUSTOMER")


def test_a_tag_that_carries_its_gtin_shows_its_item_without_a_registration(own_house: Any) -> None:
    gtin = "06901234000016"
    assert own_house.admin.post("/v1/items", {"code": "TEA", "name_en": "Tea", "gtin": gtin}).status_code == 201
    tag = encode(sgtin_of(gtin, 8, 7))
    warehouse = own_house.warehouse
    warehouse.log.passage(tag, "in", 6000)
    warehouse.record(warehouse.log.message(len(warehouse.log.written)))
    assert own_house.admin.get(f"/v1/tags/{tag}").status_code == 404
    passage = own_house.admin.everything("/v1/passages", epc=tag)[0]
    assert (passage["item"], passage["outcome"]) == ("TEA", "moved")
    traced = own_house.admin.get(f"/v1/trace/{tag}").json()
    assert (traced["tag"], traced["passages"][0]["item"]) == (None, "TEA")
