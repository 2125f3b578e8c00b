"""Base backups, archived WAL and the way back, on a real server; and what becomes of a gateway's log there."""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cloud.domain.movement import Kind
from cloud.flows.incarnation import current_incarnation
from cloud.flows.record_batch import Received
from cloud.flows.recost import recost_company
from cloud.flows.verify.books_hash import books_hash
from cloud.store.migrate import migrate
from edge.outbox.outbox import NewMovement, Outbox
from protocols.wire import applied, movement
from standalone.backups import (
    Backups,
    BackupTrouble,
    BaseBackup,
    CannotBackUp,
    CannotRestore,
    RestorePoint,
    WrongBackup,
)
from standalone.postgres import DATABASE, OWNER, Postgres, PostgresBusy, find_binaries, wheel_binaries
from tests.conftest import PLAIN
from tests.makers import HOUR_US, NOON_US, SECOND_US, Warehouse, epc, make_warehouse

pytestmark = pytest.mark.editions

INGEST = "tallygate_ingest"
WAITED_S = 30.0


@dataclass(slots=True)
class House:
    """A server whose WAL is archived."""

    server: Postgres
    backups: Backups

    def say(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.server.superuser_dsn, autocommit=True) as connection:
            found = connection.execute(query, parameters)  # type: ignore[arg-type]
            return found.fetchall() if found.description else []

    def write(self, *codes: str) -> None:
        self.say("CREATE TABLE IF NOT EXISTS crates (code text)")
        for code in codes:
            self.say("INSERT INTO crates VALUES (%s)", code)

    def crates(self) -> list[str]:
        return [row[0] for row in self.say("SELECT code FROM crates ORDER BY code")]

    def restore(self, *arguments: Any) -> None:
        self.server.stop()
        self.backups.restore(self.server, *arguments)


@pytest.fixture
def house(session_folder: Path, request: pytest.FixtureRequest, edition: str) -> Iterator[House]:
    folder = session_folder / request.node.name.replace("[", "-").rstrip("]")
    folder.mkdir()
    backups = Backups(folder / "backups")
    backups.prepare()
    binaries = wheel_binaries() if edition == PLAIN else find_binaries()
    server = Postgres(folder, binaries, settings={**backups.settings, "fsync": "off", "shared_buffers": "32MB"})
    server.start()
    yield House(server, backups)
    server.stop()
    server.remove()


def test_a_restore_to_the_end_brings_back_the_last_commit(house: House) -> None:
    house.write("A")
    backup = house.backups.take(house.server, "monday")
    house.write("B", "C")  # not archived yet: it stands in the replaced data's WAL only
    house.restore(backup)
    assert house.crates() == ["A", "B", "C"]
    house.write("D")
    assert house.crates() == ["A", "B", "C", "D"]


def test_a_lost_disk_comes_back_up_to_what_was_archived(house: House) -> None:
    house.write("A")
    backup = house.backups.take(house.server, "monday")
    house.write("B")
    house.backups.catch_up(house.server)
    house.write("C")
    house.server.stop()
    os.rename(house.server.data, house.server.data.with_name("lost"))
    house.backups.restore(house.server, backup)
    assert house.crates()[:2] == ["A", "B"]


def test_a_restore_point_and_a_time_leave_out_what_came_later(house: House) -> None:
    house.write("A")
    backup = house.backups.take(house.server, "monday")
    house.write("B")
    point = house.backups.mark(house.server, "before C")
    house.write("C")
    house.backups.catch_up(house.server)
    [(before_d,)] = house.say("SELECT clock_timestamp()")
    house.write("D")
    house.backups.catch_up(house.server)
    house.restore(backup, before_d.astimezone(UTC))
    assert house.crates() == ["A", "B", "C"]
    house.restore(backup, point)
    assert house.crates() == ["A", "B"]


def test_every_restore_begins_another_timeline_and_leaves_no_recovery_behind(house: House) -> None:
    backup = house.backups.take(house.server, "monday")
    house.write("A")
    for number in (2, 3):
        house.restore(backup)
        assert house.crates() == ["A"]
        assert house.say("SELECT timeline_id FROM pg_control_checkpoint()") == [(number,)]
        said = house.say("SELECT name FROM pg_file_settings WHERE name IS NOT NULL")
        assert not [name for (name,) in said if name.startswith(("recovery", "restore", "hot_standby"))]
    house.server.stop()
    house.server.start()
    assert house.crates() == ["A"]


def test_a_base_backup_of_a_restored_server_can_be_restored_to_a_point(house: House) -> None:
    first = house.backups.take(house.server, "monday")
    point = house.backups.mark(house.server, "empty")
    house.write("A")
    house.restore(first, point)
    house.write("B")
    second = house.backups.take(house.server, "tuesday")
    later = house.backups.mark(house.server, "B is there")
    house.write("C")
    house.restore(second, later)
    assert house.crates() == ["B"]
    assert [one.name for one in house.backups.kept()] == ["monday", "tuesday"]


