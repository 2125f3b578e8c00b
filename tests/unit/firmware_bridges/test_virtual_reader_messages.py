"""The reader's side of LLRP: what clients ask is read, what readers say is what two other codecs read."""

import math
import struct

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from llrpkit.protocol import decode_message, enums
from llrpkit.protocol import messages as kit
from llrpkit.protocol import params as kit_params
from sllurp.llrp import LLRPClient, LLRPMessage, LLRPReaderConfig

from firmware_bridges.virtual_reader import messages
from firmware_bridges.virtual_reader.messages import (
    AddROSpec,
    ChangeROSpec,
    Config,
    Device,
    GetConfig,
    Malformed,
    Plain,
    ReportContent,
    ROSpecState,
    SetConfig,
    TagReportWriter,
    Unsupported,
    read_command,
    whole_dbm,
)
from firmware_bridges.virtual_reader.sighting import Sighting
from protocols.llrp import ConnectionStatus, FrameSplitter, MessageType, StatusCode, message, read_frame
from tests.llrp_makers import shared

AT_US = 1_790_000_000_123_456
SEEN = Sighting(0, "30340A64C0DEC0DE00000001", 3, -61.37, 2, 1.5)
EVERYTHING = ReportContent(phase=True, fine_rssi=True, pc_bits=True)


def sllurps_messages(**config) -> list[bytes]:
    """What sllurp sends on its way to an inventory, made by sllurp."""
    sent: list[bytes] = []
    client = LLRPClient(LLRPReaderConfig(config), transport_tx_write=sent.append)
    client.send_ENABLE_IMPINJ_EXTENSIONS(None)
    client.send_GET_READER_CAPABILITIES(None, None)
    client.send_GET_READER_CONFIG(None)
    client.send_ENABLE_EVENTS_AND_REPORTS()
    client.send_SET_READER_CONFIG(None)
    client.stopPolitely()
    client.stopAllROSpecs()
    client.send_ADD_ROSPEC(client.getROSpec(), None)
    client.send_ENABLE_ROSPEC(None, {"ROSpecID": 1}, None)
    client.send_KEEPALIVE_ACK()
    return sent


def test_all_that_sllurp_says_is_understood():
    commands = [
        read_command(sent)
        for sent in sllurps_messages(
            antennas=[1, 3],
            keepalive_interval=5000,
            report_every_n_tags=7,
            tag_content_selector={"EnableAntennaID": True, "EnablePeakRSSI": True},
            impinj_tag_content_selector={
                "EnableRFPhaseAngle": True,
                "EnablePeakRSSI": True,
                "EnableRFDopplerFrequency": False,
            },
        )
    ]
    kinds = [type(command).__name__ for command in commands]
    assert kinds == [
        "EnableImpinjExtensions",
        "GetCapabilities",
        "GetConfig",
        "Plain",
        "SetConfig",
        "ChangeAccessSpec",
        "ChangeROSpec",
        "AddROSpec",
        "ChangeROSpec",
        "Plain",
    ]
    set_config = commands[4]
    assert isinstance(set_config, SetConfig)
    assert (set_config.keepalive_ms, set_config.resets, set_config.holds_reports) == (5000, False, None)
    added = commands[7]
    assert isinstance(added, AddROSpec)
    assert added.rospec.antennas == frozenset({1, 3})
    assert added.rospec.starts_at_once
    assert added.rospec.duration_ms is None
    assert added.rospec.content.phase
    assert added.rospec.content.fine_rssi
    assert added.rospec.content.selector & messages.Content.ANTENNA_ID
    assert not added.rospec.content.selector & messages.Content.FIRST_SEEN
    assert commands[9] == Plain(commands[9].message_id, MessageType.KEEPALIVE_ACK)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (kit.DELETE_ROSPEC(ro_spec_id=0), ChangeROSpec(5, MessageType.DELETE_ROSPEC, 0)),
        (kit.START_ROSPEC(ro_spec_id=9), ChangeROSpec(5, MessageType.START_ROSPEC, 9)),
        (kit.STOP_ROSPEC(ro_spec_id=9), ChangeROSpec(5, MessageType.STOP_ROSPEC, 9)),
        (kit.DISABLE_ROSPEC(ro_spec_id=9), ChangeROSpec(5, MessageType.DISABLE_ROSPEC, 9)),
        (kit.GET_ROSPECS(), Plain(5, MessageType.GET_ROSPECS)),
        (kit.GET_ACCESSSPECS(), Plain(5, MessageType.GET_ACCESSSPECS)),
        (kit.GET_REPORT(), Plain(5, MessageType.GET_REPORT)),
        (kit.CLOSE_CONNECTION(), Plain(5, MessageType.CLOSE_CONNECTION)),
        (kit.ENABLE_EVENTS_AND_REPORTS(), Plain(5, MessageType.ENABLE_EVENTS_AND_REPORTS)),
        (kit.KEEPALIVE_ACK(), Plain(5, MessageType.KEEPALIVE_ACK)),
        (
            kit.GET_READER_CONFIG(antenna_id=2, requested_data=enums.GetReaderConfigRequestedData.KeepaliveSpec),
            GetConfig(5, 8, 2),
        ),
    ],
)
def test_what_llrpkit_asks_is_understood(asked, expected):
    assert read_command(asked.to_bytes(message_id=5)) == expected


