"""Readings: what a device measured over a short span, as statistics of each quantity.

Signals, so floats; never stock or money.

A reading says how many samples there were, their sum, the lowest and the highest, so that minutes and hours are made
of seconds without loss but of the order within. Quantities have their unit last, as everywhere.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from protocols.wire.readings import GateReadings

READS = "reads"  # of tags, in the span: the sum of a minute's is what was read in it
TAGS = "tags"  # different ones in the span: the mean of a minute's is how full the gate's field was
RSSI_DBM = "rssi_dbm"  # the strongest sighting of each tag
SHED = "shed"  # reads dropped under overload; said only where there were any

SOURCE_MAX = 64  # characters of a gate's code
# As for movements (docs/postings.md "Times and order"): what is claimed further ahead of its receipt is a wrong clock.
CLOCK_AHEAD_US = 5 * 60 * 1_000_000


@dataclass(frozen=True, slots=True)
class Statistics:
    """Of one quantity in one span: samples ≥ 1, and lowest ≤ total / samples ≤ highest."""

    samples: int
    total: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Statistics | None":
        """None where there is nothing, or something that is no number."""
        found = list(values)
        if not found or not all(map(math.isfinite, found)):
            return None
        return cls(len(found), float(sum(found)), float(min(found)), float(max(found)))


def measured_us(to_us: int, received_us: int) -> int:
    """When it was measured: as the device says, or when it came where that lies too far ahead. µs since 1970 UTC."""
    return received_us if to_us > received_us + CLOCK_AHEAD_US else to_us


def of_gate(summary: GateReadings) -> dict[str, Statistics]:
    """The quantities of a gate's summary."""
    found = {
        READS: Statistics.of([summary.reads]),
        TAGS: Statistics.of([sum(1 for tag in summary.tags if tag.reads) + _not_listed(summary)]),
        RSSI_DBM: Statistics.of([tag.peak_rssi_dbm for tag in summary.tags if tag.reads]),
        SHED: Statistics.of([summary.shed] if summary.shed else []),
    }
    return {quantity: statistics for quantity, statistics in found.items() if statistics is not None}


def _not_listed(summary: GateReadings) -> int:
    """Tags beyond those that a summary shows; those that only wait for their verdict stand in front and are listed."""
    return max(0, summary.tags_total - len(summary.tags))
