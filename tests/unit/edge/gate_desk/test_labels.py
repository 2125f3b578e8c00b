"""Labels from lists and from events; a wrong one is refused with its file, line and column."""

from pathlib import Path

import pytest

from edge.gate_desk.labels import Event, Events, TagLabels, Truth, WrongLabels, read_labels

EVENTS = "epc,from,to,truth,group,reads\n"
ROW = "ad38,2026-01-06T16:00:00Z,2026-01-06T16:00:05Z,in,pallet-1,34\n"


def written(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")


def test_lists_are_told_by_name_by_argument_or_by_their_folder(tmp_path: Path) -> None:
    written(tmp_path, labels_moving_a="AD38\r\n", labels_moving_b="ad39\n\n", **{"labels_stationary-q": "AD40"})
    expected = TagLabels(frozenset({"AD38", "AD39"}), frozenset({"AD40"}))
    assert read_labels([str(tmp_path)]) == expected
    assert read_labels([str(path) for path in tmp_path.iterdir()]) == expected
    written(tmp_path, a="AD38\nAD39\n", b="AD40\n")
    assert read_labels([f"moving={tmp_path}/a.csv", f"stationary={tmp_path}/b.csv"]) == expected


def test_events_stand_in_the_order_of_their_beginning(tmp_path: Path) -> None:
    written(tmp_path, truths=EVENTS + ROW + "AD39,2026-01-06T15:59:59+00:00,2026-01-06T16:00:05Z,stayed,,0\n")
    found = read_labels([str(tmp_path / "truths.csv")])
    at_us = 1_767_715_200_000_000
    assert found == Events(
        (
            Event("AD39", at_us - 1_000_000, at_us + 5_000_000, Truth.STAYED),
            Event("AD38", at_us, at_us + 5_000_000, Truth.IN, "pallet-1"),
        )
    )


WRONG = [
    (
        EVENTS + ROW.replace(",in,", ",inward,"),
        "line 2, column truth: expected one of in, out, turned_back, near, stayed",
    ),
    (EVENTS + ROW.replace(",in,", ",moving,"), "column truth: expected one of in"),
    (EVENTS + ROW.replace("05Z", "05"), "line 2, column to: expected a time with its zone"),
    (EVENTS + ROW.replace("16:00:05Z", "15:00:05Z"), "column to: expected a time not before 2026-01-06T16:00:00Z"),
    (EVENTS + ROW.replace("ad38", "ad3"), "line 2, column epc: expected an even number of hex digits"),
    (EVENTS + ROW + "AD39\n", "line 3: expected 6 cells, got 1"),
    ("epc,truth\n", "line 1: expected a header with epc, from, to, truth"),
    ("AD38\nAD39\n", "(or a list named moving=… or stationary=…), got 'ad38'"),
    ("", "line 1: expected a header"),
    (EVENTS, "expected at least one label, got none"),
]


@pytest.mark.parametrize(("text", "told"), WRONG, ids=[told for _, told in WRONG])
def test_a_wrong_event_is_named(tmp_path: Path, text: str, told: str) -> None:
    written(tmp_path, truths=text)
    with pytest.raises(WrongLabels) as wrong:
        read_labels([str(tmp_path / "truths.csv")])
    assert told in str(wrong.value)


def test_a_wrong_list_is_named(tmp_path: Path) -> None:
    written(tmp_path, labels_moving="AD38\nAD3\n")
    with pytest.raises(
        WrongLabels, match=r"labels_moving.csv: line 2: expected an even number of hex digits, got 'AD3'"
    ):
        read_labels([str(tmp_path)])


def test_a_tag_cannot_move_and_stand(tmp_path: Path) -> None:
    written(tmp_path, labels_moving="AD38\n", labels_stationary="AD38\n")
    with pytest.raises(WrongLabels, match="got AD38 as both"):
        read_labels([str(tmp_path)])


def test_lists_and_events_are_not_mixed(tmp_path: Path) -> None:
    written(tmp_path, labels_moving="AD38\n", truths=EVENTS + ROW)
    with pytest.raises(WrongLabels, match="got both"):
        read_labels([str(tmp_path / "labels_moving.csv"), str(tmp_path / "truths.csv")])


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(WrongLabels, match=r"nowhere.csv cannot be read"):
        read_labels([str(tmp_path / "nowhere.csv")])
    with pytest.raises(WrongLabels, match="expected files named labels_… in this folder, got none"):
        read_labels([str(tmp_path)])
    with pytest.raises(WrongLabels, match=r"expected moving=FILE, stationary=FILE or FILE, got parked=a\.csv"):
        read_labels(["parked=a.csv"])
