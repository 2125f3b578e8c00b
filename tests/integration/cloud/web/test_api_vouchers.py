"""/v1/vouchers and the numbers that other answers show: serial of a movement, voucher of an entry."""

from typing import Any

import pytest

from cloud.domain.access import Scope
from cloud.flows.ledger.number_vouchers import number_vouchers

PERIOD = 202609


@pytest.fixture(autouse=True)
def numbered(house: Any) -> None:
    number_vouchers(house.owner, house.warehouse.company_id)


def vouchers(house: Any, **parameters: Any) -> Any:
    answer = house.admin.get("/v1/vouchers", **parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_period_is_listed_in_the_order_of_its_numbers(house: Any) -> None:
    entries = vouchers(house, period=PERIOD, limit=500)["data"]
    assert [entry["voucher"] for entry in entries] == [f"记-{n}" for n in range(1, len(entries) + 1)]
    assert len(entries) >= 3
    for entry in entries:
        assert entry["period"] == PERIOD
        assert sum(float(line["debit"] or 0) - float(line["credit"] or 0) for line in entry["lines"]) == 0


def test_a_page_ends_where_the_next_begins(house: Any) -> None:
    whole = [entry["id"] for entry in vouchers(house, period=PERIOD, limit=500)["data"]]
    seen: list[str] = []
    cursor: dict[str, Any] = {}
    while True:
        page = vouchers(house, period=PERIOD, limit=2, **cursor)
        seen += [entry["id"] for entry in page["data"]]
        if not page["has_more"]:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == whole
    answer = house.admin.get("/v1/vouchers", period=PERIOD + 1, **cursor)
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:tallygate:problem:bad-cursor")


def test_a_word_alone_can_be_asked_for(house: Any) -> None:
    whole = vouchers(house, period=PERIOD, limit=500)["data"]
    assert vouchers(house, period=PERIOD, limit=500, word="记")["data"] == whole
    assert vouchers(house, period=PERIOD, word="付")["data"] == []
    assert vouchers(house, period=PERIOD + 1)["data"] == []
    assert house.admin.get("/v1/vouchers", period=PERIOD, word="X").status_code == 422
    assert house.admin.get("/v1/vouchers").status_code == 422


def test_feed_and_trace_show_the_same_number(house: Any) -> None:
    by_id = {entry["id"]: entry["voucher"] for entry in vouchers(house, period=PERIOD, limit=500)["data"]}
    feed = house.admin.get("/v1/journal-entries", limit=500).json()["data"]
    assert {entry["id"]: entry["voucher"] for entry in feed} == by_id
    line = feed[0]["lines"][0]["id"]
    traced = house.admin.get(f"/v1/trace/{line}").text
    assert f'"voucher":"{by_id[feed[0]["id"]]}"' in traced


def test_every_movement_has_a_serial_of_its_own(house: Any) -> None:
    movements = house.admin.get("/v1/movements", limit=500).json()["data"]
    rows = house.warehouse.fetch(
        "SELECT movement_id::text, lane || '-' || batch_no || '-' || row_no FROM movements"
    )
    assert {one["id"]: one["serial"] for one in movements} == dict(rows)
    assert len({one["serial"] for one in movements}) == len(movements) > 3


def test_numbers_are_for_those_who_may_see_the_money(house: Any) -> None:
    assert house.client(Scope.READ).get("/v1/vouchers", period=PERIOD).status_code == 403
