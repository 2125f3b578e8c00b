"""A warehouse with books in it, and its web service on a port of its own: what tests of API and console share."""

import threading
import time
from dataclasses import dataclass

import httpx
import psycopg

from cloud.domain.access import Role, Scope
from cloud.flows.api_keys import make_key
from cloud.flows.sign_in import hash_password
from cloud.settings import Listen
from cloud.store.access import add_person
from cloud.wiring import WebServer, create_web
from standalone.ports import free_port
from tests.makers import Warehouse

START_TIMEOUT_S = 20.0
REQUEST_TIMEOUT_S = 20.0
PASSWORD = "correct horse battery staple"


@dataclass(slots=True)
class RunningWeb:
    """The real service: uvicorn in a thread, on loopback."""

    server: WebServer
    thread: threading.Thread
    address: str

    def stop(self) -> None:
        """End it as SIGTERM would; what does not end in time is an error."""
        self.server.should_exit = True
        self.thread.join(timeout=START_TIMEOUT_S)
        assert not self.thread.is_alive(), "the web service did not end"


def start_web(dsn: str, sweep_s: float = 0.5) -> RunningWeb:
    """Serve the database at `dsn`; returns when it answers."""
    listen = Listen("127.0.0.1", free_port())
    server = WebServer(create_web(dsn, pool_size=6, sweep_s=sweep_s), listen)
    thread = threading.Thread(target=server.run, name="web service", daemon=True)
    thread.start()
    deadline = time.monotonic() + START_TIMEOUT_S
    while not server.started:
        assert thread.is_alive(), "the web service ended at its start"
        assert time.monotonic() < deadline, "the web service did not start"
        time.sleep(0.01)
    return RunningWeb(server, thread, f"http://{listen.host}:{listen.port}")


@dataclass(slots=True)
class Client:
    """An HTTP client with one key."""

    http: httpx.Client
    key: str

    def get(self, path: str, **parameters: object) -> httpx.Response:
        """GET with the key."""
        return self.http.get(path, params=parameters, headers=self.headers)  # type: ignore[arg-type]

    def post(self, path: str, body: object, **headers: str) -> httpx.Response:
        """POST JSON with the key."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.post(path, json=body, headers=self.headers | named)

    @property
    def headers(self) -> dict[str, str]:
        """What says who calls."""
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    def everything(self, path: str, **parameters: object) -> list[dict]:
        """All rows of a list, page by page."""
        rows: list[dict] = []
        while True:
            page = self.get(path, **parameters)
            assert page.status_code == 200, page.text
            body = page.json()
            rows += body["data"]
            if not body["has_more"]:
                return rows
            parameters["cursor"] = body["next_cursor"]


def person_with_key(owner: psycopg.Connection, company_id: int, *scopes: Scope) -> str:
    """A key with these scopes for somebody new."""
    person_id = add_person(owner, company_id, "Tester", "en", {}, [Role.OPERATOR])
    return make_key(owner, person_id, scopes)


def person_with_password(
    owner: psycopg.Connection, company_id: int, sign_in: str, language: str = "en", password: str = PASSWORD
) -> int:
    """Somebody who can sign in."""
    return add_person(
        owner, company_id, sign_in.title(), language, {}, [Role.KEEPER], sign_in, hash_password(password)
    )


def fill(warehouse: Warehouse) -> None:
    """A morning's work: two receipts, a shipment, a turn-back, an unexplained pallet, an unknown tag."""
    from cloud.domain.movement import Kind

    bolts, lamps, stray = warehouse.tag(1), warehouse.tag(2, "LAMP", 4), warehouse.tag(3, "STEEL", 2)
    warehouse.expect(Kind.PURCHASE_RECEIPT, "BOLT", 10, price="4.20", party="ACME", document="PO-1")
    warehouse.expect(Kind.PURCHASE_RECEIPT, "LAMP", 4, price="33.335", party="ACME", document="PO-1")
    log = warehouse.log
    log.passage(bolts, "in", 0)
    log.passage(lamps, "in", 5)
    log.passage(stray, "in", 30)
    log.passage(bolts, "turned_back", 60)
    log.passage("E28000000000000000000BAD", "in", 90)
    warehouse.record(log.message())
    warehouse.expect(Kind.SALES_SHIPMENT, "BOLT", 10, party="SHOP", document="SO-9")
    log.passage(bolts, "out", 3600)
    warehouse.record(log.message(6))
