"""The peer of everything that writes: binary COPY of the same rows, same indexes, no triggers."""

import time
from collections.abc import Sequence

import psycopg
from psycopg import sql

_BLOCK = 1 << 20


def copy_rate(owner: psycopg.Connection, tables: Sequence[str], movements: int) -> float:
    """Movements a second when the rows of all these tables are only copied, into copies of the tables."""
    seconds = 0.0
    for table in tables:
        peer = f"copy_of_{table}"
        owner.execute(
            sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING DEFAULTS INCLUDING INDEXES)").format(
                sql.Identifier(peer), sql.Identifier(table)
            )
        )
        with owner.cursor().copy(
            sql.SQL("COPY (SELECT * FROM {}) TO STDOUT (FORMAT BINARY)").format(sql.Identifier(table))
        ) as out:
            rows = b"".join(bytes(block) for block in out)
        began = time.perf_counter()
        with owner.cursor().copy(
            sql.SQL("COPY {} FROM STDIN (FORMAT BINARY)").format(sql.Identifier(peer))
        ) as back:
            for at in range(0, len(rows), _BLOCK):
                back.write(rows[at : at + _BLOCK])
        seconds += time.perf_counter() - began
    return movements / seconds
