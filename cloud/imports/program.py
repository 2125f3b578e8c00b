"""`tallygate import …` and `tallygate company apply`: files into the books, from the command line.

    tallygate import online-retail FILE [--day YYYY-MM-DD] [--company CODE] [--location CODE] [--json]
    tallygate import items FILE.csv --company CODE [--encoding NAME] [--json]
    tallygate import expectations FILE.csv --company CODE [--encoding NAME] [--json]
    tallygate company apply FILE.toml [--json]

The database is TALLYGATE_DSN's. Making a company needs the owner's connection, the rest the API's. Exit
codes: 0 done, 1 refused (the reasons on standard error, nothing half-applied), 2 called wrongly.
"""

import argparse
import codecs
import json
import sys
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import psycopg

from cloud.domain.company import WrongDescription
from cloud.domain.decimals import micro_text
from cloud.flows.declare import CannotBook, RequestConflict
from cloud.flows.set_up_company import apply_description
from cloud.imports.company_file import WrongCompanyFile, read_company_file
from cloud.imports.csv_file import BadFile
from cloud.imports.import_expectations import ExpectationsImported, import_expectations
from cloud.imports.import_items import ItemsImported, import_items
from cloud.imports.import_retail import COMPANY, LOCATION, Imported, WrongCompany, import_online_retail
from cloud.imports.online_retail import Fate, WrongFile
from cloud.imports.trading_day import COST_PERCENT
from cloud.settings import WrongSetting, dsn
from cloud.store.master import CannotChange, UnknownCode

CONNECT_TIMEOUT_S = 10
PUT_ASIDE_SHOWN = 20

