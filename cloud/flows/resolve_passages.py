"""From sightings to movements: which item a tag is, whether it moved, why, from where to where.

`resolve` walks every tag of the batch through its crossings (known ones too where a sighting is late),
matches what moved against the expectations, and hands out movements as columns, with corrections for known
sightings whose verdict has changed. Nothing is written here but locks are taken.
"""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import psycopg

from cloud.domain.batch import Company
from cloud.domain.catalog import lot_of_tag
from cloud.domain.crossing import Sighting, Verdict, walk
from cloud.domain.ledger.chart import PHYSICAL_PLACES
from cloud.domain.movement import MICRO, NONE, Crossing, Kind, MovementColumns, Outcome, Tag, derived_id
from cloud.domain.observation import Observed
from cloud.store.master import put_lots
from cloud.store.sql import statement
from protocols.epc.tag_memory import gtin_of

Cursor = psycopg.Cursor


# Where goods come from or go to beyond the gate, by the kind of movement.
_BEYOND = {
    Kind.PURCHASE_RECEIPT: "supplier",
    Kind.SUPPLIER_RETURN: "supplier",
    Kind.SALES_SHIPMENT: "customer",
    Kind.CUSTOMER_RETURN: "customer",
    Kind.TRANSFER_OUT: "in_transit",
    Kind.TRANSFER_IN: "in_transit",
    Kind.SCRAP: "scrap",
}


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate and what lies on its two sides; kinds as in the table locations."""

    gate_id: int
    inside_id: int
    outside_id: int
    group: int
    same_us: int
    inside_kind: str
    inside_site: int
    outside_kind: str
    outside_site: int

    def target(self, crossing: Crossing) -> int:
        """The area that a passage in this direction leads to."""
        return self.inside_id if crossing is Crossing.IN else self.outside_id

    @property
    def is_internal(self) -> bool:
        """Whether both sides are the company's own floor."""
        return self.inside_kind in PHYSICAL_PLACES and self.outside_kind in PHYSICAL_PLACES


@dataclass(frozen=True, slots=True)
class PlaceLeft:
    """Where the walk leaves a tag: a row of `places`."""

    epc: str
    area: int
    location: int
    occurred_us: int
    movement_id: uuid.UUID
    group: int
    confidence: float


@dataclass(frozen=True, slots=True)
class Filled:
    """What a movement takes of an expectation; source_row as in MovementColumns."""

    expectation_id: int
    qty: int
    source_row: int


@dataclass(slots=True)
class Resolved:
    """What a batch of sightings comes to.

    outcomes   for each new sighting (by its row), what it did and the winner's movement id
    movements  what moves, corrections of known sightings included; source_row is the row of the new
               sighting it comes from, or NONE
    """

    outcomes: dict[int, tuple[Outcome, uuid.UUID | None]]
    movements: MovementColumns
    places: list[PlaceLeft]
    filled: list["Filled"]
    gate_ids: dict[str, int]


@dataclass(frozen=True, slots=True)
class _Known:
    """A recorded crossing: n movements stand under its id (made, undone, made again); the first one's terms."""

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


@dataclass(slots=True)
class _Move:
    """One movement in the making."""

    movement_id: uuid.UUID
    kind: int
    item: int
    qty: int
    from_id: int
    to_id: int
    party: int
    document: str
    price: int
    rate: int
    value: int
    occurred_us: int
    tags: int
    gateway: int
    epoch: uuid.UUID
    seq: int
    corrects: uuid.UUID | None
    lot: int
    source_row: int
    reason: str = ""
    dimension: int = 0
    currency: int = 0


@dataclass(frozen=True, slots=True)
class _Contents:
    """What a tag stands for: so much of an item, of a lot (lot_id or 0)."""

    item: int
    qty: int
    lot: int


@dataclass(slots=True)
class _Tag:
    """A tag on its walk."""

    epc: str
    item: int
    qty: int
    lot: int
    area: int | None
    location: int | None
    since_us: int | None = None
    sightings: list[Sighting] = field(default_factory=list)


class UnknownGate(LookupError):
    """No gate of that code is registered."""


def resolve(cursor: Cursor, company: Company, observed: Sequence[Observed], again: Iterable[str] = ()) -> Resolved:
    """Resolve new sightings; tags of `again` are walked again from their beginning (they were just bound).

    Every observed gate must be registered (see `load_gates`). Raises UnknownGate, psycopg.Error.
    """
    return _Resolution(cursor, company, observed).run(set(again))


