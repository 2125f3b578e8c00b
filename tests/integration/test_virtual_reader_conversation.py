"""The virtual reader with clients other than our portal: llrpkit's client, and clients that misbehave."""

import asyncio
import itertools
import logging
import socket
import struct
from contextlib import asynccontextmanager

import pytest
from llrpkit.client import LLRPClient, check_status
from llrpkit.exceptions import LLRPConnectionError, LLRPStatusError
from llrpkit.protocol import decode_message, enums, params
from llrpkit.protocol import messages as kit

from firmware_bridges.virtual_reader import reader as reader_module
from firmware_bridges.virtual_reader.sighting import Sighting
from protocols.llrp import FrameSplitter, MessageType, message, read_frame
from tests.llrp_makers import playing, run, until, walk


def rospec(rospec_id=1, *, at_once=False, duration_ms=0, tags_per_report=5, antennas=(0,)) -> params.ROSpec:
    """An inventory as a client other than sllurp writes it."""
    stop = enums.ROSpecStopTriggerType.Duration if duration_ms else enums.ROSpecStopTriggerType.Null
    start = enums.ROSpecStartTriggerType.Immediate if at_once else enums.ROSpecStartTriggerType.Null
    return params.ROSpec(
        ro_spec_id=rospec_id,
        priority=0,
        current_state=enums.ROSpecState.Disabled,
        ro_boundary_spec=params.ROBoundarySpec(
            ro_spec_start_trigger=params.ROSpecStartTrigger(ro_spec_start_trigger_type=start),
            ro_spec_stop_trigger=params.ROSpecStopTrigger(
                ro_spec_stop_trigger_type=stop, duration_trigger_value=duration_ms
            ),
        ),
        spec_parameters=[
            params.AISpec(
                antenna_ids=list(antennas),
                ai_spec_stop_trigger=params.AISpecStopTrigger(
                    ai_spec_stop_trigger_type=enums.AISpecStopTriggerType.Null
                ),
                inventory_parameter_specs=[
                    params.InventoryParameterSpec(
                        inventory_parameter_spec_id=1, protocol_id=enums.AirProtocols.EPCGlobalClass1Gen2
                    )
                ],
            )
        ],
        ro_report_spec=params.ROReportSpec(
            ro_report_trigger=enums.ROReportTriggerType.Upon_N_Tags_Or_End_Of_ROSpec,
            n=tags_per_report,
            tag_report_content_selector=params.TagReportContentSelector(
                enable_antenna_id=True, enable_first_seen_timestamp=True, enable_peak_rssi=True
            ),
        ),
    )


async def ask(client, request):
    return check_status(await client.transact(request))


async def tags_heard(client, reader, count):
    """The first `count` tags of the reports, and how many each report had."""
    tags, sizes = [], []
    while len(tags) < count:
        report = await asyncio.wait_for(client.reports.get(), 10.0)
        tags += report.tag_report_datas
        sizes.append(len(report.tag_report_datas))
    return tags, sizes


def test_llrpkits_client_holds_the_whole_conversation():
    async def story():
        async with playing(walk(40)) as reader, LLRPClient(*reader.address) as client:
            capabilities = await ask(client, kit.GET_READER_CAPABILITIES())
            assert capabilities.general_device_capabilities.max_number_of_antenna_supported == 4
            await ask(client, kit.GET_READER_CONFIG())
            await ask(client, kit.DELETE_ROSPEC(ro_spec_id=0))
            await ask(client, kit.ADD_ROSPEC(ro_spec=rospec()))
            (held,) = (await ask(client, kit.GET_ROSPECS())).ro_specs
            assert held == rospec()
            assert (await ask(client, kit.GET_ACCESSSPECS())).access_specs == []
            await ask(client, kit.ENABLE_ROSPEC(ro_spec_id=1))
            assert client.reports.empty()
            await ask(client, kit.START_ROSPEC(ro_spec_id=1))
            tags, sizes = await tags_heard(client, reader, 40)
            (running,) = (await ask(client, kit.GET_ROSPECS())).ro_specs
            await ask(client, kit.STOP_ROSPEC(ro_spec_id=1))
            await ask(client, kit.DISABLE_ROSPEC(ro_spec_id=1))
            await ask(client, kit.DELETE_ROSPEC(ro_spec_id=1))
            return tags, sizes, running.current_state, client.events.qsize()

    tags, sizes, state, events = run(story())
    assert [tag.antenna_id.antenna_id for tag in tags] == [number % 4 + 1 for number in range(40)]
    assert all(tag.last_seen_timestamp_utc is None for tag in tags)
    assert max(sizes) <= 5
    assert state == enums.ROSpecState.Active
    assert events == 0


