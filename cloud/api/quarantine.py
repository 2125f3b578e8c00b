"""/v1/quarantine: what could not be read or booked."""

import base64
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from cloud.api.access import Pool, Reader
from cloud.api.paging import LIMIT_DEFAULT, CursorText, Limit, Page, after_one, make_page
from cloud.api.values import Moment
from cloud.store import lists
from cloud.store.lists import QuarantineRow

router = APIRouter(prefix="/v1/quarantine", tags=["quarantine"])

PAYLOAD_SHOWN = 4096  # bytes of each; enough to see what is wrong, and a page stays small


class QuarantineOut(BaseModel):
    """Numbers of a gateway's log that were set aside, with the reason and the bytes."""

    id: int
    site: str | None
    gateway: str | None
    epoch: str
    first_seq: int
    last_seq: int
    recorded_at: Moment
    reason: str
    payload_base64: str = Field(description=f"The first {PAYLOAD_SHOWN} bytes.")
    payload_bytes: int
    resolution: str | None
    resolved_at: Moment | None
    resolved_by: str | None
    note: str | None


@router.get("", response_model=Page[QuarantineOut], summary="What is set aside")
def list_quarantine(
    caller: Reader,
    pool: Pool,
    limit: Limit = LIMIT_DEFAULT,
    cursor: CursorText = None,
    only_open: Annotated[bool, Query(alias="open", description="Only what nobody has resolved.")] = False,
) -> dict[str, Any]:
    """In the order in which it was set aside."""
    filters = {"open": only_open}
    after = after_one(cursor, "quarantine", filters, -1)
    with pool.connection() as connection:
        rows = lists.quarantine(connection, caller.company.company_id, after, limit + 1, only_open, PAYLOAD_SHOWN)
    return make_page("quarantine", filters, rows, limit, lambda row: [row.quarantine_id], _show)


def _show(row: QuarantineRow) -> QuarantineOut:
    return QuarantineOut(
        id=row.quarantine_id,
        site=row.gateway_site,
        gateway=row.gateway,
        epoch=str(row.epoch),
        first_seq=row.first_seq,
        last_seq=row.last_seq,
        recorded_at=row.recorded_at,
        reason=row.reason,
        payload_base64=base64.b64encode(row.payload).decode(),
        payload_bytes=row.payload_bytes,
        resolution=row.resolution,
        resolved_at=row.resolved_at,
        resolved_by=row.resolved_by,
        note=row.note,
    )
