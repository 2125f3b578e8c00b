"""A Score as text for a person, with advice on what to change at the gate, and as JSON for a program.

A share stands as `right 87 of 92 = 94.6 % [88.0, 97.7]`: count, of how many, value, 95 % interval.
"""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from edge.gate_desk.judging import Judged
from edge.gate_desk.replay import iso
from edge.gate_desk.score import ENOUGH_READS, Row, Score, Share
from edge.gate_desk.silences import WHOLE
from edge.gate_desk.table import table

SHOWN_FAILURES = 20
FAILURE_HEADS = ("epc", "time", "truth", "verdict", "reason")
MANY_CUT = 0.10  # share of visits that the hold cuts from which on a longer one is advised
LONGER = 1.5  # a hold this many times the suggested one may be shortened


def as_text(score: Score, most_failures: int = SHOWN_FAILURES) -> str:
    """Everything that was counted; each table says of how many."""
    parts = [
        _recordings(score),
        _gap(score),
        _reads(score),
        _matrix("Verdicts", score, score.rows)
        + f"\n\n  right in all: {share_text(score.right)}; in brackets 95 % intervals (Wilson)",
    ]
    if score.rows_enough_reads:
        title = f"Verdicts of tags with {ENOUGH_READS} reads or more, parked tags left out"
        parts.append(_matrix(title, score, score.rows_enough_reads))
    parts += [
        _groups(score),
        _passages(score),
        _standing(score),
        _decisions(score),
        _failures(score, most_failures),
    ]
    if advised := advice(score):
        parts.append("Advice\n" + "\n".join(f"  - {line}" for line in advised))
    return "\n\n".join(part for part in parts if part)


def as_json(score: Score) -> dict[str, Any]:
    """What `gate score --json` prints."""
    answer = asdict(score)
    for name in ("rows", "rows_enough_reads"):
        for row, source in zip(answer[name], getattr(score, name), strict=True):
            row["verdicts"] = {verdict: source.verdicts.get(verdict, 0) for verdict in score.verdicts}
    answer["recordings"] = [
        {**one, "from": iso(one.pop("from_us")), "to": iso(one.pop("to_us"))} for one in answer["recordings"]
    ]
    answer["silences"]["cut"] = {f"{hold:g}": share for hold, share in score.silences.cut.items()}
    answer["failures"] = [failure_json(one) for one in score.failures]
    answer["advice"] = advice(score)
    return answer


def failure_json(one: Judged) -> dict[str, Any]:
    """One failure as JSON."""
    return {
        "recording": one.recording,
        "epc": one.epc,
        "time": iso(one.at_us),
        "truth": one.truth,
        "verdict": one.verdict,
        "outcome": one.outcome.value,
        "reason": one.reason,
        "decided_by": one.by,
        "reads": one.reads,
        "group": one.group,
    }


def share_text(share: Share) -> str:
    """Such as `87 of 92 = 94.6 % [88.0, 97.7]`."""
    if not share.of:
        return "0 of 0"
    return f"{share.count} of {share.of} = {_percent(share)} {_interval(share)}"


def advice(score: Score) -> list[str]:
    """What to change at the gate, the most important first."""
    advised = []
    reads, silences = score.reads, score.silences
    if reads is not None and reads.median < ENOUGH_READS:
        said = [
            f"{key} {one.reader[key]}"
            for one in score.recordings[:1]
            for key in ("Session", "InventoryMode", "PowerInDbm", "ModeIndex")
            if key in one.reader
        ]
        told = f" (the recording says: {', '.join(said)})" if said else ""
        advised.append(
            f"a tag gives {reads.median:g} reads in a pass, and {ENOUGH_READS} are needed: use session 0, or session 2 "
            f"or 3 with alternating targets (dual target); session 1 with a single target keeps a tag silent for up "
            f"to 5 s after each read{told}. A reader mode for few tags at high speed, more power, and antennas that "
            f"see the lane longer give more reads too"
        )
    if silences.suggested_s is not None:
        cut = silences.cut.get(score.hold_s, 0.0)
        if score.hold_s < silences.suggested_s and cut > MANY_CUT:
            advised.append(
                f"hold_s = {score.hold_s:g} cuts {cut:.0%} of the visits in two; {silences.suggested_s:g} s would "
                f"leave {WHOLE:g} % of them whole. More reads a pass are the better cure"
            )
        elif score.hold_s > LONGER * silences.suggested_s:
            advised.append(
                f"hold_s = {score.hold_s:g} is longer than the silences ask for ({silences.suggested_s:g} s): verdicts "
                f"could fall sooner. Tags that turn back late then make two movements, in and out"
            )
    unlabelled = sum(one.unlabelled_tags for one in score.recordings)
    if unlabelled:
        tags = "1 tag has" if unlabelled == 1 else f"{unlabelled} tags have"
        advised.append(f"{tags} no label and so no place in the tables")
    return advised


# ── Parts ───────────────────────────────────────────────────────────────────────────────────────────


def _recordings(score: Score) -> str:
    rows = [
        (
            one.name,
            iso(one.from_us),
            f"{(one.to_us - one.from_us) / 1e6:.0f}",
            str(one.reads),
            str(one.tags),
            str(one.unlabelled_tags),
            ", ".join(f"{kind} {rows}" for kind, rows in one.left_out.items()) or "–",
        )
        for one in score.recordings
    ]
    heads = ("recording", "from", ">seconds", ">reads", ">tags", ">unlabelled", "left out")
    return f"Gate {score.gate}\n" + _indented(table(heads, rows))


