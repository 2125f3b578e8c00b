"""A person signs in with name and password and gets a cookie; the cookie is known again; sign out.

The password is kept as an argon2id hash (RFC 9106, the second recommended option: 64 MiB, 3 passes,
4 lanes, which is argon2-cffi's default). Hashing is dear on purpose, so only a few run at a time.
"""

import secrets
import threading
from dataclasses import dataclass

import psycopg
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from psycopg_pool import ConnectionPool

from cloud.domain.access import SECRET_BYTES, secret_digest
from cloud.store import access
from cloud.store.access import Visitor

SESSION_LIFETIME_S = 12 * 3600  # a shift with its overtime
HASHINGS_AT_ONCE = 2  # 64 MiB each
HASHING_WAIT_S = 5.0

_hasher = PasswordHasher()
_hashings = threading.BoundedSemaphore(HASHINGS_AT_ONCE)
# Verified when the name is unknown, so that the answer takes as long as for a known one.
_NOBODYS_HASH = _hasher.hash(secrets.token_hex(SECRET_BYTES))


class TooManySignIns(RuntimeError):
    """More people sign in at this moment than passwords can be hashed."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The cookie of a new session, which nothing can show again."""

    person_id: int
    cookie: str


def hash_password(password: str) -> str:
    """What the database keeps of a password. Raises TooManySignIns."""
    with _Hashing():
        return _hasher.hash(password)


def sign_in(pool: ConnectionPool, name: str, password: str) -> SignedIn | None:
    """Open a session; None for an unknown name or a wrong password, without saying which.

    No database connection is held while the password is hashed. Raises TooManySignIns.
    """
    with pool.connection() as connection:
        found = access.find_sign_in(connection, name)
    person_id, stored = found or (0, _NOBODYS_HASH)
    if not _is_password(stored, password) or found is None:
        return None
    renewed = hash_password(password) if _hasher.check_needs_rehash(stored) else None
    cookie = secrets.token_urlsafe(SECRET_BYTES)
    with pool.connection() as connection:
        if renewed is not None:
            access.set_password(connection, person_id, renewed)
        access.add_session(connection, secret_digest(cookie), person_id, SESSION_LIFETIME_S)
    return SignedIn(person_id, cookie)


def visitor_of(connection: psycopg.Connection, cookie: str) -> Visitor | None:
    """Who is signed in with this cookie."""
    return access.find_session(connection, secret_digest(cookie)) if cookie else None


def sign_out(connection: psycopg.Connection, cookie: str) -> None:
    """End the cookie's session; one that ended already changes nothing."""
    access.end_session(connection, secret_digest(cookie))


def _is_password(stored: str, password: str) -> bool:
    with _Hashing():
        try:
            return _hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False


class _Hashing:
    """A turn at hashing."""

    def __enter__(self) -> None:
        if not _hashings.acquire(timeout=HASHING_WAIT_S):
            raise TooManySignIns(f"waited {HASHING_WAIT_S:g} s for one of {HASHINGS_AT_ONCE} turns at hashing")

    def __exit__(self, *_: object) -> None:
        _hashings.release()
