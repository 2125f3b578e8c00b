"""A third opinion on our frames: tshark's LLRP dissector finds none of them malformed.

A relay between sllurp and the virtual reader writes down a whole session, both ways; every message
becomes a packet of a capture file, and the dissector judges it. Where tshark is not installed the test
skips and says so; in CI that is a failure.
"""

import asyncio
import os
import shutil
import subprocess

import pytest

from edge.devices.photo_eyes import PhotoEye
from edge.devices.portal import EYES_QUESTION_ID
from firmware_bridges.virtual_reader import messages
from firmware_bridges.virtual_reader.messages import Config, Device, GetConfig
from firmware_bridges.virtual_reader.scenario import (
    find_scenario,
    load_scenario,
    made_up_goods,
    sightings,
)
from firmware_bridges.virtual_reader.sighting import InputChange, Sighting
from protocols.llrp import ConnectionStatus, FrameSplitter, MessageType, StatusCode, read_frame
from tests.llrp_makers import all_reads, listening, playing, run

PORT = 5084
TOOL_TIMEOUT_S = 60.0
# What the dissector must not say of a frame. `_ws.malformed` is its word for bytes that do not fit.
MALFORMED = '_ws.malformed || _ws.expert.group == "Malformed"'


@pytest.fixture(autouse=True)
def tshark_is_here():
    if shutil.which("tshark") and shutil.which("text2pcap"):
        return
    if os.environ.get("CI"):
        pytest.fail("tshark is not installed, and in CI it has to be")
    pytest.skip("tshark is not installed: nobody judges our LLRP frames here")


def judge(frames, folder, wanted):
    """How many packets of `frames` match the display filter `wanted`, by tshark."""
    dump = folder / "frames.txt"
    # One packet a message: text2pcap begins a new one where the offset starts at 0 again.
    lines = []
    for frame in frames:
        lines += [f"{start:06x} {frame[start : start + 16].hex(' ')}" for start in range(0, len(frame), 16)] + [
            f"{len(frame):06x}"
        ]
    dump.write_text("\n".join(lines) + "\n", encoding="ascii")
    capture = folder / "frames.pcap"
    subprocess.run(
        ["text2pcap", "-q", "-T", f"{PORT},40000", str(dump), str(capture)],
        check=True,
        capture_output=True,
        timeout=TOOL_TIMEOUT_S,
    )
    told = subprocess.run(
        ["tshark", "-r", str(capture), "-Y", wanted, "-T", "fields", "-e", "frame.number"],
        check=True,
        capture_output=True,
        text=True,
        timeout=TOOL_TIMEOUT_S,
    )
    return len(told.stdout.split())


async def overheard_session(seen):
    """Every message of a session between a portal and the reader, in both directions."""
    heard = []

    async def relay(source, sink):
        splitter = FrameSplitter()
        while data := await source.read(65536):
            heard.extend(splitter.feed(data))
            sink.write(data)
            await sink.drain()
        sink.close()

    async def meet(client, to_client):
        server, to_server = await asyncio.open_connection(*reader.address)
        await asyncio.gather(relay(client, to_server), relay(server, to_client), return_exceptions=True)

    async with playing(seen) as reader:
        middle = await asyncio.start_server(meet, "127.0.0.1", 0)
        async with middle:
            address = middle.sockets[0].getsockname()
            eyes = (PhotoEye(1), PhotoEye(4, "low"))
            async with listening(address, impinj=True, keepalive_s=0.05, eyes=eyes) as portal:
                await all_reads(portal, reader)
    return heard


def test_a_whole_session_is_dissected_without_a_malformed_flag(tmp_path):
    scenario = load_scenario(find_scenario("truck_unloading"))
    seen = list(sightings(scenario, made_up_goods(scenario)))[:500]
    seen += [Sighting(seen[-1].at_us + 1, epc, 1, -60.0, 1, 1.0) for epc in ("", "E280", "E280" * 8)]
    changes = [InputChange(seen[number].at_us, 1, number % 20 == 0) for number in range(100, 200, 10)]
    heard = run(overheard_session(sorted([*seen, *changes], key=lambda one: one.at_us)))
    kinds = {MessageType(read_frame(frame).type) for frame in heard}
    assert kinds >= {
        MessageType.READER_EVENT_NOTIFICATION,
        MessageType.GET_READER_CAPABILITIES_RESPONSE,
        MessageType.GET_READER_CONFIG_RESPONSE,
        MessageType.SET_READER_CONFIG_RESPONSE,
        MessageType.DELETE_ACCESSSPEC_RESPONSE,
        MessageType.DELETE_ROSPEC_RESPONSE,
        MessageType.ADD_ROSPEC_RESPONSE,
        MessageType.ENABLE_ROSPEC_RESPONSE,
        MessageType.RO_ACCESS_REPORT,
        MessageType.KEEPALIVE,
        MessageType.KEEPALIVE_ACK,
        MessageType.CUSTOM_MESSAGE,
    }
    assert judge(heard, tmp_path, "llrp") == len(heard) > 500
    assert judge(heard, tmp_path, MALFORMED) == 0
    # The dissector's own reading of them: every change of input 1, and the states of the inputs switched on.
    assert judge(heard, tmp_path, "llrp.param.gpi_event") == len(changes)
    ours = f"llrp.type == {MessageType.GET_READER_CONFIG_RESPONSE} && llrp.id == {EYES_QUESTION_ID}"
    assert judge(heard, tmp_path, f"{ours} && llrp.param.gpi_state == {messages.GPI_LOW}") == 1


def test_what_that_session_does_not_say_is_dissected_too(tmp_path):
    spoken = [
        messages.connection_attempt(1, 1, ConnectionStatus.ANOTHER_ATTEMPTED),
        messages.connection_close(1, 1),
        messages.gpi_event(1, 1, 65535, is_high=False),
        messages.config(GetConfig(1, 9, 0, 2), Device(), Config(inputs=frozenset({2})), {2: True}),
        *(messages.capabilities(1, Device(antennas=16, hops=True), part) for part in range(5)),
        # Part 1, the identification, is left out: see `messages.config`.
        *(messages.config(GetConfig(1, part, 1), Device(), Config(5000, True)) for part in (0, *range(2, 12))),
        messages.refusal(MessageType.ADD_ROSPEC_RESPONSE, 1, StatusCode.INVALID, "no"),
        messages.error_message(1, StatusCode.UNSUPPORTED_MESSAGE, "no"),
        messages.rospecs(1, []),
        messages.ro_access_report(1, []),
        messages.response(MessageType.GET_ACCESSSPECS_RESPONSE, 1),
        messages.response(MessageType.CLOSE_CONNECTION_RESPONSE, 1),
    ]
    assert judge(spoken, tmp_path, "llrp") == len(spoken)
    assert judge(spoken, tmp_path, MALFORMED) == 0


def test_the_judge_does_find_fault_with_a_report_cut_short(tmp_path):
    assert judge([messages.keepalive(1), messages.report_cut_short()], tmp_path, MALFORMED) == 1
