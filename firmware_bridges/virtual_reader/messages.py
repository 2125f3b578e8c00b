"""The reader's side of LLRP 1.0.1: what clients ask becomes frozen values, what readers say becomes bytes.

In: whole messages of a client (`read_command`). Out: one command, never an exception: what cannot be
read is a `Malformed` or an `Unsupported`, which carries the answer that the standard wants for it. The
other way, each answer and each notice of a reader is one function that returns bytes. No I/O, no clock:
times come in as microseconds since 1970-01-01 UTC.

Encodings: section 16 of the standard. Phase and fine RSSI are Impinj's custom parameters (Octane LLRP
guide, "ImpinjRFPhaseAngle" and "ImpinjPeakRSSI"); a client has to switch the extension on first and then
ask for them in its ROSpec, as with that vendor's readers.

Signals on the wire are coarser than in a Sighting:

    PeakRSSI         whole dBm, halves away from zero (-63.5 is sent as -64), -128 … 127
    ImpinjPeakRSSI   1/100 dBm
    phase            1/4096 of a turn
"""

import math
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import lru_cache
from typing import Final

from firmware_bridges.virtual_reader.sighting import Sighting
from protocols.llrp import (
    IMPINJ,
    VERSION,
    ConnectionStatus,
    Frame,
    LlrpError,
    MalformedParameter,
    MessageType,
    Parameter,
    StatusCode,
    custom_parameter,
    message,
    read_frame,
    read_parameters,
    tlv,
    tv,
)

# Parameter types that a client sends or we answer with (section 16.2).
UTC_TIMESTAMP = 128
UPTIME = 129
GENERAL_DEVICE_CAPABILITIES = 137
RECEIVE_SENSITIVITY_ENTRY = 139
PER_ANTENNA_AIR_PROTOCOL = 140
GPIO_CAPABILITIES = 141
LLRP_CAPABILITIES = 142
REGULATORY_CAPABILITIES = 143
UHF_BAND_CAPABILITIES = 144
TRANSMIT_POWER_ENTRY = 145
FREQUENCY_INFORMATION = 146
FREQUENCY_HOP_TABLE = 147
FIXED_FREQUENCY_TABLE = 148
RO_SPEC = 177
RO_BOUNDARY_SPEC = 178
RO_SPEC_START_TRIGGER = 179
RO_SPEC_STOP_TRIGGER = 182
AI_SPEC = 183
IDENTIFICATION = 218
KEEPALIVE_SPEC = 220
ANTENNA_PROPERTIES = 221
ANTENNA_CONFIGURATION = 222
GPI_PORT_CURRENT_STATE = 225
RF_RECEIVER = 223
RF_TRANSMITTER = 224
EVENTS_AND_REPORTS = 226
RO_REPORT_SPEC = 237
TAG_REPORT_CONTENT_SELECTOR = 238
ACCESS_REPORT_SPEC = 239
TAG_REPORT_DATA = 240
EPC_DATA = 241
READER_EVENT_NOTIFICATION_SPEC = 244
EVENT_NOTIFICATION_STATE = 245
READER_EVENT_NOTIFICATION_DATA = 246
GPI_EVENT = 248
CONNECTION_ATTEMPT_EVENT = 256
CONNECTION_CLOSE_EVENT = 257
LLRP_STATUS = 287
C1G2_LLRP_CAPABILITIES = 327
UHF_RF_MODE_TABLE = 328
UHF_RF_MODE_ENTRY = 329
C1G2_INVENTORY_COMMAND = 330
C1G2_RF_CONTROL = 335
C1G2_SINGULATION_CONTROL = 336
C1G2_EPC_MEMORY_SELECTOR = 348
LLRP_CONFIGURATION_STATE = 217

# Impinj's subtypes: messages first, parameters after.
IMPINJ_ENABLE_EXTENSIONS = 21
IMPINJ_ENABLE_EXTENSIONS_RESPONSE = 22
IMPINJ_TAG_REPORT_CONTENT_SELECTOR = 50
IMPINJ_ENABLE_PHASE = 52
IMPINJ_ENABLE_PEAK_RSSI = 53
IMPINJ_PHASE = 56
IMPINJ_PEAK_RSSI = 57

PHASE_STEPS = 4096  # of one turn
GPI_EVENTS = 1  # EventType in EventNotificationState (section 16.2.6.5.1)
GPI_LOW, GPI_HIGH, GPI_UNKNOWN = 0, 1, 2  # GPIState (section 16.2.6.10)
AIR_PROTOCOL_C1G2 = 1

