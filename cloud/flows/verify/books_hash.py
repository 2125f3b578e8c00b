"""One number for what the books say: equal for two databases that booked the same logs, however these arrived.

SHA-256 over balances, layers, pools and, in the order of (company, gateway, place in its log), every movement's
resolved fields and what it cost in the end; then the value events. Everything is named by what it is (codes, account
numbers), nothing by an id of the database. Not covered, because they tell of the arrival and not of the goods: ids,
`recorded_at`, lanes and batches, the split into original and adjusting entries, posting dates, layer numbers, and
what pools remember of costs.

A gateway's epochs are random ids, one for each opening of its outbox. They enter by their order alone: a movement's
place is its number in the whole log of its gateway, the numbers of earlier epochs counted before it. Epochs are in
the order of what their first sightings claim (time, tag, gate), so two runs of one script compare although their
epochs differ, and also when one of them was interrupted and began another epoch. A movement that was made, taken
back when an earlier sighting arrived, and perhaps made again, is what stands of it in the end.

Movements and value events that people and programs made are named by the Idempotency-Key of their request and their
row in its answer.

PostgreSQL puts the rows in order, on disk where it must, and hands them out as text; memory here holds one of them.
"""

import hashlib
from collections.abc import Iterator

import psycopg

from cloud.store.sql import statement

# Changes when a section, a column or the order does: hashes of different formats are never compared.
FORMAT = b"tallygate books 1\n"
SECTIONS = ("balances", "pools", "layers", "movements", "value_events")


class NotAtRest(RuntimeError):
    """Pools wait for re-costing, so that costs are not final yet."""


def books_hash(connection: psycopg.Connection) -> str:
    """The hash over all companies, 64 hex digits, from one snapshot. Needs the right to read everything.

    Raises NotAtRest, psycopg.Error.
    """
    digest = hashlib.sha256(FORMAT)
    for line in books_lines(connection):
        digest.update(line)
    return digest.hexdigest()


def books_lines(connection: psycopg.Connection) -> Iterator[bytes]:
    """What is hashed, line by line, for whoever asks where two hashes part. Raises as books_hash does."""
    names = statement("books_hash", "names")
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        _check_at_rest(cursor)
        for section in SECTIONS:
            yield f"{section}\n".encode()
            with cursor.copy(statement("books_hash", section).format(names=names)) as rows:
                for row in rows:
                    yield bytes(row)


def _check_at_rest(cursor: psycopg.Cursor) -> None:
    waiting = cursor.execute(statement("books_hash", "waiting")).fetchall()
    if waiting:
        found = ", ".join(f"{count} of {company}" for company, count in waiting)
        raise NotAtRest(f"pools wait for re-costing: {found}; `tallygate jobs --once` brings them to rest")
