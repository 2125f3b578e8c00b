"""Judge one mutant: whether it still gives every answer. Run by mutmut, never by the ordinary tests.

The kernels beside this file have lost their decorators, because a compiled function cannot be exchanged for its
mutant; so records get here what numba gives them, fields as attributes, and are lists meanwhile, which plain Python
reads several times as fast as arrays.
"""

from pathlib import Path
from typing import Any

import numpy as np

from cloud.domain.costing import kernels
from tests.mutation.judged_streams import kept

CASES = kept(Path(__file__).with_name("cases.pickle"))


class Columns:
    """A record array as compiled code sees it: fields are attributes, and records too."""

    def __init__(self, records: Any) -> None:
        self.__dict__.update({name: records[name].tolist() for name in records.dtype.names})
        self.records = records

    def __getitem__(self, index: int) -> "Columns":
        """A copy: kernels only read whole records."""
        return Columns._of({name: getattr(self, name)[index] for name in self.records.dtype.names})

    @classmethod
    def _of(cls, values: dict[str, Any]) -> "Columns":
        one = cls.__new__(cls)
        one.__dict__.update(values)
        return one

    def __len__(self) -> int:
        return len(self.records)

    def put_back(self) -> None:
        """Into the records that this was made of."""
        for name in self.records.dtype.names:
            column = getattr(self, name)
            assert None not in column, f"{name} holds None, which compiled code would not store"
            self.records[name] = column


class Arrays:
    """The same for what is computed by whole columns."""

    def __init__(self, records: Any) -> None:
        self.__dict__.update({name: records[name] for name in records.dtype.names})
        self.records = records

    def __len__(self) -> int:
        return len(self.records)


def test_every_answer_is_given_again(monkeypatch: Any) -> None:
    cost_rows, quiet_places = kernels.cost_rows, kernels.quiet_places

    def columns_costed(start: int, stop: int, *arrays: Any) -> int:
        *records, count = arrays
        columns = [Columns(one) for one in records]
        stopped = cost_rows(start, stop, *columns, count)
        for one in columns:
            one.put_back()
        return int(stopped)

    monkeypatch.setattr(kernels, "cost_rows", columns_costed)
    monkeypatch.setattr(kernels, "quiet_places", lambda rows, pools: quiet_places(Arrays(rows), Arrays(pools)))
    for case, answer in CASES:
        assert case.answer() == answer


def test_what_returns_carry_adds_up() -> None:
    columns = [
        np.array(column, np.int64) for column in ([10, 10, 10, 7], [3, 3, 3, 2], [0, 1, 2, 5], [1, 1, 4, 1])
    ]
    carried = kernels.shares(*columns)
    assert carried.tolist() == [3, 4, 3, 0]
    assert carried.dtype == np.int64


def test_records_are_integers_and_booleans_aligned() -> None:
    kind = kernels._record("qty value", "settled")
    assert [(name, kind[name].str) for name in kind.names] == [
        ("qty", "<i8"),
        ("value", "<i8"),
        ("settled", "|b1"),
    ]
    assert kind.itemsize == 24
    assert kernels._record("qty").names == ("qty",)