def test_nothing_is_reported_while_no_rospec_runs_and_the_world_waits():
    async def story():
        async with playing(walk(4000), pace=1.0) as reader, LLRPClient(*reader.address) as client:
            await ask(client, kit.ADD_ROSPEC(ro_spec=rospec(tags_per_report=1)))
            await ask(client, kit.ENABLE_ROSPEC(ro_spec_id=1))
            assert not reader.play.begun
            await ask(client, kit.START_ROSPEC(ro_spec_id=1))
            before, _ = await tags_heard(client, reader, 20)
            await ask(client, kit.STOP_ROSPEC(ro_spec_id=1))
            while not client.reports.empty():
                before += client.reports.get_nowait().tag_report_datas
            await asyncio.sleep(0.3)
            assert client.reports.empty()
            await ask(client, kit.START_ROSPEC(ro_spec_id=1))
            after, _ = await tags_heard(client, reader, 20)
            return [tag.first_seen_timestamp_utc.microseconds for tag in before + after]

    stamps = run(story())
    # The hole of 0.3 s is not in the stamps: they are as far apart as they were recorded.
    assert {b - a for a, b in itertools.pairwise(stamps)} == {10_000}


def test_a_rospec_ends_by_itself_after_its_duration():
    async def story():
        async with playing(walk(4000), pace=1.0) as reader, LLRPClient(*reader.address) as client:
            await ask(client, kit.ADD_ROSPEC(ro_spec=rospec(at_once=True, duration_ms=100)))
            await ask(client, kit.ENABLE_ROSPEC(ro_spec_id=1))
            await until(lambda: reader.inventory.active is None, "the ROSpec ends")
            (held,) = (await ask(client, kit.GET_ROSPECS())).ro_specs
            return held.current_state, reader.counters.sightings

    state, sightings = run(story())
    assert state == enums.ROSpecState.Inactive
    assert 0 < sightings < 4000


