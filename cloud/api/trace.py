"""/v1/trace: from a journal line to the sighting that caused it, and back.

A journal line is `{source}.{step}.{line}`, an entry `{source}.{step}`, a record its UUID (a movement, value event,
document or re-costing), a voucher its number with ?period=, a tag its EPC in hex or as a URN. Whatever is asked for,
the answer walks line → entry → cost entry → layers and links → movement → observation with its evidence → the number
of the gateway's log, and names what later corrected, consumed, returned or cleared it; each id leads on.
"""

from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

import psycopg
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from cloud.api.access import FinanceReader, Pool, snapshot
from cloud.api.journal_entries import EntryOut, show_entry
from cloud.api.movements import MovementOut, show_movement
from cloud.api.passages import PassageOut, show_passage
from cloud.api.problems import Problem, not_found
from cloud.api.tags import TagOut, show_tag
from cloud.api.values import RATE_DIGITS, Amount, CostValue, KindName, Moment, Quantity
from cloud.domain.access import Company
from cloud.domain.costing.pools import METHODS
from cloud.domain.decimals import micro_text, minor_text
from cloud.domain.moments import moment_of
from cloud.domain.movement import Kind
from cloud.flows.trace import CannotTrace, Found, find, parse
from cloud.store.trace import (
    AllowanceRow,
    ClearingRow,
    CostEntryRow,
    DraftRow,
    LayerRow,
    LinkRow,
    NameRow,
    Record,
    Sort,
    read_record,
)

router = APIRouter(prefix="/v1/trace", tags=["trace"])

RECORDS_MAX = 20  # of one tag, document or re-costing, in full; the rest is named by id
_METHOD_NAMES = {number: name for name, number in METHODS.items()}
SortName = Literal["movement", "value_event", "document", "recosting"]


class BatchOut(BaseModel):
    """The transaction that wrote the record, and its link in the lane's hash chain."""

    lane: int
    number: int
    recorded_at: Moment
    worker: str
    observed: int
    moved: int
    previous: str
    head: str


class NamedOut(BaseModel):
    """Another record in a few words."""

    id: UUID
    sort: SortName | None
    kind: KindName | None
    document: str | None
    party: str | None
    item: str | None
    quantity: Quantity | None
    unit: str | None


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
    """A change of one cost pool; `journal_lines` are the lines whose amount it is, or is part of.

    recosting  the entry of a re-costing that carries it among others
    """

    movement: UUID
    step: int
    site: str | None
    item: str | None
    account: str | None
    dimension: str | None
    counter_account: str | None
    method: str
    quantity: Quantity
    value: CostValue
    posted: Amount
    posting_date: date
    corrects: UUID | None
    recosting: UUID | None
    journal_lines: list[str]
    consumed: list[LinkOut]
    layers: list[LayerOut]


class AllowanceOut(BaseModel):
    """A change of what stands against the value of a pool."""

    movement: UUID
    step: int
    site: str | None
    item: str | None
    value: CostValue
    posted: Amount
    posting_date: date
    journal_lines: list[str]


class RuleOut(BaseModel):
    """The posting rule that was in force when the record was made, and matched. Null matches anything."""

    rule: int
    debit_role: str
    credit_role: str
    item_class: str | None
    site_id: int | None
    reason: str | None
    party_class: str | None
    priority: int
    made_at: Moment
    made_by: str
    ended_at: Moment | None
    ended_by: str | None


class MessageOut(BaseModel):
    """The gateway's own number for it, and the row of that number in the chain of the cloud.

    signature  null until gateways sign what they send
    """

    site: str | None
    gateway: str | None
    epoch: UUID
    seq: int
    lane: int
    batch: int
    row: int
    digest: str
    head: str | None
    signature: str | None


class TermsOut(BaseModel):
    """What a movement was said to cost, and why it moved."""

    reason: str
    dimension: str | None
    price: str | None
    currency: str | None = Field(description="Of the price; null: the company's own.")
    rate: str
    value: CostValue | None


class DraftOut(BaseModel):
    """What a shipment will be, or was, invoiced at."""

    movement: UUID
    document: str
    party: str | None
    net_amount: str
    currency: str
    state: str
    invoice: UUID | None


