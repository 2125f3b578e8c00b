"""Networks that a test can break: links that fall silent and come back, between programs on this machine.

Two ways, with the same words (`host`, `port`, `cut`, `heal`), so that a harness takes whichever can be had:

    Proxy     a relay on loopback for TCP. Needs nothing. `cut` holds every byte back; connections stay open, and new
              ones are taken and lead nowhere. Also `reset`, `refuse`, `delay` and `drop`.
    Network   network namespaces of Linux, for root. Programs and threads run inside a `Host`; each of its links leads
              to one server on this machine's loopback. `cut` drops every packet, one way or both, and tells nobody:
              no reset, no ICMP, no lost carrier. TCP finds out by its own time limits, as it would in a warehouse.

Packets are dropped by a queue without room (`tc … pfifo limit 0`) at the link's ends, because the kernels here have
neither netem nor a firewall. Neighbours are entered by hand: ARP, dropped too, would end in "no route to host".
A server on loopback is reached through a Proxy that listens at the link's outer end. So while a link is cut the
server's own connection looks idle and not dead: it ends when the link heals, the Proxy stops or the server gives up.

Everything made here carries our process id in its name and goes at the end of the `with` block; what a killed run left
behind goes at the next one's beginning.
"""

import asyncio
import contextlib
import ctypes
import itertools
import os
import shutil
import signal
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import pytest

from standalone.ports import HOST

COMMAND_TIMEOUT_S = 10.0
CONTROL_TIMEOUT_S = 10.0  # for the relay's loop to do what it was told
CONNECT_TIMEOUT_S = 5.0
KILL_TIMEOUT_S = 10.0
MOST_LINKS = 64  # of a process at a time
CHUNK_BYTES = 1 << 16
MOST_CHUNKS = 64  # held back in one direction of one connection; then the sender has to wait

_PREFIX = "tgn"
# RFC 2544, section 12: set aside for tests between networks, so nobody's own.
_NETWORK = (198, 18)
_HOSTS = "abcdefghijklmnopqrstuvwxy"
_CLONE_NEWNET = 0x40000000  # setns(2)
_NAMESPACES = Path("/run/netns")

_numbers = itertools.count()

T = TypeVar("T")


class CannotBreak(RuntimeError):
    """The network cannot be made or broken as asked."""


# ── A relay on loopback ─────────────────────────────────────────────────────────────────────────────


@dataclass(eq=False, slots=True)
class _Connection:
    """One connection through the relay."""

    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    has_lost: bool = False


class Proxy:
    """A TCP relay to a server that can be cut, reset, delayed and made to lose; usable from any thread.

    counters: connections, and bytes `up` (to the server) and `down` that were handed on.
    """

    def __init__(self, target_port: int, target_host: str = HOST, host: str = HOST) -> None:
        self.host = host
        self.port = 0
        self.counters: Counter[str] = Counter()
        self._target = (target_host, target_port)
        self._delay_s = 0.0
        self._drops = False
        self._refuses = False
        self._connections: set[_Connection] = set()
        self._loop = asyncio.new_event_loop()
        self._open = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)
        self._server: asyncio.Server | None = None

    def start(self) -> Self:
        """Listen on a free port. Raises OSError."""
        self._thread.start()
        try:
            self._tell(self._listen())
        except BaseException:
            self._end()
            raise
        return self

    def stop(self) -> None:
        """Close everything; stopping twice is harmless."""
        if self._thread.is_alive():
            self._tell(self._close())
            self._end()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- what can go wrong --------------------------------------------------------------------

    def cut(self) -> None:
        """From now on nothing passes either way, also no end of a connection, and nobody is told."""
        self._do(self._open.clear)

    def heal(self) -> None:
        """All is well again: what was held back goes on; connections that lost bytes are reset."""

        def heal() -> None:
            self._refuses = self._drops = False
            self._delay_s = 0.0
            self._open.set()
            for one in [one for one in self._connections if one.has_lost]:
                _abort(one)

        self._do(heal)

    def reset(self) -> None:
        """Every connection is reset now; new ones are taken."""

        def reset() -> None:
            for one in list(self._connections):
                _abort(one)

        self._do(reset)

    def refuse(self) -> None:
        """Every connection is reset now, and new ones at once, until it heals."""

        def refuse() -> None:
            self._refuses = True
            for one in list(self._connections):
                _abort(one)

        self._do(refuse)

    def delay(self, seconds: float) -> None:
        """Every byte from now on arrives so much later, in order."""
        self._do(lambda: setattr(self, "_delay_s", seconds))

    def drop(self) -> None:
        """Bytes are taken and thrown away until it heals; a connection that lost some is reset then."""
        self._do(lambda: setattr(self, "_drops", True))

    # -- inside the loop ----------------------------------------------------------------------

    async def _listen(self) -> None:
        self._open.set()
        self._server = await asyncio.start_server(self._serve, self.host, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        for one in list(self._connections):
            _abort(one)
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(writers=[writer])
        self._connections.add(connection)
        self.counters["connections"] += 1
        try:
            if self._refuses:
                return
            await self._open.wait()
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                far_reader, far_writer = await asyncio.open_connection(*self._target)
            connection.writers.append(far_writer)
            for source, target, name in ((reader, far_writer, "up"), (far_reader, writer, "down")):
                chunks: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(MOST_CHUNKS)
                connection.tasks.append(asyncio.create_task(self._take(source, chunks)))
                connection.tasks.append(asyncio.create_task(self._give(chunks, target, name, connection)))
            await asyncio.gather(*connection.tasks)
        except (OSError, TimeoutError, asyncio.CancelledError):
            pass  # one end is gone, or the relay stops: the other end hears of it below
        finally:
            self._connections.discard(connection)
            _abort(connection)

    async def _take(self, source: asyncio.StreamReader, chunks: "asyncio.Queue[tuple[float, bytes]]") -> None:
        """Read what comes, with the moment from which on it may go on; nothing stands for the end."""
        chunk = b"?"
        while chunk:
            try:
                chunk = await source.read(CHUNK_BYTES)
            except ConnectionError:
                chunk = b""
            await chunks.put((self._loop.time() + self._delay_s, chunk))

    async def _give(
        self,
        chunks: "asyncio.Queue[tuple[float, bytes]]",
        target: asyncio.StreamWriter,
        name: str,
        connection: _Connection,
    ) -> None:
        while True:
            due_s, chunk = await chunks.get()
            if (wait_s := due_s - self._loop.time()) > 0:
                await asyncio.sleep(wait_s)
            await self._open.wait()
            if self._drops:
                connection.has_lost = True
                if chunk:
                    continue
            if not chunk:
                target.write_eof()
                return
            target.write(chunk)
            await target.drain()
            self.counters[name] += len(chunk)

    # -- from other threads -------------------------------------------------------------------

    def _tell(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CONTROL_TIMEOUT_S)

    def _do(self, change: Callable[[], None]) -> None:
        async def work() -> None:
            change()

        self._tell(work())

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CONTROL_TIMEOUT_S)
        self._loop.close()