# Each request and the message that answers it (section 16.1).
RESPONSE_TO: Final[dict[int, MessageType]] = {
    MessageType.GET_READER_CAPABILITIES: MessageType.GET_READER_CAPABILITIES_RESPONSE,
    MessageType.GET_READER_CONFIG: MessageType.GET_READER_CONFIG_RESPONSE,
    MessageType.SET_READER_CONFIG: MessageType.SET_READER_CONFIG_RESPONSE,
    MessageType.CLOSE_CONNECTION: MessageType.CLOSE_CONNECTION_RESPONSE,
    MessageType.ADD_ROSPEC: MessageType.ADD_ROSPEC_RESPONSE,
    MessageType.DELETE_ROSPEC: MessageType.DELETE_ROSPEC_RESPONSE,
    MessageType.START_ROSPEC: MessageType.START_ROSPEC_RESPONSE,
    MessageType.STOP_ROSPEC: MessageType.STOP_ROSPEC_RESPONSE,
    MessageType.ENABLE_ROSPEC: MessageType.ENABLE_ROSPEC_RESPONSE,
    MessageType.DISABLE_ROSPEC: MessageType.DISABLE_ROSPEC_RESPONSE,
    MessageType.GET_ROSPECS: MessageType.GET_ROSPECS_RESPONSE,
    MessageType.ADD_ACCESSSPEC: MessageType.ADD_ACCESSSPEC_RESPONSE,
    MessageType.DELETE_ACCESSSPEC: MessageType.DELETE_ACCESSSPEC_RESPONSE,
    MessageType.ENABLE_ACCESSSPEC: MessageType.ENABLE_ACCESSSPEC_RESPONSE,
    MessageType.DISABLE_ACCESSSPEC: MessageType.DISABLE_ACCESSSPEC_RESPONSE,
    MessageType.GET_ACCESSSPECS: MessageType.GET_ACCESSSPECS_RESPONSE,
}


class Content(IntEnum):
    """Bits of the TagReportContentSelector, the highest first (section 16.2.7.1.1)."""

    ROSPEC_ID = 1 << 15
    SPEC_INDEX = 1 << 14
    INVENTORY_PARAMETER_SPEC_ID = 1 << 13
    ANTENNA_ID = 1 << 12
    CHANNEL_INDEX = 1 << 11
    PEAK_RSSI = 1 << 10
    FIRST_SEEN = 1 << 9
    LAST_SEEN = 1 << 8
    TAG_SEEN_COUNT = 1 << 7
    ACCESS_SPEC_ID = 1 << 6


@dataclass(frozen=True, slots=True)
class ReportContent:
    """What a client wants to read of each tag: the selector's bits, and what stands beside them."""

    selector: int = 0xFFC0
    pc_bits: bool = False
    phase: bool = False
    fine_rssi: bool = False


class ROSpecState(IntEnum):
    """Where an ROSpec stands (section 6.1)."""

    DISABLED = 0
    INACTIVE = 1
    ACTIVE = 2


@dataclass(frozen=True, slots=True)
class ROSpec:
    """An inventory that a client described.

    antennas         which take part; empty means all
    tags_per_report  how many TagReportData fill a report; 0 leaves it to the reader
    duration_ms      how long it runs once started; None until it is stopped
    encoded          the ROSpec parameter's body as the client sent it, for GET_ROSPECS
    """

    rospec_id: int
    priority: int
    starts_at_once: bool
    antennas: frozenset[int]
    content: ReportContent
    tags_per_report: int
    duration_ms: int | None
    encoded: bytes


@dataclass(frozen=True, slots=True)
class GetCapabilities:
    """GET_READER_CAPABILITIES; requested 0 is everything, 1 … 4 one part."""

    message_id: int
    requested: int


@dataclass(frozen=True, slots=True)
class GetConfig:
    """GET_READER_CONFIG; requested 0 is everything, 1 … 11 one part; antenna 0 and input 0 are all."""

    message_id: int
    requested: int
    antenna: int
    input: int = 0


@dataclass(frozen=True, slots=True)
class SetConfig:
    """SET_READER_CONFIG; None leaves a setting as it was; keepalive_ms 0 means none.

    inputs  which general purpose inputs to switch on or off
    """

    message_id: int
    resets: bool
    keepalive_ms: int | None
    holds_reports: bool | None
    events: tuple[tuple[int, bool], ...]
    inputs: tuple[tuple[int, bool], ...] = ()


@dataclass(frozen=True, slots=True)
class AddROSpec:
    """ADD_ROSPEC."""

    message_id: int
    rospec: ROSpec


@dataclass(frozen=True, slots=True)
class ChangeROSpec:
    """DELETE, START, STOP, ENABLE or DISABLE_ROSPEC, as `verb` says; id 0 is all where that is allowed."""

    message_id: int
    verb: MessageType
    rospec_id: int


@dataclass(frozen=True, slots=True)
class ChangeAccessSpec:
    """ADD, DELETE, ENABLE or DISABLE_ACCESSSPEC; the id of an added one is read as 0."""

    message_id: int
    verb: MessageType
    access_spec_id: int


@dataclass(frozen=True, slots=True)
class Plain:
    """A request that is said by its type alone: GET_ROSPECS, GET_REPORT, KEEPALIVE_ACK …"""

    message_id: int
    verb: MessageType


