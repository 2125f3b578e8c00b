"""A work order from release to close: what goes in becomes the cost of what comes out.

    release   production_start     the planned output into the order's own place, worth nothing yet
    issue     production_issue     components out of stock; their cost goes into the order's pool, without quantity
    absorb    labour, overhead     value events on that pool
    receive   production_receipt   output out of the order's place into stock, at its share of what is there
    close     production_end       what was never finished, with the cost that is left: production variance

Where components are kept at standard, closing tells how much of the variance is usage: what they were used beyond
the order's own standard, at standard cost, is moved from production variance to usage variance.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from cloud.domain.batch import Batch
from cloud.domain.costing.variances import Component, production_variance, standard_quantity
from cloud.domain.movement import QTY_MAX, Kind
from cloud.flows.answer_once import Answered, CannotRecord, Event, Request, answer_once, book_rows
from cloud.flows.declare import Declared
from cloud.store import production
from cloud.store.production import NewOrder, WorkOrder

Cursor = psycopg.Cursor

COMPONENTS_MAX = 1000
ABSORBED = (Kind.LABOUR, Kind.OVERHEAD)
# The reason under which posting rules find the account of a usage variance.
USAGE = "usage"


class NoSuchOrder(LookupError):
    """The company has no work order of this code."""


@dataclass(frozen=True, slots=True)
class Issue:
    """So much of a component, 10⁻⁶ stock units, out of a location; lot_id 0 where its lots are not told apart."""

    item_id: int
    qty_micro: int
    from_id: int
    lot_id: int = 0


@dataclass(frozen=True, slots=True)
class Absorbed:
    """Labour or overhead, 10⁻⁶ of the company's currency; negative takes back."""

    kind: Kind
    value_micro: int
    reason: str = ""


def release_order(
    connection: psycopg.Connection, company_id: int, order: NewOrder, occurred_us: int, request: Request
) -> Answered:
    """Begin a work order. Raises CannotRecord, RequestConflict, psycopg.Error."""
    check_order(order)

    def work(cursor: Cursor, batch: Batch) -> list[str]:
        made = add_order(cursor, company_id, order)
        start = start_move(cursor, company_id, made, order.planned_micro, occurred_us)
        return book_rows(cursor, batch, request.key, [start], own_values={0: 0})

    return answer_once(connection, company_id, request, work)


def issue_components(
    connection: psycopg.Connection,
    company_id: int,
    code: str,
    issues: Sequence[Issue],
    occurred_us: int,
    request: Request,
) -> Answered:
    """Take components out of stock for an order. Raises NoSuchOrder, CannotRecord, RequestConflict, psycopg.Error."""

    def work(cursor: Cursor, batch: Batch) -> list[str]:
        order = _open_order(cursor, company_id, code)
        moves = [issue_move(order, number, issue, occurred_us) for number, issue in enumerate(issues)]
        return book_rows(cursor, batch, request.key, moves)

    return answer_once(connection, company_id, request, work)


def absorb_cost(
    connection: psycopg.Connection,
    company_id: int,
    code: str,
    costs: Sequence[Absorbed],
    occurred_us: int,
    request: Request,
) -> Answered:
    """Add labour and overhead to an order. Raises NoSuchOrder, CannotRecord, RequestConflict, psycopg.Error."""
    for number, cost in enumerate(costs):
        if cost.kind not in ABSORBED:
            raise CannotRecord(f"expected labour or overhead, got {cost.kind.name.lower()}", number, "kind")
        if cost.value_micro == 0:
            raise CannotRecord("expected an amount, got 0", number, "amount")

    def work(cursor: Cursor, batch: Batch) -> list[str]:
        order = _open_order(cursor, company_id, code)
        events = [
            order_event(order, cost.kind, cost.value_micro, occurred_us, document=code, reason=cost.reason)
            for cost in costs
        ]
        return book_rows(cursor, batch, request.key, events=events)

    return answer_once(connection, company_id, request, work)


def receive_output(
    connection: psycopg.Connection,
    company_id: int,
    code: str,
    qty_micro: int,
    to_id: int,
    occurred_us: int,
    request: Request,
    backflush_from: int | None = None,
    lot_id: int = 0,
) -> Answered:
    """Put finished goods into stock.

    lot_id          of the output, 0 where its lots are not told apart
    backflush_from  the location that the standard quantities of all components are taken from at the same moment
    More than was planned begins as it is received. Raises NoSuchOrder, CannotRecord, RequestConflict, psycopg.Error.
    """

    def work(cursor: Cursor, batch: Batch) -> list[str]:
        order = _open_order(cursor, company_id, code)
        if not 1 <= qty_micro <= QTY_MAX:
            raise CannotRecord(f"expected 1 … {QTY_MAX} × 10⁻⁶, got {qty_micro}", field="quantity")
        moves: list[Declared] = []
        beyond = qty_micro - _in_work(cursor, company_id, order)
        if beyond > 0:
            moves.append(start_move(cursor, company_id, order, beyond, occurred_us))
        if backflush_from is not None:
            moves += _backflush(cursor, company_id, order, qty_micro, backflush_from, occurred_us)
        moves.append(
            Declared(
                Kind.PRODUCTION_RECEIPT, order.item_id, qty_micro, order.location_id, to_id, occurred_us,
                document=order.code, lot_id=lot_id,
            )
        )  # fmt: skip
        return book_rows(cursor, batch, request.key, moves, own_values={0: 0} if beyond > 0 else None)

    return answer_once(connection, company_id, request, work)


