"""gateway.toml: what it becomes, and how a mistake in it is told."""

from pathlib import Path

import pytest

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


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WrongSettings, match=r"nowhere\.toml cannot be read"):
        load_settings(tmp_path / "nowhere.toml")
