"""`tallygate edge` as it is run: a virtual reader on one side, a real broker and a cloud on the other."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.outbox.outbox import Outbox
from firmware_bridges.virtual_reader.scenario import find_scenario, load_scenario, made_up_goods
from standalone.ports import free_port
from tests.conftest import RunningBroker
from tests.fake_cloud import FakeCloud
from tests.outboxes import DEADLINE_S

ROOT = Path(__file__).parents[3]
PACE = 8.0  # times the true pace: the scenario's 24 s take 3 s
SCENARIO = "truck_unloading"


def what_happened() -> dict[str, list[str]]:
    """The scenario's truth: which crossings each tag made."""
    scenario = load_scenario(find_scenario(SCENARIO))
    crossings = defaultdict(list)
    goods = made_up_goods(scenario)
    for pallet in sorted(scenario.pallets, key=lambda pallet: pallet.at_s):
        for epc in goods[pallet.name]:
            if pallet.direction in ("in", "out"):
                crossings[epc].append(pallet.direction)
    return dict(crossings)


def crossings_told(cloud: FakeCloud) -> dict[str, list[str]]:
    """What the cloud makes of the movements: in order of time; a passage to where the tag is moves nothing."""
    told: dict[str, list[str]] = defaultdict(list)
    for one in sorted(cloud.movements, key=lambda one: one.occurred_at_us):
        if one.direction in ("in", "out") and told[one.epc][-1:] != [one.direction]:
            told[one.epc].append(one.direction)
    return {epc: directions for epc, directions in told.items() if directions}


@dataclass
class Programs:
    """Starts programs of ours and sees them end."""

    folder: Path
    running: list[subprocess.Popen[bytes]]

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{arguments[0]}.log").open("ab") as log:
            program = subprocess.Popen(
                [sys.executable, "-m", "tallygate", *arguments],
                cwd=ROOT,
                stdout=log,
                stderr=log,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
            )
        self.running.append(program)
        return program

    def log_of(self, program: str) -> str:
        return (self.folder / f"{program}.log").read_text()


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    started = Programs(tmp_path, [])
    yield started
    for program in started.running:
        if program.poll() is None:
            program.kill()
        program.wait(timeout=DEADLINE_S)


@pytest.fixture
def config(broker: RunningBroker, tmp_path: Path) -> tuple[Path, int]:
    """gateway.toml for the scenario's gate, and the port on which its reader is expected."""
    reader_port = free_port()
    (tmp_path / "gw-1.password").write_text(broker.users.gateway_password)
    path = tmp_path / "gateway.toml"
    path.write_text(
        f"""
company = "demo"
site = "main"
gateway = "gw-1"
outbox = "outbox.db"
[broker]
host = "{broker.host}"
port = {broker.port}
user = "gw-1"
password_file = "gw-1.password"
[[portals]]
name = "dock-reader"
gate = "dock-1"
host = "127.0.0.1"
port = {reader_port}
outside = [1, 2]
inside = [3, 4]
"""
    )
    return path, reader_port


def start_reader(programs: Programs, port: int) -> None:
    programs.start("reader", "--listen", f"127.0.0.1:{port}", "--scenario", SCENARIO, "--pace", str(PACE))


@contextmanager
def story_within(seconds: float) -> Iterator[Callable]:
    async def limited(story: Callable) -> None:
        async with asyncio.timeout(seconds):
            await story()

    yield lambda story: asyncio.run(limited(story))


def test_a_truck_is_unloaded_and_every_crossing_reaches_the_cloud_once(
    broker: RunningBroker, config: tuple[Path, int], programs: Programs
) -> None:
    path, reader_port = config
    truth = what_happened()

    async def story() -> None:
        cloud = FakeCloud(broker.users.address)
        async with cloud.joined(broker):
            gateway = programs.start("edge", "--config", str(path))
            await cloud.until("birth", lambda c: any(s.online for s in c.statuses))
            start_reader(programs, reader_port)
            await cloud.until("the reader's arrival", lambda c: any(d.connected for d in c.statuses[-1].devices))
            await cloud.until("the last crossing", lambda c: crossings_told(c) == truth)
            gateway.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(gateway.wait, DEADLINE_S) == 0
            await cloud.until("good-bye", lambda c: not c.statuses[-1].online)
            crossed = [one for one in cloud.movements if one.direction in ("in", "out")]
            assert len(crossed) == sum(len(directions) for directions in truth.values())
            others = {one.epc: one.direction for one in cloud.movements if one.direction not in ("in", "out")}
            assert set(others.values()) == {"turned_back"}
            assert len(others) == 6
            assert len({summary.gate for summary in cloud.summaries}) == 1
            assert sum(summary.reads for summary in cloud.summaries) > 5000
            assert sum(cloud.applied.values()) == len(cloud.movements)

    with story_within(60) as tell:
        tell(story)
    assert "Traceback" not in programs.log_of("edge")


def test_killing_the_gateway_again_and_again_loses_no_crossing(
    broker: RunningBroker, config: tuple[Path, int], programs: Programs
) -> None:
    path, reader_port = config
    truth = what_happened()

    async def story() -> None:
        cloud = FakeCloud(broker.users.address)
        async with cloud.joined(broker):
            gateway = programs.start("edge", "--config", str(path))
            start_reader(programs, reader_port)
            for wanted in (10, 30, 45):
                await cloud.until(f"{wanted} movements", lambda c, n=wanted: len(c.movements) >= n)
                births = sum(s.online for s in cloud.statuses)
                gateway.kill()
                await asyncio.to_thread(gateway.wait, DEADLINE_S)
                await cloud.until("the last will", lambda c: not c.statuses[-1].online)
                gateway = programs.start("edge", "--config", str(path))
                await cloud.until("a new birth", lambda c, n=births: sum(s.online for s in c.statuses) > n)
            await cloud.until("the last crossing", lambda c: crossings_told(c) == truth)
            assert len(cloud.applied) >= 3

    with story_within(90) as tell:
        tell(story)
    assert "Traceback" not in programs.log_of("edge")


def test_a_polite_stop_puts_on_disk_what_was_read_until_then(
    broker: RunningBroker, config: tuple[Path, int], programs: Programs, tmp_path: Path
) -> None:
    path, reader_port = config

    async def story() -> None:
        cloud = FakeCloud(broker.users.address)
        async with cloud.joined(broker):
            gateway = programs.start("edge", "--config", str(path))
            start_reader(programs, reader_port)
            await cloud.until("reads", lambda c: sum(s.reads for s in c.summaries) > 100)
            cloud.answers = False
            gateway.send_signal(signal.SIGINT)
            assert await asyncio.to_thread(gateway.wait, DEADLINE_S) == 0
        outbox = Outbox.open(tmp_path / "outbox.db")
        told = sum(state.last for state in outbox.epochs())
        outbox.close()
        assert told > 0
        assert "movements wait for the next start" in programs.log_of("edge")

    with story_within(60) as tell:
        tell(story)


def test_wrong_settings_and_an_outbox_in_use_end_the_program_with_a_reason(
    config: tuple[Path, int], programs: Programs, tmp_path: Path
) -> None:
    path, _ = config
    outbox = Outbox.open(tmp_path / "outbox.db")
    assert programs.start("edge", "--config", str(path)).wait(DEADLINE_S) == 1
    outbox.close()
    assert "outbox.db is open in another process" in programs.log_of("edge")

    path.write_text(path.read_text().replace("inside = [3, 4]", "inside = [1, 4]"))
    assert programs.start("edge", "--config", str(path)).wait(DEADLINE_S) == 2
    assert "antennas [1] stand on both sides" in programs.log_of("edge")
