"""Reports decoded by their layout say what sllurp makes of them parameter by parameter, whatever comes."""

import struct
from binascii import hexlify

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sllurp.llrp_errors import LLRPError
from sllurp.llrp_proto import Message_struct, Param_struct, decode_all_parameters, decode_TagReportData

from edge.devices import portal, tag_layouts
from edge.devices.tag_layouts import MOST_LAYOUTS, TagLayouts
from edge.devices.tag_reports import EpcData
from firmware_bridges.virtual_reader.messages import Content, ReportContent, TagReportWriter, ro_access_report
from firmware_bridges.virtual_reader.sighting import Sighting
from protocols.llrp import IMPINJ, custom_parameter, message, tlv, tv

EPC = bytes.fromhex("30340a64c0dec0de00000001")
EPC_96, EPC_DATA = tv(13, EPC), tlv(241, struct.pack("!H", 96), EPC)
ANTENNA, RSSI, PHASE = tv(1, b"\x00\x02"), tv(6, b"\xc3"), custom_parameter(IMPINJ, 56, b"\x04\x00")
TID = custom_parameter(IMPINJ, 55, b"\x00\x01\xe2\x80")  # of no single number: sllurp decodes it

SIZES = {1: 2, 2: 8, 3: 8, 4: 8, 5: 8, 6: 1, 7: 2, 8: 2, 9: 4, 10: 2, 11: 2, 12: 2, 14: 2, 16: 4, 18: 4}
numbers = st.sampled_from(sorted(SIZES)).flatmap(
    lambda kind: st.binary(min_size=SIZES[kind], max_size=SIZES[kind]).map(lambda body: tv(kind, body))
)
epcs = st.one_of(
    st.binary(min_size=12, max_size=12).map(lambda epc: tv(13, epc)),
    st.binary(min_size=2, max_size=14).map(lambda body: tlv(241, body)),
)
customs = st.tuples(st.sampled_from((56, 57, 68)), st.binary(min_size=2, max_size=2)).map(
    lambda one: custom_parameter(IMPINJ, *one)
)
strange = st.one_of(st.just(TID), st.binary(max_size=3), st.just(tlv(999, b"\x01\x02")))
bodies = st.lists(st.one_of(numbers, numbers, epcs, customs, strange), max_size=9).map(b"".join)


def layouts() -> TagLayouts:
    return TagLayouts(decode_TagReportData, EpcData)


def outcome(decode, data):
    """What decoding gives, or how it fails; with the bits of an EPC, which are no part of its equality."""
    try:
        tag = decode(data, "TagReportData")
    except (LLRPError, struct.error, ValueError, LookupError, TypeError, AttributeError) as error:
        return type(error), str(error)
    epc = tag[0].get("EPC") if isinstance(tag[0], dict) else None
    return tag, type(epc), getattr(epc, "bits", None)


@given(st.lists(bodies, min_size=1, max_size=12))
def test_whatever_a_tag_is_made_of_it_is_decoded_as_sllurp_does(several):
    learned = layouts()
    for data in several * 2:
        assert outcome(learned.decode, data) == outcome(decode_TagReportData, data)


@given(st.lists(st.tuples(numbers, numbers, epcs, customs).map(b"".join), min_size=1, max_size=6), st.data())
def test_a_tag_with_some_bytes_of_another_is_decoded_as_sllurp_does(several, data):
    learned = layouts()
    for tag in several:
        outcome(learned.decode, tag)
    changed = bytearray(data.draw(st.sampled_from(several)))
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    assert outcome(learned.decode, bytes(changed)) == outcome(decode_TagReportData, bytes(changed))


def test_the_second_tag_of_a_layout_does_not_go_through_sllurp():
    asked = []

    def slowly(data, name):
        asked.append(data)
        return decode_TagReportData(data, name)

    learned = TagLayouts(slowly, EpcData)
    first, second = EPC_96 + ANTENNA + RSSI + PHASE, tv(13, bytes(12)) + tv(1, b"\x00\x04") + RSSI + PHASE
    learned.decode(first)
    assert learned.decode(second)[0] == {
        "EPC": b"00" * 12,
        "EPC-96": b"00" * 12,
        "AntennaID": 4,
        "PeakRSSI": -61,
        "ImpinjRFPhaseAngle": 1024,
    }
    assert asked == [first]


def test_tags_of_one_length_in_another_order_have_layouts_of_their_own():
    learned = layouts()
    for data in (EPC_DATA + ANTENNA + RSSI, RSSI + EPC_DATA + ANTENNA) * 2:
        tag = learned.decode(data)[0]
        assert tag == {"EPC": hexlify(EPC), "AntennaID": 2, "PeakRSSI": -61}
        assert tag["EPC"].bits == 96
    assert learned.learned == 2


def test_what_is_no_single_number_is_left_to_sllurp_every_time():
    learned = layouts()
    for _ in range(3):
        assert learned.decode(EPC_96 + TID)[0] == decode_TagReportData(EPC_96 + TID)[0]
    assert learned.learned == 0


def test_a_reader_with_ever_new_layouts_fills_no_memory():
    learned = layouts()
    for number in range(2 * MOST_LAYOUTS):
        data = EPC_96 + ANTENNA * number
        assert learned.decode(data)[0] == decode_TagReportData(data)[0]
    assert learned.learned == MOST_LAYOUTS


def test_an_epc_too_short_for_its_bits_is_refused_after_others_were_learned():
    portal.decode(message(61, 1, tlv(240, EPC_DATA, ANTENNA)))
    with pytest.raises(portal.UnreadableMessage, match="expected at least 2 bytes of EPCData, got 1"):
        portal.decode(message(61, 1, tlv(240, tlv(241, b"\x00"), ANTENNA)))


# ── whole reports ─────────────────────────────────────────────────────────────────────────────────


def by_sllurp(body: bytes, _: str):
    """As sllurp walks through a report."""
    return dict(decode_all_parameters(body, None, {"TagReportData": []}, ["TagReportData"])[0]), ""


def by_layout(body: bytes, _: str):
    return dict(Message_struct["RO_ACCESS_REPORT"]["decode"](body, "RO_ACCESS_REPORT")), ""


parts = st.one_of(
    bodies.map(lambda body: tlv(240, body)),
    bodies.map(lambda body: tlv(240, body)),
    st.just(tlv(242, b"\x00\x01")),
    st.binary(max_size=5),
)


@given(st.lists(parts, max_size=6).map(b"".join), st.integers(0, 3))
def test_a_report_is_decoded_as_sllurp_does_whole_or_cut_off(body, missing):
    body = body[: len(body) - missing]
    assert outcome(by_layout, body) == outcome(by_sllurp, body)


def test_what_our_reader_writes_is_read_by_layout():
    asked = Content.ANTENNA_ID | Content.PEAK_RSSI | Content.FIRST_SEEN | Content.TAG_SEEN_COUNT
    writer = TagReportWriter(1, ReportContent(selector=asked, phase=True, fine_rssi=True))
    tags = [
        writer.write(Sighting(number * 1000, EPC.hex(), number % 4 + 1, -50.0 - number, 1, 0.5), number * 1000)
        for number in range(5)
    ]
    content = portal.decode(ro_access_report(7, tags)).msgdict["RO_ACCESS_REPORT"]
    assert content["ID"] == 7
    assert [tag["ImpinjPeakRSSI"] for tag in content["TagReportData"]] == [-5000, -5100, -5200, -5300, -5400]
    assert isinstance(Param_struct["TagReportData"]["decode"].__self__, tag_layouts.TagLayouts)
