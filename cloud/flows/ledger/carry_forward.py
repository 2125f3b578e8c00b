"""The year's end: revenues and expenses close into the year's profit (本年利润), and that into retained earnings.

The entries are documents of kind CARRY_FORWARD on the year's last day, so that statements of results can leave them
out. They may be made again until the last period is locked: what stands on the accounts by then includes what was
carried before, so another run posts the difference only. Accounts of type `cost` (生产成本 and the like under ASBE)
are stock in the making and stay open.

A company that closes its results month by month (账结法) carries each month into the year's profit; at the year's end
there is only the rest to do. One that closes once a year (表结法) lets the months stand.
"""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

import psycopg

from cloud.domain.batch import Batch
from cloud.domain.ledger.carry import Balance, close_into, total
from cloud.domain.ledger.periods import Period
from cloud.domain.movement import Kind, derived_id
from cloud.flows.ledger.post_document import LINES_MAX, Document, DocumentLine, post_documents
from cloud.store.batches import close_batch, load_company, open_batch
from cloud.store.ledger import carrying

Cursor = psycopg.Cursor

WORKER = "carry-forward"
YEAR_PROFIT, RETAINED = "year_profit", "retained_earnings"


class CannotCarry(ValueError):
    """Results cannot be carried forward so; nothing was written."""


@dataclass(frozen=True, slots=True)
class Carried:
    """What a run posted: its documents, and by how much the year's profit and retained earnings grew, minor units."""

    day: date
    documents: tuple[UUID, ...]
    profit: int
    retained: int


@dataclass(frozen=True, slots=True)
class _Entry:
    """One document to be: what it is about, as a word of ours and in words of the trade, and its lines."""

    about: str
    narration: str
    lines: list[Balance]


def carry_forward(connection: psycopg.Connection, company_id: int, year: int, by: str = WORKER) -> Carried:
    """Carry a fiscal year forward. Raises CannotCarry, CannotPost, LookupError, psycopg.Error.

    year  the calendar year in which the fiscal year begins (companies.fiscal_year_month)
    """
    with connection.transaction(), connection.cursor() as cursor:
        batch = _open(cursor, company_id, by)
        first_day, last_day = fiscal_year(year, carrying.year_begins(cursor, company_id))
        calendar = carrying.periods(cursor, company_id)
        _period_until(calendar, last_day)
        _check_year_before(cursor, company_id, calendar, first_day, year)
        return _post(cursor, batch, last_day, f"CF-{year}", to_retained=True)


def carry_month(connection: psycopg.Connection, company_id: int, period_id: int, by: str = WORKER) -> Carried:
    """Close the results up to a period's end into the year's profit only (账结法). Raises as carry_forward."""
    with connection.transaction(), connection.cursor() as cursor:
        batch = _open(cursor, company_id, by)
        calendar = carrying.periods(cursor, company_id)
        period = next((one for one in calendar if one.period_id == period_id), None)
        if period is None:
            raise CannotCarry(f"there is no period {period_id}")
        _period_until(calendar, period.last_day)
        return _post(cursor, batch, period.last_day, f"CF-{period_id}", to_retained=False)


def fiscal_year(year: int, first_month: int) -> tuple[date, date]:
    """First and last day of the fiscal year that begins in this calendar year."""
    return date(year, first_month, 1), date(year + 1, first_month, 1) - timedelta(days=1)


def _open(cursor: Cursor, company_id: int, by: str) -> Batch:
    """A batch in the lane of this work: one run waits for the other there, and then sees what it posted."""
    company = load_company(cursor, company_id)
    lane = hashlib.sha256(f"carry/{company.code}".encode()).digest()[0] & 15
    return open_batch(cursor, company, lane, time.time_ns() // 1000, by, posts_soft_closed=True)


def _period_until(calendar: Sequence[Period], day: date) -> None:
    """There is a period that ends on this day and can be posted to. Raises CannotCarry."""
    period = next((one for one in calendar if one.last_day == day), None)
    if period is None:
        raise CannotCarry(f"no period of the calendar ends on {day}")
    if period.state == "locked":
        raise CannotCarry(f"period {period.period_id} is locked: its year is carried forward before that")


def _check_year_before(
    cursor: Cursor, company_id: int, calendar: Sequence[Period], first_day: date, year: int
) -> None:
    """The results of the year before are not this year's while they can still be carried. Raises CannotCarry."""
    eve = first_day - timedelta(days=1)
    before = next((one for one in calendar if one.last_day == eve), None)
    if before is not None and before.state != "locked" and carrying.results(cursor, company_id, eve):
        raise CannotCarry(f"fiscal year {year}: {year - 1} comes before it and is not carried forward")


def _post(cursor: Cursor, batch: Batch, day: date, number: str, *, to_retained: bool) -> Carried:
    company_id = batch.company.company_id
    profit, standing = _account(cursor, company_id, YEAR_PROFIT, day)
    retained, _ = _account(cursor, company_id, RETAINED, day)
    entries = _close_results(carrying.results(cursor, company_id, day), profit, retained, to_retained=to_retained)
    grown = total((entry.lines for entry in entries), profit)
    if to_retained:
        standing = [*standing, Balance(profit, 0, grown)]
        entries += _close_profit(standing, retained)
    documents = [_document(batch, day, f"{number}-{place}", entry) for place, entry in enumerate(entries, start=1)]
    post_documents(cursor, batch, documents)
    if documents:
        close_batch(cursor, batch)
    to_equity = total((entry.lines for entry in entries), retained)
    return Carried(day, tuple(one.document_id for one in documents), -grown, -to_equity)


def _account(cursor: Cursor, company_id: int, role: str, day: date) -> tuple[int, list[Balance]]:
    found = carrying.standing(cursor, company_id, role, day)
    if found is None:
        raise CannotCarry(f"the chart has no account for {role}")
    return found


def _close_results(
    results: Sequence[carrying.Result], profit: int, retained: int, *, to_retained: bool
) -> list[_Entry]:
    """Revenues by themselves and expenses by themselves, as accountants write them."""
    own = [one for one in results if not one.of_earlier_years]
    named = [
        ("revenue", "结转收入", profit, [one.balance for one in own if one.is_revenue]),
        ("expense", "结转成本费用", profit, [one.balance for one in own if not one.is_revenue]),
    ]
    if to_retained:
        earlier = [one.balance for one in results if one.of_earlier_years]
        named.append(("earlier_years", "结转以前年度损益调整", retained, earlier))
    return [
        _Entry(about, narration, lines)
        for about, narration, into, balances in named
        for lines in close_into(balances, into, LINES_MAX)
    ]


def _close_profit(standing: Sequence[Balance], retained: int) -> list[_Entry]:
    by_dimension: dict[tuple[int, int], int] = {}
    for one in standing:
        key = (one.account_id, one.dimension_id)
        by_dimension[key] = by_dimension.get(key, 0) + one.amount
    balances = [Balance(*key, amount) for key, amount in by_dimension.items()]
    return [_Entry("year_profit", "结转本年利润", lines) for lines in close_into(balances, retained, LINES_MAX)]


def _document(batch: Batch, day: date, number: str, entry: _Entry) -> Document:
    company_id = batch.company.company_id
    source = f"{company_id}/carry/{number}/{batch.lane}/{batch.batch_no}"
    return Document(
        derived_id(source.encode()),
        Kind.CARRY_FORWARD,
        number,
        day,
        tuple(DocumentLine(line.account_id, line.amount, line.dimension_id) for line in entry.lines),
        narration=entry.narration,
        details={"carries": entry.about},
    )
