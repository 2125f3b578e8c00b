"""Tuning: what holds on recordings left out is taken, what only these recordings say is not, and nothing is random."""

from collections.abc import Callable, Sequence

import pytest

from edge.gate_desk import fit as fitting
from edge.gate_desk.fit import GRID, Labelled, TooLittle, as_text, cut, fit, why
from edge.gate_desk.judging import Judged, Outcome
from edge.gate_desk.labels import Event, Events, TagLabels, Truth
from edge.gate_desk.recording import Recording, read_recording
from edge.readings import Passage, TagRead
from edge.recognition.gate import US, GateSettings
from edge.recognition.gate_file import fields, read_gate, write_gate
from tests.recorded_passes import NOON_US, crossing, csv_text, epc, standing

GATE = GateSettings("dock-1", frozenset({1, 2}), frozenset({3, 4}))
TAGS = 40
Verdict = Callable[[GateSettings, str, int], Outcome]


@pytest.fixture
def part(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    path = tmp_path_factory.mktemp("part") / "part.csv"
    path.write_text(csv_text(crossing(1, NOON_US)), encoding="utf-8")
    return read_recording(path)


def parts_of(part: Recording, many: int) -> list[Labelled]:
    labels = TagLabels(frozenset({epc(1)}), frozenset())
    return [(part.between(NOON_US, NOON_US + 10 * US, f"run{number}"), labels) for number in range(many)]


def decided_by(monkeypatch: pytest.MonkeyPatch, verdict: Verdict) -> None:
    """Instead of recognition, `verdict` says how each of the TAGS tags fares: what is tested here is the search."""

    def judge(recording: Recording, passages: Sequence[Passage], labels: object, slack_us: int) -> list[Judged]:
        (gate,) = {passage.gate for passage in passages}
        settings = read_gate(gates[gate], gate)
        return [
            Judged(
                recording.name, epc(tag), "in", "in", verdict(settings, recording.name, tag), 9, 1, 0, 1, 0, "", ""
            )
            for tag in range(TAGS)
        ]

    gates: dict[str, str] = {}
    real = fitting.replay

    def replay(recording: Recording, gate: GateSettings) -> object:
        gates[gate.name] = write_gate(gate)
        return real(recording, gate)

    monkeypatch.setattr(fitting, "replay", replay)
    monkeypatch.setattr(fitting, "judge", judge)


def test_a_value_that_helps_everywhere_is_taken(part: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    def verdict(gate: GateSettings, recording: str, tag: int) -> Outcome:
        return Outcome.RIGHT if gate.through_rise_db < 4 or tag % 2 else Outcome.MISSED

    decided_by(monkeypatch, verdict)
    found = fit(parts_of(part, 3), GATE)
    assert found.gate.through_rise_db == 3.0
    assert [one.name for one in found.tried if one.after != one.before] == ["through_rise_db"]
    assert (found.start.count, found.fitted.count, found.held_out.count) == (60, 120, 120)
    assert "Changed: through_rise_db 4 → 3." in why(found, ["a.csv", "b.csv", "c.csv"])
    assert "right after, left out:         120 of 120" in as_text(found)


def test_a_value_that_helps_one_recording_only_is_not(part: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without this guard the mean over all three would take it: it helps one more than it harms the others."""

    def verdict(gate: GateSettings, recording: str, tag: int) -> Outcome:
        is_changed = gate.through_rise_db < 4
        if recording == "run0":
            return Outcome.RIGHT if is_changed else Outcome.MISSED
        return Outcome.MISSED if is_changed and tag < 10 else Outcome.RIGHT

    decided_by(monkeypatch, verdict)
    found = fit(parts_of(part, 3), GATE)
    assert found.gate == GATE
    (one,) = [tried for tried in found.tried if tried.name == "through_rise_db"]
    assert (one.best, one.after) == (3.0, 4.0)


def test_a_gain_within_its_noise_is_not_believed(part: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    def verdict(gate: GateSettings, recording: str, tag: int) -> Outcome:
        return Outcome.MISSED if gate.through_rise_db >= 4 and tag == 0 and recording != "run0" else Outcome.RIGHT

    decided_by(monkeypatch, verdict)
    found = fit(parts_of(part, 3), GATE)
    assert found.gate == GATE


def test_a_wrong_movement_costs_more_than_several_undecided(
    part: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A looser gate that decides 4 of 10 more, and makes 1 of 10 wrong, is no better gate."""

    def verdict(gate: GateSettings, recording: str, tag: int) -> Outcome:
        if gate.through_rise_db >= 4:
            return Outcome.UNDECIDED if tag % 10 < 5 else Outcome.RIGHT
        return Outcome.WRONG if tag % 10 < 1 else Outcome.RIGHT

    decided_by(monkeypatch, verdict)
    assert fit(parts_of(part, 3), GATE).gate == GATE


def movers(at_s: Sequence[float], *, tags: int) -> tuple[list[TagRead], list[Event]]:
    reads, events = [], []
    for tag in range(tags):
        for second in at_s:
            from_us = NOON_US + round((second + tag * 0.01) * US)
            reads += crossing(tag, from_us)
            events.append(Event(epc(tag), from_us, from_us + 4 * US, Truth.IN))
    return reads, events


def test_one_recording_is_cut_where_nothing_goes_on(tmp_path_factory: pytest.TempPathFactory) -> None:
    reads, events = movers((0, 10, 20, 30), tags=5)
    events.append(Event(epc(9), NOON_US - US, NOON_US + 40 * US, Truth.STAYED))
    path = tmp_path_factory.mktemp("one") / "one.csv"
    path.write_text(csv_text([*reads, *standing(9, NOON_US, 40)]), encoding="utf-8")
    pieces = cut(read_recording(path), Events(tuple(sorted(events, key=lambda event: event.from_us))))
    assert [recording.name for recording, _ in pieces] == [f"one.csv {number}/4" for number in (1, 2, 3, 4)]
    crossings = [
        [event for event in labels.events if event.truth is Truth.IN]
        for _, labels in pieces
        if isinstance(labels, Events)
    ]
    assert sum(map(len, crossings)) == 20
    assert sum(len(recording) for recording, _ in pieces) == len(reads) + 40
    for (recording, labels), own in zip(pieces, crossings, strict=True):
        assert isinstance(labels, Events)
        for event in own:
            assert recording.times_us[0] <= event.from_us
            assert event.to_us <= recording.times_us[-1] + US


def test_the_same_recordings_make_the_same_gate(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = ("through_rise_db", "order_sure", "hold_s")
    monkeypatch.setattr(fitting, "GRID", {name: GRID[name] for name in few})
    reads, events = movers((0, 10, 20, 30), tags=8)
    path = tmp_path_factory.mktemp("same") / "same.csv"
    path.write_text(csv_text(reads), encoding="utf-8")
    labelled = [(read_recording(path), Events(tuple(sorted(events, key=lambda event: event.from_us))))]
    first, second = fit(labelled, GATE), fit(labelled, GATE)
    assert write_gate(first.gate, why(first, ["same.csv"])) == write_gate(second.gate, why(second, ["same.csv"]))
    assert first.tags == 32
    assert read_gate(write_gate(first.gate, why(first, ["same.csv"])), "gate.toml") == first.gate


def test_too_few_labels_tune_nothing(part: Recording) -> None:
    with pytest.raises(TooLittle, match="expected at least 30 labelled tags in at least 2 recordings"):
        fit(parts_of(part, 3), GATE)


def test_no_parameter_of_the_grid_bounds_memory_or_names_a_wire() -> None:
    assert not {"most_reads", "most_tags", "name", "inside", "outside", "reorder_s", "replay_s"} & set(GRID)
    assert {"hold_s", "through_rise_db", "order_sure"} <= set(GRID) & set(fields())