def close_order(
    connection: psycopg.Connection, company_id: int, code: str, occurred_us: int, request: Request
) -> Answered:
    """End an order: what is left of its cost becomes variance. Raises as `receive_output` does."""

    def work(cursor: Cursor, batch: Batch) -> list[str]:
        order = _open_order(cursor, company_id, code)
        moves = []
        if (rest := _in_work(cursor, company_id, order)) > 0:
            moves.append(_move(cursor, company_id, order, Kind.PRODUCTION_END, rest, occurred_us))
        usage = _usage(cursor, company_id, order)
        # An event on a pool that holds nothing: all of it is left over, and so goes from one variance to the other.
        events = [
            order_event(order, Kind.REVALUATION, -usage, occurred_us + 1, document=code, reason=USAGE)
            for _ in range(usage != 0)
        ]
        production.close_order(cursor, company_id, order)
        return book_rows(cursor, batch, request.key, moves, events) if moves or events else []

    return answer_once(connection, company_id, request, work)


def order_event(
    order: WorkOrder, kind: Kind, value_micro: int, occurred_us: int, document: str = "", reason: str = ""
) -> Event:
    """A value event on what an order has in work."""
    return Event(
        kind,
        value_micro,
        occurred_us,
        item_id=order.item_id,
        location_id=order.location_id,
        dimension_id=order.dimension_id,
        document=document,
        reason=reason,
    )


def add_order(cursor: Cursor, company_id: int, order: NewOrder) -> WorkOrder:
    """The order with its own place. Raises CannotRecord, psycopg.Error."""
    try:
        with cursor.connection.transaction():
            return production.add_order(cursor, company_id, order, place_code(order.code))
    except psycopg.errors.UniqueViolation:
        raise CannotRecord(
            f"there is already a work order or place with the code {order.code!r}", field="code"
        ) from None


def start_move(cursor: Cursor, company_id: int, order: WorkOrder, qty_micro: int, occurred_us: int) -> Declared:
    """So much of its output begins."""
    return _move(cursor, company_id, order, Kind.PRODUCTION_START, qty_micro, occurred_us)


def place_code(order_code: str) -> str:
    """The code of an order's own place."""
    return f"WO/{order_code}"


def check_order(order: NewOrder) -> None:
    """What no order can be. Raises CannotRecord."""
    if not 1 <= order.planned_micro <= QTY_MAX:
        raise CannotRecord(f"expected 1 … {QTY_MAX} × 10⁻⁶, got {order.planned_micro}", field="quantity")
    if len(order.components) > COMPONENTS_MAX:
        raise CannotRecord(f"expected at most {COMPONENTS_MAX}, got {len(order.components)}", field="components")
    for number, (item, qty) in enumerate(order.components.items()):
        if item == order.item_id:
            raise CannotRecord("what an order makes cannot be its own component", number, "item")
        if not 1 <= qty <= QTY_MAX:
            raise CannotRecord(f"expected 1 … {QTY_MAX} × 10⁻⁶, got {qty}", number, "quantity")


def _open_order(cursor: Cursor, company_id: int, code: str) -> WorkOrder:
    order = production.lock_order(cursor, company_id, code)
    if order is None:
        raise NoSuchOrder(f"no work order {code!r}")
    if order.state != "open":
        raise CannotRecord(f"work order {code!r} is {order.state}")
    return order


def _in_work(cursor: Cursor, company_id: int, order: WorkOrder) -> int:
    moved = production.moved(cursor, company_id, order)
    return 2 * moved.get(Kind.PRODUCTION_START, 0) - sum(moved.values())


def _move(
    cursor: Cursor, company_id: int, order: WorkOrder, kind: Kind, qty_micro: int, occurred_us: int
) -> Declared:
    """Output into the order's place from nowhere, or out of it to nowhere: the company's place of production."""
    nowhere = production.place_of_production(cursor, company_id)
    if nowhere is None:
        raise CannotRecord("the company has no location of kind production")
    ends = (nowhere, order.location_id) if kind is Kind.PRODUCTION_START else (order.location_id, nowhere)
    return Declared(kind, order.item_id, qty_micro, *ends, occurred_us, document=order.code)


def issue_move(order: WorkOrder, number: int, issue: Issue, occurred_us: int) -> Declared:
    """A component into the order; number: its row. Raises CannotRecord."""
    if issue.item_id == order.item_id:
        raise CannotRecord("what an order makes cannot be its own component", number, "item")
    return Declared(
        Kind.PRODUCTION_ISSUE, issue.item_id, issue.qty_micro, issue.from_id, order.location_id, occurred_us,
        document=order.code, lot_id=issue.lot_id,
    )  # fmt: skip


def _backflush(
    cursor: Cursor, company_id: int, order: WorkOrder, qty_micro: int, from_id: int, occurred_us: int
) -> list[Declared]:
    moves: list[Declared] = []
    for row in production.components(cursor, company_id, order):
        qty = standard_quantity(Component(0, row.standard_qty, None), qty_micro)
        if qty > 0:
            moves.append(issue_move(order, len(moves), Issue(row.item_id, qty, from_id), occurred_us))
    return moves


def _usage(cursor: Cursor, company_id: int, order: WorkOrder) -> int:
    """How much of the variance is that components were used beyond standard."""
    received = production.moved(cursor, company_id, order).get(Kind.PRODUCTION_RECEIPT, 0)
    used = [
        Component(row.used_qty, row.standard_qty, row.standard_cost)
        for row in production.components(cursor, company_id, order)
        if row.standard_qty > 0
    ]
    return production_variance(0, received, used).usage
