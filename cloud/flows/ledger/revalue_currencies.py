"""Monetary balances in other currencies at the closing rate (IAS 21, paragraphs 23 and 28; ASBE 19).

At a period's end each monetary account's balance in another currency is worth what the closing rate says. What the
books lack is posted on the period's last day against exchange gains and losses, and taken back on the first day of the
next period, so that open items keep the rate they were opened at and realised differences are measured from it. On
accounts with items these lines are an item of their own document, which the reversal clears.

It may be done again until the period is locked: what an earlier run posted is part of the balance, so that only what
it lacks is posted, each time with a reversal of its own.
"""

import hashlib
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import psycopg

from cloud.domain.batch import Batch
from cloud.domain.currency import code_of, digits_of, to_base
from cloud.domain.movement import Kind, derived_id
from cloud.flows.answer_once import CannotRecord
from cloud.flows.ledger.post_document import LINES_MAX, Document, DocumentLine, post_documents
from cloud.flows.ledger.rates import no_rate, rates_on
from cloud.store.batches import close_batch, load_company, open_batch
from cloud.store.journal import hold_calendar
from cloud.store.ledger import revaluation as store
from cloud.store.ledger.rates import Rate
from cloud.store.ledger.revaluation import CurrencyBalance

_GAIN, _LOSS = "exchange_gain", "exchange_loss"
_BALANCES_MAX = LINES_MAX - 2  # of one document: two lines are gain and loss


class CannotRevalue(CannotRecord):
    """A period's currencies cannot be revalued as it is; nothing was written."""


@dataclass(frozen=True, slots=True)
class RevaluedLine:
    """One monetary balance, minor units, debit positive; rate: None where nothing of the currency is held.

    currency  ISO 4217 number;  balance  in the company's currency before;  worth  at the closing rate
    """

    account_id: int
    number: str
    dimension_id: int
    currency: int
    currency_balance: int
    balance: int
    worth: int
    rate: Rate | None

    @property
    def difference(self) -> int:
        """What the books lack: a gain above 0, a loss below."""
        return self.worth - self.balance


@dataclass(frozen=True, slots=True)
class Revalued:
    """What a revaluation found and did: every balance, and the documents where any differed, with their reversals."""

    period_id: int
    lines: tuple[RevaluedLine, ...]
    documents: tuple[uuid.UUID, ...] = ()
    reversals: tuple[uuid.UUID, ...] = ()

    @property
    def difference(self) -> int:
        """What was gained less what was lost, minor units of the company's currency."""
        return sum(line.difference for line in self.lines)


