"""Everything the books know about one movement, journal line or tag: rows ↔ values, nothing else.

Lists that could grow without end (what later adjusted or consumed this) stop at LIST_MAX, and say so by
their length.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeVar
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from cloud.store.feeds import EntryRow, LineRow, MovementRow, PassageRow, read_lines
from cloud.store.sql import statement

NOUN = "trace"
LIST_MAX = 200
# A passage and its evidence lie within seconds of each other; the hour keeps the index range small and
# leaves room for a group of gates with a generous same-crossing time.
EVIDENCE_SPAN_US = 3_600_000_000

_BY_LOG = "o.company_id = %(company)s AND o.gateway_id = %(gateway)s AND o.epoch = %(epoch)s AND o.seq = %(seq)s"
_BY_TAG = "o.company_id = %(company)s AND o.epc = %(epc)s"
_BY_WINNER = (
    "o.company_id = %(company)s AND o.epc = %(epc)s AND o.winner = %(winner)s"
    " AND o.occurred_us BETWEEN %(from_us)s AND %(to_us)s"
)


@dataclass(frozen=True, slots=True)
class BatchRow:
    """The transaction that wrote a row; head and previous are the lane's chain (hex)."""

    recorded_at: datetime
    worker: str
    observed: int
    moved: int
    head: str
    previous: str


@dataclass(frozen=True, slots=True)
class CostEntryRow:
    """A change of a pool: qty and value in 10⁻⁶, posted in minor units."""

    movement_id: UUID
    step: int
    pool_id: int
    site_id: int
    site: str | None
    item: str | None
    account_number: str | None
    account_name_zh: str | None
    account_name_en: str | None
    method: int
    qty: int
    value: int
    posted: int
    corrects: UUID | None
    posting_date: date


@dataclass(frozen=True, slots=True)
class LinkRow:
    """How much of which layer a cost entry took."""

    movement_id: UUID
    step: int
    link_no: int
    pool_id: int
    layer_no: int
    source_id: UUID
    qty: int
    value: int


@dataclass(frozen=True, slots=True)
class LayerRow:
    """What is left of a layer."""

    pool_id: int
    layer_no: int
    step: int
    qty_left: int
    value_left: int
    uncosted: bool


@dataclass(frozen=True, slots=True)
class MovementTrace:
    """A movement with all that led to it and all that came of it.

    observation  what the gateway saw, None for a movement that was declared
    evidence     sightings of the same crossing that moved nothing
    """

    movement: MovementRow
    batch: BatchRow
    corrected_by: list[UUID]
    observation: PassageRow | None
    evidence: list[PassageRow]
    entries: list[EntryRow]
    lines: dict[tuple[UUID, int], list[LineRow]]
    cost_entries: list[CostEntryRow]
    consumed: list[LinkRow]
    consumed_by: list[LinkRow]
    layers: list[LayerRow]


def trace_movement(connection: psycopg.Connection, company_id: int, movement_id: UUID) -> MovementTrace | None:
    """All about one movement; None when the company has no such movement."""
    movements = find_movements(connection, company_id, [movement_id])
    if not movements:
        return None
    movement = movements[0]
    where = {"company": company_id, "id": movement_id, "limit": LIST_MAX}
    batch = {"company": company_id, "lane": movement.lane, "batch_no": movement.batch_no}
    entries = _all(connection, "entries", EntryRow, where)
    cost_entries = _all(connection, "cost_entries", CostEntryRow, where)
    observation = _observation_of(connection, company_id, movement)
    return MovementTrace(
        movement=movement,
        batch=_all(connection, "batch", BatchRow, batch)[0],
        corrected_by=[row[0] for row in connection.execute(statement(NOUN, "corrections"), where)],
        observation=observation,
        evidence=_evidence_of(connection, company_id, observation) if observation else [],
        entries=entries,
        lines=read_lines(connection, company_id, [(entry.source_id, entry.step) for entry in entries]),
        cost_entries=cost_entries,
        consumed=_all(connection, "consumed", LinkRow, where),
        consumed_by=_all(connection, "consumed_by", LinkRow, where),
        layers=_all(connection, "layers", LayerRow, where | {"pools": sorted({c.pool_id for c in cost_entries})}),
    )


def find_movements(connection: psycopg.Connection, company_id: int, ids: Sequence[UUID]) -> list[MovementRow]:
    """The movements with these ids, in the order in which they occurred."""
    return _all(connection, "movements", MovementRow, {"company": company_id, "ids": list(ids)})


def has_line(connection: psycopg.Connection, company_id: int, source_id: UUID, step: int, line_no: int) -> bool:
    """Whether the company's journal has this line."""
    values = {"company": company_id, "source": source_id, "step": step, "line_no": line_no}
    return connection.execute(statement(NOUN, "line"), values).fetchone() is not None


def passages_of_tag(connection: psycopg.Connection, company_id: int, epc: str) -> list[PassageRow]:
    """The newest sightings of a tag, newest first, up to LIST_MAX."""
    return _passages(connection, _BY_TAG, {"company": company_id, "epc": epc})


def movements_of(
    connection: psycopg.Connection, company_id: int, observations: Sequence[UUID]
) -> list[MovementRow]:
    """The movements that these observations made, or that correct those."""
    values = {"company": company_id, "ids": list(observations)}
    ids = [row[0] for row in connection.execute(statement(NOUN, "moved_by"), values)]
    return find_movements(connection, company_id, ids)


def _observation_of(connection: psycopg.Connection, company_id: int, movement: MovementRow) -> PassageRow | None:
    where = {"company": company_id, "id": movement.movement_id}
    born = connection.execute(statement(NOUN, "gateway_of"), where).fetchone()
    if born is None or born[0] == 0:
        return None
    found = _passages(
        connection, _BY_LOG, {"company": company_id, "gateway": born[0], "epoch": born[1], "seq": born[2]}
    )
    return found[0] if found else None


def _evidence_of(connection: psycopg.Connection, company_id: int, observation: PassageRow) -> list[PassageRow]:
    return _passages(
        connection,
        _BY_WINNER,
        {
            "company": company_id,
            "epc": observation.epc,
            "winner": observation.movement_id,
            "from_us": observation.occurred_us - EVIDENCE_SPAN_US,
            "to_us": observation.occurred_us + EVIDENCE_SPAN_US,
        },
    )


def _passages(connection: psycopg.Connection, which: str, values: dict[str, Any]) -> list[PassageRow]:
    query = statement(NOUN, "passages").format(which=sql.SQL(which))
    with connection.cursor(row_factory=class_row(PassageRow)) as cursor:
        return cursor.execute(query, values | {"limit": LIST_MAX}).fetchall()


Row = TypeVar("Row")


def _all(connection: psycopg.Connection, name: str, row: type[Row], values: dict[str, Any]) -> list[Row]:
    with connection.cursor(row_factory=class_row(row)) as cursor:
        return cursor.execute(statement(NOUN, name), values).fetchall()
