"""/v1/trial-balance and /v1/open-items: what accounts have, and what is open on them since when."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from cloud.domain.movement import Kind

PERIOD = 202609


def rows_of(house: Any, **parameters: Any) -> dict[str, dict[str, Any]]:
    answer = house.admin.get("/v1/trial-balance", **parameters)
    assert answer.status_code == 200, answer.text
    return {row["number"]: row for row in answer.json()["rows"]}


def by_role(house: Any, role: str) -> str:
    [(number,)] = house.warehouse.fetch("SELECT number FROM accounts WHERE role = %s", role)
    return str(number)


def test_a_period_opens_with_what_the_ones_before_it_left(house: Any) -> None:
    goods, cogs = by_role(house, "goods"), by_role(house, "cogs")
    rows = rows_of(house, period=PERIOD)
    assert (rows[goods]["opening"], rows[goods]["debit"], rows[goods]["credit"], rows[goods]["closing"]) == (
        "0.00", "175.34", "42.00", "133.34"
    )  # fmt: skip
    assert rows[cogs]["closing"] == "42.00"
    later = rows_of(house, period=PERIOD + 1)
    assert (later[goods]["opening"], later[goods]["debit"], later[goods]["closing"]) == (
        "133.34",
        "0.00",
        "133.34",
    )
    both = rows_of(house, **{"from": PERIOD, "to": PERIOD + 1})
    assert both[goods] == rows[goods]


def test_totals_agree_and_stock_ties_to_its_costs(house: Any) -> None:
    body = house.admin.get("/v1/trial-balance", period=PERIOD, stock=True).json()
    totals = body["totals"]
    assert totals["agree"]
    assert totals["debit"] == totals["credit"] != "0.00"
    assert (body["first_day"], body["last_day"], body["currency"]) == ("2026-09-01", "2026-09-30", "CNY")
    assert {tie["difference"] for tie in body["stock"]} == {"0.00"}
    assert {tie["number"]: tie["ledger"] for tie in body["stock"]}[by_role(house, "goods")] == "133.34"


def test_rows_can_be_apart_by_dimension_and_currency(own_house: Any) -> None:
    warehouse = own_house.warehouse
    warehouse.expect(Kind.PURCHASE_RECEIPT, "STEEL", 5, price="10", currency="USD", rate_nano=7_100_000_000)
    warehouse.log.passage(warehouse.tag(50, "STEEL", 5), "in", 8000)
    warehouse.record(warehouse.log.message(len(warehouse.log.written)))
    answer = own_house.admin.get("/v1/trial-balance", period=PERIOD, by=["dimension", "currency"]).json()
    dollars = [row for row in answer["rows"] if row["in_currency"] and not row["sums_children"]]
    assert {(row["closing"], row["in_currency"]["currency"], row["in_currency"]["closing"]) for row in dollars} == {
        ("355.00", "USD", "50.00"), ("-355.00", "USD", "-50.00")
    }  # fmt: skip
    assert answer["totals"]["agree"]


@pytest.mark.parametrize(
    ("parameters", "status"),
    [({}, 422), ({"period": PERIOD, "from": PERIOD}, 422), ({"from": PERIOD, "to": PERIOD - 1}, 422),
     ({"period": 190001}, 404), ({"period": PERIOD, "by": "colour"}, 422)],
)  # fmt: skip
def test_a_trial_balance_is_of_periods_of_the_calendar(
    house: Any, parameters: dict[str, Any], status: int
) -> None:
    assert house.admin.get("/v1/trial-balance", **parameters).status_code == status


def test_an_open_item_says_what_it_is_how_much_and_how_old(house: Any) -> None:
    found = house.admin.everything("/v1/open-items", account=by_role(house, "grni"), as_of="2026-10-01")
    assert sorted((one["document"], one["party"], one["item"], one["quantity"], one["amount"]) for one in found) == [
        ("PO-1", "ACME", "BOLT", "10", "-42.00"), ("PO-1", "ACME", "LAMP", "4", "-133.34")
    ]  # fmt: skip
    assert {one["kind"] for one in found} == {"purchase_receipt"}
    opened = date.fromisoformat(found[0]["opened_on"])
    assert found[0]["age_days"] == (date(2026, 10, 1) - opened).days
    assert house.admin.get(f"/v1/trace/{found[0]['source']}").status_code == 200
    assert house.admin.everything("/v1/open-items", as_of="2026-01-01") == []
    assert house.admin.everything("/v1/open-items", party="NOBODY") == []


def test_goods_in_clarification_are_open_by_their_layers(house: Any) -> None:
    account = by_role(house, "clarification_stock")
    (layer,) = house.admin.everything("/v1/open-items", account=account)
    assert (layer["sort"], layer["item"], layer["quantity"], layer["value"], layer["amount"]) == (
        "layer", "STEEL", "2", "0.00", None
    )  # fmt: skip
    assert layer["since"].startswith("2026-09-21")
    refused = house.admin.get("/v1/open-items", account=account, as_of="2026-10-01")
    assert refused.status_code == 422
    assert "as they are now" in refused.text
    assert house.admin.get("/v1/open-items", account="nowhere").status_code == 404


def test_pages_of_open_items_are_whole(house: Any) -> None:
    everything = house.admin.everything("/v1/open-items")
    assert house.admin.everything("/v1/open-items", limit=1) == everything
    assert len(everything) >= 3


@pytest.mark.parametrize("role", ["grni", "clarification"])
def test_items_come_to_the_balance_of_their_account(own_house: Any, role: str) -> None:
    """given goods that leave without any in stock, and their receipt behind them: what settles the shortage is of the
    shipment's item."""
    warehouse = own_house.warehouse
    warehouse.log.passage(warehouse.tag(70, "STEEL", 5), "out", 9000)
    warehouse.record(warehouse.log.message(len(warehouse.log.written)))
    warehouse.expect(Kind.PURCHASE_RECEIPT, "STEEL", 6, price="8", document="PO-71", party="ACME")
    warehouse.log.passage(warehouse.tag(71, "STEEL", 6), "in", 9100)
    warehouse.record(warehouse.log.message(len(warehouse.log.written)))
    number = by_role(own_house, role)
    items = own_house.admin.everything("/v1/open-items", account=number)
    assert items
    closing = rows_of(own_house, period=PERIOD)[number]["closing"]
    assert sum(Decimal(one["amount"]) for one in items) == Decimal(closing) != 0
