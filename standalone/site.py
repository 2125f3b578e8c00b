"""The demo's whole site on one machine: database, broker, virtual reader, gateway, ingest, web service.

Every part is a process of its own and the real program; only what stands beyond the gateway's plug is
virtual. A part that dies is started again, as an init system would. The state folder keeps the books, the
outbox and the secrets (0600) from one run to the next.
"""

import json
import os
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as mqtt
import psycopg
from paho.mqtt.enums import CallbackAPIVersion

from cloud.store.migrate import SERVICE_ROLES, migrate
from protocols.wire import command
from protocols.wire.topics import GatewayAddress
from standalone.broker import broker_beside
from standalone.child import Child, Program
from standalone.credentials import Credentials, User, new_password
from standalone.files import PRIVATE, replace_json, replace_text
from standalone.ports import HOST, accepts, free_port, is_free
from standalone.postgres import DATABASE, OWNER, Postgres, binaries_for

PAGE_PORT = 8080
HEARTBEAT_S = 2.0  # a person watches: a word from the gateway every two seconds
READY_TIMEOUT_S = 2.0
PUBLISH_TIMEOUT_S = 10.0
CLOUD_USER = "cloud"

# Antennas as the virtual reader mounts them.
OUTSIDE, INSIDE = (1, 2), (3, 4)


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the parts listen; remembered, so that a second run has the same address."""

    broker: int
    reader: int
    page: int


class Site:
    """The parts of a demo in a state folder. `open` brings up the database; then the others are started."""

    def __init__(self, state: Path, address: GatewayAddress, page_port: int | None = None) -> None:
        self.state = state.resolve()
        self.address = address
        self.done_file = state / "played"
        self._page_port = page_port
        self._postgres: Postgres | None = None
        self._children: dict[str, Child] = {}
        self.ports = Ports(0, 0, 0)

    # ── The database first: the goods are prepared in it before a gate sees them ──

    def open(self) -> None:
        """Start PostgreSQL and bring its schema up to date. Raises PostgresTrouble, ChildTrouble, psycopg.Error."""
        self.state.mkdir(parents=True, exist_ok=True)
        self._postgres = Postgres(self.state, binaries_for(self.state))
        self._postgres.start(keep_running=True)
        self._postgres.ensure_login(OWNER, owns_schema=True)
        self._postgres.ensure_database(DATABASE, OWNER)
        migrate(self.owner_dsn)
        replace_text(self.state / f"{OWNER}.dsn", self.owner_dsn, PRIVATE)
        for role in SERVICE_ROLES:
            self._postgres.ensure_login(role)
            replace_text(self.state / f"{role}.dsn", self._dsn_of(role), PRIVATE)

    @property
    def owner_dsn(self) -> str:
        """For the role that owns the schema."""
        return self._dsn_of(OWNER)

    @property
    def database(self) -> Postgres:
        """The running server."""
        if self._postgres is None:
            raise RuntimeError("the site is not open")
        return self._postgres

    def _dsn_of(self, role: str) -> str:
        return self.database.dsn(DATABASE, role)

    # ── The rest ──

    def start(self, reader: list[str]) -> None:
        """Start every part; `reader` are the virtual reader's own arguments. Raises ChildTrouble."""
        self.ports = self._choose_ports()
        self._write_credentials()
        self._write_gateway_settings()
        self.done_file.unlink(missing_ok=True)
        self._children["broker"] = broker_beside(
            self.state / "credentials.json", self.ports.broker, self.state / "broker.log"
        )
        self._begin("broker")
        self._add("ingest", ["ingest"], self._cloud_environment("tallygate_ingest"))
        self._add("jobs", ["jobs"], self._cloud_environment("tallygate_ingest"))
        self._add("api", ["api"], self._cloud_environment("tallygate_api"), self._page_answers)
        listen = f"{HOST}:{self.ports.reader}"
        self._add(
            "reader",
            ["reader", "--listen", listen, "--done-file", str(self.done_file), *reader],
            {},
            lambda: accepts(self.ports.reader),
        )
        self._ask_for_heartbeats()
        self._add("edge", ["edge", "--config", str(self.state / "gateway.toml")], {})

    def pid_of(self, part: str) -> int:
        """Process id of `postgres` or a part, for those who want to kill it. Raises ChildTrouble, KeyError."""
        return self.database.pid if part == "postgres" else self._children[part].pid

    def restarts_of(self, part: str) -> int:
        """How often a part was started again."""
        return self.database.restarts if part == "postgres" else self._children[part].restarts

    def stop(self) -> None:
        """Stop every part, the youngest first, the database last."""
        for part in ("reader", "edge", "api", "jobs", "ingest", "broker"):
            if part in self._children:
                self._children[part].stop()
        if self._postgres is not None:
            self._postgres.stop()

    @property
    def page(self) -> str:
        """Address of the live page."""
        return f"http://{HOST}:{self.ports.page}/"

    def _add(self, part: str, arguments: list[str], environment: dict[str, str], is_ready: object = None) -> None:
        program = Program(
            name=part,
            argv=[sys.executable, "-m", "tallygate", *arguments],
            folder=Path(__file__).resolve().parent.parent,
            log=self.state / f"{part}.log",
            environment=_base_environment() | environment,
        )
        self._children[part] = Child(program, is_ready if callable(is_ready) else lambda: True)
        self._begin(part)

    def _begin(self, part: str) -> None:
        self._children[part].start(keep_running=True)

    def _page_answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.page}healthz", timeout=READY_TIMEOUT_S) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _choose_ports(self) -> Ports:
        remembered: dict[str, int] = {}
        path = self.state / "ports.json"
        if path.exists():
            remembered = json.loads(path.read_text(encoding="utf-8"))

        def choose(name: str, wanted: int | None = None) -> int:
            for port in (wanted, remembered.get(name)):
                if port and is_free(port):
                    return port
            return free_port()

        ports = Ports(choose("broker"), choose("reader"), choose("page", self._page_port or PAGE_PORT))
        replace_json(path, {"broker": ports.broker, "reader": ports.reader, "page": ports.page})
        return ports

    def _write_credentials(self) -> None:
        """The broker's users; their passwords are made anew at every start and live in two private files."""
        passwords = {CLOUD_USER: new_password(), self.address.gateway: new_password()}
        credentials = Credentials.none()
        for user in (User(CLOUD_USER, "cloud"), User(self.address.gateway, "gateway", self.address)):
            credentials, _ = credentials.adding(user, passwords[user.name])
        credentials.save(self.state / "credentials.json")
        for name, password in passwords.items():
            replace_text(self.state / f"{name}.password", password, PRIVATE)

    def _write_gateway_settings(self) -> None:
        text = f"""\
# Written by `tallygate demo` at every start.
company = "{self.address.company}"
site = "{self.address.site}"
gateway = "{self.address.gateway}"
outbox = "outbox-{self.address.company}.db"

[broker]
host = "{HOST}"
port = {self.ports.broker}
user = "{self.address.gateway}"
password_file = "{self.address.gateway}.password"

[[portals]]
name = "dock-reader"
gate = "dock-1"
host = "{HOST}"
port = {self.ports.reader}
outside = {list(OUTSIDE)}
inside = {list(INSIDE)}
"""
        replace_text(self.state / "gateway.toml", text)

    def _ask_for_heartbeats(self) -> None:
        """Desired state, retained: the gateway reads it when it comes. Raises ChildTrouble."""
        wanted = command.Command(schema=command.SCHEMA, version=1, heartbeat_s=HEARTBEAT_S)
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"{CLOUD_USER}-demo", protocol=mqtt.MQTTv311)
        client.username_pw_set(CLOUD_USER, self._password(CLOUD_USER))
        client.connect(HOST, self.ports.broker)
        client.loop_start()
        try:
            sent = client.publish(self.address.topic("command"), command.encode(wanted), qos=1, retain=True)
            sent.wait_for_publish(PUBLISH_TIMEOUT_S)
        finally:
            client.disconnect()
            client.loop_stop()

    def _password(self, user: str) -> str:
        return (self.state / f"{user}.password").read_text(encoding="utf-8").strip()

    def _cloud_environment(self, role: str) -> dict[str, str]:
        return {
            "TALLYGATE_DSN_FILE": str(self.state / f"{role}.dsn"),
            "TALLYGATE_MQTT_HOST": HOST,
            "TALLYGATE_MQTT_PORT": str(self.ports.broker),
            "TALLYGATE_MQTT_USER": CLOUD_USER,
            "TALLYGATE_MQTT_PASSWORD_FILE": str(self.state / f"{CLOUD_USER}.password"),
            "TALLYGATE_API_LISTEN": f"{HOST}:{self.ports.page}",
        }

    # ── What the demo asks of the running site ──

    def is_settled(self, connection: psycopg.Connection, since_us: int) -> bool:
        """Whether the gateway, heard after `since_us`, holds no number that is not on the books."""
        row = connection.execute(
            "SELECT s.status, s.received_at > to_timestamp(%s / 1e6) FROM gateway_status s"
            " JOIN gateways g USING (company_id, gateway_id) JOIN companies c USING (company_id)"
            " WHERE c.code = %s AND g.site = %s AND g.code = %s AND s.online",
            [since_us, self.address.company, self.address.site, self.address.gateway],
        ).fetchone()
        if row is None or not row[1]:
            return False
        applied = {
            epoch.hex: seq for epoch, seq in connection.execute("SELECT epoch, applied_seq FROM gateway_logs")
        }
        return all(applied.get(held["epoch"], 0) >= held["last"] for held in row[0].get("epochs", ()))


def _base_environment() -> dict[str, str]:
    """Little enough that nothing of the user's shell decides what the demo does."""
    kept = {name: os.environ[name] for name in ("HOME", "TMPDIR", "NUMBA_CACHE_DIR") if name in os.environ}
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8", "PYTHONUNBUFFERED": "1", **kept}
