"""Cells of text → movements as columns of integers; every cell that cannot be used is named by line and column.

Quantities are 10⁻⁶ stock units, values 10⁻⁶ currency, times microseconds since 1970-01-01 UTC. Whole columns are
turned at once; only where that fails is each cell looked at, to say which of them is wrong and why.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cloud.cost_files.cells import BadFile, Cells, Problem, Told, read_cells
from cloud.domain.costing.methods import Method, UnknownMethod, method_named
from cloud.domain.decimals import MICRO_DIGITS
from cloud.domain.moments import us_of
from cloud.domain.rounding import OVERFLOW, muldiv_columns

Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

ABSENT = np.iinfo(np.int64).min  # an empty cell of a column of integers
QTY_MAX = 10**15  # 10⁻⁶ stock units: a thousand million of them
VALUE_MAX = 10**18  # 10⁻⁶ currency: a million million
COST_DIGITS = (6, 9, 12)  # digits a unit cost may have after the point; the fewest that hold all of a file's
YEARLESS = 2000  # dates such as 03-01 are put into one leap year: only their order and month count


class Type(IntEnum):
    """What a row of the file does. Names are lower case in the file."""

    RECEIPT = 0
    OPENING = 1
    ISSUE = 2
    SCRAP = 3
    COUNT_GAIN = 4
    COUNT_LOSS = 5
    RETURN_IN = 6
    RETURN_OUT = 7
    TRANSFER = 8
    SET_STANDARD = 9
    PRICE_CORRECTION = 10
    LANDED = 11
    WRITE_DOWN = 12
    CHANGE_METHOD = 13
    ACTUAL = 14
    STANDARD = 15
    NRV = 16
    ADJUST = 17  # becomes a count gain or a count loss by its sign

    @property
    def label(self) -> str:
        return self.name.lower()


INTO = (Type.RECEIPT, Type.OPENING, Type.COUNT_GAIN, Type.RETURN_IN)
OUT_OF = (Type.ISSUE, Type.SCRAP, Type.COUNT_LOSS, Type.RETURN_OUT)
GOODS = (*INTO, *OUT_OF, Type.TRANSFER)
RECEIPTS = (Type.RECEIPT, Type.OPENING)

_TYPES = {kind.label: kind for kind in Type}
_TIMES = ("occurred_at", "date")
_CODES = ("item", "pool", "to_pool", "lot")
_QUANTITIES = ("qty",)
_COSTS = ("unit_cost", "landed_per_unit")
_VALUES = ("total", "cost", "sale", "cost_to_sell", "total_cost", "nrv")
KNOWN = frozenset(("type", "entered", "of", "picks", "method", *_TIMES, *_CODES, *_QUANTITIES, *_COSTS, *_VALUES))

_DECIMAL = re.compile(r"([+-]?)(?:([0-9]{1,20})(?:\.([0-9]*))?|\.([0-9]+))")
_MONTH_DAY = re.compile(r"([0-9]{1,2})-([0-9]{1,2})(?:[T ](.+))?")


@dataclass(slots=True)
class Movements:
    """n movements in the order of the file; integers are ABSENT where the cell is empty, codes −1.

    kind         Type
    qty          10⁻⁶ stock units, above 0
    unit_cost    of one stock unit, in 10⁻ᶜᵒˢᵗ_ᵈⁱᵍⁱᵗˢ of the currency; landed_per_unit too
    value        10⁻⁶ currency that a receipt comes with: its total, else quantity × unit cost, rounded once
    landed       10⁻⁶ currency of landed cost that a receipt comes with
    given        the cells total, cost, sale, cost_to_sell, total_cost, nrv in 10⁻⁶ currency
    of           the number that the cell `of` holds
    occurred     µs; the row's place in the file where the file has no dates
    entered      µs, or occurred
    item … lot   codes into items, pools, lots
    picks        row → [(lot, quantity)]
    new_method   row → the method that a change_method goes to
    """

    cells: Cells
    kind: Int64
    qty: Int64
    unit_cost: Int64
    landed_per_unit: Int64
    cost_digits: int
    value: Int64
    landed: Int64
    given: dict[str, Int64]
    of: Int64
    occurred: Int64
    entered: Int64
    is_dated: bool
    is_yearless: bool
    item: Int64
    pool: Int64
    to_pool: Int64
    lot: Int64
    items: list[str]
    pools: list[str]
    lots: list[str]
    picks: dict[int, list[tuple[int, int]]]
    new_method: dict[int, Method]
    method: str | None
    ignored: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.kind)

    def of_kind(self, *kinds: Type) -> Bool:
        """Which rows are of these types."""
        return np.isin(self.kind, kinds)

    def refuse(self, found: list[tuple[int, str, str]]) -> None:
        """Raise BadFile when (row, column, complaint)s were found."""
        if found:
            raise BadFile(
                self.cells.name,
                [Problem(self.cells.place(row, column), told) for row, column, told in sorted(found)],
            )


def read_movements(path: Path, encoding: str = "utf-8", told: Told = lambda _: None) -> Movements:
    """The movements of a file. Raises BadFile with all that is wrong, OSError."""
    return Reading(read_cells(path, encoding, told)).movements()


def read_amounts(cells: Cells, column: str) -> Int64:
    """A column of amounts or numbers as integers of 10⁻⁶, ABSENT where a cell is empty. Raises BadFile."""
    reading = Reading(cells)
    amounts = reading.rounded(column)
    reading.refuse()
    return amounts


def read_amount(text: str) -> int:
    """One amount of 0 or more in 10⁻⁶ currency. Raises ValueError."""
    amount = _one_rounded(text)
    if amount < 0:
        raise ValueError(f"expected an amount of 0 or more, got {text!r}")
    return amount


class Reading:
    """One file's cells being understood; problems are gathered, so that a person sees all of them at once."""

    def __init__(self, cells: Cells) -> None:
        self.cells = cells
        self.found: list[tuple[int, str, str]] = []
        self.is_yearless = False

    def movements(self) -> Movements:
        """Raises BadFile."""
        kind = self._kinds()
        qty = self._scaled("qty", MICRO_DIGITS)
        unit_cost, landed_per_unit, cost_digits = self._costs()
        given = {name: self.rounded(name) for name in _VALUES}
        times = [name for name in _TIMES if name in self.cells.columns]
        occurred = self._times(times)
        entered = self._times(["entered"]) if "entered" in self.cells.columns else np.full_like(qty, ABSENT)
        (item, items), (pool, to_pool, pools), (lot, lots) = self._codes("item"), self._pools(), self._codes("lot")
        of = self._scaled("of", 0)
        picks, picked_lots = self._picks(lots)
        new_method = self._methods(kind)
        self._check(kind, qty, unit_cost, landed_per_unit, given, of, to_pool)
        self.refuse()
        kind, qty = _adjusted(kind, qty)
        qty = self._picked_in_all(kind, qty, picks)
        value = self._own_values(kind, qty, unit_cost, cost_digits, given["total"])
        landed = self._landed(kind, qty, landed_per_unit, cost_digits)
        self.refuse()
        is_dated = bool(len(occurred) and (occurred != ABSENT).any())
        occurred = _carried_on(occurred) if is_dated else np.arange(len(qty), dtype=np.int64)
        return Movements(
            cells=self.cells, kind=kind, qty=qty, unit_cost=unit_cost, landed_per_unit=landed_per_unit,
            cost_digits=cost_digits, value=value, landed=landed, given=given, of=of, occurred=occurred,
            entered=np.where(entered == ABSENT, occurred, entered), is_dated=is_dated,
            is_yearless=self.is_yearless,
            item=item, pool=pool, to_pool=to_pool, lot=lot, items=items, pools=pools, lots=picked_lots, picks=picks,
            new_method=new_method, method=self.cells.method,
            ignored=tuple(name for name in self.cells.columns if name not in KNOWN),
        )  # fmt: skip

    def refuse(self) -> None:
        if self.found:
            raise BadFile(
                self.cells.name,
                [
                    Problem(self.cells.place(row, column), complaint)
                    for row, column, complaint in sorted(self.found)
                ],
            )

    # ── Columns ─────────────────────────────────────────────────────────────────────────────────────

    def _column(self, name: str) -> pa.Array:
        found = self.cells.columns.get(name)
        return pa.nulls(self.cells.rows, pa.string()) if found is None else found

    def _kinds(self) -> Int64:
        encoded = pc.dictionary_encode(pc.utf8_lower(self._column("type")))
        names = encoded.dictionary.to_pylist()
        numbers = np.array([int(_TYPES.get(name, -1)) for name in names] + [-1], np.int64)
        kind = numbers[_indices(encoded)]
        for row in np.flatnonzero(kind < 0):
            got = self._column("type")[int(row)].as_py()
            self.found.append((int(row), "type", f"expected one of {', '.join(_TYPES)}, got {got or 'none'}"))
        return kind

    def _codes(self, name: str) -> tuple[Int64, list[str]]:
        encoded = pc.dictionary_encode(self._column(name))
        return _indices(encoded), encoded.dictionary.to_pylist()

    def _pools(self) -> tuple[Int64, Int64, list[str]]:
        """Both columns share one list; goods without a pool are in the first, which has no name."""
        (at, names), (to, more) = self._codes("pool"), self._codes("to_pool")
        pools = list(dict.fromkeys(["", *names, *more]))
        number = {name: code for code, name in enumerate(pools)}
        at_codes = np.array([*(number[name] for name in names), 0], np.int64)[at]
        to_codes = np.array([*(number[name] for name in more), -1], np.int64)[to]
        return at_codes, to_codes, pools

    def _scaled(self, name: str, digits: int) -> Int64:
        """A column of decimals as integers of 10⁻ᵈⁱᵍⁱᵗˢ; what has more digits is a problem."""
        column = self._column(name)
        fast = _fast_scaled(column, digits)
        if fast is not None:
            return fast
        return self._each(name, column, lambda text: _one_scaled(text, digits))

    def rounded(self, name: str) -> Int64:
        """A column of amounts as 10⁻⁶ currency, half up where a cell has more digits."""
        column = self._column(name)
        fast = _fast_scaled(column, MICRO_DIGITS)
        return fast if fast is not None else self._each(name, column, _one_rounded)

    def _costs(self) -> tuple[Int64, Int64, int]:
        """Unit costs and landed costs a unit, in the fewest digits that hold them all."""
        columns = [self._column(name) for name in _COSTS]
        for digits in COST_DIGITS:
            fast = [_fast_scaled(column, digits) for column in columns]
            if fast[0] is not None and fast[1] is not None:
                return fast[0], fast[1], digits
        digits = COST_DIGITS[-1]
        slow = [
            self._each(name, column, lambda text: _one_scaled(text, digits))
            for name, column in zip(_COSTS, columns, strict=True)
        ]
        return slow[0], slow[1], digits

    def _each(self, name: str, column: pa.Array, parse: Callable[[str], int]) -> Int64:
        result = np.full(len(column), ABSENT, np.int64)
        for row, text in enumerate(column.to_pylist()):
            if text is None:
                continue
            try:
                result[row] = parse(text)
            except ValueError as error:
                self.found.append((row, name, str(error)))
        return result

    def _times(self, names: list[str]) -> Int64:
        result = np.full(self.cells.rows, ABSENT, np.int64)
        yearless = np.zeros(self.cells.rows, np.bool_)
        for name in reversed(names):  # the first of them that a row has
            column = self._column(name)
            times = _fast_times(column)
            if times is None:
                encoded = pc.dictionary_encode(column)
                each = self._each_time(name, encoded.dictionary.to_pylist(), _indices(encoded))
                times, short = each
                yearless |= short
            result = np.where(times == ABSENT, result, times)
        self.is_yearless |= bool(yearless.any())
        if yearless.any() and (wrong := np.flatnonzero(~yearless & (result != ABSENT))).size:
            self.found += [
                (
                    int(row),
                    names[0],
                    "expected a date without a year, as other rows have, or a year in all of them",
                )
                for row in wrong
            ]
        return result

    def _each_time(self, name: str, texts: list[str], rows: Int64) -> tuple[Int64, Bool]:
        times = np.full(len(texts) + 1, ABSENT, np.int64)
        short = np.zeros(len(texts) + 1, np.bool_)
        for code, text in enumerate(texts):
            try:
                times[code], short[code] = _one_time(text)
            except ValueError:
                complaint = (
                    f"expected a date such as 2026-03-31 or 03-31, with or without a time, got {text[:40]!r}"
                )
                self.found += [(int(row), name, complaint) for row in np.flatnonzero(rows == code)]
        return times[rows], short[rows]

    def _picks(self, lots: list[str]) -> tuple[dict[int, list[tuple[int, int]]], list[str]]:
        """Lot → quantity, as an object of a case file or as "B:20; P1:160" in a cell."""
        number = {name: code for code, name in enumerate(lots)}
        picks: dict[int, list[tuple[int, int]]] = {}
        if "picks" not in self.cells.columns:
            return picks, lots
        for row, text in enumerate(self._column("picks").to_pylist()):
            if text is None:
                continue
            try:
                picks[row] = [
                    (number.setdefault(lot, len(number)), _above_nought(qty)) for lot, qty in _pairs(text)
                ]
            except ValueError as error:
                self.found.append((row, "picks", str(error)))
        return picks, list(number)

    def _methods(self, kind: Int64) -> dict[int, Method]:
        methods = {}
        column = self._column("method")
        for row in np.flatnonzero(kind == Type.CHANGE_METHOD):
            try:
                methods[int(row)] = method_named((column[int(row)].as_py() or "").lower())
            except UnknownMethod as error:
                self.found.append((int(row), "method", str(error)))
        return methods

    # ── What each type needs ────────────────────────────────────────────────────────────────────────

    def _check(
        self,
        kind: Int64,
        qty: Int64,
        unit_cost: Int64,
        landed_per_unit: Int64,
        given: dict[str, Int64],
        of: Int64,
        to_pool: Int64,
    ) -> None:
        has_picks = np.zeros(len(kind), np.bool_)
        if "picks" in self.cells.columns:
            has_picks = np.asarray(pc.is_valid(self._column("picks")))
        goods = np.isin(kind, (*GOODS, Type.ADJUST, Type.ACTUAL, Type.STANDARD))
        self._say(goods & (qty == ABSENT) & ~has_picks, "qty", "expected a quantity, got none")
        below = (qty != ABSENT) & (qty <= 0) & (kind != Type.ADJUST)
        self._say(below, "qty", "expected a quantity above 0")
        self._say((kind == Type.ADJUST) & (qty == 0), "qty", "expected a quantity above or below 0")
        self._say((qty != ABSENT) & (np.abs(qty) > QTY_MAX), "qty", "expected at most 1000000000")
        for name, costs in (("unit_cost", unit_cost), ("landed_per_unit", landed_per_unit)):
            self._say((costs != ABSENT) & (costs < 0), name, "expected a cost of 0 or more")
        for name, values in given.items():
            big = (values != ABSENT) & (np.abs(values) > VALUE_MAX)
            self._say(big, name, "expected at most 1000000000000")
        total = given["total"]
        signed = np.isin(kind, (Type.LANDED, Type.WRITE_DOWN))
        self._say((total != ABSENT) & (total < 0) & ~signed, "total", "expected an amount of 0 or more")
        needs_cost = np.isin(kind, (Type.SET_STANDARD, Type.ACTUAL, Type.STANDARD))
        self._say(needs_cost & (unit_cost == ABSENT), "unit_cost", "expected a unit cost, got none")
        either = (unit_cost == ABSENT) & (total == ABSENT)
        self._say(
            (kind == Type.PRICE_CORRECTION) & either, "unit_cost", "expected a unit cost or a total, got none"
        )
        self._say(
            (kind == Type.LANDED) & (landed_per_unit == ABSENT) & (total == ABSENT),
            "total",
            "expected a total or landed_per_unit, got none",
        )
        self._say((kind == Type.WRITE_DOWN) & (total == ABSENT), "total", "expected an amount, got none")
        needs_of = np.isin(kind, (Type.PRICE_CORRECTION, Type.LANDED))
        self._say(needs_of & (of == ABSENT), "of", "expected the number of the receipt, got none")
        self._say(
            (kind == Type.TRANSFER) & (to_pool < 0), "to_pool", "expected the pool the goods go to, got none"
        )

    def _say(self, wrong: Bool, column: str, complaint: str) -> None:
        texts = self._column(column)
        told_of = {row for row, of, _ in self.found if of == column}
        for row in np.flatnonzero(wrong):
            if int(row) in told_of:  # unreadable, and so without a value
                continue
            got = texts[int(row)].as_py()
            told = complaint if got is None or ", got" in complaint else f"{complaint}, got {got}"
            self.found.append((int(row), column, told))

    def _picked_in_all(self, kind: Int64, qty: Int64, picks: dict[int, list[tuple[int, int]]]) -> Int64:
        qty = qty.copy()
        for row, parts in picks.items():
            whole = sum(part for _, part in parts)
            if qty[row] == ABSENT:
                qty[row] = whole
            elif qty[row] != whole and np.isin(kind[row], GOODS):
                self.found.append((row, "picks", f"expected {_text(int(qty[row]))} in all, got {_text(whole)}"))
        return qty

    def _own_values(self, kind: Int64, qty: Int64, unit_cost: Int64, digits: int, total: Int64) -> Int64:
        value = np.full(len(kind), ABSENT, np.int64)
        rows = np.flatnonzero(np.isin(kind, GOODS) & (unit_cost != ABSENT))
        value[rows] = self._product(rows, qty, unit_cost, digits, "unit_cost")
        in_all = np.isin(kind, GOODS) & (total != ABSENT)
        value[in_all] = total[in_all]
        return value

    def _landed(self, kind: Int64, qty: Int64, per_unit: Int64, digits: int) -> Int64:
        landed = np.zeros(len(kind), np.int64)
        rows = np.flatnonzero(np.isin(kind, RECEIPTS) & (per_unit != ABSENT))
        landed[rows] = self._product(rows, qty, per_unit, digits, "landed_per_unit")
        return landed

    def _product(self, rows: Int64, qty: Int64, cost: Int64, digits: int, column: str) -> Int64:
        """quantity × unit cost in 10⁻⁶ currency, rounded once."""
        product = muldiv_columns(qty[rows], cost[rows], np.full(len(rows), 10**digits, np.int64))
        for row in rows[(product == OVERFLOW) | (product > VALUE_MAX)]:
            self.found.append((int(row), column, "expected a value of at most 1000000000000"))
        return product


