"""Whom a server runs as when we are root, and which folders that account can reach.

PostgreSQL refuses to run as root, so as root it runs as `nobody`. A checkout may lie where `nobody`
cannot go (`/root/…`); we never open a folder that we did not make, so what the account needs is then
put where it can go: under /var/lib/tallygate.
"""

import logging
import os
import pwd
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from standalone.files import whole_folder

log = logging.getLogger(__name__)

NOBODY = "nobody"
NOBODY_ID = 65534  # where /etc/passwd has no such line, as in some containers
ROOTS_BASE = Path("/var/lib/tallygate")  # what root keeps for `nobody`; hier(7): state of programs


@dataclass(frozen=True, slots=True)
class Account:
    """A user and its only group."""

    uid: int
    gid: int


def server_account() -> Account | None:
    """`nobody` when we are root, else None: servers run as we do."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(NOBODY)
    except KeyError:
        return Account(NOBODY_ID, NOBODY_ID)
    return Account(entry.pw_uid, entry.pw_gid)


def can_reach(account: Account | None, path: Path) -> bool:
    """Whether the account may enter every folder on the way to `path` and `path` itself.

    Judged by the permission bits alone: where an access list grants more, the answer is a cautious no.
    """
    if account is None:
        return os.access(path, os.X_OK)
    resolved = path.resolve()
    return all(_may_enter(account, folder) for folder in (resolved, *resolved.parents))


def reachable_copy(account: Account | None, source: Path, version: str) -> Path:
    """`source`, or where the account cannot go there a copy of it under /var/lib/tallygate.

    source   a folder of programs, or one program; a folder `NAME.libs` beside it comes along, because
             wheels keep their libraries there and find them from where they are
    version  part of the copy's name, as is the time of `source`: the copy is made once for each
    """
    if can_reach(account, source):
        return source
    built = int(source.stat().st_mtime)
    parent = ROOTS_BASE / "runtime" / f"{source.name}-{version}-{built:x}"
    copy = parent / source.name
    if not copy.exists():
        ROOTS_BASE.mkdir(mode=0o755, parents=True, exist_ok=True)
        with whole_folder(parent) as fresh:
            _copy(source, fresh)
            libraries = source.with_name(source.name + ".libs")
            if libraries.is_dir():
                _copy(libraries, fresh)
        log.info("copied %s to %s, where the account that servers run as can reach it", source, copy)
    return copy


def _copy(source: Path, folder: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, folder / source.name, symlinks=True)
    else:
        shutil.copy2(source, folder)


def _may_enter(account: Account, path: Path) -> bool:
    found = path.stat()
    if found.st_uid == account.uid:
        return bool(found.st_mode & stat.S_IXUSR)
    if found.st_gid == account.gid:
        return bool(found.st_mode & stat.S_IXGRP)
    return bool(found.st_mode & stat.S_IXOTH)
