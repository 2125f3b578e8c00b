"""`tallygate epc`: arrays for programs, tables for people, exit status and reasons."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from standalone.epc_program import main

KITE = "3066C4409047E140075BCD15"
FACTORY = "E28011606000020495A10B7C"
KEYS = {"hex", "scheme", "filter", "epc_uri", "tag_uri", "element_string", "digital_link", "error"}


def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_a_tag_is_told_in_every_spelling(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", KITE.lower(), "--json"]) == 0
    (kite,) = printed(capsys)
    assert set(kite) >= KEYS
    assert {key: kite[key] for key in KEYS} == {
        "hex": KITE,
        "scheme": "sgtin-96",
        "filter": 3,
        "epc_uri": "urn:epc:id:sgtin:95060001343.05.123456789",
        "tag_uri": "urn:epc:tag:sgtin-96:3.95060001343.05.123456789",
        "element_string": "(01)09506000134352(21)123456789",
        "digital_link": "https://id.gs1.org/01/09506000134352/21/123456789",
        "error": None,
    }


def test_the_array_is_whole_and_in_order_also_where_some_cannot_be_read(
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = ["", KITE, "xyz", FACTORY, "3"]
    assert main(["decode", *given, "--json"]) == 1
    decoded = printed(capsys)
    assert [one["hex"] for one in decoded] == given
    assert [one["error"] is None for one in decoded] == [False, True, False, False, False]
    assert "factory memory" in decoded[3]["error"]


def test_people_get_aligned_columns_and_no_empty_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", KITE, "F73795211411234538566CB0AFC4"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["hex", "scheme", "filter", "epc_uri", "element_string", "digital_link"]
    place = head.index("element_string")
    assert [row[place : place + 4] for row in rows] == ["(01)", "(01)"]
    assert rows[1].split()[3] == "–"


def test_what_a_terminal_would_obey_is_shown_quoted(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", "\x1b[2J\n"]) == 1
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "memory"),
    [
        (["urn:epc:tag:sgtin-96:3.95060001343.05.123456789"], KITE),
        (["urn:epc:id:sgtin:95060001343.05.123456789", "--filter", "3"], KITE),
        (["(01)09506000134352(21)123456789", "--prefix-digits", "11", "--filter", "3"], KITE),
        (["https://id.gs1.org/01/09506000134352/21/123456789", "--prefix-digits", "11", "--filter", "3"], KITE),
        (["urn:epc:id:sscc:952012.03456789123", "--scheme", "sscc+"], "F90095201234567891235000"),
    ],
)
def test_a_uri_becomes_memory(arguments: list[str], memory: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encode", *arguments]) == 0
    assert capsys.readouterr().out == memory + "\n"
    assert main(["encode", *arguments, "--json"]) == 0
    assert printed(capsys)[0]["hex"] == memory


def test_what_cannot_be_written_is_refused_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encode", "urn:epc:id:sgtin:95060001343.5.1"]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "expected 13 characters in company prefix and reference together, got 12" in shown.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["decode"],
        ["encode"],
        ["decode", KITE, "--filter", "1"],
        ["encode", "urn:epc:id:gid:1.2.3", "--scheme", "gid-64"],
    ],
)
def test_a_wrong_call_is_two(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    assert "usage: tallygate epc" in capsys.readouterr().err


def test_help_and_unknown_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert main([]) == 2
    assert main(["read", KITE]) == 2
    assert "no command 'read'" in capsys.readouterr().err


def test_the_readmes_example_prints_what_stands_there(capsys: pytest.CaptureFixture[str]) -> None:
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    examples = re.findall(r"^\$ tallygate epc (.+)\n((?:(?!```|\$ ).*\n)+)", readme, re.MULTILINE)
    assert [shlex.split(command)[0] for command, _ in examples] == ["decode", "encode"]
    for command, shown in examples:
        main(shlex.split(command))
        assert capsys.readouterr().out == shown


def test_the_front_door_leads_here() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tallygate", "epc", "decode", "", "--json"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 1
    assert json.loads(ran.stdout)[0]["error"] == "expected hex digits, got none"
