"""What goods turned out to cost: another price on the invoice, freight and duty that came behind them.

A price correction or landed cost concerns receipts, wherever their goods are by now: what is still held becomes
dearer, what is gone adds to what it went to. At standard cost all of it is purchase price variance.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace

import psycopg

from cloud.domain.batch import Batch
from cloud.domain.costing.allocation import Basis, CannotShare, Target, share_by
from cloud.domain.currency import digits_of
from cloud.domain.movement import Kind
from cloud.domain.rounding import minor_unit, round_ratio
from cloud.flows.answer_once import Answered, CannotRecord, Event, Request, answer_once, book_rows
from cloud.store import valuation
from cloud.store.valuation import Receipt

Cursor = psycopg.Cursor

ROWS_MAX = 1000


@dataclass(frozen=True, slots=True)
class PriceCorrection:
    """The price that a receipt's invoice says.

    price_micro  10⁻⁶ of the receipt's document currency per stock unit;  rate_nano  the invoice's, None: as received
    value_micro  instead of a price: how much more the receipt cost, 10⁻⁶ of the company's currency, signed
    """

    receipt: uuid.UUID
    price_micro: int | None = None
    value_micro: int | None = None
    rate_nano: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LandedCost:
    """A cost of several receipts together, 10⁻⁶ of the company's currency; negative takes back."""

    receipts: tuple[uuid.UUID, ...]
    value_micro: int
    basis: Basis
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Paper:
    """When it happened, whose it is, and on what paper: the same for all of a request."""

    occurred_us: int
    document: str = ""
    party_id: int = 0


def correct_prices(
    connection: psycopg.Connection,
    company_id: int,
    corrections: Sequence[PriceCorrection],
    paper: Paper,
    request: Request,
) -> Answered:
    """Book the differences between invoices and receipts. Raises CannotRecord, RequestConflict, psycopg.Error.

    A second correction of a receipt is measured from the first. A receipt whose price was right makes no event.
    """
    _check_count(len(corrections), "corrections")

    def work(cursor: Cursor, batch: Batch) -> list[str]:
        receipts = valuation.hold_receipts(cursor, company_id, [one.receipt for one in corrections])
        events: list[Event] = []
        seen: set[uuid.UUID] = set()
        for number, correction in enumerate(corrections):
            receipt = _receipt(receipts, correction.receipt, number, paper)
            if correction.receipt in seen:
                raise CannotRecord("the receipt stands here twice", number, "receipt")
            seen.add(correction.receipt)
            difference = _difference(correction, receipt, number)
            told = _currency_difference(correction, receipt)
            if difference or told:
                event = _at(receipt, Kind.PRICE_CORRECTION, difference, paper, correction.reason)
                if correction.price_micro is not None:
                    event = replace(event, currency=receipt.currency, currency_amount=told)
                events.append(event)
        return book_rows(cursor, batch, request.key, events=events) if events else []

    return answer_once(connection, company_id, request, work)


def land_costs(
    connection: psycopg.Connection, company_id: int, costs: Sequence[LandedCost], paper: Paper, request: Request
) -> Answered:
    """Share each cost over its receipts and book it. Raises CannotRecord, RequestConflict, psycopg.Error."""
    _check_count(sum(len(cost.receipts) for cost in costs), "receipts")

    def work(cursor: Cursor, batch: Batch) -> list[str]:
        held = valuation.hold_receipts(cursor, company_id, [one for cost in costs for one in cost.receipts])
        events: list[Event] = []
        for number, cost in enumerate(costs):
            receipts = [_receipt(held, one, number, paper) for one in cost.receipts]
            events += landed_events(receipts, cost.value_micro, cost.basis, paper, cost.reason, number)
        return book_rows(cursor, batch, request.key, events=events) if events else []

    return answer_once(connection, company_id, request, work)


