"""Value events, work orders, standards, write-downs and changes of method through the API."""

import uuid
from typing import Any

import pytest

from cloud.domain.access import Scope

FINANCE = (Scope.FINANCE, Scope.WRITE_MOVEMENTS)
BUYING = {
    "kind": "purchase_receipt", "item": "STEEL", "quantity": "100", "from": "SUPPLIER", "to": "STORE",
    "party": "ACME", "document": "PO-77", "price": "5", "occurred_at": "2026-09-21T10:00:00Z",
}  # fmt: skip


def key() -> str:
    return uuid.uuid4().hex


def post(client: Any, path: str, body: dict, name: str | None = None) -> Any:
    return client.post(path, body, Idempotency_Key=name or key())


def bought(house: Any, **more: str) -> str:
    """The id of a receipt of 100 steel @ 5.00."""
    answer = post(house.admin, "/v1/movements", {"movements": [BUYING | more]})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["movement_ids"][0])


def refused(answer: Any, status: int = 422) -> list[tuple[str, str]]:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    return [(error["pointer"], error["detail"]) for error in answer.json()["errors"]]


# ── Value events ──


def test_an_invoice_with_another_price_is_booked_once_under_the_name_of_who_said_so(own_house: Any) -> None:
    receipt = bought(own_house)
    body = {
        "kind": "price_correction",
        "document": "INV-1",
        "party": "ACME",
        "rows": [{"receipt": receipt, "price": "5.50"}],
    }
    client, name = own_house.client(*FINANCE), key()
    first = post(client, "/v1/value-events", body, name)
    assert first.status_code == 201, first.text
    (event,) = first.json()["events"]
    assert (event["kind"], event["item"], event["receipt"], event["value"], event["document"]) == (
        "price_correction", "STEEL", receipt, "50.00", "INV-1",
    )  # fmt: skip
    assert event["by"].startswith("Tester (")
    again = post(client, "/v1/value-events", body, name)
    assert (again.json(), again.headers["Idempotency-Replayed"]) == (first.json(), "true")
    other = body | {"document": "INV-2"}
    assert post(client, "/v1/value-events", other, name).json()["type"] == "urn:tallygate:problem:key-used-before"
    (entry,) = own_house.admin.everything("/v1/journal-entries", document="INV-1")
    assert sorted(line["debit"] or line["credit"] for line in entry["lines"]) == ["50.00", "50.00"]


def test_freight_is_shared_over_the_receipts_it_names(own_house: Any) -> None:
    receipts = [bought(own_house), bought(own_house, quantity="300")]
    body = {
        "kind": "landed_cost",
        "document": "F-1",
        "rows": [{"receipts": receipts, "amount": "40", "by": "quantity"}],
    }
    answer = post(own_house.admin, "/v1/value-events", body)
    assert [event["value"] for event in answer.json()["events"]] == ["10.00", "30.00"]


def test_a_rule_that_is_written_shares_the_next_cost(own_house: Any) -> None:
    bought(own_house, document="PO-500")
    adopted = own_house.admin.post("/v1/allocation-rules", {"industry": "retail"})
    assert [rule["cost_type"] for rule in adopted.json()] == ["freight", "duty"]
    own = {"cost_type": "insurance", "by": "value", "dimension": "document"}
    assert own_house.admin.post("/v1/allocation-rules", own).status_code == 201
    rules = own_house.admin.everything("/v1/allocation-rules", limit=1)
    assert [(rule["industry"], rule["cost_type"]) for rule in rules] == [
        ("retail", "freight"), ("retail", "duty"), ("", "insurance"),
    ]  # fmt: skip
    body = {"kind": "shared_cost", "cost_type": "insurance", "amount": "12.34", "of": "PO-500"}
    answer = post(own_house.admin, "/v1/value-events", body)
    assert [(event["kind"], event["value"]) for event in answer.json()["events"]] == [("landed_cost", "12.34")]
    unknown = own_house.admin.post("/v1/allocation-rules", {"industry": "whaling"})
    assert refused(unknown)[0][0] == "/industry"


