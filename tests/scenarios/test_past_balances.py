"""Balances at past moments: the same whether snapshots hold nothing, something or everything of the log."""

import random
import uuid
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from cloud.domain.movement import MICRO, Kind
from cloud.flows.declare import Declared, declare_movements
from cloud.flows.keep_balances import keep_balances
from cloud.flows.verify.snapshots import check_snapshots
from cloud.store.snapshots import Clock, quantities_at
from tests.makers import HOUR_US, NOON_US, SECOND_US, GatewayLog, Warehouse, epc

pytestmark = pytest.mark.editions

DAY_US = 24 * HOUR_US
TAGS = range(1, 9)

TIME = {Clock.OCCURRED: "occurred_us", Clock.RECORDED: "(extract(epoch FROM recorded_at) * 1000000)::bigint"}
SUMS = (
    "SELECT item_id, location_id, lot_id, sum(qty)::bigint FROM ("
    "  SELECT item_id, to_id AS location_id, lot_id, qty_micro AS qty, {time} AS at FROM movements"
    "   UNION ALL SELECT item_id, from_id, lot_id, -qty_micro, {time} FROM movements) legs"
    " WHERE at <= %s GROUP BY 1, 2, 3"
)
MOMENTS = "SELECT DISTINCT {time} FROM movements ORDER BY 1"


def keys_of(warehouse: Warehouse) -> list[tuple[int, int, int]]:
    return warehouse.fetch("SELECT item_id, location_id, lot_id FROM balances ORDER BY 1, 2, 3")  # type: ignore[return-value]


def asked(warehouse: Warehouse, clock: Clock, at_us: int) -> dict[Any, int]:
    keys = keys_of(warehouse)
    with warehouse.owner.transaction():
        warehouse.owner.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        quantities = quantities_at(warehouse.owner, warehouse.company_id, clock, at_us, keys)
    return {key: qty for key, qty in zip(keys, quantities, strict=True) if qty}


def summed(warehouse: Warehouse, clock: Clock, at_us: int) -> dict[Any, int]:
    return {tuple(key): qty for *key, qty in warehouse.fetch(SUMS.format(time=TIME[clock]), at_us) if qty}


def moments(warehouse: Warehouse, clock: Clock, random_: random.Random, count: int) -> list[int]:
    """Moments of movements, just before and just after them, and far from all."""
    known = [row[0] for row in warehouse.fetch(MOMENTS.format(time=TIME[clock]))]
    near = [moment + by for moment in random_.sample(known, min(count, len(known))) for by in (-1, 0, 1)]
    return [known[0] - DAY_US, *near, known[-1] + DAY_US]


def agree(warehouse: Warehouse, random_: random.Random, count: int = 6) -> None:
    for clock in Clock:
        for moment in moments(warehouse, clock, random_, count):
            assert asked(warehouse, clock, moment) == summed(warehouse, clock, moment), (clock, moment)


def declare(warehouse: Warehouse, random_: random.Random, rows: int, around_us: int = NOON_US) -> None:
    """Bought and moved on, at moments of three weeks; some of one instant."""
    places = [warehouse.places[code] for code in ("STORE", "YARD", "SUPPLIER")]
    declared = []
    for _ in range(rows):
        kind = random_.choice((Kind.PURCHASE_RECEIPT, Kind.INTERNAL_MOVE))
        source, to = (places[2], places[0]) if kind is Kind.PURCHASE_RECEIPT else (places[0], places[1])
        item = warehouse.items[random_.choice(("BOLT", "LAMP"))]
        at_us = around_us + random_.choice((random_.randrange(21) * DAY_US, random_.randrange(21 * DAY_US)))
        declared.append(Declared(kind, item, random_.randint(1, 9) * MICRO, source, to, at_us))
    declare_movements(warehouse.owner, warehouse.company_id, declared, uuid.uuid4().hex, b"1" * 32)


def pass_gates(warehouse: Warehouse, random_: random.Random, logs: list[GatewayLog], at_s: float) -> None:
    """A batch of passages; its workers' clocks are not always right."""
    log = random_.choice(logs)
    first = len(log.written) + 1
    for tag in random_.sample(TAGS, random_.randint(1, 3)):
        log.passage(epc(tag), random_.choice(("in", "out")), at_s + random_.random() * 60, gate="dock-1")
    wrong_us = random_.choice((0, 0, -90, 45)) * SECOND_US
    warehouse.record(log.message(first), at_us=NOON_US + int(at_s * SECOND_US) + 120 * SECOND_US + wrong_us)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_balances_at_any_moment_are_the_sum_of_what_had_moved(warehouse: Warehouse, seed: int) -> None:
    random_ = random.Random(seed)
    logs = [GatewayLog(*warehouse.gateways[code]) for code in ("gw-1", "gw-2")]
    for tag in TAGS:
        warehouse.tag(tag, random_.choice(("BOLT", "LAMP")))
    for step in range(24):
        if random_.random() < 0.6:
            pass_gates(warehouse, random_, logs, 300.0 * step)
        else:
            declare(warehouse, random_, random_.randint(1, 12))
        if random_.random() < 0.5:
            keep_balances(warehouse.ingest, warehouse.company_id, step=random_.randint(1, 30), stretch=5)
        if step % 6 == 5:
            agree(warehouse, random_)
            warehouse.check()
    while keep_balances(warehouse.ingest, warehouse.company_id, step=7, stretch=3) is not None:
        pass
    agree(warehouse, random_, count=20)
    stretches = warehouse.fetch("SELECT clock, count(*) FROM balance_snapshots GROUP BY 1 ORDER BY 1")
    assert [clock for clock, _ in stretches] == [1, 2]
    assert all(count > 3 for _, count in stretches)


