"""Unpacking Debian's packages: what is there stays, what cannot be done says why."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from standalone.debian import SUITE, Bundle, Unavailable, find_mirror, unpack
from standalone.runtime import COMPLETE, VARIABLE, runtime_folder, unpacked
from standalone.timescaledb import BUNDLES, EXIT_UNAVAILABLE, MOSQUITTO, ensure
from tests.conftest import absent


def fill(folder: Path, bundle: Bundle) -> None:
    """A folder as it is after unpacking."""
    folder.mkdir()
    content = {"suite": SUITE, "packages": dict.fromkeys(bundle.packages, "1.0")}
    (folder / COMPLETE).write_text(json.dumps(content))


def test_what_is_unpacked_is_not_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, bundle in BUNDLES.items():
        fill(tmp_path / name, bundle)
    monkeypatch.setenv("PATH", "")  # no apt, no dpkg: asking for them would fail
    ensure(runtime=tmp_path)


def test_a_host_without_apt_is_told_what_runs_without_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(Unavailable, match=r"no apt-get, dpkg.*plain PostgreSQL"):
        ensure(runtime=tmp_path)


def test_the_program_says_why_and_exits_with_three(tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": "", VARIABLE: str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "standalone.timescaledb"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == EXIT_UNAVAILABLE
    assert "make timescaledb: this host has no apt-get" in done.stderr


def test_half_a_folder_or_another_list_of_packages_is_not_taken_for_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    (tmp_path / "mosquitto").mkdir()
    with pytest.raises(Unavailable):
        unpack([MOSQUITTO], tmp_path)
    shutil.rmtree(tmp_path / "mosquitto")
    fill(tmp_path / "mosquitto", Bundle("mosquitto", ["mosquitto"], [], [], ""))
    with pytest.raises(Unavailable):
        unpack([MOSQUITTO], tmp_path)


def test_a_named_mirror_is_taken_at_its_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLYGATE_DEBIAN_MIRROR", "http://mirror.example/debian/")
    assert find_mirror() == "http://mirror.example/debian/"


def test_the_runtime_folder_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert runtime_folder() == tmp_path
    assert unpacked("mosquitto") is None
    fill(tmp_path / "mosquitto", MOSQUITTO)
    assert unpacked("mosquitto") == tmp_path / "mosquitto"


def test_unpacked_programs_run_from_wherever_they_are_moved(tmp_path: Path) -> None:
    folder = unpacked("mosquitto")
    if folder is None:
        absent("mosquitto", "`make timescaledb` unpacks it on Debian-like hosts")
        return
    moved = tmp_path / "else where"
    shutil.copytree(folder, moved, symlinks=True)
    done = subprocess.run([moved / "usr/sbin/mosquitto", "-h"], capture_output=True, text=True, check=False)
    assert "mosquitto version 2." in done.stdout + done.stderr
