"""One day of the Online Retail set → the movements to declare, and a report in which every line is counted.

Goods go out by sales shipments and come back by customer returns; adjustments become scrap and count gains
with their reason in the document. Selling prices are no cost: movements carry none, and the report adds
them up. Costs are not in the file at all, so the supply side is made up, and says so: before the day's
first line every article that moves is received once, in whole cases, at a fraction of its median selling
price, under a document that begins with MADE-UP (R66 inbound types, R69 to R71 a numbered receipt with
quantity and cost, R80 quantity and amount together, R81 states).
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from cloud.domain.catalog import Item, Party
from cloud.domain.decimals import micro_text
from cloud.domain.movement import MICRO, Kind
from cloud.domain.rounding import round_ratio
from cloud.imports.online_retail import Catalogue, Fate, Line, fate_of, micro_of, normal_code

CURRENCY = "GBP"
TIME_ZONE = "Europe/London"
COST_PERCENT = 60  # of the median selling price: a margin of 40 %, usual for giftware wholesale; made up
CASE_PIECES = 12
RECEIPT_LEAD = timedelta(hours=1)  # before the day's first line
MADE_UP_SUPPLIER = Party("supplier", "MADE-UP", "Made-up supplier: the file names none")
PROVENANCE = (
    "Online Retail (Chen 2015, UCI, CC BY 4.0): code and description are the file's; "
    f"receipts and purchase prices are made up ({COST_PERCENT} % of the median selling price)"
)

KIND_OF_FATE = {
    Fate.SALE: Kind.SALES_SHIPMENT,
    Fate.RETURN: Kind.CUSTOMER_RETURN,
    Fate.SCRAP: Kind.SCRAP,
    Fate.FOUND: Kind.COUNT_GAIN,
}


@dataclass(frozen=True, slots=True)
class Planned:
    """A movement before codes have become numbers. price_micro is a purchase price, 10⁻⁶ GBP a piece."""

    kind: Kind
    code: str
    pieces: int
    occurred_us: int
    document: str
    party: str | None = None
    price_micro: int | None = None


@dataclass(frozen=True, slots=True)
class PutAside:
    """A line that moves no goods although it might have been meant to."""

    row: int
    invoice: str
    code: str
    reason: str


@dataclass(slots=True)
class DayReport:
    """What became of every line of one day. `fates` add up to `lines`.

    services         lines by service code
    prices_missing   lines that moved goods although their selling price is absent or not above 0
    without_customer sales and returns that name no customer
    sold_micro       selling value of the sales, 10⁻⁶ GBP; shown, not posted
    receipts, received_pieces, received_micro  the made-up supply side
    default_prices   receipts of articles that never had a selling price, at that of the median article
    """

    day: date
    lines: int = 0
    fates: Counter[str] = field(default_factory=Counter)
    services: Counter[str] = field(default_factory=Counter)
    put_aside: list[PutAside] = field(default_factory=list)
    prices_missing: int = 0
    without_customer: int = 0
    sold_micro: int = 0
    receipts: int = 0
    received_pieces: int = 0
    received_micro: int = 0
    default_prices: int = 0

    def as_json(self) -> dict[str, Any]:
        """For --json; money as decimal texts."""
        return {
            "day": self.day.isoformat(),
            "lines": self.lines,
            "fates": {fate.value: self.fates[fate.value] for fate in Fate},
            "services": dict(sorted(self.services.items())),
            "put_aside": [
                {"row": aside.row, "invoice": aside.invoice, "code": aside.code, "reason": aside.reason}
                for aside in self.put_aside
            ],
            "prices_missing": self.prices_missing,
            "without_customer": self.without_customer,
            "sold": {"amount": micro_text(self.sold_micro, 2), "currency": CURRENCY, "posted": False},
            "made_up": {
                "receipts": self.receipts,
                "pieces": self.received_pieces,
                "cost": {"amount": micro_text(self.received_micro, 2), "currency": CURRENCY},
                "percent_of_median_selling_price": COST_PERCENT,
                "articles_without_any_selling_price": self.default_prices,
            },
        }


@dataclass(frozen=True, slots=True)
class DayPlan:
    """The day's movements, receipts first, and what is to be said about them."""

    day: date
    movements: tuple[Planned, ...]
    report: DayReport

    def digest(self) -> bytes:
        """SHA-256 over the movements: the same day planned alike is the same request."""
        rows = [
            [int(m.kind), m.code, m.pieces, m.occurred_us, m.document, m.party, m.price_micro]
            for m in self.movements
        ]
        return hashlib.sha256(json.dumps([self.day.isoformat(), rows]).encode()).digest()


