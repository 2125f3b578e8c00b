"""Everything of one run, each part a process of its own that can be killed, paused and cut off.

    gateways ──way──▶ broker ◀──way── workers ──way──▶ PostgreSQL

Gateways live in network namespaces where root allows it, so that their way to the broker falls silent packet by
packet; elsewhere, and for the workers, the ways are relays on loopback.
"""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import paho.mqtt.client as mqtt
import psycopg
from paho.mqtt.enums import CallbackAPIVersion
from psycopg import sql
from psycopg.conninfo import make_conninfo

from cloud.domain.company import LANES
from cloud.store.migrate import SERVICE_ROLES, migrate
from protocols.wire.topics import GatewayAddress, all_gateways
from standalone.backups import Backups, BaseBackup, RestorePoint
from standalone.child import ChildTrouble
from standalone.credentials import Credentials, User
from standalone.mosquitto import Mosquitto
from standalone.postgres import OWNER, Postgres, find_binaries
from tests.chaos.books import COMPANY, SITE
from tests.chaos.network import Host, Link, Network, Proxy, why_no_namespaces
from tests.chaos.script import GATEWAYS, Script, gateway_name

MOST_WORKERS = 3
LEASE_S = 2.0  # of the workers here; in earnest 10 s
PLAY_S = 3.0  # in which the gateways write, and disturbances begin
WAIT_S = 60.0  # for anything; a run that takes longer has failed
POLL_S = 0.05
END_S = 10.0

TEMPLATE = "chaos_template"


def workers_of(seed: int) -> int:
    """How many workers share the lanes in the run of a seed."""
    return 1 + seed % MOST_WORKERS


class NotInTime(AssertionError):
    """Something that had to happen did not."""


def await_that(question: Callable[[], bool], what: str, wait_s: float = WAIT_S) -> None:
    """Ask until it is so. Raises NotInTime."""
    deadline_s = time.monotonic() + wait_s
    while not question():
        if time.monotonic() > deadline_s:
            raise NotInTime(f"waited {wait_s:g} s for {what}")
        time.sleep(POLL_S)


class Server:
    """The database server of many runs, with its WAL archived, and a template with the schema."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        self.folder = folder
        self.backups = Backups(folder / "backups")
        self.backups.prepare()
        self.postgres = Postgres(folder, find_binaries(), settings=self.backups.settings)
        self._databases = 0

    def __enter__(self) -> "Server":
        self.postgres.start(keep_running=True)
        self.postgres.ensure_login(OWNER, owns_schema=True)
        for role in SERVICE_ROLES:
            self.postgres.ensure_login(role)
        self.postgres.ensure_database(TEMPLATE, OWNER)
        migrate(self.postgres.dsn(TEMPLATE, OWNER))
        # TimescaleDB's workers visit every database that they may.
        with self._superuser() as connection:
            connection.execute(
                sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(TEMPLATE))
            )
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [TEMPLATE]
            )
        return self

    def __exit__(self, *_: object) -> None:
        self.postgres.stop()
        self.postgres.remove()

    def fresh_database(self) -> str:
        """A new database with the schema and nothing in it."""
        self._databases += 1
        name = f"chaos_{self._databases}"
        make = sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}").format(
            *(sql.Identifier(one) for one in (name, TEMPLATE, OWNER))
        )

        def is_made() -> bool:
            with suppress(psycopg.errors.ObjectInUse), self._superuser() as connection:
                connection.execute(make)
                return True
            return False

        await_that(is_made, "the template to be left alone")
        return name

    @contextmanager
    def _superuser(self) -> Iterator[psycopg.Connection]:
        with psycopg.connect(self.postgres.superuser_dsn, autocommit=True) as connection:
            yield connection

    def drop(self, name: str) -> None:
        """Take a run's database away."""
        with self._superuser() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def kill(self) -> None:
        """No checkpoint, no good-bye; the server recovers from its WAL."""
        os.kill(self.postgres.pid, signal.SIGQUIT)

    def restore(self, backup: BaseBackup, mark: RestorePoint) -> None:
        """Back to the base backup and its WAL up to a mark that lies behind us by now."""
        self.postgres.stop()
        self.backups.restore(self.postgres, backup, mark)
        self.postgres.stop()  # it runs now, but nobody would start it again after a kill
        self.postgres.start(keep_running=True)


