"""Stories of what goods cost: by each method, when they come back, when they are told apart piece by piece."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest

from cloud.domain.movement import MICRO, Kind, MovementColumns
from cloud.domain.value_event import NONE, ValueEventColumns
from cloud.flows.book_movements import Booked, book
from cloud.store.batches import close_batch, load_company, open_batch
from tests.makers import NOON_US, SECOND_US, Warehouse

ZERO = UUID(int=0)
Row = dict[str, Any]


def micro(amount: float) -> int:
    return round(amount * MICRO)


def move(
    warehouse: Warehouse, kind: Kind, item: str, pieces: float, source: str, target: str, at_s: float, **more: Any
) -> Row:
    """One movement; more: price, value (currency), lot, original, rate."""
    return {
        "id": uuid4(), "kind": kind, "item": warehouse.items[item], "qty": micro(pieces),
        "from": warehouse.places[source], "to": warehouse.places[target], "at": NOON_US + int(at_s * SECOND_US), **more,
    }  # fmt: skip


def event(warehouse: Warehouse, kind: Kind, amount: float, at_s: float, **more: Any) -> Row:
    """One value event; more: original, or item and place; reason."""
    return {"id": uuid4(), "kind": kind, "value": micro(amount), "at": NOON_US + int(at_s * SECOND_US), **more}


def buy(warehouse: Warehouse, item: str, pieces: float, price: float, at_s: float, **more: Any) -> Row:
    place = more.pop("place", "STORE")
    return move(
        warehouse, Kind.PURCHASE_RECEIPT, item, pieces, "SUPPLIER", place, at_s, price=micro(price), **more
    )


def sell(warehouse: Warehouse, item: str, pieces: float, at_s: float, place: str = "STORE", **more: Any) -> Row:
    return move(warehouse, Kind.SALES_SHIPMENT, item, pieces, place, "CUSTOMER", at_s, **more)


def send_back(warehouse: Warehouse, item: str, pieces: float, at_s: float, original: Row, **more: Any) -> Row:
    """The customer returns what a sale brought him."""
    return move(
        warehouse, Kind.CUSTOMER_RETURN, item, pieces, "CUSTOMER", "STORE", at_s, original=original["id"], **more
    )


def return_to_supplier(
    warehouse: Warehouse, item: str, pieces: float, price: float, at_s: float, original: Row
) -> Row:
    """What a receipt brought goes back, for a credit note at this price."""
    return move(
        warehouse, Kind.SUPPLIER_RETURN, item, pieces, "STORE", "SUPPLIER", at_s, price=micro(price),
        original=original["id"],
    )  # fmt: skip


def ids(rows: Sequence[Row], name: str) -> np.ndarray:
    return np.frombuffer(b"".join(row.get(name, ZERO).bytes for row in rows), np.uint8).reshape(len(rows), 16)


def numbers(rows: Sequence[Row], name: str, default: int = 0) -> np.ndarray:
    return np.array([row.get(name, default) for row in rows], np.int64)


def try_to_book(warehouse: Warehouse, *rows: Row) -> Booked:
    """Movements and value events in one batch of the cloud's own."""
    moves = [row for row in rows if "from" in row]
    events = [row for row in rows if "from" not in row]
    n = len(moves)
    with warehouse.owner.transaction(), warehouse.owner.cursor() as cursor:
        batch = open_batch(cursor, load_company(cursor, warehouse.company_id), 0, warehouse.clock_us, "test")
        columns = MovementColumns(
            ids(moves, "id"), numbers(moves, "kind"), numbers(moves, "item"), numbers(moves, "qty"),
            numbers(moves, "from"), numbers(moves, "to"), numbers(moves, "party"), [""] * n,
            numbers(moves, "price", NONE), numbers(moves, "rate", 10**9), numbers(moves, "value", NONE),
            numbers(moves, "at"), numbers(moves, "tags"), numbers(moves, "gateway"),
            batch.batch_no * 1000 + np.arange(n), np.zeros((n, 16), np.uint8), np.zeros((n, 16), np.uint8),
            numbers(moves, "lot"), ids(moves, "original"), [row.get("reason", "") for row in moves],
            numbers(moves, "dimension"), numbers(moves, "currency"), np.arange(n),
        )  # fmt: skip
        changes = ValueEventColumns.of(
            ids(events, "id"), numbers(events, "kind"), numbers(events, "value"), numbers(events, "at"),
            original=ids(events, "original"), item=numbers(events, "item"), location=numbers(events, "place"),
            lot=numbers(events, "lot"), pool=numbers(events, "pool", NONE), period=numbers(events, "period"),
            reason=[row.get("reason", "") for row in events], source_row=n + np.arange(len(events)),
        )  # fmt: skip
        booked = book(cursor, batch, columns, changes)
        close_batch(cursor, batch)
        return booked


