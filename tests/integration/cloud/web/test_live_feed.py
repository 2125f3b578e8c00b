"""News for browsers: hints arrive at once, lost hints are swept up, streams end when they should."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import psycopg
import pytest

from cloud.console import live
from tests.web_house import PASSWORD, RunningWeb, person_with_password, start_web

DEADLINE_S = 20.0


@contextmanager
def page_of(house: Any, address: str | None = None) -> Iterator[httpx.Client]:
    """A browser that is signed in."""
    if not house.warehouse.fetch("SELECT 1 FROM people WHERE sign_in = 'wang'"):
        person_with_password(house.owner, house.warehouse.company_id, "wang")
    with httpx.Client(base_url=address or house.web.address, timeout=DEADLINE_S) as http:
        form = http.get("/sign-in").text
        token = form.split('name="token" value="')[1][:64]
        http.post("/sign-in", data={"name": "wang", "password": PASSWORD, "token": token})
        yield http


class Stream:
    """The events of one open page, read in a thread of its own."""

    def __init__(self, http: httpx.Client) -> None:
        self.events: list[str] = []
        self.ended = threading.Event()
        self._arrived = threading.Condition()
        self._opened = threading.Event()
        self._http = http
        self._response: httpx.Response | None = None
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        assert self._opened.wait(DEADLINE_S)

    def _read(self) -> None:
        try:
            with self._http.stream("GET", "/live", timeout=httpx.Timeout(DEADLINE_S, read=60)) as response:
                self._response = response
                self._opened.set()
                for line in response.iter_lines():
                    if line.startswith("event: "):
                        with self._arrived:
                            self.events.append(line[7:])
                            self._arrived.notify_all()
        except httpx.TransportError:
            pass
        finally:
            self._opened.set()
            with self._arrived:
                self.ended.set()
                self._arrived.notify_all()

    def wait_for(self, event: str, after: int = 0) -> int:
        """How many events have come when `event` is among those behind the first `after`."""
        deadline = time.monotonic() + DEADLINE_S
        with self._arrived:
            while event not in self.events[after:]:
                left = deadline - time.monotonic()
                assert left > 0, f"no {event} in {self.events[after:]}"
                assert not self.ended.is_set(), f"the stream ended after {self.events}"
                self._arrived.wait(left)
            return len(self.events)

    def close(self) -> None:
        """Leave as a closed tab does; closing from this thread alone would not wake the one that reads."""
        assert self._response is not None
        connection = self._response.extensions["network_stream"].get_extra_info("socket")
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        assert self.ended.wait(DEADLINE_S)


def hint(house: Any, company_id: int | None = None) -> None:
    """What a batch says when it commits."""
    payload = {"company": company_id or house.warehouse.company_id, "lane": 0, "batch": 17}
    house.owner.execute("SELECT pg_notify('tallygate_commits', %s)", [json.dumps(payload)])


def listener_pid(house: Any, besides: int | None = None) -> int:
    """The backend of the service that listens, the newest one, other than `besides`."""
    deadline = time.monotonic() + DEADLINE_S
    with psycopg.connect(house.api_dsn, autocommit=True) as connection:  # a role sees its own sessions only
        while True:
            row = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE application_name = 'tallygate live' AND pid <> %s"
                " AND datname = current_database() AND query LIKE 'LISTEN%%' AND state = 'idle'"
                " ORDER BY backend_start DESC LIMIT 1",
                [besides or 0],
            ).fetchone()
            if row is not None:
                pid: int = row[0]
                return pid
            assert time.monotonic() < deadline, "nobody listens"
            time.sleep(0.02)


@pytest.fixture
def hinted(house: Any) -> Iterator[RunningWeb]:
    """A service that does not sweep: what comes, came by a hint. It listens before the test begins."""
    others = listener_pid(house)
    web = start_web(house.api_dsn, sweep_s=3600)
    listener_pid(house, besides=others)
    yield web
    web.stop()


def test_a_commit_is_told_to_open_pages_at_once(house: Any, hinted: RunningWeb) -> None:
    with page_of(house, hinted.address) as http:
        stream = Stream(http)
        seen = stream.wait_for("hello")
        hint(house)
        stream.wait_for("changed", seen)
        stream.close()


def test_a_lost_hint_is_swept_up(house: Any) -> None:
    with page_of(house) as http:
        stream = Stream(http)
        seen = stream.wait_for("hello")
        summary = {"gate": "dock-1", "reads": 4, "tags_total": 0, "tags": []}
        house.owner.execute(
            "INSERT INTO gate_readings VALUES (%s, 'dock-1', now(), %s, 4) ON CONFLICT (company_id, gate)"
            " DO UPDATE SET received_at = now(), summary = excluded.summary",
            [house.warehouse.company_id, json.dumps(summary)],
        )
        reads = None
        while reads != 4:  # the first sweep of a page that has just opened says `changed` in any case
            seen = stream.wait_for("changed", seen)
            gates = {gate["code"]: gate for gate in http.get("/live/state").json()["gates"]}
            reads = gates["dock-1"]["reads"]
        stream.close()


@pytest.mark.parametrize("payload", ["", "{", "[]", '{"company": "1"}', '{"company": -1}', "7", "[" * 4000])
def test_a_strange_hint_does_no_harm(house: Any, hinted: RunningWeb, payload: str) -> None:
    with page_of(house, hinted.address) as http:
        stream = Stream(http)
        seen = stream.wait_for("hello")
        house.owner.execute("SELECT pg_notify('tallygate_commits', %s)", [payload])
        hint(house)
        stream.wait_for("changed", seen)
        stream.close()


def test_a_page_hears_nothing_of_another_company(house: Any, hinted: RunningWeb) -> None:
    with page_of(house, hinted.address) as http:
        stream = Stream(http)
        seen = stream.wait_for("hello")
        hint(house, 999_999)
        hint(house)
        stream.wait_for("changed", seen)
        feed = hinted.server.config.app.state.live_feed  # type: ignore[union-attr]
        assert (feed.version(house.warehouse.company_id), feed.version(999_999)) == (1, 0)
        stream.close()


def test_many_changes_are_one_event_for_a_page_that_has_not_looked_yet() -> None:
    import asyncio

    async def story() -> list[bytes]:
        feed = live.LiveFeed("", None)  # type: ignore[arg-type]  # nothing here asks the database
        events = feed.stream(1, lambda: True)
        got = [await anext(events)]
        for _ in range(1000):
            feed.changed(1)
        got.append(await anext(events))
        feed.close()
        got += [event async for event in events]
        return got

    got = asyncio.run(story())
    assert [b"changed" in event for event in got] == [False, True]


def test_a_stream_that_hears_nothing_says_that_it_is_alive(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "KEEPALIVE_S", 0.2)
    with page_of(house) as http:
        stream = Stream(http)
        stream.wait_for("alive")
        stream.close()


def test_a_stream_ends_with_its_session(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "KEEPALIVE_S", 0.2)
    with page_of(house) as http:
        stream = Stream(http)
        stream.wait_for("alive")
        house.owner.execute("DELETE FROM sessions")
        stream.wait_for("signed-out")
        assert stream.ended.wait(DEADLINE_S)


def test_a_page_that_goes_is_forgotten(house: Any) -> None:
    feed = house.web.server.config.app.state.live_feed
    with page_of(house) as http:
        stream = Stream(http)
        stream.wait_for("hello")
        stream.close()
    deadline = time.monotonic() + DEADLINE_S
    while feed._waiting or feed._fingerprints:
        assert time.monotonic() < deadline, feed._waiting
        time.sleep(0.02)


def test_more_pages_than_a_process_serves_are_refused(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "STREAMS_MAX", 1)
    with page_of(house) as http:
        stream = Stream(http)
        stream.wait_for("hello")
        refused = http.get("/live")
        assert (refused.status_code, refused.headers["Content-Type"]) == (503, "application/problem+json")
        assert int(refused.headers["Retry-After"]) > 0
        stream.close()


def test_the_service_ends_at_once_with_pages_open(own_house: Any) -> None:
    web = start_web(own_house.api_dsn)
    with page_of(own_house, web.address) as http:
        stream = Stream(http)
        stream.wait_for("hello")
        began = time.monotonic()
        web.stop()
        assert stream.ended.wait(DEADLINE_S)
        assert time.monotonic() - began < 4.5, "it waited for the stream's own end"


def test_a_listener_whose_connection_is_cut_listens_again(
    house: Any, hinted: RunningWeb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "RECONNECT_FIRST_S", 0.05)
    with page_of(house, hinted.address) as http:
        stream = Stream(http)
        seen = stream.wait_for("hello")
        with psycopg.connect(house.api_dsn, autocommit=True) as connection:
            pid = listener_pid(house)
            assert connection.execute("SELECT pg_terminate_backend(%s)", [pid]).fetchone() == (True,)
        seen = stream.wait_for("changed", seen)  # said when it listens again: what was missed is looked up
        hint(house)
        stream.wait_for("changed", seen)
        stream.close()
