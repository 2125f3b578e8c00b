"""Everything the books know about one record: a movement, a value event, a ledger document or a re-costing.

Rows ↔ values, nothing else. All four are of one space of ids, and their journal entries bear them as source. Lists
that could grow without end (who took of this, what adjusted it) stop at a limit; `more` says how many are left out.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any, TypeVar
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from cloud.domain.ledger.posting import PostingRule, rule_for
from cloud.domain.movement import derived_id
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


class Sort(StrEnum):
    """What a record is."""

    MOVEMENT = "movement"
    VALUE_EVENT = "value_event"
    DOCUMENT = "document"
    RECOSTING = "recosting"


@dataclass(frozen=True, slots=True)
class BatchRow:
    """The transaction that wrote a row; head and previous are the lane's chain (hex)."""

    lane: int
    batch_no: int
    recorded_at: datetime
    worker: str
    observed: int
    moved: int
    head: str
    previous: str


@dataclass(frozen=True, slots=True)
class BornRow:
    """Where a movement was born, on what terms, and what a posting rule asks of it.

    gateway_id   0: the cloud's own log;  digest  of its row (hex)
    price_micro  10⁻⁶ of `currency` (None: the company's own) per stock unit;  rate_nano  base per unit of it, 10⁻⁹
    value_micro  10⁻⁶ of the company's currency, of goods that came with a cost
    site_id      of the pool of its first leg, None where it has none
    """

    gateway_id: int
    epoch: UUID
    seq: int
    digest: str
    reason: str
    price_micro: int | None
    value_micro: int | None
    rate_nano: int
    currency: str | None
    dimension: str | None
    item_class: str | None
    party_class: str | None
    site_id: int | None


@dataclass(frozen=True, slots=True)
class MessageRow:
    """Where the row of a log's number stands in its lane's chain; digest as hex."""

    lane: int
    batch_no: int
    row_no: int
    digest: str


@dataclass(frozen=True, slots=True)
class EventRow:
    """A value event: value_micro in 10⁻⁶ of the company's currency, currency_amount in minor units of `currency`."""

    event_id: UUID
    kind: int
    value_micro: int
    original_id: UUID | None
    period_id: int | None
    document: str
    reason: str
    occurred_us: int
    recorded_at: datetime
    lane: int
    batch_no: int
    row_no: int
    digest: str
    item: str | None
    item_zh: str | None
    item_en: str | None
    item_class: str | None
    site_id: int | None
    site: str | None
    party: str | None
    dimension: str | None
    currency: str | None
    currency_digits: int | None
    currency_amount: int


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A ledger document; currency None: the company's own."""

    document_id: UUID
    kind: int
    number: str
    day: date
    party: str | None
    party_name: str | None
    currency: str | None
    rate_nano: int
    narration: str
    recorded_by: str
    recorded_at: datetime
    details: Any
    lane: int
    batch_no: int
    row_no: int
    digest: str


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A posting rule with when it was made and when it ended."""

    rule_id: int
    kind: int
    item_class: str | None
    site_id: int | None
    debit_role: str
    credit_role: str
    priority: int
    reason: str | None
    party_class: str | None
    dimension_id: int
    made_at: datetime
    made_by: str
    ended_at: datetime | None
    ended_by: str | None

    @property
    def rule(self) -> PostingRule:
        """The rule as posting knows it."""
        return PostingRule(
            self.kind, self.item_class, self.site_id, self.debit_role, self.credit_role, self.priority, self.reason,
            self.party_class, self.dimension_id,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class CostEntryRow:
    """A change of a pool: qty and value in 10⁻⁶, posted in minor units; counter: the account opposite."""

    movement_id: UUID
    step: int
    pool_id: int
    site_id: int
    site: str | None
    item: str | None
    unit: str | None
    account_id: int
    account_number: str | None
    account_name_zh: str | None
    account_name_en: str | None
    dimension_id: int
    dimension: str | None
    method: int
    qty: int
    value: int
    posted: int
    corrects: UUID | None
    posting_date: date
    counter_account: int | None
    counter_number: str | None
    counter_dimension: int
    journal_id: UUID | None
    total: int


@dataclass(frozen=True, slots=True)
class AllowanceRow:
    """A change of a pool's allowance: value in 10⁻⁶, posted in minor units."""

    movement_id: UUID
    step: int
    pool_id: int
    site: str | None
    item: str | None
    value: int
    posted: int
    posting_date: date
    lane: int
    batch_no: int

    def recosting_of(self, company_id: int) -> UUID:
        """The entry that carries it, if a re-costing changed it (cloud/flows/post_adjustments.py names them so)."""
        return derived_id(
            f"{company_id}/recost/{self.pool_id}/{self.lane}/{self.batch_no}/{self.posting_date}".encode()
        )


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
    total: int


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
class DraftRow:
    """What a shipment will be, or was, invoiced at: minor units of `currency` (None: the company's own)."""

    movement_id: UUID
    document: str
    net_amount: int
    currency: str | None
    currency_digits: int | None
    state: str
    posted_as: UUID | None
    party: str | None