def book_all(warehouse: Warehouse, *rows: Row) -> None:
    booked = try_to_book(warehouse, *rows)
    assert booked.rejected == {}


# The same story as one batch, and as a batch for each row: what is stored between must say all that matters.
Tell = Callable[..., None]


@pytest.fixture(params=["in one batch", "one by one"])
def tell(request: pytest.FixtureRequest) -> Tell:
    def together(warehouse: Warehouse, *rows: Row) -> None:
        book_all(warehouse, *rows)

    def one_by_one(warehouse: Warehouse, *rows: Row) -> None:
        for row in rows:
            book_all(warehouse, row)

    return together if request.param == "in one batch" else one_by_one


@pytest.fixture
def american(new_warehouse: Callable[[], Warehouse]) -> Warehouse:
    """A company whose accounting profile allows every method."""
    warehouse = new_warehouse()
    warehouse.owner.execute("UPDATE companies SET profile = 'US_GAAP'")
    return warehouse


def costed_by(warehouse: Warehouse, item: str, method: str, tracking: str = "none") -> None:
    warehouse.owner.execute(
        "UPDATE items SET tracking = %s, method = %s WHERE code = %s", [tracking, method, item]
    )


def layers(warehouse: Warehouse, item: str = "BOLT") -> list[tuple[float, float]]:
    """(pieces, value) of what is left, oldest first."""
    rows = warehouse.fetch(
        "SELECT l.qty_left, l.value_left FROM cost_layers l JOIN cost_pools p USING (company_id, pool_id)"
        " JOIN items i USING (company_id, item_id) WHERE i.code = %s ORDER BY l.layer_no",
        item,
    )
    return [(qty / MICRO, value / MICRO) for qty, value in rows]


def marked(warehouse: Warehouse) -> list[float]:
    """From when pools wait for re-costing, seconds after noon."""
    rows = warehouse.fetch("SELECT late_from_us FROM cost_pools WHERE late_from_us IS NOT NULL ORDER BY 1")
    return [(late - NOON_US) / SECOND_US for (late,) in rows]


def lot(warehouse: Warehouse, item: str, code: str) -> int:
    row = warehouse.owner.execute(
        "INSERT INTO lots (company_id, item_id, code) VALUES (%s, %s, %s) RETURNING lot_id",
        [warehouse.company_id, warehouse.items[item], code],
    ).fetchone()
    assert row is not None
    return int(row[0])


# ── Methods ──


@pytest.mark.editions
@pytest.mark.parametrize(
    ("method", "cost", "left"),
    [
        ("fifo", 48.40, [(3.0, 12.60)]),
        ("lifo", 49.00, [(3.0, 12.00)]),
        ("moving_average", 48.80, [(3.0, 12.20)]),
        ("periodic_average", 48.80, [(3.0, 12.20)]),
        ("standard", 48.00, [(3.0, 12.00)]),
    ],
)
def test_twelve_pieces_leave_at_what_their_method_says(
    american: Warehouse, tell: Tell, method: str, cost: float, left: list[tuple[float, float]]
) -> None:
    """given 10 @ 4.00 and 5 @ 4.20; when 12 leave; then the method decides which. The standard is the first price."""
    costed_by(american, "BOLT", method)
    tell(
        american,
        buy(american, "BOLT", 10, 4.00, 0),
        buy(american, "BOLT", 5, 4.20, 1),
        sell(american, "BOLT", 12, 2),
    )
    assert layers(american) == left
    variance = {"ppv": 1.00} if method == "standard" else {}
    assert american.accounts() == {"goods": left[0][1], "grni": -61.00, "cogs": cost, **variance}


