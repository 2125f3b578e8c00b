"""EPC memory: the published vectors both ways, what is refused and why, and what always holds."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.epc.decoded import WrongEpc
from protocols.epc.tag_memory import _BY_NAME, SCHEME_NAMES, decode, encode, gtin_of, memories_of, read_uri
from tests.epc_components import NAMES, tag_uri, tags

VECTORS = Path(__file__).parents[4] / ".." / "shared" / "data" / "epc" / "vectors.json"
SPELLINGS = {
    "epc_uri": "epc_uri",
    "tag_uri": "tag_uri",
    "gs1_element_string": "element_string",
    "digital_link": "digital_link",
    "filter": "filter",
    "hostname": "hostname",
}
KITE = "3066C4409047E140075BCD15"  # GTIN 09506000134352, serial 123456789, prefix of 11 digits, filter 3


def _vectors(section: str) -> list[dict[str, Any]]:
    if not VECTORS.exists():
        pytest.skip(f"the shared data folder has no {VECTORS.name}")
    found: list[dict[str, Any]] = json.loads(VECTORS.read_text(encoding="utf-8"))[section]
    assert found
    return found


def _is_classic(vector: dict[str, Any]) -> bool:
    return not vector["scheme"].endswith("+")


# ── The published vectors ──


@pytest.mark.shared
def test_every_published_memory_says_what_is_published_about_it() -> None:
    for vector in _vectors("vectors"):
        decoded = decode(vector["hex"])
        published = {told: vector[key] for key, told in SPELLINGS.items() if key in vector}
        assert {told: getattr(decoded, told) for told in published} == published, vector["id"]
        assert decoded.scheme == vector["scheme"].lower()
        assert decoded.error is None


@pytest.mark.shared
def test_every_published_uri_and_key_is_written_as_published() -> None:
    for vector in filter(_is_classic, _vectors("vectors")):
        decoded = decode(vector["hex"])
        # The standard's own example of ADI prints no more hex digits than it needs; memory has whole words.
        memory = vector["hex"] + "0" * (-len(vector["hex"]) % 4)
        asked: dict[str, Any] = {"scheme": decoded.scheme, "filter_value": decoded.filter}
        assert encode(vector["tag_uri"]) == memory, vector["id"]
        assert encode(vector["epc_uri"], **asked) == memory, vector["id"]
        prefix = vector["epc_uri"].split(":")[4].split(".")[0]
        for key in (decoded.element_string, decoded.digital_link):
            if key is not None:
                assert encode(key, **asked, prefix_digits=len(prefix)) == memory, vector["id"]


@pytest.mark.shared
def test_published_memory_that_must_be_refused_is_refused_with_a_reason() -> None:
    for vector in _vectors("reject_hex"):
        decoded = decode(vector["hex"])
        assert decoded.error, vector["reason"]
        assert (decoded.scheme, decoded.epc_uri, decoded.tag_uri) == (None, None, None)


@pytest.mark.shared
def test_published_uris_that_must_be_refused_are_refused() -> None:
    for vector in _vectors("reject_epc_uri"):
        for way in (read_uri, encode):
            with pytest.raises(WrongEpc, match="expected"):
                way(vector["epc_uri"])


@pytest.mark.shared
def test_every_published_uri_has_its_element_string_also_where_no_tag_carries_it() -> None:
    for vector in _vectors("epc_uri_to_element_string"):
        named = read_uri(vector["epc_uri"])
        assert named.element_string == vector["gs1_element_string"]
        # A serial number may be written with more escapes than it needs, but only one way is canonical.
        assert named.epc_uri == vector["epc_uri"]


# ── What always holds ──


@given(tags())
def test_what_is_written_is_read_back(tag: tuple[str, tuple[str, ...], int]) -> None:
    name, _, filter_value = tag
    uri = tag_uri(*tag)
    memory = encode(uri)
    decoded = decode(memory)
    assert (decoded.error, decoded.tag_uri, decoded.scheme) == (None, uri, name)
    assert len(memory) % 4 == 0
    assert decode(memory.lower()) == decoded
    assert encode(decoded.epc_uri or "", scheme=name, filter_value=filter_value) == memory
    assert read_uri(decoded.epc_uri or "").element_string == decoded.element_string


@given(tags())
def test_a_key_and_its_prefix_length_lead_back_to_the_memory(tag: tuple[str, tuple[str, ...], int]) -> None:
    name, components, filter_value = tag
    memory = encode(tag_uri(*tag))
    decoded = decode(memory)
    for key in (decoded.element_string, decoded.digital_link):
        if key is not None:
            digits = len(components[0])
            assert encode(key, scheme=name, filter_value=filter_value, prefix_digits=digits) == memory


@given(tags())
def test_the_scheme_that_is_chosen_carries_the_same_key(tag: tuple[str, tuple[str, ...], int]) -> None:
    uri = decode(encode(tag_uri(*tag))).epc_uri or ""
    assert decode(encode(uri)).epc_uri == uri


@given(tags())
def test_a_uri_leads_to_every_memory_that_may_hold_it(tag: tuple[str, tuple[str, ...], int]) -> None:
    uri, memory = tag_uri(*tag), encode(tag_uri(*tag))
    assert memories_of(uri) == (memory,)
    assert memory in memories_of(decode(memory).epc_uri or "")


@given(st.text("0123456789ABCDEFabcdef", max_size=140))
def test_no_hex_of_any_length_is_too_much(memory: str) -> None:
    decoded = decode(memory)
    assert decoded.hex in (memory, memory.upper())
    assert (decoded.error is None) == (decoded.scheme is not None)
    gtin_of(memory)


@given(st.sampled_from(NAMES), st.integers(0, 2**216 - 1), st.integers(22, 56))
def test_what_can_be_read_is_written_the_same(name: str, rest: int, count: int) -> None:
    memory = f"{_BY_NAME[name].header:02X}{rest:054X}"[:count]
    decoded = decode(memory)
    if decoded.error is None:
        written = encode(decoded.tag_uri or "")
        assert written.rstrip("0") == memory.rstrip("0")
        assert decode(written).tag_uri == decoded.tag_uri


@given(st.text(max_size=60))
def test_any_text_is_encoded_or_refused(text: str) -> None:
    for start in (
        "",
        "urn:epc:tag:sgtin-198:",
        "urn:epc:id:cpi:",
        "urn:epc:raw:",
        "(01)",
        "https://id.gs1.org/01/",
    ):
        for prefix_digits in (None, 7):
            with suppress(WrongEpc):
                assert decode(encode(start + text, prefix_digits=prefix_digits)).hex


# ── What is refused, or unknown ──


@pytest.mark.parametrize(
    ("memory", "complaint"),
    [
        ("", "hex digits, got none"),
        ("3", "two hex digits of a header, got '3'"),
        ("3066C4409047E140075BCD1G", "hex digits, got '3066C4409047E140075BCD1G'"),
        (" 3066C4409047E140075BCD1", "hex digits"),
        ("0x66C4409047E140075BCD15", "hex digits"),
        (KITE[:-1], "sgtin-96: expected 38 more bits, got 34"),
        (KITE + "0", "sgtin-96: expected 96 bits, or whole words of 16, got 100"),
        (KITE + "00", "sgtin-96: expected 96 bits, or whole words of 16, got 104"),
        (KITE + "0001", "zeros after the EPC, got 0000000000000001"),
        ("FE0000000000000000000000", "header of a scheme, got FE"),
        ("307C00000000000000000000", "partition 0 … 6, got 7"),
        (f"{0x30 << 88 | 6 << 82 | 1_000_000 << 62:024X}", "company prefix of 6 digits, got 1000000"),
        (f"{0x30 << 88 | 6 << 82 | 10_000_000 << 38:024X}", "item reference of 7 digits, got 10000000"),
        ("311BA1B300CE0A6A83000001", "24 reserved bits of zero"),
        ("3666C4409047E159B2C2BF100000000000000000000000000040", "zeros after the EPC"),
        ("3666C4409047E159B2C2BF100000000000000000000000001000", "zeros after the end of a serial number"),
        ("3666C4409047E100000000000000000000000000000000000000", "1 to 20 characters of GS1's set of 82, got ''"),
        ("3666C4409047E140800000000000000000000000000000000000", r"got '\\x01'"),
        ("3F14F4E4E612640000000002", "1 and 1 to 12 digits, got 2"),
        ("3F14F4E4E612640000000001", "1 and 1 to 12 digits, got 1"),
        ("2FF2032533139F4FFFFFFFFF", "CAGE code"),
        ("3B0E0CF5E76C9047759AD00373DC7602E7", "adi-var: expected 6 more bits"),
    ],
)
def test_memory_is_refused_with_what_was_expected_and_what_was_there(memory: str, complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        assert decode(memory).error is None, decode(memory).error


def test_memory_of_more_whole_words_than_the_epc_needs_is_read_when_they_are_zeros() -> None:
    assert decode(KITE + "0000").epc_uri == decode(KITE).epc_uri
    assert decode(KITE + "00000000").epc_uri == decode(KITE).epc_uri


@pytest.mark.parametrize("memory", ["E28011606000020495A10B7C", "000000000000000000000000", "E2801160"])
def test_memory_that_nobody_has_written_an_epc_to_is_unknown_and_keeps_its_hex(memory: str) -> None:
    decoded = decode(memory)
    assert (decoded.hex, decoded.scheme, decoded.epc_uri) == (memory, None, None)
    assert decoded.tag_uri == f"urn:epc:raw:{4 * len(memory)}.x{memory}"
    assert decoded.error is not None
    assert decoded.error.startswith("unknown")
    assert encode(decoded.tag_uri) == memory


@pytest.mark.parametrize(
    ("text", "asked", "complaint"),
    [
        ("", {}, "element string or a Digital Link"),
        ("urn:epc:id:sgtin:0614141.812345.6789", {"scheme": "sgtin-97"}, "as scheme, got 'sgtin-97'"),
        ("urn:epc:id:sgtin:0614141.812345.6789", {"filter_value": 8}, "filter value 0 … 7, got 8"),
        ("urn:epc:id:gid:1.2.3", {"filter_value": 1}, "no filter value, got 1"),
        ("urn:epc:id:sgtin:0614141.812345.32a", {"scheme": "sgtin-96"}, "without leading zeros, got '32a'"),
        ("urn:epc:id:sgtin:0614141.812345.6789", {"scheme": "sscc-96"}, "urn:epc:id:sscc for sscc-96"),
        ("urn:epc:tag:sgtin-96:0.0614141.812345.6789", {"filter_value": 1}, "the tag URI, 0, got 1"),
        ("urn:epc:tag:sgtin-96:0.0614141.812345.6789", {"scheme": "sgtin-198"}, "tag URI of sgtin-198"),
        ("urn:epc:tag:sgtin-96:8.0614141.812345.6789", {}, "filter value 0 … 7, got 8"),
        ("urn:epc:tag:sgtin-96:01.0614141.812345.6789", {}, "filter value as the first component"),
        ("urn:epc:tag:sgtin-64:0.0614141.812345.6789", {}, "got 'sgtin-64'"),
        ("urn:epc:id:sgtin:0614141.812345.%41", {}, "as escape, got '%41'"),
        ("urn:epc:id:sgtin:0614141.812345.a%2", {}, "as escape, got '%2'"),
        ("urn:epc:id:sgtin:0614141.812345.a/b", {}, "expected %2F for /"),
        ("urn:epc:id:sgtin:0614141.812345", {}, "3 components"),
        ("urn:epc:id:sgtin:0614141.812345.Größe", {}, "characters of GS1's set of 82"),
        ("urn:epc:id:sgtin:٠614141.812345.1", {}, "company prefix of 6 to 12 digits"),
        ("urn:epc:id:ginc:0614141.xyz3311cba", {}, "urn:epc:id:ginc, which has no tag encoding"),
        ("urn:epc:class:lgtin:4012345.012345.998877", {}, "no tag encoding"),
        ("urn:epc:raw:96.xE2801160", {}, "as many hex digits"),
        ("(01)09506000134353(21)1", {"prefix_digits": 11}, "check digit is right"),
        ("(01)09506000134352", {"prefix_digits": 11}, r"expected \(01\)\(21\)"),
        ("(01)09506000134352(21)1(17)261231", {"prefix_digits": 11}, "AIs of one key"),
        ("(01)09506000134352(21)1", {"prefix_digits": 13}, "got 13 digits"),
        ("(01)09506000134352(21)1", {"scheme": "sgtin-96"}, "number of digits of the company prefix"),
        ("urn:epc:id:gid:1.2.3", {"scheme": "sgtin+"}, "GS1 key for a \\+ scheme"),
    ],
)
def test_what_cannot_be_written_is_refused_with_its_reason(
    text: str, asked: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(WrongEpc, match=complaint):
        encode(text, **asked)


# ── Choices ──


@pytest.mark.parametrize(
    ("uri", "scheme"),
    [
        ("urn:epc:id:sgtin:0614141.812345.274877906943", "sgtin-96"),
        ("urn:epc:id:sgtin:0614141.812345.274877906944", "sgtin-198"),
        ("urn:epc:id:sgtin:0614141.812345.01", "sgtin-198"),
        ("urn:epc:id:sgln:0614141.12345.0", "sgln-96"),
        ("urn:epc:id:grai:0614141.12345.A1", "grai-170"),
        ("urn:epc:id:giai:0614141.012", "giai-202"),
        ("urn:epc:id:gdti:0614141.12345.007", "gdti-174"),
        ("urn:epc:id:cpi:0614141.123ABC.1", "cpi-var"),
        ("urn:epc:id:itip:4012345.012345.01.02.987", "itip-110"),
    ],
)
def test_the_shortest_scheme_that_can_carry_it_is_taken(uri: str, scheme: str) -> None:
    assert decode(encode(uri)).scheme == scheme


def test_a_key_without_the_length_of_its_prefix_goes_into_a_plus_scheme() -> None:
    decoded = decode(encode("(01)09506000134352(21)123456789"))
    assert (decoded.scheme, decoded.element_string) == ("sgtin+", "(01)09506000134352(21)123456789")


def test_an_epc_uri_can_be_written_into_a_plus_scheme() -> None:
    decoded = decode(encode("urn:epc:id:sscc:952012.03456789123", scheme="SSCC+", filter_value=2))
    assert (decoded.scheme, decoded.filter, decoded.element_string) == ("sscc+", 2, "(00)095201234567891235")


def test_a_place_without_extension_has_the_extension_zero() -> None:
    assert decode(encode("(414)9521141123454", prefix_digits=7)).epc_uri == "urn:epc:id:sgln:9521141.12345.0"


def test_lower_case_escapes_are_read() -> None:
    assert read_uri("urn:epc:id:sgtin:95060001343.05.32a%2fb").epc_uri == "urn:epc:id:sgtin:95060001343.05.32a%2Fb"


def test_every_scheme_has_a_name_of_its_own() -> None:
    assert len(set(SCHEME_NAMES)) == len(SCHEME_NAMES)
    assert set(NAMES) == set(_BY_NAME)


# ── The piece that a tag stands on ──


@pytest.mark.parametrize(
    ("text", "scheme"),
    [
        ("(01)09506000134352(21)123456789", "sgtin-96"),
        ("(01)09506000134352(21)32a/b", "sgtin-198"),
        ("(01)09506000134352(21)32a/b", "sgtin+"),
        ("(01)09506000134352(21)32a/b(17)261231", "dsgtin+"),
        ("(8006)095060001343520101(21)7", "itip-110"),
        ("(8006)095060001343520101(21)7x", "itip-212"),
        ("(8006)095060001343520101(21)7x", "itip+"),
    ],
)
def test_a_trade_items_tag_tells_its_gtin_whatever_its_scheme(text: str, scheme: str) -> None:
    memory = encode(text, scheme=scheme, prefix_digits=11)
    assert gtin_of(memory) == gtin_of(memory.lower()) == "09506000134352"


def test_a_double_plus_tag_tells_its_gtin() -> None:
    assert gtin_of("FD3795211411234538566CB0AFC5232F8C3B786CCB6C") == "79521141123453"


@pytest.mark.parametrize("scheme", ["itip-110", "itip+"])
def test_one_part_of_several_is_not_the_piece(scheme: str) -> None:
    assert gtin_of(encode("(8006)095060001343520102(21)7", scheme=scheme, prefix_digits=11)) is None


@pytest.mark.parametrize(
    "memory",
    [
        "",
        "3",
        "30",
        "F7",
        KITE[:-1],
        KITE + "00",
        "E28011606000020495A10B7C",
        "311BA1B300CE0A6A83000000",
        "F7zz",
        "30zz",
    ],
)
def test_what_is_no_trade_items_tag_has_no_gtin(memory: str) -> None:
    assert gtin_of(memory) is None


def test_longer_memory_tells_the_same_gtin() -> None:
    assert gtin_of(KITE + "0000") == gtin_of(KITE) == "09506000134352"
