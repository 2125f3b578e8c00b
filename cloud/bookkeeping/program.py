"""`tallygate ledger COMMAND`: what accountants and those who set up their books do at a terminal.

Each module of this room is one noun and adds its own commands; `tallygate ledger --help` lists them all.
"""

import argparse
import sys
from collections.abc import Sequence
from types import ModuleType

import psycopg

from cloud import settings
from cloud.bookkeeping import (
    chart,
    closing,
    dimensions,
    documents,
    dry_run,
    open_items,
    period_end,
    rates,
    revalue,
    rules,
    trial_balance,
    vouchers,
)

# Each has add_commands(verbs); a command's `work(dsn, arguments)` returns the exit status.
MODULES: tuple[ModuleType, ...] = (
    chart,
    dimensions,
    rules,
    dry_run,
    documents,
    rates,
    revalue,
    vouchers,
    closing,
    open_items,
    trial_balance,
    period_end,
)


def main(argv: Sequence[str] | None = None) -> int:
    """The program: a command's own status; 2 when it cannot be asked or is refused."""
    parser = argparse.ArgumentParser(
        prog="tallygate ledger", description="chart, rules, periods, rates, documents"
    )
    verbs = parser.add_subparsers(metavar="COMMAND", required=True)
    for module in MODULES:
        module.add_commands(verbs)
    arguments = parser.parse_args(argv)
    try:
        return int(arguments.work(settings.dsn(), arguments))
    except (settings.WrongSetting, ValueError, LookupError, OSError, psycopg.Error) as error:
        print(f"tallygate ledger: {str(error).strip()}", file=sys.stderr)
        return 2
