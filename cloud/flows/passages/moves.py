"""From verdicts to movements: why the goods move, from where to where, and what is taken back of known ones."""

import uuid
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import psycopg
from numpy.typing import NDArray

from cloud.domain.movement import (
    NONE,
    Crossing,
    Int64,
    Kind,
    MovementColumns,
    Outcome,
    Tag,
    derived_id,
)
from cloud.domain.observation import Observed
from cloud.flows.passages.expectations import Expected, Wanted, texts_of
from cloud.flows.passages.gates import Gates
from cloud.flows.passages.sightings import NOWHERE, Known, Sightings, Tags, Verdicts
from cloud.store.sql import statement

Bool = NDArray[np.bool_]
_RATE_ONE: Final = 1_000_000_000

# Where goods come from or go to beyond the gate, by the kind of movement.
_BEYOND: Final = {
    Kind.PURCHASE_RECEIPT: "supplier",
    Kind.SUPPLIER_RETURN: "supplier",
    Kind.SALES_SHIPMENT: "customer",
    Kind.CUSTOMER_RETURN: "customer",
    Kind.TRANSFER_OUT: "in_transit",
    Kind.TRANSFER_IN: "in_transit",
    Kind.SCRAP: "scrap",
}
_NOT_OURS: Final = ("supplier", "customer", "scrap", "world", "in_transit")


@dataclass(frozen=True, slots=True)
class Beyond:
    """The places that no gate leads to, as {(kind, site or 0): location_id}: supplier, customer, clarification …"""

    locations: dict[tuple[str, int], int]

    @classmethod
    def load(cls, cursor: psycopg.Cursor, company_id: int) -> "Beyond":
        rows = cursor.execute(statement("observed", "virtual_locations"), {"company": company_id})
        return cls({(kind, site): location for kind, site, location in rows})

    @property
    def not_ours(self) -> Int64:
        """Where goods are out of our hands: they cannot leave from there."""
        return np.array([one for (kind, _), one in self.locations.items() if kind in _NOT_OURS], np.int64)

    @property
    def in_transit(self) -> int:
        return self.locations.get(("in_transit", 0), NOWHERE)

    def by_kind(self) -> Int64:
        """Where goods come from or go to, by Kind; 0 where that is the gate's own other side."""
        table = np.zeros(max(Kind) + 1, np.int64)
        for kind, name in _BEYOND.items():
            table[kind] = self.locations.get((name, 0), 0)
        return table

    def clarification(self, gates: Gates) -> Int64:
        """By gate, where goods wait that nobody expects; NOWHERE: there is no such place."""
        everywhere = self.locations.get(("clarification", 0), NOWHERE)
        return np.array(
            [self.locations.get(("clarification", gate.inside_site)) or everywhere for gate in gates.gates],
            np.int64,
        )


@dataclass(slots=True)
class Made:
    """What the verdicts of a batch do to the books.

    movements     in the order of the world; source_row is the row of the new sighting, or NONE
    location      int64[t], where each tag is now, or NOWHERE
    expectation   int64[m], id of what each of the first m movements has filled, or NONE
    """

    movements: MovementColumns
    location: Int64
    expectation: Int64


