"""Both languages say everything the console says."""

import re
from pathlib import Path

import pytest

from cloud.console import catalogue
from cloud.console.catalogue import LANGUAGES, preferred, texts
from cloud.domain.costing.pools import METHODS
from cloud.domain.gate_evidence import SIDES
from cloud.domain.movement import Crossing, Kind, Outcome, Tag

CONSOLE = Path(catalogue.__file__).parent
# What a passage did to the books, as cloud/console/passage_page.py::effect_of names it.
EFFECTS = (
    "moved", "moved_later", "undone", "already_there", "same_crossing", "turned_back", "undecided", "unregistered",
)  # fmt: skip
PLACEHOLDER = re.compile(r"\{(\w+)\}")


def used_keys() -> set[str]:
    """Keys that templates, pages and the page's module name in full."""
    found: set[str] = set()
    for path in [*CONSOLE.glob("templates/*.html"), CONSOLE / "static/live.js"]:
        found |= set(re.findall(r"""\bt\(["']([a-z_.]+[a-z_])["']""", path.read_text(encoding="utf-8")))
    return found | set(
        re.findall(r'"(sign_in\.(?!html)[a-z_]+)"', (CONSOLE / "pages.py").read_text(encoding="utf-8"))
    )


def built_keys() -> set[str]:
    """Keys that are put together from a prefix and a name of the domain."""
    return {
        *(f"kind.{kind.name.lower()}" for kind in Kind),
        *(f"outcome.{outcome.name.lower()}" for outcome in Outcome),
        *(f"direction.{crossing.name.lower()}" for crossing in Crossing),
        *(f"tag.{tag.name.lower()}" for tag in Tag if tag.name),
        *(f"method.{method}" for method in METHODS),
        *(f"language.{language}" for language in LANGUAGES),
        *(f"connection.{state}" for state in ("waiting", "live", "reconnecting")),
        *(f"why.verdict.{crossing.name.lower()}" for crossing in Crossing),
        *(f"why.effect.{effect}" for effect in EFFECTS),
        *(f"why.side.{side}" for side in SIDES),
        *(f"why.eye.{eye}" for eye in ("door", *SIDES)),
        "location_kind.clarification",
        "location_kind.in_transit",
    }


def test_both_languages_have_the_same_keys() -> None:
    assert texts("zh").keys() == texts("en").keys()


def test_no_text_is_empty() -> None:
    assert [key for language in LANGUAGES for key, text in texts(language).items() if not text.strip()] == []


def test_both_languages_fill_in_the_same_values() -> None:
    for key, text in texts("zh").items():
        assert set(PLACEHOLDER.findall(text)) == set(PLACEHOLDER.findall(texts("en")[key])), key


def test_every_word_the_console_uses_is_in_the_catalogue() -> None:
    assert used_keys() | built_keys() <= texts("zh").keys()


def test_the_catalogue_holds_no_word_that_nobody_uses() -> None:
    named = "\n".join(
        path.read_text(encoding="utf-8")
        for path in [*CONSOLE.glob("templates/*.html"), CONSOLE / "static/live.js", *CONSOLE.glob("*.py")]
    )
    unused = {key for key in texts("zh").keys() - built_keys() if f'"{key}"' not in named}
    assert unused == set()


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("en-GB,en;q=0.9", "en"),
        ("zh-CN", "zh"),
        ("fr,de;q=0.8,en;q=0.5", "en"),
        ("fr", "zh"),
        ("", "zh"),
        (";;,", "zh"),
    ],
)
def test_the_browsers_language_is_spoken_where_it_is_known(header: str, language: str) -> None:
    assert preferred(header) == language
