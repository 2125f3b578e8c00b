"""A file of recorded reads → columns in time order, and everything in it that could not be used.

Two formats, each plain or gzipped:

    emse         `;` between cells, decimal comma, comment lines `//` on top, the last of which names the columns:
                 Timestamp, EPC, TID, Antenna, RSSI (dBm), Frequency (MHz), Hostname, PhaseAngle (rad), …
    generic-csv  a header with time, epc, antenna, rssi_dbm and perhaps phase_rad, channel_mhz, in any order

Times are ISO 8601 with a zone and any number of fraction digits; beyond the microsecond they are cut off. Photo-eyes
lie in a file beside it: time, port, state (`broken` or `clear`).

A row that cannot be used is left out and counted by kind; the first of each kind is kept with its line, column, what
was expected and what was found. A file that cannot be used at all is refused: NoRecording. Hundreds of thousands of
rows are read at some microseconds each, because equal cells are parsed once, and are kept at some 40 bytes each.
"""

import csv
import gzip
import re
import zlib
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from math import isfinite, pi
from pathlib import Path
from typing import IO, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from edge.readings import EyeChange, Sighting, TagRead

Format = Literal["emse", "generic-csv"]
FORMATS: tuple[Format, ...] = ("emse", "generic-csv")

US = 1_000_000  # microseconds in a second
NEEDED = ("time", "epc", "antenna", "rssi_dbm")
OPTIONAL = ("phase_rad", "channel_mhz")
EMSE = {
    "timestamp": "time",
    "epc": "epc",
    "antenna": "antenna",
    "rssi": "rssi_dbm",
    "frequency": "channel_mhz",
    "phaseangle": "phase_rad",
}

# What a reader can hear, the same limits as recognition's: noise in a tag's bandwidth is near -110 dBm, and nothing
# that a tag sends back is louder than 20 dBm.
WEAKEST_DBM, STRONGEST_DBM = -120.0, 20.0
LOWEST_MHZ, HIGHEST_MHZ = 100.0, 1_000.0  # RFID by backscatter is at 433 MHz or from 860 to 960 MHz
MOST_ANTENNA = 65_535  # LLRP 1.0.1: 16 bits
MOST_CACHED = 100_000  # parsed cells kept of one column
AT_ONCE = 5_000  # sightings made of the columns at a time
SHOWN = 60  # characters of a cell shown in a message

_GZIP = b"\x1f\x8b"
T = TypeVar("T")
Column = npt.NDArray[np.int64]
Signal = npt.NDArray[np.float64]


class NoRecording(ValueError):
    """The file cannot be used at all; the message names it and says why."""


@dataclass(frozen=True, slots=True)
class Problem:
    """The first of the rows that could not be used for one reason, and how many there were.

    kind    wrong_time, wrong_epc, unknown_antenna, rssi_out_of_range, wrong_row, wrong_phase, wrong_channel, …
    column  the column's name in the file; "" for the row as a whole
    """

    kind: str
    line: int
    column: str
    expected: str
    got: str
    rows: int = 1

    def __str__(self) -> str:
        where = f"line {self.line}" + (f", column {self.column}" if self.column else "")
        more = "" if self.rows == 1 else f" ({self.rows} rows like this)"
        return f"{where}: expected {self.expected}, got {self.got}{more}"


