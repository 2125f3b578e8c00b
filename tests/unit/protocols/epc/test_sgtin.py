"""SGTIN-96: the published vectors both ways, every partition, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.epc.sgtin import (
    PARTITIONS,
    SERIAL_MAX,
    NotSgtin,
    Sgtin,
    check_digit,
    decode,
    encode,
    gtin_of,
    gtins_of,
    sgtin_of,
)

VECTORS = Path(__file__).parents[4] / ".." / "shared" / "data" / "epc" / "vectors.json"


def _vectors() -> dict[str, Any]:
    if not VECTORS.exists():
        pytest.skip(f"the shared data folder has no {VECTORS.name}")
    document: dict[str, Any] = json.loads(VECTORS.read_text(encoding="utf-8"))
    return document


@pytest.mark.shared
def test_published_vectors_are_read_and_written_back() -> None:
    vectors = [vector for vector in _vectors()["vectors"] if vector["scheme"].upper() == "SGTIN-96"]
    assert len(vectors) >= 4
    for vector in vectors:
        sgtin = decode(vector["hex"])
        assert f"(01){sgtin.gtin}(21){sgtin.serial}" == vector["gs1_element_string"]
        tail = f"{sgtin.filter}.{sgtin.company_prefix}.{sgtin.item_reference}.{sgtin.serial}"
        assert f"urn:epc:tag:sgtin-96:{tail}" == vector["tag_uri"]
        assert encode(sgtin) == vector["hex"]


@pytest.mark.shared
def test_memory_that_the_standard_refuses_has_no_gtin() -> None:
    refused = _vectors()["reject_hex"]
    assert refused
    for vector in refused:
        assert gtin_of(vector["hex"]) is None, vector["reason"]


@pytest.mark.shared
def test_other_schemes_have_no_gtin_here() -> None:
    for vector in _vectors()["vectors"]:
        if vector["scheme"].upper() != "SGTIN-96":
            assert gtin_of(vector["hex"]) is None, vector["id"]


@st.composite
def sgtins(draw: st.DrawFn) -> Sgtin:
    _, prefix_digits, _, reference_digits = draw(st.sampled_from(PARTITIONS))
    return Sgtin(
        filter=draw(st.integers(0, 7)),
        company_prefix=f"{draw(st.integers(0, 10**prefix_digits - 1)):0{prefix_digits}d}",
        item_reference=f"{draw(st.integers(0, 10**reference_digits - 1)):0{reference_digits}d}",
        serial=draw(st.integers(0, SERIAL_MAX)),
    )


@given(sgtins())
def test_what_is_written_is_read_back(sgtin: Sgtin) -> None:
    memory = encode(sgtin)
    assert len(memory) == 24
    assert decode(memory) == sgtin
    assert decode(memory.lower()) == sgtin


@given(st.lists(st.one_of(sgtins().map(encode), st.text("0123456789abcdefABCDEF 30", min_size=22, max_size=26))))
def test_a_batch_has_the_gtin_of_each_that_can_be_read(memories: list[str]) -> None:
    for memory, gtin in zip(memories, gtins_of(memories), strict=True):
        if gtin is None:
            with pytest.raises(NotSgtin):
                decode(memory)
        else:
            assert decode(memory).gtin == gtin


@given(sgtins())
def test_a_gtin_and_its_prefix_length_give_the_key_back(sgtin: Sgtin) -> None:
    assert sgtin_of(sgtin.gtin, len(sgtin.company_prefix), sgtin.serial, sgtin.filter) == sgtin


@pytest.mark.parametrize(
    ("memory", "complaint"),
    [
        ("", "24 hex digits"),
        ("3066C4409047E140075BCD1", "24 hex digits"),
        ("3066C4409047E140075BCD1500", "24 hex digits"),
        ("3066C4409047E140075BCD1G", "24 hex digits"),
        (" 066C4409047E140075BCD15", "24 hex digits"),
        ("E2801160600002084E5A1B2C", "header 30, got 'E2'"),
        ("307C00000000000000000000", "partition 0 … 6, got 7"),
        # Partition 6 holds a prefix of 6 digits in 20 bits, a reference of 7 digits in 24 bits.
        (f"{0x30 << 88 | 6 << 82 | 1_000_000 << 62:024X}", "prefix of 6 digits, got 1000000"),
        (f"{0x30 << 88 | 6 << 82 | 10_000_000 << 38:024X}", "reference of 7 digits, got 10000000"),
    ],
)
def test_other_memory_is_refused_with_both_values(memory: str, complaint: str) -> None:
    with pytest.raises(NotSgtin, match=complaint):
        decode(memory)
    assert gtin_of(memory) is None


@pytest.mark.parametrize(
    ("gtin", "complaint"),
    [
        ("9506000134352", "14 digits"),
        ("09506000134353", "check digit 2 in 09506000134353, got 3"),
        ("0950600013435X", "14 digits"),
    ],
)
def test_a_wrong_gtin_makes_no_key(gtin: str, complaint: str) -> None:
    with pytest.raises(NotSgtin, match=complaint):
        sgtin_of(gtin, 11, 1)


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (("8", "950600013", "0435", "1"), "filter"),
        (("0", "95060", "00134350", "1"), "6 to 12 digits"),
        (("0", "950600013", "435", "1"), "13 digits"),
        (("0", "95060001x", "0435", "1"), "digits as company prefix"),
        (("0", "950600013", "0435", str(SERIAL_MAX + 1)), "serial"),
    ],
)
def test_an_impossible_key_cannot_be_made(wrong: tuple[str, str, str, str], complaint: str) -> None:
    filter_value, prefix, reference, serial = wrong
    with pytest.raises(NotSgtin, match=complaint):
        Sgtin(int(filter_value), prefix, reference, int(serial))


def test_check_digits_follow_the_general_specifications() -> None:
    assert check_digit("629104150021") == "3"  # the worked example of section 7.9
    assert check_digit("0950600013435") == "2"
