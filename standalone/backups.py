"""Backups of a PostgreSQL on this machine: base backups, archived WAL, and the way back to any moment between.

In: a folder, and the server (standalone/postgres.py) whose WAL it archives. Out: base backups that were verified, a
data folder that holds what the server held at the end of its WAL, at a restore point or at a time.

    FOLDER/            0700, of the account that the server runs as
        wal/           WAL segments and histories of timelines, whole or absent, never overwritten
        base/NAME/     base backups; pg_verifybackup has found each of them whole

A server that is to be backed up is made with the settings of its backups; then WAL is archived from its first start:

    backups = Backups(folder)
    server = Postgres(state, binaries, settings=backups.settings)
    server.start()
    monday = backups.take(server, "monday")
    …
    server.stop()
    backups.restore(server, monday, until=datetime(2026, 11, 20, 12, tzinfo=UTC))
    server.start()

A restore always begins a new timeline, so ingest finds another cluster than before: the next incarnation begins, and
the gateways send again what this database lacks (cloud/flows/incarnation.py). The data that was replaced stays beside
the new until the next restore. Tablespaces are not used here and not backed up.

    BackupTrouble
    ├── CannotBackUp    the backup was not made; nothing of it is left
    ├── WrongBackup     a base backup is damaged, or of other binaries
    └── CannotRestore   the data folder is as it was, unless the message says otherwise
"""

import logging
import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from standalone.account import can_reach, server_account
from standalone.child import ChildTrouble
from standalone.files import PRIVATE, replace_text
from standalone.ports import HOST
from standalone.postgres import SUPERUSER, Postgres, PostgresTrouble, server_environment

log = logging.getLogger(__name__)

ARCHIVE_TIMEOUT_S = 60  # a quiet server hands over its unfinished segment that often: what a lost disk may cost
BACKUP_TIMEOUT_S = 4 * 3600.0  # 100 GB at 10 MB/s
VERIFY_TIMEOUT_S = 4 * 3600.0
ARCHIVED_TIMEOUT_S = 120.0  # one segment of 16 MiB, behind those that wait
RECOVERY_TIMEOUT_S = 4 * 3600.0  # WAL is replayed at some 50 MB/s
POLL_S = 0.05

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
# What a restore says in postgresql.auto.conf, and takes out again when it is over.
_RECOVERY = (
    "restore_command", "recovery_target", "recovery_target_name", "recovery_target_time", "recovery_target_timeline",
    "recovery_target_action", "recovery_target_inclusive", "hot_standby",
)  # fmt: skip
# Of a running server, or made anew by the next one.
_NOT_COPIED = ("postmaster.pid", "postmaster.opts", "pg_replslot", "pg_stat_tmp")


class BackupTrouble(RuntimeError):
    """A backup cannot be made or used as asked."""


class CannotBackUp(BackupTrouble):
    """The backup was not made."""


class WrongBackup(BackupTrouble):
    """A base backup is damaged, or of other binaries."""


class CannotRestore(BackupTrouble):
    """The server's data cannot be put back as asked."""


@dataclass(frozen=True, slots=True)
class BaseBackup:
    """A base backup: its name and folder."""

    name: str
    folder: Path


@dataclass(frozen=True, slots=True)
class RestorePoint:
    """A named moment in the WAL, on the timeline on which it was set."""

    name: str
    timeline: int


