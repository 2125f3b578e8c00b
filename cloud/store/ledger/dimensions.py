"""Types and values of dimensions, and the sets made of them: rows ↔ values, nothing else."""

from collections.abc import Sequence
from datetime import date

import psycopg

from cloud.domain.ledger.dimensions import DimensionType, DimensionValue
from cloud.store.sql import statement

NOUN = "dimensions"
ALL = 2**31 - 1

Connection = psycopg.Connection


def types(connection: Connection, company_id: int) -> list[DimensionType]:
    """In the order in which they came."""
    rows = connection.execute(statement(NOUN, "types"), {"company": company_id})
    return [DimensionType(*row) for row in rows]


def values(
    connection: Connection,
    company_id: int,
    after: tuple[str, str] = ("", ""),
    limit: int = ALL,
    type_: str | None = None,
    valid_on: date | None = None,
) -> list[DimensionValue]:
    """Values by the codes of their types and themselves, from beyond `after`."""
    rows = connection.execute(
        statement(NOUN, "values"),
        {
            "company": company_id, "after_type": after[0], "after_code": after[1], "type": type_,
            "valid_on": valid_on, "limit": limit,
        },
    )  # fmt: skip
    return [DimensionValue(*row) for row in rows]


def find_value(connection: Connection, company_id: int, type_: str, code: str) -> DimensionValue | None:
    """The value, or None."""
    row = connection.execute(
        statement(NOUN, "one_value"), {"company": company_id, "type": type_, "code": code}
    ).fetchone()
    return None if row is None else DimensionValue(*row)


def put_types(connection: Connection, company_id: int, made: Sequence[DimensionType]) -> None:
    """Add types, or rename them."""
    named = {column: [getattr(one, column) for one in made] for column in ("code", "name_zh", "name_en")}
    connection.execute(statement(NOUN, "put_types"), {"company": company_id} | named)


def put_values(connection: Connection, company_id: int, made: Sequence[DimensionValue]) -> None:
    """Add values of types that are there, or give them other names and days."""
    columns = ("type", "code", "name", "valid_from", "valid_to")
    named = {column: [getattr(one, column) for one in made] for column in columns}
    connection.execute(statement(NOUN, "put_values"), {"company": company_id} | named)


def sets(
    connection: Connection,
    company_id: int,
    after: str,
    limit: int,
    type_: str | None = None,
    value: str | None = None,
) -> list[tuple[str, dict[str, str]]]:
    """Sets by code, each with its values by type; those that name a value of `type_`, or `value` of it."""
    rows = connection.execute(
        statement(NOUN, "sets"),
        {"company": company_id, "after": after, "limit": limit, "type": type_, "value": value},
    )
    return [(code, named) for code, named in rows]
