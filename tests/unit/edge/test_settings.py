"""gateway.toml: what it becomes, and how a mistake in it is told."""

from pathlib import Path

import pytest

from edge.recognition.gate import GateSettings
from edge.settings import WrongSettings, load_settings

GOOD = """\
company = "demo"
site = "main"
gateway = "gw-1"
outbox = "outbox.db"

[broker]
host = "127.0.0.1"
user = "gw-1"
password_file = "gw-1.password"

[[portals]]
name = "dock-reader"
gate = "gate-1"
host = "192.0.2.10"
inside = [1, 2]
outside = [3, 4]

[[portals]]
name = "yard"
host = "192.0.2.11"
inside = [1]
outside = [2]
hold_s = 2
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "gateway.toml"
    path.write_text(text)
    return path


def test_settings_are_read_with_defaults_and_absolute_paths(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, GOOD))

    assert str(settings.address) == "demo/main/gw-1"
    assert settings.outbox == tmp_path / "outbox.db"
    assert settings.broker.password_file == tmp_path / "gw-1.password"
    assert (settings.broker.port, settings.broker.ca_file) == (1883, None)
    dock, yard = settings.portals
    assert (dock.port, dock.gate_settings().name, dock.gate_settings().hold_s) == (5084, "gate-1", 3.0)
    assert dock.gate_settings().inside == {1, 2}
    assert (yard.gate_settings().name, yard.gate_settings().hold_s) == ("yard", 2.0)


def test_a_gateway_without_portals_is_possible(tmp_path: Path) -> None:
    assert load_settings(written(tmp_path, GOOD.partition("[[portals]]")[0])).portals == []


@pytest.mark.parametrize(
    ("was", "becomes", "complaint"),
    [
        ('company = "demo"\n', "", "Object missing required field `company`"),
        ('company = "demo"', "company = 7", r"Expected `str`, got `int` - at `\$\.company`"),
        ('company = "demo"', 'company = "de/mo"', "'de/mo' cannot be a topic level"),
        ('company = "demo"', 'company = "demo', "is no TOML"),
        ('user = "gw-1"', 'user = "gw-1"\nprot = 1883', r"unknown field `prot` - at `\$\.broker`"),
        ('user = "gw-1"', 'user = "gw-1"\nport = 70000', r"Expected `int` <= 65535 - at `\$\.broker\.port`"),
        ('"gw-1.password"', "12", r"Expected a path, got 12 - at `\$\.broker\.password_file`"),
        ("inside = [1, 2]", "inside = [1, 3]", r"gate 'gate-1': antennas \[3\] stand on both sides"),
        ("inside = [1, 2]", "inside = []", "expected antennas on both sides"),
        ("inside = [1, 2]", "inside = [0]", r"Expected `int` >= 1 - at `\$\.portals\[0\]\.inside\[0\]`"),
        ("hold_s = 2", "hold_s = 60", "expected 0 < hold_s < longest_visit_s, got 60.0 and 20.0"),
        ("hold_s = 2", "session = 4", r"Expected `int` <= 3 - at `\$\.portals\[1\]\.session`"),
        (
            'name = "yard"',
            'name = "gate-1"',
            "expected a gate of its own for each of the portals, got 'gate-1' twice",
        ),
        ("192.0.2.11", "192.0.2.10", "expected a host and port of its own"),
    ],
)
def test_a_mistake_is_told_with_file_key_expected_and_got(
    tmp_path: Path, was: str, becomes: str, complaint: str
) -> None:
    assert was in GOOD

    with pytest.raises(WrongSettings, match=complaint) as told:
        load_settings(written(tmp_path, GOOD.replace(was, becomes, 1)))

    assert str(tmp_path / "gateway.toml") in str(told.value)


GATE_FILE = """\
[gate]
hold_s = 2.5
fewest_reads = 9

