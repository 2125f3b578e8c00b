"""Stories of work orders: what goes in becomes the cost of what comes out, and what is left says why."""

from collections.abc import Iterator
from uuid import UUID

import pytest

from cloud.domain.costing.allocation import Basis
from cloud.domain.movement import Kind
from cloud.flows.answer_once import CannotRecord
from cloud.flows.production import (
    Absorbed,
    Issue,
    NoSuchOrder,
    absorb_cost,
    close_order,
    issue_components,
    receive_output,
    release_order,
)
from cloud.flows.record_value_events import Paper
from cloud.flows.recost import recost_company, recost_component
from cloud.flows.set_standard import NewStandard, set_standards
from cloud.flows.share_costs import SharedCost, adopt_industry, share_cost
from cloud.store import production
from cloud.store.production import NewOrder
from tests.makers import Warehouse
from tests.valuing import add_item, ask, at, invoice, micro, receive, sell, values


@pytest.fixture(autouse=True)
def at_rest(warehouse: Warehouse) -> Iterator[None]:
    """What was booked at once is what the whole history, costed in the order of the world, comes to."""
    yield
    before = warehouse.accounts(), values(warehouse)
    items = [item for (item,) in warehouse.fetch("SELECT DISTINCT item_id FROM cost_pools")]
    for item in items:
        recost_component(warehouse.owner, warehouse.company_id, [item], "test", from_us=0)
    assert (warehouse.accounts(), values(warehouse)) == before


