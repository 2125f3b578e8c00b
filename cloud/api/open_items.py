"""/v1/open-items: what stands on clearing accounts, receivables and payables, and since when."""

from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from cloud.api.access import FinanceReader, Pool, snapshot
from cloud.api.paging import LIMIT_DEFAULT, CursorText, Limit, Page, make_page, read_cursor
from cloud.api.problems import Problem, wrong_value
from cloud.api.values import Amount, CostValue, KindName, Moment, Quantity
from cloud.domain.access import Company
from cloud.domain.decimals import micro_text, minor_text
from cloud.domain.moments import moment_of
from cloud.domain.movement import Kind
from cloud.flows.ledger.open_items import CannotLookBack, read_open, today_in
from cloud.store.ledger.open_items import After, ItemRow, LayerRow

router = APIRouter(tags=["open items"])

_NAME = "open-items"


class OpenItemOut(BaseModel):
    """What is open. `source` is the movement, value event or document that opened it; each can be traced.

    An item has an amount: what its entries and those that cleared it come to, debits positive. A layer, of goods in
    transit or in clarification, has a quantity and a value: what is left of them there.
    """

    sort: Literal["item", "layer"]
    account: str
    account_name_zh: str
    account_name_en: str
    source: UUID
    kind: KindName | None
    document: str | None
    party: str | None
    party_name: str | None
    item: str | None
    item_name_zh: str | None
    item_name_en: str | None
    unit: str | None
    narration: str | None
    opened_on: date
    age_days: int
    amount: Amount | None
    currency: str | None = Field(description="Of the document, where that is not the company's own.")
    currency_amount: str | None
    quantity: Quantity | None = Field(
        description="Of an item that goods opened: how many; of a layer: what is left."
    )
    value: CostValue | None
    since: Moment | None = Field(description="Of a layer: when its goods came there.")


@router.get("/v1/open-items", response_model=Page[OpenItemOut], summary="What is open, and since when")
def list_open_items(
    caller: FinanceReader,
    pool: Pool,
    account: Annotated[str | None, Query(max_length=64, description="On this account, or below it.")] = None,
    party: Annotated[str | None, Query(max_length=64)] = None,
    as_of: Annotated[
        date | None,
        Query(description="As postings up to this day say, without layers, which are known as they are now."),
    ] = None,
    limit: Limit = LIMIT_DEFAULT,
    cursor: CursorText = None,
) -> dict[str, Any]:
    """By account, oldest first."""
    company = caller.company
    filters = {"account": account, "party": party, "as_of": None if as_of is None else as_of.isoformat()}
    after = _place(read_cursor(cursor, _NAME, filters, (str, str, str, int, int))) if cursor else After()
    with snapshot(pool) as connection:
        try:
            rows = read_open(
                connection, company.company_id, after, limit + 1, account=account, party=party, as_of=as_of
            )
        except CannotLookBack as error:
            raise wrong_value("query/as_of", str(error)) from None
        except LookupError as error:
            raise Problem(404, "not-found", str(error)) from None
    day = as_of or today_in(company.time_zone)
    return make_page(_NAME, filters, rows, limit, _key, lambda row: _show(company, row, day))


def _place(key: list[Any]) -> After:
    account, day, item, pool_id, layer_no = key
    try:
        return After(account, date.fromisoformat(day), UUID(item), pool_id, layer_no)
    except ValueError:
        raise Problem(400, "bad-cursor", "it is not one that was handed out here") from None


def _key(row: ItemRow | LayerRow) -> list[int | str]:
    place = row.place
    return [place.account, place.day.isoformat(), str(place.item), place.pool_id, place.layer_no]


def _show(company: Company, row: ItemRow | LayerRow, day: date) -> OpenItemOut:
    is_layer = isinstance(row, LayerRow)
    quantity = row.qty_left if isinstance(row, LayerRow) else row.qty_micro
    in_currency = None
    if isinstance(row, ItemRow) and row.currency is not None:
        in_currency = minor_text(row.currency_amount, row.currency_digits or 0)
    return OpenItemOut(
        sort="layer" if is_layer else "item",
        account=row.account,
        account_name_zh=row.account_zh,
        account_name_en=row.account_en,
        source=row.item,
        kind=None if row.kind is None else Kind(row.kind),
        document=row.document,
        party=row.party,
        party_name=row.party_name,
        item=row.goods,
        item_name_zh=row.goods_zh,
        item_name_en=row.goods_en,
        unit=row.unit,
        narration=row.narration if isinstance(row, ItemRow) else None,
        opened_on=row.opened_on,
        age_days=max((day - row.opened_on).days, 0),
        amount=minor_text(row.amount, company.minor_digits) if isinstance(row, ItemRow) else None,
        currency=row.currency if isinstance(row, ItemRow) else None,
        currency_amount=in_currency,
        quantity=None if quantity is None else micro_text(quantity),
        value=micro_text(row.value_left, company.minor_digits) if isinstance(row, LayerRow) else None,
        since=moment_of(row.occurred_us) if isinstance(row, LayerRow) else None,
    )
