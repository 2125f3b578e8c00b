"""Messages that wait for the worker: as many as there is room for, whatever the broker delivers."""

import threading

from cloud.ingest.subscriber import Arrived, Waiting


def message(number: int, size: int = 10) -> Arrived:
    return Arrived(f"topic/{number}", bytes(size), number)


def test_messages_come_out_as_they_came_in() -> None:
    waiting = Waiting()
    assert all(waiting.put(message(number)) for number in range(5))
    assert [one.received_us for one in waiting.take(3, 0)] == [0, 1, 2]
    assert [one.received_us for one in waiting.take(3, 0)] == [3, 4]
    assert waiting.take(3, 0) == []


def test_there_is_room_for_so_many_messages_and_no_more() -> None:
    waiting = Waiting(messages=2)
    assert [waiting.put(message(number)) for number in range(4)] == [True, True, False, False]
    waiting.take(1, 0)
    assert waiting.put(message(4))
    assert [one.received_us for one in waiting.take(9, 0)] == [1, 4]


def test_there_is_room_for_so_many_bytes_and_no_more() -> None:
    waiting = Waiting(payload_bytes=100)
    assert [waiting.put(message(number, 40)) for number in range(3)] == [True, True, False]
    waiting.take(1, 0)
    assert waiting.put(message(3, 60))
    assert not waiting.put(message(4, 1))


def test_a_message_larger_than_the_room_is_taken_when_nothing_else_waits() -> None:
    """It would be refused for ever otherwise, and its gateway would send nothing else."""
    waiting = Waiting(payload_bytes=100)
    assert waiting.put(message(1, 1_000))
    assert not waiting.put(message(2, 1))
    waiting.take(1, 0)
    assert waiting.put(message(2, 1))


def test_who_waits_is_woken_by_the_first_message() -> None:
    waiting = Waiting()
    putter = threading.Timer(0.05, waiting.put, [message(1)])
    putter.start()
    assert [one.received_us for one in waiting.take(9, 30.0)] == [1]
    putter.join()
