"""`tallygate quarantine`: what could not be booked, and what a person decides about it.

tallygate quarantine list
tallygate quarantine book COMPANY NUMBER --by NAME [--note TEXT] [--payload FILE]
tallygate quarantine dismiss COMPANY NUMBER --by NAME --note TEXT
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import psycopg

from cloud import settings
from cloud.flows.resolve_quarantine import CannotResolve, book_quarantined, dismiss_quarantined
from cloud.store.master import find_company
from cloud.store.sql import statement


def main(argv: Sequence[str] | None = None) -> int:
    """The program; 0 when done, 2 when it cannot be."""
    arguments = _parser().parse_args(argv)
    try:
        with psycopg.connect(
            settings.dsn(), autocommit=True, application_name="tallygate quarantine"
        ) as connection:
            print(arguments.work(connection, arguments))
    except (settings.WrongSetting, CannotResolve, LookupError, OSError, psycopg.Error) as error:
        print(f"tallygate quarantine: {str(error).strip()}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tallygate quarantine", description="what could not be booked")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    verbs.add_parser("list", help="what waits, with its reason").set_defaults(work=_list)
    book = verbs.add_parser("book", help="book it after all, at its own time")
    dismiss = verbs.add_parser("dismiss", help="leave it unbooked for good")
    for verb in (book, dismiss):
        verb.add_argument("company", help="the company's code")
        verb.add_argument("number", type=int, help="as `list` shows it")
        verb.add_argument("--by", required=True, help="who decides")
        verb.add_argument("--note", default="", required=verb is dismiss)
    book.add_argument("--payload", type=Path, help="the movement put right, a JSON file")
    book.set_defaults(work=_book)
    dismiss.set_defaults(work=_dismiss)
    return parser


def _list(connection: psycopg.Connection, _: argparse.Namespace) -> str:
    rows = connection.execute(statement("logs", "waiting")).fetchall()
    lines = [
        f"{code} {number}: {site}/{gateway} epoch {epoch.hex[:8]}, {first} … {last}, {at:%Y-%m-%d %H:%M} UTC: {why}"
        for _, number, code, site, gateway, epoch, first, last, at, why in rows
    ]
    return "\n".join(lines) or "nothing waits in quarantine"


def _book(connection: psycopg.Connection, arguments: argparse.Namespace) -> str:
    payload = None if arguments.payload is None else arguments.payload.read_bytes()
    company = _company(connection, arguments.company)
    book_quarantined(connection, company, arguments.number, arguments.by, arguments.note, payload)
    return f"{arguments.company} {arguments.number} is booked"


def _dismiss(connection: psycopg.Connection, arguments: argparse.Namespace) -> str:
    company = _company(connection, arguments.company)
    dismiss_quarantined(connection, company, arguments.number, arguments.by, arguments.note)
    return f"{arguments.company} {arguments.number} is dismissed"


def _company(connection: psycopg.Connection, code: str) -> int:
    company = find_company(connection, code)
    if company is None:
        raise LookupError(f"no company {code}")
    return company.company_id
