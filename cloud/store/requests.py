"""Requests that were answered before: a key, the digest of what was asked, and the first answer."""

import json
from typing import Any

import psycopg

from cloud.store.sql import statement


def take_key(connection: psycopg.Connection, company_id: int, key: str) -> tuple[bytes, Any] | None:
    """Hold the key to the end of the transaction; (digest, answer) where it was answered before, else None."""
    where = {"company": company_id, "key": key}
    connection.execute(statement("requests", "lock_key"), where)
    row = connection.execute(statement("requests", "answer"), where).fetchone()
    return None if row is None else (bytes(row[0]), row[1])


def record_answer(connection: psycopg.Connection, company_id: int, key: str, digest: bytes, answer: Any) -> None:
    """Write the answer in the transaction of its effects."""
    connection.execute(
        statement("requests", "record"),
        {"company": company_id, "key": key, "digest": digest, "answer": json.dumps(answer)},
    )