def test_the_youngest_layers_are_read_first_where_they_leave_first(american: Warehouse) -> None:
    """given three receipts; when a batch takes 3 and the next 3 more; then the oldest is the last to be touched."""
    costed_by(american, "BOLT", "lifo")
    for second, price in enumerate((4.00, 5.00, 6.00)):
        book_all(american, buy(american, "BOLT", 2, price, second))
    book_all(american, sell(american, "BOLT", 3, 10))
    assert layers(american) == [(2.0, 8.00), (1.0, 5.00)]
    book_all(american, buy(american, "BOLT", 1, 7.00, 11), sell(american, "BOLT", 3, 12))
    assert layers(american) == [(1.0, 4.00)]
    assert american.accounts()["cogs"] == 33.00


def test_a_standard_set_before_any_goods_came_is_theirs(warehouse: Warehouse, tell: Tell) -> None:
    """given a standard of 4.00 and no goods; when 10 come @ 4.20 and the standard becomes 4.10; then 2.00 are purchase
    price variance and 1.00 revaluation."""
    costed_by(warehouse, "BOLT", "standard")
    at_store = {"item": warehouse.items["BOLT"], "place": warehouse.places["STORE"]}
    tell(
        warehouse,
        event(warehouse, Kind.STANDARD_CHANGE, 4.00, 0, **at_store),
        buy(warehouse, "BOLT", 10, 4.20, 1),
        event(warehouse, Kind.STANDARD_CHANGE, 4.10, 2, **at_store),
        sell(warehouse, "BOLT", 4, 3),
    )
    assert warehouse.accounts() == {
        "goods": 24.60, "grni": -42.00, "ppv": 2.00, "revaluation": -1.00, "cogs": 16.40,
    }  # fmt: skip


def test_a_new_standard_counts_for_all_that_happens_in_its_instant(warehouse: Warehouse) -> None:
    costed_by(warehouse, "BOLT", "standard")
    at_store = {"item": warehouse.items["BOLT"], "place": warehouse.places["STORE"]}
    book_all(warehouse, buy(warehouse, "BOLT", 10, 4.00, 0))
    book_all(
        warehouse,
        sell(warehouse, "BOLT", 4, 1),
        event(warehouse, Kind.STANDARD_CHANGE, 5.00, 1, **at_store),
    )
    assert warehouse.accounts()["cogs"] == 20.00


def test_a_pool_that_is_costed_otherwise_from_now_on_remembers_how_it_began(warehouse: Warehouse) -> None:
    """given two layers by first in, first out; when the method becomes a moving average; then they are one."""
    book_all(warehouse, buy(warehouse, "BOLT", 1, 4.00, 0), buy(warehouse, "BOLT", 1, 6.00, 1))
    at_store = {"item": warehouse.items["BOLT"], "place": warehouse.places["STORE"]}
    change = event(warehouse, Kind.METHOD_CHANGE, 0, 2, **at_store) | {"value": 1}
    book_all(warehouse, change, sell(warehouse, "BOLT", 1, 3))
    assert layers(warehouse) == [(1.0, 5.00)]
    assert warehouse.fetch("SELECT first_method, method FROM cost_pools") == [(2, 1)]


# ── Lots and serial numbers ──


