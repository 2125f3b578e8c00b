"""A gateway's process for the harness: the product's own outbox and uplink, fed from a script instead of by radio.

Killed and started again it goes on where its outbox ends: what is in there was seen, what is not was not.
"""

import asyncio
import json
import random
import signal
import sys
from pathlib import Path
from typing import Any

from edge.delivery import Timing
from edge.devices.stay_connected import BackOff, DeviceLost, stay_connected
from edge.heartbeat import Heartbeat
from edge.outbox.on_thread import OutboxOnThread
from edge.outbox.outbox import NewMovement
from edge.settings import BrokerSettings
from edge.uplink import BrokerLost, Uplink
from protocols.wire.topics import GatewayAddress

# The real waits are 10 s to 5 min; what is tried here is what happens then, not how long it takes.
QUICK = Timing(gather_s=0.05, resend_first_s=0.6, resend_longest_s=2.0, again_every_s=0.2, again_wait_s=0.1)
BACK_OFF = BackOff(wait_s=0.1, first_s=0.1, longest_s=0.5)
READ_AGAIN_S = 0.1  # how often the script is looked at for more lines


async def run(settings: dict[str, Any]) -> None:
    """Until SIGTERM."""
    outbox = await OutboxOnThread.open(Path(settings["outbox"]))
    broker = BrokerSettings(
        host=settings["host"], port=settings["port"], user=settings["name"],
        password_file=Path(settings["password_file"]),
    )  # fmt: skip
    address = GatewayAddress(settings["company"], settings["site"], settings["name"])
    uplink = Uplink(address, broker, outbox, Heartbeat(outbox, "chaos"), timing=QUICK)

    async def serve(connected: Any) -> None:
        try:
            await uplink.serve(connected)
        except BrokerLost as lost:
            raise DeviceLost(str(lost)) from lost

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    tasks = [
        asyncio.create_task(stay_connected("broker", serve, back_off=BACK_OFF)),
        asyncio.create_task(_append(settings, outbox, uplink)),
    ]
    await stop.wait()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=5)
    await outbox.close()


async def _append(settings: dict[str, Any], outbox: OutboxOnThread, uplink: Uplink) -> None:
    """Write the script's lines to the outbox, some at once, some after a while."""
    written = sum(state.last for state in await outbox.epochs())
    chance = random.Random(f"{settings['seed']}/{settings['name']}/{written}")
    while True:
        lines = (await asyncio.to_thread(Path(settings["script"]).read_text, "utf-8")).splitlines()
        while written < len(lines):
            some = lines[written : written + chance.choice([1, 1, 1, 2, 5, 12])]
            await outbox.append([_movement(json.loads(line)) for line in some])
            written += len(some)
            uplink.appended()
            await asyncio.sleep(chance.expovariate(1.0) * settings["pace_s"] * len(some))
        await asyncio.sleep(READ_AGAIN_S)


def _movement(line: dict[str, Any]) -> NewMovement:
    return NewMovement(
        occurred_at_us=line["occurred_us"], kind="passage", gate=line["gate"], epc=line["epc"],
        direction=line["direction"], confidence=line["confidence"], evidence={"reason": "scripted"},
    )  # fmt: skip


if __name__ == "__main__":
    asyncio.run(run(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
