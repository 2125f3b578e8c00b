"""Programs that run beside us: started, watched, ended."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from standalone.child import Child, ChildDidNotStart, ChildTrouble, Program, describe_exit, log_tail

DEADLINE_S = 20.0

# Says that it is ready by making a file, then waits.
WAITS = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); print('up', flush=True); time.sleep(600)"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {WAITS}"
FAILS = "import sys; print('no disk', flush=True); sys.exit(7)"
SLOW = "import time; print('thinking', flush=True); time.sleep(600)"

Make = Callable[[str], Child]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """A child that runs some Python; it is ready when it has touched a file."""
    made: list[Child] = []

    def new(code: str) -> Child:
        ready = tmp_path / "ready"
        program = Program(
            name="clerk",
            argv=[sys.executable, "-c", code, str(ready)],
            folder=tmp_path,
            log=tmp_path / "clerk.log",
            environment={"PATH": "/usr/bin:/bin"},
        )
        child = Child(program, ready.exists, lambda: ready.unlink(missing_ok=True))
        made.append(child)
        return child

    yield new
    for child in made:
        child.stop(timeout_s=0.1)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def await_that(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_start_returns_when_it_is_ready_and_stop_when_it_has_ended(make: Make) -> None:
    child = make(WAITS)
    child.start()
    pid = child.pid
    assert alive(pid)
    child.stop()
    assert not alive(pid)
    with pytest.raises(ChildTrouble, match="does not run"):
        _ = child.pid


def test_a_program_that_ends_while_starting_is_an_error_with_its_last_words(make: Make) -> None:
    with pytest.raises(ChildDidNotStart, match=r"exit code 7(.|\n)*no disk"):
        make(FAILS).start()


def test_a_program_that_is_never_ready_is_ended(make: Make) -> None:
    child = make(SLOW)
    with pytest.raises(ChildDidNotStart, match=r"not ready within 0\.5 s"):
        child.start(ready_timeout_s=0.5)
    assert not child.is_running


def test_a_program_that_does_not_listen_is_killed(make: Make) -> None:
    child = make(DEAF)
    child.start()
    pid = child.pid
    child.stop(timeout_s=0.1)
    assert not alive(pid)


def test_a_killed_program_stays_down_unless_it_is_kept(make: Make) -> None:
    child = make(WAITS)
    child.start()
    os.kill(child.pid, signal.SIGKILL)
    await_that(lambda: not child.is_running)
    assert child.restarts == 0
    child.start()
    assert child.is_running


def test_a_kept_program_comes_back_every_time_it_is_killed(make: Make) -> None:
    child = make(WAITS)
    child.start(keep_running=True)
    for times in (1, 2):
        killed = child.pid
        os.kill(killed, signal.SIGKILL)
        await_that(lambda times=times: child.restarts == times)  # type: ignore[misc]
        assert child.pid != killed
    child.stop()
    assert not child.is_running


def test_a_kept_program_that_is_stopped_stays_stopped(make: Make) -> None:
    child = make(WAITS)
    child.start(keep_running=True)
    os.kill(child.pid, signal.SIGKILL)
    child.stop()
    assert not child.is_running


def test_starting_twice_is_an_error(make: Make) -> None:
    child = make(WAITS)
    child.start()
    with pytest.raises(ChildTrouble, match="already started"):
        child.start()


def test_what_the_readiness_question_raises_reaches_the_caller(tmp_path: Path) -> None:
    def broken() -> bool:
        raise ValueError("wrong password")

    program = Program("clerk", [sys.executable, "-c", SLOW], tmp_path, tmp_path / "clerk.log")
    child = Child(program, broken)
    with pytest.raises(ValueError, match="wrong password"):
        child.start()
    assert not child.is_running


def test_a_program_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    program = Program("ghost", ["/nowhere/ghost"], tmp_path, tmp_path / "ghost.log")
    with pytest.raises(ChildDidNotStart, match="No such file"):
        Child(program, lambda: False).start()


@pytest.mark.parametrize(
    ("code", "words"),
    [(0, "exit code 0"), (3, "exit code 3"), (-9, "killed by SIGKILL"), (-99, "killed by signal 99")],
)
def test_an_end_is_told_in_words(code: int, words: str) -> None:
    assert describe_exit(code) == words


def test_the_tail_of_a_long_log_begins_with_a_whole_line(tmp_path: Path) -> None:
    log = tmp_path / "long.log"
    log.write_text("".join(f"line number {number}\n" for number in range(1000)))
    tail = log_tail(log)
    assert tail.startswith("line number ")
    assert tail.endswith("line number 999")
