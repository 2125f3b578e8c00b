"""The steps that bring what waits to rest before a period closes, in their order: each a name, a function, a result.

Every step is a flow that stands for itself, in transactions of its own, and may be done again until the lock. A step
that its flow refuses (a missing rate, a period before that is not settled) does not stop those behind it; the report
says why, and the checklist fails.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg

from cloud.domain.costing.pools import CannotCost
from cloud.domain.decimals import minor_text
from cloud.flows.answer_once import CannotRecord
from cloud.flows.ledger.carry_forward import CannotCarry, carry_forward
from cloud.flows.ledger.customer_invoice import clear_invoiced_shipments
from cloud.flows.ledger.number_vouchers import number_vouchers
from cloud.flows.ledger.revalue_currencies import revalue
from cloud.flows.ledger.spread_variance import PROFILE as SPREADS
from cloud.flows.ledger.spread_variance import CannotSpread, spread_variance
from cloud.flows.post_adjustments import BooksDisagree
from cloud.flows.recost import recost_company
from cloud.flows.settle_period import CannotSettle, settle_period
from cloud.store import recosting
from cloud.store.ledger.closing import Period

Connection = psycopg.Connection
WORKER = "close"


class StepRefused(ValueError):
    """A step could not bring all to rest that waits."""


# What flows refuse; anything else is an error of ours or of the database and ends the close.
REFUSED = (
    StepRefused, CannotRecord, CannotSettle, CannotCarry, CannotSpread, CannotCost, BooksDisagree,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the close. work: takes connection, period, and who closes; what it says stands in the report."""

    name: str
    zh: str
    en: str
    work: Callable[[Connection, Period, str], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Done:
    """What a step did, when it began, how long it took; refused: why it was not done, or empty."""

    step: Step
    began_at: datetime
    took_us: int
    result: Mapping[str, Any]
    refused: str = ""

    def as_json(self) -> dict[str, Any]:
        """As reports show it."""
        return {
            "name": self.step.name, "zh": self.step.zh, "en": self.step.en, "began_at": self.began_at.isoformat(),
            "took_ms": self.took_us // 1000, "result": dict(self.result), "refused": self.refused,
        }  # fmt: skip


def take_steps(connection: Connection, period: Period, by: str, steps: Iterable[Step]) -> list[Done]:
    """Take the steps one after another. The connection commits each by itself. Raises psycopg.Error."""
    done = []
    for step in steps:
        began_at, began_ns = datetime.now(UTC), time.perf_counter_ns()
        result: Mapping[str, Any] = {}
        refused = ""
        try:
            result = step.work(connection, period, by)
        except REFUSED as error:
            refused = str(error)
        done.append(Done(step, began_at, (time.perf_counter_ns() - began_ns) // 1000, result, refused))
    return done


def _recost(connection: Connection, period: Period, _: str) -> Mapping[str, Any]:
    """Marked pools of the whole company, also of later periods: goods flow on from one into another."""
    complaints: list[str] = []
    found = recost_company(
        connection, period.company_id, WORKER, wait=True, on_failure=lambda _, error: complaints.append(str(error))
    )
    if complaints:
        raise StepRefused("; ".join(complaints))
    return {"components": len(found.done), "adjusted": sum(one.adjusted for one in found.done)}


def _settle(connection: Connection, period: Period, _: str) -> Mapping[str, Any]:
    with connection.transaction(), connection.cursor() as cursor:
        pools = recosting.periodic_pools(cursor, period.company_id)
    if not pools:
        return {"pools": 0, "adjusted": 0}
    settled = settle_period(connection, period.company_id, period.period_id)
    return {"pools": settled.pools, "adjusted": sum(one.adjusted for one in settled.recosted.done)}


def _clear_shipped(connection: Connection, period: Period, by: str) -> Mapping[str, Any]:
    return {"shipments": clear_invoiced_shipments(connection, period.company_id, by, until=period.last_day)}


def _revalue(connection: Connection, period: Period, by: str) -> Mapping[str, Any]:
    found = revalue(connection, period.company_id, period.period_id, by)
    return {
        "balances": len(found.lines), "documents": len(found.documents),
        "difference": minor_text(found.difference, period.minor_digits),
    }  # fmt: skip


def _spread(connection: Connection, period: Period, by: str) -> Mapping[str, Any]:
    if period.profile != SPREADS:
        return {"documents": 0}
    found = spread_variance(connection, period.company_id, period.period_id, by)
    share = sum(one.share for one in found.classes)
    return {"documents": len(found.documents), "spread": minor_text(share, period.minor_digits)}


def _carry(connection: Connection, period: Period, by: str) -> Mapping[str, Any]:
    if not period.ends_fiscal_year:
        return {"documents": 0}
    found = carry_forward(connection, period.company_id, period.fiscal_year, by)
    return {
        "documents": len(found.documents), "profit": minor_text(found.profit, period.minor_digits),
        "retained": minor_text(found.retained, period.minor_digits),
    }  # fmt: skip


def _number(connection: Connection, period: Period, _: str) -> Mapping[str, Any]:
    return {"numbered": number_vouchers(connection, period.company_id, period.period_id)}


RECOST = Step("recost", "重算成本", "Re-cost what came late", _recost)

# While the period is soft-closed. Goods first, then money, then what sums them up, then the numbers.
STEPS = (
    RECOST,
    Step("settle", "结转期末成本", "Settle methods that price by period", _settle),
    Step(
        "shipped", "结转已开票发出商品", "Move what re-costing found of invoiced shipments to cost", _clear_shipped
    ),
    Step("revalue", "期末调汇", "Revalue currencies at the closing rate", _revalue),
    Step("spread", "分摊材料成本差异", "Spread the material cost variance", _spread),
    Step("carry", "结转本年利润", "Carry the year's results forward", _carry),
    Step("number", "凭证编号", "Number the vouchers", _number),
)
