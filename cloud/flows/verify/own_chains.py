"""Promise 3: small append-only tables, each with a chain of its own that its trigger carries on.

A row's digest is SHA-256 over the digest before it and the row as JSON, worked out here and not by the function of
the database that made it. Rows are streamed in the order of the chain; one is held at a time.
"""

import hashlib
from collections.abc import Iterator

import psycopg
from psycopg import sql

from cloud.flows.verify.check import Check
from cloud.store.sql import statement

CHAINED = (
    "exchange_rates", "period_events", "close_reports", "quarantine", "quarantine_resolutions", "log_losses",
    "incarnations",
)  # fmt: skip

_NO_LINK = bytes(32)


def check_own_chains(connection: psycopg.Connection) -> Iterator[Check]:
    """Every table's chain from its first link to its head."""
    connection.execute(statement("verify_own_chains", "settings"))
    heads = {
        name: (number, head) for name, number, head in connection.execute(statement("verify_own_chains", "heads"))
    }
    wrong = [f"head of {name}, which has no chain" for name in heads if name not in CHAINED]
    links = 0
    for table in CHAINED:
        length, found = _walk(connection, table, *heads.get(table, (0, _NO_LINK)))
        links += length
        wrong += found
    detail = f"first: {wrong[0]}" if wrong else f"{links} links in {len(CHAINED)} tables"
    yield Check(3, "chains of the small tables", len(wrong), detail)


def _walk(connection: psycopg.Connection, table: str, last: int, head: bytes) -> tuple[int, list[str]]:
    """How many links a table has, and what is wrong with them. last, head: where its chain should end."""
    before, link, count = 0, _NO_LINK, 0
    wrong: list[str] = []
    query = statement("verify_own_chains", "links").format(table=sql.Identifier(table))
    with connection.cursor(name=f"links_of_{table}") as rows:
        for number, digest, content in rows.execute(query):
            count += 1
            if number != before + 1:
                wrong.append(f"{table} link {before + 1}, which is missing")
            elif digest != hashlib.sha256(link + content.encode()).digest():
                wrong.append(f"{table} link {number}: {content if len(content) < 200 else content[:200] + '…'}")
            before, link = number, digest
    if before < last:
        wrong.append(f"{table} link {before + 1}, which is missing")
    elif before > last:
        wrong.append(f"{table} link {last + 1}, which is behind its chain's end")
    elif link != head:
        wrong.append(f"{table} link {last}: the chain's end is another")
    return count, wrong