def load_gates(cursor: Cursor, company_id: int) -> dict[str, Gate]:
    """The company's gates by code."""
    rows = cursor.execute(statement("observed", "gates"), {"company": company_id})
    return {row[0]: Gate(*row[1:]) for row in rows}


def _shared_times(gates: Iterable[Gate]) -> dict[int, int]:
    """For each crossing group, within what time two of its gates may see one crossing; 0 for a gate alone."""
    groups: dict[int, list[int]] = defaultdict(list)
    for gate in gates:
        groups[gate.group].append(gate.same_us)
    return {group: max(times) if len(times) > 1 else 0 for group, times in groups.items()}


class _Resolution:
    def __init__(self, cursor: Cursor, company: Company, observed: Sequence[Observed]) -> None:
        self._cursor = cursor
        self._company = company
        self._observed = observed
        self._where = {"company": company.company_id}
        self._gates = load_gates(cursor, company.company_id)
        self._gates_by_id = {gate.gate_id: gate for gate in self._gates.values()}
        self._shared_us = _shared_times(self._gates.values())
        self._known: list[_Known] = []
        self._moves: list[_Move] = []
        self._outcomes: dict[int, tuple[Outcome, uuid.UUID | None]] = {}
        rows = cursor.execute(statement("observed", "virtual_locations"), self._where)
        self._virtual = {(kind, site): location for kind, site, location in rows}
        beyond = ("supplier", "customer", "scrap", "world", "in_transit")
        self._beyond = {location for (kind, _), location in self._virtual.items() if kind in beyond}

    def run(self, again: set[str]) -> Resolved:
        by_epc: dict[str, list[int]] = defaultdict(list)
        for row, seen in enumerate(self._observed):
            if seen.gate not in self._gates:
                raise UnknownGate(f"no gate {seen.gate!r}")
            by_epc[seen.epc].append(row)
        epcs = sorted(set(by_epc) | again)
        items = self._items(epcs)
        for epc in epcs:
            if epc not in items:
                for row in by_epc[epc]:
                    self._outcomes[row] = (self._unregistered_outcome(row), None)
        tags = self._tags({epc: items[epc] for epc in epcs if epc in items}, by_epc, again)
        verdicts: list[tuple[_Tag, Verdict]] = []
        places: list[PlaceLeft] = []
        walks = {tag.epc: walk(tag.area, tag.sightings) for tag in tags}
        for tag in tags:
            verdicts += [(tag, verdict) for verdict in walks[tag.epc].verdicts]
        verdicts.sort(key=lambda pair: (pair[1].sighting.occurred_us, pair[1].sighting.key))
        filled = self._act(verdicts)
        for tag in tags:
            last = walks[tag.epc].last
            if last is not None and tag.location is not None:
                places.append(self._place(tag, last))
        gate_ids = {code: gate.gate_id for code, gate in self._gates.items()}
        return Resolved(self._outcomes, _columns(self._moves), places, filled, gate_ids)

    # ── What is known of the tags ──

    def _items(self, epcs: list[str]) -> dict[str, _Contents]:
        """What each tag stands for: by the registry, else by the GTIN that it carries."""
        # Taken before anything is read: a tag that is new has no row that could be locked.
        self._cursor.execute(statement("observed", "lock_epcs"), self._where | {"epcs": epcs})
        rows = self._cursor.execute(statement("observed", "tags"), self._where | {"epcs": epcs})
        found = {epc: _Contents(*contents) for epc, *contents in rows}
        gtins = {epc: gtin for epc in epcs if epc not in found and (gtin := gtin_of(epc)) is not None}
        if gtins:
            where = self._where | {"gtins": sorted(set(gtins.values()))}
            items = {row[0]: row[1:] for row in self._cursor.execute(statement("observed", "gtins"), where)}
            found |= self._pieces({epc: items[gtin] for epc, gtin in gtins.items() if gtin in items})
        return found

    def _pieces(self, items: dict[str, tuple[int, str, str]]) -> dict[str, _Contents]:
        """One piece each of (item, tracking, method) by EPC; where pieces are told apart, the EPC is its lot."""
        lots = {
            epc: code
            for epc, (_, tracking, method) in items.items()
            if (code := lot_of_tag(tracking, method, epc)) is not None
        }
        numbers = put_lots(
            self._cursor.connection,
            self._company.company_id,
            [(items[epc][0], code) for epc, code in lots.items()],
        )
        return {
            epc: _Contents(item, MICRO, numbers[item, lots[epc]] if epc in lots else 0)
            for epc, (item, *_) in items.items()
        }

    def _unregistered_outcome(self, row: int) -> Outcome:
        crossing = self._observed[row].direction
        if crossing is Crossing.TURNED_BACK:
            return Outcome.TURNED_BACK
        return Outcome.UNDECIDED if crossing is Crossing.UNDECIDED else Outcome.UNREGISTERED

    def _tags(self, items: dict[str, _Contents], by_epc: dict[str, list[int]], again: set[str]) -> list[_Tag]:
        where = self._where | {"epcs": sorted(items)}
        places = {row[0]: row[1:] for row in self._cursor.execute(statement("observed", "lock_places"), where)}
        tags = []
        for epc, contents in items.items():
            area, location, placed_us = places.get(epc, (None, None, None))
            tag = _Tag(epc, contents.item, contents.qty, contents.lot, area, location)
            tag.sightings = [self._new_sighting(row) for row in by_epc[epc]]
            if epc in again:
                tag.since_us = -(2**62)
            elif placed_us is not None:
                tag.since_us = self._history_start(tag, placed_us)
            tags.append(tag)
        self._add_history([tag for tag in tags if tag.since_us is not None])
        return tags

    def _new_sighting(self, row: int) -> Sighting:
        seen = self._observed[row]
        gate = self._gates[seen.gate]
        target = gate.target(seen.direction)
        return Sighting(
            row, seen.occurred_us, gate.gate_id, seen.direction, target, gate.group, gate.same_us, seen.confidence
        )

    def _history_start(self, tag: _Tag, placed_us: int) -> int | None:
        """From when on a tag's known crossings matter: None when all that is new comes well after them.

        Well after: behind the last one, by more than the time within which other gates of the sighting's
        group may see the same crossing. A gate alone in its group cannot share one.
        """
        widest = max((self._shared_us[sighting.group] for sighting in tag.sightings), default=0)
        first = min((sighting.occurred_us for sighting in tag.sightings), default=None)
        return None if first is None or first > placed_us + widest else first - widest

    def _add_history(self, tags: list[_Tag]) -> None:
        if not tags:
            return
        by_epc = {tag.epc: tag for tag in tags}
        where = self._where | {"epcs": list(by_epc), "since_us": [tag.since_us for tag in tags]}
        for tag in tags:
            tag.area = tag.location = None
        for epc, gate, direction, to_id in self._cursor.execute(statement("observed", "place_before"), where):
            by_epc[epc].area = self._gates_by_id[gate].target(Crossing(direction))
            by_epc[epc].location = to_id
        for row in self._cursor.execute(statement("observed", "history"), where).fetchall():
            self._add_known(by_epc[row[0]], row)

    def _add_known(self, tag: _Tag, row: tuple[Any, ...]) -> None:
        _, movement_id, occurred_us, gate_id, direction, confidence, _outcome, n, *terms = row
        gate = self._gates_by_id[gate_id]
        (kind, item, qty, from_id, to_id, party, document, lot, reason, dimension, price, rate, currency, gateway,
         epoch, seq) = terms  # fmt: skip
        self._known.append(
            _Known(movement_id, n, kind or 0, item or 0, qty or 0, from_id or 0, to_id or 0, party or 0,
                   document or "", lot or 0, reason or "", dimension or 0, NONE if price is None else price,
                   rate or 1_000_000_000, currency or 0, gateway, epoch, seq)
        )  # fmt: skip
        tag.sightings.append(
            Sighting(
                key=-len(self._known), occurred_us=occurred_us, gate=gate_id, crossing=Crossing(direction),
                target=gate.target(Crossing(direction)), group=gate.group, same_us=gate.same_us,
                confidence=confidence, known=True, moved=n % 2 == 1,
            )
        )  # fmt: skip

    def _movement_id(self, key: int) -> uuid.UUID:
        return self._observed[key].movement_id if key >= 0 else self._known[-key - 1].movement_id

    # ── What the verdicts do ──

    def _act(self, verdicts: list[tuple[_Tag, Verdict]]) -> list[Filled]:
        doing = [(tag, verdict) for tag, verdict in verdicts if verdict.is_done]
        expected = _Expected.load(self._cursor, self._where, doing) if doing else _Expected({}, {})
        undone = [self._known[-v.sighting.key - 1].movement_id for _, v in verdicts if v.is_undone]
        values: dict[uuid.UUID, int] = {}
        if undone:
            rows = self._cursor.execute(statement("observed", "value_of"), self._where | {"ids": undone})
            values = dict(rows.fetchall())
        for tag, verdict in verdicts:
            sighting = verdict.sighting
            if not sighting.known:
                winner = None if verdict.winner is None else self._movement_id(verdict.winner)
                self._outcomes[sighting.key] = (verdict.outcome, winner)
            if verdict.is_done:
                self._make(tag, sighting, expected)
            elif verdict.is_undone:
                self._unmake(self._known[-sighting.key - 1], sighting, values)
            elif verdict.moves:
                tag.location = self._known[-sighting.key - 1].to_id
        return expected.filled

    def _make(self, tag: _Tag, sighting: Sighting, expected: "_Expected") -> None:
        """The tag moves by this sighting."""
        gate = self._gates_by_id[sighting.gate]
        new = self._observed[sighting.key] if sighting.key >= 0 else None
        known = None if new is not None else self._known[-sighting.key - 1]
        qty = tag.qty if new is None or new.qty_micro is None else new.qty_micro
        too_old = new is not None and new.is_too_old
        match = None if too_old else expected.take(gate, sighting, tag, qty)
        kind, from_id, to_id = self._terms(tag, gate, sighting.crossing, match, too_old)
        tags = Tag.CLOCK if new is not None and new.has_wrong_clock else Tag(0)
        source: Any = new if new is not None else known
        gateway = source.gateway_id if new is not None else source.gateway
        made = known.n if known is not None else 0
        self._moves.append(
            _Move(
                movement_id=_derived(source.movement_id, made), kind=kind, item=tag.item, qty=qty,
                from_id=from_id, to_id=to_id, party=match.party if match else 0,
                document=match.document if match else "", price=match.price if match else NONE,
                rate=match.rate if match else 1_000_000_000, value=NONE, occurred_us=sighting.occurred_us,
                tags=tags, gateway=gateway, epoch=source.epoch, seq=source.seq,
                corrects=source.movement_id if made else None, lot=tag.lot,
                source_row=sighting.key if new is not None else NONE, reason=match.reason if match else "",
                dimension=match.dimension if match else 0, currency=match.currency if match else 0,
            )
        )  # fmt: skip
        tag.location = to_id

    def _unmake(self, known: _Known, sighting: Sighting, values: dict[uuid.UUID, int]) -> None:
        """A known movement should not have been: the same goods go back at what they cost.

        What was owed for them in another currency goes with them, so that movement bears their price again.
        """
        is_foreign = known.currency != 0
        self._moves.append(
            _Move(
                movement_id=_derived(known.movement_id, known.n), kind=known.kind, item=known.item, qty=known.qty,
                from_id=known.to_id, to_id=known.from_id, party=known.party, document=known.document,
                price=known.price if is_foreign else NONE, rate=known.rate if is_foreign else 1_000_000_000,
                value=-values.get(known.movement_id, 0) or NONE,
                occurred_us=sighting.occurred_us, tags=0, gateway=known.gateway, epoch=known.epoch,
                seq=known.seq, corrects=known.movement_id, lot=known.lot, source_row=NONE,
                reason=known.reason, dimension=known.dimension, currency=known.currency,
            )
        )  # fmt: skip

    def _terms(
        self, tag: _Tag, gate: Gate, crossing: Crossing, match: "_Expectation | None", too_old: bool
    ) -> tuple[int, int, int]:
        """Kind, from and to of a movement through `gate`."""
        near = gate.outside_id if crossing is Crossing.IN else gate.inside_id
        far = gate.target(crossing)
        held = tag.location if tag.location is not None and self._is_ours(tag) else near
        if match is not None:
            beyond = self._virtual.get((_BEYOND.get(Kind(match.kind), ""), 0))
            if crossing is Crossing.IN:
                return match.kind, beyond or near, far
            return match.kind, held, beyond or far
        if gate.is_internal and not too_old:
            return Kind.INTERNAL_MOVE, held, far
        site = gate.inside_site
        clarification = self._virtual.get(("clarification", site)) or self._virtual.get(("clarification", 0), far)
        if crossing is Crossing.IN:
            in_transit = self._virtual.get(("in_transit", 0))
            if tag.location is not None and tag.location == in_transit and not too_old:
                return Kind.TRANSFER_IN, in_transit, far
            return Kind.UNEXPLAINED_IN, near, clarification
        return Kind.UNEXPLAINED_OUT, held, far

    def _is_ours(self, tag: _Tag) -> bool:
        """Whether the place the tag was booked to is one of ours, so that goods can leave it."""
        return tag.location not in self._beyond

    def _place(self, tag: _Tag, last: Sighting) -> PlaceLeft:
        assert tag.location is not None  # noqa: S101  the caller has looked
        return PlaceLeft(
            tag.epc, last.target, tag.location, last.occurred_us, self._movement_id(last.key), last.group,
            last.confidence,
        )  # fmt: skip