[gate.antennas]
inside = [2]
outside = [1, 3]
"""

BY_FILE = GOOD.partition("inside = [1, 2]")[0] + 'gate_file = "gates/dock-1.toml"\n'


def with_gate_file(folder: Path, gateway: str = BY_FILE, gate: str = GATE_FILE) -> Path:
    (folder / "gates").mkdir()
    (folder / "gates" / "dock-1.toml").write_text(gate)
    return written(folder, gateway)


def test_a_gate_is_read_from_a_file_of_its_own_beside_the_settings(tmp_path: Path) -> None:
    (portal,) = load_settings(with_gate_file(tmp_path)).portals
    gate = portal.gate_settings()
    assert portal.gate_file == tmp_path / "gates" / "dock-1.toml"
    assert (gate.name, gate.inside, gate.outside) == ("gate-1", {2}, {1, 3})
    assert (gate.hold_s, gate.fewest_reads) == (2.5, 9)


@pytest.mark.parametrize(
    ("code", "in_file", "name"),
    [
        ('gate = "gate-1"\n', 'name = "fitted"\n', "gate-1"),
        ("", 'name = "fitted"\n', "fitted"),
        ("", "", "dock-reader"),
    ],
)
def test_the_gates_code_is_the_one_given_here_else_that_of_its_file_else_the_readers_name(
    tmp_path: Path, code: str, in_file: str, name: str
) -> None:
    gateway = BY_FILE.replace('gate = "gate-1"\n', code)
    (portal,) = load_settings(
        with_gate_file(tmp_path, gateway, GATE_FILE.replace("[gate]\n", "[gate]\n" + in_file))
    ).portals
    assert portal.gate_settings().name == name


def test_any_limit_of_recognition_can_be_set_by_its_name(tmp_path: Path) -> None:
    text = GOOD + "[portals.recognition]\nfewest_reads = 8\nsmoothing_s = 1\n"
    dock, yard = load_settings(written(tmp_path, text)).portals
    usual = GateSettings("gate-1", frozenset({1, 2}), frozenset({3, 4}))
    assert dock.gate_settings() == usual
    gate = yard.gate_settings()
    assert (gate.fewest_reads, gate.smoothing_s, gate.hold_s) == (8, 1.0, 2.0)


@pytest.mark.parametrize(
    ("table", "levels"),
    [
        ("door = 1", {1: "high"}),
        ('door = 1\nbroken_when = "low"', {1: "low"}),
        ('outside = 1\ninside = 2\nbroken_when = { inside = "low" }', {1: "high", 2: "low"}),
    ],
)
def test_photo_eyes_are_known_to_the_gate_and_heard_by_the_portal(
    tmp_path: Path, table: str, levels: dict
) -> None:
    *_, yard = load_settings(written(tmp_path, f"{GOOD}[portals.photo_eyes]\n{table}\n")).portals
    gate = yard.gate_settings()
    assert {port for port in (gate.eye_door, gate.eye_outside, gate.eye_inside) if port} == set(levels)
    assert yard.eye_levels(gate) == levels


def test_photo_eyes_of_a_gate_file_keep_their_level_in_the_readers_settings(tmp_path: Path) -> None:
    gateway = BY_FILE + '[portals.photo_eyes]\nbroken_when = "low"\n'
    gate_file = GATE_FILE + "[gate.photo_eyes]\ndoor = 3\n"
    (portal,) = load_settings(with_gate_file(tmp_path, gateway, gate_file)).portals
    assert portal.eye_levels(portal.gate_settings()) == {3: "low"}


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ("[portals.recognition]\nfewest_read = 8", r"portal 'yard': unknown key recognition\.fewest_read"),
        (
            "[portals.recognition]\nfewest_reads = 8.5",
            r"portal 'yard': key recognition\.fewest_reads: expected a whole number.*, got 8\.5",
        ),
        ("[portals.recognition]\nname = 'x'", r"portal 'yard': unknown key recognition\.name"),
        ("[portals.recognition]\nhold_s = 3.0", r"portal 'yard': expected hold_s once"),
        ("[portals.recognition]\nmost_tags = 0", "gate 'yard': expected"),
        ("[portals.photo_eyes]\ndoor = 0", r"Expected `int` >= 1 - at `\$\.portals\[1\]\.photo_eyes\.door`"),
        ("[portals.photo_eyes]\ndor = 1", r"unknown field `dor` - at `\$\.portals\[1\]\.photo_eyes`"),
        (
            '[portals.photo_eyes]\nbroken_when = "up"',
            r"Invalid enum value 'up' - at `\$\.portals\[1\]\.photo_eyes\.broken_when`",
        ),
        (
            '[portals.photo_eyes]\nbroken_when = { door = "low" }',
            r"portal 'yard': key photo_eyes\.broken_when\.door: expected one of no photo-eyes",
        ),
        (
            "[portals.photo_eyes]\noutside = 1\ninside = 1",
            r"gate 'yard': expected a port of its own for each photo-eye, got \[1, 1\]",
        ),
    ],
)
def test_a_mistake_in_a_gates_tables_is_told_with_portal_key_expected_and_got(
    tmp_path: Path, more: str, complaint: str
) -> None:
    with pytest.raises(WrongSettings, match=complaint) as told:
        load_settings(written(tmp_path, f"{GOOD}{more}\n"))
    assert str(tmp_path / "gateway.toml") in str(told.value)


@pytest.mark.parametrize(
    ("gateway", "gate", "complaint"),
    [
        (BY_FILE + "inside = [1]\n", GATE_FILE, "portal 'dock-reader': expected gate_file without inside"),
        (BY_FILE + "hold_s = 3\n", GATE_FILE, "expected gate_file without hold_s, which stands in it"),
        (
            BY_FILE + "[portals.recognition]\nfewest_reads = 7\n",
            GATE_FILE,
            "expected gate_file without recognition",
        ),
        (BY_FILE, GATE_FILE.replace("2.5", '"long"'), r"dock-1\.toml: key gate\.hold_s: expected a number"),
        (
            BY_FILE,
            GATE_FILE.replace("[2]", "[1]"),
            r"dock-1\.toml: gate 'gate': antennas \[1\] stand on both sides",
        ),
        (BY_FILE.replace("dock-1.toml", "dock-9.toml"), GATE_FILE, r"gate_file .*dock-9\.toml cannot be read"),
        (
            BY_FILE + "[portals.photo_eyes]\ndoor = 1\n",
            GATE_FILE + "[gate.photo_eyes]\ndoor = 3\n",
            r"expected photo-eyes here or in .*dock-1\.toml, got \{'door': 1\} and \{'door': 3\}",
        ),
    ],
)
def test_a_mistake_about_a_gate_file_is_told_with_both_files(
    tmp_path: Path, gateway: str, gate: str, complaint: str
) -> None:
    with pytest.raises(WrongSettings, match=complaint) as told:
        load_settings(with_gate_file(tmp_path, gateway, gate))
    assert str(tmp_path / "gateway.toml") in str(told.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WrongSettings, match=r"nowhere\.toml cannot be read"):
        load_settings(tmp_path / "nowhere.toml")
