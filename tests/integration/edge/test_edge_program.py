"""`tallygate edge` as it is run: a virtual reader on one side, a real broker and a cloud on the other."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.outbox.outbox import Outbox
from firmware_bridges.virtual_reader import messages
from firmware_bridges.virtual_reader.reader import VirtualReader
from firmware_bridges.virtual_reader.scenario import find_scenario, load_scenario, made_up_goods, sightings
from firmware_bridges.virtual_reader.sighting import Sighting
from standalone.ports import free_port
from tests.conftest import RunningBroker
from tests.fake_cloud import FakeCloud
from tests.llrp_makers import playing, until
from tests.outboxes import DEADLINE_S

ROOT = Path(__file__).parents[3]
PACE = 8.0  # times the true pace: the scenario's 24 s take 3 s
SCENARIO = "truck_unloading"


# A reader that plays faster than the world has a clock that runs away from ours, and at each connection it
# is measured anew: only near the true pace are its stamps before and after a cut the same.
TWO_PALLETS = """
title = "Two pallets come, one turns back"
ends_at_s = 8.0
[[pallets]]
name = "P1"
direction = "in"
at_s = 2.0
speed_m_s = 1.8
tags = 8
[[pallets]]
name = "B1"
direction = "turn_back"
at_s = 4.0
speed_m_s = 1.8
tags = 4
[[pallets]]
name = "P2"
direction = "in"
at_s = 5.0
speed_m_s = 1.8
tags = 8
"""
NEARLY_TRUE_PACE = 1.2


def what_happened(scenario_file: str = SCENARIO) -> dict[str, list[str]]:
    """The scenario's truth: which crossings each tag made."""
    scenario = load_scenario(find_scenario(scenario_file))
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


def start_reader(programs: Programs, port: int, scenario: str = SCENARIO, pace: float = PACE) -> None:
    programs.start("reader", "--listen", f"127.0.0.1:{port}", "--scenario", scenario, "--pace", str(pace))


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


@dataclass
class Cable:
    """The cable between gateway and reader: passes everything on, until it is cut and mended at once."""

    reader_port: int
    ends: list[asyncio.StreamWriter]

    async def plug_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.reader_port)
        except OSError:
            writer.close()
            return
        self.ends = [writer, there_writer]
        await asyncio.gather(_pass_on(reader, there_writer), _pass_on(there_reader, writer))

    def cut(self) -> None:
        for end in self.ends:
            end.transport.abort()


async def _pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    sink.close()


@pytest.mark.slow
def test_a_cable_that_is_cut_in_the_middle_of_passes_costs_no_crossing_and_makes_none_twice(
    broker: RunningBroker, config: tuple[Path, int], programs: Programs, tmp_path: Path
) -> None:
    path, gateway_port = config
    reader_port = free_port()
    scenario = tmp_path / "two_pallets.toml"
    scenario.write_text(TWO_PALLETS)
    truth = what_happened(str(scenario))

    async def story() -> None:
        cloud = FakeCloud(broker.users.address)
        cable = Cable(reader_port, [])
        plug = await asyncio.start_server(cable.plug_in, "127.0.0.1", gateway_port)
        async with plug, cloud.joined(broker):
            gateway = programs.start("edge", "--config", str(path))
            start_reader(programs, reader_port, str(scenario), NEARLY_TRUE_PACE)
            for wanted in (200, 1200):
                await cloud.until(f"{wanted} reads", lambda c, n=wanted: sum(s.reads for s in c.summaries) > n)
                cable.cut()
            await cloud.until("the last crossing", lambda c: crossings_told(c) == truth)
            gateway.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(gateway.wait, DEADLINE_S) == 0
            await cloud.until("good-bye", lambda c: not c.statuses[-1].online)
            crossed = [one for one in cloud.movements if one.direction in ("in", "out")]
            assert len(crossed) == sum(len(directions) for directions in truth.values())
            assert cloud.statuses[-2].counters["dock-reader.reconnects"] == 2
            cable.cut()

    with story_within(60) as tell:
        tell(story)


# What no reader should say of a tag, in LLRP's own bytes, and under which name each is counted.
BAD_INPUT = {
    "empty_epc": Sighting(0, "", 1, -60.0),
    "wrong_epc": Sighting(0, "30340A64C", 1, -60.0),
    "unknown_antenna": Sighting(0, "30340A64C0DEC0DE00000001", 9, -60.0),
    "rssi_out_of_range": Sighting(0, "30340A64C0DEC0DE00000001", 1, 127.0),
}


def test_bad_input_is_counted_named_and_told_to_the_cloud_and_harms_nothing(
    broker: RunningBroker, config: tuple[Path, int], programs: Programs, tmp_path: Path
) -> None:
    path, reader_port = config
    path.write_text(path.read_text() + "[portals.photo_eyes]\ndoor = 1\n")
    (tmp_path / "two_pallets.toml").write_text(TWO_PALLETS)
    scenario = load_scenario(tmp_path / "two_pallets.toml")
    truth = what_happened(str(tmp_path / "two_pallets.toml"))
    writer = messages.TagReportWriter(1, messages.ReportContent())

    async def speak_badly(reader: VirtualReader) -> None:
        at_us = reader.clock_us()
        for number, seen in enumerate(BAD_INPUT.values(), 1):
            good = [writer.write(Sighting(0, "E2801160600002061234", 1, -60.0), at_us)]
            bad = [writer.write(seen, at_us)] * number
            await reader.send_raw(messages.ro_access_report(1, good + bad + good))
        await reader.send_raw(messages.report_cut_short() + messages.message_of_no_known_type())
        await reader.send_raw(messages.gpi_event(1, at_us, 4, is_high=True))

    async def story() -> None:
        cloud = FakeCloud(broker.users.address)
        async with cloud.joined(broker):
            await cloud.command(1, 1.0)
            programs.start("edge", "--config", str(path))
            async with playing(sightings(scenario, made_up_goods(scenario)), port=reader_port, pace=2.0) as reader:
                await until(lambda: reader.counters.sightings > 100, "reads")
                await speak_badly(reader)
                await cloud.until("the last crossing", lambda c: crossings_told(c) == truth)
                expected = {f"dock-reader.{kind}": number for number, kind in enumerate(BAD_INPUT, 1)} | {
                    "dock-reader.malformed_messages": 1,
                    "dock-reader.unknown_messages": 1,
                    "dock-reader.unknown_eye": 1,
                }
                await cloud.until(
                    "every kind counted", lambda c: expected.items() <= c.statuses[-1].counters.items()
                )

    with story_within(60) as tell:
        tell(story)
    log = programs.log_of("edge")
    for kind in (*BAD_INPUT, "unknown_eye"):
        assert log.count(f"portal dock-reader: {kind}, more like it are only counted") == 1
    assert "Traceback" not in log


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
