"""The hot feeds: every row once, in commit order, whatever commits in between."""

import hashlib
import threading
import uuid
from typing import Any

import psycopg
import pytest

from cloud.domain.movement import Kind
from cloud.flows.declare import Declared, declare_movements
from cloud.store import feeds
from cloud.store.feeds import Order, Reading, read_page
from tests.makers import NOON_US, epc

FEEDS = ("movements", "passages", "journal-entries")


def connect(house: Any) -> psycopg.Connection:
    """Another owner's connection to the same database."""
    return psycopg.connect(house.owner_dsn, autocommit=True)


def declare(house: Any, connection: psycopg.Connection, rows: int = 1, key: str = "") -> list[str]:
    """Receive bolts, so many rows in one batch; the movements' ids."""
    warehouse = house.warehouse
    places, item = warehouse.places, warehouse.items["BOLT"]
    declared = [
        Declared(
            Kind.PURCHASE_RECEIPT, item, 1_000_000, places["SUPPLIER"], places["STORE"], NOON_US + n, price_micro=1
        )
        for n in range(rows)
    ]
    key = key or uuid.uuid4().hex
    return declare_movements(connection, warehouse.company_id, declared, key, b"test").movement_ids


def test_a_page_ends_where_the_next_begins(own_house: Any) -> None:
    for rows in (3, 1, 7, 2):
        declare(own_house, own_house.owner, rows)
    for feed in FEEDS:
        whole = own_house.admin.everything(f"/v1/{feed}", limit=500)
        assert len({row["id"] for row in whole}) == len(whole)
        for limit in (1, 2, 5):
            assert own_house.admin.everything(f"/v1/{feed}", limit=limit) == whole, (feed, limit)
        backwards = own_house.admin.everything(f"/v1/{feed}", limit=3, order="newest")
        assert backwards == whole[::-1], feed


def test_each_row_is_seen_once_while_writers_commit_in_between(own_house: Any) -> None:
    written: set[str] = {row["id"] for row in own_house.admin.everything("/v1/movements")}
    stop = threading.Event()
    troubles: list[BaseException] = []

    def write() -> None:
        try:
            with connect(own_house) as connection:
                number = 0
                while not stop.is_set() and number < 60:
                    written.update(declare(own_house, connection, 1 + number % 4))
                    number += 1
        except BaseException as error:  # noqa: BLE001  a thread's failure belongs to the test
            troubles.append(error)

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    seen: list[str] = []
    cursor = None
    while True:
        are_writing = any(writer.is_alive() for writer in writers)
        page = own_house.admin.get("/v1/movements", limit=7, **({"cursor": cursor} if cursor else {})).json()
        seen += [row["id"] for row in page["data"]]
        cursor = page["next_cursor"]
        if not page["has_more"] and not are_writing:
            break
    stop.set()
    for writer in writers:
        writer.join()
    assert not troubles
    assert len(seen) == len(set(seen))
    assert set(seen) == written


def test_what_commits_late_is_not_overtaken(own_house: Any) -> None:
    declare(own_house, own_house.owner)  # TimescaleDB makes this week's chunk under a lock of its own
    whole = own_house.admin.everything("/v1/movements")
    cursor = own_house.admin.get("/v1/movements", limit=500).json()["next_cursor"]
    with connect(own_house) as slow, connect(own_house) as quick:
        with slow.transaction():
            early = declare(own_house, slow, 2, EARLY)  # its transaction began first, and is still open
            late = declare_elsewhere(own_house, quick)
            while_open = own_house.admin.get("/v1/movements", cursor=cursor).json()
            assert while_open["data"] == [], "a row behind an open transaction must wait for it"
        page = own_house.admin.get("/v1/movements", cursor=while_open["next_cursor"]).json()
    assert [row["id"] for row in page["data"]] == [*early, *late]
    assert len(own_house.admin.everything("/v1/movements")) == len(whole) + 3


def declare_elsewhere(house: Any, connection: psycopg.Connection) -> list[str]:
    """One lamp moved inside the house, in the lane of the key "beside": it shares no lock with EARLY's bolts."""
    warehouse = house.warehouse
    moved = Declared(
        Kind.INTERNAL_MOVE, warehouse.items["LAMP"], 1_000_000, warehouse.places["STORE"], warehouse.places["YARD"],
        NOON_US,
    )  # fmt: skip
    return declare_movements(connection, warehouse.company_id, [moved], "beside", b"x").movement_ids


def lane_of(key: str) -> int:
    """The lane of the cloud's own log that a request with this key writes."""
    return hashlib.sha256(f"cloud/demo/{key}".encode()).digest()[0] & 15


EARLY = next(f"early-{n}" for n in range(99) if lane_of(f"early-{n}") != lane_of("beside"))


