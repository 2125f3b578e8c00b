"""Distinct rows of columns, as NumPy's own slow way finds them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cloud.domain.distinct import distinct_rows

VALUE = st.integers(-3, 3) | st.sampled_from([-(2**63), 2**63 - 1, 2**33 + 5, 2**61])


@given(st.integers(1, 5).flatmap(lambda k: st.lists(st.lists(VALUE, min_size=k, max_size=k), max_size=30)))
def test_rows_are_told_apart_in_rising_order(rows: list[list[int]]) -> None:
    table = np.array(rows, np.int64).reshape(len(rows), len(rows[0]) if rows else 1)
    columns = list(table.T)
    first, back = distinct_rows(columns)
    expected, expected_back = np.unique(table, axis=0, return_inverse=True)
    assert np.array_equal(table[first], expected)
    assert np.array_equal(back, expected_back.reshape(-1))
