"""`tallygate ledger dry-run COMPANY FILE.json`: what movements and value events would post; nothing is booked.

The file is what POST /v1/movements takes, with `value_events` beside the movements if there are any; `-` reads it
from standard input. Answers 1 when something would be refused.
"""

import argparse
import sys
from pathlib import Path

from cloud.bookkeeping.movement_file import named_movements, read_file, value_events
from cloud.bookkeeping.rules import rule_line
from cloud.bookkeeping.terminal import company_of, connect
from cloud.domain.currency import code_of, digits_of
from cloud.domain.decimals import minor_text
from cloud.domain.movement import Kind, Tag
from cloud.flows.ledger.dry_run import DryEntry, Rehearsal, dry_run
from cloud.flows.name_movements import resolve
from cloud.store.batches import load_company
from cloud.store.ledger.rules import EntryLine

REFUSED = 1


def add_commands(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """`dry-run`."""
    parser = verbs.add_parser("dry-run", help="what movements would post; nothing is booked")
    parser.add_argument("company", help="the company's code")
    parser.add_argument("file", type=Path, help="JSON, as POST /v1/movements takes it; - for standard input")
    parser.set_defaults(work=_dry_run)


def _dry_run(dsn: str, arguments: argparse.Namespace) -> int:
    text = sys.stdin.buffer.read() if str(arguments.file) == "-" else arguments.file.read_bytes()
    file = read_file(text)
    named = named_movements(file)
    with connect(dsn) as connection, connection.transaction(force_rollback=True), connection.cursor() as cursor:
        company = load_company(cursor, company_of(connection, arguments.company))
        rows = resolve(connection, company.company_id, named, company.currency, company.time_zone)
        events = value_events(file, company.company_id)
        rehearsal = dry_run(connection, company.company_id, rows, value_events=events)
    _tell(rehearsal, company.minor_digits)
    return 0 if rehearsal.would_be_booked else REFUSED


def _tell(rehearsal: Rehearsal, digits: int) -> None:
    for entry in rehearsal.entries:
        print(_head(entry))
        for line in entry.lines:
            print(f"  {_line(line, digits)}")
    for row in sorted(rehearsal.rules.keys() - {entry.row for entry in rehearsal.entries}):
        print(f"movement {row + 1}: no entry, rule {rule_line(rehearsal.rules[row])}")
    for one in rehearsal.refused:
        what = "value events" if one.event else "movement"
        where = [f"{what} {one.row + 1}"] if one.row is not None else ["value events"] * one.event
        print(f"refused: {', '.join([*where, *[one.field] * bool(one.field)])}{': ' * bool(where)}{one.why}")


def _head(entry: DryEntry) -> str:
    what = "value event" if entry.row is None else f"movement {entry.row + 1}"
    tags = " ".join(tag.name.lower() for tag in Tag if entry.tags & tag and tag.name)
    told = f"{what}  {Kind(entry.kind).name.lower()}  {entry.posting_date}  period {entry.period_id}"
    told += f"  {entry.document}" if entry.document else ""
    told += f"  [{tags}]" if tags else ""
    return told + (f"\n  rule {rule_line(entry.rule)}" if entry.rule is not None else "")


def _line(line: EntryLine, digits: int) -> str:
    told = f"{'Dr' if line.amount > 0 else 'Cr'} {line.number} {line.name_zh} · {line.name_en}"
    told += f"  {line.dimensions}" if line.dimensions else ""
    told += f"  {minor_text(abs(line.amount), digits)}"
    if line.currency:
        told += f"  ({code_of(line.currency)} {minor_text(abs(line.currency_amount), digits_of(line.currency))})"
    return told
