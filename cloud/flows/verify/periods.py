"""Promise 4: entries lie in the period they name, and a locked one is left alone."""

from collections.abc import Iterator

import psycopg

from cloud.flows.verify.check import Check, one_row


def check_periods(connection: psycopg.Connection) -> Iterator[Check]:
    """Dates against the calendar, the calendar against its recorded changes, batches against the locks."""
    yield Check(4, "entries outside their period", one_row(connection, "verify_periods", "periods")[0])
    yield Check(
        4, "periods that are not where their changes led", one_row(connection, "verify_periods", "states")[0]
    )
    wrong, locked = one_row(connection, "verify_periods", "after_lock")
    yield Check(4, "entries recorded after their period was locked", wrong, f"{locked} locked periods")