def items_of(catalogue: Catalogue) -> list[Item]:
    """Every article of the file as an item, by code."""
    return [
        Item(code=code, name_en=catalogue.articles[code].name, provenance=PROVENANCE)
        for code in sorted(catalogue.articles)
    ]


def plan_day(catalogue: Catalogue, day: date, lines: Iterable[Line]) -> DayPlan:
    """Pure: the same lines give the same plan."""
    report = DayReport(day)
    moved: list[Planned] = []
    for line in lines:
        fate, reason = fate_of(line, catalogue)
        _count(report, line, fate, reason)
        if fate in KIND_OF_FATE:
            moved.append(_movement(line, fate, reason))
    receipts = _receipts(catalogue, day, moved)
    report.receipts = len(receipts)
    report.received_pieces = sum(receipt.pieces for receipt in receipts)
    report.received_micro = sum(receipt.pieces * (receipt.price_micro or 0) for receipt in receipts)
    report.default_prices = sum(catalogue.articles[receipt.code].median_micro is None for receipt in receipts)
    return DayPlan(day, (*receipts, *moved), report)


def _count(report: DayReport, line: Line, fate: Fate, reason: str) -> None:
    report.lines += 1
    report.fates[fate.value] += 1
    if fate is Fate.SERVICE:
        report.services[normal_code(line.code)] += 1
    if fate in (Fate.UNKNOWN_CODE, Fate.UNREADABLE):
        report.put_aside.append(PutAside(line.row, line.invoice, line.code, reason))
    # Adjustments never have a price; only where one was due is it missing.
    if fate in (Fate.SALE, Fate.RETURN):
        report.prices_missing += not line.has_price
        report.without_customer += line.customer is None
    if fate is Fate.SALE and line.has_price and line.price is not None and line.quantity is not None:
        report.sold_micro += line.quantity * micro_of(line.price)


def _movement(line: Line, fate: Fate, reason: str) -> Planned:
    by_reason = fate in (Fate.SCRAP, Fate.FOUND)
    return Planned(
        kind=KIND_OF_FATE[fate],
        code=normal_code(line.code),
        pieces=abs(line.quantity or 0),
        occurred_us=utc_us(line.minute),
        document=f"{line.invoice} · {reason}" if by_reason else line.invoice,
        party=None if by_reason else line.customer,
    )


def _receipts(catalogue: Catalogue, day: date, moved: Sequence[Planned]) -> list[Planned]:
    """One receipt for each article that moves: what the day takes, rounded up to cases, and a case more."""
    if not moved:
        return []
    midnight = utc_us(datetime.combine(day, time.min))
    first = min(movement.occurred_us for movement in moved)
    moment = max(midnight, first - RECEIPT_LEAD // timedelta(microseconds=1))
    needed = Counter({movement.code: 0 for movement in moved})
    for movement in moved:
        if movement.kind in (Kind.SALES_SHIPMENT, Kind.SCRAP):
            needed[movement.code] += movement.pieces
    return [
        Planned(
            kind=Kind.PURCHASE_RECEIPT,
            code=code,
            pieces=(-(-pieces // CASE_PIECES) + 1) * CASE_PIECES,
            occurred_us=moment,
            document=f"MADE-UP-{day:%Y%m%d}-{number:04d}",
            party=MADE_UP_SUPPLIER.code,
            price_micro=made_up_cost_micro(catalogue, code),
        )
        for number, (code, pieces) in enumerate(sorted(needed.items()), start=1)
    ]


def made_up_cost_micro(catalogue: Catalogue, code: str) -> int:
    """A purchase price for an article, 10⁻⁶ GBP a piece, at least one of them."""
    median = catalogue.articles[code].median_micro
    return max(1, round_ratio((catalogue.median_micro if median is None else median) * COST_PERCENT, 100))


def utc_us(minute: datetime) -> int:
    """The file's local minute as microseconds since 1970-01-01 UTC."""
    aware = minute.replace(tzinfo=ZoneInfo(TIME_ZONE))
    return round(aware.timestamp()) * 1_000_000


def pieces_micro(pieces: int) -> int:
    """Pieces as a quantity."""
    return pieces * MICRO
