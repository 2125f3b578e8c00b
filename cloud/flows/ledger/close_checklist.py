"""The close checklist of a period, asked in one snapshot: set-based questions, each an item with its first rows.

What the questions are and what they say is in cloud.domain.ledger.checklist; the statements are in closing.sql.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

import psycopg

from cloud.domain.currency import code_of
from cloud.domain.decimals import micro_text, minor_text
from cloud.domain.ledger.checklist import DETAILS_MAX, Item, answer
from cloud.flows.ledger.check_coverage import check_coverage
from cloud.flows.ledger.rates import rates_on
from cloud.store.ledger import closing
from cloud.store.ledger.closing import Period

Row = tuple[Any, ...]
Connection = psycopg.Connection


class NoSuchPeriod(LookupError):
    """The company's calendar has no such period."""


def find_period(connection: Connection, company_id: int, period_id: int) -> Period:
    """Raises NoSuchPeriod."""
    period = closing.read_period(connection, company_id, period_id)
    if period is None:
        raise NoSuchPeriod(f"there is no period {period_id}")
    return period


def run_checklist(connection: Connection, company_id: int, period_id: int) -> list[Item]:
    """The checklist of a period as the books are now, in a snapshot of its own. Raises NoSuchPeriod, psycopg.Error."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        closing.plan_for_whole_periods(connection)
        return list(ask_checklist(connection, find_period(connection, company_id, period_id)))


def ask_checklist(connection: Connection, period: Period) -> Iterator[Item]:
    """Every item of the checklist, in the caller's transaction. Raises psycopg.Error."""
    yield _stock_and_ledger(connection, period)
    yield from _open_items(connection, period)
    for name, statement, show in _COUNTED:
        rows = closing.ask(connection, statement, period, DETAILS_MAX)
        yield answer(name, rows[0][0] if rows else 0, [show(period, row) for row in rows])
    before = closing.earlier_periods(connection, period.company_id, period.period_id)
    yield answer(
        "periods_before", len(before),
        [{"period": one.period_id, "state": one.state, "has_entries": one.has_entries} for one in before],
    )  # fmt: skip
    yield answer("period_over", int(period.today <= period.last_day), last_day=period.last_day)
    yield answer("next_period", int(not closing.ask(connection, "next_period", period, 0)[0][0]))
    yield answer("vouchers_numbered", closing.ask(connection, "unnumbered", period, 0)[0][0])
    yield _closing_rates(connection, period)
    uncovered = check_coverage(connection, period.company_id)
    yield answer("rules_cover", len(uncovered), [{"what": one.sentence} for one in uncovered])


def _stock_and_ledger(connection: Connection, period: Period) -> Item:
    """At the period's end the cost entries of each account against its turnovers; now its pools against them."""

    def amount(value: int) -> str:
        return minor_text(value, period.minor_digits)

    rows = closing.ask(connection, "stock_and_ledger", period, 0)
    wrong = [row for row in rows if row[3] != row[4] or row[5] != row[6]]
    shown = [
        {
            "account": number, "name_zh": zh, "name_en": en, "stock": amount(stock), "ledger": amount(ledger),
            "difference": amount(stock - ledger), "stock_now": amount(stock_now), "ledger_now": amount(ledger_now),
            "difference_now": amount(stock_now - ledger_now),
        }
        for number, zh, en, stock, ledger, stock_now, ledger_now in wrong or rows
    ]  # fmt: skip
    return answer("stock_equals_ledger", len(wrong), shown)


def _open_items(connection: Connection, period: Period) -> Iterator[Item]:
    """Accounts with items and accounts of layers: explained, not too old, and what is not invoiced."""
    rows = closing.ask(connection, "open_items", period, DETAILS_MAX)
    accounts = {row[1]: row for row in rows}
    wrong = [row for row in accounts.values() if row[4] != row[5]]
    yield answer("clearing_explained", len(wrong), [_account(period, row) for row in wrong or accounts.values()])
    layers = closing.ask(connection, "layers", period, DETAILS_MAX)
    held = {row[1]: row for row in layers}
    wrong = [row for row in held.values() if row[4] != row[5]]
    yield answer("layers_explained", len(wrong), [_held(row) for row in wrong or held.values()])
    old = [row for row in accounts.values() if row[0] == "clarification" and row[7]]
    old_goods = [row for row in held.values() if row[0] == "clarification_stock" and row[7]]
    details = [
        *(_item(period, row) for row in rows if row[0] == "clarification" and _is_old(row[12], period)),
        *(_layer(row) for row in layers if row[0] == "clarification_stock" and _is_old(row[12], period)),
    ]
    count = sum(row[7] for row in [*old, *old_goods])
    yield answer("clarification_age", count, details, days=period.clarification_days)
    receipts = [row for row in rows if row[0] == "grni"]
    count = sum(row[6] for row in accounts.values() if row[0] == "grni")
    yield answer("unmatched_receipts", count, [_item(period, row) for row in receipts if row[8] is not None])


