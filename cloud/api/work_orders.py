"""/v1/work-orders: what is made, what it takes, and what it costs."""

from typing import Annotated, Any, Literal
from uuid import UUID

import psycopg
from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field, StringConstraints

from cloud.api.access import Pool, Reader
from cloud.api.once import Change, MovementChange, moment_us, parse_signed, refusals, unknown_codes
from cloud.api.paging import LIMIT_DEFAULT, CursorText, Limit, Page, after_one, make_page
from cloud.api.problems import not_found, wrong_value
from cloud.api.value_events import SignedText
from cloud.api.values import (
    MICRO_DIGITS,
    Code,
    CostValue,
    DecimalText,
    LotCode,
    MomentIn,
    Quantity,
    Text,
    parse_decimal,
)
from cloud.domain.decimals import micro_text
from cloud.domain.movement import Kind
from cloud.flows.answer_once import Answered
from cloud.flows.assemble import Assembly, assemble
from cloud.flows.name_movements import wrong_lot
from cloud.flows.production import (
    COMPONENTS_MAX,
    Absorbed,
    Issue,
    NoSuchOrder,
    absorb_cost,
    close_order,
    issue_components,
    receive_output,
    release_order,
)
from cloud.store import codes, master, production
from cloud.store.production import NewOrder, OrderRow

router = APIRouter(prefix="/v1/work-orders", tags=["work orders"])

_CODE = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,59}$"  # its place is WO/code, and a code has at most 64 characters
OrderCode = Annotated[str, StringConstraints(pattern=_CODE), Field(examples=["WO-1042"])]
OrderPath = Annotated[str, Path(pattern=_CODE)]


class ComponentIn(BaseModel):
    """What one stock unit of the output should take of an item."""

    model_config = {"extra": "forbid"}

    item: Code
    quantity: DecimalText


class WorkOrderIn(BaseModel):
    """A work order that begins now."""

    model_config = {
        "extra": "forbid",
        "json_schema_extra": {
            "examples": [
                {
                    "code": "WO-1042",
                    "item": "CRATE-7",
                    "quantity": "100",
                    "site": "MAIN",
                    "workshop": "PRESS-2",
                    "components": [{"item": "STEEL", "quantity": "1.25"}],
                }
            ]
        },
    }

    code: OrderCode
    item: Code = Field(description="What it makes.")
    quantity: DecimalText = Field(description="How much of it is planned.")
    site: Code
    batch: Code | Literal[""] = ""
    workshop: Code | Literal[""] = ""
    components: list[ComponentIn] = Field([], max_length=COMPONENTS_MAX)
    occurred_at: MomentIn | None = None


class IssueIn(BaseModel):
    """So much of an item out of a location."""

    model_config = {"extra": "forbid"}

    item: Code
    quantity: DecimalText
    from_location: Code = Field(alias="from")
    lot: LotCode | None = Field(None, description="Lot or serial number, of an item whose lots are told apart.")


class IssuesIn(BaseModel):
    """Components that are taken together."""

    model_config = {"extra": "forbid"}

    rows: list[IssueIn] = Field(min_length=1, max_length=COMPONENTS_MAX)
    occurred_at: MomentIn | None = None


class AssemblyIn(BaseModel):
    """Parts that become another item at once."""

    model_config = {
        "extra": "forbid",
        "json_schema_extra": {
            "examples": [
                {
                    "code": "RP-7", "item": "BOX-12", "quantity": "12", "site": "MAIN", "to": "STORE",
                    "rows": [{"item": "CRATE-7", "quantity": "3", "from": "STORE"}],
                }
            ]
        },
    }  # fmt: skip

    code: OrderCode
    item: Code = Field(description="What is made.")
    quantity: DecimalText
    site: Code
    to_location: Code = Field(alias="to")
    lot: LotCode | None = Field(None, description="Lot or serial number of what is made.")
    rows: list[IssueIn] = Field(min_length=1, max_length=COMPONENTS_MAX, description="What it is made of.")
    occurred_at: MomentIn | None = None


