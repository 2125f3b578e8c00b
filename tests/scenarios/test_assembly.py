"""Goods become other goods: what is made is worth what it was made of, now and when that turns out to cost more."""

from uuid import UUID

import pytest

from cloud.flows.answer_once import Answered, CannotRecord
from cloud.flows.assemble import Assembly, assemble
from cloud.flows.production import Issue
from cloud.flows.recost import recost_company
from cloud.store.production import NewOrder
from tests.makers import Warehouse
from tests.valuing import ask, at, invoice, micro, receive, sell


def repack(
    warehouse: Warehouse, made: str, pieces: str, at_s: float, code: str = "RP-1", **parts: str
) -> Answered:
    order = NewOrder(code, warehouse.items[made], warehouse.places["MAIN"], micro(pieces), "", "", {})
    issues = [Issue(warehouse.items[item], micro(qty), warehouse.places["STORE"]) for item, qty in parts.items()]
    assembly = Assembly(order, issues, warehouse.places["STORE"])
    return assemble(warehouse.owner, warehouse.company_id, assembly, at(at_s), ask(key=code))


def test_three_crates_become_twelve_boxes_at_their_cost(warehouse: Warehouse) -> None:
    """given 5 bolts at 10.00 and 2 steel at 7.00; when 3 and 1 of them become 12 lamps; then these are worth 37.00,
    nothing is left in work, and a lamp that is sold costs a twelfth."""
    receive(warehouse, "BOLT", 5, "10.00", 0)
    receive(warehouse, "STEEL", 2, "7.00", 60)
    repack(warehouse, "LAMP", "12", 120, BOLT="3", STEEL="1")
    assert warehouse.accounts() == {"goods": 57.00, "raw_material": 7.00, "grni": -64.00}
    sell(warehouse, "LAMP", 12, 180)
    assert warehouse.accounts() == {"goods": 20.00, "raw_material": 7.00, "grni": -64.00, "cogs": 37.00}
    assert warehouse.fetch("SELECT state FROM work_orders") == [("closed",)]


def test_a_later_invoice_follows_the_part_into_what_was_made_of_it(warehouse: Warehouse) -> None:
    """given 4 bolts at 10.00 made into 2 lamps of which 1 is sold; when the invoice says 12.00; then 4.00 more each
    stand on the lamp in stock and on the cost of the sold one."""
    receipt: UUID = receive(warehouse, "BOLT", 4, "10.00", 0)
    repack(warehouse, "LAMP", "2", 60, BOLT="4")
    sell(warehouse, "LAMP", 1, 120)
    invoice(warehouse, receipt, "12.00", 180)
    recost_company(warehouse.owner, warehouse.company_id, "test")
    assert warehouse.accounts() == {"goods": 24.00, "cogs": 24.00, "grni": -48.00}


def test_said_again_it_is_done_once_and_a_wrong_one_leaves_nothing(warehouse: Warehouse) -> None:
    receive(warehouse, "BOLT", 4, "10.00", 0)
    first = repack(warehouse, "LAMP", "2", 60, BOLT="4")
    again = repack(warehouse, "LAMP", "2", 60, BOLT="4")
    assert again.ids == first.ids
    assert again.replayed
    before = warehouse.fetch("SELECT count(*) FROM movements"), warehouse.fetch("SELECT count(*) FROM locations")
    with pytest.raises(CannotRecord, match="cannot be its own component"):
        repack(warehouse, "LAMP", "2", 60, code="RP-2", LAMP="1")
    order = NewOrder("RP-1", warehouse.items["LAMP"], warehouse.places["MAIN"], micro(1), "", "", {})
    issues = [Issue(warehouse.items["BOLT"], micro(1), warehouse.places["STORE"])]
    twin = Assembly(order, issues, warehouse.places["STORE"])
    with pytest.raises(CannotRecord, match="already a work order"):
        assemble(warehouse.owner, warehouse.company_id, twin, at(90), ask(key="another"))
    after = warehouse.fetch("SELECT count(*) FROM movements"), warehouse.fetch("SELECT count(*) FROM locations")
    assert after == before
