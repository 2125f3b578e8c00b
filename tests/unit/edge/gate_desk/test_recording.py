"""Recordings: both formats give the same reads; what is wrong is named once, counted, and harms nothing else."""

import gzip
from math import pi
from pathlib import Path

import pytest

from edge.gate_desk.recording import NoRecording, Recording, read_eyes, read_recording
from edge.readings import EyeChange, TagRead
from tests.recorded_passes import NOON_US, crossing, csv_text, emse_text

HEAD = "time,epc,antenna,rssi_dbm\n"
GOOD = "2026-01-06T17:01:31.25+01:00,AD38,1,-63.5\n"
SHARED = Path(__file__).parents[4] / ".." / "shared" / "data" / "gate"


def recorded(tmp_path: Path, text: str, name: str = "reads.csv", **how: object) -> Recording:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return read_recording(path, **how)  # type: ignore[arg-type]


def test_both_formats_say_the_same(tmp_path: Path) -> None:
    reads = crossing(1, NOON_US)
    plain = recorded(tmp_path, csv_text(reads))
    emse = recorded(tmp_path, emse_text(reads), "reads.txt")
    assert plain.sightings == reads
    assert [(r.epc, r.antenna, r.rssi_dbm, r.seen_at_us, r.channel) for r in emse.sightings] == [
        (r.epc, r.antenna, r.rssi_dbm, r.seen_at_us, 865_700) for r in reads
    ]
    assert (plain.format, emse.format) == ("generic-csv", "emse")
    assert emse.reader["Session"] == "1"
    assert emse.reader["AntennaIDs"] == "1,2,3,4"
    assert plain.problems == emse.problems == ()


def test_a_packed_file_is_read_as_well(tmp_path: Path) -> None:
    path = tmp_path / "reads.csv.gz"
    path.write_bytes(gzip.compress(csv_text(crossing(1, NOON_US)).encode()))
    assert read_recording(path).sightings == crossing(1, NOON_US)


def test_a_packed_file_that_breaks_off_is_read_until_there(tmp_path: Path) -> None:
    path = tmp_path / "reads.csv.gz"
    path.write_bytes(gzip.compress(csv_text(crossing(1, NOON_US)).encode())[:-20])
    found = read_recording(path)
    assert found.counters["cut_off"] == 1
    assert found.sightings == crossing(1, NOON_US)[: len(found)]


TIMES = [
    ("2026-01-06T17:01:31.2429687+01:00", 1_767_715_291_242_968),
    ("2026-01-06T16:01:31.242968Z", 1_767_715_291_242_968),
    ("2026-01-06 16:01:31+00:00", 1_767_715_291_000_000),
    ("2026-01-06T16:01:31.5Z", 1_767_715_291_500_000),
    ("2026-01-06T16:01:31,25Z", 1_767_715_291_250_000),
    ("20260106T160131Z", 1_767_715_291_000_000),
    ("2026-01-06T16:01Z", 1_767_715_260_000_000),
    ("1969-12-31T23:59:59.25Z", -750_000),
]


@pytest.mark.parametrize(("stamp", "time_us"), TIMES, ids=[stamp for stamp, _ in TIMES])
def test_times_keep_their_microseconds_and_their_zone(tmp_path: Path, stamp: str, time_us: int) -> None:
    (read,) = recorded(tmp_path, HEAD + f'"{stamp}",AD38,1,-63.5\n').sightings
    assert read.seen_at_us == time_us


def test_columns_stand_in_any_order_and_phase_and_channel_are_kept(tmp_path: Path) -> None:
    found = recorded(
        tmp_path,
        "RSSI_dBm, phase_rad ,epc,antenna,time,channel_mhz\n"
        "-60,-1.5,ad38,2,2026-01-06T16:01:31Z,865.7\n"
        "-61,,AD38,2,2026-01-06T16:01:32Z,\n",
    )
    assert found.sightings == [
        TagRead("AD38", 2, -60.0, 1_767_715_291_000_000, pytest.approx(2 * pi - 1.5), 865_700),
        TagRead("AD38", 2, -61.0, 1_767_715_292_000_000),
    ]


