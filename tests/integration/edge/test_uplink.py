"""The uplink against a real broker, with a cloud that loses, forgets and contradicts."""

import asyncio
import gc
import shutil
import ssl
import subprocess
import warnings
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from edge.delivery import Timing
from edge.devices.stay_connected import BackOff, DeviceLost, stay_connected
from edge.heartbeat import Heartbeat
from edge.outbox.on_thread import OutboxOnThread
from edge.settings import BrokerSettings
from edge.uplink import WINDOW_MESSAGES, BrokerLost, Uplink
from protocols.wire.applied import EpochApplied
from protocols.wire.readings import GateReadings
from tests.conftest import RunningBroker
from tests.fake_cloud import FakeCloud
from tests.outboxes import DEADLINE_S, observations, see

# The real waits are 10 s to 5 min; what is tried here is what happens then, not how long it takes.
QUICK = Timing(gather_s=0.05, resend_first_s=0.4, resend_longest_s=1.6, again_every_s=0.2, again_wait_s=0.1)
PATIENT = replace(QUICK, resend_first_s=3600.0, resend_longest_s=3600.0)
BACK_OFF = BackOff(wait_s=0.05, first_s=0.05, longest_s=0.2)


@dataclass
class Gateway:
    """An outbox and its uplink, running."""

    outbox: OutboxOnThread
    uplink: Uplink
    heartbeat: Heartbeat

    async def append(self, count: int, start: int = 1) -> list[int]:
        seqs = await self.outbox.append(observations(count, start))
        self.uplink.appended()
        return seqs


@pytest.fixture
def broker_settings(tmp_path: Path) -> Any:
    def settings(broker: RunningBroker) -> BrokerSettings:
        password_file = tmp_path / "gw-1.password"
        password_file.write_text(broker.users.gateway_password + "\n")
        return BrokerSettings(
            host=broker.host, port=broker.port, user=broker.users.gateway, password_file=password_file
        )

    return settings


@asynccontextmanager
async def gateway(
    broker: RunningBroker, settings: BrokerSettings, path: Path, timing: Timing = QUICK
) -> AsyncIterator[Gateway]:
    """A gateway that stays connected, and leaves politely at the end."""
    outbox = await OutboxOnThread.open(path)
    heartbeat = Heartbeat(outbox, "test")
    uplink = Uplink(broker.users.address, settings, outbox, heartbeat, timing=timing)

    async def serve(connected: Any) -> None:
        try:
            await uplink.serve(connected)
        except BrokerLost as lost:
            raise DeviceLost(str(lost)) from lost

    running = asyncio.create_task(stay_connected("broker", serve, back_off=BACK_OFF))
    try:
        yield Gateway(outbox, uplink, heartbeat)
    finally:
        running.cancel()
        await asyncio.wait([running], timeout=DEADLINE_S)
        await outbox.close()
        assert running.cancelled()


def run(story: Coroutine[Any, Any, None]) -> None:
    async def with_deadline() -> None:
        async with asyncio.timeout(3 * DEADLINE_S):
            await story

    asyncio.run(with_deadline())


def test_movements_arrive_in_order_once_and_the_gateway_hears_of_it(
    any_broker: RunningBroker, broker_settings: Any, tmp_path: Path
) -> None:
    async def story() -> None:
        cloud = FakeCloud(any_broker.users.address)
        async with (
            cloud.joined(any_broker),
            gateway(any_broker, broker_settings(any_broker), tmp_path / "o.db") as gate,
        ):
            for start in (1, 4, 5):
                await gate.append(3 if start == 1 else 1, start)
            await gate.append(1000, 6)
            await gate.uplink.delivered()
            epoch = gate.outbox.epoch
            assert cloud.applied == {epoch: 1005}
            assert [seq for _, seq in cloud.ids] == list(range(1, 1006))
            (state,) = await gate.outbox.epochs()
            assert (state.applied, state.head) == (1005, f"{1005:x}")
            assert all(len(payload) <= 128 * 1024 for payload in cloud.payloads)
            assert all(e.last - e.first < 500 and e.end is None and e.oldest == 1 for e in cloud.envelopes)
            assert gate.uplink.counters["messages_again"] == 0
            # What it was told of the cloud's hash chain it says again: it is a witness.
            gate.uplink.status_changed()
            await cloud.until("a status that bears witness", lambda c: c.statuses[-1].epochs[-1].applied == 1005)
            said = cloud.statuses[-1]
            assert (said.incarnation, said.epochs[-1].head) == (cloud.incarnation, f"{1005:x}")

    run(story())