def product(qty: int, cost: int, digits: int) -> int:
    """quantity (10⁻⁶) × unit cost (10⁻ᵈⁱᵍⁱᵗˢ) in 10⁻⁶ currency, rounded once."""
    return (2 * qty * cost + 10**digits) // (2 * 10**digits)


def _adjusted(kind: Int64, qty: Int64) -> tuple[Int64, Int64]:
    """An adjustment is a count gain or a count loss."""
    adjust = kind == Type.ADJUST
    kind = np.where(adjust, np.where(qty > 0, int(Type.COUNT_GAIN), int(Type.COUNT_LOSS)), kind)
    return kind, np.where(adjust & (qty != ABSENT), np.abs(qty), qty)


def _carried_on(times: Int64) -> Int64:
    """A row without a date happens when the row before it did; rows before the first date, with it."""
    known = times != ABSENT
    source = np.maximum.accumulate(np.where(known, np.arange(len(times)), -1))
    source[source < 0] = np.flatnonzero(known)[0]
    carried: Int64 = times[source]
    return carried


def _indices(encoded: pa.DictionaryArray) -> Int64:
    """The codes of a dictionary; −1, which is also the last place of a table of codes, where there is none."""
    return np.asarray(pc.fill_null(encoded.indices, -1), np.int64)


