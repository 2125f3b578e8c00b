"""Cost pools and their layers: locked and read as arrays, written back with their entries and links."""

from dataclasses import dataclass

import numpy as np
import psycopg
from numpy.typing import NDArray

from cloud.domain.batch import Batch, Company
from cloud.domain.costing import kernels
from cloud.domain.costing.pools import METHODS, Costed, LastCosts, Layers, Pools, Rows, cost, demand_by_pool, pool_id
from cloud.domain.ledger.chart import Chart, Legs
from cloud.domain.ledger.posting import PostingRule
from cloud.domain.movement import MovementColumns
from cloud.domain.rounding import to_minor
from cloud.store import copy
from cloud.store.batches import place_in_batch
from cloud.store.sql import statement

NONE = kernels.NONE
Int64 = NDArray[np.int64]
Cursor = psycopg.Cursor


# Python's ordinal of 1970-01-01.
_UNIX_ORDINAL = 719_163


def load_chart(cursor: Cursor, company: Company, moves: MovementColumns) -> Chart:
    """What a batch must know of its places, items, accounts and rules."""
    where = {"company": company.company_id}
    ids = np.unique(np.concatenate([moves.from_id, moves.to_id])).tolist()
    locations = cursor.execute(statement("books", "locations"), where | {"ids": ids}).fetchall()
    items = cursor.execute(statement("books", "items"), where | {"ids": np.unique(moves.item).tolist()}).fetchall()
    accounts = cursor.execute(statement("books", "accounts"), where).fetchall()
    rules = cursor.execute(statement("books", "rules"), where).fetchall()
    return Chart(
        {location: (kind, site) for location, kind, site in locations},
        {item: (item_class, method) for item, item_class, method in items},
        dict(accounts),
        [PostingRule(*row[:6]) for row in rules],
    )


@dataclass(slots=True)
class PoolState:
    """The pools a batch touches, locked, with what is needed to write them back."""

    pools: Pools
    layers: Layers
    layer_rows: list[tuple]  # movement_id, step, counter_account, posting_date of stored layers
    last_costs: LastCosts
    newest_us: Int64
    late_from_us: Int64
    src: Int64
    dst: Int64

    @classmethod
    def lock(
        cls, cursor: Cursor, company: Company, chart: Chart, legs: Legs, keep: Int64, moves: MovementColumns
    ) -> "PoolState":
        keys = {key for i in keep for key in (legs.src[i], legs.dst[i]) if key is not None}
        ids = {key: pool_id(*key) for key in keys}
        ordered = sorted(keys, key=ids.__getitem__)
        local = {key: i for i, key in enumerate(ordered)}
        where = {"company": company.company_id, "pool": [ids[key] for key in ordered]}
        cursor.execute(
            statement("books", "make_pools"),
            where
            | {
                "site": [key[0] for key in ordered],
                "item": [key[1] for key in ordered],
                "account": [key[2] for key in ordered],
                "method": [METHODS[chart.items[key[1]][1]] for key in ordered],
                "unit": [company.unit] * len(ordered),
            },
        )
        rows = cursor.execute(statement("books", "lock_pools"), where).fetchall()
        items = sorted({row[2] for row in rows})
        costs = {
            item: (value, qty)
            for item, value, qty in cursor.execute(
                statement("books", "lock_item_costs"), {"company": company.company_id, "item": items}
            )
        }
        src = np.full(len(moves), NONE, np.int64)
        dst = np.full(len(moves), NONE, np.int64)
        for i in keep:
            src[i] = NONE if (key := legs.src[i]) is None else local[key]
            dst[i] = NONE if (key := legs.dst[i]) is None else local[key]
        table = np.array([[-1 if cell is None else cell for cell in row] for row in rows], np.int64).reshape(
            -1, 13
        )
        pools = Pools(
            table[:, 0], np.searchsorted(items, table[:, 2]), *(table[:, c].copy() for c in range(3, 11))
        )
        layers, layer_rows = _load_layers(cursor, company, pools, demand_by_pool(src, moves.qty, len(rows)))
        last_costs = LastCosts(
            np.array(items, np.int64),
            np.array([costs.get(item, (0, 0))[0] for item in items], np.int64),
            np.array([costs.get(item, (0, 0))[1] for item in items], np.int64),
        )
        return cls(pools, layers, layer_rows, last_costs, table[:, 11].copy(), table[:, 12].copy(), src, dst)

    def cost(self, keep: Int64, qty: Int64, own_value: Int64) -> Costed:
        """Cost the kept movements; own values count only for receipts from outside. Raises CannotCost."""
        src, dst = self.src[keep], self.dst[keep]
        own = np.where((src == NONE) & (dst != NONE), own_value, NONE)
        rows = Rows.of(len(qty), src=src, dst=dst, qty=qty, own=own)
        return cost(rows, self.pools, self.layers, self.last_costs)


