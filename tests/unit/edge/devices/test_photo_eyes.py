"""Inputs become eye changes: only changes, by each eye's own wiring, in corrected time; the rest is counted."""

import logging

import pytest

from edge.devices.photo_eyes import PhotoEye, PhotoEyes
from edge.devices.portal import PortalSettings
from edge.devices.reader_clock import Arrival, ReaderClock
from edge.readings import EyeChange

NOW_US = 1_790_000_000_000_000
BEHIND_US = 3_600_000_000  # the reader's clock is an hour slow
ARRIVAL = Arrival(NOW_US, 0)


def eyes(*wired: PhotoEye) -> PhotoEyes:
    clock = ReaderClock()
    clock.connected(NOW_US - BEHIND_US, Arrival(NOW_US, 0))
    return PhotoEyes("portal dock", wired, clock)


def event(port: int, is_high: bool) -> dict[str, object]:
    return {"GPIPortNumber": port, "GPIEvent": is_high}


def state(port: int, level: int) -> dict[str, object]:
    return {"GPIPortNum": port, "GPIConfig": True, "GPIState": level}


@pytest.mark.parametrize(
    ("broken_when", "is_high", "is_broken"),
    [("high", True, True), ("high", False, False), ("low", True, False), ("low", False, True)],
)
def test_what_a_level_means_is_a_matter_of_each_eye(broken_when, is_high, is_broken):
    at_door = eyes(PhotoEye(3, broken_when))
    assert at_door.event(event(3, is_high), NOW_US - BEHIND_US, ARRIVAL) == EyeChange(3, is_broken, NOW_US)


def test_a_change_is_dated_by_the_readers_clock_put_right_and_by_its_arrival_without_a_stamp():
    at_door = eyes(PhotoEye(1))
    late = Arrival(NOW_US + 700, 700)
    assert at_door.event(event(1, True), NOW_US - BEHIND_US + 400, late) == EyeChange(1, True, NOW_US + 400)
    assert at_door.event(event(1, False), None, late) == EyeChange(1, False, NOW_US + 400)


def test_only_changes_are_told_however_often_the_reader_says_the_same():
    at_door = eyes(PhotoEye(1))
    told = [at_door.event(event(1, level), NOW_US, ARRIVAL) for level in (False, False, True, True, True, False)]
    assert [change.is_broken for change in told if change] == [False, True, False]
    assert (at_door.counts["eye_changes"], at_door.counts["eye_repeats"]) == (3, 3)


def test_how_the_eyes_stand_is_told_where_it_is_not_known_already():
    both = eyes(PhotoEye(1), PhotoEye(2, "low"))
    assert both.states([state(1, 0), state(2, 0), state(3, 1)], NOW_US) == [
        EyeChange(1, False, NOW_US),
        EyeChange(2, True, NOW_US),
    ]
    both.event(event(2, True), NOW_US - BEHIND_US, ARRIVAL)
    # After a reconnect: one eye stands as it was left, the other changed while nobody listened.
    assert both.states([state(1, 1), state(2, 1)], NOW_US + 9) == [EyeChange(1, True, NOW_US + 9)]


def test_an_input_whose_state_the_reader_does_not_know_is_counted_and_named(caplog):
    both = eyes(PhotoEye(1), PhotoEye(2))
    with caplog.at_level(logging.WARNING):
        assert both.states([state(1, 2)], NOW_US) == []
    assert both.counts["unknown_eye_state"] == 2
    (line,) = [record.getMessage() for record in caplog.records]
    assert "portal dock: unknown_eye_state" in line
    assert "expected low or high (0, 1) of input 1, got 2" in line


def test_an_input_that_nobody_named_is_counted_each_time_and_told_once_a_connection(caplog):
    at_door = eyes(PhotoEye(1))
    with caplog.at_level(logging.WARNING):
        assert [at_door.event(event(4, level), NOW_US, ARRIVAL) for level in (True, False)] == [None, None]
        at_door.forget_named()
        at_door.event(event(4, True), NOW_US, ARRIVAL)
    assert at_door.counts["unknown_eye"] == 3
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    assert lines[0] == "portal dock: unknown_eye, more like it are only counted: expected input [1], got 4"


@pytest.mark.parametrize("wrong", [(0, "high"), (65_536, "low"), (1, "up")])
def test_an_eye_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match="expected an input of 1 to 65535 and high or low, got"):
        PhotoEye(*wrong)


def test_two_eyes_on_one_input_are_refused_with_the_portals_name():
    with pytest.raises(ValueError, match=r"portal dock: expected an input of its own .* got \[1, 1\]"):
        PortalSettings("dock", "127.0.0.1", eyes=(PhotoEye(1), PhotoEye(1, "low")))
