"""`make gate-report`: simulate, replay, judge, and write docs/gate-accuracy.md.

Everything is drawn from seeds that stand in the report, so the same tree writes the same report.
"""

import argparse
import sys
from pathlib import Path

from tests.gate_report import likeness, pictures, recorded, simulated, standing
from tests.gate_report.replaying import gate
from tests.gate_report.tables import table

QUICK = 0.01


def main(argv: list[str] | None = None) -> int:
    """Write the report; 0 when it is written."""
    parser = argparse.ArgumentParser(prog="make gate-report", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--output", type=Path, default=Path("docs/gate-accuracy.md"))
    parser.add_argument("--quick", action="store_true", help="a hundredth of it, to try the report itself")
    arguments = parser.parse_args(argv)
    if not arguments.quick:
        pictures.draw(pictures.FOLDER)
        told("pictures")
    text = report(QUICK if arguments.quick else 1.0)
    arguments.output.write_text(text, encoding="utf-8")
    print(f"written to {arguments.output}")
    return 0


def report(share_of: float) -> str:
    """The whole text."""
    runs = [recorded.run(number) for number in recorded.RUNS] if recorded.is_there() else []
    told("recordings")
    results = simulated.run(share_of)
    told("simulated events")
    stood = [standing.stand(field, share_of) for field in standing.FIELDS]
    told("parked goods")
    parts = [
        HEAD.format(hold=f"{gate().hold_s:g}"),
        ""
        if share_of == 1
        else f"**A quick run with {share_of:.0%} of the events: no figure here means anything.**",
        *goals(results, stood, runs),
        "# Simulated",
        SIMULATED,
        simulated.seeds_table(results),
        "## Groups",
        GROUPS,
        simulated.group_table(results.by_kind),
        "## Tags",
        TAGS,
    ]
    for kind, judged in results.by_kind.items():
        parts += [f"### {kind}", simulated.confusion(judged)]
    main_kinds = [one for name in simulated.MAIN for one in results.by_kind[name]]
    parts += [
        "## By how often a tag was read",
        BY_READS,
        simulated.by_reads(main_kinds, results.alone),
        "## With and without phase and photo-eye",
        VARIANTS,
        simulated.variants_table(results.variants),
        "## When the decision falls",
        DECISIONS,
        simulated.decision_table(results.passages),
        "## Parked goods",
        PARKED,
        standing.standing_table(stood),
        "False movements, the most confident first:",
        standing.false_movements_table(stood),
        "## Failures",
        FAILURES,
        simulated.failures(results),
        "# Recorded",
    ]
    parts += recorded_parts(runs)
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def recorded_parts(runs: list[recorded.Run]) -> list[str]:
    """The recordings' chapter."""
    if not runs:
        return [f"The recordings are not beside the project ({recorded.FOLDER}); nothing was measured on them."]
    return [
        RECORDED,
        "## Moving or standing, a tag a count",
        recorded.tags_table(runs),
        "## Pass by pass",
        f"How the true passes were found: {' '.join((recorded.__doc__ or '').split(chr(10) * 2)[1].split())}",
        recorded.passes_table(runs),
        "## Standing tags",
        recorded.standing_table(runs),
        "## Failures",
        recorded.failures_table(runs),
        "## How like the recordings the simulator is",
        LIKENESS,
        likeness.likeness_table(runs),
    ]


def goals(results: simulated.Results, stood: list[standing.Stood], runs: list[recorded.Run]) -> list[str]:
    """What was aimed at, beside what was reached; simulated and recorded apart."""
    hours = sum(one.tag_hours for one in stood)
    false = sum(len(one.crossings) for one in stood)
    parked = (
        "parked goods: false movements a tag-hour",
        "≤ 0.001",
        f"{standing.rate(false, hours)}, {false} in {hours:,.0f}",
    )
    heads = ["goal", ">limit", ">reached (95 % interval)"]
    parts = ["## Goals, on the simulator", table(heads, [*simulated.goals(results), parked])]
    if runs:
        parts += ["## Goals, on the recordings", table(heads, recorded.goals(runs))]
    return parts


def told(what: str) -> None:
    print(f"{what} done", file=sys.stderr, flush=True)


HEAD = """
# How often a gate is right

Written by `make gate-report`; do not edit. Simulated and recorded figures stand apart and are never mixed: what the
simulator leaves out (see its docstrings in `firmware_bridges/gate_simulator`) no simulated figure can tell, and three
recorded runs of one gate are few. All gates are at their default settings (hold {hold} s); nothing was tuned for a
run. Shares have Wilson's 95 % intervals, rates Garwood's. A tag's verdict: `in and out` means that both legs were told
(net zero), `twice` more crossings one way than one, `nothing` no passage. Wrong is a crossing that did not happen so;
a crossing that was not told is undecided or missed, not wrong.
"""
SIMULATED = """
Worlds of at most 50 events each, one seed a world:
`tallygate gate simulate --scenario NAME --seed SEED --events 50` (with `--reader` and `--mount` where they are named)
makes the same reads. Groups are pallets of 4 to 24 tags at 0.5 to 2.5 m/s, of cardboard, mixed goods, liquid or metal,
with a person or a forklift beside them. The dense reader asks session 0 (most tags get 24 reads a pass and more), the
sparse one session 1 with one target (3 to 7 reads a pass), the American one hops over 50 channels. Antennas look away
from the door on their side unless `across` is said: then all look straight across the way.
"""
GROUPS = """
A group's verdict is the direction in which most of its crossing tags crossed, when at least half of those that were
read crossed; else it did not cross. `In and out` (both legs told, net zero) is not right where nothing crossed, but no
false movement either.
"""
TAGS = "Every tag of every event, decided within its group."
BY_READS = """
Passes, near and turned back with the dense reader. Alone: up to 3 tags of each group, each fed to a recognition that
sees no other tag.
"""
VARIANTS = """
With a photo-eye the decision falls when it clears, so whoever turns back later is told out and in again: both legs,
net zero.
The same reads of the first worlds of passes, near and turn-backs. One photo-eye is a beam in the door's line, two are
one before and one behind it.
"""
DECISIONS = """
From the last read of a visit to the decision, readers' clock, over all simulated crossings and turn-backs. A group
that is still there may turn back, so its decision waits for it. The goal is 250 ms beyond the hold or after the
photo-eye clears.
"""
PARKED = """
Goods 0.5 to 5 m from the door's line and 2.2 to 4.5 m beside the middle of the way, for hours, while people walk,
forklifts pass and other goods go through the gate. A gate that told no movement at all would have no false one:
the last column says what became of the goods that did pass. Where a store takes the reader's time, they get few reads.
"""
FAILURES = """
The world's name holds scenario, reader, mounting and seed, then the event.
"""
RECORDED = """
Runs 1, 3 and 5 of corentinbouton/RFID-tags-detection (MIT): an Impinj reader, session 1, one target, one channel, no
phase; 100 tags move, some 75 stand around. Antennas 1 and 2 are taken as inside, 3 and 4 as outside.
"""
LIKENESS = """
What the simulator was compared with. Change within t: root mean square of the difference of two reads by one antenna
that far apart, over √2, median over tags; it grows from the reader's own noise to what moves in the hall.
"""

if __name__ == "__main__":
    sys.exit(main())
