"""What is open, each with its age: items of clearing accounts, receivables and payables, and the layers of goods in
transit and in clarification, which are those accounts' items."""

import heapq
from collections.abc import Iterator
from datetime import date, datetime
from zoneinfo import ZoneInfo

import psycopg

from cloud.store.ledger import open_items as store
from cloud.store.ledger.open_items import After, ItemRow, LayerRow

PAGE_ROWS = 500
_ALWAYS = date.max


class CannotLookBack(ValueError):
    """Layers are known as they are now, so an account that has them cannot be asked for an earlier day."""


def read_open(
    connection: psycopg.Connection,
    company_id: int,
    after: After,
    limit: int,
    *,
    account: str | None = None,
    party: str | None = None,
    as_of: date | None = None,
) -> list[ItemRow | LayerRow]:
    """Up to `limit` items and layers behind `after`, by account and age. Raises LookupError, CannotLookBack.

    as_of  None: as everything stands; a day: as postings up to it say, without layers
    """
    if account is not None:
        kind = store.account_kind(connection, company_id, account)
        if not kind.is_there:
            raise LookupError(f"no account {account}")
        if kind.by_layers and as_of is not None:
            raise CannotLookBack(f"account {account} has layers, which are known as they are now")
    found: list[Iterator[ItemRow | LayerRow]] = [
        iter(store.items(connection, company_id, after, limit, as_of or _ALWAYS, account, party))
    ]
    if as_of is None:
        found.append(iter(store.layers(connection, company_id, after, limit, account, party)))
    return list(heapq.merge(*found, key=lambda row: row.place))[:limit]


def every_open(
    connection: psycopg.Connection, company_id: int, *, account: str | None = None, as_of: date | None = None
) -> Iterator[ItemRow | LayerRow]:
    """All of it, page by page."""
    after = After()
    while rows := read_open(connection, company_id, after, PAGE_ROWS, account=account, as_of=as_of):
        yield from rows
        after = rows[-1].place


def today_in(time_zone: str) -> date:
    """The day that it is in a company's zone."""
    return datetime.now(ZoneInfo(time_zone)).date()