# ── malformed ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("data", "status", "reason"),
    [
        (message(1, 3), StatusCode.PARAMETER_ERROR, "expected at least 1 bytes, got 0"),
        (message(1, 3, b"\x09"), StatusCode.PARAMETER_ERROR, "expected request 0 to 4, got 9"),
        (message(24, 3, b"\x00\x00\x00"), StatusCode.PARAMETER_ERROR, "expected at least 4 bytes, got 3"),
        (message(24, 3, b"\x00" * 5), StatusCode.PARAMETER_ERROR, "expected no further bytes, got 1"),
        (message(20, 3), StatusCode.PARAMETER_ERROR, "expected a parameter 177, got none"),
        (message(3, 3, b"\x00\x00\xdc\x00\x09\x01\x00\x00\x00\x00"), StatusCode.PARAMETER_ERROR, "KeepaliveSpec"),
        (message(72, 3, b"\x00"), StatusCode.PARAMETER_ERROR, "expected no further bytes, got 1"),
    ],
)
def test_a_malformed_request_is_named_with_what_was_expected(data, status, reason):
    command = read_command(data)
    assert isinstance(command, Malformed)
    assert command.status is status
    assert reason in command.reason
    assert command.message_id == 3


def test_a_malformed_request_is_answered_by_its_own_response():
    answer = decode_message(messages.answer_to_unreadable(read_command(message(20, 3))))
    assert isinstance(answer, kit.ADD_ROSPEC_RESPONSE)
    assert answer.message_id == 3
    assert answer.llrp_status.status_code == enums.StatusCode.M_ParameterError
    assert "expected a parameter 177, got none" in answer.llrp_status.error_description


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (message(999, 4), enums.StatusCode.M_UnsupportedMessage),
        (message(61, 4), enums.StatusCode.M_UnsupportedMessage),
        (struct.pack("!HII", 2 << 10 | 1, 11, 4) + b"\x00", enums.StatusCode.M_UnsupportedVersion),
        (message(1023, 4, struct.pack("!IB", 1, 1)), enums.StatusCode.M_UnsupportedMessage),
    ],
)
def test_what_is_not_for_a_reader_gets_an_error_message(data, status):
    command = read_command(data)
    assert isinstance(command, Unsupported)
    answer = decode_message(messages.answer_to_unreadable(command))
    assert isinstance(answer, kit.ERROR_MESSAGE)
    assert (answer.message_id, answer.llrp_status.status_code) == (4, status)


def test_a_rospec_that_waits_for_a_gpi_is_refused_as_unsupported():
    rospec = bytearray(sllurps_messages()[7])
    trigger = rospec.index(struct.pack("!HHB", 179, 5, 1)) + 4
    rospec[trigger] = 3
    command = read_command(bytes(rospec))
    assert isinstance(command, Malformed)
    assert command.status is StatusCode.UNSUPPORTED_PARAMETER
    assert "got start trigger 3" in command.reason


@settings(max_examples=300)
@given(st.integers(0, 1023), st.binary(max_size=120))
@example(3, b"\x00\x00\xdc\x00\x04")
def test_any_body_of_any_type_is_read_or_answered(kind, body):
    command = read_command(message(kind, 1, body))
    if isinstance(command, Malformed | Unsupported):
        answer = messages.answer_to_unreadable(command)
        assert read_frame(answer).message_id == 1
        assert decode_message(answer).message_id == 1


@settings(max_examples=300)
@given(st.sampled_from(sllurps_messages()), st.data())
def test_a_true_request_with_bytes_changed_is_read_or_answered(request_bytes, data):
    damaged = bytearray(request_bytes)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(10, len(damaged) - 1)) if len(damaged) > 10 else 0] ^= data.draw(
            st.integers(1, 255)
        )
    for whole in FrameSplitter().feed(bytes(damaged)):
        command = read_command(whole)
        if isinstance(command, Malformed | Unsupported):
            decode_message(messages.answer_to_unreadable(command))


# ── what the reader says, read by others ──────────────────────────────────────────────────────────


