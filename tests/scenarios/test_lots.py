"""Stories of lots and serial numbers: which piece moved stands on the books, not only how many."""

import pytest

from cloud.domain.catalog import BoundTag, Item
from cloud.domain.movement import MICRO, Kind
from cloud.flows.bind_tag import CannotBind, bind_tag
from cloud.store.master import put_items, put_tags
from protocols.epc import tag_memory
from protocols.epc.sgtin import encode, sgtin_of
from tests.makers import Warehouse, epc

pytestmark = pytest.mark.editions

GTIN = "09506000134352"


def add(warehouse: Warehouse, item: Item) -> None:
    warehouse.items = put_items(warehouse.owner, warehouse.company_id, [item])


def moved(warehouse: Warehouse) -> list[tuple[str, str | None]]:
    """Kind and lot of every movement, in the order of the world."""
    return warehouse.fetch(
        "SELECT k.name, l.code FROM movements m JOIN movement_kinds k USING (kind)"
        " LEFT JOIN lots l ON l.company_id = m.company_id AND l.lot_id = m.lot_id"
        " ORDER BY occurred_us, recorded_at, m.row_no"
    )


def pieces(warehouse: Warehouse) -> dict[tuple[str, str | None], int]:
    """Pieces by place and lot on the company's own floor."""
    rows = warehouse.fetch(
        "SELECT p.code, l.code, qty_micro FROM balances b JOIN locations p USING (company_id, location_id)"
        " LEFT JOIN lots l ON l.company_id = b.company_id AND l.lot_id = b.lot_id"
        " WHERE p.kind IN ('site', 'zone', 'bin', 'clarification') AND qty_micro <> 0"
    )
    return {(place, lot): qty // MICRO for place, lot, qty in rows}


def test_goods_move_with_the_lot_that_their_tag_names(warehouse: Warehouse) -> None:
    """given tags of lots A and B and one of none; when two come and one goes; then each lot has its balance."""
    add(warehouse, Item("MILK", "牛奶", tracking="lot"))
    tags = [
        BoundTag(epc(1), "MILK", MICRO, "A"),
        BoundTag(epc(2), "MILK", 2 * MICRO, "B"),
        BoundTag(epc(3), "MILK", MICRO),
    ]
    put_tags(warehouse.owner, warehouse.company_id, tags)
    warehouse.expect(Kind.PURCHASE_RECEIPT, "MILK", 9, price="4.00")
    warehouse.expect(Kind.SALES_SHIPMENT, "MILK", 9)
    for at, number in enumerate((1, 2, 3)):
        warehouse.log.passage(epc(number), "in", at)
    warehouse.log.passage(epc(1), "out", 600)
    warehouse.record(warehouse.log.message())
    assert moved(warehouse) == [
        ("purchase_receipt", "A"), ("purchase_receipt", "B"), ("purchase_receipt", None), ("sales_shipment", "A"),
    ]  # fmt: skip
    assert pieces(warehouse) == {("STORE", "B"): 2, ("STORE", None): 1}


def test_a_tag_that_carries_its_serial_number_is_a_lot_when_a_gate_first_sees_it(warehouse: Warehouse) -> None:
    add(warehouse, Item("WATCH", "表", gtin=GTIN, tracking="serial"))
    tags = [encode(sgtin_of(GTIN, 7, serial)) for serial in (11, 12)]
    warehouse.expect(Kind.PURCHASE_RECEIPT, "WATCH", 2, price="400.00")
    for at, tag in enumerate(tags):
        warehouse.log.passage(tag, "in", at)
    warehouse.record(warehouse.log.message())
    warehouse.log.passage(tags[0], "out", 600)
    warehouse.record(warehouse.log.message(3))
    assert moved(warehouse) == [
        ("purchase_receipt", tags[0]), ("purchase_receipt", tags[1]), ("unexplained_out", tags[0]),
    ]  # fmt: skip
    assert pieces(warehouse) == {("STORE", tags[1]): 1}
    assert warehouse.fetch("SELECT count(*) FROM lots") == [(2,)]


@pytest.mark.parametrize(
    ("scheme", "key"),
    [
        ("sgtin-198", f"(01){GTIN}(21)Az/9"),
        ("sgtin+", f"(01){GTIN}(21)Az/9"),
        ("dsgtin+", f"(01){GTIN}(21)Az/9(17)271231"),
        ("sgtin++", f"https://example.com/01/{GTIN}/21/Az%2F9"),
    ],
)
def test_a_trade_items_tag_of_any_scheme_moves_its_piece(warehouse: Warehouse, scheme: str, key: str) -> None:
    add(warehouse, Item("WATCH", "表", gtin=GTIN, tracking="serial"))
    tag = tag_memory.encode(key, scheme=scheme, prefix_digits=7)
    warehouse.expect(Kind.PURCHASE_RECEIPT, "WATCH", 1, price="400.00")
    warehouse.log.passage(tag, "in")
    warehouse.record(warehouse.log.message())
    assert moved(warehouse) == [("purchase_receipt", tag)]
    assert pieces(warehouse) == {("STORE", tag): 1}


def test_a_part_of_a_piece_moves_nothing(warehouse: Warehouse) -> None:
    """A wardrobe in two boxes has two tags: neither of them is the wardrobe, so it is not counted twice."""
    add(warehouse, Item("WARDROBE", "衣柜", gtin=GTIN))
    for part in (1, 2):
        tag = tag_memory.encode(f"(8006){GTIN}0{part}02(21)7", prefix_digits=7)
        warehouse.log.passage(tag, "in", part)
    warehouse.record(warehouse.log.message())
    assert moved(warehouse) == []


def test_a_movement_that_is_undone_goes_back_as_the_lot_that_it_was(warehouse: Warehouse) -> None:
    """A better sighting of one crossing moves the tag instead: the first movement is taken back."""
    add(warehouse, Item("MILK", "牛奶", tracking="lot"))
    put_tags(warehouse.owner, warehouse.company_id, [BoundTag(epc(1), "MILK", MICRO, "A")])
    warehouse.expect(Kind.PURCHASE_RECEIPT, "MILK", 1, price="4.00")
    warehouse.log.passage(epc(1), "in", 0, confidence=0.6)
    warehouse.record(warehouse.log.message())
    warehouse.log.passage(epc(1), "out", 2, gate="dock-2", confidence=0.98)
    warehouse.record(warehouse.log.message(2))
    assert len(moved(warehouse)) == 3
    assert {lot for _, lot in moved(warehouse)} == {"A"}
    assert pieces(warehouse) == {("STORE", "A"): -1}  # it left before we ever saw it come


def test_a_piece_that_gates_saw_before_it_was_registered_is_booked_as_its_lot(warehouse: Warehouse) -> None:
    add(warehouse, Item("WATCH", "表", tracking="serial"))
    warehouse.log.passage(epc(1), "in")
    warehouse.record(warehouse.log.message())
    owner, company, item = warehouse.owner, warehouse.company_id, warehouse.items["WATCH"]
    assert len(bind_tag(owner, company, epc(1), item, MICRO, "SN-1")) == 1
    assert moved(warehouse) == [("unexplained_in", "SN-1")]
    assert bind_tag(owner, company, epc(1), item, MICRO, "SN-1") == []
    with pytest.raises(CannotBind, match="of WATCH, lot SN-1 already"):
        bind_tag(owner, company, epc(1), item, MICRO, "SN-2")
    with pytest.raises(CannotBind, match="the item's lots are not told apart"):
        bind_tag(owner, company, epc(2), warehouse.items["BOLT"], MICRO, "SN-2")
