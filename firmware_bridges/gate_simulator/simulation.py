"""A world and a seed → reads, photo-eye events and what is true. The same world and seed give the same bytes.

Time goes in stretches of some 30 s, so that a field of parked goods can stand for days while memory stays
small. In each stretch the channel of every tag that is there is worked out at points 20 ms apart (60 ms where
nothing but people moves) for the antenna then lit; that says who can answer. The rounds (air_interface.py) say
who does. Strength and phase of what was read are then worked out at the very instant of each read.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from firmware_bridges.gate_simulator.air_interface import Dwells, Rounds
from firmware_bridges.gate_simulator.field_of_tags import (
    MODULATION_DB,
    POLARISATION_DB,
    by_walker,
    diffuse_level,
    draw_gate,
    draw_tags,
    wave_numbers,
    waves_to,
)
from firmware_bridges.gate_simulator.motion import FAR_M
from firmware_bridges.gate_simulator.propagation import Box, Complexes, Floats, Integers, through_db
from firmware_bridges.gate_simulator.world import US, Load, Truth, Walker, World, truths_of
from protocols.epc.sgtin import Sgtin, encode

DWELLS_A_STRETCH: Final = 500
PARTS_MOVING: Final = 3  # points of a dwell at which the channel is worked out while goods move
EYE_STEP_S: Final = 0.01
# Read probability falls from 88 to 12 % within 2 × 1.6 dB around the sensitivity, as measured curves of labels
# and readers do (Nikitin & Rao, IEEE Antennas and Propagation Magazine 51(5), 2009).
SLOPE_DB: Final = 0.8
LOST_DB: Final = 3.0  # below the sensitivity: 2 % would still be understood
HOPELESS_DB: Final = (
    14.0  # so far below its sensitivity a tag that stands is not looked at: flicker does not lift it
)
EYES_BETWEEN_M: Final = 1.6  # a beam ends at the door's posts


@dataclass(frozen=True, slots=True)
class Simulated:
    """Columns of reads in order of time, [R] each, and the rest.

    t_us       int64, the reader's clock
    tag        int32, into epcs
    antenna    uint8, 1-based
    rssi_dbm   float32
    phase_rad  float32, 0 … 2π
    channel    uint8, 1-based, into channels_mhz
    eyes       (t_us, port, is_broken), oldest first
    """

    t_us: npt.NDArray[np.int64]
    tag: npt.NDArray[np.int32]
    antenna: npt.NDArray[np.uint8]
    rssi_dbm: npt.NDArray[np.float32]
    phase_rad: npt.NDArray[np.float32]
    channel: npt.NDArray[np.uint8]
    epcs: list[str]
    eyes: list[tuple[int, int, bool]]
    truths: list[Truth]
    channels_mhz: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.t_us)


def simulate(world: World, seed: int) -> Simulated:
    """The whole of it at once."""
    parts = list(stream(world, seed))
    return Simulated(
        t_us=np.concatenate([part.t_us for part in parts]),
        tag=np.concatenate([part.tag for part in parts]),
        antenna=np.concatenate([part.antenna for part in parts]),
        rssi_dbm=np.concatenate([part.rssi_dbm for part in parts]),
        phase_rad=np.concatenate([part.phase_rad for part in parts]),
        channel=np.concatenate([part.channel for part in parts]),
        epcs=parts[0].epcs,
        eyes=[event for part in parts for event in part.eyes],
        truths=parts[0].truths,
        channels_mhz=parts[0].channels_mhz,
    )


def stream(world: World, seed: int) -> Iterator[Simulated]:
    """Stretch by stretch; epcs and truths are those of the whole and stand in each. At least one."""
    yield from _Run(world, seed).stretches()


@dataclass(frozen=True, slots=True)
class _Still:
    """Loads that stand during a stretch, and their channel for every (antenna, channel) pair [A × C, n]."""

    loads: tuple[tuple[int, float, float], ...]  # number, x, y
    tags: Integers
    at: tuple[Floats, Floats, Floats]
    line: Complexes
    diffuse: Complexes


class _Run:
    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._seed = seed
        self._random = np.random.default_rng([seed, 1])
        drawn = np.random.default_rng([seed, 0])
        self._gate = draw_gate(world, drawn)
        self._tags = draw_tags(world, drawn)
        self._numbers = wave_numbers(world.reader.channels_mhz)
        self._firsts = np.concatenate([[0], np.cumsum([load.tags for load in world.loads])]).astype(np.int64)
        self._rounds = Rounds(world.reader.inventory, self._tags.persistence_s, self._random)
        self._hops = self._random.permutation(len(world.reader.channels_mhz))
        self._still: _Still | None = None
        self._eyes_broken = dict.fromkeys((eye.port for eye in world.eyes), False)
        self._epcs = [encode(Sgtin(1, "0614141", "812345", seed % 10**5 * 10**6 + n)) for n in range(world.tags)]
        self._truths = truths_of(world)

    def stretches(self) -> Iterator[Simulated]:
        """One after the other until the world ends."""
        start_s, visited = 0.0, 0
        while start_s < self._world.lasts_s or visited == 0:
            dwells = self._dwells(start_s, visited)
            end_s = float(dwells.ends_s[-1])
            yield self._stretch(dwells, start_s, end_s)
            start_s, visited = end_s, visited + len(dwells.starts_s)

    # -- the reader's time --

    def _dwells(self, start_s: float, visited: int) -> Dwells:
        reader = self._world.reader
        many = min(DWELLS_A_STRETCH, max(1, int((self._world.lasts_s - start_s) / reader.dwell_s) + 1))
        lengths = reader.dwell_s * np.clip(1 + reader.dwell_jitter * self._random.standard_normal(many), 0.4, 2.5)
        ends = start_s + np.cumsum(lengths)
        starts = np.concatenate([[start_s], ends[:-1]])
        order = np.array(reader.order)
        hop = (starts / reader.hop_s).astype(np.int64) % len(self._hops)
        return Dwells(
            starts, ends, order[(visited + np.arange(many)) % len(order)], self._hops[hop].astype(np.int64)
        )

    # -- one stretch --

    def _stretch(self, dwells: Dwells, start_s: float, end_s: float) -> Simulated:
        here = [
            (number, load)
            for number, load in enumerate(self._world.loads)
            if load.way.starts_s < end_s and load.way.ends_s > start_s
        ]
        moving = [(number, load) for number, load in here if not load.way.is_still(start_s, end_s)]
        moving_numbers = {number for number, _ in moving}
        still = self._stand([(number, load) for number, load in here if number not in moving_numbers], start_s)
        walkers = [w for w in self._world.walkers if w.way.starts_s < end_s and w.way.ends_s > start_s]
        parts = PARTS_MOVING if moving else 1
        lit, columns = self._lit(dwells, parts, moving, still, walkers)
        times, tag, dwell = self._rounds.run(dwells, parts, lit, columns)
        rssi, phase = self._heard(times, tag, dwells.antenna[dwell], dwells.channel[dwell], moving, still, walkers)
        # An answer that falls into a null between two points was not understood after all.
        (kept,) = np.nonzero(rssi > self._world.reader.sensitivity_dbm - LOST_DB)
        order = kept[np.argsort(times[kept], kind="stable")]
        return Simulated(
            t_us=self._world.starts_us + np.rint(times[order] * US).astype(np.int64),
            tag=tag[order].astype(np.int32),
            antenna=(dwells.antenna[dwell][order] + 1).astype(np.uint8),
            rssi_dbm=rssi[order].astype(np.float32),
            phase_rad=phase[order].astype(np.float32),
            channel=(dwells.channel[dwell][order] + 1).astype(np.uint8),
            epcs=self._epcs,
            eyes=self._eye_events(start_s, end_s, here, walkers),
            truths=self._truths,
            channels_mhz=self._world.reader.channels_mhz,
        )

    def _lit(
        self,
        dwells: Dwells,
        parts: int,
        moving: list[tuple[int, Load]],
        still: _Still,
        walkers: list[Walker],
    ) -> tuple[npt.NDArray[np.bool_], Integers]:
        """(who can answer [J × parts, n], which tags the columns are)."""
        shares = (np.arange(parts) + 0.5) / parts
        times = (dwells.starts_s[:, None] + (dwells.ends_s - dwells.starts_s)[:, None] * shares).reshape(-1, 1)
        antenna = np.repeat(dwells.antenna, parts)[:, None]
        channel = np.repeat(dwells.channel, parts)[:, None]
        lit, columns = [], []
        for number, load in moving:
            tag = np.arange(self._firsts[number], self._firsts[number + 1])
            at = _places(load, times, self._tags.offset_m[tag])
            h = self._moving_channel(times, antenna, channel, tag[None, :], at, moving, still, walkers)
            lit.append(self._answers(h, tag[None, :]))
            columns.append(tag)
        if len(still.tags):
            local = np.arange(len(still.tags))[None, :]
            h = self._still_channel(still, times, antenna, channel, local, moving, walkers)
            lit.append(self._answers(h, still.tags[None, :]))
            columns.append(still.tags)
        if not lit:
            return np.zeros((len(times), 0), dtype=bool), np.empty(0, np.int64)
        return np.concatenate(lit, axis=1), np.concatenate(columns)

    def _answers(self, h: Complexes, tag: Integers) -> npt.NDArray[np.bool_]:
        at_tag_dbm, at_reader_dbm = self._powers(h, tag)
        margin_tag = at_tag_dbm - self._tags.sensitivity_dbm[tag].astype(at_tag_dbm.dtype)
        margin_reader = at_reader_dbm - self._world.reader.sensitivity_dbm
        return np.asarray(
            self._random.random(h.shape, dtype=np.float32) < _chance(margin_tag) * _chance(margin_reader)
        )

    def _powers(self, h: Complexes, tag: Integers) -> tuple[Floats, Floats]:
        reader = self._world.reader
        power = np.maximum(h.real**2 + h.imag**2, 1e-24)
        lost_db = reader.cable_db + POLARISATION_DB + self._tags.detuning_db[tag]
        one_way_db = 10 * np.log10(power) - lost_db.astype(power.dtype)
        return reader.power_dbm + one_way_db, reader.power_dbm + 2 * one_way_db - MODULATION_DB

    def _heard(
        self,
        times: Floats,
        tag: Integers,
        antenna: Integers,
        channel: Integers,
        moving: list[tuple[int, Load]],
        still: _Still,
        walkers: list[Walker],
    ) -> tuple[Floats, Floats]:
        """(RSSI in dBm, phase in radians) of each read."""
        h = np.zeros(len(times), dtype=complex)
        for number, load in moving:
            (rows,) = np.nonzero(self._tags.load[tag] == number)
            if len(rows):
                t, who = times[rows], tag[rows]
                at = _places(load, t, self._tags.offset_m[who])
                h[rows] = self._moving_channel(t, antenna[rows], channel[rows], who, at, moving, still, walkers)
        if len(still.tags):
            place = np.searchsorted(still.tags, tag)
            place = np.minimum(place, len(still.tags) - 1)
            (rows,) = np.nonzero(still.tags[place] == tag)
            h[rows] = self._still_channel(
                still, times[rows], antenna[rows], channel[rows], place[rows], moving, walkers
            )
        reader = self._world.reader
        noisy = self._powers(h, tag)[1] + reader.rssi_noise_db * self._random.standard_normal(len(times))
        step = reader.rssi_step_db
        rssi = np.rint(noisy / step) * step if step > 0 else noisy
        turned = self._gate.phase[antenna, channel] + self._tags.phase[tag] - 2 * np.angle(h)
        turned = turned + reader.phase_noise_rad * self._random.standard_normal(len(times))
        # float32 rounds what is just below a full turn up to it.
        return rssi, np.mod(np.mod(turned, 2 * np.pi).astype(np.float32), np.float32(2 * np.pi))

    # -- channels --

    def _moving_channel(
        self,
        times: Floats,
        antenna: Integers,
        channel: Integers,
        tag: Integers,
        at: tuple[Floats, Floats, Floats],
        moving: list[tuple[int, Load]],
        still: _Still,
        walkers: list[Walker],
    ) -> Complexes:
        boxes = [_box(load, *load.way.at(times)) for _, load in moving]
        boxes += [
            box
            for other, x, y in still.loads
            if self._may_stand_between(box := _box(self._world.loads[other], x, y), at)
        ]
        numbers = self._numbers[channel]
        line, diffuse = waves_to(self._world.hall, self._gate, self._tags, antenna, tag, at, numbers, boxes)
        return self._with_what_moves(line, diffuse, times, antenna, tag, at, numbers, walkers)

    def _may_stand_between(self, box: Box, at: tuple[Floats, Floats, Floats]) -> bool:
        """Whether a box that stands overlaps the space which tags and antennas span, in the plane."""
        if not at[0].size:
            return False
        for axis in (0, 1):
            ends = self._gate.at_m[:, axis]
            # What has not come yet, or is gone, is far off and spans nothing of interest.
            places = np.clip(at[axis], -2 * FAR_M, 2 * FAR_M)
            if box.low[axis] > max(places.max(), ends.max()) or box.high[axis] < min(places.min(), ends.min()):
                return False
        return True

    def _still_channel(
        self,
        still: _Still,
        times: Floats,
        antenna: Integers,
        channel: Integers,
        local: Integers,
        moving: list[tuple[int, Load]],
        walkers: list[Walker],
    ) -> Complexes:
        row = antenna * len(self._numbers) + channel
        if row.ndim == 2:  # a grid of all that stands: whole rows
            line, diffuse = still.line[row[:, 0]], still.diffuse[row[:, 0]]
        else:
            line, diffuse = still.line[row, local], still.diffuse[row, local]
        at = (still.at[0][local], still.at[1][local], still.at[2][local])
        loss_db: Floats | float = 0.0
        place = self._gate.at_m[antenna]
        for _, load in moving:
            box = _box(load, *load.way.at(times))
            loss_db = loss_db + through_db(at, (place[..., 0], place[..., 1], place[..., 2]), box)
        if moving:
            line = line * (10 ** (-np.asarray(loss_db) / 20)).astype(np.float32)
        tag = still.tags[local]
        return self._with_what_moves(line, diffuse, times, antenna, tag, at, self._numbers[channel], walkers)

    def _with_what_moves(
        self,
        line: Complexes,
        diffuse: Complexes,
        times: Floats,
        antenna: Integers,
        tag: Integers,
        at: tuple[Floats, Floats, Floats],
        numbers: Floats,
        walkers: list[Walker],
    ) -> Complexes:
        for walker in walkers:
            taken_db, wave = by_walker(self._gate, walker, times, antenna, at, numbers)
            line, diffuse = line * 10 ** (-taken_db / 20), diffuse + wave
        return line + diffuse + self._restless(times, antenna, tag, at, numbers)

    def _restless(
        self, times: Floats, antenna: Integers, tag: Integers, at: tuple[Floats, Floats, Floats], numbers: Floats
    ) -> Complexes:
        """The share of the diffuse field that changes though the tag stands."""
        hall = self._world.hall
        changes = np.zeros(np.broadcast_shapes(np.shape(times), np.shape(tag)), dtype=np.complex64)
        single = numbers.astype(np.float32)
        for kind, (share, scale_s) in enumerate(((hall.bustle, hall.bustle_s), (hall.drift, hall.drift_s))):
            if share > 0 and changes.size:
                changes += np.float32(share) * self._wandering(kind, times / scale_s, antenna, tag)
        place = self._gate.at_m[antenna].astype(np.float32)
        x, y, z = (one.astype(np.float32) - place[..., axis] for axis, one in enumerate(at))
        return np.asarray(changes * diffuse_level(hall, np.sqrt(x * x + y * y + z * z), single))

    def _wandering(self, kind: int, position: Floats, antenna: Integers, tag: Integers) -> Complexes:
        """A smooth complex process of unit power for each tag and antenna, the same whenever it is asked.

        Independent normal values stand at whole `position`s; between them cosine and sine weigh the two
        neighbours, which keeps the power.
        """
        knot = np.floor(position).astype(np.int64)
        lowest, highest = int(knot.min()), int(knot.max()) + 1
        shape = (len(self._tags.load), len(self._world.antennas))
        values = np.empty((highest - lowest + 1, *reversed(shape)), dtype=np.complex64)
        for index in range(lowest, highest + 1):
            knots = np.random.Generator(np.random.Philox(key=[self._seed, 2 * index + kind]))
            pair = knots.standard_normal((2, *shape), dtype=np.float32)
            values[index - lowest] = ((pair[0] + 1j * pair[1]) * np.float32(np.sqrt(0.5))).T
        turn = (np.pi / 2 * (position - knot)).astype(np.float32)
        before, after = (_picked(values, knot - lowest + step, antenna, tag) for step in (0, 1))
        return np.asarray(np.cos(turn) * before + np.sin(turn) * after)

    def _stand(self, loads: list[tuple[int, Load]], at_s: float) -> _Still:
        """The channel of what stands, worked out once for as long as the same goods stand there."""
        places = [(number, load.way.at(np.array(at_s))) for number, load in loads]
        standing = tuple((number, float(x), float(y)) for number, (x, y) in places)
        if self._still is not None and self._still.loads == standing:
            return self._still
        tag = np.concatenate(
            [np.empty(0, np.int64)] + [np.arange(self._firsts[n], self._firsts[n + 1]) for n, _, _ in standing]
        )
        middle = np.array([(x, y) for n, x, y in standing for _ in range(self._world.loads[n].tags)]).reshape(
            -1, 2
        )
        offset = self._tags.offset_m[tag]
        at = (middle[:, 0] + offset[:, 0], middle[:, 1] + offset[:, 1], offset[:, 2])
        boxes = [_box(self._world.loads[n], x, y) for n, x, y in standing]
        antennas, channels = len(self._world.antennas), len(self._numbers)
        antenna = np.repeat(np.arange(antennas), channels)[:, None]
        numbers = np.tile(self._numbers, antennas)[:, None]
        line, diffuse = waves_to(
            self._world.hall, self._gate, self._tags, antenna, tag[None, :], at, numbers, boxes
        )
        best = self._powers(line + diffuse, tag[None, :])[0].max(axis=0, initial=-999.0)
        kept = best > self._tags.sensitivity_dbm[tag] - HOPELESS_DB
        # Single precision from here on: it is what takes most of the time of a long stand.
        x, y, z = (one[kept].astype(np.float32) for one in at)
        single = (one[:, kept].astype(np.complex64) for one in (line, diffuse))
        self._still = _Still(standing, tag[kept], (x, y, z), *single)
        return self._still

    # -- photo-eyes --

    def _eye_events(
        self, start_s: float, end_s: float, here: list[tuple[int, Load]], walkers: list[Walker]
    ) -> list[tuple[int, int, bool]]:
        events: list[tuple[int, int, bool]] = []
        first, last = int(np.ceil(start_s / EYE_STEP_S)), int(np.ceil(end_s / EYE_STEP_S))
        times: Floats = np.arange(first, last).astype(np.float64) * EYE_STEP_S
        bodies = [(load.way, load.size_m[0] / 2, load.size_m[1] / 2) for _, load in here]
        bodies += [(walker.way, 0.25, 0.25) for walker in walkers]
        for eye in self._world.eyes:
            broken = np.zeros(len(times), dtype=bool)
            for way, half_m, half_width_m in bodies:
                x, y = way.at(times)
                is_there = (times >= way.starts_s) & (times <= way.ends_s)
                broken |= is_there & (np.abs(x - eye.x_m) <= half_m) & (np.abs(y) - half_width_m <= EYES_BETWEEN_M)
            before = np.concatenate([[self._eyes_broken[eye.port]], broken[:-1]])
            for row in np.nonzero(broken != before)[0]:
                at_us = self._world.starts_us + round(float(times[row]) * US)
                events.append((at_us, eye.port, bool(broken[row])))
            if len(broken):
                self._eyes_broken[eye.port] = bool(broken[-1])
        return sorted(events)


def _picked(values: Complexes, one: Integers, other: Integers, tag: Integers) -> Complexes:
    """values[one, other, tag]; of a grid (rows [S, 1], tags [1, n]) whole rows at a time, which is faster."""
    if one.ndim == 2:
        return np.asarray(values[one[:, 0], other[:, 0]][:, tag[0]])
    return np.asarray(values[one, other, tag])


def _places(load: Load, times: Floats, offset_m: Floats) -> tuple[Floats, Floats, Floats]:
    x, y = load.way.at(times)
    return x + offset_m[:, 0], y + offset_m[:, 1], offset_m[:, 2] + 0 * x


def _box(load: Load, x: Floats | float, y: Floats | float) -> Box:
    length, width, height = load.size_m
    return Box(
        (x - length / 2, y - width / 2, load.base_m),
        (x + length / 2, y + width / 2, load.base_m + height),
        load.material.loss_db_m,
        load.material.most_db,
    )


def _chance(margin_db: Floats) -> Floats:
    """Probability that what arrives `margin_db` above the sensitivity is understood."""
    return np.asarray(1 / (1 + np.exp(np.clip(-margin_db / SLOPE_DB, -60, 40))))
