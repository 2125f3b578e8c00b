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

    [portals.recognition]                # any limit of recognition by its name: see edge/recognition/gate.py
    fewest_reads = 8

    [portals.photo_eyes]                 # inputs of the reader that photo-eyes are wired to
    door = 1                             # over the gate's line; or outside = 1 and inside = 2, before and behind it
    broken_when = "low"                  # level of the input while something stands in the beam; "high" if absent;
                                         # for each eye by itself: { outside = "low", inside = "high" }

    [[portals]]
    name = "dock-2-reader"
    host = "192.0.2.11"
    gate_file = "gates/dock-2.toml"      # instead of inside, outside, hold_s and [portals.recognition]: what
                                         # `tallygate gate fit` writes; it may name the photo-eyes too

A key that is not known, of the wrong type or with an impossible value is refused with the file, the key,
what was expected and what was found.
"""

import dataclasses
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from edge.recognition.gate import GateSettings, WrongGate
from edge.recognition.gate_file import DEFAULT_NAME, read_fields, read_gate
from protocols.wire.topics import GatewayAddress, WrongTopic

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Antenna = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Input = Annotated[int, msgspec.Meta(ge=1, le=65535)]  # GPIPortNum of LLRP has 16 bits
Seconds = Annotated[float, msgspec.Meta(gt=0)]
Level = Literal["high", "low"]
EyePlace = Literal["door", "outside", "inside"]

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


class PhotoEyesEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Photo-eyes by where they look across the way, each on an input of the reader, and what its level means."""

    door: Input | None = None
    outside: Input | None = None
    inside: Input | None = None
    broken_when: Level | dict[EyePlace, Level] = "high"

    def ports(self) -> dict[EyePlace, int]:
        """The inputs, by place."""
        named: tuple[tuple[EyePlace, int | None], ...] = (
            ("door", self.door),
            ("outside", self.outside),
            ("inside", self.inside),
        )
        return {place: port for place, port in named if port is not None}


class PortalEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A reader and the gate it watches; defaults are those of PortalSettings and GateSettings."""

    name: Name
    host: Name
    inside: list[Antenna] = []
    outside: list[Antenna] = []
    gate: Name | None = None
    gate_file: Path | None = None
    port: Port = LLRP_PORT
    keepalive_s: Seconds = 5.0
    tx_power_dbm: float | None = None
    session: Annotated[int, msgspec.Meta(ge=0, le=3)] = 0
    impinj: bool = False
    hold_s: Seconds | None = None
    longest_visit_s: Seconds | None = None
    recognition: dict[str, Any] = {}
    photo_eyes: PhotoEyesEntry = PhotoEyesEntry()

    def gate_settings(self) -> GateSettings:
        """The gate as recognition needs it. Reads the gate file. Raises WrongGate."""
        return self._from_entry() if self.gate_file is None else self._from_file(self.gate_file)

    def eye_levels(self, gate: GateSettings) -> dict[int, Level]:
        """Each photo-eye's input, and the level it has while the beam is broken. Raises WrongGate."""
        levels, eyes = self.photo_eyes.broken_when, _eyes(gate)
        if isinstance(levels, dict) and (strange := sorted(set(levels) - set(eyes))):
            raise WrongGate(
                f"{self._where}: key photo_eyes.broken_when.{strange[0]}: "
                f"expected one of {', '.join(eyes) or 'no'} photo-eyes that are wired, got {strange[0]}"
            )
        return {
            port: levels.get(place, "high") if isinstance(levels, dict) else levels for place, port in eyes.items()
        }

    @property
    def _where(self) -> str:
        return f"portal {self.name!r}"

    def _from_entry(self) -> GateSettings:
        known = read_fields(self.recognition, "recognition", self._where)
        for key, seconds in (("hold_s", self.hold_s), ("longest_visit_s", self.longest_visit_s)):
            if seconds is not None:
                if key in known:
                    raise WrongGate(f"{self._where}: expected {key} once, got it in [portals.recognition] too")
                known[key] = seconds
        known |= {f"eye_{place}": port for place, port in self.photo_eyes.ports().items()}
        return GateSettings(
            name=self.gate or self.name, inside=frozenset(self.inside), outside=frozenset(self.outside), **known
        )

    def _from_file(self, path: Path) -> GateSettings:
        beside: dict[str, Any] = {
            "inside": self.inside,
            "outside": self.outside,
            "hold_s": self.hold_s,
            "longest_visit_s": self.longest_visit_s,
            "recognition": self.recognition,
        }
        if double := [key for key, value in beside.items() if value]:
            raise WrongGate(f"{self._where}: expected gate_file without {double[0]}, which stands in it, got both")
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise WrongGate(f"{self._where}: gate_file {path} cannot be read: {error}") from error
        gate = read_gate(text, str(path))
        if here := self.photo_eyes.ports():
            if _eyes(gate):
                raise WrongGate(
                    f"{self._where}: expected photo-eyes here or in {path}, got {here} and {_eyes(gate)}"
                )
            wired: dict[str, Any] = {f"eye_{place}": port for place, port in here.items()}
            gate = dataclasses.replace(gate, **wired)
        named = self.gate or (self.name if gate.name == DEFAULT_NAME else gate.name)
        return dataclasses.replace(gate, name=named)


def _eyes(gate: GateSettings) -> dict[EyePlace, int]:
    places: tuple[EyePlace, ...] = ("door", "outside", "inside")
    ports = {place: getattr(gate, f"eye_{place}") for place in places}
    return {place: port for place, port in ports.items() if port is not None}


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


def _found(portal: PortalEntry, folder: Path) -> PortalEntry:
    if portal.gate_file is None:
        return portal
    return msgspec.structs.replace(portal, gate_file=folder / portal.gate_file)


def _checked(settings: GatewaySettings, folder: Path) -> GatewaySettings:
    """With every path absolute. Raises WrongTopic, WrongGate, WrongSettings."""
    _ = settings.address
    settings = msgspec.structs.replace(settings, portals=[_found(portal, folder) for portal in settings.portals])
    gates = [portal.gate_settings() for portal in settings.portals]
    for portal, gate in zip(settings.portals, gates, strict=True):
        portal.eye_levels(gate)
    for key, names in (
        ("name", [portal.name for portal in settings.portals]),
        ("gate", [gate.name for gate in gates]),
        ("host and port", [f"{portal.host}:{portal.port}" for portal in settings.portals]),
    ):
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise WrongSettings(f"expected a {key} of its own for each of the portals, got {twice[0]!r} twice")
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
