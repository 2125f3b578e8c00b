"""Damaged movements messages: cut, mixed, oversized in numbers; what is whole of them is still read."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.wire import movement
from protocols.wire.message import UnreadableMessage
from protocols.wire.movement import (
    MAX_EVIDENCE_NESTS,
    Envelope,
    MovementObserved,
    encode_movement,
    evidence_raw,
    read_envelope,
)

EPOCH = "5d1f0c2e9b7a4c3d8e6f102132435465"

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
EVIDENCE = st.dictionaries(TEXTS, st.none() | st.integers(-(2**60), 2**60) | TEXTS, max_size=4)


def envelope(first: int, count: int) -> Envelope:
    return Envelope(schema=1, epoch=EPOCH, first=first, last=first + count - 1, oldest=1, sent_at_us=5)


def observed(seq: int, **more: Any) -> MovementObserved:
    fields = {"id": f"{seq:032x}", "occurred_at_us": 7, "kind": "passage", "gate": "g", "epc": "AAAA"}
    return MovementObserved(seq=seq, **(fields | {"direction": "in"} | more))


def message(*movements: bytes, first: int = 1) -> bytes:
    return movement.encode(envelope(first, len(movements)), list(movements))


def good(seq: int, **more: Any) -> bytes:
    return encode_movement(observed(seq, **more))


# what is wrong with it → one movement of number 2 that cannot be read, though its JSON is whole
BAD: dict[str, bytes] = {
    "no object": b"17",
    "null": b"null",
    "no number": b'{"kind":"passage"}',
    "a text for a number": good(2).replace(b'"seq":2', b'"seq":"2"'),
    "a number for a text": good(2).replace(b'"gate":"g"', b'"gate":9'),
    "an integer beyond 64 bits": good(2).replace(b'"seq":2', b'"seq":2' + b"0" * 40),
    "an integer of 6,000 digits": good(2).replace(b'"seq":2', b'"seq":' + b"9" * 6000),
    "another number": good(3),
    "no UTF-8": good(2).replace(b'"g"', b'"\xff"'),
    "no UTF-8 in its evidence": good(2, evidence=msgspec.Raw(b'{"a":"\xff"}')),
    "no UTF-8 in a field of tomorrow": good(2)[:-1] + b',"x":"\xc3"}',
    "U+0000 in its evidence": good(2, evidence=evidence_raw({"a": "\0"})),
    "U+0000 after a backslash": good(2, evidence=evidence_raw({"a": "\\\0"})),
    "evidence that is no object": good(2, evidence=msgspec.Raw(b'"because"')),
    "evidence of too many lists": good(2, evidence=evidence_raw({"a": [[]] * MAX_EVIDENCE_NESTS})),
}


@pytest.mark.parametrize("why", BAD)
def test_one_bad_movement_is_set_aside_with_its_bytes_and_the_others_are_read(why: str) -> None:
    decoded = movement.decode(message(good(1), BAD[why], good(3)))
    assert [one.seq for one in decoded.movements] == [1, 3]
    assert list(decoded.unreadable) == [2]
    kept, reason = decoded.unreadable[2]
    assert kept == BAD[why]
    assert reason


@given(st.data())
def test_exactly_the_bad_movements_are_set_aside(data: st.DataObject) -> None:
    first = data.draw(st.integers(1, 10**12))
    evidences = data.draw(st.lists(EVIDENCE, min_size=1, max_size=8))
    bad = data.draw(st.sets(st.integers(0, len(evidences) - 1)))
    sent = [
        data.draw(st.sampled_from(sorted(BAD.values()))) if i in bad
        else good(first + i, evidence=evidence_raw(evidence))
        for i, evidence in enumerate(evidences)
    ]  # fmt: skip
    # A bad one whose number happens to be right is not bad.
    wrong = {first + i for i in bad if not (first + i == 3 and sent[i] == BAD["another number"])}

    decoded = movement.decode(message(*sent, first=first))

    assert set(decoded.unreadable) == wrong
    assert all(kept == sent[seq - first] for seq, (kept, _) in decoded.unreadable.items())
    read = {one.seq: json.loads(bytes(one.evidence)) for one in decoded.movements}
    assert set(read) == set(range(first, first + len(sent))) - wrong
    assert all(read[first + i] == evidences[i] for i in set(range(len(sent))) - bad)


def test_a_backslash_before_the_letters_u0000_is_no_character() -> None:
    decoded = movement.decode(message(good(1, evidence=evidence_raw({"path": "C:\\u0000"}))))
    assert [json.loads(bytes(one.evidence)) for one in decoded.movements] == [{"path": "C:\\u0000"}]


@pytest.mark.parametrize("half", ["\\ud83d", "\\udc00"])
def test_half_a_surrogate_makes_the_whole_message_unreadable(half: str) -> None:
    broken = message(good(1, evidence=msgspec.Raw(f'{{"a":"{half}"}}'.encode())))
    with pytest.raises(UnreadableMessage):
        movement.decode(broken)
    assert read_envelope(broken) == envelope(1, 1)


def test_nesting_that_passes_every_stack_is_no_message() -> None:
    deep = good(1, evidence=msgspec.Raw(b'{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}"))
    with pytest.raises(UnreadableMessage):
        movement.decode(message(deep))
    assert read_envelope(message(deep)).last == 1


def test_wherever_a_message_is_cut_its_envelope_is_whole_or_refused() -> None:
    whole = message(good(41), good(42), good(43), first=41)
    held = whole.index(b',"movements":') + len(b',"movements":')
    for length in range(len(whole)):
        cut = whole[:length]
        with pytest.raises(UnreadableMessage):
            movement.decode(cut)
        if length < held:
            with pytest.raises(UnreadableMessage):
                read_envelope(cut)
        else:
            assert read_envelope(cut) == envelope(41, 3)


def test_whichever_byte_is_damaged_the_answer_is_a_value_or_a_refusal() -> None:
    whole = message(good(41), good(42), first=41)
    refused = 0
    for place in range(len(whole)):
        for byte in b'\x00\xff"}[9':
            damaged = whole[:place] + bytes((byte,)) + whole[place + 1 :]
            for read in (movement.decode, read_envelope):
                try:
                    read(damaged)
                except UnreadableMessage:
                    refused += 1
    assert refused > len(whole)


@given(
    st.binary(max_size=200)
    | st.text(alphabet='{}[]",:0123456789eE.-nulltrufasmovements', max_size=80).map(str.encode)
)
def test_noise_is_refused(noise: bytes) -> None:
    for read in (movement.decode, read_envelope):
        with pytest.raises(UnreadableMessage):
            read(noise)


def test_an_envelope_is_found_also_when_somebody_else_wrote_the_json() -> None:
    spaced = json.dumps(json.loads(message(good(1))), indent=2).encode()
    assert read_envelope(spaced) == envelope(1, 1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"epoch": ""},
        {"epoch": EPOCH[:-1]},
        {"epoch": EPOCH.upper()},
        {"epoch": EPOCH + "\n"},
        {"first": 0},
        {"first": 3, "last": 2},
        {"last": 2**62},
        {"oldest": 0},
        {"oldest": 3},
        {"end": 1},
        {"end": 2**62},
        {"first": True},
        {"last": None},
    ],
    ids=str,
)
def test_an_envelope_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    said = {"schema": 1, "epoch": EPOCH, "first": 2, "last": 2, "oldest": 2, "sent_at_us": 5} | wrong
    payload = json.dumps(said | {"movements": [json.loads(good(2))]}).encode()
    for read in (movement.decode, read_envelope):
        with pytest.raises(UnreadableMessage):
            read(payload)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_message_with_more_or_fewer_movements_than_it_says_is_refused(count: int) -> None:
    payload = movement.encode(envelope(1, 2), [good(seq + 1) for seq in range(count)])
    with pytest.raises(UnreadableMessage, match=f"expected 2 movements, got {count}"):
        movement.decode(payload)
