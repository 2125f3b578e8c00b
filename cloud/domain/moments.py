"""The border between microseconds since 1970-01-01 UTC, which the books keep, and aware times."""

from datetime import UTC, datetime, timedelta

_UNIX = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def moment_of(us: int) -> datetime:
    """The aware UTC time. Raises OverflowError outside the years 1 to 9999."""
    return _UNIX + timedelta(microseconds=us)


def moment_or_none(us: int) -> datetime | None:
    """The same, or None outside the years 1 to 9999: a gateway may claim anything."""
    try:
        return moment_of(us)
    except OverflowError:
        return None


def us_of(moment: datetime) -> int:
    """Exact microseconds of an aware time."""
    return (moment - _UNIX) // _MICROSECOND
