"""What re-costing reads and writes: a component's pools, its log, its cuts; adjusting entries, layers, pools.

Reading goes by COPY into columns, so that a million movements are arrays and never a million tuples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import numpy as np
import psycopg
from numpy.typing import NDArray

from cloud.domain.batch import Batch, Company
from cloud.domain.costing.methods import PERIODIC
from cloud.domain.costing.pools import LastCosts, Layers, Pools
from cloud.domain.ledger.posting import Lines
from cloud.domain.ledger.target import account_of, dimension_of
from cloud.domain.moments import moment_of
from cloud.domain.movement import Kind
from cloud.domain.rounding import to_minor
from cloud.store import columns, copy
from cloud.store.batches import place_in_batch
from cloud.store.costs import append_linked
from cloud.store.journal import Headers, write_entries
from cloud.store.pool_state import lock_item_costs
from cloud.store.sql import statement

Int64 = NDArray[np.int64]
Bytes16 = NDArray[np.uint8]
Cursor = psycopg.Cursor
NONE = -1

_UNIX_ORDINAL = 719_163  # Python's ordinal of 1970-01-01
# The columns of a pool's state behind its id, as the statements name them.
_STATE = (
    "method",
    "qty",
    "value",
    "last_value",
    "last_qty",
    "standard",
    "settled_value",
    "settled_qty",
    "allowance",
)

MOVEMENT = {
    "id": 16, "kind": 8, "item": 8, "qty": 8, "occurred_us": 8, "gateway": 8, "epoch": 16, "seq": 8, "price": 8,
    "rate": 8, "value": 8, "corrects": 16, "original": 16, "src": 8, "dst": 8, "fed": 8, "src_counter": 8,
    "dst_counter": 8, "day": 8, "src_posted": 8, "dst_posted": 8,
}  # fmt: skip
EVENT = {
    "id": 16, "kind": 8, "pool": 8, "item": 8, "original": 16, "value": 8, "occurred_us": 8, "counter": 8, "day": 8,
    "posted": 8,
}  # fmt: skip

Columns = dict[str, NDArray[Any]]


def read_columns(cursor: Cursor, name: str, fields: dict[str, int], **parameters: Any) -> Columns:
    """The rows of a binary COPY whose fields are all present: int64[n] for 8 bytes, uint8[n, 16] for 16."""
    return columns.read_columns(cursor, statement("recost", name), fields, parameters)


@dataclass(slots=True)
class Standing:
    """The pools of a component as they stand, in order of id; what no kernel asks for beside what one does.

    marked_us  where re-costing has to look again, or NONE
    """

    pool_id: Int64
    site: Int64
    item: Int64
    account: Int64
    dimension: Int64
    first_method: Int64
    method: Int64
    unit: Int64
    qty: Int64
    value: Int64
    posted: Int64
    next_no: Int64
    newest_us: Int64
    marked_us: Int64
    allowance: Int64
    allowance_posted: Int64

    @property
    def earliest_mark_us(self) -> int | None:
        """From where the component has to be costed anew; None where nothing waits."""
        marks = self.marked_us[self.marked_us != NONE]
        return int(marks.min()) if len(marks) else None

    def same(self, other: "Standing") -> bool:
        """Whether nothing was booked in between."""
        return all(np.array_equal(getattr(self, name), getattr(other, name)) for name in self.__slots__)


def read_pools(cursor: Cursor, company_id: int, items: Sequence[int], *, lock: bool = False) -> Standing:
    """The component's pools, locked where a write follows."""
    name = "lock_pools" if lock else "pools"
    rows = cursor.execute(statement("recost", name), {"company": company_id, "items": list(items)}).fetchall()
    table = np.array(rows, np.int64).reshape(len(rows), len(Standing.__slots__))
    return Standing(*(np.ascontiguousarray(table[:, i]) for i in range(table.shape[1])))


def joined_items(cursor: Cursor, company_id: int, items: Sequence[int]) -> list[int]:
    """The component's items: those given and all whose goods meet theirs in work orders."""
    rows = cursor.execute(statement("recost", "joined_items"), {"company": company_id, "items": list(items)})
    return [row[0] for row in rows]


# ── Where a run begins ──────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class Start:
    """The state a run begins from. sources: for each of its layers who made it.

    after_us  everything up to this moment is in it; the smallest int64 where it is the beginning
    """

    after_us: int
    pools: Pools
    layers: Layers
    last_costs: LastCosts
    sources: "LayerRows"


