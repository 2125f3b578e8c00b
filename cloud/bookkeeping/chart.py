"""`tallygate ledger chart`: a company's chart of accounts, shown, written to a file, and read from one.

tallygate ledger chart show COMPANY [--on DAY]
tallygate ledger chart export COMPANY [FILE.toml | FILE.csv]          TOML on the terminal without a file
tallygate ledger chart load COMPANY FILE.toml|FILE.csv [--dry-run] [--remove]

A file says the whole of each account that it names; `export` writes one that `load` reads again without a change.
Accounts that it does not name stay, or go with --remove as far as the books never spoke of them. All or nothing.
"""

import argparse
from datetime import date
from pathlib import Path

from cloud.bookkeeping.terminal import company_of, connect, is_csv, put, told
from cloud.domain.ledger.accounts import LAST_DAY, Account, WrongChart
from cloud.domain.ledger.chart_file import chart_csv, chart_toml, read_chart
from cloud.flows.ledger import edit_chart


def add_commands(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """`chart show`, `chart export` and `chart load`."""
    nouns = verbs.add_parser("chart", help="the chart of accounts").add_subparsers(
        metavar="COMMAND", required=True
    )
    show = nouns.add_parser("show", help="accounts by number, sub-accounts below their headers")
    show.add_argument("--on", type=date.fromisoformat, help="those that take lines of this day (2026-01-31)")
    show.set_defaults(work=_show)
    export = nouns.add_parser("export", help="write it to a file that `load` reads")
    export.set_defaults(work=_export)
    load = nouns.add_parser("load", help="make it what a file says")
    load.add_argument("--dry-run", action="store_true", help="only tell what would change")
    load.add_argument(
        "--remove", action="store_true", help="accounts without lines that the file does not name go"
    )
    load.set_defaults(work=_load)
    for command in (show, export, load):
        command.add_argument("company", help="the company's code")
    export.add_argument("file", type=Path, nargs="?", help="its ending says the form: .toml or .csv")
    load.add_argument("file", type=Path, help="its ending says the form: .toml or .csv")


def _show(dsn: str, arguments: argparse.Namespace) -> int:
    with connect(dsn) as connection:
        accounts = edit_chart.read_chart(connection, company_of(connection, arguments.company))
    by_number = {account.number: account for account in accounts}
    for account in accounts:
        if arguments.on is None or account.is_valid_on(arguments.on):
            print(_line(account, _depth(account, by_number)))
    return 0


def _export(dsn: str, arguments: argparse.Namespace) -> int:
    with connect(dsn) as connection:
        accounts = edit_chart.read_chart(connection, company_of(connection, arguments.company))
    write = chart_csv if arguments.file is not None and is_csv(arguments.file) else chart_toml
    put(write(accounts), arguments.file, f"{len(accounts)} accounts")
    return 0


def _load(dsn: str, arguments: argparse.Namespace) -> int:
    is_csv(arguments.file)
    file = read_chart(arguments.file.read_text(encoding="utf-8"), arguments.file.name)
    with connect(dsn) as connection:
        company_id = company_of(connection, arguments.company)
        try:
            changes = edit_chart.load_chart(
                connection, company_id, file.accounts, removes=arguments.remove, dry_run=arguments.dry_run
            )
        except WrongChart as error:
            raise file.refusal(error.complaints) from error
    for change in changes:
        print(change)
    print(told(arguments.company, len(changes), "accounts", is_dry=arguments.dry_run))
    return 0


def _line(account: Account, depth: int) -> str:
    notes = [account.role or "", f"at {account.site}" if account.site else ""]
    notes += ["sums" if not account.is_postable else "", "control" if account.is_control else ""]
    notes += ["items" if account.has_items else "", "monetary" if account.is_monetary else ""]
    if account.valid_to != LAST_DAY:
        notes.append(f"up to {account.valid_to}")
    notes += [f"{name} required" for name, need in account.dimensions.items() if need == "required"]
    said = ", ".join(note for note in notes if note)
    return f"{'  ' * depth}{account.number}  {account.name}  {account.type}{f'  [{said}]' if said else ''}"


def _depth(account: Account, by_number: dict[str, Account]) -> int:
    depth = 0
    while account.parent is not None:
        account, depth = by_number[account.parent], depth + 1
    return depth
