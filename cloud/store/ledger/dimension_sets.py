"""Sets of dimension values, found or made by the values they name: rows ↔ values, nothing else."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date

import psycopg

from cloud.store.sql import statement

NOUN = "dimension_sets"

Connection = psycopg.Connection | psycopg.Cursor


@dataclass(frozen=True, slots=True)
class DimensionValue:
    """A value of a type of dimension, and the days on which lines may name it."""

    type: str
    code: str
    type_id: int
    value_id: int
    valid_from: date
    valid_to: date


def values(
    connection: Connection, company_id: int, wanted: Collection[tuple[str, str]]
) -> dict[tuple[str, str], DimensionValue]:
    """Values by (type, code); unknown ones are absent."""
    named = {"types": [one[0] for one in wanted], "values": [one[1] for one in wanted]}
    rows = connection.execute(statement(NOUN, "values"), {"company": company_id} | named)
    return {(row[0], row[1]): DimensionValue(*row) for row in rows}


def find(connection: Connection, company_id: int, codes: Iterable[str]) -> dict[str, int]:
    """dimension_id by code, of sets that somebody named before."""
    rows = connection.execute(statement(NOUN, "find"), {"company": company_id, "codes": list(codes)})
    return dict(rows.fetchall())


def put(connection: Connection, company_id: int, code: str, named: Sequence[DimensionValue]) -> int:
    """The dimension_id of the set with this code, made of these values when nobody named it before."""
    row = connection.execute(statement(NOUN, "put"), {"company": company_id, "code": code}).fetchone()
    assert row is not None  # noqa: S101  INSERT … RETURNING gives one
    dimension: int = row[0]
    connection.execute(
        statement(NOUN, "fill"),
        {
            "company": company_id,
            "dimension": dimension,
            "types": [one.type_id for one in named],
            "values": [one.value_id for one in named],
        },
    )
    return dimension
