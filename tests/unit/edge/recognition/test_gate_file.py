"""gate.toml: what it says is what recognition gets, both ways, and what is wrong in it is named."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.recognition.gate import GateSettings, WrongGate
from edge.recognition.gate_file import fields, read_gate, write_gate

SIDES = "[gate.antennas]\ninside = [1, 2]\noutside = [3, 4]\n"
PLAIN = GateSettings("gate", frozenset({1, 2}), frozenset({3, 4}))
HAS_EYES = "eye_door" in fields()


def test_the_sides_alone_are_a_gate() -> None:
    assert read_gate(SIDES, "gate.toml") == PLAIN


def test_every_field_can_be_set_by_its_name() -> None:
    text = '[gate]\nname = "dock-1"\nhold_s = 4\nfewest_reads = 5\n' + SIDES
    expected = dataclasses.replace(PLAIN, name="dock-1", hold_s=4.0, fewest_reads=5)
    assert read_gate(text, "gate.toml") == expected
    assert isinstance(read_gate(text, "gate.toml").hold_s, float)


@pytest.mark.skipif(not HAS_EYES, reason="this recognition knows no photo-eyes")
def test_photo_eyes_have_a_table_of_their_own() -> None:
    assert read_gate(SIDES + "[gate.photo_eyes]\ndoor = 1\n", "gate.toml").eye_door == 1
    both = read_gate(SIDES + "[gate.photo_eyes]\noutside = 1\ninside = 2\n", "gate.toml")
    assert (both.eye_outside, both.eye_inside, both.eye_door) == (1, 2, None)
    assert read_gate(write_gate(both), "gate.toml") == both


WRONG = [
    ("[gate", "gate.toml is no TOML"),
    (SIDES + "[portal]\n", "gate.toml: unknown key portal: expected the table [gate]"),
    ("", "gate.toml: expected a table [gate], got nothing"),
    ("gate = 1", "gate.toml: expected a table [gate], got 1"),
    ('[gate]\nname = "a"', "gate.toml: expected a table [gate.antennas], got nothing"),
    ("[gate.antennas]\ninside = [1]\n", "key gate.antennas.outside: expected a list of antenna numbers"),
    ("[gate.antennas]\ninside = [1]\noutside = [1]\n", "gate.toml: gate 'gate': antennas [1] stand on both sides"),
    ("[gate.antennas]\ninside = 1\noutside = [2]\n", "key gate.antennas.inside: expected a list of numbers"),
    ("[gate.antennas]\ninside = [0]\noutside = [2]\n", "expected a list of numbers from 1 to 65535, got [0]"),
    ("[gate.antennas]\ninside = [true]\noutside = [2]\n", "expected a list of numbers from 1 to 65535"),
    ("[gate.antennas]\ninside = [1, 1]\noutside = [2]\n", "expected each number once, got [1, 1]"),
    ("[gate.antennas]\ninside = [1]\noutside = [2]\ndoor = [3]\n", "unknown key gate.antennas.door"),
    ("[gate]\nholds_s = 3.0\n" + SIDES, "unknown key gate.holds_s: expected one of name, hold_s"),
    ("[gate]\ninside = [1]\n" + SIDES, "unknown key gate.inside: antennas stand in [gate.antennas]"),
    ('[gate]\nhold_s = "3"\n' + SIDES, "key gate.hold_s: expected a number"),
    ("[gate]\nhold_s = true\n" + SIDES, "got true"),
    ("[gate]\nhold_s = nan\n" + SIDES, "key gate.hold_s: expected a number"),
    ("[gate]\nfewest_reads = 5.5\n" + SIDES, "key gate.fewest_reads: expected a whole number"),
    ('[gate]\nname = ""\n' + SIDES, "key gate.name: expected 1 to 64 characters, got 0"),
    ("[gate]\nhold_s = -1.0\n" + SIDES, "gate.toml: gate 'gate': expected"),
]


@pytest.mark.parametrize(("text", "told"), WRONG, ids=[told for _, told in WRONG])
def test_what_is_wrong_is_named(text: str, told: str) -> None:
    with pytest.raises(WrongGate) as wrong:
        read_gate(text, "gate.toml")
    assert told in str(wrong.value)
    assert str(wrong.value).startswith("gate.toml")


def test_a_default_is_written_as_a_comment_and_a_change_with_its_default() -> None:
    lines = write_gate(dataclasses.replace(PLAIN, hold_s=4.5), "Fitted on two runs.\nDone by hand.").splitlines()
    assert lines[:2] == ["# Fitted on two runs.", "# Done by hand."]
    (changed,) = [line for line in lines if line.startswith("hold_s")]
    assert changed.startswith("hold_s = 4.5  # ")
    assert "default 3.0" in changed
    assert [line for line in lines if line.startswith("# longest_visit_s = ")]


def test_every_value_is_written_with_its_unit_and_reason() -> None:
    text = write_gate(PLAIN)
    for field in dataclasses.fields(GateSettings):
        if "why" in field.metadata:
            assert field.metadata["why"].split()[0] in text
        if field.metadata.get("unit"):
            assert f"# {field.metadata['unit']}" in text


@given(
    name=st.text(st.characters(codec="utf-8"), min_size=1, max_size=64),
    inside=st.frozensets(st.integers(1, 9), min_size=1),
    hold_s=st.floats(0.2, 15.0),
    fewest_reads=st.integers(1, 50),
)
def test_what_is_written_reads_the_same(
    name: str, inside: frozenset[int], hold_s: float, fewest_reads: int
) -> None:
    settings = GateSettings(name, inside, frozenset({10, 32_767}), hold_s=hold_s, fewest_reads=fewest_reads)
    assert read_gate(write_gate(settings, "why"), "gate.toml") == settings
