"""gateway.toml → settings of the gateway program. Relative paths count from the file's own folder.

    company = "demo"                     # where the gateway stands in the topic tree, and what it is called
    site = "main"
    gateway = "gw-1"
    outbox = "outbox.db"

    [broker]
    host = "127.0.0.1"
    port = 1883
    user = "gw-1"
    password_file = "gw-1.password"      # one line, nothing else in it
    ca_file = "ca.pem"                   # set: TLS with this authority; absent: no TLS (loopback only)

    [[portals]]                          # one for each reader
    name = "dock-reader"
    gate = "gate-1"                      # the gate's code in movements; absent: the portal's name
    host = "192.0.2.10"
    port = 5084
    inside = [1, 2]                      # antennas that face the warehouse
    outside = [3, 4]                     # antennas that face the yard
    hold_s = 3.0                         # further keys: see PortalEntry

A key that is not known, of the wrong type or with an impossible value is refused with the file, the key,
what was expected and what was found.
"""

import tomllib
from pathlib import Path
from typing import Annotated

import msgspec

from edge.recognition.gate import GateSettings, WrongGate
from protocols.wire.topics import GatewayAddress, WrongTopic

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Antenna = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]

LLRP_PORT = 5084  # IANA, LLRP without TLS


class WrongSettings(ValueError):
    """gateway.toml cannot be used."""


class BrokerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the broker is and who we are there."""

    host: Name
    user: str
    password_file: Path
    port: Port = 1883
    ca_file: Path | None = None


class PortalEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A reader and the gate it watches; defaults are those of PortalSettings and GateSettings."""

    name: Name
    host: Name
    inside: list[Antenna]
    outside: list[Antenna]
    gate: Name | None = None
    port: Port = LLRP_PORT
    keepalive_s: Seconds = 5.0
    tx_power_dbm: float | None = None
    session: Annotated[int, msgspec.Meta(ge=0, le=3)] = 0
    impinj: bool = False
    hold_s: Seconds = 3.0
    longest_visit_s: Seconds = 20.0

    def gate_settings(self) -> GateSettings:
        """The gate as recognition needs it. Raises WrongGate."""
        return GateSettings(
            name=self.gate or self.name,
            inside=frozenset(self.inside),
            outside=frozenset(self.outside),
            hold_s=self.hold_s,
            longest_visit_s=self.longest_visit_s,
        )


class GatewaySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything the gateway program is told."""

    company: str
    site: str
    gateway: str
    outbox: Path
    broker: BrokerSettings
    portals: list[PortalEntry] = []

    @property
    def address(self) -> GatewayAddress:
        """The gateway's place in the topic tree."""
        return GatewayAddress(self.company, self.site, self.gateway)


def load_settings(path: Path) -> GatewaySettings:
    """Read gateway.toml. Raises WrongSettings."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WrongSettings(f"{path} cannot be read: {error}") from error
    try:
        settings = msgspec.convert(tomllib.loads(text), GatewaySettings, dec_hook=_path)
        return _checked(settings, path.parent)
    except tomllib.TOMLDecodeError as error:
        raise WrongSettings(f"{path} is no TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise WrongSettings(f"{path}: {error}") from error
    except (WrongGate, WrongTopic, WrongSettings) as error:
        raise WrongSettings(f"{path}: {error}") from error


def _path(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str) and value:
        return Path(value)
    raise ValueError(f"Expected a path, got {value!r}")


def _checked(settings: GatewaySettings, folder: Path) -> GatewaySettings:
    """With every path absolute. Raises WrongTopic, WrongGate, WrongSettings."""
    _ = settings.address
    for key, names in (
        ("name", [portal.name for portal in settings.portals]),
        ("gate", [portal.gate or portal.name for portal in settings.portals]),
        ("host and port", [f"{portal.host}:{portal.port}" for portal in settings.portals]),
    ):
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise WrongSettings(f"expected a {key} of its own for each of the portals, got {twice[0]!r} twice")
    for portal in settings.portals:
        portal.gate_settings()
    broker = settings.broker
    return msgspec.structs.replace(
        settings,
        outbox=folder / settings.outbox,
        broker=msgspec.structs.replace(
            broker,
            password_file=folder / broker.password_file,
            ca_file=None if broker.ca_file is None else folder / broker.ca_file,
        ),
    )
