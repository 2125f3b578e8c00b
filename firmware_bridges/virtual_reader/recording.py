"""Recorded reads as sightings, one line at a time, so that a file of any size can be played.

Two formats are told apart by their content, never by their name; either may be gzipped:

`emse` (the RFID-tags-detection data set's logs of an Impinj reader): comment lines `//`, then
    Timestamp;EPC;TID;Antenna;RSSI;Frequency;Hostname;PhaseAngle;Doppler
with ISO 8601 times, a decimal comma, MHz, and no phase.

`generic`: comma-separated with a header line, columns in any order, others ignored:
    time, epc, antenna, rssi_dbm [, phase_rad] [, channel_mhz]
time is ISO 8601 with a zone (`2026-11-22T08:15:00.123456+08:00`, `…Z`).

Reads are expected oldest first, as readers write them; one that is late is played at once, under its own
stamp. A line that cannot be read is left out, logged (the first few) and counted in `unreadable`; a file
of neither format raises `UnreadableRecording` when it is opened.
"""

import csv
import gzip
import logging
import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import IO

from firmware_bridges.virtual_reader.sighting import Sighting

log = logging.getLogger(__name__)

GZIP_MAGIC = b"\x1f\x8b"
LINE_CHARS_MAX = 4096  # no read needs more; a longer line is no text of ours, and would fill memory
LOGGED_LINES = 5  # of the unreadable ones; the rest is counted
NEEDED_COLUMNS = ("time", "epc", "antenna", "rssi_dbm")
EMSE_FIELDS = 9
EPC_DIGITS_MAX = 124  # EPC memory ends at 496 bits (Gen2: five bits of length in words)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HEX = frozenset("0123456789ABCDEF")


class UnreadableRecording(ValueError):
    """The file holds no reads in a format that we know."""


class Recording:
    """The reads of one file, as an iterator of sightings; `channels_khz` numbers its frequencies."""

    def __init__(self, path: Path, channels_khz: tuple[int, ...]) -> None:
        self.path = path
        self.read = 0
        self.unreadable = 0
        self._channels_khz = channels_khz
        self._file = _open(path)
        try:
            self._lines = _lines(self._file)
            self._parse = self._recognise()
        except (OSError, EOFError, UnicodeDecodeError, ValueError) as error:
            self._file.close()
            raise UnreadableRecording(f"{path}: {error}") from error

    def __iter__(self) -> Iterator[Sighting]:
        with self._file:
            try:
                yield from self._sightings()
            except (OSError, EOFError, UnicodeDecodeError) as error:
                # A cut gzip file, a disk that went: what was read has been played, the rest is not there.
                self._put_aside(f"the rest of the file: {error}")
        log.info("%s: %d reads, %d lines unreadable", self.path, self.read, self.unreadable)

    def close(self) -> None:
        """Leave the rest unread."""
        self._file.close()

    def _sightings(self) -> Iterator[Sighting]:
        for number, line in self._lines:
            if not line.strip() or line.startswith("//"):
                continue
            try:
                seen = self._parse(line)
            except ValueError as error:
                self._put_aside(f"line {number}: {error}")
                continue
            self.read += 1
            yield seen

    def _put_aside(self, why: str) -> None:
        self.unreadable += 1
        if self.unreadable <= LOGGED_LINES:
            log.warning("%s, left out %s", self.path, why)

    def _recognise(self) -> Callable[[str], Sighting]:
        for number, line in self._lines:
            if not line.strip() or line.startswith("//"):
                continue
            if line.count(";") == EMSE_FIELDS - 1:
                self._lines = chain([(number, line)], self._lines)
                return self._parse_emse
            columns = [name.strip().lower() for name in next(csv.reader([line]))]
            if set(NEEDED_COLUMNS) <= set(columns):
                return self._generic_parser(columns)
            raise UnreadableRecording(
                f"line {number}: expected {EMSE_FIELDS} fields with ';' or a header with "
                f"{', '.join(NEEDED_COLUMNS)}, got {line[:80]!r}"
            )
        raise UnreadableRecording("expected reads, got an empty file")

    def _parse_emse(self, line: str) -> Sighting:
        fields = line.rstrip("\r\n").split(";")
        if len(fields) != EMSE_FIELDS:
            raise ValueError(f"expected {EMSE_FIELDS} fields, got {len(fields)}")
        time, epc, _, antenna, rssi, mhz = fields[:6]
        phase = fields[7].replace(",", ".")
        return self._sighting(time, epc, antenna, rssi.replace(",", "."), mhz.replace(",", "."), phase)

    def _generic_parser(self, columns: list[str]) -> Callable[[str], Sighting]:
        place = {name: index for index, name in enumerate(columns)}

        def parse(line: str) -> Sighting:
            fields = next(csv.reader([line]))
            if len(fields) != len(columns):
                raise ValueError(f"expected {len(columns)} fields, got {len(fields)}")
            time, epc, antenna, rssi, mhz, phase = (
                fields[place[name]].strip() if name in place else ""
                for name in (*NEEDED_COLUMNS, "channel_mhz", "phase_rad")
            )
            return self._sighting(time, epc, antenna, rssi, mhz, phase)

        return parse

    def _sighting(self, time: str, epc: str, antenna: str, rssi: str, mhz: str, phase: str) -> Sighting:
        number = int(antenna)
        if not 1 <= number <= 0xFFFF:
            raise ValueError(f"expected an antenna from 1, got {number}")
        return Sighting(
            microseconds(time),
            _epc(epc),
            number,
            _finite(rssi, "rssi"),
            self._channel(mhz),
            _finite(phase, "phase") % math.tau if phase else None,
        )

    def _channel(self, mhz: str) -> int | None:
        if not mhz:
            return None
        khz = round(_finite(mhz, "frequency") * 1000)
        return self._channels_khz.index(khz) + 1 if khz in self._channels_khz else None


def microseconds(time: str) -> int:
    """Microseconds since 1970-01-01 UTC of an ISO 8601 time with its zone. Raises ValueError."""
    moment = datetime.fromisoformat(time)
    if moment.tzinfo is None:
        raise ValueError(f"expected a time with its zone, got {time!r}")
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _epc(text: str) -> str:
    epc = text.strip().upper()
    if not set(epc) <= _HEX or len(epc) > EPC_DIGITS_MAX:
        raise ValueError(f"expected an EPC of at most {EPC_DIGITS_MAX} hex digits, got {text[:140]!r}")
    return epc


def _finite(text: str, what: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"expected a finite {what}, got {text!r}")
    return value


def _open(path: Path) -> IO[str]:
    try:
        with path.open("rb") as file:
            is_gzip = file.read(2) == GZIP_MAGIC
        return gzip.open(path, "rt", encoding="utf-8-sig") if is_gzip else path.open(encoding="utf-8-sig")
    except OSError as error:
        raise UnreadableRecording(f"{path}: {error}") from error


def _lines(file: IO[str]) -> Iterator[tuple[int, str]]:
    """Numbered lines; one beyond LINE_CHARS_MAX ends up in pieces, none of which is a read."""
    number = 0
    while line := file.readline(LINE_CHARS_MAX):
        number += 1
        yield number, line
