"""The distinct rows of a few integer columns, by one sort of one key.

NumPy's own `unique(…, axis=0)` compares rows as bytes, which for ten thousand movements takes as long as costing them.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]

_KEY_LIMIT = 2**62


def distinct_rows(columns: Sequence[Int64]) -> tuple[Int64, Int64]:
    """(first, back) of columns int64[n]: a row of each distinct combination in rising order, and which each row is.

    first  int64[d];  back  int64[n], so that column[first][back] is column
    """
    key, span = np.zeros(len(columns[0]), np.int64), 1
    if len(key) == 0:
        return key, key
    for column in columns:
        low, width = int(column.min()), int(column.max()) - int(column.min()) + 1
        digit = column - low if width < _KEY_LIMIT else None
        if digit is None or span * width >= _KEY_LIMIT:
            key, span = _numbered(key)
            digit, width = _numbered(column)
        key, span = key * width + digit, span * width
    _, first, back = np.unique(key, return_index=True, return_inverse=True)
    return first, back.reshape(-1)


def _numbered(column: Int64) -> tuple[Int64, int]:
    """Its values by their rank, and how many there are."""
    values, back = np.unique(column, return_inverse=True)
    return back.reshape(-1).astype(np.int64), len(values)