class ClearedOut(BaseModel):
    """A line that clears an item; `record` has opened it, or is the one that clears it."""

    line: str
    account: str
    amount: Amount
    currency: str | None
    currency_amount: str | None
    record: UUID


class RecordTraceOut(BaseModel):
    """A record with what came of it.

    journal_entries  its own, those that adjust it, those of re-costings that carry its costs
    clears           lines of its own that clear items of others; `cleared_by` those of others that clear its item
    named            the records whose ids stand here, in words
    left_out         how many rows of which list are not shown
    """

    batch: BatchOut | None
    rule: RuleOut | None
    journal_entries: list[EntryOut]
    cost_entries: list[CostEntryOut]
    allowance_entries: list[AllowanceOut]
    clears: list[ClearedOut]
    cleared_by: list[ClearedOut]
    corrected_by: list[UUID]
    named: list[NamedOut]
    left_out: dict[str, int]


class MovementTraceOut(RecordTraceOut):
    """A movement with what led to it and what came of it."""

    movement: MovementOut
    terms: TermsOut
    observation: PassageOut | None = Field(description="Null for a movement that was declared.")
    message: MessageOut | None
    same_crossing: list[PassageOut] = Field(description="Other sightings of this crossing; they moved nothing.")
    consumed_by: list[LinkOut] = Field(description="Who took from the layers that this movement made.")
    returned_by: list[UUID]
    value_events: list[UUID] = Field(description="Events that changed what this receipt costs.")
    draft: DraftOut | None


class ValueEventTraceOut(RecordTraceOut):
    """A change of cost without goods."""

    id: UUID
    kind: KindName
    item: str | None
    receipt: UUID | None
    value: CostValue
    currency: str | None
    currency_amount: str | None
    document: str
    reason: str
    party: str | None
    dimension: str | None
    period: int | None
    occurred_at: Moment


class DocumentTraceOut(RecordTraceOut):
    """An invoice, a payment, a clearing, a manual entry …; `drafts` are the shipments that an invoice is of."""

    id: UUID
    kind: KindName
    number: str
    day: date
    party: str | None
    party_name: str | None
    currency: str
    rate: str
    narration: str
    recorded_by: str
    details: Any
    drafts: list[DraftOut]


class RecostingTraceOut(RecordTraceOut):
    """A re-costing's entry: the differences of many movements and value events, gathered by account."""

    id: UUID


class TraceOut(BaseModel):
    """What was asked for, and all that hangs together with it; `more_movements` are records that are only named."""

    asked: str
    journal_line: str | None
    journal_entry: str | None
    tag: TagOut | None
    passages: list[PassageOut]
    movements: list[MovementTraceOut]
    value_events: list[ValueEventTraceOut]
    documents: list[DocumentTraceOut]
    recostings: list[RecostingTraceOut]
    more_movements: list[UUID]


@router.get("/{what:path}", response_model=TraceOut, summary="From a journal line to its evidence, and back")
def read_trace(
    what: str,
    caller: FinanceReader,
    pool: Pool,
    period: Annotated[int | None, Query(ge=100001, le=999912, description="Of a voucher number.")] = None,
) -> TraceOut:
    """`what` is a journal line, an entry, a voucher, a movement or other record, or an EPC.

    A document, a value event or a re-costing comes with the movements and value events that it is of.
    """
    company = caller.company
    try:
        asked = parse(what)
        with snapshot(pool) as connection:
            found = find(connection, company.company_id, asked, period)
            if found is None:
                raise not_found(asked.what, what)
            return _answer(connection, company, found)
    except CannotTrace as error:
        detail = "neither a journal line, a movement nor an EPC"
        errors = [{"pointer": "path/what", "detail": detail}]
        raise Problem(422, "wrong-value", str(error), errors=errors) from None


def _answer(connection: psycopg.Connection, company: Company, found: Found) -> TraceOut:
    record = found.record
    of = [movement.movement_id for movement in found.movements] if record is None else _records_of(record)
    full = [read_record(connection, company.company_id, one) for one in of[:RECORDS_MAX]]
    records = [one for one in [record, *full] if one is not None]
    return TraceOut(
        asked=found.asked.text,
        journal_line=found.line,
        journal_entry=found.entry,
        tag=show_tag(found.tag) if found.tag else None,
        passages=[show_passage(passage) for passage in found.passages],
        movements=[_show_movement(company, one) for one in records if one.sort is Sort.MOVEMENT],
        value_events=[_show_event(company, one) for one in records if one.sort is Sort.VALUE_EVENT],
        documents=[_show_document(company, one) for one in records if one.sort is Sort.DOCUMENT],
        recostings=[
            RecostingTraceOut(id=one.record_id, **_common(company, one))
            for one in records
            if one.sort is Sort.RECOSTING
        ],
        more_movements=of[RECORDS_MAX:],
    )


