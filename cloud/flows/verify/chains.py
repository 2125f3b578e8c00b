"""Promise 3: the lanes' hash chains, worked out again from the rows as PostgreSQL hands them out, in the format in
which they were hashed.

Two passes, each a stream in the chain's order. The first works out every row's digest from its bytes (an entry's
with its lines, a cost entry's with its consumption links) and compares it with the one stored. The second puts the
stored digests together to each batch's link and walks the lanes from their first link to their heads. PostgreSQL
sorts, on disk where it must; memory here holds the digests of one batch and the rows of one entry, however long the
history.
"""

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from uuid import UUID

import psycopg

from cloud.domain.batch import HASHED
from cloud.flows.verify.check import Check
from cloud.store.copy import PG_EPOCH_US
from cloud.store.sql import statement

LAYOUTS = (1, 2, 3)  # the last is what batches are hashed with today

# In `links`: the batch itself comes before its rows, the lane's head behind its last batch.
_BATCH, _HEAD = 0, 9

_NULL = b"\xff\xff\xff\xff"
_EMPTY = b"\0\0\0\0"
_INT2, _INT4, _INT8 = b"\0\0\0\2" + bytes(2), b"\0\0\0\4" + bytes(4), b"\0\0\0\x08" + bytes(8)

_COPY_HEADER_BYTES = 19
_PLACE_BYTES = 4 + 2 + 4 + 8 + 4 + 4  # lane, batch and row number with their lengths, the last fields of a row

Place = tuple[
    int, int, int, int, int
]  # company, lane, batch, number of the table, row; they sort as the chain goes


@dataclass(frozen=True, slots=True)
class _Children:
    """Rows that are hashed with their parent's. `added` as in `_Table`."""

    name: str
    added: dict[int, tuple[int, bytes]]
    since: int  # the layout that first hashed them


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of rows with digests.

    fields  how many are hashed
    id_at   where the 16 bytes of its id stand, behind the number of fields
    added   by layout: how many fields came after it, and the bytes that they have in its rows. They stand before
            lane, batch and row number; a row that has other bytes there was filled in later, and its digest differs.
    """

    name: str
    fields: int
    id_at: int
    added: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    children: _Children | None = None
    has_step: bool = False


_REASON_AND_CURRENCY = _EMPTY + _INT4 + _INT2
_LINE_CURRENCY = _INT2 + _INT8 + _NULL
_TABLES = (
    _Table("movements", 27, 24, {1: (5, _INT4 + _NULL + _REASON_AND_CURRENCY), 2: (3, _REASON_AND_CURRENCY)}),
    _Table("value_events", 19, 24, {2: (2, _INT2 + _INT8)}),
    _Table(
        "cost_entries", 15, 12, {1: (3, _NULL + _NULL + _INT4), 2: (1, _INT4)},
        _Children("consumption_links", {}, 3), has_step=True,
    ),
    _Table("allowance_entries", 10, 12, has_step=True),
    _Table("ledger_documents", 15, 24),
    _Table(
        "journal_entries", 14, 12, {},
        _Children("journal_lines", {1: (3, _LINE_CURRENCY), 2: (3, _LINE_CURRENCY)}, 1), has_step=True,
    ),
    _Table("observations", 18, 24),
)  # fmt: skip


class _Rank(IntEnum):
    """Of what is found, what says most comes first: a changed row may leave a gap and break a link as well."""

    CHANGED = 0  # a row whose digest is not its own
    COUNTED = 1  # a row that is missing, stands twice or is none of its batch's
    LINK = 2


@dataclass(slots=True)
class _Findings:
    """How much is wrong, and what is first in the order of the chains, of what says most."""

    wrong: int = 0
    first: tuple[_Rank, Place, str] | None = None

    def add(self, rank: _Rank, place: Place, name: str) -> None:
        self.wrong += 1
        if self.first is None or (rank, place) < self.first[:2]:
            self.first = (rank, place, name)

    def detail(self) -> str:
        return f"first: {self.first[2]}" if self.first else ""


def check_chains(connection: psycopg.Connection) -> Iterator[Check]:
    """Each lane's chain from its first link, and the first row that was changed."""
    findings = _Findings()
    for part, table in enumerate(_TABLES, 1):
        _check_rows(connection, part, table, findings)
    lanes = _Lanes(findings)
    for company, lane, batch_no, part, row_no, content in _links(connection):
        lanes.take(company, lane, batch_no, part, row_no, content)
    lanes.close()
    yield Check(
        3, "hash chains", findings.wrong, findings.detail() or f"{lanes.batches} links in {lanes.count} lanes"
    )


