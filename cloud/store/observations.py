"""Observations: the gateways' logs, one row a number."""

import numpy as np
import psycopg
from numpy.typing import NDArray

from cloud.domain.batch import Batch
from cloud.domain.movement import Bytes16, Int64
from cloud.domain.observation import Observed
from cloud.store import copy
from cloud.store.batches import place_in_batch

Cursor = psycopg.Cursor


def write_observations(
    cursor: Cursor, batch: Batch, seen: Observed, gate_id: Int64, outcome: Int64, winner: Bytes16
) -> NDArray[np.uint8]:
    """Append them; their digests.

    By row: the gate, what the sighting did, and the id of the sighting that won over it (zero for none).
    """
    n = len(seen)
    codes = [epc.encode() for epc in seen.epcs]
    columns = [
        copy.constant("company_id", batch.company.company_id, 4, n),
        copy.times("recorded_at", np.full(n, batch.recorded_us)),
        copy.raw("movement_id", seen.movement_id),
        copy.integers("gateway_id", seen.gateway, 4),
        copy.raw("epoch", seen.epoch),
        copy.integers("seq", seen.seq, 8),
        copy.integers("gate_id", gate_id, 4),
        copy.texts("epc", [codes[tag] for tag in seen.tag.tolist()]),
        copy.integers("direction", seen.direction, 2),
        copy.floats("confidence", seen.confidence),
        copy.integers("occurred_us", seen.occurred_us, 8),
        copy.integers("claimed_us", seen.claimed_us, 8),
        copy.integers("outcome", outcome, 2),
        copy.raw("winner", winner, np.logical_not(winner.any(axis=1))),
        copy.texts("evidence", seen.evidence),
        *place_in_batch(batch, n),
    ]
    return copy.write_hashed(cursor, "observations", columns, n)
