"""An ingest worker in a thread and a gateway's MQTT side, for tests with a real broker and a real database."""

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import paho.mqtt.client as mqtt
import psycopg
from paho.mqtt.enums import CallbackAPIVersion

from cloud.flows.verify import verify
from cloud.ingest.subscriber import Subscriber
from cloud.ingest.worker import Worker
from cloud.settings import BrokerSettings
from cloud.store.master import put_gateway
from protocols.wire import applied
from tests.makers import GatewayLog, Warehouse, make_warehouse

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

    def start(self, name: str = "worker", dsn: str | Callable[[], str] | None = None) -> Worker:
        """Start the worker, and wait until it hears the broker."""
        worker = self.begin(name, dsn=dsn)
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


@contextlib.contextmanager
def cloud_on(database: Any, broker: Any) -> Iterator[Cloud]:
    """A warehouse with a gateway and no worker yet; every promise holds in the end."""
    with (
        psycopg.connect(database.owner_dsn, autocommit=True) as owner,
        psycopg.connect(database.dsn_of("tallygate_ingest"), autocommit=True) as ingest,
    ):
        warehouse = make_warehouse(owner, ingest)
        owner.execute("DELETE FROM lane_leases")
        gateway_id = put_gateway(owner, warehouse.company_id, "main", "gw-1", 3)
        warehouse.log = GatewayLog(gateway_id, 3)
        made = Cloud(warehouse, broker, database.dsn_of("tallygate_ingest"))
        try:
            yield made
        finally:
            made.stop()
    with psycopg.connect(database.owner_dsn, autocommit=True) as fresh:
        wrong = [check for check in verify(fresh) if not check.holds]
        assert not wrong


def write(warehouse: Warehouse, count: int) -> GatewayLog:
    for number in range(1, count + 1):
        warehouse.log.passage(warehouse.tag(number), "in", number, occurred_at_us=time.time_ns() // 1000)
    return warehouse.log


def eventually(question: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not question():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def said(records: Iterable[logging.LogRecord], about: str) -> list[str]:
    """The kinds of trouble that the worker complained of, in order, and `over` for each end of them."""
    return [
        getattr(record, "trouble", "over") for record in records if record.getMessage().startswith(f"the {about} ")
    ]
