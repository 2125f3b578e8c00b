"""When a message goes out again, told second by second."""

import pytest

from edge.delivery import EpochDelivery, Sent, Timing

TIMING = Timing(gather_s=0.2, resend_first_s=10, resend_longest_s=300, again_every_s=1, again_wait_s=0.3)


def message(first: int, last: int) -> Sent:
    return Sent(first, last, f"{first}-{last}".encode())


def in_flight(*messages: Sent, applied: int = 0, last: int = 100) -> EpochDelivery:
    delivery = EpochDelivery("e", applied, last, TIMING)
    for sent in messages:
        delivery.was_sent(sent, now_s=0.0)
    return delivery


A, B, C = message(1, 10), message(11, 20), message(21, 30)


def test_what_is_applied_is_no_longer_in_flight() -> None:
    delivery = in_flight(A, B, C)

    delivery.heard(20, now_s=1)

    assert list(delivery.in_flight) == [C]
    assert (delivery.applied, delivery.cursor) == (20, 30)


def test_a_message_applied_in_part_stays_in_flight() -> None:
    delivery = in_flight(A, B)

    delivery.heard(15, now_s=1)

    assert list(delivery.in_flight) == [B]


def test_silence_sends_the_first_message_alone_and_waits_twice_as_long_each_time() -> None:
    delivery = in_flight(A, B, C)
    sent_at = []
    for now_s in range(1500):
        if again := list(delivery.due(now_s)):
            assert again == [A]
            sent_at.append(now_s)

    assert sent_at == [10, 30, 70, 150, 310, 610, 910, 1210]
    assert not delivery.has_more
    assert list(delivery.in_flight) == [A]


def test_after_silence_one_word_of_the_cloud_sets_everything_going_again() -> None:
    delivery = in_flight(A, B, C)
    assert list(delivery.due(10)) == [A]

    delivery.heard(10, now_s=11)

    assert delivery.has_more
    assert (delivery.cursor, list(delivery.in_flight)) == (10, [])
    assert list(delivery.due(1000)) == []


def test_after_silence_messages_that_had_arrived_all_the_same_are_not_sent_again() -> None:
    delivery = in_flight(A, B, C)
    list(delivery.due(10))

    delivery.heard(30, now_s=11)

    assert (delivery.cursor, list(delivery.in_flight)) == (30, [])


def test_an_applied_that_does_not_advance_sends_everything_in_flight_again_the_same_bytes() -> None:
    delivery = in_flight(A, B, C)

    delivery.heard(0, now_s=1.0)

    assert list(delivery.due(1.29)) == []
    again = list(delivery.due(1.3))
    assert again == [A, B, C]
    assert list(delivery.due(1.31)) == []
    assert delivery.cursor == 30


def test_an_applied_that_crossed_our_messages_on_its_way_sends_nothing_again() -> None:
    delivery = in_flight(A, B)
    delivery.heard(0, now_s=1.0)

    delivery.heard(10, now_s=1.1)

    assert list(delivery.due(5.0)) == []


def test_asking_again_and_again_is_answered_once_a_second() -> None:
    delivery = in_flight(A)
    answered_at = []
    for tick in range(300):
        now_s = tick / 100
        delivery.heard(0, now_s)
        if list(delivery.due(now_s)):
            answered_at.append(now_s)

    assert answered_at == pytest.approx([0.3, 1.3, 2.3])


def test_an_applied_that_does_not_advance_means_nothing_when_nothing_is_in_flight() -> None:
    delivery = in_flight(applied=10)

    delivery.heard(10, now_s=1)

    assert delivery.due_s() is None


def test_a_lower_applied_goes_back_to_it_even_with_nothing_in_flight() -> None:
    delivery = in_flight(applied=50, last=50)

    delivery.heard(20, now_s=1)

    assert list(delivery.due(1)) == []
    assert (delivery.cursor, delivery.applied, delivery.has_more) == (20, 20, True)


def test_a_lower_applied_below_what_is_in_flight_starts_anew_from_it() -> None:
    delivery = in_flight(message(51, 60), applied=50)

    delivery.heard(20, now_s=1)

    assert list(delivery.due(1.3)) == []
    assert (delivery.cursor, list(delivery.in_flight)) == (20, [])


def test_a_lower_applied_after_a_silence_starts_anew_from_it() -> None:
    """The cloud's database was away, and came back as it was before anything in flight: a restore."""
    delivery = in_flight(B, C, applied=10)
    assert list(delivery.due(10)) == [B]

    delivery.heard(0, now_s=11)

    assert list(delivery.due(12)) == []
    assert delivery.cursor == 0
    assert delivery.has_more


def test_clouds_that_contradict_each_other_do_not_make_us_start_anew_more_than_once_a_second() -> None:
    delivery = in_flight(applied=50, last=50)
    restarts = 0
    for tick in range(300):
        now_s = tick / 100
        delivery.heard(20 if tick % 2 else 50, now_s)
        before = delivery.cursor
        list(delivery.due(now_s))
        restarts += delivery.cursor < before

    assert restarts <= 4


def test_a_new_connection_starts_behind_what_is_applied() -> None:
    delivery = in_flight(A, B, C)
    delivery.heard(10, now_s=1)
    delivery.heard(10, now_s=1)

    delivery.begin()

    assert (delivery.cursor, list(delivery.in_flight), delivery.due_s()) == (10, [], None)


def test_a_stopped_epoch_is_not_sent_until_it_goes_on() -> None:
    delivery = in_flight(A, B)

    assert delivery.heard_stopped("5 to 7 are missing")
    assert not delivery.heard_stopped("5 to 7 are missing")
    assert not delivery.has_more
    assert delivery.due_s() is None
    assert delivery.heard_stopped(None)
    assert delivery.has_more
    assert delivery.cursor == 0


def test_nothing_is_gathered_while_nothing_is_in_flight() -> None:
    assert not in_flight().gathers(5.0)


def test_while_something_is_in_flight_movements_gather_for_a_fifth_of_a_second() -> None:
    delivery = in_flight(A)

    assert [delivery.gathers(now_s) for now_s in (5.0, 5.1, 5.19, 5.2, 5.3)] == [True, True, True, False, False]
    delivery.was_sent(B, 5.3)
    assert delivery.gathers(5.31)
