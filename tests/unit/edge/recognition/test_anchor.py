"""The instant at which a crowd changes sides: found, judged by, used once, and not seen where there is none."""

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.readings import Direction, GroupEvidence, Passage, TagRead
from edge.recognition import anchor as anchors
from edge.recognition.anchor import Anchor, Past, log_odds, probability, scan
from edge.recognition.columns import Reads, antenna_codes, pack
from edge.recognition.gate import US
from edge.recognition.gate_recognition import GateRecognition
from tests import walks
from tests.crowds import PORTAL, crossings, epc_of, merged, sparse_pass, sparse_stand, told
from tests.walks import T0_US

CODES = antenna_codes(PORTAL.inside, PORTAL.outside)
MOVERS = range(40)
STANDING = range(100, 140)
FIRST_S, BACK_S = 60.0, 90.0


def columns_of(reads: list[TagRead]) -> Reads:
    return walks.columns_of(
        (read.seen_at_us, pack(CODES[read.antenna], read.rssi_dbm, None, None)) for read in reads
    )


def scanned(crowd: list[Reads], until_us: int, flicker: float) -> tuple[list[Anchor], float]:
    """The anchors of the tags of a crowd, and how many changed sides together."""
    columns = [np.concatenate([getattr(reads, column) for reads in crowd]) for column in ("times_us", "signals")]
    return scan(Reads(*columns), [len(reads) for reads in crowd], until_us, flicker, PORTAL)


def pallet(crosses_s: float, chance: random.Random, *, inward: bool = True, reads: int = 3) -> list[TagRead]:
    """Sparse reads of a pallet of MOVERS."""
    return merged(
        *(sparse_pass(n, crosses_s + chance.gauss(0, 0.3), chance, inward=inward, reads=reads) for n in MOVERS)
    )


def beside(until_s: float, chance: random.Random) -> list[TagRead]:
    """Sparse reads of STANDING tags."""
    return merged(*(sparse_stand(n, until_s, chance) for n in STANDING))


def live(sightings: list[TagRead]) -> tuple[list[Passage], GateRecognition]:
    """As a gateway runs: second by second, and time goes on after the last read."""
    recognition = GateRecognition(PORTAL)
    passages: list[Passage] = []
    start = 0
    for second in range(1, 400):
        now_us = T0_US + second * US
        end = next((i for i in range(start, len(sightings)) if sightings[i].seen_at_us >= now_us), len(sightings))
        passages += recognition.feed(sightings[start:end]) + recognition.advance(now_us)
        start = end
    return passages + recognition.flush(), recognition


# ── a crowd that changes sides ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("inward", [True, False])
def test_a_pallet_of_tags_read_three_times_each_crosses_and_what_stands_beside_does_not(
    seed: int, inward: bool
) -> None:
    chance = random.Random(seed)

    passages, recognition = live(merged(pallet(FIRST_S, chance, inward=inward), beside(80, chance)))

    told_so = crossings(passages)
    assert not set(told_so) & {epc_of(n) for n in STANDING}
    assert set(map(tuple, told_so.values())) == {("in" if inward else "out",)}
    assert len(told_so) >= 0.85 * len(MOVERS)
    assert recognition.counters["by_anchor"] >= 0.85 * len(MOVERS)


def test_no_tag_read_three_times_crosses_by_itself() -> None:
    chance = random.Random(5)

    passages, _ = live(sparse_pass(1, FIRST_S, chance))

    assert told(passages) == {epc_of(1): ["undecided"]}


def test_the_passage_tells_the_common_instant_and_how_many_changed_sides() -> None:
    chance = random.Random(1)

    passages, _ = live(merged(pallet(FIRST_S, chance), beside(80, chance)))

    by_anchor = [passage for passage in passages if passage.evidence.decided_by == "anchor"]
    for passage in by_anchor:
        assert abs(passage.crossed_at_us - (T0_US + FIRST_S * US)) < US
        assert passage.evidence.reason == "changed sides with the others"
        assert 0 < passage.confidence < 1
        group = passage.evidence.group
        assert group is not None
        assert group.direction is passage.direction
        assert len(MOVERS) / 2 < group.agreeing <= group.moving <= len(MOVERS) + len(STANDING)
    assert len({passage.crossed_at_us for passage in by_anchor}) == 1


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_an_echo_of_an_anchor_decides_nothing_twice(seed: int) -> None:
    """The same crowd is scanned second after second while its reads are in the window."""
    chance = random.Random(seed)
    # What follows the crossing keeps the tags in view of the inside, and the crowd among what is scanned.
    lingering = [
        TagRead(epc_of(n), chance.choice((3, 4)), -66.0, T0_US + round((FIRST_S + 4 + k * 1.5) * US) + n)
        for n in MOVERS
        for k in range(8)
    ]

    passages, recognition = live(merged(pallet(FIRST_S, chance, reads=4), lingering, beside(90, chance)))

    assert set(map(tuple, crossings(passages).values())) == {("in",)}
    assert recognition.counters["by_anchor"] <= len(MOVERS)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_crossing_back_is_another_anchor(seed: int) -> None:
    chance = random.Random(seed)
    there_and_back = merged(
        pallet(FIRST_S, chance, reads=4), pallet(BACK_S, chance, inward=False, reads=4), beside(110, chance)
    )

    passages, _ = live(there_and_back)

    both = [epc for epc, directions in crossings(passages).items() if directions == ["in", "out"]]
    assert len(both) >= 0.85 * len(MOVERS)
    instants = {passage.crossed_at_us for passage in passages if passage.evidence.decided_by == "anchor"}
    assert {round((at_us - T0_US) / US / 10) * 10 for at_us in instants} == {FIRST_S, BACK_S}
    assert not set(crossings(passages)) & {epc_of(n) for n in STANDING}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("every_s", "stray"), [(3.0, 0.2), (6.0, 0.5)])
