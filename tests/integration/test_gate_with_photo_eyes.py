"""A gate with photo-eyes the whole way: reader, TCP, portal, watch, passages."""

import asyncio
from dataclasses import replace

import pytest

from edge.devices.photo_eyes import PhotoEye as WiredEye
from edge.gate_watch import GateWatch
from edge.recognition.gate import GateSettings
from firmware_bridges.virtual_reader.scenario import Pallet, PhotoEye, Scenario, happenings, made_up_goods
from tests.llrp_makers import listening, playing, run, until

PALLETS = (
    Pallet("P1", "in", 2.5, 1.6, 8),
    Pallet("P2", "out", 7.0, 1.6, 8),
    Pallet("S1", "parked", tags=4, stands_at_m=(2.0, 2.5)),
)
SCENARIO = Scenario("In and out", 10.0, PALLETS)
GATE = GateSettings("dock-1", inside=frozenset({3, 4}), outside=frozenset({1, 2}))
GOODS = made_up_goods(SCENARIO)
TRUTH = {epc: pallet.direction for pallet in PALLETS if not pallet.is_parked for epc in GOODS[pallet.name]}
DOOR = ((PhotoEye(2, 0.0, "low"),), replace(GATE, eye_door=2))
# Nearer to each other than a pallet is long, so that it breaks the second beam before it leaves the first.
TWO = ((PhotoEye(1, -0.3), PhotoEye(3, 0.3)), replace(GATE, eye_outside=1, eye_inside=3))


@pytest.mark.parametrize(("eyes", "gate"), [DOOR, TWO])
@pytest.mark.parametrize("loses", [False, True])
def test_every_tag_is_told_as_it_moved_also_around_a_loss(eyes, gate, loses):
    scenario = replace(SCENARIO, photo_eyes=eyes)
    passages = []

    async def story():
        wired = tuple(WiredEye(eye.port, eye.broken_when) for eye in eyes)
        played = list(happenings(scenario, GOODS))
        async with (
            playing(played, pace=2.0) as reader,
            listening(reader.address, eyes=wired, impinj=True) as portal,
        ):
            watch = GateWatch(portal, gate, passages.extend, lambda _: None)
            task = asyncio.create_task(watch.run())
            if loses:
                await until(lambda: reader.counters.input_events >= 1, "the beam is broken")
                reader.cut_mid_message()
            await reader.finished.wait()
            await until(lambda: portal.counters["eye_changes"] >= 5 * len(eyes), "the eyes are heard")
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            watch.finish()
            return watch.counters

    counters = run(story())
    crossings = [one for one in passages if one.direction.value in ("in", "out")]
    assert {one.epc: one.direction.value for one in crossings} == TRUTH
    assert len(crossings) == 16
    # How each eye stood when the portal came, and two pallets that broke and left its beam.
    assert counters["dock.eye_changes"] >= 5 * len(eyes)
    assert "dock.unknown_eye" not in counters
    assert "dock.eye_contradicted" not in counters


def test_what_the_eyes_did_not_see_pass_is_no_crossing():
    """The eye hangs on another door's input: everything that passes here passes with its beam clear."""
    scenario = replace(SCENARIO, pallets=(Pallet("P1", "in", 2.5, 1.6, 2),), photo_eyes=(PhotoEye(2, 5.0),))
    played = list(happenings(scenario, made_up_goods(scenario)))
    passages = []

    async def story():
        async with (
            playing(played, pace=2.0) as reader,
            listening(reader.address, eyes=(WiredEye(2),), impinj=True) as portal,
        ):
            watch = GateWatch(portal, replace(GATE, eye_door=2, eye_within_s=0.5), passages.extend, lambda _: None)
            task = asyncio.create_task(watch.run())
            await reader.finished.wait()
            await until(lambda: portal.counters["eye_changes"] >= 3, "the eye is heard")
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            watch.finish()

    run(story())
    assert {one.direction.value for one in passages} == {"undecided"}
    assert "photo-eye" in {one.evidence.decided_by for one in passages}
