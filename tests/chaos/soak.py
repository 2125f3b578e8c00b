"""`make soak`: workers, callers, jobs and a close on the same few pools and tags, for as long as told: no deadlock.

    make soak ARGS='--minutes 60 --seed 7'

Time is cut into rounds, each with a company of its own: what happens only to new items, pools and tags happens again
and again. Counted are the server's own deadlocks (pg_stat_database), what it ended with 40P01, 40001 or 55P03, and
how many sessions were seen to wait for a lock and how long; at the end of a round everything is re-costed, and every
promise of `tallygate verify` must hold. A round's seed draws what each party does; how they meet it does not.
"""

import argparse
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from cloud.flows.recost import recost_company
from cloud.flows.verify import verify
from cloud.store.migrate import SERVICE_ROLES, migrate
from standalone.postgres import OWNER, Postgres, find_binaries
from tests.chaos.soak_company import set_up
from tests.chaos.soak_parties import DEADLOCKS, Caller, Counts, Party, closer, jobs, registrar, worker

DATABASE = "soak"
WORKERS, CALLERS = 3, 3
ROUND_S = 120.0
SIGHTINGS = 60_000  # of a round at most
LOOK_S = 0.05  # between two looks at who waits
LONGEST = 4  # waits that are told of a round
END_S = 120.0  # what a party has left to do when it is told to stop
SERVER = {"deadlock_timeout": "200ms", "log_lock_waits": "on", "max_connections": "60"}


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything a round has."""

    seconds: float = ROUND_S
    workers: int = WORKERS
    callers: int = CALLERS
    sightings: int = SIGHTINGS


@dataclass(slots=True)
class Waits:
    """What was seen of waiting for locks: looks at which anybody waited, sessions by kind of lock, and of each party
    and kind the longest."""

    looks: int = 0
    waiting: Counter[str] = field(default_factory=Counter)
    longest_s: dict[tuple[str, str], float] = field(default_factory=dict)


@dataclass(slots=True)
class Outcome:
    """What a round came to. deadlocks: as the server counts them; broken: promises that do not hold."""

    seed: int
    counts: Counts
    waits: Waits
    deadlocks: int
    broken: list[str]

    @property
    def is_well(self) -> bool:
        ended = sum(self.counts.states[state] for state in DEADLOCKS)
        return not (self.deadlocks or ended or self.broken or self.counts.wrong)

    def lines(self) -> list[str]:
        """For whoever reads it."""
        done = ", ".join(f"{count} {name}" for name, count in sorted(self.counts.done.items()))
        waited = ", ".join(f"{count} {name}" for name, count in self.waits.waiting.most_common())
        longest = sorted(self.waits.longest_s.items(), key=lambda one: -one[1])[:LONGEST]
        longest_said = ", ".join(f"{party} {seconds:.2f} s for {kind}" for (party, kind), seconds in longest)
        return [
            f"seed {self.seed}: {'well' if self.is_well else 'NOT WELL'}: {self.deadlocks} deadlocks,"
            f" ended by the database {dict(self.counts.states)}",
            f"    done: {done}",
            f"    refused: {dict(self.counts.refused)}",
            f"    waits seen in {self.waits.looks} looks: {waited or 'none'}; longest: {longest_said}",
            *(f"    said: {one}" for one in self.counts.said),
            *(f"    wrong: {one}" for one in self.counts.wrong[:5]),
            *(f"    broken: {one}" for one in self.broken),
        ]


def run_round(dsn_of: Callable[[str], str], seed: int, size: Size) -> Outcome:
    """One round in a database that is there, migrated. dsn_of: a role's connection string. Raises psycopg.Error."""
    stop = threading.Event()
    with psycopg.connect(dsn_of(OWNER), autocommit=True) as owner:
        company = set_up(owner, f"soak-{seed}", size.workers)
        before = _deadlocks(owner)
        ingest, api = dsn_of("tallygate_ingest"), dsn_of("tallygate_api")
        parties = [
            *(
                Party(
                    f"worker-{n}", ingest, stop, worker(company, n, _chance(seed, f"worker-{n}"), size.sightings)
                )
                for n in range(size.workers)
            ),
            *(
                Party(f"caller-{n}", api, stop, Caller(company, f"caller-{n}", _chance(seed, f"caller-{n}")).steps)
                for n in range(size.callers)
            ),
            *(Party(f"jobs-{n}", ingest, stop, jobs(company, _chance(seed, f"jobs-{n}"))) for n in range(2)),
            Party("closer", api, stop, closer(company, _chance(seed, "closer"), stop)),
            Party("registrar", api, stop, registrar(company, _chance(seed, "registrar"), stop)),
        ]
        for party in parties:
            party.start()
        waits = _watch(owner, parties[: size.workers], time.monotonic() + size.seconds)
        stop.set()
        counts = Counts()
        for party in parties:
            party.join(END_S)
            if party.is_alive():
                counts.wrong.append(f"{party.name} did not end within {END_S:g} s")
            counts.add(party.counts)
        with psycopg.connect(ingest, autocommit=True) as connection:
            broken: list[str] = []
            recost_company(
                connection,
                company.company_id,
                "soak",
                wait=True,
                on_failure=lambda _, why: broken.append(str(why)),
            )
        broken += [f"{check.name}: {check.detail}" for check in verify(owner) if not check.holds]
        return Outcome(seed, counts, waits, _deadlocks(owner) - before, broken)


