"""Closing a period: soft-close, lock, reopen. What waits is brought to rest first, the checklist is asked, a report is
kept.

Batches go on while it runs. Steps and checklist work in transactions and snapshots of their own; only the change of
state has the calendar alone, for milliseconds: it waits for the batches that post, those behind it wait for it and see
what it did. A lock takes place only if nothing of the period has changed since its checklist was asked, else all is
done again; where the period does not stand still, the last attempt asks the list while it has the calendar alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import psycopg

from cloud.domain.ledger.checklist import Item, answer, failing
from cloud.flows.ledger.close_checklist import ask_checklist, find_period
from cloud.flows.ledger.close_report import describe_period
from cloud.flows.ledger.close_steps import RECOST, STEPS, Done, take_steps
from cloud.store.ledger import closing
from cloud.store.ledger.closing import Period, State, StoredReport

Connection = psycopg.Connection

OPEN: Final = "open"
SOFT_CLOSED: Final = "soft_closed"
LOCKED: Final = "locked"
# How often a lock is tried while batches may post; the last attempt holds them up for as long as a checklist takes.
ATTEMPTS = 3


class CannotClose(ValueError):
    """A period cannot be brought to that state; it stays as it is. items: what of the checklist stands against it."""

    def __init__(self, reason: str, items: Sequence[Item] = ()) -> None:
        super().__init__(reason)
        self.items = tuple(items)


@dataclass(frozen=True, slots=True)
class Closed:
    """What came of it. passed: nothing of the checklist fails; changed: the period was in another state before."""

    period_id: int
    state: State
    passed: bool
    changed: bool
    report: dict[str, Any]


def soft_close(
    connection: Connection, company_id: int, period_id: int, *, by: str, reason: str = "", force: bool = False
) -> Closed:
    """Soft-close a period and bring it to rest; again: bring to rest what came since. The report says what a lock
    would refuse.

    connection  with autocommit: steps are transactions of their own
    force       recorded in the report: who closes knows what fails
    Raises NoSuchPeriod, CannotClose, psycopg.Error.
    """
    asked = _Asked(connection, company_id, period_id, by, reason, force, SOFT_CLOSED)
    period = find_period(connection, company_id, period_id)
    if period.state == LOCKED:
        raise CannotClose(f"period {period_id} is locked: nothing opens it again")
    changed = period.state == OPEN
    done: list[Done] = []
    if changed:
        done += take_steps(connection, period, by, [RECOST])
        with connection.transaction():
            closing.hold_calendar_alone(connection, company_id)
            changed = find_period(connection, company_id, period_id).state == OPEN
            if changed:
                _close_earlier(connection, asked)
                closing.change_period(connection, company_id, period_id, SOFT_CLOSED, by, reason)
    done += take_steps(connection, period, by, STEPS)
    items, report, _ = _survey(asked, done)
    if (state := find_period(connection, company_id, period_id).state) != SOFT_CLOSED:
        raise CannotClose(f"period {period_id} became {state} meanwhile")
    return _keep(asked, changed, items, report)


def lock(
    connection: Connection, company_id: int, period_id: int, *, by: str, reason: str = "", force: bool = False,
    on_attempt: Callable[[int], None] = lambda _: None,
) -> Closed:  # fmt: skip
    """Lock a soft-closed period for good. A locked one gives the report of its lock.

    connection  with autocommit: steps are transactions of their own
    force       although the checklist fails, with a reason; never where stock differs from the ledger
    on_attempt  told before each attempt's transaction, 1 … ATTEMPTS
    Raises NoSuchPeriod, CannotClose, psycopg.Error.
    """
    asked = _Asked(connection, company_id, period_id, by, reason, force, LOCKED)
    period = find_period(connection, company_id, period_id)
    if period.state == LOCKED:
        return _locked_before(connection, period)
    if period.state == OPEN:
        raise CannotClose(f"period {period_id} is open: it is soft-closed before it is locked")
    if force and not reason.strip():
        raise CannotClose("expected a reason why the period is locked although its checklist fails, got none")
    done: list[Done] = []
    for attempt in range(1, ATTEMPTS + 1):
        done += take_steps(connection, period, by, STEPS)
        items, report, mark = _survey(asked, done)
        _refuse_failing(asked, items)
        on_attempt(attempt)
        with connection.transaction():
            closing.hold_calendar_alone(connection, company_id)
            period = find_period(connection, company_id, period_id)
            if period.state == LOCKED:
                return _locked_before(connection, period)
            if period.state == OPEN:
                raise CannotClose(f"period {period_id} was opened again meanwhile")
            if closing.stands(connection, period) != mark:
                if attempt < ATTEMPTS:
                    raise psycopg.Rollback
                closing.plan_for_whole_periods(connection)
                items, report = _ask(asked, done)
                _refuse_failing(asked, items)
            _close_earlier(connection, asked)
            closing.change_period(connection, company_id, period_id, LOCKED, by, reason)
            return _keep(asked, True, items, report)
    raise AssertionError("the last attempt has the calendar alone")


def reopen(connection: Connection, company_id: int, period_id: int, *, by: str, reason: str) -> bool:
    """Open a soft-closed period again; whether it was not open before.

    Raises NoSuchPeriod, CannotClose, psycopg.Error.
    """
    if not reason.strip():
        raise CannotClose("expected a reason why the period is opened again, got none")
    with connection.transaction():
        closing.hold_calendar_alone(connection, company_id)
        period = find_period(connection, company_id, period_id)
        if period.state == LOCKED:
            raise CannotClose(f"period {period_id} is locked: nothing opens it again")
        try:
            closing.change_period(connection, company_id, period_id, OPEN, by, reason)
        except psycopg.DatabaseError as error:
            if error.sqlstate != "TG005":
                raise
            raise CannotClose(error.diag.message_primary or str(error)) from error
    return period.state != OPEN


@dataclass(frozen=True, slots=True)
class _Asked:
    """Who asks for what."""

    connection: Connection
    company_id: int
    period_id: int
    by: str
    reason: str
    force: bool
    to_state: State


def _close_earlier(connection: Connection, asked: _Asked) -> None:
    """Periods before, in order: those without entries follow by themselves, the first of the others is named.

    Raises CannotClose.
    """
    why = f"no entries when {asked.period_id} became {asked.to_state}"
    for one in closing.earlier_periods(connection, asked.company_id, asked.period_id):
        if one.state == asked.to_state:
            continue
        if one.has_entries:
            raise CannotClose(
                f"period {asked.period_id} cannot be {asked.to_state}: {one.period_id} comes before it, has entries"
                f" and is {one.state}"
            )
        for state in (SOFT_CLOSED, LOCKED)[: 1 if asked.to_state == SOFT_CLOSED else 2]:
            closing.change_period(connection, asked.company_id, one.period_id, state, asked.by, why)


def _survey(asked: _Asked, done: Sequence[Done]) -> tuple[list[Item], dict[str, Any], tuple[Any, ...]]:
    """Checklist and report as of one moment, while batches go on; and the mark by which that moment is known again."""
    with asked.connection.transaction():
        asked.connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        closing.plan_for_whole_periods(asked.connection)
        period = find_period(asked.connection, asked.company_id, asked.period_id)
        mark = closing.stands(asked.connection, period)
        return *_ask(asked, done), mark


def _ask(asked: _Asked, done: Sequence[Done]) -> tuple[list[Item], dict[str, Any]]:
    period = find_period(asked.connection, asked.company_id, asked.period_id)
    items = [*ask_checklist(asked.connection, period), _steps_done(done)]
    report = describe_period(asked.connection, period) | {
        "to_state": asked.to_state,
        "by": asked.by,
        "reason": asked.reason,
        "forced": asked.force and bool(failing(items)),
        "passed": not failing(items),
        "at": datetime.now(UTC).isoformat(),
        "steps": [one.as_json() for one in done],
        "checklist": [item.as_json() for item in items],
    }
    return items, report


def _steps_done(done: Sequence[Done]) -> Item:
    """What each step came to when it was taken last."""
    last = {one.step.name: one for one in done}
    refused = [one for one in last.values() if one.refused]
    return answer("steps_done", len(refused), [{"step": one.step.name, "why": one.refused} for one in refused])


def _refuse_failing(asked: _Asked, items: Sequence[Item]) -> None:
    against = failing(items)
    if asked.force:
        against = [item for item in against if not item.can_be_forced]
    if against:
        said = "; ".join(f"{item.en} ({item.zh})" for item in against)
        never = " and cannot be forced" if asked.force else ""
        raise CannotClose(f"period {asked.period_id} is not locked: the checklist fails{never}: {said}", against)


def _keep(asked: _Asked, changed: bool, items: Sequence[Item], report: dict[str, Any]) -> Closed:
    passed = not failing(items)
    closing.add_report(asked.connection, asked.company_id, asked.period_id, passed, report, asked.by)
    return Closed(asked.period_id, asked.to_state, passed, changed, report)


def _locked_before(connection: Connection, period: Period) -> Closed:
    stored: StoredReport | None = closing.read_report(connection, period.company_id, period.period_id)
    if stored is None:
        return Closed(period.period_id, LOCKED, passed=True, changed=False, report={})
    return Closed(period.period_id, LOCKED, stored.passed, changed=False, report=stored.report)
