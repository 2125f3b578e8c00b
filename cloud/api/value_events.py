"""/v1/value-events: what goods turned out to cost; /v1/allocation-rules: how costs of many are shared."""

from typing import Annotated, Any, Literal
from uuid import UUID

import psycopg
from fastapi import APIRouter
from pydantic import BaseModel, Field, StringConstraints

from cloud.api.access import FinanceReader, MasterWriter, Pool
from cloud.api.once import (
    SIGNED_DECIMAL,
    Change,
    CostChange,
    moment_us,
    parse_signed,
    refusals,
    unknown_codes,
)
from cloud.api.paging import LIMIT_DEFAULT, CursorText, Limit, Page, after_one, make_page
from cloud.api.problems import wrong_value
from cloud.api.values import (
    MICRO_DIGITS,
    RATE_DIGITS,
    Code,
    CostValue,
    DecimalText,
    Moment,
    MomentIn,
    Text,
    parse_decimal,
)
from cloud.domain.costing.allocation import Basis
from cloud.domain.costing.allocation_rules import UnknownIndustry
from cloud.domain.decimals import micro_text
from cloud.domain.moments import moment_of
from cloud.flows.answer_once import Answered, Request
from cloud.flows.record_value_events import (
    ROWS_MAX,
    LandedCost,
    Paper,
    PriceCorrection,
    correct_prices,
    land_costs,
)
from cloud.flows.share_costs import SharedCost, adopt_industry, share_cost
from cloud.store import codes, valuation
from cloud.store.valuation import EventRow, Rule

router = APIRouter(tags=["value events"])

SignedText = Annotated[
    str, StringConstraints(max_length=24, pattern=SIGNED_DECIMAL), Field(examples=["12.50", "-3"])
]
Name = Annotated[str, StringConstraints(max_length=64, pattern=r"^[a-z0-9][a-z0-9_-]*$")]
BasisName = Annotated[Basis, Field(description="By which a cost is shared: quantity, value, weight or volume.")]
DimensionName = Literal["document", "batch", "workshop"]


class _OnPaper(BaseModel):
    """When, from whom, on what paper."""

    model_config = {"extra": "forbid"}

    occurred_at: MomentIn | None = Field(None, description="When it became known; now, unless said.")
    document: Text = ""
    party: Code | None = Field(None, description="The supplier.")


class PriceRow(BaseModel):
    """A receipt and what its invoice says."""

    model_config = {"extra": "forbid"}

    receipt: UUID = Field(description="The movement that received the goods.")
    price: DecimalText | None = Field(None, description="For one stock unit, in the receipt's currency.")
    amount: SignedText | None = Field(
        None, description="Instead of a price: how much more it cost, company currency."
    )
    rate: DecimalText | None = Field(None, description="The invoice's; only the receipt's own can be booked here.")
    reason: Text = ""


class PriceCorrectionsIn(_OnPaper):
    """Invoices whose price differs from the receipt's."""

    kind: Literal["price_correction"]
    rows: list[PriceRow] = Field(min_length=1, max_length=ROWS_MAX)


class LandedRow(BaseModel):
    """One cost of several receipts."""

    model_config = {"extra": "forbid"}

    receipts: list[UUID] = Field(min_length=1, max_length=ROWS_MAX)
    amount: SignedText = Field(description="In the company's currency.")
    by: BasisName = Basis.VALUE
    reason: Text = ""


class LandedCostsIn(_OnPaper):
    """Freight, duty and the like that came behind the goods."""

    kind: Literal["landed_cost"]
    rows: list[LandedRow] = Field(min_length=1, max_length=ROWS_MAX)


class SharedCostIn(_OnPaper):
    """A cost of all that one document, batch or workshop has in common, shared as the company's rules say."""

    kind: Literal["shared_cost"]
    cost_type: Name = Field(description="freight, duty, labour, energy …: what the rules are found by.")
    amount: SignedText = Field(description="In the company's currency.")
    of: Text = Field(min_length=1, description="The document's number, or the batch's or workshop's name.")
    industry: Name | Literal[""] = ""
    by: BasisName | None = Field(None, description="Instead of the rule's, together with `dimension`.")
    dimension: DimensionName | None = None
    reason: Text = ""


ValueEventsIn = Annotated[PriceCorrectionsIn | LandedCostsIn | SharedCostIn, Field(discriminator="kind")]


class ValueEventOut(BaseModel):
    """A change of cost without goods; `by` is who asked for it."""

    id: UUID
    kind: str
    item: str | None
    receipt: UUID | None
    value: CostValue
    document: str
    reason: str
    occurred_at: Moment
    recorded_at: Moment
    by: str


class ValueEventsOut(BaseModel):
    """The events that a request made; none where nothing differed."""

    events: list[ValueEventOut]


class AllocationRuleIn(BaseModel):
    """How a type of cost is shared. An empty industry is for all."""

    model_config = {"extra": "forbid"}

    industry: Name | Literal[""] = ""
    cost_type: Name
    by: BasisName
    dimension: DimensionName
    priority: Annotated[int, Field(ge=-1000, le=1000)] = 0


class IndustryIn(BaseModel):
    """An industry whose common rules the company takes over."""

    model_config = {"extra": "forbid"}

    industry: Name