# ── Rows: their own digests ─────────────────────────────────────────────────────────────────────────


def _check_rows(connection: psycopg.Connection, part: int, table: _Table, findings: _Findings) -> None:
    """Every row's digest, worked out again; children stand behind their parent in the same row of the COPY."""
    open_row: _Row | None = None
    for message in _copied(connection, f"copy_{table.name}"):
        layout = int.from_bytes(message[6:8], "big")
        size = int.from_bytes(message[8:12], "big", signed=True)
        if size < 0:  # no parent: what no entry has
            findings.add(_Rank.CHANGED, (2**31, 0, 0, part, 0), _orphan(table, message))
            continue
        body = message[12 + size :]
        if open_row is not None and body.startswith(open_row.body):
            open_row.add(body[len(open_row.body) :])
            continue
        if open_row is not None:
            open_row.judge(part, findings)
        end = len(body) if table.children is None else _skip(body, table.fields)
        open_row = _Row(table, layout, message[12 : 12 + size], body[:end])
        open_row.add(body[end:])
    if open_row is not None:
        open_row.judge(part, findings)


class _Row:
    """One row on its way into its digest."""

    def __init__(self, table: _Table, layout: int, stored: bytes, body: bytes) -> None:
        self.table, self.layout, self.stored, self.body = table, layout, stored, body
        fields, hashed = table.fields, body
        added, nothing = table.added.get(layout, (0, b""))
        rest = body[:-_PLACE_BYTES]
        if added and rest.endswith(nothing):
            fields, hashed = fields - added, rest.removesuffix(nothing) + body[-_PLACE_BYTES:]
        self.digest = hashlib.sha256(struct.pack(">h", fields))
        self.digest.update(hashed)

    def add(self, child: bytes) -> None:
        """Go on over a child's fields."""
        children = self.table.children
        if children is None or self.layout < children.since or not child.strip(b"\xff"):
            return
        fields = _fields_of(children.name)
        added, nothing = children.added.get(self.layout, (0, b""))
        if added and child.endswith(nothing):
            fields, child = fields - added, child.removesuffix(nothing)
        self.digest.update(struct.pack(">h", fields))
        self.digest.update(child)

    def judge(self, part: int, findings: _Findings) -> None:
        if self.digest.digest() != self.stored:
            company = int.from_bytes(self.body[4:8], "big", signed=True)
            lane, batch_no, row_no = struct.unpack_from(
                ">xxxxhxxxxqxxxxi", self.body, len(self.body) - _PLACE_BYTES
            )
            name = _name(self.table.name, company, lane, batch_no, row_no)
            findings.add(_Rank.CHANGED, (company, lane, batch_no, part, row_no), f"{name} ({self._id()})")

    def _id(self) -> str:
        at = self.table.id_at
        step = int.from_bytes(self.body[at + 20 : at + 22], "big", signed=True)
        return f"{UUID(bytes=self.body[at : at + 16])}" + (f".{step}" if self.table.has_step else "")


_CHILD_FIELDS = {"journal_lines": 11, "consumption_links": 9}


def _fields_of(children: str) -> int:
    return _CHILD_FIELDS[children]


