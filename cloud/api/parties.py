"""/v1/parties: suppliers and customers."""

from typing import Annotated, Any, Literal

import psycopg
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from cloud.api.access import MasterWriter, Pool, Reader
from cloud.api.paging import LIMIT_DEFAULT, CursorText, Limit, Page, after_one, make_page
from cloud.api.problems import not_found, taken, wrong_value
from cloud.api.values import Code, Text
from cloud.domain.catalog import Party, PartyKind, WrongMasterData
from cloud.store import lists
from cloud.store.lists import PartyRow

router = APIRouter(prefix="/v1/parties", tags=["parties"])

_CLASS_NOTE = "By which posting rules tell parties apart, such as group or retail; empty: any other."


class PartyIn(BaseModel):
    """A new supplier or customer."""

    model_config = {
        "extra": "forbid",
        "json_schema_extra": {"examples": [{"code": "ACME", "name": "Acme Crates Ltd", "kind": "supplier"}]},
    }

    code: Code
    name: Text
    kind: Literal["supplier", "customer"]
    party_class: Code | Literal[""] = Field("", description=_CLASS_NOTE)


class PartyClassIn(BaseModel):
    """By what posting rules tell a party apart."""

    model_config = {"extra": "forbid"}

    party_class: Code | Literal[""] = Field(description=_CLASS_NOTE)


class PartyOut(BaseModel):
    """A supplier or customer."""

    code: str
    name: str
    kind: str
    party_class: str


@router.get("", response_model=Page[PartyOut], summary="Suppliers and customers")
def list_parties(
    caller: Reader,
    pool: Pool,
    limit: Limit = LIMIT_DEFAULT,
    cursor: CursorText = None,
    kind: Annotated[PartyKind | None, Query()] = None,
) -> dict[str, Any]:
    """Parties in the order in which they came."""
    filters = {"kind": kind}
    after = after_one(cursor, "parties", filters, -1)
    with pool.connection() as connection:
        rows = lists.parties(connection, caller.company.company_id, after, limit + 1, kind)
    return make_page("parties", filters, rows, limit, lambda row: [row.party_id], _show)


@router.post("", response_model=PartyOut, status_code=201, summary="Add a party")
def add_party(body: PartyIn, caller: MasterWriter, pool: Pool) -> PartyOut:
    """A code may stand once among the suppliers and once among the customers."""
    try:
        party = Party(body.kind, body.code, body.name, body.party_class)
    except WrongMasterData as error:
        raise wrong_value("/name", error.complaint) from None
    try:
        with pool.connection() as connection:
            return _show(lists.add_party(connection, caller.company.company_id, party))
    except psycopg.errors.UniqueViolation:
        raise taken(f"there is already a {body.kind} with code {body.code!r}") from None


@router.put("/{kind}/{code:path}/class", response_model=PartyOut, summary="Say a party's class")
def set_class(kind: PartyKind, code: str, body: PartyClassIn, caller: MasterWriter, pool: Pool) -> PartyOut:
    """Movements from now on are posted by the rules of this class; what was posted stays."""
    with pool.connection() as connection:
        row = lists.set_party_class(connection, caller.company.company_id, kind, code, body.party_class)
    if row is None:
        raise not_found(kind, code)
    return _show(row)


def _show(row: PartyRow) -> PartyOut:
    return PartyOut(code=row.code, name=row.name, kind=row.kind, party_class=row.party_class)
