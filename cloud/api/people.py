"""/v1/me, /v1/people and /v1/api-keys: who may come in."""

import secrets
from datetime import UTC, datetime
from typing import Any, Literal

import psycopg
from fastapi import APIRouter
from pydantic import BaseModel, Field

from cloud.api.access import Admin, AnyCaller, Pool
from cloud.api.paging import LIMIT_DEFAULT, CursorText, Limit, Page, after_one, make_page
from cloud.api.problems import not_found, taken, wrong_value
from cloud.api.values import Code, Moment, MomentIn, Text
from cloud.domain.access import Role, Scope
from cloud.flows.api_keys import make_key
from cloud.flows.sign_in import hash_password
from cloud.store import access
from cloud.store.access import ListedKey, Person

router = APIRouter(tags=["people"])

PASSWORD_BYTES = 15


class CompanyOut(BaseModel):
    """The company that a key belongs to."""

    code: str
    name: str
    currency: str
    minor_digits: int
    time_zone: str
    profile: str


class MeOut(BaseModel):
    """Who a key speaks for, and what it may."""

    key_id: str
    person: str
    scopes: list[Scope]
    company: CompanyOut


class PersonIn(BaseModel):
    """A new person; with `sign_in` a password is made and shown once."""

    model_config = {
        "extra": "forbid",
        "json_schema_extra": {
            "examples": [{"name": "王芳", "language": "zh", "roles": ["keeper"], "sign_in": "wangfang"}]
        },
    }

    name: Text = Field(min_length=1)
    language: Literal["zh", "en"] = "zh"
    contacts: dict[Code, Text] = Field(default_factory=dict, max_length=20)
    roles: list[Role] = Field(default_factory=list, max_length=len(Role))
    sign_in: Code | None = None


class PersonOut(BaseModel):
    """A person of the company."""

    id: int
    name: str
    language: str
    contacts: dict[str, Any]
    roles: list[str]
    sign_in: str | None
    active: bool


class PersonAdded(PersonOut):
    """A new person. The password is shown here and never again; null for somebody who does not sign in."""

    password: str | None


class KeyIn(BaseModel):
    """A new key for a person of the company."""

    model_config = {
        "extra": "forbid",
        "json_schema_extra": {
            "examples": [
                {"person": 1, "scopes": ["read", "write:movements"], "expires_at": "2027-12-31T00:00:00Z"}
            ]
        },
    }

    person: int = Field(gt=0, lt=2**31)
    scopes: list[Scope] = Field(min_length=1, max_length=len(Scope))
    expires_at: MomentIn | None = None


class KeyOut(BaseModel):
    """The public half of a key."""

    key_id: str
    person: int
    person_name: str
    scopes: list[str]
    made_at: Moment
    expires_at: Moment | None
    revoked_at: Moment | None


class KeyAdded(BaseModel):
    """A new key, shown here and never again."""

    key: str


@router.get("/v1/me", response_model=MeOut, summary="Whose key this is")
def read_me(caller: AnyCaller) -> MeOut:
    """Any valid key may ask."""
    company = caller.company
    return MeOut(
        key_id=caller.key_id,
        person=caller.person_name,
        scopes=sorted(caller.scopes),
        company=CompanyOut(
            code=company.code,
            name=company.name,
            currency=company.currency,
            minor_digits=company.minor_digits,
            time_zone=company.time_zone,
            profile=company.profile,
        ),
    )


@router.get("/v1/people", response_model=Page[PersonOut], summary="People of the company")
def list_people(
    caller: Admin, pool: Pool, limit: Limit = LIMIT_DEFAULT, cursor: CursorText = None
) -> dict[str, Any]:
    """In the order in which they came."""
    after = after_one(cursor, "people", {}, -1)
    with pool.connection() as connection:
        rows = access.list_people(connection, caller.company.company_id, after, limit + 1)
    return make_page("people", {}, rows, limit, lambda row: [row.person_id], _show_person)


@router.post("/v1/people", response_model=PersonAdded, status_code=201, summary="Add a person")
def add_person(body: PersonIn, caller: Admin, pool: Pool) -> PersonAdded:
    """Sign-in names are unique over all companies."""
    company_id = caller.company.company_id
    password = secrets.token_urlsafe(PASSWORD_BYTES) if body.sign_in else None
    hashed = hash_password(password) if password else None
    try:
        with pool.connection() as connection:
            person_id = access.add_person(
                connection,
                company_id,
                body.name,
                body.language,
                dict(body.contacts),
                body.roles,
                body.sign_in,
                hashed,
            )
            row = access.find_person(connection, company_id, person_id)
    except psycopg.errors.UniqueViolation:
        raise taken(f"the sign-in name {body.sign_in!r} is taken") from None
    assert row is not None  # noqa: S101  added in this transaction
    return PersonAdded(**_show_person(row).model_dump(), password=password)


@router.get("/v1/api-keys", response_model=Page[KeyOut], summary="Keys of the company")
def list_keys(
    caller: Admin, pool: Pool, limit: Limit = LIMIT_DEFAULT, cursor: CursorText = None
) -> dict[str, Any]:
    """Their public halves, revoked ones too."""
    after = after_one(cursor, "api-keys", {}, "")
    with pool.connection() as connection:
        rows = access.list_keys(connection, caller.company.company_id, after, limit + 1)
    return make_page("api-keys", {}, rows, limit, lambda row: [row.key_id], _show_key)


@router.post("/v1/api-keys", response_model=KeyAdded, status_code=201, summary="Make a key")
def add_key(body: KeyIn, caller: Admin, pool: Pool) -> KeyAdded:
    """The key is in this answer and nowhere else: the database keeps a digest of its secret."""
    if body.expires_at is not None and body.expires_at <= datetime.now(UTC):
        raise wrong_value("/expires_at", "expected a time to come")
    with pool.connection() as connection:
        person = access.find_person(connection, caller.company.company_id, body.person)
        if person is None or not person.active:
            raise wrong_value("/person", f"no person {body.person} works here")
        return KeyAdded(key=make_key(connection, body.person, sorted(set(body.scopes)), body.expires_at))


@router.delete("/v1/api-keys/{key_id}", response_model=KeyOut, summary="Revoke a key")
def revoke_key(key_id: str, caller: Admin, pool: Pool) -> KeyOut:
    """From this moment the key is no key; a second time changes nothing."""
    with pool.connection() as connection:
        row = access.revoke_key(connection, caller.company.company_id, key_id)
    if row is None:
        raise not_found("key", key_id)
    return _show_key(row)


def _show_person(row: Person) -> PersonOut:
    return PersonOut(
        id=row.person_id,
        name=row.name,
        language=row.language,
        contacts=row.contacts,
        roles=row.roles,
        sign_in=row.sign_in,
        active=row.active,
    )


def _show_key(row: ListedKey) -> KeyOut:
    return KeyOut(
        key_id=row.key_id,
        person=row.person_id,
        person_name=row.person_name,
        scopes=row.scopes,
        made_at=row.made_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )
