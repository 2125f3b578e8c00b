"""/v1/expectations: what a gate may expect, and so why goods move, until documents exist."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import psycopg
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from cloud.api.access import MovementWriter, Pool, Reader
from cloud.api.paging import LIMIT_DEFAULT, CursorText, Limit, Page, after_one, make_page
from cloud.api.problems import not_found, wrong_value
from cloud.api.tags import EPC_MAX
from cloud.api.values import (
    DIMENSIONS_NOTE,
    MICRO_DIGITS,
    RATE_DIGITS,
    Code,
    CrossingName,
    DecimalText,
    Dimensions,
    KindName,
    Moment,
    MomentIn,
    Quantity,
    Text,
    parse_decimal,
)
from cloud.domain.access import Company
from cloud.domain.catalog import Expectation, WrongMasterData
from cloud.domain.currency import NANO, UnknownCurrency, foreign_number
from cloud.domain.decimals import micro_text, minor_text
from cloud.domain.ledger.dimensions import parse_set
from cloud.domain.movement import Crossing, Kind
from cloud.flows.expect_goods import WrongDimensions, expect_goods
from cloud.flows.ledger.rates import NoRate, rate_on
from cloud.store import lists, master
from cloud.store.lists import ExpectationRow

router = APIRouter(prefix="/v1/expectations", tags=["expectations"])


class ExpectationIn(BaseModel):
    """Goods that are to cross a gate: one tag by its EPC, or so much of an item."""

    model_config = {
        "extra": "forbid",
        "json_schema_extra": {
            "examples": [
                {
                    "gate": "gate-1",
                    "direction": "in",
                    "item": "CRATE-7",
                    "kind": "purchase_receipt",
                    "party": "ACME",
                    "document": "PO-1042",
                    "price": "4.20",
                    "currency": "CNY",
                    "quantity": "15",
                    "open_until": "2026-12-31T16:00:00Z",
                }
            ]
        },
    }

    gate: Code
    direction: Literal["in", "out"]
    kind: KindName
    quantity: DecimalText
    open_until: MomentIn
    epc: str | None = Field(None, max_length=EPC_MAX)
    item: Code | None = None
    party: Code | None = Field(None, description="Supplier or customer, by the kind; added when it is new.")
    document: Text = ""
    price: DecimalText | None = Field(None, description="For one stock unit, in `currency`.")
    currency: str | None = Field(None, pattern=r"^[A-Z]{3}$")
    rate: DecimalText | None = Field(
        None,
        description="Company currency for one unit of `currency`; unless said, the one that today takes of those on "
        "record.",
    )
    note: Text = ""
    reason: Text = Field("", description="Why, in the words that posting rules know.")
    dimensions: Dimensions = Field(default_factory=dict, description=DIMENSIONS_NOTE)


class ExpectationOut(BaseModel):
    """An expectation and how much of it came."""

    id: int
    gate: str
    direction: CrossingName
    kind: KindName
    epc: str | None
    item: str | None
    party: str | None
    document: str
    price: str | None
    currency: str | None
    rate: str
    quantity: Quantity
    done: Quantity
    open_until: Moment
    note: str
    reason: str
    dimensions: dict[str, str]


@router.get("", response_model=Page[ExpectationOut], summary="Expectations")
def list_expectations(
    caller: Reader,
    pool: Pool,
    limit: Limit = LIMIT_DEFAULT,
    cursor: CursorText = None,
    gate: Annotated[str | None, Query(max_length=64)] = None,
    document: Annotated[str | None, Query(max_length=500)] = None,
    only_open: Annotated[bool, Query(alias="open", description="Only those that may still be fulfilled.")] = False,
) -> dict[str, Any]:
    """Expectations in the order in which they were written."""
    filters = {"gate": gate, "document": document, "open": only_open}
    after = after_one(cursor, "expectations", filters, -1)
    with pool.connection() as connection:
        rows = lists.expectations(
            connection, caller.company.company_id, after, limit + 1, only_open, gate, document
        )
    return make_page("expectations", filters, rows, limit, lambda row: [row.expectation_id], _show)


@router.get("/{number}", response_model=ExpectationOut, summary="One expectation")
def read_expectation(number: int, caller: Reader, pool: Pool) -> ExpectationOut:
    """The expectation with this id."""
    if not 0 < number < 2**63:
        raise not_found("expectation", number)
    with pool.connection() as connection:
        rows = lists.expectations(connection, caller.company.company_id, -1, 1, one=number)
    if not rows:
        raise not_found("expectation", number)
    return _show(rows[0])


@router.post("", response_model=ExpectationOut, status_code=201, summary="Expect goods at a gate")
def add_expectation(body: ExpectationIn, caller: MovementWriter, pool: Pool) -> ExpectationOut:
    """The next batch of passages knows it."""
    company_id = caller.company.company_id
    try:
        with pool.connection() as connection:
            expectation = _read(body, connection, caller.company)
            [number] = expect_goods(connection, company_id, [expectation], _today(caller.company))
            row = lists.expectations(connection, company_id, -1, 1, one=number)[0]
    except WrongDimensions as error:
        raise wrong_value("/dimensions", error.why) from None
    except master.UnknownCode as error:
        raise wrong_value("/gate" if "gate" in str(error) else "/item", str(error)) from None
    return _show(row)


def _read(body: ExpectationIn, connection: psycopg.Connection, company: Company) -> Expectation:
    price = None if body.price is None else parse_decimal(body.price, MICRO_DIGITS, "/price")
    try:
        return Expectation(
            gate=body.gate,
            direction=Crossing.IN if body.direction == "in" else Crossing.OUT,
            kind=Kind(body.kind),
            qty_micro=parse_decimal(body.quantity, MICRO_DIGITS, "/quantity"),
            open_until=body.open_until,
            epc=body.epc.upper() if body.epc else None,
            item_code=body.item,
            party=body.party,
            document=body.document,
            price_micro=price,
            currency=body.currency,
            rate_nano=_rate(body, connection, company),
            note=body.note,
            reason=body.reason,
            dimensions=body.dimensions,
        )
    except WrongMasterData as error:
        raise wrong_value(f"/{error.column}", error.complaint) from None


def _rate(body: ExpectationIn, connection: psycopg.Connection, company: Company) -> int:
    if body.rate is not None:
        return parse_decimal(body.rate, RATE_DIGITS, "/rate")
    try:
        if (number := foreign_number(body.currency, company.currency)) == 0:
            return NANO
        return rate_on(connection, company.company_id, number, _today(company)).rate_nano
    except UnknownCurrency as error:
        raise wrong_value("/currency", str(error)) from None
    except NoRate as error:
        raise wrong_value("/rate", error.reason) from None


def _show(row: ExpectationRow) -> ExpectationOut:
    return ExpectationOut(
        id=row.expectation_id,
        gate=row.gate,
        direction=Crossing(row.direction),
        kind=Kind(row.kind),
        epc=row.epc,
        item=row.item,
        party=row.party,
        document=row.document,
        price=None if row.price_micro is None else micro_text(row.price_micro, 2),
        currency=row.currency,
        rate=minor_text(row.rate_nano, RATE_DIGITS).rstrip("0").rstrip("."),
        quantity=micro_text(row.qty_micro),
        done=micro_text(row.done_micro),
        open_until=row.open_until,
        note=row.note,
        reason=row.reason,
        dimensions=parse_set(row.dimensions) if "=" in row.dimensions else {},
    )


def _today(company: Company) -> date:
    return datetime.now(ZoneInfo(company.time_zone)).date()