def _fast_scaled(column: pa.Array, digits: int) -> Int64 | None:
    """A column of decimals at once, or None where a cell is none, has more digits or does not fit int64."""
    if column.null_count == len(column):
        return np.full(len(column), ABSENT, np.int64)
    try:
        decimals = pc.cast(column, pa.decimal128(38, digits))
    except pa.ArrowInvalid:
        return None
    # A decimal128 is two 64-bit words, the low one first; the high one only repeats the sign when it fits.
    words = np.frombuffer(decimals.buffers()[1], np.int64)
    words = words[2 * decimals.offset : 2 * (decimals.offset + len(decimals))].reshape(-1, 2)
    known = np.asarray(pc.is_valid(decimals))
    low = np.where(known, words[:, 0], ABSENT)
    if (known & ((words[:, 1] != words[:, 0] >> 63) | (words[:, 0] == ABSENT))).any():
        return None
    return low


def _one_decimal(text: str) -> tuple[int, int]:
    """(integer, digits after the point). Raises ValueError."""
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise ValueError(f"expected a decimal number such as 12 or 0.25, got {text[:40]!r}")
    sign, whole, after, only = match.groups()
    fraction = (after or only or "").rstrip("0")
    return int(f"{sign}{whole or ''}{fraction}" or "0"), len(fraction)


