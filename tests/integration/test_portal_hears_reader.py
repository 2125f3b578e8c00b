"""A portal and a virtual reader over real TCP: the conversation, every recorded read, and every fault.

The first part is the way as it should be; the second pins each fault of sllurp 3.0.5 that the adapter is
there for, on the bare library, and shows the portal coming through it.
"""

import asyncio
import logging
import math
import threading
import time
from collections import Counter
from contextlib import contextmanager, suppress

import pytest
from sllurp.llrp import LLRPReaderClient, LLRPReaderConfig, LLRPReaderState

from edge.devices.portal import AWAY_GRACE_S, UnreadableMessage, decode
from firmware_bridges.virtual_reader import messages
from firmware_bridges.virtual_reader.messages import Device, whole_dbm
from firmware_bridges.virtual_reader.recording import Recording
from firmware_bridges.virtual_reader.scenario import (
    find_scenario,
    load_scenario,
    made_up_goods,
    sightings,
)
from firmware_bridges.virtual_reader.sighting import Sighting
from protocols.llrp import FrameSplitter, MessageType, read_frame
from tests.llrp_makers import all_reads, listening, playing, run, shared, until, walk

INVENTORYING = LLRPReaderState.STATE_INVENTORYING


def seen_by(reads):
    return [(read.epc, read.antenna, read.rssi_dbm) for read in reads]


def played(sightings):
    return [(seen.epc, seen.antenna, float(whole_dbm(seen.rssi_dbm))) for seen in sightings]


# ── the way as it should be ───────────────────────────────────────────────────────────────────────


def test_every_sighting_of_the_scenario_arrives_in_order_with_all_it_says():
    scenario = load_scenario(find_scenario("truck_unloading"))
    seen = list(sightings(scenario, made_up_goods(scenario)))

    async def story():
        async with playing(seen) as reader, listening(reader.address, impinj=True) as portal:
            return await all_reads(portal, reader), portal.counters

    reads, counters = run(story())
    assert [(read.epc, read.antenna, read.channel) for read in reads] == [
        (one.epc, one.antenna, one.channel) for one in seen
    ]
    for read, one in zip(reads, seen, strict=True):
        assert read.rssi_dbm == pytest.approx(one.rssi_dbm, abs=0.005)
        turn = (read.phase_rad - one.phase_rad + math.pi) % math.tau - math.pi
        assert abs(turn) <= math.pi / 4096 + 1e-9
    assert counters["reads"] == len(seen)
    assert {name: count for name, count in counters.items() if count and name not in ("reads", "reports")} == {}


@pytest.mark.shared
@pytest.mark.parametrize("tags_per_report", [1, 50])
def test_every_read_of_a_real_gate_arrives_at_many_times_the_true_pace(tags_per_report):
    path = shared("gate/emse_run1.csv.gz")
    recorded = list(Recording(path, Device().channels_khz))

    async def story():
        play_again = Recording(path, Device().channels_khz)
        async with (
            playing(play_again, pace=5000.0) as reader,
            listening(reader.address, tags_per_report=tags_per_report, keepalive_s=1.0) as portal,
        ):
            return await all_reads(portal, reader), portal.counters

    reads, counters = run(story())
    assert len(reads) == 21_565
    # PeakRSSI has whole dBm: recorded halves are rounded away from zero, on the way and here.
    assert seen_by(reads) == played(recorded)
    assert [read.seen_at_us - reads[0].seen_at_us for read in reads] == [
        seen.at_us - recorded[0].at_us for seen in recorded
    ]
    assert (counters["shed"], counters["reconnects"]) == (0, 0)


def test_times_of_reads_are_the_gateways_though_the_reader_lives_in_another_year():
    async def story():
        async with playing(walk(40), pace=1.0) as reader:
            before_us = time.time_ns() // 1000
            reader._wall_us = lambda: before_us - 20 * 365 * 86_400 * 1_000_000
            async with listening(reader.address) as portal:
                reads = await all_reads(portal, reader)
                return reads, before_us, time.time_ns() // 1000, portal.clock.offset_us

    reads, before_us, after_us, offset_us = run(story())
    assert len(reads) == 40
    assert offset_us > 19 * 365 * 86_400 * 1_000_000
    assert all(before_us <= read.seen_at_us <= after_us for read in reads)