def test_a_thousand_parked_tags_that_flicker_by_chance_are_no_crowd(
    seed: int, every_s: float, stray: float
) -> None:
    chance = random.Random(seed)
    field = merged(*(sparse_stand(n, 30, chance, every_s=every_s, stray=stray) for n in range(1000)))

    passages, recognition = live(field)

    assert recognition.counters["by_anchor"] == 0
    assert len(crossings(passages)) <= 2


# ── the scan ────────────────────────────────────────────────────────────────────────────────────────────


def crowd_at(crosses_s: float, inward: bool, tags: int, seed: int = 3) -> list[Reads]:
    chance = random.Random(seed)
    return [columns_of(sparse_pass(n, crosses_s, chance, inward=inward, reads=4)) for n in range(tags)]


@pytest.mark.parametrize("inward", [True, False])
def test_the_scan_finds_when_and_which_way_the_crowd_went(inward: bool) -> None:
    found, together = scanned(crowd_at(20, inward, 12), T0_US + 27 * US, 0.0)

    (anchor,) = found
    assert abs(anchor.at_us - (T0_US + 20 * US)) <= US
    assert anchor.direction is (Direction.IN if inward else Direction.OUT)
    assert together == anchor.group.agreeing >= 10


def test_the_scan_finds_no_crowd_in_a_few_tags_nor_in_two_crowds_that_meet() -> None:
    few = crowd_at(20, True, PORTAL.anchor_fewest - 1)
    meeting = crowd_at(20, True, 12) + crowd_at(20, False, 12)

    assert scanned(few, T0_US + 27 * US, 0.0)[0] == []
    assert scanned(meeting, T0_US + 27 * US, 0.0)[0] == []
    assert scan(columns_of([]), [], T0_US, 0.0, PORTAL) == ([], 0.0)


def test_the_more_a_field_flickers_by_chance_the_more_must_change_sides_together() -> None:
    crowd = crowd_at(20, True, 12)

    assert scanned(crowd, T0_US + 27 * US, 1.0)[0]
    assert scanned(crowd, T0_US + 27 * US, 12.0)[0] == []


# ── the odds, by a slow implementation of what the file says ────────────────────────────────────────────


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def normal(x: float, mean: float, sd: float) -> float:
    return math.exp(-0.5 * ((x - mean) / sd) ** 2) / (sd * math.sqrt(2 * math.pi))


def student(x: float, mean: float, scale_squared: float, freedom: float) -> float:
    """Density of Student's t with location and scale."""
    ratio = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)
    spread = math.sqrt(freedom * math.pi * scale_squared)
    return math.exp(ratio) / spread * (1 + (x - mean) ** 2 / (freedom * scale_squared)) ** (-(freedom + 1) / 2)


def moving_signal(reads: list[TagRead], mean_dbm: float) -> float:
    return sum(math.log(normal(read.rssi_dbm, mean_dbm, anchors._MOVING_SD_DB)) for read in reads)


def standing_signal(reads: list[TagRead], mean_dbm: float) -> float:
    """Read by read: what the reads before it on its antenna foretell (Murphy 2007, equations 100 and 104-106)."""
    total = 0.0
    for antenna in {read.antenna for read in reads}:
        mean, weight, shape, scale = mean_dbm, anchors._MEAN_READS, anchors._SHAPE, anchors._SCALE
        for read in (read for read in reads if read.antenna == antenna):
            x = read.rssi_dbm
            total += math.log(student(x, mean, scale * (weight + 1) / (shape * weight), 2 * shape))
            scale += 0.5 * weight / (weight + 1) * (x - mean) ** 2
            mean, weight, shape = (weight * mean + x) / (weight + 1), weight + 1, shape + 0.5
    return total