@dataclass(frozen=True, slots=True)
class EnableImpinjExtensions:
    """IMPINJ_ENABLE_EXTENSIONS."""

    message_id: int


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A message that this reader does not know, or of a version that it does not speak."""

    message_id: int
    type: int
    status: StatusCode
    reason: str


@dataclass(frozen=True, slots=True)
class Malformed:
    """A message of a known type that cannot be read."""

    message_id: int
    type: int
    status: StatusCode
    reason: str


Command = (
    GetCapabilities
    | GetConfig
    | SetConfig
    | AddROSpec
    | ChangeROSpec
    | ChangeAccessSpec
    | Plain
    | EnableImpinjExtensions
    | Unsupported
    | Malformed
)


class _Unsupported(LlrpError):
    """A message asks for what this reader cannot do."""


def read_command(data: bytes) -> Command:
    """What a client's message asks. `data` is one whole message, as FrameSplitter cuts it."""
    frame = read_frame(data)
    if frame.version != VERSION:
        return Unsupported(
            frame.message_id,
            frame.type,
            StatusCode.UNSUPPORTED_VERSION,
            f"expected protocol version {VERSION}, got {frame.version}",
        )
    reader = _READERS.get(frame.type)
    if reader is None:
        return Unsupported(
            frame.message_id,
            frame.type,
            StatusCode.UNSUPPORTED_MESSAGE,
            f"no message of type {frame.type} is known here",
        )
    try:
        return reader(frame)
    except _Unsupported as error:
        return Malformed(frame.message_id, frame.type, StatusCode.UNSUPPORTED_PARAMETER, str(error))
    except LlrpError as error:
        return Malformed(frame.message_id, frame.type, StatusCode.PARAMETER_ERROR, str(error))


def _fields(layout: str, data: bytes, what: str) -> tuple[tuple[int, ...], bytes]:
    """The fixed fields that open `data`, and what follows them. Raises MalformedParameter."""
    size = struct.calcsize(layout)
    if len(data) < size:
        raise MalformedParameter(f"{what}: expected at least {size} bytes, got {len(data)}")
    return struct.unpack_from(layout, data), data[size:]


def _only(data: bytes, what: str) -> None:
    if data:
        raise MalformedParameter(f"{what}: expected no further bytes, got {len(data)}")


def _one(parameters: Iterable[Parameter], kind: int, what: str) -> Parameter | None:
    found = [parameter for parameter in parameters if parameter.type == kind]
    if len(found) > 1:
        raise MalformedParameter(f"{what}: expected at most one parameter {kind}, got {len(found)}")
    return found[0] if found else None


def _needed(parameters: Iterable[Parameter], kind: int, what: str) -> Parameter:
    found = _one(parameters, kind, what)
    if found is None:
        raise MalformedParameter(f"{what}: expected a parameter {kind}, got none")
    return found


def _read_get_capabilities(frame: Frame) -> Command:
    (requested,), rest = _fields("!B", frame.body, "GET_READER_CAPABILITIES")
    read_parameters(rest, "GET_READER_CAPABILITIES")
    if requested > 4:
        raise MalformedParameter(f"GET_READER_CAPABILITIES: expected request 0 to 4, got {requested}")
    return GetCapabilities(frame.message_id, requested)


def _read_get_config(frame: Frame) -> Command:
    (antenna, requested, port, _), rest = _fields("!HBHH", frame.body, "GET_READER_CONFIG")
    read_parameters(rest, "GET_READER_CONFIG")
    if requested > 11:
        raise MalformedParameter(f"GET_READER_CONFIG: expected request 0 to 11, got {requested}")
    return GetConfig(frame.message_id, requested, antenna, port)


def _read_set_config(frame: Frame) -> Command:
    what = "SET_READER_CONFIG"
    (flags,), rest = _fields("!B", frame.body, what)
    parameters = read_parameters(rest, what)
    keepalive_ms = None
    if spec := _one(parameters, KEEPALIVE_SPEC, what):
        (trigger, interval_ms), tail = _fields("!BI", spec.body, "KeepaliveSpec")
        _only(tail, "KeepaliveSpec")
        if trigger > 1 or (trigger == 1 and interval_ms == 0):
            raise MalformedParameter(
                f"KeepaliveSpec: expected trigger 0, or 1 with an interval, got {trigger} with {interval_ms} ms"
            )
        keepalive_ms = interval_ms if trigger else 0
    holds = None
    if hold := _one(parameters, EVENTS_AND_REPORTS, what):
        (bits,), tail = _fields("!B", hold.body, "EventsAndReports")
        _only(tail, "EventsAndReports")
        holds = bool(bits & 0x80)
    events = _read_events(_one(parameters, READER_EVENT_NOTIFICATION_SPEC, what))
    return SetConfig(frame.message_id, bool(flags & 0x80), keepalive_ms, holds, events, _read_inputs(parameters))


def _read_inputs(parameters: Iterable[Parameter]) -> tuple[tuple[int, bool], ...]:
    inputs = []
    for parameter in parameters:
        if parameter.type == GPI_PORT_CURRENT_STATE:
            # What a client says of the state is left alone: only the reader knows it.
            (port, bits, _), tail = _fields("!HBB", parameter.body, "GPIPortCurrentState")
            _only(tail, "GPIPortCurrentState")
            inputs.append((port, bool(bits & 0x80)))
    return tuple(inputs)


