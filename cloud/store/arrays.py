"""numpy arrays as PostgreSQL arrays, without a Python object for each element.

The binary format of an array (PostgreSQL's array_send): number of dimensions, whether there are nulls, the
element's type, then of each dimension its length and lower bound, then of each element its length and its bytes;
all big-endian.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import pq
from psycopg.adapt import Buffer, Dumper, PyFormat

# (array's type, element's type, how the elements are stored) by dtype and number of dimensions; uuid: uint8[n, 16].
_TYPES: Final = {
    ("int64", 1): (1016, 20, ">i8"),
    ("bool", 1): (1000, 16, "u1"),
    ("float64", 1): (1022, 701, ">f8"),
    ("uint8", 2): (2951, 2950, "u1"),
}
_ID_BYTES: Final = 16


class ArrayDumper(Dumper):
    """Integers [n] (sent as bigint), bool[n], float64[n], and UUIDs as uint8[n, 16]."""

    format = pq.Format.BINARY

    def __init__(self, cls: type, context: Any = None, kind: tuple[str, int] = ("int64", 1)) -> None:
        super().__init__(cls, context)
        self.oid, self._element, self._stored = _TYPES[kind]

    def get_key(self, obj: NDArray, format: PyFormat) -> Any:  # noqa: A002, ARG002  psycopg's name
        return (self.cls, *_kind(obj))

    def upgrade(self, obj: NDArray, format: PyFormat) -> Dumper:  # noqa: A002, ARG002
        kind = _kind(obj)
        if kind not in _TYPES or (obj.ndim == 2 and obj.shape[1] != _ID_BYTES):
            expected = ", ".join(f"{name}[{dimensions}]" for name, dimensions in _TYPES)
            raise psycopg.ProgrammingError(f"expected an array of {expected}, got {obj.dtype.name}{obj.shape}")
        return ArrayDumper(self.cls, kind=kind)

    def dump(self, obj: NDArray) -> Buffer:
        n = len(obj)
        if n == 0:
            return struct.pack(">iii", 0, 0, self._element)
        cells = np.ascontiguousarray(obj, self._stored).view(np.uint8).reshape(n, -1)
        width = cells.shape[1]
        rows = np.empty((n, 4 + width), np.uint8)
        rows[:, :4] = np.frombuffer(struct.pack(">i", width), np.uint8)
        rows[:, 4:] = cells
        return struct.pack(">iiiii", 1, 0, self._element, n, 1) + rows.tobytes()


def _kind(array: NDArray) -> tuple[str, int]:
    """Which of our types an array is: integers of every width but bytes are sent as bigint."""
    is_integer = array.dtype.kind == "i" and array.ndim == 1
    return ("int64" if is_integer else array.dtype.name, array.ndim)


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts as one parameter, text[n]: those of psycopg's own list would each be looked through for quotes."""

    texts: Sequence[str]


class TextsDumper(Dumper):
    """text[n]."""

    format = pq.Format.BINARY
    oid = 1009

    def dump(self, obj: Texts) -> Buffer:
        codes = [text.encode() for text in obj.texts]
        n = len(codes)
        if n == 0:
            return struct.pack(">iii", 0, 0, 25)
        lengths = np.fromiter(map(len, codes), ">i4", n).tobytes()
        rows = chain.from_iterable((lengths[4 * i : 4 * i + 4], code) for i, code in enumerate(codes))
        return struct.pack(">iiiii", 1, 0, 25, n, 1) + b"".join(rows)


def register() -> None:
    """Let every connection take numpy arrays and Texts as parameters."""
    psycopg.adapters.register_dumper(np.ndarray, ArrayDumper)
    psycopg.adapters.register_dumper(Texts, TextsDumper)
