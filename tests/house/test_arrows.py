"""The rooms import each other only along the arrows of ARCHITECTURE.md; the contracts name rooms that exist."""

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent.parent
LINT_TIMEOUT_S = 100
# What a layer's name is written with: (optional), a | b (apart), a : b (may import each other).
_LAYER_SIGNS = str.maketrans({"(": " ", ")": " ", "|": " ", ":": " "})


@pytest.fixture(scope="module")
def contracts() -> list[dict[str, Any]]:
    settings = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = settings["tool"]["importlinter"]["contracts"]
    return found


def lint(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [str(program), "--no-cache", *arguments],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
        timeout=LINT_TIMEOUT_S,
    )


def test_every_contract_is_kept() -> None:
    done = lint()
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 broken" in done.stdout


def test_a_wrong_arrow_would_be_found(tmp_path: Path) -> None:
    """The check itself can fail: turn one layer contract upside down."""
    settings = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8")
    layers = '"flows", "store", "domain"]'
    assert settings.count(layers) == 1
    upside_down = tmp_path / "pyproject.toml"
    upside_down.write_text(settings.replace(layers, '"store", "flows", "domain"]'), encoding="utf-8")
    done = lint("--config", str(upside_down))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "the rooms of the cloud, top to bottom BROKEN" in done.stdout


def rooms(package: str) -> set[str]:
    """Modules and packages of `package`, one level deep."""
    folder = CHECKOUT / package
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    return modules | {path.parent.name for path in folder.glob("*/__init__.py")}


@pytest.mark.parametrize("package", ["cloud", "edge"])
def test_every_room_has_its_layer(package: str, contracts: list[dict[str, Any]]) -> None:
    (layers,) = [one["layers"] for one in contracts if one.get("containers") == [package]]
    named = " ".join(layers).translate(_LAYER_SIGNS).split()
    free = {"settings"}  # what a program is told may be read anywhere
    assert len(named) == len(set(named))
    assert rooms(package) - free <= set(named), "a room without a layer"
    optional = {
        name for layer in layers if layer.startswith("(") for name in layer.translate(_LAYER_SIGNS).split()
    }
    assert set(named) - rooms(package) <= optional, "a layer without a room"


def test_every_package_is_watched(contracts: list[dict[str, Any]]) -> None:
    settings = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    watched = set(settings["tool"]["importlinter"]["root_packages"])
    assert watched == {path.parent.name for path in CHECKOUT.glob("*/__init__.py")}
    assert contracts
