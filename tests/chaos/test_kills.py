"""Kill -9 of every part in turn while a truck is unloaded: every passage is on the books once.

The parts are the demo's own processes, started again by its supervisor as an init system would.
"""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from cloud.flows.verify import verify
from standalone.site import Site
from standalone.warehouse.prepare import address, declare_opening_stock, next_run, prepare_run

PARTS = ("edge", "broker", "ingest", "postgres", "api")
PLAY_S = 120.0
KILL_EVERY_S = 4.0
SETTLE_S = 4.0


@pytest.fixture
def site(session_folder: Path) -> Iterator[Site]:
    made = Site(session_folder / "site", address())
    yield made
    made.stop()


def eventually(question: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PLAY_S
    while not question():
        assert time.monotonic() < deadline, f"waited {PLAY_S} s for {what}"
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_part_killed_in_turn_leaves_every_passage_on_the_books_once(site: Site) -> None:
    site.open()
    with psycopg.connect(site.owner_dsn, autocommit=True) as connection:
        goods = prepare_run(connection, next_run(connection))
        declare_opening_stock(connection)
    path = site.state / "goods.json"
    path.write_text(json.dumps(goods))
    site.start(["--goods", str(path), "--seed", "1"])
    time.sleep(KILL_EVERY_S)  # the truck has to be under way for a kill to hurt
    for part in PARTS:
        os.kill(site.pid_of(part), signal.SIGKILL)
        eventually(lambda part=part: site.restarts_of(part) >= 1, f"{part} to be started again")
        time.sleep(KILL_EVERY_S)
    eventually(site.done_file.exists, "the truck to be unloaded")
    played_us = int((time.time() + SETTLE_S) * 1e6)
    eventually(lambda: _is_settled(site, played_us), "the books to be complete")
    with psycopg.connect(site.owner_dsn, autocommit=True) as connection:
        wrong = [check for check in verify(connection) if not check.holds]
        assert not wrong
        assert _moved(connection) == _expected(goods)


def _is_settled(site: Site, since_us: int) -> bool:
    try:
        with psycopg.connect(site.owner_dsn, autocommit=True) as connection:
            return site.is_settled(connection, since_us)
    except psycopg.OperationalError:
        return False  # it may be starting again


def _moved(connection: psycopg.Connection) -> dict[str, list[str]]:
    """Which way each tag moved, in the order of the world."""
    moved: dict[str, list[str]] = {}
    for epc, direction in connection.execute(
        "SELECT epc, direction FROM observations WHERE outcome = 1 ORDER BY epc, occurred_us"
    ):
        moved.setdefault(epc, []).append({1: "in", 2: "out"}[direction])
    return moved


def _expected(goods: list[dict[str, str]]) -> dict[str, list[str]]:
    """What the scenario does with its pallets: five come in, of these two orders leave again."""
    moved: dict[str, list[str]] = {}
    for tag in goods:
        if tag["pallet"] in ("P1", "P2", "P3", "P4", "X1"):
            moved.setdefault(tag["epc"], []).insert(0, "in")
        elif tag["pallet"] in ("S1", "T1"):
            moved.setdefault(tag["epc"], []).append("out")
    return moved
