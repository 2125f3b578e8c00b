"""/v1/gates and /v1/gateways: where goods are seen, and the logs that say so."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from cloud.api.access import Pool, Reader
from cloud.api.paging import LIMIT_DEFAULT, CursorText, Limit, Page, after_one, make_page
from cloud.api.values import Moment
from cloud.domain.decimals import micro_text
from cloud.store import lists
from cloud.store.lists import GateRow, GatewayRow

router = APIRouter(tags=["gates"])


class GateOut(BaseModel):
    """A gate between two locations; gates of one crossing group can see one crossing."""

    code: str
    inside: str
    outside: str
    crossing_group: int
    same_crossing_s: str


class LogOut(BaseModel):
    """An unfinished epoch of a gateway's log."""

    epoch: str
    applied_seq: int
    end_seq: int | None
    stopped: str | None = Field(description="Why nothing more of it is applied; null while all is well.")


class GatewayOut(BaseModel):
    """A gateway; `online`, `heard_at` and `clock_ahead_s` are null before it was ever heard."""

    site: str
    code: str
    lane: int
    logs: list[LogOut]
    online: bool | None
    heard_at: Moment | None
    clock_ahead_s: str | None = Field(description="The gateway's clock minus ours at receipt.")
    counters: dict[str, int] = Field(
        description="What it counted since its program started, as it last said; `portal.kind` where a reader is "
        "concerned: `dock.wrong_epc`, `dock.unknown_antenna`, `dock.rssi_out_of_range`, `dock.unknown_eye` … are "
        "reads and events that were left out. A last will says none.",
    )


@router.get("/v1/gates", response_model=Page[GateOut], summary="Gates by code")
def list_gates(
    caller: Reader, pool: Pool, limit: Limit = LIMIT_DEFAULT, cursor: CursorText = None
) -> dict[str, Any]:
    """Gates in the order of their codes."""
    after = after_one(cursor, "gates", {}, "")
    with pool.connection() as connection:
        rows = lists.gates(connection, caller.company.company_id, after, limit + 1)
    return make_page("gates", {}, rows, limit, lambda row: [row.code], _show_gate)


@router.get("/v1/gateways", response_model=Page[GatewayOut], summary="Gateways and their logs")
def list_gateways(
    caller: Reader, pool: Pool, limit: Limit = LIMIT_DEFAULT, cursor: CursorText = None
) -> dict[str, Any]:
    """Gateways in the order in which they were registered."""
    after = after_one(cursor, "gateways", {}, -1)
    with pool.connection() as connection:
        rows = lists.gateways(connection, caller.company.company_id, after, limit + 1)
    return make_page("gateways", {}, rows, limit, lambda row: [row.gateway_id], _show_gateway)


def _show_gate(row: GateRow) -> GateOut:
    return GateOut(
        code=row.code,
        inside=row.inside,
        outside=row.outside,
        crossing_group=row.crossing_group,
        same_crossing_s=micro_text(row.same_crossing_us),
    )


def _show_gateway(row: GatewayRow) -> GatewayOut:
    return GatewayOut(
        site=row.site,
        code=row.code,
        lane=row.lane,
        logs=[LogOut(**log) for log in row.logs],
        online=row.online,
        heard_at=row.received_at,
        clock_ahead_s=None if row.clock_us is None else micro_text(row.clock_us),
        counters=row.counters,
    )
