"""Reads through recognition to verdicts, for simulated worlds and recordings alike."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from edge.gate_desk.judging import Judged, judge
from edge.gate_desk.labels import Event, Events, Truth
from edge.gate_desk.recording import Recording
from edge.readings import EyeChange, Passage, Sighting, TagRead
from edge.recognition.gate import GateSettings
from edge.recognition.gate_recognition import GateRecognition
from firmware_bridges.gate_simulator.simulation import Simulated

INSIDE, OUTSIDE = frozenset({1, 2}), frozenset({3, 4})
DOOR_PORT = 1


def gate(with_eye: bool = False) -> GateSettings:
    """The gate with every setting at its default."""
    return GateSettings("gate", INSIDE, OUTSIDE, eye_door=DOOR_PORT if with_eye else None)


def recording_of(simulated: Simulated, name: str, with_phase: bool = True, with_eyes: bool = False) -> Recording:
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
        eyes=eyes_of(simulated) if with_eyes else (),
    )


def eyes_of(simulated: Simulated) -> tuple[EyeChange, ...]:
    """The photo-eyes as recognition takes them."""
    return tuple(EyeChange(port, is_broken, at_us) for at_us, port, is_broken in simulated.eyes)


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


def sightings_of(simulated: Simulated) -> list[Sighting]:
    """One stretch of a long simulation, reads and photo-eyes in order of time."""
    epcs = simulated.epcs
    columns = (
        simulated.tag,
        simulated.antenna,
        simulated.rssi_dbm,
        simulated.t_us,
        simulated.phase_rad,
        simulated.channel,
    )
    reads: list[Sighting] = [
        TagRead(epcs[tag], antenna, rssi, at_us, phase, channel)
        for tag, antenna, rssi, at_us, phase, channel in zip(*(c.tolist() for c in columns), strict=True)
    ]
    if not simulated.eyes:
        return reads
    return sorted([*reads, *eyes_of(simulated)], key=lambda one: one.seen_at_us)


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Judged events of a world, and the passages that they were judged by."""

    judged: list[Judged]
    passages: list[Passage]


def verdicts_of(simulated: Simulated, name: str, with_phase: bool = True, with_eyes: bool = False) -> Verdicts:
    """What recognition makes of a simulated world, beside what is true of it."""
    recording = recording_of(simulated, name, with_phase, with_eyes)
    settings = gate(with_eyes)
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
