"""The virtual reader as a program: `python -m firmware_bridges.virtual_reader --scenario truck_unloading`.

It listens, plays once a client runs an ROSpec, and stays connected with keepalives when the play is over,
until SIGTERM or SIGINT. Exit codes: 0 ended as asked, 2 what it was given cannot be used.
"""

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Generator
from pathlib import Path

from firmware_bridges.virtual_reader.messages import Device
from firmware_bridges.virtual_reader.play import Play
from firmware_bridges.virtual_reader.reader import ReaderSettings, VirtualReader
from firmware_bridges.virtual_reader.recording import Recording, UnreadableRecording
from firmware_bridges.virtual_reader.scenario import (
    WrongScenario,
    find_scenario,
    happenings,
    load_goods,
    load_scenario,
    made_up_goods,
)
from firmware_bridges.virtual_reader.sighting import Happening
from protocols.llrp import PORT

log = logging.getLogger(__name__)

Source = Recording | Generator[Happening, None, None]


def main(argv: list[str]) -> int:
    """Run until told to stop; returns the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        arguments = _parser().parse_args(argv)
        source, play, settings = _prepare(arguments)
    except (WrongScenario, UnreadableRecording, ValueError) as error:
        print(f"virtual reader: {error}", file=sys.stderr)
        return 2
    except SystemExit as usage:
        return usage.code if isinstance(usage.code, int) else 2
    try:
        with contextlib.closing(source):
            asyncio.run(_run(play, settings))
    except OSError as error:
        print(f"virtual reader: cannot listen on {settings.host}:{settings.port}: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="virtual reader", description="An LLRP reader that plays a scenario or recorded reads."
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--scenario", default="truck_unloading", help="a TOML file, or the name of one of ours")
    source.add_argument("--reads", type=Path, help="recorded reads: emse log or CSV, also gzipped")
    parser.add_argument("--goods", type=Path, help='JSON list of {"epc": hex, "pallet": name} for the scenario')
    parser.add_argument("--seed", type=int, default=1, help="of the scenario's noise (default %(default)s)")
    parser.add_argument("--listen", default=f"127.0.0.1:{PORT}", metavar="HOST:PORT", help="default %(default)s")
    parser.add_argument("--pace", type=float, default=1.0, help="times the true pace (default %(default)s)")
    parser.add_argument(
        "--start-after", type=float, default=0.0, metavar="S", help="seconds after the first ROSpec"
    )
    parser.add_argument("--rewind", type=float, default=10.0, metavar="S", help="recorded seconds given out again")
    parser.add_argument(
        "--while-disconnected",
        choices=("wait", "go_on"),
        default="wait",
        help="what the world does when nobody listens (default %(default)s)",
    )
    parser.add_argument("--done-file", type=Path, help="written when everything was sent and read")
    return parser


def _prepare(arguments: argparse.Namespace) -> tuple[Source, Play, ReaderSettings]:
    host, port = listen_address(arguments.listen)
    device = Device()
    source = _source(arguments, device)
    play = Play(
        source,
        pace=arguments.pace,
        start_after_s=arguments.start_after,
        rewind_s=arguments.rewind,
        while_disconnected=arguments.while_disconnected,
    )
    return source, play, ReaderSettings(host, port, device, arguments.done_file)


def _source(arguments: argparse.Namespace, device: Device) -> Source:
    if arguments.reads is not None:
        return Recording(arguments.reads, device.channels_khz)
    scenario = load_scenario(find_scenario(arguments.scenario))
    goods = made_up_goods(scenario) if arguments.goods is None else load_goods(arguments.goods, scenario)
    return happenings(scenario, goods, arguments.seed)


def listen_address(text: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 0xFFFF:
        raise ValueError(f"expected HOST:PORT, got {text!r}")
    return host.strip("[]"), int(port)


async def _run(play: Play, settings: ReaderSettings) -> None:
    told_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told_to_stop.set)
    async with VirtualReader(play, settings):
        await told_to_stop.wait()
    log.info("virtual reader stopped")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
