"""Both brokers let each user do what protocols/wire/topics.py says, and nothing else."""

import contextlib
import itertools
import os
import queue
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from protocols.wire.topics import FROM_GATEWAY, TO_GATEWAY, GatewayAddress, all_gateways
from standalone.credentials import User, load_credentials
from standalone.mosquitto import Mosquitto
from tests.conftest import RunningBroker

ANSWER_TIMEOUT_S = 20.0
STRANGER = GatewayAddress("rival", "main", "gw-1")


@dataclass
class Client:
    """A real MQTT client that keeps what it hears in queues."""

    mqtt: mqtt.Client
    answers: "queue.Queue[int]" = field(default_factory=queue.Queue)
    granted: "queue.Queue[list[int]]" = field(default_factory=queue.Queue)
    acknowledged: "queue.Queue[int]" = field(default_factory=queue.Queue)
    messages: "queue.Queue[tuple[str, bytes]]" = field(default_factory=queue.Queue)
    ended: "queue.Queue[int]" = field(default_factory=queue.Queue)

    def publish(self, topic: str, payload: bytes, retain: bool = False) -> None:
        """Publish and wait for the broker's acknowledgement, which says nothing about being allowed."""
        self.mqtt.publish(topic, payload, qos=1, retain=retain)
        self.acknowledged.get(timeout=ANSWER_TIMEOUT_S)

    def subscribe(self, topic: str) -> list[int]:
        """Subscribe and return the broker's answer: 0x80 is no."""
        self.mqtt.subscribe(topic, qos=1)
        return self.granted.get(timeout=ANSWER_TIMEOUT_S)

    def cut(self) -> None:
        """Lose the connection without a word, as when a cable is pulled."""
        with contextlib.suppress(AttributeError, OSError):  # a refused client has none any more
            self.mqtt.socket().shutdown(socket.SHUT_RDWR)

    def next_message(self) -> tuple[str, bytes]:
        return self.messages.get(timeout=ANSWER_TIMEOUT_S)


Connect = Callable[..., Client]


@pytest.fixture
def connect(any_broker: RunningBroker) -> Iterator[Connect]:
    """Make a client; `answers` gets the broker's answer to its sign-in."""
    clients: list[mqtt.Client] = []

    def make(
        user: str | None, password: str | None, client_id: str = "", will: str | None = None, clean: bool = True
    ) -> Client:
        made = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=clean or not client_id,
            reconnect_on_failure=False,
        )
        client = Client(made)
        if user is not None:
            made.username_pw_set(user, password)
        if will is not None:
            made.will_set(will, b"gone", qos=1)
        made.on_connect = lambda _c, _u, _f, reason, _p: client.answers.put(reason.value)
        made.on_subscribe = lambda _c, _u, _m, reasons, _p: client.granted.put([one.value for one in reasons])
        made.on_publish = lambda _c, _u, number, _r, _p: client.acknowledged.put(number)
        made.on_message = lambda _c, _u, message: client.messages.put((message.topic, message.payload))
        made.on_disconnect = lambda _c, _u, _f, reason, _p: client.ended.put(reason.value)
        made.connect(any_broker.host, any_broker.port)
        made.loop_start()
        clients.append(made)
        return client

    yield make
    for client in clients:
        client.disconnect()
        client.loop_stop()


@pytest.fixture
def cloud(any_broker: RunningBroker, connect: Connect) -> Client:
    """The cloud, signed in and subscribed to its three channels of all gateways."""
    client = connect(any_broker.users.cloud, any_broker.users.cloud_password)
    assert client.answers.get(timeout=ANSWER_TIMEOUT_S) == 0
    for channel in FROM_GATEWAY:
        assert client.subscribe(all_gateways(channel)) == [1]
    return client


@pytest.fixture
def gateway(any_broker: RunningBroker, connect: Connect) -> Client:
    """The gateway gw-1, signed in."""
    client = connect(any_broker.users.gateway, any_broker.users.gateway_password)
    assert client.answers.get(timeout=ANSWER_TIMEOUT_S) == 0
    return client


def test_the_cloud_reads_what_gateways_publish(any_broker: RunningBroker, cloud: Client, gateway: Client) -> None:
    for channel in FROM_GATEWAY:
        gateway.publish(any_broker.users.address.topic(channel), channel.encode())
        assert cloud.next_message() == (any_broker.users.address.topic(channel), channel.encode())


def test_a_gateway_reads_what_the_cloud_tells_it(
    any_broker: RunningBroker, cloud: Client, gateway: Client
) -> None:
    for channel in TO_GATEWAY:
        topic = any_broker.users.address.topic(channel)
        assert gateway.subscribe(topic) == [1]
        cloud.publish(topic, channel.encode())
        assert gateway.next_message() == (topic, channel.encode())


def test_what_is_retained_awaits_a_gateway_that_comes_later(
    any_broker: RunningBroker, cloud: Client, connect: Connect
) -> None:
    topic = any_broker.users.address.topic("applied")
    cloud.publish(topic, b"applied 7", retain=True)
    late = connect(any_broker.users.gateway, any_broker.users.gateway_password)
    late.subscribe(topic)
    assert late.next_message() == (topic, b"applied 7")


