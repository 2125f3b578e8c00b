"""Assembly and repacking: goods become other goods in one request, at the same cost.

It is a work order that begins and ends at once, so that everything that holds for work orders holds for it: its parts'
later costs (an invoice, a late receipt) follow them into what was made of them. Three crates become twelve boxes, or
twelve boxes a pallet: several parts in, one item out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from cloud.domain.batch import Batch
from cloud.domain.movement import Kind
from cloud.flows.answer_once import Answered, CannotRecord, Request, answer_once, book_rows
from cloud.flows.declare import Declared
from cloud.flows.production import COMPONENTS_MAX, Issue, add_order, check_order, issue_move, start_move
from cloud.store import production
from cloud.store.production import NewOrder

Cursor = psycopg.Cursor


@dataclass(frozen=True, slots=True)
class Assembly:
    """What is made of what. order: its code, item, site and quantity; components are the parts themselves.

    lot_id  of what is made, 0 where its lots are not told apart
    """

    order: NewOrder
    parts: Sequence[Issue]
    to_id: int
    lot_id: int = 0


def assemble(
    connection: psycopg.Connection, company_id: int, assembly: Assembly, occurred_us: int, request: Request
) -> Answered:
    """Book the parts out and the output in, in one transaction. Raises CannotRecord, RequestConflict, psycopg.Error."""
    order = assembly.order
    check_order(order)
    if not 1 <= len(assembly.parts) <= COMPONENTS_MAX:
        raise CannotRecord(f"expected 1 … {COMPONENTS_MAX}, got {len(assembly.parts)}", field="rows")

    def work(cursor: Cursor, batch: Batch) -> list[str]:
        made = add_order(cursor, company_id, order)
        moves = [start_move(cursor, company_id, made, order.planned_micro, occurred_us)]
        for number, part in enumerate(assembly.parts):
            moves.append(issue_move(made, number, part, occurred_us))
        moves.append(
            Declared(
                Kind.PRODUCTION_RECEIPT, made.item_id, order.planned_micro, made.location_id, assembly.to_id,
                occurred_us, document=made.code, lot_id=assembly.lot_id,
            )
        )  # fmt: skip
        ids = book_rows(cursor, batch, request.key, moves, own_values={0: 0})
        production.close_order(cursor, company_id, made)
        return ids

    return answer_once(connection, company_id, request, work)