def test_pieces_told_apart_leave_at_their_own_cost(warehouse: Warehouse, tell: Tell) -> None:
    """given serial numbers A @ 4000 and B @ 5000; when B is sold, then A; then each at what it cost."""
    costed_by(warehouse, "LAMP", "specific", "serial")
    a, b = lot(warehouse, "LAMP", "A"), lot(warehouse, "LAMP", "B")
    tell(
        warehouse,
        buy(warehouse, "LAMP", 1, 4000, 0, lot=a),
        buy(warehouse, "LAMP", 1, 5000, 1, lot=b),
        sell(warehouse, "LAMP", 1, 2, lot=b),
    )
    assert warehouse.accounts() == {"goods": 4000.00, "grni": -9000.00, "cogs": 5000.00}
    assert warehouse.fetch("SELECT lot_id, qty_micro FROM balances WHERE qty_micro > 0 AND location_id = %s",
                           warehouse.places["STORE"]) == [(a, MICRO)]  # fmt: skip


def test_within_one_lot_the_oldest_pieces_leave_first(warehouse: Warehouse) -> None:
    costed_by(warehouse, "BOLT", "specific", "lot")
    one = lot(warehouse, "BOLT", "L-1")
    other = lot(warehouse, "BOLT", "L-2")
    book_all(
        warehouse,
        buy(warehouse, "BOLT", 5, 4.00, 0, lot=one),
        buy(warehouse, "BOLT", 5, 9.00, 1, lot=other),
        buy(warehouse, "BOLT", 5, 5.00, 2, lot=one),
        sell(warehouse, "BOLT", 7, 3, lot=one),
    )
    assert warehouse.accounts()["cogs"] == 30.00


def test_a_movement_of_pieces_told_apart_must_say_which(warehouse: Warehouse) -> None:
    costed_by(warehouse, "BOLT", "specific", "lot")
    booked = try_to_book(warehouse, buy(warehouse, "BOLT", 5, 4.00, 0), buy(warehouse, "LAMP", 1, 9.00, 0))
    bolt = warehouse.items["BOLT"]
    assert booked.rejected == {
        0: f"item {bolt} is costed by specific identification: its lot or serial number must be named"
    }
    assert booked.rows.tolist() == [1]


# ── What comes back ──


def test_a_customers_return_comes_back_at_what_its_sale_cost(warehouse: Warehouse, tell: Tell) -> None:
    """given 12 sold for 48.40; when 3 and 9 come back, and 1 more than were sold; then all 48.40 are back, and the one
    comes at what the goods there cost by then."""
    sale = sell(warehouse, "BOLT", 12, 2)
    tell(
        warehouse,
        buy(warehouse, "BOLT", 10, 4.00, 0), buy(warehouse, "BOLT", 5, 4.20, 1), sale,
        send_back(warehouse, "BOLT", 3, 3, sale),
        send_back(warehouse, "BOLT", 9, 4, sale),
    )  # fmt: skip
    assert warehouse.accounts() == {"goods": 61.00, "grni": -61.00}
    tell(warehouse, send_back(warehouse, "BOLT", 1, 5, sale))
    [(value,)] = warehouse.fetch("SELECT value FROM cost_entries ORDER BY batch_no DESC, row_no DESC LIMIT 1")
    assert value == micro(round(61.00 / 15, 6))


def test_a_return_of_a_sale_that_was_short_waits_for_its_cost(warehouse: Warehouse) -> None:
    """given 5 sold short at 4.00 and returned; when they come at 5.00; then the return has to be costed again."""
    sale = sell(warehouse, "BOLT", 6, 2)
    book_all(warehouse, buy(warehouse, "BOLT", 1, 4.00, 1), sale)
    book_all(warehouse, send_back(warehouse, "BOLT", 2, 3, sale))
    book_all(warehouse, buy(warehouse, "BOLT", 10, 5.00, 4))
    assert marked(warehouse) == [2]


def test_goods_go_back_to_the_supplier_from_their_own_receipt(warehouse: Warehouse, tell: Tell) -> None:
    """given 10 @ 4.00 and 10 @ 5.00; when 4 of the second go back for a credit note of 4.80; then they leave at 5.00,
    and 0.80 are a price difference."""
    second = buy(warehouse, "BOLT", 10, 5.00, 1)
    tell(
        warehouse,
        buy(warehouse, "BOLT", 10, 4.00, 0), second,
        return_to_supplier(warehouse, "BOLT", 4, 4.80, 2, second),
    )  # fmt: skip
    assert layers(warehouse) == [(10.0, 40.00), (6.0, 30.00)]
    assert warehouse.accounts() == {"goods": 70.00, "grni": -70.80, "price_difference": 0.80}


