"""/v1/posting-rules: what each kind of movement posts; what would be posted; what no rule covers."""

from collections.abc import Callable
from datetime import date
from typing import Annotated, Any

import psycopg
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, model_validator

from cloud.api.access import FinanceMasterWriter, FinanceReader, Pool, snapshot
from cloud.api.movements import ROWS_MAX, MovementIn, resolved
from cloud.api.paging import LIMIT_DEFAULT, CursorText, Limit, Page, after_one, make_page
from cloud.api.problems import Problem, not_found
from cloud.api.value_events import ValueEventsIn, book_events
from cloud.api.values import DIMENSIONS_NOTE, Amount, Code, Dimensions, KindName, Moment, Text, tag_names
from cloud.domain.access import Caller, Company
from cloud.domain.currency import code_of, digits_of
from cloud.domain.decimals import minor_text
from cloud.domain.ledger.dimensions import parse_set
from cloud.domain.movement import Kind
from cloud.flows.answer_once import Answered, Request
from cloud.flows.ledger.check_coverage import Uncovered, check_coverage
from cloud.flows.ledger.dry_run import DryEntry, Refusal, Rehearsal, dry_run
from cloud.flows.ledger.edit_rules import (
    PRIORITY_MAX,
    NewRule,
    NoSuchRule,
    WrongRules,
    add_rules,
    end_rule,
    keep_shipped,
    keeps_shipped,
)
from cloud.store.ledger import rules as store
from cloud.store.ledger.rules import EntryLine, StoredRule

router = APIRouter(prefix="/v1/posting-rules", tags=["posting rules"])

RULES_MAX = 200  # of one request


class RuleIn(BaseModel):
    """A new rule; conditions that are left out match anything."""

    model_config = {
        "extra": "forbid",
        "json_schema_extra": {
            "examples": [
                {
                    "kind": "scrap",
                    "reason": "theft",
                    "site": "MAIN",
                    "debit": "loss",
                    "credit": "pool",
                    "priority": 10,
                }
            ]
        },
    }

    kind: KindName
    debit: Code = Field(description="A role of the chart, or `pool`: the account that the goods stand on.")
    credit: Code
    item_class: Code | None = None
    site: Code | None = Field(None, description="A site's code.")
    reason: Text | None = Field(None, min_length=1, description="As movements say it.")
    party_class: Code | None = None
    priority: Annotated[int, Field(ge=-PRIORITY_MAX, le=PRIORITY_MAX)] = 0
    dimensions: Dimensions = Field(default_factory=dict, description=DIMENSIONS_NOTE)


class RulesIn(BaseModel):
    """Rules that begin together, all or none."""

    model_config = {"extra": "forbid"}

    rules: list[RuleIn] = Field(min_length=1, max_length=RULES_MAX)


class RuleOut(BaseModel):
    """A rule; it is never changed: it ends, and another begins."""

    id: int
    kind: KindName
    item_class: str | None
    site: str | None
    reason: str | None
    party_class: str | None
    debit: str
    credit: str
    priority: int
    dimensions: dict[str, str]
    made_at: Moment
    made_by: str
    ended_at: Moment | None
    ended_by: str | None


class ShippedIn(BaseModel):
    """Whether goods that were shipped stand on an account of their own until they are invoiced."""

    model_config = {"extra": "forbid"}

    on: bool


class ShippedOut(BaseModel):
    """Whether they do now, and the rules that ended or began."""

    on: bool
    ended: list[RuleOut]
    begun: list[RuleOut]


class DryRunIn(BaseModel):
    """What to try: movements as POST /v1/movements takes them, then value events as POST /v1/value-events does."""

    model_config = {"extra": "forbid"}

    movements: list[MovementIn] = Field(default_factory=list, max_length=ROWS_MAX)
    value_events: ValueEventsIn | None = None

    @model_validator(mode="after")
    def _asks_something(self) -> "DryRunIn":
        if not self.movements and self.value_events is None:
            raise ValueError("expected movements, value_events or both, got neither")
        return self


class DryLineOut(BaseModel):
    """A line as it would be written; one of debit and credit is there."""

    account: str
    name_zh: str
    name_en: str
    role: str | None
    dimensions: dict[str, str]
    debit: Amount | None
    credit: Amount | None
    currency: str | None = Field(description="Of the document, where it is not the company's own.")
    currency_amount: str | None = Field(description="The same in that currency.")


class DryEntryOut(BaseModel):
    """An entry as it would be written, and the rule that chose its accounts."""

    movement: int | None = Field(
        description="Number of the movement in the request, from 0; null: a value event's."
    )
    kind: KindName
    posting_date: date
    period: int
    tags: list[str]
    document: str
    lines: list[DryLineOut]
    rule: RuleOut | None


