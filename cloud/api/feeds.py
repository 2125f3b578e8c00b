"""What the three hot feeds share: order, cursor and incarnation."""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import psycopg
from fastapi import Query

from cloud.api.paging import read_place, write_place
from cloud.store import feeds
from cloud.store.feeds import Order, Reading, Row

OrderParameter = Annotated[
    Order,
    Query(
        description="`oldest` first is a feed to follow: its last cursor finds what is committed later. "
        "`newest` first is for looking back."
    ),
]
FEED_NOTE = (
    "In the order of commits: what is committed later stands behind every page read before, so a reader that "
    "keeps its cursor misses nothing. With filters a page may be short, even empty, while `has_more` is true. "
    "A cursor of before a restore of the database is refused with 410."
)
Shown = TypeVar("Shown")


def feed_page(
    connection: psycopg.Connection,
    reading: Reading[Row],
    cursor: str | None,
    limit: int,
    show: Callable[[list[Row]], list[Shown]],
) -> dict[str, Any]:
    """One page of a feed, in the caller's snapshot. Raises Problem."""
    name, bound = reading.feed.name, {**reading.filters, "order": reading.order}
    life = feeds.incarnation(connection)
    after = read_place(cursor, name, bound, life) if cursor else None
    page = feeds.read_page(connection, reading, after, limit)
    return {
        "data": show(page.rows),
        "next_cursor": write_place(name, bound, life, page.place) if page.place else None,
        "has_more": page.has_more,
    }