def _records_of(record: Record) -> list[UUID]:
    """What a record that is no movement is of: the movements and value events that it names."""
    if record.sort is Sort.MOVEMENT:
        return []
    goods = (Sort.MOVEMENT, Sort.VALUE_EVENT)
    return sorted((one for one, name in record.names.items() if name.sort in goods), key=str)


def _common(company: Company, record: Record) -> dict[str, Any]:
    digits, batch = company.minor_digits, record.batch
    rule = record.rule
    return {
        "batch": None
        if batch is None
        else BatchOut(
            lane=batch.lane,
            number=batch.batch_no,
            recorded_at=batch.recorded_at,
            worker=batch.worker,
            observed=batch.observed,
            moved=batch.moved,
            previous=batch.previous,
            head=batch.head,
        ),
        "rule": None
        if rule is None
        else RuleOut(
            rule=rule.rule_id,
            debit_role=rule.debit_role,
            credit_role=rule.credit_role,
            item_class=rule.item_class,
            site_id=rule.site_id,
            reason=rule.reason,
            party_class=rule.party_class,
            priority=rule.priority,
            made_at=rule.made_at,
            made_by=rule.made_by,
            ended_at=rule.ended_at,
            ended_by=rule.ended_by,
        ),
        "journal_entries": [
            show_entry(company, entry, record.lines[entry.source_id, entry.step]) for entry in record.entries
        ],
        "cost_entries": [_show_cost_entry(company, record, cost) for cost in record.cost_entries],
        "allowance_entries": [_show_allowance(company, record, change) for change in record.allowances],
        "clears": [
            ClearedOut(
                line=f"{line.source_id}.{line.step}.{line.line_no}",
                account=line.number,
                amount=minor_text(line.amount, digits),
                currency=line.currency,
                currency_amount=_in_currency(line.currency, line.currency_amount, line.currency_digits),
                record=line.open_item,
            )
            for line in record.cleared()
            if line.open_item is not None
        ],
        "cleared_by": [_show_clearing(row, digits) for row in record.cleared_by],
        "corrected_by": record.corrected_by,
        "named": [_show_name(name) for name in record.names.values()],
        "left_out": record.more,
    }


def _show_movement(company: Company, record: Record) -> MovementTraceOut:
    movement, born = record.movement, record.born
    assert movement is not None  # noqa: S101  its sort says so
    assert born is not None  # noqa: S101  every movement was born
    digits = company.minor_digits
    return MovementTraceOut(
        **_common(company, record),
        movement=show_movement(movement),
        terms=TermsOut(
            reason=born.reason,
            dimension=born.dimension,
            price=None if born.price_micro is None else micro_text(born.price_micro),
            currency=born.currency,
            rate=_rate_text(born.rate_nano),
            value=None if born.value_micro is None else micro_text(born.value_micro, digits),
        ),
        observation=show_passage(record.observation) if record.observation else None,
        message=_show_message(record),
        same_crossing=[show_passage(passage) for passage in record.evidence],
        consumed_by=[_show_link(link, digits) for link in record.consumed_by],
        returned_by=record.returned_by,
        value_events=record.events,
        draft=next((_show_draft(company, draft) for draft in record.drafts), None),
    )


def _show_message(record: Record) -> MessageOut | None:
    seen, message = record.observation, record.message
    if seen is None or message is None:
        return None
    is_same = record.batch is not None and (record.batch.lane, record.batch.batch_no) == (
        message.lane,
        message.batch_no,
    )
    return MessageOut(
        site=seen.gateway_site,
        gateway=seen.gateway,
        epoch=seen.epoch,
        seq=seen.seq,
        lane=message.lane,
        batch=message.batch_no,
        row=message.row_no,
        digest=message.digest,
        head=record.batch.head if record.batch is not None and is_same else None,
        signature=None,
    )


