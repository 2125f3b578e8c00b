"""Balance snapshots: their rows written by the job, and balances at a past moment read from them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from cloud.domain.balance_snapshots import Changes, Moved
from cloud.domain.moments import moment_of
from cloud.store.columns import read_columns
from cloud.store.lists import BalanceRow
from cloud.store.sql import statement

Int64 = NDArray[np.int64]
Cursor = psycopg.Cursor
NOUN = "snapshots"
SCAN = 50  # balances that a page looks at beside two for each row: most of those that ever were may be empty then

_MOVED = dict.fromkeys(("occurred_us", "recorded_us", "item", "from_id", "to_id", "lot", "qty"), 8)


class Clock(IntEnum):
    """By which of its two times a movement counts."""

    OCCURRED = 1
    RECORDED = 2


# ── Written by the job ──────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a company's snapshots do not hold yet."""

    company_id: int
    movements: int
    since: datetime


@dataclass(frozen=True, slots=True)
class NextBatches:
    """Batches to bring in, by lane: from `first` to `last`; when the earliest and the latest were recorded."""

    lanes: list[int]
    first: list[int]
    last: list[int]
    recorded_from: datetime
    recorded_to: datetime


@dataclass(frozen=True, slots=True)
class Stretch:
    """One stretch: up to which moment, what is in it. Times in µs but for those that name chunks."""

    moment_us: int
    moved: int
    first_us: int
    last_us: int
    recorded_from: datetime
    recorded_to: datetime


def waiting(connection: psycopg.Connection) -> list[Waiting]:
    """Companies whose snapshots do not hold everything."""
    return [Waiting(*row) for row in connection.execute(statement(NOUN, "waiting"))]


def try_to_begin(cursor: Cursor, company_id: int) -> bool:
    """Until the transaction ends nobody else brings this company's snapshots forward; False where somebody does."""
    row = cursor.execute(statement(NOUN, "try_to_begin"), {"company": company_id}).fetchone()
    return row is not None and bool(row[0])


def next_batches(cursor: Cursor, company_id: int, movements: int) -> NextBatches | None:
    """The oldest batches that wait, about so many movements; None where none waits."""
    rows = cursor.execute(
        statement(NOUN, "next_batches"), {"company": company_id, "movements": movements}
    ).fetchall()
    if not rows:
        return None
    lanes, first, last, begin, end = (list(column) for column in zip(*rows, strict=True))
    return NextBatches(lanes, first, last, min(begin), max(end))


def movements_of_batches(cursor: Cursor, company_id: int, batches: NextBatches) -> Moved:
    """Their movements."""
    columns = read_columns(
        cursor, statement(NOUN, "movements_of_batches"), _MOVED,
        {"company": company_id, "lanes": batches.lanes, "first": batches.first, "last": batches.last,
         "from": batches.recorded_from, "to": batches.recorded_to},
    )  # fmt: skip
    return Moved(**columns)


def raise_marks(cursor: Cursor, company_id: int, batches: NextBatches) -> None:
    """Say that snapshots hold these batches."""
    cursor.execute(
        statement(NOUN, "raise_marks"), {"company": company_id, "lanes": batches.lanes, "last": batches.last}
    )


def stretches(cursor: Cursor, company_id: int, clock: Clock) -> list[Stretch]:
    """A company's stretches in order; the last one is open."""
    rows = cursor.execute(statement(NOUN, "stretches"), {"company": company_id, "clock": clock})
    return [Stretch(*row) for row in rows]


def movements_of_stretch(cursor: Cursor, company_id: int, clock: Clock, stretch: Stretch) -> Moved:
    """What of a stretch snapshots hold, in the order of the clock."""
    columns = read_columns(
        cursor, statement(NOUN, "movements_of_stretch"), _MOVED,
        {"company": company_id, "clock": clock, "first_us": stretch.first_us, "last_us": stretch.last_us,
         "from": stretch.recorded_from, "to": stretch.recorded_to},
    )  # fmt: skip
    return Moved(**columns)


def add_to_stretches(
    cursor: Cursor, company_id: int, clock: Clock, moments: Int64, where: Int64, at_us: Int64, moved: Moved
) -> None:
    """Count movements into the stretches that end at `moments`; where, at_us: of each movement, which and when."""
    present, back = np.unique(where, return_inverse=True)
    if not len(present):
        return
    high, low = np.full(len(present), -(2**63)), np.full(len(present), 2**63 - 1)
    ends = {"first_us": low.copy(), "recorded_from": low, "last_us": high.copy(), "recorded_to": high}
    np.minimum.at(ends["first_us"], back, at_us)
    np.maximum.at(ends["last_us"], back, at_us)
    np.minimum.at(ends["recorded_from"], back, moved.recorded_us)
    np.maximum.at(ends["recorded_to"], back, moved.recorded_us)
    cursor.execute(
        statement(NOUN, "add_to_stretches"),
        {"company": company_id, "clock": clock, "moments": moments[present], "moved": np.bincount(back), **ends},
    )


