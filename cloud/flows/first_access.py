"""The first key and the first sign-in of a new house: made when there is none, shown once, never again.

Both belong to the first company without one. A second call returns None, so the programs may call at
every start; two that start at once make one.
"""

import secrets
from dataclasses import dataclass, field

import psycopg

from cloud.domain.access import Role, Scope
from cloud.flows.api_keys import make_key
from cloud.flows.sign_in import hash_password
from cloud.store import access

FIRST_NAME = "admin"
PROGRAM = "tallygate first access"
CONNECT_TIMEOUT_S = 5
# Without the letters and digits that are taken for each other on a printed note; 16 of 31 are 79 bits.
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


@dataclass(frozen=True, slots=True)
class FirstSignIn:
    """Name and password of the first person, to be shown once."""

    name: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class FirstAccess:
    """What was made; None for what was there already."""

    key: str | None = field(repr=False)
    sign_in: FirstSignIn | None


def make_first_access(dsn: str) -> FirstAccess:
    """The first key and the first sign-in, as far as they are missing. Raises psycopg.Error."""
    return FirstAccess(make_first_key(dsn), make_first_sign_in(dsn))


def make_first_key(dsn: str) -> str | None:
    """A key with the scope admin for the first company that never had a key. Raises psycopg.Error."""
    with _connect(dsn) as connection:
        access.hold_first_access(connection)
        company_id = access.company_without_key(connection)
        if company_id is None:
            return None
        return make_key(connection, _first_admin(connection, company_id), [Scope.ADMIN])


def make_first_sign_in(dsn: str) -> FirstSignIn | None:
    """Name and password for the first company of which nobody can sign in. Raises psycopg.Error."""
    with _connect(dsn) as connection:
        access.hold_first_access(connection)
        found = access.company_without_sign_in(connection)
        if found is None:
            return None
        company_id, code = found
        # Names are unique over all companies: only the first is plainly "admin".
        name = f"{FIRST_NAME}@{code}" if access.is_sign_in_taken(connection, FIRST_NAME) else FIRST_NAME
        password = _password()
        person_id = _first_admin(connection, company_id)
        access.set_sign_in(connection, person_id, name, hash_password(password))
        return FirstSignIn(name, password)


def _connect(dsn: str) -> psycopg.Connection:
    return psycopg.connect(dsn, connect_timeout=CONNECT_TIMEOUT_S, application_name=PROGRAM)


def _first_admin(connection: psycopg.Connection, company_id: int) -> int:
    found = access.find_first_admin(connection, company_id)
    return found or access.add_person(connection, company_id, FIRST_NAME, "zh", {}, [Role.ADMIN])


def _password() -> str:
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(4))
