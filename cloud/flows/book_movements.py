"""Goods, cost and money of a batch of movements, in the caller's transaction: the one path to the books.

`book` takes movements as columns, costs them in one pass against the pools' locked state, derives the
journal lines and writes everything; `close_batch` adds the turnovers and the link of the lane's chain, last.
Movements that cannot be booked come back with their reason and leave no trace in the books.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import psycopg
from numpy.typing import NDArray

from cloud.domain.costing import kernels
from cloud.domain.costing.pools import (
    METHODS,
    CannotCost,
    Costed,
    LastCosts,
    Layers,
    Pools,
    cost,
    demand_by_pool,
    pool_id,
)
from cloud.domain.ledger.periods import Calendar, NoOpenPeriod, Period, to_date
from cloud.domain.ledger.posting import Lines, PostingRule, join, post, post_adjustments, rule_for
from cloud.domain.movement import Kind, MovementColumns, Tag
from cloud.domain.rounding import OVERFLOW, minor_unit, muldiv_columns, round_ratio, to_minor
from cloud.store import copy
from cloud.store.sql import statement

NONE = kernels.NONE
Int64 = NDArray[np.int64]
Cursor = psycopg.Cursor

# The inventory account of goods, by the kind of place they lie in; places of the world have none.
_ROLE_OF_PLACE = {"clarification": "clarification_stock", "in_transit": "in_transit"}
_PHYSICAL = ("site", "zone", "bin")

# Kinds whose document's price is a cost; the price of a sale or of its return is not.
_PRICED = (Kind.PURCHASE_RECEIPT, Kind.OPENING_STOCK)


@dataclass(frozen=True, slots=True)
class Company:
    """What the books must know of a company."""

    company_id: int
    code: str
    currency: str
    minor_digits: int
    time_zone: str

    @property
    def unit(self) -> int:
        """10⁻⁶ of the currency in one minor unit."""
        return minor_unit(self.minor_digits)


@dataclass(slots=True)
class Batch:
    """One transaction's batch: where it stands in its lane, and what it has written so far.

    hashed holds the digests of everything appended, in the order in which the chain takes them.
    """

    company: Company
    lane: int
    batch_no: int
    previous: bytes
    recorded_us: int
    worker: str
    observed: int = 0
    moved: int = 0
    hashed: list[NDArray[np.uint8]] = field(default_factory=list)
    turnovers: list[tuple[Int64, Int64, Int64]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Booked:
    """rejected: {row of the input: reason}; movement: rows of the input in the order booked."""

    rejected: dict[int, str]
    rows: Int64


def load_company(cursor: Cursor, company_id: int) -> Company:
    """Raises LookupError."""
    row = cursor.execute(statement("books", "company"), {"company": company_id}).fetchone()
    if row is None:
        raise LookupError(f"no company {company_id}")
    return Company(*row)


def open_batch(cursor: Cursor, company: Company, lane: int, recorded_us: int, worker: str) -> Batch:
    """Lock the lane's chain and take the next number in it."""
    where = {"company": company.company_id, "lane": lane}
    cursor.execute(statement("books", "make_lane_head"), where)
    row = cursor.execute(statement("books", "lock_lane_head"), where).fetchone()
    assert row is not None  # noqa: S101  made above
    return Batch(company, lane, row[0] + 1, bytes(row[1]), recorded_us, worker)


def close_batch(cursor: Cursor, batch: Batch) -> bytes:
    """Turnovers, the chain's link, and the hint to listeners; the lane's new head."""
    _write_turnovers(cursor, batch)
    link = hashlib.sha256(batch.previous)
    for digests in batch.hashed:
        link.update(digests.tobytes())
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


# ── One batch ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class _Legs:
    """What master data makes of n movements: keys of their pools and their counter account. NONE: absent."""

    src: list[tuple[int, int, int] | None]
    dst: list[tuple[int, int, int] | None]
    counter: Int64
    reject: dict[int, str]


