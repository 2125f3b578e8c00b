"""Moments ↔ microseconds since 1970-01-01 UTC."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from cloud.domain.moments import moment_of, moment_or_none, us_of


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_moment_survives_the_way_to_microseconds_and_back(moment: datetime) -> None:
    assert moment_of(us_of(moment)) == moment


def test_the_zone_of_a_moment_does_not_change_it() -> None:
    shanghai = timezone(timedelta(hours=8))
    assert us_of(datetime(1970, 1, 1, 8, tzinfo=shanghai)) == 0


def test_a_clock_that_claims_the_year_60000_is_no_moment() -> None:
    assert moment_or_none(2**62) is None
