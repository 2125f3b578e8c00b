"""Photo-eyes wired to a reader, over real TCP: in their place between the reads, through every loss and fault."""

import asyncio
import itertools
import logging

import pytest

from edge.devices.photo_eyes import PhotoEye
from edge.devices.portal import AWAY_GRACE_S, EYES_QUESTION_ID
from edge.readings import EyeChange, TagRead
from firmware_bridges.virtual_reader import messages
from firmware_bridges.virtual_reader.messages import Config, Device, GetConfig
from firmware_bridges.virtual_reader.scenario import find_scenario, happenings, load_scenario, made_up_goods
from firmware_bridges.virtual_reader.sighting import InputChange
from protocols.llrp import MessageType, StatusCode
from tests.llrp_makers import all_reads, listening, playing, run, until, walk

DOOR = PhotoEye(1)


def with_eye(seen, *changes):
    """A walk with changed inputs between: (milliseconds, port, level) each."""
    inputs = [InputChange(at_ms * 1000, port, is_high) for at_ms, port, is_high in changes]
    return sorted([*seen, *inputs], key=lambda one: one.at_us)


def told(heard, first_us=None):
    """What was heard, with times as distances to the first read."""
    first_us = first_us or next(one.seen_at_us for one in heard if isinstance(one, TagRead))
    return [
        (one.seen_at_us - first_us, one.port, one.is_broken)
        if isinstance(one, EyeChange)
        else (one.seen_at_us - first_us, one.epc)
        for one in heard
    ]


def happened(played):
    return [
        (one.at_us, one.port, one.is_high) if isinstance(one, InputChange) else (one.at_us, one.epc)
        for one in played
    ]


def without_the_states_at_connect(heard):
    """The walk opens with a read; what stands before it is how the eyes stood when the portal came."""
    first = next(place for place, one in enumerate(heard) if isinstance(one, TagRead))
    return heard[:first], heard[first:]


def test_eye_changes_arrive_between_the_reads_with_their_own_times():
    played = with_eye(walk(60), (95, 1, True), (305, 1, False), (306, 1, True), (590, 1, False))

    async def story():
        async with playing(played, start_after_s=0.3) as reader, listening(reader.address, eyes=(DOOR,)) as portal:
            return await all_reads(portal, reader), portal.counters, reader.counters

    heard, counters, readers = run(story())
    at_connect, heard = without_the_states_at_connect(heard)
    assert [(change.port, change.is_broken) for change in at_connect] == [(1, False)]
    assert told(heard) == happened(played)
    assert (counters["eye_changes"], counters["reads"]) == (5, 60)
    assert (counters["shed"], counters["unknown_eye"], counters["malformed_messages"]) == (0, 0, 0)
    assert (readers.input_events, readers.input_events_not_asked_for) == (4, 0)


def test_the_scenario_that_ships_tells_of_each_passage_at_the_door():
    scenario = load_scenario(find_scenario("truck_unloading"))
    played = list(happenings(scenario, made_up_goods(scenario)))

    async def story():
        async with playing(played, start_after_s=0.3) as reader, listening(reader.address, eyes=(DOOR,)) as portal:
            return await all_reads(portal, reader)

    _, heard = without_the_states_at_connect(run(story()))
    first_us = next(one.at_us for one in played if not isinstance(one, InputChange))
    assert told(heard) == [(at_us - first_us, *rest) for at_us, *rest in happened(played)]


def test_a_portal_without_eyes_asks_for_none_and_is_told_none():
    played = with_eye(walk(20), (55, 1, True))

    async def story():
        async with playing(played) as reader, listening(reader.address) as portal:
            return await all_reads(portal, reader), portal.counters, reader.counters, reader.config

    heard, counters, readers, config = run(story())
    assert len(heard) == 20
    assert (counters["eye_changes"], counters["unknown_eye"]) == (0, 0)
    assert (readers.input_events, readers.input_events_not_asked_for) == (0, 1)
    assert config.inputs == frozenset()


@pytest.mark.parametrize(("broken_when", "is_broken"), [("high", True), ("low", False)])
def test_a_gate_starts_knowing_how_its_eyes_stand(broken_when, is_broken):
    async def story():
        async with playing([]) as reader:
            reader.inputs[2] = True
            async with listening(reader.address, eyes=(PhotoEye(2, broken_when),)) as portal:
                (change,) = await portal.reads(timeout_s=10.0)
                return change, portal.clock_us()

    change, now_us = run(story())
    assert (change.port, change.is_broken) == (2, is_broken)
    assert abs(now_us - change.seen_at_us) < 10_000_000


