"""The scenario that ships with the virtual reader, straight into recognition, without LLRP between."""

from collections import defaultdict

import pytest

from edge.readings import TagRead
from edge.recognition.gate import GateSettings
from edge.recognition.gate_recognition import GateRecognition
from firmware_bridges.virtual_reader.scenario import find_scenario, load_scenario, made_up_goods, sightings
from tests.walks import T0_US


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_pallet_of_the_truck_is_seen_as_it_moved(seed: int) -> None:
    scenario = load_scenario(find_scenario("truck_unloading"))
    goods = made_up_goods(scenario)
    verdict = {"in": "in", "out": "out", "turn_back": "turned_back", "parked": "stayed"}
    moved = defaultdict(list)
    for pallet in sorted(scenario.pallets, key=lambda pallet: pallet.at_s):
        for epc in goods[pallet.name]:
            moved[epc].append(verdict[pallet.direction])
    recognition = GateRecognition(GateSettings("dock-1", inside=frozenset({3, 4}), outside=frozenset({1, 2})))

    seen = defaultdict(list)
    reads = [TagRead(s.epc, s.antenna, s.rssi_dbm, T0_US + s.at_us) for s in sightings(scenario, goods, seed)]
    for passage in recognition.feed(reads) + recognition.flush():
        seen[passage.epc].append(passage.direction.value)

    assert seen == moved