def test_the_portal_says_when_its_reader_comes_and_goes_once_each(caplog):
    changes = []

    async def story():
        async with playing(walk()) as reader:
            host, port = reader.address
            async with listening((host, port), lambda *change: changes.append(change)) as portal:
                await until(lambda: portal.connected, "the portal is connected")
                await reader.stop()
                await until(lambda: not portal.connected, "the portal notices the reader's end")
                await asyncio.sleep(0.3)  # several tries in vain, of which nothing is to be said
                async with playing(walk(), port=port):
                    await until(lambda: portal.connected, "the portal is connected again")
                    assert portal.reconnects == 1
                    await until(lambda: len(caplog.records) >= 3, "the portal says that it is back")
                    # This reader's own end, a moment later, may be noticed before the portal's.
                    return [record.getMessage().partition(" after")[0] for record in caplog.records]

    with caplog.at_level(logging.INFO, "edge"):
        lines = run(story())
    assert changes[:3] == [("dock", True), ("dock", False), ("dock", True)]
    assert lines[0] == "portal dock is connected"
    assert lines[1].startswith("portal dock is gone: the reader ")
    assert lines[2] == "portal dock is back"
    assert len(lines) == 3


def test_leaving_stops_the_readers_inventory_and_ends_the_thread():
    async def story():
        async with playing(walk(4000), pace=1.0) as reader:
            async with listening(reader.address) as portal:
                await portal.reads(timeout_s=10.0)
                assert reader.inventory.active is not None
            assert reader.inventory.active is None
            assert not [thread for thread in threading.enumerate() if thread.name.startswith("sllurp")]

    run(story())


def test_reads_that_nobody_takes_are_shed_and_the_newest_stay():
    seen = walk(500)

    async def story():
        async with playing(seen) as reader, listening(reader.address, queue_reads=100) as portal:
            await reader.finished.wait()
            return await portal.reads(), portal.shed

    reads, shed = run(story())
    assert seen_by(reads) == played(seen[-100:])
    assert shed == 400


def test_a_wait_for_reads_that_do_not_come_ends_in_time():
    async def story():
        async with playing([]) as reader, listening(reader.address) as portal:
            return await portal.reads(timeout_s=0.01)

    assert run(story()) == []


def test_tags_of_wrong_length_and_foreign_memory_arrive_or_are_counted():
    epcs = ["30340A64C0DEC0DE00000001", "", "E2801160600002061234", "ABC", "30340A", "F" * 124, "E280" * 4]
    seen = [Sighting(number * 1000, epc, 1, -60.0) for number, epc in enumerate(epcs)]

    async def story():
        async with playing(seen) as reader, listening(reader.address) as portal:
            return await all_reads(portal, reader), portal.counters

    reads, counters = run(story())
    assert [read.epc for read in reads] == [epcs[0], epcs[2], epcs[5], epcs[6]]
    assert (counters["empty_epc"], counters["wrong_epc"]) == (1, 2)
    assert counters["malformed_messages"] == 0


def test_antennas_that_the_portal_does_not_want_are_not_read():
    async def story():
        async with playing(walk(40)) as reader, listening(reader.address, antennas=(1, 3)) as portal:
            return await all_reads(portal, reader), reader.counters.not_asked_for

    reads, left_out = run(story())
    assert Counter(read.antenna for read in reads) == {1: 10, 3: 10}
    assert left_out == 20


def test_another_client_neither_disturbs_nor_steals_the_portals_reader():
    async def story():
        async with playing(walk(300), pace=5.0) as reader, listening(reader.address) as portal:
            heard = await portal.reads(timeout_s=10.0)
            stranger, writer = await asyncio.open_connection(*reader.address)
            (told,) = FrameSplitter().feed(await stranger.read())
            writer.close()
            await writer.wait_closed()
            heard += await all_reads(portal, reader)
            return told, heard, portal.reconnects

    told, heard, reconnects = run(story())
    assert decode(told).msgdict["READER_EVENT_NOTIFICATION"]["ReaderEventNotificationData"][
        "ConnectionAttemptEvent"
    ] == {"Status": "Failed (a Client initiated connection already exists)"}
    assert (len(heard), reconnects) == (300, 0)


