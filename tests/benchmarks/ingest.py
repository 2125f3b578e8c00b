"""Ingest under backlog: MQTT messages in mosquitto → movements, balances, costs and entries committed.

Beside it, binary COPY of the same rows into copies of the tables with the same indexes and no triggers, on the
same server in the same run. fsync is on.
"""

import itertools
import multiprocessing
import signal
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import LiteralString

import paho.mqtt.client as mqtt
import psycopg
from paho.mqtt.enums import CallbackAPIVersion

from cloud.domain.catalog import BoundTag, Expectation, Item
from cloud.domain.company import CompanySettings, Gate, Gateway, Site, Zone, lane_of
from cloud.domain.costing.warm_up import warm_up
from cloud.domain.movement import MICRO, QTY_MAX, Crossing, Kind
from cloud.flows.set_up_company import CompanyDescription, apply_description
from cloud.flows.verify import verify
from cloud.ingest.subscriber import Subscriber
from cloud.ingest.worker import Worker
from cloud.settings import BrokerSettings
from cloud.store import copy_kernels
from cloud.store.master import add_expectations, put_tags
from cloud.store.migrate import SERVICE_ROLES, migrate
from edge.outbox.ids import IdMaker
from protocols.wire import movement as wire
from protocols.wire.topics import GatewayAddress
from standalone.credentials import Credentials, User
from standalone.mosquitto import Mosquitto
from standalone.postgres import OWNER, Postgres, find_binaries
from tests.benchmarks.copied import copy_rate
from tests.benchmarks.figure import Figure

GATEWAYS = 8
ITEMS = 200
TAGS = 8_000  # a gateway's share goes in and out again and again
MESSAGE = 500
MESSAGES = 320  # 160,000 movements
WARM_UP_MESSAGES = 16
IN_FLIGHT = 40
TIMEOUT_S = 90.0
GOAL = 40_000  # movements/s, ARCHITECTURE.md
_SPAWN = multiprocessing.get_context("spawn")