def book(cursor: Cursor, batch: Batch, moves: MovementColumns) -> Booked:
    """Write the movements to goods, cost and money.

    Raises psycopg.Error; a movement that cannot be booked is not an error but a row of `rejected`.
    """
    rejected: dict[int, str] = {}
    chart = _Chart.load(cursor, batch.company, moves)
    calendar = _hold_calendar(cursor, batch.company)
    legs = chart.legs(moves)
    try:
        dates = calendar.posting_dates(moves.occurred_us)
    except NoOpenPeriod as error:
        return Booked(dict.fromkeys(moves.source_row.tolist(), str(error)), moves.source_row[:0])
    for row in np.flatnonzero(dates.missing):
        legs.reject.setdefault(int(row), "no period covers its day: extend the company's calendar")
    own_value, own_amount = _own_values(moves, batch.company)
    # NONE and OVERFLOW are the same number: only a price that is a cost can overflow.
    for row in np.flatnonzero((own_value == OVERFLOW) & (moves.price != NONE) & np.isin(moves.kind, _PRICED)):
        legs.reject.setdefault(int(row), "quantity × price passes what the books can hold")

    keep = _costing_order(moves, legs)
    rejected |= {int(moves.source_row[row]): reason for row, reason in legs.reject.items()}
    state = _State.lock(cursor, batch.company, chart, legs, keep, moves)
    while True:
        try:
            costed = state.cost(keep, moves.qty[keep], own_value[keep])
            break
        except CannotCost as error:
            culprit = int(keep[error.move])
            rejected[int(moves.source_row[culprit])] = (
                f"its cost or the stock it makes passes what the books can hold ({kernels.VALUE_LIMIT} × 10⁻⁶"
                f" {batch.company.currency}, {kernels.QTY_LIMIT} × 10⁻⁶ units)"
            )
            keep = np.delete(keep, error.move)

    moves = moves.take(keep)
    moves.tags |= np.where(dates.moved[keep], Tag.LATE, 0) | np.where(costed.uncosted, Tag.UNCOSTED, 0)
    booking = _Booking(batch, moves, costed, state, dates.day[keep], calendar, chart, legs.counter[keep])
    booking.write(cursor, own_amount[keep])
    return Booked(rejected, moves.source_row)


def _costing_order(moves: MovementColumns, legs: _Legs) -> Int64:
    """Time; within an instant receipts, transfers, issues; then gateway, epoch, seq. Rejected rows left out."""
    rank = np.array(
        [0 if src is None else 1 if dst is not None else 2 for src, dst in zip(legs.src, legs.dst, strict=True)],
        np.int64,
    )
    epoch = moves.epoch.copy().view(">u8")
    order = np.lexsort((moves.seq, epoch[:, 1], epoch[:, 0], moves.gateway, rank, moves.occurred_us))
    if not legs.reject:
        return order
    return order[~np.isin(order, np.fromiter(legs.reject, np.int64, len(legs.reject)))]


def _own_values(moves: MovementColumns, company: Company) -> tuple[Int64, Int64]:
    """Price × quantity × rate as a cost value (10⁻⁶) and as a ledger amount (minor units), each rounded once."""
    priced = (moves.price != NONE) & np.isin(moves.kind, _PRICED)
    value = moves.value.copy()
    amount = np.full(len(moves), NONE, np.int64)
    home = priced & (moves.rate == 1_000_000_000)
    if home.any():
        price, qty = moves.price[home], moves.qty[home]
        value[home] = muldiv_columns(price, qty, np.full(len(qty), 1_000_000))
        amount[home] = muldiv_columns(price, qty, np.full(len(qty), 1_000_000 * company.unit))
    for row in np.flatnonzero(priced & ~home):
        # Three factors need more than 128 bits; foreign prices are few, and Python's integers are exact.
        product = int(moves.price[row]) * int(moves.qty[row]) * int(moves.rate[row])
        value[row] = _bounded(round_ratio(product, 10**15))
        amount[row] = _bounded(round_ratio(product, 10**15 * company.unit))
    return value, amount


def _bounded(value: int) -> int:
    return value if value < kernels.VALUE_LIMIT else OVERFLOW


def _hold_calendar(cursor: Cursor, company: Company) -> Calendar:
    rows = cursor.execute(statement("books", "hold_periods"), {"company": company.company_id}).fetchall()
    return Calendar([Period(*row) for row in rows], company.time_zone)


