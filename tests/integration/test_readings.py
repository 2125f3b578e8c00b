"""Readings in a real database of either edition: stored once, rolled up whatever comes late, kept as long as asked."""

import math
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import errors, sql

from cloud.ingest import readings_intake
from cloud.ingest.readings_intake import ReadingsIntake
from cloud.ingest.registry import Registered
from cloud.ingest.subscriber import Arrived
from cloud.jobs.program import main as jobs
from cloud.jobs.readings_keeping import ReadingsKeeping
from cloud.settings import ReadingDays
from cloud.store import migrate
from protocols.wire import readings as wire
from tests.makers import TEST_LEASE, Warehouse, make_warehouse

pytestmark = pytest.mark.editions

S_US = 1_000_000
DAY_US = 86_400 * S_US
BEFORE_US = 3 * 3600 * S_US  # a whole minute and hour that are over, and still of these days


@dataclass
class Gate:
    """A gateway's gate whose summaries reach a worker's intake."""

    warehouse: Warehouse
    gateway: str = "gw-1"
    counters: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        gateway_id, lane = self.warehouse.gateways[self.gateway]
        self.registered = Registered(self.warehouse.company_id, gateway_id, lane)
        self.intake = ReadingsIntake(self.counters)
        # The beginning of an hour, so that tests can say which minute something falls into.
        self.hour_us = (time.time_ns() // 1000 - BEFORE_US) // (3600 * S_US) * 3600 * S_US

    def payload(self, at_us: int, reads: int, gate: str = "dock-1", rssi_dbm: float = -50.0) -> bytes:
        tags = [wire.TagSeen(epc="E280", reads=reads, antennas=[1], peak_rssi_dbm=rssi_dbm)] if reads else []
        return wire.encode(
            wire.GateReadings(
                schema=1,
                gate=gate,
                from_us=max(0, at_us - S_US),
                to_us=at_us,
                reads=reads,
                tags_total=len(tags),
                tags=tags,
            )
        )

    def hear(self, payload: bytes, received_us: int | None = None) -> None:
        self.intake.take(self.registered, Arrived("topic", payload, received_us or time.time_ns() // 1000))

    def see(self, second: float, reads: int, **more: Any) -> None:
        """A summary of so many reads, so many seconds into the hour."""
        self.hear(self.payload(self.hour_us + int(second * S_US), reads, **more))

    def flush(self, connection: psycopg.Connection | None = None) -> None:
        self.intake.flush(connection or self.warehouse.ingest, TEST_LEASE, math.inf)

    def rollup(self, table: str, quantity: str = "reads") -> dict[int, tuple[int, float, float, float]]:
        """(samples, total, lowest, highest) by seconds since the hour began."""
        refresh(self.warehouse.owner)
        rows = self.warehouse.fetch(
            f"SELECT r.bucket_at, r.samples, r.total, r.lowest, r.highest FROM {table} r"  # noqa: S608
            " JOIN reading_series s USING (company_id, series_id) WHERE s.quantity = %s ORDER BY 1",
            quantity,
        )
        return {int(row[0].timestamp()) - self.hour_us // S_US: row[1:] for row in rows}

    def count(self, table: str = "readings") -> int:
        return int(self.warehouse.fetch(f"SELECT count(*) FROM {table}")[0][0])  # noqa: S608


def refresh(owner: psycopg.Connection) -> None:
    """What TimescaleDB's own rollups do each minute, now."""
    if owner.execute("SELECT readings_kept_by_timescaledb()").fetchone() == (True,):
        owner.execute("CALL refresh_continuous_aggregate('reading_minutes', now() - interval '6 days', now())")
        owner.execute("CALL refresh_continuous_aggregate('reading_hours', now() - interval '6 days', now())")


@pytest.fixture
def gate(database: Any) -> Iterator[Gate]:
    with (
        psycopg.connect(database.owner_dsn, autocommit=True) as owner,
        psycopg.connect(database.dsn_of("tallygate_ingest"), autocommit=True) as ingest,
    ):
        yield Gate(make_warehouse(owner, ingest))


# ── Once, and where it belongs ──


def test_a_minute_and_an_hour_are_made_of_their_seconds(gate: Gate) -> None:
    for second, reads in ((1, 10), (2, 30), (61, 5)):
        gate.see(second, reads, rssi_dbm=-40.0 - reads)
    gate.flush()
    assert gate.rollup("reading_minutes") == {0: (2, 40.0, 10.0, 30.0), 60: (1, 5.0, 5.0, 5.0)}
    assert gate.rollup("reading_hours") == {0: (3, 45.0, 5.0, 30.0)}
    assert gate.rollup("reading_minutes", "rssi_dbm") == {
        0: (2, -120.0, -70.0, -50.0),
        60: (1, -45.0, -45.0, -45.0),
    }
    assert gate.counters["readings_stored"] == 9


def test_a_second_delivery_changes_nothing(gate: Gate) -> None:
    for _ in range(3):
        gate.see(1, 10)
        gate.see(1, 10)
        gate.flush()
    assert gate.count() == 3  # reads, tags, rssi_dbm
    assert gate.rollup("reading_minutes") == {0: (1, 10.0, 10.0, 10.0)}
    assert gate.rollup("reading_hours") == {0: (1, 10.0, 10.0, 10.0)}
    assert gate.counters["readings_known"] == 15


def test_two_summaries_of_one_moment_both_count(gate: Gate) -> None:
    gate.see(1, 10)
    gate.see(1, 4)
    gate.flush()
    assert gate.rollup("reading_minutes") == {0: (2, 14.0, 4.0, 10.0)}


def test_a_late_row_counts_in_its_own_minute_and_hour(gate: Gate) -> None:
    gate.see(3605, 7)
    gate.flush()
    assert gate.rollup("reading_minutes") == {3600: (1, 7.0, 7.0, 7.0)}
    gate.see(5, 100)
    gate.see(3606, 1)
    gate.flush()
    assert gate.rollup("reading_minutes") == {0: (1, 100.0, 100.0, 100.0), 3600: (2, 8.0, 1.0, 7.0)}
    assert gate.rollup("reading_hours") == {0: (1, 100.0, 100.0, 100.0), 3600: (2, 8.0, 1.0, 7.0)}


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seconds=st.lists(st.tuples(st.integers(0, 7199), st.integers(0, 50)), min_size=1, max_size=25, unique=True),
    seed=st.integers(0, 2**16),
)
def test_in_whatever_order_and_however_often_they_come_rollups_are_those_of_the_distinct_rows(
    gate: Gate, seconds: list[tuple[int, int]], seed: int
) -> None:
    owner, chance = gate.warehouse.owner, random.Random(seed)
    name = f"gate-{example_of(gate)}"
    coming = seconds * 2
    chance.shuffle(coming)
    for at, (second, reads) in enumerate(coming):
        gate.see(second, reads, gate=name)
        if chance.random() < 0.3 or at == len(coming) - 1:
            gate.flush()
    refresh(owner)
    for table, width in (("reading_minutes", 60), ("reading_hours", 3600)):
        expected: dict[int, list[int]] = defaultdict(list)
        for second, reads in set(seconds):
            expected[second // width * width].append(reads)
        found = owner.execute(
            f"SELECT bucket_at, samples, total, lowest, highest FROM {table}"  # noqa: S608  # type: ignore[arg-type]
            " JOIN reading_series USING (company_id, series_id) WHERE source = %s AND quantity = 'reads'",
            [name],
        ).fetchall()
        assert {int(row[0].timestamp()) - gate.hour_us // S_US: row[1:] for row in found} == {
            bucket: (len(reads), sum(reads), min(reads), max(reads)) for bucket, reads in expected.items()
        }


def example_of(gate: Gate) -> int:
    """A number that no example before had."""
    gate.counters["examples"] += 1
    return gate.counters["examples"]


def test_gates_of_two_gateways_that_share_a_name_are_two_series(gate: Gate) -> None:
    other = Gate(gate.warehouse, "gw-2")
    gate.see(1, 10)
    other.see(1, 20)
    gate.flush()
    other.flush()
    assert gate.warehouse.fetch(
        "SELECT g.code, r.total FROM readings r JOIN reading_series s USING (company_id, series_id)"
        " JOIN gateways g USING (company_id, gateway_id) WHERE s.quantity = 'reads' ORDER BY 1"
    ) == [("gw-1", 10.0), ("gw-2", 20.0)]


# ── Times that cannot be ──


def test_a_clock_ahead_is_dated_by_receipt_and_its_copy_is_still_known(gate: Gate) -> None:
    now_us = time.time_ns() // 1000
    payload = gate.payload(now_us + 3600 * S_US, 10)
    gate.hear(payload, now_us)
    gate.flush()
    gate.hear(payload, now_us + 30 * S_US)  # heard by another worker, or a moment later
    gate.flush()
    assert gate.warehouse.fetch("SELECT DISTINCT measured_at = recorded_at FROM readings") == [(True,)]
    assert gate.count() == 3


def test_what_is_later_than_raw_rows_are_kept_is_counted_and_not_stored(gate: Gate) -> None:
    now_us = time.time_ns() // 1000
    gate.hear(gate.payload(now_us - 7 * DAY_US, 10))
    gate.hear(gate.payload(0, 0))  # a gate that never read anything has no clock
    gate.hear(gate.payload(now_us - 5 * DAY_US, 1))
    gate.flush()
    assert gate.counters["readings_late"] == 5
    assert gate.count() == gate.counters["readings_stored"] == 3
    assert [total for _, total, *_ in gate.rollup("reading_hours").values()] == [1.0]


# ── Whatever is wrong, movements go on ──


def test_only_the_holder_of_the_lane_stores(gate: Gate) -> None:
    gate.see(1, 10)
    gate.warehouse.owner.execute("UPDATE lane_leases SET token = 8 WHERE lane = %s", [gate.registered.lane])
    gate.flush()
    assert gate.count() == 0
    assert gate.counters["readings_of_lost_lanes"] == 3
    assert gate.intake.rows_waiting == 0


def test_what_waits_while_the_database_is_away_is_stored_when_it_is_back(gate: Gate, database: Any) -> None:
    gate.see(1, 10)
    with psycopg.connect(database.dsn_of("tallygate_ingest"), autocommit=True) as lost:
        gate.warehouse.ingest.execute("SELECT pg_terminate_backend(%s)", [lost.info.backend_pid])
        with pytest.raises(psycopg.OperationalError):
            gate.flush(lost)
    assert gate.intake.rows_waiting == 3
    gate.intake.begin()
    gate.flush()
    assert gate.count() == 3
    assert gate.intake.rows_waiting == 0


def test_a_read_only_database_is_everybodys_trouble_and_readings_wait(gate: Gate) -> None:
    gate.see(1, 10)
    gate.warehouse.ingest.execute("SET default_transaction_read_only = on")
    with pytest.raises(errors.ReadOnlySqlTransaction):
        gate.flush()
    gate.warehouse.ingest.execute("SET default_transaction_read_only = off")
    gate.flush()
    assert gate.count() == 3


def test_what_the_database_refuses_of_readings_is_let_go_and_said_once(
    gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    gate.warehouse.owner.execute("REVOKE INSERT ON readings FROM tallygate_ingest")
    for second in (1, 2):
        gate.see(second, 10)
        gate.flush()
    assert gate.counters["readings_refused"] == 2
    assert gate.intake.rows_waiting == 0
    assert [record.message for record in caplog.records] == ["the database refuses readings; movements go on"]
    gate.warehouse.owner.execute("GRANT INSERT ON readings TO tallygate_ingest")
    gate.see(3, 10)
    gate.flush()
    assert gate.count() == 3


def test_readings_wait_for_a_lock_no_longer_than_is_said_and_are_not_lost(gate: Gate, database: Any) -> None:
    gate.see(1, 10)
    with psycopg.connect(database.owner_dsn) as other:
        other.execute("LOCK TABLE readings IN ACCESS EXCLUSIVE MODE")
        gate.flush()
        assert gate.counters["readings_waited"] == 1
        other.rollback()
    gate.flush()
    assert gate.count() == 3


def test_what_waits_is_bounded(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readings_intake, "MOST_ROWS", 7)
    for second in range(10):
        gate.see(second, 1)
    assert gate.intake.rows_waiting == 6
    assert gate.counters["readings_dropped"] == 24


def test_a_gateway_that_sends_ever_new_names_fills_no_table(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud.store.readings.MOST_SERIES", 6)
    for number in range(5):
        gate.see(number, 1, gate=f"gate-{number}")
        gate.flush()
    assert gate.count("reading_series") == 6
    assert gate.counters["readings_without_series"] == 9
    gate.see(9, 1, gate="g" * 65)
    assert gate.counters["unreadable_readings"] == 1


def test_readings_are_gathered_until_they_are_due_and_pictures_are_not(gate: Gate) -> None:
    def flush(now_s: float) -> int:
        gate.intake.flush(gate.warehouse.ingest, TEST_LEASE, now_s)
        return gate.count()

    gate.see(1, 10)
    assert flush(100.0) == 3
    gate.see(2, 5)
    assert flush(100.0 + readings_intake.FLUSH_S / 2) == 3
    assert gate.warehouse.fetch("SELECT gate, reads_total FROM gate_readings") == [("dock-1", 15)]
    assert flush(100.0 + readings_intake.FLUSH_S) == 6


# ── As long as is asked ──


def old_rows(gate: Gate, *ages_days: int) -> None:
    """A raw row, a minute and an hour of each age, as they would be by now."""
    owner, company = gate.warehouse.owner, gate.warehouse.company_id
    for days in ages_days:
        at = datetime.now(UTC) - timedelta(days=days)
        owner.execute(
            "INSERT INTO readings VALUES (%s, 1, %s, 1, %s, 1, %s, 1, 1)", [company, at, at, float(days)]
        )
        for table in ("reading_minutes", "reading_hours"):
            if owner.execute("SELECT readings_kept_by_timescaledb()").fetchone() == (False,):
                owner.execute(
                    sql.SQL("INSERT INTO {} VALUES (%s, 1, %s, 1, %s, 1, 1)").format(sql.Identifier(table)),
                    [company, at, float(days)],
                )


def ages(gate: Gate, table: str) -> list[int]:
    return [int(row[0]) for row in gate.warehouse.fetch(f"SELECT total FROM {table} ORDER BY 1")]  # noqa: S608


@pytest.fixture
def ours(gate: Gate) -> Gate:
    """A gate whose retention is our own job's."""
    if gate.warehouse.fetch("SELECT readings_kept_by_timescaledb()") == [(True,)]:
        pytest.skip("TimescaleDB's own policies keep readings here: see test_policies_…")
    return gate


def test_raw_is_kept_for_days_minutes_for_months_hours_for_years(ours: Gate, database: Any) -> None:
    old_rows(ours, 0, 3, 20, 150, 1200, 3000)
    keeping = ReadingsKeeping(database.dsn_of("tallygate_ingest"), ReadingDays(7, 92, 1827))
    assert keeping.once() > 0
    assert ages(ours, "readings") == [0, 3]
    assert ages(ours, "reading_minutes") == [0, 3, 20]
    assert ages(ours, "reading_hours") == [0, 3, 20, 150, 1200]
    assert keeping.once() == 0


def test_settings_that_keep_less_drop_more(ours: Gate, database: Any) -> None:
    old_rows(ours, 0, 4, 30, 300)
    dsn = database.dsn_of("tallygate_ingest")
    ReadingsKeeping(dsn, ReadingDays(7, 92, 1827)).once()
    assert ages(ours, "readings") == [0, 4]
    ReadingsKeeping(dsn, ReadingDays(2, 10, 100)).once()
    assert ages(ours, "readings") == [0]
    assert ages(ours, "reading_minutes") == [0, 4]
    assert ages(ours, "reading_hours") == [0, 4, 30]
    # What raw rows are kept for less long is refused sooner, by the same setting.
    ours.hear(ours.payload(time.time_ns() // 1000 - 3 * DAY_US, 1))
    ours.flush()
    assert ours.counters["readings_late"] == 3


def test_minutes_and_hours_outlive_their_raw_rows(gate: Gate, database: Any) -> None:
    now_us = time.time_ns() // 1000
    gate.hear(gate.payload(now_us - 5 * DAY_US, 40))
    gate.see(1, 2)
    gate.flush()
    before = gate.rollup("reading_minutes"), gate.rollup("reading_hours")
    ReadingsKeeping(database.dsn_of("tallygate_ingest"), ReadingDays(2, 92, 1827)).once()
    for _ in range(2):  # TimescaleDB's own jobs, where it has them: a refresh finds the raw rows gone
        for (job,) in gate.warehouse.fetch(policies(gate)):
            gate.warehouse.owner.execute("CALL run_job(%s)", [job])
    assert [row[0] for row in gate.warehouse.fetch("SELECT total FROM readings WHERE samples = 1 ORDER BY 1")] == [
        -50.0, 1.0, 2.0,
    ]  # fmt: skip
    rows = gate.warehouse.fetch(
        "SELECT m.total FROM reading_minutes m JOIN reading_series s USING (company_id, series_id)"
        " WHERE s.quantity = 'reads' ORDER BY m.bucket_at"
    )
    assert rows == [(40.0,), (2.0,)]
    assert [one[1] for rollup in before for one in rollup.values()] == [40.0, 2.0] * 2


def policies(gate: Gate) -> str:
    """The query for TimescaleDB's jobs that keep readings, in the order drop, refresh; nothing elsewhere."""
    if gate.warehouse.fetch("SELECT readings_kept_by_timescaledb()") == [(False,)]:
        return "SELECT 1 WHERE false"
    return (
        "SELECT job_id FROM timescaledb_information.jobs WHERE proc_name IN ('policy_retention',"
        " 'policy_refresh_continuous_aggregate') ORDER BY proc_name DESC, job_id"
    )


def test_jobs_beside_each_other_make_each_piece_once(gate: Gate, database: Any) -> None:
    dsn = database.dsn_of("tallygate_ingest")
    now_us = time.time_ns() // 1000
    for days in range(1, 6):
        gate.hear(gate.payload(now_us - days * DAY_US, days))
    gate.flush()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: ReadingsKeeping(dsn, ReadingDays()).once(), range(4)))
    assert gate.count() == 15


def test_nobody_is_asked_to_keep_less_than_two_days(gate: Gate) -> None:
    with pytest.raises(errors.CheckViolation):
        gate.warehouse.ingest.execute("SELECT keep_readings(0, 0, 0)")


def test_the_jobs_program_keeps_readings(ours: Gate, database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    old_rows(ours, 0, 3)
    monkeypatch.setenv("TALLYGATE_DSN", database.dsn_of("tallygate_ingest"))
    monkeypatch.setenv("TALLYGATE_READINGS_RAW_DAYS", "2")
    assert jobs(["--once"]) == 0
    assert ages(ours, "readings") == [0]
    assert ages(ours, "reading_minutes") == [0, 3]


def test_a_reader_makes_the_job_wait_and_nobody_else(ours: Gate, database: Any) -> None:
    old_rows(ours, 0, 30)
    dsn = database.dsn_of("tallygate_ingest")
    ReadingsKeeping(dsn, ReadingDays(60, 92, 1827)).once()  # so that the old row has a piece of its own
    keeping = ReadingsKeeping(dsn, ReadingDays(7, 92, 1827))
    with psycopg.connect(database.owner_dsn) as reader:
        reader.execute("SELECT count(*) FROM readings")
        with pytest.raises(errors.LockNotAvailable):
            keeping.once()
        ours.see(1, 10)
        ours.flush()
        assert ours.counters["readings_stored"] == 3
    assert keeping.once() > 0
    assert 30 not in ages(ours, "readings")


# ── Each edition's own way ──


def on_timescaledb(gate: Gate) -> bool:
    """Asked of the server: one that was given may be of any edition."""
    return bool(gate.warehouse.fetch("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'"))


def test_rows_that_no_partition_is_there_for_get_theirs(gate: Gate, database: Any) -> None:
    if on_timescaledb(gate):
        pytest.skip("TimescaleDB makes a chunk for whatever comes")
    now_us = time.time_ns() // 1000
    for days in (1, 2, 2, 5):
        gate.hear(gate.payload(now_us - days * DAY_US, days + 10))
    gate.flush()
    resting = "SELECT count(*) FROM partitions.readings_rest"
    assert gate.warehouse.fetch(resting) == [(9,)]
    ReadingsKeeping(database.dsn_of("tallygate_ingest"), ReadingDays()).once()
    assert gate.warehouse.fetch(resting) == [(0,)]
    assert gate.count() == 9
    # Copies are still known where the rows are now.
    gate.hear(gate.payload(now_us - DAY_US, 11))
    gate.flush()
    assert gate.count() == 9


def test_partitions_are_made_before_they_are_needed(gate: Gate) -> None:
    if on_timescaledb(gate):
        pytest.skip("TimescaleDB makes a chunk for whatever comes")
    names = {row[0] for row in gate.warehouse.fetch("SELECT inhrelid::regclass::text FROM pg_inherits")}
    for days in range(3):
        day = datetime.now(UTC) + timedelta(days=days)
        assert f"partitions.readings_{day:%Y%m%d}" in names


def test_books_that_come_to_timescaledb_from_partitions_keep_their_readings(gate: Gate, database: Any) -> None:
    if not on_timescaledb(gate):
        pytest.skip("partitions stay partitions")
    owner = gate.warehouse.owner
    if gate.warehouse.fetch("SELECT relkind FROM pg_class WHERE relname = 'reading_minutes'") != [("r",)]:
        pytest.skip("continuous aggregates have never been partitions")
    for table in ("readings", "reading_minutes", "reading_hours"):
        owner.execute(sql.SQL("CREATE TABLE before (LIKE {} INCLUDING ALL)").format(sql.Identifier(table)))
        owner.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(table)))
        owner.execute(sql.SQL("ALTER TABLE before RENAME TO {}").format(sql.Identifier(table)))
        owner.execute(
            sql.SQL("ALTER TABLE {} RENAME CONSTRAINT before_pkey TO {}").format(
                sql.Identifier(table), sql.Identifier(f"{table}_pkey")
            )
        )
    owner.execute((migrate.MIGRATIONS / "readings_partitions.sql").read_text("utf-8"))  # type: ignore[arg-type]
    owner.execute((migrate.MIGRATIONS / "grants.sql").read_text("utf-8"))  # type: ignore[arg-type]
    gate.see(1, 10)
    gate.flush()
    migrate.migrate(database.owner_dsn)
    gate.see(2, 5)
    gate.see(1, 10)
    gate.flush()
    assert gate.rollup("reading_minutes") == {0: (2, 15.0, 5.0, 10.0)}
    tables = gate.warehouse.fetch("SELECT hypertable_name FROM timescaledb_information.hypertables")
    assert {row[0] for row in tables} >= {"readings", "reading_minutes", "reading_hours"}


def test_policies_keep_what_the_settings_say(gate: Gate, database: Any) -> None:
    if gate.warehouse.fetch("SELECT readings_kept_by_timescaledb()") != [(True,)]:
        pytest.skip("our own job keeps readings here: see test_raw_is_kept_…")
    asked = (
        "SELECT config ->> 'drop_after', config ->> 'start_offset' FROM timescaledb_information.jobs"
        " WHERE proc_name IN ('policy_retention', 'policy_refresh_continuous_aggregate') ORDER BY 1, 2"
    )
    ReadingsKeeping(database.dsn_of("tallygate_ingest"), ReadingDays(3, 40, 800)).once()
    found = gate.warehouse.fetch(asked)
    assert sorted(row[0] for row in found if row[0]) == ["3 days", "40 days", "800 days"]
    assert [row[1] for row in found if row[1]] == ["3 days -12:00:00"] * 2


# ── Rights ──

TABLES = ("readings", "reading_minutes", "reading_hours", "reading_series", "reading_retention")


def rights(gate: Gate, role: str) -> set[tuple[str, str]]:
    """What a role may do with each table of readings, reading apart."""
    asked = (
        "SELECT t.name, r.may FROM unnest(%s::text[]) t (name),"
        " unnest('{INSERT,UPDATE,DELETE,TRUNCATE,TRIGGER}'::text[]) r (may)"
        " WHERE has_table_privilege(%s, t.name, r.may)"
    )
    return set(gate.warehouse.fetch(asked, list(TABLES), role))


@pytest.mark.parametrize("role", ["tallygate_api", "tallygate_read"])
def test_other_services_only_read_readings(gate: Gate, database: Any, role: str) -> None:
    assert rights(gate, role) == set()
    with psycopg.connect(database.dsn_of(role), autocommit=True) as connection:
        for table in TABLES:
            connection.execute(sql.SQL("SELECT * FROM {} LIMIT 1").format(sql.Identifier(table)))
        with pytest.raises(errors.InsufficientPrivilege, match="keep_readings"):
            connection.execute("SELECT keep_readings(7, 92, 1827)")


def test_ingest_adds_and_neither_changes_nor_drops_a_raw_row_itself(gate: Gate) -> None:
    assert rights(gate, "tallygate_ingest") == {
        ("readings", "INSERT"), ("reading_series", "INSERT"), ("reading_minutes", "INSERT"),
        ("reading_minutes", "UPDATE"), ("reading_hours", "INSERT"), ("reading_hours", "UPDATE"),
    }  # fmt: skip
    for statement in ("DELETE FROM readings", "UPDATE readings SET total = 0", "DROP TABLE readings"):
        with pytest.raises(errors.InsufficientPrivilege):
            gate.warehouse.ingest.execute(statement)  # type: ignore[arg-type]