def test_birth_names_the_epochs_held_and_a_clean_stop_says_offline(
    any_broker: RunningBroker, broker_settings: Any, tmp_path: Path
) -> None:
    async def story() -> None:
        cloud = FakeCloud(any_broker.users.address, answers=False)
        settings, path = broker_settings(any_broker), tmp_path / "o.db"
        async with cloud.joined(any_broker):
            async with gateway(any_broker, settings, path, PATIENT) as gate:
                await gate.append(3)
                earlier = gate.outbox.epoch
                await cloud.until("delivery", lambda c: c.applied == {earlier: 3})
            await cloud.until("good-bye", lambda c: not c.statuses[-1].online)
            assert cloud.statuses[-1].epochs == []
            async with gateway(any_broker, settings, path, PATIENT) as gate:
                await cloud.until("birth", lambda c: c.statuses[-1].online)
                birth = cloud.statuses[-1]
                assert [(e.epoch, e.last, e.oldest, e.end) for e in birth.epochs] == [
                    (earlier, 3, 1, 3),
                    (gate.outbox.epoch, 0, 1, None),
                ]
                assert birth.software == "test"
                assert birth.oldest_unapplied_at_us is not None

    run(story())


def test_a_gap_is_filled_with_the_same_bytes(broker: RunningBroker, broker_settings: Any, tmp_path: Path) -> None:
    async def story() -> None:
        cloud = FakeCloud(broker.users.address)
        lost: list[int] = []

        def loses_the_second(envelope: Any) -> bool:
            if envelope.first > 1 and not lost:
                lost.append(envelope.first)
                return True
            return False

        cloud.loses = loses_the_second
        async with (
            cloud.joined(broker),
            gateway(broker, broker_settings(broker), tmp_path / "o.db", PATIENT) as gate,
        ):
            await gate.append(2000)
            await gate.uplink.delivered()
            assert cloud.applied == {gate.outbox.epoch: 2000}
            first_lost, *came_again = [
                payload
                for payload, envelope in zip(cloud.payloads, cloud.envelopes, strict=True)
                if envelope.first == lost[0]
            ]
            assert came_again
            assert set(came_again) == {first_lost}

    run(story())


def test_when_every_answer_is_lost_only_the_first_message_is_sent_again(
    broker: RunningBroker, broker_settings: Any, tmp_path: Path
) -> None:
    async def story() -> None:
        cloud = FakeCloud(broker.users.address, answers=False)
        async with (
            cloud.joined(broker),
            gateway(broker, broker_settings(broker), tmp_path / "o.db") as gate,
        ):
            await gate.append(2000)
            await cloud.until("everything", lambda c: c.applied == {gate.outbox.epoch: 2000})
            messages = len({envelope.first for envelope in cloud.envelopes})
            assert messages > 3
            await cloud.until("three more", lambda c: len(c.envelopes) >= messages + 3)
            assert [envelope.first for envelope in cloud.envelopes[messages:]] == [1] * (
                len(cloud.envelopes) - messages
            )
            assert len({payload for payload in cloud.payloads if b'"first":1,' in payload[:120]}) == 1

            cloud.answers = True
            await gate.uplink.delivered()
            assert gate.outbox.last == 2000

    run(story())


def test_a_cloud_that_asks_for_the_next_one_again_gets_it(
    broker: RunningBroker, broker_settings: Any, tmp_path: Path
) -> None:
    """A worker died with our messages in memory; the next one says how far the books are."""

    async def story() -> None:
        cloud = FakeCloud(broker.users.address, loses=lambda _: True)
        async with (
            cloud.joined(broker),
            gateway(broker, broker_settings(broker), tmp_path / "o.db", PATIENT) as gate,
        ):
            await gate.append(10)
            await cloud.until("a message", lambda c: len(c.envelopes) == 1)
            cloud.loses = lambda _: False
            await cloud.say()  # an `applied` that does not name the epoch asks as well
            await gate.uplink.delivered()
            assert cloud.applied == {gate.outbox.epoch: 10}

    run(story())


def test_a_restored_cloud_gets_everything_again(
    broker: RunningBroker, broker_settings: Any, tmp_path: Path
) -> None:
    async def story() -> None:
        cloud = FakeCloud(broker.users.address)
        async with (
            cloud.joined(broker),
            gateway(broker, broker_settings(broker), tmp_path / "o.db", PATIENT) as gate,
        ):
            await gate.append(700)
            await gate.uplink.delivered()
            epoch, before = gate.outbox.epoch, dict(cloud.ids)

            cloud.restored({epoch: 123})
            await cloud.say()
            await cloud.until("all again", lambda c: c.applied == {epoch: 700})
            assert cloud.ids == before

            cloud.restored({})  # to before this epoch began
            await cloud.say()
            await cloud.until("all again", lambda c: c.applied == {epoch: 700})
            assert cloud.ids == before
            await gate.uplink.delivered()

    run(story())