@dataclass(slots=True)
class _Chart:
    """Master data of one batch."""

    locations: dict[int, tuple[str, int]]
    items: dict[int, tuple[str, str]]
    accounts: dict[str, int]
    rules: list[PostingRule]

    @classmethod
    def load(cls, cursor: Cursor, company: Company, moves: MovementColumns) -> "_Chart":
        where = {"company": company.company_id}
        ids = np.unique(np.concatenate([moves.from_id, moves.to_id])).tolist()
        locations = cursor.execute(statement("books", "locations"), where | {"ids": ids}).fetchall()
        items = cursor.execute(
            statement("books", "items"), where | {"ids": np.unique(moves.item).tolist()}
        ).fetchall()
        accounts = cursor.execute(statement("books", "accounts"), where).fetchall()
        rules = cursor.execute(statement("books", "rules"), where).fetchall()
        return cls(
            {location: (kind, site) for location, kind, site in locations},
            {item: (item_class, method) for item, item_class, method in items},
            dict(accounts),
            [PostingRule(*row[:6]) for row in rules],
        )

    def legs(self, moves: MovementColumns) -> _Legs:
        """Pools and counter account of each movement; worked out once for each distinct combination."""
        keys = np.stack([moves.kind, moves.item, moves.from_id, moves.to_id], axis=1)
        distinct, back = np.unique(keys, axis=0, return_inverse=True)
        answers = [self._leg(*map(int, key)) for key in distinct]
        back = back.reshape(-1)
        reject = {row: why for row, i in enumerate(back.tolist()) if (why := answers[i][3]) is not None}
        return _Legs(
            [answers[i][0] for i in back],
            [answers[i][1] for i in back],
            np.array([answers[i][2] for i in back], np.int64),
            reject,
        )

    def _leg(
        self, kind: int, item: int, from_id: int, to_id: int
    ) -> tuple[tuple[int, int, int] | None, tuple[int, int, int] | None, int, str | None]:
        if item not in self.items:
            return None, None, NONE, f"no item {item}"
        for location in (from_id, to_id):
            if location not in self.locations:
                return None, None, NONE, f"no location {location}"
        src, dst = self._pool_key(from_id, item), self._pool_key(to_id, item)
        if src == dst:  # inside one pool, or between two places of the world: nothing to cost
            return None, None, NONE, None
        site = (src or dst or (0, 0, 0))[0]
        rule = rule_for(self.rules, kind, self.items[item][0], site)
        if rule is None:
            return None, None, NONE, f"no posting rule covers movement kind {kind}"
        if src is not None and dst is not None:
            return src, dst, NONE, None
        if rule.counter_role is None:
            return None, None, NONE, f"movement kind {kind} joins two pools, but only one side is stock"
        account = self.accounts.get(rule.counter_role)
        if account is None:
            return None, None, NONE, f"the chart has no account for {rule.counter_role}"
        return src, dst, account, None

    def _pool_key(self, location: int, item: int) -> tuple[int, int, int] | None:
        kind, site = self.locations[location]
        role = self.items[item][0] if kind in _PHYSICAL else _ROLE_OF_PLACE.get(kind)
        return None if role is None else (site, item, self.accounts[role])


@dataclass(slots=True)
class _State:
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
        cls, cursor: Cursor, company: Company, chart: _Chart, legs: _Legs, keep: Int64, moves: MovementColumns
    ) -> "_State":
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
        return cost(src, dst, qty, own, self.pools, self.layers, self.last_costs)


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


