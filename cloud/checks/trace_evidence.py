"""A gateway's evidence in lines that a person reads, for the tree that `tallygate trace` prints."""

from collections.abc import Iterator

from cloud.domain.gate_evidence import AntennaSeen, GateEvidence, GroupVote
from cloud.domain.gate_words import decided_by_words, reason_sentence


def headline(evidence: GateEvidence) -> str:
    """Why, in a sentence, by whose evidence and how soon."""
    words = []
    if evidence.reason is not None:
        words.append(reason_sentence(evidence.reason, "en"))
    if evidence.decided_by is not None:
        words.append(f"decided by {decided_by_words(evidence.decided_by, 'en')}")
    if evidence.decided_after_ms is not None:
        words.append(f"{evidence.decided_after_ms} ms after the last read")
    return " · ".join(words)


def lines(evidence: GateEvidence) -> Iterator[str]:
    """What was seen: the two sides, each antenna, the group's vote, the photo-eyes."""
    if evidence.order is not None:
        yield f"order {evidence.order:.3g} (1: outside before inside, 0: inside before outside)"
    for side in evidence.sides:
        reads = "" if side.reads is None else f"{side.reads} reads"
        rise = "" if side.rise_db is None else f"rise {side.rise_db:.1f} dB"
        yield f"{side.side}: {_words(reads, rise, _at(evidence, 'strongest', side.peak_us))}"
    for antenna in evidence.antennas:
        yield _antenna(evidence, antenna)
    if evidence.group is not None:
        yield _group(evidence, evidence.group)
    for eye in evidence.eyes:
        begin = _at(evidence, "from", eye.from_us) or "from before the first read"
        yield f"photo-eye {eye.eye} broken {_words(begin, _at(evidence, 'until', eye.until_us))}"


def _antenna(evidence: GateEvidence, seen: AntennaSeen) -> str:
    reads = "" if seen.reads is None else f"{seen.reads} reads"
    peak = "" if seen.peak_dbm is None else f"strongest {seen.peak_dbm:.1f} dBm"
    rise = "" if seen.rise_db is None else f"rise {seen.rise_db:.1f} dB"
    still = "" if seen.phase_still is None else f"phase stillness {seen.phase_still:.2f}"
    told = _words(reads, _words(peak, _at(evidence, "", seen.peak_us), by=" "), rise, still)
    return f"antenna {seen.antenna}, {seen.side}: {told}"


def _group(evidence: GateEvidence, vote: GroupVote) -> str:
    counted = (
        f"{vote.agreeing} of {vote.moving} tags that moved went {vote.direction}, {vote.contrary} the other way"
    )
    return f"group: {_words(counted, _at(evidence, 'crossed', vote.crossed_at_us))}"


def _at(evidence: GateEvidence, word: str, at_us: int | None) -> str:
    """Seconds since the first read; empty where either is not known."""
    if at_us is None or evidence.first_seen_us is None:
        return ""
    return f"{word} at {(at_us - evidence.first_seen_us) / 1e6:.2f} s".strip()


def _words(*words: str, by: str = ", ") -> str:
    return by.join(word for word in words if word)
