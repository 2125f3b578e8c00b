"""Reports become reads; what is no read is counted by its fault, named once, and costs its neighbours nothing."""

import base64
import json
import logging
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sllurp.llrp import LLRPMessage

from edge.devices.reader_clock import Arrival, ReaderClock
from edge.devices.tag_reports import EpcData, TagReports
from edge.readings import TagRead
from protocols.llrp import message
from tests.llrp_makers import shared

NOW_US = 1_790_000_000_000_000
ARRIVAL = Arrival(NOW_US, 0)
TAG = {
    "EPC": b"30340a64c0dec0de00000001",
    "AntennaID": 2,
    "PeakRSSI": -61,
    "ChannelIndex": 3,
    "FirstSeenTimestampUTC": NOW_US - 400,
    "LastSeenTimestampUTC": NOW_US - 400,
    "TagSeenCount": 1,
}
READ = TagRead("30340A64C0DEC0DE00000001", 2, -61.0, NOW_US - 400, None, 3)


def reports(antennas=(1, 2, 3, 4)) -> TagReports:
    clock = ReaderClock()
    clock.connected(NOW_US - 1000, Arrival(NOW_US - 1000, -1000))
    return TagReports("portal dock", antennas, clock)


def tag(**changes) -> dict:
    return {name: value for name, value in {**TAG, **changes}.items() if value is not None}


def test_a_report_becomes_reads_in_its_order():
    assert reports().read([tag(), tag(AntennaID=4)], ARRIVAL) == [
        READ,
        TagRead(READ.epc, 4, -61.0, READ.seen_at_us, None, 3),
    ]


def test_phase_and_fine_rssi_are_used_where_the_reader_gives_them():
    (read,) = reports().read([tag(ImpinjRFPhaseAngle=1024, ImpinjPeakRSSI=-6137)], ARRIVAL)
    assert read.phase_rad == pytest.approx(math.pi / 2)
    assert read.rssi_dbm == -61.37


def test_a_report_that_sums_up_sightings_is_dated_at_their_middle():
    (read,) = reports().read([tag(FirstSeenTimestampUTC=NOW_US - 1000, TagSeenCount=5)], ARRIVAL)
    assert read.seen_at_us == NOW_US - 700


def test_one_of_the_two_stamps_is_enough_and_uptime_stands_in_for_utc():
    assert reports().read([tag(FirstSeenTimestampUTC=None)], ARRIVAL) == [READ]
    assert reports().read([tag(LastSeenTimestampUTC=None)], ARRIVAL) == [READ]
    clock = ReaderClock()
    clock.connected(5_000_000, Arrival(NOW_US - 600, 0))
    uptime = tag(FirstSeenTimestampUTC=None, LastSeenTimestampUTC=None, LastSeenTimestampUptime=5_000_200)
    assert TagReports("portal dock", (2,), clock).read([uptime], ARRIVAL) == [READ]


@pytest.mark.parametrize("digits", [b"e2801160600002061234", b"e280", b"e28011052000" * 2, b"30" * 32, b"ab" * 62])
def test_any_memory_of_whole_words_is_a_tag(digits):
    (read,) = reports().read([tag(EPC=digits)], ARRIVAL)
    assert read.epc == digits.decode().upper()


