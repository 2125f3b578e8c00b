"""Make a key, and know a caller by one."""

import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime

import psycopg

from cloud.domain.access import KEY_ID_BYTES, SECRET_BYTES, Caller, Scope, join_key, secret_digest, split_key
from cloud.store import access

_NOBODY = bytes(32)


def make_key(
    connection: psycopg.Connection, person_id: int, scopes: Sequence[Scope], expires_at: datetime | None = None
) -> str:
    """A new key's text, to be shown once: nothing can show it again. In the caller's transaction."""
    key_id, secret = secrets.token_hex(KEY_ID_BYTES), secrets.token_hex(SECRET_BYTES)
    access.add_key(connection, key_id, secret_digest(secret), person_id, scopes, expires_at)
    return join_key(key_id, secret)


def caller_of(connection: psycopg.Connection, key: str) -> Caller | None:
    """Who calls with this key; None for anything but a live key, without saying what was wrong."""
    split = split_key(key)
    if split is None:
        return None
    key_id, digest = split
    known = access.find_key(connection, key_id)
    # Compared also when the id is unknown: the answer takes the same time for both.
    is_same = hmac.compare_digest(known.digest if known else _NOBODY, digest)
    return known.caller if known and is_same else None
