"""A pallet is passing when the line is cut, or the gateway killed: every tag's passage comes out all the same."""

import asyncio
from collections import Counter

import pytest

from edge.devices.portal import Portal, PortalSettings
from edge.readings import Direction
from edge.recognition.gate import GateSettings
from edge.recognition.gate_recognition import GateRecognition
from firmware_bridges.virtual_reader.scenario import Pallet, Scenario, made_up_goods, sightings
from tests.llrp_makers import QUICK, playing, run

GATE = GateSettings("dock", inside=frozenset({3, 4}), outside=frozenset({1, 2}))
SCENARIO = Scenario(
    "one in, one out",
    6.4,
    (Pallet("IN", "in", at_s=2.2, speed_m_s=2.0, tags=6), Pallet("OUT", "out", at_s=4.2, speed_m_s=2.0, tags=6)),
)
GOODS = made_up_goods(SCENARIO)
PACE = 2.5  # the reader's clock stays within what the portal trusts, 5 s, until the end


class Gateway:
    """What a gateway has in memory: a portal and a gate's recognition. Gone with it when it is killed."""

    def __init__(self, address) -> None:
        self.portal = Portal(PortalSettings("dock", *address), back_off=QUICK)
        self.recognition = GateRecognition(GATE)
        self.running = asyncio.create_task(self.portal.run())

    async def hear(self, until) -> list:
        """The passages that become due until something is so."""
        passages = []
        while not until():
            passages += self.recognition.feed(await self.portal.reads(timeout_s=0.02))
            passages += self.recognition.advance(self.portal.clock_us())
        return passages

    async def end(self) -> list:
        passages = self.recognition.feed(await self.portal.reads(timeout_s=0.0)) + self.recognition.flush()
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)
        return passages


def crossings(passages):
    """How often each pallet's tags crossed, and which way."""
    of_tag = {epc: name for name, epcs in GOODS.items() for epc in epcs}
    return Counter(
        (of_tag[passage.epc], passage.direction.value)
        for passage in passages
        if passage.direction in (Direction.IN, Direction.OUT)
    )


EACH_ONCE = {("IN", "in"): 6, ("OUT", "out"): 6}


@pytest.mark.parametrize("after_sightings", [150, 400])
def test_of_a_cut_line_the_passages_know_nothing(after_sightings):
    async def story():
        async with playing(sightings(SCENARIO, GOODS), pace=PACE) as reader:
            gateway = Gateway(reader.address)
            heard = await gateway.hear(lambda: reader.counters.sightings >= after_sightings)
            reader.lose_client()
            heard += await gateway.hear(reader.finished.is_set)
            return heard + await gateway.end(), gateway.portal.reconnects

    passages, reconnects = run(story())
    assert reconnects == 1
    assert crossings(passages) == EACH_ONCE
    assert not [passage for passage in passages if passage.direction is Direction.UNDECIDED]


@pytest.mark.parametrize("after_sightings", [150, 400])
def test_a_gateway_that_was_killed_with_undecided_visits_decides_them_when_it_is_back(after_sightings):
    async def story():
        async with playing(sightings(SCENARIO, GOODS), pace=PACE) as reader:
            killed = Gateway(reader.address)
            written = await killed.hear(lambda: reader.counters.sightings >= after_sightings)
            killed.running.cancel()
            reader.lose_client()
            await asyncio.gather(killed.running, return_exceptions=True)
            gateway = Gateway(reader.address)
            heard = await gateway.hear(reader.finished.is_set)
            return written, heard + await gateway.end()

    written, after = run(story())
    # What was decided before may be decided again, at the same moment: who books it knows it by that.
    assert crossings(after) | crossings(written) == EACH_ONCE
    moments = {passage.epc: passage.crossed_at_us for passage in written}
    for passage in after:
        if passage.epc in moments and passage.direction in (Direction.IN, Direction.OUT):
            assert abs(passage.crossed_at_us - moments[passage.epc]) < 1_000_000
