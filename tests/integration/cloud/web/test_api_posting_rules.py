"""Posting rules over the web: listed, begun, ended, tried out; what movements say of reason, dimensions, currency."""

from typing import Any

import pytest

from cloud.domain.access import Scope

PATH = "/v1/posting-rules"


def movement(**more: Any) -> dict[str, Any]:
    return {
        "kind": "scrap", "item": "LAMP", "quantity": "1", "from": "STORE", "to": "SCRAP",
        "occurred_at": "2026-09-21T20:00:00Z",
    } | more  # fmt: skip


def receipt(**more: Any) -> dict[str, Any]:
    return movement(**{"kind": "purchase_receipt", "from": "SUPPLIER", "to": "STORE", "price": "3.335"} | more)


def begin(house: Any, *rules: dict[str, Any]) -> Any:
    return house.admin.post(PATH, {"rules": list(rules)})


def try_out(house: Any, *movements: dict[str, Any], **more: Any) -> dict[str, Any]:
    response = house.admin.post(f"{PATH}/dry-run", {"movements": list(movements)} | more)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.fixture(scope="module", autouse=True)
def dimensions(house: Any) -> None:
    """Cost centre A1 may be named on losses in the ordinary course."""
    owner, company = house.owner, house.warehouse.company_id
    owner.execute(
        "INSERT INTO dimension_values (company_id, type_id, code)"
        " SELECT company_id, type_id, 'A1' FROM dimension_types WHERE company_id = %s AND code = 'cost_centre'",
        [company],
    )
    owner.execute(
        "INSERT INTO exchange_rates (company_id, currency, day, source, rate_nano, recorded_by)"
        " VALUES (%s, 840, '2026-09-20', 'safe', 7100000000, 'test')",
        [company],
    )


def test_rules_are_listed_begun_and_ended(house: Any) -> None:
    before = house.admin.everything(PATH, limit=7)
    assert {one["made_by"] for one in before} == {"shipped"}
    made = begin(
        house, {"kind": "scrap", "reason": "moths", "debit": "admin_loss", "credit": "pool",
                "dimensions": {"cost_centre": "A1"}}
    )  # fmt: skip
    assert made.status_code == 201, made.text
    [rule] = made.json()
    assert rule["dimensions"] == {"cost_centre": "A1"}
    assert rule["made_by"].startswith("Tester (")
    assert house.admin.everything(PATH, kind="scrap")[-1] == rule
    ended = house.admin.post(f"{PATH}/{rule['id']}/end", {})
    assert ended.status_code == 200
    assert ended.json()["ended_by"] == rule["made_by"]
    assert house.admin.everything(PATH) == before
    assert house.admin.everything(PATH, ended=True) == [*before, ended.json()]
    assert house.admin.post(f"{PATH}/{rule['id']}/end", {}).status_code == 404


def test_a_wrong_rule_is_told_by_row_and_field(house: Any) -> None:
    response = begin(
        house, {"kind": "scrap", "site": "MOON", "debit": "loss", "credit": "pool"},
        {"kind": "scrap", "debit": "loss", "credit": "cogs"},
    )  # fmt: skip
    assert response.status_code == 422
    assert [one["pointer"] for one in response.json()["errors"]] == ["/rules/0/site", "/rules/1/debit"]
    ambiguous = begin(house, {"kind": "scrap", "debit": "loss", "credit": "pool"})
    assert ambiguous.status_code == 422
    assert ambiguous.json()["errors"][0]["pointer"] == "/rules/0/priority"


@pytest.mark.parametrize("scopes", [(Scope.FINANCE,), (Scope.WRITE_MASTER,), (Scope.READ, Scope.WRITE_MOVEMENTS)])
def test_rules_are_changed_by_those_who_keep_the_books_master_data(house: Any, scopes: tuple[Scope, ...]) -> None:
    client = house.client(*scopes)
    assert client.post(PATH, {"rules": [{"kind": "scrap", "debit": "loss", "credit": "pool"}]}).status_code == 403
    assert client.post(f"{PATH}/1/end", {}).status_code == 403
    allowed = 200 if Scope.FINANCE in scopes else 403
    assert client.get(PATH).status_code == allowed
    assert client.get(f"{PATH}/coverage").status_code == allowed


