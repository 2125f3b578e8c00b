"""A gate from LLRP bytes to passages: reads a second on one core, how soon a decision falls, memory of a parked tag.

The reads are those that the virtual reader makes of a busy dock: a pallet of thirty tags every other second,
in or out in turn, past forty that are parked in view. No reader reports so many as are measured here; what is
left over is room for a gateway with several readers on a small machine. Time is that of the processor, all threads
together: what else the machine does while it is measured is no part of it.
"""

import asyncio
import gc
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge.devices.portal import Portal, PortalSettings, decode
from edge.devices.reader_clock import Arrival, ReaderClock
from edge.devices.tag_reports import TagReports
from edge.gate_watch import READS_AT_ONCE, GateWatch
from edge.readings import Passage, Sighting, TagRead
from edge.recognition.gate import US, GateSettings
from edge.recognition.gate_recognition import GateRecognition
from firmware_bridges.virtual_reader import messages
from firmware_bridges.virtual_reader.messages import Content, ReportContent, TagReportWriter
from firmware_bridges.virtual_reader.play import Play
from firmware_bridges.virtual_reader.reader import ReaderSettings, VirtualReader
from firmware_bridges.virtual_reader.scenario import Pallet, Scenario, made_up_goods, sightings
from protocols.llrp import FrameSplitter
from tests.benchmarks.figure import Figure

READS_LIMIT = 20_000  # a second, on one core
DECISION_LIMIT_MS = 250  # after the hold
NOW_US = 1_790_000_000_000_000
GATE = GateSettings("dock-1", inside=frozenset({3, 4}), outside=frozenset({1, 2}))
ANTENNAS = (1, 2, 3, 4)
RECEIVED_BYTES = 4096  # what sllurp takes from its socket at once

# What a portal asks of an Impinj reader for each read, with phase and RSSI in hundredths beside it.
ASKED_FOR = (
    Content.ANTENNA_ID
    | Content.CHANNEL_INDEX
    | Content.PEAK_RSSI
    | Content.FIRST_SEEN
    | Content.LAST_SEEN
    | Content.TAG_SEEN_COUNT
)

BUSY_S = 60.0
PALLET_TAGS = 30
PARKED_TAGS = 40

TRUE_PACE_S = 30.0  # of the scenario that is played at the true pace, for decisions

PARKED = 100_000
READS_OF_A_PARKED_TAG = 6
ROUND_US = 5 * US // 2  # in which each parked tag is read once: less than the hold, so that none is done with
PARKED_ANTENNAS = ((1, 2), (3, 4))  # of one side each: goods stand on one side of the gate


def measure_gate() -> list[Figure]:
    """Reads, decisions, memory."""
    limit = "the limit"
    decisions = asyncio.run(_decisions())
    after_hold_ms = [one.after_hold_ms for one in decisions]
    on_the_way_ms = [one.on_the_way_ms for one in decisions]
    return [
        Figure("gate, a report for each read", _reads_per_s(1), "reads/s", limit, READS_LIMIT),
        Figure("gate, 32 reads a report", _reads_per_s(32), "reads/s", limit, READS_LIMIT),
        Figure("gate, recognition alone", _recognised_per_s(), "reads/s", limit, READS_LIMIT),
        Figure(
            "gate, decision after the hold, p50", _percentile(after_hold_ms, 50), "ms", limit, DECISION_LIMIT_MS
        ),
        Figure(
            "gate, decision after the hold, p99", _percentile(after_hold_ms, 99), "ms", limit, DECISION_LIMIT_MS
        ),
        Figure("gate, its way through the gateway, p99", _percentile(on_the_way_ms, 99), "ms"),
        Figure("gate, a parked tag of 100,000", _bytes_per_parked_tag(), "bytes"),
    ]


