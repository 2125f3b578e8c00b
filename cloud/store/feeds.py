"""The hot feeds (movements, passages, journal entries) in commit order, so that no reader misses a row.

A feed's order is (xid of the writing transaction, lane, batch, row); it ends below the oldest transaction
that may still commit. A place in it is therefore good for ever: what commits later stands behind it. A page
reads a window of batches and then their rows, so a page costs its own rows, wherever in the feed it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Generic, NamedTuple, Protocol, TypeVar
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from cloud.store.sql import statement

NOUN = "feeds"
WINDOW_BATCHES = 500
# With a filter most rows of a window fall away, so a window may hold more than a page; a page gives up
# after so many windows and hands out a cursor instead of reading the whole history for one match.
FILTERED_WINDOW_ROWS = 20_000
WINDOWS_PER_PAGE = 8
_ROW_MAX = 2**31 - 1
_XID_MAX = 2**64 - 1


class Order(StrEnum):
    """Oldest first is a feed that one can follow; newest first is for people."""

    OLDEST = "oldest"
    NEWEST = "newest"


class Place(NamedTuple):
    """A place in a feed: after this row (oldest first), or before it (newest first)."""

    xid: int
    lane: int
    batch_no: int
    row_no: int


@dataclass(frozen=True, slots=True)
class MovementRow:
    """A movement with the codes of what it names; a code is None where master data is missing."""

    xid: str
    lane: int
    batch_no: int
    row_no: int
    movement_id: UUID
    recorded_at: datetime
    kind: int
    qty_micro: int
    document: str
    corrects: UUID | None
    tags: int
    occurred_us: int
    epoch: UUID
    seq: int
    item: str | None
    item_zh: str | None
    item_en: str | None
    unit: str | None
    from_code: str | None
    from_name: str | None
    to_code: str | None
    to_name: str | None
    party: str | None
    lot: str | None
    returns: UUID | None
    gateway_site: str | None
    gateway: str | None
    reason: str
    dimensions: str  # as their set is spelled
    price_micro: int | None
    currency: str | None  # of the price; None: the company's own


@dataclass(frozen=True, slots=True)
class PassageRow:
    """A sighting as the gateway told it, and what became of it."""

    xid: str
    lane: int
    batch_no: int
    row_no: int
    movement_id: UUID
    recorded_at: datetime
    gateway_site: str | None
    gateway: str | None
    epoch: UUID
    seq: int
    gate: str | None
    epc: str
    direction: int
    confidence: float
    occurred_us: int
    claimed_us: int
    outcome: int
    winner: UUID | None
    evidence: Any
    item: str | None
    item_zh: str | None
    item_en: str | None


@dataclass(frozen=True, slots=True)
class EntryRow:
    """The head of a journal entry; narration, recorded_by and party are those of its document, where it has one."""

    xid: str
    lane: int
    batch_no: int
    row_no: int
    source_id: UUID
    step: int
    origin: int
    kind: int
    posting_date: date
    period_id: int
    tags: int
    corrects: UUID | None
    document: str
    recorded_at: datetime
    voucher: str | None = None  # word and number, once the entry has them
    narration: str | None = None
    recorded_by: str | None = None
    party: str | None = None


@dataclass(frozen=True, slots=True)
class LineRow:
    """A journal line with its account; amount in minor units, debit positive.

    currency         code of the document's currency where that is not the company's own, else None
    currency_amount  the same in minor units of that, `currency_digits` behind the point
    open_item        the item that the line clears
    """

    source_id: UUID
    step: int
    line_no: int
    account_id: int
    number: str
    name_zh: str
    name_en: str
    role: str | None
    has_items: bool
    amount: int
    cost_step: int | None
    dimension_id: int
    dimension: str | None
    currency: str | None
    currency_digits: int | None
    currency_amount: int
    open_item: UUID | None


class Placed(Protocol):
    @property
    def xid(self) -> str: ...
    @property
    def lane(self) -> int: ...
    @property
    def batch_no(self) -> int: ...
    @property
    def row_no(self) -> int: ...


Row = TypeVar("Row", bound=Placed)


@dataclass(frozen=True, slots=True)
class Feed(Generic[Row]):
    """A feed: its statement in queries/feeds.sql, what its rows are, and what it can be filtered by."""

    name: str
    row: type[Row]
    filters: tuple[str, ...]


MOVEMENTS = Feed("movements", MovementRow, ("item", "kind", "document", "location"))
PASSAGES = Feed("passages", PassageRow, ("gate", "epc", "direction", "outcome", "from_us", "before_us"))
JOURNAL_ENTRIES = Feed("journal_entries", EntryRow, ("period", "document", "account", "kind", "dimension"))


@dataclass(frozen=True, slots=True)
class FeedPage(Generic[Row]):
    """Rows of a feed and the place to go on from; None while the feed is empty."""

    rows: list[Row]
    place: Place | None
    has_more: bool


@dataclass(frozen=True, slots=True)
class Reading(Generic[Row]):
    """How a feed is read: whose, which way, what of it.

    only_settled  keep below the oldest transaction that may still commit; without it one sees what is
                  committed now, which is a picture for people and nothing to read on from
    """

    feed: Feed[Row]
    company_id: int
    order: Order
    filters: Mapping[str, Any] = field(default_factory=dict)
    only_settled: bool = True

    @property
    def is_filtered(self) -> bool:
        """Whether rows of a window may fall away."""
        return any(value is not None for value in self.filters.values())

    @property
    def start(self) -> Place:
        """Before every row."""
        if self.order is Order.OLDEST:
            return Place(0, -1, -1, self.end_row)
        return Place(_XID_MAX, 2**15 - 1, 2**63 - 1, self.end_row)

    @property
    def end_row(self) -> int:
        """A row number that stands behind every row of a batch."""
        return _ROW_MAX if self.order is Order.OLDEST else -1

    def statement(self, name: str, is_within: bool = False) -> sql.Composed:
        """One of queries/feeds.sql, turned this reading's way."""
        beyond = ">" if self.order is Order.OLDEST else "<"
        return statement(NOUN, name).format(
            beyond=sql.SQL(beyond),
            reach=sql.SQL(beyond + "=" if is_within else beyond),
            way=sql.SQL("ASC" if self.order is Order.OLDEST else "DESC"),
            settled=sql.SQL("xid < pg_snapshot_xmin(pg_current_snapshot())" if self.only_settled else "true"),
        )