# ── Writing it down ─────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class _Booking:
    """A costed batch on its way into the tables."""

    batch: Batch
    moves: MovementColumns
    costed: Costed
    state: _State
    day: Int64
    calendar: Calendar
    chart: _Chart
    counter: Int64

    def write(self, cursor: Cursor, own_amount: Int64) -> None:
        """Movements, balances, cost entries, links, layers, pools, entries and lines, in that order."""
        batch, moves = self.batch, self.moves
        batch.moved += len(moves)
        batch.hashed.append(_write_movements(cursor, batch, moves))
        _add_balances(cursor, batch.company, moves)
        entry_day = self._entry_days()
        self._write_cost_entries(cursor, entry_day)
        self._write_links(cursor)
        self._write_layers(cursor)
        self._write_pools(cursor)
        self._write_journal(cursor, own_amount, entry_day)

    def _layer_source(self, layer: Int64) -> tuple[NDArray[np.uint8], Int64, Int64, Int64]:
        """For layers: the movement that made each (uint8[k, 16]), its step, counter account, posting day."""
        stored = self.state.layer_rows
        new_move = self.costed.layers.move[layer]
        ids = np.empty((len(layer), 16), np.uint8)
        step, counter, day = (np.empty(len(layer), np.int64) for _ in range(3))
        is_new = new_move != NONE
        ids[is_new] = self.moves.movement_id[new_move[is_new]]
        step[is_new] = self.costed.layers.step[layer[is_new]]
        counter[is_new] = self._shortage_counter()[new_move[is_new]]
        day[is_new] = self.day[new_move[is_new]]
        for i in np.flatnonzero(~is_new):
            movement, made_at, account, posted_on = stored[layer[i]]
            ids[i] = np.frombuffer(movement, np.uint8)
            step[i], counter[i], day[i] = made_at, account, posted_on.toordinal() - 719_163
        return ids, step, counter, day

    def _shortage_counter(self) -> Int64:
        """Where a difference goes once the cost is known: the entry's own counter account.

        A transfer has none; until re-costing follows goods into the next pool, its difference is shown as a
        price difference.
        """
        return np.where(self.counter == NONE, self.chart.accounts["price_difference"], self.counter)

    def _entry_days(self) -> Int64:
        """Each cost entry's posting day: its movement's, or the corrected entry's while that day is not locked."""
        entries = self.costed.entries
        day = self.day[entries.move].copy()
        adjusting = np.flatnonzero(entries.layer != NONE)
        if len(adjusting):
            _, _, _, corrected = self._layer_source(entries.layer[adjusting])
            day[adjusting] = self.calendar.postable(corrected).day
        return day

    def _write_cost_entries(self, cursor: Cursor, day: Int64) -> None:
        entries, batch = self.costed.entries, self.batch
        n = len(entries.move)
        corrects = np.zeros((n, 16), np.uint8)
        adjusting = np.flatnonzero(entries.layer != NONE)
        corrects[adjusting] = self._layer_source(entries.layer[adjusting])[0]
        columns = [
            copy.constant("company_id", batch.company.company_id, 4, n),
            copy.raw("movement_id", self.moves.movement_id[entries.move]),
            copy.integers("step", entries.step, 2),
            copy.integers("pool_id", self.costed.pools.pool_id[entries.pool], 8),
            copy.integers("qty", entries.qty, 8),
            copy.integers("value", entries.value, 8),
            copy.integers("posted", entries.posted, 8),
            copy.raw("corrects", corrects, np.asarray(entries.layer == NONE)),
            copy.dates("posting_date", day),
            *place_in_batch(batch, n),
        ]
        batch.hashed.append(copy.write_hashed(cursor, "cost_entries", columns, n))

    def _write_links(self, cursor: Cursor) -> None:
        links, layers = self.costed.links, self.costed.layers
        n = len(links.entry)
        entries = self.costed.entries
        first = np.searchsorted(links.entry, links.entry, side="left")
        columns = [
            copy.constant("company_id", self.batch.company.company_id, 4, n),
            copy.raw("movement_id", self.moves.movement_id[entries.move[links.entry]]),
            copy.integers("step", entries.step[links.entry], 2),
            copy.integers("link_no", np.arange(n) - first + 1, 4),
            copy.integers("pool_id", self.costed.pools.pool_id[layers.pool[links.layer]], 8),
            copy.integers("layer_no", layers.no[links.layer], 8),
            copy.raw("source_id", self._layer_source(links.layer)[0]),
            copy.integers("qty", links.qty, 8),
            copy.integers("value", links.value, 8),
        ]
        copy.write(cursor, "consumption_links", columns, n)

    def _write_layers(self, cursor: Cursor) -> None:
        layers, stored, company = self.costed.layers, self.costed.layers.stored, self.batch.company.company_id
        pool = self.costed.pools.pool_id
        before = self.state.layers
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
        new = np.arange(stored, self.costed.layer_count)
        new = new[layers.qty[new] != 0]
        ids, step, counter, day = self._layer_source(new)
        n = len(new)
        columns = [
            copy.constant("company_id", company, 4, n),
            copy.integers("pool_id", pool[layers.pool[new]], 8),
            copy.integers("layer_no", layers.no[new], 8),
            copy.raw("movement_id", ids),
            copy.integers("step", step, 2),
            copy.integers("qty_left", layers.qty[new], 8),
            copy.integers("value_left", layers.value[new], 8),
            copy.booleans("uncosted", layers.uncosted[new]),
            copy.integers("counter_account", counter, 4),
            copy.dates("posting_date", day),
            copy.integers("occurred_us", self.moves.occurred_us[layers.move[new]], 8),
        ]
        copy.write(cursor, "cost_layers", columns, n)

    def _write_pools(self, cursor: Cursor) -> None:
        pools, company = self.costed.pools, self.batch.company.company_id
        newest, late_from = self.state.newest_us.copy(), self.state.late_from_us.copy()
        entries = self.costed.entries
        occurred = self.moves.occurred_us[entries.move]
        late = occurred < self.state.newest_us[entries.pool]
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
        costs = self.costed.last_costs
        before = self.state.last_costs
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

    def _write_journal(self, cursor: Cursor, own_amount: Int64, entry_day: Int64) -> None:
        entries, pools, n = self.costed.entries, self.costed.pools, len(self.moves)
        leg = [np.full(n, NONE, np.int64) for _ in range(4)]
        for step in (0, 1):
            rows = np.flatnonzero(entries.step == step)
            leg[2 * step][entries.move[rows]] = pools.account[entries.pool[rows]]
            leg[2 * step + 1][entries.move[rows]] = entries.posted[rows]
        own = np.where((leg[0] == NONE) & (leg[2] != NONE), own_amount, NONE)
        main = post(leg[0], leg[1], leg[2], leg[3], self.counter, own, self.chart.accounts["rounding"])
        adjusting = np.flatnonzero(entries.layer != NONE)
        corrected, _, counter, _ = self._layer_source(entries.layer[adjusting])
        second = post_adjustments(
            pools.account[entries.pool[adjusting]], entries.posted[adjusting], counter, entries.step[adjusting]
        )
        lines = join(main, second, n)
        corrects = np.zeros((n + len(adjusting), 16), np.uint8)
        corrects[:n] = self.moves.corrects
        corrects[n:] = corrected
        headers = _Headers(
            move=np.concatenate([np.arange(n), entries.move[adjusting]]),
            step=np.concatenate([np.zeros(n, np.int64), entries.step[adjusting]]),
            day=np.concatenate([self.day, entry_day[adjusting]]),
            corrects=corrects,
        )
        _write_entries(cursor, self.batch, self.moves, headers, lines, self.calendar)


