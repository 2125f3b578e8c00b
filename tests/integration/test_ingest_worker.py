"""The ingest worker with a real broker and a real database: a gateway's log arrives, `applied` goes back."""

import logging
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from cloud.flows.verify import verify
from protocols.wire import readings, status
from standalone.postgres import OWNER
from tests.ingesting import Cloud, Gateway, cloud_on, eventually, write


@pytest.fixture
def cloud(database: Any, any_broker: Any) -> Iterator[Cloud]:
    with cloud_on(database, any_broker) as made:
        yield made


@pytest.fixture
def gateway(cloud: Cloud) -> Iterator[Gateway]:
    made = Gateway(cloud.broker)
    yield made
    made.close()


def test_a_log_is_applied_and_its_gateway_told(cloud: Cloud, gateway: Gateway) -> None:
    log = write(cloud.warehouse, 5)
    cloud.start()
    gateway.send(log.payload())
    told = gateway.until(log.epoch, 5)
    assert told.incarnation == 1
    assert len(told.epochs[0].head) == 64
    assert len(cloud.warehouse.outcomes()) == 5


def test_a_worker_that_starts_tells_every_gateway_where_it_stands(cloud: Cloud, gateway: Gateway) -> None:
    log = write(cloud.warehouse, 2)
    cloud.start()
    gateway.send(log.payload())
    gateway.until(log.epoch, 2)
    cloud.stop()
    while not gateway.heard.empty():
        gateway.heard.get()
    cloud.start("second")
    gateway.hears_nothing_new(log.epoch, 2)


def test_a_gap_is_answered_by_how_far_the_cloud_is(cloud: Cloud, gateway: Gateway) -> None:
    log = write(cloud.warehouse, 4)
    cloud.start()
    gateway.send(log.payload(1, 1))
    gateway.until(log.epoch, 1)
    gateway.send(log.payload(3, 4))
    gateway.hears_nothing_new(log.epoch, 1)
    gateway.send(log.payload(2, 4))
    gateway.until(log.epoch, 4)


def test_an_unreadable_message_is_asked_for_again_and_then_set_aside(cloud: Cloud, gateway: Gateway) -> None:
    log = write(cloud.warehouse, 3)
    worker = cloud.start()
    gateway.send(log.payload(1, 1))
    gateway.until(log.epoch, 1)
    broken = log.payload(2, 3)[:-25]
    gateway.send(broken)
    gateway.hears_nothing_new(log.epoch, 1)
    assert cloud.warehouse.fetch("SELECT count(*) FROM quarantine") == [(0,)]
    gateway.send(broken)
    gateway.until(log.epoch, 3)
    assert cloud.warehouse.fetch("SELECT first_seq, last_seq, payload FROM quarantine") == [(2, 3, broken)]
    assert worker.counters["unreadable"] == 2


@pytest.mark.parametrize("payload", [b"", b"\xff\xfe", b"[]", b"{}", b'{"schema":99}', b'{"schema":1,"epoch":'])
def test_noise_on_the_channel_harms_nobody(cloud: Cloud, gateway: Gateway, payload: bytes) -> None:
    log = write(cloud.warehouse, 2)
    worker = cloud.start()
    for channel in ("movements", "status", "readings", "movements"):
        gateway.send(payload, channel)
    gateway.send(log.payload())
    gateway.until(log.epoch, 2)
    assert worker.counters["unreadable"] == 2
    # Without numbers nothing counts as applied; the bytes are kept all the same.
    assert cloud.warehouse.fetch("SELECT first_seq, payload FROM quarantine") == [(0, payload)]


@pytest.mark.parametrize(
    ("channel", "payload"),
    [
        ("status", b'{"schema":1,"online":true,"of_tomorrow":1e200000}'),
        ("status", b'{"schema":1,"online":true,"of_tomorrow":' + b"[" * 900 + b"]" * 900 + b"}"),
        ("status", b'{"schema":1,"online":true,"software":"a\\u0000"}'),
        ("status", b'{"schema":1,"online":true,"of_tomorrow":"\xff"}'),
        ("status", b'{"schema":1,"online":true,"sent_at_us":9223372036854775807}'),
        ("status", b'{"schema":1,"online":true,"epochs":[{"epoch":"mine","last":1,"oldest":1,"end":1}]}'),
        (
            "readings",
            b'{"schema":1,"gate":"dock-1","from_us":1,"to_us":2,"reads":4611686018427387903,"tags_total":0,"tags":[]}',
        ),
        ("readings", b'{"schema":1,"gate":"\\u0000","from_us":1,"to_us":2,"reads":1,"tags_total":0,"tags":[]}'),
    ],
)
def test_what_no_column_could_hold_stops_no_log(
    cloud: Cloud, gateway: Gateway, channel: str, payload: bytes
) -> None:
    log = write(cloud.warehouse, 2)
    worker = cloud.start()
    for _ in range(3):
        gateway.send(payload, channel)
    gateway.send(log.payload())
    gateway.until(log.epoch, 2)
    assert worker.counters["database_lost"] == 0


def test_a_gateway_nobody_registered_is_counted_and_heard_once_it_is(cloud: Cloud, gateway: Gateway) -> None:
    log = write(cloud.warehouse, 2)
    cloud.warehouse.owner.execute("UPDATE gateways SET code = 'gw-other' WHERE gateway_id = %s", [log.gateway_id])
    worker = cloud.start()
    gateway.send(log.payload())
    eventually(lambda: worker.counters["unknown_gateway"] == 1)
    assert cloud.warehouse.fetch("SELECT address, messages FROM unknown_gateways") == [("demo/main/gw-1", 1)]
    assert cloud.warehouse.fetch("SELECT count(*) FROM gateway_logs") == [(0,)]
    cloud.warehouse.owner.execute("UPDATE gateways SET code = 'gw-1' WHERE gateway_id = %s", [log.gateway_id])
    cloud.stop()
    cloud.start("later")
    gateway.send(log.payload())
    gateway.until(log.epoch, 2)


def test_a_movement_the_database_refuses_does_not_stop_the_log(cloud: Cloud, gateway: Gateway) -> None:
    """Two movements with one id, in a message of their own, among good messages."""
    log = write(cloud.warehouse, 1)
    for number in (2, 3):
        log.passage(cloud.warehouse.tag(number), "in", id="0" * 31 + "1", occurred_at_us=time.time_ns() // 1000)
    log.passage(cloud.warehouse.tag(4), "in", occurred_at_us=time.time_ns() // 1000)
    for bounds in ((1, 1), (2, 3), (4, 4)):
        gateway.send(log.payload(*bounds))
    cloud.start()
    for bounds in ((1, 1), (2, 3), (4, 4)):
        gateway.send(log.payload(*bounds))
    gateway.until(log.epoch, 4)
    [(first, last, reason)] = cloud.warehouse.fetch("SELECT first_seq, last_seq, reason FROM quarantine")
    assert (first, last) == (2, 3)
    assert "database refuses" in reason
    assert len(cloud.warehouse.outcomes()) == 2


def test_a_database_that_goes_and_returns_loses_nothing(
    cloud: Cloud, gateway: Gateway, database: Any, caplog: pytest.LogCaptureFixture
) -> None:
    log = write(cloud.warehouse, 4)
    worker = cloud.start()
    gateway.send(log.payload(1, 2))
    gateway.until(log.epoch, 2)
    with caplog.at_level(logging.INFO):
        with psycopg.connect(database.server.superuser_dsn, autocommit=True) as superuser:
            superuser.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'tallygate ingest' AND datname = %s",
                [database.name],
            )
        gateway.send(log.payload(3, 4))
        gateway.until(log.epoch, 4)
    assert worker.counters["database_lost"] >= 1
    said = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert said == ["the database broke off and serves again"]
    assert len(cloud.warehouse.outcomes()) == 4


def test_a_status_ends_an_epoch_that_has_nothing_left_to_send(cloud: Cloud, gateway: Gateway) -> None:
    log = write(cloud.warehouse, 2)
    cloud.start()
    gateway.send(log.payload())
    gateway.until(log.epoch, 2)
    held = status.EpochHeld(epoch=log.epoch, last=2, oldest=1, end=2)
    said = status.Status(schema=1, online=True, sent_at_us=time.time_ns() // 1000, epochs=[held])
    gateway.send(status.encode(said), "status")
    eventually(lambda: cloud.warehouse.fetch("SELECT end_seq FROM gateway_logs") == [(2,)])
    # A gateway that asks about a finished epoch is still told that it is applied to its end.
    gateway.until(log.epoch, 2)
    [(online, body)] = cloud.warehouse.fetch("SELECT online, status FROM gateway_status")
    assert online
    assert body["epochs"][0]["end"] == 2


def test_a_database_restored_to_an_hour_ago_gets_everything_again(
    cloud: Cloud, gateway: Gateway, database: Any
) -> None:
    """The gateway still holds its log; the restored cloud says where it stands, in its next incarnation."""
    log = write(cloud.warehouse, 6)
    cloud.start()
    gateway.send(log.payload(1, 3))
    gateway.until(log.epoch, 3)
    cloud.stop()
    backup = copy_database(database, "backup")
    cloud.start()
    gateway.send(log.payload(4, 6))
    gateway.until(log.epoch, 6)
    cloud.stop()
    cloud.ingest_dsn = database.server.dsn(backup, "tallygate_ingest")
    cloud.start("after the restore")
    told = gateway.hears_nothing_new(log.epoch, 3)
    assert told.incarnation == 2
    gateway.send(log.payload(4, 6))
    gateway.until(log.epoch, 6)
    cloud.stop()
    with psycopg.connect(database.server.dsn(backup, OWNER), autocommit=True) as restored:
        assert restored.execute("SELECT seq FROM observations ORDER BY seq").fetchall() == [
            (n,) for n in range(1, 7)
        ]
        assert all(check.holds for check in verify(restored))


def copy_database(database: Any, suffix: str) -> str:
    """A copy of the test's database as it stands now, as a restored backup would be; its name."""
    name = f"{database.name}_{suffix}"
    with psycopg.connect(database.server.superuser_dsn, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [database.name]
        )
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {} STRATEGY file_copy").format(
            sql.Identifier(name), sql.Identifier(database.name), sql.Identifier(OWNER)
        )
        eventually(lambda: _done(connection, statement))
    return name


def _done(connection: psycopg.Connection, statement: sql.Composed) -> bool:
    try:
        connection.execute(statement)
    except psycopg.errors.ObjectInUse:
        return False
    return True


def reads(gate: str, at_us: int, count: int) -> bytes:
    tags = [readings.TagSeen(epc="E280", reads=count, antennas=[1], peak_rssi_dbm=-47.5)]
    return readings.encode(
        readings.GateReadings(
            schema=1, gate=gate, from_us=at_us - 1_000_000, to_us=at_us, reads=count, tags_total=1, tags=tags
        )
    )


def test_readings_are_kept_by_the_worker_that_holds_the_lane_and_by_no_other(
    cloud: Cloud, gateway: Gateway
) -> None:
    lanes, now_us = cloud.warehouse.log.lane, time.time_ns() // 1000
    cloud.warehouse.owner.execute(
        "INSERT INTO lane_leases VALUES (%s, %s, 'another', 1, 'infinity')", [cloud.warehouse.company_id, lanes]
    )
    worker = cloud.start()
    eventually(lambda: len(worker._leases.held) == 15)
    gateway.send(reads("dock-1", now_us, 5), "readings")
    gateway.send(status.encode(status.Status(schema=1, online=True)), "status")
    eventually(lambda: cloud.warehouse.fetch("SELECT count(*) FROM gateway_status") == [(1,)])
    assert cloud.warehouse.fetch("SELECT count(*) FROM gate_readings") == [(0,)]
    cloud.warehouse.owner.execute("DELETE FROM lane_leases WHERE worker = 'another'")
    eventually(lambda: len(worker._leases.held) == 16)
    for second in (1, 2, 2):  # the third is a copy
        gateway.send(reads("dock-1", now_us + second, 7), "readings")
    eventually(lambda: worker.counters["readings_stored"] == 6)
    eventually(lambda: cloud.warehouse.fetch("SELECT gate, reads_total FROM gate_readings") == [("dock-1", 21)])
    cloud.stop()
    assert cloud.warehouse.fetch(
        "SELECT s.source, sum(r.samples), sum(r.total) FROM readings r"
        " JOIN reading_series s USING (company_id, series_id) WHERE s.quantity = 'reads' GROUP BY 1"
    ) == [("dock-1", 2, 14.0)]


def test_readings_that_wait_are_stored_when_the_worker_is_told_to_stop(cloud: Cloud, gateway: Gateway) -> None:
    worker = cloud.start()
    now_us = time.time_ns() // 1000
    gateway.send(reads("dock-1", now_us, 1), "readings")
    eventually(lambda: worker.counters["readings_stored"] == 3)  # at once; the next waits for company
    gateway.send(reads("dock-1", now_us + 1, 2), "readings")
    eventually(lambda: cloud.warehouse.fetch("SELECT reads_total FROM gate_readings") == [(3,)])
    cloud.stop()
    assert cloud.warehouse.fetch("SELECT count(*) FROM readings") == [(6,)]
