"""Journal entries, their lines and the documents behind them: appended together, hashed together."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from cloud.domain.batch import Batch, Company, Turnover
from cloud.domain.ledger import target
from cloud.domain.ledger.periods import Calendar, Period
from cloud.domain.ledger.posting import NONE, Lines
from cloud.store import copy
from cloud.store.batches import place_in_batch
from cloud.store.sql import statement

Int64 = NDArray[np.int64]
Bytes16 = NDArray[np.uint8]
Cursor = psycopg.Cursor


def hold_calendar(cursor: Cursor, company: Company) -> Calendar:
    """The company's periods, share-locked until the transaction ends."""
    rows = cursor.execute(statement("books", "hold_periods"), {"company": company.company_id}).fetchall()
    return Calendar([Period(*row) for row in rows], company.time_zone)


@dataclass(slots=True)
class Headers:
    """n journal entries before their lines are known; one without lines is not written.

    source    uint8[n, 16];  step, origin, kind, day, period, tags  int64[n]
    corrects  uint8[n, 16], zero for nothing;  document  list of n texts
    """

    source: Bytes16
    step: Int64
    origin: Int64
    kind: Int64
    day: Int64
    period: Int64
    tags: Int64
    corrects: Bytes16
    document: list[str]


def write_entries(
    cursor: Cursor, batch: Batch, headers: Headers, lines: Lines, open_item: Bytes16 | None = None
) -> None:
    """Append the entries that have lines, and their lines. Raises psycopg.Error.

    open_item  uint8[k, 16], the item that each line clears, zero for none; None: none does
    """
    present, entry = np.unique(lines.entry, return_inverse=True)
    n, k = len(present), len(entry)
    if n == 0:
        return
    corrects, period = headers.corrects[present], headers.period[present]
    documents = [text.encode() for text in headers.document]
    entry_columns = [
        copy.constant("company_id", batch.company.company_id, 4, n),
        copy.raw("source_id", headers.source[present]),
        copy.integers("step", headers.step[present], 2),
        copy.integers("origin", headers.origin[present], 2),
        copy.integers("kind", headers.kind[present], 2),
        copy.dates("posting_date", headers.day[present]),
        copy.integers("period_id", period, 4),
        copy.integers("tags", headers.tags[present], 2),
        copy.raw("corrects", corrects, np.logical_not(corrects.any(axis=1))),
        copy.texts("document", [documents[i] for i in present.tolist()]),
        copy.times("recorded_at", np.full(n, batch.recorded_us)),
        *place_in_batch(batch, n),
    ]
    first = np.searchsorted(entry, entry, side="left")
    items = np.zeros((k, 16), np.uint8) if open_item is None else open_item
    line_columns = [
        copy.constant("company_id", batch.company.company_id, 4, k),
        copy.raw("source_id", headers.source[present[entry]]),
        copy.integers("step", headers.step[present[entry]], 2),
        copy.integers("line_no", np.arange(k) - first + 1, 2),
        copy.integers("account_id", target.account_of(lines.account), 4),
        copy.integers("dimension_id", target.dimension_of(lines.account), 4),
        copy.integers("amount", lines.amount, 8),
        copy.integers("cost_step", lines.cost_step, 2, np.asarray(lines.cost_step == NONE)),
        copy.integers("currency", lines.currency, 2),
        copy.integers("currency_amount", lines.currency_amount, 8),
        copy.raw("open_item", items, np.logical_not(items.any(axis=1))),
    ]
    # An entry and its lines are one thing: the digest goes on over the rows of the lines, which follow in order.
    parts = copy.Parts("journal_lines", line_columns, entry)
    batch.chain("journal_entries", copy.write_hashed_with(cursor, "journal_entries", entry_columns, n, parts))
    batch.turnovers.append(
        Turnover(lines.account, period[entry], lines.amount, lines.currency, lines.currency_amount)
    )


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """What a document says beside its lines. day: since 1970-01-01; details: what JSON can hold."""

    document_id: bytes
    kind: int
    party_id: int
    number: str
    day: int
    currency: int
    rate_nano: int
    narration: str
    details: Mapping[str, Any]


def write_documents(cursor: Cursor, batch: Batch, rows: list[DocumentRow]) -> None:
    """Append documents; their entries come with `write_entries`. Raises psycopg.Error."""
    n = len(rows)
    party = np.array([row.party_id for row in rows], np.int64)
    columns = [
        copy.constant("company_id", batch.company.company_id, 4, n),
        copy.times("recorded_at", np.full(n, batch.recorded_us)),
        copy.raw("document_id", np.frombuffer(b"".join(row.document_id for row in rows), np.uint8).reshape(n, 16)),
        copy.integers("kind", np.array([row.kind for row in rows], np.int64), 2),
        copy.integers("party_id", party, 4, np.asarray(party == 0)),
        copy.texts("number", [row.number.encode() for row in rows]),
        copy.dates("day", np.array([row.day for row in rows], np.int64)),
        copy.integers("currency", np.array([row.currency for row in rows], np.int64), 2),
        copy.integers("rate_nano", np.array([row.rate_nano for row in rows], np.int64), 8),
        copy.texts("narration", [row.narration.encode() for row in rows]),
        copy.texts("recorded_by", [batch.worker.encode()] * n),
        copy.texts(
            "details", [json.dumps(row.details, ensure_ascii=False, sort_keys=True).encode() for row in rows]
        ),
        *place_in_batch(batch, n),
    ]
    batch.chain("ledger_documents", copy.write_hashed(cursor, "ledger_documents", columns, n))
