"""Simulated events, kind by kind: what recognition said beside what was true."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from edge.gate_desk.judging import BOTH_WAYS, NOTHING, TWICE, Judged, Outcome
from edge.gate_desk.score import ENOUGH_READS
from edge.readings import Passage
from firmware_bridges.gate_simulator import scenarios
from firmware_bridges.gate_simulator.simulation import Simulated, simulate
from firmware_bridges.gate_simulator.world import World
from tests.gate_report.replaying import Verdicts, gate, verdicts_alone, verdicts_of
from tests.gate_report.tables import percent, seconds, share, table

EVENTS_A_WORLD = 50
TRUTHS = ("in", "out", "turned_back", "near", "stayed")
VERDICTS = ("in", "out", BOTH_WAYS, TWICE, "undecided", "turned_back", "stayed", NOTHING)
READ_CLASSES = ((0, 6), (6, 12), (12, 24), (24, 10**9))
VARIANT_WORLDS = 1  # of each main kind: recognising everything six times would take too long
ALONE_A_GROUP = 3  # tags of each group that are tried alone


@dataclass(frozen=True, slots=True)
class Kind:
    """One scenario with one reader, in worlds of EVENTS_A_WORLD events with seeds from `seed` on."""

    name: str
    make: Callable[..., World]
    events: int
    seed: int
    reader: str = "dense"
    mount: str = "away"

    @property
    def title(self) -> str:
        title = self.name if self.reader == "dense" else f"{self.name}, {self.reader} reader"
        return title if self.mount == "away" else f"{title}, antennas {self.mount}"

    def worlds(self, share_of: float) -> Iterable[tuple[str, World, int]]:
        """(name, world, seed); a part of the events for a quick run."""
        events, seed = max(2, round(self.events * share_of)), self.seed
        while events > 0:
            many = min(events, EVENTS_A_WORLD)
            world = scenarios.seen_by(self.make(seed, many), self.reader, self.mount)
            yield f"{self.name}/{self.reader}/{self.mount}/{seed}", world, seed
            events, seed = events - many, seed + 1


KINDS = (
    Kind("passes", scenarios.passes, 300, 1000),
    Kind("near", scenarios.near, 150, 2000),
    Kind("turn-backs", scenarios.turn_backs, 150, 3000),
    Kind("crossing-forklifts", scenarios.crossing_forklifts, 80, 4000),
    Kind("convoys", scenarios.convoys, 40, 5000),
    Kind("stops-in-door", scenarios.stops_in_door, 40, 6000),
    Kind("leaves-after-parking", scenarios.leaves_after_parking, 15, 7000),
    Kind("waits-in-gate", scenarios.waits_in_gate, 15, 8000),
    Kind("passes", scenarios.passes, 150, 9000, "sparse"),
    Kind("near", scenarios.near, 60, 9100, "sparse"),
    Kind("turn-backs", scenarios.turn_backs, 60, 9200, "sparse"),
    Kind("passes", scenarios.passes, 60, 9300, "american"),
    Kind("passes", scenarios.passes, 60, 9400, "dense", "across"),
    Kind("near", scenarios.near, 50, 9500, "dense", "across"),
    Kind("turn-backs", scenarios.turn_backs, 50, 9600, "dense", "across"),
)
MAIN = ("passes", "near", "turn-backs")  # what the comparisons of settings are made on


@dataclass(slots=True)
class Results:
    """Everything judged, by kind; `variants` (with phase, which photo-eyes) of the main kinds."""

    by_kind: dict[str, list[Judged]] = field(default_factory=dict)
    passages: list[Passage] = field(default_factory=list)
    alone: list[Judged] = field(default_factory=list)
    variants: dict[tuple[bool, str], list[Judged]] = field(default_factory=dict)
    seeds: list[tuple[str, int, int, int, int]] = field(default_factory=list)  # kind, first, last, events, tags


def run(share_of: float = 1.0) -> Results:
    """Simulate and judge all kinds."""
    results = Results()
    for kind in KINDS:
        judged = results.by_kind.setdefault(kind.title, [])
        groups, seeds, tags = 0, [], 0
        for name, world, seed in kind.worlds(share_of):
            simulated = simulate(world, seed)
            seeds.append(seed)
            tags += world.tags
            groups += len({(truth.group, truth.from_us) for truth in simulated.truths})
            verdicts = verdicts_of(simulated, name)
            judged += verdicts.judged
            results.passages += verdicts.passages
            if kind.title in MAIN:
                results.alone += verdicts_alone(simulated, name, ALONE_A_GROUP)
                if seed - kind.seed < VARIANT_WORLDS:
                    _variants(results, verdicts, simulated, name)
        results.seeds.append((kind.title, min(seeds), max(seeds), groups, tags))
    return results


def _variants(results: Results, verdicts: Verdicts, simulated: Simulated, name: str) -> None:
    results.variants.setdefault((True, "none"), []).extend(verdicts.judged)
    for with_phase, eyes in ((False, "none"), (True, "one"), (False, "one"), (True, "two"), (False, "two")):
        other = verdicts_of(simulated, name, with_phase, eyes)
        results.variants.setdefault((with_phase, eyes), []).extend(other.judged)


# -- tables --


def confusion(judged: Sequence[Judged]) -> str:
    """One row a truth, every tag of every event."""
    rows = []
    for truth in (*TRUTHS, NOTHING):
        own = [one for one in judged if one.truth == truth]
        if own:
            said = Counter(one.verdict for one in own)
            outcomes = Counter(one.outcome for one in own)
            rows.append(
                [
                    truth,
                    len(own),
                    *(said[verdict] or "·" for verdict in VERDICTS),
                    share(outcomes[Outcome.RIGHT], len(own)),
                    share(outcomes[Outcome.WRONG], len(own)),
                    share(outcomes[Outcome.UNDECIDED], len(own)),
                ]
            )
    heads = [">" + verdict for verdict in VERDICTS]
    return table(["what happened", ">n", *heads, ">right", ">wrong", ">undecided"], rows)


@dataclass(frozen=True, slots=True)
class Group:
    """What went together: its truth, its verdict, the median reads of its tags.

    The verdict is the direction in which most of its crossing tags crossed, when at least half of those that were
    read crossed; else "no crossing".
    """

    kind: str
    name: str
    truth: str
    verdict: str
    reads: float
    tags: int
    wrong_tags: int

    @property
    def is_right(self) -> bool:
        return self.verdict == (self.truth if self.truth in ("in", "out") else "no crossing")

    @property
    def is_false(self) -> bool:
        """A movement that did not happen, or the wrong way; both legs told are net zero."""
        return not self.is_right and self.verdict not in ("no crossing", BOTH_WAYS)


def is_net_false(one: Judged) -> bool:
    """Whether what did not cross would move stock: crossings told that do not cancel each other."""
    return one.crossings > 0 and (one.verdict != BOTH_WAYS or one.crossings % 2 == 1)


def not_crossed(judged: Iterable[Judged], truth: str) -> list[str]:
    """Two cells about what did not cross: stock moved though it did not; both legs told, net zero."""
    own = [one for one in judged if one.truth == truth]
    false = sum(is_net_false(one) for one in own)
    legs = sum(one.crossings > 0 for one in own) - false
    return [f"{share(false, len(own))}, n {len(own)}", percent(legs / len(own)) if own else "–"]


def groups(judged: Iterable[Judged], kind: str) -> list[Group]:
    """Groups of two tags and more that were read."""
    members: dict[tuple[str, str, str, int], list[Judged]] = {}
    for one in judged:
        if one.truth != NOTHING and one.reads > 0:
            members.setdefault((one.recording, one.group, one.truth, one.from_us), []).append(one)
    found = []
    for (recording, name, truth, _), own in members.items():
        if len(own) < 2:
            continue
        crossing = Counter(one.verdict for one in own if one.crossings)
        said = "no crossing"
        if sum(crossing.values()) * 2 >= len(own):
            ((said, _),) = crossing.most_common(1)
        reads = float(np.median([one.reads for one in own]))
        wrong = sum(one.outcome is Outcome.WRONG for one in own)
        found.append(Group(kind, f"{recording}/{name}", truth, said, reads, len(own), wrong))
    return found


def group_table(by_kind: dict[str, list[Judged]]) -> str:
    """One row a kind and what happened: groups right."""
    rows = []
    for kind, judged in by_kind.items():
        every = groups(judged, kind)
        for what, own in _sorts(every):
            enough = [group for group in own if group.reads >= ENOUGH_READS]
            rows.append(
                [
                    kind,
                    what,
                    len(own),
                    share(sum(group.is_right for group in own), len(own)),
                    share(sum(group.is_false for group in own), len(own)),
                    len(enough),
                    share(sum(group.is_right for group in enough), len(enough)),
                    share(sum(group.wrong_tags > 0 for group in own), len(own)),
                ]
            )
    return table(
        [
            "scenario",
            "what happened",
            ">groups",
            ">right",
            ">false movement",
            ">with ≥ 24 reads",
            ">of these right",
            ">any tag wrong",
        ],
        rows,
    )


def _sorts(every: list[Group]) -> list[tuple[str, list[Group]]]:
    crossings = [group for group in every if group.truth in ("in", "out")]
    found = [("crossed", crossings)] if crossings else []
    for truth in TRUTHS[2:]:
        own = [group for group in every if group.truth == truth]
        if own:
            found.append((truth, own))
    return found


def by_reads(judged: Sequence[Judged], alone: Sequence[Judged]) -> str:
    """Verdicts on tags by how often they were read, in their group and alone."""
    rows = []
    for how, all_of in (("in its group", judged), ("alone", alone)):
        for low, high in READ_CLASSES:
            own = [one for one in all_of if low <= one.reads < high and one.reads > 0]
            crossed = [one for one in own if one.truth in ("in", "out")]
            outcomes = Counter(one.outcome for one in crossed)
            cells = [
                share(outcomes[Outcome.RIGHT], len(crossed)),
                share(outcomes[Outcome.WRONG], len(crossed)),
                share(outcomes[Outcome.UNDECIDED], len(crossed)),
            ]
            cells += [*not_crossed(own, "near"), *not_crossed(own, "turned_back")]
            name = f"≥ {low}" if high > 10**6 else f"{max(low, 1)} … {high - 1}"
            rows.append([how, name, len(crossed), *cells])
    return table(
        [
            "the tag",
            "reads",
            ">crossings",
            ">right",
            ">wrong",
            ">undecided",
            ">near: stock moved",
            ">near: both legs told",
            ">turned back: stock moved",
            ">turned back: both legs told",
        ],
        rows,
    )


def variants_table(variants: dict[tuple[bool, str], list[Judged]]) -> str:
    """The main kinds with and without phase and photo-eye."""
    rows = []
    for (with_phase, eyes), judged in variants.items():
        crossed = [one for one in judged if one.truth in ("in", "out")]
        cells: list[object] = ["yes" if with_phase else "no", eyes, len(crossed)]
        outcomes = Counter(one.outcome for one in crossed)
        cells += [share(outcomes[o], len(crossed)) for o in (Outcome.RIGHT, Outcome.WRONG, Outcome.UNDECIDED)]
        cells += [*not_crossed(judged, "near"), *not_crossed(judged, "turned_back")]
        rows.append(cells)
    return table(
        [
            "phase",
            "photo-eye",
            ">crossings",
            ">right",
            ">wrong",
            ">undecided",
            ">near: stock moved",
            ">near: both legs told",
            ">turned back: stock moved",
            ">turned back: both legs told",
        ],
        rows,
    )


def decision_table(passages: Sequence[Passage]) -> str:
    """From the last read to the decision."""
    hold_s = gate().hold_s
    rows = []
    taken: dict[str, list[float]] = {}
    for passage in passages:
        if passage.evidence.decided_at_us and passage.direction in ("in", "out", "turned_back"):
            late = (passage.evidence.decided_at_us - passage.last_seen_us) / 1e6
            taken.setdefault(passage.evidence.decided_by, []).append(late)
            taken.setdefault("all", []).append(late)
    for by in sorted(taken, key=lambda name: (name == "all", name)):
        median, p99 = np.percentile(taken[by], (50, 99)).tolist()
        beyond = np.percentile(np.array(taken[by]) - hold_s, 99)
        rows.append(
            [by, len(taken[by]), seconds(median), seconds(p99), seconds(float(beyond)), seconds(max(taken[by]))]
        )
    if not rows:
        return "Recognition does not tell when it decided."
    return table(
        ["decided by", ">n", ">median s", ">p99 s", f">p99 beyond the hold of {hold_s:g} s", ">longest s"], rows
    )


def failures(results: Results, most: int = 30) -> str:
    """Groups decided wrongly first, then the tags with the most reads that were."""
    missed = [
        group for kind, judged in results.by_kind.items() for group in groups(judged, kind) if not group.is_right
    ]
    rows: list[list[object]] = [
        [
            group.name,
            f"{group.tags} tags",
            group.truth,
            group.verdict,
            f"{group.reads:.0f} (median)",
            "group",
            f"{group.wrong_tags} tags wrong",
        ]
        for group in missed
    ]
    rows.sort(key=lambda row: (row[3] == "no crossing", str(row[0])))
    wrong = [one for judged in results.by_kind.values() for one in judged if one.outcome is Outcome.WRONG]
    wrong.sort(key=lambda one: (-one.reads, one.recording, one.epc))
    tags = [
        [f"{one.recording}/{one.group}", one.epc, one.truth, one.verdict, one.reads, one.by, one.reason]
        for one in wrong
    ]
    shown = [*rows[:most], *tags[:most]]
    head = (
        f"{len(rows)} groups and {len(tags)} tags were decided wrongly (a group missed counts, a tag missed does not); "
        f"the worst of them:\n\n"
    )
    if not shown:
        return "None."
    return head + table(
        ["world/seed/event", "who", "what happened", "verdict", ">reads", "decided by", "reason"], shown
    )


def seeds_table(results: Results) -> str:
    """What was simulated."""
    rows = [[kind, f"{low} … {high}", many, tags] for kind, low, high, many, tags in results.seeds]
    return table(["scenario", "seeds", ">groups", ">tags"], rows)


def goals(results: Results) -> list[tuple[str, str, str]]:
    """(goal, limit, measured) on the simulator."""
    rows = []
    for mount, where in (("away", "antennas look away from the door"), ("across", "antennas look across the way")):
        own = {
            kind: judged for kind, judged in results.by_kind.items() if ("across" in kind) == (mount == "across")
        }
        every = [g for kind, judged in own.items() for g in groups(judged, kind) if g.reads >= ENOUGH_READS]
        crossed = [g for g in every if g.truth in ("in", "out")]
        rest = [g for g in every if g.truth in ("near", "turned_back")]
        right, false = sum(g.is_right for g in crossed), sum(g.is_false for g in rest)
        rows.append(
            (f"groups that crossed, ≥ 24 reads a tag, {where}: right", "≥ 99 %", counted(right, len(crossed)))
        )
        name = f"groups near or turned back, ≥ 24 reads a tag, {where}: false"
        rows.append((name, "≤ 1 %", counted(false, len(rest))))
    alone = [one for one in results.alone if one.reads >= ENOUGH_READS]
    outcomes = Counter(one.outcome for one in alone if one.truth in ("in", "out"))
    many = outcomes.total()
    rows.append(("tag alone, ≥ 24 reads: crossings right", "≥ 83 %", counted(outcomes[Outcome.RIGHT], many)))
    rows.append(("tag alone, ≥ 24 reads: wrong", "≤ 1 %", counted(outcomes[Outcome.WRONG], many)))
    for truth, limit in (("turned_back", "≤ 4.4 %"), ("near", "≤ 9 %")):
        these = [one for one in alone if one.truth == truth]
        name = f"tag alone, ≥ 24 reads: {truth} false"
        rows.append((name, limit, counted(sum(map(is_net_false, these)), len(these))))
    return rows


def counted(count: int, of: int) -> str:
    """A share with its interval and n."""
    return f"{share(count, of)}, n {of}"
