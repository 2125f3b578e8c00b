"""Columns to PostgreSQL's binary COPY format, and to the digests that the hash chain is made of.

The format (PostgreSQL 18 documentation, COPY, "Binary Format"): a header, then for each row a 16-bit field
count and for each field a 32-bit length and its bytes, all big-endian; -1 is the length of null. The bytes
are laid out for all rows at once, a column at a time. A row's digest is the SHA-256 of these bytes: what is hashed is
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

from cloud.store import copy_kernels

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
    buffer = np.empty(starts[-1], np.uint8)
    copy_kernels.put_count(buffer, starts, len(columns))
    at = starts[:-1] + 2
    for column, length in zip(columns, lengths, strict=True):
        if column.fixed is None:
            data = np.frombuffer(b"".join(column.texts or ()), np.uint8)
            copy_kernels.put_texts(buffer, at, length, data)
        elif column.null is None:
            copy_kernels.put_fixed(buffer, at, column.fixed)
        else:
            copy_kernels.put_nullable(buffer, at, column.fixed, column.null)
    return buffer, starts


# The digest is the last field of its row: four bytes of length, then SHA-256.
DIGEST_BYTES = 32
_DIGEST_FIELD = 4 + DIGEST_BYTES


def with_digest(columns: Sequence[Column], n: int) -> list[Column]:
    """The columns and room for a digest behind them."""
    return [*columns, raw("digest", np.zeros((n, DIGEST_BYTES), np.uint8))]


def put_digests(
    columns: Sequence[Column],
    buffer: Bytes,
    starts: NDArray[np.int64],
    body: Bytes | None = None,
    bounds: NDArray[np.int64] | None = None,
) -> Bytes:
    """Write each row's digest into its last field; the digests, uint8[n, 32].

    A digest is the SHA-256 of the row as it would be without its last field; it goes on over the rows that belong to
    it, body[bounds[i]:bounds[i + 1]].
    """
    view, sha256 = buffer.data, hashlib.sha256
    copy_kernels.put_count(buffer, starts, len(columns) - 1)  # as it would be: one field less
    rows = itertools.pairwise(starts.tolist())
    if body is None or bounds is None:
        found = b"".join([sha256(view[a : b - _DIGEST_FIELD]).digest() for a, b in rows])
    else:
        behind, parts = body.data, []
        for (a, b), (c, d) in zip(rows, itertools.pairwise(bounds.tolist()), strict=True):
            digest = sha256(view[a : b - _DIGEST_FIELD])
            if c != d:
                digest.update(behind[c:d])
            parts.append(digest.digest())
        found = b"".join(parts)
    copy_kernels.put_count(buffer, starts, len(columns))
    digests = np.frombuffer(found, np.uint8).reshape(-1, DIGEST_BYTES)
    copy_kernels.put_fixed(buffer, starts[1:] - _DIGEST_FIELD, digests)
    return digests


def write(cursor: psycopg.Cursor, table: str, columns: Sequence[Column], n: int) -> None:
    """COPY the rows into `table`. Raises psycopg.Error."""
    if n:
        _write_encoded(cursor, table, columns, encode(columns, n)[0])


def _write_encoded(cursor: psycopg.Cursor, table: str, columns: Sequence[Column], buffer: Bytes) -> None:
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
        sql.Identifier(table), sql.SQL(", ").join(sql.Identifier(column.name) for column in columns)
    )
    with cursor.copy(statement) as copy:
        copy.write(_HEADER)
        copy.write(buffer.data)
        copy.write(_TRAILER)


def write_hashed(cursor: psycopg.Cursor, table: str, columns: Sequence[Column], n: int) -> Bytes:
    """COPY the rows with a `digest` column over all others; the digests, uint8[n, 32]. Raises psycopg.Error."""
    if n == 0:
        return np.empty((0, DIGEST_BYTES), np.uint8)
    columns = with_digest(columns, n)
    buffer, starts = encode(columns, n)
    digests = put_digests(columns, buffer, starts)
    _write_encoded(cursor, table, columns, buffer)
    return digests


@dataclass(frozen=True, slots=True)
class Parts:
    """k rows of another table that belong to the rows of a head, in their order. head: int64[k], row of each's head."""

    table: str
    columns: Sequence[Column]
    head: NDArray[np.int64]


def write_hashed_with(
    cursor: psycopg.Cursor, table: str, columns: Sequence[Column], n: int, parts: Parts
) -> Bytes:
    """COPY n rows and their parts; the digests, uint8[n, 32]: one covers a row and its parts. Raises psycopg.Error."""
    if n == 0:
        return np.empty((0, DIGEST_BYTES), np.uint8)
    columns = with_digest(columns, n)
    heads, starts = encode(columns, n)
    body, part_starts = encode(parts.columns, len(parts.head))
    bounds = part_starts[np.searchsorted(parts.head, np.arange(n + 1))]
    digests = put_digests(columns, heads, starts, body, bounds)
    _write_encoded(cursor, table, columns, heads)
    if len(parts.head):
        _write_encoded(cursor, parts.table, parts.columns, body)
    return digests