@dataclass(frozen=True, slots=True)
class Recording:
    """What was read, in time order.

    name         the file's name
    format       the file's format
    times_us     microseconds since 1970-01-01 UTC
    tags         number of the tag in `epcs`
    antennas     1-based
    rssi_dbm     as recorded
    phases_rad   0 … 2π, NaN where there is none
    channels     kHz, 0 where there is none
    eyes         changes of the photo-eyes
    reader       what the file's head says about the reader: Session, InventoryMode, …
    problems     what could not be used
    notes        what a person should know although nothing was lost by it
    """

    name: str
    format: Format
    times_us: Column
    tags: Column
    antennas: Column
    rssi_dbm: Signal
    phases_rad: Signal
    channels: Column
    epcs: tuple[str, ...]
    eyes: tuple[EyeChange, ...] = ()
    reader: dict[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.times_us)

    @property
    def counters(self) -> dict[str, int]:
        """Reads used, and rows of each kind that were not (or not wholly)."""
        return {"reads": len(self), **{problem.kind: problem.rows for problem in self.problems}}

    @property
    def sightings(self) -> list[TagRead]:
        """All reads at once; `chunks` is for long recordings."""
        return list(self._reads(0, len(self)))

    def chunks(self, at_once: int = AT_ONCE) -> Iterator[list[Sighting]]:
        """Reads and photo-eyes in time order, some thousand at a time."""
        at = np.searchsorted(self.times_us, [eye.seen_at_us for eye in self.eyes], side="left").tolist()
        eyes = list(zip(at, self.eyes, strict=True))
        for start in range(0, max(len(self), 1), at_once):
            end = min(start + at_once, len(self))
            chunk: list[Sighting] = []
            done = start
            while eyes and (eyes[0][0] < end or end == len(self)):
                until, eye = eyes.pop(0)
                chunk += self._reads(done, until)
                chunk.append(eye)
                done = until
            chunk += self._reads(done, end)
            yield chunk

    def between(self, from_us: int, to_us: int, name: str) -> "Recording":
        """The part with from_us ≤ time < to_us."""
        first, end = np.searchsorted(self.times_us, [from_us, to_us], side="left").tolist()
        return replace(
            self,
            name=name,
            times_us=self.times_us[first:end],
            tags=self.tags[first:end],
            antennas=self.antennas[first:end],
            rssi_dbm=self.rssi_dbm[first:end],
            phases_rad=self.phases_rad[first:end],
            channels=self.channels[first:end],
            eyes=tuple(eye for eye in self.eyes if from_us <= eye.seen_at_us < to_us),
            problems=(),
            notes=(),
        )

    def _reads(self, first: int, end: int) -> Iterator[TagRead]:
        columns = (self.times_us, self.tags, self.antennas, self.rssi_dbm, self.phases_rad, self.channels)
        epcs = self.epcs
        rows = zip(*(column[first:end].tolist() for column in columns), strict=True)
        for time_us, tag, antenna, rssi_dbm, phase, channel in rows:
            # A phase that is no number is not equal to itself.
            yield TagRead(
                epcs[tag], antenna, rssi_dbm, time_us, phase if phase == phase else None, channel or None
            )


def read_recording(
    path: Path,
    form: Format | None = None,
    *,
    antennas: frozenset[int] | None = None,
    eyes: Path | None = None,
) -> Recording:
    """Read the file at `path`. Raises NoRecording.

    form      its format; None: emse when it begins with a comment, else generic-csv
    antennas  those of the gate: reads of others are left out and counted; None: all are taken
    eyes      the file of its photo-eyes
    """
    with _opened(path) as lines:
        head, text = _head(path, lines, form)
        complaints = _Complaints()
        columns = _Columns(antennas)
        for line, cells in _rows(text, head, complaints):
            try:
                columns.take(cells, head)
            except BadCell as bad:
                complaints.add(bad, line, head)
            for dropped in columns.dropped:
                complaints.add(dropped, line, head)
    if complaints.rows and not columns.times_us:
        raise NoRecording(
            f"{path}: not one of the {complaints.rows} rows can be used: "
            + "; ".join(map(str, complaints.problems))
        )
    recording = columns.recording(path.name, head, complaints)
    return recording if eyes is None else replace(recording, eyes=read_eyes(eyes))


def read_eyes(path: Path) -> tuple[EyeChange, ...]:
    """The changes of the photo-eyes, in time order. Raises NoRecording: there are few, so each has to be right."""
    changes = []
    with _opened(path) as lines:
        rows = csv.reader(lines)
        header = [cell.strip().lower() for cell in next(rows, [])]
        if header[:3] != ["time", "port", "state"]:
            raise NoRecording(
                f"{path}: line 1: expected the header time,port,state, got {_shown(','.join(header))}"
            )
        for cells in rows:
            if not any(cells):
                continue
            try:
                stamp, port, state = (cell.strip() for cell in cells[:3])
                changes.append(EyeChange(_antenna(port), _is_broken(state), _Times()[stamp]))
            except BadCell as bad:
                raise NoRecording(f"{path}: line {rows.line_num}: expected {bad.expected}, got {bad.got}") from bad
            except ValueError as error:
                raise NoRecording(f"{path}: line {rows.line_num}: expected 3 cells, got {len(cells)}") from error
    return tuple(sorted(changes, key=lambda change: change.seen_at_us))


# ── The file ────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Head:
    """Where which column is.

    at     the column's place by our name for it
    names  its name in the file by our name for it
    """

    form: Format
    at: dict[str, int]
    names: dict[str, str]
    width: int
    lines: int
    reader: dict[str, str]
    notes: tuple[str, ...]