@dataclass(slots=True)
class LayerRows:
    """What a layer's row holds beside its amounts, L rows."""

    movement_id: Bytes16
    step: Int64
    counter: Int64
    day: Int64
    occurred_us: Int64

    @classmethod
    def none(cls) -> "LayerRows":
        empty = np.zeros(0, np.int64)
        return cls(np.zeros((0, 16), np.uint8), empty, empty, empty, empty)

    def take(self, index: Int64) -> "LayerRows":
        return LayerRows(*(getattr(self, name)[index] for name in self.__slots__))

    def join(self, other: "LayerRows") -> "LayerRows":
        """These rows, then the other's."""
        return LayerRows(*(np.concatenate([getattr(self, name), getattr(other, name)]) for name in self.__slots__))


def beginning(standing: Standing) -> Start:
    """Before anything happened. Layers go on from the numbers used so far, so that no link's layer is another's."""
    items = np.unique(standing.item)
    zero = np.zeros(len(items), np.int64)
    pools = Pools.empty(
        standing.pool_id,
        np.searchsorted(items, standing.item),
        standing.first_method,
        standing.unit,
        standing.account,
    )
    pools.next_no = standing.next_no.copy()
    last = LastCosts(items, zero.copy(), zero.copy())
    return Start(int(np.iinfo(np.int64).min), pools, _no_layers(), last, LayerRows.none())


def _no_layers() -> Layers:
    empty = np.zeros(0, np.int64)
    return Layers(empty, empty, empty, empty, np.zeros(0, bool), empty, empty, 0)


def newest_start(
    cursor: Cursor, company_id: int, items: Sequence[int], standing: Standing, before_us: int
) -> Start:
    """The newest snapshot of the component before a moment, or its beginning."""
    start = beginning(standing)
    where: dict[str, Any] = {"company": company_id, "items": list(items), "before": before_us}
    while (row := cursor.execute(statement("recost", "newest_cut"), where).fetchone()) is not None:
        where["cut"] = row[0]
        known = cursor.execute(statement("recost", "cut_pools"), where).fetchall()
        new = sorted(set(standing.pool_id.tolist()) - {pool[0] for pool in known})
        if (
            not new
            or cursor.execute(statement("recost", "came_before_cut"), where | {"pools": new}).fetchone() is None
        ):
            return _from_cut(cursor, where, start, known)
        where["before"] = row[0]
    return start


def _from_cut(cursor: Cursor, where: dict[str, Any], start: Start, known: Sequence[tuple[Any, ...]]) -> Start:
    table = np.array(known, np.int64).reshape(len(known), 10)
    at = np.searchsorted(start.pools.pool_id, table[:, 0])
    for number, name in enumerate(_STATE, 1):
        getattr(start.pools, name)[at] = table[:, number]
    for item, value, qty in cursor.execute(statement("recost", "cut_items"), where):
        row = np.searchsorted(start.last_costs.item_id, item)
        if row < len(start.last_costs.item_id) and start.last_costs.item_id[row] == item:
            start.last_costs.value[row], start.last_costs.qty[row] = value, qty
    rows = cursor.execute(statement("recost", "cut_layers"), where).fetchall()
    start.after_us = where["cut"]
    start.layers, start.sources = _layers(rows, start.pools)
    return start


def _layers(rows: Sequence[tuple[Any, ...]], pools: Pools) -> tuple[Layers, LayerRows]:
    n = len(rows)
    none = np.full(n, NONE, np.int64)

    def column(number: int) -> Int64:
        return np.array([row[number] for row in rows], np.int64)

    layers = Layers(
        np.searchsorted(pools.pool_id, column(0)), column(1), column(4), column(5), np.zeros(n, bool), none,
        np.zeros(n, np.int64), n,
    )  # fmt: skip
    sources = LayerRows(
        np.frombuffer(b"".join(row[2].bytes for row in rows), np.uint8).reshape(n, 16), column(3), column(6),
        np.array([row[7].toordinal() - _UNIX_ORDINAL for row in rows], np.int64), column(8),
    )  # fmt: skip
    return layers, sources