def _orphan(table: _Table, message: bytes) -> str:
    """The name of a child without its parent, whose fields are all null."""
    assert table.children is not None  # noqa: S101  only they are joined
    child = message[12 + 4 * table.fields :]
    number_at = 8 + 20 + 6 + 4
    source, step = UUID(bytes=child[12:28]), int.from_bytes(child[32:34], "big", signed=True)
    number = int.from_bytes(child[number_at : _skip(child, 4)], "big", signed=True)
    return f"{table.children.name} {number} of {source}.{step}, which is not in {table.name}"


def _skip(body: bytes, fields: int) -> int:
    """Where the field behind so many begins."""
    at = 0
    for _ in range(fields):
        size = int.from_bytes(body[at : at + 4], "big", signed=True)
        at += 4 + max(size, 0)
    return at


def _name(table: str, company: int, lane: int, batch_no: int, row_no: int) -> str:
    return f"{table} row {row_no} of batch {batch_no}, lane {lane}, company {company}"


# ── Links: digests to batches, batches to lanes ─────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _BatchRow:
    """A row of batches; recorded_us since 1970, modulo 2⁶⁴ so that no value of it is too much."""

    number: int
    layout: int
    recorded_us: int
    observed: int
    moved: int
    previous: bytes
    head: bytes
    worker: bytes

    @classmethod
    def of(cls, number: int, content: bytes) -> "_BatchRow":
        layout, recorded, observed, moved, size = struct.unpack_from(">hqqqi", content)
        at = struct.calcsize(">hqqqi")
        previous = content[at : at + size]
        (length,) = struct.unpack_from(">i", content, at + size)
        at += size + 4
        recorded_us = (recorded + PG_EPOCH_US) % 2**64
        return cls(
            number,
            layout,
            recorded_us,
            observed,
            moved,
            previous,
            content[at : at + length],
            content[at + length :],
        )

    def link(self, digests: list[bytes]) -> bytes:
        """The head that this batch with these rows comes to."""
        link = hashlib.sha256(self.previous)
        link.update(b"".join(digests))
        if self.layout >= LAYOUTS[-1]:
            link.update(struct.pack(">Q", self.recorded_us) + self.worker)
            link.update(struct.pack(">qq", self.observed, self.moved))
        return link.digest()