def _opened(path: Path) -> IO[str]:
    """The file's text, unpacked if need be. Raises NoRecording."""
    try:
        with path.open("rb") as raw:
            is_packed = raw.read(2) == _GZIP
        if is_packed:
            return gzip.open(path, "rt", encoding="utf-8-sig", errors="replace", newline="")
        return path.open("rt", encoding="utf-8-sig", errors="replace", newline="")
    except OSError as error:
        raise NoRecording(f"{path}: {error.strerror or error}") from error


def _head(path: Path, lines: IO[str], form: Format | None) -> tuple[_Head, Iterator[str]]:
    """What the file's head says, and the lines after it. Raises NoRecording."""
    try:
        first = next(lines, "")
        found: Format = "emse" if first.startswith("//") else "generic-csv"
        if form is not None and form != found and first:
            other = (
                "begins with // (emse?)" if found == "emse" else "has no comment lines // on top (generic-csv?)"
            )
            raise NoRecording(f"{path}: line 1: expected a file of format {form}, got one that {other}")
        if not first.strip():
            raise NoRecording(f"{path}: line 1: expected a header, got {'an empty line' if first else 'nothing'}")
        return _emse_head(path, first, lines) if found == "emse" else _csv_head(path, first, lines)
    except (EOFError, OSError, zlib.error) as error:
        raise NoRecording(f"{path}: {error}") from error


def _emse_head(path: Path, first: str, lines: IO[str]) -> tuple[_Head, Iterator[str]]:
    comments, line = [first], ""
    for line in lines:
        if not line.startswith("//"):
            break
        comments.append(line)
    reader = {
        key: value
        for comment in comments
        for key, value in re.findall(r"(\w+)=([^=]*?)(?=,\s*\w+=|\s*$)", comment[2:].strip())
    }
    for comment in comments:
        names = [name.strip() for name in comment[2:].split(",")]
        if names[0].lower() == "timestamp":
            head = _placed(
                path, len(comments), "emse", names, {name: EMSE.get(name.lower(), name) for name in names}
            )
            rest = (line, *()) if line and not line.startswith("//") else ()
            return replace(head, reader=reader), _chained(rest, lines)
    raise NoRecording(
        f"{path}: expected a comment that names the columns (// Timestamp, EPC, …, Antenna, RSSI, …), "
        f"got {_shown(comments[-1])} as the last one"
    )


def _csv_head(path: Path, first: str, lines: IO[str]) -> tuple[_Head, Iterator[str]]:
    names = [name.strip() for name in next(csv.reader([first]))]
    head = _placed(path, 1, "generic-csv", names, {name: name.lower() for name in names})
    strange = [name for name in names if name.lower() not in (*NEEDED, *OPTIONAL)]
    if strange:
        head = replace(head, notes=(f"columns that mean nothing here: {', '.join(strange)}",))
    return head, _chained((), lines)


def _placed(path: Path, line: int, form: Format, names: list[str], ours: dict[str, str]) -> _Head:
    meant = [ours[name] for name in names]
    for needed in NEEDED:
        if meant.count(needed) != 1:
            found = "none" if needed not in meant else "several"
            raise NoRecording(
                f"{path}: line {line}: expected a header with one column {needed}, got {found} in "
                f"{_shown(','.join(names))}"
            )
    at = {name: meant.index(name) for name in (*NEEDED, *OPTIONAL) if name in meant}
    return _Head(form, at, {name: names[place] for name, place in at.items()}, len(names), line, {}, ())


def _chained(first: Sequence[str], lines: IO[str]) -> Iterator[str]:
    yield from first
    yield from lines


def _rows(text: Iterator[str], head: _Head, complaints: "_Complaints") -> Iterator[tuple[int, list[str]]]:
    """(line number, cells) of each row that has as many cells as there are columns."""
    rows = csv.reader(text, delimiter=";" if head.form == "emse" else ",")
    while True:
        line = head.lines + rows.line_num + 1
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            complaints.add(BadCell("wrong_row", "", "a row of cells", str(error)), line, head)
            continue
        except (EOFError, OSError, zlib.error) as error:
            complaints.add(BadCell("cut_off", "", "a whole file", str(error)), line, head)
            return
        if len(cells) != head.width:
            if not any(cells) or (head.form == "emse" and cells[0].startswith("//")):
                continue
            if len(cells) < head.width or any(cells[head.width :]):
                bad = BadCell("wrong_row", "", f"{head.width} cells", f"{len(cells)}: {_shown(','.join(cells))}")
                complaints.add(bad, line, head)
                continue
        yield line, cells


