"""Where goods went does not depend on which gateway was heard first: the books of any order of arrival are the same.

Three gateways see tags go in and out of two sites, be moved inside one, and be transferred. They miss crossings, so
that tags turn up elsewhere without having left; one item is expected nowhere. Their logs arrive in the order of the
world, or a long way from it, and re-costing comes to rest now and then in between.
"""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from cloud.domain.catalog import BoundTag, Expectation, Item
from cloud.domain.company import CompanySettings, Gate, Gateway, Site, Zone
from cloud.domain.movement import MICRO, QTY_MAX, Crossing, Kind
from cloud.flows.recost import recost_company
from cloud.flows.set_up_company import CompanyDescription
from cloud.flows.verify import verify
from cloud.flows.verify.books_hash import books_hash
from cloud.store.master import add_expectations, put_tags
from tests.makers import GatewayLog, Warehouse, described_warehouse, epc

pytestmark = pytest.mark.database

METHODS = ("fifo", "moving_average", "specific", "periodic_average")
TAGS = 10
LINES = 14  # of a gateway's log
MISSED = 0.2  # of all crossings

# code, inside, outside, crossing group, gateway
DOORS = (
    ("main-in", "STORE", "WORLD", 1, 0),
    ("main-out", "STORE", "WORLD", 2, 1),
    ("east-door", "SHOP", "WORLD", 3, 2),
    ("yard-door", "STORE", "YARD", 4, 0),
)
# A second gate beside the first, seen by another gateway: both may see one crossing.
BESIDE = ("main-beside", "STORE", "WORLD", 1, 1)

Line = tuple[float, str, str, str, float]  # seconds, gate, epc, direction, confidence
Logs = tuple[list[Line], list[Line], list[Line]]


@pytest.fixture
def open_warehouse(clone: Callable[[str], object], edition: str) -> Iterator[Callable[..., Warehouse]]:
    opened: list[psycopg.Connection] = []

    def fresh(*more_doors: tuple[str, str, str, int, int]) -> Warehouse:
        database = clone(edition)
        owner = psycopg.connect(database.owner_dsn, autocommit=True)  # type: ignore[attr-defined]
        ingest = psycopg.connect(database.dsn_of("tallygate_ingest"), autocommit=True)  # type: ignore[attr-defined]
        opened.extend((owner, ingest))
        return warehouse_with((*DOORS, *more_doors), owner, ingest)

    yield fresh
    for connection in opened:
        connection.close()


def warehouse_with(
    doors: tuple[tuple[str, str, str, int, int], ...], owner: psycopg.Connection, ingest: psycopg.Connection
) -> Warehouse:
    description = CompanyDescription(
        CompanySettings("demo", "Demo", "CNY", "Asia/Shanghai", "ASBE"),
        (
            Site("MAIN", "Main", (Zone("STORE", "Store"), Zone("YARD", "Yard"))),
            Site("EAST", "East", (Zone("SHOP", "Shop"),)),
        ),
        tuple(Gate(code, inside, outside, group) for code, inside, outside, group, _ in doors),
        tuple(Gateway("MAIN", f"gw-{number + 1}") for number in range(3)),
        tuple(Item(f"ITEM-{n}", name_en=f"Item {n}", method=METHODS[n % 4]) for n in range(5)),
    )
    warehouse = described_warehouse(owner, ingest, description)
    company = warehouse.company_id
    put_tags(owner, company, [BoundTag(epc(tag), f"ITEM-{tag % 5}", (tag % 7 + 1) * MICRO) for tag in range(TAGS)])
    until = datetime.now(UTC) + timedelta(days=3650)
    for number, (code, *_) in enumerate(doors):
        for item in range(4) if code != "yard-door" else ():  # the fifth item is expected nowhere
            leaves = Kind.TRANSFER_OUT if code == "main-out" else Kind.SALES_SHIPMENT
            expected = [
                Expectation(code, Crossing.OUT, leaves, QTY_MAX, until, item_code=f"ITEM-{item}", document="O-1")
            ]
            if code != "east-door":  # there goods come in because they are in transit, or nobody knows why
                price = 1_000_000 + 333_333 * number + 70_001 * item
                expected.append(
                    Expectation(
                        code, Crossing.IN, Kind.PURCHASE_RECEIPT, QTY_MAX, until, item_code=f"ITEM-{item}",
                        document=f"P-{number}", price_micro=price, currency="CNY",
                    )
                )  # fmt: skip
            add_expectations(owner, company, expected)
    return warehouse


