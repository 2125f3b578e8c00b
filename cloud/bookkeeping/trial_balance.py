"""`tallygate ledger trial-balance`: opening, debit, credit and closing of every account.

tallygate ledger trial-balance COMPANY --period 2026-10 [--to 2026-12] [--by dimension] [--by currency] [--stock]
"""

import argparse
import sys
from collections.abc import Callable

from cloud.bookkeeping.terminal import connect, period
from cloud.cost_files.tables import table
from cloud.domain.decimals import minor_text
from cloud.domain.ledger.trial_balance import Row
from cloud.flows.ledger.trial_balance import TrialBalance, read_trial_balance
from cloud.imports.import_items import known_company

_AMOUNTS = ("opening", "debit", "credit", "closing")


def add_commands(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """`trial-balance`."""
    shown = verbs.add_parser("trial-balance", help="opening, debit, credit and closing of every account")
    shown.add_argument("company", help="the company's code")
    shown.add_argument(
        "--period", required=True, type=period, help="such as 2026-10; with --to the first of several"
    )
    shown.add_argument("--to", type=period, help="the last period")
    shown.add_argument(
        "--by", action="append", default=[], choices=("dimension", "currency"), help="apart by this, too"
    )
    shown.add_argument("--stock", action="store_true", help="also what stock is worth by its costs")
    shown.set_defaults(work=_show)


def _show(dsn: str, arguments: argparse.Namespace) -> int:
    """0 where the books balance and tie, 1 where they do not."""
    with (
        connect(dsn) as connection,
        connection.transaction(),
    ):
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        company = known_company(connection, arguments.company)
        found = read_trial_balance(
            connection,
            company.company_id,
            arguments.period,
            arguments.to or arguments.period,
            by_dimension="dimension" in arguments.by,
            by_currency="currency" in arguments.by,
            with_stock=arguments.stock,
        )
    settings = company.settings
    print("\n".join(_lines(found, settings.currency, settings.minor_digits, settings.profile == "ASBE")))
    wrong = not found.totals.agree or any(tie.difference for tie in found.stock or ())
    if wrong:
        print("tallygate ledger: the books do not agree; `tallygate verify` names where", file=sys.stderr)
    return int(wrong)


def _lines(found: TrialBalance, currency: str, digits: int, in_chinese: bool) -> list[str]:
    def texts(*amounts: int) -> list[str]:
        return [minor_text(amount, digits) for amount in amounts]

    totals = found.totals
    rows = [_cells(row, texts, in_chinese) for row in found.rows]
    last = ["", "total", "", *texts(totals.opening, totals.debit, totals.credit, totals.closing), "", ""]
    lines = [
        f"{found.first_day} … {found.last_day}, {currency}",
        *table(
            ("account", "name", "dimension", *_AMOUNTS, "in", "closing in it"),
            [*rows, last],
            (*_AMOUNTS, "closing in it"),
        ),
    ]
    if found.stock is not None:
        ties = [
            [tie.account.number, *texts(tie.ledger, tie.valuation, tie.difference)]
            for tie in found.stock
            if tie.ledger or tie.valuation
        ]
        heads = ("account", "ledger", "costs", "difference")
        lines += ["stock by its costs", *table(heads, ties, heads[1:])]
    return lines


def _cells(row: Row, texts: Callable[..., list[str]], in_chinese: bool) -> list[str]:
    account, sums = row.account, row.sums
    name = account.name_zh if in_chinese else account.name_en
    return [
        "  " * row.level + account.number,
        name,
        sums.dimension,
        *texts(sums.opening, sums.debit, sums.credit, sums.closing),
        sums.currency,
        minor_text(sums.currency_closing, sums.digits) if sums.currency else "",
    ]
