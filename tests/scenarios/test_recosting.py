"""Stories of re-costing: whatever order the log arrived in, at rest the books are those of the world's order.

Networks of pools: two sites, transfers with and without a stay in transit, clarification, shortages, goods without
a cost. Every story ends with `verify`, and what was posted before is compared byte by byte.
"""

import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from cloud.domain.movement import Kind
from cloud.flows.production import place_code
from cloud.flows.recost import ATTEMPTS, recost_company
from cloud.flows.recost_component import run_component
from cloud.flows.settle_period import settle_period
from cloud.flows.snapshot import keep_snapshots
from cloud.flows.verify import verify
from cloud.store import recosting
from cloud.store.production import NewOrder, add_order
from tests.late_goods import WORKER, Event, Unchanged, arrive, at_rest, books, buy, identity, move, sell
from tests.makers import Warehouse
from tests.valuing import add_item

# ── Networks ──

SITES = ("STORE", "YARD", "EAST", "CLARIFICATION-MAIN")


def story(random_: random.Random, length: int, items: Sequence[str] = ("BOLT", "LAMP")) -> list[Event]:
    """A network's log in the order of the world, each event at an instant of its own: goods bought, found, moved,
    sold, brought back, sent back; invoices that differ, freight, write-downs and other changes of value."""
    bought = [Event(1, Kind.PURCHASE_RECEIPT, items[0], 30, "SUPPLIER", SITES[0], 1.0, 4_000_000)]
    sold = [Event(2, Kind.SALES_SHIPMENT, items[0], 20, SITES[0], "CUSTOMER", 2.0)]
    events = [*bought, *sold]
    for seq in range(3, length + 1):
        item, here = random_.choice(items), random_.choice(SITES)
        pieces = random_.randint(1, 40) / random_.choice((1, 1, 3, 7))
        at_s = 60.0 * seq + random_.random()
        way = random_.random()
        if way < 0.30:
            price = random_.randint(1, 9_999_999)
            event = Event(seq, Kind.PURCHASE_RECEIPT, item, pieces, "SUPPLIER", here, at_s, price)
            bought.append(event)
        elif way < 0.38:
            event = Event(seq, Kind.COUNT_GAIN, item, pieces, "WORLD", here, at_s)
        elif way < 0.55:
            there = random_.choice([site for site in SITES if site != here])
            event = Event(seq, Kind.TRANSFER_OUT, item, pieces, here, there, at_s)
        elif way < 0.75:
            event = Event(seq, Kind.SALES_SHIPMENT, item, pieces, here, "CUSTOMER", at_s)
            sold.append(event)
        elif way < 0.80:
            issue = random_.choice(sold)
            event = Event(
                seq, Kind.CUSTOMER_RETURN, issue.item, issue.pieces / 3, "CUSTOMER", here, at_s, None, issue.seq
            )
        elif way < 0.85:
            receipt = random_.choice(bought)
            back, there = receipt.pieces / 4, receipt.target
            event = Event(
                seq, Kind.SUPPLIER_RETURN, receipt.item, back, there, "SUPPLIER", at_s, None, receipt.seq
            )
        elif way < 0.95:
            receipt = random_.choice(bought)
            kind = random_.choice((Kind.PRICE_CORRECTION, Kind.LANDED_COST))
            change = random_.randint(-int(receipt.pieces * (receipt.price or 0)) // 8, 9_000_000)
            event = Event(seq, kind, receipt.item, 0, "", "", at_s, None, receipt.seq, change)
        else:
            event = Event(
                seq, Kind.WRITE_DOWN, item, 0, "", here, at_s, value=random_.randint(-5_000_000, 20_000_000)
            )
        events.append(event)
    return events


# What each work order makes, and of what; the output of the first two is a component of the third.
ORDERS = {"WO-1": ("LAMP", ("BOLT", "STEEL")), "WO-2": ("LAMP", ("STEEL",)), "WO-3": ("MAST", ("LAMP", "BOLT"))}
STEEL_LOTS = ("A", "B")
SOON_BEHIND_S = 300.0


def workshop(random_: random.Random, first: int, ends_s: float, specific: bool = False) -> list[Event]:
    """Work orders from release to close and a little beyond: components out of any pool whether it has them or not,
    labour and overhead before and behind the output, output in parts, one more component when all is closed."""
    events: list[Event] = []

    def add(kind: Kind, item: str, pieces: float, source: str, target: str, at_s: float, **more: Any) -> None:
        if specific and item == "STEEL":
            more["lot"] = random_.choice(STEEL_LOTS)
        events.append(Event(first + len(events), kind, item, pieces, source, target, at_s, **more))

    for number, (code, (output, components)) in enumerate(ORDERS.items()):
        place, planned = f"WO/{code}", random_.randint(3, 30)
        begins = random_.uniform(0.1, 0.4) * ends_s + number * 60
        closes = begins + random_.uniform(0.2, 0.5) * ends_s
        add(Kind.PRODUCTION_START, output, planned, "PRODUCTION", place, begins, value=0)
        for _ in range(random_.randint(2, 5)):
            item, source = random_.choice(components), random_.choice(SITES)
            pieces = random_.randint(1, 30) / random_.choice((1, 3, 7))
            at_s = random_.uniform(begins, closes + SOON_BEHIND_S if random_.random() < 0.3 else closes)
            add(Kind.PRODUCTION_ISSUE, item, pieces, source, place, at_s)
        for _ in range(random_.randint(1, 3)):
            kind = random_.choice((Kind.LABOUR, Kind.OVERHEAD))
            amount = random_.choice((1, 1, -1)) * random_.randint(1, 60_000_000)
            at_s = random_.uniform(begins, closes + SOON_BEHIND_S)
            add(kind, output, 0, "", place, at_s, value=amount)
        left = float(planned)
        for _ in range(random_.randint(1, 3)):
            pieces = left if random_.random() < 0.3 else round(random_.uniform(0.1, 0.9) * left, 3)
            if pieces > 0:
                add(
                    Kind.PRODUCTION_RECEIPT,
                    output,
                    pieces,
                    place,
                    random_.choice(SITES),
                    random_.uniform(begins, closes),
                )
            left = round(left - pieces, 3)
        if left > 0:
            add(Kind.PRODUCTION_END, output, left, place, "PRODUCTION", closes)
    return events


def steel_by_lots(random_: random.Random, first: int, length: int) -> list[Event]:
    """Steel that is told apart by its lots: bought, moved and sold under their names."""
    events: list[Event] = []
    for seq in range(first, first + length // 3):
        lot, here, pieces = random_.choice(STEEL_LOTS), random_.choice(SITES), random_.randint(1, 40) / 3
        at_s = random_.uniform(0, 60.0 * length)
        way = random_.random()
        if way < 0.6:
            price = random_.randint(1, 9_999_999)
            event = Event(seq, Kind.PURCHASE_RECEIPT, "STEEL", pieces, "SUPPLIER", here, at_s, price, lot=lot)
        elif way < 0.8:
            there = random_.choice([site for site in SITES if site != here])
            event = Event(seq, Kind.TRANSFER_OUT, "STEEL", pieces, here, there, at_s, lot=lot)
        else:
            event = Event(seq, Kind.SALES_SHIPMENT, "STEEL", pieces, here, "CUSTOMER", at_s, lot=lot)
        events.append(event)
    return events


def costed_by(warehouse: Warehouse, item: str, method: str) -> None:
    """Before anything moved, an item is costed so from its beginning."""
    tracking = "lot" if method == "specific" else "none"
    warehouse.owner.execute(
        "UPDATE items SET method = %s, tracking = %s WHERE code = %s", [method, tracking, item]
    )


def open_orders(warehouse: Warehouse) -> None:
    """The mast as an item, and the work orders with a place for each."""
    add_item(warehouse, "MAST", "moving_average")
    with warehouse.owner.cursor() as cursor:
        for lot in STEEL_LOTS:
            columns = (warehouse.company_id, warehouse.items["STEEL"], lot)
            cursor.execute("INSERT INTO lots (company_id, item_id, code) VALUES (%s, %s, %s)", columns)
        for code, (output, _) in ORDERS.items():
            order = NewOrder(code, warehouse.items[output], warehouse.places["MAIN"], 1, "", "", {})
            made = add_order(cursor, warehouse.company_id, order, place_code(code))
            warehouse.places[place_code(code)] = made.location_id


def standards(random_: random.Random, at_s: float) -> list[Event]:
    """A standard cost of the lamp for every pool, each at an instant of its own."""
    return [
        Event(
            1000 + round(at_s) + n,
            Kind.STANDARD_CHANGE,
            "LAMP",
            0,
            "",
            place,
            at_s + n / 10,
            value=random_.randint(1, 9_999_999),
        )
        for n, place in enumerate(("STORE", "EAST", "CLARIFICATION-MAIN"))
    ]


def batches(random_: random.Random, events: Sequence[Event]) -> list[list[Event]]:
    """The same in another order of arrival, cut at random. What names another comes behind it."""
    came: dict[int, float] = {}
    for event in events:
        came[event.seq] = event.at_s + random_.choice((0, 0, 0, 400, 1500)) * random_.random()
        if event.original is not None:
            came[event.seq] = max(came[event.seq], came[event.original] + 1)
        if event.kind == Kind.STANDARD_CHANGE and event.at_s < 1:
            came[event.seq] = 0  # who keeps standards says them first
    late = sorted(events, key=lambda e: came[e.seq])
    cuts = sorted(random_.sample(range(1, len(late)), min(len(late) - 1, random_.randint(1, 6))))
    return [late[a:b] for a, b in zip([0, *cuts], [*cuts, len(late)], strict=True)]


def test_moves_inside_one_pool_cost_nothing_and_are_booked(warehouse: Warehouse) -> None:
    arrive(warehouse, [Event(1, Kind.TRANSFER_OUT, "BOLT", 3, "STORE", "YARD", 0)])
    assert warehouse.fetch("SELECT count(*) FROM cost_entries") == [(0,)]


def test_a_late_receipt_is_what_the_goods_sold_since_cost(warehouse: Warehouse) -> None:
    """given 10 @ 5.00 of which 8 are sold; when 10 @ 4.00 from before come to be known; then the sale costs 8 × 4.00,
    in an entry of its own, and 2 @ 4.00 and 10 @ 5.00 are left."""
    arrive(warehouse, [buy(1, 10, 5, 60), sell(2, 8, 120)])
    assert warehouse.accounts() == {"goods": 10.0, "cogs": 40.0, "grni": -50.0}
    arrive(warehouse, [buy(3, 10, 4, 0)])
    before = Unchanged(warehouse)
    (done,) = at_rest(warehouse).done
    before.check()
    assert warehouse.accounts() == {"goods": 58.0, "cogs": 32.0, "grni": -90.0}
    assert warehouse.fetch("SELECT qty_left, value_left FROM cost_layers ORDER BY layer_no") == [
        (2_000_000, 8_000_000), (10_000_000, 50_000_000),
    ]  # fmt: skip
    assert warehouse.fetch(
        "SELECT e.value, e.qty, e.step, k.name, a.role, j.source_id = e.journal_id FROM cost_entries e"
        " JOIN journal_entries j ON j.source_id = e.journal_id JOIN movement_kinds k USING (kind)"
        " JOIN accounts a ON a.account_id = e.counter_account"
    ) == [(8_000_000, 0, 2, "recosting", "cogs", True)]
    assert done.adjusted == 1
    # What it took after all stands under the entry that adjusts it.
    assert warehouse.fetch("SELECT qty, value FROM consumption_links WHERE step = 2") == [(8_000_000, 32_000_000)]
    assert at_rest(warehouse).done == []


def test_the_difference_follows_the_goods_through_other_pools(warehouse: Warehouse) -> None:
    """given goods moved from STORE to EAST and sold there; when a dearer receipt turns out to be the older one; then
    the difference goes through EAST into its sale. The transfer's own is nothing to an account that both share."""
    arrive(warehouse, [buy(1, 10, 4, 60), move(2, 10, 120, "STORE", "EAST"), sell(3, 5, 180, "EAST")])
    arrive(warehouse, [buy(4, 10, 6, 0)])
    at_rest(warehouse)
    assert warehouse.accounts() == {"goods": 70.0, "cogs": 30.0, "grni": -100.0}
    assert warehouse.fetch(
        "SELECT l.amount FROM journal_entries JOIN journal_lines l USING (company_id, source_id, step)"
        " WHERE kind = 38 ORDER BY 1"
    ) == [(-1000,), (1000,)]
    assert warehouse.fetch(
        "SELECT e.value FROM cost_entries e WHERE step >= 2 AND counter_account IS NULL ORDER BY 1"
    ) == [(-20_000_000,), (20_000_000,)]


def test_what_happened_in_a_locked_period_is_corrected_behind_it_and_says_so(warehouse: Warehouse) -> None:
    """given a sale in August and August locked; when a cheaper receipt from before comes; then August stays as it
    is, the correction stands on the first of September, tagged late, and September's sale on its own day."""
    august, september = -30 * 86_400, 0
    arrive(warehouse, [buy(1, 30, 5, august), sell(2, 10, august + 60), sell(3, 10, september)])
    warehouse.close(202608)
    arrive(warehouse, [buy(4, 30, 4, august - 60)])
    at_rest(warehouse)
    assert warehouse.fetch("SELECT posting_date::text, value FROM cost_entries WHERE step >= 2 ORDER BY 1") == [
        ("2026-09-01", 10_000_000),
        ("2026-09-21", 10_000_000),
    ]
    assert warehouse.fetch("SELECT posting_date::text, tags & 1 FROM journal_entries WHERE kind = 38 ORDER BY 1") == [
        ("2026-09-01", 1), ("2026-09-21", 0),
    ]  # fmt: skip


def test_a_late_event_reads_from_the_newest_snapshot_before_it_and_no_further(warehouse: Warehouse) -> None:
    """given a pool of 3,000 movements; when one is late by a few; then the run reads the few hundred behind the last
    snapshot, and ends as a run over everything does."""
    every, length = 200, 3_000
    events = [
        buy(n, 10, 4 + n % 7, 60 * n) if n % 2 else sell(n, 10 - n % 3, 60 * n) for n in range(1, length + 1)
    ]
    late = [events.pop(100), events.pop(-20)]
    arrive(warehouse, events)
    arrive(warehouse, late[:1])
    (first,) = at_rest(warehouse, every=every).done
    assert first.rows_read == length - 1
    assert first.cuts >= length // every - 2
    arrive(warehouse, late[1:])
    (second,) = at_rest(warehouse, every=every).done
    assert 20 <= second.rows_read <= 2 * every
    incremental = books(warehouse)
    warehouse.owner.execute("UPDATE cost_pools SET late_from_us = 0")
    (whole,) = at_rest(warehouse).done
    assert whole.rows_read == length
    assert whole.adjusted == 0
    assert books(warehouse) == incremental


def test_books_at_rest_are_a_snapshot_themselves(warehouse: Warehouse) -> None:
    """given a pool that was never late, kept as it stands; when something comes late behind that; then only what
    is behind is read; and what comes from before, even for a pool that was quiet, is late."""
    arrive(warehouse, [*[buy(n, 10, 4, 60 * n) for n in range(1, 100)], buy(100, 5, 4, 10, "EAST")])
    item = warehouse.items["BOLT"]
    assert keep_snapshots(warehouse.ingest, warehouse.company_id, [item]) == {item}
    arrive(warehouse, [buy(101, 1, 7, 9_000), sell(102, 3, 9_100)])
    arrive(warehouse, [sell(103, 2, 9_050)])
    (done,) = at_rest(warehouse).done
    assert done.rows_read == 3
    arrive(warehouse, [sell(104, 2, 3_000, "EAST")])  # EAST has not moved since 10 s, but the cut lies at 5,940 s
    (done,) = at_rest(warehouse).done
    assert done.rows_read == 104


def test_two_jobs_at_once_do_the_work_once(warehouse: Warehouse) -> None:
    arrive(warehouse, [buy(1, 10, 5, 60), sell(2, 8, 120)])
    arrive(warehouse, [buy(3, 10, 4, 0)])
    info = warehouse.ingest.info
    with psycopg.connect(host=info.host, port=info.port, dbname=info.dbname, user=info.user, password=info.password,
                         autocommit=True) as other:  # fmt: skip
        other.execute("SELECT pg_advisory_lock(hashtext('tallygate recosting'), %s)", [warehouse.company_id])
        found = recost_company(warehouse.ingest, warehouse.company_id, WORKER)
        assert found.busy
        assert found.done == []
    jobs = [lambda: recost_company(warehouse.ingest, warehouse.company_id, WORKER)]
    with psycopg.connect(host=info.host, port=info.port, dbname=info.dbname, user=info.user, password=info.password,
                         autocommit=True) as other:  # fmt: skip
        jobs.append(lambda: recost_company(other, warehouse.company_id, WORKER))
        with ThreadPoolExecutor(2) as threads:
            done = [future.result(60) for future in [threads.submit(job) for job in jobs]]
    assert sum(len(one.done) for one in done) == 1
    assert warehouse.fetch("SELECT count(*) FROM cost_entries WHERE step >= 2") == [(1,)]


def test_what_is_booked_while_a_component_is_read_is_not_overlooked(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """given a run that is overtaken by a batch every time it reads; then it reads under the locks in the end."""
    arrive(warehouse, [buy(1, 10, 5, 60), sell(2, 2, 120)])
    arrive(warehouse, [buy(3, 10, 4, 0)])
    following = iter(range(4, 100))

    def overtaken(component: Any, every: int) -> Any:
        if len(component.moves["qty"]) < 5:
            with psycopg.connect(warehouse.ingest.info.dsn, password=warehouse.ingest.info.password,
                                 autocommit=True) as other:  # fmt: skip
                seq = next(following)
                beside = replace(warehouse, ingest=other)
                arrive(beside, [sell(seq, 1, 200 + seq)], lane=3)
        return run_component(component, every)

    monkeypatch.setattr("cloud.flows.recost.run_component", overtaken)
    (done,) = at_rest(warehouse).done
    assert done.attempts == ATTEMPTS
    monkeypatch.undo()
    result = books(warehouse)
    warehouse.owner.execute("UPDATE cost_pools SET late_from_us = 0")
    (again,) = at_rest(warehouse).done
    assert again.adjusted == 0
    assert books(warehouse) == result


def failures(warehouse: Warehouse) -> dict[str, str]:
    return {check.name: check.detail for check in verify(warehouse.owner) if not check.holds}


def test_verify_says_what_waits_and_finds_costs_that_are_not_those_of_the_worlds_order(
    warehouse: Warehouse,
) -> None:
    """given a late receipt; then verify names the waiting pool and holds; given a mark that was lost, or a layer said
    to be of another receipt, it fails."""
    arrive(warehouse, [buy(1, 10, 5, 60), sell(2, 8, 120)])
    arrive(warehouse, [buy(3, 10, 4, 0)])
    waits = {check.name: check.detail for check in verify(warehouse.owner) if check.promise == 6}
    assert waits["pools that wait for re-costing"] == "1 marked late"
    assert failures(warehouse) == {}
    (mark,) = warehouse.fetch("SELECT late_from_us FROM cost_pools")
    warehouse.owner.execute("UPDATE cost_pools SET late_from_us = NULL")
    assert list(failures(warehouse)) == ["costs of a run in the world's order, for components at rest"]
    warehouse.owner.execute("UPDATE cost_pools SET late_from_us = %s", mark)
    at_rest(warehouse)
    assert failures(warehouse) == {}
    other_maker = "UPDATE cost_layers SET movement_id = %s WHERE qty_left = 2000000"
    warehouse.owner.execute(other_maker, [identity(99)])
    detail = failures(warehouse)["costs of a run in the world's order, for components at rest"]
    assert "demo: layer 1 of its component is" in detail
    warehouse.owner.execute(other_maker, [identity(3)])


@pytest.mark.parametrize("place", ["write_adjustments", "write_journal", "replace_layers", "update_pools"])
def test_a_job_that_dies_midway_leaves_nothing_half(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """given its session killed between two writes; then the books are as before and still marked, and the next job
    does it all."""
    arrive(warehouse, [buy(1, 10, 5, 60), sell(2, 8, 120)])
    arrive(warehouse, [buy(3, 10, 4, 0)])
    before, unchanged = books(warehouse), Unchanged(warehouse)
    real = getattr(recosting, place)
    info = warehouse.ingest.info

    def killed(cursor: psycopg.Cursor, *rest: Any) -> None:
        real(cursor, *rest)
        with psycopg.connect(host=info.host, port=info.port, dbname=info.dbname, user=info.user,
                             password=info.password, autocommit=True) as other:  # fmt: skip
            other.execute("SELECT pg_terminate_backend(%s)", [cursor.connection.info.backend_pid])

    with psycopg.connect(host=info.host, port=info.port, dbname=info.dbname, user=info.user, password=info.password,
                         autocommit=True) as job:  # fmt: skip
        monkeypatch.setattr(recosting, place, killed)
        with pytest.raises(psycopg.OperationalError):
            recost_company(job, warehouse.company_id, WORKER)
        monkeypatch.undo()
    assert books(warehouse) == before
    unchanged.check()
    warehouse.check()
    (done,) = at_rest(warehouse).done
    assert done.adjusted == 1


METHODS = (
    ("fifo", "moving_average"), ("lifo", "standard"), ("periodic_average", "periodic_fifo"), ("periodic_lifo", "fifo"),
)  # fmt: skip


# Of bolts, steel, lamps and masts.
WORKSHOP_METHODS = (
    ("fifo", "moving_average", "moving_average", "fifo"),
    ("moving_average", "specific", "standard", "moving_average"),
    ("periodic_average", "lifo", "fifo", "standard"),
    ("standard", "periodic_fifo", "periodic_average", "lifo"),
    ("lifo", "fifo", "periodic_lifo", "periodic_average"),
    ("periodic_fifo", "standard", "lifo", "periodic_lifo"),
)

PERIODIC_METHODS = (
    ("periodic_average", "fifo", "periodic_fifo", "moving_average"),
    ("periodic_fifo", "periodic_lifo", "moving_average", "periodic_average"),
    ("moving_average", "periodic_average", "periodic_lifo", "standard"),
)


@pytest.mark.parametrize("seed", range(12))
def test_another_order_of_arrival_ends_in_the_same_books(
    new_warehouse: Callable[[], Warehouse], seed: int
) -> None:
    """given a network's log; when it arrives in another order and in pieces, re-costed in between or not; then at
    rest everything is as if it had arrived in order, and nothing that was posted has changed."""
    random_ = random.Random(seed)
    events = story(random_, 40)
    perfect, other = new_warehouse(), new_warehouse()
    for one in (perfect, other):
        one.owner.execute("UPDATE companies SET profile = 'US_GAAP'")
        for item, method in zip(("BOLT", "LAMP"), METHODS[seed % len(METHODS)], strict=True):
            costed_by(one, item, method)
    if "standard" in METHODS[seed % len(METHODS)]:
        events = [*standards(random_, 0), *events, *standards(random_, 60 * 20 + 30)]
    end_in_the_same_books(random_, perfect, other, events)


def workshops(
    new_warehouse: Callable[[], Warehouse], random_: random.Random, method_of: Sequence[str]
) -> tuple[Warehouse, Warehouse, list[Event]]:
    """Two warehouses with the same work orders, and the log of a network that both may get."""
    methods = dict(zip(("BOLT", "STEEL", "LAMP", "MAST"), method_of, strict=True))
    specific = methods["STEEL"] == "specific"
    events = story(random_, 30, [item for item in methods if item != "STEEL" or not specific])
    if specific:
        events += steel_by_lots(random_, 200, 30)
    events += workshop(random_, 500, 60.0 * 30, specific)
    if methods["LAMP"] == "standard":
        events = [*standards(random_, 0), *events, *standards(random_, 60 * 15 + 30)]
    perfect, other = new_warehouse(), new_warehouse()
    for one in (perfect, other):
        open_orders(one)
        one.owner.execute("UPDATE companies SET profile = 'US_GAAP'")
        for item, method in methods.items():
            costed_by(one, item, method)
    return perfect, other, events


# One for each row of methods; those above 100 once found something.
@pytest.mark.parametrize("seed", [0, 3, 152, 190, 283, 293])
def test_work_orders_in_another_order_of_arrival_end_in_the_same_books(
    new_warehouse: Callable[[], Warehouse], seed: int
) -> None:
    """given a network with work orders, the output of one a component of the next; when its log arrives in another
    order and in pieces; then the same holds of what is in work, of what was made and of what that cost when sold."""
    random_ = random.Random(1000 + seed)
    perfect, other, events = workshops(new_warehouse, random_, WORKSHOP_METHODS[seed % len(WORKSHOP_METHODS)])
    end_in_the_same_books(random_, perfect, other, events)


def end_in_the_same_books(
    random_: random.Random, perfect: Warehouse, other: Warehouse, events: Sequence[Event]
) -> None:
    """One gets them in the order of the world, the other in batches of another order."""
    arrive(perfect, sorted(events, key=lambda e: e.at_s))
    at_rest(perfect)
    for part in batches(random_, events):
        arrive(other, part)
        if random_.random() < 0.5:
            before = Unchanged(other)
            at_rest(other, every=random_.choice((5, 10_000)))
            before.check()
        other.check()
    before = Unchanged(other)
    at_rest(other)
    before.check()
    assert books(other) == books(perfect)


AUGUST, SEPTEMBER = 202608, 202609


@pytest.mark.parametrize("seed", range(3))
def test_work_orders_in_settled_periods_end_in_the_same_books(
    new_warehouse: Callable[[], Warehouse], seed: int
) -> None:
    """given the same over two months; when August is settled while some of it is still on its way, and once more
    when it has come, and September behind it; then it is as if each had been settled when all was there."""
    random_ = random.Random(2000 + seed)
    perfect, other, events = workshops(new_warehouse, random_, PERIODIC_METHODS[seed % len(PERIODIC_METHODS)])

    def over_two_months(event: Event) -> Event:
        """2,100 s become 35 days that end at noon of 21 September."""
        return replace(event, at_s=(event.at_s - 2_100) * 1_440)

    arrive(perfect, [over_two_months(event) for event in sorted(events, key=lambda e: e.at_s)])
    at_rest(perfect)
    for one in (perfect, other):
        one.close(SEPTEMBER, "soft_closed")
    for part in batches(random_, events):
        arrive(other, [over_two_months(event) for event in part])
        before = Unchanged(other)
        if random_.random() < 0.5:
            settle_period(other.ingest, other.company_id, AUGUST, every=random_.choice((5, 10_000)))
            before.check()
        other.check()
    for period in (AUGUST, SEPTEMBER):
        for one in (perfect, other):
            before = Unchanged(one)
            settle_period(one.ingest, one.company_id, period)
            at_rest(one)
            before.check()
        assert books(other) == books(perfect)


# ── Stories of work orders ──


def start(seq: int, pieces: float, at_s: float, place: str = "WO/WO-1") -> Event:
    return Event(seq, Kind.PRODUCTION_START, "LAMP", pieces, "PRODUCTION", place, at_s, value=0)


def use(seq: int, pieces: float, at_s: float, item: str = "BOLT", place: str = "WO/WO-1") -> Event:
    return Event(seq, Kind.PRODUCTION_ISSUE, item, pieces, "STORE", place, at_s)


def make(seq: int, pieces: float, at_s: float, place: str = "WO/WO-1") -> Event:
    return Event(seq, Kind.PRODUCTION_RECEIPT, "LAMP", pieces, place, "STORE", at_s)


def test_a_components_invoice_behind_the_sale_of_the_product_reaches_the_cost_of_goods_sold(
    warehouse: Warehouse,
) -> None:
    """given 10 bolts @ 4.00 that became 10 lamps, of which 6 are sold; when the invoice says 5.00 a bolt; then at
    rest 4 lamps @ 5.00 are left and the sale costs 30.00."""
    open_orders(warehouse)
    arrive(warehouse, [buy(1, 10, 4, 0), start(2, 10, 60), use(3, 10, 120), make(4, 10, 180),
                       sell(5, 6, 240, item="LAMP")])  # fmt: skip
    assert warehouse.accounts() == {"goods": 16.0, "cogs": 24.0, "grni": -40.0}
    arrive(warehouse, [Event(6, Kind.PRICE_CORRECTION, "BOLT", 0, "", "", 300, original=1, value=10_000_000)])
    before = Unchanged(warehouse)
    at_rest(warehouse)
    before.check()
    assert warehouse.accounts() == {"goods": 20.0, "cogs": 30.0, "grni": -50.0}


def test_a_late_issue_into_a_closed_order_changes_what_it_made_and_its_variance(warehouse: Warehouse) -> None:
    """given an order of 10 with 10 bolts @ 4.00, closed with 8 lamps @ 4.00 and 8.00 of variance; when 5 more bolts
    come to be known, used before the lamps were done; then the lamps cost 6.00 each and the variance is 12.00."""
    open_orders(warehouse)
    end = Event(5, Kind.PRODUCTION_END, "LAMP", 2, "WO/WO-1", "PRODUCTION", 240)
    arrive(warehouse, [buy(1, 20, 4, 0), start(2, 10, 60), use(3, 10, 120), make(4, 8, 180), end])
    assert warehouse.accounts() == {"goods": 72.0, "production_variance": 8.0, "grni": -80.0}
    arrive(warehouse, [use(6, 5, 150)])
    # At once an order that holds nothing can take nothing: all of it is variance.
    assert warehouse.accounts() == {"goods": 52.0, "production_variance": 28.0, "grni": -80.0}
    before = Unchanged(warehouse)
    at_rest(warehouse)
    before.check()
    assert warehouse.accounts() == {"goods": 68.0, "production_variance": 12.0, "grni": -80.0}


def test_what_came_back_of_a_sale_without_a_cost_has_none_whatever_the_item_costs_by_now(
    warehouse: Warehouse,
) -> None:
    """given 10 sold in EAST before anybody knew a cost, and 10 bought @ 4.00 for STORE; when 3 of the sold come back
    to STORE; then at once they are worth 4.00 each, and at rest what the sale cost: nothing."""
    arrive(warehouse, [sell(1, 10, 0, "EAST")])
    back = Event(3, Kind.CUSTOMER_RETURN, "BOLT", 3, "CUSTOMER", "STORE", 120, original=1)
    arrive(warehouse, [buy(2, 10, 4, 60), back])
    assert warehouse.accounts()["goods"] == 52.0
    at_rest(warehouse)
    assert warehouse.accounts() == {"goods": 40.0, "grni": -40.0}


def test_goods_left_of_a_shortage_at_standard_cost_are_of_the_receipt_that_brought_them(
    warehouse: Warehouse,
) -> None:
    """given 3 sold at standard cost that were not there; when 10 come; then the 7 left are told to that receipt,
    in whatever batch it came."""
    warehouse.owner.execute("UPDATE items SET method = 'standard' WHERE code = 'LAMP'")
    standard = Event(1, Kind.STANDARD_CHANGE, "LAMP", 0, "", "STORE", 0, value=5_000_000)
    arrive(warehouse, [standard, sell(2, 3, 60, item="LAMP")])
    arrive(warehouse, [buy(3, 10, 5, 120, item="LAMP")])
    assert warehouse.fetch("SELECT movement_id, qty_left FROM cost_layers") == [(identity(3), 7_000_000)]
