"""An ingest worker in a thread and a gateway's MQTT side, for tests with a real broker and a real database."""

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from cloud.ingest.subscriber import Subscriber
from cloud.ingest.worker import Worker
from cloud.settings import BrokerSettings
from protocols.wire import applied
from tests.makers import GatewayLog, Warehouse

WAIT_S = 20.0


@dataclass
class Gateway:
    """A gateway's MQTT side, driven by the test."""

    broker: Any
    heard: "queue.Queue[applied.Applied]" = field(default_factory=queue.Queue)

    def __post_init__(self) -> None:
        users = self.broker.users
        self.address = users.address
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="gw-1", protocol=mqtt.MQTTv311)
        self.client.username_pw_set(users.gateway, users.gateway_password)
        self.client.on_message = lambda _c, _d, message: self.heard.put(applied.decode(message.payload))
        joined = threading.Event()
        self.client.on_subscribe = lambda *_: joined.set()
        self.client.connect(self.broker.host, self.broker.port)
        self.client.loop_start()
        self.client.subscribe(self.address.topic("applied"), 1)
        assert joined.wait(WAIT_S)

    def send(self, payload: bytes, channel: str = "movements") -> None:
        self.client.publish(self.address.topic(channel), payload, 1).wait_for_publish(WAIT_S)

    def until(self, epoch: str, seq: int) -> applied.Applied:
        """Wait for an `applied` of at least so much."""
        deadline = time.monotonic() + WAIT_S
        while True:
            message = self.heard.get(timeout=max(0.01, deadline - time.monotonic()))
            if any(one.epoch == epoch and one.applied >= seq for one in message.epochs):
                return message

    def hears_nothing_new(self, epoch: str, seq: int) -> applied.Applied:
        """Wait for an answer that stands at exactly so much."""
        message = self.until(epoch, seq)
        assert [one.applied for one in message.epochs if one.epoch == epoch] == [seq]
        return message

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@dataclass
class Cloud:
    """A worker in a thread, and the warehouse it writes to."""

    warehouse: Warehouse
    broker: Any
    ingest_dsn: str
    worker: Worker | None = None

    @property
    def settings(self) -> BrokerSettings:
        """As the broker's users are."""
        users = self.broker.users
        return BrokerSettings(self.broker.host, self.broker.port, users.cloud, users.cloud_password)

    def start(self, name: str = "worker") -> Worker:
        """Start the worker, and wait until it hears the broker."""
        worker = self.begin(name)
        assert self.subscriber.subscribed.wait(WAIT_S)
        return worker

    def begin(
        self,
        name: str = "worker",
        settings: BrokerSettings | Callable[[], BrokerSettings] | None = None,
        dsn: str | Callable[[], str] | None = None,
    ) -> Worker:
        """Start the worker, whatever becomes of it."""
        self.subscriber = Subscriber(settings or self.settings, f"test-{name}")
        self.worker = Worker(dsn or self.ingest_dsn, self.subscriber, name)
        self.thread = threading.Thread(target=self.worker.run, daemon=True)
        self.subscriber.start()
        self.thread.start()
        return self.worker

    def stop(self) -> None:
        if self.worker is not None:
            self.worker.stop.set()
            self.thread.join(WAIT_S)
            assert not self.thread.is_alive()
            self.subscriber.stop()
            self.worker = None


def write(warehouse: Warehouse, count: int) -> GatewayLog:
    for number in range(1, count + 1):
        warehouse.log.passage(warehouse.tag(number), "in", number, occurred_at_us=time.time_ns() // 1000)
    return warehouse.log


def eventually(question: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not question():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
