"""The way from sllurp's thread to the loop: in order, bounded, the oldest shed first and counted."""

import threading

import pytest

from edge.devices.portal import PortalSettings, ReadQueue
from edge.readings import TagRead


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
