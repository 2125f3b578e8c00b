"""Movements as gateways sent them → columns, each checked for form. Nothing here asks the database.

The usual message is well formed: whole columns are checked at once, and only rows that fail there are looked at one
by one, for the reason that quarantine shows.
"""

import math
import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cloud.domain.movement import NONE, QTY_MAX, Bytes16, Crossing, Int64
from cloud.domain.observation import Observed
from protocols.wire.movement import MovementObserved

_CROSSINGS: Final = {"in": Crossing.IN, "out": Crossing.OUT, "turned_back": Crossing.TURNED_BACK,
                     "undecided": Crossing.UNDECIDED}  # fmt: skip
_DIRECTIONS: Final = {name: int(crossing) for name, crossing in _CROSSINGS.items()}
_TIME_LIMIT_US: Final = 2**55  # the year 3111; farther times are no times
_MAX_EVIDENCE: Final = 64 * 1024
_EPC_DIGITS: Final = 124  # 496 bits, the longest EPC that PC bits can announce (Gen2 2.0, 6.3.2.1.2.2)
_EPC: Final = re.compile(rf"(?:[0-9A-F]{{4}}){{1,{_EPC_DIGITS // 4}}}")
_ID_DIGITS: Final = 32
# As RFC 9562 writes them, with or without dashes and braces; uuid.UUID itself would let blanks stand for digits.
_UUID: Final = re.compile(r"\{?[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}\}?")


def read_observations(
    movements: Sequence[MovementObserved],
    gateway: Int64,
    epoch: Bytes16,
    received_us: Int64,
    gates: Mapping[str, int],
) -> tuple[Observed, dict[int, str]]:
    """The movements as columns, and {row: reason} of those that are none; their rows hold nothing of use.

    gateway, received_us  int64[n];  epoch  uint8[n, 16];  gates  {code: index}
    """
    n = len(movements)
    codes: dict[str, int] = {}
    tag = np.fromiter((codes.setdefault(one.epc, len(codes)) for one in movements), np.int64, n)
    gate = np.fromiter((gates.get(one.gate, NONE) for one in movements), np.int64, n)
    direction = np.fromiter((_DIRECTIONS.get(one.direction, NONE) for one in movements), np.int64, n)
    confidence = np.fromiter((one.confidence for one in movements), np.float64, n)
    # No number of theirs need fit 64 bits: what does not becomes one that the check refuses.
    claimed_us = np.fromiter((min(max(one.occurred_at_us, -1), _TIME_LIMIT_US) for one in movements), np.int64, n)
    qty = np.fromiter(
        (NONE if one.qty_micro is None else min(max(one.qty_micro, 0), QTY_MAX + 1) for one in movements),
        np.int64,
        n,
    )
    evidence = [bytes(one.evidence) for one in movements]
    movement_id, is_id = _ids([one.id for one in movements])
    is_epc = np.fromiter((_EPC.fullmatch(epc) is not None for epc in codes), np.bool_, len(codes))

    fails = ~is_id | (gate == NONE) | (direction == NONE) | ~is_epc[tag]
    fails |= ~((confidence >= 0) & (confidence <= 1)) | (claimed_us < 0) | (claimed_us >= _TIME_LIMIT_US)
    fails |= (qty == 0) | (qty > QTY_MAX)
    fails |= np.fromiter((one.kind != "passage" for one in movements), np.bool_, n)
    fails |= np.fromiter(map(len, evidence), np.int64, n) > _MAX_EVIDENCE
    wrong: dict[int, str] = {}
    for row in np.flatnonzero(fails).tolist():
        if (why := _fault(movements[row], gates)) is not None:
            wrong[row] = why
        elif not is_id[row]:  # written as a UUID may be written, but not as we ask for it
            movement_id[row] = np.frombuffer(uuid.UUID(hex=movements[row].id).bytes, np.uint8)
    seq = np.fromiter((one.seq for one in movements), np.int64, n)
    seen = Observed(
        movement_id, gateway, epoch, seq, gate, tag, list(codes), direction, confidence, claimed_us, received_us,
        qty, evidence,
    )  # fmt: skip
    return seen, wrong


def _ids(texts: list[str]) -> tuple[Bytes16, NDArray[np.bool_]]:
    """Ids of 32 hex digits as bytes, and which of the texts are such ids."""
    n = len(texts)
    is_id = np.fromiter(map(len, texts), np.int64, n) == _ID_DIGITS
    found = b""
    if is_id.all():
        try:
            found = bytes.fromhex("".join(texts))
        except ValueError:
            found = b""
    if len(found) == 16 * n:  # fromhex passes over blanks
        return np.frombuffer(found, np.uint8).reshape(n, 16).copy(), is_id
    ids = np.zeros((n, 16), np.uint8)
    for row, text in enumerate(texts):
        is_id[row] = len(text) == _ID_DIGITS and all(digit in "0123456789abcdefABCDEF" for digit in text)
        if is_id[row]:
            ids[row] = np.frombuffer(bytes.fromhex(text), np.uint8)
    return ids, is_id


def _fault(movement: MovementObserved, gates: Mapping[str, int]) -> str | None:
    """Why a movement cannot be taken as it is."""
    if movement.kind != "passage":
        return f"kind: expected passage, got {movement.kind!r}"
    if movement.gate not in gates:
        return f"gate: {movement.gate!r} is not registered"
    if movement.direction not in _CROSSINGS:
        return f"direction: expected one of {', '.join(_CROSSINGS)}, got {movement.direction!r}"
    if not movement.epc or len(movement.epc) % 4 or set(movement.epc) - set("0123456789ABCDEF"):
        return f"epc: expected words of four upper-case hex digits, got {movement.epc!r}"
    if len(movement.epc) > _EPC_DIGITS:
        return f"epc: expected at most {_EPC_DIGITS} hex digits, got {len(movement.epc)}"
    if movement.qty_micro is not None and not 1 <= movement.qty_micro <= QTY_MAX:
        return f"qty_micro: expected 1 … {QTY_MAX}, got {movement.qty_micro}"
    if not math.isfinite(movement.confidence) or not 0 <= movement.confidence <= 1:
        return f"confidence: expected 0 … 1, got {movement.confidence}"
    if not 0 <= movement.occurred_at_us < _TIME_LIMIT_US:
        return f"occurred_at_us: expected 0 … {_TIME_LIMIT_US}, got {movement.occurred_at_us}"
    if len(bytes(movement.evidence)) > _MAX_EVIDENCE:
        return f"evidence: expected at most {_MAX_EVIDENCE} bytes, got {len(bytes(movement.evidence))}"
    if not _UUID.fullmatch(movement.id):
        return f"id: expected 32 hex digits, got {movement.id!r}"
    return None