def _read_events(spec: Parameter | None) -> tuple[tuple[int, bool], ...]:
    if spec is None:
        return ()
    states = []
    for parameter in read_parameters(spec.body, "ReaderEventNotificationSpec"):
        if parameter.type == EVENT_NOTIFICATION_STATE:
            (event, bits), _ = _fields("!HB", parameter.body, "EventNotificationState")
            states.append((event, bool(bits & 0x80)))
    return tuple(states)


def _read_add_rospec(frame: Frame) -> Command:
    parameters = read_parameters(frame.body, "ADD_ROSPEC")
    return AddROSpec(frame.message_id, read_rospec(_needed(parameters, RO_SPEC, "ADD_ROSPEC").body))


def read_rospec(body: bytes) -> ROSpec:
    """An ROSpec parameter's body (section 16.2.4.1). Raises LlrpError."""
    (rospec_id, priority, state), rest = _fields("!IBB", body, "ROSpec")
    if rospec_id == 0 or priority > 7 or state != ROSpecState.DISABLED:
        raise MalformedParameter(
            "ROSpec: expected an id above 0, priority 0 to 7 and the state disabled, "
            f"got {rospec_id}, {priority} and {state}"
        )
    parameters = read_parameters(rest, "ROSpec")
    boundary = read_parameters(_needed(parameters, RO_BOUNDARY_SPEC, "ROSpec").body, "ROBoundarySpec")
    (start,), _ = _fields("!B", _needed(boundary, RO_SPEC_START_TRIGGER, "ROBoundarySpec").body, "StartTrigger")
    (stop, duration_ms), _ = _fields(
        "!BI", _needed(boundary, RO_SPEC_STOP_TRIGGER, "ROBoundarySpec").body, "StopTrigger"
    )
    if start > 1 or stop > 1:
        raise _Unsupported(
            "this reader starts ROSpecs by hand or at once (0, 1) and stops them by hand or after a time "
            f"(0, 1), got start trigger {start} and stop trigger {stop}"
        )
    antennas = _read_antennas(parameters)
    tags_per_report, content = _read_report_spec(_one(parameters, RO_REPORT_SPEC, "ROSpec"))
    return ROSpec(
        rospec_id, priority, start == 1, antennas, content, tags_per_report, duration_ms if stop else None, body
    )


def _read_antennas(parameters: Iterable[Parameter]) -> frozenset[int]:
    specs = [parameter for parameter in parameters if parameter.type == AI_SPEC]
    if not specs:
        raise MalformedParameter("ROSpec: expected at least one AISpec, got none")
    antennas: set[int] = set()
    for spec in specs:
        (count,), rest = _fields("!H", spec.body, "AISpec")
        if count == 0:
            raise MalformedParameter("AISpec: expected at least one antenna, got none")
        numbers, _ = _fields(f"!{count}H", rest, f"AISpec of {count} antennas")
        antennas.update(numbers)
    return frozenset() if 0 in antennas else frozenset(antennas)


def _read_report_spec(spec: Parameter | None) -> tuple[int, ReportContent]:
    if spec is None:
        return 1, ReportContent()
    (trigger, count), rest = _fields("!BH", spec.body, "ROReportSpec")
    if trigger > 2:
        raise _Unsupported(f"ROReportSpec: expected trigger 0 to 2, got {trigger}")
    content = ReportContent(selector=0)
    for parameter in read_parameters(rest, "ROReportSpec"):
        if parameter.type == TAG_REPORT_CONTENT_SELECTOR:
            (selector,), memories = _fields("!H", parameter.body, "TagReportContentSelector")
            content = replace(content, selector=selector, pc_bits=_wants_pc(memories))
        elif (parameter.vendor, parameter.subtype) == (IMPINJ, IMPINJ_TAG_REPORT_CONTENT_SELECTOR):
            content = _read_impinj_selector(parameter, content)
    return (count if trigger else 0), content


def _wants_pc(memories: bytes) -> bool:
    for memory in read_parameters(memories, "TagReportContentSelector"):
        if memory.type == C1G2_EPC_MEMORY_SELECTOR:
            (bits,), _ = _fields("!B", memory.body, "C1G2EPCMemorySelector")
            return bool(bits & 0x40)
    return False


def _read_impinj_selector(selector: Parameter, content: ReportContent) -> ReportContent:
    for parameter in read_parameters(selector.body, "ImpinjTagReportContentSelector"):
        if parameter.vendor != IMPINJ or parameter.subtype not in (IMPINJ_ENABLE_PHASE, IMPINJ_ENABLE_PEAK_RSSI):
            continue
        (mode,), _ = _fields("!H", parameter.body, f"Impinj parameter {parameter.subtype}")
        if parameter.subtype == IMPINJ_ENABLE_PHASE:
            content = replace(content, phase=mode == 1)
        else:
            content = replace(content, fine_rssi=mode == 1)
    return content


