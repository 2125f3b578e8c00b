"""What the channels of the wire share: a message is UTF-8 JSON that carries its `schema` number.

Unknown fields are ignored; another number is refused, because it says that we could misunderstand the
rest. Whatever is wrong with the bytes comes out as one error, UnreadableMessage.
"""

import re
from typing import Annotated, Generic, Protocol, TypeVar

import msgspec

# What msgspec raises on bytes that are no message. RecursionError: JSON nested deeper than Python's stack,
# which a few hundred KiB of "[" are enough for.
NOT_A_MESSAGE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


# Bounds of what a message may say, so that whoever stores it meets no number or text that cannot be stored.
Epoch = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32}\Z")]
Number = Annotated[int, msgspec.Meta(ge=0, lt=2**62)]
Count = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]  # of one message; sums of them stay in 64 bits
Micros = Annotated[int, msgspec.Meta(ge=0, lt=2**55)]  # µs since 1970-01-01 UTC; 2⁵⁵ is the year 3111

# U+0000 as JSON writes it, after an even number of backslashes; databases take no text with it.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


class UnreadableMessage(ValueError):
    """The bytes are not a message of this channel."""


class Versioned(Protocol):
    """A message that says which schema it was written by."""

    @property
    def schema(self) -> int:
        """Grows when an old reader could misunderstand the message, and only then."""


M = TypeVar("M", bound=Versioned)


class Codec(Generic[M]):
    """One channel's messages of one schema number ↔ bytes."""

    def __init__(self, kind: type[M], schema: int) -> None:
        self._schema = schema
        self._encoder = msgspec.json.Encoder()
        self._decoder = msgspec.json.Decoder(kind)

    def encode(self, message: M) -> bytes:
        """The message as JSON."""
        return self._encoder.encode(message)

    def decode(self, payload: bytes) -> M:
        """Read a message. Raises UnreadableMessage."""
        try:
            message = self._decoder.decode(payload)
            check_text(payload)
        except NOT_A_MESSAGE as error:
            raise UnreadableMessage(str(error)) from error
        check_schema(message, self._schema)
        return message


def check_text(payload: bytes) -> None:
    """Refuse JSON with what no database stores as text, also in fields that nobody reads: U+0000, no UTF-8.

    Raises UnicodeDecodeError, UnreadableMessage.
    """
    check_utf8(payload)
    if b"u0000" in payload and _NUL.search(payload):
        raise UnreadableMessage("the character U+0000 stands in a text")


def check_utf8(payload: bytes) -> None:
    """msgspec looks only at the texts it needs (at escapes it looks always). Raises UnicodeDecodeError."""
    if not payload.isascii():
        payload.decode()


def check_schema(message: Versioned, expected: int) -> None:
    """Refuse a message of another schema. Raises UnreadableMessage."""
    if message.schema != expected:
        raise UnreadableMessage(f"expected schema {expected}, got {message.schema}")