def standing_start(cursor: Cursor, company_id: int, items: Sequence[int], standing: Standing) -> Start | None:
    """The books as they stand, as a state to begin from; None where something waits, is short or has no cost."""
    if standing.earliest_mark_us is not None or len(standing.qty) == 0 or (standing.qty < 0).any():
        return None
    # Of the pools that are locked: one of these items may have been made since.
    where = {"company": company_id, "pools": standing.pool_id.tolist()}
    rows = cursor.execute(statement("recost", "standing_layers"), where).fetchall()
    if any(row[4] < 0 or row[9] for row in rows):
        return None
    start = beginning(standing)
    table = np.array(cursor.execute(statement("recost", "standing_pools"), where).fetchall(), np.int64).reshape(
        -1, 10
    )
    for number, name in enumerate(_STATE, 1):
        getattr(start.pools, name)[:] = table[:, number]
    for item, (value, qty) in lock_item_costs(cursor, company_id, list(items)).items():
        row = np.searchsorted(start.last_costs.item_id, item)
        if row < len(start.last_costs.item_id) and start.last_costs.item_id[row] == item:
            start.last_costs.value[row], start.last_costs.qty[row] = value, qty
    start.after_us = int(standing.newest_us.max())
    start.layers, start.sources = _layers(rows, start.pools)
    return start


def moved_since(cursor: Cursor, since: datetime) -> list[tuple[int, int, int]]:
    """(company_id, item_id, how many movements were recorded since)."""
    return cursor.execute(statement("recost", "moved_since"), {"since": since}).fetchall()


def raise_newest(cursor: Cursor, company_id: int, standing: Standing, cut_us: int) -> None:
    """Whatever comes from before a cut is late from now on, also in pools that were quiet then."""
    where = {"company": company_id, "pools": standing.pool_id.tolist(), "cut": cut_us}
    cursor.execute(statement("recost", "raise_newest"), where)


# ── What is written ─────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class Adjustments:
    """n adjusting cost entries in the order in which they are posted.

    movement_id  the movement or value event whose cost each adjusts, and whose next free step it takes
    corrects     the same, or the receipt that a value event concerns
    counter      account_id, or NONE where the other side is a pool
    journal      row of the journal entry that carries it
    """

    movement_id: Bytes16
    corrects: Bytes16
    step: Int64
    pool: Int64
    value: Int64
    posted: Int64
    counter: Int64
    day: Int64
    journal: Int64

    def __len__(self) -> int:
        return len(self.step)


def next_steps(cursor: Cursor, company_id: int, ids: Sequence[UUID]) -> dict[UUID, int]:
    """The first step that no cost entry of each movement has."""
    rows = cursor.execute(statement("recost", "next_steps"), {"company": company_id, "ids": list(ids)})
    return dict(rows.fetchall())


@dataclass(slots=True)
class TakenLinks:
    """k links: which adjusting entry stands for how much of which layer."""

    entry: Int64
    pool: Int64
    layer_no: Int64
    source: Bytes16
    qty: Int64
    value: Int64


def write_adjustments(
    cursor: Cursor, batch: Batch, pools: Pools, adjustments: Adjustments, journal_id: Bytes16, links: TakenLinks
) -> None:
    """Append the entries, and under them what the issues took after all; links come by entry.

    journal_id  uint8[j, 16], of each journal entry
    """
    n, counter = len(adjustments), adjustments.counter
    columns = [
        copy.constant("company_id", batch.company.company_id, 4, n),
        copy.raw("movement_id", adjustments.movement_id),
        copy.integers("step", adjustments.step, 2),
        copy.integers("pool_id", pools.pool_id[adjustments.pool], 8),
        copy.constant("qty", 0, 8, n),
        copy.integers("value", adjustments.value, 8),
        copy.integers("posted", adjustments.posted, 8),
        copy.raw("corrects", adjustments.corrects),
        copy.dates("posting_date", adjustments.day),
        copy.integers("counter_account", account_of(counter), 4, np.asarray(counter == NONE)),
        copy.raw("journal_id", journal_id[adjustments.journal]),
        copy.integers("counter_dimension", dimension_of(counter), 4),
        *place_in_batch(batch, n),
    ]
    append_linked(cursor, batch, columns, n, links.entry, _link_columns(batch, pools, adjustments, links))


def _link_columns(batch: Batch, pools: Pools, adjustments: Adjustments, links: TakenLinks) -> list[copy.Column]:
    k = len(links.entry)
    first = np.searchsorted(links.entry, links.entry, side="left")
    return [
        copy.constant("company_id", batch.company.company_id, 4, k),
        copy.raw("movement_id", adjustments.movement_id[links.entry]),
        copy.integers("step", adjustments.step[links.entry], 2),
        copy.integers("link_no", np.arange(k) - first + 1, 4),
        copy.integers("pool_id", pools.pool_id[links.pool], 8),
        copy.integers("layer_no", links.layer_no, 8),
        copy.raw("source_id", links.source),
        copy.integers("qty", links.qty, 8),
        copy.integers("value", links.value, 8),
    ]


