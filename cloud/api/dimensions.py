"""/v1/dimension-types, /v1/dimension-values, /v1/dimension-sets: what lines are told apart by beside accounts."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Annotated, Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field, StringConstraints

from cloud.api.access import FinanceMasterWriter, FinanceReader, Pool
from cloud.api.paging import (
    LIMIT_DEFAULT,
    CursorText,
    Limit,
    Page,
    after_one,
    make_page,
    read_cursor,
)
from cloud.api.problems import Problem, not_found, taken, wrong_value
from cloud.api.values import Text
from cloud.domain.ledger.accounts import FIRST_DAY, LAST_DAY
from cloud.domain.ledger.dimensions import CODE_MAX, DimensionType, DimensionValue, WrongDimension, set_code
from cloud.flows.ledger.edit_dimensions import (
    DimensionTaken,
    NoSuchDimension,
    add_type,
    add_value,
    change_value,
    rename_type,
)
from cloud.flows.ledger.name_dimensions import UnknownDimension, dimension_sets
from cloud.store.ledger import dimensions

router = APIRouter(tags=["dimensions"])

TypeCode = Annotated[str, StringConstraints(min_length=1, max_length=CODE_MAX, pattern=r"^[a-z][a-z0-9_]*$")]
ValueCode = Annotated[
    str, StringConstraints(min_length=1, max_length=CODE_MAX, pattern=r"^[^;=\x00-\x1f\x7f-\x9f]*$")
]


class TypeIn(BaseModel):
    """A type of dimension of the company's own."""

    model_config = {
        "extra": "forbid",
        "json_schema_extra": {"examples": [{"code": "season", "name_zh": "季节", "name_en": "Season"}]},
    }

    code: TypeCode
    name_zh: Text = ""
    name_en: Text = ""


class TypeNamesIn(BaseModel):
    """Other names of a type."""

    model_config = {"extra": "forbid", "json_schema_extra": {"examples": [{"name_en": "Season of sale"}]}}

    name_zh: Text | None = None
    name_en: Text | None = None


class TypeOut(BaseModel):
    """A type of dimension; its code never changes."""

    code: str = Field(examples=["cost_centre"])
    name_zh: str
    name_en: str


class ValueIn(BaseModel):
    """A value of a type."""

    model_config = {
        "extra": "forbid",
        "json_schema_extra": {
            "examples": [{"type": "project", "code": "P7", "name": "New hall", "valid_from": "2026-01-01"}]
        },
    }

    type: TypeCode
    code: ValueCode
    name: Text = ""
    valid_from: date | None = None
    valid_to: date | None = None


class ValueChangeIn(BaseModel):
    """Another name or other days of a value; what is not said stays."""

    model_config = {"extra": "forbid", "json_schema_extra": {"examples": [{"valid_to": "2026-12-31"}]}}

    name: Text | None = None
    valid_from: date | None = Field(None, description="null: ever since.")
    valid_to: date | None = Field(None, description="null: for ever.")


class ValueOut(BaseModel):
    """A value; lines of days from valid_from to valid_to may name it."""

    type: str
    code: str = Field(examples=["P7"])
    name: str
    valid_from: date | None
    valid_to: date | None


class SetIn(BaseModel):
    """At most one value of each type."""

    model_config = {
        "extra": "forbid",
        "json_schema_extra": {"examples": [{"values": {"cost_centre": "A1", "project": "P7"}}]},
    }

    values: Annotated[dict[TypeCode, ValueCode], Field(min_length=1, max_length=50)]
    day: date | None = Field(None, description="On which a line would name it; today, unless said.")


class SetOut(BaseModel):
    """A dimension set by its code, as lines and movements name it; that of a work order has no values."""

    code: str = Field(examples=["cost_centre=A1;project=P7"])
    values: dict[str, str]


@router.get("/v1/dimension-types", response_model=Page[TypeOut], summary="Types of dimension")
def list_types(
    caller: FinanceReader, pool: Pool, limit: Limit = LIMIT_DEFAULT, cursor: CursorText = None
) -> dict[str, Any]:
    """Types by code: the four that ship, and the company's own."""
    after = after_one(cursor, "dimension-types", {}, "")
    with pool.connection() as connection:
        found = sorted(dimensions.types(connection, caller.company.company_id), key=lambda one: one.code)
    rows = [one for one in found if one.code > after][: limit + 1]
    return make_page("dimension-types", {}, rows, limit, lambda one: [one.code], _show_type)


@router.post("/v1/dimension-types", response_model=TypeOut, status_code=201, summary="Add a type of dimension")
def create_type(body: TypeIn, caller: FinanceMasterWriter, pool: Pool) -> TypeOut:
    """A code that is taken is refused with 409. Accounts refuse the type until they allow or require it."""
    with pool.connection() as connection, _refusals():
        made = DimensionType(body.code, body.name_zh, body.name_en)
        add_type(connection, caller.company.company_id, made)
    return _show_type(made)


@router.patch("/v1/dimension-types/{code}", response_model=TypeOut, summary="Rename a type of dimension")
def change_type(code: str, body: TypeNamesIn, caller: FinanceMasterWriter, pool: Pool) -> TypeOut:
    """Its code stays: sets are spelled with it."""
    with pool.connection() as connection, _refusals():
        known = {one.code: one for one in dimensions.types(connection, caller.company.company_id)}
        if code not in known:
            raise not_found("type of dimension", code)
        old = known[code]
        said = {name: getattr(body, name) for name in ("name_zh", "name_en")}
        made = DimensionType(
            code, *(getattr(old, name) if value is None else value for name, value in said.items())
        )
        rename_type(connection, caller.company.company_id, made)
    return _show_type(made)


