"""/v1/readings: what devices measured, as it came or by the minute or hour."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from cloud.api.access import Pool, Reader
from cloud.api.paging import LIMIT_DEFAULT, CursorText, Limit, Page, make_page, read_cursor
from cloud.api.values import Moment, MomentIn
from cloud.domain.moments import moment_of, us_of
from cloud.store import readings
from cloud.store.readings import Bucket, Place, ReadingRow

router = APIRouter(prefix="/v1/readings", tags=["readings"])

_FIRST = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = datetime(9999, 12, 31, tzinfo=UTC)
_Name = Annotated[str | None, Query(max_length=64)]
_KEPT = (
    "Signals for people; nothing is booked from them, and some may be missing. Raw readings are kept for days, minutes "
    "for months, hours for years, each as the service is set. Series by series, each in the order of time."
)


class ReadingOut(BaseModel):
    """What was measured of one quantity; numbers are floats, as signals are."""

    site: str
    gateway: str
    source: str = Field(description="As the gateway names it: a gate.", examples=["dock-1"])
    quantity: str = Field(
        description="With its unit last: `reads`, `tags`, `rssi_dbm`, `shed` of a gate.", examples=["rssi_dbm"]
    )
    at: Moment = Field(description="The end of a raw reading; the beginning of a minute or hour, UTC.")
    samples: int = Field(description="How many there were.")
    total: float = Field(description="Their sum.")
    mean: float
    lowest: float
    highest: float


@router.get("", response_model=Page[ReadingOut], summary="What devices measured", description=_KEPT)
def list_readings(
    caller: Reader,
    pool: Pool,
    limit: Limit = LIMIT_DEFAULT,
    cursor: CursorText = None,
    bucket: Annotated[Bucket, Query(description="How finely.")] = Bucket.MINUTE,
    site: _Name = None,
    gateway: _Name = None,
    source: _Name = None,
    quantity: _Name = None,
    measured_from: Annotated[MomentIn | None, Query(description="Of this moment and later.")] = None,
    measured_before: Annotated[MomentIn | None, Query(description="Before this moment.")] = None,
) -> dict[str, Any]:
    """A page; which bucket it is stays with the cursor."""
    names = {"site": site, "gateway": gateway, "source": source, "quantity": quantity}
    filters = {"bucket": bucket.value, "from": measured_from, "before": measured_before, **names}
    after = Place()
    if cursor is not None:
        series_id, at_us, message = read_cursor(cursor, "readings", filters, (int, int, int))
        after = _place(series_id, at_us, message)
    span = {"from": measured_from or _FIRST, "before": measured_before or _LAST}
    with pool.connection() as connection:
        rows = readings.page(connection, caller.company.company_id, bucket, {**names, **span}, after, limit + 1)
    return make_page(
        "readings", filters, rows, limit, lambda row: [row.series_id, us_of(row.at), row.message], _show
    )


def _place(series_id: int, at_us: int, message: int) -> Place:
    """Where a cursor points; one that was not handed out here points behind everything."""
    try:
        return Place(min(series_id, 2**31 - 1), moment_of(at_us), message)
    except OverflowError:
        return Place(2**31 - 1, _LAST, 0)


def _show(row: ReadingRow) -> ReadingOut:
    return ReadingOut(
        site=row.site,
        gateway=row.gateway,
        source=row.source,
        quantity=row.quantity,
        at=row.at.astimezone(UTC),
        samples=row.samples,
        total=row.total,
        mean=row.total / row.samples,
        lowest=row.lowest,
        highest=row.highest,
    )