def _is_old(age_days: int | None, period: Period) -> bool:
    return age_days is not None and age_days > period.clarification_days


def _account(period: Period, row: Row) -> dict[str, Any]:
    role, number, zh, en, balance, items, count = row[:7]
    digits = period.minor_digits
    return {
        "account": number, "role": role, "name_zh": zh, "name_en": en, "balance": minor_text(balance, digits),
        "open_items": minor_text(items, digits), "difference": minor_text(balance - items, digits), "count": count,
        "oldest": None if row[11] is None else row[11].isoformat(), "age_days": row[12],
    }  # fmt: skip


def _item(period: Period, row: Row) -> dict[str, Any]:
    item, kind, document, opened_on, age, amount, currency, currency_amount = row[8:16]
    return {
        "account": row[1], "item": str(item), "kind": kind, "document": document, "opened_on": opened_on.isoformat(),
        "age_days": age, "amount": minor_text(amount, period.minor_digits), "currency": currency or period.currency,
        "currency_amount_minor": currency_amount,
    }  # fmt: skip


def _held(row: Row) -> dict[str, Any]:
    role, number, zh, en, held, layers, count = row[:7]
    return {
        "account": number, "role": role, "name_zh": zh, "name_en": en, "pools": micro_text(held),
        "layers": micro_text(layers), "difference": micro_text(held - layers), "count": count,
        "oldest": None if row[11] is None else row[11].isoformat(), "age_days": row[12],
    }  # fmt: skip


def _layer(row: Row) -> dict[str, Any]:
    movement, item, site, opened_on, age, qty, value = row[8:15]
    return {
        "account": row[1], "item": item, "site": site, "movement": str(movement), "opened_on": opened_on.isoformat(),
        "age_days": age, "qty": micro_text(qty), "value": micro_text(value),
    }  # fmt: skip


def _closing_rates(connection: Connection, period: Period) -> Item:
    """Currencies in which monetary accounts have a balance, against the rates that the period's last day takes."""
    held = closing.ask(connection, "foreign_balances", period, 0)
    known = rates_on(connection, period.company_id, [(row[0], period.last_day) for row in held])
    missing = [row for row in held if (row[0], period.last_day) not in known]
    return answer(
        "closing_rates", len(missing),
        [{"currency": code_of(currency), "accounts": accounts} for currency, accounts, _ in missing],
    )  # fmt: skip


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _draft(period: Period, row: Row) -> dict[str, Any]:
    _, movement, party, document, item, net, currency, digits, at = row
    return {
        "movement": str(movement), "party": party, "document": document, "item": item,
        "net_amount": minor_text(net, period.minor_digits if digits is None else digits),
        "currency": currency or period.currency, "occurred_at": _moment(at),
    }  # fmt: skip


def _pool(_: Period, row: Row) -> dict[str, Any]:
    return {"item": row[1], "site": row[2], "account": row[3], "from": _moment(row[4])}


def _aside(_: Period, row: Row) -> dict[str, Any]:
    number, gateway, first, last, reason, at = row[1:]
    return {"number": number, "gateway": gateway, "first": first, "last": last, "reason": reason,
            "recorded_at": _moment(at)}  # fmt: skip


def _sighting(_: Period, row: Row) -> dict[str, Any]:
    return {"epc": row[1], "direction": row[2], "gate": row[3], "occurred_at": _moment(row[4])}


def _stopped(_: Period, row: Row) -> dict[str, Any]:
    return {"gateway": row[1], "epoch": str(row[2]), "applied_seq": row[3], "why": row[4]}


def _silent(_: Period, row: Row) -> dict[str, Any]:
    return {"gateway": row[1], "heard_at": _moment(row[2]), "online": row[3]}


# Item, statement, and how a row of it is shown; the first column of each row counts them all.
_COUNTED: Sequence[tuple[str, str, Callable[[Period, Row], dict[str, Any]]]] = (
    ("drafts", "drafts", _draft),
    ("pools_at_rest", "waiting_pools", _pool),
    ("quarantine", "quarantine", _aside),
    ("open_observations", "open_observations", _sighting),
    ("stopped_logs", "stopped_logs", _stopped),
    ("silent_gateways", "silent_gateways", _silent),
)
