"""Periods and what closing one must know: rows ↔ values, nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

import psycopg
from psycopg.types.json import Jsonb

from cloud.store.sql import statement

NOUN = "closing"
State = Literal["open", "soft_closed", "locked"]
Connection = psycopg.Connection | psycopg.Cursor


@dataclass(frozen=True, slots=True)
class Period:
    """A period with what closing it needs of its company.

    first_us, end_us  its first moment and the first one behind it, in the company's time zone, µs since 1970 UTC
    today             the date there now
    """

    period_id: int
    first_day: date
    last_day: date
    state: State
    first_us: int
    end_us: int
    today: date
    company_id: int
    code: str
    name: str
    currency: str
    minor_digits: int
    time_zone: str
    profile: str
    clarification_days: int
    fiscal_year_month: int

    @property
    def ends_fiscal_year(self) -> bool:
        """Whether the fiscal year ends with it."""
        return self.last_day.month % 12 + 1 == self.fiscal_year_month

    @property
    def fiscal_year(self) -> int:
        """The calendar year in which its fiscal year begins."""
        return self.first_day.year - (self.first_day.month < self.fiscal_year_month)

    def parameters(self, limit: int) -> dict[str, Any]:
        """What the statements of the checklist ask for; at most `limit` rows of each."""
        return {
            "company": self.company_id, "period": self.period_id, "first_day": self.first_day,
            "last_day": self.last_day, "end_us": self.end_us, "days": self.clarification_days, "limit": limit,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class ListedPeriod:
    """A line of the calendar: its state, who brought it there and why, and whether its last report passed."""

    period_id: int
    first_day: date
    last_day: date
    state: State
    changed_at: datetime | None
    changed_by: str | None
    reason: str | None
    reported_at: datetime | None
    passed: bool | None


@dataclass(frozen=True, slots=True)
class Earlier:
    """A period before that is not locked."""

    period_id: int
    state: State
    has_entries: bool


@dataclass(frozen=True, slots=True)
class StoredReport:
    """A close report as it was kept; link_no and digest: its place in the chain of reports."""

    passed: bool
    report: dict[str, Any]
    recorded_at: datetime
    recorded_by: str
    link_no: int
    digest: bytes


def read_period(connection: Connection, company_id: int, period_id: int) -> Period | None:
    """A period of the company, or None."""
    values = {"company": company_id, "period": period_id}
    row = connection.execute(statement(NOUN, "period"), values).fetchone()
    return None if row is None else Period(*row)


def list_periods(connection: Connection, company_id: int, after: int, limit: int | None) -> list[ListedPeriod]:
    """The calendar behind the period `after`, oldest first."""
    values = {"company": company_id, "after": after, "limit": limit}
    return [ListedPeriod(*row) for row in connection.execute(statement(NOUN, "periods"), values)]


def plan_for_whole_periods(connection: Connection) -> None:
    """Until the transaction ends: statements are planned for many rows, whatever is known of their tables."""
    connection.execute(statement(NOUN, "whole_periods"))


def hold_calendar_alone(connection: Connection, company_id: int) -> None:
    """Wait for the batches that post, and let none post until the transaction ends."""
    connection.execute(statement(NOUN, "hold_alone"), {"company": company_id})


def earlier_periods(connection: Connection, company_id: int, period_id: int) -> list[Earlier]:
    """Periods before this one that are not locked, oldest first."""
    values = {"company": company_id, "period": period_id}
    return [Earlier(*row) for row in connection.execute(statement(NOUN, "earlier"), values)]


def change_period(connection: Connection, company_id: int, period_id: int, state: str, by: str, why: str) -> None:
    """Bring a period to a state; nothing where it is there. Raises psycopg.Error (TG005)."""
    values = {"company": company_id, "period": period_id, "state": state, "by": by, "why": why}
    connection.execute(statement(NOUN, "change"), values)


def may_close(connection: Connection, company_id: int, person_id: int) -> bool:
    """Whether a person has one of the company's roles that close periods, or is an admin."""
    values = {"company": company_id, "person": person_id}
    row = connection.execute(statement(NOUN, "may_close"), values).fetchone()
    return row is not None and bool(row[0])


def stands(connection: Connection, period: Period) -> tuple[Any, ...]:
    """A mark that every change of what a checklist asks moves."""
    row = connection.execute(statement(NOUN, "stands"), period.parameters(0)).fetchone()
    assert row is not None  # noqa: S101  scalar subqueries always have a row
    return tuple(row)


def add_report(
    connection: Connection, company_id: int, period_id: int, passed: bool, report: Mapping[str, Any], by: str
) -> None:
    """Keep a close report."""
    values = {
        "company": company_id,
        "period": period_id,
        "passed": passed,
        "report": Jsonb(dict(report)),
        "by": by,
    }
    connection.execute(statement(NOUN, "add_report"), values)


def read_report(connection: Connection, company_id: int, period_id: int) -> StoredReport | None:
    """The newest report of a period, or None."""
    values = {"company": company_id, "period": period_id}
    row = connection.execute(statement(NOUN, "report"), values).fetchone()
    return None if row is None else StoredReport(*row)


def ask(connection: Connection, name: str, period: Period, limit: int, **more: Any) -> Sequence[tuple[Any, ...]]:
    """The rows of one of the checklist's or the report's statements."""
    return connection.execute(statement(NOUN, name), period.parameters(limit) | more).fetchall()
