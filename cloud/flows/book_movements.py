"""Goods, cost and money of a batch of movements, in the caller's transaction: the one path to the books.

`book` takes movements as columns, costs them in one pass against the pools' locked state, derives the
journal lines and writes everything. Movements that cannot be booked come back with their reason and leave no
trace in the books.
"""

from dataclasses import dataclass

import numpy as np
import psycopg
from numpy.typing import NDArray

from cloud.domain.batch import Batch, Company
from cloud.domain.costing import kernels
from cloud.domain.costing.pools import CannotCost, Costed
from cloud.domain.ledger.chart import Chart, Legs
from cloud.domain.ledger.periods import Calendar, NoOpenPeriod
from cloud.domain.ledger.posting import Lines, join, post, post_adjustments
from cloud.domain.movement import Kind, MovementColumns, Tag
from cloud.domain.rounding import OVERFLOW, muldiv_columns, round_ratio
from cloud.store.costs import (
    LayerSources,
    PoolState,
    load_chart,
    write_cost_entries,
    write_layers,
    write_links,
    write_pools,
)
from cloud.store.goods import add_balances, write_movements
from cloud.store.journal import Headers, hold_calendar, write_entries

NONE = kernels.NONE
Int64 = NDArray[np.int64]
Cursor = psycopg.Cursor

# Kinds whose document's price is a cost; the price of a sale or of its return is not.
_PRICED = (Kind.PURCHASE_RECEIPT, Kind.OPENING_STOCK)


@dataclass(frozen=True, slots=True)
class Booked:
    """rejected: {row of the input: reason}; movement: rows of the input in the order booked."""

    rejected: dict[int, str]
    rows: Int64


def book(cursor: Cursor, batch: Batch, moves: MovementColumns) -> Booked:
    """Write the movements to goods, cost and money.

    Raises psycopg.Error; a movement that cannot be booked is not an error but a row of `rejected`.
    """
    rejected: dict[int, str] = {}
    chart = load_chart(cursor, batch.company, moves)
    calendar = hold_calendar(cursor, batch.company)
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
    state = PoolState.lock(cursor, batch.company, chart, legs, keep, moves)
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
    _Booking(batch, moves, costed, state, dates.day[keep], calendar, chart, legs.counter[keep]).write(
        cursor, own_amount[keep]
    )
    return Booked(rejected, moves.source_row)


def _costing_order(moves: MovementColumns, legs: Legs) -> Int64:
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


@dataclass(slots=True)
class _Booking:
    """A costed batch on its way into the tables."""

    batch: Batch
    moves: MovementColumns
    costed: Costed
    state: PoolState
    day: Int64
    calendar: Calendar
    chart: Chart
    counter: Int64

    def write(self, cursor: Cursor, own_amount: Int64) -> None:
        """Goods, then cost, then money, in that order."""
        batch, moves, costed, state = self.batch, self.moves, self.costed, self.state
        sources = LayerSources.of(state, costed, moves, self._shortage_counter(), self.day)
        batch.moved += len(moves)
        batch.hashed.append(write_movements(cursor, batch, moves))
        add_balances(cursor, batch.company, moves)
        entry_day = self._entry_days(sources)
        write_cost_entries(cursor, batch, moves, costed, sources, entry_day)
        write_links(cursor, batch, moves, costed, sources)
        write_layers(cursor, batch, moves, costed, state, sources)
        write_pools(cursor, batch, moves, costed, state)
        headers, lines = self._journal(own_amount, entry_day, sources)
        write_entries(cursor, batch, moves, headers, lines, self.calendar)

    def _shortage_counter(self) -> Int64:
        """Where a difference goes once the cost is known: the entry's own counter account.

        A transfer has none; until re-costing follows goods into the next pool, its difference is shown as a
        price difference.
        """
        return np.where(self.counter == NONE, self.chart.accounts["price_difference"], self.counter)

    def _entry_days(self, sources: LayerSources) -> Int64:
        """Each cost entry's posting day: its movement's, or the corrected entry's while that day is not locked."""
        entries = self.costed.entries
        day = self.day[entries.move].copy()
        adjusting = np.flatnonzero(entries.layer != NONE)
        if len(adjusting):
            day[adjusting] = self.calendar.postable(sources.day[entries.layer[adjusting]]).day
        return day

    def _journal(self, own_amount: Int64, entry_day: Int64, sources: LayerSources) -> tuple[Headers, Lines]:
        """The entries' heads and lines: a movement's own, then the adjustments it caused."""
        entries, pools, n = self.costed.entries, self.costed.pools, len(self.moves)
        leg = [np.full(n, NONE, np.int64) for _ in range(4)]
        for step in (0, 1):
            rows = np.flatnonzero(entries.step == step)
            leg[2 * step][entries.move[rows]] = pools.account[entries.pool[rows]]
            leg[2 * step + 1][entries.move[rows]] = entries.posted[rows]
        own = np.where((leg[0] == NONE) & (leg[2] != NONE), own_amount, NONE)
        main = post(leg[0], leg[1], leg[2], leg[3], self.counter, own, self.chart.accounts["rounding"])
        adjusting = np.flatnonzero(entries.layer != NONE)
        layer = entries.layer[adjusting]
        second = post_adjustments(
            pools.account[entries.pool[adjusting]],
            entries.posted[adjusting],
            sources.counter[layer],
            entries.step[adjusting],
        )
        lines = join(main, second, n)
        corrects = np.zeros((n + len(adjusting), 16), np.uint8)
        corrects[:n] = self.moves.corrects
        corrects[n:] = sources.movement_id[layer]
        headers = Headers(
            move=np.concatenate([np.arange(n), entries.move[adjusting]]),
            step=np.concatenate([np.zeros(n, np.int64), entries.step[adjusting]]),
            day=np.concatenate([self.day, entry_day[adjusting]]),
            # An adjustment is late when the period of what it corrects is locked by now.
            tags=np.concatenate(
                [self.moves.tags, np.where(entry_day[adjusting] != sources.day[layer], int(Tag.LATE), 0)]
            ),
            corrects=corrects,
        )
        return headers, lines
