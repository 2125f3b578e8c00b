"""Health checks of the containers, for images that hold Python and nothing else.

    python -m standalone.healthy listening PORT     something here listens on the TCP port
    python -m standalone.healthy connected PORT     something here is connected to the port of another
    python -m standalone.healthy answers URL        the address answers with 2xx
    python -m standalone.healthy leases             some worker holds a lease in the database (TALLYGATE_DSN)
    python -m standalone.healthy jobs               a re-costing job has a session there

Exit codes: 0 healthy, 1 not, 2 called wrongly. The first two look into the kernel's table instead of
connecting: an LLRP reader has one client at a time, and a TLS broker logs every half connection.
"""

import argparse
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import LiteralString

CONNECT_TIMEOUT_S = 5
# Columns and states of /proc/net/tcp: proc(5) and include/net/tcp_states.h.
_LISTEN, _ESTABLISHED = "0A", "01"
_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))


def listening(port: str) -> bool:
    """Whether some socket listens on the port."""
    return any(local == int(port) for local, _, state in _sockets() if state == _LISTEN)


def connected(port: str) -> bool:
    """Whether some socket is connected to the port at the other end."""
    return any(remote == int(port) for _, remote, state in _sockets() if state == _ESTABLISHED)


def _sockets() -> Iterator[tuple[int, int, str]]:
    """Local port, remote port and state of every TCP socket."""
    for table in _TABLES:
        if table.exists():
            for line in table.read_text().splitlines()[1:]:
                _, local, remote, state = line.split(maxsplit=4)[:4]
                yield int(local.rpartition(":")[2], 16), int(remote.rpartition(":")[2], 16), state


def answers(url: str) -> bool:
    """Whether the address answers with 2xx."""
    try:
        with urllib.request.urlopen(url, timeout=CONNECT_TIMEOUT_S) as answer:  # noqa: S310 - ours, by compose
            return 200 <= answer.status < 300
    except (urllib.error.URLError, OSError):
        return False


def leases(_: str) -> bool:
    """Whether some worker's lease has not run out."""
    return _finds("SELECT 1 FROM lane_leases WHERE expires_at > now() LIMIT 1")


def jobs(_: str) -> bool:
    """Whether a job has a session; sessions of one role see each other."""
    return _finds("SELECT 1 FROM pg_stat_activity WHERE application_name = 'tallygate jobs' LIMIT 1")


def _finds(query: LiteralString) -> bool:
    import psycopg

    from cloud.settings import dsn

    try:
        with psycopg.connect(dsn(), connect_timeout=CONNECT_TIMEOUT_S) as connection:
            found = connection.execute(query).fetchone()
    except psycopg.Error:
        return False
    return found is not None


CHECKS: dict[str, Callable[[str], bool]] = {
    "listening": listening,
    "connected": connected,
    "answers": answers,
    "leases": leases,
    "jobs": jobs,
}


def main(argv: Sequence[str] | None = None) -> int:
    """The program; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m standalone.healthy")
    parser.add_argument("check", choices=CHECKS)
    parser.add_argument("of", nargs="?", default="", help="port or address")
    chosen = parser.parse_args(argv)
    if chosen.check not in ("leases", "jobs") and not chosen.of:
        parser.error(f"{chosen.check} of what?")
    healthy = CHECKS[chosen.check](chosen.of)
    print("healthy" if healthy else f"not {chosen.check} {chosen.of}".rstrip())
    return 0 if healthy else 1


if __name__ == "__main__":
    sys.exit(main())