SPOKEN = {
    "connection accepted": messages.connection_attempt(1, AT_US, ConnectionStatus.SUCCESS),
    "connection refused": messages.connection_attempt(1, AT_US, ConnectionStatus.CLIENT_INITIATED_EXISTS),
    "connection closed": messages.connection_close(2, AT_US),
    "keepalive": messages.keepalive(3),
    "extensions": messages.impinj_extensions_enabled(4),
    "capabilities": messages.capabilities(5, Device()),
    "capabilities of a hopping reader": messages.capabilities(5, Device(antennas=2, hops=True)),
    "general capabilities": messages.capabilities(5, Device(), 1),
    "LLRP capabilities": messages.capabilities(5, Device(), 2),
    "regulatory capabilities": messages.capabilities(5, Device(), 3),
    "air protocol capabilities": messages.capabilities(5, Device(), 4),
    "config": messages.config(
        GetConfig(6, 0, 0), Device(), Config(5000, True, frozenset({1, 8}), frozenset({1, 2, 3, 4})), {2: True}
    ),
    "input": messages.gpi_event(2, AT_US, 3, is_high=True),
    "response": messages.response(MessageType.SET_READER_CONFIG_RESPONSE, 7),
    "refusal": messages.refusal(MessageType.ADD_ROSPEC_RESPONSE, 8, StatusCode.INVALID, "不行"),
    "error": messages.error_message(9, StatusCode.UNSUPPORTED_MESSAGE, "no"),
    "no rospecs": messages.rospecs(10, []),
    "empty report": messages.ro_access_report(11, []),
    "report": messages.ro_access_report(
        12,
        [
            TagReportWriter(1, EVERYTHING).write(SEEN, AT_US),
            TagReportWriter(1, ReportContent(0)).write(SEEN, AT_US),
            TagReportWriter(1, EVERYTHING).write(Sighting(0, "E280" * 8, 1, -40), AT_US),
            TagReportWriter(1, EVERYTHING).write(Sighting(0, "", 1, -40), AT_US),
            TagReportWriter(1, EVERYTHING).write(Sighting(0, "ABC", 1, -40), AT_US),
        ],
    ),
}


@pytest.mark.parametrize("name", SPOKEN)
def test_llrpkit_reads_and_writes_the_same_bytes(name):
    decoded = decode_message(SPOKEN[name])
    assert "Unknown" not in repr(decoded)
    assert decoded.to_bytes() == SPOKEN[name]


@pytest.mark.parametrize("name", [name for name in SPOKEN if name != "no rospecs"])
def test_sllurp_reads_it(name):
    # GET_ROSPECS_RESPONSE is left out: sllurp has no decoder for it.
    decoded = LLRPMessage(msgbytes=SPOKEN[name])
    assert "SllurpDecodeError" not in repr(decoded)


@pytest.mark.parametrize("part", range(1, 12))
def test_each_part_of_the_configuration_can_be_asked_for_alone(part):
    asked = messages.config(GetConfig(6, part, 2), Device(), Config(5000))
    assert decode_message(asked).to_bytes() == asked


def test_an_input_tells_its_level_once_it_is_switched_on_and_nothing_before():
    config = Config().changed_by(SetConfig(1, False, None, None, ((1, True),), ((2, True), (3, True), (3, False))))
    assert [config.tells_of(port) for port in (1, 2, 3)] == [False, True, False]
    asked = messages.config(GetConfig(6, 9, 0), Device(inputs=3), config, {1: True, 2: True})
    states = decode_message(asked).gpi_port_current_states
    assert [(state.gpi_port_num, state.config, state.state.name) for state in states] == [
        (1, False, "Unknown"),
        (2, True, "High"),
        (3, False, "Unknown"),
    ]
    alone = messages.config(GetConfig(6, 9, 0, 2), Device(inputs=3), config)
    assert [state.state.name for state in decode_message(alone).gpi_port_current_states] == ["Low"]


def test_what_sllurp_says_of_inputs_and_their_events_is_understood():
    commands = [
        read_command(sent)
        for sent in sllurps_messages(event_selector={"GPIEvent": True}, gpi_ports_config={1: True, 4: False})
    ]
    (asked,) = [command for command in commands if isinstance(command, SetConfig)]
    assert (1, True) in asked.events
    assert asked.inputs == ((1, True), (4, False))


def test_an_event_says_which_input_went_where_and_when():
    data = decode_message(SPOKEN["input"]).reader_event_notification_data
    assert (data.gpi_event.gpi_port_number, data.gpi_event.gpi_event) == (3, True)
    assert data.timestamp.microseconds == AT_US


