"""docs/postings.md says of every kind and account what the rules and charts that ship say."""

import re
from pathlib import Path

from cloud.domain.ledger.charts import ASBE, GENERIC_IFRS, POSTING_RULES
from cloud.domain.movement import Kind
from cloud.domain.observation import CLOCK_AHEAD_US, TOO_OLD_US

CHECKOUT = Path(__file__).resolve().parent.parent.parent
PAGE = CHECKOUT / "docs/postings.md"
DOCUMENTS = ("*.md", "docs/*.md", "docs/guides/*.md", "protocols/*.md", "tests/*/*.md")


def table(head: str) -> list[list[str]]:
    """The rows of the table whose first column is called `head`."""
    text = PAGE.read_text(encoding="utf-8")
    after = text[text.index(f"| {head} |") :].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in after]


def test_every_kind_is_told_as_its_rule_posts_it() -> None:
    told = [row[:3] for row in table("kind")]
    assert told == [[Kind(rule.kind).name.lower(), rule.debit_role, rule.credit_role] for rule in POSTING_RULES]


def test_every_account_is_told_with_its_numbers() -> None:
    generic = {account.role: account.number for account in GENERIC_IFRS}
    assert table("role") == [
        [
            one.role,
            one.number,
            generic[one.role],
            f"{one.name_zh} · {one.name_en}",
            "control" if one.is_control else "",
        ]
        for one in ASBE
    ]


def test_the_limits_of_a_claimed_time_are_told() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert f"more than {CLOCK_AHEAD_US // 60_000_000} minutes after" in text
    assert f"more than {TOO_OLD_US // 86_400_000_000} days before" in text


def test_every_document_that_the_code_names_exists() -> None:
    there = {path.name for pattern in DOCUMENTS for path in CHECKOUT.glob(pattern)}
    rooms = ("cloud", "edge", "firmware_bridges", "protocols", "standalone", "tests", "docker")
    missing = {
        f"{path.relative_to(CHECKOUT)}: {name}"
        for room in rooms
        for path in (CHECKOUT / room).rglob("*.*")
        if path.suffix in {".py", ".sql", ".toml", ".conf", ".js", ".html"}
        for name in re.findall(r"\b([A-Za-z_]+\.md)\b", path.read_text(encoding="utf-8"))
        if name not in there
    }
    assert missing == set()


def test_every_section_that_the_code_names_exists() -> None:
    """`ARCHITECTURE.md "The log"` in a comment leads to a heading or a bold beginning of that page."""
    text = (CHECKOUT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    there = set(re.findall(r"^#+ (.+)$", text, re.MULTILINE)) | set(re.findall(r"\*\*(.+?)\*\*", text))
    told = {
        (str(path.relative_to(CHECKOUT)), section)
        for room in ("cloud", "edge", "firmware_bridges", "protocols", "standalone", "tests")
        for path in (CHECKOUT / room).rglob("*.py")
        for section in re.findall(r'ARCHITECTURE\.md,? "([^"]+)"', path.read_text(encoding="utf-8"))
        if path.name != Path(__file__).name
    }
    starts = {heading.removesuffix(".") for heading in there}
    assert told
    assert {one for one in told if not any(heading.startswith(one[1]) for heading in starts)} == set()
