"""Approving what was counted or passed without a reason: open items of clarification, cleared to what they turned
out to be.

A gain of goods is income, a loss in the ordinary course an administrative expense, another a loss; or any account that
the row names. Two items that were the same goods (a loss here, a gain there) offset each other. Parts may be cleared,
never more than is open.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import psycopg

from cloud.domain.batch import Batch
from cloud.domain.movement import Kind
from cloud.flows.answer_once import Answered, CannotRecord, Request, answer_once
from cloud.flows.ledger.document_desk import Desk, check_number, check_rows, document_id
from cloud.flows.ledger.post_document import Document, DocumentLine
from cloud.store.ledger import documents as store
from cloud.store.ledger.documents import OpenPart

Cursor = psycopg.Cursor

GAIN, ORDINARY_LOSS, LOSS, OFFSET = "goods_gain", "admin_loss", "loss", "offset"
REASONS = (GAIN, ORDINARY_LOSS, LOSS, OFFSET)


@dataclass(frozen=True, slots=True)
class ClearingRow:
    """An item (the movement that made it) and what becomes of it.

    amount   minor units of the company's currency, above 0; None: all that is open
    reason   of REASONS; empty: a gain is goods_gain, a loss admin_loss
    account  instead, by number
    """

    item: uuid.UUID
    amount: int | None = None
    reason: str = ""
    account: str | None = None
    dimensions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Clearing:
    """An approval. posting_day None: its own day."""

    number: str
    day: date
    rows: tuple[ClearingRow, ...]
    narration: str = ""
    posting_day: date | None = None


def post_clearing(
    connection: psycopg.Connection, company_id: int, clearing: Clearing, request: Request
) -> Answered:
    """Post it; ids: the document's. Raises CannotRecord, RequestConflict, psycopg.Error."""
    check_number(clearing.number)
    check_rows(len(clearing.rows), "rows")

    def work(cursor: Cursor, batch: Batch) -> list[str]:
        desk, one = Desk.at(cursor, batch), document_id(company_id, request.key)
        items = [row.item for row in clearing.rows]
        store.hold_items(cursor, company_id, items)
        found = store.open_items(cursor, company_id, items)
        lines: list[DocumentLine] = []
        told = []
        offset = 0
        for number, row in enumerate(clearing.rows):
            if items.index(row.item) != number:
                raise CannotRecord("the item stands here twice", number, "item")
            parts = [part for part in found.get(row.item, []) if part.role == "clarification"]
            amount = _amount(row, parts, number)
            lines += _cleared(parts, amount)
            if row.reason == OFFSET:
                offset += amount
            else:
                lines.append(_target(desk, clearing, row, amount, number))
            told.append({"item": str(row.item), "amount": amount, "reason": row.reason, "account": row.account})
        if offset:
            raise CannotRecord(f"items that offset each other must come to 0, got {offset}", field="rows")
        desk.post(
            Document(
                one,
                Kind.CLEARING,
                clearing.number,
                clearing.day,
                tuple(lines),
                clearing.narration,
                clearing.posting_day,
                details={"rows": told},
            )
        )
        return [str(one)]

    return answer_once(connection, company_id, request, work)


def _amount(row: ClearingRow, parts: Sequence[OpenPart], number: int) -> int:
    """What is cleared, debit positive: on the side opposite the item."""
    is_open = sum(part.amount for part in parts)
    if is_open == 0:
        raise CannotRecord(f"nothing of {row.item} is open", number, "item")
    if row.reason and row.reason not in REASONS:
        raise CannotRecord(f"expected one of {', '.join(REASONS)}, got {row.reason!r}", number, "reason")
    if row.amount is None:
        return -is_open
    if not 0 < row.amount <= abs(is_open):
        raise CannotRecord(
            f"expected at most {abs(is_open)} minor units, which are open, got {row.amount}", number, "amount"
        )
    return -row.amount if is_open > 0 else row.amount


def _cleared(parts: Sequence[OpenPart], amount: int) -> Iterator[DocumentLine]:
    main = max(parts, key=lambda part: abs(part.amount))
    if amount == -sum(part.amount for part in parts):
        for part in parts:
            if part.amount:
                yield DocumentLine(part.account_id, -part.amount, part.dimension_id, open_item=part.item)
    else:
        yield DocumentLine(main.account_id, amount, main.dimension_id, open_item=main.item)


def _target(desk: Desk, clearing: Clearing, row: ClearingRow, amount: int, number: int) -> DocumentLine:
    day = clearing.posting_day or clearing.day
    if row.account is not None:
        account = desk.named_account(row.account, day, number).account_id
    else:
        account = desk.account(row.reason or (GAIN if amount > 0 else ORDINARY_LOSS))
    return DocumentLine(account, -amount, desk.dimension(account, row.dimensions, day, number))
