"""/v1/journal-entries: the money."""

from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

import psycopg
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from cloud.api.access import FinanceReader, Pool, snapshot
from cloud.api.feeds import FEED_NOTE, OrderParameter, feed_page
from cloud.api.paging import LIMIT_DEFAULT, CursorText, Limit, Page
from cloud.api.values import Amount, KindName, Moment, tag_names
from cloud.domain.access import Company
from cloud.domain.decimals import minor_text
from cloud.domain.movement import Kind
from cloud.store import feeds
from cloud.store.feeds import EntryRow, LineRow, Order, Reading

router = APIRouter(tags=["journal entries"])


OriginName = Literal["movement", "manual", "document"]
_ORIGINS: dict[int, OriginName] = {1: "movement", 2: "manual", 3: "document"}


class LineOut(BaseModel):
    """A journal line: an amount on one side, null on the other. `id` can be traced.

    currency and currency_amount say the same in the document's currency, where that is not the company's own;
    currency_amount is negative on the credit side.
    """

    id: str = Field(examples=["01930f1e-7b1a-7c3d-9e4f-0a1b2c3d4e5f.0.1"])
    account: str
    account_name_zh: str
    account_name_en: str
    debit: Amount | None
    credit: Amount | None
    dimension: str | None = Field(examples=["cost_centre=A1;project=P7"])
    currency: str | None = Field(examples=["GBP"])
    currency_amount: str | None = Field(examples=["-4.10"])
    open_item: UUID | None = Field(description="The open item that the line clears; null where it opens its own.")


class EntryOut(BaseModel):
    """A balanced journal entry; `source` is the movement, value event or document that it belongs to."""

    id: str
    source: UUID
    origin: OriginName
    kind: KindName
    posting_date: date
    period: int = Field(examples=[202611])
    tags: list[str]
    corrects: UUID | None
    document: str
    voucher: str | None = Field(
        examples=["记-12"], description="Word and number within its period; null until the entry is numbered."
    )
    party: str | None = Field(description="Of a document.")
    narration: str | None = Field(description="摘要, of an entry that a document or a person made.")
    recorded_by: str | None = Field(description="Who made the document.")
    recorded_at: Moment
    currency: str
    lines: list[LineOut]


@router.get(
    "/v1/journal-entries",
    response_model=Page[EntryOut],
    summary="Journal entries with lines",
    description=FEED_NOTE,
)
def list_journal_entries(
    caller: FinanceReader,
    pool: Pool,
    limit: Limit = LIMIT_DEFAULT,
    cursor: CursorText = None,
    order: OrderParameter = Order.OLDEST,
    account: Annotated[
        str | None, Query(max_length=64, description="With a line on this account, or below it.")
    ] = None,
    period: Annotated[int | None, Query(ge=100001, le=999912, examples=[202611])] = None,
    document: Annotated[str | None, Query(max_length=500)] = None,
    kind: Annotated[KindName | None, Query()] = None,
    dimension: Annotated[
        str | None,
        Query(
            max_length=500,
            description="With a line whose dimension set names these values.",
            examples=["project=P7"],
        ),
    ] = None,
) -> dict[str, Any]:
    """Journal entries in commit order."""
    filters = {
        "account": account,
        "period": period,
        "document": document,
        "kind": None if kind is None else int(kind),
        "dimension": dimension,
    }
    reading = Reading(feeds.JOURNAL_ENTRIES, caller.company.company_id, order, filters)
    with snapshot(pool) as connection:
        return feed_page(
            connection,
            reading,
            cursor,
            limit,
            lambda rows: with_lines(connection, caller.company, rows),
        )


def show_entry(company: Company, row: EntryRow, lines: list[LineRow]) -> EntryOut:
    """An entry with its lines as the API shows it."""
    return EntryOut(
        id=f"{row.source_id}.{row.step}",
        source=row.source_id,
        origin=_ORIGINS[row.origin],
        kind=Kind(row.kind),
        posting_date=row.posting_date,
        period=row.period_id,
        tags=tag_names(row.tags),
        corrects=row.corrects,
        document=row.document,
        voucher=row.voucher,
        party=row.party,
        narration=row.narration,
        recorded_by=row.recorded_by,
        recorded_at=row.recorded_at,
        currency=company.currency,
        lines=[_show_line(company, line) for line in lines],
    )


def with_lines(connection: psycopg.Connection, company: Company, rows: list[EntryRow]) -> list[EntryOut]:
    """Entries with their lines, in the order of `rows`."""
    lines = feeds.read_lines(connection, company.company_id, [(row.source_id, row.step) for row in rows])
    return [show_entry(company, row, lines[row.source_id, row.step]) for row in rows]


def _show_line(company: Company, line: LineRow) -> LineOut:
    text = minor_text(abs(line.amount), company.minor_digits)
    return LineOut(
        id=f"{line.source_id}.{line.step}.{line.line_no}",
        account=line.number,
        account_name_zh=line.name_zh,
        account_name_en=line.name_en,
        debit=text if line.amount > 0 else None,
        credit=text if line.amount < 0 else None,
        dimension=line.dimension,
        currency=line.currency,
        currency_amount=None
        if line.currency is None
        else minor_text(line.currency_amount, line.currency_digits or 0),
        open_item=line.open_item,
    )