@dataclass(slots=True)
class _Expectation:
    expectation_id: int
    kind: int
    party: int
    document: str
    price: int
    rate: int
    open: int
    until_us: int
    reason: str
    dimension: int
    currency: int


class _Expected:
    """The open expectations of a batch, taken in order; `filled` says what each movement took."""

    def __init__(
        self, by_epc: dict[tuple[int, int, str], list[_Expectation]],
        by_item: dict[tuple[int, int, int], list[_Expectation]],
    ) -> None:  # fmt: skip
        self._by_epc = by_epc
        self._by_item = by_item
        self.filled: list[Filled] = []

    @classmethod
    def load(cls, cursor: Cursor, where: dict[str, Any], doing: list[tuple[_Tag, Verdict]]) -> "_Expected":
        """What the gates of these movements may expect of their tags and items."""
        by_epc: dict[tuple[int, int, str], list[_Expectation]] = defaultdict(list)
        by_item: dict[tuple[int, int, int], list[_Expectation]] = defaultdict(list)
        parameters = where | {
            "gates": sorted({verdict.sighting.gate for _, verdict in doing}),
            "epcs": sorted({tag.epc for tag, _ in doing}),
            "items": sorted({tag.item for tag, _ in doing}),
        }
        for row in cursor.execute(statement("observed", "expectations"), parameters):
            number, gate, direction, epc, item, kind, party, document, price, *terms = row
            one = _Expectation(number, kind, party or 0, document, NONE if price is None else price, *terms)
            if epc is not None:
                by_epc[gate, direction, epc].append(one)
            else:
                by_item[gate, direction, item].append(one)
        return cls(by_epc, by_item)

    def take(self, gate: Gate, sighting: Sighting, tag: _Tag, qty: int) -> _Expectation | None:
        """The first that is still open for this tag, else for its item; it is filled by `qty`."""
        direction = int(sighting.crossing)
        candidates = (
            *self._by_epc.get((gate.gate_id, direction, tag.epc), ()),
            *self._by_item.get((gate.gate_id, direction, tag.item), ()),
        )
        for one in candidates:
            if one.open > 0 and sighting.occurred_us <= one.until_us:
                one.open -= qty
                self.filled.append(Filled(one.expectation_id, qty, max(sighting.key, -1)))
                return one
        return None