@dataclass(slots=True)
class JournalEntries:
    """j journal entries of a re-costing: id uint8[j, 16], day and period int64[j], tags int64[j]."""

    id: Bytes16
    day: Int64
    period: Int64
    tags: Int64


@dataclass(slots=True)
class JournalLines:
    """Lines ordered by entry; amounts in minor units, debit positive, never 0."""

    entry: Int64
    account: Int64
    amount: Int64


@dataclass(slots=True)
class AllowanceChanges:
    """Changes of pools' allowances, by movement or value event; posted in minor units."""

    movement_id: Bytes16
    step: Int64
    pool: Int64
    value: Int64
    posted: Int64
    day: Int64


def write_allowances(cursor: Cursor, batch: Batch, pools: Pools, changes: AllowanceChanges) -> None:
    """Append what allowances differ by."""
    n = len(changes.step)
    columns = [
        copy.constant("company_id", batch.company.company_id, 4, n),
        copy.raw("movement_id", changes.movement_id),
        copy.integers("step", changes.step, 2),
        copy.integers("pool_id", pools.pool_id[changes.pool], 8),
        copy.integers("value", changes.value, 8),
        copy.integers("posted", changes.posted, 8),
        copy.dates("posting_date", changes.day),
        *place_in_batch(batch, n),
    ]
    batch.chain("allowance_entries", copy.write_hashed(cursor, "allowance_entries", columns, n))


def write_journal(cursor: Cursor, batch: Batch, entries: JournalEntries, lines: JournalLines) -> None:
    """Append the entries that have lines, hashed with them. Raises psycopg.Error."""
    n = len(entries.day)
    nothing = np.zeros(n, np.int64)
    headers = Headers(
        source=entries.id, step=nothing, origin=np.ones(n, np.int64), kind=np.full(n, int(Kind.RECOSTING)),
        day=entries.day, period=entries.period, tags=entries.tags, corrects=np.zeros((n, 16), np.uint8),
        document=[""] * n,
    )  # fmt: skip
    write_entries(
        cursor, batch, headers, Lines.of(lines.entry, lines.account, lines.amount, np.full(len(lines.entry), NONE))
    )


def replace_layers(cursor: Cursor, company_id: int, pools: Pools, layers: Layers, sources: LayerRows) -> None:
    """The component's layers as the run left them."""
    cursor.execute(statement("recost", "delete_layers"), {"company": company_id, "pools": pools.pool_id.tolist()})
    n = len(layers.no)
    columns = [
        copy.constant("company_id", company_id, 4, n),
        copy.integers("pool_id", pools.pool_id[layers.pool], 8),
        copy.integers("layer_no", layers.no, 8),
        copy.raw("movement_id", sources.movement_id),
        copy.integers("step", sources.step, 2),
        copy.integers("qty_left", layers.qty, 8),
        copy.integers("value_left", layers.value, 8),
        copy.booleans("uncosted", layers.uncosted),
        copy.integers("counter_account", account_of(sources.counter), 4),
        copy.integers("counter_dimension", dimension_of(sources.counter), 4),
        copy.dates("posting_date", sources.day),
        copy.integers("occurred_us", sources.occurred_us, 8),
    ]
    copy.write(cursor, "cost_layers", columns, n)


def update_pools(cursor: Cursor, company_id: int, pools: Pools, last_costs: LastCosts, newest_us: Int64) -> None:
    """The pools at rest: their state after the run, nothing marked."""

    def rounded(values: Int64) -> list[int]:
        return [int(to_minor(value, unit)) for value, unit in zip(values, pools.unit, strict=True)]

    cursor.execute(
        statement("recost", "update_pools"),
        {
            "company": company_id, "pool": pools.pool_id.tolist(), "method": pools.method.tolist(),
            "value": pools.value.tolist(), "posted": rounded(pools.value), "last_value": pools.last_value.tolist(),
            "last_qty": pools.last_qty.tolist(), "next_layer": pools.next_no.tolist(), "newest_us": newest_us.tolist(),
            "standard": pools.standard.tolist(), "settled_value": pools.settled_value.tolist(),
            "settled_qty": pools.settled_qty.tolist(), "allowance": pools.allowance.tolist(),
            "allowance_posted": rounded(pools.allowance),
        },
    )  # fmt: skip
    known = last_costs.qty > 0
    if known.any():
        items = last_costs.item_id[known].tolist()
        lock_item_costs(cursor, company_id, items)
        cursor.execute(
            statement("books", "upsert_item_costs"),
            {
                "company": company_id, "item": items,
                "value": last_costs.value[known].tolist(), "qty": last_costs.qty[known].tolist(),
            },
        )  # fmt: skip