def test_what_would_be_posted_is_what_is_posted(house: Any) -> None:
    rows = [
        receipt(currency="USD", quantity="3"),
        movement(reason="damage", dimensions={"cost_centre": "A1"}),
        movement(reason="theft"),
    ]
    tried = try_out(house, *rows)
    assert tried["would_be_booked"], tried
    assert [one["rule"]["reason"] for one in tried["rules"]] == [None, "damage", "theft"]
    posted = house.admin.post("/v1/movements", {"movements": rows}, Idempotency_Key="tried")
    assert posted.status_code == 201, posted.text
    for entry, source in zip(tried["entries"], posted.json()["movement_ids"], strict=True):
        books = house.owner.execute(
            "SELECT a.number, l.amount, l.currency, l.currency_amount FROM journal_lines l"
            " JOIN accounts a USING (company_id, account_id) WHERE l.source_id = %s ORDER BY l.line_no",
            [source],
        ).fetchall()
        assert [
            (
                line["account"],
                round(float(line["debit"] or 0) * 100) - round(float(line["credit"] or 0) * 100),
                840 if line["currency"] else 0,
                round(float(line["currency_amount"] or 0) * 100),
            )
            for line in entry["lines"]
        ] == books
    usd = tried["entries"][0]["lines"]
    assert [(line["debit"], line["currency"], line["currency_amount"]) for line in usd[:1]] == [
        ("71.04", "USD", "10.01")  # 3 × 3.335 = 10.005 at 7.1
    ]
    assert tried["entries"][1]["lines"][0]["dimensions"] == {"cost_centre": "A1"}


def test_a_movement_shows_what_it_said(house: Any) -> None:
    rows = [receipt(currency="USD", rate="7.25", quantity="2", reason="sample", dimensions={})]
    answer = house.admin.post("/v1/movements", {"movements": rows}, Idempotency_Key="shows").json()
    [shown] = [one for one in house.admin.everything("/v1/movements") if one["id"] == answer["movement_ids"][0]]
    assert (shown["price"], shown["currency"], shown["reason"], shown["dimensions"]) == (
        "3.335",
        "USD",
        "sample",
        {},
    )


@pytest.mark.parametrize(
    ("wrong", "field", "words"),
    [
        ({"dimensions": {"cost_centre": "Z9"}}, "dimensions", "there is no cost_centre 'Z9'"),
        ({"currency": "XXX"}, "currency", "XXX"),
        ({"currency": "EUR"}, "rate", "no rate of EUR is known on 2026-09-22"),
        ({"currency": "CNY", "rate": "2"}, "rate", "the company's own currency: its rate is 1"),
        ({"price": None, "rate": "2"}, "rate", "a rate needs a price"),
        ({"price": None, "currency": "USD"}, "currency", "a currency needs a price"),
    ],
)
def test_what_a_movement_cannot_say_is_told_by_field(
    house: Any, wrong: dict[str, Any], field: str, words: str
) -> None:
    response = house.admin.post(
        "/v1/movements", {"movements": [receipt(**wrong)]}, Idempotency_Key=f"w{words}"[:20].replace(" ", "")
    )
    assert response.status_code == 422, response.text
    [error] = response.json()["errors"]
    assert error["pointer"] == f"/movements/0/{field}"
    assert words in error["detail"]


def test_a_dry_run_tells_refusals_by_pointer_and_books_nothing(house: Any) -> None:
    before = house.owner.execute("SELECT count(*), max(recorded_at) FROM movements").fetchall()
    tried = try_out(
        house, movement(), movement(to="CUSTOMER", kind="transfer_out"),
        value_events={"kind": "landed_cost", "rows": [{"receipts": ["0" * 32], "amount": "5"}]},
    )  # fmt: skip
    assert not tried["would_be_booked"]
    assert [one["pointer"] for one in tried["refused"]] == ["/movements/1", "/value_events/rows/0/receipt"]
    assert [one["movement"] for one in tried["entries"]] == [0]
    assert house.owner.execute("SELECT count(*), max(recorded_at) FROM movements").fetchall() == before
    nothing = house.admin.post(f"{PATH}/dry-run", {})
    assert nothing.status_code == 422


