"""LLRP on the wire, as far as both ends need it: whole messages out of a stream, parameters, numbers.

EPCglobal Low Level Reader Protocol 1.0.1 (2007-08-13), section 16 "Binary encodings": every message
opens with 3 reserved bits, 3 bits of version, 10 bits of type, its whole length in bytes and a message
id, big-endian. Parameters are TLV (6 reserved bits, 10 bits of type, length with its own 4 bytes) or TV
(a set bit, 7 bits of type, a length that only the type tells).

In: bytes as TCP delivers them. Out: whole messages, frozen frames and parameters; and the other way
round. What goes wrong is said by `FrameSplitter.broken` (the stream cannot be followed any more) and
`MalformedParameter` (one message cannot be read; the stream goes on).
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

PORT: Final = 5084  # IANA "llrp", unsecured (section 5.5)
VERSION: Final = 1  # protocol versions 1.0 and 1.0.1 both say 1
HEADER: Final = struct.Struct("!HII")
TLV_HEADER: Final = struct.Struct("!HH")
CUSTOM_PARAMETER_HEADER: Final = struct.Struct("!HHII")

# The standard allows 4 GiB. The largest that devices send is a report of what a full reader buffered,
# a few hundred KiB; a longer claim is a stream that went out of step, and believing it would mean to
# collect bytes for ever and hear nothing.
MAX_MESSAGE_BYTES: Final = 4 * 1024 * 1024

IMPINJ: Final = 25882  # IANA private enterprise number; phase and fine RSSI are that vendor's extension


class MessageType(IntEnum):
    """Message type numbers (section 16.1)."""

    GET_READER_CAPABILITIES = 1
    GET_READER_CONFIG = 2
    SET_READER_CONFIG = 3
    CLOSE_CONNECTION_RESPONSE = 4
    GET_READER_CAPABILITIES_RESPONSE = 11
    GET_READER_CONFIG_RESPONSE = 12
    SET_READER_CONFIG_RESPONSE = 13
    CLOSE_CONNECTION = 14
    ADD_ROSPEC = 20
    DELETE_ROSPEC = 21
    START_ROSPEC = 22
    STOP_ROSPEC = 23
    ENABLE_ROSPEC = 24
    DISABLE_ROSPEC = 25
    GET_ROSPECS = 26
    ADD_ROSPEC_RESPONSE = 30
    DELETE_ROSPEC_RESPONSE = 31
    START_ROSPEC_RESPONSE = 32
    STOP_ROSPEC_RESPONSE = 33
    ENABLE_ROSPEC_RESPONSE = 34
    DISABLE_ROSPEC_RESPONSE = 35
    GET_ROSPECS_RESPONSE = 36
    ADD_ACCESSSPEC = 40
    DELETE_ACCESSSPEC = 41
    ENABLE_ACCESSSPEC = 42
    DISABLE_ACCESSSPEC = 43
    GET_ACCESSSPECS = 44
    ADD_ACCESSSPEC_RESPONSE = 50
    DELETE_ACCESSSPEC_RESPONSE = 51
    ENABLE_ACCESSSPEC_RESPONSE = 52
    DISABLE_ACCESSSPEC_RESPONSE = 53
    GET_ACCESSSPECS_RESPONSE = 54
    GET_REPORT = 60
    RO_ACCESS_REPORT = 61
    KEEPALIVE = 62
    READER_EVENT_NOTIFICATION = 63
    ENABLE_EVENTS_AND_REPORTS = 64
    KEEPALIVE_ACK = 72
    ERROR_MESSAGE = 100
    CUSTOM_MESSAGE = 1023


class StatusCode(IntEnum):
    """LLRPStatus codes (section 14.1.1); M_ concerns the message, A_ a value in it, R_ the reader."""

    SUCCESS = 0
    PARAMETER_ERROR = 100
    FIELD_ERROR = 101
    MISSING_PARAMETER = 103
    UNSUPPORTED_MESSAGE = 109
    UNSUPPORTED_VERSION = 110
    UNSUPPORTED_PARAMETER = 111
    INVALID = 300
    OUT_OF_RANGE = 301
    DEVICE_ERROR = 401


class ConnectionStatus(IntEnum):
    """What a ConnectionAttemptEvent says (section 13.2.6.11)."""

    SUCCESS = 0
    READER_INITIATED_EXISTS = 1
    CLIENT_INITIATED_EXISTS = 2
    FAILED = 3
    ANOTHER_ATTEMPTED = 4


class LlrpError(ValueError):
    """The bytes are not LLRP as the standard has it."""


class MalformedParameter(LlrpError):
    """A parameter does not have the length or the content that its type demands."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message: its type, version, message id, and the body after the 10 bytes of header."""

    type: int
    version: int
    message_id: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: type, body; vendor and subtype are 0 unless it is a custom parameter (type 1023)."""

    type: int
    body: bytes
    vendor: int = 0
    subtype: int = 0


class FrameSplitter:
    """Cuts a TCP stream into whole messages, however it was cut on the way."""

    __slots__ = ("_broken", "_buffer")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._broken: str | None = None

    @property
    def broken(self) -> str | None:
        """Why the rest of the stream cannot be followed; None while it can."""
        return self._broken

    @property
    def waiting_bytes(self) -> int:
        """Bytes of a message that has not arrived whole."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """Add `data`; return the messages it completed, oldest first, each with its header."""
        if self._broken is not None:
            return []
        buffer = self._buffer
        buffer += data
        messages: list[bytes] = []
        start = 0
        while len(buffer) - start >= HEADER.size:
            _, length, _ = HEADER.unpack_from(buffer, start)
            if not HEADER.size <= length <= MAX_MESSAGE_BYTES:
                self._broken = (
                    f"expected a message of {HEADER.size} to {MAX_MESSAGE_BYTES} bytes, "
                    f"the header {bytes(buffer[start : start + HEADER.size]).hex()} says {length}"
                )
                buffer.clear()
                return messages
            if len(buffer) - start < length:
                break
            messages.append(bytes(buffer[start : start + length]))
            start += length
        del buffer[:start]
        return messages


def read_frame(message: bytes) -> Frame:
    """The frame of one whole message, as FrameSplitter returns it. Raises LlrpError."""
    if len(message) < HEADER.size:
        raise LlrpError(f"expected at least {HEADER.size} bytes of message, got {len(message)}")
    first, length, message_id = HEADER.unpack_from(message)
    if length != len(message):
        raise LlrpError(f"expected a message of {length} bytes as its header says, got {len(message)}")
    return Frame(first & 0x3FF, first >> 10 & 0b111, message_id, message[HEADER.size :])


# Bytes of a TV parameter after its type byte, by type (sections 16.2.7.3 and 16.3.1.5).
TV_BODY_BYTES: Final[dict[int, int]] = {
    1: 2,  # AntennaID
    2: 8,  # FirstSeenTimestampUTC
    3: 8,  # FirstSeenTimestampUptime
    4: 8,  # LastSeenTimestampUTC
    5: 8,  # LastSeenTimestampUptime
    6: 1,  # PeakRSSI
    7: 2,  # ChannelIndex
    8: 2,  # TagSeenCount
    9: 4,  # ROSpecID
    10: 2,  # InventoryParameterSpecID
    11: 2,  # C1G2CRC
    12: 2,  # C1G2PC
    13: 12,  # EPC-96
    14: 2,  # SpecIndex
    15: 2,  # ClientRequestOpSpecResult
    16: 4,  # AccessSpecID
    17: 2,  # OpSpecID
    18: 4,  # C1G2SingulationDetails
    19: 2,  # C1G2XPCW1
    20: 2,  # C1G2XPCW2
}
CUSTOM: Final = 1023


def read_parameters(data: bytes, where: str) -> list[Parameter]:
    """The parameters that fill `data` exactly; `where` names it in the error. Raises MalformedParameter."""
    found = []
    start = 0
    while start < len(data):
        parameter, size = _read_parameter(data, start, where)
        found.append(parameter)
        start += size
    return found


def _read_parameter(data: bytes, start: int, where: str) -> tuple[Parameter, int]:
    left = len(data) - start
    if data[start] & 0x80:
        kind = data[start] & 0x7F
        if kind not in TV_BODY_BYTES:
            raise MalformedParameter(f"{where}: no TV parameter has type {kind}")
        size = 1 + TV_BODY_BYTES[kind]
        if size > left:
            raise MalformedParameter(f"{where}: TV parameter {kind} expected {size} bytes, got {left}")
        return Parameter(kind, data[start + 1 : start + size]), size
    if left < TLV_HEADER.size:
        raise MalformedParameter(f"{where}: expected {TLV_HEADER.size} bytes of parameter header, got {left}")
    kind, size = TLV_HEADER.unpack_from(data, start)
    kind &= 0x3FF
    least = CUSTOM_PARAMETER_HEADER.size if kind == CUSTOM else TLV_HEADER.size
    if not least <= size <= left:
        raise MalformedParameter(f"{where}: parameter {kind} expected {least} to {left} bytes, says {size}")
    if kind != CUSTOM:
        return Parameter(kind, data[start + TLV_HEADER.size : start + size]), size
    _, _, vendor, subtype = CUSTOM_PARAMETER_HEADER.unpack_from(data, start)
    body = data[start + CUSTOM_PARAMETER_HEADER.size : start + size]
    return Parameter(kind, body, vendor, subtype), size


def message(kind: int, message_id: int, body: bytes = b"") -> bytes:
    """A whole message of version 1."""
    return HEADER.pack(VERSION << 10 | kind, HEADER.size + len(body), message_id & 0xFFFF_FFFF) + body


def tlv(kind: int, *parts: bytes) -> bytes:
    """A TLV parameter; `parts` are its fields and sub-parameters."""
    body = b"".join(parts)
    return TLV_HEADER.pack(kind, TLV_HEADER.size + len(body)) + body


def tv(kind: int, body: bytes) -> bytes:
    """A TV parameter, which carries its type only."""
    return bytes((0x80 | kind,)) + body


def custom_parameter(vendor: int, subtype: int, body: bytes = b"") -> bytes:
    """A custom parameter (section 16.2.9)."""
    return CUSTOM_PARAMETER_HEADER.pack(CUSTOM, CUSTOM_PARAMETER_HEADER.size + len(body), vendor, subtype) + body
