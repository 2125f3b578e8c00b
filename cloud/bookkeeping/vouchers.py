"""`tallygate ledger number` and `tallygate ledger vouchers`: give voucher numbers, and list entries by them.

tallygate ledger number COMPANY [--period 2026-10]      number what has no number yet (the job does it by itself)
tallygate ledger vouchers COMPANY --period 2026-10      the period's entries in the order of their numbers
"""

import argparse
from collections.abc import Iterator

from cloud.bookkeeping.terminal import connect, period
from cloud.domain.decimals import minor_text
from cloud.domain.movement import Kind
from cloud.flows.ledger.number_vouchers import number_vouchers
from cloud.imports.import_items import known_company
from cloud.store.feeds import EntryRow, LineRow, read_lines
from cloud.store.ledger.vouchers import Number, in_order, unnumbered

PAGE_ROWS = 500


def add_commands(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """`number` and `vouchers`."""
    number = verbs.add_parser("number", help="give voucher numbers to entries that have none")
    number.add_argument("company", help="the company's code")
    number.add_argument("--period", type=period, help="only of this period, such as 2026-10")
    number.set_defaults(work=_number)
    listed = verbs.add_parser("vouchers", help="a period's entries in the order of their voucher numbers")
    listed.add_argument("company", help="the company's code")
    listed.add_argument("--period", required=True, type=period, help="such as 2026-10")
    listed.set_defaults(work=_list)


def _number(dsn: str, arguments: argparse.Namespace) -> int:
    with connect(dsn) as connection:
        company = known_company(connection, arguments.company)
        given = number_vouchers(connection, company.company_id, arguments.period)
        print(f"{arguments.company}: {given} entries are numbered")
        if arguments.period and (left := unnumbered(connection, company.company_id, arguments.period)):
            print(f"{arguments.company}: {left} of {arguments.period} wait for transactions that are not over")
    return 0


def _list(dsn: str, arguments: argparse.Namespace) -> int:
    with connect(dsn) as connection, connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        company = known_company(connection, arguments.company)
        after = Number("", 0)
        while rows := in_order(connection, company.company_id, arguments.period, after, PAGE_ROWS):
            lines = read_lines(connection, company.company_id, [(row.source_id, row.step) for row in rows])
            for row in rows:
                for text in _told(row, lines[row.source_id, row.step], company.settings.minor_digits):
                    print(text)
            after = Number.of(rows[-1].voucher or "")
        if left := unnumbered(connection, company.company_id, arguments.period):
            print(f"{left} entries have no number yet")
    return 0


def _told(row: EntryRow, lines: list[LineRow], digits: int) -> Iterator[str]:
    said = f"{row.voucher}  {row.posting_date}  {Kind(row.kind).name.lower()}  {row.document}".rstrip()
    yield f"{said}  {row.source_id}.{row.step}"
    for line in lines:
        side = ("Dr", "Cr")[line.amount < 0]
        yield f"    {side} {line.number} {line.name_zh}  {minor_text(abs(line.amount), digits)}"
