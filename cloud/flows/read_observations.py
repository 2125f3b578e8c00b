"""Movements as gateways sent them → columns, each checked for form. Nothing here asks the database.

The usual message is well formed: whole columns are checked at once, and only rows that fail there are looked at one
by one, for the reason that quarantine shows.
"""

import math
import re
import uuid
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cloud.domain.movement import NONE, QTY_MAX, Bytes16, Crossing, Int64
from cloud.domain.observation import Observed
from protocols.wire.movement import MovementObserved

_NAMES: Final = (
    "seq", "id", "occurred_at_us", "kind", "gate", "epc", "direction", "confidence", "qty_micro", "evidence",
)  # fmt: skip
_FIELDS: Final = attrgetter(*_NAMES)
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
    columns = zip(*map(_FIELDS, movements), strict=True) if n else ((),) * len(_NAMES)
    seqs, ids, times, kinds, gate_codes, epcs, directions, confidences, quantities, raws = columns
    codes: dict[str, int] = {}
    tag = np.array([codes.setdefault(epc, len(codes)) for epc in epcs], np.int64)
    gate = np.array([gates.get(code, NONE) for code in gate_codes], np.int64)
    direction = np.array([_DIRECTIONS.get(name, NONE) for name in directions], np.int64)
    confidence = np.array(confidences, np.float64)
    # No number of theirs need fit 64 bits: what does not becomes one that the check refuses.
    claimed_us = np.array([min(max(time_us, -1), _TIME_LIMIT_US) for time_us in times], np.int64)
    qty = np.full(n, NONE, np.int64)
    if any(one is not None for one in quantities):
        qty[:] = [NONE if one is None else min(max(one, 0), QTY_MAX + 1) for one in quantities]
    evidence = [bytes(raw) for raw in raws]
    movement_id, is_id = _ids(ids)
    is_epc = np.fromiter((_EPC.fullmatch(epc) is not None for epc in codes), np.bool_, len(codes))

    fails = ~is_id | (gate == NONE) | (direction == NONE) | ~is_epc[tag]
    fails |= ~((confidence >= 0) & (confidence <= 1)) | (claimed_us < 0) | (claimed_us >= _TIME_LIMIT_US)
    fails |= (qty == 0) | (qty > QTY_MAX)
    if set(kinds) - {"passage"}:
        fails |= np.array([kind != "passage" for kind in kinds], np.bool_)
    fails |= np.fromiter(map(len, evidence), np.int64, n) > _MAX_EVIDENCE
    wrong: dict[int, str] = {}
    for row in np.flatnonzero(fails).tolist():
        if (why := _fault(movements[row], gates)) is not None:
            wrong[row] = why
        elif not is_id[row]:  # written as a UUID may be written, but not as we ask for it
            movement_id[row] = np.frombuffer(uuid.UUID(hex=movements[row].id).bytes, np.uint8)
    seen = Observed(
        movement_id, gateway, epoch, np.array(seqs, np.int64), gate, tag, list(codes), direction, confidence,
        claimed_us, received_us, qty, evidence,
    )  # fmt: skip
    return seen, wrong


def _ids(texts: Sequence[str]) -> tuple[Bytes16, NDArray[np.bool_]]:
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
