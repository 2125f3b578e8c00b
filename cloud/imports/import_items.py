"""`tallygate import items FILE.csv`: the items of a company, all rows or none.

Columns: code, name_zh, name_en, unit, gtin, item_class, method, tracking, weight_g, volume_cm3. Only code and one
of the names must be filled; an empty unit is pcs, an empty item_class goods, an empty method the item's own and for
a new item the company's default. tracking is none, lot or serial; empty as it is, else serial where the method is
specific. Weight and volume are of one stock unit.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from cloud.domain.catalog import MILLI_DIGITS, Item, WrongMasterData, check_method
from cloud.domain.decimals import NotADecimal, parse_scaled
from cloud.imports.csv_file import BadCell, BadFile, Problem, Row, read_values, twins
from cloud.store import master

NEEDED = ("code",)
OPTIONAL = ("name_zh", "name_en", "unit", "gtin", "item_class", "method", "tracking", "weight_g", "volume_cm3")


@dataclass(frozen=True, slots=True)
class ItemsImported:
    """How many items the file had, and how many of them are new."""

    company: str
    items: int
    new: int

    def as_json(self) -> dict[str, Any]:
        """For --json."""
        return {"company": self.company, "items": self.items, "new": self.new}


def read_items(path: Path, profile: str, encoding: str = "utf-8-sig") -> list[tuple[Row, Item]]:
    """The rows' items; `profile`: the company's, which may forbid a method. Raises BadFile, OSError."""
    rows = read_values(path, NEEDED, OPTIONAL, lambda row: _item(row, path.name, profile), encoding)
    problems = twins([(row, item.code) for row, item in rows], "code")
    problems += twins([(row, item.gtin or "") for row, item in rows], "gtin")
    if problems:
        raise BadFile(path, problems)
    return rows


def import_items(
    connection: psycopg.Connection, path: Path, company_code: str, encoding: str = "utf-8-sig"
) -> ItemsImported:
    """Write the file's items in one transaction. Raises BadFile, UnknownCode, OSError, psycopg.Error."""
    company = known_company(connection, company_code)
    company_id = company.company_id
    rows = read_items(path, company.settings.profile, encoding)
    with connection.transaction():
        decided = master.decide_methods(connection, company_id, [item for _, item in rows])
        if problems := [
            Problem(row.line, wrong.column, wrong.complaint)
            for (row, _), wrong in zip(rows, decided, strict=True)
            if isinstance(wrong, WrongMasterData)
        ]:
            raise BadFile(path, problems)
        items = [item for item in decided if isinstance(item, Item)]
        lines = {item.code: row.line for row, item in rows}
        if conflicts := master.item_conflicts(connection, company_id, items):
            raise BadFile(
                path,
                [Problem(lines[c.code], c.column, _complaint(c)) for c in conflicts],
            )
        before = master.item_ids(connection, company_id)
        master.put_items(connection, company_id, items)
    return ItemsImported(company_code, len(items), sum(item.code not in before for item in items))


def known_company(connection: psycopg.Connection, code: str) -> master.StoredCompany:
    """Raises UnknownCode."""
    if (found := master.find_company(connection, code)) is None:
        raise master.UnknownCode(f"no company has the code {code!r}; `tallygate company apply` makes one")
    return found


def _item(row: Row, file: str, profile: str) -> Item:
    item = Item(
        code=row.needed("code"),
        name_zh=row["name_zh"],
        name_en=row["name_en"],
        unit=row["unit"] or "pcs",
        gtin=row["gtin"] or None,
        item_class=row["item_class"] or "goods",
        method=row["method"] or None,
        provenance=f"imported from {file}",
        tracking=row["tracking"] or None,
        weight_mg=_milli(row, "weight_g"),
        volume_mm3=_milli(row, "volume_cm3"),
    )
    if item.method is not None:
        check_method(item.method, profile)
    return item


def _milli(row: Row, column: str) -> int | None:
    if not row[column]:
        return None
    try:
        return parse_scaled(row[column], MILLI_DIGITS)
    except NotADecimal as error:
        raise BadCell(column, str(error)) from error


def _complaint(conflict: master.ItemConflict) -> str:
    if conflict.column == "gtin":
        return f"{conflict.new} is the GTIN of item {conflict.old}"
    return f"the item has moved already: expected {conflict.old} as in the books, got {conflict.new}"
