"""What a close report says of a period beside steps and checklist: its money, its stock, what came late, the chains."""

from typing import Any

import psycopg

from cloud.domain.decimals import minor_text
from cloud.store.ledger import closing
from cloud.store.ledger.closing import Period

LISTED_MAX = 50  # late and adjusting entries that a report names; the counts tell of all


def describe_period(connection: psycopg.Connection, period: Period) -> dict[str, Any]:
    """The period's figures in the caller's snapshot; amounts are decimal texts. Raises psycopg.Error."""
    digits = period.minor_digits
    turnovers = closing.ask(connection, "turnovers", period, 0)
    kinds = closing.ask(connection, "entries_by_kind", period, 0)
    return {
        "company": period.code,
        "company_name": period.name,
        "currency": period.currency,
        "time_zone": period.time_zone,
        "profile": period.profile,
        "period": period.period_id,
        "first_day": period.first_day.isoformat(),
        "last_day": period.last_day.isoformat(),
        "accounts": [
            {
                "account": number, "name_zh": zh, "name_en": en, "type": kind, "opening": minor_text(opening, digits),
                "debit": minor_text(debit, digits), "credit": minor_text(credit, digits),
                "closing": minor_text(closing_balance, digits),
            }
            for number, zh, en, kind, opening, debit, credit, closing_balance in turnovers
        ],
        "debit": minor_text(sum(row[5] for row in turnovers), digits),
        "credit": minor_text(sum(row[6] for row in turnovers), digits),
        "stock": [
            {"account": number, "name_zh": zh, "name_en": en, "item_class": item_class,
             "value": minor_text(value, digits), "items": items}
            for number, zh, en, item_class, value, items in closing.ask(connection, "stock_by_class", period, 0)
        ],
        "entries": [
            {"kind": kind, "entries": count, "late": late, "correcting": correcting}
            for kind, count, late, correcting in kinds
        ],
        "late": _listed(connection, period, late=True),
        "adjusting": _listed(connection, period, late=False),
        "heads": [
            {"chain": chain, "link": link, "head": head}
            for chain, link, head in closing.ask(connection, "heads", period, 0)
        ],
    }  # fmt: skip


def _listed(connection: psycopg.Connection, period: Period, *, late: bool) -> list[dict[str, Any]]:
    return [
        {
            "entry": f"{source}.{step}", "kind": kind, "posting_date": day.isoformat(), "late": is_late,
            "document": document, "recorded_at": at.isoformat(), "amount": minor_text(amount, period.minor_digits),
        }
        for source, step, kind, day, is_late, document, at, amount in closing.ask(
            connection, "late_or_adjusting", period, LISTED_MAX, late=late
        )
    ]  # fmt: skip