def test_an_applied_above_the_last_number_loses_nothing(
    broker: RunningBroker, broker_settings: Any, tmp_path: Path
) -> None:
    async def story() -> None:
        cloud = FakeCloud(broker.users.address)
        async with (
            cloud.joined(broker),
            gateway(broker, broker_settings(broker), tmp_path / "o.db") as gate,
        ):
            await gate.append(5)
            await gate.uplink.delivered()
            cloud.answers = False
            before = gate.outbox.epoch
            await gate.append(5, start=6)
            await cloud.say(EpochApplied(epoch=before, applied=1_000_000))
            await see("a new epoch", lambda: gate.outbox.epoch != before)
            assert gate.outbox.counters["alarms"] == 1
            await gate.append(3, start=11)
            cloud.answers = True
            await gate.uplink.delivered()
            assert cloud.applied == {before: 10, gate.outbox.epoch: 3}

    run(story())


def test_a_broker_that_was_wiped_and_restarted_loses_nothing(
    any_broker: RunningBroker, broker_settings: Any, tmp_path: Path
) -> None:
    async def story() -> None:
        path = tmp_path / "o.db"
        cloud = FakeCloud(any_broker.users.address)
        async with gateway(any_broker, broker_settings(any_broker), path, PATIENT) as gate:
            async with cloud.joined(any_broker):
                await gate.append(50)
                await gate.uplink.delivered()
            await asyncio.to_thread(any_broker.program.stop)
            await gate.append(2000, start=51)
            await asyncio.to_thread(any_broker.program.start)
            async with cloud.joined(any_broker):
                await cloud.say()
                await gate.uplink.delivered()
                assert cloud.applied == {gate.outbox.epoch: 2050}
                assert [seq for _, seq in cloud.ids] == list(range(1, 2051))
                await cloud.until("a new birth", lambda c: c.statuses[-1].online)

    run(story())


def test_an_earlier_epoch_is_delivered_to_its_end_under_its_own_numbers(
    any_broker: RunningBroker, broker_settings: Any, tmp_path: Path
) -> None:
    async def story() -> None:
        settings, path = broker_settings(any_broker), tmp_path / "o.db"
        outbox = await OutboxOnThread.open(path)  # a gateway without a network, and then killed
        await outbox.append(observations(1200))
        earlier = outbox.epoch
        await outbox.close()
        cloud = FakeCloud(any_broker.users.address)
        async with cloud.joined(any_broker), gateway(any_broker, settings, path) as gate:
            await gate.append(7, start=1201)
            await gate.uplink.delivered()
            assert cloud.applied == {earlier: 1200, gate.outbox.epoch: 7}
            assert {e.end for e in cloud.envelopes if e.epoch == earlier} == {1200}
            assert {e.end for e in cloud.envelopes if e.epoch == gate.outbox.epoch} == {None}

    run(story())


def test_a_stopped_epoch_waits_for_a_person_and_does_not_hold_up_the_next(
    broker: RunningBroker, broker_settings: Any, tmp_path: Path
) -> None:
    async def story() -> None:
        settings, path = broker_settings(broker), tmp_path / "o.db"
        outbox = await OutboxOnThread.open(path)
        await outbox.append(observations(100))
        earlier = outbox.epoch
        await outbox.close()
        cloud = FakeCloud(broker.users.address)
        cloud.applied = {earlier: 40}
        cloud.stopped = {earlier: "41 to 50 are missing"}
        async with cloud.joined(broker):
            await cloud.say()
            async with gateway(broker, settings, path) as gate:
                await see("the stop", lambda: gate.outbox._outbox.epochs()[0].stopped is not None)
                await gate.append(5)
                await gate.uplink.delivered()
                assert cloud.applied == {earlier: 40, gate.outbox.epoch: 5}
                cloud.applied[earlier] = 50
                cloud.stopped = {}
                sent = len(cloud.envelopes)
                await cloud.say()
                await cloud.until("the rest", lambda c: c.applied[earlier] == 100)
                assert min(e.first for e in cloud.envelopes[sent:]) == 51

    run(story())


