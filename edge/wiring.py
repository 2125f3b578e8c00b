"""The gateway program, `tallygate edge --config gateway.toml`: readers → recognition → outbox → uplink.

Everything the program consists of is put together here, and every task has its owner: the TaskGroup of
`Gateway.run`. SIGTERM and SIGINT stop it politely: the readers first, then what was read until now is
decided and put on disk, then the cloud gets a moment to hear of it, then the connection says good-bye. What
kill -9 or a power cut takes with it is what was in memory: visits not decided yet. (A reader that kept its
reads hands them over again; a passage that was written already then comes twice, as two movements to where
the tag is, of which the second moves nothing.)
"""

import argparse
import asyncio
import logging
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NoReturn

from edge.devices.photo_eyes import PhotoEye
from edge.devices.portal import Portal, PortalSettings
from edge.devices.stay_connected import DeviceLost, stay_connected
from edge.gate_watch import GateWatch
from edge.heartbeat import Heartbeat
from edge.log_keeper import LogKeeper
from edge.outbox.file import OutboxError, OutboxFull
from edge.outbox.on_thread import OutboxOnThread
from edge.outbox.outbox import FORGET_AT_MOST
from edge.settings import GatewaySettings, PortalEntry, WrongSettings, load_settings
from edge.uplink import BrokerLost, Uplink
from protocols.wire.status import DeviceStatus

log = logging.getLogger(__name__)

FORGET_EVERY_S = 600.0  # against 72 hours of retention
LEAVE_READERS_TIMEOUT_S = 5.0  # the portals themselves give up after 1 to 3 s
TO_DISK_TIMEOUT_S = 5.0  # when we stop: for the last passages to be on disk
TO_CLOUD_TIMEOUT_S = 2.0  # when we stop: for the cloud to hear of them; else it does at the next start
STOP_TIMEOUT_S = 15.0  # for every other task to end
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Gateway:
    """All parts of one gateway, put together. `run` runs them."""

    def __init__(self, settings: GatewaySettings, outbox: OutboxOnThread) -> None:
        self._settings = settings
        self._outbox = outbox
        self._devices: dict[str, DeviceStatus] = {}
        self.heartbeat = Heartbeat(outbox, _software(), self._counters, lambda: list(self._devices.values()))
        self.uplink = Uplink(settings.address, settings.broker, outbox, self.heartbeat)
        self.log_keeper = LogKeeper(outbox, self.uplink.appended)
        self.watches = [self._watch(entry) for entry in settings.portals]

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`, then end politely. Raises OutboxBroken (in a group) when the disk fails."""
        async with asyncio.TaskGroup() as group:
            readers = [
                group.create_task(work, name=f"{watch.portal.settings.name} {name}")
                for watch in self.watches
                for name, work in (("portal", watch.portal.run()), ("watch", watch.run()))
            ]
            services = [
                group.create_task(self.log_keeper.run(), name="log keeper"),
                group.create_task(self._stay_connected(), name="uplink"),
                group.create_task(self._forget(), name="forget"),
            ]
            await stop.wait()
            log.info("gateway stops")
            await _end(readers, LEAVE_READERS_TIMEOUT_S)
            for watch in self.watches:
                watch.finish()
            await _within(TO_DISK_TIMEOUT_S, self.log_keeper.emptied, "passages are not on disk")
            await _within(TO_CLOUD_TIMEOUT_S, self.uplink.delivered, "movements wait for the next start")
            await _end(services, STOP_TIMEOUT_S)

    def _watch(self, entry: PortalEntry) -> GateWatch:
        gate = entry.gate_settings()
        portal = Portal(
            PortalSettings(
                name=entry.name,
                host=entry.host,
                port=entry.port,
                antennas=tuple(sorted(gate.inside | gate.outside)),
                keepalive_s=entry.keepalive_s,
                tx_power_dbm=entry.tx_power_dbm,
                session=entry.session,
                impinj=entry.impinj,
                eyes=tuple(PhotoEye(port, level) for port, level in entry.eye_levels(gate).items()),
            ),
            self._note_device,
        )
        self._devices[entry.name] = _device(entry.name, connected=False)
        return GateWatch(portal, gate, self.log_keeper.keep, self.uplink.publish_readings)

    def _note_device(self, name: str, connected: bool) -> None:
        self._devices[name] = _device(name, connected=connected)
        self.uplink.status_changed()

    def _counters(self) -> dict[str, int]:
        counters = dict(self.log_keeper.counters)
        for watch in self.watches:
            counters |= watch.counters
        return counters

    async def _stay_connected(self) -> NoReturn:
        async def serve(connected: Callable[[], None]) -> None:
            try:
                await self.uplink.serve(connected)
            except BrokerLost as lost:
                raise DeviceLost(str(lost)) from lost

        await stay_connected("broker", serve)

    async def _forget(self) -> NoReturn:
        while True:
            with suppress(OutboxFull):  # forgetting needs a little room too; the next time will do
                while await self._outbox.forget() == FORGET_AT_MOST:
                    pass
            await asyncio.sleep(FORGET_EVERY_S)


async def run(settings: GatewaySettings, stop: asyncio.Event | None = None) -> None:
    """Run a gateway until `stop` is set. Raises OutboxError, also in a group."""
    if settings.broker.ca_file is None and settings.broker.host not in LOOPBACK:
        log.warning(
            "the password and the movements go over the network in the clear; set ca_file",
            extra={"broker": settings.broker.host},
        )
    outbox = await OutboxOnThread.open(settings.outbox)
    try:
        log.info(
            "gateway starts",
            extra={
                "gateway": str(settings.address),
                "epoch": outbox.epoch,
                "held": {state.epoch: state.last - state.applied for state in await outbox.epochs()},
                "portals": [entry.name for entry in settings.portals],
            },
        )
        await Gateway(settings, outbox).run(stop or asyncio.Event())
    finally:
        await outbox.close()


def main(argv: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT. Exit status: 0 stopped, 1 the outbox cannot be used, 2 a setting is wrong."""
    parser = argparse.ArgumentParser(prog="tallygate edge", description="A gateway.")
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="gateway.toml")
    arguments = parser.parse_args(argv)
    try:
        settings = load_settings(arguments.config)
    except WrongSettings as error:
        print(f"tallygate edge: {error}", file=sys.stderr)
        return 2
    try:
        asyncio.run(_until_signal(settings))
    except* OutboxError as failed:
        reasons = [str(error) for error in failed.exceptions]
        log.critical("the outbox cannot be used", extra={"path": settings.outbox, "error": reasons})
        exit_status = 1
    else:
        exit_status = 0
    return exit_status


async def _until_signal(settings: GatewaySettings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await run(settings, stop)
    log.info("gateway stopped")


async def _end(tasks: Sequence[asyncio.Task[Any]], timeout_s: float) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=timeout_s)


async def _within(timeout_s: float, wait: Callable[[], Awaitable[None]], otherwise: str) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await wait()
    except TimeoutError:
        log.warning("%s", otherwise)


def _device(name: str, *, connected: bool) -> DeviceStatus:
    return DeviceStatus(name=name, connected=connected, since_us=time.time_ns() // 1000)


def _software() -> str:
    try:
        return f"tallygate {version('tallygate')}"
    except PackageNotFoundError:
        return "tallygate"