def _derived(movement_id: uuid.UUID, made: int) -> uuid.UUID:
    """The id of the (made + 1)-th movement under this one: the first has its own."""
    return movement_id if made == 0 else derived_id(movement_id.bytes + made.to_bytes(4, "big"))


def _columns(moves: list[_Move]) -> MovementColumns:
    n = len(moves)

    def ids(values: Iterable[uuid.UUID]) -> np.ndarray:
        return np.frombuffer(b"".join(value.bytes for value in values), np.uint8).reshape(n, 16)

    def column(name: str) -> np.ndarray:
        return np.fromiter((getattr(move, name) for move in moves), np.int64, n)

    nothing = uuid.UUID(int=0)
    return MovementColumns(
        movement_id=ids(move.movement_id for move in moves),
        kind=column("kind"),
        item=column("item"),
        qty=column("qty"),
        from_id=column("from_id"),
        to_id=column("to_id"),
        party=column("party"),
        document=[move.document for move in moves],
        price=column("price"),
        rate=column("rate"),
        value=column("value"),
        occurred_us=column("occurred_us"),
        tags=column("tags"),
        gateway=column("gateway"),
        seq=column("seq"),
        epoch=ids(move.epoch for move in moves),
        corrects=ids(move.corrects or nothing for move in moves),
        lot=column("lot"),
        original=np.zeros((n, 16), np.uint8),
        reason=[move.reason for move in moves],
        dimension=column("dimension"),
        currency=column("currency"),
        source_row=column("source_row"),
    )
