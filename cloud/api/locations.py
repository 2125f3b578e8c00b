"""/v1/locations: sites, zones and bins, and the places that goods come from and go to."""

from typing import Annotated, Any, Literal
from urllib.parse import quote

import psycopg
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from cloud.api.access import MasterWriter, Pool, Reader
from cloud.api.paging import LIMIT_DEFAULT, CursorText, Limit, Page, after_one, make_page
from cloud.api.problems import Problem, not_found, taken, wrong_value
from cloud.api.values import Code, Text
from cloud.domain.company import Site, WrongDescription, check_code
from cloud.flows.set_up_company import add_site
from cloud.store import lists
from cloud.store.lists import LocationRow

router = APIRouter(prefix="/v1/locations", tags=["locations"])

Kind = Literal["site", "zone", "bin"]
# A bin may stand in a zone or directly in a site, a zone in a site only.
_PARENTS = {"zone": ("site",), "bin": ("site", "zone")}


class LocationIn(BaseModel):
    """A new location. The virtual ones (supplier, customer, in transit …) come with the company."""

    model_config = {
        "extra": "forbid",
        "json_schema_extra": {
            "examples": [{"code": "HALL-1/A-03", "name": "Aisle A, bay 3", "kind": "bin", "parent": "HALL-1"}]
        },
    }

    code: Code
    name: Text = Field(min_length=1)
    kind: Kind
    parent: Code | None = Field(None, description="The site of a zone; the site or zone of a bin.")


class LocationOut(BaseModel):
    """A location; `site` is null for places outside the company's walls."""

    code: str
    name: str
    kind: str
    site: str | None
    parent: str | None


@router.get("", response_model=Page[LocationOut], summary="Locations by code")
def list_locations(
    caller: Reader,
    pool: Pool,
    limit: Limit = LIMIT_DEFAULT,
    cursor: CursorText = None,
    kind: Annotated[str | None, Query(max_length=20)] = None,
) -> dict[str, Any]:
    """Locations in the order of their codes."""
    filters = {"kind": kind}
    after = after_one(cursor, "locations", filters, "")
    with pool.connection() as connection:
        rows = lists.locations(connection, caller.company.company_id, after, limit + 1, kind)
    return make_page("locations", filters, rows, limit, lambda row: [row.code], _show)


@router.get("/{code:path}", response_model=LocationOut, summary="One location")
def read_location(code: str, caller: Reader, pool: Pool) -> LocationOut:
    """The location with this code."""
    with pool.connection() as connection:
        row = lists.find_location(connection, caller.company.company_id, code)
    if row is None:
        raise not_found("location", code)
    return _show(row)


@router.post("", response_model=LocationOut, status_code=201, summary="Add a location")
def add_location(body: LocationIn, caller: MasterWriter, pool: Pool, response: Response) -> LocationOut:
    """A site comes with its own clarification location, where unexplained goods wait."""
    try:
        check_code(body.kind, body.code)
    except WrongDescription as error:
        raise wrong_value("/code", str(error)) from None
    company_id = caller.company.company_id
    try:
        with pool.connection() as connection:
            _add(connection, company_id, body)
            row = lists.find_location(connection, company_id, body.code)
    except psycopg.errors.UniqueViolation:
        raise taken(f"there is already a location with code {body.code!r}") from None
    assert row is not None  # noqa: S101  added in this transaction
    response.headers["Location"] = f"/v1/locations/{quote(row.code)}"
    return _show(row)


def _add(connection: psycopg.Connection, company_id: int, body: LocationIn) -> None:
    if lists.find_location(connection, company_id, body.code) is not None:
        raise taken(f"there is already a location with code {body.code!r}")
    if body.kind == "site":
        if body.parent is not None:
            raise wrong_value("/parent", f"a site has no parent, got {body.parent!r}")
        add_site(connection, company_id, Site(body.code, body.name))
        return
    wanted = _PARENTS[body.kind]
    parent = lists.find_parent(connection, company_id, body.parent) if body.parent else None
    if parent is None or parent.kind not in wanted:
        raise Problem(
            422,
            "wrong-value",
            f"a {body.kind} needs a parent that is a {' or a '.join(wanted)}, got {body.parent!r}"
            + (f", which is a {parent.kind}" if parent else ""),
            errors=[{"pointer": "/parent", "detail": f"expected the code of a {' or a '.join(wanted)}"}],
        )
    lists.add_location(connection, company_id, body.code, body.name, body.kind, parent.site_id, parent.location_id)


def _show(row: LocationRow) -> LocationOut:
    return LocationOut(code=row.code, name=row.name, kind=row.kind, site=row.site, parent=row.parent)