class ChosenOut(BaseModel):
    """The rule that a movement of the request would be posted by; null: it stays in one cost pool, without an entry."""

    movement: int
    rule: RuleOut | None


class RefusalOut(BaseModel):
    """What would be refused; an empty pointer is the request as a whole."""

    pointer: str
    detail: str


class DryRunOut(BaseModel):
    """What would be posted. Where something would be refused, nothing of the request would be booked."""

    would_be_booked: bool
    entries: list[DryEntryOut]
    rules: list[ChosenOut]
    refused: list[RefusalOut]


class GapOut(BaseModel):
    """What cannot be posted. Null: whatever it is; empty: all that no rule or account tells apart."""

    lack: str = Field(
        description="no_rule, no_account, header, not_valid, dimension_missing or dimension_refused."
    )
    blocks: bool = Field(description="False: it can be booked by who names the dimension.")
    kind: KindName | None
    item_class: str | None
    site: str | None
    reason: str | None
    party_class: str | None
    role: str | None
    account: str | None
    dimension_types: list[str]
    expectations: int = Field(description="How many of what gates expect it concerns.")
    observations: int = Field(description="How many sightings of tags without an item wait there.")
    sentence: str


class CoverageOut(BaseModel):
    """Everything that would be refused; covered: nothing that nobody could help."""

    covered: bool
    gaps: list[GapOut]


@router.get("", response_model=Page[RuleOut], summary="Posting rules")
def list_rules(
    caller: FinanceReader,
    pool: Pool,
    limit: Limit = LIMIT_DEFAULT,
    cursor: CursorText = None,
    kind: Annotated[KindName | None, Query()] = None,
    ended: Annotated[bool, Query(description="Also those that are in force no more.")] = False,
) -> dict[str, Any]:
    """By age. Of those that match, the highest priority counts; then more conditions; then the older."""
    number = None if kind is None else int(kind)
    filters = {"kind": number, "ended": ended}
    after = after_one(cursor, "posting-rules", filters, -1)
    with pool.connection() as connection:
        rows = store.rules(
            connection, caller.company.company_id, ended=ended, kind=number, after=min(after, store.EVERYTHING),
            limit=limit + 1,
        )  # fmt: skip
    return make_page("posting-rules", filters, rows, limit, lambda row: [row.rule_id], _show)


@router.post("", response_model=list[RuleOut], status_code=201, summary="Begin rules")
def begin(body: RulesIn, caller: FinanceMasterWriter, pool: Pool) -> list[RuleOut]:
    """Rules that would be ambiguous beside each other or those in force are refused."""
    new = [
        NewRule(
            kind=one.kind, debit=one.debit, credit=one.credit, item_class=one.item_class, site=one.site,
            reason=one.reason, party_class=one.party_class, priority=one.priority, dimensions=one.dimensions,
        )
        for one in body.rules
    ]  # fmt: skip
    with pool.connection() as connection:
        try:
            made = add_rules(connection, caller.company.company_id, new, _by(caller))
        except WrongRules as error:
            raise _wrong(error) from None
    return [_show(one) for one in made]


@router.get("/coverage", response_model=CoverageOut, summary="What no rule covers")
def coverage(caller: FinanceReader, pool: Pool) -> CoverageOut:
    """Movements, value events and expectations that would be refused, found before they happen."""
    with snapshot(pool) as connection:
        found = check_coverage(connection, caller.company.company_id)
    return CoverageOut(covered=not any(one.gap.blocks for one in found), gaps=[_show_gap(one) for one in found])


@router.post("/dry-run", response_model=DryRunOut, summary="What would this post?")
def try_out(body: DryRunIn, caller: FinanceReader, pool: Pool) -> DryRunOut:
    """Booked on the real path and undone again: nothing is left behind."""
    company = caller.company
    with pool.connection() as connection, connection.transaction(force_rollback=True):
        rows = resolved(connection, company, body.movements)
        rehearsal = dry_run(
            connection, company.company_id, rows, _by(caller), posts_soft_closed=caller.posts_soft_closed,
            value_events=_recording(company, body.value_events),
        )  # fmt: skip
        rules = [
            ChosenOut(movement=row, rule=None if row not in rehearsal.rules else _show(rehearsal.rules[row]))
            for row in _tried(rehearsal, len(rows))
        ]
    return DryRunOut(
        would_be_booked=rehearsal.would_be_booked,
        entries=[_show_entry(entry, company) for entry in rehearsal.entries],
        rules=rules,
        refused=[_show_refusal(one) for one in rehearsal.refused],
    )


@router.get("/goods-shipped-not-invoiced", response_model=ShippedOut, summary="Whether goods shipped are kept")
def shipped(caller: FinanceReader, pool: Pool) -> ShippedOut:
    """Whether shipments are posted to goods shipped until they are invoiced."""
    with pool.connection() as connection:
        return ShippedOut(on=keeps_shipped(connection, caller.company.company_id), ended=[], begun=[])


