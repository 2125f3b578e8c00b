"""A period's price for periodic methods: taken at its end, while it is soft-closed.

Until then goods of these methods leave at the last settled price, or at the running average before the first. The
settlement marks their pools from before the period, and re-costing moves the period's issues behind its receipts:
what they lack is posted on the period's last day, and follows the goods into the pools that they went to. It may be
done again until the period is locked; what comes after the lock belongs to the next period's settlement.
"""

import hashlib
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg

from cloud.domain.batch import Batch
from cloud.domain.movement import Kind
from cloud.flows.answer_once import CannotRecord, Event, book_rows
from cloud.flows.recost import SNAPSHOT_EVERY, Found, recost_items
from cloud.store import recosting
from cloud.store.batches import close_batch, load_company, open_batch
from cloud.store.journal import hold_calendar
from cloud.store.recosting import PeriodRow

WORKER = "settlement"
_UNIX_ORDINAL = 719_163  # Python's ordinal of 1970-01-01


class CannotSettle(ValueError):
    """A period cannot be settled as it is; nothing was written."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What a settlement did. pools: of periodic methods that take their price from the period."""

    period_id: int
    pools: int
    recosted: Found


def settle_period(
    connection: psycopg.Connection, company_id: int, period_id: int, *, every: int = SNAPSHOT_EVERY
) -> Settled:
    """Settle a soft-closed period (yyyymm). Raises CannotSettle, LookupError, psycopg.Error."""
    with connection.transaction(), connection.cursor() as cursor:
        company = load_company(cursor, company_id)
        lane = hashlib.sha256(f"recost/{company.code}".encode()).digest()[0] & 15
        batch = open_batch(cursor, company, lane, time.time_ns() // 1000, WORKER, posts_soft_closed=True)
        hold_calendar(cursor, company)
        period = _checked(recosting.read_periods(cursor, company_id), period_id)
        pools = recosting.periodic_pools(cursor, company_id)
        recosting.mark_settled(cursor, company_id, period_id, batch.recorded_us)
        if pools:
            _record(cursor, batch, period, [pool for pool, _ in pools])
            close_batch(cursor, batch)
    items = sorted({item for _, item in pools})
    last_day = period.last_day.toordinal() - _UNIX_ORDINAL
    recosted = recost_items(connection, company_id, items, WORKER, every=every, day_not_before=last_day)
    return Settled(period_id, len(pools), recosted)


def _record(cursor: psycopg.Cursor, batch: Batch, period: PeriodRow, pools: list[int]) -> None:
    """One event for each pool, at the last moment of the period: it marks the pool from before the period."""
    events = [
        Event(Kind.PERIOD_SETTLEMENT, 0, _end_us(batch, period) - 1, pool_id=pool, period_id=period.period_id)
        for pool in pools
    ]
    try:
        book_rows(cursor, batch, f"settle/{period.period_id}/{batch.lane}/{batch.batch_no}", events=events)
    except CannotRecord as error:
        raise CannotSettle(f"period {period.period_id}: {error}") from error


def _end_us(batch: Batch, period: PeriodRow) -> int:
    """The first moment behind the period in the company's time zone."""
    day = period.last_day + timedelta(days=1)
    return (
        int(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(batch.company.time_zone)).timestamp())
        * 1_000_000
    )


def _checked(periods: list[PeriodRow], period_id: int) -> PeriodRow:
    """The period, if it may be settled now. Raises CannotSettle."""
    period = next((one for one in periods if one.period_id == period_id), None)
    if period is None:
        raise CannotSettle(f"there is no period {period_id}")
    if period.state == "open":
        raise CannotSettle(f"period {period_id}: expected it to be soft-closed, got open")
    if period.state == "locked":
        raise CannotSettle(
            f"period {period_id} is locked: what came since belongs to the next period's settlement"
        )
    for one in periods:
        if one.last_day < period.first_day and one.waits and one.state != "locked":
            raise CannotSettle(f"period {period_id}: {one.period_id} comes before it and is not settled")
    return period
