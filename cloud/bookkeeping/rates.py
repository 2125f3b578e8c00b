"""`tallygate ledger rates`: exchange rates, recorded from files and shown.

tallygate ledger rates load COMPANY FILE.csv [--source NAME] [--inverse] [--encoding NAME]
tallygate ledger rates show COMPANY [--currency USD] [--from DAY] [--to DAY] [--source NAME] [--all]
tallygate ledger rates show COMPANY --currency USD --on DAY [--source NAME]      the rate that this day takes
tallygate ledger rates source COMPANY [--name NAME]      whose rates the company goes by; naming it is the owner's
"""

import argparse
import getpass
from datetime import date
from pathlib import Path

from cloud.bookkeeping.terminal import connect
from cloud.domain.currency import RATE_DIGITS, code_of, number_of
from cloud.domain.decimals import minor_text
from cloud.flows.ledger.rates import rate_on
from cloud.imports.import_items import known_company
from cloud.imports.import_rates import import_rates
from cloud.store.ledger import rates as store
from cloud.store.ledger.rates import Rate


def add_commands(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """`rates load` and `rates show`."""
    nouns = verbs.add_parser("rates", help="exchange rates by day and source").add_subparsers(
        metavar="COMMAND", required=True
    )
    load = nouns.add_parser("load", help="record the rates of a CSV file, all or none")
    load.add_argument("company", help="the company's code")
    load.add_argument("file", type=Path, help="columns: date, currency, rate, source, units")
    load.add_argument("--source", default="", help="of rows that name none")
    load.add_argument(
        "--inverse", action="store_true", help="rates are the other currency for one of the company's"
    )
    load.add_argument("--encoding", default="utf-8-sig", help="of the file (utf-8-sig)")
    load.set_defaults(work=_load)
    show = nouns.add_parser("show", help="the rates that count, or the one that a day takes")
    show.add_argument("company", help="the company's code")
    show.add_argument("--currency", type=_currency, help="such as USD")
    show.add_argument("--source", help="of this source only")
    show.add_argument("--from", dest="first_day", type=_day, help="from this day on")
    show.add_argument("--to", dest="last_day", type=_day, help="up to this day")
    show.add_argument("--all", action="store_true", help="also rates that a later one of their day replaced")
    show.add_argument("--on", type=_day, help="the rate that this day takes")
    show.set_defaults(work=_show)
    source = nouns.add_parser("source", help="whose rates the company goes by")
    source.add_argument("company", help="the company's code")
    source.add_argument("--name", help="name it, '' for any; needs the owner's connection")
    source.set_defaults(work=_source)


def _load(dsn: str, arguments: argparse.Namespace) -> int:
    with connect(dsn) as connection:
        done = import_rates(
            connection, arguments.file, arguments.company, arguments.source, getpass.getuser(),
            inverted=arguments.inverse, encoding=arguments.encoding,
        )  # fmt: skip
    print(f"{done.company}: {done.added} of {done.rates} rates are new")
    return 0


def _show(dsn: str, arguments: argparse.Namespace) -> int:
    if arguments.on is not None and arguments.currency is None:
        raise ValueError("--on asks for the rate of one currency: name it by --currency")
    with connect(dsn) as connection:
        company = known_company(connection, arguments.company)
        if arguments.on is not None:
            rates = [rate_on(connection, company.company_id, arguments.currency, arguments.on, arguments.source)]
        else:
            rates = store.rates(
                connection, company.company_id, 0, None, currency=arguments.currency, source=arguments.source,
                first_day=arguments.first_day, last_day=arguments.last_day, superseded=arguments.all,
            )  # fmt: skip
    for rate in sorted(rates, key=lambda rate: (rate.day, code_of(rate.currency), rate.source, rate.link_no)):
        print(_line(rate, company.settings.currency))
    return 0


def _source(dsn: str, arguments: argparse.Namespace) -> int:
    with connect(dsn) as connection:
        company_id = known_company(connection, arguments.company).company_id
        if arguments.name is not None:
            store.set_own_source(connection, company_id, arguments.name)
        print(f"{arguments.company}: {store.own_source(connection, company_id) or 'any source'}")
    return 0


def _line(rate: Rate, base: str) -> str:
    told = minor_text(rate.rate_nano, RATE_DIGITS).rstrip("0").rstrip(".")
    return (
        f"{rate.day}  1 {code_of(rate.currency)} = {told} {base}  {rate.source or '-'}"
        f"  recorded {rate.recorded_at:%Y-%m-%d %H:%M:%S%z} by {rate.recorded_by}"
    )


def _currency(text: str) -> int:
    try:
        return number_of(text.upper())
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a day such as 2026-10-31, got {text!r}") from None
