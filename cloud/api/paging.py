"""Keyset pages: a list in the order of a key that never changes, and an opaque cursor to go on from.

A cursor names its list, a digest of the filters it was made with, and the last row's key; in the hot feeds
also the database's incarnation, since after a restore the same place points into another history. It is no
secret and needs no signature: whatever it says, the rows are those of the caller's own company.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from fastapi import Query
from pydantic import BaseModel, Field

from cloud.api.problems import Problem
from cloud.store.feeds import Place

LIMIT_DEFAULT = 50
LIMIT_MAX = 500
CURSOR_MAX = 600
_VERSION = 1
_INT64 = 2**63

Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX, description="Rows of a page, at most.")]
CursorText = Annotated[
    str | None, Query(max_length=CURSOR_MAX, description="`next_cursor` of the page before; opaque.")
]
Item = TypeVar("Item")
Key = TypeVar("Key")


class Page(BaseModel, Generic[Item]):
    """One page of a list."""

    data: list[Item]
    next_cursor: str | None = Field(
        description="Ask with it for what comes next. Feeds give one also at their end, to come back with later."
    )
    has_more: bool = Field(description="Whether there is more at this moment.")


def write_cursor(list_name: str, filters: Mapping[str, Any], key: Sequence[int | str]) -> str:
    """The cursor behind the row with this key."""
    raw = msgspec.json.encode([_VERSION, list_name, _filters_digest(filters), *key])
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def read_cursor(text: str, list_name: str, filters: Mapping[str, Any], kinds: tuple[type, ...]) -> list[Any]:
    """The key in a cursor, of these types. Raises Problem."""
    try:
        raw = base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        version, name, digest, *key = msgspec.json.decode(raw)
    except (binascii.Error, UnicodeError, msgspec.DecodeError, ValueError, TypeError):
        raise _bad_cursor("it is not one that was handed out here") from None
    if (version, name) != (_VERSION, list_name):
        raise _bad_cursor(f"it belongs to another list than {list_name}")
    if digest != _filters_digest(filters):
        raise _bad_cursor("it was made with other filters: keep them from page to page")
    if [type(part) for part in key] != list(kinds):
        raise _bad_cursor("it is not one that was handed out here")
    if any(isinstance(part, int) and not -_INT64 <= part < _INT64 for part in key):
        raise _bad_cursor("it is not one that was handed out here")
    return key


def after_one(cursor: str | None, list_name: str, filters: Mapping[str, Any], start: Key) -> Key:
    """The key of one column to go on behind; `start` stands before every row. Raises Problem."""
    if cursor is None:
        return start
    found: Key = read_cursor(cursor, list_name, filters, (type(start),))[0]
    return found


def make_page(
    list_name: str, filters: Mapping[str, Any], rows: Sequence[Any], limit: int, key_of: Any, show: Any
) -> dict[str, Any]:
    """A page from up to `limit + 1` rows: the one too many says that there is more."""
    has_more = len(rows) > limit
    rows = rows[:limit]
    cursor = write_cursor(list_name, filters, key_of(rows[-1])) if has_more else None
    return {"data": [show(row) for row in rows], "next_cursor": cursor, "has_more": has_more}


def write_place(feed: str, filters: Mapping[str, Any], incarnation: int, place: Place) -> str:
    """The cursor of a place in a feed."""
    return write_cursor(feed, filters, [incarnation, *place])


def read_place(text: str, feed: str, filters: Mapping[str, Any], incarnation: int) -> Place:
    """The place in a feed's cursor. Raises Problem, also when the database was restored since."""
    life, *place = read_cursor(text, feed, filters, (int, int, int, int, int))
    if life != incarnation:
        raise Problem(
            410,
            "cursor-of-an-earlier-life",
            f"the database was restored since this cursor was made: expected incarnation {incarnation}, "
            f"got {life}. What it had passed may have been undone: read the feed again from its beginning.",
            expected_incarnation=incarnation,
            cursor_incarnation=life,
        )
    return Place(*_within_types(Place(*place)))


def _within_types(place: Place) -> Place:
    """Refuse what no column could hold, so that the database is never asked. Raises Problem."""
    if not (place.xid >= 0 and -1 <= place.lane < 2**15 and -1 <= place.row_no < 2**31):
        raise _bad_cursor("it is not one that was handed out here")
    return place


def _filters_digest(filters: Mapping[str, Any]) -> str:
    named = sorted((name, str(value)) for name, value in filters.items() if value is not None)
    return hashlib.sha256(msgspec.json.encode(named)).hexdigest()[:12]


def _bad_cursor(why: str) -> Problem:
    return Problem(400, "bad-cursor", f"cursor: {why}")
