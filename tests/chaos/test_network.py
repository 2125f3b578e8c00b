"""Broken networks break as they say: silence is silence, healing brings everything back, nothing is left behind."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from psycopg.conninfo import make_conninfo

from standalone.postgres import Postgres
from tests.chaos.network import (
    CannotBreak,
    Host,
    Link,
    Network,
    Proxy,
    needs_namespaces,
    remove_leftovers,
    why_no_namespaces,
)

WAIT_S = 20.0
SILENCE_S = 0.5  # so long nothing may come; what should not come cannot be awaited


@dataclass
class Echo:
    """A server that says again what it hears, and remembers how connections ended."""

    ends: list[str] = field(default_factory=list)
    heard: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(1 << 16):
                    self.heard += data
                    connection.sendall(data)
                self.ends.append("closed")
            except ConnectionError:
                self.ends.append("reset")

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    made = Echo()
    yield made
    made.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    with Proxy(echo.port) as made:
        yield made


@pytest.fixture
def network() -> Iterator[Network]:
    needs_namespaces()
    with Network() as made:
        yield made


def connect(way: Proxy | Link, host: Host | None = None) -> socket.socket:
    if host is None:
        return socket.create_connection((way.host, way.port), WAIT_S)
    with host.entered():
        return socket.create_connection((way.host, way.port), WAIT_S)


def says(connection: socket.socket, text: bytes) -> bytes:
    connection.sendall(text)
    return hears(connection, len(text))


def hears(connection: socket.socket, size: int) -> bytes:
    connection.settimeout(WAIT_S)
    found = b""
    while len(found) < size and (data := connection.recv(size - len(found))):
        found += data
    return found


def hears_nothing(connection: socket.socket) -> bool:
    connection.settimeout(SILENCE_S)
    try:
        connection.recv(1)
    except TimeoutError:
        return True
    return False


def eventually(question: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not question():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


# ── The relay ───────────────────────────────────────────────────────────────────────────────────────


def test_a_relay_hands_on_both_ways_and_counts(proxy: Proxy, echo: Echo) -> None:
    with connect(proxy) as one, connect(proxy) as other:
        big = os.urandom(1 << 20)
        threading.Thread(target=one.sendall, args=(big,), daemon=True).start()
        assert hears(one, len(big)) == big
        assert says(other, b"two") == b"two"
    eventually(lambda: echo.ends == ["closed", "closed"])
    assert (proxy.counters["connections"], proxy.counters["up"]) == (2, len(big) + 3)


def test_a_cut_relay_is_silent_and_healed_it_brings_what_was_said_meanwhile(proxy: Proxy, echo: Echo) -> None:
    with connect(proxy) as connection:
        assert says(connection, b"before") == b"before"
        proxy.cut()
        connection.sendall(b"during")
        assert hears_nothing(connection)
        assert bytes(echo.heard) == b"before"
        proxy.heal()
        assert hears(connection, 6) == b"during"


def test_who_connects_to_a_cut_relay_is_served_when_it_heals(proxy: Proxy, echo: Echo) -> None:
    proxy.cut()
    with connect(proxy) as connection:
        connection.sendall(b"hello")
        assert hears_nothing(connection)
        assert echo.heard == b""
        proxy.heal()
        assert hears(connection, 5) == b"hello"


def test_the_end_of_a_connection_does_not_pass_a_cut(proxy: Proxy, echo: Echo) -> None:
    with connect(proxy) as connection:
        assert says(connection, b"x") == b"x"
        proxy.cut()
    time.sleep(SILENCE_S)
    assert echo.ends == []
    proxy.heal()
    eventually(lambda: echo.ends != [])


def test_a_reset_reaches_both_ends_and_the_next_connection_works(proxy: Proxy, echo: Echo) -> None:
    with connect(proxy) as connection:
        assert says(connection, b"x") == b"x"
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            hears(connection, 1)
    eventually(lambda: echo.ends == ["reset"])
    with connect(proxy) as connection:
        assert says(connection, b"y") == b"y"


def test_a_refusing_relay_resets_whoever_comes(proxy: Proxy, echo: Echo) -> None:
    proxy.refuse()
    with pytest.raises(ConnectionResetError):
        _speaks_to(proxy)
    assert echo.heard == b""
    proxy.heal()
    with connect(proxy) as connection:
        assert says(connection, b"y") == b"y"


def test_a_slow_relay_is_late_but_in_order(proxy: Proxy) -> None:
    with connect(proxy) as connection:
        proxy.delay(0.2)
        began_s = time.monotonic()
        for number in range(10):
            connection.sendall(bytes([number]))
        assert hears(connection, 10) == bytes(range(10))
        assert time.monotonic() - began_s >= 0.4  # there and back
        proxy.heal()
        assert says(connection, b"x") == b"x"


def test_who_lost_bytes_is_reset_when_the_relay_heals(proxy: Proxy, echo: Echo) -> None:
    with connect(proxy) as unharmed, connect(proxy) as connection:
        assert says(unharmed, b"x") == says(connection, b"x")
        proxy.drop()
        connection.sendall(b"lost")
        assert hears_nothing(connection)
        proxy.heal()
        with pytest.raises(ConnectionResetError):
            hears(connection, 1)
        assert says(unharmed, b"y") == b"y"
    assert bytes(echo.heard) == b"xxy"


def test_what_a_cut_relay_holds_back_is_bounded(proxy: Proxy) -> None:
    with connect(proxy) as connection:
        assert says(connection, b"x") == b"x"
        proxy.cut()
        assert _sent_until_it_blocks(connection) < 1 << 26
        proxy.reset()


def _speaks_to(proxy: Proxy) -> None:
    """The reset may come while it connects, or when it speaks."""
    with connect(proxy) as connection:
        hears(connection, 1)


def _sent_until_it_blocks(connection: socket.socket) -> int:
    connection.settimeout(SILENCE_S)
    sent = 0
    with contextlib.suppress(TimeoutError):
        while sent < 1 << 28:
            sent += connection.send(bytes(1 << 20))
    return sent


# ── Namespaces ──────────────────────────────────────────────────────────────────────────────────────


def test_a_cut_link_drops_in_silence_and_a_healed_one_brings_everything(network: Network, echo: Echo) -> None:
    host = network.host()
    link = host.link(echo.port)
    with connect(link, host) as connection:
        assert says(connection, b"before") == b"before"
        link.cut()
        connection.sendall(b"during")
        assert hears_nothing(connection)
        assert bytes(echo.heard) == b"before"
        link.heal()
        assert hears(connection, 6) == b"during"
    eventually(lambda: echo.ends == ["closed"])


def test_who_connects_over_a_cut_link_waits_and_is_not_refused(network: Network, echo: Echo) -> None:
    host = network.host()
    link = host.link(echo.port)
    link.cut()
    with host.entered(), pytest.raises(TimeoutError):
        socket.create_connection((link.host, link.port), 2 * SILENCE_S)
    link.heal()
    with connect(link, host) as connection:
        assert says(connection, b"x") == b"x"


def test_a_link_can_be_cut_one_way(network: Network, echo: Echo) -> None:
    host = network.host()
    link = host.link(echo.port)
    with connect(link, host) as connection:
        assert says(connection, b"x") == b"x"
        link.cut(outward=False)
        connection.sendall(b"arrives")
        eventually(lambda: bytes(echo.heard) == b"xarrives")
        assert hears_nothing(connection)
        link.heal()
        assert hears(connection, 7) == b"arrives"


def test_links_are_cut_apart(network: Network, echo: Echo) -> None:
    host, other = network.host(), network.host()
    first, second, third = host.link(echo.port), host.link(echo.port), other.link(echo.port)
    first.cut()
    with connect(second, host) as near, connect(third, other) as far:
        assert says(near, b"x") == says(far, b"x") == b"x"


def test_nothing_but_its_links_is_reached_from_a_host(network: Network, echo: Echo) -> None:
    host = network.host()
    host.link(echo.port)
    with host.entered(), pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", echo.port), SILENCE_S)
    with connect(Proxy(echo.port).start()) as outside:  # the thread is back
        assert says(outside, b"x") == b"x"


def test_threads_that_are_started_inside_stay_there(network: Network, echo: Echo) -> None:
    host = network.host()
    link = host.link(echo.port)
    left = threading.Event()
    heard: list[bytes] = []

    def speak() -> None:
        left.wait(WAIT_S)
        with connect(link) as connection:
            heard.append(says(connection, b"x"))

    with host.entered():
        thread = threading.Thread(target=speak)
        thread.start()
    left.set()
    thread.join(WAIT_S)
    assert heard == [b"x"]
    assert link.counters["connections"] == 1


def test_a_program_inside_loses_the_database_in_silence_and_finds_it_again(
    network: Network, postgres_server: Postgres
) -> None:
    host = network.host()
    link = host.link(postgres_server.port)
    dsn = make_conninfo(postgres_server.superuser_dsn, host=link.host, port=link.port)
    program = (
        "import psycopg, sys\n"
        "with psycopg.connect(sys.argv[1], autocommit=True) as connection:\n"
        "    for line in sys.stdin:\n"
        "        print(connection.execute(line).fetchone()[0], flush=True)\n"
    )
    process = host.popen(
        [sys.executable, "-c", program, dsn], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("SELECT 1\n")
    process.stdin.flush()
    assert process.stdout.readline() == "1\n"
    link.cut()
    process.stdin.write("SELECT 2\n")
    process.stdin.flush()
    time.sleep(SILENCE_S)
    assert process.poll() is None
    link.heal()
    assert process.stdout.readline() == "2\n"
    process.stdin.close()
    assert process.wait(WAIT_S) == 0
    process.stdout.close()


def test_at_the_end_nothing_is_left(echo: Echo) -> None:
    needs_namespaces()
    before = _devices()
    made: list[tuple[Host, subprocess.Popen[bytes]]] = []

    def fails() -> None:
        with Network() as network:
            host = network.host()
            host.link(echo.port).cut()
            made.append((host, host.popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)))
            assert _devices() != before
            raise RuntimeError("the test failed")

    with pytest.raises(RuntimeError, match="the test failed"):
        fails()
    [(host, process)] = made
    assert process.returncode == -9
    assert process.stdin is not None
    process.stdin.close()
    assert _devices() == before
    assert not os.path.exists(f"/run/netns/{host.namespace}")


def test_what_a_killed_run_left_behind_is_taken_away() -> None:
    needs_namespaces()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait(WAIT_S)
    name = f"tgn{ended.pid:x}a"
    subprocess.run(["ip", "netns", "add", name], check=True, timeout=WAIT_S)
    assert remove_leftovers() == [name]
    assert not os.path.exists(f"/run/netns/{name}")


def test_without_root_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert why_no_namespaces() == "only root makes network namespaces"
    with pytest.raises(CannotBreak, match="only root"), Network():
        raise AssertionError


def _devices() -> list[str]:
    return sorted(name for _, name in socket.if_nameindex() if name.startswith("tgn"))