def _gap(score: Score) -> str:
    silences = score.silences
    lines = [f"Gap time (hold): the gate's is {score.hold_s:g} s"]
    if silences.suggested_s is None:
        lines[0] += (
            f"; the recordings suggest none ({silences.silences} silences of {silences.visits} visits are too few)"
        )
    else:
        lines[0] += f"; the recordings suggest {silences.suggested_s:.1f} s"
    if silences.silences:
        of = f"n = {silences.silences} in {silences.visits} visits"
        lines.append(
            f"  silences within visits: median {silences.median_s:.2f} s, 95 % {silences.p95_s:.2f} s, "
            f"99 % {silences.p99_s:.2f} s, longest {silences.longest_s:.2f} s ({of})"
        )
        if silences.between_s is not None:
            lines.append(f"  silences longer than {silences.between_s:.1f} s lie between visits: few are near it")
        lines += [f"  {hold:.1f} s cuts {share:.1%} of the visits" for hold, share in silences.cut.items()]
    return "\n".join(lines)


def _reads(score: Score) -> str:
    reads = score.reads
    if reads is None:
        return "Reads of a tag in a pass: nothing to count"
    of = {
        "event": "labelled crossings",
        "passage": "passages of moving tags that crossed",
        "visit": "visits of moving tags",
    }[reads.of]
    lines = [
        f"Reads of a tag in a pass, aim {ENOUGH_READS} or more: median {reads.median:g}, 10 % have {reads.p10:g} or "
        f"fewer, least {reads.least} (n = {reads.n} {of})",
        f"  with {ENOUGH_READS} or more: {share_text(reads.enough)}",
    ]
    if reads.per_second is not None:
        lines.append(f"  a moving tag in view gives {reads.per_second:.2f} reads a second (median)")
    return "\n".join(lines)


def _matrix(title: str, score: Score, rows: Iterable[Row]) -> str:
    kept = list(rows)
    verdicts = [verdict for verdict in score.verdicts if any(row.verdicts.get(verdict) for row in kept)]
    has_missed = any(row.missed.count for row in kept)
    shares = ["right", "wrong", *(["missed"] if has_missed else []), "undecided"]
    heads = ("truth \\ verdict", ">n", *(f">{verdict}" for verdict in verdicts), *(f"{name} %" for name in shares))
    lines = [
        (
            row.truth,
            str(row.n),
            *(str(row.verdicts.get(verdict, 0)) for verdict in verdicts),
            *(f"{_percent(getattr(row, name), sign='')} {_interval(getattr(row, name))}" for name in shares),
        )
        for row in kept
    ]
    return f"{title}\n" + _indented(table(heads, lines))


def _groups(score: Score) -> str:
    if not score.groups:
        return ""
    rows = [
        (
            groups.truth,
            str(groups.n),
            share_text(groups.right),
            share_text(groups.every_tag),
            share_text(groups.enough_reads),
        )
        for groups in score.groups
    ]
    heads = (
        "truth",
        ">groups",
        "right as a group",
        "every tag right",
        f"right, of those with {ENOUGH_READS} reads",
    )
    return "Groups that went together\n" + _indented(table(heads, rows))


def _passages(score: Score) -> str:
    if not score.passages:
        return ""
    rows = [
        (
            one.truth,
            str(one.tags),
            *map(str, one.passages.values()),
            f"{one.crossings_least} / {one.crossings_median:g} / {one.crossings_most}",
        )
        for one in score.passages
    ]
    directions = (f">{direction}" for direction in score.passages[0].passages)
    heads = ("truth", ">tags", *directions, "crossings of a tag: least / median / most")
    return "Passages of the tags\n" + _indented(table(heads, rows))


def _standing(score: Score) -> str:
    found = score.false_movements
    if found is None:
        return ""
    text = (
        f"False movements of tags that stood there: {found.movements} in {found.tag_hours:.2f} tag-hours "
        f"(n = {found.tags} tags)"
    )
    if found.a_tag_hour is None:
        return text
    return text + f" = {found.a_tag_hour:.4f} a tag-hour [{found.low:.4f}, {found.high:.4f}]"


def _decisions(score: Score) -> str:
    if not score.decisions:
        return "Decision time: recognition does not tell when it decided"
    rows = [
        (
            one.by,
            str(one.n),
            f"{one.median_s:.3f}",
            f"{one.p95_s:.3f}",
            f"{one.max_s:.3f}",
            f"{one.median_s - score.hold_s:+.3f}",
            f"{one.max_beyond_hold_s:+.3f}",
        )
        for one in score.decisions
    ]
    heads = ("decided by", ">n", ">median s", ">95 % s", ">longest s", ">median less hold", ">longest less hold")
    return "Decision time, from the last read to the verdict\n" + _indented(table(heads, rows))


def _failures(score: Score, most: int) -> str:
    if not score.failures:
        return "Failures: none"
    rows = [(one.epc, iso(one.at_us), one.truth, one.verdict, _why(one)) for one in score.failures[:most]]
    left = len(score.failures) - len(rows)
    text = f"Failures ({len(score.failures)})" + ("\n" + _indented(table(FAILURE_HEADS, rows)) if rows else "")
    return text + (f"\n  … and {left} more: --failures N shows them, --json has them all" if left else "")


def _why(one: Judged) -> str:
    if not one.reason:
        return f"{one.reads} reads"
    by = f"{one.by}: " if one.by else ""
    return f"{by}{one.reason}; {one.reads} reads"


def _percent(share: Share, sign: str = " %") -> str:
    return "–" if share.value is None else f"{100 * share.value:.1f}{sign}"


def _interval(share: Share) -> str:
    return "" if not share.of else f"[{100 * share.low:.1f}, {100 * share.high:.1f}]"


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
