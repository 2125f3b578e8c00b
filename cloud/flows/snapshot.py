"""Snapshots of components that are at rest: their books as they stand are the state at their newest moment.

Re-costing keeps snapshots along its way. Goods that never came late would have none, and the first late event would
read all of their history: so a component that has moved on far enough, with nothing marked, short or without a cost,
is kept as it is.
"""

from collections.abc import Iterable

import psycopg

from cloud.store import recosting
from cloud.store.batches import load_company


def keep_snapshots(connection: psycopg.Connection, company_id: int, moved: Iterable[int]) -> set[int]:
    """Keep the components of these items as they stand; the items of those that could be kept. Raises psycopg.Error."""
    kept: set[int] = set()
    for item in moved:
        if item in kept:
            continue
        with connection.transaction(), connection.cursor() as cursor:
            items = recosting.joined_items(cursor, company_id, [item])
            standing = recosting.read_pools(cursor, company_id, items, lock=True)
            state = recosting.standing_start(cursor, company_id, items, standing)
            if state is None:
                continue
            recosting.forget_cuts(cursor, company_id, items, state.after_us)
            recosting.write_cut(cursor, load_company(cursor, company_id), state)
            recosting.raise_newest(cursor, company_id, standing, state.after_us)
            kept |= set(items)
    return kept
