"""A document's entry in the books: what no movement made, in the caller's batch.

Invoices, payments, clearings, revaluations, carry-forwards and manual entries all come through here. The database
checks what it holds itself (balance in each currency, control accounts, validity, dimensions, periods); its words
come back as CannotPost.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

import numpy as np
import psycopg
from numpy.typing import NDArray

from cloud.domain.batch import Batch
from cloud.domain.ledger.periods import Calendar, NoOpenPeriod, days_of, to_date
from cloud.domain.ledger.posting import NONE, Lines
from cloud.domain.ledger.target import pack
from cloud.domain.movement import Kind, Tag
from cloud.flows.answer_once import CannotRecord
from cloud.store.journal import DocumentRow, Headers, hold_calendar, write_documents, write_entries

Int64 = NDArray[np.int64]
Cursor = psycopg.Cursor

LINES_MAX = 32_000  # line numbers are smallint
AMOUNT_LIMIT = 2**60  # minor units: sums of a few lines stay inside bigint
ORIGIN_MANUAL, ORIGIN_DOCUMENT = 2, 3


class CannotPost(CannotRecord):
    """A document cannot be posted, so nothing of its request was; `row` is its number among them."""


@dataclass(frozen=True, slots=True)
class DocumentLine:
    """One line: amounts in minor units, debit positive.

    currency, currency_amount  the same in the document's currency (ISO 4217 number), 0 for the company's own
    open_item                  the item that the line clears; None: it belongs to its own document's item
    """

    account_id: int
    amount: int
    dimension_id: int = 0
    currency: int = 0
    currency_amount: int = 0
    open_item: UUID | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A paper and the entry that it makes.

    day          of the paper;  posting_day  where it is posted, `day` unless said
    corrects     the document that it takes back or amends
    details      what it says beyond its lines, as JSON can hold it
    """

    document_id: UUID
    kind: Kind
    number: str
    day: date
    lines: tuple[DocumentLine, ...]
    narration: str = ""
    posting_day: date | None = None
    party_id: int = 0
    currency: int = 0
    rate_nano: int = 1_000_000_000
    corrects: UUID | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


def post_documents(
    cursor: Cursor, batch: Batch, documents: Sequence[Document], *, move_when_closed: bool = False
) -> None:
    """Append the documents with their entries. Raises CannotPost, psycopg.Error.

    move_when_closed  a day whose period is closed to the batch goes on to the first day that is open, tagged late;
                      else it is refused
    """
    if not documents:
        return
    for number, document in enumerate(documents):
        _check(number, document)
    calendar = hold_calendar(cursor, batch.company)
    headers = _headers(documents, batch, calendar, move_when_closed)
    lines, open_item = _lines(documents)
    with database_refusals():
        write_documents(cursor, batch, [_row(one) for one in documents])
        write_entries(cursor, batch, headers, lines, open_item)


@contextmanager
def database_refusals() -> Iterator[None]:
    """What our own triggers refuse, as CannotPost; the transaction is over then."""
    try:
        yield
    except psycopg.Error as error:
        if not (error.sqlstate or "").startswith("TG"):
            raise
        raise CannotPost(error.diag.message_primary or str(error)) from error


def _check(number: int, document: Document) -> None:
    if not document.kind.is_document:
        raise CannotPost(f"expected a kind of document, got {document.kind.name.lower()}", number)
    if not 2 <= len(document.lines) <= LINES_MAX:
        raise CannotPost(f"expected 2 … {LINES_MAX} lines, got {len(document.lines)}", number, "lines")
    sums: dict[int, int] = {}
    for at, line in enumerate(document.lines):
        if max(abs(line.amount), abs(line.currency_amount)) >= AMOUNT_LIMIT:
            raise CannotPost(
                f"expected less than {AMOUNT_LIMIT} minor units, got {line.amount}", number, f"lines/{at}"
            )
        if line.amount == 0 and line.currency_amount == 0:
            raise CannotPost("the line is of nothing", number, f"lines/{at}")
        if line.currency == 0 and line.currency_amount:
            raise CannotPost("an amount in another currency says in which", number, f"lines/{at}")
        sums[0] = sums.get(0, 0) + line.amount
        if line.currency:
            sums[line.currency] = sums.get(line.currency, 0) + line.currency_amount
    for currency, difference in sums.items():
        if difference:
            where = f" in currency {currency}" if currency else ""
            raise CannotPost(f"the lines do not balance{where}: they sum to {difference}, not 0", number, "lines")


def _headers(documents: Sequence[Document], batch: Batch, calendar: Calendar, move_when_closed: bool) -> Headers:
    n = len(documents)
    wanted = np.array([days_of(one.posting_day or one.day) for one in documents], np.int64)
    try:
        dates = calendar.postable(wanted, np.full(n, batch.posts_soft_closed))
    except NoOpenPeriod as error:
        raise CannotPost(str(error)) from error
    for number in np.flatnonzero(dates.missing | (dates.moved & (not move_when_closed))).tolist():
        said = (
            "no period covers it"
            if dates.missing[number]
            else f"its period is {calendar.state_of(wanted[number])}"
        )
        raise CannotPost(f"{to_date(int(wanted[number]))}: {said}", number, "posting_date")
    return Headers(
        source=_ids([one.document_id for one in documents]),
        step=np.zeros(n, np.int64),
        origin=np.array([ORIGIN_MANUAL if one.kind == Kind.MANUAL else ORIGIN_DOCUMENT for one in documents]),
        kind=np.array([int(one.kind) for one in documents]),
        day=dates.day,
        period=dates.period,
        tags=np.where(dates.moved, int(Tag.LATE), 0),
        corrects=_ids([one.corrects for one in documents]),
        document=[one.number for one in documents],
    )


def _lines(documents: Sequence[Document]) -> tuple[Lines, NDArray[np.uint8]]:
    """Debits first within each document, as accountants write them."""
    rows = [
        (number, line)
        for number, document in enumerate(documents)
        for line in sorted(document.lines, key=lambda line: line.amount < 0)
    ]

    def column(values: Sequence[int]) -> Int64:
        return np.array(values, np.int64)

    lines = Lines(
        column([number for number, _ in rows]),
        column([pack(line.account_id, line.dimension_id) for _, line in rows]),
        column([line.amount for _, line in rows]),
        np.full(len(rows), NONE),
        column([line.currency for _, line in rows]),
        column([line.currency_amount for _, line in rows]),
    )
    return lines, _ids([line.open_item for _, line in rows])


def _ids(ids: Sequence[UUID | None]) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(bytes(16) if one is None else one.bytes for one in ids), np.uint8).reshape(
        -1, 16
    )


def _row(one: Document) -> DocumentRow:
    return DocumentRow(
        one.document_id.bytes, int(one.kind), one.party_id, one.number, days_of(one.day), one.currency, one.rate_nano,
        one.narration, one.details,
    )  # fmt: skip