@pytest.mark.parametrize(
    ("row", "pointer", "said"),
    [
        ({"receipt": str(uuid.UUID(int=7)), "price": "1"}, "/rows/1/receipt", "no movement"),
        ({"price": "5.5", "amount": "3"}, "/rows/1/price", "expected either a price or an amount, got both"),
        ({"price": "5", "rate": "7.1"}, "/rows/1/rate", "exchange gain or loss"),
        ({"price": "-5"}, "/rows/1/price", ""),
        ({"amount": "0.0000001"}, "/rows/1/amount", ""),
        ({"amount": "NaN"}, "/rows/1/amount", ""),
        ({"prise": "5"}, "/rows/1/prise", ""),
    ],
)
def test_a_correction_that_cannot_be_is_named_by_row_and_field(
    house: Any, row: dict, pointer: str, said: str
) -> None:
    rows = [{"receipt": bought(house), "price": "6"}, {"receipt": bought(house)} | row]
    found = refused(post(house.admin, "/v1/value-events", {"kind": "price_correction", "rows": rows}))
    assert found
    assert found[0][0] == pointer
    assert said in found[0][1]
    # Nothing of it was booked: the first row can still be, from the receipt's own price.
    alone = post(house.admin, "/v1/value-events", {"kind": "price_correction", "rows": rows[:1]})
    assert [event["value"] for event in alone.json()["events"]] == ["100.00"]


# ── Work orders ──


def test_a_work_order_from_release_to_close(own_house: Any) -> None:
    bought(own_house)
    client = own_house.client(Scope.WRITE_MOVEMENTS, Scope.READ)

    def step(path: str, body: dict) -> dict:
        answer = post(client, f"/v1/work-orders{path}", body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json()["order"])

    order = {"code": "WO-1", "item": "LAMP", "quantity": "10", "site": "MAIN", "workshop": "PRESS",
             "components": [{"item": "STEEL", "quantity": "2"}], "occurred_at": "2026-09-22T08:00:00Z"}  # fmt: skip
    assert step("", order)["state"] == "open"
    issue = {"rows": [{"item": "STEEL", "quantity": "20", "from": "STORE"}], "occurred_at": "2026-09-22T09:00:00Z"}
    assert step("/WO-1/issues", issue)["in_work"] == "100.00"
    costs = {"rows": [{"kind": "labour", "amount": "30"}, {"kind": "overhead", "amount": "20", "reason": "power"}],
             "occurred_at": "2026-09-22T10:00:00Z"}  # fmt: skip
    assert step("/WO-1/costs", costs)["in_work"] == "150.00"
    done = step("/WO-1/receipts", {"quantity": "8", "to": "STORE", "occurred_at": "2026-09-22T11:00:00Z"})
    assert (done["received"], done["in_work"]) == ("8", "30.00")
    closed = step("/WO-1/close", {"occurred_at": "2026-09-22T12:00:00Z"})
    assert (closed["state"], closed["in_work"]) == ("closed", "0.00")
    one = client.get("/v1/work-orders/WO-1").json()
    assert one["components"] == [{"item": "STEEL", "quantity": "2", "used": "20"}]
    assert [row["code"] for row in client.everything("/v1/work-orders", state="closed")] == ["WO-1"]
    assert client.everything("/v1/work-orders", state="open") == []
    kinds = [row["kind"] for row in client.everything("/v1/movements", document="WO-1")]
    assert kinds == ["production_start", "production_issue", "production_receipt", "production_end"]


def test_work_orders_that_cannot_be_say_why(own_house: Any) -> None:
    client = own_house.admin
    assert post(client, "/v1/work-orders/NONE/close", {}).status_code == 404
    assert client.get("/v1/work-orders/NONE").status_code == 404
    order = {"code": "WO-1", "item": "LAMP", "quantity": "10", "site": "MAIN"}
    unknown = order | {"item": "NO-SUCH", "site": "STORE", "components": [{"item": "NEITHER", "quantity": "1"}]}
    assert [pointer for pointer, _ in refused(post(client, "/v1/work-orders", unknown))] == [
        "/item", "/site", "/components/0/item",
    ]  # fmt: skip
    itself = order | {"components": [{"item": "LAMP", "quantity": "1"}]}
    assert refused(post(client, "/v1/work-orders", itself))[0][0] == "/components/0/item"
    assert post(client, "/v1/work-orders", order).status_code == 201
    assert refused(post(client, "/v1/work-orders", order))[0][0] == "/code"
    rows = [
        {"item": "STEEL", "quantity": "1", "from": "STORE"},
        {"item": "STEEL", "quantity": "0", "from": "STORE"},
    ]
    assert refused(post(client, "/v1/work-orders/WO-1/issues", {"rows": rows}))[0][0].startswith("/rows/1")
    assert (
        refused(post(client, "/v1/work-orders/WO-1/receipts", {"quantity": "1", "to": "NOWHERE"}))[0][0] == "/to"
    )


# ── Standards, write-downs, methods ──


