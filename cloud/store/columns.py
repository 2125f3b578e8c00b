"""Rows as columns: a million movements are arrays and never a million tuples."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.sql import SQL

_HEADER_BYTES, _TRAILER_BYTES = 19, 2  # of PostgreSQL's binary COPY


def read_columns(
    cursor: psycopg.Cursor, copy: SQL, fields: Mapping[str, int], parameters: Mapping[str, Any]
) -> dict[str, NDArray[Any]]:
    """The rows of a binary COPY whose fields are all present: int64[n] for 8 bytes, uint8[n, 16] for 16."""
    with cursor.copy(copy, parameters) as rows:
        data = b"".join(bytes(part) for part in rows)[_HEADER_BYTES:-_TRAILER_BYTES]
    layout: list[Any] = [("count", ">i2")]
    for field, width in fields.items():
        layout += [(f"{field}_length", ">i4"), (field, ">i8") if width == 8 else (field, "u1", (width,))]
    table = np.frombuffer(data, np.dtype(layout))
    return {
        field: table[field].astype(np.int64) if width == 8 else np.ascontiguousarray(table[field])
        for field, width in fields.items()
    }
