"""EPC memory read on one core, beside epcpy on the same tags: SGTIN-96, every tag another item and serial number."""

import random
import time
from collections.abc import Callable

from protocols.epc import sgtin, tag_memory
from tests.benchmarks.figure import Figure
from tests.epc_components import oracle

TAGS = 100_000
SAMPLE = 2_000  # of them for what is slower
ROUNDS = 5
SEED = 7
PEER = "epcpy"


def measure_epc() -> list[Figure]:
    """Tags a second: to the key, to the GTINs of a batch (gateways, cloud), to everything there is to say."""
    memories = _memories()
    peer = _rate(lambda some: [oracle.hex_to_tag_encodable(one) for one in some], memories[:SAMPLE])
    return [
        Figure("EPC memory SGTIN-96, decoded", _rate(_keys, memories), "tags/s", PEER, peer),
        Figure("EPC memory SGTIN-96, GTINs of a batch", _rate(sgtin.gtins_of, memories), "tags/s", PEER, peer),
        Figure(
            "EPC memory SGTIN-96, all spellings",
            _rate(_spellings, memories[:SAMPLE]),
            "tags/s",
            f"{PEER}, EPC URI alone",
            peer,
        ),
    ]


def _keys(memories: list[str]) -> object:
    return [sgtin.decode(memory) for memory in memories]


def _spellings(memories: list[str]) -> object:
    return [tag_memory.decode(memory) for memory in memories]


def _memories() -> list[str]:
    chance = random.Random(SEED)
    memories = []
    for _ in range(TAGS):
        digits = chance.randrange(6, 13)
        key = f"{chance.randrange(10**13):013d}"
        item = sgtin.Sgtin(chance.randrange(8), key[:digits], key[digits:], chance.randrange(sgtin.SERIAL_MAX + 1))
        memories.append(sgtin.encode(item))
    return memories


def _rate(work: Callable[[list[str]], object], memories: list[str]) -> float:
    """Tags a second of processor time (one core, whoever else runs) in the best of some rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        work(memories)
        best = min(best, time.process_time() - began)
    return len(memories) / best