class CostIn(BaseModel):
    """Labour, or overhead such as energy."""

    model_config = {"extra": "forbid"}

    kind: Literal["labour", "overhead"]
    amount: SignedText = Field(description="In the company's currency; below 0 takes back.")
    reason: Text = ""


class CostsIn(BaseModel):
    """Costs that an order absorbs."""

    model_config = {"extra": "forbid"}

    rows: list[CostIn] = Field(min_length=1, max_length=COMPONENTS_MAX)
    occurred_at: MomentIn | None = None


class OutputIn(BaseModel):
    """Finished goods into stock."""

    model_config = {"extra": "forbid"}

    quantity: DecimalText
    to_location: Code = Field(alias="to")
    lot: LotCode | None = Field(None, description="Lot or serial number of what is received.")
    backflush_from: Code | None = Field(
        None, description="The location that the standard quantities of all components are taken from as well."
    )
    occurred_at: MomentIn | None = None


class CloseIn(BaseModel):
    """The end of an order."""

    model_config = {"extra": "forbid"}

    occurred_at: MomentIn | None = None


class ComponentOut(BaseModel):
    """A component: what one unit of the output should take of it, and what was used."""

    item: str
    quantity: Quantity
    used: Quantity


class WorkOrderOut(BaseModel):
    """A work order; `in_work` is the cost that stands in it."""

    code: str
    item: str
    site: str | None
    batch: str
    workshop: str
    state: str
    planned: Quantity
    received: Quantity
    in_work: CostValue


class OneWorkOrderOut(WorkOrderOut):
    """A work order with its components."""

    components: list[ComponentOut]


class DoneOut(BaseModel):
    """The order as it is now, and the ids of the movements and value events that were made."""

    order: WorkOrderOut
    ids: list[UUID]


@router.get("", response_model=Page[WorkOrderOut], summary="Work orders by code")
def list_orders(
    caller: Reader,
    pool: Pool,
    limit: Limit = LIMIT_DEFAULT,
    cursor: CursorText = None,
    state: Annotated[Literal["open", "closed"] | None, Query()] = None,
) -> dict[str, Any]:
    """Work orders in the order of their codes."""
    filters = {"state": state}
    after = after_one(cursor, "work-orders", filters, "")
    with pool.connection() as connection:
        rows = production.orders(connection, caller.company.company_id, after, limit + 1, state)
    return make_page("work-orders", filters, rows, limit, lambda row: [row.code], _show)


@router.get("/{code}", response_model=OneWorkOrderOut, summary="One work order")
def read_order(code: str, caller: Reader, pool: Pool) -> OneWorkOrderOut:
    """The work order with this code, and its components."""
    company_id = caller.company.company_id
    with pool.connection() as connection:
        rows = production.orders(connection, company_id, "", 1, one=code)
        if not rows:
            raise not_found("work order", code)
        components = [
            ComponentOut(item=one.item, quantity=micro_text(one.standard_qty), used=micro_text(one.used_qty))
            for one in production.order_components(connection, company_id, code)
        ]
    return OneWorkOrderOut(**_show(rows[0]).model_dump(), components=components)


@router.post("", response_model=DoneOut, status_code=201, summary="Release a work order")
def release(body: WorkOrderIn, change: MovementChange) -> DoneOut:
    """Its planned output begins, worth nothing yet."""
    company_id = change.company_id
    request = change.request("work-orders", body)
    with change.pool.connection() as connection:
        order = _new_order(connection, company_id, body)
        with refusals("/components"):
            answered = release_order(connection, company_id, order, moment_us(body.occurred_at), request)
    return _done(change, body.code, answered)


