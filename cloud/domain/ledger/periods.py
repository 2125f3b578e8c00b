"""Posting dates: the company's calendar applied to a column of times."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

_UNIX = date(1970, 1, 1).toordinal()
_DAY_US = 86_400_000_000
# Zones change their offset on quarters of an hour (IANA tz data since 1972), so one look-up serves each.
_QUARTER_US = 900_000_000


class NoOpenPeriod(ValueError):
    """Every period of the company is locked, or there is none."""


@dataclass(frozen=True, slots=True)
class Period:
    """One row of the calendar; days are inclusive."""

    period_id: int
    first_day: date
    last_day: date
    state: str


@dataclass(frozen=True, slots=True)
class PostingDates:
    """day: days since 1970-01-01; period: its id; moved: not the day it happened; missing: no such period."""

    day: Int64
    period: Int64
    moved: Bool
    missing: Bool


class Calendar:
    """The periods of a company in its time zone."""

    def __init__(self, periods: Sequence[Period], time_zone: str) -> None:
        ordered = sorted(periods, key=lambda period: period.first_day)
        self._zone = ZoneInfo(time_zone)
        self._first = np.array([days_of(period.first_day) for period in ordered], np.int64)
        self._last = np.array([days_of(period.last_day) for period in ordered], np.int64)
        self._id = np.array([period.period_id for period in ordered], np.int64)
        self._state = [period.state for period in ordered]
        self._locked = np.array([state == "locked" for state in self._state], bool)
        self._open = np.array([state == "open" for state in self._state], bool)

    def posting_dates(self, occurred_us: Int64, may_post_soft: Bool | None = None) -> PostingDates:
        """Where these moments are posted. Raises NoOpenPeriod.

        may_post_soft  bool[n], which of them may go into a soft-closed period; None: all

        The day it happened while that day's period is open to it, else the first day of the earliest period that
        is. Days before the calendar count as locked; days after it are `missing`.
        """
        return self.postable(self.local_days(occurred_us), may_post_soft)

    def postable(self, day: Int64, may_post_soft: Bool | None = None) -> PostingDates:
        """The same for days (since 1970-01-01) that are already chosen."""
        first = self._first_open(~self._locked)
        row = np.searchsorted(self._first, day, side="right") - 1
        inside = (row >= 0) & (day <= self._last[row])
        missing = ~inside & (day > self._last[-1])
        closed = self._locked[row]
        goes_to = np.full(len(day), first)
        if may_post_soft is not None and not may_post_soft.all():
            closed = closed | (~self._open[row] & ~may_post_soft)
            if (closed & ~may_post_soft).any():
                goes_to = np.where(may_post_soft, first, self._first_open(self._open))
        moved = ~missing & (~inside | closed)
        row = np.where(moved, goes_to, row)
        return PostingDates(np.where(moved, self._first[goes_to], day), self._id[row], moved, missing)

    def state_of(self, day: int) -> str:
        """The state of the period that covers this day; `missing` where none does."""
        row = int(np.searchsorted(self._first, day, side="right")) - 1
        return self._state[row] if row >= 0 and day <= self._last[row] else "missing"

    @staticmethod
    def _first_open(is_open: Bool) -> int:
        rows = np.flatnonzero(is_open)
        if len(rows) == 0:
            raise NoOpenPeriod("every period is locked: open one or extend the calendar")
        return int(rows[0])

    def local_days(self, occurred_us: Int64) -> Int64:
        """The company's own date of each moment, in days since 1970-01-01."""
        quarter, back = np.unique(occurred_us // _QUARTER_US, return_inverse=True)
        offset = np.array([self._offset_us(int(q)) for q in quarter], np.int64)
        return (occurred_us + offset[back]) // _DAY_US

    def _offset_us(self, quarter: int) -> int:
        moment = datetime.fromtimestamp(quarter * _QUARTER_US // 1_000_000, UTC).astimezone(self._zone)
        offset = moment.utcoffset()
        assert offset is not None  # noqa: S101  an aware time has one
        return offset.days * _DAY_US + offset.seconds * 1_000_000


def days_of(day: date) -> int:
    """A date as days since 1970-01-01."""
    return day.toordinal() - _UNIX


def to_date(days: int) -> date:
    """Days since 1970-01-01 as a date."""
    return date.fromordinal(days + _UNIX)
