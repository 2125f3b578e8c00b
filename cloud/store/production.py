"""Work orders, their components and what has moved through them: rows ↔ values, nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass

import psycopg

from cloud.domain.movement import Kind
from cloud.store.sql import statement

NOUN = "production"


@dataclass(frozen=True, slots=True)
class WorkOrder:
    """A work order as its row says; its goods in work lie at a location of their own."""

    work_order_id: int
    code: str
    item_id: int
    location_id: int
    dimension_id: int
    planned_micro: int
    state: str
    site_id: int


@dataclass(frozen=True, slots=True)
class NewOrder:
    """What a new order says. components: {item_id: 10⁻⁶ stock units for one unit of the output}."""

    code: str
    item_id: int
    site_id: int
    planned_micro: int
    batch: str
    workshop: str
    components: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class ComponentRow:
    """A component: its standard for one unit of the output, what was used of it, its standard cost or None."""

    item_id: int
    code: str
    standard_qty: int
    used_qty: int
    standard_cost: int | None


@dataclass(frozen=True, slots=True)
class OrderRow:
    """A work order as a list shows it; value_micro is what stands in work."""

    code: str
    item: str
    site: str | None
    batch: str
    workshop: str
    state: str
    planned_micro: int
    received_micro: int
    value_micro: int


@dataclass(frozen=True, slots=True)
class UsedRow:
    """A component as an order's page shows it."""

    item: str
    standard_qty: int
    used_qty: int


def site_id(connection: psycopg.Connection, company_id: int, code: str) -> int | None:
    """The location_id of the site with this code."""
    row = connection.execute(statement(NOUN, "site"), {"company": company_id, "code": code}).fetchone()
    return None if row is None else row[0]


def place_of_production(cursor: psycopg.Cursor, company_id: int) -> int | None:
    """The company's location of kind production."""
    row = cursor.execute(statement(NOUN, "place_of_production"), {"company": company_id}).fetchone()
    return None if row is None else row[0]


def add_order(cursor: psycopg.Cursor, company_id: int, order: NewOrder, place_code: str) -> WorkOrder:
    """The order, its place, its dimension set, its components. Raises psycopg.errors.UniqueViolation."""
    where = {"company": company_id, "code": order.code}
    location = _id(
        cursor, "add_place", {"company": company_id, "code": place_code, "name": order.code, "site": order.site_id}
    )
    dimension = _id(cursor, "add_dimension", where | {"batch": order.batch, "workshop": order.workshop})
    number = _id(
        cursor,
        "add_order",
        where
        | {"item": order.item_id, "location": location, "dimension": dimension, "planned": order.planned_micro},
    )
    cursor.execute(
        statement(NOUN, "add_components"),
        {
            "company": company_id,
            "order": number,
            "item": list(order.components),
            "qty": list(order.components.values()),
        },
    )
    return WorkOrder(
        number, order.code, order.item_id, location, dimension, order.planned_micro, "open", order.site_id
    )


def lock_order(cursor: psycopg.Cursor, company_id: int, code: str) -> WorkOrder | None:
    """The order, held to the end of the transaction; None where there is none."""
    row = cursor.execute(statement(NOUN, "lock_order"), {"company": company_id, "code": code}).fetchone()
    return None if row is None else WorkOrder(*row)


def close_order(cursor: psycopg.Cursor, company_id: int, order: WorkOrder) -> None:
    """Mark it closed."""
    cursor.execute(statement(NOUN, "close_order"), {"company": company_id, "order": order.work_order_id})


def moved(cursor: psycopg.Cursor, company_id: int, order: WorkOrder) -> dict[Kind, int]:
    """How much of its output has moved so far, 10⁻⁶ stock units by kind."""
    rows = cursor.execute(
        statement(NOUN, "moved"), {"company": company_id, "item": order.item_id, "location": order.location_id}
    )
    return {Kind(kind): qty for kind, qty in rows}


def components(cursor: psycopg.Cursor, company_id: int, order: WorkOrder) -> list[ComponentRow]:
    """What it should use, what it used, and the standard costs of both."""
    rows = cursor.execute(
        statement(NOUN, "components"),
        {
            "company": company_id,
            "order": order.work_order_id,
            "location": order.location_id,
            "output": order.item_id,
            "site": order.site_id,
        },
    )
    return [ComponentRow(*row) for row in rows]


def orders(
    connection: psycopg.Connection,
    company_id: int,
    after: str,
    limit: int,
    state: str | None = None,
    one: str | None = None,
) -> list[OrderRow]:
    """A page of work orders by code."""
    rows = connection.execute(
        statement(NOUN, "orders"),
        {"company": company_id, "after": after, "limit": limit, "state": state, "one": one},
    )
    return [OrderRow(*row) for row in rows]


def order_components(connection: psycopg.Connection, company_id: int, code: str) -> list[UsedRow]:
    """An order's components by code."""
    rows = connection.execute(statement(NOUN, "order_components"), {"company": company_id, "code": code})
    return [UsedRow(*row) for row in rows]


def _id(cursor: psycopg.Cursor, name: str, values: Mapping[str, object]) -> int:
    row = cursor.execute(statement(NOUN, name), values).fetchone()
    assert row is not None  # noqa: S101  INSERT … RETURNING gives one
    return int(row[0])
