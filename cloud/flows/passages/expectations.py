"""What gates expect, and what each movement of a batch takes of it, in the order of the world."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from cloud.domain.movement import NONE, Int64
from cloud.store.arrays import Texts
from cloud.store.sql import statement


@dataclass(slots=True)
class Wanted:
    """m movements that may have been expected, in the order of the world, int64[m].

    gate (gate_id), direction, item;  tag  index into `epcs`;  qty;  occurred_us
    """

    gate: Int64
    direction: Int64
    item: Int64
    tag: Int64
    epcs: list[str]
    qty: Int64
    occurred_us: Int64

    def __len__(self) -> int:
        return len(self.gate)


@dataclass(slots=True)
class Expected:
    """e open expectations, oldest first. `open` is what is still expected, and goes down as it is taken.

    for_epc  {(gate_id, direction, epc): expectations of that tag, oldest first}
    for_item {(gate_id, direction, item): expectations of that item, oldest first}
    """

    expectation_id: Int64
    kind: Int64
    party: Int64
    document: list[str]
    price: Int64
    rate: Int64
    open: Int64
    until_us: Int64
    reason: list[str]
    dimension: Int64
    currency: Int64
    for_epc: dict[tuple[int, int, str], list[int]]
    for_item: dict[tuple[int, int, int], list[int]]

    @classmethod
    def load(cls, cursor: psycopg.Cursor, company_id: int, wanted: Wanted) -> "Expected":
        """What the gates of these movements may expect of their tags and items; locked. Raises psycopg.Error."""
        rows: list[tuple[Any, ...]] = []
        if len(wanted):
            rows = cursor.execute(
                statement("observed", "expectations"),
                {
                    "company": company_id,
                    "gates": np.unique(wanted.gate),
                    "epcs": Texts([wanted.epcs[tag] for tag in np.unique(wanted.tag).tolist()]),
                    "items": np.unique(wanted.item),
                },
            ).fetchall()
        for_epc: dict[tuple[int, int, str], list[int]] = defaultdict(list)
        for_item: dict[tuple[int, int, int], list[int]] = defaultdict(list)
        for at, (_, gate, direction, epc, item, *_rest) in enumerate(rows):
            if epc is not None:
                for_epc[gate, direction, epc].append(at)
            else:
                for_item[gate, direction, item].append(at)

        def column(place: int, nothing: int = 0) -> Int64:
            return np.array([nothing if row[place] is None else row[place] for row in rows], np.int64)

        return cls(
            expectation_id=column(0), kind=column(5), party=column(6), document=[row[7] for row in rows],
            price=column(8, NONE), rate=column(9), open=column(10), until_us=column(11),
            reason=[row[12] for row in rows], dimension=column(13), currency=column(14),
            for_epc=for_epc, for_item=for_item,
        )  # fmt: skip

    def take(self, wanted: Wanted) -> Int64:
        """int64[m]: which expectation each movement fills: the first still open for its tag, else for its item.

        NONE where nothing is expected. What is still open goes down, below zero by the last that took.
        """
        match = np.full(len(wanted), NONE, np.int64)
        if not len(self.expectation_id) or not len(wanted):
            return match
        # Movements of one gate, direction and item take from the same expectations, and from no others.
        order = np.lexsort((wanted.item, wanted.direction, wanted.gate))  # stable: in order of time within a group
        key = np.stack([wanted.gate[order], wanted.direction[order], wanted.item[order]])
        begins = np.flatnonzero(np.concatenate([[True], (key[:, 1:] != key[:, :-1]).any(axis=0)]))
        ends = np.append(begins[1:], len(order))
        before_last = np.add.reduceat(wanted.qty[order], begins) - wanted.qty[order][ends - 1]
        newest_us = np.maximum.reduceat(wanted.occurred_us[order], begins)
        groups = zip(*(part[begins].tolist() for part in key), strict=True)
        first = np.array([self.for_item.get(group, (NONE,))[0] for group in groups], np.int64)
        is_simple = (first != NONE) & (before_last < self.open[first]) & (newest_us <= self.until_us[first])
        group_of = np.repeat(np.arange(len(begins)), ends - begins)
        may_fill = first != NONE
        if len(by_epc := self._of_own_epc(wanted)):
            own = np.zeros(len(wanted), np.bool_)
            own[by_epc] = True
            groups_of_own = group_of[own[order]]
            is_simple[groups_of_own], may_fill[groups_of_own] = False, True
        fills = is_simple[group_of]
        match[order[fills]] = first[group_of[fills]]
        np.subtract.at(self.open, match[order[fills]], wanted.qty[order[fills]])
        for row in np.sort(order[~fills & may_fill[group_of]]).tolist():
            match[row] = self._take_one(wanted, row)
        return match

    def _of_own_epc(self, wanted: Wanted) -> Int64:
        """The movements whose gate expects their very tag."""
        if not self.for_epc:
            return np.empty(0, np.int64)
        named = {epc for _, _, epc in self.for_epc}
        tags = [tag for tag in np.unique(wanted.tag).tolist() if wanted.epcs[tag] in named]
        rows = np.flatnonzero(np.isin(wanted.tag, tags))
        keys = zip(
            wanted.gate[rows].tolist(), wanted.direction[rows].tolist(), wanted.tag[rows].tolist(), strict=True
        )
        is_own = [(gate, direction, wanted.epcs[tag]) in self.for_epc for gate, direction, tag in keys]
        return rows[np.array(is_own, np.bool_)]

    def _take_one(self, wanted: Wanted, row: int) -> int:
        where = int(wanted.gate[row]), int(wanted.direction[row])
        candidates = (
            *self.for_epc.get((*where, wanted.epcs[wanted.tag[row]]), ()),
            *self.for_item.get((*where, int(wanted.item[row])), ()),
        )
        for one in candidates:
            if self.open[one] > 0 and wanted.occurred_us[row] <= self.until_us[one]:
                self.open[one] -= wanted.qty[row]
                return one
        return NONE


def texts_of(texts: list[str], match: NDArray[np.int64]) -> list[str]:
    """The text of each match; empty where there is none."""
    padded = [*texts, ""]  # NONE is −1, the last
    return [padded[one] for one in match.tolist()]