def test_a_cold_backup_is_taken_of_a_stopped_server_and_restored_with_the_wal_behind_it(house: House) -> None:
    house.write("A")
    with pytest.raises(PostgresBusy):
        house.backups.take_cold(house.server, "cold")
    house.server.stop()
    backup = house.backups.take_cold(house.server, "cold")
    house.server.start()
    house.write("B")
    house.restore(backup)
    assert house.crates() == ["A", "B"]


def test_a_damaged_base_backup_is_refused_by_name_and_the_data_stays(house: House) -> None:
    house.write("A")
    backup = house.backups.take(house.server, "monday")
    damaged = next(path for path in (backup.folder / "base").rglob("*") if path.is_file() and path.stat().st_size)
    damaged.write_bytes(b"\1" * damaged.stat().st_size)
    house.server.stop()
    with pytest.raises(WrongBackup, match=damaged.name):
        house.backups.restore(house.server, backup)
    with pytest.raises(WrongBackup, match="no base backup"):
        house.backups.restore(house.server, BaseBackup("none", backup.folder.with_name("none")))
    house.server.start()
    assert house.crates() == ["A"]


def test_what_cannot_be_asked_is_refused(house: House) -> None:
    backup = house.backups.take(house.server, "monday")
    with pytest.raises(CannotBackUp, match="there already"):
        house.backups.take(house.server, "monday")
    with pytest.raises(CannotBackUp, match="lower-case"):
        house.backups.take(house.server, "../monday")
    with pytest.raises(PostgresBusy, match="stop it"):
        house.backups.restore(house.server, backup)
    with pytest.raises(CannotRestore, match="zone"):
        house.backups.restore(house.server, backup, datetime(2026, 11, 20, 12))  # noqa: DTZ001  the point of it
    with pytest.raises(ValueError, match="at least 1"):
        house.backups.prune(0)


def test_pruning_keeps_what_the_newest_base_backup_needs(house: House) -> None:
    house.backups.take(house.server, "monday")
    house.write("A")
    house.backups.catch_up(house.server)
    newest = house.backups.take(house.server, "tuesday")
    house.write("B")
    house.backups.catch_up(house.server)
    deleted = house.backups.prune(1)
    assert deleted[0] == "monday"
    assert len(deleted) > 1
    assert [one.name for one in house.backups.kept()] == ["tuesday"]
    house.restore(newest)
    assert house.crates() == ["A", "B"]


def test_an_archive_that_cannot_be_written_is_told(house: House) -> None:
    house.backups.wal.rename(house.backups.wal.with_name("gone"))
    with pytest.raises(BackupTrouble, match="was not archived"):
        house.backups.catch_up(house.server, timeout_s=2.0)
    house.backups.wal.with_name("gone").rename(house.backups.wal)
    house.backups.catch_up(house.server, timeout_s=WAITED_S * 4)


# ── A gateway's log across a restore ────────────────────────────────────────────────────────────────


LAST = 30


@dataclass(slots=True)
class Cloud:
    """The books on that server, and a gateway's real outbox; no broker between them."""

    house: House
    path: Path
    outbox: Outbox
    connections: list[psycopg.Connection] = field(default_factory=list)
    warehouse: Warehouse = field(init=False)

    def connect(self) -> tuple[psycopg.Connection, psycopg.Connection]:
        server = self.house.server
        self.connections = [
            psycopg.connect(server.dsn(DATABASE, user), autocommit=True) for user in (OWNER, INGEST)
        ]
        return self.connections[0], self.connections[1]

    def set_up(self) -> None:
        """A company whose gates expect what will come and go."""
        server = self.house.server
        server.ensure_login(OWNER, owns_schema=True)
        server.ensure_database(DATABASE, OWNER)
        migrate(server.dsn(DATABASE, OWNER))
        server.ensure_login(INGEST)
        self.warehouse = make_warehouse(*self.connect())
        for number in range(1, LAST + 1):
            self.warehouse.tag(number)
            self.warehouse.expect(Kind.PURCHASE_RECEIPT, "BOLT", 10, price=f"{number}.10", epc=epc(number))
            self.warehouse.expect(Kind.SALES_SHIPMENT, "BOLT", 10, epc=epc(number))

    def write(self, first: int, last: int) -> None:
        """Two come, one of them goes, and so on."""
        for number in range(first, last + 1):
            tag, direction = (number, "in") if number % 3 else (number - 1, "out")
            at_us = NOON_US + number * 60 * SECOND_US
            self.outbox.append([NewMovement(at_us, "passage", "dock-1", epc(tag), direction, 0.9)])

    def deliver(self) -> None:
        """Send what the cloud is not known to have, a few numbers a message, and hear what it says then."""
        gateway, lane = self.warehouse.gateways["gw-1"]
        for state in self.outbox.epochs():
            after = state.applied
            while batch := self.outbox.next_batch(state.epoch, after, 4, movement.MAX_BYTES):
                envelope = movement.Envelope(
                    schema=movement.SCHEMA, epoch=batch.epoch, first=batch.first, last=batch.last, oldest=batch.oldest,
                    sent_at_us=NOON_US, end=batch.end,
                )  # fmt: skip
                payload = movement.encode(envelope, batch.movements)
                decoded = movement.decode(payload)
                received_us = NOON_US + 4 * HOUR_US
                self.warehouse.record(Received(gateway, lane, received_us, decoded.envelope, decoded, payload))
                after = batch.last
        self.hear()

    def hear(self) -> int:
        """The cloud says how far it is, as a worker does when it starts; the incarnation it says."""
        number = current_incarnation(self.warehouse.ingest)
        rows = self.warehouse.fetch("SELECT epoch, applied_seq FROM gateway_logs")
        told = [applied.EpochApplied(epoch=epoch.hex, applied=seq) for epoch, seq in rows]
        message = applied.Applied(schema=applied.SCHEMA, incarnation=number, sent_at_us=NOON_US, epochs=told)
        assert self.outbox.record_applied(message) == []
        return number

    def begin_epoch(self) -> None:
        self.outbox.close()
        self.outbox = Outbox.open(self.path)

    def restore(self, backup: BaseBackup, until: RestorePoint) -> None:
        self.close()
        self.house.restore(backup, until)
        self.warehouse.owner, self.warehouse.ingest = self.connect()

    def held(self) -> list[tuple[int, int]]:
        """(last number, applied) of every epoch, as the gateway knows them."""
        return [(state.last, state.applied) for state in self.outbox.epochs()]

    def numbers(self) -> list[int]:
        rows = self.warehouse.fetch("SELECT seq FROM observations ORDER BY occurred_us")
        return [row[0] for row in rows]

    def books(self) -> str:
        """The hash at rest, every promise checked."""
        recost_company(self.warehouse.ingest, self.warehouse.company_id, "test", every=10_000)
        self.warehouse.check()
        return books_hash(self.warehouse.owner)

    def close(self) -> None:
        for connection in self.connections:
            connection.close()


