"""Movements as gateways sent them → columns: whole columns are checked, and say what one row after the other says."""

import uuid

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.domain.movement import NONE, QTY_MAX, Crossing
from cloud.domain.observation import Observed
from cloud.flows.read_observations import read_observations
from protocols.wire.movement import MovementObserved

GATES = {"dock-1": 0, "dock-2": 1}
GOOD = MovementObserved(
    seq=1, id="0192b7c0a1b2c3d4e5f60718293a4b5c", occurred_at_us=1_790_000_000_000_000, kind="passage",
    gate="dock-2", epc="E28011700000020A7C5D1F3B", direction="out", confidence=0.75,
    evidence=msgspec.Raw(b'{"order":0.9}'),
)  # fmt: skip


def read(*movements: MovementObserved) -> tuple[Observed, dict[int, str]]:
    n = len(movements)
    return read_observations(
        movements, np.arange(n), np.full((n, 16), 7, np.uint8), np.full(n, 1_790_000_000_000_001), GATES
    )


def changed(**fields: object) -> MovementObserved:
    return msgspec.structs.replace(GOOD, **fields)


def test_a_movement_is_read_field_by_field() -> None:
    seen, wrong = read(GOOD, changed(epc="AAAA", direction="in", gate="dock-1", qty_micro=5_000_000, seq=2))
    assert wrong == {}
    assert seen.movement_id[0].tobytes() == uuid.UUID(hex=GOOD.id).bytes
    assert seen.epcs == [GOOD.epc, "AAAA"]
    assert seen.tag.tolist() == [0, 1]
    assert seen.gate.tolist() == [1, 0]
    assert seen.direction.tolist() == [Crossing.OUT, Crossing.IN]
    assert seen.qty.tolist() == [NONE, 5_000_000]
    assert seen.seq.tolist() == [1, 2]
    assert seen.confidence.tolist() == [0.75, 0.75]
    assert seen.evidence[0] == b'{"order":0.9}'
    assert seen.occurred_us.tolist() == [GOOD.occurred_at_us] * 2


WRONG = [
    ("kind", {"kind": "weighing"}, "expected passage, got 'weighing'"),
    ("gate", {"gate": "dock-9"}, "'dock-9' is not registered"),
    ("direction", {"direction": "up"}, "expected one of in, out, turned_back, undecided, got 'up'"),
    ("epc", {"epc": ""}, "expected words of four upper-case hex digits, got ''"),
    ("epc", {"epc": "E2801"}, "got 'E2801'"),
    ("epc", {"epc": "e280"}, "got 'e280'"),
    ("epc", {"epc": "E28\n"}, "got"),
    ("epc", {"epc": "A" * 128}, "expected at most 124 hex digits, got 128"),
    ("qty_micro", {"qty_micro": 0}, "expected 1 …"),
    ("qty_micro", {"qty_micro": -(2**70)}, "got -1180591620717411303424"),
    ("qty_micro", {"qty_micro": QTY_MAX + 1}, "expected 1 …"),
    ("confidence", {"confidence": 1.5}, "expected 0 … 1, got 1.5"),
    ("confidence", {"confidence": float("nan")}, "got nan"),
    ("occurred_at_us", {"occurred_at_us": -1}, "got -1"),
    ("occurred_at_us", {"occurred_at_us": 2**80}, "got 1208925819614629174706176"),
    ("evidence", {"evidence": msgspec.Raw(b'{"a":"' + b"x" * 70_000 + b'"}')}, "expected at most 65536 bytes"),
    ("id", {"id": "no id"}, "expected 32 hex digits, got 'no id'"),
    ("id", {"id": "0192b7c0a1b2c3d4e5f60718293a4b5 "}, "expected 32 hex digits"),
    ("id", {"id": "g" * 32}, "expected 32 hex digits"),
]


@pytest.mark.parametrize(("field", "fields", "why"), WRONG)
def test_what_is_no_movement_is_named_and_the_others_stay(field: str, fields: dict[str, object], why: str) -> None:
    seen, wrong = read(GOOD, changed(**fields), GOOD)
    assert list(wrong) == [1]
    assert wrong[1].startswith(f"{field}: ")
    assert why in wrong[1]
    assert seen.movement_id[2].tobytes() == uuid.UUID(hex=GOOD.id).bytes


def test_an_id_may_be_written_as_uuids_are() -> None:
    one = uuid.UUID(hex=GOOD.id)
    seen, wrong = read(changed(id=str(one)), changed(id=GOOD.id.upper()), changed(id=f"{{{one}}}"))
    assert wrong == {}
    assert {row.tobytes() for row in seen.movement_id} == {one.bytes}


FIELDS = {
    "id": st.sampled_from([GOOD.id, str(uuid.UUID(hex=GOOD.id)), "", "x" * 32, GOOD.id[:31] + "\t"]),
    "occurred_at_us": st.sampled_from([0, 2**55 - 1, 2**55, -1, 2**64]),
    "kind": st.sampled_from(["passage", "count"]),
    "gate": st.sampled_from(["dock-1", "dock-2", "", "dock-3"]),
    "epc": st.sampled_from(["E280", "E280E281", "", "E28", "e280", "é280", "F" * 124, "F" * 128]),
    "direction": st.sampled_from(["in", "out", "turned_back", "undecided", "IN"]),
    "confidence": st.sampled_from([0.0, 1.0, 0.5, -0.1, float("inf"), float("nan")]),
    "qty_micro": st.sampled_from([None, 1, QTY_MAX, 0, QTY_MAX + 1, 2**63]),
}


@given(st.lists(st.fixed_dictionaries(FIELDS), max_size=12))
def test_rows_together_say_what_each_says_alone(rows: list[dict[str, object]]) -> None:
    movements = [changed(seq=number, **fields) for number, fields in enumerate(rows)]
    together, wrong = read(*movements)
    for row, movement in enumerate(movements):
        alone, why = read(movement)
        assert wrong.get(row) == why.get(0)
        if row not in wrong:
            assert together.movement_id[row].tobytes() == alone.movement_id[0].tobytes()
            assert together.epcs[together.tag[row]] == alone.epcs[alone.tag[0]] == movement.epc
            assert together.qty[row] == alone.qty[0]


def test_a_clock_that_runs_ahead_is_not_believed() -> None:
    minute_us = 60_000_000
    received_us = 1_790_000_000_000_001
    claims = [received_us, received_us + 5 * minute_us, received_us + 5 * minute_us + 1, received_us - 1]
    seen, _ = read(*(changed(occurred_at_us=claim) for claim in claims))
    assert seen.has_wrong_clock.tolist() == [False, False, True, False]
    assert seen.occurred_us.tolist() == [claims[0], claims[1], received_us, claims[3]]
    old_us = received_us - 30 * 24 * 60 * minute_us
    seen, _ = read(changed(occurred_at_us=old_us), changed(occurred_at_us=old_us - 1))
    assert seen.is_too_old.tolist() == [False, True]
