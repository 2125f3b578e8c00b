"""The virtual reader as a program of its own: it plays for a portal, says when it is done, and stops when told."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from firmware_bridges.virtual_reader.run import listen_address, main
from firmware_bridges.virtual_reader.scenario import (
    find_scenario,
    happenings,
    load_scenario,
    made_up_goods,
    sightings,
)
from tests.llrp_makers import listening, run

ROOT = Path(__file__).parents[2]
STOP_TIMEOUT_S = 20.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@contextlib.contextmanager
def program(*arguments: str):
    """The reader in a process of its own; killed if it has not ended."""
    process = subprocess.Popen(
        [sys.executable, "-m", "firmware_bridges.virtual_reader", *arguments],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


async def hear_all(address, done_file, count=0):
    """What a portal hears until the program says that it is done."""
    heard = []
    async with listening(address) as portal:
        while not done_file.exists() or len(heard) < count:
            heard += await portal.reads(timeout_s=0.05)
        return heard + await portal.reads(timeout_s=0.0), portal.connected


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_it_plays_the_scenario_for_given_goods_and_ends_in_order_when_told(tmp_path, stop):
    goods = tmp_path / "goods.json"
    goods.write_text(json.dumps([{"epc": "30340A64C0DEC0DE0000000A", "pallet": "P1"}]), encoding="utf-8")
    done_file = tmp_path / "done"
    address = ("127.0.0.1", free_port())
    arguments = ["--listen", f"127.0.0.1:{address[1]}", "--scenario", "truck_unloading", "--goods", str(goods)]
    with program(*arguments, "--pace", "200", "--seed", "7", "--done-file", str(done_file)) as process:
        heard, still_connected = run(hear_all(address, done_file))
        process.send_signal(stop)
        _, log = process.communicate(timeout=STOP_TIMEOUT_S)
    scenario = load_scenario(find_scenario("truck_unloading"))
    on_pallets = made_up_goods(scenario) | {"P1": ("30340A64C0DEC0DE0000000A",)}
    expected = list(sightings(scenario, on_pallets, seed=7))
    assert [(read.epc, read.antenna) for read in heard] == [(seen.epc, seen.antenna) for seen in expected]
    played = list(happenings(scenario, on_pallets, seed=7))  # with what the photo-eye over the line saw
    assert done_file.read_text(encoding="utf-8") == f"{len(played)}\n"
    assert still_connected
    assert process.returncode == 0
    assert "virtual reader stopped" in log
    assert "Traceback" not in log


def test_it_plays_a_recording(tmp_path):
    reads = tmp_path / "reads.csv"
    lines = [f"2026-11-22T08:00:00.{n:06}Z,E280{n:020X},{n % 4 + 1},-60.5" for n in range(300)]
    reads.write_text("time,epc,antenna,rssi_dbm\n" + "\n".join(lines) + "\n", encoding="utf-8")
    done_file = tmp_path / "done"
    address = ("127.0.0.1", free_port())
    arguments = ["--listen", f"127.0.0.1:{address[1]}", "--reads", str(reads), "--done-file", str(done_file)]
    with program(*arguments):
        heard, _ = run(hear_all(address, done_file, 300))
    assert [read.epc for read in heard] == [f"E280{n:020X}" for n in range(300)]


GATEWAY = """
import asyncio, sys
from edge.devices.portal import Portal, PortalSettings

async def tell():
    portal = Portal(PortalSettings("dock", "127.0.0.1", int(sys.argv[1])))
    running = asyncio.create_task(portal.run())
    while True:
        for read in await portal.reads():
            print(read.epc, flush=True)

asyncio.run(tell())
"""


def test_a_gateway_killed_in_the_middle_of_a_pass_hears_the_whole_pass_when_it_is_back(tmp_path):
    done_file = tmp_path / "done"
    port = free_port()
    scenario = load_scenario(find_scenario("truck_unloading"))
    seen = list(sightings(scenario, made_up_goods(scenario)))
    with program("--listen", f"127.0.0.1:{port}", "--pace", "8", "--done-file", str(done_file)):
        gateway = subprocess.Popen(
            [sys.executable, "-c", GATEWAY, str(port)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        with gateway:
            before = [gateway.stdout.readline().strip() for _ in range(100)]
            gateway.kill()
        heard, _ = run(hear_all(("127.0.0.1", port), done_file))
    assert before == [one.epc for one in seen[:100]]
    # It died within the first ten seconds of recorded time: all of it was given out again, in its own time.
    assert [(read.epc, read.antenna) for read in heard] == [(one.epc, one.antenna) for one in seen]
    assert [read.seen_at_us - heard[0].seen_at_us for read in heard] == [one.at_us - seen[0].at_us for one in seen]


def test_what_cannot_be_used_is_said_and_the_exit_code_is_2(tmp_path, capsys):
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("a,b\n", encoding="utf-8")
    for arguments, why in (
        (["--reads", str(wrong)], "expected 9 fields with ';' or a header"),
        (["--scenario", "nowhere"], "nowhere.toml"),
        (["--goods", str(wrong)], "wrong.csv"),
        (["--listen", "5084"], "expected HOST:PORT, got '5084'"),
        (["--pace", "0"], "expected a pace above 0"),
        (["--unheard-of"], "unrecognized arguments"),
    ):
        assert main(arguments) == 2
        assert why in capsys.readouterr().err


def test_an_address_in_use_is_said_and_the_exit_code_is_2(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--listen", f"127.0.0.1:{port}"]) == 2
    assert f"cannot listen on 127.0.0.1:{port}" in capsys.readouterr().err


def test_an_address_is_a_host_and_a_port():
    assert listen_address("0.0.0.0:5084") == ("0.0.0.0", 5084)  # noqa: S104  only read
    assert listen_address("[::1]:1") == ("::1", 1)
    with pytest.raises(ValueError, match="expected HOST:PORT"):
        listen_address("host:99999")
