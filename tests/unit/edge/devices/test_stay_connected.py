"""Staying connected: how long between tries, and what the log and the listener hear of it."""

import asyncio
import logging

import pytest

from edge.devices.stay_connected import BackOff, DeviceLost, stay_connected


def waits(served_s: list[float]) -> list[float]:
    """Seconds waited after each of a row of connections that served so long."""
    back_off, waited = BackOff(), []
    for served in served_s:
        waited.append(back_off.wait_after(served))
        back_off = back_off.after_failure(served)
    return waited


def test_tries_that_fail_are_1_to_30_seconds_apart():
    assert waits([0.0] * 8) == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_a_connection_that_served_long_enough_starts_the_row_anew():
    assert waits([0.0, 0.0, 0.0, 60.0, 0.0, 0.0]) == [1.0, 2.0, 4.0, 1.0, 2.0, 4.0]


def test_a_device_that_breaks_at_once_is_not_asked_every_second_for_ever():
    assert waits([0.1] * 5) == [1.0, 2.0, 4.0, 8.0, 16.0]


@pytest.mark.parametrize("times", [(0.0, 0.0, 1.0), (3.0, 1.0, 2.0), (1.0, 2.0, 4.0)])
def test_waits_that_contradict_each_other_are_refused(times):
    with pytest.raises(ValueError, match="expected 0 < first ≤ wait ≤ longest, got"):
        BackOff(*times)


class Script:
    """A device that does what it was told, connection by connection, and ends the story after the last."""

    def __init__(self, *steps: str) -> None:
        self.steps = list(steps)
        self.now_s = 100.0
        self.changes: list[tuple[str, bool]] = []
        self.slept: list[float] = []

    async def serve(self, connected) -> None:
        if not self.steps:
            raise asyncio.CancelledError
        step = self.steps.pop(0)
        if step == "absent":
            raise DeviceLost("nobody answers")
        connected()
        self.now_s += 50.0
        if step == "bug":
            raise RuntimeError("ours")
        if step == "lost":
            raise DeviceLost("cable pulled")

    async def sleep(self, wait_s: float) -> None:
        self.slept.append(wait_s)
        self.now_s += wait_s

    def play(self, caplog) -> list[str]:
        async def story() -> None:
            await stay_connected(
                "portal dock",
                self.serve,
                lambda name, there: self.changes.append((name, there)),
                monotonic=lambda: self.now_s,
                sleep=self.sleep,
            )

        with caplog.at_level(logging.INFO), pytest.raises(asyncio.CancelledError):
            asyncio.run(story())
        return [record.getMessage() for record in caplog.records]


def test_the_log_has_one_line_when_the_device_goes_and_one_when_it_returns(caplog):
    script = Script("lost", "absent", "absent", "lost")
    assert script.play(caplog) == [
        "portal dock is connected",
        "portal dock is gone: cable pulled",
        "portal dock is back after 7.0 s",
        "portal dock is gone: cable pulled",
    ]
    assert script.changes == [("portal dock", True), ("portal dock", False)] * 2
    assert script.slept == [1.0, 2.0, 4.0, 1.0]


def test_a_device_that_is_not_there_from_the_beginning_is_said_once(caplog):
    script = Script("absent", "absent", "absent", "lost")
    assert script.play(caplog)[:2] == [
        "portal dock is gone: nobody answers",
        "portal dock is back after 7.0 s",
    ]
    assert script.changes[:2] == [("portal dock", False), ("portal dock", True)]


def test_a_fault_of_ours_is_logged_with_its_trace_and_does_not_end_the_device(caplog):
    lines = Script("bug", "lost").play(caplog)
    assert lines[1:3] == [
        "portal dock: serving it broke",
        "portal dock is gone: serving it broke, RuntimeError('ours')",
    ]
    assert caplog.records[1].exc_info is not None
    assert lines[3] == "portal dock is back after 1.0 s"


def test_a_connection_that_ends_without_a_word_is_an_end_too(caplog):
    assert "portal dock is gone: the connection ended" in Script("served").play(caplog)
