"""Readings: raw rows and their rollups in, pages of either out; rows ↔ values, nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import numpy as np
import psycopg
from psycopg.rows import class_row

from cloud.domain.reading import Statistics
from cloud.settings import ReadingDays
from cloud.store.arrays import Texts
from cloud.store.sql import statement

NOUN = "readings"
# Queries that differ by edition stand in a file each, which says why.
WITH_ROLLUPS = "readings_with_rollups"
RAW_ONLY = "readings_raw_only"

MOST_SERIES = (
    1_000  # of a gateway: far more than the gates, scales and shelves of one, far fewer than a fault makes
)

_NO_TIME = datetime(1, 1, 1, tzinfo=UTC)

SeriesName = tuple[int, str, str]  # gateway_id, source, quantity


class Bucket(StrEnum):
    """How finely readings are asked for."""

    RAW = "raw"
    MINUTE = "minute"
    HOUR = "hour"


_PAGES = {Bucket.RAW: "raw", Bucket.MINUTE: "minutes", Bucket.HOUR: "hours"}


@dataclass(frozen=True, slots=True)
class NewReading:
    """One quantity of one message, on its way in. Times µs since 1970-01-01 UTC.

    message     of the SHA-256 of the message's bytes the first eight, as a signed integer
    is_redated  measured_us is when it came: what the device said cannot be
    """

    gateway_id: int
    source: str
    quantity: str
    measured_us: int
    received_us: int
    message: int
    is_redated: bool
    statistics: Statistics

    @property
    def series(self) -> SeriesName:
        """What it is a reading of."""
        return self.gateway_id, self.source, self.quantity


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of readings: stored; known (a second copy) when neither; late: older than raw rows are kept."""

    stored: int
    late: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page goes on: behind this row."""

    series_id: int = -1
    at: datetime = _NO_TIME
    message: int = 0


@dataclass(frozen=True, slots=True)
class ReadingRow:
    """A raw reading, or all of a minute or hour; `at` is the end of a reading and the beginning of a bucket."""

    site: str
    gateway: str
    source: str
    quantity: str
    series_id: int
    at: datetime
    message: int
    samples: int
    total: float
    lowest: float
    highest: float


def kept_by_timescaledb(connection: psycopg.Connection) -> bool:
    """Whether minutes and hours are continuous aggregates. Raises psycopg.Error."""
    row = connection.execute(statement(NOUN, "kept_by_timescaledb")).fetchone()
    return bool(row and row[0])


def series_ids(
    connection: psycopg.Connection, company_id: int, names: Sequence[SeriesName]
) -> dict[SeriesName, int]:
    """The ids of these series, made where they are new; a gateway with too many gets no more. Raises psycopg.Error."""
    named = {
        "company": company_id,
        "gateway": np.array([name[0] for name in names], np.int64),
        "source": Texts([name[1] for name in names]),
        "quantity": Texts([name[2] for name in names]),
    }
    connection.execute(statement(NOUN, "add_series"), named | {"most": MOST_SERIES})
    return {(row[0], row[1], row[2]): row[3] for row in connection.execute(statement(NOUN, "series"), named)}


def store(
    connection: psycopg.Connection,
    noun: str,
    company_id: int,
    readings: Sequence[NewReading],
    ids: Mapping[SeriesName, int],
) -> Stored:
    """Store readings of one company, each once. noun: WITH_ROLLUPS or RAW_ONLY. Raises psycopg.Error."""
    values = [one.statistics for one in readings]
    row = connection.execute(
        statement(noun, "store"),
        {"company": company_id,
         "series": np.array([ids[one.series] for one in readings], np.int64),
         "measured": np.array([one.measured_us for one in readings], np.int64),
         "received": np.array([one.received_us for one in readings], np.int64),
         "message": np.array([one.message for one in readings], np.int64),
         "redated": np.array([one.is_redated for one in readings], np.bool_),
         "samples": np.array([one.samples for one in values], np.int64),
         "total": np.array([one.total for one in values], np.float64),
         "lowest": np.array([one.lowest for one in values], np.float64),
         "highest": np.array([one.highest for one in values], np.float64)},
    ).fetchone()  # fmt: skip
    assert row is not None  # noqa: S101  a SELECT without FROM
    return Stored(*row)


def keep(connection: psycopg.Connection, days: ReadingDays) -> int:
    """Make room ahead, drop what is older; how many pieces went. Raises psycopg.Error."""
    values = {"raw": days.raw, "minutes": days.minutes, "hours": days.hours}
    row = connection.execute(statement(NOUN, "keep"), values).fetchone()
    return int(row[0]) if row else 0


def page(
    connection: psycopg.Connection,
    company_id: int,
    bucket: Bucket,
    filters: Mapping[str, Any],
    after: Place,
    limit: int,
) -> list[ReadingRow]:
    """Readings behind a place, series by series in the order of time.

    filters: site, gateway, source and quantity, each a text or None; from and before, moments.
    """
    values = {"company": company_id, "series": after.series_id, "at": after.at, "message": after.message,
              "limit": limit, **filters}  # fmt: skip
    with connection.cursor(row_factory=class_row(ReadingRow)) as cursor:
        return cursor.execute(statement(NOUN, _PAGES[bucket]), values).fetchall()