class _Lanes:
    """Walks the rows of `links`, which come by company, lane, batch, table and row."""

    def __init__(self, findings: _Findings) -> None:
        self.findings = findings
        self.batches = self.count = 0
        self._lane: tuple[int, int] | None = None
        self._last, self._link, self._headed = 0, bytes(32), False
        self._layout = LAYOUTS[0]  # a lane never goes back to an older one
        self._at = 0  # the batch whose rows are being read
        self._batch: _BatchRow | None = None
        self._rows: list[tuple[int, int, bytes]] = []  # table, row, digest

    def take(self, company: int, lane: int, batch_no: int, part: int, row_no: int, content: bytes) -> None:
        if (company, lane) != self._lane:
            self.close()
            self._lane = (company, lane)
            self._last, self._link, self._headed, self._layout = 0, bytes(32), False, LAYOUTS[0]
            self.count += 1
        elif batch_no != self._at:
            self._close_batch()
        self._at = batch_no
        if part == _BATCH:
            self.batches += 1
            self._batch = _BatchRow.of(batch_no, content)
        elif part == _HEAD:
            self._close_batch()
            self._headed = True
            (number,) = struct.unpack_from(">q", content)
            if (number, content[8:]) != (self._last, self._link):
                self.findings.add(
                    _Rank.LINK, (company, lane, batch_no, _HEAD, 0), f"head of lane {lane}, company {company}"
                )
        else:
            self._rows.append((part, row_no, content))

    def close(self) -> None:
        """The lane is over."""
        if self._lane is None:
            return
        self._close_batch()
        if not self._headed:
            company, lane = self._lane
            self.findings.add(
                _Rank.LINK, (company, lane, 2**63, _HEAD, 0), f"head of lane {lane}, company {company}"
            )

    def _close_batch(self) -> None:
        """Rows without a gap, and the batch's link."""
        batch, rows, self._batch, self._rows = self._batch, self._rows, None, []
        if batch is None and not rows:
            return
        assert self._lane is not None  # noqa: S101  there are rows
        company, lane = self._lane
        name = f"batch {self._at} of lane {lane}, company {company}"
        here: Place = (company, lane, self._at, _HEAD, 0)
        if batch is None:
            self.findings.add(_Rank.LINK, here, f"{name}, which is not there")
            return
        extra = list(self._gaps(company, lane, rows))
        digests = [digest for _, _, digest in rows]
        if batch.number != self._last + 1:
            self.findings.add(_Rank.LINK, here, f"{name}, expected batch {self._last + 1}")
        elif batch.previous != self._link:
            self.findings.add(_Rank.LINK, here, f"{name}: does not go on from the one before")
        if batch.layout not in LAYOUTS or batch.layout < self._layout:
            self.findings.add(
                _Rank.LINK, here, f"{name}: layout {batch.layout}, expected {self._layout} … {LAYOUTS[-1]}"
            )
        if batch.link(digests) != batch.head:
            self.findings.add(_Rank.LINK, here, f"{name}: its rows do not make its link")
            self._find_forged(company, lane, batch, rows, extra)
        self._last, self._link = batch.number, batch.head
        self._layout = max(self._layout, batch.layout)

    def _gaps(self, company: int, lane: int, rows: list[tuple[int, int, bytes]]) -> Iterator[int]:
        """Name rows that are missing; the numbers in `rows` of those that stand twice."""
        expected: dict[int, int] = {}
        for index, (part, row_no, _) in enumerate(rows):
            want = expected.get(part, 0)
            name = _name(HASHED[part - 1], company, lane, self._at, min(want, row_no))
            if row_no > want:
                self.findings.add(
                    _Rank.COUNTED, (company, lane, self._at, part, want), f"{name}, which is missing"
                )
            elif row_no < want:
                self.findings.add(
                    _Rank.COUNTED, (company, lane, self._at, part, row_no), f"{name}, which stands twice"
                )
                yield index
            expected[part] = row_no + 1

    def _find_forged(
        self, company: int, lane: int, batch: _BatchRow, rows: list[tuple[int, int, bytes]], extra: list[int]
    ) -> None:
        """Name the row without which the link would be right, where it is a table's last or stands twice."""
        last = {part: index for index, (part, _, _) in enumerate(rows)}
        for index in {*last.values(), *extra, *(one - 1 for one in extra)}:
            if batch.link([digest for at, (_, _, digest) in enumerate(rows) if at != index]) == batch.head:
                part, row_no, _ = rows[index]
                name = _name(HASHED[part - 1], company, lane, batch.number, row_no)
                self.findings.add(
                    _Rank.COUNTED,
                    (company, lane, batch.number, part, row_no),
                    f"{name}, which is none of the batch's",
                )


def _links(connection: psycopg.Connection) -> Iterator[tuple[int, int, int, int, int, bytes]]:
    fixed = struct.Struct(">xxxxxxixxxxhxxxxqxxxxhxxxxixxxx")
    for row in _copied(connection, "links"):
        yield *fixed.unpack_from(row), row[fixed.size :]


def _copied(connection: psycopg.Connection, name: str) -> Iterator[bytes]:
    """The rows of a binary COPY as PostgreSQL sends them: one message a row, the header before the first."""
    with connection.cursor().copy(statement("verify_chains", name)) as copy:
        for number, message in enumerate(copy):
            row = bytes(message)
            if number == 0:
                row = row[_COPY_HEADER_BYTES:]
            if row not in (b"\xff\xff", b""):
                yield row
