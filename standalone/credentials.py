"""Who may sign in to a broker, and as what: one file that every broker we start is set up from.

`credentials.json` (0600) holds for each user a role and the hash of a password; the passwords
themselves are made here, handed out once, and kept by whoever signs in (see secret_files.py).

    {"cloud":   {"role": "cloud",   "password_hash": "$7$…"},
     "gw-1":    {"role": "gateway", "address": "demo/main/gw-1", "password_hash": "$7$…"}}

What a role may do stands in protocols/wire/topics.py and nowhere else.
"""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from protocols.wire.topics import GatewayAddress, WrongTopic, cloud_may, gateway_may
from standalone.files import PRIVATE, replace_json

Role = Literal["cloud", "gateway"]
ROLES: tuple[Role, ...] = ("cloud", "gateway")

# mosquitto's own format (mosquitto_passwd, type 7): PBKDF2-HMAC-SHA-512, base64. One hash serves both
# brokers. Passwords are 256 random bits, which no dictionary holds, so a hash that is slow on purpose
# would only make every reconnect of every gateway slow.
_SCHEME = "7"
_ITERATIONS = 1000
_SALT_BYTES = 12
_HASH_BYTES = 64
_PASSWORD_BYTES = 32

# mosquitto refuses `+`, `#` and `/` in names used in its lists; a colon ends the name in its password file.
_NAME_REFUSES = set("+#/: \t\r\n")


class BadCredentials(ValueError):
    """The credentials file, or what should be put into it, is not usable."""


@dataclass(frozen=True, slots=True)
class User:
    """A broker's user: the cloud, or one gateway with its address."""

    name: str
    role: Role
    address: GatewayAddress | None = None

    def __post_init__(self) -> None:
        if not self.name or set(self.name) & _NAME_REFUSES:
            raise BadCredentials(f"{self.name!r} cannot be a user's name: no blanks and none of + # / :")
        if self.role not in ROLES:
            raise BadCredentials(f"user {self.name}: expected a role of {', '.join(ROLES)}, got {self.role!r}")
        if (self.role == "gateway") != (self.address is not None):
            raise BadCredentials(f"user {self.name}: a gateway has an address and the cloud has none")

    def may(self, action: str, topic: str) -> bool:
        """Whether the user may `publish` to or `subscribe` to `topic`."""
        if self.address is not None:
            return gateway_may(self.address, action, topic)
        return cloud_may(action, topic)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Users by name, and the hash of each one's password."""

    users: Mapping[str, User]
    hashes: Mapping[str, str]

    @classmethod
    def none(cls) -> "Credentials":
        """Nobody may sign in."""
        return cls({}, {})

    def adding(self, user: User, password: str | None = None) -> tuple["Credentials", str]:
        """These and one more user, and its password: the one given, else a new one.

        A user of that name is replaced.
        """
        password = password or new_password()
        users = {**self.users, user.name: user}
        return Credentials(users, {**self.hashes, user.name: hash_password(password)}), password

    def without(self, name: str) -> "Credentials":
        """These without one user; nothing happens when there is none of that name."""
        return Credentials(
            {key: user for key, user in self.users.items() if key != name},
            {key: hashed for key, hashed in self.hashes.items() if key != name},
        )

    def sign_in(self, name: str | None, password: str | bytes | None) -> User | None:
        """The user with this name and password, else None."""
        user = self.users.get(name or "")
        if user is None or password is None:
            return None
        return user if verify_password(password, self.hashes[user.name]) else None

    def save(self, path: Path) -> None:
        """Write the file, whole, readable for its owner only."""
        replace_json(path, {name: self._as_json(user) for name, user in sorted(self.users.items())}, PRIVATE)

    def _as_json(self, user: User) -> dict[str, str]:
        content: dict[str, str] = {"role": user.role, "password_hash": self.hashes[user.name]}
        if user.address is not None:
            content["address"] = str(user.address)
        return content


def load_credentials(path: Path) -> Credentials:
    """Read the file. Raises BadCredentials, FileNotFoundError."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        users = {name: _user(name, entry) for name, entry in content.items()}
        hashes = {name: str(entry["password_hash"]) for name, entry in content.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadCredentials(f"{path} cannot be read: {error!r}") from error
    return Credentials(users, hashes)


def _user(name: str, entry: Mapping[str, Any]) -> User:
    address = entry.get("address")
    return User(name, entry["role"], parse_address(address) if address is not None else None)


def parse_address(text: str) -> GatewayAddress:
    """`company/site/gateway`. Raises BadCredentials."""
    levels = text.split("/")
    try:
        return GatewayAddress(*levels)
    except (TypeError, WrongTopic) as error:
        raise BadCredentials(f"expected company/site/gateway, got {text!r}") from error


def new_password() -> str:
    """256 random bits as text."""
    return secrets.token_urlsafe(_PASSWORD_BYTES)


def hash_password(password: str) -> str:
    """The password's hash as mosquitto writes it: `$7$iterations$salt$hash`."""
    salt = secrets.token_bytes(_SALT_BYTES)
    return _format(password.encode(), salt, _ITERATIONS)


def verify_password(password: str | bytes, hashed: str) -> bool:
    """Whether `hashed` was made from `password`; False for a hash of another form."""
    try:
        _, scheme, iterations, salt, _ = hashed.split("$")
        if scheme != _SCHEME:
            return False
        raw = password.encode() if isinstance(password, str) else password
        again = _format(raw, base64.b64decode(salt, validate=True), int(iterations))
    except ValueError:
        return False
    return hmac.compare_digest(again, hashed)


def _format(password: bytes, salt: bytes, iterations: int) -> str:
    digest = hashlib.pbkdf2_hmac("sha512", password, salt, iterations, _HASH_BYTES)
    return "$".join(
        ("", _SCHEME, str(iterations), base64.b64encode(salt).decode(), base64.b64encode(digest).decode())
    )
