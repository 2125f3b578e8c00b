"""Movements of a file, costed by one method: cost by issue, what is left, variances, adjustments, journal.

Amounts are integers of 10⁻⁶ currency. The journal speaks of the roles of docs/postings.md; `inventory` stands for
the account of whatever pool the goods are in.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cloud.cost_files.cells import BadFile, Problem, Told
from cloud.cost_files.outcome import Outcome, cost_plan
from cloud.cost_files.plan import Plan, plan
from cloud.cost_files.reading import ABSENT, RECEIPTS, Movements, Type, product
from cloud.domain.costing.methods import Method
from cloud.domain.costing.pools import NONE, CannotCost, Op
from cloud.domain.costing.variances import material_variance
from cloud.domain.rounding import round_ratio

Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

ACCOUNTS = (
    "inventory", "grni", "landed_clearing", "cogs", "loss", "clarification", "opening_equity", "price_difference",
    "ppv", "revaluation", "write_down", "allowance",
)  # fmt: skip
_ACCOUNT = {name: number for number, name in enumerate(ACCOUNTS)}

# What stands opposite the pool, by type of movement.
_COUNTER_NAMES = {
    Type.RECEIPT: "grni",
    Type.OPENING: "opening_equity",
    Type.ISSUE: "cogs",
    Type.SCRAP: "loss",
    Type.COUNT_GAIN: "clarification",
    Type.COUNT_LOSS: "clarification",
    Type.RETURN_IN: "cogs",
    Type.RETURN_OUT: "price_difference",
    Type.TRANSFER: "inventory",
    Type.SET_STANDARD: "revaluation",
    Type.CHANGE_METHOD: "revaluation",
    Type.WRITE_DOWN: "write_down",
}
_COUNTER = np.array([_ACCOUNT[_COUNTER_NAMES.get(kind, "inventory")] for kind in Type], np.int64)


@dataclass(slots=True)
class Journal:
    """Lines: the movement that made each, its account (a place in ACCOUNTS) and its amount, debits above 0."""

    movement: Int64
    account: Int64
    amount: Int64

    def totals(self) -> Iterator[tuple[str, int, int]]:
        """(account, debits, credits) of every account that has lines."""
        for number, name in enumerate(ACCOUNTS):
            amounts = self.amount[self.account == number]
            debit, credit = int(amounts[amounts > 0].sum()), -int(amounts[amounts < 0].sum())
            if debit or credit:
                yield name, debit, credit

    def balance(self, account: str) -> int:
        """Debits − credits of an account."""
        return int(self.amount[self.account == _ACCOUNT[account]].sum())


@dataclass(frozen=True, slots=True)
class LayerLeft:
    """What is left of a receipt, of an average, or of a shortage (below 0)."""

    item: str
    pool: str
    lot: str
    qty: int
    value: int

    @property
    def unit_cost(self) -> int:
        """10⁻⁶ currency a stock unit."""
        return round_ratio(self.value * 10**6 * (1 if self.qty > 0 else -1), abs(self.qty))


@dataclass(frozen=True, slots=True)
class Closing:
    """What an item is left with."""

    item: str
    qty: int
    value: int
    allowance: int = 0


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A change of cost after the fact: `by` a movement, of the cost of `of`; above 0: it cost more."""

    of: int
    by: int
    value: int


@dataclass(slots=True)
class CostedFile:
    """What a method makes of a file. Rows of `issues`, `of` and `by` are movements, 0-based."""

    method: str
    issues: Int64
    cost_of_issue: Int64
    cogs: int
    closing: list[Closing]
    layers: list[LayerLeft]
    adjustments: list[Adjustment]
    variances: dict[str, int]
    journal: Journal
    uncosted: list[int] = field(default_factory=list)
    write_down: int = 0

    @property
    def closing_qty(self) -> int:
        return sum(one.qty for one in self.closing)

    @property
    def closing_value(self) -> int:
        return sum(one.value for one in self.closing)

    @property
    def allowance(self) -> int:
        return sum(one.allowance for one in self.closing)


def cost_file(movements: Movements, method: Method | str, told: Told = lambda _: None) -> CostedFile:
    """Cost a file by one method, or "mixed". Raises BadFile."""
    told(0.0)
    laid_out = plan(movements, method)
    told(0.25)
    try:
        outcome = cost_plan(laid_out)
    except CannotCost as error:
        row = int(laid_out.movement[error.move])
        complaint = "its cost, or the stock it makes, passes what the books can hold"
        raise BadFile(movements.cells.name, [Problem(movements.cells.place(row), complaint)]) from error
    told(0.75)
    name = method if isinstance(method, str) else Method(method).label
    return _Result(movements, laid_out, outcome).of(name)


