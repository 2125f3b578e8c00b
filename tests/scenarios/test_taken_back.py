"""Movements that a late sighting takes back: at rest the books are as if they had never been made."""

from collections.abc import Callable, Iterator, Sequence

import psycopg
import pytest

from cloud.domain.movement import Kind
from cloud.flows.recost import recost_company
from cloud.flows.verify import verify
from cloud.flows.verify.books_hash import books_hash
from tests.makers import GatewayLog, Warehouse, make_warehouse

pytestmark = [pytest.mark.database, pytest.mark.editions("plain")]

# A tag's crossings in the order of the world: (gateway, direction), each a minute after the one before.
Crossings = Sequence[tuple[str, str]]

STORIES: dict[str, Crossings] = {
    "a receipt, taken back by an earlier one": [("gw-1", "in"), ("gw-2", "in"), ("gw-1", "out")],
    "a receipt made again when the issue before it arrives": [
        ("gw-1", "in"), ("gw-1", "out"), ("gw-2", "in"), ("gw-1", "out"),
    ],
    "an issue, taken back by an earlier one": [("gw-1", "in"), ("gw-1", "out"), ("gw-2", "out"), ("gw-1", "in")],
    "an issue made again when the receipt before it arrives": [
        ("gw-1", "in"), ("gw-1", "out"), ("gw-1", "in"), ("gw-2", "out"),
    ],
}  # fmt: skip


@pytest.fixture
def open_warehouse(clone: Callable[[str], object], edition: str) -> Iterator[Callable[[], Warehouse]]:
    opened: list[psycopg.Connection] = []

    def fresh() -> Warehouse:
        database = clone(edition)
        owner = psycopg.connect(database.owner_dsn, autocommit=True)  # type: ignore[attr-defined]
        ingest = psycopg.connect(database.dsn_of("tallygate_ingest"), autocommit=True)  # type: ignore[attr-defined]
        opened.extend((owner, ingest))
        return make_warehouse(owner, ingest)

    yield fresh
    for connection in opened:
        connection.close()


# In which order the gateways' messages of one movement each arrive; the shorter log is through earlier.
ARRIVALS = {"the first gateway before the second": "1" * 9 + "2" * 9, "the second before the first": "2" * 9 + "1" * 9,
            "in turn": "12" * 9, "most of the first, the second, the rest": "1111112" + "2" * 9 + "1" * 9}  # fmt: skip


def run(warehouse: Warehouse, crossings: Crossings, arrival: str) -> str:
    """The books' hash after the crossings have arrived in this order of gateways."""
    for number, price in enumerate(("4", "5"), 1):
        gate = {1: "dock-1", 2: "yard-1"}[number]
        warehouse.expect(Kind.PURCHASE_RECEIPT, "BOLT", 1000, gate=gate, price=price)
        warehouse.expect(Kind.SALES_SHIPMENT, "BOLT", 1000, gate=gate)
    logs = {name: GatewayLog(*warehouse.gateways[name]) for name in ("gw-1", "gw-2")}
    tag, others = warehouse.tag(1), [warehouse.tag(number) for number in range(2, 6)]
    # Goods of the same pool before, between and after, so that it matters which layer an issue takes.
    for at, other in zip((-30, 30, 90, 150), others, strict=True):
        logs["gw-1"].passage(other, "in", at, gate="dock-1")
    for at, (gateway, direction) in enumerate(crossings):
        gate = "dock-1" if gateway == "gw-1" else "yard-1"
        logs[gateway].passage(tag, direction, 60 * at, gate=gate)
    logs["gw-1"].passage(others[0], "out", 400, gate="dock-1")
    lengths = {name: sum(one == name for one, _ in crossings) for name in logs}
    lengths["gw-1"] += len(others) + 1
    waiting = {name: [log.message(n, n) for n in range(1, lengths[name] + 1)] for name, log in logs.items()}
    for gateway in arrival:
        if waiting[f"gw-{gateway}"]:
            warehouse.record(waiting[f"gw-{gateway}"].pop(0))
    assert not any(waiting.values())
    recost_company(warehouse.ingest, warehouse.company_id, "test")
    assert [check for check in verify(warehouse.owner) if not check.holds] == []
    return books_hash(warehouse.owner)


@pytest.mark.parametrize("crossings", STORIES.values(), ids=STORIES)
def test_the_books_are_the_same_in_any_order_of_arrival(
    open_warehouse: Callable[[], Warehouse], crossings: Crossings
) -> None:
    hashes, taken_back = {}, 0
    for name, arrival in ARRIVALS.items():
        warehouse = open_warehouse()
        add_gate(warehouse)
        hashes[name] = run(warehouse, crossings, arrival)
        [(corrections,)] = warehouse.fetch("SELECT count(*) FROM movements WHERE corrects IS NOT NULL")
        taken_back += corrections
    assert len(set(hashes.values())) == 1, hashes
    assert taken_back  # or it would prove nothing


def add_gate(warehouse: Warehouse) -> None:
    """A gate of the second gateway into the same store, whose crossings nobody else sees."""
    warehouse.owner.execute(
        "INSERT INTO gates (company_id, code, inside_id, outside_id, crossing_group)"
        " SELECT company_id, 'yard-1', inside_id, outside_id, 99 FROM gates WHERE code = 'dock-1'"
    )