def test_rows_out_of_order_are_sorted_and_it_is_said(tmp_path: Path) -> None:
    reads = crossing(1, NOON_US)
    lines = csv_text(reads).splitlines()
    found = recorded(tmp_path, "\n".join([lines[0], *reversed(lines[1:])]))
    assert found.sightings == reads
    assert found.notes == ("the rows are not in the order of time (79 steps back): they are sorted",)


BAD = [
    (
        "2026-01-06T17:01:31,AD38,1,-63",
        "no_zone",
        "column time: expected a time with its zone, Z or such as +01:00",
    ),
    ("yesterday,AD38,1,-63", "wrong_time", "column time: expected a time such as 2026-01-31T08:15:00.250+01:00"),
    ("2026-13-06T17:01:31Z,AD38,1,-63", "wrong_time", "got '2026-13-06T17:01:31Z'"),
    (
        "2026-01-06T17:01:31Z,AD3,1,-63",
        "wrong_epc",
        "column epc: expected an even number of hex digits, got 'AD3'",
    ),
    ("2026-01-06T17:01:31Z,,1,-63", "wrong_epc", "got ''"),
    ("2026-01-06T17:01:31Z,XY,1,-63", "wrong_epc", "got 'XY'"),
    (
        "2026-01-06T17:01:31Z,AD38,0,-63",
        "wrong_antenna",
        "column antenna: expected a number from 1 to 65535, got '0'",
    ),
    ("2026-01-06T17:01:31Z,AD38,two,-63", "wrong_antenna", "got 'two'"),
    (
        "2026-01-06T17:01:31Z,AD38,7,-63",
        "unknown_antenna",
        "expected one of the gate's antennas 1, 2, 3, 4, got '7'",
    ),
    ("2026-01-06T17:01:31Z,AD38,1,nan", "unreadable", "column rssi_dbm: expected a number of dBm, got 'nan'"),
    ("2026-01-06T17:01:31Z,AD38,1,", "unreadable", "got ''"),
    ("2026-01-06T17:01:31Z,AD38,1,-300", "rssi_out_of_range", "dBm, got '-300'"),
    ("2026-01-06T17:01:31Z,AD38,1,63.5", "rssi_out_of_range", "dBm, got '63.5'"),
    ("2026-01-06T17:01:31Z,AD38,1", "wrong_row", "expected 4 cells, got 3"),
    ("2026-01-06T17:01:31Z,AD38,1,-63,5", "wrong_row", "expected 4 cells, got 5"),
]


@pytest.mark.parametrize(("row", "kind", "told"), BAD, ids=[f"{kind} {row}" for row, kind, _ in BAD])
def test_a_bad_row_is_counted_and_named_and_the_rest_is_used(
    tmp_path: Path, row: str, kind: str, told: str
) -> None:
    found = recorded(tmp_path, HEAD + GOOD + row + "\n" + GOOD + row + "\n", antennas=frozenset({1, 2, 3, 4}))
    assert found.counters == {"reads": 2, kind: 2}
    (problem,) = found.problems
    assert told in str(problem)
    assert str(problem).startswith("line 3")
    assert str(problem).endswith("(2 rows like this)")


def test_a_bad_phase_or_channel_costs_no_read(tmp_path: Path) -> None:
    head = HEAD.strip() + ",phase_rad,channel_mhz\n"
    found = recorded(tmp_path, head + GOOD.strip() + ",180,865700\n")
    assert found.sightings == [TagRead("AD38", 1, -63.5, 1_767_715_291_250_000)]
    assert found.counters == {"reads": 1, "wrong_phase": 1, "wrong_channel": 1}


def test_bytes_that_are_no_text_spoil_one_row_only(tmp_path: Path) -> None:
    path = tmp_path / "reads.csv"
    path.write_bytes((HEAD + GOOD).encode() + b"\xff\x00\xfe,AD38,1,-63\n" + GOOD.encode())
    assert read_recording(path).counters == {"reads": 2, "wrong_time": 1}