def _abort(connection: _Connection) -> None:
    """Both ends get a reset, and nothing that was on its way."""
    for task in connection.tasks:
        task.cancel()
    for writer in connection.writers:
        if (sock := writer.get_extra_info("socket")) is not None and sock.fileno() >= 0:
            # Closing with a linger of 0 s sends a reset.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.transport.abort()


# ── Network namespaces ──────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _End:
    """One end of a link: its device, and the namespace that it lies in (empty: this machine's own)."""

    device: str
    namespace: str
    address: str
    hardware: str


class Link:
    """The way from a host to one server, at `host` and `port` as seen from inside."""

    def __init__(self, proxy: Proxy, near: _End, far: _End) -> None:
        self._proxy = proxy
        self._near = near
        self._far = far

    @property
    def host(self) -> str:
        """The address to connect to from inside."""
        return self._proxy.host

    @property
    def port(self) -> int:
        """The port to connect to from inside."""
        return self._proxy.port

    @property
    def counters(self) -> Counter[str]:
        """What the relay at the outer end has handed on."""
        return self._proxy.counters

    def cut(self, *, outward: bool = True, inward: bool = True) -> None:
        """Drop every packet from now on: those from the host (outward), those to it (inward). Nobody is told."""
        for end, is_cut in ((self._near, outward), (self._far, inward)):
            if is_cut:
                _tc(end, "replace", "pfifo", "limit", "0")

    def heal(self) -> None:
        """Packets pass again; TCP sends what was lost once more."""
        for end in (self._near, self._far):
            # Gone already where only one way was cut.
            with contextlib.suppress(CannotBreak):
                _tc(end, "del")

    def close(self) -> None:
        """Stop the relay and take the devices away, at once: a namespace keeps them until its last socket goes."""
        self._proxy.stop()
        with contextlib.suppress(CannotBreak):
            _ip("link", "del", self._far.device)


