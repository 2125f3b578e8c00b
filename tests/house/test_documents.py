"""The documents, the files and the statements keep the house's own rules."""

import ast
import re
import subprocess
import tokenize
import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import tallygate

CHECKOUT = Path(__file__).resolve().parent.parent.parent
QUERIES = CHECKOUT / "cloud/store/queries"
MAX_FILE_BYTES = 1024 * 1024
GIT_TIMEOUT_S = 30
# Written by a tool, or by somebody else.
LOCKS = {"requirements.lock", "requirements-dev.lock"}

# Spelled in pieces, so that this file does not hold what it looks for. Registries are reached by whatever
# index an installation is given; a host name in a file would take that choice away.
REGISTRIES = ["py" + "pi.org", "python" + "hosted.org", "registry." + "npmjs.org", "files.python" + "hosted"]
REGISTRIES += ["deb." + "debian.org", "archive." + "ubuntu.com", "--index" + "-url", "--extra-index" + "-url"]
# A folder of one developer's or one build machine; those of every system (/usr, /etc, /run, /tmp …) are fine.
MACHINE_PATHS = re.compile(r"(?<![\w./-])/(?:home|work|Users|mnt|workspace|builds)/[\w.-]+")


@cache
def files() -> tuple[Path, ...]:
    """What belongs to the project: the tracked files."""
    listed = subprocess.run(
        ["git", "ls-files"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
        timeout=GIT_TIMEOUT_S,
    )
    if listed.returncode != 0:
        return ()
    return tuple(path for name in sorted(set(listed.stdout.splitlines())) if (path := CHECKOUT / name).is_file())


@pytest.fixture(autouse=True)
def _in_a_checkout() -> None:
    if not files():
        pytest.skip("not a git checkout: nobody knows which files belong to the project")


def named(path: Path) -> str:
    return path.relative_to(CHECKOUT).as_posix()


def texts(*suffixes: str) -> Iterator[tuple[str, str]]:
    """(name, text) of the project's text files."""
    for path in files():
        if not suffixes or path.suffix in suffixes:
            try:
                yield named(path), path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue


def document(name: str) -> str:
    return (CHECKOUT / name).read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """The part of a document under `## heading…`."""
    return re.split(r"^## ", text, flags=re.MULTILINE)[
        [part.startswith(heading) for part in re.split(r"^## ", text, flags=re.MULTILINE)].index(True)
    ]


# ── Documents ───────────────────────────────────────────────────────────────────────────────────────


def test_the_readme_gives_a_reason_for_every_dependency_and_for_no_other() -> None:
    project = tomllib.loads(document("pyproject.toml"))["project"]
    declared = {re.split(r"[<>=!~ ]", one, maxsplit=1)[0] for one in project["dependencies"]}
    table = re.findall(
        r"^\| `([^`]+)` \| (.*?) \| (.*?) \|$", section(document("README.md"), "Dependencies"), re.MULTILINE
    )
    assert {name for name, *_ in table} == declared
    assert all(purpose.strip() and reason.strip() for _, purpose, reason in table)


def test_the_readme_names_every_development_dependency() -> None:
    optional = tomllib.loads(document("pyproject.toml"))["project"]["optional-dependencies"]
    declared = {re.split(r"[<>=!~ ]", one, maxsplit=1)[0] for one in optional["dev"]}
    (line,) = re.findall(r"^For development: .*$", document("README.md"), re.MULTILINE)
    assert declared <= set(re.findall("`([^`]+)`", line))


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"])
def test_every_make_target_that_is_named_exists(name: str) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", document("Makefile"), re.MULTILINE))
    told = set(re.findall(r"(?:`|^)make ([a-z][a-z-]*)", document(name), re.MULTILINE))
    assert told
    assert told <= targets


def test_the_readme_lists_every_verb_and_no_other() -> None:
    rows = re.findall(r"^\| (`.+?) \|", section(document("README.md"), "Verbs"), re.MULTILINE)
    listed = [verb for row in rows for verb in re.findall(r"`([a-z]+)", row) if verb != "tallygate"]
    assert sorted(listed) == sorted(tallygate.VERBS)


def test_the_readme_lists_every_setting_of_the_cloud() -> None:
    read = set(re.findall(r"TALLYGATE_[A-Z_]+", document("cloud/settings.py")))
    listed = set(re.findall(r"TALLYGATE_[A-Z_]+", section(document("README.md"), "Configuration")))
    assert read == {name for name in read if name in listed}


def test_the_glossary_has_each_word_once_with_a_meaning() -> None:
    rows = re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|", document("GLOSSARY.md"), re.MULTILINE)
    words = [
        word.lower()
        for heads, meaning in rows
        if heads not in ("word", "---") and meaning
        for word in heads.split(", ")
    ]
    assert len(words) > 60
    assert [word for word, times in Counter(words).items() if times > 1] == []


@pytest.mark.parametrize(
    "name",
    ["README.md", "ARCHITECTURE.md", "GLOSSARY.md", "CONTRIBUTING.md", "protocols/README.md", "docs/coverage.md"],
)
def test_what_a_document_names_or_links_to_is_there(name: str) -> None:
    text = document(name)
    here = (CHECKOUT / name).parent
    missing = [link for link in re.findall(r"\]\(([^)#:]+)\)", text) if not (here / link).exists()]
    first_rooms = {path.name for path in CHECKOUT.iterdir() if path.is_dir() and not path.name.startswith(".")}
    told = re.findall(r"`([\w./-]+/[\w./-]*)`", text)
    missing += [path for path in told if path.split("/")[0] in first_rooms and not (CHECKOUT / path).exists()]
    assert missing == []


# ── Files ───────────────────────────────────────────────────────────────────────────────────────────


def test_no_file_names_a_package_registry() -> None:
    assert [(name, host) for name, text in texts() for host in REGISTRIES if host in text] == []


def test_no_file_names_a_folder_of_one_machine() -> None:
    found = {name: MACHINE_PATHS.findall(text) for name, text in texts() if name not in LOCKS}
    assert {name: paths for name, paths in found.items() if paths} == {}


def test_no_file_is_larger_than_a_mebibyte() -> None:
    assert [named(path) for path in files() if path.stat().st_size > MAX_FILE_BYTES] == []


def test_every_module_opens_with_what_it_is() -> None:
    """Also every test file; only an empty __init__.py has nothing to say."""
    silent = []
    for path in files():
        if path.suffix == ".py":
            with tokenize.open(path) as source:
                text = source.read()
            if text.strip() and not ast.get_docstring(ast.parse(text)):
                silent.append(named(path))
    assert silent == []


def test_no_room_is_named_for_nothing() -> None:
    empty_names = {"utils", "util", "helpers", "helper", "common", "misc", "manager"}
    assert [named(path) for path in files() if empty_names & {part.split(".")[0] for part in path.parts}] == []


def test_the_licence_is_the_one_declared() -> None:
    assert tomllib.loads(document("pyproject.toml"))["project"]["license"] == "GPL-3.0-or-later"
    assert document("LICENSE").split()[:6] == ["GNU", "GENERAL", "PUBLIC", "LICENSE", "Version", "3,"]


# ── Statements ──────────────────────────────────────────────────────────────────────────────────────

_HEAD = re.compile(r"^-- ([a-z][a-z0-9_]*) --$", re.MULTILINE)


def sql_files() -> list[Path]:
    return sorted([*QUERIES.glob("*.sql"), CHECKOUT / "edge/outbox/outbox.sql"])


def statements(path: Path) -> list[tuple[str, str]]:
    """(name, body) in the file's order, twice named ones twice."""
    parts = _HEAD.split(path.read_text(encoding="utf-8"))
    return list(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("path", sql_files(), ids=lambda path: path.name)
def test_every_statement_says_why_before_it_does_anything(path: Path) -> None:
    found = statements(path)
    assert found, "no statement"
    wordless = []
    for name, body in found:
        why, *rest = [line for line in body.splitlines() if line.strip()] or [""]
        if not re.fullmatch(r"-- \S.{8,}", why) or not any(not line.startswith("--") for line in rest):
            wordless.append(name)
    assert wordless == []


@pytest.mark.parametrize("path", sql_files(), ids=lambda path: path.name)
def test_every_statement_has_a_name_of_its_own(path: Path) -> None:
    assert [name for name, times in Counter(name for name, _ in statements(path)).items() if times > 1] == []


def called_statements() -> Iterator[tuple[str, str, str]]:
    """(file, noun, name) of every `statement("noun", "name")` of the code, tests not counted."""
    for name, text in texts(".py"):
        if name.startswith("tests/"):
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "statement" and len(node.args) == 2:
                noun, called = node.args
                if isinstance(noun, ast.Constant) and isinstance(called, ast.Constant):
                    yield name, str(noun.value), str(called.value)


def test_every_statement_that_is_called_exists() -> None:
    there = {(path.stem, name) for path in QUERIES.glob("*.sql") for name, _ in statements(path)}
    called = list(called_statements())
    assert len(called) > 50
    assert [one for one in called if one[1:] not in there] == []


def test_no_statement_lies_unused() -> None:
    """Its name stands somewhere in the code as a text, called at once or by way of a variable."""
    spoken = {
        part
        for name, text in texts(".py")
        if not name.startswith("tests/")
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for part in [node.value]
    }
    built = ("copy_",)  # f"copy_{table}"
    unused = [
        f"{path.name}: {name}"
        for path in sql_files()
        for name, _ in statements(path)
        if name not in spoken and not name.startswith(built)
    ]
    assert unused == []