# What a person can put right; anything else is a fault of ours and shows its traceback.
_REFUSALS = (
    WrongSetting, WrongFile, WrongCompany, WrongCompanyFile, WrongDescription, BadFile, UnknownCode,
    CannotChange, RequestConflict, CannotBook, OSError, psycopg.OperationalError,
    psycopg.errors.InsufficientPrivilege,
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """`tallygate import …`; argv without the verb itself."""
    return _run(_import_parser().parse_args(argv))


def company_main(argv: Sequence[str] | None = None) -> int:
    """`tallygate company …`; argv without the verb itself."""
    return _run(_company_parser().parse_args(argv))


def _run(arguments: argparse.Namespace) -> int:
    work: Callable[[psycopg.Connection, argparse.Namespace], tuple[dict[str, Any], str]] = arguments.work
    try:
        with psycopg.connect(
            dsn(), autocommit=True, connect_timeout=CONNECT_TIMEOUT_S, application_name="tallygate import"
        ) as connection:
            answer, text = work(connection, arguments)
    except _REFUSALS as error:
        print(f"tallygate: {error}", file=sys.stderr)
        return 1
    print(json.dumps(answer, ensure_ascii=False, indent=2) if arguments.json else text)
    return 0


# ── The verbs ───────────────────────────────────────────────────────────────────────────────────────


def _online_retail(connection: psycopg.Connection, arguments: argparse.Namespace) -> tuple[dict[str, Any], str]:
    imported = import_online_retail(
        connection, arguments.file, arguments.day, arguments.company, arguments.location
    )
    return imported.as_json(), retail_text(imported)


def _items(connection: psycopg.Connection, arguments: argparse.Namespace) -> tuple[dict[str, Any], str]:
    imported: ItemsImported = import_items(connection, arguments.file, arguments.company, arguments.encoding)
    return imported.as_json(), f"{imported.items} items in {imported.company}, {imported.new} of them new"


def _expectations(connection: psycopg.Connection, arguments: argparse.Namespace) -> tuple[dict[str, Any], str]:
    imported: ExpectationsImported = import_expectations(
        connection, arguments.file, arguments.company, arguments.encoding
    )
    again = ", all of them there already: nothing changed" if imported.replayed else ""
    return imported.as_json(), f"{len(imported.expectation_ids)} expectations in {imported.company}{again}"


def _company_apply(connection: psycopg.Connection, arguments: argparse.Namespace) -> tuple[dict[str, Any], str]:
    described = read_company_file(arguments.file)
    company_id = apply_description(connection, described)
    counts = {
        "sites": len(described.sites),
        "gates": len(described.gates),
        "gateways": len(described.gateways),
        "items": len(described.items),
    }
    listed = ", ".join(f"{number} {name}" for name, number in counts.items())
    answer = {"company": described.settings.code, "company_id": company_id, **counts}
    return answer, f"company {described.settings.code}: {listed}"


def retail_text(imported: Imported) -> str:
    """What an import of a trading day did, in words."""
    report, articles = imported.plan.report, imported.catalogue.articles.values()
    fates = report.fates
    chosen = ", the file's most typical: its number of lines is the median of all days" * imported.day_is_default
    services = ", ".join(f"{code} {number}" for code, number in sorted(report.services.items()))
    renamed, respelled = sum(len(a.names) > 1 for a in articles), sum(bool(a.spellings) for a in articles)
    text = [
        f"Online Retail (Chen 2015, UCI, CC BY 4.0) into company {imported.company}",
        f"items      {imported.items} articles; {renamed} with several descriptions (the commonest was taken),"
        f" {respelled} with codes that differ only in case",
        f"day        {report.day}{chosen}",
        f"lines      {report.lines}, each of them counted once:",
        f"  {fates[Fate.SALE]:>6}  sold: sales shipments, at selling prices {micro_text(report.sold_micro, 2)} GBP"
        " (shown, not posted)",
        f"  {fates[Fate.RETURN]:>6}  cancelled: customer returns",
        f"  {fates[Fate.SCRAP]:>6}  written off: scrap, with the reason in its document",
        f"  {fates[Fate.FOUND]:>6}  found: count gains, with the reason in their document",
        f"  {fates[Fate.SERVICE]:>6}  services and money, no goods{f': {services}' if services else ''}",
        f"  {fates[Fate.UNKNOWN_CODE]:>6}  with a code that is no article's",
        f"  {fates[Fate.UNREADABLE]:>6}  that cannot be",
        f"           {report.prices_missing} moved goods without a selling price,"
        f" {report.without_customer} sales and returns name no customer",
    ]
    text += [
        f"           row {aside.row}, invoice {aside.invoice}, code {aside.code!r}: {aside.reason}"
        for aside in report.put_aside[:PUT_ASIDE_SHOWN]
    ]
    if (more := len(report.put_aside) - PUT_ASIDE_SHOWN) > 0:
        text.append(f"           and {more} more (all of them with --json)")
    text += [
        f"made up    {report.receipts} receipts of {report.received_pieces} pieces for"
        f" {micro_text(report.received_micro, 2)} GBP before the day's first line, at {COST_PERCENT} % of each"
        f" article's median selling price ({report.default_prices} have none: the median article's);"
        " documents MADE-UP-…",
        f"movements  {imported.movements}"
        + (", all of them in the books already: nothing changed" if imported.replayed else ""),
    ]
    return "\n".join(text)


# ── The command line ────────────────────────────────────────────────────────────────────────────────


def _import_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tallygate import", description="Bring files into the books.")
    verbs = parser.add_subparsers(required=True, metavar="WHAT")
    retail = verbs.add_parser("online-retail", help="goods and one trading day of the Online Retail set (Parquet)")
    retail.add_argument("file", type=Path)
    retail.add_argument("--day", type=_day, help="YYYY-MM-DD; by default the file's most typical day")
    retail.add_argument(
        "--company", default=COMPANY, help=f"a company kept in GBP (default {COMPANY}, made if absent)"
    )
    retail.add_argument("--location", default=LOCATION, help=f"where the goods lie (default {LOCATION})")
    retail.set_defaults(work=_online_retail)
    for name, work, what in (
        ("items", _items, "items from CSV: code, name_zh, name_en, unit, gtin, item_class, method"),
        ("expectations", _expectations, "what gates may expect, from CSV"),
    ):
        verb = verbs.add_parser(name, help=what)
        verb.add_argument("file", type=Path)
        verb.add_argument("--company", required=True, help="the company's code")
        verb.add_argument(
            "--encoding", type=_encoding, default="utf-8-sig", help="such as gb18030; by default UTF-8"
        )
        verb.set_defaults(work=work)
    for verb in verbs.choices.values():
        verb.add_argument("--json", action="store_true", help="answer in JSON")
    return parser


def _company_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tallygate company", description="Set up companies.")
    verbs = parser.add_subparsers(required=True, metavar="WHAT")
    apply = verbs.add_parser("apply", help="write a company's description (TOML); a second time changes nothing")
    apply.add_argument("file", type=Path)
    apply.add_argument("--json", action="store_true", help="answer in JSON")
    apply.set_defaults(work=_company_apply)
    return parser


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected YYYY-MM-DD, got {text!r}") from None


def _encoding(name: str) -> str:
    try:
        return codecs.lookup(name).name
    except LookupError:
        raise argparse.ArgumentTypeError(f"expected an encoding such as utf-8 or gb18030, got {name!r}") from None


if __name__ == "__main__":
    sys.exit(main())