@dataclass(frozen=True, slots=True)
class ClearingRow:
    """A line that clears an item; amounts in minor units."""

    source_id: UUID
    step: int
    line_no: int
    account_number: str
    amount: int
    currency: str | None
    currency_digits: int | None
    currency_amount: int
    posting_date: date
    total: int


@dataclass(frozen=True, slots=True)
class NameRow:
    """What a record is, in a few words; quantity in 10⁻⁶."""

    record_id: UUID
    sort: str
    kind: int
    document: str
    party: str | None
    qty_micro: int | None
    unit: str | None
    item: str | None
    item_zh: str | None
    item_en: str | None


@dataclass(frozen=True, slots=True)
class Record:
    """A record with all that led to it and all that came of it. Of movement, event and document one is there, or none
    for a re-costing.

    batch         the transaction that wrote it, as far as it is there
    born, message, observation, evidence   of a movement: its place in its log, the row of that number, what the
                  gateway saw (None where it was declared), sightings of the same crossing that moved nothing
    rule          that was in force when it was recorded, and matched
    corrected_by, returned_by, events   ids of movements and value events that name it
    entries       its own, those that adjust it, those of re-costings that carry its costs; lines by (source, step)
    cost_entries, allowances   its own, those that adjust it, or those that this re-costing's entry carries
    drafts        of a shipment: its own; of an invoice: those of the shipments that it is of
    cleared_by    lines that clear the item which it opened
    names         what the records are that are named here, by id
    more          how many rows of which list are left out
    """

    record_id: UUID
    sort: Sort
    batch: BatchRow | None
    movement: MovementRow | None = None
    event: EventRow | None = None
    document: DocumentRow | None = None
    born: BornRow | None = None
    message: MessageRow | None = None
    observation: PassageRow | None = None
    evidence: list[PassageRow] = field(default_factory=list)
    rule: RuleRow | None = None
    corrected_by: list[UUID] = field(default_factory=list)
    returned_by: list[UUID] = field(default_factory=list)
    events: list[UUID] = field(default_factory=list)
    entries: list[EntryRow] = field(default_factory=list)
    lines: dict[tuple[UUID, int], list[LineRow]] = field(default_factory=dict)
    cost_entries: list[CostEntryRow] = field(default_factory=list)
    allowances: list[AllowanceRow] = field(default_factory=list)
    consumed: list[LinkRow] = field(default_factory=list)
    consumed_by: list[LinkRow] = field(default_factory=list)
    layers: list[LayerRow] = field(default_factory=list)
    drafts: list[DraftRow] = field(default_factory=list)
    cleared_by: list[ClearingRow] = field(default_factory=list)
    names: dict[UUID, NameRow] = field(default_factory=dict)
    more: dict[str, int] = field(default_factory=dict)

    def lines_of(self, cost: CostEntryRow) -> list[LineRow]:
        """The lines that a cost entry stands on: its own, or those of the re-costing that carries it."""
        if cost.journal_id is None:
            return [line for line in self._lines(cost.movement_id) if line.cost_step == cost.step]
        own = (cost.account_id, cost.dimension_id)
        opposite = (cost.counter_account, cost.counter_dimension)
        return [
            line
            for line in self._lines(cost.journal_id)
            if (line.account_id, line.dimension_id) in (own, opposite)
            or (cost.counter_account is None and line.role == "rounding")
        ]

    def lines_of_allowance(self, company_id: int, change: AllowanceRow) -> list[LineRow]:
        """The lines that a change of an allowance stands on."""
        carries = change.recosting_of(company_id)
        if (carries, 0) not in self.lines and self.event is not None:
            return list(self._lines(change.movement_id))  # a write-down is of nothing else
        source = carries if (carries, 0) in self.lines else change.movement_id
        return [line for line in self._lines(source) if line.role in ("allowance", "cogs", "write_down")]

    def cleared(self) -> list[LineRow]:
        """Its lines that clear an item of another record."""
        return [
            line
            for line in self._lines(self.record_id)
            if line.open_item is not None and line.open_item != self.record_id
        ]

    def _lines(self, source: UUID | None) -> Iterable[LineRow]:
        return (line for (of, _), lines in self.lines.items() if of == source for line in lines)


def read_record(
    connection: psycopg.Connection, company_id: int, record_id: UUID, limit: int = LIST_MAX
) -> Record | None:
    """All about one record; None when the company has no such. Lists stop at `limit`."""
    return _Reader(connection, company_id, record_id, limit).read()


@dataclass(slots=True)
class _Reader:
    connection: psycopg.Connection
    company_id: int
    record_id: UUID
    limit: int

    def read(self) -> Record | None:
        found = self._head()
        if found is None:
            return None
        costs = self._all("cost_entries", CostEntryRow)
        allowances = self._allowances(found)
        entries, lines = self._entries(costs, allowances)
        consumed = self._all("consumed", LinkRow)
        consumed_by = self._all("consumed_by", LinkRow)
        cleared_by = self._all("cleared_by", ClearingRow)
        found |= {
            "cost_entries": costs,
            "allowances": allowances,
            "entries": entries,
            "lines": lines,
            "consumed": consumed,
            "consumed_by": consumed_by,
            "cleared_by": cleared_by,
            "layers": self._all("layers", LayerRow, pools=sorted({cost.pool_id for cost in costs})),
            "drafts": self._all("drafts", DraftRow),
        }
        totals: dict[str, Sequence[CostEntryRow | LinkRow | ClearingRow]] = {
            "cost_entries": costs,
            "consumed": consumed,
            "consumed_by": consumed_by,
            "cleared_by": cleared_by,
        }
        more = {
            name: rows[0].total - len(rows) for name, rows in totals.items() if rows and rows[0].total > len(rows)
        }
        if len(entries) >= self.limit:
            more["entries"] = self._left_out(entries)
        record = Record(record_id=self.record_id, more=more, **found)
        record.names.update(names(self.connection, self.company_id, named_by(record)))
        return record

    def _head(self) -> dict[str, Any] | None:
        """What the record is by itself."""
        movements = find_movements(self.connection, self.company_id, [self.record_id])
        if movements:
            return self._movement(movements[0])
        for event in self._all("event", EventRow):
            batch = self._batch(event.lane, event.batch_no)
            rule = self._rule(event.kind, event.recorded_at, event.item_class, event.site_id, event.reason, None)
            return {"sort": Sort.VALUE_EVENT, "event": event, "batch": batch, "rule": rule}
        for document in self._all("document", DocumentRow):
            batch = self._batch(document.lane, document.batch_no)
            return {"sort": Sort.DOCUMENT, "document": document, "batch": batch}
        own = [entry for entry in self._all("entries", EntryRow, journals=[]) if entry.source_id == self.record_id]
        if own:
            return {"sort": Sort.RECOSTING, "batch": self._batch(own[0].lane, own[0].batch_no)}
        return None

    def _movement(self, movement: MovementRow) -> dict[str, Any]:
        born = self._all("born", BornRow)[0]
        observation = message = None
        if born.gateway_id:
            log = {"company": self.company_id, "gateway": born.gateway_id, "epoch": born.epoch, "seq": born.seq}
            observation = next(iter(_passages(self.connection, _BY_LOG, log)), None)
            message = next(iter(_all(self.connection, "message", MessageRow, log)), None)
        relatives = self.connection.execute(statement(NOUN, "relatives"), self._where()).fetchall()
        rule = self._rule(
            movement.kind, movement.recorded_at, born.item_class, born.site_id, born.reason, born.party_class
        )
        return {
            "sort": Sort.MOVEMENT,
            "movement": movement,
            "batch": self._batch(movement.lane, movement.batch_no),
            "born": born,
            "message": message,
            "observation": observation,
            "evidence": _evidence_of(self.connection, self.company_id, observation) if observation else [],
            # A movement inside one pool is not costed, and a correction follows what it corrects: no rule was asked.
            "rule": None if born.site_id is None else rule,
            "corrected_by": [row[0] for row in relatives if row[1] == "corrects"],
            "returned_by": [row[0] for row in relatives if row[1] == "returns"],
            "events": [row[0] for row in self.connection.execute(statement(NOUN, "events_of"), self._where())],
        }

    def _allowances(self, found: Mapping[str, Any]) -> list[AllowanceRow]:
        """Of a re-costing those that its entry carries: its batch may have written entries of other pools as well."""
        batch = found["batch"]
        if found["sort"] is not Sort.RECOSTING or batch is None:
            return self._all("allowances", AllowanceRow, lane=-1, batch_no=-1, day=date.min)
        days = {entry.posting_date for entry in self._all("entries", EntryRow, journals=[])}
        rows = [
            row
            for day in sorted(days)
            for row in self._all("allowances", AllowanceRow, lane=batch.lane, batch_no=batch.batch_no, day=day)
        ]
        return [row for row in rows if row.recosting_of(self.company_id) == self.record_id]

    def _entries(
        self, costs: Sequence[CostEntryRow], allowances: Sequence[AllowanceRow]
    ) -> tuple[list[EntryRow], dict[tuple[UUID, int], list[LineRow]]]:
        journals = {cost.journal_id for cost in costs if cost.journal_id is not None}
        journals |= {change.recosting_of(self.company_id) for change in allowances}
        entries = self._all("entries", EntryRow, journals=sorted(journals))
        lines = read_lines(self.connection, self.company_id, [(entry.source_id, entry.step) for entry in entries])
        return entries, lines

    def _rule(
        self, kind: int, at: datetime, item_class: str | None, site_id: int | None, reason: str,
        party_class: str | None,
    ) -> RuleRow | None:  # fmt: skip
        """The rule that was in force then, and matched."""
        rows = self._all("rules_at", RuleRow, kind=kind, at=at)
        rules = [(row.rule, row) for row in rows]
        chosen = rule_for(
            [rule for rule, _ in rules], kind, item_class or "", site_id or 0, reason, party_class or ""
        )
        return next((row for rule, row in rules if rule is chosen), None)

    def _batch(self, lane: int, batch_no: int) -> BatchRow | None:
        return next(iter(self._all("batch", BatchRow, lane=lane, batch_no=batch_no)), None)

    def _left_out(self, entries: Sequence[EntryRow]) -> int:
        """How many entries that adjust this record are not among these."""
        row = self.connection.execute(statement(NOUN, "how_many_entries"), self._where()).fetchone()
        shown = sum(entry.corrects == self.record_id and entry.source_id != self.record_id for entry in entries)
        return (int(row[0]) if row else 0) - shown

    def _where(self) -> dict[str, Any]:
        return {"company": self.company_id, "id": self.record_id, "limit": self.limit}

    def _all(self, name: str, row: "type[Row]", **more: Any) -> "list[Row]":
        return _all(self.connection, name, row, self._where() | more)


