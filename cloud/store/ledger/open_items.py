"""Open items of clearing accounts, receivables and payables, and layers of goods on their way: rows ↔ values."""

from dataclasses import dataclass
from datetime import date
from typing import NamedTuple
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from cloud.store.sql import statement

NOUN = "open_items"
_NOBODY = UUID(int=0)
SUMS_MEMORY = "128MB"  # a million items are summed in it without writing any of them to disk; for one transaction


class After(NamedTuple):
    """A place in the list: behind this item, or layer."""

    account: str = ""
    day: date = date.min
    item: UUID = _NOBODY
    pool_id: int = -(2**63)
    layer_no: int = -1


@dataclass(frozen=True, slots=True)
class ItemRow:
    """An item of an account: amounts in minor units; what opened it, in codes and names, as far as it is known."""

    account: str
    account_zh: str
    account_en: str
    opened_on: date
    item: UUID
    amount: int
    currency: str | None
    currency_digits: int | None
    currency_amount: int
    kind: int | None
    document: str | None
    party: str | None
    party_name: str | None
    qty_micro: int | None
    unit: str | None
    goods: str | None
    goods_zh: str | None
    goods_en: str | None
    narration: str | None

    @property
    def place(self) -> After:
        """Where it stands in the list."""
        return After(self.account, self.opened_on, self.item)


@dataclass(frozen=True, slots=True)
class LayerRow:
    """A layer of goods in transit or in clarification: quantity and value in 10⁻⁶, negative for a shortage."""

    account: str
    account_zh: str
    account_en: str
    opened_on: date
    item: UUID
    pool_id: int
    layer_no: int
    qty_left: int
    value_left: int
    uncosted: bool
    occurred_us: int
    kind: int | None
    document: str | None
    party: str | None
    party_name: str | None
    unit: str | None
    goods: str | None
    goods_zh: str | None
    goods_en: str | None

    @property
    def place(self) -> After:
        """Where it stands in the list."""
        return After(self.account, self.opened_on, self.item, self.pool_id, self.layer_no)


@dataclass(frozen=True, slots=True)
class AccountKind:
    """Whether the chart has the account, and whether its items are layers."""

    is_there: bool
    by_layers: bool


def account_kind(connection: psycopg.Connection, company_id: int, account: str) -> AccountKind:
    """What kind of items an account has."""
    where = {"company": company_id, "account": account}
    with connection.cursor(row_factory=class_row(AccountKind)) as cursor:
        row = cursor.execute(statement(NOUN, "kept_by_layers"), where).fetchone()
    assert row is not None  # noqa: S101  a SELECT without FROM has a row
    return row


def items(
    connection: psycopg.Connection,
    company_id: int,
    after: After,
    limit: int,
    as_of: date,
    account: str | None = None,
    party: str | None = None,
) -> list[ItemRow]:
    """Items that are open at the end of a day, by account, day and id; `account` stands for those below it, too."""
    where = _where(company_id, after, limit, account, party)
    accounts = [row[0] for row in connection.execute(statement(NOUN, "accounts"), where)]
    with connection.cursor(row_factory=class_row(ItemRow)) as cursor:
        cursor.execute(f"SET LOCAL work_mem = '{SUMS_MEMORY}'")
        return cursor.execute(statement(NOUN, "items"), where | {"as_of": as_of, "accounts": accounts}).fetchall()


def layers(
    connection: psycopg.Connection,
    company_id: int,
    after: After,
    limit: int,
    account: str | None = None,
    party: str | None = None,
) -> list[LayerRow]:
    """Layers of goods in transit and in clarification as they are now, in the same order."""
    with connection.cursor(row_factory=class_row(LayerRow)) as cursor:
        return cursor.execute(
            statement(NOUN, "layers"), _where(company_id, after, limit, account, party)
        ).fetchall()


def _where(company_id: int, after: After, limit: int, account: str | None, party: str | None) -> dict[str, object]:
    return {
        "company": company_id,
        "account": account,
        "party": party,
        "limit": limit,
        "after_account": after.account,
        "after_day": after.day,
        "after_item": after.item,
        "after_pool": after.pool_id,
        "after_layer": after.layer_no,
    }
