"""/v1/periods: the calendar; a period's checklist and close report; closing, locking and opening it again."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Annotated, Any

import psycopg
from fastapi import APIRouter, Path
from psycopg.sql import SQL, Identifier
from psycopg_pool import ConnectionPool
from pydantic import BaseModel, Field

from cloud.api.access import FinanceReader, Pool
from cloud.api.paging import LIMIT_DEFAULT, CursorText, Limit, Page, after_one, make_page
from cloud.api.problems import Problem, not_found
from cloud.api.values import Moment, Text
from cloud.domain.access import Caller
from cloud.domain.ledger.checklist import Item, State, failing
from cloud.flows.ledger.close_checklist import NoSuchPeriod, run_checklist
from cloud.flows.ledger.close_period import CannotClose, Closed, lock, reopen, soft_close
from cloud.store.ledger import closing
from cloud.store.ledger.closing import ListedPeriod
from cloud.store.ledger.closing import State as PeriodState

router = APIRouter(tags=["periods"])

# A close takes its own time: re-costing and checking a month of a million movements is below a minute.
CLOSE_STATEMENT_MS = 300_000
_PATIENT = ("statement_timeout", "idle_in_transaction_session_timeout")

PeriodId = Annotated[int, Path(ge=100001, le=999912, description="yyyymm", examples=[202611])]


class PeriodOut(BaseModel):
    """A period of the company's calendar; who brought it to its state, and whether its newest report passed."""

    id: int = Field(examples=[202611])
    first_day: date
    last_day: date
    state: PeriodState
    changed_at: Moment | None
    changed_by: str | None
    reason: str | None
    reported_at: Moment | None
    passed: bool | None


class ItemOut(BaseModel):
    """An item of the checklist; `failed` stands against a lock, `told` does not. At most 20 rows of details."""

    name: str
    state: State
    count: int
    zh: str
    en: str
    details: list[dict[str, Any]]


class ChecklistOut(BaseModel):
    """The checklist as the books are now."""

    period: int
    passed: bool
    items: list[ItemOut]


class ReportOut(BaseModel):
    """A close report as it was kept, and its place in the chain of reports."""

    period: int
    passed: bool
    recorded_at: Moment
    recorded_by: str
    link: int
    digest: str
    report: dict[str, Any]


class ClosedOut(BaseModel):
    """The period's state now, whether this request changed it, and the report."""

    period: int
    state: PeriodState
    changed: bool
    passed: bool
    report: dict[str, Any]


class CloseIn(BaseModel):
    """Why; `force` although items fail. That stock is worth what the ledger says is never forced."""

    model_config = {"extra": "forbid"}

    reason: Text = ""
    force: bool = False


class ReopenIn(BaseModel):
    """Why a period is opened again."""

    model_config = {"extra": "forbid"}

    reason: Text = Field(min_length=1)


class ReopenedOut(BaseModel):
    """The period's state now, and whether this request changed it."""

    period: int
    state: PeriodState
    changed: bool


@router.get("/v1/periods", response_model=Page[PeriodOut], summary="The calendar")
def list_periods(
    caller: FinanceReader, pool: Pool, limit: Limit = LIMIT_DEFAULT, cursor: CursorText = None
) -> dict[str, Any]:
    """Periods, oldest first."""
    after = after_one(cursor, "periods", {}, 0)
    with pool.connection() as connection:
        rows = closing.list_periods(connection, caller.company.company_id, after, limit + 1)
    return make_page("periods", {}, rows, limit, lambda row: [row.period_id], _show_period)


@router.get("/v1/periods/{period}/checklist", response_model=ChecklistOut, summary="What stands against a lock")
def read_checklist(period: PeriodId, caller: FinanceReader, pool: Pool) -> ChecklistOut:
    """Asked anew in one snapshot."""
    with _closing_connection(pool) as connection, _refusals():
        items = run_checklist(connection, caller.company.company_id, period)
    return ChecklistOut(period=period, passed=not failing(items), items=[_show_item(item) for item in items])


