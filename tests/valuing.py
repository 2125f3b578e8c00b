"""What stories of value events and production have in common: items, receipts and requests in a warehouse's words."""

import hashlib
import itertools
from decimal import Decimal
from typing import Any
from uuid import UUID

from cloud.domain.costing.allocation import Basis
from cloud.domain.movement import MICRO, Kind
from cloud.flows.answer_once import Request
from cloud.flows.declare import Declared, declare_movements
from cloud.flows.record_value_events import LandedCost, Paper, PriceCorrection, correct_prices, land_costs
from tests.makers import NOON_US, SECOND_US, Warehouse

_keys = itertools.count()


def micro(text: str | int) -> int:
    """A decimal text as an integer of 10⁻⁶."""
    return int(Decimal(text) * MICRO)


def ask(payload: object = "", key: str | None = None) -> Request:
    """A request of its own, unless a key is told."""
    return Request(key or f"ask-{next(_keys)}", hashlib.sha256(repr(payload).encode()).digest(), "Mei")


def at(seconds: float) -> int:
    """So many seconds after noon, µs."""
    return NOON_US + int(seconds * SECOND_US)


def add_item(warehouse: Warehouse, code: str, method: str, **columns: Any) -> int:
    """A new item; its id."""
    names = ["company_id", "code", "name_en", "method", *columns]
    marks = ", ".join(["%s"] * len(names))
    row = warehouse.owner.execute(
        f"INSERT INTO items ({', '.join(names)}) VALUES ({marks}) RETURNING item_id",  # noqa: S608  names of ours
        [warehouse.company_id, code, code, method, *columns.values()],
    ).fetchone()
    assert row is not None
    warehouse.items[code] = row[0]
    return int(row[0])


def move(
    warehouse: Warehouse, kind: Kind, item: str, pieces: str | int, source: str, target: str, at_s: float = 0,
    **more: Any,
) -> UUID:  # fmt: skip
    """Declare one movement; its id."""
    row = Declared(
        kind, warehouse.items[item], micro(pieces), warehouse.places[source], warehouse.places[target], at(at_s),
        **more,
    )  # fmt: skip
    request = ask()
    answer = declare_movements(warehouse.owner, warehouse.company_id, [row], request.key, request.digest)
    return UUID(answer.movement_ids[0])


def receive(
    warehouse: Warehouse, item: str, pieces: str | int, price: str, at_s: float = 0, to: str = "STORE", **more: Any
) -> UUID:
    """Goods from the supplier at a price for each."""
    return move(
        warehouse, Kind.PURCHASE_RECEIPT, item, pieces, "SUPPLIER", to, at_s, price_micro=micro(price), **more
    )


def sell(warehouse: Warehouse, item: str, pieces: str | int, at_s: float = 0, source: str = "STORE") -> UUID:
    """Goods to the customer."""
    return move(warehouse, Kind.SALES_SHIPMENT, item, pieces, source, "CUSTOMER", at_s)


def invoice(warehouse: Warehouse, receipt: UUID, price: str, at_s: float = 100, **more: Any) -> list[str]:
    """The invoice of a receipt says another price; the ids of the events."""
    correction = PriceCorrection(receipt, price_micro=micro(price), **more)
    paper = Paper(at(at_s), "INV-1")
    return correct_prices(warehouse.owner, warehouse.company_id, [correction], paper, ask()).ids


def land(warehouse: Warehouse, amount: str, basis: Basis, *receipts: UUID, at_s: float = 100) -> list[str]:
    """Freight of receipts; the ids of the events."""
    cost = LandedCost(receipts, micro(amount), basis)
    paper = Paper(at(at_s), "FREIGHT-1")
    return land_costs(warehouse.owner, warehouse.company_id, [cost], paper, ask()).ids


def values(warehouse: Warehouse) -> dict[str, tuple[float, float]]:
    """(pieces, value) of each item over all its pools but those in work, nothing left out but items never there."""
    rows = warehouse.fetch(
        "SELECT i.code, sum(p.qty)::bigint, sum(p.value)::bigint"
        " FROM cost_pools p JOIN items i USING (company_id, item_id)"
        " JOIN accounts a USING (company_id, account_id) WHERE a.role <> 'wip' GROUP BY 1"
    )
    return {item: (qty / MICRO, value / MICRO) for item, qty, value in rows if qty or value}