@router.post("/assemblies", response_model=DoneOut, status_code=201, summary="Assemble or repack")
def put_together(body: AssemblyIn, change: MovementChange) -> DoneOut:
    """Parts leave stock and the output comes in at their cost: a work order that begins and ends at once."""
    company_id = change.company_id
    request = change.request("work-orders", body, "assemblies")
    with change.pool.connection() as connection:
        order = _new_order(connection, company_id, WorkOrderIn(
            code=body.code, item=body.item, quantity=body.quantity, site=body.site, components=[],
        ))  # fmt: skip
        parts = _issues(connection, company_id, body.rows)
        places = codes.location_ids(connection, company_id, {body.to_location})
        if body.to_location not in places:
            raise unknown_codes([{"pointer": "/to", "detail": f"no location {body.to_location!r}"}])
        item = codes.items(connection, company_id, {body.item})[body.item]
        assembly = Assembly(order, parts, places[body.to_location], _lot(connection, company_id, item, body.lot))
        with refusals("/rows"):
            answered = assemble(connection, company_id, assembly, moment_us(body.occurred_at), request)
    return _done(change, body.code, answered)


@router.post("/{code}/issues", response_model=DoneOut, status_code=201, summary="Issue components")
def issue(code: OrderPath, body: IssuesIn, change: MovementChange) -> DoneOut:
    """Components leave stock, and their cost goes into the order."""
    company_id = change.company_id
    request = change.request("work-orders", body, code, "issues")
    with change.pool.connection() as connection:
        issues = _issues(connection, company_id, body.rows)
        with refusals("/rows", NoSuchOrder):
            answered = issue_components(connection, company_id, code, issues, moment_us(body.occurred_at), request)
    return _done(change, code, answered)


@router.post("/{code}/costs", response_model=DoneOut, status_code=201, summary="Absorb labour and overhead")
def absorb(code: OrderPath, body: CostsIn, change: MovementChange) -> DoneOut:
    """Labour, energy and overhead go to the order's cost at once."""
    company_id = change.company_id
    request = change.request("work-orders", body, code, "costs")
    costs = [
        Absorbed(
            Kind.LABOUR if row.kind == "labour" else Kind.OVERHEAD,
            parse_signed(row.amount, f"/rows/{number}/amount"),
            row.reason,
        )
        for number, row in enumerate(body.rows)
    ]
    with change.pool.connection() as connection, refusals("/rows", NoSuchOrder):
        answered = absorb_cost(connection, company_id, code, costs, moment_us(body.occurred_at), request)
    return _done(change, code, answered)


@router.post("/{code}/receipts", response_model=DoneOut, status_code=201, summary="Receive output")
def receive(code: OrderPath, body: OutputIn, change: MovementChange) -> DoneOut:
    """Finished goods go into stock at their share of what stands in work."""
    company_id = change.company_id
    request = change.request("work-orders", body, code, "receipts")
    named = {"to": body.to_location} | (
        {} if body.backflush_from is None else {"backflush_from": body.backflush_from}
    )
    with change.pool.connection() as connection:
        places = codes.location_ids(connection, company_id, set(named.values()))
        if errors := [
            {"pointer": f"/{field}", "detail": f"no location {place!r}"}
            for field, place in named.items()
            if place not in places
        ]:
            raise unknown_codes(errors)
        lot = _lot_of_output(connection, company_id, code, body.lot)
        with refusals(missing=NoSuchOrder):
            answered = receive_output(
                connection,
                company_id,
                code,
                parse_decimal(body.quantity, MICRO_DIGITS, "/quantity"),
                places[body.to_location],
                moment_us(body.occurred_at),
                request,
                None if body.backflush_from is None else places[body.backflush_from],
                lot,
            )
    return _done(change, code, answered)


@router.post("/{code}/close", response_model=DoneOut, status_code=201, summary="Close a work order")
def close(code: OrderPath, body: CloseIn, change: MovementChange) -> DoneOut:
    """What is left of its cost becomes production variance."""
    company_id = change.company_id
    request = change.request("work-orders", body, code, "close")
    with change.pool.connection() as connection, refusals(missing=NoSuchOrder):
        answered = close_order(connection, company_id, code, moment_us(body.occurred_at), request)
    return _done(change, code, answered)