class _Result:
    """What came of one run, seen from the file's movements."""

    def __init__(self, movements: Movements, laid_out: Plan, outcome: Outcome) -> None:
        self.data = movements
        self.plan = laid_out
        self.outcome = outcome
        self.kind = movements.kind[laid_out.movement]  # of each row

    def of(self, method: str) -> CostedFile:
        n = len(self.data)
        journal, ppv = self._journal()
        issues = np.flatnonzero(self.data.of_kind(Type.ISSUE))
        cost = np.zeros(n, np.int64)
        np.add.at(cost, self.plan.movement, self.outcome.out_value)
        releases = self.outcome.releases
        going = self.kind[releases.move] != Type.WRITE_DOWN
        np.add.at(cost, self.plan.movement[releases.move[going]], releases.value[going])
        out = np.flatnonzero(self.outcome.uncosted & (self.outcome.out_value == 0) & (self.plan.rows.src != NONE))
        variances = {
            "purchase_price": ppv,
            "price_difference": journal.balance("price_difference"),
            "revaluation": journal.balance("revaluation"),
        }
        return CostedFile(
            method, issues, cost[issues], journal.balance("cogs"), self._closing(), self._layers(),
            self._adjustments(), {name: value for name, value in variances.items() if value}, journal,
            sorted(set(self.plan.movement[out].tolist())),
        )  # fmt: skip

    # ── What is left ────────────────────────────────────────────────────────────────────────────────

    def _closing(self) -> list[Closing]:
        pools = self.outcome.pools
        items: dict[int, Closing] = {}
        for pool in range(len(pools.pool_id)):
            code = int(self.plan.place[pool, 0])
            seen = items.get(code, Closing(self._item(code), 0, 0))
            items[code] = Closing(
                seen.item,
                seen.qty + int(pools.qty[pool]),
                seen.value + int(pools.value[pool]),
                seen.allowance + int(pools.allowance[pool]),
            )
        return [items[code] for code in sorted(items)]

    def _layers(self) -> list[LayerLeft]:
        """By item and place; there oldest first."""
        found, data = self.outcome, self.data
        place = self.plan.place[found.layer_pool]
        order = np.lexsort((np.arange(len(place)), found.layer_row, place[:, 1], place[:, 0]))
        columns = (*place[order].T, found.layer_qty[order], found.layer_value[order])
        return [
            LayerLeft(self._item(item), data.pools[pool], data.lots[lot] if lot >= 0 else "", qty, value)
            for item, pool, lot, qty, value in zip(*(column.tolist() for column in columns), strict=True)
        ]

    def _item(self, code: int) -> str:
        return self.data.items[code] if code >= 0 else ""

    # ── Adjustments and the journal ─────────────────────────────────────────────────────────────────

    def _adjustments(self) -> list[Adjustment]:
        """What settled a shortage: the issue that was short cost more, or less, than the last known cost."""
        found = self.outcome
        adjusting = np.flatnonzero(
            (found.entry_corrects != NONE) & (found.entry_step >= 2) & (found.entry_value != 0)
        )
        adjusting = adjusting[self.plan.rows.src[found.entry_corrects[adjusting]] != NONE]
        adjusting = adjusting[np.lexsort((found.entry_corrects[adjusting], found.entry_row[adjusting]))]
        of = self.plan.movement[found.entry_corrects[adjusting]]
        by = self.plan.movement[found.entry_row[adjusting]]
        columns = (of.tolist(), by.tolist(), (-found.entry_value[adjusting]).tolist())
        return [Adjustment(*one) for one in zip(*columns, strict=True)]

    def _journal(self) -> tuple[Journal, int]:
        """(the journal, the purchase price variance in it)."""
        found, rows = self.outcome, self.plan.rows
        by, step, value = found.entry_row, found.entry_step, found.entry_value
        corrects = (found.entry_corrects != NONE) & (step >= 2)
        counter = _COUNTER[self.kind[np.where(corrects, found.entry_corrects, by)]]
        lines = [(by, np.zeros(len(by), np.int64), value)]
        # Everything that has no side of its own in what follows stands opposite the pool at the pool's amount.
        receives = (step == 1) & (rows.qty[by] > 0)
        bought = receives & np.isin(self.kind[by], RECEIPTS)
        returned = (step == 0) & (rows.op[by] == Op.RETURN_OUT)
        arrives = receives & ~bought & ~np.isin(self.kind[by], (Type.TRANSFER,))
        plain = ~(bought | returned | arrives) & (counter != _ACCOUNT["inventory"])
        lines.append((by[plain], counter[plain], -value[plain]))
        for name, row, amount in (
            *self._bought(by[bought], value[bought]),
            *self._given_back(by[returned]),
        ):
            lines.append((row, np.full(len(row), _ACCOUNT[name]), amount))
        came = by[arrives]
        variance = self.outcome.variance
        lines.append((came, counter[arrives], -value[arrives] - variance[came]))
        off = np.flatnonzero((variance != 0) & (rows.dst != NONE) & ~np.isin(self.kind, RECEIPTS))
        lines.append((off, np.full(len(off), _ACCOUNT["ppv"]), variance[off]))
        lines.append(self._value_from_nowhere(np.where(corrects, found.entry_corrects, by), off))
        releases = self.outcome.releases
        lines.append((releases.move, np.full(len(releases.move), _ACCOUNT["allowance"]), -releases.value))
        # An allowance does not travel: goods that only move to another place are written back up on the way.
        stays = self.kind[releases.move] == Type.TRANSFER
        against = np.where(stays, _ACCOUNT["write_down"], _COUNTER[self.kind[releases.move]])
        lines.append((releases.move, against, releases.value))
        row, account, amount = (np.concatenate(column) for column in zip(*lines, strict=True))
        kept = np.flatnonzero(amount)
        journal = Journal(self.plan.movement[row[kept]], account[kept], amount[kept])
        if off_by := int(amount.sum()):
            raise AssertionError(f"the journal of {self.data.cells.name} is off balance by {off_by} × 10⁻⁶")
        return journal, journal.balance("ppv")

    def _value_from_nowhere(self, responsible: Int64, off_standard: Int64) -> tuple[Int64, Int64, Int64]:
        """Goods that were transferred before any cost was known, and got one where they arrived but not where they
        came from, are worth something that nobody has paid for yet: that awaits clarification. So does what is
        between the two costs of a transfer in a circle where none fits."""
        moved = self.kind[responsible] == Type.TRANSFER
        worth = np.zeros(len(self.data), np.int64)
        np.add.at(worth, self.plan.movement[responsible[moved]], self.outcome.entry_value[moved])
        off = off_standard[self.kind[off_standard] == Type.TRANSFER]
        np.add.at(worth, self.plan.movement[off], self.outcome.variance[off])
        unknown = np.zeros(len(self.data), np.bool_)
        unknown[self.plan.movement[self.outcome.uncosted | self.outcome.open]] = True
        worth[~unknown] = 0
        rows = np.flatnonzero(worth[self.plan.movement])
        rows = rows[np.unique(self.plan.movement[rows], return_index=True)[1]]
        return rows, np.full(len(rows), _ACCOUNT["clarification"]), -worth[self.plan.movement[rows]]

    def _bought(self, rows: Int64, value: Int64) -> list[tuple[str, Int64, Int64]]:
        """Opposite a receipt: what is owed for the goods, landed cost, and what standard cost leaves over."""
        movement = self.plan.movement[rows]
        landed = self.data.landed[movement] + self.plan.landed_news[movement]
        opening = self.kind[rows] == Type.OPENING
        own = self.plan.rows.own[rows]
        variance = self.outcome.variance[rows]
        # Goods that came without a cost are owed at what they were valued at.
        owed = np.where(own != NONE, own + self.plan.price_news[movement], value + variance - landed)
        return [
            ("opening_equity", rows[opening], -owed[opening]),
            ("grni", rows[~opening], -owed[~opening]),
            ("landed_clearing", rows, -landed),
            ("ppv", rows, owed + landed - value),
        ]

    def _given_back(self, rows: Int64) -> list[tuple[str, Int64, Int64]]:
        """Opposite a supplier return: the credit note, and how far the goods' cost was from it."""
        data, movement = self.data, self.plan.movement[rows]
        taken = np.zeros(len(self.plan.rows), np.int64)
        out = self.outcome.entry_step == 0
        np.add.at(taken, self.outcome.entry_row[out], -self.outcome.entry_value[out])
        credit = taken[rows].copy()
        for at, (row, of) in enumerate(zip(rows.tolist(), movement.tolist(), strict=True)):
            original, qty = int(self.plan.returned[of]), int(self.plan.rows.qty[row])
            if data.value[of] != ABSENT:
                credit[at] = round_ratio(int(data.value[of]) * qty, int(data.qty[of]))
            elif original != NONE and data.value[original] != ABSENT:
                paid = int(data.value[original] + self.plan.price_news[original])
                credit[at] = round_ratio(paid * qty, int(data.qty[original]))
        return [("grni", rows, credit), ("price_difference", rows, taken[rows] - credit)]


