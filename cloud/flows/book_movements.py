"""Goods, cost and money of a batch of movements and value events, in the caller's transaction: the one path to the
books.

`book` takes them as columns, puts them in one order, costs them in one pass against the pools' locked state,
derives the journal lines and writes everything. What cannot be booked comes back with its reason and leaves no
trace in the books. Its rooms, in the order in which a batch walks through them:

    booking_plan     Plan: what each row names, its pools, what the kernel shall do with it
    booking          LockedPools, Booking: the rows, costed
    late_marks       which pools must be costed again, and from where
    booking_journal  heads and lines of the entries
"""

from dataclasses import dataclass

import numpy as np
import psycopg
from numpy.typing import NDArray

from cloud.domain.batch import Batch
from cloud.domain.ledger.drafts import drafts
from cloud.domain.ledger.periods import NoOpenPeriod
from cloud.domain.movement import MovementColumns, Tag
from cloud.domain.value_event import ValueEventColumns
from cloud.flows import late_marks
from cloud.flows.booking import Booking, LockedPools
from cloud.flows.booking_journal import journal
from cloud.flows.booking_plan import Plan
from cloud.store.costs import (
    write_allowances,
    write_cost_entries,
    write_layers,
    write_pools,
    write_value_events,
)
from cloud.store.drafts import write_drafts
from cloud.store.goods import add_balances, write_movements
from cloud.store.journal import hold_calendar, write_entries
from cloud.store.pool_state import settled_periods

Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]
Cursor = psycopg.Cursor


@dataclass(frozen=True, slots=True)
class Booked:
    """rejected: {source_row of a movement or event: reason}; rows: source_row of the movements in the order booked."""

    rejected: dict[int, str]
    rows: Int64


def book(cursor: Cursor, batch: Batch, moves: MovementColumns, events: ValueEventColumns | None = None) -> Booked:
    """Write movements and value events to goods, cost and money, ordered together by time.

    Raises psycopg.Error; what cannot be booked is not an error but a row of `rejected`. Callers who send both
    number the `source_row`s apart.
    """
    events = ValueEventColumns.empty() if events is None else events
    source_row = np.concatenate([moves.source_row, events.source_row])
    plan = Plan.of(cursor, batch.company, moves, events)
    calendar = hold_calendar(cursor, batch.company)
    try:
        dates = calendar.posting_dates(plan.records.occurred_us, _may_post_soft(batch, moves, len(events)))
    except NoOpenPeriod as error:
        return Booked(dict.fromkeys(source_row.tolist(), str(error)), moves.source_row[:0])
    for row in np.flatnonzero(dates.missing):
        plan.reject.setdefault(int(row), "no period covers its day: extend the company's calendar")

    keep = plan.order()
    booking = Booking.of(batch, LockedPools.lock(cursor, plan, keep), keep, dates.day, calendar)
    booking.records.tags |= np.where(dates.moved[booking.row], Tag.LATE, 0)
    _write(cursor, booking, np.isin(dates.period[booking.row], settled_periods(cursor, batch.company)))
    rejected = {int(source_row[row]): reason for row, reason in plan.reject.items()}
    return Booked(rejected, booking.moves.source_row)


def _may_post_soft(batch: Batch, moves: MovementColumns, events: int) -> Bool:
    """Which rows may go into soft-closed periods: those of gateways by policy, others by who asks."""
    asked = np.full(len(moves) + events, batch.posts_soft_closed)
    if batch.company.gateways_post_back:
        asked[: len(moves)] |= moves.gateway != 0
    return asked


def _write(cursor: Cursor, booking: Booking, in_settled_period: Bool) -> None:
    """Goods, then cost, then money, in that order."""
    batch, records, costed = booking.batch, booking.records, booking.costed
    _write_goods(cursor, booking)
    _write_events(cursor, booking)
    entry_day = _entry_days(booking)
    write_cost_entries(
        cursor, batch, records, costed, _entry_corrects(booking), _entry_counters(booking), entry_day,
        booking.sources,
    )  # fmt: skip
    write_allowances(cursor, batch, records, costed, booking.day)
    write_layers(cursor, batch, costed, booking.state, booking.sources)
    late_from_us = late_marks.late_from_us(cursor, booking, in_settled_period)
    write_pools(cursor, batch, costed, booking.state, late_marks.newest_us(booking), late_from_us)
    late_marks.note_costs_lent(cursor, booking)
    headers, lines = journal(booking, entry_day)
    write_entries(cursor, batch, headers, lines)


def _write_goods(cursor: Cursor, booking: Booking) -> None:
    batch, moves, tags = booking.batch, booking.moves, booking.records.tags
    moves.tags = tags if not len(booking.events) else np.delete(tags, booking.event_rows)
    batch.moved += len(moves)
    if len(moves):
        batch.chain("movements", write_movements(cursor, batch, moves))
        add_balances(cursor, batch.company, moves)
        write_drafts(cursor, batch, moves, drafts(moves, batch.company))


def _write_events(cursor: Cursor, booking: Booking) -> None:
    if not len(booking.events):
        return
    plan = booking.plan
    pool = booking.rows.dst[booking.event_rows]
    items = [plan.keys[key][1] for key in plan.dst[booking.row[booking.event_rows]].tolist()]
    booking.events.item[:] = items  # of the pool, where the event named only that or a receipt
    write_value_events(cursor, booking.batch, booking.events, booking.costed.pools.pool_id[pool])


# ── Cost entries: by entry, in the order of `costed.entries` ────────────────────────────────────────


def _entry_days(booking: Booking) -> Int64:
    """Each cost entry's posting day: its record's, or the corrected entry's while that day is not locked."""
    entries = booking.costed.entries
    day = booking.day[entries.move].copy()
    if len(adjusting := booking.adjusting()):
        day[adjusting] = booking.calendar.postable(booking.sources.day[entries.layer[adjusting]]).day
    return day


def _entry_corrects(booking: Booking) -> NDArray[np.uint8]:
    """What each entry corrects: the movement that made the layer, or the receipt of a value event."""
    entries = booking.costed.entries
    corrects = np.zeros((len(entries.move), 16), np.uint8)
    for row in booking.event_rows.tolist():
        corrects[entries.move == row] = booking.records.corrects[row]
    adjusting = booking.adjusting()
    corrects[adjusting] = booking.sources.movement_id[entries.layer[adjusting]]
    return corrects


def _entry_counters(booking: Booking) -> Int64:
    """The account opposite each entry; NONE where that is another pool."""
    entries = booking.costed.entries
    counter = booking.counter[entries.move].copy()
    adjusting = booking.adjusting()
    counter[adjusting] = booking.sources.counter[entries.layer[adjusting]]
    return counter
