"""What a gateway says about a passage, read without trust; and its reasons in sentences, in both languages."""

import ast
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

import edge.recognition
from cloud.api.evidence import EVIDENCE_SCHEMA
from cloud.domain.gate_evidence import ANTENNAS_MAX, POINTS_MAX, GroupVote, SideSeen, read_evidence
from cloud.domain.gate_words import DECIDED_BY, LANGUAGES, REASONS, decided_by_words, reason_sentence
from edge.readings import Direction, Passage, TagRead
from edge.recognition.gate import GateSettings
from edge.recognition.gate_recognition import GateRecognition
from edge.recognition.movement import evidence
from tests.makers import NOON_US, gate_evidence

FLAT = {
    "order": 0.913, "rise_outside_db": 11.0, "rise_inside_db": 9.5, "reads": 57, "reads_outside": 30,
    "reads_inside": 27, "first_seen_us": 5_000_000, "last_seen_us": 9_000_000, "peak_outside_us": 6_000_000,
    "peak_inside_us": None, "decided_by": "tag", "reason": "outside before inside",
}  # fmt: skip


def test_the_evidence_of_a_gateway_of_today_is_read_in_full() -> None:
    said = gate_evidence("out", 60)
    seen = read_evidence(said)
    assert [(one.antenna, one.side, one.reads) for one in seen.antennas] == [
        (1, "inside", 11), (2, "inside", 12), (3, "outside", 13), (4, "outside", 14)
    ]  # fmt: skip
    assert [number for point in seen.antennas[0].course for number in point] == said["antennas"][0]["course"]
    assert seen.antennas[2].phase_still == pytest.approx(0.15)
    assert seen.group == GroupVote("out", said["group"]["crossed_at_us"], 7, 0, 8)
    assert seen.decided_after_ms == 3110
    assert seen.has_course


def test_the_flat_evidence_of_an_older_gateway_is_shown_as_far_as_it_goes() -> None:
    seen = read_evidence(FLAT)
    assert seen.sides == (SideSeen("outside", 30, 11.0, 6_000_000), SideSeen("inside", 27, 9.5, None))
    assert (seen.antennas, seen.group, seen.decided_after_ms, seen.has_course) == ((), None, None, False)
    assert not seen.is_empty
    assert read_evidence({"colour": "red"}).is_empty


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("order", True), ("order", "0.9"), ("order", 10**400), ("reads", -1), ("reason", 7), ("reason", "  "),
        ("antennas", {"antenna": 1}), ("antennas", [{"antenna": 1, "side": "roof"}]), ("antennas", [None, 3]),
        ("group", []), ("group", {"direction": "in"}), ("eyes", "broken"), ("decided_at_us", 10**400),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_left_out(name: str, said: Any) -> None:
    assert read_evidence({name: said}).is_empty


def test_points_of_a_course_that_are_none_are_left_out_and_the_rest_is_in_order() -> None:
    course = [[900, -50], "x", [1], [0, -60.5], [5, None], [7, True], [10**400, -3], [400, -55]]
    seen = read_evidence({"antennas": [{"antenna": 1, "side": "inside", "course": course}]})
    assert seen.antennas[0].course == ((0, -60.5), (400, -55), (900, -50))


def test_a_course_may_be_one_flat_list_or_pairs() -> None:
    courses = (
        [0, -60.5, 400, -55, 900, -50],
        [[0, -60.5], [400, -55], [900, -50]],
        [0, -60.5, 400, -55, 900, -50, 9],
    )
    for course in courses:
        seen = read_evidence({"antennas": [{"antenna": 1, "side": "inside", "course": course}]})
        assert seen.antennas[0].course == ((0, -60.5), (400, -55), (900, -50))


def test_what_the_recognition_of_today_sends_is_read_in_full() -> None:
    """The gateway's own words, not ours of them: whatever it writes has its place on the page."""
    passage = a_passage()
    said = json.loads(json.dumps(evidence(passage)))
    seen, why = read_evidence(said), passage.evidence
    assert [(one.antenna, one.side, one.reads) for one in seen.antennas] == [
        (one.antenna, one.side, one.reads) for one in why.antennas
    ]
    assert [one.course for one in seen.antennas] == [one.course for one in why.antennas]
    assert all(one.course for one in seen.antennas)
    assert (seen.first_seen_us, seen.last_seen_us) == (passage.first_seen_us, passage.last_seen_us)
    assert (seen.reason, seen.decided_by) == (why.reason, why.decided_by)
    assert seen.reason in REASONS
    assert seen.decided_by in DECIDED_BY
    assert seen.decided_after_ms == (why.decided_at_us - passage.last_seen_us) // 1000
    assert said.keys() <= EVIDENCE_SCHEMA["properties"].keys()
    jsonschema.validate(said, EVIDENCE_SCHEMA)