# ── Figures without goods ───────────────────────────────────────────────────────────────────────────


def variance_of(movements: Movements) -> CostedFile:
    """Actual against standard, item by item: price variance at the actual quantity, quantity variance at standard.

    Raises BadFile.
    """
    price = quantity = 0
    for item in dict.fromkeys(movements.item.tolist()):
        rows = movements.item == item
        actual = np.flatnonzero(rows & movements.of_kind(Type.ACTUAL)).tolist()
        standard = np.flatnonzero(rows & movements.of_kind(Type.STANDARD)).tolist()
        if len(actual) != len(standard) or not actual:
            complaint = (
                f"expected as many rows of type standard as of type actual ({len(actual)}), got {len(standard)}"
            )
            movements.refuse([(int(np.flatnonzero(rows)[0]), "type", complaint)])
        for one, other in zip(actual, standard, strict=True):
            variance = _material_variance(movements, one, other)
            price, quantity = price + variance[0], quantity + variance[1]
    figures = {"price_variance": price, "quantity_variance": quantity, "total": price + quantity}
    return _without_goods("variance", movements, figures, [])


def _material_variance(movements: Movements, actual: int, standard: int) -> tuple[int, int]:
    def value(qty_of: int, cost_of: int) -> int:
        return product(int(movements.qty[qty_of]), int(movements.unit_cost[cost_of]), movements.cost_digits)

    if movements.cost_digits == 6:  # what the books do with a standard cost of their own digits
        found = material_variance(
            value(actual, actual), int(movements.qty[actual]), int(movements.qty[standard]),
            int(movements.unit_cost[standard]),
        )  # fmt: skip
        return found.price, found.usage
    at_standard = value(actual, standard)
    return value(actual, actual) - at_standard, at_standard - value(standard, standard)