@pytest.mark.parametrize(
    ("request_made", "reason"),
    [
        (lambda: kit.START_ROSPEC(ro_spec_id=7), "no ROSpec 7 is held"),
        (lambda: kit.ADD_ROSPEC(ro_spec=rospec(antennas=(1, 9))), r"expected antennas 1 to 4, got \[9\]"),
        (lambda: kit.DELETE_ACCESSSPEC(access_spec_id=3), "no AccessSpec 3 is held"),
        (lambda: kit.GET_READER_CONFIG(antenna_id=9), "expected antenna 0 to 4, got 9"),
        (lambda: kit.GET_READER_CONFIG(gpi_port_num=5), "expected input 0 to 4, got 5"),
        (
            lambda: kit.SET_READER_CONFIG(
                gpi_port_current_states=[
                    params.GPIPortCurrentState(gpi_port_num=5, config=True, state=enums.GPIPortState.Low)
                ]
            ),
            r"expected inputs 1 to 4, got \[5\]",
        ),
        (lambda: kit.ADD_ROSPEC(ro_spec=rospec(rospec_id=0)), "expected an id above 0"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(request_made, reason):
    async def story():
        async with playing([]) as reader, LLRPClient(*reader.address) as client:
            with pytest.raises(LLRPStatusError, match=reason):
                await ask(client, request_made())

    run(story())


def test_keepalives_come_when_asked_for_and_end_when_told_to():
    def every(interval_ms):
        trigger = enums.KeepaliveTriggerType.Periodic if interval_ms else enums.KeepaliveTriggerType.Null
        return kit.SET_READER_CONFIG(
            keepalive_spec=params.KeepaliveSpec(keepalive_trigger_type=trigger, periodic_trigger_value=interval_ms)
        )

    async def story():
        async with playing([]) as reader, LLRPClient(*reader.address) as client:
            await asyncio.sleep(0.1)
            assert reader.counters.keepalives_answered == 0
            await ask(client, every(20))
            await until(lambda: reader.counters.keepalives_answered >= 3, "three keepalives are answered")
            spec = (await ask(client, kit.GET_READER_CONFIG())).keepalive_spec
            await ask(client, every(0))
            answered = reader.counters.keepalives_answered
            await asyncio.sleep(0.2)
            return spec.periodic_trigger_value, reader.counters.keepalives_answered - answered

    interval_ms, more = run(story())
    assert interval_ms == 20
    assert more <= 1  # one may have been on its way


def test_configuration_and_rospecs_outlive_a_connection():
    async def story():
        async with playing([]) as reader:
            async with LLRPClient(*reader.address) as client:
                await ask(client, kit.ADD_ROSPEC(ro_spec=rospec()))
            await until(lambda: not reader.has_client, "the client has left")
            async with LLRPClient(*reader.address) as client:
                assert len((await ask(client, kit.GET_ROSPECS())).ro_specs) == 1
                await ask(client, kit.SET_READER_CONFIG(reset_to_factory_default=True))
                assert (await ask(client, kit.GET_ROSPECS())).ro_specs == []

    run(story())


def test_reports_that_shall_be_held_wait_for_the_word_after_a_reconnect():
    async def story():
        async with playing(walk(40), pace=1.0) as reader:
            async with LLRPClient(*reader.address) as client:
                await ask(
                    client,
                    kit.SET_READER_CONFIG(
                        events_and_reports=params.EventsAndReports(hold_events_and_reports_upon_reconnect=True)
                    ),
                )
                await ask(client, kit.ADD_ROSPEC(ro_spec=rospec(at_once=True)))
                await ask(client, kit.ENABLE_ROSPEC(ro_spec_id=1))
                await tags_heard(client, reader, 5)
            await until(lambda: not reader.has_client, "the client has left")
            async with LLRPClient(*reader.address) as client:
                await asyncio.sleep(0.2)
                assert client.reports.empty()
                client.send(kit.ENABLE_EVENTS_AND_REPORTS())
                tags, _ = await tags_heard(client, reader, 40)
                return {tag.first_seen_timestamp_utc.microseconds for tag in tags}

    assert len(run(story())) == 40


def test_a_second_client_is_told_and_sent_away_and_the_first_hears_of_it():
    async def story():
        async with playing([]) as reader, LLRPClient(*reader.address) as first:
            with pytest.raises(LLRPConnectionError, match="Client_Initiated_Connection_Already_Exists"):
                await LLRPClient(*reader.address).connect()
            event = await asyncio.wait_for(first.events.get(), 10.0)
            await ask(first, kit.GET_READER_CONFIG())
            return event.reader_event_notification_data.connection_attempt_event.status

    assert run(story()) == enums.ConnectionAttemptStatusType.Another_Connection_Attempted


def test_the_reader_says_goodbye_when_it_is_stopped():
    async def story():
        async with playing([]) as reader:
            client = LLRPClient(*reader.address)
            await client.connect()
            await reader.stop()
            event = await asyncio.wait_for(client.events.get(), 10.0)
            await client.close()
            return event.reader_event_notification_data.connection_close_event

    assert run(story()) is not None


# ── clients that misbehave ────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def raw_client(address):
    """A socket that has been told it is welcome."""
    reader, writer = await asyncio.open_connection(*address)
    splitter = FrameSplitter()
    try:
        (welcome,) = await answers(reader, splitter)
        assert read_frame(welcome).type == MessageType.READER_EVENT_NOTIFICATION
        yield reader, writer, splitter
    finally:
        writer.close()
        await writer.wait_closed()


async def answers(reader, splitter):
    """The messages of the next answer; none when the connection ended."""
    found = []
    while not found:
        data = await asyncio.wait_for(reader.read(65536), 10.0)
        if not data:
            return []
        found = splitter.feed(data)
    return found


@pytest.mark.parametrize(
    ("nonsense", "status"),
    [
        (message(999, 5), enums.StatusCode.M_UnsupportedMessage),
        (message(MessageType.RO_ACCESS_REPORT, 5), enums.StatusCode.M_UnsupportedMessage),
        (message(MessageType.ENABLE_ROSPEC, 5, b"\x00"), enums.StatusCode.M_ParameterError),
        (message(MessageType.ADD_ROSPEC, 5, b"\x00\xb1\xff\xff"), enums.StatusCode.M_ParameterError),
        (struct.pack("!HII", 3 << 10 | 1, 11, 5) + b"\x00", enums.StatusCode.M_UnsupportedVersion),
    ],
)
def test_nonsense_is_answered_and_the_conversation_goes_on(caplog, nonsense, status):
    async def story():
        async with playing([]) as reader, raw_client(reader.address) as (stream, writer, splitter):
            writer.write(nonsense + message(MessageType.GET_ROSPECS, 6))
            found = await answers(stream, splitter)
            while len(found) < 2:
                found += await answers(stream, splitter)
            return [decode_message(whole) for whole in found], reader.counters.unreadable

    with caplog.at_level(logging.WARNING):
        (refusal, answer), unreadable = run(story())
    assert (refusal.message_id, refusal.llrp_status.status_code) == (5, status)
    assert refusal.llrp_status.error_description
    assert (answer.message_id, type(answer).__name__) == (6, "GET_ROSPECS_RESPONSE")
    assert unreadable == 1
    assert "message type" in caplog.text


def test_a_stream_that_is_no_llrp_gets_an_error_and_the_line_is_cut_for_that_client_only(caplog):
    async def story():
        async with playing([]) as reader:
            async with raw_client(reader.address) as (stream, writer, splitter):
                writer.write(b"GET / HTTP/1.1\r\nHost: reader\r\n\r\n")
                (error,) = await answers(stream, splitter)
                assert await answers(stream, splitter) == []
            await until(lambda: not reader.has_client, "the place is free")
            async with LLRPClient(*reader.address) as client:
                await ask(client, kit.GET_READER_CAPABILITIES())
            return decode_message(error)

    with caplog.at_level(logging.INFO):
        error = run(story())
    assert isinstance(error, kit.ERROR_MESSAGE)
    assert "no LLRP: expected a message of 10 to" in caplog.text


def test_a_client_that_leaves_in_a_message_leaves_a_line_and_its_place(caplog):
    async def story():
        async with playing([]) as reader:
            async with raw_client(reader.address) as (_, writer, _):
                writer.write(message(MessageType.ADD_ROSPEC, 5, bytes(100))[:37])
            await until(lambda: not reader.has_client, "the place is free")

    with caplog.at_level(logging.INFO):
        run(story())
    assert "gone: closed in a message, after 37 bytes" in caplog.text


def test_a_client_that_says_nothing_loses_its_place(caplog, monkeypatch):
    monkeypatch.setattr(reader_module, "FIRST_WORD_TIMEOUT_S", 0.05)

    async def story():
        async with playing([]) as reader, raw_client(reader.address) as (stream, _, splitter):
            assert await answers(stream, splitter) == []
            await until(lambda: not reader.has_client, "the place is free")

    with caplog.at_level(logging.INFO):
        run(story())
    assert "gone: it said nothing for 0.05 s" in caplog.text


def test_a_client_that_answers_no_keepalives_loses_its_place(caplog, monkeypatch):
    monkeypatch.setattr(reader_module, "PATIENCE_LEAST_S", 0.1)

    async def story():
        async with playing([]) as reader, raw_client(reader.address) as (stream, writer, splitter):
            keepalive = struct.pack("!HHBI", 220, 9, 1, 20)
            writer.write(message(MessageType.SET_READER_CONFIG, 5, b"\x00" + keepalive))
            while await answers(stream, splitter):
                pass

    with caplog.at_level(logging.INFO):
        run(story())
    assert "gone: no answer to a keepalive for 0.1 s" in caplog.text


def test_a_client_that_reads_nothing_loses_its_place_and_what_it_missed_comes_again(caplog, monkeypatch):
    monkeypatch.setattr(reader_module, "DRAIN_TIMEOUT_S", 0.2)
    # Six megabytes of reports, more than the kernel keeps for a socket whose other end is small.
    many = (Sighting(number, f"{number:024X}", 1, -60.0) for number in range(100_000))
    requests = (kit.ADD_ROSPEC(ro_spec=rospec(at_once=True)), kit.ENABLE_ROSPEC(ro_spec_id=1))

    async def story():
        async with playing(many) as reader:
            small = socket.socket()
            small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            small.setblocking(False)
            await asyncio.get_running_loop().sock_connect(small, reader.address)
            with small:
                for request in requests:
                    small.send(request.to_bytes(message_id=5))
                await until(lambda: "it has read nothing for 0.2 s" in caplog.text, "the reader gives up")
            await until(lambda: not reader.has_client, "the place is free")
            async with LLRPClient(*reader.address) as client:
                tags, _ = await tags_heard(client, reader, 5)
                return [tag.epc_parameter.epc.hex() for tag in tags]

    with caplog.at_level(logging.INFO):
        assert run(story())[:5] == [f"{number:024x}" for number in range(5)]


def test_orders_for_faults_need_a_client():
    async def story():
        async with playing([]) as reader:
            with pytest.raises(RuntimeError, match="no client is connected"):
                reader.go_silent()
        with pytest.raises(RuntimeError, match="the reader does not listen"):
            _ = reader.address

    run(story())
