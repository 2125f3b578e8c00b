"""Mutation testing of the costing kernels: `make mutants`, some ten minutes on two cores.

mutmut exchanges functions of plain Python. The kernels are that, but for their decorators: a copy of the house
without those is made in .runtime/mutants and judged there. A mutant survives when every answer stays the same; each
survivor must be listed with its reason in survivors.md, by its function and what it changes there, for mutmut's own
numbers shift with every edit. A mutant that never ends is noticed, and so does not survive.

`python -m tests.mutation` takes names of mutants, as mutmut does, to judge only these.
"""

import ast
import difflib
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.mutation import judged_streams

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
FOLDER = ROOT / ".runtime" / "mutants"
KERNELS = "cloud/domain/costing/kernels.py"
SETTINGS = f"""[mutmut]
source_paths=cloud
only_mutate={KERNELS}
also_copy=
    cloud
    protocols
    tests
    pytest.ini
pytest_add_cli_args=-q
    -p
    no:cacheprovider
    -o
    python_files=judge.py
pytest_add_cli_args_test_selection=tests/mutation/judge.py
timeout_multiplier=5
timeout_constant=5
"""
# The mutants, not the house that is installed for editing, are what the judge imports.
CONFTEST = """import pathlib, sys
sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from cloud.domain.costing import kernels
assert pathlib.Path(kernels.__file__).is_relative_to(sys.path[0]), kernels.__file__
"""
MUTMUT = (sys.executable, "-m", "mutmut")
RESULT = re.compile(r"^\s*\S+\.(x_\w+__mutmut_\d+): (\w+(?: \w+)*)$", re.MULTILINE)
NOTICED = ("killed", "timeout", "not checked")  # the last: others than those that were asked for
BLOCK = re.compile(r"^```diff\n(.*?)^```$", re.MULTILINE | re.DOTALL)

Change = tuple[str, ...]  # the function's name, the line before, what goes (−) and what comes (+)


def prepare() -> None:
    """The folder that mutmut works in."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    for package in ("cloud", "protocols"):
        shutil.copytree(ROOT / package, FOLDER / package, ignore=shutil.ignore_patterns("__pycache__"))
    (FOLDER / "tests").mkdir()
    for one in ("costing_limits.py", "costing_reference.py", "costing_streams.py"):
        shutil.copy(ROOT / "tests" / one, FOLDER / "tests" / one)
    shutil.copytree(HERE, FOLDER / "tests" / "mutation", ignore=shutil.ignore_patterns("__pycache__", "*.md"))
    # Packages of their own, so that nobody looks for them elsewhere.
    for package in ("tests", "tests/mutation"):
        (FOLDER / package / "__init__.py").touch()
    (FOLDER / "tests" / "conftest.py").write_text(CONFTEST)
    kernels = FOLDER / KERNELS
    plain = re.sub(r"^@(_compiled|njit\(.*\))\n(?=def )", "", kernels.read_text(), flags=re.MULTILINE)
    kernels.write_text(plain)
    (FOLDER / "setup.cfg").write_text(SETTINGS)
    (FOLDER / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\npythonpath = .\n")
    print(f"{judged_streams.keep(FOLDER / 'tests' / 'mutation' / 'cases.pickle')} streams", flush=True)


def survivors() -> dict[str, Change]:
    """What mutmut has judged, and nothing noticed."""
    results = subprocess.run([*MUTMUT, "results"], cwd=FOLDER, check=True, capture_output=True, text=True).stdout
    source = (FOLDER / "mutants" / KERNELS).read_text()
    lines = source.splitlines()
    bodies = {
        one.name: [re.sub(r"__mutmut_\w+", "", line) for line in lines[one.lineno - 1 : one.end_lineno]]
        for one in ast.parse(source).body
        if isinstance(one, ast.FunctionDef)
    }
    alive = [name for name, state in RESULT.findall(results) if state not in NOTICED]
    return {name: change(name, bodies) for name in alive}


def change(mutant: str, bodies: dict[str, list[str]]) -> Change:
    """What one mutant changes in its function, without the lines' indentation."""
    function = mutant.rsplit("__mutmut_", 1)[0]
    before, after = bodies[f"{function}__mutmut_orig"], bodies[mutant]
    found = [function.removeprefix("x_")]
    for line in list(difflib.unified_diff(before, after, n=1, lineterm=""))[3:]:
        if line[0] in "+-" or len(found) == 1:
            found.append(f"{line[0]} {line[1:].strip()}")
    return tuple(found)


def explained(text: str) -> list[Change]:
    """The changes that survivors.md lists, one after each line `@@ function`."""
    found: list[list[str]] = []
    for block in BLOCK.findall(text):
        for line in block.splitlines():
            if line.startswith("@@ "):
                found.append([line[3:]])
            elif line.strip():
                found[-1].append(f"{line[0]} {line[1:].strip()}")
    return [tuple(one) for one in found]


def shown(one: Change) -> str:
    """A change as survivors.md holds it."""
    return "\n".join((f"@@ {one[0]}", *one[1:]))


def main(names: Sequence[str]) -> int:
    """Judge every mutant, or these. 0 when only listed ones survive."""
    prepare()
    subprocess.run([*MUTMUT, "run", *names], cwd=FOLDER, check=True)
    alive = survivors()
    listed = explained((HERE / "survivors.md").read_text())
    unlisted = {name: one for name, one in alive.items() if one not in listed}
    for name, one in unlisted.items():
        print(f"\n{name} survived:\n{shown(one)}")
    if not names:
        for one in set(listed) - set(alive.values()):
            print(f"\nListed in survivors.md, but does not survive any more:\n{shown(one)}")
    print(f"\n{len(alive)} survived, {len(unlisted)} of them not explained in survivors.md")
    return 1 if unlisted else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