def test_a_gateway_cannot_publish_as_another(any_broker: RunningBroker, cloud: Client, gateway: Client) -> None:
    users = any_broker.users
    for foreign in (users.other_address, STRANGER):
        for channel in FROM_GATEWAY:
            gateway.publish(foreign.topic(channel), b"forged")
    # The broker keeps the order of one publisher: had it let anything through, it would come before this.
    gateway.publish(users.address.topic("status"), b"own")
    assert cloud.next_message() == (users.address.topic("status"), b"own")


def test_a_gateway_cannot_write_what_only_the_cloud_writes(
    any_broker: RunningBroker, cloud: Client, gateway: Client, connect: Connect
) -> None:
    users = any_broker.users
    listener = connect(users.gateway, users.gateway_password, client_id="listener")
    for channel in TO_GATEWAY:
        assert listener.subscribe(users.address.topic(channel)) == [1]
    for channel in TO_GATEWAY:
        gateway.publish(users.address.topic(channel), b"forged", retain=True)
    # Once gw-1's own next word has reached the cloud, the broker has judged what came before it.
    gateway.publish(users.address.topic("status"), b"own")
    assert cloud.next_message()[1] == b"own"
    cloud.publish(users.address.topic("applied"), b"true")
    assert listener.next_message() == (users.address.topic("applied"), b"true")


@pytest.mark.parametrize("pattern", ["#", "tallygate/v1/+/+/+/applied", "tallygate/v1/demo/main/gw-2/applied"])
def test_a_gateway_hears_nothing_meant_for_others(
    any_broker: RunningBroker, cloud: Client, gateway: Client, pattern: str
) -> None:
    users = any_broker.users
    gateway.subscribe(pattern)  # mosquitto says yes to any filter, and delivers what is allowed
    gateway.subscribe(users.address.topic("applied"))
    cloud.publish(users.other_address.topic("applied"), b"for gw-2")
    cloud.publish(STRANGER.topic("applied"), b"for a stranger")
    cloud.publish(users.address.topic("applied"), b"for gw-1")
    assert gateway.next_message() == (users.address.topic("applied"), b"for gw-1")


def test_a_gateway_does_not_hear_other_gateways(
    any_broker: RunningBroker, gateway: Client, connect: Connect
) -> None:
    users = any_broker.users
    other = connect(users.other_gateway, users.other_gateway_password)
    for channel in FROM_GATEWAY:
        gateway.subscribe(users.other_address.topic(channel))
    gateway.subscribe(users.address.topic("applied"))
    other.publish(users.other_address.topic("movements"), b"of gw-2")
    cloud = connect(users.cloud, users.cloud_password)
    cloud.publish(users.address.topic("applied"), b"for gw-1")
    assert gateway.next_message() == (users.address.topic("applied"), b"for gw-1")


def test_the_cloud_cannot_publish_as_a_gateway(any_broker: RunningBroker, cloud: Client, gateway: Client) -> None:
    users = any_broker.users
    for channel in FROM_GATEWAY:
        cloud.publish(users.address.topic(channel), b"forged")
    gateway.publish(users.address.topic("status"), b"own")
    assert cloud.next_message() == (users.address.topic("status"), b"own")


@pytest.mark.parametrize(
    ("user", "password"),
    [(None, None), ("gw-1", None), ("gw-1", ""), ("gw-1", "wrong"), ("nobody", "wrong"), ("cloud", "wrong")],
)
def test_nobody_gets_in_without_the_right_password(
    connect: Connect, user: str | None, password: str | None
) -> None:
    client = connect(user, password)
    assert client.answers.get(timeout=ANSWER_TIMEOUT_S) != 0


def test_a_password_of_one_user_is_none_of_another(any_broker: RunningBroker, connect: Connect) -> None:
    client = connect(any_broker.users.cloud, any_broker.users.gateway_password)
    assert client.answers.get(timeout=ANSWER_TIMEOUT_S) != 0


def test_a_last_will_is_published_when_a_gateway_is_cut_off(
    any_broker: RunningBroker, cloud: Client, connect: Connect
) -> None:
    users = any_broker.users
    topic = users.address.topic("status")
    doomed = connect(users.gateway, users.gateway_password, will=topic)
    assert doomed.answers.get(timeout=ANSWER_TIMEOUT_S) == 0
    doomed.cut()
    assert cloud.next_message() == (topic, b"gone")


def test_a_last_will_in_anothers_name_is_never_published(
    any_broker: RunningBroker, cloud: Client, gateway: Client, connect: Connect
) -> None:
    users = any_broker.users
    doomed = connect(users.other_gateway, users.other_gateway_password, will=users.address.topic("status"))
    answer = doomed.answers.get(timeout=ANSWER_TIMEOUT_S)
    if any_broker.name == "embedded":
        assert answer != 0
    doomed.cut()
    honest = connect(users.other_gateway, users.other_gateway_password, will=users.other_address.topic("status"))
    honest.answers.get(timeout=ANSWER_TIMEOUT_S)
    honest.cut()
    # The honest will comes after the forged one would have.
    assert cloud.next_message() == (users.other_address.topic("status"), b"gone")


