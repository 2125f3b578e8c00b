"""Reads through recognition to verdicts, for simulated worlds and recordings alike."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from edge.gate_desk.judging import Judged, judge
from edge.gate_desk.labels import Event, Events, Truth
from edge.gate_desk.recording import Recording
from edge.readings import EyeChange, Passage, TagRead
from edge.recognition.gate import GateSettings
from edge.recognition.gate_recognition import GateRecognition
from firmware_bridges.gate_simulator.scenarios import DOOR_PORT, INSIDE_PORT, OUTSIDE_PORT
from firmware_bridges.gate_simulator.simulation import Simulated

INSIDE, OUTSIDE = frozenset({1, 2}), frozenset({3, 4})
EYES: dict[str, dict[str, int]] = {
    "none": {},
    "one": {"eye_door": DOOR_PORT},
    "two": {"eye_outside": OUTSIDE_PORT, "eye_inside": INSIDE_PORT},
}


def gate(eyes: str = "none") -> GateSettings:
    """The gate with every setting at its default, wired to no photo-eye, to the one in the door, or to two."""
    return replace(GateSettings("gate", INSIDE, OUTSIDE), **EYES[eyes])


def recording_of(simulated: Simulated, name: str, with_phase: bool = True, eyes: str = "none") -> Recording:
    """What the desk would read from the simulation's files."""
    phases = simulated.phase_rad.astype(np.float64)
    return Recording(
        name=name,
        format="generic-csv",
        times_us=simulated.t_us,
        tags=simulated.tag.astype(np.int64),
        antennas=simulated.antenna.astype(np.int64),
        rssi_dbm=simulated.rssi_dbm.astype(np.float64),
        phases_rad=phases if with_phase else np.full(len(phases), np.nan),
        channels=simulated.channel.astype(np.int64),
        epcs=tuple(simulated.epcs),
        eyes=eyes_of(simulated, eyes),
    )


def eyes_of(simulated: Simulated, eyes: str = "none") -> tuple[EyeChange, ...]:
    """The photo-eyes that the gate is wired to, as recognition takes them."""
    wired = set(EYES[eyes].values())
    return tuple(EyeChange(port, is_broken, at_us) for at_us, port, is_broken in simulated.eyes if port in wired)


def events_of(simulated: Simulated) -> Events:
    """What is true, as the desk takes it."""
    return Events(
        tuple(
            Event(simulated.epcs[truth.tag], truth.from_us, truth.to_us, Truth(truth.truth), truth.group)
            for truth in simulated.truths
        )
    )


def only(recording: Recording, tags: Iterable[int]) -> Recording:
    """The reads of some tags."""
    kept = np.isin(recording.tags, np.fromiter(tags, dtype=np.int64))
    return replace(
        recording,
        times_us=recording.times_us[kept],
        tags=recording.tags[kept],
        antennas=recording.antennas[kept],
        rssi_dbm=recording.rssi_dbm[kept],
        phases_rad=recording.phases_rad[kept],
        channels=recording.channels[kept],
    )


def passages_of(recording: Recording, settings: GateSettings) -> list[Passage]:
    """All passages, as a gateway decides them: fed in portions, then time goes on until all is decided."""
    recognition = GateRecognition(settings)
    passages: list[Passage] = []
    for portion in recording.chunks():
        passages += recognition.feed(portion)
    if recognition.clock_us is not None:
        passages += recognition.advance(recognition.clock_us + settings.longest_visit_us + 10 * settings.hold_us)
    return passages + recognition.flush()


def sightings_of(simulated: Simulated) -> list[TagRead]:
    """The reads of one stretch of a long simulation."""
    epcs = simulated.epcs
    columns = (
        simulated.tag,
        simulated.antenna,
        simulated.rssi_dbm,
        simulated.t_us,
        simulated.phase_rad,
        simulated.channel,
    )
    return [
        TagRead(epcs[tag], antenna, rssi, at_us, phase, channel)
        for tag, antenna, rssi, at_us, phase, channel in zip(*(c.tolist() for c in columns), strict=True)
    ]


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Judged events of a world, and the passages that they were judged by."""

    judged: list[Judged]
    passages: list[Passage]


def verdicts_of(simulated: Simulated, name: str, with_phase: bool = True, eyes: str = "none") -> Verdicts:
    """What recognition makes of a simulated world, beside what is true of it."""
    recording = recording_of(simulated, name, with_phase, eyes)
    settings = gate(eyes)
    passages = passages_of(recording, settings)
    return Verdicts(judge(recording, passages, events_of(simulated), settings.hold_us), passages)


def verdicts_alone(simulated: Simulated, name: str, tags_of_group: int) -> list[Judged]:
    """What recognition makes of one tag of each group at a time, as if nothing else went with it.

    Several turns: in turn k every event's k-th tag goes alone.
    """
    recording, events, settings = recording_of(simulated, name), events_of(simulated), gate()
    members: dict[tuple[str, int], list[int]] = {}
    for truth in simulated.truths:
        members.setdefault((truth.group, truth.from_us), []).append(truth.tag)
    judged = []
    for turn in range(tags_of_group):
        chosen = {tags[turn] for tags in members.values() if len(tags) > turn}
        own = only(recording, chosen)
        epcs = {simulated.epcs[tag] for tag in chosen}
        mine = Events(tuple(event for event in events.events if event.epc in epcs))
        judged += judge(own, passages_of(own, settings), mine, settings.hold_us)
    return judged
