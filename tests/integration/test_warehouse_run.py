"""A run of the demonstration, from its master data to the books, as the gate's passages bring it there."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cloud.flows.record_batch import record_batch
from cloud.imports.import_retail import import_online_retail
from cloud.store.master import find_company
from firmware_bridges.virtual_reader.scenario import find_scenario, load_scenario
from standalone.warehouse.prepare import (
    OPEN_FOR,
    address,
    declare_opening_stock,
    description,
    next_run,
    prepare_run,
)
from tests.conftest import Database
from tests.makers import NOON_US, SECOND_US, TEST_LEASE, GatewayLog
from tests.order_lines import real_file

NOON = datetime.fromtimestamp(NOON_US / SECOND_US, UTC)
DIRECTIONS = {"in": "in", "out": "out", "turn_back": "turned_back"}


@pytest.fixture
def connections(database: Database) -> Iterator[tuple[psycopg.Connection, psycopg.Connection]]:
    """The owner's and the ingest service's."""
    with ExitStack() as stack:
        yield (
            stack.enter_context(psycopg.connect(database.owner_dsn, autocommit=True)),
            stack.enter_context(psycopg.connect(database.dsn_of("tallygate_ingest"), autocommit=True)),
        )


def _unload(
    connections: tuple[psycopg.Connection, psycopg.Connection],
    goods: list[dict[str, str]],
    at_s: float = 0,
    catalogue: Path | None = None,
) -> None:
    """Record what a perfect gateway would see of the scenario with these goods, in one message."""
    owner, ingest = connections
    company = find_company(owner, description(catalogue).settings.code)
    assert company is not None
    (gateway_id, lane), = owner.execute(
        "SELECT gateway_id, lane FROM gateways WHERE (site, code) = (%s, %s)",
        [address(catalogue).site, address(catalogue).gateway],
    ).fetchall()  # fmt: skip
    owner.execute(
        "INSERT INTO lane_leases VALUES (%s, %s, 'test', 7, 'infinity') ON CONFLICT DO NOTHING",
        [company.company_id, lane],
    )
    log = GatewayLog(gateway_id, lane)
    scenario = load_scenario(find_scenario("truck_unloading"))
    for pallet in sorted(scenario.pallets, key=lambda one: one.at_s):
        if not pallet.is_parked:
            for one in goods:
                if one["pallet"] == pallet.name:
                    log.passage(one["epc"], DIRECTIONS[pallet.direction], at_s + pallet.at_s)
    received_us = NOON_US + int((at_s + scenario.ends_at_s) * SECOND_US)
    record_batch(ingest, company.company_id, [log.message(received_us=received_us)], TEST_LEASE, received_us)


def _fetch(owner: psycopg.Connection, query: str) -> list[Any]:
    return owner.execute(query).fetchall()


def _kinds(owner: psycopg.Connection) -> Counter[tuple[str, str]]:
    return Counter(_fetch(owner, "SELECT k.name, document FROM movements JOIN movement_kinds k USING (kind)"))


def _assert_books_agree(owner: psycopg.Connection) -> None:
    assert {row[0] for row in _fetch(owner, "SELECT difference FROM stock_ledger_difference")} == {0}


def test_a_truck_is_on_the_books_as_it_was_announced(
    connections: tuple[psycopg.Connection, psycopg.Connection],
) -> None:
    owner, _ = connections
    goods = prepare_run(owner, next_run(owner), now=NOON)
    _unload(connections, goods)
    assert _kinds(owner) == {
        ("purchase_receipt", "PO-0001-1"): 10,
        ("purchase_receipt", "PO-0001-2"): 12,
        ("purchase_receipt", "PO-0001-3"): 8,
        ("purchase_receipt", "PO-0001-4"): 6,
        ("unexplained_in", ""): 6,
        ("sales_shipment", "SO-0001"): 8,
        ("transfer_out", "TR-0001"): 6,
    }
    outcomes = Counter(_fetch(owner, "SELECT name FROM observations JOIN outcomes USING (outcome)"))
    assert outcomes == {("moved",): 56, ("turned_back",): 6, ("unregistered",): 1}
    assert _fetch(owner, "SELECT count(*) FROM open_observations") == [(1,)]
    assert _fetch(owner, "SELECT count(*) FROM expectations WHERE done_micro <> qty_micro") == [(0,)]
    _assert_books_agree(owner)


def test_what_the_truck_brought_costs_what_was_agreed(
    connections: tuple[psycopg.Connection, psycopg.Connection],
) -> None:
    owner, _ = connections
    _unload(connections, prepare_run(owner, 1, now=NOON))
    balances = dict(_fetch(owner, "SELECT role, balance FROM account_balances"))
    case = 339.0835  # ten bags of coffee at 4.75 USD and 7.1386, in CNY; owed as 339.08 for each case
    assert balances["grni"] == -(120 * 1850 + 60 * 935 + 60 * 1260 + 8 * 33_908 + 6 * 8600)
    assert balances["cogs"] == 4 * 12 * 1850 + 2 * 10 * 935 + 2 * 10 * 1260
    # Six of them wait to arrive in the east; what eight roundings lack stands on its own account.
    assert balances["in_transit"] == round(6 * case * 100)
    assert balances["raw_material"] == round(8 * case * 100) - round(6 * case * 100)
    assert balances["rounding"] == 8 * 33_908 - round(8 * case * 100)
    assert sum(balances.values()) == 0


def test_a_second_truck_goes_on_with_yesterdays_books(
    connections: tuple[psycopg.Connection, psycopg.Connection],
) -> None:
    owner, _ = connections
    for at_s in (0, 600):
        run = next_run(owner)
        goods = prepare_run(owner, run, now=NOON + timedelta(seconds=at_s))
        _unload(connections, goods, at_s)
    assert next_run(owner) == 3
    documents = {document for _, document in _kinds(owner)}
    assert {"PO-0001-1", "PO-0002-1", "SO-0002", "TR-0002"} <= documents
    assert sum(_kinds(owner).values()) == 2 * 56
    _assert_books_agree(owner)


def test_preparing_a_run_again_only_keeps_its_expectations_open(
    connections: tuple[psycopg.Connection, psycopg.Connection],
) -> None:
    owner, _ = connections
    first = prepare_run(owner, 1, now=NOON)
    before = _fetch(owner, "SELECT count(*) FROM expectations UNION ALL SELECT count(*) FROM tags")
    assert prepare_run(owner, 1, now=NOON + OPEN_FOR) == first
    assert _fetch(owner, "SELECT count(*) FROM expectations UNION ALL SELECT count(*) FROM tags") == before
    assert _fetch(owner, "SELECT DISTINCT open_until FROM expectations") == [(NOON + 2 * OPEN_FOR,)]
    assert next_run(owner) == 2


def test_stock_that_stands_by_the_door_is_opened_once(
    connections: tuple[psycopg.Connection, psycopg.Connection],
) -> None:
    owner, _ = connections
    prepare_run(owner, 1, now=NOON)
    assert declare_opening_stock(owner, now=NOON)
    assert not declare_opening_stock(owner, now=NOON + timedelta(days=40))
    assert _kinds(owner) == {("opening_stock", "OPENING"): 5}
    assert _fetch(owner, "SELECT DISTINCT posting_date FROM journal_entries") == [(NOON.date().replace(day=1),)]
    balances = dict(_fetch(owner, "SELECT role, balance FROM account_balances WHERE balance <> 0"))
    opening = 3 * 6 * 2100 + 2 * 25 * 545
    assert balances == {"raw_material": opening, "opening_equity": -opening}


@pytest.mark.shared
def test_real_goods_ride_in_the_company_that_has_their_trading_day(
    connections: tuple[psycopg.Connection, psycopg.Connection],
) -> None:
    owner, _ = connections
    catalogue = real_file()
    goods = prepare_run(owner, next_run(owner, catalogue), catalogue, now=NOON)
    import_online_retail(owner, catalogue)
    assert str(address(catalogue)) == "retail/MAIN/gw-1"
    # Twelve best sellers, less the three that wait for the second run.
    assert len({one["item"] for one in goods if "item" in one}) == 9
    _unload(connections, goods, catalogue=catalogue)
    kinds = Counter(kind for kind, document in _kinds(owner).elements() if "MADE-UP" not in document)
    assert kinds["unexplained_in"] == 6
    assert kinds["transfer_out"] == 6
    assert next_run(owner, catalogue) == 2
    assert _fetch(owner, "SELECT count(*) FROM companies") == [(1,)]
    _assert_books_agree(owner)
