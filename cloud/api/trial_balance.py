"""/v1/trial-balance: what each account had, what came and went, and what it has."""

from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from cloud.api.access import FinanceReader, Pool, snapshot
from cloud.api.problems import not_found, wrong_value
from cloud.api.values import Amount
from cloud.domain.decimals import minor_text
from cloud.domain.ledger.trial_balance import Row
from cloud.flows.ledger.trial_balance import read_trial_balance

router = APIRouter(tags=["trial balance"])

PeriodParameter = Annotated[int | None, Query(ge=100001, le=999912, examples=[202611])]


class InCurrencyOut(BaseModel):
    """The same amounts in the document's currency, with all its digits."""

    currency: str = Field(examples=["GBP"])
    opening: str
    debit: str
    credit: str
    closing: str


class BalanceRow(BaseModel):
    """An account; a header (`sums_children`) has all that stands below it. Debits are positive, credits negative."""

    number: str
    name_zh: str
    name_en: str
    account_type: str
    level: int = Field(description="0 stands at the top.")
    sums_children: bool
    dimension: str | None = Field(description="Where asked for by dimension; null for lines without one.")
    opening: Amount
    debit: Amount
    credit: Amount
    closing: Amount
    in_currency: InCurrencyOut | None = Field(
        description="Where asked for by currency; null for lines in the company's own."
    )


class TotalsOut(BaseModel):
    """All accounts, headers left out. In books that balance opening and closing are 0, and debits are the credits."""

    opening: Amount
    debit: Amount
    credit: Amount
    closing: Amount
    agree: bool


class StockTieOut(BaseModel):
    """An account of stock on the last day: by the ledger, and by the cost entries up to that day."""

    number: str
    ledger: Amount
    valuation: Amount
    difference: Amount


class TrialBalanceOut(BaseModel):
    """Accounts in the order of their numbers; those that had nothing are left out."""

    first_day: date
    last_day: date
    currency: str
    rows: list[BalanceRow]
    totals: TotalsOut
    stock: list[StockTieOut] | None


@router.get("/v1/trial-balance", response_model=TrialBalanceOut, summary="Opening, debit, credit, closing")
def show_trial_balance(
    caller: FinanceReader,
    pool: Pool,
    period: PeriodParameter = None,
    first: Annotated[int | None, Query(alias="from", ge=100001, le=999912, examples=[202601])] = None,
    last: Annotated[int | None, Query(alias="to", ge=100001, le=999912, examples=[202611])] = None,
    by: Annotated[
        list[Literal["dimension", "currency"]] | None,
        Query(description="What rows are apart by, beside accounts."),
    ] = None,
    stock: Annotated[
        bool, Query(description="Also what stock is worth by its costs; reads all of them, so it takes a while.")
    ] = False,
) -> TrialBalanceOut:
    """Of one period, or from one to another, out of the turnovers."""
    if (period is None) == (first is None and last is None):
        raise wrong_value("query/period", "expected either a period, or from and to")
    begins, ends = (period, period) if period is not None else (first or last, last or first)
    assert begins is not None  # noqa: S101  told above
    assert ends is not None  # noqa: S101  told above
    if begins > ends:
        raise wrong_value("query/from", f"expected a period not behind {ends}, got {begins}")
    company, asked = caller.company, by or []
    with snapshot(pool) as connection:
        try:
            found = read_trial_balance(
                connection,
                company.company_id,
                begins,
                ends,
                by_dimension="dimension" in asked,
                by_currency="currency" in asked,
                with_stock=stock,
            )
        except LookupError:
            raise not_found("period in the calendar", f"{begins} … {ends}") from None

    def text(amount: int) -> str:
        return minor_text(amount, company.minor_digits)

    totals = found.totals
    return TrialBalanceOut(
        first_day=found.first_day,
        last_day=found.last_day,
        currency=company.currency,
        rows=[_show(row, company.minor_digits) for row in found.rows],
        totals=TotalsOut(
            opening=text(totals.opening),
            debit=text(totals.debit),
            credit=text(totals.credit),
            closing=text(totals.closing),
            agree=totals.agree,
        ),
        stock=None
        if found.stock is None
        else [
            StockTieOut(
                number=tie.account.number,
                ledger=text(tie.ledger),
                valuation=text(tie.valuation),
                difference=text(tie.difference),
            )
            for tie in found.stock
        ],
    )


def _show(row: Row, digits: int) -> BalanceRow:
    account, sums = row.account, row.sums
    return BalanceRow(
        number=account.number,
        name_zh=account.name_zh,
        name_en=account.name_en,
        account_type=account.account_type,
        level=row.level,
        sums_children=account.is_header,
        dimension=sums.dimension or None,
        opening=minor_text(sums.opening, digits),
        debit=minor_text(sums.debit, digits),
        credit=minor_text(sums.credit, digits),
        closing=minor_text(sums.closing, digits),
        in_currency=InCurrencyOut(
            currency=sums.currency,
            opening=minor_text(sums.currency_opening, sums.digits),
            debit=minor_text(sums.currency_debit, sums.digits),
            credit=minor_text(sums.currency_credit, sums.digits),
            closing=minor_text(sums.currency_closing, sums.digits),
        )
        if sums.currency
        else None,
    )
