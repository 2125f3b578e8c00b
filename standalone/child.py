"""A program that runs beside us and ends with us: PostgreSQL, mosquitto, the parts of the demo.

In: an argument list, a folder, a log file, a question "is it ready?". Out: a running process, watched
by a thread of its own, started again when it dies if that was asked for. On Linux the program gets
its stop signal from the kernel when we are killed, however that happens; elsewhere only `stop` ends it.

    ChildTrouble
    ├── ChildDidNotStart    it ended, or was not ready in time; the message holds the end of its log
    └── ChildStillRunning   it did not end when told to
"""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from standalone.account import Account

log = logging.getLogger(__name__)

READY_TIMEOUT_S = 60.0  # PostgreSQL after a crash replays its log first; seconds on a laptop, not minutes
STOP_TIMEOUT_S = 30.0  # a fast shutdown writes one checkpoint
KILL_TIMEOUT_S = 10.0
POLL_S = 0.02
RESTART_WAIT_S = 0.2  # doubled at every failed restart …
RESTART_WAIT_MAX_S = 10.0  # … up to this
LOG_TAIL_BYTES = 2000
LOG_ROTATE_BYTES = 10 * 1024 * 1024

_BECOME = Path(__file__).with_name("become.py")


class ChildTrouble(RuntimeError):
    """A program that should run beside us does not do what it should."""


class ChildDidNotStart(ChildTrouble):
    """The program ended, or was not ready in time."""


class ChildStillRunning(ChildTrouble):
    """The program did not end when told to."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to run.

    name          as it stands in our log
    argv          the program's absolute path and its arguments
    folder        its working directory; the account must be able to enter it
    log           where its output goes (appended; put aside as `.1` at 10 MiB)
    environment   the whole environment, not additions
    account       whom to run as; None: as we are
    stop_signal   asks for an orderly end; also what the kernel sends when we die
    """

    name: str
    argv: Sequence[str]
    folder: Path
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM


