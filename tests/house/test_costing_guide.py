"""The examples of docs/guides/costing.md print what stands there, and every method has one."""

import re
import shlex
from pathlib import Path

import pytest

from cloud.cost_files.program import EVERY_METHOD, main
from cloud.cost_files.reading import KNOWN, Type

GUIDE = Path(__file__).resolve().parent.parent.parent / "docs/guides/costing.md"
TEXT = GUIDE.read_text(encoding="utf-8")
FILES = dict(re.findall(r"^`([\w-]+\.csv)`:\n\n```csv\n(.*?)```$", TEXT, re.MULTILINE | re.DOTALL))
EXAMPLES = re.findall(r"^```console\n\$ (.+?)\n(.*?)```$", TEXT, re.MULTILINE | re.DOTALL)


def test_the_guide_has_examples() -> None:
    assert len(EXAMPLES) > 15
    assert len(FILES) > 10


@pytest.mark.parametrize(("command", "shown"), EXAMPLES, ids=[command for command, _ in EXAMPLES])
def test_an_example_prints_what_the_guide_shows(
    command: str, shown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, content in FILES.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    program, verb, *arguments = shlex.split(command)
    assert (program, verb) == ("tallygate", "cost")
    assert main(arguments) == (3 if "--reported" in arguments else 0)
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out == shown


@pytest.mark.parametrize("method", EVERY_METHOD)
def test_every_method_has_a_worked_example(method: str) -> None:
    assert any(f"--method {method}" in command for command, _ in EXAMPLES)


def test_the_guide_explains_every_column_and_every_type() -> None:
    told = set(re.findall(r"`([a-z_]+)`", "\n".join(re.findall(r"^\| (`.+?) \|", TEXT, re.MULTILINE))))
    assert told >= KNOWN
    assert told >= {kind.label for kind in Type}
