"""`tallygate ledger carry-forward` and `tallygate ledger spread`: entries that the end of a period asks for.

tallygate ledger carry-forward COMPANY --year 2026        revenues, expenses and the year's profit to retained earnings
tallygate ledger carry-forward COMPANY --period 2026-10   a month's results to the year's profit only
tallygate ledger spread COMPANY --period 2026-10          the material cost variance over stock and issues (ASBE)
"""

import argparse
import getpass

from cloud.bookkeeping.terminal import connect, period
from cloud.domain.decimals import minor_text
from cloud.flows.ledger.carry_forward import carry_forward, carry_month
from cloud.flows.ledger.spread_variance import spread_variance
from cloud.imports.import_items import known_company


def add_commands(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """`carry-forward` and `spread`."""
    carry = verbs.add_parser("carry-forward", help="close the results of a year, or of a month")
    carry.add_argument("company", help="the company's code")
    until = carry.add_mutually_exclusive_group(required=True)
    until.add_argument("--year", type=_year, help="in which the fiscal year begins, such as 2026")
    until.add_argument("--period", type=period, help="a month alone, such as 2026-10")
    carry.set_defaults(work=_carry)
    spread = verbs.add_parser("spread", help="spread the material cost variance of a period (ASBE)")
    spread.add_argument("company", help="the company's code")
    spread.add_argument("--period", required=True, type=period, help="such as 2026-10")
    spread.set_defaults(work=_spread)


def _carry(dsn: str, arguments: argparse.Namespace) -> int:
    with connect(dsn) as connection:
        company = known_company(connection, arguments.company)
        if arguments.year is not None:
            done = carry_forward(connection, company.company_id, arguments.year, getpass.getuser())
        else:
            done = carry_month(connection, company.company_id, arguments.period, getpass.getuser())
    digits = company.settings.minor_digits
    print(
        f"{arguments.company} {done.day}: {len(done.documents)} documents, {minor_text(done.profit, digits)} to the"
        f" year's profit, {minor_text(done.retained, digits)} to retained earnings"
    )
    return 0


def _spread(dsn: str, arguments: argparse.Namespace) -> int:
    with connect(dsn) as connection:
        company = known_company(connection, arguments.company)
        done = spread_variance(connection, company.company_id, arguments.period, getpass.getuser())
    digits = company.settings.minor_digits
    for one in done.classes:
        print(
            f"{one.item_class}: variance {minor_text(one.variance, digits)} on {minor_text(one.available, digits)} at"
            f" standard, {minor_text(one.issued, digits)} of it issued: {minor_text(one.share, digits)} to issues"
            + (f" ({one.note})" if one.note else "")
        )
    print(f"{arguments.company} {arguments.period}: {len(done.documents)} documents")
    return 0


def _year(text: str) -> int:
    if not (text.isdecimal() and len(text) == 4 and text > "0999"):
        raise argparse.ArgumentTypeError(f"expected a year such as 2026, got {text!r}")
    return int(text)