def a_passage() -> Passage:
    """A tag that goes in: 25 reads outside, then 25 inside, each side rising and falling by 12 dB."""
    recognition = GateRecognition(GateSettings("dock-1", inside=frozenset({1}), outside=frozenset({3})))
    reads = [
        TagRead("E280" + "0" * 20, antenna, -48 - 12 * abs(n - 12) / 12, from_us + 80_000 * n)
        for antenna, from_us in ((3, NOON_US), (1, NOON_US + 1_500_000))
        for n in range(25)
    ]
    passages = recognition.feed(sorted(reads, key=lambda read: read.seen_at_us))
    passages += recognition.advance(NOON_US + 60_000_000)
    (passage,) = passages
    assert passage.direction is Direction.IN
    return passage


def test_a_flood_is_cut() -> None:
    antenna = {"antenna": 1, "side": "inside", "course": [[n, -50] for n in range(10_000)]}
    seen = read_evidence({"antennas": [antenna] * 5000, "reason": "x" * 100_000})
    assert len(seen.antennas) == ANTENNAS_MAX
    assert len(seen.antennas[0].course) == POINTS_MAX
    assert seen.reason is not None
    assert len(seen.reason) <= 200


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.sampled_from([*gate_evidence("in"), "antenna",
        "side", "course", "direction", "agreeing", "eyes", "from_us"]), children, max_size=5),
    max_leaves=20,
)  # fmt: skip


@given(json_values)
def test_nothing_that_json_can_hold_does_harm(said: Any) -> None:
    assert read_evidence(said) == read_evidence(said)


@given(st.dictionaries(st.sampled_from([*gate_evidence("in")]), json_values))
def test_no_value_of_a_known_name_does_harm(strange: dict[str, Any]) -> None:
    seen = read_evidence(gate_evidence("in") | strange)
    assert seen.decided_after_ms is None or seen.decided_after_ms >= 0


# ── Words ──


def reasons_of_recognition() -> set[str]:
    """The phrases that stand beside a direction in the sources of the gate's recognition."""
    found = set()
    for path in Path(edge.recognition.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            found |= {text for text in _beside_a_direction(node) if " " in text or text.isalpha()}
    return found


def _beside_a_direction(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Call):
        named = [word.value for word in node.keywords if word.arg == "reason"]
        is_verdict = isinstance(node.func, ast.Name) and node.func.id in ("Verdict", "_not")
        parts = named + (node.args[1:2] if is_verdict else [])
    elif isinstance(node, ast.Tuple) and node.elts and "Direction." in ast.unparse(node.elts[0]):
        parts = node.elts[1:2]
    else:
        return []
    return [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]


def test_every_reason_that_a_gate_gives_has_its_sentence() -> None:
    said = reasons_of_recognition()
    assert {"few reads", "outside before inside"} <= said
    assert said <= REASONS.keys(), f"cloud/domain/gate_words.py lacks {sorted(said - REASONS.keys())}"


@pytest.mark.parametrize("words", [*REASONS.values(), *DECIDED_BY.values()])
def test_every_sentence_stands_in_both_languages(words: Any) -> None:
    assert len({words.of(language).strip() for language in LANGUAGES}) == 2
    assert any("一" <= letter <= "鿿" for letter in words.zh)
    assert not any("一" <= letter <= "鿿" for letter in words.en)


def test_a_count_of_reads_behind_the_reason_is_a_sentence_of_its_own() -> None:
    said = "inside before outside; 1024 of 4100 reads kept"
    assert reason_sentence(said, "en").endswith("it went out. 1024 of 4100 reads were kept for judging.")
    assert reason_sentence(said, "zh").endswith("货物出门。共 4100 次读取，保留 1024 次用于判定。")


def test_a_reason_that_nobody_knows_is_shown_as_it_came() -> None:
    assert reason_sentence("the moon was full", "zh") == "the moon was full"
    assert decided_by_words("oracle", "en") == "oracle"