class Backups:
    """The backups of one server in one folder. Constructing it only remembers; `prepare` makes the folder.

    folder  must be reachable by the account that the server runs as (standalone/account.py)
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._account = server_account()

    @property
    def wal(self) -> Path:
        """The archived WAL."""
        return self.folder / "wal"

    @property
    def settings(self) -> Mapping[str, str]:
        """The server's settings under which its WAL is archived here."""
        wal = shlex.quote(str(self.wal)).replace("%", "%%")
        # Whole or absent: copied beside, synced, renamed. After a crash PostgreSQL may hand over again what is here
        # already: that is right when it is the same, and refused when it is not.
        command = (
            f"cd {wal} && if [ -f %f ]; then cmp -s %f $OLDPWD/%p; else"
            f" cp $OLDPWD/%p .%f.new && sync .%f.new && mv .%f.new %f; fi"
        )
        return {
            "archive_mode": "on",
            "archive_command": command,
            "archive_timeout": str(ARCHIVE_TIMEOUT_S),
            "wal_level": "replica",
        }

    def prepare(self) -> None:
        """Make the folder. Raises BackupTrouble when the server's account cannot reach it."""
        for folder in (self.folder, self.wal, self.folder / "base"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._account is not None:
                os.chown(folder, self._account.uid, self._account.gid)
        if not can_reach(self._account, self.wal):
            raise BackupTrouble(f"the account that PostgreSQL runs as cannot reach {self.folder}")

    # -- making -------------------------------------------------------------------------------

    def kept(self) -> list[BaseBackup]:
        """The base backups, the oldest first."""
        folders = [one for one in (self.folder / "base").glob("*") if _NAME.fullmatch(one.name) and one.is_dir()]
        return [BaseBackup(one.name, one) for one in sorted(folders, key=lambda one: one.stat().st_mtime_ns)]

    def take(self, server: Postgres, name: str) -> BaseBackup:
        """Take a base backup of the running server, which goes on meanwhile. Raises CannotBackUp.

        name  of lower-case letters, digits, full stops and hyphens
        Where the binaries have no pg_basebackup, stop the server and `take_cold`.
        """
        program = server.bin_dir / "pg_basebackup"
        if not program.exists():
            raise CannotBackUp(f"{program} is not there: stop the server and take a cold backup")
        with self._fresh(name) as folder:
            self._run(
                [
                    *(str(program), "-D", str(folder), "-h", HOST, "-p", str(server.port), "-U", SUPERUSER, "-w"),
                    *("--checkpoint=fast", "--wal-method=stream", "--manifest-checksums=SHA256"),
                ],
                folder.parent,
                {"PGPASSWORD": server.superuser_password},
                BACKUP_TIMEOUT_S,
                CannotBackUp,
            )
            self._verify(server, folder)
        return BaseBackup(name, self.folder / "base" / name)

    def take_cold(self, server: Postgres, name: str) -> BaseBackup:
        """Copy the stopped server's data. Raises CannotBackUp; PostgresBusy while it runs."""
        with server.offline() as data, self._fresh(name) as folder:
            if (data / "backup_label").exists() or (data / "recovery.signal").exists():
                raise CannotBackUp(f"{data} is in the middle of a restore")
            folder.rmdir()
            _copy(data, folder)
            self._give(folder)
        return BaseBackup(name, self.folder / "base" / name)

    def mark(self, server: Postgres, name: str) -> RestorePoint:
        """Set a restore point: everything that has committed is before it. Raises psycopg.Error."""
        with psycopg.connect(server.superuser_dsn, autocommit=True) as connection:
            connection.execute("SELECT pg_create_restore_point(%s)", [name])
            row = connection.execute("SELECT pg_walfile_name(pg_current_wal_lsn())").fetchone()
        assert row is not None  # noqa: S101  a SELECT without FROM has one row
        return RestorePoint(name, int(row[0][:8], 16))

    def catch_up(self, server: Postgres, timeout_s: float = ARCHIVED_TIMEOUT_S) -> None:
        """Archive everything that has committed, and wait until it is. Raises BackupTrouble, psycopg.Error."""
        with psycopg.connect(server.superuser_dsn, autocommit=True) as connection:
            # A segment is handed over only when something stands in it.
            connection.execute("SELECT pg_create_restore_point('archived up to here')")
            row = connection.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchone()
            assert row is not None  # noqa: S101  a SELECT without FROM has one row
            deadline = time.monotonic() + timeout_s
            while not (self.wal / row[0]).exists():
                if time.monotonic() > deadline:
                    failed = connection.execute("SELECT last_failed_wal, last_failed_time FROM pg_stat_archiver")
                    raise BackupTrouble(
                        f"{row[0]} was not archived in {self.wal} within {timeout_s:g} s; the last failure of"
                        f" archiving: {failed.fetchone()}"
                    )
                time.sleep(POLL_S)

    def prune(self, keep: int) -> list[str]:
        """Delete all but the newest base backups, and the WAL that none of those left needs; what was deleted.

        keep  how many stay, at least 1
        """
        if keep < 1:
            raise ValueError(f"expected to keep at least 1 base backup, got {keep}")
        backups = self.kept()
        gone = backups[:-keep]
        for one in gone:
            shutil.rmtree(one.folder)
        deleted = [one.name for one in gone]
        first = min((_first_segment(one.folder) for one in backups[-keep:]), default="")
        for segment in sorted(self.wal.glob("[0-9A-F]*")):
            # As pg_archivecleanup has it: by the place in the log, whatever the timeline; histories stay.
            if re.fullmatch(r"[0-9A-F]{24}(\.[0-9A-F]{8}\.backup)?", segment.name) and segment.name[8:24] < first:
                segment.unlink()
                deleted.append(segment.name)
        return deleted

    # -- the way back -------------------------------------------------------------------------

    def restore(
        self,
        server: Postgres,
        backup: BaseBackup,
        until: RestorePoint | datetime | None = None,
        ready_timeout_s: float = RECOVERY_TIMEOUT_S,
    ) -> None:
        """Put the stopped server's data back to `backup` and the WAL behind it; the server runs when this returns.

        until  None: to the end of the WAL, also of what the replaced data had not handed over yet; a restore point;
               or a time with its zone: what committed later is left out
        The replaced data stays beside as `data.replaced` until the next restore. Raises CannotRestore, WrongBackup,
        PostgresBusy while the server runs.
        """
        self.lay_down(server, backup, until)
        self._recover(server, ready_timeout_s)
        log.info("restored", extra={"backup": backup.name, "until": str(until or "the end")})

    def lay_down(self, server: Postgres, backup: BaseBackup, until: RestorePoint | datetime | None = None) -> None:
        """The first half of `restore`: the stopped server's data, as it recovers when it is started."""
        if isinstance(until, datetime) and until.tzinfo is None:
            raise CannotRestore(f"expected a time with its zone, got {until.isoformat()}")
        self._check(server, backup)
        with server.offline() as data:
            fresh, replaced = data.with_name("data.restored"), data.with_name("data.replaced")
            shutil.rmtree(fresh, ignore_errors=True)
            _copy(backup.folder, fresh)
            if until is None and data.exists():
                _copy_unarchived(data / "pg_wal", fresh / "pg_wal", self.wal)
            self._write_recovery(fresh, until)
            self._give(fresh)
            shutil.rmtree(replaced, ignore_errors=True)
            if data.exists():
                data.rename(replaced)
            fresh.rename(data)

    def _check(self, server: Postgres, backup: BaseBackup) -> None:
        try:
            found = (backup.folder / "PG_VERSION").read_text(encoding="utf-8").strip()
        except OSError as error:
            raise WrongBackup(f"{backup.folder} is no base backup: {error}") from error
        if found != str(server.binaries.major):
            raise WrongBackup(
                f"expected a base backup of PostgreSQL {server.binaries.major} in {backup.folder}, got one of {found}"
            )
        if (backup.folder / "backup_manifest").exists():
            self._verify(server, backup.folder)

    def _write_recovery(self, data: Path, until: RestorePoint | datetime | None) -> None:
        wal = shlex.quote(str(self.wal)).replace("%", "%%")
        said = {
            "restore_command": f"cp {wal}/%f %p",
            "recovery_target_action": "promote",
            "recovery_target_timeline": str(until.timeline) if isinstance(until, RestorePoint) else "latest",
            "hot_standby": "off",  # nobody reads before it is whole, and an answer means that it is
        }
        if isinstance(until, RestorePoint):
            said["recovery_target_name"] = until.name
        elif until is not None:
            said["recovery_target_time"] = until.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00")
        auto = data / "postgresql.auto.conf"
        before = auto.read_text(encoding="utf-8").splitlines() if auto.exists() else []
        kept = [line for line in before if line.split("=")[0].strip() not in _RECOVERY]
        quoted = [f"{name} = '{value.replace(chr(39), chr(39) * 2)}'" for name, value in said.items()]
        replace_text(auto, "\n".join([*kept, *quoted]) + "\n", PRIVATE)
        replace_text(data / "recovery.signal", "", PRIVATE)

    def _recover(self, server: Postgres, ready_timeout_s: float) -> None:
        """Start, wait for the end of recovery, and leave nothing of it in the settings."""
        try:
            server.start(ready_timeout_s=ready_timeout_s)
        except (ChildTrouble, PostgresTrouble) as error:
            raise CannotRestore(
                f"the restored data does not come up; what it replaced is in {server.data.with_name('data.replaced')}:"
                f" {error}"
            ) from error
        with psycopg.connect(server.superuser_dsn, autocommit=True) as connection:
            for name in _RECOVERY:
                connection.execute(f"ALTER SYSTEM RESET {name}")

    # -- parts --------------------------------------------------------------------------------

    @contextmanager
    def _fresh(self, name: str) -> Iterator[Path]:
        """A folder to fill that gets its name only when it is whole."""
        final = self.folder / "base" / name
        if not _NAME.fullmatch(name):
            raise CannotBackUp(f"expected a name of lower-case letters, digits, '.', '_' and '-', got {name!r}")
        if final.exists():
            raise CannotBackUp(f"{final} is there already")
        self.prepare()
        fresh = final.with_name(f".{name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        self._give(fresh)
        try:
            yield fresh
            fresh.rename(final)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    def _verify(self, server: Postgres, folder: Path) -> None:
        argv = [str(server.bin_dir / "pg_verifybackup"), "--exit-on-error", str(folder)]
        self._run(argv, folder.parent, {}, VERIFY_TIMEOUT_S, WrongBackup)

    def _run(
        self,
        argv: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        timeout_s: float,
        trouble: type[BackupTrouble],
    ) -> None:
        account = self._account
        try:
            subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=True,
                cwd=folder,
                env={**server_environment(), **environment},
                timeout=timeout_s,
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
            )
        except subprocess.CalledProcessError as error:
            said = (error.stderr or error.stdout).strip()
            raise trouble(f"{Path(argv[0]).name} failed, exit code {error.returncode}: {said}") from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise trouble(f"{Path(argv[0]).name} failed: {error}") from error

    def _give(self, folder: Path) -> None:
        """Everything in it to the server's account."""
        if self._account is None:
            return
        for path in (folder, *folder.rglob("*")):
            os.chown(path, self._account.uid, self._account.gid, follow_symlinks=False)


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns(*_NOT_COPIED))
    for name in ("pg_replslot", "pg_stat_tmp"):
        (target / name).mkdir(mode=0o700, exist_ok=True)
    target.chmod(0o700)


def _copy_unarchived(source: Path, target: Path, archived: Path) -> None:
    """What the server wrote and had not handed over when it ended: the last commits stand there."""
    for segment in sorted(source.glob("[0-9A-F]*")):
        if segment.is_file() and not (archived / segment.name).exists():
            shutil.copy2(segment, target / segment.name)


def _first_segment(folder: Path) -> str:
    """The first WAL segment that a base backup needs, without its timeline; empty where nobody knows."""
    try:
        label = (folder / "backup_label").read_text(encoding="utf-8")
    except OSError:
        return ""
    found = re.search(r"\(file ([0-9A-F]{24})\)", label)
    return found[1][8:] if found else ""
