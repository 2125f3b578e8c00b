"""Promise 2: balance snapshots against the movements that they hold."""

from collections.abc import Iterator

import psycopg

from cloud.flows.verify.check import Check, one_row

NAME = "balance snapshots = sum of movements until their moment (10⁻⁶ units)"


def check_snapshots(connection: psycopg.Connection) -> Iterator[Check]:
    """What they hold, how they part it, and what they say lay where."""
    wrong = sum(
        int(one_row(connection, "verify_snapshots", query)[0]) for query in ("marks", "stretches", "strays")
    )
    yield Check(2, "stretches and marks of balance snapshots", wrong)
    count, difference = one_row(connection, "verify_snapshots", "balances")
    yield Check(2, NAME, int(difference), f"{count} wrong" if count else "")