def _one_scaled(text: str, digits: int) -> int:
    number, fraction = _one_decimal(text)
    if fraction > digits:
        told = f"at most {digits} digits after the point" if digits else "a whole number"
        raise ValueError(f"expected {told}, got {text[:40]!r}")
    return _within_int64(number * 10 ** (digits - fraction), text)


def _one_rounded(text: str) -> int:
    number, fraction = _one_decimal(text)
    if fraction <= MICRO_DIGITS:
        return _one_scaled(text, MICRO_DIGITS)
    divisor = 10 ** (fraction - MICRO_DIGITS)
    rounded = (2 * abs(number) + divisor) // (2 * divisor)
    return _within_int64(-rounded if number < 0 else rounded, text)


def _within_int64(number: int, text: str) -> int:
    if abs(number) >= 2**63:
        raise ValueError(f"expected a number that the books can hold, got {text[:40]!r}")
    return number


def _above_nought(text: str) -> int:
    qty = _one_scaled(text, MICRO_DIGITS)
    if not 0 < qty <= QTY_MAX:
        raise ValueError(f"expected a quantity above 0 and at most 1000000000, got {text[:40]!r}")
    return qty


def _pairs(text: str) -> list[tuple[str, str]]:
    if text.startswith("{"):
        pairs = [(lot, str(qty)) for lot, qty in json.loads(text, parse_float=str, parse_int=str).items()]
    else:
        parts = [part.rpartition(":") for part in text.replace(",", ";").split(";") if part.strip()]
        pairs = [(lot.strip(), qty.strip()) for lot, _, qty in parts]
    if not pairs or not all(lot for lot, _ in pairs):
        raise ValueError(f"expected lots and quantities such as B:20; P1:160, got {text[:40]!r}")
    return pairs


def _fast_times(column: pa.Array) -> Int64 | None:
    """A column of ISO dates or times at once, or None where a cell needs looking at."""
    if column.null_count == len(column):
        return np.full(len(column), ABSENT, np.int64)
    for zone in (None, "UTC"):
        try:
            times = pc.cast(column, pa.timestamp("us", zone))
        except pa.ArrowInvalid:
            continue
        return np.asarray(pc.fill_null(pc.cast(times, pa.int64()), int(ABSENT)), np.int64)
    return None


def _one_time(text: str) -> tuple[int, bool]:
    """(µs, whether the year is missing); a time without a zone is taken as it stands. Raises ValueError."""
    match = _MONTH_DAY.fullmatch(text)
    if match:
        month, day, clock = match.groups()
        moment = datetime.fromisoformat(f"{YEARLESS}-{int(month):02}-{int(day):02}T{clock or '00:00'}")
    else:
        moment = datetime.fromisoformat(text.replace("/", "-"))
    return us_of(moment if moment.tzinfo else moment.replace(tzinfo=UTC)), match is not None


def _text(qty: int) -> str:
    whole, rest = divmod(qty, 10**MICRO_DIGITS)
    return f"{whole}.{rest:06}".rstrip("0").rstrip(".")