def remove_stretch(cursor: Cursor, company_id: int, clock: Clock, stretch: Stretch) -> None:
    """Take a stretch away; its parts have to follow."""
    cursor.execute(
        statement(NOUN, "remove_stretch"),
        {"company": company_id, "clock": clock, "moment": stretch.moment_us},
    )


def add_late(cursor: Cursor, company_id: int, clock: Clock, moments: Int64, changes: Changes) -> None:
    """What came late, into the snapshot of its stretch and all that follow; moments[changes.stretch] is the first."""
    where = _keys(company_id, clock, moments, changes) | {"running": changes.running()}
    cursor.execute(statement(NOUN, "begin_late_rows"), where)
    cursor.execute(statement(NOUN, "add_late"), where)


def write_snapshots(cursor: Cursor, company_id: int, clock: Clock, moments: Int64, changes: Changes) -> None:
    """New snapshots at these moments, which all lie within one stretch."""
    where = _keys(company_id, clock, moments, changes)
    cursor.execute(
        statement(NOUN, "write_snapshots"),
        where | {"running": changes.running(), "first_us": int(moments[0])},
    )


def _keys(company_id: int, clock: Clock, moments: Int64, changes: Changes) -> dict[str, Any]:
    return {
        "company": company_id,
        "clock": clock,
        "items": changes.item,
        "locations": changes.location,
        "lots": changes.lot,
        "moments": moments[changes.stretch],
    }


# ── Read ────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which balances: codes, None for all."""

    item: str | None = None
    location: str | None = None
    site: str | None = None
    lot: str | None = None


def balances_at(
    connection: psycopg.Connection,
    company_id: int,
    clock: Clock,
    at_us: int,
    after: tuple[int, int, int],
    limit: int,
    wanted: Wanted,
) -> tuple[list[BalanceRow], tuple[int, int, int] | None]:
    """Balances that were not zero at a moment, behind a key (item, location, lot); the key to go on from, or None.

    Looks at so many balances and no more: a page may have fewer rows than `limit`, or none, and yet not be the last.
    The connection has to see one snapshot of the books (REPEATABLE READ): the job may work meanwhile.
    """
    item_id, location_id, lot_id = after
    looked_at = 2 * limit + SCAN
    found = connection.cursor(row_factory=psycopg.rows.class_row(BalanceRow)).execute(
        statement(NOUN, "balances_there_are"),
        {"company": company_id, "item_id": item_id, "location_id": location_id, "lot_id": lot_id, "limit": looked_at,
         "item": wanted.item, "location": wanted.location, "site": wanted.site, "lot": wanted.lot},
    ).fetchall()  # fmt: skip
    quantities = quantities_at(
        connection, company_id, clock, at_us, [(row.item_id, row.location_id, row.lot_id) for row in found]
    )
    rows = [replace(row, qty_micro=qty) for row, qty in zip(found, quantities, strict=True) if qty]
    if len(rows) > limit:
        return rows[:limit], _key(rows[limit - 1])
    return rows, _key(found[-1]) if len(found) == looked_at else None


def quantities_at(
    connection: psycopg.Connection,
    company_id: int,
    clock: Clock,
    at_us: int,
    keys: Sequence[tuple[int, int, int]],
) -> list[int]:
    """What lay in places (item, location, lot) at a moment, in 10⁻⁶ units, in their order; see `balances_at`."""
    if not keys:
        return []
    cursor = connection.cursor()
    items, locations, lots = (list(column) for column in zip(*keys, strict=True))
    where: dict[str, Any] = {
        "company": company_id, "clock": clock, "at_us": at_us, "items": items, "locations": locations, "lots": lots,
    }  # fmt: skip
    kept = [int(quantity) for (quantity,) in cursor.execute(statement(NOUN, "quantities"), where)]
    later = _later(cursor, company_id, clock, at_us, sorted(set(items)), sorted(set(locations)))
    return [quantity + later.get(key, 0) for quantity, key in zip(kept, keys, strict=True)]


def _later(
    cursor: Cursor, company_id: int, clock: Clock, at_us: int, items: list[int], locations: list[int]
) -> dict[tuple[int, int, int], int]:
    """What of these items moved, at these places, behind the newest snapshot until a moment and until the moment."""
    where: dict[str, Any] = {
        "company": company_id, "clock": clock, "at_us": at_us, "items": items, "locations": locations,
    }  # fmt: skip
    row = cursor.execute(statement(NOUN, "where_to_read"), where).fetchone()
    assert row is not None  # noqa: S101  one row whatever there is
    after_us, recorded_from, recorded_to, where["waiting_from"] = row
    if clock is Clock.OCCURRED:
        name = "later_occurred"
        where |= {"after_us": -(2**63) if after_us is None else after_us, "from": recorded_from, "to": recorded_to}
    else:
        name = "later_recorded"
        where |= {"after": "-infinity" if after_us is None else moment_of(after_us), "at": moment_of(at_us)}
    found = cursor.execute(statement(NOUN, name), where)
    return {(item, location, lot): quantity for item, location, lot, quantity in found}


def _key(row: BalanceRow) -> tuple[int, int, int]:
    return row.item_id, row.location_id, row.lot_id