def play(seed: int, *more_doors: tuple[str, str, str, int, int]) -> Logs:
    """What the gateways write: tags walk through doors; now and then nobody sees one, or a gate cannot tell."""
    chance = random.Random(seed)
    logs: Logs = ([], [], [])
    area = ["WORLD"] * TAGS
    doors, at_s = (*DOORS, *more_doors), 0.0
    while min(map(len, logs)) < LINES:
        at_s += chance.choice([chance.uniform(0.001, 4), chance.uniform(5, 60)])
        tag = chance.randrange(TAGS)
        code, inside, outside, group, gateway = chance.choice([one for one in doors if area[tag] in one[1:3]])
        direction = "in" if area[tag] == outside else "out"
        area[tag] = inside if direction == "in" else outside
        if chance.random() < MISSED:
            continue
        if chance.random() < 0.05:
            direction = chance.choice(["turned_back", "undecided"])
        logs[gateway].append((at_s, code, epc(tag), direction, chance.uniform(0.5, 1)))
        others = [one for one in doors if one[3] == group and one[0] != code]
        if others and chance.random() < 0.5:
            at_s += chance.uniform(0.1, 4)
            logs[others[0][4]].append((at_s, others[0][0], epc(tag), direction, chance.uniform(0.5, 1)))
    return logs


def arrive(warehouse: Warehouse, logs: Logs, order: int) -> Warehouse:
    """The logs' messages, each log in its own order; 0: in the order of the world. Afterwards costs are at rest."""
    chance = random.Random(order)
    sent = [GatewayLog(*warehouse.gateways[f"gw-{number + 1}"]) for number in range(3)]
    for log, lines in zip(sent, logs, strict=True):
        for at_s, gate, tag, direction, confidence in lines:
            log.passage(tag, direction, at_s, gate=gate, confidence=confidence)
    at = [0, 0, 0]
    while waiting := [number for number in range(3) if at[number] < len(logs[number])]:
        number, count = min(waiting, key=lambda one: logs[one][at[one]][0]), 1
        if order:
            number, count = chance.choice(waiting), chance.choice([1, 1, 2, 5, 15])
        last = min(at[number] + count, len(logs[number]))
        warehouse.record(sent[number].message(at[number] + 1, last))
        at[number] = last
        if order and chance.random() < 0.07:
            recost_company(warehouse.ingest, warehouse.company_id, "test")
    recost_company(warehouse.ingest, warehouse.company_id, "test")
    assert [check for check in verify(warehouse.owner) if not check.holds] == []
    return warehouse


@pytest.mark.parametrize("seed", range(2))
def test_the_books_are_those_of_the_order_of_the_world(
    open_warehouse: Callable[..., Warehouse], seed: int
) -> None:
    logs = play(seed)
    expected = books_hash(arrive(open_warehouse(), logs, 0).owner)
    late = arrive(open_warehouse(), logs, 100 + seed)
    assert books_hash(late.owner) == expected
    [(made_again,)] = late.fetch("SELECT count(*) FROM movements WHERE corrects IS NOT NULL")
    assert made_again > 0  # or it would prove nothing


def test_gates_beside_each_other_move_the_same_goods_in_any_order(
    open_warehouse: Callable[..., Warehouse],
) -> None:
    """Which of two sightings of one crossing counts is a matter of arrival where both say the same, so prices are."""
    logs = play(0, BESIDE)
    stock = "SELECT item_id, location_id, lot_id, qty_micro FROM balances WHERE qty_micro <> 0 ORDER BY 1, 2, 3"
    expected = arrive(open_warehouse(BESIDE), logs, 0).fetch(stock)
    assert arrive(open_warehouse(BESIDE), logs, 200).fetch(stock) == expected


def test_an_arrival_that_is_heard_before_the_departure_is_a_transfer_in_the_end(
    open_warehouse: Callable[..., Warehouse],
) -> None:
    """
    given  a piece in the store
    when   the shop's gateway says that it came in, and then the dock's that it had left five minutes before
    then   it is in the shop, nothing is in transit, and nothing awaits an explanation
    """
    warehouse = open_warehouse()
    store, dock, shop = (GatewayLog(*warehouse.gateways[f"gw-{number}"]) for number in (1, 2, 3))
    store.passage(epc(0), "in", 0, gate="main-in")
    shop.passage(epc(0), "in", 600, gate="east-door")
    dock.passage(epc(0), "out", 300, gate="main-out")
    warehouse.record(store.message())
    warehouse.record(shop.message())
    assert _stock(warehouse) == {("CLARIFICATION-EAST", 1), ("STORE", 1), ("SUPPLIER", -1), ("WORLD", -1)}
    warehouse.record(dock.message())
    recost_company(warehouse.ingest, warehouse.company_id, "test")
    assert _stock(warehouse) == {("SHOP", 1), ("SUPPLIER", -1)}
    kinds = warehouse.fetch("SELECT kind FROM movements WHERE corrects IS NOT NULL ORDER BY row_no")
    assert [kind for (kind,) in kinds] == [Kind.UNEXPLAINED_IN, Kind.TRANSFER_IN]
    assert [check for check in verify(warehouse.owner) if not check.holds] == []


def _stock(warehouse: Warehouse) -> set[tuple[str, int]]:
    return {
        (code, qty // MICRO)
        for code, qty in warehouse.fetch(
            "SELECT l.code, b.qty_micro FROM balances b JOIN locations l USING (company_id, location_id)"
            " WHERE b.qty_micro <> 0"
        )
    }
