"""The scenario that ships: what it contains, how its tags are read, whose goods it bears."""

import itertools
import json
import math
from collections import Counter
from pathlib import Path

import pytest

from firmware_bridges.virtual_reader.scenario import (
    Pallet,
    PhotoEye,
    Scenario,
    WrongScenario,
    eye_changes,
    find_scenario,
    goods_on_pallets,
    happenings,
    load_goods,
    load_scenario,
    made_up_goods,
    sightings,
)

SCENARIO = load_scenario(find_scenario("truck_unloading"))
GOODS = made_up_goods(SCENARIO)
SEEN = list(sightings(SCENARIO, GOODS, seed=1))
OUTSIDE, INSIDE = (1, 2), (3, 4)


def pass_of(pallet, epc):
    """The sightings of one tag around its pallet's moment in the gate."""
    window_us = (round((pallet.at_s - 5) * 1e6), round((pallet.at_s + 5) * 1e6))
    return [seen for seen in SEEN if seen.epc == epc and window_us[0] <= seen.at_us <= window_us[1]]


def test_it_contains_what_a_truck_and_two_orders_need_in_25_seconds():
    directions = Counter(pallet.direction for pallet in SCENARIO.pallets)
    assert directions == {"in": 6, "out": 2, "turn_back": 1, "parked": 1}
    inbound = [len(GOODS[name]) for name in ("P1", "P2", "P3", "P4")]
    assert all(6 <= tags <= 12 for tags in inbound)
    assert len(GOODS["U1"]) == 1
    assert len(GOODS["R1"]) == 5
    assert SEEN[-1].at_us <= 25_000_000
    assert SCENARIO.ends_at_s <= 25.0


def test_what_leaves_came_in_earlier_in_the_same_scenario():
    assert set(GOODS["S1"]) <= set(GOODS["P1"]) | set(GOODS["P2"])
    assert {epc in GOODS["P1"] for epc in GOODS["S1"]} == {True, False}
    assert set(GOODS["T1"]) <= set(GOODS["P3"])
    for pallet in SCENARIO.pallets:
        for source in pallet.taken_from:
            # Longer than a gate waits for a tag that turns back, so that in and out are two visits.
            assert pallet.at_s - SCENARIO.pallet(source).at_s > 10.0


def test_every_tag_is_read_at_least_24_times_a_pass_and_from_both_sides():
    for pallet in SCENARIO.pallets:
        if pallet.is_parked:
            continue
        for epc in GOODS[pallet.name]:
            antennas = Counter(seen.antenna for seen in pass_of(pallet, epc))
            assert antennas.total() >= 24, (pallet.name, epc, antennas)
            assert sum(antennas[antenna] for antenna in OUTSIDE) >= 6
            assert sum(antennas[antenna] for antenna in INSIDE) >= 6


def test_strength_tells_the_way_of_every_pallet():
    for pallet in SCENARIO.pallets:
        if pallet.is_parked:
            continue
        for epc in GOODS[pallet.name]:
            middles = {}
            for side in (OUTSIDE, INSIDE):
                weights = [
                    (10 ** (seen.rssi_dbm / 10), seen.at_us)
                    for seen in pass_of(pallet, epc)
                    if seen.antenna in side
                ]
                middles[side] = sum(w * t for w, t in weights) / sum(w for w, _ in weights) / 1e6
            lead_s = middles[INSIDE] - middles[OUTSIDE]
            if pallet.direction == "turn_back":
                assert abs(lead_s) < 0.3
            else:
                assert (lead_s > 0.5) == (pallet.direction == "in"), (pallet.name, epc, lead_s)
                assert abs(lead_s) > 0.5


