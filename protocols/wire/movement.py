"""`movements`: what a gateway's log says happened, in order, under numbers that never come twice.

The envelope (epoch, first, last, oldest) comes before the movements, so that a message whose
movements cannot be read can still be put aside under its numbers: `decode` reads whole messages,
`read_envelope` reads what stands before `"movements"` even when the rest is damaged.
"""

import re
from typing import Any

import msgspec

from protocols.wire.message import NOT_A_MESSAGE, check_schema, check_text, check_utf8
from protocols.wire.message import UnreadableMessage as UnreadableMessage

SCHEMA = 1
MAX_MOVEMENTS = 500  # a message's size is bounded by the uplink's gathering rule, ARCHITECTURE.md "The log"
MAX_BYTES = 128 * 1024
# Evidence is stored as it came; what is nested deeper than a database's stack would be refused there. Counted
# are all lists and objects, which is quick and an upper bound of the depth.
MAX_EVIDENCE_NESTS = 100


class MovementObserved(msgspec.Struct, frozen=True, kw_only=True):
    """One movement as a gateway saw it; `seq` and `id` are born in the gateway's outbox.

    seq             number within the epoch, 1, 2, 3 …
    id              UUIDv7 as 32 hex digits (RFC 9562, section 5.7)
    occurred_at_us  microseconds since 1970-01-01 UTC
    kind            what kind of observation: `passage`
    gate            the gate's code
    epc             upper-case hex of the tag's EPC memory
    direction       in, out, turned_back, undecided
    confidence      0 … 1
    qty_micro       10⁻⁶ stock units where the device counted; absent: what the tag's registration says
    evidence        why the gateway thinks so (a JSON object of at most MAX_EVIDENCE_NESTS lists and objects,
                    kept as it is)
    """

    seq: int
    id: str
    occurred_at_us: int
    kind: str
    gate: str
    epc: str
    direction: str
    confidence: float = 1.0
    qty_micro: int | None = None
    evidence: msgspec.Raw = msgspec.Raw(b"{}")


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What stands outside the movements.

    schema      1
    epoch       the random id of one opening of the outbox, 32 hex digits
    first, last numbers of the first and last movement here; contiguous
    oldest      oldest number of this epoch still held by the gateway
    end         last number of an epoch that will never grow again; absent while it is open
    sent_at_us  gateway clock at sending
    """

    schema: int
    epoch: str
    first: int
    last: int
    oldest: int
    sent_at_us: int
    end: int | None = None


class MovementsMessage(Envelope, frozen=True, kw_only=True):
    """An envelope and its movements, `last - first + 1` of them, in order."""

    movements: list[MovementObserved]


class _RawMovements(Envelope, frozen=True, kw_only=True):
    movements: list[msgspec.Raw]


class MovementsDecoded(msgspec.Struct, frozen=True):
    """A decoded message: its envelope, the readable movements, and the numbers of the unreadable ones.

    unreadable  {seq: (bytes of the movement, reason)}
    """

    envelope: Envelope
    movements: list[MovementObserved]
    unreadable: dict[int, tuple[bytes, str]]


# Cannot stand inside a text: its quotes would be escaped there.
_BEFORE_MOVEMENTS = re.compile(rb',\s*"movements"\s*:')

_encoder = msgspec.json.Encoder()
_whole = msgspec.json.Decoder(MovementsMessage)
_piecewise = msgspec.json.Decoder(_RawMovements)
_one = msgspec.json.Decoder(MovementObserved)
_envelope = msgspec.json.Decoder(Envelope)


def encode_movement(movement: MovementObserved) -> bytes:
    """One movement as JSON; the outbox keeps it in this form, so that it is encoded once."""
    return _encoder.encode(movement)


def encode(envelope: Envelope, movements: list[bytes]) -> bytes:
    """A message from an envelope and movements already encoded by `encode_movement`."""
    head = _encoder.encode(envelope)
    return head[:-1] + b',"movements":[' + b",".join(movements) + b"]}"


def decode(payload: bytes) -> MovementsDecoded:
    """Read a message; a movement that cannot be read is set aside alone. Raises UnreadableMessage."""
    try:
        message = _whole.decode(payload)
        check_utf8(payload)
    except NOT_A_MESSAGE:
        return _decode_piecewise(payload)
    _check_envelope(message)
    _check_count(message, len(message.movements))
    if _is_plain(message, payload):
        return MovementsDecoded(message, message.movements, {})
    movements, unreadable = [], {}
    for seq, movement in enumerate(message.movements, message.first):
        if (fault := _fault(movement, seq)) is None:
            movements.append(movement)
        else:
            unreadable[seq] = (encode_movement(movement), fault)
    return MovementsDecoded(message, movements, unreadable)


def _is_plain(message: MovementsMessage, payload: bytes) -> bool:
    """Whether no movement can have a fault, by looking at all of them at once: the usual case."""
    if b"u0000" in payload or not payload.isascii():
        return False
    numbers = [movement.seq for movement in message.movements]
    if numbers != list(range(message.first, message.last + 1)):
        return False
    evidence = [bytes(movement.evidence) for movement in message.movements]
    nests = [one.count(b"{") + one.count(b"[") for one in evidence]
    return max(nests) <= MAX_EVIDENCE_NESTS and all(one[:1] == b"{" for one in evidence)


def _decode_piecewise(payload: bytes) -> MovementsDecoded:
    try:
        message = _piecewise.decode(payload)
    except NOT_A_MESSAGE as error:
        raise UnreadableMessage(str(error)) from error
    _check_envelope(message)
    _check_count(message, len(message.movements))
    movements: list[MovementObserved] = []
    unreadable: dict[int, tuple[bytes, str]] = {}
    for seq, raw in enumerate(message.movements, message.first):
        try:
            movement = _one.decode(raw)
            check_utf8(bytes(raw))
        except NOT_A_MESSAGE as error:
            unreadable[seq] = (bytes(raw), str(error))
            continue
        if (fault := _fault(movement, seq)) is None:
            movements.append(movement)
        else:
            unreadable[seq] = (bytes(raw), fault)
    return MovementsDecoded(message, movements, unreadable)


def _fault(movement: MovementObserved, seq: int) -> str | None:
    """Why a movement that could be decoded is none all the same."""
    if movement.seq != seq:
        return f"expected seq {seq}, got {movement.seq}"
    evidence = bytes(movement.evidence)
    nests = evidence.count(b"{") + evidence.count(b"[")
    if nests > MAX_EVIDENCE_NESTS or not evidence.lstrip().startswith(b"{"):
        return f"evidence: expected an object of at most {MAX_EVIDENCE_NESTS} lists and objects, got {nests}"
    try:
        check_text(evidence)
    except (*NOT_A_MESSAGE, UnreadableMessage) as error:
        return f"evidence: {error}"
    return None


def read_envelope(payload: bytes) -> Envelope:
    """The envelope of a message whose movements are damaged. Raises UnreadableMessage."""
    if (found := _BEFORE_MOVEMENTS.search(payload)) is None:
        raise UnreadableMessage("no envelope before the movements")
    try:
        envelope = _envelope.decode(payload[: found.start()] + b"}")
    except NOT_A_MESSAGE as error:
        raise UnreadableMessage(str(error)) from error
    _check_envelope(envelope)
    return envelope


def _check_envelope(envelope: Envelope) -> None:
    check_schema(envelope, SCHEMA)
    if len(envelope.epoch) != 32 or not set(envelope.epoch) <= set("0123456789abcdef"):
        raise UnreadableMessage(f"expected an epoch of 32 hex digits, got {envelope.epoch!r}")
    if not 1 <= envelope.first <= envelope.last < 2**62 or not 1 <= envelope.oldest <= envelope.first:
        raise UnreadableMessage(
            f"expected 1 ≤ oldest ≤ first ≤ last, got {envelope.oldest}, {envelope.first}, {envelope.last}"
        )
    if envelope.end is not None and not envelope.last <= envelope.end < 2**62:
        raise UnreadableMessage(f"expected end ≥ last {envelope.last}, got {envelope.end}")


def _check_count(envelope: Envelope, count: int) -> None:
    if count != envelope.last - envelope.first + 1:
        raise UnreadableMessage(f"expected {envelope.last - envelope.first + 1} movements, got {count}")


def evidence_raw(evidence: dict[str, Any]) -> msgspec.Raw:
    """An evidence object in the form in which a movement carries it."""
    return msgspec.Raw(_encoder.encode(evidence))
