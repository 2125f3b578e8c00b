"""A company's description in TOML, and what is said when it cannot be."""

from pathlib import Path
from textwrap import dedent

import pytest

from cloud.domain.company import Closing, Gate, lane_of
from cloud.imports import company_file
from cloud.imports.company_file import WrongCompanyFile, read_company_file, read_items_file
from protocols.wire.topics import GatewayAddress

HEAD = """
[company]
code = "demo"
name = "Demo"
currency = "CNY"
time_zone = "Asia/Shanghai"
profile = "ASBE"
"""
SITE = """
[[sites]]
code = "MAIN"
name = "Main"
zones = [{ code = "STORE", name = "Store" }]
"""


def _write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "company.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_example_of_the_documentation_can_be_read(tmp_path: Path) -> None:
    documented = (company_file.__doc__ or "").split("says so:\n", 1)[1]
    description = read_company_file(_write(tmp_path, dedent(documented)))
    assert description.settings.code == "demo"
    assert description.gates == (Gate("dock-1", "MAIN-STORE", "WORLD", 1, 10_000_000),)
    assert [item.code for item in description.items] == ["TEA-100"]
    assert description.items[0].provenance == "company.toml"
    assert (description.settings.default_method, description.items[0].weight_mg) == ("fifo", 125_500)
    assert list(description.allocation_rules) == ["food", "tea"]
    assert description.settings.closing == Closing(rate_source="PBOC", voucher_words="three")


def test_what_a_description_leaves_out_of_the_close_is_usual_and_without_it_all_stays(tmp_path: Path) -> None:
    assert read_company_file(_write(tmp_path, HEAD)).settings.closing is None
    told = read_company_file(_write(tmp_path, HEAD + "[closing]\nclarification_days = 5\n")).settings.closing
    assert told == Closing(clarification_days=5)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('late_policy = "never"', "late_policy to be one of post_back, send_on, got 'never'"),
        ('soft_close_roles = ["boss"]', "role of soft_close_roles to be one of keeper, .*, got 'boss'"),
        ('soft_close_roles = ["admin", "admin"]', "names a role twice"),
        ("clarification_days = -1", "clarification_days of 0 … 3660, got -1"),
        ("fiscal_year_month = 13", "fiscal_year_month of 1 … 12, got 13"),
        (f'rate_source = "{"x" * 65}"', "rate_source of at most 64 characters"),
        ('voucher_words = "two"', "voucher_words to be one of one, three, got 'two'"),
        ("grace = 3", "unknown field `grace` - at `\\$.closing`"),
    ],
)
def test_a_close_that_cannot_be_is_named(tmp_path: Path, line: str, complaint: str) -> None:
    with pytest.raises(WrongCompanyFile, match=complaint):
        read_company_file(_write(tmp_path, f"{HEAD}[closing]\n{line}\n"))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[company", "company.toml: "),
        ('[company]\ncode = "demo"\n', "missing required field `name` - at `\\$.company`"),
        (HEAD + "colour = 1\n", "unknown field `colour` - at `\\$.company`"),
        (HEAD + SITE + "depth = 1\n", "unknown field `depth` - at `\\$.sites\\[0\\]`"),
        (HEAD.replace("CNY", "CNX"), "ISO 4217 code such as CNY, GBP or JPY, got 'CNX'"),
        (
            HEAD.replace("Asia/Shanghai", "Asia/Nowhere"),
            "IANA time zone such as Asia/Shanghai, got 'Asia/Nowhere'",
        ),
        (HEAD.replace("Asia/Shanghai", "../etc/passwd"), "IANA time zone"),
        (HEAD.replace("ASBE", "HGB"), "expected one of ASBE, IFRS, US_GAAP, got 'HGB'"),
        (HEAD.replace('"demo"', '"a/b"'), "'a/b' cannot be a topic level"),
        (HEAD.replace('"Demo"', '" "'), "expected a name, got none"),
        (HEAD + SITE + SITE, "location MAIN is described twice"),
        (HEAD + SITE.replace("STORE", "WORLD"), "location WORLD is described twice"),
        (HEAD + SITE.replace("STORE", "CLARIFICATION-MAIN"), "location CLARIFICATION-MAIN is described twice"),
        (HEAD + SITE.replace('"STORE"', '" x"'), "expected a zone code of 1 to 64 letters"),
        (HEAD + '[[gates]]\ncode = "g"\ninside = "A"\noutside = "A"\n', "inside and outside are the same"),
        (
            HEAD + '[[gates]]\ncode = "g"\ninside = "A"\noutside = "B"\nsame_crossing_s = -1\n',
            "0 µs or more, got -1000000",
        ),
        (HEAD + '[[gateways]]\nsite = "A"\ncode = "g"\n' * 2, "gateway A/g is described twice"),
        (HEAD + '[[items]]\ncode = "A"\n', "item 1, 'A': name_en: expected a name"),
        (
            HEAD + '[[items]]\ncode = "A"\nname_en = "a"\ngtin = "09524000000017"\n',
            "item 1, 'A': gtin: expected check digit 9",
        ),
        (HEAD + '[[items]]\ncode = "A"\nname_en = "a"\n' * 2, "item A is described twice"),
        (HEAD + '[[items]]\ncode = "A"\nname_en = "a"\nmethod = "hifo"\n', "or specific, got 'hifo'"),
        (
            HEAD + '[[items]]\ncode = "A"\nname_en = "a"\nmethod = "lifo"\n',
            "item A: method: ASBE does not allow lifo",
        ),
        (
            HEAD.replace('"ASBE"', '"IFRS"\ndefault_method = "periodic_lifo"'),
            "default method: IFRS does not allow periodic_lifo",
        ),
        (HEAD + 'industries = ["fishing"]\n', "expected one of trade, retail"),
        (HEAD + "[allocation_rules.tea]\nroasting = 3\n", "tea.roasting: expected basis and dimension, got 3"),
        (HEAD + '[[items]]\ncode = "A"\nname_en = "a"\nweight_g = "0.0001"\n', "at most 3 digits"),
        (HEAD + '[[items]]\ncode = "A"\nname_en = "a"\nvolume_cm3 = 0\n', "volume_cm3: expected more than 0"),
        (
            HEAD + '[[items]]\ncode = "A"\nname_en = "a"\nmethod = "specific"\ntracking = "none"\n',
            "expected lot or serial for the method specific",
        ),
    ],
)
def test_what_cannot_be_is_named_with_its_place(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(WrongCompanyFile, match=complaint):
        read_company_file(_write(tmp_path, text))


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "gbk.toml"
    path.write_bytes(HEAD.replace("Demo", "示范").encode("gb18030"))
    with pytest.raises(WrongCompanyFile, match="utf-8"):
        read_company_file(path)


def test_a_file_of_items_holds_nothing_else(tmp_path: Path) -> None:
    with pytest.raises(WrongCompanyFile, match="unknown field `company`"):
        read_items_file(_write(tmp_path, HEAD))


def test_lanes_spread_gateways_and_never_change() -> None:
    lanes = [lane_of(GatewayAddress("demo", "MAIN", f"gw-{n}")) for n in range(200)]
    assert set(lanes) == set(range(16))
    assert lanes[:5] == [lane_of(GatewayAddress("demo", "MAIN", f"gw-{n}")) for n in range(5)]
    assert lane_of(GatewayAddress("cn-1", "MAIN", "gw-1")) == 0x3B & 15
