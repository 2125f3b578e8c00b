"""The outbox's file: whose it is, that it is durable, that one process has it, and SQLite's errors.

OutboxError            something the owner must not ignore
├── OutboxFull         no room; nothing was written; trying again later is right
├── OutboxInUse        another process has this outbox open
├── ForeignFile        the file is no outbox, or one of a newer program; it was not touched
└── OutboxBroken       the disk failed; open the outbox again
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from edge.outbox.statements import statements

APPLICATION_ID = 0x54414C4C  # "TALL", so that no other SQLite file is taken for an outbox
SCHEMA_VERSION = 1
WAIT_FOR_READER_S = 5.0  # for a person who looks into the file with another program


class OutboxError(Exception):
    """Something happened to the outbox that its owner must not ignore."""


class OutboxFull(OutboxError):
    """There is no room for more; nothing was written."""


class OutboxInUse(OutboxError):
    """Another process has this outbox open."""


class ForeignFile(OutboxError):
    """The file is no outbox, or one of a newer program."""


class OutboxBroken(OutboxError):
    """The disk failed while the outbox was written or read."""


def connect(path: Path) -> sqlite3.Connection:
    """A connection to the outbox file at `path`, which is made when it is not there.

    Raises ForeignFile, and sqlite3.Error untranslated.
    """
    connection = sqlite3.connect(path, timeout=WAIT_FOR_READER_S, isolation_level=None, check_same_thread=False)
    try:
        prepare(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Check whose file it is, set its durability and make its tables."""
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if tables and application_id != APPLICATION_ID:
        raise ForeignFile(f"{path}: expected application id {APPLICATION_ID:#x}, got {application_id:#x}")
    if version > SCHEMA_VERSION:
        raise ForeignFile(f"{path}: expected schema version {SCHEMA_VERSION} or lower, got {version}")
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise OutboxBroken(f"{path}: expected journal mode wal, got {mode}; is this a network disk?")
    connection.execute("PRAGMA synchronous = FULL")
    if not tables:
        connection.executescript(
            f"BEGIN; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};"
            f"{statements()['create']} COMMIT;"
        )


def sync_folder(path: Path) -> None:
    """Put the names in the folder of `path` on disk: a new or renamed file may else be gone after a power cut."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def lock_file(path: Path) -> TextIO:
    """Hold `path`.lock: two processes that both thought the other's open epoch closed would tell lies."""
    lock = open(path.with_name(path.name + ".lock"), "a+")  # noqa: SIM115 - held until close
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise OutboxInUse(f"{path} is open in another process") from error
    return lock


@contextmanager
def translated() -> Iterator[None]:
    """SQLite's errors in our words: what is full may be tried again, everything else may not."""
    try:
        yield
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            raise OutboxFull(f"no room: {error}") from error
        raise OutboxBroken(str(error)) from error
