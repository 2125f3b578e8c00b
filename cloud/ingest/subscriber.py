"""The cloud's MQTT client: what arrives goes into a bounded queue, what is owed goes out retained.

A clean session: the gateways are the queue. When ours is full a message is dropped and counted; its gateway
sends it again.
"""

import logging
import ssl
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from cloud.settings import BrokerSettings
from protocols.wire.topics import FROM_GATEWAY, all_gateways

log = logging.getLogger(__name__)

QUEUE_MESSAGES = 2_000
QUEUE_BYTES = 64 * 1024 * 1024  # whatever their size: a broker may deliver faster than we commit for as long as it likes
KEEPALIVE_S = 30
RECONNECT_S = (1, 30)  # first wait and longest
QOS = 1


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message as it came; received_us is the cloud's clock, µs since 1970-01-01 UTC."""

    topic: str
    payload: bytes
    received_us: int


class Waiting:
    """Messages that wait for the worker, bounded in number and in bytes; one thread puts, another takes."""

    def __init__(self, messages: int = QUEUE_MESSAGES, payload_bytes: int = QUEUE_BYTES) -> None:
        self._most = messages
        self._most_bytes = payload_bytes
        self._arrived: deque[Arrived] = deque()
        self._bytes = 0
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._arrived)

    def put(self, message: Arrived) -> bool:
        """Whether there was room for it; where nothing waits there always is."""
        size = len(message.payload)
        with self._changed:
            full = len(self._arrived) >= self._most or self._bytes + size > self._most_bytes
            if full and self._arrived:
                return False
            self._arrived.append(message)
            self._bytes += size
            self._changed.notify()
        return True

    def take(self, most: int, wait_s: float) -> list[Arrived]:
        """Up to `most` messages, in the order in which they came; waits for the first at most `wait_s`."""
        with self._changed:
            if not self._arrived:
                self._changed.wait(wait_s)
            taken = [self._arrived.popleft() for _ in range(min(most, len(self._arrived)))]
            self._bytes -= sum(len(message.payload) for message in taken)
        return taken


class Subscriber:
    """Runs paho's own thread; `take` is called from the worker's."""

    def __init__(self, settings: BrokerSettings, client_id: str) -> None:
        self.counters: Counter[str] = Counter()
        self.subscribed = threading.Event()
        self._settings = settings
        self._waiting = Waiting()
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=mqtt.MQTTv311, clean_session=True
        )
        self._client.username_pw_set(settings.user, settings.password)
        if settings.ca_file is not None:
            self._client.tls_set(ca_certs=str(settings.ca_file), cert_reqs=ssl.CERT_REQUIRED)
        self._client.reconnect_delay_set(*RECONNECT_S)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message
        self._client.on_subscribe = self._on_subscribe
        self._was_told = True
        self._reconnected = threading.Event()

    def start(self) -> None:
        """Connect in the background and keep trying."""
        self._client.connect_async(self._settings.host, self._settings.port, KEEPALIVE_S)
        self._client.loop_start()

    def stop(self) -> None:
        """Say good-bye and end the thread."""
        self._client.disconnect()
        self._client.loop_stop()

    def take(self, most: int, wait_s: float) -> list[Arrived]:
        """Up to `most` messages; waits for the first at most `wait_s`."""
        return self._waiting.take(most, wait_s)

    def publish(self, topic: str, payload: bytes) -> None:
        """Publish retained; when the broker is away it is published again after the reconnect."""
        self._client.publish(topic, payload, qos=QOS, retain=True)

    def has_reconnected(self) -> bool:
        """Whether the broker has been joined since the last question: it may have forgotten what it retained."""
        if self._reconnected.is_set():
            self._reconnected.clear()
            return True
        return False

    def _on_connect(
        self, client: mqtt.Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        if reason.is_failure:
            self.counters["refused"] += 1
            if self._was_told:
                log.error("the broker refuses us", extra={"reason": str(reason), "user": self._settings.user})
                self._was_told = False
            return
        log.info("broker joined", extra={"broker": f"{self._settings.host}:{self._settings.port}"})
        self._was_told = True
        client.subscribe([(all_gateways(channel), QOS) for channel in FROM_GATEWAY])

    def _on_subscribe(
        self, _client: mqtt.Client, _data: Any, _mid: int, reasons: list[ReasonCode], _properties: Any
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            log.error("the broker refuses our subscriptions", extra={"reasons": [str(r) for r in reasons]})
            return
        self._reconnected.set()
        self.subscribed.set()

    def _on_disconnect(
        self, _client: mqtt.Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        self.subscribed.clear()
        if reason.is_failure and self._was_told:
            log.warning("broker lost", extra={"reason": str(reason)})
            self._was_told = False

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        if not self._waiting.put(Arrived(message.topic, bytes(message.payload), time.time_ns() // 1000)):
            self.counters["overflowed"] += 1
