"""Promise 5: every line, cost and entry has what it stands on."""

from collections.abc import Iterator

import psycopg

from cloud.flows.verify.check import Check, one_row

_NAMED = {
    "lines_without_cost": "lines whose cost entry is missing or differs",
    "unposted_cost": "costs that stand on no line",
    "recosted": "re-costed differences that their entry does not carry",
    "lost_sources": "entries, costs and movements without their source",
    "links": "issues whose consumption does not add up",
}


def check_trace(connection: psycopg.Connection) -> Iterator[Check]:
    """References that no foreign key holds."""
    for query, name in _NAMED.items():
        yield Check(5, name, one_row(connection, "verify_trace", query)[0])