@dataclass(slots=True)
class Mover:
    """A batch's verdicts on their way to movements."""

    cursor: psycopg.Cursor
    company_id: int
    seen: Observed
    gates: Gates
    beyond: Beyond
    tags: Tags
    sightings: Sightings
    verdicts: Verdicts

    def make(self) -> Made:
        """Movements of what moves, and of what has moved and should not have, or not so. Raises psycopg.Error."""
        at = self.verdicts.at
        moves = self.verdicts.outcome == Outcome.MOVED
        moved = self.sightings.moved[at]
        done, undone, placing = at[moves & ~moved], at[moved & ~moves], at[moves]
        wanted, match, expected, too_old = self._expect(done)
        terms = self._terms(placing, np.append(expected.kind, 0)[match], too_old)
        is_done = ~self.sightings.moved[placing]
        made = self._columns(done, wanted, match, expected, terms.of(is_done))
        takes_back = self._take_back(np.concatenate([undone, placing[terms.changed]]))
        again = self._again(placing[terms.changed], terms.of(terms.changed))
        filled = np.append(expected.expectation_id, NONE)[match]
        return Made(_joined(_joined(made, takes_back), again), terms.location, filled)

    def _expect(self, done: Int64) -> tuple[Wanted, Int64, Expected, Bool]:
        """What was expected of the movements `done` (indexes of sightings), in the order of the world."""
        sightings, tags = self.sightings, self.tags
        tag, gate = sightings.tag[done], sightings.gate[done]
        is_new = done < sightings.new
        counted = np.full(len(done), NONE, np.int64)
        counted[is_new] = self.seen.qty[done[is_new]]
        for row in np.flatnonzero(~is_new).tolist():  # what was made before is made again as it was
            known = sightings.known[done[row] - sightings.new]
            counted[row] = known.qty if known.n else NONE
        too_old = np.zeros(len(done), np.bool_)
        too_old[is_new] = self.seen.is_too_old[done[is_new]]
        wanted = Wanted(
            self.gates.gate_id[gate], sightings.crossing[done], tags.item[tag], tag, tags.epcs,
            np.where(counted == NONE, tags.qty[tag], counted), sightings.occurred_us[done],
        )  # fmt: skip
        asked = np.flatnonzero(~too_old)
        part = Wanted(
            wanted.gate[asked], wanted.direction[asked], wanted.item[asked], wanted.tag[asked], wanted.epcs,
            wanted.qty[asked], wanted.occurred_us[asked],
        )  # fmt: skip
        # All that moves is asked for, also what is too old to be matched: the lock is on what its gate expects.
        expected = Expected.load(self.cursor, self.company_id, wanted)
        match = np.full(len(done), NONE, np.int64)
        match[asked] = expected.take(part)
        return wanted, match, expected, too_old

    def _terms(self, placing: Int64, expected_kind: Int64, too_old: Bool) -> "_Terms":
        """Kind, from and to of what moves, and where every tag is afterwards.

        placing  sightings that the tags move by, those that the books know included, in the order of the world
        expected_kind, too_old  of those that the books do not know: the kind that was expected of each, or 0
        """
        sightings, gates, beyond = self.sightings, self.gates, self.beyond
        stays = sightings.moved[placing]
        known = [sightings.known[at - sightings.new] for at in placing[stays].tolist()]
        booked = np.array(
            [(one.expected_kind, one.is_too_old, one.kind, one.from_id, one.to_id) for one in known], np.int64
        ).reshape(-1, 5)
        gate, crossing = sightings.gate[placing], sightings.crossing[placing]
        kind, is_too_old = np.zeros(len(placing), np.int64), np.zeros(len(placing), np.bool_)
        kind[~stays], is_too_old[~stays] = expected_kind, too_old
        kind[stays], is_too_old[stays] = booked[:, 0], booked[:, 1]
        is_in, is_expected = crossing == Crossing.IN, kind != 0
        near = np.where(is_in, gates.outside_id[gate], gates.inside_id[gate])
        far = gates.target(gate, crossing)
        other = np.where(is_expected, beyond.by_kind()[kind], 0)
        inside = gates.is_internal[gate] & ~is_too_old & ~is_expected
        waits = beyond.clarification(gates)[gate]
        waits = np.where(waits == NOWHERE, far, waits)
        unexplained_in = is_in & ~is_expected & ~inside

        kind = np.where(is_expected, kind, np.where(is_in, int(Kind.UNEXPLAINED_IN), int(Kind.UNEXPLAINED_OUT)))
        kind = np.where(inside, int(Kind.INTERNAL_MOVE), kind)
        to_id = np.where(~is_in & is_expected & (other != 0), other, far)
        usual = np.where(unexplained_in, waits, to_id)
        went = usual.copy()  # what the books say of those that they know
        went[stays] = booked[:, 4]
        was_held = self._held_so_far()[placing]
        # Where a tag goes depends on where it was only for goods in transit; each round settles one more crossing.
        # What the books know stays as it is where the tag was where the books thought it was.
        arrives, moot = np.zeros(len(placing), np.bool_), np.zeros(len(placing), np.bool_)
        while True:
            to_id = np.where(stays & ~moot, went, np.where(arrives, far, usual))
            held, location = self._follow(placing, to_id)
            before, moot_before = arrives, moot
            arrives = unexplained_in & ~is_too_old & (held != NOWHERE) & (held == beyond.in_transit)
            moot = stays & (held != was_held)
            if (arrives == before).all() and (moot == moot_before).all():
                break
        kind = np.where(arrives, int(Kind.TRANSFER_IN), kind)
        is_ours = (held != NOWHERE) & ~np.isin(held, beyond.not_ours)
        from_id = np.where(is_ours, held, near)
        comes = is_in & ~inside
        from_id = np.where(comes, np.where(other != 0, other, near), from_id)
        from_id = np.where(arrives, beyond.in_transit, from_id)
        changed = moot.copy()
        changed[stays] &= (np.stack([kind, from_id, to_id], axis=1)[stays] != booked[:, 2:]).any(axis=1)
        return _Terms(kind, from_id, to_id, changed, location)

    def _held_so_far(self) -> Int64:
        """By sighting, where its tag was before it as far as the books know; only of known ones that moved it."""
        sightings = self.sightings
        at = self.verdicts.at[sightings.moved[self.verdicts.at]]
        went = np.array([sightings.known[one - sightings.new].to_id for one in at.tolist()], np.int64)
        held = np.full(len(sightings.tag), NOWHERE, np.int64)
        held[at] = self._follow(at, went)[0]
        return held

    def _follow(self, placing: Int64, to_id: Int64) -> tuple[Int64, Int64]:
        """Where each tag is before it moves, by sighting; and where every tag is in the end."""
        location = self.tags.location.copy()
        tag = self.sightings.tag[placing]
        order = np.argsort(tag, kind="stable")
        goes, sorted_tag = to_id[order], tag[order]
        before = location[sorted_tag]
        follows = sorted_tag[1:] == sorted_tag[:-1]
        before[1:][follows] = goes[:-1][follows]
        location[sorted_tag] = goes  # of several the last is kept
        held = np.empty(len(placing), np.int64)
        held[order] = before
        return held, location

    def _columns(
        self,
        done: Int64,
        wanted: Wanted,
        match: Int64,
        expected: Expected,
        terms: "_Terms",
    ) -> MovementColumns:
        sightings, seen = self.sightings, self.seen
        n = len(done)
        is_new = done < sightings.new
        new = done[is_new]
        tags, gateway, seq = (np.zeros(n, np.int64) for _ in range(3))
        tags[is_new] = np.where(seen.has_wrong_clock[new], int(Tag.CLOCK), 0)
        gateway[is_new], seq[is_new] = seen.gateway[new], seen.seq[new]
        epoch, corrects = np.zeros((n, 16), np.uint8), np.zeros((n, 16), np.uint8)
        epoch[is_new] = seen.epoch[new]
        movement_id = sightings.movement_id[done]
        for row in np.flatnonzero(~is_new).tolist():
            known = sightings.known[done[row] - sightings.new]
            gateway[row], seq[row] = known.gateway, known.seq
            epoch[row] = _bytes(known.epoch)
            tags[row] = int(Tag.CLOCK) if known.has_wrong_clock else 0
            movement_id[row] = _bytes(_derived(known.movement_id, known.n))
            if known.n:
                corrects[row] = _bytes(known.movement_id)

        def of_match(values: Int64, nothing: int) -> Int64:
            return np.append(values, nothing)[match]

        return MovementColumns(
            movement_id=movement_id, kind=terms.kind, item=wanted.item, qty=wanted.qty, from_id=terms.from_id,
            to_id=terms.to_id, party=of_match(expected.party, 0), document=texts_of(expected.document, match),
            price=of_match(expected.price, NONE), rate=of_match(expected.rate, _RATE_ONE),
            value=np.full(n, NONE, np.int64), occurred_us=wanted.occurred_us, tags=tags, gateway=gateway, seq=seq,
            epoch=epoch, corrects=corrects, lot=self.tags.lot[wanted.tag], original=np.zeros((n, 16), np.uint8),
            reason=texts_of(expected.reason, match), dimension=of_match(expected.dimension, 0),
            currency=of_match(expected.currency, 0), source_row=np.where(is_new, done, NONE),
        )  # fmt: skip

    def _take_back(self, undone: Int64) -> MovementColumns:
        """Known movements that should not have been: the same goods go back at what they cost.

        What was owed for them in another currency goes with them, so that movement bears their price again.
        """
        known = [self.sightings.known[at - self.sightings.new] for at in undone.tolist()]
        values: dict[uuid.UUID, int] = {}
        if known:
            where = {"company": self.company_id, "ids": [one.movement_id for one in known]}
            values = dict(self.cursor.execute(statement("observed", "value_of"), where).fetchall())
        n = len(known)

        def column(values: list[int]) -> Int64:
            return np.array(values, np.int64)

        return MovementColumns(
            movement_id=_ids([_derived(one.movement_id, one.n) for one in known]),
            kind=column([one.kind for one in known]), item=column([one.item for one in known]),
            qty=column([one.qty for one in known]), from_id=column([one.to_id for one in known]),
            to_id=column([one.from_id for one in known]), party=column([one.party for one in known]),
            document=[one.document for one in known],
            price=column([one.price if one.currency else NONE for one in known]),
            rate=column([one.rate if one.currency else _RATE_ONE for one in known]),
            value=column([-values.get(one.movement_id, 0) or NONE for one in known]),
            occurred_us=self.sightings.occurred_us[undone], tags=np.zeros(n, np.int64),
            gateway=column([one.gateway for one in known]), seq=column([one.seq for one in known]),
            epoch=_ids([one.epoch for one in known]), corrects=_ids([one.movement_id for one in known]),
            lot=column([one.lot for one in known]), original=np.zeros((n, 16), np.uint8),
            reason=[one.reason for one in known], dimension=column([one.dimension for one in known]),
            currency=column([one.currency for one in known]), source_row=np.full(n, NONE, np.int64),
        )  # fmt: skip

    def _again(self, changed: Int64, terms: "_Terms") -> MovementColumns:
        """Known movements that were just taken back, made again between the places that the goods did go between.

        What was expected of them, they have fulfilled: on the same terms, without asking for it again.
        """
        known = [self.sightings.known[at - self.sightings.new] for at in changed.tolist()]
        n = len(known)

        def column(values: list[int]) -> Int64:
            return np.array(values, np.int64)

        return MovementColumns(
            movement_id=_ids([_derived(one.movement_id, one.n + 1) for one in known]), kind=terms.kind,
            item=column([one.item for one in known]), qty=column([one.qty for one in known]), from_id=terms.from_id,
            to_id=terms.to_id, party=column([one.party for one in known]), document=[one.document for one in known],
            price=column([one.price for one in known]), rate=column([one.rate for one in known]),
            value=np.full(n, NONE, np.int64), occurred_us=self.sightings.occurred_us[changed],
            tags=column([int(Tag.CLOCK) if one.has_wrong_clock else 0 for one in known]),
            gateway=column([one.gateway for one in known]), seq=column([one.seq for one in known]),
            epoch=_ids([one.epoch for one in known]), corrects=_ids([one.movement_id for one in known]),
            lot=column([one.lot for one in known]), original=np.zeros((n, 16), np.uint8),
            reason=[one.reason for one in known], dimension=column([one.dimension for one in known]),
            currency=column([one.currency for one in known]), source_row=np.full(n, NONE, np.int64),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Terms:
    """Why each of p crossings moves its tag, from where to where.

    kind, from_id, to_id  int64[p];  location  int64[t], where each tag is in the end, or NOWHERE
    changed               of those that the books know: they say something else, and the tag was not where they thought
    """

    kind: Int64
    from_id: Int64
    to_id: Int64
    changed: Bool
    location: Int64

    def of(self, rows: Bool) -> "_Terms":
        """Those of some of the crossings."""
        return _Terms(self.kind[rows], self.from_id[rows], self.to_id[rows], self.changed[rows], self.location)


def _joined(made: MovementColumns, back: MovementColumns) -> MovementColumns:
    """Both. `book` puts them in its own order: what is taken back goes before what moves in the same instant, and what
    is made again stays behind what took it back."""
    if not len(back):
        return made
    columns: dict[str, Any] = {}
    for name in MovementColumns.__slots__:
        first, second = getattr(made, name), getattr(back, name)
        columns[name] = first + second if isinstance(first, list) else np.concatenate([first, second])
    return MovementColumns(**columns)


def _derived(movement_id: uuid.UUID, made: int) -> uuid.UUID:
    """The id of the (made + 1)-th movement under this one: the first has its own."""
    return movement_id if made == 0 else derived_id(movement_id.bytes + made.to_bytes(4, "big"))


def _bytes(one: uuid.UUID) -> NDArray[np.uint8]:
    return np.frombuffer(one.bytes, np.uint8)


def _ids(values: list[uuid.UUID]) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(value.bytes for value in values), np.uint8).reshape(len(values), 16)


__all__ = ["Beyond", "Known", "Made", "Mover"]
