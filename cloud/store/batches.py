"""Batches: opened by locking their lane's head, closed by turnovers and the link of the chain."""

import hashlib
import json
import struct
from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import psycopg
from numpy.typing import NDArray

from cloud.domain.batch import Batch, Company
from cloud.domain.distinct import distinct_rows
from cloud.domain.ledger.target import account_of, dimension_of
from cloud.store import copy
from cloud.store.sql import statement

Int64 = NDArray[np.int64]
Cursor = psycopg.Cursor


def load_company(cursor: Cursor, company_id: int) -> Company:
    """Raises LookupError."""
    row = cursor.execute(statement("books", "company"), {"company": company_id}).fetchone()
    if row is None:
        raise LookupError(f"no company {company_id}")
    return Company(*row)


def open_batch(
    cursor: Cursor, company: Company, lane: int, recorded_us: int, worker: str, *, posts_soft_closed: bool = False
) -> Batch:
    """Lock the lane's chain and take the next number in it.

    posts_soft_closed  whether who asks may post into soft-closed periods; the database is told for this transaction
    """
    where = {"company": company.company_id, "lane": lane}
    cursor.execute(statement("books", "make_lane_head"), where)
    row = cursor.execute(statement("books", "lock_lane_head"), where).fetchone()
    assert row is not None  # noqa: S101  made above
    if posts_soft_closed:
        cursor.execute(statement("books", "post_soft_closed"))
    return Batch(
        company, lane, row[0] + 1, bytes(row[1]), recorded_us, worker, posts_soft_closed=posts_soft_closed
    )


def close_batch(cursor: Cursor, batch: Batch) -> bytes:
    """Turnovers, the chain's link, and the hint to listeners; the lane's new head."""
    _write_turnovers(cursor, batch)
    link = hashlib.sha256(batch.previous)
    for digests in batch.hashed.values():
        link.update(digests.tobytes())
    link.update(struct.pack(">q", batch.recorded_us) + batch.worker.encode())
    link.update(struct.pack(">qq", batch.observed, batch.moved))
    head = link.digest()
    where = {"company": batch.company.company_id, "lane": batch.lane, "batch_no": batch.batch_no, "head": head}
    cursor.execute(
        statement("books", "insert_batch"),
        where
        | {
            "recorded_at": datetime.fromtimestamp(batch.recorded_us / 1e6, UTC),
            "worker": batch.worker,
            "observed": batch.observed,
            "moved": batch.moved,
            "previous": batch.previous,
        },
    )
    cursor.execute(statement("books", "advance_lane_head"), where)
    hint = {"company": batch.company.company_id, "lane": batch.lane, "batch": batch.batch_no}
    cursor.execute(statement("books", "notify"), {"payload": json.dumps(hint)})
    return head


def group_sums(group: Int64, values: Int64, n: int) -> list[int]:
    """Exact sums of each group 0 … n − 1; what passes bigint is for the database to refuse, never wrapped."""
    fits = float(np.abs(values).sum(dtype=np.float64)) < 2**62
    totals = np.zeros(n, np.int64 if fits else object)
    np.add.at(totals, group, values if fits else values.astype(object))
    return totals.tolist()


def _write_turnovers(cursor: Cursor, batch: Batch) -> None:
    if not batch.turnovers:
        return
    target, period, amount, currency, currency_amount = (
        np.concatenate(column) for column in zip(*batch.turnovers, strict=True)
    )
    first, back = distinct_rows((target, currency, period))
    n = len(first)
    if n == 0:
        return
    cursor.execute(
        statement("books", "add_turnovers"),
        {
            "company": batch.company.company_id,
            "lane": batch.lane,
            "account": account_of(target[first]),
            "dimension": dimension_of(target[first]),
            "currency": currency[first],
            "period": period[first],
            "debit": group_sums(back, np.maximum(amount, 0), n),
            "credit": group_sums(back, np.maximum(-amount, 0), n),
            "currency_debit": group_sums(back, np.maximum(currency_amount, 0), n),
            "currency_credit": group_sums(back, np.maximum(-currency_amount, 0), n),
        },
    )


def place_in_batch(batch: Batch, n: int) -> Iterator[copy.Column]:
    yield copy.constant("lane", batch.lane, 2, n)
    yield copy.constant("batch_no", batch.batch_no, 8, n)
    yield copy.integers("row_no", np.arange(n), 4)
