"""A recording through a gate: the passages that recognition makes of it, as rows and as JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from edge.gate_desk.recording import Recording
from edge.gate_desk.table import table
from edge.readings import Passage
from edge.recognition.gate import GateSettings
from edge.recognition.gate_recognition import GateRecognition
from edge.recognition.movement import evidence

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Replayed:
    """All passages of a recording, in the order in which they were decided.

    counters  recognition's, those above zero
    """

    passages: tuple[Passage, ...]
    counters: dict[str, int]


def replay(recording: Recording, gate: GateSettings) -> Replayed:
    """What `gate` makes of `recording`.

    After the last read time goes on, as it does at a real gate, until whatever is still open has ended by itself.
    """
    recognition = GateRecognition(gate)
    passages: list[Passage] = []
    for chunk in recording.chunks():
        passages += recognition.feed(chunk)
    if recognition.clock_us is not None:
        passages += recognition.advance(recognition.clock_us + gate.longest_visit_us + 2 * gate.hold_us)
    passages += recognition.flush()
    return Replayed(tuple(passages), {name: count for name, count in recognition.counters.items() if count})


def as_json(passage: Passage) -> dict[str, Any]:
    """One element of what `gate replay --json` prints."""
    return {
        "epc": passage.epc,
        "direction": passage.direction.value,
        "confidence": round(passage.confidence, 3),
        "first": iso(passage.first_seen_us),
        "last": iso(passage.last_seen_us),
        "reads": passage.reads,
        "reason": passage.evidence.reason,
        "crossed_at": iso(passage.crossed_at_us),
        "decided_by": passage.evidence.decided_by,
        "decided_at": iso(passage.evidence.decided_at_us) if passage.evidence.decided_at_us else None,
        "gate": passage.gate,
        "evidence": evidence(passage),
    }


def as_text(passages: Sequence[Passage]) -> str:
    """One row a passage."""
    return table(
        ("epc", "direction", "confidence", "first", "last", ">reads", "reason"),
        [
            (
                passage.epc,
                passage.direction.value,
                f"{passage.confidence:.2f}",
                iso(passage.first_seen_us),
                iso(passage.last_seen_us),
                str(passage.reads),
                passage.evidence.reason,
            )
            for passage in passages
        ],
    )


def iso(time_us: int) -> str:
    """ISO 8601 in UTC, with microseconds."""
    at = EPOCH + timedelta(microseconds=time_us)
    return at.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