REFUSED = [
    ("", "expected a header, got nothing"),
    ("epc,antenna,rssi_dbm\nAD38,1,-6\n", "line 1: expected a header with one column time, got none in"),
    ("time;epc;antenna;rssi_dbm\n", "expected a header with one column time, got none"),
    ("time,time,epc,antenna,rssi_dbm\n", "expected a header with one column time, got several"),
    ("// a comment\n2026;AD38;;1;-63\n", "expected a comment that names the columns"),
    ("// Timestamp, EPC, TID, RSSI\n", "line 1: expected a header with one column antenna, got none"),
    (HEAD + "yesterday,AD38,1,-63\n", "not one of the 1 rows can be used: line 2, column time"),
]


@pytest.mark.parametrize(("text", "told"), REFUSED, ids=[told for _, told in REFUSED])
def test_a_file_that_is_no_recording_is_refused_by_name(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(NoRecording) as refused:
        recorded(tmp_path, text)
    assert told in str(refused.value)
    assert str(tmp_path / "reads.csv") in str(refused.value)


def test_a_file_of_the_other_format_or_none_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoRecording, match="expected a file of format emse, got one that has no comment"):
        recorded(tmp_path, HEAD + GOOD, form="emse")
    with pytest.raises(NoRecording, match="No such file"):
        read_recording(tmp_path / "nowhere.csv")
    with pytest.raises(NoRecording, match="directory"):
        read_recording(tmp_path)


def test_a_recording_of_nothing_is_none_the_less_one(tmp_path: Path) -> None:
    found = recorded(tmp_path, HEAD)
    assert len(found) == 0
    assert [one for chunk in found.chunks() for one in chunk] == []


@pytest.mark.parametrize("at_once", [1, 7, 5000])
def test_photo_eyes_stand_among_the_reads_in_time(tmp_path: Path, at_once: int) -> None:
    reads = crossing(1, NOON_US)
    eyes = tmp_path / "eyes.csv"
    stamps = [reads[0].seen_at_us - 5, reads[10].seen_at_us, reads[-1].seen_at_us + 5]
    eyes.write_text(
        "time,port,state\n"
        + "".join(
            f"{line},{state}\n"
            for line, state in zip(
                (csv_text([TagRead("AD", 1, -50, at)]).splitlines()[1].split(",")[0] + ",1" for at in stamps),
                ("clear", "broken", "clear"),
                strict=True,
            )
        ),
        encoding="utf-8",
    )
    found = recorded(tmp_path, csv_text(reads), eyes=eyes)
    changes = [EyeChange(1, state, at) for state, at in zip((False, True, False), stamps, strict=True)]
    expected = [changes[0], *reads[:10], changes[1], *reads[10:], changes[2]]
    assert [one for chunk in found.chunks(at_once) for one in chunk] == expected


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("port,state\n", "line 1: expected the header time,port,state"),
        ("time,port,state\n2026-01-06T17:01:31Z,1,open\n", "line 2: expected broken or clear, got 'open'"),
        ("time,port,state\n2026-01-06T17:01:31,1,clear\n", "expected a time with its zone"),
        ("time,port,state\n2026-01-06T17:01:31Z,0,clear\n", "expected a number from 1"),
        ("time,port,state\n2026-01-06T17:01:31Z,1\n", "line 2: expected 3 cells, got 2"),
    ],
)
def test_a_wrong_file_of_photo_eyes_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "eyes.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(NoRecording) as refused:
        read_eyes(path)
    assert told in str(refused.value)


def test_a_part_of_a_recording_holds_what_lies_between(tmp_path: Path) -> None:
    reads = crossing(1, NOON_US)
    part = recorded(tmp_path, csv_text(reads)).between(reads[10].seen_at_us, reads[20].seen_at_us, "part")
    assert part.sightings == reads[10:20]
    assert part.name == "part"


@pytest.mark.shared
def test_real_recordings_are_read_whole() -> None:
    path = SHARED / "emse_run1.csv.gz"
    if not path.exists():
        pytest.skip("recorded reads are not here: emse_run1.csv.gz in shared/data/gate")
    found = read_recording(path)
    assert found.counters == {"reads": 21_565}
    assert len(found.epcs) == 175
    assert found.reader["InventoryMode"] == "SingleTarget"
