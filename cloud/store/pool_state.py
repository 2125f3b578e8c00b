"""The state that a batch is costed against: master data, pools and their layers, locked and read as arrays."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import psycopg
from numpy.typing import NDArray

from cloud.domain.batch import Company
from cloud.domain.costing import kernels
from cloud.domain.costing.methods import Method
from cloud.domain.costing.pools import METHODS, Costed, LastCosts, Layers, Pools, pool_id
from cloud.domain.ledger.chart import Accounts, Chart, DimensionNeeds, PoolKey
from cloud.domain.ledger.posting import PostingRule
from cloud.domain.records import Records
from cloud.store.sql import statement

NONE = kernels.NONE
Int64 = NDArray[np.int64]
Cursor = psycopg.Cursor

# Python's ordinal of 1970-01-01.
_UNIX_ORDINAL = 719_163
# More than any pool holds: every layer of the pool is read.
EVERYTHING = 2 * kernels.QTY_LIMIT
# Methods whose layers must all be there: those that keep a single one, and those that merge them.
_ONE_LAYER = tuple(
    int(method)
    for method in Method
    if method not in (Method.FIFO, Method.LIFO, Method.SPECIFIC)
)  # fmt: skip


def load_chart(
    cursor: Cursor, company: Company, locations: Int64, items: Int64, pools: Iterable[PoolKey], parties: Int64,
    dimensions: Int64,
) -> Chart:  # fmt: skip
    """What a batch must know of its places, items, accounts, rules, parties and dimension sets.

    pools  named beside the places
    """
    where = {"company": company.company_id}
    ids = np.unique(locations).tolist()
    places = cursor.execute(statement("books", "locations"), where | {"ids": ids}).fetchall()
    orders = {}
    if any(kind == "work_order" for _, kind, _ in places):
        orders = {
            location: (item, dimension)
            for location, item, dimension in cursor.execute(
                statement("books", "work_orders"), where | {"ids": ids}
            )
        }
    known = {*np.unique(items).tolist(), *(key[1] for key in pools), *(item for item, _ in orders.values())}
    found = cursor.execute(statement("books", "items"), where | {"ids": sorted(known)}).fetchall()
    accounts = Accounts.of(cursor.execute(statement("books", "accounts"), where))
    rules = [PostingRule(*row) for row in cursor.execute(statement("books", "rules"), where)]
    classes: dict[int, str] = {}
    if any(rule.party_class is not None for rule in rules):
        named = np.unique(parties[parties != 0]).tolist()
        classes = dict(cursor.execute(statement("books", "party_classes"), where | {"ids": named}).fetchall())
    used = {*np.unique(dimensions).tolist(), *(rule.dimension_id for rule in rules)} - {0}
    return Chart(
        {location: (kind, site) for location, kind, site in places},
        {item: (item_class, method) for item, item_class, method in found},
        accounts,
        rules,
        orders,
        classes,
        _dimension_needs(cursor, where, used),
    )


def _dimension_needs(cursor: Cursor, where: dict[str, int], used: set[int]) -> DimensionNeeds:
    """What accounts ask for; what they allow, where any dimension set is used."""
    rows = cursor.execute(statement("books", "account_needs"), where | {"allowed": bool(used)}).fetchall()
    if not rows and not used:
        return DimensionNeeds()
    required: dict[int, set[int]] = defaultdict(set)
    allowed: dict[int, set[int]] = defaultdict(set)
    named: dict[int, set[int]] = defaultdict(set)
    types, numbers = {}, {}
    for account, number, type_id, code, is_required in rows:
        allowed[account].add(type_id)
        types[type_id], numbers[account] = code, number
        if is_required:
            required[account].add(type_id)
    for dimension, type_id, code in cursor.execute(statement("books", "set_types"), where | {"ids": sorted(used)}):
        named[dimension].add(type_id)
        types[type_id] = code

    def frozen(sets: dict[int, set[int]]) -> dict[int, frozenset[int]]:
        return {key: frozenset(one) for key, one in sets.items()}

    return DimensionNeeds(frozen(required), frozen(allowed), frozen(named), types, numbers)


def settled_periods(cursor: Cursor, company: Company) -> Int64:
    """The periods whose periodic pools have their price."""
    rows = cursor.execute(statement("books", "settled_periods"), {"company": company.company_id}).fetchall()
    return np.array([row[0] for row in rows], np.int64)


def lock_item_costs(cursor: Cursor, company_id: int, items: list[int]) -> dict[int, tuple[int, int]]:
    """{item_id: its last known (value, qty)} of those that have one, locked, and the right to give the others theirs.

    To be called behind the locks of pools. Raises psycopg.Error.
    """
    where = {"company": company_id, "item": items}
    cursor.execute(statement("books", "hold_first_costs"), where)
    rows = cursor.execute(statement("books", "lock_item_costs"), where)
    return {item: (value, qty) for item, value, qty in rows}


@dataclass(slots=True)
class PoolState:
    """The pools a batch touches, locked, with what is needed to write them back.

    layer_rows  of stored layers: movement_id, step, counter_account, posting_date, occurred_us
    made        {(pool, movement_id): stored layer} of the receipts that the batch names
    local       {key: index of its pool}
    """

    pools: Pools
    layers: Layers
    layer_rows: list[tuple]
    made: dict[tuple[int, bytes], int]
    last_costs: LastCosts
    newest_us: Int64
    late_from_us: Int64
    local: dict[PoolKey, int]

    @classmethod
    def lock(cls, cursor: Cursor, company: Company, chart: Chart, keys: Iterable[PoolKey]) -> "PoolState":
        """Make the pools that do not exist yet and lock all; layers come with `load_layers`."""
        ids = {key: pool_id(*key) for key in keys}
        ordered = sorted(ids, key=ids.__getitem__)
        where = {"company": company.company_id, "pool": [ids[key] for key in ordered]}
        names = ("site", "item", "account", "dimension", "owner", "lot")
        parts = {name: [key[i] for key in ordered] for i, name in enumerate(names)}
        methods = {"method": [METHODS[chart.method_of(key)] for key in ordered]}
        cursor.execute(
            statement("books", "make_pools"), where | parts | methods | {"unit": [company.unit] * len(ordered)}
        )
        rows = cursor.execute(statement("books", "lock_pools"), where).fetchall()
        table = np.array([[NONE if cell is None else cell for cell in row] for row in rows], np.int64).reshape(
            -1, 16
        )
        items = np.unique(table[:, 1])
        costs = lock_item_costs(cursor, company.company_id, items.tolist())
        last_costs = LastCosts(
            items,
            np.array([costs.get(item, (0, 0))[0] for item in items.tolist()], np.int64),
            np.array([costs.get(item, (0, 0))[1] for item in items.tolist()], np.int64),
        )
        pools = Pools(
            table[:, 0].copy(), np.searchsorted(items, table[:, 1]), *(table[:, c].copy() for c in range(2, 14))
        )
        local = {key: i for i, key in enumerate(ordered)}
        newest, late_from = table[:, 14].copy(), table[:, 15].copy()
        return cls(pools, Layers.empty(), [], {}, last_costs, newest, late_from, local)

    def load_layers(self, cursor: Cursor, company: Company, demand: Int64, named: Iterable[bytes] = ()) -> None:
        """The layers that the batch may take from or change.

        demand  int64[P], how much it takes out of each pool at most
        named   ids of receipts whose own layers are needed as well
        """
        demand = np.where(np.isin(self.pools.method, _ONE_LAYER), EVERYTHING, demand)
        wanted = sorted(set(named))
        rows = cursor.execute(
            statement("books", "layers"),
            {
                "company": company.company_id,
                "pool": self.pools.pool_id,
                "demand": demand,
                "is_lifo": self.pools.method == Method.LIFO,
                "named": [one.hex() for one in wanted],
            },
        ).fetchall()
        n = len(rows)
        numbers = np.array([(row[0], row[1], row[4], row[5]) for row in rows], np.int64).reshape(-1, 4)
        self.layers = Layers(
            pool=np.searchsorted(self.pools.pool_id, numbers[:, 0]),
            no=numbers[:, 1].copy(),
            qty=numbers[:, 2].copy(),
            value=numbers[:, 3].copy(),
            uncosted=np.array([row[6] for row in rows], np.bool_),
            move=np.full(n, NONE, np.int64),
            step=np.zeros(n, np.int64),
            stored=n,
        )
        self.layer_rows = [(row[2].bytes, row[3], row[7], row[8], row[9]) for row in rows]
        if wanted:
            of_interest = set(wanted)
            self.made = {
                (int(self.layers.pool[i]), row[0]): i
                for i, row in enumerate(self.layer_rows)
                if row[0] in of_interest and row[1] == 1
            }


@dataclass(frozen=True, slots=True)
class LayerSources:
    """For every layer of a costed batch: who made it, when, and where its cost's differences go.

    movement_id  uint8[L, 16];  step, counter (account_id), day (since 1970-01-01), occurred_us  int64[L]
    """

    movement_id: NDArray[np.uint8]
    step: Int64
    counter: Int64
    day: Int64
    occurred_us: Int64

    @classmethod
    def of(cls, state: PoolState, costed: Costed, records: Records, counter: Int64, day: Int64) -> "LayerSources":
        """From the stored layers' rows, and from the batch for layers it made; counter, day: by record."""
        stored, new = costed.layers.stored, costed.layers.move[costed.layers.stored : costed.layer_count]
        rows = state.layer_rows
        ids = np.frombuffer(b"".join(row[0] for row in rows), np.uint8).reshape(stored, 16)
        steps, accounts, times = (np.array([row[i] for row in rows], np.int64) for i in (1, 2, 4))
        days = np.array([row[3].toordinal() - _UNIX_ORDINAL for row in rows], np.int64)
        return cls(
            np.concatenate([ids, records.record_id[new]]),
            np.concatenate([steps, costed.layers.step[stored : costed.layer_count]]),
            np.concatenate([accounts, counter[new]]),
            np.concatenate([days, day[new]]),
            np.concatenate([times, records.occurred_us[new]]),
        )
