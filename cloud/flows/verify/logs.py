"""Promise 1: what the gateways and the callers were told stands on the books, once."""

from collections.abc import Iterator

import psycopg

from cloud.flows.verify.check import Check, one_row
from cloud.store.sql import statement


def check_logs(connection: psycopg.Connection) -> Iterator[Check]:
    """Numbers of the gateways' logs, movements promised to requests, named losses."""
    total = difference = 0
    wrong, stopped = [], []
    rows = connection.execute(statement("verify_logs", "logs"))
    for log, applied, numbers, twice, aside, lost, highest, why in rows:
        off = abs(applied - numbers - aside - lost) + twice + max(0, highest - applied)
        total += applied
        difference += off
        if off:
            wrong.append(
                f"{log}: applied {applied}, booked {numbers}, quarantined {aside}, lost {lost}, twice {twice}"
            )
        if why:
            stopped.append(f"{log} is stopped: {why}")
    yield Check(
        1, "numbers of the gateways' logs", difference, "; ".join([*wrong, *stopped]) or f"{total} numbers"
    )
    yield Check(1, "logs that nobody keeps account of", one_row(connection, "verify_logs", "logs_unknown")[0])
    yield Check(1, "movements promised to requests", one_row(connection, "verify_logs", "requests")[0])
    yield Check(1, "movements that stand twice", one_row(connection, "verify_logs", "twice")[0])
    losses = [row[0] for row in connection.execute(statement("verify_logs", "losses"))]
    yield Check(1, "named losses", 0, "; ".join(losses) or "none")