class Host:
    """A network namespace: nothing reaches the world from it but its links."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self._processes: list[subprocess.Popen[Any]] = []
        self._links: list[Link] = []

    def link(self, port: int) -> Link:
        """A link to a server on 127.0.0.1. Raises CannotBreak."""
        number, outer, inner = _next_subnet()
        far = _End(f"{self.namespace}o{number}", "", outer, f"02:54:47:{number:02x}:00:01")
        near = _End(f"{self.namespace}i{number}", self.namespace, inner, f"02:54:47:{number:02x}:00:02")
        _ip(
            *("link", "add", far.device, "address", far.hardware, "type", "veth"),
            *("peer", "name", near.device, "address", near.hardware, "netns", near.namespace),
        )
        for end, other in ((far, near), (near, far)):
            _ip("addr", "add", f"{end.address}/30", "dev", end.device, namespace=end.namespace)
            _ip("link", "set", end.device, "up", namespace=end.namespace)
            _ip(
                *(
                    "neigh",
                    "replace",
                    other.address,
                    "lladdr",
                    other.hardware,
                    "dev",
                    end.device,
                    "nud",
                    "permanent",
                ),
                namespace=end.namespace,
            )
        link = Link(Proxy(port, host=far.address).start(), near, far)
        self._links.append(link)
        return link

    def popen(
        self, argv: Sequence[str], environment: Mapping[str, str] | None = None, **more: Any
    ) -> subprocess.Popen[Any]:
        """Start a program inside; its process id is the program's own. It is killed at the end at the latest."""
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.namespace, *argv],
            env=None if environment is None else dict(environment),
            **more,
        )
        self._processes.append(process)
        return process

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """The calling thread is inside: sockets that it makes meanwhile belong there, also when it has left.

        Threads that it starts meanwhile stay inside.
        """
        with (
            Path("/proc/thread-self/ns/net").open("rb") as home,
            (_NAMESPACES / self.namespace).open("rb") as inside,
        ):
            _setns(inside.fileno())
            try:
                yield
            finally:
                _setns(home.fileno())

    def close(self) -> None:
        """Kill what still runs inside, and take the namespace away with its devices."""
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.wait(KILL_TIMEOUT_S)
        for link in self._links:
            link.close()
        _ip("netns", "del", self.namespace)


class Network:
    """Hosts of one test: `with Network() as network: worker = network.host()`."""

    def __init__(self) -> None:
        self._hosts: list[Host] = []

    def __enter__(self) -> Self:
        if why := why_no_namespaces():
            raise CannotBreak(why)
        remove_leftovers()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.ExitStack() as stack:
            for host in self._hosts:
                stack.callback(host.close)
        self._hosts = []

    def host(self) -> Host:
        """A new namespace with nothing but its own loopback. Raises CannotBreak."""
        # Device names have 15 characters: prefix, process id, host, side, link.
        names = [f"{_PREFIX}{os.getpid():x}{letter}" for letter in _HOSTS]
        free = [name for name in names if not (_NAMESPACES / name).exists()]
        if not free:
            raise CannotBreak(f"expected at most {len(_HOSTS)} hosts in a process")
        _ip("netns", "add", free[0])
        host = Host(free[0])
        self._hosts.append(host)
        _ip("link", "set", "lo", "up", namespace=free[0])
        return host


def _next_subnet() -> tuple[int, str, str]:
    """(number of the link, its outer address, its inner one), apart from those of other processes."""
    number = next(_numbers) % MOST_LINKS
    block = (os.getpid() * MOST_LINKS + number) % (1 << 15) * 4
    second, rest = divmod(block, 1 << 16)
    third, fourth = divmod(rest, 1 << 8)
    stem = f"{_NETWORK[0]}.{_NETWORK[1] + second}.{third}"
    return number, f"{stem}.{fourth + 1}", f"{stem}.{fourth + 2}"


def why_no_namespaces() -> str | None:
    """What is missing for a Network here; None when nothing is."""
    if os.geteuid() != 0:
        return "only root makes network namespaces"
    if missing := [name for name in ("ip", "tc") if shutil.which(name) is None]:
        return f"no {' and no '.join(missing)} on this machine (package iproute2)"
    probe = f"{_PREFIX}{os.getpid():x}z"
    try:
        _ip("netns", "add", probe)
        try:
            _ip("link", "add", f"{probe}0", "type", "veth", "peer", "name", f"{probe}1", namespace=probe)
            _tc(_End(f"{probe}0", probe, "", ""), "replace", "pfifo", "limit", "0")
        finally:
            _ip("netns", "del", probe)
    except CannotBreak as error:
        return f"this kernel makes no network namespaces for us: {error}"
    return None


def needs_namespaces() -> None:
    """Skip the calling test, saying why, where no Network can be had."""
    if why := why_no_namespaces():
        pytest.skip(f"{why}: no partition by dropped packets")


def remove_leftovers() -> list[str]:
    """Take away namespaces of runs that were killed; their names."""
    gone = []
    for path in _NAMESPACES.glob(f"{_PREFIX}*"):
        number = path.name[len(_PREFIX) : -1]
        with contextlib.suppress(ValueError):
            if not Path(f"/proc/{int(number, 16)}").exists():
                _ip("netns", "del", path.name)
                gone.append(path.name)
    return gone


def _ip(*words: str, namespace: str = "") -> None:
    _run(["ip", *(("-n", namespace) if namespace else ()), *words])


def _tc(end: _End, verb: str, *words: str) -> None:
    _run(
        ["tc", *(("-n", end.namespace) if end.namespace else ()), "qdisc", verb, "dev", end.device, "root", *words]
    )


def _run(argv: Sequence[str]) -> None:
    try:
        subprocess.run(argv, capture_output=True, text=True, check=True, timeout=COMMAND_TIMEOUT_S)
    except subprocess.CalledProcessError as error:
        raise CannotBreak(f"`{' '.join(argv)}`: {error.stderr.strip()}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotBreak(f"`{' '.join(argv)}`: {error}") from error


def _setns(descriptor: int) -> None:
    # os.setns is there from Python 3.12 on.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"setns: {os.strerror(number)}")