def test_at_the_gate_time_goes_on_by_the_readers_clock_and_waits_a_little_for_a_lost_reader():
    async def story():
        async with playing(walk(20), pace=1.0) as reader:
            now_s = 0.0
            async with listening(reader.address) as portal:
                reads = await all_reads(portal, reader)
                assert 0 <= portal.clock_us() - reads[-1].seen_at_us < 60_000_000
                started_s = time.monotonic()
                portal._monotonic = lambda: started_s + now_s
                reader.lose_client()
                await until(lambda: not portal.connected, "the portal notices")
                at_loss_us = portal.clock_us()
                now_s = AWAY_GRACE_S
                in_time_us = portal.clock_us()
                now_s = AWAY_GRACE_S + 5.0
                return in_time_us - at_loss_us, portal.clock_us() - at_loss_us

    waited_us, went_on_us = run(story())
    assert abs(waited_us) < 100_000
    assert abs(went_on_us - 5_000_000) < 100_000


# ── the faults of sllurp, bare and behind the adapter ─────────────────────────────────────────────


@contextmanager
def bare_sllurp(address, **config):
    """sllurp as its own documentation uses it, with its tag reports collected."""
    client = LLRPReaderClient(*address, LLRPReaderConfig({"antennas": [1, 2, 3, 4], **config}))
    client.heard = []
    client.add_tag_report_callback(lambda _, tags: client.heard.extend(tags))
    client.gone = []
    client.add_disconnected_callback(client.gone.append)
    client.connect()
    thread = client._socket_thread
    try:
        yield client, thread
    finally:
        client.hard_disconnect()
        thread.join(5.0)


async def comes_back(portal, reader, before):
    """The portal is connected again, and hears all that is left."""
    await until(lambda: portal.connections > before, "the portal is connected again")
    return await all_reads(portal, reader)


