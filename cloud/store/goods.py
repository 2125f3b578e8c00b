"""Goods: movements appended, balances moved."""

import numpy as np
import psycopg
from numpy.typing import NDArray

from cloud.domain.batch import Batch, Company
from cloud.domain.distinct import distinct_rows
from cloud.domain.movement import MovementColumns
from cloud.store import copy
from cloud.store.batches import group_sums, place_in_batch
from cloud.store.sql import statement

Cursor = psycopg.Cursor
NONE = -1


def write_movements(cursor: Cursor, batch: Batch, moves: MovementColumns) -> NDArray[np.uint8]:
    """Append the movements; their digests."""
    n = len(moves)
    columns = [
        copy.constant("company_id", batch.company.company_id, 4, n),
        copy.times("recorded_at", np.full(n, batch.recorded_us)),
        copy.raw("movement_id", moves.movement_id),
        copy.integers("kind", moves.kind, 2),
        copy.integers("item_id", moves.item, 4),
        copy.integers("qty_micro", moves.qty, 8),
        copy.integers("from_id", moves.from_id, 4),
        copy.integers("to_id", moves.to_id, 4),
        copy.integers("party_id", moves.party, 4, np.asarray(moves.party == 0)),
        copy.texts("document", [text.encode() for text in moves.document]),
        copy.integers("price_micro", moves.price, 8, np.asarray(moves.price == NONE)),
        copy.integers("rate_nano", moves.rate, 8),
        copy.integers("value_micro", moves.value, 8, np.asarray(moves.value == NONE)),
        copy.raw("corrects", moves.corrects, np.logical_not(moves.corrects.any(axis=1))),
        copy.integers("tags", moves.tags, 2),
        copy.integers("occurred_us", moves.occurred_us, 8),
        copy.integers("gateway_id", moves.gateway, 4),
        copy.raw("epoch", moves.epoch),
        copy.integers("seq", moves.seq, 8),
        copy.integers("lot_id", moves.lot, 4),
        copy.raw("original_id", moves.original, np.logical_not(moves.original.any(axis=1))),
        copy.texts("reason", [text.encode() for text in moves.reason]),
        copy.integers("dimension_id", moves.dimension, 4),
        copy.integers("currency", moves.currency, 2),
        *place_in_batch(batch, n),
    ]
    return copy.write_hashed(cursor, "movements", columns, n)


def add_balances(cursor: Cursor, company: Company, moves: MovementColumns) -> None:
    key = [np.concatenate(pair) for pair in (
        (moves.item, moves.item), (moves.from_id, moves.to_id), (moves.lot, moves.lot),
    )]  # fmt: skip
    change = np.concatenate([-moves.qty, moves.qty])
    first, back = distinct_rows(key)
    item, location, lot = (column[first] for column in key)
    if len(first):
        cursor.execute(
            statement("books", "add_balances"),
            {
                "company": company.company_id,
                "item": item,
                "location": location,
                "lot": lot,
                "qty": group_sums(back, change, len(first)),
            },
        )
