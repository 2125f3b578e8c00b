"""One seed: its script undisturbed, its script disturbed, and what must be the same.

The disturbances of a seed are drawn from it: what, whom, when, for how long. The moments are those of real time, so a
seed that fails once need not fail again at once; it is disturbed in the same way each time.
"""

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from standalone.child import ChildTrouble
from standalone.postgres import OWNER
from tests.chaos import books
from tests.chaos.house import LEASE_S, House, Server
from tests.chaos.script import GATEWAYS, LONGEST_US, script_of

PLAY_S = 4.0  # in which the disturbances begin
FOR_S = (0.2, 1.0, LEASE_S + 1)
REPLAYS = 3
RESTORED_ONE_IN = 4  # runs

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
    took_s: float = 0.0


def disturbances_of(seed: int) -> list[Disturbance]:
    """Three to six, in the order in which they begin."""
    chance = random.Random(f"disturb {seed}")
    found = [
        Disturbance(
            chance.uniform(0.5, PLAY_S), chance.choice(KINDS), chance.randrange(6), chance.choice(FOR_S)
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
    with _owner(server, undisturbed) as owner, _ingest(server, undisturbed) as ingest:
        company = books.set_up(owner)
        books.apply_undisturbed(owner, ingest, company, script)
        books.come_to_rest(ingest, company)
        expected = books.books(owner)
        outcome.wrong += [f"undisturbed: {wrong}" for wrong in books.wrongs(owner, script)]
    with _owner(server, disturbed) as owner:
        books.set_up(owner)
    with House(server, disturbed, script, folder) as house:
        house.start()
        _disturb(house, seed, outcome)
        house.all_well()
        house.await_applied(1)
        outcome.replayed = house.replay(REPLAYS, random.Random(f"replay {seed}"))
        house.end_scripts()
        house.await_applied(0)
    with _owner(server, disturbed) as owner, _ingest(server, disturbed) as ingest:
        books.come_to_rest(ingest, company)
        outcome.wrong += books.wrongs(owner, script)
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


def _owner(server: Server, database: str) -> psycopg.Connection:
    return psycopg.connect(server.postgres.dsn(database, OWNER), autocommit=True)


def _ingest(server: Server, database: str) -> psycopg.Connection:
    return psycopg.connect(server.postgres.dsn(database, "tallygate_ingest"), autocommit=True)


def _disturb(house: House, seed: int, outcome: Outcome) -> None:
    """Begin and end every disturbance at its moment; restore in the middle where the seed says so."""
    began_s = time.monotonic()
    plan: list[tuple[float, str, Callable[[], None]]] = []
    for one in disturbances_of(seed):
        begin, end = _acts(house, one)
        plan.append((one.at_s, str(one), begin))
        plan.append((one.at_s + one.for_s, "", end))
    if is_restored(seed):
        backup = house.server.backups.take(house.server.postgres, f"seed-{seed}")
        plan.append((PLAY_S / 2, "mark", lambda: marks.append(_mark(house, seed))))
        marks: list[Callable[[], object]] = []
        plan.append(
            (PLAY_S + 0.5, "restore the database to its mark", lambda: house.server.restore(backup, marks[0]))
        )
    for at_s, what, act in sorted(plan, key=lambda one: one[0]):
        time.sleep(max(0.0, began_s + at_s - time.monotonic()))
        if what:
            outcome.disturbed.append(what)
        with suppress(ChildTrouble, ProcessLookupError):  # dead already: nothing to kill or to wake
            act()


def _mark(house: House, seed: int) -> Callable[[], object]:
    """The moment to which the database will go back. The server may just be dead: then it is when it is back."""
    house.server.postgres.wait_until_ready()
    point = house.server.backups.mark(house.server.postgres, f"mark-{seed}")
    return lambda: point


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
