"""What the virtual reader gives out, when, under which stamps, and again after a loss."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridges.virtual_reader.play import WINDOW, Play
from firmware_bridges.virtual_reader.sighting import Sighting

WALL_US = 1_790_000_000_000_000
SECOND_US = 1_000_000


def every_second(count: int) -> list[Sighting]:
    """Sightings a second apart on a time line of their own."""
    return [Sighting(77 * SECOND_US + number * SECOND_US, f"{number:024X}", 1, -60.0) for number in range(count)]


def begun(count: int = 100, **options) -> Play:
    play = Play(every_second(count), **options)
    play.resume(0.0, WALL_US)
    return play


def stamps_s(given_out) -> list[float]:
    return [(due.stamp_us - WALL_US) / SECOND_US for due in given_out]


def test_the_first_sighting_is_stamped_with_the_moment_the_play_began():
    play = begun()
    assert stamps_s(play.due(0.0, 10)) == [0.0]
    assert play.due(0.9, 10) == []
    assert stamps_s(play.due(3.0, 10)) == [1.0, 2.0, 3.0]


def test_at_a_faster_pace_stamps_keep_the_recorded_spacing_and_the_clock_runs_ahead():
    play = begun(pace=10.0)
    assert stamps_s(play.due(0.5, 100)) == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    assert play.clock_us(0.5, 0) == WALL_US + 5 * SECOND_US
    assert play.due_in_s(0.5) == pytest.approx(0.1)


def test_the_play_can_begin_some_real_seconds_after_the_first_rospec():
    play = begun(pace=4.0, start_after_s=2.0)
    assert play.due(1.99, 10) == []
    assert play.due_in_s(1.0) == pytest.approx(1.0)
    assert stamps_s(play.due(2.0, 10)) == [8.0]


def test_before_the_play_the_readers_clock_is_the_wall_clock_and_after_it_goes_on_at_true_pace():
    play = Play(every_second(3), pace=100.0)
    assert play.clock_us(5.0, WALL_US) == WALL_US
    play.resume(5.0, WALL_US)
    play.due(5.1, 10)
    assert play.is_over
    ended_us = play.clock_us(5.1, 0)
    assert play.clock_us(6.1, 0) == ended_us + SECOND_US


def test_while_nobody_listens_the_world_and_its_clock_wait():
    play = begun()
    play.due(5.0, 10)
    play.pause(5.5)
    assert play.due_in_s(60.0) is None
    play.resume(100.5, 0)
    assert play.clock_us(100.5, 0) == WALL_US + 5_500_000
    assert stamps_s(play.due(101.0, 10)) == [6.0]


def test_after_a_loss_the_last_seconds_come_again_with_the_stamps_they_had():
    play = begun(rewind_s=3.0)
    given_out = play.due(10.0, 100)
    play.acknowledge(11)
    play.lose(10.0)
    play.resume(60.0, 0)
    again = play.due(60.0, 100)
    assert again == given_out[-4:]
    assert stamps_s(play.due(61.0, 100)) == [11.0]


def test_after_a_loss_all_that_was_not_acknowledged_comes_again():
    play = begun(rewind_s=1.0)
    given_out = play.due(10.0, 100)
    play.acknowledge(4)
    play.lose(10.0)
    play.resume(11.0, 0)
    assert play.due(11.0, 3) == given_out[4:7]
    play.lose(11.0)
    play.resume(12.0, 0)
    assert play.due(12.0, 100) == given_out[4:]


def test_a_stopped_rospec_is_no_loss_and_repeats_nothing():
    play = begun()
    play.due(3.0, 100)
    play.pause(3.0)
    play.resume(4.0, 0)
    assert stamps_s(play.due(5.0, 100)) == [4.0]


def test_a_world_that_goes_on_is_missed_and_counted():
    play = begun(while_disconnected="go_on")
    play.due(3.0, 100)
    play.lose(3.0)
    play.resume(8.5, 0)
    play.miss(8.5)
    assert play.missed == 5
    assert play.due(8.5, 100) == []
    assert stamps_s(play.due(9.0, 100)) == [9.0]


def test_no_more_is_due_than_the_window_until_the_listener_has_read_some():
    source = (Sighting(number, "", 1, -60.0) for number in range(WINDOW + 50))
    play = Play(source)
    play.resume(0.0, WALL_US)
    assert len(play.due(1.0, 2 * WINDOW)) == WINDOW
    assert play.due_in_s(1.0) is None
    play.acknowledge(20)
    assert len(play.due(1.0, 2 * WINDOW)) == 20
    play.acknowledge(WINDOW + 20)
    assert len(play.due(1.0, 2 * WINDOW)) == 30
    assert play.is_over
    assert not play.is_acknowledged
    play.acknowledge(WINDOW + 50)
    assert play.is_acknowledged


def test_the_source_is_read_no_faster_than_it_is_played():
    fetched = []

    def source():
        for sighting in every_second(1000):
            fetched.append(sighting)
            yield sighting

    play = Play(source())
    play.resume(0.0, WALL_US)
    play.due(3.0, 100)
    assert len(fetched) == 5  # four given out, and the next


def test_an_empty_source_is_over_at_once():
    play = begun(0)
    assert play.is_acknowledged
    assert play.due(1.0, 10) == []
    assert play.due_in_s(1.0) is None


@pytest.mark.parametrize(
    "options", [{"pace": 0.0}, {"pace": float("nan")}, {"start_after_s": -1.0}, {"rewind_s": -1.0}]
)
def test_times_that_cannot_be_are_refused(options):
    with pytest.raises(ValueError, match="expected a pace above 0 and no negative seconds, got"):
        Play([], **options)


@settings(max_examples=100)
@given(
    st.lists(st.tuples(st.floats(0.0, 5.0), st.sampled_from(("due", "ack", "lose", "stop"))), max_size=40),
    st.floats(0.1, 50.0),
)
def test_whatever_happens_every_sighting_is_given_out_under_one_stamp_and_the_end_is_reached(steps, pace):
    play = begun(60, pace=pace, rewind_s=2.0)
    stamp_of: dict[int, int] = {}
    now_s = 0.0
    for wait_s, step in [*steps, (0.0, "due")]:
        now_s += wait_s
        if step in ("lose", "stop"):
            (play.lose if step == "lose" else play.pause)(now_s)
            play.resume(now_s + 1.0, 0)
            now_s += 1.0
        elif step == "ack":
            play.acknowledge(play.last_given)
        for due in play.due(now_s, 7):
            assert stamp_of.setdefault(due.number, due.stamp_us) == due.stamp_us
    while not play.is_over:
        now_s += 1.0
        for due in play.due(now_s, 1000):
            assert stamp_of.setdefault(due.number, due.stamp_us) == due.stamp_us
    assert sorted(stamp_of) == list(range(1, 61))
    assert [stamp_of[number + 1] - stamp_of[number] for number in range(1, 60)] == [SECOND_US] * 59


def test_what_passes_while_nobody_listens_is_noted_and_what_is_lost_is_to_be_given_again():
    play = Play(every_second(10), while_disconnected="go_on")
    play.resume(0.0, WALL_US)
    play.due(1.0, 10)
    play.lose(1.0)
    assert list(play.to_be_given_again) == []
    passed = []
    play.miss(4.0, passed.append)
    assert passed == every_second(10)[2:5]
    waits = begun(10)
    waits.due(3.0, 10)
    waits.lose(3.0)
    assert [due.seen for due in waits.to_be_given_again] == every_second(10)[:4]
