"""The list of mutants that may survive speaks of the kernels as they are."""

import re
from pathlib import Path

from tests.mutation.__main__ import HERE, KERNELS, ROOT, explained

LISTED = explained((HERE / "survivors.md").read_text())


def test_every_listed_survivor_changes_a_line_that_the_kernels_have() -> None:
    source = (ROOT / KERNELS).read_text()
    functions = {one.split("(", 1)[0]: one for one in re.split(r"^def ", source, flags=re.MULTILINE)}
    assert LISTED
    for name, *lines in LISTED:
        body = {line.strip() for line in functions[name].splitlines()}
        gone = [line[2:] for line in lines if line[0] in " -"]
        assert [line for line in gone if line not in body] == [], f"{name}: no such line"


def test_no_survivor_is_listed_twice() -> None:
    assert len(set(LISTED)) == len(LISTED)


def test_ordinary_tests_do_not_collect_the_judge() -> None:
    assert not list(Path(HERE).glob("test_*.py"))
