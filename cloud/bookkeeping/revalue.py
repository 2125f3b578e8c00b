"""`tallygate ledger revalue COMPANY --period 2026-10`: monetary balances in other currencies at the closing rate."""

import argparse
import getpass

from cloud.bookkeeping.terminal import connect, period
from cloud.domain.currency import RATE_DIGITS, code_of, digits_of
from cloud.domain.decimals import minor_text
from cloud.flows.ledger.revalue_currencies import RevaluedLine, compare, revalue
from cloud.imports.import_items import known_company


def add_commands(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """`revalue`."""
    command = verbs.add_parser("revalue", help="revalue monetary balances in other currencies at a period's end")
    command.add_argument("company", help="the company's code")
    command.add_argument("--period", required=True, type=period, help="such as 2026-10")
    command.add_argument("--dry-run", action="store_true", help="show what would be posted")
    command.set_defaults(work=_revalue)


def _revalue(dsn: str, arguments: argparse.Namespace) -> int:
    with connect(dsn) as connection:
        company = known_company(connection, arguments.company)
        if arguments.dry_run:
            lines = compare(connection, company.company_id, arguments.period)
        else:
            lines = revalue(connection, company.company_id, arguments.period, getpass.getuser()).lines
    base, digits = company.settings.currency, company.settings.minor_digits
    for line in lines:
        print(_told(line, base, digits))
    total = minor_text(sum(line.difference for line in lines), digits)
    verb = "would post" if arguments.dry_run else "posted"
    changed = sum(line.difference != 0 for line in lines)
    print(
        f"{arguments.company} {arguments.period}: {len(lines)} balances, {changed} {verb}, {total} {base} in all"
    )
    return 0


def _told(line: RevaluedLine, base: str, digits: int) -> str:
    held = f"{minor_text(line.currency_balance, digits_of(line.currency))} {code_of(line.currency)}"
    rate = (
        "" if line.rate is None else f" at {minor_text(line.rate.rate_nano, RATE_DIGITS).rstrip('0').rstrip('.')}"
    )
    return (
        f"{line.number}  {held}{rate} = {minor_text(line.worth, digits)} {base}"
        f"  was {minor_text(line.balance, digits)}  difference {minor_text(line.difference, digits)}"
    )
