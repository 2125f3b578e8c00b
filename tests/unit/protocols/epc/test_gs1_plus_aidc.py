"""+AIDC data behind a key: every AI of Table F, each method of section 14.5, padding, and what is not known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.epc.decoded import Decoded, WrongEpc
from protocols.epc.gs1_plus import decode_plus, encode_plus
from protocols.epc.gs1_plus_ai import AI_DIGITS, METHODS, read_value, write_value
from protocols.epc.gs1_plus_bits import BitReader, BitWriter
from protocols.epc.gs1_plus_methods import (
    CHARACTERS_39,
    CHARACTERS_82,
    Alphanumeric,
    Country,
    DateRange,
    Delimited,
    FixedBits,
    FixedDigits,
    Flag,
    Method,
    Moment,
    Numeric,
    Pair,
    Sequence,
    VariableMoment,
)
from protocols.epc.sgtin import check_digit

SSCC = "(00)095201234567891235"
# A value by method, its bits, and why we know: worked by hand from the tables of TDS 2.3, section 14.5.
BITS: tuple[tuple[Method, str, str], ...] = (
    (FixedBits(2), "07", "0000111"),
    (FixedBits(6), "001250", "00000000010011100010"),
    (FixedDigits(2), "09", "00001001"),
    (Numeric(8), "0", "0001" "0000"),
    (Numeric(12), "04711", "0101" "00001001001100111"),
    (Alphanumeric(20), "007", "000" "00011" "0000000111"),
    (Alphanumeric(20), "1A", "001" "00010" "00011010"),
    (Alphanumeric(20), "1a", "010" "00010" "00011010"),
    (Alphanumeric(20), "S1", "011" "00010" "010010" "110101"),
    (Alphanumeric(20), "a/b", "100" "00011" "1100001" "0101111" "1100010"),
    (Alphanumeric(20), "A.B", "101" "00011" + f"{1 * 1600 + 28 * 40 + 2 + 1:016b}"),
    (Alphanumeric(20), "XYZ:", "100" "00100" "1011000" "1011001" "1011010" "0111010"),
    (Alphanumeric(3), "G", "011" "01" "000110"),
    (Delimited(30), "95211", "1001" "0101" "0010" "0001" "0001" "1111"),
    (Delimited(30), "95211a", "1001" "0101" "0010" "0001" "0001" "1110" "010" "00001" "1010"),
    (Moment(3), "220630", "0010110" "0110" "11110"),
    (Moment(5), "2206302359", "0010110" "0110" "11110" "10111" "111011"),
    (DateRange(), "220630", "0" "0010110" "0110" "11110"),
    (DateRange(), "220630220701", "1" "0010110" "0110" "11110" "0010110" "0111" "00001"),
    (VariableMoment(), "220630", "11" "0010110" "0110" "11110"),
    (VariableMoment(), "22063024", "00" "0010110" "0110" "11110" "11000"),
    (VariableMoment(), "2206300102", "01" "0010110" "0110" "11110" "00001" "000010"),
    (VariableMoment(), "220630010203", "10" "0010110" "0110" "11110" "00001" "000010" "000011"),
    (Country(), "DE", "000011" "000100"),
    (Sequence(), "1/3", "0001" "0011"),
    (Flag("0", "1"), "1", "1"),
    (Pair(FixedBits(6), Flag("", "-")), "001850-", "00000000011100111010" "1"),
    (Pair(FixedBits(3), Numeric(15)), "97812", "1111010010" "0010" "0001100"),
)  # fmt: skip


def read(epc_hex: str) -> Decoded:
    return decode_plus(int(epc_hex, 16), 4 * len(epc_hex))


@pytest.mark.parametrize(("method", "text", "bits"), BITS)
def test_a_method_writes_and_reads_the_bits_of_the_standard(method: Method, text: str, bits: str) -> None:
    writer = BitWriter()
    method.write(text, writer)
    assert f"{writer.bits:0{writer.length}b}" == bits
    reader = BitReader(int(bits, 2), len(bits))
    assert (method.read(reader), reader.left) == (text, 0)


@pytest.mark.parametrize(
    ("bits", "text"),
    [
        ("001" "00010" "00010010", "12"),
        ("010" "00010" "00010010", "12"),
        ("011" "00010" "110101" "110110", "12"),
        ("100" "00010" "0110001" "0110010", "12"),
        ("101" "00010" + f"{31 * 1600 + 32 * 40 + 1:016b}", "12"),
    ],
)  # fmt: skip
def test_a_value_in_a_longer_encoding_than_needed_is_read_all_the_same(bits: str, text: str) -> None:
    assert Alphanumeric(20).read(BitReader(int(bits, 2), len(bits))) == text


@pytest.mark.parametrize(
    ("method", "bits", "reason"),
    [
        (FixedBits(2), "1100100", "expected a number of 2 digits, got 100"),
        (Numeric(12), "1101" + 40 * "0", "expected 1 … 12 characters, got a length of 13"),
        (Numeric(12), "0001" "1010", "expected a number of 1 digits, got 10"),
        (Numeric(12), "0000", "got a length of 0"),
        (Alphanumeric(20), "111" "00001" "0000000", "got 7, which is reserved"),
        (Alphanumeric(20), "100" "00001" "0100100", "got '\\$'"),
        (Alphanumeric(20), "100" "00001" "0100011", "got '#'"),
        (Alphanumeric(20), "101" "00001" + 16 * "0", "expected a URN Code 40 group"),
        (Alphanumeric(20), "101" "00001" + 16 * "1", "expected a URN Code 40 group"),
        (Alphanumeric(20), "101" "00010" + f"{1600 + 1:016b}", "expected 2 characters of URN Code 40"),
        (Alphanumeric(20), "101" "00001" + f"{1600 + 40 + 1:016b}", "expected 1 characters of URN Code 40"),
        (Moment(3), "0010110" "0000" "00001", "of the calendar"),
        (Moment(3), "0010110" "1101" "00001", "of the calendar"),
        (Moment(3), "0010110" "0100" "11111", "of the calendar"),
        (Moment(3), "0010111" "0010" "11101", "of the calendar"),
        (Moment(3), "1100100" "0001" "00001", "of the form"),
        (Moment(5), "0010110" "0110" "11110" "11001" "000000", "a time of the day"),
        (Moment(5), "0010110" "0110" "11110" "11000" "000001", "a time of the day"),
        (Moment(5), "0010110" "0110" "11110" "00001" "111100", "a time of the day"),
        (Country(), "000011" "011010", "expected a country code"),
        (Sequence(), "0000" "0011", "expected a sequence"),
        (Sequence(), "0001" "1010", "expected a sequence"),
    ],
)  # fmt: skip
def test_bits_that_no_value_has_are_refused(method: Method, bits: str, reason: str) -> None:
    with pytest.raises(WrongEpc, match=reason):
        method.read(BitReader(int(bits, 2), len(bits)))


# --- Every AI ------------------------------------------------------------------------------------------------------


def values_of(method: Method) -> st.SearchStrategy[str]:
    """Any text that `method` must be able to carry."""
    numerals = "0123456789"
    simple: dict[type, st.SearchStrategy[str]] = {
        DateRange: st.sampled_from(["260101", "260100", "260101261231"]),
        VariableMoment: st.sampled_from(["260131", "26013124", "2601312359", "260131000000"]),
        Country: st.text("ABCXYZ", min_size=2, max_size=2),
        Sequence: st.sampled_from(["1/1", "2/3", "9/9"]),
    }
    match method:
        case FixedBits(size) | FixedDigits(size):
            return st.text(numerals, min_size=size, max_size=size)
        case Numeric(most, least):
            return st.text(numerals, min_size=least, max_size=most)
        case Alphanumeric(most, least, characters):
            return st.text(characters, min_size=least, max_size=most)
        case Delimited(most, characters):
            rest = st.text(characters, min_size=1, max_size=most - 4)
            return st.tuples(st.text(numerals, min_size=4, max_size=4), rest).map("".join)
        case Moment(parts):
            return st.sampled_from(["26013100000000", "99022800235959"]).map(lambda text: text[: 2 * parts])
        case Flag(zero, one):
            return st.sampled_from([zero, one])
        case Pair(first, second):
            return st.tuples(values_of(first), values_of(second)).map("".join)
    return simple[type(method)]


KEYS = {"00": 17, "01": 13, "02": 13, "253": 12, "255": 12, "402": 16, "8003": 13, "8006": 13, "8026": 13}
KEYS |= {"8017": 17, "8018": 17} | {f"41{last}": 12 for last in range(8)}


@given(data=st.data(), ai=st.sampled_from(sorted(METHODS)))
def test_any_value_of_every_ai_is_read_as_it_was_written(data: st.DataObject, ai: str) -> None:
    value = data.draw(values_of(METHODS[ai]))
    if ai in KEYS:
        value = ("0" + value[1:] if ai == "8003" else value)[: KEYS[ai]]
        value += check_digit(value)
        value += "0102" if ai in ("8006", "8026") else ""
    writer = BitWriter()
    write_value(ai, value, writer)
    reader = BitReader(writer.bits, writer.length)
    assert (read_value(ai, reader), reader.left) == (value, 0)


def test_the_table_has_the_ais_of_the_standard() -> None:
    assert len(METHODS) == 532
    assert not {"03", "8014"} & METHODS.keys()  # not permitted on a tag
    assert all(AI_DIGITS[ai[:2]] == len(ai) for ai in METHODS)


def test_a_length_indicator_has_as_many_bits_as_table_f_prints() -> None:
    for ai, bits in (("10", 5), ("427", 2), ("7010", 2), ("7040", 3), ("7009", 4), ("7254", 6), ("91", 7)):
        method = METHODS[ai]
        assert isinstance(method, Alphanumeric)
        assert method.longest.bit_length() == bits
    for ai, bits in (("7004", 3), ("242", 3), ("30", 4), ("8011", 4), ("423", 4)):
        numeric = METHODS[ai]
        assert isinstance(numeric, Numeric)
        assert numeric.longest.bit_length() == bits


# --- Behind a key --------------------------------------------------------------------------------------------------


def test_several_data_follow_each_other_and_the_toggle_says_so() -> None:
    aidc = "(02)09506000134352(37)12(10)L/1(4330)001850-(7007)260101260131(4307)CN(7258)1/3"
    written = encode_plus(SSCC, "sscc+", 6, aidc=aidc)
    assert written.startswith("F9E")
    got = read(written)
    assert (got.aidc, got.filter, got.element_string) == (aidc, 6, SSCC + aidc)
    assert got.digital_link == (
        "https://id.gs1.org/00/095201234567891235?02=09506000134352&37=12&10=L%2F1&4330=001850-"
        "&7007=260101260131&4307=CN&7258=1%2F3"
    )


def test_data_stand_behind_the_hostname_of_a_double_scheme() -> None:
    got = read(encode_plus(SSCC, "sscc++", aidc="(10)L1", hostname="example.com"))
    assert (got.hostname, got.aidc, got.element_string) == ("example.com", "(10)L1", SSCC + "(10)L1")


def test_key_qualifiers_among_the_data_stand_in_the_path_of_the_link() -> None:
    got = read(encode_plus("(01)09506000134352(21)S1(10)L1(22)V1(17)261231", "sgtin+"))
    assert got.digital_link == "https://id.gs1.org/01/09506000134352/22/V1/10/L1/21/S1?17=261231"


def test_a_key_without_serial_may_stand_among_the_data() -> None:
    for aidc in ("(253)9521141123454", "(255)9521141678909", "(8003)09521141123454"):
        assert read(encode_plus(SSCC, "sscc+", aidc=aidc)).aidc == aidc


def test_an_sscc_may_stand_among_the_data_though_its_header_looks_like_padding() -> None:
    got = read(encode_plus("(01)09506000134352(21)S1(00)095201234567891235", "sgtin+"))
    assert got.aidc == SSCC


@pytest.mark.parametrize("zeros", [0, 1, 4, 30, 60])
def test_zeros_to_the_end_are_padding_however_many(zeros: int) -> None:
    assert read("F90095201234567891235" + zeros * "0").element_string == SSCC
    assert read("F98095201234567891235" + zeros * "0").element_string == SSCC


def test_data_is_read_where_the_toggle_forgot_to_announce_it() -> None:
    announced = encode_plus(SSCC, "sscc+", aidc="(17)261231")
    forgotten = announced.replace("F98", "F90", 1)
    assert read(forgotten).element_string == read(announced).element_string


def test_an_ai_that_the_table_does_not_know_is_kept_with_all_behind_it() -> None:
    known = encode_plus(SSCC, "sscc+", aidc="(17)261231").rstrip("0")
    assert read(known + "8014ABCD").aidc == "(17)261231undecoded:8014ABCD"
    with pytest.raises(WrongEpc, match=r"expected an AI that may stand on a tag, got \(8014\)"):
        read("F90095201234567891235" + "8014ABCD")


def test_a_wrong_check_digit_among_the_data_is_refused() -> None:
    with pytest.raises(WrongEpc, match=r"AI \(414\): expected check digit 4 in 9521141123455, got 5"):
        encode_plus(SSCC, "sscc+", aidc="(414)9521141123455")


@given(text=st.text(CHARACTERS_82, min_size=1, max_size=90))
def test_the_fewest_bits_are_chosen(text: str) -> None:
    writer = BitWriter()
    Alphanumeric(90).write(text, writer)
    assert writer.length <= 3 + 7 + 7 * len(text)
    if set(text) <= set(CHARACTERS_39) - set("#/"):
        assert writer.length <= 3 + 7 + 6 * len(text)
    if text.isdigit():
        assert writer.length == 3 + 7 + (10 ** len(text) - 1).bit_length()
