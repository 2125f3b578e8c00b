"""Sightings of a batch's tags, new and known, as columns; and the walk of every tag through its own.

Most tags of a batch come for the first time since they were last seen, through gates whose crossings nobody else
can see: their walks are done all at once. The others (late ones, several gates at one crossing, tags just bound) are
walked one by one, over what is known of them as well.
"""

import uuid
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cloud.domain.crossing import Sighting, walk, walk_plain
from cloud.domain.movement import NONE, Bytes16, Crossing, Int64, Kind, Outcome
from cloud.domain.observation import TOO_OLD_US, Observed
from cloud.flows.passages.gates import Gates

Bool = NDArray[np.bool_]
NOWHERE: Final = NONE


@dataclass(frozen=True, slots=True)
class Known:
    """A recorded crossing: n movements stand under its id (made, undone, made again); the last one's terms."""

    movement_id: uuid.UUID
    n: int
    kind: int
    item: int
    qty: int
    from_id: int
    to_id: int
    party: int
    document: str
    lot: int
    reason: str
    dimension: int
    price: int
    rate: int
    currency: int
    gateway: int
    epoch: uuid.UUID
    seq: int
    is_too_old: bool
    has_wrong_clock: bool

    @property
    def expected_kind(self) -> int:
        """Its kind where an expectation said so, 0 where the gate did.

        Of a move inside or an arrival the books do not tell which it was; what was expected names a document, a party,
        a price or a reason.
        """
        if self.kind in (Kind.UNEXPLAINED_IN, Kind.UNEXPLAINED_OUT):
            return 0
        by_gate = self.kind in (Kind.INTERNAL_MOVE, Kind.TRANSFER_IN) and self.price == NONE
        return 0 if by_gate and not (self.document or self.party or self.reason) else self.kind


@dataclass(slots=True)
class Tags:
    """t tags with an item, in the order of their EPCs, int64[t] unless told otherwise.

    item, qty, lot  what each stands for
    area, location  where it is, or NOWHERE, before the first of the sightings that are looked at
    since_us        from when on its known crossings are looked at as well; NONE: not at all
    """

    epcs: list[str]
    item: Int64
    qty: Int64
    lot: Int64
    area: Int64
    location: Int64
    since_us: Int64

    def __len__(self) -> int:
        return len(self.epcs)