def _read_change_rospec(frame: Frame) -> Command:
    verb = MessageType(frame.type)
    (rospec_id,), rest = _fields("!I", frame.body, verb.name)
    _only(rest, verb.name)
    return ChangeROSpec(frame.message_id, verb, rospec_id)


def _read_change_access_spec(frame: Frame) -> Command:
    verb = MessageType(frame.type)
    if verb is MessageType.ADD_ACCESSSPEC:
        read_parameters(frame.body, verb.name)
        return ChangeAccessSpec(frame.message_id, verb, 0)
    (access_spec_id,), rest = _fields("!I", frame.body, verb.name)
    _only(rest, verb.name)
    return ChangeAccessSpec(frame.message_id, verb, access_spec_id)


def _read_plain(frame: Frame) -> Command:
    verb = MessageType(frame.type)
    _only(frame.body, verb.name)
    return Plain(frame.message_id, verb)


def _read_custom(frame: Frame) -> Command:
    (vendor, subtype), _ = _fields("!IB", frame.body, "CUSTOM_MESSAGE")
    if (vendor, subtype) == (IMPINJ, IMPINJ_ENABLE_EXTENSIONS):
        return EnableImpinjExtensions(frame.message_id)
    return Unsupported(
        frame.message_id,
        frame.type,
        StatusCode.UNSUPPORTED_MESSAGE,
        f"no custom message {subtype} of vendor {vendor} is known here",
    )


_READERS: Final[dict[int, Callable[[Frame], Command]]] = {
    MessageType.GET_READER_CAPABILITIES: _read_get_capabilities,
    MessageType.GET_READER_CONFIG: _read_get_config,
    MessageType.SET_READER_CONFIG: _read_set_config,
    MessageType.CLOSE_CONNECTION: _read_plain,
    MessageType.ADD_ROSPEC: _read_add_rospec,
    MessageType.DELETE_ROSPEC: _read_change_rospec,
    MessageType.START_ROSPEC: _read_change_rospec,
    MessageType.STOP_ROSPEC: _read_change_rospec,
    MessageType.ENABLE_ROSPEC: _read_change_rospec,
    MessageType.DISABLE_ROSPEC: _read_change_rospec,
    MessageType.GET_ROSPECS: _read_plain,
    MessageType.ADD_ACCESSSPEC: _read_change_access_spec,
    MessageType.DELETE_ACCESSSPEC: _read_change_access_spec,
    MessageType.ENABLE_ACCESSSPEC: _read_change_access_spec,
    MessageType.DISABLE_ACCESSSPEC: _read_change_access_spec,
    MessageType.GET_ACCESSSPECS: _read_plain,
    MessageType.GET_REPORT: _read_plain,
    MessageType.ENABLE_EVENTS_AND_REPORTS: _read_plain,
    MessageType.KEEPALIVE_ACK: _read_plain,
    MessageType.CUSTOM_MESSAGE: _read_custom,
}


# ── what a reader says ────────────────────────────────────────────────────────────────────────────


def llrp_status(status: StatusCode, description: str = "") -> bytes:
    """LLRPStatus (section 16.2.8.1); the description is cut to what its length field can say."""
    text = description.encode()[:0xFFFF]
    return tlv(LLRP_STATUS, struct.pack("!HH", status, len(text)), text)


def response(kind: MessageType, message_id: int, *parts: bytes) -> bytes:
    """An answer that succeeded, with what it carries."""
    return message(kind, message_id, llrp_status(StatusCode.SUCCESS) + b"".join(parts))


def refusal(kind: MessageType, message_id: int, status: StatusCode, reason: str) -> bytes:
    """An answer that says why not."""
    return message(kind, message_id, llrp_status(status, reason))


def error_message(message_id: int, status: StatusCode, reason: str) -> bytes:
    """ERROR_MESSAGE (section 14.2), for what has no answer of its own."""
    return refusal(MessageType.ERROR_MESSAGE, message_id, status, reason)


def answer_to_unreadable(command: Unsupported | Malformed) -> bytes:
    """What the standard wants said to a message that could not be read or obeyed."""
    if isinstance(command, Malformed) and (kind := RESPONSE_TO.get(command.type)):
        return refusal(kind, command.message_id, command.status, command.reason)
    return error_message(command.message_id, command.status, command.reason)


def _notification(message_id: int, at_us: int, event: bytes) -> bytes:
    stamp = tlv(UTC_TIMESTAMP, struct.pack("!Q", at_us))
    body = tlv(READER_EVENT_NOTIFICATION_DATA, stamp, event)
    return message(MessageType.READER_EVENT_NOTIFICATION, message_id, body)


def connection_attempt(message_id: int, at_us: int, status: ConnectionStatus) -> bytes:
    """READER_EVENT_NOTIFICATION with a ConnectionAttemptEvent: a reader's first word to a client."""
    return _notification(message_id, at_us, tlv(CONNECTION_ATTEMPT_EVENT, struct.pack("!H", status)))