# ── Cuts ────────────────────────────────────────────────────────────────────────────────────────────


def forget_cuts(cursor: Cursor, company_id: int, items: Sequence[int], from_us: int) -> None:
    """Snapshots at or behind a late event tell of a past that was not."""
    where = {"company": company_id, "items": list(items), "from": from_us}
    for name in ("forget_cut_layers", "forget_cut_pools", "forget_cuts"):
        cursor.execute(statement("recost", name), where)


def write_cut(cursor: Cursor, company: Company, cut: Start) -> None:
    """Keep a state; nothing in it may be short or without a cost."""
    pools, n = cut.pools, len(cut.pools.pool_id)
    items = cut.last_costs.item_id[pools.item]
    m = len(cut.last_costs.item_id)
    columns = [
        copy.constant("company_id", company.company_id, 4, m),
        copy.integers("item_id", cut.last_costs.item_id, 4),
        copy.constant("cut_us", cut.after_us, 8, m),
        copy.integers("last_value", cut.last_costs.value, 8),
        copy.integers("last_qty", cut.last_costs.qty, 8),
    ]
    copy.write(cursor, "cost_cuts", columns, m)
    names = ("qty", "value", "last_value", "last_qty", "settled_value", "settled_qty", "allowance")
    columns = [
        copy.constant("company_id", company.company_id, 4, n),
        copy.integers("item_id", items, 4),
        copy.constant("cut_us", cut.after_us, 8, n),
        copy.integers("pool_id", pools.pool_id, 8),
        copy.integers("method", pools.method, 2),
        copy.integers("standard", pools.standard, 8, np.asarray(pools.standard == NONE)),
        *(copy.integers(name, getattr(pools, name), 8) for name in names),
    ]
    copy.write(cursor, "cost_cut_pools", columns, n)
    layers, k = cut.layers, len(cut.layers.no)
    columns = [
        copy.constant("company_id", company.company_id, 4, k),
        copy.integers("item_id", items[layers.pool], 4),
        copy.constant("cut_us", cut.after_us, 8, k),
        copy.integers("pool_id", pools.pool_id[layers.pool], 8),
        copy.integers("layer_no", layers.no, 8),
        copy.raw("movement_id", cut.sources.movement_id),
        copy.integers("step", cut.sources.step, 2),
        copy.integers("qty_left", layers.qty, 8),
        copy.integers("value_left", layers.value, 8),
        copy.integers("counter_account", account_of(cut.sources.counter), 4),
        copy.integers("counter_dimension", dimension_of(cut.sources.counter), 4),
        copy.dates("posting_date", cut.sources.day),
        copy.integers("occurred_us", cut.sources.occurred_us, 8),
    ]
    copy.write(cursor, "cost_cut_layers", columns, k)


# ── Periods ─────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class PeriodRow:
    """A period; waits: goods of periodic methods moved in it, and it has not been settled."""

    period_id: int
    first_day: date
    last_day: date
    state: str
    waits: bool


def read_periods(cursor: Cursor, company_id: int) -> list[PeriodRow]:
    """The company's calendar, oldest first."""
    return [PeriodRow(*row) for row in cursor.execute(statement("recost", "periods"), {"company": company_id})]


def periodic_pools(cursor: Cursor, company_id: int) -> list[tuple[int, int]]:
    """(pool_id, item_id) of the pools with a periodic method."""
    methods = sorted(int(method) for method in PERIODIC)
    rows = cursor.execute(statement("recost", "periodic_pools"), {"company": company_id, "methods": methods})
    return [(row[0], row[1]) for row in rows]


def mark_settled(cursor: Cursor, company_id: int, period_id: int, at_us: int) -> None:
    """The period has its price."""
    cursor.execute(
        statement("recost", "mark_settled"), {"company": company_id, "period": period_id, "at": moment_of(at_us)}
    )