@pytest.mark.parametrize(
    ("changes", "kind", "why"),
    [
        ({"EPC": b""}, "empty_epc", "antenna 2: .* got 0 bits"),
        ({"EPC": None}, "empty_epc", "got 0 bits"),
        ({"EPC": EpcData(b"\x00\x00")}, "empty_epc", "got 0 bits"),
        ({"EPC": EpcData(b"\x00\x00\x30\x34")}, "wrong_epc", "got 0 bits in b'3034'"),
        ({"EPC": b"30340a"}, "wrong_epc", "expected 1 to 31 words of 16 bits, got 24 bits in b'30340a'"),
        ({"EPC": b"30" * 64}, "wrong_epc", "got 512 bits"),
        ({"EPC": EpcData(b"\x00\x5a" + bytes(12))}, "wrong_epc", "got 90 bits in b'0000"),
        ({"EPC": EpcData(b"\x00\x60" + bytes(10))}, "wrong_epc", "got 96 bits in b'0000"),
        ({"AntennaID": 9}, "unknown_antenna", r"expected antenna \[1, 2, 3, 4\], got 9"),
        ({"AntennaID": None}, "unknown_antenna", "got None"),
        ({"PeakRSSI": 127}, "rssi_out_of_range", "expected -110 to 0 dBm, got 127.0"),
        ({"PeakRSSI": -128}, "rssi_out_of_range", "got -128.0"),
        ({"PeakRSSI": None}, "rssi_out_of_range", "got None"),
        ({"ImpinjPeakRSSI": -32768}, "rssi_out_of_range", "got -327.68"),
    ],
)
def test_what_is_no_usable_read_is_counted_and_named_and_its_neighbours_stay(caplog, changes, kind, why):
    reader = reports()
    with caplog.at_level(logging.WARNING):
        assert reader.read([tag(), tag(**changes), tag(**changes), tag()], ARRIVAL) == [READ, READ]
    assert reader.counts == dict.fromkeys(reader.counts, 0) | {kind: 2}
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"portal dock: {kind}, more like it are only counted: ")
    assert re.search(why, line), line


def test_reads_without_a_time_are_kept_and_dated_by_arrival(caplog):
    reader = reports()
    with caplog.at_level(logging.WARNING):
        (read,) = reader.read([tag(FirstSeenTimestampUTC=None, LastSeenTimestampUTC=None)], ARRIVAL)
    assert read.seen_at_us == NOW_US
    assert "1 reads had no time" in caplog.text


def test_a_fault_is_named_again_on_a_new_connection(caplog):
    reader = reports()
    with caplog.at_level(logging.WARNING):
        reader.read([tag(EPC=b"")], ARRIVAL)
        reader.read([tag(EPC=b"")], ARRIVAL)
        reader.forget_named()
        reader.read([tag(EPC=b"")], ARRIVAL)
    assert len(caplog.records) == 2


@given(
    st.lists(
        st.builds(
            lambda epc, antenna, rssi, fine, first, last, phase: tag(
                EPC=epc.hex().encode() or None,
                AntennaID=antenna,
                PeakRSSI=rssi,
                ImpinjPeakRSSI=fine,
                FirstSeenTimestampUTC=first,
                LastSeenTimestampUTC=last,
                ImpinjRFPhaseAngle=phase,
            ),
            st.binary(max_size=70),
            st.one_of(st.none(), st.integers(0, 65535)),
            st.one_of(st.none(), st.integers(-128, 127)),
            st.one_of(st.none(), st.integers(-32768, 32767)),
            st.one_of(st.none(), st.integers(0, 2**64 - 1)),
            st.one_of(st.none(), st.integers(0, 2**64 - 1)),
            st.one_of(st.none(), st.integers(0, 65535)),
        ),
        max_size=20,
    )
)
def test_every_tag_of_any_report_is_read_or_counted(tags):
    reader = reports()
    found = reader.read(tags, ARRIVAL)
    assert len(found) + sum(reader.counts.values()) == len(tags)
    for read in found:
        assert len(read.epc) % 4 == 0
        assert -110 <= read.rssi_dbm <= 0
        assert read.phase_rad is None or 0 <= read.phase_rad < math.tau


@pytest.mark.shared
@pytest.mark.parametrize("number", range(1, 10))
def test_reports_of_a_real_reader_are_read_as_another_project_reads_them(number):
    body = shared(f"llrp/edgex/ROAccessReport-{number:03}.bytes").read_bytes()
    expected = json.loads(shared(f"llrp/edgex/ROAccessReport-{number:03}.json").read_text())
    decoded = LLRPMessage(msgbytes=message(61, 1, body)).msgdict["RO_ACCESS_REPORT"]["TagReportData"]
    clock = ReaderClock()
    first_us = expected["TagReportData"][0]["FirstSeenUTC"]
    clock.connected(first_us, Arrival(first_us, 0))
    found = TagReports("portal dock", (1,), clock).read(decoded, Arrival(first_us, 0))
    assert found == [
        TagRead(
            base64.b64decode(tag["EPC96"]["EPC"]).hex().upper(),
            tag["AntennaID"],
            float(tag["PeakRSSI"]),
            tag["FirstSeenUTC"],
        )
        for tag in expected["TagReportData"]
    ]