def _show_event(company: Company, record: Record) -> ValueEventTraceOut:
    event = record.event
    assert event is not None  # noqa: S101  its sort says so
    return ValueEventTraceOut(
        **_common(company, record),
        id=event.event_id,
        kind=Kind(event.kind),
        item=event.item,
        receipt=event.original_id,
        value=micro_text(event.value_micro, company.minor_digits),
        currency=event.currency,
        currency_amount=_in_currency(event.currency, event.currency_amount, event.currency_digits),
        document=event.document,
        reason=event.reason,
        party=event.party,
        dimension=event.dimension,
        period=event.period_id,
        occurred_at=moment_of(event.occurred_us),
    )


def _show_document(company: Company, record: Record) -> DocumentTraceOut:
    document = record.document
    assert document is not None  # noqa: S101  its sort says so
    return DocumentTraceOut(
        **_common(company, record),
        id=document.document_id,
        kind=Kind(document.kind),
        number=document.number,
        day=document.day,
        party=document.party,
        party_name=document.party_name,
        currency=document.currency or company.currency,
        rate=_rate_text(document.rate_nano),
        narration=document.narration,
        recorded_by=document.recorded_by,
        details=document.details,
        drafts=[_show_draft(company, draft) for draft in record.drafts],
    )


def _show_draft(company: Company, draft: DraftRow) -> DraftOut:
    own = draft.currency is None
    return DraftOut(
        movement=draft.movement_id,
        document=draft.document,
        party=draft.party,
        net_amount=minor_text(draft.net_amount, company.minor_digits if own else draft.currency_digits or 0),
        currency=draft.currency or company.currency,
        state=draft.state,
        invoice=draft.posted_as,
    )


def _show_clearing(row: ClearingRow, digits: int) -> ClearedOut:
    return ClearedOut(
        line=f"{row.source_id}.{row.step}.{row.line_no}",
        account=row.account_number,
        amount=minor_text(row.amount, digits),
        currency=row.currency,
        currency_amount=_in_currency(row.currency, row.currency_amount, row.currency_digits),
        record=row.source_id,
    )


def _show_name(name: NameRow) -> NamedOut:
    return NamedOut(
        id=name.record_id,
        sort=Sort(name.sort).value,
        kind=Kind(name.kind),
        document=name.document,
        party=name.party,
        item=name.item,
        quantity=None if name.qty_micro is None else micro_text(name.qty_micro),
        unit=name.unit,
    )


def _show_cost_entry(company: Company, record: Record, cost: CostEntryRow) -> CostEntryOut:
    own, digits = cost.movement_id == record.record_id, company.minor_digits
    return CostEntryOut(
        movement=cost.movement_id,
        step=cost.step,
        site=cost.site,
        item=cost.item,
        account=cost.account_number,
        dimension=cost.dimension,
        counter_account=cost.counter_number,
        method=_METHOD_NAMES.get(cost.method, str(cost.method)),
        quantity=micro_text(cost.qty),
        value=micro_text(cost.value, digits),
        posted=minor_text(cost.posted, digits),
        posting_date=cost.posting_date,
        corrects=cost.corrects,
        recosting=cost.journal_id,
        journal_lines=[f"{line.source_id}.{line.step}.{line.line_no}" for line in record.lines_of(cost)],
        consumed=[_show_link(link, digits) for link in record.consumed if own and link.step == cost.step],
        layers=[
            _show_layer(layer, digits)
            for layer in record.layers
            if own and layer.pool_id == cost.pool_id and layer.step == cost.step
        ],
    )


def _show_allowance(company: Company, record: Record, change: AllowanceRow) -> AllowanceOut:
    return AllowanceOut(
        movement=change.movement_id,
        step=change.step,
        site=change.site,
        item=change.item,
        value=micro_text(change.value, company.minor_digits),
        posted=minor_text(change.posted, company.minor_digits),
        posting_date=change.posting_date,
        journal_lines=[
            f"{line.source_id}.{line.step}.{line.line_no}"
            for line in record.lines_of_allowance(company.company_id, change)
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


def _in_currency(currency: str | None, amount: int, digits: int | None) -> str | None:
    return None if currency is None else minor_text(amount, digits or 0)


def _rate_text(rate_nano: int) -> str:
    return minor_text(rate_nano, RATE_DIGITS).rstrip("0").rstrip(".")