class Shop:
    """A warehouse's workshop, in the words of its keeper. Every step is an hour after the one before."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse
        self.clock_s = 0

    def tick(self) -> int:
        self.clock_s += 3600
        return at(self.clock_s)

    def release(
        self, pieces: str | int, code: str = "WO-1", workshop: str = "", output: str = "LAMP", **components: str
    ) -> list[str]:
        house = self.warehouse
        order = NewOrder(
            code, house.items[output], house.places["MAIN"], micro(pieces), "", workshop,
            {house.items[item]: micro(qty) for item, qty in components.items()},
        )  # fmt: skip
        return release_order(house.owner, house.company_id, order, self.tick(), ask()).ids

    def issue(self, code: str = "WO-1", **items: str | int) -> list[str]:
        house = self.warehouse
        rows = [Issue(house.items[item], micro(qty), house.places["STORE"]) for item, qty in items.items()]
        return issue_components(house.owner, house.company_id, code, rows, self.tick(), ask()).ids

    def absorb(self, labour: str = "0", overhead: str = "0", code: str = "WO-1") -> list[str]:
        costs = [
            Absorbed(kind, micro(amount))
            for kind, amount in ((Kind.LABOUR, labour), (Kind.OVERHEAD, overhead))
            if amount != "0"
        ]
        return absorb_cost(self.warehouse.owner, self.warehouse.company_id, code, costs, self.tick(), ask()).ids

    def receive(self, pieces: str | int, code: str = "WO-1", backflush: bool = False) -> list[str]:
        house = self.warehouse
        store = house.places["STORE"]
        return receive_output(
            house.owner,
            house.company_id,
            code,
            micro(pieces),
            store,
            self.tick(),
            ask(),
            store if backflush else None,
        ).ids

    def close(self, code: str = "WO-1") -> list[str]:
        return close_order(self.warehouse.owner, self.warehouse.company_id, code, self.tick(), ask()).ids

    def in_work(self, code: str = "WO-1") -> float:
        """What stands in an order."""
        (row,) = production.orders(self.warehouse.owner, self.warehouse.company_id, "", 1, one=code)
        return row.value_micro / 1e6


@pytest.fixture
def shop(warehouse: Warehouse) -> Shop:
    """A workshop with 100 steel @ 5.00 in store."""
    receive(warehouse, "STEEL", 100, "5")
    return Shop(warehouse)


@pytest.mark.editions
def test_what_goes_in_becomes_the_cost_of_what_comes_out(shop: Shop) -> None:
    """given 10 lamps planned; when 20 steel @ 5.00, 30.00 of labour and 20.00 of overhead go in and 10 come out; then
    they cost 15.00 each and nothing is left in work."""
    shop.release(10)
    shop.issue(STEEL=20)
    assert shop.in_work() == 100.00
    shop.absorb(labour="30", overhead="20")
    assert shop.warehouse.accounts() == {
        "raw_material": 400.00,
        "wip": 150.00,
        "grni": -500.00,
        "absorbed": -50.00,
    }
    shop.receive(10)
    assert values(shop.warehouse) == {"STEEL": (80, 400.00), "LAMP": (10, 150.00)}
    assert shop.close() == []
    assert shop.warehouse.accounts() == {
        "raw_material": 400.00,
        "goods": 150.00,
        "grni": -500.00,
        "absorbed": -50.00,
    }
    sell(shop.warehouse, "LAMP", 2, 36_000)
    assert shop.warehouse.accounts()["cogs"] == 30.00


def test_output_in_parts_takes_its_share_of_what_is_in_work_by_then(shop: Shop) -> None:
    """given 10 planned and 100.00 in work; when 4 come out, 60.00 of labour follow, and 6 come out; then 40.00 and
    120.00."""
    shop.release(10)
    shop.issue(STEEL=20)
    shop.receive(4)
    assert values(shop.warehouse)["LAMP"] == (4, 40.00)
    shop.absorb(labour="60")
    shop.receive(6)
    assert values(shop.warehouse)["LAMP"] == (10, 160.00)
    assert shop.in_work() == 0


def test_what_was_never_finished_is_production_variance(shop: Shop) -> None:
    """given 10 planned and 100.00 in work; when 8 come out and the order is closed; then 20.00 of variance."""
    shop.release(10)
    shop.issue(STEEL=20)
    shop.receive(8)
    shop.close()
    assert shop.warehouse.accounts() == {
        "raw_material": 400.00, "goods": 80.00, "grni": -500.00, "production_variance": 20.00,
    }  # fmt: skip
    assert shop.in_work() == 0


def test_more_than_planned_comes_out_as_what_it_is(shop: Shop) -> None:
    """given 10 planned and 120.00 in work; when 12 come out; then they cost 10.00 each."""
    shop.release(10)
    shop.issue(STEEL=24)
    shop.receive(12)
    assert values(shop.warehouse)["LAMP"] == (12, 120.00)
    assert shop.close() == []


def test_components_flushed_at_receipt_are_those_of_the_standard(shop: Shop) -> None:
    """given an order that takes 2 steel for each lamp; when 3 come out with their components; then 6 steel are gone and
    nothing stays in work."""
    shop.release(3, STEEL="2")
    shop.receive(3, backflush=True)
    assert values(shop.warehouse) == {"STEEL": (94, 470.00), "LAMP": (3, 30.00)}


def test_at_standard_the_usage_is_told_apart_from_the_rest_of_the_variance(warehouse: Warehouse) -> None:
    """given rods at a standard of 2.00 and frames at 10.00, 4 rods allowed for each; when 10 frames take 46 rods and
    25.00 of labour; then 17.00 of variance: 12.00 of it 6 rods too many."""
    add_item(warehouse, "ROD", "standard", item_class="raw_material")
    add_item(warehouse, "FRAME", "standard")
    set_standards(
        warehouse.owner, warehouse.company_id, [NewStandard("ROD", micro(2)), NewStandard("FRAME", micro(10))], at(-10),
        "", "", ask(),
    )  # fmt: skip
    receive(warehouse, "ROD", 100, "2")
    shop = Shop(warehouse)
    shop.release(10, output="FRAME", ROD="4")
    shop.issue(ROD=46)
    shop.absorb(labour="25")
    shop.receive(10)
    assert warehouse.accounts() == {
        "raw_material": 108.00, "goods": 100.00, "grni": -200.00, "absorbed": -25.00, "production_variance": 17.00,
    }  # fmt: skip
    shop.close()
    assert warehouse.accounts() == {
        "raw_material": 108.00, "goods": 100.00, "grni": -200.00, "absorbed": -25.00, "production_variance": 5.00,
        "usage_variance": 12.00,
    }  # fmt: skip


def test_an_invoice_that_comes_late_follows_the_goods_into_what_was_made_of_them(shop: Shop) -> None:
    """given 100 steel @ 5.00, 20 of it in 10 lamps, 5 lamps sold; when the steel's invoice says 6.00; then at once
    the sale takes the share of what is gone, and re-costed 10.00 of it are in the lamps that are left."""
    house = shop.warehouse
    steel = UUID(house.fetch("SELECT movement_id::text FROM movements")[0][0])
    shop.release(10)
    shop.issue(STEEL=20)
    shop.receive(10)
    sell(house, "LAMP", 5, 36_000)
    invoice(house, steel, "6", 40_000)
    assert values(house) == {"STEEL": (80, 480.00), "LAMP": (5, 50.00)}
    assert house.accounts()["cogs"] == 70.00
    recost_company(house.owner, house.company_id, "test")
    assert values(house) == {"STEEL": (80, 480.00), "LAMP": (5, 60.00)}
    assert house.accounts() == {"raw_material": 480.00, "goods": 60.00, "grni": -600.00, "cogs": 60.00}


def test_labour_that_comes_when_all_is_received_is_production_variance(shop: Shop) -> None:
    shop.release(10)
    shop.issue(STEEL=20)
    shop.receive(10)
    shop.absorb(labour="30")
    assert shop.in_work() == 0
    assert shop.warehouse.accounts()["production_variance"] == 30.00


def test_overhead_of_a_workshop_is_shared_over_its_open_orders(shop: Shop) -> None:
    """given two orders of the press shop with 100.00 and 50.00 in work, and one of another shop; when 30.00 of overhead
    come by the rules of manufacturing (by value); then 20.00 and 10.00."""
    adopt_industry(shop.warehouse.owner, shop.warehouse.company_id, "manufacturing")
    for code, workshop, steel in (("WO-1", "PRESS", 20), ("WO-2", "PRESS", 10), ("WO-3", "PAINT", 10)):
        shop.release(10, code, workshop)
        shop.issue(code, STEEL=steel)
    cost = SharedCost("overhead", micro(30), "PRESS", "manufacturing")
    share_cost(shop.warehouse.owner, shop.warehouse.company_id, cost, Paper(shop.tick()), ask())
    assert [shop.in_work(code) for code in ("WO-1", "WO-2", "WO-3")] == [120.00, 60.00, 50.00]


def test_labour_by_quantity_of_a_batch_follows_what_is_planned(shop: Shop) -> None:
    shop.release(10, "WO-1", "PRESS")
    shop.release(30, "WO-2", "PRESS")
    cost = SharedCost("labour", micro(40), "PRESS", basis=Basis.QUANTITY, dimension="workshop")
    share_cost(shop.warehouse.owner, shop.warehouse.company_id, cost, Paper(shop.tick()), ask())
    assert [shop.in_work(code) for code in ("WO-1", "WO-2")] == [10.00, 30.00]
    kinds = shop.warehouse.fetch("SELECT DISTINCT kind FROM value_events")
    assert kinds == [(Kind.LABOUR,)]


def test_an_order_that_is_closed_or_none_takes_nothing(shop: Shop) -> None:
    shop.release(10)
    shop.close()
    for step in (lambda: shop.issue(STEEL=1), lambda: shop.absorb("1"), lambda: shop.receive(1), shop.close):
        with pytest.raises(CannotRecord, match="work order 'WO-1' is closed"):
            step()
    with pytest.raises(NoSuchOrder, match="no work order 'WO-9'"):
        shop.issue("WO-9", STEEL=1)


def test_an_order_is_made_once_and_takes_no_more_of_itself(shop: Shop) -> None:
    shop.release(10)
    with pytest.raises(CannotRecord, match="code: there is already a work order or place with the code 'WO-1'"):
        shop.release(10)
    with pytest.raises(CannotRecord, match="cannot be its own component"):
        shop.issue(LAMP=1)
    with pytest.raises(CannotRecord, match="cannot be its own component"):
        shop.release(10, "WO-2", LAMP="1")
    assert shop.warehouse.fetch("SELECT code FROM work_orders") == [("WO-1",)]


def test_the_same_release_asked_twice_makes_one_order(shop: Shop) -> None:
    house = shop.warehouse
    order = NewOrder("WO-1", house.items["LAMP"], house.places["MAIN"], micro(10), "", "", {})
    request = ask(order, "release-1")
    first = release_order(house.owner, house.company_id, order, at(0), request)
    again = release_order(house.owner, house.company_id, order, at(0), request)
    assert (first.ids, first.replayed, again.replayed) == (again.ids, False, True)
    assert house.fetch("SELECT count(*) FROM movements WHERE kind = 16") == [(1,)]