def named_by(record: Record) -> list[UUID]:
    """The ids of all records that this one names."""
    found: set[UUID | None] = {*record.corrected_by, *record.returned_by, *record.events}
    found |= {cost.movement_id for cost in record.cost_entries} | {cost.corrects for cost in record.cost_entries}
    found |= {cost.journal_id for cost in record.cost_entries} | {entry.source_id for entry in record.entries}
    found |= {change.movement_id for change in record.allowances} | {entry.corrects for entry in record.entries}
    found |= {link.source_id for link in record.consumed} | {link.movement_id for link in record.consumed_by}
    found |= {line.open_item for line in record.cleared()} | {row.source_id for row in record.cleared_by}
    found |= {draft.movement_id for draft in record.drafts} | {draft.posted_as for draft in record.drafts}
    if record.movement is not None:
        found |= {record.movement.corrects, record.movement.returns}
    if record.event is not None:
        found.add(record.event.original_id)
    if record.document is not None:
        found |= set(ids_in(record.document.details))
    return sorted(one for one in found if one is not None and one != record.record_id)


def ids_in(details: Any) -> list[UUID]:
    """The ids of records in what a document says beyond its lines, in the order in which they stand there."""
    if isinstance(details, str):
        try:
            return [uuid.UUID(details)] if len(details) == 36 else []
        except ValueError:
            return []
    parts = details.values() if isinstance(details, dict) else details if isinstance(details, list) else ()
    return list(dict.fromkeys(one for part in parts for one in ids_in(part)))


