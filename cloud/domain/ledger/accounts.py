"""Accounts: what one is, what a whole chart must be, and what may change in a chart that has books.

A chart is a list of accounts. What is wrong with one account is told by `Account` itself, what is wrong among
accounts by `chart_complaints`, what the books forbid by `change_complaints`; each names the account and the field.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any

FIRST_DAY = date.min
LAST_DAY = date.max
NUMBER_MAX = 20
NAME_MAX = 200

# Goods stand on these: the ledger's side of "stock value = ledger".
STOCK_ROLES = ("raw_material", "goods", "in_transit", "clarification_stock", "wip")
# Cleared item by item (GLOSSARY.md, open item).
ITEM_ROLES = (
    "grni", "landed_clearing", "clarification", "shipped", "receivables", "payables", "group_receivable",
    "group_payable",
)  # fmt: skip
# Written only by their movements or sub-ledger documents, never by hand (GLOSSARY.md, control account).
CONTROL_ROLES = frozenset((*STOCK_ROLES, *ITEM_ROLES, "rounding", "allowance"))
# Revalued at the closing rate when they are kept in another currency (IAS 21, paragraph 23).
MONETARY_ROLES = frozenset(
    ("grni", "landed_clearing", "receivables", "payables", "bank", "cash", "group_receivable", "group_payable")
)
# `verify` compares their lines with movements and pools, by role: the role stays where such lines are.
TIED_ROLES = ("allowance", "rounding", "cogs", "price_difference", "ppv", "production_variance")
# One account for the whole company.
COMPANY_ROLES = frozenset(("allowance", "rounding", "year_profit", "retained_earnings"))
# Every role that the programs themselves look for; posting rules may name roles of a company's own beside them.
ROLES = (
    *STOCK_ROLES, *ITEM_ROLES, *TIED_ROLES,
    "opening_equity", "loss", "absorbed", "usage_variance", "revaluation", "write_down", "input_vat", "output_vat",
    "revenue", "bank", "cash", "exchange_gain", "exchange_loss", "year_profit", "retained_earnings", "admin_loss",
    "other_income", "goods_gain",
)  # fmt: skip
POOL_ROLE = "pool"  # stands for the account of a movement's cost pool (posting.POOL) and is no account itself

_NUMBER = re.compile(r"[0-9A-Za-z][0-9A-Za-z.-]*")
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class AccountType(StrEnum):
    """Where an account stands in the statements."""

    ASSET = "asset"
    LIABILITY = "liability"
    COMMON = "common"
    EQUITY = "equity"
    COST = "cost"
    REVENUE = "revenue"
    EXPENSE = "expense"


class Need(StrEnum):
    """Whether a line on an account must name a value of a type of dimension, or may. Types not named it may not."""

    REQUIRED = "required"
    ALLOWED = "allowed"


class WrongAccount(ValueError):
    """An account that cannot be; `column` names the field."""

    def __init__(self, number: str, column: str, complaint: str) -> None:
        super().__init__(f"account {number}: {column}: {complaint}")
        self.number = number
        self.column = column
        self.complaint = complaint


@dataclass(frozen=True, slots=True)
class Account:
    """One account of a chart. Raises WrongAccount.

    role         what posting rules and programs call it; None for manual entries only
    site         code of the only site where it stands for its role; None: everywhere
    parent       number of the account that sums it
    is_postable  False: it sums its sub-accounts and takes no lines
    is_monetary  revalued at the closing rate
    has_items    cleared item by item: its balance is that of its open items
    dimensions   {type: need}; a type that is not named is refused
    """

    number: str
    name_zh: str
    name_en: str
    type: AccountType
    role: str | None = None
    site: str | None = None
    parent: str | None = None
    is_postable: bool = True
    is_monetary: bool = False
    has_items: bool = False
    valid_from: date = FIRST_DAY
    valid_to: date = LAST_DAY
    dimensions: Mapping[str, Need] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for column, complaint in self._complaints():
            raise WrongAccount(self.number, column, complaint)

    @property
    def is_control(self) -> bool:
        """Whether only movements and sub-ledger documents write it."""
        return self.role in CONTROL_ROLES

    @property
    def name(self) -> str:
        """Both names."""
        return (
            f"{self.name_zh} · {self.name_en}" if self.name_zh and self.name_en else self.name_zh or self.name_en
        )

    def is_valid_on(self, day: date) -> bool:
        """Whether it takes lines of that day."""
        return self.valid_from <= day <= self.valid_to

    def _complaints(self) -> Iterator[tuple[str, str]]:
        if not _NUMBER.fullmatch(self.number) or len(self.number) > NUMBER_MAX:
            yield "number", f"expected 1 … {NUMBER_MAX} digits, letters, dots and dashes, got {self.number!r}"
        if not self.name_zh and not self.name_en:
            yield "name_en", "expected a name, Chinese or English, got none"
        for column, name in (("name_zh", self.name_zh), ("name_en", self.name_en)):
            if len(name) > NAME_MAX or _CONTROL.search(name) or name != name.strip():
                yield column, f"expected up to {NAME_MAX} characters on one line, got {name[:NAME_MAX]!r}"
        if self.valid_from > self.valid_to:
            yield "valid_to", f"expected a day from {self.valid_from} on, got {self.valid_to}"
        yield from self._header_complaints() if not self.is_postable else self._role_complaints()

    def _header_complaints(self) -> Iterator[tuple[str, str]]:
        said = {
            "role": self.role is not None, "site": self.site is not None, "monetary": self.is_monetary,
            "has_items": self.has_items, "dimensions": bool(self.dimensions),
        }  # fmt: skip
        for column, is_said in said.items():
            if is_said:
                yield column, "an account that sums its sub-accounts takes no lines and has none"

    def _role_complaints(self) -> Iterator[tuple[str, str]]:
        if self.role is None:
            if self.site is not None:
                yield "site", f"an account without a role is for all sites, got {self.site!r}"
            return
        if not _NAME.fullmatch(self.role) or self.role == POOL_ROLE:
            yield (
                "role",
                f"expected lower-case letters, digits and underscores, not {POOL_ROLE!r}, got {self.role!r}",
            )
        if self.site is not None and self.role in COMPANY_ROLES:
            yield "site", f"the role {self.role} has one account for the whole company, got site {self.site!r}"
        if self.role in CONTROL_ROLES and self.has_items != (self.role in ITEM_ROLES):
            yield "has_items", f"expected {self.role in ITEM_ROLES} for the role {self.role}, got {self.has_items}"
        if self.role in MONETARY_ROLES and not self.is_monetary:
            yield "monetary", f"expected True for the role {self.role}, got False"
        if self.role in CONTROL_ROLES - MONETARY_ROLES and self.is_monetary:
            yield "monetary", f"expected False for the role {self.role}, got True"


def flags_of(role: str | None) -> dict[str, Any]:
    """What an account must say of itself for a role: is_monetary and has_items, as far as they cannot be otherwise."""
    if role in CONTROL_ROLES:
        return {"is_monetary": role in MONETARY_ROLES, "has_items": role in ITEM_ROLES}
    return {"is_monetary": True} if role in MONETARY_ROLES else {}


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong with which account; `column` is empty where no one field is to blame."""

    number: str
    column: str
    text: str

    def __str__(self) -> str:
        return f"account {self.number}{f', {self.column}' if self.column else ''}: {self.text}"


