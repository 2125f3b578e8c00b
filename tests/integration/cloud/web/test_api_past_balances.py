"""/v1/balances?at=…: what lay where at a past moment, and what the books said then."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cloud.flows.keep_balances import keep_balances
from cloud.store import snapshots


def told(house: Any, **parameters: Any) -> dict[tuple[str, str], str]:
    rows = house.admin.everything("/v1/balances", **parameters)
    return {(row["item"], row["location"]): row["quantity"] for row in rows}


def now(house: Any) -> dict[tuple[str, str], str]:
    return told(house)


def text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def moments(house: Any, clock: str) -> list[datetime]:
    """When movements were, by one of the two clocks."""
    rows = house.warehouse.fetch(
        "SELECT DISTINCT CASE %s WHEN 'recorded' THEN recorded_at"
        " ELSE 'epoch'::timestamptz + occurred_us * INTERVAL '1 microsecond' END AS t FROM movements ORDER BY t",
        clock,
    )
    return [row[0] for row in rows]


@pytest.mark.parametrize("clock", ["occurred", "recorded"])
def test_before_everything_there_is_nothing_and_after_it_what_there_is_now(house: Any, clock: str) -> None:
    known = moments(house, clock)
    assert told(house, at=text(known[0] - timedelta(microseconds=1)), clock=clock) == {}
    assert told(house, at=text(known[-1]), clock=clock) == now(house)
    assert told(house, at="2190-01-01T00:00:00+08:00", clock=clock) == now(house)


def test_a_late_movement_lies_where_it_was_and_stands_where_it_was_told(own_house: Any) -> None:
    house = own_house
    known = moments(house, "occurred")
    middle = known[len(known) // 2]
    before = told(house, at=text(middle), item="BOLT", location="YARD")
    books_then, told_at = now(house), datetime.now(UTC)
    body = {
        "kind": "internal_move", "item": "BOLT", "quantity": "0.5", "from": "STORE", "to": "YARD",
        "occurred_at": text(middle),
    }  # fmt: skip
    answer = house.admin.post("/v1/movements", {"movements": [body]}, Idempotency_Key="late")
    assert answer.status_code == 201, answer.text
    while keep_balances(house.warehouse.ingest, house.warehouse.company_id, stretch=2) is not None:
        pass
    after = told(house, at=text(middle), item="BOLT", location="YARD")
    more = float(after["BOLT", "YARD"]) - float(before.get(("BOLT", "YARD"), 0))
    assert more == 0.5
    assert told(house, at=text(told_at), clock="recorded") == books_then != now(house)
    assert told(house, at=text(datetime.now(UTC)), clock="recorded") == now(house)


def test_pages_hold_what_one_answer_would(house: Any) -> None:
    at = text(moments(house, "occurred")[-1])
    whole = house.admin.everything("/v1/balances", at=at)
    assert len(whole) > 3
    assert house.admin.everything("/v1/balances", at=at, limit=1) == whole


def test_a_page_may_be_short_and_not_the_last(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "SCAN", 0)
    known = moments(house, "occurred")
    assert told(house, at=text(known[-1]), limit=1) == now(house)
    early = house.admin.get("/v1/balances", at=text(known[0] - timedelta(days=1)), limit=1).json()
    assert (early["data"], early["has_more"]) == ([], True)


def test_a_site_an_item_a_place_or_a_lot_can_be_asked_for(house: Any) -> None:
    at = {"at": text(moments(house, "occurred")[-1])}
    for parameters in (
        {"item": "BOLT"},
        {"location": "STORE"},
        {"site": "MAIN"},
        {"site": "EAST"},
        {"lot": "none"},
    ):
        assert told(house, **at, **parameters) == told(house, **parameters)
    assert {location for _, location in told(house, site="MAIN")} <= {
        "MAIN",
        "STORE",
        "YARD",
        "CLARIFICATION-MAIN",
    }
    assert told(house, lot="none") == {}


def test_what_cannot_be_asked_is_refused(house: Any) -> None:
    at = text(moments(house, "occurred")[0])
    assert house.admin.get("/v1/balances", at="2026-09-21T10:00:00").status_code == 422
    assert house.admin.get("/v1/balances", at=at, clock="now").status_code == 422
    assert house.admin.get("/v1/balances", clock="recorded").json()["errors"][0]["pointer"] == "/clock"
    page = house.admin.get("/v1/balances", at=at, limit=1).json()
    if page["next_cursor"]:
        other = house.admin.get("/v1/balances", at=at, clock="recorded", limit=1, cursor=page["next_cursor"])
        assert other.status_code == 400
