"""ROSpecs go through the states of the standard, and refuse what it does not foresee."""

import pytest

from firmware_bridges.virtual_reader.inventory import MAX_ROSPECS, Inventory
from firmware_bridges.virtual_reader.messages import ReportContent, ROSpec, ROSpecState
from protocols.llrp import MessageType, StatusCode

ENABLE, START, STOP, DISABLE, DELETE = (
    MessageType.ENABLE_ROSPEC,
    MessageType.START_ROSPEC,
    MessageType.STOP_ROSPEC,
    MessageType.DISABLE_ROSPEC,
    MessageType.DELETE_ROSPEC,
)


def rospec(rospec_id: int = 1, starts_at_once: bool = False) -> ROSpec:
    return ROSpec(rospec_id, 0, starts_at_once, frozenset(), ReportContent(), 1, None, b"")


def held(*verbs: MessageType, starts_at_once: bool = False) -> Inventory:
    inventory = Inventory()
    inventory.add(rospec(1, starts_at_once))
    for verb in verbs:
        assert inventory.apply(verb, 1).status is StatusCode.SUCCESS
    return inventory


@pytest.mark.parametrize(
    ("verbs", "state"),
    [
        ((), ROSpecState.DISABLED),
        ((ENABLE,), ROSpecState.INACTIVE),
        ((ENABLE, START), ROSpecState.ACTIVE),
        ((ENABLE, START, START), ROSpecState.ACTIVE),
        ((ENABLE, START, STOP), ROSpecState.INACTIVE),
        ((ENABLE, START, DISABLE), ROSpecState.DISABLED),
        ((ENABLE, STOP), ROSpecState.INACTIVE),
        ((DISABLE,), ROSpecState.DISABLED),
    ],
)
def test_commands_lead_from_state_to_state(verbs, state):
    assert [state for _, state in held(*verbs)] == [state]


def test_an_immediate_start_trigger_starts_on_enabling_and_not_again_after_a_stop():
    assert held(ENABLE, starts_at_once=True).active == rospec(1, True)
    assert held(ENABLE, STOP, ENABLE, starts_at_once=True).active is None


@pytest.mark.parametrize("verb", [START, STOP])
def test_a_disabled_rospec_can_be_neither_started_nor_stopped(verb):
    outcome = held().apply(verb, 1)
    assert outcome.status is StatusCode.INVALID
    assert outcome.reason == f"{verb.name}: ROSpec 1 is disabled"


def test_a_rospec_that_is_not_held_is_refused():
    outcome = held().apply(ENABLE, 7)
    assert (outcome.status, outcome.reason) == (StatusCode.INVALID, "no ROSpec 7 is held")


def test_zero_deletes_all_but_starts_none():
    inventory = held(ENABLE, START)
    inventory.add(rospec(2))
    assert inventory.apply(START, 0).status is StatusCode.INVALID
    assert inventory.apply(DELETE, 0).status is StatusCode.SUCCESS
    assert list(inventory) == []
    assert inventory.apply(DELETE, 0).status is StatusCode.SUCCESS


def test_the_same_number_twice_and_one_too_many_are_refused():
    inventory = held()
    assert inventory.add(rospec(1)).status is StatusCode.INVALID
    for number in range(2, MAX_ROSPECS + 1):
        assert inventory.add(rospec(number)).status is StatusCode.SUCCESS
    assert inventory.add(rospec(99)).status is StatusCode.OUT_OF_RANGE


def test_a_second_inventory_does_not_start_while_one_runs():
    inventory = held(ENABLE, START)
    inventory.add(rospec(2, starts_at_once=True))
    assert inventory.apply(ENABLE, 2).status is StatusCode.DEVICE_ERROR
    inventory.apply(STOP, 1)
    assert inventory.apply(ENABLE, 2).status is StatusCode.SUCCESS
    assert inventory.active == rospec(2, True)


def test_a_rospec_whose_time_is_up_is_inactive():
    inventory = held(ENABLE, START)
    inventory.end(rospec(1))
    assert [state for _, state in inventory] == [ROSpecState.INACTIVE]
