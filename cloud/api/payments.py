"""/v1/payments: money that settles items; /v1/group-shipments and /v1/group-receipts: trade within the group."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field

from cloud.api.documents import (
    ROWS_MAX,
    AccountNumber,
    Dimensions,
    DocumentOut,
    MoneyText,
    Number,
    PartyCode,
    TermsIn,
    currency_number,
    item_ids,
    location_ids,
    made,
    money,
    party_id,
    rate_nano,
)
from cloud.api.once import CostChange, LedgerChange, moment_us, refusals
from cloud.api.problems import wrong_value
from cloud.api.values import MICRO_DIGITS, Code, DecimalText, MomentIn, Text, parse_decimal
from cloud.domain.access import Company
from cloud.flows.ledger.pay_items import Allocation, Charge, Payment, post_payment
from cloud.flows.ledger.trade_in_group import (
    GroupReceipt,
    GroupRow,
    GroupShipment,
    receive_from_group,
    ship_to_group,
)

router = APIRouter(tags=["payments"])


class AllocationIn(BaseModel):
    """An item that the money settles: the invoice, or an advance."""

    model_config = {"extra": "forbid"}

    item: UUID
    amount: MoneyText | None = Field(
        None, description="In the currency of `currency`, above 0; all that is open, unless said."
    )
    currency: Annotated[
        str | None, Field(pattern=r"^[A-Z]{3}$", description="The item's; the payment's, unless said.")
    ] = None


class ChargeIn(BaseModel):
    """What the bank kept (debit) or added (below 0)."""

    model_config = {"extra": "forbid"}

    account: AccountNumber
    amount: MoneyText
    dimensions: Dimensions = {}


class PaymentIn(TermsIn):
    """Money that came (above 0) or went (below 0)."""

    amount: MoneyText | None = Field(
        None, description="What the bank says; what allocations and charges come to, unless said."
    )
    account: AccountNumber | None = Field(None, description="The bank's; the chart's account for it, unless said.")
    side: Literal["customer", "supplier"] | None = Field(
        None, description="Whose advance is what no item takes; as the items say, unless said."
    )
    party: PartyCode | None = None
    allocations: list[AllocationIn] = Field(default=[], max_length=ROWS_MAX)
    charges: list[ChargeIn] = Field(default=[], max_length=50)


class GroupRowIn(BaseModel):
    """Goods of a trade, at their transfer price."""

    model_config = {"extra": "forbid"}

    item: Code
    quantity: DecimalText
    price: DecimalText = Field(description="For one stock unit, in the trade's currency.")
    from_location: Code = Field(alias="from")


class GroupShipmentIn(BaseModel):
    """Goods for another company of the group in the same books."""

    model_config = {"extra": "forbid"}

    buyer: Code = Field(description="The other company's code.")
    number: Number
    occurred_at: MomentIn | None = Field(None, description="Now, unless said.")
    to_location: Code = Field(alias="to", description="A place of the world, such as CUSTOMER.")
    currency: Annotated[str | None, Field(pattern=r"^[A-Z]{3}$", description="The seller's own, unless said.")] = (
        None
    )
    rate: DecimalText | None = None
    narration: Text = ""
    rows: list[GroupRowIn] = Field(min_length=1, max_length=ROWS_MAX)


class GroupReceiptIn(BaseModel):
    """What another company of the group shipped here under a number."""

    model_config = {"extra": "forbid"}

    seller: Code = Field(description="The other company's code.")
    number: Number
    occurred_at: MomentIn | None = Field(None, description="Now, unless said.")
    from_location: Code = Field(alias="from", description="A place of the world, such as SUPPLIER.")
    to_location: Code = Field(alias="to")
    rate: DecimalText | None = Field(None, description="The one known for the day, unless said.")


class GroupReceiptOut(BaseModel):
    """The movements that it made."""

    movement_ids: list[UUID]


@router.post("/v1/payments", response_model=DocumentOut, status_code=201, summary="Post a payment")
def pay(body: PaymentIn, change: LedgerChange) -> DocumentOut:
    """Settles receivables and payables; what their currency's rate made of them since is realised."""
    company = change.caller.company
    currency = currency_number(company, body.currency)
    request = change.request("payments", body)
    allocations = tuple(_allocation(company, currency, n, one) for n, one in enumerate(body.allocations))
    charges = tuple(
        Charge(one.account, money(one.amount, company, currency, f"/charges/{n}/amount"), one.dimensions)
        for n, one in enumerate(body.charges)
    )
    amount = None if body.amount is None else money(body.amount, company, currency, "/amount")
    with change.pool.connection() as connection:
        party = 0
        if body.party is not None:
            if body.side is None:
                raise wrong_value("/side", "expected customer or supplier, which the party is, got nothing")
            party = party_id(connection, change.company_id, body.side, body.party)
        payment = Payment(
            body.number, body.document_date, allocations, amount, body.account, charges, party, body.side, currency,
            rate_nano(body.rate), body.posting_date, body.narration,
        )  # fmt: skip
        with refusals():
            answered = post_payment(connection, change.company_id, payment, request)
    return made(change, answered)


@router.post(
    "/v1/group-shipments", response_model=DocumentOut, status_code=201, summary="Ship to a company of the group"
)
def ship(body: GroupShipmentIn, change: CostChange) -> DocumentOut:
    """Goods leave at cost, and a receivable at transfer price stands against the buyer."""
    request = change.request("group-shipments", body)
    with change.pool.connection() as connection:
        items = item_ids(connection, change.company_id, [row.item for row in body.rows])
        places = location_ids(
            connection, change.company_id,
            {"/to": body.to_location, **{f"/rows/{n}/from": row.from_location for n, row in enumerate(body.rows)}},
        )  # fmt: skip
        rows = tuple(
            GroupRow(
                items[row.item], parse_decimal(row.quantity, MICRO_DIGITS, f"/rows/{n}/quantity"),
                parse_decimal(row.price, MICRO_DIGITS, f"/rows/{n}/price"), places[f"/rows/{n}/from"],
            )
            for n, row in enumerate(body.rows)
        )  # fmt: skip
        shipment = GroupShipment(
            body.buyer, body.number, rows, places["/to"], moment_us(body.occurred_at),
            currency_number(change.caller.company, body.currency), rate_nano(body.rate), body.narration,
        )  # fmt: skip
        with refusals("/rows"):
            answered = ship_to_group(connection, change.company_id, shipment, request)
    return made(change, answered)


@router.post(
    "/v1/group-receipts",
    response_model=GroupReceiptOut,
    status_code=201,
    summary="Receive from a company of the group",
)
def receive(body: GroupReceiptIn, change: CostChange) -> GroupReceiptOut:
    """Goods come in at the transfer price the seller posted, and a payable stands against it."""
    request = change.request("group-receipts", body)
    with change.pool.connection() as connection:
        places = location_ids(
            connection, change.company_id, {"/from": body.from_location, "/to": body.to_location}
        )
        receipt = GroupReceipt(
            body.seller, body.number, places["/from"], places["/to"], moment_us(body.occurred_at),
            rate_nano(body.rate),
        )  # fmt: skip
        with refusals("/rows"):
            answered = receive_from_group(connection, change.company_id, receipt, request)
    return GroupReceiptOut(movement_ids=change.told(answered.ids, answered.replayed))


def _allocation(company: Company, currency: int, number: int, row: AllocationIn) -> Allocation:
    at = f"/allocations/{number}"
    if row.amount is None:
        return Allocation(row.item)
    of = currency if row.currency is None else currency_number(company, row.currency, f"{at}/currency")
    return Allocation(row.item, money(row.amount, company, of, f"{at}/amount"))
