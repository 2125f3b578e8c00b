"""Re-costing: what marked pools should have cost, from the log in the order of the world, and the difference
posted as adjusting entries.

A component is read from its newest snapshot before the late event without any lock, and run; then its pools are
locked, and when nothing was booked meanwhile the difference is written, else it is read again. Everything posted
before stays as it is. Promise 2 holds in the commit that adjusts, as in any other.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import psycopg

from cloud.domain.batch import Company
from cloud.domain.costing.pools import CannotCost
from cloud.flows.post_adjustments import BooksDisagree, post_adjustments
from cloud.flows.recost_component import Component, Outcome, read_component, run_component
from cloud.store import recosting
from cloud.store.batches import close_batch, load_company, open_batch
from cloud.store.journal import hold_calendar
from cloud.store.sql import statement

Cursor = psycopg.Cursor
NONE = -1

SNAPSHOT_EVERY = 10_000  # movements of a component: some ten milliseconds to cost, and a thousand layers to keep
# How often a component is read without locks before it is read under them: hot pools never stand still.
ATTEMPTS = 3
LOCKED_ATTEMPTS = 10  # an item has few pools: behind the locks of all, another one is soon not made any more


@dataclass(slots=True)
class Recosted:
    """What one re-costing did. rows_read: movements and value events that it looked at."""

    company_id: int
    items: list[int]
    from_us: int
    rows_read: int = 0
    adjusted: int = 0
    cuts: int = 0
    attempts: int = 1


@dataclass(slots=True)
class Found:
    """All re-costings of a call; busy: another program is at it."""

    done: list[Recosted] = field(default_factory=list)
    busy: bool = False
    failed: int = 0


def recost_company(
    connection: psycopg.Connection, company_id: int, worker: str, *, every: int = SNAPSHOT_EVERY, wait: bool = False,
    spare: Callable[[Sequence[int]], bool] = lambda _: False,
    on_failure: Callable[[Sequence[int], Exception], None] | None = None,
) -> Found:  # fmt: skip
    """Re-cost every marked component of a company, one transaction each.

    wait   for another program that is at it, instead of leaving it the work
    spare  whether a component (its items) is left for later
    on_failure  told of a component that cannot be re-costed, and the others go on; None: it is raised
    Raises BooksDisagree, CannotCost, psycopg.Error.
    """
    found = Found()
    with _alone(connection, company_id, wait) as alone:
        if not alone:
            found.busy = True
            return found
        passed: set[int] = set()
        while (item := _next_marked(connection, company_id, passed)) is not None:
            items = _component_of(connection, company_id, item)
            passed |= {item, *items}
            if spare(items):
                continue
            try:
                one = recost_component(connection, company_id, [item], worker, every=every)
            except (BooksDisagree, CannotCost) as error:
                if on_failure is None:
                    raise
                on_failure(items, error)
                found.failed += 1
                continue
            if one is not None:
                found.done.append(one)
    return found


def recost_items(
    connection: psycopg.Connection, company_id: int, items: Sequence[int], worker: str, *, every: int = SNAPSHOT_EVERY,
    day_not_before: int | None = None,
) -> Found:  # fmt: skip
    """Re-cost the marked components of these items, waiting for another program that is at it.

    day_not_before  as in recost_component. Raises BooksDisagree, psycopg.Error.
    """
    found = Found()
    with _alone(connection, company_id, wait=True):
        passed: set[int] = set()
        for item in items:
            if item in passed:
                continue
            one = recost_component(
                connection, company_id, [item], worker, every=every, day_not_before=day_not_before
            )
            if one is not None:
                passed |= set(one.items)
                found.done.append(one)
    return found


@contextmanager
def _alone(connection: psycopg.Connection, company_id: int, wait: bool) -> Iterator[bool]:
    where = {"company": company_id}
    row = connection.execute(statement("recost", "begin" if wait else "try_to_begin"), where).fetchone()
    alone = wait or bool(row and row[0])
    try:
        yield alone
    finally:
        if alone and not connection.broken and not connection.closed:
            connection.execute(statement("recost", "end"), where)


def _next_marked(connection: psycopg.Connection, company_id: int, passed: set[int]) -> int | None:
    rows = connection.execute(statement("recost", "marked"), {"company": company_id}).fetchall()
    return next((row[1] for row in rows if row[1] not in passed), None)


def _component_of(connection: psycopg.Connection, company_id: int, item: int) -> list[int]:
    with connection.cursor() as cursor:
        return recosting.joined_items(cursor, company_id, [item])


def recost_component(
    connection: psycopg.Connection, company_id: int, items: Sequence[int], worker: str, *,
    every: int = SNAPSHOT_EVERY, from_us: int | None = None, day_not_before: int | None = None,
) -> Recosted | None:  # fmt: skip
    """Re-cost the pools of these items and of all that share costs with them; None where nothing waits.

    from_us         from here on even where no pool is marked
    day_not_before  differences on earlier days are dated to this one (a period's settlement, its last day)
    Raises BooksDisagree, psycopg.Error.
    """
    rows_read = 0
    for attempt in range(1, ATTEMPTS + LOCKED_ATTEMPTS):
        seen: tuple[Component, Outcome] | None = None
        if attempt < ATTEMPTS:
            with connection.transaction(), connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                component = read_component(cursor, company_id, items, from_us)
            if component is None:
                return None
            rows_read += component.rows_read
            seen = component, run_component(component, every)
        done: Recosted | None = None
        with connection.transaction(), connection.cursor() as cursor:
            done = _Writing(cursor, company_id, items, worker, every, from_us, day_not_before).write(seen)
        if done is not None:
            done.rows_read += rows_read
            done.attempts = attempt
            return done
    raise AssertionError(f"{LOCKED_ATTEMPTS} times a pool was made behind the locks of items {list(items)}")


@dataclass(slots=True)
class _Writing:
    """The write transaction of a re-costing."""

    cursor: Cursor
    company_id: int
    items: Sequence[int]
    worker: str
    every: int
    from_us: int | None
    day_not_before: int | None

    def write(self, seen: tuple[Component, Outcome] | None) -> Recosted | None:
        """Write what was run, or under the locks what is read anew; None where it was overtaken."""
        cursor, company_id = self.cursor, self.company_id
        company = load_company(cursor, company_id)
        lane = hashlib.sha256(f"recost/{company.code}".encode()).digest()[0] & 15
        batch = open_batch(cursor, company, lane, time.time_ns() // 1000, self.worker, posts_soft_closed=True)
        calendar = hold_calendar(cursor, company)
        if seen is None:
            items = recosting.joined_items(cursor, company_id, self.items)
            locked = recosting.read_pools(cursor, company_id, items, lock=True)
            found = read_component(cursor, company_id, self.items, self.from_us)
            if found is None:
                return Recosted(company_id, items, 0)
            if not locked.same(found.standing):
                raise psycopg.Rollback  # a pool was made behind the locks
            component, rows_read = found, found.rows_read
            outcome = run_component(component, self.every)
        else:
            (component, outcome), rows_read = seen, 0
            standing = recosting.read_pools(cursor, company_id, component.items, lock=True)
            joined = recosting.joined_items(cursor, company_id, self.items)
            if not standing.same(component.standing) or joined != component.items:
                raise psycopg.Rollback
        adjusted = post_adjustments(cursor, batch, calendar, component, outcome, self.day_not_before)
        cuts = self._keep_cuts(company, component, outcome)
        newest = np.maximum(component.standing.newest_us, cuts[-1] if cuts else NONE)
        recosting.replace_layers(cursor, company_id, outcome.pools, outcome.layers, outcome.sources)
        recosting.update_pools(cursor, company_id, outcome.pools, outcome.last_costs, newest)
        if adjusted:
            close_batch(cursor, batch)
        return Recosted(company_id, component.items, component.from_us, rows_read, adjusted, len(cuts))

    def _keep_cuts(self, company: Company, component: Component, outcome: Outcome) -> list[int]:
        # Behind the one that it began from the run keeps its own: items that were joined since had others, each alone.
        behind = min(component.from_us, component.start.after_us + 1)
        recosting.forget_cuts(self.cursor, self.company_id, component.items, behind)
        for cut in outcome.cuts:
            recosting.write_cut(self.cursor, company, cut)
        return [cut.after_us for cut in outcome.cuts]
