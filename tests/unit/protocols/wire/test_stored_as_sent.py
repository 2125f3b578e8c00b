"""Status, readings, applied and command: what could not be stored or acted on is refused where it is read."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.wire import applied, command, readings, status
from protocols.wire.message import UnreadableMessage

EPOCH = "5d1f0c2e9b7a4c3d8e6f102132435465"

STATUS: dict[str, Any] = {"schema": 1, "online": True}
READINGS: dict[str, Any] = {
    "schema": 1,
    "gate": "dock-1",
    "from_us": 1,
    "to_us": 2,
    "reads": 1,
    "tags_total": 0,
    "tags": [],
}
APPLIED: dict[str, Any] = {"schema": 1, "incarnation": 1, "sent_at_us": 1, "epochs": []}

REFUSED: list[tuple[Any, dict[str, Any]]] = [
    (status, STATUS | {"epochs": [{"epoch": "not hex", "last": 1, "oldest": 1}]}),
    (status, STATUS | {"epochs": [{"epoch": EPOCH + "\n", "last": 1, "oldest": 1}]}),
    (status, STATUS | {"epochs": [{"epoch": EPOCH, "last": 1, "oldest": 1, "end": 2**63}]}),
    (status, STATUS | {"epochs": [{"epoch": EPOCH, "last": -1, "oldest": 1}]}),
    (status, STATUS | {"sent_at_us": 2**63}),
    (status, STATUS | {"sent_at_us": -1}),
    (status, STATUS | {"software": "a\0b"}),
    (status, STATUS | {"of_tomorrow": "a\0b"}),
    (status, STATUS | {"online": "yes"}),
    (readings, READINGS | {"gate": "\0"}),
    (readings, READINGS | {"reads": 2**31}),
    (readings, READINGS | {"from_us": 2**60}),
    (readings, READINGS | {"tags": [{"epc": "AA"}]}),
    (applied, APPLIED | {"epochs": [{"epoch": "", "applied": 1}]}),
    (applied, APPLIED | {"epochs": [{"epoch": EPOCH, "applied": -1}]}),
    (command, {"schema": 1, "version": 2**63}),
    (command, {"schema": 1, "version": "3"}),
]


@pytest.mark.parametrize(("channel", "said"), REFUSED, ids=str)
def test_what_no_table_could_hold_is_refused(channel: Any, said: dict[str, Any]) -> None:
    with pytest.raises(UnreadableMessage):
        channel.decode(json.dumps(said).encode())


@pytest.mark.parametrize("channel", [status, readings, applied, command])
@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b"null", b"[]", b"\xff", b'{"schema":1,"x":"\xff"}', b'{"schema":1,"x":' + b"[" * 50_000],
    ids=["nothing", "cut", "null", "a list", "no UTF-8", "no UTF-8 inside", "too deep"],
)
def test_what_is_no_message_is_refused(channel: Any, payload: bytes) -> None:
    with pytest.raises(UnreadableMessage):
        channel.decode(payload)


def test_no_utf8_in_a_field_that_nobody_reads_is_refused() -> None:
    with pytest.raises(UnreadableMessage):
        status.decode(b'{"schema":1,"online":true,"of_tomorrow":"\xff"}')


@given(st.binary(max_size=100))
def test_noise_on_any_channel_is_refused(noise: bytes) -> None:
    for channel in (status, readings, applied, command):
        with pytest.raises(UnreadableMessage):
            channel.decode(noise)


@given(
    gate=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    reads=st.integers(0, 2**31 - 1),
    dbm=st.floats(-120, 30),
)
def test_readings_come_back_as_they_were_said(gate: str, reads: int, dbm: float) -> None:
    said = readings.GateReadings(
        schema=1,
        gate=gate,
        from_us=1,
        to_us=2,
        reads=reads,
        tags_total=1,
        tags=[readings.TagSeen(epc="AAAA", reads=reads, antennas=[1], peak_rssi_dbm=dbm)],
    )
    assert readings.decode(readings.encode(said)) == said
