"""A damaged outbox: nothing of it is thrown away, and every readable movement goes on.

Opening checks the whole file (`integrity_check`). When it is damaged,

1. it is copied, and what can be read of the copy is written to `NAME.salvaged`: epochs with their numbers,
   what was applied, and movements one by one, around the damage from both sides;
2. the damaged files are moved to `NAME.corrupt-TIME` with their bytes, for a person to look at;
3. the salvaged file takes the outbox's name.

A stop in between loses nothing: `NAME.salvaged` exists only when it is complete, and then 2 and 3 are all
that is left to do. A full disk stops the salvage before anything is moved. Movements that could not be
read are missing numbers of their epoch: the uplink says so with the oldest number that it still holds, and
the cloud stops that log until a person has recorded the loss.
"""

import logging
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from edge.outbox.file import OutboxBroken, OutboxFull, connect, sync_folder, translated
from edge.outbox.statements import statements
from protocols.wire.movement import MovementObserved

log = logging.getLogger(__name__)

COMPANIONS = ("-wal", "-shm")  # SQLite's files beside a database; the WAL holds the newest movements
MOST_PROBES = 20_000  # numbers tried one by one behind a damaged page, some 20 µs each
MOST_PADDED_BYTES = 1 << 40  # a larger length in a header is damage itself
COPY_AT_ONCE = 1_000  # movements written in one transaction
_BEYOND = 2**62  # above every number of an epoch

Row = tuple[bytes, int, int, bytes]  # epoch, seq, written_at_us, body
_body = msgspec.json.Decoder(MovementObserved)


