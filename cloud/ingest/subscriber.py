"""The cloud's MQTT client: what arrives goes into a bounded queue, what is owed goes out retained.

A clean session: the gateways are the queue. When ours is full a message is dropped and counted; its gateway
sends it again. What the broker may do to us is said once and waited for (patience.py).
"""

import logging
import ssl
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from cloud.ingest import troubles
from cloud.ingest.patience import Complaint, Waits
from cloud.ingest.troubles import Trouble, WrongAuthority
from cloud.settings import BrokerSettings
from protocols.wire.topics import FROM_GATEWAY, all_gateways

log = logging.getLogger(__name__)

QUEUE_MESSAGES = 2_000
# Whatever their size: a broker may deliver faster than we commit for as long as it likes.
QUEUE_BYTES = 64 * 1024 * 1024
KEEPALIVE_S = 30  # a broker that is silent for twice as long is given up
CONNECT_TIMEOUT_S = 5.0  # for TCP, and for TLS after it
RECONNECT_S = (1.0, 30.0)  # first wait and longest; doubled from one try to the next
LOOP_S = 1.0  # how often keepalives are looked after
STOP_TIMEOUT_S = 5.0
MOST_ANSWERS = 10_000  # that wait for a slow broker; whoever misses one asks again
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
    """One thread of its own speaks MQTT; `take` and `publish` are called from the worker's.

    settings  or what says them: a function is asked at every try, so that a password or an authority that is changed
              in its file is noticed
    """

    def __init__(self, settings: BrokerSettings | Callable[[], BrokerSettings], client_id: str) -> None:
        self.counters: Counter[str] = Counter()
        self.subscribed = threading.Event()
        self._settings: Callable[[], BrokerSettings] = settings if callable(settings) else lambda: settings
        self._client_id = client_id
        self._waiting = Waiting()
        self._complaint = Complaint(troubles.BROKER)
        self._waits = Waits(*RECONNECT_S)
        self._where = ""
        self._is_tls = False
        self._refusal: tuple[Trouble, str] | None = None
        self._client: mqtt.Client | None = None
        self._reconnected = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)

    @property
    def trouble(self) -> Trouble | None:
        """What is wrong with the broker now."""
        return self._complaint.now

    def start(self) -> None:
        """Connect in the background and keep trying."""
        self._thread.start()

    def stop(self) -> None:
        """Say good-bye and end the thread; a broker that takes nothing any more is left after STOP_TIMEOUT_S."""
        self._stop.set()
        client = self._client
        if client is not None:
            client.disconnect()
        if self._thread.is_alive():
            self._thread.join(STOP_TIMEOUT_S)

    def take(self, most: int, wait_s: float) -> list[Arrived]:
        """Up to `most` messages; waits for the first at most `wait_s`."""
        return self._waiting.take(most, wait_s)

    def publish(self, topic: str, payload: bytes) -> None:
        """Publish retained. What the broker does not get now, everybody is told after the reconnect."""
        client = self._client
        if client is not None:
            client.publish(topic, payload, qos=QOS, retain=True)

    def has_reconnected(self) -> bool:
        """Whether the broker has been joined since the last question: it may have forgotten what it retained."""
        if self._reconnected.is_set():
            self._reconnected.clear()
            return True
        return False

    # ── On the thread ──

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                trouble, said = self._live()
            except (
                Exception
            ) as error:  # a supervisor's edge: without this thread the worker would hear nothing more
                trouble = troubles.of_broker(error, self._is_tls)
                said = f"{type(error).__name__}: {error}"
                if trouble is troubles.OWN_FAULT:
                    log.exception("the MQTT client failed")
            self.subscribed.clear()
            if not self._stop.is_set():
                self.counters["broker_lost"] += 1
                self._complaint.about(trouble, self._where, said, is_lapse=trouble is troubles.LOST)
                self._stop.wait(self._waits.next_s())

    def _live(self) -> tuple[Trouble, str]:
        """One connection from its beginning to its end: why it ended. Raises OSError, WrongAuthority, WrongSetting."""
        settings = self._settings()
        self._where = f"{settings.host}:{settings.port} as {settings.user}"
        self._is_tls = settings.ca_file is not None
        self._refusal = None
        client = self._new_client(settings)
        client.connect(settings.host, settings.port, KEEPALIVE_S)
        self._client = client
        if self._stop.is_set():
            client.disconnect()
        try:
            while (code := client.loop(LOOP_S)) == mqtt.MQTT_ERR_SUCCESS:
                pass
        finally:
            self._client = None
        return self._refusal or (troubles.of_end(self.subscribed.is_set()), mqtt.error_string(code))

    def _new_client(self, settings: BrokerSettings) -> mqtt.Client:
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=self._client_id, protocol=mqtt.MQTTv311, clean_session=True,
            reconnect_on_failure=False,
        )  # fmt: skip
        client.username_pw_set(settings.user, settings.password)
        if settings.ca_file is not None:
            client.tls_set_context(_trusting(settings.ca_file))
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.max_queued_messages_set(MOST_ANSWERS)
        # Without it `publish` would write to the socket in the worker's thread, in the middle of what this one writes.
        client.on_socket_register_write = lambda *_: None
        client.on_connect = self._on_connect
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe
        return client

    def _on_connect(
        self, client: mqtt.Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        if reason.is_failure:
            self.counters["refused"] += 1
            self._refusal = troubles.of_answer(reason.value), str(reason)
            return
        client.subscribe([(all_gateways(channel), QOS) for channel in FROM_GATEWAY])

    def _on_subscribe(
        self, client: mqtt.Client, _data: Any, _mid: int, reasons: list[ReasonCode], _properties: Any
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            self._refusal = troubles.SUBSCRIPTIONS, ", ".join(map(str, reasons))
            client.disconnect()
            return
        log.info("broker joined", extra={"broker": self._where})
        self._complaint.is_over()
        self._waits.begin()
        self._reconnected.set()
        self.subscribed.set()

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        if not self._waiting.put(Arrived(message.topic, bytes(message.payload), time.time_ns() // 1000)):
            self.counters["overflowed"] += 1


def _trusting(ca_file: Path) -> ssl.SSLContext:
    """TLS that trusts this authority alone. Raises WrongAuthority."""
    try:
        context = ssl.create_default_context(cafile=str(ca_file))
    except OSError as error:  # SSLError, when it holds no certificate, is one
        raise WrongAuthority(f"{ca_file}: {error}") from error
    context.sslsocket_class = _ClosedOnFailure
    return context


class _ClosedOnFailure(ssl.SSLSocket):
    """paho forgets the socket whose handshake fails and leaves it open."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise
