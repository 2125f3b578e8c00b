"""`tallygate import items FILE.csv`: the items of a company, all rows or none.

Columns: code, name_zh, name_en, unit, gtin, item_class, method. Only code and one of the names must be
filled; an empty unit is pcs, an empty item_class goods, an empty method moving_average.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from cloud.domain.catalog import Item
from cloud.imports.csv_file import BadFile, Problem, Row, read_values, twins
from cloud.store import master

NEEDED = ("code",)
OPTIONAL = ("name_zh", "name_en", "unit", "gtin", "item_class", "method")


@dataclass(frozen=True, slots=True)
class ItemsImported:
    """How many items the file had, and how many of them are new."""

    company: str
    items: int
    new: int

    def as_json(self) -> dict[str, Any]:
        """For --json."""
        return {"company": self.company, "items": self.items, "new": self.new}


def read_items(path: Path, encoding: str = "utf-8-sig") -> list[tuple[Row, Item]]:
    """Raises BadFile, OSError."""
    rows = read_values(path, NEEDED, OPTIONAL, lambda row: _item(row, path.name), encoding)
    problems = twins([(row, item.code) for row, item in rows], "code")
    problems += twins([(row, item.gtin or "") for row, item in rows], "gtin")
    if problems:
        raise BadFile(path, problems)
    return rows


def import_items(
    connection: psycopg.Connection, path: Path, company_code: str, encoding: str = "utf-8-sig"
) -> ItemsImported:
    """Write the file's items in one transaction. Raises BadFile, UnknownCode, OSError, psycopg.Error."""
    company_id = known_company(connection, company_code).company_id
    rows = read_items(path, encoding)
    items = [item for _, item in rows]
    with connection.transaction():
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


def _item(row: Row, file: str) -> Item:
    return Item(
        code=row.needed("code"),
        name_zh=row["name_zh"],
        name_en=row["name_en"],
        unit=row["unit"] or "pcs",
        gtin=row["gtin"] or None,
        item_class=row["item_class"] or "goods",
        method=row["method"] or "moving_average",
        provenance=f"imported from {file}",
    )


def _complaint(conflict: master.ItemConflict) -> str:
    if conflict.column == "gtin":
        return f"{conflict.new} is the GTIN of item {conflict.old}"
    return f"the item has moved already: expected {conflict.old} as in the books, got {conflict.new}"