def connection_close(message_id: int, at_us: int) -> bytes:
    """READER_EVENT_NOTIFICATION with a ConnectionCloseEvent: a reader is about to hang up."""
    return _notification(message_id, at_us, tlv(CONNECTION_CLOSE_EVENT))


def gpi_event(message_id: int, at_us: int, port: int, is_high: bool) -> bytes:
    """READER_EVENT_NOTIFICATION with a GPIEvent (section 16.2.7.6.2): an input changed."""
    event = tlv(GPI_EVENT, struct.pack("!HB", port, 0x80 if is_high else 0))
    return _notification(message_id, at_us, event)


def keepalive(message_id: int) -> bytes:
    """KEEPALIVE."""
    return message(MessageType.KEEPALIVE, message_id)


def impinj_extensions_enabled(message_id: int) -> bytes:
    """IMPINJ_ENABLE_EXTENSIONS_RESPONSE."""
    body = struct.pack("!IB", IMPINJ, IMPINJ_ENABLE_EXTENSIONS_RESPONSE) + llrp_status(StatusCode.SUCCESS)
    return message(MessageType.CUSTOM_MESSAGE, message_id, body)


@dataclass(frozen=True, slots=True)
class Device:
    """What the reader says it is.

    antennas      how many it has
    inputs        how many general purpose inputs it has
    channels_khz  its channels, index 1 first
    hops          whether it hops over them (FCC, China) or sits on one (ETSI)
    reader_id     EUI-64 of the device (section 13.2.2); ours is of the locally administered range
    """

    antennas: int = 4
    inputs: int = 4
    channels_khz: tuple[int, ...] = (865_700, 866_300, 866_900, 867_500)
    hops: bool = False
    firmware: str = "Tallygate virtual reader"
    reader_id: bytes = bytes.fromhex("02544147FFFE0001")


# Transmit powers the reader offers: index 1 is 10 dBm, a step is 0.25 dB, the last 30 dBm.
TRANSMIT_POWERS_CENTIDBM: Final = tuple(range(1000, 3001, 25))
# Miller and rate of a few modes: identifier, M (0 FM0, 1 M2, 2 M4, 3 M8), backscatter rate in bit/s,
# PIE × 1000, least and most Tari in ns; all with DR 64/3, PR-ASK and the dense spectral mask. Made up
# in the range that readers offer (section 16.3.1.1.3).
RF_MODES: Final = (
    (0, 0, 640_000, 1500, 6250, 6250),
    (1, 1, 640_000, 1500, 6250, 6250),
    (2, 2, 274_000, 2000, 20_000, 20_000),
    (3, 3, 170_600, 2000, 20_000, 20_000),
)


def capabilities(message_id: int, device: Device, requested: int = 0) -> bytes:
    """GET_READER_CAPABILITIES_RESPONSE (section 16.1.2) with all parts or the one asked for."""
    parts = {
        1: _general_capabilities(device),
        # No survey, no buffer warning, no holding for a client's op specs; holding of reports is offered.
        2: tlv(LLRP_CAPABILITIES, struct.pack("!BBHIIIII", 0x08, 7, 0, 8, 8, 8, 0, 0)),
        3: _regulatory_capabilities(device),
        4: tlv(C1G2_LLRP_CAPABILITIES, struct.pack("!BH", 0, 2)),
    }
    wanted = parts.values() if requested == 0 else (parts[requested],)
    return response(MessageType.GET_READER_CAPABILITIES_RESPONSE, message_id, *wanted)


def _general_capabilities(device: Device) -> bytes:
    firmware = device.firmware.encode()
    has_utc_clock = 0x4000
    head = struct.pack("!HHIIH", device.antennas, has_utc_clock, IMPINJ, 0, len(firmware)) + firmware
    air_protocols = [
        tlv(PER_ANTENNA_AIR_PROTOCOL, struct.pack("!HHB", antenna, 1, AIR_PROTOCOL_C1G2))
        for antenna in range(1, device.antennas + 1)
    ]
    return tlv(
        GENERAL_DEVICE_CAPABILITIES,
        head,
        tlv(RECEIVE_SENSITIVITY_ENTRY, struct.pack("!HH", 1, 0)),
        tlv(GPIO_CAPABILITIES, struct.pack("!HH", device.inputs, 0)),
        *air_protocols,
    )


def _regulatory_capabilities(device: Device) -> bytes:
    powers = [
        tlv(TRANSMIT_POWER_ENTRY, struct.pack("!HH", index, power))
        for index, power in enumerate(TRANSMIT_POWERS_CENTIDBM, 1)
    ]
    count = len(device.channels_khz)
    channels = struct.pack(f"!{count}I", *device.channels_khz)
    if device.hops:
        frequencies = tlv(FREQUENCY_HOP_TABLE, struct.pack("!BBH", 1, 0, count), channels)
    else:
        frequencies = tlv(FIXED_FREQUENCY_TABLE, struct.pack("!H", count), channels)
    modes = [
        tlv(UHF_RF_MODE_ENTRY, struct.pack("!IBBBBIIIII", mode, 0x80, m, 0, 3, rate, pie, low, high, 0))
        for mode, m, rate, pie, low, high in RF_MODES
    ]
    band = tlv(
        UHF_BAND_CAPABILITIES,
        *powers,
        tlv(FREQUENCY_INFORMATION, bytes((0x80 if device.hops else 0,)), frequencies),
        tlv(UHF_RF_MODE_TABLE, *modes),
    )
    # ISO 3166 numeric 276, ETSI 302 208 (section 16.2.3.4): as in the recording that we play.
    return tlv(REGULATORY_CAPABILITIES, struct.pack("!HH", 276, 2), band)


