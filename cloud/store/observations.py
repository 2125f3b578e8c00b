"""Observations: the gateways' logs, one row a number."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

import numpy as np
import psycopg
from numpy.typing import NDArray

from cloud.domain.batch import Batch
from cloud.domain.movement import Outcome
from cloud.domain.observation import Observed
from cloud.store import copy
from cloud.store.batches import place_in_batch

Cursor = psycopg.Cursor


def write_observations(
    cursor: Cursor,
    batch: Batch,
    rows: Sequence[Observed],
    outcomes: Sequence[tuple[Outcome, UUID | None]],
    gate_ids: Mapping[str, int],
) -> NDArray[np.uint8]:
    """Append them; their digests. outcomes: of each what it did, and the id of the sighting that won over it."""
    n = len(rows)

    def ids(values: Iterable[UUID]) -> NDArray:
        return np.frombuffer(b"".join(value.bytes for value in values), np.uint8).reshape(n, 16)

    def column(values: Iterable[int]) -> NDArray:
        return np.fromiter(values, np.int64, n)

    nobody = UUID(int=0)
    columns = [
        copy.constant("company_id", batch.company.company_id, 4, n),
        copy.times("recorded_at", np.full(n, batch.recorded_us)),
        copy.raw("movement_id", ids(seen.movement_id for seen in rows)),
        copy.integers("gateway_id", column(seen.gateway_id for seen in rows), 4),
        copy.raw("epoch", ids(seen.epoch for seen in rows)),
        copy.integers("seq", column(seen.seq for seen in rows), 8),
        copy.integers("gate_id", column(gate_ids[seen.gate] for seen in rows), 4),
        copy.texts("epc", [seen.epc.encode() for seen in rows]),
        copy.integers("direction", column(seen.direction for seen in rows), 2),
        copy.floats("confidence", np.fromiter((seen.confidence for seen in rows), np.float64, n)),
        copy.integers("occurred_us", column(seen.occurred_us for seen in rows), 8),
        copy.integers("claimed_us", column(seen.claimed_us for seen in rows), 8),
        copy.integers("outcome", column(outcome for outcome, _ in outcomes), 2),
        copy.raw(
            "winner",
            ids(winner or nobody for _, winner in outcomes),
            np.fromiter((winner is None for _, winner in outcomes), np.bool_, n),
        ),
        copy.texts("evidence", [seen.evidence for seen in rows]),
        *place_in_batch(batch, n),
    ]
    return copy.write_hashed(cursor, "observations", columns, n)
