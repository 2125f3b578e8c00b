"""/v1/standards, /v1/write-downs, /v1/method-changes: how stock is valued from one moment on."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from cloud.api.once import CostChange, moment_us, refusals
from cloud.api.value_events import ValueEventsOut, show_answer
from cloud.api.values import MICRO_DIGITS, ByName, Code, DecimalText, MomentIn, Text, parse_decimal
from cloud.domain.costing.methods import Method
from cloud.flows.change_method import MethodChange, change_method
from cloud.flows.set_standard import ROWS_MAX, NewStandard, set_standards
from cloud.flows.write_down import Realisable, write_down

router = APIRouter(tags=["stock values"])

MethodName = Annotated[Method, ByName(Method)]


class _Dated(BaseModel):
    """When it counts from, and on what paper."""

    model_config = {"extra": "forbid"}

    occurred_at: MomentIn | None = Field(None, description="When it counts from; now, unless said.")
    document: Text = ""
    reason: Text = ""


class StandardIn(BaseModel):
    """An item's new standard cost."""

    model_config = {"extra": "forbid"}

    item: Code
    standard: DecimalText = Field(description="For one stock unit, in the company's currency.")


class StandardsIn(_Dated):
    """Standards that change together."""

    standards: list[StandardIn] = Field(min_length=1, max_length=ROWS_MAX)


class RealisableIn(BaseModel):
    """What an item will bring."""

    model_config = {"extra": "forbid"}

    item: Code
    net_realisable_value: DecimalText = Field(
        description="For one stock unit: its price less what it costs to complete and to sell it."
    )


class WriteDownsIn(_Dated):
    """Items that are compared with what they will bring."""

    items: list[RealisableIn] = Field(min_length=1, max_length=ROWS_MAX)


class MethodChangeIn(BaseModel):
    """Another costing method for an item, from the first day of a period on."""

    model_config = {
        "extra": "forbid",
        "json_schema_extra": {"examples": [{"item": "CRATE-7", "method": "moving_average", "from": "2026-10-01"}]},
    }

    item: Code
    method: MethodName
    from_day: date = Field(alias="from", description="The first day of a period that is not locked.")
    standard: DecimalText | None = Field(
        None, description="With method standard: its first; else the pool's average."
    )
    document: Text = ""
    reason: Text = ""


@router.post("/v1/standards", response_model=ValueEventsOut, status_code=201, summary="Set standard costs")
def set_standard(body: StandardsIn, change: CostChange) -> ValueEventsOut:
    """What lies in stock is revalued; the difference is posted as revaluation."""
    company_id = change.company_id
    request = change.request("standards", body)
    standards = [
        NewStandard(one.item, parse_decimal(one.standard, MICRO_DIGITS, f"/standards/{number}/standard"))
        for number, one in enumerate(body.standards)
    ]
    with change.pool.connection() as connection, refusals("/standards"):
        answered = set_standards(
            connection, company_id, standards, moment_us(body.occurred_at), body.document, body.reason, request
        )
    return show_answer(change, answered)


@router.post("/v1/write-downs", response_model=ValueEventsOut, status_code=201, summary="Write stock down")
def write_stock_down(body: WriteDownsIn, change: CostChange) -> ValueEventsOut:
    """To net realisable value, by an allowance; back up when it will bring more again, never above cost."""
    company_id = change.company_id
    request = change.request("write-downs", body)
    values = [
        Realisable(
            one.item,
            parse_decimal(one.net_realisable_value, MICRO_DIGITS, f"/items/{number}/net_realisable_value"),
        )
        for number, one in enumerate(body.items)
    ]
    with change.pool.connection() as connection, refusals("/items"):
        answered = write_down(
            connection, company_id, values, moment_us(body.occurred_at), body.document, body.reason, request
        )
    return show_answer(change, answered)


@router.post(
    "/v1/method-changes", response_model=ValueEventsOut, status_code=201, summary="Change an item's costing method"
)
def change_item_method(body: MethodChangeIn, change: CostChange) -> ValueEventsOut:
    """At the start of a period; what the goods would be worth under the new method is posted as revaluation."""
    request = change.request("method-changes", body)
    new_method = MethodChange(
        item=body.item,
        method=body.method,
        from_day=body.from_day,
        standard_micro=None if body.standard is None else parse_decimal(body.standard, MICRO_DIGITS, "/standard"),
        document=body.document,
        reason=body.reason,
    )
    with change.pool.connection() as connection, refusals():
        answered = change_method(connection, change.company_id, new_method, request)
    return show_answer(change, answered)
