"""The hostname of a ++ tag: every domain that has a short form, both encodings, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.epc.decoded import WrongEpc
from protocols.epc.gs1_plus_bits import BitReader, BitWriter
from protocols.epc.gs1_plus_hostname import read_hostname, write_hostname
from protocols.epc.gs1_plus_methods import CHARACTERS_82


def written(hostname: str) -> str:
    bits = BitWriter()
    write_hostname(hostname, bits)
    return f"{bits.bits:0{bits.length}b}"


def read(bits: str) -> str:
    reader = BitReader(int(bits, 2), len(bits))
    hostname = read_hostname(reader)
    assert reader.left == 0
    return hostname


# Tables 14-11 to 14-15: first rows, last rows and some between.
@pytest.mark.parametrize(
    ("ending", "units"),
    [
        (".com", "1011011"),
        (".org", "1011100"),
        (".net", "1011101"),
        (".int", "1011110"),
        (".edu", "1100000"),
        (".gov", "1111011"),
        (".mil", "1111100"),
        (".biz", "1111101"),
        (".eco", "1111110"),
        (".med", "1111111"),
        (".ac", "0000000" "0000000"),
        (".cz", "0000000" "0110110"),
        (".de", "0000000" "0110111"),
        (".eu", "0000000" "1000100"),
        (".hk", "0000000" "1011101"),
        (".li", "0000000" "1111111"),
        (".lk", "0000001" "0000000"),
        (".nl", "0000001" "0100011"),
        (".us", "0000001" "1100100"),
        (".zw", "0000001" "1110100"),
        (".com.au", "0000010" "0000000"),
        (".co.nz", "0000010" "0001000"),
        (".co.uk", "0000010" "0011001"),
        (".com.cn", "0000010" "0011100"),
        (".org.cn", "0000010" "0011101"),
        (".net.cn", "0000010" "0011110"),
        (".gov.cn", "0000010" "0011111"),
        (".tech", "0000011" "0000000"),
    ],
)  # fmt: skip
def test_a_domain_has_its_short_form(ending: str, units: str) -> None:
    bits = "1" + f"{3 + len(units) // 7:06b}" + "1111000" "1111001" "1111010" + units  # fmt: skip
    assert written("xyz" + ending) == bits
    assert read(bits) == "xyz" + ending


@pytest.mark.parametrize(("start", "unit"), [("qr.", "0011110"), ("www.", "0011111"), ("id.", "0100000")])
def test_a_common_start_has_its_short_form(start: str, unit: str) -> None:
    bits = "1" + "000010" + unit + "1111000"
    assert written(start + "x") == bits
    assert read(bits) == start + "x"


def test_capitals_take_urn_code_40_where_it_is_shorter_and_stay_capitals() -> None:
    bits = written("ABC-9.X")
    assert bits.startswith("0" "000111" + f"{1 * 1600 + 2 * 40 + 3 + 1:016b}")  # fmt: skip
    assert len(bits) == 7 + 3 * 16
    assert read(bits) == "ABC-9.X"


def test_a_hostname_without_short_forms_is_read_too() -> None:
    assert read("1" "000100" "1100001" "0101110" "1100010" "1100011") == "a.bc"  # fmt: skip


def test_short_forms_are_chosen_so_that_the_fewest_bits_are_used() -> None:
    assert len(written("id.example.com")) == 7 + 9 * 7
    assert len(written("shop.co.uk")) == 7 + 6 * 7
    # "id." would cost the ".com" behind it: gr·id.·community has 12 units, grid·.com·munity has 11.
    assert len(written("grid.community")) == 7 + 11 * 7


@given(st.text("abcimortuvwxz.", min_size=1, max_size=63) | st.text(CHARACTERS_82, min_size=1, max_size=63))
def test_any_hostname_is_read_as_it_was_written(hostname: str) -> None:
    assert read(written(hostname)) == hostname


@pytest.mark.parametrize("hostname", ["", 64 * "a", "münchen.de", "a b"])
def test_a_hostname_that_cannot_be_written_is_refused(hostname: str) -> None:
    with pytest.raises(WrongEpc, match="expected a hostname of 1 … 63 characters"):
        written(hostname)


@pytest.mark.parametrize(
    ("bits", "reason"),
    [
        ("1" "000000", "got a length of 0"),
        ("0" "000000", "got a length of 0"),
        ("1" "000001" "0000100", "reserved code 4"),
        ("1" "000001" "1000000", "reserved code 64"),
        ("1" "000001" "0100100", "reserved code 36"),
        ("1" "000010" "0000001" "1110101", "got reserved 117"),
        ("1" "000010" "0000010" "0100000", "got reserved 32"),
        ("1" "000010" "0000011" "0000001", "got reserved 1"),
        ("1" "000001" "0000000" "0000000", "expected the hostname to end within its 1 units"),
        ("1" "000010" "1100001", "expected 7 more bits, got 0"),
        ("0" "000001" "0000000000000000", "URN Code 40 group"),
        ("1" "111111" + 63 * "1011011", "at most 63 characters"),
    ],
)  # fmt: skip
def test_bits_that_no_hostname_has_are_refused(bits: str, reason: str) -> None:
    with pytest.raises(WrongEpc, match=reason):
        read(bits)