def test_a_wrong_password_does_not_end_the_session_whose_client_id_it_names(
    any_broker: RunningBroker, cloud: Client, connect: Connect
) -> None:
    users = any_broker.users
    topic = users.address.topic("applied")
    gateway = connect(users.gateway, users.gateway_password, client_id="portal-1")
    gateway.subscribe(topic)
    # The second is what the embedded broker calls that session inside.
    named = itertools.product(("cloud", "gw-1"), ("portal-1", "gw-1/portal-1"), (True, False))
    for name, client_id, clean in named:
        impostor = connect(name, "wrong", client_id=client_id, clean=clean)
        assert impostor.answers.get(timeout=ANSWER_TIMEOUT_S) != 0
    cloud.publish(topic, b"still here")
    assert gateway.next_message() == (topic, b"still here")
    # Nor has the impostor's name rubbed off: what only the cloud may write is still refused.
    gateway.publish(users.other_address.topic("applied"), b"forged", retain=True)
    gateway.publish(users.address.topic("status"), b"own")
    assert cloud.next_message()[1] == b"own"
    other = connect(users.other_gateway, users.other_gateway_password)
    other.subscribe(users.other_address.topic("applied"))
    cloud.publish(users.other_address.topic("applied"), b"true")
    assert other.next_message()[1] == b"true"


@pytest.mark.parametrize("any_broker", ["embedded"], indirect=True)
def test_another_users_client_id_is_another_session(
    any_broker: RunningBroker, cloud: Client, connect: Connect
) -> None:
    """mosquitto lets the later one have it, and gives the earlier one's messages to nobody."""
    users = any_broker.users
    gateway = connect(users.gateway, users.gateway_password, client_id="portal-1")
    gateway.subscribe(users.address.topic("applied"))
    other = connect(users.other_gateway, users.other_gateway_password, client_id="portal-1", clean=False)
    assert other.answers.get(timeout=ANSWER_TIMEOUT_S) == 0
    cloud.publish(users.address.topic("applied"), b"for gw-1")
    assert gateway.next_message() == (users.address.topic("applied"), b"for gw-1")
    assert other.messages.empty()


def test_a_second_connection_of_a_client_ends_its_first(any_broker: RunningBroker, connect: Connect) -> None:
    users = any_broker.users
    topic = users.address.topic("applied")
    first = connect(users.gateway, users.gateway_password, client_id="portal-1")
    first.subscribe(topic)
    second = connect(users.gateway, users.gateway_password, client_id="portal-1")
    second.subscribe(topic)
    first.ended.get(timeout=ANSWER_TIMEOUT_S)
    cloud = connect(users.cloud, users.cloud_password)
    cloud.publish(topic, b"once")
    assert second.next_message() == (topic, b"once")
    assert first.messages.empty()


def test_a_client_gets_retained_messages_of_its_own_subscriptions_only(
    any_broker: RunningBroker, cloud: Client, connect: Connect
) -> None:
    users = any_broker.users
    other = connect(users.other_gateway, users.other_gateway_password)
    other.subscribe(users.other_address.topic("applied"))
    cloud.publish(users.other_address.topic("applied"), b"for gw-2", retain=True)
    cloud.publish(users.address.topic("command"), b"for gw-1", retain=True)
    assert other.next_message()[1] == b"for gw-2"
    gateway = connect(users.gateway, users.gateway_password)
    gateway.subscribe(users.address.topic("command"))
    assert gateway.next_message() == (users.address.topic("command"), b"for gw-1")
    assert gateway.messages.empty()


def test_a_user_added_later_can_sign_in_and_one_taken_away_cannot(
    any_broker: RunningBroker, connect: Connect
) -> None:
    users = any_broker.users
    credentials, password = load_credentials(users.credentials).adding(
        User("gw-3", "gateway", GatewayAddress("demo", "main", "gw-3"))
    )
    credentials.without(users.other_gateway).save(users.credentials)
    if isinstance(any_broker.program, Mosquitto):
        any_broker.program.reload()
    deadline = time.monotonic() + ANSWER_TIMEOUT_S  # mosquitto takes its signal when it gets round to it
    while connect("gw-3", password).answers.get(timeout=ANSWER_TIMEOUT_S) != 0:
        assert time.monotonic() < deadline
    refused = connect(users.other_gateway, users.other_gateway_password)
    assert refused.answers.get(timeout=ANSWER_TIMEOUT_S) != 0


def test_a_killed_broker_can_be_started_again_on_its_port(any_broker: RunningBroker, connect: Connect) -> None:
    os.kill(any_broker.program.pid, signal.SIGKILL)
    any_broker.program.stop()
    any_broker.program.start()
    client = connect(any_broker.users.gateway, any_broker.users.gateway_password)
    assert client.answers.get(timeout=ANSWER_TIMEOUT_S) == 0