def landed_events(
    receipts: Sequence[Receipt], value_micro: int, basis: Basis, paper: Paper, reason: str, row: int | None = None
) -> list[Event]:
    """One landed cost over receipts: an event for each that gets a part. Raises CannotRecord."""
    targets = [Target(one.qty_micro, max(_worth(one), 0), one.weight_mg, one.volume_mm3) for one in receipts]
    try:
        parts = share_by(basis, value_micro, targets)
    except CannotShare as error:
        at = "" if error.target is None else f"item {receipts[error.target].item}: "
        raise CannotRecord(f"{at}{error.reason}", row, "by") from error
    return [
        _at(receipt, Kind.LANDED_COST, part, paper, reason)
        for receipt, part in zip(receipts, parts, strict=True)
        if part
    ]


def receipts_named(
    cursor: Cursor, company_id: int, ids: Sequence[uuid.UUID], paper: Paper, row: int | None = None
) -> list[Receipt]:
    """The receipts of these ids, held. Raises CannotRecord."""
    held = valuation.hold_receipts(cursor, company_id, ids)
    return [_receipt(held, one, row, paper) for one in ids]


def _check_count(count: int, field: str) -> None:
    if not 1 <= count <= ROWS_MAX:
        raise CannotRecord(f"expected 1 … {ROWS_MAX}, got {count}", field=field)


def _receipt(held: dict[uuid.UUID, Receipt], one: uuid.UUID, row: int | None, paper: Paper) -> Receipt:
    receipt = held.get(one)
    if receipt is None:
        raise CannotRecord(f"no movement {one}", row, "receipt")
    if receipt.kind != Kind.PURCHASE_RECEIPT:
        raise CannotRecord(
            f"expected a purchase_receipt, got {one}, a {Kind(receipt.kind).name.lower()}", row, "receipt"
        )
    if receipt.taken_back:
        raise CannotRecord(f"{one} was corrected by another movement: name that one", row, "receipt")
    if paper.occurred_us < receipt.occurred_us:
        raise CannotRecord(f"{one} happened later than what is said of it", row, "receipt")
    return receipt


def _worth(receipt: Receipt) -> int:
    """What a receipt cost by its own paper and its corrections, else what the books took it at."""
    if receipt.price_micro is None:
        return receipt.booked_micro
    return _value(receipt.price_micro, receipt) + receipt.corrected_micro


def _value(price_micro: int, receipt: Receipt) -> int:
    return round_ratio(price_micro * receipt.qty_micro * receipt.rate_nano, 10**15)


def _difference(correction: PriceCorrection, receipt: Receipt, row: int) -> int:
    if correction.rate_nano is not None and correction.rate_nano != receipt.rate_nano:
        raise CannotRecord(
            f"the receipt's rate was {receipt.rate_nano} × 10⁻⁹, the invoice's is {correction.rate_nano}: a difference"
            " by rate is an exchange gain or loss, never a cost of goods: it comes with the supplier invoice",
            row,
            "rate",
        )
    if (correction.price_micro is None) == (correction.value_micro is None):
        raise CannotRecord("expected either a price or an amount, got both or neither", row, "price")
    if correction.value_micro is not None:
        return correction.value_micro
    if receipt.price_micro is None:
        raise CannotRecord(
            "the receipt came without a price of its own, so there is nothing that this price differs from: say by"
            " which amount its cost differs",
            row,
            "price",
        )
    assert correction.price_micro is not None  # noqa: S101  one of the two is there
    return _value(correction.price_micro, receipt) - _worth(receipt)


def _currency_difference(correction: PriceCorrection, receipt: Receipt) -> int:
    """What a price changes in minor units of the receipt's currency; 0 where that is the company's own.

    An amount in the company's currency says nothing of what the supplier is owed in another.
    """
    if receipt.currency == 0 or receipt.price_micro is None or correction.price_micro is None:
        return 0
    before = _in_currency(receipt.price_micro, receipt) + receipt.corrected_currency
    return _in_currency(correction.price_micro, receipt) - before


def _in_currency(price_micro: int, receipt: Receipt) -> int:
    return round_ratio(price_micro * receipt.qty_micro, 10**6 * minor_unit(digits_of(receipt.currency)))


def _at(receipt: Receipt, kind: Kind, value_micro: int, paper: Paper, reason: str) -> Event:
    return Event(
        kind,
        value_micro,
        paper.occurred_us,
        original=receipt.movement_id,
        document=paper.document,
        party_id=paper.party_id,
        reason=reason,
    )
