"""The report on gates counts what it says it counts, and says how much that is."""

from dataclasses import replace
from pathlib import Path

import pytest

from edge.gate_desk.judging import Judged, Outcome
from edge.gate_desk.labels import TagLabels, Truth, read_labels
from edge.gate_desk.recording import read_recording
from firmware_bridges.gate_simulator import scenarios
from firmware_bridges.gate_simulator.simulation import simulate
from tests.gate_report import __main__ as program
from tests.gate_report import likeness, recorded, simulated, standing
from tests.gate_report.replaying import recording_of
from tests.gate_report.tables import rate, share, table


def judged(verdict: str, outcome: Outcome, group: str = "0001", truth: str = "in", reads: int = 30) -> Judged:
    crossings = int(verdict in ("in", "out"))
    return Judged(
        "passes/dense/away/1", "30AA", truth, verdict, outcome, reads, crossings, 0, 9, 5, "why", "tag", group
    )


def test_a_group_is_what_most_of_its_tags_say_when_half_of_them_say_it() -> None:
    right, missed = judged("in", Outcome.RIGHT), judged("undecided", Outcome.UNDECIDED)
    (one,) = simulated.groups([right, right, missed], "passes")
    assert (one.verdict, one.is_right, one.is_false) == ("in", True, False)
    (one,) = simulated.groups([right, missed, missed], "passes")
    assert (one.verdict, one.is_right, one.is_false) == ("no crossing", False, False)
    near = judged("in", Outcome.WRONG, truth="near")
    (one,) = simulated.groups([near, near], "near")
    assert (one.is_right, one.is_false, one.wrong_tags) == (False, True, 2)


def test_both_legs_of_who_turned_back_move_no_stock() -> None:
    legs = replace(judged("in and out", Outcome.WRONG, truth="turned_back"), crossings=2)
    (one,) = simulated.groups([legs, legs], "turn-backs")
    assert (one.is_right, one.is_false) == (False, False)
    third = replace(legs, crossings=3)
    assert simulated.not_crossed([legs, third], "turned_back") == ["50.0 % (9.5 … 90.5), n 2", "50.0 %"]


def test_tags_that_nobody_read_make_no_group_wrong() -> None:
    unread = judged("nothing", Outcome.MISSED, reads=0)
    (one,) = simulated.groups(
        [judged("in", Outcome.RIGHT), judged("in", Outcome.RIGHT), unread, unread, unread], "x"
    )
    assert one.is_right


def test_every_share_has_its_interval_and_nothing_counted_is_a_dash() -> None:
    assert share(99, 100) == "99.0 % (94.6 … 99.82)"
    assert share(0, 0) == "–"
    assert rate(0, 1000.0) == "0 (0 … 0.0037)"
    assert table(["a", ">b"], [["x|y", 1]]).splitlines() == ["| a | b |", "| --- | ---: |", "| x\\|y | 1 |"]


@pytest.mark.slow
def test_a_small_report_holds_every_chapter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(recorded, "FOLDER", tmp_path / "none")
    monkeypatch.setattr(simulated, "KINDS", tuple(replace(kind, events=1) for kind in simulated.KINDS[:3]))
    monkeypatch.setattr(standing, "FIELDS", (replace(standing.FIELDS[1], tags=40, hours=2.0),))
    output = tmp_path / "gate-accuracy.md"
    assert program.main(["--quick", "--output", str(output)]) == 0
    text = output.read_text(encoding="utf-8")
    for chapter in ("Goals, on the simulator", "Groups", "Tags", "Parked goods", "Failures", "Recorded"):
        assert f"# {chapter}\n" in text
    assert "1000 … 1000" in text
    assert "not beside the project" in text


def test_the_simulated_shuttle_is_read_like_the_recorded_one() -> None:
    world = scenarios.shuttle(601, n=6, every_s=13.0)
    movers = frozenset(simulate(world, 601).epcs[:100])
    one = likeness.of("simulated", recording_of(simulate(world, 601), "601"), movers, 6)
    cells = dict(zip(likeness.HEADS[1:], one.cells, strict=True))
    assert 40 <= float(cells[">reads/s"]) <= 110
    assert 3 <= float(cells[">reads of a mover a pass"]) <= 12
    assert 1.4 <= float(cells[">s between reads of a standing tag"]) <= 2.1
    assert 0.7 <= float(cells[">its change within 2 s, dB"]) <= 1.5


@pytest.mark.shared
@pytest.mark.parametrize("number", recorded.RUNS)
def test_the_movers_own_power_shows_twenty_passes_in_each_run(number: int) -> None:
    if not recorded.is_there():
        pytest.skip(f"{recorded.FOLDER} is not beside the project")
    labels = read_labels([str(recorded.FOLDER)])
    assert isinstance(labels, TagLabels)
    passes = recorded.passes_of(read_recording(recorded.FOLDER / f"emse_run{number}.csv.gz"), labels.moving)
    assert [one.truth for one in passes] == [Truth.OUT, Truth.IN] * (recorded.PASSES // 2)
    assert all(one.from_us < one.at_us < one.to_us for one in passes)
