"""/v1/accounts: the chart of accounts, with balances; added to and changed as far as the books let it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field, StringConstraints

from cloud.api.access import FinanceMasterWriter, FinanceReader, Pool
from cloud.api.paging import LIMIT_DEFAULT, CursorText, Limit, Page, after_one, make_page
from cloud.api.problems import Problem, not_found, taken
from cloud.api.values import Amount, Code, Text
from cloud.domain.access import Company
from cloud.domain.decimals import minor_text
from cloud.domain.ledger.accounts import (
    FIRST_DAY,
    LAST_DAY,
    NUMBER_MAX,
    Account,
    AccountType,
    Need,
    WrongAccount,
    WrongChart,
    flags_of,
)
from cloud.flows.ledger.edit_chart import NoSuchAccount, NumberTaken, add_account, change_account
from cloud.store.ledger import accounts
from cloud.store.ledger.accounts import AccountRow, Filters

router = APIRouter(prefix="/v1/accounts", tags=["accounts"])

Number = Annotated[
    str, StringConstraints(min_length=1, max_length=NUMBER_MAX, pattern=r"^[0-9A-Za-z][0-9A-Za-z.-]*$")
]
RoleName = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[a-z][a-z0-9_]*$")]
TypeName = Literal["asset", "liability", "common", "equity", "cost", "revenue", "expense"]
NeedName = Literal["required", "allowed"]
Dimensions = Annotated[
    dict[Annotated[str, StringConstraints(max_length=64)], NeedName],
    Field(
        max_length=50,
        description="Types of dimension that lines on it must or may name; a type that is not named is refused.",
        examples=[{"cost_centre": "required", "project": "allowed"}],
    ),
]
# What files call otherwise than the API.
_POINTERS = {"header": "is_header", "monetary": "is_monetary"}


class AccountIn(BaseModel):
    """A new account. What cannot be otherwise for its role need not be said."""

    model_config = {
        "extra": "forbid",
        "json_schema_extra": {
            "examples": [
                {
                    "number": "100201",
                    "name_zh": "银行存款——建设银行",
                    "name_en": "China Construction Bank, current account",
                    "type": "asset",
                    "parent": "1002",
                    "is_monetary": True,
                },
                {
                    "number": "660209",
                    "name_zh": "管理费用——租赁费",
                    "name_en": "Rent",
                    "type": "expense",
                    "parent": "6602",
                    "dimensions": {"cost_centre": "required", "project": "allowed"},
                },
            ]
        },
    }

    number: Number
    name_zh: Text = ""
    name_en: Text = ""
    type: TypeName
    role: RoleName | None = Field(
        None, description="What posting rules call it. It comes from the account that has it now."
    )
    site: Code | None = Field(None, description="The only site where it stands for its role; without one all.")
    parent: Number | None = Field(None, description="The header that sums it.")
    is_header: bool = Field(False, description="It sums its sub-accounts and takes no lines.")
    is_monetary: bool | None = Field(None, description="Revalued at the closing rate.")
    has_items: bool | None = Field(None, description="Cleared item by item.")
    valid_from: date | None = None
    valid_to: date | None = None
    dimensions: Dimensions = {}


class AccountChangeIn(BaseModel):
    """What of an account changes; what is not said stays. With `dimensions` all of them are said anew."""

    model_config = {
        "extra": "forbid",
        "json_schema_extra": {
            "examples": [
                {"name_en": "Rent and leases"},
                {"valid_to": "2026-12-31"},
                {"dimensions": {"cost_centre": "required"}},
                {"role": "bank"},
            ]
        },
    }

    number: Number | None = Field(None, description="Another number; sub-accounts and lines stay with it.")
    name_zh: Text | None = None
    name_en: Text | None = None
    type: TypeName | None = None
    role: RoleName | None = Field(
        None, description="The role comes here from the account that has it; null gives it up."
    )
    site: Code | None = None
    parent: Number | None = None
    is_header: bool | None = None
    is_monetary: bool | None = None
    has_items: bool | None = None
    valid_from: date | None = Field(None, description="null: ever since.")
    valid_to: date | None = Field(None, description="null: for ever.")
    dimensions: Dimensions | None = None


class AccountOut(BaseModel):
    """An account with its turnover; a header's is that of all below it. The balance is debits less credits."""

    number: str = Field(examples=["140501"])
    name_zh: str
    name_en: str
    type: TypeName
    role: str | None
    site: str | None = Field(description="The only site where it stands for its role.")
    parent: str | None
    is_header: bool = Field(description="Sums its sub-accounts and takes no lines.")
    is_control: bool = Field(description="Written by its movements and documents only, never by hand.")
    is_monetary: bool = Field(description="Revalued at the closing rate.")
    has_items: bool = Field(description="Cleared item by item.")
    valid_from: date | None
    valid_to: date | None
    dimensions: dict[str, NeedName]
    debit: Amount
    credit: Amount
    balance: Amount


