"""One passage and why: what the gate saw, what it moved, who else saw the crossing and which sighting counts.

Passages are never changed. A later, surer sighting of the same crossing may undo what one has moved, and a
late one may make another move that had nothing to do; so who counts is asked of the walk over what is known
by now, as the books do it, and not of the outcome that was recorded at the time.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

import psycopg

from cloud.domain.crossing import Sighting, walk
from cloud.domain.gate_evidence import GateEvidence, read_evidence
from cloud.domain.movement import Crossing
from cloud.flows.passages.gates import Gate, load_gates
from cloud.store import passages
from cloud.store.feeds import MovementRow, PassageRow
from cloud.store.passages import EntryOfMovement, GateSides
from cloud.store.trace import EVIDENCE_SPAN_US, movements_of

_CROSSES = (Crossing.IN, Crossing.OUT)


@dataclass(frozen=True, slots=True)
class SeenPassage:
    """A sighting as it counts by now.

    wins   of all sightings of its crossing this is the one that counts
    moves  the books say by now that the tag moved by it
    """

    passage: PassageRow
    wins: bool
    moves: bool


@dataclass(frozen=True, slots=True)
class ExplainedPassage:
    """A passage with what belongs to it.

    movements      what was moved by it, undone, and moved again, in the order of the world
    same_crossing  the other sightings of its crossing, oldest first
    """

    seen: SeenPassage
    evidence: GateEvidence
    sides: GateSides | None
    movements: list[MovementRow]
    entries: list[EntryOfMovement]
    same_crossing: list[SeenPassage]

    @property
    def passage(self) -> PassageRow:
        """As it was recorded."""
        return self.seen.passage

    @property
    def is_undone(self) -> bool:
        """Whether it has moved the tag, and that was corrected."""
        return bool(self.movements) and not self.seen.moves


def explain_passage(connection: psycopg.Connection, company_id: int, one: UUID) -> ExplainedPassage | None:
    """The passage of this id (or of the movement of this id); None where the company has none.

    Reads several times: give it a snapshot. Raises psycopg.Error.
    """
    passage = passages.find_passage(connection, company_id, one)
    if passage is None:
        return None
    together = _same_crossing(connection, company_id, passage)
    movements = movements_of(connection, company_id, [passage.movement_id])
    return ExplainedPassage(
        seen=next(seen for seen in together if seen.passage.movement_id == passage.movement_id),
        evidence=read_evidence(passage.evidence),
        sides=passages.sides_of(connection, company_id, passage.gate),
        movements=movements,
        entries=passages.entries_of(connection, company_id, [movement.movement_id for movement in movements]),
        same_crossing=[seen for seen in together if seen.passage.movement_id != passage.movement_id],
    )


def _same_crossing(connection: psycopg.Connection, company_id: int, passage: PassageRow) -> list[SeenPassage]:
    """All sightings of the crossing that this one is of, itself among them, oldest first."""
    if Crossing(passage.direction) not in _CROSSES:
        return [SeenPassage(passage, wins=False, moves=False)]
    from_us = passage.occurred_us - EVIDENCE_SPAN_US
    rows = passages.passages_around(
        connection, company_id, passage.epc, from_us, passage.occurred_us + EVIDENCE_SPAN_US
    )
    moved = passages.times_moved(connection, company_id, [row.movement_id for row in rows])
    gates = load_gates(connection.cursor(), company_id)
    area = _area_before(connection, company_id, gates.values(), passage.epc, from_us)
    sightings = _sightings(rows, moved, gates)
    winner_of = {
        verdict.sighting.key: verdict.sighting.key if verdict.winner is None else verdict.winner
        for verdict in walk(area, sightings).verdicts
    }
    own = next((at for at, row in enumerate(rows) if row.movement_id == passage.movement_id), None)
    if own not in winner_of:
        return [SeenPassage(passage, wins=True, moves=moved.get(passage.movement_id, 0) % 2 == 1)]
    winner = winner_of[own]
    return [
        SeenPassage(rows[sighting.key], wins=sighting.key == winner, moves=sighting.moved)
        for sighting in sorted(sightings, key=lambda one: (one.occurred_us, one.key))
        if winner_of[sighting.key] == winner and sighting.crossing in _CROSSES
    ]


def _sightings(rows: Sequence[PassageRow], moved: dict[UUID, int], gates: dict[str, Gate]) -> list[Sighting]:
    """As the walk needs them, by their place in `rows`; of a gate that is not known there is nothing to say."""
    return [
        Sighting(
            key=at, occurred_us=row.occurred_us, gate=gate.gate_id, crossing=Crossing(row.direction),
            target=gate.target(Crossing(row.direction)), group=gate.group, same_us=gate.same_us,
            confidence=row.confidence, known=True, moved=moved.get(row.movement_id, 0) % 2 == 1,
        )
        for at, row in enumerate(rows)
        if row.gate is not None and (gate := gates.get(row.gate)) is not None
    ]  # fmt: skip


def _area_before(
    connection: psycopg.Connection, company_id: int, gates: Iterable[Gate], epc: str, from_us: int
) -> int | None:
    before = passages.place_before(connection, company_id, epc, from_us)
    if before is None:
        return None
    by_id = {gate.gate_id: gate for gate in gates}
    return by_id[before[0]].target(Crossing(before[1])) if before[0] in by_id else None
