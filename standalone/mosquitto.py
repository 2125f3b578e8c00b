"""mosquitto on this machine, for tests, benchmarks and whoever prefers it to the embedded broker.

In: a credentials file. Out: a broker on 127.0.0.1 with a password file and an access list made from the
same tables as everything else (`password_lines`, `access_lines`; compose uses them too), ended when we
end. It keeps nothing on disk: the gateways' outboxes are the queue, and `applied` is published again.

mosquitto answers a subscription that is not allowed with yes and then delivers nothing; that is its way.
"""

import logging
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

from protocols.wire.topics import CHANNELS, GatewayAddress, all_gateways
from standalone.account import reachable_copy, server_account
from standalone.child import Child, Program
from standalone.credentials import Credentials, User, load_credentials
from standalone.files import replace_text
from standalone.ports import HOST, accepts, free_port
from standalone.runtime import unpacked

log = logging.getLogger(__name__)

READY_TIMEOUT_S = 10.0  # it starts in 20 ms
SYSTEM_FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin"  # where packages put it, not always on a user's PATH

# A message of ours is at most 128 KiB (protocols/wire/movement.py) and its envelope; what a slow worker
# has not taken is dropped beyond 1,000 messages, and the gateways send it again.
SETTINGS = """\
per_listener_settings false
allow_anonymous false
persistence false
message_size_limit 1048576
max_inflight_messages 100
max_queued_messages 1000
max_keepalive 600
set_tcp_nodelay true
log_type error
log_type warning
log_type notice
"""


class NoMosquitto(RuntimeError):
    """There is no mosquitto on this machine."""


def find_mosquitto() -> tuple[Path, Path]:
    """The program, and the folder to copy when it has to be elsewhere. Raises NoMosquitto."""
    folder = unpacked("mosquitto")
    if folder is not None:
        return folder / "usr/sbin/mosquitto", folder
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path=SYSTEM_FOLDERS)
    if found is None:
        raise NoMosquitto("no mosquitto: `make timescaledb` unpacks one on Debian-like hosts, or install it")
    return Path(found), Path(found)


class Mosquitto:
    """One mosquitto under our eyes. Constructing it only remembers; `start` does the work.

    credentials  the file of standalone/credentials.py
    log_file     where its output goes
    port         None: a free one, chosen at the first start and kept
    """

    def __init__(self, credentials: Path, log_file: Path, port: int | None = None) -> None:
        self.host = HOST
        self.port = port if port is not None else free_port()
        self._credentials = credentials
        self._log_file = log_file
        self._account = server_account()
        self._folder: Path | None = None
        self._child: Child | None = None

    def start(self, keep_running: bool = False) -> None:
        """Start it and return when it accepts connections.

        Raises NoMosquitto, ChildDidNotStart, BadCredentials.
        """
        program, root = find_mosquitto()
        program = reachable_copy(self._account, root, root.name) / program.relative_to(root)
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="tallygate-mosquitto-"))
        try:
            self._write_files(self._folder)
            child = Child(self._program(program, self._folder), lambda: accepts(self.port))
            child.start(keep_running, READY_TIMEOUT_S)
        except BaseException:
            self.stop()
            raise
        self._child = child

    def stop(self) -> None:
        """End it; stopping twice is harmless."""
        if self._child is not None:
            self._child.stop()
            self._child = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def reload(self) -> None:
        """Take over a changed credentials file; clients that may no longer sign in are not cut off."""
        if self._folder is not None:
            self._write_files(self._folder)
            os.kill(self.pid, signal.SIGHUP)

    def wait_until_ready(self, timeout_s: float = READY_TIMEOUT_S) -> None:
        """Wait until it accepts connections (again), as after it was killed. Raises ChildDidNotStart."""
        self._running_child().wait_until_ready(timeout_s)

    @property
    def pid(self) -> int:
        """Its process id. Raises ChildTrouble when it does not run."""
        return self._running_child().pid

    def _running_child(self) -> Child:
        if self._child is None:
            raise NoMosquitto("mosquitto is not started")
        return self._child

    def _write_files(self, folder: Path) -> None:
        credentials = load_credentials(self._credentials)
        files = {
            "mosquitto.conf": "\n".join(
                (
                    f"listener {self.port} {self.host}",
                    f"password_file {folder / 'passwords'}",
                    f"acl_file {folder / 'access'}",
                    SETTINGS,
                )
            ),
            "passwords": "\n".join(password_lines(credentials)) + "\n",
            "access": "\n".join(access_lines(credentials)) + "\n",
        }
        for name, text in files.items():
            replace_text(folder / name, text, mode=0o600)
        if self._account is not None:
            for path in (folder, *(folder / name for name in files)):
                os.chown(path, self._account.uid, self._account.gid)

    def _program(self, program: Path, folder: Path) -> Program:
        return Program(
            name="mosquitto",
            argv=[str(program), "-c", str(folder / "mosquitto.conf")],
            folder=folder,
            log=self._log_file,
            environment={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
            account=self._account,
            stop_signal=signal.SIGTERM,
        )


def password_lines(credentials: Credentials) -> Iterator[str]:
    """The lines of mosquitto's password file."""
    for name, hashed in sorted(credentials.hashes.items()):
        yield f"{name}:{hashed}"


def access_lines(credentials: Credentials) -> Iterator[str]:
    """The lines of mosquitto's access list: what is not named is refused."""
    for name, user in sorted(credentials.users.items()):
        yield f"user {name}"
        yield from _access_of(user)


def _access_of(user: User) -> Iterator[str]:
    for channel in CHANNELS:
        if user.address is not None:
            topic = sample = user.address.topic(channel)
        else:
            # The cloud's rights do not depend on the gateway: ask about one, write the filter of all.
            topic, sample = all_gateways(channel), GatewayAddress("any", "any", "any").topic(channel)
        if user.may("publish", sample):
            yield f"topic write {topic}"
        if user.may("subscribe", topic):
            yield f"topic read {topic}"
