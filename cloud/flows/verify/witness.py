"""Promise 3: what gateways were told of the chains' ends is in the chains.

Who can rewrite the whole database can make its chains anew, but not what others have heard of them. Each `applied`
tells a gateway the head of its lane; the gateway keeps it and says it again with every heartbeat, and an `applied` or
`status` may be kept anywhere else. A head of the database's present life that no batch of the lane has says that
batches were changed or are gone.
"""

from collections.abc import Iterator, Sequence

import psycopg

from cloud.flows.verify.check import Check
from cloud.store.sql import statement
from protocols.wire.applied import Applied


def check_witnesses(connection: psycopg.Connection, kept: Sequence[Applied] = ()) -> Iterator[Check]:
    """Heads in the gateways' newest heartbeats, and in messages that somebody kept, against the batches."""
    told = [
        (message.incarnation, epoch.epoch, epoch.head)
        for message in kept
        for epoch in message.epochs
        if epoch.head
    ]
    rows = connection.execute(
        statement("verify_witness", "heads"),
        {
            "incarnation": [row[0] for row in told],
            "epoch": [row[1] for row in told],
            "head": [row[2] for row in told],
        },
    ).fetchall()
    wrong = [f"{who} was told {head[:16]}…: no batch has it" for who, head, state in rows if state == "missing"]
    before = sum(state == "before" for _, _, state in rows)
    detail = f"first: {wrong[0]}" if wrong else f"{len(rows) - before} heads, {before} of lives before a restore"
    yield Check(3, "heads that gateways were told are in the chains", len(wrong), detail)
