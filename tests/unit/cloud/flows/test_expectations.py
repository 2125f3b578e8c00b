"""What gates expect, and who takes of it: whole groups at once, as one after the other would."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cloud.domain.movement import NONE
from cloud.flows.passages.expectations import Expected, Wanted, texts_of

EPCS = ["A1A1", "B2B2", "C3C3"]
ITEM_OF = {0: 7, 1: 7, 2: 8}

# gate, direction, EPC or item, open, until
expectations = st.lists(
    st.tuples(
        st.integers(1, 2), st.integers(1, 2), st.sampled_from([*EPCS, 7, 8]), st.integers(1, 6), st.integers(0, 9)
    ),
    max_size=8,
)
# gate, direction, tag, quantity; they happen at 0, 1, 2 …
moves = st.lists(
    st.tuples(st.integers(1, 2), st.integers(1, 2), st.integers(0, 2), st.integers(1, 4)), max_size=12
)


def expected_of(rows: list[tuple[int, int, str | int, int, int]]) -> Expected:
    for_epc: dict[tuple[int, int, str], list[int]] = {}
    for_item: dict[tuple[int, int, int], list[int]] = {}
    for at, (gate, direction, what, *_) in enumerate(rows):
        if isinstance(what, str):
            for_epc.setdefault((gate, direction, what), []).append(at)
        else:
            for_item.setdefault((gate, direction, what), []).append(at)
    n = len(rows)
    zero = np.zeros(n, np.int64)
    return Expected(
        np.arange(n) + 100, zero, zero, [""] * n, zero, zero, np.array([row[3] for row in rows], np.int64),
        np.array([row[4] for row in rows], np.int64), [""] * n, zero, zero, for_epc, for_item,
    )  # fmt: skip


def wanted_of(rows: list[tuple[int, int, int, int]]) -> Wanted:
    columns = np.array(rows, np.int64).reshape(-1, 4).T
    return Wanted(
        columns[0], columns[1], np.array([ITEM_OF[row[2]] for row in rows], np.int64), columns[2], EPCS, columns[3],
        np.arange(len(rows)),
    )  # fmt: skip


def one_after_the_other(
    expected: list[tuple[int, int, str | int, int, int]], wanted: list[tuple[int, int, int, int]]
) -> tuple[list[int], list[int]]:
    """The rule in plain words: the tag's own first, then the item's; the oldest that is open and not over."""
    still_open = [row[3] for row in expected]
    taken = []
    for at, (gate, direction, tag, qty) in enumerate(wanted):
        found = NONE
        for what in (EPCS[tag], ITEM_OF[tag]):
            for number, row in enumerate(expected):
                if (
                    found == NONE
                    and row[:3] == (gate, direction, what)
                    and still_open[number] > 0
                    and at <= row[4]
                ):
                    found = number
        if found != NONE:
            still_open[found] -= qty
        taken.append(found)
    return taken, still_open


@given(expectations, moves)
def test_each_takes_what_it_would_take_alone(
    expected_rows: list[tuple[int, int, str | int, int, int]], wanted_rows: list[tuple[int, int, int, int]]
) -> None:
    expected = expected_of(expected_rows)
    match = expected.take(wanted_of(wanted_rows))
    taken, still_open = one_after_the_other(expected_rows, wanted_rows)
    assert match.tolist() == taken
    assert expected.open.tolist() == still_open


def test_the_last_that_takes_may_take_more_than_is_open() -> None:
    expected = expected_of([(1, 1, 7, 5, 9), (1, 1, 7, 5, 9)])
    assert expected.take(wanted_of([(1, 1, 0, 4), (1, 1, 0, 4), (1, 1, 0, 4)])).tolist() == [0, 0, 1]
    assert expected.open.tolist() == [-3, 1]


def test_what_nobody_expects_has_no_text() -> None:
    assert texts_of(["PO-1", "PO-2"], np.array([1, NONE, 0])) == ["PO-2", "", "PO-1"]
