"""The ids behind codes, for those that a request names: rows ↔ values, nothing else."""

from collections.abc import Iterable
from dataclasses import dataclass

import psycopg

from cloud.store.sql import statement

NOUN = "codes"


@dataclass(frozen=True, slots=True)
class ItemCode:
    """An item's number, and how closely it is told apart."""

    item_id: int
    tracking: str
    method: str


def items(connection: psycopg.Connection, company_id: int, codes: Iterable[str]) -> dict[str, ItemCode]:
    """The items by code; unknown codes are absent."""
    values = {"company": company_id, "codes": list(codes)}
    rows = connection.execute(statement(NOUN, "items"), values)
    return {code: ItemCode(*rest) for code, *rest in rows}


def item_ids(connection: psycopg.Connection, company_id: int, codes: Iterable[str]) -> dict[str, int]:
    """item_id by code; unknown codes are absent."""
    return {code: item.item_id for code, item in items(connection, company_id, codes).items()}


def location_ids(connection: psycopg.Connection, company_id: int, codes: Iterable[str]) -> dict[str, int]:
    """location_id by code; unknown codes are absent."""
    values = {"company": company_id, "codes": list(codes)}
    return dict(connection.execute(statement(NOUN, "locations"), values).fetchall())


def party_ids(connection: psycopg.Connection, company_id: int, codes: Iterable[str]) -> dict[tuple[str, str], int]:
    """party_id by (kind, code); unknown codes are absent."""
    values = {"company": company_id, "codes": list(codes)}
    rows = connection.execute(statement(NOUN, "parties"), values)
    return {(kind, code): party_id for kind, code, party_id in rows}
