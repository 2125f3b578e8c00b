"""`tallygate ledger periods|checklist|close|lock|reopen|report`: the calendar, and closing its periods.

tallygate ledger periods COMPANY                                          each period's state, since when, by whom
tallygate ledger checklist COMPANY --period 2026-10 [--json]              what stands against its lock
tallygate ledger close COMPANY --period 2026-10 [--reason TEXT] [--force]       soft-close it
tallygate ledger lock COMPANY --period 2026-10  [--force --reason TEXT]         lock it for good
tallygate ledger reopen COMPANY --period 2026-10 --reason TEXT              open a soft-closed one again
tallygate ledger report COMPANY --period 2026-10 [--json]                 its newest close report

checklist, close, lock and report end with 1 when the checklist fails; a close that is forced does not.
"""

import argparse
import getpass
import json
import sys
from typing import Any

from cloud.bookkeeping.terminal import connect, period
from cloud.domain.ledger.checklist import failing
from cloud.domain.ledger.close_report_text import checklist_text, report_text
from cloud.flows.ledger.close_checklist import find_period, run_checklist
from cloud.flows.ledger.close_period import CannotClose, Closed, lock, reopen, soft_close
from cloud.imports.import_items import known_company
from cloud.store.ledger import closing


def add_commands(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The calendar's commands."""
    listed = verbs.add_parser("periods", help="the calendar: each period's state, since when, by whom")
    listed.add_argument("company", help="the company's code")
    listed.set_defaults(work=_list)
    checklist = _of_a_period(verbs, "checklist", "what stands against a period's lock")
    checklist.set_defaults(work=_checklist)
    report = _of_a_period(verbs, "report", "a period's newest close report")
    report.set_defaults(work=_report)
    for one in (checklist, report):
        one.add_argument("--json", action="store_true", help="as JSON")
    close = _of_a_period(verbs, "close", "soft-close a period, with what brings it to rest before")
    close.set_defaults(work=_close)
    locked = _of_a_period(verbs, "lock", "lock a soft-closed period for good")
    locked.set_defaults(work=_lock)
    opened = _of_a_period(verbs, "reopen", "open a soft-closed period again")
    opened.set_defaults(work=_reopen)
    for one in (close, locked, opened):
        one.add_argument("--by", default=getpass.getuser(), help="who decides; else the user at this terminal")
        one.add_argument("--reason", default="", required=one is opened, help="why")
    for one in (close, locked):
        one.add_argument("--force", action="store_true", help="although the checklist fails (not: stock = ledger)")


def _of_a_period(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, what: str
) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=what)
    parser.add_argument("company", help="the company's code")
    parser.add_argument("--period", required=True, type=period, help="such as 2026-10")
    return parser


def _list(dsn: str, arguments: argparse.Namespace) -> int:
    with connect(dsn) as connection:
        company = known_company(connection, arguments.company)
        rows = closing.list_periods(connection, company.company_id, after=0, limit=None)
    for one in rows:
        since = "" if one.changed_at is None else f"  {one.changed_at:%Y-%m-%d %H:%M} UTC  {one.changed_by}"
        why = f": {one.reason}" if one.reason else ""
        failed = "  checklist failed" if one.passed is False else ""
        print(f"{one.period_id}  {one.first_day} … {one.last_day}  {one.state:<11}{since}{why}{failed}")
    return 0


def _checklist(dsn: str, arguments: argparse.Namespace) -> int:
    with connect(dsn) as connection:
        company = known_company(connection, arguments.company)
        items = run_checklist(connection, company.company_id, arguments.period)
    shown = [item.as_json() for item in items]
    print(_json(shown) if arguments.json else checklist_text(shown))
    return 1 if failing(items) else 0


def _close(dsn: str, arguments: argparse.Namespace) -> int:
    with connect(dsn) as connection:
        company = known_company(connection, arguments.company)
        closed = soft_close(
            connection, company.company_id, arguments.period,
            by=arguments.by, reason=arguments.reason, force=arguments.force,
        )  # fmt: skip
    _tell(arguments, closed)
    return 0 if closed.passed or arguments.force else 1


def _lock(dsn: str, arguments: argparse.Namespace) -> int:
    with connect(dsn) as connection:
        company = known_company(connection, arguments.company)
        try:
            closed = lock(
                connection, company.company_id, arguments.period,
                by=arguments.by, reason=arguments.reason, force=arguments.force,
            )  # fmt: skip
        except CannotClose as error:
            if not error.items:
                raise
            print(checklist_text(item.as_json() for item in error.items))
            print(f"tallygate ledger: {error}", file=sys.stderr)
            return 1
    _tell(arguments, closed)
    return 0


def _tell(arguments: argparse.Namespace, closed: Closed) -> None:
    print(f"{arguments.company} {arguments.period} {'is now' if closed.changed else 'was already'} {closed.state}")
    for step in closed.report.get("steps", ()):
        if step["refused"]:
            print(f"{step['en']}: {step['refused']}")
    print(checklist_text(closed.report.get("checklist", ())))


def _reopen(dsn: str, arguments: argparse.Namespace) -> int:
    with connect(dsn) as connection:
        company = known_company(connection, arguments.company)
        changed = reopen(
            connection, company.company_id, arguments.period, by=arguments.by, reason=arguments.reason
        )
    print(f"{arguments.company} {arguments.period} {'is now' if changed else 'was already'} open")
    return 0


def _report(dsn: str, arguments: argparse.Namespace) -> int:
    with connect(dsn) as connection:
        company = known_company(connection, arguments.company)
        stored = closing.read_report(connection, company.company_id, arguments.period)
        if stored is None:
            find_period(connection, company.company_id, arguments.period)
            raise LookupError(f"{arguments.company} {arguments.period} was never closed: there is no report")
    print(
        _json(stored.report) if arguments.json else report_text(stored.report), end="\n" if arguments.json else ""
    )
    return 0 if stored.passed else 1


def _json(found: Any) -> str:
    return json.dumps(found, ensure_ascii=False, indent=2)
