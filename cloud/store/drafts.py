"""Drafts of revenue and receivables, written with the shipments that they wait for the invoice of."""

import numpy as np
import psycopg

from cloud.domain.batch import Batch
from cloud.domain.ledger.drafts import Drafts
from cloud.domain.movement import MovementColumns
from cloud.store import copy

Cursor = psycopg.Cursor


def write_drafts(cursor: Cursor, batch: Batch, moves: MovementColumns, drafts: Drafts) -> None:
    """Add the drafts of these movements. Raises psycopg.Error."""
    row, n = drafts.row, len(drafts.row)
    if n == 0:
        return
    party = moves.party[row]
    columns = [
        copy.constant("company_id", batch.company.company_id, 4, n),
        copy.raw("movement_id", moves.movement_id[row]),
        copy.integers("party_id", party, 4, np.asarray(party == 0)),
        copy.texts("document", [moves.document[i].encode() for i in row]),
        copy.integers("item_id", moves.item[row], 4),
        copy.integers("qty_micro", moves.qty[row], 8),
        copy.integers("price_micro", moves.price[row], 8),
        copy.integers("currency", moves.currency[row], 2),
        copy.integers("rate_nano", moves.rate[row], 8),
        copy.integers("net_amount", drafts.net, 8),
        copy.integers("occurred_us", moves.occurred_us[row], 8),
    ]
    copy.write(cursor, "journal_drafts", columns, n)
