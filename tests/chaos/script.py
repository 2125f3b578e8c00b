"""What happens in the warehouse of one seed: which tag crosses which gate when, and what its gateway's log says of it.

Pure, and the same for one seed every time. Tags come into the store by one gateway's gate, leave it by another's, to
customers or in transit to the shop, whose gate is the third's: so every tag's story is told by several logs. All feed
the same cost pools at prices of their own. Now and then nobody sees a crossing, a tag turns back, a gate cannot tell,
nobody knows the tag, or the gate is one that was never registered and what it sends cannot be booked.

Within what the books promise to be the same in any order of arrival (ARCHITECTURE.md, promise 6): gates do not share
crossings, what gates expect is by item and never used up, and no two lines are of one instant.
"""

import json
import random
from dataclasses import asdict, dataclass

GATEWAYS = 3
ITEMS = 5
UNEXPECTED_ITEM = 4  # no gate expects it
TAGS = 40
MISSED = 0.1  # of all crossings
FEWEST, MOST = 40, 90  # movements of a gateway
SECOND_US = 1_000_000
LONGEST_US = 10 * GATEWAYS * (MOST + 1) * 20 * SECOND_US  # of any script, with all that nobody writes down


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


INSIDE = ("STORE", "STORE", "SHOP")  # by gateway, what lies behind its gate; before it the world


def gateway_name(number: int) -> str:
    return f"gw-{number}"


def gate_name(number: int) -> str:
    return f"dock-{number}"


def epc_of(tag: int) -> str:
    return f"E280{tag:020X}"


def item_of(tag: int) -> str:
    return f"ITEM-{tag % ITEMS}"


def script_of(seed: int, began_us: int) -> Script:
    """Tags go from where they are through a gate that is there.

    began_us  when, before the cloud's clock by LONGEST_US at least, or it would not be believed
    """
    chance = random.Random(seed)
    logs: list[list[Passage]] = [[] for _ in range(GATEWAYS)]
    left = [chance.randint(FEWEST, MOST) for _ in range(GATEWAYS)]
    place = ["WORLD"] * TAGS
    now_us = began_us
    while any(left):
        # No two lines of one instant: within an instant the order of gateways would decide what goods cost.
        now_us += chance.randint(1, 20 * SECOND_US)
        tag = chance.randrange(TAGS)
        gateway = chance.choice([number for number in range(GATEWAYS) if place[tag] in ("WORLD", INSIDE[number])])
        gate, epc, direction = gate_name(gateway), epc_of(tag), "in" if place[tag] == "WORLD" else "out"
        confidence = round(chance.uniform(0.5, 1.0), 2)
        luck = chance.random()
        if luck < 0.06:
            direction = chance.choice(["turned_back", "undecided"])
        elif luck < 0.09:
            gate = "dock-nobody-registered"
        elif luck < 0.12:
            epc = epc_of(TAGS + tag)
        else:
            place[tag] = INSIDE[gateway] if direction == "in" else "WORLD"
        if luck > 1 - MISSED or not left[gateway]:
            continue
        logs[gateway].append(Passage(now_us, gate, epc, direction, confidence))
        left[gateway] -= 1
    for gateway in range(GATEWAYS):
        now_us += SECOND_US
        logs[gateway].append(Passage(now_us, gate_name(gateway), epc_of(0), "undecided", 0.5))
    return Script(seed, tuple(map(tuple, logs)))
