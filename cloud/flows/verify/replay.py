"""Promise 6: the recorded log makes the same books again."""

from collections.abc import Iterator

import psycopg

from cloud.flows.replay_costs import replay_costs
from cloud.flows.verify.check import Check, one_row


def check_replay(connection: psycopg.Connection) -> Iterator[Check]:
    """Costs of a run in the world's order against those that stand."""
    yield Check(6, "replay of the recorded log", None, "comes with `tallygate replay`")
    late = one_row(connection, "verify_replay", "late_pools")[0]
    yield Check(6, "pools that wait for re-costing", 0, f"{late} marked late" if late else "none")
    replayed = list(replay_costs(connection))
    wrong = [f"{one.company}: {one.first}" for one in replayed if one.wrong]
    rows = sum(one.rows for one in replayed if not one.waits)
    at_rest = sum(not one.waits for one in replayed)
    yield Check(
        6, "costs of a run in the world's order, for components at rest", sum(one.wrong for one in replayed),
        f"first: {wrong[0]}" if wrong else f"{rows} records in {at_rest} of {len(replayed)} components",
    )  # fmt: skip
