"""/v1/trace: from a journal line to the sighting that caused it, and back.

A journal line is `{source}.{step}.{line}`, an entry `{source}.{step}`, a movement its UUID, a tag its EPC
in hex. Whatever is asked for, the answer walks line → entry → cost entry → layers and links → movement →
observation with its evidence → gateway, epoch, seq, and names what later corrected or consumed it.
"""

import re
from uuid import UUID

import psycopg
from fastapi import APIRouter
from pydantic import BaseModel, Field

from cloud.api.access import FinanceReader, Pool, snapshot
from cloud.api.journal_entries import EntryOut, show_entry
from cloud.api.movements import MovementOut, show_movement
from cloud.api.passages import PassageOut, show_passage
from cloud.api.problems import Problem, not_found
from cloud.api.tags import EPC_MAX, TagOut, show_tag
from cloud.api.values import Amount, CostValue, Moment, Quantity, parse_uuid
from cloud.domain.access import Company
from cloud.domain.costing.pools import METHODS
from cloud.domain.decimals import micro_text, minor_text
from cloud.store import lists, trace
from cloud.store.trace import CostEntryRow, LayerRow, LinkRow, MovementTrace

router = APIRouter(prefix="/v1/trace", tags=["trace"])

MOVEMENTS_MAX = 20  # of one tag, in full; the rest is named by id
_ENTRY = re.compile(r"(?P<source>[0-9a-fA-F-]{32,36})\.(?P<step>[0-9]{1,5})(?:\.(?P<line>[0-9]{1,5}))?")
_METHOD_NAMES = {number: name for name, number in METHODS.items()}


class BatchOut(BaseModel):
    """The transaction that wrote the movement, and its link in the lane's hash chain."""

    lane: int
    number: int
    recorded_at: Moment
    worker: str
    observed: int
    moved: int
    previous: str
    head: str


class LinkOut(BaseModel):
    """How much a cost entry took of a layer; `source` is the movement that made the layer."""

    movement: UUID
    step: int
    layer: int
    source: UUID
    quantity: Quantity
    value: CostValue


class LayerOut(BaseModel):
    """What is left of a layer; it has no cost yet where `uncosted`."""

    layer: int
    quantity_left: Quantity
    value_left: CostValue
    uncosted: bool


class CostEntryOut(BaseModel):
    """A change of one cost pool; `journal_lines` are the lines whose amount it is."""

    movement: UUID
    step: int
    site: str | None
    item: str | None
    account: str | None
    method: str
    quantity: Quantity
    value: CostValue
    posted: Amount
    corrects: UUID | None
    journal_lines: list[str]
    consumed: list[LinkOut]
    layers: list[LayerOut]


class MovementTraceOut(BaseModel):
    """A movement with what led to it and what came of it."""

    movement: MovementOut
    batch: BatchOut
    observation: PassageOut | None = Field(description="Null for a movement that was declared.")
    same_crossing: list[PassageOut] = Field(description="Other sightings of this crossing; they moved nothing.")
    journal_entries: list[EntryOut]
    cost_entries: list[CostEntryOut]
    consumed_by: list[LinkOut] = Field(description="Who took from the layers that this movement made.")
    corrected_by: list[UUID]


class TraceOut(BaseModel):
    """What was asked for, and all that hangs together with it."""

    asked: str
    journal_line: str | None
    tag: TagOut | None
    passages: list[PassageOut]
    movements: list[MovementTraceOut]
    more_movements: list[UUID]


@router.get("/{what:path}", response_model=TraceOut, summary="From a journal line to its evidence, and back")
def read_trace(what: str, caller: FinanceReader, pool: Pool) -> TraceOut:
    """`what` is a journal line, an entry, a movement or an EPC."""
    company = caller.company
    with snapshot(pool) as connection:
        if (match := _ENTRY.fullmatch(what)) is not None:
            return _trace_line(connection, company, what, match)
        movement_id = parse_uuid(what)
        if movement_id is not None:
            found = trace.trace_movement(connection, company.company_id, movement_id)
            if found is not None:
                return _answer(company, what, movements=[found])
        epc = what.upper()
        if len(epc) <= EPC_MAX and re.fullmatch(r"(?:[0-9A-F]{4})+", epc):
            return _trace_tag(connection, company, what, epc)
    if movement_id is not None:
        raise not_found("movement", what)
    raise Problem(
        422,
        "wrong-value",
        "expected a journal line {source}.{step}.{line}, a movement's UUID or an EPC in hex",
        errors=[{"pointer": "path/what", "detail": "neither a journal line, a movement nor an EPC"}],
    )


