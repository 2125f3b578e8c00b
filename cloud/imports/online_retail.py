"""The Online Retail set (Chen 2015, UCI; CC BY 4.0) as a Parquet file: its goods, and what each line means.

In go the order lines of a British giftware wholesaler, 2010-12-01 to 2011-12-09: InvoiceNo, StockCode,
Description, Quantity, InvoiceDate (minute, local time), UnitPrice (GBP, selling price), CustomerID. Out come
the catalogue of goods and, for one day, every line with its fate. The file is read in batches, only the
columns and row groups that are needed, so that memory does not grow with it.

What the lines mean is nowhere written down; what is known was read off the data:

- InvoiceNo beginning with C is a cancellation: goods come back, Quantity is negative.
- A negative Quantity on an ordinary invoice stands at price 0 and is a stock adjustment ("damages", "thrown
  away", "lost"); the Description is then the reason, not the article.
- A positive Quantity at price 0 is a gift or sample when a customer is named or the article's usual
  Description stands there; otherwise it is the opposite adjustment ("found", "check").
- Codes of five digits and up to two letters are goods, and so are those of the shop's own labels (DCGS…:
  an ashtray, dog collars, party bags). POST, M, D and the like are services and money.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cloud.domain.movement import MICRO, QTY_MAX

BATCH_ROWS = 65_536  # of four columns a few megabytes

_SCHEMA = {
    "InvoiceNo": pa.string(),
    "StockCode": pa.string(),
    "Description": pa.string(),
    "Quantity": pa.int64(),
    "InvoiceDate": pa.timestamp("us"),
    "UnitPrice": pa.float64(),
    "CustomerID": pa.string(),
}
_CATALOGUE_COLUMNS = ("StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice")

_GOODS = re.compile(r"[0-9]{5}[A-Z]{0,2}|DCGS[A-Z0-9]+")
SERVICE_CODES = {
    "POST": "postage",
    "DOT": "postage of the web shop",
    "C2": "carriage",
    "M": "manual entry",
    "D": "discount",
    "S": "samples, credited in money",
    "B": "bad debt",
    "BANK CHARGES": "bank charges",
    "AMAZONFEE": "fee",
    "CRUK": "donation",
    "PADS": "surcharge of a tenth of a penny",
}
_SERVICE_PREFIXES = {"GIFT_": "gift voucher", "TEST": "test entry"}


class WrongFile(ValueError):
    """The file is not a Parquet file of this form."""


class Fate(StrEnum):
    """What becomes of a line. The first four move goods; the others are counted and listed."""

    SALE = "sale"
    RETURN = "return"
    SCRAP = "scrap"
    FOUND = "found"
    SERVICE = "service"
    UNKNOWN_CODE = "unknown_code"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Line:
    """One order line as it stands in the file; row is 1-based."""

    row: int
    invoice: str
    code: str
    description: str | None
    quantity: int | None
    minute: datetime
    price: float | None
    customer: str | None

    @property
    def has_price(self) -> bool:
        """Whether the selling price can be one."""
        return self.price is not None and math.isfinite(self.price) and self.price > 0


@dataclass(frozen=True, slots=True)
class Article:
    """What the whole file says about one article.

    code          in upper case
    name          the commonest description of its priced lines
    names         all descriptions of its priced lines
    spellings     the code as written, where it was written in more than one way
    median_micro  lower median of its selling prices over lines, 10⁻⁶ GBP; None: never had one
    """

    code: str
    name: str
    names: frozenset[str]
    spellings: tuple[str, ...]
    median_micro: int | None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The goods of the file, and how many lines each of its days has.

    median_micro  lower median of all selling prices of goods, for articles that never had one
    undated       lines without a date: they belong to no day
    """

    articles: dict[str, Article]
    days: dict[date, int]
    median_micro: int
    undated: int

    def typical_day(self) -> date:
        """The day whose number of lines comes nearest to the median of all days; the earliest of several."""
        counts = sorted(self.days.values())
        median = counts[len(counts) // 2]
        return min(self.days, key=lambda day: (abs(self.days[day] - median), day))


def normal_code(code: str) -> str:
    """The article's code: 85123a and 85123A are the same goods, with the same descriptions and prices."""
    return code.strip().upper()


def is_goods(code: str) -> bool:
    """Whether a normal code is that of goods."""
    return _GOODS.fullmatch(code) is not None


def service_of(code: str) -> str | None:
    """What service or money a normal code stands for, or None."""
    by_prefix = (meaning for prefix, meaning in _SERVICE_PREFIXES.items() if code.startswith(prefix))
    return SERVICE_CODES.get(code) or next(by_prefix, None)


def fate_of(line: Line, catalogue: Catalogue) -> tuple[Fate, str]:
    """What becomes of a line, and why, in a few words."""
    code = normal_code(line.code)
    if not code or line.quantity is None or line.quantity == 0:
        return Fate.UNREADABLE, f"expected a code and a quantity, got {line.code!r} and {line.quantity}"
    if not is_goods(code):
        if meaning := service_of(code):
            return Fate.SERVICE, meaning
        return Fate.UNKNOWN_CODE, f"expected five digits and up to two letters, got {line.code!r}"
    if abs(line.quantity) > QTY_MAX // MICRO:
        return Fate.UNREADABLE, f"expected at most {QTY_MAX // MICRO} pieces, got {line.quantity}"
    if line.quantity < 0:
        if line.invoice.startswith("C") or line.has_price:
            return Fate.RETURN, "goods come back"
        return Fate.SCRAP, line.description or "no reason given"
    if line.invoice.startswith("C"):
        return Fate.UNREADABLE, f"expected a negative quantity on cancellation {line.invoice}, got {line.quantity}"
    is_note = line.description is None or line.description not in catalogue.articles[code].names
    if not line.has_price and line.customer is None and is_note:
        return Fate.FOUND, line.description or "no reason given"
    return Fate.SALE, "goods go out"


@lru_cache(maxsize=16_384)
def micro_of(price: float) -> int:
    """A price of the file in 10⁻⁶ GBP: the decimal that was written, not the float's binary tail."""
    return int((Decimal(repr(price)) * MICRO).to_integral_value(ROUND_HALF_UP))


# ── Reading ─────────────────────────────────────────────────────────────────────────────────────────


def read_catalogue(path: Path) -> Catalogue:
    """One pass over the whole file. Raises WrongFile, OSError."""
    names: dict[str, Counter[str]] = defaultdict(Counter)
    spellings: dict[str, set[str]] = defaultdict(set)
    prices: dict[str, Counter[int]] = defaultdict(Counter)
    days: Counter[date] = Counter()
    undated = 0
    for _, batch in _batches(path, _CATALOGUE_COLUMNS):
        dates = batch.column("InvoiceDate")
        undated += dates.null_count
        for cell in pc.value_counts(pc.cast(dates.drop_null(), pa.date32())).to_pylist():
            days[cell["values"]] += cell["counts"]
        for code, description, price, lines in _tally(batch):
            if not is_goods(article := normal_code(code)):
                continue
            spellings[article].add(code.strip())
            if math.isfinite(price) and price > 0:
                prices[article][micro_of(price)] += lines
                if description:
                    names[article][description.strip()] += lines
    if not days:
        raise WrongFile(f"{path}: expected lines with a date, got none")
    articles = {
        code: Article(
            code,
            _commonest(names[code]) or f"{code} (no priced line describes it)",
            frozenset(names[code]),
            tuple(sorted(written)) if len(written) > 1 else (),
            _median(prices[code]),
        )
        for code, written in spellings.items()
    }
    every_price = Counter[int]()
    for of_article in prices.values():
        every_price.update(of_article)
    return Catalogue(articles, dict(days), _median(every_price) or MICRO, undated)


def read_lines(path: Path, day: date | None = None) -> Iterator[Line]:
    """The lines of one day, or of all days, in the order of the file; undated lines belong to no day.

    Raises WrongFile, OSError.
    """
    for first_row, batch in _batches(path, tuple(_SCHEMA), day):
        dates = batch.column("InvoiceDate")
        inside = pc.is_valid(dates) if day is None else _on_day(dates, day)
        taken = pc.indices_nonzero(inside)
        columns = [column.to_pylist() for column in batch.take(taken).columns]
        for row, *cells in zip(taken.to_pylist(), *columns, strict=True):
            yield _line(first_row + row, *cells)


def _on_day(dates: pa.Array, day: date) -> pa.Array:
    start = pa.scalar(datetime.combine(day, time.min), pa.timestamp("us"))
    end = pa.scalar(datetime.combine(day + timedelta(days=1), time.min), pa.timestamp("us"))
    return pc.fill_null(pc.and_(pc.greater_equal(dates, start), pc.less(dates, end)), False)


def _line(
    row: int,
    invoice: str | None,
    code: str | None,
    description: str | None,
    quantity: int | None,
    minute: datetime,
    price: float | None,
    customer: str | None,
) -> Line:
    """Cells in the order of _SCHEMA."""
    return Line(
        row=row,
        invoice=(invoice or "").strip(),
        code=code or "",
        description=(description or "").strip() or None,
        quantity=quantity,
        minute=minute,
        price=price,
        # Some copies of the set hold the number as a float.
        customer=(customer or "").strip().removesuffix(".0") or None,
    )


def _batches(
    path: Path, columns: tuple[str, ...], day: date | None = None
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Batches with the 1-based row of each one's first line; row groups without that day are left out."""
    try:
        with pq.ParquetFile(path) as file:
            if missing := set(_SCHEMA) - set(file.schema_arrow.names):
                raise WrongFile(
                    f"{path}: expected columns {', '.join(_SCHEMA)}, got no {', '.join(sorted(missing))}"
                )
            row = 1
            for group in range(file.num_row_groups):
                metadata = file.metadata.row_group(group)
                if day is not None and not _may_hold(metadata, day):
                    row += metadata.num_rows
                    continue
                for batch in file.iter_batches(BATCH_ROWS, row_groups=[group], columns=list(columns)):
                    yield row, _typed(path, batch, columns)
                    row += batch.num_rows
    except pa.ArrowInvalid as error:
        raise WrongFile(f"{path}: expected a Parquet file of order lines: {error}") from error


def _may_hold(group: Any, day: date) -> bool:
    """Whether a row group's statistics allow a line of that day."""
    for i in range(group.num_columns):
        column = group.column(i)
        if column.path_in_schema == "InvoiceDate" and column.statistics and column.statistics.has_min_max:
            first, last = column.statistics.min, column.statistics.max
            if isinstance(first, datetime) and isinstance(last, datetime):
                return first.date() <= day <= last.date()
    return True


def _typed(path: Path, batch: pa.RecordBatch, columns: tuple[str, ...]) -> pa.RecordBatch:
    arrays = []
    for name in columns:
        try:
            arrays.append(pc.cast(batch.column(name), _SCHEMA[name]))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise WrongFile(f"{path}: column {name}: expected {_SCHEMA[name]}: {error}") from error
    return pa.RecordBatch.from_arrays(arrays, names=list(columns))


def _tally(batch: pa.RecordBatch) -> Iterator[tuple[str, str | None, float, int]]:
    """(code, description, price, lines): how often each stands there; lines without a code are left out."""
    keys = ["StockCode", "Description", "UnitPrice"]
    table = pa.Table.from_batches([batch.select(keys)])
    for cells in table.group_by(keys).aggregate([([], "count_all")]).to_pylist():
        if cells["StockCode"] is not None:
            price = cells["UnitPrice"]
            yield (
                cells["StockCode"],
                cells["Description"],
                math.nan if price is None else price,
                cells["count_all"],
            )


def _commonest(counter: Counter[str]) -> str | None:
    return min(counter, key=lambda text: (-counter[text], text), default=None)


def _median(counter: Counter[int]) -> int | None:
    """The lower median of counted values, an integer that stands in the file."""
    half = (counter.total() + 1) // 2
    for value in sorted(counter):
        half -= counter[value]
        if half <= 0:
            return value
    return None