def test_what_was_cut_off_comes_again_and_each_eye_ends_as_it_stands():
    played = with_eye(walk(300), (505, 1, True), (1205, 1, False), (2005, 1, True), (2905, 1, False))

    async def story():
        async with (
            playing(played, pace=2.0, start_after_s=0.2) as reader,
            listening(reader.address, eyes=(DOOR,)) as portal,
        ):
            heard = []
            while not any(isinstance(one, EyeChange) and one.is_broken for one in heard):
                heard += await portal.reads(timeout_s=10.0)
            reader.cut_mid_message()
            await until(lambda: portal.connections == 2, "the portal is connected again")
            return heard + await all_reads(portal, reader), portal.counters

    heard, counters = run(story())
    _, heard = without_the_states_at_connect(heard)
    everything = told(heard)
    assert {one for one in everything if len(one) == 2} == {one for one in happened(played) if len(one) == 2}
    # Reads come twice; of the eye only what is a change is told, and nothing of it is missing.
    changes = [one for one in heard if isinstance(one, EyeChange)]
    assert all(before.is_broken is not after.is_broken for before, after in itertools.pairwise(changes))
    times = {one[0] for one in everything if len(one) == 3}
    assert {505_000, 1_205_000, 2_005_000, 2_905_000} <= times
    assert changes[-1].is_broken is False
    assert counters["reconnects"] == 1


def test_an_eye_that_changed_while_nobody_listened_is_known_on_return():
    played = with_eye(walk(5), (45, 1, True))

    async def story():
        async with (
            playing(played, while_disconnected="go_on", start_after_s=0.1) as reader,
            listening(reader.address, eyes=(DOOR,)) as portal,
        ):
            heard = await all_reads(portal, reader)
            reader.lose_client()
            reader.inputs[1] = False
            await until(lambda: portal.connections == 2, "the portal is connected again")
            return heard, await portal.reads(timeout_s=10.0)

    heard, after = run(story())
    assert isinstance(heard[-1], EyeChange)
    assert heard[-1].is_broken
    assert [(one.port, one.is_broken) for one in after] == [(1, False)]


@pytest.mark.parametrize(("away_s", "passes_s"), [(4.0, 0.0), (AWAY_GRACE_S + 5.0, 5.0)])
def test_how_an_eye_stands_on_return_is_dated_before_what_the_reader_kept_through_a_short_absence(
    away_s, passes_s
):
    async def story():
        async with (
            playing(with_eye(walk(5), (45, 1, True)), while_disconnected="go_on", start_after_s=0.1) as reader,
            listening(reader.address, eyes=(DOOR,)) as portal,
        ):
            heard = await all_reads(portal, reader)
            reader.lose_client()
            await until(lambda: not portal.connected, "the portal notices")
            monotonic = portal._monotonic
            portal._monotonic = lambda: monotonic() + away_s
            reader.inputs[1] = False
            await until(lambda: portal.connections == 2, "the portal is connected again")
            return heard, await portal.reads(timeout_s=10.0)

    heard, (change,) = run(story())
    assert not change.is_broken
    assert abs(change.seen_at_us - heard[-1].seen_at_us - passes_s * 1e6) < 2_000_000


def test_an_eye_that_flickers_is_heard_change_by_change_and_costs_no_read():
    flicker = [(100 + at, 1, at % 2 == 0) for at in range(200)]  # a thousand times a second
    played = with_eye(walk(60), *flicker)

    async def story():
        async with playing(played, start_after_s=0.3) as reader, listening(reader.address, eyes=(DOOR,)) as portal:
            return await all_reads(portal, reader), portal.counters

    heard, counters = run(story())
    at_connect, heard = without_the_states_at_connect(heard)
    assert len([one for one in heard if isinstance(one, TagRead)]) == 60
    levels = [one.is_broken for one in heard if isinstance(one, EyeChange)]
    assert levels == [True, False] * 100
    assert counters["eye_changes"] == 200 + len(at_connect)


