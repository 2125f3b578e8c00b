"""Which sightings move a tag: stories as a table, and what must hold of any sightings."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cloud.domain.crossing import Sighting, Verdict, Walk, walk, walk_plain
from cloud.domain.movement import NONE, Crossing, Outcome

SECOND_US = 1_000_000
SAME_US = 10 * SECOND_US

WORLD, HALL, YARD = 1, 2, 3
# Gate → (group, inside, outside): docks that see one crossing, and an inner door of its own.
GATES = {1: (1, HALL, WORLD), 2: (1, HALL, WORLD), 3: (2, YARD, HALL), 4: (1, HALL, WORLD)}
WORDS = {
    "in": Crossing.IN, "out": Crossing.OUT, "turned": Crossing.TURNED_BACK, "unsure": Crossing.UNDECIDED,
}  # fmt: skip


def sighting(
    key: int,
    at_s: float,
    gate: int,
    word: str,
    confidence: float = 0.9,
    *,
    known: bool = False,
    moved: bool = False,
) -> Sighting:
    group, inside, outside = GATES[gate]
    target = inside if word == "in" else outside
    at_us = int(at_s * SECOND_US)
    return Sighting(key, at_us, gate, WORDS[word], target, group, SAME_US, confidence, known, moved)


def outcomes(result: Walk) -> list[str]:
    """What became of each sighting, by key."""
    return [v.outcome.name.lower() for v in sorted(result.verdicts, key=lambda v: v.sighting.key)]


# Who was where · (seconds, gate, direction, confidence) … · what became of each · where the tag is.
STORIES = [
    ("a tag never seen moves by its first sighting", None, [(0, 1, "in", 0.9)], ["moved"], HALL),
    ("in and out again", None, [(0, 1, "in", 0.9), (60, 1, "out", 0.9)], ["moved", "moved"], WORLD),
    ("to where it is already", HALL, [(0, 1, "in", 0.9)], ["already_there"], HALL),
    ("turned back", HALL, [(0, 1, "turned", 0.9)], ["turned_back"], HALL),
    ("nobody can tell", None, [(0, 1, "unsure", 0.9)], ["undecided"], None),
    ("two docks, one crossing", None, [(0, 1, "in", 0.7), (4, 2, "in", 0.9)], ["same_crossing", "moved"], HALL),
    ("of equals the earlier", None, [(0, 1, "in", 0.9), (4, 2, "in", 0.9)], ["moved", "same_crossing"], HALL),
    ("two docks disagree", None, [(0, 1, "in", 0.9), (4, 2, "out", 0.6)], ["moved", "same_crossing"], HALL),
    ("just within the time", None, [(0, 1, "in", 0.9), (10, 2, "in", 0.8)], ["moved", "same_crossing"], HALL),
    ("just beyond it", None, [(0, 1, "in", 0.9), (10.1, 2, "in", 0.8)], ["moved", "already_there"], HALL),
    ("one dock twice is two crossings", None, [(0, 1, "in", 0.9), (4, 1, "out", 0.9)], ["moved", "moved"], WORLD),
    (
        "another door between them parts two crossings",
        None,
        [(0, 1, "in", 0.9), (3, 3, "in", 0.9), (6, 2, "in", 0.9)],
        ["moved", "moved", "moved"],
        HALL,
    ),
    (
        "a turn between them does not",
        None,
        [(0, 1, "in", 0.9), (3, 3, "turned", 0.9), (6, 2, "in", 0.8)],
        ["moved", "turned_back", "same_crossing"],
        HALL,
    ),
]


@pytest.mark.parametrize(("area", "seen", "expected", "left"), [story[1:] for story in STORIES],
                         ids=[story[0] for story in STORIES])  # fmt: skip
def test_a_tag_walks(
    area: int | None, seen: list[tuple[float, int, str, float]], expected: list[str], left: int | None
) -> None:
    result = walk(area, [sighting(key, *one) for key, one in enumerate(seen)])
    assert outcomes(result) == expected
    assert result.area == left


one_sighting = st.tuples(
    st.integers(0, 60), st.sampled_from(sorted(GATES)), st.sampled_from(sorted(WORDS)), st.integers(1, 9)
)
lists_of_sightings = st.lists(one_sighting, max_size=9).map(
    lambda seen: [sighting(key, at, gate, word, tenths / 10) for key, (at, gate, word, tenths) in enumerate(seen)]
)
areas = st.sampled_from([None, WORLD, HALL, YARD])


@given(areas, lists_of_sightings, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(area: int | None, seen: list[Sighting], chance: object) -> None:
    shuffled = list(seen)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert walk(area, shuffled) == walk(area, seen)


@given(areas, lists_of_sightings)
def test_every_sighting_gets_one_verdict_and_movers_alternate_areas(
    area: int | None, seen: list[Sighting]
) -> None:
    result = walk(area, seen)
    assert sorted(v.sighting.key for v in result.verdicts) == list(range(len(seen)))
    here = area
    for verdict in (v for v in result.verdicts if v.moves):
        assert verdict.sighting.target != here
        here = verdict.sighting.target
    assert here == result.area
    for verdict in result.verdicts:
        neither = verdict.sighting.crossing in (Crossing.TURNED_BACK, Crossing.UNDECIDED)
        assert (verdict.outcome in (Outcome.TURNED_BACK, Outcome.UNDECIDED)) == neither


@given(areas, lists_of_sightings)
def test_evidence_names_a_winner_of_its_group_close_in_time_and_no_less_sure(
    area: int | None, seen: list[Sighting]
) -> None:
    verdicts = walk(area, seen).verdicts
    by_key = {verdict.sighting.key: verdict for verdict in verdicts}
    for verdict in verdicts:
        if verdict.outcome is not Outcome.SAME_CROSSING:
            assert verdict.winner is None
            continue
        assert verdict.winner is not None
        winner = by_key[verdict.winner]
        assert winner.outcome in (Outcome.MOVED, Outcome.ALREADY_THERE)
        assert winner.sighting.group == verdict.sighting.group
        assert winner.sighting.gate != verdict.sighting.gate
        assert abs(winner.sighting.occurred_us - verdict.sighting.occurred_us) <= SAME_US
        assert winner.sighting.confidence >= verdict.sighting.confidence


crossings = st.sampled_from(["in", "out"])


@given(crossings, crossings, st.floats(0, 10), st.integers(1, 9), st.integers(1, 9))
def test_two_gates_of_one_group_within_the_time_move_a_tag_once(
    first: str, second: str, apart_s: float, sure: int, other_sure: int
) -> None:
    result = walk(None, [sighting(0, 0, 1, first, sure), sighting(1, apart_s, 2, second, other_sure)])
    assert sorted(v.outcome for v in result.verdicts) == [Outcome.MOVED, Outcome.SAME_CROSSING]


def booked(verdicts: list[Verdict]) -> list[Sighting]:
    """The sightings as the books know them after this walk."""
    return [replace(v.sighting, known=True, moved=v.moves) for v in verdicts]


@given(areas, lists_of_sightings)
def test_walking_again_over_what_is_known_changes_nothing(area: int | None, seen: list[Sighting]) -> None:
    first = walk(area, seen)
    again = walk(area, booked(first.verdicts))
    assert not [v for v in again.verdicts if v.is_done or v.is_undone]
    assert again.area == first.area


@given(areas, lists_of_sightings, one_sighting)
def test_a_late_crossing_of_its_own_flips_at_most_one_known_sighting(
    area: int | None, seen: list[Sighting], late: tuple[int, int, str, int]
) -> None:
    """Apart in time from every other it is a crossing of its own: only the next one can have to change."""
    at, gate, word, tenths = late
    spread = [replace(one, occurred_us=one.occurred_us * 100) for one in seen]
    assume(len({one.occurred_us for one in spread}) == len(spread))
    new = sighting(len(seen), at * 100 + 50, gate, word, tenths / 10)
    first = walk(area, spread)
    second = walk(area, [*booked(first.verdicts), new])
    flipped = [v for v in second.verdicts if v.sighting.known and (v.is_done or v.is_undone)]
    assert len(flipped) <= 1
    assert all(v.sighting.occurred_us > new.occurred_us for v in flipped)


@given(areas, lists_of_sightings, st.integers(0, 8))
def test_late_or_in_time_the_same_sightings_leave_a_tag_at_the_same_place(
    area: int | None, seen: list[Sighting], cut: int
) -> None:
    """What arrived first is booked, then the rest comes; in the end the movers are those of one walk over all,
    but for a known mover that stays where a surer one says the same."""
    assume(len({one.occurred_us for one in seen}) == len(seen))
    at_once = walk(area, seen)
    known = booked(walk(area, seen[:cut]).verdicts)
    late = walk(area, [*known, *seen[cut:]])
    assert late.area == at_once.area
    assert [v.sighting.target for v in late.verdicts if v.moves] == [
        v.sighting.target for v in at_once.verdicts if v.moves
    ]


def test_a_known_mover_stays_when_a_surer_gate_says_the_same() -> None:
    known = sighting(-1, 0, 1, "in", 0.6, known=True, moved=True)
    result = walk(None, [known, sighting(0, 3, 2, "in", 0.9)])
    assert [(v.sighting.key, v.outcome) for v in result.verdicts] == [
        (-1, Outcome.MOVED),
        (0, Outcome.SAME_CROSSING),
    ]


def test_a_surer_late_sighting_of_one_crossing_undoes_the_mover() -> None:
    """given `in` booked by dock 1; when dock 2 is surer that it was `out`; then out moves and in is undone."""
    known = sighting(-1, 0, 1, "in", 0.6, known=True, moved=True)
    result = walk(HALL, [known, sighting(0, 3, 2, "out", 0.9)])
    assert [(v.sighting.key, v.is_done, v.is_undone) for v in result.verdicts] == [
        (0, True, False),
        (-1, False, True),
    ]


NEITHER = (Crossing.TURNED_BACK, Crossing.UNDECIDED)


@given(areas, lists_of_sightings)
def test_sightings_without_a_crossing_change_nothing_for_those_with_one(
    area: int | None, seen: list[Sighting]
) -> None:
    """However sure a gate is that a tag turned back or cannot be told: stock goes by who saw it cross."""
    crossing = [one for one in seen if one.crossing not in NEITHER]
    whole, without = walk(area, seen), walk(area, crossing)
    assert [v for v in whole.verdicts if v.sighting.crossing not in NEITHER] == without.verdicts
    assert (whole.area, whole.last) == (without.area, without.last)
    assert not [v for v in whole.verdicts if v.sighting.crossing in NEITHER and (v.moves or v.winner is not None)]


def test_a_verdict_may_be_corrected_again() -> None:
    """given `in` of dock 1 undone by a surer `out` of dock 2; when dock 4 is surest of `in`; then that moves."""
    undone = sighting(-1, 0, 1, "in", 0.6, known=True, moved=False)
    mover = sighting(-2, 3, 2, "out", 0.9, known=True, moved=True)
    result = walk(WORLD, [undone, mover, sighting(0, 4, 4, "in", 0.95)])
    assert sorted((v.sighting.key, v.is_done, v.is_undone) for v in result.verdicts) == [
        (-2, False, True),
        (-1, False, False),
        (0, True, False),
    ]
    assert result.area == HALL


@given(
    st.lists(st.tuples(st.integers(0, 2), st.sampled_from(sorted(WORDS))), max_size=20),
    st.lists(st.sampled_from([NONE, HALL, WORLD]), min_size=3, max_size=3),
)
def test_tags_that_walk_alone_walk_together_as_each_does(seen: list[tuple[int, str]], areas: list[int]) -> None:
    """One gate whose crossings nobody else sees; all tags at once say what each says in its own walk."""
    by_tag = sorted(enumerate(seen), key=lambda one: (one[1][0], one[0]))
    sightings = [sighting(at, 60.0 * at, 3, word) for at, (_, word) in by_tag]
    tags = np.array([tag for _, (tag, _) in by_tag], np.int64)
    together = walk_plain(
        tags,
        np.array([one.crossing for one in sightings], np.int64),
        np.array([one.target for one in sightings], np.int64),
        np.array(areas, np.int64),
    )
    for tag, area in enumerate(areas):
        mine = [one for one, of in zip(sightings, tags.tolist(), strict=True) if of == tag]
        alone = {v.sighting.key: v.outcome for v in walk(None if area == NONE else area, mine).verdicts}
        assert {one.key: together[at] for at, one in enumerate(sightings) if tags[at] == tag} == alone