@dataclass(frozen=True, slots=True)
class _Window:
    batches: list[tuple[str, int, int, datetime]]
    is_last: bool


def incarnation(connection: psycopg.Connection) -> int:
    """Which life of the database this is."""
    row = connection.execute(statement(NOUN, "incarnation")).fetchone()
    return row[0] if row else 0


def read_page(
    connection: psycopg.Connection, reading: Reading[Row], after: Place | None, limit: int
) -> FeedPage[Row]:
    """Up to `limit` rows beyond `after`. With filters a page may be short, even empty, while there is more."""
    place = after or reading.start
    seen = after
    rows: list[Row] = []
    for _ in range(WINDOWS_PER_PAGE):
        wanted = limit - len(rows) + 1
        window = _read_window(connection, reading, place, wanted)
        if not window.batches:
            return FeedPage(rows, seen, has_more=False)
        rows += _read_rows(connection, reading, window, place, wanted)
        if len(rows) > limit:
            rows = rows[:limit]
            return FeedPage(rows, _place_of(rows[-1]), has_more=True)
        xid, lane, batch_no, _ = window.batches[-1]
        place = seen = Place(int(xid), lane, batch_no, reading.end_row)
        if window.is_last:
            return FeedPage(rows, seen, has_more=False)
    return FeedPage(rows, seen, has_more=True)


def read_lines(
    connection: psycopg.Connection, company_id: int, entries: Sequence[tuple[UUID, int]]
) -> dict[tuple[UUID, int], list[LineRow]]:
    """Lines of the entries (source, step), by entry."""
    lines: dict[tuple[UUID, int], list[LineRow]] = {entry: [] for entry in entries}
    values = {
        "company": company_id,
        "sources": [source for source, _ in entries],
        "steps": [step for _, step in entries],
    }
    with connection.cursor(row_factory=class_row(LineRow)) as cursor:
        for line in cursor.execute(statement(NOUN, "lines"), values):
            lines[line.source_id, line.step].append(line)
    return lines


def _read_window(connection: psycopg.Connection, reading: Reading[Row], place: Place, wanted: int) -> _Window:
    rows = max(wanted, FILTERED_WINDOW_ROWS) if reading.is_filtered else wanted
    values = {"company": reading.company_id, "batches": WINDOW_BATCHES, **_place_values(place)}
    # A batch that was read to its end stays out, or it would fill every next window alone.
    is_within = place.row_no != reading.end_row
    found = connection.execute(reading.statement("window", is_within), values).fetchall()
    # A first batch that the cursor stands in the middle of counts in full, which only makes a window short.
    kept = [row[:4] for row in found if row[4] < rows]
    return _Window(kept, is_last=len(kept) == len(found) < WINDOW_BATCHES)


def _read_rows(
    connection: psycopg.Connection, reading: Reading[Row], window: _Window, place: Place, wanted: int
) -> list[Row]:
    recorded = [batch[3] for batch in window.batches]
    values = {
        "company": reading.company_id,
        "xids": [batch[0] for batch in window.batches],
        "lanes": [batch[1] for batch in window.batches],
        "numbers": [batch[2] for batch in window.batches],
        "first": min(recorded),
        "last": max(recorded),
        "limit": wanted,
        **_place_values(place),
        **{name: reading.filters.get(name) for name in reading.feed.filters},
    }
    with connection.cursor(row_factory=class_row(reading.feed.row)) as cursor:
        return cursor.execute(reading.statement(reading.feed.name), values).fetchall()


def _place_of(row: Placed) -> Place:
    return Place(int(row.xid), row.lane, row.batch_no, row.row_no)


def _place_values(place: Place) -> dict[str, Any]:
    return {
        "xid": str(place.xid),
        "lane": place.lane,
        "batch_no": place.batch_no,
        "row_no": place.row_no,
    }
