"""A posting's target: account and dimension set in one integer, so that columns of them can be compared and grouped.

The account stands in the low 32 bits, the dimension set (0: none) above them. NONE stays NONE.
"""

import numpy as np
from numpy.typing import NDArray

NONE = -1
_ACCOUNT_BITS = 32
_ACCOUNT_MASK = (1 << _ACCOUNT_BITS) - 1

Int64 = NDArray[np.int64]


def pack(account: int, dimension: int) -> int:
    """account_id and dimension_id, both below 2³¹."""
    return account | dimension << _ACCOUNT_BITS


def account_of(target: Int64) -> Int64:
    """int64[n] account_id, or NONE."""
    return np.where(target == NONE, NONE, target & _ACCOUNT_MASK)


def dimension_of(target: Int64) -> Int64:
    """int64[n] dimension_id, 0 where there is none."""
    return np.where(target == NONE, 0, target >> _ACCOUNT_BITS)