class WrongChart(ValueError):
    """A chart that cannot be, or not with these books."""

    def __init__(self, complaints: Sequence[Complaint]) -> None:
        super().__init__("\n".join(map(str, complaints)))
        self.complaints = tuple(complaints)


def belongs_under(number: str, parent: str) -> bool:
    """Whether an account of this number may be a sub-account: 140501 of 1405, 1310 of 1300, 22210101 of 222101.

    A sub-account's number begins as its parent's without the zeros at the end, and comes behind it.
    """
    return number.startswith(parent.rstrip("0") or parent) and (len(number), number) > (len(parent), parent)


def chart_complaints(
    accounts: Sequence[Account], dimension_types: Collection[str], sites: Collection[str] = ()
) -> Iterator[Complaint]:
    """What is wrong among the accounts of a chart, in their order."""
    by_number: dict[str, Account] = {}
    by_role: dict[tuple[str, str | None], str] = {}
    numbers = {account.number: account for account in accounts}
    for account in accounts:
        if by_number.setdefault(account.number, account) is not account:
            yield Complaint(account.number, "number", "the number stands there twice")
        if account.role is not None:
            other = by_role.setdefault((account.role, account.site), account.number)
            if other != account.number:
                where = f" at site {account.site}" if account.site else ""
                yield Complaint(account.number, "role", f"{other} stands for {account.role}{where} already")
        if account.site is not None and account.site not in sites:
            yield Complaint(account.number, "site", f"the company has no site {account.site!r}")
        for name in account.dimensions:
            if name not in dimension_types:
                yield Complaint(account.number, "dimensions", f"there is no type of dimension {name!r}")
        if account.parent is not None:
            yield from _parent_complaints(account, numbers.get(account.parent))