@dataclass(frozen=True, slots=True)
class Config:
    """What SET_READER_CONFIG can set here; it outlives a connection, as the standard wants."""

    keepalive_ms: int = 0
    holds_reports: bool = False
    events: frozenset[int] = frozenset()
    inputs: frozenset[int] = frozenset()  # those that are switched on

    def changed_by(self, command: SetConfig) -> "Config":
        """The configuration after `command`."""
        before = Config() if command.resets else self
        return Config(
            before.keepalive_ms if command.keepalive_ms is None else command.keepalive_ms,
            before.holds_reports if command.holds_reports is None else command.holds_reports,
            _switched(before.events, command.events),
            _switched(before.inputs, command.inputs),
        )

    def tells_of(self, port: int) -> bool:
        """Whether the client is told when this input changes."""
        return GPI_EVENTS in self.events and port in self.inputs


def _switched(on: frozenset[int], switches: Iterable[tuple[int, bool]]) -> frozenset[int]:
    after = set(on)
    for number, wanted in switches:
        (after.add if wanted else after.discard)(number)
    return frozenset(after)


def config(command: GetConfig, device: Device, current: Config, inputs: Mapping[int, bool] | None = None) -> bytes:
    """GET_READER_CONFIG_RESPONSE (section 16.1.22) with all parts or the one asked for.

    inputs  which general purpose inputs are high; one that is not named is low

    The identification, which is optional, is given only when it is asked for by itself: tshark 4.0 calls
    every one of them two bytes too long, real readers' too, and a flag that is always up warns of nothing.
    """
    antennas = range(1, device.antennas + 1) if command.antenna == 0 else (command.antenna,)
    ports = range(1, device.inputs + 1) if command.input == 0 else (command.input,)
    trigger = 1 if current.keepalive_ms else 0
    # In the order of the standard, which is not that of the request's numbers.
    parts = {
        1: tlv(IDENTIFICATION, struct.pack("!BH", 0, len(device.reader_id)), device.reader_id),
        2: b"".join(tlv(ANTENNA_PROPERTIES, struct.pack("!BHh", 0x80, antenna, 0)) for antenna in antennas),
        3: b"".join(_antenna_configuration(antenna) for antenna in antennas),
        5: tlv(
            READER_EVENT_NOTIFICATION_SPEC,
            *(
                tlv(EVENT_NOTIFICATION_STATE, struct.pack("!HB", event, 0x80 if event in current.events else 0))
                for event in range(9)
            ),
        ),
        4: tlv(
            RO_REPORT_SPEC,
            struct.pack("!BH", 2, 1),
            tlv(TAG_REPORT_CONTENT_SELECTOR, struct.pack("!H", ReportContent().selector)),
        ),
        6: tlv(ACCESS_REPORT_SPEC, bytes((0,))),
        7: tlv(LLRP_CONFIGURATION_STATE, struct.pack("!I", 0)),
        8: tlv(KEEPALIVE_SPEC, struct.pack("!BI", trigger, current.keepalive_ms)),
        9: b"".join(_input(port, current, inputs or {}) for port in ports),
        10: b"",  # no general purpose outputs
        11: tlv(EVENTS_AND_REPORTS, bytes((0x80 if current.holds_reports else 0,))),
    }
    everything = (part for number, part in parts.items() if number != 1)
    wanted = everything if command.requested == 0 else (parts[command.requested],)
    return response(MessageType.GET_READER_CONFIG_RESPONSE, command.message_id, *wanted)


def _input(port: int, current: Config, inputs: Mapping[int, bool]) -> bytes:
    is_on = port in current.inputs
    level = GPI_HIGH if inputs.get(port) else GPI_LOW
    return tlv(
        GPI_PORT_CURRENT_STATE,
        struct.pack("!HBB", port, 0x80 if is_on else 0, level if is_on else GPI_UNKNOWN),
    )


def _antenna_configuration(antenna: int) -> bytes:
    control = tlv(
        C1G2_INVENTORY_COMMAND,
        bytes((0,)),
        tlv(C1G2_RF_CONTROL, struct.pack("!HH", 0, 0)),
        tlv(C1G2_SINGULATION_CONTROL, struct.pack("!BHI", 0, 32, 0)),
    )
    return tlv(
        ANTENNA_CONFIGURATION,
        struct.pack("!H", antenna),
        tlv(RF_RECEIVER, struct.pack("!H", 1)),
        tlv(RF_TRANSMITTER, struct.pack("!HHH", 0, 1, len(TRANSMIT_POWERS_CENTIDBM))),
        control,
    )


