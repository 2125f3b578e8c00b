"""The commands of docs/guides/gates.md print what stands there, and its pictures and reasons exist.

In what a command prints, `…` stands for anything: a line of nothing else for any number of lines, within a line for
any text. The commands run one after the other in one folder, as a reader would run them.
"""

import re
import shlex
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from edge.readings import Direction
from standalone.gate_program import PROGRAMS, main
from tests.gate_report.pictures import simulated_pictures

CHECKOUT = Path(__file__).resolve().parent.parent.parent
GUIDE = CHECKOUT / "docs/guides/gates.md"
TEXT = GUIDE.read_text(encoding="utf-8")
FILES = dict(re.findall(r"^`([\w-]+\.toml)`:\n\n```toml\n(.*?)```$", TEXT, re.MULTILINE | re.DOTALL))
EXAMPLES = re.findall(r"^```console\n\$ (.+?)\n(.*?)```$", TEXT, re.MULTILINE | re.DOTALL)
SHARED = "../shared/"
OWN = [example for example in EXAMPLES if SHARED not in example[0]]
RECORDED = [example for example in EXAMPLES if SHARED in example[0]]
PICTURES = re.findall(r"!\[.+?\]\((gates/[\w-]+\.svg)\)", TEXT)
SVG = "{http://www.w3.org/2000/svg}"


def matches(shown: str, printed: str) -> bool:
    """Whether `printed` is `shown`, with … for anything and any run of blanks for any other."""
    pattern = ""
    for line in shown.splitlines():
        if line == "…":
            pattern += r"(?:[^\n]*\n)*?"
        else:
            words = [re.escape(word).replace("…", ".*") for word in line.split()]
            pattern += r"[ ]*" + r"[ ]+".join(words) + r"[ ]*\n"
    return re.fullmatch(pattern.replace(r"[ ]+.*", r".*"), printed) is not None


def run(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    program, verb, *arguments = shlex.split(command)
    assert (program, verb) == ("tallygate", "gate")
    assert main(arguments) == 0
    return capsys.readouterr().out


@pytest.mark.slow
def test_the_examples_print_what_the_guide_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, content in FILES.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for command, shown in OWN:
        printed = run(command, capsys)
        assert matches(shown, printed), f"{command}\n{printed}"


@pytest.mark.shared
@pytest.mark.parametrize(("command", "shown"), RECORDED, ids=[command for command, _ in RECORDED])
def test_the_recordings_print_what_the_guide_shows(
    command: str, shown: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if not (CHECKOUT / SHARED / "data/gate/emse_run3.csv.gz").exists():
        pytest.skip("recorded reads are not here: emse_run3.csv.gz in shared/data/gate")
    monkeypatch.chdir(CHECKOUT)
    printed = run(command, capsys)
    assert matches(shown, printed), printed


def test_every_command_has_an_example() -> None:
    assert {shlex.split(command)[2] for command, _ in EXAMPLES} == set(PROGRAMS)


def test_an_example_that_says_something_else_would_be_noticed() -> None:
    assert matches("a … c\n…\nend\n", "a  b c\n1\n2\nend\n")
    assert not matches("a … c\n…\nend\n", "a b d\nend\n")
    assert not matches("a\n", "a\nb\n")


def test_every_picture_is_there_and_names_its_source() -> None:
    assert len(PICTURES) >= 7
    folder = GUIDE.parent / "gates"
    assert {f"gates/{path.name}" for path in folder.iterdir()} == set(PICTURES)
    for name in PICTURES:
        root = ET.parse(GUIDE.parent / name).getroot()  # noqa: S314  our own file
        source = root.findtext(f"{SVG}desc") or ""
        assert root.findtext(f"{SVG}title")
        assert ("MIT licence" in source) or ("tallygate gate simulate" in source)


def test_every_direction_is_explained_and_every_reason_is_one_of_recognition() -> None:
    tables = re.findall(r"^\| ([^|]+?) \| .+\|$", TEXT, re.MULTILINE)
    assert {f"`{direction.value}`" for direction in Direction} <= set(tables)
    said = "".join(path.read_text(encoding="utf-8") for path in (CHECKOUT / "edge/recognition").glob("*.py"))
    reasons = tables[tables.index("reason") + 2 :] if "---" in tables else tables[tables.index("reason") + 1 :]
    assert len(reasons) >= 8
    assert [reason for reason in reasons if f'"{reason}"' not in said] == []


def test_what_the_guide_links_to_is_there() -> None:
    links = re.findall(r"(?<!!)\[[^\]]+\]\(([^)#:]+)\)", TEXT)
    assert [link for link in links if not (GUIDE.parent / link).exists()] == []


def test_the_simulated_pictures_can_be_drawn_anew() -> None:
    for name, picture in simulated_pictures().items():
        assert f"gates/{name}" in PICTURES
        drawn = ET.fromstring(picture().svg())  # noqa: S314  our own drawing
        assert len(drawn.findall(f"{SVG}circle")) > 20
        assert drawn.findtext(f"{SVG}title")
