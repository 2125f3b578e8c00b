"""Goods that stand beside the gate for many hours while others pass: how often stock would move that did not."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from edge.readings import Passage
from edge.recognition.gate_recognition import GateRecognition
from firmware_bridges.gate_simulator import scenarios
from firmware_bridges.gate_simulator.simulation import stream
from tests.gate_report.replaying import gate, sightings_of
from tests.gate_report.tables import rate, share, table


@dataclass(frozen=True, slots=True)
class Field:
    """A field of parked goods, and what goes on around it."""

    title: str
    tags: int
    hours: float
    seed: int
    reader: str
    passes_an_hour: float
    people_an_hour: float


# 10,050 tag-hours: a large store at a reader whose power is turned down, as one would set it there, and fewer goods at
# readers that read all the time.
FIELDS = (
    Field("store beside a sparse reader of low power", 1000, 9.6, 501, "low", 12.0, 60.0),
    Field("busy dock, dense reader", 300, 1.0, 502, "dense", 20.0, 120.0),
    Field("quiet night, dense reader", 150, 1.0, 503, "dense", 0.0, 6.0),
)


@dataclass(frozen=True, slots=True)
class Stood:
    """What became of one field.

    heard_hours  tag-hours of those tags that were read at all
    passed       tags that went through the field meanwhile; passed_right of them were told right
    passed_reads how often each of them was read on average
    """

    field: Field
    tag_hours: float
    heard_hours: float
    reads: int
    crossings: list[Passage]
    others: Counter[str]
    passed: int
    passed_right: int
    passed_reads: float


def stand(field: Field, share_of: float = 1.0) -> Stood:
    """Simulate and recognise it, stretch by stretch."""
    hours = field.hours * share_of
    world = scenarios.parked(
        field.seed,
        tags=field.tags,
        hours=hours,
        reader=scenarios.READERS[field.reader],
        people_an_hour=field.people_an_hour,
        passes_an_hour=field.passes_an_hour,
    )
    recognition = GateRecognition(gate())
    passages: list[Passage] = []
    reads = np.zeros(world.tags, dtype=np.int64)
    for part in stream(world, field.seed):
        epcs, truths = part.epcs, part.truths
        reads += np.bincount(part.tag, minlength=world.tags)
        passages += recognition.feed(sightings_of(part))
    passages += recognition.flush()
    standing = [truth.tag for truth in truths if truth.truth == "stayed"]
    passing = {epcs[truth.tag]: truth.truth for truth in truths if truth.truth != "stayed"}
    own = [passage for passage in passages if passage.epc not in passing]
    right = {p.epc for p in passages if p.epc in passing and p.direction == passing[p.epc]}
    return Stood(
        field,
        len(standing) * hours,
        int((reads[standing] > 0).sum()) * hours,
        int(reads.sum()),
        [passage for passage in own if passage.direction in ("in", "out")],
        Counter(passage.direction.value for passage in own),
        len(passing),
        len(right),
        float(reads[[truth.tag for truth in truths if truth.truth != "stayed"]].mean()) if passing else 0.0,
    )


def standing_table(stood: list[Stood]) -> str:
    """One row a field, and all together."""
    rows: list[list[object]] = [
        [
            one.field.title,
            one.field.seed,
            f"{one.tag_hours:,.0f}",
            f"{one.heard_hours:,.0f}",
            f"{one.reads:,}",
            len(one.crossings),
            rate(len(one.crossings), one.tag_hours),
            one.others["undecided"],
            one.others["turned_back"],
            f"{share(one.passed_right, one.passed)}, n {one.passed}, {one.passed_reads:.1f} reads each",
        ]
        for one in stood
    ]
    hours, heard = sum(one.tag_hours for one in stood), sum(one.heard_hours for one in stood)
    false = sum(len(one.crossings) for one in stood)
    undecided, back = (sum(one.others[name] for one in stood) for name in ("undecided", "turned_back"))
    reads = f"{sum(one.reads for one in stood):,}"
    rates = f"{rate(false, hours)}; of tags read {rate(false, heard)}"
    rows.append(["all", "", f"{hours:,.0f}", f"{heard:,.0f}", reads, false, rates, undecided, back, ""])
    return table(
        [
            "field",
            ">seed",
            ">tag-hours",
            ">of tags that were read",
            ">reads",
            ">false movements",
            ">a tag-hour",
            ">undecided",
            ">turned back",
            ">goods that passed meanwhile: right",
        ],
        rows,
    )


def false_movements_table(stood: list[Stood], most: int = 20) -> str:
    """The worst of them, with their evidence."""
    found = sorted(
        ((one.field.seed, passage) for one in stood for passage in one.crossings),
        key=lambda pair: -pair[1].confidence,
    )
    if not found:
        return "None."
    rows = [
        [
            seed,
            passage.epc,
            passage.direction.value,
            f"{passage.confidence:.2f}",
            passage.reads,
            passage.evidence.decided_by,
            passage.evidence.reason,
        ]
        for seed, passage in found[:most]
    ]
    return table([">seed", "epc", "verdict", ">confidence", ">reads", "decided by", "reason"], rows)