def names(connection: psycopg.Connection, company_id: int, ids: Sequence[UUID]) -> dict[UUID, NameRow]:
    """What these records are, by id."""
    if not ids:
        return {}
    return {
        row.record_id: row for row in _all(connection, "names", NameRow, {"company": company_id, "ids": list(ids)})
    }


def find_movements(connection: psycopg.Connection, company_id: int, ids: Sequence[UUID]) -> list[MovementRow]:
    """The movements with these ids, in the order in which they occurred."""
    return _all(connection, "movements", MovementRow, {"company": company_id, "ids": list(ids)})


def has_line(connection: psycopg.Connection, company_id: int, source_id: UUID, step: int, line_no: int) -> bool:
    """Whether the company's journal has this line."""
    values = {"company": company_id, "source": source_id, "step": step, "line_no": line_no}
    return connection.execute(statement(NOUN, "line"), values).fetchone() is not None


def entry_of_voucher(
    connection: psycopg.Connection, company_id: int, period_id: int, word: str, number: int
) -> tuple[UUID, int] | None:
    """(source, step) of the entry that bears a voucher number; None where none does yet."""
    values = {"company": company_id, "period": period_id, "word": word, "number": number}
    row = connection.execute(statement(NOUN, "voucher"), values).fetchone()
    return None if row is None else (row[0], row[1])


def passages_of_tag(
    connection: psycopg.Connection, company_id: int, epc: str, limit: int = LIST_MAX
) -> list[PassageRow]:
    """The newest sightings of a tag, newest first."""
    return _passages(connection, _BY_TAG, {"company": company_id, "epc": epc, "limit": limit})


def movements_of(
    connection: psycopg.Connection, company_id: int, observations: Sequence[UUID]
) -> list[MovementRow]:
    """The movements that these observations made, or that correct those."""
    values = {"company": company_id, "ids": list(observations)}
    ids = [row[0] for row in connection.execute(statement(NOUN, "moved_by"), values)]
    return find_movements(connection, company_id, ids)


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
        return cursor.execute(query, {"limit": LIST_MAX} | values).fetchall()


Row = TypeVar("Row")


def _all(connection: psycopg.Connection, name: str, row: type[Row], values: dict[str, Any]) -> list[Row]:
    with connection.cursor(row_factory=class_row(row)) as cursor:
        return cursor.execute(statement(NOUN, name), values).fetchall()
