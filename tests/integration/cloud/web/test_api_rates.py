"""Exchange rates through the API: recorded once, paged, asked for a day, and taken by what is priced in them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cloud.domain.access import Scope

DAY = "2026-09-30"


def know(client: Any, *rates: dict) -> Any:
    return client.post(
        "/v1/rates", {"rates": [{"currency": "USD", "date": DAY, "rate": "7.1"} | rate for rate in rates]}
    )


def test_a_rate_is_recorded_once_under_the_name_of_who_said_so(house: Any) -> None:
    client = house.client(Scope.FINANCE)
    first = know(client, {"rate": "7.123400", "source": "once"})
    assert first.status_code == 201, first.text
    (added,) = first.json()["added"]
    assert (added["currency"], added["date"], added["rate"], added["source"]) == ("USD", DAY, "7.1234", "once")
    assert added["by"].startswith("Tester (")
    again = know(client, {"rate": "7.1234", "source": "once"})
    assert (again.status_code, again.json()) == (201, {"added": []})
    other = know(client, {"rate": "7.2", "source": "once"})
    assert [rate["rate"] for rate in other.json()["added"]] == ["7.2"]
    taken = client.get(f"/v1/rates/USD/{DAY}", source="once").json()
    assert taken == other.json()["added"][0]
    before = client.get(f"/v1/rates/USD/{DAY}", source="once", recorded_before=added["recorded_at"]).json()
    assert before == added


def test_a_day_without_a_rate_says_so(house: Any) -> None:
    answer = house.admin.get("/v1/rates/CHF/2026-09-30")
    assert answer.status_code == 404
    assert answer.json()["detail"] == "no rate of CHF is known on 2026-09-30 or in the 10 days before it"
    know(house.admin, {"currency": "CHF", "date": "2026-09-01", "rate": "9"})
    assert house.admin.get("/v1/rates/CHF/2026-09-30").status_code == 404
    assert house.admin.get("/v1/rates/CHF/2026-09-30", age_days=29).json()["date"] == "2026-09-01"


def test_rates_are_paged_in_the_order_in_which_they_were_recorded(house: Any) -> None:
    client = house.client(Scope.FINANCE)
    know(client, *({"currency": "GBP", "date": f"2026-09-{day:02}", "source": "paged"} for day in (3, 1, 2)))
    know(client, {"currency": "GBP", "date": "2026-09-01", "source": "paged", "rate": "9.3"})
    pages, cursor = [], None
    while True:
        more = {} if cursor is None else {"cursor": cursor}
        page = client.get("/v1/rates", source="paged", limit=2, **more).json()
        pages.append([(rate["date"][-2:], rate["rate"]) for rate in page["data"]])
        if not page["has_more"]:
            break
        cursor = page["next_cursor"]
    assert pages == [[("03", "7.1"), ("02", "7.1")], [("01", "9.3")]]
    all_of_them = client.get("/v1/rates", source="paged", superseded="true", to="2026-09-01").json()["data"]
    assert [rate["rate"] for rate in all_of_them] == ["7.1", "9.3"]
    assert (
        client.get("/v1/rates", currency="GBP", **{"from": "2026-09-03"}).json()["data"][0]["date"] == "2026-09-03"
    )


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"currency": "XXQ"}, "/rates/1/currency"),
        ({"currency": "CNY"}, "/rates/1/currency"),
        ({"rate": "0"}, "/rates/1/rate"),
        ({"rate": "1.0000000001"}, "/rates/1/rate"),
        ({"rate": "-1"}, "/rates/1/rate"),
        ({"date": "2026-02-30"}, "/rates/1/date"),
        ({"source": "x" * 65}, "/rates/1/source"),
        ({}, "/rates/1"),
    ],
)
def test_a_wrong_rate_is_named_and_nothing_is_recorded(house: Any, wrong: dict, pointer: str) -> None:
    source = {"source": "wrong"}
    answer = know(house.admin, source, source | wrong)
    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert house.admin.get("/v1/rates", source="wrong").json()["data"] == []


def test_rates_are_for_finance_alone(house: Any) -> None:
    client = house.client(Scope.READ, Scope.WRITE_MASTER, Scope.WRITE_MOVEMENTS)
    for answer in (client.get("/v1/rates"), know(client, {}), client.get(f"/v1/rates/USD/{DAY}")):
        assert (answer.status_code, answer.json()["needed_scopes"]) == (403, ["finance"])


def test_an_expectation_in_another_currency_takes_the_rate_of_today(house: Any) -> None:
    body = {
        "gate": "dock-2", "direction": "in", "item": "BOLT", "kind": "purchase_receipt", "price": "1",
        "currency": "SEK", "quantity": "1", "open_until": "2027-01-01T00:00:00Z",
    }  # fmt: skip
    refused = house.admin.post("/v1/expectations", body)
    assert [error["pointer"] for error in refused.json()["errors"]] == ["/rate"]
    yesterday = str((datetime.now(UTC) - timedelta(days=1)).date())
    know(house.admin, {"currency": "SEK", "date": yesterday, "rate": "0.6789"})
    added = house.admin.post("/v1/expectations", body)
    assert (added.status_code, added.json()["rate"]) == (201, "0.6789"), added.text
    assert house.admin.post("/v1/expectations", body | {"currency": "CNY"}).json()["rate"] == "1"