def _chance(seed: int, name: str) -> random.Random:
    return random.Random(f"{seed}/{name}")


def _deadlocks(owner: psycopg.Connection) -> int:
    row = owner.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone()
    return int(row[0]) if row else 0


def _watch(owner: psycopg.Connection, workers: list[Party], deadline_s: float) -> Waits:
    """Look who waits until the time is over or the workers have written all that they may."""
    waits = Waits()
    while time.monotonic() < deadline_s and any(one.is_alive() for one in workers):
        rows = owner.execute(
            "SELECT a.application_name, l.locktype, extract(epoch FROM clock_timestamp() - l.waitstart)::float"
            " FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
            " WHERE NOT l.granted AND a.datname = current_database()"
        ).fetchall()
        waits.looks += bool(rows)
        for party, kind, waited_s in rows:
            waits.waiting[kind] += 1
            waits.longest_s[party, kind] = max(waits.longest_s.get((party, kind), 0.0), waited_s or 0.0)
        time.sleep(LOOK_S)
    return waits


def main(argv: list[str] | None = None) -> int:
    """Exit status 1 when a round was not well."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="how long (10)")
    parser.add_argument("--seed", type=int, default=1, help="of the first round; the next has the next (1)")
    parser.add_argument(
        "--round", type=float, default=ROUND_S, metavar="SECONDS", help=f"of one round ({ROUND_S:g})"
    )
    arguments = parser.parse_args(argv)
    end_s = time.monotonic() + 60 * arguments.minutes
    total, rounds, unwell, deadlocks = Counts(), 0, [], 0
    with tempfile.TemporaryDirectory(prefix="tallygate-soak-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        server = Postgres(folder, find_binaries(), settings=SERVER)
        server.start()
        try:
            print(f"soak on {server.binaries}, seeds from {arguments.seed} on", flush=True)
            _prepare(server)
            while (left_s := end_s - time.monotonic()) > 0:
                size = Size(min(arguments.round, left_s))
                seed = arguments.seed + rounds
                outcome = run_round(lambda role: server.dsn(DATABASE, role), seed, size)
                print("\n".join(outcome.lines()), flush=True)
                rounds += 1
                total.add(outcome.counts)
                deadlocks += outcome.deadlocks
                unwell += [] if outcome.is_well else [seed]
        finally:
            server.stop()
            server.remove()
    ended = {state: total.states[state] for state in DEADLOCKS}
    print(f"{rounds} rounds, {total.done['sightings']} sightings, {deadlocks} deadlocks, ended: {ended}")
    for seed in unwell:
        print(f"not well; again: make soak ARGS='--seed {seed} --minutes {arguments.round / 60:g}'")
    return 1 if unwell else 0


def _prepare(server: Postgres) -> None:
    server.ensure_login(OWNER, owns_schema=True)
    server.ensure_database(DATABASE, OWNER)
    migrate(server.dsn(DATABASE, OWNER))
    for role in SERVICE_ROLES:
        server.ensure_login(role)


if __name__ == "__main__":
    sys.exit(main())
