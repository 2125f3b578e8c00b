"""Goods that stand beside the gate for many hours while others pass: how often stock would move that did not."""

from collections import Counter
from dataclasses import dataclass

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


# 10,100 tag-hours: many tags at a reader that lets each rest between reads, as one would set it beside a store,
# fewer at one that reads all the time.
FIELDS = (
    Field("store beside a sparse reader", 1000, 9.5, 501, "sparse", 12.0, 60.0),
    Field("busy dock, dense reader", 400, 1.0, 502, "dense", 20.0, 120.0),
    Field("quiet night, dense reader", 200, 1.0, 503, "dense", 0.0, 6.0),
)


@dataclass(frozen=True, slots=True)
class Stood:
    """What became of one field."""

    field: Field
    tag_hours: float
    reads: int
    crossings: list[Passage]
    others: Counter[str]
    moved: int  # tags that went through the field meanwhile
    moved_right: int


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
    reads, truths, parked = 0, [], frozenset[str]()
    for part in stream(world, field.seed):
        if not parked:
            truths = part.truths
            parked = frozenset(part.epcs[truth.tag] for truth in truths if truth.truth == "stayed")
            expected = {part.epcs[truth.tag]: truth.truth for truth in truths if truth.truth != "stayed"}
        reads += len(part)
        passages += recognition.feed(sightings_of(part))
    passages += recognition.flush()
    own = [passage for passage in passages if passage.epc in parked]
    crossings = [passage for passage in own if passage.direction in ("in", "out")]
    right = {p.epc for p in passages if p.epc in expected and p.direction == expected[p.epc]}
    others = Counter(passage.direction.value for passage in own)
    return Stood(field, len(parked) * hours, reads, crossings, others, len(expected), len(right))


def standing_table(stood: list[Stood]) -> str:
    """One row a field, and all together."""
    rows: list[list[object]] = [
        [
            one.field.title,
            one.field.seed,
            f"{one.tag_hours:,.0f}",
            f"{one.reads:,}",
            len(one.crossings),
            rate(len(one.crossings), one.tag_hours),
            one.others["undecided"],
            one.others["turned_back"],
            f"{share(one.moved_right, one.moved)}, n {one.moved}",
        ]
        for one in stood
    ]
    hours, false = sum(one.tag_hours for one in stood), sum(len(one.crossings) for one in stood)
    undecided, back = (sum(one.others[name] for one in stood) for name in ("undecided", "turned_back"))
    rows.append(
        [
            "all",
            "",
            f"{hours:,.0f}",
            f"{sum(o.reads for o in stood):,}",
            false,
            rate(false, hours),
            undecided,
            back,
            "",
        ]
    )
    return table(
        [
            "field",
            ">seed",
            ">tag-hours",
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