@dataclass
class Part:
    """A process that can be started again."""

    name: str
    argv: list[str]
    environment: dict[str, str]
    log: Path
    host: Host | None = None
    process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)

    def start(self) -> None:
        with self.log.open("ab") as log:
            if self.host is None:
                self.process = subprocess.Popen(self.argv, env=self.environment, stdout=log, stderr=log)
            else:
                self.process = self.host.popen(self.argv, self.environment, stdout=log, stderr=log)

    def send(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it; by force when it does not listen."""
        if self.process is None:
            return
        self.send(signal.SIGCONT)
        self.send(number)
        try:
            self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(END_S)

    def ensure_running(self) -> None:
        """Start it when it is dead, wake it when it is paused."""
        if self.process is None or self.process.poll() is not None:
            self.start()
        else:
            self.send(signal.SIGCONT)


class Tap:
    """Hears every message of the gateways and keeps it, so that all can be sent again."""

    def __init__(self, broker: Mosquitto, password: str) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self.joined = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="chaos-tap", protocol=mqtt.MQTTv311)
        self._client.username_pw_set("cloud", password)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe(all_gateways("movements"), 1)
        self._client.on_subscribe = lambda *_: self.joined.set()
        self._client.on_message = lambda _c, _d, message: self.messages.append(
            (message.topic, bytes(message.payload))
        )
        self._client.connect_async(broker.host, broker.port)
        self._client.loop_start()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class House:
    """Broker, workers and gateways of one run, on a database of its own."""

    def __init__(self, server: Server, database: str, script: Script, folder: Path) -> None:
        self.server = server
        self.database = database
        self.script = script
        self.folder = folder
        self.passwords: dict[str, str] = {}
        self.workers: list[Part] = []
        self.gateways: list[Part] = []
        self.gateway_ways: list[Link | Proxy] = []
        self._stack = ExitStack()

    def __enter__(self) -> "House":
        with self._stack:
            self._open()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _open(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        credentials = Credentials.none()
        addresses = [GatewayAddress(COMPANY, SITE, gateway_name(n)) for n in range(GATEWAYS)]
        for user in [User("cloud", "cloud"), *(User(one.gateway, "gateway", one) for one in addresses)]:
            credentials, self.passwords[user.name] = credentials.adding(user)
        credentials.save(self.folder / "credentials.json")
        self.broker = Mosquitto(self.folder / "credentials.json", self.folder / "mosquitto.log")
        self.broker.start(keep_running=True)
        self._stack.callback(self.broker.stop)
        self.worker_broker = self._stack.enter_context(Proxy(self.broker.port))
        self.worker_database = self._stack.enter_context(Proxy(self.server.postgres.port))
        network = None if why_no_namespaces() else self._stack.enter_context(Network())
        for number in range(workers_of(self.script.seed)):
            self.workers.append(self._worker(number))
        for number in range(GATEWAYS):
            self.gateways.append(self._gateway(number, network))
        self._stack.callback(self._end)
        self.tap = Tap(self.broker, self.passwords["cloud"])
        self._stack.callback(self.tap.close)
        if not self.tap.joined.wait(WAIT_S):
            raise NotInTime("the tap has not joined the broker")

    def _worker(self, number: int) -> Part:
        dsn = make_conninfo(
            self.server.postgres.dsn(self.database, "tallygate_ingest"),
            host=self.worker_database.host, port=self.worker_database.port,
        )  # fmt: skip
        environment = dict(os.environ) | {
            "TALLYGATE_DSN": dsn, "TALLYGATE_MQTT_HOST": self.worker_broker.host,
            "TALLYGATE_MQTT_PORT": str(self.worker_broker.port), "TALLYGATE_MQTT_USER": "cloud",
            "TALLYGATE_MQTT_PASSWORD": self.passwords["cloud"], "TALLYGATE_LEASE_S": str(LEASE_S),
        }  # fmt: skip
        argv = [sys.executable, "-m", "tallygate", "ingest", "--name", f"worker-{number}"]
        return Part(f"worker-{number}", argv, environment, self.folder / f"worker-{number}.log")

    def _gateway(self, number: int, network: Network | None) -> Part:
        name = gateway_name(number)
        host = None if network is None else network.host()
        way: Link | Proxy
        if host is None:
            way = self._stack.enter_context(Proxy(self.broker.port))
        else:
            way = host.link(self.broker.port)
        self.gateway_ways.append(way)
        (self.folder / f"{name}.password").write_text(self.passwords[name], encoding="utf-8")
        self.script_file(number).write_text("", encoding="utf-8")
        settings = {
            "company": COMPANY, "site": SITE, "name": name, "host": way.host, "port": way.port,
            "pace_s": PLAY_S / len(self.script.logs[number]),
            "outbox": str(self.folder / f"{name}.db"), "password_file": str(self.folder / f"{name}.password"),
            "script": str(self.script_file(number)), "seed": self.script.seed,
        }  # fmt: skip
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(settings), encoding="utf-8")
        argv = [sys.executable, "-m", "tests.chaos.gateway", str(path)]
        return Part(name, argv, dict(os.environ), self.folder / f"{name}.log", host)

    def script_file(self, gateway: int) -> Path:
        return self.folder / f"{gateway_name(gateway)}.script"

    # ── the course of a run ─────────────────────────────────────────────────────────────────────────

    def start_workers(self) -> None:
        """They take a few seconds until they serve."""
        for worker in self.workers:
            worker.start()

    def start_gateways(self) -> None:
        """When every lane is served; all but the last line of each script is there. Raises NotInTime."""
        await_that(self._is_served, "the workers to take the lanes")
        for number in range(GATEWAYS):
            self._write_script(number, self.script.lines(number)[:-1])
        for gateway in self.gateways:
            gateway.start()

    def _end(self) -> None:
        parts = (*self.workers, *self.gateways)
        for part in parts:
            part.send(signal.SIGCONT)
            part.send(signal.SIGTERM)
        for part in parts:
            part.end()

    def _is_served(self) -> bool:
        with self.owner() as owner:
            found = owner.execute("SELECT count(*) FROM lane_leases WHERE expires_at > now()").fetchone()
        return found is not None and found[0] == LANES

    def end_scripts(self) -> None:
        """The last lines, which come behind everything that was sent before."""
        for number in range(GATEWAYS):
            self._write_script(number, self.script.lines(number))

    def _write_script(self, number: int, lines: list[str]) -> None:
        new = self.script_file(number).with_suffix(".new")
        new.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        new.replace(self.script_file(number))

    def all_well(self) -> None:
        """Nothing is dead, paused or cut off any more."""
        for way in (*self.gateway_ways, self.worker_broker, self.worker_database):
            way.heal()
        with suppress(ProcessLookupError, ChildTrouble):  # dead, and just being started again
            os.kill(self.broker.pid, signal.SIGCONT)
        self.broker.wait_until_ready()
        self.server.postgres.wait_until_ready()
        for part in (*self.workers, *self.gateways):
            part.ensure_running()

    def await_applied(self, numbers: int) -> None:
        """Until so many numbers of each gateway's log are applied, or their epochs' last. Raises NotInTime."""
        wanted = {gateway_name(n): len(log) - numbers for n, log in enumerate(self.script.logs)}
        state: dict[str, int] = {}

        def is_there() -> bool:
            with suppress(psycopg.OperationalError):
                state.update(self.applied())
            return state == wanted

        try:
            await_that(is_there, "the logs to be applied")
        except NotInTime as late:
            raise NotInTime(f"{late}: expected {wanted}, got {state}") from None

    def applied(self) -> dict[str, int]:
        """How many numbers of each gateway's log are applied, those of all its epochs together."""
        with self.owner() as owner:
            rows = owner.execute(
                "SELECT g.code, coalesce(sum(l.applied_seq), 0)::integer FROM gateways g"
                " LEFT JOIN gateway_logs l USING (company_id, gateway_id) GROUP BY g.code"
            )
            return dict(rows.fetchall())

    def replay(self, times: int, chance: random.Random) -> int:
        """Send every message that was ever sent again, in any order; how many."""
        clients = {}
        for number in range(GATEWAYS):
            name = gateway_name(number)
            client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"again-{name}", protocol=mqtt.MQTTv311)
            client.username_pw_set(name, self.passwords[name])
            client.connect(self.broker.host, self.broker.port)
            client.loop_start()
            clients[name] = client
        kept = list(self.tap.messages)
        sent = []
        for _ in range(times):
            chance.shuffle(kept)
            sent += [clients[topic.split("/")[-2]].publish(topic, payload, 1) for topic, payload in kept]
        for message in sent:
            message.wait_for_publish(WAIT_S)
        for client in clients.values():
            client.disconnect()
            client.loop_stop()
        return len(sent)

    @contextmanager
    def owner(self) -> Iterator[psycopg.Connection]:
        with psycopg.connect(
            self.server.postgres.dsn(self.database, OWNER), autocommit=True, connect_timeout=5
        ) as connection:
            yield connection