def rospecs(message_id: int, held: Iterable[tuple[ROSpec, ROSpecState]]) -> bytes:
    """GET_ROSPECS_RESPONSE: each ROSpec as the client sent it, with the state it is in now."""
    encoded = [tlv(RO_SPEC, rospec.encoded[:5] + bytes((state,)) + rospec.encoded[6:]) for rospec, state in held]
    return response(MessageType.GET_ROSPECS_RESPONSE, message_id, *encoded)


def ro_access_report(message_id: int, tags: Iterable[bytes]) -> bytes:
    """RO_ACCESS_REPORT of TagReportData made by a TagReportWriter; none of them is a valid report too."""
    return message(MessageType.RO_ACCESS_REPORT, message_id, b"".join(tags))


def whole_dbm(rssi_dbm: float) -> int:
    """RSSI as PeakRSSI can say it: whole dBm, halves away from zero, within a signed byte."""
    rounded = math.floor(abs(rssi_dbm) + 0.5)
    return max(-128, min(127, rounded if rssi_dbm >= 0 else -rounded))


@lru_cache(maxsize=4096)
def _epc_parameter(epc: str) -> bytes:
    """EPC-96 for 96 bits, else EPCData, which says its length in bits (section 16.2.7.3)."""
    bits = 4 * len(epc)
    data = bytes.fromhex(epc if len(epc) % 2 == 0 else epc + "0")
    return tv(13, data) if bits == 96 else tlv(EPC_DATA, struct.pack("!H", bits), data)


class TagReportWriter:
    """Writes the TagReportData that one ROSpec asked for (section 16.2.7.3)."""

    __slots__ = ("_content", "_rospec_id")

    def __init__(self, rospec_id: int, content: ReportContent) -> None:
        self._rospec_id = rospec_id
        self._content = content

    def write(self, seen: Sighting, seen_at_us: int) -> bytes:
        """One sighting, stamped with the reader's clock; every sighting is a report of its own, count 1."""
        wanted = self._content.selector
        parts = [_epc_parameter(seen.epc)]
        if wanted & Content.ROSPEC_ID:
            parts.append(struct.pack("!BI", 0x80 | 9, self._rospec_id))
        if wanted & Content.SPEC_INDEX:
            parts.append(struct.pack("!BH", 0x80 | 14, 1))
        if wanted & Content.INVENTORY_PARAMETER_SPEC_ID:
            parts.append(struct.pack("!BH", 0x80 | 10, 1))
        if wanted & Content.ANTENNA_ID:
            parts.append(struct.pack("!BH", 0x80 | 1, seen.antenna))
        if wanted & Content.PEAK_RSSI:
            parts.append(struct.pack("!Bb", 0x80 | 6, whole_dbm(seen.rssi_dbm)))
        if wanted & Content.CHANNEL_INDEX and seen.channel is not None:
            parts.append(struct.pack("!BH", 0x80 | 7, seen.channel))
        if wanted & Content.FIRST_SEEN:
            parts.append(struct.pack("!BQ", 0x80 | 2, seen_at_us))
        if wanted & Content.LAST_SEEN:
            parts.append(struct.pack("!BQ", 0x80 | 4, seen_at_us))
        if wanted & Content.TAG_SEEN_COUNT:
            parts.append(struct.pack("!BH", 0x80 | 8, 1))
        if self._content.pc_bits:
            parts.append(struct.pack("!BH", 0x80 | 12, len(seen.epc) // 4 << 11 & 0xFFFF))
        if wanted & Content.ACCESS_SPEC_ID:
            parts.append(struct.pack("!BI", 0x80 | 16, 0))
        parts.extend(self._impinj(seen))
        return tlv(TAG_REPORT_DATA, *parts)

    def _impinj(self, seen: Sighting) -> Iterable[bytes]:
        if self._content.phase and seen.phase_rad is not None:
            step = round(seen.phase_rad / math.tau * PHASE_STEPS) % PHASE_STEPS
            yield custom_parameter(IMPINJ, IMPINJ_PHASE, struct.pack("!H", step))
        if self._content.fine_rssi:
            centidbm = max(-32768, min(32767, round(seen.rssi_dbm * 100)))
            yield custom_parameter(IMPINJ, IMPINJ_PEAK_RSSI, struct.pack("!h", centidbm))


# ── what no reader should say: for tests of those who listen ──────────────────────────────────────


def report_cut_short() -> bytes:
    """A report whose frame is whole but whose AntennaID lacks a byte."""
    return message(MessageType.RO_ACCESS_REPORT, 0, tlv(TAG_REPORT_DATA, tv(13, bytes(12)), b"\x81\x00"))


def message_of_no_known_type() -> bytes:
    """A whole message whose type no edition of the standard names."""
    return message(999, 0, b"\x00\x01\x02\x03")


def message_without_end() -> bytes:
    """A header that claims the longest message there can be."""
    return struct.pack("!HII", VERSION << 10 | MessageType.RO_ACCESS_REPORT, 0xFFFF_FFFF, 0)
