"""/v1/rates: exchange rates by day and source, and the rate that a day takes."""

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, StringConstraints

from cloud.api.access import FinanceReader, Pool
from cloud.api.once import refusals
from cloud.api.paging import LIMIT_DEFAULT, CursorText, Limit, Page, after_one, make_page
from cloud.api.problems import Problem, wrong_value
from cloud.api.values import RATE_DIGITS, DecimalText, Moment, MomentIn, parse_decimal
from cloud.domain.currency import UnknownCurrency, code_of, number_of
from cloud.domain.decimals import minor_text
from cloud.flows.ledger.rates import RATE_AGE_DAYS, SOURCE_MAX, NoRate, rate_on, record_rates
from cloud.store.ledger import rates as store
from cloud.store.ledger.rates import Known, Rate

router = APIRouter(prefix="/v1/rates", tags=["rates"])

RECORDED_MAX = 1000
AGE_MAX_DAYS = 366

CurrencyCode = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$"), Field(examples=["USD"])]
Source = Annotated[str, StringConstraints(max_length=SOURCE_MAX, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
RateText = Annotated[
    str,
    Field(description="Company currency for one unit, up to nine digits after the point.", examples=["7.1234"]),
]


class RateIn(BaseModel):
    """What a source says of a day."""

    model_config = {"extra": "forbid"}

    currency: CurrencyCode
    date: date
    rate: DecimalText = Field(description="Company currency for one unit of `currency`.")
    source: Source = ""


class RatesIn(BaseModel):
    """Rates that are recorded together, all or none."""

    model_config = {
        "extra": "forbid",
        "json_schema_extra": {
            "examples": [
                {"rates": [{"currency": "USD", "date": "2026-11-20", "rate": "7.1234", "source": "safe"}]}
            ]
        },
    }

    rates: list[RateIn] = Field(min_length=1, max_length=RECORDED_MAX)


class RateOut(BaseModel):
    """A recorded rate."""

    currency: str
    date: date
    rate: RateText
    source: str
    recorded_at: Moment
    by: str


class RatesOut(BaseModel):
    """The rates that a request added: those that the books did not know."""

    added: list[RateOut]


@router.get("", response_model=Page[RateOut], summary="Exchange rates")
def list_rates(
    caller: FinanceReader,
    pool: Pool,
    limit: Limit = LIMIT_DEFAULT,
    cursor: CursorText = None,
    currency: Annotated[CurrencyCode | None, Query()] = None,
    source: Annotated[Source | None, Query()] = None,
    first_day: Annotated[date | None, Query(alias="from", description="Of this day and later.")] = None,
    last_day: Annotated[date | None, Query(alias="to", description="Of this day and before.")] = None,
    superseded: Annotated[
        bool, Query(description="Also those that a later one of their day and source replaced.")
    ] = False,
) -> dict[str, Any]:
    """Rates in the order in which they were recorded."""
    filters = {
        "currency": currency, "source": source, "from": first_day, "to": last_day, "superseded": superseded,
    }  # fmt: skip
    after = after_one(cursor, "rates", filters, 0)
    number = None if currency is None else _number(currency, "/currency")
    with pool.connection() as connection:
        rows = store.rates(
            connection, caller.company.company_id, after, limit + 1, currency=number, source=source,
            first_day=first_day, last_day=last_day, superseded=superseded,
        )  # fmt: skip
    return make_page("rates", filters, rows, limit, lambda row: [row.link_no], _show)


@router.get("/{currency}/{day}", response_model=RateOut, summary="The rate that a day takes")
def read_rate(
    currency: CurrencyCode,
    day: date,
    caller: FinanceReader,
    pool: Pool,
    source: Annotated[Source | None, Query(description="The company's own, unless said.")] = None,
    age_days: Annotated[int, Query(ge=0, le=AGE_MAX_DAYS, description="How old it may be.")] = RATE_AGE_DAYS,
    recorded_before: Annotated[MomentIn | None, Query(description="As it was known then.")] = None,
) -> RateOut:
    """The last one known on or before the day."""
    number = _number(currency, "/currency")
    try:
        with pool.connection() as connection:
            rate = rate_on(
                connection, caller.company.company_id, number, day, source, age_days=age_days,
                recorded=recorded_before,
            )  # fmt: skip
    except NoRate as error:
        raise Problem(404, "not-found", error.reason) from None
    return _show(rate)


@router.post("", response_model=RatesOut, status_code=201, summary="Record exchange rates")
def add_rates(body: RatesIn, caller: FinanceReader, pool: Pool) -> RatesOut:
    """A rate is never changed: told otherwise later, the newest of a day and source counts. Said again, a rate that
    counts already adds nothing."""
    rates = [
        Known(
            _number(rate.currency, f"/rates/{number}/currency"),
            rate.date,
            parse_decimal(rate.rate, RATE_DIGITS, f"/rates/{number}/rate"),
            rate.source,
        )
        for number, rate in enumerate(body.rates)
    ]
    by = f"{caller.person_name} ({caller.key_id})"
    with pool.connection() as connection, refusals("/rates"):
        added = record_rates(connection, caller.company.company_id, rates, by)
    return RatesOut(added=[_show(rate) for rate in added])


def _number(currency: str, pointer: str) -> int:
    try:
        return number_of(currency)
    except UnknownCurrency as error:
        raise wrong_value(pointer, str(error)) from None


def _show(rate: Rate) -> RateOut:
    return RateOut(
        currency=code_of(rate.currency),
        date=rate.day,
        rate=minor_text(rate.rate_nano, RATE_DIGITS).rstrip("0").rstrip("."),
        source=rate.source,
        recorded_at=rate.recorded_at,
        by=rate.recorded_by,
    )