# ── Cells ───────────────────────────────────────────────────────────────────────────────────────────


class BadCell(ValueError):
    """A cell that cannot be used."""

    def __init__(self, kind: str, column: str, expected: str, got: str) -> None:
        super().__init__(kind)
        self.kind, self.column, self.expected, self.got = kind, column, expected, got


class _Complaints:
    """What could not be used: the first of each kind, and how many of it."""

    def __init__(self) -> None:
        self._first: dict[str, Problem] = {}
        self._rows: dict[str, int] = {}

    @property
    def rows(self) -> int:
        return sum(self._rows.values())

    @property
    def problems(self) -> tuple[Problem, ...]:
        return tuple(replace(problem, rows=self._rows[kind]) for kind, problem in self._first.items())

    def add(self, bad: BadCell, line: int, head: _Head) -> None:
        self._rows[bad.kind] = self._rows.get(bad.kind, 0) + 1
        if bad.kind not in self._first:
            column = head.names.get(bad.column, bad.column)
            self._first[bad.kind] = Problem(bad.kind, line, column, bad.expected, bad.got)


class _Parsed(dict[str, T]):
    """Cells parsed once: looking one up that is new parses it. A cell that cannot be used raises BadCell."""

    def __init__(self, parse: Callable[[str], T]) -> None:
        super().__init__()
        self._parse = parse

    def __missing__(self, cell: str) -> T:
        value = self._parse(cell)
        if len(self) >= MOST_CACHED:
            self.clear()
        self[cell] = value
        return value


class _Times:
    """Cells with a time → microseconds: what stands before the fraction is parsed once for each second."""

    def __init__(self) -> None:
        self._seconds: _Parsed[int] = _Parsed(time_us)

    def __getitem__(self, cell: str) -> int:
        cell = cell.strip()
        zone = "Z" if cell.endswith("Z") else cell[-6:]
        fraction = cell[20 : len(cell) - len(zone)]
        if cell[19:20] in (".", ",") and fraction.isdecimal() and fraction.isascii():
            return self._seconds[cell[:19] + zone] + int(fraction[:6].ljust(6, "0"))
        return self._seconds[cell]


def time_us(cell: str, column: str = "time") -> int:
    """Microseconds since 1970-01-01 UTC. Raises BadCell."""
    try:
        at = datetime.fromisoformat(cell)
    except ValueError as error:
        raise BadCell(
            "wrong_time", "time", "a time such as 2026-01-31T08:15:00.250+01:00", _shown(cell)
        ) from error
    if at.tzinfo is None:
        raise BadCell("no_zone", column, "a time with its zone, Z or such as +01:00", _shown(cell))
    since = at - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * US + since.microseconds


def epc_of(cell: str) -> str:
    """Upper-case hex. Raises BadCell."""
    epc = cell.strip().upper()
    if not epc or len(epc) % 2 or not epc.isascii() or set(epc) - set("0123456789ABCDEF"):
        raise BadCell("wrong_epc", "epc", "an even number of hex digits", _shown(cell))
    return epc


def _antenna(cell: str) -> int:
    text = cell.strip()
    if not (text.isdecimal() and text.isascii() and 1 <= int(text[:6]) <= MOST_ANTENNA):
        raise BadCell("wrong_antenna", "antenna", f"a number from 1 to {MOST_ANTENNA}", _shown(cell))
    return int(text)


def _rssi_dbm(cell: str) -> float:
    value = _number(cell)
    if value is None:
        raise BadCell("unreadable", "rssi_dbm", "a number of dBm", _shown(cell))
    if not WEAKEST_DBM <= value <= STRONGEST_DBM:
        limits = f"{WEAKEST_DBM:g} to {STRONGEST_DBM:g} dBm"
        raise BadCell("rssi_out_of_range", "rssi_dbm", limits, _shown(cell))
    return value


def _phase_rad(cell: str) -> float:
    """0 … 2π; NaN for an empty cell."""
    if not cell.strip():
        return float("nan")
    value = _number(cell)
    if value is None or abs(value) > 2 * pi + 0.01:
        raise BadCell("wrong_phase", "phase_rad", "radians from -2π to 2π, or nothing", _shown(cell))
    return value % (2 * pi)