def test_bare_sllurp_prepends_half_a_message_to_the_next_connection_and_never_starts_again():
    async def story():
        async with playing([]) as reader:
            with bare_sllurp(reader.address, reconnect=True) as (client, thread):
                await until(lambda: client.llrp.state == INVENTORYING, "an inventory")
                writer = messages.TagReportWriter(1, messages.ReportContent())
                report = messages.ro_access_report(1, [writer.write(one, 0) for one in walk(100)])
                await reader.send_raw(report[: len(report) // 2])
                reader.lose_client()
                await until(lambda: reader.counters.clients == 2, "sllurp reconnects")
                await asyncio.sleep(0.5)
                return client.llrp.state, thread.is_alive(), client.gone

    state, is_alive, gone = run(story())
    assert state == LLRPReaderState.STATE_DISCONNECTED
    assert (is_alive, gone) == (True, [])


def test_a_message_cut_by_the_end_of_the_connection_costs_nothing():
    seen = walk(300)

    async def story():
        async with playing(seen, pace=2.0) as reader, listening(reader.address) as portal:
            heard = await portal.reads(timeout_s=10.0)
            reader.cut_mid_message()
            return heard + await comes_back(portal, reader, 1), portal.counters

    heard, counters = run(story())
    # What was sent before the loss comes again with the stamps it had; nothing is missing.
    assert {read.seen_at_us - heard[0].seen_at_us for read in heard} == {one.at_us for one in seen}
    assert counters["malformed_messages"] == 0


def test_bare_sllurp_dies_of_a_field_cut_short_without_telling_anyone():
    async def story():
        async with playing(walk(4000), pace=1.0) as reader:
            with bare_sllurp(reader.address) as (client, thread):
                await reader.wait_for_client()
                await until(lambda: client.llrp.state == INVENTORYING, "an inventory")
                await reader.send_raw(messages.report_cut_short())
                await until(lambda: not thread.is_alive(), "the thread ends")
                return client.gone

    assert run(story()) == []


def test_a_field_cut_short_costs_its_own_message_only():
    seen = walk(200)

    async def story():
        async with playing(seen, pace=4.0) as reader, listening(reader.address) as portal:
            heard = await portal.reads(timeout_s=10.0)
            await reader.send_raw(messages.report_cut_short())
            heard += await all_reads(portal, reader)
            return heard, portal.counters

    heard, counters = run(story())
    assert seen_by(heard) == played(seen)
    assert (counters["malformed_messages"], counters["reconnects"]) == (1, 0)


def test_bare_sllurp_drops_what_follows_a_message_of_unknown_type():
    async def story():
        async with playing([]) as reader:
            with bare_sllurp(reader.address) as (client, _):
                await until(lambda: client.llrp.state == INVENTORYING, "an inventory")
                writer = messages.TagReportWriter(1, messages.ReportContent())
                report = messages.ro_access_report(1, [writer.write(walk(1)[0], 0)])
                await reader.send_raw(report + messages.message_of_no_known_type() + report + report)
                await reader.send_raw(report)
                await asyncio.sleep(0.3)
                return len(client.heard)

    assert run(story()) < 4


def test_a_message_of_unknown_type_costs_nothing_else(caplog):
    async def story():
        async with playing([]) as reader, listening(reader.address) as portal:
            await until(lambda: portal.connected, "the portal is connected")
            writer = messages.TagReportWriter(1, messages.ReportContent())
            report = messages.ro_access_report(1, [writer.write(walk(1)[0], reader.clock_us())])
            await reader.send_raw(report + messages.message_of_no_known_type() + report + report)
            await until(lambda: portal.counters["reads"] == 3, "three reads")
            return portal.counters

    with caplog.at_level(logging.WARNING):
        counters = run(story())
    assert (counters["unknown_messages"], counters["malformed_messages"], counters["reconnects"]) == (1, 0, 0)
    assert "a message is left out" in caplog.text


def test_bare_sllurp_takes_silence_for_a_quiet_reader():
    async def story():
        async with playing(walk(4000), pace=1.0) as reader:
            with bare_sllurp(reader.address, keepalive_interval=100, report_every_n_tags=1) as (client, thread):
                await until(lambda: client.heard, "reads")
                reader.go_silent()
                await asyncio.sleep(0.6)  # six keepalive intervals
                return client.is_alive(), client.gone, thread.is_alive()

    assert run(story()) == (True, [], True)


def test_a_silent_reader_is_gone_after_two_and_a_half_keepalives_and_found_again(caplog):
    seen = walk(300)

    async def story():
        async with playing(seen, pace=2.0) as reader, listening(reader.address, keepalive_s=0.2) as portal:
            heard = await portal.reads(timeout_s=10.0)
            reader.go_silent()
            return heard + await comes_back(portal, reader, 1)

    with caplog.at_level(logging.WARNING, "edge"):
        heard = run(story())
    assert "expected a keepalive every 0.2 s, heard nothing for 0.5 s" in caplog.text
    assert {read.seen_at_us - heard[0].seen_at_us for read in heard} >= {one.at_us for one in seen}


def test_a_reader_that_says_nothing_but_keepalives_stays_connected():
    async def story():
        async with playing([]) as reader, listening(reader.address, keepalive_s=0.4) as portal:
            await until(lambda: reader.counters.keepalives_answered >= 5, "five keepalives")
            return portal.connected, portal.reconnects, reader.counters.clients

    assert run(story()) == (True, 0, 1)


def test_bare_sllurp_waits_a_minute_between_tries():
    client = LLRPReaderClient("127.0.0.1", 1, LLRPReaderConfig({"reconnect": True, "reconnect_retries": 2}))

    def nobody_answers():
        raise ConnectionRefusedError

    client._connect_socket = nobody_answers
    waits = []
    client.disconnect_requested.wait = lambda delay_s: waits.append(delay_s)
    assert client.on_lost_connection()
    assert waits == [60]


def test_a_length_that_cannot_be_ends_the_connection_at_once(caplog):
    async def story():
        async with playing(walk(4000), pace=1.0) as reader, listening(reader.address, keepalive_s=60) as portal:
            await portal.reads(timeout_s=10.0)
            await reader.send_raw(messages.message_without_end())
            # Long before sixty seconds of a keepalive have passed, let alone 2.5 of them.
            await until(lambda: portal.connections == 2, "the portal is connected again")

    with caplog.at_level(logging.WARNING, "edge"):
        run(story())
    assert "portal dock is gone: the stream cannot be followed, expected a message of 10 to" in caplog.text


def test_a_reader_that_refuses_is_asked_again(caplog):
    async def story():
        async with playing(walk()) as reader:
            reader.refuse_next(2)
            async with listening(reader.address) as portal:
                heard = await all_reads(portal, reader)
            return len(heard), reader.counters.turned_away

    with caplog.at_level(logging.WARNING, "edge"):
        assert run(story()) == (40, 2)
    assert "portal dock is gone: the reader refuses: Failed (any reason other than" in caplog.text


def test_a_reader_that_answers_late_is_waited_for():
    async def story():
        async with playing(walk()) as reader:
            reader.answer_late(0.1)
            async with listening(reader.address, keepalive_s=5) as portal:
                return len(await all_reads(portal, reader)), portal.reconnects

    assert run(story()) == (40, 0)


def test_a_reader_that_never_gets_to_an_inventory_is_given_up_with_how_far_it_got(caplog, monkeypatch):
    monkeypatch.setattr("edge.devices.portal.HANDSHAKE_TIMEOUT_S", 0.2)

    async def story():
        async with playing(walk()) as reader:
            reader.answer_late(30.0)
            async with listening(reader.address) as portal:
                await until(lambda: "is gone" in caplog.text, "the portal gives up")
                reader.answer_late(0.0)
                await until(lambda: portal.connected, "the portal is connected")

    with caplog.at_level(logging.WARNING, "edge"):
        run(story())
    assert (
        "expected a running inventory within 0.2 s, got no further than STATE_SENT_GET_CAPABILITIES" in caplog.text
    )


def test_a_reader_without_the_vendors_extension_is_named_as_the_reason(caplog):
    async def story():
        async with playing(walk()) as reader:
            refused = messages.error_message(1, messages.StatusCode.UNSUPPORTED_MESSAGE, "no such vendor")
            original = messages.impinj_extensions_enabled
            messages.impinj_extensions_enabled = lambda _: refused
            try:
                async with listening(reader.address, impinj=True):
                    await until(lambda: "is gone" in caplog.text, "the portal gives up")
            finally:
                messages.impinj_extensions_enabled = original

    with caplog.at_level(logging.WARNING, "edge"):
        run(story())
    assert "the reader reports an error, UnsupportedMessage no such vendor" in caplog.text
    assert "the conversation broke at ERROR_MESSAGE" in caplog.text


def test_an_antenna_that_the_reader_does_not_have_is_named_as_the_reason(caplog):
    async def story():
        async with playing(walk()) as reader, listening(reader.address, antennas=(1, 7)):
            await until(lambda: "is gone" in caplog.text, "the portal gives up")

    with caplog.at_level(logging.WARNING, "edge"):
        run(story())
    assert "Invalid antenna set specified: requested=1,7, available=1,2,3,4" in caplog.text


def test_a_portal_can_be_stopped_while_nobody_answers():
    async def story():
        async with playing([]) as reader:
            address = reader.address
            await reader.stop()
            async with listening(address) as portal:
                await asyncio.sleep(0.05)
                return portal.connected

    assert run(story()) is False


# ── frames of real readers ────────────────────────────────────────────────────────────────────────


@pytest.mark.shared
def test_every_message_of_a_captured_session_is_decoded_or_refused():
    found = FrameSplitter().feed(shared("llrp/dx101/dx101_a.bin").read_bytes())
    outcomes = Counter()
    for whole in found:
        try:
            decode(whole)
            outcomes["decoded"] += 1
        except UnreadableMessage as unreadable:
            outcomes["unknown" if unreadable.is_unknown else "malformed"] += 1
    # The unknown ones are the client's half, which sllurp writes but does not read.
    clients = sum(read_frame(whole).type in messages.RESPONSE_TO for whole in found)
    assert outcomes == {"decoded": 934 - clients, "unknown": clients}


@pytest.mark.shared
def test_a_portal_survives_a_reader_that_speaks_a_whole_captured_session_to_it():
    capture = shared("llrp/dx101/dx101_a.bin").read_bytes()
    sessions = 0

    async def speak(_, writer):
        nonlocal sessions
        sessions += 1
        writer.write(capture)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async def story():
        server = await asyncio.start_server(speak, "127.0.0.1", 0)
        async with server, listening(server.sockets[0].getsockname()) as portal:
            await until(lambda: sessions >= 3, "the portal tries again")
            return portal.counters

    counters = run(story())
    assert counters["malformed_messages"] == 0


def test_any_response_cut_anywhere_is_refused_by_the_decoder_and_nothing_else():
    spoken = [
        messages.capabilities(1, Device()),
        messages.config(messages.GetConfig(1, 0, 0), Device(), messages.Config()),
        messages.response(MessageType.ADD_ROSPEC_RESPONSE, 1),
    ]
    for whole in spoken:
        for cut in range(10, len(whole), 7):
            header = whole[:2] + cut.to_bytes(4, "big") + whole[6:10]
            # Whatever else it raised would end sllurp's thread; some cuts leave a message that can be read.
            with suppress(UnreadableMessage):
                decode(header + whole[10:cut])