def test_what_is_gone_of_a_receipt_goes_back_from_the_next(warehouse: Warehouse, tell: Tell) -> None:
    first = buy(warehouse, "BOLT", 10, 4.00, 0)
    tell(
        warehouse,
        first, buy(warehouse, "BOLT", 10, 5.00, 1), sell(warehouse, "BOLT", 8, 2),
        return_to_supplier(warehouse, "BOLT", 4, 4.00, 3, first),
    )  # fmt: skip
    assert layers(warehouse) == [(8.0, 40.00)]
    assert warehouse.accounts() == {"goods": 40.00, "grni": -74.00, "cogs": 32.00, "price_difference": 2.00}


def test_returns_that_cannot_be_are_named(warehouse: Warehouse) -> None:
    bolts, lamps = buy(warehouse, "BOLT", 5, 4.00, 0), buy(warehouse, "LAMP", 5, 9.00, 0)
    sale = sell(warehouse, "BOLT", 1, 1)
    book_all(warehouse, bolts, lamps, sale)
    unknown = {"id": uuid4()}
    booked = try_to_book(
        warehouse,
        send_back(warehouse, "BOLT", 1, 2, unknown),
        send_back(warehouse, "LAMP", 1, 2, sale),
        send_back(warehouse, "BOLT", 1, 2, bolts),
        return_to_supplier(warehouse, "BOLT", 1, 4.00, 2, sale),
        event(warehouse, Kind.PRICE_CORRECTION, 1.00, 2, original=unknown["id"]),
        event(warehouse, Kind.LANDED_COST, 1.00, 2, original=sale["id"]),
        event(warehouse, Kind.REVALUATION, 1.00, 2, pool=4711),
        event(warehouse, Kind.REVALUATION, 1.00, 2, item=warehouse.items["BOLT"], place=warehouse.places["SUPPLIER"]),
        event(warehouse, Kind.SALES_SHIPMENT, 1.00, 2, pool=4711),
    )  # fmt: skip
    assert list(dict(sorted(booked.rejected.items())).values()) == [
        "what it returns is not on the books",
        f"it returns item {warehouse.items['LAMP']}, but what it names moved item {warehouse.items['BOLT']}",
        "what it returns took no goods out of stock",
        "what it returns brought no goods into stock",
        "the receipt that it names is not on the books",
        "what it names brought no goods into stock",
        "no cost pool 4711",
        "there is no stock at its location",
        "kind 3 is none of a value event that can be booked",
    ]
    assert warehouse.fetch("SELECT count(*) FROM value_events") == [(0,)]


def test_what_names_a_movement_that_cannot_be_booked_cannot_be_either(warehouse: Warehouse) -> None:
    too_much = buy(warehouse, "BOLT", 2**33, 300.00, 0)
    booked = try_to_book(warehouse, too_much, event(warehouse, Kind.LANDED_COST, 1.00, 1, original=too_much["id"]))
    assert "passes what the books can hold" in booked.rejected[0]
    assert booked.rejected[1] == "what it names could not be booked"


# ── Cost without goods ──


def test_what_a_receipt_cost_more_is_shared_between_what_is_left_and_what_is_gone(
    warehouse: Warehouse, tell: Tell
) -> None:
    """given 10 @ 4.00 and 6 sold; when the invoice says 5.00 more and freight is 2.50; then 4 take 3.00 of it."""
    bolts = buy(warehouse, "BOLT", 10, 4.00, 0)
    tell(
        warehouse,
        bolts, sell(warehouse, "BOLT", 6, 1),
        event(warehouse, Kind.PRICE_CORRECTION, 5.00, 2, original=bolts["id"]),
        event(warehouse, Kind.LANDED_COST, 2.50, 3, original=bolts["id"]),
    )  # fmt: skip
    assert layers(warehouse) == [(4.0, 19.00)]
    assert warehouse.accounts() == {"goods": 19.00, "cogs": 28.50, "grni": -45.00, "landed_clearing": -2.50}
    assert marked(warehouse) == [0]
    assert warehouse.fetch("SELECT DISTINCT corrects FROM journal_entries WHERE kind = 30") == [(bolts["id"],)]


