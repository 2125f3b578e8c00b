"""What the cloud's programs are told by their environment; secrets by file first, by variable second.

TALLYGATE_DSN            PostgreSQL connection string, TALLYGATE_DSN_FILE the same in a file
TALLYGATE_MQTT_HOST      broker, TALLYGATE_MQTT_PORT (1883, or 8883 with a CA file)
TALLYGATE_MQTT_USER      the cloud's user, TALLYGATE_MQTT_PASSWORD or …_FILE
TALLYGATE_MQTT_CA_FILE   certificate authority of the broker; set: TLS, absent: plain (loopback only)
TALLYGATE_API_LISTEN     host:port of the web service
TALLYGATE_API_PROXIES    addresses of reverse proxies whose X-Forwarded-For and -Proto are believed, by commas
TALLYGATE_KERNEL_CACHE   folder where compiled kernels are kept; must be known before numba is imported
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path


class WrongSetting(ValueError):
    """A setting is missing or cannot be."""


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """Where the broker is and who we are there."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Listen:
    """An address to listen on."""

    host: str
    port: int


def dsn(environment: Mapping[str, str] = os.environ) -> str:
    """The database's connection string. Raises WrongSetting."""
    return _secret(environment, "TALLYGATE_DSN")


def broker(environment: Mapping[str, str] = os.environ) -> BrokerSettings:
    """The broker's settings. Raises WrongSetting."""
    ca_file = environment.get("TALLYGATE_MQTT_CA_FILE")
    return BrokerSettings(
        host=_needed(environment, "TALLYGATE_MQTT_HOST"),
        port=_port(environment.get("TALLYGATE_MQTT_PORT", "8883" if ca_file else "1883"), "TALLYGATE_MQTT_PORT"),
        user=_needed(environment, "TALLYGATE_MQTT_USER"),
        password=_secret(environment, "TALLYGATE_MQTT_PASSWORD"),
        ca_file=Path(ca_file) if ca_file else None,
    )


def listen(environment: Mapping[str, str] = os.environ) -> Listen:
    """Where the web service listens; loopback unless told. Raises WrongSetting."""
    host, _, port = environment.get("TALLYGATE_API_LISTEN", "127.0.0.1:8080").rpartition(":")
    return Listen(host or "127.0.0.1", _port(port, "TALLYGATE_API_LISTEN"))


def proxies(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Reverse proxies in front of the web service; none unless told. Raises WrongSetting."""
    found = [part.strip() for part in environment.get("TALLYGATE_API_PROXIES", "").split(",") if part.strip()]
    for address in found:
        try:
            ip_network(address)
        except ValueError as error:
            raise WrongSetting(
                f"TALLYGATE_API_PROXIES: expected addresses or networks, got {address!r}"
            ) from error
    return found


def kernel_cache(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Where compiled kernels are kept; None: where numba keeps them, beside the source or in the user's cache."""
    folder = environment.get("TALLYGATE_KERNEL_CACHE")
    return Path(folder).expanduser().absolute() if folder else None


def _needed(environment: Mapping[str, str], name: str) -> str:
    if not (value := environment.get(name)):
        raise WrongSetting(f"{name} is not set")
    return value


def _secret(environment: Mapping[str, str], name: str) -> str:
    if path := environment.get(f"{name}_FILE"):
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise WrongSetting(f"{name}_FILE names {path}, which cannot be read: {error.strerror}") from error
    if not (value := environment.get(name)):
        raise WrongSetting(f"neither {name}_FILE nor {name} is set")
    return value


def _port(text: str, name: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise WrongSetting(f"{name}: expected a port 1 … 65535, got {text!r}")
    return int(text)