def test_parked_tags_are_heard_all_the_time_from_one_side_and_hardly_change():
    for epc in GOODS["R1"]:
        seen = [sighting for sighting in SEEN if sighting.epc == epc]
        assert {sighting.antenna for sighting in seen} <= set(INSIDE)
        assert len({sighting.at_us // 1_000_000 for sighting in seen}) == int(SCENARIO.ends_at_s)
        for antenna in INSIDE:
            strengths = [sighting.rssi_dbm for sighting in seen if sighting.antenna == antenna]
            assert max(strengths) - min(strengths) < 4.0


def test_sightings_come_in_order_and_within_what_a_reader_can_say():
    assert all(a.at_us <= b.at_us for a, b in itertools.pairwise(SEEN))
    for seen in SEEN:
        assert seen.antenna in (1, 2, 3, 4)
        assert -80 <= seen.rssi_dbm <= -30
        assert 0 <= seen.phase_rad < math.tau


def test_the_same_seed_makes_the_same_sightings_and_another_does_not():
    assert list(sightings(SCENARIO, GOODS, seed=1)) == SEEN
    assert list(sightings(SCENARIO, GOODS, seed=2)) != SEEN


def test_goods_from_outside_ride_on_the_pallets_they_name(tmp_path: Path):
    file = tmp_path / "goods.json"
    entries = [
        {"epc": "30340a64c0dec0de00000001", "pallet": "P1", "item": "LAMP"},
        {"epc": "30340A64C0DEC0DE00000002", "pallet": "P1"},
        {"epc": "30340A64C0DEC0DE00000001", "pallet": "S1"},
    ]
    file.write_text(json.dumps(entries), encoding="utf-8")
    goods = load_goods(file, SCENARIO)
    assert goods["P1"] == ("30340A64C0DEC0DE00000001", "30340A64C0DEC0DE00000002")
    assert goods["S1"] == ("30340A64C0DEC0DE00000001",)
    assert goods["R1"] == GOODS["R1"]
    heard = {seen.epc for seen in sightings(SCENARIO, goods)}
    assert set(goods["P1"]) <= heard
    assert not set(GOODS["P1"]) & heard


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ({"epc": "XYZ", "pallet": "P1"}, "goods, entry 1: expected an EPC in hex, got 'XYZ'"),
        ({"epc": "", "pallet": "P1"}, "expected an EPC in hex"),
        ({"epc": "30"}, "goods, entry 1: expected"),
        ({"epc": "30", "pallet": "P9"}, "no pallet 'P9' in"),
        ("30", "goods, entry 1: expected"),
    ],
)
def test_goods_that_cannot_be_placed_are_refused_by_name(entry, why):
    with pytest.raises(WrongScenario, match=why):
        goods_on_pallets([entry], SCENARIO)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("title = 3", "ends_at_s"),
        ('title = "x"\nends_at_s = 1\n[[pallets]]\nname = "A"\ndirection = "up"', "expected direction in, out"),
        ('title = "x"\nends_at_s = 1\n[[pallets]]\nname = "A"\ndirection = "in"\nspeed = 1', "got speed"),
        (
            'title = "x"\nends_at_s = 1\n[[pallets]]\nname = "A"\ndirection = "in"\nspeed_m_s = 0',
            "a speed above 0",
        ),
        (
            'title = "x"\nends_at_s = 1\n[[pallets]]\nname = "A"\ndirection = "in"\ntaken_from = ["B"]',
            "no pallet 'B'",
        ),
        (
            'title = "x"\nends_at_s = 1\npallets = []\n[[photo_eyes]]\nport = 0',
            "expected a port from 1 on, broken when high or low, got 0",
        ),
        ('title = "x"\nends_at_s = 1\npallets = []\n[[photo_eyes]]\nport = 1\nx = 1', "got x"),
        (
            'title = "x"\nends_at_s = 1\npallets = []\n[[photo_eyes]]\nport = 1\n[[photo_eyes]]\nport = 1',
            r"an input of its own for every photo-eye, got \[1, 1\]",
        ),
        (
            'title = "x"\nends_at_s = 1\n[[pallets]]\nname = "A"\ndirection = "in"\n'
            '[[pallets]]\nname = "A"\ndirection = "out"',
            "expected every pallet once, got A, A",
        ),
        ("no toml", "scenario.toml"),
    ],
)
def test_a_scenario_that_cannot_be_played_says_where_and_why(tmp_path: Path, text: str, why: str):
    file = tmp_path / "scenario.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(WrongScenario, match=why):
        load_scenario(file)


def test_a_scenario_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(WrongScenario, match=r"nowhere\.toml"):
        load_scenario(find_scenario(str(tmp_path / "nowhere.toml")))


# ── what photo-eyes see ───────────────────────────────────────────────────────────────────────────


def changes_s(eye: PhotoEye, *pallets: Pallet, ends_at_s: float = 20.0) -> list[tuple[float, bool]]:
    changes = eye_changes(Scenario("", ends_at_s, pallets), eye)
    assert {change.port for change in changes} <= {eye.port}
    return [(change.at_us / 1e6, change.is_high) for change in changes]


IN = Pallet("P", "in", 5.0, 1.0)  # a metre long, a metre a second
OUT = Pallet("P", "out", 5.0, 2.0)
BACK = Pallet("P", "turn_back", 5.0, 1.0)


@pytest.mark.parametrize(
    ("x_m", "pallets", "broken_s"),
    [
        (0.0, [IN], [(4.5, 5.5)]),
        (1.0, [IN], [(5.5, 6.5)]),
        (1.0, [OUT], [(4.25, 4.75)]),
        (0.0, [BACK], [(4.5, 5.5)]),
        (-2.0, [BACK], [(2.5, 3.5), (6.5, 7.5)]),
        (2.0, [BACK], []),
        (0.0, [IN, Pallet("Q", "in", 5.8, 1.0)], [(4.5, 6.3)]),
        (0.0, [IN, Pallet("Q", "in", 8.0, 1.0)], [(4.5, 5.5), (7.5, 8.5)]),
        (0.0, [Pallet("S", "parked", stands_at_m=(0.0, 3.0)), IN], [(4.5, 5.5)]),
        (0.0, [Pallet("S", "parked", stands_at_m=(0.2, 0.5)), IN], [(0.0, 20.0)]),
        (0.0, [Pallet("L", "in", 20.0, 1.0)], [(19.5, 20.0)]),
        (0.0, [Pallet("E", "in", 0.2, 1.0)], [(0.0, 0.7)]),
        (0.0, [Pallet("N", "in", 40.0, 1.0)], []),
    ],
)
@pytest.mark.parametrize("broken_when", ["high", "low"])
def test_a_beam_is_broken_while_something_stands_in_it(x_m, pallets, broken_s, broken_when):
    is_high = broken_when == "high"
    expected = [] if is_high else [(0.0, True)]  # nothing has been said of an input that is low from the start
    for from_s, to_s in broken_s:
        expected += [(from_s, is_high), *([(to_s, not is_high)] if to_s < 20.0 else [])]
    assert changes_s(PhotoEye(2, x_m, broken_when), *pallets) == expected


def test_the_eye_of_the_scenario_that_ships_tells_of_everything_that_passes_its_gate():
    told = list(happenings(SCENARIO, GOODS, seed=1))
    assert [one.at_us for one in told] == sorted(one.at_us for one in told)
    assert [one for one in told if one in set(SEEN)] == SEEN
    breaks = [one.at_us / 1e6 for one in told if one not in set(SEEN) and one.is_high]
    passing = sorted(pallet.at_s for pallet in SCENARIO.pallets if not pallet.is_parked and pallet.name != "U1")
    assert len(breaks) == len(passing)
    assert all(0 < at_s - broken_s < 0.5 for at_s, broken_s in zip(passing, breaks, strict=True))
