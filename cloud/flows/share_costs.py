"""A cost of many shared by rule: freight over a document's receipts, overhead over a workshop's orders.

The company's allocation rules say for each type of cost over whose targets it is shared (those of a document, a
batch or a workshop) and by what. Receipts take it as landed cost, work orders as overhead or labour.
"""

from dataclasses import dataclass

import psycopg

from cloud.domain.batch import Batch
from cloud.domain.costing.allocation import Basis, CannotShare, Target, share_by
from cloud.domain.costing.allocation_rules import rules_of
from cloud.domain.movement import Kind
from cloud.flows.answer_once import Answered, CannotRecord, Event, Request, answer_once, book_rows
from cloud.flows.record_value_events import ROWS_MAX, Paper, landed_events, receipts_named
from cloud.store import valuation
from cloud.store.valuation import OrderInWork, Rule

Cursor = psycopg.Cursor

# The type of cost that work orders take as labour; every other type is overhead to them.
LABOUR = "labour"


@dataclass(frozen=True, slots=True)
class SharedCost:
    """A cost of what one document, batch or workshop has in common, 10⁻⁶ of the company's currency, signed.

    cost_type        what the rules are found by: freight, duty, labour, energy …
    key              the document's number, the batch's or the workshop's name
    basis, dimension instead of a rule's, both or none
    """

    cost_type: str
    value_micro: int
    key: str
    industry: str = ""
    basis: Basis | None = None
    dimension: str | None = None
    reason: str = ""


def share_cost(
    connection: psycopg.Connection, company_id: int, cost: SharedCost, paper: Paper, request: Request
) -> Answered:
    """Share and book it. Raises CannotRecord, RequestConflict, psycopg.Error."""
    if cost.value_micro == 0:
        raise CannotRecord("expected an amount, got 0", field="amount")

    def work(cursor: Cursor, batch: Batch) -> list[str]:
        basis, dimension = _rule(cursor, company_id, cost)
        orders = valuation.orders_of(cursor, company_id, dimension, cost.key, ROWS_MAX + 1)
        receipts = valuation.receipts_of(cursor, company_id, dimension, cost.key, ROWS_MAX + 1)
        if bool(orders) == bool(receipts):
            found = "both" if orders else "neither"
            raise CannotRecord(
                f"expected receipts or open work orders of the {dimension} {cost.key!r}, got {found}",
                field=dimension,
            )
        if len(orders) + len(receipts) > ROWS_MAX:
            raise CannotRecord(f"the {dimension} {cost.key!r} has more than {ROWS_MAX} targets", field=dimension)
        reason = cost.reason or cost.cost_type
        if orders:
            events = _order_events(orders, cost, basis, paper, reason)
        else:
            named = receipts_named(cursor, company_id, receipts, paper)
            events = landed_events(named, cost.value_micro, basis, paper, reason)
        return book_rows(cursor, batch, request.key, events=events)

    return answer_once(connection, company_id, request, work)


def adopt_industry(connection: psycopg.Connection, company_id: int, industry: str) -> list[Rule]:
    """Write the rules that are common in an industry as the company's own. Raises UnknownIndustry, psycopg.Error."""
    made = [Rule(industry, rule.cost_type, rule.basis, rule.dimension) for rule in rules_of(industry)]
    with connection.transaction():
        for rule in made:
            valuation.put_rule(connection, company_id, rule)
    return made


def _rule(cursor: Cursor, company_id: int, cost: SharedCost) -> tuple[Basis, str]:
    if (cost.basis is None) != (cost.dimension is None):
        raise CannotRecord("expected a basis with its dimension, got only one of the two", field="by")
    if cost.basis is not None and cost.dimension is not None:
        return cost.basis, cost.dimension
    rule = valuation.rule_for(cursor, company_id, cost.cost_type, cost.industry)
    if rule is None:
        of = f" in industry {cost.industry!r}" if cost.industry else ""
        raise CannotRecord(f"no rule says how {cost.cost_type!r} is shared{of}", field="cost_type")
    return rule


def _order_events(
    orders: list[OrderInWork], cost: SharedCost, basis: Basis, paper: Paper, reason: str
) -> list[Event]:
    targets = [Target(one.planned_micro, max(one.value_micro, 0), one.weight_mg, one.volume_mm3) for one in orders]
    try:
        parts = share_by(basis, cost.value_micro, targets)
    except CannotShare as error:
        at = "" if error.target is None else f"work order {orders[error.target].code}: "
        raise CannotRecord(f"{at}{error.reason}", field="by") from error
    kind = Kind.LABOUR if cost.cost_type == LABOUR else Kind.OVERHEAD
    return [
        Event(
            kind,
            part,
            paper.occurred_us,
            item_id=order.item_id,
            location_id=order.location_id,
            dimension_id=order.dimension_id,
            document=paper.document or cost.key,
            party_id=paper.party_id,
            reason=reason,
        )
        for order, part in zip(orders, parts, strict=True)
        if part
    ]
