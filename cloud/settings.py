"""What the cloud's programs are told by their environment; secrets by file first, by variable second.

TALLYGATE_DSN            PostgreSQL connection string, TALLYGATE_DSN_FILE the same in a file
TALLYGATE_MQTT_HOST      broker, TALLYGATE_MQTT_PORT (1883, or 8883 with a CA file)
TALLYGATE_MQTT_USER      the cloud's user, TALLYGATE_MQTT_PASSWORD or …_FILE
TALLYGATE_MQTT_CA_FILE   certificate authority of the broker; set: TLS, absent: plain (loopback only)
TALLYGATE_LEASE_S        how long an ingest worker holds its lanes without a word, 1 … 60 s (10)
TALLYGATE_API_LISTEN     host:port of the web service
TALLYGATE_API_PROXIES    addresses of reverse proxies whose X-Forwarded-For and -Proto are believed, by commas
TALLYGATE_READINGS_RAW_DAYS, TALLYGATE_READINGS_MINUTE_DAYS, TALLYGATE_READINGS_HOUR_DAYS
                         how long raw readings, minutes and hours are kept
TALLYGATE_KERNEL_CACHE   folder where compiled kernels are kept; must be known before numba is imported
"""

import os
import re
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


LEASE_S_LEAST, LEASE_S_USUAL, LEASE_S_MOST = 1.0, 10.0, 60.0


def lease_s(environment: Mapping[str, str] = os.environ) -> float:
    """How long a worker's lanes stay its own when nothing is heard of it, in seconds. Raises WrongSetting."""
    said = environment.get("TALLYGATE_LEASE_S", str(LEASE_S_USUAL))
    try:
        seconds = float(said)
    except ValueError:
        seconds = 0.0
    if not LEASE_S_LEAST <= seconds <= LEASE_S_MOST:
        raise WrongSetting(f"TALLYGATE_LEASE_S: expected {LEASE_S_LEAST:g} … {LEASE_S_MOST:g} s, got {said!r}")
    return seconds


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


@dataclass(frozen=True, slots=True)
class ReadingDays:
    """How many days readings are kept: raw ≤ minutes ≤ hours."""

    raw: int = 7
    minutes: int = 92
    hours: int = 1827

    def __post_init__(self) -> None:
        if not RAW_DAYS_LEAST <= self.raw <= self.minutes <= self.hours <= READING_DAYS_MOST:
            raise WrongSetting(
                "TALLYGATE_READINGS_RAW_DAYS, …_MINUTE_DAYS, …_HOUR_DAYS: expected "
                f"{RAW_DAYS_LEAST} ≤ raw ≤ minutes ≤ hours ≤ {READING_DAYS_MOST}, "
                f"got {self.raw}, {self.minutes}, {self.hours}"
            )


# As migration 0013 has them. What is a day late is still stored, and there is no knowing a second copy of what is gone.
RAW_DAYS_LEAST = 2
READING_DAYS_MOST = 36_600


def reading_days(environment: Mapping[str, str] = os.environ) -> ReadingDays:
    """How long readings are kept. Raises WrongSetting."""
    default = ReadingDays()
    return ReadingDays(
        _days(environment, "TALLYGATE_READINGS_RAW_DAYS", default.raw),
        _days(environment, "TALLYGATE_READINGS_MINUTE_DAYS", default.minutes),
        _days(environment, "TALLYGATE_READINGS_HOUR_DAYS", default.hours),
    )


def kernel_cache(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Where compiled kernels are kept; None: where numba keeps them, beside the source or in the user's cache."""
    folder = environment.get("TALLYGATE_KERNEL_CACHE")
    return Path(folder).expanduser().absolute() if folder else None


def _days(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not re.fullmatch(r"[0-9]{1,6}", text):
        raise WrongSetting(f"{name}: expected a number of days, got {text!r}")
    return int(text)


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