def test_a_cost_of_half_a_cent_is_rounded_once_and_lost_nowhere(warehouse: Warehouse) -> None:
    """given 1 bolt @ 4.00; when three costs of half a cent come; then the pool rounds their sum, the supplier each."""
    bolts = buy(warehouse, "BOLT", 1, 4.00, 0)
    book_all(warehouse, bolts)
    for second in (1, 2, 3):
        book_all(warehouse, event(warehouse, Kind.PRICE_CORRECTION, 0.005, second, original=bolts["id"]))
    assert warehouse.accounts() == {"goods": 4.02, "grni": -4.03, "rounding": 0.01}


def test_an_allowance_is_released_with_the_goods_it_was_made_for(warehouse: Warehouse, tell: Tell) -> None:
    """given 10 @ 4.00 written down by 10.00; when 4 are sold and 2 more taken back of the allowance; then 4.00 go
    against the cost of the sale and 2.00 against the write-down."""
    at_store = {"item": warehouse.items["BOLT"], "place": warehouse.places["STORE"]}
    tell(
        warehouse,
        buy(warehouse, "BOLT", 10, 4.00, 0),
        event(warehouse, Kind.WRITE_DOWN, 10.00, 1, **at_store),
        sell(warehouse, "BOLT", 4, 2),
        event(warehouse, Kind.WRITE_DOWN, -2.00, 3, **at_store),
    )
    assert warehouse.accounts() == {
        "goods": 24.00, "grni": -40.00, "cogs": 12.00, "allowance": -4.00, "write_down": 8.00,
    }  # fmt: skip


def test_goods_are_revalued_by_what_lies_there(warehouse: Warehouse) -> None:
    """given 1 @ 4.00 and 3 @ 5.00; when 4.00 are added; then each piece takes 1.00; where nothing lies it costs."""
    book_all(warehouse, buy(warehouse, "BOLT", 1, 4.00, 0), buy(warehouse, "BOLT", 3, 5.00, 1))
    item = {"item": warehouse.items["BOLT"]}
    book_all(warehouse, event(warehouse, Kind.REVALUATION, 4.00, 2, place=warehouse.places["STORE"], **item))
    assert layers(warehouse) == [(1.0, 5.00), (3.0, 18.00)]
    book_all(warehouse, event(warehouse, Kind.REVALUATION, 4.00, 3, place=warehouse.places["EAST"], **item))
    assert warehouse.accounts() == {"goods": 23.00, "grni": -19.00, "revaluation": -8.00, "cogs": 4.00}


# ── Work orders ──


def work_order(warehouse: Warehouse, output: str, code: str = "WO-1") -> str:
    """An order's own place, and a dimension set that keeps its cost apart; the place's code."""
    company = warehouse.company_id
    rows = warehouse.fetch(
        "WITH place AS (INSERT INTO locations (company_id, code, name, kind, site_id)"
        "               SELECT company_id, %s, '', 'work_order', site_id FROM locations WHERE code = 'MAIN'"
        "               RETURNING location_id),"
        "     dimension AS (INSERT INTO dimension_sets (company_id, code) VALUES (%s, %s) RETURNING dimension_id)"
        " INSERT INTO work_orders (company_id, code, item_id, location_id, dimension_id, planned_micro)"
        " SELECT %s, %s, %s, location_id, dimension_id, 1 FROM place, dimension RETURNING location_id",
        code, company, code, company, code, warehouse.items[output],
    )  # fmt: skip
    warehouse.places[code] = rows[0][0]
    return code


def production(
    warehouse: Warehouse, kind: Kind, item: str, pieces: float, source: str, target: str, at_s: float
) -> Row:
    free = {"value": 0} if kind == Kind.PRODUCTION_START else {}
    return move(warehouse, kind, item, pieces, source, target, at_s, **free)


