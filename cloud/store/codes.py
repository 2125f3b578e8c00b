"""The ids behind codes, for those that a request names: rows ↔ values, nothing else."""

from collections.abc import Iterable

import psycopg

from cloud.store.sql import statement

NOUN = "codes"


def item_ids(connection: psycopg.Connection, company_id: int, codes: Iterable[str]) -> dict[str, int]:
    """item_id by code; unknown codes are absent."""
    values = {"company": company_id, "codes": list(codes)}
    return dict(connection.execute(statement(NOUN, "items"), values).fetchall())


def location_ids(connection: psycopg.Connection, company_id: int, codes: Iterable[str]) -> dict[str, int]:
    """location_id by code; unknown codes are absent."""
    values = {"company": company_id, "codes": list(codes)}
    return dict(connection.execute(statement(NOUN, "locations"), values).fetchall())


def party_ids(connection: psycopg.Connection, company_id: int, codes: Iterable[str]) -> dict[tuple[str, str], int]:
    """party_id by (kind, code); unknown codes are absent."""
    values = {"company": company_id, "codes": list(codes)}
    rows = connection.execute(statement(NOUN, "parties"), values)
    return {(kind, code): party_id for kind, code, party_id in rows}
