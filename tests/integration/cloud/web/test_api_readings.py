"""/v1/readings: what gates measured, raw, by the minute and by the hour."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from cloud.domain.access import Scope
from cloud.domain.reading import Statistics
from cloud.store import readings
from cloud.store.readings import NewReading

S_US = 1_000_000
HOUR_US = 3600 * S_US
SECONDS = (1, 2, 61, 3605)


@pytest.fixture(scope="module")
def hour_us(house: Any) -> int:
    """The beginning of the hour in which gw-1 at MAIN saw 10 reads, then 11, 12, 13; gw-2 at EAST saw one."""
    begin_us = (time.time_ns() // 1000 - 3 * HOUR_US) // HOUR_US * HOUR_US
    ingest, company_id = house.warehouse.ingest, house.warehouse.company_id
    new = [
        reading(house.warehouse.gateways["gw-1"][0], "dock-1", quantity, begin_us + second * S_US, value)
        for value, second in enumerate(SECONDS, 10)
        for quantity in ("reads", "rssi_dbm")
    ]
    new.append(reading(house.warehouse.gateways["gw-2"][0], "east-1", "reads", begin_us, 1))
    noun = readings.RAW_ONLY if readings.kept_by_timescaledb(ingest) else readings.WITH_ROLLUPS
    ids = readings.series_ids(ingest, company_id, sorted({one.series for one in new}))
    assert readings.store(ingest, noun, company_id, new, ids).stored == len(new)
    return begin_us


def reading(gateway_id: int, source: str, quantity: str, at_us: int, value: float) -> NewReading:
    value = -float(value) if quantity == "rssi_dbm" else float(value)
    statistics = Statistics(2, 2 * value, value - 1, value + 1)
    return NewReading(gateway_id, source, quantity, at_us, at_us, at_us, False, statistics)


def ask(house: Any, **filters: object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = house.admin.everything("/v1/readings", **filters)
    return found


def at(us: int) -> str:
    return datetime.fromtimestamp(us / S_US, UTC).isoformat()


def test_a_minute_says_what_was_measured_in_it(house: Any, hour_us: int) -> None:
    first, *_ = ask(house, source="dock-1", quantity="reads")
    assert datetime.fromisoformat(first.pop("at")) == datetime.fromtimestamp(hour_us / S_US, UTC)
    assert first == {
        "site": "MAIN", "gateway": "gw-1", "source": "dock-1", "quantity": "reads",
        "samples": 4, "total": 42.0, "mean": 10.5, "lowest": 9.0, "highest": 12.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("bucket", "means"), [("raw", [10, 11, 12, 13]), ("minute", [10.5, 12, 13]), ("hour", [11, 13])]
)
def test_each_bucket_holds_what_fell_into_it(house: Any, hour_us: int, bucket: str, means: list[float]) -> None:
    assert [row["mean"] for row in ask(house, bucket=bucket, source="dock-1", quantity="reads")] == means
    assert [row["mean"] for row in ask(house, bucket=bucket, quantity="rssi_dbm")] == [-one for one in means]


@pytest.mark.parametrize("bucket", ["raw", "minute", "hour"])
def test_pages_lead_through_all_series_in_the_order_of_time(house: Any, hour_us: int, bucket: str) -> None:
    whole = ask(house, bucket=bucket, limit=500)
    assert ask(house, bucket=bucket, limit=1) == whole
    assert ask(house, bucket=bucket, limit=2) == whole
    order = [(row["source"], row["quantity"]) for row in whole]
    assert len(set(order)) == 3
    assert len([one for one, before in zip(order[1:], order, strict=False) if one != before]) == 2
    for name in set(order):
        times = [row["at"] for row in whole if (row["source"], row["quantity"]) == name]
        assert times == sorted(times)


def test_readings_are_found_by_where_they_are_from_and_when(house: Any, hour_us: int) -> None:
    assert {row["gateway"] for row in ask(house, site="EAST")} == {"gw-2"}
    assert {row["source"] for row in ask(house, gateway="gw-1")} == {"dock-1"}
    assert ask(house, source="dock-9") == []
    some = ask(
        house, bucket="raw", quantity="reads", source="dock-1",
        measured_from=at(hour_us + 2 * S_US), measured_before=at(hour_us + HOUR_US),
    )  # fmt: skip
    assert [row["mean"] for row in some] == [11, 12]


def test_another_company_has_readings_of_its_own(house: Any, hour_us: int) -> None:
    page = readings.page(
        house.warehouse.ingest, house.warehouse.company_id + 1, readings.Bucket.RAW,
        {**dict.fromkeys(("site", "gateway", "source", "quantity")),
         "from": datetime(2000, 1, 1, tzinfo=UTC), "before": datetime(3000, 1, 1, tzinfo=UTC)},
        readings.Place(), 10,
    )  # fmt: skip
    assert page == []


@pytest.mark.parametrize(
    "filters", [{"bucket": "fortnight"}, {"measured_from": "yesterday"}, {"limit": 0}, {"source": "x" * 65}]
)
def test_what_cannot_be_asked_is_refused(house: Any, filters: dict[str, object]) -> None:
    assert house.admin.get("/v1/readings", **filters).status_code == 422


def test_a_cursor_belongs_to_its_bucket(house: Any, hour_us: int) -> None:
    cursor = house.admin.get("/v1/readings", bucket="raw", limit=1).json()["next_cursor"]
    assert house.admin.get("/v1/readings", bucket="hour", limit=1, cursor=cursor).status_code == 400


def test_readings_need_a_key_that_may_read(house: Any, hour_us: int) -> None:
    assert house.client(Scope.READ).get("/v1/readings").status_code == 200
    assert house.client(Scope.FINANCE).get("/v1/readings").status_code == 403
