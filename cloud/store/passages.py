"""One passage with what belongs to it: rows ↔ values, nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from cloud.store.feeds import PassageRow
from cloud.store.sql import statement

NOUN = "passages"
AROUND_MAX = 200  # sightings of one tag within the span that is looked at

_BY_ID = "o.company_id = %(company)s AND o.movement_id = %(id)s"
_BY_LOG = "o.company_id = %(company)s AND o.gateway_id = %(gateway)s AND o.epoch = %(epoch)s AND o.seq = %(seq)s"
_AROUND = "o.company_id = %(company)s AND o.epc = %(epc)s AND o.occurred_us BETWEEN %(from_us)s AND %(to_us)s"


@dataclass(frozen=True, slots=True)
class GateSides:
    """The areas on the two sides of a gate: code and name."""

    inside: str
    inside_name: str
    outside: str
    outside_name: str


@dataclass(frozen=True, slots=True)
class EntryOfMovement:
    """A journal entry that a movement made; voucher None until it has a number."""

    source_id: UUID
    step: int
    period_id: int
    voucher: str | None


def find_passage(connection: psycopg.Connection, company_id: int, one: UUID) -> PassageRow | None:
    """The passage of this id, or the one that a movement of this id came of or corrects."""
    for row in _read(connection, _BY_ID, {"company": company_id, "id": one}):
        return row
    where = {"company": company_id, "id": one}
    born = connection.execute(statement(NOUN, "place_in_log"), where).fetchone()
    if born is None:
        return None
    log = {"company": company_id, "gateway": born[0], "epoch": born[1], "seq": born[2]}
    return next(iter(_read(connection, _BY_LOG, log)), None)


def passages_around(
    connection: psycopg.Connection, company_id: int, epc: str, from_us: int, to_us: int
) -> list[PassageRow]:
    """A tag's sightings between two instants, newest first."""
    values = {"company": company_id, "epc": epc, "from_us": from_us, "to_us": to_us}
    return _read(connection, _AROUND, values)


def place_before(
    connection: psycopg.Connection, company_id: int, epc: str, since_us: int
) -> tuple[int, int] | None:
    """(gate, direction) of the last crossing before a moment that the books still say moved the tag."""
    values = {"company": company_id, "epcs": [epc], "since_us": [since_us]}
    row = connection.execute(statement("observed", "place_before"), values).fetchone()
    return None if row is None else (row[1], row[2])


def times_moved(connection: psycopg.Connection, company_id: int, ids: Sequence[UUID]) -> dict[UUID, int]:
    """How many movements stand under each of these passages."""
    rows = connection.execute(statement(NOUN, "times_moved"), {"company": company_id, "ids": list(ids)})
    return dict(rows.fetchall())


def entries_of(connection: psycopg.Connection, company_id: int, ids: Sequence[UUID]) -> list[EntryOfMovement]:
    """The journal entries of these movements."""
    rows = connection.execute(statement(NOUN, "vouchers"), {"company": company_id, "ids": list(ids)})
    return [EntryOfMovement(*row) for row in rows]


def sides_of(connection: psycopg.Connection, company_id: int, gate: str | None) -> GateSides | None:
    """What lies on the two sides of a gate; None for one that is not known."""
    row = connection.execute(statement(NOUN, "sides"), {"company": company_id, "gate": gate}).fetchone()
    return None if row is None else GateSides(*row)


def _read(connection: psycopg.Connection, which: str, values: dict[str, Any]) -> list[PassageRow]:
    query = statement("trace", "passages").format(which=sql.SQL(which))
    with connection.cursor(row_factory=class_row(PassageRow)) as cursor:
        return cursor.execute(query, {"limit": AROUND_MAX} | values).fetchall()
