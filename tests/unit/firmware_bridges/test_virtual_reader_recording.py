"""Recorded reads: two formats told apart by content, one line at a time, bad lines counted."""

import gzip
import logging
import math
from pathlib import Path

import pytest

from firmware_bridges.virtual_reader.messages import Device
from firmware_bridges.virtual_reader.recording import Recording, UnreadableRecording, microseconds
from firmware_bridges.virtual_reader.sighting import Sighting
from tests.llrp_makers import shared

CHANNELS = Device().channels_khz
EMSE = """\
// 06/01/2023 16:25:36
// Timestamp, EPC, TID, Antenna, RSSI, Frequency, Hostname, PhaseAngle, DopplerFrequency
2023-01-06T17:01:31.2429680+01:00;AD3830770CCDD0AD383004B1;;1;-63,5;866,3;169.254.1.1;1,25;
2023-01-06T17:01:31.2440390+01:00;AD3830770CCDD0AD383004B3;;2;-60;865,7;169.254.1.1;;
"""
GENERIC = """\
rssi_dbm,time,epc,antenna,note,phase_rad,channel_mhz
-63.5,2023-01-06T16:01:31.242968Z,ad3830770ccdd0ad383004b1,1,hello,1.25,866.3
-60,2023-01-06T17:01:31.244039+01:00,AD3830770CCDD0AD383004B3,2,"a, b",,865.7
"""
AT_US = microseconds("2023-01-06T16:01:31.242968Z")
EXPECTED = [
    Sighting(AT_US, "AD3830770CCDD0AD383004B1", 1, -63.5, 2, 1.25),
    Sighting(AT_US + 1071, "AD3830770CCDD0AD383004B3", 2, -60.0, 1, None),
]


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("text", [EMSE, GENERIC, EMSE.replace("\n", "\r\n"), "\ufeff" + GENERIC])
@pytest.mark.parametrize("packed", [False, True])
def test_both_formats_are_told_apart_by_their_content(tmp_path, text, packed):
    data = gzip.compress(text.encode()) if packed else text.encode()
    recording = Recording(write(tmp_path / "reads.bin", data), CHANNELS)
    assert list(recording) == EXPECTED
    assert (recording.read, recording.unreadable) == (2, 0)


def test_a_time_is_read_to_the_microsecond_in_its_zone():
    assert microseconds("1970-01-01T00:00:00.000001Z") == 1
    assert microseconds("1970-01-01T08:00:00+08:00") == 0
    with pytest.raises(ValueError, match="expected a time with its zone"):
        microseconds("1970-01-01T08:00:00")


def test_lines_that_are_no_reads_are_left_out_counted_and_the_first_are_named(tmp_path, caplog):
    bad = [
        "2023-01-06T17:01:31;AD38;;1;-63;865,7;h;;",
        "2023-01-06T17:01:31Z;XYZ;;1;-63;865,7;h;;",
        "2023-01-06T17:01:31Z;AD38;;0;-63;865,7;h;;",
        "2023-01-06T17:01:31Z;AD38;;1;loud;865,7;h;;",
        "2023-01-06T17:01:31Z;AD38;;1;nan;865,7;h;;",
        "2023-01-06T17:01:31Z;AD38;;1",
        "x" * 10_000,
        "2023-01-06T17:01:31Z;" + "AD" * 63 + ";;1;-63;865,7;h;;",
    ]
    recording = Recording(write(tmp_path / "reads.csv", EMSE + "\n".join(bad) + "\n"), CHANNELS)
    with caplog.at_level(logging.WARNING):
        assert list(recording) == EXPECTED
    # The overlong line comes in pieces, each of them unreadable.
    assert recording.unreadable == len(bad) - 1 + 3
    assert len(caplog.records) == 5
    assert "line 5: expected a time with its zone" in caplog.text


def test_a_frequency_outside_the_band_has_no_channel(tmp_path):
    text = EMSE.replace("866,3", "902,75")
    recording = Recording(write(tmp_path / "reads.csv", text), CHANNELS)
    assert [seen.channel for seen in recording] == [None, 1]


def test_phase_is_one_turn_at_most(tmp_path):
    text = GENERIC.replace("1.25", "-1.25")
    first = next(iter(Recording(write(tmp_path / "reads.csv", text), CHANNELS)))
    assert first.phase_rad == pytest.approx(math.tau - 1.25)


def test_tags_of_any_length_are_kept_for_the_gateway_to_judge(tmp_path):
    text = "time,epc,antenna,rssi_dbm\n2023-01-06T16:01:31Z,,1,-60\n2023-01-06T16:01:31Z,ABC,1,-60\n"
    recording = Recording(write(tmp_path / "reads.csv", text), CHANNELS)
    assert [seen.epc for seen in recording] == ["", "ABC"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "expected reads, got an empty file"),
        (b"// only a comment\n", "expected reads, got an empty file"),
        (b"a,b,c\n1,2,3\n", "line 1: expected 9 fields with ';' or a header with time, epc, antenna, rssi_dbm"),
        (b"\xff\xfe\x00\x01" * 10, "can't decode"),
        (b"\x1f\x8b but no gzip", "reads.csv"),
    ],
)
def test_a_file_of_no_known_format_is_refused_when_it_is_opened(tmp_path, content, why):
    with pytest.raises(UnreadableRecording, match=why):
        Recording(write(tmp_path / "reads.csv", content), CHANNELS)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UnreadableRecording, match=r"nothing\.csv"):
        Recording(tmp_path / "nothing.csv", CHANNELS)


def test_of_a_gzip_file_that_was_cut_the_whole_lines_are_played(tmp_path, caplog):
    whole = gzip.compress((EMSE + EMSE.splitlines()[-1] * 1).encode() * 500)
    recording = Recording(write(tmp_path / "reads.gz", whole[: len(whole) // 2]), CHANNELS)
    with caplog.at_level(logging.WARNING):
        played = list(recording)
    assert 0 < len(played) < 1500
    assert "the rest of the file" in caplog.text


@pytest.mark.shared
def test_the_recorded_gate_runs_are_read_whole():
    for run, reads in ((1, 21_565), (3, 16_183), (5, 21_154)):
        recording = Recording(shared(f"gate/emse_run{run}.csv.gz"), CHANNELS)
        seen = list(recording)
        assert (len(seen), recording.unreadable) == (reads, 0)
        assert {sighting.channel for sighting in seen} == {1}
        assert {sighting.antenna for sighting in seen} == {1, 2, 3, 4}
