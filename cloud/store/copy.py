"""Columns to PostgreSQL's binary COPY format, and to the digests that the hash chain is made of.

The format (PostgreSQL 18 documentation, COPY, "Binary Format"): a header, then for each row a 16-bit field
count and for each field a 32-bit length and its bytes, all big-endian; -1 is the length of null. The bytes
are laid out by numpy for all rows at once. A row's digest is the SHA-256 of these bytes: what is hashed is
what is stored, and `verify` makes it again from the rows it reads.
"""

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"

# Seconds and days between 1970-01-01 and PostgreSQL's own zero, 2000-01-01.
PG_EPOCH_US = 946_684_800_000_000
PG_EPOCH_DAYS = 10_957

Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of n rows: fixed width uint8[n, w], or texts of any length; null where `null` is true."""

    name: str
    fixed: Bytes | None
    texts: list[bytes] | None = None
    null: Mask | None = None

    def lengths(self, n: int) -> NDArray[np.int64]:
        if self.fixed is not None:
            lengths = np.full(n, self.fixed.shape[1], np.int64)
        else:
            lengths = np.fromiter(map(len, self.texts or ()), np.int64, n)
        return lengths if self.null is None else np.where(self.null, 0, lengths)


def integers(name: str, values: NDArray, width: int, null: Mask | None = None) -> Column:
    """smallint, integer or bigint (width 2, 4, 8). Raises OverflowError when a value does not fit."""
    kind = np.dtype(f">i{width}")
    limits = np.iinfo(kind)
    if len(values) and (values.min() < limits.min or values.max() > limits.max):
        raise OverflowError(f"{name}: {values.min()} … {values.max()} does not fit {width} bytes")
    return Column(name, np.ascontiguousarray(values, kind).view(np.uint8).reshape(len(values), width), None, null)


def constant(name: str, value: int, width: int, n: int) -> Column:
    """The same integer in every row."""
    return integers(name, np.full(n, value, np.int64), width)


def floats(name: str, values: NDArray) -> Column:
    """real, the only float here: a confidence is a signal."""
    return Column(name, np.ascontiguousarray(values, ">f4").view(np.uint8).reshape(len(values), 4))


def booleans(name: str, values: NDArray[np.bool_]) -> Column:
    """boolean."""
    return Column(name, values.astype(np.uint8).reshape(len(values), 1))


def times(name: str, values_us: NDArray) -> Column:
    """timestamptz from microseconds since 1970-01-01 UTC."""
    return integers(name, values_us - PG_EPOCH_US, 8)


def dates(name: str, days: NDArray) -> Column:
    """date from days since 1970-01-01."""
    return integers(name, days - PG_EPOCH_DAYS, 4)


def raw(name: str, values: Bytes, null: Mask | None = None) -> Column:
    """uuid (16 bytes) or bytea of one width, uint8[n, w]."""
    return Column(name, values, None, null)


def texts(name: str, values: Sequence[bytes]) -> Column:
    """text, json or bytea of any length, already encoded."""
    return Column(name, None, list(values))


def encode(columns: Sequence[Column], n: int) -> tuple[Bytes, NDArray[np.int64]]:
    """The rows' bytes in one buffer, and where each row begins (int64[n + 1])."""
    lengths = [column.lengths(n) for column in columns]
    starts = np.zeros(n + 1, np.int64)
    np.cumsum(2 + sum(lengths) + 4 * len(columns), out=starts[1:])
    buffer = np.zeros(starts[-1], np.uint8)
    if n and all((length == length[0]).all() for length in lengths):
        _fill_alike(buffer.reshape(n, -1), columns, [int(length[0]) for length in lengths])
        return buffer, starts
    at = starts[:-1].copy()
    _place(buffer, at, np.full(n, len(columns), ">i2").view(np.uint8).reshape(n, 2))
    at += 2
    for column, length in zip(columns, lengths, strict=True):
        _place(buffer, at, _announced(column, length))
        at += 4
        if column.fixed is None:
            _place_texts(buffer, at, length, b"".join(column.texts or ()))
        elif column.null is None:
            _place(buffer, at, column.fixed)
        else:
            present = ~column.null
            _place(buffer, at[present], column.fixed[present])
        at += length
    return buffer, starts


