"""What tests of the outbox and of the uplink share: observations, a clock that is told the time, messages."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from edge.outbox.outbox import Clock, NewMovement, Outbox
from protocols.wire.applied import SCHEMA, Applied, EpochApplied
from protocols.wire.movement import MovementObserved

T0_US = 1_750_000_000_000_000
DEADLINE_S = 20.0
POLL_S = 0.01


@dataclass
class ToldClock:
    """A clock that stands until it is moved; wall and monotonic time apart."""

    wall_us: int = T0_US
    monotonic_s: float = 1000.0
    clock: Clock = field(init=False)

    def __post_init__(self) -> None:
        self.clock = Clock(wall_us=lambda: self.wall_us, monotonic_s=lambda: self.monotonic_s)

    def passes(self, seconds: float) -> None:
        self.wall_us += round(seconds * 1_000_000)
        self.monotonic_s += seconds


def observed(number: int) -> NewMovement:
    """An observation that can be told from every other by its EPC."""
    return NewMovement(
        occurred_at_us=T0_US + number,
        kind="passage",
        gate="gate-1",
        epc=f"{number:024X}",
        direction="in",
        confidence=0.9,
        evidence={"reason": "outside before inside", "order": 0.97},
    )


def observations(count: int, start: int = 1) -> list[NewMovement]:
    return [observed(number) for number in range(start, start + count)]


def applied(*epochs: tuple[str, int], incarnation: int = 1, stopped: str | None = None) -> Applied:
    """An `applied` message that names these epochs."""
    return Applied(
        schema=SCHEMA,
        incarnation=incarnation,
        sent_at_us=T0_US,
        epochs=[EpochApplied(epoch=e, applied=n, head=f"{n:064x}", stopped=stopped) for e, n in epochs],
    )


def movement(body: bytes) -> MovementObserved:
    return msgspec.json.decode(body, type=MovementObserved)


def held(outbox: Outbox) -> dict[str, dict[int, str]]:
    """Everything the outbox would deliver, read as the uplink does: {epoch: {seq: movement id}}."""
    found: dict[str, dict[int, str]] = {}
    for state in outbox.epochs():
        after = 0
        while batch := outbox.next_batch(state.epoch, after, 100, 1 << 20):
            for seq, body in enumerate(batch.movements, batch.first):
                assert movement(body).seq == seq
                found.setdefault(state.epoch, {})[seq] = movement(body).id
            after = batch.last
    return found


async def see(what: str, condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds of something that does not tell us."""
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s, f"{what} did not happen"
        await asyncio.sleep(POLL_S)