def test_what_goes_into_an_order_is_what_comes_out_of_it(warehouse: Warehouse, tell: Tell) -> None:
    """given an order for 4 lamps at a standard of 30.00; when 20 bolts @ 4.00 and 60.00 of labour go in, 3 lamps come
    out and the order ends; then 3 are worth 90.00, and 15.00 and what one lamp cost are variance."""
    costed_by(warehouse, "LAMP", "standard")
    order = work_order(warehouse, "LAMP")
    in_work = {"item": warehouse.items["LAMP"], "place": warehouse.places[order]}
    at_store = {"item": warehouse.items["LAMP"], "place": warehouse.places["STORE"]}
    tell(
        warehouse,
        event(warehouse, Kind.STANDARD_CHANGE, 30.00, 0, **at_store),
        buy(warehouse, "BOLT", 20, 4.00, 0),
        production(warehouse, Kind.PRODUCTION_START, "LAMP", 4, "WORLD", order, 1),
        production(warehouse, Kind.PRODUCTION_ISSUE, "BOLT", 20, "STORE", order, 2),
        event(warehouse, Kind.LABOUR, 60.00, 3, **in_work),
        production(warehouse, Kind.PRODUCTION_RECEIPT, "LAMP", 3, order, "STORE", 4),
    )
    assert warehouse.accounts() == {
        "goods": 90.00, "grni": -80.00, "absorbed": -60.00, "wip": 35.00, "production_variance": 15.00,
    }  # fmt: skip
    tell(warehouse, production(warehouse, Kind.PRODUCTION_END, "LAMP", 1, order, "WORLD", 5))
    assert warehouse.accounts() == {
        "goods": 90.00, "grni": -80.00, "absorbed": -60.00, "production_variance": 50.00,
    }  # fmt: skip


def test_cost_that_reaches_an_order_behind_its_goods_is_variance(warehouse: Warehouse, tell: Tell) -> None:
    order = work_order(warehouse, "LAMP")
    in_work = {"item": warehouse.items["LAMP"], "place": warehouse.places[order]}
    tell(
        warehouse,
        buy(warehouse, "BOLT", 20, 4.00, 0),
        production(warehouse, Kind.PRODUCTION_START, "LAMP", 4, "WORLD", order, 1),
        production(warehouse, Kind.PRODUCTION_ISSUE, "BOLT", 10, "STORE", order, 2),
        production(warehouse, Kind.PRODUCTION_RECEIPT, "LAMP", 4, order, "STORE", 3),
        production(warehouse, Kind.PRODUCTION_ISSUE, "BOLT", 10, "STORE", order, 4),
        event(warehouse, Kind.LABOUR, 5.00, 5, **in_work),
        event(warehouse, Kind.REVALUATION, -30.00, 6, reason="usage", **in_work),
    )
    assert warehouse.accounts() == {
        "goods": 40.00, "grni": -80.00, "absorbed": -5.00, "production_variance": 15.00, "usage_variance": 30.00,
    }  # fmt: skip


def test_components_reach_an_order_as_its_cost_and_in_no_other_way(warehouse: Warehouse) -> None:
    order = work_order(warehouse, "LAMP")
    book_all(warehouse, buy(warehouse, "BOLT", 20, 4.00, 0))
    booked = try_to_book(
        warehouse,
        move(warehouse, Kind.INTERNAL_MOVE, "BOLT", 1, "STORE", order, 1),
        production(warehouse, Kind.PRODUCTION_ISSUE, "BOLT", 1, "WORLD", order, 1),
        production(warehouse, Kind.PRODUCTION_ISSUE, "BOLT", 1, "STORE", "EAST", 1),
        production(warehouse, Kind.PRODUCTION_RECEIPT, "BOLT", 1, order, "STORE", 1),
    )
    bolt, place = warehouse.items["BOLT"], warehouse.places[order]
    into = "a production issue takes goods out of stock and into a work order"
    other = f"item {bolt} is not what the work order at location {place} makes"
    assert booked.rejected == {0: other, 1: into, 2: into, 3: other}