@dataclass(slots=True)
class _Headers:
    """Journal entries before their lines are known; one without lines is not written."""

    move: Int64
    step: Int64
    day: Int64
    corrects: NDArray[np.uint8]


def place_in_batch(batch: Batch, n: int) -> Iterator[copy.Column]:
    yield copy.constant("lane", batch.lane, 2, n)
    yield copy.constant("batch_no", batch.batch_no, 8, n)
    yield copy.integers("row_no", np.arange(n), 4)


def _write_movements(cursor: Cursor, batch: Batch, moves: MovementColumns) -> NDArray[np.uint8]:
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
        *place_in_batch(batch, n),
    ]
    return copy.write_hashed(cursor, "movements", columns, n)


def _add_balances(cursor: Cursor, company: Company, moves: MovementColumns) -> None:
    key = np.concatenate([np.stack([moves.item, moves.from_id], 1), np.stack([moves.item, moves.to_id], 1)])
    change = np.concatenate([-moves.qty, moves.qty])
    distinct, back = np.unique(key, axis=0, return_inverse=True)
    if len(distinct):
        cursor.execute(
            statement("books", "add_balances"),
            {
                "company": company.company_id,
                "item": distinct[:, 0].tolist(),
                "location": distinct[:, 1].tolist(),
                "qty": _sums(back.reshape(-1), change, len(distinct)),
            },
        )