def standing_antennas(reads: list[TagRead]) -> float:
    """Pólya's urn: each read makes its antenna likelier."""
    total, drawn = 0.0, dict.fromkeys(PORTAL.inside | PORTAL.outside, anchors._ANTENNA_PRIOR)
    for read in reads:
        total += math.log(drawn[read.antenna] / sum(drawn.values()))
        drawn[read.antenna] += 1
    return total


def moving_antennas(reads: list[TagRead], anchor: Anchor) -> float:
    total = 0.0
    for read in reads:
        late_s = (read.seen_at_us - anchor.at_us) / US
        ahead = late_s if anchor.direction is Direction.IN else -late_s
        inside = PORTAL.anchor_stray + (1 - 2 * PORTAL.anchor_stray) * sigmoid(ahead / PORTAL.anchor_spread_s)
        side = inside if read.antenna in PORTAL.inside else 1 - inside
        total += math.log(side / len(PORTAL.inside if read.antenna in PORTAL.inside else PORTAL.outside))
    return total


def odds_slowly(
    around: list[TagRead], earlier: list[TagRead], past: Past, anchor: Anchor, mean_dbm: float
) -> float:
    before = max(-anchors._MOST_NATS, math.log(past.went + 1) - math.log(past.stayed + 1))
    steady = anchors._STEADY_SHARE * (moving_signal(earlier, mean_dbm) - standing_signal(earlier, mean_dbm))
    before += min(anchors._STEADY_NATS, max(-anchors._STEADY_NATS, steady))
    moving = moving_antennas(around, anchor) + moving_signal(around, mean_dbm)
    return before + moving - standing_antennas(around) - standing_signal(around, mean_dbm)


def some_reads(from_s: int, until_s: int, fewest: int) -> st.SearchStrategy[list[TagRead]]:
    one = st.builds(
        lambda ms, antenna, dbm: TagRead(epc_of(1), antenna, dbm / 10, T0_US + ms * 1000),
        st.integers(from_s * 1000, until_s * 1000),
        st.sampled_from([1, 2, 3, 4]),
        st.integers(-800, -350),
    )
    return st.lists(one, min_size=fewest, max_size=12, unique_by=lambda read: read.seen_at_us)


@settings(max_examples=100, deadline=None)
@given(
    around=some_reads(-5, 4, 2),
    earlier=some_reads(-20, -5, 0),
    direction=st.sampled_from([Direction.IN, Direction.OUT]),
    went=st.integers(0, 500),
    stayed=st.integers(0, 500),
    mean_dbm=st.floats(-70, -50),
)
def test_the_odds_are_those_of_the_two_stories_told_read_by_read(
    around: list[TagRead],
    earlier: list[TagRead],
    direction: Direction,
    went: int,
    stayed: int,
    mean_dbm: float,
) -> None:
    anchor = Anchor(T0_US, direction, GroupEvidence(T0_US, direction, 9, 0, 9))
    past = Past(columns_of(earlier), went, stayed)

    fast = log_odds(columns_of(around), past, anchor, mean_dbm, PORTAL)

    assert fast == pytest.approx(odds_slowly(around, earlier, past, anchor, mean_dbm), abs=1e-6)


def test_a_tag_that_changed_sides_with_the_crowd_is_likelier_to_have_gone_than_one_that_did_not() -> None:
    anchor = Anchor(T0_US, Direction.IN, GroupEvidence(T0_US, Direction.IN, 9, 0, 9))
    new = Past(columns_of([]), 0, 0)
    went = [
        TagRead(epc_of(1), a, dbm, T0_US + s * US) for s, a, dbm in [(-2, 1, -60.0), (-1, 2, -52.0), (2, 3, -57.0)]
    ]
    stood = [TagRead(epc_of(1), a, -60.0, T0_US + s * US) for s, a in [(-2, 1), (-1, 1), (2, 1)]]
    stray = [TagRead(epc_of(1), a, -60.0, T0_US + s * US) for s, a in [(-2, 1), (-1, 3), (1, 1), (2, 1)]]

    def odds(reads: list[TagRead], past: Past = new) -> float:
        return log_odds(columns_of(reads), past, anchor, -58.0, PORTAL)

    assert odds(went) > PORTAL.anchor_nats > 0 > max(odds(stood), odds(stray))
    # What stayed often and what is steady takes more to be believed a mover.
    assert odds(went, Past(columns_of([]), 0, 9)) < odds(went) < odds(went, Past(columns_of([]), 9, 0))
    steady = columns_of([TagRead(epc_of(1), 1, -60.0, T0_US - k * US) for k in range(6, 20)])
    assert odds(went, Past(steady, 0, 0)) < odds(went)


@given(st.floats(-1e6, 1e6))
def test_odds_become_a_probability(nats: float) -> None:
    assert 0 <= probability(nats) <= 1
    assert probability(nats) + probability(-nats) == pytest.approx(1)
