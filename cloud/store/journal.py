"""Journal entries and their lines: appended together, hashed together."""

import itertools
from dataclasses import dataclass

import numpy as np
import psycopg
from numpy.typing import NDArray

from cloud.domain.batch import Batch, Company
from cloud.domain.ledger.periods import Calendar, Period
from cloud.domain.ledger.posting import NONE, Lines
from cloud.domain.records import Records
from cloud.store import copy
from cloud.store.batches import place_in_batch
from cloud.store.sql import statement

Int64 = NDArray[np.int64]
Cursor = psycopg.Cursor


def hold_calendar(cursor: Cursor, company: Company) -> Calendar:
    rows = cursor.execute(statement("books", "hold_periods"), {"company": company.company_id}).fetchall()
    return Calendar([Period(*row) for row in rows], company.time_zone)


@dataclass(slots=True)
class Headers:
    """Journal entries before their lines are known, `move` a row of Records; one without lines is not written."""

    move: Int64
    step: Int64
    day: Int64
    tags: Int64
    corrects: NDArray[np.uint8]


def write_entries(
    cursor: Cursor, batch: Batch, records: Records, headers: Headers, lines: Lines, calendar: Calendar
) -> None:
    """Append the entries that have lines, and their lines. Raises psycopg.Error."""
    present, entry = np.unique(lines.entry, return_inverse=True)
    n, k = len(present), len(entry)
    move = headers.move[present]
    period = calendar.postable(headers.day[present]).period
    corrects = headers.corrects[present]
    entry_columns = [
        copy.constant("company_id", batch.company.company_id, 4, n),
        copy.raw("source_id", records.record_id[move]),
        copy.integers("step", headers.step[present], 2),
        copy.constant("origin", 1, 2, n),
        copy.integers("kind", records.kind[move], 2),
        copy.dates("posting_date", headers.day[present]),
        copy.integers("period_id", period, 4),
        copy.integers("tags", headers.tags[present], 2),
        copy.raw("corrects", corrects, np.logical_not(corrects.any(axis=1))),
        copy.texts("document", [records.document[m].encode() for m in move]),
        copy.times("recorded_at", np.full(n, batch.recorded_us)),
        *place_in_batch(batch, n),
    ]
    line_columns = [
        copy.constant("company_id", batch.company.company_id, 4, k),
        copy.raw("source_id", records.record_id[move[entry]]),
        copy.integers("step", headers.step[present][entry], 2),
        copy.integers("line_no", Lines(entry, lines.account, lines.amount, lines.cost_step).number, 2),
        copy.integers("account_id", lines.account, 4),
        copy.constant("dimension_id", 0, 4, k),
        copy.integers("amount", lines.amount, 8),
        copy.integers("cost_step", lines.cost_step, 2, np.asarray(lines.cost_step == NONE)),
    ]
    if n == 0:
        return
    entry_columns = copy.with_digest(entry_columns, n)
    heads, head_starts = copy.encode(entry_columns, n)
    body, line_starts = copy.encode(line_columns, k)
    hashes = copy.hashes(entry_columns, heads, head_starts)
    # An entry and its lines are one thing: the digest goes on over the rows of the lines, which follow in order.
    bounds = line_starts[np.searchsorted(entry, np.arange(n + 1))].tolist()
    for digest, (a, b) in zip(hashes, itertools.pairwise(bounds), strict=True):
        digest.update(body.data[a:b])
    batch.hashed.append(copy.put_digests(heads, head_starts, hashes))
    copy.write_encoded(cursor, "journal_entries", entry_columns, heads)
    copy.write_encoded(cursor, "journal_lines", line_columns, body)
    batch.turnovers.append((lines.account, period[entry], lines.amount))
