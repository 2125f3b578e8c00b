"""Stretches: cut where they are long, never within an instant; and what each of them changes."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.domain.balance_snapshots import STRETCH_US, Moved, changes_of, cuts, is_long

MOVEMENTS = 4
moments = st.lists(st.one_of(st.integers(0, 12), st.integers(0, 5 * STRETCH_US)), min_size=1, max_size=60)
movement = st.tuples(*(st.integers(1, 3) for _ in range(4)), st.integers(1, 50), st.integers(0, 3))


@given(moments)
def test_parts_are_short_but_where_one_instant_is_long(found: list[int]) -> None:
    at_us = np.sort(np.array(found, np.int64))
    inner = cuts(at_us, MOVEMENTS)
    assert list(inner) == sorted(set(inner.tolist()))
    assert set(inner.tolist()) <= set(at_us.tolist()[:-1])
    for part in np.split(at_us, np.searchsorted(at_us, inner, "right")):
        assert len(part)
        assert len(part[part < part[-1]]) <= MOVEMENTS  # what a reader may have to add before its last instant
        assert part[-1] - part[0] <= STRETCH_US


@pytest.mark.parametrize(
    ("at_us", "expected"),
    [
        ([5] * 9, []),
        ([4] + [5] * 9, [4]),
        ([5] * 9 + [6], [5]),
        ([1, 2, 3, 4, 5, 6, 7, 8], [4]),
        ([1, 2, 3, 4, 5, 6, 7, 8, 9], [4, 8]),
        ([1, 1 + STRETCH_US, 2 + STRETCH_US], [1 + STRETCH_US]),
    ],
)
def test_where_stretches_are_cut(at_us: list[int], expected: list[int]) -> None:
    assert cuts(np.array(at_us, np.int64), MOVEMENTS).tolist() == expected


@given(st.lists(movement, min_size=1, max_size=40))
def test_changes_are_the_sums_of_what_moved_and_run_on_through_the_stretches(rows: list[tuple[int, ...]]) -> None:
    item, to_id, from_id, lot, qty, stretch = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    zero = np.zeros(len(rows), np.int64)
    changes = changes_of(Moved(zero, zero, item, from_id, to_id, lot, qty), stretch)
    expected: Counter[tuple[int, ...]] = Counter()
    for one, to, source, lot_id, moved, where in rows:
        expected[one, to, lot_id, where] += moved
        expected[one, source, lot_id, where] -= moved
    keys = list(
        zip(
            *(column.tolist() for column in (changes.item, changes.location, changes.lot, changes.stretch)),
            strict=True,
        )
    )
    assert keys == sorted(expected)
    assert changes.qty.tolist() == [expected[key] for key in keys]
    running = [
        sum(qty for other, qty in expected.items() if other[:3] == key[:3] and other[3] <= key[3]) for key in keys
    ]
    assert changes.running().tolist() == running


def test_a_stretch_is_cut_when_it_is_twice_too_long_but_never_an_instant() -> None:
    assert is_long(8, 0, 1, MOVEMENTS)
    assert not is_long(7, 0, 1, MOVEMENTS)
    assert not is_long(80, 5, 5, MOVEMENTS)
    assert is_long(2, 0, 2 * STRETCH_US, MOVEMENTS)
    assert not is_long(2, 0, 2 * STRETCH_US - 1, MOVEMENTS)