class AllocationRuleOut(BaseModel):
    """A rule."""

    industry: str
    cost_type: str
    by: Basis
    dimension: str
    priority: int


@router.post("/v1/value-events", response_model=ValueEventsOut, status_code=201, summary="Change what goods cost")
def record(body: ValueEventsIn, change: CostChange) -> ValueEventsOut:
    """Price corrections, landed costs, shared costs: booked in one transaction, all or none."""
    request = change.request("value-events", body)
    with change.pool.connection() as connection, refusals("" if isinstance(body, SharedCostIn) else "/rows"):
        answered = book_events(connection, change.company_id, body, request)
    return show_answer(change, answered)


@router.get("/v1/allocation-rules", response_model=Page[AllocationRuleOut], summary="How costs are shared")
def list_rules(
    caller: FinanceReader, pool: Pool, limit: Limit = LIMIT_DEFAULT, cursor: CursorText = None
) -> dict[str, Any]:
    """In the order in which they were written."""
    after = after_one(cursor, "allocation-rules", {}, -1)
    with pool.connection() as connection:
        rows = valuation.rules(connection, caller.company.company_id, after, limit + 1)
    return make_page("allocation-rules", {}, rows, limit, lambda row: [row.rule_id], _show_rule)


@router.post(
    "/v1/allocation-rules",
    response_model=list[AllocationRuleOut],
    status_code=201,
    summary="Say how costs are shared",
)
def put_rules(body: AllocationRuleIn | IndustryIn, caller: MasterWriter, pool: Pool) -> list[AllocationRuleOut]:
    """A rule of one's own, or those that are common in an industry. Said again, a rule is replaced."""
    company_id = caller.company.company_id
    with pool.connection() as connection:
        if isinstance(body, IndustryIn):
            try:
                made = adopt_industry(connection, company_id, body.industry)
            except UnknownIndustry as error:
                raise wrong_value("/industry", str(error)) from None
        else:
            made = [Rule(body.industry, body.cost_type, body.by, body.dimension, body.priority)]
            valuation.put_rule(connection, company_id, made[0])
    return [_show_rule(rule) for rule in made]


def book_events(
    connection: psycopg.Connection, company_id: int, body: ValueEventsIn, request: Request
) -> Answered:
    """What a request asks for, by the flow of its kind. Raises Problem, CannotRecord, RequestConflict."""
    paper = Paper(moment_us(body.occurred_at), body.document, _supplier(connection, company_id, body.party))
    if isinstance(body, PriceCorrectionsIn):
        return correct_prices(connection, company_id, _corrections(body.rows), paper, request)
    if isinstance(body, LandedCostsIn):
        return land_costs(connection, company_id, _landed(body.rows), paper, request)
    return share_cost(connection, company_id, _shared(body), paper, request)


def show_answer(change: Change, answered: Answered) -> ValueEventsOut:
    """The value events that a change made, as the books have them now."""
    change.told(answered.ids, answered.replayed)
    with change.pool.connection() as connection:
        rows = valuation.events(connection, change.company_id, answered.ids)
    return ValueEventsOut(events=[_show_event(row) for row in rows])


def _show_event(row: EventRow) -> ValueEventOut:
    return ValueEventOut(
        id=row.event_id,
        kind=row.kind,
        item=row.item,
        receipt=row.receipt,
        value=micro_text(row.value_micro, 2),
        document=row.document,
        reason=row.reason,
        occurred_at=moment_of(row.occurred_us),
        recorded_at=row.recorded_at,
        by=row.by,
    )


def _show_rule(rule: Rule) -> AllocationRuleOut:
    return AllocationRuleOut(
        industry=rule.industry,
        cost_type=rule.cost_type,
        by=rule.basis,
        dimension=rule.dimension,
        priority=rule.priority,
    )


def _supplier(connection: Any, company_id: int, code: str | None) -> int:
    if code is None:
        return 0
    found = codes.party_ids(connection, company_id, [code]).get(("supplier", code))
    if found is None:
        raise unknown_codes([{"pointer": "/party", "detail": f"no supplier {code!r}"}])
    return found


def _corrections(rows: list[PriceRow]) -> list[PriceCorrection]:
    return [
        PriceCorrection(
            row.receipt,
            None if row.price is None else parse_decimal(row.price, MICRO_DIGITS, f"/rows/{number}/price"),
            None if row.amount is None else parse_signed(row.amount, f"/rows/{number}/amount"),
            None if row.rate is None else parse_decimal(row.rate, RATE_DIGITS, f"/rows/{number}/rate"),
            row.reason,
        )
        for number, row in enumerate(rows)
    ]


def _landed(rows: list[LandedRow]) -> list[LandedCost]:
    for number, row in enumerate(rows):
        if len(set(row.receipts)) < len(row.receipts):
            raise wrong_value(f"/rows/{number}/receipts", "a receipt stands here twice")
    return [
        LandedCost(tuple(row.receipts), parse_signed(row.amount, f"/rows/{number}/amount"), row.by, row.reason)
        for number, row in enumerate(rows)
    ]


def _shared(body: SharedCostIn) -> SharedCost:
    return SharedCost(
        cost_type=body.cost_type,
        value_micro=parse_signed(body.amount, "/amount"),
        key=body.of,
        industry=body.industry,
        basis=body.by,
        dimension=body.dimension,
        reason=body.reason,
    )
