"""One batch at a time for each tag.

A row lock is kept on the row itself: twenty thousand of them take no room in the server's lock table, where one
advisory lock a tag would end in `out of shared memory`, and a few for all tags would let no two batches go on
side by side.
"""

from collections.abc import Sequence

import psycopg

from cloud.store.arrays import Texts
from cloud.store.sql import statement

Placed = tuple[str, int, int, int]  # EPC, area_id, location_id, occurred_us


def lock_tags(cursor: psycopg.Cursor, company_id: int, epcs: Sequence[str]) -> list[Placed]:
    """Lock these tags until the transaction ends, and say where those are that have a place. Raises psycopg.Error.

    To be called before anything else is read of the tags: their items, what is known of them, where they are.
    """
    where = {"company": company_id, "epcs": Texts(epcs)}
    cursor.execute(statement("observed", "lock_new_tags"), where)
    cursor.execute(statement("observed", "lock_unplaced"), where)
    return cursor.execute(statement("observed", "lock_places"), where).fetchall()