def _trace_line(connection: psycopg.Connection, company: Company, asked: str, match: "re.Match[str]") -> TraceOut:
    source, step, line = parse_uuid(match["source"]), int(match["step"]), match["line"]
    is_there = (
        source is not None
        and step < 2**15
        and int(line or 1) < 2**15
        and trace.has_line(connection, company.company_id, source, step, int(line or 1))
    )
    found = trace.trace_movement(connection, company.company_id, source) if is_there and source else None
    if found is None:
        raise not_found("journal line" if line else "journal entry", asked)
    return _answer(company, asked, movements=[found], journal_line=f"{source}.{step}.{line}" if line else None)


def _trace_tag(connection: psycopg.Connection, company: Company, asked: str, epc: str) -> TraceOut:
    tag = lists.find_tag(connection, company.company_id, epc)
    passages = trace.passages_of_tag(connection, company.company_id, epc)
    if tag is None and not passages:
        raise not_found("movement or tag", asked)
    rows = trace.movements_of(connection, company.company_id, [passage.movement_id for passage in passages])
    newest = [row.movement_id for row in reversed(rows)]
    full = [trace.trace_movement(connection, company.company_id, one) for one in newest[:MOVEMENTS_MAX]]
    answer = _answer(company, asked, movements=[one for one in full if one is not None])
    answer.tag = show_tag(tag) if tag else None
    answer.passages = [show_passage(passage) for passage in passages]
    answer.more_movements = newest[MOVEMENTS_MAX:]
    return answer


def _answer(
    company: Company, asked: str, movements: list[MovementTrace], journal_line: str | None = None
) -> TraceOut:
    return TraceOut(
        asked=asked,
        journal_line=journal_line,
        tag=None,
        passages=[],
        movements=[_show(company, one) for one in movements],
        more_movements=[],
    )


def _show(company: Company, found: MovementTrace) -> MovementTraceOut:
    batch = found.batch
    return MovementTraceOut(
        movement=show_movement(found.movement),
        batch=BatchOut(
            lane=found.movement.lane,
            number=found.movement.batch_no,
            recorded_at=batch.recorded_at,
            worker=batch.worker,
            observed=batch.observed,
            moved=batch.moved,
            previous=batch.previous,
            head=batch.head,
        ),
        observation=show_passage(found.observation) if found.observation else None,
        same_crossing=[show_passage(passage) for passage in found.evidence],
        journal_entries=[
            show_entry(company, entry, found.lines[entry.source_id, entry.step]) for entry in found.entries
        ],
        cost_entries=[_show_cost_entry(company, found, entry) for entry in found.cost_entries],
        consumed_by=[_show_link(link, company.minor_digits) for link in found.consumed_by],
        corrected_by=found.corrected_by,
    )


def _show_cost_entry(company: Company, found: MovementTrace, entry: CostEntryRow) -> CostEntryOut:
    own = entry.movement_id == found.movement.movement_id
    lines = [
        f"{line.source_id}.{line.step}.{line.line_no}"
        for lines in found.lines.values()
        for line in lines
        if line.source_id == entry.movement_id and line.cost_step == entry.step
    ]
    return CostEntryOut(
        movement=entry.movement_id,
        step=entry.step,
        site=entry.site,
        item=entry.item,
        account=entry.account_number,
        method=_METHOD_NAMES.get(entry.method, str(entry.method)),
        quantity=micro_text(entry.qty),
        value=micro_text(entry.value, company.minor_digits),
        posted=minor_text(entry.posted, company.minor_digits),
        corrects=entry.corrects,
        journal_lines=lines,
        consumed=[
            _show_link(link, company.minor_digits) for link in found.consumed if own and link.step == entry.step
        ],
        layers=[
            _show_layer(layer, company.minor_digits)
            for layer in found.layers
            if own and layer.pool_id == entry.pool_id and layer.step == entry.step
        ],
    )


def _show_link(link: LinkRow, digits: int) -> LinkOut:
    return LinkOut(
        movement=link.movement_id,
        step=link.step,
        layer=link.layer_no,
        source=link.source_id,
        quantity=micro_text(link.qty),
        value=micro_text(link.value, digits),
    )


def _show_layer(layer: LayerRow, digits: int) -> LayerOut:
    return LayerOut(
        layer=layer.layer_no,
        quantity_left=micro_text(layer.qty_left),
        value_left=micro_text(layer.value_left, digits),
        uncosted=layer.uncosted,
    )
