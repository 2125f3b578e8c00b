"""Which life of the database this is: a restore begins a new one, and the gateways are told.

A recovery to a moment starts a new timeline, a restored dump lies in another cluster or database; both are
noticed when a worker starts. A copy of the data folder put back by hand cannot be told from the original:
`tallygate restored` says it.
"""

import psycopg

from cloud.store.sql import statement


def current_incarnation(connection: psycopg.Connection) -> int:
    """The number of this life, begun now if the cluster is another than last time. Raises psycopg.Error."""
    with connection.transaction():
        found = connection.execute(statement("ingest", "incarnation")).fetchone()
        cluster = _cluster(connection)
        if found is None:
            return _begin(connection, 1, cluster, "first start")
        number, known = found
        if known == cluster:
            return number
        return _begin(connection, max(number + 1, _timeline(cluster)), cluster, f"cluster was {known}")


def begin_incarnation(connection: psycopg.Connection, reason: str) -> int:
    """Begin a new life by a person's word. Raises psycopg.Error."""
    with connection.transaction():
        found = connection.execute(statement("ingest", "incarnation")).fetchone()
        return _begin(connection, 1 if found is None else found[0] + 1, _cluster(connection), reason)


def _cluster(connection: psycopg.Connection) -> str:
    row = connection.execute(statement("ingest", "cluster")).fetchone()
    assert row is not None  # noqa: S101  a SELECT without FROM has one row
    return row[0]


def _timeline(cluster: str) -> int:
    """What of the cluster's name grows with every recovery, also of those that a restored table does not know of:
    two restores of one backup are two lives."""
    return int(cluster.split("/")[1])


def _begin(connection: psycopg.Connection, number: int, cluster: str, reason: str) -> int:
    connection.execute(statement("ingest", "hold_incarnations"))
    connection.execute(
        statement("ingest", "add_incarnation"), {"incarnation": number, "cluster": cluster, "reason": reason}
    )
    return number
