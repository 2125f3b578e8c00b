"""How long tags are silent in the middle of a visit, and what gap time (hold) that suggests.

A gate takes a visit as over when its tag has been silent for the hold. Too short a hold cuts one passage into several,
too long a one delays every verdict. Where events tell when a visit was, the silences within it are known. Where only
lists of tags do, silences fall into two heaps: short ones within visits, long ones between them; what separates them
is the emptiest place between the heaps.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import ceil

import numpy as np
import numpy.typing as npt

from edge.gate_desk.labels import Event
from edge.gate_desk.recording import US, Recording

WHOLE = 95.0  # per cent of the visits that the suggested hold leaves in one piece
FEWEST = 20  # visits below which nothing is suggested
BINS_PER_DECADE = 10  # of silences' logarithms
SHORTEST_S, LONGEST_S = 0.1, 3600.0  # where it is looked for; shorter silences are those within a round
DEEP = 0.5  # the valley must be at least this much lower than the lower heap

Seconds = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]  # microseconds


@dataclass(frozen=True, slots=True)
class Silences:
    """The silences within visits.

    visits      how many visits they are of
    silences    how many there are
    median_s, p95_s, p99_s, longest_s  of them
    between_s   what separates silences within visits from those between them; None: told by events, or only one heap
    suggested_s the hold that leaves WHOLE per cent of the visits in one piece; None: too few visits to say
    cut         share of the visits that hold: hold in seconds → share with a longer silence in them
    """

    visits: int
    silences: int
    median_s: float | None
    p95_s: float | None
    p99_s: float | None
    longest_s: float | None
    between_s: float | None
    suggested_s: float | None
    cut: dict[float, float]


def within_events(recordings: Iterable[tuple[Recording, tuple[Event, ...]]], hold_s: float) -> Silences:
    """The silences between the first and the last read of each event."""
    silences = [
        np.diff(times_us) / US
        for recording, events in recordings
        for times_us in times_of(recording, events)
        if len(times_us) > 1
    ]
    return _summed(silences, None, hold_s)


def of_tags(recordings: Iterable[tuple[Recording, frozenset[str]]], hold_s: float) -> Silences:
    """The silences of the tags' visits, when nobody told when they were."""
    by_tag = [
        np.diff(times_us) / US
        for recording, epcs in recordings
        for epc, times_us in times_by_tag(recording).items()
        if epc in epcs
    ]
    between_s = _between(np.concatenate(by_tag)) if by_tag else None
    visits = [visit for silences in by_tag for visit in _visits(silences, between_s) if len(visit)]
    return _summed(visits, between_s, hold_s)


def times_by_tag(recording: Recording) -> dict[str, Times]:
    """The times of each tag's reads, ascending."""
    order = np.lexsort((recording.times_us, recording.tags))
    bounds = np.searchsorted(recording.tags[order], np.arange(len(recording.epcs) + 1)).tolist()
    times_us = recording.times_us[order]
    return {epc: times_us[bounds[tag] : bounds[tag + 1]] for tag, epc in enumerate(recording.epcs)}


def times_of(recording: Recording, events: Iterable[Event]) -> Iterator[Times]:
    """The times of the tag's reads within each event, in the events' order."""
    by_tag, nothing = times_by_tag(recording), np.zeros(0, dtype=np.int64)
    for event in events:
        own = by_tag.get(event.epc, nothing)
        yield own[np.searchsorted(own, event.from_us) : np.searchsorted(own, event.to_us, side="right")]


def _visits(silences: Seconds, between_s: float | None) -> list[Seconds]:
    if between_s is None:
        return [silences]
    return [part[part <= between_s] for part in np.split(silences, np.flatnonzero(silences > between_s))]


def _between(silences: Seconds) -> float | None:
    """The emptiest place between the two heaps of silences, on a logarithmic scale; None when there is one heap."""
    edges = np.arange(np.log10(SHORTEST_S), np.log10(LONGEST_S), 1 / BINS_PER_DECADE)
    counts, _ = np.histogram(np.log10(np.clip(silences, 1e-6, LONGEST_S / 2)), edges)
    smooth = np.convolve(counts, (0.25, 0.5, 0.25), mode="same")
    best: tuple[float, list[int]] = (0.0, [])
    for place in range(1, len(smooth) - 1):
        lower_heap = min(smooth[:place].max(), smooth[place + 1 :].max())
        depth = float(lower_heap - smooth[place])
        if lower_heap > 0 and smooth[place] <= (1 - DEEP) * lower_heap and depth >= best[0]:
            best = (depth, [*best[1], place] if depth == best[0] else [place])
    if not best[1]:
        return None
    middle = best[1][len(best[1]) // 2]
    return float(10 ** ((edges[middle] + edges[middle + 1]) / 2))


def _summed(visits: list[Seconds], between_s: float | None, hold_s: float) -> Silences:
    longest = np.array([silences.max() for silences in visits])
    every = np.concatenate(visits) if visits else np.zeros(0)
    if not len(every):
        return Silences(0, 0, None, None, None, None, between_s, None, {})
    median_s, p95_s, p99_s = np.percentile(every, (50, 95, 99)).tolist()
    suggested_s = (
        ceil(float(np.percentile(longest, WHOLE, method="higher")) * 10) / 10 if len(visits) >= FEWEST else None
    )
    holds = sorted({hold_s} | ({suggested_s} if suggested_s is not None else set()))
    cut = {hold: float(np.mean(longest > hold)) for hold in holds}
    return Silences(
        len(visits), len(every), median_s, p95_s, p99_s, float(every.max()), between_s, suggested_s, cut
    )
