"""Promise 4: entries lie in the period they name, and a locked one is left alone."""

from collections.abc import Iterator

import psycopg

from cloud.flows.verify.check import Check, one_row


def check_periods(connection: psycopg.Connection) -> Iterator[Check]:
    """Dates against the calendar."""
    yield Check(4, "entries outside their period", one_row(connection, "verify_periods", "periods")[0])
    yield Check(4, "entries recorded after their period was locked", None, "lock times come with the period close")