def _names() -> list[str]:
    """Gateways whose lanes two workers share evenly; which lane a gateway has, its name decides."""
    by_share: list[list[str]] = [[], []]
    for n in itertools.count():
        name = f"gw-{n}"
        by_share[lane_of(GatewayAddress("bench", "MAIN", name)) % 2].append(name)
        if min(map(len, by_share)) >= GATEWAYS // 2:
            return [name for names in by_share for name in names[: GATEWAYS // 2]]
    raise AssertionError


NAMES = _names()
COPIED = (
    "observations", "movements", "cost_entries", "consumption_links", "journal_entries", "journal_lines",
)  # fmt: skip


def measure_ingest() -> list[Figure]:
    """Movements a second end to end, and what COPY does with the same rows.

    Two workers where each gateway has goods of its own, and where all gateways share all cost pools: there the pools'
    locks put the costing of one worker behind the other's commit.
    """
    figures = []
    for workers, goods in ((2, "own goods"), (2, "shared goods"), (1, "shared goods")):
        with bench_house(workers, shares_items=goods == "shared goods") as house:
            payloads = payloads_of_all()
            rate = house.run(payloads)
            checks = verify(house.owner)
            assert all(check.holds for check in checks), [check for check in checks if not check.holds]
            copied = copy_rate(house.owner, COPIED, len(payloads) * MESSAGE)
            batches = house.owner.execute("SELECT avg(observed) FROM batches WHERE observed > 0").fetchone()
        mean = float(batches[0]) if batches else 0.0
        name = f"ingest, {workers} workers, {goods}" if workers > 1 else "ingest, one worker"
        figures += [
            Figure(name, rate, "movements/s", "binary COPY of the same rows", copied),
            Figure(f"{name}: against the goal", rate, "movements/s", "the goal", GOAL),
            Figure(f"{name}: batch, mean", mean, "movements"),
        ]
    return figures


class House:
    """A server, a broker and workers, each a process, for one measurement."""

    def __init__(
        self, owner: psycopg.Connection, dsn: str, workers: int, broker: Mosquitto, passwords: dict[str, str]
    ) -> None:
        self.owner = owner
        self.broker = broker
        self.passwords = passwords
        self._dsn = dsn
        self._workers = workers

    def run(self, payloads: list[tuple[int, bytes]]) -> float:
        """Publish everything as fast as the broker takes it; movements a second from first byte to last commit."""
        with self.working():
            self._publish(payloads[:WARM_UP_MESSAGES])
            self._await(WARM_UP_MESSAGES * MESSAGE)
            began = time.perf_counter()
            self._publish(payloads[WARM_UP_MESSAGES:])
            self._await(len(payloads) * MESSAGE)
            seconds = time.perf_counter() - began
        return (len(payloads) - WARM_UP_MESSAGES) * MESSAGE / seconds

    @contextmanager
    def working(self) -> Iterator[None]:
        """With the workers running, each holding its share of the lanes."""
        settings = BrokerSettings(self.broker.host, self.broker.port, "cloud", self.passwords["cloud"])
        workers = [
            _SPAWN.Process(target=work, args=(self._dsn, settings, f"bench-{n}")) for n in range(self._workers)
        ]
        for worker in workers:
            worker.start()
        try:
            self._await_even_shares()
            yield
        finally:
            for worker in workers:
                worker.terminate()
                worker.join(TIMEOUT_S)

    def _publish(self, payloads: list[tuple[int, bytes]]) -> None:
        self._sender = _SPAWN.Process(
            target=publish, args=(self.broker.host, self.broker.port, self.passwords, payloads)
        )
        self._sender.start()

    def _await_even_shares(self) -> None:
        """Every lane is held, and by all workers alike: then all have subscribed as well."""
        self._poll(
            "SELECT count(*) = %s AND min(lanes) = max(lanes) FROM (SELECT count(*) AS lanes FROM lane_leases"
            " WHERE expires_at > now() GROUP BY token) held",
            self._workers,
        )

    def _await(self, applied: int) -> None:
        self._poll("SELECT coalesce(sum(applied_seq), 0) >= %s FROM gateway_logs", applied)
        self._sender.join(TIMEOUT_S)

    def _poll(self, question: LiteralString, value: int) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while not (self.owner.execute(question, [value]).fetchone() or (False,))[0]:
            assert time.monotonic() < deadline, f"not within {TIMEOUT_S} s: {question} {value}"
            time.sleep(0.01)


def work(dsn: str, settings: BrokerSettings, name: str) -> None:
    """One ingest worker, a process of its own, until it is told to stop."""
    warm_up()
    copy_kernels.warm_up()
    subscriber = Subscriber(settings, name)
    subscriber.start()
    assert subscriber.subscribed.wait(TIMEOUT_S)
    worker = Worker(dsn, subscriber, name)
    signal.signal(signal.SIGTERM, lambda *_: worker.stop.set())
    worker.run()
    subscriber.stop()


def publish(host: str, port: int, passwords: dict[str, str], payloads: list[tuple[int, bytes]]) -> None:
    """Send the messages as their gateways, IN_FLIGHT unacknowledged at a time; a process of its own."""
    clients, room = {}, threading.Semaphore(IN_FLIGHT)
    for number in {gateway for gateway, _ in payloads}:
        name = NAMES[number]
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv311)
        client.username_pw_set(name, passwords[name])
        client.on_publish = lambda *_: room.release()
        client.max_inflight_messages_set(IN_FLIGHT)
        joined = threading.Event()
        client.on_connect = lambda *_, joined=joined: joined.set()
        client.connect(host, port)
        client.loop_start()
        # What is published before the broker has answered may be sent out of order; nobody here sends again.
        assert joined.wait(TIMEOUT_S)
        clients[number] = client
    sent = []
    for number, payload in payloads:
        room.acquire()
        sent.append(
            clients[number].publish(GatewayAddress("bench", "MAIN", NAMES[number]).topic("movements"), payload, 1)
        )
    for message in sent:
        message.wait_for_publish(TIMEOUT_S)
    for client in clients.values():
        client.disconnect()
        client.loop_stop()


@contextmanager
def bench_house(workers: int = 1, *, shares_items: bool = True) -> Iterator[House]:
    with tempfile.TemporaryDirectory(prefix="tallygate-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        server = Postgres(folder, find_binaries())
        server.start()
        credentials, passwords = Credentials.none(), {}
        for user in [User("cloud", "cloud")] + [
            User(NAMES[n], "gateway", GatewayAddress("bench", "MAIN", NAMES[n])) for n in range(GATEWAYS)
        ]:
            credentials, passwords[user.name] = credentials.adding(user)
        credentials.save(folder / "credentials.json")
        broker = Mosquitto(folder / "credentials.json", folder / "mosquitto.log")
        broker.start()
        try:
            server.ensure_login(OWNER, owns_schema=True)
            server.ensure_database("bench", OWNER)
            migrate(server.dsn("bench", OWNER))
            for role in SERVICE_ROLES:
                server.ensure_login(role)
            with psycopg.connect(server.dsn("bench", OWNER), autocommit=True) as owner:
                _set_up(owner, shares_items=shares_items)
                print(f"ingest on {server.binaries}", flush=True)
                yield House(owner, server.dsn("bench", "tallygate_ingest"), workers, broker, passwords)
        finally:
            broker.stop()
            server.stop()
            server.remove()


def _set_up(owner: psycopg.Connection, *, shares_items: bool) -> None:
    items = tuple(
        Item(f"ITEM-{n:04}", name_en=f"Item {n}", method="fifo" if n % 2 else "moving_average")
        for n in range(ITEMS)
    )
    company = apply_description(
        owner,
        CompanyDescription(
            CompanySettings("bench", "Bench", "CNY", "Asia/Shanghai", "ASBE"),
            (Site("MAIN", "Main", (Zone("STORE", "Store"),)),),
            tuple(Gate(f"dock-{n}", "STORE", "WORLD") for n in range(GATEWAYS)),
            tuple(Gateway("MAIN", NAMES[n]) for n in range(GATEWAYS)),
            items,
        ),
    )
    # Of `share` tags in a row, which go through one gate, either all items or the gate's own eighth of them.
    share = TAGS // GATEWAYS
    own = ITEMS // GATEWAYS
    of_tag = [n % ITEMS if shares_items else n // share * own + n % own for n in range(TAGS)]
    put_tags(owner, company, [BoundTag(epc_of(n), f"ITEM-{of_tag[n]:04}", MICRO) for n in range(TAGS)])
    until = datetime.now(UTC) + timedelta(days=2)
    for gate in range(GATEWAYS):
        add_expectations(
            owner,
            company,
            [
                Expectation(
                    f"dock-{gate}", crossing, kind, QTY_MAX, until, item_code=item.code, document="BENCH",
                    price_micro=price, currency=None if price is None else "CNY",
                )
                for item in items
                for crossing, kind, price in (
                    (Crossing.IN, Kind.PURCHASE_RECEIPT, 4_170_000),
                    (Crossing.OUT, Kind.SALES_SHIPMENT, None),
                )
            ],
        )  # fmt: skip


def epc_of(number: int) -> str:
    return f"E280{number:020X}"


def payloads_of_all() -> list[tuple[int, bytes]]:
    """(gateway, message) in the order in which they are sent: each gateway's tags in, then out, and again."""
    share = TAGS // GATEWAYS
    start_us = time.time_ns() // 1000 - 3600 * 1_000_000
    evidence = wire.evidence_raw(
        {"order": 0.93, "rise_outside_db": 12.5, "rise_inside_db": 11.0, "reads_outside": 17, "reads_inside": 15,
         "decided_by": "tag", "reason": "outside before inside"}
    )  # fmt: skip
    epochs = [uuid.uuid4().hex for _ in range(GATEWAYS)]
    makers = [IdMaker() for _ in range(GATEWAYS)]
    sent = []
    for message in range(MESSAGES):
        gateway, number = message % GATEWAYS, message // GATEWAYS
        first = number * MESSAGE + 1
        movements = [
            wire.encode_movement(
                wire.MovementObserved(
                    seq=seq, id=makers[gateway].make(start_us + seq * 10_000),
                    occurred_at_us=start_us + seq * 10_000 + gateway, kind="passage",
                    gate=f"dock-{gateway}", epc=epc_of(gateway * share + (seq - 1) % share),
                    direction="out" if (seq - 1) // share % 2 else "in", confidence=0.93, evidence=evidence,
                )
            )
            for seq in range(first, first + MESSAGE)
        ]  # fmt: skip
        envelope = wire.Envelope(
            schema=1, epoch=epochs[gateway], first=first, last=first + MESSAGE - 1, oldest=1, sent_at_us=start_us
        )
        sent.append((gateway, wire.encode(envelope, movements)))
    return sent