def test_goods_of_one_instant_stay_together(warehouse: Warehouse) -> None:
    store, supplier, bolt = warehouse.places["STORE"], warehouse.places["SUPPLIER"], warehouse.items["BOLT"]
    for at_us, count in ((NOON_US, 40), (NOON_US - 1, 1), (NOON_US + 1, 3)):
        rows = [Declared(Kind.PURCHASE_RECEIPT, bolt, MICRO, supplier, store, at_us)] * count
        declare_movements(warehouse.owner, warehouse.company_id, rows, uuid.uuid4().hex, b"1" * 32)
        keep_balances(warehouse.ingest, warehouse.company_id, stretch=4)
    key = (bolt, store, 0)
    found = [asked(warehouse, Clock.OCCURRED, NOON_US + by).get(key, 0) // MICRO for by in (-2, -1, 0, 1)]
    assert found == [0, 1, 41, 44]


def test_a_quiet_company_has_a_snapshot_for_each_week(warehouse: Warehouse) -> None:
    declare(warehouse, random.Random(5), 30)
    keep_balances(warehouse.ingest, warehouse.company_id)
    spans = warehouse.fetch("SELECT last_us - first_us FROM balance_snapshots WHERE clock = 1")
    assert len(spans) == 3
    assert max(span for (span,) in spans) <= 7 * DAY_US


def test_what_commits_after_a_snapshot_is_added(warehouse: Warehouse) -> None:
    """Another worker's batch is open while the snapshot is made, and was recorded before its moment."""
    random_ = random.Random(6)
    declare(warehouse, random_, 12)
    for tag in TAGS:
        warehouse.tag(tag)
    with psycopg.connect(warehouse.ingest.info.dsn, password=warehouse.ingest.info.password) as slow:
        slow_house = Warehouse(
            warehouse.owner, slow, warehouse.company_id, warehouse.places, warehouse.items, warehouse.gateways
        )
        pass_gates(slow_house, random_, [GatewayLog(*warehouse.gateways["gw-2"])], 60.0)
        declare(warehouse, random_, 12)
        while keep_balances(warehouse.ingest, warehouse.company_id, stretch=4) is not None:
            pass
        agree(warehouse, random_)
    agree(warehouse, random_)
    keep_balances(warehouse.ingest, warehouse.company_id, stretch=4)
    agree(warehouse, random_)


def test_only_one_job_brings_a_companys_snapshots_forward(warehouse: Warehouse) -> None:
    declare(warehouse, random.Random(7), 3)
    with warehouse.owner.transaction():
        assert keep_balances(warehouse.owner, warehouse.company_id) == 3
        assert keep_balances(warehouse.ingest, warehouse.company_id) is None


@pytest.mark.parametrize(
    "spoil",
    [
        "UPDATE snapshot_balances SET qty_micro = qty_micro + 1 WHERE ctid = (SELECT min(ctid) FROM snapshot_balances)",
        "DELETE FROM snapshot_balances WHERE ctid = (SELECT min(ctid) FROM snapshot_balances)",
        "UPDATE balance_snapshots SET moved = moved + 1 WHERE clock = 1",
        "UPDATE balance_snapshots SET recorded_to = recorded_from - INTERVAL '1 s' WHERE clock = 2",
        "UPDATE balance_marks SET batch_no = batch_no + 1",
        "DELETE FROM balance_snapshots WHERE moment_us = (SELECT min(moment_us) FROM balance_snapshots)",
    ],
)
def test_verify_finds_snapshots_that_are_wrong(new_warehouse: Callable[[], Warehouse], spoil: str) -> None:
    warehouse = new_warehouse()
    declare(warehouse, random.Random(8), 30)
    keep_balances(warehouse.ingest, warehouse.company_id, stretch=4)
    warehouse.check()
    with warehouse.owner.transaction(force_rollback=True):
        assert warehouse.owner.execute(spoil).rowcount > 0  # type: ignore[arg-type]
        assert [check.promise for check in check_snapshots(warehouse.owner) if not check.holds]
