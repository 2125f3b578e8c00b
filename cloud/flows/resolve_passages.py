"""From sightings to movements: which item a tag is, whether it moved, why, from where to where.

`resolve` walks every tag of the batch through its crossings (known ones too where a sighting is late), matches what
moved against the expectations, and hands out movements as columns, with corrections for known sightings whose
verdict has changed. Nothing is written here but locks are taken. Its rooms, in the order in which a batch walks
through them:

    passages.gates         the gates, and what lies on their two sides
    passages.sightings     the tags' sightings, new and known, and their walks
    passages.expectations  what each movement takes of what was expected
    passages.moves         why goods move, from where to where
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import psycopg
from numpy.typing import NDArray

from cloud.domain.batch import Company
from cloud.domain.catalog import lot_of_tag
from cloud.domain.movement import MICRO, NONE, Bytes16, Crossing, Int64, MovementColumns, Outcome
from cloud.domain.observation import Observed
from cloud.flows.passages.gates import Gates
from cloud.flows.passages.moves import Beyond, Mover
from cloud.flows.passages.sightings import NOWHERE, Sightings, Tags, walk_all
from cloud.store.arrays import Texts
from cloud.store.master import put_lots
from cloud.store.sql import statement
from cloud.store.tag_locks import Placed, lock_tags
from protocols.epc.tag_memory import gtin_of

Cursor = psycopg.Cursor

_EVER = -(2**62)  # before everything


@dataclass(frozen=True, slots=True)
class PlacesLeft:
    """Where the walks leave p tags: rows of `places`."""

    epcs: list[str] = field(default_factory=list)
    area: Int64 = field(default_factory=lambda: np.empty(0, np.int64))
    location: Int64 = field(default_factory=lambda: np.empty(0, np.int64))
    occurred_us: Int64 = field(default_factory=lambda: np.empty(0, np.int64))
    movement_id: Bytes16 = field(default_factory=lambda: np.empty((0, 16), np.uint8))
    group: Int64 = field(default_factory=lambda: np.empty(0, np.int64))
    confidence: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))


@dataclass(slots=True)
class Resolved:
    """What a batch of n sightings comes to.

    outcome      int64[n], Outcome;  winner  uint8[n, 16], id of the sighting that moved the tag instead; zero: none
    movements    what moves, corrections of known sightings included; source_row is the row of the new sighting it
                 comes from, or NONE
    expectation  int64, id of what each of the first movements has filled, or NONE
    """

    outcome: Int64
    winner: Bytes16
    movements: MovementColumns
    places: PlacesLeft
    expectation: Int64


def resolve(cursor: Cursor, company: Company, seen: Observed, gates: Gates, again: Iterable[str] = ()) -> Resolved:
    """Resolve new sightings; tags of `again` are walked again from their beginning (they were just bound).

    `seen` must have been read against these gates. Raises psycopg.Error.
    """
    again = set(again)
    present = np.unique(seen.tag)
    epcs = sorted({*(seen.epcs[tag] for tag in present.tolist()), *again})
    placed = lock_tags(cursor, company.company_id, epcs)
    contents = _contents(cursor, company, epcs)
    known = [epc for epc in epcs if epc in contents]
    tag_of = {epc: tag for tag, epc in enumerate(known)}
    tag = np.array([tag_of.get(epc, NONE) for epc in seen.epcs] or [NONE], np.int64)[seen.tag]
    sightings = Sightings.of(seen, tag)
    tags = _tags(known, contents, placed, sightings, gates, again)
    _add_history(cursor, company, tags, tag_of, sightings, gates)
    verdicts = walk_all(tags, sightings, gates)
    made = Mover(
        cursor, company.company_id, seen, gates, Beyond.load(cursor, company.company_id), tags, sightings, verdicts
    ).make()
    outcome = np.where(
        seen.direction == Crossing.TURNED_BACK,
        int(Outcome.TURNED_BACK),
        np.where(seen.direction == Crossing.UNDECIDED, int(Outcome.UNDECIDED), int(Outcome.UNREGISTERED)),
    )
    is_new = verdicts.at < sightings.new
    outcome[verdicts.at[is_new]] = verdicts.outcome[is_new]
    winner = np.zeros((len(seen), 16), np.uint8)
    beaten = is_new & (verdicts.winner != NONE)
    winner[verdicts.at[beaten]] = sightings.movement_id[verdicts.winner[beaten]]
    places = _places(tags, sightings, gates, verdicts.last, made.location)
    return Resolved(outcome, winner, made.movements, places, made.expectation)


def _contents(cursor: Cursor, company: Company, epcs: list[str]) -> dict[str, tuple[int, int, int]]:
    """(item, quantity, lot or 0) that each tag stands for: by the registry, else by the GTIN that it carries."""
    where = {"company": company.company_id}
    rows = cursor.execute(statement("observed", "tags"), where | {"epcs": Texts(epcs)}).fetchall()
    found = {row[0]: row[1:] for row in rows}
    if len(found) == len(epcs):
        return found
    gtins = {epc: gtin for epc in epcs if epc not in found and (gtin := gtin_of(epc)) is not None}
    if gtins:
        asked = where | {"gtins": sorted(set(gtins.values()))}
        items = {row[0]: row[1:] for row in cursor.execute(statement("observed", "gtins"), asked)}
        found |= _pieces(cursor, company, {epc: items[gtin] for epc, gtin in gtins.items() if gtin in items})
    return found


def _pieces(
    cursor: Cursor, company: Company, items: dict[str, tuple[int, str, str]]
) -> dict[str, tuple[int, int, int]]:
    """One piece each of (item, tracking, method) by EPC; where pieces are told apart, the EPC is its lot."""
    lots = {
        epc: code
        for epc, (_, tracking, method) in items.items()
        if (code := lot_of_tag(tracking, method, epc)) is not None
    }
    numbers = put_lots(
        cursor.connection, company.company_id, [(items[epc][0], code) for epc, code in lots.items()]
    )
    return {
        epc: (item, MICRO, numbers[item, lots[epc]] if epc in lots else 0) for epc, (item, *_) in items.items()
    }


def _tags(
    epcs: list[str],
    contents: dict[str, tuple[int, int, int]],
    placed: list[Placed],
    sightings: Sightings,
    gates: Gates,
    again: set[str],
) -> Tags:
    """The tags with an item, where each is, and from when on what is known of it matters."""
    n = len(epcs)
    table = np.array([contents[epc] for epc in epcs], np.int64).reshape(n, 3)
    area, location, placed_us = (np.full(n, NOWHERE, np.int64) for _ in range(3))
    at = {epc: i for i, epc in enumerate(epcs)}
    rows = [(at[epc], *place) for epc, *place in placed if epc in at]
    if rows:
        places = np.array(rows, np.int64)
        area[places[:, 0]], location[places[:, 0]], placed_us[places[:, 0]] = places[:, 1:].T
    since_us = _history_starts(n, sightings, gates, placed_us, area != NOWHERE)
    for i, epc in enumerate(epcs if again else ()):
        if epc in again:
            since_us[i] = _EVER
    return Tags(epcs, table[:, 0], table[:, 1], table[:, 2], area, location, since_us)


def _history_starts(
    n: int, sightings: Sightings, gates: Gates, placed_us: Int64, is_placed: NDArray[np.bool_]
) -> Int64:
    """From when on each tag's known crossings matter: NONE when all that is new comes well after them.

    Well after: behind the last one, by more than the time within which other gates of the sighting's group may see
    the same crossing. A gate alone in its group cannot share one.
    """
    rows = np.flatnonzero(sightings.tag != NONE)
    tag = sightings.tag[rows]
    widest, first = np.zeros(n, np.int64), np.full(n, 2**62, np.int64)
    np.maximum.at(widest, tag, gates.shared_us[sightings.gate[rows]])
    np.minimum.at(first, tag, sightings.occurred_us[rows])
    return np.where(is_placed & (first <= placed_us + widest), first - widest, NONE)


def _add_history(
    cursor: Cursor, company: Company, tags: Tags, tag_of: dict[str, int], sightings: Sightings, gates: Gates
) -> None:
    """Read what is known of the tags for which it matters; they are walked from where they were before it."""
    looked_at = np.flatnonzero(tags.since_us != NONE)
    if not len(looked_at):
        return
    epcs = [tags.epcs[tag] for tag in looked_at.tolist()]
    where = {"company": company.company_id, "epcs": Texts(epcs), "since_us": tags.since_us[looked_at]}
    if shared_us := int(gates.shared_us.max(initial=0)):
        starts = cursor.execute(statement("observed", "history_starts"), where | {"shared_us": shared_us})
        for epc, since_us in starts.fetchall():
            tags.since_us[tag_of[epc]] = since_us
        where["since_us"] = tags.since_us[looked_at]
    tags.area[looked_at] = tags.location[looked_at] = NOWHERE
    for epc, gate, direction, to_id in cursor.execute(statement("observed", "place_before"), where):
        tag = tag_of[epc]
        tags.area[tag] = gates.gates[gates.index_of_id[gate]].target(Crossing(direction))
        tags.location[tag] = to_id
    sightings.add_known(cursor.execute(statement("observed", "history"), where).fetchall(), tag_of, gates)


def _places(tags: Tags, sightings: Sightings, gates: Gates, last: Int64, location: Int64) -> PlacesLeft:
    placed = np.flatnonzero((last != NONE) & (location != NOWHERE))
    at = last[placed]
    return PlacesLeft(
        [tags.epcs[tag] for tag in placed.tolist()],
        gates.target(sightings.gate[at], sightings.crossing[at]),
        location[placed],
        sightings.occurred_us[at],
        sightings.movement_id[at],
        gates.group[sightings.gate[at]],
        sightings.confidence[at],
    )