def test_missing_numbers_are_told_by_the_oldest_number_still_held(
    broker: RunningBroker, broker_settings: Any, tmp_path: Path
) -> None:
    """Numbers 6 to 8 are gone from the disk: 1 to 5 arrive first, then the cloud stops the log."""

    async def story() -> None:
        path = tmp_path / "o.db"
        outbox = await OutboxOnThread.open(path)
        await outbox.append(observations(12))
        epoch = outbox.epoch
        connection = outbox._outbox._connection
        await outbox._do(lambda: connection.execute("DELETE FROM movements WHERE seq BETWEEN 6 AND 8"))
        await outbox.close()
        cloud = FakeCloud(broker.users.address)
        async with cloud.joined(broker), gateway(broker, broker_settings(broker), path) as gate:
            await cloud.until("the stop", lambda c: bool(c.stopped))
            assert cloud.stopped == {epoch: "6 to 8 are missing"}
            assert cloud.applied[epoch] == 5
            await gate.uplink.delivered()
            cloud.applied[epoch], cloud.stopped = 8, {}
            await cloud.say()
            await cloud.until("the rest", lambda c: c.applied[epoch] == 12)

    run(story())


def test_movements_gather_while_something_is_in_flight(
    broker: RunningBroker, broker_settings: Any, tmp_path: Path
) -> None:
    async def story() -> None:
        cloud = FakeCloud(broker.users.address, answers=False)
        timing = replace(PATIENT, gather_s=0.2)
        async with (
            cloud.joined(broker),
            gateway(broker, broker_settings(broker), tmp_path / "o.db", timing) as gate,
        ):
            await gate.append(1)
            await cloud.until("the first", lambda c: len(c.envelopes) == 1)
            for number in range(2, 32):
                await gate.append(1, start=number)
            await cloud.until("all", lambda c: c.applied == {gate.outbox.epoch: 31})
            assert (cloud.envelopes[0].first, cloud.envelopes[0].last) == (1, 1)
            assert len(cloud.envelopes) < 15

    run(story())


def test_no_more_than_forty_messages_are_on_their_way(
    broker: RunningBroker, broker_settings: Any, tmp_path: Path
) -> None:
    async def story() -> None:
        cloud = FakeCloud(broker.users.address, answers=False)
        async with (
            cloud.joined(broker),
            gateway(broker, broker_settings(broker), tmp_path / "o.db", PATIENT) as gate,
        ):
            for start in range(1, 24_000, 4_000):
                await gate.append(4_000, start=start)
            await cloud.until("forty messages", lambda c: len(c.envelopes) == WINDOW_MESSAGES)
            # A status that was asked for now comes after whatever was sent before it.
            said = len(cloud.statuses)
            gate.uplink.status_changed()
            await cloud.until("a status", lambda c: len(c.statuses) > said)
            assert len(cloud.envelopes) == WINDOW_MESSAGES
            assert max(len(payload) for payload in cloud.payloads) <= 128 * 1024
            cloud.answers = True
            await cloud.say()
            await gate.uplink.delivered()
            assert cloud.applied == {gate.outbox.epoch: 24_000}

    run(story())


def test_a_command_is_obeyed_once_and_an_older_one_never(
    broker: RunningBroker, broker_settings: Any, tmp_path: Path
) -> None:
    async def story() -> None:
        cloud = FakeCloud(broker.users.address)
        async with (
            cloud.joined(broker),
            gateway(broker, broker_settings(broker), tmp_path / "o.db") as gate,
        ):
            await cloud.command(3, heartbeat_s=1.0)
            await cloud.until(
                "obedience", lambda c: any(one.counters.get("command_version") == 3 for one in c.statuses)
            )
            assert gate.heartbeat.interval_s == 1.0
            beats = len(cloud.statuses)
            await cloud.until("two beats", lambda c: len(c.statuses) >= beats + 2)
            await cloud.command(2, heartbeat_s=500.0)
            await cloud.command(4, heartbeat_s=0.001)
            await cloud.until("the newest", lambda c: c.statuses[-1].counters["command_version"] == 4)
            assert gate.heartbeat.interval_s == 1.0

    run(story())


def test_unreadable_words_of_the_cloud_are_counted_and_change_nothing(
    broker: RunningBroker, broker_settings: Any, tmp_path: Path
) -> None:
    async def story() -> None:
        cloud = FakeCloud(broker.users.address)
        async with (
            cloud.joined(broker),
            gateway(broker, broker_settings(broker), tmp_path / "o.db") as gate,
        ):
            await gate.append(1)
            await gate.uplink.delivered()
            for junk in (
                b"\xff\xfe",
                b'{"schema":1}',
                b'{"schema":99,"incarnation":1,"sent_at_us":0,"epochs":[]}',
            ):
                await cloud._publish("applied", junk)
            await cloud._publish("command", b"[]")
            await cloud._publish("command", b"")
            await gate.append(1, start=2)
            await gate.uplink.delivered()
            assert gate.uplink.counters["unreadable"] == 4

    run(story())