def _channel_khz(cell: str) -> int:
    """0 for an empty cell."""
    if not cell.strip():
        return 0
    value = _number(cell)
    if value is None or not LOWEST_MHZ <= value <= HIGHEST_MHZ:
        limits = f"{LOWEST_MHZ:g} to {HIGHEST_MHZ:g} MHz, or nothing"
        raise BadCell("wrong_channel", "channel_mhz", limits, _shown(cell))
    return round(value * 1000)


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if isfinite(value) else None


def _is_broken(state: str) -> bool:
    if state.lower() not in ("broken", "clear"):
        raise BadCell("wrong_state", "state", "broken or clear", _shown(state))
    return state.lower() == "broken"


def _shown(cell: str) -> str:
    text = cell.strip()
    return repr(text if len(text) <= SHOWN else text[:SHOWN] + "…")


class _Columns:
    """Grows by rows, in the file's order."""

    def __init__(self, antennas: frozenset[int] | None) -> None:
        self._antennas = antennas
        self._epcs: dict[str, int] = {}
        self.dropped: list[BadCell] = []  # cells of the newest row that it could do without
        self.times_us, self._tags, self._antenna = array("q"), array("q"), array("q")
        self._rssi_dbm, self._phases_rad, self._channels = array("d"), array("d"), array("q")
        self._time, self._tag, self._port = _Times(), _Parsed(self._tag_of), _Parsed(self._port_of)
        self._dbm, self._phase, self._channel = _Parsed(_rssi_dbm), _Parsed(_phase_rad), _Parsed(_channel_khz)
        self._is_comma = False
        self._places: tuple[int, ...] = ()

    def take(self, cells: list[str], head: _Head) -> None:
        """Add a row. Raises BadCell, and then nothing is added."""
        if not self._places:
            self._is_comma = head.form == "emse"
            self._places = tuple(head.at.get(name, -1) for name in (*NEEDED, *OPTIONAL))
        time, epc, antenna, rssi, phase, channel = self._places
        if self.dropped:
            self.dropped = []
        time_us = self._time[cells[time]]
        tag = self._tag[cells[epc]]
        port = self._port[cells[antenna]]
        rssi_dbm = self._dbm[cells[rssi].replace(",", ".") if self._is_comma else cells[rssi]]
        self.times_us.append(time_us)
        self._tags.append(tag)
        self._antenna.append(port)
        self._rssi_dbm.append(rssi_dbm)
        self._phases_rad.append(self._or(self._phase, cells, phase, float("nan")))
        self._channels.append(self._or(self._channel, cells, channel, 0))

    def _or(self, column: _Parsed[T], cells: list[str], place: int, otherwise: T) -> T:
        if place < 0 or not cells[place]:
            return otherwise
        try:
            return column[cells[place].replace(",", ".") if self._is_comma else cells[place]]
        except BadCell as bad:
            self.dropped.append(bad)
            return otherwise

    def _tag_of(self, cell: str) -> int:
        return self._epcs.setdefault(epc_of(cell), len(self._epcs))

    def _port_of(self, cell: str) -> int:
        port = _antenna(cell)
        if self._antennas is not None and port not in self._antennas:
            expected = f"one of the gate's antennas {', '.join(map(str, sorted(self._antennas)))}"
            raise BadCell("unknown_antenna", "antenna", expected, _shown(cell))
        return port

    def recording(self, name: str, head: _Head, complaints: _Complaints) -> Recording:
        """What was taken, in time order; reads of one instant stay in the file's."""
        times_us = np.array(self.times_us, dtype=np.int64)
        by_time = np.argsort(times_us, kind="stable")
        notes = list(head.notes)
        if (backwards := int(np.count_nonzero(np.diff(times_us) < 0))) > 0:
            notes.append(f"the rows are not in the order of time ({backwards} steps back): they are sorted")
        return Recording(
            name=name,
            format=head.form,
            times_us=times_us[by_time],
            tags=np.array(self._tags, dtype=np.int64)[by_time],
            antennas=np.array(self._antenna, dtype=np.int64)[by_time],
            rssi_dbm=np.array(self._rssi_dbm, dtype=np.float64)[by_time],
            phases_rad=np.array(self._phases_rad, dtype=np.float64)[by_time],
            channels=np.array(self._channels, dtype=np.int64)[by_time],
            epcs=tuple(self._epcs),
            reader=head.reader,
            problems=complaints.problems,
            notes=tuple(notes),
        )