def test_a_report_says_what_was_seen_as_exactly_as_its_fields_can():
    decoded = decode_message(SPOKEN["report"])
    assert isinstance(decoded, kit.RO_ACCESS_REPORT)
    tag = decoded.tag_report_datas[0]
    assert isinstance(tag.epc_parameter, kit_params.EPC_96)
    assert tag.epc_parameter.epc.hex().upper() == SEEN.epc
    assert tag.antenna_id.antenna_id == 3
    assert tag.peak_rssi.peak_rssi == -61
    assert tag.channel_index.channel_index == 2
    assert tag.first_seen_timestamp_utc.microseconds == AT_US
    assert tag.last_seen_timestamp_utc.microseconds == AT_US
    assert tag.tag_seen_count.tag_count == 1
    phase, rssi = tag.custom
    assert phase.phase_angle == round(1.5 / math.tau * 4096)
    assert rssi.rssi == -6137


def test_an_epc_that_is_not_96_bits_says_its_length():
    tags = decode_message(SPOKEN["report"]).tag_report_datas
    lengths = [tag.epc_parameter.epc.bit_len for tag in tags[2:]]
    assert lengths == [128, 0, 12]


def test_sllurp_reads_phase_and_fine_rssi():
    tag = LLRPMessage(msgbytes=SPOKEN["report"]).msgdict["RO_ACCESS_REPORT"]["TagReportData"][0]
    assert tag["EPC"].decode().upper() == SEEN.epc
    assert (tag["ImpinjRFPhaseAngle"], tag["ImpinjPeakRSSI"]) == (round(1.5 / math.tau * 4096), -6137)


def test_only_what_the_rospec_asked_for_is_reported():
    tag = decode_message(SPOKEN["report"]).tag_report_datas[1]
    assert tag.epc_parameter is not None
    assert tag.antenna_id is None
    assert tag.peak_rssi is None
    assert tag.first_seen_timestamp_utc is None
    assert tag.custom == []


@pytest.mark.parametrize(
    ("rssi_dbm", "sent"),
    [(-63.5, -64), (-63.4, -63), (-62.5, -63), (0.5, 1), (0.0, 0), (-128.5, -128), (-300, -128), (200, 127)],
)
def test_rssi_is_rounded_to_whole_dbm_halves_away_from_zero(rssi_dbm, sent):
    assert whole_dbm(rssi_dbm) == sent


def test_a_held_rospec_is_shown_as_it_was_sent_but_in_its_present_state():
    added = read_command(sllurps_messages()[7])
    assert isinstance(added, AddROSpec)
    shown = messages.rospecs(1, [(added.rospec, ROSpecState.ACTIVE)])
    rospec = decode_message(shown).ro_specs[0]
    assert rospec.current_state == enums.ROSpecState.Active
    as_sent = decode_message(sllurps_messages()[7]).ro_spec
    as_sent.current_state = enums.ROSpecState.Active
    assert rospec == as_sent


def test_configuration_is_kept_until_it_is_changed_or_reset():
    first = Config().changed_by(SetConfig(1, False, 5000, True, ((8, True), (4, True))))
    assert first == Config(5000, True, frozenset({4, 8}))
    assert first.changed_by(SetConfig(2, False, None, None, ((4, False),))) == Config(5000, True, frozenset({8}))
    assert first.changed_by(SetConfig(3, True, None, None, ())) == Config()


# ── frames of real clients and readers ────────────────────────────────────────────────────────────


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("ADD_ROSPEC", "AddROSpec"),
        ("ADD_ROSPEC2", "AddROSpec"),
        ("ADD_ACCESSSPEC", "ChangeAccessSpec"),
        ("ENABLE_ROSPEC", "ChangeROSpec"),
        ("START_ROSPEC", "ChangeROSpec"),
        ("GET_READER_CAPABILITIES", "GetCapabilities"),
        ("GET_READER_CONFIG", "GetConfig"),
        ("SET_READER_CONFIG", "SetConfig"),
        ("CUSTOM_MESSAGE1", "EnableImpinjExtensions"),
        ("CUSTOM_MESSAGE2", "Unsupported"),
        ("RO_ACCESS_REPORT", "Unsupported"),
        ("READER_EVENT_NOTIFICATION", "Unsupported"),
    ],
)
def test_messages_of_the_llrp_toolkit_are_told_apart(name, kind):
    data = shared(f"llrp/ltkjava/{name}.bin").read_bytes()
    assert type(read_command(data)).__name__ == kind


@pytest.mark.shared
def test_a_captured_session_of_934_messages_is_cut_and_read_throughout():
    capture = shared("llrp/dx101/dx101_a.bin").read_bytes()
    splitter = FrameSplitter()
    found = []
    for start in range(0, len(capture), 1000):
        found += splitter.feed(capture[start : start + 1000])
    assert (len(found), splitter.broken, splitter.waiting_bytes) == (934, None, 0)
    assert b"".join(found) == capture
    commands = [read_command(whole) for whole in found]
    # It is the client's half that a reader understands; two ROSpecs in it wait for a GPI.
    assert sum(not isinstance(command, Unsupported | Malformed) for command in commands) == 18
    assert sum(isinstance(command, Malformed) for command in commands) == 2
