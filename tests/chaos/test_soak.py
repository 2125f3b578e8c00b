"""Some seconds of `make soak`, and that it would see a deadlock."""

import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.chaos.soak import Counts, Outcome, Size, Waits, run_round
from tests.chaos.soak_parties import Party

SIZE = Size(seconds=7.0, workers=2, callers=2, sightings=1_000)


@pytest.mark.slow
def test_nobody_waits_in_a_circle(database: Any) -> None:
    """Workers, callers, jobs and a close on the same items: no deadlock, and every promise holds."""

    def dsn_of(role: str) -> str:
        return database.dsn_of(role)  # type: ignore[no-any-return]

    outcome = run_round(dsn_of, 1, SIZE)
    print(*outcome.lines(), sep="\n")
    assert outcome.is_well, "\n".join(outcome.lines())
    assert outcome.counts.done["batch"] > 0
    assert outcome.counts.done["declare"] > 0
    assert outcome.counts.done["re-cost"] > 0
    assert outcome.counts.done["soft-close"] > 0


def test_a_deadlock_is_counted_and_said(database: Any) -> None:
    """given two who lock two things in different order; then one of them is ended, and the round is not well."""
    first_held = threading.Barrier(2, timeout=30)

    def locks(*keys: int) -> Any:
        def steps(party: Party) -> Iterator[str]:
            def both() -> None:
                with party.connection.transaction():
                    party.connection.execute("SELECT pg_advisory_xact_lock(%s)", keys[:1])
                    first_held.wait()
                    party.connection.execute("SELECT pg_advisory_xact_lock(%s)", keys[1:])

            party.attempt("both", both)
            yield "both"

        return steps

    stop = threading.Event()
    parties = [Party(f"{keys}", database.owner_dsn, stop, locks(*keys)) for keys in ((1, 2), (2, 1))]
    counts = Counts()
    for party in parties:
        party.start()
    for party in parties:
        party.join(30)
        counts.add(party.counts)
    assert counts.done == {"both": 1}
    assert counts.states == {"40P01": 1}
    outcome = Outcome(1, counts, Waits(), 0, [])
    assert not outcome.is_well
    assert "deadlock detected" in "\n".join(outcome.lines())
    with psycopg.connect(database.owner_dsn) as owner:
        row = owner.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone()
    assert row == (1,)
