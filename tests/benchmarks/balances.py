"""Balances at past moments: how long a page takes among millions of movements, against the 50 ms that it may.

The movements are of four months, busy and quiet goods (the busiest has a twentieth of all), a quarter of them late,
some by days; they are written straight into the tables, as ingest would leave them. fsync is on.

    python -m tests.benchmarks balances               what `make bench` measures
    python -m tests.benchmarks.balances DSN [...]     the same by hand, on a database that is there, and more told
"""

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg

from cloud.flows.keep_balances import keep_balances
from cloud.store.migrate import SERVICE_ROLES, migrate
from cloud.store.pool import session_options
from cloud.store.snapshots import Clock, Wanted, balances_at
from standalone.postgres import OWNER, Postgres, find_binaries
from tests.benchmarks.figure import Figure

MOVEMENTS = 2_000_000
ITEMS = 4_000
PLACES = 12  # zones of two sites
DAYS = 120
BATCH = 500
LANES = 4
ASKED = 400  # moments
LIMIT_MS = 50.0

_BEGIN_US = 1_780_000_000_000_000
_DAY_US = 86_400_000_000

COMPANY = """
INSERT INTO companies (code, name, currency, minor_digits, time_zone, profile)
VALUES ('past', 'Past', 'CNY', 2, 'Asia/Shanghai', 'ASBE');
INSERT INTO locations (company_id, code, name, kind) SELECT c.company_id, k, k, lower(k)
  FROM companies c, unnest(ARRAY['SUPPLIER', 'CUSTOMER']) k;
INSERT INTO locations (company_id, code, name, kind, site_id)
SELECT c.company_id, 'Z' || n, 'Zone ' || n, 'zone', 1000 + n % 2 FROM companies c, generate_series(1, {places}) n;
INSERT INTO items (company_id, code, name_en) SELECT c.company_id, 'I' || n, 'Item ' || n
  FROM companies c, generate_series(1, {items}) n;
"""

# Row k: its batch is k / BATCH, batches go round the lanes; goods come, move about between zones, and go.
ROWS = """
SELECT k, b, 1 + floor({items} * r1 ^ 3)::integer AS item_id,
       '{begin}'::bigint + (b * ({days}::bigint * 86400000000 / {batches})) AS recorded_us,
       CASE WHEN r2 < 0.75 THEN (r3 * 2e6)::bigint WHEN r2 < 0.99 THEN (r3 * 7200e6)::bigint
            ELSE (r3 * 5 * 86400e6)::bigint END AS late_us,
       (r4 * 12)::integer AS dice, r4, r5
  FROM (SELECT k, k / {batch} AS b, random() AS r1, random() AS r2, random() AS r3, random() AS r4, random() AS r5
          FROM generate_series({first}, {last}) k) k
"""
MOVEMENT_COLUMNS = """
INSERT INTO movements (company_id, recorded_at, movement_id, kind, item_id, qty_micro, from_id, to_id, document,
                       rate_nano, tags, occurred_us, gateway_id, epoch, seq, lane, batch_no, row_no, digest)
SELECT 1, 'epoch'::timestamptz + recorded_us * INTERVAL '1 microsecond',
       (lpad(to_hex((recorded_us - late_us) / 1000), 12, '0') || '7' || substr(md5(k::text), 1, 3) || '8' ||
        substr(md5(k::text), 4, 15))::uuid,
       CASE WHEN dice < 4 THEN 1 WHEN dice < 8 THEN 3 ELSE 13 END, item_id, 1000000 * (1 + k %% 9),
       CASE WHEN dice < 4 THEN 1 ELSE 3 + (dice + item_id) %% {places} END,
       CASE WHEN dice BETWEEN 4 AND 7 THEN 2 ELSE 3 + (dice + item_id + 1) %% {places} END,
       'D-' || k / 40, 1000000000, 0, recorded_us - late_us, 1 + k %% 8,
       md5('epoch' || k %% 8)::uuid, k / 8 + 1, b %% {lanes}, b / {lanes} + 1, k %% {batch}, sha256(k::text::bytea)
  FROM rows
"""


def measure_balances() -> list[Figure]:
    """A page of all goods, of a zone and of the busiest item, by either clock; bringing snapshots forward."""
    with _house() as server, _books(server, MOVEMENTS) as (owner, reader):
        kept_s = _keep(owner)
        figures = [Figure("balance snapshots kept", MOVEMENTS / kept_s, "movements/s")]
        figures += [_size(owner)]
        for clock in Clock:
            for name, wanted in ASKED_FOR.items():
                began_ms = processor_ms(reader)
                times_ms = ask(reader, clock, wanted, ASKED)
                told = {"median": statistics.median(times_ms), "p99": percentile(times_ms, 99)}
                if began_ms is not None:  # on a machine that does other work, too, this is what stays comparable
                    told["processor"] = ((processor_ms(reader) or 0.0) - began_ms) / ASKED
                figures += [
                    Figure(f"past {name}, {clock.name.lower()}, {word}", value, "ms a page", "the limit", LIMIT_MS)
                    for word, value in told.items()
                ]
        return figures


ASKED_FOR = {
    "all": Wanted(),
    "a zone": Wanted(location="Z3"),
    "busiest item": Wanted(item="I1"),
}


def ask(reader: psycopg.Connection, clock: Clock, wanted: Wanted, count: int, seed: int = 1) -> list[float]:
    """Milliseconds of so many first pages, each of a moment by chance and behind a key by chance."""
    random_ = random.Random(seed)
    times = []
    for _ in range(count):
        at_us = _BEGIN_US + random_.randrange(DAYS * _DAY_US)
        after = (random_.randrange(ITEMS) if wanted == Wanted() else -1, -1, -1)
        began = time.perf_counter()
        with reader.transaction():
            reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            balances_at(reader, 1, clock, at_us, after, 50, wanted)
        times.append((time.perf_counter() - began) * 1e3)
    return times


