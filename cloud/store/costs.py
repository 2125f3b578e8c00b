"""What a costed batch leaves: cost entries, consumption links, allowances, layers, pools, value events."""

import numpy as np
import psycopg
from numpy.typing import NDArray

from cloud.domain.batch import Batch
from cloud.domain.costing import kernels
from cloud.domain.costing.pools import Costed
from cloud.domain.ledger.target import account_of, dimension_of
from cloud.domain.records import Records
from cloud.domain.rounding import to_minor
from cloud.domain.value_event import ValueEventColumns
from cloud.store import copy
from cloud.store.batches import place_in_batch
from cloud.store.pool_state import LayerSources, PoolState
from cloud.store.sql import statement

NONE = kernels.NONE
Int64 = NDArray[np.int64]
Cursor = psycopg.Cursor


def write_value_events(cursor: Cursor, batch: Batch, events: ValueEventColumns, pool: Int64) -> None:
    """Append the events. pool: the pool_id that each one concerns, or NONE."""
    n = len(events)
    if n == 0:
        return
    columns = [
        copy.constant("company_id", batch.company.company_id, 4, n),
        copy.times("recorded_at", np.full(n, batch.recorded_us)),
        copy.raw("event_id", events.event_id),
        copy.integers("kind", events.kind, 2),
        copy.integers("pool_id", pool, 8, np.asarray(pool == NONE)),
        copy.integers("item_id", events.item, 4, np.asarray(events.item == 0)),
        copy.raw("original_id", events.original, np.logical_not(events.original.any(axis=1))),
        copy.integers("value_micro", events.value, 8),
        copy.integers("period_id", events.period, 4, np.asarray(events.period == 0)),
        copy.integers("dimension_id", events.dimension, 4),
        copy.integers("party_id", events.party, 4, np.asarray(events.party == 0)),
        copy.texts("document", [text.encode() for text in events.document]),
        copy.texts("reason", [text.encode() for text in events.reason]),
        copy.integers("occurred_us", events.occurred_us, 8),
        copy.integers("currency", events.currency, 2),
        copy.integers("currency_amount", events.currency_amount, 8),
        *place_in_batch(batch, n),
    ]
    batch.chain("value_events", copy.write_hashed(cursor, "value_events", columns, n))


def write_cost_entries(
    cursor: Cursor,
    batch: Batch,
    records: Records,
    costed: Costed,
    corrects: NDArray[np.uint8],
    counter: Int64,
    day: Int64,
    sources: LayerSources,
) -> None:
    """Append the entries with their consumption links: which of them took how much of which layer.

    By entry: what it corrects (zero: nothing), the target opposite (or NONE), posting day.
    """
    entries = costed.entries
    n = len(entries.move)
    columns = [
        copy.constant("company_id", batch.company.company_id, 4, n),
        copy.raw("movement_id", records.record_id[entries.move]),
        copy.integers("step", entries.step, 2),
        copy.integers("pool_id", costed.pools.pool_id[entries.pool], 8),
        copy.integers("qty", entries.qty, 8),
        copy.integers("value", entries.value, 8),
        copy.integers("posted", entries.posted, 8),
        copy.raw("corrects", corrects, np.logical_not(corrects.any(axis=1))),
        copy.dates("posting_date", day),
        copy.integers("counter_account", account_of(counter), 4, np.asarray(counter == NONE)),
        copy.raw("journal_id", np.zeros((n, 16), np.uint8), np.ones(n, np.bool_)),
        copy.integers("counter_dimension", dimension_of(counter), 4),
        *place_in_batch(batch, n),
    ]
    append_linked(cursor, batch, columns, n, costed.links.entry, _link_columns(batch, records, costed, sources))


def append_linked(
    cursor: Cursor, batch: Batch, entries: list[copy.Column], n: int, entry: Int64, links: list[copy.Column]
) -> None:
    """Append n cost entries and k consumption links, which come by entry: one digest covers an entry and its links.

    entry  int64[k], the row of each link's entry
    """
    if n:
        parts = copy.Parts("consumption_links", links, entry)
        batch.chain("cost_entries", copy.write_hashed_with(cursor, "cost_entries", entries, n, parts))


def write_allowances(cursor: Cursor, batch: Batch, records: Records, costed: Costed, day: Int64) -> None:
    """Append the changes of allowances; `day`: each record's posting day."""
    releases = costed.releases
    n = len(releases.move)
    if n == 0:
        return
    columns = [
        copy.constant("company_id", batch.company.company_id, 4, n),
        copy.raw("movement_id", records.record_id[releases.move]),
        copy.constant("step", 0, 2, n),
        copy.integers("pool_id", costed.pools.pool_id[releases.pool], 8),
        copy.integers("value", releases.value, 8),
        copy.integers("posted", releases.posted, 8),
        copy.dates("posting_date", day[releases.move]),
        *place_in_batch(batch, n),
    ]
    batch.chain("allowance_entries", copy.write_hashed(cursor, "allowance_entries", columns, n))