def test_value_events_are_tried_out(house: Any) -> None:
    answer = house.admin.post(
        "/v1/movements", {"movements": [receipt(price="4")]}, Idempotency_Key="tovalue"
    ).json()
    [receipt_id] = answer["movement_ids"]
    said = {"kind": "price_correction", "rows": [{"receipt": receipt_id, "price": "6"}], "document": "INV-9"}
    [entry] = try_out(house, value_events=said)["entries"]
    assert (entry["movement"], entry["kind"], entry["document"]) == (None, "price_correction", "INV-9")
    assert entry["rule"]["credit"] == "grni"
    assert [line["credit"] for line in entry["lines"]][-1] == "2.00"


def test_goods_shipped_are_kept_until_they_are_invoiced_by_a_setting(house: Any) -> None:
    path = f"{PATH}/goods-shipped-not-invoiced"

    def put(on: bool) -> dict[str, Any]:
        return house.http.put(path, json={"on": on}, headers=house.admin.headers).json()

    assert house.admin.get(path).json()["on"] is False
    assert [one["kind"] for one in put(True)["begun"]] == ["sales_shipment", "customer_return"]
    assert house.admin.get(path).json()["on"] is True
    shipment = movement(kind="sales_shipment", to="CUSTOMER")
    assert [line["role"] for line in try_out(house, shipment)["entries"][0]["lines"]] == ["shipped", "goods"]
    assert len(put(False)["ended"]) == 2
    assert [line["role"] for line in try_out(house, shipment)["entries"][0]["lines"]] == ["cogs", "goods"]


def test_coverage_tells_what_would_be_refused(house: Any) -> None:
    assert house.admin.get(f"{PATH}/coverage").json() == {"covered": True, "gaps": []}
    [rule] = house.admin.everything(PATH, kind="opening_stock")
    house.admin.post(f"{PATH}/{rule['id']}/end", {})
    told = house.admin.get(f"{PATH}/coverage").json()
    assert told["covered"] is False
    assert [(one["lack"], one["kind"], one["sentence"]) for one in told["gaps"]] == [
        ("no_rule", "opening_stock", "opening_stock: no posting rule covers it")
    ]
    assert begin(house, {"kind": "opening_stock", "debit": "pool", "credit": "opening_equity"}).status_code == 201
    assert house.admin.get(f"{PATH}/coverage").json()["covered"] is True


def test_an_expectation_says_why_and_of_which_dimensions(house: Any) -> None:
    said = {
        "gate": "dock-1", "direction": "out", "kind": "scrap", "item": "LAMP", "quantity": "1",
        "open_until": "2030-01-01T00:00:00Z", "reason": "damage", "dimensions": {"cost_centre": "A1"},
    }  # fmt: skip
    made = house.admin.post("/v1/expectations", said)
    assert made.status_code == 201, made.text
    assert (made.json()["reason"], made.json()["dimensions"]) == ("damage", {"cost_centre": "A1"})
    wrong = house.admin.post("/v1/expectations", said | {"dimensions": {"project": "P7"}})
    assert wrong.status_code == 422
    assert wrong.json()["errors"] == [{"pointer": "/dimensions", "detail": "there is no project 'P7'"}]


def test_a_party_is_posted_by_the_rules_of_its_class(house: Any) -> None:
    body = {"code": "SISTER", "name": "Sister Ltd", "kind": "customer"}
    assert house.admin.post("/v1/parties", body).json()["party_class"] == ""
    assert begin(
        house, {"kind": "sales_shipment", "party_class": "group", "debit": "admin_loss", "credit": "pool"}
    ).status_code == 201  # fmt: skip
    shipment = movement(kind="sales_shipment", to="CUSTOMER", party="SISTER")
    assert [line["role"] for line in try_out(house, shipment)["entries"][0]["lines"]] == ["cogs", "goods"]

    def classed(code: str) -> Any:
        path = f"/v1/parties/customer/{code}/class"
        return house.http.put(path, json={"party_class": "group"}, headers=house.admin.headers)

    assert classed("SISTER").json()["party_class"] == "group"
    assert classed("NOBODY").status_code == 404
    assert [line["role"] for line in try_out(house, shipment)["entries"][0]["lines"]] == ["admin_loss", "goods"]