def test_a_standard_a_write_down_and_a_change_of_method_answer_with_their_events(own_house: Any) -> None:
    assert (
        own_house.admin.post("/v1/items", {"code": "ROD", "name_en": "Rod", "method": "fifo"}).status_code == 201
    )
    bought(own_house, item="ROD")
    client = own_house.client(*FINANCE)
    down = {"items": [{"item": "ROD", "net_realisable_value": "4.50"}], "reason": "market"}
    (event,) = post(client, "/v1/write-downs", down).json()["events"]
    assert (event["kind"], event["item"], event["value"], event["reason"]) == (
        "write_down", "ROD", "50.00", "market",
    )  # fmt: skip
    assert post(client, "/v1/write-downs", down).json() == {"events": []}
    too_early = {"item": "ROD", "method": "moving_average", "from": "2026-09-02"}
    assert refused(post(client, "/v1/method-changes", too_early))[0][0] == "/from"
    forbidden = {"item": "ROD", "method": "lifo", "from": "2026-10-01"}
    assert refused(post(client, "/v1/method-changes", forbidden))[0] == (
        "/method",
        "lifo is not allowed under ASBE",
    )
    standard = {"item": "ROD", "method": "standard", "from": "2026-10-01", "standard": "5.20"}
    kinds = {event["kind"] for event in post(client, "/v1/method-changes", standard).json()["events"]}
    assert kinds == {"standard_change", "method_change"}
    assert own_house.admin.get("/v1/items/ROD").json()["method"] == "standard"
    again = post(client, "/v1/standards", {"standards": [{"item": "ROD", "standard": "5.30"}]})
    assert {event["value"] for event in again.json()["events"]} == {"5.30"}
    not_standard = {"standards": [{"item": "ROD", "standard": "5"}, {"item": "BOLT", "standard": "5"}]}
    assert refused(post(client, "/v1/standards", not_standard))[0][0] == "/standards/1/item"


@pytest.mark.parametrize("path", ["/v1/value-events", "/v1/standards", "/v1/write-downs", "/v1/method-changes"])
def test_changing_what_goods_are_worth_takes_the_scopes_of_money_and_of_writing(house: Any, path: str) -> None:
    for scope in FINANCE:
        answer = post(house.client(scope), path, {})
        assert (answer.status_code, answer.json()["needed_scopes"]) == (403, list(FINANCE))
    assert post(house.client(*FINANCE), path, {}).status_code == 422


@pytest.mark.parametrize(
    "path", ["/v1/value-events", "/v1/work-orders", "/v1/work-orders/WO-1/close", "/v1/standards"]
)
def test_every_request_names_itself_by_a_key(house: Any, path: str) -> None:
    assert ("header/Idempotency-Key") in [pointer for pointer, _ in refused(house.admin.post(path, {}))]


def test_a_kind_of_change_that_does_not_exist_is_told_which_do(house: Any) -> None:
    ((pointer, said),) = refused(post(house.admin, "/v1/value-events", {"kind": "wish", "rows": []}))
    assert pointer == ""
    assert "'price_correction', 'landed_cost', 'shared_cost'" in said
    missing = refused(post(house.admin, "/v1/value-events", {"kind": "landed_cost"}))
    assert missing[0][0] == "/rows"


def test_pieces_that_are_told_apart_go_into_an_order_and_come_out_by_their_numbers(own_house: Any) -> None:
    """Two motors of different cost; the dearer one goes into a pump, which has a number of its own."""
    client = own_house.admin
    for code in ("MOTOR", "PUMP"):
        item = {"code": code, "name_en": code, "method": "specific", "tracking": "serial"}
        assert client.post("/v1/items", item).status_code == 201
    for lot, price in (("M-1", "80"), ("M-2", "95")):
        bought(own_house, item="MOTOR", quantity="1", lot=lot, price=price)
    order = {
        "code": "WO-1",
        "item": "PUMP",
        "quantity": "1",
        "site": "MAIN",
        "occurred_at": "2026-09-22T08:00:00Z",
    }
    assert post(client, "/v1/work-orders", order).status_code == 201
    issue = {"rows": [{"item": "MOTOR", "quantity": "1", "from": "STORE"}], "occurred_at": "2026-09-22T09:00:00Z"}
    assert refused(post(client, "/v1/work-orders/WO-1/issues", issue))[0][0] == "/rows/0/lot"
    issue["rows"][0]["lot"] = "M-2"  # type: ignore[index]
    assert post(client, "/v1/work-orders/WO-1/issues", issue).json()["order"]["in_work"] == "95.00"
    output = {"quantity": "1", "to": "STORE", "occurred_at": "2026-09-22T10:00:00Z"}
    assert refused(post(client, "/v1/work-orders/WO-1/receipts", output))[0][0] == "/lot"
    assert post(client, "/v1/work-orders/WO-1/receipts", output | {"lot": "P-7"}).status_code == 201
    moved = {(row["kind"], row["lot"]) for row in client.everything("/v1/movements", document="WO-1")}
    assert moved == {("production_start", None), ("production_issue", "M-2"), ("production_receipt", "P-7")}
