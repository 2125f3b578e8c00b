"""Every golden message of protocols/wire/examples reads as the value it stands for, and is written the same again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from protocols.wire import applied, command, movement, readings, status
from protocols.wire.message import UnreadableMessage
from protocols.wire.movement import Envelope, MovementObserved, encode_movement, evidence_raw

EXAMPLES = Path(__file__).resolve().parents[4] / "protocols/wire/examples"

OPEN_EPOCH = "5d1f0c2e9b7a4c3d8e6f102132435465"
CLOSED_EPOCH = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
HEAD = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

ENVELOPE = Envelope(
    schema=1, epoch=OPEN_EPOCH, first=41, last=43, oldest=17, sent_at_us=1_790_000_001_250_000, end=43
)
MOVEMENTS = [
    MovementObserved(
        seq=41,
        id="019968e1c2a17b3c8d4e5f60718293a4",
        occurred_at_us=1_790_000_000_417_000,
        kind="passage",
        gate="dock-1",
        epc="3034257BF7194E4000001A85",
        direction="in",
        confidence=0.94,
        evidence=evidence_raw(
            {"order": 0.913, "reads": 57, "decided_by": "order", "reason": "outside before inside"}
        ),
    ),
    MovementObserved(
        seq=42,
        id="019968e1c2a27b3c8d4e5f60718293a5",
        occurred_at_us=1_790_000_000_633_000,
        kind="passage",
        gate="dock-1",
        epc="E28011606000020D36A1B2C3",
        direction="turned_back",
        confidence=1.0,
    ),
    MovementObserved(
        seq=43,
        id="019968e1c2a37b3c8d4e5f60718293a6",
        occurred_at_us=1_790_000_000_981_000,
        kind="passage",
        gate="dock-1",
        epc="3034257BF7194E4000001A86",
        direction="out",
        confidence=0.88,
        qty_micro=12_500_000,
        evidence=evidence_raw({"reason": "托盘 7 出库"}),
    ),
]

# file → (the channel's module, the value that the file stands for); movements have their own shape, see below.
GOLDEN: dict[str, tuple[Any, Any]] = {
    "applied.v1.json": (
        applied,
        applied.Applied(
            schema=1,
            incarnation=2,
            sent_at_us=1_790_000_001_310_000,
            epochs=[
                applied.EpochApplied(epoch=OPEN_EPOCH, applied=43, head=HEAD),
                applied.EpochApplied(
                    epoch=CLOSED_EPOCH,
                    applied=7,
                    head=HEAD,
                    stopped="numbers 8 … 11 are missing: the gateway no longer holds them",
                ),
            ],
        ),
    ),
    "status.v1.json": (
        status,
        status.Status(
            schema=1,
            online=True,
            sent_at_us=1_790_000_002_000_000,
            incarnation=2,
            software="tallygate 0.1.0",
            epochs=[
                status.EpochHeld(epoch=OPEN_EPOCH, last=43, oldest=17, applied=42, head=HEAD),
                status.EpochHeld(epoch=CLOSED_EPOCH, last=7, oldest=7, end=7),
            ],
            devices=[
                status.DeviceStatus(name="dock-reader", connected=True, since_us=1_789_999_000_000_000),
                status.DeviceStatus(name="yard-reader", connected=False, since_us=1_789_999_900_000_000),
            ],
            oldest_unapplied_at_us=1_790_000_000_417_000,
            counters={"refused": 0, "command_version": 3},
        ),
    ),
    "status-last-will.v1.json": (status, status.Status(schema=1, online=False)),
    "readings.v1.json": (
        readings,
        readings.GateReadings(
            schema=1,
            gate="dock-1",
            from_us=1_790_000_000_000_000,
            to_us=1_790_000_001_000_000,
            reads=640,
            tags_total=2,
            tags=[
                readings.TagSeen(
                    epc="3034257BF7194E4000001A85",
                    reads=421,
                    antennas=[1, 2, 3],
                    peak_rssi_dbm=-48.5,
                    provisional="in",
                ),
                readings.TagSeen(epc="E28011606000020D36A1B2C3", reads=219, antennas=[4], peak_rssi_dbm=-63.0),
            ],
            shed=12,
        ),
    ),
    "command.v1.json": (command, command.Command(schema=1, version=3, heartbeat_s=30.0)),
}
CHANNEL_OF = {"movements.v1.json": movement} | {name: module for name, (module, _) in GOLDEN.items()}


def example(name: str) -> bytes:
    return (EXAMPLES / name).read_bytes()


def changed(name: str, change: Callable[[dict[str, Any]], None]) -> bytes:
    message = json.loads(example(name))
    change(message)
    return json.dumps(message, ensure_ascii=False).encode()


def add_unknown_fields(node: Any) -> None:
    """A field that no version knows yet, in every object of the message but the free-form ones."""
    if isinstance(node, list):
        for child in node:
            add_unknown_fields(child)
    elif isinstance(node, dict):
        for name, child in node.items():
            if name not in ("evidence", "counters"):
                add_unknown_fields(child)
        node["x_of_tomorrow"] = {"nested": [1, None, "…"]}


def test_every_channel_has_a_golden_message_and_every_file_is_tried() -> None:
    assert {path.name for path in EXAMPLES.iterdir()} == set(CHANNEL_OF)
    assert set(CHANNEL_OF.values()) == {applied, command, movement, readings, status}


@pytest.mark.parametrize("name", GOLDEN)
def test_a_golden_message_reads_as_its_value(name: str) -> None:
    module, value = GOLDEN[name]
    assert module.decode(example(name)) == value


@pytest.mark.parametrize("name", GOLDEN)
def test_the_value_is_written_as_its_golden_message(name: str) -> None:
    module, value = GOLDEN[name]
    assert json.loads(module.encode(value)) == json.loads(example(name))


def test_the_golden_movements_read_as_their_values() -> None:
    decoded = movement.decode(example("movements.v1.json"))
    assert {name: getattr(decoded.envelope, name) for name in Envelope.__struct_fields__} == {
        name: getattr(ENVELOPE, name) for name in Envelope.__struct_fields__
    }
    assert [plain(one) for one in decoded.movements] == [plain(one) for one in MOVEMENTS]
    assert decoded.unreadable == {}


def test_the_values_are_written_as_the_golden_movements() -> None:
    written = movement.encode(ENVELOPE, [encode_movement(one) for one in MOVEMENTS])
    assert json.loads(written) == json.loads(example("movements.v1.json"))


def plain(one: MovementObserved) -> dict[str, Any]:
    """A movement whose evidence compares as JSON: spaces in it are kept and mean nothing."""
    return msgspec.structs.asdict(one) | {"evidence": json.loads(bytes(one.evidence))}


@pytest.mark.parametrize("name", GOLDEN)
def test_fields_of_tomorrow_are_ignored(name: str) -> None:
    module, value = GOLDEN[name]
    assert module.decode(changed(name, add_unknown_fields)) == value


def test_fields_of_tomorrow_in_movements_are_ignored() -> None:
    decoded = movement.decode(changed("movements.v1.json", add_unknown_fields))
    golden = movement.decode(example("movements.v1.json"))
    assert [one.seq for one in decoded.movements] == [41, 42, 43]
    assert {one.epc for one in decoded.movements} == {one.epc for one in golden.movements}
    assert decoded.unreadable == {}


@pytest.mark.parametrize("number", [0, 2, -1])
@pytest.mark.parametrize("name", CHANNEL_OF)
def test_another_schema_number_is_refused(name: str, number: int) -> None:
    with pytest.raises(UnreadableMessage, match=f"expected schema 1, got {number}"):
        CHANNEL_OF[name].decode(changed(name, lambda message: message.update(schema=number)))


@pytest.mark.parametrize("name", CHANNEL_OF)
def test_a_message_without_a_schema_number_is_refused(name: str) -> None:
    with pytest.raises(UnreadableMessage, match="schema"):
        CHANNEL_OF[name].decode(changed(name, lambda message: message.pop("schema")))


def test_readings_of_a_gateway_that_knows_no_provisional_verdicts_are_read_without_one() -> None:
    def before(message: dict[str, Any]) -> None:
        for tag in message["tags"]:
            tag.pop("provisional", None)

    seen = readings.decode(changed("readings.v1.json", before))
    assert [tag.provisional for tag in seen.tags] == [None, None]
    assert json.loads(readings.encode(seen)) == json.loads(changed("readings.v1.json", before))