@router.get("/v1/dimension-values", response_model=Page[ValueOut], summary="Values of dimensions")
def list_values(
    caller: FinanceReader,
    pool: Pool,
    limit: Limit = LIMIT_DEFAULT,
    cursor: CursorText = None,
    type_: Annotated[str | None, Query(alias="type", max_length=CODE_MAX, examples=["project"])] = None,
    valid_on: Annotated[date | None, Query(description="Those that lines of this day may name.")] = None,
) -> dict[str, Any]:
    """Values by the codes of their types and themselves."""
    filters = {"type": type_, "valid_on": valid_on}
    key = ["", ""] if cursor is None else read_cursor(cursor, "dimension-values", filters, (str, str))
    with pool.connection() as connection:
        rows = dimensions.values(
            connection, caller.company.company_id, (key[0], key[1]), limit + 1, type_, valid_on
        )
    return make_page("dimension-values", filters, rows, limit, lambda one: [one.type, one.code], _show_value)


@router.post(
    "/v1/dimension-values", response_model=ValueOut, status_code=201, summary="Add a value of a dimension"
)
def create_value(body: ValueIn, caller: FinanceMasterWriter, pool: Pool, response: Response) -> ValueOut:
    """A code that its type has already is refused with 409."""
    with pool.connection() as connection, _refusals():
        made = DimensionValue(
            body.type, body.code, body.name, body.valid_from or FIRST_DAY, body.valid_to or LAST_DAY
        )
        add_value(connection, caller.company.company_id, made)
    response.headers["Location"] = f"/v1/dimension-values/{body.type}/{quote(body.code, safe='')}"
    return _show_value(made)


@router.patch(
    "/v1/dimension-values/{type_}/{code:path}",
    response_model=ValueOut,
    summary="Rename or end a value of a dimension",
)
def update_value(type_: str, code: str, body: ValueChangeIn, caller: FinanceMasterWriter, pool: Pool) -> ValueOut:
    """No value is ever deleted: one that is not used any more ends by `valid_to`. Its code stays."""
    with pool.connection() as connection, _refusals():
        old = dimensions.find_value(connection, caller.company.company_id, type_, code)
        if old is None:
            raise not_found(type_, code)
        said = body.model_fields_set
        made = DimensionValue(
            type_,
            code,
            old.name if body.name is None else body.name,
            (body.valid_from or FIRST_DAY) if "valid_from" in said else old.valid_from,
            (body.valid_to or LAST_DAY) if "valid_to" in said else old.valid_to,
        )
        change_value(connection, caller.company.company_id, made)
    return _show_value(made)


@router.get("/v1/dimension-sets", response_model=Page[SetOut], summary="Dimension sets")
def list_sets(
    caller: FinanceReader,
    pool: Pool,
    limit: Limit = LIMIT_DEFAULT,
    cursor: CursorText = None,
    type_: Annotated[str | None, Query(alias="type", max_length=CODE_MAX, examples=["project"])] = None,
    value: Annotated[str | None, Query(max_length=CODE_MAX, description="Of that type.", examples=["P7"])] = None,
) -> dict[str, Any]:
    """Sets by code, those of work orders too."""
    if value is not None and type_ is None:
        raise wrong_value("query/value", "expected a type beside the value")
    filters = {"type": type_, "value": value}
    after = after_one(cursor, "dimension-sets", filters, "")
    with pool.connection() as connection:
        rows = dimensions.sets(connection, caller.company.company_id, after, limit + 1, type_, value)
    return make_page(
        "dimension-sets",
        filters,
        rows,
        limit,
        lambda row: [row[0]],
        lambda row: SetOut(code=row[0], values=row[1]),
    )


@router.post("/v1/dimension-sets", response_model=SetOut, summary="Find or make a dimension set")
def put_set(body: SetIn, caller: FinanceMasterWriter, pool: Pool) -> SetOut:
    """The set of these values, made where nobody named it before."""
    company = caller.company
    day = body.day or datetime.now(UTC).astimezone(ZoneInfo(company.time_zone)).date()
    with pool.connection() as connection, connection.transaction():
        (found,) = dimension_sets(connection, company.company_id, [(body.values, day)])
    if isinstance(found, UnknownDimension):
        raise wrong_value("/values", str(found))
    return SetOut(code=set_code(body.values), values=body.values)


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except NoSuchDimension as error:
        raise Problem(404, "not-found", str(error)) from None
    except DimensionTaken as error:
        raise taken(str(error)) from None
    except WrongDimension as error:
        raise wrong_value(f"/{error.column}", error.complaint) from None


def _show_type(one: DimensionType) -> TypeOut:
    return TypeOut(code=one.code, name_zh=one.name_zh, name_en=one.name_en)


def _show_value(one: DimensionValue) -> ValueOut:
    return ValueOut(
        type=one.type,
        code=one.code,
        name=one.name,
        valid_from=None if one.valid_from == FIRST_DAY else one.valid_from,
        valid_to=None if one.valid_to == LAST_DAY else one.valid_to,
    )
