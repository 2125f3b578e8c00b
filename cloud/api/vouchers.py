"""/v1/vouchers: a period's journal entries in the order of their voucher numbers."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query

from cloud.api.access import FinanceReader, Pool, snapshot
from cloud.api.journal_entries import EntryOut, with_lines
from cloud.api.paging import LIMIT_DEFAULT, CursorText, Limit, Page, make_page, read_cursor
from cloud.store.ledger import vouchers
from cloud.store.ledger.vouchers import Number

router = APIRouter(tags=["journal entries"])


@router.get("/v1/vouchers", response_model=Page[EntryOut], summary="Vouchers of a period")
def list_vouchers(
    caller: FinanceReader,
    pool: Pool,
    period: Annotated[int, Query(ge=100001, le=999912, examples=[202611])],
    word: Annotated[Literal["记", "收", "付", "转"] | None, Query(description="Only of this word.")] = None,
    limit: Limit = LIMIT_DEFAULT,
    cursor: CursorText = None,
) -> dict[str, Any]:
    """Numbered entries of one period, word by word, 1, 2, 3 …; numbers are given some time after the entry."""
    filters = {"period": period, "word": word}
    after = Number(*read_cursor(cursor, "vouchers", filters, (str, int))) if cursor else Number("", 0)
    company = caller.company
    with snapshot(pool) as connection:
        rows = vouchers.in_order(connection, company.company_id, period, after, limit + 1, word)
        shown = dict(zip(rows, with_lines(connection, company, rows), strict=True))
    return make_page("vouchers", filters, rows, limit, lambda row: [*Number.of(row.voucher)], shown.__getitem__)
