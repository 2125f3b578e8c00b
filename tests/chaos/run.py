"""One seed: its script undisturbed, its script disturbed, and what must be the same.

The disturbances of a seed are drawn from it: what, whom, when, for how long. The moments are those of real time, so a
seed that fails once need not fail again at once; it is disturbed in the same way each time.
"""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from cloud.store.sql import statement
from standalone.backups import BaseBackup, RestorePoint
from standalone.child import ChildTrouble
from standalone.postgres import OWNER
from tests.chaos import books
from tests.chaos.house import LEASE_S, PLAY_S, WAIT_S, House, NotInTime, Server, await_that
from tests.chaos.script import GATEWAYS, LONGEST_US, Script, script_of

FOR_S = (0.2, 1.0, LEASE_S + 1)
REPLAYS = 3
RESTORED_ONE_IN = 4  # runs
MARK_S, RESTORE_S = 0.4 * PLAY_S, 0.8 * PLAY_S
PROGRESS_S = 2.0  # for which a restore waits until there is something to lose, while parts may be dead

KINDS = (
    "kill a gateway", "kill a worker", "kill the broker", "kill the database", "pause a gateway", "pause a worker",
    "pause the broker", "cut a gateway off", "cut the workers from the broker", "cut the workers from the database",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Disturbance:
    """at_s: since the start; for_s: until it is over; who: which of several."""

    at_s: float
    kind: str
    who: int
    for_s: float

    def __str__(self) -> str:
        return f"{self.at_s:.1f} s: {self.kind} ({self.who}) for {self.for_s:.1f} s"


@dataclass(slots=True)
class Outcome:
    """What came of a seed: nothing in `wrong` when all is as it must be."""

    seed: int
    disturbed: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    replayed: int = 0
    incarnation: int = 0  # before a restore
    lost: int = 0  # numbers that had been applied and were not any more behind it
    took_s: float = 0.0


def disturbances_of(seed: int) -> list[Disturbance]:
    """Three to six, in the order in which they begin."""
    chance = random.Random(f"disturb {seed}")
    found = [
        Disturbance(
            chance.uniform(0.2, PLAY_S), chance.choice(KINDS), chance.randrange(6), chance.choice(FOR_S)
        )
        for _ in range(chance.randint(3, 6))
    ]  # fmt: skip
    return sorted(found, key=lambda one: one.at_s)


def is_restored(seed: int) -> bool:
    """Whether the database of this seed is restored to an earlier moment on its way."""
    return seed % RESTORED_ONE_IN == 0


def run_seed(server: Server, seed: int, folder: Path) -> Outcome:
    """Run it both ways and compare. Raises NotInTime."""
    began_s = time.monotonic()
    outcome = Outcome(seed)
    script = script_of(seed, time.time_ns() // 1000 - LONGEST_US - 3_600_000_000)
    undisturbed, disturbed = server.fresh_database(), server.fresh_database()
    with _owner(server, disturbed) as owner:
        company = books.set_up(owner)
    with House(server, disturbed, script, folder) as house, ThreadPoolExecutor(1) as beside:
        plan = beside.submit(_plan, house, seed, outcome)  # a base backup takes its time
        house.start_workers()
        expected = _undisturbed(server, undisturbed, script, outcome)
        steps = plan.result(WAIT_S)
        house.start_gateways()
        _follow(steps, outcome)
        house.all_well()
        house.await_applied(1)
        outcome.replayed = house.replay(REPLAYS, random.Random(f"replay {seed}"))
        house.end_scripts()
        house.await_applied(0)
    with _owner(server, disturbed) as owner, _ingest(server, disturbed) as ingest:
        books.come_to_rest(ingest, company)
        outcome.wrong += books.wrongs(owner, script)
        if is_restored(seed):
            outcome.wrong += _wrong_restore(owner, outcome)
        got = books.books(owner)
        if got != expected:
            outcome.wrong.append(f"books: expected {expected}, got {got}")
            with _owner(server, undisturbed) as other:
                outcome.wrong += list(books.parted(other, owner))[:20]
    if not outcome.wrong:
        server.drop(undisturbed)
        server.drop(disturbed)
    outcome.took_s = time.monotonic() - began_s
    return outcome


def _undisturbed(server: Server, database: str, script: Script, outcome: Outcome) -> str:
    """The hash of the books when nothing happens."""
    with _owner(server, database) as owner, _ingest(server, database) as ingest:
        company = books.set_up(owner)
        books.apply_undisturbed(owner, ingest, company, script)
        books.come_to_rest(ingest, company)
        outcome.wrong += [f"undisturbed: {wrong}" for wrong in books.wrongs(owner, script)]
        return books.books(owner)


def _wrong_restore(owner: psycopg.Connection, outcome: Outcome) -> Iterator[str]:
    if (now := _incarnation(owner)) <= outcome.incarnation:
        yield f"incarnation: expected more than {outcome.incarnation} after a restore, got {now}"
    if outcome.lost <= 0:
        yield "a restore that lost nothing tries nothing"


def _owner(server: Server, database: str) -> psycopg.Connection:
    return psycopg.connect(server.postgres.dsn(database, OWNER), autocommit=True)


def _ingest(server: Server, database: str) -> psycopg.Connection:
    return psycopg.connect(server.postgres.dsn(database, "tallygate_ingest"), autocommit=True)


def _plan(house: House, seed: int, outcome: Outcome) -> list[tuple[float, str, Callable[[], None]]]:
    """Beginning and end of every disturbance, each with its moment and what to say of it."""
    plan: list[tuple[float, str, Callable[[], None]]] = []
    for one in disturbances_of(seed):
        begin, end = _acts(house, one)
        plan.append((one.at_s, str(one), begin))
        plan.append((one.at_s + one.for_s, "", end))
    if is_restored(seed):
        back = _WayBack(house, outcome, house.server.backups.take(house.server.postgres, f"seed-{seed}"))
        plan += [(MARK_S, "mark", back.mark), (RESTORE_S, "restore the database to its mark", back.go)]
    return sorted(plan, key=lambda step: step[0])


def _follow(plan: list[tuple[float, str, Callable[[], None]]], outcome: Outcome) -> None:
    began_s = time.monotonic()
    for at_s, what, act in plan:
        time.sleep(max(0.0, began_s + at_s - time.monotonic()))
        if what:
            outcome.disturbed.append(what)
        with suppress(ChildTrouble, ProcessLookupError):  # dead already: nothing to kill or to wake
            act()


@dataclass(slots=True)
class _WayBack:
    """A base backup, later a mark in the WAL behind it, later yet the way back to that mark."""

    house: House
    outcome: Outcome
    backup: BaseBackup
    point: RestorePoint | None = None
    applied: int = 0

    def mark(self) -> None:
        """The moment to which the database will go back. The server may just be dead: then it is when it is back."""
        server = self.house.server
        server.postgres.wait_until_ready()
        self.applied = self._applied()
        self.point = server.backups.mark(server.postgres, f"mark-{self.outcome.seed}")

    def go(self) -> None:
        """Go back when something has been applied since, that is lost and has to be sent again. Raises NotInTime."""
        try:
            await_that(self._has_more, "something to lose", PROGRESS_S)
        except NotInTime:
            self.house.all_well()
            await_that(self._has_more, "something to lose")
        with self.house.owner() as owner:
            self.outcome.incarnation = _incarnation(owner)
        before = self._applied()
        assert self.point is not None
        self.house.server.restore(self.backup, self.point)
        self.outcome.lost = before - self._applied()
        self.outcome.disturbed.append(f"{self.outcome.lost} of {before} numbers lost by it")

    def _has_more(self) -> bool:
        with suppress(psycopg.OperationalError):
            return self._applied() > self.applied
        return False

    def _applied(self) -> int:
        return sum(self.house.applied().values())


def _incarnation(owner: psycopg.Connection) -> int:
    """The life that the workers know; 0 before the first of them has begun."""
    found = owner.execute(statement("ingest", "incarnation")).fetchone()
    return 0 if found is None else int(found[0])


def _acts(house: House, one: Disturbance) -> tuple[Callable[[], None], Callable[[], None]]:
    """How a disturbance begins and how it ends."""
    gateway = house.gateways[one.who % GATEWAYS]
    worker = house.workers[one.who % len(house.workers)]
    ways = {
        "cut a gateway off": house.gateway_ways[one.who % GATEWAYS],
        "cut the workers from the broker": house.worker_broker,
        "cut the workers from the database": house.worker_database,
    }
    match one.kind:
        case "kill a gateway":
            return lambda: gateway.end(signal.SIGKILL), gateway.ensure_running
        case "kill a worker":
            return lambda: worker.end(signal.SIGKILL), worker.ensure_running
        case "kill the broker":  # it keeps nothing: what it had retained is gone
            return lambda: os.kill(house.broker.pid, signal.SIGKILL), house.broker.wait_until_ready
        case "kill the database":
            return house.server.kill, house.server.postgres.wait_until_ready
        case "pause a gateway":
            return lambda: gateway.send(signal.SIGSTOP), lambda: gateway.send(signal.SIGCONT)
        case "pause a worker":
            return lambda: worker.send(signal.SIGSTOP), lambda: worker.send(signal.SIGCONT)
        case "pause the broker":
            return (
                lambda: os.kill(house.broker.pid, signal.SIGSTOP),
                lambda: os.kill(house.broker.pid, signal.SIGCONT),
            )
        case _:
            way = ways[one.kind]
            return way.cut, way.heal
