"""Phase: a tag that stands is known by it, whatever passes by does to the strength of its signal."""

import math
import random
from dataclasses import replace

import pytest

from edge.readings import Direction, Passage, TagRead
from tests.crowds import epc_of, merged, passing, recognised, told, with_phase
from tests.walks import GATE, stand, walk_in, walk_out

SWING_DB = 26.0  # of a hump; its smoothed envelope rises by 15 dB and more
SEEDS = range(6)


def beside(antenna: int, _: float) -> float:
    """A parked tag's distance from the outside's and the inside's antenna, metres."""
    return {1: 1.7, 2: 3.1}[antenna]


def walking(antenna: int, at_s: float) -> float:
    """Distance of a tag that walks in at 1 m/s and is in the door at 4 s, as in `walk_in`."""
    return math.hypot(at_s - 4 - {1: -1.5, 2: 1.5}[antenna], 1.0)


def only(passages: list[Passage]) -> Passage:
    (passage,) = passages
    return passage


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("inward", [True, False])
def test_a_parked_tag_whose_signal_swings_in_order_on_both_sides_stayed(seed: int, inward: bool) -> None:
    swinging = passing(1, 5.0, inward=inward, first_db=SWING_DB, second_db=SWING_DB)

    without = only(recognised(swinging))
    known = only(recognised(with_phase(swinging, beside, random.Random(seed))))

    assert without.direction is (Direction.IN if inward else Direction.OUT)
    assert min(without.evidence.rise_inside_db, without.evidence.rise_outside_db) >= 15
    assert (known.direction, known.evidence.decided_by) == (Direction.STAYED, "phase")
    assert known.evidence.reason == "its phase stood still"
    assert all(
        antenna.phase_still is not None and antenna.phase_still > 0.9 for antenna in known.evidence.antennas
    )


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("speed_m_s", [0.3, 1.0, 3.0])
def test_a_tag_that_rolls_through_is_never_called_still(seed: int, speed_m_s: float) -> None:
    rolling = passing(1, 4.0, first_db=SWING_DB, second_db=SWING_DB)

    known = only(
        recognised(with_phase(rolling, lambda a, s: walking(a, 4 + (s - 4) * speed_m_s), random.Random(seed)))
    )

    assert known.direction is Direction.IN
    assert all(
        antenna.phase_still is not None and antenna.phase_still < 0.9 for antenna in known.evidence.antennas
    )


def test_a_crossing_by_phase_is_told_as_without_it() -> None:
    """Phase takes a verdict away where nothing moved; it adds nothing where something did."""
    chance = random.Random(2)
    bare = only(recognised(walk_in()))

    known = only(recognised(with_phase(walk_in(), walking, chance)))

    assert replace(known.evidence, antennas=()) == replace(bare.evidence, antennas=())
    assert (known.direction, known.confidence, known.crossed_at_us) == (
        bare.direction,
        bare.confidence,
        bare.crossed_at_us,
    )


@pytest.mark.parametrize("walk", [walk_in(), walk_out(), stand(-2.0, 15), passing(1, 5.0, apart_s=0.0)])
def test_without_phase_nothing_is_told_of_it(walk: list[TagRead]) -> None:
    for passage in recognised(walk):
        assert passage.evidence.decided_by == "tag"
        assert all(antenna.phase_still is None for antenna in passage.evidence.antennas)


def test_a_channel_without_phase_says_nothing() -> None:
    hopping = [replace(read, channel=1 + index % 4) for index, read in enumerate(walk_in())]

    assert recognised(hopping) == recognised(walk_in())


def test_a_few_reads_with_the_same_phase_do_not_make_a_tag_stand() -> None:
    """Two reads on each antenna and channel agree by chance too often to be believed."""
    few = passing(1, 5.0, first_db=SWING_DB, second_db=SWING_DB, every_s=0.5)
    first_on_each = [replace(read, phase_rad=1.0, channel=1 + i // 2 % 4) for i, read in enumerate(few[:4])] + few[
        4:
    ]

    assert only(recognised(first_on_each)).direction is only(recognised(few)).direction


@pytest.mark.parametrize("seed", SEEDS)
def test_a_parked_tag_does_not_go_with_the_pallet_that_passes_it(seed: int) -> None:
    """What passes moves its signal in the order of the sides; its phase tells."""
    pallet = [with_phase(passing(n, 4.0 + n / 10), walking, random.Random(seed * 10 + n)) for n in range(5)]
    parked = with_phase(passing(9, 4.0, second_db=5.0), beside, random.Random(seed))

    directions = told(recognised(merged(*pallet, parked)))

    assert directions.pop(epc_of(9)) == ["stayed"]
    assert directions == {epc_of(n): ["in"] for n in range(5)}


def test_a_tag_that_stood_and_then_rolled_through_crossed() -> None:
    """It stood still for most of the visit: what counts is the time around the crossing."""

    def distance_m(antenna: int, at_s: float) -> float:
        return walking(antenna, max(at_s - 9.0, 2.0))

    waiting = [TagRead(epc_of(1), 1, -66.0, read.seen_at_us) for read in stand(-2.0, 10, every_s=0.2)]
    rolling = passing(1, 13.0)
    reads = with_phase(merged(waiting, rolling), distance_m, random.Random(4))

    assert [p.direction for p in recognised(reads, GATE)] == [Direction.IN]
