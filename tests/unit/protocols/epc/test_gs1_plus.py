"""The + and ++ schemes: published vectors both ways, every scheme with any value, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.epc.decoded import Decoded, WrongEpc
from protocols.epc.gs1_plus import DATE_TYPES, MAX_BITS, SCHEMES, decode_plus, encode_plus
from protocols.epc.gs1_plus_methods import CHARACTERS_39, CHARACTERS_82
from protocols.epc.sgtin import check_digit
from protocols.epc.tag_memory import decode

VECTORS = Path(__file__).parents[4] / ".." / "shared" / "data" / "epc" / "vectors.json"

# Examples of TDS 2.3, annex E.3, as printed where the print is right: the bits, the scheme, the filter value, the
# element string, the hostname. SGTIN++ and DSGTIN++ are printed with another hostname than their bits hold.
EXAMPLES = (
    ("F73795211411234538566CB0AFC4", "sgtin+", 3, "(01)79521141123453(21)32a/b", None),
    ("FB342CDE795211411234538566CB0AFC4", "dsgtin+", 3, "(01)79521141123453(21)32a/b(17)220630", None),
    (
        "FD3795211411234538566CB0AFC525065F1876F0D996D800",
        "sgtin++",
        3,
        "(01)79521141123453(21)32a/b",
        "id.example.com",
    ),
    (
        "FC342CDE795211411234538566CB0AFC525065F1876F0D996D80",
        "dsgtin++",
        3,
        "(01)79521141123453(21)32a/b(17)220630",
        "id.example.com",
    ),
    ("F90095201234567891235", "sscc+", 0, "(00)095201234567891235", None),
    ("EF009520123456789123592832F8C3B786CCB6C0", "sscc++", 0, "(00)095201234567891235", "id.example.com"),
    (
        "E9395211411234548566CB0AFC525065F1876F0D996D8000",
        "sgln++",
        3,
        "(414)9521141123454(254)32a/b",
        "id.example.com",
    ),
    (
        "EB3095211411234548566CB0AFC525065F1876F0D996D800",
        "grai++",
        3,
        "(8003)0952114112345432a/b",
        "id.example.com",
    ),
    ("FA3952114132E83C2BF10", "giai+", 3, "(8004)952114132a/b", None),
    ("F6395211411234540458B8", "gdti+", 3, "(253)95211411234545678", None),
    ("EA395211411234540458BA4A0CBE30EDE1B32DB0", "gdti++", 3, "(253)95211411234545678", "id.example.com"),
    ("F839521141678909509338", "sgcn+", 3, "(255)952114167890904711", None),
    ("F0395211415E87A145BAFB4D19A8C0E4", "cpi+", 3, "(8010)95211415PQ7/Z43(8011)12345", None),
    (
        "E6395211415E87A145BAFB4D19A8C0E64A0CBE30EDE1B32DB000",
        "cpi++",
        3,
        "(8010)95211415PQ7/Z43(8011)12345",
        "id.example.com",
    ),
    (
        "ED309521141123454010266AE27FDF3592832F8C3B786CCB6C00",
        "itip++",
        3,
        "(8006)095211411234540102(21)rif981",
        "id.example.com",
    ),
)


def read(epc_hex: str) -> Decoded:
    return decode_plus(int(epc_hex, 16), 4 * len(epc_hex))


def _document() -> dict[str, Any]:
    if not VECTORS.exists():
        return {"vectors": [], "reject_hex": []}
    document: dict[str, Any] = json.loads(VECTORS.read_text(encoding="utf-8"))
    return document


def plus_vectors() -> list[dict[str, Any]]:
    return [vector for vector in _document()["vectors"] if "+" in vector["scheme"]]


def _element_strings_of_classic_vectors() -> set[str]:
    texts = {vector.get("gs1_element_string") for vector in _document()["vectors"] if "+" not in vector["scheme"]}
    return {text for text in texts if text}


# --- The standard's examples and the collected vectors -------------------------------------------------------------


@pytest.mark.parametrize(("epc_hex", "scheme", "filter_value", "elements", "hostname"), EXAMPLES)
def test_an_example_of_the_standard_goes_both_ways(
    epc_hex: str, scheme: str, filter_value: int, elements: str, hostname: str | None
) -> None:
    got = read(epc_hex)
    assert (got.scheme, got.filter, got.element_string, got.hostname) == (scheme, filter_value, elements, hostname)
    assert (got.epc_uri, got.tag_uri, got.error, got.aidc) == (None, None, None, None)
    written = encode_plus(elements, scheme, filter_value, hostname=hostname)
    assert written.rstrip("0") == epc_hex.rstrip("0")
    assert len(written) % 4 == 0  # whole words of 16 bits
    assert encode_plus(got.digital_link or "", scheme, filter_value, hostname=hostname) == written


@pytest.mark.shared
def test_the_collected_vectors_are_there() -> None:
    if not VECTORS.exists():
        pytest.skip(f"the shared data folder has no {VECTORS.name}")
    assert len(plus_vectors()) >= 20


@pytest.mark.shared
@pytest.mark.parametrize("vector", plus_vectors(), ids=lambda vector: vector["id"])
def test_a_collected_vector_is_read_as_it_says_and_means_the_same_when_written(vector: dict[str, Any]) -> None:
    got = decode(vector["hex"])
    assert got.error is None
    assert got.scheme == vector["scheme"].lower()
    assert got.element_string == vector.get("gs1_element_string", got.element_string)
    assert got.digital_link == vector["digital_link"]
    assert got.hostname == vector.get("hostname")
    assert got.filter == vector.get("filter", got.filter)
    again = encode_plus(got.element_string or "", got.scheme, got.filter, hostname=got.hostname)
    back = read(again)
    assert (back.element_string, back.filter, back.hostname) == (got.element_string, got.filter, got.hostname)
    # v136 has data behind a toggle of 0; v138 spells "A-1" in base 64, where URN Code 40 needs two bits less.
    if vector["id"] not in ("v136", "v138"):
        assert again.rstrip("0") == vector["hex"].rstrip("0")


@pytest.mark.shared
@pytest.mark.parametrize("vector", _document()["reject_hex"], ids=lambda vector: vector["reason"])
def test_collected_memory_to_refuse_is_refused_with_the_reason(vector: dict[str, Any]) -> None:
    got = decode(vector["hex"])
    assert got.error
    assert (got.epc_uri, got.element_string, got.digital_link) == (None, None, None)


@pytest.mark.shared
@pytest.mark.parametrize("text", sorted(_element_strings_of_classic_vectors()))
def test_a_key_of_a_classic_tag_can_move_to_a_plus_tag(text: str) -> None:
    assert read(encode_plus(text)).element_string == text


# --- Any value of every scheme -------------------------------------------------------------------------------------


def digits(least: int, most: int | None = None) -> st.SearchStrategy[str]:
    return st.text("0123456789", min_size=least, max_size=least if most is None else most)


def checked(before: int) -> st.SearchStrategy[str]:
    return digits(before).map(lambda text: text + check_digit(text))


def texts(most: int) -> st.SearchStrategy[str]:
    """Texts of the kinds that the encoding indicators are for, and of all characters."""
    kinds = (
        "0123456789",
        "0123456789ABCDEF",
        "0123456789abcdef",
        "ABCXYZ-.:019",
        "AZaz09-_",
        CHARACTERS_82,
        "()10",
    )
    return st.sampled_from(kinds).flatmap(lambda kind: st.text(kind, min_size=1, max_size=most))


def dates() -> st.SearchStrategy[str]:
    return st.tuples(st.integers(0, 99), st.integers(1, 12), st.integers(0, 28)).map(
        lambda parts: "".join(f"{part:02d}" for part in parts)
    )


PREFIXED = st.tuples(digits(5, 12), st.text(CHARACTERS_82, max_size=18)).map("".join)
PARTS = st.tuples(digits(5, 12), st.text(CHARACTERS_39, max_size=18)).map("".join)
SERIAL = texts(20).map(lambda text: [("21", text)])
KEYS: dict[str, st.SearchStrategy[list[tuple[str, str]]]] = {
    "sgtin": st.tuples(checked(13).map(lambda gtin: [("01", gtin)]), SERIAL).map(lambda two: two[0] + two[1]),
    "dsgtin": st.tuples(checked(13), texts(20), st.sampled_from(DATE_TYPES), dates()).map(
        lambda four: [("01", four[0]), ("21", four[1]), (four[2], four[3])]
    ),
    "sscc": checked(17).map(lambda sscc: [("00", sscc)]),
    "sgln": st.tuples(checked(12), texts(20)).map(lambda two: [("414", two[0]), ("254", two[1])]),
    "grai": st.tuples(digits(12), texts(16)).map(
        lambda two: [("8003", "0" + two[0] + check_digit("0" + two[0]) + two[1])]
    ),
    "giai": PREFIXED.map(lambda giai: [("8004", giai)]),
    "gsrn": checked(17).map(lambda gsrn: [("8018", gsrn)]),
    "gsrnp": checked(17).map(lambda gsrn: [("8017", gsrn)]),
    "gdti": st.tuples(checked(12), texts(17)).map(lambda two: [("253", "".join(two))]),
    "sgcn": st.tuples(checked(12), digits(1, 12)).map(lambda two: [("255", "".join(two))]),
    "itip": st.tuples(checked(13), digits(4), texts(20)).map(
        lambda three: [("8006", three[0] + three[1]), ("21", three[2])]
    ),
    "cpi": st.tuples(PARTS, digits(1, 12)).map(lambda two: [("8010", two[0]), ("8011", two[1])]),
}
HOSTNAMES = st.one_of(
    st.sampled_from(
        (
            "example.com",
            "id.example.com",
            "qr.shop.co.uk",
            "www.firma.de",
            "a.tech",
            "EXAMPLE.ORG",
            "x.com.cn",
            "li.zw",
        )
    ),
    st.text("abcdefghijklmnopqrstuvwxyz0123456789-.", min_size=1, max_size=24),
)


@given(data=st.data(), name=st.sampled_from(sorted(KEYS)), filter_value=st.integers(0, 7), is_double=st.booleans())
def test_any_key_of_every_scheme_survives_the_tag(
    data: st.DataObject, name: str, filter_value: int, is_double: bool
) -> None:
    elements = data.draw(KEYS[name])
    hostname = data.draw(HOSTNAMES) if is_double else None
    scheme = name + ("++" if is_double else "+")
    text = "".join(f"({ai}){value.replace('(', chr(92) + '(')}" for ai, value in elements)
    got = read(encode_plus(text, scheme, filter_value, hostname=hostname))
    assert (got.scheme, got.filter, got.hostname, got.aidc) == (scheme, filter_value, hostname, None)
    # Both texts that were read from the tag write the same tag again.
    for spelling in (got.element_string, got.digital_link):
        assert read(encode_plus(spelling or "", scheme, filter_value, hostname=hostname)) == got
    values = dict(elements)
    for ai, value in values.items():
        assert f"({ai}){value}" in (got.element_string or "").replace("\\(", "(")


@given(
    header=st.sampled_from(sorted(SCHEMES)),
    body=st.binary(min_size=0, max_size=60),
)
def test_memory_of_any_bits_is_read_or_refused_and_nothing_else_happens(header: int, body: bytes) -> None:
    _read_or_refuse(bytes([header]) + body)


@given(data=st.data(), name=st.sampled_from(sorted(KEYS)), is_double=st.booleans(), tail=st.binary(max_size=12))
def test_a_true_key_with_any_bits_behind_it_is_read_or_refused(
    data: st.DataObject, name: str, is_double: bool, tail: bytes
) -> None:
    text = "".join(f"({ai}){value.replace('(', chr(92) + '(')}" for ai, value in data.draw(KEYS[name]))
    hostname = data.draw(HOSTNAMES) if is_double else None
    memory = bytearray.fromhex(encode_plus(text, name + ("++" if is_double else "+"), hostname=hostname)) + tail
    memory[1] |= 0x80 * data.draw(st.booleans())  # the toggle
    place = data.draw(st.integers(8, 8 * len(memory) - 1))
    memory[place // 8] ^= (1 << place % 8) * data.draw(st.booleans())
    _read_or_refuse(bytes(memory))


def _read_or_refuse(memory: bytes) -> None:
    got = decode(memory.hex())
    if got.error is not None:
        assert got.element_string is None
        return
    assert got.element_string
    if not (got.aidc and "undecoded:" in got.aidc) and len(memory) * 8 <= MAX_BITS:
        again = read(encode_plus(got.element_string, got.scheme, got.filter, hostname=got.hostname))
        assert (again.element_string, again.hostname, again.filter) == (
            got.element_string,
            got.hostname,
            got.filter,
        )


# --- What is refused, and why --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("epc_hex", "reason"),
    [
        ("F7B09506000134352624B5A0FF00", "got A0, which is reserved"),
        ("F7B09506000134352624B51400", "got 14, with which no AI begins"),
        ("F7B09506000134352624B5310A00", "got 310A"),
        ("F7B09506000134352624B517", "AI \\(17\\): expected 7 more bits"),
        ("F7B09506000134352624B51735BF", "AI \\(17\\): expected a date of the calendar"),
        ("F7B09506000134352624B521624B5", "each AI once, got \\(21\\) again"),
        ("F730950600013435A624B500", "expected 14 digits 0 … 9, got 0950600013435A"),
        ("F73095060001343526", "AI \\(21\\): expected 5 more bits, got 1"),
        ("F730950600013435D624B500", "got 0950600013435D"),
        ("F7309506000134353624B500", "expected check digit 2 in 09506000134353"),
        ("F730950600013435260000", "expected 1 … 20 characters, got a length of 0"),
        ("F7309506000134352C212345678", "expected an encoding indicator 0 … 5, got 6"),
        ("F7309506000134352" + "1F" + 30 * "0", "expected 1 … 20 characters, got a length of 31"),
        ("FB372CDE795211411234538566CB0AFC4", "expected a date type 0 … 6, got 7"),
        ("FB342DDE795211411234538566CB0AFC4", "expected a date of the calendar"),
        ("F13195211411234548566CB0AFC4", "expected a leading 0"),
        ("F1309521141123454000", "expected a serial number in AI \\(8003\\)"),
        ("F63952114112345400", "expected a serial number in AI \\(253\\)"),
        ("F83952114167890900", "expected a serial number in AI \\(255\\)"),
        ("FA3952C", "expected a digit, delimiter E or terminator F after '952', got C"),
        ("FA3952F", "that begin with 4 digits, got '952'"),
        ("FA3" + 31 * "1" + "F", "expected at most 30 characters"),
        ("EF0095201234567891235000", "expected a hostname of 1 … 63 characters"),
        ("F9009520123456789123592832F8C3B786CCB6C0", "toggle announces no data"),
        ("F3309521141123454010266AE27FDF3592832F8C3B786CCB6C00", "toggle announces no data"),
        ("F900952012345678912351", "expected zeros up to the end, got 0001 in the last bits"),
    ],
)
def test_memory_is_refused_with_the_reason(epc_hex: str, reason: str) -> None:
    with pytest.raises(WrongEpc, match=reason):
        read(epc_hex)


@pytest.mark.parametrize(
    ("text", "scheme", "reason"),
    [
        ("(01)09506000134352", "sgtin+", "expected AI \\(21\\) for sgtin\\+"),
        ("(01)09506000134353(21)1", "sgtin+", "expected check digit 2"),
        ("(01)0950600013435(21)1", "sgtin+", "expected 14 digits"),
        ("(01)09506000134352(21)" + 21 * "A", "sgtin+", "expected 1 … 20 characters, got 21"),
        ("(01)09506000134352(21)a b", "sgtin+", "got ' ' in 'a b'"),
        ("(01)09506000134352(21)1(21)2", "sgtin+", "each AI once"),
        ("(01)09506000134352(21)1(14)2", "sgtin+", "an AI that may stand on a tag, got \\(14\\)"),
        ("(01)09506000134352(21)1(8014)2", "sgtin+", "an AI that may stand on a tag, got \\(8014\\)"),
        ("(01)09506000134352(21)1", "dsgtin+", "expected a date for DSGTIN"),
        ("(01)09506000134352(21)1(7007)260101260102", "dsgtin+", "expected a date of the form YYMMDD"),
        ("(01)09506000134352(21)1", "sgtin++", "expected a hostname for sgtin\\+\\+"),
        ("http://example.com/01/09506000134352/21/1", "sgtin++", "expected https://"),
        ("(8003)09521141123454", "grai+", "expected a serial number"),
        ("(8010)95211415pq7(8011)12345", "cpi+", "got 'p'"),
        ("(8010)95211415PQ7(8011)1x", "cpi+", "expected 1 … 12 digits"),
        ("(10)LOT", None, "expected the AI of a key"),
        ("(01)09506000134352(21)1", "sgtin-96", "expected one of sgtin\\+"),
        ("urn:epc:id:sgtin:95060001343.05.1", "sgtin+", "a \\+ scheme has no tag URI"),
        ("01095060001343522112", None, "expected an element string or a Digital Link"),
        ("https://id.gs1.org/01", None, "expected the AI of a GS1 key"),
        ("https://[/01/09506000134352/21/1", None, "expected a GS1 Digital Link"),
        ("https://id.gs1.org/01/09506000134352/21/1?8014=2", None, "got 8014"),
        ("(01)(21)1", None, "expected \\(AI\\)value"),
    ],
)
def test_a_text_is_refused_with_the_reason(text: str, scheme: str | None, reason: str) -> None:
    with pytest.raises(WrongEpc, match=reason):
        encode_plus(text, scheme)


def test_a_filter_value_beyond_seven_is_refused() -> None:
    with pytest.raises(WrongEpc, match="expected a filter value 0 … 7, got 8"):
        encode_plus("(00)095201234567891235", "sscc+", 8)


def test_what_epc_memory_cannot_count_is_refused() -> None:
    with pytest.raises(WrongEpc, match="expected at most 496 bits"):
        encode_plus("(00)095201234567891235", "sscc+", aidc="(91)" + 70 * "!")


# --- Choices -------------------------------------------------------------------------------------------------------


def test_without_a_scheme_the_key_chooses_and_a_hostname_makes_it_double() -> None:
    assert read(encode_plus("(01)09506000134352(21)1(17)261231")).scheme == "sgtin+"
    assert read(encode_plus("https://id.gs1.org/8004/9506000A-1")).scheme == "giai+"
    linked = read(encode_plus("https://shop.example.de/8004/9506000A-1"))
    assert (linked.scheme, linked.hostname) == ("giai++", "shop.example.de")
    assert linked.digital_link == "https://id.gs1.org/8004/9506000A-1"


def test_a_place_without_extension_is_written_as_extension_zero() -> None:
    assert read(encode_plus("(414)9521141123454", "sgln+")).element_string == "(414)9521141123454(254)0"


def test_each_date_has_its_type() -> None:
    for kind, ai in enumerate(DATE_TYPES):
        written = encode_plus(f"(01)09506000134352(21)S1({ai})270100", "dsgtin+")
        assert written[3] == f"{kind:X}"
        assert read(written).element_string == f"(01)09506000134352(21)S1({ai})270100"


def test_a_second_date_follows_as_further_data() -> None:
    got = read(encode_plus("(01)09506000134352(21)S1(15)270101(11)260101", "dsgtin+"))
    assert (got.element_string, got.aidc) == ("(01)09506000134352(21)S1(15)270101(11)260101", "(11)260101")


def test_a_serial_number_keeps_its_leading_zeros_and_its_brackets() -> None:
    assert read(encode_plus("(01)09506000134352(21)007", "sgtin+")).element_string == "(01)09506000134352(21)007"
    got = read(encode_plus("(01)09506000134352(21)a\\(10)b", "sgtin+"))
    assert got.digital_link == "https://id.gs1.org/01/09506000134352/21/a%2810%29b"
    assert got.element_string == "(01)09506000134352(21)a\\(10)b"


def test_an_older_link_may_name_a_gtin_with_fewer_digits() -> None:
    assert encode_plus("https://id.gs1.org/01/9506000134352/21/1") == encode_plus("(01)09506000134352(21)1")


def test_what_stands_before_and_behind_the_key_in_a_link_is_the_resolvers() -> None:
    link = "https://id.gs1.org/some/shop/01/09506000134352/21/1?linkType=all&17=261231"
    assert read(encode_plus(link)).element_string == "(01)09506000134352(21)1(17)261231"


def test_the_header_of_a_scheme_of_the_classic_kind_is_none_of_ours() -> None:
    with pytest.raises(WrongEpc, match="got 30"):
        read("3066C4409047E140075BCD15")