def _load_layers(cursor: Cursor, company: Company, pools: Pools, demand: Int64) -> tuple[Layers, list[tuple]]:
    rows = cursor.execute(
        statement("books", "layers"),
        {
            "company": company.company_id,
            "pool": pools.pool_id.tolist(),
            "demand": demand.tolist(),
            "method": pools.method.tolist(),
        },
    ).fetchall()
    n = len(rows)
    numbers = np.array([(row[0], row[1], row[4], row[5]) for row in rows], np.int64).reshape(-1, 4)
    layers = Layers(
        pool=np.searchsorted(pools.pool_id, numbers[:, 0]),
        no=numbers[:, 1].copy(),
        qty=numbers[:, 2].copy(),
        value=numbers[:, 3].copy(),
        uncosted=np.array([row[6] for row in rows], np.bool_),
        move=np.full(n, NONE, np.int64),
        step=np.zeros(n, np.int64),
        stored=n,
    )
    return layers, [(row[2].bytes, row[3], row[7], row[8]) for row in rows]


@dataclass(frozen=True, slots=True)
class LayerSources:
    """For every layer of a costed batch: who made it, and where its cost's differences go.

    movement_id  uint8[L, 16];  step, counter (account_id), day (since 1970-01-01)  int64[L]
    """

    movement_id: NDArray[np.uint8]
    step: Int64
    counter: Int64
    day: Int64

    @classmethod
    def of(
        cls, state: PoolState, costed: Costed, moves: MovementColumns, counter: Int64, day: Int64
    ) -> "LayerSources":
        """From the stored layers' rows, and from the batch for layers it made; counter, day: by movement."""
        stored, new = costed.layers.stored, costed.layers.move[costed.layers.stored : costed.layer_count]
        rows = state.layer_rows
        ids = np.frombuffer(b"".join(row[0] for row in rows), np.uint8).reshape(stored, 16)
        steps, accounts = (np.array([row[i] for row in rows], np.int64) for i in (1, 2))
        days = np.array([row[3].toordinal() - _UNIX_ORDINAL for row in rows], np.int64)
        new_steps = costed.layers.step[stored : costed.layer_count]
        return cls(
            np.concatenate([ids, moves.movement_id[new]]),
            np.concatenate([steps, new_steps]),
            np.concatenate([accounts, counter[new]]),
            np.concatenate([days, day[new]]),
        )


def write_cost_entries(
    cursor: Cursor, batch: Batch, moves: MovementColumns, costed: Costed, sources: LayerSources, day: Int64
) -> None:
    """Append the entries; `day`: each one's posting day."""
    entries = costed.entries
    n = len(entries.move)
    corrects = np.zeros((n, 16), np.uint8)
    adjusting = np.flatnonzero(entries.layer != NONE)
    corrects[adjusting] = sources.movement_id[entries.layer[adjusting]]
    columns = [
        copy.constant("company_id", batch.company.company_id, 4, n),
        copy.raw("movement_id", moves.movement_id[entries.move]),
        copy.integers("step", entries.step, 2),
        copy.integers("pool_id", costed.pools.pool_id[entries.pool], 8),
        copy.integers("qty", entries.qty, 8),
        copy.integers("value", entries.value, 8),
        copy.integers("posted", entries.posted, 8),
        copy.raw("corrects", corrects, np.asarray(entries.layer == NONE)),
        copy.dates("posting_date", day),
        copy.integers("counter_account", np.zeros(n, np.int64), 4, np.ones(n, np.bool_)),
        copy.raw("journal_id", np.zeros((n, 16), np.uint8), np.ones(n, np.bool_)),
        *place_in_batch(batch, n),
    ]
    batch.hashed.append(copy.write_hashed(cursor, "cost_entries", columns, n))