def revalue(connection: psycopg.Connection, company_id: int, period_id: int, by: str) -> Revalued:
    """Revalue a period (yyyymm) that is not locked, in a transaction of its own.

    Raises CannotRevalue, NoRate (which names currency and day), CannotPost, psycopg.Error.
    """
    with connection.transaction(), connection.cursor() as cursor:
        company = load_company(cursor, company_id)
        # One lane for all of a company's revaluations: the second waits, and finds what the first has posted.
        lane = hashlib.sha256(f"revalue/{company.code}".encode()).digest()[0] & 15
        batch = open_batch(cursor, company, lane, time.time_ns() // 1000, by, posts_soft_closed=True)
        hold_calendar(cursor, company)
        last_day, next_day = _period(cursor, company_id, period_id)
        lines = _compare(cursor, company_id, company.minor_digits, period_id, last_day)
        changed = [line for line in lines if line.difference]
        if not changed:
            return Revalued(period_id, lines)
        documents, reversals = _documents(cursor, batch, period_id, last_day, next_day, changed)
        post_documents(cursor, batch, [*documents, *reversals])
        close_batch(cursor, batch)
    return Revalued(
        period_id, lines, tuple(one.document_id for one in documents), tuple(one.document_id for one in reversals)
    )


def compare(connection: psycopg.Connection, company_id: int, period_id: int) -> tuple[RevaluedLine, ...]:
    """What a revaluation would find: every monetary balance beside its worth. Nothing is written.

    Raises CannotRevalue, NoRate, psycopg.Error.
    """
    with connection.cursor() as cursor:
        company = load_company(cursor, company_id)
        days = store.period(cursor, company_id, period_id)
        if days is None:
            raise CannotRevalue(f"there is no period {period_id}")
        return _compare(cursor, company_id, company.minor_digits, period_id, days.last_day)


def _period(cursor: psycopg.Cursor, company_id: int, period_id: int) -> tuple[date, date]:
    """(The period's last day, the next one's first day). Raises CannotRevalue."""
    found = store.period(cursor, company_id, period_id)
    if found is None:
        raise CannotRevalue(f"there is no period {period_id}")
    if found.state == "locked":
        raise CannotRevalue(f"period {period_id} is locked: its balances are final")
    if found.next_day is None:
        raise CannotRevalue(f"no period follows {period_id}, in which the revaluation could be taken back")
    return found.last_day, found.next_day


def _compare(
    cursor: psycopg.Cursor, company_id: int, base_digits: int, period_id: int, day: date
) -> tuple[RevaluedLine, ...]:
    balances = store.balances(cursor, company_id, period_id)
    held = {one.currency for one in balances if one.currency_balance}
    rates = rates_on(cursor, company_id, [(currency, day) for currency in held])
    for currency in sorted(held):
        if (currency, day) not in rates:
            raise no_rate(cursor, company_id, currency, day)
    return tuple(_line(one, rates.get((one.currency, day)), base_digits) for one in balances)


def _line(one: CurrencyBalance, rate: Rate | None, base_digits: int) -> RevaluedLine:
    worth = 0
    if rate is not None and one.currency_balance:
        worth = to_base(one.currency_balance, digits_of(one.currency), rate.rate_nano, base_digits)
    return RevaluedLine(
        one.account_id, one.number, one.dimension_id, one.currency, one.currency_balance, one.balance, worth, rate
    )


def _documents(
    cursor: psycopg.Cursor, batch: Batch, period_id: int, last_day: date, next_day: date,
    changed: Sequence[RevaluedLine],
) -> tuple[list[Document], list[Document]]:  # fmt: skip
    """The documents of the differences, and those that take them back."""
    company_id, month = batch.company.company_id, f"{period_id // 100}-{period_id % 100:02}"
    exchange = store.exchange_accounts(cursor, company_id)
    if missing := {_GAIN, _LOSS} - exchange.keys():
        raise CannotRevalue(f"the chart has no account for {', '.join(sorted(missing))}")
    before = store.times_before(cursor, company_id, period_id)
    documents, reversals = [], []
    for part, first in enumerate(range(0, len(changed), _BALANCES_MAX)):
        lines = changed[first : first + _BALANCES_MAX]
        number = f"FX-{month}-{before + part + 1}"
        document_id, reversal_id = (
            derived_id(f"{company_id}/revalue/{period_id}/{batch.lane}/{batch.batch_no}/{part}/{what}".encode())
            for what in ("revaluation", "reversal")
        )
        posted = _posted(lines, exchange)
        documents.append(
            Document(
                document_id, Kind.CURRENCY_REVALUATION, number, last_day, posted,
                narration=f"期末调汇 {month} / currencies at the closing rate",
                details={"period": period_id, "rates": _rates(lines), "balances": [_told(one) for one in lines]},
            )
        )  # fmt: skip
        reversals.append(
            Document(
                reversal_id, Kind.CURRENCY_REVALUATION, f"{number}-R", next_day, _taken_back(posted, document_id),
                narration=f"期末调汇冲回 {month} / taken back",
                corrects=document_id, details={"period": period_id, "reverses": number},
            )
        )  # fmt: skip
    return documents, reversals


def _posted(lines: Sequence[RevaluedLine], exchange: dict[str, int]) -> tuple[DocumentLine, ...]:
    posted = [DocumentLine(one.account_id, one.difference, one.dimension_id, one.currency) for one in lines]
    gained = sum(one.difference for one in lines if one.difference > 0)
    lost = sum(one.difference for one in lines if one.difference < 0)
    if gained:
        posted.append(DocumentLine(exchange[_GAIN], -gained))
    if lost:
        posted.append(DocumentLine(exchange[_LOSS], -lost))
    return tuple(posted)


def _taken_back(posted: Sequence[DocumentLine], document_id: uuid.UUID) -> tuple[DocumentLine, ...]:
    """The same lines on the other side; those of currencies clear the item that the document opened."""
    return tuple(
        DocumentLine(
            line.account_id, -line.amount, line.dimension_id, line.currency,
            open_item=document_id if line.currency else None,
        )
        for line in posted
    )  # fmt: skip


def _rates(lines: Sequence[RevaluedLine]) -> dict[str, Any]:
    return {
        code_of(one.currency): {
            "rate_nano": one.rate.rate_nano,
            "day": str(one.rate.day),
            "source": one.rate.source,
        }
        for one in lines
        if one.rate is not None
    }


def _told(one: RevaluedLine) -> dict[str, Any]:
    return {
        "account": one.number, "dimension_id": one.dimension_id, "currency": code_of(one.currency),
        "currency_balance": one.currency_balance, "balance": one.balance, "worth": one.worth,
    }  # fmt: skip
