"""`tallygate ledger drafts`, `reverse` and `documents`: what waits for an invoice, what was posted, taking it back.

tallygate ledger drafts COMPANY [--all]
tallygate ledger documents COMPANY [--kind supplier_invoice] [--id DOCUMENT]
tallygate ledger reverse COMPANY DOCUMENT [--on 2026-11-30] [--reason "wrong account"]
"""

import argparse
import getpass
import hashlib
import uuid
from datetime import UTC, date, datetime

from cloud.bookkeeping.terminal import connect
from cloud.cost_files.tables import table
from cloud.domain.currency import code_of, digits_of
from cloud.domain.decimals import micro_text, minor_text
from cloud.domain.moments import moment_of
from cloud.domain.movement import Kind
from cloud.flows.answer_once import Request
from cloud.flows.ledger.reverse_document import reverse_document
from cloud.imports.import_items import known_company
from cloud.store.ledger import documents as store
from cloud.store.master import StoredCompany

KINDS = {kind.name.lower(): kind for kind in Kind if kind.is_document}
_PAGE = 500


def add_commands(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """`drafts`, `documents`, `reverse`."""
    drafts = verbs.add_parser("drafts", help="shipments that wait for their invoice")
    drafts.add_argument("company", help="the company's code")
    drafts.add_argument("--all", action="store_true", help="also those that were posted or dismissed")
    drafts.set_defaults(work=_drafts)
    shown = verbs.add_parser("documents", help="invoices, payments, clearings and entries by hand")
    shown.add_argument("company", help="the company's code")
    shown.add_argument("--kind", choices=sorted(KINDS), help="of one kind")
    shown.add_argument("--id", type=uuid.UUID, help="this one, with its lines")
    shown.set_defaults(work=_documents)
    reverse = verbs.add_parser("reverse", help="take a document or an entry by hand back")
    reverse.add_argument("company", help="the company's code")
    reverse.add_argument("document", type=uuid.UUID, help="its id")
    reverse.add_argument("--on", type=_day, help="the day it is posted; the original's, unless said")
    reverse.add_argument("--reason", default="", help="why")
    reverse.set_defaults(work=_reverse)


def _drafts(dsn: str, arguments: argparse.Namespace) -> int:
    with connect(dsn) as connection:
        company = known_company(connection, arguments.company)
        rows, after = [], (-(2**62), uuid.UUID(int=0))
        state = None if arguments.all else "waiting"
        while page := store.drafts(connection, company.company_id, state, after, _PAGE):
            rows += page
            after = page[-1].occurred_us, page[-1].movement_id
    if not rows:
        print(f"{arguments.company}: no shipment waits for its invoice")
        return 0
    cells = [
        [
            moment_of(row.occurred_us).date().isoformat(), row.party or "", row.document, row.item,
            micro_text(row.qty_micro), *_money(company, row.net_amount, row.currency), row.state, str(row.movement_id),
        ]
        for row in rows
    ]  # fmt: skip
    heads = ("day", "customer", "document", "item", "quantity", "net", "in", "state", "shipment")
    print("\n".join(table(heads, cells, ("quantity", "net"))))
    return 0


def _documents(dsn: str, arguments: argparse.Namespace) -> int:
    kinds = [int(KINDS[arguments.kind])] if arguments.kind else [int(kind) for kind in KINDS.values()]
    with connect(dsn) as connection:
        company = known_company(connection, arguments.company)
        rows, after = [], (datetime(1, 1, 1, tzinfo=UTC), uuid.UUID(int=0))
        while page := store.documents(connection, company.company_id, kinds, after, _PAGE, arguments.id):
            rows += page
            after = page[-1].recorded_at, page[-1].document_id
        lines = (
            store.document_lines(connection, company.company_id, [arguments.id])[arguments.id]
            if arguments.id
            else []
        )
    if not rows:
        print(f"{arguments.company}: no document")
        return 1 if arguments.id else 0
    cells = [
        [
            row.posting_date.isoformat(), Kind(row.kind).name.lower().replace("_", " "), row.party or "", row.number,
            row.narration, row.recorded_by, "taken back" if row.corrected_by else "reversal" if row.corrects else "",
            str(row.document_id),
        ]
        for row in rows
    ]  # fmt: skip
    print("\n".join(table(("day", "kind", "party", "number", "for", "by", "", "document"), cells, ())))
    digits = company.settings.minor_digits
    for line in lines:
        side = "Dr" if line.amount > 0 or (line.amount == 0 and line.currency_amount > 0) else "Cr"
        told = " ".join(_money(company, line.currency_amount, line.currency)) if line.currency else ""
        print(
            f"  {side} {line.number} {line.name_en or line.name_zh}  {minor_text(abs(line.amount), digits)}  {told}"
        )
    return 0


def _reverse(dsn: str, arguments: argparse.Namespace) -> int:
    told = f"reverse {arguments.document} {arguments.on} {arguments.reason}".encode()
    # One reversal of a document at most, so the document is the key: a second try finds the first.
    request = Request(f"reverse/{arguments.document}", hashlib.sha256(told).digest(), getpass.getuser())
    with connect(dsn) as connection:
        company = known_company(connection, arguments.company)
        answered = reverse_document(
            connection, company.company_id, arguments.document, request, posting_day=arguments.on,
            reason=arguments.reason,
        )  # fmt: skip
    said = "was taken back before" if answered.replayed else "is taken back"
    print(f"{arguments.document} {said} by {answered.ids[0]}")
    return 0


def _money(company: StoredCompany, amount: int, currency: int) -> tuple[str, str]:
    digits = digits_of(currency) if currency else company.settings.minor_digits
    return minor_text(amount, digits), code_of(currency) if currency else company.settings.currency


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a day such as 2026-11-30, got {text!r}") from None
