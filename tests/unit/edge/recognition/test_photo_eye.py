"""Photo-eyes: what their beams tell, what they veto, and what falls when they clear."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.readings import Direction, EyeChange, Passage, TagRead
from edge.recognition.gate import US, GateSettings, WrongGate
from edge.recognition.gate_recognition import GateRecognition
from edge.recognition.photo_eye import STUCK_US, Break, PhotoEyes
from tests.crowds import crossings, epc_of, merged, passing, recognised, told
from tests.walks import GATE, T0_US, turn_back

DOOR = 1
OUTER, INNER = 2, 3
DOOR_GATE = replace(GATE, eye_door=DOOR)
TWO_EYED = replace(GATE, eye_outside=OUTER, eye_inside=INNER)
THREE_EYED = replace(TWO_EYED, eye_door=DOOR)
CROSSES_S = 5.0
CLEARS_S = 6.5  # when the beams of `through` are clear


def changes(*steps: tuple[float, int, bool]) -> list[EyeChange]:
    """From (seconds, port, is broken)."""
    return [EyeChange(port, is_broken, T0_US + round(seconds * US)) for seconds, port, is_broken in steps]


def door(from_s: float = 4.5, until_s: float = CLEARS_S) -> list[EyeChange]:
    return changes((from_s, DOOR, True), (until_s, DOOR, False))


def through(first: int, second: int, from_s: float = 4.5, until_s: float = CLEARS_S) -> list[EyeChange]:
    """Something long passes both beams, the first one first."""
    third_s = (until_s - from_s) / 3
    return changes(
        (from_s, first, True),
        (from_s + third_s, second, True),
        (from_s + 2 * third_s, first, False),
        (until_s, second, False),
    )


def returning(first: int, second: int, from_s: float = 4.5, until_s: float = CLEARS_S) -> list[EyeChange]:
    """Something passes the first beam, reaches the second and leaves by the first."""
    third_s = (until_s - from_s) / 3
    return changes(
        (from_s, first, True),
        (from_s + third_s, second, True),
        (from_s + 2 * third_s, second, False),
        (until_s, first, False),
    )


def last_break(gate: GateSettings, steps: list[EyeChange]) -> Break | None:
    eyes = PhotoEyes(gate)
    ended = [eyes.change(one.port, is_broken=one.is_broken, at_us=one.seen_at_us) for one in steps]
    return [one for one in ended if one is not None][-1] if any(ended) else None


def live(sightings: list[TagRead | EyeChange], gate: GateSettings) -> tuple[list[Passage], GateRecognition]:
    recognition = GateRecognition(gate)
    passages = recognition.feed(sightings) + recognition.advance(T0_US + 600 * US)
    return passages + recognition.flush(), recognition


# ── what the beams tell ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("gate", "steps", "direction"),
    [
        (DOOR_GATE, door(), None),
        (TWO_EYED, through(OUTER, INNER), Direction.IN),
        (TWO_EYED, through(INNER, OUTER), Direction.OUT),
        (TWO_EYED, returning(OUTER, INNER), Direction.TURNED_BACK),
        (TWO_EYED, returning(INNER, OUTER), Direction.TURNED_BACK),
        # Only one of the two was broken: a hand, a pallet that stopped before the door.
        (TWO_EYED, changes((4, OUTER, True), (5, OUTER, False)), None),
        # Two that meet in the door break a beam again before all are clear.
        (
            TWO_EYED,
            changes(
                (4, OUTER, True),
                (4.5, INNER, True),
                (5, OUTER, False),
                (5.2, OUTER, True),
                (5.5, INNER, False),
                (6, OUTER, False),
            ),
            None,
        ),
        # Something short: the first beam is clear before the second is broken, so nothing joins the two.
        (
            TWO_EYED,
            changes((4, OUTER, True), (4.2, OUTER, False), (4.4, INNER, True), (4.6, INNER, False)),
            None,
        ),
        # The one in the door's line does not disturb what the others tell …
        (
            THREE_EYED,
            changes(
                (4, OUTER, True),
                (4.2, DOOR, True),
                (4.4, INNER, True),
                (5, OUTER, False),
                (5.2, DOOR, False),
                (5.4, INNER, False),
            ),
            Direction.IN,
        ),
        # … unless it comes first: then where it came from is not known.
        (
            THREE_EYED,
            changes((4, DOOR, True), (4.2, OUTER, True), (4.4, INNER, True), (5, OUTER, False))
            + changes((5.2, DOOR, False), (5.4, INNER, False)),
            None,
        ),
    ],
)
def test_each_order_of_beams(gate: GateSettings, steps: list[EyeChange], direction: Direction | None) -> None:
    ended = last_break(gate, steps)

    assert ended is not None
    assert ended.direction is direction
    assert ended.until_us == steps[-1].seen_at_us


def test_a_break_lasts_from_the_first_beam_to_the_last() -> None:
    assert last_break(TWO_EYED, through(OUTER, INNER, 4.0, 7.0)) == Break(
        T0_US + 4 * US, T0_US + 7 * US, Direction.IN
    )


steps_of_two = st.lists(
    st.tuples(st.integers(1, 2000), st.sampled_from([OUTER, INNER]), st.booleans()), max_size=24
).map(
    lambda steps: [
        EyeChange(port, is_broken, T0_US + sum(ms for ms, _, _ in steps[: i + 1]) * 1000)
        for i, (_, port, is_broken) in enumerate(steps)
    ]
)


@given(steps_of_two)
def test_seen_from_the_other_side_the_beams_tell_the_other_direction(steps: list[EyeChange]) -> None:
    mirror = {Direction.IN: Direction.OUT, Direction.OUT: Direction.IN}
    ahead = last_break(TWO_EYED, steps)
    back = last_break(TWO_EYED, [replace(one, port=OUTER + INNER - one.port) for one in steps])

    assert (ahead is None) is (back is None)
    if ahead is not None and back is not None:
        assert (ahead.from_us, ahead.until_us) == (back.from_us, back.until_us)
        assert back.direction is (ahead.direction and mirror.get(ahead.direction, ahead.direction))


@given(steps_of_two, st.integers(0, 24))
def test_a_state_told_again_changes_nothing(steps: list[EyeChange], place: int) -> None:
    again = steps[: place + 1] + steps[place : place + 1] + steps[place + 1 :]

    assert last_break(TWO_EYED, again) == last_break(TWO_EYED, steps)


# ── what they veto ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("gate", "early"), [(DOOR_GATE, door(-60, -59)), (TWO_EYED, through(OUTER, INNER, -60, -59))]
)
def test_a_tag_that_seems_to_cross_while_nothing_passed_did_not(
    gate: GateSettings, early: list[EyeChange]
) -> None:
    (passage,) = recognised(merged(early, passing(1, CROSSES_S)), gate)

    assert passage.direction is Direction.UNDECIDED
    assert (passage.evidence.decided_by, passage.evidence.reason) == (
        "photo-eye",
        "the photo-eye saw nothing pass",
    )


@pytest.mark.parametrize(
    ("beams", "direction", "reason"),
    [
        (through(INNER, OUTER), Direction.UNDECIDED, "contradicts the photo-eyes"),
        (returning(OUTER, INNER), Direction.TURNED_BACK, "the photo-eyes saw it turn back"),
    ],
)
def test_a_tag_that_the_eyes_contradict_is_not_believed(
    beams: list[EyeChange], direction: Direction, reason: str
) -> None:
    (passage,) = recognised(merged(beams, passing(1, CROSSES_S)), TWO_EYED)

    assert (passage.direction, passage.evidence.reason) == (direction, reason)


def test_two_sure_tags_against_a_clear_beam_are_not_believed_and_three_are_and_are_counted() -> None:
    early = door(-60, -59)
    two = merged(early, *(passing(n, CROSSES_S) for n in range(2)))
    three = merged(early, *(passing(n, CROSSES_S) for n in range(3)))

    doubted, quiet = live(two, DOOR_GATE)
    believed, loud = live(three, DOOR_GATE)

    assert crossings(doubted) == {}
    assert quiet.counters["eye_contradicted"] == 0
    assert crossings(believed) == {epc_of(n): ["in"] for n in range(3)}
    assert loud.counters["eye_contradicted"] == 3


def test_an_eye_that_never_said_anything_is_not_asked() -> None:
    assert crossings(recognised(passing(1, CROSSES_S), DOOR_GATE)) == {epc_of(1): ["in"]}
    assert crossings(recognised(passing(1, CROSSES_S), TWO_EYED)) == {epc_of(1): ["in"]}


def test_an_eye_that_is_stuck_is_not_asked_until_it_clears() -> None:
    stuck_s = STUCK_US / US
    stuck = changes((0, OUTER, True), (stuck_s + 60, OUTER, False))
    meanwhile = passing(1, stuck_s + 30, inward=False)
    after = passing(2, stuck_s + 90)

    passages = recognised(merged(stuck, meanwhile, after), TWO_EYED)

    assert told(passages) == {epc_of(1): ["out"], epc_of(2): ["undecided"]}


def test_a_tag_that_did_not_cross_is_no_passage_however_often_the_beam_is_broken() -> None:
    """People walk through the door while goods stand beside it."""
    walking = [one for k in range(10) for one in door(k * 2.0, k * 2.0 + 0.5)]

    assert crossings(recognised(merged(walking, passing(1, 10.0, apart_s=0.0)), DOOR_GATE)) == {}


# ── what they add ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("inward", [True, False])
def test_a_shadowed_tag_that_the_eyes_saw_pass_crossed(inward: bool) -> None:
    beams = through(OUTER, INNER) if inward else through(INNER, OUTER)
    shadowed = passing(1, CROSSES_S, inward=inward, second_db=5.0)

    passages, recognition = live(merged(beams, shadowed), TWO_EYED)

    assert told(recognised(shadowed)) == {epc_of(1): ["undecided"]}
    assert crossings(passages) == {epc_of(1): ["in" if inward else "out"]}
    assert passages[0].evidence.decided_by == "photo-eye"
    assert recognition.counters["by_eye"] == 1


def test_an_eye_that_agrees_makes_a_crossing_surer() -> None:
    tag = passing(1, CROSSES_S, second_db=8.0)

    (alone,), (seen,) = recognised(tag), recognised(merged(tag, through(OUTER, INNER, 4.5, 8.0)), TWO_EYED)

    assert alone.direction is seen.direction is Direction.IN
    assert seen.confidence > alone.confidence


def test_the_passage_names_the_beams_that_were_broken_meanwhile() -> None:
    (passage,) = recognised(merged(passing(1, CROSSES_S), through(OUTER, INNER)), TWO_EYED)

    beams = {eye.eye: (eye.from_us - T0_US, eye.until_us) for eye in passage.evidence.eyes}
    assert set(beams) == {"outside", "inside"}
    assert beams["inside"][1] == T0_US + round(CLEARS_S * US)


# ── when they clear ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("gate", "beams"), [(DOOR_GATE, door()), (TWO_EYED, through(OUTER, INNER))])
def test_the_verdict_falls_when_the_eye_clears_and_not_before(gate: GateSettings, beams: list[EyeChange]) -> None:
    recognition = GateRecognition(gate)
    sightings = merged(passing(1, CROSSES_S), beams)
    clears_us = T0_US + round(CLEARS_S * US)

    before = recognition.feed([one for one in sightings if one.seen_at_us <= clears_us])
    after = recognition.advance(clears_us + gate.reorder_us + 1)

    assert before == []
    (passage,) = after
    assert passage.direction is Direction.IN
    assert passage.evidence.decided_at_us == clears_us
    assert passage.last_seen_us <= clears_us
    assert passage.evidence.reason.endswith("; the photo-eye cleared")


@pytest.mark.parametrize("lingers_s", [0, 1, 10, 40])
def test_later_reads_of_the_same_visit_make_no_second_movement(lingers_s: int) -> None:
    """The pallet stands within sight of the inside for a while after it went in."""
    lingering = [
        TagRead(epc_of(1), 2, -68.0 + (k % 3), T0_US + round((CROSSES_S + 2.2) * US) + k * 200_000)
        for k in range(lingers_s * 5)
    ]

    passages, _ = live(merged(passing(1, CROSSES_S), lingering, door()), DOOR_GATE)

    assert told(passages) == {epc_of(1): ["in"]}


@pytest.mark.parametrize(
    ("gate", "there", "back"),
    [
        (DOOR_GATE, door(), door(9.5, 11.5)),
        (TWO_EYED, through(OUTER, INNER), through(INNER, OUTER, 9.5, 11.5)),
    ],
)
def test_a_tag_that_comes_back_after_the_eye_cleared_goes_out_again(
    gate: GateSettings, there: list[EyeChange], back: list[EyeChange]
) -> None:
    """Within one visit: it is never out of sight for the gap."""
    rolling = merged(passing(1, CROSSES_S), passing(1, 10.0, inward=False))

    passages, _ = live(merged(rolling, there, back), gate)

    assert told(passages) == {epc_of(1): ["in", "out"]}


def test_a_tag_that_turned_back_behind_both_eyes_is_told_once_and_did_not_cross() -> None:
    """They saw it enter and leave as one break."""
    beams = returning(OUTER, INNER, 4.0, 9.0)

    passages, _ = live(merged(turn_back(), beams), TWO_EYED)

    assert [passage.direction for passage in passages] == [Direction.TURNED_BACK]


def test_all_tags_of_a_pallet_are_told_at_once_when_the_eye_clears() -> None:
    pallet = [passing(n, CROSSES_S + 0.1 * n) for n in range(6)]
    shadowed = passing(9, CROSSES_S, second_db=5.0)

    passages, _ = live(merged(*pallet, shadowed, door(4.5, 7.0)), DOOR_GATE)

    assert crossings(passages) == {epc_of(n): ["in"] for n in (*range(6), 9)}
    assert {passage.evidence.decided_at_us for passage in passages} == {T0_US + 7 * US}


def test_a_change_of_a_port_without_an_eye_is_counted_named_and_changes_nothing() -> None:
    sightings = merged(passing(1, CROSSES_S), door())
    recognition = GateRecognition(DOOR_GATE)

    spoilt = merged(sightings, changes((4.6, 7, True), (4.7, 7, False)))

    assert recognition.feed(spoilt) + recognition.flush() == recognised(sightings, DOOR_GATE)
    assert recognition.counters["unknown_eye"] == 2
    assert recognition.faults == {"unknown_eye": "expected port [1], got 7"}


@pytest.mark.parametrize(
    ("ports", "complaint"),
    [
        ({"eye_outside": 1}, "expected both eye_outside and eye_inside or neither"),
        ({"eye_door": 1, "eye_outside": 1, "eye_inside": 2}, "expected a port of its own for each photo-eye"),
    ],
)
def test_a_gate_whose_eyes_contradict_each_other_is_refused(ports: dict, complaint: str) -> None:
    with pytest.raises(WrongGate, match=complaint):
        replace(GATE, **ports)
