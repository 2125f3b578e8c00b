"""The demonstration's plan fits the virtual reader's scenario, and every run is a new truck."""

from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime

import pytest

from cloud.domain.catalog import ITEM_CLASSES
from cloud.domain.movement import Crossing, Kind
from firmware_bridges.virtual_reader.scenario import find_scenario, goods_on_pallets, load_scenario
from protocols.epc.sgtin import decode, gtin_of
from standalone.warehouse.plan import OFFERS, RUN_MAX, Offer, RunPlan, WrongRun, plan_run
from standalone.warehouse.prepare import address, description, small_supply

UNTIL = datetime(2026, 11, 22, 13, tzinfo=UTC)
SCENARIO = load_scenario(find_scenario("truck_unloading"))


def _plan(run: int = 1) -> RunPlan:
    return plan_run(run, small_supply(description()).offers, UNTIL)


def _on(plan: RunPlan, *pallets: str) -> set[str]:
    return {goods.epc for goods in plan.goods if goods.pallet in pallets}


@pytest.mark.parametrize("run", [1, 2])
def test_every_pallet_of_the_scenario_bears_as_many_tags_as_it_says(run: int) -> None:
    plan = _plan(run)
    assert Counter(goods.pallet for goods in plan.goods) == {p.name: p.tags for p in SCENARIO.pallets}
    loaded = goods_on_pallets([asdict(goods) for goods in plan.goods], SCENARIO)
    assert {name: set(epcs) for name, epcs in loaded.items()} == {
        p.name: _on(plan, p.name) for p in SCENARIO.pallets
    }


@pytest.mark.parametrize("run", [1, 2])
def test_what_leaves_came_in_before(run: int) -> None:
    plan = _plan(run)
    for pallet in SCENARIO.pallets:
        if pallet.taken_from:
            assert _on(plan, pallet.name) < _on(plan, *pallet.taken_from)
            assert all(_on(plan, pallet.name) & _on(plan, source) for source in pallet.taken_from)


def test_a_second_run_is_a_second_truck_but_what_stands_by_the_door_stays() -> None:
    first, second = _plan(1), _plan(2)
    assert {g.epc for g in first.goods} & {g.epc for g in second.goods} == _on(first, "R1") == _on(second, "R1")
    assert {tag.epc for tag in first.standing} == _on(first, "R1")
    assert {g.item for g in first.goods if g.pallet == "P1"} != {g.item for g in second.goods if g.pallet == "P1"}


def test_tags_carry_true_sgtins_of_demonstration_articles_but_for_the_stranger() -> None:
    plan = _plan()
    stranger = _on(plan, "U1")
    for goods in plan.goods:
        if goods.epc not in stranger:
            assert decode(goods.epc).company_prefix.startswith("952")
    assert [gtin_of(epc) for epc in stranger] == [None]


def test_single_pieces_are_known_by_their_gtin_and_cases_by_their_registration() -> None:
    plan = _plan()
    gtins = {item.gtin: item.code for item in description().items}
    registered = {tag.epc: tag for tag in plan.tags}
    pieces = [goods for goods in plan.goods if goods.pallet == "P4"]
    assert pieces
    for goods in plan.goods:
        if goods in pieces:
            assert goods.epc not in registered
            assert gtins[gtin_of(goods.epc)] == goods.item
        elif goods.pallet != "U1":
            assert registered[goods.epc].item_code == goods.item
            # A case is a trade item of its own: without its registration it must not pass for one piece.
            assert gtin_of(goods.epc) not in gtins
    assert len(registered) == len(plan.tags)


@pytest.mark.parametrize("run", [1, 2])
def test_only_the_announced_is_expected(run: int) -> None:
    plan = _plan(run)
    by_tag = {(e.epc, e.direction): e for e in plan.expectations if e.epc is not None}
    by_article = {e.item_code: e for e in plan.expectations if e.item_code is not None}
    for goods in plan.goods:
        direction = Crossing.OUT if goods.pallet in ("S1", "T1") else Crossing.IN
        expected = by_tag.get((goods.epc, direction)) or (
            by_article.get(goods.item) if direction is Crossing.IN else None
        )
        wanted = {"S1": Kind.SALES_SHIPMENT, "T1": Kind.TRANSFER_OUT}.get(goods.pallet)
        if goods.pallet in ("P1", "P2", "P3", "P4"):
            wanted = Kind.PURCHASE_RECEIPT
        assert (expected.kind if expected else None) == wanted, goods
    assert all(e.open_until == UNTIL for e in plan.expectations)


def test_one_purchase_is_in_a_foreign_currency() -> None:
    foreign = {e.document for e in _plan().expectations if e.currency == "USD"}
    assert foreign == {"PO-0001-3"}
    assert all(e.rate_nano != 10**9 for e in _plan().expectations if e.currency == "USD")


def test_articles_expected_by_quantity_are_expected_to_the_piece() -> None:
    plan = _plan()
    borne: Counter[str] = Counter()
    quantity = {tag.epc: tag.qty_micro for tag in plan.tags}
    for goods in plan.goods:
        if goods.pallet in ("P2", "P4"):
            assert goods.item is not None
            borne[goods.item] += quantity.get(goods.epc, 1_000_000)
    assert {e.item_code: e.qty_micro for e in plan.expectations if e.item_code} == borne


def test_articles_without_a_gtin_are_registered_piece_by_piece() -> None:
    offers = [Offer(f"A{n}", "S", 1_000_000, "GBP", 10**9, 12) for n in range(OFFERS)]
    plan = plan_run(3, offers, UNTIL)
    known = {tag.epc: tag.item_code for tag in plan.tags}
    assert all(known[goods.epc] == goods.item for goods in plan.goods if goods.pallet != "U1")


def test_the_small_catalogue_has_every_class_and_method() -> None:
    items = description().items
    assert len(items) == OFFERS
    assert {item.item_class for item in items} == set(ITEM_CLASSES)
    assert {item.method for item in items} == {"moving_average", "fifo"}
    assert all(item.name_zh and item.name_en and item.gtin for item in items)
    assert [offer.item for offer in small_supply(description()).offers] == [item.code for item in items]


def test_the_gate_belongs_to_the_companys_gateway() -> None:
    assert str(address()) == "demo/MAIN/gw-1"


@pytest.mark.parametrize("run", [0, -1, RUN_MAX + 1])
def test_a_run_beyond_the_serial_numbers_is_refused(run: int) -> None:
    with pytest.raises(WrongRun, match=f"got {run}"):
        _plan(run)
    assert len(_plan(RUN_MAX).goods) == len(_plan(1).goods)


def test_too_few_offers_are_refused() -> None:
    with pytest.raises(WrongRun, match="expected 12 offers, got 0"):
        plan_run(1, (), UNTIL)
