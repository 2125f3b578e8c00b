"""The loops of binary COPY: fields laid into rows, a column at a time. See copy.py for the format.

Compiled, because rows that differ in length are no matrix: numpy would place each byte of a column by an index of
its own.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]


@njit(cache=True, nogil=True)
def put_count(buffer: Bytes, starts: Int64, count: int) -> None:
    """The number of fields at the beginning of each row."""
    for i in range(len(starts) - 1):
        buffer[starts[i]] = count >> 8
        buffer[starts[i] + 1] = count & 0xFF


@njit(cache=True, nogil=True)
def put_fixed(buffer: Bytes, at: Int64, cells: Bytes) -> None:
    """A field of one width in every row: uint8[n, w]; `at` goes on behind it."""
    n, width = cells.shape
    for i in range(n):
        place = at[i]
        buffer[place] = 0
        buffer[place + 1] = width >> 16
        buffer[place + 2] = width >> 8 & 0xFF
        buffer[place + 3] = width & 0xFF
        for j in range(width):
            buffer[place + 4 + j] = cells[i, j]
        at[i] = place + 4 + width


@njit(cache=True, nogil=True)
def put_nullable(buffer: Bytes, at: Int64, cells: Bytes, null: Bool) -> None:
    """The same, with nulls: −1 for a length, and nothing behind it."""
    n, width = cells.shape
    for i in range(n):
        place = at[i]
        if null[i]:
            for j in range(4):
                buffer[place + j] = 0xFF
            at[i] = place + 4
            continue
        buffer[place] = 0
        buffer[place + 1] = width >> 16
        buffer[place + 2] = width >> 8 & 0xFF
        buffer[place + 3] = width & 0xFF
        for j in range(width):
            buffer[place + 4 + j] = cells[i, j]
        at[i] = place + 4 + width


@njit(cache=True, nogil=True)
def put_texts(buffer: Bytes, at: Int64, lengths: Int64, data: Bytes) -> None:
    """Texts of any length, one behind the other in `data`."""
    begin = 0
    for i in range(len(lengths)):
        place, length = at[i], lengths[i]
        buffer[place] = length >> 24
        buffer[place + 1] = length >> 16 & 0xFF
        buffer[place + 2] = length >> 8 & 0xFF
        buffer[place + 3] = length & 0xFF
        for j in range(length):
            buffer[place + 4 + j] = data[begin + j]
        begin += length
        at[i] = place + 4 + length


def warm_up() -> None:
    """Compile the kernels, or load them from the cache."""
    buffer, at, cells = np.zeros(64, np.uint8), np.zeros(1, np.int64), np.zeros((1, 8), np.uint8)
    put_count(buffer, np.array([0, 64]), 3)
    put_fixed(buffer, at, cells)
    put_nullable(buffer, at, cells, np.zeros(1, np.bool_))
    put_texts(buffer, at, np.ones(1, np.int64), np.zeros(1, np.uint8))