def busy_dock(ends_at_s: float) -> Scenario:
    """A pallet every other second, in and out in turn, past parked goods on both sides."""
    moving = tuple(
        Pallet(f"P{number}", "in" if number % 2 else "out", 2.0 + 2.0 * number, 1.6, PALLET_TAGS)
        for number in range(int((ends_at_s - 3.0) / 2.0))
    )
    parked = (
        Pallet("S1", "parked", tags=PARKED_TAGS // 2, stands_at_m=(2.0, 2.5)),
        Pallet("S2", "parked", tags=PARKED_TAGS // 2, stands_at_m=(-2.0, -2.5)),
    )
    return Scenario("A busy dock", ends_at_s, moving + parked)


def _reports(tags_per_report: int) -> bytes:
    """What a portal hears of the busy dock: RO_ACCESS_REPORTs with phase and fine RSSI, one after the other."""
    scenario = busy_dock(BUSY_S)
    writer = TagReportWriter(1, ReportContent(selector=ASKED_FOR, phase=True, fine_rssi=True))
    tags = [writer.write(seen, NOW_US + seen.at_us) for seen in sightings(scenario, made_up_goods(scenario))]
    return b"".join(
        messages.ro_access_report(number, tags[start : start + tags_per_report])
        for number, start in enumerate(range(0, len(tags), tags_per_report), 1)
    )


def _heard(stream: bytes) -> Iterator[list[TagRead]]:
    """The reads of each report, on the portal's own way: cut, decoded by sllurp, checked, dated."""
    clock = ReaderClock()
    arrival = Arrival(NOW_US, 0)
    clock.connected(NOW_US, arrival)
    reports = TagReports("portal dock", ANTENNAS, clock)
    splitter = FrameSplitter()
    for start in range(0, len(stream), RECEIVED_BYTES):
        for whole in splitter.feed(stream[start : start + RECEIVED_BYTES]):
            yield reports.read(decode(whole).msgdict["RO_ACCESS_REPORT"]["TagReportData"], arrival)


def _reads_per_s(tags_per_report: int) -> float:
    """From bytes to passages, in one thread."""
    stream = _reports(tags_per_report)
    recognition = GateRecognition(GATE)
    passages: list[Passage] = []
    reads = 0
    waiting: list[Sighting] = []
    gc.collect()
    began_s = time.process_time()
    for some in _heard(stream):
        reads += len(some)
        waiting += some
        if len(waiting) >= READS_AT_ONCE:
            passages += recognition.feed(waiting)
            waiting = []
    passages += recognition.feed(waiting)
    passages += recognition.flush()
    took_s = time.process_time() - began_s
    _check(passages, reads)
    return reads / took_s


def _recognised_per_s() -> float:
    reads = [read for some in _heard(_reports(32)) for read in some]
    recognition = GateRecognition(GATE)
    gc.collect()
    began_s = time.process_time()
    passages = [
        passage
        for start in range(0, len(reads), READS_AT_ONCE)
        for passage in recognition.feed(reads[start : start + READS_AT_ONCE])
    ]
    passages += recognition.flush()
    took_s = time.process_time() - began_s
    _check(passages, len(reads))
    return len(reads) / took_s


def _check(passages: list[Passage], reads: int) -> None:
    """A figure of a gate that sees nothing would be worth nothing."""
    moved = sum(pallet.tags for pallet in busy_dock(BUSY_S).pallets if not pallet.is_parked)
    crossed = sum(passage.direction.value in ("in", "out") for passage in passages)
    if crossed < moved * 0.5 or reads < 20_000:
        raise AssertionError(
            f"expected most of {moved} crossings of 20,000 reads or more, got {crossed} of {reads}"
        )


# ── how soon a decision falls ─────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Decision:
    """When a crossing was handed over to the log, in milliseconds.

    after_hold_ms  since its last read and the hold; below zero where it was decided before that
    on_the_way_ms  since the instant, by the time at the gate, at which recognition had it fall
    """

    after_hold_ms: float
    on_the_way_ms: float


def _percentile(values: list[float], percent: int) -> float:
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]


async def _decisions() -> list[Decision]:
    """Reader, TCP, portal, watch, at the true pace."""
    scenario = busy_dock(TRUE_PACE_S)
    decisions: list[Decision] = []

    def hand_over(passages: list[Passage]) -> None:
        now_us = time.time_ns() // 1000
        decisions.extend(
            Decision(
                (now_us - passage.last_seen_us - GATE.hold_us) / 1000,
                (now_us - passage.evidence.decided_at_us) / 1000,
            )
            for passage in passages
            if passage.direction.value in ("in", "out")
        )

    play = Play(sightings(scenario, made_up_goods(scenario)))
    async with VirtualReader(play, ReaderSettings(port=0)) as reader:
        host, port = reader.address
        portal = Portal(PortalSettings("dock", host, port, antennas=ANTENNAS))
        watch = GateWatch(portal, GATE, hand_over, lambda _: None)
        tasks = [asyncio.create_task(portal.run()), asyncio.create_task(watch.run())]
        try:
            await asyncio.sleep(TRUE_PACE_S + GATE.hold_s + 2.0)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    if len(decisions) < 100:
        raise AssertionError(f"expected 100 decisions or more, got {len(decisions)}")
    return decisions


# ── memory of what stands in the field ────────────────────────────────────────────────────────────


def _bytes_per_parked_tag() -> float:
    """Measured in a process of its own: what this one has freed before would hide it."""
    told = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.gate"], check=True, capture_output=True, text=True
    )
    return float(told.stdout)


def _park() -> float:
    settings = GateSettings("dock-1", inside=GATE.inside, outside=GATE.outside, most_tags=PARKED)
    recognition = GateRecognition(settings)
    epcs = [f"E280{number:020X}" for number in range(PARKED)]
    gc.collect()
    before = _resident_bytes()
    tags = list(zip(epcs, itertools.cycle(PARKED_ANTENNAS), strict=False))
    for turn in range(READS_OF_A_PARKED_TAG):
        for start in range(0, PARKED, READS_AT_ONCE):
            at_us = NOW_US + turn * ROUND_US + start * ROUND_US // PARKED
            recognition.feed(
                [
                    TagRead(epc, antennas[turn % 2], -60.0 - turn % 3, at_us)
                    for epc, antennas in tags[start : start + READS_AT_ONCE]
                ]
            )
    if recognition.tags_in_view < PARKED * 0.99:
        raise AssertionError(f"expected {PARKED} tags in view, got {recognition.tags_in_view}")
    return (_resident_bytes() - before) / PARKED


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    print(_park())
