"""The company's gates, and what lies on their two sides; also as columns, for whole batches."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import psycopg
from numpy.typing import NDArray

from cloud.domain.ledger.chart import PHYSICAL_PLACES
from cloud.domain.movement import Crossing, Int64
from cloud.store.sql import statement


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate and what lies on its two sides; kinds as in the table locations."""

    gate_id: int
    inside_id: int
    outside_id: int
    group: int
    same_us: int
    inside_kind: str
    inside_site: int
    outside_kind: str
    outside_site: int

    def target(self, crossing: Crossing) -> int:
        """The area that a passage in this direction leads to."""
        return self.inside_id if crossing is Crossing.IN else self.outside_id

    @property
    def is_internal(self) -> bool:
        """Whether both sides are the company's own floor."""
        return self.inside_kind in PHYSICAL_PLACES and self.outside_kind in PHYSICAL_PLACES


def load_gates(cursor: psycopg.Cursor, company_id: int) -> dict[str, Gate]:
    """The company's gates by code."""
    rows = cursor.execute(statement("observed", "gates"), {"company": company_id})
    return {row[0]: Gate(*row[1:]) for row in rows}


@dataclass(frozen=True, slots=True)
class Gates:
    """g gates, struct of arrays; a row of a batch names its gate by `index`.

    index      {code: index};  index_of_id  {gate_id: index};  gates  by index
    shared_us  within what time two gates of its group may see one crossing; 0 for a gate alone in its group
    """

    index: dict[str, int]
    index_of_id: dict[int, int]
    gates: list[Gate]
    gate_id: Int64
    inside_id: Int64
    outside_id: Int64
    group: Int64
    same_us: Int64
    shared_us: Int64
    is_internal: NDArray[np.bool_]

    @classmethod
    def of(cls, by_code: Mapping[str, Gate]) -> "Gates":
        gates = list(by_code.values())
        groups: dict[int, list[int]] = defaultdict(list)
        for gate in gates:
            groups[gate.group].append(gate.same_us)
        shared = {group: max(times) if len(times) > 1 else 0 for group, times in groups.items()}

        def column(values: list[int]) -> Int64:
            return np.array(values, np.int64)

        return cls(
            {code: i for i, code in enumerate(by_code)},
            {gate.gate_id: i for i, gate in enumerate(gates)},
            gates,
            column([gate.gate_id for gate in gates]),
            column([gate.inside_id for gate in gates]),
            column([gate.outside_id for gate in gates]),
            column([gate.group for gate in gates]),
            column([gate.same_us for gate in gates]),
            column([shared[gate.group] for gate in gates]),
            np.array([gate.is_internal for gate in gates], np.bool_),
        )

    def target(self, gate: Int64, crossing: Int64) -> Int64:
        """The areas that passages lead to."""
        return np.where(crossing == Crossing.IN, self.inside_id[gate], self.outside_id[gate])
