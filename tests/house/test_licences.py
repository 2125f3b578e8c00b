"""What an installed Tallygate runs with may be shipped under GPL-3.0-or-later."""

import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent.parent

# SPDX names, and what older metadata says instead, of licences that the FSF lists as compatible with GPL 3.
COMPATIBLE = re.compile(
    r"(MIT|MIT-0|MIT-CMU|BSD|0BSD|BSD-[23]-Clause|Apache-2\.0( WITH LLVM-exception)?|ISC|Zlib|Unlicense"
    r"|CC0-1\.0|BSL-1\.0|PostgreSQL|PSF-2\.0|Python-2\.0|MPL-2\.0|(L?GPL-3\.0|LGPL-2\.1|GPL-2\.0)-or-later|GPL-3\.0-only|LGPL-3\.0-only|GPL-3\.0)"
)
_CLASSIFIERS = {
    "License :: OSI Approved :: MIT License",
    "License :: OSI Approved :: BSD License",
    "License :: OSI Approved :: Apache Software License",
    "License :: OSI Approved :: ISC License (ISCL)",
    "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)",
    "License :: OSI Approved :: Python Software Foundation License",
    "License :: OSI Approved :: The Unlicense (Unlicense)",
    "License :: OSI Approved :: GNU General Public License v3 (GPLv3)",
    "License :: OSI Approved :: GNU Lesser General Public License v3 (LGPLv3)",
    "License :: OSI Approved :: GNU Lesser General Public License v3 or later (LGPLv3+)",
}


def locked() -> list[str]:
    """Names of requirements.lock whose environment marker, if any, is that of this machine's kind."""
    text = (CHECKOUT / "requirements.lock").read_text(encoding="utf-8")
    found = re.findall(r"^([a-z0-9][a-z0-9._-]*)==\S+(?: ; (.*?))?(?: \\)?$", text, re.MULTILINE)
    return [name for name, marker in found if "win32" not in marker]


def says(package: Distribution) -> tuple[str, list[str]]:
    """(licence expression or text, classifiers) of a package's metadata."""
    metadata = package.metadata
    words = metadata.get("License-Expression") or metadata.get("License") or ""
    return words.strip(), [one for one in metadata.get_all("Classifier") or [] if one.startswith("License ::")]


def is_compatible(words: str, classifiers: list[str]) -> bool:
    """Whether metadata say clearly that GPL 3 may take it in."""
    plain = {"MIT License": "MIT", "Apache License 2.0": "Apache-2.0", "BSD License": "BSD", "GPLv3": "GPL-3.0"}
    expression = plain.get(words, words).replace("(", "").replace(")", "")
    # A choice is compatible when one alternative is; within it everything has to be.
    if any(all(map(COMPATIBLE.fullmatch, one.split(" AND "))) for one in expression.split(" OR ")):
        return True
    return bool(classifiers) and set(classifiers) - {"License :: OSI Approved"} <= _CLASSIFIERS


def test_the_lock_is_read_whole() -> None:
    assert {"sllurp", "numba", "psycopg", "fastapi"} <= set(locked())
    assert len(locked()) > 30


@pytest.mark.parametrize("name", locked())
def test_its_licence_is_compatible(name: str) -> None:
    try:
        package = distribution(name)
    except PackageNotFoundError:
        pytest.fail(f"{name} is locked but not installed: run make test, which installs the lock")
    words, classifiers = says(package)
    assert is_compatible(words, classifiers), f"{name} says {words[:80]!r} and {classifiers}"


@pytest.mark.parametrize(
    ("words", "classifiers"),
    [
        ("GPL-2.0-only", []),
        ("Proprietary", []),
        ("MIT AND SSPL-1.0", []),
        ("EPL-2.0", []),
        ("EPL-2.0 OR SSPL-1.0", []),
        ("", []),
        ("", ["License :: Other/Proprietary License"]),
    ],
)
def test_what_is_not_compatible_or_not_said_is_refused(words: str, classifiers: list[str]) -> None:
    assert not is_compatible(words, classifiers)