def processor_ms(reader: psycopg.Connection) -> float | None:
    """Processor time of this process and of the connection's backend so far; None where /proc does not say."""
    try:
        fields = Path(f"/proc/{reader.info.backend_pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    ticks = int(fields[11]) + int(fields[12])  # utime and stime, proc(5)
    return (ticks / os.sysconf("SC_CLK_TCK") + time.process_time()) * 1e3


def percentile(values: Sequence[float], percent: int) -> float:
    """The smallest value that so many percent do not pass."""
    return sorted(values)[max(0, -(-len(values) * percent // 100) - 1)]


def write(owner: psycopg.Connection, movements: int) -> None:
    """A company whose books hold so many movements."""
    owner.execute(COMPANY.format(places=PLACES, items=ITEMS))
    batches = movements // BATCH
    for first in range(0, movements, 250_000):
        names = {
            "items": ITEMS, "places": PLACES, "days": DAYS, "batch": BATCH, "lanes": LANES, "begin": _BEGIN_US,
            "batches": batches, "first": first, "last": min(first + 250_000, movements) - 1,
        }  # fmt: skip
        owner.execute(
            f"WITH rows AS ({ROWS.format(**names)}) {MOVEMENT_COLUMNS.format(**names)}".replace("%%", "%")
        )
    owner.execute(
        "INSERT INTO batches (company_id, lane, batch_no, recorded_at, worker, observed, moved, previous, head)"
        " SELECT 1, lane, batch_no, min(recorded_at), 'bench', count(*), count(*), '', '' FROM movements GROUP BY 2, 3"
    )
    owner.execute(
        "INSERT INTO lane_heads (company_id, lane, batch_no, head)"
        " SELECT 1, lane, max(batch_no), '' FROM batches GROUP BY lane"
    )
    owner.execute(
        "INSERT INTO balances (company_id, item_id, location_id, lot_id, qty_micro)"
        " SELECT 1, item_id, place, 0, sum(qty) FROM (SELECT item_id, to_id AS place, qty_micro AS qty FROM movements"
        " UNION ALL SELECT item_id, from_id, -qty_micro FROM movements) legs GROUP BY 2, 3 ORDER BY 2, 3"
    )
    owner.execute("VACUUM (ANALYZE) movements, batches, balances, items, locations")


def _keep(owner: psycopg.Connection) -> float:
    began = time.perf_counter()
    while keep_balances(owner, 1) is not None:
        pass
    took_s = time.perf_counter() - began
    owner.execute("VACUUM (ANALYZE) balance_snapshots, snapshot_balances")
    return took_s


def _size(owner: psycopg.Connection) -> Figure:
    kept, of = (_bytes(owner, table) for table in ("snapshot_balances", "movements"))
    return Figure("balance snapshots, size", kept / 2**20, "MiB", "the movements", of / 2**20)


def _bytes(owner: psycopg.Connection, table: str) -> int:
    row = owner.execute(
        "SELECT coalesce(sum(pg_total_relation_size(i.inhrelid)), 0)::bigint"
        "     + pg_total_relation_size(%(table)s::regclass)"
        "  FROM pg_inherits i WHERE i.inhparent = %(table)s::regclass",
        {"table": table},
    ).fetchone()
    assert row
    return int(row[0])


@contextmanager
def _house() -> Iterator[Postgres]:
    with tempfile.TemporaryDirectory(prefix="tallygate-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # root's server runs as another account
        server = Postgres(folder, find_binaries())
        server.start()
        try:
            yield server
        finally:
            server.stop()
            server.remove()


@contextmanager
def _books(server: Postgres, movements: int) -> Iterator[tuple[psycopg.Connection, psycopg.Connection]]:
    server.ensure_login(OWNER, owns_schema=True)
    server.ensure_database("past", OWNER)
    migrate(server.dsn("past", OWNER))
    for role in SERVICE_ROLES:
        server.ensure_login(role)
    with (
        psycopg.connect(server.dsn("past", OWNER), autocommit=True) as owner,
        psycopg.connect(server.dsn("past", "tallygate_api"), autocommit=True, options=session_options()) as reader,
    ):
        write(owner, movements)
        yield owner, reader


def main(argv: Sequence[str] | None = None) -> None:
    """By hand, on a server that is there: medians and worst, too."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dsn", help="the owner's, of an empty migrated database")
    parser.add_argument("--movements", type=int, default=MOVEMENTS)
    parser.add_argument("--written", action="store_true", help="the movements are there already")
    arguments = parser.parse_args(argv)
    with (
        psycopg.connect(arguments.dsn, autocommit=True) as owner,
        psycopg.connect(arguments.dsn, autocommit=True, options=session_options()) as reader,
    ):
        if not arguments.written:
            began = time.perf_counter()
            write(owner, arguments.movements)
            print(f"written: {arguments.movements / (time.perf_counter() - began):,.0f} movements/s")
        print(f"kept: {_keep(owner):.1f} s; {_size(owner)}")
        for clock in Clock:
            for name, wanted in ASKED_FOR.items():
                times_ms = ask(reader, clock, wanted, ASKED)
                middle = statistics.median(times_ms)
                print(
                    f"{clock.name.lower():<9} {name:<13} {middle:6.1f} ms median, {percentile(times_ms, 99):6.1f} p99,"
                    f" {max(times_ms):6.1f} worst"
                )


if __name__ == "__main__":
    main()
