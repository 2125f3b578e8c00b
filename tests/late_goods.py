"""Goods whose log arrives in any order: a story's events, batches of them as services book them, the books at rest."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cloud.domain.movement import MICRO, Kind, MovementColumns
from cloud.domain.value_event import ValueEventColumns
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
    value: int | None = None  # of a value event, or what goods come with
    lot: str = ""

    @property
    def id(self) -> uuid.UUID:
        return identity(self.seq)


def identity(seq: int) -> uuid.UUID:
    return uuid.UUID(int=0x1000_0000_0000_4000_8000_0000_0000_0000 + seq)


def columns(warehouse: Warehouse, events: Sequence[Event]) -> MovementColumns:
    n = len(events)

    def column(values: Sequence[int]) -> np.ndarray:
        return np.array(values, np.int64)

    originals = [uuid.UUID(int=0) if e.original is None else identity(e.original) for e in events]
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
        value=column([NONE if e.value is None else e.value for e in events]),
        occurred_us=column([NOON_US + round(e.at_s * SECOND_US) for e in events]),
        tags=np.zeros(n, np.int64),
        gateway=np.zeros(n, np.int64),
        seq=column([e.seq for e in events]),
        epoch=np.zeros((n, 16), np.uint8),
        corrects=np.zeros((n, 16), np.uint8),
        lot=column([lot_id(warehouse, e) for e in events]),
        original=np.frombuffer(b"".join(o.bytes for o in originals), np.uint8).reshape(n, 16),
        reason=[""] * n,
        dimension=np.zeros(n, np.int64),
        currency=np.zeros(n, np.int64),
        source_row=np.arange(n),
    )  # fmt: skip


def lot_id(warehouse: Warehouse, event: Event) -> int:
    """The lot that an event names, 0 where it names none."""
    if not event.lot:
        return 0
    query = "SELECT lot_id FROM lots WHERE item_id = %s AND code = %s"
    return int(warehouse.fetch(query, warehouse.items[event.item], event.lot)[0][0])


def value_events(warehouse: Warehouse, events: Sequence[Event], first_row: int) -> ValueEventColumns:
    """What changes cost without goods: at the receipt that it names, or of the pool at its place."""
    n = len(events)
    named = [bytes(16) if e.original is None else identity(e.original).bytes for e in events]
    return ValueEventColumns.of(
        np.frombuffer(b"".join(e.id.bytes for e in events), np.uint8).reshape(n, 16),
        np.array([e.kind for e in events], np.int64),
        np.array([e.value for e in events], np.int64),
        np.array([NOON_US + round(e.at_s * SECOND_US) for e in events], np.int64),
        original=np.frombuffer(b"".join(named), np.uint8).reshape(n, 16),
        item=np.array([warehouse.items[e.item] if e.original is None else 0 for e in events], np.int64),
        location=np.array([warehouse.places[e.target] if e.original is None else 0 for e in events], np.int64),
        lot=np.array([lot_id(warehouse, e) if e.original is None else 0 for e in events], np.int64),
        source_row=np.arange(first_row, first_row + n),
    )


def arrive(warehouse: Warehouse, events: Sequence[Event], lane: int = 0) -> None:
    """One batch of these, as the services write it."""
    connection = warehouse.ingest
    with connection.transaction(), connection.cursor() as cursor:
        company = load_company(cursor, warehouse.company_id)
        warehouse.clock_us += SECOND_US
        batch = open_batch(cursor, company, lane, warehouse.clock_us, "cloud", posts_soft_closed=True)
        moves = [e for e in events if e.kind.moves_goods]
        others = [e for e in events if not e.kind.moves_goods]
        booked = book(cursor, batch, columns(warehouse, moves), value_events(warehouse, others, len(moves)))
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


def buy(seq: int, pieces: float, price: float, at_s: float, where: str = "STORE", item: str = "BOLT") -> Event:
    return Event(seq, Kind.PURCHASE_RECEIPT, item, pieces, "SUPPLIER", where, at_s, round(price * MICRO))


def sell(seq: int, pieces: float, at_s: float, where: str = "STORE", item: str = "BOLT") -> Event:
    return Event(seq, Kind.SALES_SHIPMENT, item, pieces, where, "CUSTOMER", at_s)


def move(seq: int, pieces: float, at_s: float, source: str, target: str, item: str = "BOLT") -> Event:
    return Event(seq, Kind.TRANSFER_OUT, item, pieces, source, target, at_s)
