"""Tags that go together: whom a pallet takes along, whom it does not, and whom it doubts."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.readings import Direction, Passage
from edge.recognition.gate import US
from edge.recognition.gate_recognition import GateRecognition
from edge.recognition.group import Vote, poll, reach_us
from edge.recognition.verdict import opposite
from tests.crowds import INSIDE, OUTSIDE, crossings, epc_of, hump, merged, passing, recognised, told
from tests.walks import GATE, T0_US

ODD = 99  # the tag that each test is about
SHADOWED_DB = 5.0  # rises less than a crossing by itself
SURE_DB = 9.0  # is a crossing by itself, but not beyond doubt


def pallet(*, crosses_s: float = 5.0, inward: bool = True, tags: int = 4, first: int = 0) -> list:
    """Tags that are all sure by themselves, in the door within some tenths of a second."""
    return merged(*(passing(first + i, crosses_s + 0.1 * i, inward=inward) for i in range(tags)))


def near(number: int, crosses_s: float = 5.0) -> list:
    """A tag that both sides hear rise at the same time: it came near the gate and went."""
    return passing(number, crosses_s, apart_s=0.0)


def odd_one(passages: list[Passage]) -> Passage:
    (found,) = [passage for passage in passages if passage.epc == epc_of(ODD)]
    return found


@pytest.mark.parametrize("inward", [True, False])
def test_a_shadowed_tag_goes_with_its_pallet(inward: bool) -> None:
    shadowed = passing(ODD, 5.0, inward=inward, second_db=SHADOWED_DB)

    alone = odd_one(recognised(shadowed))
    recognition = GateRecognition(GATE)
    among = odd_one(recognition.feed(merged(pallet(inward=inward), shadowed)) + recognition.flush())

    assert alone.direction is Direction.UNDECIDED
    assert among.direction is (Direction.IN if inward else Direction.OUT)
    assert (among.evidence.decided_by, among.evidence.reason) == ("group", "went with its group")
    assert among.evidence.group is not None
    assert among.evidence.group.direction is among.direction
    assert (among.evidence.group.agreeing, among.evidence.group.contrary, among.evidence.group.moving) == (4, 0, 5)
    assert recognition.counters["by_group"] == 1


def test_a_follower_is_told_with_less_confidence_than_those_it_followed() -> None:
    passages = recognised(merged(pallet(), passing(ODD, 5.0, second_db=SHADOWED_DB)))

    sure = [passage.confidence for passage in passages if passage.epc != epc_of(ODD)]
    assert 0 < odd_one(passages).confidence < min(sure)


def test_one_sure_tag_takes_nobody_along() -> None:
    passages = recognised(merged(pallet(tags=1), passing(ODD, 5.0, second_db=SHADOWED_DB)))

    assert odd_one(passages).direction is Direction.UNDECIDED


@pytest.mark.parametrize("late_s", [-6.0, 6.0])
def test_a_shadowed_tag_does_not_follow_a_pallet_that_crossed_long_before_or_after(late_s: float) -> None:
    passages = recognised(merged(pallet(), passing(ODD, 5.0 + late_s, second_db=SHADOWED_DB)))

    assert odd_one(passages).direction is Direction.UNDECIDED


@pytest.mark.parametrize("behind_s", [2.0, 2.5, 3.0, 4.0])
@pytest.mark.parametrize("inward", [True, False])
def test_in_a_convoy_a_shadowed_tag_goes_with_its_own_pallet(behind_s: float, inward: bool) -> None:
    passages = recognised(
        merged(
            pallet(crosses_s=5.0),
            pallet(crosses_s=5.0 + behind_s, inward=inward, first=10),
            passing(ODD, 5.15 + behind_s, inward=inward, second_db=SHADOWED_DB),
        )
    )

    assert odd_one(passages).direction is (Direction.IN if inward else Direction.OUT)


# ── contrary ones ───────────────────────────────────────────────────────────────────────────────────────


def test_a_tag_that_contradicts_its_group_becomes_undecided() -> None:
    contrary = passing(ODD, 5.0, inward=False, second_db=SURE_DB)

    among = odd_one(recognised(merged(pallet(), contrary)))

    assert odd_one(recognised(contrary)).direction is Direction.OUT
    assert (among.direction, among.evidence.reason) == (Direction.UNDECIDED, "contradicts the group")
    assert among.confidence == 0


def test_a_contrary_tag_that_is_beyond_doubt_goes_its_own_way() -> None:
    """Somebody carries one box out while a pallet comes in."""
    among = odd_one(recognised(merged(pallet(), passing(ODD, 5.0, inward=False))))

    assert among.direction is Direction.OUT
    assert among.evidence.decided_by == "tag"


@pytest.mark.parametrize("rise_db", [SURE_DB, 16.0])
@pytest.mark.parametrize("apart_s", [0.0, 0.5, 1.5])
def test_two_forklifts_that_meet_in_the_door_stay_apart(rise_db: float, apart_s: float) -> None:
    inward = [passing(i, 5 + 0.05 * i, second_db=rise_db) for i in range(5)]
    outward = [passing(10 + i, 5 + apart_s + 0.05 * i, inward=False, second_db=rise_db) for i in range(5)]

    assert crossings(recognised(merged(*inward, *outward))) == {
        **{epc_of(i): ["in"] for i in range(5)},
        **{epc_of(10 + i): ["out"] for i in range(5)},
    }


def test_where_two_pallets_meet_nobody_is_taken_along() -> None:
    passages = recognised(
        merged(
            pallet(),
            pallet(inward=False, first=10),
            passing(ODD, 5.0, second_db=SHADOWED_DB),
            passing(ODD + 1, 5.0, inward=False, second_db=SHADOWED_DB),
        )
    )

    assert told(passages)[epc_of(ODD)] == told(passages)[epc_of(ODD + 1)] == ["undecided"]


# ── near ones ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_tag_that_is_sure_alone_among_many_that_only_came_near_is_not_believed() -> None:
    passages = recognised(merged(passing(ODD, 5.0), *(near(i) for i in range(5))))

    assert odd_one(recognised(passing(ODD, 5.0))).direction is Direction.IN
    assert odd_one(passages).direction is Direction.UNDECIDED
    assert odd_one(passages).evidence.reason == "contradicts the group"
    assert crossings(passages) == {}


@pytest.mark.parametrize(
    ("what", "beside"),
    [
        ("seen from one side only", hump(epc_of(ODD), OUTSIDE, 5.0, 16.0)),
        ("hardly heard from the other", passing(ODD, 5.0, second_db=2.0)),
        ("heard by both at once", near(ODD)),
        ("leaning the other way", passing(ODD, 5.0, inward=False, second_db=SHADOWED_DB)),
        ("heard by both and still", merged(hump(epc_of(ODD), OUTSIDE, 4, 1.0), hump(epc_of(ODD), INSIDE, 6, 1.0))),
    ],
)
def test_a_tag_near_the_gate_does_not_go_with_the_pallet_that_passes(what: str, beside: list) -> None:
    passages = recognised(merged(pallet(), beside))

    assert epc_of(ODD) not in crossings(passages), what
    assert len(crossings(passages)) == 4


def test_half_a_pallet_that_came_near_keeps_the_shadowed_from_following() -> None:
    """Two are sure, five others moved and did not cross: that is no group."""
    passages = recognised(
        merged(pallet(tags=2), passing(ODD, 5.0, second_db=SHADOWED_DB), *(near(20 + i) for i in range(5)))
    )

    assert odd_one(passages).direction is Direction.UNDECIDED


# ── the vote ────────────────────────────────────────────────────────────────────────────────────────────

votes = st.lists(
    st.builds(
        Vote,
        st.integers(-9_000_000, 9_000_000).map(lambda late_us: T0_US + late_us),
        st.sampled_from(Direction),
    ),
    max_size=12,
)


@given(votes, st.integers(0, 2**32))
def test_a_vote_does_not_depend_on_who_speaks_first(cast: list[Vote], seed: int) -> None:
    again = list(cast)
    random.Random(seed).shuffle(again)

    assert poll(again, T0_US, GATE) == poll(cast, T0_US, GATE)


@given(votes)
def test_a_vote_counts_only_those_that_moved_then(cast: list[Vote]) -> None:
    group = poll(cast, T0_US, GATE)
    sure = [vote for vote in cast if vote.direction in (Direction.IN, Direction.OUT)]

    if group is None:
        assert all(abs(vote.at_us - T0_US) > 2 * GATE.group_within_s * US for vote in sure)
        return
    assert group.direction in (Direction.IN, Direction.OUT)
    assert group.agreeing <= sum(vote.direction is group.direction for vote in cast)
    assert group.contrary <= sum(vote.direction is opposite(group.direction) for vote in cast)
    assert group.agreeing + group.contrary <= group.moving <= len(cast)
    assert min(vote.at_us for vote in sure) <= group.crossed_at_us <= max(vote.at_us for vote in sure)


@given(votes)
def test_votes_out_of_reach_make_no_difference(cast: list[Vote]) -> None:
    within = [vote for vote in cast if abs(vote.at_us - T0_US) <= reach_us(GATE)]

    assert poll(within, T0_US, GATE) == poll(cast, T0_US, GATE)


def test_where_nobody_is_sure_there_is_no_group() -> None:
    assert poll([], T0_US, GATE) is None
    assert poll([Vote(T0_US, Direction.TURNED_BACK), Vote(T0_US, Direction.UNDECIDED)], T0_US, GATE) is None