@router.get("", response_model=Page[AccountOut], summary="The chart of accounts")
def list_accounts(
    caller: FinanceReader,
    pool: Pool,
    limit: Limit = LIMIT_DEFAULT,
    cursor: CursorText = None,
    type_: Annotated[TypeName | None, Query(alias="type")] = None,
    role: Annotated[str | None, Query(max_length=64, examples=["bank"])] = None,
    site: Annotated[str | None, Query(max_length=64)] = None,
    parent: Annotated[str | None, Query(max_length=NUMBER_MAX, examples=["2221"])] = None,
    is_header: Annotated[bool | None, Query()] = None,
    valid_on: Annotated[date | None, Query(description="Those that take lines of this day.")] = None,
) -> dict[str, Any]:
    """Accounts in the order of their numbers, with their turnover in the company's currency."""
    postable = None if is_header is None else not is_header
    filters = {
        "type": type_, "role": role, "site": site, "parent": parent, "is_header": is_header, "valid_on": valid_on,
    }  # fmt: skip
    after = after_one(cursor, "accounts", filters, "")
    wanted = Filters(None, type_, role, site, parent, postable, valid_on)
    with pool.connection() as connection:
        rows = accounts.page(connection, caller.company.company_id, wanted, after, limit + 1)
    return make_page(
        "accounts", filters, rows, limit, lambda row: [row.number], lambda row: _show(caller.company, row)
    )


@router.get("/{number}", response_model=AccountOut, summary="One account")
def read_account(number: str, caller: FinanceReader, pool: Pool) -> AccountOut:
    """The account with this number."""
    return _read(pool, caller.company, number)


@router.post("", response_model=AccountOut, status_code=201, summary="Add an account")
def add(body: AccountIn, caller: FinanceMasterWriter, pool: Pool, response: Response) -> AccountOut:
    """A number that is taken is refused with 409. A postable parent without lines and role becomes a header."""
    with pool.connection() as connection, _refusals():
        add_account(connection, caller.company.company_id, _account(body))
    response.headers["Location"] = f"/v1/accounts/{quote(body.number, safe='')}"
    return _read(pool, caller.company, body.number)


@router.patch("/{number}", response_model=AccountOut, summary="Change an account")
def change(number: str, body: AccountChangeIn, caller: FinanceMasterWriter, pool: Pool) -> AccountOut:
    """Rename, renumber, end, give a role, or say what dimensions its lines name; what the books forbid is refused.

    No account is ever deleted here: one that is not used any more ends by `valid_to`.
    """
    said = _said(body)
    with pool.connection() as connection, _refusals():
        change_account(connection, caller.company.company_id, number, said)
    return _read(pool, caller.company, said.get("number", number))


def _account(body: AccountIn) -> Account:
    said = body.model_dump(exclude={"is_header", "is_monetary", "has_items", "valid_from", "valid_to", "type"})
    flags = flags_of(body.role) | {
        name: value for name in ("is_monetary", "has_items") if (value := getattr(body, name)) is not None
    }
    said["dimensions"] = {name: Need(need) for name, need in body.dimensions.items()}
    return Account(
        **said, **flags, type=AccountType(body.type), is_postable=not body.is_header,
        valid_from=body.valid_from or FIRST_DAY, valid_to=body.valid_to or LAST_DAY,
    )  # fmt: skip


def _said(body: AccountChangeIn) -> dict[str, Any]:
    """Fields of Account that the body names."""
    said = {name: getattr(body, name) for name in body.model_fields_set}
    never_null = ("number", "name_zh", "name_en", "type", "is_header", "is_monetary", "has_items", "dimensions")
    said = {name: value for name, value in said.items() if value is not None or name not in never_null}
    if "type" in said:
        said["type"] = AccountType(said["type"])
    if "is_header" in said:
        said["is_postable"] = not said.pop("is_header")
    if "dimensions" in said:
        said["dimensions"] = {name: Need(need) for name, need in said["dimensions"].items()}
    for name, always in (("valid_from", FIRST_DAY), ("valid_to", LAST_DAY)):
        if name in said:
            said[name] = said[name] or always
    return said


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except NoSuchAccount as error:
        raise Problem(404, "not-found", str(error)) from None
    except NumberTaken as error:
        raise taken(str(error)) from None
    except WrongAccount as error:
        raise _problem([(error.column, str(error))]) from None
    except WrongChart as error:
        raise _problem([(one.column, str(one)) for one in error.complaints]) from None


def _problem(complaints: list[tuple[str, str]]) -> Problem:
    errors = [
        {"pointer": f"/{_POINTERS.get(column, column)}" if column else "", "detail": text}
        for column, text in complaints
    ]
    return Problem(422, "wrong-value", complaints[0][1], errors=errors[:50])


def _read(pool: Any, company: Company, number: str) -> AccountOut:
    with pool.connection() as connection:
        rows = accounts.page(connection, company.company_id, Filters(one=number))
    if not rows:
        raise not_found("account", number)
    return _show(company, rows[0])


def _show(company: Company, row: AccountRow) -> AccountOut:
    return AccountOut.model_validate(
        {
            "number": row.number,
            "name_zh": row.name_zh,
            "name_en": row.name_en,
            "type": row.account_type,
            "role": row.role,
            "site": row.site,
            "parent": row.parent,
            "is_header": not row.is_postable,
            "is_control": row.is_control,
            "is_monetary": row.is_monetary,
            "has_items": row.has_items,
            "valid_from": None if row.valid_from == FIRST_DAY else row.valid_from,
            "valid_to": None if row.valid_to == LAST_DAY else row.valid_to,
            "dimensions": row.dimensions,
            "debit": minor_text(row.debit, company.minor_digits),
            "credit": minor_text(row.credit, company.minor_digits),
            "balance": minor_text(row.debit - row.credit, company.minor_digits),
        }
    )
