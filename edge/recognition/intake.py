"""What a gate takes: sightings, each packed into a number triple or refused, counted and named.

A reader says strange things now and then: an antenna that belongs to no side, a signal that no tag has, memory
that is empty. None of it costs its neighbours; the first of each kind is kept in words (`faults`).
"""

from dataclasses import dataclass
from math import isfinite
from typing import Final

from edge.readings import EyeChange, Sighting, TagRead
from edge.recognition.columns import RSSI_LEAST_DBM, RSSI_MOST_DBM, antenna_codes, pack
from edge.recognition.gate import GateSettings

EYE: Final = ""  # stands for the EPC where a change of a photo-eye waits among the reads

Waiting = tuple[int, str, int]  # time, EPC, signal; or time, EYE, port and whether it is broken


@dataclass(slots=True)
class RecognitionCounters:
    """What happened to reads, since the program's start.

    unknown_antenna    of an antenna that belongs to no side of this gate
    unknown_eye        changes of a GPI port that no photo-eye is wired to
    unreadable         with a signal strength that is no number
    rssi_out_of_range  with a signal strength that no tag has
    wrong_epc          without EPC memory, or with an odd number of hex digits
    out_of_order       older than the newest, within tolerance: no effect
    stepped_back       times the clock went back by more than the tolerance
    replayed           of visits already decided
    thinned            beyond the most reads kept of one visit
    shed               of tags beyond the most known
    stayed             visits that say `stayed` (they are not logged)
    repeated           verdicts not told again while a tag stood in the gate or lingered beside it
    by_group, by_anchor, by_eye  crossings that the tag alone would not have decided
    eye_contradicted   crossings that several tags were sure of and no photo-eye saw
    """

    unknown_antenna: int = 0
    unknown_eye: int = 0
    unreadable: int = 0
    rssi_out_of_range: int = 0
    wrong_epc: int = 0
    out_of_order: int = 0
    stepped_back: int = 0
    replayed: int = 0
    thinned: int = 0
    shed: int = 0
    stayed: int = 0
    repeated: int = 0
    by_group: int = 0
    by_anchor: int = 0
    by_eye: int = 0
    eye_contradicted: int = 0


class Intake:
    """One gate's. `counters` is shared with who decides; `faults` is counter → the first sighting it counted."""

    def __init__(self, settings: GateSettings) -> None:
        self._gate = settings
        self._codes = antenna_codes(settings.inside, settings.outside)
        self.counters = RecognitionCounters()
        self.faults: dict[str, str] = {}

    def taken(self, sighting: Sighting) -> Waiting | None:
        """The sighting as it waits, or None when it is no use; that is counted, and the first is named."""
        if isinstance(sighting, EyeChange):
            if sighting.port in self._gate.eyes:
                return sighting.seen_at_us, EYE, sighting.port << 1 | sighting.is_broken
            self.counters.unknown_eye += 1
            self._name("unknown_eye", f"expected port {sorted(self._gate.eyes)}, got {sighting.port}")
            return None
        code = self._codes.get(sighting.antenna)
        if code is None:
            self.counters.unknown_antenna += 1
            self._name(
                "unknown_antenna",
                f"{sighting.epc}: expected antenna {sorted(self._codes)}, got {sighting.antenna}",
            )
            return None
        rssi_dbm = sighting.rssi_dbm
        if not RSSI_LEAST_DBM <= rssi_dbm <= RSSI_MOST_DBM:
            self._name_signal(sighting)
            return None
        epc = sighting.epc
        if not epc or len(epc) % 2:
            self.counters.wrong_epc += 1
            self._name("wrong_epc", f"expected an even number of hex digits, got {epc!r:.80}")
            return None
        return sighting.seen_at_us, epc, pack(code, rssi_dbm, sighting.phase_rad, sighting.channel)

    def _name_signal(self, read: TagRead) -> None:
        if isfinite(read.rssi_dbm):
            self.counters.rssi_out_of_range += 1
            self._name(
                "rssi_out_of_range",
                f"{read.epc}: expected {RSSI_LEAST_DBM:g} to {RSSI_MOST_DBM:g} dBm, got {read.rssi_dbm:g}",
            )
        else:
            self.counters.unreadable += 1
            self._name("unreadable", f"{read.epc}: expected a number of dBm, got {read.rssi_dbm}")

    def _name(self, counter: str, words: str) -> None:
        self.faults.setdefault(counter, words)
