"""Posting dates: the company's calendar, in its own time zone."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.domain.ledger.periods import Calendar, NoOpenPeriod, Period, to_date

MONTHS = [
    Period(202607, date(2026, 7, 1), date(2026, 7, 31), "locked"),
    Period(202608, date(2026, 8, 1), date(2026, 8, 31), "locked"),
    Period(202609, date(2026, 9, 1), date(2026, 9, 30), "soft_closed"),
    Period(202610, date(2026, 10, 1), date(2026, 10, 31), "open"),
]


def us(text: str) -> int:
    """µs since 1970-01-01 UTC of an ISO moment."""
    moment = datetime.fromisoformat(text)
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def dated(calendar: Calendar, *moments: str) -> list[tuple[str, int, bool, bool]]:
    """(day, period, moved, missing) of each moment."""
    found = calendar.posting_dates(np.array([us(moment) for moment in moments], np.int64))
    return [
        (to_date(int(day)).isoformat(), int(period), bool(moved), bool(missing))
        for day, period, moved, missing in zip(found.day, found.period, found.moved, found.missing, strict=True)
    ]


def test_an_open_and_a_soft_closed_period_take_what_happened_in_them() -> None:
    calendar = Calendar(MONTHS, "UTC")
    assert dated(calendar, "2026-10-31T23:59:59.999999+00:00", "2026-09-01T00:00:00+00:00") == [
        ("2026-10-31", 202610, False, False),
        ("2026-09-01", 202609, False, False),
    ]


def test_what_happened_in_a_locked_period_goes_to_the_first_day_that_is_not() -> None:
    calendar = Calendar(MONTHS, "UTC")
    assert (
        dated(calendar, "2026-08-31T23:59:59.999999+00:00", "2026-07-01T00:00:00+00:00")
        == [("2026-09-01", 202609, True, False)] * 2
    )


def test_days_before_the_calendar_count_as_locked() -> None:
    assert (
        dated(Calendar(MONTHS, "UTC"), "2019-02-03T00:00:00+00:00", "1970-01-01T00:00:00+00:00")
        == [("2026-09-01", 202609, True, False)] * 2
    )


def test_days_behind_the_calendar_are_missing_not_moved() -> None:
    [(day, _, moved, missing)] = dated(Calendar(MONTHS, "UTC"), "2026-11-01T00:00:00+00:00")
    assert (day, moved, missing) == ("2026-11-01", False, True)


def test_a_day_in_a_hole_of_the_calendar_moves() -> None:
    holed = [MONTHS[2], Period(202612, date(2026, 12, 1), date(2026, 12, 31), "open")]
    assert dated(Calendar(holed, "UTC"), "2026-11-11T00:00:00+00:00") == [("2026-09-01", 202609, True, False)]


def test_an_open_period_between_locked_ones_takes_what_comes_late() -> None:
    states = ["locked", "open", "locked", "open"]
    periods = [Period(p.period_id, p.first_day, p.last_day, s) for p, s in zip(MONTHS, states, strict=True)]
    assert (
        dated(Calendar(periods, "UTC"), "2026-09-09T00:00:00+00:00", "2026-07-09T00:00:00+00:00")
        == [("2026-08-01", 202608, True, False)] * 2
    )


def test_the_order_in_which_periods_are_read_does_not_matter() -> None:
    moments = ("2026-08-05T00:00:00+00:00", "2026-10-05T00:00:00+00:00")
    assert dated(Calendar(MONTHS[::-1], "UTC"), *moments) == dated(Calendar(MONTHS, "UTC"), *moments)


@pytest.mark.parametrize("periods", [[], MONTHS[:2]], ids=["none", "all locked"])
def test_without_an_open_period_nothing_can_be_dated(periods: list[Period]) -> None:
    with pytest.raises(NoOpenPeriod, match="every period is locked"):
        Calendar(periods, "UTC").posting_dates(np.array([0], np.int64))


def test_no_movements_have_no_dates() -> None:
    assert Calendar(MONTHS, "UTC").posting_dates(np.zeros(0, np.int64)).day.tolist() == []


@pytest.mark.parametrize(
    ("zone", "moment", "day"),
    [
        ("UTC", "2026-09-30T23:59:59.999999+00:00", "2026-09-30"),
        ("Asia/Shanghai", "2026-09-30T15:59:59.999999+00:00", "2026-09-30"),
        ("Asia/Shanghai", "2026-09-30T16:00:00+00:00", "2026-10-01"),
        ("Asia/Kathmandu", "2026-09-30T18:14:59.999999+00:00", "2026-09-30"),  # +05:45
        ("Asia/Kathmandu", "2026-09-30T18:15:00+00:00", "2026-10-01"),
        ("America/New_York", "2026-10-01T03:59:59.999999+00:00", "2026-09-30"),  # −04:00
        ("America/New_York", "2026-10-01T04:00:00+00:00", "2026-10-01"),
        ("Asia/Beirut", "2026-10-24T20:59:59.999999+00:00", "2026-10-24"),  # +03:00, its last day of summer
        ("Asia/Beirut", "2026-10-24T21:30:00+00:00", "2026-10-24"),  # midnight came twice: +02:00 by now
        ("Asia/Beirut", "2026-10-24T22:00:00+00:00", "2026-10-25"),
        (
            "Australia/Lord_Howe",
            "2026-10-03T13:29:59.999999+00:00",
            "2026-10-03",
        ),  # +10:30, a change of 30 minutes
        ("Australia/Lord_Howe", "2026-10-04T12:59:59.999999+00:00", "2026-10-04"),  # +11:00
        ("Australia/Lord_Howe", "2026-10-04T13:00:00+00:00", "2026-10-05"),
        ("Pacific/Kiritimati", "2026-09-30T10:00:00+00:00", "2026-10-01"),  # +14:00
    ],
)
def test_the_day_is_the_companys_own(zone: str, moment: str, day: str) -> None:
    assert dated(Calendar(MONTHS, zone), moment)[0][0] == day


ZONES = (
    "Asia/Kathmandu",
    "America/St_Johns",
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Casablanca",
)


@given(
    st.sampled_from(ZONES), st.lists(st.integers(us("1973-01-01T00:00:00+00:00"), us("2037-01-01T00:00:00+00:00")))
)
def test_local_days_are_those_of_the_time_zone_data(zone: str, moments: list[int]) -> None:
    days = Calendar(MONTHS, zone).local_days(np.array(moments, np.int64))
    place = ZoneInfo(zone)
    expected = [
        (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment)).astimezone(place).date()
        for moment in moments
    ]
    assert [to_date(int(day)) for day in days] == expected