def net_realisable_value(movements: Movements) -> CostedFile:
    """The lower of cost and net realisable value, row by row (IAS 2, paragraph 9). Raises BadFile."""
    write_down = closing = qty = 0
    for row in range(len(movements)):
        cells = {name: int(values[row]) for name, values in movements.given.items()}
        given = {name: None if cell == ABSENT else cell for name, cell in cells.items()}
        pieces = int(movements.qty[row]) if movements.qty[row] != ABSENT else None
        cost = given["cost"] if given["cost"] is not None else given["total"]
        if cost is None and movements.unit_cost[row] != ABSENT:
            cost = product(pieces or 10**6, int(movements.unit_cost[row]), movements.cost_digits)
        worth = given["nrv"]
        if worth is None and given["sale"] is not None:
            worth = given["sale"] - (given["cost_to_sell"] or 0)
        if cost is None:
            movements.refuse([(row, "cost", "expected a cost, got none")])
        if worth is None:
            movements.refuse([(row, "sale", "expected sale and cost_to_sell, or nrv, got none")])
        down = max((cost or 0) - max(worth or 0, 0), 0)
        whole = given["total_cost"] if given["total_cost"] is not None else cost
        write_down, closing, qty = write_down + down, closing + (whole or 0) - down, qty + (pieces or 0)
    lines = [("write_down", write_down), ("allowance", -write_down)]
    result = _without_goods("nrv", movements, {"write_down": write_down}, lines)
    result.closing = [Closing("", qty, closing)]
    result.write_down = write_down
    return result


def _without_goods(
    method: str, movements: Movements, variances: dict[str, int], lines: list[tuple[str, int]]
) -> CostedFile:
    kept = [(account, amount) for account, amount in lines if amount]
    journal = Journal(
        np.zeros(len(kept), np.int64),
        np.array([_ACCOUNT[account] for account, _ in kept], np.int64),
        np.array([amount for _, amount in kept], np.int64),
    )
    wanted = (Type.ACTUAL, Type.STANDARD) if method == "variance" else (Type.NRV,)
    others = np.flatnonzero(~movements.of_kind(*wanted))
    names = " or ".join(kind.label for kind in wanted)
    movements.refuse([(int(row), "type", f"expected {names} with method {method}") for row in others])
    nothing = np.zeros(0, np.int64)
    return CostedFile(method, nothing, nothing, 0, [], [], [], variances, journal)