def _parent_complaints(account: Account, parent: Account | None) -> Iterator[Complaint]:
    if parent is None:
        yield Complaint(account.number, "parent", f"there is no account {account.parent}")
        return
    if parent.is_postable:
        yield Complaint(account.number, "parent", f"{parent.number} takes lines itself: it is no header")
    if not belongs_under(account.number, parent.number):
        yield Complaint(
            account.number, "number", f"expected a number that begins as that of its parent {parent.number}"
        )
    if account.type != parent.type:
        yield Complaint(account.number, "type", f"expected {parent.type} as its parent, got {account.type}")


# ── What the books forbid ───────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Standing:
    """An account as a company has it, and what its books have on it.

    lines       first days of the first and of the last period with lines on it; None: no lines
    pool_sites  codes of the sites whose cost pools stand on it; "" for pools of no site
    open_items  whether items on it are not cleared yet
    """

    account: Account
    lines: tuple[date, date] | None = None
    pool_sites: frozenset[str] = frozenset()
    open_items: bool = False

    @property
    def is_used(self) -> bool:
        """Whether the books speak of it."""
        return self.lines is not None or bool(self.pool_sites)


def change_complaints(
    now: Mapping[str, Standing],
    wanted: Sequence[Account],
    renumbered: Mapping[str, str],
    unlocked_from: date = LAST_DAY,
    needed: Collection[str] = ROLES,
) -> Iterator[Complaint]:
    """What the books forbid of a change from `now`, by number, to `wanted`.

    renumbered     {new number: old number} of accounts that keep all but their number; absent ones are removed
    unlocked_from  first day of the earliest period that is not locked: from then on roles must have an account
    needed         roles that programs or posting rules name
    """
    kept = {renumbered.get(account.number, account.number) for account in wanted}
    for number, standing in now.items():
        if number not in kept and standing.is_used:
            yield Complaint(number, "", "it has lines or cost pools and is never deleted; end it by valid_to")
    for account in wanted:
        before = now.get(renumbered.get(account.number, account.number))
        if before is not None:
            yield from _use_complaints(before, account)
        if account.role is not None and (before is None or before.account != account):
            yield from _role_validity(account, unlocked_from)
    yield from _lost_roles(now, wanted, needed)
    yield from _moved_roles(now, wanted, renumbered)


def _use_complaints(before: Standing, account: Account) -> Iterator[Complaint]:
    old = before.account
    if before.lines is None:
        return
    if old.is_postable and not account.is_postable:
        yield Complaint(
            account.number, "header", "it has lines: renumber it and make a new account with its old number"
        )
    if old.type != account.type:
        yield Complaint(account.number, "type", f"it has lines: expected {old.type}, got {account.type}")
    gains = account.role if account.role != old.role and account.role in CONTROL_ROLES else None
    if gains:
        yield Complaint(account.number, "role", f"it has lines of its own: {gains} takes an account without any")
    # An account that loses a control role keeps its items, all of them cleared.
    if account.is_postable and old.has_items != account.has_items:
        yield Complaint(account.number, "has_items", f"it has lines: expected {old.has_items}")
    first, last = before.lines
    if account.valid_to != old.valid_to and account.valid_to < last:
        yield Complaint(account.number, "valid_to", f"it has lines of a period that begins on {last}")
    if account.valid_from != old.valid_from and account.valid_from > first:
        yield Complaint(account.number, "valid_from", f"it has lines of a period that begins on {first}")


