"""/v1/passages: what gates saw, and what became of it."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from cloud.api.access import Pool, Reader, snapshot
from cloud.api.feeds import FEED_NOTE, OrderParameter, feed_page
from cloud.api.paging import LIMIT_DEFAULT, CursorText, Limit, Page
from cloud.api.values import CrossingName, LogPlace, Moment, OutcomeName
from cloud.domain.moments import moment_of, moment_or_none
from cloud.domain.movement import Crossing, Outcome
from cloud.store import feeds
from cloud.store.feeds import Order, PassageRow, Reading

router = APIRouter(prefix="/v1/passages", tags=["passages"])


class PassageOut(BaseModel):
    """A sighting of a tag at a gate, as its gateway numbered it.

    occurred_at is what the books go by; claimed_at is what the gateway said, null outside the years 1 to 9999.
    """

    id: UUID
    gate: str | None
    epc: str
    item: str | None
    direction: CrossingName
    confidence: float
    outcome: OutcomeName
    winner: UUID | None = Field(description="The sighting that moved the tag, where this one is its evidence.")
    occurred_at: Moment
    claimed_at: Moment | None
    recorded_at: Moment
    log: LogPlace
    evidence: Any


@router.get("", response_model=Page[PassageOut], summary="What gates saw", description=FEED_NOTE)
def list_passages(
    caller: Reader,
    pool: Pool,
    limit: Limit = LIMIT_DEFAULT,
    cursor: CursorText = None,
    order: OrderParameter = Order.OLDEST,
    gate: Annotated[str | None, Query(max_length=64)] = None,
    epc: Annotated[str | None, Query(max_length=128)] = None,
    outcome: Annotated[OutcomeName | None, Query()] = None,
) -> dict[str, Any]:
    """Passages in commit order."""
    filters = {
        "gate": gate,
        "epc": epc.upper() if epc else None,
        "outcome": None if outcome is None else int(outcome),
    }
    reading = Reading(feeds.PASSAGES, caller.company.company_id, order, filters)
    with snapshot(pool) as connection:
        return feed_page(
            connection,
            reading,
            cursor,
            limit,
            lambda rows: [show_passage(row) for row in rows],
        )


def show_passage(row: PassageRow) -> PassageOut:
    """A passage as the API shows it."""
    return PassageOut(
        id=row.movement_id,
        gate=row.gate,
        epc=row.epc,
        item=row.item,
        direction=Crossing(row.direction),
        confidence=round(row.confidence, 4),
        outcome=Outcome(row.outcome),
        winner=row.winner,
        occurred_at=moment_of(row.occurred_us),
        claimed_at=moment_or_none(row.claimed_us),
        recorded_at=row.recorded_at,
        log=LogPlace(site=row.gateway_site, gateway=row.gateway, epoch=row.epoch, seq=row.seq),
        evidence=row.evidence,
    )