class Child:
    """One program beside us. `start` returns when it is ready; `stop` when it has ended.

    is_ready  asked every 20 ms while it starts; False means not yet
    prepare   called before every start, also before `keep_running` starts it again
    Whatever the two raise ends that start; `start` raises it.
    """

    def __init__(
        self, program: Program, is_ready: Callable[[], bool], prepare: Callable[[], None] = lambda: None
    ) -> None:
        self.program = program
        self._is_ready = is_ready
        self._prepare = prepare
        self._process: subprocess.Popen[bytes] | None = None
        self._keeper: threading.Thread | None = None
        self._stopping = threading.Event()
        self._restarts = 0

    @property
    def pid(self) -> int:
        """The program's process id. Raises ChildTrouble when it does not run."""
        process = self._process
        if process is None or process.poll() is not None:
            raise ChildTrouble(f"{self.program.name} does not run")
        return process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process lives; it may not be ready yet."""
        process = self._process
        return process is not None and process.poll() is None

    @property
    def restarts(self) -> int:
        """How often the program was started again after it had died."""
        return self._restarts

    def start(self, keep_running: bool = False, ready_timeout_s: float = READY_TIMEOUT_S) -> None:
        """Start and wait until ready; with `keep_running` it is started again whenever it dies.

        Raises ChildDidNotStart.
        """
        if self._keeper is not None and self._keeper.is_alive():
            if self.is_running or keep_running:
                raise ChildTrouble(f"{self.program.name} is already started")
            self._keeper.join(KILL_TIMEOUT_S)
        self._stopping.clear()
        first = _FirstStart()
        # The kernel's death signal comes when the *thread* that started the program ends, so the
        # thread that starts it is the one that waits for its end.
        self._keeper = threading.Thread(
            target=self._keep,
            args=(first, keep_running, ready_timeout_s),
            name=f"keep-{self.program.name}",
            daemon=True,
        )
        self._keeper.start()
        first.done.wait()
        if first.error is not None:
            self._keeper.join(KILL_TIMEOUT_S)
            raise first.error

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """End the program in order, by force after `timeout_s`; stopping twice is harmless.

        Raises ChildStillRunning.
        """
        self._stopping.set()
        process, keeper = self._process, self._keeper
        if process is not None and process.poll() is None:
            _end(process, self.program, timeout_s)
        if keeper is not None:
            keeper.join(timeout_s + KILL_TIMEOUT_S)

    def wait_until_ready(self, timeout_s: float = READY_TIMEOUT_S) -> None:
        """Wait until the program answers (again), as after it was killed. Raises ChildDidNotStart."""
        deadline = time.monotonic() + timeout_s
        while not (self.is_running and self._is_ready()):
            if time.monotonic() > deadline:
                raise ChildDidNotStart(
                    f"{self.program.name} was not ready within {timeout_s:g} s{self._log_tail()}"
                )
            time.sleep(POLL_S)

    def _keep(self, first: "_FirstStart", keep_running: bool, ready_timeout_s: float) -> None:
        """The keeper thread: start, say so, wait for the end; start again if asked."""
        try:
            self._run_until_ready(ready_timeout_s)
        except Exception as error:  # noqa: BLE001 - `start` raises it in the caller's thread
            first.error = error
            return
        finally:
            first.done.set()
        try:
            self._watch(keep_running, ready_timeout_s)
        finally:
            # `stop` may have come between two lives of the program and have seen only the dead one.
            if self.is_running and self._process is not None:
                _end(self._process, self.program, KILL_TIMEOUT_S)

    def _watch(self, keep_running: bool, ready_timeout_s: float) -> None:
        while not self._stopping.is_set():
            code = self._wait_for_the_end()
            if self._stopping.is_set():
                return
            log.warning("%s ended unexpectedly, %s", self.program.name, describe_exit(code))
            if not keep_running:
                return
            self._start_again(ready_timeout_s)

    def _start_again(self, ready_timeout_s: float) -> None:
        wait_s = RESTART_WAIT_S
        while not self._stopping.wait(wait_s):
            try:
                self._run_until_ready(ready_timeout_s)
            except Exception as error:  # noqa: BLE001 - a supervisor's edge: it logs and tries again
                wait_s = min(2 * wait_s, RESTART_WAIT_MAX_S)
                log.warning(
                    "%s could not be started again, next try in %g s: %s", self.program.name, wait_s, error
                )
                continue
            if self._stopping.is_set():
                return
            self._restarts += 1
            log.warning("%s runs again, pid %d", self.program.name, self.pid)
            return

    def _wait_for_the_end(self) -> int:
        if self._process is None:
            raise ChildTrouble(f"{self.program.name} was never started")
        return self._process.wait()

    def _run_until_ready(self, timeout_s: float) -> None:
        self._prepare()
        process = self._process = self._spawn()
        try:
            self._await_ready(process, timeout_s)
        except BaseException:
            if process.poll() is None:
                _end(process, self.program, KILL_TIMEOUT_S)
            raise

    def _await_ready(self, process: subprocess.Popen[bytes], timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while True:
            if self._stopping.is_set():
                return
            code = process.poll()
            if code is not None:
                raise ChildDidNotStart(
                    f"{self.program.name} ended while starting, {describe_exit(code)}{self._log_tail()}"
                )
            if self._is_ready():
                return
            if time.monotonic() > deadline:
                raise ChildDidNotStart(
                    f"{self.program.name} was not ready within {timeout_s:g} s{self._log_tail()}"
                )
            time.sleep(POLL_S)

    def _spawn(self) -> subprocess.Popen[bytes]:
        program = self.program
        account = program.account
        become = [
            *(sys.executable, "-I", "-S", str(_BECOME), str(os.getpid()), str(int(program.stop_signal))),
            *((str(account.uid), str(account.gid)) if account else ("-", "-")),
            *program.argv,
        ]
        with _open_log(program.log) as output:
            # A session of its own: Ctrl-C at the terminal is for us, and we stop the parts in order.
            return subprocess.Popen(
                become,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=program.folder,
                env=dict(program.environment),
                start_new_session=True,
            )

    def _log_tail(self) -> str:
        return f"; the end of {self.program.log}:\n{log_tail(self.program.log)}"


class _FirstStart:
    """How the keeper thread tells `start` what came of it."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.error: Exception | None = None


def log_tail(path: Path) -> str:
    """The last lines of a log, for an error message."""
    try:
        content = path.read_bytes()
    except OSError as error:
        return f"(unreadable: {error})"
    tail = content[-LOG_TAIL_BYTES:]
    if len(tail) < len(content):
        tail = tail.partition(b"\n")[2]
    return tail.decode("utf-8", "replace").strip()


def describe_exit(code: int) -> str:
    """A process's return code in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def _open_log(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_ROTATE_BYTES:
        path.replace(path.with_name(path.name + ".1"))
    return path.open("ab")


def _end(process: subprocess.Popen[bytes], program: Program, timeout_s: float) -> None:
    process.send_signal(program.stop_signal)
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        log.warning("%s did not end within %g s, killing it", program.name, timeout_s)
        process.kill()
        try:
            process.wait(KILL_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise ChildStillRunning(
                f"{program.name}, pid {process.pid}, still runs {KILL_TIMEOUT_S:g} s after SIGKILL"
            ) from None