def _announced(column: Column, length: NDArray[np.int64]) -> Bytes:
    """The length words of a column, uint8[n, 4]; null is -1."""
    words = length if column.null is None else np.where(column.null, -1, length)
    return words.astype(">i4").view(np.uint8).reshape(len(words), 4)


def _fill_alike(matrix: Bytes, columns: Sequence[Column], widths: list[int]) -> None:
    """Rows of one length are a matrix, and each column a slice of it: the usual case, and several times faster."""
    n = len(matrix)
    matrix[:, :2] = np.array([len(columns)], ">i2").view(np.uint8)
    at = 2
    for column, width in zip(columns, widths, strict=True):
        matrix[:, at : at + 4] = _announced(column, np.full(n, width))
        at += 4
        if width:
            cells = column.fixed
            if cells is None:
                cells = np.frombuffer(b"".join(column.texts or ()), np.uint8).reshape(n, width)
            matrix[:, at : at + width] = cells
        at += width


def _place(buffer: Bytes, at: NDArray[np.int64], cells: Bytes) -> None:
    for i in range(cells.shape[1]):  # at most 32 strided stores, cheaper than one index array of n × w
        buffer[at + i] = cells[:, i]


def _place_texts(buffer: Bytes, at: NDArray[np.int64], length: NDArray[np.int64], data: bytes) -> None:
    ends = np.cumsum(length)
    where = np.repeat(at - (ends - length), length) + np.arange(len(data))
    buffer[where] = np.frombuffer(data, np.uint8)


# The digest is the last field of its row: four bytes of length, then SHA-256.
DIGEST_BYTES = 32
_DIGEST_FIELD = 4 + DIGEST_BYTES


def hashes(columns: Sequence[Column], buffer: Bytes, starts: NDArray[np.int64]) -> list["hashlib._Hash"]:
    """SHA-256 begun over each row as it would be without its last field, the digest; for the caller to go on."""
    view = buffer.data
    count = np.array([len(columns) - 1], ">i2").tobytes()
    found = []
    for a, b in itertools.pairwise(starts.tolist()):
        digest = hashlib.sha256(count)
        digest.update(view[a + 2 : b - _DIGEST_FIELD])
        found.append(digest)
    return found


def with_digest(columns: Sequence[Column], n: int) -> list[Column]:
    """The columns and room for a digest behind them."""
    return [*columns, raw("digest", np.zeros((n, DIGEST_BYTES), np.uint8))]


def put_digests(buffer: Bytes, starts: NDArray[np.int64], found: list["hashlib._Hash"]) -> Bytes:
    """Write each row's digest into its last field; the digests, uint8[n, 32]."""
    digest = np.frombuffer(b"".join(one.digest() for one in found), np.uint8).reshape(len(found), DIGEST_BYTES)
    _place(buffer, starts[1:] - DIGEST_BYTES, digest)
    return digest


def write(cursor: psycopg.Cursor, table: str, columns: Sequence[Column], n: int) -> None:
    """COPY the rows into `table`. Raises psycopg.Error."""
    if n:
        write_encoded(cursor, table, columns, encode(columns, n)[0])


def write_encoded(cursor: psycopg.Cursor, table: str, columns: Sequence[Column], buffer: Bytes) -> None:
    """COPY rows that `encode` has laid out. Raises psycopg.Error."""
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
        sql.Identifier(table), sql.SQL(", ").join(sql.Identifier(column.name) for column in columns)
    )
    with cursor.copy(statement) as copy:
        copy.write(_HEADER)
        copy.write(buffer.tobytes())
        copy.write(_TRAILER)


def write_hashed(cursor: psycopg.Cursor, table: str, columns: Sequence[Column], n: int) -> Bytes:
    """COPY the rows with a `digest` column over all others; the digests, uint8[n, 32]."""
    if n == 0:
        return np.empty((0, DIGEST_BYTES), np.uint8)
    columns = with_digest(columns, n)
    buffer, starts = encode(columns, n)
    digest = put_digests(buffer, starts, hashes(columns, buffer, starts))
    write_encoded(cursor, table, columns, buffer)
    return digest
