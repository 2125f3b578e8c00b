"""POST /v1/journal-entries: entries by hand, and POST /v1/clearings: items of clarification that are approved."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from cloud.api.documents import (
    ROWS_MAX,
    AccountNumber,
    CurrencyCode,
    Dimensions,
    DocumentOut,
    MoneyText,
    PaperIn,
    TermsIn,
    currency_number,
    made,
    money,
    rate_nano,
)
from cloud.api.once import LedgerChange, refusals
from cloud.api.problems import wrong_value
from cloud.api.values import Text
from cloud.domain.access import Company
from cloud.flows.ledger.clear_items import REASONS, Clearing, ClearingRow, post_clearing
from cloud.flows.ledger.manual_entry import ManualEntry, ManualLine, post_manual_entry

router = APIRouter(tags=["journal entries"])


class EntryLineIn(BaseModel):
    """One line: a debit or a credit, in the entry's currency unless the line says another."""

    model_config = {"extra": "forbid"}

    account: AccountNumber
    debit: MoneyText | None = None
    credit: MoneyText | None = None
    currency: CurrencyCode | None = None
    base: MoneyText | None = Field(
        None,
        description="The same in the company's currency, debit positive, where it is not the amount at the rate.",
    )
    dimensions: Dimensions = {}


class EntryIn(TermsIn):
    """An entry by hand; its narration says what for."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "number": "M-12",
                    "date": "2026-11-30",
                    "narration": "Rent of November",
                    "lines": [
                        {"account": "660202", "debit": "300", "dimensions": {"cost_centre": "A1"}},
                        {"account": "100201", "credit": "300"},
                    ],
                }
            ]
        },
    )

    narration: Text = Field(min_length=1)
    lines: list[EntryLineIn] = Field(min_length=2, max_length=ROWS_MAX)


class ClearingRowIn(BaseModel):
    """An item and what becomes of it."""

    model_config = {"extra": "forbid"}

    item: UUID = Field(
        description="The movement that made it: a count's gain or loss, a passage without a reason."
    )
    amount: MoneyText | None = Field(None, description="All that is open, unless said.")
    reason: Annotated[
        str, Field(description=f"One of {', '.join(REASONS)}; by its side, unless said.", max_length=32)
    ] = ""
    account: AccountNumber | None = Field(None, description="Instead of the reason's.")
    dimensions: Dimensions = {}


class ClearingIn(PaperIn):
    """Items that somebody approved."""

    rows: list[ClearingRowIn] = Field(min_length=1, max_length=ROWS_MAX)


@router.post("/v1/journal-entries", response_model=DocumentOut, status_code=201, summary="Post an entry by hand")
def post_entry(body: EntryIn, change: LedgerChange) -> DocumentOut:
    """Control accounts are not written by hand: their movements and documents do."""
    company = change.caller.company
    currency = currency_number(company, body.currency)
    entry = ManualEntry(
        body.number, body.document_date, tuple(_line(company, currency, n, one) for n, one in enumerate(body.lines)),
        body.narration, body.posting_date, currency=currency, rate_nano=rate_nano(body.rate),
    )  # fmt: skip
    with change.pool.connection() as connection, refusals("/lines"):
        answered = post_manual_entry(connection, change.company_id, entry, change.request("journal-entries", body))
    return made(change, answered)


@router.post("/v1/clearings", response_model=DocumentOut, status_code=201, summary="Clear items of clarification")
def clear(body: ClearingIn, change: LedgerChange) -> DocumentOut:
    """Gains and losses of goods, when somebody has approved them; parts too, never more than is open."""
    company = change.caller.company
    rows = tuple(
        ClearingRow(
            row.item, None if row.amount is None else money(row.amount, company, 0, f"/rows/{number}/amount"),
            row.reason, row.account, row.dimensions,
        )
        for number, row in enumerate(body.rows)
    )  # fmt: skip
    clearing = Clearing(body.number, body.document_date, rows, body.narration, body.posting_date)
    with change.pool.connection() as connection, refusals("/rows"):
        answered = post_clearing(connection, change.company_id, clearing, change.request("clearings", body))
    return made(change, answered)


def _line(company: Company, entry_currency: int, number: int, line: EntryLineIn) -> ManualLine:
    at = f"/lines/{number}"
    if (line.debit is None) == (line.credit is None):
        raise wrong_value(at, "expected a debit or a credit, got both or neither")
    currency = (
        entry_currency if line.currency is None else currency_number(company, line.currency, f"{at}/currency")
    )
    side, text = ("debit", line.debit) if line.debit is not None else ("credit", line.credit)
    assert text is not None  # noqa: S101  one of the two is there
    amount = money(text, company, currency, f"{at}/{side}")
    if amount < 0:
        raise wrong_value(f"{at}/{side}", f"expected 0 or more, got {text}")
    base = None if line.base is None else money(line.base, company, 0, f"{at}/base")
    return ManualLine(line.account, amount if side == "debit" else -amount, currency, base, line.dimensions)