def _new_order(connection: psycopg.Connection, company_id: int, body: WorkOrderIn) -> NewOrder:
    items = codes.items(connection, company_id, {body.item, *(one.item for one in body.components)})
    site = production.site_id(connection, company_id, body.site)
    errors = [{"pointer": "/item", "detail": f"no item {body.item!r}"}] if body.item not in items else []
    errors += [{"pointer": "/site", "detail": f"no site {body.site!r}"}] if site is None else []
    errors += [
        {"pointer": f"/components/{number}/item", "detail": f"no item {one.item!r}"}
        for number, one in enumerate(body.components)
        if one.item not in items
    ]
    if errors or site is None:
        raise unknown_codes(errors)
    components: dict[int, int] = {}
    for number, one in enumerate(body.components):
        at = f"/components/{number}"
        component_id = items[one.item].item_id
        if component_id in components:
            raise wrong_value(f"{at}/item", f"{one.item!r} stands here twice")
        components[component_id] = parse_decimal(one.quantity, MICRO_DIGITS, f"{at}/quantity")
    return NewOrder(
        code=body.code,
        item_id=items[body.item].item_id,
        site_id=site,
        planned_micro=parse_decimal(body.quantity, MICRO_DIGITS, "/quantity"),
        batch=body.batch,
        workshop=body.workshop,
        components=components,
    )


def _issues(connection: psycopg.Connection, company_id: int, rows: list[IssueIn]) -> list[Issue]:
    items = codes.items(connection, company_id, {row.item for row in rows})
    places = codes.location_ids(connection, company_id, {row.from_location for row in rows})
    errors = []
    for number, row in enumerate(rows):
        if row.item not in items:
            errors.append({"pointer": f"/rows/{number}/item", "detail": f"no item {row.item!r}"})
        elif (wrong := wrong_lot(row.lot, items[row.item])) is not None:
            errors.append({"pointer": f"/rows/{number}/lot", "detail": wrong})
        if row.from_location not in places:
            errors.append({"pointer": f"/rows/{number}/from", "detail": f"no location {row.from_location!r}"})
    if errors:
        raise unknown_codes(errors)
    named = {(items[row.item].item_id, row.lot) for row in rows if row.lot is not None}
    lots = master.put_lots(connection, company_id, sorted(named))
    return [
        Issue(
            items[row.item].item_id,
            parse_decimal(row.quantity, MICRO_DIGITS, f"/rows/{number}/quantity"),
            places[row.from_location],
            0 if row.lot is None else lots[items[row.item].item_id, row.lot],
        )
        for number, row in enumerate(rows)
    ]


def _lot_of_output(connection: psycopg.Connection, company_id: int, code: str, lot: str | None) -> int:
    """The lot of what an order makes; 0 where none is told apart, or where there is no such order."""
    rows = production.orders(connection, company_id, "", 1, one=code)
    if not rows:
        return 0
    return _lot(connection, company_id, codes.items(connection, company_id, [rows[0].item])[rows[0].item], lot)


def _lot(connection: psycopg.Connection, company_id: int, item: codes.ItemCode, lot: str | None) -> int:
    if (wrong := wrong_lot(lot, item)) is not None:
        raise wrong_value("/lot", wrong)
    return 0 if lot is None else master.put_lots(connection, company_id, [(item.item_id, lot)])[item.item_id, lot]


def _done(change: Change, code: str, answered: Answered) -> DoneOut:
    with change.pool.connection() as connection:
        row = production.orders(connection, change.company_id, "", 1, one=code)[0]
    return DoneOut(order=_show(row), ids=change.told(answered.ids, answered.replayed))


def _show(row: OrderRow) -> WorkOrderOut:
    return WorkOrderOut(
        code=row.code,
        item=row.item,
        site=row.site,
        batch=row.batch,
        workshop=row.workshop,
        state=row.state,
        planned=micro_text(row.planned_micro),
        received=micro_text(row.received_micro),
        in_work=micro_text(row.value_micro, 2),
    )