def repair(path: Path, now_us: int) -> int:
    """Make the file at `path` sound, if it is damaged; returns how many movements were salvaged.

    Raises ForeignFile, OutboxFull or OutboxBroken; then the file is as it was.
    """
    salvaged = path.with_name(path.name + ".salvaged")
    if not salvaged.exists():
        if not path.exists() or _is_sound(path):
            return 0
        log.error("outbox is damaged, salvaging", extra={"path": path})
        _salvage(path, salvaged)
    aside = _move_aside(path, now_us)
    salvaged.rename(path)
    sync_folder(path)
    with translated(), closing(connect(path)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM movements").fetchone()
    log.error("outbox was damaged", extra={"path": path, "movements_salvaged": count, "damaged_file": aside})
    return int(count)


def _is_sound(path: Path) -> bool:
    try:
        with closing(connect(path)) as connection:
            (answer,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            return bool(answer == "ok")
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return False
        raise OutboxBroken(f"{path}: {error}") from error


def _move_aside(path: Path, now_us: int) -> Path:
    """Companions first: a damaged file's WAL must never stand beside a sound file."""
    stamp = datetime.fromtimestamp(now_us / 1e6, UTC).strftime("%Y%m%dT%H%M%S%fZ")
    aside = path.with_name(f"{path.name}.corrupt-{stamp}")
    for ending in (*COMPANIONS, ""):
        with suppress(FileNotFoundError):
            path.with_name(path.name + ending).rename(aside.with_name(aside.name + ending))
    return aside


def _salvage(path: Path, salvaged: Path) -> None:
    """Write what can be read of `path` to `salvaged`, which appears only when it is complete."""
    reading = path.with_name(path.name + ".reading")
    writing = path.with_name(path.name + ".salvaging")
    try:
        _remove(reading, writing)  # of an earlier try
        for ending in ("", "-wal"):
            if (damaged := path.with_name(path.name + ending)).exists():
                shutil.copyfile(damaged, reading.with_name(reading.name + ending))
        _pad(reading)
        with translated(), closing(connect(writing)) as target:
            with closing(sqlite3.connect(reading, isolation_level=None)) as source:
                _copy(source, target)
            target.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        writing.rename(salvaged)
        sync_folder(path)
    except OSError as error:
        raise OutboxFull(f"{path}: no room to salvage it: {error}") from error
    finally:
        _remove(reading, writing)


def _pad(copy: Path) -> None:
    """Give a file that was cut short its full length: SQLite reads nothing of one that is shorter than its
    header says (file format, section 1.3: page size at byte 16, pages at byte 28, big-endian)."""
    with copy.open("r+b") as file:
        header = file.read(100)
        page_size = int.from_bytes(header[16:18], "big")
        length = int.from_bytes(header[28:32], "big") * (65536 if page_size == 1 else page_size)
        if copy.stat().st_size < length <= MOST_PADDED_BYTES:
            file.truncate(length)


def _remove(*paths: Path) -> None:
    for path in paths:
        for ending in ("", *COMPANIONS):
            path.with_name(path.name + ending).unlink(missing_ok=True)


def _copy(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    sql = statements()
    epochs = {row[0]: row for row in _rows(source, sql["list_epochs"]) if _is_epoch(row)}
    movements = sorted(_movements(source).values())
    for start in range(0, len(movements), COPY_AT_ONCE):
        target.execute("BEGIN")
        target.executemany(sql["write_movement"], movements[start : start + COPY_AT_ONCE])
        target.execute("COMMIT")
    last = {epoch: seq for epoch, seq, _, _ in movements}  # ascending, so the last one stays
    target.execute("BEGIN")
    for epoch in dict.fromkeys([*epochs, *last]):
        _, known_last, applied, head, stopped = epochs.get(epoch, (epoch, 0, 0, "", None))
        target.execute(sql["write_last"], (epoch, max(known_last, last.get(epoch, 0))))
        target.execute(sql["write_applied"], (applied, head, stopped, epoch))
    # When told-rows are lost, their movements are only held longer.
    told = {row[:2]: row for row in _rows(source, "SELECT epoch, until, told_s FROM told") if _is_told(row)}
    target.executemany(sql["write_told"], told.values())
    for incarnation, held_s in _rows(source, sql["read_gateway"]):
        if isinstance(incarnation, int) and isinstance(held_s, float):
            target.execute(sql["write_gateway"], (incarnation, held_s))
    target.execute("COMMIT")


def _rows(source: sqlite3.Connection, statement: str) -> Iterator[tuple]:
    """Rows up to the first that cannot be read."""
    with suppress(sqlite3.DatabaseError):
        yield from source.execute(statement)


def _movements(source: sqlite3.Connection) -> dict[tuple[bytes, int], Row]:
    """Every readable movement: upwards to the damage, downwards to it, then number by number between."""
    columns = "SELECT epoch, seq, written_at_us, body FROM movements"
    upwards = list(_rows(source, f"{columns} ORDER BY epoch, seq"))
    downwards = list(_rows(source, f"{columns} ORDER BY epoch DESC, seq DESC"))
    rows = [*upwards, *downwards]
    if upwards != downwards[::-1]:
        below = upwards[-1][:2] if upwards else (b"", 0)
        above = downwards[-1][:2] if downwards else (b"\xff" * 17, 0)
        rows += _between(source, below, above)
    return {row[:2]: row for row in rows if _is_whole(row)}


def _between(source: sqlite3.Connection, below: tuple[bytes, int], above: tuple[bytes, int]) -> Iterator[Row]:
    """Movements between two places: behind each damaged page, try number after number."""
    statement = (
        "SELECT epoch, seq, written_at_us, body FROM movements"
        " WHERE (epoch, seq) > (?, ?) AND (epoch, seq) < (?, ?) ORDER BY epoch, seq"
    )
    epoch, seq = below
    for _ in range(MOST_PROBES):
        try:
            for row in source.execute(statement, (epoch, seq, *above)):
                epoch, seq = row[:2]
                yield row
        except sqlite3.DatabaseError:
            if seq >= _BEYOND:
                return
            seq += 1
        else:
            return


def _is_whole(row: Row) -> bool:
    """Whether a movement read from a damaged file is what was written."""
    epoch, seq, written_at_us, body = row
    if not (isinstance(epoch, bytes) and len(epoch) == 16 and isinstance(written_at_us, int)):
        return False
    try:
        return isinstance(seq, int) and _body.decode(body).seq == seq > 0
    except (msgspec.DecodeError, UnicodeDecodeError, TypeError):
        return False


def _is_epoch(row: tuple) -> bool:
    epoch, last, applied, head, stopped = row
    return (
        isinstance(epoch, bytes)
        and len(epoch) == 16
        and isinstance(last, int)
        and isinstance(applied, int)
        and 0 <= applied <= last
        and isinstance(head, str)
        and isinstance(stopped, str | None)
    )


def _is_told(row: tuple) -> bool:
    epoch, until, told_s = row
    return isinstance(epoch, bytes) and isinstance(until, int) and isinstance(told_s, int)