def _write_entries(
    cursor: Cursor, batch: Batch, moves: MovementColumns, headers: _Headers, lines: Lines, calendar: Calendar
) -> None:
    present, entry = np.unique(lines.entry, return_inverse=True)
    n, k = len(present), len(entry)
    move = headers.move[present]
    period = calendar.postable(headers.day[present]).period
    corrects = headers.corrects[present]
    entry_columns = [
        copy.constant("company_id", batch.company.company_id, 4, n),
        copy.raw("source_id", moves.movement_id[move]),
        copy.integers("step", headers.step[present], 2),
        copy.constant("origin", 1, 2, n),
        copy.integers("kind", moves.kind[move], 2),
        copy.dates("posting_date", headers.day[present]),
        copy.integers("period_id", period, 4),
        copy.integers("tags", moves.tags[move], 2),
        copy.raw("corrects", corrects, np.logical_not(corrects.any(axis=1))),
        copy.texts("document", [moves.document[m].encode() for m in move]),
        copy.times("recorded_at", np.full(n, batch.recorded_us)),
        *place_in_batch(batch, n),
    ]
    line_columns = [
        copy.constant("company_id", batch.company.company_id, 4, k),
        copy.raw("source_id", moves.movement_id[move[entry]]),
        copy.integers("step", headers.step[present][entry], 2),
        copy.integers("line_no", Lines(entry, lines.account, lines.amount, lines.cost_step).number, 2),
        copy.integers("account_id", lines.account, 4),
        copy.constant("dimension_id", 0, 4, k),
        copy.integers("amount", lines.amount, 8),
        copy.integers("cost_step", lines.cost_step, 2, np.asarray(lines.cost_step == NONE)),
    ]
    digest = entry_digests(*copy.encode(entry_columns, n), *copy.encode(line_columns, k), entry)
    copy.write(cursor, "journal_entries", [*entry_columns, copy.raw("digest", digest)], n)
    copy.write(cursor, "journal_lines", line_columns, k)
    batch.hashed.append(digest)
    batch.turnovers.append((lines.account, period[entry], lines.amount))


def entry_digests(
    entries: NDArray[np.uint8], entry_starts: Int64, lines: NDArray[np.uint8], line_starts: Int64, entry: Int64
) -> NDArray[np.uint8]:
    """SHA-256 over each entry's row and its lines' rows: an entry and its lines are one thing."""
    n = len(entry_starts) - 1
    first = line_starts[np.searchsorted(entry, np.arange(n + 1))]
    head, body = entries.data, lines.data
    joined = bytearray()
    for a, b, c, d in zip(
        entry_starts.tolist(), entry_starts[1:].tolist(), first.tolist(), first[1:].tolist(), strict=False
    ):
        digest = hashlib.sha256(head[a:b])
        digest.update(body[c:d])
        joined += digest.digest()
    return np.frombuffer(bytes(joined), np.uint8).reshape(n, 32)


def _sums(group: Int64, values: Int64, n: int) -> list[int]:
    """Exact sums of each group 0 … n − 1; what passes bigint is for the database to refuse, never wrapped."""
    fits = float(np.abs(values).sum(dtype=np.float64)) < 2**62
    totals = np.zeros(n, np.int64 if fits else object)
    np.add.at(totals, group, values if fits else values.astype(object))
    return totals.tolist()


def _write_turnovers(cursor: Cursor, batch: Batch) -> None:
    if not batch.turnovers:
        return
    account, period, amount = (np.concatenate(column) for column in zip(*batch.turnovers, strict=True))
    distinct, back = np.unique(np.stack([account, period], 1), axis=0, return_inverse=True)
    back = back.reshape(-1)
    if len(distinct):
        cursor.execute(
            statement("books", "add_turnovers"),
            {
                "company": batch.company.company_id,
                "lane": batch.lane,
                "account": distinct[:, 0].tolist(),
                "period": distinct[:, 1].tolist(),
                "debit": _sums(back, np.maximum(amount, 0), len(distinct)),
                "credit": _sums(back, np.maximum(-amount, 0), len(distinct)),
            },
        )


__all__ = ["Batch", "Booked", "Company", "book", "close_batch", "load_company", "open_batch", "to_date"]
