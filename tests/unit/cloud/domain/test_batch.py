"""A batch on its way: each table once, in the link's order."""

import numpy as np
import pytest

from cloud.domain.batch import Batch, Company, OutOfOrder


def test_a_batch_writes_each_table_once_and_in_order() -> None:
    """Rows are numbered from 0 in each table of a batch: a second write would number them twice."""
    batch = Batch(Company(1, "demo", "CNY", 2, "UTC"), 3, 7, bytes(32), 0, "test")
    digests = np.zeros((1, 32), np.uint8)
    batch.chain("movements", digests)
    batch.chain("journal_entries", digests)
    for table in ("journal_entries", "ledger_documents"):
        with pytest.raises(
            OutOfOrder, match=f"batch 7 of lane 3 writes {table} behind movements, journal_entries"
        ):
            batch.chain(table, digests)