@dataclass(slots=True)
class Sightings:
    """n new sightings, then k known ones, int64[n + k] unless told otherwise. `tag` indexes Tags, NONE: no item."""

    new: int
    tag: Int64
    gate: Int64
    crossing: Int64
    occurred_us: Int64
    confidence: NDArray[np.float64]
    movement_id: Bytes16
    known: list[Known]
    moved: Bool

    @classmethod
    def of(cls, seen: Observed, tag: Int64) -> "Sightings":
        """The new ones. tag: the index of each one's tag."""
        return cls(
            len(seen), tag, seen.gate, seen.direction, seen.occurred_us, seen.confidence, seen.movement_id, [],
            np.zeros(len(seen), np.bool_),
        )  # fmt: skip

    def add_known(self, rows: list[tuple[Any, ...]], tag_of: dict[str, int], gates: Gates) -> None:
        """What is recorded of crossings: rows of the query `history`."""
        columns = []
        for epc, movement_id, occurred_us, gate_id, direction, _, claimed_us, recorded_us, n, *terms in rows:
            (kind, item, qty, from_id, to_id, party, document, lot, reason, dimension, price, rate, currency, gateway,
             epoch, seq) = terms  # fmt: skip
            self.known.append(
                Known(movement_id, n, kind or 0, item or 0, qty or 0, from_id or 0, to_id or 0, party or 0,
                      document or "", lot or 0, reason or "", dimension or 0, NONE if price is None else price,
                      rate or 1_000_000_000, currency or 0, gateway, epoch, seq,
                      claimed_us < recorded_us - TOO_OLD_US, claimed_us != occurred_us)
            )  # fmt: skip
            columns.append((tag_of[epc], gates.index_of_id[gate_id], direction, occurred_us, n % 2))
        if not rows:
            return
        table = np.array(columns, np.int64)
        ids = np.frombuffer(b"".join(row[1].bytes for row in rows), np.uint8).reshape(-1, 16)
        self.tag = np.concatenate([self.tag, table[:, 0]])
        self.gate = np.concatenate([self.gate, table[:, 1]])
        self.crossing = np.concatenate([self.crossing, table[:, 2]])
        self.occurred_us = np.concatenate([self.occurred_us, table[:, 3]])
        self.moved = np.concatenate([self.moved, table[:, 4] == 1])
        self.confidence = np.concatenate([self.confidence, np.array([row[5] for row in rows], np.float64)])
        self.movement_id = np.concatenate([self.movement_id, ids])

    def key(self, at: Int64) -> Int64:
        """What orders sightings of one instant: known ones first, the last found of them first; then the new."""
        return np.where(at < self.new, at, self.new - 1 - at)

    def is_plain(self, tags: Tags, gates: Gates) -> Bool:
        """Which tags walk alone: nothing known matters, and no two of their sightings can be one crossing."""
        plain = tags.since_us == NONE
        crosses = np.flatnonzero(
            (self.tag != NONE) & ((self.crossing == Crossing.IN) | (self.crossing == Crossing.OUT))
        )
        at = crosses[np.lexsort((self.key(crosses), self.occurred_us[crosses], self.tag[crosses]))]
        tag, gate, time_us = self.tag[at], self.gate[at], self.occurred_us[at]
        together = (tag[1:] == tag[:-1]) & (gate[1:] != gate[:-1])
        together &= gates.group[gate[1:]] == gates.group[gate[:-1]]
        together &= time_us[1:] - time_us[:-1] <= gates.same_us[gate[:-1]]
        plain[tag[1:][together]] = False
        return plain


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What v sightings do, in the order of the world, int64[v]: `at` indexes Sightings.

    outcome  Outcome;  winner  index of the sighting that moved (or would move) the tag instead, or NONE
    last     int64[t], the last crossing that placed each tag, or NONE
    """

    at: Int64
    outcome: Int64
    winner: Int64
    last: Int64


def walk_all(tags: Tags, seen: Sightings, gates: Gates) -> Verdicts:
    """Every tag with an item, walked through its sightings."""
    plain = seen.is_plain(tags, gates)
    with_item = np.flatnonzero(seen.tag != NONE)
    alone = with_item[plain[seen.tag[with_item]]]
    alone = alone[np.lexsort((seen.key(alone), seen.occurred_us[alone], seen.tag[alone]))]
    target = gates.target(seen.gate[alone], seen.crossing[alone])
    outcome = walk_plain(seen.tag[alone], seen.crossing[alone], target, tags.area)
    last = np.full(len(tags), NONE, np.int64)
    places = np.flatnonzero((outcome == Outcome.MOVED) | (outcome == Outcome.ALREADY_THERE))
    last[seen.tag[alone][places]] = alone[places]  # of several the last is kept
    at, outcomes, winners = [alone], [outcome], [np.full(len(alone), NONE, np.int64)]
    others = np.flatnonzero(~plain)
    if len(others):
        found = _walk_others(others, tags, seen, gates, last)
        at.append(found[:, 0])
        outcomes.append(found[:, 1])
        winners.append(found[:, 2])
    every, outcome, winner = (np.concatenate(column) for column in (at, outcomes, winners))
    order = np.lexsort((seen.key(every), seen.occurred_us[every]))
    return Verdicts(every[order], outcome[order], winner[order], last)


def _walk_others(others: Int64, tags: Tags, seen: Sightings, gates: Gates, last: Int64) -> Int64:
    """int64[v, 3]: sighting, outcome, winner of the tags that are walked one by one; their `last` is filled in."""
    is_other = np.zeros(len(tags), np.bool_)
    is_other[others] = True
    rows = np.flatnonzero(seen.tag != NONE)
    rows = rows[is_other[seen.tag[rows]]]
    of_tag: dict[int, list[int]] = {tag: [] for tag in others.tolist()}
    for row, tag in zip(rows.tolist(), seen.tag[rows].tolist(), strict=True):
        of_tag[tag].append(row)
    found: list[tuple[int, int, int]] = []
    for tag, mine in of_tag.items():
        area = int(tags.area[tag])
        walked = walk(None if area == NOWHERE else area, [_sighting(seen, row, gates) for row in mine])
        for verdict in walked.verdicts:
            winner = NONE if verdict.winner is None else _at(seen, verdict.winner)
            found.append((_at(seen, verdict.sighting.key), int(verdict.outcome), winner))
        if walked.last is not None:
            last[tag] = _at(seen, walked.last.key)
    return np.array(found, np.int64).reshape(-1, 3)


def _at(seen: Sightings, key: int) -> int:
    return key if key >= 0 else seen.new - 1 - key


def _sighting(seen: Sightings, at: int, gates: Gates) -> Sighting:
    gate = gates.gates[seen.gate[at]]
    crossing = Crossing(int(seen.crossing[at]))
    return Sighting(
        key=at if at < seen.new else seen.new - 1 - at, occurred_us=int(seen.occurred_us[at]), gate=gate.gate_id,
        crossing=crossing, target=gate.target(crossing), group=gate.group, same_us=gate.same_us,
        confidence=float(seen.confidence[at]), known=at >= seen.new, moved=bool(seen.moved[at]),
    )  # fmt: skip