def test_when_nobody_takes_them_reads_are_shed_and_every_change_of_the_eye_is_kept():
    played = with_eye(walk(400), *[(at * 100 + 5, 1, at % 2 == 0) for at in range(40)])

    async def story():
        async with (
            playing(played) as reader,
            listening(reader.address, eyes=(DOOR,), queue_reads=50) as portal,
        ):
            await reader.finished.wait()
            return await portal.reads(timeout_s=1.0), portal.counters

    heard, counters = run(story())
    assert counters["shed"] == 350
    assert counters["shed_eye_changes"] == 0
    assert len([one for one in heard if isinstance(one, TagRead)]) == 50
    assert [one.is_broken for one in heard if isinstance(one, EyeChange)][-40:] == [True, False] * 20
    # Of the last 50 reads and the changes among them each stands in its place.
    tail = [one.seen_at_us for one in heard if one.seen_at_us >= heard[-1].seen_at_us - 400_000]
    assert tail == sorted(tail)


def test_an_input_that_nobody_named_is_counted_told_once_and_harmless(caplog):
    async def story():
        async with playing([]) as reader, listening(reader.address, eyes=(DOOR,)) as portal:
            at_connect = await portal.reads(timeout_s=10.0)
            for is_high in (True, False, True):
                await reader.send_raw(messages.gpi_event(1, reader.clock_us(), 3, is_high))
            await reader.send_raw(messages.gpi_event(1, reader.clock_us(), 1, is_high=True))
            return at_connect, await portal.reads(timeout_s=10.0), portal.counters

    with caplog.at_level(logging.WARNING, "edge"):
        at_connect, after, counters = run(story())
    assert [one.is_broken for one in (*at_connect, *after)] == [False, True]
    assert counters["unknown_eye"] == 3
    lines = [record.getMessage() for record in caplog.records if "unknown_eye" in record.getMessage()]
    assert lines == ["portal dock: unknown_eye, more like it are only counted: expected input [1], got 3"]


def test_an_input_that_the_reader_does_not_have_is_named_as_the_reason(caplog):
    async def story():
        async with playing(walk()) as reader, listening(reader.address, eyes=(PhotoEye(7),)):
            await until(lambda: "is gone" in caplog.text, "the portal gives up")

    with caplog.at_level(logging.WARNING, "edge"):
        run(story())
    assert "expected inputs 1 to 4, got [7]" in caplog.text


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            messages.refusal(
                MessageType.GET_READER_CONFIG_RESPONSE, EYES_QUESTION_ID, StatusCode.UNSUPPORTED_PARAMETER, "none"
            ),
            "the reader does not say how its inputs stand, UnsupportedParameter none",
        ),
        (
            messages.error_message(EYES_QUESTION_ID, StatusCode.UNSUPPORTED_MESSAGE, "none"),
            "the reader reports an error, UnsupportedMessage none",
        ),
        (
            # An input that is off: the reader does not know.
            messages.config(GetConfig(EYES_QUESTION_ID, 9, 0), Device(), Config(), {1: True}),
            "unknown_eye_state, more like it are only counted: expected low or high (0, 1) of input 1, got 2",
        ),
    ],
)
def test_a_reader_that_does_not_say_how_its_inputs_stand_is_heard_all_the_same(caplog, monkeypatch, answer, said):
    original = messages.config

    def config(command, *rest):
        return answer if command.message_id == EYES_QUESTION_ID else original(command, *rest)

    monkeypatch.setattr(messages, "config", config)

    async def story():
        played = with_eye(walk(40), (205, 1, True))
        async with playing(played, start_after_s=0.3) as reader, listening(reader.address, eyes=(DOOR,)) as portal:
            return await all_reads(portal, reader), portal.counters

    with caplog.at_level(logging.WARNING, "edge"):
        heard, counters = run(story())
    assert (len(heard), counters["eye_changes"], counters["reconnects"]) == (41, 1, 0)
    assert said in caplog.text


def test_an_event_before_the_first_word_of_a_connection_does_no_harm():
    """A reader keeps its configuration, and may tell of an input before it greets."""
    first_words = []

    async def greet_late(reader, writer):
        first_words.append(1)
        writer.write(messages.gpi_event(1, 1, 1, is_high=True))
        writer.write(messages.connection_attempt(2, 1, messages.ConnectionStatus.SUCCESS))
        await reader.read(100)
        writer.close()

    async def story():
        server = await asyncio.start_server(greet_late, "127.0.0.1", 0)
        async with server, listening(server.sockets[0].getsockname(), eyes=(DOOR,)) as portal:
            (change,) = await portal.reads(timeout_s=10.0)
            await until(lambda: first_words, "a connection")
            return change, portal.counters

    change, counters = run(story())
    assert (change.port, change.is_broken) == (1, True)
    assert counters["malformed_messages"] == 0
