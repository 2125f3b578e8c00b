"""Who may do what: scopes of API keys, roles of people, and the shape of a key.

A key reads `tg_<keyid>_<secret>`: the id is public and stands in lists and logs, the secret has 256
random bits. Of the secret only its SHA-256 is kept: a plain hash is enough, since nobody can guess
256 bits, however fast the hash is.
"""

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum

SECRET_BYTES = 32
KEY_ID_BYTES = 6
_KEY = re.compile(r"tg_(?P<key_id>[0-9a-f]{12})_(?P<secret>[0-9a-f]{64})")


class Scope(StrEnum):
    """What a key may be used for; `admin` includes all others."""

    READ = "read"
    WRITE_MASTER = "write:master"
    WRITE_MOVEMENTS = "write:movements"
    FINANCE = "finance"
    ADMIN = "admin"


class Role(StrEnum):
    """What a person is in the house (requirement R214)."""

    KEEPER = "keeper"
    BUYER = "buyer"
    SELLER = "seller"
    FINANCE = "finance"
    ADMIN = "admin"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Company:
    """What a reader of a company's books must know of it."""

    company_id: int
    code: str
    name: str
    currency: str
    minor_digits: int
    time_zone: str
    profile: str


@dataclass(frozen=True, slots=True)
class Caller:
    """Who an API key speaks for, and what it may. posts_soft_closed: into periods that only some roles may post in."""

    key_id: str
    person_id: int
    person_name: str
    scopes: frozenset[Scope]
    company: Company
    posts_soft_closed: bool = False

    def may(self, *scopes: Scope) -> bool:
        """Whether the key holds all of these."""
        return Scope.ADMIN in self.scopes or self.scopes.issuperset(scopes)


def split_key(text: str) -> tuple[str, bytes] | None:
    """The id and the secret's digest of a key's text; None when it has not a key's shape."""
    match = _KEY.fullmatch(text)
    return (match["key_id"], secret_digest(match["secret"])) if match else None


def join_key(key_id: str, secret: str) -> str:
    """A key's text, as it is shown once."""
    return f"tg_{key_id}_{secret}"


def secret_digest(secret: str) -> bytes:
    """What the database keeps of a secret of 256 random bits."""
    return hashlib.sha256(secret.encode()).digest()