def _link_columns(batch: Batch, records: Records, costed: Costed, sources: LayerSources) -> list[copy.Column]:
    links, layers, entries = costed.links, costed.layers, costed.entries
    n = len(links.entry)
    first = np.searchsorted(links.entry, links.entry, side="left")
    return [
        copy.constant("company_id", batch.company.company_id, 4, n),
        copy.raw("movement_id", records.record_id[entries.move[links.entry]]),
        copy.integers("step", entries.step[links.entry], 2),
        copy.integers("link_no", np.arange(n) - first + 1, 4),
        copy.integers("pool_id", costed.pools.pool_id[layers.pool[links.layer]], 8),
        copy.integers("layer_no", layers.no[links.layer], 8),
        copy.raw("source_id", sources.movement_id[links.layer]),
        copy.integers("qty", links.qty, 8),
        copy.integers("value", links.value, 8),
    ]


def write_layers(cursor: Cursor, batch: Batch, costed: Costed, state: PoolState, sources: LayerSources) -> None:
    """Layers that are used up go, what is left of others is kept, new ones are added."""
    layers, stored, company = costed.layers, costed.layers.stored, batch.company.company_id
    pool = costed.pools.pool_id
    before = state.layers
    rows = np.arange(stored)
    # A first cost of nothing changes only that the layer waits no more.
    changed = (layers.qty[:stored] != before.qty) | (layers.value[:stored] != before.value)
    changed |= layers.uncosted[:stored] != before.uncosted
    gone = rows[layers.qty[:stored] == 0]
    kept = rows[changed & (layers.qty[:stored] != 0)]
    if len(gone):
        cursor.execute(
            statement("books", "delete_layers"),
            {"company": company, "pool": pool[layers.pool[gone]], "layer": layers.no[gone]},
        )
    if len(kept):
        cursor.execute(
            statement("books", "update_layers"),
            {
                "company": company,
                "pool": pool[layers.pool[kept]],
                "layer": layers.no[kept],
                "qty": layers.qty[kept],
                "value": layers.value[kept],
                "uncosted": layers.uncosted[kept],
            },
        )
    new = np.arange(stored, costed.layer_count)
    new = new[layers.qty[new] != 0]
    n = len(new)
    columns = [
        copy.constant("company_id", company, 4, n),
        copy.integers("pool_id", pool[layers.pool[new]], 8),
        copy.integers("layer_no", layers.no[new], 8),
        copy.raw("movement_id", sources.movement_id[new]),
        copy.integers("step", sources.step[new], 2),
        copy.integers("qty_left", layers.qty[new], 8),
        copy.integers("value_left", layers.value[new], 8),
        copy.booleans("uncosted", layers.uncosted[new]),
        copy.integers("counter_account", account_of(sources.counter[new]), 4),
        copy.integers("counter_dimension", dimension_of(sources.counter[new]), 4),
        copy.dates("posting_date", sources.day[new]),
        copy.integers("occurred_us", sources.occurred_us[new], 8),
    ]
    copy.write(cursor, "cost_layers", columns, n)


def note_borrowed(cursor: Cursor, batch: Batch, pool_id: Int64, until_us: Int64) -> None:
    """These pools (each once or more) were costed by what their item cost elsewhere, until then."""
    last: dict[int, int] = {}
    for pool, until in zip(pool_id.tolist(), until_us.tolist(), strict=True):
        last[pool] = max(until, last.get(pool, until))
    if last:
        where = {"company": batch.company.company_id, "pool": list(last), "until": list(last.values())}
        cursor.execute(statement("books", "borrow"), where)


def lent_costs(cursor: Cursor, batch: Batch, items: list[int]) -> dict[int, tuple[int, int]]:
    """By item: from when its last known cost is, and until when some pool was costed by it; NONE where neither."""
    if not items:
        return {}
    where = {"company": batch.company.company_id, "items": items}
    return {row[0]: row[1:] for row in cursor.execute(statement("books", "lent"), where)}


def price_items(cursor: Cursor, batch: Batch, priced_us: dict[int, int]) -> None:
    """Keep the newest moment at which something was paid for each of these items."""
    if priced_us:
        where = {"company": batch.company.company_id, "items": list(priced_us), "priced": list(priced_us.values())}
        cursor.execute(statement("books", "price_items"), where)


def write_pools(
    cursor: Cursor, batch: Batch, costed: Costed, state: PoolState, newest_us: Int64, late_from_us: Int64
) -> None:
    """The pools as they are now, with their newest moment and the place from which re-costing has to look again."""
    pools, company = costed.pools, batch.company.company_id

    def rounded(values: Int64) -> Int64:
        return np.array([to_minor(value, unit) for value, unit in zip(values, pools.unit, strict=True)], np.int64)

    cursor.execute(
        statement("books", "update_pools"),
        {
            "company": company,
            "pool": pools.pool_id,
            "method": pools.method,
            "qty": pools.qty,
            "value": pools.value,
            "posted": rounded(pools.value),
            "last_value": pools.last_value,
            "last_qty": pools.last_qty,
            "next_layer": pools.next_no,
            "standard": pools.standard,
            "settled_value": pools.settled_value,
            "settled_qty": pools.settled_qty,
            "allowance": pools.allowance,
            "allowance_posted": rounded(pools.allowance),
            "newest_us": newest_us,
            "late_from_us": late_from_us,
        },
    )
    costs = costed.last_costs
    before = state.last_costs
    changed = (costs.qty != before.qty) | (costs.value != before.value)
    if changed.any():
        cursor.execute(
            statement("books", "upsert_item_costs"),
            {
                "company": company,
                "item": costs.item_id[changed],
                "value": costs.value[changed],
                "qty": costs.qty[changed],
            },
        )
