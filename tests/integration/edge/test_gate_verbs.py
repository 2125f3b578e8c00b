"""`tallygate gate` as people call it: the real program on made-up recordings, good ones and bad ones."""

import csv
import gzip
import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from edge.recognition.gate_file import read_gate
from tests.recorded_passes import (
    GATE_TOML,
    NOON_US,
    crossing,
    csv_text,
    emse_text,
    epc,
    iso,
    standing,
    turning_back,
)

CHECKOUT = Path(__file__).resolve().parents[3]
RECORDED = CHECKOUT.parent / "shared" / "data" / "gate"
VERB_TIMEOUT_S = 100
US = 1_000_000
KEYS = {
    "epc",
    "direction",
    "confidence",
    "first",
    "last",
    "reads",
    "reason",
    "crossed_at",
    "decided_by",
    "decided_at",
    "gate",
    "evidence",
}


@dataclass(frozen=True)
class Done:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def gate(*arguments: str | Path | int) -> Done:
    """The program, as a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tallygate", "gate", *map(str, arguments)],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
        timeout=VERB_TIMEOUT_S,
    )
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    path = tmp_path / "gate.toml"
    path.write_text(GATE_TOML, encoding="utf-8")
    return path


def reads_of_an_hour() -> list[Any]:
    """Tags 0 to 4 come in, 5 to 9 go out, each alone; 20 turns back, 30 stands there all the time."""
    reads = []
    for tag in range(10):
        reads += crossing(tag, NOON_US + 60 * tag * US, is_out=tag >= 5)
    return [*reads, *turning_back(20, NOON_US + 660 * US), *standing(30, NOON_US, 700)]


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "reads.csv"
    path.write_text(csv_text(reads_of_an_hour()), encoding="utf-8")
    return path


@pytest.fixture
def truths(tmp_path: Path) -> Path:
    rows = [
        (epc(tag), iso(NOON_US + 60 * tag * US), iso(NOON_US + (60 * tag + 4) * US), "out" if tag >= 5 else "in")
        for tag in range(10)
    ]
    rows.append((epc(20), iso(NOON_US + 660 * US), iso(NOON_US + 664 * US), "turned_back"))
    rows.append((epc(30), iso(NOON_US), iso(NOON_US + 700 * US), "stayed"))
    path = tmp_path / "truths.csv"
    with path.open("w", encoding="utf-8", newline="") as opened:
        csv.writer(opened).writerows([("epc", "from", "to", "truth"), *rows])
    return path


# ── replay ──────────────────────────────────────────────────────────────────────────────────────────


def test_replay_prints_one_array_of_passages_with_the_keys_promised(recording: Path, toml: Path) -> None:
    done = gate("replay", recording, "--format", "generic-csv", "--gate", toml, "--json")
    assert done.status == 0
    passages = done.json
    assert all(set(passage) == KEYS for passage in passages)
    crossed = {p["epc"]: p["direction"] for p in passages if p["direction"] in ("in", "out")}
    assert crossed == {epc(tag): "out" if tag >= 5 else "in" for tag in range(10)}
    first = next(p for p in passages if p["epc"] == epc(0))
    assert (first["reads"], first["gate"]) == (80, "dock-1")
    assert first["first"] == "2026-09-21T14:13:20.000000Z"
    assert first["last"] == "2026-09-21T14:13:23.950000Z"
    assert datetime.fromisoformat(first["first"]).utcoffset() == timedelta(0)
    assert 0 < first["confidence"] <= 1
    assert first["reason"]
    assert {p["direction"] for p in passages} <= {"in", "out", "turned_back", "stayed", "undecided"}


def test_replay_prints_one_row_a_passage(recording: Path, toml: Path) -> None:
    done = gate("replay", recording, "--gate", toml)
    head, *rows = done.out.splitlines()
    assert head.split() == ["epc", "direction", "confidence", "first", "last", "reads", "reason"]
    assert len(rows) == len(gate("replay", recording, "--gate", toml, "--json").json)
    (row,) = [row for row in rows if row.startswith(epc(0))]
    assert row.split()[1] == "in"


def test_emse_needs_no_gate_file_and_says_what_it_assumes(tmp_path: Path, recording: Path, toml: Path) -> None:
    packed = tmp_path / "run.csv.gz"
    packed.write_bytes(gzip.compress(emse_text(reads_of_an_hour()).encode()))
    done = gate("replay", packed, "--format", "emse", "--json")
    assert done.status == 0
    assert "antennas 1, 2 are taken as inside, 3, 4 as outside" in done.err
    plain = gate("replay", recording, "--gate", toml, "--json").json
    said = [(p["epc"], p["direction"], p["first"], p["reads"]) for p in done.json]
    assert said == [(p["epc"], p["direction"], p["first"], p["reads"]) for p in plain]


def test_a_generic_csv_without_a_gate_is_asked_for_one(recording: Path) -> None:
    done = gate("replay", recording)
    assert (done.status, done.out) == (2, "")
    assert "reads.csv: which antennas face inside? Name the gate with --gate gate.toml" in done.err
    assert "[gate.antennas]" in done.err


def test_photo_eyes_are_read_beside_the_reads(tmp_path: Path, recording: Path, toml: Path) -> None:
    eyes = tmp_path / "eyes.csv"
    eyes.write_text(
        f"time,port,state\n{iso(NOON_US + 1_500_000)},1,broken\n{iso(NOON_US + 2_500_000)},1,clear\n",
        encoding="utf-8",
    )
    toml.write_text(GATE_TOML + "[gate.photo_eyes]\ndoor = 1\n", encoding="utf-8")
    done = gate("replay", recording, "--gate", toml, "--eyes", eyes, "--json")
    assert done.status == 0
    assert {p["epc"]: p["direction"] for p in done.json}[epc(0)] == "in"
    eyes.write_text("time,port\n", encoding="utf-8")
    refused = gate("replay", recording, "--gate", toml, "--eyes", eyes)
    assert (refused.status, refused.out) == (2, "")
    assert "eyes.csv: line 1: expected the header time,port,state" in refused.err


def test_every_kind_of_bad_row_is_named_once_and_costs_no_passage(
    tmp_path: Path, recording: Path, toml: Path
) -> None:
    good = recording.read_text(encoding="utf-8")
    bad = [
        "2026-01-06T17:01:31,AD38,1,-63",
        "yesterday,AD38,1,-63",
        "2026-01-06T17:01:31Z,AD3,1,-63",
        "2026-01-06T17:01:31Z,,1,-63",
        "2026-01-06T17:01:31Z,AD38,9,-63",
        "2026-01-06T17:01:31Z,AD38,one,-63",
        "2026-01-06T17:01:31Z,AD38,1,nan",
        "2026-01-06T17:01:31Z,AD38,1,-500",
        "2026-01-06T17:01:31Z,AD38",
    ]
    spoiled = tmp_path / "spoiled.csv"
    spoiled.write_text(good + "\n".join(bad) + "\n", encoding="utf-8")
    done = gate("replay", spoiled, "--gate", toml, "--json")
    assert done.status == 0
    assert done.json == gate("replay", recording, "--gate", toml, "--json").json
    line = len(good.splitlines()) + 1
    for told in (
        f"line {line}, column time: expected a time with its zone, Z or such as +01:00, got '2026-01-06T17:01:31'",
        f"line {line + 1}, column time: expected a time such as",
        f"line {line + 2}, column epc: expected an even number of hex digits, got 'AD3' (2 rows like this)",
        f"line {line + 4}, column antenna: expected one of the gate's antennas 1, 2, 3, 4, got '9'",
        f"line {line + 5}, column antenna: expected a number from 1 to",
        f"line {line + 6}, column rssi_dbm: expected a number of dBm, got 'nan'",
        f"line {line + 7}, column rssi_dbm: expected",
        f"line {line + 8}: expected 4 cells, got 2",
    ):
        assert done.err.count(told) == 1, told


def test_a_wrong_file_or_gate_is_named_and_nothing_is_printed(tmp_path: Path, recording: Path, toml: Path) -> None:
    headless = tmp_path / "headless.csv"
    headless.write_text("a,b\n1,2\n", encoding="utf-8")
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(GATE_TOML.replace("inside", "inner"), encoding="utf-8")
    for arguments, told in (
        ((tmp_path / "nowhere.csv", "--gate", toml), "nowhere.csv: No such file"),
        ((headless, "--gate", toml), "headless.csv: line 1: expected a header with one column time, got none"),
        ((recording, "--format", "emse"), "expected a file of format emse"),
        ((recording, "--gate", tmp_path / "no.toml"), "no.toml cannot be read"),
        (
            (recording, "--gate", wrong),
            "wrong.toml: unknown key gate.antennas.inner: expected one of inside, outside",
        ),
    ):
        done = gate("replay", *arguments)
        assert (done.status, done.out) == (2, "")
        assert told in done.err
        assert "Traceback" not in done.err


def test_what_reads_no_further_is_no_error(recording: Path, toml: Path) -> None:
    command = f"{sys.executable} -m tallygate gate replay {recording} --gate {toml} | head -1"
    done = subprocess.run(
        ["sh", "-c", command], cwd=CHECKOUT, capture_output=True, text=True, check=True, timeout=VERB_TIMEOUT_S
    )
    assert done.stdout.startswith("epc")
    assert "Traceback" not in done.stderr


def test_the_front_of_the_verb_says_what_there_is() -> None:
    assert gate("--help").status == 0
    assert {"replay", "score", "fit", "simulate"} <= set(gate("--help").out.split())
    unknown = gate("replya")
    assert unknown.status == 2
    assert "no command 'replya'" in unknown.err


# ── score ───────────────────────────────────────────────────────────────────────────────────────────


def test_score_judges_events(recording: Path, truths: Path, toml: Path) -> None:
    answer = gate("score", recording, "--labels", truths, "--gate", toml, "--json").json
    rows = {row["truth"]: row for row in answer["rows"]}
    assert {truth: row["n"] for truth, row in rows.items()} == {"in": 5, "out": 5, "turned_back": 1, "stayed": 1}
    assert rows["in"]["right"]["count"] == rows["out"]["right"]["count"] == 5
    assert rows["in"]["right"]["low"] == pytest.approx(0.5655, abs=1e-4)
    assert answer["reads"]["median"] == 80
    assert answer["hold_s"] == 3.0
    assert answer["false_movements"]["tag_hours"] == pytest.approx(700 / 3600)
    text = gate("score", recording, "--labels", truths, "--gate", toml).out
    assert "Gap time (hold): the gate's is 3 s" in text
    assert "Reads of a tag in a pass, aim 24 or more: median 80" in text


def test_score_judges_lists_of_tags(tmp_path: Path, recording: Path, toml: Path) -> None:
    (tmp_path / "labels_moving.csv").write_text("\n".join(map(epc, range(10))), encoding="utf-8")
    (tmp_path / "labels_stationary.csv").write_text(epc(30), encoding="utf-8")
    labels = [f"{name}={tmp_path}/labels_{name}.csv" for name in ("moving", "stationary")]
    answer = gate("score", recording, "--labels", *labels, "--gate", toml, "--json").json
    assert (answer["right"]["count"], answer["right"]["of"]) == (11, 11)
    assert answer == gate("score", recording, "--labels", tmp_path, "--gate", toml, "--json").json
    by_name = gate("score", recording, "--labels", *tmp_path.glob("labels_*.csv"), "--gate", toml)
    assert "Passages of the tags" in by_name.out
    assert "1 tag has no label" in by_name.out


def test_wrong_labels_are_named(tmp_path: Path, recording: Path, truths: Path, toml: Path) -> None:
    wrong = tmp_path / "wrong.csv"
    wrong.write_text(truths.read_text(encoding="utf-8").replace(",in", ",inward", 1), encoding="utf-8")
    done = gate("score", recording, "--labels", wrong, "--gate", toml)
    assert (done.status, done.out) == (2, "")
    assert "wrong.csv: line 2, column truth: expected one of in, out" in done.err
    strangers = tmp_path / "strangers.csv"
    strangers.write_text("epc,from,to,truth\nAD,2020-01-01T00:00:00Z,2020-01-01T00:00:01Z,in\n", encoding="utf-8")
    done = gate("score", recording, "--labels", strangers, "--gate", toml)
    assert done.status == 2
    assert "not one label belongs to" in done.err


# ── fit ─────────────────────────────────────────────────────────────────────────────────────────────


def test_fit_writes_a_gate_that_says_what_it_was_fitted_on(tmp_path: Path, toml: Path) -> None:
    reads, rows = [], ["epc,from,to,truth"]
    for tag in range(40):
        start_us = NOON_US + 20 * tag * US
        reads += crossing(tag, start_us)
        rows.append(f"{epc(tag)},{iso(start_us)},{iso(start_us + 4 * US)},in")
    recording, truths, out = tmp_path / "forty.csv", tmp_path / "forty_truths.csv", tmp_path / "fitted.toml"
    recording.write_text(csv_text(reads), encoding="utf-8")
    truths.write_text("\n".join(rows), encoding="utf-8")
    done = gate("fit", recording, "--labels", truths, "--gate", toml, "--out", out)
    assert done.status == 0, done.err
    written = out.read_text(encoding="utf-8")
    assert written.startswith(
        "# Fitted by `tallygate gate fit` on forty.csv: 40 labelled tags in 4 pieces of time."
    )
    assert read_gate(written, "fitted.toml").name == "dock-1"
    assert "right after, left out:" in done.out
    again = gate("fit", recording, "--labels", truths, "--gate", toml)
    assert again.out.endswith(written)
    assert gate("replay", recording, "--gate", out, "--json").status == 0


def test_fit_says_what_it_lacks(tmp_path: Path, recording: Path, truths: Path, toml: Path) -> None:
    few = gate("fit", recording, "--labels", truths, "--gate", toml)
    assert (few.status, few.out) == (2, "")
    assert "expected at least 30 labelled tags" in few.err
    nowhere = gate("fit", recording, "--labels", truths, "--gate", toml, "--out", tmp_path / "no" / "gate.toml")
    assert nowhere.status == 2
    assert "there is no folder" in nowhere.err


# ── with the simulator, and on real reads ───────────────────────────────────────────────────────────


def test_what_is_simulated_can_be_scored(tmp_path: Path, toml: Path) -> None:
    reads, truths, eyes = (tmp_path / name for name in ("reads.csv", "truths.csv", "eyes.csv"))
    made = gate(
        "simulate",
        "--scenario",
        "passes",
        "--seed",
        7,
        "--events",
        3,
        "--out",
        reads,
        "--labels",
        truths,
        "--eyes",
        eyes,
    )
    assert made.status == 0, made.err
    assert gate("replay", reads, "--gate", toml, "--eyes", eyes, "--json").status == 0
    answer = gate("score", reads, "--labels", truths, "--gate", toml, "--json").json
    assert answer["right"]["of"] == len(truths.read_text(encoding="utf-8").splitlines()) - 1
    assert answer["recordings"][0]["left_out"] == {}
    toml.write_text(GATE_TOML + "[gate.photo_eyes]\ndoor = 1\n", encoding="utf-8")
    watched = gate("score", reads, "--labels", truths, "--gate", toml, "--eyes", eyes, "--json")
    assert watched.json["right"]["of"] == answer["right"]["of"]
    unmatched = gate("score", reads, "--labels", truths, "--gate", toml, "--eyes", eyes, eyes)
    assert unmatched.status == 2
    assert "expected a file of photo-eyes for each of the 1 recordings, got 2" in unmatched.err


@pytest.mark.shared
def test_real_reads_are_scored_with_advice_on_the_session() -> None:
    path = RECORDED / "emse_run3.csv.gz"
    if not path.exists():
        pytest.skip("recorded reads are not here: emse_run3.csv.gz in shared/data/gate")
    answer = gate("score", path, "--labels", RECORDED, "--json").json
    assert (answer["rows"][0]["n"], answer["rows"][1]["n"]) == (100, 71)
    assert answer["recordings"][0]["reader"]["Session"] == "1"
    assert answer["reads"]["median"] < 24
    assert answer["advice"][0].startswith("a tag gives")
    assert answer["silences"]["suggested_s"] == pytest.approx(3.0, abs=0.2)