def test_a_feed_at_its_end_gives_a_cursor_to_come_back_with(own_house: Any) -> None:
    page = own_house.admin.get("/v1/movements", limit=500).json()
    assert page["has_more"] is False
    again = own_house.admin.get("/v1/movements", cursor=page["next_cursor"]).json()
    assert again["data"] == []
    ids = declare(own_house, own_house.owner, 2)
    later = own_house.admin.get("/v1/movements", cursor=again["next_cursor"]).json()
    assert [row["id"] for row in later["data"]] == ids


def test_a_cursor_of_before_a_restore_is_refused(own_house: Any) -> None:
    cursors = {feed: own_house.admin.get(f"/v1/{feed}", limit=1).json()["next_cursor"] for feed in FEEDS}
    life = own_house.owner.execute("SELECT coalesce(max(incarnation), 0) FROM incarnations").fetchone()[0]
    own_house.owner.execute(
        "INSERT INTO incarnations (incarnation, cluster, reason) VALUES (%s, 'test', 'restored')", [life + 1]
    )
    for feed, cursor in cursors.items():
        answer = own_house.admin.get(f"/v1/{feed}", cursor=cursor)
        assert answer.status_code == 410
        assert answer.json()["type"] == "urn:tallygate:problem:cursor-of-an-earlier-life"
        assert answer.json()["expected_incarnation"] == life + 1
        assert own_house.admin.get(f"/v1/{feed}").status_code == 200


def test_filters_find_rows_far_away_and_pages_stay_whole(own_house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(30):
        declare(own_house, own_house.owner)
    lamps = declare_elsewhere(own_house, own_house.owner)
    found = own_house.admin.everything("/v1/movements", item="LAMP", limit=1)
    assert [row["id"] for row in found][-1:] == lamps
    assert {row["item"] for row in found} == {"LAMP"}
    monkeypatch.setattr(
        feeds, "WINDOW_BATCHES", 2
    )  # windows so small that a match lies beyond a whole page of them
    assert own_house.admin.everything("/v1/movements", item="LAMP", limit=1) == found
    assert own_house.admin.everything("/v1/movements", item="LAMP", limit=1, order="newest") == found[::-1]


def test_filters_of_every_feed(house: Any) -> None:
    admin = house.admin
    assert {row["kind"] for row in admin.everything("/v1/movements", kind="sales_shipment")} == {"sales_shipment"}
    assert [row["document"] for row in admin.everything("/v1/movements", document="SO-9")] == ["SO-9"]
    assert {row["to"] for row in admin.everything("/v1/movements", location="CUSTOMER")} == {"CUSTOMER"}
    assert admin.everything("/v1/movements", location="EAST") == []
    assert [row["direction"] for row in admin.everything("/v1/passages", epc=epc(1).lower())] == [
        "in", "turned_back", "out"
    ]  # fmt: skip
    assert [row["outcome"] for row in admin.everything("/v1/passages", outcome="unregistered")] == ["unregistered"]
    assert admin.everything("/v1/passages", gate="dock-2") == []
    cogs = admin.everything("/v1/journal-entries", account="640101")
    assert [entry["document"] for entry in cogs] == ["SO-9"]
    assert admin.everything("/v1/journal-entries", period=202501) == []
    assert len(admin.everything("/v1/journal-entries", document="PO-1")) == 2
    assert admin.get("/v1/movements", kind="gift").status_code == 422


def test_a_cursor_belongs_to_its_feed_and_its_filters(house: Any) -> None:
    cursor = house.admin.get("/v1/movements", limit=1).json()["next_cursor"]
    for path, parameters in (
        ("passages", {}),
        ("movements", {"item": "BOLT"}),
        ("movements", {"order": "newest"}),
    ):
        answer = house.admin.get(f"/v1/{path}", cursor=cursor, **parameters)
        assert (answer.status_code, answer.json()["type"]) == (400, "urn:tallygate:problem:bad-cursor")


def test_a_page_of_a_large_batch_reads_its_own_rows(own_house: Any) -> None:
    ids = declare(own_house, own_house.owner, 3000)
    before = len(own_house.admin.everything("/v1/movements", limit=500)) - len(ids)
    walked = [row["id"] for row in own_house.admin.everything("/v1/movements", limit=499)]
    assert walked[before:] == ids


def test_a_picture_for_people_shows_what_is_committed_now(own_house: Any) -> None:
    reading = Reading(feeds.MOVEMENTS, own_house.warehouse.company_id, Order.NEWEST, only_settled=False)
    with connect(own_house) as slow, connect(own_house) as quick:
        with slow.transaction():
            slow.execute("SELECT pg_current_xact_id()")
            ids = declare(own_house, quick)
            newest = read_page(quick, reading, None, 1).rows[0]
        assert [str(newest.movement_id)] == ids
