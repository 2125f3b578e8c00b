"""LLRP's frames: whole messages come out however the stream was cut, and nonsense is said to be so."""

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.llrp import (
    HEADER,
    MAX_MESSAGE_BYTES,
    Frame,
    FrameSplitter,
    LlrpError,
    MalformedParameter,
    Parameter,
    custom_parameter,
    message,
    read_frame,
    read_parameters,
    tlv,
    tv,
)

MESSAGES = [message(62, 1), message(61, 2, b"\x00" * 30), message(4, 0xFFFF_FFFF, b"abc")]


def test_messages_come_out_whole_byte_by_byte():
    splitter = FrameSplitter()
    found = [whole for byte in b"".join(MESSAGES) for whole in splitter.feed(bytes((byte,)))]
    assert found == MESSAGES
    assert splitter.waiting_bytes == 0


@given(st.lists(st.integers(0, 62), max_size=20))
def test_messages_come_out_whole_wherever_tcp_cut_them(cuts):
    stream = b"".join(MESSAGES)
    splitter = FrameSplitter()
    found = []
    edges = sorted({0, *(cut for cut in cuts if cut < len(stream)), len(stream)})
    for start, end in itertools.pairwise(edges):
        found += splitter.feed(stream[start:end])
    assert found == MESSAGES


@pytest.mark.parametrize("length", [0, 9, MAX_MESSAGE_BYTES + 1, 0xFFFF_FFFF])
def test_a_length_that_cannot_be_breaks_the_stream_after_what_came_whole(length):
    splitter = FrameSplitter()
    found = splitter.feed(MESSAGES[0] + HEADER.pack(1 << 10 | 61, length, 7) + MESSAGES[1])
    assert found == [MESSAGES[0]]
    assert splitter.broken is not None
    assert f"says {length}" in splitter.broken
    assert splitter.feed(MESSAGES[2]) == []


def test_a_half_message_waits_and_says_how_much_of_it_is_there():
    splitter = FrameSplitter()
    assert splitter.feed(MESSAGES[1][:17]) == []
    assert splitter.waiting_bytes == 17


def test_a_frame_is_read_as_it_was_written():
    assert read_frame(message(61, 9, b"xy")) == Frame(61, 1, 9, b"xy")
    with pytest.raises(LlrpError, match="expected at least 10 bytes of message, got 3"):
        read_frame(b"abc")
    with pytest.raises(LlrpError, match="expected a message of 10 bytes as its header says, got 11"):
        read_frame(message(62, 1) + b"x")


def test_parameters_are_read_as_they_were_written():
    written = tlv(240, tv(1, b"\x00\x03")) + tv(6, b"\xc4") + custom_parameter(25882, 56, b"\x01\x02")
    assert read_parameters(written, "here") == [
        Parameter(240, tv(1, b"\x00\x03")),
        Parameter(6, b"\xc4"),
        Parameter(1023, b"\x01\x02", 25882, 56),
    ]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x00", "here: expected 4 bytes of parameter header, got 1"),
        (struct.pack("!HH", 240, 3), "here: parameter 240 expected 4 to 4 bytes, says 3"),
        (struct.pack("!HH", 240, 9) + b"abc", "here: parameter 240 expected 4 to 7 bytes, says 9"),
        (struct.pack("!HHI", 1023, 8, 25882), "here: parameter 1023 expected 12 to 8 bytes, says 8"),
        (b"\x81\x00", "here: TV parameter 1 expected 3 bytes, got 2"),
        (b"\xff\x00\x00", "here: no TV parameter has type 127"),
    ],
)
def test_a_parameter_of_the_wrong_length_is_refused_with_both_numbers(data, why):
    with pytest.raises(MalformedParameter, match=why):
        read_parameters(data, "here")


@given(st.binary(max_size=200))
def test_any_bytes_are_parameters_or_refused(data):
    try:
        parameters = read_parameters(data, "fuzz")
    except MalformedParameter:
        return
    assert sum(len(parameter.body) for parameter in parameters) <= len(data)


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_any_stream_is_followed_or_broken_and_never_more_than_it_was(pieces):
    splitter = FrameSplitter()
    found = [whole for piece in pieces for whole in splitter.feed(piece)]
    stream = b"".join(pieces)
    assert stream.startswith(b"".join(found))
    if splitter.broken is None:
        assert splitter.waiting_bytes == len(stream) - sum(map(len, found))