def _role_validity(account: Account, unlocked_from: date) -> Iterator[Complaint]:
    """Movements write the account of a role whatever the day."""
    if account.valid_to != LAST_DAY:
        yield Complaint(account.number, "valid_to", f"it stands for {account.role}: move the role before it ends")
    if account.valid_from > unlocked_from:
        yield Complaint(
            account.number,
            "valid_from",
            f"it stands for {account.role}: expected a day up to {unlocked_from}, when the books are open already",
        )


def _lost_roles(
    now: Mapping[str, Standing], wanted: Sequence[Account], needed: Collection[str]
) -> Iterator[Complaint]:
    there = {account.role for account in wanted if account.site is None}
    for number, standing in now.items():
        role = standing.account.role
        if role in needed and standing.account.site is None and role not in there:
            yield Complaint(number, "role", f"no account would stand for {role}: name another one for it")


def _moved_roles(
    now: Mapping[str, Standing], wanted: Sequence[Account], renumbered: Mapping[str, str]
) -> Iterator[Complaint]:
    after = {
        (one.role, one.site): renumbered.get(one.number, one.number) for one in wanted if one.role is not None
    }
    for number, standing in now.items():
        role, site = standing.account.role, standing.account.site
        if role in STOCK_ROLES:
            for pool_site in sorted(standing.pool_sites):
                found = after.get((role, pool_site or None)) or after.get((role, None))
                if found != number:
                    where = f"cost pools of site {pool_site}" if pool_site else "cost pools"
                    yield Complaint(number, "role", f"{where} stand on it: {role} stays where it is")
        elif role in TIED_ROLES and standing.lines is not None and after.get((role, site)) != number:
            yield Complaint(
                number, "role", f"it has lines, which are compared with movements: {role} stays where it is"
            )
        elif role in ITEM_ROLES and standing.open_items and after.get((role, site)) != number:
            yield Complaint(number, "role", f"items on it are open: {role} moves when they are cleared")


# ── Differences ─────────────────────────────────────────────────────────────────────────────────────

# Field of an account → what files and people call it.
COLUMNS = {
    "number": "number", "name_zh": "name_zh", "name_en": "name_en", "type": "type", "role": "role", "site": "site",
    "parent": "parent", "is_postable": "header", "is_monetary": "monetary", "has_items": "has_items",
    "valid_from": "valid_from", "valid_to": "valid_to", "dimensions": "dimensions",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    """One account's difference. before None: it is new; after None: it goes."""

    before: Account | None
    after: Account | None

    @property
    def number(self) -> str:
        """The account's, as it will be."""
        account = self.after or self.before
        assert account is not None  # noqa: S101  a change has two sides or one
        return account.number

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the fields that differ."""
        return tuple(
            column
            for name, column in COLUMNS.items()
            if self.before is None or self.after is None or getattr(self.before, name) != getattr(self.after, name)
        )

    def __str__(self) -> str:
        if self.before is None or self.after is None:
            account = self.after or self.before
            assert account is not None  # noqa: S101  a change has two sides or one
            role = f" ({account.role})" if account.role else ""
            return f"{'+' if self.before is None else '-'} {account.number} {account.name}{role}"
        named = {column: name for name, column in COLUMNS.items()}
        told = [
            f"{column} {spoken(self.before, named[column])} → {spoken(self.after, named[column])}"
            for column in self.columns
        ]
        return f"~ {self.before.number} {', '.join(told)}"


def differences(
    now: Sequence[Account], wanted: Sequence[Account], renumbered: Mapping[str, str]
) -> tuple[Change, ...]:
    """What changes from `now` to `wanted`, by number; an account that stays as it is makes none."""
    old = {account.number: account for account in now}
    changes = []
    kept = set()
    for account in wanted:
        number = renumbered.get(account.number, account.number)
        kept.add(number)
        if old.get(number) != account:
            changes.append(Change(old.get(number), account))
    changes += [Change(account, None) for number, account in old.items() if number not in kept]
    return tuple(sorted(changes, key=lambda one: one.number))


def spoken(account: Account, name: str) -> str:
    """A field's value as files say it."""
    value = getattr(account, name)
    if name == "is_postable":
        return "false" if value else "true"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return ";".join(f"{one}={need}" for one, need in sorted(value.items())) or "none"
    return "none" if value is None else str(value)
