"""From sllurp's decoded reports to TagReads: the door at which a reader's words are checked.

In: TagReportData as sllurp 3.0.5 decodes them (dicts), the time they arrived. Out: TagReads, in the order
of the report. What is no usable read is counted by what is wrong with it, and named in the log once per
kind and connection; it never costs its neighbours. Memory that is no EPC (`E280…`, as factories leave
it) is passed on: a tag is a tag, and what it means is decided where tags are known.
"""

import logging
import math
from binascii import hexlify
from collections.abc import Iterable, Mapping
from typing import Any, Self

from edge.devices.reader_clock import Arrival, ReaderClock
from edge.readings import TagRead

log = logging.getLogger(__name__)

# EPC memory is made of 16-bit words, at most 31 of them (Gen2 air interface, StoredPC length bits).
EPC_WORD_BITS = 16
EPC_BITS_MAX = 31 * EPC_WORD_BITS
# A passive tag is heard from about -92 dBm (the best receivers) to -10 dBm (on the antenna); beyond these
# the number is no signal, and one such read would outweigh all others where reads are weighted by power.
RSSI_LEAST_DBM = -110.0
RSSI_MOST_DBM = 0.0
PHASE_STEPS = 4096  # of a turn, in ImpinjRFPhaseAngle

EMPTY_EPC = "empty_epc"  # no EPC at all: memory of a blank tag, or a reader that was not told to report it
WRONG_EPC = "wrong_epc"  # not of whole words, too long, or not as long as it says
RSSI_OUT_OF_RANGE = "rssi_out_of_range"
UNKNOWN_ANTENNA = "unknown_antenna"
UNDATED = "undated"  # used all the same; counted by the clock


class EpcData(bytes):
    """Hex digits of an EPCData parameter (section 16.2.7.3.1), as sllurp gives them, and its own `bits`."""

    bits: int

    def __new__(cls, body: bytes) -> Self:
        """From the parameter's body: the number of bits, and the bytes that hold them."""
        made = super().__new__(cls, hexlify(body[2:]))
        made.bits = int.from_bytes(body[:2], "big")
        return made


class TagReports:
    """Reads reports of one reader; used by one thread."""

    def __init__(self, device: str, antennas: Iterable[int], clock: ReaderClock) -> None:
        self._device = device
        self._antennas = frozenset(antennas)
        self._clock = clock
        self._named: set[str] = set()
        self.counts = dict.fromkeys((EMPTY_EPC, WRONG_EPC, RSSI_OUT_OF_RANGE, UNKNOWN_ANTENNA), 0)

    def forget_named(self) -> None:
        """A new connection: each kind of fault is worth a line again."""
        self._named.clear()

    def read(self, tags: Iterable[Mapping[str, Any]], arrival: Arrival) -> list[TagRead]:
        """The usable reads of one report."""
        clock = self._clock
        undated_before = clock.without_time + clock.wrong_time
        reads = []
        for tag in tags:
            fault = self._fault(tag)
            if fault is None:
                reads.append(self._tag_read(tag, arrival))
            else:
                self.counts[fault[0]] += 1
                self._name(*fault)
        if clock.without_time + clock.wrong_time > undated_before:
            self._name(
                UNDATED,
                f"{clock.without_time} reads had no time and {clock.wrong_time} one that cannot be; "
                f"they are dated by their arrival",
            )
        return reads

    def _fault(self, tag: Mapping[str, Any]) -> tuple[str, str] | None:
        """What makes this tag no usable read, and why; None when nothing does."""
        digits: bytes = tag.get("EPC", b"")
        bits = digits.bits if isinstance(digits, EpcData) else 4 * len(digits)
        if bits == 0 and not digits:
            return EMPTY_EPC, f"antenna {tag.get('AntennaID')}: expected 1 to 31 words of 16 bits, got 0 bits"
        if bits == 0 or bits % EPC_WORD_BITS or bits > EPC_BITS_MAX or bits != 4 * len(digits):
            return WRONG_EPC, f"expected 1 to 31 words of 16 bits, got {bits} bits in {bytes(digits)!r:.140}"
        antenna = tag.get("AntennaID")
        if antenna not in self._antennas:
            return UNKNOWN_ANTENNA, f"{digits!r}: expected antenna {sorted(self._antennas)}, got {antenna}"
        rssi_dbm = _rssi_dbm(tag)
        if rssi_dbm is None or not RSSI_LEAST_DBM <= rssi_dbm <= RSSI_MOST_DBM:
            return (
                RSSI_OUT_OF_RANGE,
                f"{digits!r}: expected {RSSI_LEAST_DBM:g} to {RSSI_MOST_DBM:g} dBm, got {rssi_dbm}",
            )
        return None

    def _tag_read(self, tag: Mapping[str, Any], arrival: Arrival) -> TagRead:
        phase = tag.get("ImpinjRFPhaseAngle")
        rssi_dbm = _rssi_dbm(tag)
        assert rssi_dbm is not None  # noqa: S101  _fault has looked
        return TagRead(
            tag["EPC"].decode("ascii").upper(),
            tag["AntennaID"],
            rssi_dbm,
            self._clock.seen_at_us(_stamp_us(tag), arrival),
            None if phase is None else phase % PHASE_STEPS * math.tau / PHASE_STEPS,
            tag.get("ChannelIndex"),
        )

    def _name(self, kind: str, why: str) -> None:
        if kind not in self._named:
            self._named.add(kind)
            log.warning("%s: %s, more like it are only counted: %s", self._device, kind, why)


def _rssi_dbm(tag: Mapping[str, Any]) -> float | None:
    """Hundredths of a dB where the reader was asked for them, else whole dBm."""
    fine = tag.get("ImpinjPeakRSSI")
    if fine is not None:
        return float(fine) / 100
    whole = tag.get("PeakRSSI")
    return None if whole is None else float(whole)


def _stamp_us(tag: Mapping[str, Any]) -> int | None:
    """The middle of first and last sighting where a report sums up several, UTC before uptime."""
    first = tag.get("FirstSeenTimestampUTC")
    last = tag.get("LastSeenTimestampUTC")
    if first is None and last is None:
        first = tag.get("FirstSeenTimestampUptime")
        last = tag.get("LastSeenTimestampUptime")
    if first is None or last is None:
        return first if last is None else last
    return first if first == last else (first + last) // 2
