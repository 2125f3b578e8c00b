"""docs/postings.md says of every kind and account what the rules and charts that ship say."""

import re
from pathlib import Path

from cloud.domain.ledger.accounts import Account
from cloud.domain.ledger.charts import ASBE, GENERIC_IFRS
from cloud.domain.ledger.rules_shipped import POSTING_RULES, SHIPPED_NOT_INVOICED, WITHOUT_RULE
from cloud.domain.movement import Kind
from cloud.domain.observation import CLOCK_AHEAD_US, TOO_OLD_US

CHECKOUT = Path(__file__).resolve().parent.parent.parent
PAGE = CHECKOUT / "docs/postings.md"
DOCUMENTS = ("*.md", "docs/*.md", "docs/*/*.md", "protocols/*.md", "tests/*/*.md")


def table(head: str) -> list[list[str]]:
    """The rows of the table whose first column is called `head`."""
    text = PAGE.read_text(encoding="utf-8")
    after = text[text.index(f"| {head} |") :].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in after]


def named(kind: int) -> str:
    return Kind(kind).name.lower()


def test_every_kind_is_told_as_its_rule_posts_it() -> None:
    told = [row[:4] for row in table("kind")]
    assert told == [[named(r.kind), r.reason or "", r.debit_role, r.credit_role] for r in POSTING_RULES]


def test_every_kind_without_a_rule_is_told_with_the_reason() -> None:
    told = table("without a rule")
    assert told == [[named(kind), why] for kind, why in WITHOUT_RULE.items()]
    assert set(Kind) - {Kind(rule.kind) for rule in POSTING_RULES} == set(WITHOUT_RULE)


def test_the_rules_of_goods_shipped_not_invoiced_are_told() -> None:
    told = [row[:3] for row in table("switched on")]
    assert told == [[named(rule.kind), rule.debit_role, rule.credit_role] for rule in SHIPPED_NOT_INVOICED]


def marks(account: Account) -> str:
    said = {"control": account.is_control, "items": account.has_items, "monetary": account.is_monetary}
    return ", ".join(word for word, is_so in said.items() if is_so)


def test_every_account_of_a_role_is_told_with_its_numbers() -> None:
    generic = {account.role: account.number for account in GENERIC_IFRS}
    assert table("role") == [
        [str(one.role), one.number, generic[one.role], one.name, marks(one)] for one in ASBE if one.role
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
        for name in re.findall(r"\b([A-Za-z_-]+\.md)\b", path.read_text(encoding="utf-8"))
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