@router.put("/goods-shipped-not-invoiced", response_model=ShippedOut, summary="Keep goods shipped, or do not")
def keep(body: ShippedIn, caller: FinanceMasterWriter, pool: Pool) -> ShippedOut:
    """Two rules of a higher priority, for shipments and for customers' returns, come and go together."""
    with pool.connection() as connection:
        try:
            changed = keep_shipped(connection, caller.company.company_id, body.on, _by(caller))
        except WrongRules as error:
            raise _wrong(error, "/on") from None
    return ShippedOut(
        on=body.on, ended=[_show(one) for one in changed.ended], begun=[_show(one) for one in changed.added]
    )


@router.post("/{number}/end", response_model=RuleOut, summary="End a rule")
def end(number: int, caller: FinanceMasterWriter, pool: Pool) -> RuleOut:
    """It explains what was posted until now; one that has ended is not found."""
    if not 0 < number < store.EVERYTHING:
        raise not_found("rule in force", number)
    with pool.connection() as connection:
        try:
            return _show(end_rule(connection, caller.company.company_id, number, _by(caller)))
        except NoSuchRule:
            raise not_found("rule in force", number) from None


def _recording(
    company: Company, said: ValueEventsIn | None
) -> Callable[[psycopg.Connection, Request], Answered] | None:
    if said is None:
        return None
    return lambda connection, request: book_events(connection, company.company_id, said, request)


def _tried(rehearsal: Rehearsal, count: int) -> list[int]:
    """The movements that would not be refused."""
    refused = {one.row for one in rehearsal.refused if not one.event}
    return [] if None in refused else [row for row in range(count) if row not in refused]


def _by(caller: Caller) -> str:
    return f"{caller.person_name} ({caller.key_id})"


def _wrong(error: WrongRules, pointer: str | None = None) -> Problem:
    errors = [
        {"pointer": pointer or f"/rules/{fault.row}/{fault.field}", "detail": fault.why} for fault in error.faults
    ]
    return Problem(422, "wrong-value", f"nothing was changed: {error.faults[0]}", errors=errors[:50])


def _dimensions(code: str) -> dict[str, str]:
    """What a set names; those of work orders name nothing."""
    return parse_set(code) if "=" in code else {}


def _show(one: StoredRule) -> RuleOut:
    rule = one.rule
    return RuleOut(
        id=one.rule_id, kind=Kind(rule.kind), item_class=rule.item_class, site=one.site, reason=rule.reason,
        party_class=rule.party_class, debit=rule.debit_role, credit=rule.credit_role, priority=rule.priority,
        dimensions=_dimensions(one.dimensions), made_at=one.made_at, made_by=one.made_by, ended_at=one.ended_at,
        ended_by=one.ended_by,
    )  # fmt: skip


def _show_entry(entry: DryEntry, company: Company) -> DryEntryOut:
    return DryEntryOut(
        movement=entry.row, kind=Kind(entry.kind), posting_date=entry.posting_date, period=entry.period_id,
        tags=tag_names(entry.tags), document=entry.document,
        lines=[_show_line(line, company.minor_digits) for line in entry.lines],
        rule=None if entry.rule is None else _show(entry.rule),
    )  # fmt: skip


def _show_line(line: EntryLine, digits: int) -> DryLineOut:
    told = minor_text(abs(line.amount), digits)
    is_debit = (line.amount or line.currency_amount) > 0
    return DryLineOut(
        account=line.number, name_zh=line.name_zh, name_en=line.name_en, role=line.role,
        dimensions=_dimensions(line.dimensions), debit=told if is_debit else None, credit=None if is_debit else told,
        currency=code_of(line.currency) if line.currency else None,
        currency_amount=minor_text(line.currency_amount, digits_of(line.currency)) if line.currency else None,
    )  # fmt: skip


def _show_refusal(one: Refusal) -> RefusalOut:
    path = ["value_events"] if one.event else ["movements"] if one.row is not None else []
    path += ["rows"] * (one.event and one.row is not None)
    path += [str(one.row)] if one.row is not None else []
    path += [one.field] if one.field else []
    return RefusalOut(pointer="".join(f"/{part}" for part in path), detail=one.why)


def _show_gap(one: Uncovered) -> GapOut:
    thing = one.gap.thing
    return GapOut(
        lack=one.gap.lack.value, blocks=one.gap.blocks, kind=thing.kind, item_class=thing.item_class, site=one.site,
        reason=thing.reason, party_class=thing.party_class, role=one.gap.role or None,
        account=one.gap.account or None, dimension_types=list(one.gap.types), expectations=one.expectations,
        observations=one.observations, sentence=one.sentence,
    )  # fmt: skip
