"""Manual journal entries: what no movement and no document of a sub-ledger says.

Every line is checked before anything is written, and what is wrong is told with the number of its line: an account
that does not exist, sums others, is a control account or not valid that day; a dimension that is unknown, not valid,
missing or not allowed. The books refuse the same once more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import psycopg

from cloud.domain.batch import Batch
from cloud.domain.movement import Kind
from cloud.flows.answer_once import Answered, CannotRecord, Request, answer_once
from cloud.flows.ledger.document_desk import Desk, check_number, checked_account, document_id
from cloud.flows.ledger.post_document import Document, DocumentLine
from cloud.store.ledger import documents as store

Cursor = psycopg.Cursor

LINES_MIN, LINES_MAX = 2, 1000


@dataclass(frozen=True, slots=True)
class ManualLine:
    """One line, by the account's number. amount: minor units of the line's currency, debit positive.

    currency    ISO 4217 number; None: the entry's; another than the entry's takes the rate known for its day
    base        the same in the company's currency where that is not the amount at the entry's rate
    dimensions  {type: code of its value}
    """

    account: str
    amount: int
    currency: int | None = None
    base: int | None = None
    dimensions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ManualEntry:
    """An entry by hand. currency: ISO 4217 number of its lines, 0 the company's own; rate_nano None: the day's known
    rate; posting_day None: its own day."""

    number: str
    day: date
    lines: tuple[ManualLine, ...]
    narration: str
    posting_day: date | None = None
    party_id: int = 0
    currency: int = 0
    rate_nano: int | None = None


def post_manual_entry(
    connection: psycopg.Connection, company_id: int, entry: ManualEntry, request: Request
) -> Answered:
    """Post it; ids: the document's. Raises CannotRecord with the line's number, RequestConflict, psycopg.Error."""
    check_number(entry.number)
    if not entry.narration.strip():
        raise CannotRecord("expected what the entry is for, got nothing", field="narration")
    if not LINES_MIN <= len(entry.lines) <= LINES_MAX:
        raise CannotRecord(f"expected {LINES_MIN} … {LINES_MAX} lines, got {len(entry.lines)}", field="lines")

    def work(cursor: Cursor, batch: Batch) -> list[str]:
        desk = Desk.at(cursor, batch)
        terms = desk.terms(entry.currency, entry.rate_nano, entry.day)
        one = document_id(company_id, request.key)
        desk.post(
            Document(
                one,
                Kind.MANUAL,
                entry.number,
                entry.day,
                _lines(desk, entry),
                entry.narration,
                entry.posting_day,
                entry.party_id,
                terms.currency,
                terms.rate_nano,
            )
        )
        return [str(one)]

    return answer_once(connection, company_id, request, work)


def _lines(desk: Desk, entry: ManualEntry) -> tuple[DocumentLine, ...]:
    day = entry.posting_day or entry.day
    numbers = [line.account for line in entry.lines]
    known = store.accounts_numbered(desk.cursor, desk.company_id, numbers)
    accounts: list[int] = []
    for number, line in enumerate(entry.lines):
        accounts.append(checked_account(known.get(line.account), line.account, day, number).account_id)
        if line.amount == 0 and not line.base:
            raise CannotRecord("expected an amount, got 0", number, "amount")
    dimensions = desk.dimensions(accounts, [line.dimensions for line in entry.lines], day)
    found = [
        _amounts(desk, entry, line, account, dimension, number)
        for number, (line, account, dimension) in enumerate(zip(entry.lines, accounts, dimensions, strict=True))
    ]
    return _rounded(found, entry)


def _amounts(
    desk: Desk, entry: ManualEntry, line: ManualLine, account: int, dimension: int, number: int
) -> DocumentLine:
    # The entry's rate is of its own currency; a line in another takes the one known for the day.
    currency = entry.currency if line.currency is None else line.currency
    terms = desk.terms(currency, entry.rate_nano if currency == entry.currency else None, entry.day)
    made = desk.line(account, line.amount, terms, dimension_id=dimension)
    if line.base is None:
        return made
    if terms.currency == 0 and line.base != line.amount:
        raise CannotRecord(
            f"the line is in {desk.batch.company.currency}: expected {line.amount}, got {line.base}",
            number,
            "base",
        )
    return replace(made, amount=line.base)


def _rounded(lines: Sequence[DocumentLine], entry: ManualEntry) -> tuple[DocumentLine, ...]:
    """Lines that balance in their currency, each turned at the rate: the largest takes what is left of rounding."""
    rest = sum(line.amount for line in lines)
    told = any(line.base is not None for line in entry.lines)
    turned = [number for number, line in enumerate(lines) if line.currency]
    if (
        rest
        and turned
        and not told
        and abs(rest) <= len(lines)
        and not sum(line.currency_amount for line in lines)
    ):
        largest = max(turned, key=lambda number: abs(lines[number].amount))
        lines = [
            *lines[:largest],
            replace(lines[largest], amount=lines[largest].amount - rest),
            *lines[largest + 1 :],
        ]
    return tuple(lines)