@router.post("/v1/periods/{period}/close", response_model=ClosedOut, summary="Soft-close a period")
def close_period(period: PeriodId, body: CloseIn, caller: FinanceReader, pool: Pool) -> ClosedOut:
    """Brings to rest what waits, and soft-closes; again: brings to rest what came since."""
    return _change(soft_close, period, body, caller, pool)


@router.post("/v1/periods/{period}/lock", response_model=ClosedOut, summary="Lock a period for good")
def lock_period(period: PeriodId, body: CloseIn, caller: FinanceReader, pool: Pool) -> ClosedOut:
    """Refused with 409 while its checklist fails, unless it is forced with a reason."""
    return _change(lock, period, body, caller, pool)


@router.post("/v1/periods/{period}/reopen", response_model=ReopenedOut, summary="Open a soft-closed period again")
def reopen_period(period: PeriodId, body: ReopenIn, caller: FinanceReader, pool: Pool) -> ReopenedOut:
    """A locked period is never opened again."""
    _check_role(caller, pool)
    with _closing_connection(pool) as connection, _refusals():
        changed = reopen(connection, caller.company.company_id, period, by=_name(caller), reason=body.reason)
    return ReopenedOut(period=period, state="open", changed=changed)


@router.get("/v1/periods/{period}/report", response_model=ReportOut, summary="The newest close report of a period")
def read_report(period: PeriodId, caller: FinanceReader, pool: Pool) -> ReportOut:
    """As it was kept."""
    with pool.connection() as connection:
        stored = closing.read_report(connection, caller.company.company_id, period)
    if stored is None:
        raise not_found("close report of period", period)
    return ReportOut(
        period=period, passed=stored.passed, recorded_at=stored.recorded_at, recorded_by=stored.recorded_by,
        link=stored.link_no, digest=stored.digest.hex(), report=stored.report,
    )  # fmt: skip


def _change(
    flow: Callable[..., Closed], period: int, body: CloseIn, caller: Caller, pool: ConnectionPool
) -> ClosedOut:
    _check_role(caller, pool)
    with _closing_connection(pool) as connection, _refusals():
        closed = flow(
            connection, caller.company.company_id, period, by=_name(caller), reason=body.reason, force=body.force
        )
    return ClosedOut(
        period=period, state=closed.state, changed=closed.changed, passed=closed.passed, report=closed.report
    )


def _check_role(caller: Caller, pool: ConnectionPool) -> None:
    with pool.connection() as connection:
        allowed = closing.may_close(connection, caller.company.company_id, caller.person_id)
    if not allowed:
        raise Problem(
            403, "missing-role", "expected a key of somebody with one of the company's roles that close periods"
        )


def _name(caller: Caller) -> str:
    return f"{caller.person_name} ({caller.key_id})"


@contextmanager
def _closing_connection(pool: ConnectionPool) -> Iterator[psycopg.Connection]:
    """A connection whose steps commit by themselves and may take a close's time; as it was afterwards."""
    with pool.connection() as connection:
        connection.autocommit = True
        try:
            for setting in _PATIENT:
                connection.execute(SQL("SET {} = {}").format(Identifier(setting), CLOSE_STATEMENT_MS))
            yield connection
        finally:
            if not connection.closed:
                for setting in _PATIENT:
                    connection.execute(SQL("RESET {}").format(Identifier(setting)))
                connection.autocommit = False


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except NoSuchPeriod as error:
        raise Problem(404, "not-found", str(error)) from None
    except CannotClose as error:
        items = [item.as_json() for item in error.items]
        raise Problem(409, "cannot-close", str(error), items=items) from None


def _show_item(item: Item) -> ItemOut:
    return ItemOut(**item.as_json())


def _show_period(row: ListedPeriod) -> PeriodOut:
    return PeriodOut(
        id=row.period_id, first_day=row.first_day, last_day=row.last_day, state=row.state,
        changed_at=row.changed_at, changed_by=row.changed_by, reason=row.reason, reported_at=row.reported_at,
        passed=row.passed,
    )  # fmt: skip
