"""Which folders the account that servers run as can reach, judged by the permission bits."""

import os
from pathlib import Path

import pytest

from standalone.account import Account, can_reach, reachable_copy, server_account

STRANGER = Account(54321, 54321)


@pytest.fixture
def folder(session_folder: Path, request: pytest.FixtureRequest) -> Path:
    made = session_folder / request.node.name / "inner"
    made.mkdir(parents=True)
    for path in (made.parent, made):
        path.chmod(0o755)
    return made


def test_open_folders_can_be_reached(folder: Path) -> None:
    assert can_reach(STRANGER, folder)


@pytest.mark.parametrize("mode", [0o700, 0o750, 0o774])
def test_one_closed_folder_on_the_way_is_enough(folder: Path, mode: int) -> None:
    folder.parent.chmod(mode)
    assert not can_reach(STRANGER, folder)


def test_entering_is_enough_reading_is_not_asked(folder: Path) -> None:
    folder.parent.chmod(0o711)
    assert can_reach(STRANGER, folder)


def test_the_owners_bits_count_for_the_owner(folder: Path) -> None:
    folder.chmod(0o077)
    assert not can_reach(Account(folder.stat().st_uid, 54321), folder)
    folder.chmod(0o700)
    assert can_reach(Account(folder.stat().st_uid, 54321), folder)


def test_the_groups_bits_count_for_the_group(folder: Path) -> None:
    folder.chmod(0o705)
    assert not can_reach(Account(54321, folder.stat().st_gid), folder)


def test_a_link_is_judged_by_where_it_leads(folder: Path) -> None:
    folder.parent.chmod(0o700)
    link = folder.parent.parent / f"link-to-{folder.parent.name}"
    link.symlink_to(folder)
    assert not can_reach(STRANGER, link)


def test_what_can_be_reached_is_not_copied(folder: Path) -> None:
    assert reachable_copy(STRANGER, folder, "1") == folder


def test_only_root_runs_servers_as_somebody_else() -> None:
    found = server_account()
    assert (found is not None) == (os.geteuid() == 0)
    if found is not None:
        assert found.uid != 0
        assert found.gid != 0
