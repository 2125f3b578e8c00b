"""The way from sllurp's thread to the loop: in order, bounded, the oldest shed first and counted, reads before eyes."""

import threading

import pytest

from edge.devices.portal import PortalSettings, ReadQueue
from edge.readings import EyeChange, TagRead


def reads(first: int, count: int) -> list[TagRead]:
    return [TagRead("E280", 1, -60.0, number) for number in range(first, first + count)]


def test_reads_come_out_in_the_order_they_went_in():
    queue = ReadQueue(10)
    queue.put(reads(0, 3))
    queue.put(reads(3, 4))
    assert queue.take() == reads(0, 7)
    assert queue.take() == []
    assert queue.shed == 0


@pytest.mark.parametrize(("sizes", "shed"), [((8, 5), 3), ((13,), 3), ((10, 10, 10), 20)])
def test_a_full_queue_sheds_its_oldest_and_counts_them(sizes, shed):
    queue = ReadQueue(10)
    total = 0
    for size in sizes:
        queue.put(reads(total, size))
        total += size
    assert queue.take() == reads(total - 10, 10)
    assert queue.shed == shed


def test_nothing_is_lost_between_two_threads():
    queue = ReadQueue(1_000_000)
    done = threading.Event()

    def put() -> None:
        for start in range(0, 50_000, 10):
            queue.put(reads(start, 10))
        done.set()

    thread = threading.Thread(target=put)
    thread.start()
    taken: list[TagRead] = []
    while not done.is_set():
        taken += queue.take()
    thread.join()
    taken += queue.take()
    assert [read.seen_at_us for read in taken] == list(range(50_000))


def changes(first: int, count: int) -> list[EyeChange]:
    return [EyeChange(1, number % 2 == 0, number) for number in range(first, first + count)]


def test_eye_changes_stand_between_the_reads_as_they_came():
    queue = ReadQueue(100)
    queue.put_eye_change(EyeChange(1, False, 0))
    queue.put(reads(1, 3))
    queue.put_eye_change(EyeChange(1, True, 4))
    queue.put_eye_change(EyeChange(2, True, 5))
    queue.put(reads(6, 2))
    queue.put_eye_change(EyeChange(1, False, 8))
    assert [one.seen_at_us for one in queue.take()] == list(range(9))
    queue.put(reads(9, 1))
    queue.put_eye_change(EyeChange(2, False, 10))
    assert [one.seen_at_us for one in queue.take()] == [9, 10]
    assert queue.take() == []


def test_a_full_queue_sheds_reads_and_keeps_every_eye_change_in_its_place():
    queue = ReadQueue(4)
    for number in range(0, 30, 3):
        queue.put(reads(number, 2))
        queue.put_eye_change(EyeChange(1, number % 2 == 0, number + 2))
    taken = queue.take()
    assert (queue.shed, queue.shed_eye_changes) == (16, 0)
    assert [one.seen_at_us for one in taken if isinstance(one, EyeChange)] == list(range(2, 30, 3))
    assert [one.seen_at_us for one in taken] == [*range(2, 24, 3), 24, 25, 26, 27, 28, 29]


def test_an_eye_that_never_rests_sheds_its_own_oldest_changes_only():
    queue = ReadQueue(10, most_eye_changes=5)
    queue.put(reads(0, 3))
    for change in changes(3, 12):
        queue.put_eye_change(change)
    assert queue.take() == reads(0, 3) + changes(10, 5)
    assert (queue.shed, queue.shed_eye_changes) == (0, 7)


@pytest.mark.parametrize(
    "settings",
    [
        {"antennas": ()},
        {"antennas": (0, 1)},
        {"keepalive_s": 0.0},
        {"queue_reads": 0},
        {"session": 4},
        {"tags_per_report": 0},
    ],
)
def test_settings_that_cannot_be_are_refused_with_the_portals_name(settings):
    with pytest.raises(ValueError, match="portal dock: expected"):
        PortalSettings("dock", "127.0.0.1", **settings)


def test_a_time_is_handed_out_once_and_only_behind_the_reads_before_it():
    queue = ReadQueue(10)
    assert queue.take_time() == (True, None)
    queue.put(reads(0, 3))
    queue.put_time(77)
    assert queue.take_time() == (False, None)
    queue.take()
    assert queue.take_time() == (True, 77)
    assert queue.take_time() == (True, None)


def test_a_time_that_reads_came_after_is_of_no_use_any_more():
    queue = ReadQueue(10)
    queue.put_time(77)
    queue.put(reads(0, 3))
    queue.take()
    assert queue.take_time() == (True, None)


def test_an_eye_change_holds_back_the_time_as_a_read_does():
    queue = ReadQueue(10)
    queue.put_eye_change(EyeChange(1, True, 5))
    queue.put_time(77)
    assert queue.take_time() == (False, None)
    queue.take()
    assert queue.take_time() == (True, 77)
