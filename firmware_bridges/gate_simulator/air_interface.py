"""Who may answer, and when: EPC Class-1 Generation-2 inventory (GS1, "EPC UHF Gen2 Air Interface
Protocol", release 2.1; sections named in each docstring).

A reader visits one antenna for a dwell. Within it it runs rounds of slotted ALOHA: each tag that hears the
Query and whose inventoried flag is in the round's target draws one of 2^Q slots; a slot with one answer is a
read, one with several a collision (no capture: in truth the strongest of unequal ones sometimes wins), one
with none short. Backlog after a frame is taken as 2.39 answers a collision (Schoute, IEEE Trans.
Communications 31(4), 1983), which sets the next Q.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from firmware_bridges.gate_simulator.propagation import Floats, Integers

SCHOUTE: Final = 2.39  # answers in a collided slot, at the best load
MOST_Q: Final = 10
FOREVER_S: Final = 1e18
# A flag of session 2 or 3 holds while the tag is powered and 2 s or more beyond. Single target then reads a tag
# once a visit; we let it fall back after a minute, powered or not.
SESSION_2_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class LinkTiming:
    """How long things take on the air. Section 6.3.1 (Tari, rates), 6.3.1.6 (T1 … T3), 6.3.2.12 (commands).

    tari_us   length of the reader's data-0; a data-1 takes 1.75 of it
    blf_khz   backscatter link frequency
    miller    1 (FM0), 2, 4 or 8 sub-carrier cycles a bit
    """

    tari_us: float = 20.0
    blf_khz: float = 250.0
    miller: int = 4

    def _down_us(self, bits: int) -> float:
        return self.tari_us * (1 + 1.75) / 2 * bits + 12.5 + self.tari_us + 2.75 * self.tari_us  # frame-sync

    def _up_us(self, bits: int) -> float:
        preamble = 6 if self.miller == 1 else 10
        return (bits + preamble + 1) * self.miller * 1000 / self.blf_khz

    @property
    def _t1_us(self) -> float:
        return max(2.75 * self.tari_us, 10_000 / self.blf_khz)

    @property
    def _t2_us(self) -> float:
        return 10_000 / self.blf_khz

    @property
    def query_s(self) -> float:
        """Query: 22 bits, once a frame."""
        return self._down_us(22) * 1e-6

    @property
    def empty_s(self) -> float:
        """QueryRep (4 bits) and nobody answers: T1 + T3."""
        return (self._down_us(4) + 2 * self._t1_us) * 1e-6

    @property
    def collision_s(self) -> float:
        """QueryRep, garbled RN16."""
        return (self._down_us(4) + self._t1_us + self._up_us(16) + self._t2_us) * 1e-6

    @property
    def read_s(self) -> float:
        """QueryRep, RN16, ACK (18 bits), PC + 96-bit EPC + CRC (128 bits)."""
        answers_us = self._up_us(16) + self._up_us(128)
        return (self._down_us(4) + self._down_us(18) + answers_us + 2 * self._t1_us + 2 * self._t2_us) * 1e-6


@dataclass(frozen=True, slots=True)
class Inventory:
    """How the reader takes stock. Section 6.3.2.2 (sessions and flags) and table 6.20 (persistence).

    session   0: flags fall back when the field goes, i.e. at each change of antenna; 1: after 0.5 … 5 s,
              powered or not; 2: 2 s or more after the field went, never while powered
    target    single: only flag A is asked; dual: A and B in turn
    first_q   of the very first frame; a visit of an antenna begins with what its last one found, as readers do
    """

    session: Literal[0, 1, 2] = 0
    target: Literal["single", "dual"] = "single"
    first_q: int = 4
    timing: LinkTiming = LinkTiming()


@dataclass(frozen=True, slots=True)
class Dwells:
    """The visits of a stretch of time: starts_s, ends_s, antenna (0-based), channel (0-based), each [J]."""

    starts_s: Floats
    ends_s: Floats
    antenna: Integers
    channel: Integers


def singulate(counts: Integers) -> tuple[int, int, int]:
    """(empty, read, collided) slots of a frame whose slots got `counts` answers."""
    return int((counts == 0).sum()), int((counts == 1).sum()), int((counts > 1).sum())


class Rounds:
    """The state of all tags' inventoried flags, and the rounds that change them."""

    def __init__(self, inventory: Inventory, persistence_s: Floats, random: np.random.Generator) -> None:
        self._how = inventory
        self._persistence_s = persistence_s  # [N], session 1
        self._b_until_s = np.full(len(persistence_s), -FOREVER_S)
        self._random = random
        self._draws: npt.NDArray[np.int64] = np.empty(0, np.int64)
        self._next = 0
        self._first_q: dict[int, int] = {}  # antenna → what its next visit begins with
        timing = inventory.timing
        self._slot_s = np.array([timing.empty_s, timing.read_s, timing.collision_s])
        self._query_s = timing.query_s
        self._least_s = timing.query_s + timing.empty_s

    def run(
        self, dwells: Dwells, rows_per_dwell: int, lit: npt.NDArray[np.bool_], tags: Integers
    ) -> tuple[Floats, Integers, Integers]:
        """(times_s, tag, dwell) of all reads.

        lit   [J × rows_per_dwell, n]: who hears the reader and is heard in that part of a dwell
        tags  [n]: the number of each column's tag among all
        """
        row_of, column = np.nonzero(lit)
        heard = tags[column]
        offsets = np.searchsorted(row_of, np.arange(len(lit) + 1))
        bounds = offsets.tolist()
        times: list[Floats] = []
        read: list[Integers] = []
        where: list[int] = []
        counts: list[int] = []
        starts, ends, antennas = dwells.starts_s.tolist(), dwells.ends_s.tolist(), dwells.antenna.tolist()
        for dwell in range(len(starts)):
            first = dwell * rows_per_dwell
            if bounds[first] == bounds[first + rows_per_dwell]:
                continue
            groups = [heard[bounds[r] : bounds[r + 1]] for r in range(first, first + rows_per_dwell)]
            before = len(times)
            self._dwell(starts[dwell], ends[dwell], antennas[dwell], groups, times, read)
            for part in times[before:]:
                where.append(dwell)
                counts.append(len(part))
        if not times:
            return np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64)
        return np.concatenate(times), np.concatenate(read), np.repeat(np.array(where), np.array(counts))

    def _dwell(
        self,
        start_s: float,
        end_s: float,
        antenna: int,
        groups: Sequence[Integers],
        times: list[Floats],
        read: list[Integers],
    ) -> None:
        """One visit of one antenna; who can answer changes from part to part of it."""
        now_s, q, wants_a = start_s, self._first_q.get(antenna, self._how.first_q), True
        is_first = True
        is_dual = self._how.target == "dual"
        part_s = (end_s - start_s) / len(groups)
        idle = 0
        while now_s + self._least_s < end_s:
            part = min(int((now_s - start_s) / part_s), len(groups) - 1)
            group = groups[part]
            flags = self._b_until_s[group]
            answering = group[(flags <= now_s) == wants_a]
            if not len(answering):
                if is_dual and idle == 0 and len(group):
                    wants_a, idle = not wants_a, 1
                    now_s += self._least_s
                    continue
                # Nobody will answer before the field, or a flag, changes: rounds of one empty slot.
                now_s = max(start_s + (part + 1) * part_s, now_s + self._least_s)
                idle = 0
                continue
            idle = 0
            now_s, q, answers = self._frame(now_s, end_s, q, answering, wants_a, times, read)
            if is_first:
                self._first_q[antenna] = min(MOST_Q, round(float(np.log2(max(answers, 1.0)))))
                is_first = False

    def _frame(
        self,
        now_s: float,
        end_s: float,
        q: int,
        answering: Integers,
        wants_a: bool,
        times: list[Floats],
        read: list[Integers],
    ) -> tuple[float, int, float]:
        """One frame of 2^q slots from `now_s`; the time after it, the next q, and how many it seems answered."""
        slots = self._draw(len(answering)) & ((1 << q) - 1)
        counts = np.bincount(slots, minlength=1 << q)
        ends_s = now_s + self._query_s + np.cumsum(self._slot_s[np.minimum(counts, 2)])
        alone = counts[slots] == 1
        who, at_s = answering[alone], ends_s[slots[alone]]
        if ends_s[-1] > end_s:
            in_time = at_s <= end_s
            who, at_s = who[in_time], at_s[in_time]
        if len(who):
            times.append(at_s)
            read.append(who)
            self._flip(who, at_s, end_s, wants_a)
        backlog = SCHOUTE * int(np.count_nonzero(counts > 1))
        if backlog < 1:
            next_q = max(0, q - 1)
        else:
            next_q = min(MOST_Q, max(1, round(float(np.log2(backlog)))))
        return float(ends_s[-1]), next_q, backlog + int(np.count_nonzero(counts == 1))

    def _flip(self, who: Integers, at_s: Floats, end_s: float, was_a: bool) -> None:
        if not was_a:
            self._b_until_s[who] = -FOREVER_S
        elif self._how.session == 0:
            self._b_until_s[who] = end_s - 1e-6  # a little early: the next visit may begin a rounding error sooner
        elif self._how.session == 1:
            self._b_until_s[who] = at_s + self._persistence_s[who]
        else:
            self._b_until_s[who] = at_s + SESSION_2_S

    def _draw(self, many: int) -> Integers:
        if self._next + many > len(self._draws):
            self._draws = self._random.integers(0, 1 << 30, max(1 << 14, many), dtype=np.int64)
            self._next = 0
        drawn = self._draws[self._next : self._next + many]
        self._next += many
        return drawn
