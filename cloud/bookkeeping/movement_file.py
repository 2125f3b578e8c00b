"""What a dry run is asked about, from a JSON file: movements as POST /v1/movements takes them, and value events.

    {"movements": [{"kind": "purchase_receipt", "item": "CRATE-7", "quantity": "15", "from": "SUPPLIER",
                    "to": "HALL-1", "price": "4.20"}],
     "value_events": {"kind": "landed_cost", "rows": [{"receipts": ["…"], "amount": "12.50"}]}}

Both may be left out; what is wrong is named with its place in the file.
"""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
import psycopg
from msgspec import Meta

from cloud.domain.catalog import CODE_MAX, TEXT_MAX
from cloud.domain.costing.allocation import Basis
from cloud.domain.currency import RATE_DIGITS
from cloud.domain.decimals import NotADecimal, parse_scaled
from cloud.domain.moments import us_of
from cloud.domain.movement import Kind
from cloud.flows.answer_once import Answered, Request
from cloud.flows.name_movements import NamedMovement
from cloud.flows.record_value_events import LandedCost, Paper, PriceCorrection, correct_prices, land_costs
from cloud.flows.share_costs import SharedCost, share_cost
from cloud.store import codes

ROWS_MAX = 1000
MICRO_DIGITS = 6
KINDS = {kind.name.lower(): kind for kind in Kind}

Code = Annotated[str, Meta(min_length=1, max_length=CODE_MAX)]
Text = Annotated[str, Meta(max_length=TEXT_MAX)]
Moment = Annotated[datetime, Meta(tz=True)]
Record = Callable[[psycopg.Connection, Request], Answered]


class BadMovementFile(ValueError):
    """The file cannot be read; where and why."""


class _Movement(msgspec.Struct, forbid_unknown_fields=True, rename={"from_location": "from", "to_location": "to"}):
    kind: str
    item: Code
    quantity: str
    from_location: Code
    to_location: Code
    occurred_at: Moment | None = None
    party: Code | None = None
    document: Text = ""
    price: str | None = None
    currency: str | None = None
    rate: str | None = None
    lot: Text | None = None
    returns: UUID | None = None
    reason: Text = ""
    dimensions: dict[str, str] = {}


class _PriceRow(msgspec.Struct, forbid_unknown_fields=True):
    receipt: UUID
    price: str | None = None
    amount: str | None = None
    rate: str | None = None
    reason: Text = ""


class _LandedRow(msgspec.Struct, forbid_unknown_fields=True):
    receipts: list[UUID]
    amount: str
    by: Basis = Basis.VALUE
    reason: Text = ""


class _Paper(msgspec.Struct, forbid_unknown_fields=True, tag_field="kind", kw_only=True):
    occurred_at: Moment | None = None
    document: Text = ""
    party: Code | None = None


class _Prices(_Paper, tag="price_correction"):
    rows: list[_PriceRow]


class _Landed(_Paper, tag="landed_cost"):
    rows: list[_LandedRow]


class _Shared(_Paper, tag="shared_cost"):
    cost_type: Code
    amount: str
    of: Text
    industry: str = ""
    by: Basis | None = None
    dimension: str | None = None
    reason: Text = ""


class MovementFile(msgspec.Struct, forbid_unknown_fields=True):
    """What the file says, before its codes are looked up."""

    movements: Annotated[list[_Movement], Meta(max_length=ROWS_MAX)] = []
    value_events: _Prices | _Landed | _Shared | None = None


def read_file(text: bytes) -> MovementFile:
    """Raises BadMovementFile."""
    try:
        return msgspec.json.decode(text, type=MovementFile)
    except msgspec.DecodeError as error:
        raise BadMovementFile(str(error)) from error


def named_movements(file: MovementFile) -> list[NamedMovement]:
    """The movements by codes; those without a time happen now. Raises BadMovementFile."""
    now_us = time.time_ns() // 1000
    named = []
    for number, one in enumerate(file.movements):
        at = f"movements/{number}"
        if one.kind not in KINDS:
            raise BadMovementFile(f"{at}/kind: expected one of {', '.join(KINDS)}, got {one.kind!r}")
        named.append(
            NamedMovement(
                KINDS[one.kind], one.item, _micro(one.quantity, f"{at}/quantity"), one.from_location, one.to_location,
                now_us if one.occurred_at is None else us_of(one.occurred_at), one.party, one.document,
                None if one.price is None else _micro(one.price, f"{at}/price"), one.currency,
                None if one.rate is None else _decimal(one.rate, RATE_DIGITS, f"{at}/rate"), one.lot, one.returns,
                one.reason, one.dimensions,
            )
        )  # fmt: skip
    return named


def value_events(file: MovementFile, company_id: int) -> Record | None:
    """What books the file's value events; None where it has none. Raises BadMovementFile."""
    said = file.value_events
    if said is None:
        return None
    occurred_us = time.time_ns() // 1000 if said.occurred_at is None else us_of(said.occurred_at)
    prices = [_price(number, row) for number, row in enumerate(said.rows)] if isinstance(said, _Prices) else []
    landed = [_land(number, row) for number, row in enumerate(said.rows)] if isinstance(said, _Landed) else []
    shared = _share(said) if isinstance(said, _Shared) else None

    def record(connection: psycopg.Connection, request: Request) -> Answered:
        paper = Paper(occurred_us, said.document, _supplier(connection, company_id, said.party))
        if shared is not None:
            return share_cost(connection, company_id, shared, paper, request)
        if landed:
            return land_costs(connection, company_id, landed, paper, request)
        return correct_prices(connection, company_id, prices, paper, request)

    return record


def _price(number: int, row: _PriceRow) -> PriceCorrection:
    at = f"value_events/rows/{number}"
    return PriceCorrection(
        row.receipt,
        None if row.price is None else _micro(row.price, f"{at}/price"),
        None if row.amount is None else _signed(row.amount, f"{at}/amount"),
        None if row.rate is None else _decimal(row.rate, RATE_DIGITS, f"{at}/rate"),
        row.reason,
    )


def _land(number: int, row: _LandedRow) -> LandedCost:
    amount = _signed(row.amount, f"value_events/rows/{number}/amount")
    return LandedCost(tuple(row.receipts), amount, row.by, row.reason)


def _share(said: _Shared) -> SharedCost:
    amount = _signed(said.amount, "value_events/amount")
    return SharedCost(said.cost_type, amount, said.of, said.industry, said.by, said.dimension, said.reason)


def _supplier(connection: psycopg.Connection, company_id: int, code: str | None) -> int:
    if code is None:
        return 0
    found = codes.party_ids(connection, company_id, [code]).get(("supplier", code))
    if found is None:
        raise BadMovementFile(f"value_events/party: no supplier {code!r}")
    return found


def _micro(text: str, at: str) -> int:
    return _decimal(text, MICRO_DIGITS, at)


def _signed(text: str, at: str) -> int:
    return -_micro(text[1:], at) if text.startswith("-") else _micro(text, at)


def _decimal(text: str, digits: int, at: str) -> int:
    try:
        return parse_scaled(text, digits)
    except NotADecimal as error:
        raise BadMovementFile(f"{at}: {error}") from error
