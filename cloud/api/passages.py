"""/v1/passages: what gates saw, why they decided so, and what became of it."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from cloud.api.access import Pool, Reader, snapshot
from cloud.api.evidence import Evidence
from cloud.api.feeds import FEED_NOTE, OrderParameter, feed_page
from cloud.api.movements import MovementOut, show_movement
from cloud.api.paging import LIMIT_DEFAULT, CursorText, Limit, Page
from cloud.api.problems import not_found
from cloud.api.values import CrossingName, LogPlace, Moment, MomentIn, OutcomeName, parse_uuid
from cloud.domain.gate_evidence import GateEvidence, read_evidence
from cloud.domain.gate_words import decided_by_words, reason_sentence
from cloud.domain.moments import moment_of, moment_or_none, us_of
from cloud.domain.movement import Crossing, Outcome
from cloud.flows.explain_passage import ExplainedPassage, explain_passage
from cloud.store import feeds
from cloud.store.feeds import Order, PassageRow, Reading

router = APIRouter(prefix="/v1/passages", tags=["passages"])


class WhyOut(BaseModel):
    """The gateway's reason and by whose evidence it decided, in words; what is not known stands as it came."""

    reason: str = Field(description="The gateway's own phrase.")
    reason_en: str
    reason_zh: str
    decided_by: str | None
    decided_by_en: str | None
    decided_by_zh: str | None


class PassageOut(BaseModel):
    """A sighting of a tag at a gate, as its gateway numbered it.

    occurred_at is what the books go by; claimed_at is what the gateway said, null outside the years 1 to 9999.
    outcome and winner are as recorded at the time; a later sighting may have changed who counts.
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
    page: str = Field(description="Where on the console a person sees why.", examples=["/passages/0199…"])
    why: WhyOut | None = Field(description="Null where the gateway gave no reason.")
    decided_after_ms: int | None = Field(description="From the last read to the decision.")
    evidence: Evidence


class EntryNamed(BaseModel):
    """A journal entry that came of it; /v1/trace/{id} shows it."""

    id: str = Field(examples=["0199….0"])
    period: int
    voucher: str | None


class SightingOut(BaseModel):
    """Another sighting of the same crossing, as it counts by now."""

    wins: bool = Field(description="Of all sightings of the crossing this is the one that counts.")
    moves: bool = Field(description="The books say by now that the tag moved by it.")
    passage: PassageOut


class ExplainedPassageOut(PassageOut):
    """A passage with why, and what it did to the books as they stand now.

    movements  what was moved by it, undone, and moved again, in the order of the world
    """

    wins: bool = Field(description="Of all sightings of the crossing this is the one that counts.")
    moves: bool = Field(description="The books say by now that the tag moved by it.")
    same_crossing: list[SightingOut]
    movements: list[MovementOut]
    journal_entries: list[EntryNamed]


@router.get("", response_model=Page[PassageOut], summary="What gates saw", description=FEED_NOTE)
def list_passages(
    caller: Reader,
    pool: Pool,
    limit: Limit = LIMIT_DEFAULT,
    cursor: CursorText = None,
    order: OrderParameter = Order.OLDEST,
    gate: Annotated[str | None, Query(max_length=64)] = None,
    epc: Annotated[str | None, Query(max_length=128)] = None,
    direction: Annotated[
        CrossingName | None, Query(description="`undecided`: what a person should look at.")
    ] = None,
    outcome: Annotated[OutcomeName | None, Query()] = None,
    occurred_from: Annotated[MomentIn | None, Query(description="Of this moment and later.")] = None,
    occurred_before: Annotated[MomentIn | None, Query(description="Before this moment.")] = None,
) -> dict[str, Any]:
    """Passages in commit order."""
    filters = {
        "gate": gate,
        "epc": epc.upper() if epc else None,
        "direction": None if direction is None else int(direction),
        "outcome": None if outcome is None else int(outcome),
        "from_us": None if occurred_from is None else us_of(occurred_from),
        "before_us": None if occurred_before is None else us_of(occurred_before),
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


@router.get("/{passage}", response_model=ExplainedPassageOut, summary="Why a gate decided so, and what came of it")
def read_passage(passage: str, caller: Reader, pool: Pool) -> ExplainedPassageOut:
    """By the passage's id; that of a movement that came of it, or corrects it, leads to it, too."""
    one = parse_uuid(passage)
    if one is None:
        raise not_found("passage", passage)
    with snapshot(pool) as connection:
        found = explain_passage(connection, caller.company.company_id, one)
    if found is None:
        raise not_found("passage", passage)
    return _show_explained(found)


def _show_explained(found: ExplainedPassage) -> ExplainedPassageOut:
    return ExplainedPassageOut(
        **dict(show_passage(found.passage)),
        wins=found.seen.wins,
        moves=found.seen.moves,
        same_crossing=[
            SightingOut(wins=other.wins, moves=other.moves, passage=show_passage(other.passage))
            for other in found.same_crossing
        ],
        movements=[show_movement(movement) for movement in found.movements],
        journal_entries=[
            EntryNamed(id=f"{entry.source_id}.{entry.step}", period=entry.period_id, voucher=entry.voucher)
            for entry in found.entries
        ],
    )


def _show_why(evidence: GateEvidence) -> WhyOut | None:
    reason, by = evidence.reason, evidence.decided_by
    if reason is None:
        return None
    return WhyOut(
        reason=reason,
        reason_en=reason_sentence(reason, "en"),
        reason_zh=reason_sentence(reason, "zh"),
        decided_by=by,
        decided_by_en=None if by is None else decided_by_words(by, "en"),
        decided_by_zh=None if by is None else decided_by_words(by, "zh"),
    )


def show_passage(row: PassageRow) -> PassageOut:
    """A passage as the API shows it."""
    evidence = read_evidence(row.evidence)
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
        page=f"/passages/{row.movement_id}",
        why=_show_why(evidence),
        decided_after_ms=evidence.decided_after_ms,
        evidence=row.evidence,
    )
