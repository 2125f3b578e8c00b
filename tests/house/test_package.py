"""What an installed Tallygate needs is in its wheel: every module, and every file that is no module."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent.parent
ROOMS = ("cloud", "edge", "firmware_bridges", "protocols", "standalone")
# For people who read the code, not for the programs.
NOT_NEEDED = {".md", ".pyc"}
BUILD_TIMEOUT_S = 100


def test_the_wheel_holds_every_file_of_the_rooms(tmp_path: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", *ROOMS, "tallygate.py"], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    expected = {name for name in listed.stdout.split("\n") if name and Path(name).suffix not in NOT_NEEDED}
    # From a copy: a build leaves folders beside its sources.
    source = tmp_path / "source"
    for name in [*expected, "pyproject.toml", "LICENSE", "README.md"]:
        if (CHECKOUT / name).exists():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((CHECKOUT / name).read_bytes())
    build = ["wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(tmp_path), str(source)]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *build],
        capture_output=True,
        text=True,
        check=False,
        timeout=BUILD_TIMEOUT_S,
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    present = {name for name in expected if (CHECKOUT / name).exists()}
    assert present - packed == set()
