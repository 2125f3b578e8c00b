"""The console's words, one file per language: catalogue/zh.json and catalogue/en.json with the same keys."""

import json
from functools import cache
from pathlib import Path

LANGUAGES = ("zh", "en")
FILES = Path(__file__).parent / "catalogue"


@cache
def texts(language: str) -> dict[str, str]:
    """Every text of the console by its key. Raises KeyError for a language that has no file."""
    if language not in LANGUAGES:
        raise KeyError(language)
    found: dict[str, str] = json.loads((FILES / f"{language}.json").read_text(encoding="utf-8"))
    return found


def preferred(accept_language: str) -> str:
    """The first of a browser's languages (RFC 9110, section 12.5.4) that we speak; Chinese otherwise."""
    for part in accept_language.split(","):
        spoken = part.split(";")[0].strip().lower().split("-")[0]
        if spoken in LANGUAGES:
            return spoken
    return LANGUAGES[0]
