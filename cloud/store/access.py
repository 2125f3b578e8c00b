"""People, their API keys and their sessions: rows ↔ values, nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from cloud.domain.access import Caller, Company, Role, Scope
from cloud.store.sql import statement

NOUN = "access"


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A live key: the digest of its secret, and who it speaks for."""

    digest: bytes
    caller: Caller


@dataclass(frozen=True, slots=True)
class ListedKey:
    """A key as lists show it: never its secret."""

    key_id: str
    person_id: int
    person_name: str
    scopes: list[str]
    made_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Person:
    """A person of a company."""

    person_id: int
    name: str
    language: str
    contacts: dict[str, Any]
    sign_in: str | None
    active: bool
    roles: list[str]


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who is signed in."""

    person_id: int
    person_name: str
    language: str
    company: Company


def find_key(connection: psycopg.Connection, key_id: str) -> KnownKey | None:
    """A key that is not revoked, not expired, of somebody who did not leave."""
    row = _one(connection, "key", key_id=key_id)
    if row is None:
        return None
    scopes = frozenset(Scope(scope) for scope in row["scopes"] if scope in set(Scope))
    return KnownKey(
        bytes(row["digest"]),
        Caller(
            row["key_id"], row["person_id"], row["person_name"], scopes, _company(row), row["posts_soft_closed"]
        ),
    )


def add_key(
    connection: psycopg.Connection,
    key_id: str,
    digest: bytes,
    person_id: int,
    scopes: Sequence[Scope],
    expires_at: datetime | None,
) -> datetime:
    """Store a key's public half and the digest of the other; when it was made."""
    row = _one(
        connection,
        "add_key",
        key_id=key_id,
        digest=digest,
        person=person_id,
        scopes=[str(scope) for scope in scopes],
        expires_at=expires_at,
    )
    assert row is not None  # noqa: S101  INSERT … RETURNING without a conflict clause
    made_at: datetime = row["made_at"]
    return made_at


def list_keys(connection: psycopg.Connection, company_id: int, after: str, limit: int) -> list[ListedKey]:
    """Keys of the company in the order of their ids."""
    with connection.cursor(row_factory=class_row(ListedKey)) as cursor:
        values = {"company": company_id, "after": after, "limit": limit}
        return cursor.execute(statement(NOUN, "keys"), values).fetchall()


def revoke_key(connection: psycopg.Connection, company_id: int, key_id: str) -> ListedKey | None:
    """The key as it is now, or None when the company has no such key."""
    with connection.cursor(row_factory=class_row(ListedKey)) as cursor:
        values = {"company": company_id, "key_id": key_id}
        return cursor.execute(statement(NOUN, "revoke_key"), values).fetchone()


def find_person(connection: psycopg.Connection, company_id: int, person_id: int) -> Person | None:
    """One person of the company."""
    with connection.cursor(row_factory=class_row(Person)) as cursor:
        values = {"company": company_id, "person": person_id}
        return cursor.execute(statement(NOUN, "person"), values).fetchone()


def list_people(connection: psycopg.Connection, company_id: int, after: int, limit: int) -> list[Person]:
    """People of the company in the order in which they came."""
    with connection.cursor(row_factory=class_row(Person)) as cursor:
        values = {"company": company_id, "after": after, "limit": limit}
        return cursor.execute(statement(NOUN, "people"), values).fetchall()


def add_person(
    connection: psycopg.Connection,
    company_id: int,
    name: str,
    language: str,
    contacts: dict[str, Any],
    roles: Sequence[Role],
    sign_in: str | None = None,
    password_hash: str | None = None,
) -> int:
    """The new person's id. Raises psycopg.errors.UniqueViolation when the sign-in name is taken."""
    row = _one(
        connection,
        "add_person",
        company=company_id,
        name=name,
        language=language,
        contacts=Jsonb(contacts),
        sign_in=sign_in,
        password=password_hash,
    )
    assert row is not None  # noqa: S101  INSERT … RETURNING without a conflict clause
    person_id: int = row["person_id"]
    connection.execute(statement(NOUN, "add_roles"), {"person": person_id, "roles": [str(role) for role in roles]})
    return person_id


def set_sign_in(connection: psycopg.Connection, person_id: int, sign_in: str, password_hash: str) -> None:
    """Let a person sign in. Raises psycopg.errors.UniqueViolation when the name is taken."""
    values = {"person": person_id, "sign_in": sign_in, "password": password_hash}
    connection.execute(statement(NOUN, "set_sign_in"), values)


def set_password(connection: psycopg.Connection, person_id: int, password_hash: str) -> None:
    """Replace the hash of a person's password."""
    connection.execute(statement(NOUN, "set_password"), {"person": person_id, "password": password_hash})


def find_sign_in(connection: psycopg.Connection, sign_in: str) -> tuple[int, str] | None:
    """Person and password hash behind a sign-in name."""
    row = _one(connection, "by_sign_in", sign_in=sign_in)
    return (row["person_id"], row["password"]) if row else None


def is_sign_in_taken(connection: psycopg.Connection, sign_in: str) -> bool:
    """Whether anybody, of any company, has this sign-in name."""
    row = _one(connection, "sign_in_taken", sign_in=sign_in)
    return row is not None and bool(row["exists"])


def add_session(connection: psycopg.Connection, digest: bytes, person_id: int, lifetime_s: int) -> None:
    """Remember that this cookie is that person's; forget what expired."""
    connection.execute(statement(NOUN, "forget_sessions"))
    values = {"digest": digest, "person": person_id, "lifetime_s": lifetime_s}
    connection.execute(statement(NOUN, "add_session"), values)


def find_session(connection: psycopg.Connection, digest: bytes) -> Visitor | None:
    """Who is signed in with the cookie of this digest."""
    row = _one(connection, "session", digest=digest)
    return Visitor(row["person_id"], row["person_name"], row["language"], _company(row)) if row else None


def end_session(connection: psycopg.Connection, digest: bytes) -> None:
    """Forget a session; one that is not there changes nothing."""
    connection.execute(statement(NOUN, "end_session"), {"digest": digest})


def hold_first_access(connection: psycopg.Connection) -> None:
    """Until this transaction ends, nobody else makes a first key or sign-in."""
    connection.execute(statement(NOUN, "hold_first_access"))


def company_without_key(connection: psycopg.Connection) -> int | None:
    """The first company without any key."""
    row = _one(connection, "company_without_key")
    return row["company_id"] if row else None


def company_without_sign_in(connection: psycopg.Connection) -> tuple[int, str] | None:
    """Id and code of the first company of which nobody can sign in."""
    row = _one(connection, "company_without_sign_in")
    return (row["company_id"], row["code"]) if row else None


def find_first_admin(connection: psycopg.Connection, company_id: int) -> int | None:
    """The company's first admin who has no sign-in yet."""
    row = _one(connection, "first_admin", company=company_id)
    return row["person_id"] if row else None


def _one(connection: psycopg.Connection, named: str, /, **values: Any) -> dict[str, Any] | None:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(statement(NOUN, named), values).fetchone()


def _company(row: dict[str, Any]) -> Company:
    return Company(**{name: row[name] for name in Company.__slots__})