@pytest.fixture
def cloud(house: House, tmp_path: Path) -> Iterator[Cloud]:
    path = tmp_path / "outbox.sqlite"
    made = Cloud(house, path, Outbox.open(path))
    made.set_up()
    yield made
    made.close()
    made.outbox.close()


def test_after_a_restore_the_gateway_sends_again_what_the_cloud_lacks_and_it_is_booked_once(cloud: Cloud) -> None:
    cloud.write(1, 12)
    cloud.deliver()
    backup = cloud.house.backups.take(cloud.house.server, "monday")
    cloud.write(13, 21)
    cloud.deliver()
    point = cloud.house.backups.mark(cloud.house.server, "21 applied")
    cloud.write(22, LAST)
    cloud.deliver()
    assert cloud.held() == [(LAST, LAST)]
    undisturbed = cloud.books()
    assert cloud.hear() == 1

    cloud.restore(backup, point)
    assert cloud.numbers() == list(range(1, 22))
    assert cloud.hear() == 2
    assert cloud.held() == [(LAST, 21)]
    cloud.deliver()
    assert cloud.numbers() == list(range(1, LAST + 1))
    assert cloud.held() == [(LAST, LAST)]
    assert cloud.books() == undisturbed
    assert cloud.hear() == 2


def test_a_standby_that_takes_over_is_another_life_from_its_first_moment(cloud: Cloud) -> None:
    server = cloud.house.server
    assert cloud.hear() == 1
    backup = cloud.house.backups.take(server, "standby")
    cloud.house.backups.catch_up(server)
    cloud.close()
    server.stop()
    cloud.house.backups.lay_down(server, backup)
    (server.data / "recovery.signal").rename(server.data / "standby.signal")
    settings = server.data / "postgresql.auto.conf"
    settings.write_text(settings.read_text().replace("hot_standby = 'off'", ""))
    server.start()
    assert cloud.house.say("SELECT pg_is_in_recovery()") == [(True,)]
    [(checkpointer,)] = cloud.house.say("SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'")
    os.kill(checkpointer, signal.SIGSTOP)  # a large server takes minutes to its first checkpoint
    try:
        assert cloud.house.say("SELECT pg_promote()") == [(True,)]
        cloud.warehouse.owner, cloud.warehouse.ingest = cloud.connect()
        assert cloud.hear() == 2
    finally:
        os.kill(checkpointer, signal.SIGCONT)


def test_two_restores_of_one_backup_are_two_lives_and_an_epoch_that_began_between_is_sent_whole(
    cloud: Cloud,
) -> None:
    cloud.write(1, 12)
    cloud.deliver()
    backup = cloud.house.backups.take(cloud.house.server, "monday")
    point = cloud.house.backups.mark(cloud.house.server, "12 applied")
    cloud.restore(backup, point)
    assert cloud.hear() == 2
    cloud.begin_epoch()
    cloud.write(13, LAST)
    cloud.deliver()
    assert cloud.held() == [(12, 12), (LAST - 12, LAST - 12)]
    undisturbed = cloud.books()

    cloud.restore(backup, point)
    assert cloud.hear() == 3
    assert cloud.held() == [(12, 12), (LAST - 12, 0)]
    cloud.deliver()
    assert cloud.numbers() == [*range(1, 13), *range(1, LAST - 11)]
    assert cloud.books() == undisturbed