# ── What has to be costed again ──


def test_goods_that_travelled_at_a_cost_that_was_not_final_mark_where_they_came_from(warehouse: Warehouse) -> None:
    """given 2 carried to EAST before they were bought; when they come dearer than thought; then their pool waits."""
    book_all(warehouse, buy(warehouse, "BOLT", 1, 4.00, 0), sell(warehouse, "BOLT", 1, 1))
    book_all(warehouse, move(warehouse, Kind.TRANSFER_OUT, "BOLT", 2, "STORE", "EAST", 2))
    assert marked(warehouse) == []
    book_all(warehouse, buy(warehouse, "BOLT", 5, 6.00, 3))
    assert marked(warehouse) == [2]


def test_goods_that_travelled_and_were_bought_in_one_batch_mark_as_well(warehouse: Warehouse) -> None:
    book_all(
        warehouse,
        buy(warehouse, "BOLT", 1, 4.00, 0), sell(warehouse, "BOLT", 1, 1),
        move(warehouse, Kind.TRANSFER_OUT, "BOLT", 2, "STORE", "EAST", 2), buy(warehouse, "BOLT", 5, 6.00, 3),
    )  # fmt: skip
    assert marked(warehouse) == [2]


def test_goods_sold_before_anybody_knew_their_cost_are_costed_again_once_it_is_known(warehouse: Warehouse) -> None:
    """given 5 found and sold without a cost; when 1 is bought @ 9.00; then their pool waits from its beginning."""
    book_all(
        warehouse,
        move(warehouse, Kind.COUNT_GAIN, "BOLT", 5, "WORLD", "STORE", 0), sell(warehouse, "BOLT", 5, 1),
    )  # fmt: skip
    assert marked(warehouse) == []
    book_all(warehouse, buy(warehouse, "BOLT", 1, 9.00, 2))
    assert len(marked(warehouse)) == 1
    assert marked(warehouse)[0] <= 0


def test_two_batches_of_one_instant_have_to_be_put_in_order(warehouse: Warehouse) -> None:
    """given 1 @ 4.00; when one sale and one receipt of the same moment come in two batches; then the receipt, which
    comes first in an instant, came late."""
    book_all(warehouse, buy(warehouse, "BOLT", 1, 4.00, 0))
    book_all(warehouse, sell(warehouse, "BOLT", 1, 5))
    book_all(warehouse, buy(warehouse, "BOLT", 1, 6.00, 5))
    assert marked(warehouse) == [5]


def test_what_comes_into_a_settled_period_waits_for_the_periods_price(warehouse: Warehouse) -> None:
    """given a settled September of a periodic average; when 1 more is sold in it; then the pool waits from there."""
    costed_by(warehouse, "BOLT", "periodic_average")
    book_all(warehouse, buy(warehouse, "BOLT", 10, 4.00, 0), buy(warehouse, "LAMP", 10, 4.00, 0))
    warehouse.owner.execute("UPDATE periods SET settled_at = now() WHERE period_id = 202609")
    book_all(warehouse, sell(warehouse, "BOLT", 1, 7), sell(warehouse, "LAMP", 1, 7))
    assert marked(warehouse) == [7]


def test_a_settlement_is_recorded_and_its_pool_waits_for_the_price(warehouse: Warehouse) -> None:
    costed_by(warehouse, "BOLT", "periodic_average")
    book_all(warehouse, buy(warehouse, "BOLT", 10, 4.00, 0))
    [(pool,)] = warehouse.fetch("SELECT pool_id FROM cost_pools")
    book_all(warehouse, event(warehouse, Kind.PERIOD_SETTLEMENT, 0, 9, pool=pool, period=202609))
    assert warehouse.fetch("SELECT item_id, pool_id, period_id FROM value_events") == [
        (warehouse.items["BOLT"], pool, 202609)
    ]
    assert marked(warehouse)[0] < -20 * 86_400