def test_readings_arrive_when_there_is_a_connection_and_are_dropped_when_there_is_none(
    broker: RunningBroker, broker_settings: Any, tmp_path: Path
) -> None:
    summary = GateReadings(schema=1, gate="gate-1", from_us=0, to_us=1, reads=7, tags_total=0, tags=[])

    async def story() -> None:
        cloud = FakeCloud(broker.users.address)
        async with (
            cloud.joined(broker),
            gateway(broker, broker_settings(broker), tmp_path / "o.db") as gate,
        ):
            assert not gate.uplink.publish_readings(summary)
            await cloud.until("birth", lambda c: bool(c.statuses))
            assert gate.uplink.publish_readings(summary)
            await cloud.until("readings", lambda c: bool(c.summaries))
            assert cloud.summaries == [summary]
            assert gate.uplink.counters["readings_dropped"] == 1

    run(story())


def test_a_wrong_password_is_named_and_a_corrected_file_is_read_again(
    any_broker: RunningBroker, broker_settings: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        cloud = FakeCloud(any_broker.users.address)
        settings = broker_settings(any_broker)
        settings.password_file.write_text("wrong")
        async with cloud.joined(any_broker), gateway(any_broker, settings, tmp_path / "o.db") as gate:
            await gate.append(1)
            await see("a log line", lambda: "as gw-1" in caplog.text)
            assert cloud.envelopes == []
            settings.password_file.write_text(any_broker.users.gateway_password)
            await gate.uplink.delivered()

    run(story())


def test_a_missing_password_file_is_a_lost_broker_and_no_crash(
    broker: RunningBroker, broker_settings: Any, tmp_path: Path
) -> None:
    async def story() -> None:
        settings = broker_settings(broker)
        settings.password_file.unlink()
        outbox = await OutboxOnThread.open(tmp_path / "o.db")
        uplink = Uplink(broker.users.address, settings, outbox, Heartbeat(outbox, "test"))
        with pytest.raises(BrokerLost, match=r"gw-1\.password .* cannot be read"):
            await uplink.serve(lambda: None)
        await outbox.close()

    run(story())


def test_tls_with_the_named_authority_works_and_with_another_it_does_not(
    broker: RunningBroker, broker_settings: Any, tmp_path: Path
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here to make certificates with")
    for name in ("ours", "other"):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
             "-keyout", tmp_path / f"{name}.key", "-out", tmp_path / f"{name}.pem"],
            check=True, capture_output=True,
        )  # fmt: skip

    async def story() -> None:
        server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        server_side.load_cert_chain(tmp_path / "ours.pem", tmp_path / "ours.key")
        door = await asyncio.start_server(
            lambda reader, writer: _pass_on(reader, writer, broker), "127.0.0.1", 0, ssl=server_side
        )
        plain = broker_settings(broker)
        cloud = FakeCloud(broker.users.address)

        def through_the_door(ca_file: str) -> BrokerSettings:
            return BrokerSettings(
                host="127.0.0.1",
                port=door.sockets[0].getsockname()[1],
                user=plain.user,
                password_file=plain.password_file,
                ca_file=tmp_path / ca_file,
            )

        async with door, cloud.joined(broker):
            async with gateway(broker, through_the_door("ours.pem"), tmp_path / "o.db") as gate:
                await gate.append(3)
                await gate.uplink.delivered()
            outbox = await OutboxOnThread.open(tmp_path / "o.db")
            stranger = Uplink(
                broker.users.address, through_the_door("other.pem"), outbox, Heartbeat(outbox, "test")
            )
            with pytest.raises(BrokerLost, match="certificate verify failed"):
                await stranger.serve(lambda: None)
            await outbox.close()

    with warnings.catch_warnings():
        # paho forgets a socket whose handshake failed; it is closed when it is collected, with a warning.
        warnings.simplefilter("ignore", ResourceWarning)
        run(story())
        gc.collect()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, broker: RunningBroker) -> None:
    there_reader, there_writer = await asyncio.open_connection(broker.host, broker.port)

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        sink.close()

    await asyncio.gather(pump(reader, there_writer), pump(there_reader, writer))
