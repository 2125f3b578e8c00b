"""docs/coverage.md lists every requirement once, names only files that exist, and claims nothing without a test."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent.parent
COVERAGE = CHECKOUT / "docs/coverage.md"
REQUIREMENTS = 294
STATES = {"done", "part", "not yet"}


@dataclass(frozen=True)
class Row:
    number: int
    words: str
    state: str
    where: list[str]
    tests: list[str]


def rows() -> list[Row]:
    found = []
    for line in COVERAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("| R"):
            number, words, state, where, tests = (cell.strip() for cell in line.strip("|").split("|"))
            found.append(
                Row(int(number[1:]), words, state, re.findall("`(.+?)`", where), re.findall("`(.+?)`", tests))
            )
    return found


def test_every_requirement_has_exactly_one_row() -> None:
    assert [row.number for row in rows()] == list(range(1, REQUIREMENTS + 1))


def test_every_state_is_one_of_three_and_the_sum_at_the_top_is_right() -> None:
    count = Counter(row.state for row in rows())
    assert set(count) <= STATES
    said = f"Of {REQUIREMENTS}: {count['done']} done, {count['part']} part, {count['not yet']} not yet."
    assert said in COVERAGE.read_text(encoding="utf-8").splitlines()


def test_every_row_claims_only_what_is_there() -> None:
    assert [f"R{row.number}: {what}" for row in rows() for what in complaints(row)] == []


def complaints(row: Row) -> list[str]:
    """What is wrong with a row."""
    found = [f"no file {path}" for path in row.where + row.tests if not (CHECKOUT / path).is_file()]
    found += [f"no test in {path}" for path in row.tests if not holds_a_test(CHECKOUT / path)]
    if row.state == "not yet" and row.where + row.tests:
        found.append("not yet, but somewhere")
    if row.state != "not yet" and not row.where:
        found.append(f"{row.state}, but nowhere")
    if row.state == "done" and not row.tests:
        found.append("done, but no test shows it")
    if row.state == "part" and "—" not in row.words:
        found.append("part, but not which part")
    return found


def holds_a_test(path: Path) -> bool:
    return path.is_file() and path.name.startswith("test_") and "def test_" in path.read_text(encoding="utf-8")


def test_a_row_that_claims_too_much_is_found() -> None:
    real = "tests/house/test_coverage.py"
    assert complaints(Row(1, "x", "done", ["Makefile"], [real])) == []
    assert complaints(Row(1, "x", "done", ["Makefile"], [])) == ["done, but no test shows it"]
    assert complaints(Row(1, "x", "done", ["Makefile"], ["tests/makers.py"])) == ["no test in tests/makers.py"]
    assert complaints(Row(1, "x", "part", ["gone.py"], [])) == ["no file gone.py", "part, but not which part"]
    assert complaints(Row(1, "x", "not yet", ["Makefile"], [])) == ["not yet, but somewhere"]
