"""Stories of re-costing: whatever order the log arrived in, at rest the books are those of the world's order.

Networks of pools: two sites, transfers with and without a stay in transit, clarification, shortages, goods without
a cost. Every story ends with `verify`, and what was posted before is compared byte by byte.
"""

import random
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from cloud.domain.movement import MICRO, Kind, MovementColumns
from cloud.flows.book_movements import book
from cloud.flows.recost import Found, recost_company
from cloud.store.batches import close_batch, load_company, open_batch
from tests.makers import NOON_US, SECOND_US, Warehouse

NONE = -1
WORKER = "test"


@dataclass(frozen=True, slots=True)
class Event:
    """One movement of a story; seq is its place in its log. price: 10⁻⁶ currency per piece, or none."""

    seq: int
    kind: Kind
    item: str
    pieces: float
    source: str
    target: str
    at_s: float
    price: int | None = None
    original: int | None = None

    @property
    def id(self) -> uuid.UUID:
        return uuid.UUID(int=0x1000_0000_0000_4000_8000_0000_0000_0000 + self.seq)


def columns(warehouse: Warehouse, events: Sequence[Event]) -> MovementColumns:
    n = len(events)

    def column(values: Sequence[int]) -> np.ndarray:
        return np.array(values, np.int64)

    originals = [
        uuid.UUID(int=0) if e.original is None else Event(e.original, e.kind, "", 0, "", "", 0).id for e in events
    ]
    return MovementColumns(
        movement_id=np.frombuffer(b"".join(e.id.bytes for e in events), np.uint8).reshape(n, 16),
        kind=column([e.kind for e in events]),
        item=column([warehouse.items[e.item] for e in events]),
        qty=column([round(e.pieces * MICRO) for e in events]),
        from_id=column([warehouse.places[e.source] for e in events]),
        to_id=column([warehouse.places[e.target] for e in events]),
        party=np.zeros(n, np.int64),
        document=[""] * n,
        price=column([NONE if e.price is None else e.price for e in events]),
        rate=np.full(n, 1_000_000_000),
        value=np.full(n, NONE),
        occurred_us=column([NOON_US + round(e.at_s * SECOND_US) for e in events]),
        tags=np.zeros(n, np.int64),
        gateway=np.zeros(n, np.int64),
        seq=column([e.seq for e in events]),
        epoch=np.zeros((n, 16), np.uint8),
        corrects=np.zeros((n, 16), np.uint8),
        lot=np.zeros(n, np.int64),
        original=np.frombuffer(b"".join(o.bytes for o in originals), np.uint8).reshape(n, 16),
        source_row=np.arange(n),
    )  # fmt: skip


def arrive(warehouse: Warehouse, events: Sequence[Event], lane: int = 0) -> None:
    """One batch of these, as the services write it."""
    connection = warehouse.ingest
    with connection.transaction(), connection.cursor() as cursor:
        company = load_company(cursor, warehouse.company_id)
        warehouse.clock_us += SECOND_US
        batch = open_batch(cursor, company, lane, warehouse.clock_us, "cloud")
        booked = book(cursor, batch, columns(warehouse, events))
        assert not booked.rejected
        close_batch(cursor, batch)


def at_rest(warehouse: Warehouse, every: int = 10_000) -> Found:
    """Re-cost what waits, as the job's role."""
    found = recost_company(warehouse.ingest, warehouse.company_id, WORKER, every=every)
    assert warehouse.fetch("SELECT count(*) FROM cost_pools WHERE late_from_us IS NOT NULL") == [(0,)]
    return found


@dataclass(frozen=True, slots=True)
class Books:
    """What must not depend on the order of arrival."""

    pools: list[Any]
    layers: list[Any]
    finals: list[Any]
    accounts: dict[str, float]


INVENTORY = ("raw_material", "goods", "in_transit", "clarification_stock", "wip", "allowance")


def books(warehouse: Warehouse) -> Books:
    return Books(
        warehouse.fetch("SELECT pool_id, qty, value FROM cost_pools ORDER BY 1"),
        warehouse.fetch(
            "SELECT pool_id, row_number() OVER (PARTITION BY pool_id ORDER BY layer_no), movement_id, qty_left,"
            " value_left, uncosted FROM cost_layers ORDER BY 1, 2"
        ),
        warehouse.fetch(
            "SELECT coalesce(e.corrects, e.movement_id), e.pool_id, sum(e.value)::bigint FROM cost_entries e"
            " GROUP BY 1, 2 HAVING sum(e.value) <> 0 ORDER BY 1, 2"
        ),
        {role: amount for role, amount in warehouse.accounts().items() if role in INVENTORY},
    )


POSTED = ("movements", "value_events", "cost_entries", "allowance_entries", "journal_entries", "journal_lines",
          "consumption_links", "batches")  # fmt: skip


@dataclass(slots=True)
class Unchanged:
    """Remembers every appended row and finds it again, byte by byte."""

    warehouse: Warehouse
    rows: dict[str, set[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rows = {table: self._rows(table) for table in POSTED}

    def _rows(self, table: str) -> set[str]:
        return {row for (row,) in self.warehouse.fetch(f"SELECT t::text FROM {table} t")}  # noqa: S608

    def check(self) -> None:
        for table, rows in self.rows.items():
            assert rows <= self._rows(table), table


# ── Networks ──

SITES = ("STORE", "YARD", "EAST", "CLARIFICATION-MAIN")


def story(random_: random.Random, length: int, items: Sequence[str] = ("BOLT", "LAMP")) -> list[Event]:
    """A network's movements in the order of the world, each at an instant of its own."""
    events: list[Event] = []
    for seq in range(1, length + 1):
        item = random_.choice(items)
        pieces = random_.randint(1, 40) / random_.choice((1, 1, 3, 7))
        at_s = 60.0 * seq + random_.random()
        way = random_.random()
        here = random_.choice(SITES)
        if way < 0.35:
            event = Event(
                seq, Kind.PURCHASE_RECEIPT, item, pieces, "SUPPLIER", here, at_s, random_.randint(1, 9_999_999)
            )
        elif way < 0.45:
            event = Event(seq, Kind.COUNT_GAIN, item, pieces, "WORLD", here, at_s)
        elif way < 0.65:
            there = random_.choice([site for site in SITES if site != here])
            event = Event(seq, Kind.TRANSFER_OUT, item, pieces, here, there, at_s)
        else:
            event = Event(seq, Kind.SALES_SHIPMENT, item, pieces, here, "CUSTOMER", at_s)
        events.append(event)
    return events


def batches(random_: random.Random, events: Sequence[Event]) -> list[list[Event]]:
    """The same in another order of arrival, cut at random."""
    late = sorted(events, key=lambda e: e.at_s + random_.choice((0, 0, 0, 400, 1500)) * random_.random())
    cuts = sorted(random_.sample(range(1, len(late)), min(len(late) - 1, random_.randint(1, 6))))
    return [late[a:b] for a, b in zip([0, *cuts], [*cuts, len(late)], strict=True)]


@pytest.mark.parametrize("seed", range(8))
def test_another_order_of_arrival_ends_in_the_same_books(
    new_warehouse: Callable[[], Warehouse], seed: int
) -> None:
    """given a network's log; when it arrives in another order and in pieces, re-costed in between or not; then at
    rest everything is as if it had arrived in order, and nothing that was posted has changed."""
    random_ = random.Random(seed)
    events = story(random_, 40)
    perfect, other = new_warehouse(), new_warehouse()
    arrive(perfect, events)
    perfect.owner.execute("UPDATE cost_pools SET late_from_us = 0")  # edges within one batch: let the run say it
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
