"""`tallygate ledger open-items`: what stands on clearing accounts, receivables and payables, and since when.

tallygate ledger open-items COMPANY [--account 220201] [--as-of 2026-10-31]
"""

import argparse
from datetime import date

from cloud.bookkeeping.terminal import connect
from cloud.cost_files.tables import table
from cloud.domain.decimals import micro_text, minor_text
from cloud.domain.movement import Kind
from cloud.flows.ledger.open_items import every_open, today_in
from cloud.imports.import_items import known_company
from cloud.store.ledger.open_items import ItemRow, LayerRow

_HEADS = ("account", "opened", "days", "amount", "in", "of it", "what", "quantity", "value", "source")


def add_commands(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """`open-items`."""
    shown = verbs.add_parser("open-items", help="what is open on clearing accounts, and since when")
    shown.add_argument("company", help="the company's code")
    shown.add_argument("--account", help="on this account, or below it")
    shown.add_argument("--as-of", type=_day, help="as postings up to this day say; without goods on their way")
    shown.set_defaults(work=_show)


def _show(dsn: str, arguments: argparse.Namespace) -> int:
    with (
        connect(dsn) as connection,
        connection.transaction(),
    ):
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        company = known_company(connection, arguments.company)
        settings = company.settings
        rows = list(every_open(connection, company.company_id, account=arguments.account, as_of=arguments.as_of))
    day = arguments.as_of or today_in(settings.time_zone)
    if not rows:
        print(f"{arguments.company}: nothing is open")
        return 0
    in_chinese = settings.profile == "ASBE"
    cells = [_cells(row, day, settings.minor_digits, in_chinese) for row in rows]
    print("\n".join(table(_HEADS, cells, ("days", "amount", "of it", "quantity", "value"))))
    for account in sorted({row.account for row in rows}):
        print(f"{account}: {_total([row for row in rows if row.account == account], settings.minor_digits)}")
    return 0


def _total(rows: list[ItemRow | LayerRow], digits: int) -> str:
    amount = sum(row.amount for row in rows if isinstance(row, ItemRow))
    value = sum(row.value_left for row in rows if isinstance(row, LayerRow))
    if isinstance(rows[0], LayerRow):
        return f"{len(rows)} layers worth {micro_text(value, digits)}"
    return f"{len(rows)} items, {minor_text(amount, digits)}"


def _cells(row: ItemRow | LayerRow, day: date, digits: int, in_chinese: bool) -> list[str]:
    is_item = isinstance(row, ItemRow)
    goods = (row.goods_zh if in_chinese else row.goods_en) or row.goods_en or row.goods
    kind = "" if row.kind is None else Kind(row.kind).name.lower().replace("_", " ")
    words = [
        kind,
        row.document,
        row.party_name or row.party,
        goods,
        row.narration if isinstance(row, ItemRow) else "",
    ]
    quantity = row.qty_micro if isinstance(row, ItemRow) else row.qty_left
    return [
        f"{row.account} {row.account_zh if in_chinese else row.account_en}",
        row.opened_on.isoformat(),
        str(max((day - row.opened_on).days, 0)),
        minor_text(row.amount, digits) if isinstance(row, ItemRow) else "",
        (row.currency or "") if isinstance(row, ItemRow) else "",
        minor_text(row.currency_amount, row.currency_digits or 0)
        if isinstance(row, ItemRow) and row.currency
        else "",
        " · ".join(word for word in words if word),
        "" if quantity is None else f"{micro_text(quantity)} {row.unit or ''}".rstrip(),
        micro_text(row.value_left, digits) if not is_item and isinstance(row, LayerRow) else "",
        str(row.item),
    ]


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a day such as 2026-10-31, got {text!r}") from None
