"""What really happened while a recording was made, from files.

Two kinds, not mixed:

    lists   one EPC a line; which list it is says `moving=FILE` or `stationary=FILE`, or the file's name, which begins
            with labels_moving or labels_stationary. A folder stands for the labels_* files in it.
    events  a CSV with the header epc, from, to, truth and perhaps group, reads: one row for each thing that a tag did.
            truth: in, out, turned_back, near (came close and left), stayed (parked all the time). Times are ISO 8601
            with a zone. `group` names what went together, such as a pallet.

A label that is wrong spoils every figure made with it, so a file with one is refused: WrongLabels.
"""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from edge.gate_desk.recording import BadCell, epc_of, time_us

LISTS = ("moving", "stationary")
EVENT_COLUMNS = ("epc", "from", "to", "truth")
OPTIONAL_COLUMNS = ("group", "reads")


class WrongLabels(ValueError):
    """The labels cannot be used."""


class Truth(StrEnum):
    """What a tag did."""

    IN = "in"
    OUT = "out"
    TURNED_BACK = "turned_back"
    NEAR = "near"
    STAYED = "stayed"
    MOVING = "moving"  # by a list: it crossed at least once
    STATIONARY = "stationary"  # by a list: it never did


CROSSINGS = (Truth.IN, Truth.OUT)
OF_EVENTS = (Truth.IN, Truth.OUT, Truth.TURNED_BACK, Truth.NEAR, Truth.STAYED)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that one tag did between two times."""

    epc: str
    from_us: int
    to_us: int
    truth: Truth
    group: str = ""


@dataclass(frozen=True, slots=True)
class TagLabels:
    """Which tags crossed at least once, and which never did."""

    moving: frozenset[str]
    stationary: frozenset[str]


@dataclass(frozen=True, slots=True)
class Events:
    """Everything that the tags did."""

    events: tuple[Event, ...]


Labels = TagLabels | Events


def read_labels(arguments: Sequence[str]) -> Labels:
    """The labels that `arguments` name. Raises WrongLabels."""
    lists: dict[str, set[str]] = {name: set() for name in LISTS}
    events: list[Event] = []
    for name, path in _files(arguments):
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise WrongLabels(f"{path} cannot be read: {error}") from error
        if name is None:
            events += _events(path, text)
        else:
            lists[name] |= _list(path, text)
    if events and any(lists.values()):
        raise WrongLabels("expected either lists of tags or a CSV of events, got both")
    if events:
        return Events(tuple(sorted(events, key=lambda event: (event.from_us, event.epc, event.to_us))))
    if both := lists["moving"] & lists["stationary"]:
        raise WrongLabels(f"expected each tag to be moving or stationary, got {min(both)} as both")
    if not any(lists.values()):
        raise WrongLabels(f"expected at least one label, got none in {', '.join(arguments)}")
    return TagLabels(frozenset(lists["moving"]), frozenset(lists["stationary"]))


def _files(arguments: Iterable[str]) -> Iterable[tuple[str | None, Path]]:
    """(name of the list or None for events, file)."""
    for argument in arguments:
        name, _, rest = argument.partition("=")
        if rest and name in LISTS:
            yield name, Path(rest)
            continue
        if rest and not Path(argument).exists():
            raise WrongLabels(f"expected moving=FILE, stationary=FILE or FILE, got {argument}")
        path = Path(argument)
        files = sorted(path.glob("labels_*")) if path.is_dir() else [path]
        if not files:
            raise WrongLabels(f"{path}: expected files named labels_… in this folder, got none")
        for file in files:
            yield next((one for one in LISTS if file.name.startswith(f"labels_{one}")), None), file


def _list(path: Path, text: str) -> set[str]:
    epcs = set()
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                epcs.add(epc_of(line))
            except BadCell as bad:
                raise WrongLabels(f"{path}: line {number}: expected {bad.expected}, got {bad.got}") from bad
    return epcs


def _events(path: Path, text: str) -> list[Event]:
    rows = csv.reader(text.splitlines())
    header = [cell.strip().lower() for cell in next(rows, [])]
    if any(header.count(name) != 1 for name in EVENT_COLUMNS):
        raise WrongLabels(
            f"{path}: line 1: expected a header with {', '.join(EVENT_COLUMNS)} "
            f"(or a list named moving=… or stationary=…), got {','.join(header)[:80]!r}"
        )
    at = {name: header.index(name) for name in (*EVENT_COLUMNS, *OPTIONAL_COLUMNS) if name in header}
    events = []
    for cells in rows:
        if not any(cells):
            continue
        try:
            events.append(_event({name: cells[place].strip() for name, place in at.items()}))
        except IndexError as error:
            message = f"{path}: line {rows.line_num}: expected {len(header)} cells, got {len(cells)}"
            raise WrongLabels(message) from error
        except BadCell as bad:
            where = f"{path}: line {rows.line_num}, column {bad.column}"
            raise WrongLabels(f"{where}: expected {bad.expected}, got {bad.got}") from bad
    return events


def _event(row: dict[str, str]) -> Event:
    """Raises BadCell."""
    if row["truth"] not in OF_EVENTS:
        raise BadCell("wrong_truth", "truth", f"one of {', '.join(OF_EVENTS)}", repr(row["truth"]))
    from_us, to_us = (time_us(row[name], name) for name in ("from", "to"))
    if to_us < from_us:
        raise BadCell("wrong_time", "to", f"a time not before {row['from']}", row["to"])
    return Event(epc_of(row["epc"]), from_us, to_us, Truth(row["truth"]), row.get("group", ""))