def write_links(
    cursor: Cursor, batch: Batch, moves: MovementColumns, costed: Costed, sources: LayerSources
) -> None:
    """Append which entry took how much of which layer."""
    links, layers = costed.links, costed.layers
    n = len(links.entry)
    entries = costed.entries
    first = np.searchsorted(links.entry, links.entry, side="left")
    columns = [
        copy.constant("company_id", batch.company.company_id, 4, n),
        copy.raw("movement_id", moves.movement_id[entries.move[links.entry]]),
        copy.integers("step", entries.step[links.entry], 2),
        copy.integers("link_no", np.arange(n) - first + 1, 4),
        copy.integers("pool_id", costed.pools.pool_id[layers.pool[links.layer]], 8),
        copy.integers("layer_no", layers.no[links.layer], 8),
        copy.raw("source_id", sources.movement_id[links.layer]),
        copy.integers("qty", links.qty, 8),
        copy.integers("value", links.value, 8),
    ]
    copy.write(cursor, "consumption_links", columns, n)


def write_layers(
    cursor: Cursor, batch: Batch, moves: MovementColumns, costed: Costed, state: PoolState, sources: LayerSources
) -> None:
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
            {"company": company, "pool": pool[layers.pool[gone]].tolist(), "layer": layers.no[gone].tolist()},
        )
    if len(kept):
        cursor.execute(
            statement("books", "update_layers"),
            {
                "company": company,
                "pool": pool[layers.pool[kept]].tolist(),
                "layer": layers.no[kept].tolist(),
                "qty": layers.qty[kept].tolist(),
                "value": layers.value[kept].tolist(),
                "uncosted": layers.uncosted[kept].tolist(),
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
        copy.integers("counter_account", sources.counter[new], 4),
        copy.dates("posting_date", sources.day[new]),
        copy.integers("occurred_us", moves.occurred_us[layers.move[new]], 8),
    ]
    copy.write(cursor, "cost_layers", columns, n)


def write_pools(cursor: Cursor, batch: Batch, moves: MovementColumns, costed: Costed, state: PoolState) -> None:
    """The pools as they are now; a batch that came late for one marks it with its place."""
    pools, company = costed.pools, batch.company.company_id
    newest, late_from = state.newest_us.copy(), state.late_from_us.copy()
    entries = costed.entries
    occurred = moves.occurred_us[entries.move]
    late = occurred < state.newest_us[entries.pool]
    earliest = np.where(late_from == NONE, np.iinfo(np.int64).max, late_from)
    np.minimum.at(earliest, entries.pool[late], occurred[late])
    late_from = np.where(earliest == np.iinfo(np.int64).max, NONE, earliest)
    np.maximum.at(newest, entries.pool, occurred)
    posted = np.array(
        [to_minor(value, unit) for value, unit in zip(pools.value, pools.unit, strict=True)], np.int64
    )
    cursor.execute(
        statement("books", "update_pools"),
        {
            "company": company,
            "pool": pools.pool_id.tolist(),
            "qty": pools.qty.tolist(),
            "value": pools.value.tolist(),
            "posted": posted.tolist(),
            "last_value": pools.last_value.tolist(),
            "last_qty": pools.last_qty.tolist(),
            "next_layer": pools.next_no.tolist(),
            "newest_us": newest.tolist(),
            "late_from_us": late_from.tolist(),
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
                "item": costs.item_id[changed].tolist(),
                "value": costs.value[changed].tolist(),
                "qty": costs.qty[changed].tolist(),
            },
        )
