"""Sets of dimension values by code, and what lines may name."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.domain.ledger.dimensions import (
    DIMENSION_TYPES,
    DimensionType,
    DimensionValue,
    WrongDimension,
    new_or_changed,
    parse_set,
    set_code,
)

KNOWN = {
    ("project", "P7"): DimensionValue("project", "P7", "", date(2026, 1, 1), date(2026, 12, 31)),
    ("cost_centre", "A1"): DimensionValue("cost_centre", "A1"),
}
CODES = st.from_regex(r"[A-Za-z0-9夏][A-Za-z0-9 ._/-]{0,8}[A-Za-z0-9]", fullmatch=True)


@given(st.dictionaries(st.sampled_from([one.code for one in DIMENSION_TYPES]), CODES))
def test_a_sets_code_spells_its_values_and_reads_again(values: dict[str, str]) -> None:
    assert parse_set(set_code(values)) == values


def test_types_stand_in_order_whatever_was_said_first() -> None:
    assert set_code(parse_set(" project = P7 ; cost_centre=A1")) == "cost_centre=A1;project=P7"
    assert parse_set("") == parse_set("  ") == {}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("project", "expected type=value;type=value, got 'project'"),
        ("project=", "expected type=value;type=value, got 'project='"),
        ("=P7", "expected type=value"),
        ("Project=P7", "expected type=value"),
        ("project=P7;", "expected type=value"),
        ("project=P7;project=P8", "expected one value, got 'P7' and 'P8'"),
        ("project=" + "P" * 500, "expected at most 500 characters, got 508"),
    ],
)
def test_a_text_that_is_no_set_is_told(text: str, complaint: str) -> None:
    with pytest.raises(WrongDimension, match=complaint):
        parse_set(text)


@pytest.mark.parametrize("code", ["", " P7", "P;7", "P=7", "P\n7", "P" * 65])
def test_a_value_whose_code_a_set_could_not_spell_cannot_be(code: str) -> None:
    with pytest.raises(WrongDimension, match="expected up to 64 characters without ; and ="):
        DimensionValue("project", code)


def test_a_type_has_a_code_and_a_name() -> None:
    with pytest.raises(WrongDimension, match="lower-case"):
        DimensionType("Tribe", "", "Tribe")
    with pytest.raises(WrongDimension, match="expected a name"):
        DimensionType("tribe", "", "")
    with pytest.raises(WrongDimension, match="expected a day from"):
        DimensionValue("project", "P7", "", date(2026, 2, 1), date(2026, 1, 1))


def test_what_a_file_does_not_name_stays() -> None:
    now = list(KNOWN.values())
    changed = DimensionValue("project", "P7", "Hall")
    assert list(new_or_changed(now, [changed])) == [(now[0], changed)]
    assert list(new_or_changed(now, now[:1])) == []
