"""Bring balance snapshots forward: what batches moved is counted into stretches, late goods into those of before.

Each step is one transaction of about STEP_MOVEMENTS and names the batches up to which the snapshots are complete
then; readers add what is in later ones, so nothing depends on how far this has come but how long they read.
"""

import numpy as np
import psycopg
from numpy.typing import NDArray

from cloud.domain.balance_snapshots import (
    OPEN_END_US,
    STRETCH_MOVEMENTS,
    Moved,
    changes_of,
    cuts,
    is_long,
)
from cloud.store import snapshots
from cloud.store.snapshots import Clock, Stretch

Int64 = NDArray[np.int64]
Cursor = psycopg.Cursor

STEP_MOVEMENTS = 100_000


def keep_balances(
    connection: psycopg.Connection,
    company_id: int,
    *,
    step: int = STEP_MOVEMENTS,
    stretch: int = STRETCH_MOVEMENTS,
) -> int | None:
    """Bring in the oldest batches that wait; how many movements. None when nothing waits, or another job does it.

    Raises psycopg.Error.
    """
    with connection.transaction(), connection.cursor() as cursor:
        if not snapshots.try_to_begin(cursor, company_id):
            return None
        batches = snapshots.next_batches(cursor, company_id, step)
        if batches is None:
            return None
        moved = snapshots.movements_of_batches(cursor, company_id, batches)
        snapshots.raise_marks(cursor, company_id, batches)
        for clock in Clock:
            _count_in(cursor, company_id, clock, moved)
            for long in snapshots.stretches(cursor, company_id, clock):
                if is_long(long.moved, long.first_us, long.last_us, stretch):
                    _cut(cursor, company_id, clock, long, stretch)
    return len(moved)


def _count_in(cursor: Cursor, company_id: int, clock: Clock, moved: Moved) -> None:
    known = [one.moment_us for one in snapshots.stretches(cursor, company_id, clock)]
    moments = np.array(known or [OPEN_END_US], np.int64)
    at_us = _time(clock, moved)
    where = np.searchsorted(moments, at_us, "left")
    snapshots.add_to_stretches(cursor, company_id, clock, moments, where, at_us, moved)
    late = np.flatnonzero(where < len(moments) - 1)
    if len(late):
        changes = changes_of(moved.take(late), where[late])
        snapshots.add_late(cursor, company_id, clock, moments, changes)


def _cut(cursor: Cursor, company_id: int, clock: Clock, long: Stretch, movements: int) -> None:
    """Make of one stretch several, with a snapshot behind each but the last, whose own stands."""
    moved = snapshots.movements_of_stretch(cursor, company_id, clock, long)
    at_us = _time(clock, moved)
    inner = cuts(at_us, movements)
    if not len(inner):
        return
    moments = np.append(inner, long.moment_us)
    where = np.searchsorted(moments, at_us, "left")
    snapshots.remove_stretch(cursor, company_id, clock, long)
    snapshots.add_to_stretches(cursor, company_id, clock, moments, where, at_us, moved)
    closed = np.flatnonzero(where < len(inner))
    snapshots.write_snapshots(cursor, company_id, clock, moments, changes_of(moved.take(closed), where[closed]))


def _time(clock: Clock, moved: Moved) -> Int64:
    return moved.occurred_us if clock is Clock.OCCURRED else moved.recorded_us
