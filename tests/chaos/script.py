"""What happens in the warehouse of one seed: which tag crosses which gate when, and what its gateway's log says of it.

Pure, and the same for one seed every time. Within what the books promise to be the same in any order of arrival
(ARCHITECTURE.md, promise 6): gates do not share crossings, and what gates expect is by item and never used up. Across
it: tags come in by one gateway's gate and leave by another's, all gateways feed the same cost pools at prices of their
own, and some of what they send cannot be booked.
"""

import json
import random
from dataclasses import asdict, dataclass

GATEWAYS = 3
ITEMS = 5
TAGS = 40
FEWEST, MOST = 40, 90  # movements of a gateway
SECOND_US = 1_000_000
LONGEST_US = GATEWAYS * (MOST + 1) * 20 * SECOND_US  # of any script


@dataclass(frozen=True, slots=True)
class Passage:
    """One line of a gateway's log. Times µs since 1970-01-01 UTC."""

    occurred_us: int
    gate: str
    epc: str
    direction: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Script:
    """By gateway its log, in order; the last line of each tells that it is complete."""

    seed: int
    logs: tuple[tuple[Passage, ...], ...]

    def lines(self, gateway: int) -> list[str]:
        """As the gateway's process reads them."""
        return [json.dumps(asdict(passage)) for passage in self.logs[gateway]]


def gateway_name(number: int) -> str:
    return f"gw-{number}"


def gate_name(number: int) -> str:
    return f"dock-{number}"


def epc_of(tag: int) -> str:
    return f"E280{tag:020X}"


def item_of(tag: int) -> str:
    return f"ITEM-{tag % ITEMS}"


def script_of(seed: int, began_us: int) -> Script:
    """Tags go in and out in turn; now and then one turns back, nobody can tell, or a gate is unknown.

    began_us  when, before the cloud's clock by LONGEST_US at least, or it would not be believed
    """
    chance = random.Random(seed)
    logs: list[list[Passage]] = [[] for _ in range(GATEWAYS)]
    left = [chance.randint(FEWEST, MOST) for _ in range(GATEWAYS)]
    is_inside = [False] * TAGS
    now_us = began_us
    while any(left):
        # No two lines of one instant: within an instant the order of gateways would decide what goods cost.
        now_us += chance.randint(1, 20 * SECOND_US)
        gateway = chance.choice([number for number in range(GATEWAYS) if left[number]])
        tag = chance.randrange(TAGS)
        confidence = round(chance.uniform(0.5, 1.0), 2)
        luck = chance.random()
        gate, direction = gate_name(gateway), "out" if is_inside[tag] else "in"
        if luck < 0.06:
            direction = chance.choice(["turned_back", "undecided"])
        elif luck < 0.09:
            gate = "dock-nobody-registered"
        else:
            is_inside[tag] = not is_inside[tag]
        logs[gateway].append(Passage(now_us, gate, epc_of(tag), direction, confidence))
        left[gateway] -= 1
    for gateway in range(GATEWAYS):
        now_us += SECOND_US
        logs[gateway].append(Passage(now_us, gate_name(gateway), epc_of(0), "undecided", 0.5))
    return Script(seed, tuple(map(tuple, logs)))
