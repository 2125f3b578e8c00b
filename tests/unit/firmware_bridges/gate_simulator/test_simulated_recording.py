"""Files that the simulator writes are those that the desk reads."""

from pathlib import Path

import pytest

from edge.gate_desk.labels import Events, read_labels
from edge.gate_desk.recording import read_recording
from firmware_bridges.gate_simulator.run import main
from firmware_bridges.gate_simulator.scenarios import passes
from firmware_bridges.gate_simulator.simulation import simulate


def written(folder: Path, *more: str) -> list[Path]:
    folder.mkdir()
    files = [folder / name for name in ("reads.csv", "truths.csv", "eyes.csv")]
    named = [f"--{what}={file}" for what, file in zip(("out", "labels", "eyes"), files, strict=True)]
    assert main(["--scenario", "passes", "--seed", "3", "--events", "4", *named, *more]) == 0
    return files


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    one, other = written(tmp_path / "one"), written(tmp_path / "other")
    assert [file.read_bytes() for file in one] == [file.read_bytes() for file in other]


def test_the_desk_reads_every_row(tmp_path: Path) -> None:
    reads, truths, eyes = written(tmp_path / "files")
    simulated = simulate(passes(3, 4), 3)
    recording = read_recording(reads, eyes=eyes)
    assert not recording.problems
    assert recording.times_us.tolist() == simulated.t_us.tolist()
    labels = read_labels([str(truths)])
    assert isinstance(labels, Events)
    assert {(event.epc, event.truth.value) for event in labels.events} == {
        (simulated.epcs[truth.tag], truth.truth) for truth in simulated.truths
    }


def test_a_folder_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--out", str(tmp_path / "none" / "reads.csv"), "--events", "1"]) == 1
    assert "none" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["--events=0"], ["--seed=-1"], ["--scenario=flying"]])
def test_a_call_that_makes_no_sense_is_refused(tmp_path: Path, wrong: list[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--out", str(tmp_path / "reads.csv"), *wrong])
