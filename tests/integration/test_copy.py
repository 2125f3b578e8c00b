"""Our binary COPY against PostgreSQL's own: the same rows, byte for byte."""

import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import numpy as np
import psycopg
import pytest

from cloud.store import copy

UNIX = datetime(1970, 1, 1, tzinfo=UTC)

TABLE = """
CREATE TEMP TABLE kinds (
    small smallint, whole integer, big bigint, flag boolean, sure real, at timestamptz, day date, id uuid,
    digest bytea, words text, said json, same integer)
"""

# small, whole, big, flag, sure, µs, day, id, digest, words, json; None is null.
ROWS = [
    (1, 2, 3, True, 0.5, 0, 0, 7, b"\0" * 4, "", "{}"),
    (None, None, None, False, 0.1, 1_790_000_000_000_001, 20_000, None, None, "螺栓 · Bolt", '{"order": 0.9}'),
    (-(2**15), -(2**31), -(2**63), True, -1e30, -1, -1, 2**128 - 1, b"\xff" * 4, "x" * 70_000, "[1, 2]"),
    (2**15 - 1, 2**31 - 1, 2**63 - 1, False, float("inf"), 2**55, 200_000, 0, b"abcd", "\n\t\\", '""'),
    (0, None, 0, True, 0.0, -(2**50), -200_000, None, b"\0\1\2\3", "", "null"),
]


@pytest.fixture
def connection(dsn: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(TABLE)
        yield connection


def columns_of(rows: list[tuple]) -> list[copy.Column]:
    n = len(rows)
    by_column = list(zip(*rows, strict=True)) if rows else [()] * 11

    def numbers(place: int) -> tuple[np.ndarray, np.ndarray]:
        values = by_column[place]
        return (
            np.array([0 if value is None else value for value in values], np.int64),
            np.array([value is None for value in values], np.bool_),
        )

    def fixed(place: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        cells = [
            bytes(width) if value is None else value if isinstance(value, bytes) else value.to_bytes(width)
            for value in by_column[place]
        ]
        packed = np.frombuffer(b"".join(cells), np.uint8).reshape(n, width)
        return packed, np.array([value is None for value in by_column[place]], np.bool_)

    small, whole, big = numbers(0), numbers(1), numbers(2)
    return [
        copy.integers("small", small[0], 2, small[1]),
        copy.integers("whole", whole[0], 4, whole[1]),
        copy.integers("big", big[0], 8, big[1]),
        copy.booleans("flag", np.array(by_column[3], np.bool_)),
        copy.floats("sure", np.array(by_column[4], np.float64)),
        copy.times("at", numbers(5)[0]),
        copy.dates("day", numbers(6)[0]),
        copy.raw("id", *fixed(7, 16)),
        copy.raw("digest", *fixed(8, 4)),
        copy.texts("words", [text.encode() for text in by_column[9]]),
        copy.texts("said", [text.encode() for text in by_column[10]]),
        copy.constant("same", 42, 4, n),
    ]


def insert(connection: psycopg.Connection, rows: list[tuple]) -> None:
    """The same rows by parameters, so that PostgreSQL makes its own bytes of them."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO kinds VALUES (%s, %s, %s, %s, %s,"
            " 'epoch'::timestamptz + %s * interval '1 microsecond', 'epoch'::date + %s, %s, %s, %s, %s, 42)",
            [(*row[:7], None if row[7] is None else uuid.UUID(int=row[7]), *row[8:]) for row in rows],
        )


def sent_by_postgres(connection: psycopg.Connection) -> bytes:
    with connection.cursor().copy("COPY kinds TO STDOUT (FORMAT BINARY)") as sent:
        return b"".join(bytes(message) for message in sent)


@pytest.mark.parametrize("rows", [ROWS, ROWS[:1], []], ids=["many", "one", "none"])
def test_the_bytes_are_those_that_postgresql_sends(connection: psycopg.Connection, rows: list[tuple]) -> None:
    insert(connection, rows)
    buffer, starts = copy.encode(columns_of(rows), len(rows))
    header = b"PGCOPY\n\xff\r\n\0" + bytes(8)
    assert header + buffer.tobytes() + b"\xff\xff" == sent_by_postgres(connection)
    assert starts[0] == 0
    assert starts[-1] == len(buffer)


def test_what_is_written_is_read_again(connection: psycopg.Connection) -> None:
    with connection.transaction(), connection.cursor() as cursor:
        copy.write(cursor, "kinds", columns_of(ROWS), len(ROWS))
    read = connection.execute(
        "SELECT small, whole, big, flag, sure, (extract(epoch FROM at) * 1000000)::bigint, day - 'epoch'::date, id,"
        " digest, words, said::text, same FROM kinds"
    ).fetchall()
    expected = [
        (*row[:4], float(np.float32(row[4])), *row[5:7], None if row[7] is None else uuid.UUID(int=row[7]),
         *row[8:], 42)
        for row in ROWS
    ]  # fmt: skip
    assert [(*row[:4], float(np.float32(row[4])), *row[5:]) for row in read] == expected


def test_no_rows_write_nothing(connection: psycopg.Connection) -> None:
    with connection.transaction(), connection.cursor() as cursor:
        copy.write(cursor, "kinds", columns_of([]), 0)
        assert copy.write_hashed(cursor, "kinds", columns_of([]), 0).shape == (0, 32)
    assert connection.execute("SELECT count(*) FROM kinds").fetchone() == (0,)


def test_a_digest_covers_the_row_without_its_digest(connection: psycopg.Connection) -> None:
    """`digest` is the last column: what is hashed is the same row with one field less."""
    connection.execute("CREATE TEMP TABLE hashed (words text, digest bytea)")
    words = [copy.texts("words", [b"one", b"", b"three"])]
    with connection.transaction(), connection.cursor() as cursor:
        digests = copy.write_hashed(cursor, "hashed", words, 3)
    assert [bytes(row[0]) for row in connection.execute("SELECT digest FROM hashed")] == [
        d.tobytes() for d in digests
    ]
    by_hand = connection.execute(
        r"SELECT sha256('\x0001'::bytea || int4send(length(words)) || convert_to(words, 'UTF8')) FROM hashed"
    ).fetchall()
    assert [bytes(row[0]) for row in by_hand] == [d.tobytes() for d in digests]


@pytest.mark.parametrize(("width", "limit"), [(2, 2**15), (4, 2**31)])
def test_a_number_that_does_not_fit_is_named_and_never_cut(width: int, limit: int) -> None:
    copy.integers("qty", np.array([limit - 1, -limit]), width)
    for value in (limit, -limit - 1):
        with pytest.raises(OverflowError, match=f"qty: .*{value}.* does not fit {width} bytes"):
            copy.integers("qty", np.array([value]), width)


def test_the_two_zeros_are_postgresqls_own() -> None:
    assert (datetime(2000, 1, 1, tzinfo=UTC) - UNIX) // timedelta(microseconds=1) == copy.PG_EPOCH_US
    assert date(2000, 1, 1).toordinal() - date(1970, 1, 1).toordinal() == copy.PG_EPOCH_DAYS
